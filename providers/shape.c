/* SPDX-License-Identifier: MIT
 *
 * shape.c - rules for the requests of certain models; see shape.h. Here: who is meant, instructions added (R116), words behind
 * the user's last (R149), marks for the cache (R95).
 */
#include "providers/shape.h"

#include "providers/dialect.h"

#define NAMES_MAX 10000

/* ---------------------------------------------------------------- copies */

struct canon_message *
shape_copy_message(struct shaping *shape, struct canon_message **link)
{
    struct canon_message *copy = arena_take(shape->arena, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = **link;
    *link = copy;
    return copy;
}

struct canon_part *
shape_copy_part(struct shaping *shape, struct canon_part **link)
{
    struct canon_part *copy = arena_take(shape->arena, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = **link;
    *link = copy;
    return copy;
}

/* The list itself, so that elements can be taken out and replaced. */
static int
copy_messages(struct shaping *shape)
{
    for (struct canon_message **link = &shape->request->messages; *link; link = &(*link)->next) {
        if (!shape_copy_message(shape, link))
            return -ERR_MEMORY;
    }
    return 0;
}

static int
copy_parts(struct shaping *shape, struct canon_message *message)
{
    for (struct canon_part **link = &message->parts; *link; link = &(*link)->next) {
        if (!shape_copy_part(shape, link))
            return -ERR_MEMORY;
    }
    return 0;
}

/* ---------------------------------------------------------------- who is meant */

static bool
fits(struct slice pattern, struct slice name)
{
    const char *star = memchr(pattern.ptr, '*', pattern.len);
    if (!star)
        return slice_eq(pattern, name);
    struct slice head = slice_take(pattern, (size_t)(star - pattern.ptr)), tail = slice_skip(pattern, head.len + 1);
    return name.len >= head.len + tail.len && slice_starts(name, head) && slice_ends(name, tail);
}

bool
shape_matches(struct slice patterns, struct slice name, struct arena *arena)
{
    struct json list;
    if (json_parse(patterns, 4, NAMES_MAX, arena, &list) != 0)
        return false;
    for (struct json at = json_first(list); json_present(at); at = json_next(at)) {
        struct slice pattern = json_string(at, arena);
        if (pattern.len > 0 && fits(pattern, name))
            return true;
    }
    return false;
}

bool
shape_means(const struct shape_rules *rules, struct slice model)
{
    struct arena arena;
    if (!slice_present(rules->models))
        return true;
    arena_init(&arena, 4u << 20);
    bool meant = shape_matches(rules->models, model, &arena);
    arena_fini(&arena);
    return meant;
}

bool
shape_applies(const struct shape_rules *rules, struct slice model)
{
    bool any = rules->system_prompt.len > 0 || rules->user_suffix.len > 0 || rules->filter != FILTER_OFF || rules->stub_letters > 0 ||
               rules->simple_schemas || rules->sort_tools || slice_present(rules->allow_tools) ||
               (rules->truncate && rules->context_tokens > 0) || rules->cache;
    return any && shape_means(rules, model);
}

bool
shape_is_system(const struct canon_message *message)
{
    return message->role == ROLE_SYSTEM || message->role == ROLE_DEVELOPER;
}

uint64_t
shape_weigh(const struct canon_request *request, struct canon_message *messages, struct canon_tool *tools)
{
    /* Read as if it came in Chat: an Anthropic client's is else weighed by its bytes, which are those before shaping. */
    struct canon_request what = {.from = request->from == DIALECT_GEMINI ? DIALECT_GEMINI : DIALECT_OPENAI_CHAT,
                                 .model = request->model, .messages = messages, .tools = tools, .arena = request->arena};
    return estimate_tokens(&what);
}

/* ---------------------------------------------------------------- instructions */

static struct slice
joined(struct arena *arena, struct slice a, const char *between, struct slice b)
{
    return arena_printf(arena, "%.*s%s%.*s", SLICE_ARG(a), between, SLICE_ARG(b));
}

static struct canon_part *
text_part(struct shaping *shape, struct slice text)
{
    struct canon_part *part = arena_take(shape->arena, sizeof *part);
    if (part)
        *part = (struct canon_part){.kind = PART_TEXT, .text = text};
    return part;
}

/* A message of instructions alone. */
static int
put_system_message(struct shaping *shape, struct canon_message **link, struct slice text)
{
    struct canon_message *message = arena_take(shape->arena, sizeof *message);
    struct canon_part *part = text_part(shape, text);
    if (!message || !part)
        return -ERR_MEMORY;
    *message = (struct canon_message){.next = *link, .role = ROLE_SYSTEM, .parts = part};
    *link = message;
    return 0;
}

/* In front of the first instructions, or behind the last of those that the conversation begins with. Other parts stay. */
static int
inject(struct shaping *shape)
{
    bool append = shape->rules->system_append;
    struct slice text = canon_escape(shape->rules->system_prompt, shape->arena);
    struct canon_message *target = shape->request->messages;
    if (!slice_present(text))
        return -ERR_MEMORY;
    shape->notes->system = true;
    if (!target || !shape_is_system(target))
        return put_system_message(shape, &shape->request->messages, text);
    while (append && target->next && shape_is_system(target->next))
        target = target->next;
    int error = copy_parts(shape, target);
    if (error < 0)
        return error;
    struct canon_part **link = &target->parts, *only = target->parts;
    if (only && !only->next && only->kind == PART_TEXT && !slice_present(only->cache_control)) {
        only->text = append ? joined(shape->arena, only->text, "\\n\\n", text) : joined(shape->arena, text, "\\n\\n", only->text);
        only->value = JSON_NONE;
        return slice_present(only->text) ? 0 : -ERR_MEMORY;
    }
    while (append && *link)
        link = &(*link)->next;
    struct canon_part *part = text_part(shape, text);
    if (!part)
        return -ERR_MEMORY;
    part->next = *link;
    *link = part;
    return 0;
}

/* ---------------------------------------------------------------- behind the user's words */

static struct canon_part *
last_text(const struct canon_message *message)
{
    struct canon_part *found = NULL;
    for (struct canon_part *part = message->parts; part; part = part->next) {
        if (part->kind == PART_TEXT)
            found = part;
    }
    return found;
}

static bool
holds_result(const struct canon_message *message)
{
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (part->kind == PART_RESULT)
            return true;
    }
    return false;
}

/* The user's last words: a message with text, or, if there is none, one with pictures and the like. */
static struct canon_message *
last_user(struct canon_message *messages)
{
    struct canon_message *spoken = NULL, *silent = NULL;
    for (struct canon_message *message = messages; message; message = message->next) {
        if (message->role != ROLE_USER)
            continue;
        if (last_text(message))
            spoken = message;
        else if (!holds_result(message))
            silent = message;
    }
    return spoken ? spoken : silent;
}

static int
put_suffix(struct shaping *shape)
{
    struct slice text = canon_escape(shape->rules->user_suffix, shape->arena);
    struct canon_message *message = last_user(shape->request->messages);
    if (!slice_present(text))
        return -ERR_MEMORY;
    struct canon_part *words = message ? last_text(message) : NULL;
    if (!message || (words && slice_ends(words->text, text)))
        return 0;
    int error = copy_parts(shape, message);
    if (error < 0)
        return error;
    shape->notes->messages = true;
    words = last_text(message);
    if (words) {
        words->text = joined(shape->arena, words->text, words->text.len > 0 ? " " : "", text);
        words->value = JSON_NONE;
        return slice_present(words->text) ? 0 : -ERR_MEMORY;
    }
    struct canon_part **link = &message->parts;
    while (*link)
        link = &(*link)->next;
    *link = text_part(shape, text);
    return *link ? 0 : -ERR_MEMORY;
}

/* ---------------------------------------------------------------- marks for the cache */

static bool
parts_marked(const struct canon_part *parts)
{
    for (const struct canon_part *part = parts; part; part = part->next) {
        if (slice_present(part->cache_control))
            return true;
        for (const struct canon_part *inner = part->parts; inner; inner = inner->next) {
            if (slice_present(inner->cache_control))
                return true;
        }
    }
    return false;
}

static bool
is_marked(const struct canon_request *request)
{
    if (json_present(json_get(request->root, "cache_control")))
        return true; /* Messages: the service marks by itself */
    for (const struct canon_message *message = request->messages; message; message = message->next) {
        if (parts_marked(message->parts) || json_present(json_get(message->value, "cache_control")))
            return true;
    }
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        if (slice_present(tool->cache_control))
            return true;
    }
    return false;
}

static const struct slice mark = SLICE_LIT("{\"type\":\"ephemeral\"}");

/* The last of the tools carries the mark for all of them; what only its own dialect runs is left alone. */
static int
mark_tools(struct shaping *shape)
{
    struct canon_tool **last = NULL;
    for (struct canon_tool **link = &shape->request->tools; *link; link = &(*link)->next) {
        struct canon_tool *copy = arena_take(shape->arena, sizeof *copy);
        if (!copy)
            return -ERR_MEMORY;
        *copy = **link;
        *link = copy;
        last = copy->kind == TOOL_NATIVE ? last : link;
    }
    if (!last)
        return 0;
    (*last)->cache_control = mark;
    (*last)->value = JSON_NONE;
    shape->notes->tools = true;
    return 0;
}

/* What stands before a mark counts for it: tools come first, then the instructions. */
static int
mark_prefixes(struct shaping *shape)
{
    struct canon_request *request = shape->request;
    struct canon_message *message = request->messages, *system = NULL;
    uint64_t empty = shape_weigh(request, NULL, NULL), least = shape->rules->cache_tokens;
    uint64_t tools = shape_weigh(request, NULL, request->tools) - empty, all = tools;
    if (is_marked(request))
        return 0;
    for (; message && shape_is_system(message); message = message->next) {
        struct canon_message one = *message;
        one.next = NULL;
        all += shape_weigh(request, &one, NULL) - empty;
        system = last_text(message) ? message : system;
    }
    if (request->tools && tools >= least) {
        int error = mark_tools(shape);
        if (error < 0)
            return error;
    }
    if (!system || all < least)
        return 0;
    int error = copy_parts(shape, system);
    if (error < 0)
        return error;
    struct canon_part *words = last_text(system);
    if (words->text.len == 0)
        return 0; /* empty text cannot be marked */
    words->cache_control = mark;
    words->value = JSON_NONE;
    shape->notes->system = true;
    return 0;
}

/* ---------------------------------------------------------------- all of it */

int
shape_request(const struct canon_request *request, const struct shape_rules *rules, struct arena *arena, struct canon_request *out,
              struct shape_notes *notes)
{
    struct shaping shape = {out, rules, arena, notes};
    *out = *request;
    *notes = (struct shape_notes){0};
    int error = copy_messages(&shape);
    if (error == 0 && rules->filter != FILTER_OFF)
        error = shape_filter_system(&shape);
    if (error == 0 && rules->system_prompt.len > 0)
        error = inject(&shape);
    if (error == 0)
        error = shape_tools(&shape);
    if (error == 0 && rules->user_suffix.len > 0)
        error = put_suffix(&shape);
    if (error == 0 && rules->truncate && rules->context_tokens > 0)
        error = shape_trim(&shape);
    if (error == 0 && rules->cache)
        error = mark_prefixes(&shape);
    return error;
}
