/* SPDX-License-Identifier: MIT
 *
 * anthropic_reply_write.c - canonical events as a Messages stream, or gathered into one message.
 *
 * The client sees dense indexes and one open block at a time. A call that opens while another call
 * is open waits, unless the arguments of the first already are one complete object: then nothing
 * can follow them and it closes. Other kinds never wait: they close what is open.
 */
#include "providers/anthropic.h"

#define PIECE_MAX (DIALECT_LINE_MAX - 256)
#define WAITING_MAX (8u * 1024 * 1024) /* bytes of arguments that wait, together */
#define STOP_SEQUENCE_MAX 1024

/* Recognisable, so that it is never taken for a provider's. */
static const struct slice placeholder = SLICE_LIT("penstock.1.unsigned.");

/* ---------------------------------------------------------------- frames */

static bool
streams(const struct anthropic_writer *writer)
{
    return writer->options.stream;
}

static struct sink *
begin(struct frames *frames, const char *type)
{
    frame_begin(frames, FRAME_EVENT, type);
    return &frames->bytes;
}

static void
put_block_head(struct sink *out, const char *type, uint32_t index)
{
    sink_text(out, "{\"type\":\"");
    sink_text(out, type);
    sink_text(out, "\",\"index\":");
    sink_u64(out, index);
}

static void
write_piece(struct frames *frames, uint32_t index, const char *type, const char *member,
            struct slice text)
{
    struct sink *out = begin(frames, "content_block_delta");
    put_block_head(out, "content_block_delta", index);
    sink_text(out, ",\"delta\":{\"type\":\"");
    sink_text(out, type);
    sink_text(out, "\",\"");
    sink_text(out, member);
    sink_text(out, "\":\"");
    sink_put(out, text);
    sink_text(out, "\"}}");
    frame_end(frames);
}

static void
write_delta(struct frames *frames, uint32_t index, const char *type, const char *member,
            struct slice text)
{
    while (text.len > 0)
        write_piece(frames, index, type, member, dialect_text_piece(&text, PIECE_MAX));
}

static void
put_counter(struct sink *out, const char *name, uint64_t count)
{
    sink_text(out, name);
    sink_u64(out, count == UINT64_MAX ? 0 : count);
}

struct anthropic_usage
anthropic_input_usage(const struct anthropic_writer *writer)
{
    const struct canon_usage *usage = &writer->usage;
    uint64_t input =
        usage->in_total == UINT64_MAX ? writer->options.input_estimate : usage->in_total;
    uint64_t read = usage->cache_read == UINT64_MAX ? 0 : usage->cache_read;
    uint64_t write = usage->cache_write == UINT64_MAX ? 0 : usage->cache_write;
    input = input > read ? input - read : 0;
    input = input > write ? input - write : 0;
    return (struct anthropic_usage){input, read, write};
}

void
anthropic_put_usage(const struct anthropic_writer *writer, struct sink *out)
{
    const struct canon_usage *usage = &writer->usage;
    struct anthropic_usage in = anthropic_input_usage(writer);
    put_counter(out, "{\"input_tokens\":", in.input);
    put_counter(out, ",\"cache_creation_input_tokens\":", in.cache_write);
    put_counter(out, ",\"cache_read_input_tokens\":", in.cache_read);
    put_counter(out, ",\"output_tokens\":", usage->out_total);
    if (usage->reasoning != UINT64_MAX) {
        put_counter(out, ",\"output_tokens_details\":{\"thinking_tokens\":", usage->reasoning);
        sink_byte(out, '}');
    }
    sink_byte(out, '}');
}

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
}

static void
start(struct anthropic_writer *writer, struct frames *frames)
{
    if (writer->started)
        return;
    writer->started = true;
    if (!streams(writer))
        return;
    struct sink *out = begin(frames, "message_start");
    sink_text(out, "{\"type\":\"message_start\",\"message\":");
    put_message_head(writer, out);
    sink_text(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    anthropic_put_usage(writer, out);
    sink_text(out, "}}");
    frame_end(frames);
}

/* ---------------------------------------------------------------- one block */

/* {"type":"text" and so on: the block as it starts, without its last brace when more follows in a
 * whole message. */
static void
put_block_start(const struct canon_event *event, const struct anthropic_writer *writer,
                struct sink *out)
{
    bool whole = !streams(writer);
    switch (event->type) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        sink_text(out, "{\"type\":\"text\",\"text\":\"");
        sink_text(out, whole ? "" : "\"}");
        break;
    case BLOCK_THINKING:
        sink_text(out, "{\"type\":\"thinking\",\"thinking\":\"");
        sink_text(out, whole ? "" : "\",\"signature\":\"\"}");
        break;
    case BLOCK_REDACTED:
        sink_text(out, "{\"type\":\"redacted_thinking\",\"data\":\"");
        sink_put(out, event->data);
        sink_text(out, "\"}");
        break;
    case BLOCK_CALL:
        sink_text(out, "{\"type\":\"tool_use\",\"id\":\"");
        sink_put(out, event->id);
        sink_text(out, "\",\"name\":\"");
        sink_put(out, canon_client_name(writer->options.request, event->name, writer->arena));
        sink_text(out, whole ? "\",\"input\":" : "\",\"input\":{}}");
        break;
    case BLOCK_IMAGE:
    case BLOCK_NATIVE:
        break;
    }
}

static void
begin_block(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    assert(!writer->open && event->type != BLOCK_NATIVE);
    writer->open = true;
    writer->is_signed = writer->text_seen = false;
    writer->type = event->type;
    writer->block = event->block;
    writer->custom = event->custom;
    writer->passed = false;
    writer->unescape = (struct unescape){0};
    json_check_init(&writer->check);
    if (streams(writer)) {
        struct sink *out = begin(frames, "content_block_start");
        put_block_head(out, "content_block_start", writer->blocks);
        sink_text(out, ",\"content_block\":");
        put_block_start(event, writer, out);
        sink_byte(out, '}');
        frame_end(frames);
    } else {
        if (writer->blocks > 0)
            sink_byte(&writer->content, ',');
        put_block_start(event, writer, &writer->content);
    }
    writer->blocks++;
}

/* The arguments of a custom tool are one string; here they become an object with that string as its
 * only member. */
static const struct slice custom_before = SLICE_LIT("{\"input\":\""),
                          custom_after = SLICE_LIT("\"}");

static void
put_input(struct anthropic_writer *writer, struct slice decoded, struct frames *frames)
{
    if (!streams(writer)) {
        sink_put(&writer->input, decoded);
        return;
    }
    struct sink escaped;
    sink_init(&escaped, ANTHROPIC_BYTES_MAX);
    json_escape(&escaped, decoded);
    if (escaped.error != 0)
        frames->error = escaped.error;
    write_delta(frames, writer->blocks - 1, "input_json_delta", "partial_json",
                sink_slice(&escaped));
    sink_fini(&escaped);
}

static void
block_input(struct anthropic_writer *writer, struct slice text, struct frames *frames)
{
    if (writer->custom) {
        if (!writer->text_seen)
            put_input(writer, custom_before, frames);
        put_input(writer, text, frames);
        writer->text_seen = true;
        return;
    }
    writer->text_seen = true;
    if (streams(writer)) {
        (void)unescape_check(&writer->unescape, text, &writer->check);
        write_delta(frames, writer->blocks - 1, "input_json_delta", "partial_json", text);
    } else {
        unescape_put(&writer->unescape, text, &writer->input);
    }
}

static void
block_text(struct anthropic_writer *writer, struct slice text, struct frames *frames)
{
    writer->text_seen = true;
    bool thinking = writer->type == BLOCK_THINKING;
    if (!streams(writer))
        sink_put(&writer->content, text);
    else if (thinking)
        write_delta(frames, writer->blocks - 1, "thinking_delta", "thinking", text);
    else
        write_delta(frames, writer->blocks - 1, "text_delta", "text", text);
}

static void
block_signature(struct anthropic_writer *writer, struct slice signature, struct frames *frames)
{
    writer->is_signed = true;
    if (!streams(writer))
        sink_put(&writer->signature, signature);
    else /* in one piece, however long: an official accumulator keeps only the last */
        write_piece(frames, writer->blocks - 1, "signature_delta", "signature", signature);
}

/* The arguments of a call in a whole message. What a cut-short reply left unfinished is kept as
 * text. */
static void
close_input(struct anthropic_writer *writer)
{
    struct json_scan scan;
    unescape_done(&writer->unescape, &writer->input);
    struct slice input = sink_slice(&writer->input);
    bool object = json_scan(input, ANTHROPIC_DEPTH_MAX, &scan) == 0;
    size_t first = 0;
    while (first < input.len && (input.ptr[first] == ' ' || input.ptr[first] == '\n' ||
                                 input.ptr[first] == '\t' || input.ptr[first] == '\r'))
        first++;
    if (first == input.len) {
        sink_text(&writer->content, "{}");
    } else if (object && input.ptr[first] == '{') {
        sink_put(&writer->content, input);
    } else {
        sink_text(&writer->content, "{\"_raw\":\"");
        json_escape(&writer->content, input);
        sink_text(&writer->content, "\"}");
    }
    sink_byte(&writer->content, '}');
    if (writer->input.error != 0)
        writer->content.error = writer->input.error;
    sink_reset(&writer->input, 4096);
}

static void
close_whole(struct anthropic_writer *writer)
{
    switch (writer->type) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        sink_text(&writer->content, "\"}");
        break;
    case BLOCK_THINKING:
        sink_text(&writer->content, "\",\"signature\":\"");
        sink_put(&writer->content, sink_slice(&writer->signature));
        sink_text(&writer->content, "\"}");
        sink_reset(&writer->signature, 4096);
        break;
    case BLOCK_CALL:
        close_input(writer);
        break;
    case BLOCK_REDACTED:
    case BLOCK_IMAGE:
    case BLOCK_NATIVE:
        break;
    }
}

static void
close_block(struct anthropic_writer *writer, struct frames *frames)
{
    assert(writer->open && writer->blocks > 0);
    bool unsaid =
        !writer->passed; /* what the upstream itself left unsaid in a passed block stays so */
    if (unsaid && writer->type == BLOCK_THINKING && !writer->is_signed &&
        writer->options.placeholder_signature)
        block_signature(writer, placeholder, frames);
    if (writer->type == BLOCK_CALL && writer->custom)
        put_input(writer, writer->text_seen ? custom_after : SLICE_LIT("{\"input\":\"\"}"), frames);
    else if (unsaid && writer->type == BLOCK_CALL && streams(writer) &&
             json_check_empty(&writer->check))
        write_delta(frames, writer->blocks - 1, "input_json_delta", "partial_json",
                    SLICE_LIT("{}"));
    if (streams(writer)) {
        struct sink *out = begin(frames, "content_block_stop");
        put_block_head(out, "content_block_stop", writer->blocks - 1);
        sink_byte(out, '}');
        frame_end(frames);
    } else {
        close_whole(writer);
    }
    writer->open = false;
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
enqueue(struct anthropic_writer *writer, const struct canon_event *event)
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
    begin_block(writer, &event, frames);
    if (call->text.len > 0)
        block_input(writer, sink_slice(&call->text), frames);
    writer->waiting_bytes -= call->text.len;
    sink_fini(&call->text);
    if (call->closed)
        close_block(writer, frames);
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
            close_block(writer, frames);
        else
            admit_first(writer, frames);
    }
}

/* ---------------------------------------------------------------- events */

static int
open_event(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    start(writer, frames);
    if (event->type == BLOCK_NATIVE)
        return 0;
    bool both_calls = event->type == BLOCK_CALL && writer->open && writer->type == BLOCK_CALL;
    bool complete = streams(writer) && !writer->custom && json_check_done(&writer->check);
    if (both_calls && (writer->first || !complete))
        return enqueue(writer, event);
    close_all(writer, frames);
    begin_block(writer, event, frames);
    return 0;
}

static int
delta_event(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    if (event->type == BLOCK_NATIVE || (event->text.len == 0 && event->signature.len == 0))
        return 0;
    if (!writer->open || writer->block != event->block) {
        struct anthropic_waiting *call = find_waiting(writer, event->block);
        return call ? wait_text(writer, call, event->text) : -ERR_UPSTREAM_PROTOCOL;
    }
    if (event->text.len > 0 && writer->type == BLOCK_CALL)
        block_input(writer, event->text, frames);
    else if (event->text.len > 0)
        block_text(writer, event->text, frames);
    if (event->signature.len > 0 && writer->type == BLOCK_THINKING)
        block_signature(writer, event->signature, frames);
    return 0;
}

static void
close_event(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    if (writer->open && writer->block == event->block) {
        close_block(writer, frames);
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
    writer->ended = true;
    if (!streams(writer))
        return;
    if (!writer->finishing) {
        struct sink *out = begin(frames, "message_delta");
        sink_text(out, "{\"type\":\"message_delta\",\"delta\":{");
        put_stop(writer, out);
        sink_text(out, "},\"usage\":");
        anthropic_put_usage(writer, out);
        sink_byte(out, '}');
        frame_end(frames);
        writer->finishing = true;
    }
    sink_text(begin(frames, "message_stop"), "{\"type\":\"message_stop\"}");
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
    case CANON_NATIVE:
        break;
    }
    if (error == 0)
        error = frames->error != 0 ? frames->error : writer->content.error;
    return error;
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
    for (int i = 0; i < events->count && error == 0; i++)
        error = anthropic_write_one(self, &events->at[i], frames);
    return error;
}

/* ---------------------------------------------------------------- the rest of the writer */

int
anthropic_write_start(void *writer, struct frames *frames)
{
    struct anthropic_writer *self = writer;
    self->early = !self->started && streams(self);
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
    sink_put(out, sink_slice(&self->content));
    sink_text(out, "],");
    put_stop(self, out);
    sink_text(out, ",\"usage\":");
    anthropic_put_usage(self, out);
    sink_byte(out, '}');
    return self->content.error != 0 ? self->content.error : out->error;
}
