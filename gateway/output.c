/* SPDX-License-Identifier: MIT
 *
 * output.c - everything that a stream sends to its client before its end: head, frames, keep-alives, the question.
 *
 * A stream's head goes out at the commit point and not before.
 */
#include "base/text.h"
#include "gateway/endpoint.h"
#include "gateway/resume.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

/* Anthropic clients read the prompt's size from message_start, before an upstream of another dialect has said it. */
static uint64_t
estimate_input(struct stream *stream)
{
    struct canon_fault fault;
    bool early = stream->upstream_status == 0;
    if (stream->dialect->id != DIALECT_ANTHROPIC || !stream->streaming || !stream->canon ||
        (stream->same_dialect && !early))
        return 0;
    if (!stream->canon_read && stream->dialect->read_request(stream->canon, &fault) < 0)
        return 0;
    stream->canon_read = true;
    return estimate_tokens(stream->canon);
}

int
stream_writer(struct stream *stream)
{
    if (stream->dialect_writer)
        return 0;
    struct dialect_writer_options options = {
        .stream = stream->streaming,
        .include_usage = stream->include_usage,
        .id = slice_from(stream->id),
        .model = stream->model,
        .created_s = worker_unix_us(stream->worker) / 1000000,
        .reasoning = stream->deployment ? (enum dialect_reasoning)stream->deployment->config->reasoning
                                        : SHOW_AS_SENT,
        .input_estimate = estimate_input(stream),
        .placeholder_signature = stream->deployment && stream->deployment->config->placeholder_signature,
        .request = stream->canon, /* read or not: writers that repeat it want its text */
    };
    void *writer = arena_take(&stream->reply, stream->dialect->writer_bytes);
    if (!writer || stream->dialect->writer_init(writer, &options, &stream->reply) < 0)
        return -ERR_MEMORY;
    stream->dialect_writer = writer;
    return 0;
}

/* Microseconds as milliseconds with three decimals. */
static void
put_ms(struct sink *out, uint64_t us)
{
    char text[32], *end = text + sizeof text;
    char *from = text_digits_before(end, 1000 + us % 1000); /* the 1 gives way to the point */
    *from = '.';
    from = text_digits_before(from, us / 1000);
    sink_put(out, slice_of(from, (size_t)(end - from)));
}

static void
put_server_timing(const struct stream *stream, struct sink *out)
{
    const struct stamps *at = &stream->stamps;
    uint64_t now = stream_clock(stream); /* a large request takes more than the tick's clock shows */
    sink_text(out, "Server-Timing: ");
    if (at->first_byte && at->body) {
        sink_text(out, "upstream;dur=");
        put_ms(out, at->first_byte - at->body);
        sink_text(out, ", ");
    }
    sink_text(out, "total;dur=");
    put_ms(out, now - at->begin);
    sink_text(out, "\r\n");
}

/* What every reply carries. Bytes from upstream fields were cleaned when they were kept. */
void
stream_put_head(struct stream *stream, struct sink *out, int status)
{
    sink_reset(out, 65536);
    http_put_status(out, status);
    http_put_date(out, worker_unix_us(stream->worker) / 1000000);
    http_put_field(out, "X-Request-Id", slice_from(stream->request_id));
    if (stream->deployment && stream->attempts > 0)
        http_put_field(out, "X-Penstock-Upstream", stream->deployment->config->id);
    if (stream->attempts > 0)
        http_put_field_u64(out, "X-Penstock-Attempts", stream->attempts);
    if (stream->tries && stream->tries->report.count > 0) {
        sink_text(out, "X-Penstock-Dropped: ");
        for (int i = 0; i < stream->tries->report.count; i++)
            sink_printf(out, "%s%s", i ? ", " : "", stream->tries->report.dropped[i]);
        sink_text(out, "\r\n");
    }
    if (stream->truncated_messages > 0)
        sink_printf(out, "X-Penstock-Truncated: messages=%llu, tokens=%llu\r\n", (unsigned long long)stream->truncated_messages,
                    (unsigned long long)stream->truncated_tokens);
    if (stream->estimated)
        sink_text(out, "X-Penstock-Estimate: true\r\n");
    put_server_timing(stream, out);
    sink_put(out, stream->pass_fields);
    endpoint_cors(stream, out);
}

void
stream_put_connection(const struct stream *stream, struct sink *out)
{
    if (!stream->keep_alive || stream->close_after || stream->worker->draining)
        sink_text(out, "Connection: close\r\n");
    else if (stream->http10)
        sink_text(out, "Connection: keep-alive\r\n");
}

bool
stream_has_room(const struct stream *stream)
{
    const struct conn *client = stream->client;
    size_t queued = client->out.len + stream->worker->text.len;
    return queued <= client->out_high && (queued == 0 || queued < pool_share(&stream->worker->loop.pool));
}

int
stream_flush_text(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct sink *text = &worker->text;
    if (text->error) {
        sink_reset(text, 131072);
        stream->torn = true;
        return -ERR_MEMORY;
    }
    size_t len = text->len;
    if (stream->detached) /* it is on the tape */
        sink_reset(text, 131072);
    if (len == 0 || stream->detached)
        return 0;
    if (stream->chunked) {
        /* The chunk's frame goes around the bytes in place: queued in pieces, a chunk could be torn for want of memory. */
        char size[18] = {[16] = '\r', [17] = '\n'};
        const char *digits = text_hex_before(size + 16, len);
        size_t n = (size_t)(size + sizeof size - digits);
        if (sink_reserve(text, n + 2)) {
            memmove(text->ptr + n, text->ptr, len);
            memcpy(text->ptr, digits, n);
            memcpy(text->ptr + n + len, "\r\n", 2);
            text->len += n + 2;
        }
    }
    int error = text->error ? -ERR_MEMORY : conn_put(stream->client, sink_slice(text));
    sink_reset(text, 131072);
    stream->torn = stream->torn || error < 0;
    if (error < 0)
        return error;
    stream->client_out += len;
    stream->output_ms = worker->loop.now_ms;
    metrics_add(&worker->metrics->client_bytes_out, len);
    return 0;
}

/* An element of an array that is written as it comes; the client's parser wants no more than JSON. */
static void
put_element(struct stream *stream, struct slice data)
{
    struct sink *text = &stream->worker->text;
    stream_open_array(stream);
    if (stream->sse_serial > 0)
        sink_text(text, ",\r\n");
    sink_put(text, data);
    stream->sse_serial++;
    stream->events_out++;
}

void
stream_open_array(struct stream *stream)
{
    if (!stream->array_open)
        sink_byte(&stream->worker->text, '[');
    stream->array_open = true;
}

/*
 * The upstream's event as it came; written anew where a field of ours stands in its place, and where some clients would not
 * see its end: they look for "\n\n" or "\r\n\r\n", and other line ends or half of one before a break are no less legal.
 */
static void
put_passed(struct sink *text, const struct sse_event *event, bool ids)
{
    struct slice raw = event->raw;
    bool plain = (raw.len >= 2 && memcmp(raw.ptr + raw.len - 2, "\n\n", 2) == 0) ||
                 (raw.len >= 4 && memcmp(raw.ptr + raw.len - 4, "\r\n\r\n", 4) == 0);
    bool numbered = slice_present(event->id) || event->retry_ms >= 0;
    if (plain && !(ids && numbered)) { /* the last id: line of an event is the one that counts */
        sink_put(text, raw);
        return;
    }
    if (!ids && numbered)
        sse_put_fields(text, event->id, event->retry_ms > 0 ? (uint64_t)event->retry_ms : 0);
    sse_put_event(text, event->type, event->data);
}

int
stream_put_frames(struct stream *stream, struct frames *frames, const struct sse_event *raw)
{
    struct worker *worker = stream->worker;
    const struct config *config = stream->generation->config;
    struct sink *text = &worker->text;
    bool ids = config->sse_ids && stream->dialect->id != DIALECT_GEMINI; /* whose clients want "data:" to come first */
    size_t id_len = ids ? strnlen(stream->id, 16) : 0;
    if (frames->error || frames->bytes.error)
        return frames->error ? frames->error : -ERR_UPSTREAM_TOO_LARGE;
    for (int i = 0; i < frames->count; i++) {
        const struct frame *frame = &frames->at[i];
        struct slice data = slice_take(slice_skip(sink_slice(&frames->bytes), frame->start), frame->len);
        if (stream->json_array) {
            if (frame->kind != FRAME_COMMENT)
                put_element(stream, frame->kind == FRAME_PASS ? raw->data : data);
            continue;
        }
        if (frame->kind == FRAME_COMMENT) {
            sse_put_comment(text, data);
            continue;
        }
        size_t before = text->len;
        if (ids) {
            char id[16 + 1 + 20], *end = id + sizeof id;
            char *from = text_digits_before(end, stream->sse_serial);
            *--from = '-';
            from -= id_len;
            memcpy(from, stream->id, id_len);
            sse_put_fields(text, slice_of(from, (size_t)(end - from)), stream->sse_serial == 0 ? config->sse_retry_ms : 0);
        }
        uint64_t serial = stream->sse_serial++;
        if (frame->kind == FRAME_PASS)
            put_passed(text, raw, ids);
        else
            sse_put_event(text, slice_from(frame->type), data);
        stream->events_out++;
        if (text->error == 0)
            resume_keep(stream, serial, slice_skip(sink_slice(text), before));
    }
    metrics_add(&worker->metrics->events_out, (uint64_t)frames->count);
    return text->error ? -ERR_MEMORY : 0;
}

int
stream_commit(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (stream->committed)
        return 0;
    int error = stream->follow_ticket > 0 ? 0 : stream_writer(stream); /* a follower copies what was written */
    if (error < 0)
        return error;
    struct sink *head = &worker->head;
    if (stream->http10)
        stream->keep_alive = false;
    stream->chunked = !stream->http10;
    stream_put_head(stream, head, 200);
    sink_text(head, stream->json_array ? "Content-Type: application/json; charset=UTF-8\r\n"
                                       : "Content-Type: text/event-stream; charset=utf-8\r\n");
    sink_text(head, "Cache-Control: no-cache, no-transform\r\n"
                    "X-Accel-Buffering: no\r\n");
    if (stream->chunked)
        sink_text(head, "Transfer-Encoding: chunked\r\n");
    stream_put_connection(stream, head);
    http_put_end_of_head(head);
    if (head->error || conn_put(stream->client, sink_slice(head)) < 0)
        return -ERR_MEMORY;
    stream->committed = true;
    if (stream->follow_ticket == 0)
        resume_record(stream);
    stream->status = 200;
    stream->stamps.committed = worker->loop.now_us;
    stream->output_ms = worker->loop.now_ms;
    metrics_add(&worker->metrics->streams_committed, 1);
    loop_cancel(&worker->loop, &stream->patience);
    loop_arm(&worker->loop, &stream->ping, stream_timeouts(stream)->keepalive_ms);
    return 0;
}

/*
 * Something that means nothing, between two events. To a reader of JSON that is white space. For Gemini's events there is
 * none: its client libraries want every byte to belong to a "data:" line, some take even an empty line for an error.
 */
static int
put_ping(struct stream *stream)
{
    struct frames *frames = &stream->worker->frames;
    if (stream->json_array) {
        stream_open_array(stream);
        sink_byte(&stream->worker->text, '\n');
        return stream->worker->text.error ? -ERR_MEMORY : 0;
    }
    frames_clear(frames);
    stream->dialect->write_ping(stream->dialect_writer, frames);
    return stream_put_frames(stream, frames, NULL);
}

static enum stream_event
commit_now(struct stream *stream)
{
    if (stream->committed || !stream->streaming)
        return EVENT_NONE;
    struct frames *frames = &stream->worker->frames;
    frames_clear(frames);
    sink_reset(&stream->worker->text, 131072);
    int error = stream_commit(stream);
    if (error == 0)
        error = stream->dialect->write_start(stream->dialect_writer, frames);
    if (error == 0)
        error = stream_put_frames(stream, frames, NULL);
    if (error == 0)
        error = put_ping(stream);
    if (error == 0)
        error = stream_flush_text(stream);
    metrics_add(&stream->worker->metrics->commits_early, 1);
    return error < 0 ? stream_fail(stream, error) : EVENT_NONE;
}

enum stream_event
act_commit_early(struct stream *stream)
{
    return deadline_armed(&stream->patience) ? EVENT_NONE : commit_now(stream);
}

/* Bytes that are not ours, and events that nothing may stand between. */
static bool
has_no_ping(const struct stream *stream)
{
    return stream->endpoint == ENDPOINT_RELAY || (stream->dialect->id == DIALECT_GEMINI && !stream->json_array);
}

static enum stream_event
send_ping(struct stream *stream)
{
    struct worker *worker = stream->worker;
    if (has_no_ping(stream) || stream->detached) /* who follows is told by its own stream */
        return EVENT_NONE;
    sink_reset(&worker->text, 131072);
    int error = put_ping(stream);
    if (error == 0)
        error = stream_flush_text(stream);
    stream->keepalives++;
    metrics_add(&worker->metrics->keepalives, 1);
    return error < 0 ? stream_fail(stream, error) : EVENT_NONE;
}

enum stream_event
act_ping(struct stream *stream)
{
    struct worker *worker = stream->worker;
    uint64_t keepalive_ms = stream_timeouts(stream)->keepalive_ms;
    uint64_t quiet_ms = worker->loop.now_ms - stream->output_ms;
    if (!stream->committed)
        return EVENT_NONE;
    loop_arm(&worker->loop, &stream->ping, quiet_ms < keepalive_ms ? keepalive_ms - quiet_ms : keepalive_ms);
    return quiet_ms < keepalive_ms ? EVENT_NONE : send_ping(stream);
}

/* The size of the next chunk, the last one too, may begin with a zero (RFC 9112, 7.1). */
static enum stream_event
send_zero(struct stream *stream)
{
    if (stream->chunked && conn_put(stream->client, SLICE_LIT("0")) < 0)
        return stream_fail(stream, -ERR_MEMORY);
    return EVENT_NONE;
}

/*
 * The client has sent its FIN: gone, or only done with sending? We ask by sending something harmless. One that
 * has gone answers with a reset (CLIENT_GONE); a half-closed one takes it and gets its whole reply.
 */
enum stream_event
act_ask(struct stream *stream)
{
    if (!conn_said_all(stream->client) || stream->asked)
        return EVENT_NONE;
    stream->asked = true;
    if (stream->committed && has_no_ping(stream))
        return send_zero(stream);
    if (stream->committed)
        return send_ping(stream);
    if (stream->http10) /* which knows no interim replies */
        return commit_now(stream);
    if (conn_put(stream->client, SLICE_LIT("HTTP/1.1 102 Processing\r\n\r\n")) < 0)
        return stream_fail(stream, -ERR_MEMORY);
    return EVENT_NONE;
}
