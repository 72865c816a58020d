/* SPDX-License-Identifier: MIT
 *
 * splits.h - the same bytes whole, byte by byte, and cut at seeded random places, for codec tests.
 *
 * Each piece lies in memory of exactly its size that is freed with the next one, so that a codec
 * that looks beyond its input or keeps a pointer into old input is caught by the address sanitizer.
 */
#ifndef PENSTOCK_TESTS_SPLITS_H
#define PENSTOCK_TESTS_SPLITS_H

#include "base/slice.h"

#include <stdlib.h>

#define SPLITS_WHOLE 0u
#define SPLITS_BYTES 1u
/* Every larger value is a seed: pieces of random lengths, mostly short. */
#define SPLITS_COUNT 12u

struct splits {
    struct slice rest;
    uint64_t random;
    unsigned how;
    char *piece;
};

/* splits_random - a step of the splitmix64 generator. */
static inline uint64_t
splits_random(uint64_t *state)
{
    uint64_t value = (*state += 0x9e3779b97f4a7c15u);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static inline void
splits_begin(struct splits *splits, struct slice bytes, unsigned how)
{
    *splits = (struct splits){.rest = bytes, .random = how, .how = how};
}

/* splits_next - the next piece; false at the end, when the last one has been freed. */
static inline bool
splits_next(struct splits *splits, struct slice *piece)
{
    free(splits->piece);
    splits->piece = NULL;
    if (splits->rest.len == 0)
        return false;
    size_t n = splits->rest.len;
    if (splits->how == SPLITS_BYTES)
        n = 1;
    else if (splits->how > SPLITS_BYTES) {
        uint64_t random = splits_random(&splits->random);
        n = 1 + (size_t)((random >> 8) % (random & 3 ? 7 : 4096));
    }
    *piece = slice_take(splits->rest, n);
    splits->rest = slice_skip(splits->rest, n);
    splits->piece = malloc(piece->len);
    assert(splits->piece);
    memcpy(splits->piece, piece->ptr, piece->len);
    piece->ptr = splits->piece;
    return true;
}

/* splits_stop - end early. */
static inline void
splits_stop(struct splits *splits)
{
    free(splits->piece);
    splits->piece = NULL;
}

#endif
