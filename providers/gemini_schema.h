/* SPDX-License-Identifier: MIT
 *
 * gemini_schema.h - JSON Schema as the subset of OpenAPI schemas that Gemini takes, and back.
 *
 * The way there (wire-formats 11.3): references are resolved and their cycles broken, allOf is
 * merged, what has several forms gets one, keywords Gemini does not know are gone; names of
 * properties are never touched and keep their order.
 */
#ifndef PENSTOCK_GEMINI_SCHEMA_H
#define PENSTOCK_GEMINI_SCHEMA_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/sink.h"

/*
 * gemini_schema_reduce - append schema as an OpenAPI one.
 * parameters  it describes a function's parameters: the root must be an object, and one without
 * properties is not written at all returns 1 written; 0 nothing to write (parameters only);
 * -ERR_UNSUPPORTED no JSON Schema of an object, or one that grows too large when its references are
 * resolved; -ERR_MEMORY
 */
int gemini_schema_reduce(struct slice schema, bool parameters, struct sink *out) must_check;

/*
 * gemini_schema_widen - append an OpenAPI schema of a Gemini client as JSON Schema: type words in
 * lower case, nullable as a type, members in their camelCase names, what JSON Schema lacks left
 * out. 0, -ERR_MEMORY, -ERR_REQUEST when it nests too deeply.
 */
int gemini_schema_widen(struct json schema, struct arena *arena, struct sink *out) must_check;

/* ---------------------------------------------------------------- shared by the two files of the
 * way there */

#define SCHEMA_LAYERS_MAX 24
#define SCHEMA_FRAMES_MAX 64
#define SCHEMA_NODES_MAX 8192
#define SCHEMA_WORK_MAX 20000000u /* members looked at, all together */

enum schema_type {
    SCHEMA_ANY,
    SCHEMA_STRING,
    SCHEMA_NUMBER,
    SCHEMA_INTEGER,
    SCHEMA_BOOLEAN,
    SCHEMA_ARRAY,
    SCHEMA_OBJECT,
    SCHEMA_NULL
};
/* schema_type_of - the type that a word names, in either case; SCHEMA_ANY: none. */
enum schema_type schema_type_of(struct json word);

enum schema_choices {
    CHOICES_NONE,
    CHOICES_LIST /* an anyOf of its own */,
    CHOICES_ENUM /* each is a constant: one enum */
};

/* One node: all schemas that describe the same value, merged by looking into each in turn. */
struct schema_view {
    struct json layers[SCHEMA_LAYERS_MAX];
    bool
        soft[SCHEMA_LAYERS_MAX]; /* one of several alternatives: what it requires is not required */
    bool opened[SCHEMA_LAYERS_MAX]; /* its alternatives have been looked at */
    int count;
    enum schema_choices choices;
    struct json alternatives;
    bool nullable, cyclic;
};

struct schema_walk {
    struct json root;
    struct arena arena;
    uint32_t work, nodes;
    int error;
    struct json_writer json;
    struct schema_frame *frames;
    int depth;
};

/* schema_push - one more schema for the view; a repeated one is left out, one that is being
 * described further up makes the view cyclic. */
void schema_push(struct schema_walk *walk, struct schema_view *view, struct json schema, bool soft);
/* schema_settle - follow references, allOf, and alternatives that need no anyOf. object: the value
 * must be an object. */
void schema_settle(struct schema_walk *walk, struct schema_view *view, bool object);
/* schema_lookup - a keyword in the first layer that has it. */
struct json schema_lookup(const struct schema_view *view, const char *keyword);
/* schema_member - a member of an object by its key as it is written; work is counted. */
struct json schema_member(struct schema_walk *walk, struct json object, struct slice key);
/* schema_types - the types of the value other than null, at most 7; null makes the view nullable.
 * Inferred when none is said. */
int schema_types(struct schema_walk *walk, struct schema_view *view, enum schema_type out[8]);
/* schema_is_null - is null the only value this alternative allows? */
bool schema_is_null(struct json schema);

struct schema_words {
    struct json *at;
    uint32_t count;
};
/* schema_words_of - all values that an enum, a const or constant alternatives of the view allow. */
struct schema_words schema_words_of(struct schema_walk *walk, const struct schema_view *view);
/* schema_all_texts - are they texts, null aside? any: is one of them not empty? */
bool schema_all_texts(struct schema_words words, bool *any);
void schema_put_enum(struct schema_walk *walk, struct schema_words words);
/* schema_hint_of - "Allowed values: 1, 2.", escaped; absent when that would be long. */
struct slice schema_hint_of(struct schema_walk *walk, struct schema_words words);

enum schema_stage {
    STAGE_BEGIN,
    STAGE_CHOICES,
    STAGE_TYPES,
    STAGE_PROPERTIES,
    STAGE_ITEMS,
    STAGE_TUPLE,
    STAGE_CLOSE
};

struct schema_frame {
    struct schema_view view;
    enum schema_stage stage;
    enum schema_type type; /* forced, when its parent lists types */
    bool forced, root;
    enum schema_type types[8];
    int type_count, at;       /* STAGE_TYPES; at: the layer in STAGE_PROPERTIES */
    struct json cursor;       /* the alternative, property or tuple member that comes next */
    struct slice description; /* escaped: of the parent, when it could not say it */
};

#endif
