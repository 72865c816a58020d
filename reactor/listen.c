/* SPDX-License-Identifier: MIT
 *
 * listen.c - SO_REUSEPORT listeners. A batch a tick is accepted; the rest waits in the kernel's
 * backlog.
 *
 * Accepting stops while the chunk pool is low, while paused, and for a moment after running out of
 * descriptors.
 */
#include "reactor/listen.h"

#include "reactor/backend.h"
#include "reactor/dns_address.h"
#include "reactor/net.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH_DEFAULT 64
#define RETRY_MS 100

static int
bad_host(struct slice host, char problem[128])
{
    snprintf(problem, 128, "\"%.*s\" is not an address to listen on",
             (int)(host.len > 60 ? 60 : host.len), host.len ? host.ptr : "");
    return -ERR_CONFIG;
}

static int
failed(const char *call, char problem[128])
{
    char text[80];
    snprintf(problem, 128, "%s: %s", call, strerror_r(errno, text, sizeof(text)));
    return -ERR_SYSTEM;
}

/* resolve - an address literal, in brackets or not, or "localhost"; never a lookup. */
static int
resolve(struct slice host, uint16_t port, struct sockaddr_storage *address, socklen_t *len,
        char problem[128])
{
    struct dns_answer answer;
    if (!dns_literal(host, port, &answer) || answer.count < 1)
        return bad_host(host, problem);
    *address = answer.addresses[0].address;
    *len = answer.addresses[0].len;
    return 0;
}

static int
bind_and_listen(int fd, const struct sockaddr *address, socklen_t len, int backlog,
                char problem[128])
{
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        return failed("setsockopt", problem);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) !=
        0) /* accepted sockets inherit it */
        return failed("TCP_NODELAY", problem);
    if (bind(fd, address, len) != 0)
        return failed("bind", problem);
    if (listen(fd, backlog) != 0)
        return failed("listen", problem);
    return 0;
}

int
listener_socket(struct slice host, uint16_t *port, int backlog, char problem[128])
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    problem[0] = 0;
    int error = resolve(host, *port, &address, &len, problem);
    if (error)
        return error;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failed("socket", problem);
    error = bind_and_listen(fd, (struct sockaddr *)&address, len, backlog, problem);
    if (!error && getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        error = failed("getsockname", problem);
    if (error) {
        close(fd);
        return error;
    }
    *port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
    return fd;
}

static void
listener_ready(struct watch *watch, unsigned ready)
{
    struct listener *listener = container_of(watch, struct listener, watch);
    assert(listener->magic == MAGIC_LISTENER);
    if (ready & WATCH_READ)
        loop_post(listener->loop, &listener->task);
}

static void
listener_retry(struct deadline *deadline)
{
    struct listener *listener = container_of(deadline, struct listener, retry);
    assert(listener->magic == MAGIC_LISTENER);
    loop_post(listener->loop, &listener->task);
}

/* accept_one - true: go on accepting. */
static bool
accept_one(struct listener *listener)
{
    struct loop *loop = listener->loop;
    char peer[NET_TEXT_BYTES] = "";
    int fd = loop->ops->accept(loop, listener->fd, peer);
    if (fd == -ERR_AGAIN)
        return false;
    if (fd < 0) {
        loop_count(&loop->stats.accept_failures, 1);
        if (fd == -ERR_RESET)
            return true; /* this one is gone already; the next may be well */
        loop_arm(loop, &listener->retry, RETRY_MS);
        return false;
    }
    loop_count(&loop->stats.accepts, 1);
    listener->accepted(listener, fd, peer);
    return true;
}

static void
listener_run(struct task *task)
{
    struct listener *listener = container_of(task, struct listener, task);
    assert(listener->magic == MAGIC_LISTENER);
    struct loop *loop = listener->loop;
    if (listener->tick == loop->stats.ticks && listener->accepted_now >= listener->batch_max)
        loop_arm(loop, &listener->retry,
                 0); /* this tick's share is used; the next will not sleep */
    if (deadline_armed(&listener->retry))
        return;
    if (listener->tick != loop->stats.ticks) {
        listener->tick = loop->stats.ticks;
        listener->accepted_now = 0;
    }
    while (listener->fd >= 0 && !listener->paused) {
        if (pool_low(&loop->pool)) {
            loop_hold(loop, &listener->task);
            return;
        }
        if (listener->accepted_now >= listener->batch_max) {
            loop_arm(loop, &listener->retry, 0);
            return;
        }
        listener->accepted_now++;
        if (!accept_one(listener))
            return;
    }
}

static void
listener_make(struct loop *loop, struct listener *listener, int fd,
              void (*accepted)(struct listener *, int fd, const char *peer), void *owner)
{
    assert(fd >= 0);
    assert(accepted);
    *listener = (struct listener){.magic = MAGIC_LISTENER,
                                  .fd = fd,
                                  .loop = loop,
                                  .batch_max = BATCH_DEFAULT,
                                  .accepted = accepted,
                                  .owner = owner};
    task_init(&listener->task, listener_run);
    deadline_init(&listener->retry, listener_retry);
}

int
listener_open(struct loop *loop, struct listener *listener, int fd,
              void (*accepted)(struct listener *, int fd, const char *peer), void *owner)
{
    listener_make(loop, listener, fd, accepted, owner);
    int error = watch_open(loop, &listener->watch, fd, listener_ready);
    if (error)
        listener->magic = 0;
    return error;
}

int
listener_open_shared(struct loop *loop, struct listener *listener, int fd,
                     void (*accepted)(struct listener *, int fd, const char *peer), void *owner)
{
    listener_make(loop, listener, fd, accepted, owner);
    listener->shared = true;
    int error = watch_open_shared(loop, &listener->watch, fd, listener_ready);
    if (error)
        listener->magic = 0;
    return error;
}

void
listener_pause(struct listener *listener)
{
    assert(listener->magic == MAGIC_LISTENER);
    listener->paused = true;
}

void
listener_resume(struct listener *listener)
{
    assert(listener->magic == MAGIC_LISTENER);
    if (!listener->paused)
        return;
    listener->paused = false;
    loop_post(listener->loop, &listener->task); /* no edge will come for what waited meanwhile */
}

void
listener_close(struct listener *listener)
{
    assert(listener->magic == MAGIC_LISTENER);
    if (listener->fd < 0)
        return;
    watch_close(listener->loop, &listener->watch);
    loop_cancel(listener->loop, &listener->retry);
    list_remove(&listener->task.link);
    listener->loop->ops->socket_close(listener->loop, listener->fd, false);
    listener->fd = -1;
}
