/* SPDX-License-Identifier: MIT
 *
 * request.c - the actions that read a request: head, body, JSON, and the choice of a model group.
 *
 * Each action looks at levels, never at the notice that called it, and returns a verdict.
 */
#include "base/text.h"
#include "gateway/answer.h"
#include "gateway/detail.h"
#include "gateway/endpoint.h"
#include "gateway/relay.h"
#include "gateway/resume.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

#define BODY_RESERVE_MAX_BYTES (1u << 20) /* of a body whose length is announced, taken before it comes */

enum stream_event
stream_fail_text(struct stream *stream, int error, struct slice message, struct slice param)
{
    if (stream->failed)
        return EVENT_FAILED;
    stream->failed = true;
    stream->error = canon_error_of(error);
    if (slice_present(message))
        stream->error.message = message;
    if (slice_present(param))
        stream->error.param = param;
    return EVENT_FAILED;
}

enum stream_event
stream_fail(struct stream *stream, int error)
{
    return stream_fail_text(stream, error, SLICE_NONE, SLICE_NONE);
}

const struct config_timeouts *
stream_timeouts(const struct stream *stream)
{
    if (stream->deployment)
        return &stream->deployment->timeouts;
    return &stream->generation->config->timeouts;
}

/* What the tries of a request need, with the limits of its configuration. */
static int
take_tries(struct stream *stream, const struct config *config)
{
    const struct config_limits *from = &config->limits;
    struct http_limits limits = {(uint32_t)from->line_bytes, (uint32_t)from->head_bytes, (uint32_t)from->fields};
    assert(limits.fields_max <= HTTP_FIELDS_MAX);
    assert(!stream->tries);
    struct stream_tries *tries = arena_take(&stream->request, sizeof *tries);
    if (!tries)
        return -ERR_MEMORY;
    http_reader_init(&tries->reader, &limits);
    http_reader_init(&tries->reply_reader, &limits);
    list_init(&tries->waiter.link);
    sink_init(&tries->body_bytes, from->body_bytes + 1);
    sink_init(&tries->out_body, from->body_bytes * 2 + (1u << 20));
    stream->tries = tries;
    return 0;
}

enum stream_event
act_begin_request(struct stream *stream)
{
    struct worker *worker = stream->worker;
    const struct config *config = worker->generation->config;
    if (stream->client->in.len == 0)
        return stream->client->ended ? EVENT_LEAVE : EVENT_KEEP;
    assert(stream->generation == NULL);
    conn_crave(stream->client);
    stream->generation = generation_hold(worker->generation);
    stream_take_limits(stream, config);
    stream->exchanges++;
    stream->dialect = dialect_of(DIALECT_OPENAI_CHAT);
    stream->endpoint = ENDPOINT_NONE;
    stream->key_index = -1;
    stream->end = END_INTERNAL;
    stream->usage = CANON_USAGE_UNKNOWN;
    stream->stamps = (struct stamps){.begin = worker->loop.now_us};
    char id[25];
    worker_id(worker, id);
    memcpy(stream->id, id, sizeof id);
    memcpy(stream->request_id, "req_", 4);
    memcpy(stream->request_id + 4, id, sizeof id);
    metrics_add(&worker->metrics->streams_active, 1);
    loop_arm(&worker->loop, &stream->total, config->timeouts.request_ms);
    stream_arm_step(stream, config->head_ms);
    if (take_tries(stream, config) < 0) {
        stream->close_after = true;
        return stream_fail(stream, -ERR_MEMORY);
    }
    return EVENT_CLIENT_BYTES;
}

/* The client has sent its FIN in the middle of a request. It may have gone; one that has not is told. */
static enum stream_event
cut_short(struct stream *stream, size_t taken)
{
    if (taken == 0)
        return EVENT_CLIENT_GONE;
    metrics_add(&stream->worker->metrics->disconnects[stream->state], 1);
    stream->close_after = stream->left = true;
    return stream_fail_text(stream, -ERR_SYNTAX, SLICE_LIT("the request ends before it is complete"), SLICE_NONE);
}

enum stream_event
act_read_head(struct stream *stream)
{
    struct conn *client = stream->client;
    while (client->in.len > 0) {
        struct slice run = buf_peek(&client->in);
        size_t before = run.len;
        int got = http_head_feed(&stream->tries->reader, &run);
        buf_consume(&client->in, before - run.len);
        conn_touch(client);
        if (got < 0) {
            stream->close_after = true;
            endpoint_guess(stream);
            return stream_fail(stream, got);
        }
        if (got == 1)
            return EVENT_HEAD_DONE;
    }
    return client->ended ? cut_short(stream, stream->tries->reader.head.len) : EVENT_NONE;
}

/* A client's own request id is kept when it is short and clean, so that its logs and ours agree. */
static void
take_request_id(struct stream *stream)
{
    struct slice given = http_field(stream->head, "x-request-id");
    if (given.len == 0 || given.len >= sizeof stream->request_id)
        return;
    for (size_t i = 0; i < given.len; i++) {
        if (given.ptr[i] <= 0x20 || given.ptr[i] >= 0x7f)
            return;
    }
    memcpy(stream->request_id, given.ptr, given.len);
    stream->request_id[given.len] = '\0';
}

/*
 * Which configured key did the client present? -1: none of them. Every key is compared, in constant time. A client that
 * has two credentials sends both, and only one of them is meant for us.
 */
static int
find_key(struct stream *stream)
{
    const struct config *config = stream->generation->config;
    struct slice bearer = http_field(stream->head, "authorization");
    bool is_bearer = bearer.len > 7 && text_caseless_eq(slice_take(bearer, 7), SLICE_LIT("bearer "));
    struct slice given[] = {is_bearer ? text_trim(slice_skip(bearer, 7)) : SLICE_NONE,
                            http_field(stream->head, "x-api-key"), http_field(stream->head, "api-key"),
                            http_field(stream->head, "x-goog-api-key"),
                            endpoint_query(stream->head->query, "key", &stream->request)};
    int found = -1;
    for (size_t k = 0; k < countof(given); k++) {
        for (uint32_t i = 0; i < config->key_count && given[k].len > 0; i++) {
            if (text_equal_secret(given[k], config->keys[i].key) && found < 0)
                found = (int)i;
        }
    }
    return found;
}

static bool
needs_key(const struct stream *stream)
{
    const struct config *config = stream->generation->config;
    if (config->key_count == 0)
        return false;
    switch (stream->endpoint) {
    case ENDPOINT_ROOT:
    case ENDPOINT_HELLO:
    case ENDPOINT_HEALTH:
    case ENDPOINT_LIVE:
    case ENDPOINT_READY:
    case ENDPOINT_PREFLIGHT:
    case ENDPOINT_NONE:
        return false;
    case ENDPOINT_METRICS:
        return !config->public_metrics;
    default:
        return true;
    }
}

enum stream_event
act_begin_body(struct stream *stream)
{
    struct worker *worker = stream->worker;
    const struct config *config = stream->generation->config;
    stream->stamps.head = worker->loop.now_us;
    metrics_add(&worker->metrics->client_requests, 1);
    stream->head = arena_take_raw(&stream->request, sizeof *stream->head);
    if (!stream->head) {
        stream->close_after = true;
        return stream_fail(stream, -ERR_MEMORY);
    }
    int error = http_parse_request(&stream->tries->reader, stream->head);
    if (error < 0) {
        stream->close_after = true;
        endpoint_guess(stream);
        return stream_fail(stream, error);
    }
    stream->http10 = stream->head->minor == 0;
    stream->keep_alive = stream->head->keep_alive;
    stream->head_request = stream->head->method == HTTP_HEAD;
    take_request_id(stream);
    error = endpoint_find(stream); /* endpoint, dialect, CORS origin */
    bool body = stream->head->framing != HTTP_NO_BODY;
    http_body_init(&stream->tries->body, stream->head, HTTP_FROM_CLIENT, config->limits.body_bytes,
                   &stream->tries->reader.limits);
    if (error == 0 && needs_key(stream) && (stream->key_index = find_key(stream)) < 0) {
        metrics_add(&worker->metrics->auth_failures, 1);
        error = -ERR_AUTH;
    } else if (error == 0 && stream->endpoint == ENDPOINT_STREAMS && config->master_key.len > 0 && stream->key_index != 0) {
        error = -ERR_OPERATOR; /* it shows whose connections there are, which is no client's business; the master key is the first */
    }
    if (error == 0 && worker->draining && endpoint_is_work(stream->endpoint))
        error = -ERR_DRAINING; /* health and metrics are answered to the end, work is not begun any more (R25) */
    if (error == 0 && stream->head->framing == HTTP_LENGTH &&
        stream->head->length > config->limits.body_bytes)
        error = -ERR_BODY_LIMIT;
    if (error < 0) {
        stream->close_after = stream->close_after || body; /* the body is not going to be read */
        return stream_fail(stream, error);
    }
    if (body && stream->head->expect_continue && !stream->http10 && stream->client->in.len == 0 &&
        conn_put(stream->client, SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n")) < 0)
        error = -ERR_MEMORY;
    /* Growing would copy it once more. What is announced and does not come costs no more than addresses. */
    if (error == 0 && stream->head->framing == HTTP_LENGTH && stream->head->length <= BODY_RESERVE_MAX_BYTES &&
        !sink_reserve(&stream->tries->body_bytes, (size_t)stream->head->length))
        error = -ERR_MEMORY;
    if (error < 0) {
        stream->close_after = true; /* nobody is going to read it */
        return stream_fail(stream, error);
    }
    stream->progress_ms = worker->loop.now_ms;
    stream_arm_step(stream, config->body_ms);
    return EVENT_CLIENT_BYTES;
}

/* Many large bodies at once are what a worker's memory would be used up by. A single one always has room. */
static bool
no_room_left(const struct stream *stream)
{
    const struct config_limits *limits = &stream->generation->config->limits;
    uint64_t most = limits->memory_bytes > limits->body_bytes ? limits->memory_bytes : limits->body_bytes;
    return stream->worker->request_bytes > most;
}

/* The framing of some bytes is taken off; what landed where it belongs is not copied. 0, or what the request fails with. */
static int
take_body(struct stream *stream, struct slice run, size_t *used)
{
    struct worker *worker = stream->worker;
    struct sink *body = &stream->tries->body_bytes;
    struct slice data;
    size_t before = run.len, held = body->len;
    int got;
    while ((got = http_body_next(&stream->tries->body, &run, &data)) == 1) {
        if (data.ptr == sink_slice(body).ptr + body->len)
            body->len += data.len;
        else
            sink_put(body, data);
    }
    worker->request_bytes += body->len - held;
    *used = before - run.len;
    stream->progress_ms = worker->loop.now_ms;
    return got == 0 && (body->error || no_room_left(stream)) ? -ERR_MEMORY : got;
}

/* What is left of an announced body may come to its place at once. */
static int
land_body(struct stream *stream)
{
    const struct http_body *body = &stream->tries->body;
    if (body->framing != HTTP_LENGTH)
        return 0;
    size_t room = body->left < BODY_RESERVE_MAX_BYTES ? (size_t)body->left : BODY_RESERVE_MAX_BYTES;
    char *place = sink_reserve(&stream->tries->body_bytes, room);
    if (place)
        conn_land(stream->client, place, room);
    return place ? 0 : -ERR_MEMORY;
}

enum stream_event
act_read_body(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct conn *client = stream->client;
    const struct sink *body = &stream->tries->body_bytes;
    const struct http_body *framing = &stream->tries->body;
    size_t used, landed = conn_take_landed(client);
    int got = landed ? take_body(stream, slice_of(body->ptr + body->len, landed), &used) : 0;
    while (got == 0 && client->in.len > 0 && !http_body_done(framing)) {
        got = take_body(stream, buf_peek(&client->in), &used);
        conn_consume(client, used);
    }
    if (got == 0 && !http_body_done(framing) && !client->ended)
        got = land_body(stream);
    if (got < 0) {
        stream->close_after = true;
        return stream_fail(stream, got);
    }
    if (!http_body_done(framing)) {
        if (client->ended)
            return cut_short(stream, stream->tries->reader.head.len);
        /* Any progress starts the wait anew: the whole request is still under the total deadline. */
        stream_arm_step(stream, stream->generation->config->body_ms);
        return EVENT_NONE;
    }
    loop_cancel(&worker->loop, &stream->step);
    conn_sate(client);
    stream->client_in += body->len;
    metrics_add(&worker->metrics->client_bytes_in, body->len);
    stream->stamps.body = worker->loop.now_us;
    return EVENT_BODY_DONE;
}

enum stream_event
stream_parse(struct stream *stream)
{
    const struct config *config = stream->generation->config;
    struct slice body = sink_slice(&stream->tries->body_bytes);
    detail_bytes(stream, "client request", body);
    struct canon_request *canon = arena_take(&stream->request, sizeof *canon);
    if (!canon)
        return stream_fail(stream, -ERR_MEMORY);
    canon->body = body;
    canon->arena = &stream->request;
    int error = json_parse(body, (int)config->limits.json_depth, config->limits.json_tokens,
                           &stream->request, &canon->root);
    if (error == -ERR_JSON) {
        struct json_scan scan = {0};
        int again = json_scan(body, (int)config->limits.json_depth, &scan);
        struct slice text = arena_printf(&stream->request, "request body is not valid JSON (at byte %zu)",
                                         again < 0 ? scan.offset : body.len);
        return stream_fail_text(stream, -ERR_JSON, text, SLICE_NONE);
    }
    if (error == -ERR_LIMIT)
        return stream_fail_text(stream, -ERR_BODY_LIMIT, SLICE_LIT("request body has too many JSON values"), SLICE_NONE);
    if (error < 0)
        return stream_fail(stream, error);
    if (json_type(canon->root) != JSON_OBJECT)
        return stream_fail_text(stream, -ERR_REQUEST, SLICE_LIT("request body must be a JSON object"), SLICE_NONE);
    stream->canon = canon;
    return EVENT_NONE;
}

/* What is needed of every request: the model, and whether it streams. */
static enum stream_event
read_outline(struct stream *stream)
{
    struct canon_request *canon = stream->canon;
    struct canon_fault fault = {0};
    canon->model = stream->path_model;
    canon->stream = stream->path_stream;
    int error = stream->dialect->outline(canon, &fault);
    if (error < 0)
        return stream_fail_text(stream, error, fault.message, fault.param);
    stream->streaming = stream->endpoint != ENDPOINT_COUNT_TOKENS && canon->stream;
    stream->json_array = stream->json_array && stream->streaming;
    stream->include_usage = canon->include_usage;
    return EVENT_NONE;
}

enum stream_event
stream_route(struct stream *stream, struct slice model)
{
    struct slice near = SLICE_NONE;
    stream->model = arena_copy(&stream->reply, slice_take(model, 256));
    int error = route_begin(&stream->tries->route, stream->generation, model, &near);
    if (error == 0)
        return EVENT_NONE;
    struct slice text = arena_printf(&stream->reply, near.len ? "model '%.*s' not found; did you mean '%.*s'?" : "model '%.*s' not found",
                                     SLICE_ARG(stream->model), SLICE_ARG(near));
    return stream_fail_text(stream, error, text, SLICE_LIT("model"));
}

enum stream_event
act_choose(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (!endpoint_is_work(stream->endpoint))
        return answer_begin(stream);
    if (conn_said_all(stream->client)) /* it came with the request: whether the client has gone must be asked all the same */
        stream_post(stream, EVENT_CLIENT_BYTES);
    if (resume_asked(stream))
        return EVENT_ANSWER;
    if (stream->endpoint == ENDPOINT_RELAY)
        return relay_choose(stream);
    if (stream_parse(stream) == EVENT_FAILED || read_outline(stream) == EVENT_FAILED ||
        stream_route(stream, stream->canon->model) == EVENT_FAILED)
        return EVENT_REJECT;
    if (stream->streaming)
        loop_arm(&worker->loop, &stream->patience, stream->generation->config->timeouts.commit_ms);
    return EVENT_NEXT;
}

void
stream_release_request(struct stream *stream)
{
    struct stream_tries *tries = stream->tries;
    if (stream->lease && stream->lease->conn->loan.len > 0)
        return; /* to an upstream that answers early; the next event asks again */
    assert(!tries || !list_linked(&tries->waiter.link));
    if (stream->client)
        conn_land(stream->client, NULL, 0);
    stream->canon = NULL;
    stream->canon_read = false;
    stream->head = NULL;
    stream->reply_head = NULL;
    stream->tries = NULL;
    if (tries) {
        stream->worker->request_bytes -= tries->body_bytes.len;
        sink_fini(&tries->body_bytes);
        sink_fini(&tries->out_body);
        http_reader_fini(&tries->reader);
        http_reader_fini(&tries->reply_reader);
    }
    arena_reset(&stream->request);
}
