/* SPDX-License-Identifier: MIT
 *
 * gemini_tools_read.c - the tools of a generateContent request, and the choice among them.
 */
#include "providers/gemini_read.h"

#include "providers/gemini_schema.h"

int
gemini_widened(struct gemini_reading *at, struct json schema, struct slice *out)
{
    struct sink text;
    sink_init(&text, GEMINI_REQUEST_BYTES);
    int error = gemini_schema_widen(schema, at->request->arena, &text);
    if (error == 0) {
        *out = text.error ? SLICE_NONE : arena_copy(at->request->arena, sink_slice(&text));
        error = slice_present(*out) ? 0 : -ERR_MEMORY;
    }
    sink_fini(&text);
    return error == -ERR_REQUEST
               ? gemini_refuse(at, ERR_REQUEST, "schema", "a schema nests too deeply")
               : error;
}

static int
add_tool(struct gemini_reading *at, struct canon_tool ***end, struct canon_tool **out,
         struct json value)
{
    struct canon_tool *tool = arena_take(at->request->arena, sizeof(*tool));
    if (!tool)
        return -ERR_MEMORY;
    *tool = (struct canon_tool){.kind = TOOL_FUNCTION, .value = value};
    **end = tool;
    *end = &tool->next;
    *out = tool;
    return 0;
}

static int
read_function(struct gemini_reading *at, struct json value, struct canon_tool ***end)
{
    struct canon_tool *tool;
    struct json standard = gemini_get(value, "parametersJsonSchema"),
                parameters = gemini_get(value, "parameters");
    int error = add_tool(at, end, &tool, value);
    if (error != 0)
        return error;
    tool->name = json_text(gemini_get(value, "name"));
    tool->description = json_text(gemini_get(value, "description"));
    if (tool->name.len == 0)
        return gemini_refuse(at, ERR_REQUEST, "tools", "a function declaration needs a name");
    if (gemini_given(gemini_get(value, "response")) ||
        gemini_given(gemini_get(value, "responseJsonSchema")))
        canon_drop(&at->request->unsaid, "functionDeclarations.response");
    if (gemini_given(gemini_get(value, "behavior")))
        canon_drop(&at->request->unsaid, "functionDeclarations.behavior");
    if (json_type(standard) == JSON_OBJECT)
        tool->schema = json_raw(standard);
    else if (json_type(parameters) == JSON_OBJECT)
        error = gemini_widened(at, parameters, &tool->schema);
    return error;
}

/* One Tool: function declarations, and whatever is built in. */
static int
read_tool(struct gemini_reading *at, struct json value, struct canon_tool ***end)
{
    struct canon_tool *tool;
    int error = 0;
    if (json_type(value) != JSON_OBJECT)
        return gemini_refuse(at, ERR_REQUEST, "tools", "a tool must be an object");
    for (struct json member = json_first(value); json_present(member) && error == 0;
         member = json_next(member)) {
        bool functions = gemini_key_is(member, "functionDeclarations");
        if (!gemini_given(member))
            continue;
        if (!functions) {
            error = add_tool(at, end, &tool, value);
            if (error == 0) {
                tool->kind = TOOL_NATIVE;
                tool->type = json_key(member);
            }
            continue;
        }
        if (json_type(member) != JSON_ARRAY)
            return gemini_refuse(at, ERR_REQUEST, "tools", "functionDeclarations must be a list");
        for (struct json one = json_first(member); json_present(one) && error == 0;
             one = json_next(one))
            error = read_function(at, one, end);
    }
    return error;
}

/* ---------------------------------------------------------------- the choice */

static int
read_allowed(struct gemini_reading *at, struct json names)
{
    struct canon_request *request = at->request;
    struct canon_stop **end = &request->choice_allowed;
    if (json_type(names) == JSON_ARRAY && json_count(names) > CANON_ALLOWED_MAX)
        return gemini_refuse(at, ERR_REQUEST, "allowedFunctionNames",
                             "too many allowedFunctionNames");
    for (struct json one = json_first(names); json_type(names) == JSON_ARRAY && json_present(one);
         one = json_next(one)) {
        struct canon_stop *entry = arena_take(request->arena, sizeof(*entry));
        if (!entry)
            return -ERR_MEMORY;
        *entry = (struct canon_stop){.text = json_text(one)};
        if (entry->text.len == 0)
            return gemini_refuse(at, ERR_REQUEST, "allowedFunctionNames",
                                 "allowedFunctionNames must be a list of names");
        *end = entry;
        end = &entry->next;
    }
    if (request->choice == CHOICE_REQUIRED && request->choice_allowed &&
        !request->choice_allowed->next) {
        request->choice = CHOICE_NAMED;
        request->choice_name = request->choice_allowed->text;
        request->choice_allowed = NULL;
    }
    return 0;
}

static int
read_choice(struct gemini_reading *at, struct json root)
{
    enum { MODE_UNSPECIFIED, MODE_AUTO, MODE_ANY, MODE_NONE, MODE_VALIDATED };
    static const char *const modes[] = {"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"};
    static const enum canon_choice choices[] = {CHOICE_UNSET, CHOICE_AUTO, CHOICE_REQUIRED,
                                                CHOICE_NONE, CHOICE_AUTO};
    struct json config = gemini_get(gemini_get(root, "toolConfig"), "functionCallingConfig"),
                mode = gemini_get(config, "mode");
    if (!gemini_given(config))
        return 0;
    int found = gemini_given(mode) ? gemini_enum(mode, modes, countof(modes)) : MODE_UNSPECIFIED;
    if (found < 0)
        return gemini_refuse(at, ERR_REQUEST, "mode", "mode must be AUTO, ANY, NONE or VALIDATED");
    at->request->choice = choices[found];
    if (found == MODE_VALIDATED)
        canon_drop(&at->request->unsaid, "functionCallingConfig.mode VALIDATED");
    return read_allowed(at, gemini_get(config, "allowedFunctionNames"));
}

int
gemini_read_tools(struct gemini_reading *at, struct json root)
{
    struct canon_tool **end = &at->request->tools;
    struct json tools = gemini_get(root, "tools");
    bool list = json_type(tools) == JSON_ARRAY;
    int error = 0;
    if (gemini_given(tools) && !list && json_type(tools) != JSON_OBJECT)
        return gemini_refuse(at, ERR_REQUEST, "tools", "tools must be a list");
    for (struct json one = list ? json_first(tools) : tools; gemini_given(one) && error == 0;
         one = list ? json_next(one) : JSON_NONE)
        error = read_tool(at, one, &end);
    return error != 0 ? error : read_choice(at, root);
}
