/* SPDX-License-Identifier: MIT
 *
 * fetch.c - penstock's own HTTP requests; see fetch.h.
 *
 * A connection is opened, used once and closed. Notices only post the task; all work is done there.
 */
#include "gateway/fetch.h"
#include "base/arena.h"
#include "base/text.h"
#include "gateway/worker.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define FETCH_URL_MAX 8192u
#define FETCH_ARENA_MAX (4u << 20)

struct fetch {
    struct list link; /* of the worker */
    struct worker *worker;
    struct task task;
    struct deadline deadline;
    struct conn *conn;
    struct conn_target target;
    fetch_done *done;
    void *user;
    struct arena arena; /* request and URLs */
    struct fetch_request request;
    struct fetch_url url;
    struct http_reader reader;
    struct http_head head;
    struct http_body body;
    struct sink collected;
    uint32_t redirects;
    bool sent, headed, late, foreign; /* foreign: a redirect led to another host */
};

/* ---------------------------------------------------------------- addresses */

bool
fetch_read_url(struct slice text, struct fetch_url *out)
{
    static const struct slice plain = SLICE_LIT("http://"), secure = SLICE_LIT("https://");
    memset(out, 0, sizeof(*out));
    if (text.len > FETCH_URL_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || strchr("\"<>\\^`{|}#", text.ptr[i]))
            return false;
    out->tls = text_caseless_eq(slice_take(text, secure.len), secure);
    if (!out->tls && !text_caseless_eq(slice_take(text, plain.len), plain))
        return false;
    struct slice rest = slice_skip(text, out->tls ? secure.len : plain.len);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    struct slice authority = slice_take(rest, end), port = SLICE_NONE;
    out->target = end < rest.len ? slice_skip(rest, end) : SLICE_LIT("/");
    out->authority = authority;
    if (authority.len == 0 || memchr(authority.ptr, '@', authority.len) || (out->target.ptr[0] == '?'))
        return false;
    if (authority.ptr[0] == '[') {
        const char *close = memchr(authority.ptr, ']', authority.len);
        if (!close)
            return false;
        out->host = slice_of(authority.ptr + 1, (size_t)(close - authority.ptr) - 1);
        struct slice after = slice_skip(authority, out->host.len + 2);
        if (after.len > 0 && after.ptr[0] != ':')
            return false;
        port = after.len > 0 ? slice_skip(after, 1) : SLICE_NONE;
    } else {
        struct slice whole = authority;
        out->host = text_split(&whole, ':');
        port = whole;
    }
    uint64_t number = out->tls ? 443 : 80;
    if (slice_present(port) && (!text_u64(port, &number) || number == 0 || number > 65535))
        return false;
    out->port = (uint16_t)number;
    return out->host.len > 0 && out->host.len <= 253;
}

static bool
public_four(const uint8_t *a)
{
    static const struct {
        uint8_t net[4];
        int bits;
    } closed[] = {
        {{0, 0, 0, 0}, 8}, {{10, 0, 0, 0}, 8}, {{100, 64, 0, 0}, 10}, {{127, 0, 0, 0}, 8}, {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12},
        {{192, 0, 0, 0}, 24}, {{192, 0, 2, 0}, 24}, {{192, 88, 99, 0}, 24}, {{192, 168, 0, 0}, 16}, {{198, 18, 0, 0}, 15},
        {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24}, {{224, 0, 0, 0}, 3},
    };
    uint32_t address = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
    for (size_t i = 0; i < countof(closed); i++) {
        const uint8_t *n = closed[i].net;
        uint32_t net = (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 | (uint32_t)n[2] << 8 | n[3];
        if ((address ^ net) >> (32 - closed[i].bits) == 0)
            return false;
    }
    return true;
}

bool
fetch_is_public(struct slice peer)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0, 0x64, 0xff, 0x9b};
    char text[64];
    struct in_addr four;
    struct in6_addr six;
    bool brackets = peer.len > 0 && peer.ptr[0] == '[';
    const char *end = brackets ? memchr(peer.ptr, ']', peer.len) : memrchr(peer.ptr, ':', peer.len);
    struct slice host = end ? slice_of(peer.ptr + brackets, (size_t)(end - peer.ptr) - brackets) : peer;
    if (host.len == 0 || host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, &four) == 1) {
        uint8_t bytes[4];
        memcpy(bytes, &four, 4);
        return public_four(bytes);
    }
    if (inet_pton(AF_INET6, text, &six) != 1)
        return false;
    const uint8_t *b = six.s6_addr;
    if (memcmp(b, mapped, 12) == 0 || memcmp(b, nat64, 12) == 0)
        return public_four(b + 12);
    if (b[0] == 0x20 && b[1] == 0x02) /* 6to4 */
        return public_four(b + 2);
    bool documentation = b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8;
    bool teredo = b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0;
    return (b[0] & 0xe0) == 0x20 && !documentation && !teredo; /* 2000::/3 is all that is routed */
}

/* ---------------------------------------------------------------- life */

static void
fetch_free(struct fetch *fetch)
{
    struct loop *loop = &fetch->worker->loop;
    list_remove(&fetch->link);
    loop_cancel(loop, &fetch->deadline);
    list_remove(&fetch->task.link);
    if (fetch->conn)
        conn_close(fetch->conn, true);
    http_reader_fini(&fetch->reader);
    sink_fini(&fetch->collected);
    arena_fini(&fetch->arena);
    free(fetch);
}

static void
finish(struct fetch *fetch, int error)
{
    struct fetch_reply reply = {.error = error};
    if (error == 0) {
        reply.status = fetch->head.status;
        reply.body = sink_slice(&fetch->collected);
        reply.content_type = http_field(&fetch->head, "content-type");
    }
    fetch_done *done = fetch->done;
    list_remove(&fetch->link); /* whoever is told may cancel all others, but not this one */
    list_init(&fetch->link);
    done(fetch->user, &reply);
    fetch_free(fetch);
}

static void
notify(void *owner, struct conn *conn, unsigned notices)
{
    struct fetch *fetch = owner;
    (void)conn;
    (void)notices;
    loop_post(&fetch->worker->loop, &fetch->task);
}

static void
due(struct deadline *deadline)
{
    struct fetch *fetch = container_of(deadline, struct fetch, deadline);
    fetch->late = true;
    loop_post(&fetch->worker->loop, &fetch->task);
}

static bool
may_reach(const char *peer)
{
    return fetch_is_public(slice_from(peer));
}

/* Opens the connection for fetch->url. */
static int
dial(struct fetch *fetch)
{
    const struct fetch_url *url = &fetch->url;
    if (fetch->request.https_only && !url->tls)
        return -ERR_REQUEST;
    struct slice key = arena_printf(&fetch->arena, "fetch:%.*s:%u/%d", SLICE_ARG(url->host), (unsigned)url->port, url->tls);
    if (!slice_present(key))
        return -ERR_MEMORY;
    if (url->tls && !fetch->request.trust && !fetch->request.target)
        return -ERR_TLS;
    fetch->target = fetch->request.target ? *fetch->request.target
                                          : (struct conn_target){.host = url->host, .port = url->port, .tls = url->tls, .trust = fetch->request.trust, .cache_key = key};
    if (fetch->request.public_only)
        fetch->target.allowed = may_reach;
    fetch->sent = fetch->headed = false;
    http_reader_reset(&fetch->reader);
    sink_reset(&fetch->collected, 65536);
    return conn_open(&fetch->worker->loop, &fetch->target, notify, fetch, &fetch->conn);
}

/* ---------------------------------------------------------------- the exchange */

static int
send_request(struct fetch *fetch)
{
    const struct fetch_request *request = &fetch->request;
    struct sink out;
    if (request->public_only && !fetch_is_public(slice_from(fetch->conn->peer)))
        return -ERR_REQUEST;
    sink_init(&out, FETCH_URL_MAX + 65536 + request->body.len);
    http_put_request_line(&out, request->method, fetch->url.target);
    http_put_field(&out, "Host", fetch->url.authority);
    http_put_field(&out, "User-Agent", SLICE_LIT("penstock/" PENSTOCK_VERSION));
    http_put_field(&out, "Accept-Encoding", SLICE_LIT("identity"));
    http_put_field(&out, "Connection", SLICE_LIT("close"));
    if (!fetch->foreign)
        sink_put(&out, request->fields);
    if (slice_present(request->body))
        http_put_field_u64(&out, "Content-Length", request->body.len);
    http_put_end_of_head(&out);
    if (slice_present(request->body))
        sink_put(&out, request->body);
    int error = out.error ? -ERR_MEMORY : conn_put(fetch->conn, sink_slice(&out));
    sink_fini(&out);
    fetch->sent = true;
    return error;
}

/* Where to go instead. 1: on the way there; 0: not a redirect that is followed. */
static int
redirect(struct fetch *fetch)
{
    int status = fetch->head.status;
    struct slice to = http_field(&fetch->head, "location");
    struct fetch_url url;
    if (status < 301 || status > 308 || status == 304 || status == 305 || status == 306 || to.len == 0)
        return 0;
    if (strcmp(fetch->request.method, "GET") != 0 || fetch->redirects == 0)
        return fetch->request.redirects ? -ERR_REQUEST : 0; /* one too many */
    fetch->redirects--;
    to = to.ptr[0] == '/' && !slice_starts(to, SLICE_LIT("//"))
             ? arena_printf(&fetch->arena, "%s%.*s%.*s", fetch->url.tls ? "https://" : "http://", SLICE_ARG(fetch->url.authority), SLICE_ARG(to))
             : arena_copy(&fetch->arena, to);
    if (!slice_present(to))
        return -ERR_MEMORY;
    if (!fetch_read_url(to, &url) || (fetch->url.tls && !url.tls)) /* never from a safe address to one in the clear */
        return -ERR_REQUEST;
    fetch->foreign = fetch->foreign || !slice_eq(url.host, fetch->url.host) || url.port != fetch->url.port;
    fetch->url = url;
    conn_close(fetch->conn, true);
    fetch->conn = NULL;
    int error = dial(fetch);
    return error < 0 ? error : 1;
}

/* 1: a final head was read; 0: more is needed. */
static int
read_head(struct fetch *fetch)
{
    struct conn *conn = fetch->conn;
    while (conn->in.len > 0) {
        struct slice run = buf_peek(&conn->in);
        size_t before = run.len;
        int got = http_head_feed(&fetch->reader, &run);
        buf_consume(&conn->in, before - run.len);
        conn_touch(conn);
        if (got < 0)
            return got == -ERR_MEMORY ? got : -ERR_UPSTREAM_PROTOCOL;
        if (got == 0)
            continue;
        got = http_parse_reply(&fetch->reader, false, &fetch->head);
        if (got < 0)
            return got;
        if (fetch->head.status < 200) {
            http_reader_reset(&fetch->reader);
            continue;
        }
        return 1;
    }
    return 0;
}

/* 1: the body is complete. */
static int
read_body(struct fetch *fetch)
{
    struct conn *conn = fetch->conn;
    while (conn->in.len > 0 && !http_body_done(&fetch->body)) {
        struct slice run = buf_peek(&conn->in), data;
        size_t before = run.len;
        int got;
        while ((got = http_body_next(&fetch->body, &run, &data)) == 1)
            sink_put(&fetch->collected, data);
        buf_consume(&conn->in, before - run.len);
        conn_touch(conn);
        if (got < 0 || fetch->collected.error)
            return got < 0 ? got : fetch->collected.error == -ERR_MEMORY ? -ERR_MEMORY : -ERR_UPSTREAM_TOO_LARGE;
    }
    if (http_body_done(&fetch->body))
        return 1;
    if (conn->ended) {
        int error = http_body_end(&fetch->body);
        return error < 0 ? error : 1;
    }
    return 0;
}

/* 0: go on later; 1: done; negative: failed. */
static int
step(struct fetch *fetch)
{
    struct conn *conn = fetch->conn;
    int got = 0;
    if (fetch->late)
        return conn->up ? -ERR_FIRST_BYTE_TIMEOUT : -ERR_CONNECT_TIMEOUT;
    if (conn->up && !fetch->sent && (got = send_request(fetch)) < 0)
        return got;
    if (fetch->sent && !fetch->headed) {
        got = read_head(fetch);
        if (got == 1) {
            int led = redirect(fetch);
            if (led != 0)
                return led < 0 ? led : 0;
            fetch->headed = true;
            http_body_init(&fetch->body, &fetch->head, HTTP_FROM_UPSTREAM, fetch->request.reply_max, &fetch->reader.limits);
        }
        if (got < 0)
            return got;
    }
    if (fetch->headed && (got = read_body(fetch)) != 0)
        return got;
    if (conn->lost)
        return conn->error ? conn->error : -ERR_DISCONNECTED;
    return conn->ended ? -ERR_DISCONNECTED : 0;
}

static void
run(struct task *task)
{
    struct fetch *fetch = container_of(task, struct fetch, task);
    int got = step(fetch);
    if (got != 0)
        finish(fetch, got < 0 ? got : 0);
}

int
fetch_start(struct worker *worker, const struct fetch_request *request, fetch_done *done, void *user, struct fetch **out)
{
    static const struct http_limits limits = {.line_max = 8192, .head_max = 65536, .fields_max = HTTP_FIELDS_MAX};
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch)
        return -ERR_MEMORY;
    fetch->worker = worker;
    fetch->done = done;
    fetch->user = user;
    fetch->redirects = request->redirects;
    list_init(&fetch->link);
    task_init(&fetch->task, run);
    deadline_init(&fetch->deadline, due);
    arena_init(&fetch->arena, FETCH_ARENA_MAX + request->body.len);
    http_reader_init(&fetch->reader, &limits);
    sink_init(&fetch->collected, request->reply_max ? request->reply_max : 1);
    fetch->request = *request;
    fetch->request.url = arena_copy(&fetch->arena, request->url);
    fetch->request.fields = arena_copy(&fetch->arena, slice_present(request->fields) ? request->fields : SLICE_LIT(""));
    if (slice_present(request->body))
        fetch->request.body = arena_copy(&fetch->arena, request->body);
    int error = !slice_present(fetch->request.url) || !slice_present(fetch->request.fields) ||
                        slice_present(request->body) != slice_present(fetch->request.body)
                    ? -ERR_MEMORY
                : fetch_read_url(fetch->request.url, &fetch->url) ? dial(fetch) : -ERR_REQUEST;
    if (error < 0) {
        fetch_free(fetch);
        return error;
    }
    list_push_back(&worker->fetches, &fetch->link);
    loop_arm(&worker->loop, &fetch->deadline, request->timeout_ms);
    *out = fetch;
    return 0;
}

void
fetch_cancel(struct fetch *fetch)
{
    fetch_free(fetch);
}

void
fetch_cancel_all(struct worker *worker)
{
    while (!list_empty(&worker->fetches))
        finish(list_entry(worker->fetches.next, struct fetch, link), -ERR_DRAINING);
}
