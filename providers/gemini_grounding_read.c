/* SPDX-License-Identifier: MIT
 *
 * gemini_grounding_read.c - what a Gemini reply says its text is founded on, as citations.
 *
 * Supports name a stretch of the answer, in UTF-8 bytes of the candidate's text, and the sources it
 * rests on; a source that supports nothing by name is cited for the whole.
 */
#include "providers/gemini.h"

struct citing {
    struct gemini_read_choice *choice;
    struct canon_events *events;
    struct json *sources; /* elements of groundingChunks */
    bool *cited;
    uint32_t count, cited_count;
};

/* The text block that holds a byte of the candidate's text, and the code point in it. */
static const struct gemini_read_text *
block_at(const struct gemini_read_choice *choice, int64_t byte)
{
    const struct gemini_read_text *at = choice->texts;
    while (at && at->next && at->bytes > byte)
        at = at->next;
    return at;
}

static int64_t
points_in(const struct gemini_read_choice *choice, const struct gemini_read_text *text,
          int64_t byte)
{
    int64_t all = gemini_offsets_points(&choice->offsets, byte);
    int64_t before = gemini_offsets_points(&choice->offsets, text->bytes);
    return all < 0 || before < 0 || all < before ? -1 : all - before;
}

/* A citation for [start, end) in bytes; start negative: for all of the last text. */
static struct canon_citation *
add_citation(struct citing *at, int64_t start, int64_t end)
{
    const struct gemini_read_text *text = block_at(at->choice, start < 0 ? INT64_MAX : start);
    if (!text || at->cited_count == GEMINI_CITATIONS_MAX)
        return NULL;
    struct canon_citation *citation = arena_take(at->events->arena, sizeof(*citation));
    struct canon_event *event = citation ? canon_add(at->events, CANON_CITATION) : NULL;
    if (!event)
        return NULL;
    at->cited_count++;
    event->choice = at->choice->index;
    event->type = BLOCK_TEXT;
    event->block = text->block;
    event->citation = citation;
    citation->origin = ORIGIN_GEMINI;
    citation->start = start < 0 ? -1 : points_in(at->choice, text, start);
    citation->end = start < 0 ? -1 : points_in(at->choice, text, end);
    if (citation->start < 0 || citation->end <= citation->start)
        citation->start = citation->end = -1;
    return citation;
}

static struct slice
web_address(struct json value)
{
    struct slice address = json_text(value);
    return slice_starts(address, SLICE_LIT("http")) ? address : SLICE_NONE;
}

static void
cite_source(struct citing *at, uint32_t index, int64_t start, int64_t end)
{
    static const char *const kinds[] = {"web", "retrievedContext", "maps", "image"};
    struct json source = JSON_NONE;
    for (size_t i = 0; i < countof(kinds) && !json_present(source); i++)
        source = json_get(at->sources[index], kinds[i]);
    if (json_type(source) != JSON_OBJECT)
        return;
    at->cited[index] = true;
    struct canon_citation *citation = add_citation(at, start, end);
    if (!citation)
        return;
    citation->url = web_address(json_get(source, "uri"));
    if (!slice_present(citation->url))
        citation->url = web_address(json_get(source, "sourceUri"));
    citation->title = json_text(json_get(source, "title"));
    citation->quote = json_text(json_get(source, "text"));
    citation->native = json_raw(at->sources[index]);
}

/* Offsets of a part that is not the first of a whole reply count from its own beginning. */
static uint32_t
part_start(const struct gemini_read_choice *choice, uint64_t part)
{
    uint32_t start = 0;
    if (part < choice->parts.len / sizeof(start))
        memcpy(&start, choice->parts.ptr + part * sizeof(start), sizeof(start));
    return start;
}

static void
cite_support(struct citing *at, struct json support)
{
    struct json segment = json_get(support, "segment");
    uint64_t start = json_u64_or(json_get(segment, "startIndex"), 0),
             end = json_u64_or(json_get(segment, "endIndex"), 0);
    uint64_t base = part_start(at->choice, json_u64_or(json_get(segment, "partIndex"), 0));
    if (start > UINT32_MAX || end > UINT32_MAX)
        return;
    struct json indices = json_get(support, "groundingChunkIndices");
    for (struct json one = json_first(indices); json_present(one); one = json_next(one)) {
        uint64_t index = json_u64_or(one, UINT64_MAX);
        if (index < at->count)
            cite_source(at, (uint32_t)index, (int64_t)(start + base), (int64_t)(end + base));
    }
}

static int
cite_grounding(struct citing *at, struct json metadata)
{
    struct json sources = json_get(metadata, "groundingChunks"),
                supports = json_get(metadata, "groundingSupports");
    if (json_type(sources) != JSON_ARRAY || json_count(sources) == 0)
        return 0;
    at->count = json_count(sources);
    at->sources = arena_take(at->events->arena, at->count * sizeof(*at->sources));
    at->cited = arena_take(at->events->arena, at->count * sizeof(*at->cited));
    if (!at->sources || !at->cited)
        return -ERR_MEMORY;
    uint32_t n = 0;
    for (struct json one = json_first(sources); json_present(one); one = json_next(one))
        at->sources[n++] = one;
    assert(n == at->count);
    if (json_type(supports) == JSON_ARRAY)
        for (struct json one = json_first(supports); json_present(one); one = json_next(one))
            cite_support(at, one);
    for (n = 0; n < at->count; n++)
        if (!at->cited[n])
            cite_source(at, n, -1, -1);
    return 0;
}

/* Texts that the answer quotes without having been asked to search. */
static void
cite_quotations(struct citing *at, struct json metadata)
{
    struct json sources = json_get(metadata, "citationSources");
    if (json_type(sources) != JSON_ARRAY)
        sources = json_get(metadata, "citations");
    if (json_type(sources) != JSON_ARRAY)
        return;
    for (struct json one = json_first(sources); json_present(one); one = json_next(one)) {
        uint64_t start = json_u64_or(json_get(one, "startIndex"), 0),
                 end = json_u64_or(json_get(one, "endIndex"), 0);
        struct slice address = web_address(json_get(one, "uri"));
        if (!slice_present(address) || start > UINT32_MAX || end > UINT32_MAX)
            continue;
        struct canon_citation *citation =
            add_citation(at, end > start ? (int64_t)start : -1, (int64_t)end);
        if (!citation)
            return;
        citation->url = address;
        citation->title = json_text(json_get(one, "title"));
        citation->native = json_raw(one);
    }
}

static int
parse_kept(const struct sink *kept, struct arena *arena, struct json *root)
{
    *root = JSON_NONE;
    return kept->len == 0
               ? 0
               : json_parse(sink_slice(kept), GEMINI_DEPTH_MAX, GEMINI_TOKENS_MAX, arena, root);
}

int
gemini_emit_grounding(struct gemini_reader *reader, struct gemini_read_choice *choice,
                      struct canon_events *events)
{
    struct citing at = {.choice = choice, .events = events};
    struct json grounding, quotations;
    (void)reader;
    int error = parse_kept(&choice->grounding, events->arena, &grounding);
    if (!error)
        error = parse_kept(&choice->citations, events->arena, &quotations);
    if (!error && json_present(grounding))
        error = cite_grounding(&at, grounding);
    if (error)
        return error;
    if (json_present(quotations))
        cite_quotations(&at, quotations);
    if (!json_present(grounding))
        return 0;
    struct canon_event *event = canon_add(events, CANON_NATIVE);
    if (!event)
        return -ERR_MEMORY;
    event->choice = choice->index;
    event->name = SLICE_LIT("groundingMetadata");
    event->native = json_raw(grounding);
    event->origin = ORIGIN_GEMINI;
    return 0;
}
