/* SPDX-License-Identifier: MIT
 *
 * shape_schema.c - a JSON Schema made plain for servers and models that stumble over more (R147): references are written out,
 * a choice of types becomes its first, formats and definitions go.
 *
 * A walk with a stack of its own. What refers to itself, and what lies too deep or is too much, becomes an object of any kind.
 */
#include "providers/shape.h"

#define FRAMES_MAX 40
#define NODES_MAX 10000
#define HOPS_MAX 16 /* from a reference to a choice to a reference ... */
#define SCHEMA_DEPTH_MAX 64
#define SCHEMA_TOKENS_MAX 200000
#define SCHEMA_BYTES_MAX (8u << 20)

enum frame_kind { FRAME_SCHEMA, FRAME_MAP /* names of the schemas inside are free */, FRAME_LIST };

struct schema_frame {
    enum frame_kind kind;
    struct json at;     /* the next member */
    uint32_t source;    /* of a schema: what it was written from */
    struct slice about; /* the description of what led here, for a schema that has none */
    bool described;
};

struct plain {
    struct schema_frame frames[FRAMES_MAX];
    size_t depth, nodes;
    struct json root;
    struct arena *arena;
    struct json_writer json;
};

static bool
named(struct json member, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (json_key_is(member, names[i]))
            return true;
    }
    return false;
}

/* "#/$defs/Name" and the like: the place in the same document; absent when it leads nowhere. */
static struct json
follow(const struct plain *plain, struct slice path)
{
    struct json at = plain->root;
    if (!slice_starts(path, SLICE_LIT("#")))
        return JSON_NONE;
    struct slice rest = slice_skip(path, 1);
    while (rest.len > 0 && json_present(at)) {
        rest = slice_skip(rest, 1);
        const char *end = memchr(rest.ptr, '/', rest.len);
        struct slice step = slice_take(rest, end ? (size_t)(end - rest.ptr) : rest.len);
        struct slice name = arena_copy(plain->arena, step);
        rest = slice_skip(rest, step.len);
        at = slice_present(name) && json_type(at) == JSON_OBJECT ? json_get(at, name.ptr) : JSON_NONE;
    }
    return json_type(at) == JSON_OBJECT ? at : JSON_NONE;
}

/* The first of several that is more than null. */
static struct json
first_choice(struct json list)
{
    for (struct json at = json_first(list); json_present(at); at = json_next(at)) {
        if (json_type(at) == JSON_OBJECT && !json_is(json_get(at, "type"), "null"))
            return at;
    }
    return JSON_NONE;
}

/* What a schema comes down to: itself, or what it refers to or chooses first. Absent: nothing that can be written. */
static struct json
settle(const struct plain *plain, struct json schema, struct slice *about)
{
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        struct slice description = json_text(json_get(schema, "description"));
        struct json reference = json_get(schema, "$ref"), list = json_get(schema, "anyOf");
        list = json_type(list) == JSON_ARRAY ? list : json_get(schema, "oneOf");
        if (description.len > 0 && about->len == 0)
            *about = description;
        if (json_type(reference) == JSON_STRING) {
            schema = follow(plain, json_string(reference, plain->arena));
        } else if (json_type(list) == JSON_ARRAY && !json_present(json_get(schema, "type")) && !json_present(json_get(schema, "properties"))) {
            schema = first_choice(list);
        } else {
            return schema;
        }
        if (!json_present(schema))
            return schema;
    }
    return JSON_NONE;
}

static void
put_description(struct plain *plain, struct slice text)
{
    if (text.len == 0)
        return;
    json_name(&plain->json, "description");
    json_put_escaped(&plain->json, text);
}

static void
push(struct plain *plain, struct json schema)
{
    struct slice about = SLICE_NONE;
    schema = settle(plain, schema, &about);
    bool open = json_present(schema) && plain->depth < FRAMES_MAX - 1 && ++plain->nodes <= NODES_MAX;
    for (size_t i = 0; i < plain->depth && open; i++)
        open = plain->frames[i].kind != FRAME_SCHEMA || plain->frames[i].source != schema.at;
    json_object(&plain->json);
    if (open) {
        plain->frames[plain->depth++] = (struct schema_frame){.kind = FRAME_SCHEMA, .at = json_first(schema), .source = schema.at, .about = about};
        return;
    }
    json_member_text(&plain->json, "type", "object");
    put_description(plain, about);
    json_end(&plain->json);
}

static void
put_name(struct plain *plain, struct json member)
{
    json_name_slice(&plain->json, json_unescape(json_key(member), plain->arena));
}

static void
put_type(struct plain *plain, struct json type)
{
    struct json word = json_type(type) == JSON_ARRAY ? json_first(type) : type;
    while (json_type(type) == JSON_ARRAY && json_is(word, "null") && json_present(json_next(word)))
        word = json_next(word);
    if (json_present(word))
        json_member_raw(&plain->json, "type", json_raw(word));
}

/* One keyword of a schema. */
static void
put_keyword(struct plain *plain, struct schema_frame *frame, struct json member)
{
    static const char *const gone[] = {"$ref", "$defs", "definitions", "$schema", "$id", "$comment", "$anchor", "format", "anyOf", "oneOf"};
    static const char *const schemas[] = {"items", "additionalProperties", "not", "contains", "if", "then", "else", "propertyNames"};
    static const char *const maps[] = {"properties", "patternProperties", "dependentSchemas"};
    static const char *const lists[] = {"allOf", "prefixItems", "items"};
    enum json_type type = json_type(member);
    if (named(member, gone, countof(gone)))
        return;
    if (json_key_is(member, "type")) {
        put_type(plain, member);
    } else if (json_key_is(member, "description")) {
        put_description(plain, frame->about.len > 0 ? frame->about : json_text(member));
        frame->described = true;
    } else if (type == JSON_OBJECT && named(member, schemas, countof(schemas))) {
        put_name(plain, member);
        push(plain, member);
    } else if ((type == JSON_OBJECT && named(member, maps, countof(maps))) || (type == JSON_ARRAY && named(member, lists, countof(lists)))) {
        put_name(plain, member);
        assert(plain->depth < FRAMES_MAX); /* push leaves room for one */
        if (type == JSON_OBJECT)
            json_object(&plain->json);
        else
            json_array(&plain->json);
        plain->frames[plain->depth++] = (struct schema_frame){.kind = type == JSON_OBJECT ? FRAME_MAP : FRAME_LIST, .at = json_first(member)};
    } else {
        put_name(plain, member);
        json_put_raw(&plain->json, json_raw(member));
    }
}

static void
walk(struct plain *plain)
{
    push(plain, plain->root);
    while (plain->depth > 0) {
        struct schema_frame *frame = &plain->frames[plain->depth - 1];
        struct json member = frame->at;
        if (!json_present(member)) {
            if (frame->kind == FRAME_SCHEMA && !frame->described)
                put_description(plain, frame->about);
            json_end(&plain->json);
            plain->depth--;
            continue;
        }
        frame->at = json_next(member);
        if (frame->kind == FRAME_SCHEMA) {
            put_keyword(plain, frame, member);
            continue;
        }
        if (frame->kind == FRAME_MAP)
            put_name(plain, member);
        if (json_type(member) == JSON_OBJECT)
            push(plain, member);
        else
            json_put_raw(&plain->json, json_raw(member));
    }
}

int
shape_schema(struct slice schema, struct arena *arena, struct slice *out)
{
    struct sink sink;
    struct plain plain = {.arena = arena};
    *out = schema;
    if (json_parse(schema, SCHEMA_DEPTH_MAX, SCHEMA_TOKENS_MAX, arena, &plain.root) != 0 || json_type(plain.root) != JSON_OBJECT)
        return 0; /* whoever writes it finds words for that */
    sink_init(&sink, SCHEMA_BYTES_MAX);
    json_writer_init(&plain.json, &sink);
    walk(&plain);
    struct slice copy = sink.error ? SLICE_NONE : arena_copy(arena, sink_slice(&sink));
    sink_fini(&sink);
    if (slice_present(copy))
        *out = copy;
    return slice_present(copy) ? 0 : -ERR_MEMORY;
}
