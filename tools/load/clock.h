/* SPDX-License-Identifier: MIT
 *
 * clock.h - nanoseconds of CLOCK_MONOTONIC, which every process of a machine shares.
 */
#ifndef PENSTOCK_LOAD_CLOCK_H
#define PENSTOCK_LOAD_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
