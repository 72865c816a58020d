/* SPDX-License-Identifier: MIT
 *
 * target.c - request targets (RFC 9112 3.2) and Host (RFC 9110 7.2).
 *
 * Origin-form, absolute-form, and "*" for OPTIONS. Authority-form belongs to CONNECT, which a
 * gateway for models has no use for: both are refused.
 */
#include "http/target.h"

#include "base/text.h"
#include "http/chars.h"

static bool
port_valid(struct slice port)
{
    uint64_t number;
    return port.len <= 5 && text_u64(port, &number) && number >= 1 && number <= 65535;
}

/* The shape of an IPv6 literal, enough that nothing else passes for one: hex digits, colons, and
 * the dots of an embedded IPv4 address. Zones and future versions are refused. */
static bool
literal_valid(struct slice address)
{
    size_t colons = 0;
    for (size_t i = 0; i < address.len; i++) {
        char byte = address.ptr[i];
        char lower = text_lower(byte);
        bool hex = (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'f');
        if (!hex && byte != ':' && byte != '.')
            return false;
        colons += byte == ':';
    }
    return colons >= 2 && address.len <= 45;
}

bool
http_host_valid(struct slice host)
{
    struct slice rest;
    if (host.len > 0 && host.ptr[0] == '[') {
        const char *close = memchr(host.ptr, ']', host.len);
        if (!close)
            return false;
        struct slice address = slice_of(host.ptr + 1, (size_t)(close - host.ptr - 1));
        if (!literal_valid(address))
            return false;
        rest = slice_skip(host, address.len + 2);
    } else {
        size_t name_len = http_span(host, HTTP_HOSTNAME);
        if (name_len == 0 || name_len > 255)
            return false;
        rest = slice_skip(host, name_len);
    }
    return rest.len == 0 || (rest.ptr[0] == ':' && port_valid(slice_skip(rest, 1)));
}

/* Cut [path] ["?" query] in two. */
static void
set_path(struct http_head *head, struct slice text)
{
    head->path = text_split(&text, '?');
    head->query = text;
    if (head->path.len == 0)
        head->path = SLICE_LIT("/");
}

/*
 * absolute-form: "http://authority/path?query". RFC 9112 3.2.2 lets the authority win over Host,
 * while others on the way may have gone by Host: so they have to agree.
 */
static bool
parse_absolute(struct http_head *head, struct slice rest)
{
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
        len++;
    struct slice authority = slice_take(rest, len);
    if (!http_host_valid(authority))
        return false;
    if (slice_present(head->host) && !text_caseless_eq(head->host, authority))
        return false;
    head->host = authority;
    set_path(head, slice_skip(rest, len));
    return true;
}

bool
http_parse_target(struct http_head *head)
{
    static const char *const schemes[] = {"http://", "https://"};
    struct slice target = head->target;
    assert(target.len > 0);
    head->path = head->query = SLICE_NONE;
    if (slice_is(head->method_text, "CONNECT"))
        return false;
    if (target.ptr[0] == '/') {
        set_path(head, target);
        return true;
    }
    if (slice_is(target, "*") && head->method == HTTP_OPTIONS) {
        head->path = target;
        return true;
    }
    for (size_t i = 0; i < countof(schemes); i++) {
        struct slice scheme = slice_from(schemes[i]);
        if (text_caseless_eq(slice_take(target, scheme.len), scheme))
            return parse_absolute(head, slice_skip(target, scheme.len));
    }
    return false;
}
