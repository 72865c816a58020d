/* SPDX-License-Identifier: MIT
 *
 * openai_chat_extras_read.c - what a Chat Completions reply says besides text and calls: lists of
 * parts, reasoning details with their opaque state, sources, images, token probabilities.
 *
 * OpenAI's annotations, OpenRouter's reasoning_details and images, Google's extra_content, the
 * source lists of Perplexity and xAI: each is read wherever it turns up, since servers borrow from
 * one another.
 */
#include "providers/openai_chat.h"

#include "base/text.h"

/* ---------------------------------------------------------------- content as a list */

/* A list of parts where a string is expected: Mistral's thinking lists, and text parts. */
int
chat_read_content_list(struct chat_reader *reader, struct chat_read_choice *choice,
                       struct json list, struct canon_events *events, bool *said)
{
    for (struct json part = json_first(list); json_present(part); part = json_next(part)) {
        bool is_thinking = json_is(json_get(part, "type"), "thinking");
        bool is_refusal = json_is(json_get(part, "type"), "refusal");
        enum canon_block type = is_thinking  ? BLOCK_THINKING
                                : is_refusal ? BLOCK_REFUSAL
                                             : BLOCK_TEXT;
        struct json value = json_get(part, is_thinking  ? "thinking"
                                           : is_refusal ? "refusal"
                                                        : "text");
        struct json inner = json_type(value) == JSON_ARRAY ? json_first(value) : value;
        events->mends |= CANON_MEND_ALL;
        for (; json_present(inner); inner = json_next(inner)) {
            struct slice text =
                json_text(json_type(inner) == JSON_OBJECT ? json_get(inner, "text") : inner);
            if (text.len > 0) {
                int error = chat_emit_text(reader, choice, type, text, SLICE_NONE, events);
                if (error)
                    return error;
                *said = true;
            }
            if (json_type(value) != JSON_ARRAY)
                break;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- reasoning */

/* Whose state it is, by the name OpenRouter gives to the format. */
enum canon_origin
chat_origin_of(struct json format)
{
    struct slice word = json_text(format);
    if (slice_starts(word, SLICE_LIT("anthropic-claude")))
        return ORIGIN_ANTHROPIC;
    if (slice_starts(word, SLICE_LIT("google-gemini")))
        return ORIGIN_GEMINI;
    if (slice_starts(word, SLICE_LIT("openai-responses")))
        return ORIGIN_RESPONSES;
    return ORIGIN_CHAT;
}

static int
read_encrypted(struct chat_reader *reader, struct chat_read_choice *choice, struct json entry,
               struct canon_events *events)
{
    int error = chat_open_block(reader, choice, BLOCK_REDACTED, events);
    if (error)
        return error;
    events->at[events->count - 1].data = json_text(json_get(entry, "data"));
    events->at[events->count - 1].origin = chat_origin_of(json_get(entry, "format"));
    return chat_close_block(choice, events);
}

/* reasoning_details: texts (if no plainer field has them), signatures, and what is encrypted. */
static int
read_details(struct chat_reader *reader, struct chat_read_choice *choice, struct json list,
             bool with_text, struct canon_events *events, bool *said)
{
    for (struct json entry = json_first(list); json_present(entry); entry = json_next(entry)) {
        struct json type = json_get(entry, "type");
        struct slice signature = json_text(json_get(entry, "signature"));
        int error = 0;
        if (json_is(type, "reasoning.encrypted") && json_text(json_get(entry, "data")).len > 0 &&
            !choice->finished) {
            error = read_encrypted(reader, choice, entry, events);
            *said = true;
        } else {
            struct slice text = SLICE_NONE;
            if (with_text)
                text = json_text(
                    json_get(entry, json_is(type, "reasoning.summary") ? "summary" : "text"));
            if (text.len > 0)
                error = chat_emit_text(reader, choice, BLOCK_THINKING, text, SLICE_NONE, events);
            if (!error && signature.len > 0) {
                error =
                    chat_emit_text(reader, choice, BLOCK_THINKING, SLICE_NONE, signature, events);
                if (!error)
                    events->at[events->count - 1].origin =
                        chat_origin_of(json_get(entry, "format"));
            }
            *said = *said || text.len > 0 || signature.len > 0;
        }
        if (error)
            return error;
    }
    return 0;
}

int
chat_read_reasoning(struct chat_reader *reader, struct chat_read_choice *choice,
                    const struct chat_message *message, struct canon_events *events, bool *said)
{
    struct slice text = json_text(message->reasoning_content);
    if (text.len == 0) {
        text = json_text(message->reasoning);
        if (text.len == 0)
            text = json_text(message->thinking);
        if (text.len > 0)
            events->mends |= MEND_REASONING;
    }
    if (text.len > 0) {
        int error = chat_emit_text(reader, choice, BLOCK_THINKING, text, SLICE_NONE, events);
        if (error)
            return error;
        *said = true;
    }
    if (json_type(message->details) != JSON_ARRAY)
        return 0;
    return read_details(reader, choice, message->details, text.len == 0, events, said);
}

struct slice
chat_google_signature(struct json extra_content)
{
    return json_text(json_get(json_get(extra_content, "google"), "thought_signature"));
}

/* Google's signature of a message: of its text, or, where it has none, of a thought that is not
 * shown. */
static int
read_signature(struct chat_reader *reader, struct chat_read_choice *choice,
               struct json extra_content, struct canon_events *events, bool *said)
{
    struct slice signature = chat_google_signature(extra_content);
    if (signature.len == 0 || choice->finished)
        return 0;
    bool is_thought =
        json_type(json_get(json_get(extra_content, "google"), "thought")) == JSON_TRUE ||
        choice->texts == 0;
    *said = true;
    int error = chat_emit_text(reader, choice, is_thought ? BLOCK_THINKING : BLOCK_TEXT, SLICE_NONE,
                               signature, events);
    if (!error)
        events->at[events->count - 1].origin = ORIGIN_GEMINI;
    return error;
}

/* ---------------------------------------------------------------- sources */

static int
emit_citation(struct chat_reader *reader, struct chat_read_choice *choice,
              const struct canon_citation *source, struct canon_events *events)
{
    int error = 0;
    if (choice->texts == 0 && choice->finished)
        return 0; /* there is no text that it could speak of */
    if (choice->texts == 0)
        error = chat_open_block(reader, choice, BLOCK_TEXT, events);
    struct canon_citation *citation = error ? NULL : arena_take(events->arena, sizeof(*citation));
    struct canon_event *event = citation ? canon_add(events, CANON_CITATION) : NULL;
    if (!event)
        return error ? error : -ERR_MEMORY;
    *citation = *source;
    citation->origin = ORIGIN_CHAT;
    /* Positions count over the whole content: in a second block of text they would be others. */
    if (choice->texts > 1 || citation->end <= citation->start)
        citation->start = citation->end = -1;
    event->choice = choice->index;
    event->block = choice->text_block;
    event->citation = citation;
    choice->cited = true;
    return 0;
}

static int64_t
position(struct json value)
{
    uint64_t at = json_u64_or(value, UINT64_MAX);
    return at > INT32_MAX ? -1 : (int64_t)at;
}

static int
read_annotations(struct chat_reader *reader, struct chat_read_choice *choice, struct json list,
                 struct canon_events *events)
{
    for (struct json at = json_first(list); json_present(at); at = json_next(at)) {
        struct json body = json_get(at, "url_citation");
        if (json_type(body) != JSON_OBJECT)
            body = at; /* Responses' flat spelling */
        struct slice title = json_text(json_get(body, "title"));
        struct canon_citation source = {
            .url = json_text(json_get(body, "url")),
            .title = slice_present(title) ? title : json_text(json_get(body, "filename")),
            .quote = json_text(json_get(body, "content")),
            .start = position(json_get(body, "start_index")),
            .end = position(json_get(body, "end_index")),
            .native = json_raw(at),
        };
        int error =
            json_type(at) == JSON_OBJECT ? emit_citation(reader, choice, &source, events) : 0;
        if (error)
            return error;
    }
    return 0;
}

int
chat_read_sources(struct chat_reader *reader, const struct chat_sources *sources,
                  struct chat_read_choice *choice, struct canon_events *events)
{
    bool has_results =
        json_type(sources->results) == JSON_ARRAY && json_count(sources->results) > 0;
    struct json list = has_results ? sources->results : sources->citations;
    if (choice->cited || choice->texts == 0 || json_type(list) != JSON_ARRAY)
        return 0;
    for (struct json at = json_first(list); json_present(at); at = json_next(at)) {
        struct canon_citation source = {
            .url = json_text(json_type(at) == JSON_OBJECT ? json_get(at, "url") : at),
            .title = json_text(json_get(at, "title")),
            .quote = json_text(json_get(at, "snippet")),
            .start = -1,
            .end = -1,
            .native = json_raw(at),
        };
        int error = source.url.len > 0 ? emit_citation(reader, choice, &source, events) : 0;
        if (error)
            return error;
    }
    return 0;
}

/* ---------------------------------------------------------------- images, sound */

static int
add_native(const struct chat_read_choice *choice, const char *name, struct json value,
           struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_NATIVE);
    if (!event)
        return -ERR_MEMORY;
    event->choice = choice->index;
    event->name = slice_from(name);
    event->native = json_raw(value);
    return 0;
}

/* data:image/png;base64,... as its type and its data; false for any other URL. */
static bool
split_data_url(struct slice url, struct slice *type, struct slice *data)
{
    if (!slice_starts(url, SLICE_LIT("data:")))
        return false;
    *data = slice_skip(url, 5);
    struct slice head = text_split(data, ',');
    *type = text_split(&head, ';');
    return slice_present(*data) && type->len > 0 && slice_ends(head, SLICE_LIT("base64"));
}

static int
read_image(struct chat_reader *reader, struct chat_read_choice *choice, struct json entry,
           struct canon_events *events)
{
    struct json image = json_get(entry, "image_url");
    struct slice type, data;
    struct slice url = json_text(json_type(image) == JSON_STRING ? image : json_get(image, "url"));
    if (!split_data_url(url, &type, &data))
        return add_native(choice, "image_url", entry, events);
    int error = chat_open_block(reader, choice, BLOCK_IMAGE, events);
    if (error)
        return error;
    events->at[events->count - 1].name = type;
    struct canon_event *event = canon_add(events, CANON_DELTA);
    if (!event)
        return -ERR_MEMORY;
    event->choice = choice->index;
    event->block = choice->block;
    event->type = BLOCK_IMAGE;
    event->data = data;
    return chat_close_block(choice, events);
}

int
chat_read_extras(struct chat_reader *reader, struct chat_read_choice *choice,
                 const struct chat_message *message, struct canon_events *events, bool *said)
{
    int error = 0;
    bool has_images = json_type(message->images) == JSON_ARRAY && !choice->finished;
    for (struct json at = has_images ? json_first(message->images) : JSON_NONE;
         json_present(at) && !error; at = json_next(at)) {
        error = read_image(reader, choice, at, events);
        *said = true;
    }
    if (!error && json_present(message->extra_content))
        error = read_signature(reader, choice, message->extra_content, events, said);
    if (!error && json_type(message->annotations) == JSON_ARRAY)
        error = read_annotations(reader, choice, message->annotations, events);
    if (!error && json_type(message->audio) == JSON_OBJECT)
        error = add_native(choice, "audio", message->audio, events);
    return error;
}

/* ---------------------------------------------------------------- token probabilities */

static struct canon_logprob *
read_logprob(struct json entry, struct arena *arena)
{
    struct canon_logprob *out = arena_take(arena, sizeof(*out));
    struct json bytes = json_get(entry, "bytes");
    if (!out)
        return NULL;
    out->token = json_text(json_get(entry, "token"));
    out->logprob = json_raw(json_get(entry, "logprob"));
    if (json_type(bytes) == JSON_ARRAY)
        out->bytes = json_raw(bytes);
    return out;
}

int
chat_read_logprobs(struct json list, struct arena *arena, struct canon_logprob **out)
{
    *out = NULL;
    if (json_type(list) != JSON_ARRAY)
        return 0;
    for (struct json at = json_first(list); json_present(at); at = json_next(at)) {
        if (json_type(json_get(at, "logprob")) != JSON_NUMBER)
            continue;
        struct canon_logprob *token = read_logprob(at, arena), **top;
        if (!token)
            return -ERR_MEMORY;
        *out = token;
        out = &token->next;
        top = &token->top;
        struct json others = json_get(at, "top_logprobs");
        for (struct json other = json_first(others); json_present(other);
             other = json_next(other)) {
            if (json_type(json_get(other, "logprob")) != JSON_NUMBER)
                continue;
            *top = read_logprob(other, arena);
            if (!*top)
                return -ERR_MEMORY;
            top = &(*top)->next;
        }
    }
    return 0;
}
