/* SPDX-License-Identifier: MIT
 *
 * base.h - what every file may assume: attributes, counting, containers, the checked cast.
 *
 * Asserts are for our own mistakes and are always on; a build with NDEBUG fails here.
 */
#ifndef PENSTOCK_BASE_H
#define PENSTOCK_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef NDEBUG
#error "penstock relies on its asserts: do not build with NDEBUG"
#endif

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define countof(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Object magics: the first member of everything that crosses a void pointer. Cleared on free. */
enum magic {
    MAGIC_CONN = 0x636f6e6e,
    MAGIC_WATCH = 0x77617463,
    MAGIC_DEADLINE = 0x64656164,
    MAGIC_LISTENER = 0x6c697374,
    MAGIC_UPSTREAM = 0x75707374,
    MAGIC_STREAM = 0x73747265,
    MAGIC_LOOKUP = 0x6c6f6f6b,
};

#endif
