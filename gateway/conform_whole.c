/* SPDX-License-Identifier: MIT
 *
 * conform_whole.c - replies that are one object, and errors: the shape that client libraries expect.
 */
#include "gateway/conform_reading.h"

static const char *
whole_chat(struct conform_reading *at, struct json root)
{
    struct conform_told *told = at->told;
    struct json choice = json_first(json_get(root, "choices")), message = json_get(choice, "message");
    bool is_text = at->dialect == CONFORM_COMPLETIONS;
    if (!json_is(json_get(root, "object"), is_text ? "text_completion" : "chat.completion"))
        FAULT("the reply's object is a wrong word%s%.*s", "", NO);
    if (!is_text && !json_is(json_get(message, "role"), "assistant"))
        FAULT("the message lacks role \"assistant\"%s%.*s", "", NO);
    conform_add_text(at, &told->text, is_text ? json_get(choice, "text") : json_get(message, "content"));
    struct json calls = json_get(message, "tool_calls");
    for (struct json call = json_first(calls); json_type(calls) == JSON_ARRAY && json_present(call); call = json_next(call)) {
        struct conform_call *made = conform_new_call(told);
        if (!made)
            FAULT("more tool calls than are believed%s%.*s", "", NO);
        made->id = conform_keep(json_get(call, "id"), at->arena);
        made->name = conform_keep(json_get(json_get(call, "function"), "name"), at->arena);
        conform_add_text(at, &made->arguments, json_get(json_get(call, "function"), "arguments"));
    }
    told->id = conform_keep(json_get(root, "id"), at->arena);
    told->finish = conform_keep(json_get(choice, "finish_reason"), at->arena);
    if (told->finish.len == 0)
        FAULT("the reply has no finish_reason%s%.*s", "", NO);
    if (json_type(json_get(root, "usage")) == JSON_OBJECT)
        conform_take_usage(told, json_get(root, "usage"), "prompt_tokens", "completion_tokens");
    return conform_check_usage(at);
}

static const char *
whole_anthropic(struct conform_reading *at, struct json root)
{
    struct conform_told *told = at->told;
    if (!json_is(json_get(root, "type"), "message") || json_type(json_get(root, "content")) != JSON_ARRAY)
        FAULT("the reply is no message with content%s%.*s", "", NO);
    for (struct json block = json_first(json_get(root, "content")); json_present(block); block = json_next(block)) {
        conform_add_text(at, &told->text, json_get(block, "text"));
        if (!json_is(json_get(block, "type"), "tool_use"))
            continue;
        struct conform_call *made = conform_new_call(told);
        if (!made)
            FAULT("more tool calls than are believed%s%.*s", "", NO);
        made->id = conform_keep(json_get(block, "id"), at->arena);
        made->name = conform_keep(json_get(block, "name"), at->arena);
        sink_put(&made->arguments, json_raw(json_get(block, "input")));
    }
    told->id = conform_keep(json_get(root, "id"), at->arena);
    told->finish = conform_keep(json_get(root, "stop_reason"), at->arena);
    told->out = json_u64_or(json_get(json_get(root, "usage"), "output_tokens"), UINT64_MAX);
    told->usage = told->out != UINT64_MAX;
    if (told->finish.len == 0 || !told->usage)
        FAULT("the reply has no stop_reason, or no usage%s%.*s", "", NO);
    return NULL;
}

static const char *
whole_responses(struct conform_reading *at, struct json root)
{
    if (!json_is(json_get(root, "object"), "response"))
        FAULT("the reply is no response%s%.*s", "", NO);
    for (struct json item = json_first(json_get(root, "output")); json_present(item); item = json_next(item)) {
        struct json content = json_get(item, "content");
        for (struct json part = json_first(content); json_type(content) == JSON_ARRAY && json_present(part); part = json_next(part))
            if (json_is(json_get(part, "type"), "output_text"))
                conform_add_text(at, &at->told->text, json_get(part, "text"));
        if (!json_is(json_get(item, "type"), "function_call"))
            continue;
        struct conform_call *made = conform_new_call(at->told);
        if (!made)
            FAULT("more tool calls than are believed%s%.*s", "", NO);
        made->id = conform_keep(json_get(item, "call_id"), at->arena);
        made->name = conform_keep(json_get(item, "name"), at->arena);
        conform_add_text(at, &made->arguments, json_get(item, "arguments"));
    }
    at->told->id = conform_keep(json_get(root, "id"), at->arena);
    const char *why = conform_final_response(at, root);
    if (!why && !at->told->usage)
        FAULT("the reply has no usage%s%.*s", "", NO);
    return why ? why : conform_check_usage(at);
}

const char *
conform_whole(enum conform_dialect dialect, struct slice body, struct arena *arena, struct conform_told *told)
{
    struct conform_reading reading = {.dialect = dialect, .arena = arena, .told = told}, *at = &reading;
    struct json root;
    conform_begin(told);
    if (json_parse_jsmn(body, 64, 1u << 20, arena, &root) != 0 || json_type(root) != JSON_OBJECT)
        FAULT("the reply is no JSON object%s: %.*s", "", body);
    const char *why = NULL;
    if (dialect == CONFORM_ANTHROPIC)
        why = whole_anthropic(at, root);
    else if (dialect == CONFORM_RESPONSES)
        why = whole_responses(at, root);
    else if (dialect == CONFORM_GEMINI)
        (void)(!(why = conform_gemini_event(at, root)) && (why = conform_gemini_end(at)));
    else
        why = whole_chat(at, root);
    return why ? why : conform_check_calls(at);
}

/* ---------------------------------------------------------------- errors */

const char *
conform_error(enum conform_dialect dialect, int status, struct slice body, struct arena *arena)
{
    struct conform_reading reading = {.dialect = dialect, .arena = arena}, *at = &reading;
    struct json root, error;
    if (json_parse_jsmn(body, 64, 1u << 16, arena, &root) != 0 || json_type(root) != JSON_OBJECT)
        FAULT("the error is no JSON object%s: %.*s", "", body);
    error = json_get(root, "error");
    if (json_type(error) != JSON_OBJECT || conform_keep(json_get(error, "message"), arena).len == 0)
        FAULT("the error has no error.message%s: %.*s", "", body);
    if (dialect == CONFORM_ANTHROPIC && (!json_is(json_get(root, "type"), "error") || conform_keep(json_get(error, "type"), arena).len == 0))
        FAULT("the error is not in Anthropic's envelope%s: %.*s", "", body);
    if (dialect == CONFORM_GEMINI && (json_u64_or(json_get(error, "code"), 0) != (uint64_t)status || conform_keep(json_get(error, "status"), arena).len == 0))
        FAULT("the error's code is not its status, or it has no status word%s: %.*s", "", body);
    if ((dialect == CONFORM_CHAT || dialect == CONFORM_RESPONSES || dialect == CONFORM_COMPLETIONS) &&
        (conform_keep(json_get(error, "type"), arena).len == 0 || !json_present(json_get(error, "code")) || !json_present(json_get(error, "param"))))
        FAULT("the error lacks type, code or param%s: %.*s", "", body);
    return NULL;
}
