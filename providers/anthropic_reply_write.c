/* SPDX-License-Identifier: MIT
 *
 * anthropic_reply_write.c - canonical events as a Messages stream, or gathered into one message.
 *
 * The client sees dense indexes and one open block at a time. A call that opens while another call
 * is open waits, unless the arguments of the first already are one complete object: then nothing
 * can follow them and it closes. Other kinds never wait: they close what is open.
 */
#include "providers/anthropic_block.h"

#define WAITING_MAX (8u * 1024 * 1024) /* bytes of arguments that wait, together */
#define STOP_SEQUENCE_MAX 1024

/* ---------------------------------------------------------------- the message around the blocks */

/* {"id":..., up to and with the model: how a message begins, streamed or whole. */
static void
put_message_head(const struct anthropic_writer *writer, struct sink *out)
{
    sink_text(out, "{\"id\":\"msg_");
    sink_put(out, writer->options.id);
    sink_text(out, "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"");
    json_escape(out, writer->options.model);
    sink_byte(out, '"');
}

static void
put_stop(const struct anthropic_writer *writer, struct sink *out)
{
    sink_text(out, "\"stop_reason\":\"");
    sink_text(out, anthropic_finish_name(writer->finish));
    sink_text(out, "\",\"stop_sequence\":");
    if (writer->finish == FINISH_STOP_SEQUENCE && slice_present(writer->stop_sequence)) {
        sink_byte(out, '"');
        sink_put(out, writer->stop_sequence);
        sink_byte(out, '"');
    } else {
        sink_text(out, "null");
    }
    if (slice_present(writer->stop_details)) {
        sink_text(out, ",\"stop_details\":");
        anthropic_put_line(out, writer->stop_details);
    }
}

static void
start(struct anthropic_writer *writer, struct frames *frames)
{
    if (writer->started)
        return;
    writer->started = true;
    if (!anthropic_streams(writer))
        return;
    struct sink *out = anthropic_begin_frame(frames, "message_start");
    sink_text(out, "{\"type\":\"message_start\",\"message\":");
    put_message_head(writer, out);
    sink_text(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    anthropic_put_usage(writer, out);
    sink_text(out, "}}");
    frame_end(frames);
}

/* ---------------------------------------------------------------- calls that wait */

static struct anthropic_waiting *
find_waiting(const struct anthropic_writer *writer, uint32_t block)
{
    struct anthropic_waiting *at = writer->first;
    while (at && at->block != block)
        at = at->next;
    return at;
}

static int
enqueue(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    struct anthropic_waiting *call = arena_take(writer->arena, sizeof(*call));
    if (!call)
        return -ERR_MEMORY;
    struct slice id = arena_copy(writer->arena, event->id),
                 name = arena_copy(writer->arena, event->name);
    if (!slice_present(id) || !slice_present(name))
        return -ERR_MEMORY;
    *call = (struct anthropic_waiting){
        .block = event->block, .custom = event->custom, .id = id, .name = name};
    if (event->signature.len > 0) {
        call->state = anthropic_carried(writer, event->origin, false, event->signature, frames);
        call->state = arena_copy(writer->arena, call->state);
        if (!slice_present(call->state))
            return -ERR_MEMORY;
    }
    sink_init(&call->text, WAITING_MAX);
    if (writer->last)
        writer->last->next = call;
    else
        writer->first = call;
    writer->last = call;
    return 0;
}

static int
wait_text(struct anthropic_writer *writer, struct anthropic_waiting *call, struct slice text)
{
    writer->waiting_bytes += text.len;
    if (writer->waiting_bytes > WAITING_MAX)
        return -ERR_UPSTREAM_TOO_LARGE;
    sink_put(&call->text, text);
    return call->text.error;
}

/*
 * The state of a call stands in front of it, in a block of its own; that of a text stands behind
 * the text, and is left out where it would be taken for that of a call.
 */
static void
put_states(struct anthropic_writer *writer, bool before_call, struct slice state,
           struct frames *frames)
{
    assert(!writer->open);
    if (slice_present(writer->text_state)) {
        if (before_call && state.len == 0)
            frames->unsaid++;
        else
            anthropic_block_state(writer, writer->text_state, frames);
        writer->text_state = SLICE_NONE;
    }
    if (state.len > 0)
        anthropic_block_state(writer, state, frames);
}

/* The first call that waits becomes the open block. */
static void
admit_first(struct anthropic_writer *writer, struct frames *frames)
{
    struct anthropic_waiting *call = writer->first;
    assert(call && !writer->open);
    writer->first = call->next;
    writer->last = call->next ? writer->last : NULL;
    struct canon_event event = {.kind = CANON_OPEN,
                                .type = BLOCK_CALL,
                                .block = call->block,
                                .id = call->id,
                                .name = call->name,
                                .custom = call->custom};
    put_states(writer, true, call->state, frames);
    anthropic_block_begin(writer, &event, frames);
    writer->is_signed = call->state.len > 0;
    if (call->text.len > 0)
        anthropic_block_input(writer, sink_slice(&call->text), frames);
    writer->waiting_bytes -= call->text.len;
    sink_fini(&call->text);
    if (call->closed)
        anthropic_block_close(writer, frames);
}

/* After a close: admit what waits, up to the first call that may still grow. */
static void
admit(struct anthropic_writer *writer, struct frames *frames)
{
    while (!writer->open && writer->first)
        admit_first(writer, frames);
}

static void
close_all(struct anthropic_writer *writer, struct frames *frames)
{
    while (writer->open || writer->first) {
        if (writer->open)
            anthropic_block_close(writer, frames);
        else
            admit_first(writer, frames);
    }
}

/* ---------------------------------------------------------------- events */

/* Is it a thing of this dialect that only its own clients know? */
static bool
own_native(const struct canon_event *event)
{
    return event->origin == ORIGIN_ANTHROPIC && slice_present(event->native);
}

static int
open_event(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    start(writer, frames);
    bool is_call = event->type == BLOCK_CALL;
    if (event->type == BLOCK_NATIVE && !own_native(event)) {
        frames->unsaid++;
        return 0;
    }
    bool both_calls = is_call && writer->open && writer->type == BLOCK_CALL;
    bool complete = anthropic_streams(writer) && !writer->custom && json_check_done(&writer->check);
    if (both_calls && (writer->first || !complete))
        return enqueue(writer, event, frames);
    close_all(writer, frames);
    struct slice state = SLICE_NONE;
    if (is_call && event->signature.len > 0)
        state = anthropic_carried(writer, event->origin, false, event->signature, frames);
    put_states(writer, is_call, state, frames);
    anthropic_block_begin(writer, event, frames);
    writer->is_signed = state.len > 0;
    return 0;
}

/* A state for a block that is open, or waits. */
static int
signature_event(struct anthropic_writer *writer, const struct canon_event *event,
                struct frames *frames)
{
    bool at_hand = writer->open && writer->block == event->block;
    if (at_hand && writer->type == BLOCK_THINKING) {
        struct slice state =
            anthropic_carried(writer, event->origin, false, event->signature, frames);
        anthropic_block_signature(writer, state, frames);
        return 0;
    }
    bool shown = writer->type == BLOCK_TEXT || writer->type == BLOCK_IMAGE;
    if (at_hand && shown && event->origin != ORIGIN_ANTHROPIC) {
        struct slice state =
            anthropic_carried(writer, event->origin, false, event->signature, frames);
        writer->text_state = arena_copy(writer->arena, state);
        return slice_present(writer->text_state) ? 0 : -ERR_MEMORY;
    }
    const struct anthropic_waiting *call = find_waiting(writer, event->block);
    bool said =
        event->type == BLOCK_CALL && (at_hand ? writer->is_signed : call && call->state.len > 0);
    frames->unsaid += !said; /* its block has begun, and the place for it was in front */
    return 0;
}

static int
text_event(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    if (!writer->open || writer->block != event->block) {
        struct anthropic_waiting *call = find_waiting(writer, event->block);
        return call ? wait_text(writer, call, event->text) : -ERR_UPSTREAM_PROTOCOL;
    }
    if (writer->type == BLOCK_CALL)
        anthropic_block_input(writer, event->text, frames);
    else
        anthropic_block_text(writer, event->text, frames);
    return 0;
}

static int
delta_event(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    if (event->type == BLOCK_NATIVE)
        return 0;
    if (event->type == BLOCK_IMAGE) {
        if (writer->open && writer->block == event->block)
            writer->image_chars += event->data.len;
        return event->signature.len > 0 ? signature_event(writer, event, frames) : 0;
    }
    int error = event->text.len > 0 ? text_event(writer, event, frames) : 0;
    if (error == 0 && event->signature.len > 0)
        error = signature_event(writer, event, frames);
    return error;
}

static void
citation_event(struct anthropic_writer *writer, const struct canon_event *event,
               struct frames *frames)
{
    assert(event->citation);
    if (writer->open && writer->block == event->block)
        anthropic_block_citation(writer, event->citation, frames);
    else
        frames->unsaid++;
}

static void
native_event(struct anthropic_writer *writer, const struct canon_event *event,
             struct frames *frames)
{
    bool at_hand = writer->open && writer->type == BLOCK_NATIVE && writer->block == event->block;
    if (own_native(event) && slice_is(event->name, "stop_details"))
        writer->stop_details = arena_copy(writer->arena, event->native);
    else if (own_native(event) && event->type == BLOCK_NATIVE && at_hand)
        anthropic_block_native(writer, event->native, frames);
    else
        frames->unsaid++;
}

static void
close_event(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    if (writer->open && writer->block == event->block) {
        anthropic_block_close(writer, frames);
        admit(writer, frames);
        return;
    }
    struct anthropic_waiting *call = find_waiting(writer, event->block);
    if (call)
        call->closed = true;
}

static int
finish_event(struct anthropic_writer *writer, const struct canon_event *event)
{
    writer->finish = event->finish;
    if (!slice_present(event->stop_sequence) || event->stop_sequence.len > STOP_SEQUENCE_MAX)
        return 0;
    writer->stop_sequence = arena_copy(writer->arena, event->stop_sequence);
    return slice_present(writer->stop_sequence) ? 0 : -ERR_MEMORY;
}

static void
end_event(struct anthropic_writer *writer, struct frames *frames)
{
    start(writer, frames);
    close_all(writer, frames);
    put_states(writer, false, SLICE_NONE, frames);
    writer->ended = true;
    if (!anthropic_streams(writer))
        return;
    if (!writer->finishing) {
        struct sink *out = anthropic_begin_frame(frames, "message_delta");
        sink_text(out, "{\"type\":\"message_delta\",\"delta\":{");
        put_stop(writer, out);
        sink_text(out, "},\"usage\":");
        anthropic_put_usage(writer, out);
        sink_byte(out, '}');
        frame_end(frames);
        writer->finishing = true;
    }
    sink_text(anthropic_begin_frame(frames, "message_stop"), "{\"type\":\"message_stop\"}");
    frame_end(frames);
}

int
anthropic_write_one(struct anthropic_writer *writer, const struct canon_event *event,
                    struct frames *frames)
{
    int error = 0;
    if (writer->ended || writer->failed || event->choice != 0)
        return 0;
    switch (event->kind) {
    case CANON_START:
        start(writer, frames);
        break;
    case CANON_OPEN:
        error = open_event(writer, event, frames);
        break;
    case CANON_DELTA:
        error = delta_event(writer, event, frames);
        break;
    case CANON_CLOSE:
        close_event(writer, event, frames);
        break;
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        break;
    case CANON_FINISH:
        error = finish_event(writer, event);
        break;
    case CANON_ERROR:
        error = anthropic_write_error(writer, &event->error, frames);
        break;
    case CANON_END:
        end_event(writer, frames);
        break;
    case CANON_CITATION:
        citation_event(writer, event, frames);
        break;
    case CANON_NATIVE:
        native_event(writer, event, frames);
        break;
    }
    if (error == 0)
        error = frames->error != 0 ? frames->error : writer->content.error;
    return error;
}

/* A call's state must be known when it opens; it may come a few events behind, within the same
 * upstream event. */
static int
open_call(struct anthropic_writer *writer, const struct canon_events *events, int at,
          struct frames *frames)
{
    struct canon_event event = events->at[at];
    for (int i = at + 1; i < events->count && event.signature.len == 0; i++) {
        const struct canon_event *later = &events->at[i];
        if (later->block != event.block || later->kind != CANON_DELTA)
            continue;
        event.signature = later->signature;
        event.origin = later->origin;
    }
    return anthropic_write_one(writer, &event, frames);
}

int
anthropic_write_events(void *writer, const struct canon_events *events, struct frames *frames)
{
    struct anthropic_writer *self = writer;
    int error = 0;
    /* Usage that came with the first events can still go into message_start. */
    for (int i = 0; !self->started && i < events->count; i++) {
        if (events->at[i].kind == CANON_USAGE)
            canon_usage_merge(&self->usage, &events->at[i].usage);
    }
    for (int i = 0; i < events->count && error == 0; i++) {
        const struct canon_event *event = &events->at[i];
        bool call = event->kind == CANON_OPEN && event->type == BLOCK_CALL;
        error =
            call ? open_call(self, events, i, frames) : anthropic_write_one(self, event, frames);
    }
    return error;
}

/* ---------------------------------------------------------------- the rest of the writer */

int
anthropic_write_start(void *writer, struct frames *frames)
{
    struct anthropic_writer *self = writer;
    self->early = !self->started && anthropic_streams(self);
    start(self, frames);
    return frames->error;
}

int
anthropic_write_whole(void *writer, struct sink *out)
{
    struct anthropic_writer *self = writer;
    if (!self->ended)
        return -ERR_UPSTREAM_PROTOCOL;
    put_message_head(self, out);
    sink_text(out, ",\"content\":[");
    sink_join(out, &self->content);
    sink_text(out, "],");
    put_stop(self, out);
    sink_text(out, ",\"usage\":");
    anthropic_put_usage(self, out);
    sink_byte(out, '}');
    return self->content.error != 0 ? self->content.error : out->error;
}
