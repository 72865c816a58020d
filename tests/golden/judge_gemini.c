/* SPDX-License-Identifier: MIT
 *
 * judge_gemini.c - the grammar of a generateContent stream, as Google's libraries need it. It
 * shares no code with the writer.
 *
 * No event lines; every event one JSON object of one model and one response; parts that hold one
 * thing each, calls with a name, an object and an id of their own, signatures that are base64; one
 * finish per candidate and nothing behind it; counters that add up. A failed stream ends in one
 * error object.
 */
#include "tests/golden/drive.h"

#include "base/text.h"
#include "sse/sse.h"

#define JUDGED_CANDIDATES 128 /* as many as an upstream may have */
#define JUDGED_CALLS 256

struct judge {
    struct arena arena;
    struct slice model, id;
    bool seen[JUDGED_CANDIDATES], finished[JUDGED_CANDIDATES];
    bool failed, blocked;
    struct { /* candidates are alternatives: each has ids of its own */
        uint64_t candidate;
        struct slice id;
    } calls[JUDGED_CALLS];
    uint32_t call_count;
    uint64_t candidate; /* the one at hand */
};

static const char *
judge_call(struct judge *judge, struct json call)
{
    struct slice id = json_text(json_get(call, "id"));
    bool partial =
        json_present(json_get(call, "partialArgs")) || json_present(json_get(call, "willContinue"));
    if (partial || json_count(call) == 0) /* Vertex's own way, which passes as it is */
        return NULL;
    if (json_text(json_get(call, "name")).len == 0)
        return "a call without a name";
    if (json_present(json_get(call, "args")) && json_type(json_get(call, "args")) != JSON_OBJECT)
        return "a call's arguments are no object";
    for (uint32_t i = 0; i < judge->call_count && id.len > 0; i++)
        if (judge->calls[i].candidate == judge->candidate && slice_eq(judge->calls[i].id, id))
            return "two calls with one id";
    if (judge->call_count == JUDGED_CALLS)
        return "more calls than can be judged";
    if (id.len > 0) {
        judge->calls[judge->call_count].candidate = judge->candidate;
        judge->calls[judge->call_count++].id = arena_copy(&judge->arena, id);
    }
    return NULL;
}

static const char *
judge_part(struct judge *judge, struct json part)
{
    static const char *const payloads[] = {
        "text",     "functionCall", "inlineData", "executableCode", "codeExecutionResult",
        "toolCall", "toolResponse", "fileData"};
    int held = 0;
    for (size_t i = 0; i < countof(payloads); i++)
        held += json_present(json_get(part, payloads[i]));
    struct json signature = json_get(part, "thoughtSignature"), data = json_get(part, "inlineData");
    if (json_type(part) != JSON_OBJECT || held > 1 || (held == 0 && !json_present(signature)))
        return "a part that holds nothing, or several things";
    if (json_present(json_get(part, "text")) && json_type(json_get(part, "text")) != JSON_STRING)
        return "a text that is none";
    if (json_present(signature)) {
        struct sink bytes;
        sink_init(&bytes, 1u << 24);
        bool good = json_text(signature).len > 0 && json_text(signature).len % 4 == 0 &&
                    text_base64_decode(json_string(signature, &judge->arena), &bytes);
        sink_fini(&bytes);
        if (!good)
            return "a signature that is not base64";
    }
    if (json_present(data) && (json_text(json_get(data, "mimeType")).len == 0 ||
                               json_text(json_get(data, "data")).len == 0))
        return "data without a type, or without data";
    struct json call = json_get(part, "functionCall");
    return json_present(call) ? judge_call(judge, call) : NULL;
}

static const char *
judge_candidate(struct judge *judge, struct json candidate)
{
    uint64_t index = json_u64_or(json_get(candidate, "index"), 0);
    struct json content = json_get(candidate, "content"), parts = json_get(content, "parts");
    struct slice finish = json_text(json_get(candidate, "finishReason"));
    if (index >= JUDGED_CANDIDATES)
        return "a candidate without a sensible index";
    if (judge->finished[index])
        return "something behind the finish";
    judge->seen[index] = true;
    judge->candidate = index;
    if (json_present(json_get(content, "role")) && !json_is(json_get(content, "role"), "model"))
        return "content of another role";
    if (json_type(parts) == JSON_ARRAY)
        for (struct json at = json_first(parts); json_present(at); at = json_next(at)) {
            const char *fault = judge_part(judge, at);
            if (fault)
                return fault;
        }
    static const char *const words[] = {"STOP",       "MAX_TOKENS", "SAFETY",
                                        "RECITATION", "LANGUAGE",   "OTHER",
                                        "BLOCKLIST",  "SPII",       "PROHIBITED_CONTENT"};
    bool known = finish.len == 0;
    for (size_t i = 0; i < countof(words); i++)
        known = known || slice_is(finish, words[i]);
    judge->finished[index] = finish.len > 0;
    return known ? NULL : "an unknown finish word";
}

static const char *
judge_usage(struct json usage)
{
    static const char *const names[] = {"promptTokenCount", "candidatesTokenCount",
                                        "thoughtsTokenCount", "toolUsePromptTokenCount"};
    uint64_t sum = 0, total = json_u64_or(json_get(usage, "totalTokenCount"), UINT64_MAX);
    for (size_t i = 0; i < countof(names); i++)
        sum += json_u64_or(json_get(usage, names[i]), 0);
    return total == UINT64_MAX || total == sum ? NULL : "counters that do not add up";
}

static const char *
judge_error(struct judge *judge, struct json root, struct json error)
{
    judge->failed = true;
    bool complete = json_type(json_get(error, "code")) == JSON_NUMBER &&
                    json_text(json_get(error, "message")).len > 0 &&
                    json_text(json_get(error, "status")).len > 0;
    return complete && json_count(root) == 1
               ? NULL
               : "an error beside something else, or without code, message or status";
}

/* What every chunk says alike. */
static const char *
judge_constant(struct judge *judge, struct slice said, struct slice *known, const char *fault)
{
    if (said.len == 0)
        return NULL;
    if (slice_present(*known))
        return slice_eq(*known, said) ? NULL : fault;
    *known = arena_copy(&judge->arena, said);
    return NULL;
}

static const char *
judge_chunk(struct judge *judge, struct json root)
{
    struct json error = json_get(root, "error"), candidates = json_get(root, "candidates");
    if (judge->failed)
        return "something behind the error";
    if (json_present(error))
        return judge_error(judge, root, error);
    const char *fault = judge_constant(judge, json_text(json_get(root, "modelVersion")),
                                       &judge->model, "the model changes");
    if (!fault)
        fault = judge_constant(judge, json_text(json_get(root, "responseId")), &judge->id,
                               "the response's id changes");
    if (!fault)
        fault = judge_usage(json_get(root, "usageMetadata"));
    judge->blocked =
        judge->blocked || json_present(json_get(json_get(root, "promptFeedback"), "blockReason"));
    if (json_type(root) != JSON_OBJECT)
        return "an event that is no object";
    for (struct json at = json_first(candidates); json_present(at) && !fault; at = json_next(at))
        fault = judge_candidate(judge, at);
    return fault;
}

static const char *
judge_event(struct judge *judge, const struct sse_event *event)
{
    if (!slice_present(event->data))
        return "a comment: Google's libraries take none";
    if (event->type.len > 0 && !slice_is(event->type, "message"))
        return "an event with a name";
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
judge_gemini(struct slice text)
{
    struct judge judge = {0};
    struct sse_decoder decoder;
    struct sse_event event;
    const char *fault = NULL;
    bool any = false, open = false;
    arena_init(&judge.arena, 64u << 20);
    sse_decoder_init(&decoder, 64u << 20);
    while (!fault && sse_decode(&decoder, &text, &event) == 1)
        fault = judge_event(&judge, &event);
    for (size_t i = 0; i < JUDGED_CANDIDATES; i++) {
        any = any || judge.seen[i];
        open = open || (judge.seen[i] && !judge.finished[i]);
    }
    if (!fault && !judge.failed && !judge.blocked && (open || !any))
        fault = "no finish";
    sse_decoder_fini(&decoder);
    arena_fini(&judge.arena);
    return fault;
}
