/* SPDX-License-Identifier: MIT
 *
 * arena.h - bump memory for one request, given back in one step, with a ceiling.
 */
#ifndef PENSTOCK_ARENA_H
#define PENSTOCK_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes taken in all blocks */
    size_t max;                 /* ceiling in bytes for all blocks together */
};

/* arena_init - nothing is allocated before the first take. max in bytes. */
void arena_init(struct arena *arena, size_t max);
void arena_fini(struct arena *arena);
/* arena_reset - give everything back; one block of at most 16 KiB may be kept for the next. */
void arena_reset(struct arena *arena);
/* arena_take - n bytes (0 too) aligned to 16, zeroed; NULL over the ceiling or without memory. */
void *arena_take(struct arena *arena, size_t n) must_check;
/* arena_take_raw - the same, not zeroed. */
void *arena_take_raw(struct arena *arena, size_t n) must_check;
/* arena_shrink - of the n bytes that were taken last, keep only the first less; no effect if they have a
 * block of their own or something was taken since. */
void arena_shrink(struct arena *arena, void *taken, size_t n, size_t less);
/* arena_copy - a copy of the bytes with a NUL behind it (not counted); .ptr NULL on failure. */
struct slice arena_copy(struct arena *arena, struct slice bytes) must_check;
/* arena_concat - a copy of both, one behind the other; as arena_copy. */
struct slice arena_concat(struct arena *arena, struct slice front, struct slice back) must_check;
/* arena_printf - formatted text, NUL behind it; .ptr NULL on failure. */
struct slice arena_printf(struct arena *arena, const char *format, ...) must_check
    printf_like(2, 3);

#endif
