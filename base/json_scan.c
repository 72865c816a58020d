/* SPDX-License-Identifier: MIT
 *
 * json_scan.c - the strict validator, which may write tokens as it goes. One pass, no allocation, no
 * recursion: the open containers are a stack of bits, and while one is open, its token holds its
 * parent in `end` and its last child in `next`.
 *
 * Every helper gives the place behind what it took, or NULL with the offending byte in *bad.
 */
#include "base/json.h"

#include "base/err.h"
#include "base/json_run.h"
#include "base/json_token.h"

static inline const unsigned char *
refuse(const unsigned char *at, const unsigned char **bad)
{
    *bad = at;
    return NULL;
}

static inline const unsigned char *
skip_space(const unsigned char *at, const unsigned char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static inline bool
is_digit(unsigned char byte)
{
    return (unsigned)(byte - '0') < 10;
}

/* at is behind a backslash. */
static const unsigned char *
scan_escape(const unsigned char *at, const unsigned char *end, const unsigned char **bad)
{
    if (at == end)
        return refuse(at, bad);
    switch (*at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 1;
    case 'u':
        break;
    default:
        return refuse(at, bad);
    }
    at++;
    for (int i = 0; i < 4; i++, at++) {
        if (at == end)
            return refuse(at, bad);
        unsigned char lower = *at | 0x20;
        if (!is_digit(*at) && (lower < 'a' || lower > 'f'))
            return refuse(at, bad);
    }
    return at;
}

/* at is behind the opening quote; the result is behind the closing one. */
static inline const unsigned char *
scan_string(const unsigned char *at, const unsigned char *end, bool *escaped,
            const unsigned char **bad)
{
    *escaped = false;
    for (;;) {
        at = json_run_plain(at, end);
        if (at == end)
            return refuse(at, bad);
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
            *escaped = true;
            at = scan_escape(at + 1, end, bad);
            if (!at)
                return NULL;
            continue;
        }
        if (*at < ' ')
            return refuse(at, bad);
        /* Text that is not ASCII at all stays in here. */
        while (at < end && *at >= 0x80) {
            int n = json_run_utf8(at, end);
            if (n <= 0)
                return refuse(at - n, bad);
            at += n;
        }
    }
}

/* One digit at least. */
static inline const unsigned char *
scan_digits(const unsigned char *at, const unsigned char *end, const unsigned char **bad)
{
    if (at == end || !is_digit(*at))
        return refuse(at, bad);
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* at is on the minus sign or the first digit. */
static inline const unsigned char *
scan_number(const unsigned char *at, const unsigned char *end, const unsigned char **bad)
{
    if (*at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else
        at = scan_digits(at, end, bad);
    if (at && at < end && *at == '.')
        at = scan_digits(at + 1, end, bad);
    if (at && at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = scan_digits(at, end, bad);
    }
    return at;
}

static inline const unsigned char *
scan_literal(const unsigned char *at, const unsigned char *end, const char *literal,
             const unsigned char **bad)
{
    for (; *literal != '\0'; literal++, at++) {
        if (at == end || *at != (unsigned char)*literal)
            return refuse(at, bad);
    }
    return at;
}

struct nesting {
    uint64_t objects[JSON_DEPTH_MAX / 64]; /* one bit a level: object? */
    int depth, deepest, max;
};

/* What is made of the text besides: a count, and tokens while they have room. */
struct output {
    struct json_token *tokens; /* NULL: there are more than capacity, or none are wanted */
    size_t capacity, count;
    int32_t open; /* the innermost open container */
    const unsigned char *text;
};

/* next_token - the next one, begun; NULL when it is only counted. element: of the open container (a
 * member's value belongs to its name). */
static inline struct json_token *
next_token(struct output *out, enum json_type type, const unsigned char *start, bool element)
{
    size_t at = out->count++;
    if (!out->tokens)
        return NULL;
    if (at >= out->capacity) {
        out->tokens = NULL;
        return NULL;
    }
    if (element && out->open >= 0) {
        struct json_token *parent = &out->tokens[out->open];
        if (parent->next >= 0)
            out->tokens[parent->next].next = (int32_t)at;
        parent->next = (int32_t)at;
        parent->size++;
    }
    struct json_token *token = &out->tokens[at];
    *token = (struct json_token){
        .start = (uint32_t)(start - out->text), .next = JSON_NO_TOKEN, .type = (uint8_t)type};
    return token;
}

static inline void
end_token(struct json_token *token, const struct output *out, const unsigned char *end,
          bool escaped)
{
    if (!token)
        return;
    token->end = (uint32_t)(end - out->text);
    token->escaped = escaped;
}

static inline void
open_container(struct output *out, bool object, const unsigned char *start, bool element)
{
    int32_t at = (int32_t)out->count;
    struct json_token *token =
        next_token(out, object ? JSON_OBJECT : JSON_ARRAY, start, element);
    if (!token)
        return;
    token->end = (uint32_t)out->open;
    out->open = at;
}

static inline void
close_container(struct output *out, const unsigned char *end)
{
    if (!out->tokens)
        return;
    struct json_token *token = &out->tokens[out->open];
    out->open = (int32_t)token->end;
    token->end = (uint32_t)(end - out->text);
    token->next = JSON_NO_TOKEN;
}

/* A value that holds no other. */
static inline const unsigned char *
scan_scalar(const unsigned char *at, const unsigned char *end, bool element, struct output *out,
            const unsigned char **bad)
{
    const unsigned char *start = at;
    enum json_type type = JSON_NUMBER;
    switch (*at) {
    case '"': {
        bool escaped;
        at = scan_string(at + 1, end, &escaped, bad);
        if (at)
            end_token(next_token(out, JSON_STRING, start + 1, element), out, at - 1, escaped);
        return at;
    }
    case 't':
        type = JSON_TRUE;
        at = scan_literal(at, end, "true", bad);
        break;
    case 'f':
        type = JSON_FALSE;
        at = scan_literal(at, end, "false", bad);
        break;
    case 'n':
        type = JSON_NULL;
        at = scan_literal(at, end, "null", bad);
        break;
    default:
        if (*at != '-' && !is_digit(*at))
            return refuse(at, bad);
        at = scan_number(at, end, bad);
    }
    if (at)
        end_token(next_token(out, type, start, element), out, at, false);
    return at;
}

/* A member's name and the colon behind it. */
static inline const unsigned char *
scan_name(const unsigned char *at, const unsigned char *end, struct output *out,
          const unsigned char **bad)
{
    bool escaped;
    at = skip_space(at, end);
    if (at == end || *at != '"')
        return refuse(at, bad);
    const unsigned char *start = at + 1;
    at = scan_string(at + 1, end, &escaped, bad);
    if (!at)
        return NULL;
    struct json_token *token = next_token(out, JSON_STRING, start, true);
    end_token(token, out, at - 1, escaped);
    if (token)
        token->size = 1;
    at = skip_space(at, end);
    if (at == end || *at != ':')
        return refuse(at, bad);
    return at + 1;
}

static inline bool
nesting_open(struct nesting *nesting, bool object)
{
    if (nesting->depth >= nesting->max)
        return false;
    uint64_t bit = (uint64_t)1 << (nesting->depth & 63);
    uint64_t *word = &nesting->objects[nesting->depth >> 6];
    *word = object ? *word | bit : *word & ~bit;
    nesting->depth++;
    if (nesting->depth > nesting->deepest)
        nesting->deepest = nesting->depth;
    return true;
}

static inline bool
nesting_in_object(const struct nesting *nesting)
{
    int level = nesting->depth - 1;
    return nesting->depth > 0 && (nesting->objects[level >> 6] >> (level & 63) & 1);
}

/* Everything behind a value, up to where the next one must begin. At depth 0 that is the end. */
static inline const unsigned char *
scan_after_value(const unsigned char *at, const unsigned char *end, struct nesting *nesting,
                 struct output *out, const unsigned char **bad)
{
    for (;;) {
        at = skip_space(at, end);
        if (nesting->depth == 0)
            return at == end ? at : refuse(at, bad);
        if (at == end)
            return refuse(at, bad);
        bool object = nesting_in_object(nesting);
        if (*at == ',') {
            at++;
            return object ? scan_name(at, end, out, bad) : at;
        }
        if (*at != (object ? '}' : ']'))
            return refuse(at, bad);
        nesting->depth--;
        at++;
        close_container(out, at);
    }
}

/* The whole text; `at` is where the first value must begin. */
static int
scan_document(const unsigned char *at, const unsigned char *end, struct nesting *nesting,
              struct output *out, const unsigned char **bad)
{
    for (;;) {
        at = skip_space(at, end);
        *bad = at;
        if (at == end)
            return -ERR_JSON;
        unsigned char first = *at;
        bool element = !nesting_in_object(nesting);
        if (first == '{' || first == '[') {
            bool object = first == '{';
            if (!nesting_open(nesting, object))
                return -ERR_DEPTH;
            open_container(out, object, at, element);
            at = skip_space(at + 1, end);
            if (at < end && *at == (object ? '}' : ']')) {
                nesting->depth--;
                at++;
                close_container(out, at);
            } else {
                if (object) {
                    at = scan_name(at, end, out, bad);
                    if (!at)
                        return -ERR_JSON;
                }
                continue;
            }
        } else {
            at = scan_scalar(at, end, element, out, bad);
            if (!at)
                return -ERR_JSON;
        }
        at = scan_after_value(at, end, nesting, out, bad);
        if (!at)
            return -ERR_JSON;
        if (nesting->depth == 0)
            return 0;
    }
}

int
json_tokenise(struct slice text, int depth_max, struct json_token *tokens, size_t capacity,
              struct json_scan *out)
{
    struct nesting nesting;
    nesting.depth = nesting.deepest = 0;
    nesting.max = depth_max < JSON_DEPTH_MAX ? depth_max : JSON_DEPTH_MAX;
    *out = (struct json_scan){0};
    if (text.len == 0)
        return -ERR_JSON;

    const unsigned char *begin = (const unsigned char *)text.ptr;
    const unsigned char *bad = begin;
    struct output made = {
        .tokens = capacity > 0 ? tokens : NULL, .capacity = capacity, .open = -1, .text = begin};
    int error = scan_document(begin, begin + text.len, &nesting, &made, &bad);
    out->tokens = made.count;
    out->depth = nesting.deepest;
    out->offset = error ? (size_t)(bad - begin) : 0;
    assert(out->offset <= text.len);
    return error;
}

int
json_scan(struct slice text, int depth_max, struct json_scan *out)
{
    return json_tokenise(text, depth_max, NULL, 0, out);
}
