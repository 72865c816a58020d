/* SPDX-License-Identifier: MIT
 *
 * anthropic_citation.c - what the text of a reply is founded on.
 *
 * A cited text is a block of its own: the offsets in a citation are of the source, so that for the
 * reply a citation always is about its whole block. In a stream it comes in front of the text, and
 * has to wait for the end of the block.
 */
#include "providers/anthropic.h"

/* A search result names its source as it likes: only an address is one. */
static struct slice
address_of(struct json citation)
{
    bool found = json_is(json_get(citation, "type"), "search_result_location");
    struct slice text = json_text(json_get(citation, found ? "source" : "url"));
    return slice_starts(text, SLICE_LIT("http")) ? text : SLICE_NONE;
}

static int
add_citation(struct json citation, uint32_t block, struct canon_events *events)
{
    if (json_type(citation) != JSON_OBJECT)
        return 0;
    struct canon_citation *to = arena_take(events->arena, sizeof(*to));
    struct canon_event *event = to ? canon_add(events, CANON_CITATION) : NULL;
    if (!event)
        return -ERR_MEMORY;
    struct slice title = json_text(json_get(citation, "title"));
    *to = (struct canon_citation){.start = -1, .end = -1, .origin = ORIGIN_ANTHROPIC};
    to->url = address_of(citation);
    to->title = slice_present(title) ? title : json_text(json_get(citation, "document_title"));
    to->quote = json_text(json_get(citation, "cited_text"));
    to->native = json_raw(citation);
    event->type = BLOCK_TEXT;
    event->block = block;
    event->citation = to;
    return 0;
}

int
anthropic_add_citations(struct json list, uint32_t block, struct canon_events *events)
{
    int error = 0;
    if (json_type(list) != JSON_ARRAY)
        return 0;
    for (struct json one = json_first(list); json_present(one) && error == 0; one = json_next(one))
        error = add_citation(one, block, events);
    return error;
}

int
anthropic_hold_citation(struct json citation, struct sink *held)
{
    if (json_type(citation) != JSON_OBJECT)
        return 0;
    sink_byte(held, held->len > 0 ? ',' : '[');
    sink_put(held, json_raw(citation));
    return held->error == 0 ? 0 : -ERR_UPSTREAM_TOO_LARGE;
}

int
anthropic_release_citations(struct sink *held, uint32_t block, struct canon_events *events)
{
    struct json list;
    if (held->len == 0)
        return 0;
    sink_byte(held, ']');
    struct slice text = held->error ? SLICE_NONE : arena_copy(events->arena, sink_slice(held));
    int error = held->error != 0 ? -ERR_UPSTREAM_TOO_LARGE : slice_present(text) ? 0 : -ERR_MEMORY;
    sink_reset(held, 4096);
    if (error == 0 && json_parse(text, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX,
                                 events->arena, &list) != 0)
        error = -ERR_MEMORY; /* it is made of values that have been parsed before */
    return error != 0 ? error : anthropic_add_citations(list, block, events);
}
