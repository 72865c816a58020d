/* SPDX-License-Identifier: MIT
 *
 * openai_responses_items_read.c - instructions and input items as canonical messages.
 *
 * Neighbouring reasoning, messages and calls of the assistant are one turn. Whatever anybody else
 * says ends it. Items that only OpenAI understands become native parts of the side that made them.
 * Ids and status of items are echoes: they mean something to the store they came from only, and are
 * passed over without a word.
 */
#include "providers/openai_responses_request.h"

/* ---------------------------------------------------------------- messages */

static int
add_message(struct responses_reading *at, enum canon_role role, struct json value)
{
    struct canon_message *message = arena_take(at->request->arena, sizeof(*message));
    if (!message)
        return -ERR_MEMORY;
    *message = (struct canon_message){.role = role, .value = value};
    *at->link = message;
    at->link = &message->next;
    at->part_link = &message->parts;
    at->assistant = role == ROLE_ASSISTANT ? message : NULL;
    return 0;
}

/* The assistant's turn under way, or a new one. */
static int
assistant_turn(struct responses_reading *at, struct json value)
{
    return at->assistant ? 0 : add_message(at, ROLE_ASSISTANT, value);
}

static int
read_message(struct responses_reading *at, struct json item)
{
    static const struct {
        const char *name;
        enum canon_role role;
    } roles[] = {{"user", ROLE_USER},
                 {"assistant", ROLE_ASSISTANT},
                 {"system", ROLE_SYSTEM},
                 {"developer", ROLE_DEVELOPER}};
    struct json role = json_get(item, "role");
    for (size_t i = 0; i < countof(roles); i++) {
        if (!json_is(role, roles[i].name))
            continue;
        int error = roles[i].role == ROLE_ASSISTANT ? assistant_turn(at, item)
                                                    : add_message(at, roles[i].role, item);
        if (json_type(json_get(item, "phase")) == JSON_STRING)
            canon_drop(&at->request->unsaid, "phase");
        return error ? error
                     : responses_read_content(at, json_get(item, "content"), &at->part_link);
    }
    return responses_refuse_item(at,
                                 "a message needs the role user, assistant, system or developer");
}

/* ---------------------------------------------------------------- reasoning */

/* The texts of a list of parts, an empty line between them; escaped. Empty when there are none,
 * absent without memory. */
static struct slice
joined_texts(struct json parts, struct arena *arena)
{
    struct slice only = SLICE_LIT("");
    size_t len = 0, count = 0;
    if (json_type(parts) != JSON_ARRAY)
        return only;
    for (struct json part = json_first(parts); json_present(part); part = json_next(part)) {
        struct slice text = json_text(json_get(part, "text"));
        if (text.len == 0)
            continue;
        only = text;
        count++;
        len += text.len + 4;
    }
    if (count < 2)
        return only;
    char *bytes = arena_take(arena, len);
    size_t n = 0;
    if (!bytes)
        return SLICE_NONE;
    for (struct json part = json_first(parts); json_present(part); part = json_next(part)) {
        struct slice text = json_text(json_get(part, "text"));
        if (text.len == 0)
            continue;
        if (n > 0) {
            memcpy(bytes + n, "\\n\\n", 4);
            n += 4;
        }
        memcpy(bytes + n, text.ptr, text.len);
        n += text.len;
    }
    return slice_of(bytes, n);
}

static int
add_thought(struct responses_reading *at, struct json item, struct slice text, struct slice state,
            enum canon_origin origin, bool redacted)
{
    int error = assistant_turn(at, item);
    struct canon_part *part =
        error ? NULL
              : responses_add_part(at, &at->part_link, redacted ? PART_REDACTED : PART_THINKING,
                                   item);
    if (!part)
        return -ERR_MEMORY;
    part->origin = origin;
    part->text = text;
    if (!redacted)
        part->signature = state;
    else
        part->data = json_unescape(state, at->request->arena);
    return !redacted || slice_present(part->data) ? 0 : -ERR_MEMORY;
}

/*
 * Reasoning as it was shown: the full text where the upstream gives it, else the summary; and its
 * state, which is ours to unwrap if another provider made it. A bare id stands for something in a
 * store that is out of reach.
 */
static int
read_reasoning(struct responses_reading *at, struct json item)
{
    struct arena *arena = at->request->arena;
    struct slice text = joined_texts(json_get(item, "content"), arena);
    if (slice_present(text) && text.len == 0)
        text = joined_texts(json_get(item, "summary"), arena);
    if (!slice_present(text))
        return -ERR_MEMORY;
    struct slice token = json_text(json_get(item, "encrypted_content")), state = token;
    enum canon_origin origin = token.len > 0 ? ORIGIN_RESPONSES : ORIGIN_NONE;
    bool redacted = false;
    bool wrapped = slice_starts(token, SLICE_LIT("penstock."));
    if (token.len == 0)
        state = SLICE_NONE;
    if (wrapped && !canon_unwrap(token, &origin, &redacted, &state, arena)) {
        canon_drop(&at->request->unsaid, "reasoning");
        return 0;
    }
    if (state.len == 0 && text.len == 0) {
        canon_drop(&at->request->unsaid, "reasoning");
        return 0;
    }
    return add_thought(at, item, text, state, origin, redacted);
}

/* ---------------------------------------------------------------- calls and results */

static int
read_call(struct responses_reading *at, struct json item, bool custom)
{
    int error = assistant_turn(at, item);
    struct canon_part *part =
        error ? NULL : responses_add_part(at, &at->part_link, PART_CALL, item);
    if (!part)
        return -ERR_MEMORY;
    struct json arguments = json_get(item, "arguments");
    part->custom = custom;
    part->id = json_text(json_get(item, "call_id"));
    part->name = json_text(json_get(item, "name"));
    if (part->id.len == 0 || part->name.len == 0)
        return responses_refuse_item(at, "a tool call needs call_id and name");
    part->name = responses_flat_name(at, json_text(json_get(item, "namespace")), part->name);
    if (custom)
        part->text = json_text(json_get(item, "input"));
    else if (json_type(arguments) == JSON_STRING)
        part->arguments = json_string(arguments, at->request->arena);
    else if (json_type(arguments) != JSON_NULL)
        part->arguments = json_raw(arguments);
    return slice_present(part->name) ? 0 : -ERR_MEMORY;
}

static int
read_result(struct responses_reading *at, struct json item)
{
    int error = add_message(at, ROLE_TOOL, item);
    struct canon_part *part =
        error ? NULL : responses_add_part(at, &at->part_link, PART_RESULT, item);
    if (!part)
        return -ERR_MEMORY;
    part->id = json_text(json_get(item, "call_id"));
    if (part->id.len == 0)
        return responses_refuse_item(at, "the output of a tool needs the call_id of its call");
    struct canon_part **inner = &part->parts;
    return responses_read_content(at, json_get(item, "output"), &inner);
}

/* ---------------------------------------------------------------- what only OpenAI knows */

/* Did the client's side make this item? Its type says so. */
static bool
is_answer(struct slice type)
{
    return slice_ends(type, SLICE_LIT("_output")) || slice_ends(type, SLICE_LIT("_response"));
}

static int
read_native(struct responses_reading *at, struct json item, struct json type)
{
    bool answer = is_answer(json_text(type));
    int error = answer ? add_message(at, ROLE_USER, item) : assistant_turn(at, item);
    struct canon_part *part =
        error ? NULL : responses_add_part(at, &at->part_link, PART_NATIVE, item);
    if (!part)
        return -ERR_MEMORY;
    part->name = json_text(type);
    return 0;
}

static int
read_item(struct responses_reading *at, struct json item)
{
    struct json type = json_get(item, "type");
    if (json_type(item) != JSON_OBJECT)
        return responses_refuse_item(at, "an input item must be an object");
    if (json_is(type, "message") || (!json_present(type) && json_present(json_get(item, "role"))))
        return read_message(at, item);
    if (json_type(type) != JSON_STRING)
        return responses_refuse_item(at, "an input item needs a type");
    if (json_is(type, "function_call"))
        return read_call(at, item, false);
    if (json_is(type, "custom_tool_call"))
        return read_call(at, item, true);
    if (json_is(type, "function_call_output") || json_is(type, "custom_tool_call_output"))
        return read_result(at, item);
    if (json_is(type, "reasoning"))
        return read_reasoning(at, item);
    if (json_is(type, "additional_tools"))
        return responses_read_tools(at, json_get(item, "tools"), "input");
    if (json_is(type, "compaction_trigger"))
        return responses_refuse(at->fault, ERR_UNSUPPORTED, "input",
                                "the upstream behind this model cannot compact a conversation");
    return read_native(at, item, type);
}

int
responses_read_items(struct responses_reading *at)
{
    struct json instructions = json_get(at->request->root, "instructions"),
                input = json_get(at->request->root, "input");
    enum json_type type = json_type(instructions);
    int error = 0;
    if (type != JSON_ABSENT && type != JSON_NULL && type != JSON_STRING)
        return responses_refuse(at->fault, ERR_REQUEST, "instructions",
                                "instructions must be a string");
    if (type == JSON_STRING && json_text(instructions).len > 0) {
        error = add_message(at, ROLE_SYSTEM, JSON_NONE);
        if (!error)
            error = responses_read_content(at, instructions, &at->part_link);
    }
    if (error)
        return error;
    if (json_type(input) == JSON_STRING) {
        error = add_message(at, ROLE_USER, JSON_NONE);
        return error ? error : responses_read_content(at, input, &at->part_link);
    }
    if (json_type(input) != JSON_ARRAY)
        return responses_refuse(at->fault, ERR_REQUEST, "input",
                                "input must be a string or a list of items");
    for (struct json item = json_first(input); !error && json_present(item);
         item = json_next(item)) {
        error = read_item(at, item);
        at->item++;
    }
    return error;
}
