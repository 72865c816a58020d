/* SPDX-License-Identifier: MIT
 *
 * shape_tools.c - tools cut down for models that cannot do with many, or with much about them (R147): only those on a list, in
 * the order of their names, described in few words, with plain schemas.
 */
#include "providers/shape.h"

#include <stdlib.h>

#define LETTERS_LEAST 16

static bool
any_rule(const struct shape_rules *rules)
{
    return rules->stub_letters > 0 || rules->simple_schemas || rules->sort_tools || slice_present(rules->allow_tools);
}

/* A description of at most so many letters; what is longer ends with dots, between two words where it can. */
static struct slice
shortened(struct slice text, uint64_t letters, struct arena *arena)
{
    size_t at = 0, end = 0, word = 0;
    uint64_t count = 0;
    letters = letters < LETTERS_LEAST ? LETTERS_LEAST : letters;
    for (; at < text.len && count <= letters; count++) {
        if (count + 3 <= letters) {
            end = at;
            word = text.ptr[at] == ' ' ? at : word;
        }
        unsigned char byte = (unsigned char)text.ptr[at];
        at += byte == '\\' ? (at + 1 < text.len && text.ptr[at + 1] == 'u' ? 6 : 2) : byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    }
    if (at >= text.len && count <= letters)
        return text;
    return arena_printf(arena, "%.*s...", SLICE_ARG(slice_take(text, word > end / 2 ? word : end)));
}

static int
by_name(const void *a, const void *b)
{
    struct slice one = (*(struct canon_tool *const *)a)->name, two = (*(struct canon_tool *const *)b)->name;
    size_t least = one.len < two.len ? one.len : two.len;
    int order = least > 0 ? memcmp(one.ptr, two.ptr, least) : 0;
    return order != 0 ? order : (one.len > two.len) - (one.len < two.len);
}

static bool
is_allowed(struct shaping *shape, const struct canon_tool *tool)
{
    struct slice name = json_unescape(tool->name.len > 0 ? tool->name : tool->type, shape->arena);
    return !slice_present(shape->rules->allow_tools) || shape_matches(shape->rules->allow_tools, name, shape->arena);
}

static int
change_tool(struct shaping *shape, struct canon_tool *tool)
{
    const struct shape_rules *rules = shape->rules;
    if (tool->kind == TOOL_NATIVE)
        return 0;
    if (rules->stub_letters > 0 && tool->description.len > 0) {
        tool->description = shortened(tool->description, rules->stub_letters, shape->arena);
        tool->value = JSON_NONE;
        if (!slice_present(tool->description))
            return -ERR_MEMORY;
    }
    if (!rules->simple_schemas || tool->schema.len == 0)
        return 0;
    tool->value = JSON_NONE;
    tool->strict = SLICE_NONE; /* it makes demands on schemas that plain ones no longer meet */
    return shape_schema(tool->schema, shape->arena, &tool->schema);
}

/* A choice of what is no longer there says nothing; without any tool nothing can be chosen. */
static void
mend_choice(struct canon_request *request)
{
    struct canon_stop **link = &request->choice_allowed;
    bool named = false, listed = request->choice_allowed != NULL;
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next)
        named = named || slice_eq(tool->name, request->choice_name);
    if (!request->tools || (request->choice == CHOICE_NAMED && !named)) {
        request->choice = request->tools ? CHOICE_AUTO : CHOICE_UNSET;
        request->choice_name = SLICE_NONE;
    }
    if (!request->tools) {
        request->choice_allowed = NULL;
        request->parallel = -1;
        return;
    }
    while (*link) {
        bool there = false;
        for (const struct canon_tool *tool = request->tools; tool && !there; tool = tool->next)
            there = slice_eq(tool->name, (*link)->text);
        if (there)
            link = &(*link)->next;
        else
            *link = (*link)->next;
    }
    if (listed && !request->choice_allowed)
        request->choice = CHOICE_NONE; /* nothing of what was allowed is left */
}

/* The list of names is the client's: relinked in a copy. */
static int
copy_allowed(struct shaping *shape)
{
    for (struct canon_stop **link = &shape->request->choice_allowed; *link; link = &(*link)->next) {
        struct canon_stop *copy = arena_take(shape->arena, sizeof *copy);
        if (!copy)
            return -ERR_MEMORY;
        *copy = **link;
        *link = copy;
    }
    return 0;
}

int
shape_tools(struct shaping *shape)
{
    size_t count = 0, kept = 0;
    if (!any_rule(shape->rules) || !shape->request->tools)
        return 0;
    for (const struct canon_tool *tool = shape->request->tools; tool; tool = tool->next)
        count++;
    struct canon_tool **tools = arena_take(shape->arena, count * sizeof(struct canon_tool *));
    int error = tools ? copy_allowed(shape) : -ERR_MEMORY;
    for (const struct canon_tool *tool = shape->request->tools; tool && error == 0; tool = tool->next) {
        if (!is_allowed(shape, tool))
            continue;
        struct canon_tool *copy = arena_take(shape->arena, sizeof *copy);
        if (!copy)
            return -ERR_MEMORY;
        *copy = *tool;
        tools[kept++] = copy;
        error = change_tool(shape, copy);
    }
    if (error < 0)
        return error;
    if (shape->rules->sort_tools && kept > 1)
        qsort(tools, kept, sizeof(struct canon_tool *), by_name);
    struct canon_tool **link = &shape->request->tools;
    for (size_t i = 0; i < kept; i++) {
        *link = tools[i];
        link = &tools[i]->next;
    }
    *link = NULL;
    shape->notes->tools = true;
    if (kept < count)
        mend_choice(shape->request);
    return 0;
}
