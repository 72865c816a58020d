/* SPDX-License-Identifier: MIT
 *
 * canon_blocks.h - the blocks of a reply numbered anew, for filters that make blocks of their own in
 * between.
 */
#ifndef PENSTOCK_CANON_BLOCKS_H
#define PENSTOCK_CANON_BLOCKS_H

#include "providers/canon.h"

struct canon_block_number; /* an open block: its number in and out */
struct canon_blocks {
    struct arena *arena; /* of the numbers */
    struct canon_block_number *open, *spare;
    uint32_t count; /* opened so far, as the writer sees them: a filter that opens one itself takes it and counts on */
};

/*
 * canon_blocks_map - copy the event of a block (open, delta, close, citation) to out, under the number that the writer knows
 * the block by. An event of a block that is not open keeps its number: the guard says what to think of it.
 * changed  set when the number is another one; else left as it is
 * returns 0 or -ERR_MEMORY
 */
int canon_blocks_map(struct canon_blocks *blocks, const struct canon_event *event, struct canon_events *out, bool *changed) must_check;

#endif
