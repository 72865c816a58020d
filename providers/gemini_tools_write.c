/* SPDX-License-Identifier: MIT
 *
 * gemini_tools_write.c - tools and the choice among them, as a generateContent request has them.
 *
 * Built-in tools of other providers are refused by name. A web search is Google's when the route is
 * configured to ground its answers, and nothing when it is configured not to.
 */
#include "providers/gemini_write.h"

#include "base/text.h"
#include "providers/custom.h"
#include "providers/gemini_schema.h"

#define SCHEMA_BYTES_MAX (4u << 20)

struct slice
gemini_tool_name(struct slice name, struct arena *arena)
{
    struct slice legal = canon_legal_name(name, 64, arena);
    if (legal.len == 0)
        return slice_present(legal) ? SLICE_LIT("_") : legal;
    bool first = legal.ptr[0] == '-' || (legal.ptr[0] >= '0' && legal.ptr[0] <= '9');
    return first ? arena_printf(arena, "_%.*s", SLICE_ARG(legal)) : legal;
}

static int
refuse_tool(struct gemini_writing *at, const struct canon_tool *tool, const char *why)
{
    struct slice name = tool->kind == TOOL_NATIVE ? tool->type : tool->name;
    at->fault->message = arena_printf(at->arena, "tool %.*s: %s", SLICE_ARG(name), why);
    at->fault->param = SLICE_LIT("tools");
    return -ERR_UNSUPPORTED;
}

static bool
searches_web(const struct canon_tool *tool)
{
    return tool->kind == TOOL_NATIVE && (slice_starts(tool->type, SLICE_LIT("web_search")) ||
                                         slice_is(tool->type, "openrouter:web_search"));
}

/* ---------------------------------------------------------------- declarations */

static int
put_schema(struct gemini_writing *at, const struct canon_tool *tool)
{
    struct sink text;
    sink_init(&text, SCHEMA_BYTES_MAX);
    int result = gemini_schema_reduce(tool->schema, true, &text);
    if (result == -ERR_UNSUPPORTED && at->upstream->json_schema)
        result = 1; /* the upstream judges what it reads itself */
    if (result == 1)
        json_member_raw(&at->json,
                        at->upstream->json_schema ? "parametersJsonSchema" : "parameters",
                        at->upstream->json_schema ? tool->schema : sink_slice(&text));
    sink_fini(&text);
    if (result == -ERR_UNSUPPORTED)
        return refuse_tool(
            at, tool, "its parameters must be a JSON Schema of type object, and not too large");
    return result < 0 ? result : 0;
}

static int
put_function(struct gemini_writing *at, const struct canon_tool *tool)
{
    struct slice name = gemini_tool_name(tool->name, at->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    int error = 0;
    json_object(&at->json);
    json_name(&at->json, "name");
    json_put_escaped(&at->json, name);
    if (slice_present(tool->description)) {
        json_name(&at->json, "description");
        json_put_escaped(&at->json, tool->description);
    }
    if (tool->kind == TOOL_CUSTOM) {
        json_member_raw(&at->json,
                        at->upstream->json_schema ? "parametersJsonSchema" : "parameters",
                        canon_custom_schema);
        if (slice_present(tool->format))
            canon_drop(at->report, "tools.format");
    } else if (slice_present(tool->schema)) {
        error = put_schema(at, tool);
    }
    json_end(&at->json);
    if (slice_is(tool->strict, "true"))
        canon_drop(at->report, "tools.strict");
    if (slice_present(tool->cache_control))
        canon_drop(at->report, "cache_control");
    return error;
}

static int
put_functions(struct gemini_writing *at)
{
    int error = 0;
    json_object(&at->json);
    json_name(&at->json, "functionDeclarations");
    json_array(&at->json);
    for (const struct canon_tool *tool = at->request->tools; tool && error == 0;
         tool = tool->next) {
        if (tool->kind != TOOL_NATIVE)
            error = put_function(at, tool);
    }
    json_end(&at->json);
    json_end(&at->json);
    return error;
}

/* ---------------------------------------------------------------- the choice */

static bool
declared(const struct canon_request *request, struct slice name)
{
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        if (tool->kind != TOOL_NATIVE && slice_eq(tool->name, name))
            return true;
    }
    return false;
}

static int
put_allowed(struct gemini_writing *at)
{
    const struct canon_request *request = at->request;
    struct canon_stop only = {.text = request->choice_name};
    const struct canon_stop *names =
        request->choice == CHOICE_NAMED ? &only : request->choice_allowed;
    bool any = false;
    for (const struct canon_stop *one = names; one; one = one->next) {
        if (!declared(request, one->text))
            continue;
        struct slice name = gemini_tool_name(one->text, at->arena);
        if (!slice_present(name))
            return -ERR_MEMORY;
        if (!any) {
            json_name(&at->json, "allowedFunctionNames");
            json_array(&at->json);
        }
        any = true;
        json_put_escaped(&at->json, name);
    }
    if (any)
        json_end(&at->json);
    return 0;
}

static int
put_choice(struct gemini_writing *at)
{
    static const char *const modes[] = {[CHOICE_UNSET] = "VALIDATED",
                                        [CHOICE_AUTO] = "AUTO",
                                        [CHOICE_NONE] = "NONE",
                                        [CHOICE_REQUIRED] = "ANY",
                                        [CHOICE_NAMED] = "ANY"};
    const struct canon_request *request = at->request;
    assert((unsigned)request->choice < countof(modes));
    /* A list of names goes with ANY and VALIDATED only; the latter leaves the model free to answer
     * in words. */
    bool listed = request->choice_allowed && request->choice == CHOICE_AUTO;
    if (request->choice == CHOICE_UNSET && !request->choice_allowed)
        return 0;
    json_name(&at->json, "toolConfig");
    json_object(&at->json);
    json_name(&at->json, "functionCallingConfig");
    json_object(&at->json);
    json_member_text(&at->json, "mode", listed ? "VALIDATED" : modes[request->choice]);
    int error = request->choice == CHOICE_NONE ? 0 : put_allowed(at);
    json_end(&at->json);
    json_end(&at->json);
    return error;
}

/* ---------------------------------------------------------------- grounding */

enum dialect_switch
dialect_grounding(const struct canon_request *request, struct slice field,
                  enum dialect_switch configured)
{
    struct slice word = text_trim(field);
    if (text_caseless_is(word, "true") || slice_is(word, "1"))
        return SWITCH_ON;
    if (text_caseless_is(word, "false") || slice_is(word, "0"))
        return SWITCH_OFF;
    if (request->from == DIALECT_GEMINI) /* its tools say it */
        return configured;
    switch (json_type(json_get(request->root, "grounding"))) {
    case JSON_TRUE:
    case JSON_OBJECT:
        return SWITCH_ON;
    case JSON_FALSE:
        return SWITCH_OFF;
    case JSON_ABSENT:
    case JSON_NULL:
    case JSON_NUMBER:
    case JSON_STRING:
    case JSON_ARRAY:
        break;
    }
    return configured;
}

/* ---------------------------------------------------------------- all */

/* Which tools are not functions, and may they be asked for? */
static int
check_natives(struct gemini_writing *at, bool *search)
{
    for (const struct canon_tool *tool = at->request->tools; tool; tool = tool->next) {
        if (tool->kind != TOOL_NATIVE)
            at->functions = true;
        else if (!searches_web(tool) || at->upstream->grounding == SWITCH_UNSET)
            return refuse_tool(at, tool, "only its own provider can run it");
        else if (at->upstream->grounding == SWITCH_OFF)
            canon_drop(at->report, "tools.web_search");
    }
    *search = at->upstream->grounding == SWITCH_ON;
    if (*search && at->functions && !at->upstream->thinking_level) {
        canon_drop(at->report, "grounding"); /* before Gemini 3 it is one or the other */
        *search = false;
    }
    return 0;
}

int
gemini_put_tools(struct gemini_writing *at)
{
    bool search;
    int error = check_natives(at, &search);
    if (error != 0 || (!at->functions && !search))
        return error;
    json_name(&at->json, "tools");
    json_array(&at->json);
    if (at->functions)
        error = put_functions(at);
    if (search)
        json_put_raw(&at->json, SLICE_LIT("{\"googleSearch\":{}}"));
    json_end(&at->json);
    if (at->request->parallel == 0)
        canon_drop(at->report, "parallel_tool_calls");
    return error == 0 && at->functions && !at->counted ? put_choice(at) : error;
}
