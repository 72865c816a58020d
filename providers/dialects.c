/* SPDX-License-Identifier: MIT
 *
 * dialects.c - the table of dialects, and what all of them share about text.
 */
#include "providers/dialect.h"

#include "base/text.h"

static const struct dialect *const dialects[DIALECT_COUNT] = {
    [DIALECT_OPENAI_CHAT] = &openai_chat_dialect,
    [DIALECT_ANTHROPIC] = &anthropic_dialect,
    [DIALECT_OPENAI_RESPONSES] = &openai_responses_dialect,
    [DIALECT_GEMINI] = &gemini_dialect,
    [DIALECT_OPENAI_TEXT] = &openai_text_dialect,
};

const struct dialect *
dialect_of(enum dialect_id id)
{
    assert((unsigned)id < DIALECT_COUNT);
    assert(dialects[id] && dialects[id]->id == id);
    return dialects[id];
}

const struct dialect *
dialect_named(struct slice name)
{
    for (size_t i = 0; i < countof(dialects); i++) {
        if (dialects[i] && slice_is(name, dialects[i]->name))
            return dialects[i];
    }
    return NULL;
}

int
dialect_auth_field(const struct dialect_upstream *upstream, enum dialect_auth otherwise, struct arena *scratch,
                   struct dialect_field *out)
{
    static const char *const names[] = {
        [AUTH_BEARER] = "authorization", [AUTH_X_API_KEY] = "x-api-key", [AUTH_API_KEY] = "api-key", [AUTH_GOOG_API_KEY] = "x-goog-api-key",
    };
    enum dialect_auth auth = upstream->auth == AUTH_DEFAULT ? otherwise : upstream->auth;
    if (upstream->api_key.len == 0 || auth == AUTH_NONE)
        return 0;
    assert((size_t)auth < countof(names) && names[auth]);
    out->name = names[auth];
    out->value = auth == AUTH_BEARER ? arena_concat(scratch, SLICE_LIT("Bearer "), upstream->api_key) : upstream->api_key;
    return slice_present(out->value) ? 1 : 0;
}

void
dialect_put_path_name(struct sink *out, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (letter || (byte != '\0' && strchr("-._~@:", byte)))
            sink_byte(out, (char)byte);
        else
            sink_printf(out, "%%%02X", byte);
    }
}

void
dialect_put_vertex(struct sink *out, const struct dialect_upstream *upstream, const char *publisher, const char *method)
{
    sink_put(out, upstream->base_path);
    if (!slice_ends(upstream->base_path, SLICE_LIT("/v1")) && !slice_ends(upstream->base_path, SLICE_LIT("/v1beta1")))
        sink_text(out, "/v1");
    sink_printf(out, "/projects/%.*s/locations/%.*s/publishers/%s/models/", SLICE_ARG(upstream->project),
                SLICE_ARG(upstream->location), publisher);
    dialect_put_path_name(out, upstream->model);
    sink_printf(out, ":%s", method);
}

/* Is text[at..] an escape of a UTF-16 unit between low and high? */
static bool
unit_between(struct slice text, size_t at, const char *low, const char *high)
{
    if (at + 6 > text.len || text.ptr[at] != '\\' || text.ptr[at + 1] != 'u')
        return false;
    struct slice unit = slice_of(text.ptr + at + 2, 2);
    char digits[2] = {text_lower(unit.ptr[0]), text_lower(unit.ptr[1])};
    return memcmp(digits, low, 2) >= 0 && memcmp(digits, high, 2) <= 0;
}

/* The length of the unit of text that starts at `at`: a UTF-8 sequence, an escape, an escaped
 * surrogate pair. */
static size_t
unit_length(struct slice text, size_t at)
{
    unsigned char byte = (unsigned char)text.ptr[at];
    size_t n = 1;
    if (byte == '\\' && at + 1 < text.len) {
        n = text.ptr[at + 1] == 'u' ? 6 : 2;
        if (unit_between(text, at, "d8", "db") && unit_between(text, at + 6, "dc", "df"))
            n = 12;
    } else if (byte >= 0xf0) {
        n = 4;
    } else if (byte >= 0xe0) {
        n = 3;
    } else if (byte >= 0xc0) {
        n = 2;
    }
    return n < text.len - at ? n : text.len - at;
}

struct slice
dialect_text_piece(struct slice *text, size_t max)
{
    assert(max >= 12);
    if (text->len == 0)
        return SLICE_NONE;
    size_t end = text->len;
    if (text->len > max) {
        /* Escapes can only be told from the left, so walk; this happens to deltas over 60 KiB only.
         */
        end = 0;
        for (size_t next = unit_length(*text, 0); next <= max; next += unit_length(*text, next))
            end = next;
    }
    struct slice piece = slice_take(*text, end);
    *text = slice_skip(*text, end);
    return piece;
}
