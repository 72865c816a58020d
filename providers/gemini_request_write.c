/* SPDX-License-Identifier: MIT
 *
 * gemini_request_write.c - a canonical request as a generateContent request, or as the question how
 * many tokens it has.
 *
 * An unknown name is an error to Gemini, so nothing is sent that is not in its grammar. What cannot
 * be said is dropped and reported, unless it changes the meaning of the answer: then the request is
 * refused by the name of the field (wire-formats 11.6).
 */
#include "providers/gemini_write.h"

#include "base/text.h"
#include "providers/gemini_schema.h"

#define SCHEMA_BYTES_MAX (4u << 20)
#define STOP_MAX 5

int
gemini_unsupported(struct gemini_writing *at, const char *param, const char *why)
{
    at->fault->message = arena_printf(at->arena, "%s: %s", param, why);
    at->fault->param = slice_from(param);
    return -ERR_UNSUPPORTED;
}

/* ---------------------------------------------------------------- generationConfig */

static void
settle(struct gemini_writing *at, const char *name)
{
    assert(at->settled_count < (int)countof(at->settled));
    at->settled[at->settled_count++] = name;
}

void
gemini_config(struct gemini_writing *at, const char *name)
{
    if (!at->config_open) {
        json_name(&at->json, "generationConfig");
        json_object(&at->json);
        at->config_open = true;
    }
    settle(at, name);
    json_name(&at->json, name);
}

static void
put_number(struct gemini_writing *at, const char *name, struct slice value)
{
    if (!slice_present(value))
        return;
    gemini_config(at, name);
    json_put_raw(&at->json, value);
}

static void
put_limit(struct gemini_writing *at)
{
    uint64_t most = at->upstream->max_output_tokens, limit = json_text_u64_or(at->max_tokens, 0);
    if (!slice_present(at->max_tokens))
        return;
    gemini_config(at, "maxOutputTokens");
    if (most != 0 && limit > most)
        json_put_u64(&at->json, most);
    else
        json_put_raw(&at->json, at->max_tokens);
}

/* A seed has 32 bits here. */
static void
put_seed(struct gemini_writing *at)
{
    struct slice seed = at->request->seed,
                 digits = slice_starts(seed, SLICE_LIT("-")) ? slice_skip(seed, 1) : seed;
    if (slice_present(seed) && json_text_u64_or(digits, UINT64_MAX) > INT32_MAX)
        canon_drop(at->report, "seed");
    else
        put_number(at, "seed", seed);
}

static void
put_stop(struct gemini_writing *at)
{
    int count = 0;
    for (const struct canon_stop *stop = at->request->stop; stop; stop = stop->next) {
        if (stop->text.len == 0 || count == STOP_MAX) {
            canon_drop(at->report, "stop");
            continue;
        }
        if (count++ == 0) {
            gemini_config(at, "stopSequences");
            json_array(&at->json);
        }
        json_put_escaped(&at->json, stop->text);
    }
    if (count > 0)
        json_end(&at->json);
}

static void
put_logprobs(struct gemini_writing *at)
{
    const struct canon_request *request = at->request;
    uint64_t top = json_text_u64_or(request->top_logprobs, 0);
    if (!slice_is(request->logprobs, "true") && (slice_present(request->logprobs) || top == 0))
        return;
    gemini_config(at, "responseLogprobs");
    json_put_bool(&at->json, true);
    if (top > 0)
        put_number(at, "logprobs", request->top_logprobs);
}

/* Before the third generation a form of the answer and functions exclude each other: then the form
 * is asked for in words. */
static bool
form_in_words(const struct gemini_writing *at)
{
    enum canon_format format = at->request->format;
    return at->functions && !at->upstream->thinking_level &&
           (format == FORMAT_JSON_OBJECT || format == FORMAT_JSON_SCHEMA);
}

static int
put_format(struct gemini_writing *at)
{
    const struct canon_request *request = at->request;
    bool json = request->format == FORMAT_JSON_OBJECT || request->format == FORMAT_JSON_SCHEMA;
    if (!json || form_in_words(at))
        return 0;
    gemini_config(at, "responseMimeType");
    json_put_literal(&at->json, "application/json");
    if (request->format != FORMAT_JSON_SCHEMA || !slice_present(request->format_schema))
        return 0;
    if (at->upstream->json_schema) {
        gemini_config(at, "responseJsonSchema");
        json_put_raw(&at->json, request->format_schema);
        return 0;
    }
    struct sink text;
    sink_init(&text, SCHEMA_BYTES_MAX);
    int result = gemini_schema_reduce(request->format_schema, false, &text);
    if (result == 1) {
        gemini_config(at, "responseSchema");
        sink_carry(at->json.sink, &text);
        json_put_raw(&at->json, sink_slice(&text));
    }
    sink_fini(&text);
    return result == -ERR_UNSUPPORTED
               ? gemini_unsupported(at, "response_format",
                                    "this schema cannot be said to this model")
           : result < 0 ? result
                        : 0;
}

/* Chat's word for answers that are more than text. */
static int
put_modalities(struct gemini_writing *at)
{
    struct json list = at->request->from == DIALECT_OPENAI_CHAT
                           ? json_get(at->request->root, "modalities")
                           : JSON_NONE;
    bool image = false;
    for (struct json one = json_type(list) == JSON_ARRAY ? json_first(list) : JSON_NONE;
         json_present(one); one = json_next(one)) {
        image = image || json_is(one, "image");
        if (!json_is(one, "image") && !json_is(one, "text"))
            return gemini_unsupported(at, "modalities",
                                      "this model answers with text and images only");
    }
    if (image) {
        gemini_config(at, "responseModalities");
        json_put_raw(&at->json, SLICE_LIT("[\"TEXT\",\"IMAGE\"]"));
    }
    return 0;
}

/* ---------------------------------------------------------------- configured defaults */

/* The words that other APIs have for members of generationConfig. */
static const struct {
    const char *word, *name;
} equivalents[] = {
    {"temperature", "temperature"},
    {"top_p", "topP"},
    {"top_k", "topK"},
    {"max_tokens", "maxOutputTokens"},
    {"max_completion_tokens", "maxOutputTokens"},
    {"max_output_tokens", "maxOutputTokens"},
    {"seed", "seed"},
    {"stop", "stopSequences"},
    {"presence_penalty", "presencePenalty"},
    {"frequency_penalty", "frequencyPenalty"},
    {"n", "candidateCount"},
};

const char *
gemini_config_name(struct json member)
{
    for (size_t i = 0; i < countof(equivalents); i++) {
        if (json_key_is(member, equivalents[i].word))
            return equivalents[i].name;
    }
    return NULL;
}

const char *const gemini_own_fields[] = {"safetySettings", "labels", "serviceTier",
                                         "cachedContent"};
const size_t gemini_own_field_count = countof(gemini_own_fields);

static bool
settled(const struct gemini_writing *at, struct json member)
{
    for (int i = 0; i < at->settled_count; i++) {
        if (gemini_key_is(member, at->settled[i]))
            return true;
    }
    return false;
}

static bool
settled_name(const struct gemini_writing *at, const char *name)
{
    for (int i = 0; i < at->settled_count; i++) {
        if (strcmp(at->settled[i], name) == 0)
            return true;
    }
    return false;
}

static void
put_default(struct gemini_writing *at, struct json member)
{
    const char *name = gemini_config_name(member);
    if (!name || settled_name(at, name) || !gemini_given(member))
        return;
    gemini_config(at, name);
    bool single = strcmp(name, "stopSequences") == 0 && json_type(member) == JSON_STRING;
    if (single)
        json_array(&at->json);
    json_put_raw(&at->json, json_raw(member));
    if (single)
        json_end(&at->json);
}

static int
put_config_defaults(struct gemini_writing *at)
{
    struct json config = at->default_config;
    for (struct json one = json_type(config) == JSON_OBJECT ? json_first(config) : JSON_NONE;
         json_present(one); one = json_next(one)) {
        if (settled(at, one))
            continue;
        struct slice name = json_unescape(json_key(one), at->arena);
        if (!slice_present(name))
            return -ERR_MEMORY;
        if (!at->config_open) {
            json_name(&at->json, "generationConfig");
            json_object(&at->json);
            at->config_open = true;
        }
        json_name_slice(&at->json, name);
        json_put_raw(&at->json, json_raw(one));
    }
    for (struct json one = json_first(at->defaults); json_present(one); one = json_next(one)) {
        const char *name = gemini_config_name(one);
        if (name && !json_present(gemini_get(config, name)))
            put_default(at, one);
    }
    return 0;
}

static int
read_defaults(struct gemini_writing *at)
{
    at->max_tokens = at->request->max_tokens;
    if (!slice_present(at->upstream->default_params))
        return 0;
    int error = json_parse(at->upstream->default_params, GEMINI_REQUEST_DEPTH,
                           GEMINI_REQUEST_TOKENS, at->arena, &at->defaults);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_CONFIG;
    at->default_config = gemini_get(at->defaults, "generationConfig");
    struct json limit = gemini_get(at->default_config, "maxOutputTokens");
    for (size_t i = 0; i < countof(equivalents) && !json_present(limit); i++) {
        if (strcmp(equivalents[i].name, "maxOutputTokens") == 0)
            limit = json_get(at->defaults, equivalents[i].word);
    }
    if (!slice_present(at->max_tokens) && json_type(limit) == JSON_NUMBER)
        at->max_tokens = json_raw(limit);
    return 0;
}

static int
put_config(struct gemini_writing *at)
{
    const struct canon_request *request = at->request;
    put_number(at, "temperature", request->temperature);
    put_number(at, "topP", request->top_p);
    put_number(at, "topK", request->top_k);
    put_limit(at);
    put_stop(at);
    put_seed(at);
    put_number(at, "presencePenalty", request->presence_penalty);
    put_number(at, "frequencyPenalty", request->frequency_penalty);
    if (slice_present(request->n) && json_text_u64_or(request->n, 0) != 1)
        put_number(at, "candidateCount", request->n);
    put_logprobs(at);
    int error = put_format(at);
    if (error == 0)
        error = put_modalities(at);
    if (error != 0)
        return error;
    gemini_put_thinking(at);
    error = put_config_defaults(at);
    if (at->config_open)
        json_end(&at->json);
    return error;
}

/* ---------------------------------------------------------------- system */

static bool
leads(const struct canon_message *message)
{
    return message && (message->role == ROLE_SYSTEM || message->role == ROLE_DEVELOPER);
}

static const struct slice json_instruction =
    SLICE_LIT("Answer with exactly one JSON object and nothing else: no prose, no code fence.");

static int
put_form_in_words(struct gemini_writing *at)
{
    struct slice schema = at->request->format == FORMAT_JSON_SCHEMA ? at->request->format_schema
                                                                    : SLICE_NONE,
                 text = json_instruction;
    canon_drop(at->report, "response_format");
    if (slice_present(schema)) {
        struct slice escaped = canon_escape(schema, at->arena);
        text = slice_present(escaped)
                   ? arena_printf(at->arena, "%.*s It must match this JSON Schema: %.*s",
                                  SLICE_ARG(json_instruction), SLICE_ARG(escaped))
                   : SLICE_NONE;
    }
    if (!slice_present(text))
        return -ERR_MEMORY;
    gemini_put_text_part(at, text, SLICE_NONE);
    return 0;
}

static void
begin_system(struct gemini_writing *at, bool *open)
{
    if (*open)
        return;
    *open = true;
    json_name(&at->json, "systemInstruction");
    json_object(&at->json);
    json_name(&at->json, "parts");
    json_array(&at->json);
}

/* Leading instructions, each a part of its own. */
static int
put_system(struct gemini_writing *at)
{
    bool open = false;
    int error = 0;
    for (const struct canon_message *message = at->request->messages; leads(message);
         message = message->next) {
        for (const struct canon_part *part = message->parts; part; part = part->next) {
            if (slice_present(part->cache_control))
                canon_drop(at->report, "cache_control");
            if (part->kind != PART_TEXT) {
                canon_drop(at->report, "system content");
            } else if (part->text.len > 0) {
                begin_system(at, &open);
                gemini_put_text_part(at, part->text, SLICE_NONE);
            }
        }
    }
    if (form_in_words(at)) {
        begin_system(at, &open);
        error = put_form_in_words(at);
    }
    if (!open)
        return error;
    json_end(&at->json);
    json_end(&at->json);
    return error;
}

/* ---------------------------------------------------------------- the whole */

static int
put_body(struct gemini_writing *at)
{
    const struct canon_message *messages = at->request->messages;
    while (leads(messages))
        messages = messages->next;
    int error = gemini_put_contents(at, messages);
    if (error == 0)
        error = gemini_put_tools(at);
    if (error == 0)
        error = put_system(at);
    if (error == 0)
        error = put_config(at);
    if (error != 0 || at->counted)
        return error;
    return gemini_put_rest(at);
}

static int
begin(struct gemini_writing *at)
{
    json_writer_init(&at->json, at->out);
    gemini_report_fields(at);
    return read_defaults(at);
}

int
gemini_write_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                     struct sink *out, struct canon_report *report, struct canon_fault *fault)
{
    struct gemini_writing at = {.request = request,
                                .upstream = upstream,
                                .arena = request->arena,
                                .out = out,
                                .report = report,
                                .fault = fault};
    int error = begin(&at);
    if (error != 0)
        return error;
    json_object(&at.json);
    error = put_body(&at);
    if (error != 0)
        return error; /* the text is of no use now: nothing needs closing */
    json_end(&at.json);
    return out->error;
}

int
gemini_write_counted(const struct canon_request *request, const struct dialect_upstream *upstream,
                     struct sink *out, struct canon_report *report, struct canon_fault *fault)
{
    struct gemini_writing at = {.request = request,
                                .upstream = upstream,
                                .arena = request->arena,
                                .out = out,
                                .report = report,
                                .fault = fault,
                                .counted = upstream->surface == SURFACE_VERTEX};
    int error = begin(&at);
    if (error != 0)
        return error;
    json_object(&at.json);
    if (!at.counted) {
        struct sink model;
        sink_init(&model, 64 * 1024);
        gemini_put_model(&model, upstream->model);
        json_name(&at.json, "generateContentRequest");
        json_object(&at.json);
        sink_carry(at.json.sink, &model);
        json_member(&at.json, "model", sink_slice(&model));
        sink_fini(&model);
    }
    error = put_body(&at);
    if (error != 0)
        return error;
    if (!at.counted)
        json_end(&at.json);
    json_end(&at.json);
    return out->error;
}
