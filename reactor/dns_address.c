/* SPDX-License-Identifier: MIT
 *
 * dns_address.c - addresses of names: literals, localhost, and the order in which an answer lists
 * them.
 */
#include "reactor/dns_address.h"

#include "base/text.h"

#include <arpa/inet.h>

static void
add_six(struct dns_answer *answer, const uint8_t bytes[16], uint16_t port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct dns_address *out = &answer->addresses[answer->count++];
    memcpy(&address.sin6_addr, bytes, 16);
    memcpy(&out->address, &address, sizeof(address));
    out->len = sizeof(address);
}

static void
add_four(struct dns_answer *answer, const uint8_t bytes[4], uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct dns_address *out = &answer->addresses[answer->count++];
    memcpy(&address.sin_addr, bytes, 4);
    memcpy(&out->address, &address, sizeof(address));
    out->len = sizeof(address);
}

void
dns_answer_fill(struct dns_answer *answer, const struct dns_family *six,
                const struct dns_family *four, uint16_t port)
{
    _Static_assert(2 * DNS_FAMILY_MAX <= DNS_ADDRESSES_MAX, "both families fit an answer");
    answer->count = 0;
    for (int i = 0; i < DNS_FAMILY_MAX; i++) {
        if (i < six->count)
            add_six(answer, six->bytes[i], port);
        if (i < four->count)
            add_four(answer, four->bytes[i], port);
    }
    answer->error = answer->count ? 0 : -ERR_DNS;
}

static bool
is_localhost(struct slice host)
{
    struct slice suffix = SLICE_LIT(".localhost");
    if (text_caseless_is(host, "localhost"))
        return true;
    return host.len > suffix.len &&
           text_caseless_eq(slice_skip(host, host.len - suffix.len), suffix);
}

bool
dns_literal(struct slice host, uint16_t port, struct dns_answer *answer)
{
    char text[64];
    uint8_t bytes[16];
    answer->error = answer->count = 0;
    if (is_localhost(host)) {
        /* IPv4 first: local servers more often listen there alone, and the answer costs nothing. */
        add_four(answer, (const uint8_t[4]){127, 0, 0, 1}, port);
        add_six(answer, (const uint8_t[16]){[15] = 1}, port);
        return true;
    }
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = slice_take(slice_skip(host, 1), host.len - 2);
    if (host.len == 0 || host.len >= sizeof(text) || memchr(host.ptr, 0, host.len))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, bytes) == 1)
        add_four(answer, bytes, port);
    else if (inet_pton(AF_INET6, text, bytes) == 1)
        add_six(answer, bytes, port);
    return answer->count > 0;
}

bool
dns_host_valid(struct slice host)
{
    if (host.len == 0 || host.len > 253)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] <= ' ' || host.ptr[i] >= 0x7f || host.ptr[i] == '[' || host.ptr[i] == ':')
            return false;
    }
    return true;
}
