/* SPDX-License-Identifier: MIT
 *
 * answer.c - the answers that need no upstream.
 */
#include "gateway/answer.h"
#include "gateway/discover.h"
#include "gateway/models.h"
#include "gateway/resume.h"
#include "gateway/worker.h"

#include <stdlib.h>

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
    stream->canon_read = stream->estimated = true;
    metrics_add(&stream->worker->metrics->estimates, 1);
    stream->dialect->write_count_reply(estimate_tokens(stream->canon), &stream->collected);
    return 0;
}

/* The provider's own words for an id that it does not know: nothing that was answered is kept here. */
static void
put_not_stored(const struct stream *stream, struct sink *out)
{
    sink_text(out, "{\"error\":{\"message\":\"Response with id '");
    json_escape(out, stream->path_model);
    sink_text(out, "' not found.\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}");
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

/* Every entry of the model list: whether it is asked now, and what its last minute was like. */
static void
put_upstreams(struct stream *stream, struct sink *out)
{
    const struct generation *generation = stream->generation;
    uint64_t now_ms = stream->worker->loop.now_ms;
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_object(&writer);
    json_name(&writer, "upstreams");
    json_array(&writer);
    for (uint32_t i = 0; i < generation->count; i++) {
        const struct deployment *at = &generation->deployments[i];
        uint64_t until = atomic_load_explicit(&at->cool_until_ms, memory_order_relaxed);
        bool rests = until > now_ms;
        json_object(&writer);
        json_member(&writer, "model", at->config->model_name);
        json_member(&writer, "provider", at->config->provider);
        json_member(&writer, "upstream", at->config->id);
        json_member_text(&writer, "state", rests ? "resting" : "ok");
        json_member_u64(&writer, "rests_for_ms", rests ? until - now_ms : 0);
        json_member_u64(&writer, "penalty", route_penalty(generation, at, now_ms));
        json_end(&writer);
    }
    json_end(&writer);
    json_end(&writer);
}

/* The rest of a stream that has lost its client. */
static enum stream_event
follow(struct stream *stream)
{
    int error = resume_answer(stream);
    if (error < 0) {
        stream_fail(stream, error);
        return act_refuse(stream);
    }
    enum stream_event next = stream_enter_finish(stream);
    loop_arm(&stream->worker->loop, &stream->ping, stream_timeouts(stream)->keepalive_ms);
    return next;
}

enum stream_event
act_answer(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct sink *out = &stream->collected;
    const char *type = "application/json";
    int status = 200, error = 0;
    struct canon_fault fault = {0};
    if (resume_asked(stream))
        return follow(stream);
    stream_end_codecs(stream); /* an upstream that could not count may have said other things */
    sink_reset(out, 65536);
    stream->failed = false;
    switch (stream->endpoint) {
    case ENDPOINT_MODELS:
    case ENDPOINT_MODEL:
        error = models_put(stream, &fault);
        break;
    case ENDPOINT_COUNT_TOKENS:
        error = put_estimate(stream);
        break;
    case ENDPOINT_STORED:
        status = 404;
        put_not_stored(stream, out);
        break;
    case ENDPOINT_METRICS:
        metrics_expose(worker->gateway->workers, worker->gateway->worker_count, out);
        metrics_expose_credentials(worker, out);
        type = "text/plain; version=0.0.4; charset=utf-8";
        break;
    case ENDPOINT_STREAMS:
        sink_text(out, "{\"streams\":[");
        sink_join(out, &stream->gather->text);
        sink_text(out, "]}");
        answer_forget(stream);
        break;
    case ENDPOINT_DISCOVERY:
        discover_expose(stream->generation, (uint64_t)worker_unix_us(worker) / 1000000, worker->loop.now_ms, out);
        break;
    case ENDPOINT_READY:
        status = put_ready(stream);
        break;
    case ENDPOINT_UPSTREAMS:
        put_upstreams(stream, out);
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
        stream_fail_text(stream, error, fault.message, fault.param);
        sink_reset(out, 65536);
        return act_refuse(stream);
    }
    stream->end = END_ANSWERED;
    return stream_send_answer(stream, status, type);
}
