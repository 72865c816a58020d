/* SPDX-License-Identifier: MIT
 *
 * openai_chat_history.c - a conversation in the form that one server insists on: ids of nine
 * characters, thoughts sent back with calls, instructions as a list of parts, plain content as one
 * string.
 *
 * Works on messages as JSON, so that it serves requests that are passed and requests that are
 * written. Messages that need nothing stay as they are, byte for byte.
 */
#include "providers/openai_chat.h"

#define NINE 9

static bool
is_alphanumeric(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

/* An id of nine letters and digits, as Mistral wants it: the same for the same id in every request.
 */
static struct slice
id_of_nine(struct slice id, struct arena *arena)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    bool is_legal = id.len == NINE;
    for (size_t i = 0; i < id.len && is_legal; i++)
        is_legal = is_alphanumeric(id.ptr[i]);
    if (is_legal)
        return id;
    char made[NINE];
    uint64_t hash = canon_hash(id);
    for (size_t i = 0; i < NINE; i++, hash /= 62)
        made[i] = digits[hash % 62];
    return arena_copy(arena, slice_of(made, NINE));
}

/* What was thought before a call of the request. */
struct thought {
    uint64_t hash; /* of the call's id; 0: free */
    struct slice id, text;
};

/* One pass over a conversation. */
struct mending {
    const struct canon_request *request;
    const struct dialect_upstream *upstream;
    struct arena *arena;
    struct json_writer json;
    struct json last_system;  /* where its parts need that; absent */
    struct thought *thoughts; /* a table that is never full, made when it is first needed */
    size_t thoughts_size;     /* a power of two; 0: not made yet */
    bool changed, failed;
};

/* What one message needs. */
struct needs {
    bool ids, reasoning, parts, flat, prefix, system;
    bool marked; /* parts: these are the last instructions */
};

static bool
is_system(struct json message)
{
    struct json role = json_get(message, "role");
    return json_is(role, "system") || json_is(role, "developer");
}

static bool
is_text_part(struct json part)
{
    return json_type(part) == JSON_STRING || json_is(json_get(part, "type"), "text") ||
           json_is(json_get(part, "type"), "input_text");
}

static bool
has_media(struct json content)
{
    for (struct json at = json_first(content); json_present(at); at = json_next(at))
        if (!is_text_part(at))
            return true;
    return false;
}

static bool
has_long_id(struct mending *to, struct json message)
{
    struct json calls = json_get(message, "tool_calls");
    struct slice id = json_text(json_get(message, "tool_call_id"));
    bool found = slice_present(id) && !slice_eq(id, id_of_nine(id, to->arena));
    for (struct json at = json_first(calls);
         json_type(calls) == JSON_ARRAY && json_present(at) && !found; at = json_next(at)) {
        id = json_text(json_get(at, "id"));
        found = slice_present(id) && !slice_eq(id, id_of_nine(id, to->arena));
    }
    return found;
}

static struct needs
needs_of(struct mending *to, struct json message)
{
    const struct dialect_upstream *upstream = to->upstream;
    struct json content = json_get(message, "content"), calls = json_get(message, "tool_calls");
    bool is_assistant = json_is(json_get(message, "role"), "assistant");
    bool has_calls = json_type(calls) == JSON_ARRAY && json_count(calls) > 0;
    bool is_list = json_type(content) == JSON_ARRAY;
    bool is_last = !json_present(json_next(message));
    struct needs needs = {
        .ids = upstream->ids == IDS_NINE && has_long_id(to, message),
        .reasoning = upstream->replay_reasoning && is_assistant && has_calls &&
                     json_type(json_get(message, "reasoning_content")) != JSON_STRING,
        .parts = upstream->system_parts && is_system(message) &&
                 (is_list || json_type(content) == JSON_STRING),
        .prefix = upstream->ids == IDS_NINE && is_assistant && is_last && !has_calls &&
                  !json_present(json_get(message, "prefix")),
        .system = !upstream->developer_role && json_is(json_get(message, "role"), "developer"),
    };
    needs.marked = needs.parts && message.at == to->last_system.at;
    needs.flat = upstream->flat_content && !needs.parts && is_list && !has_media(content);
    return needs;
}

/* ---------------------------------------------------------------- members */

static void
put_text_part(struct json_writer *json, struct json part, struct slice marker)
{
    struct json text = json_type(part) == JSON_STRING ? part : json_get(part, "text");
    json_object(json);
    json_member_text(json, "type", "text");
    json_name(json, "text");
    json_put_escaped(json, json_text(text));
    if (slice_present(marker))
        json_member_raw(json, "cache_control", marker);
    json_end(json);
}

/* Instructions as parts; the last part of all of them is marked for the provider's cache, and no
 * other. */
static void
put_parts(struct json_writer *json, struct json content, bool is_marked)
{
    json_array(json);
    struct json at = json_type(content) == JSON_STRING ? content : json_first(content);
    while (json_present(at)) {
        struct json next = json_type(content) == JSON_STRING ? JSON_NONE : json_next(at);
        struct json marker = json_get(at, "cache_control");
        struct slice shown = json_type(marker) == JSON_OBJECT
                                 ? json_raw(marker)
                                 : SLICE_LIT("{\"type\":\"ephemeral\"}");
        if (is_text_part(at))
            put_text_part(json, at, json_present(next) || !is_marked ? SLICE_NONE : shown);
        else
            json_put_raw(json, json_raw(at));
        at = next;
    }
    json_end(json);
}

static void
put_flat(struct mending *to, struct json content)
{
    struct sink text;
    sink_init(&text, CHAT_WHOLE_MAX);
    for (struct json at = json_first(content); json_present(at); at = json_next(at)) {
        struct slice piece = json_text(json_type(at) == JSON_STRING ? at : json_get(at, "text"));
        if (piece.len > 0 && text.len > 0)
            sink_text(&text, "\\n\\n");
        sink_put(&text, piece);
    }
    to->failed = to->failed || text.error;
    sink_carry(to->json.sink, &text);
    json_put_escaped(&to->json, sink_slice(&text));
    sink_fini(&text);
}

static void
put_id(struct mending *to, struct json id)
{
    struct slice made = id_of_nine(json_text(id), to->arena);
    to->failed = to->failed || !slice_present(made);
    if (slice_present(json_text(id)))
        json_put_escaped(&to->json, made);
    else
        json_put_raw(&to->json, json_raw(id));
}

static void
put_name(struct mending *to, struct json member)
{
    struct slice name = json_unescape(json_key(member), to->arena);
    to->failed = to->failed || !slice_present(name);
    json_name_slice(&to->json, name);
}

static void
put_calls(struct mending *to, struct json calls)
{
    json_array(&to->json);
    for (struct json call = json_first(calls); json_present(call); call = json_next(call)) {
        if (json_type(call) != JSON_OBJECT) {
            json_put_raw(&to->json, json_raw(call));
            continue;
        }
        json_object(&to->json);
        for (struct json at = json_first(call); json_present(at); at = json_next(at)) {
            put_name(to, at);
            if (json_key_is(at, "id"))
                put_id(to, at);
            else
                json_put_raw(&to->json, json_raw(at));
        }
        json_end(&to->json);
    }
    json_end(&to->json);
}

/* ---------------------------------------------------------------- messages */

static void
put_member(struct mending *to, const struct needs *needs, struct json member)
{
    put_name(to, member);
    if (needs->system && json_key_is(member, "role"))
        json_put_literal(&to->json, "system");
    else if (needs->parts && json_key_is(member, "content"))
        put_parts(&to->json, member, needs->marked);
    else if (needs->flat && json_key_is(member, "content"))
        put_flat(to, member);
    else if (needs->ids && json_key_is(member, "tool_call_id"))
        put_id(to, member);
    else if (needs->ids && json_key_is(member, "tool_calls") && json_type(member) == JSON_ARRAY)
        put_calls(to, member);
    else
        json_put_raw(&to->json, json_raw(member));
}

/* Where this call's thought is in the table, or could be. */
static struct thought *
place_of(struct mending *to, struct slice id)
{
    uint64_t hash = canon_hash(id);
    hash += hash == 0;
    size_t at = hash & (to->thoughts_size - 1);
    while (to->thoughts[at].hash != 0 &&
           (to->thoughts[at].hash != hash || !slice_eq(to->thoughts[at].id, id)))
        at = (at + 1) & (to->thoughts_size - 1);
    return &to->thoughts[at];
}

static void
note_thoughts(struct mending *to, const struct canon_message *message)
{
    struct slice thought = SLICE_NONE;
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (part->kind == PART_THINKING && thought.len == 0)
            thought = part->text;
        if (part->kind != PART_CALL || thought.len == 0 || part->id.len == 0)
            continue;
        struct thought *place = place_of(to, part->id);
        uint64_t hash = canon_hash(part->id);
        if (place->hash == 0)
            *place = (struct thought){.hash = hash + (hash == 0), .id = part->id, .text = thought};
    }
}

/* Every thought of the request by the calls that it led to: looking for each anew would take a long
 * conversation's length squared. */
static bool
take_thoughts(struct mending *to)
{
    size_t calls = 0;
    for (const struct canon_message *at = to->request->messages; at; at = at->next)
        for (const struct canon_part *part = at->parts; part; part = part->next)
            calls += part->kind == PART_CALL;
    size_t size = 16;
    while (size < calls * 2)
        size *= 2;
    to->thoughts = arena_take(to->arena, size * sizeof(*to->thoughts));
    if (!to->thoughts)
        return false;
    to->thoughts_size = size;
    for (const struct canon_message *at = to->request->messages; at; at = at->next)
        note_thoughts(to, at);
    return true;
}

/* What the gateway has put back before this call, when the request was read (P32). */
static struct slice
remembered(struct mending *to, struct json message)
{
    struct slice id = json_text(json_get(json_first(json_get(message, "tool_calls")), "id"));
    if (id.len == 0)
        return SLICE_NONE;
    if (to->thoughts_size == 0 && !take_thoughts(to)) {
        to->failed = true;
        return SLICE_NONE;
    }
    return place_of(to, id)->text;
}

static void
put_message(struct mending *to, struct json message)
{
    struct needs needs = needs_of(to, message);
    bool any =
        needs.ids || needs.reasoning || needs.parts || needs.flat || needs.prefix || needs.system;
    if (!any || json_type(message) != JSON_OBJECT) {
        json_put_raw(&to->json, json_raw(message));
        return;
    }
    to->changed = true;
    json_object(&to->json);
    for (struct json at = json_first(message); json_present(at); at = json_next(at))
        if (!needs.reasoning || !json_key_is(at, "reasoning_content"))
            put_member(to, &needs, at);
    if (needs.reasoning) {
        /* Known under its other name, or remembered, or not at all: but something must be there. */
        struct slice known = json_text(json_get(message, "reasoning"));
        if (known.len == 0)
            known = remembered(to, message);
        json_name(&to->json, "reasoning_content");
        json_put_escaped(&to->json, known.len > 0 ? known : SLICE_LIT(""));
    }
    if (needs.prefix)
        json_member_bool(&to->json, "prefix", true);
    json_end(&to->json);
}

/* Mistral wants to have answered a tool's result before the user goes on. */
static bool
lacks_answer(const struct mending *to, struct json before, struct json message)
{
    return to->upstream->ids == IDS_NINE && json_is(json_get(before, "role"), "tool") &&
           json_is(json_get(message, "role"), "user");
}

static struct slice
mended_messages(const struct canon_request *request, struct json messages,
                const struct dialect_upstream *upstream, struct arena *arena, int *error)
{
    struct sink out;
    struct mending to = {.request = request, .upstream = upstream, .arena = arena};
    sink_init(&out, CHAT_WHOLE_MAX);
    json_writer_init(&to.json, &out);
    json_array(&to.json);
    struct json before = JSON_NONE, at = upstream->system_parts ? json_first(messages) : JSON_NONE;
    for (; json_present(at); at = json_next(at))
        if (is_system(at))
            to.last_system = at;
    for (at = json_first(messages); json_present(at); at = json_next(at)) {
        if (lacks_answer(&to, before, at)) {
            json_put_raw(&to.json, SLICE_LIT("{\"role\":\"assistant\",\"content\":\".\"}"));
            to.changed = true;
        }
        put_message(&to, at);
        before = at;
    }
    json_end(&to.json);
    struct slice copy = SLICE_NONE;
    if (to.changed)
        copy = out.error || to.failed ? SLICE_NONE : arena_copy(arena, sink_slice(&out));
    if (to.changed && !slice_present(copy))
        *error = -ERR_MEMORY;
    sink_fini(&out);
    return copy;
}

struct slice
chat_changed_messages(const struct canon_request *request, struct json messages,
                      const struct dialect_upstream *upstream, struct arena *arena, int *error)
{
    bool is_special = upstream->ids == IDS_NINE || upstream->replay_reasoning ||
                      upstream->system_parts || upstream->flat_content;
    struct slice merged = SLICE_NONE;
    *error = 0;
    if (json_type(messages) != JSON_ARRAY)
        return SLICE_NONE;
    if (upstream->strict_turns)
        merged = chat_merged_turns(messages, upstream->developer_role, arena, error);
    if (*error || !is_special)
        return merged;
    if (slice_present(merged))
        *error = json_parse(merged, 128, 1u << 24, arena, &messages);
    struct slice mended =
        *error ? SLICE_NONE : mended_messages(request, messages, upstream, arena, error);
    return slice_present(mended) ? mended : merged;
}

/* ---------------------------------------------------------------- one tool of several */

static struct slice
name_in(struct json entry)
{
    struct json body =
        json_get(entry, json_is(json_get(entry, "type"), "custom") ? "custom" : "function");
    return json_text(json_get(body, "name"));
}

static bool
is_named(struct json tool, struct json choice, struct json list)
{
    struct slice name = name_in(tool);
    if (json_type(list) != JSON_ARRAY)
        return name.len > 0 && slice_eq(name, name_in(choice));
    for (struct json at = json_first(list); json_present(at); at = json_next(at))
        if (name.len > 0 && slice_eq(name, name_in(at)))
            return true;
    return false;
}

void
chat_mend_choice(struct splice *splice, struct json root)
{
    struct json choice = json_get(root, "tool_choice"), tools = json_get(root, "tools");
    struct json allowed = json_get(choice, "allowed_tools");
    if (json_type(choice) != JSON_OBJECT || json_type(tools) != JSON_ARRAY)
        return;
    struct json list = json_get(allowed, "tools");
    if (json_type(list) == JSON_ARRAY && json_count(list) > CANON_ALLOWED_MAX)
        return; /* the upstream may say what it thinks of that */
    struct sink kept;
    struct json_writer json;
    int count = 0;
    sink_init(&kept, CHAT_WHOLE_MAX);
    json_writer_init(&json, &kept);
    json_array(&json);
    for (struct json at = json_first(tools); json_present(at); at = json_next(at)) {
        if (!is_named(at, choice, list))
            continue;
        json_put_raw(&json, json_raw(at));
        count++;
    }
    json_end(&json);
    struct slice copy = kept.error ? SLICE_NONE : arena_copy(splice->arena, sink_slice(&kept));
    sink_fini(&kept);
    splice->failed = splice->failed || !slice_present(copy);
    bool is_forced = !json_present(list) || json_is(json_get(allowed, "mode"), "required");
    if (count == 0 || splice->failed)
        return; /* it names no tool of the request: the upstream may say so */
    splice_replace(splice, json_raw(tools), copy);
    splice_replace(splice, json_raw(choice),
                   is_forced ? SLICE_LIT("\"required\"") : SLICE_LIT("\"auto\""));
}
