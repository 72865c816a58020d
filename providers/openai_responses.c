/* SPDX-License-Identifier: MIT
 *
 * openai_responses.c - the OpenAI Responses dialect: its table, and the words of its replies.
 */
#include "providers/openai_responses.h"

#include "base/text.h"
#include "providers/openai_chat.h"
#include "providers/openai_responses_request.h"

static const struct event_row {
    const char *word;
    enum responses_event event;
} event_rows[] = {
    {"response.output_text.delta", RESPONSES_TEXT_DELTA},
    {"response.created", RESPONSES_CREATED},
    {"response.in_progress", RESPONSES_PROGRESS},
    {"response.queued", RESPONSES_PROGRESS},
    {"response.output_item.added", RESPONSES_ITEM_ADDED},
    {"response.output_item.done", RESPONSES_ITEM_DONE},
    {"response.content_part.added", RESPONSES_PART_ADDED},
    {"response.content_part.done", RESPONSES_PART_DONE},
    {"response.output_text.done", RESPONSES_TEXT_DONE},
    {"response.output_text.annotation.added", RESPONSES_ANNOTATION},
    {"response.refusal.delta", RESPONSES_REFUSAL_DELTA},
    {"response.refusal.done", RESPONSES_REFUSAL_DONE},
    {"response.function_call_arguments.delta", RESPONSES_ARGUMENTS_DELTA},
    {"response.function_call_arguments.done", RESPONSES_ARGUMENTS_DONE},
    {"response.custom_tool_call_input.delta", RESPONSES_INPUT_DELTA},
    {"response.custom_tool_call_input.done", RESPONSES_INPUT_DONE},
    {"response.reasoning_summary_part.added", RESPONSES_SUMMARY_PART_ADDED},
    {"response.reasoning_summary_part.done", RESPONSES_SUMMARY_PART_DONE},
    {"response.reasoning_summary_text.delta", RESPONSES_SUMMARY_DELTA},
    {"response.reasoning_summary_text.done", RESPONSES_SUMMARY_DONE},
    {"response.reasoning_text.delta", RESPONSES_REASONING_DELTA},
    {"response.reasoning_text.done", RESPONSES_REASONING_DONE},
    {"response.completed", RESPONSES_COMPLETED},
    {"response.incomplete", RESPONSES_INCOMPLETE},
    {"response.failed", RESPONSES_FAILED},
    {"response.cancelled", RESPONSES_CANCELLED},
    {"error", RESPONSES_ERROR},
};

/* How the names of hosted tools' events begin. */
static const char *const hosted[] = {
    "response.web_search_call",
    "response.file_search_call",
    "response.code_interpreter",
    "response.image_generation_call",
    "response.mcp_",
    "response.shell_call",
    "response.apply_patch_call",
    "response.computer_call",
    "response.local_shell_call",
    "response.tool_search",
    "response.audio",
    "response.program",
    "response.custom_tool_call_output",
};

static const struct event_row *
row_of(struct slice word)
{
    for (size_t i = 0; i < countof(event_rows); i++)
        if (slice_is(word, event_rows[i].word))
            return &event_rows[i];
    return NULL;
}

enum responses_event
responses_event_of(struct slice word)
{
    const struct event_row *row = row_of(word);
    if (row)
        return row->event;
    for (size_t i = 0; i < countof(hosted); i++)
        if (slice_starts(word, slice_from(hosted[i])))
            return RESPONSES_HOSTED;
    return RESPONSES_UNKNOWN;
}

const char *
responses_event_name(struct slice word)
{
    const struct event_row *row = row_of(word);
    return row ? row->word : NULL;
}

const char *
responses_kind_name(enum responses_event kind)
{
    if (kind == RESPONSES_PROGRESS)
        return NULL;
    for (size_t i = 0; i < countof(event_rows); i++)
        if (event_rows[i].event == kind)
            return event_rows[i].word;
    return NULL;
}

enum responses_item_kind
responses_item_kind_of(struct slice word)
{
    static const char *const words[] = {"message", "reasoning", "function_call", "custom_tool_call",
                                        "image_generation_call"};
    for (size_t i = 0; i < countof(words); i++)
        if (slice_is(word, words[i]))
            return (enum responses_item_kind)i;
    return RESPONSES_NATIVE;
}

const struct dialect openai_responses_dialect = {
    .id = DIALECT_OPENAI_RESPONSES,
    .name = "openai_responses",
    .named_events = true,
    .outline = responses_outline,
    .read_request = responses_read_request,
    .put_target = responses_put_target,
    .can_count = responses_can_count,
    .put_count_target = responses_put_count_target,
    .write_count = responses_write_count,
    .read_count = responses_read_count,
    .fields = responses_fields,
    .check_pass = responses_check_pass,
    .pass_request = responses_pass_request,
    .write_request = responses_write_request,
    .reader_bytes = sizeof(struct responses_reader),
    .reader_init = responses_reader_init,
    .reader_fini = NULL,
    .read_event = responses_read_event,
    .read_body = responses_read_body,
    .read_end = responses_read_end,
    .read_error = responses_read_error,
    .writer_bytes = sizeof(struct responses_writer),
    .writer_init = responses_writer_init,
    .writer_fini = responses_writer_fini,
    .write_start = responses_write_start,
    .write_events = responses_write_events,
    .pass_event = responses_pass_event,
    .write_ping = responses_write_ping,
    .write_error = responses_write_error,
    .write_whole = responses_write_whole,
    .pass_whole = NULL,
    .write_count_reply = responses_write_count_reply,
    .error_status = chat_error_status,
    .error_body = chat_error_body,
    .error_conforms = chat_error_conforms,
};
