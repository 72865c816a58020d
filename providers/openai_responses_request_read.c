/* SPDX-License-Identifier: MIT
 *
 * openai_responses_request_read.c - a Responses request as the canonical one: everything but items
 * and tools.
 *
 * What needs the state of one provider is refused by name; what merely has no canonical form is
 * noted in request->unsaid. Echoes of earlier replies (ids, status) say nothing to anybody else and
 * are passed over.
 */
#include "providers/openai_responses_request.h"

int
responses_refuse(struct canon_fault *fault, int error, const char *param, const char *message)
{
    fault->param = slice_from(param);
    fault->message = slice_from(message);
    return -error;
}

static bool
given(struct json value)
{
    return json_present(value) && json_type(value) != JSON_NULL;
}

static bool
is_bool(struct json value)
{
    return json_type(value) == JSON_TRUE || json_type(value) == JSON_FALSE;
}

/* ---------------------------------------------------------------- outline */

int
responses_outline(struct canon_request *request, struct canon_fault *fault)
{
    static const char *const once[] = {
        "model",       "input",        "stream",     "stream_options",
        "tools",       "instructions", "background", "previous_response_id",
        "conversation"};
    struct json root = request->root;
    if (json_type(root) != JSON_OBJECT)
        return responses_refuse(fault, ERR_REQUEST, NULL, "the request body must be a JSON object");
    for (size_t i = 0; i < countof(once); i++) {
        if (json_repeats(root, once[i]))
            return responses_refuse(fault, ERR_REQUEST, once[i],
                                    "a field of the request is repeated");
    }
    request->model = json_string(json_get(root, "model"), request->arena);
    if (request->model.len == 0)
        return responses_refuse(fault, ERR_REQUEST, "model",
                                "you must provide a model parameter, and it must be a string");
    struct json stream = json_get(root, "stream"), options = json_get(root, "stream_options");
    if (given(stream) && !is_bool(stream))
        return responses_refuse(fault, ERR_REQUEST, "stream", "stream must be true or false");
    if (given(options) && json_type(options) != JSON_OBJECT)
        return responses_refuse(fault, ERR_REQUEST, "stream_options",
                                "stream_options must be an object");
    request->stream = json_type(stream) == JSON_TRUE;
    request->include_usage = true;
    request->from = DIALECT_OPENAI_RESPONSES;
    return 0;
}

/* ---------------------------------------------------------------- numbers and words */

static int
read_numbers(struct canon_request *request, struct canon_fault *fault)
{
    const struct {
        const char *name;
        struct slice *to;
    } rows[] = {
        {"temperature", &request->temperature},
        {"top_p", &request->top_p},
        {"top_logprobs", &request->top_logprobs},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct json value = json_get(request->root, rows[i].name);
        if (json_type(value) == JSON_NUMBER)
            *rows[i].to = json_raw(value);
        else if (given(value))
            return responses_refuse(fault, ERR_REQUEST, rows[i].name,
                                    "this field must be a number");
    }
    struct json limit = json_get(request->root, "max_output_tokens");
    int64_t tokens;
    if (!given(limit))
        return 0;
    if (!json_i64(limit, &tokens) || tokens < 0)
        return responses_refuse(fault, ERR_REQUEST, "max_output_tokens",
                                "the output limit must be a whole number");
    request->max_tokens = json_raw(limit);
    return 0;
}

static int
read_words(struct canon_request *request, struct canon_fault *fault)
{
    const struct {
        const char *name;
        struct slice *to;
    } rows[] = {
        {"user", &request->user},
        {"safety_identifier", &request->user}, /* the newer name wins */
        {"prompt_cache_key", &request->cache_key},
        {"service_tier", &request->service_tier},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct json value = json_get(request->root, rows[i].name);
        if (json_type(value) == JSON_STRING)
            *rows[i].to = json_text(value);
        else if (given(value))
            return responses_refuse(fault, ERR_REQUEST, rows[i].name,
                                    "this field must be a string");
    }
    return 0;
}

static int
read_switches(struct canon_request *request, struct canon_fault *fault)
{
    struct json parallel = json_get(request->root, "parallel_tool_calls"),
                store = json_get(request->root, "store");
    request->parallel = -1;
    if (given(parallel) && !is_bool(parallel))
        return responses_refuse(fault, ERR_REQUEST, "parallel_tool_calls",
                                "this field must be true or false");
    if (given(parallel))
        request->parallel = json_type(parallel) == JSON_TRUE;
    if (given(store) && !is_bool(store))
        return responses_refuse(fault, ERR_REQUEST, "store", "this field must be true or false");
    if (given(store))
        request->store = json_raw(store);
    struct json metadata = json_get(request->root, "metadata");
    if (json_type(metadata) == JSON_OBJECT)
        request->metadata = json_raw(metadata);
    else if (given(metadata))
        return responses_refuse(fault, ERR_REQUEST, "metadata", "metadata must be an object");
    return 0;
}

/* ---------------------------------------------------------------- text, reasoning, include */

static int
read_text(struct canon_request *request, struct canon_fault *fault)
{
    struct json text = json_get(request->root, "text"), format = json_get(text, "format");
    struct json type = json_get(format, "type"), strict = json_get(format, "strict");
    if (given(text) && json_type(text) != JSON_OBJECT)
        return responses_refuse(fault, ERR_REQUEST, "text", "text must be an object");
    request->verbosity = json_text(json_get(text, "verbosity"));
    if (!given(format))
        return 0;
    if (json_is(type, "text")) {
        request->format = FORMAT_TEXT;
    } else if (json_is(type, "json_object")) {
        request->format = FORMAT_JSON_OBJECT;
    } else if (json_is(type, "json_schema")) {
        request->format = FORMAT_JSON_SCHEMA;
        request->format_name = json_text(json_get(format, "name"));
        request->format_description = json_text(json_get(format, "description"));
        if (json_type(json_get(format, "schema")) != JSON_OBJECT)
            return responses_refuse(fault, ERR_REQUEST, "text.format",
                                    "a format of type json_schema needs a schema");
        request->format_schema = json_raw(json_get(format, "schema"));
        if (is_bool(strict))
            request->format_strict = json_raw(strict);
    } else {
        return responses_refuse(fault, ERR_REQUEST, "text.format", "unknown text format");
    }
    return 0;
}

static int
read_reasoning(struct canon_request *request, struct canon_fault *fault)
{
    struct json reasoning = json_get(request->root, "reasoning");
    struct json context = json_get(reasoning, "context"), mode = json_get(reasoning, "mode");
    struct json summary = json_get(reasoning, "summary");
    request->show_thoughts = -1;
    if (!given(reasoning))
        return 0;
    if (json_type(reasoning) != JSON_OBJECT)
        return responses_refuse(fault, ERR_REQUEST, "reasoning", "reasoning must be an object");
    request->effort = json_text(json_get(reasoning, "effort"));
    if (!given(summary))
        summary = json_get(reasoning, "generate_summary"); /* its former name */
    if (json_type(summary) == JSON_STRING)
        request->show_thoughts = 1;
    /* What is asked for by default needs no words. */
    if (given(context) && !json_is(context, "auto"))
        canon_drop(&request->unsaid, "reasoning.context");
    if (given(mode) && !json_is(mode, "standard"))
        canon_drop(&request->unsaid, "reasoning.mode");
    return 0;
}

/* Encrypted reasoning goes to every client that replays it; the rest is about tools that only
 * OpenAI runs. */
static int
read_include(struct canon_request *request, struct canon_fault *fault)
{
    struct json include = json_get(request->root, "include");
    if (given(include) && json_type(include) != JSON_ARRAY)
        return responses_refuse(fault, ERR_REQUEST, "include", "include must be a list");
    for (struct json at = json_first(include); json_present(at); at = json_next(at)) {
        if (json_is(at, "message.output_text.logprobs"))
            request->logprobs = SLICE_LIT("true");
        else if (!json_is(at, "reasoning.encrypted_content"))
            canon_drop(&request->unsaid, "include");
    }
    return 0;
}

/* ---------------------------------------------------------------- what only OpenAI can do */

/* The first field that needs what one provider keeps or does on its own; NULL: none. */
static const char *
state_field(struct json root)
{
    static const char *const fields[] = {"previous_response_id", "conversation", "prompt"};
    for (size_t i = 0; i < countof(fields); i++) {
        if (given(json_get(root, fields[i])))
            return fields[i];
    }
    return json_type(json_get(root, "background")) == JSON_TRUE ? "background" : NULL;
}

static int
refuse_state(const struct canon_request *request, struct canon_fault *fault)
{
    const char *field = state_field(request->root);
    if (field)
        return responses_refuse(
            fault, ERR_UNSUPPORTED, field,
            "the upstream behind this model keeps no state between requests: send the whole "
            "conversation as input");
    struct json input = json_get(request->root, "input");
    for (struct json at = json_first(input); json_type(input) == JSON_ARRAY && json_present(at);
         at = json_next(at)) {
        if (json_is(json_get(at, "type"), "item_reference"))
            return responses_refuse(fault, ERR_UNSUPPORTED, "input",
                                    "the upstream behind this model keeps no items: an "
                                    "item_reference cannot be looked up");
    }
    return 0;
}

int
responses_check_pass(const struct canon_request *request, const struct dialect_upstream *upstream,
                     struct canon_fault *fault)
{
    return upstream->keeps_state ? 0 : refuse_state(request, fault);
}

static void
note_unsaid(struct canon_request *request)
{
    static const char *const fields[] = {"max_tool_calls", "context_management",
                                         "prompt_cache_options", "prompt_cache_retention",
                                         "moderation"};
    static const char *const known[] = {"model",
                                        "input",
                                        "instructions",
                                        "stream",
                                        "stream_options",
                                        "tools",
                                        "tool_choice",
                                        "temperature",
                                        "top_p",
                                        "top_logprobs",
                                        "user",
                                        "safety_identifier",
                                        "prompt_cache_key",
                                        "service_tier",
                                        "max_output_tokens",
                                        "parallel_tool_calls",
                                        "store",
                                        "metadata",
                                        "text",
                                        "reasoning",
                                        "include",
                                        "truncation",
                                        "background",
                                        "conversation",
                                        "previous_response_id",
                                        "prompt"};
    struct json truncation = json_get(request->root, "truncation");
    if (given(truncation) && !json_is(truncation, "disabled"))
        canon_drop(&request->unsaid, "truncation");
    for (struct json at = json_first(request->root); json_present(at); at = json_next(at)) {
        const char *name = "unknown field";
        for (size_t i = 0; name && i < countof(known); i++)
            name = json_key_is(at, known[i]) ? NULL : name;
        for (size_t i = 0; name && i < countof(fields); i++)
            name = json_key_is(at, fields[i]) ? fields[i] : name;
        if (name && given(at))
            canon_drop(&request->unsaid, name);
    }
}

int
responses_read_request(struct canon_request *request, struct canon_fault *fault)
{
    struct responses_reading at = {.request = request,
                                   .fault = fault,
                                   .link = &request->messages,
                                   .tool_link = &request->tools};
    int error = refuse_state(request, fault);
    if (!error)
        error = responses_read_tools(&at, json_get(request->root, "tools"), "tools");
    if (!error)
        error = responses_read_items(&at);
    if (!error)
        error = responses_read_choice(&at);
    if (!error)
        error = read_numbers(request, fault);
    if (!error)
        error = read_words(request, fault);
    if (!error)
        error = read_switches(request, fault);
    if (!error)
        error = read_text(request, fault);
    if (!error)
        error = read_reasoning(request, fault);
    if (!error)
        error = read_include(request, fault);
    if (error)
        return error;
    /* Chat gives alternatives only where it gives probabilities. */
    if (slice_present(request->top_logprobs) && !slice_is(request->top_logprobs, "0"))
        request->logprobs = SLICE_LIT("true");
    note_unsaid(request);
    return 0;
}
