/* SPDX-License-Identifier: MIT
 *
 * demo.c - the demo provider: a small model server in the gateway's own loop, spoken to over real sockets.
 *
 * It answers in the dialect of the path it is asked on, one word per event, paced by a deadline. What it says is a
 * script of deltas made from the request: the same script is written as OpenAI Chat or as Anthropic, streamed or whole.
 */
#include "gateway/demo.h"
#include "base/json.h"
#include "gateway/demo_script.h"
#include "gateway/worker.h"
#include "reactor/backend.h"

#include <stdlib.h>

#define DEMO_BODY_MAX (64u << 20)
#define DEMO_OUT_HIGH 65536u

struct demo {
    struct listener listener;
    struct list conns;
};

struct demo_conn {
    struct list link;
    struct task task;
    struct deadline pace;
    struct worker *worker;
    struct conn *conn;
    struct http_reader reader;
    struct http_head *head;
    struct http_body body;
    struct sink bytes; /* request body */
    struct arena arena;
    struct demo_script script;
    bool have_head, streaming, sleeping, dead;
    uint64_t serial;
};

static void
destroy(struct demo_conn *conn, bool cut)
{
    struct loop *loop = &conn->worker->loop;
    loop_cancel(loop, &conn->pace);
    list_remove(&conn->task.link);
    list_remove(&conn->link);
    conn_close(conn->conn, cut);
    http_reader_fini(&conn->reader);
    sink_fini(&conn->bytes);
    arena_fini(&conn->arena);
    free(conn);
}

static void
next_request(struct demo_conn *conn)
{
    conn->have_head = conn->streaming = false;
    http_reader_reset(&conn->reader);
    sink_reset(&conn->bytes, 4096);
    arena_reset(&conn->arena);
    loop_post(&conn->worker->loop, &conn->task);
}

static bool
send_whole(struct demo_conn *conn, int status, struct slice body)
{
    struct sink *head = &conn->worker->head;
    sink_reset(head, 65536);
    http_put_status(head, status);
    http_put_field(head, "Content-Type", SLICE_LIT("application/json"));
    http_put_field_u64(head, "Content-Length", body.len);
    http_put_end_of_head(head);
    return conn_put(conn->conn, sink_slice(head)) == 0 && conn_put(conn->conn, body) == 0;
}

static bool
send_stream_head(struct demo_conn *conn)
{
    struct sink *head = &conn->worker->head;
    sink_reset(head, 65536);
    http_put_status(head, 200);
    http_put_field(head, "Content-Type", SLICE_LIT("text/event-stream; charset=utf-8"));
    http_put_field(head, "Transfer-Encoding", SLICE_LIT("chunked"));
    http_put_end_of_head(head);
    return conn_put(conn->conn, sink_slice(head)) == 0;
}

/* One step of the script as one chunk. false: the connection is of no more use. */
static bool
send_step(struct demo_conn *conn)
{
    struct sink *text = &conn->worker->text;
    struct sink *head = &conn->worker->head;
    sink_reset(text, 65536);
    sink_reset(head, 65536);
    bool more = demo_script_step(&conn->script, text);
    http_put_chunk(head, sink_slice(text));
    sink_reset(text, 65536);
    if (!more)
        http_put_last_chunk(head);
    if (head->error || conn_put(conn->conn, sink_slice(head)) < 0)
        return false;
    if (more)
        loop_arm(&conn->worker->loop, &conn->pace, conn->script.pace_ms);
    else
        next_request(conn);
    return true;
}

static bool
answer(struct demo_conn *conn)
{
    struct worker *worker = conn->worker;
    enum dialect_id dialect = slice_ends(conn->head->path, SLICE_LIT("/messages")) ? DIALECT_ANTHROPIC : DIALECT_OPENAI_CHAT;
    char id[25];
    worker_id(worker, id);
    int error = demo_script_init(&conn->script, dialect, sink_slice(&conn->bytes), id, worker_unix_us(worker) / 1000000, &conn->arena);
    struct sink *out = &worker->text;
    sink_reset(out, 65536);
    if (error < 0 || (conn->script.fails && !conn->script.stream)) {
        struct canon_error failure = canon_error_of(error < 0 ? ERR_REQUEST : ERR_UPSTREAM_ERROR);
        failure.message = error < 0 ? SLICE_LIT("the demo provider could not read this request") : SLICE_LIT("the demo model fails on purpose");
        dialect_of(dialect)->error_body(&failure, SLICE_NONE, out);
        bool sent = send_whole(conn, error < 0 ? 400 : 500, sink_slice(out));
        next_request(conn);
        return sent;
    }
    if (!conn->script.stream) {
        demo_script_whole(&conn->script, out);
        bool sent = send_whole(conn, 200, sink_slice(out));
        next_request(conn);
        return sent;
    }
    conn->streaming = true;
    return send_stream_head(conn) && send_step(conn);
}

/* Take what has arrived as far as it goes. false: close. */
static bool
take(struct demo_conn *conn)
{
    struct conn *wire = conn->conn;
    while (wire->in.len > 0 && !conn->streaming) {
        struct slice run = buf_peek(&wire->in), data;
        size_t before = run.len;
        int got = 0;
        if (!conn->have_head) {
            got = http_head_feed(&conn->reader, &run);
            if (got == 1) {
                conn->head = arena_take(&conn->arena, sizeof *conn->head);
                got = conn->head ? http_parse_request(&conn->reader, conn->head) : -ERR_MEMORY;
                if (got == 0)
                    http_body_init(&conn->body, conn->head, HTTP_FROM_CLIENT, DEMO_BODY_MAX, &conn->reader.limits);
                conn->have_head = got == 0;
            }
        } else {
            while ((got = http_body_next(&conn->body, &run, &data)) == 1)
                sink_put(&conn->bytes, data);
        }
        buf_consume(&wire->in, before - run.len);
        conn_touch(wire);
        if (got < 0 || conn->bytes.error)
            return false;
        if (conn->have_head && conn->head->framing == HTTP_NO_BODY)
            return false; /* only requests with a body make sense here */
        if (conn->have_head && http_body_done(&conn->body) && !answer(conn))
            return false;
    }
    return true;
}

static void
run(struct task *task)
{
    struct demo_conn *conn = container_of(task, struct demo_conn, task);
    if (conn->conn->lost || conn->conn->ended) {
        destroy(conn, true);
        return;
    }
    bool good = true;
    if (conn->sleeping) {
        conn->sleeping = false;
        if (conn->conn->out.len > DEMO_OUT_HIGH) /* a slow reader: wait for it */
            loop_arm(&conn->worker->loop, &conn->pace, conn->script.pace_ms + 1);
        else
            good = send_step(conn);
    }
    if (!good || !take(conn))
        destroy(conn, false);
}

static void
pace_due(struct deadline *deadline)
{
    struct demo_conn *conn = container_of(deadline, struct demo_conn, pace);
    conn->sleeping = true;
    loop_post(&conn->worker->loop, &conn->task);
}

static void
notify(void *owner, struct conn *wire, unsigned notices)
{
    struct demo_conn *conn = owner;
    (void)wire;
    if (notices & (CONN_BYTES | CONN_END | CONN_LOST))
        loop_post(&conn->worker->loop, &conn->task);
}

static void
accepted(struct listener *listener, int fd, const char *peer)
{
    struct worker *worker = listener->owner;
    struct demo *demo = worker->demo;
    struct demo_conn *conn = calloc(1, sizeof *conn);
    struct http_limits limits = {16384, 65536, 100};
    if (!conn || conn_adopt(&worker->loop, fd, NULL, peer, notify, conn, &conn->conn) < 0) {
        worker->loop.ops->socket_close(&worker->loop, fd, true);
        free(conn);
        return;
    }
    conn->worker = worker;
    task_init(&conn->task, run);
    deadline_init(&conn->pace, pace_due);
    http_reader_init(&conn->reader, &limits);
    sink_init(&conn->bytes, DEMO_BODY_MAX + 1);
    arena_init(&conn->arena, (size_t)DEMO_BODY_MAX * 8);
    list_init(&conn->link);
    list_push_back(&demo->conns, &conn->link);
}

int
demo_open(struct worker *worker, int fd)
{
    struct demo *demo = calloc(1, sizeof *demo);
    if (!demo)
        return -ERR_MEMORY;
    list_init(&demo->conns);
    worker->demo = demo;
    return listener_open(&worker->loop, &demo->listener, fd, accepted, worker);
}

void
demo_close(struct worker *worker)
{
    struct demo *demo = worker->demo;
    if (!demo)
        return;
    listener_close(&demo->listener);
    while (!list_empty(&demo->conns))
        destroy(list_entry(demo->conns.next, struct demo_conn, link), true);
    worker->demo = NULL;
    free(demo);
}
