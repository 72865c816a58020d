/* SPDX-License-Identifier: MIT
 *
 * openai_chat_request_write.c - a canonical request of another dialect's client as a Chat
 * Completions request.
 *
 * It always asks for a stream. What the upstream cannot be told is left out and reported, unless
 * that would change what the answer means: then the request is refused by name.
 */
#include "providers/openai_chat_write.h"

#include <stdio.h>

static void
put_escaped(struct json_writer *json, const char *name, struct slice text)
{
    json_name(json, name);
    json_put_escaped(json, text);
}

/* ---------------------------------------------------------------- limits, sampling, format */

static void
put_limit(struct chat_request_writer *to)
{
    const struct dialect_upstream *upstream = to->upstream;
    struct slice wanted = to->request->max_tokens;
    if (!slice_present(wanted))
        return;
    const char *name = upstream->max_completion_tokens ? "max_completion_tokens" : "max_tokens";
    uint64_t tokens = json_text_u64_or(wanted, 0);
    if (upstream->max_output_tokens > 0 && tokens > upstream->max_output_tokens)
        json_member_u64(&to->json, name, upstream->max_output_tokens);
    else
        json_member_raw(&to->json, name, wanted);
}

static void
put_stop(struct chat_request_writer *to)
{
    int count = 0;
    for (const struct canon_stop *at = to->request->stop; at; at = at->next) {
        if (count == 4) {
            canon_drop(to->report, "stop_sequences");
            break;
        }
        if (count++ == 0) {
            json_name(&to->json, "stop");
            json_array(&to->json);
        }
        json_put_escaped(&to->json, at->text);
    }
    if (count > 0)
        json_end(&to->json);
}

static void
put_numbers(struct chat_request_writer *to)
{
    const struct canon_request *request = to->request;
    const struct {
        const char *name;
        struct slice value;
    } rows[] = {
        {"temperature", request->temperature},
        {"top_p", request->top_p},
        {to->upstream->ids == IDS_NINE ? "random_seed" : "seed", request->seed},
        {"n", request->n},
        {"presence_penalty", request->presence_penalty},
        {"frequency_penalty", request->frequency_penalty},
        {"logprobs", request->logprobs},
        {"top_logprobs", request->top_logprobs},
        {"logit_bias", request->logit_bias},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (slice_present(rows[i].value))
            json_member_raw(&to->json, rows[i].name, rows[i].value);
    if (slice_present(request->top_k) && to->upstream->top_k)
        json_member_raw(&to->json, "top_k", request->top_k);
    else if (slice_present(request->top_k))
        canon_drop(to->report, "top_k");
}

static void
put_format(struct chat_request_writer *to)
{
    const struct canon_request *request = to->request;
    struct json_writer *json = &to->json;
    if (request->format != FORMAT_JSON_OBJECT && request->format != FORMAT_JSON_SCHEMA)
        return;
    json_name(json, "response_format");
    json_object(json);
    if (request->format == FORMAT_JSON_OBJECT) {
        json_member_text(json, "type", "json_object");
        json_end(json);
        return;
    }
    json_member_text(json, "type", "json_schema");
    json_name(json, "json_schema");
    json_object(json);
    put_escaped(json, "name",
                request->format_name.len > 0 ? request->format_name : SLICE_LIT("response"));
    if (slice_present(request->format_description))
        put_escaped(json, "description", request->format_description);
    if (slice_present(request->format_schema))
        json_member_raw(json, "schema", request->format_schema);
    if (slice_present(request->format_strict))
        json_member_raw(json, "strict", request->format_strict);
    json_end(json);
    json_end(json);
}

/* ---------------------------------------------------------------- reasoning */

/* The effort in words, from words or from a budget; absent: the client leaves it to the model. */
static struct slice
effort_of(const struct canon_request *request)
{
    if (request->thinking == THINKING_DISABLED)
        return SLICE_LIT("none");
    if (request->effort.len > 0)
        return request->effort;
    uint64_t budget = json_text_u64_or(request->thinking_budget, UINT64_MAX);
    if (request->thinking != THINKING_ENABLED || budget == UINT64_MAX)
        return SLICE_NONE;
    if (budget == 0)
        return SLICE_LIT("none");
    return budget <= 2048    ? SLICE_LIT("low")
           : budget <= 16384 ? SLICE_LIT("medium")
           : budget <= 28000 ? SLICE_LIT("high")
                             : SLICE_LIT("xhigh");
}

struct slice
chat_budget_of_effort(struct slice effort)
{
    if (slice_is(effort, "minimal") || slice_is(effort, "low"))
        return SLICE_LIT("1024");
    return slice_is(effort, "medium") ? SLICE_LIT("8192") : SLICE_NONE;
}

static void
put_reasoning(struct chat_request_writer *to)
{
    const struct canon_request *request = to->request;
    struct json_writer *json = &to->json;
    struct slice effort = effort_of(request);
    bool is_told = request->thinking != THINKING_UNSET || effort.len > 0;
    bool is_off = slice_is(effort, "none");
    uint64_t budget = json_text_u64_or(request->thinking_budget, UINT64_MAX);
    if (!is_told)
        return;
    switch (to->upstream->effort) {
    case TELL_NOTHING:
        if (request->effort.len > 0)
            canon_drop(to->report, "effort");
        if (request->thinking == THINKING_ENABLED || request->thinking == THINKING_ADAPTIVE)
            canon_drop(to->report, "thinking");
        return;
    case TELL_REASONING_EFFORT:
        if (effort.len > 0)
            put_escaped(json, "reasoning_effort", effort);
        return;
    case TELL_ENABLE_THINKING:
        json_member_bool(json, "enable_thinking", !is_off);
        if (!is_off && budget != UINT64_MAX)
            json_member_u64(json, "thinking_budget", budget);
        else if (!is_off && slice_present(chat_budget_of_effort(effort)))
            json_member_raw(json, "thinking_budget", chat_budget_of_effort(effort));
        return;
    case TELL_THINKING:
        json_name(json, "thinking");
        json_object(json);
        json_member_text(json, "type", is_off ? "disabled" : "enabled");
        json_end(json);
        return;
    }
}

/* ---------------------------------------------------------------- the rest */

static void
put_user(struct chat_request_writer *to)
{
    struct slice user = to->request->user;
    if (!slice_present(user))
        return;
    if (user.len <= 64) {
        put_escaped(&to->json, "user", user);
        return;
    }
    char hashed[32];
    snprintf(hashed, sizeof(hashed), "user_%016llx", (unsigned long long)canon_hash(user));
    json_member_text(&to->json, "user", hashed);
}

/* What only OpenAI itself understands; for others it is left out, and said. */
static void
put_official(struct chat_request_writer *to)
{
    const struct canon_request *request = to->request;
    bool is_official = chat_is_official(to->upstream);
    bool has_map = slice_present(request->metadata);
    if (request->verbosity.len > 0 && is_official)
        put_escaped(&to->json, "verbosity", request->verbosity);
    else if (request->verbosity.len > 0)
        canon_drop(to->report, "verbosity");
    if (slice_present(request->cache_key) && is_official)
        put_escaped(&to->json, "prompt_cache_key", request->cache_key);
    else if (slice_present(request->cache_key))
        canon_drop(to->report, "prompt_cache_key");
    if (slice_is(request->store, "true") && is_official)
        json_member_bool(&to->json, "store", true);
    else if (slice_is(request->store, "true"))
        canon_drop(to->report, "store");
    /* Anthropic's is the user's id; what else somebody put there has no counterpart. */
    if (has_map && is_official && request->from != DIALECT_ANTHROPIC)
        json_member_raw(&to->json, "metadata", request->metadata);
    else if (has_map)
        canon_drop(to->report, "metadata");
    if (slice_present(request->safety))
        canon_drop(to->report, "safetySettings");
}

static int
put_rest(struct chat_request_writer *to)
{
    const struct canon_request *request = to->request;
    json_member_bool(&to->json, "stream", true);
    if (to->upstream->usage_in_stream)
        json_member_raw(&to->json, "stream_options", SLICE_LIT("{\"include_usage\":true}"));
    put_limit(to);
    put_numbers(to);
    put_stop(to);
    put_format(to);
    put_reasoning(to);
    put_user(to);
    if (slice_is(request->service_tier, "standard_only"))
        json_member_text(&to->json, "service_tier", "default");
    else if (request->service_tier.len > 0)
        put_escaped(&to->json, "service_tier", request->service_tier);
    put_official(to);
    return chat_put_tools(to);
}

static int
put_request(struct chat_request_writer *to)
{
    json_object(&to->json);
    json_member(&to->json, "model", to->upstream->model);
    json_name(&to->json, "messages");
    int error = chat_put_messages(to);
    if (!error)
        error = put_rest(to);
    if (error)
        return error;
    json_end(&to->json);
    return to->out->error;
}

/* Is the member one of those that the canonical request holds? The names are Anthropic's. */
static bool
is_held(struct json member)
{
    static const char *const held[] = {
        "model",          "messages",    "system",        "stream",
        "max_tokens",     "temperature", "top_p",         "top_k",
        "tools",          "thinking",    "output_config", "output_format",
        "stop_sequences", "metadata",    "tool_choice",   "service_tier"};
    for (size_t i = 0; i < countof(held); i++)
        if (json_key_is(member, held[i]))
            return true;
    return false;
}

static bool
has_extras(struct json root)
{
    for (struct json at = json_first(root); json_present(at); at = json_next(at))
        if (!is_held(at))
            return true;
    return false;
}

/* A field that only Anthropic knows: no use to anyone else. NULL for any other. */
static const char *
foreign_name(struct json member)
{
    static const char *const foreign[] = {"cache_control", "container",          "inference_geo",
                                          "mcp_servers",   "context_management", "fallbacks",
                                          "speed",         "diagnostics"};
    for (size_t i = 0; i < countof(foreign); i++)
        if (json_key_is(member, foreign[i]))
            return foreign[i];
    return NULL;
}

/* What the canon does not hold goes along if the configuration says so; what stays behind is
 * reported. */
static void
put_extras(struct chat_request_writer *to, struct splice *splice, struct json written)
{
    struct json root = to->request->root;
    if (to->request->from != DIALECT_ANTHROPIC)
        return; /* readers of other dialects note themselves what has no place in the canon */
    for (struct json at = json_first(root); json_present(at); at = json_next(at)) {
        struct slice name = arena_copy(splice->arena, json_unescape(json_key(at), splice->arena));
        if (!slice_present(name)) {
            splice->failed = true;
            return;
        }
        const char *foreign = foreign_name(at);
        if (is_held(at) || json_present(json_get(written, name.ptr)))
            continue;
        if (foreign || !to->upstream->extra_fields)
            canon_drop(to->report, foreign ? foreign : "unknown field");
        else
            splice_add(splice, written, json_key(at), json_raw(at));
    }
}

/* Configured defaults, and turns merged for a strict upstream: edits to what was written. */
static int
finish_request(struct chat_request_writer *to, struct slice body, struct sink *out)
{
    const struct dialect_upstream *upstream = to->upstream;
    struct arena *arena = to->request->arena;
    struct json root;
    int error = json_parse(body, 128, 1u << 24, arena, &root);
    if (error)
        return error;
    struct splice splice;
    splice_init(&splice, body, arena);
    put_extras(to, &splice, root);
    bool has_extras = upstream->extra_fields && to->request->from == DIALECT_ANTHROPIC;
    chat_put_defaults(&splice, root, has_extras ? to->request->root : JSON_NONE,
                      upstream->default_params);
    if (upstream->forced_choice)
        chat_mend_choice(&splice, root);
    struct json messages = json_get(root, "messages");
    struct slice changed = chat_changed_messages(to->request, messages, upstream, arena, &error);
    if (error)
        return error;
    if (slice_present(changed))
        splice_replace(&splice, json_raw(messages), changed);
    return splice_put(&splice, out);
}

int
chat_write_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                   struct sink *out, struct canon_report *report, struct canon_fault *fault)
{
    bool is_edited = upstream->strict_turns || slice_present(upstream->default_params) ||
                     upstream->ids == IDS_NINE || upstream->system_parts ||
                     upstream->flat_content || upstream->forced_choice ||
                     (request->from == DIALECT_ANTHROPIC && has_extras(request->root));
    struct sink draft;
    sink_init(&draft, out->max);
    struct chat_request_writer to = {.request = request,
                                     .upstream = upstream,
                                     .report = report,
                                     .fault = fault,
                                     .out = is_edited ? &draft : out};
    json_writer_init(&to.json, to.out);
    sink_init(&to.text, CHAT_WHOLE_MAX);
    int error = put_request(&to);
    if (!error && is_edited)
        error = finish_request(&to, sink_slice(&draft), out);
    sink_fini(&to.text);
    sink_fini(&draft);
    return error ? error : out->error;
}
