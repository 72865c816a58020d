/* SPDX-License-Identifier: MIT
 *
 * openai_chat_tools_write.c - the tools of a canonical request, and the choice among them, for a
 * Chat upstream.
 *
 * What only OpenAI itself knows (free-form tools, strict schemas, a choice among several) is told
 * to it alone; others get what comes nearest, and what was lost on the way is reported.
 */
#include "providers/openai_chat_write.h"

/* Tools that the client's own provider runs: a client that offers them does without; those a client
 * runs it relies on. */
static bool
is_server_tool(const struct chat_request_writer *to, struct slice type)
{
    static const char *const anthropic[] = {"web_search",       "web_fetch", "code_execution",
                                            "tool_search_tool", "advisor",   "mcp_toolset"};
    static const char *const responses[] = {"web_search", "tool_search"};
    bool is_responses = to->request->from == DIALECT_OPENAI_RESPONSES;
    const char *const *prefixes = is_responses ? responses : anthropic;
    size_t count = is_responses ? countof(responses) : countof(anthropic);
    if (!is_responses && to->request->from != DIALECT_ANTHROPIC)
        return false;
    for (size_t i = 0; i < count; i++)
        if (slice_starts(type, slice_from(prefixes[i])))
            return true;
    return false;
}

static bool
is_allowed(const struct canon_request *request, struct slice name)
{
    for (const struct canon_stop *at = request->choice_allowed; at; at = at->next)
        if (slice_eq(at->text, name))
            return true;
    return request->choice_allowed == NULL;
}

/* Is the tool among those the upstream gets to see? */
static bool
is_offered(const struct chat_request_writer *to, const struct canon_tool *tool)
{
    return tool->kind != TOOL_NATIVE &&
           (chat_is_official(to->upstream) || is_allowed(to->request, tool->name));
}

static const struct canon_tool *
tool_named(const struct chat_request_writer *to, struct slice name)
{
    for (const struct canon_tool *at = to->request->tools; at; at = at->next)
        if (is_offered(to, at) && slice_eq(at->name, name))
            return at;
    return NULL;
}

static bool
is_custom(const struct chat_request_writer *to, const struct canon_tool *tool)
{
    return tool->kind == TOOL_CUSTOM && chat_is_official(to->upstream);
}

/* The canonical grammar is flat, as Responses has it; Chat wraps it once more. */
static int
put_format(struct chat_request_writer *to, const struct canon_tool *tool)
{
    struct json root;
    int error = json_parse(tool->format, 16, 10000, to->request->arena, &root);
    if (error)
        return error;
    if (!json_is(json_get(root, "type"), "grammar") || json_present(json_get(root, "grammar"))) {
        json_member_raw(&to->json, "format", tool->format);
        return 0;
    }
    json_name(&to->json, "format");
    json_object(&to->json);
    json_member_text(&to->json, "type", "grammar");
    json_name(&to->json, "grammar");
    json_object(&to->json);
    for (struct json at = json_first(root); json_present(at); at = json_next(at)) {
        if (json_key_is(at, "syntax"))
            json_member_raw(&to->json, "syntax", json_raw(at));
        if (json_key_is(at, "definition"))
            json_member_raw(&to->json, "definition", json_raw(at));
    }
    json_end(&to->json);
    json_end(&to->json);
    return 0;
}

static void
note_dropped(struct chat_request_writer *to, const struct canon_tool *tool)
{
    if (slice_present(tool->strict) && !chat_is_official(to->upstream))
        canon_drop(to->report, "tools.strict");
    if (slice_present(tool->format) && !is_custom(to, tool))
        canon_drop(to->report, "tools.format");
    if (slice_present(tool->cache_control))
        canon_drop(to->report, "cache_control");
    if (json_present(json_get(tool->value, "defer_loading")))
        canon_drop(to->report, "tools.defer_loading");
    if (json_present(json_get(tool->value, "eager_input_streaming")))
        canon_drop(to->report, "tools.eager_input_streaming");
}

static struct slice
schema_of(const struct canon_tool *tool)
{
    if (tool->kind == TOOL_CUSTOM)
        return canon_custom_schema;
    return slice_present(tool->schema) ? tool->schema
                                       : SLICE_LIT("{\"type\":\"object\",\"properties\":{}}");
}

static int
put_tool(struct chat_request_writer *to, const struct canon_tool *tool)
{
    struct json_writer *json = &to->json;
    bool custom = is_custom(to, tool);
    int error = 0;
    struct slice name = canon_legal_name(tool->name, 64, to->request->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_object(json);
    json_member_text(json, "type", custom ? "custom" : "function");
    json_name(json, custom ? "custom" : "function");
    json_object(json);
    chat_put_text(to, "name", name);
    if (slice_present(tool->description))
        chat_put_text(to, "description", tool->description);
    if (!custom)
        json_member_raw(json, "parameters", schema_of(tool));
    if (!custom && slice_present(tool->strict) && chat_is_official(to->upstream))
        json_member_raw(json, "strict", tool->strict);
    if (custom && slice_present(tool->format))
        error = put_format(to, tool);
    json_end(json);
    json_end(json);
    note_dropped(to, tool);
    return error;
}

/* ---------------------------------------------------------------- the choice */

/* {"type":"function","function":{"name":...}}, the reference to a tool in a choice. */
static int
put_reference(struct chat_request_writer *to, struct slice tool_name)
{
    const struct canon_tool *tool = tool_named(to, tool_name);
    const char *word = tool && is_custom(to, tool) ? "custom" : "function";
    struct slice name = canon_legal_name(tool_name, 64, to->request->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_object(&to->json);
    json_member_text(&to->json, "type", word);
    json_name(&to->json, word);
    json_object(&to->json);
    chat_put_text(to, "name", name);
    json_end(&to->json);
    json_end(&to->json);
    return 0;
}

static int
put_allowed(struct chat_request_writer *to)
{
    struct json_writer *json = &to->json;
    int error = 0;
    json_name(json, "tool_choice");
    json_object(json);
    json_member_text(json, "type", "allowed_tools");
    json_name(json, "allowed_tools");
    json_object(json);
    json_member_text(json, "mode", to->request->choice == CHOICE_REQUIRED ? "required" : "auto");
    json_name(json, "tools");
    json_array(json);
    for (const struct canon_stop *at = to->request->choice_allowed; at && !error; at = at->next)
        error = tool_named(to, at->text) ? put_reference(to, at->text) : 0;
    json_end(json);
    json_end(json);
    json_end(json);
    return error;
}

static int
put_choice(struct chat_request_writer *to)
{
    static const char *const words[] = {
        [CHOICE_AUTO] = "auto", [CHOICE_NONE] = "none", [CHOICE_REQUIRED] = "required"};
    const struct canon_request *request = to->request;
    enum canon_choice choice = request->choice;
    if (request->parallel == 0)
        json_member_bool(&to->json, "parallel_tool_calls", false);
    if (choice == CHOICE_UNSET)
        return 0;
    if (choice == CHOICE_NAMED && !tool_named(to, request->choice_name)) {
        canon_drop(to->report, "tool_choice"); /* the tool was one of those left out */
        return 0;
    }
    if (choice == CHOICE_NAMED) {
        json_name(&to->json, "tool_choice");
        return put_reference(to, request->choice_name);
    }
    if (request->choice_allowed && choice != CHOICE_NONE && chat_is_official(to->upstream))
        return put_allowed(to);
    json_member_text(&to->json, "tool_choice", words[choice]);
    return 0;
}

/* ---------------------------------------------------------------- all of them */

static int
refuse_tool(struct chat_request_writer *to, const struct canon_tool *tool)
{
    to->fault->param = SLICE_LIT("tools");
    to->fault->message = arena_printf(
        to->request->arena, "the upstream behind this model does not know tools of type %.*s",
        SLICE_ARG(tool->type));
    return -ERR_UNSUPPORTED;
}

int
chat_put_tools(struct chat_request_writer *to)
{
    bool any = false;
    int error = 0;
    for (const struct canon_tool *at = to->request->tools; at; at = at->next) {
        any = any || is_offered(to, at);
        if (at->kind == TOOL_NATIVE && !is_server_tool(to, at->type))
            return refuse_tool(to, at);
        if (at->kind == TOOL_NATIVE)
            canon_drop(to->report, "tools.server");
    }
    if (!any)
        return 0;
    json_name(&to->json, "tools");
    json_array(&to->json);
    for (const struct canon_tool *at = to->request->tools; at && !error; at = at->next)
        error = is_offered(to, at) ? put_tool(to, at) : 0;
    json_end(&to->json);
    return error ? error : put_choice(to);
}
