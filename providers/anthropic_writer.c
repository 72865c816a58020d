/* SPDX-License-Identifier: MIT
 *
 * anthropic_writer.c - the life of a writer of Messages replies, and what it says out of turn:
 * pings and errors.
 */
#include "providers/anthropic.h"

int
anthropic_writer_init(void *writer, const struct dialect_writer_options *options,
                      struct arena *arena)
{
    struct anthropic_writer *self = writer;
    *self = (struct anthropic_writer){
        .options = *options, .arena = arena, .finish = FINISH_NONE, .usage = CANON_USAGE_UNKNOWN};
    sink_init(&self->content, ANTHROPIC_BYTES_MAX);
    sink_init(&self->input, ANTHROPIC_BYTES_MAX);
    sink_init(&self->signature, ANTHROPIC_BYTES_MAX);
    sink_init(&self->citations, ANTHROPIC_BYTES_MAX);
    return canon_keep_names(options->request, arena, &self->options.request);
}

void
anthropic_writer_fini(void *writer)
{
    struct anthropic_writer *self = writer;
    for (struct anthropic_waiting *call = self->first; call; call = call->next)
        sink_fini(&call->text);
    self->first = self->last = NULL;
    sink_fini(&self->content);
    sink_fini(&self->input);
    sink_fini(&self->signature);
    sink_fini(&self->citations);
}

void
anthropic_write_ping(void *writer, struct frames *frames)
{
    struct anthropic_writer *self = writer;
    if (self->ended || self->failed)
        return;
    /* In front of message_start a ping would be an event that no client expects; a comment is none.
     */
    frame_begin(frames, self->started ? FRAME_EVENT : FRAME_COMMENT, self->started ? "ping" : NULL);
    sink_text(&frames->bytes, self->started ? "{\"type\": \"ping\"}" : "keep-alive");
    frame_end(frames);
}

int
anthropic_write_error(void *writer, const struct canon_error *error, struct frames *frames)
{
    struct anthropic_writer *self = writer;
    if (self->ended || self->failed)
        return 0;
    self->failed = true;
    if (!self->options.stream)
        return 0;
    frame_begin(frames, FRAME_EVENT, "error");
    struct sink *out = &frames->bytes;
    sink_text(out, "{\"type\":\"error\",\"error\":");
    anthropic_put_error(error, true, out);
    sink_byte(out, '}');
    frame_end(frames);
    return frames->error;
}
