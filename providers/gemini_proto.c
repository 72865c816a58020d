/* SPDX-License-Identifier: MIT
 *
 * gemini_proto.c - members and enums as protobuf JSON allows them: two spellings of a name, words
 * or numbers.
 */
#include "providers/gemini_request.h"

#include "base/text.h"

#define NAME_MAX_BYTES 64

/* snake_case of a camelCase literal. */
static void
snake(const char *name, char out[NAME_MAX_BYTES])
{
    size_t n = 0;
    for (const char *at = name; *at; at++) {
        assert(n + 3 < NAME_MAX_BYTES);
        if (*at >= 'A' && *at <= 'Z')
            out[n++] = '_';
        out[n++] = text_lower(*at);
    }
    out[n] = '\0';
}

struct json
gemini_get(struct json object, const char *name)
{
    char other[NAME_MAX_BYTES];
    struct json value = json_get(object, name);
    if (json_present(value))
        return value;
    snake(name, other);
    return strcmp(name, other) == 0 ? JSON_NONE : json_get(object, other);
}

/* The same name, where "_x" of the key may stand for "X"? Ends at the first difference: requests
 * may have very many members. */
static bool
spells(struct slice key, const char *name)
{
    size_t at = 0;
    for (; *name; name++, at++) {
        if (at == key.len)
            return false;
        bool upper = *name >= 'A' && *name <= 'Z';
        if (upper && key.ptr[at] == '_' && at + 1 < key.len && key.ptr[at + 1] == text_lower(*name))
            at++;
        else if (key.ptr[at] != *name)
            return false;
    }
    return at == key.len;
}

bool
gemini_key_is(struct json member, const char *name)
{
    char other[NAME_MAX_BYTES];
    struct slice key = json_key(member);
    if (!slice_present(key) || !memchr(key.ptr, '\\', key.len))
        return slice_present(key) && spells(key, name);
    snake(name, other);
    return json_key_is(member, name) || json_key_is(member, other);
}

bool
gemini_given(struct json value)
{
    return json_present(value) && json_type(value) != JSON_NULL;
}

int
gemini_enum(struct json value, const char *const words[], size_t count)
{
    int64_t number;
    if (json_i64(value, &number))
        return number >= 0 && number < (int64_t)count && words[number] ? (int)number : -1;
    struct slice text = json_text(value);
    for (size_t i = 0; slice_present(text) && i < count; i++) {
        if (words[i] && text_caseless_is(text, words[i]))
            return (int)i;
    }
    return -1;
}
