/* SPDX-License-Identifier: MIT
 *
 * openai_chat_assistant_write.c - what a model said and called, as an assistant message of a Chat
 * Completions request.
 *
 * Ids of calls are made legal and unique here; results find them in the writer's list of open
 * calls. Opaque state goes back only to those who can have made it, and what cannot go is reported.
 */
#include "providers/openai_chat_write.h"

#include "base/text.h"

/* ---------------------------------------------------------------- ids */

/* Room for the ids of every call of the request: a table that is never full. */
static int
take_table(struct chat_request_writer *to)
{
    size_t calls = 0;
    for (const struct canon_message *at = to->request->messages; at; at = at->next)
        for (const struct canon_part *part = at->parts; part; part = part->next)
            calls += part->kind == PART_CALL;
    to->used_size = 16;
    while (to->used_size < calls * 2)
        to->used_size *= 2;
    to->used = arena_take(to->request->arena, to->used_size * sizeof(*to->used));
    return to->used ? 0 : -ERR_MEMORY;
}

/* What is known of an id that was told before. NULL: it was not, and is from now on. */
static struct chat_used_id *
used_id(struct chat_request_writer *to, struct slice id)
{
    uint64_t hash = canon_hash(id);
    hash += hash == 0;
    size_t at = hash & (to->used_size - 1);
    for (; to->used[at].hash != 0; at = (at + 1) & (to->used_size - 1))
        if (to->used[at].hash == hash)
            return &to->used[at];
    to->used[at] = (struct chat_used_id){.hash = hash, .copies = 1};
    return NULL;
}

/* The id that the upstream is told: legal, and another one when a call before has it (bedrock's and
 * others' repeat). */
static struct slice
wire_id(struct chat_request_writer *to, struct slice id)
{
    struct arena *arena = to->request->arena;
    struct slice wire = id.len <= CHAT_ID_MAX ? id : canon_legal_id(id, CHAT_ID_MAX, arena);
    struct chat_used_id *told = slice_present(wire) ? used_id(to, wire) : NULL;
    if (!told)
        return wire;
    /* Numbers go on where the last repetition left them, or many of them would try all of them. */
    do
        wire = arena_printf(arena, "call_%016llx_%u", (unsigned long long)canon_hash(id),
                            (unsigned)++told->copies);
    while (slice_present(wire) && used_id(to, wire));
    return wire;
}

static int
note_calls(struct chat_request_writer *to, const struct canon_message *message)
{
    to->call_count = to->call_next = 0;
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (part->kind != PART_CALL)
            continue;
        if (to->call_count == CHAT_CALLS_MAX) {
            to->fault->param = SLICE_LIT("messages");
            to->fault->message = SLICE_LIT("too many tool calls in one turn");
            return -ERR_REQUEST;
        }
        if (!to->calls)
            to->calls = arena_take(to->request->arena, CHAT_CALLS_MAX * sizeof(*to->calls));
        if (!to->calls || (!to->used && take_table(to) != 0))
            return -ERR_MEMORY;
        struct chat_open_call *call = &to->calls[to->call_count++];
        *call = (struct chat_open_call){
            .id = part->id, .hash = canon_hash(part->id), .wire = wire_id(to, part->id)};
        if (!slice_present(call->wire))
            return -ERR_MEMORY;
    }
    return 0;
}

/* ---------------------------------------------------------------- calls */

/* Google's signature, to Google's own endpoint; nobody else has a place for it. */
static void
put_signature(struct chat_request_writer *to, const struct canon_part *part)
{
    if (part->signature.len == 0)
        return;
    if (part->origin != ORIGIN_GEMINI || !to->upstream->thinking_level) {
        canon_drop(to->report, "thought_signature");
        return;
    }
    json_name(&to->json, "extra_content");
    json_object(&to->json);
    json_name(&to->json, "google");
    json_object(&to->json);
    chat_put_text(to, "thought_signature", part->signature);
    json_end(&to->json);
    json_end(&to->json);
}

/* A free-form call towards a server that knows only functions: its text is the property `input`. */
static int
put_input(struct chat_request_writer *to, const struct canon_part *part)
{
    struct sink text;
    sink_init(&text, CHAT_WHOLE_MAX);
    sink_text(&text, "{\"input\":\"");
    sink_put(&text, part->text); /* escaped contents, so a JSON string as they are */
    sink_text(&text, "\"}");
    sink_carry(to->json.sink, &text);
    if (!text.error)
        json_member(&to->json, "arguments", sink_slice(&text));
    int error = text.error;
    sink_fini(&text);
    return error;
}

static int
put_call(struct chat_request_writer *to, const struct canon_part *part, struct slice id)
{
    struct json_writer *json = &to->json;
    bool is_custom = part->custom && chat_is_official(to->upstream);
    int error = 0;
    struct slice name = canon_legal_name(part->name, 64, to->request->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_object(json);
    chat_put_text(to, "id", id);
    json_member_text(json, "type", is_custom ? "custom" : "function");
    json_name(json, is_custom ? "custom" : "function");
    json_object(json);
    chat_put_text(to, "name", name);
    if (is_custom)
        chat_put_text(to, "input", part->text.len > 0 ? part->text : SLICE_LIT(""));
    else if (part->custom)
        error = put_input(to, part);
    else
        json_member(json, "arguments", part->arguments.len > 0 ? part->arguments : SLICE_LIT("{}"));
    json_end(json);
    put_signature(to, part);
    json_end(json);
    return error;
}

static int
put_calls(struct chat_request_writer *to, const struct canon_message *message)
{
    uint32_t number = 0;
    int error = 0;
    if (to->call_count == 0)
        return 0;
    json_name(&to->json, "tool_calls");
    json_array(&to->json);
    for (const struct canon_part *part = message->parts; part && !error; part = part->next)
        error = part->kind == PART_CALL ? put_call(to, part, to->calls[number++].wire) : 0;
    json_end(&to->json);
    return error;
}

/* ---------------------------------------------------------------- thoughts */

static const char *
format_of(enum canon_origin origin)
{
    switch (origin) {
    case ORIGIN_ANTHROPIC:
        return "anthropic-claude-v1";
    case ORIGIN_GEMINI:
        return "google-gemini-v1";
    case ORIGIN_RESPONSES:
        return "openai-responses-v1";
    case ORIGIN_NONE:
    case ORIGIN_CHAT:
    case ORIGIN_COUNT:
        break;
    }
    return NULL;
}

/* Is there state that an upstream like OpenRouter, which takes reasoning_details back, could use?
 */
static bool
is_detail(const struct chat_request_writer *to, const struct canon_part *part)
{
    bool has_state =
        part->kind == PART_REDACTED || (part->kind == PART_THINKING && part->signature.len > 0);
    return has_state && to->upstream->replay_reasoning && to->upstream->extra_fields;
}

static void
put_detail(struct chat_request_writer *to, const struct canon_part *part, uint64_t index)
{
    struct json_writer *json = &to->json;
    const char *format = format_of(part->origin);
    json_object(json);
    if (part->kind == PART_REDACTED) {
        json_member_text(json, "type", "reasoning.encrypted");
        json_member(json, "data", part->data);
    } else {
        json_member_text(json, "type", "reasoning.text");
        chat_put_text(to, "text", slice_present(part->text) ? part->text : SLICE_LIT(""));
        chat_put_text(to, "signature", part->signature);
    }
    if (format)
        json_member_text(json, "format", format);
    json_member_u64(json, "index", index);
    json_end(json);
}

static void
put_details(struct chat_request_writer *to, const struct canon_message *message)
{
    uint64_t count = 0;
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (!is_detail(to, part))
            continue;
        if (count == 0) {
            json_name(&to->json, "reasoning_details");
            json_array(&to->json);
        }
        put_detail(to, part, count++);
    }
    if (count > 0)
        json_end(&to->json);
}

/* Thoughts go back only to an upstream that wants them; in a tool loop it wants them even when they
 * are not known. */
static void
put_thoughts(struct chat_request_writer *to, const struct canon_message *message)
{
    bool any = false;
    chat_begin_text(to);
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (part->kind == PART_REDACTED && !is_detail(to, part))
            canon_drop(to->report, "redacted_thinking");
        if (part->kind != PART_THINKING)
            continue;
        any = true;
        if (to->upstream->replay_reasoning)
            chat_add_text(to, part->text, "\\n\\n");
        else
            canon_drop(to->report, "thinking");
    }
    sink_carry(to->json.sink, &to->text);
    if (to->upstream->replay_reasoning && (any || to->call_count > 0))
        chat_put_text(to, "reasoning_content", sink_slice(&to->text));
    put_details(to, message);
}

/* ---------------------------------------------------------------- the message */

/* What kinds of parts there are; refuses what a Chat upstream could not be told that a model said.
 */
static int
survey(struct chat_request_writer *to, const struct canon_message *message, bool *has_text)
{
    *has_text = false;
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        chat_note_markers(to, part);
        switch (part->kind) {
        case PART_TEXT:
        case PART_REFUSAL:
            *has_text = true;
            if (part->signature.len > 0)
                canon_drop(to->report, "thought_signature");
            break;
        case PART_IMAGE:
            canon_drop(to->report,
                       "images"); /* its own, shown before: the conversation goes on without */
            break;
        case PART_NATIVE:
            chat_drop_native(to, part);
            break;
        case PART_DOCUMENT:
        case PART_AUDIO:
        case PART_VIDEO:
        case PART_FILE:
            return chat_refuse_part(to, "files of an assistant");
        case PART_CALL:
        case PART_RESULT:
        case PART_THINKING:
        case PART_REDACTED:
            break;
        }
    }
    return 0;
}

int
chat_put_assistant(struct chat_request_writer *to, const struct canon_message *message)
{
    bool has_text;
    chat_put_missing_results(to);
    int error = note_calls(to, message);
    if (!error)
        error = survey(to, message, &has_text);
    if (error)
        return error;
    if (!has_text && to->call_count == 0)
        return 0; /* nothing is left of the turn */
    chat_begin_message(to, "assistant");
    chat_begin_text(to);
    for (const struct canon_part *part = message->parts; part; part = part->next)
        if (part->kind == PART_TEXT || part->kind == PART_REFUSAL)
            chat_add_text(to, part->text, "\\n\\n");
    sink_carry(to->json.sink, &to->text);
    if (to->text.len > 0 || to->call_count == 0)
        chat_put_text(to, "content", sink_slice(&to->text));
    else
        json_member_null(&to->json, "content");
    put_thoughts(to, message);
    error = put_calls(to, message);
    json_end(&to->json);
    return error;
}
