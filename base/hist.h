/* SPDX-License-Identifier: MIT
 *
 * hist.h - fixed log-scale histogram of durations (microseconds) or sizes.
 *
 * The bounds are those of the exposition itself, given as a table (as a rule about two per decade),
 * so a scrape copies counts and computes nothing. Neither count nor sum is atomic with the other: a
 * reader may see a value in one that is not yet in the other. One writer (its worker), any reader:
 * relaxed atomics.
 */
#ifndef PENSTOCK_HIST_H
#define PENSTOCK_HIST_H

#include "base/base.h"

#define HIST_BOUNDS_MAX 24

struct hist_shape {
    int count;                        /* bounds used */
    uint64_t bounds[HIST_BOUNDS_MAX]; /* ascending upper bounds, inclusive, in the recorded unit */
};

struct hist {
    _Atomic uint64_t counts[HIST_BOUNDS_MAX + 1]; /* the last is +Inf */
    _Atomic uint64_t sum;
};

/* hist_record - count value in the first bucket whose bound is not below it. */
void hist_record(struct hist *hist, const struct hist_shape *shape, uint64_t value);
/* hist_add - add from's counts to into (summing workers at a scrape). */
void hist_add(struct hist *into, const struct hist *from, const struct hist_shape *shape);
/* hist_total - how many values were recorded. */
uint64_t hist_total(const struct hist *hist, const struct hist_shape *shape);

#endif
