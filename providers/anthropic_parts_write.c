/* SPDX-License-Identifier: MIT
 *
 * anthropic_parts_write.c - canonical parts as content blocks of a request.
 *
 * Media is checked against its first bytes, since Anthropic refuses an image whose declared type is
 * not its real one, and base64 is brought to the standard alphabet. What has no block is refused by
 * name.
 */
#include "providers/anthropic_write.h"

#include "base/text.h"
#include "providers/canon_media.h"

static int
unsupported(struct writing *at, const char *what)
{
    struct slice message = arena_printf(at->arena, "%s cannot be sent to this model", what);
    *at->fault = (struct canon_fault){.message = message, .param = slice_from(what)};
    return -ERR_UNSUPPORTED;
}

static void
put_marker(struct writing *at, const struct canon_part *part)
{
    if (slice_present(part->cache_control))
        json_member_raw(&at->json, "cache_control", part->cache_control);
}

void
anthropic_put_text(struct writing *at, struct slice text, const struct canon_part *part)
{
    json_object(&at->json);
    json_member_text(&at->json, "type", "text");
    json_name(&at->json, "text");
    json_put_escaped(&at->json, text);
    if (part)
        put_marker(at, part);
    json_end(&at->json);
}

/* ---------------------------------------------------------------- media */

/* The type to declare: what the bytes say, else what the client said; NULL when Anthropic takes none
 * of it. */
static const char *
declared_type(const struct canon_part *part)
{
    static const char *const taken[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};
    const char *found = canon_image_type(part->data);
    for (size_t i = 0; i < countof(taken); i++) {
        if (found ? strcmp(found, taken[i]) == 0 : text_caseless_is(part->media_type, taken[i]))
            return taken[i];
    }
    return NULL;
}

static int
put_base64_source(struct writing *at, const char *type, struct slice data)
{
    json_name(&at->json, "source");
    json_object(&at->json);
    json_member_text(&at->json, "type", "base64");
    json_member_text(&at->json, "media_type", type);
    /* The text is written in place: it can be tens of megabytes. */
    json_member_text(&at->json, "data", "");
    if (at->out->error == 0) {
        at->out->len--;
        if (!canon_base64(at->out, data))
            return unsupported(at, "data that is not base64");
        sink_byte(at->out, '"');
    }
    json_end(&at->json);
    return 0;
}

static void
put_url_source(struct writing *at, struct slice url)
{
    json_name(&at->json, "source");
    json_object(&at->json);
    json_member_text(&at->json, "type", "url");
    json_member(&at->json, "url", url);
    json_end(&at->json);
}

/* Claude on Vertex fetches nothing (P42). */
static bool
takes_urls(const struct writing *at)
{
    return at->upstream->surface != SURFACE_VERTEX || at->upstream->url_media;
}

static int
put_image(struct writing *at, const struct canon_part *part)
{
    const char *type = slice_present(part->data) ? declared_type(part) : NULL;
    if (slice_present(part->data) && !type)
        return unsupported(at, "an image that is not PNG, JPEG, GIF or WebP");
    if (!slice_present(part->data) && !slice_present(part->url))
        return unsupported(at, "an image without data");
    if (slice_present(part->detail) && !slice_is(part->detail, "auto"))
        canon_drop(at->report, "image_url.detail");
    if (!type && !takes_urls(at))
        return unsupported(at, "an image by URL");
    int error = 0;
    json_object(&at->json);
    json_member_text(&at->json, "type", "image");
    if (type)
        error = put_base64_source(at, type, part->data);
    else
        put_url_source(at, part->url);
    put_marker(at, part);
    json_end(&at->json);
    return error;
}

/* The text of a plain-text file that came as base64, escaped; absent if it is not UTF-8. */
static struct slice
plain_text(struct writing *at, struct slice data)
{
    struct sink decoded, escaped;
    sink_init(&decoded, ANTHROPIC_BYTES_MAX);
    sink_init(&escaped, ANTHROPIC_BYTES_MAX);
    struct slice text = SLICE_NONE;
    if (text_base64_decode(data, &decoded) && decoded.error == 0 &&
        text_utf8_valid(sink_slice(&decoded))) {
        json_escape(&escaped, sink_slice(&decoded));
        if (escaped.error == 0)
            text = escaped.error ? SLICE_NONE : arena_copy(at->arena, sink_slice(&escaped));
    }
    sink_fini(&decoded);
    sink_fini(&escaped);
    return text;
}

static int
put_document(struct writing *at, const struct canon_part *part)
{
    bool pdf = text_caseless_is(part->media_type, "application/pdf") || canon_is_pdf(part->data);
    struct slice text = part->text;
    if (slice_present(part->data) && !pdf) {
        text = plain_text(at, part->data);
        if (!slice_present(text))
            return unsupported(at, "a file that is neither PDF nor plain text");
    }
    bool empty = !slice_present(part->data) && !slice_present(part->url) && !slice_present(text);
    if (empty || (slice_present(text) && turns_blank(text)))
        return unsupported(at, "a file without content");
    if (!slice_present(part->data) && !slice_present(text) && !takes_urls(at))
        return unsupported(at, "a document by URL");
    int error = 0;
    json_object(&at->json);
    json_member_text(&at->json, "type", "document");
    if (slice_present(text)) {
        json_name(&at->json, "source");
        json_object(&at->json);
        json_member_text(&at->json, "type", "text");
        json_member_text(&at->json, "media_type", "text/plain");
        json_name(&at->json, "data");
        json_put_escaped(&at->json, text);
        json_end(&at->json);
    } else if (slice_present(part->data)) {
        error = put_base64_source(at, "application/pdf", part->data);
    } else {
        put_url_source(at, part->url);
    }
    if (part->name.len > 0) {
        json_name(&at->json, "title");
        json_put_escaped(&at->json, part->name);
    }
    put_marker(at, part);
    json_end(&at->json);
    return error;
}

/* ---------------------------------------------------------------- calls and results */

static int
put_call(struct writing *at, const struct turn_item *item)
{
    struct slice name = canon_legal_name(item->part->name, 64, at->arena);
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_object(&at->json);
    json_member_text(&at->json, "type", "tool_use");
    json_name(&at->json, "id");
    json_put_escaped(&at->json, item->id);
    json_name(&at->json, "name");
    json_put_escaped(&at->json, name);
    json_name(&at->json, "input");
    canon_put_arguments(item->part, ANTHROPIC_DEPTH_MAX - 8, &at->json);
    put_marker(at, item->part);
    json_end(&at->json);
    return 0;
}

static int
put_inner(struct writing *at, const struct canon_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (!turns_blank(part->text))
            anthropic_put_text(at, part->text, part);
        return 0;
    case PART_IMAGE:
        return put_image(at, part);
    case PART_DOCUMENT:
        return put_document(at, part);
    case PART_AUDIO:
        return unsupported(at, "input_audio");
    case PART_VIDEO:
        return unsupported(at, "video");
    case PART_FILE:
        return unsupported(at, "a file known by its id to another provider");
    case PART_CALL:
    case PART_RESULT:
    case PART_THINKING:
    case PART_REDACTED:
    case PART_NATIVE:
        break;
    }
    struct slice name =
        part->name.len > 0 ? arena_copy(at->arena, part->name) : SLICE_LIT("this content part");
    return unsupported(at, slice_present(name) ? name.ptr : "this content part");
}

static int
put_result(struct writing *at, const struct turn_item *item)
{
    const struct canon_part *part = item->part;
    bool missing = item->kind == ITEM_MISSING;
    int error = 0;
    json_object(&at->json);
    json_member_text(&at->json, "type", "tool_result");
    json_name(&at->json, "tool_use_id");
    json_put_escaped(&at->json, item->id);
    const struct canon_part *only = missing ? NULL : part->parts;
    if (missing) {
        json_member_text(&at->json, "content", "[no result]");
    } else if (only && !only->next && only->kind == PART_TEXT &&
               !slice_present(only->cache_control)) {
        json_name(&at->json, "content");
        json_put_escaped(&at->json, only->text);
    } else if (only) {
        json_name(&at->json, "content");
        json_array(&at->json);
        for (const struct canon_part *inner = only; inner && error == 0; inner = inner->next)
            error = put_inner(at, inner);
        json_end(&at->json);
    }
    if (!missing && part->is_error)
        json_member_bool(&at->json, "is_error", true);
    if (!missing)
        put_marker(at, part);
    json_end(&at->json);
    return error;
}

/* A result without its call: its content stays visible as plain text. */
static int
put_orphan(struct writing *at, const struct turn_item *item)
{
    int error = 0;
    struct slice head =
        arena_printf(at->arena, "[result of tool call %.*s]", SLICE_ARG(item->part->id));
    if (!slice_present(head))
        return -ERR_MEMORY;
    anthropic_put_text(at, head, NULL);
    for (const struct canon_part *inner = item->part->parts; inner && error == 0;
         inner = inner->next)
        error = put_inner(at, inner);
    return error;
}

static int
put_note(struct writing *at, const struct canon_part *part)
{
    struct slice text = arena_printf(at->arena, "<system-reminder>\\n%.*s\\n</system-reminder>",
                                     SLICE_ARG(part->text));
    if (!slice_present(text))
        return -ERR_MEMORY;
    anthropic_put_text(at, text, part);
    return 0;
}

static void
put_thought(struct writing *at, const struct canon_part *part)
{
    json_object(&at->json);
    if (part->kind == PART_THINKING) {
        json_member_text(&at->json, "type", "thinking");
        json_name(&at->json, "thinking");
        json_put_escaped(&at->json, slice_present(part->text) ? part->text : SLICE_LIT(""));
        json_name(&at->json, "signature");
        json_put_escaped(&at->json, part->signature);
    } else {
        json_member_text(&at->json, "type", "redacted_thinking");
        json_member(&at->json, "data", part->data);
    }
    json_end(&at->json);
}

static int
put_item(struct writing *at, const struct turn_item *item)
{
    switch (item->kind) {
    case ITEM_NOTE:
        return put_note(at, item->part);
    case ITEM_ORPHAN:
        return put_orphan(at, item);
    case ITEM_MISSING:
        return put_result(at, item);
    case ITEM_PART:
        break;
    }
    switch (item->part->kind) {
    case PART_CALL:
        return put_call(at, item);
    case PART_RESULT:
        return put_result(at, item);
    case PART_THINKING:
    case PART_REDACTED:
        put_thought(at, item->part);
        return 0;
    case PART_TEXT:
    case PART_IMAGE:
    case PART_DOCUMENT:
    case PART_AUDIO:
    case PART_VIDEO:
    case PART_FILE:
    case PART_REFUSAL:
    case PART_NATIVE:
        break;
    }
    return put_inner(at, item->part);
}

int
anthropic_put_turn(struct writing *at, const struct turn *turn)
{
    int error = 0;
    json_object(&at->json);
    json_member_text(&at->json, "role", turn->assistant ? "assistant" : "user");
    json_name(&at->json, "content");
    json_array(&at->json);
    for (const struct turn_item *item = turn->results; item && error == 0; item = item->next)
        error = put_item(at, item);
    for (const struct turn_item *item = turn->items; item && error == 0; item = item->next)
        error = put_item(at, item);
    json_end(&at->json);
    json_end(&at->json);
    return error;
}
