/* SPDX-License-Identifier: MIT
 *
 * json.h - strict JSON reader, and a writer into a sink.
 *
 * Reading: one pass validates completely (RFC 8259 grammar, UTF-8 per RFC 3629, numbers, escapes,
 * depth) and writes tokens. A value is a handle {doc, token}; nothing is copied until a string with
 * escapes is asked for. The same text always gives the same answers whatever memory it lies in. No
 * recursion.
 */
#ifndef PENSTOCK_JSON_H
#define PENSTOCK_JSON_H

#include "base/arena.h"
#include "base/sink.h"
#include "base/slice.h"

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* No text is ever taken that nests deeper than this, whatever depth_max says. Who asks for little
 * (64 for requests, 16 for events) has less to fear from what reads the values. */
#define JSON_DEPTH_MAX 512

struct json_scan {
    size_t tokens; /* values and names */
    int depth;     /* deepest nesting seen */
    size_t offset; /* of the first error, in bytes */
};

/*
 * json_scan - is text one complete valid JSON value? Allocates nothing, linear time.
 * depth_max   containers nested deeper give -ERR_DEPTH
 * returns 0, -ERR_JSON (offset: the first byte no valid text could have, or the length if the text
 *         merely ends too early) or -ERR_DEPTH (offset: the bracket that is one too many)
 * source RFC 8259; lone surrogate escapes (\ud800) are accepted: streamed fragments split pairs
 */
int json_scan(struct slice text, int depth_max, struct json_scan *out) must_check;

/* Tokens come in text order: an object is followed by name, value, name, value. Only the readers
 * below look into them. */
#define JSON_NO_TOKEN (-1)
struct json_token {
    uint32_t start, end; /* in the text; of strings without their quotes */
    uint32_t size;       /* of an object or array: members, elements; 1 for a member's name */
    int32_t next;        /* the next element, or of a name the next name; JSON_NO_TOKEN */
    uint8_t type;        /* enum json_type */
    bool escaped;        /* a string with a backslash in it */
};

struct json_doc { /* text plus tokens, in an arena */
    const char *text;
    const struct json_token *tokens;
    uint32_t count;
};

struct json {
    const struct json_doc *doc; /* NULL: absent */
    uint32_t at;
};
#define JSON_NONE ((struct json){NULL, 0})

/*
 * json_parse - scan and tokenise. text must outlive the arena's content and is not modified.
 * tokens_max  more tokens give -ERR_LIMIT (a cap on memory: 20 bytes a token)
 * returns 0 with *root set, -ERR_JSON, -ERR_DEPTH, -ERR_LIMIT, -ERR_MEMORY (arena full)
 */
int json_parse(struct slice text, int depth_max, size_t tokens_max, struct arena *arena,
               struct json *root) must_check;

/* json_parse_jsmn - the same answer by way of jsmn, which has nothing in common with our tokeniser: for who
 * judges what we wrote (conform, tests). Slower, most of all for long strings. */
int json_parse_jsmn(struct slice text, int depth_max, size_t tokens_max, struct arena *arena,
                    struct json *root) must_check;

/* Every reader below takes any value, JSON_NONE too, and answers absent rather than failing. */
static inline bool
json_present(struct json value)
{
    return value.doc != NULL;
}
static inline const struct json_token *
json_token_of(struct json value)
{
    assert(value.at < value.doc->count);
    return &value.doc->tokens[value.at];
}
static inline enum json_type
json_type(struct json value)
{
    return value.doc ? (enum json_type)json_token_of(value)->type : JSON_ABSENT;
}
/* json_get - member of an object by (unescaped) name; the last one if repeated; else absent. */
struct json json_get(struct json object, const char *name);
/* json_repeats - does the object have this member more than once? (requests refuse that) */
bool json_repeats(struct json object, const char *name);
/* json_count - members of an object or elements of an array; 0 otherwise. */
static inline uint32_t
json_count(struct json value)
{
    return json_type(value) >= JSON_ARRAY ? json_token_of(value)->size : 0;
}
/* json_first, json_next - walk elements of an array, or member values of an object, in order.
 * next of the last is absent. Constant time: a skipped subtree is not walked. */
static inline struct json
json_first(struct json container)
{
    if (json_count(container) == 0)
        return JSON_NONE;
    uint32_t skip = json_token_of(container)->type == JSON_OBJECT ? 2 : 1;
    return (struct json){container.doc, container.at + skip};
}
static inline bool
json_token_is_name(const struct json_token *token)
{
    return token->type == JSON_STRING && token->size == 1;
}
static inline struct json
json_next(struct json element)
{
    if (!element.doc)
        return JSON_NONE;
    const struct json_token *token = json_token_of(element);
    bool member = element.at > 0 && json_token_is_name(token - 1);
    int32_t next = (member ? token - 1 : token)->next;
    if (next < 0)
        return JSON_NONE;
    return (struct json){element.doc, (uint32_t)next + member};
}
/* json_key - the raw (still escaped) name of a member value; absent for array elements. */
static inline struct slice
json_key(struct json member)
{
    if (!member.doc || member.at == 0 || !json_token_is_name(json_token_of(member) - 1))
        return SLICE_NONE;
    const struct json_token *name = json_token_of(member) - 1;
    return slice_of(member.doc->text + name->start, name->end - name->start);
}
/* json_key_escaped - does the name of a member value contain a backslash? */
static inline bool
json_key_escaped(struct json member)
{
    return slice_present(json_key(member)) && (json_token_of(member) - 1)->escaped;
}
/* json_raw - the value's exact bytes in the text, quotes included for strings. */
struct slice json_raw(struct json value);
/* json_text - string contents without quotes, still escaped; absent if not a string. */
struct slice json_text(struct json value);
/* json_escaped - does the string contain a backslash? */
bool json_escaped(struct json value);
/* json_string - string contents decoded to UTF-8: a slice of the text if nothing is escaped, else a
 * copy in the arena. Lone surrogates become U+FFFD. Absent if not a string or the arena is full. */
struct slice json_string(struct json value, struct arena *arena);
/* json_unescape - the same for contents one holds already (json_key, json_text); SLICE_NONE stays
 * so. */
struct slice json_unescape(struct slice escaped, struct arena *arena);
/* json_escaped_is - do valid escaped contents decode to exactly this text? */
bool json_escaped_is(struct slice escaped, const char *text);
/* json_key_is - is it a member with exactly this decoded name? */
bool json_key_is(struct json member, const char *name);
/* json_is - is it a string with exactly these decoded contents? */
bool json_is(struct json value, const char *text);
/* json_i64 - an integral number (1, -3, 1e3, 2.0) in range; false otherwise. */
bool json_i64(struct json value, int64_t *out) must_check;
/* json_f64 - any number, correctly rounded (1e999 is infinity); else false. No locale. */
bool json_f64(struct json value, double *out) must_check;
/* json_u64_or - an integral number >= 0, else the fallback. */
uint64_t json_u64_or(struct json value, uint64_t fallback);
/* json_text_f64, json_text_u64_or - the same for the JSON text of a value, which needs no memory. Anything else than one number:
 * false, the fallback. */
bool json_text_f64(struct slice text, double *out) must_check;
uint64_t json_text_u64_or(struct slice text, uint64_t fallback);

/*
 * Writing. A json_writer tracks commas and nesting (at most 64 deep) over a sink; misuse asserts.
 *     json_object(&w); json_name(&w, "id"); json_put_string(&w, id); json_end(&w);
 */
struct json_writer {
    struct sink *sink;
    uint64_t filled, object; /* one bit a level: has members; is an object */
    int depth;
    bool named; /* a name was just written */
};

void json_writer_init(struct json_writer *writer, struct sink *sink);
void json_object(struct json_writer *writer);
void json_array(struct json_writer *writer);
void json_end(struct json_writer *writer); /* closes the innermost object or array */
void json_name(struct json_writer *writer, const char *name);
void json_name_slice(struct json_writer *writer, struct slice name); /* unescaped bytes */
/* A string: escapes what must be; what is not UTF-8 becomes U+FFFD. literal: from a C string. */
void json_put_string(struct json_writer *writer, struct slice text);
void json_put_literal(struct json_writer *writer, const char *text);
void json_put_raw(struct json_writer *writer, struct slice value); /* one whole JSON value, as is */
void json_put_escaped(struct json_writer *writer, struct slice text); /* already escaped contents */
void json_put_i64(struct json_writer *writer, int64_t value);
void json_put_u64(struct json_writer *writer, uint64_t value);
void json_put_bool(struct json_writer *writer, bool value);
void json_put_null(struct json_writer *writer);
/* name and value in one call, for the common case */
void json_member(struct json_writer *writer, const char *name, struct slice text);
void json_member_text(struct json_writer *writer, const char *name, const char *text);
void json_member_raw(struct json_writer *writer, const char *name, struct slice value);
void json_member_i64(struct json_writer *writer, const char *name, int64_t value);
void json_member_u64(struct json_writer *writer, const char *name, uint64_t value);
void json_member_bool(struct json_writer *writer, const char *name, bool value);
void json_member_null(struct json_writer *writer, const char *name);

/* json_escape - append text with JSON string escapes, without quotes. */
void json_escape(struct sink *sink, struct slice text);

/*
 * Incremental check: is a growing text still the beginning of one JSON value? For streamed
 * tool-call arguments: bytes arrive in pieces, the verdict is exact at every byte. No allocation;
 * depth <= 128.
 */
struct json_check {
    uint64_t stack[2]; /* one bit a level: object? */
    const char *literal;
    int depth;
    uint8_t state, literal_at, escape_left;
    uint8_t utf8_left, utf8_low, utf8_high;
    bool bad, is_object; /* is_object: the outermost value is an object */
    bool in_name;        /* the string being read is a member's name */
};
void json_check_init(struct json_check *check);
/* json_check_feed - false once the text cannot become valid JSON (sticks). */
bool json_check_feed(struct json_check *check, struct slice piece);
/* json_check_done - is what was fed one complete JSON value (white space around it allowed)? */
bool json_check_done(const struct json_check *check);
/* json_check_empty - was nothing but white space fed? */
bool json_check_empty(const struct json_check *check);

#endif
