/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_sources.c - what a text is founded on, as annotations of its part.
 */
#include "providers/openai_responses.h"

/* Code points of escaped text. */
static uint64_t
points_of(struct slice text)
{
    uint64_t points = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte == '\\' && i + 5 < text.len && text.ptr[i + 1] == 'u') {
            /* The second half of an escaped pair is no code point of its own. */
            char high = (char)(text.ptr[i + 2] | 0x20), low = (char)(text.ptr[i + 3] | 0x20);
            points += !(high == 'd' && low >= 'c' && low <= 'f');
            i += 5;
        } else if (byte == '\\') {
            i++;
            points++;
        } else {
            points += byte < 0x80 || byte >= 0xc0;
        }
    }
    return points;
}

static int
add_annotation(struct responses_writer *writer, const struct responses_write_item *item,
               struct responses_write_part *part, struct slice value, struct frames *frames)
{
    if (part->annotation_count > 0)
        sink_byte(&part->annotations, ',');
    int error = responses_keep(writer, &part->annotations, value);
    if (error)
        return error;
    uint32_t number = part->annotation_count++;
    if (!writer->options.stream)
        return 0;
    struct sink *out = responses_begin(frames, "response.output_text.annotation.added");
    sink_text(out, ",\"item_id\":\"");
    sink_put(out, item->id);
    sink_printf(out, "\",\"output_index\":%u,\"content_index\":%u,\"annotation_index\":%u",
                (unsigned)item->index, (unsigned)part->index, (unsigned)number);
    sink_text(out, ",\"annotation\":");
    sink_put(out, value);
    responses_end(writer, frames);
    return frames->error;
}

static void
put_web_source(struct slice url, struct slice title, int64_t start, int64_t end, struct sink *out)
{
    sink_text(out, "{\"type\":\"url_citation\",\"start_index\":");
    sink_i64(out, start);
    sink_text(out, ",\"end_index\":");
    sink_i64(out, end);
    sink_text(out, ",\"title\":\"");
    sink_put(out, title);
    sink_text(out, "\",\"url\":\"");
    sink_put(out, url);
    sink_text(out, "\"}");
}

static int
wait_for_end(struct responses_writer *writer, struct responses_write_part *part,
             const struct canon_citation *citation)
{
    struct responses_waiting **link = &part->waiting;
    struct responses_waiting *one = arena_take(writer->arena, sizeof(*one));
    if (!one)
        return -ERR_MEMORY;
    one->url = arena_copy(writer->arena, citation->url);
    one->title = arena_copy(writer->arena, citation->title);
    if (!slice_present(one->url) || !slice_present(one->title))
        return -ERR_MEMORY;
    while (*link)
        link = &(*link)->next;
    *link = one;
    return 0;
}

int
responses_write_citation(struct responses_writer *writer, struct responses_write_item *item,
                         struct responses_write_part *part, const struct canon_citation *citation,
                         struct frames *frames)
{
    bool own = citation->origin == ORIGIN_RESPONSES && slice_present(citation->native);
    bool placed = citation->start >= 0 && citation->end >= citation->start;
    if (!own && citation->url.len == 0) {
        frames->unsaid++;
        return 0;
    }
    if (!own && !placed)
        return wait_for_end(writer, part, citation);
    struct sink value;
    sink_init(&value, RESPONSES_WHOLE_MAX);
    if (own)
        responses_put_compact(citation->native, &value);
    else
        put_web_source(citation->url, citation->title, citation->start, citation->end, &value);
    int error =
        value.error ? value.error : add_annotation(writer, item, part, sink_slice(&value), frames);
    sink_fini(&value);
    return error;
}

int
responses_settle_citations(struct responses_writer *writer, struct responses_write_item *item,
                           struct responses_write_part *part, struct frames *frames)
{
    int error = 0;
    int64_t end = part->waiting ? (int64_t)points_of(sink_slice(&part->text)) : 0;
    for (struct responses_waiting *at = part->waiting; at && !error; at = at->next) {
        struct sink value;
        sink_init(&value, RESPONSES_WHOLE_MAX);
        put_web_source(at->url, at->title, 0, end, &value);
        error = value.error ? value.error
                            : add_annotation(writer, item, part, sink_slice(&value), frames);
        sink_fini(&value);
    }
    part->waiting = NULL;
    return error;
}
