/* SPDX-License-Identifier: MIT
 *
 * openai_chat_messages_write.c - canonical messages as the messages of a Chat Completions request.
 *
 * Order is what matters here: an assistant's calls are answered directly behind it, one tool
 * message each, before anything else its user turn says; what a tool message cannot hold (images,
 * files) follows in a user message.
 */
#include "providers/openai_chat_write.h"

#include "base/text.h"

#include <stdio.h>

#define ATTRIBUTION "x-anthropic-billing-header:"

/* ---------------------------------------------------------------- texts */

void
chat_begin_text(struct chat_request_writer *to)
{
    sink_reset(&to->text, 256 * 1024);
}

/* Escaped text below what is there, after an empty line (or, inside a tool's answer, on a line of
 * its own). */
void
chat_add_text(struct chat_request_writer *to, struct slice text, const char *between)
{
    if (text.len == 0)
        return;
    if (to->text.len > 0)
        sink_text(&to->text, between);
    sink_put(&to->text, text);
}

void
chat_put_text(struct chat_request_writer *to, const char *name, struct slice text)
{
    json_name(&to->json, name);
    json_put_escaped(&to->json, text);
}

void
chat_begin_message(struct chat_request_writer *to, const char *role)
{
    json_object(&to->json);
    json_member_text(&to->json, "role", role);
}

/* A message that is one text, the one under construction. */
static void
put_text_message(struct chat_request_writer *to, const char *role)
{
    chat_begin_message(to, role);
    sink_carry(to->json.sink, &to->text);
    chat_put_text(to, "content", sink_slice(&to->text));
    json_end(&to->json);
}

void
chat_note_markers(struct chat_request_writer *to, const struct canon_part *part)
{
    if (slice_present(part->cache_control))
        canon_drop(to->report, "cache_control");
}

/* The field at fault, as the client's own dialect calls it. */
static const char *
conversation_field(int from)
{
    return from == DIALECT_GEMINI             ? "contents"
           : from == DIALECT_OPENAI_RESPONSES ? "input"
                                              : "messages";
}

int
chat_refuse_part(struct chat_request_writer *to, const char *what)
{
    to->fault->param = slice_from(conversation_field(to->request->from));
    to->fault->message =
        arena_printf(to->request->arena, "the upstream behind this model cannot be sent %s", what);
    return -ERR_UNSUPPORTED;
}

/* Blocks that record what a provider's own tools did: history that another model does without. */
void
chat_drop_native(struct chat_request_writer *to, const struct canon_part *part)
{
    static const char *const names[] = {"server_tool_use",
                                        "web_search_tool_result",
                                        "web_fetch_tool_result",
                                        "code_execution_tool_result",
                                        "bash_code_execution_tool_result",
                                        "text_editor_code_execution_tool_result",
                                        "tool_search_tool_result",
                                        "mcp_tool_use",
                                        "mcp_tool_result",
                                        "advisor_tool_result",
                                        "container_upload",
                                        "compaction",
                                        "fallback",
                                        "tool_reference",
                                        "browser_state",
                                        "tool_addition",
                                        "tool_removal",
                                        "search_result",
                                        "document",
                                        "web_search_call",
                                        "file_search_call",
                                        "code_interpreter_call",
                                        "image_generation_call",
                                        "mcp_call",
                                        "mcp_list_tools",
                                        "computer_call",
                                        "local_shell_call",
                                        "shell_call",
                                        "apply_patch_call",
                                        "tool_search_call",
                                        "executableCode",
                                        "codeExecutionResult",
                                        "toolCall",
                                        "toolResponse"};
    for (size_t i = 0; i < countof(names); i++)
        if (slice_is(part->name, names[i])) {
            canon_drop(to->report, names[i]);
            return;
        }
    canon_drop(to->report, "unknown content block");
}

/* ---------------------------------------------------------------- parts of a user message */

static bool
is_text_document(const struct canon_part *part)
{
    return part->kind == PART_DOCUMENT && slice_present(part->text);
}

/* A text document is its text under its title. */
static void
add_document(struct chat_request_writer *to, const struct canon_part *part, const char *between)
{
    if (part->name.len > 0) {
        chat_add_text(to, part->name, between);
        sink_text(&to->text, ":\\n");
        sink_put(&to->text, part->text);
    } else {
        chat_add_text(to, part->text, between);
    }
}

static void
put_data_url(struct chat_request_writer *to, const char *name, const struct canon_part *part)
{
    struct sink url;
    sink_init(&url, CHAT_WHOLE_MAX);
    sink_text(&url, "data:");
    sink_put(&url, part->media_type);
    sink_text(&url, ";base64,");
    sink_put(&url, part->data);
    if (url.error)
        to->out->error = url.error;
    sink_carry(to->json.sink, &url);
    json_member(&to->json, name, sink_slice(&url));
    sink_fini(&url);
}

static void
put_image(struct chat_request_writer *to, const struct canon_part *part)
{
    struct json_writer *json = &to->json;
    json_object(json);
    json_member_text(json, "type", "image_url");
    json_name(json, "image_url");
    json_object(json);
    if (slice_present(part->url))
        json_member(json, "url", part->url);
    else
        put_data_url(to, "url", part);
    if (part->detail.len > 0)
        chat_put_text(to, "detail", part->detail);
    json_end(json);
    json_end(json);
}

static int
put_file(struct chat_request_writer *to, const struct canon_part *part)
{
    struct json_writer *json = &to->json;
    if (slice_present(part->url))
        return chat_refuse_part(to, "documents by URL");
    json_object(json);
    json_member_text(json, "type", "file");
    json_name(json, "file");
    json_object(json);
    chat_put_text(to, "filename", part->name.len > 0 ? part->name : SLICE_LIT("document.pdf"));
    put_data_url(to, "file_data", part);
    json_end(json);
    json_end(json);
    return 0;
}

/* "wav" or "mp3", whatever the client's dialect calls it. */
static struct slice
sound_format(struct slice type)
{
    if (slice_starts(type, SLICE_LIT("audio/")))
        type = slice_skip(type, 6);
    if (slice_is(type, "mpeg") || slice_is(type, "mpga"))
        return SLICE_LIT("mp3");
    if (slice_is(type, "x-wav") || slice_is(type, "wave") || slice_is(type, "vnd.wave"))
        return SLICE_LIT("wav");
    return type;
}

static void
put_audio(struct chat_request_writer *to, const struct canon_part *part)
{
    struct json_writer *json = &to->json;
    json_object(json);
    json_member_text(json, "type", "input_audio");
    json_name(json, "input_audio");
    json_object(json);
    json_member(json, "data", part->data);
    json_member(json, "format", sound_format(part->media_type));
    json_end(json);
    json_end(json);
}

static int
put_part(struct chat_request_writer *to, const struct canon_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (part->text.len == 0)
            return 0;
        json_object(&to->json);
        json_member_text(&to->json, "type", "text");
        chat_put_text(to, "text", part->text);
        json_end(&to->json);
        return 0;
    case PART_IMAGE:
        put_image(to, part);
        return 0;
    case PART_DOCUMENT:
        if (!is_text_document(part))
            return put_file(to, part);
        chat_begin_text(to);
        add_document(to, part, "");
        json_object(&to->json);
        json_member_text(&to->json, "type", "text");
        sink_carry(to->json.sink, &to->text);
        chat_put_text(to, "text", sink_slice(&to->text));
        json_end(&to->json);
        return 0;
    case PART_AUDIO:
        put_audio(to, part);
        return 0;
    case PART_VIDEO:
        return chat_refuse_part(to, "video");
    case PART_FILE:
        return chat_refuse_part(to, "files that another provider keeps");
    case PART_NATIVE:
        chat_drop_native(to, part);
        return 0;
    case PART_CALL:
    case PART_RESULT:
    case PART_THINKING:
    case PART_REDACTED:
        return 0;
    }
    return 0;
}

/* ---------------------------------------------------------------- tool results */

/* The text of a tool's answer; images and files are announced, and counted for the message that
 * shows them. */
static int
gather_result(struct chat_request_writer *to, const struct canon_part *result)
{
    chat_begin_text(to);
    if (result->is_error)
        sink_text(&to->text, "Error:");
    for (const struct canon_part *part = result->parts; part; part = part->next) {
        const char *between = result->is_error && part == result->parts ? " " : "\\n";
        chat_note_markers(to, part);
        char notice[64];
        switch (part->kind) {
        case PART_TEXT:
        case PART_REFUSAL:
            chat_add_text(to, part->text, between);
            break;
        case PART_DOCUMENT:
            if (is_text_document(part)) {
                add_document(to, part, between);
                break;
            }
            /* fall through */
        case PART_IMAGE:
            snprintf(notice, sizeof(notice), "[%s %u in the next message]",
                     part->kind == PART_IMAGE ? "image" : "document", ++to->images);
            chat_add_text(to, slice_from(notice), between);
            break;
        case PART_NATIVE:
            chat_drop_native(to, part);
            break;
        default:
            return chat_refuse_part(to, "this kind of tool result");
        }
    }
    return to->text.error;
}

static void
put_tool_message(struct chat_request_writer *to, struct slice id, struct slice text)
{
    chat_begin_message(to, "tool");
    chat_put_text(to, "tool_call_id", id);
    chat_put_text(to, "content", text);
    json_end(&to->json);
}

/* The call of the last assistant turn that this result answers, or -1. Results tend to come in
 * order. */
static int64_t
call_answered(struct chat_request_writer *to, const struct canon_part *result)
{
    uint64_t hash = canon_hash(result->id);
    for (uint32_t i = 0; i < to->call_count; i++) {
        uint32_t at = (to->call_next + i) % to->call_count;
        if (to->calls[at].hash == hash && !to->calls[at].answered &&
            slice_eq(to->calls[at].id, result->id))
            return at;
    }
    return -1;
}

static bool
has_call(const struct chat_request_writer *to, const struct canon_part *result)
{
    uint64_t hash = canon_hash(result->id);
    for (uint32_t i = 0; i < to->call_count; i++)
        if (to->calls[i].hash == hash && slice_eq(to->calls[i].id, result->id))
            return true;
    return false;
}

static int
put_results(struct chat_request_writer *to, const struct canon_part *parts)
{
    for (const struct canon_part *part = parts; part; part = part->next) {
        int64_t call = part->kind == PART_RESULT ? call_answered(to, part) : -1;
        if (call < 0 && part->kind == PART_RESULT && has_call(to, part))
            canon_drop(to->report, "repeated tool_result");
        if (call < 0)
            continue;
        chat_note_markers(to, part);
        to->calls[call].answered = true;
        to->call_next = (uint32_t)call + 1;
        int error = gather_result(to, part);
        if (error)
            return error;
        put_tool_message(to, to->calls[call].wire, sink_slice(&to->text));
    }
    return 0;
}

/* Calls that the next turn does not answer: a Chat upstream refuses a history with such a gap. */
void
chat_put_missing_results(struct chat_request_writer *to)
{
    for (uint32_t i = 0; i < to->call_count; i++)
        if (!to->calls[i].answered)
            put_tool_message(to, to->calls[i].wire, SLICE_LIT("[no result]"));
}

/* ---------------------------------------------------------------- user turns */

static int
put_shown(struct chat_request_writer *to, const struct canon_part *result)
{
    for (const struct canon_part *part = result->parts; part; part = part->next) {
        if (part->kind != PART_IMAGE && (part->kind != PART_DOCUMENT || is_text_document(part)))
            continue;
        int error = put_part(to, part);
        if (error)
            return error;
    }
    return 0;
}

/* What of a user turn is no answer to a call: text only, or something that needs a list of parts?
 */
static void
survey(struct chat_request_writer *to, const struct canon_part *parts, bool *any, bool *rich)
{
    *any = *rich = to->images > 0;
    for (const struct canon_part *part = parts; part; part = part->next) {
        chat_note_markers(to, part);
        if (part->kind == PART_NATIVE)
            chat_drop_native(to, part);
        if (part->kind == PART_RESULT) {
            *any = *any || !has_call(to, part);
            continue;
        }
        *any = *any || part->kind != PART_NATIVE;
        *rich = *rich || part->kind == PART_IMAGE || part->kind == PART_AUDIO ||
                part->kind == PART_VIDEO || part->kind == PART_FILE ||
                (part->kind == PART_DOCUMENT && !is_text_document(part));
    }
}

/* A result without a call becomes text; its images are gathered into the same message. */
static int
put_orphan(struct chat_request_writer *to, const struct canon_part *result)
{
    int error = gather_result(to, result);
    if (error)
        return error;
    json_object(&to->json);
    json_member_text(&to->json, "type", "text");
    sink_carry(to->json.sink, &to->text);
    chat_put_text(to, "text", sink_slice(&to->text));
    json_end(&to->json);
    return put_shown(to, result);
}

static int
put_rich_content(struct chat_request_writer *to, const struct canon_part *parts)
{
    json_name(&to->json, "content");
    json_array(&to->json);
    int error = 0;
    for (const struct canon_part *part = parts; part && !error; part = part->next)
        if (part->kind == PART_RESULT && has_call(to, part))
            error = put_shown(to, part);
    for (const struct canon_part *part = parts; part && !error; part = part->next) {
        if (part->kind != PART_RESULT)
            error = put_part(to, part);
        else if (!has_call(to, part))
            error = put_orphan(to, part);
    }
    json_end(&to->json);
    return error;
}

static int
put_plain_content(struct chat_request_writer *to, const struct canon_part *parts)
{
    struct sink whole;
    sink_init(&whole, CHAT_WHOLE_MAX);
    int error = 0;
    for (const struct canon_part *part = parts; part && !error; part = part->next) {
        chat_begin_text(to);
        if (part->kind == PART_RESULT && !has_call(to, part))
            error = gather_result(to, part);
        else if (is_text_document(part))
            add_document(to, part, "");
        else if (part->kind == PART_TEXT || part->kind == PART_REFUSAL)
            chat_add_text(to, part->text, "");
        else if (part->kind == PART_NATIVE)
            chat_drop_native(to, part);
        if (whole.len > 0 && to->text.len > 0)
            sink_text(&whole, "\\n\\n");
        sink_join(&whole, &to->text);
    }
    if (!error)
        error = whole.error;
    sink_carry(to->json.sink, &whole);
    if (!error)
        chat_put_text(to, "content", sink_slice(&whole));
    sink_fini(&whole);
    return error;
}

/* Does an orphan among the results bring an image or a file? Then even it needs a list of parts. */
static bool
orphans_show(const struct chat_request_writer *to, const struct canon_part *parts)
{
    for (const struct canon_part *part = parts; part; part = part->next) {
        if (part->kind != PART_RESULT || has_call(to, part))
            continue;
        for (const struct canon_part *inner = part->parts; inner; inner = inner->next)
            if (inner->kind == PART_IMAGE ||
                (inner->kind == PART_DOCUMENT && !is_text_document(inner)))
                return true;
    }
    return false;
}

static int
put_user_message(struct chat_request_writer *to, const struct canon_message *message)
{
    bool any, rich;
    to->images = 0;
    int error = put_results(to, message->parts);
    if (error)
        return error;
    /* Other tool messages of this turn may follow and answer the rest. */
    bool is_last = message->role != ROLE_TOOL || !message->next || message->next->role != ROLE_TOOL;
    if (is_last)
        chat_put_missing_results(to);
    survey(to, message->parts, &any, &rich);
    rich = rich || orphans_show(to, message->parts);
    if (any || !message->parts) {
        chat_begin_message(to, "user");
        if (message->name.len > 0)
            chat_put_text(to, "name", message->name);
        error = rich ? put_rich_content(to, message->parts) : put_plain_content(to, message->parts);
        json_end(&to->json);
    }
    if (is_last)
        to->call_count = 0;
    return error;
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
put_system_message(struct chat_request_writer *to, const struct canon_message *message,
                   bool is_first)
{
    chat_begin_text(to);
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        chat_note_markers(to, part);
        if (part->kind == PART_NATIVE) {
            chat_drop_native(to, part);
            continue;
        }
        if (part->kind != PART_TEXT)
            return chat_refuse_part(to, "instructions that are no text");
        bool may_be_attributed = is_first && part == message->parts;
        chat_add_text(to, may_be_attributed ? without_attribution(part->text) : part->text,
                      "\\n\\n");
    }
    if (to->text.len == 0)
        return 0;
    put_text_message(to, message->role == ROLE_DEVELOPER && to->upstream->developer_role
                             ? "developer"
                             : "system");
    return to->text.error;
}

static bool
is_instruction(const struct canon_message *message)
{
    return message && (message->role == ROLE_SYSTEM || message->role == ROLE_DEVELOPER);
}

static int
put_message(struct chat_request_writer *to, const struct canon_message *message)
{
    switch (message->role) {
    case ROLE_SYSTEM:
    case ROLE_DEVELOPER:
        return put_system_message(to, message, message == to->request->messages);
    case ROLE_USER:
    case ROLE_TOOL:
        return put_user_message(to, message);
    case ROLE_ASSISTANT:
        return chat_put_assistant(to, message);
    }
    return 0;
}

int
chat_put_messages(struct chat_request_writer *to)
{
    json_array(&to->json);
    for (const struct canon_message *at = to->request->messages, *after; at; at = after) {
        /* Instructions between calls and their results stand behind the results: those come first
         * of all. */
        after = at->next;
        const struct canon_message *until = at;
        while (to->call_count > 0 && is_instruction(until))
            until = until->next;
        int error = 0;
        if (until && until != at && until->role == ROLE_USER) {
            after = until->next;
            error = put_message(to, until);
        }
        if (!error)
            error = put_message(to, at);
        for (const struct canon_message *more = at->next;
             after != at->next && more != until && !error; more = more->next)
            error = put_message(to, more);
        if (error)
            return error;
    }
    chat_put_missing_results(to);
    json_end(&to->json);
    return to->out->error;
}
