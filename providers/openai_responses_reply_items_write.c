/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_items_write.c - output items towards a client: how they open, grow and
 * close, and how they look in the response object.
 *
 * What an item says in its deltas, in its done events and in the final output is one and the same
 * text, kept once.
 */
#include "providers/openai_responses.h"

#include <stdio.h>

/* ---------------------------------------------------------------- frames */

struct sink *
responses_begin(struct frames *frames, const char *type)
{
    frame_begin(frames, FRAME_EVENT, type);
    sink_put(&frames->bytes, SLICE_LIT("{\"type\":\""));
    sink_text(&frames->bytes, type);
    sink_byte(&frames->bytes, '"');
    return &frames->bytes;
}

void
responses_end(struct responses_writer *writer, struct frames *frames)
{
    sink_put(&frames->bytes, SLICE_LIT(",\"sequence_number\":"));
    sink_u64(&frames->bytes, writer->sequence++);
    sink_byte(&frames->bytes, '}');
    frame_end(frames);
}

static bool
streams(const struct responses_writer *writer)
{
    return writer->options.stream;
}

static void
put_member(struct sink *out, const char *name, uint64_t value)
{
    sink_text(out, ",\"");
    sink_text(out, name);
    sink_text(out, "\":");
    sink_u64(out, value);
}

static void
put_string(struct sink *out, const char *name, struct slice escaped)
{
    sink_text(out, ",\"");
    sink_text(out, name);
    sink_text(out, "\":\"");
    sink_put(out, escaped);
    sink_byte(out, '"');
}

/* item_id and output_index: where an event belongs. */
static void
put_place(struct sink *out, const struct responses_write_item *item)
{
    put_string(out, "item_id", item->id);
    put_member(out, "output_index", item->index);
}

static void
put_part_place(struct sink *out, const struct responses_write_item *item, uint32_t part)
{
    put_place(out, item);
    put_member(out, "content_index", part);
}

void
responses_write_pieces(struct responses_writer *writer, const char *type, struct slice head,
                       struct slice text, struct slice tail, struct frames *frames)
{
    while (text.len > 0) {
        struct slice piece = text;
        if (likely(text.len <= DIALECT_LINE_MAX))
            text.len = 0;
        else
            piece = dialect_text_piece(&text, DIALECT_LINE_MAX);
        frame_begin(frames, FRAME_EVENT, type);
        sink_put(&frames->bytes, head);
        sink_put(&frames->bytes, piece);
        sink_put(&frames->bytes, tail);
        responses_end(writer, frames);
    }
}

int
responses_keep(struct responses_writer *writer, struct sink *to, struct slice text)
{
    size_t max = streams(writer) ? RESPONSES_STREAM_MAX : RESPONSES_WHOLE_MAX;
    if (text.len > max - writer->kept)
        return -ERR_UPSTREAM_TOO_LARGE;
    writer->kept += text.len;
    sink_put(to, text);
    return to->error;
}

/* ---------------------------------------------------------------- items as JSON */

static void
put_part(const struct responses_write_part *part, bool whole, struct sink *out)
{
    struct slice text = whole ? sink_slice(&part->text) : SLICE_LIT("");
    if (part->refusal) {
        sink_text(out, "{\"type\":\"refusal\",\"refusal\":\"");
        sink_put(out, text);
        sink_text(out, "\"}");
        return;
    }
    sink_text(out, "{\"type\":\"output_text\",\"annotations\":[");
    if (whole)
        sink_join(out, &part->annotations);
    sink_text(out, "],\"logprobs\":[");
    if (whole)
        sink_join(out, &part->logprobs);
    sink_text(out, "],\"text\":\"");
    sink_put(out, text);
    sink_text(out, "\"}");
}

static void
put_message(const struct responses_write_item *item, bool whole, struct sink *out)
{
    sink_text(out, ",\"content\":[");
    for (const struct responses_write_part *at = item->first; at && whole; at = at->next) {
        put_part(at, true, out);
        sink_text(out, at->next ? "," : "");
    }
    sink_text(out, "],\"role\":\"assistant\"}");
}

static void
put_reasoning(const struct responses_write_item *item, bool whole, struct sink *out)
{
    sink_text(out, ",\"summary\":[");
    if (whole && item->has_summary) {
        sink_text(out, "{\"type\":\"summary_text\",\"text\":\"");
        sink_join(out, &item->text);
        sink_text(out, "\"}");
    }
    sink_byte(out, ']');
    if (whole)
        sink_carry(out, &item->state);
    if (whole && item->state.len > 0)
        put_string(out, "encrypted_content", sink_slice(&item->state));
    sink_byte(out, '}');
}

static void
put_call(const struct responses_write_item *item, bool whole, struct sink *out)
{
    bool custom = item->kind == RESPONSES_CUSTOM;
    put_string(out, custom ? "input" : "arguments",
               whole ? sink_slice(&item->text) : SLICE_LIT(""));
    put_string(out, "call_id", item->call_id);
    put_string(out, "name", item->name);
    if (slice_present(item->name_space))
        put_string(out, "namespace", item->name_space);
    sink_byte(out, '}');
}

static void
put_image(const struct responses_write_item *item, bool whole, struct sink *out)
{
    struct slice format = item->media_type;
    if (slice_starts(format, SLICE_LIT("image/")))
        format = slice_skip(format, 6);
    put_string(out, "output_format", format);
    if (whole)
        sink_carry(out, &item->text);
    if (whole)
        put_string(out, "result", sink_slice(&item->text));
    else
        sink_text(out, ",\"result\":null");
    sink_byte(out, '}');
}

void
responses_put_item(const struct responses_write_item *item, bool whole, struct sink *out)
{
    static const char *const types[] = {"message", "reasoning", "function_call", "custom_tool_call",
                                        "image_generation_call"};
    if (item->kind == RESPONSES_NATIVE) {
        sink_join(out, &item->text);
        return;
    }
    sink_text(out, "{\"id\":\"");
    sink_put(out, item->id);
    sink_text(out, "\",\"type\":\"");
    sink_text(out, types[item->kind]);
    sink_byte(out, '"');
    if (item->kind == RESPONSES_REASONING) {
        put_reasoning(item, whole, out);
        return;
    }
    put_string(out, "status",
               !whole || item->open ? SLICE_LIT("in_progress")
               : item->incomplete   ? SLICE_LIT("incomplete")
                                    : SLICE_LIT("completed"));
    if (item->kind == RESPONSES_MESSAGE)
        put_message(item, whole, out);
    else if (item->kind == RESPONSES_IMAGE)
        put_image(item, whole, out);
    else
        put_call(item, whole, out);
}

/* ---------------------------------------------------------------- opening */

static void
write_item_event(struct responses_writer *writer, const struct responses_write_item *item,
                 bool done, struct frames *frames)
{
    struct sink *out =
        responses_begin(frames, done ? "response.output_item.done" : "response.output_item.added");
    put_member(out, "output_index", item->index);
    sink_text(out, ",\"item\":");
    responses_put_item(item, done, out);
    responses_end(writer, frames);
}

/* How each delta event of an item without parts begins. */
static struct slice
delta_head(struct responses_writer *writer, const struct responses_write_item *item,
           const char *type, const char *more)
{
    return arena_printf(writer->arena,
                        "{\"type\":\"%s\",\"item_id\":\"%.*s\",\"output_index\":%u%s,\"delta\":\"",
                        type, SLICE_ARG(item->id), (unsigned)item->index, more);
}

static int
make_head(struct responses_writer *writer, struct responses_write_item *item)
{
    if (item->kind == RESPONSES_CALL)
        item->head = delta_head(writer, item, "response.function_call_arguments.delta", "");
    else if (item->kind == RESPONSES_CUSTOM)
        item->head = delta_head(writer, item, "response.custom_tool_call_input.delta", "");
    else if (item->kind == RESPONSES_REASONING)
        item->head = delta_head(writer, item, "response.reasoning_summary_text.delta",
                                ",\"summary_index\":0");
    else
        return 0;
    return slice_present(item->head) ? 0 : -ERR_MEMORY;
}

/* The name as the client knows it. */
static int
name_call(struct responses_writer *writer, struct responses_write_item *item,
          const struct canon_event *event)
{
    struct slice name = event->name;
    item->name_space = SLICE_NONE;
    for (const struct responses_tool *at = writer->tools; at; at = at->next) {
        if (!slice_eq(at->legal, event->name))
            continue;
        name = at->name;
        item->name_space = at->name_space;
        break;
    }
    item->name = arena_copy(writer->arena, name);
    item->call_id = arena_copy(writer->arena, event->id);
    return slice_present(item->name) && slice_present(item->call_id) ? 0 : -ERR_MEMORY;
}

int
responses_open_item(struct responses_writer *writer, const struct canon_event *event,
                    enum responses_item_kind kind, struct frames *frames,
                    struct responses_write_item **out)
{
    static const char *const prefixes[] = {"msg_", "rs_", "fc_", "ctc_", "ig_", ""};
    if (writer->item_count == RESPONSES_ITEMS_MAX)
        return -ERR_UPSTREAM_TOO_LARGE;
    struct responses_write_item *item = arena_take(writer->arena, sizeof(*item));
    if (!item)
        return -ERR_MEMORY;
    item->kind = kind;
    item->open = true;
    item->block = event->block;
    item->index = writer->item_count;
    item->id = arena_printf(writer->arena, "%s%.*s%04x", prefixes[kind],
                            SLICE_ARG(slice_take(writer->options.id, 48)), (unsigned)item->index);
    sink_init(&item->text, RESPONSES_WHOLE_MAX);
    sink_init(&item->state, RESPONSES_WHOLE_MAX);
    int error = slice_present(item->id) ? make_head(writer, item) : -ERR_MEMORY;
    if (!error && (kind == RESPONSES_CALL || kind == RESPONSES_CUSTOM))
        error = name_call(writer, item, event);
    if (!error && kind == RESPONSES_IMAGE) {
        item->media_type = arena_copy(writer->arena, event->name);
        error = slice_present(item->media_type) ? 0 : -ERR_MEMORY;
    }
    if (!error && kind == RESPONSES_NATIVE)
        error = responses_keep(writer, &item->text, event->native);
    /* Listed even then: what it keeps is given back with the list. */
    item->previous = writer->last;
    *(writer->last ? &writer->last->next : &writer->items) = item;
    writer->last = item;
    writer->item_count++;
    if (error)
        return error;
    if (streams(writer))
        write_item_event(writer, item, false, frames);
    if (kind == RESPONSES_IMAGE && streams(writer)) {
        put_place(responses_begin(frames, "response.image_generation_call.in_progress"), item);
        responses_end(writer, frames);
    }
    *out = item;
    return frames->error;
}

int
responses_open_part(struct responses_writer *writer, struct responses_write_item *item,
                    const struct canon_event *event, struct frames *frames)
{
    if (item->part_count == RESPONSES_PARTS_MAX)
        return -ERR_UPSTREAM_TOO_LARGE;
    struct responses_write_part *part = arena_take(writer->arena, sizeof(*part));
    if (!part)
        return -ERR_MEMORY;
    char place[64];
    part->index = item->part_count++;
    part->block = event->block;
    part->refusal = event->type == BLOCK_REFUSAL;
    part->open = true;
    snprintf(place, sizeof(place), ",\"content_index\":%u", (unsigned)part->index);
    part->head =
        delta_head(writer, item,
                   part->refusal ? "response.refusal.delta" : "response.output_text.delta", place);
    sink_init(&part->text, RESPONSES_WHOLE_MAX);
    sink_init(&part->annotations, RESPONSES_WHOLE_MAX);
    sink_init(&part->logprobs, RESPONSES_WHOLE_MAX);
    *(item->last ? &item->last->next : &item->first) = part;
    item->last = part;
    if (!slice_present(part->head))
        return -ERR_MEMORY;
    if (!streams(writer))
        return 0;
    struct sink *out = responses_begin(frames, "response.content_part.added");
    put_part_place(out, item, part->index);
    sink_text(out, ",\"part\":");
    put_part(part, false, out);
    responses_end(writer, frames);
    return frames->error;
}

void
responses_open_summary(struct responses_writer *writer, struct responses_write_item *item,
                       struct frames *frames)
{
    item->has_summary = true;
    if (!streams(writer))
        return;
    struct sink *out = responses_begin(frames, "response.reasoning_summary_part.added");
    put_place(out, item);
    sink_text(out, ",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"\"}");
    responses_end(writer, frames);
}

/* ---------------------------------------------------------------- closing */

int
responses_close_part(struct responses_writer *writer, struct responses_write_item *item,
                     struct responses_write_part *part, struct frames *frames)
{
    int error = responses_settle_citations(writer, item, part, frames);
    part->open = false;
    if (error || !streams(writer))
        return error;
    struct sink *out = responses_begin(frames, part->refusal ? "response.refusal.done"
                                                             : "response.output_text.done");
    put_part_place(out, item, part->index);
    sink_carry(out, &part->text);
    put_string(out, part->refusal ? "refusal" : "text", sink_slice(&part->text));
    if (!part->refusal) {
        sink_text(out, ",\"logprobs\":[");
        sink_join(out, &part->logprobs);
        sink_byte(out, ']');
    }
    responses_end(writer, frames);
    out = responses_begin(frames, "response.content_part.done");
    put_part_place(out, item, part->index);
    sink_text(out, ",\"part\":");
    put_part(part, true, out);
    responses_end(writer, frames);
    return frames->error;
}

static void
close_summary(struct responses_writer *writer, const struct responses_write_item *item,
              struct frames *frames)
{
    struct sink *out = responses_begin(frames, "response.reasoning_summary_text.done");
    put_place(out, item);
    sink_text(out, ",\"summary_index\":0");
    sink_carry(out, &item->text);
    put_string(out, "text", sink_slice(&item->text));
    responses_end(writer, frames);
    out = responses_begin(frames, "response.reasoning_summary_part.done");
    put_place(out, item);
    sink_text(out, ",\"summary_index\":0,\"part\":{\"type\":\"summary_text\"");
    sink_carry(out, &item->text);
    put_string(out, "text", sink_slice(&item->text));
    sink_byte(out, '}');
    responses_end(writer, frames);
}

static void
close_call(struct responses_writer *writer, const struct responses_write_item *item,
           struct frames *frames)
{
    bool custom = item->kind == RESPONSES_CUSTOM;
    struct sink *out = responses_begin(frames, custom ? "response.custom_tool_call_input.done"
                                                      : "response.function_call_arguments.done");
    put_place(out, item);
    sink_carry(out, &item->text);
    put_string(out, custom ? "input" : "arguments", sink_slice(&item->text));
    responses_end(writer, frames);
}

int
responses_close_item(struct responses_writer *writer, struct responses_write_item *item,
                     struct frames *frames)
{
    item->open = false;
    if (!streams(writer))
        return 0;
    if (item->kind == RESPONSES_REASONING && item->has_summary)
        close_summary(writer, item, frames);
    if (item->kind == RESPONSES_CALL || item->kind == RESPONSES_CUSTOM)
        close_call(writer, item, frames);
    if (item->kind == RESPONSES_IMAGE) {
        put_place(responses_begin(frames, "response.image_generation_call.completed"), item);
        responses_end(writer, frames);
    }
    write_item_event(writer, item, true, frames);
    return frames->error;
}
