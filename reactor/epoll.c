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
#include "reactor/socket.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 256

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

#define BOTH_WAYS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
/* A busy loop is passed over for one that sleeps; not all of them are woken for one connection. */
#define SHARED (EPOLLIN | EPOLLET | EPOLLEXCLUSIVE)

static int
add(struct loop *loop, int fd, void *object, uint32_t events)
{
    struct epoll_backend *backend = loop->backend;
    struct epoll_event event = {.events = events, .data.ptr = object};
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
    return add(conn->loop, conn->fd, conn, BOTH_WAYS);
}

static void
epoll_detach(struct conn *conn)
{
    drop(conn->loop, conn->fd, conn);
}

static int
epoll_watch(struct loop *loop, struct watch *watch)
{
    return add(loop, watch->fd, watch, watch->shared ? SHARED : BOTH_WAYS);
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
    loop_heard(loop, count == EVENTS_MAX);
    backend->count = count;
    for (backend->at = 0; backend->at < backend->count;) {
        const struct epoll_event *event = &backend->events[backend->at++];
        if (event->data.ptr)
            report(event->data.ptr, ready_bits(event->events));
    }
}

const struct backend_ops epoll_ops = {
    .name = "epoll",
    .open = epoll_backend_open,
    .close = epoll_backend_close,
    .clock = socket_clock,
    .wait = epoll_backend_wait,
    .attach = epoll_attach,
    .detach = epoll_detach,
    .watch = epoll_watch,
    .unwatch = epoll_unwatch,
    .move = ready_move,
    .in_flight = ready_in_flight,
    .socket_connect = socket_connect,
    .socket_result = socket_result,
    .receive = socket_receive,
    .send = socket_send,
    .half_close = socket_half_close,
    .socket_close = socket_close,
    .acked = socket_acked,
    .accept = socket_accept,
};
