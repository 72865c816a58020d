/* SPDX-License-Identifier: MIT
 *
 * config_url.c - an upstream's base address into scheme, host, port and path.
 *
 * Strict where a mistake would send a key to the wrong place: no user info, no query, no odd bytes.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#include <arpa/inet.h>

static bool
host_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '.' || byte == '_';
}

/* A name or IPv4 address, lower-cased, without the dot that may end it. */
static const char *
take_name(struct arena *arena, struct slice host, struct config_deployment *out)
{
    if (host.len > 1 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len == 0)
        return "the address names no host";
    if (host.len > 253)
        return "the host is longer than 253 characters";
    char lower[254];
    for (size_t i = 0; i < host.len; i++) {
        lower[i] = text_lower(host.ptr[i]);
        if (!host_byte(lower[i]))
            return "the host holds a character that a host name cannot have (write international "
                   "names as xn--...)";
    }
    if (lower[0] == '.' || memmem(lower, host.len, "..", 2) != NULL)
        return "the host has an empty label";
    out->host = arena_copy(arena, slice_of(lower, host.len));
    return NULL;
}

static const char *
take_address(struct arena *arena, struct slice host, struct config_deployment *out)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr six;
    if (host.len >= sizeof(text))
        return "the address in brackets is not an IPv6 address";
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (strlen(text) != host.len || inet_pton(AF_INET6, text, &six) != 1)
        return "the address in brackets is not an IPv6 address";
    out->host = arena_copy(arena, host);
    return NULL;
}

static const char *
take_authority(struct arena *arena, struct slice authority, struct config_deployment *out)
{
    struct slice host = authority, port = SLICE_NONE;
    bool six = authority.len > 0 && authority.ptr[0] == '[';
    if (memchr(authority.ptr, '@', authority.len) != NULL)
        return "user names and passwords in the address are not supported";
    if (six) {
        const char *end = memchr(authority.ptr, ']', authority.len);
        if (end == NULL)
            return "\"[\" without \"]\"";
        host = slice_of(authority.ptr + 1, (size_t)(end - authority.ptr) - 1);
        struct slice rest = slice_skip(authority, (size_t)(end - authority.ptr) + 1);
        if (rest.len > 0 && rest.ptr[0] != ':')
            return "only a port can follow \"]\"";
        if (rest.len > 0)
            port = slice_skip(rest, 1);
    } else {
        port = authority;
        host = text_split(&port, ':');
    }
    uint64_t number = out->tls ? 443 : 80;
    if (slice_present(port) && (!text_u64(port, &number) || number == 0 || number > 65535))
        return "the port is not a number from 1 to 65535";
    out->port = (uint16_t)number;
    const char *why = six ? take_address(arena, host, out) : take_name(arena, host, out);
    if (why != NULL)
        return why;
    bool usual = out->port == (out->tls ? 443 : 80);
    struct slice header = arena_printf(arena, usual ? "%s%.*s%s" : "%s%.*s%s:%u", six ? "[" : "",
                                       SLICE_ARG(out->host), six ? "]" : "", out->port);
    if (!slice_present(out->host_header)) /* the file may have said another one */
        out->host_header = header;
    return slice_present(out->host) && slice_present(header) ? NULL : "out of memory";
}

const char *
config_url(struct arena *arena, struct slice url, struct config_deployment *out)
{
    static const struct slice plain = SLICE_LIT("http://"), secure = SLICE_LIT("https://");
    if (text_caseless_eq(slice_take(url, secure.len), secure))
        out->tls = true;
    else if (text_caseless_eq(slice_take(url, plain.len), plain))
        out->tls = false;
    else
        return "the address must begin with https:// or http://";
    struct slice rest = slice_skip(url, out->tls ? secure.len : plain.len);
    size_t end = 0;
    while (end < rest.len && strchr("/?#", rest.ptr[end]) == NULL)
        end++;
    struct slice path = slice_skip(rest, end);
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '?' || path.ptr[i] == '#')
            return "the address cannot have a query or a fragment";
        if (path.ptr[i] <= ' ' || path.ptr[i] > '~' || strchr("\"<>\\^`{|}", path.ptr[i]) != NULL)
            return "the path holds a character that must be percent-encoded";
    }
    const char *why = take_authority(arena, slice_take(rest, end), out);
    if (why != NULL)
        return why;
    out->base_path = arena_copy(arena, path);
    return slice_present(out->base_path) ? NULL : "out of memory";
}

static bool
cut_end(struct slice *path, const char *end)
{
    if (!slice_ends(*path, slice_from(end)))
        return false;
    path->len -= strlen(end);
    return true;
}

void
config_base_path(struct arena *arena, bool version_needed, struct config_deployment *out)
{
    struct slice path = out->base_path;
    while (cut_end(&path, "/")) {
    }
    /* People paste the whole endpoint. */
    static const char *const endpoints[] = {"/chat/completions", "/messages", "/responses", "/models"};
    if (cut_end(&path, endpoints[out->dialect]))
        while (cut_end(&path, "/")) {
        }
    if (slice_is(out->provider, "ollama") || slice_is(out->provider, "ollama_chat"))
        (void)cut_end(&path, "/api");
    bool add = version_needed && path.len == 0;
    if (out->dialect == CONFIG_ANTHROPIC)
        add = !slice_ends(path, SLICE_LIT("/v1"));
    out->base_path = arena_printf(arena, "%.*s%s", SLICE_ARG(path), add ? "/v1" : "");
}
