/* SPDX-License-Identifier: MIT
 *
 * anthropic_surface.c - where requests go on Anthropic's own API and on Vertex, and the counting of
 * tokens on both.
 *
 * Vertex wants the model in the path and the version in the body (wire-formats 6); its counting is
 * a "model" of its own, with the real one in the body (R86).
 */
#include "providers/anthropic_surface.h"

#include "base/text.h"

/* ---------------------------------------------------------------- models and hosts */

static bool
is_vertex(const struct dialect_upstream *upstream)
{
    return upstream->surface == SURFACE_VERTEX;
}

struct slice
anthropic_model(const struct dialect_upstream *upstream, char room[ANTHROPIC_MODEL_MAX])
{
    struct slice model = upstream->model;
    uint64_t date;
    if (model.len < 10 || model.len > ANTHROPIC_MODEL_MAX ||
        !slice_starts(model, SLICE_LIT("claude")) ||
        !text_u64(slice_skip(model, model.len - 8), &date) || date < 20000000)
        return model;
    char wanted = is_vertex(upstream) ? '@' : '-', other = is_vertex(upstream) ? '-' : '@';
    if (model.ptr[model.len - 9] != other)
        return model;
    memcpy(room, model.ptr, model.len);
    room[model.len - 9] = wanted;
    return slice_of(room, model.len);
}

const char *const anthropic_tool_hints[] = {
    "defer_loading", "eager_input_streaming", "input_examples", "allowed_callers", "strict", NULL};

bool
anthropic_counts_not(const char *name)
{
    static const char *const refused[] = {"max_tokens", "stream",      "temperature",
                                          "top_p",      "top_k",       "stop_sequences",
                                          "metadata",   "service_tier"};
    for (size_t i = 0; i < countof(refused); i++) {
        if (strcmp(name, refused[i]) == 0)
            return true;
    }
    return false;
}

static bool
names_beta(struct slice list, struct slice beta)
{
    while (slice_present(list)) {
        if (slice_eq(text_trim(text_split(&list, ',')), beta))
            return true;
    }
    return false;
}

int
anthropic_filter_betas(struct slice value, struct slice allowed, struct sink *out)
{
    int count = 0;
    while (slice_present(value)) {
        struct slice beta = text_trim(text_split(&value, ','));
        if (beta.len == 0 || (slice_present(allowed) && !names_beta(allowed, beta)))
            continue;
        sink_text(out, count++ > 0 ? "," : "");
        sink_put(out, beta);
    }
    return count;
}

/* ---------------------------------------------------------------- targets and fields */

static void
put_path(struct sink *out, const struct dialect_upstream *upstream, const char *path)
{
    sink_put(out, upstream->base_path);
    sink_text(out, slice_ends(upstream->base_path, SLICE_LIT("/v1")) ? "" : "/v1");
    sink_text(out, path);
}

void
anthropic_put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream)
{
    if (!is_vertex(upstream)) {
        put_path(out, upstream, "/messages");
        return;
    }
    char room[ANTHROPIC_MODEL_MAX];
    struct dialect_upstream spelt = *upstream;
    spelt.model = anthropic_model(upstream, room);
    dialect_put_vertex(out, &spelt, "anthropic", stream ? "streamRawPredict" : "rawPredict");
}

int
anthropic_fields(const struct dialect_upstream *upstream, struct arena *scratch,
                 struct dialect_field out[4])
{
    int count = dialect_auth_field(upstream, is_vertex(upstream) ? AUTH_BEARER : AUTH_X_API_KEY,
                                   scratch, out);
    out[count++] = (struct dialect_field){"anthropic-version", SLICE_LIT("2023-06-01")};
    return count;
}

/* ---------------------------------------------------------------- counting */

/* Every server of this dialect may have it; one that has not answers 404, and the caller estimates.
 */
bool
anthropic_can_count(const struct dialect_upstream *upstream)
{
    (void)upstream;
    return true;
}

void
anthropic_put_count_target(struct sink *out, const struct dialect_upstream *upstream)
{
    if (!is_vertex(upstream)) {
        put_path(out, upstream, "/messages/count_tokens");
        return;
    }
    struct dialect_upstream counter = *upstream;
    counter.model = SLICE_LIT("count-tokens");
    dialect_put_vertex(out, &counter, "anthropic", "rawPredict");
}

int
anthropic_write_count(const struct canon_request *request, const struct dialect_upstream *upstream,
                      struct sink *out, struct canon_report *report, struct canon_fault *fault)
{
    if (request->from == DIALECT_ANTHROPIC)
        return anthropic_pass_body(request, upstream, true, out);
    return anthropic_write_body(request, upstream, true, out, report, fault);
}

int
anthropic_read_count(struct slice body, struct arena *scratch, uint64_t *tokens)
{
    struct json root;
    int error = json_parse(body, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, scratch, &root);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    *tokens = json_u64_or(json_get(root, "input_tokens"), UINT64_MAX);
    return *tokens != UINT64_MAX ? 0 : -ERR_UPSTREAM_PROTOCOL;
}

void
anthropic_write_count_reply(uint64_t tokens, struct sink *out)
{
    sink_printf(out, "{\"input_tokens\":%llu}", (unsigned long long)tokens);
}
