/* SPDX-License-Identifier: MIT
 *
 * backend.h - what a kernel interface must do. epoll.c does it, sim.c does it in virtual time, io_uring may.
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
    int (*open)(struct loop *loop, void *config);
    void (*close)(struct loop *loop);
    /* clock - microseconds, monotonic. */
    uint64_t (*clock)(struct loop *loop);
    /* wait - collect events for at most timeout_ms (0: poll; UINT64_MAX: for ever); sets readiness and raises notices. */
    void (*wait)(struct loop *loop, uint64_t timeout_ms);
    /* attach, detach - begin and end watching a conn's socket, both directions, edge-triggered. */
    int (*attach)(struct conn *conn);
    void (*detach)(struct conn *conn);
    int (*watch)(struct loop *loop, struct watch *watch);
    void (*unwatch)(struct loop *loop, struct watch *watch);
    /* move - bring the kernel in line with this conn: send what can go, receive what is wanted, within the tick's
     * bounds. true: more could be done at once, keep it on the move list. */
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

/* ready_move - move for readiness backends. */
bool ready_move(struct conn *conn);

#endif
