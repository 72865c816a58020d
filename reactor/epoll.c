/* SPDX-License-Identifier: MIT
 *
 * epoll.c - the kernel through edge-triggered epoll.
 *
 * Every descriptor is registered once, for both directions, and never modified. An event's data
 * points at the conn or watch, told apart by its magic; what is detached while a batch is being
 * reported is struck from it.
 */
#include "reactor/backend.h"
#include "reactor/net.h"
#include "reactor/wire.h"

#include <errno.h>
#include <linux/tcp.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

struct epoll_backend {
    int fd;
    int at, count; /* the batch being reported; at == count between waits */
    struct epoll_event events[EVENTS_MAX];
};

static int
epoll_backend_open(struct loop *loop, void *config)
{
    (void)config;
    struct epoll_backend *backend = calloc(1, sizeof(*backend));
    if (!backend)
        return -ERR_MEMORY;
    backend->fd = epoll_create1(EPOLL_CLOEXEC);
    if (backend->fd < 0) {
        int error = net_error(errno, ERR_SYSTEM);
        free(backend);
        return error;
    }
    loop->backend = backend;
    return 0;
}

static void
epoll_backend_close(struct loop *loop)
{
    struct epoll_backend *backend = loop->backend;
    close(backend->fd);
    free(backend);
    loop->backend = NULL;
}

static uint64_t
epoll_clock(struct loop *loop)
{
    struct timespec now;
    (void)loop;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int
add(struct loop *loop, int fd, void *object)
{
    struct epoll_backend *backend = loop->backend;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = object};
    if (epoll_ctl(backend->fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return net_error(errno, ERR_SYSTEM);
    return 0;
}

static void
drop(struct loop *loop, int fd, const void *object)
{
    struct epoll_backend *backend = loop->backend;
    epoll_ctl(backend->fd, EPOLL_CTL_DEL, fd,
              NULL); /* fails only if the descriptor is closed: gone as well */
    for (int i = backend->at; i < backend->count; i++)
        if (backend->events[i].data.ptr == object)
            backend->events[i].data.ptr = NULL;
}

static int
epoll_attach(struct conn *conn)
{
    return add(conn->loop, conn->fd, conn);
}

static void
epoll_detach(struct conn *conn)
{
    drop(conn->loop, conn->fd, conn);
}

static int
epoll_watch(struct loop *loop, struct watch *watch)
{
    return add(loop, watch->fd, watch);
}

static void
epoll_unwatch(struct loop *loop, struct watch *watch)
{
    drop(loop, watch->fd, watch);
}

static unsigned
ready_bits(uint32_t events)
{
    return (events & EPOLLIN ? READY_IN : 0u) | (events & EPOLLOUT ? READY_OUT : 0u) |
           (events & EPOLLRDHUP ? READY_PEER_FIN : 0u) | (events & EPOLLERR ? READY_ERROR : 0u) |
           (events & EPOLLHUP ? READY_HANGUP : 0u);
}

static void
report(void *object, unsigned ready)
{
    if (*(const uint32_t *)object == MAGIC_WATCH)
        ready_watch(object, ready);
    else
        ready_conn(object, ready);
}

static void
epoll_backend_wait(struct loop *loop, uint64_t timeout_ms)
{
    struct epoll_backend *backend = loop->backend;
    int timeout =
        timeout_ms > INT_MAX ? (timeout_ms == UINT64_MAX ? -1 : INT_MAX) : (int)timeout_ms;
    int count = epoll_wait(backend->fd, backend->events, EVENTS_MAX, timeout);
    if (count < 0) {
        assert(errno == EINTR);
        count = 0;
    }
    loop_read_clock(loop);
    loop_count(&loop->stats.events, (uint64_t)count);
    backend->count = count;
    for (backend->at = 0; backend->at < backend->count;) {
        const struct epoll_event *event = &backend->events[backend->at++];
        if (event->data.ptr)
            report(event->data.ptr, ready_bits(event->events));
    }
}

/* set - a socket option that is good to have; a socket that cannot take it (a test's) does without.
 */
static void
set(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof(value));
}

static int
epoll_socket_connect(struct loop *loop, const struct sockaddr *address, socklen_t len)
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

static int
epoll_socket_result(struct loop *loop, int fd)
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

static ssize_t
epoll_receive(struct loop *loop, int fd, struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    (void)loop;
    do
        n = recvmsg(fd, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? net_error(errno, ERR_RESET) : n;
}

static ssize_t
epoll_send(struct loop *loop, int fd, const struct iovec *iov, int count)
{
    struct iovec copy[32];
    assert(count > 0 && count <= (int)(sizeof(copy) / sizeof(copy[0])));
    for (int i = 0; i < count; i++)
        copy[i] = iov[i]; /* msghdr has no room for a promise not to write */
    struct msghdr message = {.msg_iov = copy, .msg_iovlen = (size_t)count};
    ssize_t n;
    (void)loop;
    do
        n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? net_error(errno, ERR_RESET) : n;
}

static void
epoll_half_close(struct loop *loop, int fd)
{
    (void)loop;
    shutdown(fd, SHUT_WR); /* fails only when the peer has reset, which the next event says too */
}

static void
epoll_socket_close(struct loop *loop, int fd, bool reset)
{
    (void)loop;
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(fd);
}

static uint64_t
epoll_acked(struct loop *loop, int fd)
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

static int
epoll_accept(struct loop *loop, int fd, char peer[64])
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

const struct backend_ops epoll_ops = {
    .name = "epoll",
    .open = epoll_backend_open,
    .close = epoll_backend_close,
    .clock = epoll_clock,
    .wait = epoll_backend_wait,
    .attach = epoll_attach,
    .detach = epoll_detach,
    .watch = epoll_watch,
    .unwatch = epoll_unwatch,
    .move = ready_move,
    .in_flight = ready_in_flight,
    .socket_connect = epoll_socket_connect,
    .socket_result = epoll_socket_result,
    .receive = epoll_receive,
    .send = epoll_send,
    .half_close = epoll_half_close,
    .socket_close = epoll_socket_close,
    .acked = epoll_acked,
    .accept = epoll_accept,
};
