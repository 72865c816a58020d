/* SPDX-License-Identifier: MIT
 *
 * arena.c - bump memory. Small takes share blocks of 16 KiB; a large one gets a block of its own,
 * placed behind the shared one so that the shared one goes on being filled.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN 16u
#define ARENA_BLOCK_BYTES 16384u

struct arena_block {
    struct arena_block *next;
    size_t used, size; /* of data */
    size_t unused;     /* keeps data aligned to 16 */
    char data[];
};
_Static_assert(offsetof(struct arena_block, data) % ARENA_ALIGN == 0, "takes are aligned");

#define ARENA_SHARED_BYTES (ARENA_BLOCK_BYTES - offsetof(struct arena_block, data))

void
arena_init(struct arena *arena, size_t max)
{
    *arena = (struct arena){.max = max};
}

static void
blocks_free(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void
arena_fini(struct arena *arena)
{
    blocks_free(arena->blocks);
    arena->blocks = NULL;
    arena->used = 0;
}

void
arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    if (kept && kept->size == ARENA_SHARED_BYTES) {
        blocks_free(kept->next);
        kept->next = NULL;
        kept->used = 0;
    } else {
        blocks_free(kept);
        arena->blocks = NULL;
    }
    arena->used = 0;
}

/* A block of its own for a large take, or a new shared one. */
static void *
take_from_new_block(struct arena *arena, size_t n, bool zeroed)
{
    bool shared = n <= ARENA_SHARED_BYTES;
    size_t size = shared ? ARENA_SHARED_BYTES : n;
    /* Only what is taken must be zero, and large fresh memory is so already. */
    struct arena_block *block = zeroed && !shared ? calloc(1, sizeof(*block) + size) : malloc(sizeof(*block) + size);
    if (!block)
        return NULL;
    block->size = size;
    block->used = n;
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
    if (n == 0 || n > arena->max - arena->used)
        return NULL;

    void *taken;
    struct arena_block *block = arena->blocks;
    if (block && n <= block->size - block->used) {
        taken = block->data + block->used;
        if (zeroed)
            memset(taken, 0, n);
        block->used += n;
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
    if (!block || block->size != ARENA_SHARED_BYTES || (char *)taken + n != block->data + block->used)
        return;
    size_t back = n - aligned(less);
    block->used -= back;
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
