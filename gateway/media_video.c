/* SPDX-License-Identifier: MIT
 *
 * media_video.c - videos of Veo's: one request starts the work, others ask how it is getting on; see media.h.
 *
 * Nothing is remembered here. The id that a client polls with says which model, where, since when and which operation, so it
 * outlives a restart; what it names is only looked for at deployments of the configuration, never at an address of its own.
 */
#include "gateway/media.h"
#include "base/text.h"
#include "gateway/worker.h"

#include <inttypes.h>

#define VIDEOS_MAX 4u
#define POLL_PREFIX "veo-"
#define KEY_BITS 16 /* of a place: tell apart deployments that differ in the key only */

static const struct media_option veo_options[] = {
    {"aspect_ratio", "aspectRatio"},     {"duration_seconds", "durationSeconds"}, {"negative_prompt", "negativePrompt"},
    {"seed", "seed"},                    {"person_generation", "personGeneration"}, {"resolution", "resolution"},
    {"generate_audio", "generateAudio"}, {"enhance_prompt", "enhancePrompt"},     {NULL, NULL},
};
static const char *const veo_ratios[] = {"16:9", "9:16", NULL};

/* ---------------------------------------------------------------- ids of polls */

/* Where a deployment's videos are made: host, project and location, and in the lowest bits whose key it is. */
static uint64_t
place_of(const struct deployment *deployment, struct arena *arena)
{
    const struct config_deployment *config = deployment->config;
    struct slice text = arena_printf(arena, "%.*s:%u%.*s\n%.*s\n%.*s", SLICE_ARG(config->host), (unsigned)config->port, SLICE_ARG(config->base_path),
                                     SLICE_ARG(config->project), SLICE_ARG(config->location));
    uint64_t key = config->api_key.len > 0 ? canon_hash(config->api_key) : 0;
    return slice_present(text) ? canon_hash(text) << KEY_BITS | (key & ((1u << KEY_BITS) - 1)) : 0;
}

static bool
is_name(struct slice text, const char *marks)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text_lower(text.ptr[i]);
        if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || (byte && strchr(marks, byte))))
            return false;
    }
    return text.len > 0 && text.len <= 128 && text.ptr[0] != '.';
}

static bool
is_operation(struct slice text)
{
    return is_name(text, "-_");
}

static void
put_id(struct sink *out, struct slice whole)
{
    sink_text(out, POLL_PREFIX);
    text_base64(out, whole);
    for (size_t i = 0; i < out->len; i++) {
        char *byte = &out->ptr[i];
        *byte = *byte == '+' ? '-' : *byte == '/' ? '_' : *byte;
        if (*byte == '=')
            out->len = i;
    }
}

/* Absent without memory. */
static struct slice
make_poll_id(struct stream *stream, const struct deployment *deployment, struct slice operation)
{
    struct sink text;
    struct slice id = SLICE_NONE;
    struct slice said = arena_printf(&stream->reply, "1\n%" PRId64 "\n%016" PRIx64 "\n%.*s\n%.*s\n%.*s\n", worker_unix_us(stream->worker) / 1000000,
                                     place_of(deployment, &stream->reply), SLICE_ARG(stream->model), SLICE_ARG(stream->upstream_model), SLICE_ARG(operation));
    struct slice whole = slice_present(said) ? arena_printf(&stream->reply, "%.*s%016" PRIx64, SLICE_ARG(said), canon_hash(said)) : SLICE_NONE;
    sink_init(&text, 4096);
    put_id(&text, whole);
    if (slice_present(whole) && !text.error && text.len <= MEDIA_POLL_ID_MAX)
        id = text.error ? SLICE_NONE : arena_copy(&stream->reply, sink_slice(&text));
    sink_fini(&text);
    return id;
}

/* false: not an id of ours, or damaged. */
static bool
read_poll_id(struct slice id, struct arena *arena, struct media *media)
{
    static const struct slice prefix = SLICE_LIT(POLL_PREFIX);
    struct sink text;
    uint64_t started, check;
    if (id.len > MEDIA_POLL_ID_MAX || !slice_starts(id, prefix))
        return false;
    sink_init(&text, 4096);
    bool decoded = text_base64_decode(slice_skip(id, prefix.len), &text) && !text.error;
    struct slice whole = decoded ? arena_copy(arena, sink_slice(&text)) : SLICE_NONE, rest = whole;
    sink_reset(&text, 4096);
    put_id(&text, whole);
    bool same = slice_eq(sink_slice(&text), id); /* there is one spelling of an id */
    sink_fini(&text);
    if (!slice_present(whole) || !same || !text_utf8_valid(whole) || memchr(whole.ptr, '\0', whole.len))
        return false;
    struct slice version = text_split(&rest, '\n'), since = text_split(&rest, '\n'), place = text_split(&rest, '\n');
    media->name = text_split(&rest, '\n');
    media->model = text_split(&rest, '\n');
    media->operation = text_split(&rest, '\n');
    media->poll_id = id;
    media->kind = MEDIA_VEO_POLL;
    if (!slice_is(version, "1") || !text_u64(since, &started) || started > INT64_MAX || !text_hex_u64(place, &media->place) || !text_hex_u64(rest, &check))
        return false;
    media->started_s = (int64_t)started;
    return check == canon_hash(slice_take(whole, (size_t)(rest.ptr - whole.ptr))) && media->name.len > 0 && is_name(media->model, "-_.@") &&
           is_operation(media->operation);
}

static enum stream_event
unknown(struct stream *stream)
{
    stream_fail_text(stream, -ERR_NO_PATH, SLICE_LIT("there is no such poll_id, or what it polls was made by an upstream that is not configured any more"),
                     SLICE_LIT("poll_id"));
    stream->error.code = SLICE_LIT("poll_id_not_found");
    return EVENT_FAILED;
}

enum stream_event
media_find_poll(struct stream *stream, struct slice *model)
{
    struct slice path = SLICE_LIT("videos/generations/"), id;
    if (slice_starts(stream->relay_path, path)) {
        id = slice_skip(stream->relay_path, path.len);
        if (!slice_starts(id, SLICE_LIT(POLL_PREFIX))) /* somebody else's */
            return EVENT_NONE;
    } else {
        struct json value = slice_is(stream->relay_path, "videos/generations") && stream->canon ? json_get(stream->canon->root, "poll_id") : JSON_NONE;
        if (!json_present(value) || json_type(value) == JSON_NULL)
            return EVENT_NONE;
        if (json_type(value) != JSON_STRING || json_repeats(stream->canon->root, "poll_id"))
            return stream_fail_text(stream, -ERR_REQUEST, SLICE_LIT("poll_id must be a text"), SLICE_LIT("poll_id"));
        id = json_string(value, &stream->request);
    }
    struct media *media = arena_take(&stream->request, sizeof *media);
    if (!media)
        return stream_fail(stream, -ERR_MEMORY);
    if (!read_poll_id(id, &stream->request, media))
        return unknown(stream);
    stream->media = media;
    *model = media->name;
    return EVENT_NONE;
}

enum stream_event
media_pin(struct stream *stream)
{
    const struct generation *generation = stream->generation;
    const struct deployment *found = NULL;
    bool exact = false;
    for (uint32_t i = 0; i < generation->count && stream->media && !exact; i++) {
        const struct deployment *deployment = &generation->deployments[i];
        uint64_t place = place_of(deployment, &stream->request);
        bool near = slice_eq(deployment->config->model_name, stream->tries->route.group) && deployment->dialect->id == DIALECT_GEMINI &&
                    place >> KEY_BITS == stream->media->place >> KEY_BITS;
        exact = near && place == stream->media->place;
        if (exact || (near && !found))
            found = deployment;
    }
    if (!stream->media)
        return EVENT_NONE;
    stream->tries->route.only = found;
    return found ? EVENT_NONE : unknown(stream);
}

/* ---------------------------------------------------------------- requests */

/* OpenAI's `seconds` is a text or a number. */
static int
put_seconds(struct stream *stream, const struct deployment *deployment, struct json_writer *json, struct canon_fault *fault)
{
    struct json value = json_get(stream->canon->root, "seconds");
    uint64_t seconds;
    if (!json_present(value) || json_type(value) == JSON_NULL || media_has(stream, deployment, "duration_seconds", "durationSeconds"))
        return 0;
    if (!text_u64(json_type(value) == JSON_STRING ? json_text(value) : json_raw(value), &seconds)) {
        *fault = (struct canon_fault){.message = SLICE_LIT("seconds must be a number"), .param = SLICE_LIT("seconds")};
        return -ERR_REQUEST;
    }
    json_member_u64(json, "durationSeconds", seconds);
    return 0;
}

int
media_write_video(struct stream *stream, const struct deployment *deployment, struct sink *out, struct canon_fault *fault)
{
    static const char *const known[] = {"model", "prompt", "n", "size", "seconds", NULL};
    struct json prompt;
    struct json_writer json;
    const char *ratio = NULL;
    uint64_t n = 0;
    int error = media_prompt(stream, &prompt, fault);
    error = error < 0 ? error : media_count(stream, VIDEOS_MAX, &n, fault);
    error = error < 0 ? error : media_aspect(stream, veo_ratios, &ratio, fault);
    if (error < 0)
        return error;
    json_writer_init(&json, out);
    json_object(&json);
    json_name(&json, "instances");
    json_array(&json);
    json_object(&json);
    json_member_raw(&json, "prompt", json_raw(prompt));
    json_end(&json);
    json_end(&json);
    json_name(&json, "parameters");
    json_object(&json);
    if (n > 0)
        json_member_u64(&json, "sampleCount", n);
    if (ratio && !media_has(stream, deployment, "aspect_ratio", "aspectRatio"))
        json_member_text(&json, "aspectRatio", ratio);
    error = put_seconds(stream, deployment, &json, fault);
    error = error < 0 ? error : media_put_options(stream, deployment, veo_options, &json, fault);
    json_end(&json);
    json_end(&json);
    media_report(stream, veo_options, known);
    return error;
}

int
media_write_poll(struct stream *stream, const struct deployment *deployment, struct sink *out)
{
    const struct media *media = stream->media;
    struct json_writer json;
    stream->upstream_model = media->model;
    if (deployment->upstream.surface != SURFACE_VERTEX)
        return 0; /* its path says it all */
    struct slice name = arena_printf(&stream->request, "projects/%.*s/locations/%.*s/publishers/google/models/%.*s/operations/%.*s",
                                     SLICE_ARG(deployment->upstream.project), SLICE_ARG(deployment->upstream.location), SLICE_ARG(media->model),
                                     SLICE_ARG(media->operation));
    if (!slice_present(name))
        return -ERR_MEMORY;
    json_writer_init(&json, out);
    json_object(&json);
    json_member(&json, "operationName", name);
    json_end(&json);
    return 0;
}

/* ---------------------------------------------------------------- replies */

int
media_read_started(struct stream *stream, struct json root)
{
    struct slice name = json_string(json_get(root, "name"), &stream->worker->scratch);
    const char *slash = slice_present(name) ? memrchr(name.ptr, '/', name.len) : NULL;
    struct slice operation = slash ? slice_skip(name, (size_t)(slash - name.ptr) + 1) : SLICE_NONE;
    struct json_writer json;
    struct sink text;
    if (!is_operation(operation) || !is_name(stream->upstream_model, "-_.@"))
        return -ERR_UPSTREAM_PROTOCOL;
    struct slice id = make_poll_id(stream, stream->deployment, operation);
    if (!slice_present(id))
        return -ERR_MEMORY;
    sink_init(&text, stream->collected.max);
    json_writer_init(&json, &text);
    json_object(&json);
    json_member_i64(&json, "created", worker_unix_us(stream->worker) / 1000000);
    json_member_text(&json, "status", "processing");
    json_member(&json, "poll_id", id);
    json_member(&json, "model", stream->model);
    json_member_raw(&json, "prompt", json_raw(json_get(stream->canon->root, "prompt")));
    json_member_text(&json, "message", "The video is being made. Ask again with poll_id, or GET /v1/videos/generations/{poll_id}.");
    json_end(&json);
    return media_replace(stream, &text);
}

/* google.rpc.Code as HTTP says it. */
static int
status_of(uint64_t code)
{
    static const int statuses[] = {200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401};
    return code < countof(statuses) && code > 1 ? statuses[code] : 500;
}

/* The work has failed for good: nobody is asked again, and whoever told us so is not to blame. */
static int
take_failure(struct stream *stream, struct json failure)
{
    uint64_t code = json_u64_or(json_get(failure, "code"), 13);
    struct slice message = json_string(json_get(failure, "message"), &stream->worker->scratch);
    int status = code >= 400 && code < 600 ? (int)code : status_of(code);
    message = message.len > 0 ? arena_copy(&stream->reply, slice_take(message, 4096)) : SLICE_LIT("the video could not be made");
    stream_fail_text(stream, -ERR_REQUEST, message, SLICE_NONE);
    stream->error.status = status;
    stream->error.kind = canon_kind_of_status(status);
    stream->error.code = SLICE_LIT("video_generation_failed");
    return -ERR_REQUEST;
}

static uint32_t
put_videos(struct json_writer *json, struct json list, bool nested)
{
    uint32_t count = 0;
    for (struct json at = json_type(list) == JSON_ARRAY ? json_first(list) : JSON_NONE; json_present(at); at = json_next(at)) {
        struct json video = nested ? json_get(at, "video") : at;
        struct slice data = json_text(json_get(video, "bytesBase64Encoded")), type = json_text(json_get(video, "mimeType"));
        struct slice url = json_text(json_get(video, "gcsUri"));
        data = data.len > 0 ? data : json_text(json_get(video, "encodedVideo"));
        url = url.len > 0 ? url : json_text(json_get(video, "uri"));
        if (data.len == 0 && url.len == 0)
            continue;
        count++;
        json_object(json);
        json_name(json, data.len > 0 ? "b64_json" : "url");
        json_put_escaped(json, data.len > 0 ? data : url);
        json_name(json, "content_type");
        json_put_escaped(json, type.len > 0 ? type : SLICE_LIT("video/mp4"));
        json_end(json);
    }
    return count;
}

static int
put_done(struct stream *stream, struct json_writer *json, struct json response)
{
    struct json inner = json_get(response, "generateVideoResponse");
    inner = json_present(inner) ? inner : response;
    json_member_text(json, "status", "complete");
    json_member(json, "model", stream->model);
    json_name(json, "data");
    json_array(json);
    uint32_t count = put_videos(json, json_get(inner, "videos"), false) + put_videos(json, json_get(inner, "generatedSamples"), true);
    json_end(json);
    if (count > 0)
        return 0;
    struct slice reason = json_string(json_first(json_get(inner, "raiMediaFilteredReasons")), &stream->worker->scratch);
    return json_u64_or(json_get(inner, "raiMediaFilteredCount"), 0) > 0 || reason.len > 0 ? media_filtered(stream, reason) : -ERR_UPSTREAM_PROTOCOL;
}

int
media_read_polled(struct stream *stream, struct json root)
{
    const struct media *media = stream->media;
    int64_t elapsed_s = worker_unix_us(stream->worker) / 1000000 - media->started_s;
    struct json failure = json_get(root, "error");
    struct json_writer json;
    struct sink text;
    int error = 0;
    if (json_type(failure) == JSON_OBJECT)
        return take_failure(stream, failure);
    sink_init(&text, stream->collected.max);
    json_writer_init(&json, &text);
    json_object(&json);
    json_member_i64(&json, "created", media->started_s);
    json_member(&json, "poll_id", media->poll_id);
    if (json_type(json_get(root, "done")) == JSON_TRUE) {
        error = put_done(stream, &json, json_get(root, "response"));
    } else {
        json_member_text(&json, "status", "processing");
        json_member(&json, "model", stream->model);
        json_member_i64(&json, "elapsed_seconds", elapsed_s > 0 ? elapsed_s : 0);
        json_member_text(&json, "message", "The video is being made. Ask again.");
    }
    json_end(&json);
    if (error < 0) {
        sink_fini(&text);
        return error;
    }
    return media_replace(stream, &text);
}
