/* SPDX-License-Identifier: MIT
 *
 * conform_talk.c - one connection to the gateway under judgement: what was sent, what came, and when.
 *
 * Every call runs the loop until it has what it wants or its time is over; nobody else is on this loop.
 */
#include "gateway/conform.h"

#define TALK_STEP_MS 20u
#define TALK_BODY_MAX (64u << 20)

static void
notify(void *owner, struct conn *conn, unsigned notices)
{
    (void)owner; /* the levels say it all */
    (void)conn;
    (void)notices;
}

static bool
over(const struct talk *talk)
{
    return talk->failed || talk->conn->lost || talk->conn->ended;
}

void
talk_open(struct talk *talk, struct loop *loop, const struct conform_target *target, uint64_t timeout_ms)
{
    static struct conn_target to; /* outlives the conn, as it must */
    *talk = (struct talk){.loop = loop};
    to = (struct conn_target){.host = target->host, .port = target->port, .tls = target->tls, .trust = target->trust, .cache_key = SLICE_LIT("conform")};
    int error = conn_open(loop, &to, notify, talk, &talk->conn);
    uint64_t until = loop->now_ms + timeout_ms;
    while (error == 0 && !talk->conn->up && !talk->conn->lost && loop->now_ms < until)
        loop_tick(loop, TALK_STEP_MS);
    if (error == 0 && talk->conn->up && !talk->conn->lost)
        return;
    talk->error = error ? error : talk->conn->lost ? talk->conn->error : -ERR_CONNECT_TIMEOUT;
    talk->failed = true;
    if (error == 0)
        conn_close(talk->conn, true);
}

void
talk_close(struct talk *talk, bool reset)
{
    if (!talk->failed && talk->conn) {
        if (reset)
            conn_sever(talk->conn);
        else
            conn_close(talk->conn, true);
    }
    talk->failed = true;
    loop_tick(talk->loop, 0);
}

void
talk_send(struct talk *talk, struct slice bytes, size_t piece, uint64_t timeout_ms)
{
    uint64_t until = talk->loop->now_ms + timeout_ms;
    while (bytes.len > 0 && !talk->failed && !talk->conn->lost && talk->loop->now_ms < until) {
        struct slice part = slice_take(bytes, piece ? piece : 65536);
        if (conn_put(talk->conn, part) < 0)
            break;
        bytes = slice_skip(bytes, part.len);
        uint64_t sent_ms = talk->loop->now_ms; /* a pause behind each piece, or the kernel would join them */
        do
            loop_tick(talk->loop, 1);
        while ((conn_unsent(talk->conn) > 0 || (piece > 0 && talk->loop->now_ms == sent_ms)) && !talk->conn->lost &&
               talk->loop->now_ms < until);
    }
}

/* 1: a final head is there. */
static int
read_head(struct talk *talk, struct talk_reply *reply)
{
    struct conn *conn = talk->conn;
    while (conn->in.len > 0) {
        struct slice run = buf_peek(&conn->in);
        size_t before = run.len;
        int got = http_head_feed(&reply->reader, &run);
        buf_consume(&conn->in, before - run.len);
        conn_touch(conn);
        if (got == 0)
            continue;
        if (got == 1)
            got = http_parse_reply(&reply->reader, false, &reply->head);
        if (got < 0)
            return got;
        if (reply->head.status >= 200)
            return 1;
        http_reader_reset(&reply->reader);
    }
    return 0;
}

static int
read_body(struct talk *talk, struct talk_reply *reply, struct http_body *body)
{
    struct conn *conn = talk->conn;
    while (conn->in.len > 0 && !http_body_done(body)) {
        struct slice run = buf_peek(&conn->in), data;
        size_t before = run.len;
        int got;
        while ((got = http_body_next(body, &run, &data)) == 1) {
            if (reply->body.len == 0)
                reply->first_ms = talk->loop->now_ms;
            reply->last_ms = talk->loop->now_ms;
            sink_put(&reply->body, data);
        }
        buf_consume(&conn->in, before - run.len);
        conn_touch(conn);
        if (got < 0 || reply->body.error)
            return -1;
    }
    if (http_body_done(body))
        return 1;
    return over(talk) && conn->in.len == 0 ? (http_body_end(body) == 0 ? 1 : -1) : 0;
}

void
talk_read(struct talk *talk, struct talk_reply *reply, size_t stop_at, uint64_t timeout_ms)
{
    static const struct http_limits limits = {.line_max = 65536, .head_max = 262144, .fields_max = HTTP_FIELDS_MAX};
    struct http_body body;
    uint64_t until = talk->loop->now_ms + timeout_ms;
    memset(reply, 0, sizeof(*reply));
    http_reader_init(&reply->reader, &limits);
    sink_init(&reply->body, TALK_BODY_MAX);
    int got = 0;
    for (bool headed = false; got == 0;) {
        if (talk->failed) {
            reply->problem = "no connection";
            return;
        }
        if (!headed) {
            got = read_head(talk, reply);
            headed = got == 1;
            if (headed) {
                got = 0;
                reply->status = reply->head.status;
                reply->chunked = reply->head.framing == HTTP_CHUNKED;
                reply->has_length = reply->head.framing == HTTP_LENGTH;
                http_body_init(&body, &reply->head, HTTP_FROM_UPSTREAM, UINT64_MAX, &limits);
            } else if (got < 0) {
                reply->problem = "the reply's head is not HTTP/1.1";
                return;
            } else if (over(talk)) {
                reply->problem = "the connection was closed before a reply";
                return;
            }
        }
        if (headed)
            got = read_body(talk, reply, &body);
        if (got == 0 && stop_at > 0 && reply->body.len >= stop_at)
            return;
        if (got == 0 && talk->loop->now_ms >= until) {
            reply->problem = "the reply did not come to its end in time";
            return;
        }
        if (got == 0)
            loop_tick(talk->loop, TALK_STEP_MS);
    }
    reply->complete = got == 1;
    if (got < 0)
        reply->problem = "the reply's body is cut, or its framing is wrong";
}

void
talk_reply_fini(struct talk_reply *reply)
{
    http_reader_fini(&reply->reader);
    sink_fini(&reply->body);
}

void
talk_wait(struct talk *talk, uint64_t ms)
{
    uint64_t until = talk->loop->now_ms + ms;
    while (talk->loop->now_ms < until)
        loop_tick(talk->loop, until - talk->loop->now_ms < TALK_STEP_MS ? until - talk->loop->now_ms : TALK_STEP_MS);
}
