/* SPDX-License-Identifier: MIT
 *
 * gemini_schema_view.c - what all schemas for one value say together: references followed, allOf
 * merged, alternatives counted.
 *
 * Nothing is copied: a view is a short list of schemas of the same document, asked in turn. Every
 * look is counted, so that a schema made to explode is refused in bounded time.
 */
#include "providers/gemini_schema.h"

#include "base/text.h"

static void
work(struct schema_walk *walk, uint32_t amount)
{
    walk->work += amount;
    if (walk->work > SCHEMA_WORK_MAX && walk->error == 0)
        walk->error = -ERR_UNSUPPORTED;
}

enum schema_type
schema_type_of(struct json word)
{
    static const char *const words[] = {NULL,      "string", "number", "integer",
                                        "boolean", "array",  "object", "null"};
    int64_t number;
    if (json_i64(word, &number)) /* protobuf's enums may be numbers */
        return number > 0 && number < (int64_t)countof(words) ? (enum schema_type)number
                                                              : SCHEMA_ANY;
    for (size_t i = 1; i < countof(words); i++) {
        if (text_caseless_is(json_text(word), words[i]))
            return (enum schema_type)i;
    }
    return SCHEMA_ANY;
}

struct json
schema_lookup(const struct schema_view *view, const char *keyword)
{
    struct json found = JSON_NONE;
    for (int i = 0; i < view->count && !json_present(found); i++)
        found = json_get(view->layers[i], keyword);
    return found;
}

struct json
schema_member(struct schema_walk *walk, struct json object, struct slice key)
{
    struct json found = JSON_NONE;
    work(walk, json_count(object));
    for (struct json one = json_first(object); json_present(one) && walk->error == 0;
         one = json_next(one)) {
        if (slice_eq(json_key(one), key))
            found = one;
    }
    return json_type(object) == JSON_OBJECT ? found : JSON_NONE;
}

/* ---------------------------------------------------------------- references */

/* The member of an object or list that one decoded step of a JSON pointer names. */
static struct json
step_to(struct schema_walk *walk, struct json at, struct slice step)
{
    work(walk, json_count(at));
    if (json_type(at) == JSON_ARRAY) {
        uint64_t index;
        struct json one = json_first(at);
        if (!text_u64(step, &index) || index >= json_count(at))
            return JSON_NONE;
        while (index-- > 0)
            one = json_next(one);
        return one;
    }
    char *name = arena_take(&walk->arena, step.len + 1);
    if (!name) {
        walk->error = -ERR_MEMORY;
        return JSON_NONE;
    }
    size_t n = 0;
    for (size_t i = 0; i < step.len; i++) { /* RFC 6901: ~0 is a tilde, ~1 a slash */
        bool escape = step.ptr[i] == '~' && i + 1 < step.len &&
                      (step.ptr[i + 1] == '0' || step.ptr[i + 1] == '1');
        name[n++] = escape ? (step.ptr[i + 1] == '0' ? '~' : '/') : step.ptr[i];
        i += escape;
    }
    return json_type(at) == JSON_OBJECT ? json_get(at, name) : JSON_NONE;
}

/* Where "#/$defs/x" leads; absent when it leads out of the document or nowhere. */
static struct json
resolve(struct schema_walk *walk, struct json reference)
{
    struct slice text = json_string(reference, &walk->arena);
    struct json at = walk->root;
    if (!slice_starts(text, SLICE_LIT("#")))
        return JSON_NONE;
    struct sink pointer;
    sink_init(&pointer, 64 * 1024);
    bool decoded = text_percent_decode(slice_skip(text, 1), &pointer) && pointer.error == 0;
    struct slice rest = sink_slice(&pointer);
    if (!decoded || (rest.len > 0 && rest.ptr[0] != '/'))
        at = JSON_NONE;
    else
        rest = slice_skip(rest, 1);
    bool more = decoded && pointer.len > 0;
    while (more && json_present(at) && walk->error == 0) {
        struct slice step = text_split(&rest, '/');
        at = step_to(walk, at, step);
        more = slice_present(rest);
    }
    sink_fini(&pointer);
    return at;
}

/* ---------------------------------------------------------------- layers */

static bool
holds(const struct schema_view *view, struct json schema)
{
    for (int i = 0; i < view->count; i++) {
        if (view->layers[i].at == schema.at)
            return true;
    }
    return false;
}

void
schema_push(struct schema_walk *walk, struct schema_view *view, struct json schema, bool soft)
{
    if (json_type(schema) != JSON_OBJECT || holds(view, schema))
        return;
    for (int i = 0; i < walk->depth; i++) {
        const struct schema_view *above = &walk->frames[i].view;
        if (above != view && holds(above, schema)) {
            view->cyclic = true;
            return;
        }
    }
    if (view->count == SCHEMA_LAYERS_MAX) {
        walk->error = walk->error ? walk->error : -ERR_UNSUPPORTED;
        return;
    }
    view->soft[view->count] = soft;
    view->opened[view->count] = false;
    view->layers[view->count++] = schema;
    work(walk, 1);
}

static void
expand(struct schema_walk *walk, struct schema_view *view, int i)
{
    struct json layer = view->layers[i], reference = json_get(layer, "$ref"),
                all = json_get(layer, "allOf");
    work(walk, json_count(layer) + 1);
    if (json_type(reference) == JSON_STRING)
        schema_push(walk, view, resolve(walk, reference), view->soft[i]);
    for (struct json one = json_type(all) == JSON_ARRAY ? json_first(all) : JSON_NONE;
         json_present(one) && walk->error == 0; one = json_next(one))
        schema_push(walk, view, one, view->soft[i]);
}

/* ---------------------------------------------------------------- alternatives */

bool
schema_is_null(struct json schema)
{
    struct json type = json_get(schema, "type"), constant = json_get(schema, "const"),
                values = json_get(schema, "enum");
    if (schema_type_of(type) == SCHEMA_NULL || json_type(constant) == JSON_NULL)
        return true;
    return json_count(values) == 1 && json_type(json_first(values)) == JSON_NULL;
}

/* Does an alternative allow nothing but some texts? */
static bool
is_words(struct json schema)
{
    struct json values = json_get(schema, "enum");
    if (json_type(json_get(schema, "const")) == JSON_STRING)
        return true;
    bool words = json_type(values) == JSON_ARRAY && json_count(values) > 0;
    for (struct json one = json_first(values); words && json_present(one); one = json_next(one))
        words = json_type(one) == JSON_STRING;
    return words;
}

static bool
says_something(const struct schema_view *view)
{
    static const char *const keywords[] = {"type",        "properties", "items",
                                           "prefixItems", "enum",       "const"};
    for (size_t i = 0; i < countof(keywords); i++) {
        if (json_present(schema_lookup(view, keywords[i])))
            return true;
    }
    return false;
}

static void
open_alternatives(struct schema_walk *walk, struct schema_view *view, struct json list, bool object)
{
    uint32_t others = 0, words = 0;
    struct json only = JSON_NONE;
    work(walk, json_count(list));
    for (struct json one = json_first(list); json_present(one); one = json_next(one)) {
        if (schema_is_null(one)) {
            view->nullable = true;
            continue;
        }
        others++;
        words += is_words(one);
        only = one;
    }
    enum schema_type type = schema_type_of(schema_lookup(view, "type"));
    bool own = says_something(view);
    if (others == 1) {
        schema_push(walk, view, only, false);
    } else if (others > 1 && words == others && !object &&
               !json_present(schema_lookup(view, "enum"))) {
        view->choices = CHOICES_ENUM;
        view->alternatives = list;
    } else if (others > 1 && (object || type == SCHEMA_OBJECT ||
                              json_present(schema_lookup(view, "properties")))) {
        for (struct json one = json_first(list); json_present(one) && walk->error == 0;
             one = json_next(one))
            schema_push(walk, view, one, true);
    } else if (others > 1 && !own) {
        view->choices = CHOICES_LIST;
        view->alternatives = list;
    }
}

void
schema_settle(struct schema_walk *walk, struct schema_view *view, bool object)
{
    static const char *const keywords[] = {"anyOf", "oneOf"};
    int expanded = 0;
    for (;;) {
        while (expanded < view->count && walk->error == 0)
            expand(walk, view, expanded++);
        struct json list = JSON_NONE;
        for (int i = 0; i < view->count && !json_present(list); i++) {
            for (size_t k = 0; k < countof(keywords) && !view->opened[i] && !json_present(list);
                 k++)
                list = json_get(view->layers[i], keywords[k]);
            view->opened[i] = true;
        }
        if (json_type(list) != JSON_ARRAY || view->choices != CHOICES_NONE || walk->error != 0) {
            if (json_present(list) && walk->error == 0 && view->choices == CHOICES_NONE)
                continue; /* no list of schemas: as if it were not there */
            return;
        }
        open_alternatives(walk, view, list, object);
    }
}

/* ---------------------------------------------------------------- types */

static enum schema_type
type_of_value(struct json value)
{
    int64_t number;
    switch (json_type(value)) {
    case JSON_STRING:
        return SCHEMA_STRING;
    case JSON_NUMBER:
        return json_i64(value, &number) ? SCHEMA_INTEGER : SCHEMA_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return SCHEMA_BOOLEAN;
    case JSON_ARRAY:
        return SCHEMA_ARRAY;
    case JSON_OBJECT:
        return SCHEMA_OBJECT;
    case JSON_NULL:
    case JSON_ABSENT:
        break;
    }
    return SCHEMA_ANY;
}

/* The one type that all values have, null aside. */
static enum schema_type
type_of_values(struct json values)
{
    enum schema_type type = SCHEMA_ANY;
    for (struct json one = json_first(values); json_present(one); one = json_next(one)) {
        enum schema_type found = type_of_value(one);
        if (found == SCHEMA_ANY)
            continue;
        bool numbers = (found == SCHEMA_INTEGER && type == SCHEMA_NUMBER) ||
                       (found == SCHEMA_NUMBER && type == SCHEMA_INTEGER);
        if (type != SCHEMA_ANY && type != found && !numbers)
            return SCHEMA_ANY;
        type = numbers ? SCHEMA_NUMBER : found;
    }
    return type;
}

static enum schema_type
infer(const struct schema_view *view)
{
    static const struct {
        const char *keyword;
        enum schema_type type;
    } hints[] = {
        {"properties", SCHEMA_OBJECT}, {"additionalProperties", SCHEMA_OBJECT},
        {"required", SCHEMA_OBJECT},   {"items", SCHEMA_ARRAY},
        {"prefixItems", SCHEMA_ARRAY}, {"minItems", SCHEMA_ARRAY},
        {"maxItems", SCHEMA_ARRAY},    {"pattern", SCHEMA_STRING},
        {"minLength", SCHEMA_STRING},  {"maxLength", SCHEMA_STRING},
        {"minimum", SCHEMA_NUMBER},    {"maximum", SCHEMA_NUMBER},
    };
    if (view->choices == CHOICES_ENUM)
        return SCHEMA_STRING;
    struct json constant = schema_lookup(view, "const"), values = schema_lookup(view, "enum");
    if (json_type(values) == JSON_ARRAY)
        return type_of_values(values);
    if (json_present(constant))
        return json_type(constant) == JSON_NULL ? SCHEMA_NULL : type_of_value(constant);
    for (size_t i = 0; i < countof(hints); i++) {
        if (json_present(schema_lookup(view, hints[i].keyword)))
            return hints[i].type;
    }
    return SCHEMA_ANY;
}

int
schema_types(struct schema_walk *walk, struct schema_view *view, enum schema_type out[8])
{
    struct json type = schema_lookup(view, "type");
    int count = 0;
    bool seen[8] = {false};
    work(walk, json_count(type) + 1);
    if (json_type(type) != JSON_ARRAY) {
        out[0] = schema_type_of(type);
        if (out[0] == SCHEMA_ANY)
            out[0] = infer(view);
        return out[0] == SCHEMA_ANY ? 0 : 1;
    }
    for (struct json one = json_first(type); json_present(one); one = json_next(one)) {
        enum schema_type found = schema_type_of(one);
        if (found == SCHEMA_NULL)
            view->nullable = true;
        if (found == SCHEMA_NULL || found == SCHEMA_ANY || seen[found])
            continue;
        seen[found] = true;
        out[count++] = found;
    }
    if (seen[SCHEMA_NUMBER] && seen[SCHEMA_INTEGER]) { /* an integer is a number */
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (out[i] != SCHEMA_INTEGER)
                out[kept++] = out[i];
        }
        count = kept;
    }
    if (count == 0 && view->nullable)
        out[count++] = SCHEMA_NULL;
    return count;
}
