/* SPDX-License-Identifier: MIT
 *
 * gemini_contents_write.c - canonical messages as contents of a generateContent request.
 *
 * The responses to a model's calls have a content of their own, in the order of the calls and as
 * many as these: whatever else the user sent with them follows in another. What has no part is
 * refused by name.
 */
#include "providers/gemini_write.h"

#include "base/text.h"
#include "providers/canon_media.h"

/*
 * For the first call of a step whose signature nobody knows. Gemini asks for one in the turn in
 * hand only, but where that begins is its own judgement, and a mark that comes and goes with the
 * next question would spoil the cached prefix.
 */
static const struct slice no_signature = SLICE_LIT("skip_thought_signature_validator");

void
gemini_put_text_part(struct gemini_writing *at, struct slice text, struct slice signature)
{
    json_object(&at->json);
    json_name(&at->json, "text");
    json_put_escaped(&at->json, text);
    if (slice_present(signature)) {
        json_name(&at->json, "thoughtSignature");
        json_put_escaped(&at->json, signature);
    }
    json_end(&at->json);
}

/* A text part between two literals. */
static int
put_note(struct gemini_writing *at, const char *before, struct slice text, const char *after)
{
    struct slice note = arena_printf(at->arena, "%s%.*s%s", before, SLICE_ARG(text), after);
    if (!slice_present(note))
        return -ERR_MEMORY;
    gemini_put_text_part(at, note, SLICE_NONE);
    return 0;
}

/* ---------------------------------------------------------------- media */

/* The end of a media part, with its signature. */
static void
end_media(struct gemini_writing *at)
{
    json_end(&at->json);
    if (slice_present(at->signature)) {
        json_name(&at->json, "thoughtSignature");
        json_put_escaped(&at->json, at->signature);
    }
    at->signature = SLICE_NONE;
    json_end(&at->json);
}

static int
put_inline(struct gemini_writing *at, struct slice type, struct slice data)
{
    json_object(&at->json);
    json_name(&at->json, "inlineData");
    json_object(&at->json);
    json_member(&at->json, "mimeType", type);
    json_member_text(&at->json, "data", "");
    if (at->out->error == 0) { /* written in place: it can be tens of megabytes */
        at->out->len--;
        if (!canon_base64(at->out, data))
            return gemini_unsupported(at, "data", "this is not base64");
        sink_byte(at->out, '"');
    }
    end_media(at);
    return 0;
}

static void
put_file(struct gemini_writing *at, struct slice url, struct slice type)
{
    if (type.len == 0)
        type = slice_from(canon_url_type(url));
    json_object(&at->json);
    json_name(&at->json, "fileData");
    json_object(&at->json);
    if (type.len > 0)
        json_member(&at->json, "mimeType", type);
    json_member(&at->json, "fileUri", url);
    end_media(at);
}

/* Google fetches what lies in its own stores, whatever else it does. */
static bool
is_googles(struct slice url)
{
    return slice_starts(url, SLICE_LIT("gs://")) ||
           slice_starts(url, SLICE_LIT("https://generativelanguage.googleapis.com/")) ||
           slice_starts(url, SLICE_LIT("https://www.youtube.com/")) ||
           slice_starts(url, SLICE_LIT("https://youtu.be/"));
}

static int
put_url(struct gemini_writing *at, const struct canon_part *part, const char *param)
{
    if (!at->upstream->url_media && !is_googles(part->url))
        return gemini_unsupported(at, param,
                                  "this model takes no media by URL; send the data itself");
    put_file(at, part->url, part->media_type);
    return 0;
}

static int
put_image(struct gemini_writing *at, const struct canon_part *part)
{
    static const char *const taken[] = {"image/png", "image/jpeg", "image/webp", "image/heic",
                                        "image/heif"};
    if (slice_present(part->detail) && !slice_is(part->detail, "auto"))
        canon_drop(at->report, "image_url.detail");
    if (!slice_present(part->data))
        return slice_present(part->url) ? put_url(at, part, "image_url")
                                        : gemini_unsupported(at, "image", "it has no data");
    const char *found = canon_image_type(part->data), *type = NULL;
    for (size_t i = 0; i < countof(taken); i++) {
        if (found ? strcmp(found, taken[i]) == 0 : text_caseless_is(part->media_type, taken[i]))
            type = taken[i];
    }
    if (!type)
        return gemini_unsupported(at, "image", "this model takes PNG, JPEG, WebP, HEIC and HEIF");
    return put_inline(at, slice_from(type), part->data);
}

static int
put_document(struct gemini_writing *at, const struct canon_part *part)
{
    if (slice_present(part->text) && part->name.len > 0) {
        struct slice named =
            arena_printf(at->arena, "%.*s\\n\\n%.*s", SLICE_ARG(part->name), SLICE_ARG(part->text));
        if (!slice_present(named))
            return -ERR_MEMORY;
        gemini_put_text_part(at, named, SLICE_NONE);
        return 0;
    }
    if (slice_present(part->text)) {
        gemini_put_text_part(at, part->text, SLICE_NONE);
        return 0;
    }
    if (part->name.len > 0)
        canon_drop(at->report, "filename");
    if (!slice_present(part->data))
        return slice_present(part->url) ? put_url(at, part, "file_url")
                                        : gemini_unsupported(at, "file", "it has no content");
    return put_inline(
        at, part->media_type.len > 0 ? part->media_type : SLICE_LIT("application/pdf"), part->data);
}

static int
put_audio(struct gemini_writing *at, const struct canon_part *part)
{
    struct slice type = part->media_type.len > 0 ? part->media_type : SLICE_LIT("wav");
    if (!slice_present(part->data))
        return slice_present(part->url) ? put_url(at, part, "input_audio")
                                        : gemini_unsupported(at, "input_audio", "it has no data");
    if (!memchr(type.ptr, '/', type.len))
        type = arena_printf(at->arena, "audio/%.*s", SLICE_ARG(type));
    return slice_present(type) ? put_inline(at, type, part->data) : -ERR_MEMORY;
}

static int
put_video(struct gemini_writing *at, const struct canon_part *part)
{
    if (!slice_present(part->data))
        return slice_present(part->url) ? put_url(at, part, "video_url")
                                        : gemini_unsupported(at, "video", "it has no data");
    return put_inline(at, part->media_type.len > 0 ? part->media_type : SLICE_LIT("video/mp4"),
                      part->data);
}

static int
put_known_file(struct gemini_writing *at, const struct canon_part *part)
{
    struct slice id = json_unescape(part->id, at->arena);
    if (!is_googles(id))
        return gemini_unsupported(at, "file_id", "a file known to another provider only");
    put_file(at, id, part->media_type);
    return 0;
}

/* What a user content, or what follows a result, may hold. */
static int
put_plain(struct gemini_writing *at, const struct canon_part *part, struct slice signature)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        gemini_put_text_part(at, slice_present(part->text) ? part->text : SLICE_LIT(""), signature);
        return 0;
    case PART_IMAGE:
        return put_image(at, part);
    case PART_DOCUMENT:
        return put_document(at, part);
    case PART_AUDIO:
        return put_audio(at, part);
    case PART_VIDEO:
        return put_video(at, part);
    case PART_FILE:
        return put_known_file(at, part);
    case PART_CALL:
    case PART_RESULT:
    case PART_THINKING:
    case PART_REDACTED:
    case PART_NATIVE:
        break;
    }
    struct slice name =
        part->name.len > 0 ? arena_copy(at->arena, part->name) : SLICE_LIT("this content part");
    if (!slice_present(name))
        return -ERR_MEMORY;
    return gemini_unsupported(at, name.ptr, "only its own provider knows it");
}

/* ---------------------------------------------------------------- calls */

/* Vertex's models know no ids, and a repeated one says nothing: the order says it all. */
static void
put_id(struct gemini_writing *at, const struct gemini_item *call)
{
    if (at->upstream->surface == SURFACE_VERTEX || call->repeated || call->part->id.len == 0)
        return;
    json_name(&at->json, "id");
    json_put_escaped(&at->json, call->part->id);
}

static int
put_call(struct gemini_writing *at, const struct gemini_item *item, bool first_of_step)
{
    struct slice name = gemini_tool_name(item->part->name, at->arena), signature = item->signature;
    if (!slice_present(name))
        return -ERR_MEMORY;
    if (!slice_present(signature) && first_of_step && at->upstream->thinking_level)
        signature = no_signature;
    json_object(&at->json);
    json_name(&at->json, "functionCall");
    json_object(&at->json);
    put_id(at, item);
    json_name(&at->json, "name");
    json_put_escaped(&at->json, name);
    json_name(&at->json, "args");
    canon_put_arguments(item->part, GEMINI_REQUEST_DEPTH - 8, &at->json);
    json_end(&at->json);
    if (slice_present(signature)) {
        json_name(&at->json, "thoughtSignature");
        json_put_escaped(&at->json, signature);
    }
    json_end(&at->json);
    return 0;
}

/* ---------------------------------------------------------------- results */

static bool
is_text(const struct canon_part *part)
{
    return part->kind == PART_TEXT || part->kind == PART_REFUSAL ||
           (part->kind == PART_DOCUMENT && slice_present(part->text));
}

/* May this stand in functionResponse.parts? */
static bool
goes_inside(const struct gemini_writing *at, const struct canon_part *part)
{
    bool kind = part->kind == PART_IMAGE || part->kind == PART_DOCUMENT;
    return at->upstream->result_media && kind && slice_present(part->data);
}

static bool
has_media(const struct gemini_writing *at, const struct canon_part *result, bool inside)
{
    for (const struct canon_part *part = result ? result->parts : NULL; part; part = part->next) {
        if (!is_text(part) && goes_inside(at, part) == inside)
            return true;
    }
    return false;
}

/* All texts of a result, one below the other; escaped. */
static int
texts_of(struct gemini_writing *at, const struct canon_part *result, struct slice *out)
{
    struct sink text;
    bool any = false;
    if (result->parts && !result->parts->next && result->parts->kind == PART_TEXT &&
        slice_present(result->parts->text)) {
        *out = result->parts->text; /* nearly always */
        return 0;
    }
    sink_init(&text, GEMINI_REQUEST_BYTES);
    for (const struct canon_part *part = result->parts; part; part = part->next) {
        if (!is_text(part))
            continue;
        sink_text(&text, any ? "\\n" : "");
        if (part->kind == PART_DOCUMENT && part->name.len > 0) {
            sink_put(&text, part->name);
            sink_text(&text, "\\n");
        }
        sink_put(&text, part->text);
        any = true;
    }
    if (has_media(at, result, false))
        sink_text(&text, any ? "\\n[more in the next message]" : "[in the next message]");
    *out = text.error == 0 ? arena_copy(at->arena, sink_slice(&text)) : SLICE_NONE;
    sink_fini(&text);
    return slice_present(*out) ? 0 : -ERR_MEMORY;
}

static int
put_result(struct gemini_writing *at, const struct gemini_item *call)
{
    const struct canon_part *result = call->answer;
    struct slice name = gemini_tool_name(call->part->name, at->arena),
                 text = SLICE_LIT("[no result]");
    int error = result ? texts_of(at, result, &text) : 0;
    if (error != 0 || !slice_present(name))
        return -ERR_MEMORY;
    json_object(&at->json);
    json_name(&at->json, "functionResponse");
    json_object(&at->json);
    put_id(at, call);
    json_name(&at->json, "name");
    json_put_escaped(&at->json, name);
    json_name(&at->json, "response");
    json_object(&at->json);
    json_name(&at->json, result && result->is_error ? "error" : "output");
    json_put_escaped(&at->json, text);
    json_end(&at->json);
    if (has_media(at, result, true)) {
        json_name(&at->json, "parts");
        json_array(&at->json);
        for (const struct canon_part *part = result->parts; part && error == 0; part = part->next) {
            if (!is_text(part) && goes_inside(at, part))
                error = put_plain(at, part, SLICE_NONE);
        }
        json_end(&at->json);
    }
    json_end(&at->json);
    json_end(&at->json);
    return error;
}

/* What a result holds that no response can: behind all responses, under a line that says whose it
 * is. */
static int
put_attached(struct gemini_writing *at, const struct gemini_item *call)
{
    if (!has_media(at, call->answer, false))
        return 0;
    int error = put_note(at, "[from the result of ", call->part->name, "]");
    for (const struct canon_part *part = call->answer->parts; part && error == 0;
         part = part->next) {
        if (!is_text(part) && !goes_inside(at, part))
            error = put_plain(at, part, SLICE_NONE);
    }
    return error;
}

/* A result without its call: its content stays visible. */
static int
put_orphan(struct gemini_writing *at, const struct canon_part *result)
{
    int error = put_note(at, "[result of tool call ", result->id, "]");
    for (const struct canon_part *part = result->parts; part && error == 0; part = part->next) {
        if (part->kind != PART_TEXT || part->text.len > 0)
            error = put_plain(at, part, SLICE_NONE);
    }
    return error;
}

/* ---------------------------------------------------------------- turns */

static int
put_item(struct gemini_writing *at, const struct gemini_turn *turn, const struct gemini_item *item)
{
    switch (item->kind) {
    case GEMINI_NOTE:
        return put_note(at, "<system-reminder>\\n", item->part->text, "\\n</system-reminder>");
    case GEMINI_ORPHAN:
        return put_orphan(at, item->part);
    case GEMINI_SIGNATURE:
        gemini_put_text_part(at, SLICE_LIT(""), item->signature);
        return 0;
    case GEMINI_PART:
        break;
    }
    if (item->part->kind == PART_CALL)
        return put_call(at, item, item == turn->calls);
    at->signature = item->part->kind == PART_IMAGE ? item->signature : SLICE_NONE;
    return put_plain(at, item->part, item->signature);
}

static void
begin_content(struct gemini_writing *at, bool model)
{
    json_object(&at->json);
    json_member_text(&at->json, "role", model ? "model" : "user");
    json_name(&at->json, "parts");
    json_array(&at->json);
}

static void
end_content(struct gemini_writing *at)
{
    json_end(&at->json);
    json_end(&at->json);
}

static int
put_results(struct gemini_writing *at, const struct gemini_turn *before)
{
    int error = 0;
    begin_content(at, false);
    for (const struct gemini_item *call = before->calls; call && error == 0; call = call->next_call)
        error = put_result(at, call);
    end_content(at);
    return error;
}

/* before: the model's turn whose calls are answered here; NULL: none are. turn: what the user says;
 * NULL: nothing. */
static int
put_user(struct gemini_writing *at, const struct gemini_turn *before,
         const struct gemini_turn *turn)
{
    bool calls = before && before->calls, more = turn && turn->items;
    int error = calls ? put_results(at, before) : 0;
    for (const struct gemini_item *call = calls ? before->calls : NULL; call;
         call = call->next_call)
        more = more || has_media(at, call->answer, false);
    if (!more)
        return error;
    begin_content(at, false);
    for (const struct gemini_item *call = calls ? before->calls : NULL; call && error == 0;
         call = call->next_call)
        error = put_attached(at, call);
    for (const struct gemini_item *item = turn ? turn->items : NULL; item && error == 0;
         item = item->next)
        error = put_item(at, turn, item);
    end_content(at);
    return error;
}

static int
put_model(struct gemini_writing *at, const struct gemini_turn *turn)
{
    int error = 0;
    begin_content(at, true);
    for (const struct gemini_item *item = turn->items; item && error == 0; item = item->next)
        error = put_item(at, turn, item);
    end_content(at);
    return error;
}

/* The user must have the first word, and there must be one. */
static void
put_opening(struct gemini_writing *at)
{
    begin_content(at, false);
    gemini_put_text_part(at, SLICE_LIT("."), SLICE_NONE);
    end_content(at);
}

int
gemini_put_contents(struct gemini_writing *at, const struct canon_message *messages)
{
    struct gemini_turn *first;
    const struct gemini_turn *before = NULL;
    int error = gemini_turns_build(at->request, messages, at->report, at->fault, &first);
    if (error != 0)
        return error;
    json_name(&at->json, "contents");
    json_array(&at->json);
    if (!first || first->model)
        put_opening(at);
    for (const struct gemini_turn *turn = first; turn && error == 0; turn = turn->next) {
        error = turn->model ? put_model(at, turn) : put_user(at, before, turn);
        if (error == 0 && turn->model && !turn->next)
            error = put_user(at, turn, NULL); /* it stops at calls that nobody answered */
        before = turn->model ? turn : NULL;
    }
    json_end(&at->json);
    return error;
}
