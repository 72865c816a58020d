/* SPDX-License-Identifier: MIT
 *
 * anthropic_block_write.c - one content block: streamed as start, deltas and stop, or gathered into
 * a whole message.
 *
 * What the dialect has no words for is left out and counted (frames->unsaid): citations of other
 * origins, images (a note in the text stands for them). Opaque state of other origins travels in
 * wrappers (wire-formats 11.5).
 */
#include "providers/anthropic_block.h"

#define PIECE_MAX (DIALECT_LINE_MAX - 256)

/* Recognisable, so that it is never taken for a provider's. */
static const struct slice placeholder = SLICE_LIT("penstock.1.unsigned.");

struct sink *
anthropic_begin_frame(struct frames *frames, const char *type)
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
    struct sink *out = anthropic_begin_frame(frames, "content_block_delta");
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

/* Raw JSON may have been laid out over several lines: between its tokens a line end is a space. */
void
anthropic_put_line(struct sink *out, struct slice raw)
{
    size_t start = out->len;
    sink_put(out, raw);
    for (size_t i = start; out->error == 0 && i < out->len; i++) {
        if (out->ptr[i] == '\n' || out->ptr[i] == '\r')
            out->ptr[i] = ' ';
    }
}

struct slice
anthropic_carried(struct anthropic_writer *writer, enum canon_origin origin, bool redacted,
                  struct slice state, struct frames *frames)
{
    if (origin == ORIGIN_ANTHROPIC)
        return state;
    /* State of which nobody knows whose it is came from the one dialect that many vendors speak. */
    struct slice wrapped =
        canon_wrap(origin == ORIGIN_NONE ? ORIGIN_CHAT : origin, redacted, state, writer->arena);
    if (!slice_present(wrapped))
        frames->error = -ERR_MEMORY;
    return slice_present(wrapped) ? wrapped : SLICE_LIT("");
}

/* The base64 of an image is only counted: it could be larger than all that may be gathered. */
static void
begin_image(struct anthropic_writer *writer, const struct canon_event *event, struct frames *frames)
{
    writer->image_chars = 0;
    writer->image_type = arena_copy(writer->arena, slice_take(event->name, 100));
    frames->unsaid++;
}

/* {"type":"text" and so on: the block as it starts, without its last brace when more follows in a
 * whole message. */
static void
put_block_start(const struct canon_event *event, struct anthropic_writer *writer,
                struct frames *frames, struct sink *out)
{
    bool whole = !anthropic_streams(writer);
    switch (event->type) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
    case BLOCK_IMAGE:
        sink_text(out, "{\"type\":\"text\",\"text\":\"");
        sink_text(out, whole ? "" : "\"}");
        break;
    case BLOCK_THINKING:
        sink_text(out, "{\"type\":\"thinking\",\"thinking\":\"");
        sink_text(out, whole ? "" : "\",\"signature\":\"\"}");
        break;
    case BLOCK_REDACTED:
        sink_text(out, "{\"type\":\"redacted_thinking\",\"data\":\"");
        sink_put(out, anthropic_carried(writer, event->origin, true, event->data, frames));
        sink_text(out, "\"}");
        break;
    case BLOCK_CALL:
        sink_text(out, "{\"type\":\"tool_use\",\"id\":\"");
        sink_put(out, event->id);
        sink_text(out, "\",\"name\":\"");
        sink_put(out, canon_client_name(writer->options.request, event->name));
        sink_text(out, whole ? "\",\"input\":" : "\",\"input\":{}}");
        break;
    case BLOCK_NATIVE:
        anthropic_put_line(out, event->native);
        break;
    }
}

void
anthropic_block_begin(struct anthropic_writer *writer, const struct canon_event *event,
                      struct frames *frames)
{
    assert(!writer->open);
    assert(event->type != BLOCK_NATIVE || slice_present(event->native));
    writer->open = true;
    writer->is_signed = writer->text_seen = false;
    writer->type = event->type;
    writer->block = event->block;
    writer->custom = event->custom;
    writer->passed = false;
    writer->unescape = (struct unescape){0};
    json_check_init(&writer->check);
    if (event->type == BLOCK_IMAGE)
        begin_image(writer, event, frames);
    if (anthropic_streams(writer)) {
        struct sink *out = anthropic_begin_frame(frames, "content_block_start");
        put_block_head(out, "content_block_start", writer->blocks);
        sink_text(out, ",\"content_block\":");
        put_block_start(event, writer, frames, out);
        sink_byte(out, '}');
        frame_end(frames);
    } else {
        if (writer->blocks > 0)
            sink_byte(&writer->content, ',');
        put_block_start(event, writer, frames, &writer->content);
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
    if (!anthropic_streams(writer)) {
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

void
anthropic_block_input(struct anthropic_writer *writer, struct slice text, struct frames *frames)
{
    if (writer->custom) {
        if (!writer->text_seen)
            put_input(writer, custom_before, frames);
        put_input(writer, text, frames);
        writer->text_seen = true;
        return;
    }
    writer->text_seen = true;
    if (anthropic_streams(writer)) {
        (void)unescape_check(&writer->unescape, text, &writer->check);
        write_delta(frames, writer->blocks - 1, "input_json_delta", "partial_json", text);
    } else {
        unescape_put(&writer->unescape, text, &writer->input);
    }
}

void
anthropic_block_text(struct anthropic_writer *writer, struct slice text, struct frames *frames)
{
    writer->text_seen = true;
    bool thinking = writer->type == BLOCK_THINKING;
    assert(thinking || writer->type == BLOCK_TEXT || writer->type == BLOCK_REFUSAL ||
           writer->type == BLOCK_IMAGE);
    if (!anthropic_streams(writer))
        sink_put(&writer->content, text);
    else if (thinking)
        write_delta(frames, writer->blocks - 1, "thinking_delta", "thinking", text);
    else
        write_delta(frames, writer->blocks - 1, "text_delta", "text", text);
}

void
anthropic_block_signature(struct anthropic_writer *writer, struct slice signature,
                          struct frames *frames)
{
    writer->is_signed = true;
    if (!anthropic_streams(writer))
        sink_put(&writer->signature, signature);
    else /* in one piece, however long: an official accumulator keeps only the last */
        write_piece(frames, writer->blocks - 1, "signature_delta", "signature", signature);
}

void
anthropic_block_citation(struct anthropic_writer *writer, const struct canon_citation *citation,
                         struct frames *frames)
{
    bool own = citation->origin == ORIGIN_ANTHROPIC && slice_present(citation->native);
    if (!own || writer->type != BLOCK_TEXT) {
        frames->unsaid++;
        return;
    }
    if (!anthropic_streams(writer)) {
        if (writer->citations.len > 0)
            sink_byte(&writer->citations, ',');
        sink_put(&writer->citations, citation->native);
        return;
    }
    struct sink *out = anthropic_begin_frame(frames, "content_block_delta");
    put_block_head(out, "content_block_delta", writer->blocks - 1);
    sink_text(out, ",\"delta\":{\"type\":\"citations_delta\",\"citation\":");
    anthropic_put_line(out, citation->native);
    sink_text(out, "}}");
    frame_end(frames);
}

void
anthropic_block_native(struct anthropic_writer *writer, struct slice native, struct frames *frames)
{
    if (!anthropic_streams(writer) || !slice_present(native)) {
        frames->unsaid++; /* a whole message would need what all its deltas come to */
        return;
    }
    struct sink *out = anthropic_begin_frame(frames, "content_block_delta");
    put_block_head(out, "content_block_delta", writer->blocks - 1);
    sink_text(out, ",\"delta\":");
    anthropic_put_line(out, native);
    sink_byte(out, '}');
    frame_end(frames);
}

/* What an image becomes where none can be shown. */
static void
put_image_note(struct anthropic_writer *writer, struct frames *frames)
{
    struct slice type = writer->image_type.len > 0 ? writer->image_type : SLICE_LIT("unknown type");
    struct slice note = arena_printf(writer->arena, "[image: %.*s, %llu bytes]", SLICE_ARG(type),
                                     (unsigned long long)(writer->image_chars / 4 * 3));
    if (slice_present(note))
        anthropic_block_text(writer, note, frames);
    else
        frames->error = -ERR_MEMORY;
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
    case BLOCK_IMAGE:
        sink_byte(&writer->content, '"');
        if (writer->citations.len > 0) {
            sink_text(&writer->content, ",\"citations\":[");
            sink_join(&writer->content, &writer->citations);
            sink_byte(&writer->content, ']');
        }
        sink_byte(&writer->content, '}');
        if (writer->citations.error != 0)
            writer->content.error = writer->citations.error;
        sink_reset(&writer->citations, 4096);
        break;
    case BLOCK_THINKING:
        sink_text(&writer->content, "\",\"signature\":\"");
        sink_join(&writer->content, &writer->signature);
        sink_text(&writer->content, "\"}");
        sink_reset(&writer->signature, 4096);
        break;
    case BLOCK_CALL:
        close_input(writer);
        break;
    case BLOCK_REDACTED:
    case BLOCK_NATIVE:
        break;
    }
}

void
anthropic_block_close(struct anthropic_writer *writer, struct frames *frames)
{
    assert(writer->open && writer->blocks > 0);
    bool unsaid =
        !writer->passed; /* what the upstream itself left unsaid in a passed block stays so */
    if (unsaid && writer->type == BLOCK_THINKING && !writer->is_signed &&
        writer->options.placeholder_signature)
        anthropic_block_signature(writer, placeholder, frames);
    if (writer->type == BLOCK_IMAGE)
        put_image_note(writer, frames);
    if (writer->type == BLOCK_CALL && writer->custom)
        put_input(writer, writer->text_seen ? custom_after : SLICE_LIT("{\"input\":\"\"}"), frames);
    else if (unsaid && writer->type == BLOCK_CALL && anthropic_streams(writer) &&
             json_check_empty(&writer->check))
        write_delta(frames, writer->blocks - 1, "input_json_delta", "partial_json",
                    SLICE_LIT("{}"));
    if (anthropic_streams(writer)) {
        struct sink *out = anthropic_begin_frame(frames, "content_block_stop");
        put_block_head(out, "content_block_stop", writer->blocks - 1);
        sink_byte(out, '}');
        frame_end(frames);
    } else {
        close_whole(writer);
    }
    writer->open = false;
}

void
anthropic_block_state(struct anthropic_writer *writer, struct slice carried, struct frames *frames)
{
    struct canon_event event = {.kind = CANON_OPEN, .type = BLOCK_THINKING, .block = UINT32_MAX};
    anthropic_block_begin(writer, &event, frames);
    anthropic_block_signature(writer, carried, frames);
    anthropic_block_close(writer, frames);
}
