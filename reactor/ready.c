/* SPDX-License-Identifier: MIT
 *
 * ready.c - move for backends that report readiness (epoll, sim): one conn, one tick's share.
 *
 *     step the wire, send what must leave, receive what is wanted;
 *     again until nothing moves or the share is used
 *
 * Readiness is edge-triggered and remembered in two bits. A receive that filled less than it was
 * offered has emptied the socket, a send that took less than it was given has filled it: no second
 * call is made to hear EAGAIN. Once the peer's FIN is reported that is no longer so: no further
 * edge will announce what is left.
 */
#include "reactor/backend.h"
#include "reactor/wire.h"

#define IOV_MAX_OF_OURS 20
#define OFFER_CHUNKS_MAX 16
#define SCRATCH_BYTES (16 * 1024)

_Static_assert(OFFER_CHUNKS_MAX < IOV_MAX_OF_OURS,
               "an offer fits its iovecs, a part of the tail chunk included");

static size_t
iov_bytes(const struct iovec *iov, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

/* iov_clip - cut the iovecs down to limit bytes; returns how many are left. */
static int
iov_clip(struct iovec *iov, int count, size_t limit)
{
    int kept = 0;
    while (kept < count && limit > 0) {
        if (iov[kept].iov_len > limit)
            iov[kept].iov_len = limit;
        limit -= iov[kept++].iov_len;
    }
    return kept;
}

static void
broken(struct conn *conn)
{
    conn->broken = true;
    conn->readable = true; /* the kernel may still hold what came before the error */
    conn->writable = false;
}

/* send_some - send while the kernel takes bytes. 1 some left, 0 none, -ERR from the wire. */
static int
send_some(struct conn *conn)
{
    struct loop *loop = conn->loop;
    struct iovec iov[IOV_MAX_OF_OURS];
    int progress = 0;
    while (conn->writable && conn->moved_out < loop->limits.move_bytes_max) {
        int count = conn->wire->bytes(conn, iov, IOV_MAX_OF_OURS);
        count = iov_clip(iov, count, loop->limits.move_bytes_max - conn->moved_out);
        if (count == 0)
            break;
        size_t given = iov_bytes(iov, count);
        ssize_t sent = loop->ops->send(loop, conn->fd, iov, count);
        loop_count(&loop->stats.sends, 1);
        if (sent == -ERR_AGAIN) {
            conn->writable = false;
            break;
        }
        if (sent < 0) {
            broken(conn);
            break;
        }
        assert((size_t)sent <= given);
        if ((size_t)sent < given)
            conn->writable = false;
        loop_count(&loop->stats.bytes_out, (uint64_t)sent);
        conn->moved_out += (uint32_t)sent;
        int error = conn->wire->sent(conn, (size_t)sent);
        if (error)
            return error;
        progress = 1;
        if (conn->wire == &plain_wire && conn_queued(conn) == 0)
            break;
    }
    return progress;
}

/* fin_read - the peer's FIN was read. What follows an error looks like one and is none. */
static int
fin_read(struct conn *conn, unsigned *notices)
{
    conn->readable = false;
    if (conn->broken)
        return -ERR_RESET;
    conn->got_fin = true;
    int error = conn->wire->ended(conn);
    if (!error && !conn->ended)
        *notices |= CONN_END;
    return error;
}

/* adapt_offer - offer more memory to a sender that fills it, less to one that does not. */
static void
adapt_offer(struct conn *conn, size_t offered, size_t received)
{
    if (received == offered && conn->offer_chunks < OFFER_CHUNKS_MAX)
        conn->offer_chunks = (uint8_t)(conn->offer_chunks * 2);
    else if (received < offered / 4 && conn->offer_chunks > 1)
        conn->offer_chunks = (uint8_t)(conn->offer_chunks / 2);
}

/* receive_once - 1 something arrived (bytes or FIN), 0 nothing can now, -ERR the conn is lost. */
static int
receive_once(struct conn *conn, size_t limit, unsigned *notices)
{
    struct loop *loop = conn->loop;
    struct iovec iov[IOV_MAX_OF_OURS];
    bool landing = conn->landing.room > 0;
    size_t chunks = conn->sated || pool_low(&loop->pool) ? 1 : conn->offer_chunks;
    size_t offer = landing ? limit : chunks * sizeof(((struct chunk *)0)->data);
    int count = conn->wire->space(conn, iov, IOV_MAX_OF_OURS, offer < limit ? offer : limit);
    if (count == 0)
        return 0;
    size_t offered = iov_bytes(iov, count);
    ssize_t received = loop->ops->receive(loop, conn->fd, iov, count);
    loop_count(&loop->stats.receives, 1);
    if (received <= 0) {
        int error = conn->wire->filled(conn, 0);
        if (error)
            return error;
        if (received == 0)
            error = fin_read(conn, notices);
        else if (received == -ERR_AGAIN)
            conn->readable = false;
        else
            error = (int)received;
        return error ? error : received == 0;
    }
    assert((size_t)received <= offered);
    if ((size_t)received < offered && !conn->peer_fin && !conn->broken)
        conn->readable = false;
    if (!landing)
        adapt_offer(conn, offered, (size_t)received);
    loop_count(&loop->stats.bytes_in, (uint64_t)received);
    conn->moved_in += (uint32_t)received;
    int error = conn->wire->filled(conn, (size_t)received);
    return error ? error : 1;
}

/* receive_some - receive while bytes are wanted and there; a broken conn takes all it can. The first bytes of a request are
 * shown to the owner at once: they may say where the others belong (conn_land). */
static int
receive_some(struct conn *conn, unsigned *notices)
{
    size_t share = conn->loop->limits.move_bytes_max;
    bool shown = conn->client_side && conn->wire == &plain_wire && conn->in.len == 0 && conn->landing.room == 0;
    int progress = 0;
    while (conn->readable && conn_wants_input(conn) && (conn->broken || conn->moved_in < share)) {
        int got = receive_once(conn, conn->broken ? share : share - conn->moved_in, notices);
        if (got <= 0)
            return got < 0 ? got : progress;
        progress = 1;
        if (shown && !conn->broken)
            break;
    }
    return progress;
}

/* discard_some - a closing conn reads and forgets, so that the peer sees no reset. 0 or -ERR. */
static int
discard_some(struct conn *conn)
{
    struct loop *loop = conn->loop;
    char scratch[SCRATCH_BYTES];
    while (conn->readable && !conn->got_fin && conn->moved_in < loop->limits.move_bytes_max) {
        struct iovec iov = {scratch, sizeof(scratch)};
        ssize_t received = loop->ops->receive(loop, conn->fd, &iov, 1);
        loop_count(&loop->stats.receives, 1);
        if (received == 0) {
            conn->got_fin = true;
        } else if (received == -ERR_AGAIN) {
            conn->readable = false;
        } else if (received < 0) {
            return (int)received;
        } else {
            conn->moved_in += (uint32_t)received;
            conn->discarded += (uint32_t)received;
            if ((size_t)received < sizeof(scratch) && !conn->peer_fin)
                conn->readable = false;
        }
    }
    return conn->broken ? -ERR_RESET : 0;
}

/* exchange - step, send, receive until nothing moves. 0 or -ERR; later: more in the next tick. */
static int
exchange(struct conn *conn, unsigned *notices, bool *later)
{
    for (;;) {
        int stepped = conn->wire->step(conn);
        if (stepped < 0)
            return stepped;
        bool ending = conn->closing && conn->up;
        if (ending && conn->out.len == 0 && !conn->finished)
            conn->finished = conn->wire->finish(conn);
        int sent = send_some(conn);
        if (sent < 0)
            return sent;
        int received = ending ? discard_some(conn) : receive_some(conn, notices);
        if (received < 0)
            return received;
        if (stepped == 2)
            *later = true;
        /* A plain wire has nothing to say of its own accord: what there was has been moved. */
        if (stepped != 1 && ((!sent && !received) || (conn->wire == &plain_wire && !ending)))
            break;
    }
    size_t share = conn->loop->limits.move_bytes_max;
    if (conn->writable && conn->moved_out >= share && conn_unsent(conn) > 0)
        *later = true;
    if (conn->readable && conn->moved_in >= share && (conn->closing || conn_wants_input(conn)))
        *later = true;
    return conn->broken ? -ERR_RESET : 0;
}

/* last_words - after an error of its own a wire may tell the peer; nobody waits for the outcome. */
static void
last_words(struct conn *conn)
{
    struct iovec iov[IOV_MAX_OF_OURS];
    int count = conn->broken || !conn->writable ? 0 : conn->wire->bytes(conn, iov, IOV_MAX_OF_OURS);
    if (count == 0)
        return;
    ssize_t sent = conn->loop->ops->send(conn->loop, conn->fd, iov, count);
    if (sent > 0 && conn->wire->sent(conn, (size_t)sent) != 0)
        return; /* it is lost already */
}

/* wind_up - a closing conn goes on: FIN once all is sent, the grave once the peer has ended too. */
static void
wind_up(struct conn *conn, bool progress)
{
    struct loop *loop = conn->loop;
    if (!conn->sent_fin && conn->finished && conn_unsent(conn) == 0) {
        if (conn->farewell && !conn->readable) {
            conn_bury(conn, false);
            return;
        }
        loop->ops->half_close(loop, conn->fd);
        conn->sent_fin = true;
        loop_arm(loop, &conn->linger, loop->limits.linger_ms);
    } else if (!conn->sent_fin && progress) {
        loop_arm(loop, &conn->linger, loop->limits.flush_ms);
    }
    if (conn->sent_fin && (conn->got_fin || conn->discarded > loop->limits.linger_bytes))
        conn_bury(conn, false);
}

/* forget - a lost conn can send nothing any more; if its owner has let go of it, it may rest. */
static void
forget(struct conn *conn)
{
    assert(conn->lost);
    buf_clear(&conn->out);
    conn->readable = conn->writable = false;
    if (conn->closing)
        conn_bury(conn, false);
}

bool
ready_move(struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    assert(conn->fd >= 0);
    if (conn->lost) {
        forget(conn);
        return false;
    }
    if (conn->moved_tick != conn->loop->stats.ticks) {
        conn->moved_tick = conn->loop->stats.ticks;
        conn->moved_in = conn->moved_out = 0;
    }
    struct conn_mark mark = conn_mark(conn);
    size_t moved_out = conn->moved_out;
    unsigned notices = 0;
    bool later = false;
    int error = 0;
    if (!conn->started) {
        conn->started = true;
        error = conn->wire->start(conn);
    }
    if (!error)
        error = exchange(conn, &notices, &later);
    if (error) {
        last_words(conn);
        conn_settle(conn, mark, notices);
        conn_fail(conn, error);
        return false;
    }
    conn_settle(conn, mark, notices);
    if (conn->closing) {
        wind_up(conn, conn->moved_out > moved_out);
        return later && conn->fd >= 0;
    }
    if (later)
        return true;
    if (conn_hold(conn))
        return false;
    /* The system gave no memory although the pool would allow it: ask again, forget no bytes. */
    bool answers_first = conn->wire != &plain_wire && (!conn->up || (!conn->writable && conn_unsent(conn) > 0));
    return conn->readable && !answers_first && conn_wants_input(conn);
}

int
ready_in_flight(const struct conn *conn)
{
    assert(conn->magic == MAGIC_CONN);
    return 0;
}

void
ready_conn(struct conn *conn, unsigned ready)
{
    assert(conn->magic == MAGIC_CONN);
    if (ready & READY_OUT)
        conn->writable = true;
    if (ready & (READY_IN | READY_PEER_FIN))
        conn->readable = true;
    if (ready & READY_PEER_FIN)
        conn->peer_fin = true;
    /* A hang-up without an error is both FINs, or an error that somebody has heard already. */
    if ((ready & READY_ERROR) || ((ready & READY_HANGUP) && !conn->sent_fin))
        broken(conn);
    conn_touch(conn);
}

void
ready_watch(struct watch *watch, unsigned ready)
{
    assert(watch->magic == MAGIC_WATCH);
    unsigned bits = 0;
    if (ready & ~(unsigned)READY_OUT)
        bits |= WATCH_READ;
    if (ready & (READY_OUT | READY_ERROR | READY_HANGUP))
        bits |= WATCH_WRITE;
    if (bits) {
        watch->ready |= bits;
        watch->notify(watch, bits);
    }
}
