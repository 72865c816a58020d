/* SPDX-License-Identifier: MIT
 *
 * slice.h - bytes we look at but do not own.
 *
 * A slice never owns memory and is never zero-terminated by promise. An absent value is {NULL, 0};
 * an empty one has a non-NULL pointer and length 0. The two differ: JSON "" is not JSON absent.
 */
#ifndef PENSTOCK_SLICE_H
#define PENSTOCK_SLICE_H

#include "base/base.h"

#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE_LIT(text) ((struct slice){("" text), sizeof(text) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
/* For printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) ((int)(s).len), ((s).ptr ? (s).ptr : "")

static inline struct slice
slice_of(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice
slice_from(const char *text)
{
    return text ? (struct slice){text, strlen(text)} : SLICE_NONE;
}

static inline bool
slice_present(struct slice s)
{
    return s.ptr != NULL;
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
slice_is(struct slice a, const char *text)
{
    return slice_eq(a, slice_from(text));
}

static inline bool
slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool
slice_ends(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

/* The slice without its first n bytes; n is clamped to the length. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
    if (n > s.len)
        n = s.len;
    return s.ptr ? (struct slice){s.ptr + n, s.len - n} : s;
}

/* The first n bytes; n is clamped to the length. */
static inline struct slice
slice_take(struct slice s, size_t n)
{
    return (struct slice){s.ptr, n < s.len ? n : s.len};
}

#endif
