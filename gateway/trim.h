/* SPDX-License-Identifier: MIT
 *
 * trim.h - what a burst leaves behind in the allocator goes back to the system.
 *
 * An allocator keeps pages that lie between live objects; after ten thousand streams have ended, most of what they used would
 * stay resident. The main thread asks for it back when nothing happens, once more when the workers' pools have shrunk, and
 * when half of what was open is not any more: the walk takes up to some milliseconds, in which a worker that allocates may
 * wait, so none of them does it.
 */
#ifndef PENSTOCK_TRIM_H
#define PENSTOCK_TRIM_H

#include "base/base.h"

struct gateway;

/* trim_init - how much an allocator may keep for what comes next. Before there are threads. */
void trim_init(void);

/* What the main thread remembers between two looks; all zero at first. */
struct trim {
    uint64_t seen;    /* activity at the last look */
    uint64_t quiet;   /* looks since there was any */
    uint64_t peak;    /* the most that was open since the last trim */
    uint64_t next_us; /* no look before */
};

/* trim_due - is it time? activity only grows: what began and what ended; open is what is between the two. Once a second. */
bool trim_due(struct trim *trim, uint64_t activity, uint64_t open);
/* trim_tick - once a second look at the workers' counters, and give memory back if it is time. Main thread. */
void trim_tick(struct trim *trim, struct gateway *gateway, uint64_t now_us);

#endif
