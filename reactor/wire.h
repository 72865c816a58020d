/* SPDX-License-Identifier: MIT
 *
 * wire.h - what a transport must do: four functions that offer memory and acknowledge bytes.
 *
 *     space(conn, iov)  where may received bytes go?     filled(conn, n)  n bytes arrived there
 *     bytes(conn, iov)  which bytes must leave?          sent(conn, n)    n of them left
 *
 * The wire moves bytes between these and conn->in and conn->out (and what was lent behind it). It raises CONN_UP, and CONN_END when its own
 * protocol says so; every other notice, bytes_in and bytes_out are made by whoever moves the conn.
 *
 * plain.c: space is the owner's memory or the tail of in, bytes are the chunks of out and what is lent. tls.c: ciphertext around a BearSSL engine.
 */
#ifndef PENSTOCK_WIRE_H
#define PENSTOCK_WIRE_H

#include "reactor/conn.h"

#include <sys/uio.h>

struct wire_ops {
    const char *name;
    /* start - the socket is connected (first move): plain raises UP at once, TLS begins its handshake. 0 or -ERR. */
    int (*start)(struct conn *conn);
    /* space - memory for received bytes, at most limit; 0 iovecs: no room now (in full, or engine busy, or bytes
     * that did not fit in `in` yet: so a FIN is never read before everything in front of it was delivered). */
    int (*space)(struct conn *conn, struct iovec *iov, int max, size_t limit);
    /* filled - n bytes arrived in the memory last offered (0 withdraws the offer). 0 or -ERR: the conn is lost, after
     * one more try to send what bytes gives (an alert). */
    int (*filled)(struct conn *conn, size_t n);
    /* bytes - what must leave; 0 iovecs: nothing. */
    int (*bytes)(struct conn *conn, struct iovec *iov, int max);
    /* sent - n of the bytes last offered left. 0 or -ERR. */
    int (*sent)(struct conn *conn, size_t n);
    /* step - work that needs no socket (one handshake step, engine to queues); 1 progress, 0 none, 2 more to do, but
     * not in this tick; -ERR. Called before and after sending and receiving until nothing moves. */
    int (*step)(struct conn *conn);
    /* unsent - bytes the wire holds beyond conn->out. */
    size_t (*unsent)(const struct conn *conn);
    /* ended - the peer's FIN arrived: 0 a clean end, -ERR_TLS_TRUNCATED or such otherwise. */
    int (*ended)(struct conn *conn);
    /* finish - the owner closes after flushing: TLS queues close_notify. true when nothing is left to send. */
    bool (*finish)(struct conn *conn);
    /* fini - free wire_state; called once, in sweep, whatever became of the conn. */
    void (*fini)(struct conn *conn);
};

extern const struct wire_ops plain_wire;

/* tls_client_wire, tls_server_wire - attach TLS to a conn before start. 0, -ERR_MEMORY, -ERR_TLS. */
int tls_client_wire(struct conn *conn, const struct conn_target *target) must_check;
int tls_server_wire(struct conn *conn, const struct server_key *key) must_check;

/* tls_fini - called by loop_fini: free loop->tls; harmless when it was never made. */
void tls_fini(struct loop *loop);

/* conn_space - memory for received plaintext: where the owner wants it to land, else the tail of in. 0: no room now.
 * conn_filled - n bytes arrived there; the rest of the offer is withdrawn. */
int conn_space(struct conn *conn, struct iovec *iov, int max, size_t limit);
void conn_filled(struct conn *conn, size_t n);
/* conn_queued - plaintext that must leave: out, and what is lent. conn_bytes - the first of it, as at most max iovecs.
 * conn_sent - n bytes of it were taken. */
size_t conn_queued(const struct conn *conn);
int conn_bytes(const struct conn *conn, struct iovec *iov, int max);
void conn_sent(struct conn *conn, size_t n);

/* conn_raise - for wires and backends: record notices and tell the owner. */
void conn_raise(struct conn *conn, unsigned notices);
/* conn_fail - the connection is lost for this reason (first one wins): raises CONN_LOST. */
void conn_fail(struct conn *conn, int error);

#endif
