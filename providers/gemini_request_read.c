/* SPDX-License-Identifier: MIT
 *
 * gemini_request_read.c - a generateContent request as the canonical request: everything but its
 * contents and tools.
 *
 * What has no canonical form is noted by name in the request's unsaid, or refused where leaving it
 * out would change the answer.
 */
#include "providers/gemini_read.h"

#include "base/text.h"

#define MEMBERS_MAX 256

int
gemini_refuse(struct gemini_reading *at, int error, const char *param, const char *message)
{
    *at->fault = (struct canon_fault){.message = slice_from(message), .param = slice_from(param)};
    if (error == ERR_UNSUPPORTED) /* Gemini's errors have no place for the name but their message */
        at->fault->message = arena_printf(at->request->arena, "%s: %s", param, message);
    return -error;
}

struct json
gemini_request_root(const struct canon_request *request)
{
    struct json inner = gemini_get(request->root, "generateContentRequest");
    bool wrapped =
        json_type(inner) == JSON_OBJECT && !json_present(json_get(request->root, "contents"));
    return wrapped ? inner : request->root;
}

int
gemini_outline(struct canon_request *request, struct canon_fault *fault)
{
    static const char *const single[] = {"contents", "tools", "systemInstruction",
                                         "generationConfig", "toolConfig"};
    struct gemini_reading at = {.request = request, .fault = fault};
    if (json_type(request->root) != JSON_OBJECT)
        return gemini_refuse(&at, ERR_REQUEST, NULL, "the request body must be a JSON object");
    struct json root = gemini_request_root(request);
    for (size_t i = 0; i < countof(single); i++) {
        if (json_repeats(root, single[i]))
            return gemini_refuse(&at, ERR_REQUEST, single[i], "the request names a field twice");
    }
    enum json_type type = json_type(json_get(root, "contents"));
    if (type != JSON_ARRAY && type != JSON_OBJECT)
        return gemini_refuse(&at, ERR_REQUEST, "contents",
                             type == JSON_ABSENT ? "contents is not specified"
                                                 : "contents must be a list of contents");
    request->include_usage = true;
    request->from = DIALECT_GEMINI;
    return 0;
}

/* ---------------------------------------------------------------- numbers */

/* A number, or digits in a string; absent for anything else. A whole number loses its ".0": others
 * do not take it. */
static struct slice
number_of(struct json value, bool whole, struct arena *arena)
{
    struct json_scan scan;
    struct slice text = json_type(value) == JSON_STRING ? json_text(value) : json_raw(value);
    if (json_type(value) != JSON_STRING && json_type(value) != JSON_NUMBER)
        return SLICE_NONE;
    bool number =
        text.len > 0 && (text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9'));
    if (!number || json_scan(text, 1, &scan) != 0)
        return SLICE_NONE;
    int64_t integer;
    if (whole && json_i64(value, &integer) && memchr(text.ptr, '.', text.len))
        return arena_printf(arena, "%lld", (long long)integer);
    return text;
}

static int
read_numbers(struct gemini_reading *at, struct json config)
{
    struct canon_request *request = at->request;
    const struct {
        const char *name;
        struct slice *to;
        bool whole;
    } rows[] = {
        {"temperature", &request->temperature, false},
        {"topP", &request->top_p, false},
        {"topK", &request->top_k, true},
        {"candidateCount", &request->n, true},
        {"maxOutputTokens", &request->max_tokens, true},
        {"seed", &request->seed, true},
        {"presencePenalty", &request->presence_penalty, false},
        {"frequencyPenalty", &request->frequency_penalty, false},
        {"logprobs", &request->top_logprobs, true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct json value = gemini_get(config, rows[i].name);
        if (!gemini_given(value))
            continue;
        *rows[i].to = number_of(value, rows[i].whole, request->arena);
        if (!slice_present(*rows[i].to))
            return gemini_refuse(at, ERR_REQUEST, rows[i].name, "this field must be a number");
    }
    struct json logprobs = gemini_get(config, "responseLogprobs");
    if (json_type(logprobs) == JSON_TRUE || json_type(logprobs) == JSON_FALSE)
        request->logprobs = json_raw(logprobs);
    return 0;
}

static int
read_stop(struct gemini_reading *at, struct json config)
{
    struct canon_stop **end = &at->request->stop;
    struct json stop = gemini_get(config, "stopSequences");
    bool list = json_type(stop) == JSON_ARRAY;
    for (struct json one = list ? json_first(stop) : stop; gemini_given(one);
         one = list ? json_next(one) : JSON_NONE) {
        struct canon_stop *entry = arena_take(at->request->arena, sizeof(*entry));
        if (!entry)
            return -ERR_MEMORY;
        if (json_type(one) != JSON_STRING)
            return gemini_refuse(at, ERR_REQUEST, "stopSequences",
                                 "stopSequences must be a list of strings");
        *entry = (struct canon_stop){.text = json_text(one)};
        *end = entry;
        end = &entry->next;
    }
    return 0;
}

/* ---------------------------------------------------------------- thinking, form of the answer */

static int
read_thinking(struct gemini_reading *at, struct json config)
{
    static const char *const levels[] = {NULL, "LOW", "MEDIUM", "HIGH", "MINIMAL"};
    static const char *const efforts[] = {NULL, "low", "medium", "high", "minimal"};
    struct canon_request *request = at->request;
    struct json thinking = gemini_get(config, "thinkingConfig"),
                include = gemini_get(thinking, "includeThoughts");
    struct json level = gemini_get(thinking, "thinkingLevel"),
                budget = gemini_get(thinking, "thinkingBudget");
    request->show_thoughts = json_type(include) == JSON_TRUE    ? 1
                             : json_type(include) == JSON_FALSE ? 0
                                                                : -1;
    int found = gemini_enum(level, levels, countof(levels));
    if (found > 0)
        request->effort = slice_from(efforts[found]);
    else if (gemini_given(level) && !json_is(level, "THINKING_LEVEL_UNSPECIFIED"))
        return gemini_refuse(at, ERR_REQUEST, "thinkingLevel",
                             "thinkingLevel must be MINIMAL, LOW, MEDIUM or HIGH");
    if (!gemini_given(budget))
        return 0;
    struct slice text = number_of(budget, true, request->arena);
    if (!slice_present(text))
        return gemini_refuse(at, ERR_REQUEST, "thinkingBudget",
                             "thinkingBudget must be a whole number");
    if (slice_is(text, "0")) {
        request->thinking = THINKING_DISABLED;
    } else if (text.ptr[0] == '-') {
        request->thinking = THINKING_ADAPTIVE;
    } else {
        request->thinking = THINKING_ENABLED;
        request->thinking_budget = text;
    }
    return 0;
}

static int
read_format(struct gemini_reading *at, struct json config)
{
    struct canon_request *request = at->request;
    struct json type = gemini_get(config, "responseMimeType"),
                schema = gemini_get(config, "responseSchema");
    struct json standard = gemini_get(config, "responseJsonSchema");
    if (!gemini_given(standard))
        standard = gemini_get(config, "_responseJsonSchema");
    if (json_is(type, "text/plain") || json_is(type, "")) {
        request->format = FORMAT_TEXT;
    } else if (json_is(type, "application/json")) {
        request->format = FORMAT_JSON_OBJECT;
    } else if (gemini_given(type)) {
        return gemini_refuse(
            at, ERR_UNSUPPORTED, "generationConfig.responseMimeType",
            "the upstream behind this model answers in text/plain or application/json only");
    }
    if (request->format != FORMAT_JSON_OBJECT) {
        if (gemini_given(standard) || gemini_given(schema)) /* which mean nothing without the type */
            canon_drop(&request->unsaid, "responseSchema");
        return 0;
    }
    if (gemini_given(standard)) {
        request->format_schema = json_raw(standard);
    } else if (json_type(schema) == JSON_OBJECT) {
        int error = gemini_widened(at, schema, &request->format_schema);
        if (error != 0)
            return error;
    }
    if (slice_present(request->format_schema))
        request->format = FORMAT_JSON_SCHEMA;
    return 0;
}

static int
read_modalities(struct gemini_reading *at, struct json config)
{
    static const char *const words[] = {"MODALITY_UNSPECIFIED", "TEXT"};
    struct json list = gemini_get(config, "responseModalities");
    for (struct json one = json_first(list); json_type(list) == JSON_ARRAY && json_present(one);
         one = json_next(one)) {
        if (gemini_enum(one, words, countof(words)) < 0)
            return gemini_refuse(at, ERR_UNSUPPORTED, "generationConfig.responseModalities",
                                 "the upstream behind this model can only answer with text");
    }
    return 0;
}

/* ---------------------------------------------------------------- what stays unsaid */

struct known {
    const char *name;
    bool said; /* it has a canonical form: only what is left over is noted */
};

static void
note_unsaid(struct canon_request *request, struct json object, const struct known *table,
            size_t count)
{
    int left = MEMBERS_MAX;
    for (struct json one = json_first(object);
         json_type(object) == JSON_OBJECT && json_present(one); one = json_next(one)) {
        const struct known *found = NULL;
        if (left-- == 0) {
            canon_drop(&request->unsaid, "unknown field"); /* there are not that many known ones */
            return;
        }
        for (size_t i = 0; i < count && !found; i++)
            found = gemini_key_is(one, table[i].name) ? &table[i] : NULL;
        if (!found)
            canon_drop(&request->unsaid, "unknown field");
        else if (!found->said && gemini_given(one))
            canon_drop(&request->unsaid, found->name);
    }
}

static void
note_config(struct canon_request *request, struct json config)
{
    static const struct known table[] = {
        {"temperature", true},
        {"topP", true},
        {"topK", true},
        {"candidateCount", true},
        {"maxOutputTokens", true},
        {"stopSequences", true},
        {"seed", true},
        {"presencePenalty", true},
        {"frequencyPenalty", true},
        {"responseLogprobs", true},
        {"logprobs", true},
        {"responseMimeType", true},
        {"responseSchema", true},
        {"responseJsonSchema", true},
        {"_responseJsonSchema", true},
        {"responseModalities", true},
        {"thinkingConfig", true},
        {"mediaResolution", false},
        {"speechConfig", false},
        {"imageConfig", false},
        {"routingConfig", false},
        {"modelConfig", false},
        {"audioTimestamp", false},
        {"enableAffectiveDialog", false},
        {"enableEnhancedCivicAnswers", false},
        {"modelSelectionConfig", false},
    };
    note_unsaid(request, config, table, countof(table));
}

static void
note_root(struct canon_request *request, struct json root)
{
    static const struct known table[] = {
        {"contents", true},
        {"systemInstruction", true},
        {"tools", true},
        {"toolConfig", true},
        {"generationConfig", true},
        {"safetySettings", true},
        {"labels", true},
        {"serviceTier", true},
        {"model", true},
        {"generateContentRequest", true},
        {"cachedContent", true},
        {"store", true},
        {"modelArmorConfig", false},
    };
    static const struct known of_tools[] = {{"functionCallingConfig", true},
                                            {"retrievalConfig", false},
                                            {"includeServerSideToolInvocations", false}};
    static const struct known of_calling[] = {
        {"mode", true}, {"allowedFunctionNames", true}, {"streamFunctionCallArguments", false}};
    struct json config = gemini_get(root, "toolConfig");
    note_unsaid(request, root, table, countof(table));
    note_unsaid(request, config, of_tools, countof(of_tools));
    note_unsaid(request, gemini_get(config, "functionCallingConfig"), of_calling,
                countof(of_calling));
}

/* ---------------------------------------------------------------- the whole */

static void
read_tier(struct canon_request *request, struct json tier)
{
    static const char *const words[] = {"standard", "flex", "priority"}, *const canonical[] = {
                                                                             "default", "flex",
                                                                             "priority"};
    for (size_t i = 0; i < countof(words); i++) {
        if (text_caseless_is(json_text(tier), words[i]))
            request->service_tier = slice_from(canonical[i]);
    }
    if (gemini_given(tier) && !slice_present(request->service_tier))
        canon_drop(&request->unsaid, "serviceTier");
}

static int
read_rest(struct gemini_reading *at, struct json root)
{
    struct canon_request *request = at->request;
    struct json safety = gemini_get(root, "safetySettings"), labels = gemini_get(root, "labels"),
                store = gemini_get(root, "store");
    if (gemini_given(gemini_get(root, "cachedContent")))
        return gemini_refuse(at, ERR_UNSUPPORTED, "cachedContent",
                             "cached content lives at its own provider only");
    if (json_type(safety) == JSON_ARRAY && json_count(safety) > 0)
        request->safety = json_raw(safety);
    if (json_type(labels) == JSON_OBJECT && json_count(labels) > 0)
        request->metadata = json_raw(labels);
    if (json_type(store) == JSON_TRUE || json_type(store) == JSON_FALSE)
        request->store = json_raw(store);
    read_tier(request, gemini_get(root, "serviceTier"));
    note_root(request, root);
    return 0;
}

static int
read_config(struct gemini_reading *at, struct json config)
{
    if (gemini_given(config) && json_type(config) != JSON_OBJECT)
        return gemini_refuse(at, ERR_REQUEST, "generationConfig",
                             "generationConfig must be an object");
    int error = read_numbers(at, config);
    if (error == 0)
        error = read_stop(at, config);
    if (error == 0)
        error = read_thinking(at, config);
    if (error == 0)
        error = read_format(at, config);
    if (error == 0)
        error = read_modalities(at, config);
    note_config(at->request, config);
    return error;
}

int
gemini_read_request(struct canon_request *request, struct canon_fault *fault)
{
    struct gemini_reading at = {.request = request, .fault = fault};
    struct json root = gemini_request_root(request);
    request->parallel = -1;
    request->show_thoughts = -1;
    int error = gemini_read_contents(&at, root);
    if (error == 0)
        error = gemini_read_tools(&at, root);
    if (error == 0)
        error = read_config(&at, gemini_get(root, "generationConfig"));
    return error != 0 ? error : read_rest(&at, root);
}
