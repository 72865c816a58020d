/* SPDX-License-Identifier: MIT
 *
 * gemini_reply_whole.c - canonical events gathered into one generateContent reply: the deltas of a
 * block are one part.
 */
#include "providers/gemini.h"

/* The text part that is open ends here; its signature came last. */
static void
close_part(struct gemini_write_choice *choice, struct slice signature)
{
    if (!choice->part_open)
        return;
    struct sink *out = &choice->parts;
    choice->part_open = false;
    sink_byte(out, '"');
    if (choice->part_thought)
        sink_text(out, ",\"thought\":true");
    if (slice_present(signature)) {
        sink_text(out, ",\"thoughtSignature\":\"");
        sink_put(out, signature);
        sink_byte(out, '"');
    }
    sink_byte(out, '}');
}

static struct sink *
begin_part(struct gemini_write_choice *choice)
{
    close_part(choice, SLICE_NONE);
    if (choice->parts.len > 0)
        sink_byte(&choice->parts, ',');
    return &choice->parts;
}

static int
gather_text(struct gemini_writer *writer, struct gemini_write_choice *choice,
            const struct canon_event *event, struct frames *frames)
{
    bool thought = event->type == BLOCK_THINKING;
    struct slice text = thought && writer->hide_thoughts ? SLICE_NONE : event->text, signature;
    int error = gemini_outgoing_state(writer, event, frames, &signature);
    if (!error && !thought && text.len > 0)
        error = gemini_note_text(writer, choice, event);
    if (error || (text.len == 0 && !slice_present(signature)))
        return error;
    if (!choice->part_open || choice->part_block != event->block) {
        sink_text(begin_part(choice), "{\"text\":\"");
        choice->part_open = true;
        choice->part_block = event->block;
        choice->part_thought = thought;
    }
    sink_put(&choice->parts, text);
    if (slice_present(signature))
        close_part(choice, signature);
    return choice->parts.error;
}

static int
gather_open(struct gemini_writer *writer, struct gemini_write_choice *choice,
            const struct canon_event *event, struct frames *frames)
{
    if (event->type == BLOCK_CALL)
        return gemini_call_open(writer, choice, event, frames);
    frames->unsaid += event->type == BLOCK_NATIVE;
    if (event->type == BLOCK_IMAGE)
        return gemini_note_image(writer, choice, event);
    if (event->type != BLOCK_REDACTED || event->data.len == 0)
        return 0;
    struct slice state;
    int error = gemini_outgoing_state(writer, event, frames, &state);
    if (error || !slice_present(state))
        return error;
    gemini_put_text(begin_part(choice), SLICE_LIT(""), true, state);
    return choice->parts.error;
}

static int
gather_delta(struct gemini_writer *writer, struct gemini_write_choice *choice,
             const struct canon_event *event, struct frames *frames)
{
    struct slice signature;
    switch (event->type) {
    case BLOCK_CALL:
        return gemini_call_delta(writer, choice, event, frames);
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
    case BLOCK_THINKING:
        gemini_put_logprobs(event->logprobs, &choice->chosen, &choice->top);
        return gather_text(writer, choice, event, frames);
    case BLOCK_IMAGE:
        if (event->data.len == 0)
            return 0;
        if (gemini_outgoing_state(writer, event, frames, &signature) != 0)
            return -ERR_MEMORY;
        gemini_put_image(begin_part(choice), choice->image_type, event->data, signature);
        return choice->parts.error;
    case BLOCK_REDACTED:
    case BLOCK_NATIVE:
        return 0;
    }
    return 0;
}

static int
gather_calls(struct gemini_write_choice *choice)
{
    for (struct gemini_write_call *call = choice->calls; call; call = call->next) {
        if (call->written)
            continue;
        (void)gemini_call_ready(call);
        gemini_put_call(call, begin_part(choice));
    }
    return choice->parts.error;
}

static int
gather_native(struct gemini_write_choice *choice, const struct canon_event *event,
              struct frames *frames)
{
    if (event->origin != ORIGIN_GEMINI || !slice_present(event->native)) {
        frames->unsaid++;
        return 0;
    }
    if (slice_is(event->name, "groundingMetadata"))
        return gemini_keep_native(event->native, &choice->grounding);
    gemini_put_native(event->native, begin_part(choice));
    return choice->parts.error;
}

int
gemini_gather_event(struct gemini_writer *writer, struct gemini_write_choice *choice,
                    const struct canon_event *event, struct frames *frames)
{
    struct gemini_write_call *call;
    switch (event->kind) {
    case CANON_OPEN:
        return gather_open(writer, choice, event, frames);
    case CANON_DELTA:
        return gather_delta(writer, choice, event, frames);
    case CANON_CLOSE:
        call = event->type == BLOCK_CALL ? gemini_call_find(choice, event->block) : NULL;
        if (call && !call->written && gemini_call_ready(call))
            gemini_put_call(call, begin_part(choice));
        return choice->parts.error;
    case CANON_FINISH:
        choice->finish = event->finish;
        close_part(choice, SLICE_NONE);
        return gather_calls(choice);
    case CANON_NATIVE:
        return gather_native(choice, event, frames);
    case CANON_START:
    case CANON_USAGE:
    case CANON_ERROR:
    case CANON_END:
    case CANON_CITATION:
        break;
    }
    return 0;
}

int
gemini_write_whole(void *writer, struct sink *out)
{
    struct gemini_writer *self = writer;
    if (!self->ended)
        return -ERR_UPSTREAM_PROTOCOL;
    if (!gemini_writer_choice(self, 0))
        return -ERR_MEMORY;
    sink_text(out, "{\"candidates\":[");
    for (struct gemini_write_choice *at = self->choices; at; at = at->next) {
        close_part(at, SLICE_NONE);
        sink_text(out, "{\"content\":{");
        if (at->parts.len > 0) { /* an empty list is left out, as protobuf does */
            sink_text(out, "\"parts\":[");
            sink_join(out, &at->parts);
            sink_text(out, "],");
        }
        sink_text(out, "\"role\":\"model\"}");
        gemini_put_candidate_end(at, out);
        sink_text(out, at->next ? "}," : "}");
        if (at->parts.error)
            return at->parts.error;
    }
    sink_byte(out, ']');
    gemini_put_usage(self, out);
    sink_put(out, self->tail);
    return out->error;
}
