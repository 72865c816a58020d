/* SPDX-License-Identifier: MIT
 *
 * support.h - what the tests of base share: cmocka with its prerequisites, and a seeded random
 * source.
 */
#ifndef PENSTOCK_TEST_BASE_SUPPORT_H
#define PENSTOCK_TEST_BASE_SUPPORT_H

#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct random {
    uint64_t state;
};

/* SplitMix64: any seed is a good seed, and a failure repeats. */
static inline uint64_t
random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline size_t
random_below(struct random *random, size_t limit)
{
    return (size_t)(random_next(random) % limit);
}

#define assert_slice(actual, text)                                                                 \
    do {                                                                                           \
        struct slice actual_slice = (actual);                                                      \
        assert_non_null(actual_slice.ptr);                                                         \
        assert_int_equal(actual_slice.len, strlen(text));                                          \
        assert_memory_equal(actual_slice.ptr, text, strlen(text));                                 \
    } while (0)

#endif
