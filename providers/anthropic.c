/* SPDX-License-Identifier: MIT
 *
 * anthropic.c - the Anthropic Messages dialect: its words, its outline, the same-dialect request,
 * and its table.
 */
#include "providers/anthropic.h"

#include "providers/splice.h"

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
    {"end_turn", FINISH_STOP},
    {"tool_use", FINISH_CALLS},
    {"max_tokens", FINISH_LENGTH},
    {"stop_sequence", FINISH_STOP_SEQUENCE},
    {"refusal", FINISH_FILTER},
    {"pause_turn", FINISH_PAUSE},
    {"model_context_window_exceeded", FINISH_CONTEXT},
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

static int
anthropic_outline(struct canon_request *request, struct canon_fault *fault)
{
    struct json root = request->root;
    if (json_type(root) != JSON_OBJECT)
        return wrong(fault, NULL, "the request body must be a JSON object");
    static const char *const single[] = {"model",  "messages", "stream",
                                         "system", "tools",    "max_tokens"};
    for (size_t i = 0; i < countof(single); i++) {
        if (json_repeats(root, single[i]))
            return wrong(fault, single[i], "the request names a field twice");
    }
    struct json model = json_get(root, "model"), stream = json_get(root, "stream");
    if (json_type(model) != JSON_STRING)
        return wrong(fault, "model",
                     json_present(model) ? "model: must be a string" : "model: Field required");
    request->model = json_string(model, request->arena);
    if (!slice_present(request->model))
        return -ERR_MEMORY;
    if (request->model.len == 0)
        return wrong(fault, "model", "model: must not be empty");
    enum json_type type = json_type(stream);
    if (type != JSON_ABSENT && type != JSON_NULL && type != JSON_FALSE && type != JSON_TRUE)
        return wrong(fault, "stream", "stream: must be a boolean");
    if (json_type(json_get(root, "messages")) != JSON_ARRAY)
        return wrong(fault, "messages", "messages: must be an array");
    request->stream = type == JSON_TRUE;
    request->include_usage = true;
    request->from = DIALECT_ANTHROPIC;
    return 0;
}

static void
anthropic_put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream)
{
    (void)stream;
    sink_put(out, upstream->base_path);
    sink_text(out,
              slice_ends(upstream->base_path, SLICE_LIT("/v1")) ? "/messages" : "/v1/messages");
}

static int
anthropic_fields(const struct dialect_upstream *upstream, struct arena *scratch,
                 struct dialect_field out[4])
{
    int count = dialect_auth_field(upstream, AUTH_X_API_KEY, scratch, out);
    out[count++] = (struct dialect_field){"anthropic-version", SLICE_LIT("2023-06-01")};
    return count;
}

/* The model, unless it already is the one to ask for, as a JSON string in the arena. */
static int
splice_model(const struct canon_request *request, const struct dialect_upstream *upstream,
             struct splice *splice)
{
    if (slice_eq(request->model, upstream->model))
        return 0;
    struct sink text;
    sink_init(&text, 64 * 1024);
    sink_byte(&text, '"');
    json_escape(&text, upstream->model);
    sink_byte(&text, '"');
    struct slice model = arena_copy(request->arena, sink_slice(&text));
    int error = text.error;
    sink_fini(&text);
    if (error == 0 && !slice_present(model))
        error = -ERR_MEMORY;
    if (error == 0)
        splice_replace(splice, json_raw(json_get(request->root, "model")), model);
    return error;
}

static int
splice_defaults(const struct canon_request *request, struct slice params, struct splice *splice)
{
    struct json defaults;
    if (!slice_present(params))
        return 0;
    int error = json_parse(params, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, request->arena,
                           &defaults);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_CONFIG;
    for (struct json member = json_first(defaults); json_present(member);
         member = json_next(member)) {
        struct slice key = json_key(member);
        struct slice name = arena_copy(request->arena, key);
        if (!slice_present(name))
            return -ERR_MEMORY;
        if (!json_present(json_get(request->root, name.ptr)))
            splice_add(splice, request->root, key, json_raw(member));
    }
    return 0;
}

static int
anthropic_pass_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                       struct sink *out)
{
    struct splice splice;
    splice_init(&splice, request->body, request->arena);
    int error = splice_model(request, upstream, &splice);
    if (error == 0)
        error = splice_defaults(request, upstream->default_params, &splice);
    return error != 0 ? error : splice_put(&splice, out);
}

/* ---------------------------------------------------------------- counting */

static bool
anthropic_can_count(const struct dialect_upstream *upstream)
{
    (void)upstream;
    return true;
}

static void
anthropic_put_count_target(struct sink *out, const struct dialect_upstream *upstream)
{
    sink_put(out, upstream->base_path);
    sink_text(out, slice_ends(upstream->base_path, SLICE_LIT("/v1")) ? "/messages/count_tokens" : "/v1/messages/count_tokens");
}

static int
anthropic_write_count(const struct canon_request *request, const struct dialect_upstream *upstream, struct sink *out,
                      struct canon_report *report, struct canon_fault *fault)
{
    if (request->from == DIALECT_ANTHROPIC)
        return anthropic_pass_request(request, upstream, out);
    return anthropic_write_request(request, upstream, out, report, fault);
}

static int
anthropic_read_count(struct slice body, struct arena *scratch, uint64_t *tokens)
{
    struct json root;
    int error = json_parse(body, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, scratch, &root);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    *tokens = json_u64_or(json_get(root, "input_tokens"), UINT64_MAX);
    return *tokens != UINT64_MAX ? 0 : -ERR_UPSTREAM_PROTOCOL;
}

static void
anthropic_write_count_reply(uint64_t tokens, struct sink *out)
{
    sink_printf(out, "{\"input_tokens\":%llu}", (unsigned long long)tokens);
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
    .write_count_reply = anthropic_write_count_reply,
    .error_status = anthropic_error_status,
    .error_body = anthropic_error_body,
    .error_conforms = anthropic_error_conforms,
};
