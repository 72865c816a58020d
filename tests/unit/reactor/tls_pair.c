/* SPDX-License-Identifier: MIT
 *
 * tls_pair.c - a client wire and a server wire joined in memory.
 */
#include "tests/unit/reactor/tls_pair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* clang-format off */
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#ifndef CERTS_SCRIPT
#error "the build names certs.sh"
#endif

static char certs_directory[128];

bool
certs_make(void)
{
    char command[512];
    const char *parent = getenv("TMPDIR");
    if (system("command -v openssl >/dev/null 2>&1") != 0) {
        fprintf(
            stderr,
            "SKIP: the openssl tool is not installed; it makes the certificates of these tests\n");
        return false;
    }
    snprintf(certs_directory, sizeof(certs_directory), "%s/penstock-certs-XXXXXX",
             parent && strlen(parent) < 90 ? parent : P_tmpdir);
    if (!mkdtemp(certs_directory))
        abort();
    snprintf(command, sizeof(command), "sh %s %s", CERTS_SCRIPT, certs_directory);
    if (system(command) != 0)
        abort();
    return true;
}

void
certs_remove(void)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -r %s", certs_directory);
    if (system(command) != 0)
        abort();
}

const char *
certs_path(const char *file)
{
    static char paths[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", certs_directory, file);
    return paths[turn];
}

struct trust *
certs_trust(const char *name)
{
    char file[64];
    struct trust *trust = NULL;
    struct sink problem;
    snprintf(file, sizeof(file), "%s.pem", name);
    sink_init(&problem, 1000);
    int error = trust_load(slice_from(certs_path(file)), &trust, &problem);
    if (error)
        fail_msg("%s: %.*s", file, SLICE_ARG(sink_slice(&problem)));
    sink_fini(&problem);
    return trust;
}

struct server_key *
certs_key(const char *name)
{
    char chain[64], file[64];
    struct server_key *key = NULL;
    struct sink problem;
    snprintf(chain, sizeof(chain), "%s.pem", name);
    snprintf(file, sizeof(file), "%s.key", name);
    sink_init(&problem, 1000);
    int error = server_key_load(slice_from(certs_path(chain)), slice_from(certs_path(file)), &key,
                                &problem);
    if (error)
        fail_msg("%s: %.*s", name, SLICE_ARG(sink_slice(&problem)));
    sink_fini(&problem);
    return key;
}

void
bare_loop_init(struct loop *loop)
{
    *loop = (struct loop){.now_ms = 1000, .now_us = 1000000};
    loop_limits_default(&loop->limits);
    list_init(&loop->run_list);
    list_init(&loop->move_list);
    list_init(&loop->late_list);
    list_init(&loop->held_list);
    list_init(&loop->held_tasks);
    list_init(&loop->conn_list);
    list_init(&loop->graveyard);
    pool_init(&loop->pool, loop->limits.chunks_max, loop->limits.chunks_keep);
    wheel_init(&loop->wheel, loop->now_ms);
}

void
bare_loop_fini(struct loop *loop)
{
    if (loop->tls && !list_empty(&loop->tls->busy))
        return; /* the test has failed and left its conns */
    tls_fini(loop);
    assert_int_equal(loop->wheel.armed, 0);
    pool_fini(&loop->pool);
}

void
bare_loop_tick(struct loop *loop, uint64_t ms)
{
    loop->stats.ticks++;
    loop->now_ms += ms;
    loop->now_us += ms * 1000;
    wheel_expire(&loop->wheel, loop->now_ms);
}

static void
end_notify(void *owner, struct conn *conn, unsigned notices)
{
    struct tls_end *end = owner;
    assert_ptr_equal(conn, &end->conn);
    end->notices |= notices;
}

static void
end_init(struct tls_end *end, struct loop *loop)
{
    struct conn *conn = &end->conn;
    *end = (struct tls_end){.conn = {.magic = MAGIC_CONN, .fd = -1, .loop = loop}};
    conn->notify = end_notify;
    conn->owner = end;
    conn->wire = &plain_wire;
    conn->out_high = conn->out_low = 64 * 1024;
    buf_init(&conn->in, &loop->pool);
    buf_init(&conn->out, &loop->pool);
    list_init(&conn->move_link);
    list_init(&conn->grave_link);
    list_init(&conn->loop_link);
    sink_init(&end->line, 1u << 28);
    sink_init(&end->got, 1u << 28);
}

static void
end_fini(struct tls_end *end)
{
    end->conn.wire->fini(&end->conn);
    buf_clear(&end->conn.in);
    buf_clear(&end->conn.out);
    sink_fini(&end->line);
    sink_fini(&end->got);
}

uint64_t
pair_random(struct tls_pair *pair)
{
    pair->seed ^= pair->seed << 13;
    pair->seed ^= pair->seed >> 7;
    pair->seed ^= pair->seed << 17;
    return pair->seed;
}

static size_t
piece(struct tls_pair *pair, size_t n)
{
    if (!pair || !pair->seed || n == 0)
        return n;
    size_t most = 1 + (size_t)(pair_random(pair) % pair->piece_max);
    return n < most ? n : most;
}

void
end_put(struct tls_end *end, struct slice bytes)
{
    assert_int_equal(conn_put(&end->conn, bytes), 0);
}

void
end_take(struct tls_end *end)
{
    struct buf *in = &end->conn.in;
    while (in->len > 0) {
        struct slice run = buf_peek(in);
        sink_put(&end->got, run);
        buf_consume(in, run.len);
    }
}

/* Send what leaves, in pieces. 1 something left, 0, -ERR. */
static int
end_send(struct tls_end *end, struct tls_pair *pair)
{
    struct iovec iov[4];
    int progress = 0, count;
    while ((count = end->conn.wire->bytes(&end->conn, iov, 4)) > 0) {
        assert_true(iov[0].iov_len > 0);
        size_t n = piece(pair, iov[0].iov_len);
        sink_put(&end->line, slice_of(iov[0].iov_base, n));
        end->line_total += n;
        int error = end->conn.wire->sent(&end->conn, n);
        if (error)
            return error;
        progress = 1;
        if (pair && pair->seed && pair_random(pair) % 4 == 0)
            break; /* the kernel takes no more for now */
    }
    return progress;
}

/* Receive what has come over the other end's line, in pieces; then its FIN. */
static int
end_receive(struct tls_end *end, struct tls_end *other, struct tls_pair *pair)
{
    struct iovec iov[20];
    int progress = 0;
    while (!end->fin_seen &&
           (!end->conn.up || end->conn.in.len < end->conn.loop->limits.in_bytes_max)) {
        size_t left = other->line.len - end->line_taken, done = 0;
        if (left == 0 && !other->fin)
            break;
        int count = end->conn.wire->space(&end->conn, iov, 20, 32 * 1024);
        if (count == 0)
            break;
        left = piece(pair, left);
        for (int i = 0; i < count && done < left; i++) {
            size_t n = iov[i].iov_len < left - done ? iov[i].iov_len : left - done;
            memcpy(iov[i].iov_base, other->line.ptr + end->line_taken + done, n);
            done += n;
        }
        end->line_taken += done;
        int error = end->conn.wire->filled(&end->conn, done);
        if (!error && done == 0) {
            end->fin_seen = true;
            error = end->conn.wire->ended(&end->conn);
            if (!error && !end->conn.ended)
                conn_raise(&end->conn, CONN_END);
        }
        if (error)
            return error;
        progress = 1;
    }
    return progress;
}

static int
end_exchange(struct tls_end *end, struct tls_end *other, struct tls_pair *pair, bool *moved)
{
    struct conn *conn = &end->conn;
    if (!end->started) {
        end->started = true;
        int error = conn->wire->start(conn);
        if (error)
            return error;
    }
    for (;;) {
        int stepped = conn->wire->step(conn);
        if (stepped < 0)
            return stepped;
        if (conn->closing && conn->up && conn->out.len == 0 && !end->finished)
            end->finished = conn->wire->finish(conn);
        int sent = end_send(end, pair);
        if (sent < 0)
            return sent;
        int received = conn->closing && conn->up ? 0 : end_receive(end, other, pair);
        if (received < 0)
            return received;
        if (stepped != 1 && !sent && !received)
            return 0;
        *moved = true;
    }
}

bool
end_move(struct tls_end *end, struct tls_end *other, struct tls_pair *pair)
{
    struct conn *conn = &end->conn;
    bool moved = false;
    if (conn->lost)
        return false;
    struct conn_mark mark = conn_mark(conn);
    int error = end_exchange(end, other, pair, &moved);
    struct iovec iov[4];
    if (error && conn->wire->bytes(conn, iov, 4) > 0) { /* last words */
        sink_put(&end->line, slice_of(iov[0].iov_base, iov[0].iov_len));
        assert_int_equal(conn->wire->sent(conn, iov[0].iov_len), 0);
    }
    conn_settle(conn, mark, 0);
    if (error)
        conn_fail(conn, error);
    if (!end->hold)
        end_take(end);
    return moved || error;
}

void
pair_open(struct tls_pair *pair, struct loop *client, struct loop *server,
          const struct server_key *key)
{
    if (!slice_present(pair->target.host))
        pair->target.host = SLICE_LIT("localhost");
    if (!pair->target.port)
        pair->target.port = 443;
    pair->target.tls = true;
    end_init(&pair->client, client);
    end_init(&pair->server, server);
    pair->server.conn.client_side = true;
    assert_int_equal(tls_client_wire(&pair->client.conn, &pair->target), 0);
    assert_int_equal(tls_server_wire(&pair->server.conn, key), 0);
}

void
pair_close(struct tls_pair *pair)
{
    end_fini(&pair->client);
    end_fini(&pair->server);
}

static bool
pair_move(struct tls_pair *pair)
{
    bool client = end_move(&pair->client, &pair->server, pair);
    bool server = end_move(&pair->server, &pair->client, pair);
    return client || server;
}

void
pair_tick(struct tls_pair *pair)
{
    bare_loop_tick(pair->client.conn.loop, 0);
    if (pair->server.conn.loop != pair->client.conn.loop)
        bare_loop_tick(pair->server.conn.loop, 0);
    pair_move(pair);
}

void
pair_run(struct tls_pair *pair)
{
    int quiet = 0;
    while (quiet < 3) { /* a wire in line moves in the tick after the one that called it */
        bare_loop_tick(pair->client.conn.loop, 0);
        if (pair->server.conn.loop != pair->client.conn.loop)
            bare_loop_tick(pair->server.conn.loop, 0);
        quiet = pair_move(pair) ? 0 : quiet + 1;
    }
}

void
pattern_fill(struct sink *sink, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sink_byte(sink, (char)(i * 7 + (i >> 8) * 13 + (i >> 16)));
}
