/* SPDX-License-Identifier: MIT
 *
 * net.c - the reactor's words for the kernel's: errors and addresses.
 */
#include "reactor/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

int
net_error(int number, enum err otherwise)
{
    switch (number) {
    case EAGAIN:
        return -ERR_AGAIN;
    case EMFILE:
    case ENFILE:
        return -ERR_NO_DESCRIPTOR;
    case ENOMEM:
    case ENOBUFS:
        return -ERR_MEMORY;
    case EADDRNOTAVAIL: /* no local port is left */
        return -ERR_LIMIT;
    case ECONNRESET:
    case EPIPE:
        return -ERR_RESET;
    default:
        assert(otherwise != ERR_NONE);
        return -(int)otherwise;
    }
}

void
net_address_text(const struct sockaddr *address, char text[NET_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
        snprintf(text, NET_TEXT_BYTES, "%s:%u", host, (unsigned)ntohs(four->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
        snprintf(text, NET_TEXT_BYTES, "[%s]:%u", host, (unsigned)ntohs(six->sin6_port));
    } else {
        snprintf(text, NET_TEXT_BYTES, "%s", address->sa_family == AF_UNIX ? "local" : "?");
    }
}
