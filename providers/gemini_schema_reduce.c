/* SPDX-License-Identifier: MIT
 *
 * gemini_schema_reduce.c - a JSON Schema written as the OpenAPI subset that Gemini takes.
 *
 * A walk with a stack of its own: each frame is one value and writes its keywords, then what is
 * inside. When the stack or the document it writes would get too deep, an object without further
 * description stands in.
 */
#include "providers/gemini_schema.h"

#define SCHEMA_TEXT_DEPTH 64
#define SCHEMA_TOKENS_MAX 200000
#define SCHEMA_MEMORY_MAX (64u << 20)
#define WRITER_DEPTH_MAX 54 /* of 64: one frame adds up to five */

static const char *const type_words[] = {NULL,      "STRING", "NUMBER", "INTEGER",
                                         "BOOLEAN", "ARRAY",  "OBJECT", "NULL"};

static void
fail(struct schema_walk *walk, int error)
{
    if (walk->error == 0)
        walk->error = error;
}

/* ---------------------------------------------------------------- the stack */

/* The frame above the top: its view is filled before it counts as an ancestor of anything. */
static struct schema_frame *
push_frame(struct schema_walk *walk)
{
    if (++walk->nodes > SCHEMA_NODES_MAX)
        fail(walk, -ERR_UNSUPPORTED);
    assert(walk->depth <
           SCHEMA_FRAMES_MAX); /* the writer gets deeper at least as fast, and ends the descent */
    struct schema_frame *frame = &walk->frames[walk->depth];
    *frame = (struct schema_frame){.stage = STAGE_BEGIN};
    return frame;
}

static void
descend(struct schema_walk *walk, struct json schema, struct slice description)
{
    struct schema_frame *frame = push_frame(walk);
    schema_push(walk, &frame->view, schema, false);
    frame->description = description;
    walk->depth++;
}

/* ---------------------------------------------------------------- keywords */

static void
put_description(struct schema_walk *walk, const struct schema_frame *frame, struct slice hint)
{
    struct slice text = json_text(schema_lookup(&frame->view, "description"));
    if (!slice_present(text))
        text = frame->description;
    if (slice_present(text) && text.len > 0 && slice_present(hint))
        text = arena_printf(&walk->arena, "%.*s %.*s", SLICE_ARG(text), SLICE_ARG(hint));
    else if (slice_present(hint))
        text = hint;
    if (!slice_present(text))
        return;
    json_name(&walk->json, "description");
    json_put_escaped(&walk->json, text);
}

static void
put_numbers(struct schema_walk *walk, const struct schema_view *view, const char *const names[],
            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct json value = schema_lookup(view, names[i]);
        if (json_type(value) == JSON_NUMBER)
            json_member_raw(&walk->json, names[i], json_raw(value));
    }
}

/* One end of a range. An exclusive bound of integers is the next integer; of others it is the bound
 * itself, which says a little too much but nothing wrong to ask for. Draft 4 had exclusive bounds
 * as flags. */
static void
put_bound(struct schema_walk *walk, const struct schema_view *view, enum schema_type type,
          const char *inclusive, const char *exclusive, int step)
{
    struct json bound = schema_lookup(view, inclusive), other = schema_lookup(view, exclusive);
    int64_t number, open;
    bool flagged = json_type(other) == JSON_TRUE && json_type(bound) == JSON_NUMBER;
    if (flagged)
        other = bound;
    bool whole =
        type == SCHEMA_INTEGER && json_i64(other, &open) && open > -(1ll << 52) && open < 1ll << 52;
    if (json_type(other) == JSON_NUMBER && whole) {
        open += step;
        if (!flagged && json_i64(bound, &number) && (step > 0 ? number > open : number < open))
            open = number;
        json_member_i64(&walk->json, inclusive, open);
    } else if (json_type(bound) == JSON_NUMBER || json_type(other) == JSON_NUMBER) {
        json_member_raw(&walk->json, inclusive,
                        json_raw(json_type(bound) == JSON_NUMBER ? bound : other));
    }
}

static void
put_format(struct schema_walk *walk, const struct schema_view *view, enum schema_type type)
{
    static const struct {
        const char *word;
        enum schema_type type;
    } taken[] = {{"date-time", SCHEMA_STRING},
                 {"float", SCHEMA_NUMBER},
                 {"double", SCHEMA_NUMBER},
                 {"int32", SCHEMA_INTEGER},
                 {"int64", SCHEMA_INTEGER}};
    struct json format = schema_lookup(view, "format");
    for (size_t i = 0; i < countof(taken); i++) {
        if (taken[i].type == type && json_is(format, taken[i].word))
            json_member_text(&walk->json, "format", taken[i].word);
    }
}

static void
put_limits(struct schema_walk *walk, const struct schema_view *view, enum schema_type type)
{
    static const char *const of_text[] = {"minLength", "maxLength"},
                             *const of_list[] = {"minItems", "maxItems"},
                             *const of_object[] = {"minProperties", "maxProperties"};
    struct json pattern = schema_lookup(view, "pattern");
    put_format(walk, view, type);
    switch (type) {
    case SCHEMA_STRING:
        put_numbers(walk, view, of_text, countof(of_text));
        if (json_type(pattern) == JSON_STRING)
            json_member_raw(&walk->json, "pattern", json_raw(pattern));
        break;
    case SCHEMA_NUMBER:
    case SCHEMA_INTEGER:
        put_bound(walk, view, type, "minimum", "exclusiveMinimum", 1);
        put_bound(walk, view, type, "maximum", "exclusiveMaximum", -1);
        break;
    case SCHEMA_ARRAY:
        put_numbers(walk, view, of_list, countof(of_list));
        break;
    case SCHEMA_OBJECT:
        put_numbers(walk, view, of_object, countof(of_object));
        break;
    case SCHEMA_ANY:
    case SCHEMA_BOOLEAN:
    case SCHEMA_NULL:
        break;
    }
}

/* ---------------------------------------------------------------- properties */

static bool
allowed(struct json property)
{
    return json_present(property) && json_type(property) != JSON_FALSE;
}

/* Does any schema of the view describe this property? */
static bool
has_property(struct schema_walk *walk, const struct schema_view *view, struct slice key)
{
    bool found = false;
    for (int i = 0; i < view->count && !found; i++)
        found = allowed(schema_member(walk, json_get(view->layers[i], "properties"), key));
    return found;
}

static bool
has_properties(const struct schema_view *view)
{
    for (int i = 0; i < view->count; i++) {
        if (json_count(json_get(view->layers[i], "properties")) > 0)
            return true;
    }
    return false;
}

/* The next property that no earlier schema had; absent at the end. The cursor stands on it. */
static struct json
next_property(struct schema_walk *walk, struct schema_frame *frame)
{
    while (frame->at < frame->view.count && walk->error == 0) {
        struct json properties = json_get(frame->view.layers[frame->at], "properties");
        frame->cursor = json_present(frame->cursor)            ? json_next(frame->cursor)
                        : json_type(properties) == JSON_OBJECT ? json_first(properties)
                                                               : JSON_NONE;
        if (!json_present(frame->cursor)) {
            frame->at++;
            continue;
        }
        bool seen = !allowed(frame->cursor);
        for (int i = 0; i < frame->at && !seen; i++)
            seen = json_present(schema_member(walk, json_get(frame->view.layers[i], "properties"),
                                              json_key(frame->cursor)));
        if (!seen)
            return frame->cursor;
    }
    return JSON_NONE;
}

static void
put_key(struct schema_walk *walk, struct slice key)
{
    struct slice name = json_unescape(key, &walk->arena);
    if (!slice_present(name))
        fail(walk, -ERR_MEMORY);
    json_name_slice(&walk->json, slice_present(name) ? name : SLICE_LIT(""));
}

/* A property is described by every schema of the view that has it. */
static void
step_properties(struct schema_walk *walk, struct schema_frame *frame)
{
    struct json property = next_property(walk, frame);
    if (!json_present(property)) {
        json_end(&walk->json);
        frame->stage = STAGE_CLOSE;
        return;
    }
    put_key(walk, json_key(property));
    struct schema_frame *child = push_frame(walk);
    for (int i = frame->at; i < frame->view.count; i++) {
        struct json properties = json_get(frame->view.layers[i], "properties");
        struct json one =
            i == frame->at ? property : schema_member(walk, properties, json_key(property));
        schema_push(walk, &child->view, one, false);
    }
    walk->depth++;
}

static void
put_required(struct schema_walk *walk, const struct schema_frame *frame)
{
    bool any = false;
    for (int i = 0; i < frame->view.count && walk->error == 0; i++) {
        struct json required = json_get(frame->view.layers[i], "required");
        if (frame->view.soft[i] || json_type(required) != JSON_ARRAY)
            continue;
        for (struct json one = json_first(required); json_present(one) && walk->error == 0;
             one = json_next(one)) {
            bool named =
                json_type(one) == JSON_STRING && has_property(walk, &frame->view, json_text(one));
            for (int k = 0; k < i && named; k++) { /* not twice */
                struct json earlier = json_get(frame->view.layers[k], "required");
                walk->work += json_count(earlier);
                for (struct json same = json_first(earlier);
                     named && !frame->view.soft[k] && json_present(same); same = json_next(same))
                    named = !slice_eq(json_text(same), json_text(one));
            }
            if (!named)
                continue;
            if (!any) {
                json_name(&walk->json, "required");
                json_array(&walk->json);
            }
            any = true;
            json_put_raw(&walk->json, json_raw(one));
        }
    }
    if (any)
        json_end(&walk->json);
}

/* ---------------------------------------------------------------- the frames */

static void
put_plain(struct schema_walk *walk, const char *type)
{
    json_object(&walk->json);
    if (type)
        json_member_text(&walk->json, "type", type);
    json_end(&walk->json);
    walk->depth--;
}

static void
begin_inside(struct schema_walk *walk, struct schema_frame *frame, enum schema_type type)
{
    struct json items = schema_lookup(&frame->view, "prefixItems");
    if (json_type(items) != JSON_ARRAY)
        items = schema_lookup(&frame->view, "items");
    frame->stage = STAGE_CLOSE;
    if (type == SCHEMA_OBJECT && has_properties(&frame->view)) {
        put_required(walk, frame);
        json_name(&walk->json, "properties");
        json_object(&walk->json);
        frame->stage = STAGE_PROPERTIES;
        frame->at = 0;
        frame->cursor = JSON_NONE;
    } else if (type == SCHEMA_ARRAY && json_type(items) == JSON_ARRAY && json_count(items) > 1) {
        json_name(&walk->json, "items"); /* a tuple: each place may hold any of its members */
        json_object(&walk->json);
        json_name(&walk->json, "anyOf");
        json_array(&walk->json);
        frame->stage = STAGE_TUPLE;
        frame->cursor = json_first(items);
    } else if (type == SCHEMA_ARRAY) {
        frame->stage = STAGE_ITEMS;
        frame->cursor = json_type(items) == JSON_ARRAY ? json_first(items) : items;
    }
}

/* When anyOf is used it must stand alone: description and null go into each alternative. */
static void
begin_choices(struct schema_walk *walk, struct schema_frame *frame)
{
    struct slice description = json_text(schema_lookup(&frame->view, "description"));
    if (slice_present(description))
        frame->description = description;
    json_name(&walk->json, "anyOf");
    json_array(&walk->json);
}

static void
put_value(struct schema_walk *walk, struct schema_frame *frame, enum schema_type type)
{
    bool any;
    struct schema_view *view = &frame->view;
    struct schema_words words = schema_words_of(walk, view);
    for (uint32_t i = 0; i < words.count; i++)
        view->nullable = view->nullable || json_type(words.at[i]) == JSON_NULL;
    bool texts = schema_all_texts(words, &any) && (type == SCHEMA_STRING || type == SCHEMA_ANY);
    bool hinted = words.count > 0 && !texts && type != SCHEMA_NULL;
    struct json title = schema_lookup(view, "title"), fallback = schema_lookup(view, "default");
    if (texts && any)
        type = SCHEMA_STRING;
    if (type != SCHEMA_ANY)
        json_member_text(&walk->json, "type", type_words[type]);
    if (view->nullable && type != SCHEMA_NULL)
        json_member_bool(&walk->json, "nullable", true);
    if (json_type(title) == JSON_STRING)
        json_member_raw(&walk->json, "title", json_raw(title));
    put_description(walk, frame, hinted ? schema_hint_of(walk, words) : SLICE_NONE);
    if (texts && any)
        schema_put_enum(walk, words);
    put_limits(walk, view, type);
    if (json_present(fallback) && json_type(fallback) != JSON_NULL)
        json_member_raw(&walk->json, "default", json_raw(fallback));
    begin_inside(walk, frame, type);
}

static void
step_begin(struct schema_walk *walk, struct schema_frame *frame)
{
    struct schema_view *view = &frame->view;
    if (!frame->forced)
        schema_settle(walk, view, frame->root);
    if (view->cyclic || walk->json.depth > WRITER_DEPTH_MAX) {
        put_plain(walk, "OBJECT");
        return;
    }
    if (frame->forced) {
        frame->types[0] = frame->type;
        frame->type_count = 1;
    } else if (view->choices != CHOICES_LIST) {
        frame->type_count = schema_types(walk, view, frame->types);
    }
    if (frame->root && (frame->type_count == 0 || frame->types[0] == SCHEMA_ANY)) {
        frame->types[0] = SCHEMA_OBJECT;
        frame->type_count = 1;
    }
    if (frame->root && (frame->type_count != 1 || frame->types[0] != SCHEMA_OBJECT))
        fail(walk, -ERR_UNSUPPORTED);
    json_object(&walk->json);
    if (view->choices == CHOICES_LIST) {
        begin_choices(walk, frame);
        frame->stage = STAGE_CHOICES;
        frame->cursor = json_first(view->alternatives);
    } else if (frame->type_count > 1) {
        begin_choices(walk, frame);
        frame->stage = STAGE_TYPES;
        frame->at = 0;
    } else {
        put_value(walk, frame, frame->type_count == 1 ? frame->types[0] : SCHEMA_ANY);
    }
}

static void
step_choices(struct schema_walk *walk, struct schema_frame *frame)
{
    while (json_present(frame->cursor) &&
           (schema_is_null(frame->cursor) || json_type(frame->cursor) == JSON_FALSE))
        frame->cursor = json_next(frame->cursor);
    if (!json_present(frame->cursor)) {
        json_end(&walk->json);
        frame->stage = STAGE_CLOSE;
        return;
    }
    struct json next = frame->cursor;
    bool nullable = frame->view.nullable;
    frame->cursor = json_next(frame->cursor);
    descend(walk, next, frame->description);
    walk->frames[walk->depth - 1].view.nullable = nullable;
}

static void
step_types(struct schema_walk *walk, struct schema_frame *frame)
{
    if (frame->at == frame->type_count) {
        json_end(&walk->json);
        frame->stage = STAGE_CLOSE;
        return;
    }
    struct schema_frame *child = push_frame(walk);
    child->view = frame->view;
    child->type = frame->types[frame->at++];
    child->forced = true;
    walk->depth++;
}

/* A list without a word on what is in it holds texts. */
static void
step_items(struct schema_walk *walk, struct schema_frame *frame)
{
    frame->stage = STAGE_CLOSE;
    json_name(&walk->json, "items");
    if (json_type(frame->cursor) == JSON_OBJECT && json_count(frame->cursor) > 0) {
        descend(walk, frame->cursor, SLICE_NONE);
        return;
    }
    json_object(&walk->json);
    json_member_text(&walk->json, "type", "STRING");
    json_end(&walk->json);
}

static void
step_tuple(struct schema_walk *walk, struct schema_frame *frame)
{
    struct json next = frame->cursor;
    if (!json_present(next)) {
        json_end(&walk->json);
        json_end(&walk->json);
        frame->stage = STAGE_CLOSE;
        return;
    }
    frame->cursor = json_next(next);
    descend(walk, next, SLICE_NONE);
}

static void
walk_all(struct schema_walk *walk)
{
    while (walk->depth > 0 && walk->error == 0 && walk->json.sink->error == 0) {
        struct schema_frame *frame = &walk->frames[walk->depth - 1];
        switch (frame->stage) {
        case STAGE_BEGIN:
            step_begin(walk, frame);
            break;
        case STAGE_CHOICES:
            step_choices(walk, frame);
            break;
        case STAGE_TYPES:
            step_types(walk, frame);
            break;
        case STAGE_PROPERTIES:
            step_properties(walk, frame);
            break;
        case STAGE_ITEMS:
            step_items(walk, frame);
            break;
        case STAGE_TUPLE:
            step_tuple(walk, frame);
            break;
        case STAGE_CLOSE:
            json_end(&walk->json);
            walk->depth--;
            break;
        }
        if (walk->work > SCHEMA_WORK_MAX)
            fail(walk, -ERR_UNSUPPORTED);
    }
}

/* ---------------------------------------------------------------- the whole */

/* A function without parameters: nothing is said about any value. */
static bool
is_empty(struct schema_walk *walk)
{
    struct schema_view view = {0};
    schema_push(walk, &view, walk->root, false);
    schema_settle(walk, &view, true);
    enum schema_type types[8];
    int count = schema_types(walk, &view, types);
    bool object = count == 0 || (count == 1 && types[0] == SCHEMA_OBJECT);
    return object && !has_properties(&view);
}

static int
reduce(struct schema_walk *walk, struct slice schema, bool parameters, struct sink *out)
{
    int error = json_parse(schema, SCHEMA_TEXT_DEPTH, SCHEMA_TOKENS_MAX, &walk->arena, &walk->root);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_UNSUPPORTED;
    if (json_type(walk->root) != JSON_OBJECT)
        return parameters && json_type(walk->root) != JSON_NULL &&
                       json_type(walk->root) != JSON_TRUE
                   ? -ERR_UNSUPPORTED
                   : 0;
    if (parameters && is_empty(walk))
        return walk->error;
    walk->frames = arena_take(&walk->arena, SCHEMA_FRAMES_MAX * sizeof(*walk->frames));
    if (!walk->frames)
        return -ERR_MEMORY;
    json_writer_init(&walk->json, out);
    descend(walk, walk->root, SLICE_NONE);
    walk->frames[0].root = parameters;
    walk_all(walk);
    if (walk->error == 0 && out->error != 0)
        return out->error == -ERR_MEMORY ? -ERR_MEMORY : -ERR_UNSUPPORTED;
    return walk->error != 0 ? walk->error : 1;
}

int
gemini_schema_reduce(struct slice schema, bool parameters, struct sink *out)
{
    struct schema_walk walk = {.error = 0};
    arena_init(&walk.arena, SCHEMA_MEMORY_MAX);
    int result = reduce(&walk, schema, parameters, out);
    arena_fini(&walk.arena);
    return result;
}
