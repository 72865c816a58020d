/* SPDX-License-Identifier: MIT
 *
 * loop.c - the tick: wait, expire, run, move, sweep.
 *
 * Not a general event library: it knows tasks, deadlines, watches and conns, and nothing else. What
 * did not fit into a tick stays on a list, and a loop with something on a list does not sleep.
 */
#include "reactor/loop.h"

#include "base/log.h"
#include "reactor/backend.h"
#include "reactor/dns.h"
#include "reactor/wire.h"

#include <limits.h>

/* Where only few events have come, the answers to the first leave before the next are looked at: nobody's bytes wait for
 * others' to be worked on. Where many have, all are received, then all worked on, then all sent: each of the three runs faster
 * when it is done many times in a row. 16 is where the second begins to save more than the first costs. */
#define FEW_EVENTS 16
#define FEW_AT_ONCE 4

void
loop_limits_default(struct loop_limits *limits)
{
    *limits = (struct loop_limits){
        .rounds_max = 8,
        .move_bytes_max = 64 * 1024,
        .in_bytes_max = 64 * 1024,
        .handshakes_max = 16,
        .linger_ms = 1000,
        .linger_bytes = 1024 * 1024,
        .connect_stagger_ms = 250,
        .dns_ttl_ms = 30 * 1000,
        .chunks_max = 64 * 1024,
        .chunks_keep = 1024,
        .flush_ms = 10 * 1000,
    };
}

int
loop_init(struct loop *loop, const struct backend_ops *ops, void *config,
          const struct loop_limits *limits)
{
    assert(limits->rounds_max > 0);
    assert(limits->move_bytes_max > 0);
    assert(limits->in_bytes_max > 0);
    *loop = (struct loop){.ops = ops, .limits = *limits};
    list_init(&loop->run_list);
    list_init(&loop->move_list);
    list_init(&loop->late_list);
    list_init(&loop->held_list);
    list_init(&loop->held_tasks);
    list_init(&loop->conn_list);
    list_init(&loop->graveyard);
    pool_init(&loop->pool, limits->chunks_max, limits->chunks_keep);
    int error = ops->open(loop, config);
    if (error) {
        pool_fini(&loop->pool);
        return error;
    }
    loop_read_clock(loop);
    wheel_init(&loop->wheel, loop->now_ms);
    return 0;
}

void
loop_fini(struct loop *loop)
{
    struct list *link;
    while ((link = loop->conn_list.next) != &loop->conn_list) {
        struct conn *conn = list_entry(link, struct conn, loop_link);
        assert(conn->closing); /* what still lingers ends with the loop */
        conn_bury(conn, false);
    }
    conn_sweep(loop);
    assert(loop->conns == 0);
    dns_fini(loop);
    tls_fini(loop);
    loop->ops->close(loop);
    pool_fini(&loop->pool);
}

void
loop_read_clock(struct loop *loop)
{
    uint64_t now_us = loop->ops->clock(loop);
    assert(now_us >= loop->now_us);
    loop->now_us = now_us;
    loop->now_ms = now_us / 1000;
}

void
task_init(struct task *task, void (*run)(struct task *))
{
    list_init(&task->link);
    task->run = run;
}

void
loop_post(struct loop *loop, struct task *task)
{
    assert(task->run);
    if (!list_linked(&task->link))
        list_push_back(&loop->run_list, &task->link);
}

void
loop_hold(struct loop *loop, struct task *task)
{
    assert(task->run);
    if (!list_linked(&task->link))
        list_push_back(&loop->held_tasks, &task->link);
}

void
loop_heard(struct loop *loop, bool full)
{
    if (full)
        loop->behind = 2; /* of the last ones the wait after this may tell, which are read in its turn */
    else if (loop->behind > 0)
        loop->behind--;
}

static void
wait_for_events(struct loop *loop, uint64_t wait_max_ms)
{
    uint64_t timeout_ms = wait_max_ms, before_us = loop->ops->clock(loop);
    uint64_t busy_us = before_us > loop->now_us ? before_us - loop->now_us : 0;
    if (loop->stats.ticks > 1) {
        __atomic_store_n(&loop->stats.busy_us_last, busy_us, __ATOMIC_RELAXED);
        if (busy_us > loop->stats.busy_us_max)
            __atomic_store_n(&loop->stats.busy_us_max, busy_us, __ATOMIC_RELAXED);
    }
    uint64_t next_ms = wheel_next(&loop->wheel), before_ms = before_us / 1000;
    if (!list_empty(&loop->run_list) || !list_empty(&loop->move_list) || next_ms <= before_ms)
        timeout_ms = 0;
    else if (next_ms - before_ms < timeout_ms)
        timeout_ms = next_ms - before_ms; /* next_ms may be UINT64_MAX */
    if (timeout_ms)
        loop_count(&loop->stats.waits, 1);
    loop->ops->wait(loop, timeout_ms);
}

/* run_tasks - run what is listed now; what these post runs in the next round, after what they wrote
 * was moved. */
static void
run_tasks(struct loop *loop)
{
    struct list batch, *link;
    list_init(&batch);
    list_move_all(&batch, &loop->run_list);
    loop->tasks_us = 0;
    while ((link = list_pop(&batch))) {
        struct task *task = list_entry(link, struct task, link);
        loop_count(&loop->stats.tasks, 1);
        task->run(task);
    }
}

static void
move_conns(struct loop *loop)
{
    struct list batch, *link;
    list_init(&batch);
    list_move_all(&batch, &loop->move_list);
    while ((link = list_pop(&batch))) {
        struct conn *conn = list_entry(link, struct conn, move_link);
        assert(conn->magic == MAGIC_CONN);
        if (loop->ops->move(conn) && !list_linked(&conn->move_link))
            list_push_back(&loop->late_list, &conn->move_link);
    }
}

/* recover - when the chunk pool is no longer low, let those go on that had to wait for it. */
static void
recover(struct loop *loop)
{
    if (pool_low(&loop->pool))
        return;
    list_move_all(&loop->move_list, &loop->held_list);
    list_move_all(&loop->run_list, &loop->held_tasks);
}

/* run_rounds - tasks and moves in turn, until nothing is left to do or somebody keeps making more. */
static void
run_rounds(struct loop *loop)
{
    for (int round = 0; round < loop->limits.rounds_max; round++) {
        recover(loop);
        if (list_empty(&loop->run_list) && list_empty(&loop->move_list))
            break;
        run_tasks(loop);
        move_conns(loop);
    }
}

void
loop_tick(struct loop *loop, uint64_t wait_max_ms)
{
    struct list arrived;
    uint64_t events = loop->stats.events;
    loop_count(&loop->stats.ticks, 1);
    wait_for_events(loop, wait_max_ms);
    events = loop->stats.events - events;
    loop_count(&loop->stats.deadlines, wheel_expire(&loop->wheel, loop->now_ms));
    list_init(&arrived);
    list_move_all(&arrived, &loop->move_list);
    int taken = 0, some = FEW_AT_ONCE;
    do {
        /* The list may be longer than the events: those go first who were held back before. */
        if (events > FEW_EVENTS || taken >= FEW_EVENTS)
            some = INT_MAX;
        for (int n = 0; n < some && !list_empty(&arrived); n++, taken++)
            list_push_back(&loop->move_list, list_pop(&arrived));
        run_rounds(loop);
    } while (!list_empty(&arrived));
    list_move_all(&loop->move_list, &loop->late_list);
    conn_sweep(loop);
    recover(loop); /* also from what the dead have just given back: nobody else would wake the held */
}

static bool
quiet_not(const struct conn *conn, const char *why)
{
    log_say(LOG_ERROR, "loop is not quiet", "fd %d: %s", conn->fd, why);
    return false;
}

/* conn_quiet - is this conn in the hands of somebody who will wake it: a list, the kernel, its
 * owner? */
static bool
conn_quiet(const struct loop *loop, const struct conn *conn)
{
    if (conn->magic != MAGIC_CONN || conn->loop != loop)
        return quiet_not(conn, "not a conn of this loop");
    if (conn->closing && !deadline_armed(&conn->linger))
        return quiet_not(conn, "closes without a deadline");
    if (conn->in.len > loop->limits.in_bytes_max)
        return quiet_not(conn, "holds more input than allowed");
    if (list_linked(&conn->move_link) || conn->dial || conn->lost)
        return true;
    if (conn->fd < 0)
        return quiet_not(conn, "neither dials nor has a socket");
    if (!conn->started || conn->broken)
        return quiet_not(conn, "must be moved but is on no list");
    if (conn->up && conn->writable && conn_unsent(conn) > 0)
        return quiet_not(conn, "could send but is on no list");
    /* A TLS engine with something to answer first takes nothing until it can: then writability is
     * waited for. */
    bool answers_first = conn->wire != &plain_wire && !conn->writable && conn_unsent(conn) > 0;
    if (conn->up && conn->readable && !answers_first && (conn->closing || conn_wants_input(conn)))
        return quiet_not(conn, "could receive but is on no list");
    return true;
}

bool
loop_quiet(const struct loop *loop)
{
    bool quiet = true;
    size_t alive = 0, dead = 0;
    struct list *link;
    for (link = loop->conn_list.next; link != &loop->conn_list; link = link->next) {
        alive++;
        quiet = conn_quiet(loop, list_entry(link, struct conn, loop_link)) && quiet;
    }
    for (link = loop->graveyard.next; link != &loop->graveyard; link = link->next)
        dead++;
    if (alive + dead != loop->conns || !list_empty(&loop->late_list)) {
        log_say(LOG_ERROR, "loop is not quiet", "%zu alive, %zu dead, %zu counted", alive, dead,
                loop->conns);
        quiet = false;
    }
    if (!pool_low(&loop->pool) &&
        !(list_empty(&loop->held_list) && list_empty(&loop->held_tasks))) {
        log_say(LOG_ERROR, "loop is not quiet", "held, although the pool is not low");
        quiet = false;
    }
    return quiet;
}

static int
watch_begin(struct loop *loop, struct watch *watch)
{
    assert(watch->fd >= 0);
    int error = loop->ops->watch(loop, watch);
    if (error)
        watch->magic = 0;
    return error;
}

int
watch_open(struct loop *loop, struct watch *watch, int fd,
           void (*notify)(struct watch *, unsigned ready))
{
    *watch = (struct watch){.magic = MAGIC_WATCH, .fd = fd, .notify = notify};
    return watch_begin(loop, watch);
}

int
watch_open_shared(struct loop *loop, struct watch *watch, int fd,
                  void (*notify)(struct watch *, unsigned ready))
{
    *watch = (struct watch){.magic = MAGIC_WATCH, .fd = fd, .shared = true, .notify = notify};
    return watch_begin(loop, watch);
}

void
watch_close(struct loop *loop, struct watch *watch)
{
    assert(watch->magic == MAGIC_WATCH);
    loop->ops->unwatch(loop, watch);
    watch->magic = 0;
}
