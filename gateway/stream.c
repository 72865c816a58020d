/* SPDX-License-Identifier: MIT
 *
 * stream.c - the stream table and the only function that changes a stream's state.
 *
 *     notices (bits) --> step --> table row --> action --> verdict --> table row --> ... --> quiet
 *
 * A notice without a row is stale: dropped and counted. A verdict without a row is a bug and asserts.
 */
#include "gateway/stream.h"
#include "gateway/worker.h"
#include "reactor/backend.h"

#include <stdlib.h>

#define EXCUSES 2u          /* turns that a late deadline waits: one may have heard of nothing, one has read */
#define EXCUSES_BEHIND 250u /* and while waits report all that they can at once: more than 60,000 connections */
#define LATE_MS 10u /* behind its deadline: the loop was stopped, or is overloaded */
#define VERDICTS_MAX 32 /* longest chain of verdicts one notice may cause */
#define REPLY_FIRST_BYTES 1264 /* names and codecs of a plain stream; what more others need ... */
#define REPLY_BLOCK_BYTES 256  /* ... comes in small pieces */

static const char *const state_names[] = {
#define X(name) #name,
    STREAM_STATES(X)
#undef X
};

static const char *const event_names[] = {
#define X(name) #name,
    STREAM_NOTICES(X) STREAM_VERDICTS(X)
#undef X
};

static const char *const end_names[] = {
#define X(name, text) text,
    STREAM_ENDS(X)
#undef X
};

const char *
stream_state_name(enum stream_state state)
{
    return (unsigned)state < STATE_COUNT ? state_names[state] : "?";
}

const char *
stream_event_name(enum stream_event event)
{
    return (unsigned)event < EVENT_COUNT ? event_names[event] : "?";
}

const char *
stream_end_name(enum stream_end end)
{
    return (unsigned)end < END_COUNT ? end_names[end] : "?";
}

struct row {
    uint8_t to; /* state + 1; 0: no row */
    stream_action *action;
    const char *name;
};

#define ROW(from, event, to, action)                                                               \
    [STATE_##from][EVENT_##event] = {STATE_##to + 1, act_##action, #action}

/* What every state between BODY and the end of the reply has in common. */
#define ROWS_WAITING(state)                                                                        \
    ROW(state, STEP_DUE, state, judge), ROW(state, TOTAL_DUE, state, judge),                       \
        ROW(state, FAILED, state, judge), ROW(state, NEXT, DIAL, dial),                            \
        ROW(state, CLIENT_GONE, state, lose_client), ROW(state, LEAVE, CLOSED, cancel),            \
        ROW(state, REJECT, FINISH, refuse), ROW(state, BREAK, FINISH, break_off)
/* And what those have that may have to speak to the client before the upstream has. */
#define ROWS_SILENT(state)                                                                         \
    ROW(state, COMMIT_DUE, state, commit_early), ROW(state, PING_DUE, state, ping),                \
        ROW(state, CLIENT_BYTES, state, ask)

static const struct row table[STATE_COUNT][EVENT_COUNT] = {
    ROW(IDLE, CLIENT_BYTES, HEAD, begin_request),
    ROW(IDLE, STEP_DUE, CLOSED, depart),
    ROW(IDLE, DRAIN, CLOSED, depart),
    ROW(IDLE, CLIENT_GONE, CLOSED, depart),

    ROW(HEAD, CLIENT_BYTES, HEAD, read_head),
    ROW(HEAD, HEAD_DONE, BODY, begin_body),
    ROW(HEAD, KEEP, IDLE, rest),
    ROW(HEAD, LEAVE, CLOSED, depart),
    ROW(HEAD, FAILED, FINISH, refuse),
    ROW(HEAD, STEP_DUE, FINISH, refuse),
    ROW(HEAD, TOTAL_DUE, FINISH, refuse),
    ROW(HEAD, CLIENT_GONE, CLOSED, cancel),

    ROW(BODY, CLIENT_BYTES, BODY, read_body),
    ROW(BODY, BODY_DONE, DIAL, choose),
    ROW(BODY, FAILED, FINISH, refuse),
    ROW(BODY, STEP_DUE, FINISH, refuse),
    ROW(BODY, TOTAL_DUE, FINISH, refuse),
    ROW(BODY, CLIENT_GONE, CLOSED, cancel),

    ROWS_WAITING(DIAL),
    ROWS_SILENT(DIAL),
    ROW(DIAL, TURN, DIAL, dial),
    ROW(DIAL, ANSWER, FINISH, answer),
    ROW(DIAL, UPSTREAM_LOST, DIAL, judge),
    ROW(DIAL, UPSTREAM_UP, SEND, send_request),

    ROWS_WAITING(SEND),
    ROWS_SILENT(SEND),
    ROW(SEND, ANSWER, FINISH, answer),
    ROW(SEND, UPSTREAM_ROOM, SEND, send_more),
    ROW(SEND, UPSTREAM_SENT, AWAIT, read_reply),
    ROW(SEND, UPSTREAM_BYTES, SEND, read_reply),
    ROW(SEND, REPLY_OK, RELAY, begin_reply),
    ROW(SEND, REPLY_WHOLE, COLLECT, collect),

    ROWS_WAITING(AWAIT),
    ROWS_SILENT(AWAIT),
    ROW(AWAIT, ANSWER, FINISH, answer),
    ROW(AWAIT, UPSTREAM_BYTES, AWAIT, read_reply),
    ROW(AWAIT, REPLY_OK, RELAY, begin_reply),
    ROW(AWAIT, REPLY_WHOLE, COLLECT, collect),

    ROWS_WAITING(COLLECT),
    ROWS_SILENT(COLLECT),
    ROW(COLLECT, ANSWER, FINISH, answer),
    ROW(COLLECT, UPSTREAM_BYTES, COLLECT, collect),
    ROW(COLLECT, WHOLE, FINISH, deliver),

    ROWS_WAITING(RELAY),
    ROWS_SILENT(RELAY),
    ROW(RELAY, UPSTREAM_BYTES, RELAY, pump),
    ROW(RELAY, CLIENT_FULL, STALL, pause),
    ROW(RELAY, REPLY_DONE, FINISH, end_reply),

    ROW(STALL, CLIENT_ROOM, RELAY, resume),
    ROW(STALL, CLIENT_EMPTY, RELAY, resume),
    ROW(STALL, STEP_DUE, STALL, check_drain),
    ROW(STALL, FAILED, STALL, judge),
    ROW(STALL, TOTAL_DUE, STALL, judge),
    ROW(STALL, BREAK, FINISH, break_off),
    ROW(STALL, CLIENT_GONE, STALL, lose_client),
    ROW(STALL, LEAVE, CLOSED, cancel),

    ROW(FINISH, CLIENT_ROOM, FINISH, feed),
    ROW(FINISH, TURN, FINISH, feed),
    ROW(FINISH, PING_DUE, FINISH, ping_follower),
    ROW(FINISH, CLIENT_EMPTY, FINISH, part),
    ROW(FINISH, STEP_DUE, FINISH, check_drain),
    ROW(FINISH, FAILED, CLOSED, cancel),
    ROW(FINISH, KEEP, IDLE, rest),
    ROW(FINISH, LEAVE, CLOSED, depart),
    ROW(FINISH, CLIENT_GONE, CLOSED, cancel),
};

enum stream_state
stream_next(enum stream_state state, enum stream_event event, const char **action)
{
    const struct row *row = &table[state][event];
    if (row->to == 0)
        return STATE_COUNT;
    if (action)
        *action = row->name;
    return (enum stream_state)(row->to - 1);
}

void
stream_post(struct stream *stream, enum stream_event notice)
{
    assert(stream->magic == MAGIC_STREAM);
    assert((int)notice < EVENT_NOTICES);
    stream->notices |= 1u << notice;
    loop_post(&stream->worker->loop, &stream->task);
}

void
stream_arm_step(struct stream *stream, uint64_t after_ms)
{
    stream->notices &= ~(1u << EVENT_STEP_DUE);
    stream->excuses = 0;
    loop_arm(&stream->worker->loop, &stream->step, after_ms);
}

static void
trace(struct stream *stream, enum stream_event event, enum stream_state to)
{
    struct worker *worker = stream->worker;
    struct flight_record *record = &worker->flight[worker->flight_at++ % FLIGHT_RECORDS];
    *record = (struct flight_record){worker->loop.now_us, stream->serial, (uint8_t)stream->state,
                                     (uint8_t)event, (uint8_t)to};
    metrics_add(&worker->metrics->transitions[stream->state][event], 1);
    if (log_on(LOG_DEBUG1) && (stream->state != to || log_on(LOG_DEBUG2))) {
        struct log_line line;
        log_begin(&line, LOG_DEBUG1, "transition");
        log_i64(&line, "worker", worker->number);
        log_i64(&line, "stream", (int64_t)stream->serial);
        log_text(&line, "request_id", stream->request_id);
        log_text(&line, "from", state_names[stream->state]);
        log_text(&line, "event", event_names[event]);
        log_text(&line, "to", state_names[to]);
        log_end(&line);
    }
}

/* The only clock that is read outside the loop: what a tick's clock can not show is how long we work ourselves. */
uint64_t
stream_clock(const struct stream *stream)
{
    struct loop *loop = &stream->worker->loop;
    return loop->ops->clock(loop);
}

/* One row and the verdicts that follow from it. */
static void
step(struct stream *stream, enum stream_event event)
{
    for (int chain = 0; event != EVENT_NONE; chain++) {
        assert(chain < VERDICTS_MAX);
        const struct row *row = &table[stream->state][event];
        if (row->to == 0) {
            assert((int)event < EVENT_NOTICES); /* a verdict without a row is our bug */
            metrics_add(&stream->worker->metrics->stale_notices, 1);
            return;
        }
        enum stream_state to = (enum stream_state)(row->to - 1);
        trace(stream, event, to);
        if (event == EVENT_CLIENT_GONE && !stream->left)
            metrics_add(&stream->worker->metrics->disconnects[stream->state], 1);
        stream->state = to;
        event = row->action(stream);
        if (stream->state == STATE_CLOSED)
            return;
    }
}

static void
run(struct task *task)
{
    struct stream *stream = container_of(task, struct stream, task);
    struct loop *loop = &stream->worker->loop;
    assert(stream->magic == MAGIC_STREAM);
    /* Of tasks that run one after the other, one begins when the last one ended. */
    stream->run_began_us = loop->tasks_us ? loop->tasks_us : stream_clock(stream);
    while (stream->notices != 0 && stream->state != STATE_CLOSED) {
        int notice = __builtin_ctz(stream->notices);
        stream->notices &= stream->notices - 1;
        step(stream, (enum stream_event)notice);
    }
    loop->tasks_us = stream_clock(stream);
    stream->worked_us += loop->tasks_us - stream->run_began_us;
    if (stream->state == STATE_CLOSED)
        stream_free(stream);
}

static void
total_due(struct deadline *deadline)
{
    stream_post(container_of(deadline, struct stream, total), EVENT_TOTAL_DUE);
}

/*
 * Who was stopped for longer than a timer runs, or had too much to do, finds it due before it has read what came in the
 * meantime. That is our lateness and not the peer's: again after what is there has been read. The wait that was interrupted
 * has heard of nothing, the next one hears of it in the very turn that may find the timer due once more, and a wait can not
 * tell of everybody.
 */
static void
step_due(struct deadline *deadline)
{
    struct stream *stream = container_of(deadline, struct stream, step);
    struct loop *loop = &stream->worker->loop;
    bool late = loop->now_ms > deadline->at_ms + LATE_MS;
    if (stream->excuses == 0 ? late : stream->excuses < EXCUSES || (loop->behind && stream->excuses < EXCUSES_BEHIND)) {
        stream->excuses++;
        loop_arm(loop, &stream->step, 1);
        return;
    }
    stream->excuses = 0;
    stream_post(stream, EVENT_STEP_DUE);
}

static void
ping_due(struct deadline *deadline)
{
    stream_post(container_of(deadline, struct stream, ping), EVENT_PING_DUE);
}

static void
patience_due(struct deadline *deadline)
{
    struct stream *stream = container_of(deadline, struct stream, patience);
    stream_post(stream, stream->detached ? EVENT_CLIENT_GONE : EVENT_COMMIT_DUE);
}

/* An END asks a question; the answer is a reset (LOST), or silence. See ask in relay.c. */
void
stream_client_notify(void *owner, struct conn *conn, unsigned notices)
{
    struct stream *stream = owner;
    assert(stream->magic == MAGIC_STREAM);
    (void)conn;
    if (notices & CONN_LOST)
        stream_post(stream, EVENT_CLIENT_GONE);
    if (notices & (CONN_BYTES | CONN_END))
        stream_post(stream, EVENT_CLIENT_BYTES);
    /* Only a state that waits for space is told of it; entering one looks at the level, so no edge is lost. */
    bool waits = stream->state == STATE_STALL || stream->state == STATE_FINISH;
    if ((notices & CONN_ROOM) && waits)
        stream_post(stream, EVENT_CLIENT_ROOM);
    if ((notices & CONN_EMPTY) && waits)
        stream_post(stream, EVENT_CLIENT_EMPTY);
}

void
stream_upstream_notify(void *owner, struct conn *conn, unsigned notices)
{
    struct stream *stream = owner;
    assert(stream->magic == MAGIC_STREAM);
    if (notices & CONN_UP)
        stream_post(stream, EVENT_UPSTREAM_UP);
    if ((notices & CONN_LOST) && !conn->up)
        stream_post(stream, EVENT_UPSTREAM_LOST);
    if ((notices & (CONN_BYTES | CONN_END)) || ((notices & CONN_LOST) && conn->up))
        stream_post(stream, EVENT_UPSTREAM_BYTES);
    if ((notices & (CONN_ROOM | CONN_EMPTY)) && stream->state == STATE_SEND)
        stream_post(stream, EVENT_UPSTREAM_ROOM);
}

/* A connection outlives configurations: each exchange has the limits of the one that it began with. */
void
stream_take_limits(struct stream *stream, const struct config *config)
{
    const struct config_limits *from = &config->limits;
    stream->request.max = from->body_bytes * 8 + (16u << 20);
    stream->collected.max = from->reply_bytes * 2 + 4096;
    stream->client->out_high = from->queue_bytes;
    stream->client->out_low = from->queue_bytes / 2;
}

static void
ignore(void *owner, struct conn *conn, unsigned notices)
{
    (void)owner;
    (void)conn;
    (void)notices;
}

/* One connection too many is told so, unread, and closed behind the answer: a reset would explain nothing. */
static void
turn_away(struct worker *worker, int fd, const char *peer)
{
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 109\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n"
        "{\"error\":{\"message\":\"too many connections\",\"type\":\"server_error\",\"param\":null,"
        "\"code\":\"too_many_connections\"}}";
    struct conn *conn;
    metrics_add(&worker->metrics->rejected_connections, 1);
    if (conn_adopt(&worker->loop, fd, worker->generation->server_key, peer, ignore, worker, &conn) < 0) {
        worker->loop.ops->socket_close(&worker->loop, fd, true);
        return;
    }
    bool said = conn_put(conn, slice_of(answer, sizeof answer - 1)) == 0;
    conn_close(conn, !said);
}

struct stream *
stream_new(struct worker *worker, int fd, const char *peer)
{
    const struct config *config = worker->generation->config;
    if (worker->stream_count >= config->limits.connections) {
        turn_away(worker, fd, peer);
        return NULL;
    }
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        metrics_add(&worker->metrics->rejected_connections, 1);
        worker->loop.ops->socket_close(&worker->loop, fd, true);
        return NULL;
    }
    stream->magic = MAGIC_STREAM;
    stream->worker = worker;
    stream->serial = ++worker->next_serial;
    task_init(&stream->task, run);
    list_init(&stream->link);
    list_init(&stream->token_wait);
    deadline_init(&stream->total, total_due);
    deadline_init(&stream->step, step_due);
    deadline_init(&stream->ping, ping_due);
    deadline_init(&stream->patience, patience_due);
    arena_init_pooled(&stream->request, SIZE_MAX, &worker->blocks); /* their limits follow when there is a connection */
    arena_init_small(&stream->reply, 4u << 20, REPLY_FIRST_BYTES, REPLY_BLOCK_BYTES);
    sink_init(&stream->collected, SIZE_MAX);
    if (conn_adopt(&worker->loop, fd, worker->generation->server_key, peer, stream_client_notify,
                   stream, &stream->client) < 0) {
        metrics_add(&worker->metrics->rejected_connections, 1);
        worker->loop.ops->socket_close(&worker->loop, fd, true);
        free(stream);
        return NULL;
    }
    stream_take_limits(stream, config);
    list_push_back(&worker->streams, &stream->link);
    worker->stream_count++;
    metrics_add(&worker->metrics->client_connections, 1);
    metrics_add(&worker->metrics->connections_active, 1);
    stream_arm_step(stream, config->head_ms);
    return stream;
}

void
stream_free(struct stream *stream)
{
    struct worker *worker = stream->worker;
    assert(stream->magic == MAGIC_STREAM);
    assert(stream->state == STATE_CLOSED);
    assert(stream->lease == NULL);
    loop_cancel(&worker->loop, &stream->total);
    loop_cancel(&worker->loop, &stream->step);
    loop_cancel(&worker->loop, &stream->ping);
    loop_cancel(&worker->loop, &stream->patience);
    list_remove(&stream->task.link);
    list_remove(&stream->link);
    worker->stream_count--;
    metrics_sub(&worker->metrics->connections_active, 1);
    stream_release_request(stream);
    sink_fini(&stream->collected);
    arena_fini(&stream->request);
    arena_fini(&stream->reply);
    stream->magic = 0;
    free(stream);
}
