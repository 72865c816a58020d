/* SPDX-License-Identifier: MIT
 *
 * dns_address.h - addresses of names: literals, localhost, and the order in which an answer lists
 * them. No I/O.
 */
#ifndef PENSTOCK_DNS_ADDRESS_H
#define PENSTOCK_DNS_ADDRESS_H

#include "reactor/dns.h"

#define DNS_FAMILY_MAX (DNS_ADDRESSES_MAX / 2)

/* The addresses of one family: 4 or 16 bytes each. */
struct dns_family {
    int count;
    uint8_t bytes[DNS_FAMILY_MAX][16];
};

/* dns_answer_fill - both families, one of each in turn, beginning with IPv6 (RFC 8305, 4). error 0,
 * or -ERR_DNS for none. */
void dns_answer_fill(struct dns_answer *answer, const struct dns_family *six,
                     const struct dns_family *four, uint16_t port);
/* dns_literal - is host an address literal, or localhost (RFC 6761, 6.3)? Then the answer is
 * filled. */
bool dns_literal(struct slice host, uint16_t port, struct dns_answer *answer);
/* dns_host_valid - can it be a host name at all: 1 to 253 visible ASCII bytes? */
bool dns_host_valid(struct slice host);

#endif
