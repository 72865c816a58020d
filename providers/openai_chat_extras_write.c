/* SPDX-License-Identifier: MIT
 *
 * openai_chat_extras_write.c - what a Chat Completions reply says besides text and calls, as JSON:
 * sources, images, token probabilities, opaque state, what a Google search found.
 *
 * The same words stand in chunks and in whole replies. Positions are code points of the content as
 * the client gets it.
 */
#include "providers/openai_chat.h"

/* ---------------------------------------------------------------- opaque state */

/* State of another family travels in a wrapper, so that it comes back to no one else. Absent
 * without memory. */
struct slice
chat_state_shown(struct chat_writer *writer, enum canon_origin origin, bool redacted,
                 struct slice state)
{
    if (origin == ORIGIN_NONE || origin == ORIGIN_CHAT)
        return state;
    return canon_wrap(origin, redacted, state, writer->arena);
}

/* `"extra_content":{"google":{"thought_signature":"..."}}`: Google's own spelling, unwrapped if it
 * is Google's. */
int
chat_put_signature(struct chat_writer *writer, const struct canon_event *event, struct sink *out)
{
    struct slice shown = event->origin == ORIGIN_GEMINI
                             ? event->signature
                             : chat_state_shown(writer, event->origin, false, event->signature);
    if (!slice_present(shown))
        return -ERR_MEMORY;
    sink_text(out, "\"extra_content\":{\"google\":{\"thought_signature\":\"");
    sink_put(out, shown);
    sink_text(out, "\"}}");
    return 0;
}

/* ---------------------------------------------------------------- sources */

int
chat_note_text(struct chat_writer *writer, struct chat_write_choice *choice, uint32_t block)
{
    struct chat_write_text *text = arena_take(writer->arena, sizeof(*text));
    if (!text)
        return -ERR_MEMORY;
    *text = (struct chat_write_text){
        .next = choice->texts, .block = block, .base = choice->points, .end = UINT64_MAX};
    choice->texts = text;
    return 0;
}

static struct chat_write_text *
text_of(const struct chat_write_choice *choice, uint32_t block)
{
    for (struct chat_write_text *at = choice->texts; at; at = at->next)
        if (at->block == block)
            return at;
    return NULL;
}

/* Nothing to say of it, in the words of Chat. */
bool
chat_is_unsayable(const struct canon_citation *citation)
{
    return citation->url.len == 0 &&
           (citation->origin != ORIGIN_CHAT || !slice_present(citation->native));
}

static void
put_annotation(struct sink *out, const struct chat_write_text *text, uint64_t end,
               const struct canon_citation *citation)
{
    if (citation->url.len == 0) {
        sink_put(out, citation->native);
        return;
    }
    uint64_t base = text ? text->base : 0;
    bool is_given = citation->start >= 0 && citation->end >= citation->start;
    sink_text(out, "{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":");
    sink_u64(out, base + (is_given ? (uint64_t)citation->start : 0));
    sink_text(out, ",\"end_index\":");
    sink_u64(out, is_given ? base + (uint64_t)citation->end : end);
    sink_text(out, ",\"title\":\"");
    sink_put(out, citation->title);
    sink_text(out, "\",\"url\":\"");
    sink_put(out, citation->url);
    if (citation->quote.len > 0) {
        sink_text(out, "\",\"content\":\"");
        sink_put(out, citation->quote);
    }
    sink_text(out, "\"}}");
}

bool
chat_put_annotation(struct sink *out, const struct chat_write_choice *choice,
                    const struct canon_event *event)
{
    const struct chat_write_text *text = text_of(choice, event->block);
    if (chat_is_unsayable(event->citation))
        return false;
    uint64_t end = !text || text->end == UINT64_MAX ? choice->points : text->end;
    put_annotation(out, text, end, event->citation);
    return true;
}

/* A copy that lives until its text is complete; an absent part stays absent. */
static bool
keep(struct chat_writer *writer, struct slice *part)
{
    if (slice_present(*part))
        *part = arena_copy(writer->arena, *part);
    else
        return true;
    return slice_present(*part);
}

int
chat_await_text(struct chat_writer *writer, struct chat_write_choice *choice,
                const struct canon_event *event)
{
    struct chat_write_text *text = text_of(choice, event->block);
    if (event->citation->start >= 0 || !text || text->end != UINT64_MAX)
        return 0;
    struct chat_write_source *source = arena_take(writer->arena, sizeof(*source)), **link;
    if (!source)
        return -ERR_MEMORY;
    source->citation = *event->citation;
    if (!keep(writer, &source->citation.url) || !keep(writer, &source->citation.title) ||
        !keep(writer, &source->citation.quote) || !keep(writer, &source->citation.native))
        return -ERR_MEMORY;
    for (link = &text->waiting; *link; link = &(*link)->next)
        ;
    *link = source;
    return 1;
}

bool
chat_close_text(struct chat_write_choice *choice, uint32_t block)
{
    struct chat_write_text *text = text_of(choice, block);
    if (text)
        text->end = choice->points;
    return text && text->waiting;
}

void
chat_put_waiting(struct sink *out, const struct chat_write_choice *choice, uint32_t block)
{
    const struct chat_write_text *text = text_of(choice, block);
    for (const struct chat_write_source *at = text ? text->waiting : NULL; at; at = at->next) {
        put_annotation(out, text, text->end, &at->citation);
        if (at->next)
            sink_byte(out, ',');
    }
}

/* ---------------------------------------------------------------- images */

void
chat_put_image(struct sink *out, const struct chat_write_choice *choice)
{
    sink_text(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:");
    sink_put(out, choice->image_type);
    sink_text(out, ";base64,");
    sink_join(out, &choice->image);
    sink_text(out, "\"},\"index\":");
    sink_u64(out, choice->image_count);
    sink_byte(out, '}');
}

/* ---------------------------------------------------------------- token probabilities */

static void
put_token(struct sink *out, const struct canon_logprob *token)
{
    sink_text(out, "{\"token\":\"");
    sink_put(out, token->token);
    sink_text(out, "\",\"logprob\":");
    sink_put(out, token->logprob);
    sink_text(out, ",\"bytes\":");
    sink_put(out, slice_present(token->bytes) ? token->bytes : SLICE_LIT("null"));
}

void
chat_put_tokens(struct sink *out, const struct canon_logprob *tokens)
{
    for (const struct canon_logprob *at = tokens; at; at = at->next) {
        put_token(out, at);
        sink_text(out, ",\"top_logprobs\":[");
        for (const struct canon_logprob *top = at->top; top; top = top->next) {
            put_token(out, top);
            sink_text(out, top->next ? "}," : "}");
        }
        sink_text(out, at->next ? "]}," : "]}");
    }
}

/* ---------------------------------------------------------------- what a search found */

static void
put_sources(struct json_writer *json, struct json chunks)
{
    json_name(json, "sources");
    json_array(json);
    for (struct json at = json_first(chunks); json_present(at); at = json_next(at)) {
        struct json web = json_get(at, "web");
        if (json_type(web) != JSON_OBJECT)
            continue;
        json_object(json);
        json_name(json, "uri");
        json_put_escaped(json, json_text(json_get(web, "uri")));
        json_name(json, "title");
        json_put_escaped(json, json_text(json_get(web, "title")));
        json_end(json);
    }
    json_end(json);
}

int
chat_note_grounding(struct chat_writer *writer, struct slice metadata, struct arena *scratch)
{
    struct json root;
    int error = json_parse(metadata, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, scratch, &root);
    if (error)
        return error == -ERR_MEMORY ? error : 0;
    struct sink out;
    struct json_writer json;
    sink_init(&out, CHAT_WHOLE_MAX);
    json_writer_init(&json, &out);
    json_object(&json);
    struct json queries = json_get(root, "webSearchQueries"),
                entry = json_get(json_get(root, "searchEntryPoint"), "renderedContent");
    json_member_raw(&json, "web_search_queries",
                    json_type(queries) == JSON_ARRAY ? json_raw(queries) : SLICE_LIT("[]"));
    put_sources(&json, json_get(root, "groundingChunks"));
    json_member_raw(&json, "search_entry_point",
                    json_type(entry) == JSON_STRING ? json_raw(entry) : SLICE_LIT("null"));
    json_end(&json);
    writer->grounding = out.error ? SLICE_NONE : arena_copy(writer->arena, sink_slice(&out));
    sink_fini(&out);
    return slice_present(writer->grounding) ? 0 : -ERR_MEMORY;
}
