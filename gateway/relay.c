/* SPDX-License-Identifier: MIT
 *
 * relay.c - requests and replies that pass as opaque bytes.
 *
 * Routing, retries, cooldowns, limits, backpressure and cancelling are those of streams: a reply goes through RELAY and
 * STALL as events would. What was cut off upstream never ends cleanly for the client.
 */
#include "gateway/relay.h"
#include "base/text.h"
#include "gateway/endpoint.h"
#include "gateway/form.h"
#include "gateway/media.h"
#include "gateway/worker.h"
#include "providers/splice.h"

#define TEXT_HIGH_BYTES 32768u /* bytes gathered before they become a chunk */

/* ---------------------------------------------------------------- the request's model */

static bool
is_form(const struct stream *stream)
{
    struct slice type = http_field(stream->head, "content-type"), wanted = SLICE_LIT("multipart/form-data");
    return type.len > wanted.len && text_caseless_eq(slice_take(type, wanted.len), wanted);
}

/* The model that the body names; absent: none. */
static enum stream_event
read_model(struct stream *stream, struct slice *model)
{
    *model = SLICE_NONE;
    if (stream->head->method != HTTP_POST)
        return EVENT_NONE;
    if (is_form(stream)) {
        struct slice body = sink_slice(&stream->tries->body_bytes);
        int error = form_find(body, http_field(stream->head, "content-type"), "model", &stream->relay_model);
        if (error < 0)
            return stream_fail_text(stream, -ERR_REQUEST, SLICE_LIT("request body is not the multipart form that its type announces"),
                                    SLICE_NONE);
        *model = text_trim(stream->relay_model);
        return EVENT_NONE;
    }
    if (stream_parse(stream) == EVENT_FAILED)
        return EVENT_FAILED;
    struct json value = json_get(stream->canon->root, "model");
    if (json_repeats(stream->canon->root, "model"))
        return stream_fail_text(stream, -ERR_REQUEST, SLICE_LIT("a field of the request is repeated"), SLICE_LIT("model"));
    if (!json_present(value) || json_type(value) == JSON_NULL)
        return EVENT_NONE;
    *model = json_string(value, &stream->request);
    if (model->len == 0)
        return stream_fail_text(stream, -ERR_REQUEST, SLICE_LIT("model must be a string"), SLICE_LIT("model"));
    stream->relay_model = json_raw(value);
    return EVENT_NONE;
}

/* Can this upstream be asked such a thing at all? */
static bool
serves(const struct stream *stream, const struct deployment *deployment)
{
    enum dialect_id id = deployment->dialect->id;
    if (slice_is(deployment->config->provider, "demo")) /* which only talks */
        return false;
    if (media_serves(stream, deployment, deployment->config->model))
        return true;
    if (stream->dialect->id == DIALECT_GEMINI)
        return id == DIALECT_GEMINI;
    return id == DIALECT_OPENAI_CHAT || id == DIALECT_OPENAI_RESPONSES;
}

static bool
same_place(const struct deployment *a, const struct deployment *b)
{
    return slice_eq(a->target.cache_key, b->target.cache_key) && slice_eq(a->config->base_path, b->config->base_path) &&
           slice_eq(a->config->api_key, b->config->api_key);
}

/*
 * Nobody has named a model: the only upstream whose mode is the endpoint's, else the only one there is. NULL: there is
 * none, or there are several (*many).
 */
static const struct deployment *
only_upstream(const struct stream *stream, bool *many)
{
    const struct generation *generation = stream->generation;
    for (int by_mode = 1; by_mode >= 0; by_mode--) {
        const struct deployment *found = NULL;
        for (uint32_t i = 0; i < generation->count; i++) {
            const struct deployment *deployment = &generation->deployments[i];
            bool fits = serves(stream, deployment) && (!by_mode || slice_is(deployment->config->mode, stream->relay_mode));
            if (!fits)
                continue;
            *many = *many || (found && !same_place(found, deployment) &&
                              !slice_eq(found->config->model_name, deployment->config->model_name));
            found = found ? found : deployment;
        }
        if (found)
            return *many ? NULL : found;
    }
    return NULL;
}

static enum stream_event
choose_unnamed(struct stream *stream)
{
    bool many = false;
    const struct deployment *only = only_upstream(stream, &many);
    if (only)
        return stream_route(stream, only->config->model_name);
    struct slice text = arena_printf(&stream->reply,
                                     many ? "several upstreams could serve /v1/%.*s: name a model in ?model= or in the field X-Penstock-Model"
                                          : "no upstream serves /v1/%.*s",
                                     SLICE_ARG(stream->relay_path));
    return stream_fail_text(stream, many ? -ERR_REQUEST : -ERR_NO_PATH, text, many ? SLICE_LIT("model") : SLICE_NONE);
}

enum stream_event
relay_choose(struct stream *stream)
{
    struct slice model = stream->path_model;
    if (!slice_present(model)) {
        if (read_model(stream, &model) == EVENT_FAILED)
            return EVENT_REJECT;
        if (model.len == 0)
            model = http_field(stream->head, "x-penstock-model");
        if (model.len == 0)
            model = endpoint_query(stream->head->query, "model", &stream->request);
    } else if (stream_parse(stream) == EVENT_FAILED) { /* Gemini's bodies name it, too */
        return EVENT_REJECT;
    }
    if (media_find_poll(stream, &model) == EVENT_FAILED)
        return EVENT_REJECT;
    metrics_add(&stream->worker->metrics->relays, 1);
    enum stream_event verdict = model.len > 0 ? stream_route(stream, model) : choose_unnamed(stream);
    if (verdict != EVENT_FAILED)
        verdict = media_pin(stream);
    return verdict == EVENT_FAILED ? EVENT_REJECT : EVENT_NEXT;
}

/* ---------------------------------------------------------------- the request to an upstream */

/* Gemini's bodies repeat the name of the path: at the top, or in each request of a batch. */
static int
write_google_body(struct stream *stream, struct slice model)
{
    struct splice splice;
    struct slice escaped = canon_escape(model, &stream->request);
    struct slice name = arena_printf(&stream->request, "\"models/%.*s\"", SLICE_ARG(escaped));
    if (!slice_present(escaped) || !slice_present(name))
        return -ERR_MEMORY;
    splice_init(&splice, stream->canon->body, &stream->request);
    struct json own = json_get(stream->canon->root, "model");
    if (json_type(own) == JSON_STRING)
        splice_replace(&splice, json_raw(own), name);
    struct json requests = json_get(stream->canon->root, "requests");
    for (struct json at = json_type(requests) == JSON_ARRAY ? json_first(requests) : JSON_NONE; json_present(at); at = json_next(at)) {
        struct json member = json_type(at) == JSON_OBJECT ? json_get(at, "model") : JSON_NONE;
        if (json_type(member) == JSON_STRING)
            splice_replace(&splice, json_raw(member), name);
    }
    return splice_put(&splice, &stream->tries->out_body);
}

int
relay_write_body(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault)
{
    struct slice body = sink_slice(&stream->tries->body_bytes), place = stream->relay_model, model = stream->upstream_model;
    if (media_serves(stream, deployment, model) || (stream->media && deployment == stream->tries->route.only))
        return media_write_body(stream, deployment, fault);
    stream->media = NULL;
    if (!serves(stream, deployment)) {
        fault->message = arena_printf(&stream->reply, "the upstream of model '%.*s' has no %s%.*s", SLICE_ARG(stream->model),
                                      stream->dialect->id == DIALECT_GEMINI ? ":" : "/v1/", SLICE_ARG(stream->relay_path));
        return -ERR_NO_PATH;
    }
    if (stream->dialect->id == DIALECT_GEMINI)
        return write_google_body(stream, model);
    if (!slice_present(place)) {
        sink_put(&stream->tries->out_body, body);
        return 0;
    }
    struct sink *out = &stream->tries->out_body;
    sink_put(out, slice_take(body, (size_t)(place.ptr - body.ptr)));
    if (stream->canon) { /* JSON */
        sink_byte(out, '"');
        json_escape(out, model);
        sink_byte(out, '"');
    } else {
        sink_put(out, model);
    }
    sink_put(out, slice_skip(body, (size_t)(place.ptr - body.ptr) + place.len));
    return 0;
}

const char *
relay_method(const struct stream *stream)
{
    if (stream->media)
        return media_method(stream);
    return stream->head->method == HTTP_POST ? "POST" : stream->head->method == HTTP_DELETE ? "DELETE" : "GET";
}

static void
put_google_target(const struct stream *stream, const struct dialect_upstream *upstream, struct sink *out)
{
    struct sink whole;
    if (upstream->surface == SURFACE_VERTEX) {
        struct slice method = stream->relay_path; /* a literal of the table of endpoints */
        dialect_put_vertex(out, upstream, "google", method.ptr);
        return;
    }
    /* The dialect knows where models lie; only the method behind the last colon is another. */
    sink_init(&whole, 65536);
    stream->deployment->dialect->put_target(&whole, upstream, false);
    const char *colon = whole.len > 0 ? memrchr(whole.ptr, ':', whole.len) : NULL;
    sink_put(out, colon ? slice_of(whole.ptr, (size_t)(colon - whole.ptr)) : SLICE_LIT(""));
    sink_byte(out, ':');
    sink_put(out, stream->relay_path);
    sink_fini(&whole);
}

void
relay_put_target(const struct stream *stream, const struct dialect_upstream *upstream, struct sink *out)
{
    static const char *const ours[] = {"key", "model", NULL};
    struct slice query = stream->head->query;
    if (stream->media) {
        media_put_target(stream, upstream, out);
        return;
    }
    if (stream->dialect->id == DIALECT_GEMINI) {
        put_google_target(stream, upstream, out);
        return;
    }
    sink_put(out, upstream->base_path);
    if (upstream->surface == SURFACE_AZURE) {
        sink_text(out, "/openai/");
        if (slice_present(stream->relay_model)) {
            sink_text(out, "deployments/");
            dialect_put_path_name(out, upstream->model);
            sink_byte(out, '/');
        }
    } else {
        sink_byte(out, '/');
    }
    sink_put(out, stream->relay_path);
    size_t before = out->len;
    endpoint_clean_query(query, ours, out);
    if (upstream->surface == SURFACE_AZURE && upstream->api_version.len > 0 &&
        text_find(query, SLICE_LIT("api-version=")) < 0)
        sink_printf(out, "%sapi-version=%.*s", out->len > before ? "&" : "?", SLICE_ARG(upstream->api_version));
}

void
relay_put_fields(const struct stream *stream, struct sink *out)
{
    struct slice type = http_field(stream->head, "content-type"), accept = http_field(stream->head, "accept");
    if (stream->media)
        type = accept = SLICE_LIT("application/json");
    if (type.len > 0)
        http_put_field(out, "Content-Type", type);
    http_put_field(out, "Accept", accept.len > 0 ? accept : SLICE_LIT("*/*"));
}

/* ---------------------------------------------------------------- the reply */

/* Status, type and length are the upstream's own. */
static int
commit(struct stream *stream)
{
    static const char *const kept[] = {"Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language"};
    struct worker *worker = stream->worker;
    struct sink *head = &worker->head;
    enum http_framing framing = stream->reply_body.framing;
    if (stream->committed)
        return 0;
    stream->chunked = framing != HTTP_LENGTH && framing != HTTP_NO_BODY && !stream->http10;
    if (stream->http10 && framing != HTTP_LENGTH)
        stream->keep_alive = false;
    stream_put_head(stream, head, stream->upstream_status);
    for (size_t i = 0; i < countof(kept); i++) {
        struct slice value = http_field(stream->reply_head, kept[i]);
        if (value.len > 0)
            http_put_field(head, kept[i], value);
    }
    if (framing == HTTP_LENGTH)
        http_put_field_u64(head, "Content-Length", stream->reply_head->length);
    if (stream->chunked)
        sink_text(head, "Transfer-Encoding: chunked\r\n");
    stream_put_connection(stream, head);
    http_put_end_of_head(head);
    if (head->error || conn_put(stream->client, sink_slice(head)) < 0)
        return -ERR_MEMORY;
    stream->committed = true;
    stream->status = stream->upstream_status;
    stream->stamps.committed = worker->loop.now_us;
    return 0;
}

/* What the end of the upstream's connection means. */
static int
take_end(struct stream *stream)
{
    const struct conn *conn = stream->lease->conn;
    if (!http_body_done(&stream->reply_body)) {
        if (!conn->lost && !conn->ended)
            return 0;
        int error = conn->lost ? conn->error : http_body_end(&stream->reply_body);
        if (error < 0)
            return error;
    }
    int error = commit(stream);
    return error < 0 ? error : 1;
}

int
relay_carry(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct conn *conn = stream->lease->conn;
    int got = 0;
    while (got == 0 && conn->in.len > 0 && !http_body_done(&stream->reply_body)) {
        if (!stream_has_room(stream))
            return 2;
        struct slice run = buf_peek(&conn->in), data = SLICE_NONE;
        size_t before = run.len;
        got = http_body_next(&stream->reply_body, &run, &data);
        if (got == 1) {
            got = commit(stream);
            sink_put(&worker->text, data);
            hist_record(&worker->metrics->chunk_size, &metrics_size, data.len);
        }
        size_t used = before - run.len;
        buf_consume(&conn->in, used);
        conn_touch(conn);
        stream->upstream_in += used;
        metrics_add(&worker->metrics->upstream_bytes_in, used);
        stream->progress_ms = worker->loop.now_ms;
        if (got >= 0 && worker->text.len >= TEXT_HIGH_BYTES && stream_flush_text(stream) < 0)
            got = -ERR_MEMORY;
    }
    return got < 0 ? got : take_end(stream);
}
