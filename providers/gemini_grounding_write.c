/* SPDX-License-Identifier: MIT
 *
 * gemini_grounding_write.c - web sources of any upstream's citations as Gemini's groundingMetadata:
 * each address once, and for each citation the bytes of the answer that rest on it.
 */
#include "providers/gemini.h"

int
gemini_note_text(struct gemini_writer *writer, struct gemini_write_choice *choice,
                 const struct canon_event *event)
{
    if (!choice->texts || choice->texts->block != event->block) {
        struct gemini_write_text *text = arena_take(writer->arena, sizeof(*text));
        if (!text)
            return -ERR_MEMORY;
        *text = (struct gemini_write_text){choice->texts, event->block, choice->offsets.bytes,
                                           choice->offsets.points};
        choice->texts = text;
    }
    gemini_offsets_feed(&choice->offsets, event->text);
    return 0;
}

/* The number of a source: a new one, or that of the same address before. */
static uint32_t
source_of(struct gemini_write_choice *choice, const struct canon_citation *citation)
{
    uint64_t hash = canon_hash(citation->url);
    for (uint32_t i = 0; i < choice->source_count; i++) {
        uint64_t other;
        memcpy(&other, choice->source_hashes.ptr + (size_t)i * sizeof(other), sizeof(other));
        if (other == hash)
            return i;
    }
    struct sink *out = &choice->sources;
    if (out->len > 0)
        sink_byte(out, ',');
    sink_text(out, "{\"web\":{\"uri\":\"");
    sink_put(out, citation->url);
    if (slice_present(citation->title)) {
        sink_text(out, "\",\"title\":\"");
        sink_put(out, citation->title);
    }
    sink_text(out, "\"}}");
    sink_put(&choice->source_hashes, slice_of(&hash, sizeof(hash)));
    return choice->source_count++;
}

static void
put_support(struct gemini_write_choice *choice, int64_t start, int64_t end, uint32_t source)
{
    struct sink *out = &choice->supports;
    if (out->len > 0)
        sink_byte(out, ',');
    sink_text(out, "{\"segment\":{");
    if (start > 0) {
        sink_text(out, "\"startIndex\":");
        sink_i64(out, start);
        sink_byte(out, ',');
    }
    sink_text(out, "\"endIndex\":");
    sink_i64(out, end);
    sink_text(out, "},\"groundingChunkIndices\":[");
    sink_u64(out, source);
    sink_text(out, "]}");
    choice->support_count++;
}

int
gemini_note_citation(struct gemini_write_choice *choice, const struct canon_event *event)
{
    const struct canon_citation *citation = event->citation;
    if (!citation || citation->url.len == 0 || choice->support_count == GEMINI_CITATIONS_MAX)
        return 1;
    const struct gemini_write_text *text = choice->texts;
    int64_t end = choice->offsets.bytes; /* of the block: where the next one begins */
    for (; text && text->block != event->block; text = text->next)
        end = text->bytes;
    uint32_t source = source_of(choice, citation);
    int64_t start = text ? (int64_t)text->bytes : -1;
    if (text && citation->start >= 0 && citation->end > citation->start &&
        citation->end <= UINT32_MAX) {
        start = gemini_offsets_bytes(&choice->offsets, text->points + citation->start);
        end = gemini_offsets_bytes(&choice->offsets, text->points + citation->end);
    }
    if (start >= 0 && end > start)
        put_support(choice, start, end, source);
    int error = choice->sources.error ? choice->sources.error : choice->supports.error;
    return error ? error : choice->source_hashes.error;
}
