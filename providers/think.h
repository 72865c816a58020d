/* SPDX-License-Identifier: MIT
 *
 * think.h - <think>...</think> at the beginning of a reply's text made a thinking block, wherever the
 * stream is split (R49). A tag that is mentioned later in the text stays text.
 */
#ifndef PENSTOCK_THINK_H
#define PENSTOCK_THINK_H

#include "providers/canon_blocks.h"

enum canon_think_state {
    THINK_START,   /* no text yet */
    THINK_OPENING, /* a text block is open upstream: is this the tag? */
    THINK_THOUGHT, /* behind the tag */
    THINK_AFTER,   /* behind the closing tag: the answer has not begun */
    THINK_OVER,    /* everything passes */
};
struct canon_think {
    enum canon_think_state state;
    struct canon_blocks blocks; /* of all other kinds */
    uint32_t text, shown; /* the text block under watch: its number upstream, and the one now written */
    uint32_t matched;     /* units of the tag in held */
    uint32_t held_len;
    char held[32];        /* white space and part of a tag, escaped as they came */
    bool watching;
    bool cut;             /* the text under watch lacks its beginning: positions in it mean nothing any more */
};
void canon_think_init(struct canon_think *think, struct arena *arena);
/* canon_think_filter - rewrite events in place; sets rewrite when something changed. 0 or -ERR_MEMORY. */
int canon_think_filter(struct canon_think *think, struct canon_events *events) must_check;

#endif
