/* SPDX-License-Identifier: MIT
 *
 * anthropic_request_read.c - a Messages request as the canonical request, for an upstream of
 * another dialect.
 *
 * What has a canonical form is read and checked; blocks and tools that only Anthropic knows become
 * PART_NATIVE and TOOL_NATIVE, so that the writer of the other dialect can name what it cannot say.
 * Fields it does not know it ignores.
 */
#include "providers/anthropic_read.h"

#include "base/text.h"

struct part_list {
    struct canon_part *first, **end;
};

/* ---------------------------------------------------------------- faults and lists */

static int
refuse_block(struct reading *at, const char *message)
{
    struct arena *arena = at->request->arena;
    struct slice place = arena_printf(arena, "messages.%u.content.%u", at->message, at->block);
    *at->fault = (struct canon_fault){
        .message = arena_printf(arena, "%.*s: %s", SLICE_ARG(place), message), .param = place};
    return -ERR_REQUEST;
}

static int
add_part(struct reading *at, struct part_list *list, enum canon_part_kind kind, struct json value,
         struct canon_part **out)
{
    struct canon_part *part = arena_take(at->request->arena, sizeof(*part));
    *out = part;
    if (!part)
        return -ERR_MEMORY;
    *part = (struct canon_part){.kind = kind, .value = value};
    struct json marker = json_get(value, "cache_control");
    if (json_type(marker) == JSON_OBJECT)
        part->cache_control = json_raw(marker);
    *list->end = part;
    list->end = &part->next;
    return 0;
}

static int
add_text(struct reading *at, struct part_list *list, struct json value, struct json text)
{
    struct canon_part *part;
    if (json_type(text) != JSON_STRING)
        return refuse_block(at, "text must be a string");
    int error = add_part(at, list, PART_TEXT, value, &part);
    if (error == 0)
        part->text = json_text(text);
    return error;
}

static int
add_native(struct reading *at, struct part_list *list, struct json value)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_NATIVE, value, &part);
    if (error == 0)
        part->name = json_text(json_get(value, "type"));
    return error;
}

/* One line of escaped text below what is there. */
static size_t
put_line(char *bytes, size_t n, struct slice line)
{
    if (n > 0) {
        memcpy(bytes + n, "\\n", 2);
        n += 2;
    }
    if (line.len > 0)
        memcpy(bytes + n, line.ptr, line.len);
    return n + line.len;
}

/* The texts of a list of text blocks one below the other, under head; absent if there is anything
 * else in it. */
static struct slice
joined_text(struct arena *arena, struct slice head, struct json blocks)
{
    size_t len = head.len + 2;
    for (struct json block = json_first(blocks); json_present(block); block = json_next(block)) {
        if (!json_is(json_get(block, "type"), "text"))
            return SLICE_NONE;
        len += json_text(json_get(block, "text")).len + 2;
    }
    char *bytes = arena_take(arena, len);
    if (!bytes)
        return SLICE_NONE;
    size_t n = put_line(bytes, 0, head);
    for (struct json block = json_first(blocks); json_present(block); block = json_next(block))
        n = put_line(bytes, n, json_text(json_get(block, "text")));
    return slice_of(bytes, n);
}

/* ---------------------------------------------------------------- blocks that a tool result may
 * hold too */

/* The source of an image or a document: everything but its texts. */
static int
read_source(struct reading *at, struct json source, struct canon_part *part)
{
    struct arena *arena = at->request->arena;
    if (json_is(json_get(source, "type"), "base64")) {
        part->media_type = json_string(json_get(source, "media_type"), arena);
        part->data = json_string(json_get(source, "data"), arena);
        bool complete = slice_present(part->media_type) && slice_present(part->data);
        return complete ? 0 : refuse_block(at, "source needs media_type and data");
    }
    if (json_is(json_get(source, "type"), "url")) {
        part->url = json_string(json_get(source, "url"), arena);
        if (!slice_present(part->url) || slice_starts(part->url, SLICE_LIT("data:")))
            return refuse_block(at, "source.url must be an http or https URL");
        return 0;
    }
    if (json_is(json_get(source, "type"), "file")) {
        part->kind = PART_FILE;
        part->id = json_text(json_get(source, "file_id"));
        return slice_present(part->id) ? 0 : refuse_block(at, "source needs file_id");
    }
    return refuse_block(at, "source must be of type base64, url, file, text or content");
}

static int
add_document(struct reading *at, struct part_list *list, struct json block)
{
    struct canon_part *part;
    struct json source = json_get(block, "source"), content = json_get(source, "content");
    bool listed = json_is(json_get(source, "type"), "content") && json_type(content) == JSON_ARRAY;
    struct slice joined =
        listed ? joined_text(at->request->arena, SLICE_NONE, content) : SLICE_NONE;
    if (listed && !slice_present(joined))
        return add_native(at, list, block);
    int error = add_part(at, list, PART_DOCUMENT, block, &part);
    if (error != 0)
        return error;
    part->name = json_text(json_get(block, "title"));
    if (json_type(json_get(json_get(block, "citations"), "enabled")) == JSON_TRUE)
        canon_drop(&at->request->unsaid, "document.citations");
    if (json_text(json_get(block, "context")).len > 0)
        canon_drop(&at->request->unsaid, "document.context");
    if (listed)
        part->text = joined;
    else if (json_is(json_get(source, "type"), "text"))
        part->text = json_text(json_get(source, "data"));
    else if (json_is(json_get(source, "type"), "content"))
        part->text = json_text(content);
    else
        return read_source(at, source, part);
    part->media_type = SLICE_LIT("text/plain");
    return slice_present(part->text) ? 0 : refuse_block(at, "source needs its text");
}

/* A search result is a document: its source above its texts. */
static int
add_search_result(struct reading *at, struct part_list *list, struct json block)
{
    struct canon_part *part;
    struct slice text = joined_text(at->request->arena, json_text(json_get(block, "source")),
                                    json_get(block, "content"));
    if (!slice_present(text))
        return add_native(at, list, block);
    int error = add_part(at, list, PART_DOCUMENT, block, &part);
    if (error != 0)
        return error;
    part->name = json_text(json_get(block, "title"));
    part->media_type = SLICE_LIT("text/plain");
    part->text = text;
    return 0;
}

/* A tool that a search has found: where all tools are at hand, its name says enough. */
static int
add_reference(struct reading *at, struct part_list *list, struct json block)
{
    struct canon_part *part;
    struct slice name = json_text(json_get(block, "tool_name"));
    if (!slice_present(name))
        return add_native(at, list, block);
    int error = add_part(at, list, PART_TEXT, block, &part);
    if (error != 0)
        return error;
    canon_drop(&at->request->unsaid, "tool_reference");
    part->text = arena_printf(at->request->arena, "[found the tool %.*s]", SLICE_ARG(name));
    return slice_present(part->text) ? 0 : -ERR_MEMORY;
}

static int
read_inner_block(struct reading *at, struct json block, struct part_list *list)
{
    struct canon_part *part;
    struct json type = json_get(block, "type");
    if (json_type(type) != JSON_STRING)
        return refuse_block(at, "a content block needs a type");
    if (json_is(type, "text"))
        return add_text(at, list, block, json_get(block, "text"));
    if (json_is(type, "document"))
        return add_document(at, list, block);
    if (json_is(type, "search_result"))
        return add_search_result(at, list, block);
    if (json_is(type, "tool_reference"))
        return add_reference(at, list, block);
    if (!json_is(type, "image"))
        return add_native(at, list, block);
    int error = add_part(at, list, PART_IMAGE, block, &part);
    return error != 0 ? error : read_source(at, json_get(block, "source"), part);
}

/* ---------------------------------------------------------------- blocks of a message */

static int
read_call(struct reading *at, struct json block, struct part_list *list)
{
    struct canon_part *part;
    struct json input = json_get(block, "input");
    if (json_type(input) != JSON_OBJECT && json_present(input))
        return refuse_block(at, "input must be an object");
    int error = add_part(at, list, PART_CALL, block, &part);
    if (error != 0)
        return error;
    part->id = json_text(json_get(block, "id"));
    part->name = json_text(json_get(block, "name"));
    part->arguments = json_present(input) ? json_raw(input) : SLICE_LIT("{}");
    return part->id.len > 0 && part->name.len > 0 ? 0
                                                  : refuse_block(at, "tool_use needs id and name");
}

static int
read_result(struct reading *at, struct json block, struct part_list *list)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_RESULT, block, &part);
    if (error != 0)
        return error;
    part->id = json_text(json_get(block, "tool_use_id"));
    part->is_error = json_type(json_get(block, "is_error")) == JSON_TRUE;
    if (part->id.len == 0)
        return refuse_block(at, "tool_result needs tool_use_id");
    struct json content = json_get(block, "content");
    struct part_list inner = {.end = &inner.first};
    if (json_type(content) == JSON_STRING)
        error = add_text(at, &inner, content, content);
    else if (json_type(content) != JSON_ARRAY && json_type(content) != JSON_ABSENT &&
             json_type(content) != JSON_NULL)
        return refuse_block(at, "content must be a string or a list of blocks");
    for (struct json one = json_first(content); json_present(one) && error == 0;
         one = json_next(one))
        error = read_inner_block(at, one, &inner);
    part->parts = inner.first;
    return error;
}

/* Opaque state: Anthropic's own, or a wrapper of ours with another's. A mark of ours without any
 * state is nobody's. */
static void
read_state(struct reading *at, struct slice token, struct canon_part *part)
{
    bool redacted;
    if (!slice_starts(token, SLICE_LIT("penstock."))) {
        part->signature = token;
        part->origin = token.len > 0 ? ORIGIN_ANTHROPIC : ORIGIN_NONE;
    } else if (!canon_unwrap(token, &part->origin, &redacted, &part->signature,
                             at->request->arena)) {
        part->signature = SLICE_NONE;
        part->origin = ORIGIN_NONE;
    }
}

static int
read_thinking(struct reading *at, struct json block, struct part_list *list)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_THINKING, block, &part);
    if (error != 0)
        return error;
    part->text = json_text(json_get(block, "thinking"));
    read_state(at, json_text(json_get(block, "signature")), part);
    return slice_present(part->text) ? 0 : refuse_block(at, "thinking must be a string");
}

static int
read_redacted(struct reading *at, struct json block, struct part_list *list)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_REDACTED, block, &part);
    if (error != 0)
        return error;
    if (json_type(json_get(block, "data")) != JSON_STRING)
        return refuse_block(at, "data must be a string");
    read_state(at, json_text(json_get(block, "data")), part);
    part->data = json_unescape(slice_present(part->signature) ? part->signature : SLICE_LIT(""),
                               at->request->arena);
    part->signature = SLICE_NONE;
    return slice_present(part->data) ? 0 : -ERR_MEMORY;
}

static int
read_block(struct reading *at, struct json block, enum canon_role role, struct part_list *list)
{
    struct json type = json_get(block, "type");
    bool call = json_is(type, "tool_use"), result = json_is(type, "tool_result");
    if (call && role != ROLE_ASSISTANT)
        return refuse_block(at, "`tool_use` blocks can only be in `assistant` messages");
    if (result && role != ROLE_USER)
        return refuse_block(at, "`tool_result` blocks can only be in `user` messages");
    if (call)
        return read_call(at, block, list);
    if (result)
        return read_result(at, block, list);
    if (json_is(type, "thinking"))
        return read_thinking(at, block, list);
    if (json_is(type, "redacted_thinking"))
        return read_redacted(at, block, list);
    return read_inner_block(at, block, list);
}

/*
 * A state of Gemini's without a thought of its own belongs to its neighbour, as our writer put it:
 * in front of a call, or behind a text (wire-formats 11.5).
 */
static void
settle_states(struct canon_part **list)
{
    struct canon_part *before = NULL;
    for (struct canon_part **link = list; *link;) {
        struct canon_part *part = *link, *next = part->next, *owner = NULL;
        bool alone =
            part->kind == PART_THINKING && part->origin == ORIGIN_GEMINI && part->text.len == 0;
        if (alone && next && next->kind == PART_CALL && next->signature.len == 0)
            owner = next;
        else if (alone && before && before->kind == PART_TEXT && before->signature.len == 0)
            owner = before;
        if (!owner) {
            before = part;
            link = &part->next;
            continue;
        }
        owner->signature = part->signature;
        owner->origin = part->origin;
        *link = next;
    }
}

static int
read_content(struct reading *at, struct json content, enum canon_role role, struct canon_part **out)
{
    struct part_list list = {.end = &list.first};
    int error = 0;
    at->block = 0;
    if (json_type(content) == JSON_STRING)
        error = add_text(at, &list, content, content);
    else if (json_type(content) != JSON_ARRAY)
        error = refuse_block(at, "content must be a string or a list of blocks");
    for (struct json block = json_first(content); json_present(block) && error == 0;
         block = json_next(block)) {
        error = read_block(at, block, role, &list);
        at->block++;
    }
    if (role == ROLE_ASSISTANT)
        settle_states(&list.first);
    *out = list.first;
    return error;
}

/* ---------------------------------------------------------------- messages */

static int
add_message(struct reading *at, enum canon_role role, struct json value, struct json content,
            struct canon_message ***end)
{
    struct canon_message *message = arena_take(at->request->arena, sizeof(*message));
    if (!message)
        return -ERR_MEMORY;
    *message = (struct canon_message){.role = role, .value = value};
    **end = message;
    *end = &message->next;
    return read_content(at, content, role, &message->parts);
}

/* A line that Claude Code puts in front for Anthropic's accounting: anyone else would take it for a
 * prompt (R144). */
static void
strip_attribution(struct canon_message *system)
{
    static const struct slice mark = SLICE_LIT("x-anthropic-billing-header:");
    struct canon_part *first = system ? system->parts : NULL;
    if (!first || first->kind != PART_TEXT || !slice_starts(first->text, mark))
        return;
    ptrdiff_t end = text_find(first->text, SLICE_LIT("\\n"));
    first->text = end < 0 ? SLICE_LIT("") : slice_skip(first->text, (size_t)end + 2);
    if (first->text.len == 0)
        system->parts = first->next;
}

static int
read_messages(struct reading *at)
{
    struct canon_message **end = &at->request->messages;
    struct json root = at->request->root, system = json_get(root, "system");
    int error = 0;
    if (json_present(system) && json_type(system) != JSON_NULL)
        error = add_message(at, ROLE_SYSTEM, system, system, &end);
    strip_attribution(at->request->messages);
    struct json messages = json_get(root, "messages");
    for (struct json one = json_first(messages); json_present(one) && error == 0;
         one = json_next(one)) {
        struct json role = json_get(one, "role");
        if (json_is(role, "user"))
            error = add_message(at, ROLE_USER, one, json_get(one, "content"), &end);
        else if (json_is(role, "assistant"))
            error = add_message(at, ROLE_ASSISTANT, one, json_get(one, "content"), &end);
        else if (json_is(role, "system"))
            error = add_message(at, ROLE_SYSTEM, one, json_get(one, "content"), &end);
        else
            error = anthropic_refuse(at, "messages",
                                     "messages: role must be user, assistant or system");
        at->message++;
    }
    return error;
}

int
anthropic_read_request(struct canon_request *request, struct canon_fault *fault)
{
    struct reading at = {.request = request, .fault = fault};
    int error = read_messages(&at);
    return error != 0 ? error : anthropic_read_fields(&at);
}
