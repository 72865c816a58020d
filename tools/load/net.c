/* SPDX-License-Identifier: MIT
 *
 * net.c - see net.h.
 */
#include "tools/load/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static bool
parse_one(const char *text, size_t len, bool ports, struct sockaddr_in *address)
{
    char copy[64];
    for (int i = 0; i < 2; i++) {
        const char *scheme = i ? "https://" : "http://";
        if (len > strlen(scheme) && strncmp(text, scheme, strlen(scheme)) == 0) {
            text += strlen(scheme);
            len -= strlen(scheme);
        }
    }
    if (len > 0 && text[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = 0;
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    char *colon = strchr(copy, ':');
    if ((colon != NULL) != ports)
        return false;
    if (colon) {
        char *end;
        unsigned long port = strtoul(colon + 1, &end, 10);
        if (*end || end == colon + 1 || port > 65535)
            return false;
        address->sin_port = htons((uint16_t)port);
        *colon = 0;
    }
    if (strcmp(copy, "localhost") == 0)
        strcpy(copy, "127.0.0.1");
    return inet_pton(AF_INET, copy, &address->sin_addr) == 1;
}

bool
net_parse(const char *text, bool ports, struct net_list *list)
{
    list->count = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        if (list->count == NET_ADDRESSES_MAX)
            return false;
        if (!parse_one(text, len, ports, &list->addresses[list->count++]))
            return false;
        if (!text[len])
            return true;
        text += len + 1;
    }
}

static int
fail(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void
no_delay(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int
net_listen(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    no_delay(fd); /* accepted sockets inherit it */
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, 65535) < 0)
        return fail(fd);
    return fd;
}

void
net_tell(int listener, const struct sockaddr_in *wanted)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    char host[INET_ADDRSTRLEN];
    if (wanted->sin_port || getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
        !inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host)))
        return;
    printf("listening %s:%u\n", host, ntohs(address.sin_port));
}

int
net_accept(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int
net_connect(const struct sockaddr_in *to, const struct sockaddr_in *from, int in_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    no_delay(fd);
    if (in_bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &in_bytes, sizeof(in_bytes)) < 0)
        return fail(fd);
    if (from) {
        /* The port is chosen when the other side is known, so that one address has as many for each
         * destination. */
        int on = 1;
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
        if (bind(fd, (const struct sockaddr *)from, sizeof(*from)) < 0)
            return fail(fd);
    }
    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 && errno != EINPROGRESS)
        return fail(fd);
    return fd;
}

void
net_reset(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
}

size_t
net_raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    struct rlimit more = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    if (limit.rlim_max < more.rlim_max && setrlimit(RLIMIT_NOFILE, &more) == 0)
        return more.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}
