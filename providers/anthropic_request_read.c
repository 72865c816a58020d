/* SPDX-License-Identifier: MIT
 *
 * anthropic_request_read.c - a Messages request as the canonical request, for an upstream of
 * another dialect.
 *
 * What has a canonical form is read and checked; blocks and tools that only Anthropic knows become
 * PART_NATIVE and TOOL_NATIVE, so that the writer of the other dialect can name what it cannot say.
 * Fields it does not know it ignores.
 */
#include "providers/anthropic.h"

struct reading {
    struct canon_request *request;
    struct canon_fault *fault;
    uint32_t message, block; /* where we are, for the fault */
};

struct part_list {
    struct canon_part *first, **end;
};

/* ---------------------------------------------------------------- faults and lists */

static int
refuse(struct reading *at, const char *param, const char *message)
{
    *at->fault = (struct canon_fault){.message = slice_from(message), .param = slice_from(param)};
    return -ERR_REQUEST;
}

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

static int
read_thinking(struct reading *at, struct json block, struct part_list *list)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_THINKING, block, &part);
    if (error != 0)
        return error;
    part->text = json_text(json_get(block, "thinking"));
    part->signature = json_text(json_get(block, "signature"));
    return slice_present(part->text) ? 0 : refuse_block(at, "thinking must be a string");
}

static int
read_redacted(struct reading *at, struct json block, struct part_list *list)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_REDACTED, block, &part);
    if (error != 0)
        return error;
    part->data = json_string(json_get(block, "data"), at->request->arena);
    return slice_present(part->data) ? 0 : refuse_block(at, "data must be a string");
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

static int
read_messages(struct reading *at)
{
    struct canon_message **end = &at->request->messages;
    struct json root = at->request->root, system = json_get(root, "system");
    int error = 0;
    if (json_present(system) && json_type(system) != JSON_NULL)
        error = add_message(at, ROLE_SYSTEM, system, system, &end);
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
            error = refuse(at, "messages", "messages: role must be user, assistant or system");
        at->message++;
    }
    return error;
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
    return own && tool->name.len == 0 ? refuse(at, "tools", "tools: a tool needs a name") : 0;
}

static int
read_tools(struct reading *at)
{
    struct canon_tool **end = &at->request->tools;
    struct json tools = json_get(at->request->root, "tools");
    if (json_present(tools) && json_type(tools) != JSON_ARRAY && json_type(tools) != JSON_NULL)
        return refuse(at, "tools", "tools: must be an array");
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
        return refuse(at, "tool_choice", "tool_choice: type must be auto, any, tool or none");
    request->choice_name = json_text(json_get(choice, "name"));
    if (request->choice == CHOICE_NAMED && request->choice_name.len == 0)
        return refuse(at, "tool_choice", "tool_choice: a tool needs a name");
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
            return refuse(at, numbers[i].name, "must be a number");
    }
    return 0;
}

static int
read_stop(struct reading *at)
{
    struct canon_stop **end = &at->request->stop;
    struct json stop = json_get(at->request->root, "stop_sequences");
    if (json_present(stop) && json_type(stop) != JSON_ARRAY && json_type(stop) != JSON_NULL)
        return refuse(at, "stop_sequences", "stop_sequences: must be a list of strings");
    for (struct json one = json_first(stop); json_present(one); one = json_next(one)) {
        struct canon_stop *entry = arena_take(at->request->arena, sizeof(*entry));
        if (!entry)
            return -ERR_MEMORY;
        *entry = (struct canon_stop){.text = json_text(one)};
        if (!slice_present(entry->text))
            return refuse(at, "stop_sequences", "stop_sequences: must be a list of strings");
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
    if (json_type(thinking) != JSON_OBJECT)
        return 0;
    if (json_is(type, "enabled"))
        request->thinking = THINKING_ENABLED;
    else if (json_is(type, "adaptive"))
        request->thinking = THINKING_ADAPTIVE;
    else if (json_is(type, "disabled"))
        request->thinking = THINKING_DISABLED;
    else
        return refuse(at, "thinking", "thinking: type must be enabled, adaptive or disabled");
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

int
anthropic_read_request(struct canon_request *request, struct canon_fault *fault)
{
    struct reading at = {.request = request, .fault = fault};
    int error = read_messages(&at);
    if (error == 0)
        error = read_tools(&at);
    if (error == 0)
        error = read_choice(&at);
    if (error == 0)
        error = read_numbers(&at);
    if (error == 0)
        error = read_stop(&at);
    if (error == 0)
        error = read_thinking_config(&at);
    if (error != 0)
        return error;
    read_output_config(request);
    struct json metadata = json_get(request->root, "metadata");
    if (json_type(metadata) == JSON_OBJECT)
        request->metadata = json_raw(metadata);
    request->user = json_text(json_get(metadata, "user_id"));
    request->service_tier = json_text(json_get(request->root, "service_tier"));
    return 0;
}
