/* SPDX-License-Identifier: MIT
 *
 * anthropic_block.h - one content block on its way to a Messages client. Private to
 * providers/anthropic*.c.
 */
#ifndef PENSTOCK_ANTHROPIC_BLOCK_H
#define PENSTOCK_ANTHROPIC_BLOCK_H

#include "providers/anthropic.h"

static inline bool
anthropic_streams(const struct anthropic_writer *writer)
{
    return writer->options.stream;
}

/* anthropic_put_line - raw JSON, in one line. */
void anthropic_put_line(struct sink *out, struct slice raw);
/* anthropic_begin_frame - a named event; its data is to be put into what is returned, then
 * frame_end. */
struct sink *anthropic_begin_frame(struct frames *frames, const char *type);

/* anthropic_block_begin - the next index; no block may be open. Blocks of another dialect's kind
 * never come here. */
void anthropic_block_begin(struct anthropic_writer *writer, const struct canon_event *event,
                           struct frames *frames);
/* For the open block: escaped text of a call's arguments; escaped text or thoughts; an opaque
 * state. */
void anthropic_block_input(struct anthropic_writer *writer, struct slice text,
                           struct frames *frames);
void anthropic_block_text(struct anthropic_writer *writer, struct slice text,
                          struct frames *frames);
void anthropic_block_signature(struct anthropic_writer *writer, struct slice signature,
                               struct frames *frames);
/* anthropic_block_citation - of the open text block, if it is one of this dialect; else it stays
 * unsaid. */
void anthropic_block_citation(struct anthropic_writer *writer,
                              const struct canon_citation *citation, struct frames *frames);
/* anthropic_block_native - a raw delta of the open native block. */
void anthropic_block_native(struct anthropic_writer *writer, struct slice native,
                            struct frames *frames);
void anthropic_block_close(struct anthropic_writer *writer, struct frames *frames);

/* anthropic_carried - opaque state as this client carries it: as it is, or in a wrapper that names
 * its origin. */
struct slice anthropic_carried(struct anthropic_writer *writer, enum canon_origin origin,
                               bool redacted, struct slice state, struct frames *frames);
/* anthropic_block_state - a state that belongs to no thought: an own thinking block without text.
 */
void anthropic_block_state(struct anthropic_writer *writer, struct slice carried,
                           struct frames *frames);

#endif
