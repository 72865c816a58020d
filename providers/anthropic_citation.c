/* SPDX-License-Identifier: MIT
 *
 * anthropic_citation.c - what the text of a reply is founded on.
 *
 * A cited text is a block of its own: the offsets in a citation are of the source, so that for the reply a citation
 * always is about its whole block.
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

int
anthropic_add_citation(struct json citation, uint32_t block, struct canon_events *events)
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
        error = anthropic_add_citation(one, block, events);
    return error;
}
