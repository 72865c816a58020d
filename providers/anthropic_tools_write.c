/* SPDX-License-Identifier: MIT
 *
 * anthropic_tools_write.c - tools, the choice among them, and thinking, as a Messages request has
 * them.
 */
#include "providers/anthropic_write.h"

#include "base/text.h"
#include "providers/splice.h"

static const struct slice empty_schema = SLICE_LIT("{\"type\":\"object\",\"properties\":{}}");

/* ---------------------------------------------------------------- schemas */

static bool
lists_name(struct json required, struct slice name)
{
    for (struct json one = json_first(required); json_present(one); one = json_next(one)) {
        if (slice_eq(json_text(one), name))
            return true;
    }
    return false;
}

static bool
has_member(struct json object, struct slice key)
{
    for (struct json one = json_first(object); json_present(one); one = json_next(one)) {
        if (slice_eq(json_key(one), key))
            return true;
    }
    return false;
}

/* Is a property of this branch already written: by the root, or by an earlier branch? */
static bool
written_before(struct json own, struct json branches, struct json branch, struct slice key)
{
    bool written = has_member(own, key);
    for (struct json at = json_first(branches); !written && at.at != branch.at; at = json_next(at))
        written = has_member(json_get(at, "properties"), key);
    return written;
}

static void
put_member(struct sink *out, struct json member, bool *any)
{
    sink_text(out, *any ? ",\"" : "\"");
    sink_put(out, json_key(member));
    sink_text(out, "\":");
    sink_put(out, json_raw(member));
    *any = true;
}

static void
put_properties(struct sink *out, struct json root, struct json branches)
{
    bool any = false;
    struct json own = json_get(root, "properties");
    for (struct json one = json_first(own); json_present(one); one = json_next(one))
        put_member(out, one, &any);
    for (struct json branch = json_first(branches); json_present(branch);
         branch = json_next(branch)) {
        struct json properties = json_get(branch, "properties");
        for (struct json one = json_first(properties); json_present(one); one = json_next(one)) {
            if (!written_before(own, branches, branch, json_key(one)))
                put_member(out, one, &any);
        }
    }
}

static void
put_name(struct sink *out, struct json name, bool *any)
{
    if (*any)
        sink_byte(out, ',');
    sink_put(out, json_raw(name));
    *any = true;
}

/* What the root requires, and what every branch does (each of them, for allOf). */
static void
put_required(struct sink *out, struct json root, struct json branches, bool all)
{
    bool any = false;
    struct json own = json_get(root, "required"), first = json_first(branches);
    for (struct json one = json_first(own); json_present(one); one = json_next(one))
        put_name(out, one, &any);
    for (struct json branch = first; json_present(branch);
         branch = all ? json_next(branch) : JSON_NONE) {
        struct json required = json_get(branch, "required");
        for (struct json one = json_first(required); json_present(one); one = json_next(one)) {
            bool common = json_type(one) == JSON_STRING && !lists_name(own, json_text(one));
            for (struct json at = first; common && !all && json_present(at); at = json_next(at))
                common = lists_name(json_get(at, "required"), json_text(one));
            if (common)
                put_name(out, one, &any);
        }
    }
}

/* Merging looks at each pair of names. */
static bool
too_many_names(struct json root, struct json branches)
{
    uint32_t count =
        json_count(json_get(root, "properties")) + json_count(json_get(root, "required"));
    for (struct json branch = json_first(branches); json_present(branch);
         branch = json_next(branch))
        count += 1 + json_count(json_get(branch, "properties")) +
                 json_count(json_get(branch, "required"));
    return count > 1024;
}

/* The root must be an object without alternatives: those of its own become one set of properties.
 */
static int
put_merged(struct sink *out, struct json root, struct json branches, bool all)
{
    if (too_many_names(root, branches))
        return -ERR_UNSUPPORTED;
    sink_text(out, "{\"type\":\"object\",\"properties\":{");
    put_properties(out, root, branches);
    sink_text(out, "},\"required\":[");
    put_required(out, root, branches, all);
    sink_byte(out, ']');
    static const char *const kept[] = {"description", "$defs", "definitions",
                                       "additionalProperties"};
    for (size_t i = 0; i < countof(kept); i++) {
        struct json member = json_get(root, kept[i]);
        bool any = true;
        if (json_present(member))
            put_member(out, member, &any);
    }
    sink_byte(out, '}');
    return out->error;
}

static int
put_object_schema(struct writing *at, struct slice schema, struct sink *out)
{
    static const char *const alternatives[] = {"anyOf", "oneOf", "allOf"};
    struct json root;
    int error =
        json_parse(schema, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, at->arena, &root);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_UNSUPPORTED;
    for (size_t i = 0; i < countof(alternatives); i++) {
        struct json branches = json_get(root, alternatives[i]);
        if (json_type(branches) == JSON_ARRAY)
            return put_merged(out, root, branches, i == 2);
    }
    if (json_is(json_get(root, "type"), "object")) {
        sink_put(out, schema);
        return out->error;
    }
    if (json_present(json_get(root, "type")) || json_type(root) != JSON_OBJECT)
        return -ERR_UNSUPPORTED;
    struct splice splice;
    splice_init(&splice, schema, at->arena);
    splice_add(&splice, root, SLICE_LIT("type"), SLICE_LIT("\"object\""));
    return splice_put(&splice, out);
}

static int
put_schema(struct writing *at, struct slice schema)
{
    struct sink text;
    sink_init(&text, ANTHROPIC_BYTES_MAX);
    int error = put_object_schema(at, schema, &text);
    if (error == 0)
        json_put_raw(&at->json, sink_slice(&text));
    sink_fini(&text);
    return error;
}

/* ---------------------------------------------------------------- tools */

static int
refuse_tool(struct writing *at, const struct canon_tool *tool, const char *why)
{
    struct slice name = tool->kind == TOOL_NATIVE ? tool->type : tool->name;
    at->fault->message = arena_printf(at->arena, "tool %.*s: %s", SLICE_ARG(name), why);
    at->fault->param = SLICE_LIT("tools");
    return -ERR_UNSUPPORTED;
}

static int
put_tool(struct writing *at, const struct canon_tool *tool)
{
    if (tool->kind == TOOL_NATIVE)
        return refuse_tool(at, tool, "only its own provider can run it");
    if (tool->kind == TOOL_CUSTOM)
        return refuse_tool(at, tool, "tools with free-form input are not available for this model");
    struct slice name = canon_legal_name(tool->name, 64, at->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_object(&at->json);
    json_name(&at->json, "name");
    json_put_escaped(&at->json, name);
    if (slice_present(tool->description)) {
        json_name(&at->json, "description");
        json_put_escaped(&at->json, tool->description);
    }
    json_name(&at->json, "input_schema");
    bool none = !slice_present(tool->schema) || slice_is(tool->schema, "null") ||
                slice_is(tool->schema, "{}");
    int error = 0;
    if (none)
        json_put_raw(&at->json, empty_schema);
    else
        error = put_schema(at, tool->schema);
    if (error != 0)
        return error == -ERR_UNSUPPORTED
                   ? refuse_tool(at, tool, "its parameters must be a JSON Schema of type object")
                   : error;
    if (slice_is(tool->strict, "true"))
        json_member_bool(&at->json, "strict", true);
    if (slice_present(tool->cache_control))
        json_member_raw(&at->json, "cache_control", tool->cache_control);
    json_end(&at->json);
    return 0;
}

static int
put_choice(struct writing *at)
{
    const struct canon_request *request = at->request;
    bool single = request->parallel == 0 && request->choice != CHOICE_NONE;
    if (request->choice == CHOICE_UNSET && !single)
        return 0;
    static const char *const words[] = {[CHOICE_UNSET] = "auto",
                                        [CHOICE_AUTO] = "auto",
                                        [CHOICE_NONE] = "none",
                                        [CHOICE_REQUIRED] = "any",
                                        [CHOICE_NAMED] = "tool"};
    assert((unsigned)request->choice < countof(words));
    anthropic_field(at, "tool_choice");
    json_object(&at->json);
    json_member_text(&at->json, "type", words[request->choice]);
    if (request->choice == CHOICE_NAMED) {
        struct slice name = canon_legal_name(request->choice_name, 64, at->arena);
        if (!slice_present(name))
            return -ERR_MEMORY;
        json_name(&at->json, "name");
        json_put_escaped(&at->json, name);
    }
    if (single)
        json_member_bool(&at->json, "disable_parallel_tool_use", true);
    json_end(&at->json);
    return 0;
}

int
anthropic_put_tools(struct writing *at)
{
    if (!at->request->tools)
        return 0;
    anthropic_field(at, "tools");
    json_array(&at->json);
    for (const struct canon_tool *tool = at->request->tools; tool; tool = tool->next) {
        int error = put_tool(at, tool);
        if (error != 0)
            return error; /* the text is of no use now: nothing needs closing */
    }
    json_end(&at->json);
    return put_choice(at);
}

/* ---------------------------------------------------------------- thinking */

uint64_t
anthropic_number(struct slice number, uint64_t fallback)
{
    uint64_t value;
    if (text_u64(number, &value))
        return value;
    if (!slice_present(number) || number.len > 40)
        return fallback;
    /* 1e3 and 2.0 are whole numbers too. */
    struct arena scratch;
    struct json root;
    arena_init(&scratch, 4096);
    if (json_parse(number, 1, 4, &scratch, &root) == 0)
        fallback = json_u64_or(root, fallback);
    arena_fini(&scratch);
    return fallback;
}

static bool
contains(struct slice text, const char *word)
{
    return text_find_caseless(text, slice_from(word)) >= 0;
}

/* Which form a model takes is part of its name: the generations before 3.7 have none, those up
 * to 4.5 take a budget, and what came later decides for itself. Models that are not Claude's take
 * what was first. */
static enum thinking_form
form_of_model(const struct dialect_upstream *upstream)
{
    static const char *const with_budget[] = {"3-7",   "3.7", "-4-0", "-4-1", "-4-5",
                                              "-4-20", "-4@", "-4.1", "-4.5"};
    static const char *const without[] = {"claude-3", "claude-2", "claude-instant"};
    struct slice model = upstream->model;
    if (!contains(model, "claude") || slice_ends(model, SLICE_LIT("-4")))
        return THINK_BUDGET;
    for (size_t i = 0; i < countof(with_budget); i++) {
        if (contains(model, with_budget[i]))
            return THINK_BUDGET;
    }
    for (size_t i = 0; i < countof(without); i++) {
        if (contains(model, without[i]))
            return THINK_OFF;
    }
    return THINK_ADAPTIVE;
}

static enum thinking_form
form_of(const struct dialect_upstream *upstream)
{
    switch (upstream->effort) {
    case TELL_NOTHING:
        return THINK_OFF;
    case TELL_REASONING_EFFORT:
        return THINK_ADAPTIVE;
    case TELL_ENABLE_THINKING:
        return THINK_BUDGET;
    case TELL_THINKING:
        break;
    }
    return form_of_model(upstream);
}

static uint64_t
budget_of(struct slice effort)
{
    static const struct {
        const char *word;
        uint64_t budget;
    } table[] = {{"minimal", 1024}, {"low", 1024},    {"medium", 8192},
                 {"high", 24576},   {"xhigh", 32768}, {"max", 32768}};
    for (size_t i = 0; i < countof(table); i++) {
        if (slice_is(effort, table[i].word))
            return table[i].budget;
    }
    return 8192;
}

static struct slice
effort_of(uint64_t budget)
{
    if (budget <= 2048)
        return SLICE_LIT("low");
    if (budget <= 16384)
        return SLICE_LIT("medium");
    return budget <= 28000 ? SLICE_LIT("high") : SLICE_LIT("xhigh");
}

/* The room for an answer: what the client allows, else what is configured, else what the upstream
 * can. */
static uint64_t
output_limit(const struct writing *at)
{
    uint64_t most = at->upstream->max_output_tokens;
    uint64_t usual = json_u64_or(json_get(at->defaults, "max_tokens"), most != 0 ? most : 4096);
    uint64_t limit = anthropic_number(at->request->max_tokens, usual);
    return most != 0 && limit > most ? most : limit;
}

static bool
forced(const struct canon_request *request)
{
    return request->tools &&
           (request->choice == CHOICE_REQUIRED || request->choice == CHOICE_NAMED);
}

static void
plan_budget(const struct writing *at, struct thinking_plan *plan)
{
    const struct canon_request *request = at->request;
    uint64_t most = at->upstream->max_output_tokens;
    uint64_t budget = anthropic_number(request->thinking_budget, budget_of(request->effort));
    plan->budget = budget < 1024 ? 1024 : budget;
    if (plan->max_tokens <= plan->budget)
        plan->max_tokens += plan->budget;
    if (most != 0 && plan->max_tokens > most)
        plan->max_tokens = most;
    if (plan->budget >= plan->max_tokens)
        plan->budget = plan->max_tokens - 1;
    if (plan->budget < 1024)
        plan->form = THINK_OFF;
}

struct thinking_plan
anthropic_plan_thinking(const struct writing *at)
{
    const struct canon_request *request = at->request;
    struct thinking_plan plan = {.form = THINK_OFF, .max_tokens = output_limit(at)};
    bool off = request->thinking == THINKING_DISABLED || slice_is(request->effort, "none");
    bool asked = slice_present(request->effort) || request->thinking == THINKING_ENABLED ||
                 request->thinking == THINKING_ADAPTIVE;
    if (off || !asked || plan.max_tokens == 0)
        return plan;
    plan.form = forced(request) ? THINK_OFF : form_of(at->upstream);
    if (plan.form == THINK_BUDGET)
        plan_budget(at, &plan);
    else if (plan.form == THINK_ADAPTIVE && slice_present(request->effort))
        plan.effort = slice_is(request->effort, "minimal") ? SLICE_LIT("low") : request->effort;
    else if (plan.form == THINK_ADAPTIVE && slice_present(request->thinking_budget))
        plan.effort = effort_of(anthropic_number(request->thinking_budget, 8192));
    if (plan.form == THINK_OFF)
        canon_drop(at->report, "reasoning_effort");
    return plan;
}
