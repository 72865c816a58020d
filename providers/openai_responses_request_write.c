/* SPDX-License-Identifier: MIT
 *
 * openai_responses_request_write.c - a canonical request of another dialect's client as a Responses
 * request.
 *
 * It always asks for a stream, and for nothing to be stored unless the client wants that. What
 * cannot be said is dropped and reported, unless the answer would mean something else without it:
 * then the request is refused by the field's name.
 */
#include "providers/openai_responses_request.h"

int
responses_unsupported(struct responses_writing *at, const char *param, const char *why)
{
    at->fault->param = slice_from(param);
    at->fault->message = arena_printf(at->arena, "%s: %s", param, why);
    return -ERR_UNSUPPORTED;
}

static void
put_escaped(struct responses_writing *at, const char *name, struct slice text)
{
    json_name(&at->json, name);
    json_put_escaped(&at->json, text);
}

/* ---------------------------------------------------------------- what cannot be said */

/* A field as the client's dialect calls it. */
static const char *
field_name(const struct responses_writing *at, const char *chat, const char *anthropic,
           const char *gemini)
{
    if (at->request->from == DIALECT_ANTHROPIC)
        return anthropic;
    return at->request->from == DIALECT_GEMINI ? gemini : chat;
}

static int
refuse_fields(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    for (const struct canon_stop *stop = request->stop; stop; stop = stop->next) {
        if (stop->text.len > 0)
            return responses_unsupported(
                at, field_name(at, "stop", "stop_sequences", "generationConfig.stopSequences"),
                "the upstream behind this model knows no stop sequences");
    }
    if (slice_present(request->n) && json_text_u64_or(request->n, 0) != 1)
        return responses_unsupported(at,
                                     field_name(at, "n", "n", "generationConfig.candidateCount"),
                                     "the upstream behind this model gives one answer at a time");
    return 0;
}

static void
report_fields(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    const struct {
        const char *name;
        struct slice value;
    } rows[] = {
        {"seed", request->seed},
        {"presence_penalty", request->presence_penalty},
        {"frequency_penalty", request->frequency_penalty},
        {"logit_bias", request->logit_bias},
        {"top_k", request->top_k},
        {"safetySettings", request->safety},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        if (slice_present(rows[i].value) && !slice_is(rows[i].value, "null"))
            canon_drop(at->report, rows[i].name);
    }
    anthropic_note_unknown(request, at->report);
}

/* ---------------------------------------------------------------- text, reasoning */

static void
put_format(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    struct json_writer *json = &at->json;
    json_name(json, "format");
    json_object(json);
    if (request->format == FORMAT_JSON_OBJECT) {
        json_member_text(json, "type", "json_object");
        json_end(json);
        return;
    }
    json_member_text(json, "type", "json_schema");
    put_escaped(at, "name",
                request->format_name.len > 0 ? request->format_name : SLICE_LIT("response"));
    if (slice_present(request->format_description))
        put_escaped(at, "description", request->format_description);
    json_member_raw(json, "schema",
                    slice_present(request->format_schema) ? request->format_schema
                                                          : SLICE_LIT("{}"));
    if (slice_present(request->format_strict) && !slice_is(request->format_strict, "null"))
        json_member_raw(json, "strict", request->format_strict);
    json_end(json);
}

static void
put_text(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    bool formed = request->format == FORMAT_JSON_OBJECT || request->format == FORMAT_JSON_SCHEMA;
    if (!formed && request->verbosity.len == 0)
        return;
    json_name(&at->json, "text");
    json_object(&at->json);
    if (formed)
        put_format(at);
    if (request->verbosity.len > 0)
        put_escaped(at, "verbosity", request->verbosity);
    json_end(&at->json);
}

/*
 * How a model is told not to think: the first GPT-5 knows only how to think little, the o-series
 * thinks in any case. Absent: it cannot be told.
 */
static struct slice
no_effort(struct slice model)
{
    for (size_t i = model.len; i > 0; i--) {
        if (model.ptr[i - 1] == '/') { /* whose it is, as OpenRouter writes it */
            model = slice_skip(model, i);
            break;
        }
    }
    if (model.len > 1 && model.ptr[0] == 'o' && model.ptr[1] >= '0' && model.ptr[1] <= '9')
        return SLICE_NONE;
    bool first =
        slice_starts(model, SLICE_LIT("gpt-5")) && !slice_starts(model, SLICE_LIT("gpt-5."));
    return first ? SLICE_LIT("minimal") : SLICE_LIT("none");
}

/* The effort in words, from words or from a budget; absent: the client leaves it to the model. */
static struct slice
effort_of(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    uint64_t budget = json_text_u64_or(request->thinking_budget, UINT64_MAX);
    bool off = request->thinking == THINKING_DISABLED || (request->effort.len == 0 && budget == 0);
    if (off) {
        struct slice word = no_effort(at->upstream->model);
        if (!slice_present(word))
            canon_drop(at->report, "thinking");
        return word;
    }
    if (request->effort.len > 0 || budget == UINT64_MAX)
        return request->effort;
    return budget <= 2048    ? SLICE_LIT("low")
           : budget <= 16384 ? SLICE_LIT("medium")
           : budget <= 28000 ? SLICE_LIT("high")
                             : SLICE_LIT("xhigh");
}

static void
put_reasoning(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    bool thinks = request->thinking == THINKING_ENABLED || request->thinking == THINKING_ADAPTIVE;
    bool shown = request->show_thoughts == 1 ||
                 (request->show_thoughts != 0 && thinks && request->from == DIALECT_ANTHROPIC);
    if (at->upstream->effort == TELL_NOTHING) {
        if (request->effort.len > 0)
            canon_drop(at->report, "effort");
        if (request->thinking != THINKING_UNSET || slice_present(request->thinking_budget) ||
            request->show_thoughts == 1)
            canon_drop(at->report, "thinking");
        return;
    }
    struct slice effort = effort_of(at);
    if (effort.len == 0 && !shown)
        return;
    json_name(&at->json, "reasoning");
    json_object(&at->json);
    if (effort.len > 0)
        put_escaped(at, "effort", effort);
    if (shown)
        json_member_text(&at->json, "summary", "auto");
    json_end(&at->json);
}

/* ---------------------------------------------------------------- limits, sampling */

static void
put_limit(struct responses_writing *at)
{
    struct slice wanted = at->request->max_tokens;
    uint64_t most = at->upstream->max_output_tokens, tokens = json_text_u64_or(wanted, UINT64_MAX);
    if (!slice_present(wanted))
        return;
    if (most > 0 && tokens != UINT64_MAX && tokens > most) {
        json_member_u64(&at->json, "max_output_tokens", most);
    } else if (tokens < RESPONSES_OUTPUT_LEAST && at->upstream->keeps_state) {
        canon_drop(at->report, "max_tokens below 16");
        json_member_u64(&at->json, "max_output_tokens", RESPONSES_OUTPUT_LEAST);
    } else {
        json_member_raw(&at->json, "max_output_tokens", wanted);
    }
}

static void
put_sampling(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    const struct {
        const char *name;
        struct slice value;
    } rows[] = {
        {"temperature", request->temperature},
        {"top_p", request->top_p},
        {"top_logprobs", request->top_logprobs},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        if (slice_present(rows[i].value))
            json_member_raw(&at->json, rows[i].name, rows[i].value);
    }
}

/* Reasoning must come in a form that can be sent back, since nothing is stored. */
static void
put_include(struct responses_writing *at)
{
    struct slice logprobs = at->request->logprobs;
    bool encrypted = at->upstream->effort != TELL_NOTHING;
    bool probable =
        slice_present(logprobs) && !slice_is(logprobs, "false") && !slice_is(logprobs, "null");
    if (!encrypted && !probable)
        return;
    json_name(&at->json, "include");
    json_array(&at->json);
    if (encrypted)
        json_put_literal(&at->json, "reasoning.encrypted_content");
    if (probable)
        json_put_literal(&at->json, "message.output_text.logprobs");
    json_end(&at->json);
}

/* ---------------------------------------------------------------- the rest */

static void
put_user(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    bool safety = request->from == DIALECT_OPENAI_CHAT &&
                  json_type(json_get(request->root, "safety_identifier")) == JSON_STRING;
    const char *name = safety ? "safety_identifier" : "user";
    if (!slice_present(request->user))
        return;
    if (request->user.len <= 64) {
        put_escaped(at, name, request->user);
        return;
    }
    json_name(&at->json, name);
    struct slice hashed =
        arena_printf(at->arena, "user_%016llx", (unsigned long long)canon_hash(request->user));
    if (!slice_present(hashed))
        at->out->error = -ERR_MEMORY;
    json_put_escaped(&at->json, hashed);
}

static void
put_service_tier(struct responses_writing *at)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"standard_only", "default"},
                 {"standard", "default"},
                 {"STANDARD", "default"},
                 {"FLEX", "flex"},
                 {"PRIORITY", "priority"}};
    struct slice tier = at->request->service_tier;
    for (size_t i = 0; i < countof(words); i++) {
        if (slice_is(tier, words[i].theirs))
            tier = slice_from(words[i].ours);
    }
    if (tier.len > 0)
        put_escaped(at, "service_tier", tier);
}

static void
put_rest(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    put_limit(at);
    put_sampling(at);
    put_include(at);
    json_member_bool(&at->json, "store", slice_is(request->store, "true"));
    json_member_bool(&at->json, "stream", true);
    put_service_tier(at);
    /* Anthropic's metadata is the user's id; what else somebody put there has no counterpart. */
    if (slice_present(request->metadata) && request->from == DIALECT_ANTHROPIC)
        canon_drop(at->report, "metadata");
    else if (slice_present(request->metadata))
        json_member_raw(&at->json, "metadata", request->metadata);
    put_user(at);
    if (slice_present(request->cache_key))
        put_escaped(at, "prompt_cache_key", request->cache_key);
}

int
responses_put_body(struct responses_writing *at)
{
    json_object(&at->json);
    json_member(&at->json, "model", at->upstream->model);
    int error = responses_put_items(at);
    if (!error)
        error = responses_put_tools(at);
    if (error)
        return error;
    put_text(at);
    put_reasoning(at);
    if (!at->counting)
        put_rest(at);
    json_end(&at->json);
    return at->out->error;
}

/* ---------------------------------------------------------------- what the canon does not hold */

/* Is the member one of those that the canonical request holds, or that its reader has dealt with?
 */
static bool
is_held(struct json member)
{
    static const char *const names[] = {"model",
                                        "messages",
                                        "stream",
                                        "stream_options",
                                        "max_tokens",
                                        "max_completion_tokens",
                                        "temperature",
                                        "top_p",
                                        "top_k",
                                        "seed",
                                        "n",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "top_logprobs",
                                        "logprobs",
                                        "logit_bias",
                                        "stop",
                                        "tools",
                                        "functions",
                                        "tool_choice",
                                        "function_call",
                                        "parallel_tool_calls",
                                        "response_format",
                                        "reasoning_effort",
                                        "reasoning",
                                        "thinking",
                                        "thinking_budget",
                                        "enable_thinking",
                                        "user",
                                        "safety_identifier",
                                        "service_tier",
                                        "metadata",
                                        "modalities",
                                        "prediction",
                                        "audio",
                                        "web_search_options",
                                        "verbosity",
                                        "store",
                                        "prompt_cache_key"};
    for (size_t i = 0; i < countof(names); i++) {
        if (json_key_is(member, names[i]))
            return true;
    }
    return false;
}

/* Is there something that nobody here knows, and does the configuration let it through? */
static bool
has_extras(const struct responses_writing *at)
{
    bool wanted = at->upstream->extra_fields && at->request->from == DIALECT_OPENAI_CHAT;
    struct json member = wanted ? json_first(at->request->root) : JSON_NONE;
    while (json_present(member) && is_held(member))
        member = json_next(member);
    return json_present(member);
}

/* What stays behind its reader has noted. */
static void
put_extras(struct responses_writing *at, struct splice *splice, struct json written)
{
    if (!has_extras(at))
        return;
    for (struct json member = json_first(at->request->root); json_present(member);
         member = json_next(member)) {
        struct slice name = arena_copy(at->arena, json_unescape(json_key(member), at->arena));
        if (!slice_present(name)) {
            splice->failed = true;
            return;
        }
        if (!is_held(member) && !json_present(json_get(written, name.ptr)))
            splice_add(splice, written, json_key(member), json_raw(member));
    }
}

/* Extras and configured defaults are edits to what was written. */
static int
finish(struct responses_writing *at, struct slice body, struct sink *out)
{
    struct json root;
    struct splice splice;
    int error = json_parse(body, RESPONSES_DEPTH_MAX, RESPONSES_TOKENS_MAX, at->arena, &root);
    if (error)
        return error;
    splice_init(&splice, body, at->arena);
    put_extras(at, &splice, root);
    struct json given = has_extras(at) ? at->request->root : JSON_NONE;
    responses_put_defaults(&splice, root, given, at->upstream->default_params);
    return splice_put(&splice, out);
}

int
responses_write_request(const struct canon_request *request,
                        const struct dialect_upstream *upstream, struct sink *out,
                        struct canon_report *report, struct canon_fault *fault)
{
    struct sink draft;
    sink_init(&draft, out->max);
    struct responses_writing at = {.request = request,
                                   .upstream = upstream,
                                   .arena = request->arena,
                                   .out = out,
                                   .report = report,
                                   .fault = fault};
    bool edited = slice_present(upstream->default_params) || has_extras(&at);
    at.out = edited ? &draft : out;
    json_writer_init(&at.json, at.out);
    int error = refuse_fields(&at);
    if (!error) {
        report_fields(&at);
        error = responses_put_body(&at);
    }
    if (!error && edited)
        error = finish(&at, sink_slice(&draft), out);
    sink_fini(&draft);
    return error ? error : out->error;
}
