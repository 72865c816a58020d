/* SPDX-License-Identifier: MIT
 *
 * resume.c - a stream's side of its tape, as the one who writes it and as the one who follows.
 *
 * Who writes goes on without its client: what it says goes to the tape only, and a tape whose reader is slow makes it wait as
 * a slow client would. Who follows is an exchange in FINISH whose `collected` is filled again and again.
 */
#include "gateway/resume.h"
#include "base/text.h"
#include "gateway/endpoint.h"
#include "gateway/tape.h"
#include "gateway/worker.h"
#include "reactor/wire.h"

#define FOLLOW_PIECE_BYTES 65536u /* read from the tape at once */

static uint64_t
ttl_ms(const struct stream *stream)
{
    return stream->worker->gateway->tapes ? stream->generation->config->sse_resume_ms : 0;
}

static bool
is_resumable(enum endpoint endpoint)
{
    return endpoint == ENDPOINT_CHAT || endpoint == ENDPOINT_MESSAGES || endpoint == ENDPOINT_RESPONSES || endpoint == ENDPOINT_TEXT;
}

static struct tape_name
name_of(const struct stream *stream, struct slice id)
{
    bool keyed = stream->key_index >= 0;
    struct slice owner = keyed ? stream->generation->config->keys[stream->key_index].name : SLICE_LIT("");
    return (struct tape_name){.id = id, .owner = owner, .kind = (unsigned)stream->endpoint};
}

/* ---------------------------------------------------------------- writing */

void
resume_record(struct stream *stream)
{
    const struct config *config = stream->generation->config;
    if (stream->tape || ttl_ms(stream) == 0 || !config->sse_ids || stream->http10 || !is_resumable(stream->endpoint))
        return;
    struct tape_name name = name_of(stream, slice_of(stream->id, TAPE_ID_LEN));
    stream->tape = tape_new(stream->worker->gateway->tapes, &name, stream, config->limits.resume_bytes,
                            config->limits.resume_streams);
}

void
resume_keep(struct stream *stream, uint64_t serial, struct slice bytes)
{
    if (stream->tape && !tape_append(stream->tape, serial, bytes) && stream->detached)
        stream_post(stream, EVENT_CLIENT_GONE); /* nobody can have the rest any more */
}

bool
resume_must_wait(struct stream *stream)
{
    return stream->detached && tape_full(stream->tape);
}

/* The client has gone, or was replaced. A stream that is kept goes on without, until nobody can want it any more. */
enum stream_event
act_lose_client(struct stream *stream)
{
    struct loop *loop = &stream->worker->loop;
    uint64_t ttl = stream->tape && stream->sse_serial > 0 ? ttl_ms(stream) : 0; /* without a number nobody can ask */
    if (ttl == 0)
        return EVENT_LEAVE;
    if (!stream->detached) {
        stream->detached = stream->left = stream->severed = true;
        tape_left(stream->tape, loop->now_ms);
        conn_fail(stream->client, -ERR_RESET); /* whatever is still on its way there would lack its end */
    }
    uint64_t since = tape_alone_ms(stream->tape);
    bool alone = since != UINT64_MAX;
    if (since == 0 || (alone && (stream->worker->draining || since + ttl <= loop->now_ms)))
        return EVENT_LEAVE; /* who drains lets nobody come back */
    loop_arm(loop, &stream->patience, alone ? since + ttl - loop->now_ms : ttl);
    return stream->state == STATE_STALL ? EVENT_CLIENT_ROOM : EVENT_NONE;
}

/* ---------------------------------------------------------------- following */

/* "<id>-<number>", as our own id: lines are. */
static bool
read_event_id(struct slice text, struct slice *id, uint64_t *serial)
{
    *id = slice_take(text, TAPE_ID_LEN);
    struct slice rest = slice_skip(text, TAPE_ID_LEN);
    return id->len == TAPE_ID_LEN && rest.len > 1 && rest.ptr[0] == '-' && text_u64(slice_skip(rest, 1), serial);
}

bool
resume_wanted(const struct stream *stream, enum endpoint endpoint)
{
    return ttl_ms(stream) > 0 && is_resumable(endpoint) && text_trim(http_field(stream->head, "last-event-id")).len > 0;
}

bool
resume_asked(const struct stream *stream)
{
    return resume_wanted(stream, stream->endpoint);
}

int
resume_answer(struct stream *stream)
{
    struct tape_store *store = stream->worker->gateway->tapes;
    struct slice id;
    uint64_t serial = 0;
    bool said = read_event_id(text_trim(http_field(stream->head, "last-event-id")), &id, &serial);
    struct tape_name name = name_of(stream, id);
    stream->tape = said ? tape_find(store, &name) : NULL;
    bool attached = stream->tape && tape_attach(stream->tape, stream, serial, &stream->follow_offset, &stream->follow_ticket);
    if (!attached && stream->tape)
        tape_drop(stream->tape);
    if (!attached) {
        stream->tape = NULL;
        atomic_fetch_add_explicit(&store->refused, 1, memory_order_relaxed);
        return -ERR_NO_STREAM;
    }
    int error = stream_commit(stream);
    if (error < 0) {
        resume_forget(stream);
        return error;
    }
    stream->streaming = true;
    atomic_fetch_add_explicit(&store->resumed, 1, memory_order_relaxed);
    sink_reset(&stream->collected, 65536);
    stream->collected_sent = 0;
    return 0;
}

bool
resume_follows(const struct stream *stream)
{
    return stream->follow_ticket > 0 && !stream->follow_over;
}

static void
put_piece(struct stream *stream, struct slice piece)
{
    if (stream->chunked)
        http_put_chunk(&stream->collected, piece);
    else
        sink_put(&stream->collected, piece);
}

/* What is missing must not look like an end, however often it is said. */
static enum stream_event
cut(struct stream *stream, bool replaced)
{
    stream->severed = true;
    stream->end = replaced ? END_CLIENT_CLOSE : END_UPSTREAM_ERROR;
    return replaced ? EVENT_FAILED : stream_fail(stream, -ERR_NO_STREAM);
}

enum stream_event
resume_pull(struct stream *stream)
{
    struct sink *piece = &stream->worker->text;
    sink_reset(piece, 131072);
    enum tape_got got = tape_read(stream->tape, stream->follow_ticket, &stream->follow_offset, FOLLOW_PIECE_BYTES, piece);
    bool torn = piece->error != 0;
    sink_reset(&stream->collected, 65536);
    stream->collected_sent = 0;
    if (got == TAPE_BYTES && !torn)
        put_piece(stream, sink_slice(piece));
    if (got == TAPE_OVER) {
        if (stream->chunked)
            http_put_last_chunk(&stream->collected);
        stream->follow_over = true;
        stream->end = END_DONE;
    }
    sink_reset(piece, 131072);
    if (got == TAPE_CUT || got == TAPE_REPLACED || torn || stream->collected.error)
        return cut(stream, got == TAPE_REPLACED);
    return EVENT_NONE;
}

enum stream_event
act_ping_follower(struct stream *stream)
{
    struct worker *worker = stream->worker;
    uint64_t keepalive_ms = stream_timeouts(stream)->keepalive_ms, quiet_ms = worker->loop.now_ms - stream->output_ms;
    if (!resume_follows(stream))
        return EVENT_NONE;
    loop_arm(&worker->loop, &stream->ping, quiet_ms < keepalive_ms ? keepalive_ms - quiet_ms : keepalive_ms);
    enum stream_event verdict = act_feed(stream); /* should a letter have been lost */
    bool idle = resume_follows(stream) && stream->collected.len == 0 && conn_unsent(stream->client) == 0;
    if (verdict == EVENT_FAILED || !idle || quiet_ms < keepalive_ms)
        return verdict;
    sink_reset(&worker->text, 131072);
    sse_put_comment(&worker->text, SLICE_LIT("keep-alive")); /* all that was read were whole events */
    put_piece(stream, sink_slice(&worker->text));
    sink_reset(&worker->text, 131072);
    stream->keepalives++;
    metrics_add(&worker->metrics->keepalives, 1);
    return EVENT_CLIENT_ROOM;
}

void
resume_forget(struct stream *stream)
{
    uint64_t now_ms = stream->worker->loop.now_ms;
    loop_cancel(&stream->worker->loop, &stream->patience);
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
