/* SPDX-License-Identifier: MIT
 *
 * gemini_schema_words.c - the values that an enum, a const or constant alternatives allow: as the
 * enum of texts that Gemini takes, or else in words.
 */
#include "providers/gemini_schema.h"

#include "providers/canon.h"

#define HINT_BYTES_MAX 4096

static uint32_t
count_words(struct json schema)
{
    struct json values = json_get(schema, "enum");
    return json_type(values) == JSON_ARRAY ? json_count(values)
                                           : json_present(json_get(schema, "const"));
}

static void
add_words(struct schema_words *words, struct json schema)
{
    struct json values = json_get(schema, "enum"), constant = json_get(schema, "const");
    bool listed = json_type(values) == JSON_ARRAY;
    for (struct json one = listed ? json_first(values) : JSON_NONE; json_present(one);
         one = json_next(one))
        words->at[words->count++] = one;
    if (!listed && json_present(constant))
        words->at[words->count++] = constant;
}

struct schema_words
schema_words_of(struct schema_walk *walk, const struct schema_view *view)
{
    struct schema_words words = {0};
    struct json said = JSON_NONE;
    uint32_t count = 0;
    bool listed = view->choices == CHOICES_ENUM;
    for (int i = 0; !listed && i < view->count && count == 0; i++) {
        said = view->layers[i];
        count = count_words(said);
    }
    struct json first = listed ? json_first(view->alternatives) : JSON_NONE;
    for (struct json one = first; json_present(one); one = json_next(one))
        count += count_words(one);
    walk->work += count;
    if (count == 0)
        return words;
    words.at = arena_take(&walk->arena, count * sizeof(*words.at));
    if (!words.at) {
        walk->error = walk->error ? walk->error : -ERR_MEMORY;
        return words;
    }
    for (struct json one = first; json_present(one); one = json_next(one))
        add_words(&words, one);
    if (!listed)
        add_words(&words, said);
    assert(words.count == count);
    return words;
}

/* Gemini takes enums of texts that are not empty. */
bool
schema_all_texts(struct schema_words words, bool *any)
{
    *any = false;
    for (uint32_t i = 0; i < words.count; i++) {
        enum json_type type = json_type(words.at[i]);
        if (type != JSON_STRING && type != JSON_NULL)
            return false;
        *any = *any || json_text(words.at[i]).len > 0;
    }
    return true;
}

void
schema_put_enum(struct schema_walk *walk, struct schema_words words)
{
    json_name(&walk->json, "enum");
    json_array(&walk->json);
    for (uint32_t i = 0; i < words.count; i++) {
        if (json_text(words.at[i]).len > 0)
            json_put_raw(&walk->json, json_raw(words.at[i]));
    }
    json_end(&walk->json);
}

/* Values that cannot be said as an enum are told in words: "Allowed values: 1, 2." Escaped; absent
 * when that would be long. */
struct slice
schema_hint_of(struct schema_walk *walk, struct schema_words words)
{
    struct sink text;
    struct slice hint = SLICE_NONE;
    sink_init(&text, HINT_BYTES_MAX);
    sink_text(&text, "Allowed values: ");
    for (uint32_t i = 0; i < words.count; i++) {
        sink_text(&text, i > 0 ? ", " : "");
        sink_put(&text, json_raw(words.at[i]));
    }
    sink_byte(&text, '.');
    if (text.error == 0) {
        struct slice copy = text.error ? SLICE_NONE : arena_copy(&walk->arena, sink_slice(&text));
        hint = slice_present(copy) ? canon_escape(copy, &walk->arena) : SLICE_NONE;
    }
    sink_fini(&text);
    return hint;
}
