/* SPDX-License-Identifier: MIT
 *
 * test_gemini_request_recordings.c - every recorded request, when the recordings lie beside the
 * repository.
 *
 * A generateContent request passes unchanged and can be said to every other dialect, or is refused
 * by name; a request of another dialect becomes a generateContent request that keeps Gemini's
 * rules, or is refused by name.
 */
#include "tests/unit/providers/asking.h"

#include <stdlib.h>

static const char *
recordings(void)
{
    const char *root = getenv("PENSTOCK_RECORDINGS");
    return root ? root : "../shared/recordings";
}

static char *
read_text(const char *name, size_t *len)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", recordings(), name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *room = malloc(8u << 20);
    assert_non_null(room);
    *len = fread(room, 1, (8u << 20) - 1, file);
    room[*len] = '\0';
    (void)fclose(file);
    return room;
}

/* ---------------------------------------------------------------- Gemini's rules */

static uint32_t
count_parts(struct json content, const char *kind)
{
    uint32_t count = 0;
    struct json parts = json_get(content, "parts");
    for (struct json one = json_first(parts); json_present(one); one = json_next(one))
        count += json_present(json_get(one, kind));
    return count;
}

/* Do the responses answer the calls, name by name? */
static bool
answers(struct json model, struct json user)
{
    struct json response = json_first(json_get(user, "parts"));
    for (struct json one = json_first(json_get(model, "parts")); json_present(one);
         one = json_next(one)) {
        struct json call = json_get(one, "functionCall"),
                    reply = json_get(response, "functionResponse");
        if (!json_present(call))
            continue;
        if (!slice_eq(json_text(json_get(call, "name")), json_text(json_get(reply, "name"))) ||
            json_type(json_get(reply, "response")) != JSON_OBJECT ||
            json_type(json_get(call, "args")) != JSON_OBJECT)
            return false;
        response = json_next(response);
    }
    return true;
}

static const char *
judge_contents(struct json contents)
{
    struct json before = JSON_NONE;
    if (json_count(contents) == 0)
        return "no contents";
    for (struct json one = json_first(contents); json_present(one); one = json_next(one)) {
        bool model = json_is(json_get(one, "role"), "model");
        uint32_t calls = count_parts(one, "functionCall"),
                 results = count_parts(one, "functionResponse");
        uint32_t due = count_parts(before, "functionCall");
        if (json_count(json_get(one, "parts")) == 0)
            return "a content without parts";
        if (model && (!json_present(before) || json_is(json_get(before, "role"), "model")))
            return "a model content where the user's turn is";
        if (!model && calls > 0)
            return "a call by the user";
        if (results != due || (results > 0 && (results != json_count(json_get(one, "parts")) ||
                                               !answers(before, one))))
            return "results that do not answer the calls";
        before = one;
    }
    return count_parts(before, "functionCall") > 0 ? "calls that nobody answered" : NULL;
}

static bool
only_known(struct json object, const char *const names[], size_t count)
{
    for (struct json one = json_first(object); json_present(one); one = json_next(one)) {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = json_key_is(one, names[i]);
        if (!known)
            return false;
    }
    return true;
}

static const char *
judge_request(struct json root, bool json_schema)
{
    static const char *const top[] = {
        "contents",         "tools",          "toolConfig",  "systemInstruction",
        "generationConfig", "safetySettings", "serviceTier", "labels"};
    static const char *const config[] = {"temperature",
                                         "topP",
                                         "topK",
                                         "maxOutputTokens",
                                         "stopSequences",
                                         "seed",
                                         "presencePenalty",
                                         "frequencyPenalty",
                                         "candidateCount",
                                         "responseLogprobs",
                                         "logprobs",
                                         "responseMimeType",
                                         "responseSchema",
                                         "responseJsonSchema",
                                         "thinkingConfig",
                                         "responseModalities"};
    static const char *const thinking[] = {"includeThoughts", "thinkingBudget", "thinkingLevel"};
    static const char *const function[] = {"name", "description", "parameters",
                                           "parametersJsonSchema"};
    struct json generation = json_get(root, "generationConfig"),
                think = json_get(generation, "thinkingConfig");
    if (!only_known(root, top, countof(top)) || !only_known(generation, config, countof(config)) ||
        !only_known(think, thinking, countof(thinking)))
        return "a field Gemini does not know";
    if (json_present(json_get(think, "thinkingBudget")) &&
        json_present(json_get(think, "thinkingLevel")))
        return "budget and level";
    for (struct json tool = json_first(json_get(root, "tools")); json_present(tool);
         tool = json_next(tool)) {
        struct json functions = json_get(tool, "functionDeclarations");
        for (struct json one = json_first(functions); json_present(one); one = json_next(one)) {
            if (!only_known(one, function, countof(function)) ||
                json_present(json_get(one, json_schema ? "parameters" : "parametersJsonSchema")))
                return "a function declaration that is none";
        }
    }
    return judge_contents(json_get(root, "contents"));
}

/* ---------------------------------------------------------------- one recording */

struct tally {
    int written, refused, bad;
};

static const struct dialect_upstream upstreams[] = {
    {.model = {"gemini-2.5-flash", 16}, .thinking_budget_max = 24576, .result_media = false},
    {.model = {"gemini-3-pro-preview", 20},
     .thinking_level = true,
     .json_schema = true,
     .result_media = true,
     .url_media = true},
    {.model = {"gemini-2.5-pro", 14},
     .surface = SURFACE_VERTEX,
     .grounding = SWITCH_ON,
     .url_media = true},
};

static void
complain(struct tally *tally, const char *file, const char *why, struct slice what)
{
    tally->bad++;
    print_error("%s: %s: %.*s\n", file, why, SLICE_ARG(what));
}

static void
judge_written(struct tally *tally, const char *file, struct asking *asking,
              const struct dialect_upstream *upstream)
{
    struct json root;
    sink_reset(&asking->out, 0);
    asking->report = (struct canon_report){.count = 0};
    int error = gemini_dialect.write_request(&asking->request, upstream, &asking->out,
                                             &asking->report, &asking->fault);
    if (error == -ERR_UNSUPPORTED && slice_present(asking->fault.param) &&
        slice_present(asking->fault.message)) {
        tally->refused++;
        if (getenv("PENSTOCK_TELL"))
            printf("%s: %.*s\n", file, SLICE_ARG(asking->fault.message));
        return;
    }
    const char *why = "it cannot be written";
    if (error == 0)
        why = json_parse(sink_slice(&asking->out), 64, 1u << 20, &asking->arena, &root) == 0
                  ? judge_request(root, upstream->json_schema)
                  : "no JSON";
    if (why)
        complain(tally, file, why, error == 0 ? sink_slice(&asking->out) : asking->fault.message);
    else
        tally->written++;
}

static void
judge_other(struct tally *tally, const char *file, const char *body, const struct dialect *client)
{
    struct asking asking;
    asking_read(&asking, client, body);
    if (asking.error != 0)
        tally->refused++; /* a request that cannot be read is its own dialect's matter */
    for (size_t i = 0; i < countof(upstreams) && asking.error == 0; i++)
        judge_written(tally, file, &asking, &upstreams[i]);
    asking_close(&asking);
}

static void
judge_own(struct tally *tally, const char *file, const char *body, bool wrong)
{
    static const enum dialect_id others[] = {DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC,
                                             DIALECT_OPENAI_RESPONSES};
    struct dialect_upstream upstream = {
        .model = SLICE_LIT("m"), .extra_fields = true, .effort = TELL_REASONING_EFFORT};
    struct asking asking;
    asking_read(&asking, &gemini_dialect, body);
    bool refused = asking.error == -ERR_UNSUPPORTED && slice_present(asking.fault.param);
    if (refused || (wrong && asking.error != 0)) /* the provider refused it, too */
        tally->refused++;
    else if (asking.error != 0)
        complain(tally, file, "it cannot be read", asking.fault.message);
    for (size_t i = 0; i < countof(others) && asking.error == 0; i++) {
        sink_reset(&asking.out, 0);
        int error = dialect_of(others[i])->write_request(&asking.request, &upstream, &asking.out,
                                                         &asking.report, &asking.fault);
        struct json_scan scan;
        if (error == -ERR_UNSUPPORTED && slice_present(asking.fault.param))
            tally->refused++;
        else if (error != 0 || json_scan(sink_slice(&asking.out), 64, &scan) != 0)
            complain(tally, file, dialect_of(others[i])->name, asking.fault.message);
        else
            tally->written++;
    }
    if (!refused) {
        sink_reset(&asking.out, 0);
        if (gemini_dialect.pass_request(&asking.request, &upstream, &asking.out) != 0 ||
            !slice_eq(sink_slice(&asking.out), asking.request.body))
            complain(tally, file, "it does not pass unchanged", sink_slice(&asking.out));
    }
    asking_close(&asking);
}

static void
judge_all(bool own, struct tally *tally)
{
    size_t len;
    struct arena arena;
    struct json list;
    char *index = read_text("index.json", &len);
    if (!index)
        return;
    arena_init(&arena, 64u << 20);
    assert_int_equal(json_parse(slice_of(index, len), 16, 1u << 20, &arena, &list), 0);
    for (struct json one = json_first(list); json_present(one); one = json_next(one)) {
        struct json dialect = json_get(one, "dialect");
        struct slice name = json_string(json_get(one, "request"), &arena);
        const struct dialect *client = json_is(dialect, "chat")        ? &openai_chat_dialect
                                       : json_is(dialect, "anthropic") ? &anthropic_dialect
                                       : json_is(dialect, "responses") ? &openai_responses_dialect
                                                                       : NULL;
        bool wanted = own ? json_is(dialect, "gemini") : client != NULL;
        struct slice file = slice_present(name) ? arena_copy(&arena, name) : SLICE_NONE;
        char *body = wanted && slice_present(file) ? read_text(file.ptr, &len) : NULL;
        if (!body)
            continue;
        if (own)
            judge_own(tally, file.ptr, body, json_u64_or(json_get(one, "status"), 200) >= 400);
        else
            judge_other(tally, file.ptr, body, client);
        free(body);
    }
    arena_fini(&arena);
    free(index);
}

static void
says_recorded_requests_to_gemini(void **state)
{
    (void)state;
    struct tally tally = {0};
    judge_all(false, &tally);
    printf("requests of others for Gemini: %d written, %d refused by name, %d bad\n", tally.written,
           tally.refused, tally.bad);
    assert_int_equal(tally.bad, 0);
}

static void
says_recorded_gemini_requests_to_others(void **state)
{
    (void)state;
    struct tally tally = {0};
    judge_all(true, &tally);
    printf("requests of Gemini for others: %d written, %d refused by name, %d bad\n", tally.written,
           tally.refused, tally.bad);
    assert_int_equal(tally.bad, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_recorded_requests_to_gemini),
        cmocka_unit_test(says_recorded_gemini_requests_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
