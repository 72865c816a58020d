/* SPDX-License-Identifier: MIT
 *
 * json_scan.c - the strict validator. It replaces a counting pass of jsmn, is faster than one, and
 * makes what jsmn says afterwards trustworthy. One pass, no allocation, no recursion: the open
 * containers are a stack of bits.
 *
 * Every helper gives the place behind what it took, or NULL with the offending byte in *bad.
 */
#include "base/json.h"

#include "base/err.h"
#include "base/json_run.h"

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
scan_string(const unsigned char *at, const unsigned char *end, const unsigned char **bad)
{
    for (;;) {
        at = json_run_plain(at, end);
        if (at == end)
            return refuse(at, bad);
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
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

/* A value that holds no other. */
static inline const unsigned char *
scan_scalar(const unsigned char *at, const unsigned char *end, const unsigned char **bad)
{
    switch (*at) {
    case '"':
        return scan_string(at + 1, end, bad);
    case 't':
        return scan_literal(at, end, "true", bad);
    case 'f':
        return scan_literal(at, end, "false", bad);
    case 'n':
        return scan_literal(at, end, "null", bad);
    default:
        if (*at != '-' && !is_digit(*at))
            return refuse(at, bad);
        return scan_number(at, end, bad);
    }
}

/* A member's name and the colon behind it. */
static inline const unsigned char *
scan_name(const unsigned char *at, const unsigned char *end, const unsigned char **bad)
{
    at = skip_space(at, end);
    if (at == end || *at != '"')
        return refuse(at, bad);
    at = scan_string(at + 1, end, bad);
    if (!at)
        return NULL;
    at = skip_space(at, end);
    if (at == end || *at != ':')
        return refuse(at, bad);
    return at + 1;
}

struct nesting {
    uint64_t objects[JSON_DEPTH_MAX / 64]; /* one bit a level: object? */
    int depth, deepest, max;
};

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
    return nesting->objects[level >> 6] >> (level & 63) & 1;
}

/* Everything behind a value, up to where the next one must begin. At depth 0 that is the end. */
static inline const unsigned char *
scan_after_value(const unsigned char *at, const unsigned char *end, struct nesting *nesting,
                 size_t *tokens, const unsigned char **bad)
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
            if (!object)
                return at;
            *tokens += 1;
            return scan_name(at, end, bad);
        }
        if (*at != (object ? '}' : ']'))
            return refuse(at, bad);
        nesting->depth--;
        at++;
    }
}

/* The whole text; `at` is where the first value must begin. */
static int
scan_document(const unsigned char *at, const unsigned char *end, struct nesting *nesting,
              size_t *tokens, const unsigned char **bad)
{
    for (;;) {
        at = skip_space(at, end);
        *bad = at;
        if (at == end)
            return -ERR_JSON;
        *tokens += 1;
        unsigned char first = *at;
        if (first == '{' || first == '[') {
            bool object = first == '{';
            if (!nesting_open(nesting, object))
                return -ERR_DEPTH;
            at = skip_space(at + 1, end);
            if (at < end && *at == (object ? '}' : ']')) {
                nesting->depth--;
                at++;
            } else {
                if (object) {
                    *tokens += 1;
                    at = scan_name(at, end, bad);
                    if (!at)
                        return -ERR_JSON;
                }
                continue;
            }
        } else {
            at = scan_scalar(at, end, bad);
            if (!at)
                return -ERR_JSON;
        }
        at = scan_after_value(at, end, nesting, tokens, bad);
        if (!at)
            return -ERR_JSON;
        if (nesting->depth == 0)
            return 0;
    }
}

int
json_scan(struct slice text, int depth_max, struct json_scan *out)
{
    struct nesting nesting;
    nesting.depth = nesting.deepest = 0;
    nesting.max = depth_max < JSON_DEPTH_MAX ? depth_max : JSON_DEPTH_MAX;
    *out = (struct json_scan){0};
    if (text.len == 0)
        return -ERR_JSON;

    const unsigned char *begin = (const unsigned char *)text.ptr;
    const unsigned char *bad = begin;
    size_t tokens = 0;
    int error = scan_document(begin, begin + text.len, &nesting, &tokens, &bad);
    out->tokens = tokens;
    out->depth = nesting.deepest;
    out->offset = error ? (size_t)(bad - begin) : 0;
    assert(out->offset <= text.len);
    return error;
}
