/* SPDX-License-Identifier: MIT
 *
 * socket.c - the socket calls that every backend of the kernel shares. errno becomes an ERR here;
 * nothing here waits, and nothing knows how readiness is learnt.
 */
#include "reactor/socket.h"

#include "reactor/net.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

uint64_t
socket_clock(struct loop *loop)
{
    struct timespec now;
    (void)loop;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* set - a socket option that is good to have; a socket that cannot take it (a test's) does without.
 */
static void
set(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof(value));
}

int
socket_connect(struct loop *loop, const struct sockaddr *address, socklen_t len)
{
    (void)loop;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return net_error(errno, ERR_CONNECT);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    if (connect(fd, address, len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        int error = errno == EAGAIN ? -ERR_LIMIT : net_error(errno, ERR_CONNECT);
        close(fd);
        return error;
    }
    return fd;
}

int
socket_result(struct loop *loop, int fd)
{
    int number = 0;
    socklen_t len = sizeof(number);
    (void)loop;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0)
        return net_error(errno, ERR_SYSTEM);
    if (number == ETIMEDOUT)
        return -ERR_CONNECT_TIMEOUT;
    if (number)
        return number == ECONNRESET ? -ERR_CONNECT : net_error(number, ERR_CONNECT);
    struct sockaddr_storage peer;
    len = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0)
        return errno == ENOTCONN ? -ERR_AGAIN : net_error(errno, ERR_CONNECT);
    return 0;
}

ssize_t
socket_receive(struct loop *loop, int fd, struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    (void)loop;
    do /* the simple call is cheaper in the kernel */
        n = count == 1 ? recv(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT)
                       : recvmsg(fd, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? net_error(errno, ERR_RESET) : n;
}

static ssize_t
send_all(int fd, const struct iovec *iov, int count)
{
    struct iovec copy[32];
    assert(count <= (int)(sizeof(copy) / sizeof(copy[0])));
    for (int i = 0; i < count; i++)
        copy[i] = iov[i]; /* msghdr has no room for a promise not to write */
    struct msghdr message = {.msg_iov = copy, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t
socket_send(struct loop *loop, int fd, const struct iovec *iov, int count)
{
    ssize_t n;
    (void)loop;
    assert(count > 0);
    do
        n = count == 1 ? send(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : send_all(fd, iov, count);
    while (n < 0 && errno == EINTR);
    return n < 0 ? net_error(errno, ERR_RESET) : n;
}

void
socket_half_close(struct loop *loop, int fd)
{
    (void)loop;
    shutdown(fd, SHUT_WR); /* fails only when the peer has reset, which the next event says too */
}

void
socket_close(struct loop *loop, int fd, bool reset)
{
    (void)loop;
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(fd);
}

uint64_t
socket_acked(struct loop *loop, int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    (void)loop;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return len >= offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked)
               ? info.tcpi_bytes_acked
               : 0;
}

int
socket_accept(struct loop *loop, int fd, char peer[64])
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    (void)loop;
    int accepted;
    do
        accepted = accept4(fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (accepted < 0 && errno == EINTR);
    if (accepted <
        0) /* everything the network can do to a connection in the queue concerns only that one */
        return errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP
                   ? -ERR_SYSTEM
                   : net_error(errno, ERR_RESET);
    net_address_text((const struct sockaddr *)&address, peer);
    return accepted;
}
