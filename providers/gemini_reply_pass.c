/* SPDX-License-Identifier: MIT
 *
 * gemini_reply_pass.c - a Gemini upstream's chunk on its way to a Gemini client: as it is, whatever
 * members it has.
 *
 * The protocol leaves nothing to mend. Only what a filter rewrote, or what is too long for a line,
 * is written from its events; a finish that passed is not said again at the end.
 */
#include "providers/gemini.h"

#include "base/text.h"

/* The data in a block of our own: the raw block lacks its last line, or has several. */
static int
put_data(struct slice data, struct frames *frames)
{
    frame_begin(frames, FRAME_EVENT, NULL);
    size_t start = frames->bytes.len;
    sink_put(&frames->bytes, text_trim(data));
    for (size_t i = start; i < frames->bytes.len; i++)
        if (frames->bytes.ptr[i] == '\n' || frames->bytes.ptr[i] == '\r')
            frames->bytes.ptr[i] = ' ';
    frame_end(frames);
    return frames->error;
}

int
gemini_pass_event(void *writer, struct slice data, const struct canon_events *events,
                  struct frames *frames)
{
    struct gemini_writer *self = writer;
    if (self->ended || self->failed)
        return 0;
    if (!slice_present(data) || events->mends & CANON_MEND_ALL)
        return gemini_write_events(writer, events, frames);
    if (events->swallow && events->count == 0)
        return 0;
    int failed = gemini_flush_thoughts(self, frames);
    if (failed)
        return failed;
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        if (event->kind == CANON_ERROR && !gemini_error_conforms(data, events->arena))
            return gemini_write_error(self, &event->error, frames);
        if (event->kind == CANON_ERROR)
            self->failed = true;
        if (event->kind == CANON_USAGE) {
            canon_usage_merge(&self->usage, &event->usage);
            self->usage_known = true;
        }
    }
    self->passed = true;
    self->finish_said = self->finish_said || events->mends & GEMINI_MEND_FINISH;
    if (events->rewrite)
        return put_data(data, frames);
    frame_begin(frames, FRAME_PASS, NULL);
    frame_end(frames);
    return frames->error;
}
