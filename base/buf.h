/* SPDX-License-Identifier: MIT
 *
 * buf.h - chunk pool and chunk queue: bytes in transit.
 *
 *     pool: free chunks, 4 KiB each, one pool per worker
 *     buf : head -> [..xxxx] -> [xxxxxx] -> [xx....] <- tail     x = unread bytes
 *
 * Chunks are taken when bytes arrive and given back when they leave: an empty buf holds none.
 * Chunks never move, so memory offered to the kernel stays valid until acknowledged.
 */
#ifndef PENSTOCK_BUF_H
#define PENSTOCK_BUF_H

#include "base/slice.h"

#include <sys/uio.h>

#define CHUNK_BYTES 4096u

struct chunk {
    struct chunk *next;
    uint32_t start, end; /* unread bytes are data[start..end) */
    char data[CHUNK_BYTES - 16];
};
_Static_assert(sizeof(struct chunk) == CHUNK_BYTES, "a chunk is one page");

struct pool {
    struct chunk *free;
    size_t chunks_total; /* allocated from the system */
    size_t chunks_used;  /* held by bufs */
    size_t chunks_max;   /* ceiling; beyond it pool_take gives NULL */
    size_t chunks_keep;  /* free chunks kept for reuse; more are given to the system */
    size_t chunks_free;
    size_t chunks_least; /* the fewest that were free since the last shrink: nobody missed those */
};

void pool_init(struct pool *pool, size_t chunks_max, size_t chunks_keep);
/* pool_fini - every chunk must have been given back. */
void pool_fini(struct pool *pool);
struct chunk *pool_take(struct pool *pool) must_check;
void pool_give(struct pool *pool, struct chunk *chunk);
/* pool_shrink - free the chunks that nobody has needed since the last shrink; how many. */
size_t pool_shrink(struct pool *pool);
/* pool_low - is less than an eighth of the pool left? Then stop accepting and stop receiving. */
bool pool_low(const struct pool *pool);
/* pool_tight - is even half of that used up? Then nothing is left for those who hold little, either. */
bool pool_tight(const struct pool *pool);
/* pool_share - bytes that one queue may grow to: an eighth of what is left before the pool is low. The more queues nobody
 * empties, the smaller each stays, and the pool is never theirs alone. */
size_t pool_share(const struct pool *pool);

struct buf {
    struct chunk *head, *tail;
    size_t len; /* unread bytes */
    struct pool *pool;
    struct chunk *offer; /* the first chunk buf_space offered; NULL when nothing is on offer */
    size_t offer_len;    /* bytes on offer */
};

void buf_init(struct buf *buf, struct pool *pool);
/* buf_clear - drop all bytes, give all chunks back. Also the fini. */
void buf_clear(struct buf *buf);
/* buf_put - append a copy of the bytes: all of them and 0, or none and -ERR_MEMORY. */
int buf_put(struct buf *buf, struct slice bytes) must_check;
/* buf_peek - the contiguous run at the front; empty when the buf is. Holds until a consume. */
struct slice buf_peek(const struct buf *buf);
/* buf_consume - drop n bytes from the front; n <= buf->len. */
void buf_consume(struct buf *buf, size_t n);
/* buf_space - free memory at the tail, at least one byte, or 0 iovecs when the pool is empty.
 * Fills at most max iovecs and at most limit bytes; returns how many iovecs. Stays put until
 * buf_filled. Between the two, reading (peek, consume, iov) is fine; buf_put and a second buf_space
 * assert. */
int buf_space(struct buf *buf, struct iovec *iov, int max, size_t limit);
/* buf_filled - n bytes of what buf_space offered now hold data; the rest of the offer is withdrawn.
 * n = 0 withdraws the whole offer. */
void buf_filled(struct buf *buf, size_t n);
/* buf_iov - the unread bytes from the front as at most max iovecs; returns how many. */
int buf_iov(const struct buf *buf, struct iovec *iov, int max);

#endif
