/* SPDX-License-Identifier: MIT
 *
 * listen.h - SO_REUSEPORT listeners, or one socket that is shared, with bounded accept batches.
 */
#ifndef PENSTOCK_LISTEN_H
#define PENSTOCK_LISTEN_H

#include "base/err.h"
#include "reactor/loop.h"

struct server_key;

struct listener {
    uint32_t magic;
    int fd;
    struct loop *loop;
    struct watch watch;
    struct task task;
    struct deadline retry;  /* after running out of descriptors */
    bool paused;
    bool shared;            /* other loops accept from the same socket */
    int batch_max;          /* accepts per tick; default 64 */
    int accepted_now;       /* in the tick below */
    uint64_t tick;
    const struct server_key *server_key; /* TLS for accepted conns; may be changed between accepts */
    /* accepted - a new connection; the callee adopts fd (conn_adopt) or closes it. Runs in the run phase. */
    void (*accepted)(struct listener *, int fd, const char *peer);
    void *owner;
};

/*
 * listener_socket - make a bound, listening, non-blocking socket with SO_REUSEPORT.
 * host    address literal or "localhost"; port 0: any free one
 * port    [out] the port bound
 * returns the descriptor, or -ERR_SYSTEM with problem describing it, -ERR_CONFIG for a bad host
 */
int listener_socket(struct slice host, uint16_t *port, int backlog, char problem[128]) must_check;
/* listener_open - start accepting on fd, which is taken over. 0 or -ERR_SYSTEM; on failure fd is still the caller's. */
int listener_open(struct loop *loop, struct listener *listener, int fd,
                  void (*accepted)(struct listener *, int fd, const char *peer), void *owner) must_check;
/*
 * listener_open_shared - the same on a descriptor of a socket that other loops accept from as well. A connection wakes one
 * loop; what that one does not take at once, because its chunk pool is low, waits for it or for the next connection.
 */
int listener_open_shared(struct loop *loop, struct listener *listener, int fd,
                         void (*accepted)(struct listener *, int fd, const char *peer), void *owner) must_check;
/* listener_pause, listener_resume - stop and go on accepting (the backlog waits in the kernel). */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
/* listener_close - stop and close the descriptor; harmless a second time. accepted may call it. */
void listener_close(struct listener *listener);

#endif
