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
    size_t in_bytes_max = conn->loop->limits.in_bytes_max;
    assert(conn->in.len <= in_bytes_max);
    size_t room = in_bytes_max - conn->in.len;
    if (room == 0 || limit == 0)
        return 0;
    return buf_space(&conn->in, iov, max, room < limit ? room : limit);
}

static int
plain_filled(struct conn *conn, size_t n)
{
    buf_filled(&conn->in, n);
    assert(conn->in.len <= conn->loop->limits.in_bytes_max);
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
