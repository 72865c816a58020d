/* SPDX-License-Identifier: MIT
 *
 * openai_responses_pass.c - a Responses client's request for a Responses upstream, its target and
 * key, and the counting of its tokens.
 *
 * The bytes are the client's, with the model replaced, configured defaults added and the output
 * limit lowered to what the model can. Reasoning that another provider made and penstock wrapped is
 * of no use to this one: it would be refused.
 */
#include "providers/openai_responses_request.h"

#include "base/text.h"

static struct slice
quoted(struct slice text, struct arena *arena)
{
    struct slice escaped = canon_escape(text, arena);
    return slice_present(escaped) ? arena_printf(arena, "\"%.*s\"", SLICE_ARG(escaped))
                                  : SLICE_NONE;
}

/* ---------------------------------------------------------------- target, fields */

/*
 * Azure has two arrangements: the newer one is OpenAI's own below /openai/v1, the older one knows
 * the deployment by the body's model and wants an api-version.
 */
static void
put_path(struct sink *out, const struct dialect_upstream *upstream, const char *path)
{
    struct slice version = upstream->api_version;
    bool azure = upstream->surface == SURFACE_AZURE;
    bool newer = version.len == 0 || slice_is(version, "v1") || slice_is(version, "preview") ||
                 slice_is(version, "latest");
    sink_put(out, upstream->base_path);
    if (azure && newer && !slice_ends(upstream->base_path, SLICE_LIT("/openai/v1")))
        sink_text(out, "/openai/v1");
    else if (azure && !newer)
        sink_text(out, "/openai");
    sink_text(out, path);
    if (azure && version.len > 0 && !slice_is(version, "v1"))
        sink_printf(out, "?api-version=%.*s", SLICE_ARG(version));
}

void
responses_put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream)
{
    (void)stream; /* the body says it */
    put_path(out, upstream, "/responses");
}

int
responses_fields(const struct dialect_upstream *upstream, struct arena *scratch,
                 struct dialect_field out[4])
{
    bool azure = upstream->surface == SURFACE_AZURE;
    return dialect_auth_field(upstream, azure ? AUTH_API_KEY : AUTH_BEARER, scratch, out);
}

/* ---------------------------------------------------------------- defaults */

static bool
is_limit(struct slice name)
{
    return slice_is(name, "max_tokens") || slice_is(name, "max_completion_tokens") ||
           slice_is(name, "max_output_tokens");
}

/* An effort that Chat would have as a member of its own. */
static void
put_default_effort(struct splice *splice, struct json root, struct json defaults, struct json value)
{
    struct json reasoning = json_get(root, "reasoning");
    if (json_type(reasoning) == JSON_OBJECT && !json_present(json_get(reasoning, "effort"))) {
        splice_add(splice, reasoning, SLICE_LIT("effort"), json_raw(value));
    } else if (!json_present(reasoning) && !json_present(json_get(defaults, "reasoning"))) {
        struct slice object =
            arena_printf(splice->arena, "{\"effort\":%.*s}", SLICE_ARG(json_raw(value)));
        splice->failed = splice->failed || !slice_present(object);
        splice_add(splice, root, SLICE_LIT("reasoning"), object);
    }
}

void
responses_put_defaults(struct splice *splice, struct json root, struct json given,
                       struct slice params)
{
    struct json defaults;
    if (!slice_present(params))
        return;
    if (json_parse(params, RESPONSES_DEPTH_MAX, RESPONSES_TOKENS_MAX, splice->arena, &defaults) !=
        0) {
        splice->failed = true;
        return;
    }
    bool has_limit = json_present(json_get(root, "max_output_tokens"));
    for (struct json at = json_first(defaults); json_present(at); at = json_next(at)) {
        struct slice name = arena_copy(splice->arena, json_unescape(json_key(at), splice->arena));
        if (!slice_present(name)) {
            splice->failed = true;
            return;
        }
        if (is_limit(name)) {
            if (!has_limit)
                splice_add(splice, root, SLICE_LIT("max_output_tokens"), json_raw(at));
            has_limit = true;
        } else if (slice_is(name, "reasoning_effort")) {
            put_default_effort(splice, root, defaults, at);
        } else if (!json_present(json_get(root, name.ptr)) &&
                   !json_present(json_get(given, name.ptr))) {
            splice_add(splice, root, json_key(at), json_raw(at));
        }
    }
}

/* ---------------------------------------------------------------- passing */

static void
clamp_limit(struct splice *splice, struct json root, const struct dialect_upstream *upstream)
{
    struct json value = json_get(root, "max_output_tokens");
    if (upstream->max_output_tokens == 0 || json_u64_or(value, 0) <= upstream->max_output_tokens)
        return;
    struct slice limit =
        arena_printf(splice->arena, "%llu", (unsigned long long)upstream->max_output_tokens);
    splice->failed = splice->failed || !slice_present(limit);
    splice_replace(splice, json_raw(value), limit);
}

static struct slice
wrapper_of(struct json item)
{
    struct slice token = json_is(json_get(item, "type"), "reasoning")
                             ? json_text(json_get(item, "encrypted_content"))
                             : SLICE_NONE;
    return slice_starts(token, SLICE_LIT("penstock.")) ? token : SLICE_NONE;
}

/* The input without wrapped reasoning. Absent: there is none in it, or no memory (then *error is
 * set). */
static struct slice
unwrapped_input(const struct canon_request *request, int *error)
{
    struct json input = json_get(request->root, "input");
    bool any = false, first = true;
    for (struct json at = json_first(input);
         json_type(input) == JSON_ARRAY && json_present(at) && !any; at = json_next(at))
        any = slice_present(wrapper_of(at));
    if (!any)
        return SLICE_NONE;
    struct sink out;
    sink_init(&out, json_raw(input).len + 16);
    sink_byte(&out, '[');
    for (struct json at = json_first(input); json_present(at); at = json_next(at)) {
        if (slice_present(wrapper_of(at)))
            continue;
        sink_text(&out, first ? "" : ",");
        sink_put(&out, json_raw(at));
        first = false;
    }
    sink_byte(&out, ']');
    struct slice text = out.error ? SLICE_NONE : arena_copy(request->arena, sink_slice(&out));
    sink_fini(&out);
    *error = slice_present(text) ? 0 : -ERR_MEMORY;
    return text;
}

int
responses_pass_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                       struct sink *out)
{
    struct json root = request->root;
    struct splice splice;
    struct canon_fault fault = {0};
    int error = responses_check_pass(request, upstream, &fault);
    if (error)
        return error;
    splice_init(&splice, request->body, request->arena);
    if (slice_present(upstream->model) && !slice_eq(upstream->model, request->model)) {
        struct slice model = quoted(upstream->model, request->arena);
        if (!slice_present(model))
            return -ERR_MEMORY;
        splice_replace(&splice, json_raw(json_get(root, "model")), model);
    }
    struct slice input = unwrapped_input(request, &error);
    if (error)
        return error;
    if (slice_present(input))
        splice_replace(&splice, json_raw(json_get(root, "input")), input);
    clamp_limit(&splice, root, upstream);
    responses_put_defaults(&splice, root, JSON_NONE, upstream->default_params);
    return splice_pass(&splice, out, request->kept);
}

/* ---------------------------------------------------------------- counting */

bool
responses_can_count(const struct dialect_upstream *upstream)
{
    return upstream
        ->keeps_state; /* OpenAI and Azure; servers that merely speak the dialect do neither */
}

void
responses_put_count_target(struct sink *out, const struct dialect_upstream *upstream)
{
    put_path(out, upstream, "/responses/input_tokens");
}

/* The client's own request, reduced to what the counter takes: it refuses other members. */
static int
pass_count(const struct canon_request *request, const struct dialect_upstream *upstream,
           struct sink *out)
{
    static const char *const counted[] = {
        "input", "instructions", "previous_response_id", "conversation",
        "tools", "tool_choice",  "parallel_tool_calls",  "reasoning",
        "text",  "truncation"};
    struct json_writer json;
    int error = 0;
    struct slice input = unwrapped_input(request, &error);
    if (error)
        return error;
    json_writer_init(&json, out);
    json_object(&json);
    json_member(&json, "model", upstream->model);
    for (size_t i = 0; i < countof(counted); i++) {
        struct json value = json_get(request->root, counted[i]);
        if (json_present(value))
            json_member_raw(&json, counted[i],
                            i == 0 && slice_present(input) ? input : json_raw(value));
    }
    json_end(&json);
    return out->error;
}

int
responses_write_count(const struct canon_request *request, const struct dialect_upstream *upstream,
                      struct sink *out, struct canon_report *report, struct canon_fault *fault)
{
    if (request->from == DIALECT_OPENAI_RESPONSES) {
        int error = responses_check_pass(request, upstream, fault);
        return error ? error : pass_count(request, upstream, out);
    }
    struct responses_writing at = {.request = request,
                                   .upstream = upstream,
                                   .arena = request->arena,
                                   .out = out,
                                   .report = report,
                                   .fault = fault,
                                   .counting = true};
    json_writer_init(&at.json, out);
    return responses_put_body(&at);
}

int
responses_read_count(struct slice body, struct arena *scratch, uint64_t *tokens)
{
    struct json root;
    int error = json_parse(body, RESPONSES_DEPTH_MAX, 4096, scratch, &root);
    if (error)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    *tokens = json_u64_or(json_get(root, "input_tokens"), UINT64_MAX);
    return *tokens == UINT64_MAX ? -ERR_UPSTREAM_PROTOCOL : 0;
}

void
responses_write_count_reply(uint64_t tokens, struct sink *out)
{
    sink_printf(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%llu}",
                (unsigned long long)tokens);
}
