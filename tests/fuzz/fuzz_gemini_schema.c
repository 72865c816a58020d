/* SPDX-License-Identifier: MIT
 *
 * fuzz_gemini_schema.c - any bytes as a schema, on the way to Gemini and back: never too long,
 * never too deep, and what comes out has no keyword that Gemini does not know. The first byte
 * chooses the way.
 */
#include "providers/gemini_schema.h"
#include "providers/gemini_request.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#define LEVELS 64

static void
must(bool so)
{
    if (!so)
        abort();
}

enum below { BELOW_NOTHING, BELOW_SCHEMA, BELOW_LIST, BELOW_MAP };

static enum below
below_of(struct json member)
{
    static const char *const plain[] = {
        "type",     "nullable", "title",     "description",   "enum",         "format",
        "minimum",  "maximum",  "minLength", "maxLength",     "pattern",      "minItems",
        "maxItems", "default",  "required",  "minProperties", "maxProperties"};
    if (json_key_is(member, "items"))
        return BELOW_SCHEMA;
    if (json_key_is(member, "anyOf"))
        return BELOW_LIST;
    if (json_key_is(member, "properties"))
        return BELOW_MAP;
    bool known = false;
    for (size_t i = 0; i < countof(plain); i++)
        known = known || json_key_is(member, plain[i]);
    must(known);
    return BELOW_NOTHING;
}

static void
check_node(struct json schema)
{
    must(json_type(schema) == JSON_OBJECT);
    must(!json_present(json_get(schema, "type")) ||
         schema_type_of(json_get(schema, "type")) != SCHEMA_ANY);
    must(!json_present(json_get(schema, "anyOf")) || json_count(schema) == 1);
    must(!json_is(json_get(schema, "type"), "ARRAY") || json_present(json_get(schema, "items")));
    struct json required = json_get(schema, "required"), values = json_get(schema, "enum");
    for (struct json one = json_first(values); json_present(one); one = json_next(one))
        must(json_text(one).len > 0);
    must(!json_present(required) || json_count(required) > 0);
}

/* Every schema of the document, without recursion. */
static void
check_all(struct json root)
{
    struct {
        struct json next;
        enum below kind;
    } levels[LEVELS + 1];
    int depth = 0;
    check_node(root);
    levels[depth++].next = json_first(root);
    levels[0].kind = BELOW_SCHEMA;
    while (depth > 0) {
        struct json one = levels[depth - 1].next;
        enum below kind = levels[depth - 1].kind,
                   inside = kind == BELOW_SCHEMA ? BELOW_NOTHING : BELOW_SCHEMA;
        if (!json_present(one)) {
            depth--;
            continue;
        }
        levels[depth - 1].next = json_next(one);
        if (kind == BELOW_SCHEMA)
            inside = below_of(one);
        if (inside == BELOW_NOTHING)
            continue;
        if (inside == BELOW_SCHEMA)
            check_node(one);
        must(depth < LEVELS);
        levels[depth].next = json_first(one);
        levels[depth++].kind = inside;
    }
}

static void
fuzz_reduce(struct slice text, bool parameters)
{
    struct sink out;
    struct arena arena;
    struct json root;
    sink_init(&out, 1u << 20);
    arena_init(&arena, 64u << 20);
    int result = gemini_schema_reduce(text, parameters, &out);
    must(result == 0 || result == 1 || result == -ERR_UNSUPPORTED || result == -ERR_MEMORY);
    if (result == 1) {
        must(json_parse(sink_slice(&out), LEVELS, 1u << 20, &arena, &root) == 0);
        check_all(root);
        must(!parameters ||
             (json_is(json_get(root, "type"), "OBJECT") &&
              json_count(json_get(root, "properties")) > 0) ||
             json_count(root) > 0);
    }
    arena_fini(&arena);
    sink_fini(&out);
}

static void
fuzz_widen(struct slice text)
{
    struct sink out;
    struct arena arena;
    struct json root;
    struct json_scan scan;
    sink_init(&out, 8u << 20);
    arena_init(&arena, 64u << 20);
    if (json_parse(text, GEMINI_REQUEST_DEPTH, 100000, &arena, &root) == 0 &&
        gemini_schema_widen(root, &arena, &out) == 0)
        must(json_scan(sink_slice(&out), 128, &scan) == 0);
    arena_fini(&arena);
    sink_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct slice text = slice_of(bytes + 1, len - 1);
    if (bytes[0] % 3 == 2)
        fuzz_widen(text);
    else
        fuzz_reduce(text, bytes[0] % 3 == 1);
    return 0;
}
