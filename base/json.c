/* SPDX-License-Identifier: MIT
 *
 * json.c - documents and the way about in them.
 */
#include "base/json.h"

#include "base/err.h"
#include "base/json_token.h"

/* What most texts need; one that needs more is read twice, into memory of exactly its size. */
#define GUESS_LEAST 16u
#define GUESS_MOST 512u
#define GUESS_BYTES 8u

int
json_parse(struct slice text, int depth_max, size_t tokens_max, struct arena *arena,
           struct json *root)
{
    size_t guess = text.len / GUESS_BYTES;
    guess = guess < GUESS_LEAST ? GUESS_LEAST : guess > GUESS_MOST ? GUESS_MOST : guess;
    *root = JSON_NONE;
    if (text.len > INT32_MAX)
        return -ERR_LIMIT;
    struct json_doc *doc = arena_take_raw(arena, sizeof(*doc));
    struct json_token *tokens = arena_take_raw(arena, guess * sizeof(*tokens));
    struct json_scan scan;
    int error = json_tokenise(text, depth_max, tokens, tokens ? guess : 0, &scan);
    if (error)
        return error;
    if (scan.tokens > tokens_max)
        return -ERR_LIMIT;
    if (!doc)
        return -ERR_MEMORY;
    if (tokens)
        arena_shrink(arena, tokens, guess * sizeof(*tokens),
                     scan.tokens <= guess ? scan.tokens * sizeof(*tokens) : 0);
    if (!tokens || scan.tokens > guess) {
        tokens = arena_take_raw(arena, scan.tokens * sizeof(*tokens));
        if (!tokens)
            return -ERR_MEMORY;
        error = json_tokenise(text, depth_max, tokens, scan.tokens, &scan);
        assert(error == 0);
    }
    *doc = (struct json_doc){text.ptr, tokens, (uint32_t)scan.tokens};
    *root = (struct json){doc, 0};
    return 0;
}

static inline struct slice
contents(struct json value)
{
    const struct json_token *token = json_token_of(value);
    return slice_of(value.doc->text + token->start, token->end - token->start);
}

struct slice
json_raw(struct json value)
{
    if (!value.doc)
        return SLICE_NONE;
    struct slice raw = contents(value);
    if (json_token_of(value)->type == JSON_STRING)
        raw = slice_of(raw.ptr - 1, raw.len + 2);
    return raw;
}

struct slice
json_text(struct json value)
{
    if (!value.doc || json_token_of(value)->type != JSON_STRING)
        return SLICE_NONE;
    return contents(value);
}

bool
json_escaped(struct json value)
{
    return json_type(value) == JSON_STRING && json_token_of(value)->escaped;
}

struct slice
json_string(struct json value, struct arena *arena)
{
    return json_unescape(json_text(value), arena);
}

bool
json_is(struct json value, const char *text)
{
    struct slice contents_escaped = json_text(value);
    return slice_present(contents_escaped) && json_escaped_is(contents_escaped, text);
}

bool
json_key_is(struct json member, const char *name)
{
    struct slice key = json_key(member);
    return slice_present(key) && json_escaped_is(key, name);
}

/* Is the name at this token, escaped or not, exactly this one? */
static inline bool
name_is(const struct json_doc *doc, const struct json_token *token, const char *name, size_t len)
{
    size_t have = token->end - token->start;
    if (have < len) /* a shorter one cannot be, escaped or not */
        return false;
    const char *text = doc->text + token->start;
    if (!token->escaped)
        return have == len && (len == 0 || (text[0] == name[0] && memcmp(text, name, len) == 0));
    return json_escaped_is(slice_of(text, have), name);
}

struct json
json_get(struct json object, const char *name)
{
    struct json found = JSON_NONE;
    if (json_type(object) != JSON_OBJECT || json_token_of(object)->size == 0)
        return found;
    size_t len = strlen(name);
    const struct json_doc *doc = object.doc;
    for (int32_t at = (int32_t)object.at + 1; at >= 0; at = doc->tokens[at].next) {
        if (name_is(doc, &doc->tokens[at], name, len))
            found = (struct json){doc, (uint32_t)at + 1};
    }
    return found;
}

bool
json_repeats(struct json object, const char *name)
{
    int seen = 0;
    if (json_type(object) != JSON_OBJECT || json_token_of(object)->size == 0)
        return false;
    size_t len = strlen(name);
    const struct json_doc *doc = object.doc;
    for (int32_t at = (int32_t)object.at + 1; at >= 0 && seen < 2; at = doc->tokens[at].next)
        seen += name_is(doc, &doc->tokens[at], name, len);
    return seen == 2;
}
