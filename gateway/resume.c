/* SPDX-License-Identifier: MIT
 *
 * resume.c - a stream's side of its tape, as the one who writes it and as the one who follows.
 */
#include "gateway/resume.h"
#include "base/text.h"
#include "gateway/endpoint.h"
#include "gateway/tape.h"
#include "gateway/worker.h"

#define FOLLOW_PIECE_BYTES 65536u /* read from the tape at once */

static uint64_t
ttl_ms(const struct stream *stream)
{
    return stream->worker->gateway->tapes ? stream->generation->config->sse_resume_ms : 0;
}

static struct slice
owner_of(const struct stream *stream)
{
    return stream->key_index >= 0 ? stream->generation->config->keys[stream->key_index].name : SLICE_LIT("");
}

/* ---------------------------------------------------------------- writing */

void
resume_record(struct stream *stream)
{
    const struct config *config = stream->generation->config;
    bool numbered = config->sse_ids && !stream->json_array && stream->dialect->id != DIALECT_GEMINI;
    if (stream->tape || ttl_ms(stream) == 0 || !numbered || stream->http10 || stream->endpoint == ENDPOINT_RELAY)
        return;
    stream->tape = tape_new(stream->worker->gateway->tapes, slice_from(stream->id), owner_of(stream), config->limits.resume_bytes,
                            config->limits.resume_streams, stream->worker->loop.now_ms);
}

void
resume_keep(struct stream *stream, uint64_t serial, struct slice bytes)
{
    if (stream->tape && stream->follow_ticket == 0)
        (void)tape_append(stream->tape, serial, bytes); /* what can not be kept can not be resumed: the reader is told */
}

/* The client has gone. A stream that is kept goes on without, until nobody can want it any more. */
enum stream_event
act_lose_client(struct stream *stream)
{
    struct loop *loop = &stream->worker->loop;
    uint64_t ttl = stream->tape ? ttl_ms(stream) : 0;
    bool spilled;
    if (ttl == 0 || stream->follow_ticket > 0)
        return EVENT_LEAVE;
    if (!stream->detached) {
        tape_left(stream->tape, loop->now_ms);
        stream->detached = true;
    }
    uint64_t since = tape_alone_ms(stream->tape, &spilled);
    if (since != UINT64_MAX && (spilled || since + ttl <= loop->now_ms))
        return EVENT_LEAVE;
    loop_arm(loop, &stream->lonely, since == UINT64_MAX ? ttl : since + ttl - loop->now_ms);
    return stream->state == STATE_STALL ? EVENT_CLIENT_ROOM : EVENT_NONE;
}

/* ---------------------------------------------------------------- following */

/* "<id>-<number>", as our own id: lines are. */
static bool
read_event_id(struct slice text, struct slice *id, uint64_t *serial)
{
    struct slice rest = text_trim(text);
    *id = slice_take(rest, TAPE_ID_LEN);
    rest = slice_skip(rest, TAPE_ID_LEN);
    return id->len == TAPE_ID_LEN && rest.len > 1 && rest.ptr[0] == '-' && text_u64(slice_skip(rest, 1), serial);
}

bool
resume_asked(const struct stream *stream)
{
    struct slice id;
    uint64_t serial;
    return ttl_ms(stream) > 0 && stream->endpoint != ENDPOINT_RELAY && endpoint_is_work(stream->endpoint) &&
           stream->endpoint != ENDPOINT_COUNT_TOKENS && read_event_id(http_field(stream->head, "last-event-id"), &id, &serial);
}

int
resume_answer(struct stream *stream)
{
    struct tape_store *store = stream->worker->gateway->tapes;
    struct slice id;
    uint64_t serial;
    bool asked = read_event_id(http_field(stream->head, "last-event-id"), &id, &serial);
    struct tape *tape = asked ? tape_find(store, id, owner_of(stream)) : NULL;
    if (!tape || !tape_attach(tape, stream, serial, &stream->follow_offset, &stream->follow_ticket)) {
        if (tape)
            tape_drop(tape);
        atomic_fetch_add_explicit(&store->refused, 1, memory_order_relaxed);
        return -ERR_NO_STREAM;
    }
    stream->tape = tape;
    stream->streaming = true;
    stream->end = END_DONE; /* whatever becomes of the stream itself is told in its own line */
    int error = stream_commit(stream);
    if (error < 0)
        return error;
    atomic_fetch_add_explicit(&store->resumed, 1, memory_order_relaxed);
    sink_reset(&stream->collected, 0);
    stream->collected_sent = 0;
    return 0;
}

bool
resume_follows(const struct stream *stream)
{
    return stream->follow_ticket > 0 && !stream->follow_over;
}

bool
resume_pull(struct stream *stream)
{
    struct sink *piece = &stream->worker->text;
    sink_reset(piece, 131072);
    enum tape_got got = tape_read(stream->tape, stream->follow_ticket, &stream->follow_offset, FOLLOW_PIECE_BYTES, piece);
    sink_reset(&stream->collected, 65536);
    stream->collected_sent = 0;
    if (got == TAPE_BYTES)
        http_put_chunk(&stream->collected, sink_slice(piece));
    if (got == TAPE_OVER) {
        http_put_last_chunk(&stream->collected);
        stream->follow_over = true;
    }
    sink_reset(piece, 131072);
    return got != TAPE_CUT && stream->collected.error == 0;
}

enum stream_event
act_ping_follower(struct stream *stream)
{
    struct worker *worker = stream->worker;
    uint64_t keepalive_ms = stream_timeouts(stream)->keepalive_ms, quiet_ms = worker->loop.now_ms - stream->output_ms;
    if (!resume_follows(stream))
        return EVENT_NONE;
    loop_arm(&worker->loop, &stream->ping, quiet_ms < keepalive_ms ? keepalive_ms - quiet_ms : keepalive_ms);
    if (quiet_ms >= keepalive_ms && conn_unsent(stream->client) == 0 && stream->collected_sent == stream->collected.len) {
        sink_reset(&stream->collected, 65536);
        stream->collected_sent = 0;
        http_put_chunk(&stream->collected, SLICE_LIT(": keep-alive\n\n"));
        stream->keepalives++;
        metrics_add(&worker->metrics->keepalives, 1);
    }
    return EVENT_CLIENT_ROOM; /* and look at the tape, should a letter have been lost */
}

void
resume_forget(struct stream *stream)
{
    uint64_t now_ms = stream->worker->loop.now_ms;
    loop_cancel(&stream->worker->loop, &stream->lonely);
    if (stream->tape && stream->follow_ticket > 0)
        tape_detach(stream->tape, stream->follow_ticket, now_ms);
    else if (stream->tape)
        tape_end(stream->tape, stream->tape_whole, now_ms);
    if (stream->tape)
        tape_drop(stream->tape);
    stream->tape = NULL;
    stream->follow_ticket = stream->follow_offset = 0;
    stream->follow_over = stream->detached = stream->tape_whole = false;
}
