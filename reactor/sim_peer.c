/* SPDX-License-Identifier: MIT
 *
 * sim_peer.c - the world's side of the simulator: time, chance, scripted peers and what travels to
 * and from them.
 */
#include "reactor/sim.h"

#include "reactor/sim_inner.h"

#include <stdlib.h>

#define WINDOW_DEFAULT (64 * 1024)
#define DELAY_US 100

/* -- chance
 * --------------------------------------------------------------------------------------------- */

uint64_t
sim_random(struct sim *sim)
{
    uint64_t value = sim->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

bool
sim_chance(struct sim *sim, unsigned per_1024)
{
    return per_1024 && sim_random(sim) % 1024 < per_1024;
}

bool
sim_strike(struct sim *sim, unsigned per_1024, enum sim_fault fault)
{
    if (!sim_chance(sim, per_1024))
        return false;
    sim->injected[fault]++;
    return true;
}

uint64_t
sim_injected(const struct sim *sim, enum sim_fault fault)
{
    return sim->injected[fault];
}

const char *
sim_fault_name(enum sim_fault fault)
{
    static const char *const names[] = {
#define X(name, text) text,
        SIM_FAULTS(X)
#undef X
    };
    return names[fault];
}

uint64_t
sim_delay(struct sim *sim)
{
    if (!sim->rough)
        return DELAY_US;
    uint64_t spread = UINT64_C(1) << sim_random(sim) % 15; /* mostly short, sometimes 16 ms */
    return 1 + sim_random(sim) % spread;
}

size_t
sim_some(struct sim *sim, size_t n)
{
    if (!sim->rough || n <= 1)
        return n;
    switch (sim_random(sim) % 4) {
    case 0:
        return 1;
    case 1:
        return 1 + sim_random(sim) % (n < 16 ? n : 16);
    case 2:
        return 1 + sim_random(sim) % n;
    default:
        return n;
    }
}

size_t
sim_window(const struct sim *sim)
{
    return sim->faults.window ? sim->faults.window : WINDOW_DEFAULT;
}

/* -- bytes in a row
 * ------------------------------------------------------------------------------------- */

void
sim_queue_put(struct sim_queue *queue, struct slice bytes)
{
    sink_put(&queue->sink, bytes);
    assert(!queue->sink.error);
}

struct slice
sim_queue_peek(const struct sim_queue *queue)
{
    return slice_skip(sink_slice(&queue->sink), queue->start);
}

void
sim_queue_drop(struct sim_queue *queue, size_t n)
{
    assert(n <= queue->sink.len - queue->start);
    queue->start += n;
    if (queue->start * 2 > queue->sink.len) {
        sink_drop_front(&queue->sink, queue->start);
        queue->start = 0;
    }
}

void
sim_queue_clear(struct sim_queue *queue)
{
    sink_reset(&queue->sink, 0);
    queue->start = 0;
}

/* -- events: a heap by time, then by order of birth
 * ------------------------------------------------------ */

static bool
sooner(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void
sim_event_add(struct sim *sim, uint64_t after_us, struct sim_event event)
{
    if (sim->heap_count == sim->heap_room) {
        sim->heap_room = sim->heap_room ? sim->heap_room * 2 : 16;
        sim->heap = realloc(sim->heap, sim->heap_room * sizeof(*sim->heap));
        assert(sim->heap);
    }
    event.at_us = sim->now_us + after_us;
    event.order = sim->order++;
    size_t at = sim->heap_count++;
    for (; at > 0 && sooner(&event, &sim->heap[(at - 1) / 2]); at = (at - 1) / 2)
        sim->heap[at] = sim->heap[(at - 1) / 2];
    sim->heap[at] = event;
}

static struct sim_event
event_pop(struct sim *sim)
{
    assert(sim->heap_count > 0);
    struct sim_event first = sim->heap[0], last = sim->heap[--sim->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= sim->heap_count)
            break;
        if (child + 1 < sim->heap_count && sooner(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (!sooner(&sim->heap[child], &last))
            break;
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    sim->heap[at] = last;
    return first;
}

uint64_t
sim_event_next(const struct sim *sim)
{
    return sim->heap_count ? sim->heap[0].at_us : UINT64_MAX;
}

/* -- what travels
 * ---------------------------------------------------------------------------------------- */

static void
tell(struct sim_peer *peer, void (*call)(struct sim_peer *))
{
    if (call)
        call(peer);
}

void
sim_peer_deliver(struct sim_peer *peer)
{
    if (peer->to_program_due || peer->dead)
        return;
    peer->to_program_due = true;
    sim_event_add(peer->sim, sim_delay(peer->sim),
                  (struct sim_event){.kind = SIM_TO_PROGRAM, .peer = peer});
}

void
sim_socket_flush(struct sim_socket *socket)
{
    if (socket->to_peer_due || socket->reset)
        return;
    socket->to_peer_due = true;
    sim_event_add(socket->sim, sim_delay(socket->sim),
                  (struct sim_event){.kind = SIM_TO_PEER, .socket = socket});
}

/* peer_gone - nothing travels any more. The script hears of it unless it was its own doing. */
static void
peer_gone(struct sim_peer *peer, bool tell_script)
{
    if (peer->dead)
        return;
    peer->dead = true;
    sim_queue_clear(&peer->transit);
    if (tell_script && !peer->closed)
        tell(peer, peer->script->reset);
}

/* socket_reset - the program's socket learns of a reset. What arrived before may or may not still
 * be read. */
static void
socket_reset(struct sim_socket *socket)
{
    if (socket->reset)
        return;
    socket->reset = true;
    sim_queue_clear(&socket->outbox);
    if (socket->sim->rough && sim_random(socket->sim) % 2) {
        sim_queue_clear(&socket->inbox);
        socket->visible = 0;
    } else {
        socket->visible = sim_queue_peek(&socket->inbox).len;
    }
    sim_socket_edge(socket, READY_IN | READY_OUT | READY_PEER_FIN | READY_ERROR | READY_HANGUP);
}

void
sim_socket_break(struct sim_socket *socket)
{
    socket->closed = true;
    sim_queue_clear(&socket->inbox);
    sim_queue_clear(&socket->outbox);
    socket->visible = 0;
    if (socket->reset)
        return;
    socket->reset = true;
    if (socket->peer)
        sim_event_add(socket->sim, sim_delay(socket->sim),
                      (struct sim_event){.kind = SIM_GONE, .peer = socket->peer});
}

/* vanish - the peer's machine is gone: the program hears nothing of it, and neither does the peer's script beyond this. */
static void
vanish(struct sim_peer *peer)
{
    sim_queue_clear(&peer->transit);
    peer->dead = true;
    if (!peer->closed)
        tell(peer, peer->script->reset);
}

/* torn - does chance break this connection now? */
static bool
torn(struct sim_peer *peer)
{
    struct sim *sim = peer->sim;
    if (sim_strike(sim, sim->faults.vanish, SIM_VANISH)) {
        vanish(peer);
        return true;
    }
    if (!sim_strike(sim, sim->faults.reset, SIM_RESET))
        return false;
    socket_reset(peer->socket);
    peer_gone(peer, true);
    return true;
}

static void
run_to_program(struct sim_peer *peer)
{
    struct sim_socket *socket = peer->socket;
    peer->to_program_due = false;
    if (peer->dead || torn(peer))
        return;
    struct slice waiting = sim_queue_peek(&peer->transit);
    if (socket->closed && waiting.len > 0) { /* nobody is there to take it: a reset answers */
        sim_socket_break(socket);
        return;
    }
    size_t have = sim_queue_peek(&socket->inbox).len, window = sim_window(peer->sim);
    size_t room = have < window ? window - have : 0;
    if (waiting.len > 0 && room > 0) {
        size_t n = sim_some(peer->sim, waiting.len < room ? waiting.len : room);
        sim_queue_put(&socket->inbox, slice_take(waiting, n));
        sim_queue_drop(&peer->transit, n);
        socket->visible = sim_queue_peek(&socket->inbox).len;
        sim_socket_edge(socket, READY_IN);
    }
    if (sim_queue_peek(&peer->transit).len > 0) {
        if (room > 0) /* otherwise it goes on when the program has received */
            sim_peer_deliver(peer);
    } else if (peer->fin_queued && !peer->fin_delivered) {
        peer->fin_delivered = true;
        socket->fin_arrived = true;
        socket->visible = sim_queue_peek(&socket->inbox).len;
        sim_socket_edge(socket, READY_IN | READY_PEER_FIN);
    }
}

static void
run_to_peer(struct sim_socket *socket)
{
    struct sim_peer *peer = socket->peer;
    socket->to_peer_due = false;
    if (socket->reset || peer->dead || torn(peer))
        return;
    struct slice waiting = sim_queue_peek(&socket->outbox);
    if (peer->closed && waiting.len > 0) {
        peer_gone(peer, false);
        sim_event_add(socket->sim, sim_delay(socket->sim),
                      (struct sim_event){.kind = SIM_TORN, .socket = socket});
        return;
    }
    if (peer->stopped && waiting.len > 0)
        return;
    if (waiting.len > 0) {
        size_t n = sim_some(socket->sim, waiting.len);
        sink_put(&peer->in, slice_take(waiting, n));
        assert(!peer->in.error);
        sim_queue_drop(&socket->outbox, n);
        socket->acked += n;
        if (socket->wants_out && waiting.len - n <= sim_window(socket->sim) * 2 / 3) {
            socket->wants_out = false;
            sim_socket_edge(socket, READY_OUT);
        }
        tell(peer, peer->script->bytes);
    }
    if (socket->reset || peer->dead) /* the script may have seen to that */
        return;
    if (sim_queue_peek(&socket->outbox).len > 0) {
        sim_socket_flush(socket);
        return;
    }
    if (socket->fin_sent && !socket->fin_told) {
        socket->fin_told = true;
        if (!peer->closed)
            tell(peer, peer->script->ended);
    }
    if (socket->closed)
        peer_gone(peer, true);
}

static void
run_connect(struct sim_socket *socket, unsigned at)
{
    struct sim *sim = socket->sim;
    if (!socket->held)
        return;
    if (at >= sim->acceptors_count || sim->acceptors[at].refuse ||
        sim_chance(sim, sim->faults.connect_refused)) {
        sim->injected[SIM_CONNECT_REFUSED]++;
        socket->result = -ERR_CONNECT;
        sim_socket_edge(socket, READY_OUT | READY_ERROR | READY_HANGUP);
        return;
    }
    const struct sim_acceptor *acceptor = &sim->acceptors[at];
    socket->kind = SIM_STREAM;
    sim_peer_new(sim, socket, acceptor->script, acceptor->user);
    sim_socket_edge(socket, READY_OUT);
    tell(socket->peer, socket->peer->script->opened);
}

static void
run_arrive(struct sim_peer *peer, uint16_t port)
{
    struct list *head = &peer->sim->listeners;
    if (peer->dead)
        return;
    for (struct list *link = head->next; link != head; link = link->next) {
        struct sim_socket *listener = list_entry(link, struct sim_socket, backlog_link);
        if (listener->closed || listener->port != port)
            continue;
        list_push_back(&listener->backlog, &peer->socket->backlog_link);
        sim_socket_edge(listener, READY_IN);
        tell(peer, peer->script->opened);
        return;
    }
    peer_gone(peer, true);
}

static void
event_run(struct sim *sim, const struct sim_event *event)
{
    (void)sim;
    switch (event->kind) {
    case SIM_CONNECT:
        run_connect(event->socket, event->value);
        break;
    case SIM_ARRIVE:
        run_arrive(event->peer, (uint16_t)event->value);
        break;
    case SIM_TO_PROGRAM:
        run_to_program(event->peer);
        break;
    case SIM_TO_PEER:
        run_to_peer(event->socket);
        break;
    case SIM_EDGE:
        event->socket->visible = sim_queue_peek(&event->socket->inbox).len;
        sim_socket_edge(event->socket, event->value);
        break;
    case SIM_GONE:
        peer_gone(event->peer, true);
        break;
    case SIM_TORN:
        socket_reset(event->socket);
        break;
    case SIM_TIMER:
        if (event->peer->timer == event->value && !event->peer->dead)
            tell(event->peer, event->peer->script->timer);
        break;
    case SIM_WAKE:
        break;
    }
}

void
sim_events_run(struct sim *sim)
{
    while (sim_event_next(sim) <= sim->now_us) {
        struct sim_event event = event_pop(sim);
        event_run(sim, &event);
    }
}

/* -- the test's side
 * ------------------------------------------------------------------------------------ */

void
sim_set_faults(struct sim *sim, const struct sim_faults *faults)
{
    static const struct sim_faults none;
    const struct sim_faults *f = faults ? faults : &none;
    sim->faults = *f;
    sim->rough = f->short_read || f->short_write || f->again || f->reset || f->connect_refused ||
                 f->connect_slow || f->accept_fail || f->late_event || f->memory || f->vanish ||
                 f->late_release || f->jump;
}

struct sim *
sim_new(uint64_t seed, const struct sim_faults *faults)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    assert(sim);
    sim->random = seed;
    sim->now_us = 1000000;
    sim->until_us = UINT64_MAX;
    list_init(&sim->ready);
    list_init(&sim->listeners);
    sim_set_faults(sim, faults);
    return sim;
}

void
sim_free(struct sim *sim)
{
    assert(!sim->loop); /* loop_fini comes first */
    for (size_t i = 0; i < sim->sockets_count; i++) {
        sink_fini(&sim->sockets[i]->inbox.sink);
        sink_fini(&sim->sockets[i]->outbox.sink);
        free(sim->sockets[i]);
    }
    while (sim->peers) {
        struct sim_peer *peer = sim->peers;
        sim->peers = peer->next;
        sink_fini(&peer->in);
        sink_fini(&peer->transit.sink);
        free(peer);
    }
    free(sim->sockets);
    free(sim->acceptors);
    free(sim->heap);
    free(sim);
}

uint64_t
sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

void
sim_jump(struct sim *sim, uint64_t by_us)
{
    sim->injected[SIM_JUMP]++;
    sim->now_us += by_us;
}

void
sim_freeze(struct sim *sim, uint64_t by_us, uint64_t more_us)
{
    sim->injected[SIM_JUMP]++;
    sim->freeze_us = by_us;
    sim->thaw_us = more_us;
}

size_t
sim_sockets_open(const struct sim *sim)
{
    return sim->held;
}

static struct sim_acceptor *
acceptor_for(struct sim *sim, uint16_t port)
{
    for (size_t i = 0; i < sim->acceptors_count; i++)
        if (sim->acceptors[i].port == port)
            return &sim->acceptors[i];
    sim->acceptors = realloc(sim->acceptors, (sim->acceptors_count + 1) * sizeof(*sim->acceptors));
    assert(sim->acceptors);
    return &sim->acceptors[sim->acceptors_count++];
}

void
sim_accept_on(struct sim *sim, uint16_t port, const struct sim_script *script, void *user,
              bool refuse)
{
    *acceptor_for(sim, port) =
        (struct sim_acceptor){.port = port, .refuse = refuse, .script = script, .user = user};
}

void
sim_black_hole(struct sim *sim, uint16_t port)
{
    *acceptor_for(sim, port) = (struct sim_acceptor){.port = port, .black_hole = true};
}

int
sim_listen_fd(struct sim *sim, uint16_t port)
{
    struct sim_socket *socket = sim_socket_new(sim, SIM_LISTENER);
    socket->held = true;
    socket->port = port;
    list_push_back(&sim->listeners, &socket->backlog_link);
    return socket->fd;
}

struct sim_peer *
sim_peer_new(struct sim *sim, struct sim_socket *socket, const struct sim_script *script,
             void *user)
{
    struct sim_peer *peer = calloc(1, sizeof(*peer));
    assert(peer);
    *peer = (struct sim_peer){
        .sim = sim, .next = sim->peers, .socket = socket, .script = script, .user = user};
    sink_init(&peer->in, SIZE_MAX / 2);
    sink_init(&peer->transit.sink, SIZE_MAX / 2);
    sim->peers = peer;
    socket->peer = peer;
    return peer;
}

struct sim_peer *
sim_connect(struct sim *sim, uint16_t port, const struct sim_script *script, void *user)
{
    struct sim_socket *socket = sim_socket_new(sim, SIM_STREAM);
    struct sim_peer *peer = sim_peer_new(sim, socket, script, user);
    sim_event_add(sim, sim_delay(sim),
                  (struct sim_event){.kind = SIM_ARRIVE, .peer = peer, .value = port});
    return peer;
}

void *
sim_peer_user(struct sim_peer *peer)
{
    return peer->user;
}

void
sim_peer_set_user(struct sim_peer *peer, void *user)
{
    peer->user = user;
}

struct sim *
sim_peer_sim(struct sim_peer *peer)
{
    return peer->sim;
}

struct sink *
sim_peer_in(struct sim_peer *peer)
{
    return &peer->in;
}

bool
sim_peer_alive(const struct sim_peer *peer)
{
    return !peer->dead && !peer->closed;
}

void
sim_peer_send(struct sim_peer *peer, struct slice bytes)
{
    if (peer->dead || peer->closed || bytes.len == 0)
        return;
    assert(!peer->fin_queued); /* a script that sends after its FIN is wrong */
    sim_queue_put(&peer->transit, bytes);
    sim_peer_deliver(peer);
}

void
sim_peer_half_close(struct sim_peer *peer)
{
    if (peer->fin_queued || peer->dead)
        return;
    peer->fin_queued = true;
    peer->sim->injected[SIM_HALF_CLOSE]++;
    sim_peer_deliver(peer);
}

void
sim_peer_close(struct sim_peer *peer)
{
    sim_peer_half_close(peer);
    peer->closed = true;
    if (sim_queue_peek(&peer->socket->outbox).len > 0)
        sim_socket_flush(peer->socket);
}

void
sim_peer_reset(struct sim_peer *peer)
{
    if (peer->dead)
        return;
    peer->sim->injected[SIM_PEER_RESET]++;
    peer_gone(peer, false);
    sim_event_add(peer->sim, sim_delay(peer->sim),
                  (struct sim_event){.kind = SIM_TORN, .socket = peer->socket});
}

void
sim_peer_stop_reading(struct sim_peer *peer, bool stop)
{
    peer->stopped = stop;
    peer->sim->injected[SIM_STALL] += stop;
    if (!stop)
        sim_socket_flush(peer->socket);
}

void
sim_peer_timer(struct sim_peer *peer, uint64_t after_ms)
{
    sim_event_add(peer->sim, after_ms * 1000,
                  (struct sim_event){.kind = SIM_TIMER, .peer = peer, .value = ++peer->timer});
}
