/* SPDX-License-Identifier: MIT
 *
 * finish.c - every way an exchange can end: its last chunk, an in-band error, a refusal with a status, a whole answer;
 * then draining the client's queue, resting for the next request, or parting.
 */
#include "gateway/answer.h"
#include "gateway/enclose.h"
#include "gateway/credential.h"
#include "gateway/resume.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRY_AFTER_MS 1000u      /* advised when the upstream did not say */
#define ACKED_UNKNOWN UINT64_MAX
#define FEED_PIECE_BYTES 65536u /* of a whole answer queued at once */

enum stream_event
stream_enter_finish(struct stream *stream)
{
    struct loop *loop = &stream->worker->loop;
    loop_cancel(loop, &stream->total);
    if (!stream->detached)
        loop_cancel(loop, &stream->patience);
    loop_cancel(loop, &stream->ping);
    /* To ask the kernel for every exchange would cost more than sending its end: the first look is a little later. */
    stream->acked = ACKED_UNKNOWN;
    stream_arm_step(stream, stream_timeouts(stream)->drain_ms / 8);
    stream->stamps.done = loop->now_us;
    return EVENT_CLIENT_ROOM;
}

/*
 * The last chunks of a stream: what is framed already, then the end of the body. They go by way of `collected`, which
 * is fed as the client and the chunk pool allow, so that no want of memory makes a failure look like an end.
 */
static enum stream_event
end_body(struct stream *stream)
{
    struct sink *text = &stream->worker->text, *out = &stream->collected;
    sink_reset(out, 0);
    stream->collected_sent = 0;
    if (stream->json_array && !text->error) {
        stream_open_array(stream);
        sink_byte(text, ']');
    }
    if (!stream->chunked) {
        sink_put(out, sink_slice(text));
    } else {
        http_put_chunk(out, sink_slice(text));
        http_put_last_chunk(out);
    }
    stream->tape_whole = !out->error && !text->error;
    if (!stream->tape_whole || stream->detached) {
        sink_reset(out, 0);
        stream->close_after = true;
    }
    sink_reset(text, 131072);
    stream_end_codecs(stream);
    return stream_enter_finish(stream);
}

enum stream_event
act_end_reply(struct stream *stream)
{
    route_report_success((struct deployment *)(uintptr_t)stream->deployment, stream->worker->loop.now_ms,
                         (stream->usage.in_total == UINT64_MAX ? 0 : stream->usage.in_total) +
                             (stream->usage.out_total == UINT64_MAX ? 0 : stream->usage.out_total));
    stream->end = END_DONE;
    stream_return_lease(stream);
    return end_body(stream);
}

static void
set_end(struct stream *stream)
{
    const struct err_row *row = err_row(stream->error.error);
    if (stream->worker->gateway->ending)
        stream->end = END_SHUTDOWN;
    else if (stream->error.error == ERR_BACKPRESSURE)
        stream->end = END_BACKPRESSURE;
    else if (stream->error.kind == KIND_TIMEOUT)
        stream->end = END_TIMEOUT;
    else if (row->blame == BLAME_UPSTREAM)
        stream->end = END_UPSTREAM_ERROR;
    else if (row->kind == KIND_INTERNAL)
        stream->end = END_INTERNAL;
    else
        stream->end = END_REFUSED;
}

/* Did the stream merely stop, rather than say that it failed? Then what it had said before may be all there is. */
static bool
only_cut_short(const struct canon_error *error)
{
    switch (error->error) {
    case ERR_DISCONNECTED:
    case ERR_RESET:
    case ERR_TLS_TRUNCATED:
    case ERR_IDLE_TIMEOUT:
    case ERR_REQUEST_TIMEOUT:
    case ERR_BACKPRESSURE:
    case ERR_DRAINING:
    case ERR_UPSTREAM_PROTOCOL: /* behind the finish: an event cut in two, or noise */
        return true;
    default:
        return false;
    }
}

/*
 * In bytes that are not ours nothing can be said. A length or a last chunk that never comes tells the client; where the
 * end of the connection is the end of the reply, only a reset does.
 */
static enum stream_event
cut_relay(struct stream *stream)
{
    bool told = stream->chunked || stream->reply_body.framing == HTTP_LENGTH;
    metrics_add(&stream->worker->metrics->errors[stream->error.error], 1);
    if (!told) {
        stream->severed = true;
        return EVENT_FAILED;
    }
    stream->worker->text.error = -ERR_DISCONNECTED;
    return end_body(stream);
}

enum stream_event
act_break_off(struct stream *stream)
{
    struct worker *worker = stream->worker;
    assert(stream->committed);
    assert(stream->failed);
    stream_drop_lease(stream);
    set_end(stream);
    sink_reset(&worker->text, 131072);
    if (stream->client_out == 0) { /* what was to begin an array was lost for want of memory */
        stream->array_open = false;
        stream->sse_serial = stream->json_array ? 0 : stream->sse_serial;
    }
    if (stream->endpoint == ENDPOINT_RELAY)
        return cut_relay(stream);
    if (only_cut_short(&stream->error) && stream_conclude(stream) == 1) {
        stream->end = END_DONE;
        return end_body(stream);
    }
    /* Someone reading the stream's end shall know when to come back, as the reader of a refusal does. */
    if (stream->error.retry_after_ms == UINT64_MAX && err_row(stream->error.error)->blame != BLAME_CLIENT)
        stream->error.retry_after_ms = RETRY_AFTER_MS;
    frames_clear(&worker->frames);
    sink_reset(&worker->text, 131072);
    int error = stream->dialect->write_error(stream->dialect_writer, &stream->error, &worker->frames);
    if (error == 0)
        error = stream_put_frames(stream, &worker->frames, NULL);
    if (error < 0 || worker->text.len == 0)
        worker->text.error = -ERR_MEMORY; /* what can not be said must not look like an end */
    metrics_add(&worker->metrics->errors[stream->error.error], 1);
    return end_body(stream);
}

enum stream_event
stream_send_answer(struct stream *stream, int status, const char *type)
{
    struct sink *head = &stream->worker->head;
    if (stream->collected.error) { /* half of an answer is none: there was no memory for the rest */
        sink_reset(&stream->collected, 0);
        status = status < 400 ? err_row(-ERR_MEMORY)->status : status;
    }
    stream_put_head(stream, head, status);
    if (type)
        http_put_field(head, "Content-Type", slice_from(type));
    if (status != 204)
        http_put_field_u64(head, "Content-Length", stream->collected.len);
    stream_put_connection(stream, head);
    http_put_end_of_head(head);
    stream->status = status;
    stream->collected_sent = 0;
    if (head->error || conn_put(stream->client, sink_slice(head)) < 0) {
        sink_reset(&stream->collected, 0);
        stream->close_after = true;
    }
    return stream_enter_finish(stream);
}

enum stream_event
act_deliver(struct stream *stream)
{
    struct worker *worker = stream->worker;
    route_report_success((struct deployment *)(uintptr_t)stream->deployment, worker->loop.now_ms,
                         (stream->usage.in_total == UINT64_MAX ? 0 : stream->usage.in_total) +
                             (stream->usage.out_total == UINT64_MAX ? 0 : stream->usage.out_total));
    stream->end = END_DONE;
    stream_return_lease(stream);
    if (stream->streaming) { /* its events are framed already */
        if (stream_commit(stream) < 0)
            worker->text.error = -ERR_MEMORY;
        return end_body(stream);
    }
    bool counts = stream->endpoint == ENDPOINT_COUNT_TOKENS;
    bool raw = stream->media || (stream->same_dialect && !stream->reply_sse && (counts || !worker->events.rewrite));
    if (counts && !raw) {
        sink_reset(&stream->collected, 65536);
        stream->dialect->write_count_reply(stream->counted, &stream->collected);
    } else if (!raw) {
        sink_reset(&stream->collected, 65536);
        if (stream->dialect->write_whole(stream->dialect_writer, &stream->collected) < 0 || stream->collected.error) {
            stream_fail(stream, -ERR_UPSTREAM_TOO_LARGE);
            return act_refuse(stream);
        }
    }
    stream_end_codecs(stream);
    return stream_send_answer(stream, 200, "application/json");
}

/* The words of an upstream's error lie in the body that is about to be written over. */
static void
keep_words(struct arena *arena, struct canon_error *error)
{
    struct slice *words[] = {&error->message, &error->code, &error->type, &error->param};
    for (size_t i = 0; i < countof(words); i++) {
        if (words[i]->len > 0)
            *words[i] = arena_copy(arena, *words[i]);
    }
}

/* An error before the commit point, in the caller's dialect with a real status (R2, R55, R68). */
enum stream_event
act_refuse(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (!stream->failed) /* a deadline while the request was being read */
        stream_fail(stream, worker->gateway->ending ? -ERR_DRAINING : -ERR_CLIENT_SLOW);
    if (stream->error.error == ERR_CLIENT_SLOW)
        stream->close_after = true;
    stream_drop_lease(stream);
    set_end(stream);
    stream_end_codecs(stream);
    metrics_add(&worker->metrics->errors[stream->error.error], 1);
    arena_reset(&worker->scratch);
    struct canon_error *error = &stream->error;
    bool theirs = error->error == ERR_UPSTREAM_STATUS && stream->same_dialect && stream->collected.len > 0 &&
                  stream->dialect->error_conforms(sink_slice(&stream->collected), &worker->scratch);
    int status = theirs ? stream->upstream_status : stream->dialect->error_status(error);
    if (!theirs) {
        keep_words(&worker->scratch, error);
        sink_reset(&stream->collected, 65536);
        stream->dialect->error_body(error, slice_from(stream->request_id), &stream->collected);
    }
    char extra[128] = "";
    if (error->retry_after_ms != UINT64_MAX)
        snprintf(extra, sizeof extra, "Retry-After: %llu\r\n", (unsigned long long)((error->retry_after_ms + 999) / 1000));
    else if (error->error == ERR_QUEUE || error->error == ERR_RATE || error->error == ERR_COOLDOWN ||
             error->error == ERR_DRAINING)
        snprintf(extra, sizeof extra, "Retry-After: 1\r\n");
    struct slice passed = stream->pass_fields;
    stream->pass_fields = arena_printf(&stream->reply, "%.*s%s", SLICE_ARG(passed), extra);
    if (!slice_present(stream->pass_fields))
        stream->pass_fields = SLICE_NONE;
    return stream_send_answer(stream, status, "application/json");
}

/* ---------------------------------------------------------------- draining and parting */

static void
feed_collected(struct stream *stream)
{
    struct conn *client = stream->client;
    struct slice rest = slice_skip(sink_slice(&stream->collected), stream->collected_sent);
    sink_reset(&stream->worker->text, 131072);
    while (rest.len > 0 && !stream->head_request && stream_has_room(stream)) {
        bool scarce = pool_share(&stream->worker->loop.pool) < FEED_PIECE_BYTES;
        struct slice piece = slice_take(rest, scarce ? CHUNK_BYTES : FEED_PIECE_BYTES);
        if (conn_put(client, piece) < 0)
            break; /* the pool is empty: EMPTY comes when some of it is back */
        stream->collected_sent += piece.len;
        stream->client_out += piece.len;
        stream->output_ms = stream->worker->loop.now_ms;
        metrics_add(&stream->worker->metrics->client_bytes_out, piece.len);
        rest = slice_skip(rest, piece.len);
    }
}

enum stream_event
act_feed(struct stream *stream)
{
    struct conn *client = stream->client;
    feed_collected(stream);
    while (resume_follows(stream) && stream->collected_sent == stream->collected.len && !client->lost &&
           client->out.len < client->out_high) {
        if (resume_pull(stream) == EVENT_FAILED)
            return EVENT_FAILED;
        if (stream->collected.len == 0)
            break;
        if (!deadline_armed(&stream->step)) {
            stream->acked = conn_acked(client);
            stream_arm_step(stream, stream_timeouts(stream)->drain_ms);
        }
        feed_collected(stream);
    }
    return EVENT_CLIENT_EMPTY;
}

enum stream_event
act_part(struct stream *stream)
{
    if (!stream->head_request && stream->collected_sent < stream->collected.len) {
        struct conn *client = stream->client;
        if (client->out.len >= client->out_low)
            return EVENT_NONE;
        size_t before = stream->collected_sent;
        if (act_feed(stream) == EVENT_FAILED)
            return EVENT_FAILED;
        if (stream->collected_sent == before && conn_unsent(client) == 0)
            return stream_fail(stream, -ERR_MEMORY);
        return EVENT_NONE;
    }
    if (!stream->detached && conn_unsent(stream->client) > 0)
        return EVENT_NONE;
    if (resume_follows(stream)) {
        if (stream->collected.len > 0 && !stream->client->lost)
            return EVENT_CLIENT_ROOM; /* there may be more */
        loop_cancel(&stream->worker->loop, &stream->step); /* nothing is on its way: nothing can be stuck */
        return EVENT_NONE;
    }
    bool keep = stream->keep_alive && !stream->close_after && !stream->worker->draining;
    stream_account(stream);
    return keep ? EVENT_KEEP : EVENT_LEAVE;
}

/* The queue is full, or the last bytes are waiting: is the peer's kernel still taking any? */
enum stream_event
act_check_drain(struct stream *stream)
{
    uint64_t acked = conn_acked(stream->client), before = stream->acked;
    bool ending = stream->worker->gateway->ending && stream->state == STATE_FINISH && !deadline_armed(&stream->step);
    bool stuck = acked == before || ending; /* a shutdown does not wait for the slow beyond one drain time */
    if (deadline_armed(&stream->step))
        return EVENT_NONE; /* nothing is due */
    stream->acked = acked;
    if (!stuck || before == ACKED_UNKNOWN || stream->detached) { /* who follows is watched by its own stream */
        stream_arm_step(stream, stream_timeouts(stream)->drain_ms);
        return stream->detached && !resume_must_wait(stream) ? EVENT_CLIENT_ROOM : EVENT_NONE;
    }
    metrics_add(&stream->worker->metrics->drain_timeouts, 1);
    if (stream->state == STATE_STALL && stream->tape) /* it may come back by another way */
        return EVENT_CLIENT_GONE;
    if (stream->state == STATE_FINISH) /* from STALL it is counted where the stream is broken off */
        metrics_add(&stream->worker->metrics->errors[ERR_BACKPRESSURE], 1);
    stream->failed = false;
    stream->end = END_BACKPRESSURE;
    return stream_fail(stream, -ERR_BACKPRESSURE);
}

enum stream_event
act_rest(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct loop *loop = &worker->loop;
    assert(stream->lease == NULL);
    enclose_leave(stream);
    uint64_t idle_ms = worker->generation->config->client_idle_ms;
    loop_cancel(loop, &stream->total);
    loop_cancel(loop, &stream->ping);
    loop_cancel(loop, &stream->patience);
    stream_release_request(stream);
    resume_forget(stream);
    sink_reset(&stream->collected, 0);
    arena_reset(&stream->reply);
    if (stream->generation)
        generation_drop(stream->generation);
    /* What describes an exchange lies behind the connection's own members: forget it in one step. */
    stream->generation = NULL;
    stream->gather = NULL;
    stream->deployment = NULL;
    stream->attempts = 0;
    stream->chosen = stream->again_fresh = stream->queued = stream->failed = stream->committed = false;
    stream->asked = stream->streaming = stream->reply_sse = stream->same_dialect = false;
    stream->head_request = stream->include_usage = stream->torn = false;
    stream->json_array = stream->array_open = stream->estimated = stream->chunked = stream->path_stream = false;
    stream->prompt = stream->prompt_count = stream->prompt_block = stream->prompt_blocks = 0;
    stream->prompt_follows = stream->prompt_untold = false;
    stream->media = NULL;
    stream->unwritten = false;
    stream->path_model = stream->relay_path = stream->relay_model = SLICE_NONE;
    stream->relay_mode = NULL;
    stream->counted = 0;
    stream->wait_until_ms = stream->collected_sent = 0;
    stream->reply_head = NULL;
    stream->dialect_reader = stream->dialect_writer = NULL;
    stream->upstream_dialect = NULL;
    stream->origin = stream->model = stream->upstream_model = SLICE_NONE;
    stream->pass_fields = SLICE_NONE;
    stream->status = stream->upstream_status = 0;
    stream->truncated_messages = stream->truncated_tokens = 0;
    stream->token = SLICE_NONE;
    stream->token_awaited = stream->token_refused = false;
    stream->watch = NULL;
    stream->client_in = stream->client_out = stream->upstream_in = stream->upstream_out = 0;
    stream->events_in = stream->events_out = stream->stalls = stream->stall_us = 0;
    stream->stall_longest_us = stream->keepalives = stream->sse_serial = stream->worked_us = 0;
    stream->notices &= 1u << EVENT_CLIENT_GONE;
    stream_arm_step(stream, idle_ms);
    if (worker->draining)
        return EVENT_DRAIN;
    if (stream->client->lost)
        return EVENT_CLIENT_GONE;
    return stream->client->in.len > 0 || stream->client->ended ? EVENT_CLIENT_BYTES : EVENT_NONE;
}

static void
let_go(struct stream *stream, bool cut)
{
    struct worker *worker = stream->worker;
    upstream_leave_queue(&worker->upstreams, stream);
    credential_leave(stream);
    enclose_leave(stream);
    stream_drop_lease(stream);
    answer_forget(stream);
    resume_forget(stream);
    stream_end_codecs(stream);
    if (stream->severed)
        conn_sever(stream->client);
    else
        conn_close(stream->client, cut);
    stream->client = NULL;
    if (stream->generation) {
        generation_drop(stream->generation);
        stream->generation = NULL;
    }
    stream->notices = 0;
    loop_post(&worker->loop, &stream->task); /* run frees it, also when it was closed from elsewhere */
}

enum stream_event
act_depart(struct stream *stream)
{
    if (stream->generation) {
        stream_account(stream);
        if (!stream->keep_alive && !stream->close_after && !stream->http10) /* the client says so, and its request was read */
            conn_farewell(stream->client);
    }
    let_go(stream, false);
    return EVENT_NONE;
}

enum stream_event
act_cancel(struct stream *stream)
{
    if (stream->lease && stream->end == END_INTERNAL)
        metrics_add(&stream->worker->metrics->upstream_cancels, 1);
    if (stream->end == END_INTERNAL)
        stream->end = END_CLIENT_CLOSE;
    else if (stream->end == END_DONE && conn_unsent(stream->client) > 0 && stream->client->lost)
        stream->end = END_CLIENT_CLOSE;
    if (stream->generation)
        stream_account(stream);
    let_go(stream, true);
    return EVENT_NONE;
}
