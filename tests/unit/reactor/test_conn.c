/* SPDX-License-Identifier: MIT
 *
 * test_conn.c - conns over real loopback sockets: bytes, ends, resets, marks, shares.
 */
#include "tests/unit/reactor/raw.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static void
bytes_cross_both_ways(void **state)
{
    (void)state;
    struct seen client;
    open_pair(&client);
    assert_int_equal(strncmp(client.conn->peer, "127.0.0.1:", 10), 0);
    assert_true(server.conn->client_side);
    assert_false(client.conn->client_side);
    assert_int_equal(conn_put(client.conn, SLICE_LIT("ping")), 0);
    ticks_until(server.bytes);
    assert_int_equal(client.empty, 1);
    assert_true(took(server.conn, "ping"));
    assert_int_equal(conn_put(server.conn, SLICE_LIT("po")), 0);
    assert_int_equal(conn_put(server.conn, SLICE_LIT("ng")), 0);
    ticks_until(client.bytes);
    assert_true(took(client.conn, "pong"));
    fake_tick(&loop, 0);
    assert_int_equal(loop.stats.sends, 2);      /* one a tick, however many puts */
    assert_int_equal(loop.stats.receives, 2);   /* and none to hear EAGAIN */
    assert_int_equal(loop.pool.chunks_used, 0); /* a quiet conn holds no chunk */
    assert_int_equal(client.conn->bytes_in, 4);
    assert_int_equal(client.conn->bytes_out, 4);
    assert_int_equal(client.up + server.up, 2);
    assert_int_equal(client.room + client.end + client.lost, 0);
    conn_close(client.conn, true);
}

static void
sockets_have_their_options(void **state)
{
    (void)state;
    struct seen client;
    int value = 0;
    socklen_t len = sizeof(value);
    open_pair(&client);
    const int fds[] = {client.conn->fd, server.conn->fd};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(getsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
        assert_int_equal(value, 1);
        assert_int_equal(getsockopt(fds[i], SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
        assert_int_equal(value, i == 0);
    }
    assert_int_equal(getsockopt(fds[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, &len), 0);
    assert_int_equal(value, 30);
    conn_close(client.conn, true);
}

static void
end_comes_after_the_bytes_and_is_half_a_close(void **state)
{
    (void)state;
    int fd = raw_open();
    ssize_t outcome;
    raw_send(fd, "last words");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    ticks_until(server.end);
    assert_true(server.conn->ended);
    assert_false(server.conn->lost);
    assert_true(took(server.conn, "last words"));
    assert_int_equal(conn_put(server.conn, slice_of(big, 200000)), 0);
    assert_int_equal(raw_read_all(fd, 200000, &outcome), 200000);
    assert_int_equal(server.end, 1);
    close(fd);
}

static void
end_waits_behind_a_full_in(void **state)
{
    (void)state;
    loop.limits.in_bytes_max = 5;
    int fd = raw_open();
    raw_send(fd, "0123456789");
    close(fd);
    ticks_until(server.conn->in.len == 5);
    ticks(20);
    assert_int_equal(server.end, 0);
    assert_true(took(server.conn, "01234"));
    ticks_until(server.conn->in.len == 5);
    assert_true(took(server.conn, "56789"));
    ticks_until(server.end);
    assert_int_equal(server.conn->bytes_in, 10);
}

static void
a_reset_is_noticed_while_paused(void **state)
{
    (void)state;
    int fd = raw_open();
    conn_pause(server.conn);
    raw_send(fd, "never read");
    ticks(5);
    assert_int_equal(server.bytes, 0);
    raw_reset(fd);
    ticks_until(server.lost);
    assert_true(server.conn->lost);
    assert_int_equal(server.conn->error, -ERR_RESET);
    assert_int_equal(conn_put(server.conn, SLICE_LIT("dropped")), 0);
    ticks(3);
    assert_int_equal(conn_unsent(server.conn), 0);
    assert_int_equal(server.lost, 1);
}

static void
a_reset_is_noticed_while_in_is_full(void **state)
{
    (void)state;
    loop.limits.in_bytes_max = 4;
    int fd = raw_open();
    raw_send(fd, "more than that");
    ticks_until(server.conn->in.len == 4);
    raw_reset(fd);
    ticks_until(server.lost);
    assert_true(took(server.conn, "more")); /* what was received stays ours */
}

static void
what_arrived_before_a_reset_is_still_read(void **state)
{
    (void)state;
    int fd = raw_open();
    raw_send(fd, "HTTP/1.1 413 and goodbye");
    raw_reset(fd); /* both are in the kernel before we look */
    ticks_until(server.lost);
    assert_int_equal(server.conn->error, -ERR_RESET);
    assert_true(took(server.conn, "HTTP/1.1 413 and goodbye"));
    assert_int_equal(server.end, 0);
}

static void
a_send_into_a_reset_still_reads_what_came_before(void **state)
{
    (void)state;
    int fd = raw_open();
    raw_send(fd, "answer");
    assert_int_equal(conn_put(server.conn, slice_of(big, 1000)), 0);
    raw_reset(fd); /* no wait between: our send meets the reset first */
    ticks_until(server.lost);
    assert_true(took(server.conn, "answer"));
}

static void
a_paused_conn_gets_its_bytes_on_resume_without_a_new_edge(void **state)
{
    (void)state;
    int fd = raw_open();
    conn_pause(server.conn);
    raw_send(fd, "waiting");
    ticks(10);
    assert_int_equal(server.bytes, 0);
    assert_int_equal(server.conn->in.len, 0);
    conn_resume(server.conn);
    fake_tick(&loop, 0);
    assert_int_equal(server.bytes, 1);
    assert_true(took(server.conn, "waiting"));
    conn_pause(server.conn); /* pausing and resuming with nothing there loses nothing either */
    conn_resume(server.conn);
    raw_send(fd, "again");
    ticks_until(server.bytes == 2);
    close(fd);
}

static void
in_is_hard_bounded_and_goes_on_when_consumed(void **state)
{
    (void)state;
    loop.limits.in_bytes_max = 1000;
    int fd = raw_open();
    assert_int_equal(send(fd, big, 30000, 0), 30000);
    size_t got = 0;
    for (int spent = 0; got < 30000 && spent < 3000; spent++) {
        fake_tick(&loop, 1);
        assert_true(server.conn->in.len <= 1000);
        struct slice run = slice_take(buf_peek(&server.conn->in), 333);
        assert_true(memcmp(run.ptr, big + got, run.len) == 0);
        got += run.len;
        buf_consume(&server.conn->in, run.len);
        conn_touch(server.conn);
    }
    assert_int_equal(got, 30000);
    close(fd);
}

static void
a_sated_conn_receives_one_chunk_ahead(void **state)
{
    (void)state;
    int fd = raw_open();
    raw_send(fd, "request");
    ticks_until(server.bytes == 1);
    assert_true(took(server.conn, "request"));
    conn_sate(server.conn);
    assert_int_equal(send(fd, big, 30000, 0), 30000);
    ticks(20);
    size_t ahead = server.conn->in.len;
    assert_in_range(ahead, 1, CHUNK_BYTES);
    assert_int_equal(loop.pool.chunks_used, 1);
    conn_crave(server.conn);
    ticks_until(server.conn->in.len == 30000);
    conn_crave(server.conn); /* once more changes nothing */
    conn_sate(server.conn);
    raw_reset(fd); /* noticed although nothing is received */
    ticks_until(server.lost);
    assert_int_equal(server.conn->in.len, 30000);
}

static void
room_and_empty_come_exactly_once(void **state)
{
    (void)state;
    int fd = raw_open();
    ssize_t outcome;
    server.conn->out_high = 300000;
    server.conn->out_low = 100000;
    assert_int_equal(conn_put(server.conn, slice_of(big, 300000)), 0);
    ticks(5);
    assert_true(conn_unsent(server.conn) > 0); /* the kernel took what it could */
    assert_int_equal(raw_read_all(fd, 300000, &outcome), 300000);
    ticks(2);
    assert_int_equal(server.room, 0); /* it was at the mark, never above it */
    assert_int_equal(server.empty, 1);
    close(fd);
    server_forget(true);
    fd = raw_open();
    server.conn->out_high = 300000;
    server.conn->out_low = 100000;
    for (int round = 1; round <= 3; round++) {
        assert_int_equal(conn_put(server.conn, slice_of(big, 600000)), 0);
        ticks(3);
        assert_int_equal(server.room, round - 1);
        size_t got = 0;
        char rest[4096];
        while (server.room < round && got < 600000) {
            ssize_t n = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
            got += n > 0 ? (size_t)n : 0;
            fake_tick(&loop, 1);
        }
        assert_true(server.conn->out.len <= 100000);
        assert_true(server.conn->out.len + 70000 > 100000); /* and not much later */
        assert_int_equal(server.empty, round - 1);
        while (server.empty < round) {
            ssize_t n = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
            got += n > 0 ? (size_t)n : 0;
            fake_tick(&loop, 1);
        }
        while (got < 600000) {
            ssize_t n = recv(fd, rest, sizeof(rest), 0);
            assert_true(n > 0);
            got += (size_t)n;
        }
        ticks(3);
        assert_int_equal(server.room, round);
        assert_int_equal(server.empty, round);
    }
    close(fd);
}

static void
acked_stops_when_the_peer_stops_reading(void **state)
{
    (void)state;
    int fd = raw_open();
    ssize_t outcome;
    assert_int_equal(conn_put(server.conn, slice_of(big, MEGA)), 0);
    ticks(50);
    uint64_t stuck = conn_acked(server.conn);
    assert_true(stuck > 0 && stuck < server.conn->bytes_out);
    ticks(20);
    assert_int_equal(conn_acked(server.conn), stuck);
    raw_read_all(fd, MEGA, &outcome);
    ticks(5);
    assert_true(conn_acked(server.conn) >= MEGA);
    close(fd);
}

static void
a_conn_changes_hands(void **state)
{
    (void)state;
    struct seen first = {0};
    int fd = raw_open();
    seen_init(&first, &loop, NULL);
    conn_own(server.conn, seen_notify, &first);
    raw_send(fd, "x");
    ticks_until(first.bytes);
    assert_int_equal(server.bytes, 0);
    close(fd);
}

static void
an_empty_pool_stops_upstreams_until_it_recovers(void **state)
{
    (void)state;
    struct seen client;
    open_pair(&client); /* client dials: it plays the upstream side */
    struct buf hog;
    buf_init(&hog, &loop.pool);
    loop.pool.chunks_max = 16;
    assert_int_equal(buf_put(&hog, slice_of(big, 15 * (CHUNK_BYTES - 16))), 0);
    assert_true(pool_low(&loop.pool));
    assert_int_equal(send(server.conn->fd, "up", 2, 0), 2);
    assert_int_equal(send(client.conn->fd, "down", 4, 0), 4);
    ticks(5);
    assert_int_equal(client.bytes, 0); /* an upstream may not fill what is left */
    assert_int_equal(server.bytes, 1); /* a client may, while there is something */
    assert_false(list_empty(&loop.held_list));
    uint64_t waits = loop.stats.waits;
    fake_tick(&loop, 20);
    assert_int_equal(loop.stats.waits, waits + 1); /* held, not spinning */
    assert_true(took(server.conn, "down"));
    assert_int_equal(buf_put(&hog, slice_of(big, CHUNK_BYTES - 16)), 0);
    assert_int_equal(send(client.conn->fd, "more", 4, 0), 4);
    ticks(5);
    assert_int_equal(server.bytes, 1); /* nothing is left even for it */
    buf_clear(&hog);
    fake_tick(&loop, 0);
    assert_int_equal(client.bytes, 1);
    assert_int_equal(server.bytes, 2);
    assert_true(took(client.conn, "up"));
    assert_true(took(server.conn, "more"));
    conn_close(client.conn, true);
}

static void
a_low_pool_is_for_those_who_hold_nothing(void **state)
{
    (void)state;
    struct seen client;
    open_pair(&client);
    struct buf hog;
    buf_init(&hog, &loop.pool);
    loop.pool.chunks_max = 160; /* low below 20, tight below 10 */
    assert_int_equal(buf_put(&hog, slice_of(big, 145 * (CHUNK_BYTES - 16))), 0);
    assert_true(pool_low(&loop.pool));
    assert_int_equal(send(server.conn->fd, big, 6 * CHUNK_BYTES, 0), 6 * CHUNK_BYTES);
    assert_int_equal(send(client.conn->fd, big, 6 * CHUNK_BYTES, 0), 6 * CHUNK_BYTES);
    ticks(5);
    assert_int_equal(client.conn->in.len, CHUNK_BYTES - 16); /* a chunk each, and no more before that is consumed */
    assert_int_equal(server.conn->in.len, CHUNK_BYTES - 16);
    buf_consume(&client.conn->in, client.conn->in.len);
    conn_touch(client.conn);
    ticks(5);
    assert_int_equal(client.conn->in.len, CHUNK_BYTES - 16);
    uint64_t waits = loop.stats.waits;
    fake_tick(&loop, 20);
    assert_int_equal(loop.stats.waits, waits + 1); /* held, not spinning */
    buf_clear(&hog);
    ticks(5);
    assert_int_equal(client.conn->in.len, 5 * CHUNK_BYTES + 16);
    assert_int_equal(server.conn->in.len, 6 * CHUNK_BYTES);
    conn_close(client.conn, true);
}

static void
output_leaves_while_input_is_held(void **state)
{
    (void)state;
    struct seen client;
    open_pair(&client);
    struct buf hog;
    char got[8];
    buf_init(&hog, &loop.pool);
    loop.pool.chunks_max = 16;
    assert_int_equal(buf_put(&hog, slice_of(big, 15 * (CHUNK_BYTES - 16))), 0);
    conn_pause(server.conn);
    assert_int_equal(send(server.conn->fd, "held", 4, 0), 4);
    ticks(5);
    assert_false(list_empty(&loop.held_list));
    assert_int_equal(conn_put(client.conn, SLICE_LIT("out")), 0);
    fake_tick(&loop, 0);
    assert_int_equal(recv(server.conn->fd, got, sizeof(got), MSG_DONTWAIT), 3);
    buf_clear(&hog);
    conn_close(client.conn, true);
}

static void
a_tick_moves_a_bounded_share_and_nobody_waits_for_the_greedy(void **state)
{
    (void)state;
    enum { QUIET = 100 };
    static struct seen quiet[QUIET];
    int peers[QUIET], fast[2];
    struct seen greedy;
    loop.limits.move_bytes_max = 20000;
    loop.limits.in_bytes_max = MEGA;
    for (int i = 0; i < QUIET; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        peers[i] = pair[1];
        seen_init(&quiet[i], &loop, NULL);
        assert_int_equal(
            conn_adopt(&loop, pair[0], NULL, "q", seen_notify, &quiet[i], &quiet[i].conn), 0);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fast), 0);
    seen_init(&greedy, &loop, NULL);
    assert_int_equal(conn_adopt(&loop, fast[0], NULL, "g", seen_notify, &greedy, &greedy.conn), 0);
    for (int round = 0; round < 40; round++) {
        while (send(fast[1], big, 50000, 0) > 0)
            continue;
        int one = round * 7 % QUIET, before = quiet[one].bytes;
        assert_int_equal(send(peers[one], "!", 1, 0), 1);
        uint64_t had = greedy.conn->bytes_in;
        fake_tick(&loop, 1000);
        assert_true(greedy.conn->bytes_in - had <= 20000);
        assert_true(greedy.conn->bytes_in > had);
        assert_int_equal(quiet[one].bytes, before + 1);
        assert_false(list_empty(&loop.move_list)); /* what is left is not forgotten */
        struct sink drain;
        sink_init(&drain, MEGA * 2);
        seen_take(greedy.conn, &drain);
        sink_fini(&drain);
    }
    for (int i = 0; i < QUIET; i++) {
        conn_close(quiet[i].conn, true);
        close(peers[i]);
    }
    conn_close(greedy.conn, true);
    close(fast[1]);
}

static void
a_megabyte_each_way_is_exact(void **state)
{
    (void)state;
    struct seen client;
    struct sink got[2];
    open_pair(&client);
    sink_init(&got[0], MEGA * 2);
    sink_init(&got[1], MEGA * 2);
    assert_int_equal(conn_put(client.conn, slice_of(big, MEGA)), 0);
    assert_int_equal(conn_put(server.conn, slice_of(big, MEGA)), 0);
    for (int spent = 0; (got[0].len < MEGA || got[1].len < MEGA) && spent < 20000; spent++) {
        fake_tick(&loop, 1);
        seen_take(client.conn, &got[0]);
        seen_take(server.conn, &got[1]);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(got[i].len, MEGA);
        assert_true(memcmp(got[i].ptr, big, MEGA) == 0);
        sink_fini(&got[i]);
    }
    conn_close(client.conn, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RAW_TEST(bytes_cross_both_ways),
        RAW_TEST(sockets_have_their_options),
        RAW_TEST(end_comes_after_the_bytes_and_is_half_a_close),
        RAW_TEST(end_waits_behind_a_full_in),
        RAW_TEST(a_reset_is_noticed_while_paused),
        RAW_TEST(a_reset_is_noticed_while_in_is_full),
        RAW_TEST(what_arrived_before_a_reset_is_still_read),
        RAW_TEST(a_send_into_a_reset_still_reads_what_came_before),
        RAW_TEST(a_paused_conn_gets_its_bytes_on_resume_without_a_new_edge),
        RAW_TEST(in_is_hard_bounded_and_goes_on_when_consumed),
        RAW_TEST(a_sated_conn_receives_one_chunk_ahead),
        RAW_TEST(room_and_empty_come_exactly_once),
        RAW_TEST(acked_stops_when_the_peer_stops_reading),
        RAW_TEST(a_conn_changes_hands),
        RAW_TEST(an_empty_pool_stops_upstreams_until_it_recovers),
        RAW_TEST(a_low_pool_is_for_those_who_hold_nothing),
        RAW_TEST(output_leaves_while_input_is_held),
        RAW_TEST(a_tick_moves_a_bounded_share_and_nobody_waits_for_the_greedy),
        RAW_TEST(a_megabyte_each_way_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
