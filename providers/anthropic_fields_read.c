/* SPDX-License-Identifier: MIT
 *
 * anthropic_fields_read.c - the fields of a Messages request beside its messages, for an upstream
 * of another dialect.
 *
 * What is given and has no canonical form is noted in request->unsaid. Fields nobody knows may go
 * to a Chat upstream as they are, so it is the writers that name them.
 */
#include "providers/anthropic_read.h"

int
anthropic_refuse(struct reading *at, const char *param, const char *message)
{
    *at->fault = (struct canon_fault){.message = slice_from(message), .param = slice_from(param)};
    return -ERR_REQUEST;
}

/* Is it something that asks for anything? */
static bool
given(struct json value)
{
    enum json_type type = json_type(value);
    return type != JSON_ABSENT && type != JSON_NULL && type != JSON_FALSE &&
           (type != JSON_ARRAY || json_count(value) > 0);
}

/* ---------------------------------------------------------------- tools */

static int
read_tool(struct reading *at, struct json value, struct canon_tool *tool)
{
    struct json type = json_get(value, "type");
    bool own =
        json_type(type) == JSON_ABSENT || json_type(type) == JSON_NULL || json_is(type, "custom");
    *tool = (struct canon_tool){.kind = own ? TOOL_FUNCTION : TOOL_NATIVE, .value = value};
    tool->type = json_text(type);
    tool->name = json_text(json_get(value, "name"));
    tool->description = json_text(json_get(value, "description"));
    struct json schema = json_get(value, "input_schema"), strict = json_get(value, "strict");
    struct json marker = json_get(value, "cache_control");
    if (json_type(schema) == JSON_OBJECT)
        tool->schema = json_raw(schema);
    if (json_type(strict) == JSON_TRUE || json_type(strict) == JSON_FALSE)
        tool->strict = json_raw(strict);
    if (json_type(marker) == JSON_OBJECT)
        tool->cache_control = json_raw(marker);
    static const char *const hints[] = {"tools.defer_loading", "tools.eager_input_streaming",
                                        "tools.input_examples", "tools.allowed_callers"};
    for (size_t i = 0; own && i < countof(hints); i++) {
        if (given(json_get(value, hints[i] + strlen("tools."))))
            canon_drop(&at->request->unsaid, hints[i]);
    }
    return own && tool->name.len == 0 ? anthropic_refuse(at, "tools", "tools: a tool needs a name")
                                      : 0;
}

static int
read_tools(struct reading *at)
{
    struct canon_tool **end = &at->request->tools;
    struct json tools = json_get(at->request->root, "tools");
    if (json_present(tools) && json_type(tools) != JSON_ARRAY && json_type(tools) != JSON_NULL)
        return anthropic_refuse(at, "tools", "tools: must be an array");
    for (struct json value = json_first(tools); json_present(value); value = json_next(value)) {
        struct canon_tool *tool = arena_take(at->request->arena, sizeof(*tool));
        if (!tool)
            return -ERR_MEMORY;
        int error = read_tool(at, value, tool);
        if (error != 0)
            return error;
        *end = tool;
        end = &tool->next;
    }
    return 0;
}

static int
read_choice(struct reading *at)
{
    struct canon_request *request = at->request;
    struct json choice = json_get(request->root, "tool_choice"), type = json_get(choice, "type");
    request->parallel = -1;
    if (!json_present(choice) || json_type(choice) == JSON_NULL)
        return 0;
    struct json single = json_get(choice, "disable_parallel_tool_use");
    if (json_type(single) == JSON_TRUE)
        request->parallel = 0;
    else if (json_type(single) == JSON_FALSE)
        request->parallel = 1;
    if (json_is(type, "auto"))
        request->choice = CHOICE_AUTO;
    else if (json_is(type, "any"))
        request->choice = CHOICE_REQUIRED;
    else if (json_is(type, "none"))
        request->choice = CHOICE_NONE;
    else if (json_is(type, "tool"))
        request->choice = CHOICE_NAMED;
    else
        return anthropic_refuse(at, "tool_choice",
                                "tool_choice: type must be auto, any, tool or none");
    request->choice_name = json_text(json_get(choice, "name"));
    if (request->choice == CHOICE_NAMED && request->choice_name.len == 0)
        return anthropic_refuse(at, "tool_choice", "tool_choice: a tool needs a name");
    return 0;
}

/* ---------------------------------------------------------------- the rest */

static int
read_numbers(struct reading *at)
{
    struct canon_request *request = at->request;
    struct {
        const char *name;
        struct slice *out;
    } const numbers[] = {
        {"max_tokens", &request->max_tokens},
        {"temperature", &request->temperature},
        {"top_p", &request->top_p},
        {"top_k", &request->top_k},
    };
    for (size_t i = 0; i < countof(numbers); i++) {
        struct json value = json_get(request->root, numbers[i].name);
        if (json_type(value) == JSON_NUMBER)
            *numbers[i].out = json_raw(value);
        else if (json_present(value) && json_type(value) != JSON_NULL)
            return anthropic_refuse(at, numbers[i].name, "must be a number");
    }
    return 0;
}

static int
read_stop(struct reading *at)
{
    struct canon_stop **end = &at->request->stop;
    struct json stop = json_get(at->request->root, "stop_sequences");
    if (json_present(stop) && json_type(stop) != JSON_ARRAY && json_type(stop) != JSON_NULL)
        return anthropic_refuse(at, "stop_sequences", "stop_sequences: must be a list of strings");
    for (struct json one = json_first(stop); json_present(one); one = json_next(one)) {
        struct canon_stop *entry = arena_take(at->request->arena, sizeof(*entry));
        if (!entry)
            return -ERR_MEMORY;
        *entry = (struct canon_stop){.text = json_text(one)};
        if (!slice_present(entry->text))
            return anthropic_refuse(at, "stop_sequences",
                                    "stop_sequences: must be a list of strings");
        *end = entry;
        end = &entry->next;
    }
    return 0;
}

static int
read_thinking_config(struct reading *at)
{
    struct canon_request *request = at->request;
    struct json thinking = json_get(request->root, "thinking"), type = json_get(thinking, "type");
    struct json budget = json_get(thinking, "budget_tokens");
    struct json display = json_get(thinking, "display");
    request->show_thoughts = json_is(display, "summarized") ? 1
                             : json_is(display, "omitted")  ? 0
                                                            : -1;
    if (json_type(thinking) != JSON_OBJECT)
        return 0;
    if (json_is(type, "enabled"))
        request->thinking = THINKING_ENABLED;
    else if (json_is(type, "adaptive") || json_is(type, "between_tools"))
        request->thinking = THINKING_ADAPTIVE;
    else if (json_is(type, "disabled"))
        request->thinking = THINKING_DISABLED;
    else
        return anthropic_refuse(at, "thinking",
                                "thinking: type must be enabled, adaptive or disabled");
    if (json_type(budget) == JSON_NUMBER)
        request->thinking_budget = json_raw(budget);
    return 0;
}

static void
read_output_config(struct canon_request *request)
{
    struct json config = json_get(request->root, "output_config"),
                format = json_get(config, "format");
    request->effort = json_text(json_get(config, "effort"));
    if (!json_present(format))
        format = json_get(request->root, "output_format");
    if (json_is(json_get(format, "type"), "json_schema")) {
        request->format = FORMAT_JSON_SCHEMA;
        request->format_schema = json_raw(json_get(format, "schema"));
        request->format_name = json_text(json_get(format, "name"));
    }
}

/* Fields that only Anthropic's own servers can honour. */
static const char *const own_fields[] = {"cache_control", "container",          "inference_geo",
                                         "mcp_servers",   "context_management", "fallbacks",
                                         "speed",         "diagnostics"};

static void
note_unsaid(struct canon_request *request)
{
    for (size_t i = 0; i < countof(own_fields); i++) {
        if (given(json_get(request->root, own_fields[i])))
            canon_drop(&request->unsaid, own_fields[i]);
    }
    if (given(json_get(json_get(request->root, "output_config"), "task_budget")))
        canon_drop(&request->unsaid, "task_budget");
}

static bool
is_one_of(struct json member, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (json_key_is(member, names[i]))
            return true;
    return false;
}

void
anthropic_note_unknown(const struct canon_request *request, struct canon_report *report)
{
    static const char *const held[] = {"model",
                                       "messages",
                                       "system",
                                       "stream",
                                       "max_tokens",
                                       "temperature",
                                       "top_p",
                                       "top_k",
                                       "tools",
                                       "thinking",
                                       "output_config",
                                       "output_format",
                                       "stop_sequences",
                                       "metadata",
                                       "tool_choice",
                                       "service_tier",
                                       "anthropic_version",
                                       "anthropic_beta" /* Vertex's clients have them here */};
    struct json at = request->from == DIALECT_ANTHROPIC ? json_first(request->root) : JSON_NONE;
    for (; json_present(at); at = json_next(at))
        if (json_type(at) != JSON_NULL && !is_one_of(at, held, countof(held)) &&
            !is_one_of(at, own_fields, countof(own_fields)))
            canon_drop(report, "unknown field");
}

static void
read_identity(struct canon_request *request)
{
    struct json metadata = json_get(request->root, "metadata"),
                user = json_get(metadata, "user_id");
    request->user = json_text(user);
    if (json_type(metadata) == JSON_OBJECT && json_count(metadata) > (json_present(user) ? 1u : 0u))
        request->metadata = json_raw(metadata);
    request->service_tier = json_text(json_get(request->root, "service_tier"));
}

int
anthropic_read_fields(struct reading *at)
{
    int error = read_tools(at);
    if (error == 0)
        error = read_choice(at);
    if (error == 0)
        error = read_numbers(at);
    if (error == 0)
        error = read_stop(at);
    if (error == 0)
        error = read_thinking_config(at);
    if (error != 0)
        return error;
    read_output_config(at->request);
    read_identity(at->request);
    note_unsaid(at->request);
    return 0;
}
