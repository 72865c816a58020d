/* SPDX-License-Identifier: MIT
 *
 * pump.c - the data path: upstream bytes to client bytes, event by event.
 *
 *     in -> http_body -> sse_decode -> read_event -> think -> guard -> pass_event | write_events -> frames -> out
 *
 * Until the first event that is not an error nothing has reached the client; from then on every failure is said in
 * the client's own dialect.
 */
#include "base/text.h"
#include "gateway/detail.h"
#include "gateway/remember.h"
#include "gateway/prompts.h"
#include "gateway/relay.h"
#include "gateway/resume.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

#include <stdlib.h>

#define TEXT_HIGH_BYTES 32768u /* framed bytes gathered before they become a chunk */

static void
note_events(struct stream *stream, const struct canon_events *events)
{
    struct worker *worker = stream->worker;
    uint64_t now = worker->loop.now_us;
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        if (event->kind == CANON_USAGE)
            canon_usage_merge(&stream->usage, &event->usage);
        if (event->kind == CANON_DELTA && event->text.len > 0) {
            if (!stream->stamps.first_token)
                stream->stamps.first_token = now;
            stream->stamps.last_token = now;
        }
    }
    for (uint32_t flaws = events->flaws; flaws; flaws &= flaws - 1)
        metrics_add(&worker->metrics->flaws[__builtin_ctz(flaws)], 1);
}

static void
log_event(const struct stream *stream, struct slice type, struct slice data)
{
    struct log_line line;
    log_begin(&line, LOG_DEBUG2, "upstream event");
    log_text(&line, "request_id", stream->request_id);
    log_field(&line, "type", type);
    log_i64(&line, "bytes", (int64_t)data.len);
    log_end(&line);
    detail_bytes(stream, "upstream event data", data);
}

/* What an in-stream error or the guard said becomes the failure of this attempt. */
int
stream_check_events(struct stream *stream, struct canon_events *events)
{
    if (stream->think) {
        int error = canon_think_filter(stream->think, events);
        if (error < 0)
            return error;
    }
    if (stream->textcall) {
        int error = canon_textcall_filter(stream->textcall, events);
        if (error < 0)
            return error;
    }
    if (stream->inputs) {
        int error = canon_inputs_filter(stream->inputs, events);
        if (error < 0)
            return error;
    }
    for (int i = 0; i < events->count; i++) {
        if (events->at[i].kind != CANON_ERROR)
            continue;
        struct canon_error *error = &events->at[i].error;
        stream->failed = true;
        stream->error = *error;
        if (stream->error.error == 0)
            stream->error.error = ERR_UPSTREAM_ERROR;
        stream->error.message = arena_copy(&stream->reply, slice_take(error->message, 4096));
        detail_blot(stream, stream->error.message);
        stream->error.code = slice_present(error->code) ? arena_copy(&stream->reply, slice_take(error->code, 256)) : SLICE_NONE;
        stream->error.type = slice_present(error->type) ? arena_copy(&stream->reply, slice_take(error->type, 256)) : SLICE_NONE;
        stream->error.param = slice_present(error->param) ? arena_copy(&stream->reply, slice_take(error->param, 256)) : SLICE_NONE;
        return -stream->error.error;
    }
    int error = canon_guard_check(&stream->guard, events);
    note_events(stream, events);
    detail_calls(stream, events);
    if (error == 0)
        remember_reply(stream, events);
    if (error == -ERR_TOOL_CALL) {
        metrics_add(&stream->worker->metrics->tool_call_rejections, 1);
        if (log_on(LOG_DEBUG3))
            log_say(LOG_DEBUG3, "tool call refused", "request_id=%s verdict=%s", stream->request_id,
                    stream->guard.verdict ? stream->guard.verdict : "?");
    }
    return error;
}

static bool
has_end(const struct canon_events *events)
{
    for (int i = 0; i < events->count; i++) {
        if (events->at[i].kind == CANON_END)
            return true;
    }
    return false;
}

/* A reply in Responses says everything again at its end, and Gemini's names itself in every chunk: what a filter may change there
 * cannot pass in part. */
static bool
passes(const struct stream *stream)
{
    bool filtered = stream->textcall || stream->inputs || stream->deployment->config->think_tags;
    bool parts = stream->dialect->id == DIALECT_OPENAI_CHAT || stream->dialect->id == DIALECT_ANTHROPIC;
    return stream->same_dialect && (parts || !filtered);
}

/* One step of the pipe: canonical events (and the raw event they came from, if any) to the client's side. */
int
stream_write_out(struct stream *stream, struct canon_events *events, const struct sse_event *raw)
{
    struct worker *worker = stream->worker;
    struct frames *frames = &worker->frames;
    frames_clear(frames);
    int error = stream_writer(stream);
    if (error == 0)
        error = prompts_join(stream, events);
    if (error < 0)
        return error;
    if (!stream->streaming) {
        error = stream->dialect->write_events(stream->dialect_writer, events, frames);
        metrics_add(&worker->metrics->dropped_fields, frames->unsaid);
        return error == -ERR_LIMIT ? -ERR_UPSTREAM_TOO_LARGE : error; /* the limit of what is collected */
    }
    if (raw && passes(stream))
        error = stream->dialect->pass_event(stream->dialect_writer, raw->data, events, frames);
    else
        error = stream->dialect->write_events(stream->dialect_writer, events, frames);
    metrics_add(&worker->metrics->dropped_fields, frames->unsaid);
    if (error == 0 && frames->count > 0)
        error = stream_commit(stream);
    if (error == 0)
        error = stream_put_frames(stream, frames, raw);
    return error;
}

/* 1: the reply has ended; 0: go on; negative: the attempt failed. */
static int
take_event(struct stream *stream, const struct sse_event *event)
{
    struct worker *worker = stream->worker;
    struct canon_events *events = &worker->events;
    uint64_t now = worker->loop.now_us;
    if (!slice_present(event->data)) {
        /* A comment: relayed as a line, never as an empty event that some clients would dispatch. */
        if (stream->same_dialect && stream->committed && slice_present(event->comment) &&
            stream->dialect->id != DIALECT_GEMINI)
            sse_put_comment(&worker->text, text_trim(event->comment));
        return 0;
    }
    stream->events_in++;
    metrics_add(&worker->metrics->events_in, 1);
    if (stream->events_in > 1)
        hist_record(&worker->metrics->inter_event, &metrics_latency, now - stream->stamps.last_event);
    stream->stamps.last_event = now;
    if (log_on(LOG_DEBUG2))
        log_event(stream, event->type, event->data);
    arena_reset(&worker->scratch);
    canon_events_clear(events);
    if (event->unterminated)
        events->flaws |= 1u << FLAW_UNTERMINATED_EVENT;
    int error = stream->upstream_dialect->read_event(stream->dialect_reader, event->type, event->data, events);
    if (event->unterminated)
        events->rewrite = true; /* its raw bytes lack the empty line */
    if (error == 0)
        error = stream_check_events(stream, events);
    if (error < 0)
        return error;
    bool end = has_end(events);
    error = stream_write_out(stream, events, event);
    return error < 0 ? error : end;
}

/* What the missing terminator would have said. 1: the reply has ended; negative: the attempt failed. */
static int
read_end(struct stream *stream)
{
    struct worker *worker = stream->worker;
    arena_reset(&worker->scratch);
    canon_events_clear(&worker->events);
    int error = stream->upstream_dialect->read_end(stream->dialect_reader, &worker->events);
    if (error == 0)
        error = stream_check_events(stream, &worker->events);
    bool end = has_end(&worker->events);
    if (error == 0)
        error = stream_write_out(stream, &worker->events, NULL);
    return error < 0 ? error : end ? 1 : -ERR_DISCONNECTED;
}

/* The upstream's body is over: what does its end mean? */
static int
take_end(struct stream *stream)
{
    struct sse_event event;
    int got = sse_decode_end(&stream->sse, &event);
    if (got == 1)
        got = take_event(stream, &event);
    if (got == -ERR_UPSTREAM_PROTOCOL && stream->reply_body.framing == HTTP_UNTIL_CLOSE)
        return stream_conclude(stream) == 1 ? 1 : -ERR_DISCONNECTED; /* half an event was cut off: it is not nonsense */
    return got != 0 ? got : read_end(stream);
}

int
stream_conclude(struct stream *stream)
{
    struct canon_events *events = &stream->worker->events;
    struct canon_error error = stream->error;
    bool failed = stream->failed;
    if (stream->torn || prompts_more(stream) || !stream->dialect_reader || !stream->reply_sse || stream->guard.failed)
        return 0;
    /* Only the reader knows whether it has all but the terminator: some say the reason only when the stream ends. */
    if (read_end(stream) == 1) /* an event that was cut is lost: it can only be usage */
        return 1;
    stream->failed = failed; /* what it says about the end is no news */
    stream->error = error;
    if (!stream->guard.finished || stream->guard.open_blocks > 0 || stream->guard.ended)
        return 0;
    /* The reader has choked on what came behind the finish. */
    canon_events_clear(events);
    if (!canon_add(events, CANON_END) || stream_check_events(stream, events) < 0)
        return 0;
    return stream_write_out(stream, events, NULL) == 0;
}

/* The connection went before the body's end. */
static int
take_loss(struct stream *stream, int error)
{
    assert(error < 0);
    return stream_conclude(stream) == 1 ? 1 : error;
}

/* Is there room for what one more run may expand to? Whole replies are bounded by their sink instead. */
static bool
client_has_room(struct stream *stream)
{
    if (stream->detached)
        return !resume_must_wait(stream);
    return !stream->streaming || stream_has_room(stream);
}

/*
 * Bytes of the upstream's SSE body to the client, until one side runs dry.
 * 1: the reply has ended; 0: no more input now; 2: the client is full; negative: the attempt failed
 */
int
stream_carry(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct conn *conn = stream->lease->conn;
    int got = 0;
    while (got == 0 && conn->in.len > 0 && !http_body_done(&stream->reply_body)) {
        if (!client_has_room(stream))
            return 2;
        struct slice run = buf_peek(&conn->in), data = SLICE_NONE;
        size_t before = run.len;
        struct sse_event event;
        got = http_body_next(&stream->reply_body, &run, &data);
        if (got == 1) {
            got = 0;
            hist_record(&worker->metrics->chunk_size, &metrics_size, data.len);
            while (got == 0 && (got = sse_decode(&stream->sse, &data, &event)) == 1)
                got = take_event(stream, &event);
        }
        size_t used = before - run.len;
        conn_consume(conn, used);
        stream->upstream_in += used;
        metrics_add(&worker->metrics->upstream_bytes_in, used);
        stream->progress_ms = worker->loop.now_ms;
        if (got >= 0 && worker->text.len >= TEXT_HIGH_BYTES && stream->streaming && stream_flush_text(stream) < 0)
            got = -ERR_MEMORY;
    }
    if (got != 0)
        return got;
    if (http_body_done(&stream->reply_body))
        return take_end(stream);
    if (conn->lost)
        return take_loss(stream, conn->error);
    if (!conn->ended)
        return 0;
    got = http_body_end(&stream->reply_body);
    return got < 0 ? take_loss(stream, got) : take_end(stream);
}

enum stream_event
act_begin_reply(struct stream *stream)
{
    stream_arm_step(stream, stream_timeouts(stream)->idle_ms);
    return EVENT_UPSTREAM_BYTES;
}

enum stream_event
act_pump(struct stream *stream)
{
    sink_reset(&stream->worker->text, 131072);
    int got = stream->endpoint == ENDPOINT_RELAY ? relay_carry(stream) : stream_carry(stream);
    if (got == 1 && prompts_more(stream))
        return prompts_next(stream);
    int error = got == 1 ? 0 : stream_flush_text(stream); /* the last text goes with the end of the body */
    if (stream->committed && stream->head && !prompts_more(stream))
        stream_release_request(stream); /* there are no more tries: only they need it */
    if (got < 0)
        return stream_fail(stream, got);
    if (error < 0)
        return stream_fail(stream, error);
    if (got == 1)
        return EVENT_REPLY_DONE;
    if (got == 2)
        return EVENT_CLIENT_FULL;
    return EVENT_NONE;
}

enum stream_event
act_pause(struct stream *stream)
{
    struct worker *worker = stream->worker;
    conn_pause(stream->lease->conn);
    stream->stalls++;
    stream->stall_began_us = worker->loop.now_us;
    stream->acked = conn_acked(stream->client);
    metrics_add(&worker->metrics->backpressure, 1);
    stream_arm_step(stream, stream_timeouts(stream)->drain_ms);
    bool room = stream->detached ? !resume_must_wait(stream) : stream_has_room(stream) && stream->client->out.len <= stream->client->out_low;
    return room ? EVENT_CLIENT_ROOM : EVENT_NONE;
}

enum stream_event
act_resume(struct stream *stream)
{
    struct worker *worker = stream->worker;
    uint64_t stalled = worker->loop.now_us - stream->stall_began_us;
    stream->stall_us += stalled;
    if (stalled > stream->stall_longest_us)
        stream->stall_longest_us = stalled;
    metrics_add(&worker->metrics->backpressure_us, stalled);
    if (stalled > atomic_load_explicit(&worker->metrics->longest_stall_us, memory_order_relaxed))
        atomic_store_explicit(&worker->metrics->longest_stall_us, stalled, memory_order_relaxed);
    hist_record(&worker->metrics->stall, &metrics_latency, stalled);
    stream->progress_ms = worker->loop.now_ms;
    stream_arm_step(stream, stream_timeouts(stream)->idle_ms);
    loop_arm(&worker->loop, &stream->ping, stream_timeouts(stream)->keepalive_ms); /* one that came due went unheard */
    conn_resume(stream->lease->conn);
    return EVENT_UPSTREAM_BYTES;
}

void
stream_end_reader(struct stream *stream)
{
    if (stream->sse_live)
        sse_decoder_fini(&stream->sse);
    stream->sse_live = false;
    if (stream->dialect_reader && stream->upstream_dialect->reader_fini)
        stream->upstream_dialect->reader_fini(stream->dialect_reader);
    stream->dialect_reader = NULL;
    stream->think = NULL;
    if (stream->textcall)
        canon_textcall_fini(stream->textcall);
    stream->textcall = NULL;
    if (stream->inputs)
        canon_inputs_fini(stream->inputs);
    stream->inputs = NULL;
    /* A writer that has sent nothing may hold events of the failed attempt. */
    bool kept = stream->committed || (stream->prompt > 0 && stream->prompt_untold);
    if (!kept && stream->dialect_writer) {
        if (stream->dialect->writer_fini)
            stream->dialect->writer_fini(stream->dialect_writer);
        stream->dialect_writer = NULL;
    }
}

void
stream_end_codecs(struct stream *stream)
{
    stream_end_reader(stream);
    if (stream->dialect_writer && stream->dialect->writer_fini)
        stream->dialect->writer_fini(stream->dialect_writer);
    stream->dialect_writer = NULL;
}
