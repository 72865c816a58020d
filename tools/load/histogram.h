/* SPDX-License-Identifier: MIT
 *
 * histogram.h - how often each value came, on a logarithmic scale: 64 steps for each power of two,
 * so that what is read back is at most 1.6 % too high.
 */
#ifndef PENSTOCK_LOAD_HISTOGRAM_H
#define PENSTOCK_LOAD_HISTOGRAM_H

#include "base/base.h"

#define HISTOGRAM_STEPS 64
#define HISTOGRAM_BUCKETS ((64 - 6 + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count, max, sum;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline void
histogram_record(struct histogram *histogram, uint64_t value)
{
    unsigned at = (unsigned)value;
    if (value >= HISTOGRAM_STEPS) {
        unsigned power = 63u - (unsigned)__builtin_clzll(value);
        at = (power - 5) * HISTOGRAM_STEPS +
             (unsigned)((value >> (power - 6)) & (HISTOGRAM_STEPS - 1));
    }
    histogram->buckets[at]++;
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
}

/* histogram_at - the value that this share (0 to 1) of all values does not exceed; 0 when there are
 * none. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
