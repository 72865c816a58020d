/* SPDX-License-Identifier: MIT
 *
 * plain.c - the wire without TLS: space is the tail of in, bytes are the chunks of out. It keeps no
 * state.
 */
#include "reactor/wire.h"

static int
plain_start(struct conn *conn)
{
    conn_raise(conn, CONN_UP);
    return 0;
}

static int
plain_space(struct conn *conn, struct iovec *iov, int max, size_t limit)
{
    return conn_space(conn, iov, max, limit);
}

static int
plain_filled(struct conn *conn, size_t n)
{
    conn_filled(conn, n);
    return 0;
}

static int
plain_bytes(struct conn *conn, struct iovec *iov, int max)
{
    return conn_bytes(conn, iov, max);
}

static int
plain_sent(struct conn *conn, size_t n)
{
    conn_sent(conn, n);
    return 0;
}

static int
plain_step(struct conn *conn)
{
    (void)conn;
    return 0;
}

static size_t
plain_unsent(const struct conn *conn)
{
    (void)conn;
    return 0;
}

static int
plain_ended(struct conn *conn)
{
    (void)conn;
    return 0;
}

static bool
plain_finish(struct conn *conn)
{
    assert(conn->out.len == 0);
    return true;
}

static void
plain_fini(struct conn *conn)
{
    assert(!conn->wire_state);
}

const struct wire_ops plain_wire = {
    .name = "plain",
    .start = plain_start,
    .space = plain_space,
    .filled = plain_filled,
    .bytes = plain_bytes,
    .sent = plain_sent,
    .step = plain_step,
    .unsent = plain_unsent,
    .ended = plain_ended,
    .finish = plain_finish,
    .fini = plain_fini,
};
