/* SPDX-License-Identifier: MIT
 *
 * upstream.c - the pool of upstream connections of one worker.
 *
 * An upstream is leased to one stream, idle in its host's list, or settling: the last bytes of a reply (usually the
 * last chunk) are read away for a short while so that the connection can be used again.
 */
#include "gateway/upstream.h"
#include "gateway/route.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

#include <stdlib.h>

#define SETTLE_MS 1000u

void
upstream_pool_init(struct upstream_pool *pool, struct worker *worker)
{
    *pool = (struct upstream_pool){.worker = worker};
    list_init(&pool->hosts);
}

static struct upstream_host *
find_host(struct upstream_pool *pool, struct slice key)
{
    for (struct list *node = pool->hosts.next; node != &pool->hosts; node = node->next) {
        struct upstream_host *host = list_entry(node, struct upstream_host, link);
        if (slice_is(key, host->key))
            return host;
    }
    struct upstream_host *host = calloc(1, sizeof *host);
    char *copy = host ? strndup(key.ptr, key.len) : NULL;
    if (!copy) {
        free(host);
        return NULL;
    }
    host->key = copy;
    list_init(&host->idle);
    list_init(&host->settling);
    list_init(&host->queue);
    list_init(&host->link);
    list_push_back(&pool->hosts, &host->link);
    return host;
}

/* A place has become free: the first in the queue may try, and must pass the turn on if it does not want it any more. */
static void
wake_next(struct upstream_host *host)
{
    struct list *node = list_pop(&host->queue);
    if (!node)
        return;
    struct upstream_waiter *waiter = list_entry(node, struct upstream_waiter, link);
    host->waiting--;
    waiter->called = true;
    host->called++;
    stream_post(waiter->stream, EVENT_TURN);
}

static void
destroy(struct upstream *upstream)
{
    struct upstream_pool *pool = &upstream->worker->upstreams;
    struct loop *loop = &upstream->worker->loop;
    assert(upstream->magic == MAGIC_UPSTREAM);
    list_remove(&upstream->link);
    if (upstream->idle) {
        upstream->host->idle_count--;
        pool->idle--;
    }
    loop_cancel(loop, &upstream->deadline);
    list_remove(&upstream->task.link);
    conn_close(upstream->conn, true);
    upstream->magic = 0;
    free(upstream->body);
    free(upstream);
}

static void
make_idle(struct upstream *upstream)
{
    struct worker *worker = upstream->worker;
    const struct config *config = worker->generation->config;
    struct upstream_host *host = upstream->host;
    upstream->settling = false;
    free(upstream->body);
    upstream->body = NULL;
    list_remove(&upstream->link);
    if (host->idle_count >= config->limits.upstream_idle || worker->draining) {
        destroy(upstream);
        return;
    }
    list_push_front(&host->idle, &upstream->link);
    upstream->idle = true;
    host->idle_count++;
    worker->upstreams.idle++;
    loop_arm(&worker->loop, &upstream->deadline, config->upstream_idle_ms);
}

static bool
is_read(const struct upstream *upstream)
{
    return !upstream->body || http_body_done(upstream->body);
}

/* An idle or settling connection has something to say. Idle ones have no business speaking: they are closed. */
static void
look(struct task *task)
{
    struct upstream *upstream = container_of(task, struct upstream, task);
    struct conn *conn = upstream->conn;
    assert(upstream->magic == MAGIC_UPSTREAM);
    if (!upstream->settling || upstream->dead) {
        destroy(upstream);
        return;
    }
    while (conn->in.len > 0 && !is_read(upstream)) {
        struct slice run = buf_peek(&conn->in), data;
        size_t before = run.len;
        int got;
        while ((got = http_body_next(upstream->body, &run, &data)) == 1)
            ;
        buf_consume(&conn->in, before - run.len);
        conn_touch(conn);
        if (got < 0) {
            destroy(upstream);
            return;
        }
    }
    if (conn->lost || conn->ended || (is_read(upstream) && conn->in.len > 0))
        destroy(upstream);
    else if (is_read(upstream))
        make_idle(upstream);
}

static void
idle_notify(void *owner, struct conn *conn, unsigned notices)
{
    struct upstream *upstream = owner;
    assert(upstream->magic == MAGIC_UPSTREAM);
    (void)conn;
    if (notices & (CONN_BYTES | CONN_END | CONN_LOST))
        loop_post(&upstream->worker->loop, &upstream->task);
}

static void
deadline_due(struct deadline *deadline)
{
    struct upstream *upstream = container_of(deadline, struct upstream, deadline);
    upstream->dead = true;
    loop_post(&upstream->worker->loop, &upstream->task);
}

static struct upstream *
take_idle(struct upstream_pool *pool, struct upstream_host *host)
{
    while (!list_empty(&host->idle)) {
        struct upstream *upstream = list_entry(host->idle.next, struct upstream, link);
        list_remove(&upstream->link);
        upstream->idle = false;
        host->idle_count--;
        pool->idle--;
        loop_cancel(&pool->worker->loop, &upstream->deadline);
        list_remove(&upstream->task.link);
        if (upstream->dead || upstream->conn->lost || upstream->conn->ended || upstream->conn->in.len > 0) {
            destroy(upstream);
            continue;
        }
        return upstream;
    }
    return NULL;
}

static int
dial(struct upstream_pool *pool, struct upstream_host *host, struct stream *stream,
     const struct deployment *deployment, struct upstream **out)
{
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (!upstream)
        return -ERR_MEMORY;
    upstream->magic = MAGIC_UPSTREAM;
    upstream->host = host;
    upstream->worker = pool->worker;
    list_init(&upstream->link);
    task_init(&upstream->task, look);
    deadline_init(&upstream->deadline, deadline_due);
    int error = conn_open(&pool->worker->loop, &deployment->target, stream_upstream_notify, stream, &upstream->conn);
    if (error < 0) {
        free(upstream);
        return error;
    }
    host->active++;
    pool->active++;
    pool->opened++;
    *out = upstream;
    return 0;
}

int
upstream_lease(struct upstream_pool *pool, struct stream *stream, const struct deployment *deployment, bool fresh,
               struct upstream **out)
{
    const struct config *config = pool->worker->generation->config;
    struct upstream_host *host = find_host(pool, deployment->target.cache_key);
    if (!host)
        return -ERR_MEMORY;
    struct upstream_waiter *waiter = &stream->tries->waiter;
    assert(!waiter->called || waiter->host == host);
    if (waiter->called)
        host->called--;
    waiter->called = false;
    uint64_t cap = deployment->config->max_connections ? deployment->config->max_connections
                                                       : config->limits.upstream_connections;
    if (host->active + host->called >= cap) {
        if (host->waiting >= config->limits.upstream_queue)
            return -ERR_QUEUE;
        assert(!list_linked(&waiter->link));
        waiter->stream = stream;
        waiter->host = host;
        list_push_back(&host->queue, &waiter->link);
        host->waiting++;
        pool->queued++;
        return 2;
    }
    struct upstream *upstream = fresh ? NULL : take_idle(pool, host);
    if (!upstream) {
        int error = dial(pool, host, stream, deployment, out);
        if (error < 0)
            wake_next(host);
        return error;
    }
    upstream->reused = true;
    host->active++;
    pool->active++;
    pool->reused++;
    conn_own(upstream->conn, stream_upstream_notify, stream);
    *out = upstream;
    return 1;
}

void
upstream_leave_queue(struct upstream_pool *pool, struct stream *stream)
{
    (void)pool;
    if (!stream->tries)
        return; /* there is nothing left to try */
    struct upstream_waiter *waiter = &stream->tries->waiter;
    if (list_linked(&waiter->link)) {
        list_remove(&waiter->link);
        waiter->host->waiting--;
    } else if (waiter->called) {
        waiter->called = false;
        waiter->host->called--;
        wake_next(waiter->host);
    }
}

static void
end_lease(struct upstream *upstream)
{
    assert(upstream->host->active > 0);
    upstream->host->active--;
    upstream->worker->upstreams.active--;
    wake_next(upstream->host);
}

void
upstream_return(struct upstream *upstream, const struct http_body *body)
{
    struct loop *loop = &upstream->worker->loop;
    assert(upstream->magic == MAGIC_UPSTREAM);
    conn_own(upstream->conn, idle_notify, upstream);
    conn_resume(upstream->conn);
    assert(!upstream->body);
    if (!http_body_done(body)) {
        upstream->body = malloc(sizeof *upstream->body);
        if (!upstream->body) { /* what is left of the reply can not be told from the next one */
            upstream_drop(upstream);
            return;
        }
        *upstream->body = *body;
    }
    upstream->settling = true;
    upstream->dead = false;
    list_push_back(&upstream->host->settling, &upstream->link);
    loop_arm(loop, &upstream->deadline, SETTLE_MS);
    end_lease(upstream);
    look(&upstream->task);
}

void
upstream_drop(struct upstream *upstream)
{
    end_lease(upstream);
    destroy(upstream);
}

void
upstream_pool_close(struct upstream_pool *pool)
{
    struct list *node;
    while ((node = list_pop(&pool->hosts)) != NULL) {
        struct upstream_host *host = list_entry(node, struct upstream_host, link);
        assert(list_empty(&host->queue));
        while (!list_empty(&host->idle))
            destroy(list_entry(host->idle.next, struct upstream, link));
        while (!list_empty(&host->settling))
            destroy(list_entry(host->settling.next, struct upstream, link));
        free(host->key);
        free(host);
    }
}
