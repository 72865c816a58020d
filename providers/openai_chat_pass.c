/* SPDX-License-Identifier: MIT
 *
 * openai_chat_pass.c - a Chat client's request for a Chat upstream: the client's bytes, with the
 * model replaced, usage asked for, configured defaults added, and what the upstream is known not to
 * take said in its own words.
 */
#include "providers/openai_chat.h"

static struct slice
quoted(struct slice text, struct arena *arena)
{
    struct slice escaped = canon_escape(text, arena);
    return slice_present(escaped) ? arena_printf(arena, "\"%.*s\"", SLICE_ARG(escaped))
                                  : SLICE_NONE;
}

/* Usage is asked for in every stream, so that it can be recorded; what else the client wants of a
 * stream stays. */
static void
ask_for_usage(struct splice *splice, struct json root)
{
    struct json options = json_get(root, "stream_options");
    if (json_type(options) == JSON_OBJECT)
        splice_member(splice, options, "include_usage", SLICE_LIT("true"));
    else
        splice_member(splice, root, "stream_options", SLICE_LIT("{\"include_usage\":true}"));
}

/* An output limit over what the model can is lowered to it, in the word the upstream knows. */
static void
clamp_limit(struct splice *splice, struct json root, const struct dialect_upstream *upstream)
{
    static const char *const names[] = {"max_tokens", "max_completion_tokens"};
    if (upstream->max_output_tokens == 0)
        return;
    for (size_t i = 0; i < countof(names); i++) {
        struct json value = json_get(root, names[i]);
        uint64_t tokens = json_u64_or(value, 0);
        if (tokens <= upstream->max_output_tokens)
            continue;
        const char *wanted = names[upstream->max_completion_tokens ? 1 : 0];
        if (!json_present(json_get(root, wanted)))
            splice_replace(splice, json_key(value), slice_from(wanted));
        struct slice limit =
            arena_printf(splice->arena, "%llu", (unsigned long long)upstream->max_output_tokens);
        splice->failed = splice->failed || !slice_present(limit);
        splice_replace(splice, json_raw(value), limit);
    }
}

static bool
is_limit(struct slice key)
{
    return slice_is(key, "max_tokens") || slice_is(key, "max_completion_tokens");
}

void
chat_put_defaults(struct splice *splice, struct json root, struct json given, struct slice params)
{
    struct json defaults;
    if (!slice_present(params))
        return;
    if (json_parse(params, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, splice->arena, &defaults) != 0) {
        splice->failed = true;
        return;
    }
    bool has_limit = json_present(json_get(root, "max_tokens")) ||
                     json_present(json_get(root, "max_completion_tokens"));
    for (struct json at = json_first(defaults); json_present(at); at = json_next(at)) {
        struct slice name = json_unescape(json_key(at), splice->arena);
        struct slice copy = arena_copy(splice->arena, name);
        if (!slice_present(copy)) {
            splice->failed = true;
            return;
        }
        if (json_present(json_get(root, copy.ptr)) || json_present(json_get(given, copy.ptr)) ||
            (is_limit(name) && has_limit))
            continue;
        splice_add(splice, root, json_key(at), json_raw(at));
    }
}

/* How much to reason, in OpenAI's words, whichever words the client used: absent, it said nothing. A
 * budget becomes the smallest effort that has room for it. */
static struct slice
asked_effort(struct json root)
{
    struct slice effort = json_text(json_get(root, "reasoning_effort"));
    struct json enable = json_get(root, "enable_thinking"), budget = json_get(root, "thinking_budget");
    if (effort.len == 0)
        effort = json_text(json_get(json_get(root, "reasoning"), "effort"));
    if (effort.len > 0)
        return effort;
    if (json_type(enable) == JSON_FALSE)
        return SLICE_LIT("none");
    uint64_t tokens = json_u64_or(budget, 0);
    if (json_type(enable) != JSON_TRUE && tokens == 0)
        return SLICE_NONE;
    return tokens == 0      ? SLICE_LIT("high")
           : tokens <= 2048 ? SLICE_LIT("low")
           : tokens <= 16384 ? SLICE_LIT("medium")
                            : SLICE_LIT("high");
}

/*
 * Reasoning effort in the upstream's words, where the client used others and none of the upstream's
 * own (R115). The client's word stays: servers with words of their own do not mind it.
 * returns what is said with that, so that no default says it again
 */
static struct json
tell_effort(struct splice *splice, struct json root, const struct dialect_upstream *upstream)
{
    static const char told[] = "{\"thinking\":0,\"enable_thinking\":0,\"thinking_budget\":0}";
    static const char told_effort[] = "{\"reasoning_effort\":0}";
    struct slice effort = asked_effort(root);
    bool by_word = upstream->effort == TELL_REASONING_EFFORT;
    struct json given = JSON_NONE;
    if (effort.len == 0 || upstream->effort == TELL_NOTHING)
        return given;
    if (by_word && (json_present(json_get(root, "reasoning_effort")) || json_present(json_get(root, "reasoning"))))
        return given; /* that is its own word */
    splice->failed = splice->failed || json_parse(slice_from(by_word ? told_effort : told), 1, 10,
                                                  splice->arena, &given) != 0;
    bool is_off = slice_is(effort, "none");
    if (by_word) {
        splice_member(splice, root, "reasoning_effort", quoted(effort, splice->arena));
        return given;
    }
    if (upstream->effort == TELL_THINKING && !json_present(json_get(root, "thinking")))
        splice_member(splice, root, "thinking",
                      is_off ? SLICE_LIT("{\"type\":\"disabled\"}")
                             : SLICE_LIT("{\"type\":\"enabled\"}"));
    if (upstream->effort != TELL_ENABLE_THINKING || json_present(json_get(root, "enable_thinking")))
        return given;
    splice_member(splice, root, "enable_thinking", is_off ? SLICE_LIT("false") : SLICE_LIT("true"));
    struct slice budget = chat_budget_of_effort(effort);
    if (slice_present(budget) && !json_present(json_get(root, "thinking_budget")))
        splice_member(splice, root, "thinking_budget", budget);
    return given;
}

/* Mistral refuses fields that it does not know, and calls two of OpenAI's otherwise. Usage comes in
 * any case. */
static void
speak_mistral(struct splice *splice, struct json root)
{
    struct json limit = json_get(root, "max_completion_tokens"), seed = json_get(root, "seed");
    struct json options = json_get(root, "stream_options");
    if (json_present(limit) && !json_present(json_get(root, "max_tokens")))
        splice_replace(splice, json_key(limit), SLICE_LIT("max_tokens"));
    if (json_present(seed) && !json_present(json_get(root, "random_seed")))
        splice_replace(splice, json_key(seed), SLICE_LIT("random_seed"));
    if (json_present(options))
        splice_remove(splice, options);
}

static void
rename_developers(struct splice *splice, struct json messages)
{
    for (struct json at = json_first(messages); json_present(at); at = json_next(at)) {
        struct json role = json_get(at, "role");
        if (json_is(role, "developer"))
            splice_replace(splice, json_raw(role), SLICE_LIT("\"system\""));
    }
}

int
chat_pass_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                  struct sink *out)
{
    struct json root = request->root, messages = json_get(root, "messages");
    struct splice splice;
    splice_init(&splice, request->body, request->arena);
    if (slice_present(upstream->model) && !slice_eq(upstream->model, request->model)) {
        struct slice model = quoted(upstream->model, request->arena);
        if (!slice_present(model))
            return -ERR_MEMORY;
        splice_replace(&splice, json_raw(json_get(root, "model")), model);
    }
    if (request->stream && upstream->usage_in_stream && !request->include_usage)
        ask_for_usage(&splice, root);
    clamp_limit(&splice, root, upstream);
    struct json told = tell_effort(&splice, root, upstream);
    chat_put_defaults(&splice, root, told, upstream->default_params);
    if (upstream->forced_choice)
        chat_mend_choice(&splice, root);
    if (upstream->ids == IDS_NINE)
        speak_mistral(&splice, root);
    int error;
    struct slice changed =
        chat_changed_messages(request, messages, upstream, request->arena, &error);
    if (error)
        return error;
    if (slice_present(changed))
        splice_replace(&splice, json_raw(messages), changed);
    else if (!upstream->developer_role && json_type(messages) == JSON_ARRAY)
        rename_developers(&splice, messages);
    return splice_pass(&splice, out, request->kept);
}
