/* SPDX-License-Identifier: MIT
 *
 * arena.c - bump memory. Small takes share blocks; a large one gets a block of its own, placed
 * behind the shared one so that the shared one goes on being filled.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN 16u

struct arena_block {
    struct arena_block *next;
    uint32_t used, size; /* of data */
    char data[];
};
_Static_assert(offsetof(struct arena_block, data) % ARENA_ALIGN == 0, "takes are aligned");

#define POOLED_BYTES (ARENA_BLOCK_BYTES - offsetof(struct arena_block, data))

/* Data of the next block that small takes share. */
static size_t
shared_bytes(const struct arena *arena)
{
    return (arena->blocks ? arena->block_bytes : arena->first_bytes) - offsetof(struct arena_block, data);
}

static bool
is_shared(const struct arena *arena, const struct arena_block *block)
{
    size_t bytes = block->size + offsetof(struct arena_block, data);
    return bytes == arena->first_bytes || bytes == arena->block_bytes;
}

/* -- the pool -- */

/* AddressSanitizer can only see a use after the reset of memory that was really freed. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPING false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPING false
#endif
#endif
#ifndef KEEPING
#define KEEPING true
#endif

void
arena_pool_init(struct arena_pool *pool, size_t blocks_keep)
{
    if (!KEEPING)
        blocks_keep = 0;
    *pool = (struct arena_pool){.blocks_keep = blocks_keep};
}

/* Free so many of the free blocks. */
static void
pool_drop(struct arena_pool *pool, size_t count)
{
    assert(count <= pool->blocks_free);
    assert(pool->blocks_free <= pool->blocks_total);
    pool->blocks_free -= count;
    pool->blocks_total -= count;
    for (; count > 0; count--) {
        struct arena_block *block = pool->free;
        pool->free = block->next;
        free(block);
    }
}

void
arena_pool_fini(struct arena_pool *pool)
{
    assert(pool->blocks_free == pool->blocks_total);
    pool_drop(pool, pool->blocks_free);
    assert(!pool->free);
}

size_t
arena_pool_shrink(struct arena_pool *pool)
{
    size_t count = pool->blocks_least;
    assert(count <= pool->blocks_free);
    pool_drop(pool, count);
    pool->blocks_least = pool->blocks_free;
    return count;
}

/* What was in a block that comes back is not wiped: takes are, one by one. */
static struct arena_block *
pool_take_block(struct arena_pool *pool)
{
    struct arena_block *block = pool->free;
    if (!block) {
        block = malloc(ARENA_BLOCK_BYTES);
        if (!block)
            return NULL;
        block->size = POOLED_BYTES;
        pool->blocks_total++;
        return block;
    }
    pool->free = block->next;
    pool->blocks_free--;
    if (pool->blocks_least > pool->blocks_free)
        pool->blocks_least = pool->blocks_free;
    return block;
}

static void
pool_give_block(struct arena_pool *pool, struct arena_block *block)
{
    assert(block->size == POOLED_BYTES);
    block->next = pool->free;
    pool->free = block;
    pool->blocks_free++;
    if (pool->blocks_free > pool->blocks_keep)
        pool_drop(pool, 1);
}

/* -- an arena -- */

void
arena_init(struct arena *arena, size_t max)
{
    *arena = (struct arena){
        .max = max, .first_bytes = ARENA_BLOCK_BYTES, .block_bytes = ARENA_BLOCK_BYTES};
}

void
arena_init_small(struct arena *arena, size_t max, uint32_t first_bytes, uint32_t block_bytes)
{
    assert(first_bytes >= block_bytes);
    assert(first_bytes <= ARENA_BLOCK_BYTES);
    assert(block_bytes >= 2 * sizeof(struct arena_block));
    *arena = (struct arena){.max = max, .first_bytes = first_bytes, .block_bytes = block_bytes};
}

void
arena_init_pooled(struct arena *arena, size_t max, struct arena_pool *pool)
{
    arena_init(arena, max);
    arena->pool = pool;
}

static void
blocks_free(struct arena *arena, struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        if (arena->pool && block->size == POOLED_BYTES)
            pool_give_block(arena->pool, block);
        else
            free(block);
        block = next;
    }
}

void
arena_fini(struct arena *arena)
{
    blocks_free(arena, arena->blocks);
    arena->blocks = NULL;
    arena->used = 0;
}

void
arena_reset(struct arena *arena)
{
    struct arena_block **link = &arena->blocks, *kept = NULL;
    while (*link && !arena->pool && (*link)->size + offsetof(struct arena_block, data) != arena->first_bytes)
        link = &(*link)->next;
    if (!arena->pool && *link) {
        kept = *link;
        *link = kept->next;
        kept->next = NULL;
        kept->used = 0;
    }
    blocks_free(arena, arena->blocks);
    arena->blocks = kept;
    arena->used = 0;
}

/* A block of its own for a large take, or a new shared one. */
static void *
take_from_new_block(struct arena *arena, size_t n, bool zeroed)
{
    bool shared = n <= shared_bytes(arena), pooled = shared && arena->pool;
    size_t size = shared ? shared_bytes(arena) : n;
    /* Only what is taken must be zero, and large fresh memory is so already. */
    struct arena_block *block = pooled              ? pool_take_block(arena->pool)
                                : zeroed && !shared ? calloc(1, sizeof(*block) + size)
                                                    : malloc(sizeof(*block) + size);
    if (!block)
        return NULL;
    assert(!pooled || block->size == size);
    block->size = (uint32_t)size;
    block->used = (uint32_t)n;
    if (shared || !arena->blocks) {
        block->next = arena->blocks;
        arena->blocks = block;
    } else {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    }
    return zeroed && shared ? memset(block->data, 0, n) : block->data;
}

static size_t
aligned(size_t n)
{
    return (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

static inline void *
take(struct arena *arena, size_t n, bool zeroed)
{
    assert(arena->used <= arena->max);
    if (n == 0)
        n = 1;
    if (n > arena->max)
        return NULL;
    n = aligned(n);
    if (n == 0 || n > arena->max - arena->used || n > UINT32_MAX)
        return NULL;

    void *taken;
    struct arena_block *block = arena->blocks;
    if (block && n <= block->size - block->used) {
        taken = block->data + block->used;
        if (zeroed)
            memset(taken, 0, n);
        block->used += (uint32_t)n;
    } else {
        taken = take_from_new_block(arena, n, zeroed);
    }
    if (taken)
        arena->used += n;
    return taken;
}

void *
arena_take(struct arena *arena, size_t n)
{
    return take(arena, n, true);
}

void *
arena_take_raw(struct arena *arena, size_t n)
{
    return take(arena, n, false);
}

void
arena_shrink(struct arena *arena, void *taken, size_t n, size_t less)
{
    struct arena_block *block = arena->blocks;
    assert(less <= n);
    n = aligned(n ? n : 1);
    if (!block || !is_shared(arena, block) || (char *)taken + n != block->data + block->used)
        return;
    size_t back = n - aligned(less);
    block->used -= (uint32_t)back;
    arena->used -= back;
}

struct slice
arena_copy(struct arena *arena, struct slice bytes)
{
    if (bytes.len == SIZE_MAX)
        return SLICE_NONE;
    char *copy = arena_take_raw(arena, bytes.len + 1);
    if (!copy)
        return SLICE_NONE;
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    copy[bytes.len] = '\0';
    return slice_of(copy, bytes.len);
}

struct slice
arena_concat(struct arena *arena, struct slice front, struct slice back)
{
    if (back.len >= SIZE_MAX - front.len)
        return SLICE_NONE;
    char *copy = arena_take_raw(arena, front.len + back.len + 1);
    if (!copy)
        return SLICE_NONE;
    if (front.len > 0)
        memcpy(copy, front.ptr, front.len);
    if (back.len > 0)
        memcpy(copy + front.len, back.ptr, back.len);
    copy[front.len + back.len] = '\0';
    return slice_of(copy, front.len + back.len);
}

struct slice
arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    struct slice text = SLICE_NONE;
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0) {
        char *to = arena_take(arena, (size_t)n + 1);
        if (to) {
            vsnprintf(to, (size_t)n + 1, format, again);
            text = slice_of(to, (size_t)n);
        }
    }
    va_end(again);
    return text;
}
