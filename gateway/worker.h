/* SPDX-License-Identifier: MIT
 *
 * worker.h - one thread: a loop, its listeners, streams, upstream pool, scratch memory and counters.
 *
 * Nothing is shared but the configuration, the trust store and what main hands over through the mailbox.
 */
#ifndef PENSTOCK_WORKER_H
#define PENSTOCK_WORKER_H

#include "gateway/metrics.h"
#include "gateway/route.h"
#include "gateway/stream.h"
#include "gateway/upstream.h"
#include "reactor/listen.h"
#include "reactor/loop.h"

#include <pthread.h>

#define FLIGHT_RECORDS 4096
#define WORKER_FIGURES 32

struct flight_record { /* one transition */
    uint64_t now_us, serial;
    uint8_t from, event, to;
};

/* A message between workers or from main: run on the receiving worker's thread. */
struct mail {
    struct mail *next;
    void (*deliver)(struct worker *, struct mail *);
};

struct gateway { /* what all workers can see; the arrays are fixed before threads start */
    struct worker **workers;
    uint32_t worker_count;
    _Atomic bool draining;
    _Atomic bool ending; /* second signal: end everything now */
    _Atomic uint32_t next_guest; /* who takes the next connection of a shared listener */
    uint64_t started_unix_s;
    uint64_t started_us;
    _Atomic uint64_t trims; /* how often memory was given back to the system, see trim.h */
    _Atomic uint64_t memory_used; /* bytes allocated when it last was */
    struct tape_store *tapes; /* events of streams that can be resumed; NULL: none can */
    struct recall *recall; /* reasoning state by tool call; NULL: none is kept */
};

struct worker {
    uint32_t number;
    pthread_t thread;
    struct gateway *gateway;
    struct loop loop;
    struct listener listener;
    struct generation *generation; /* the newest; streams hold their own */
    struct list streams;
    struct list fetches; /* our own requests, see fetch.h */
    struct list token_waiters; /* streams without an access token, see credential.h */
    size_t stream_count;
    uint64_t next_serial;
    size_t request_bytes;   /* of request bodies held by streams */
    struct upstream_pool upstreams;
    struct metrics *metrics;
    _Atomic uint64_t published[WORKER_FIGURES];
    struct arena_pool blocks; /* of the requests' arenas */
    struct arena scratch;   /* reset after each upstream event */
    struct canon_events events;
    struct frames frames;
    struct sink text;       /* framing of what goes to a client */
    struct sink head;       /* heads, small bodies */
    uint64_t random[4];     /* xoshiro256++ for ids and jitter, seeded from getrandom */
    int64_t unix_offset_us; /* wall clock minus loop clock, refreshed once a second */
    uint64_t unix_checked_us;
    pthread_mutex_t mail_lock; /* held for a few instructions; taken when the eventfd says so */
    struct mail *mail_first, *mail_last;
    int mail_fd;
    struct watch mail_watch;
    struct task mail_task;
    struct mail question;   /* is the loop turning? See worker_ask */
    _Atomic bool asked;
    struct deadline drain;  /* shutdown: the last streams are broken off */
    struct deadline second; /* once a second: wall clock, gauges */
    _Atomic bool stop; /* main looks at it */
    bool draining;
    void *demo;             /* demo.c */
    struct flight_record flight[FLIGHT_RECORDS];
    uint32_t flight_at;
};

/* worker_init - loop, pools, mailbox; backend and its config as for loop_init. 0 or -ERR. */
int worker_init(struct worker *worker, struct gateway *gateway, uint32_t number, struct generation *generation,
                const struct backend_ops *ops, void *backend_config) must_check;
void worker_fini(struct worker *worker);
/*
 * worker_listen - accept clients on this descriptor (taken over).
 * shared  the other workers accept from the same socket: whoever does passes connections round, so that long streams
 *         do not gather on the worker that happens to be woken first
 */
int worker_listen(struct worker *worker, int fd, bool shared) must_check;
/*
 * worker_ask - by main: put a question into the mailbox that the loop answers when it turns, unless one is there.
 * worker_answered - has it turned since? Workers that have ended have nothing more to say: yes.
 */
void worker_ask(struct worker *worker);
bool worker_answered(const struct worker *worker);
/* worker_start - run in a thread of its own. worker_join - wait for its end. */
int worker_start(struct worker *worker) must_check;
void worker_join(struct worker *worker);
/* worker_turn - one tick, for worker threads and for the simulator. */
void worker_turn(struct worker *worker, uint64_t wait_max_ms);
/* worker_send - deliver a message on another worker's thread. Any thread may call. */
void worker_send(struct worker *worker, struct mail *mail);
/* worker_read_mail - run what is in the mailbox; was there anything? Also by main, when the threads have ended: mail sent to
 * one that was about to stop still has an owner. */
bool worker_read_mail(struct worker *worker);
/* worker_drain - begin to shut down: refuse new connections when the last stream ends; now: end streams at once. */
void worker_drain(struct worker *worker, bool now);
/* worker_take_generation - use this configuration for new exchanges; takes over the reference. */
void worker_take_generation(struct worker *worker, struct generation *generation);
uint64_t worker_random(struct worker *worker);
/* worker_id - 24 random characters of [A-Za-z0-9] and a NUL. */
void worker_id(struct worker *worker, char out[25]);
int64_t worker_unix_us(struct worker *worker);
/* worker_print_flight - the last transitions, to stderr; after a failed assertion. */
void worker_print_flight(const struct worker *worker);

#endif
