/* SPDX-License-Identifier: MIT
 *
 * json.c - documents and the way about in them: the one door to jsmn.
 *
 * jsmn runs only over text that json_scan has accepted, into as many tokens as json_scan has
 * counted. Its tokens come in text order: an object is followed by name, value, name, value. A name
 * is a string token of size 1, so the token before a member's value is always its name. After
 * parsing, the `parent` of each token is turned into its next sibling (NO_SIBLING or less: there is
 * none).
 */
#include "base/json.h"

#include "base/err.h"

#include <limits.h>

#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#define JSMN_STATIC
#include <jsmn.h>

#define NO_SIBLING (-1)

struct json_doc {
    const char *text;
    jsmntok_t *tokens;
    uint32_t count;
};

_Static_assert(sizeof(jsmntok_t) == 20, "the memory a token takes, as json.h says");

/*
 * Turn parents into next siblings, in one walk from the front. Until its next sibling is met, a
 * token's slot is free to remember its own last child, as a number under NO_SIBLING: all children
 * come before the sibling. What is left there at the end still reads as "no sibling".
 */
static void
link_siblings(jsmntok_t *tokens, uint32_t count)
{
    for (int at = 0; at < (int)count; at++) {
        int parent = tokens[at].parent;
        tokens[at].parent = NO_SIBLING;
        if (parent < 0)
            continue;
        int last_child = NO_SIBLING - 1 - tokens[parent].parent;
        if (last_child >= 0)
            tokens[last_child].parent = at;
        tokens[parent].parent = NO_SIBLING - 1 - at;
    }
}

/* jsmn wants a delimiter behind a bare literal or number, and a whole text of one has none. */
static bool
tokenise_lonely(struct slice text, jsmntok_t *token)
{
    size_t start = 0, end = text.len;
    while (strchr(" \t\r\n", text.ptr[start]))
        start++;
    while (strchr(" \t\r\n", text.ptr[end - 1]))
        end--;
    if (strchr("{[\"", text.ptr[start]))
        return false;
    *token = (jsmntok_t){JSMN_PRIMITIVE, (int)start, (int)end, 0, NO_SIBLING};
    return true;
}

int
json_parse(struct slice text, int depth_max, size_t tokens_max, struct arena *arena,
           struct json *root)
{
    *root = JSON_NONE;
    if (text.len > INT_MAX)
        return -ERR_LIMIT;
    struct json_scan scan;
    int error = json_scan(text, depth_max, &scan);
    if (error)
        return error;
    if (scan.tokens > tokens_max)
        return -ERR_LIMIT;

    struct json_doc *doc = arena_take(arena, sizeof(*doc));
    if (!doc)
        return -ERR_MEMORY;
    doc->text = text.ptr;
    doc->count = (uint32_t)scan.tokens;
    doc->tokens = arena_take(arena, scan.tokens * sizeof(*doc->tokens));
    if (!doc->tokens)
        return -ERR_MEMORY;

    if (scan.tokens > 1 || !tokenise_lonely(text, doc->tokens)) {
        jsmn_parser parser;
        jsmn_init(&parser);
        int n = jsmn_parse(&parser, text.ptr, text.len, doc->tokens, doc->count);
        /* Cannot happen, as far as anyone knows; text from outside must not trip an assert. */
        if (n != (int)doc->count || parser.pos != text.len)
            return -ERR_INTERNAL;
        link_siblings(doc->tokens, doc->count);
    }
    *root = (struct json){doc, 0};
    return 0;
}

static inline const jsmntok_t *
token_of(struct json value)
{
    assert(value.at < value.doc->count);
    return &value.doc->tokens[value.at];
}

static inline bool
is_name(const jsmntok_t *token)
{
    return token->type == JSMN_STRING && token->size == 1;
}

static struct slice
contents(struct json value)
{
    const jsmntok_t *token = token_of(value);
    return slice_of(value.doc->text + token->start, (size_t)(token->end - token->start));
}

enum json_type
json_type(struct json value)
{
    if (!value.doc)
        return JSON_ABSENT;
    const jsmntok_t *token = token_of(value);
    switch (token->type) {
    case JSMN_OBJECT:
        return JSON_OBJECT;
    case JSMN_ARRAY:
        return JSON_ARRAY;
    case JSMN_STRING:
        return JSON_STRING;
    default:
        break;
    }
    switch (value.doc->text[token->start]) {
    case 'n':
        return JSON_NULL;
    case 'f':
        return JSON_FALSE;
    case 't':
        return JSON_TRUE;
    default:
        return JSON_NUMBER;
    }
}

uint32_t
json_count(struct json value)
{
    enum json_type type = json_type(value);
    return type == JSON_ARRAY || type == JSON_OBJECT ? (uint32_t)token_of(value)->size : 0;
}

struct json
json_first(struct json container)
{
    if (json_count(container) == 0)
        return JSON_NONE;
    bool object = token_of(container)->type == JSMN_OBJECT;
    return (struct json){container.doc, container.at + (object ? 2 : 1)};
}

struct json
json_next(struct json element)
{
    if (!element.doc)
        return JSON_NONE;
    const jsmntok_t *token = token_of(element);
    bool member = element.at > 0 && is_name(token - 1);
    int next = (member ? token - 1 : token)->parent;
    if (next <= NO_SIBLING)
        return JSON_NONE;
    return (struct json){element.doc, (uint32_t)next + member};
}

struct slice
json_key(struct json member)
{
    if (!member.doc || member.at == 0 || !is_name(token_of(member) - 1))
        return SLICE_NONE;
    return contents((struct json){member.doc, member.at - 1});
}

struct slice
json_raw(struct json value)
{
    if (!value.doc)
        return SLICE_NONE;
    struct slice raw = contents(value);
    if (token_of(value)->type == JSMN_STRING)
        raw = slice_of(raw.ptr - 1, raw.len + 2);
    return raw;
}

struct slice
json_text(struct json value)
{
    if (!value.doc || token_of(value)->type != JSMN_STRING)
        return SLICE_NONE;
    return contents(value);
}

bool
json_escaped(struct json value)
{
    struct slice text = json_text(value);
    return text.len > 0 && memchr(text.ptr, '\\', text.len);
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

struct json
json_get(struct json object, const char *name)
{
    struct json found = JSON_NONE;
    if (json_type(object) != JSON_OBJECT)
        return found;
    size_t name_len = strlen(name);
    for (struct json at = json_first(object); json_present(at); at = json_next(at)) {
        /* A shorter name cannot match, escaped or not. */
        struct slice key = json_key(at);
        if (key.len >= name_len && json_escaped_is(key, name))
            found = at;
    }
    return found;
}

bool
json_repeats(struct json object, const char *name)
{
    int seen = 0;
    if (json_type(object) != JSON_OBJECT)
        return false;
    for (struct json at = json_first(object); json_present(at) && seen < 2; at = json_next(at))
        seen += json_key_is(at, name);
    return seen == 2;
}
