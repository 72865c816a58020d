/* SPDX-License-Identifier: MIT
 *
 * invariants.c - what holds whenever a worker is about to sleep, whatever has happened to it: the lists, the leases, the
 * deadlines, the bounds and the books.
 *
 * loop_quiet (reactor/loop.c) has looked at every connection by then. Each thing is counted here a second time, from the
 * objects, and held against what the program keeps.
 */
#include "tests/sim/harness.h"

#include "gateway/resume.h"
#include "gateway/route.h"
#include "reactor/tls.h"
#include "reactor/wire.h"
#include "tests/sim/scripts.h"

/* One run and one held event expand to at most this much beyond the mark where the pump stops. */
#define CLIENT_OVERSHOOT (64u * 1024)
#define RESPONSES_OVERSHOOT (4096u * 1024)
#define UPSTREAM_OUT_MAX (131072u + 65536u + 65536u)

struct sums { /* over everything that lives */
    size_t streams, leases, called, waiting, exchanges, request_bytes;
    size_t armed, chunks, conns, owned, sockets, dialing;
};

static void
add_deadline(struct sums *sums, const struct deadline *deadline)
{
    sums->armed += deadline_armed(deadline);
}

/* ---------------------------------------------------------------- connections */

static size_t
count_chunks(const struct buf *buf)
{
    size_t chunks = 0, bytes = 0;
    for (const struct chunk *chunk = buf->head; chunk; chunk = chunk->next) {
        assert(chunk->start <= chunk->end);
        assert(chunk->end <= sizeof chunk->data);
        bytes += chunk->end - chunk->start;
        chunks++;
        assert(chunk->next || chunk == buf->tail);
    }
    assert(bytes == buf->len);
    assert(buf->len > 0 || chunks == 0); /* whoever is quiet holds nothing */
    assert(buf->offer == NULL);          /* readiness: no offer outlives the call */
    return chunks;
}

static void
add_conn(struct sums *sums, const struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    sums->conns++;
    sums->chunks += count_chunks(&conn->in) + count_chunks(&conn->out);
    if (conn->wire == &tls_wire && conn->wire_state)
        sums->chunks += count_chunks(&((const struct tls *)conn->wire_state)->cipher);
    sums->sockets += conn->fd >= 0;
    sums->dialing += conn->dial != NULL;
    add_deadline(sums, &conn->linger);
    assert(!conn->lost || conn->error < 0);
    assert(!conn->lost || conn->out.len == 0 || list_linked(&conn->move_link) || conn->fd < 0);
}

static void
add_conns(struct sums *sums, const struct loop *loop)
{
    struct list *link;
    for (link = loop->conn_list.next; link != &loop->conn_list; link = link->next) {
        const struct conn *conn = list_entry(link, struct conn, loop_link);
        add_conn(sums, conn);
        sums->owned += !conn->closing;
    }
    for (link = loop->graveyard.next; link != &loop->graveyard; link = link->next) {
        const struct conn *conn = list_entry(link, struct conn, grave_link);
        add_conn(sums, conn);
        assert(conn->closing);
        assert(conn->fd < 0);
    }
}

/* ---------------------------------------------------------------- streams */

/* Every state ends some time: by its own deadline, by the exchange's, or by the one it waits for. */
static void
check_deadlines(const struct stream *stream)
{
    bool step = deadline_armed(&stream->step), total = deadline_armed(&stream->total);
    if (stream->notices)
        return;
    switch (stream->state) {
    case STATE_IDLE:
        assert(step);
        assert(!total);
        break;
    case STATE_HEAD:
    case STATE_BODY:
    case STATE_SEND:
    case STATE_AWAIT:
    case STATE_RELAY:
    case STATE_STALL:
        assert(step);
        assert(total);
        break;
    case STATE_DIAL: /* who waits for what is fetched for it is woken by that, and by the end of the exchange */
    case STATE_COLLECT:
        assert(total);
        assert(step || stream->unwritten || stream->gather);
        break;
    case STATE_FINISH:
        assert(step || (resume_follows(stream) && deadline_armed(&stream->ping)));
        break;
    case STATE_CLOSED:
    case STATE_COUNT:
        assert(!"a stream that is closed is freed in the same turn");
    }
    assert(!stream->detached || deadline_armed(&stream->patience));
}

static void
check_lease(const struct stream *stream, bool unruly)
{
    const struct upstream *lease = stream->lease;
    bool needed = stream->state == STATE_SEND || stream->state == STATE_AWAIT || stream->state == STATE_RELAY ||
                  stream->state == STATE_STALL;
    assert(lease || !needed);
    if (!lease)
        return;
    assert(stream->state >= STATE_DIAL && stream->state <= STATE_STALL);
    assert(lease->magic == MAGIC_UPSTREAM);
    assert(!lease->idle);
    assert(!lease->settling);
    assert(!list_linked(&lease->link));
    assert(lease->conn->owner == stream);
    assert(!lease->conn->closing);
    assert(lease->conn->out.len <= UPSTREAM_OUT_MAX);
    assert(lease->conn->paused == (stream->state == STATE_STALL) || unruly);
    assert(!stream->queued);
    /* Bytes that nobody will be told of again must not be left lying. */
    if (!stream->notices && (stream->state == STATE_RELAY || stream->state == STATE_AWAIT || stream->state == STATE_COLLECT))
        assert(lease->conn->in.len == 0 || unruly);
    if (!stream->notices && (stream->state == STATE_RELAY || stream->state == STATE_AWAIT || stream->state == STATE_COLLECT))
        assert((!lease->conn->ended && !lease->conn->lost) || unruly);
}

static void
check_client(const struct stream *stream, const struct world *world)
{
    bool unruly = world->unruly;
    const struct conn *client = stream->client;
    assert(client->magic == MAGIC_CONN);
    assert(client->owner == stream);
    assert(!client->closing);
    assert(client->landing.room == 0 || stream->state == STATE_BODY || stream->state == STATE_FINISH);
    /* Where everything is said again at the end, an event is as large as the reply. */
    size_t more = stream->dialect && stream->dialect->id == DIALECT_OPENAI_RESPONSES ? RESPONSES_OVERSHOOT : CLIENT_OVERSHOOT;
    assert(client->out.len <= client->out_high + more || unruly);
    if (stream->notices || unruly)
        return;
    assert(!client->lost || stream->detached); /* a client that has gone is noticed */
    if (stream->state == STATE_IDLE)
        assert(client->in.len == 0 && !client->ended);
    if (stream->state == STATE_STALL && !stream->detached) {
        const struct pool *pool = &client->loop->pool;
        bool ample = !world->scarce && pool->chunks_max * CHUNK_BYTES >= 256 * client->out_high;
        assert(conn_unsent(client) > 0); /* ROOM will come, or EMPTY where memory was scarce */
        assert(client->was_high || !ample);
    }
    if (stream->state == STATE_FINISH && !resume_follows(stream) && !stream->detached)
        assert(conn_unsent(client) > 0 || stream->collected_sent < stream->collected.len);
}

static void
add_stream(struct sums *sums, const struct stream *stream, const struct world *world)
{
    assert(stream->magic == MAGIC_STREAM);
    assert(stream->state < STATE_CLOSED);
    assert(stream->notices == 0 || list_linked(&stream->task.link));
    check_deadlines(stream);
    check_lease(stream, world->unruly);
    check_client(stream, world);
    assert((stream->generation == NULL) == (stream->state == STATE_IDLE));
    assert(!stream->queued || stream->state == STATE_DIAL);
    assert(!stream->queued || list_linked(&stream->tries->waiter.link) || stream->tries->waiter.called);
    assert(!list_linked(&stream->token_wait) || stream->state == STATE_DIAL);
    assert(!stream->enclosure || stream->state == STATE_DIAL);
    assert(stream->stamps.begin == 0 || stream->state != STATE_IDLE);
    assert(stream->stamps.begin != 0 || stream->state == STATE_IDLE); /* accounted for once, when it ends */
    sums->streams++;
    sums->leases += stream->lease != NULL;
    sums->called += stream->tries && stream->tries->waiter.called;
    sums->exchanges += stream->stamps.begin != 0;
    sums->request_bytes += stream->tries ? stream->tries->body_bytes.len : 0;
    add_deadline(sums, &stream->total);
    add_deadline(sums, &stream->step);
    add_deadline(sums, &stream->ping);
    add_deadline(sums, &stream->patience);
}

/* ---------------------------------------------------------------- upstreams */

static size_t
length(const struct list *list)
{
    size_t n = 0;
    for (struct list *link = list->next; link != list; link = link->next)
        n++;
    return n;
}

static size_t
check_upstreams(const struct list *list, bool idle, struct sums *sums)
{
    size_t n = 0;
    for (struct list *link = list->next; link != list; link = link->next, n++) {
        const struct upstream *upstream = list_entry(link, struct upstream, link);
        assert(upstream->magic == MAGIC_UPSTREAM);
        assert(upstream->idle == idle);
        assert(upstream->settling == !idle);
        assert(upstream->conn->owner == upstream);
        assert(!upstream->conn->paused);
        bool due = list_linked(&upstream->task.link);
        assert(due || deadline_armed(&upstream->deadline));
        assert(due || (!upstream->conn->lost && !upstream->conn->ended && upstream->conn->in.len == 0));
        add_deadline(sums, &upstream->deadline);
    }
    return n;
}

/* The fewest connections that anybody who calls this host allows it. */
static uint64_t
least_cap(const struct generation *generation, const struct upstream_host *host)
{
    uint64_t cap = generation->config->limits.upstream_connections;
    for (uint32_t i = 0; i < generation->config->deployment_count; i++) {
        const struct deployment *deployment = &generation->deployments[i];
        uint64_t own = deployment->config->max_connections;
        if (own > 0 && own < cap && slice_is(deployment->target.cache_key, host->key))
            cap = own;
    }
    return cap;
}

static void
check_pool(const struct upstream_pool *pool, const struct generation *generation, struct sums *sums)
{
    uint64_t cap = generation->config->limits.upstream_connections;
    size_t active = 0, waiting = 0, called = 0, idle = 0, kept = 0;
    for (struct list *link = pool->hosts.next; link != &pool->hosts; link = link->next) {
        const struct upstream_host *host = list_entry(link, struct upstream_host, link);
        size_t here = check_upstreams(&host->idle, true, sums);
        assert(host->idle_count == here);
        kept += here + check_upstreams(&host->settling, false, sums);
        assert(host->waiting == length(&host->queue));
        assert(host->active + host->called <= cap);
        /* Nobody waits beside a free place. */
        assert(host->waiting == 0 || host->active + host->called >= least_cap(generation, host));
        active += host->active;
        waiting += host->waiting;
        called += host->called;
        idle += here;
    }
    assert(pool->active == active);
    assert(pool->active == sums->leases);
    assert(pool->idle == idle);
    assert(called == sums->called);
    sums->waiting = waiting;
    sums->owned -= kept;
}

/* ---------------------------------------------------------------- the books */

/* Each exchange that was begun is under way or has ended for one reason. */
static void
check_ends(const struct metrics *metrics, size_t under_way)
{
    uint64_t begun = metrics->transitions[STATE_IDLE][EVENT_CLIENT_BYTES] - metrics->transitions[STATE_HEAD][EVENT_KEEP] -
                     metrics->transitions[STATE_HEAD][EVENT_LEAVE];
    uint64_t ended = 0;
    for (int i = 0; i < END_COUNT; i++)
        ended += metrics->ends[i];
    assert(begun == ended + under_way);
    assert(metrics->ends[END_INTERNAL] == 0);
    assert(atomic_load(&metrics->streams_active) == under_way);
}

void
world_check(const struct world *world, const struct worker *worker)
{
    const struct loop *loop = &worker->loop;
    struct sums sums = {0};
    for (struct list *link = worker->streams.next; link != &worker->streams; link = link->next)
        add_stream(&sums, list_entry(link, struct stream, link), world);
    assert(sums.streams == worker->stream_count);
    assert(sums.request_bytes == worker->request_bytes);
    assert(atomic_load(&worker->metrics->connections_active) == sums.streams);
    check_ends(worker->metrics, sums.exchanges);
    add_conns(&sums, loop);
    size_t fetches = length(&worker->fetches);
    check_pool(&worker->upstreams, worker->generation, &sums);
    assert(sums.owned >= sums.streams + sums.leases); /* what is open has one owner */
    assert(sums.owned <= sums.streams + sums.leases + fetches);
    assert(sums.conns == loop->conns);
    assert(loop->stats.conns_open - loop->stats.conns_closed == loop->conns);
    assert(sums.chunks == loop->pool.chunks_used);
    if (world->worker_count == 1) {
        assert(sim_sockets_open(world->sim) >= sums.sockets);
        assert(sums.dialing > 0 || sim_sockets_open(world->sim) == sums.sockets);
    }
    add_deadline(&sums, &worker->second);
    add_deadline(&sums, &worker->drain);
    if (worker->listener.magic)
        add_deadline(&sums, &worker->listener.retry);
    /* Beside these: a race of addresses, one for each fetch, and a few of names and TLS. */
    assert(loop->wheel.armed >= sums.armed);
    assert(loop->wheel.armed <= sums.armed + sums.dialing + fetches + (loop->resolver ? 16 : 0) + (loop->tls ? 2 : 0));
}
