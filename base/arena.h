/* SPDX-License-Identifier: MIT
 *
 * arena.h - bump memory for one request, given back in one step, with a ceiling.
 */
#ifndef PENSTOCK_ARENA_H
#define PENSTOCK_ARENA_H

#include "base/slice.h"

#define ARENA_BLOCK_BYTES 16384u

struct arena_block;

/* Free blocks of 16 KiB that arenas of one thread share: whoever has none in use holds none. */
struct arena_pool {
    struct arena_block *free;
    size_t blocks_total; /* allocated from the system */
    size_t blocks_free;
    size_t blocks_least; /* the fewest that were free since the last shrink: nobody missed those */
    size_t blocks_keep;  /* at most so many are kept free; more are given to the system */
};

void arena_pool_init(struct arena_pool *pool, size_t blocks_keep);
/* arena_pool_fini - every block must have come back. */
void arena_pool_fini(struct arena_pool *pool);
/* arena_pool_shrink - free what nobody has needed since the last shrink; how many blocks. */
size_t arena_pool_shrink(struct arena_pool *pool);

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes taken in all blocks */
    size_t max;                 /* ceiling in bytes for all blocks together */
    uint32_t first_bytes;       /* of the first block that small takes share, its head included */
    uint32_t block_bytes;       /* of those that follow */
    struct arena_pool *pool;    /* where shared blocks come from; NULL: the system */
};

/* arena_init - nothing is allocated before the first take. max in bytes. */
void arena_init(struct arena *arena, size_t max);
/* arena_init_small - a first block of so many bytes and then others of so many (64 to 16 KiB each) for
 * what lives long and is little; a take that does not fit into one gets memory of exactly its size. */
void arena_init_small(struct arena *arena, size_t max, uint32_t first_bytes, uint32_t block_bytes);
/* arena_init_pooled - shared blocks come from a pool and go back there; a reset keeps none. */
void arena_init_pooled(struct arena *arena, size_t max, struct arena_pool *pool);
void arena_fini(struct arena *arena);
/* arena_reset - give everything back; without a pool one shared block may be kept for the next. */
void arena_reset(struct arena *arena);
/* arena_take - n bytes (0 too, less than 4 GiB) aligned to 16, zeroed; NULL over the ceiling or
 * without memory. */
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
