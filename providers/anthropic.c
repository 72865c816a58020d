/* SPDX-License-Identifier: MIT
 *
 * anthropic.c - the Anthropic Messages dialect: its words, its outline, and its table.
 */
#include "providers/anthropic.h"
#include "providers/anthropic_surface.h"

static const char *const event_names[EVENT_COUNT] = {
    [EVENT_MESSAGE_START] = "message_start",
    [EVENT_BLOCK_START] = "content_block_start",
    [EVENT_BLOCK_DELTA] = "content_block_delta",
    [EVENT_BLOCK_STOP] = "content_block_stop",
    [EVENT_MESSAGE_DELTA] = "message_delta",
    [EVENT_MESSAGE_STOP] = "message_stop",
    [EVENT_PING] = "ping",
    [EVENT_ERROR] = "error",
    [EVENT_VERTEX] = "vertex_event",
};

enum anthropic_event
anthropic_event_of(struct slice word)
{
    for (int i = EVENT_UNKNOWN + 1; i < EVENT_COUNT; i++) {
        if (slice_is(word, event_names[i]))
            return (enum anthropic_event)i;
    }
    return EVENT_UNKNOWN;
}

const char *
anthropic_event_name(enum anthropic_event event)
{
    assert((unsigned)event < EVENT_COUNT);
    return event_names[event];
}

struct finish_word {
    const char *word;
    enum canon_finish finish;
};

/* The first word of a meaning is the one that is written. */
static const struct finish_word finish_words[] = {
    {"end_turn", FINISH_STOP},     {"tool_use", FINISH_CALLS},
    {"max_tokens", FINISH_LENGTH}, {"stop_sequence", FINISH_STOP_SEQUENCE},
    {"refusal", FINISH_FILTER},    {"pause_turn", FINISH_PAUSE},
    {"compaction", FINISH_PAUSE},  {"model_context_window_exceeded", FINISH_CONTEXT},
};

bool
anthropic_finish_known(struct slice word)
{
    for (size_t i = 0; i < countof(finish_words); i++) {
        if (slice_is(word, finish_words[i].word))
            return true;
    }
    return false;
}

enum canon_finish
anthropic_finish_of(struct slice word)
{
    for (size_t i = 0; i < countof(finish_words); i++) {
        if (slice_is(word, finish_words[i].word))
            return finish_words[i].finish;
    }
    return FINISH_OTHER;
}

const char *
anthropic_finish_name(enum canon_finish finish)
{
    for (size_t i = 0; i < countof(finish_words); i++) {
        if (finish_words[i].finish == finish)
            return finish_words[i].word;
    }
    return "end_turn";
}

enum canon_block
anthropic_block_of(struct slice word)
{
    if (slice_is(word, "text"))
        return BLOCK_TEXT;
    if (slice_is(word, "tool_use"))
        return BLOCK_CALL;
    if (slice_is(word, "thinking"))
        return BLOCK_THINKING;
    return slice_is(word, "redacted_thinking") ? BLOCK_REDACTED : BLOCK_NATIVE;
}

static int
wrong(struct canon_fault *fault, const char *param, const char *message)
{
    *fault = (struct canon_fault){.message = slice_from(message), .param = slice_from(param)};
    return -ERR_REQUEST;
}

/* The model, unless the path has said it. */
static int
outline_model(struct canon_request *request, struct canon_fault *fault)
{
    struct json model = json_get(request->root, "model");
    if (slice_present(request->model) && request->model.len > 0)
        return 0;
    if (json_type(model) != JSON_STRING)
        return wrong(fault, "model",
                     json_present(model) ? "model: must be a string" : "model: Field required");
    request->model = json_string(model, request->arena);
    if (!slice_present(request->model))
        return -ERR_MEMORY;
    return request->model.len > 0 ? 0 : wrong(fault, "model", "model: must not be empty");
}

static int
anthropic_outline(struct canon_request *request, struct canon_fault *fault)
{
    struct json root = request->root;
    if (json_type(root) != JSON_OBJECT)
        return wrong(fault, NULL, "the request body must be a JSON object");
    static const char *const single[] = {"model",
                                         "messages",
                                         "stream",
                                         "system",
                                         "tools",
                                         "max_tokens",
                                         "temperature",
                                         "top_p",
                                         "top_k",
                                         "stop_sequences",
                                         "metadata",
                                         "service_tier",
                                         "anthropic_version",
                                         "anthropic_beta",
                                         "context_management"};
    for (size_t i = 0; i < countof(single); i++) {
        if (json_repeats(root, single[i]))
            return wrong(fault, single[i], "the request names a field twice");
    }
    int error = outline_model(request, fault);
    if (error != 0)
        return error;
    enum json_type type = json_type(json_get(root, "stream"));
    if (type != JSON_ABSENT && type != JSON_NULL && type != JSON_FALSE && type != JSON_TRUE)
        return wrong(fault, "stream", "stream: must be a boolean");
    if (json_type(json_get(root, "messages")) != JSON_ARRAY)
        return wrong(fault, "messages", "messages: must be an array");
    request->stream = request->stream || type == JSON_TRUE;
    request->include_usage = true;
    request->from = DIALECT_ANTHROPIC;
    return 0;
}

const struct dialect anthropic_dialect = {
    .id = DIALECT_ANTHROPIC,
    .name = "anthropic",
    .named_events = true,
    .can_count = anthropic_can_count,
    .put_count_target = anthropic_put_count_target,
    .write_count = anthropic_write_count,
    .read_count = anthropic_read_count,
    .outline = anthropic_outline,
    .read_request = anthropic_read_request,
    .put_target = anthropic_put_target,
    .fields = anthropic_fields,
    .pass_request = anthropic_pass_request,
    .write_request = anthropic_write_request,
    .reader_bytes = sizeof(struct anthropic_reader),
    .reader_init = anthropic_reader_init,
    .reader_fini = anthropic_reader_fini,
    .read_event = anthropic_read_event,
    .read_body = anthropic_read_body,
    .read_end = anthropic_read_end,
    .read_error = anthropic_read_error,
    .writer_bytes = sizeof(struct anthropic_writer),
    .writer_init = anthropic_writer_init,
    .writer_fini = anthropic_writer_fini,
    .write_start = anthropic_write_start,
    .write_events = anthropic_write_events,
    .pass_event = anthropic_pass_event,
    .write_ping = anthropic_write_ping,
    .write_error = anthropic_write_error,
    .write_whole = anthropic_write_whole,
    .pass_whole = anthropic_pass_whole,
    .write_count_reply = anthropic_write_count_reply,
    .error_status = anthropic_error_status,
    .error_body = anthropic_error_body,
    .error_conforms = anthropic_error_conforms,
};
