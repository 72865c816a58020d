/* SPDX-License-Identifier: MIT
 *
 * hist.h - fixed log-scale histogram of durations (microseconds) or sizes.
 *
 * Bounds are powers of two times a base, two per octave would be too fine for a scrape: the exposition
 * bounds are given as a table and counted directly. One writer (its worker), any reader: relaxed atomics.
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

void hist_record(struct hist *hist, const struct hist_shape *shape, uint64_t value);
/* hist_add - add from's counts to into (summing workers at a scrape). */
void hist_add(struct hist *into, const struct hist *from, const struct hist_shape *shape);
uint64_t hist_total(const struct hist *hist, const struct hist_shape *shape);

#endif
