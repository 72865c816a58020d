/* SPDX-License-Identifier: MIT
 *
 * tls.c - the TLS wire: ciphertext around a BearSSL engine, which does neither I/O nor waiting.
 *
 *     kernel -> cipher -> recvrec [engine] recvapp -> in          out -> sendapp [engine] sendrec
 * -> kernel
 *
 * Received bytes land in chunks of the loop's pool that belong to the conn: they may be offered to
 * a completion backend as well as to readiness ones, they stay while the engine cannot take them,
 * and a quiet conn holds none. Memory is offered only when nothing undelivered is left, so a FIN is
 * never seen in front of the bytes before it.
 */
#include "reactor/tls.h"

#include "reactor/loop.h"
#include "reactor/trust.h"
#include "reactor/wire.h"

#include <bearssl.h>

#include <stdlib.h>

/* -- the end of a handshake, good or bad -- */

static void
handshake_done(struct tls *tls)
{
    struct loop_stats *stats = &tls->conn->loop->stats;
    tls->done = true;
    tls->resumed = tls->target ? tls_client_resumed(tls) : tls_server_resumed(tls);
    loop_count(&stats->handshakes, 1);
    if (tls->resumed)
        loop_count(&stats->handshakes_resumed, 1);
    if (tls->target)
        tls_client_done(tls);
    tls_verify_give(tls);
    tls_turn_leave(tls);
    conn_raise(tls->conn, CONN_UP);
}

/* The engine sends no alert when it refuses a certificate; the server's operator should still learn
 * of it. Client and server are in clear text at that point. */
static void
prepare_alert(struct tls *tls, int code)
{
    enum {
        ALERT = 21,
        FATAL = 2,
        BAD_CERTIFICATE = 42,
        EXPIRED = 45,
        UNACCEPTABLE = 46,
        UNKNOWN_CA = 48
    };
    uint8_t description = BAD_CERTIFICATE;
    if (code == BR_ERR_X509_EXPIRED)
        description = EXPIRED;
    else if (code == BR_ERR_X509_NOT_TRUSTED)
        description = UNKNOWN_CA;
    else if (code >= TLS_ERROR_PIN)
        description = UNACCEPTABLE;
    const uint8_t alert[] = {ALERT, 3, 3, 0, 2, FATAL, description};
    _Static_assert(sizeof(alert) == sizeof(tls->alert), "one record");
    memcpy(tls->alert, alert, sizeof(alert));
    tls->alert_left = sizeof(alert);
}

/* give_up - the wire is of no more use; error is what its conn is lost with. */
static int
give_up(struct tls *tls, int error)
{
    assert(!tls->failed);
    tls->failed = true;
    buf_clear(&tls->cipher);
    if (!tls->done) {
        loop_count(&tls->conn->loop->stats.handshake_failures, 1);
        if (tls->target)
            tls_client_failed(tls);
    }
    tls_verify_give(tls);
    tls_turn_leave(tls);
    return error;
}

/* fail - for the engine's codes and our own; the first one sticks. */
static int
fail(struct tls *tls, int code)
{
    if (tls->failed)
        return tls_error_class(tls->conn->tls_error);
    int error = tls_error_class(code);
    tls->conn->tls_error = code;
    if (!tls->done && error == -ERR_TLS_CERT)
        prepare_alert(tls, code);
    return give_up(tls, error);
}

/* What the engine says of itself: 0 go on, 1 the peer has closed, -ERR. */
static int
look(struct tls *tls)
{
    if (tls->failed)
        return fail(tls, 0);
    unsigned state = br_ssl_engine_current_state(tls->engine);
    if (state == BR_SSL_CLOSED) {
        int code = br_ssl_engine_last_error(tls->engine);
        if (code || !tls->done)
            return fail(tls, code ? code : TLS_ERROR_HUNG_UP);
        if (!tls->peer_closed) {
            tls->peer_closed = true;
            buf_clear(&tls->cipher);
            if (!tls->conn->closing)
                conn_raise(tls->conn, CONN_END);
        }
        return 1;
    }
    if (!tls->done && (state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)))
        handshake_done(tls);
    return 0;
}

/* -- inwards -- */

/* Decrypted bytes go to where they land or to in while it has room; what nobody will read any more is dropped. */
static bool
drain(struct tls *tls)
{
    struct conn *conn = tls->conn;
    size_t n;
    struct iovec iov[4];
    const unsigned char *from;
    bool moved = false;
    while ((from = br_ssl_engine_recvapp_buf(tls->engine, &n)) != NULL) {
        if (conn->closing) {
            br_ssl_engine_recvapp_ack(tls->engine, n);
            moved = true;
            continue;
        }
        size_t done = 0;
        int count = conn_space(conn, iov, countof(iov), n);
        if (count == 0)
            break; /* in is full, or the pool is: the conn is moved again when that has changed */
        for (int i = 0; i < count && done < n; i++) {
            size_t piece = iov[i].iov_len < n - done ? iov[i].iov_len : n - done;
            memcpy(iov[i].iov_base, from + done, piece);
            done += piece;
        }
        conn_filled(conn, done);
        br_ssl_engine_recvapp_ack(tls->engine, done);
        moved = true;
    }
    return moved;
}

/* May the handshake take this piece now? 1, 0 (the wire is in line), -ERR. */
static int
may_take(struct tls *tls, enum tls_piece piece)
{
    if (piece == TLS_PIECE_COSTLY)
        return tls_turn(tls);
    if (piece != TLS_PIECE_CERTIFICATES || !tls->target || tls->verify)
        return 1;
    if (!tls_verifier_free(tls))
        return 0;
    int error = tls_verify_take(tls);
    return error ? error : 1;
}

/* One piece of ciphertext into the engine: 1, 0 (it takes none now), -ERR. */
static int
feed(struct tls *tls)
{
    size_t window;
    enum tls_piece kind;
    if (tls->cipher.len == 0)
        return 0;
    unsigned char *into = br_ssl_engine_recvrec_buf(tls->engine, &window);
    if (!into)
        return 0;
    struct slice piece = slice_take(buf_peek(&tls->cipher), window);
    if (!tls->done) {
        piece.len = tls_border_next(&tls->border, piece, &kind);
        int may = may_take(tls, kind);
        if (may <= 0)
            return may;
        tls_border_pass(&tls->border, piece);
    }
    memcpy(into, piece.ptr, piece.len);
    br_ssl_engine_recvrec_ack(tls->engine, piece.len);
    buf_consume(&tls->cipher, piece.len);
    return 1;
}

/* Lay the engine out, unless this tick has begun enough handshakes: 1, 2 (in the next tick), -ERR.
 */
static int
begin(struct tls *tls)
{
    if (tls->failed)
        return fail(tls, 0);
    if (!tls_start_turn(tls))
        return 2;
    int error = tls->target ? tls_client_start(tls) : tls_server_start(tls);
    if (error)
        return give_up(tls, error);
    tls_busy(tls);
    return 1;
}

/* Move what can move inwards until nothing does: 1 something did, 0 nothing, -ERR. */
static int
pump(struct tls *tls)
{
    int progress = 0;
    assert(tls->engine);
    for (;;) {
        int looked = look(tls);
        if (looked)
            return looked < 0 ? looked : progress;
        bool drained = drain(tls);
        int fed = feed(tls);
        if (fed < 0)
            return give_up(tls, fed);
        if (!drained && !fed)
            return progress;
        progress = 1;
    }
}

static int
tls_space(struct conn *conn, struct iovec *iov, int max, size_t limit)
{
    struct tls *tls = conn->wire_state;
    size_t n;
    if (tls->failed || !tls->engine || tls->cipher.len > 0 || limit == 0 ||
        !br_ssl_engine_recvrec_buf(tls->engine, &n))
        return 0;
    return buf_space(&tls->cipher, iov, max, limit);
}

static int
tls_filled(struct conn *conn, size_t n)
{
    struct tls *tls = conn->wire_state;
    buf_filled(&tls->cipher, n);
    if (n == 0)
        return 0;
    tls_busy(tls);
    int moved = pump(tls);
    return moved < 0 ? moved : 0;
}

static int
tls_step(struct conn *conn)
{
    struct tls *tls = conn->wire_state;
    if (!tls->engine)
        return begin(tls);
    int moved = pump(tls);
    if (moved >= 0 && tls->peer_closed && conn_queued(conn) > 0) {
        /* TLS 1.2 closes both ways: what is still to be sent has no way to go. */
        if (!conn->closing)
            return -ERR_RESET;
        buf_clear(&conn->out);
        moved = 1;
    }
    return moved;
}

static int
tls_ended(struct conn *conn)
{
    struct tls *tls = conn->wire_state;
    assert(tls->cipher.len == 0);
    if (tls->failed || !tls->done)
        return fail(tls, TLS_ERROR_HUNG_UP);
    unsigned state = br_ssl_engine_current_state(tls->engine);
    /* An engine that takes no more records has seen close_notify, even if its answer is not sent
     * yet. */
    return tls->peer_closed || !(state & BR_SSL_RECVREC) ? 0 : -ERR_TLS_TRUNCATED;
}

/* -- outwards -- */

/* All of out and of what is lent that fits becomes the next record, if none is on its way. */
static void
seal(struct tls *tls)
{
    struct iovec run;
    size_t window;
    unsigned char *into;
    bool any = false;
    while (conn_bytes(tls->conn, &run, 1) == 1 && (into = br_ssl_engine_sendapp_buf(tls->engine, &window)) != NULL) {
        size_t n = run.iov_len < window ? run.iov_len : window;
        memcpy(into, run.iov_base, n);
        br_ssl_engine_sendapp_ack(tls->engine, n);
        conn_sent(tls->conn, n);
        any = true;
    }
    if (any)
        br_ssl_engine_flush(tls->engine, 0);
}

static int
tls_bytes(struct conn *conn, struct iovec *iov, int max)
{
    struct tls *tls = conn->wire_state;
    size_t n;
    assert(max > 0);
    if (tls->failed) {
        iov[0] = (struct iovec){tls->alert + sizeof(tls->alert) - tls->alert_left, tls->alert_left};
        return tls->alert_left > 0;
    }
    if (!tls->engine)
        return 0;
    if (tls->done && !tls->closing && !tls->peer_closed)
        seal(tls);
    unsigned char *record = br_ssl_engine_sendrec_buf(tls->engine, &n);
    if (!record)
        return 0;
    iov[0] = (struct iovec){record, n};
    return 1;
}

static int
tls_sent(struct conn *conn, size_t n)
{
    struct tls *tls = conn->wire_state;
    if (tls->failed) {
        assert(n <= tls->alert_left);
        tls->alert_left -= (uint8_t)n;
        return 0;
    }
    tls_busy(tls);
    br_ssl_engine_sendrec_ack(tls->engine, n);
    int moved = pump(tls);
    return moved < 0 ? moved : 0;
}

static size_t
tls_unsent(const struct conn *conn)
{
    const struct tls *tls = conn->wire_state;
    size_t n = 0;
    if (!tls->engine || tls->failed)
        return 0;
    br_ssl_engine_sendrec_buf(tls->engine, &n);
    return n;
}

static bool
tls_finish(struct conn *conn)
{
    struct tls *tls = conn->wire_state;
    assert(conn->closing);
    if (!tls->done || tls->failed || tls->peer_closed)
        return true;
    if (!tls->closing) {
        if (conn->out.len > 0 || tls_unsent(conn) > 0)
            return false;
        drain(tls); /* version 0.6 hangs when it is closed over unread bytes */
        buf_clear(&tls->cipher);
        br_ssl_engine_close(tls->engine);
        tls->closing = true;
    }
    return tls_unsent(conn) == 0;
}

bool
tls_quiet(const struct tls *tls)
{
    size_t window;
    unsigned state = br_ssl_engine_current_state(tls->engine);
    if (state == BR_SSL_CLOSED)
        return true;
    if (state != (BR_SSL_RECVREC | BR_SSL_SENDAPP))
        return false;
    /* Five bytes wanted: the next record has not begun. */
    br_ssl_engine_recvrec_buf(tls->engine, &window);
    return window == 5;
}

/* -- life -- */

static int
tls_start(struct conn *conn)
{
    struct tls *tls = conn->wire_state;
    assert(!tls->engine);
    return 0; /* step begins it, when it is its turn */
}

static void
tls_fini_wire(struct conn *conn)
{
    struct tls *tls = conn->wire_state;
    struct tls_slots *slots = tls->target ? &tls->worker->client_slots : &tls->worker->server_slots;
    tls_verify_give(tls);
    tls_turn_leave(tls);
    list_remove(&tls->busy_link);
    buf_clear(&tls->cipher);
    server_key_drop(tls->key);
    tls_slot_give(slots, tls->slot);
    free(tls);
    conn->wire_state = NULL;
}

const struct wire_ops tls_wire = {
    .name = "tls",
    .start = tls_start,
    .space = tls_space,
    .filled = tls_filled,
    .bytes = tls_bytes,
    .sent = tls_sent,
    .step = tls_step,
    .unsent = tls_unsent,
    .ended = tls_ended,
    .finish = tls_finish,
    .fini = tls_fini_wire,
};

static struct tls *
attach(struct conn *conn, bool client)
{
    struct tls_worker *worker = tls_worker(conn->loop);
    struct tls *tls = worker ? calloc(1, sizeof(*tls)) : NULL;
    if (!tls)
        return NULL;
    tls->slot = tls_slot_take(client ? &worker->client_slots : &worker->server_slots);
    if (!tls->slot) {
        free(tls);
        return NULL;
    }
    tls->conn = conn;
    tls->worker = worker;
    buf_init(&tls->cipher, &conn->loop->pool);
    list_init(&tls->turn_link);
    list_init(&tls->busy_link);
    conn->wire = &tls_wire;
    conn->wire_state = tls;
    return tls;
}

int
tls_client_wire(struct conn *conn, const struct conn_target *target)
{
    struct tls *tls = attach(conn, true);
    if (!tls)
        return -ERR_MEMORY;
    tls->target = target;
    return 0;
}

int
tls_server_wire(struct conn *conn, const struct server_key *key)
{
    struct tls *tls = attach(conn, false);
    if (!tls)
        return -ERR_MEMORY;
    tls->key = server_key_keep(key);
    return 0;
}

bool
tls_facts(const struct conn *conn, struct tls_facts *facts)
{
    struct tls *tls = conn->wire == &tls_wire ? conn->wire_state : NULL;
    if (!tls || !tls->done)
        return false;
    br_ssl_session_parameters session;
    br_ssl_engine_get_session_parameters(tls->engine, &session);
    facts->version = session.version;
    facts->suite = session.cipher_suite;
    facts->curve = tls->resumed ? 0 : br_ssl_engine_get_ecdhe_curve(tls->engine);
    facts->resumed = tls->resumed;
    facts->protocol = br_ssl_engine_get_selected_protocol(tls->engine);
    explicit_bzero(&session, sizeof(session));
    return true;
}
