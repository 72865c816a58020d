/* SPDX-License-Identifier: MIT
 *
 * test_conn_lend.c - bytes that leave and arrive without being copied: order, notices, figures, and what ends it.
 */
#include "tests/unit/reactor/raw.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* Runs of big, some of them empty, that are big again when they are put together. */
static size_t
cut_up(struct slice *runs, size_t from, size_t pieces)
{
    size_t count = 0, step = (MEGA - from) / pieces;
    for (size_t i = 0; i < pieces; i++) {
        size_t len = i + 1 < pieces ? step : MEGA - from;
        runs[count++] = slice_of(big + from, len);
        runs[count++] = slice_of(big, 0);
        from += len;
    }
    return count;
}

static void
lent_bytes_leave_behind_those_in_out(void **state)
{
    (void)state;
    const size_t pieces[] = {1, 2, 3, 50, 1000}; /* more than one call takes, too */
    for (size_t i = 0; i < countof(pieces); i++) {
        static struct slice runs[2000];
        int fd = raw_open();
        ssize_t outcome;
        size_t count = cut_up(runs, 30000, pieces[i]), used = loop.pool.chunks_used;
        assert_int_equal(conn_put(server.conn, slice_of(big, 30000)), 0);
        size_t put = loop.pool.chunks_used - used;
        conn_lend(server.conn, runs, count);
        assert_int_equal(loop.pool.chunks_used - used, put); /* no copy */
        assert_int_equal(conn_unsent(server.conn), MEGA);
        ticks(5);
        assert_int_equal(server.empty, 0);
        assert_true(server.conn->loan.len > 0); /* the kernel took what it could */
        assert_int_equal(conn_unsent(server.conn) + server.conn->bytes_out, MEGA);
        assert_int_equal(raw_read_all(fd, MEGA, &outcome), MEGA);
        ticks(2);
        assert_int_equal(server.empty, 1);
        assert_int_equal(server.room, 0);
        assert_int_equal(server.conn->bytes_out, MEGA);
        assert_int_equal(conn_unsent(server.conn), 0);
        assert_int_equal(conn_put(server.conn, slice_of(big, 1000)), 0); /* and on it goes */
        assert_int_equal(raw_read_all(fd, 1000, &outcome), 1000);
        assert_int_equal(server.conn->bytes_out, MEGA + 1000);
        close(fd);
        server_forget(true);
    }
}

static void
a_small_loan_goes_in_the_same_call(void **state)
{
    (void)state;
    int fd = raw_open();
    ssize_t outcome;
    const struct slice runs[] = {slice_of(big + 100, 50), slice_of(big + 150, 850)};
    uint64_t sends = loop.stats.sends;
    assert_int_equal(conn_put(server.conn, slice_of(big, 100)), 0);
    conn_lend(server.conn, runs, 2);
    assert_int_equal(raw_read_all(fd, 1000, &outcome), 1000);
    assert_int_equal(loop.stats.sends - sends, 1);
    assert_int_equal(server.empty, 1);
    conn_lend(server.conn, runs, 0); /* nothing is nothing */
    assert_int_equal(conn_unsent(server.conn), 0);
    close(fd);
}

/* No byte of what was lent may be looked at after conn_close: the sanitizer sees it. */
static void
a_close_does_not_wait_for_what_is_lent(void **state)
{
    (void)state;
    int fd = raw_open();
    char *text = malloc(MEGA), rest[4096];
    assert_non_null(text);
    memcpy(text, big, MEGA);
    const struct slice run = slice_of(text, MEGA);
    conn_lend(server.conn, &run, 1);
    ticks(5);
    assert_true(server.conn->loan.len > 0);
    server_forget(false);
    free(text);
    ssize_t got;
    do {
        fake_tick(&loop, 1);
        got = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
    } while (got > 0 || (got < 0 && errno == EAGAIN));
    assert_int_equal(got, -1); /* a reset, not an end that could be taken for the whole */
    assert_int_equal(errno, ECONNRESET);
    ticks_until(loop.conns == 0);
    close(fd);
}

static void
a_lost_conn_forgets_the_loan(void **state)
{
    (void)state;
    int fd = raw_open();
    const struct slice run = slice_of(big, MEGA);
    conn_lend(server.conn, &run, 1);
    ticks(5);
    assert_true(server.conn->loan.len > 0);
    raw_reset(fd);
    ticks_until(server.lost);
    assert_int_equal(server.conn->loan.len, 0);
    assert_int_equal(conn_unsent(server.conn), 0);
    assert_int_equal(server.empty, 0);
    conn_lend(server.conn, &run, 1); /* to nobody */
    assert_int_equal(conn_unsent(server.conn), 0);
}

static void
bytes_land_where_they_belong(void **state)
{
    (void)state;
    int fd = raw_open();
    static char place[100000];
    raw_send(fd, "head:");
    ticks_until(server.bytes);
    assert_true(took(server.conn, "head:"));
    conn_land(server.conn, place, sizeof(place));
    size_t taken = 0, sent = 0, used = loop.pool.chunks_used;
    uint64_t receives = loop.stats.receives;
    for (int turns = 0; taken < sizeof(place) && turns < 2000; turns++) {
        ssize_t n = sent < sizeof(place) ? send(fd, big + sent, sizeof(place) - sent, MSG_DONTWAIT) : 0;
        sent += n > 0 ? (size_t)n : 0;
        fake_tick(&loop, 1);
        taken += conn_take_landed(server.conn);
        assert_int_equal(loop.pool.chunks_used, used);
        assert_int_equal(server.conn->in.len, 0);
    }
    assert_int_equal(taken, sizeof(place));
    assert_true(memcmp(place, big, sizeof(place)) == 0);
    assert_int_equal(server.conn->bytes_in, 5 + sizeof(place));
    assert_int_equal(conn_take_landed(server.conn), 0);
    assert_true(loop.stats.receives - receives < 60); /* large pieces */
    raw_send(fd, "the next one");
    int bytes = server.bytes;
    ticks_until(server.bytes > bytes);
    assert_true(took(server.conn, "the next one"));
    close(fd);
}

static void
what_lies_behind_goes_to_in(void **state)
{
    (void)state;
    for (size_t room = 1; room <= 12; room++) {
        int fd = raw_open();
        char place[12];
        uint64_t receives = loop.stats.receives;
        conn_land(server.conn, place, room);
        raw_send(fd, "0123456789ab");
        ticks_until(server.bytes);
        assert_int_equal(loop.stats.receives - receives, 1); /* both in one call */
        assert_int_equal(conn_take_landed(server.conn), room);
        assert_true(memcmp(place, "0123456789ab", room) == 0);
        assert_true(took(server.conn, &"0123456789ab"[room]));
        assert_int_equal(server.conn->bytes_in, 12);
        close(fd);
        server_forget(true);
    }
}

/* No byte may land after that: the sanitizer sees it. */
static void
a_landing_ends_when_it_is_withdrawn_or_the_conn_closed(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        int fd = raw_open();
        char *place = malloc(1000);
        assert_non_null(place);
        conn_land(server.conn, place, 1000);
        raw_send(fd, "begin");
        ticks_until(server.bytes);
        if (closed)
            server_forget(false);
        else
            conn_land(server.conn, NULL, 0);
        free(place);
        raw_send(fd, "and end");
        int bytes = server.bytes;
        if (!closed) {
            ticks_until(server.bytes > bytes);
            assert_true(took(server.conn, "and end"));
        }
        ticks(3);
        close(fd);
        if (!closed)
            server_forget(true);
        ticks_until(loop.conns == 0);
    }
}

static void
an_end_and_a_reset_come_behind_what_landed(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        int fd = raw_open();
        char place[100];
        conn_land(server.conn, place, sizeof(place));
        raw_send(fd, "last words");
        if (reset)
            raw_reset(fd);
        else
            close(fd);
        ticks_until(reset ? server.lost : server.end);
        assert_int_equal(conn_take_landed(server.conn), 10);
        assert_true(memcmp(place, "last words", 10) == 0);
        server_forget(true);
    }
}

/* The owner of a request sees its head before more is taken, so that a large body can land. */
static void
the_first_bytes_are_shown_at_once(void **state)
{
    (void)state;
    int fd = raw_open();
    assert_true(send(fd, big, 60000, MSG_DONTWAIT) > 30000);
    ticks_until(server.bytes);
    assert_true(server.conn->in.len < 5000);
    assert_true(server.conn->readable);
    ticks(3); /* nobody lands anything: it comes to in */
    assert_true(server.conn->in.len > 30000);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RAW_TEST(lent_bytes_leave_behind_those_in_out),
        RAW_TEST(a_small_loan_goes_in_the_same_call),
        RAW_TEST(a_close_does_not_wait_for_what_is_lent),
        RAW_TEST(a_lost_conn_forgets_the_loan),
        RAW_TEST(bytes_land_where_they_belong),
        RAW_TEST(what_lies_behind_goes_to_in),
        RAW_TEST(a_landing_ends_when_it_is_withdrawn_or_the_conn_closed),
        RAW_TEST(an_end_and_a_reset_come_behind_what_landed),
        RAW_TEST(the_first_bytes_are_shown_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
