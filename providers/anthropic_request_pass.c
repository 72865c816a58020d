/* SPDX-License-Identifier: MIT
 *
 * anthropic_request_pass.c - a Messages request on its way to a Messages upstream: the client's
 * bytes, except what the upstream's host needs otherwise.
 *
 * To Anthropic itself that is the model's name and nothing else (R65), unless the conversation
 * holds wrappers of ours: no provider takes those, so they are unwrapped, or go with the thought
 * they sign (wire-formats 11.5).
 */
#include "providers/anthropic_surface.h"

#include "base/text.h"
#include "providers/splice.h"

struct passing {
    const struct canon_request *request;
    const struct dialect_upstream *upstream;
    struct arena *arena;
    struct splice splice;
    bool counting, vertex;
    bool drop_model, drop_betas, drop_context; /* top-level fields that must go */
};

/* ---------------------------------------------------------------- taking things out */

/* Where an element of an array, or a member of an object with its name, begins. */
static const char *
start_of(struct json element)
{
    struct slice key = json_key(element);
    return slice_present(key) ? key.ptr - 1 : json_raw(element).ptr;
}

static const char *
end_of(struct json element)
{
    struct slice raw = json_raw(element);
    return raw.ptr + raw.len;
}

/*
 * Take out of a container all elements that are not wanted, each run of them with its commas.
 * settle, if there is one, is called for the others: edits are best made in the order of the text.
 */
static void
cut(struct passing *at, struct json container,
    bool (*unwanted)(const struct passing *at, struct json element),
    void (*settle)(struct passing *at, struct json element))
{
    struct json kept = JSON_NONE, last = JSON_NONE;
    const char *first = NULL;
    for (struct json one = json_first(container); json_present(one); one = json_next(one)) {
        if (unwanted(at, one)) {
            first = first ? first : start_of(one);
            last = one;
            continue;
        }
        if (first) { /* behind a kept one the comma before the run goes, else the one behind it */
            const char *from = json_present(kept) ? end_of(kept) : first;
            const char *to = json_present(kept) ? end_of(last) : start_of(one);
            splice_replace(&at->splice, slice_of(from, (size_t)(to - from)), SLICE_LIT(""));
        }
        if (settle)
            settle(at, one);
        first = NULL;
        kept = one;
    }
    if (!first)
        return;
    const char *from = json_present(kept) ? end_of(kept) : first;
    splice_replace(&at->splice, slice_of(from, (size_t)(end_of(last) - from)), SLICE_LIT(""));
}

static bool
any(const struct passing *at, struct json container,
    bool (*is)(const struct passing *at, struct json element))
{
    for (struct json one = json_first(container); json_present(one); one = json_next(one)) {
        if (is(at, one))
            return true;
    }
    return false;
}

static bool
all(const struct passing *at, struct json container,
    bool (*is)(const struct passing *at, struct json element))
{
    for (struct json one = json_first(container); json_present(one); one = json_next(one)) {
        if (!is(at, one))
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- thoughts of others */

/* The state of a thought, if it is a wrapper or a mark of ours. */
static struct json
our_state(struct json block)
{
    struct json type = json_get(block, "type"), state = JSON_NONE;
    if (json_is(type, "thinking"))
        state = json_get(block, "signature");
    else if (json_is(type, "redacted_thinking"))
        state = json_get(block, "data");
    return slice_starts(json_text(state), SLICE_LIT("penstock.1.")) ? state : JSON_NONE;
}

static bool
unwrapped(const struct passing *at, struct json state, struct slice *out)
{
    enum canon_origin origin;
    bool redacted;
    return canon_unwrap(json_text(state), &origin, &redacted, out, at->arena) &&
           origin == ORIGIN_ANTHROPIC;
}

static bool
is_foreign(const struct passing *at, struct json block)
{
    struct json state = our_state(block);
    struct slice ignored;
    return json_present(state) && !unwrapped(at, state, &ignored);
}

static bool
holds_only_foreign(const struct passing *at, struct json message)
{
    struct json content = json_get(message, "content");
    return json_type(content) == JSON_ARRAY && json_count(content) > 0 &&
           all(at, content, is_foreign);
}

static void
unwrap_own(struct passing *at, struct json block)
{
    struct json state = our_state(block);
    struct slice text;
    if (!json_present(state) || !unwrapped(at, state, &text))
        return;
    text = arena_printf(at->arena, "\"%.*s\"", SLICE_ARG(text));
    if (slice_present(text))
        splice_replace(&at->splice, json_raw(state), text);
    else
        at->splice.failed = true;
}

static void
settle_message(struct passing *at, struct json message)
{
    struct json content = json_get(message, "content");
    if (json_type(content) == JSON_ARRAY)
        cut(at, content, is_foreign, unwrap_own);
}

static bool
is_thought(struct json block)
{
    struct json type = json_get(block, "type");
    return json_is(type, "thinking") || json_is(type, "redacted_thinking");
}

/* With a tool loop open and a thinking budget given, the last assistant turn must begin with a
 * thought. */
static bool
loop_lacks_thought(const struct passing *at, struct json messages)
{
    struct json assistant = JSON_NONE, last = JSON_NONE;
    for (struct json one = json_first(messages); json_present(one); one = json_next(one)) {
        assistant = json_is(json_get(one, "role"), "assistant") ? one : assistant;
        last = one;
    }
    struct json content = json_get(assistant, "content"),
                answer = json_first(json_get(last, "content"));
    bool loop = json_present(assistant) &&
                (assistant.at == last.at || json_is(json_get(answer, "type"), "tool_result"));
    if (!loop || json_type(content) != JSON_ARRAY)
        return false;
    struct json first = json_first(content);
    bool had_thought = is_thought(first);
    while (json_present(first) && is_foreign(at, first))
        first = json_next(first);
    return had_thought && !is_thought(first);
}

static void
settle_thoughts(struct passing *at)
{
    struct json root = at->request->root, messages = json_get(root, "messages"),
                thinking = json_get(root, "thinking");
    if (text_find(at->request->body, SLICE_LIT("\"penstock.1.")) < 0)
        return;
    if (json_is(json_get(thinking, "type"), "enabled") && loop_lacks_thought(at, messages)) {
        splice_replace(&at->splice, json_raw(thinking), SLICE_LIT("{\"type\":\"disabled\"}"));
        at->drop_context =
            true; /* it may ask for the clearing of thoughts, which is refused without any */
    }
    cut(at, messages, holds_only_foreign, settle_message);
}

/* ---------------------------------------------------------------- what a host does not take */

static bool
is_hint(const struct passing *at, struct json member)
{
    (void)at;
    for (const char *const *name = anthropic_tool_hints; *name; name++) {
        if (json_key_is(member, *name))
            return true;
    }
    return false;
}

static bool
is_unknown_beta(const struct passing *at, struct json beta)
{
    struct sink out;
    sink_init(&out, 65536);
    struct slice name = json_text(beta);
    bool known = slice_present(name) && anthropic_filter_betas(name, at->upstream->betas, &out) > 0;
    sink_fini(&out);
    return !known;
}

static void
settle_host(struct passing *at)
{
    struct json root = at->request->root, tools = json_get(root, "tools"),
                betas = json_get(root, "anthropic_beta");
    for (struct json tool = at->upstream->strip_tool_fields ? json_first(tools) : JSON_NONE;
         json_present(tool); tool = json_next(tool)) {
        if (json_type(tool) == JSON_OBJECT)
            cut(at, tool, is_hint, NULL);
    }
    if (json_type(betas) != JSON_ARRAY || !slice_present(at->upstream->betas) ||
        !any(at, betas, is_unknown_beta))
        return;
    at->drop_betas = all(at, betas, is_unknown_beta);
    if (!at->drop_betas)
        cut(at, betas, is_unknown_beta, NULL);
}

/* ---------------------------------------------------------------- top-level fields */

static struct slice
quoted(struct passing *at, struct slice text)
{
    struct sink out;
    sink_init(&out, 64 * 1024);
    sink_byte(&out, '"');
    json_escape(&out, text);
    sink_byte(&out, '"');
    struct slice copy = out.error == 0 ? arena_copy(at->arena, sink_slice(&out)) : SLICE_NONE;
    sink_fini(&out);
    if (!slice_present(copy))
        at->splice.failed = true;
    return slice_present(copy) ? copy : SLICE_LIT("\"\"");
}

/* A member becomes another one in its place. */
static void
turn_into(struct passing *at, struct json member, const char *name, struct slice value)
{
    struct slice text = arena_printf(at->arena, "\"%s\":%.*s", name, SLICE_ARG(value));
    const char *start = start_of(member);
    if (slice_present(text))
        splice_replace(&at->splice, slice_of(start, (size_t)(end_of(member) - start)), text);
    else
        at->splice.failed = true;
}

/* Vertex has the version in the body in place of the model, which its path names; elsewhere it is
 * the other way round. */
static void
settle_model(struct passing *at)
{
    static const struct slice version_text = SLICE_LIT("\"" ANTHROPIC_VERTEX_VERSION "\"");
    char room[ANTHROPIC_MODEL_MAX];
    struct json root = at->request->root, model = json_get(root, "model"),
                version = json_get(root, "anthropic_version");
    struct slice wanted = anthropic_model(at->upstream, room);
    bool in_path = at->vertex && !at->counting;
    if (in_path && json_present(model) && json_present(version)) {
        at->drop_model = true;
    } else if (in_path && json_present(model)) {
        turn_into(at, model, "anthropic_version", version_text);
    } else if (in_path) {
        if (!json_present(version))
            splice_add(&at->splice, root, SLICE_LIT("anthropic_version"), version_text);
    } else if (!json_present(model)) {
        struct slice text = quoted(at, wanted);
        if (json_present(version) && !at->vertex)
            turn_into(at, version, "model", text);
        else
            splice_add(&at->splice, root, SLICE_LIT("model"), text);
    } else if (!slice_eq(json_string(model, at->arena), wanted)) {
        splice_replace(&at->splice, json_raw(model), quoted(at, wanted));
    }
    if (at->vertex && at->counting && !json_present(version))
        splice_add(&at->splice, root, SLICE_LIT("anthropic_version"), version_text);
}

static bool
is_dropped(const struct passing *at, struct json member)
{
    if ((at->drop_model && json_key_is(member, "model")) ||
        (at->drop_betas && json_key_is(member, "anthropic_beta")) ||
        (at->drop_context && json_key_is(member, "context_management")))
        return true;
    if (!at->counting)
        return false;
    struct slice name = json_unescape(json_key(member), at->arena);
    struct slice copy = slice_present(name) ? arena_copy(at->arena, name) : SLICE_NONE;
    return slice_present(copy) && anthropic_counts_not(copy.ptr);
}

static int
add_defaults(struct passing *at)
{
    struct json defaults;
    struct slice params = at->upstream->default_params;
    if (!slice_present(params))
        return 0;
    int error =
        json_parse(params, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, at->arena, &defaults);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_CONFIG;
    for (struct json member = json_first(defaults); json_present(member);
         member = json_next(member)) {
        struct slice key = json_key(member);
        struct slice name = arena_copy(at->arena, key);
        if (!slice_present(name))
            return -ERR_MEMORY;
        bool settled = slice_is(name, "model") || slice_is(name, "anthropic_version") ||
                       slice_is(name, "stream");
        if (!settled && !json_present(json_get(at->request->root, name.ptr)) &&
            !(at->counting && anthropic_counts_not(name.ptr)))
            splice_add(&at->splice, at->request->root, key, json_raw(member));
    }
    return 0;
}

int
anthropic_pass_body(const struct canon_request *request, const struct dialect_upstream *upstream,
                    bool counting, struct sink *out)
{
    struct passing at = {.request = request,
                         .upstream = upstream,
                         .arena = request->arena,
                         .counting = counting,
                         .vertex = upstream->surface == SURFACE_VERTEX};
    splice_init(&at.splice, request->body, request->arena);
    settle_model(&at);
    settle_thoughts(&at);
    settle_host(&at);
    if (request->stream && !counting && json_type(json_get(request->root, "stream")) != JSON_TRUE)
        splice_member(&at.splice, request->root, "stream", SLICE_LIT("true"));
    if (counting || at.drop_model || at.drop_betas || at.drop_context)
        cut(&at, request->root, is_dropped, NULL);
    int error = add_defaults(&at);
    return error != 0 ? error : splice_pass(&at.splice, out, request->kept);
}

int
anthropic_pass_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                       struct sink *out)
{
    return anthropic_pass_body(request, upstream, false, out);
}
