/* SPDX-License-Identifier: MIT
 *
 * gemini_schema_widen.c - an OpenAPI schema, as Gemini's clients write them, as JSON Schema.
 *
 * A plain copy with a stack of its own; only keywords are touched, never the names of properties.
 */
#include "providers/gemini_schema.h"

#include "providers/gemini_request.h"

#define WIDEN_DEPTH_MAX 60

/* What stands below a keyword. */
enum below {
    BELOW_VALUE,
    BELOW_SCHEMA,
    BELOW_LIST /* of schemas */,
    BELOW_MAP /* of schemas by name */,
    BELOW_NUMBER,
    BELOW_NOWHERE
};

struct keyword {
    const char *name, *as; /* as: NULL: the same */
    enum below below;
};

static const struct keyword keywords[] = {
    {"type", NULL, BELOW_NOWHERE},
    {"nullable", NULL, BELOW_NOWHERE},
    {"propertyOrdering", NULL, BELOW_NOWHERE},
    {"example", NULL, BELOW_NOWHERE},
    {"format", NULL, BELOW_VALUE},
    {"title", NULL, BELOW_VALUE},
    {"description", NULL, BELOW_VALUE},
    {"default", NULL, BELOW_VALUE},
    {"enum", NULL, BELOW_VALUE},
    {"pattern", NULL, BELOW_VALUE},
    {"required", NULL, BELOW_VALUE},
    {"items", NULL, BELOW_SCHEMA},
    {"additionalProperties", NULL, BELOW_SCHEMA},
    {"anyOf", NULL, BELOW_LIST},
    {"properties", NULL, BELOW_MAP},
    {"defs", "$defs", BELOW_MAP},
    {"ref", "$ref", BELOW_VALUE},
    {"minItems", NULL, BELOW_NUMBER},
    {"maxItems", NULL, BELOW_NUMBER},
    {"minLength", NULL, BELOW_NUMBER},
    {"maxLength", NULL, BELOW_NUMBER},
    {"minProperties", NULL, BELOW_NUMBER},
    {"maxProperties", NULL, BELOW_NUMBER},
    {"minimum", NULL, BELOW_NUMBER},
    {"maximum", NULL, BELOW_NUMBER},
};

struct level {
    struct json next;
    enum below kind; /* BELOW_SCHEMA: next is a keyword; BELOW_LIST, BELOW_MAP: a schema */
    bool nullable;   /* of a schema with anyOf: null is one more alternative when the list ends */
};

static const struct keyword *
keyword_of(struct json member)
{
    for (size_t i = 0; i < countof(keywords); i++) {
        if (gemini_key_is(member, keywords[i].name))
            return &keywords[i];
    }
    return NULL;
}

/* type, and null beside it. */
static void
put_type(struct json_writer *json, struct json schema)
{
    static const char *const words[] = {NULL,      "string", "number", "integer",
                                        "boolean", "array",  "object", "null"};
    struct json type = json_get(schema, "type");
    enum schema_type found = schema_type_of(type);
    bool nullable = json_type(gemini_get(schema, "nullable")) == JSON_TRUE;
    if (json_type(type) == JSON_ARRAY) {
        json_member_raw(json, "type", json_raw(type));
    } else if (found != SCHEMA_ANY && nullable && found != SCHEMA_NULL) {
        json_name(json, "type");
        json_array(json);
        json_put_literal(json, words[found]);
        json_put_literal(json, "null");
        json_end(json);
    } else if (found != SCHEMA_ANY) {
        json_member_text(json, "type", words[found]);
    }
}

/* 64-bit numbers may come as strings. */
static void
put_number(struct json_writer *json, const char *name, struct json value)
{
    struct json_scan scan;
    struct slice text = json_type(value) == JSON_STRING ? json_text(value) : json_raw(value);
    bool number =
        text.len > 0 && (text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9'));
    if (number && json_scan(text, 1, &scan) == 0)
        json_member_raw(json, name, text);
}

static void
put_enum(struct json_writer *json, struct json values, bool nullable)
{
    json_name(json, "enum");
    json_array(json);
    for (struct json one = json_first(values); json_present(one); one = json_next(one))
        json_put_raw(json, json_raw(one));
    if (nullable)
        json_put_null(json);
    json_end(json);
}

/* One keyword with a value that is not a schema. */
static void
put_keyword(struct json_writer *json, const struct keyword *keyword, struct json member,
            bool nullable)
{
    const char *name = keyword->as ? keyword->as : keyword->name;
    if (strcmp(name, "enum") == 0 && json_type(member) == JSON_ARRAY)
        put_enum(json, member, nullable);
    else if (keyword->below == BELOW_NUMBER)
        put_number(json, name, member);
    else if (strcmp(name, "format") != 0 ||
             !json_is(member, "enum")) /* "enum" is no format of JSON Schema */
        json_member_raw(json, name, json_raw(member));
}

struct widening {
    struct json_writer json;
    struct arena *arena;
    struct level levels[WIDEN_DEPTH_MAX + 2];
    int depth;
};

static int
put_key(struct widening *at, struct slice key)
{
    struct slice name = json_unescape(key, at->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_name_slice(&at->json, name);
    return 0;
}

static int
enter(struct widening *at, enum below kind, struct json value)
{
    bool nullable = kind == BELOW_SCHEMA && json_type(gemini_get(value, "nullable")) == JSON_TRUE;
    if (at->depth > WIDEN_DEPTH_MAX || at->json.depth > WIDEN_DEPTH_MAX)
        return -ERR_REQUEST;
    if (kind == BELOW_LIST)
        json_array(&at->json);
    else
        json_object(&at->json);
    if (kind == BELOW_SCHEMA)
        put_type(&at->json, value);
    at->levels[at->depth++] =
        (struct level){.next = json_first(value), .kind = kind, .nullable = nullable};
    return 0;
}

/* A schema that is no object (true, or nonsense) stays as it is. */
static int
enter_schema(struct widening *at, struct json value)
{
    if (json_type(value) == JSON_OBJECT)
        return enter(at, BELOW_SCHEMA, value);
    json_put_raw(&at->json, json_raw(value));
    return 0;
}

static int
step_schema(struct widening *at, struct level *level, struct json member)
{
    const struct keyword *keyword = keyword_of(member);
    enum json_type type = json_type(member);
    if (!keyword) { /* not Gemini's, but perhaps JSON Schema's */
        bool known = slice_starts(json_key(member), SLICE_LIT("$"));
        int error = known ? put_key(at, json_key(member)) : 0;
        if (known && error == 0)
            json_put_raw(&at->json, json_raw(member));
        return error;
    }
    if (keyword->below == BELOW_NOWHERE || type == JSON_NULL)
        return 0;
    bool list = keyword->below == BELOW_LIST && type == JSON_ARRAY,
         map = keyword->below == BELOW_MAP && type == JSON_OBJECT;
    if (keyword->below == BELOW_SCHEMA || list || map)
        json_name(&at->json, keyword->as ? keyword->as : keyword->name);
    if (keyword->below == BELOW_SCHEMA)
        return enter_schema(at, member);
    if (!list && !map) {
        if (keyword->below == BELOW_VALUE || keyword->below == BELOW_NUMBER)
            put_keyword(&at->json, keyword, member, level->nullable);
        return 0;
    }
    bool nullable = level->nullable && list;
    int error = enter(at, list ? BELOW_LIST : BELOW_MAP, member);
    if (error == 0)
        at->levels[at->depth - 1].nullable = nullable;
    return error;
}

static int
step(struct widening *at)
{
    struct level *level = &at->levels[at->depth - 1];
    struct json one = level->next;
    if (!json_present(one)) {
        if (level->kind == BELOW_LIST && level->nullable) {
            json_object(&at->json);
            json_member_text(&at->json, "type", "null");
            json_end(&at->json);
        }
        json_end(&at->json);
        at->depth--;
        return 0;
    }
    level->next = json_next(one);
    if (level->kind == BELOW_SCHEMA)
        return step_schema(at, level, one);
    int error = level->kind == BELOW_MAP ? put_key(at, json_key(one)) : 0;
    return error != 0 ? error : enter_schema(at, one);
}

int
gemini_schema_widen(struct json schema, struct arena *arena, struct sink *out)
{
    struct widening at = {.arena = arena};
    json_writer_init(&at.json, out);
    int error = enter_schema(&at, schema);
    while (error == 0 && at.depth > 0)
        error = step(&at);
    return error != 0 ? error : out->error;
}
