/* SPDX-License-Identifier: MIT
 *
 * openai_responses_tools_read.c - the tools of a Responses request, and the choice among them.
 *
 * Namespaces are flattened, since no other dialect has them; hosted tools stay what they are, so
 * that each writer can say what it does with them.
 */
#include "providers/openai_responses_request.h"

static bool
given(struct json value)
{
    return json_present(value) && json_type(value) != JSON_NULL;
}

static bool
is_namespace(const struct responses_reading *at, struct slice name)
{
    for (int i = 0; i < at->namespace_count; i++) {
        if (slice_eq(at->namespaces[i], name))
            return true;
    }
    return false;
}

struct slice
responses_flat_name(struct responses_reading *at, struct slice name_space, struct slice name)
{
    const char *dot = name.len > 0 ? memchr(name.ptr, '.', name.len) : NULL;
    if (name_space.len == 0 && dot &&
        is_namespace(at, slice_of(name.ptr, (size_t)(dot - name.ptr)))) {
        name_space = slice_of(name.ptr, (size_t)(dot - name.ptr));
        name = slice_skip(name, name_space.len + 1);
    }
    if (name_space.len == 0)
        return name;
    return arena_printf(at->request->arena, "%.*s__%.*s", SLICE_ARG(name_space), SLICE_ARG(name));
}

bool
responses_client_tool(const struct canon_request *request, struct slice name,
                      struct slice *name_space, struct slice *bare)
{
    *bare = name;
    if (!request || request->from != DIALECT_OPENAI_RESPONSES)
        return false;
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        if (tool->kind == TOOL_NATIVE || tool->type.len == 0 || !slice_eq(tool->name, name))
            continue;
        assert(name.len > tool->type.len + 2);
        *name_space = tool->type;
        *bare = slice_skip(name, tool->type.len + 2);
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- tools */

static struct canon_tool *
add_tool(struct responses_reading *at, enum canon_tool_kind kind, struct json value)
{
    struct canon_tool *tool = arena_take(at->request->arena, sizeof(*tool));
    if (!tool)
        return NULL;
    *tool = (struct canon_tool){.kind = kind, .value = value};
    *at->tool_link = tool;
    at->tool_link = &tool->next;
    return tool;
}

/* Fields of a tool that only OpenAI understands. */
static void
note_unsaid(struct responses_reading *at, struct json value)
{
    if (json_type(json_get(value, "defer_loading")) == JSON_TRUE)
        canon_drop(&at->request->unsaid, "tools.defer_loading");
    if (given(json_get(value, "allowed_callers")))
        canon_drop(&at->request->unsaid, "tools.allowed_callers");
    if (given(json_get(value, "output_schema")))
        canon_drop(&at->request->unsaid, "tools.output_schema");
}

/* A function or a custom tool; name_space is absent or the namespace it belongs to. */
static int
read_own_tool(struct responses_reading *at, struct json value, struct slice name_space,
              const char *param)
{
    bool is_custom = json_is(json_get(value, "type"), "custom");
    struct slice name = json_text(json_get(value, "name"));
    if (name.len == 0)
        return responses_refuse(at->fault, ERR_REQUEST, param, "a tool needs a name");
    struct canon_tool *tool = add_tool(at, is_custom ? TOOL_CUSTOM : TOOL_FUNCTION, value);
    if (!tool)
        return -ERR_MEMORY;
    tool->type = name_space;
    tool->name = slice_present(name_space) ? responses_flat_name(at, name_space, name) : name;
    tool->description = json_text(json_get(value, "description"));
    struct json parameters = json_get(value, "parameters"), strict = json_get(value, "strict");
    if (json_type(parameters) == JSON_OBJECT && json_count(parameters) > 0)
        tool->schema = json_raw(parameters);
    if (json_type(strict) == JSON_TRUE || json_type(strict) == JSON_FALSE)
        tool->strict = json_raw(strict);
    if (is_custom && given(json_get(value, "format")))
        tool->format = json_raw(json_get(value, "format"));
    note_unsaid(at, value);
    return slice_present(tool->name) ? 0 : -ERR_MEMORY;
}

static bool
is_own(struct json value)
{
    struct json type = json_get(value, "type");
    return json_is(type, "function") || json_is(type, "custom");
}

static int
read_namespace(struct responses_reading *at, struct json value, const char *param)
{
    struct slice name = json_text(json_get(value, "name"));
    struct json tools = json_get(value, "tools");
    if (name.len == 0 || json_type(tools) != JSON_ARRAY)
        return responses_refuse(at->fault, ERR_REQUEST, param,
                                "a namespace needs a name and a list of tools");
    if (at->namespace_count < RESPONSES_NAMESPACES_MAX)
        at->namespaces[at->namespace_count++] = name;
    if (given(json_get(value, "description")))
        canon_drop(&at->request->unsaid, "tools.namespace.description");
    for (struct json tool = json_first(tools); json_present(tool); tool = json_next(tool)) {
        if (!is_own(tool))
            return responses_refuse(
                at->fault, ERR_UNSUPPORTED, param,
                "only functions and custom tools of a namespace can be sent to this model");
        int error = read_own_tool(at, tool, name, param);
        if (error)
            return error;
    }
    return 0;
}

int
responses_read_tools(struct responses_reading *at, struct json tools, const char *param)
{
    if (!given(tools))
        return 0;
    if (json_type(tools) != JSON_ARRAY)
        return responses_refuse(at->fault, ERR_REQUEST, param, "tools must be a list");
    for (struct json value = json_first(tools); json_present(value); value = json_next(value)) {
        int error = 0;
        struct json type = json_get(value, "type");
        if (json_type(type) != JSON_STRING)
            return responses_refuse(at->fault, ERR_REQUEST, param, "a tool needs a type");
        if (is_own(value)) {
            error = read_own_tool(at, value, SLICE_NONE, param);
        } else if (json_is(type, "namespace")) {
            error = read_namespace(at, value, param);
        } else {
            struct canon_tool *tool = add_tool(at, TOOL_NATIVE, value);
            if (!tool)
                return -ERR_MEMORY;
            tool->type = json_text(type);
            tool->name = json_text(json_get(value, "name"));
        }
        if (error)
            return error;
    }
    return 0;
}

/* ---------------------------------------------------------------- choice */

static struct slice
chosen_name(struct responses_reading *at, struct json value)
{
    return responses_flat_name(at, json_text(json_get(value, "namespace")),
                               json_text(json_get(value, "name")));
}

static int
read_allowed(struct responses_reading *at, struct json choice)
{
    struct canon_request *request = at->request;
    struct json tools = json_get(choice, "tools");
    struct canon_stop **link = &request->choice_allowed;
    request->choice = json_is(json_get(choice, "mode"), "required") ? CHOICE_REQUIRED : CHOICE_AUTO;
    if (json_type(tools) != JSON_ARRAY || json_count(tools) == 0)
        return responses_refuse(at->fault, ERR_REQUEST, "tool_choice",
                                "allowed_tools needs a list of tools");
    if (json_count(tools) > CANON_ALLOWED_MAX)
        return responses_refuse(at->fault, ERR_REQUEST, "tool_choice", "too many allowed tools");
    for (struct json tool = json_first(tools); json_present(tool); tool = json_next(tool)) {
        if (!is_own(tool))
            return responses_refuse(at->fault, ERR_UNSUPPORTED, "tool_choice",
                                    "only functions and custom tools can be chosen for this model");
        struct canon_stop *entry = arena_take(request->arena, sizeof(*entry));
        if (!entry)
            return -ERR_MEMORY;
        *entry = (struct canon_stop){.text = chosen_name(at, tool)};
        if (entry->text.len == 0)
            return responses_refuse(at->fault, ERR_REQUEST, "tool_choice",
                                    "a tool choice needs a name");
        *link = entry;
        link = &entry->next;
    }
    return 0;
}

int
responses_read_choice(struct responses_reading *at)
{
    static const struct {
        const char *word;
        enum canon_choice choice;
    } words[] = {{"auto", CHOICE_AUTO}, {"none", CHOICE_NONE}, {"required", CHOICE_REQUIRED}};
    struct canon_request *request = at->request;
    struct json choice = json_get(request->root, "tool_choice");
    if (!given(choice))
        return 0;
    for (size_t i = 0; i < countof(words); i++) {
        if (json_is(choice, words[i].word)) {
            request->choice = words[i].choice;
            return 0;
        }
    }
    if (json_type(json_get(choice, "type")) != JSON_STRING)
        return responses_refuse(at->fault, ERR_REQUEST, "tool_choice",
                                "unknown form of tool choice");
    if (json_is(json_get(choice, "type"), "allowed_tools"))
        return read_allowed(at, choice);
    if (!is_own(choice))
        return responses_refuse(
            at->fault, ERR_UNSUPPORTED, "tool_choice",
            "the upstream behind this model cannot run the tool that was chosen");
    request->choice = CHOICE_NAMED;
    request->choice_name = chosen_name(at, choice);
    if (request->choice_name.len == 0)
        return responses_refuse(at->fault, ERR_REQUEST, "tool_choice",
                                "a tool choice needs a name");
    return 0;
}
