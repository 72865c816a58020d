/* SPDX-License-Identifier: MIT
 *
 * poller.h - edge-triggered epoll for the load tools: no more than the kernel's calls, so that what
 * they cost is what the kernel costs.
 */
#ifndef PENSTOCK_LOAD_POLLER_H
#define PENSTOCK_LOAD_POLLER_H

#include "base/base.h"

#define POLLER_EVENTS_MAX 512
#define POLLER_FOREVER UINT64_MAX

enum poller_ready {
    POLLER_IN = 1,
    POLLER_OUT = 2,
    POLLER_FIN = 4,   /* the peer will send no more: read until 0 */
    POLLER_ERROR = 8, /* reset, or a connect that failed */
};

struct poller {
    int fd;
    bool coarse; /* the kernel has no waits of nanoseconds */
    void *events;
};

/* poller_open - 0, or -1 with errno set. */
int poller_open(struct poller *poller) must_check;
void poller_close(struct poller *poller);
/* poller_add - report edges of fd with this pointer, in both directions or of input only. 0, or -1
 * with errno set. */
int poller_add(struct poller *poller, int fd, void *owner, bool output) must_check;
/* poller_wait - how many events came within wait_ns; a signal gives 0. */
int poller_wait(struct poller *poller, uint64_t wait_ns);
/* poller_event - the owner of the i-th of them, and what is ready (enum poller_ready). */
void *poller_event(const struct poller *poller, int i, unsigned *ready);

#endif
