/* SPDX-License-Identifier: MIT
 *
 * gemini_words.c - why a Gemini reply ended, in words and numbers, and state that is another
 * provider's.
 */
#include "providers/gemini.h"

#include "base/text.h"

static const struct finish_row {
    const char *word;
    enum canon_finish finish;
    bool is_failure;
} finish_rows[] = {
    /* the first six by their numbers, as gRPC-transcoded services send them */
    {"FINISH_REASON_UNSPECIFIED", FINISH_NONE, false},
    {"STOP", FINISH_STOP, false},
    {"MAX_TOKENS", FINISH_LENGTH, false},
    {"SAFETY", FINISH_FILTER, false},
    {"RECITATION", FINISH_FILTER, false},
    {"OTHER", FINISH_OTHER, false},
    {"LANGUAGE", FINISH_OTHER, false},
    {"BLOCKLIST", FINISH_FILTER, false},
    {"PROHIBITED_CONTENT", FINISH_FILTER, false},
    {"SPII", FINISH_FILTER, false},
    {"MODEL_ARMOR", FINISH_FILTER, false},
    {"IMAGE_SAFETY", FINISH_FILTER, false},
    {"IMAGE_PROHIBITED_CONTENT", FINISH_FILTER, false},
    {"IMAGE_RECITATION", FINISH_FILTER, false},
    {"IMAGE_OTHER", FINISH_FILTER, false},
    {"NO_IMAGE", FINISH_OTHER, false},
    {"MALFORMED_FUNCTION_CALL", FINISH_OTHER, true},
    {"UNEXPECTED_TOOL_CALL", FINISH_OTHER, true},
    {"TOO_MANY_TOOL_CALLS", FINISH_OTHER, true},
    {"MISSING_THOUGHT_SIGNATURE", FINISH_OTHER, true},
};
#define NUMBERED_ROWS 6

enum canon_finish
gemini_finish_of(struct json value, bool *is_known, bool *is_failure)
{
    struct slice word = json_text(value);
    uint64_t number = json_u64_or(value, UINT64_MAX);
    *is_known = true;
    *is_failure = false;
    if (number < NUMBERED_ROWS)
        return finish_rows[number].finish;
    for (size_t i = 0; i < countof(finish_rows) && word.len > 0; i++) {
        if (!slice_is(word, finish_rows[i].word))
            continue;
        *is_failure = finish_rows[i].is_failure;
        return finish_rows[i].finish;
    }
    if (word.len == 0 && json_type(value) != JSON_NUMBER)
        return FINISH_NONE;
    *is_known = false;
    return FINISH_OTHER;
}

const char *
gemini_finish_word(enum canon_finish finish)
{
    switch (finish) {
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_CALLS:
    case FINISH_PAUSE:
        return "STOP";
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
        return "MAX_TOKENS";
    case FINISH_FILTER:
        return "SAFETY";
    case FINISH_OTHER:
        return "OTHER";
    }
    return "STOP";
}

void
gemini_put_compact(struct slice json, struct sink *out)
{
    bool quoted = false;
    size_t from = 0;
    for (size_t i = 0; i < json.len; i++) {
        char byte = json.ptr[i];
        if (byte == '"')
            quoted = !quoted;
        else if (byte == '\\')
            i++; /* only strings have any, and none ends in one */
        else if (!quoted && (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t')) {
            sink_put(out, slice_of(json.ptr + from, i - from));
            from = i + 1;
        }
    }
    sink_put(out, slice_skip(json, from));
}

struct slice
gemini_wrap(enum canon_origin origin, bool redacted, struct slice state, struct arena *arena)
{
    if (origin == ORIGIN_GEMINI && !redacted)
        return state;
    if (origin == ORIGIN_NONE)
        return SLICE_NONE;
    struct slice wrapper = canon_wrap(origin, redacted, state, arena);
    if (!slice_present(wrapper))
        return SLICE_NONE;
    struct sink out;
    sink_init(&out, wrapper.len * 2 + 64);
    text_base64(&out, wrapper);
    struct slice wrapped = out.error ? SLICE_NONE : arena_copy(arena, sink_slice(&out));
    sink_fini(&out);
    return wrapped;
}
