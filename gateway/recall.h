/* SPDX-License-Identifier: MIT
 *
 * recall.h - reasoning state that clients lose.
 *
 * Some upstreams refuse a tool loop whose earlier turns come back without the opaque state they gave with them: Gemini's
 * thought signatures, Anthropic's signed thinking, DeepSeek's reasoning_content. Clients of other dialects have no place for
 * it, or drop it. What preceded a tool call is therefore kept for a while and put back when the same call returns.
 *
 * An entry is found only by everything that makes the call what it is: who asked (client key), which model, the call's id
 * and its arguments. Nothing else is remembered from one request to the next.
 *
 * All workers share one table behind a mutex: it is touched once for a reply with calls and once for a request with any.
 */
#ifndef PENSTOCK_RECALL_H
#define PENSTOCK_RECALL_H

#include "base/arena.h"
#include "providers/dialect.h"

#include <pthread.h>
#include <stdatomic.h>

#define RECALL_BUCKETS 4096u            /* lists of the hash table; entries are bounded by bytes */
#define RECALL_TURN_BYTES_MAX (1u << 20) /* state of one turn; more is not kept */

struct recall_entry;
struct recall {
    pthread_mutex_t lock;
    struct recall_entry *buckets[RECALL_BUCKETS];
    struct recall_entry *newest, *oldest;
    size_t bytes, bytes_max;
    uint64_t ttl_ms;
    _Atomic bool on; /* asked by every request, without the lock */
    _Atomic uint64_t entries, held_bytes, hits, misses, evictions; /* for the metrics */
};

/* recall_init - ttl_ms 0: nothing is ever kept. 0 or -ERR_MEMORY. */
int recall_init(struct recall *recall) must_check;
void recall_fini(struct recall *recall);
/* recall_limit - what the newest configuration allows; an older table shrinks at once. */
void recall_limit(struct recall *recall, size_t bytes_max, uint64_t ttl_ms);
/* recall_on - is it worth watching replies? */
bool recall_on(const struct recall *recall);

/* Who asked for what: part of every key. */
struct recall_owner {
    struct slice key;   /* name of the client key; "" without keys */
    struct slice model; /* as the client calls it */
};

/* What a reply's reasoning was so far: one per reply, in its arena. */
struct recall_piece;
struct recall_watch {
    struct arena *arena;
    struct recall_piece *first, *last; /* thoughts and calls in order */
    size_t bytes;
    bool full; /* too much: this turn is not kept */
};
void recall_watch_init(struct recall_watch *watch, struct arena *arena);
/* recall_watch_events - learn from the events of choice 0. When one of them is its FINISH, the turn is kept in recall. 0 or -ERR_MEMORY. */
int recall_watch_events(struct recall_watch *watch, const struct canon_events *events, struct recall *recall,
                        const struct recall_owner *owner, uint64_t now_ms) must_check;

/*
 * recall_fill - put back what assistant turns with calls have lost, if origin (whom the request goes to) can use it:
 * signed thinking and signatures only to where they came from, ORIGIN_CHAT the text of any thought.
 * returns how many turns were mended, or -ERR_MEMORY
 */
int recall_fill(struct recall *recall, struct canon_request *request, const struct recall_owner *owner, enum canon_origin origin,
                uint64_t now_ms) must_check;

#endif
