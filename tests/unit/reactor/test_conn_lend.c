/* SPDX-License-Identifier: MIT
 *
 * test_conn_lend.c - bytes that leave without being copied: order, notices, figures, and what ends a loan.
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RAW_TEST(lent_bytes_leave_behind_those_in_out),
        RAW_TEST(a_small_loan_goes_in_the_same_call),
        RAW_TEST(a_close_does_not_wait_for_what_is_lent),
        RAW_TEST(a_lost_conn_forgets_the_loan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
