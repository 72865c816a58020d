/* SPDX-License-Identifier: MIT
 *
 * conn.c - one byte stream: its life from open to grave, its notices, what its owner may do to it.
 *
 *     open -> dial -> connected -> started -> up -> (ended)
 *     adopt ------------^             \________ lost
 *     close: flush -> FIN -> discard -> graveyard -> free
 *
 * How bytes move is the backend's business (ready.c); how a dial finds its socket is dial.c's.
 */
#include "reactor/conn.h"

#include "reactor/backend.h"
#include "reactor/wire.h"

#include <stdio.h>
#include <stdlib.h>

#define OFFER_CHUNKS_PLAIN 1
#define OFFER_CHUNKS_TLS 8 /* a record of full size and the beginning of the next */
#define BEHIND_LANDING_BYTES 1024 /* offered behind what lands: to see without another call that nothing follows */

static void linger_due(struct deadline *deadline);

static struct conn *
conn_new(struct loop *loop, conn_notify *notify, void *owner)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return NULL;
    conn->magic = MAGIC_CONN;
    conn->fd = -1;
    conn->loop = loop;
    conn->notify = notify;
    conn->owner = owner;
    conn->wire = &plain_wire;
    conn->offer_chunks = OFFER_CHUNKS_PLAIN;
    conn->out_high = conn->out_low = loop->limits.in_bytes_max;
    conn->opened_ms = loop->now_ms;
    buf_init(&conn->in, &loop->pool);
    buf_init(&conn->out, &loop->pool);
    list_init(&conn->move_link);
    list_init(&conn->grave_link);
    deadline_init(&conn->linger, linger_due);
    list_init(&conn->loop_link);
    list_push_back(&loop->conn_list, &conn->loop_link);
    loop->conns++;
    loop_count(&loop->stats.conns_open, 1);
    return conn;
}

static void
conn_free(struct conn *conn)
{
    struct loop *loop = conn->loop;
    assert(conn->magic == MAGIC_CONN);
    assert(!conn->dial);
    assert(!list_linked(&conn->move_link));
    assert(!deadline_armed(&conn->linger));
    conn->wire->fini(conn);
    buf_clear(&conn->in);
    buf_clear(&conn->out);
    list_remove(&conn->loop_link);
    list_remove(&conn->grave_link);
    assert(loop->conns > 0);
    loop->conns--;
    loop_count(&loop->stats.conns_closed, 1);
    conn->magic = 0;
    free(conn);
}

int
conn_open(struct loop *loop, const struct conn_target *target, conn_notify *notify, void *owner,
          struct conn **out)
{
    assert(notify);
    struct conn *conn = conn_new(loop, notify, owner);
    if (!conn)
        return -ERR_MEMORY;
    snprintf(conn->peer, sizeof(conn->peer), "%.*s:%u",
             (int)(target->host.len > 40 ? 40 : target->host.len), target->host.ptr,
             (unsigned)target->port);
    int error = dial_start(conn, target);
    if (error) {
        conn_free(conn);
        return error;
    }
    *out = conn;
    return 0;
}

/* begin - a connected socket is ours: watch it, and let the next move start the wire. */
static int
begin(struct conn *conn, int fd, const char *peer)
{
    assert(conn->fd < 0);
    snprintf(conn->peer, sizeof(conn->peer), "%s", peer);
    conn->fd = fd;
    int error = conn->loop->ops->attach(conn);
    if (error) {
        conn->fd = -1;
        return error;
    }
    conn->writable = true; /* a fresh socket is; whether it is readable the first edge says */
    conn_touch(conn);
    return 0;
}

int
conn_adopt(struct loop *loop, int fd, const struct server_key *server_key, const char *peer,
           conn_notify *notify, void *owner, struct conn **out)
{
    assert(fd >= 0);
    assert(notify);
    struct conn *conn = conn_new(loop, notify, owner);
    if (!conn)
        return -ERR_MEMORY;
    conn->client_side = true;
    int error = 0;
    if (server_key) {
        conn->offer_chunks = OFFER_CHUNKS_TLS;
        error = tls_server_wire(conn, server_key);
    }
    if (!error)
        error = begin(conn, fd, peer ? peer : "");
    if (error) {
        conn_free(conn);
        return error;
    }
    *out = conn;
    return 0;
}

void
conn_connected(struct conn *conn, int fd, const char *peer, const struct conn_target *target)
{
    assert(!conn->dial);
    assert(!conn->started);
    int error = 0;
    if (target->tls) {
        conn->offer_chunks = OFFER_CHUNKS_TLS;
        error = tls_client_wire(conn, target);
    }
    if (!error)
        error = begin(conn, fd, peer);
    if (error) {
        conn->loop->ops->socket_close(conn->loop, fd, false);
        conn_fail(conn, error);
    }
}

void
conn_own(struct conn *conn, conn_notify *notify, void *owner)
{
    assert(conn->magic == MAGIC_CONN);
    assert(!conn->closing);
    assert(notify);
    assert(conn->landing.room == 0);
    conn->notify = notify;
    conn->owner = owner;
}

void
conn_touch(struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    if (conn->out.len > conn->out_high)
        conn->was_high = true;
    if (conn_queued(conn) > 0)
        conn->had_out = true;
    if (conn->fd < 0)
        return;
    /* It may stand on the late or the held list, which would keep its output waiting. */
    list_remove(&conn->move_link);
    list_push_back(&conn->loop->move_list, &conn->move_link);
}

void
conn_consume(struct conn *conn, size_t n)
{
    assert(conn->magic == MAGIC_CONN);
    buf_consume(&conn->in, n);
    /* Of a plain socket that was read empty the next edge tells; other wires hold bytes of their own. */
    if (conn->readable || conn->wire != &plain_wire)
        conn_touch(conn);
}

int
conn_put(struct conn *conn, struct slice bytes)
{
    assert(!conn->closing);
    assert(conn->loan.len == 0); /* it would overtake */
    if (conn->lost)
        return 0;
    int error = buf_put(&conn->out, bytes);
    if (!error)
        conn_touch(conn);
    return error;
}

void
conn_lend(struct conn *conn, const struct slice *runs, size_t count)
{
    assert(!conn->closing);
    assert(conn->loan.len == 0);
    if (conn->lost)
        return;
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += runs[i].len;
    conn->loan = (struct conn_loan){.runs = runs, .len = len};
    conn_touch(conn);
}

size_t
conn_queued(const struct conn *conn)
{
    return conn->out.len + conn->loan.len;
}

int
conn_bytes(const struct conn *conn, struct iovec *iov, int max)
{
    const struct conn_loan *loan = &conn->loan;
    int count = buf_iov(&conn->out, iov, max);
    if (count == max) /* maybe not all of out, and nothing may overtake it */
        return count;
    size_t left = loan->len, skip = loan->skip;
    for (const struct slice *run = loan->runs; left > 0 && count < max; run++, skip = 0) {
        struct slice rest = slice_skip(*run, skip);
        if (rest.len > 0)
            iov[count++] = (struct iovec){(char *)(uintptr_t)rest.ptr, rest.len};
        left -= rest.len;
    }
    return count;
}

void
conn_sent(struct conn *conn, size_t n)
{
    struct conn_loan *loan = &conn->loan;
    size_t own = n < conn->out.len ? n : conn->out.len;
    buf_consume(&conn->out, own);
    n -= own;
    assert(n <= loan->len);
    loan->len -= n;
    while (n > 0) {
        size_t rest = loan->runs->len - loan->skip;
        size_t used = n < rest ? n : rest;
        n -= used;
        loan->skip += used;
        if (used == rest) {
            loan->runs++;
            loan->skip = 0;
        }
    }
}

void
conn_land(struct conn *conn, char *at, size_t room)
{
    assert(!conn->closing);
    assert(conn->landing.len == 0 || room == 0);
    assert(conn->in.len == 0 || room == 0);
    assert(room <= UINT32_MAX);
    conn->landing = (struct conn_landing){.at = at, .room = (uint32_t)room};
    if (room > 0 && (conn->readable || conn->wire != &plain_wire))
        conn_touch(conn);
}

size_t
conn_take_landed(struct conn *conn)
{
    size_t len = conn->landing.len;
    conn->landing.len = 0;
    return len;
}

int
conn_space(struct conn *conn, struct iovec *iov, int max, size_t limit)
{
    const struct conn_landing *landing = &conn->landing;
    size_t in_bytes_max = conn->loop->limits.in_bytes_max;
    int count = 0;
    assert(conn->in.len <= in_bytes_max);
    assert(landing->room == 0 || conn->in.len == 0);
    if (limit > 0 && landing->room > 0) {
        size_t here = landing->room < limit ? landing->room : limit;
        iov[count++] = (struct iovec){landing->at, here};
        limit -= here;
        if (limit > BEHIND_LANDING_BYTES)
            limit = BEHIND_LANDING_BYTES;
    }
    size_t room = in_bytes_max - conn->in.len;
    if (room > limit)
        room = limit;
    return room > 0 && count < max ? count + buf_space(&conn->in, iov + count, max - count, room) : count;
}

void
conn_filled(struct conn *conn, size_t n)
{
    struct conn_landing *landing = &conn->landing;
    uint32_t here = n < landing->room ? (uint32_t)n : landing->room;
    landing->at += here;
    landing->room -= here;
    landing->len += here;
    buf_filled(&conn->in, n - here);
    assert(conn->in.len <= conn->loop->limits.in_bytes_max);
}

void
conn_pause(struct conn *conn)
{
    assert(!conn->closing);
    conn->paused = true;
}

void
conn_resume(struct conn *conn)
{
    assert(!conn->closing);
    if (!conn->paused)
        return;
    conn->paused = false;
    conn_touch(conn);
}

size_t
conn_unsent(const struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    return conn_queued(conn) + conn->wire->unsent(conn);
}

uint64_t
conn_acked(struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    if (conn->fd >= 0) {
        uint64_t acked = conn->loop->ops->acked(conn->loop, conn->fd);
        if (acked > conn->acked_last)
            conn->acked_last = acked;
    }
    return conn->acked_last;
}

void
conn_raise(struct conn *conn, unsigned notices)
{
    assert(conn->magic == MAGIC_CONN);
    if (notices & CONN_UP) {
        assert(!conn->up);
        conn->up = true;
    }
    if (notices & CONN_END)
        conn->ended = true;
    if (notices && !conn->closing)
        conn->notify(conn->owner, conn, notices);
}

void
conn_fail(struct conn *conn, int error)
{
    assert(error < 0);
    if (conn->lost)
        return;
    conn->lost = true;
    conn->error = error;
    conn->loan = (struct conn_loan){0};
    conn_touch(conn); /* the move drops what can no longer be sent */
    conn_raise(conn, CONN_LOST);
}

struct conn_mark
conn_mark(const struct conn *conn)
{
    return (struct conn_mark){conn->in.len + conn->landing.len, conn_queued(conn)};
}

void
conn_settle(struct conn *conn, struct conn_mark mark, unsigned notices)
{
    size_t received = conn->in.len + conn->landing.len;
    assert(received >= mark.in_len);
    assert(conn_queued(conn) <= mark.out_len);
    conn->bytes_in += received - mark.in_len;
    conn->bytes_out += mark.out_len - conn_queued(conn);
    if (received > mark.in_len)
        notices |= CONN_BYTES;
    if (conn->sated && conn->peer_fin && !conn->got_fin)
        notices |= CONN_BYTES; /* there are, and its end behind them */
    if (conn->was_high && conn->out.len <= conn->out_low) {
        conn->was_high = false;
        notices |= CONN_ROOM;
    }
    if (conn->had_out && conn_unsent(conn) == 0) {
        conn->had_out = false;
        notices |= CONN_EMPTY;
    }
    conn_raise(conn, notices);
}

void
conn_sate(struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    conn->sated = true;
}

void
conn_crave(struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    if (!conn->sated)
        return;
    conn->sated = false;
    conn_consume(conn, 0);
}

void
conn_farewell(struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    conn->farewell = conn->wire == &plain_wire; /* another wire has an answer to its goodbye coming */
}

/* hungry - would this conn take input, were it not for the pool? */
static bool
hungry(const struct conn *conn)
{
    if (conn->lost || conn->got_fin || conn->ended)
        return false;
    if (!conn->up)
        return conn->started; /* a handshake pays no heed to pauses */
    size_t limit = conn->sated ? 1 : conn->loop->limits.in_bytes_max;
    return !conn->paused && !conn->closing && conn->in.len < limit;
}

/* may_take - does the pool allow it? When it is low, those still may who hold nothing: it is low because of others. */
static bool
may_take(const struct conn *conn)
{
    const struct pool *pool = &conn->loop->pool;
    if (!conn->up || !pool_low(pool))
        return true;
    return conn->in.len == 0 && (conn->client_side || !pool_tight(pool));
}

bool
conn_wants_input(const struct conn *conn)
{
    return hungry(conn) && may_take(conn);
}

bool
conn_hold(struct conn *conn)
{
    if (!pool_low(&conn->loop->pool) || !hungry(conn))
        return false;
    if (!conn->readable && conn->wire == &plain_wire)
        return false; /* the next edge will do; other wires may hold bytes of their own */
    list_remove(&conn->move_link);
    list_push_back(&conn->loop->held_list, &conn->move_link);
    return true;
}

void
conn_close(struct conn *conn, bool cut)
{
    assert(conn->magic == MAGIC_CONN);
    assert(!conn->closing);
    bool unread = conn->in.len + conn->landing.len > 0 || (conn->readable && !conn->got_fin);
    size_t unsent = conn_unsent(conn);
    cut = cut || conn->loan.len > 0; /* they go with the owner */
    conn->loan = (struct conn_loan){0};
    conn->landing = (struct conn_landing){0};
    conn->closing = true;
    conn->cut = cut;
    if (conn->loop->ops->in_flight(conn) == 0)
        buf_clear(&conn->in);
    if (conn->dial || conn->lost || cut || (!conn->up && conn->out.len == 0)) {
        dial_cancel(conn);
        conn_bury(conn, unread || unsent > 0 || conn->sever);
        return;
    }
    loop_arm(conn->loop, &conn->linger, conn->loop->limits.flush_ms);
    conn_touch(conn);
}

void
conn_sever(struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    conn->sever = true;
    conn_close(conn, true);
}

static void
linger_due(struct deadline *deadline)
{
    struct conn *conn = container_of(deadline, struct conn, linger);
    assert(conn->magic == MAGIC_CONN);
    assert(conn->closing);
    conn_bury(conn, !conn->sent_fin);
}

void
conn_bury(struct conn *conn, bool reset)
{
    struct loop *loop = conn->loop;
    assert(conn->magic == MAGIC_CONN);
    assert(conn->closing);
    assert(!list_linked(&conn->grave_link));
    loop_cancel(loop, &conn->linger);
    list_remove(&conn->move_link);
    if (conn->fd >= 0) {
        loop->ops->detach(conn);
        loop->ops->socket_close(loop, conn->fd, reset);
        conn->fd = -1;
    }
    list_remove(&conn->loop_link);
    list_push_back(&loop->graveyard, &conn->grave_link);
}

void
conn_sweep(struct loop *loop)
{
    struct list *link = loop->graveyard.next;
    while (link != &loop->graveyard) {
        struct conn *conn = list_entry(link, struct conn, grave_link);
        link = link->next;
        if (loop->ops->in_flight(conn) == 0)
            conn_free(conn);
    }
}
