/* SPDX-License-Identifier: MIT
 *
 * sim.c - a backend without a kernel: the program's side of it. Tests only; sim_peer.c is the
 * world's side.
 *
 * Sockets behave as Linux sockets under edge-triggered epoll do: an edge when bytes arrive, when
 * room returns after a send that found too little, at FIN and at reset; closing over unread bytes
 * resets. Faults never break these rules: a short read is followed by an edge for the rest, as if
 * it had arrived only then.
 */
#include "reactor/sim.h"

#include "reactor/sim_inner.h"

#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define SPIN_MAX 100000 /* ticks without a step of the clock */

static int
sim_open(struct loop *loop, void *config)
{
    struct sim *sim = config;
    assert(sim);
    assert(!sim->loop);
    sim->loop = loop;
    loop->backend = sim;
    return 0;
}

static void
sim_close(struct loop *loop)
{
    struct sim *sim = loop->backend;
    sim->loop = NULL;
    loop->backend = NULL;
}

static uint64_t
sim_clock(struct loop *loop)
{
    return ((struct sim *)loop->backend)->now_us;
}

struct sim_socket *
sim_socket_of(struct sim *sim, int fd)
{
    assert(fd >= SIM_FD_BASE);
    assert((size_t)(fd - SIM_FD_BASE) < sim->sockets_count);
    return sim->sockets[fd - SIM_FD_BASE];
}

static struct sim_socket *
held(struct loop *loop, int fd)
{
    struct sim_socket *socket = sim_socket_of(loop->backend, fd);
    assert(socket->held); /* a descriptor used after its close */
    return socket;
}

/* -- the wait
 * ------------------------------------------------------------------------------------------- */

static void
memory_restore(struct sim *sim)
{
    if (sim->chunks_max)
        sim->loop->pool.chunks_max = sim->chunks_max;
    sim->chunks_max = 0;
}

static void
memory_fault(struct sim *sim)
{
    if (!sim_strike(sim, sim->faults.memory, SIM_POOL_EMPTY))
        return;
    struct pool *pool = &sim->loop->pool;
    size_t left = pool->chunks_max - pool->chunks_used, some = sim_random(sim) % 3;
    sim->chunks_max = pool->chunks_max;
    pool->chunks_max = pool->chunks_used + (some < left ? some : left);
    if (pool->chunks_max == 0)
        pool->chunks_max = 1;
    sim_event_add(sim, 1000, (struct sim_event){.kind = SIM_WAKE});
}

static bool
real_ready(struct sim *sim)
{
    bool any = false;
    for (int i = 0; i < sim->real_count; i++) {
        struct pollfd poll_fd = {.fd = sim->real_watches[i]->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 0) > 0)
            any = true;
    }
    return any;
}

/* pass_time - run the world until the program has something to do, or until its patience ends. */
static void
pass_time(struct sim *sim, uint64_t patience_us)
{
    sim_events_run(sim);
    while (list_empty(&sim->ready) && !real_ready(sim)) {
        uint64_t next = sim_event_next(sim);
        if (next > patience_us) {
            if (patience_us != UINT64_MAX && patience_us > sim->now_us)
                sim->now_us = patience_us;
            break;
        }
        if (next == UINT64_MAX)
            break;
        sim->now_us = next > sim->now_us ? next : sim->now_us;
        sim_events_run(sim);
    }
    if (sim->rough && sim->now_us < patience_us && sim_random(sim) % 4 == 0) {
        uint64_t more = sim->now_us + sim_random(sim) % 500; /* let events meet in one tick */
        sim->now_us = more < patience_us ? more : patience_us;
        sim_events_run(sim);
    }
}

static void
report(struct sim_socket *socket, unsigned ready)
{
    if (*(const uint32_t *)socket->owner == MAGIC_WATCH)
        ready_watch(socket->owner, ready);
    else
        ready_conn(socket->owner, ready);
}

/* frozen - was the program stopped in this wait? */
static bool
frozen(struct sim *sim)
{
    uint64_t by_us = sim->freeze_us;
    if (!by_us)
        return false;
    sim->freeze_us = 0;
    for (uint64_t end_us = sim->now_us + by_us; sim->now_us < end_us;) {
        uint64_t next = sim_event_next(sim);
        sim->now_us = next < end_us ? (next > sim->now_us ? next : sim->now_us) : end_us;
        sim_events_run(sim);
    }
    return true;
}

static void
sim_wait(struct loop *loop, uint64_t timeout_ms)
{
    struct sim *sim = loop->backend;
    memory_restore(sim);
    if (frozen(sim)) {
        loop_read_clock(loop);
        return;
    }
    uint64_t patience_us = sim->until_us;
    if (timeout_ms < (sim->until_us - sim->now_us) / 1000)
        patience_us = sim->now_us + timeout_ms * 1000;
    pass_time(sim, patience_us);
    if (sim_strike(sim, sim->faults.jump, SIM_JUMP)) /* the machine was asleep, or busy */
        sim->now_us += sim_random(sim) % (sim->faults.jump_ms * 1000);
    memory_fault(sim);
    struct list batch, *link;
    list_init(&batch);
    for (unsigned n = 0; !list_empty(&sim->ready) && (sim->faults.batch == 0 || n < sim->faults.batch); n++)
        list_push_back(&batch, list_pop(&sim->ready));
    loop_heard(loop, !list_empty(&sim->ready));
    sim->now_us += sim->thaw_us;
    if (list_empty(&sim->ready))
        sim->thaw_us = 0;
    loop_read_clock(loop);
    while ((link = list_pop(&batch))) {
        struct sim_socket *socket = list_entry(link, struct sim_socket, ready_link);
        unsigned ready = socket->ready;
        socket->ready = 0;
        assert(socket->owner);
        if (sim_strike(sim, sim->faults.late_event, SIM_LATE_EVENT)) {
            sim_event_add(sim, 1000 + sim_random(sim) % 50000,
                          (struct sim_event){.kind = SIM_EDGE, .socket = socket, .value = ready});
            continue;
        }
        loop_count(&loop->stats.events, 1);
        report(socket, ready);
    }
    for (int i = 0; i < sim->real_count; i++) {
        struct pollfd poll_fd = {.fd = sim->real_watches[i]->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 0) > 0)
            ready_watch(sim->real_watches[i], READY_IN);
    }
}

/* -- watching
 * ------------------------------------------------------------------------------------------- */

static unsigned
ready_now(const struct sim_socket *socket)
{
    unsigned ready = 0;
    if (socket->kind == SIM_LISTENER)
        return list_empty(&socket->backlog) ? 0 : READY_IN;
    if (socket->kind == SIM_CONNECTING)
        return socket->result ? READY_OUT | READY_ERROR | READY_HANGUP : 0;
    if (socket->visible > 0)
        ready |= READY_IN;
    if (socket->fin_arrived)
        ready |= READY_IN | READY_PEER_FIN;
    if (sim_queue_peek(&socket->outbox).len < sim_window(socket->sim))
        ready |= READY_OUT;
    if (socket->reset)
        ready |= READY_IN | READY_OUT | READY_PEER_FIN | READY_HANGUP |
                 (socket->reset_told ? 0u : READY_ERROR);
    return ready;
}

void
sim_socket_edge(struct sim_socket *socket, unsigned ready)
{
    if (!socket->owner || !socket->held)
        return;
    if (socket->kind == SIM_STREAM)
        ready |= ready_now(socket) & READY_OUT; /* an event tells all that is so */
    socket->ready |= ready;
    if (socket->ready && !list_linked(&socket->ready_link))
        list_push_back(&socket->sim->ready, &socket->ready_link);
}

static void
own(struct sim_socket *socket, void *owner)
{
    assert(!socket->owner);
    socket->owner = owner;
    sim_socket_edge(socket, ready_now(socket));
}

static void
disown(struct sim_socket *socket)
{
    assert(socket->owner);
    socket->owner = NULL;
    socket->ready = 0;
    list_remove(&socket->ready_link);
}

static int
sim_attach(struct conn *conn)
{
    struct sim_socket *socket = held(conn->loop, conn->fd);
    own(socket, conn);
    conn->slot = socket;
    return 0;
}

static void
sim_detach(struct conn *conn)
{
    struct sim_socket *socket = held(conn->loop, conn->fd);
    struct sim *sim = conn->loop->backend;
    disown(socket);
    if (sim_strike(sim, sim->faults.late_release, SIM_LATE_RELEASE))
        socket->held_until_us = sim->now_us + sim_random(sim) % 100000;
}

/* Does the kernel still hold the memory of a conn that was closed? */
static int
sim_in_flight(const struct conn *conn)
{
    const struct sim_socket *socket = conn->slot;
    assert(conn->magic == MAGIC_CONN);
    return socket && conn->fd < 0 && socket->held_until_us > socket->sim->now_us;
}

static int
sim_watch(struct loop *loop, struct watch *watch)
{
    struct sim *sim = loop->backend;
    if (watch->fd >= SIM_FD_BASE) {
        own(held(loop, watch->fd), watch);
        return 0;
    }
    assert(sim->real_count < (int)countof(sim->real_watches));
    sim->real_watches[sim->real_count++] = watch;
    return 0;
}

static void
sim_unwatch(struct loop *loop, struct watch *watch)
{
    struct sim *sim = loop->backend;
    if (watch->fd >= SIM_FD_BASE) {
        disown(held(loop, watch->fd));
        return;
    }
    for (int i = 0; i < sim->real_count; i++) {
        if (sim->real_watches[i] == watch) {
            sim->real_watches[i] = sim->real_watches[--sim->real_count];
            return;
        }
    }
}

/* -- sockets
 * -------------------------------------------------------------------------------------------- */

struct sim_socket *
sim_socket_new(struct sim *sim, enum sim_kind kind)
{
    if (sim->sockets_count == sim->sockets_room) {
        sim->sockets_room = sim->sockets_room ? sim->sockets_room * 2 : 8;
        sim->sockets = realloc(sim->sockets, sim->sockets_room * sizeof(*sim->sockets));
        assert(sim->sockets);
    }
    struct sim_socket *socket = calloc(1, sizeof(*socket));
    assert(socket);
    socket->sim = sim;
    socket->kind = kind;
    socket->fd = SIM_FD_BASE + (int)sim->sockets_count;
    list_init(&socket->ready_link);
    list_init(&socket->backlog);
    list_init(&socket->backlog_link);
    sink_init(&socket->inbox.sink, SIZE_MAX / 2);
    sink_init(&socket->outbox.sink, SIZE_MAX / 2);
    sim->sockets[sim->sockets_count++] = socket;
    return socket;
}

static uint16_t
port_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    assert(address->sa_family == AF_INET);
    return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
}

/* Where an address leads: those kept for documentation, to nobody. */
enum sim_way { WAY_THERE, WAY_REFUSED, WAY_NOWHERE };

static enum sim_way
way_to(const struct sockaddr *address)
{
    uint8_t first;
    if (address->sa_family == AF_INET6) {
        first = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr[0];
        return first == 0x30 ? WAY_REFUSED : first == 0x20 ? WAY_NOWHERE : WAY_THERE;
    }
    first = (uint8_t)(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24);
    return first == 198 ? WAY_REFUSED : first == 203 ? WAY_NOWHERE : WAY_THERE;
}

static int
sim_socket_connect(struct loop *loop, const struct sockaddr *address, socklen_t len)
{
    struct sim *sim = loop->backend;
    (void)len;
    struct sim_socket *socket = sim_socket_new(sim, SIM_CONNECTING);
    socket->held = true;
    socket->port = port_of(address);
    sim->held++;
    uint64_t after_us = sim_delay(sim) * 2;
    if (sim_strike(sim, sim->faults.connect_slow, SIM_CONNECT_SLOW))
        after_us += 1000000 + sim_random(sim) % 20000000;
    unsigned at = 0;
    while (at < sim->acceptors_count && sim->acceptors[at].port != socket->port)
        at++;
    enum sim_way way = way_to(address);
    if (way == WAY_NOWHERE) {
        sim->injected[SIM_BLACK_HOLE]++;
        return socket->fd;
    }
    if (way == WAY_REFUSED)
        at = UINT_MAX;
    sim->injected[SIM_BLACK_HOLE] += at < sim->acceptors_count && sim->acceptors[at].black_hole;
    if (at >= sim->acceptors_count || !sim->acceptors[at].black_hole)
        sim_event_add(sim, after_us,
                      (struct sim_event){.kind = SIM_CONNECT, .socket = socket, .value = at});
    return socket->fd;
}

static int
sim_socket_result(struct loop *loop, int fd)
{
    const struct sim_socket *socket = held(loop, fd);
    if (socket->result)
        return socket->result;
    if (socket->kind == SIM_CONNECTING)
        return -ERR_AGAIN;
    return socket->reset ? -ERR_CONNECT : 0;
}

/* hide - what has arrived seems to arrive a little later; the edge says when. */
static void
hide(struct sim_socket *socket)
{
    socket->visible = 0;
    sim_event_add(socket->sim, sim_delay(socket->sim),
                  (struct sim_event){.kind = SIM_EDGE, .socket = socket, .value = READY_IN});
}

static ssize_t
sim_receive(struct loop *loop, int fd, struct iovec *iov, int count)
{
    struct sim *sim = loop->backend;
    struct sim_socket *socket = held(loop, fd);
    assert(socket->kind == SIM_STREAM);
    if (socket->visible == 0) {
        if (socket->reset) {
            bool told = socket->reset_told;
            socket->reset_told = true;
            return told ? 0 : -ERR_RESET;
        }
        return socket->fin_arrived && sim_queue_peek(&socket->inbox).len == 0 ? 0 : -ERR_AGAIN;
    }
    if (!socket->reset && sim_strike(sim, sim->faults.again, SIM_AGAIN)) {
        hide(socket);
        return -ERR_AGAIN;
    }
    size_t most = socket->visible, done = 0;
    bool cut = !socket->reset && sim_strike(sim, sim->faults.short_read, SIM_SHORT_READ);
    if (cut)
        most = sim_some(sim, most);
    struct slice from = slice_take(sim_queue_peek(&socket->inbox), most);
    for (int i = 0; i < count && done < from.len; i++) {
        size_t n = from.len - done < iov[i].iov_len ? from.len - done : iov[i].iov_len;
        memcpy(iov[i].iov_base, from.ptr + done, n);
        done += n;
    }
    sim_queue_drop(&socket->inbox, done);
    socket->visible -= done;
    if (socket->peer && sim_queue_peek(&socket->peer->transit).len > 0)
        sim_peer_deliver(socket->peer);
    if (cut && done == most && socket->visible > 0)
        hide(socket);
    return (ssize_t)done;
}

/* out_later - room returns a little later, though the window has some. */
static void
out_later(struct sim_socket *socket)
{
    sim_event_add(socket->sim, sim_delay(socket->sim),
                  (struct sim_event){.kind = SIM_EDGE, .socket = socket, .value = READY_OUT});
}

static ssize_t
sim_send(struct loop *loop, int fd, const struct iovec *iov, int count)
{
    struct sim *sim = loop->backend;
    struct sim_socket *socket = held(loop, fd);
    assert(socket->kind == SIM_STREAM);
    assert(!socket->fin_sent); /* nothing may be sent after the FIN */
    if (socket->reset) {
        socket->reset_told = true;
        return -ERR_RESET;
    }
    size_t used = sim_queue_peek(&socket->outbox).len, window = sim_window(sim), given = 0;
    size_t room = used < window ? window - used : 0;
    for (int i = 0; i < count; i++)
        given += iov[i].iov_len;
    assert(given > 0);
    if (room == 0) {
        socket->wants_out = true;
        return -ERR_AGAIN;
    }
    if (sim_strike(sim, sim->faults.again, SIM_AGAIN)) {
        out_later(socket);
        return -ERR_AGAIN;
    }
    size_t most = given < room ? given : room;
    if (sim_strike(sim, sim->faults.short_write, SIM_SHORT_WRITE))
        most = sim_some(sim, most);
    if (most < given && most < room)
        out_later(socket);
    else if (most < given)
        socket->wants_out = true;
    size_t done = 0;
    for (int i = 0; i < count && done < most; i++) {
        size_t n = most - done < iov[i].iov_len ? most - done : iov[i].iov_len;
        sim_queue_put(&socket->outbox, slice_of(iov[i].iov_base, n));
        done += n;
    }
    sim_socket_flush(socket);
    return (ssize_t)done;
}

static void
sim_half_close(struct loop *loop, int fd)
{
    struct sim_socket *socket = held(loop, fd);
    socket->fin_sent = true;
    sim_socket_flush(socket);
}

static void
listener_gone(struct sim_socket *listener)
{
    struct list *link;
    while ((link = list_pop(&listener->backlog)))
        sim_socket_break(list_entry(link, struct sim_socket, backlog_link));
}

static void
sim_socket_close(struct loop *loop, int fd, bool reset)
{
    struct sim *sim = loop->backend;
    struct sim_socket *socket = held(loop, fd);
    assert(!socket->owner); /* detached before */
    socket->held = false;
    socket->closed = true;
    if (socket->kind == SIM_LISTENER) {
        listener_gone(socket);
        return;
    }
    assert(sim->held > 0);
    sim->held--;
    if (socket->kind == SIM_CONNECTING)
        return;
    if (reset || sim_queue_peek(&socket->inbox).len > 0) {
        sim_socket_break(socket);
    } else {
        socket->fin_sent = true;
        sim_socket_flush(socket);
    }
}

static uint64_t
sim_acked(struct loop *loop, int fd)
{
    return held(loop, fd)->acked;
}

static int
sim_accept(struct loop *loop, int fd, char peer[64])
{
    struct sim *sim = loop->backend;
    struct sim_socket *listener = held(loop, fd);
    assert(listener->kind == SIM_LISTENER);
    if (list_empty(&listener->backlog))
        return -ERR_AGAIN;
    if (sim_chance(sim, sim->faults.accept_fail)) {
        bool none = sim_random(sim) % 2;
        sim->injected[none ? SIM_NO_DESCRIPTOR : SIM_ACCEPT_ABORTED]++;
        if (none)
            return -ERR_NO_DESCRIPTOR;
        sim_socket_break(list_entry(list_pop(&listener->backlog), struct sim_socket, backlog_link));
        return -ERR_RESET;
    }
    struct sim_socket *socket =
        list_entry(list_pop(&listener->backlog), struct sim_socket, backlog_link);
    socket->held = true;
    sim->held++;
    snprintf(peer, 64, "192.0.2.1:%d", socket->fd - SIM_FD_BASE);
    return socket->fd;
}

uint64_t
sim_run(struct sim *sim, struct loop *loop, uint64_t until_us, bool (*stop)(void *), void *user)
{
    uint64_t ticks = 0, spun = 0, stood_us = sim->now_us;
    assert(sim->loop == loop);
    sim->until_us = until_us;
    while (sim->now_us < until_us && !(stop && stop(user))) {
        bool work = !list_empty(&loop->run_list) || !list_empty(&loop->move_list) ||
                    !list_empty(&sim->ready) || real_ready(sim);
        if (!work && wheel_next(&loop->wheel) == UINT64_MAX && sim_event_next(sim) == UINT64_MAX)
            break;
        loop_tick(loop, UINT64_MAX);
        ticks++;
        assert(loop_quiet(loop));
        spun = sim->now_us == stood_us ? spun + 1 : 0;
        stood_us = sim->now_us;
        assert(spun < SPIN_MAX);
    }
    sim->until_us = UINT64_MAX;
    return ticks;
}

const struct backend_ops sim_ops = {
    .name = "sim",
    .simulated = true,
    .open = sim_open,
    .close = sim_close,
    .clock = sim_clock,
    .wait = sim_wait,
    .attach = sim_attach,
    .detach = sim_detach,
    .watch = sim_watch,
    .unwatch = sim_unwatch,
    .move = ready_move,
    .in_flight = sim_in_flight,
    .socket_connect = sim_socket_connect,
    .socket_result = sim_socket_result,
    .receive = sim_receive,
    .send = sim_send,
    .half_close = sim_half_close,
    .socket_close = sim_socket_close,
    .acked = sim_acked,
    .accept = sim_accept,
};
