/* SPDX-License-Identifier: MIT
 *
 * openai_responses_parts_read.c - content of Responses items as canonical parts: text, refusals,
 * images, files, audio.
 */
#include "providers/openai_responses_request.h"

#include "base/text.h"

int
responses_refuse_item(struct responses_reading *at, const char *message)
{
    at->fault->param = arena_printf(at->request->arena, "input[%u]", at->item);
    at->fault->message = slice_from(message);
    return -ERR_REQUEST;
}

/* Where the client wants a cached prefix to end. Anthropic refuses more than a few. */
static void
read_marker(struct responses_reading *at, struct json value, struct canon_part *part)
{
    if (json_type(json_get(value, "prompt_cache_breakpoint")) != JSON_OBJECT)
        return;
    if (at->markers++ < RESPONSES_MARKERS_MAX)
        part->cache_control = SLICE_LIT("{\"type\":\"ephemeral\"}");
    else
        canon_drop(&at->request->unsaid, "prompt_cache_breakpoint");
}

struct canon_part *
responses_add_part(struct responses_reading *at, struct canon_part ***link,
                   enum canon_part_kind kind, struct json value)
{
    struct canon_part *part = arena_take(at->request->arena, sizeof(*part));
    if (!part)
        return NULL;
    *part = (struct canon_part){.kind = kind, .value = value};
    read_marker(at, value, part);
    **link = part;
    *link = &part->next;
    return part;
}

static int
add_text(struct responses_reading *at, struct canon_part ***link, enum canon_part_kind kind,
         struct json text, struct json value)
{
    if (json_type(text) != JSON_STRING)
        return responses_refuse_item(at, "text must be a string");
    struct canon_part *part = responses_add_part(at, link, kind, value);
    if (!part)
        return -ERR_MEMORY;
    part->text = json_text(text);
    struct json annotations = json_get(value, "annotations");
    if (json_count(annotations) > 0)
        canon_drop(&at->request->unsaid, "annotations");
    return 0;
}

/* ---------------------------------------------------------------- data URLs */

static struct slice
base64_of_percent(struct slice text, struct arena *arena)
{
    struct sink plain, coded;
    struct slice out = SLICE_NONE;
    sink_init(&plain, text.len + 1);
    sink_init(&coded, text.len * 2 + 16);
    if (text_percent_decode(text, &plain)) {
        text_base64(&coded, sink_slice(&plain));
        if (!plain.error && !coded.error)
            out = coded.error ? SLICE_NONE : arena_copy(arena, sink_slice(&coded));
    }
    sink_fini(&plain);
    sink_fini(&coded);
    return out;
}

static bool
is_data_url(struct slice url)
{
    return text_caseless_eq(slice_take(url, 5), SLICE_LIT("data:"));
}

/* data:[type][;parameter...][;base64],payload - RFC 2397. */
static int
read_data_url(struct responses_reading *at, struct slice url, struct canon_part *part)
{
    struct slice payload = slice_skip(url, 5);
    struct slice head = text_split(&payload, ',');
    if (!slice_present(payload))
        return responses_refuse_item(at, "a data URL has no data");
    bool is_base64 = false;
    part->media_type = text_split(&head, ';');
    for (struct slice word = text_split(&head, ';'); slice_present(word);
         word = text_split(&head, ';'))
        is_base64 = is_base64 || text_caseless_is(text_trim(word), "base64");
    if (part->media_type.len == 0)
        part->media_type = SLICE_LIT("text/plain");
    part->data = is_base64 ? payload : base64_of_percent(payload, at->request->arena);
    return slice_present(part->data) ? 0
                                     : responses_refuse_item(at, "a data URL cannot be decoded");
}

/* ---------------------------------------------------------------- media */

static int
read_image(struct responses_reading *at, struct canon_part ***link, struct json value)
{
    struct json image = json_get(value, "image_url");
    if (json_type(image) == JSON_OBJECT) /* as Chat writes it: some clients mix the two */
        image = json_get(image, "url");
    struct slice url = json_string(image, at->request->arena),
                 id = json_text(json_get(value, "file_id"));
    struct canon_part *part =
        responses_add_part(at, link, url.len > 0 ? PART_IMAGE : PART_FILE, value);
    if (!part)
        return -ERR_MEMORY;
    part->detail = json_text(json_get(value, "detail"));
    if (url.len > 0 && is_data_url(url))
        return read_data_url(at, url, part);
    part->url = url;
    part->id = url.len > 0 ? SLICE_NONE : id;
    return url.len > 0 || id.len > 0
               ? 0
               : responses_refuse_item(at, "an image needs image_url or file_id");
}

/* The type of a file that came as bare base64: its name tells, and PDF is what such files are
 * otherwise. */
static struct slice
type_of_name(struct slice name)
{
    static const struct {
        const char *ending, *type;
    } rows[] = {{".txt", "text/plain"},
                {".md", "text/markdown"},
                {".csv", "text/csv"},
                {".json", "application/json"}};
    for (size_t i = 0; i < countof(rows); i++) {
        if (slice_ends(name, slice_from(rows[i].ending)))
            return slice_from(rows[i].type);
    }
    return SLICE_LIT("application/pdf");
}

static int
read_file(struct responses_reading *at, struct canon_part ***link, struct json value)
{
    struct arena *arena = at->request->arena;
    struct slice data = json_string(json_get(value, "file_data"), arena);
    struct slice url = json_string(json_get(value, "file_url"), arena);
    struct slice id = json_text(json_get(value, "file_id"));
    struct canon_part *part = responses_add_part(
        at, link, data.len > 0 || url.len > 0 ? PART_DOCUMENT : PART_FILE, value);
    if (!part)
        return -ERR_MEMORY;
    part->name = json_text(json_get(value, "filename"));
    if (data.len > 0 && is_data_url(data))
        return read_data_url(at, data, part);
    if (data.len > 0) {
        part->media_type = type_of_name(part->name);
        part->data = data;
        return 0;
    }
    if (url.len > 0 && is_data_url(url))
        return read_data_url(at, url, part);
    part->url = url;
    part->id = url.len > 0 ? SLICE_NONE : id;
    return url.len > 0 || id.len > 0
               ? 0
               : responses_refuse_item(at, "a file needs file_data, file_url or file_id");
}

static int
read_audio(struct responses_reading *at, struct canon_part ***link, struct json value)
{
    struct json audio = json_get(value, "input_audio");
    struct canon_part *part = responses_add_part(at, link, PART_AUDIO, value);
    if (!part)
        return -ERR_MEMORY;
    part->media_type = json_string(json_get(audio, "format"), at->request->arena);
    part->data = json_string(json_get(audio, "data"), at->request->arena);
    bool complete = slice_present(part->media_type) && slice_present(part->data);
    return complete ? 0 : responses_refuse_item(at, "audio needs data and format");
}

/* ---------------------------------------------------------------- content */

static int
read_part(struct responses_reading *at, struct canon_part ***link, struct json value)
{
    struct json type = json_get(value, "type");
    if (json_type(value) != JSON_OBJECT || json_type(type) != JSON_STRING)
        return responses_refuse_item(at, "a content part must be an object with a type");
    if (json_is(type, "input_text") || json_is(type, "output_text") || json_is(type, "text"))
        return add_text(at, link, PART_TEXT, json_get(value, "text"), value);
    if (json_is(type, "refusal"))
        return add_text(at, link, PART_REFUSAL, json_get(value, "refusal"), value);
    if (json_is(type, "input_image"))
        return read_image(at, link, value);
    if (json_is(type, "input_file"))
        return read_file(at, link, value);
    if (json_is(type, "input_audio"))
        return read_audio(at, link, value);
    struct canon_part *part = responses_add_part(at, link, PART_NATIVE, value);
    if (!part)
        return -ERR_MEMORY;
    part->name = json_text(type);
    return 0;
}

int
responses_read_content(struct responses_reading *at, struct json content, struct canon_part ***link)
{
    switch (json_type(content)) {
    case JSON_STRING:
        return add_text(at, link, PART_TEXT, content, JSON_NONE);
    case JSON_ARRAY:
        for (struct json part = json_first(content); json_present(part); part = json_next(part)) {
            int error = read_part(at, link, part);
            if (error)
                return error;
        }
        return 0;
    case JSON_NULL:
    case JSON_ABSENT:
        return 0;
    default:
        return responses_refuse_item(at, "content must be a string or a list of parts");
    }
}
