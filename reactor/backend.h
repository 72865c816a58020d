/* SPDX-License-Identifier: MIT
 *
 * backend.h - what a kernel interface must do. epoll.c and uring.c do it, sim.c does it in virtual time.
 *
 * A readiness backend (epoll, multishot poll) implements move by ready_move, which uses the socket calls
 * below; a completion backend implements move by submitting at most one receive and one send per conn.
 */
#ifndef PENSTOCK_BACKEND_H
#define PENSTOCK_BACKEND_H

#include "reactor/conn.h"
#include "reactor/loop.h"

#include <sys/socket.h>
#include <sys/uio.h>

struct backend_ops {
    const char *name;
    bool simulated; /* time and sockets are made up: no descriptor of the kernel can be watched */
    int (*open)(struct loop *loop, void *config);
    void (*close)(struct loop *loop);
    /* clock - microseconds, monotonic. */
    uint64_t (*clock)(struct loop *loop);
    /* wait - collect events for at most timeout_ms (0: poll; UINT64_MAX: for ever), then call loop_read_clock, then
     * report: ready_conn and ready_watch, or what a completion backend does instead. */
    void (*wait)(struct loop *loop, uint64_t timeout_ms);
    /* attach, detach - begin and end watching a conn's socket, both directions, edge-triggered. */
    int (*attach)(struct conn *conn);
    void (*detach)(struct conn *conn);
    int (*watch)(struct loop *loop, struct watch *watch);
    void (*unwatch)(struct loop *loop, struct watch *watch);
    /* move - bring the kernel in line with this conn: send what can go, receive what is wanted, within the tick's
     * bounds. true: more could be done, but not in this tick: keep it for the next, which will not sleep. */
    bool (*move)(struct conn *conn);
    /* in_flight - operations that still hold the conn's memory (always 0 for readiness). */
    int (*in_flight)(const struct conn *conn);
    /* sockets; all return -ERR_x, with -ERR_AGAIN for would-block. */
    int (*socket_connect)(struct loop *loop, const struct sockaddr *address, socklen_t len);
    int (*socket_result)(struct loop *loop, int fd); /* after writability: 0 connected, -ERR_CONNECT, ... */
    ssize_t (*receive)(struct loop *loop, int fd, struct iovec *iov, int count); /* 0 at the peer's FIN */
    ssize_t (*send)(struct loop *loop, int fd, const struct iovec *iov, int count);
    void (*half_close)(struct loop *loop, int fd);
    void (*socket_close)(struct loop *loop, int fd, bool reset);
    uint64_t (*acked)(struct loop *loop, int fd);
    /* accept - next pending connection on a listening socket: fd or -ERR_AGAIN, -ERR_NO_DESCRIPTOR, ... */
    int (*accept)(struct loop *loop, int fd, char peer[64]);
};

extern const struct backend_ops epoll_ops;
#ifdef PENSTOCK_IO_URING
extern const struct backend_ops uring_ops;
#endif

#define BACKEND_PROBLEM_BYTES 128
/*
 * backend_find - the backend of a name: "epoll", "io_uring", "auto" (io_uring where it works).
 * problem   [out] "", or why io_uring cannot be had although it was asked for
 * returns   &epoll_ops or &uring_ops, tried out; epoll_ops for a name that is none of the three
 */
const struct backend_ops *backend_find(struct slice name, char problem[BACKEND_PROBLEM_BYTES]);
/* uring_probe - make a ring and see it report, on this thread. 0, or -ERR with why in problem. */
int uring_probe(char problem[BACKEND_PROBLEM_BYTES]) must_check;

/* ready_move - move for readiness backends. */
bool ready_move(struct conn *conn);
/* ready_in_flight - 0: nobody but us holds a conn's memory. */
int ready_in_flight(const struct conn *conn);
/* ready_conn, ready_watch - a readiness backend reports what the kernel said, in its wait. */
enum { READY_IN = 1, READY_OUT = 2, READY_PEER_FIN = 4, READY_ERROR = 8, READY_HANGUP = 16 };
void ready_conn(struct conn *conn, unsigned ready);
void ready_watch(struct watch *watch, unsigned ready);

/* loop_read_clock - set now_us and now_ms from ops->clock; once a tick, in wait. */
void loop_read_clock(struct loop *loop);

/* For whoever moves conns: */
struct conn_mark { /* a conn's queues before it was moved */
    size_t in_len, out_len;
};
struct conn_mark conn_mark(const struct conn *conn);
/* conn_settle - count what was moved since the mark and raise BYTES, ROOM, EMPTY and the notices given. */
void conn_settle(struct conn *conn, struct conn_mark mark, unsigned notices);
/* conn_wants_input - does the owner (or a handshake) want bytes, and is there room for them? */
bool conn_wants_input(const struct conn *conn);
/* conn_hold - if only a low chunk pool keeps this conn from receiving, list it to be moved when the pool recovers. */
bool conn_hold(struct conn *conn);
/* conn_connected - a dial has won: take the descriptor, watch it, and start the target's wire in the next move. */
void conn_connected(struct conn *conn, int fd, const char *peer, const struct conn_target *target);
/* conn_bury - the conn is over for everyone: close the socket, join the graveyard. */
void conn_bury(struct conn *conn, bool reset);
/* conn_sweep - free what is in the graveyard and no longer in flight. */
void conn_sweep(struct loop *loop);

/* dial_start - begin to resolve and connect; the result comes from the run phase. 0, -ERR_MEMORY. */
int dial_start(struct conn *conn, const struct conn_target *target) must_check;
/* dial_cancel - give up every attempt and free conn->dial; harmless without one. */
void dial_cancel(struct conn *conn);

#endif
