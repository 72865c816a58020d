/* SPDX-License-Identifier: MIT
 *
 * dial.c - from a name to a connected socket: one lookup, then a race of addresses.
 *
 * The first address is tried at once, the next when one has failed or when the stagger has passed
 * without a winner (the habit of RFC 8305). The first to connect wins; the others are closed.
 * Kernel and timer only set bits and post the task; everything happens in the task, so a result
 * never comes from inside conn_open. There is no time limit here: the owner has a deadline and
 * closes the conn.
 */
#include "reactor/backend.h"
#include "reactor/dns.h"
#include "reactor/net.h"
#include "reactor/wire.h"

#include <stdlib.h>

struct attempt {
    struct watch watch;
    struct dial *dial;
    int fd; /* -1 when not under way */
};

struct dial {
    struct conn *conn;
    const struct conn_target *target;
    struct lookup *lookup;
    struct task task;
    struct deadline stagger;
    bool hurry;  /* the stagger has passed */
    int error;   /* why the latest attempt failed; 0 so far none */
    int next;    /* address to try next */
    int running; /* attempts under way */
    struct dns_answer answer;
    struct attempt attempts[DNS_ADDRESSES_MAX];
};

static void
attempt_ready(struct watch *watch, unsigned ready)
{
    struct attempt *attempt = container_of(watch, struct attempt, watch);
    if (ready & WATCH_WRITE)
        loop_post(attempt->dial->conn->loop, &attempt->dial->task);
}

/* attempt_leave - stop watching the attempt's socket; returns it. */
static int
attempt_leave(struct dial *dial, struct attempt *attempt)
{
    int fd = attempt->fd;
    assert(fd >= 0);
    assert(dial->running > 0);
    watch_close(dial->conn->loop, &attempt->watch);
    attempt->fd = -1;
    dial->running--;
    return fd;
}

/* attempt_start - try the next address. A failure at once is noted like a later one. */
static void
attempt_start(struct dial *dial)
{
    struct loop *loop = dial->conn->loop;
    assert(dial->next < dial->answer.count);
    struct attempt *attempt = &dial->attempts[dial->next];
    const struct dns_address *address = &dial->answer.addresses[dial->next++];
    char peer[NET_TEXT_BYTES];
    net_address_text((const struct sockaddr *)&address->address, peer);
    if (dial->target->allowed && !dial->target->allowed(peer)) {
        dial->error = -ERR_REQUEST;
        return;
    }
    int fd =
        loop->ops->socket_connect(loop, (const struct sockaddr *)&address->address, address->len);
    if (fd < 0) {
        dial->error = fd;
        return;
    }
    int error = watch_open(loop, &attempt->watch, fd, attempt_ready);
    if (error) {
        loop->ops->socket_close(loop, fd, true);
        dial->error = error;
        return;
    }
    attempt->dial = dial;
    attempt->fd = fd;
    dial->running++;
}

void
dial_cancel(struct conn *conn)
{
    struct dial *dial = conn->dial;
    struct loop *loop = conn->loop;
    if (!dial)
        return;
    for (int i = 0; i < dial->next; i++)
        if (dial->attempts[i].fd >= 0)
            loop->ops->socket_close(loop, attempt_leave(dial, &dial->attempts[i]), true);
    assert(dial->running == 0);
    if (dial->lookup)
        dns_cancel(loop, dial->lookup);
    loop_cancel(loop, &dial->stagger);
    list_remove(&dial->task.link);
    conn->dial = NULL;
    free(dial);
}

static void
dial_lost(struct dial *dial)
{
    struct conn *conn = dial->conn;
    int error = dial->error ? dial->error : -ERR_DNS;
    loop_count(&conn->loop->stats.dial_failures, 1);
    if (dial->answer.count > 0 && err_row(error)->blame == BLAME_UPSTREAM)
        dns_forget(conn->loop, dial->target->host);
    dial_cancel(conn);
    conn_fail(conn, error);
}

static void
dial_won(struct dial *dial, int winner)
{
    struct conn *conn = dial->conn;
    const struct conn_target *target = dial->target;
    char peer[NET_TEXT_BYTES];
    net_address_text((const struct sockaddr *)&dial->answer.addresses[winner].address, peer);
    int fd = attempt_leave(dial, &dial->attempts[winner]);
    dial_cancel(conn);
    conn_connected(conn, fd, peer, target);
}

/* dial_winner - look at the attempts that the kernel has news of; the index of one that is
 * connected, or -1. */
static int
dial_winner(struct dial *dial)
{
    struct loop *loop = dial->conn->loop;
    for (int i = 0; i < dial->next; i++) {
        struct attempt *attempt = &dial->attempts[i];
        if (attempt->fd < 0 || !(attempt->watch.ready & WATCH_WRITE))
            continue;
        attempt->watch.ready = 0;
        int result = loop->ops->socket_result(loop, attempt->fd);
        if (result == 0)
            return i;
        if (result == -ERR_AGAIN)
            continue;
        dial->error = result;
        loop->ops->socket_close(loop, attempt_leave(dial, attempt), false);
        dial->hurry = true;
    }
    return -1;
}

static void
dial_run(struct task *task)
{
    struct dial *dial = container_of(task, struct dial, task);
    struct loop *loop = dial->conn->loop;
    assert(dial->conn->dial == dial);
    int winner = dial_winner(dial);
    if (winner >= 0) {
        dial_won(dial, winner);
        return;
    }
    int started = dial->next;
    while (dial->next < dial->answer.count && (dial->running == 0 || dial->hurry)) {
        int running = dial->running;
        attempt_start(dial);
        if (dial->running > running)
            dial->hurry = false;
    }
    if (dial->running == 0) {
        dial_lost(dial);
        return;
    }
    if (dial->next > started && dial->next < dial->answer.count)
        loop_arm(loop, &dial->stagger, loop->limits.connect_stagger_ms);
}

static void
stagger_due(struct deadline *deadline)
{
    struct dial *dial = container_of(deadline, struct dial, stagger);
    dial->hurry = true;
    loop_post(dial->conn->loop, &dial->task);
}

/* dial_resolved - the answer is here; it is ours to copy, and the task goes on from it. */
static void
dial_resolved(void *owner, const struct dns_answer *answer)
{
    struct dial *dial = owner;
    dial->lookup = NULL;
    if (answer != &dial->answer)
        dial->answer = *answer;
    assert(dial->answer.count >= 0);
    assert(dial->answer.count <= DNS_ADDRESSES_MAX);
    if (dial->answer.error) {
        dial->answer.count = 0;
        dial->error = dial->answer.error;
    }
    loop_post(dial->conn->loop, &dial->task);
}

int
dial_start(struct conn *conn, const struct conn_target *target)
{
    struct loop *loop = conn->loop;
    struct dial *dial = malloc(sizeof(*dial));
    if (!dial)
        return -ERR_MEMORY;
    dial->conn = conn;
    dial->target = target;
    dial->lookup = NULL;
    dial->hurry = false;
    dial->error = dial->next = dial->running = 0;
    dial->answer.error = dial->answer.count = 0;
    for (int i = 0; i < DNS_ADDRESSES_MAX; i++)
        dial->attempts[i].fd = -1;
    task_init(&dial->task, dial_run);
    deadline_init(&dial->stagger, stagger_due);
    conn->dial = dial;
    loop_count(&loop->stats.dials, 1);
    int answered = dns_lookup(loop, target->host, target->port, &dial->answer, dial_resolved, dial,
                              &dial->lookup);
    if (answered == -ERR_MEMORY) {
        dial_cancel(conn);
        return answered;
    }
    if (answered < 0)
        dial->answer.error = answered;
    if (answered != 0)
        dial_resolved(dial, &dial->answer);
    return 0;
}
