/* SPDX-License-Identifier: MIT
 *
 * openai_chat_finish.c - why a reply ended: the words of many servers, and OpenAI's own five.
 */
#include "providers/openai_chat.h"

#include "base/text.h"

static const struct finish_row {
    const char *word;
    enum canon_finish finish;
    bool is_known, is_error;
} finish_rows[] = {
    {"stop", FINISH_STOP, true, false},
    {"length", FINISH_LENGTH, true, false},
    {"tool_calls", FINISH_CALLS, true, false},
    {"content_filter", FINISH_FILTER, true, false},
    {"function_call", FINISH_CALLS, true, false},
    {"eos", FINISH_STOP, false, false},
    {"eos_token", FINISH_STOP, false, false},
    {"end_turn", FINISH_STOP, false, false},
    {"completed", FINISH_STOP, false, false},
    {"stop_sequence", FINISH_STOP_SEQUENCE, false, false},
    {"model_length", FINISH_LENGTH, false, false},
    {"max_tokens", FINISH_LENGTH, false, false},
    {"model_context_window_exceeded", FINISH_CONTEXT, false, false},
    {"tool_use", FINISH_CALLS, false, false},
    {"sensitive", FINISH_FILTER, false, false},
    {"safety", FINISH_FILTER, false, false},
    {"recitation", FINISH_FILTER, false, false},
    {"refusal", FINISH_FILTER, false, false},
    {"insufficient_system_resource", FINISH_OTHER, false, true},
    {"network_error", FINISH_OTHER, false, true},
    {"error", FINISH_OTHER, false, true},
};

enum canon_finish
chat_finish_of(struct slice word, bool *is_known, bool *is_error)
{
    for (size_t i = 0; i < countof(finish_rows); i++) {
        const struct finish_row *row = &finish_rows[i];
        if (!text_caseless_is(word, row->word))
            continue;
        *is_known = row->is_known && slice_is(word, row->word);
        *is_error = row->is_error;
        return row->finish;
    }
    *is_known = false;
    *is_error = false;
    return FINISH_OTHER;
}

const char *
chat_finish_word(enum canon_finish finish)
{
    switch (finish) {
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_PAUSE:
    case FINISH_OTHER:
        return "stop";
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
        return "length";
    case FINISH_CALLS:
        return "tool_calls";
    case FINISH_FILTER:
        return "content_filter";
    }
    return "stop";
}

const char *
chat_finish_shown(const struct chat_write_choice *choice, enum canon_finish finish)
{
    /* Calls of the upstream's own tools are none to a Chat client. */
    bool is_empty = finish == FINISH_CALLS && choice->call_count == 0;
    return chat_finish_word(is_empty ? FINISH_STOP : finish);
}
