/* SPDX-License-Identifier: MIT
 *
 * media.c - OpenAI's requests for pictures as Imagen and Gemini understand them, and their replies as OpenAI's clients do;
 * see media.h. Videos are in media_video.c.
 */
#include "gateway/media.h"
#include "base/text.h"
#include "gateway/worker.h"

#define IMAGES_MAX 4u
#define REPLY_TOKENS_MAX 65536u

static const struct media_option imagen_options[] = {
    {"aspect_ratio", "aspectRatio"},         {"safety_setting", "safetySetting"}, {"person_generation", "personGeneration"},
    {"negative_prompt", "negativePrompt"},   {"seed", "seed"},                    {"enhance_prompt", "enhancePrompt"},
    {"add_watermark", "addWatermark"},       {"language", "language"},            {"image_size", "sampleImageSize"},
    {NULL, NULL},
};
static const struct media_option gemini_options[] = {{"seed", "seed"}, {NULL, NULL}};
static const struct media_option gemini_image_options[] = {{"aspect_ratio", "aspectRatio"}, {"image_size", "imageSize"}, {NULL, NULL}};
static const char *const image_fields[] = {"model", "prompt", "n", "size", "response_format", "stream", NULL};
static const char *const image_ratios[] = {"1:1", "16:9", "9:16", "3:4", "4:3", NULL};

/* ---------------------------------------------------------------- which upstreams */

bool
media_serves(const struct stream *stream, const struct deployment *deployment, struct slice model)
{
    bool images = slice_is(stream->relay_path, "images/generations"), videos = slice_is(stream->relay_path, "videos/generations");
    if (deployment->dialect->id != DIALECT_GEMINI || stream->dialect->id != DIALECT_OPENAI_CHAT || (!images && !videos))
        return false;
    if (slice_is(deployment->config->mode, stream->relay_mode))
        return true;
    if (!images)
        return slice_starts(model, SLICE_LIT("veo"));
    return slice_starts(model, SLICE_LIT("imagen")) || text_find(model, SLICE_LIT("image")) >= 0;
}

/* ---------------------------------------------------------------- fields */

static int
complain(struct canon_fault *fault, const char *field, const char *text)
{
    fault->param = slice_from(field);
    fault->message = slice_from(text);
    return -ERR_REQUEST;
}

static bool
is_given(struct json value)
{
    return json_present(value) && json_type(value) != JSON_NULL;
}

int
media_prompt(struct stream *stream, struct json *prompt, struct canon_fault *fault)
{
    static const char *const single[] = {"prompt", "n", "size", "response_format", "stream", NULL};
    struct json root = stream->canon ? stream->canon->root : JSON_NONE;
    if (!stream->canon)
        return complain(fault, NULL, "request body must be a JSON object");
    for (size_t i = 0; single[i]; i++)
        if (json_repeats(root, single[i]))
            return complain(fault, single[i], "a field of the request is repeated");
    *prompt = json_get(root, "prompt");
    return json_type(*prompt) == JSON_STRING && json_text(*prompt).len > 0 ? 0 : complain(fault, "prompt", "prompt must be a text");
}

int
media_count(struct stream *stream, uint64_t max, uint64_t *n, struct canon_fault *fault)
{
    struct json value = json_get(stream->canon->root, "n");
    *n = 0;
    if (!is_given(value))
        return 0;
    *n = json_u64_or(value, 0);
    if (*n >= 1 && *n <= max)
        return 0;
    return complain(fault, "n", max == 1 ? "n must be 1 for this model" : "n must be a number from 1 to 4");
}

/* Whatever "1792x1024" is nearest to. */
int
media_aspect(struct stream *stream, const char *const *ratios, const char **nearest, struct canon_fault *fault)
{
    struct json value = json_get(stream->canon->root, "size");
    struct slice size = json_text(value);
    uint64_t width, height;
    *nearest = NULL;
    if (!is_given(value) || slice_is(size, "auto"))
        return 0;
    for (size_t i = 0; ratios[i]; i++)
        if (slice_is(size, ratios[i]))
            *nearest = ratios[i];
    if (*nearest)
        return 0;
    struct slice first = text_split(&size, 'x');
    if (!text_u64(first, &width) || !text_u64(size, &height) || width == 0 || height == 0 || width > 65536 || height > 65536)
        return complain(fault, "size", "size must be WIDTHxHEIGHT or auto");
    double best = 0;
    for (size_t i = 0; ratios[i]; i++) {
        struct slice down = slice_from(ratios[i]), across = text_split(&down, ':');
        uint64_t w, h;
        if (!text_u64(across, &w) || !text_u64(down, &h))
            continue;
        double off = (double)(width * h) / (double)(height * w);
        off = off < 1 ? 1 / off : off;
        if (!*nearest || off < best) {
            *nearest = ratios[i];
            best = off;
        }
    }
    return 0;
}

static struct json
find_option(struct stream *stream, const struct deployment *deployment, const struct media_option *option)
{
    struct slice defaults = deployment->upstream.default_params;
    struct json root = stream->canon->root, value = json_get(root, option->name);
    if (!is_given(value))
        value = json_get(root, option->google);
    if (!is_given(value) && slice_present(defaults) && json_parse(defaults, 16, 4096, &stream->request, &root) == 0) {
        value = json_get(root, option->name);
        if (!is_given(value))
            value = json_get(root, option->google);
    }
    return value;
}

bool
media_has(struct stream *stream, const struct deployment *deployment, const char *name, const char *google)
{
    return is_given(find_option(stream, deployment, &(struct media_option){name, google}));
}

int
media_put_options(struct stream *stream, const struct deployment *deployment, const struct media_option *options, struct json_writer *json,
                  struct canon_fault *fault)
{
    for (; options->name; options++) {
        struct json value = find_option(stream, deployment, options);
        if (!is_given(value))
            continue;
        if (json_type(value) == JSON_ARRAY || json_type(value) == JSON_OBJECT)
            return complain(fault, options->name, "this field must be a text, a number, true or false");
        json_member_raw(json, options->google, json_raw(value));
    }
    return 0;
}

static bool
names(const char *const *list, struct slice name)
{
    for (; *list; list++)
        if (slice_is(name, *list))
            return true;
    return false;
}

void
media_report(struct stream *stream, const struct media_option *options, const char *const *known)
{
    struct json root = stream->canon->root;
    for (struct json at = json_first(root); json_present(at); at = json_next(at)) {
        struct slice name = json_key(at);
        bool said = names(known, name) || json_type(at) == JSON_NULL;
        for (const struct media_option *option = options; option->name && !said; option++)
            said = slice_is(name, option->name) || slice_is(name, option->google);
        bool plain = name.len <= 40;
        for (size_t i = 0; i < name.len && plain; i++) /* it stands in a header field */
            plain = (text_lower(name.ptr[i]) >= 'a' && text_lower(name.ptr[i]) <= 'z') || name.ptr[i] == '_';
        struct slice copy = said ? SLICE_NONE : plain && name.len > 0 ? arena_copy(&stream->reply, name) : SLICE_LIT("more");
        if (slice_present(copy))
            canon_drop(&stream->tries->report, copy.ptr);
    }
}

/* ---------------------------------------------------------------- requests for pictures */

/* What no upstream of Google's can do is refused, since its absence would show. */
static int
check_image(struct stream *stream, struct canon_fault *fault)
{
    struct json root = stream->canon->root, format = json_get(root, "response_format");
    if (is_given(format) && !json_is(format, "b64_json"))
        return complain(fault, "response_format", "response_format must be b64_json: pictures of this model come as data, not as addresses");
    if (json_type(json_get(root, "stream")) == JSON_TRUE)
        return complain(fault, "stream", "pictures of this model are not streamed");
    if (json_is(json_get(root, "background"), "transparent"))
        return complain(fault, "background", "this model has no transparent background");
    return 0;
}

/* What pictures are packed in. */
static int
put_output(struct stream *stream, struct json_writer *json, struct canon_fault *fault)
{
    struct json format = json_get(stream->canon->root, "output_format"), quality = json_get(stream->canon->root, "output_compression");
    bool jpeg = json_is(format, "jpeg");
    if (!is_given(format))
        return 0;
    if (!jpeg && !json_is(format, "png"))
        return complain(fault, "output_format", "output_format must be png or jpeg for this model");
    json_name(json, "outputOptions");
    json_object(json);
    json_member_text(json, "mimeType", jpeg ? "image/jpeg" : "image/png");
    if (jpeg && json_type(quality) == JSON_NUMBER)
        json_member_raw(json, "compressionQuality", json_raw(quality));
    json_end(json);
    return 0;
}

static int
write_imagen(struct stream *stream, const struct deployment *deployment, struct sink *out, struct canon_fault *fault)
{
    static const char *const fields[] = {"model", "prompt", "n", "size", "response_format", "stream", "output_format", "output_compression", "moderation", NULL};
    struct json prompt;
    struct json_writer json;
    const char *ratio = NULL;
    uint64_t n = 0;
    int error = media_prompt(stream, &prompt, fault);
    error = error < 0 ? error : check_image(stream, fault);
    error = error < 0 ? error : media_count(stream, IMAGES_MAX, &n, fault);
    error = error < 0 ? error : media_aspect(stream, image_ratios, &ratio, fault);
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
    json_member_u64(&json, "sampleCount", n ? n : 1);
    if (ratio && !media_has(stream, deployment, "aspect_ratio", "aspectRatio"))
        json_member_text(&json, "aspectRatio", ratio);
    if (json_is(json_get(stream->canon->root, "moderation"), "low") && !media_has(stream, deployment, "safety_setting", "safetySetting"))
        json_member_text(&json, "safetySetting", "block_only_high");
    error = media_put_options(stream, deployment, imagen_options, &json, fault);
    error = error < 0 ? error : put_output(stream, &json, fault);
    json_member_bool(&json, "includeRaiReason", true); /* else nothing says why there is no picture */
    json_end(&json);
    json_end(&json);
    media_report(stream, imagen_options, fields);
    return error;
}

static int
write_gemini(struct stream *stream, const struct deployment *deployment, struct sink *out, struct canon_fault *fault)
{
    static const struct media_option all[] = {{"seed", "seed"}, {"aspect_ratio", "aspectRatio"}, {"image_size", "imageSize"}, {NULL, NULL}};
    bool older = slice_starts(stream->upstream_model, SLICE_LIT("gemini-2.0")); /* which always writes, too, and knows no ratios */
    struct json prompt;
    struct json_writer json;
    const char *ratio = NULL;
    uint64_t n;
    int error = media_prompt(stream, &prompt, fault);
    error = error < 0 ? error : check_image(stream, fault);
    error = error < 0 ? error : media_count(stream, 1, &n, fault);
    error = error < 0 ? error : media_aspect(stream, image_ratios, &ratio, fault);
    if (error < 0)
        return error;
    json_writer_init(&json, out);
    json_object(&json);
    json_name(&json, "contents");
    json_array(&json);
    json_object(&json);
    json_member_text(&json, "role", "user");
    json_name(&json, "parts");
    json_array(&json);
    json_object(&json);
    json_member_raw(&json, "text", json_raw(prompt));
    for (int i = 0; i < 4; i++)
        json_end(&json);
    json_name(&json, "generationConfig");
    json_object(&json);
    json_member_raw(&json, "responseModalities", older ? SLICE_LIT("[\"TEXT\",\"IMAGE\"]") : SLICE_LIT("[\"IMAGE\"]"));
    error = media_put_options(stream, deployment, gemini_options, &json, fault);
    if (!older) {
        json_name(&json, "imageConfig");
        json_object(&json);
        if (ratio && !media_has(stream, deployment, "aspect_ratio", "aspectRatio"))
            json_member_text(&json, "aspectRatio", ratio);
        error = error < 0 ? error : media_put_options(stream, deployment, gemini_image_options, &json, fault);
        json_end(&json);
    } else if (ratio) {
        canon_drop(&stream->tries->report, "size");
    }
    json_end(&json);
    if (slice_present(deployment->upstream.safety))
        json_member_raw(&json, "safetySettings", deployment->upstream.safety);
    json_end(&json);
    media_report(stream, all, image_fields);
    return error;
}

int
media_write_body(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault)
{
    struct sink *out = &stream->tries->out_body;
    if (stream->media && stream->media->kind == MEDIA_VEO_POLL)
        return media_write_poll(stream, deployment, out);
    struct media *media = arena_take(&stream->request, sizeof *media);
    if (!media)
        return -ERR_MEMORY;
    bool videos = slice_is(stream->relay_path, "videos/generations");
    media->kind = videos ? MEDIA_VEO : slice_starts(stream->upstream_model, SLICE_LIT("imagen")) ? MEDIA_IMAGEN : MEDIA_GEMINI;
    stream->media = media;
    return media->kind == MEDIA_VEO      ? media_write_video(stream, deployment, out, fault)
           : media->kind == MEDIA_IMAGEN ? write_imagen(stream, deployment, out, fault)
                                         : write_gemini(stream, deployment, out, fault);
}

/* ---------------------------------------------------------------- where it goes */

static bool
is_plain_poll(const struct stream *stream)
{
    return stream->media->kind == MEDIA_VEO_POLL && stream->deployment->upstream.surface != SURFACE_VERTEX;
}

const char *
media_method(const struct stream *stream)
{
    return is_plain_poll(stream) ? "GET" : "POST";
}

void
media_put_target(const struct stream *stream, const struct dialect_upstream *upstream, struct sink *out)
{
    static const char *const methods[] = {
        [MEDIA_IMAGEN] = "predict", [MEDIA_GEMINI] = "generateContent", [MEDIA_VEO] = "predictLongRunning", [MEDIA_VEO_POLL] = "fetchPredictOperation"};
    const char *method = methods[stream->media->kind];
    struct sink whole;
    if (upstream->surface == SURFACE_VERTEX) {
        dialect_put_vertex(out, upstream, "google", method);
        return;
    }
    /* The dialect knows where models lie; only what is behind the last colon is another. */
    sink_init(&whole, 65536);
    stream->deployment->dialect->put_target(&whole, upstream, false);
    const char *colon = whole.len > 0 ? memrchr(whole.ptr, ':', whole.len) : NULL;
    sink_put(out, colon ? slice_of(whole.ptr, (size_t)(colon - whole.ptr)) : SLICE_LIT(""));
    if (is_plain_poll(stream))
        sink_printf(out, "/operations/%.*s", SLICE_ARG(stream->media->operation));
    else
        sink_printf(out, ":%s", method);
    sink_fini(&whole);
}

/* ---------------------------------------------------------------- replies */

int
media_filtered(struct stream *stream, struct slice reason)
{
    struct slice text = reason.len > 0 ? arena_printf(&stream->reply, "nothing was made, for reasons of policy: %.*s", SLICE_ARG(slice_take(reason, 1000)))
                                       : SLICE_LIT("nothing was made, for reasons of policy");
    stream_fail_text(stream, -ERR_REQUEST, text, SLICE_LIT("prompt"));
    stream->error.code = SLICE_LIT("content_policy_violation");
    return -ERR_REQUEST;
}

int
media_replace(struct stream *stream, struct sink *text)
{
    int error = text->error == -ERR_MEMORY ? -ERR_MEMORY : text->error ? -ERR_UPSTREAM_TOO_LARGE : 0;
    if (error < 0) {
        sink_fini(text);
        return error;
    }
    sink_fini(&stream->collected);
    stream->collected = *text;
    return 0;
}

struct pictures { /* a reply being written */
    struct sink text;
    struct json_writer json;
    uint32_t count;
    struct slice type; /* of the first */
};

static void
open_pictures(struct stream *stream, struct pictures *pictures)
{
    sink_init(&pictures->text, stream->collected.max);
    json_writer_init(&pictures->json, &pictures->text);
    pictures->count = 0;
    pictures->type = SLICE_NONE;
    json_object(&pictures->json);
    json_member_i64(&pictures->json, "created", worker_unix_us(stream->worker) / 1000000);
    json_name(&pictures->json, "data");
    json_array(&pictures->json);
}

static void
put_picture(struct pictures *pictures, struct slice data, struct slice type, struct slice prompt)
{
    struct json_writer *json = &pictures->json;
    if (pictures->count++ == 0)
        pictures->type = type;
    json_object(json);
    json_name(json, "b64_json");
    json_put_escaped(json, data);
    if (prompt.len > 0) {
        json_name(json, "revised_prompt");
        json_put_escaped(json, prompt);
    }
    json_end(json);
}

static void
close_pictures(struct stream *stream, struct pictures *pictures)
{
    static const char *const formats[] = {"png", "jpeg", "webp"};
    struct json_writer *json = &pictures->json;
    const struct canon_usage *usage = &stream->usage;
    json_end(json);
    for (size_t i = 0; i < countof(formats); i++)
        if (slice_starts(pictures->type, SLICE_LIT("image/")) && slice_is(slice_skip(pictures->type, 6), formats[i]))
            json_member_text(json, "output_format", formats[i]);
    if (usage->in_total != UINT64_MAX && usage->out_total != UINT64_MAX) {
        json_name(json, "usage");
        json_object(json);
        json_member_u64(json, "input_tokens", usage->in_total);
        json_member_u64(json, "output_tokens", usage->out_total);
        json_member_u64(json, "total_tokens", usage->in_total + usage->out_total);
        json_end(json);
    }
    json_end(json);
}

static int
read_imagen(struct stream *stream, struct json root)
{
    struct pictures pictures;
    struct json predictions = json_get(root, "predictions");
    struct slice reason = SLICE_NONE;
    open_pictures(stream, &pictures);
    for (struct json at = json_type(predictions) == JSON_ARRAY ? json_first(predictions) : JSON_NONE; json_present(at); at = json_next(at)) {
        struct slice data = json_text(json_get(at, "bytesBase64Encoded"));
        if (data.len > 0)
            put_picture(&pictures, data, json_text(json_get(at, "mimeType")), json_text(json_get(at, "prompt")));
        else if (reason.len == 0)
            reason = json_string(json_get(at, "raiFilteredReason"), &stream->worker->scratch);
    }
    if (pictures.count == 0) {
        sink_fini(&pictures.text);
        /* Only an answer without any prediction is a filter's silence; one that makes no sense is not the prompt's fault. */
        bool silent = !json_present(json_get(root, "error")) && (json_type(predictions) == JSON_ARRAY ? json_count(predictions) == 0 : !is_given(predictions));
        return reason.len > 0 || silent ? media_filtered(stream, reason) : -ERR_UPSTREAM_PROTOCOL;
    }
    close_pictures(stream, &pictures);
    return media_replace(stream, &pictures.text);
}

static void
take_usage(struct stream *stream, struct json usage)
{
    uint64_t out = json_u64_or(json_get(usage, "candidatesTokenCount"), UINT64_MAX), thoughts = json_u64_or(json_get(usage, "thoughtsTokenCount"), 0);
    stream->usage.in_total = json_u64_or(json_get(usage, "promptTokenCount"), UINT64_MAX);
    stream->usage.out_total = out > UINT64_MAX / 2 || thoughts > UINT64_MAX / 2 ? UINT64_MAX : out + thoughts;
}

/* A model that talks instead, or is not allowed to draw: its word for it decides. */
static int
no_picture(struct stream *stream, struct json root, struct slice said)
{
    static const char *const harmless[] = {"STOP", "MAX_TOKENS", "NO_IMAGE", "OTHER", "FINISH_REASON_UNSPECIFIED", "IMAGE_OTHER", NULL};
    struct slice blocked = json_text(json_get(json_get(root, "promptFeedback"), "blockReason"));
    struct json candidate = json_first(json_get(root, "candidates"));
    struct slice why = blocked.len > 0 ? blocked : json_text(json_get(candidate, "finishReason"));
    if (why.len > 0 && (blocked.len > 0 || !names(harmless, why)))
        return media_filtered(stream, why);
    struct slice text = said.len > 0 ? arena_printf(&stream->reply, "the model answered without a picture: %.*s", SLICE_ARG(slice_take(said, 1000)))
                                     : SLICE_LIT("the model answered without a picture");
    stream_fail_text(stream, -ERR_UPSTREAM_ERROR, text, SLICE_NONE);
    return -ERR_UPSTREAM_ERROR;
}

static int
read_gemini(struct stream *stream, struct json root)
{
    struct pictures pictures;
    struct json parts = json_get(json_get(json_first(json_get(root, "candidates")), "content"), "parts");
    struct slice said = SLICE_NONE;
    take_usage(stream, json_get(root, "usageMetadata"));
    open_pictures(stream, &pictures);
    for (struct json at = json_type(parts) == JSON_ARRAY ? json_first(parts) : JSON_NONE; json_present(at); at = json_next(at)) {
        struct json blob = json_get(at, "inlineData"), text = json_get(at, "text");
        bool thought = json_type(json_get(at, "thought")) == JSON_TRUE; /* sketches are not the picture */
        if (!thought && json_text(json_get(blob, "data")).len > 0)
            put_picture(&pictures, json_text(json_get(blob, "data")), json_text(json_get(blob, "mimeType")), SLICE_NONE);
        if (!thought && said.len == 0 && json_type(text) == JSON_STRING)
            said = json_string(text, &stream->worker->scratch);
    }
    if (pictures.count == 0) {
        sink_fini(&pictures.text);
        return no_picture(stream, root, said);
    }
    close_pictures(stream, &pictures);
    return media_replace(stream, &pictures.text);
}

int
media_read_reply(struct stream *stream)
{
    struct json root;
    int error = json_parse(sink_slice(&stream->collected), 64, REPLY_TOKENS_MAX, &stream->worker->scratch, &root);
    if (error == -ERR_MEMORY)
        return error;
    if (error < 0 || json_type(root) != JSON_OBJECT)
        return -ERR_UPSTREAM_PROTOCOL;
    switch (stream->media->kind) {
    case MEDIA_IMAGEN:
        return read_imagen(stream, root);
    case MEDIA_GEMINI:
        return read_gemini(stream, root);
    case MEDIA_VEO:
        return media_read_started(stream, root);
    default:
        return media_read_polled(stream, root);
    }
}
