/* SPDX-License-Identifier: MIT
 *
 * net.h - the reactor's words for the kernel's: errors and addresses.
 */
#ifndef PENSTOCK_NET_H
#define PENSTOCK_NET_H

#include "base/err.h"

#include <sys/socket.h>

#define NET_TEXT_BYTES 64

/*
 * net_error - the one place where errno becomes an error of ours.
 * number     errno
 * otherwise  ERR_x for everything that has no meaning of its own: what the call was about
 * returns    -ERR_x
 */
int net_error(int number, enum err otherwise);
/* net_address_text - "127.0.0.1:80" or "[::1]:80"; "local" for a Unix socket, "?" for anything
 * else. */
void net_address_text(const struct sockaddr *address, char text[NET_TEXT_BYTES]);

#endif
