/* SPDX-License-Identifier: MIT
 *
 * openai_responses_items_write.c - canonical messages as instructions and input items.
 *
 * Items keep the order of the parts they are made of. Only the outputs of tools come before what
 * else their message says. Reasoning goes back to the family that made it, without an id (nothing
 * is stored), and only directly before what it led to: OpenAI refuses it anywhere else.
 */
#include "providers/openai_responses_request.h"

#include "base/text.h"

#define ATTRIBUTION "x-anthropic-billing-header:"

static bool
is_instruction(const struct canon_message *message)
{
    return message && (message->role == ROLE_SYSTEM || message->role == ROLE_DEVELOPER);
}

static void
begin_message(struct responses_writing *at, const char *role)
{
    json_object(&at->json);
    json_member_text(&at->json, "type", "message");
    json_member_text(&at->json, "role", role);
    json_name(&at->json, "content");
    json_array(&at->json);
}

static void
end_message(struct responses_writing *at)
{
    json_end(&at->json);
    json_end(&at->json);
}

static void
note_name(struct responses_writing *at, const struct canon_message *message)
{
    if (message->name.len > 0 && message->role != ROLE_TOOL)
        canon_drop(at->report, "name");
}

/* ---------------------------------------------------------------- instructions */

/* Without the line that Claude Code puts first for Anthropic's eyes only: it changes and spoils
 * prompt caches. */
static struct slice
without_attribution(struct slice text)
{
    if (!slice_starts(text, SLICE_LIT(ATTRIBUTION)))
        return text;
    ptrdiff_t line_end = text_find(text, SLICE_LIT("\\n"));
    return line_end < 0 ? SLICE_LIT("") : slice_skip(text, (size_t)line_end + 2);
}

static int
check_instruction(struct responses_writing *at, const struct canon_part *part)
{
    if (slice_present(part->cache_control))
        canon_drop(at->report, "cache_control");
    if (part->kind == PART_NATIVE)
        responses_drop_native(at, part);
    if (part->kind == PART_TEXT || part->kind == PART_NATIVE)
        return 0;
    at->fault->param = SLICE_LIT("messages");
    at->fault->message =
        SLICE_LIT("the upstream behind this model takes instructions as text only");
    return -ERR_UNSUPPORTED;
}

/* The first message, when it is one of instructions: its texts with an empty line between them. */
static int
put_instructions(struct responses_writing *at, const struct canon_message *message)
{
    bool any = false;
    note_name(at, message);
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        int error = check_instruction(at, part);
        if (error)
            return error;
        struct slice text = part == message->parts ? without_attribution(part->text) : part->text;
        if (part->kind != PART_TEXT || text.len == 0)
            continue;
        if (!any) {
            json_member_text(&at->json, "instructions", "");
            if (at->out->error)
                return at->out->error;
            at->out->len--;
        }
        sink_text(at->out, any ? "\\n\\n" : "");
        sink_put(at->out, text);
        any = true;
    }
    if (any)
        sink_byte(at->out, '"');
    return at->out->error;
}

static int
put_later_instructions(struct responses_writing *at, const struct canon_message *message)
{
    bool any = false, developer = message->role == ROLE_DEVELOPER && at->upstream->developer_role;
    note_name(at, message);
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        int error = check_instruction(at, part);
        if (error)
            return error;
        if (part->kind != PART_TEXT || part->text.len == 0)
            continue;
        if (!any)
            begin_message(at, developer ? "developer" : "system");
        any = true;
        responses_put_text(at, "input_text", "text", part->text);
    }
    if (any)
        end_message(at);
    return 0;
}

/* ---------------------------------------------------------------- assistants */

static void
close_message(struct responses_writing *at)
{
    if (at->in_message)
        end_message(at);
    at->in_message = false;
}

static void
put_reasoning(struct responses_writing *at, struct slice text, struct slice state, bool escaped)
{
    struct json_writer *json = &at->json;
    json_object(json);
    json_member_text(json, "type", "reasoning");
    json_name(json, "summary");
    json_array(json);
    if (text.len > 0)
        responses_put_text(at, "summary_text", "text", text);
    json_end(json);
    json_name(json, "encrypted_content");
    if (escaped)
        json_put_escaped(json, state);
    else
        json_put_string(json, state);
    json_end(json);
}

/* Full reasoning, for servers that have no other state and want it back (DeepSeek). */
static void
put_reasoning_text(struct responses_writing *at, struct slice text)
{
    json_object(&at->json);
    json_member_text(&at->json, "type", "reasoning");
    json_name(&at->json, "summary");
    json_array(&at->json);
    json_end(&at->json);
    json_name(&at->json, "content");
    json_array(&at->json);
    responses_put_text(at, "reasoning_text", "text", text);
    json_end(&at->json);
    json_end(&at->json);
}

static bool
has_state(const struct canon_part *part)
{
    bool thought = part->kind == PART_THINKING || part->kind == PART_REDACTED;
    bool state = part->kind == PART_REDACTED ? part->data.len > 0 : part->signature.len > 0;
    return thought && state && part->origin == ORIGIN_RESPONSES;
}

static bool
is_replayable(const struct responses_writing *at, const struct canon_part *part)
{
    bool shown =
        part->kind == PART_THINKING && part->text.len > 0 && at->upstream->replay_reasoning;
    return shown || has_state(part);
}

/* The thoughts that led to this part, and the state it carries itself. */
static void
put_thoughts(struct responses_writing *at, const struct canon_part *until)
{
    bool own = until->signature.len > 0 && until->origin == ORIGIN_RESPONSES;
    if (at->thoughts || own)
        close_message(at);
    for (const struct canon_part *part = at->thoughts; part && part != until; part = part->next) {
        if (has_state(part) && part->kind == PART_REDACTED)
            put_reasoning(at, SLICE_NONE, part->data, false);
        else if (has_state(part))
            put_reasoning(at, part->text, part->signature, true);
        else if (is_replayable(at, part))
            put_reasoning_text(at, part->text);
    }
    at->thoughts = NULL;
    if (own)
        put_reasoning(at, SLICE_NONE, until->signature, true);
    else if (until->signature.len > 0)
        canon_drop(at->report, "signature");
}

static void
put_said(struct responses_writing *at, const struct canon_part *part)
{
    if (part->text.len == 0)
        return;
    put_thoughts(at, part);
    if (!at->in_message)
        begin_message(at, "assistant");
    at->in_message = true;
    if (part->kind == PART_REFUSAL)
        responses_put_text(at, "refusal", "refusal", part->text);
    else
        responses_put_text(at, "output_text", "text", part->text);
}

/* The next pair of the history, which is this part's. */
static const struct responses_pair *
next_pair(struct responses_writing *at, const struct canon_part *part)
{
    assert(at->pairs.next < at->pairs.count);
    const struct responses_pair *pair = &at->pairs.at[at->pairs.next++];
    assert(pair->part == part);
    return pair;
}

static int
put_call(struct responses_writing *at, const struct canon_part *part)
{
    struct json_writer *json = &at->json;
    const struct responses_pair *pair = next_pair(at, part);
    struct slice name = canon_legal_name(part->name, 64, at->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    put_thoughts(at, part);
    close_message(at);
    json_object(json);
    json_member_text(json, "type", part->custom ? "custom_tool_call" : "function_call");
    json_name(json, "call_id");
    json_put_escaped(json, pair->id);
    json_name(json, "name");
    json_put_escaped(json, name);
    bool empty = part->arguments.len == 0 || slice_is(part->arguments, "null");
    if (part->custom) {
        json_name(json, "input");
        json_put_escaped(json, slice_present(part->text) ? part->text : SLICE_LIT(""));
    } else {
        json_member(json, "arguments", empty ? SLICE_LIT("{}") : part->arguments);
    }
    json_end(json);
    return 0;
}

static void
begin_output(struct responses_writing *at, const struct responses_pair *pair)
{
    json_object(&at->json);
    json_member_text(&at->json, "type",
                     pair->custom ? "custom_tool_call_output" : "function_call_output");
    json_name(&at->json, "call_id");
    json_put_escaped(&at->json, pair->id);
}

/* Calls that nobody ever answers: OpenAI refuses a history with such a gap. */
static void
put_missing(struct responses_writing *at, size_t first)
{
    for (size_t i = first; i < at->pairs.next; i++) {
        const struct responses_pair *pair = &at->pairs.at[i];
        if (pair->part->kind != PART_CALL || pair->matched)
            continue;
        begin_output(at, pair);
        json_member_text(&at->json, "output", "[no result]");
        json_end(&at->json);
    }
}

static int
put_assistant_part(struct responses_writing *at, const struct canon_part *part)
{
    if (slice_present(part->cache_control))
        canon_drop(at->report, "cache_control");
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        put_said(at, part);
        return 0;
    case PART_THINKING:
    case PART_REDACTED:
        if (!is_replayable(at, part))
            canon_drop(at->report, "reasoning");
        else if (!at->thoughts)
            at->thoughts = part;
        return 0;
    case PART_CALL:
        return put_call(at, part);
    case PART_NATIVE:
        responses_drop_native(at, part);
        return 0;
    case PART_RESULT:
        at->fault->param = SLICE_LIT("messages");
        at->fault->message = SLICE_LIT("tool results cannot be in assistant messages");
        return -ERR_REQUEST;
    case PART_IMAGE:
    case PART_DOCUMENT:
    case PART_AUDIO:
    case PART_VIDEO:
    case PART_FILE:
        break;
    }
    at->fault->param = SLICE_LIT("messages");
    at->fault->message =
        SLICE_LIT("the upstream behind this model cannot be sent images or files of an assistant");
    return -ERR_UNSUPPORTED;
}

static int
put_assistant(struct responses_writing *at, const struct canon_message *message)
{
    size_t first = at->pairs.next;
    int error = 0;
    note_name(at, message);
    for (const struct canon_part *part = message->parts; part && !error; part = part->next)
        error = put_assistant_part(at, part);
    if (error)
        return error;
    close_message(at);
    if (at->thoughts)
        canon_drop(at->report, "reasoning"); /* it led to nothing that is left */
    at->thoughts = NULL;
    put_missing(at, first);
    return 0;
}

/* ---------------------------------------------------------------- users and tools */

/* A result whose call is gone stays readable as the user's words. */
static int
put_orphan(struct responses_writing *at, const struct canon_part *result)
{
    struct slice head =
        arena_printf(at->arena, "[result of tool call %.*s]", SLICE_ARG(result->id));
    int error = 0;
    if (!slice_present(head))
        return -ERR_MEMORY;
    responses_put_text(at, "input_text", "text", head);
    for (const struct canon_part *part = result->parts; part && !error; part = part->next)
        error = responses_put_part(at, part);
    return error;
}

static int
put_outputs(struct responses_writing *at, const struct canon_message *message, bool *rest)
{
    *rest = !message->parts;
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (part->kind == PART_CALL)
            return responses_put_part(at, part); /* it says what is wrong with that */
        const struct responses_pair *pair = part->kind == PART_RESULT ? next_pair(at, part) : NULL;
        *rest = *rest || (part->kind != PART_NATIVE && !(pair && pair->matched));
        if (!pair || !pair->matched)
            continue;
        if (slice_present(part->cache_control))
            canon_drop(at->report, "cache_control");
        begin_output(at, pair);
        int error = responses_put_output(at, part);
        if (error)
            return error;
        json_end(&at->json);
    }
    return 0;
}

static int
put_user(struct responses_writing *at, const struct canon_message *message)
{
    size_t pair = at->pairs.next;
    bool rest;
    int error = put_outputs(at, message, &rest);
    note_name(at, message);
    if (error)
        return error;
    if (rest)
        begin_message(at, "user");
    for (const struct canon_part *part = message->parts; part && !error; part = part->next) {
        if (part->kind != PART_RESULT)
            error = responses_put_part(at, part);
        else if (!at->pairs.at[pair++].matched)
            error = put_orphan(at, part);
    }
    if (rest)
        end_message(at);
    return error;
}

/* OpenAI gives a JSON object only if its input speaks of JSON; Gemini's clients need no such words.
 */
static void
put_json_hint(struct responses_writing *at)
{
    if (at->request->format != FORMAT_JSON_OBJECT || at->request->from != DIALECT_GEMINI)
        return;
    begin_message(at, at->upstream->developer_role ? "developer" : "system");
    responses_put_text(at, "input_text", "text",
                       SLICE_LIT("Answer with exactly one JSON object and nothing else."));
    end_message(at);
}

int
responses_put_items(struct responses_writing *at)
{
    const struct canon_message *message = at->request->messages;
    int error = responses_pair(at->request, &at->pairs);
    /* Instructions alone are the input: there must be one. */
    if (!error && is_instruction(message) && message->next) {
        error = put_instructions(at, message);
        message = message->next;
    }
    if (error)
        return error;
    json_name(&at->json, "input");
    json_array(&at->json);
    put_json_hint(at);
    for (; message && !error; message = message->next) {
        if (is_instruction(message))
            error = put_later_instructions(at, message);
        else
            error = message->role == ROLE_ASSISTANT ? put_assistant(at, message)
                                                    : put_user(at, message);
    }
    json_end(&at->json);
    return error;
}
