/* SPDX-License-Identifier: MIT
 *
 * upstream.h - connections to upstreams, kept alive and leased: per host a cap, a bounded queue and a list of idle ones.
 *
 * One pool per worker. A lease is returned or dropped in exactly two functions (stream_return_lease, stream_drop_lease).
 */
#ifndef PENSTOCK_UPSTREAM_H
#define PENSTOCK_UPSTREAM_H

#include "base/list.h"
#include "http/http.h"
#include "reactor/conn.h"

struct stream;
struct deployment;
struct worker;

struct upstream_host {
    struct list link;  /* of the pool */
    char *key;         /* names host, port, TLS settings; owned */
    struct list idle;  /* upstreams, most recently used first */
    struct list settling;
    struct list queue; /* waiters */
    uint32_t active;   /* leased or dialing */
    uint32_t waiting, idle_count;
    uint32_t called;   /* places kept for those whose turn it is */
};

struct upstream_waiter {
    struct list link;
    struct stream *stream;
    struct upstream_host *host; /* while it waits, and until it has used its turn or passed it on */
    bool called;                /* TURN was posted: a place is free for it */
};

struct upstream {
    uint32_t magic;
    bool reused, idle, settling, dead;
    struct list link; /* the host's idle or settling list */
    struct upstream_host *host;
    struct worker *worker;
    struct conn *conn;
    struct deadline deadline; /* idle, or settling */
    struct task task;
    struct http_body *body;   /* settling: the rest of a reply is read away; owned; NULL: there is none */
    uint64_t requests;
};

struct upstream_pool {
    struct list hosts;
    struct worker *worker;
    uint64_t opened, reused, idle, active, queued;
};

void upstream_pool_init(struct upstream_pool *pool, struct worker *worker);
/* upstream_pool_close - close all idle ones; leased ones must be gone. */
void upstream_pool_close(struct upstream_pool *pool);
/*
 * upstream_lease - a connection for a stream.
 * returns 1 *out is connected and idle; 0 *out is connecting (its notices go to the stream); 2 queued: TURN is posted when a
 *         place is free, then call again; -ERR_QUEUE, -ERR_MEMORY, -ERR_LIMIT, ...
 * fresh   do not use a kept connection
 */
int upstream_lease(struct upstream_pool *pool, struct stream *stream, const struct deployment *deployment, bool fresh,
                   struct upstream **out) must_check;
/* upstream_leave_queue - the stream does not wait any more. Harmless if it did not. */
void upstream_leave_queue(struct upstream_pool *pool, struct stream *stream);
/* upstream_return - keep it for the next; body may still lack its last bytes (they are read away for a short while). */
void upstream_return(struct upstream *upstream, const struct http_body *body);
/* upstream_drop - close it at once. */
void upstream_drop(struct upstream *upstream);

#endif
