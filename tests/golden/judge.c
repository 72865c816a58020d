/* SPDX-License-Identifier: MIT
 *
 * judge.c - the grammar of a Chat Completions stream, as strict clients need it. It shares no code
 * with the writer.
 *
 * One id and one model in all chunks; a role first and once per choice; tool calls by dense index,
 * with id, type and name once and arguments that join to JSON; one finish per choice and nothing
 * behind it; at most one usage chunk; [DONE]. A failed stream has one error object instead of what
 * is missing, and [DONE].
 */
#include "tests/golden/drive.h"

#include "sse/sse.h"

#define JUDGED_CHOICES 128 /* as many as an upstream may have */
#define JUDGED_CALLS 256

struct judged_choice {
    bool role, finished;
    uint32_t calls;
    bool custom[JUDGED_CALLS];
    struct sink arguments[JUDGED_CALLS];
};

struct judge {
    struct arena arena;
    struct slice id, model;
    struct judged_choice choices[JUDGED_CHOICES];
    bool started, done, failed, usage;
};

static const char *
judge_call(struct judged_choice *choice, struct json call)
{
    uint64_t index = json_u64_or(json_get(call, "index"), UINT64_MAX);
    struct json body = json_get(call, "function"), custom = json_get(call, "custom");
    struct json input = json_get(body, "arguments");
    bool is_custom = json_present(custom);
    if (is_custom) {
        body = custom;
        input = json_get(body, "input");
    }
    if (index >= JUDGED_CALLS || index > choice->calls)
        return "a tool call's index is missing or not dense";
    if (index == choice->calls) {
        if (json_text(json_get(call, "id")).len == 0 ||
            json_text(json_get(call, "type")).len == 0 ||
            json_text(json_get(body, "name")).len == 0)
            return "a tool call opens without id, type or name";
        choice->custom[index] = is_custom;
        sink_init(&choice->arguments[index], 64u << 20);
        choice->calls++;
    } else if (json_present(json_get(call, "id")) || json_present(json_get(body, "name"))) {
        return "a tool call's id or name is repeated";
    }
    struct arena arena;
    arena_init(&arena, 64u << 20);
    sink_put(&choice->arguments[index], json_string(input, &arena));
    arena_fini(&arena);
    return NULL;
}

static const char *
judge_choice(struct judge *judge, struct json value)
{
    uint64_t index = json_u64_or(json_get(value, "index"), UINT64_MAX);
    struct json delta = json_get(value, "delta"), finish = json_get(value, "finish_reason");
    if (index >= JUDGED_CHOICES)
        return "a choice without a sensible index";
    struct judged_choice *choice = &judge->choices[index];
    if (choice->finished && (json_present(json_first(delta)) || json_type(finish) == JSON_STRING)) {
        struct slice content = json_text(json_get(delta, "content"));
        if (content.len > 0 || json_type(finish) == JSON_STRING ||
            json_present(json_get(delta, "tool_calls")))
            return "something behind the finish";
    }
    if (!choice->role && !json_is(json_get(delta, "role"), "assistant"))
        return "a choice begins without a role";
    choice->role = true;
    struct json calls = json_get(delta, "tool_calls");
    if (json_type(calls) == JSON_ARRAY)
        for (struct json call = json_first(calls); json_present(call); call = json_next(call)) {
            const char *fault = judge_call(choice, call);
            if (fault)
                return fault;
        }
    if (json_type(finish) != JSON_STRING)
        return NULL;
    static const char *const words[] = {"stop", "length", "tool_calls", "content_filter",
                                        "function_call"};
    bool known = false;
    for (size_t i = 0; i < countof(words); i++)
        known = known || json_is(finish, words[i]);
    choice->finished = true;
    bool is_calls = json_is(finish, "tool_calls");
    for (uint32_t i = 0; i < choice->calls && !json_is(finish, "length"); i++) {
        struct json_scan scan;
        if (!choice->custom[i] && json_scan(sink_slice(&choice->arguments[i]), 64, &scan) != 0)
            return "a tool call's arguments are not JSON";
    }
    if (choice->calls > 0 && json_is(finish, "stop"))
        return "a turn with tool calls ends in stop";
    if (is_calls && choice->calls == 0)
        return "tool_calls without a tool call";
    return known ? NULL : "an unknown finish word";
}

static const char *
judge_chunk(struct judge *judge, struct json root)
{
    struct json error = json_get(root, "error"), choices = json_get(root, "choices");
    if (json_present(error)) {
        judge->failed = true;
        bool complete = json_text(json_get(error, "message")).len > 0 &&
                        json_text(json_get(error, "type")).len > 0;
        return json_present(choices) || !complete
                   ? "an error beside choices, or without message or type"
                   : NULL;
    }
    if (json_type(choices) != JSON_ARRAY)
        return "a chunk without choices";
    struct slice id = json_text(json_get(root, "id")), model = json_text(json_get(root, "model"));
    if (judge->started && !slice_eq(id, judge->id))
        return "the id changes";
    if (id.len == 0)
        return "the id is empty";
    if (judge->started && model.len > 0 && judge->model.len > 0 && !slice_eq(model, judge->model))
        return "the model changes";
    if (!judge->started) {
        judge->id = arena_copy(&judge->arena, id);
        judge->model = arena_copy(&judge->arena, model);
    }
    judge->started = true;
    if (json_count(choices) == 0 && json_type(json_get(root, "usage")) == JSON_OBJECT) {
        if (judge->usage)
            return "usage twice";
        judge->usage = true;
        for (size_t i = 0; i < JUDGED_CHOICES; i++)
            if (judge->choices[i].role && !judge->choices[i].finished)
                return "usage before the finish";
    }
    if (json_count(choices) > 0 && judge->usage)
        return "a choice behind the usage";
    for (struct json at = json_first(choices); json_present(at); at = json_next(at)) {
        const char *fault = judge_choice(judge, at);
        if (fault)
            return fault;
    }
    return NULL;
}

static const char *
judge_event(struct judge *judge, const struct sse_event *event)
{
    if (!slice_present(event->data))
        return NULL;
    if (judge->done)
        return "something behind [DONE]";
    if (slice_is(event->data, "[DONE]")) {
        judge->done = true;
        for (size_t i = 0; i < JUDGED_CHOICES; i++)
            if (judge->choices[i].role && !judge->choices[i].finished && !judge->failed)
                return "[DONE] before the finish";
        return NULL;
    }
    if (judge->failed)
        return "something behind the error";
    struct arena arena;
    struct json root;
    arena_init(&arena, 64u << 20);
    const char *fault = json_parse(event->data, 64, 1u << 22, &arena, &root) == 0
                            ? judge_chunk(judge, root)
                            : "a chunk that is not JSON";
    arena_fini(&arena);
    return fault;
}

const char *
judge_chat(struct slice text)
{
    struct judge judge = {0};
    struct sse_decoder decoder;
    struct sse_event event;
    const char *fault = NULL;
    int got;
    arena_init(&judge.arena, 1u << 20);
    sse_decoder_init(&decoder, 64u << 20);
    while (!fault && (got = sse_decode(&decoder, &text, &event)) == 1)
        fault = judge_event(&judge, &event);
    if (!fault && !judge.done)
        fault = "no [DONE]";
    for (size_t i = 0; i < JUDGED_CHOICES; i++)
        for (uint32_t k = 0; k < judge.choices[i].calls; k++)
            sink_fini(&judge.choices[i].arguments[k]);
    sse_decoder_fini(&decoder);
    arena_fini(&judge.arena);
    return fault;
}
