/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_pass.c - a Responses upstream's event on its way to a Responses client: as
 * it is, whatever it says.
 *
 * Mended are only the frame (a missing event line, or a type that only the event line says) and the
 * size (a delta over the line limit becomes several, and every number behind them moves on). What the
 * canonical events say is noted, so that an error at the end goes by the right name.
 */
#include "providers/openai_responses.h"

#include "base/text.h"
#include "providers/splice.h"

static int
note(struct responses_writer *writer, const struct canon_events *events)
{
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        writer->started = true;
        if (event->kind == CANON_START && event->id.len > 0)
            writer->id = arena_copy(writer->arena, event->id);
        if (event->kind == CANON_USAGE) {
            canon_usage_merge(&writer->usage, &event->usage);
            writer->usage_known = true;
        }
        if (event->kind == CANON_END)
            writer->ended = true;
    }
    return slice_present(writer->id) ? 0 : -ERR_MEMORY;
}

static struct slice
quoted(struct slice escaped, struct arena *arena)
{
    return arena_printf(arena, "\"%.*s\"", SLICE_ARG(escaped));
}

/* The event with another delta (absent: its own) and the number that is due. */
static int
put_event(struct responses_writer *writer, struct json root, struct slice data, struct slice delta,
          bool first, const struct canon_events *events, struct frames *frames)
{
    struct arena *arena = events->arena;
    bool lacks_type = events->mends & RESPONSES_MEND_TYPE;
    struct slice word = lacks_type ? events->type : json_text(json_get(root, "type"));
    const char *name = responses_event_name(word);
    struct splice splice;
    splice_init(&splice, data, arena);
    if (lacks_type) {
        struct sink text;
        sink_init(&text, 6 * word.len + 16);
        json_escape(&text, word);
        splice_member(&splice, root, "type", text.error ? SLICE_NONE : quoted(sink_slice(&text), arena));
        sink_fini(&text);
    }
    if (writer->shift > 0 && json_present(json_get(root, "sequence_number"))) {
        struct slice number = arena_printf(arena, "%llu", (unsigned long long)writer->sequence);
        splice_replace(&splice, json_raw(json_get(root, "sequence_number")), number);
    }
    if (slice_present(delta))
        splice_replace(&splice, json_raw(json_get(root, "delta")), quoted(delta, arena));
    if (!first && json_count(json_get(root, "logprobs")) > 0)
        splice_replace(&splice, json_raw(json_get(root, "logprobs")), SLICE_LIT("[]"));
    if (!name && slice_present(word)) { /* no word of ours; it ends with the frame's bytes */
        struct slice own = arena_copy(arena, word);
        name = own.ptr;
    }
    frame_begin(frames, FRAME_EVENT, name);
    int error = splice_put(&splice, &frames->bytes);
    frame_end(frames);
    writer->sequence++;
    return error ? error : frames->error;
}

static int
mend(struct responses_writer *writer, struct slice data, const struct canon_events *events,
     struct frames *frames)
{
    struct json root;
    data = text_trim(data);
    if (json_parse(data, RESPONSES_EVENT_DEPTH_MAX, RESPONSES_EVENT_TOKENS_MAX, events->arena,
                   &root) != 0)
        return -ERR_MEMORY; /* the reader has parsed it before */
    if (!(events->mends & RESPONSES_MEND_SPLIT))
        return put_event(writer, root, data, SLICE_NONE, true, events, frames);
    struct slice text = json_text(json_get(root, "delta"));
    int error = 0;
    bool first = true;
    while (text.len > 0 && !error) {
        struct slice piece = dialect_text_piece(&text, DIALECT_LINE_MAX);
        error = put_event(writer, root, data, piece, first, events, frames);
        writer->shift += text.len > 0;
        first = false;
    }
    return error;
}

static bool
fails(const struct canon_events *events)
{
    for (int i = 0; i < events->count; i++)
        if (events->at[i].kind == CANON_ERROR)
            return true;
    return false;
}

int
responses_pass_event(void *writer, struct slice data, const struct canon_events *events,
                     struct frames *frames)
{
    struct responses_writer *self = writer;
    if (events->swallow || self->ended)
        return frames->error;
    if (data.len == 0 || fails(events))
        return responses_write_events(writer, events, frames);
    int error = note(self, events);
    if (error)
        return error;
    bool framed = events->mends == 0 && !events->rewrite;
    const char *name = NULL;
    if (!framed)
        name = responses_kind_name((enum responses_event)(events->mends >> RESPONSES_MEND_KIND));
    if (self->shift > 0 || events->mends & (RESPONSES_MEND_SPLIT | RESPONSES_MEND_TYPE) || (!framed && !name))
        return mend(self, data, events, frames);
    self->sequence++;
    frame_begin(frames, framed ? FRAME_PASS : FRAME_EVENT, name);
    if (!framed)
        sink_put(&frames->bytes, text_trim(data));
    frame_end(frames);
    return frames->error;
}
