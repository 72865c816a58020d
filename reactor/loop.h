/* SPDX-License-Identifier: MIT
 *
 * loop.h - the tick: wait, expire, run, move, sweep. One loop per worker thread.
 *
 *     wait    sleep until the next deadline (or not at all with work pending), read the clock once
 *     expire  the wheel's deadlines post notices
 *     run     tasks on the run list run until the list is empty or a bound is hit
 *     move    each touched conn is reconciled with the kernel: flush, send, receive
 *     sweep   what is in the graveyard is freed once the kernel holds none of its memory
 *
 * Nothing acts inside a kernel event: events set bits and link tasks; work happens in run.
 */
#ifndef PENSTOCK_LOOP_H
#define PENSTOCK_LOOP_H

#include "base/buf.h"
#include "base/list.h"
#include "reactor/wheel.h"

struct backend_ops;
struct resolver;
struct tls_worker;

struct task {
    struct list link;
    void (*run)(struct task *); /* may post itself or others again */
};

struct loop_limits {
    int rounds_max;          /* run/move alternations per tick; default 8 */
    size_t move_bytes_max;   /* bytes per conn, direction and tick; default 64 KiB */
    size_t in_bytes_max;     /* hard bound of a conn's in queue; default 64 KiB */
    int handshakes_max;      /* TLS handshakes in progress; default 16 */
    uint64_t linger_ms;      /* closing: how long input is discarded; default 1000 */
    size_t linger_bytes;     /* and how much of it; default 1 MiB */
    uint64_t connect_stagger_ms; /* before the next address is tried as well; default 250 */
    uint64_t dns_ttl_ms;     /* default 30000 */
    size_t chunks_max, chunks_keep; /* the chunk pool */
    uint64_t flush_ms;       /* closing: how long unsent output may make no progress; default 10000 */
};
void loop_limits_default(struct loop_limits *limits);

struct loop_stats { /* written by the loop's thread only; read by others with relaxed loads */
    uint64_t ticks, waits, events, tasks, deadlines;
    uint64_t accepts, accept_failures, dials, dial_failures, conns_open, conns_closed;
    uint64_t bytes_in, bytes_out, sends, receives;
    uint64_t handshakes, handshakes_resumed, handshake_failures, chain_cache_hits;
    uint64_t dns_lookups, dns_cache_hits, dns_failures;
    uint64_t busy_us_last, busy_us_max; /* time a tick took beyond its wait: loop lag */
};

struct loop {
    const struct backend_ops *ops;
    void *backend;          /* the backend's own state */
    uint64_t now_ms, now_us; /* the tick's clock: CLOCK_MONOTONIC, or virtual */
    uint64_t tasks_us;       /* for tasks that time themselves: when the one before ended; 0: none before in this batch */
    struct wheel wheel;
    struct list run_list;   /* tasks */
    struct list move_list;  /* conns */
    struct list graveyard;  /* conns */
    struct list late_list;  /* conns that used up this tick's bytes; the next tick's move list */
    struct list held_list;  /* conns that may not receive until the chunk pool recovers */
    struct list held_tasks; /* tasks waiting for the same, e.g. listeners */
    struct list conn_list;  /* every conn that is not in the graveyard */
    struct pool pool;
    struct loop_limits limits;
    struct loop_stats stats;
    struct resolver *resolver; /* made at the first lookup that needs it */
    struct tls_worker *tls;    /* TLS templates, session and chain caches; made at first use */
    int handshakes;            /* in progress */
    size_t conns;              /* alive, graveyard included */
    uint8_t behind;            /* not 0: there may be events that no wait has told of yet, or this turn's only */
};

/*
 * loop_init - a loop on a backend.
 * ops       &epoll_ops, &sim_ops, ...
 * config    passed to the backend's open (NULL for epoll)
 * returns 0, -ERR_SYSTEM, -ERR_MEMORY
 */
int loop_init(struct loop *loop, const struct backend_ops *ops, void *config,
              const struct loop_limits *limits) must_check;
/* loop_heard - for backends, at the end of a wait: has it reported as much as it can at once? */
void loop_heard(struct loop *loop, bool full);
/* loop_fini - every conn must have been closed; sweeps what is left. */
void loop_fini(struct loop *loop);
/* loop_post - put a task on the run list; harmless if it is there already. */
void loop_post(struct loop *loop, struct task *task);
/* loop_tick - one tick; sleeps at most wait_max_ms. */
void loop_tick(struct loop *loop, uint64_t wait_max_ms);
/* loop_hold - put a task aside until the chunk pool is no longer low; it is then posted. */
void loop_hold(struct loop *loop, struct task *task);
/* loop_quiet - do the sleeping invariants hold (ARCHITECTURE section 3)? For tests; logs which one does not. */
bool loop_quiet(const struct loop *loop);
void task_init(struct task *task, void (*run)(struct task *));

/* loop_count - add to one of loop->stats, so that other threads may read it. */
static inline void
loop_count(uint64_t *stat, uint64_t n)
{
    __atomic_store_n(stat, *stat + n, __ATOMIC_RELAXED);
}
static inline void
loop_arm(struct loop *loop, struct deadline *deadline, uint64_t after_ms)
{
    wheel_arm(&loop->wheel, deadline, loop->now_ms + after_ms);
}
static inline void
loop_cancel(struct loop *loop, struct deadline *deadline)
{
    wheel_cancel(&loop->wheel, deadline);
}

/* A bare descriptor with one-bit readiness: listeners, eventfd, DNS sockets. Edge-triggered: drain it. */
enum { WATCH_READ = 1, WATCH_WRITE = 2 };
struct watch {
    uint32_t magic;
    int fd;
    unsigned ready; /* WATCH_* as reported since last cleared by the owner */
    bool shared; /* other loops watch the same socket: of several that sleep one is woken, where the backend can */
    void (*notify)(struct watch *, unsigned ready); /* called in the wait phase: record and post only */
    void *slot; /* the backend's */
};
/* watch_open - begin watching fd (not owned). 0 or -ERR_SYSTEM. */
int watch_open(struct loop *loop, struct watch *watch, int fd,
               void (*notify)(struct watch *, unsigned ready)) must_check;
/* watch_open_shared - the same for a listening socket that several loops watch, READ only. */
int watch_open_shared(struct loop *loop, struct watch *watch, int fd,
                      void (*notify)(struct watch *, unsigned ready)) must_check;
/* watch_close - stop watching; no notify comes afterwards, not even one already reported by the kernel. */
void watch_close(struct loop *loop, struct watch *watch);

#endif
