/* SPDX-License-Identifier: MIT
 *
 * openai_responses_tools_write.c - tools, and the choice among them, as a Responses request has
 * them.
 */
#include "providers/openai_responses_request.h"

#define ALLOWED_MAX 1024 /* each is looked up among all tools */

static void
put_escaped(struct json_writer *json, const char *name, struct slice text)
{
    json_name(json, name);
    json_put_escaped(json, text);
}

/* Tools that Anthropic runs itself: a client that offers them does without; those a client runs it
 * relies on. */
static bool
is_server_tool(const struct responses_writing *at, struct slice type)
{
    static const char *const prefixes[] = {"web_search",       "web_fetch", "code_execution",
                                           "tool_search_tool", "advisor",   "mcp_toolset"};
    for (size_t i = 0; at->request->from == DIALECT_ANTHROPIC && i < countof(prefixes); i++) {
        if (slice_starts(type, slice_from(prefixes[i])))
            return true;
    }
    return false;
}

/* The grammar of a custom tool: Chat has it one level deeper. */
static int
put_grammar(struct responses_writing *at, struct slice raw)
{
    struct json format;
    int error = json_parse(raw, RESPONSES_DEPTH_MAX, RESPONSES_TOKENS_MAX, at->arena, &format);
    if (error)
        return error;
    struct json grammar = json_get(format, "grammar");
    json_name(&at->json, "format");
    if (json_type(grammar) != JSON_OBJECT) {
        json_put_raw(&at->json, raw);
        return 0;
    }
    json_object(&at->json);
    json_member_text(&at->json, "type", "grammar");
    for (struct json member = json_first(grammar); json_present(member);
         member = json_next(member)) {
        if (json_key_is(member, "syntax") || json_key_is(member, "definition"))
            json_member_raw(&at->json, json_key_is(member, "syntax") ? "syntax" : "definition",
                            json_raw(member));
    }
    json_end(&at->json);
    return 0;
}

/*
 * Unless it is told otherwise OpenAI makes a schema strict here, which in Chat it does not: that
 * would fill in what was optional (P53). What Anthropic calls strict allows schemas that OpenAI
 * refuses under that name.
 */
static void
put_strict(struct responses_writing *at, const struct canon_tool *tool)
{
    bool strict = slice_is(tool->strict, "true"), foreign = at->request->from == DIALECT_ANTHROPIC;
    if (strict && foreign)
        canon_drop(at->report, "tools.strict");
    json_member_bool(&at->json, "strict", strict && !foreign);
}

static int
put_tool(struct responses_writing *at, const struct canon_tool *tool)
{
    struct json_writer *json = &at->json;
    bool custom = tool->kind == TOOL_CUSTOM;
    int error = 0;
    struct slice name = canon_legal_name(tool->name, 64, at->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_object(json);
    json_member_text(json, "type", custom ? "custom" : "function");
    put_escaped(json, "name", name);
    if (slice_present(tool->description))
        put_escaped(json, "description", tool->description);
    if (custom && slice_present(tool->format))
        error = put_grammar(at, tool->format);
    if (!custom) {
        bool none = !slice_present(tool->schema) || slice_is(tool->schema, "null") ||
                    slice_is(tool->schema, "{}");
        json_member_raw(json, "parameters",
                        none ? SLICE_LIT("{\"type\":\"object\",\"properties\":{}}") : tool->schema);
        put_strict(at, tool);
    }
    json_end(json);
    if (slice_present(tool->cache_control))
        canon_drop(at->report, "cache_control");
    if (json_present(json_get(tool->value, "defer_loading")))
        canon_drop(at->report, "tools.defer_loading");
    if (json_present(json_get(tool->value, "eager_input_streaming")))
        canon_drop(at->report, "tools.eager_input_streaming");
    return error;
}

static const struct canon_tool *
tool_named(const struct canon_request *request, struct slice name)
{
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        if (tool->kind != TOOL_NATIVE && slice_eq(tool->name, name))
            return tool;
    }
    return NULL;
}

/* {"type":"function","name":...}: how a choice names a tool. */
static int
put_named(struct responses_writing *at, struct slice name, const struct canon_tool *tool)
{
    struct slice legal = canon_legal_name(name, 64, at->arena);
    if (!slice_present(legal))
        return -ERR_MEMORY;
    json_object(&at->json);
    json_member_text(&at->json, "type", tool && tool->kind == TOOL_CUSTOM ? "custom" : "function");
    put_escaped(&at->json, "name", legal);
    json_end(&at->json);
    return 0;
}

static int
put_allowed(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    uint32_t count = 0;
    int error = 0;
    json_object(&at->json);
    json_member_text(&at->json, "type", "allowed_tools");
    json_member_text(&at->json, "mode", request->choice == CHOICE_REQUIRED ? "required" : "auto");
    json_name(&at->json, "tools");
    json_array(&at->json);
    for (const struct canon_stop *name = request->choice_allowed; name && !error;
         name = name->next) {
        if (++count > ALLOWED_MAX)
            return responses_unsupported(at, "tool_choice", "too many allowed tools");
        error = put_named(at, name->text, tool_named(request, name->text));
    }
    json_end(&at->json);
    json_end(&at->json);
    return error;
}

static int
put_choice(struct responses_writing *at)
{
    static const char *const words[] = {
        [CHOICE_AUTO] = "auto", [CHOICE_NONE] = "none", [CHOICE_REQUIRED] = "required"};
    const struct canon_request *request = at->request;
    if (request->parallel >= 0)
        json_member_bool(&at->json, "parallel_tool_calls", request->parallel != 0);
    if (request->choice == CHOICE_UNSET)
        return 0;
    if (request->choice == CHOICE_NAMED) {
        const struct canon_tool *tool = tool_named(request, request->choice_name);
        if (!tool) {
            canon_drop(at->report, "tool_choice"); /* the tool was one of those left out */
            return 0;
        }
        json_name(&at->json, "tool_choice");
        return put_named(at, request->choice_name, tool);
    }
    if (request->choice_allowed && request->choice != CHOICE_NONE) {
        json_name(&at->json, "tool_choice");
        return put_allowed(at);
    }
    json_member_text(&at->json, "tool_choice", words[request->choice]);
    return 0;
}

int
responses_put_tools(struct responses_writing *at)
{
    const struct canon_request *request = at->request;
    bool any = false;
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        if (tool->kind != TOOL_NATIVE) {
            any = true;
            continue;
        }
        if (!is_server_tool(at, tool->type)) {
            at->fault->param = SLICE_LIT("tools");
            at->fault->message = arena_printf(
                at->arena, "the upstream behind this model does not know tools of type %.*s",
                SLICE_ARG(tool->type));
            return -ERR_UNSUPPORTED;
        }
        canon_drop(at->report, "tools.server");
    }
    if (!any && request->choice != CHOICE_UNSET && request->choice != CHOICE_AUTO &&
        request->choice != CHOICE_NONE)
        canon_drop(at->report, "tool_choice");
    if (!any)
        return 0;
    json_name(&at->json, "tools");
    json_array(&at->json);
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        int error = tool->kind == TOOL_NATIVE ? 0 : put_tool(at, tool);
        if (error)
            return error;
    }
    json_end(&at->json);
    return put_choice(at);
}
