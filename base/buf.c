/* SPDX-License-Identifier: MIT
 *
 * buf.c - chunk pool and chunk queue.
 *
 * Chunks with data come first; behind them stand the chunks of an outstanding offer, whose first
 * may hold data too. While an offer stands, its chunks are kept even when they are read empty.
 */
#include "base/buf.h"

#include "base/err.h"

#include <stdlib.h>

#define CHUNK_ROOM ((uint32_t)sizeof(((struct chunk *)0)->data))

void
pool_init(struct pool *pool, size_t chunks_max, size_t chunks_keep)
{
    *pool = (struct pool){.chunks_max = chunks_max, .chunks_keep = chunks_keep};
}

void
pool_fini(struct pool *pool)
{
    assert(pool->chunks_used == 0);
    while (pool->free) {
        struct chunk *chunk = pool->free;
        pool->free = chunk->next;
        free(chunk);
        pool->chunks_free--;
        pool->chunks_total--;
    }
    pool->chunks_least = 0;
    assert(pool->chunks_free == 0);
    assert(pool->chunks_total == 0);
}

struct chunk *
pool_take(struct pool *pool)
{
    assert(pool->chunks_used + pool->chunks_free == pool->chunks_total);
    if (pool->chunks_used >= pool->chunks_max)
        return NULL;
    struct chunk *chunk = pool->free;
    if (chunk) {
        pool->free = chunk->next;
        pool->chunks_free--;
        if (pool->chunks_least > pool->chunks_free)
            pool->chunks_least = pool->chunks_free;
    } else {
        chunk = malloc(sizeof(*chunk));
        if (!chunk)
            return NULL;
        pool->chunks_total++;
    }
    pool->chunks_used++;
    chunk->next = NULL;
    chunk->start = chunk->end = 0;
    return chunk;
}

void
pool_give(struct pool *pool, struct chunk *chunk)
{
    assert(pool->chunks_used > 0);
    assert(pool->chunks_used + pool->chunks_free == pool->chunks_total);
    pool->chunks_used--;
    if (pool->chunks_free < pool->chunks_keep) {
        chunk->next = pool->free;
        pool->free = chunk;
        pool->chunks_free++;
    } else {
        free(chunk);
        pool->chunks_total--;
    }
}

static size_t
chunks_left(const struct pool *pool)
{
    /* More may be used than the maximum after that was lowered. */
    return pool->chunks_used >= pool->chunks_max ? 0 : pool->chunks_max - pool->chunks_used;
}

static size_t
reserve(const struct pool *pool)
{
    /* At least one, so that a pool of fewer than eight chunks still warns before it is empty. */
    return pool->chunks_max < 16 ? 1 : pool->chunks_max / 8;
}

size_t
pool_shrink(struct pool *pool)
{
    size_t count = pool->chunks_least;
    assert(count <= pool->chunks_free);
    for (size_t i = 0; i < count; i++) {
        struct chunk *chunk = pool->free;
        pool->free = chunk->next;
        free(chunk);
    }
    pool->chunks_free -= count;
    pool->chunks_total -= count;
    pool->chunks_least = pool->chunks_free;
    return count;
}

bool
pool_low(const struct pool *pool)
{
    return chunks_left(pool) < reserve(pool);
}

bool
pool_tight(const struct pool *pool)
{
    return chunks_left(pool) < (reserve(pool) < 4 ? 2 : reserve(pool) / 2);
}

size_t
pool_share(const struct pool *pool)
{
    size_t left = chunks_left(pool), kept = reserve(pool);
    return left > kept ? (left - kept) * CHUNK_BYTES / 8 : 0;
}

void
buf_init(struct buf *buf, struct pool *pool)
{
    *buf = (struct buf){.pool = pool};
}

void
buf_clear(struct buf *buf)
{
    struct chunk *chunk = buf->head;
    while (chunk) {
        struct chunk *next = chunk->next;
        pool_give(buf->pool, chunk);
        chunk = next;
    }
    buf->head = buf->tail = buf->offer = NULL;
    buf->len = buf->offer_len = 0;
}

static void
buf_append(struct buf *buf, struct chunk *chunk)
{
    if (buf->tail)
        buf->tail->next = chunk;
    else
        buf->head = chunk;
    buf->tail = chunk;
}

/* Unlink and give back every chunk behind keep; keep NULL means all of them. */
static void
buf_trim(struct buf *buf, struct chunk *keep)
{
    struct chunk *chunk = keep ? keep->next : buf->head;
    if (keep)
        keep->next = NULL;
    else
        buf->head = NULL;
    buf->tail = keep;
    while (chunk) {
        struct chunk *next = chunk->next;
        pool_give(buf->pool, chunk);
        chunk = next;
    }
}

/* Copy what fits behind the data of one chunk; the number of bytes copied. */
static size_t
chunk_fill(struct chunk *chunk, struct slice bytes)
{
    size_t n = CHUNK_ROOM - chunk->end;
    if (n > bytes.len)
        n = bytes.len;
    memcpy(chunk->data + chunk->end, bytes.ptr, n);
    chunk->end += (uint32_t)n;
    return n;
}

int
buf_put(struct buf *buf, struct slice bytes)
{
    assert(!buf->offer);
    if (bytes.len == 0)
        return 0;

    /* Take every chunk before the first byte is copied: all of them or none. */
    struct chunk *tail = buf->tail;
    size_t room = tail ? CHUNK_ROOM - tail->end : 0;
    while (room < bytes.len) {
        struct chunk *chunk = pool_take(buf->pool);
        if (!chunk) {
            buf_trim(buf, tail);
            return -ERR_MEMORY;
        }
        buf_append(buf, chunk);
        room += CHUNK_ROOM;
    }

    buf->len += bytes.len;
    struct chunk *chunk = tail ? tail : buf->head;
    while (bytes.len > 0) {
        bytes = slice_skip(bytes, chunk_fill(chunk, bytes));
        chunk = chunk->next;
    }
    return 0;
}

struct slice
buf_peek(const struct buf *buf)
{
    const struct chunk *head = buf->head;
    if (buf->len == 0)
        return (struct slice){"", 0};
    assert(head->start < head->end);
    return slice_of(head->data + head->start, head->end - head->start);
}

void
buf_consume(struct buf *buf, size_t n)
{
    assert(n <= buf->len);
    buf->len -= n;
    while (n > 0) {
        struct chunk *chunk = buf->head;
        uint32_t have = chunk->end - chunk->start;
        uint32_t used = n < have ? (uint32_t)n : have;
        chunk->start += used;
        n -= used;
        /* A chunk that is on offer stays where it is, even when nothing is left to read in it. */
        if (chunk->start < chunk->end || chunk == buf->offer)
            continue;
        buf->head = chunk->next;
        if (!buf->head)
            buf->tail = NULL;
        pool_give(buf->pool, chunk);
    }
}

int
buf_space(struct buf *buf, struct iovec *iov, int max, size_t limit)
{
    assert(!buf->offer);
    assert(max > 0);
    int count = 0;
    struct chunk *chunk = buf->tail;
    if (chunk && chunk->end == CHUNK_ROOM)
        chunk = NULL;
    while (count < max && limit > 0) {
        if (!chunk) {
            chunk = pool_take(buf->pool);
            if (!chunk)
                break;
            buf_append(buf, chunk);
        }
        size_t room = CHUNK_ROOM - chunk->end;
        if (room > limit)
            room = limit;
        iov[count++] = (struct iovec){chunk->data + chunk->end, room};
        limit -= room;
        buf->offer_len += room;
        if (!buf->offer)
            buf->offer = chunk;
        chunk = NULL;
    }
    return count;
}

/* The chunk in front of the given one, or NULL if it is the first. */
static struct chunk *
buf_before(const struct buf *buf, const struct chunk *chunk)
{
    struct chunk *before = NULL;
    for (struct chunk *at = buf->head; at != chunk; at = at->next)
        before = at;
    return before;
}

void
buf_filled(struct buf *buf, size_t n)
{
    assert(n <= buf->offer_len);
    struct chunk *first = buf->offer;
    if (!first)
        return;
    buf->len += n;
    buf->offer = NULL;
    buf->offer_len = 0;

    struct chunk *chunk = first;
    for (;;) {
        uint32_t room = CHUNK_ROOM - chunk->end;
        uint32_t used = n < room ? (uint32_t)n : room;
        chunk->end += used;
        n -= used;
        if (n == 0)
            break;
        chunk = chunk->next;
    }
    /* What came may have been nothing, and the first chunk may have been read empty meanwhile. */
    if (chunk->start == chunk->end)
        chunk = buf_before(buf, chunk);
    buf_trim(buf, chunk);
}

int
buf_iov(const struct buf *buf, struct iovec *iov, int max)
{
    int count = 0;
    for (struct chunk *chunk = buf->head; chunk && count < max; chunk = chunk->next) {
        if (chunk->start < chunk->end)
            iov[count++] = (struct iovec){chunk->data + chunk->start, chunk->end - chunk->start};
    }
    return count;
}
