/* SPDX-License-Identifier: MIT
 *
 * sim_inner.h - what sim.c (the program's side: a backend) and sim_peer.c (the world's side) share.
 *
 *     peer.transit --TO_PROGRAM--> socket.inbox --receive--> program
 *     peer.in      <--TO_PEER----- socket.outbox <---send--- program
 *
 * Sockets and peers live until sim_free, so an event may always look at what it was about.
 */
#ifndef PENSTOCK_SIM_INNER_H
#define PENSTOCK_SIM_INNER_H

#include "reactor/sim.h"

#define SIM_FD_BASE 1000000 /* no descriptor of the kernel's is that large */

enum sim_kind { SIM_LISTENER, SIM_CONNECTING, SIM_STREAM };

enum sim_event_kind {
    SIM_CONNECT,    /* a dial's outcome */
    SIM_ARRIVE,     /* a client reaches a listener */
    SIM_TO_PROGRAM, /* some of transit becomes inbox */
    SIM_TO_PEER,    /* some of outbox is read by the peer */
    SIM_EDGE,       /* readiness that was held back */
    SIM_GONE,       /* the peer learns that the connection is no more */
    SIM_TORN,       /* the program's socket learns it */
    SIM_TIMER,
    SIM_WAKE, /* nothing: time passes */
};

struct sim_event {
    uint64_t at_us, order;
    enum sim_event_kind kind;
    struct sim_socket *socket;
    struct sim_peer *peer;
    unsigned value; /* EDGE: READY_x; TIMER: generation; CONNECT: acceptor */
};

struct sim_queue { /* bytes, taken from the front without moving the rest each time */
    struct sink sink;
    size_t start;
};

struct sim_socket {
    struct sim *sim;
    int fd;
    enum sim_kind kind;
    bool held;      /* the program holds the descriptor */
    bool closed;    /* the program has closed it; outbox still leaves */
    void *owner;    /* conn or watch */
    unsigned ready; /* READY_x to be reported */
    struct list ready_link;
    struct sim_peer *peer;
    int result;               /* of the dial */
    uint16_t port;            /* listener */
    struct list backlog;      /* listener: sockets not yet accepted */
    struct list backlog_link; /* on the listener's backlog; a listener: on sim->listeners */
    struct sim_queue inbox, outbox;
    size_t visible; /* of inbox */
    bool fin_arrived, reset, reset_told, wants_out, fin_sent, fin_told;
    bool to_peer_due; /* an event is on its way */
    uint64_t acked;
    uint64_t held_until_us; /* closed, but not yet let go of */
};

struct sim_peer {
    struct sim *sim;
    struct sim_peer *next;
    struct sim_socket *socket;
    const struct sim_script *script;
    void *user;
    struct sink in;
    struct sim_queue transit;
    bool fin_queued, fin_delivered, closed, dead, stopped;
    bool to_program_due;
    unsigned timer;
};

struct sim_acceptor {
    uint16_t port;
    bool refuse, black_hole;
    const struct sim_script *script;
    void *user;
};

struct sim {
    uint64_t now_us, until_us, random, order;
    struct sim_faults faults;
    bool rough; /* some fault may happen: sizes and delays vary */
    struct loop *loop;
    struct sim_event *heap;
    size_t heap_count, heap_room;
    struct sim_socket **sockets;
    size_t sockets_count, sockets_room;
    struct sim_peer *peers;
    struct sim_acceptor *acceptors;
    size_t acceptors_count;
    struct list ready, listeners;
    struct watch *real_watches[64]; /* descriptors of the kernel's, e.g. an eventfd: polled */
    int real_count;
    size_t chunks_max; /* the pool's, while a memory fault lowers it; 0 otherwise */
    uint64_t freeze_us, thaw_us; /* see sim_freeze */
    size_t held;       /* sockets the program holds, listeners excluded */
    uint64_t injected[SIM_FAULT_COUNT];
};

bool sim_chance(struct sim *sim, unsigned per_1024);
/* sim_strike - the same, counted as this fault when it happens. */
bool sim_strike(struct sim *sim, unsigned per_1024, enum sim_fault fault);
/* sim_delay - one way through the network, in microseconds. */
uint64_t sim_delay(struct sim *sim);
/* sim_some - 1 to n: all in a perfect world. */
size_t sim_some(struct sim *sim, size_t n);
size_t sim_window(const struct sim *sim);

void sim_event_add(struct sim *sim, uint64_t after_us, struct sim_event event);
/* sim_events_run - run what is due now. */
void sim_events_run(struct sim *sim);
/* sim_event_next - when something happens next; UINT64_MAX: never. */
uint64_t sim_event_next(const struct sim *sim);

void sim_queue_put(struct sim_queue *queue, struct slice bytes);
struct slice sim_queue_peek(const struct sim_queue *queue);
void sim_queue_drop(struct sim_queue *queue, size_t n);
void sim_queue_clear(struct sim_queue *queue);

struct sim_socket *sim_socket_new(struct sim *sim, enum sim_kind kind);
struct sim_socket *sim_socket_of(struct sim *sim, int fd);
/* sim_socket_edge - readiness to be reported at the end of the next wait. */
void sim_socket_edge(struct sim_socket *socket, unsigned ready);
struct sim_peer *sim_peer_new(struct sim *sim, struct sim_socket *socket,
                              const struct sim_script *script, void *user);
/* sim_peer_deliver - see to it that what the peer sent reaches the program some time. */
void sim_peer_deliver(struct sim_peer *peer);
/* sim_socket_flush - see to it that what the program sent reaches the peer some time. */
void sim_socket_flush(struct sim_socket *socket);
/* sim_socket_break - the program's end is gone for good: the peer will see a reset. */
void sim_socket_break(struct sim_socket *socket);

#endif
