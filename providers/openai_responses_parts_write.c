/* SPDX-License-Identifier: MIT
 *
 * openai_responses_parts_write.c - canonical parts as content of Responses items.
 */
#include "providers/openai_responses_request.h"

#include "base/text.h"

void
responses_put_text(struct responses_writing *at, const char *type, const char *member,
                   struct slice text)
{
    json_object(&at->json);
    json_member_text(&at->json, "type", type);
    json_name(&at->json, member);
    json_put_escaped(&at->json, slice_present(text) ? text : SLICE_LIT(""));
    json_end(&at->json);
}

static int
refuse_part(struct responses_writing *at, const char *what)
{
    at->fault->param = SLICE_LIT("messages");
    at->fault->message =
        arena_printf(at->arena, "the upstream behind this model cannot be sent %s", what);
    return -ERR_UNSUPPORTED;
}

/* Records of what Anthropic's or Google's own tools did: history that another model does without.
 * NULL: it is none. */
static const char *
record_name(const struct canon_part *part)
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
                                        "executableCode",
                                        "codeExecutionResult"};
    for (size_t i = 0; i < countof(names); i++) {
        if (slice_is(part->name, names[i]))
            return names[i];
    }
    return NULL;
}

void
responses_drop_native(struct responses_writing *at, const struct canon_part *part)
{
    const char *name = record_name(part);
    canon_drop(at->report, name ? name : "unknown content block");
}

/* What a user says in a way that we do not know cannot be left out. */
static int
put_native(struct responses_writing *at, const struct canon_part *part)
{
    struct slice what = arena_printf(at->arena, "content of type %.*s", SLICE_ARG(part->name));
    if (!record_name(part))
        return slice_present(what) ? refuse_part(at, what.ptr) : -ERR_MEMORY;
    responses_drop_native(at, part);
    return 0;
}

/* ---------------------------------------------------------------- media */

/* A member whose value is a data URL, written in place: it can be tens of megabytes. */
static void
put_data_url(struct responses_writing *at, const char *name, struct slice media_type,
             struct slice data)
{
    json_member_text(&at->json, name, "");
    if (at->out->error)
        return;
    at->out->len--;
    sink_text(at->out, "data:");
    json_escape(at->out, media_type);
    sink_text(at->out, ";base64,");
    json_escape(at->out, data);
    sink_byte(at->out, '"');
}

static int
put_image(struct responses_writing *at, const struct canon_part *part)
{
    if (!slice_present(part->url) && !slice_present(part->data))
        return refuse_part(at, "an image without data");
    json_object(&at->json);
    json_member_text(&at->json, "type", "input_image");
    if (slice_present(part->url))
        json_member(&at->json, "image_url", part->url);
    else
        put_data_url(at, "image_url", part->media_type, part->data);
    if (part->detail.len > 0) {
        json_name(&at->json, "detail");
        json_put_escaped(&at->json, part->detail);
    }
    json_end(&at->json);
    return 0;
}

/* A text document as text below its title: every server that speaks the dialect takes that. */
static int
put_titled_text(struct responses_writing *at, const struct canon_part *part)
{
    struct slice text = part->text;
    if (part->name.len > 0)
        text =
            arena_printf(at->arena, "%.*s:\\n%.*s", SLICE_ARG(part->name), SLICE_ARG(part->text));
    if (!slice_present(text))
        return -ERR_MEMORY;
    responses_put_text(at, "input_text", "text", text);
    return 0;
}

static struct slice
file_name(const struct canon_part *part)
{
    if (part->name.len > 0)
        return part->name;
    return text_caseless_is(part->media_type, "application/pdf") ? SLICE_LIT("document.pdf")
                                                                 : SLICE_LIT("document.txt");
}

static int
put_document(struct responses_writing *at, const struct canon_part *part)
{
    if (slice_present(part->text))
        return put_titled_text(at, part);
    if (!slice_present(part->url) && !slice_present(part->data))
        return refuse_part(at, "a file without content");
    json_object(&at->json);
    json_member_text(&at->json, "type", "input_file");
    if (slice_present(part->url)) {
        json_member(&at->json, "file_url", part->url);
    } else {
        json_name(&at->json, "filename");
        json_put_escaped(&at->json, file_name(part));
        put_data_url(at, "file_data", part->media_type, part->data);
    }
    json_end(&at->json);
    return 0;
}

static int
put_audio(struct responses_writing *at, const struct canon_part *part)
{
    struct slice format = part->media_type;
    if (slice_starts(format, SLICE_LIT("audio/")))
        format = slice_skip(format, 6);
    if (slice_is(format, "mpeg"))
        format = SLICE_LIT("mp3");
    if (!slice_is(format, "wav") && !slice_is(format, "mp3"))
        return refuse_part(at, "audio that is neither wav nor mp3");
    if (!slice_present(part->data))
        return refuse_part(at, "audio without data");
    json_object(&at->json);
    json_member_text(&at->json, "type", "input_audio");
    json_name(&at->json, "input_audio");
    json_object(&at->json);
    json_member(&at->json, "data", part->data);
    json_member(&at->json, "format", format);
    json_end(&at->json);
    json_end(&at->json);
    return 0;
}

/* OpenAI's two APIs share their files; nobody else's ids mean anything there. */
static int
put_file(struct responses_writing *at, const struct canon_part *part)
{
    if (at->request->from != DIALECT_OPENAI_CHAT || !at->upstream->keeps_state || part->id.len == 0)
        return refuse_part(at, "files that another provider keeps");
    json_object(&at->json);
    json_member_text(&at->json, "type", "input_file");
    json_name(&at->json, "file_id");
    json_put_escaped(&at->json, part->id);
    json_end(&at->json);
    return 0;
}

int
responses_put_part(struct responses_writing *at, const struct canon_part *part)
{
    if (slice_present(part->cache_control))
        canon_drop(at->report, "cache_control");
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        responses_put_text(at, "input_text", "text", part->text);
        return 0;
    case PART_IMAGE:
        return put_image(at, part);
    case PART_DOCUMENT:
        return put_document(at, part);
    case PART_AUDIO:
        return put_audio(at, part);
    case PART_VIDEO:
        return refuse_part(at, "video");
    case PART_FILE:
        return put_file(at, part);
    case PART_NATIVE:
        return put_native(at, part);
    case PART_CALL:
    case PART_RESULT:
    case PART_THINKING:
    case PART_REDACTED:
        break;
    }
    at->fault->param = SLICE_LIT("messages");
    at->fault->message = SLICE_LIT(
        "tool calls and reasoning can only be in assistant messages, tool results only elsewhere");
    return -ERR_REQUEST;
}

/* ---------------------------------------------------------------- outputs of tools */

static bool
is_text(const struct canon_part *part)
{
    return part->kind == PART_TEXT || part->kind == PART_REFUSAL || part->kind == PART_NATIVE ||
           (part->kind == PART_DOCUMENT && slice_present(part->text));
}

/* Texts one below the other, as one string; what no text can say is dropped by name. */
static int
put_joined(struct responses_writing *at, const struct canon_part *result)
{
    bool any = false;
    json_put_literal(&at->json, "");
    if (at->out->error)
        return at->out->error;
    at->out->len--;
    if (result->is_error)
        sink_text(at->out, "Error: ");
    for (const struct canon_part *part = result->parts; part; part = part->next) {
        if (slice_present(part->cache_control))
            canon_drop(at->report, "cache_control");
        if (part->kind == PART_NATIVE)
            responses_drop_native(at, part);
        if (part->text.len == 0 || part->kind == PART_NATIVE)
            continue;
        sink_text(at->out, any ? "\\n" : "");
        if (part->kind == PART_DOCUMENT && part->name.len > 0) {
            sink_put(at->out, part->name);
            sink_text(at->out, ":\\n");
        }
        sink_put(at->out, part->text);
        any = true;
    }
    sink_byte(at->out, '"');
    return at->out->error;
}

int
responses_put_output(struct responses_writing *at, const struct canon_part *result)
{
    bool plain = true;
    int error = 0;
    for (const struct canon_part *part = result->parts; part; part = part->next)
        plain = plain && is_text(part);
    json_name(&at->json, "output");
    if (plain)
        return put_joined(at, result);
    json_array(&at->json);
    if (result->is_error)
        responses_put_text(at, "input_text", "text", SLICE_LIT("Error:"));
    for (const struct canon_part *part = result->parts; part && !error; part = part->next)
        error = responses_put_part(at, part);
    json_end(&at->json);
    return error;
}
