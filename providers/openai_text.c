/* SPDX-License-Identifier: MIT
 *
 * openai_text.c - a /v1/completions request as the canonical one.
 *
 * What only a model without chat could do (suffix, token arrays, best_of) is refused by name. Source: OpenAI's public
 * API reference, "Completions (legacy)".
 */
#include "providers/openai_text.h"

#include "providers/openai_chat.h"

static bool
absent(struct json value)
{
    return !json_present(value) || json_type(value) == JSON_NULL;
}

static bool
is_bool_or_none(struct json value)
{
    return absent(value) || json_type(value) == JSON_TRUE || json_type(value) == JSON_FALSE;
}

static int
text_outline(struct canon_request *request, struct canon_fault *fault)
{
    static const char *const once[] = {"model", "prompt", "stream", "stream_options"};
    struct json root = request->root;
    if (json_type(root) != JSON_OBJECT)
        return chat_refuse(fault, ERR_REQUEST, NULL, "the request body must be a JSON object");
    for (size_t i = 0; i < countof(once); i++)
        if (json_repeats(root, once[i]))
            return chat_refuse(fault, ERR_REQUEST, once[i], "a field of the request is repeated");
    request->model = json_string(json_get(root, "model"), request->arena);
    if (request->model.len == 0)
        return chat_refuse(fault, ERR_REQUEST, "model", "you must provide a model parameter, and it must be a string");
    struct json stream = json_get(root, "stream"), options = json_get(root, "stream_options");
    if (!is_bool_or_none(stream))
        return chat_refuse(fault, ERR_REQUEST, "stream", "stream must be true or false");
    if (!absent(options) && json_type(options) != JSON_OBJECT)
        return chat_refuse(fault, ERR_REQUEST, "stream_options", "stream_options must be an object");
    struct json usage = json_get(options, "include_usage");
    if (!is_bool_or_none(usage))
        return chat_refuse(fault, ERR_REQUEST, "stream_options.include_usage", "include_usage must be true or false");
    request->stream = json_type(stream) == JSON_TRUE;
    request->include_usage = request->stream && json_type(usage) == JSON_TRUE;
    request->from = DIALECT_OPENAI_TEXT;
    return 0;
}

/* ---------------------------------------------------------------- the prompt */

static int
add_prompt(struct canon_request *request, struct canon_stop ***link, struct json value, struct canon_fault *fault)
{
    if (json_type(value) != JSON_STRING)
        return chat_refuse(fault, json_type(value) == JSON_NUMBER || json_type(value) == JSON_ARRAY ? ERR_UNSUPPORTED : ERR_REQUEST,
                           "prompt", "a prompt must be text: token numbers cannot be passed to a chat model");
    struct canon_stop *prompt = arena_take(request->arena, sizeof(*prompt));
    if (!prompt)
        return -ERR_MEMORY;
    prompt->text = json_text(value);
    **link = prompt;
    *link = &prompt->next;
    return 0;
}

static int
read_prompts(struct canon_request *request, struct canon_fault *fault)
{
    struct json prompt = json_get(request->root, "prompt");
    struct canon_stop **link = &request->prompts;
    if (json_type(prompt) != JSON_ARRAY)
        return add_prompt(request, &link, prompt, fault);
    if (json_count(prompt) == 0)
        return chat_refuse(fault, ERR_REQUEST, "prompt", "prompt must not be empty");
    int error = 0;
    for (struct json at = json_first(prompt); json_present(at) && error == 0; at = json_next(at))
        error = add_prompt(request, &link, at, fault);
    return error;
}

/* The first prompt is what is asked; the gateway puts the others in its place. */
static int
put_message(struct canon_request *request)
{
    struct canon_message *message = arena_take(request->arena, sizeof(*message));
    struct canon_part *part = arena_take(request->arena, sizeof(*part));
    if (!message || !part)
        return -ERR_MEMORY;
    part->kind = PART_TEXT;
    part->text = request->prompts->text;
    message->role = ROLE_USER;
    message->parts = part;
    request->messages = message;
    return 0;
}

/* ---------------------------------------------------------------- the rest */

static int
read_numbers(struct canon_request *request, struct canon_fault *fault)
{
    const struct {
        const char *name;
        struct slice *to;
        bool whole;
    } rows[] = {
        {"max_tokens", &request->max_tokens, true}, {"temperature", &request->temperature, false},
        {"top_p", &request->top_p, false}, {"n", &request->n, true}, {"seed", &request->seed, true},
        {"presence_penalty", &request->presence_penalty, false}, {"frequency_penalty", &request->frequency_penalty, false},
        {"top_k", &request->top_k, true}, {"logprobs", &request->top_logprobs, true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct json value = json_get(request->root, rows[i].name);
        int64_t number;
        if (absent(value))
            continue;
        if (json_type(value) != JSON_NUMBER || (rows[i].whole && !json_i64(value, &number)))
            return chat_refuse(fault, ERR_REQUEST, rows[i].name, rows[i].whole ? "this field must be a whole number" : "this field must be a number");
        *rows[i].to = json_raw(value);
    }
    if (slice_present(request->top_logprobs))
        request->logprobs = SLICE_LIT("true");
    struct json bias = json_get(request->root, "logit_bias");
    if (!absent(bias))
        request->logit_bias = json_raw(bias);
    return 0;
}

static int
read_stop(struct canon_request *request, struct canon_fault *fault)
{
    struct json stop = json_get(request->root, "stop");
    bool list = json_type(stop) == JSON_ARRAY;
    struct canon_stop **link = &request->stop;
    if (absent(stop))
        return 0;
    for (struct json at = list ? json_first(stop) : stop; json_present(at); at = list ? json_next(at) : JSON_NONE) {
        struct canon_stop *entry = arena_take(request->arena, sizeof(*entry));
        if (json_type(at) != JSON_STRING)
            return chat_refuse(fault, ERR_REQUEST, "stop", "stop must be a string or a list of strings");
        if (!entry)
            return -ERR_MEMORY;
        entry->text = json_text(at);
        *link = entry;
        link = &entry->next;
    }
    return 0;
}

/* What a chat model cannot be asked for. */
static int
refuse_unsayable(const struct canon_request *request, struct canon_fault *fault)
{
    struct json root = request->root, suffix = json_get(root, "suffix"), best = json_get(root, "best_of");
    if (!is_bool_or_none(json_get(root, "echo")))
        return chat_refuse(fault, ERR_REQUEST, "echo", "echo must be true or false");
    if (!absent(suffix) && json_text(suffix).len > 0)
        return chat_refuse(fault, ERR_UNSUPPORTED, "suffix", "the model behind this name is a chat model: it cannot fill in before a suffix");
    if (json_type(suffix) != JSON_STRING && !absent(suffix))
        return chat_refuse(fault, ERR_REQUEST, "suffix", "suffix must be a string");
    int64_t n = 1, many;
    if (absent(best))
        return 0;
    if (!json_i64(best, &many))
        return chat_refuse(fault, ERR_REQUEST, "best_of", "this field must be a whole number");
    struct json count = json_get(root, "n");
    if (json_type(count) == JSON_NUMBER && !json_i64(count, &n))
        n = 1;
    if (many > n)
        return chat_refuse(fault, ERR_UNSUPPORTED, "best_of", "a chat model does not choose the best of several answers");
    return 0;
}

static int
text_read_request(struct canon_request *request, struct canon_fault *fault)
{
    static const char *const known[] = {"model", "prompt", "stream", "stream_options", "max_tokens", "temperature", "top_p", "n", "seed",
                                        "presence_penalty", "frequency_penalty", "top_k", "logprobs", "logit_bias", "stop", "suffix",
                                        "best_of", "echo", "user"};
    request->parallel = -1;
    request->show_thoughts = -1;
    int error = read_prompts(request, fault);
    if (error == 0)
        error = put_message(request);
    if (error == 0)
        error = refuse_unsayable(request, fault);
    if (error == 0)
        error = read_numbers(request, fault);
    if (error == 0)
        error = read_stop(request, fault);
    if (error != 0)
        return error;
    request->user = json_text(json_get(request->root, "user"));
    for (struct json at = json_first(request->root); json_present(at); at = json_next(at)) {
        bool is_known = false;
        for (size_t i = 0; i < countof(known) && !is_known; i++)
            is_known = json_key_is(at, known[i]);
        if (!is_known)
            canon_drop(&request->unsaid, "unknown field");
    }
    return 0;
}

const struct dialect openai_text_dialect = {
    .id = DIALECT_OPENAI_TEXT,
    .name = "openai_text",
    .named_events = false,
    .outline = text_outline,
    .read_request = text_read_request,
    .writer_bytes = sizeof(struct text_writer),
    .writer_init = openai_text_writer_init,
    .writer_fini = openai_text_writer_fini,
    .write_start = openai_text_write_start,
    .write_events = openai_text_write_events,
    .write_ping = chat_write_ping,
    .write_error = openai_text_write_error,
    .write_whole = openai_text_write_whole,
    .error_status = chat_error_status,
    .error_body = chat_error_body,
    .error_conforms = chat_error_conforms,
};
