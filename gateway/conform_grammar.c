/* SPDX-License-Identifier: MIT
 *
 * conform_grammar.c - the grammar of each dialect's streams, from the side of a client library that trusts
 * nothing. Each function answers with the first fault in words, or NULL.
 */
#include "gateway/conform_reading.h"
#include "base/text.h"

const char *
conform_fault(const struct conform_reading *at, const char *format, const char *a, struct slice b)
{
    struct slice text = arena_printf(at->arena, format, a, SLICE_ARG(slice_take(b, 160)));
    return slice_present(text) ? text.ptr : "out of memory";
}

struct slice
conform_keep(struct json value, struct arena *arena)
{
    struct slice text = json_string(value, arena);
    struct slice copy = slice_present(text) ? arena_copy(arena, text) : NO;
    return slice_present(copy) ? copy : NO;
}

struct conform_call *
conform_new_call(struct conform_told *told)
{
    if (told->call_count == CONFORM_CALLS_MAX)
        return NULL;
    struct conform_call *call = &told->calls[told->call_count++];
    sink_init(&call->arguments, CONFORM_TEXT_MAX);
    return call;
}

void
conform_begin(struct conform_told *told)
{
    memset(told, 0, sizeof(*told));
    sink_init(&told->text, CONFORM_TEXT_MAX);
    sink_init(&told->thinking, CONFORM_TEXT_MAX);
    told->in = told->out = told->total = UINT64_MAX;
}

void
conform_told_fini(struct conform_told *told)
{
    sink_fini(&told->text);
    sink_fini(&told->thinking);
    for (uint32_t i = 0; i < told->call_count; i++)
        sink_fini(&told->calls[i].arguments);
}

void
conform_add_text(const struct conform_reading *at, struct sink *to, struct json value)
{
    sink_put(to, json_string(value, at->arena));
}

const char *
conform_check_calls(const struct conform_reading *at)
{
    const struct conform_told *told = at->told;
    for (uint32_t i = 0; i < told->call_count; i++) {
        const struct conform_call *call = &told->calls[i];
        struct json root;
        if (call->name.len == 0)
            FAULT("a tool call without a name%s%.*s", "", NO);
        if (call->id.len == 0 && at->dialect != CONFORM_GEMINI)
            FAULT("a tool call without an id%s%.*s", "", NO);
        if (json_parse_jsmn(sink_slice(&call->arguments), 64, 1u << 18, at->arena, &root) != 0 || json_type(root) != JSON_OBJECT)
            FAULT("the arguments of a tool call are no JSON object%s: %.*s", "", sink_slice(&call->arguments));
        for (uint32_t k = 0; k < i; k++)
            if (call->id.len > 0 && slice_eq(told->calls[k].id, call->id))
                FAULT("two tool calls with one id%s: %.*s", "", call->id);
    }
    return NULL;
}

void
conform_take_usage(struct conform_told *told, struct json usage, const char *in, const char *out)
{
    told->usage = true;
    told->in = json_u64_or(json_get(usage, in), UINT64_MAX);
    told->out = json_u64_or(json_get(usage, out), UINT64_MAX);
    told->total = json_u64_or(json_get(usage, "total_tokens"), UINT64_MAX);
}

const char *
conform_check_usage(const struct conform_reading *at)
{
    const struct conform_told *told = at->told;
    if (!told->usage)
        return NULL;
    if (told->in == UINT64_MAX || told->out == UINT64_MAX || told->total == UINT64_MAX)
        FAULT("usage lacks a counter%s%.*s", "", NO);
    if (told->in + told->out != told->total)
        FAULT("usage does not add up: total_tokens is not the sum of the others%s%.*s", "", NO);
    return NULL;
}

static const char *
take_error(const struct conform_reading *at, struct json error)
{
    at->told->failed = true;
    if (conform_keep(json_get(error, "message"), at->arena).len == 0)
        FAULT("an error in the stream without a message%s%.*s", "", NO);
    return NULL;
}

/* ---------------------------------------------------------------- Chat */

static const char *
chat_calls(struct conform_reading *at, struct json calls)
{
    struct conform_told *told = at->told;
    for (struct json piece = json_first(calls); json_type(calls) == JSON_ARRAY && json_present(piece); piece = json_next(piece)) {
        uint64_t index = json_u64_or(json_get(piece, "index"), UINT64_MAX);
        struct json function = json_get(piece, "function");
        if (index == UINT64_MAX)
            FAULT("a piece of a tool call without index%s%.*s", "", NO);
        if (index > told->call_count)
            FAULT("the indexes of tool calls leave a gap%s%.*s", "", NO);
        struct conform_call *call = index == told->call_count ? conform_new_call(told) : &told->calls[index];
        if (!call)
            FAULT("more tool calls than are believed%s%.*s", "", NO);
        bool is_first = call->name.len == 0;
        if (is_first && !json_is(json_get(piece, "type"), "function"))
            FAULT("the first piece of a tool call lacks type \"function\"%s%.*s", "", NO);
        if (is_first) {
            call->id = conform_keep(json_get(piece, "id"), at->arena);
            call->name = conform_keep(json_get(function, "name"), at->arena);
        } else if (conform_keep(json_get(function, "name"), at->arena).len > 0) {
            FAULT("the name of a tool call comes twice%s%.*s", "", NO);
        }
        conform_add_text(at, &call->arguments, json_get(function, "arguments"));
    }
    return NULL;
}

static const char *
chat_event(struct conform_reading *at, struct json root)
{
    struct conform_told *told = at->told;
    struct json choices = json_get(root, "choices"), error = json_get(root, "error");
    if (json_type(error) == JSON_OBJECT)
        return take_error(at, error);
    if (!json_is(json_get(root, "object"), "chat.completion.chunk"))
        FAULT("a chunk is no chat.completion.chunk%s%.*s", "", NO);
    struct slice id = conform_keep(json_get(root, "id"), at->arena);
    if (id.len == 0 || (told->id.len > 0 && !slice_eq(told->id, id)))
        FAULT("chunks of one reply have no id, or several%s: %.*s", "", id);
    told->id = id;
    if (json_type(choices) != JSON_ARRAY)
        FAULT("a chunk without choices%s%.*s", "", NO);
    if (json_type(json_get(root, "usage")) == JSON_OBJECT) {
        if (told->usage)
            FAULT("usage comes twice%s%.*s", "", NO);
        if (!at->finished)
            FAULT("usage comes before the finish%s%.*s", "", NO);
        conform_take_usage(told, json_get(root, "usage"), "prompt_tokens", "completion_tokens");
    }
    for (struct json choice = json_first(choices); json_present(choice); choice = json_next(choice)) {
        struct json delta = json_get(choice, "delta"), finish = json_get(choice, "finish_reason");
        if (json_type(delta) != JSON_OBJECT || !json_present(finish))
            FAULT("a choice lacks delta or finish_reason%s%.*s", "", NO);
        if (at->finished)
            FAULT("a choice goes on after its finish%s%.*s", "", NO);
        if (!at->started && !json_is(json_get(delta, "role"), "assistant"))
            FAULT("the first chunk does not say role \"assistant\"%s%.*s", "", NO);
        at->started = true;
        conform_add_text(at, &told->text, json_get(delta, "content"));
        conform_add_text(at, &told->thinking, json_get(delta, "reasoning_content"));
        const char *why = chat_calls(at, json_get(delta, "tool_calls"));
        if (why)
            return why;
        if (json_type(finish) == JSON_STRING) {
            at->finished = true;
            told->finish = conform_keep(finish, at->arena);
        }
    }
    return NULL;
}

static const char *
chat_end(struct conform_reading *at)
{
    static const char *const words[] = {"stop", "length", "tool_calls", "content_filter", "function_call"};
    struct conform_told *told = at->told;
    bool known = false;
    if (!at->terminal)
        FAULT("the stream ends without [DONE]%s%.*s", "", NO);
    if (told->failed)
        return NULL;
    for (size_t i = 0; i < countof(words); i++)
        known = known || slice_is(told->finish, words[i]);
    if (!at->finished)
        FAULT("the stream ends without a finish_reason%s%.*s", "", NO);
    if (!known)
        FAULT("an unknown finish_reason%s: %.*s", "", told->finish);
    if (told->call_count > 0 && slice_is(told->finish, "stop"))
        FAULT("a reply with tool calls finishes with \"stop\"%s%.*s", "", NO);
    return conform_check_usage(at);
}

/* ---------------------------------------------------------------- Anthropic */

static const char *
anthropic_delta(struct conform_reading *at, struct json delta)
{
    struct json type = json_get(delta, "type");
    bool fits = json_is(type, "text_delta")         ? slice_is(at->open_type, "text")
                : json_is(type, "input_json_delta") ? at->call != NULL || slice_is(at->open_type, "server_tool_use")
                : json_is(type, "thinking_delta") || json_is(type, "signature_delta") ? slice_is(at->open_type, "thinking")
                                                    : true;
    if (!fits)
        FAULT("a %s in a block of type %.*s", conform_keep(type, at->arena).ptr, at->open_type);
    conform_add_text(at, &at->told->text, json_get(delta, "text"));
    conform_add_text(at, &at->told->thinking, json_get(delta, "thinking"));
    if (at->call)
        conform_add_text(at, &at->call->arguments, json_get(delta, "partial_json"));
    return NULL;
}

static const char *
anthropic_block(struct conform_reading *at, struct json root, struct slice type)
{
    uint64_t index = json_u64_or(json_get(root, "index"), UINT64_MAX);
    struct json block = json_get(root, "content_block");
    if (slice_is(type, "content_block_start")) {
        if (at->open || index != at->blocks)
            FAULT("blocks must come one after another, numbered from 0%s%.*s", "", NO);
        at->open = true;
        at->blocks++;
        at->open_type = conform_keep(json_get(block, "type"), at->arena);
        at->call = NULL;
        if (slice_is(at->open_type, "tool_use")) {
            if (json_type(json_get(block, "input")) != JSON_OBJECT)
                FAULT("a tool_use block does not start with input {}%s%.*s", "", NO);
            if (!(at->call = conform_new_call(at->told)))
                FAULT("more tool calls than are believed%s%.*s", "", NO);
            at->call->id = conform_keep(json_get(block, "id"), at->arena);
            at->call->name = conform_keep(json_get(block, "name"), at->arena);
        }
        return NULL;
    }
    if (!at->open || index != at->blocks - 1)
        FAULT("%s outside of its block%.*s", type.ptr, NO);
    if (slice_is(type, "content_block_delta"))
        return anthropic_delta(at, json_get(root, "delta"));
    if (at->call && at->call->arguments.len == 0)
        sink_text(&at->call->arguments, "{}");
    at->open = false;
    at->call = NULL;
    return NULL;
}

static const char *
anthropic_event(struct conform_reading *at, struct json root)
{
    struct conform_told *told = at->told;
    struct slice type = conform_keep(json_get(root, "type"), at->arena);
    if (slice_is(type, "ping"))
        return NULL;
    if (slice_is(type, "error"))
        return take_error(at, json_get(root, "error"));
    if (slice_is(type, "message_start")) {
        struct json message = json_get(root, "message"), usage = json_get(message, "usage");
        if (at->started)
            FAULT("a second message_start%s%.*s", "", NO);
        if (json_type(json_get(message, "content")) != JSON_ARRAY || json_count(json_get(message, "content")) > 0 ||
            !json_is(json_get(message, "role"), "assistant"))
            FAULT("message_start has no empty content, or not role \"assistant\"%s%.*s", "", NO);
        if (json_u64_or(json_get(usage, "input_tokens"), UINT64_MAX) == UINT64_MAX)
            FAULT("message_start has no usage.input_tokens%s%.*s", "", NO);
        told->id = conform_keep(json_get(message, "id"), at->arena);
        at->started = true;
        return NULL;
    }
    if (!at->started)
        FAULT("%s before message_start%.*s", type.len ? type.ptr : "an event", NO);
    if (slice_starts(type, SLICE_LIT("content_block_")))
        return at->finished ? conform_fault(at, "%s after message_delta%.*s", type.ptr, NO) : anthropic_block(at, root, type);
    if (slice_is(type, "message_delta")) {
        struct json usage = json_get(root, "usage"), reason = json_get(json_get(root, "delta"), "stop_reason");
        if (at->open)
            FAULT("message_delta while a block is open%s%.*s", "", NO);
        if (json_type(reason) == JSON_STRING) {
            if (at->finished)
                FAULT("a second stop_reason%s%.*s", "", NO);
            at->finished = true;
            told->finish = conform_keep(reason, at->arena);
        }
        told->usage = true;
        told->out = json_u64_or(json_get(usage, "output_tokens"), UINT64_MAX);
        if (told->out == UINT64_MAX)
            FAULT("message_delta has no usage.output_tokens%s%.*s", "", NO);
        return NULL;
    }
    if (slice_is(type, "message_stop")) {
        at->terminal = true;
        return at->finished ? NULL : conform_fault(at, "message_stop without a stop_reason%s%.*s", "", NO);
    }
    FAULT("an unknown event%s: %.*s", "", type);
}

static const char *
anthropic_end(struct conform_reading *at)
{
    struct conform_told *told = at->told;
    if (told->failed)
        return at->terminal ? conform_fault(at, "a stream with an error ends like a good one%s%.*s", "", NO) : NULL;
    if (!at->terminal)
        FAULT("the stream ends without message_stop%s%.*s", "", NO);
    if (told->call_count > 0 && slice_is(told->finish, "end_turn"))
        FAULT("a reply with tool calls stops with \"end_turn\"%s%.*s", "", NO);
    return NULL;
}

/* ---------------------------------------------------------------- Responses */

const char *
conform_final_response(struct conform_reading *at, struct json response)
{
    struct conform_told *told = at->told;
    struct json output = json_get(response, "output"), usage = json_get(response, "usage");
    uint32_t items = json_count(output);
    if (json_type(output) != JSON_ARRAY || (items != at->items && at->started))
        FAULT("the final response does not hold every item of the stream%s%.*s", "", NO);
    if (json_type(usage) == JSON_OBJECT)
        conform_take_usage(told, usage, "input_tokens", "output_tokens");
    told->finish = conform_keep(json_get(response, "status"), at->arena);
    return NULL;
}

static const char *
responses_item(struct conform_reading *at, struct json root, struct slice type)
{
    uint64_t index = json_u64_or(json_get(root, "output_index"), UINT64_MAX);
    struct json item = json_get(root, "item");
    if (slice_is(type, "response.output_item.added")) {
        if (index != at->items || index >= CONFORM_CALLS_MAX)
            FAULT("output_index does not count the items%s%.*s", "", NO);
        at->item_open[at->items++] = true;
        if (json_is(json_get(item, "type"), "function_call")) {
            struct conform_call *made = conform_new_call(at->told);
            if (!made)
                FAULT("more tool calls than are believed%s%.*s", "", NO);
            made->id = conform_keep(json_get(item, "call_id"), at->arena);
            made->name = conform_keep(json_get(item, "name"), at->arena);
            at->item_call[index] = made;
        }
        return NULL;
    }
    if (index >= at->items || !at->item_open[index])
        FAULT("%s outside of its item%.*s", type.ptr, NO);
    struct conform_call *call = at->item_call[index];
    if (slice_is(type, "response.output_item.done"))
        at->item_open[index] = false;
    else if (slice_is(type, "response.output_text.delta"))
        conform_add_text(at, &at->told->text, json_get(root, "delta"));
    else if (slice_is(type, "response.reasoning_summary_text.delta"))
        conform_add_text(at, &at->told->thinking, json_get(root, "delta"));
    else if (slice_is(type, "response.function_call_arguments.delta") && call)
        conform_add_text(at, &call->arguments, json_get(root, "delta"));
    else if (slice_is(type, "response.function_call_arguments.done") && call) {
        struct slice whole = conform_keep(json_get(root, "arguments"), at->arena);
        if (!slice_eq(whole, sink_slice(&call->arguments)))
            FAULT("the arguments at the end are not the sum of their pieces%s: %.*s", "", whole);
    }
    return NULL;
}

static const char *
responses_event(struct conform_reading *at, struct json root)
{
    struct slice type = conform_keep(json_get(root, "type"), at->arena);
    if (json_u64_or(json_get(root, "sequence_number"), UINT64_MAX) != at->sequence++)
        FAULT("sequence_number does not count the events from 0%s%.*s", "", NO);
    if (slice_is(type, "error"))
        return take_error(at, json_type(json_get(root, "error")) == JSON_OBJECT ? json_get(root, "error") : root);
    if (!at->started) {
        if (!slice_is(type, "response.created"))
            FAULT("the stream does not begin with response.created%s: %.*s", "", type);
        at->told->id = conform_keep(json_get(json_get(root, "response"), "id"), at->arena);
        at->started = true;
        return NULL;
    }
    if (slice_is(type, "response.completed") || slice_is(type, "response.incomplete") || slice_is(type, "response.failed")) {
        at->terminal = true;
        at->finished = true;
        at->told->failed = at->told->failed || slice_is(type, "response.failed");
        for (uint32_t i = 0; i < at->items && !at->told->failed; i++)
            if (at->item_open[i])
                FAULT("an item is never done%s%.*s", "", NO);
        return conform_final_response(at, json_get(root, "response"));
    }
    if (json_present(json_get(root, "output_index")))
        return responses_item(at, root, type);
    return NULL;
}

static const char *
responses_end(struct conform_reading *at)
{
    struct conform_told *told = at->told;
    if (!at->terminal)
        FAULT("the stream ends without response.completed, .incomplete or .failed%s%.*s", "", NO);
    if (told->failed)
        return slice_is(told->finish, "failed") ? NULL : conform_fault(at, "a stream with an error ends like a good one%s%.*s", "", NO);
    if (!told->usage)
        FAULT("the final response has no usage%s%.*s", "", NO);
    return conform_check_usage(at);
}

/* ---------------------------------------------------------------- Gemini */

static const char *
gemini_parts(struct conform_reading *at, struct json parts)
{
    for (struct json part = json_first(parts); json_type(parts) == JSON_ARRAY && json_present(part); part = json_next(part)) {
        struct json call = json_get(part, "functionCall");
        bool is_thought = json_type(json_get(part, "thought")) == JSON_TRUE;
        conform_add_text(at, is_thought ? &at->told->thinking : &at->told->text, json_get(part, "text"));
        if (json_type(call) != JSON_OBJECT)
            continue;
        struct conform_call *made = conform_new_call(at->told);
        if (!made)
            FAULT("more tool calls than are believed%s%.*s", "", NO);
        made->id = conform_keep(json_get(call, "id"), at->arena);
        made->name = conform_keep(json_get(call, "name"), at->arena);
        sink_put(&made->arguments, json_present(json_get(call, "args")) ? json_raw(json_get(call, "args")) : SLICE_LIT("{}"));
    }
    return NULL;
}

const char *
conform_gemini_event(struct conform_reading *at, struct json root)
{
    struct conform_told *told = at->told;
    struct json candidates = json_get(root, "candidates"), usage = json_get(root, "usageMetadata"), error = json_get(root, "error");
    if (json_type(error) == JSON_OBJECT) {
        if (json_u64_or(json_get(error, "code"), 0) < 400 || conform_keep(json_get(error, "status"), at->arena).len == 0)
            FAULT("an error without code or status%s%.*s", "", NO);
        return take_error(at, error);
    }
    if (json_type(candidates) != JSON_ARRAY && json_type(usage) != JSON_OBJECT && !json_present(json_get(root, "promptFeedback")))
        FAULT("a chunk without candidates%s%.*s", "", NO);
    for (struct json candidate = json_first(candidates); json_type(candidates) == JSON_ARRAY && json_present(candidate); candidate = json_next(candidate)) {
        struct json content = json_get(candidate, "content"), finish = json_get(candidate, "finishReason");
        if (at->finished)
            FAULT("a candidate goes on after its finishReason%s%.*s", "", NO);
        if (json_present(json_get(content, "parts")) && !json_is(json_get(content, "role"), "model"))
            FAULT("content without role \"model\"%s%.*s", "", NO);
        const char *why = gemini_parts(at, json_get(content, "parts"));
        if (why)
            return why;
        at->started = true;
        if (json_type(finish) == JSON_STRING) {
            at->finished = true;
            told->finish = conform_keep(finish, at->arena);
        }
    }
    if (json_type(usage) == JSON_OBJECT) {
        told->usage = true;
        told->in = json_u64_or(json_get(usage, "promptTokenCount"), 0);
        told->out = json_u64_or(json_get(usage, "candidatesTokenCount"), 0) + json_u64_or(json_get(usage, "thoughtsTokenCount"), 0);
        told->total = json_u64_or(json_get(usage, "totalTokenCount"), UINT64_MAX);
    }
    if (json_present(json_get(root, "responseId")))
        told->id = conform_keep(json_get(root, "responseId"), at->arena);
    return NULL;
}

const char *
conform_gemini_end(struct conform_reading *at)
{
    struct conform_told *told = at->told;
    if (told->failed)
        return at->finished ? conform_fault(at, "a stream with an error has a finishReason, too%s%.*s", "", NO) : NULL;
    if (!at->finished)
        FAULT("the stream ends without a finishReason%s%.*s", "", NO);
    if (!told->usage || told->total == UINT64_MAX)
        FAULT("the stream has no usageMetadata with totalTokenCount%s%.*s", "", NO);
    return NULL;
}

/* ---------------------------------------------------------------- completions */

static const char *
text_event(struct conform_reading *at, struct json root)
{
    struct conform_told *told = at->told;
    struct json choices = json_get(root, "choices"), error = json_get(root, "error");
    if (json_type(error) == JSON_OBJECT)
        return take_error(at, error);
    if (!json_is(json_get(root, "object"), "text_completion") || json_type(choices) != JSON_ARRAY)
        FAULT("a chunk is no text_completion with choices%s%.*s", "", NO);
    told->id = conform_keep(json_get(root, "id"), at->arena);
    if (json_type(json_get(root, "usage")) == JSON_OBJECT)
        conform_take_usage(told, json_get(root, "usage"), "prompt_tokens", "completion_tokens");
    for (struct json choice = json_first(choices); json_present(choice); choice = json_next(choice)) {
        struct json finish = json_get(choice, "finish_reason");
        if (json_type(json_get(choice, "text")) != JSON_STRING || at->finished)
            FAULT("a choice without text, or one that goes on after its finish%s%.*s", "", NO);
        conform_add_text(at, &told->text, json_get(choice, "text"));
        at->started = true;
        if (json_type(finish) == JSON_STRING) {
            at->finished = true;
            told->finish = conform_keep(finish, at->arena);
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- streams */

static const struct {
    const char *(*event)(struct conform_reading *, struct json);
    const char *(*end)(struct conform_reading *);
    bool named, done_marker;
} dialects[CONFORM_DIALECTS] = {
    [CONFORM_CHAT] = {chat_event, chat_end, false, true},
    [CONFORM_ANTHROPIC] = {anthropic_event, anthropic_end, true, false},
    [CONFORM_RESPONSES] = {responses_event, responses_end, true, false},
    [CONFORM_GEMINI] = {conform_gemini_event, conform_gemini_end, false, false},
    [CONFORM_COMPLETIONS] = {text_event, chat_end, false, true},
};

static const char *
take_data(struct conform_reading *at, struct slice name, struct slice data)
{
    struct json root;
    if (at->terminal || (at->told->failed && !dialects[at->dialect].done_marker && at->dialect != CONFORM_RESPONSES))
        FAULT("something comes after the end of the stream%s: %.*s", "", data);
    at->told->events++;
    if (dialects[at->dialect].done_marker && slice_is(data, "[DONE]")) {
        at->terminal = true;
        return NULL;
    }
    if (json_parse_jsmn(data, 64, 1u << 20, at->arena, &root) != 0 || json_type(root) != JSON_OBJECT)
        FAULT("an event is no JSON object%s: %.*s", "", data);
    struct slice type = conform_keep(json_get(root, "type"), at->arena);
    if (dialects[at->dialect].named && !slice_eq(name, type))
        FAULT("the event line is not the event's type%s: %.*s", "", type);
    if (!dialects[at->dialect].named && name.len > 0 && !slice_is(name, "error"))
        FAULT("an event line where the dialect has none%s: %.*s", "", name);
    return dialects[at->dialect].event(at, root);
}

/* Server-sent events: lines, fields, an empty line behind each event. */
static const char *
read_sse(struct conform_reading *at, struct slice body)
{
    struct slice name = NO;
    struct sink data;
    const char *why = NULL;
    bool any = false;
    sink_init(&data, CONFORM_TEXT_MAX);
    while (body.len > 0 && !why) {
        const char *end = memchr(body.ptr, '\n', body.len);
        struct slice line = end ? slice_of(body.ptr, (size_t)(end - body.ptr)) : body;
        body = slice_skip(body, line.len + (end != NULL));
        if (slice_ends(line, SLICE_LIT("\r")))
            line.len--;
        if (!end) {
            why = conform_fault(at, "the last line has no end%s: %.*s", "", line);
        } else if (line.len == 0) {
            if (any)
                why = take_data(at, name, sink_slice(&data));
            sink_reset(&data, 65536);
            name = NO;
            any = false;
        } else if (line.ptr[0] == ':') {
            at->told->comments++;
            if (at->dialect == CONFORM_GEMINI)
                why = conform_fault(at, "a comment line, over which Gemini's libraries stumble%s: %.*s", "", line);
        } else {
            struct slice value = line, field = text_split(&value, ':');
            if (slice_starts(value, SLICE_LIT(" ")))
                value = slice_skip(value, 1);
            if (slice_is(field, "data")) {
                if (any)
                    sink_byte(&data, '\n');
                sink_put(&data, slice_present(value) ? value : NO);
                any = true;
            } else if (slice_is(field, "event")) {
                name = value;
            } else if (at->dialect == CONFORM_GEMINI || (!slice_is(field, "id") && !slice_is(field, "retry"))) {
                why = conform_fault(at, "an unexpected field%s: %.*s", "", line);
            }
        }
    }
    if (!why && any)
        why = conform_fault(at, "the last event is not closed by an empty line%s%.*s", "", NO);
    sink_fini(&data);
    return why;
}

const char *
conform_stream(enum conform_dialect dialect, struct slice body, bool array, struct arena *arena, struct conform_told *told)
{
    struct conform_reading reading = {.dialect = dialect, .arena = arena, .told = told}, *at = &reading;
    const char *why = NULL;
    conform_begin(told);
    if (array) {
        struct json root;
        if (json_parse_jsmn(body, 64, 1u << 20, arena, &root) != 0 || json_type(root) != JSON_ARRAY)
            FAULT("the stream is no JSON array%s: %.*s", "", body);
        for (struct json element = json_first(root); json_present(element) && !why; element = json_next(element)) {
            told->events++;
            why = dialects[dialect].event(at, element);
        }
    } else {
        why = read_sse(at, body);
    }
    if (!why)
        why = dialects[dialect].end(at);
    if (!why && !told->failed)
        why = conform_check_calls(at);
    told->ended = why == NULL && !told->failed;
    return why;
}
