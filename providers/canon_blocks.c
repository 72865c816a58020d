/* SPDX-License-Identifier: MIT
 *
 * canon_blocks.c - the blocks of a reply numbered anew.
 */
#include "providers/canon_blocks.h"
#include "providers/dialect.h"

struct canon_block_number {
    struct canon_block_number *next;
    uint32_t from, to;
};

static int
number(struct canon_blocks *blocks, uint32_t from)
{
    struct canon_block_number *block = blocks->spare;
    if (block)
        blocks->spare = block->next;
    else
        block = arena_take(blocks->arena, sizeof(*block));
    if (!block)
        return -ERR_MEMORY;
    *block = (struct canon_block_number){blocks->open, from, blocks->count++};
    blocks->open = block;
    return 0;
}

int
canon_blocks_map(struct canon_blocks *blocks, const struct canon_event *event, struct canon_events *out, bool *changed)
{
    struct canon_block_number **link = &blocks->open;
    int error = event->kind == CANON_OPEN ? number(blocks, event->block) : 0;
    struct canon_event *copy = error ? NULL : canon_add(out, event->kind);
    if (!copy)
        return -ERR_MEMORY;
    *copy = *event;
    while (*link && (*link)->from != event->block)
        link = &(*link)->next;
    struct canon_block_number *block = *link;
    if (!block)
        return 0;
    copy->block = block->to;
    *changed = *changed || copy->block != event->block;
    if (event->kind == CANON_CLOSE) {
        *link = block->next;
        block->next = blocks->spare;
        blocks->spare = block;
    }
    return 0;
}
