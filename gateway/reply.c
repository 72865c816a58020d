/* SPDX-License-Identifier: MIT
 *
 * reply.c - the head of an upstream's reply, and replies that are collected whole: errors, JSON, streams for clients
 * that do not stream.
 */
#include "base/text.h"
#include "gateway/detail.h"
#include "gateway/media.h"
#include "gateway/prompts.h"
#include "gateway/stream.h"
#include "gateway/shaping.h"
#include "gateway/worker.h"

#include <stdlib.h>

#define INTERIM_REPLIES_MAX 64 /* before the real one; each is small, but a server could go on for ever */
#define RETRY_AFTER_MAX_MS (24u * 3600 * 1000) /* what is longer is told as a day */

static bool
passes(struct slice name)
{
    static const char *const exact[] = {"x-should-retry", "request-id", "openai-processing-ms", "openai-version",
                                        "openai-organization", "openai-model"};
    static const char *const prefixes[] = {"anthropic-ratelimit-", "x-ratelimit-"};
    if (name.len == 0 || !strchr("xXrRoOaA", name.ptr[0])) /* most are none of these */
        return false;
    for (size_t i = 0; i < countof(exact); i++) {
        if (text_caseless_is(name, exact[i]))
            return true;
    }
    for (size_t i = 0; i < countof(prefixes); i++) {
        struct slice prefix = slice_from(prefixes[i]);
        if (name.len > prefix.len && text_caseless_eq(slice_take(name, prefix.len), prefix))
            return true;
    }
    return false;
}

/* Response fields that clients act upon (R67), kept as text until a head is written. */
static void
keep_fields(struct stream *stream)
{
    struct sink kept;
    sink_init(&kept, 16384);
    for (size_t i = 0; i < stream->reply_head->field_count; i++) {
        const struct http_field *field = &stream->reply_head->fields[i];
        if (!passes(field->name) || !http_value_clean(field->value))
            continue;
        sink_put(&kept, field->name);
        sink_text(&kept, ": ");
        sink_put(&kept, field->value);
        sink_text(&kept, "\r\n");
    }
    struct slice upstream_id = http_field(stream->reply_head, "x-request-id");
    if (upstream_id.len > 0 && http_value_clean(upstream_id)) {
        sink_text(&kept, "X-Upstream-Request-Id: ");
        sink_put(&kept, upstream_id);
        sink_text(&kept, "\r\n");
    }
    detail_blot(stream, sink_slice(&kept));
    stream->pass_fields = kept.len && !kept.error ? arena_copy(&stream->reply, sink_slice(&kept)) : SLICE_NONE;
    sink_fini(&kept);
}

/* Retry-After in either form (a number of seconds or a date), or retry-after-ms. */
static uint64_t
retry_after_ms(const struct http_head *head, int64_t now_unix_s)
{
    uint64_t value;
    int64_t date;
    struct slice seconds = text_trim(http_field(head, "retry-after"));
    if (http_parse_date(seconds, &date))
        value = date > now_unix_s ? (uint64_t)(date - now_unix_s) * 1000 : 0;
    else if (!text_u64(text_trim(http_field(head, "retry-after-ms")), &value) &&
        (seconds.len == 0 || !text_duration_ms(seconds, &value)))
        return UINT64_MAX;
    return value < RETRY_AFTER_MAX_MS ? value : RETRY_AFTER_MAX_MS;
}

static bool
is_coded(const struct http_head *head)
{
    struct slice coding = http_field(head, "content-encoding");
    return coding.len > 0 && !text_caseless_is(coding, "identity");
}

static enum stream_event
begin_body(struct stream *stream)
{
    struct worker *worker = stream->worker;
    const struct config *config = stream->generation->config;
    struct http_head *head = stream->reply_head;
    bool error_reply = head->status >= 300;
    stream->upstream_status = head->status;
    stream->upstream_dialect = stream->deployment->dialect;
    uint64_t max = UINT64_MAX;
    struct slice type = http_field(head, "content-type");
    bool relay = !error_reply && stream->endpoint == ENDPOINT_RELAY && !stream->media;
    stream->reply_sse = !error_reply && !relay && !stream->media && stream->endpoint != ENDPOINT_COUNT_TOKENS && type.len >= 17 &&
                        text_caseless_eq(slice_take(type, 17), SLICE_LIT("text/event-stream"));
    if (!stream->reply_sse && !relay)
        max = error_reply ? UINT64_MAX : config->limits.reply_bytes;
    http_body_init(&stream->reply_body, head, HTTP_FROM_UPSTREAM, max, &stream->tries->reply_reader.limits);
    keep_fields(stream);
    stream->progress_ms = worker->loop.now_ms;
    if (relay)
        return EVENT_REPLY_OK;
    if (is_coded(head) && !error_reply) /* the status of an error says enough without its words */
        return stream_fail_text(stream, -ERR_UPSTREAM_PROTOCOL, SLICE_LIT("upstream used a content coding that was not asked for"), SLICE_NONE);
    if (stream->reply_sse) {
        sse_decoder_init(&stream->sse, config->limits.event_bytes);
        stream->sse_live = true;
    }
    if (!error_reply) {
        const struct dialect *dialect = stream->upstream_dialect;
        stream->dialect_reader = arena_take(&stream->reply, dialect->reader_bytes);
        if (!stream->dialect_reader)
            return stream_fail(stream, -ERR_MEMORY);
        dialect->reader_init(stream->dialect_reader, &stream->reply);
        canon_guard_init(&stream->guard, &stream->reply);
        stream->guard.first_due = !stream->same_dialect; /* passed on, odd numbers are the client's affair */
        if (stream->deployment->config->think_tags) {
            stream->think = arena_take(&stream->reply, sizeof *stream->think);
            if (!stream->think)
                return stream_fail(stream, -ERR_MEMORY);
            canon_think_init(stream->think, &stream->reply);
        }
        if (stream->deployment->config->text_tool_calls) {
            stream->textcall = arena_take(&stream->reply, sizeof *stream->textcall);
            if (!stream->textcall)
                return stream_fail(stream, -ERR_MEMORY);
            canon_textcall_init(stream->textcall, &stream->reply);
        }
        if (shaping_cleans(stream->deployment, stream->upstream_model)) {
            stream->inputs = arena_take(&stream->reply, sizeof *stream->inputs);
            if (!stream->inputs)
                return stream_fail(stream, -ERR_MEMORY);
            canon_inputs_init(stream->inputs, &stream->deployment->config->shape.inputs, &stream->reply);
        }
    }
    return stream->reply_sse && stream->streaming ? EVENT_REPLY_OK : EVENT_REPLY_WHOLE;
}

enum stream_event
act_read_reply(struct stream *stream)
{
    struct conn *conn = stream->lease->conn;
    struct worker *worker = stream->worker;
    struct http_head *head = NULL; /* interim replies share it */
    bool over = conn->lost || conn->ended; /* whatever of the request is still unsent, nobody will read it */
    if (stream->reply_head) /* it came while we were still sending */
        return stream->state == STATE_AWAIT || over ? begin_body(stream) : EVENT_NONE;
    while (conn->in.len > 0) {
        struct slice run = buf_peek(&conn->in);
        size_t before = run.len;
        if (!stream->stamps.first_byte)
            stream->stamps.first_byte = worker->loop.now_us;
        stream->lease_answered = true;
        int got = http_head_feed(&stream->tries->reply_reader, &run);
        buf_consume(&conn->in, before - run.len);
        conn_touch(conn);
        stream->upstream_in += before - run.len;
        if (got < 0)
            return stream_fail(stream, got == -ERR_MEMORY ? got : -ERR_UPSTREAM_PROTOCOL);
        if (got == 0)
            continue;
        if (!head)
            head = arena_take_raw(&stream->request, sizeof *head); /* parsing writes all but unused fields */
        if (!head)
            return stream_fail(stream, -ERR_MEMORY);
        got = http_parse_reply(&stream->tries->reply_reader, false, head);
        if (got < 0)
            return stream_fail(stream, got);
        if (head->status < 200) {
            if (++stream->interims > INTERIM_REPLIES_MAX)
                return stream_fail(stream, -ERR_UPSTREAM_PROTOCOL);
            http_reader_reset(&stream->tries->reply_reader);
            continue;
        }
        stream->reply_head = head;
        stream->reply_keep_alive = head->keep_alive;
        if (stream->state == STATE_SEND && head->status < 300 && !over)
            return EVENT_NONE; /* the request goes out whole first */
        return begin_body(stream);
    }
    if (conn->lost)
        return stream_fail(stream, conn->error);
    return conn->ended ? stream_fail(stream, -ERR_DISCONNECTED) : EVENT_NONE;
}

/* ---------------------------------------------------------------- whole replies */

/* 1: the body is complete in `collected`; 0: more to come; negative: failed. */
static int
gather_body(struct stream *stream)
{
    struct conn *conn = stream->lease->conn;
    struct worker *worker = stream->worker;
    const struct config *config = stream->generation->config;
    bool error_reply = stream->upstream_status >= 300;
    while (conn->in.len > 0 && !http_body_done(&stream->reply_body)) {
        struct slice run = buf_peek(&conn->in), data;
        size_t before = run.len;
        int got;
        while ((got = http_body_next(&stream->reply_body, &run, &data)) == 1) {
            size_t room = error_reply ? config->limits.error_bytes - stream->collected.len : data.len;
            sink_put(&stream->collected, slice_take(data, room));
        }
        size_t used = before - run.len;
        buf_consume(&conn->in, used);
        conn_touch(conn);
        stream->upstream_in += used;
        metrics_add(&worker->metrics->upstream_bytes_in, used);
        stream->progress_ms = worker->loop.now_ms;
        if (got < 0)
            return got;
        if (stream->collected.error)
            return -ERR_UPSTREAM_TOO_LARGE;
        if (error_reply && stream->collected.len >= config->limits.error_bytes)
            return 1; /* enough was read to say what is wrong */
    }
    if (http_body_done(&stream->reply_body))
        return 1;
    if (conn->lost)
        return conn->error;
    if (!conn->ended)
        return 0;
    int error = http_body_end(&stream->reply_body);
    return error < 0 ? error : 1;
}

static enum stream_event
take_error_reply(struct stream *stream)
{
    struct http_head *head = stream->reply_head;
    struct canon_error *error = &stream->error;
    stream->failed = true;
    *error = canon_error_of(ERR_UPSTREAM_STATUS);
    if (is_coded(head))
        sink_reset(&stream->collected, 0);
    detail_blot(stream, sink_slice(&stream->collected));
    detail_bytes(stream, "upstream error", sink_slice(&stream->collected));
    if (stream->upstream_status < 400) { /* redirects are not followed: credentials would go along */
        stream->failed = false;
        return stream_fail_text(stream, -ERR_UPSTREAM_PROTOCOL, SLICE_LIT("upstream answered with a redirect"), SLICE_NONE);
    }
    stream->upstream_dialect->read_error(stream->upstream_status, sink_slice(&stream->collected), &stream->reply, error);
    if (error->error == 0)
        error->error = ERR_UPSTREAM_STATUS;
    if (error->status == 0)
        error->status = stream->upstream_status;
    /* Some say it in the body; a field is the surer word. */
    uint64_t after_ms = retry_after_ms(head, worker_unix_us(stream->worker) / 1000000);
    if (after_ms != UINT64_MAX)
        error->retry_after_ms = after_ms;
    struct slice should = text_trim(http_field(head, "x-should-retry"));
    if (slice_is(should, "true") || slice_is(should, "false"))
        error->should_retry = slice_is(should, "true");
    if (stream->lease && http_body_done(&stream->reply_body))
        stream_return_lease(stream);
    return EVENT_FAILED;
}

/* Untouched, a reply shows reasoning in the upstream's own way; another one was asked for by the configuration (R47). */
static bool
shows_reasoning_otherwise(const struct stream *stream, const struct canon_events *events)
{
    enum config_reasoning wanted = stream->deployment->config->reasoning;
    if (stream->endpoint != ENDPOINT_CHAT || wanted == REASONING_AS_SENT)
        return false;
    if (wanted == REASONING_CONTENT && text_find(sink_slice(&stream->collected), SLICE_LIT("\"reasoning\"")) < 0)
        return false; /* it is called that already */
    for (int i = 0; i < events->count; i++) {
        if (events->at[i].kind == CANON_DELTA && events->at[i].type == BLOCK_THINKING)
            return true;
    }
    return false;
}

/* A whole reply of the client's own dialect that cannot pass as it is: mended in its place. */
static int
mend_whole(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct sink mended;
    int error = stream_writer(stream);
    sink_init(&mended, stream->collected.max);
    if (error == 0)
        error = stream->dialect->pass_whole(stream->dialect_writer, sink_slice(&stream->collected), &worker->events, &mended);
    if (error == 0) {
        struct sink old = stream->collected;
        stream->collected = mended;
        mended = old;
        worker->events.rewrite = false; /* what is collected now may be delivered */
    }
    sink_fini(&mended);
    return error == -ERR_LIMIT ? -ERR_UPSTREAM_TOO_LARGE : error;
}

/* A whole JSON reply as canonical events: into the client's dialect, or untouched if it is its own. */
static int
take_whole(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct slice body = sink_slice(&stream->collected);
    detail_bytes(stream, "upstream reply", body);
    arena_reset(&worker->scratch);
    if (stream->media)
        return media_read_reply(stream);
    if (stream->endpoint == ENDPOINT_COUNT_TOKENS)
        return stream->upstream_dialect->read_count(body, &worker->scratch, &stream->counted);
    canon_events_clear(&worker->events);
    int error = stream->upstream_dialect->read_body(stream->dialect_reader, body, &worker->events);
    if (error == 0)
        error = stream_check_events(stream, &worker->events);
    if (error < 0)
        return error;
    stream->events_in += (uint64_t)worker->events.count;
    if (shows_reasoning_otherwise(stream, &worker->events))
        worker->events.rewrite = true;
    if (stream->same_dialect && !stream->streaming && !worker->events.rewrite)
        return 0;
    if (stream->same_dialect && !stream->streaming && stream->dialect->pass_whole)
        return mend_whole(stream);
    if (!stream->streaming)
        return stream_write_out(stream, &worker->events, NULL);
    /* A client that streams gets the reply as the events a stream would have had, one at a time. */
    struct canon_events one = worker->events;
    for (int i = 0; i < worker->events.count && error == 0; i++) {
        one.at = &worker->events.at[i];
        one.count = one.capacity = 1;
        error = stream_write_out(stream, &one, NULL);
    }
    return error;
}

enum stream_event
stream_take_silence(struct stream *stream)
{
    if (stream->upstream_status >= 300)
        return take_error_reply(stream); /* cut short it is still an error reply */
    return stream->reply_sse && stream_conclude(stream) == 1 ? EVENT_WHOLE : EVENT_NONE;
}

enum stream_event
act_collect(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (!deadline_armed(&stream->step) || stream->state == STATE_COLLECT)
        stream_arm_step(stream, stream_timeouts(stream)->idle_ms);
    sink_reset(&worker->text, 131072);
    if (stream->reply_sse) {
        int got = stream_carry(stream);
        if (got < 0)
            return stream_fail(stream, got);
        return got == 0 ? EVENT_NONE : prompts_more(stream) ? prompts_next(stream) : EVENT_WHOLE;
    }
    int got = gather_body(stream);
    if (got < 0 && stream->upstream_status >= 300)
        got = 1; /* an error reply cut short is still an error reply */
    if (got < 0)
        return stream_fail(stream, got);
    if (got == 0)
        return EVENT_NONE;
    if (stream->upstream_status >= 300)
        return take_error_reply(stream);
    got = take_whole(stream);
    if (got < 0)
        return stream_fail(stream, got);
    return prompts_more(stream) ? prompts_next(stream) : EVENT_WHOLE;
}
