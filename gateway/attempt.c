/* SPDX-License-Identifier: MIT
 *
 * attempt.c - one try after another: choose a deployment, dial, send, and judge what went wrong.
 *
 * Tries end at the commit point: from then on judge answers BREAK and the failure is told in the stream.
 */
#include "base/text.h"
#include "gateway/answer.h"
#include "gateway/credential.h"
#include "gateway/detail.h"
#include "gateway/enclose.h"
#include "gateway/outgoing.h"
#include "gateway/prompts.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

static enum stream_event
give_up(struct stream *stream)
{
    bool in_time = stream->error.error != ERR_REQUEST_TIMEOUT && !stream->worker->gateway->ending;
    if (stream->endpoint == ENDPOINT_COUNT_TOKENS && in_time)
        return EVENT_ANSWER; /* an estimate is better than a failure */
    return stream->committed ? EVENT_BREAK : EVENT_REJECT;
}

/* Everything of an earlier attempt that the next must not see. */
static void
begin_attempt(struct stream *stream)
{
    stream->failed = false;
    stream->reply_head = NULL;
    stream->watch = NULL;
    stream->reply_keep_alive = false;
    stream->lease_answered = false;
    stream_end_reader(stream);
    stream->upstream_status = 0;
    stream->interims = 0;
    sink_reset(&stream->collected, 65536);
    http_reader_reset(&stream->tries->reply_reader);
    bool uncounted = stream->again_fresh || stream->prompt_follows;
    stream->prompt_follows = false;
    if (uncounted)
        return; /* a stale connection, or the next prompt of the same try */
    stream->attempts++;
    if (stream->attempts > 1)
        metrics_add(&stream->worker->metrics->retries, 1);
}

/*
 * A model may have times of its own. The whole exchange is measured from its first byte and the wait for a verdict from
 * the complete request, whichever upstream serves it in the end.
 */
static void
take_times(struct stream *stream)
{
    const struct config_timeouts *timeouts = stream_timeouts(stream);
    struct wheel *wheel = &stream->worker->loop.wheel;
    if (deadline_armed(&stream->total))
        wheel_arm(wheel, &stream->total, stream->stamps.begin / 1000 + timeouts->request_ms);
    if (!stream->committed && deadline_armed(&stream->patience))
        wheel_arm(wheel, &stream->patience, stream->stamps.body / 1000 + timeouts->commit_ms);
}

/* The chosen deployment's body. unwritten: it waits for what is fetched for it. */
static enum stream_event
write_body(struct stream *stream)
{
    struct deployment *deployment = (struct deployment *)(uintptr_t)stream->deployment;
    struct canon_fault fault = {0};
    int error = outgoing_body(stream, deployment, &fault);
    stream->unwritten = error > 0;
    if (error != 0)
        stream->failed = false; /* what failed before is settled */
    if (error < 0) {
        stream_fail_text(stream, error, fault.message, fault.param);
        return give_up(stream);
    }
    struct metrics_model *model = error == 0 ? metrics_model(stream->worker->metrics, deployment->label) : NULL;
    if (model)
        metrics_add(&model->attempts, 1);
    return EVENT_NONE;
}

static enum stream_event
choose_deployment(struct stream *stream)
{
    struct worker *worker = stream->worker;
    int error = 0;
    uint32_t groups = stream->tries->route.group_count;
    if (stream->failed)
        prompts_restart(stream);
    struct deployment *deployment =
        route_next(&stream->tries->route, stream->failed ? &stream->error : NULL, worker->loop.now_ms,
                   worker_random(worker), &error);
    if (!deployment) {
        if (!stream->failed)
            stream_fail(stream, error < 0 ? error : -ERR_COOLDOWN);
        return give_up(stream);
    }
    if (stream->tries->route.group_count > groups && stream->attempts > 0)
        metrics_add(&worker->metrics->fallbacks, 1);
    stream->deployment = deployment;
    stream->chosen = true;
    take_times(stream);
    if (stream->endpoint == ENDPOINT_COUNT_TOKENS && !(deployment->dialect->can_count && deployment->dialect->can_count(&deployment->upstream)))
        return EVENT_ANSWER;
    return write_body(stream);
}

/* 1: the request may go out with stream->token, or needs none; 0: TURN comes when one is there. */
static int
take_token(struct stream *stream)
{
    struct credential *credential = stream->deployment->credential;
    if (!credential || slice_present(stream->token))
        return 1;
    int got = credential_token(credential, stream, &stream->token);
    if (got == 0 && !stream->token_awaited)
        stream_arm_step(stream, stream_timeouts(stream)->connect_ms);
    stream->token_awaited = got == 0;
    return got;
}

enum stream_event
act_dial(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (stream->gather)
        return answer_gathered(stream);
    if (stream->lease || (stream->queued && !stream->tries->waiter.called))
        return EVENT_NONE; /* a turn of an earlier wait */
    if (stream->wait_until_ms > worker->loop.now_ms) {
        stream_arm_step(stream, stream->wait_until_ms - worker->loop.now_ms);
        return EVENT_NONE;
    }
    stream->wait_until_ms = 0;
    if (!stream->chosen) {
        enum stream_event verdict = choose_deployment(stream);
        if (verdict != EVENT_NONE)
            return verdict;
    } else if (stream->unwritten) {
        enum stream_event verdict = write_body(stream);
        if (verdict != EVENT_NONE)
            return verdict;
    }
    if (stream->unwritten) { /* each fetch has a deadline of its own */
        loop_cancel(&worker->loop, &stream->step);
        return EVENT_NONE;
    }
    if (!stream->queued && !stream->token_awaited) {
        begin_attempt(stream);
        stream->stamps.queued = stream->stamps.dialing = 0;
        stream->token = SLICE_NONE;
    }
    stream->queued = false;
    int got = take_token(stream);
    if (got <= 0)
        return got < 0 ? stream_fail(stream, got) : EVENT_NONE;
    got = upstream_lease(&worker->upstreams, stream, stream->deployment, stream->again_fresh, &stream->lease);
    if (got == -ERR_QUEUE)
        metrics_add(&worker->metrics->queue_full, 1);
    if (got < 0)
        return stream_fail(stream, got);
    stream_arm_step(stream, stream_timeouts(stream)->connect_ms);
    if (got == 2) {
        stream->queued = true;
        if (!stream->stamps.queued)
            stream->stamps.queued = worker->loop.now_us;
        return EVENT_NONE;
    }
    if (stream->stamps.queued)
        hist_record(&worker->metrics->queue_wait, &metrics_latency, worker->loop.now_us - stream->stamps.queued);
    if (got == 0)
        stream->stamps.dialing = worker->loop.now_us;
    return got == 1 ? EVENT_UPSTREAM_UP : EVENT_NONE;
}

enum stream_event
act_send_request(struct stream *stream)
{
    struct worker *worker = stream->worker;
    assert(stream->lease != NULL);
    stream->stamps.dialed = worker->loop.now_us;
    if (stream->stamps.dialing)
        hist_record(&worker->metrics->connect, &metrics_latency, stream->stamps.dialed - stream->stamps.dialing);
    struct sink *head = &worker->head;
    outgoing_head(stream, head);
    detail_bytes(stream, "upstream request", sink_slice(&stream->tries->out_body));
    if (head->error || conn_put(stream->lease->conn, sink_slice(head)) < 0)
        return stream_fail(stream, -ERR_MEMORY);
    struct stream_tries *tries = stream->tries;
    conn_lend(stream->lease->conn, tries->out_runs, outgoing_runs(tries));
    stream->lease->requests++;
    stream->upstream_out += head->len + outgoing_length(tries);
    metrics_add(&worker->metrics->upstream_bytes_out, head->len + outgoing_length(tries));
    stream_arm_step(stream, stream_timeouts(stream)->first_byte_ms);
    return EVENT_UPSTREAM_ROOM;
}

enum stream_event
act_send_more(struct stream *stream)
{
    struct conn *conn = stream->lease->conn;
    if (conn->lost || conn->ended)
        return EVENT_UPSTREAM_BYTES; /* a last word may be waiting in its input */
    if (conn_unsent(conn) > 0)
        return EVENT_NONE;
    stream->stamps.sent = stream->worker->loop.now_us;
    stream_arm_step(stream, stream_timeouts(stream)->first_byte_ms); /* a long request is no part of the wait for its reply */
    return EVENT_UPSTREAM_SENT;
}

/* ---------------------------------------------------------------- judging */

/* What went wrong, when only a deadline or a dead connection says so. EVENT_NONE: nothing did. */
static enum stream_event
diagnose(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (worker->gateway->ending)
        return stream_fail(stream, -ERR_DRAINING);
    if (!deadline_armed(&stream->total))
        return stream_fail(stream, -ERR_REQUEST_TIMEOUT);
    if (stream->lease && stream->lease->conn->lost && !stream->lease->conn->up)
        return stream_fail(stream, stream->lease->conn->error);
    if (deadline_armed(&stream->step))
        return EVENT_NONE; /* nothing is due */
    switch (stream->state) {
    case STATE_DIAL:
        if (stream->unwritten)
            return EVENT_NONE;
        if (stream->token_awaited)
            return stream_fail(stream, -ERR_CREDENTIAL);
        if (stream->queued) {
            metrics_add(&worker->metrics->queue_full, 1);
            return stream_fail(stream, -ERR_QUEUE);
        }
        return stream_fail(stream, -ERR_CONNECT_TIMEOUT);
    case STATE_SEND:
    case STATE_AWAIT:
        return stream_fail(stream, -ERR_FIRST_BYTE_TIMEOUT);
    default:
        break;
    }
    /* Idle is lazy: progress only stored a time. */
    uint64_t idle_ms = stream_timeouts(stream)->idle_ms;
    uint64_t quiet_ms = worker->loop.now_ms - stream->progress_ms;
    if (quiet_ms < idle_ms) {
        stream_arm_step(stream, idle_ms - quiet_ms);
        return EVENT_NONE;
    }
    enum stream_event enough = stream->state == STATE_COLLECT ? stream_take_silence(stream) : EVENT_NONE;
    return enough != EVENT_NONE ? enough : stream_fail(stream, -ERR_IDLE_TIMEOUT);
}

static void
log_attempt(const struct stream *stream, bool again)
{
    if (!log_on(again ? LOG_WARN : LOG_DEBUG1))
        return;
    struct log_line line;
    log_begin(&line, again ? LOG_WARN : LOG_DEBUG1, "attempt failed");
    log_text(&line, "request_id", stream->request_id);
    if (stream->deployment) {
        log_field(&line, "model", stream->deployment->config->model_name);
        log_field(&line, "upstream", stream->deployment->config->id);
    }
    log_i64(&line, "attempt", stream->attempts);
    log_text(&line, "error", err_row(stream->error.error)->code);
    log_i64(&line, "upstream_status", stream->upstream_status);
    if (stream->lease && stream->lease->conn->tls_error)
        log_text(&line, "tls", tls_error_text(stream->lease->conn->tls_error));
    log_text(&line, "again", again ? "true" : "false");
    log_end(&line);
}

/* Nobody waits for a try that will not be made: what comes next is chosen first. */
static enum stream_event
try_again(struct stream *stream)
{
    struct worker *worker = stream->worker;
    const struct deployment *failed = stream->deployment;
    struct canon_error error = stream->error;
    enum stream_event verdict = choose_deployment(stream);
    if (verdict != EVENT_NONE)
        return verdict;
    if (stream->deployment != failed) /* which did not ask for patience */
        error.retry_after_ms = UINT64_MAX;
    stream->wait_until_ms = worker->loop.now_ms + route_backoff_ms(stream->generation->config, stream->attempts, &error,
                                                                   worker_random(worker));
    return EVENT_NEXT;
}

/* Has the upstream refused an access token that it may merely have forgotten? Once it is worth another (R88). */
static bool
lost_token(struct stream *stream)
{
    struct credential *credential = stream->deployment ? stream->deployment->credential : NULL;
    if (!credential || stream->upstream_status != 401 || stream->committed || stream->token_refused)
        return false;
    stream->token_refused = true;
    credential_rejected(credential, stream->worker, stream->token);
    return true;
}

/* A model that this region of Vertex AI does not have may be had in the next one (R89). */
static bool
is_elsewhere(const struct stream *stream)
{
    return stream->deployment && stream->deployment->upstream.surface == SURFACE_VERTEX && stream->upstream_status >= 400 &&
           stream->upstream_status < 500 && text_find_caseless(stream->error.message, SLICE_LIT("not servable in region")) >= 0;
}

enum stream_event
act_judge(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct generation *generation = stream->generation;
    if (stream->unwritten && (!deadline_armed(&stream->total) || worker->gateway->ending)) {
        enclose_leave(stream);
        stream->unwritten = false;
    }
    if (stream->wait_until_ms) { /* between two tries: the last failure is settled, only the wait can end */
        if (deadline_armed(&stream->total) && !worker->gateway->ending)
            return worker->loop.now_ms >= stream->wait_until_ms ? EVENT_NEXT : EVENT_NONE;
        stream->wait_until_ms = 0;
        stream->failed = false;
    }
    if (!stream->failed) {
        enum stream_event verdict = diagnose(stream);
        if (verdict != EVENT_FAILED)
            return verdict;
    }
    struct deployment *deployment = (struct deployment *)(uintptr_t)stream->deployment;
    /* A kept connection that the server had already closed is nobody's failure: once more on a new one. */
    bool stale = stream->lease && stream->lease->reused && !stream->lease_answered && !stream->committed &&
                 (stream->error.error == ERR_DISCONNECTED || stream->error.error == ERR_RESET ||
                  stream->error.error == ERR_TLS_TRUNCATED) && !stream->again_fresh;
    bool refused = !stale && lost_token(stream);
    stale = stale || refused;
    bool counted = !stale && deployment && err_row(stream->error.error)->blame == BLAME_UPSTREAM;
    if (counted) {
        struct metrics_model *model = metrics_model(worker->metrics, deployment->label);
        if (model)
            metrics_add(&model->failures, 1);
        if (route_report_failure(generation, deployment, &stream->error, worker->loop.now_ms))
            metrics_add(&worker->metrics->cooldowns, 1);
    }
    bool timeout = stream->error.error == ERR_REQUEST_TIMEOUT || worker->gateway->ending;
    bool again = !stream->committed && !timeout && deployment &&
                 (stale || is_elsewhere(stream) || route_retryable(generation, &stream->error));
    log_attempt(stream, again);
    upstream_leave_queue(&worker->upstreams, stream);
    credential_leave(stream);
    stream->queued = stream->token_awaited = false;
    stream_drop_lease(stream);
    if (stale) {
        if (!refused)
            metrics_add(&worker->metrics->stale_connections, 1);
        stream->again_fresh = true;
        return EVENT_NEXT;
    }
    stream->again_fresh = false;
    return again ? try_again(stream) : give_up(stream);
}

void
stream_drop_lease(struct stream *stream)
{
    if (stream->lease) {
        upstream_drop(stream->lease);
        stream->lease = NULL;
    }
    stream->notices &= ~(1u << EVENT_UPSTREAM_LOST | 1u << EVENT_UPSTREAM_UP | 1u << EVENT_UPSTREAM_SENT |
                         1u << EVENT_UPSTREAM_ROOM | 1u << EVENT_UPSTREAM_BYTES);
}

void
stream_return_lease(struct stream *stream)
{
    struct upstream *lease = stream->lease;
    bool usable = lease && stream->reply_keep_alive && !lease->conn->ended && !lease->conn->lost &&
                  conn_unsent(lease->conn) == 0;
    if (!usable) {
        stream_drop_lease(stream);
        return;
    }
    stream->lease = NULL;
    stream_drop_lease(stream); /* clears the notices */
    upstream_return(lease, &stream->reply_body);
}
