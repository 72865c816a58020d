/* SPDX-License-Identifier: MIT
 *
 * test_conn_close.c - letting go of a conn: what is still sent, what the peer sees, how long it may
 * take.
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
a_last_answer_is_not_lost_to_a_reset(void **state)
{
    (void)state;
    int fd = raw_open();
    ssize_t outcome;
    assert_int_equal(send(fd, big, 200000, MSG_DONTWAIT) > 50000, 1); /* a body we will not read */
    ticks_until(server.bytes);
    assert_int_equal(conn_put(server.conn, slice_of(big, 100000)), 0);
    server_forget(false);
    size_t got = raw_read_all(fd, 50000, &outcome);
    send(fd, big, 100000, MSG_DONTWAIT | MSG_NOSIGNAL); /* and the peer goes on and on */
    assert_int_equal(got, 50000);
    char rest[60000];
    for (size_t more = 0; more < 50000;) {
        outcome = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
        if (outcome > 0) {
            assert_true(memcmp(rest, big + got + more, (size_t)outcome) == 0);
            more += (size_t)outcome;
        }
        assert_true(outcome > 0 || (outcome < 0 && errno == EAGAIN));
        fake_tick(&loop, 1);
    }
    ticks(3);
    assert_int_equal(recv(fd, rest, 1, 0), 0); /* FIN, and no reset */
    assert_int_equal(loop.conns, 1);           /* until the peer has ended too */
    close(fd);
    ticks_until(loop.conns == 0);
}

static void
a_close_sends_everything_to_a_slow_reader(void **state)
{
    (void)state;
    int fd = raw_open();
    ssize_t outcome = 1;
    assert_int_equal(conn_put(server.conn, slice_of(big, MEGA)), 0);
    server_forget(false);
    assert_int_equal(raw_read_all(fd, MEGA + 1, &outcome), MEGA);
    assert_int_equal(outcome, 0);
    close(fd);
    ticks_until(loop.conns == 0);
}

static void
lingering_ends_by_time_or_by_bytes(void **state)
{
    (void)state;
    loop.limits.linger_ms = 30;
    int fd = raw_open();
    server_forget(false);
    uint64_t from = loop.now_ms;
    ticks_until(loop.conns == 0);
    assert_true(loop.now_ms - from >= 30);
    assert_true(loop.now_ms - from < 1000); /* what the default would take */
    close(fd);
    loop.limits.linger_ms = 60000;
    loop.limits.linger_bytes = 100000;
    fd = raw_open();
    server_forget(false);
    ssize_t sent = 0;
    for (int spent = 0; loop.conns && spent < 2000; spent++) {
        ssize_t n = send(fd, big, 20000, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? n : 0;
        fake_tick(&loop, 1);
    }
    assert_int_equal(loop.conns, 0);
    assert_true(sent > 100000);
    close(fd);
}

static void
who_announced_the_end_is_not_waited_for(void **state)
{
    (void)state;
    int fd = raw_open();
    ssize_t outcome = 1;
    conn_farewell(server.conn);
    assert_int_equal(conn_put(server.conn, slice_of(big, MEGA)), 0);
    server_forget(false);
    assert_int_equal(raw_read_all(fd, MEGA + 1, &outcome), MEGA); /* everything, and then */
    assert_int_equal(outcome, 0);                                 /* FIN, no reset */
    assert_int_equal(loop.conns, 0);                              /* although the peer has not ended */
    close(fd);
    fd = raw_open();
    conn_farewell(server.conn);
    assert_int_equal(send(fd, big, 200000, MSG_DONTWAIT) > 50000, 1); /* it goes on all the same */
    ticks_until(server.bytes);
    assert_int_equal(conn_put(server.conn, slice_of(big, 1000)), 0);
    server_forget(false);
    assert_int_equal(raw_read_all(fd, 1001, &outcome), 1000);
    assert_int_equal(outcome, 0);
    close(fd);
    ticks_until(loop.conns == 0);
}

static void
output_nobody_takes_is_given_up(void **state)
{
    (void)state;
    loop.limits.flush_ms = 50;
    int fd = raw_open();
    char piece[8192];
    ssize_t n;
    assert_int_equal(conn_put(server.conn, slice_of(big, MEGA)), 0);
    server_forget(false);
    ticks_until(loop.conns == 0);
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        continue;
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
}

static void
a_cut_resets_over_unread_or_unsent_and_ends_otherwise(void **state)
{
    (void)state;
    char byte;
    int fd = raw_open();
    raw_send(fd, "unread");
    ticks_until(server.bytes);
    server_forget(true);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    fd = raw_open();
    assert_int_equal(conn_put(server.conn, slice_of(big, MEGA)), 0);
    ticks(3);
    server_forget(true);
    char piece[8192];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        continue;
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    fd = raw_open();
    server_forget(true);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    fake_tick(&loop, 0);
    assert_int_equal(loop.conns, 0);
}

static void
an_answer_put_before_the_first_move_is_sent(void **state)
{
    (void)state;
    int pair[2];
    char got[16];
    struct seen seen;
    seen_init(&seen, &loop, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(conn_adopt(&loop, pair[0], NULL, "local", seen_notify, &seen, &seen.conn), 0);
    assert_int_equal(conn_put(seen.conn, SLICE_LIT("503")), 0);
    conn_close(seen.conn, false); /* over the limit: say so and part, all in the accept callback */
    fake_tick(&loop, 0);
    assert_int_equal(seen.notices, 0);
    assert_int_equal(recv(pair[1], got, sizeof(got), 0), 3);
    assert_int_equal(recv(pair[1], got, sizeof(got), 0), 0);
    close(pair[1]);
    ticks_until(loop.conns == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RAW_TEST(a_last_answer_is_not_lost_to_a_reset),
        RAW_TEST(a_close_sends_everything_to_a_slow_reader),
        RAW_TEST(lingering_ends_by_time_or_by_bytes),
        RAW_TEST(who_announced_the_end_is_not_waited_for),
        RAW_TEST(output_nobody_takes_is_given_up),
        RAW_TEST(a_cut_resets_over_unread_or_unsent_and_ends_otherwise),
        RAW_TEST(an_answer_put_before_the_first_move_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
