/* SPDX-License-Identifier: MIT
 *
 * textcall.h - tool calls that a model writes into its text, as <tool_call>{"name":...,"arguments":...}</tool_call> (Hermes,
 * Qwen), made real calls wherever the stream is split (R152).
 *
 * The text around them stays text, in blocks of its own; white space between calls belongs to nobody. What is inside the tags
 * but is no call, or never ends, stays text as it was written. Only the first choice is looked at.
 */
#ifndef PENSTOCK_TEXTCALL_H
#define PENSTOCK_TEXTCALL_H

#include "base/sink.h"
#include "providers/canon_blocks.h"

#define TEXTCALL_BYTES_MAX (1u << 20) /* of one call; what is longer stays text */

struct canon_textcall {
    struct canon_blocks blocks; /* of all other kinds */
    uint32_t text, shown;  /* the watched text block: its number upstream, and the one now written */
    uint32_t calls;
    uint64_t reply;        /* hash of the reply's id */
    uint32_t matched;      /* units of the tag at hand */
    bool watching, inside, is_open, said, called; /* said: text of this block went out; called: a call came last */
    bool cut;             /* calls have gone out of this text: positions in it mean nothing any more */
    struct sink held;      /* escaped: white space and part of a tag; inside: everything since the tag's beginning */
    size_t body;           /* inside: where the call begins in held */
};

void canon_textcall_init(struct canon_textcall *filter, struct arena *arena);
void canon_textcall_fini(struct canon_textcall *filter);
/* canon_textcall_filter - rewrite events in place; sets rewrite when something changed. 0 or -ERR_MEMORY. */
int canon_textcall_filter(struct canon_textcall *filter, struct canon_events *events) must_check;

#endif
