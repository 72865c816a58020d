/* SPDX-License-Identifier: MIT
 *
 * anthropic_tools_write.c - tools and the choice among them, as a Messages request has them.
 */
#include "providers/anthropic_write.h"

#include "base/text.h"
#include "providers/custom.h"
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
    sink_carry(at->json.sink, &text);
    if (error == 0)
        json_put_raw(&at->json, sink_slice(&text));
    sink_fini(&text);
    return error;
}

bool
anthropic_is_object_schema(struct writing *at, struct slice schema)
{
    struct sink text;
    sink_init(&text, ANTHROPIC_BYTES_MAX);
    int error = put_object_schema(at, schema, &text);
    sink_fini(&text);
    return error == 0;
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

#define ALLOWED_MAX 1024 /* names of a subset: each tool is looked for among them */

static bool
too_many_allowed(const struct canon_request *request)
{
    uint32_t count = 0;
    for (const struct canon_stop *one = request->choice_allowed; one && count <= ALLOWED_MAX;
         one = one->next)
        count++;
    return count > ALLOWED_MAX;
}

/* Is it one of those that may be called? */
static bool
is_allowed(const struct canon_request *request, const struct canon_tool *tool)
{
    const struct canon_stop *allowed = request->choice_allowed;
    while (allowed && !slice_eq(allowed->text, tool->name))
        allowed = allowed->next;
    return !request->choice_allowed || allowed;
}

/* The grammar of a free-form tool cannot be enforced here; a model that reads it will mostly keep
 * to it. */
static void
put_description(struct writing *at, const struct canon_tool *tool)
{
    if (!slice_present(tool->description) && !slice_present(tool->format))
        return;
    struct sink text;
    sink_init(&text, ANTHROPIC_BYTES_MAX);
    sink_put(&text, slice_present(tool->description) ? tool->description : SLICE_LIT(""));
    if (slice_present(tool->format)) {
        canon_drop(at->report, "tools.format");
        sink_text(&text, text.len > 0 ? "\\n\\n" : "");
        sink_text(&text, "The input is free text of this format: ");
        json_escape(&text, tool->format);
    }
    json_name(&at->json, "description");
    sink_carry(at->json.sink, &text);
    json_put_escaped(&at->json, sink_slice(&text));
    sink_fini(&text);
}

static int
put_parameters(struct writing *at, const struct canon_tool *tool)
{
    bool none = !slice_present(tool->schema) || slice_is(tool->schema, "null") ||
                slice_is(tool->schema, "{}");
    int error = 0;
    json_name(&at->json, "input_schema");
    if (tool->kind == TOOL_CUSTOM)
        json_put_raw(&at->json, canon_custom_schema);
    else if (none)
        json_put_raw(&at->json, empty_schema);
    else
        error = put_schema(at, tool->schema);
    return error != -ERR_UNSUPPORTED
               ? error
               : refuse_tool(at, tool, "its parameters must be a JSON Schema of type object");
}

static int
put_tool(struct writing *at, const struct canon_tool *tool)
{
    if (tool->kind == TOOL_NATIVE)
        return refuse_tool(at, tool, "only its own provider can run it");
    struct slice name = canon_legal_name(tool->name, 64, at->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_object(&at->json);
    json_name(&at->json, "name");
    json_put_escaped(&at->json, name);
    put_description(at, tool);
    int error = put_parameters(at, tool);
    if (error != 0)
        return error;
    if (slice_is(tool->strict, "true") && at->upstream->strip_tool_fields)
        canon_drop(at->report, "tools.strict");
    else if (slice_is(tool->strict, "true"))
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

/* Old models know no form for their answer: they are made to call this tool with it, and the reader
 * gives it back as text (wire-formats 11.6). */
static int
put_answer_tool(struct writing *at)
{
    struct canon_tool tool = {.kind = TOOL_FUNCTION,
                              .name = SLICE_LIT(ANTHROPIC_ANSWER_TOOL),
                              .description =
                                  SLICE_LIT("Give the answer as the input of this tool."),
                              .schema = at->request->format_schema};
    anthropic_field(at, "tools");
    json_array(&at->json);
    int error = put_tool(at, &tool);
    if (error != 0)
        return error;
    json_end(&at->json);
    anthropic_field(at, "tool_choice");
    json_object(&at->json);
    json_member_text(&at->json, "type", "tool");
    json_member_text(&at->json, "name", ANTHROPIC_ANSWER_TOOL);
    json_end(&at->json);
    return 0;
}

static int
refuse_choice(struct writing *at, const char *message)
{
    *at->fault =
        (struct canon_fault){.message = slice_from(message), .param = SLICE_LIT("tool_choice")};
    return -ERR_UNSUPPORTED;
}

int
anthropic_put_tools(struct writing *at)
{
    int count = 0;
    if (at->answer_tool)
        return put_answer_tool(at);
    if (!at->request->tools)
        return 0;
    if (too_many_allowed(at->request))
        return refuse_choice(at, "tool_choice: too many allowed tools");
    anthropic_field(at, "tools");
    json_array(&at->json);
    for (const struct canon_tool *tool = at->request->tools; tool; tool = tool->next) {
        if (!is_allowed(at->request, tool))
            continue;
        int error = put_tool(at, tool);
        if (error != 0)
            return error; /* the text is of no use now: nothing needs closing */
        count++;
    }
    json_end(&at->json);
    if (count > 0)
        return put_choice(at);
    return refuse_choice(at, "tool_choice: none of the allowed tools is among the tools");
}
