/* SPDX-License-Identifier: MIT
 *
 * answer.c - which endpoint a request means, and the answers that need no upstream.
 */
#include "gateway/answer.h"
#include "base/text.h"
#include "gateway/worker.h"

#include <stdlib.h>

struct endpoint_row {
    const char *path;
    unsigned methods; /* 1 << enum http_method */
    enum endpoint endpoint;
    enum dialect_id dialect;
};

#define GETS (1u << HTTP_GET | 1u << HTTP_HEAD)
#define POSTS (1u << HTTP_POST)

static const struct endpoint_row endpoints[] = {
    {"/v1/chat/completions", POSTS, ENDPOINT_CHAT, DIALECT_OPENAI_CHAT},
    {"/chat/completions", POSTS, ENDPOINT_CHAT, DIALECT_OPENAI_CHAT},
    {"/v1/messages", POSTS, ENDPOINT_MESSAGES, DIALECT_ANTHROPIC},
    {"/messages", POSTS, ENDPOINT_MESSAGES, DIALECT_ANTHROPIC},
    {"/v1/v1/messages", POSTS, ENDPOINT_MESSAGES, DIALECT_ANTHROPIC},
    {"/v1/messages/count_tokens", POSTS, ENDPOINT_COUNT_TOKENS, DIALECT_ANTHROPIC},
    {"/messages/count_tokens", POSTS, ENDPOINT_COUNT_TOKENS, DIALECT_ANTHROPIC},
    {"/v1/v1/messages/count_tokens", POSTS, ENDPOINT_COUNT_TOKENS, DIALECT_ANTHROPIC},
    {"/v1/models", GETS, ENDPOINT_MODELS, DIALECT_OPENAI_CHAT},
    {"/models", GETS, ENDPOINT_MODELS, DIALECT_OPENAI_CHAT},
    {"/", GETS, ENDPOINT_ROOT, DIALECT_OPENAI_CHAT},
    {"/api/hello", GETS, ENDPOINT_HELLO, DIALECT_ANTHROPIC},
    {"/health", GETS, ENDPOINT_HEALTH, DIALECT_OPENAI_CHAT},
    {"/health/live", GETS, ENDPOINT_LIVE, DIALECT_OPENAI_CHAT},
    {"/health/liveliness", GETS, ENDPOINT_LIVE, DIALECT_OPENAI_CHAT},
    {"/health/ready", GETS, ENDPOINT_READY, DIALECT_OPENAI_CHAT},
    {"/health/readiness", GETS, ENDPOINT_READY, DIALECT_OPENAI_CHAT},
    {"/metrics", GETS, ENDPOINT_METRICS, DIALECT_OPENAI_CHAT},
    {"/v1/metrics", GETS, ENDPOINT_METRICS, DIALECT_OPENAI_CHAT},
    {"/debug/streams", GETS, ENDPOINT_STREAMS, DIALECT_OPENAI_CHAT},
};

static bool
is_anthropic(const struct http_head *head)
{
    return slice_present(http_field(head, "anthropic-version"));
}

/* A configured origin, or "*" for any: what Access-Control-Allow-Origin shall say (R138). */
static void
find_origin(struct stream *stream, struct slice origin)
{
    const struct config *config = stream->generation->config;
    for (uint32_t i = 0; i < config->cors_count && origin.len > 0; i++) {
        if (slice_is(config->cors_origins[i], "*"))
            stream->origin = SLICE_LIT("*");
        else if (text_caseless_eq(config->cors_origins[i], origin))
            stream->origin = arena_copy(&stream->reply, origin);
        if (stream->origin.len > 0)
            return;
    }
}

/* A preflight's answer echoes what the browser asks to send: "*" does not cover Authorization. */
static void
find_preflight(struct stream *stream)
{
    struct slice asked = http_field(stream->head, "access-control-request-headers");
    if (!http_value_clean(asked) || asked.len > 2048)
        asked = SLICE_NONE;
    stream->pass_fields = arena_printf(&stream->reply,
                                       "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n"
                                       "Access-Control-Allow-Headers: %.*s\r\n"
                                       "Access-Control-Max-Age: 86400\r\n",
                                       SLICE_ARG(asked.len ? asked : SLICE_LIT("Authorization, Content-Type")));
    if (!slice_present(stream->pass_fields))
        stream->pass_fields = SLICE_NONE;
}

/* RFC 9110, 15.5.6: who says that a method is not allowed must say which ones are. */
static int
refuse_method(struct stream *stream, unsigned methods)
{
    stream->pass_fields = methods == POSTS ? SLICE_LIT("Allow: POST, OPTIONS\r\n")
                                           : SLICE_LIT("Allow: GET, HEAD, OPTIONS\r\n");
    return -ERR_METHOD;
}

int
answer_find(struct stream *stream)
{
    const struct http_head *head = stream->head;
    struct slice path = head->path;
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    find_origin(stream, http_field(head, "origin"));
    if (is_anthropic(head))
        stream->dialect = dialect_of(DIALECT_ANTHROPIC);
    if (head->method == HTTP_OPTIONS) {
        stream->endpoint = ENDPOINT_PREFLIGHT;
        find_preflight(stream);
        return 0;
    }
    for (size_t i = 0; i < countof(endpoints); i++) {
        const struct endpoint_row *row = &endpoints[i];
        if (!slice_is(path, row->path))
            continue;
        if (row->dialect == DIALECT_ANTHROPIC || row->endpoint == ENDPOINT_CHAT)
            stream->dialect = dialect_of(row->dialect);
        if (!(row->methods & 1u << head->method))
            return refuse_method(stream, row->methods);
        stream->endpoint = row->endpoint;
        return 0;
    }
    if (slice_starts(path, SLICE_LIT("/v1/models/")) || slice_starts(path, SLICE_LIT("/models/"))) {
        if (!(GETS & 1u << head->method))
            return refuse_method(stream, GETS);
        stream->endpoint = ENDPOINT_MODEL;
        return 0;
    }
    return -ERR_NO_PATH;
}

/* The value of a field in the bytes of a head that may be no head at all; empty: none that could be sent back. */
static struct slice
glimpse(struct slice head, const char *name)
{
    ptrdiff_t at = text_find_caseless(head, slice_from(name));
    struct slice rest = at < 0 ? SLICE_NONE : slice_skip(head, (size_t)at + strlen(name));
    struct slice value = text_trim(text_split(&rest, '\r'));
    return value.len > 0 && value.len <= 256 && http_value_clean(value) ? value : SLICE_LIT("");
}

void
answer_guess(struct stream *stream)
{
    struct slice head = slice_take(sink_slice(&stream->reader.head), 65536), rest = head;
    struct slice line = text_split(&rest, '\r');
    if (text_find(line, SLICE_LIT("/messages")) >= 0 || text_find_caseless(head, SLICE_LIT("\nanthropic-version:")) >= 0)
        stream->dialect = dialect_of(DIALECT_ANTHROPIC);
    find_origin(stream, glimpse(head, "\norigin:"));
}

void
answer_cors(const struct stream *stream, struct sink *out)
{
    if (stream->origin.len == 0)
        return;
    http_put_field(out, "Access-Control-Allow-Origin", stream->origin);
    if (!slice_is(stream->origin, "*"))
        sink_text(out, "Vary: Origin\r\n");
    if (stream->endpoint != ENDPOINT_PREFLIGHT)
        sink_text(out, "Access-Control-Expose-Headers: X-Request-Id, Retry-After, X-Penstock-Upstream, X-Penstock-Dropped\r\n");
}

/* ---------------------------------------------------------------- models */

static bool
listed_before(const struct generation *generation, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (slice_eq(generation->deployments[i].config->model_name, generation->deployments[index].config->model_name))
            return true;
    }
    return false;
}

static void
put_model(struct json_writer *writer, const struct stream *stream, struct slice id, const struct config_deployment *config,
          bool anthropic)
{
    json_object(writer);
    json_member(writer, "id", id);
    if (anthropic) {
        json_member_text(writer, "type", "model");
        json_member(writer, "display_name", id);
        json_member_text(writer, "created_at", "2026-01-01T00:00:00Z");
    } else {
        json_member_text(writer, "object", "model");
        json_member_u64(writer, "created", stream->worker->gateway->started_unix_s);
        json_member(writer, "owned_by", config->provider);
    }
    if (config->max_input_tokens)
        json_member_u64(writer, anthropic ? "max_input_tokens" : "context_window", config->max_input_tokens);
    if (config->max_output_tokens)
        json_member_u64(writer, "max_tokens", config->max_output_tokens);
    json_end(writer);
}

static struct slice
strip_model_path(struct stream *stream)
{
    struct slice path = stream->head->path;
    path = slice_skip(path, slice_starts(path, SLICE_LIT("/v1/")) ? 11 : 8);
    struct sink decoded;
    sink_init(&decoded, 4096);
    struct slice id = SLICE_NONE;
    if (text_percent_decode(path, &decoded))
        id = arena_copy(&stream->request, sink_slice(&decoded));
    sink_fini(&decoded);
    return id;
}

/* Every name a client can ask for: configured names (patterns are not names) and aliases. */
static int
put_models(struct stream *stream)
{
    const struct generation *generation = stream->generation;
    const struct config *config = generation->config;
    bool one = stream->endpoint == ENDPOINT_MODEL, found = false;
    bool anthropic = is_anthropic(stream->head) || text_find(stream->head->query, SLICE_LIT("limit=")) >= 0;
    struct slice wanted = one ? strip_model_path(stream) : SLICE_NONE, first = SLICE_NONE, last = SLICE_NONE;
    struct json_writer writer;
    json_writer_init(&writer, &stream->collected);
    if (!one) {
        json_object(&writer);
        if (!anthropic)
            json_member_text(&writer, "object", "list");
        json_name(&writer, "data");
        json_array(&writer);
    }
    for (uint32_t i = 0; i < generation->count + config->alias_count; i++) {
        bool alias = i >= generation->count;
        struct slice id = alias ? config->aliases[i - generation->count].from : generation->deployments[i].config->model_name;
        if (memchr(id.ptr, '*', id.len) || (!alias && listed_before(generation, i)) || (one && (found || !slice_eq(id, wanted))))
            continue;
        const struct deployment *deployment = alias ? route_first(generation, id) : &generation->deployments[i];
        if (!deployment) /* an alias of nothing */
            continue;
        found = true;
        first = first.ptr ? first : id;
        last = id;
        put_model(&writer, stream, id, deployment->config, anthropic);
    }
    if (one)
        return found ? 0 : -ERR_MODEL;
    json_end(&writer);
    if (anthropic) {
        json_member_bool(&writer, "has_more", false);
        json_name(&writer, "first_id");
        if (first.ptr)
            json_put_string(&writer, first);
        else
            json_put_null(&writer);
        json_name(&writer, "last_id");
        if (last.ptr)
            json_put_string(&writer, last);
        else
            json_put_null(&writer);
    }
    json_end(&writer);
    return 0;
}

/* ---------------------------------------------------------------- live streams */

/* One object that travels from worker to worker, each adding its streams, and home again. */
struct gather {
    struct mail mail;
    struct worker *origin;
    struct stream *stream; /* NULL once the stream has gone; touched on the origin's thread only */
    uint32_t next;         /* index of the worker to visit next */
    bool done;
    struct sink text;
};

static void
put_stream(struct json_writer *writer, const struct stream *stream)
{
    const struct worker *worker = stream->worker;
    json_object(writer);
    json_member_u64(writer, "worker", worker->number);
    json_member_u64(writer, "connection", stream->serial);
    json_member_text(writer, "state", stream_state_name(stream->state));
    json_member_text(writer, "peer", stream->client ? stream->client->peer : "");
    if (stream->generation) {
        json_member_text(writer, "request_id", stream->request_id);
        json_member_text(writer, "dialect", stream->dialect->name);
        json_member(writer, "model", slice_present(stream->model) ? stream->model : SLICE_LIT(""));
        json_member(writer, "upstream", stream->deployment ? stream->deployment->config->id : SLICE_LIT(""));
        json_member_u64(writer, "age_ms", (worker->loop.now_us - stream->stamps.begin) / 1000);
        json_member_u64(writer, "attempts", stream->attempts);
        json_member_u64(writer, "bytes_out", stream->client_out);
        json_member_u64(writer, "bytes_in", stream->upstream_in);
        json_member_u64(writer, "queued_bytes", stream->client ? conn_unsent(stream->client) : 0);
        json_member_u64(writer, "events_in", stream->events_in);
        json_member_u64(writer, "events_out", stream->events_out);
        json_member_u64(writer, "stalls", stream->stalls);
        json_member_u64(writer, "stalled_ms", stream->stall_us / 1000);
        json_member_u64(writer, "keepalives", stream->keepalives);
    }
    json_end(writer);
}

static void
add_streams(struct worker *worker, struct sink *out)
{
    for (struct list *node = worker->streams.next; node != &worker->streams; node = node->next) {
        struct json_writer writer;
        if (out->len > 0)
            sink_byte(out, ',');
        json_writer_init(&writer, out);
        put_stream(&writer, list_entry(node, struct stream, link));
    }
}

static void
travel(struct worker *worker, struct mail *mail)
{
    struct gather *gather = container_of(mail, struct gather, mail);
    struct gateway *gateway = worker->gateway;
    if (worker != gather->origin)
        add_streams(worker, &gather->text);
    while (gather->next < gateway->worker_count && gateway->workers[gather->next] == gather->origin)
        gather->next++;
    if (gather->next < gateway->worker_count) {
        worker_send(gateway->workers[gather->next++], mail);
        return;
    }
    if (worker != gather->origin) {
        worker_send(gather->origin, mail);
        return;
    }
    gather->done = true;
    if (gather->stream) {
        stream_post(gather->stream, EVENT_TURN);
        return;
    }
    sink_fini(&gather->text);
    free(gather);
}

static enum stream_event
begin_gather(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct gather *gather = calloc(1, sizeof *gather);
    if (!gather) {
        stream_fail(stream, -ERR_MEMORY);
        return EVENT_REJECT;
    }
    gather->mail.deliver = travel;
    gather->origin = worker;
    gather->stream = stream;
    sink_init(&gather->text, 64u << 20);
    stream->gather = gather;
    add_streams(worker, &gather->text);
    travel(worker, &gather->mail);
    return EVENT_NEXT;
}

enum stream_event
answer_gathered(struct stream *stream)
{
    return stream->gather->done ? EVENT_ANSWER : EVENT_NONE;
}

void
answer_forget(struct stream *stream)
{
    struct gather *gather = stream->gather;
    if (!gather)
        return;
    stream->gather = NULL;
    gather->stream = NULL;
    if (gather->done) {
        sink_fini(&gather->text);
        free(gather);
    }
}

/* ---------------------------------------------------------------- answers */

enum stream_event
answer_begin(struct stream *stream)
{
    return stream->endpoint == ENDPOINT_STREAMS ? begin_gather(stream) : EVENT_ANSWER;
}

static int
put_estimate(struct stream *stream)
{
    struct canon_fault fault = {0};
    int error = stream->canon_read ? 0 : stream->dialect->read_request(stream->canon, &fault);
    if (error < 0) {
        stream_fail_text(stream, error, fault.message, fault.param);
        return error;
    }
    sink_printf(&stream->collected, "{\"input_tokens\":%llu}", (unsigned long long)estimate_tokens(stream->canon));
    return 0;
}

static int
put_ready(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (atomic_load_explicit(&worker->gateway->draining, memory_order_relaxed)) {
        sink_text(&stream->collected, "{\"status\":\"draining\"}");
        return 503;
    }
    bool usable = route_usable(stream->generation, worker->loop.now_ms);
    sink_text(&stream->collected, usable ? "{\"status\":\"ok\"}" : "{\"status\":\"no_upstream\"}");
    return usable ? 200 : 503;
}

enum stream_event
act_answer(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct sink *out = &stream->collected;
    const char *type = "application/json";
    int status = 200, error = 0;
    stream_end_codecs(stream); /* an upstream that could not count may have said other things */
    sink_reset(out, 65536);
    stream->failed = false;
    switch (stream->endpoint) {
    case ENDPOINT_MODELS:
    case ENDPOINT_MODEL:
        error = put_models(stream);
        break;
    case ENDPOINT_COUNT_TOKENS:
        error = put_estimate(stream);
        break;
    case ENDPOINT_METRICS:
        metrics_expose(worker->gateway->workers, worker->gateway->worker_count, out);
        type = "text/plain; version=0.0.4; charset=utf-8";
        break;
    case ENDPOINT_STREAMS:
        sink_text(out, "{\"streams\":[");
        sink_put(out, sink_slice(&stream->gather->text));
        sink_text(out, "]}");
        answer_forget(stream);
        break;
    case ENDPOINT_READY:
        status = put_ready(stream);
        break;
    case ENDPOINT_PREFLIGHT:
        status = 204;
        type = NULL;
        break;
    case ENDPOINT_ROOT:
    case ENDPOINT_HELLO:
        sink_text(out, "{\"service\":\"penstock\",\"status\":\"ok\"}");
        break;
    default:
        sink_text(out, "{\"status\":\"ok\"}");
        break;
    }
    if (error == 0 && out->error)
        error = -ERR_MEMORY;
    if (error < 0) {
        stream_fail(stream, error);
        sink_reset(out, 65536);
        return act_refuse(stream);
    }
    stream->end = END_ANSWERED;
    return stream_send_answer(stream, status, type);
}
