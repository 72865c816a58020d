/* SPDX-License-Identifier: MIT
 *
 * json_jsmn.c - the same documents by way of jsmn: its one door.
 *
 * jsmn runs only over text that json_scan has accepted, into as many tokens as json_scan has
 * counted. In its tokens too a member's name is a string of size 1, and the token behind it the
 * value. After parsing, the `parent` of each token is turned into its next sibling (NO_SIBLING or
 * less: there is none).
 */
#include "base/err.h"
#include "base/json.h"

#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#define JSMN_STATIC
#include <jsmn.h>

#define NO_SIBLING (-1)

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

static enum json_type
type_of(const jsmntok_t *token, const char *text)
{
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
    switch (text[token->start]) {
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

static void
translate(const jsmntok_t *from, struct json_token *to, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)(from[i].end - from[i].start);
        to[i] = (struct json_token){
            .start = (uint32_t)from[i].start,
            .end = (uint32_t)from[i].end,
            .size = (uint32_t)from[i].size,
            .next = from[i].parent > NO_SIBLING ? from[i].parent : JSON_NO_TOKEN,
            .type = (uint8_t)type_of(&from[i], text),
            .escaped = from[i].type == JSMN_STRING && memchr(text + from[i].start, '\\', len),
        };
    }
}

int
json_parse_jsmn(struct slice text, int depth_max, size_t tokens_max, struct arena *arena,
                struct json *root)
{
    *root = JSON_NONE;
    if (text.len > INT32_MAX)
        return -ERR_LIMIT;
    struct json_scan scan;
    int error = json_scan(text, depth_max, &scan);
    if (error)
        return error;
    if (scan.tokens > tokens_max)
        return -ERR_LIMIT;
    struct json_doc *doc = arena_take(arena, sizeof(*doc));
    struct json_token *tokens = arena_take(arena, scan.tokens * sizeof(*tokens));
    jsmntok_t *theirs = arena_take(arena, scan.tokens * sizeof(*theirs));
    if (!doc || !tokens || !theirs)
        return -ERR_MEMORY;
    if (scan.tokens > 1 || !tokenise_lonely(text, theirs)) {
        jsmn_parser parser;
        jsmn_init(&parser);
        int n = jsmn_parse(&parser, text.ptr, text.len, theirs, (unsigned)scan.tokens);
        /* Cannot happen, as far as anyone knows; text from outside must not trip an assert. */
        if (n != (int)scan.tokens || parser.pos != text.len)
            return -ERR_INTERNAL;
        link_siblings(theirs, (uint32_t)scan.tokens);
    }
    translate(theirs, tokens, scan.tokens, text.ptr);
    *doc = (struct json_doc){text.ptr, tokens, (uint32_t)scan.tokens};
    *root = (struct json){doc, 0};
    return 0;
}
