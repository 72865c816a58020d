/* SPDX-License-Identifier: MIT
 *
 * histogram.c - see histogram.h.
 */
#include "tools/load/histogram.h"

/* The largest value that is counted in a bucket. */
static uint64_t
bucket_top(unsigned at)
{
    if (at < HISTOGRAM_STEPS)
        return at;
    unsigned power = at / HISTOGRAM_STEPS + 5;
    uint64_t step = at % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return (step << (power - 6)) + ((1ull << (power - 6)) - 1);
}

uint64_t
histogram_at(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count + 0.999999), seen = 0;
    if (wanted == 0)
        wanted = 1;
    for (unsigned at = 0; at < HISTOGRAM_BUCKETS; at++) {
        seen += histogram->buckets[at];
        if (seen >= wanted) {
            uint64_t top = bucket_top(at);
            return top < histogram->max ? top : histogram->max;
        }
    }
    return histogram->max;
}
