/* SPDX-License-Identifier: MIT
 *
 * net.h - addresses and sockets of the load tools. Addresses are numeric IPv4: no names, nothing
 * that blocks.
 */
#ifndef PENSTOCK_LOAD_NET_H
#define PENSTOCK_LOAD_NET_H

#include "base/base.h"

#include <netinet/in.h>

#define NET_ADDRESSES_MAX 64

struct net_list {
    struct sockaddr_in addresses[NET_ADDRESSES_MAX];
    int count;
};

/*
 * net_parse - "127.0.0.1:80,127.0.0.2:80", each with "http://" or "https://" and a trailing slash
 * or without; with ports false, addresses only ("127.0.0.1,127.0.0.2"; the port is 0).
 */
bool net_parse(const char *text, bool ports, struct net_list *list) must_check;
/* net_listen - a listening, non-blocking socket, or -1 with errno set. */
int net_listen(const struct sockaddr_in *address) must_check;
/* net_tell - print where a listener is that could take any port: "listening 127.0.0.1:40001". */
void net_tell(int listener, const struct sockaddr_in *wanted);
/* net_accept - the next connection, non-blocking and without delay, or -1 with errno set. */
int net_accept(int listener) must_check;
/*
 * net_connect - begin to connect; the socket is non-blocking and without delay.
 * from      NULL: any address
 * in_bytes  a bound for the kernel's receive buffer; 0: its own
 * returns   the socket, or -1 with errno set
 */
int net_connect(const struct sockaddr_in *to, const struct sockaddr_in *from,
                int in_bytes) must_check;
/* net_reset - close with a reset. */
void net_reset(int fd);
/* net_raise_limits - as many descriptors as this process may have; returns how many. */
size_t net_raise_limits(void);

#endif
