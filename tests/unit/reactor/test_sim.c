/* SPDX-License-Identifier: MIT
 *
 * test_sim.c - the simulator keeps the kernel's rules, and conns keep theirs in hours of virtual
 * time.
 */
#include "reactor/sim.h"
#include "tests/unit/reactor/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#define SECOND_US UINT64_C(1000000)

static struct sim *sim;
static struct loop loop;
static struct listener listener;
static struct seen seen; /* of the conn accepted latest */
static struct sim_peer *peer;
static int ended, reset, timers;
static char big[1 << 20];

static void
peer_ended(struct sim_peer *of)
{
    assert_ptr_equal(of, peer);
    ended++;
}

static void
peer_reset(struct sim_peer *of)
{
    assert_ptr_equal(of, peer);
    reset++;
}

static void
peer_timer(struct sim_peer *of)
{
    timers++;
    if (timers < 600)
        sim_peer_timer(of, 1000);
}

static const struct sim_script script = {
    .ended = peer_ended, .reset = peer_reset, .timer = peer_timer};

static void
accepted(struct listener *of, int fd, const char *name)
{
    (void)of;
    seen_init(&seen, &loop, NULL);
    assert_int_equal(conn_adopt(&loop, fd, NULL, name, seen_notify, &seen, &seen.conn), 0);
}

static void
run(uint64_t for_us)
{
    sim_run(sim, &loop, sim_now_us(sim) + for_us, NULL, NULL);
}

static int
setup(void **state)
{
    (void)state;
    ended = reset = timers = 0;
    sim = sim_new(7, NULL);
    fake_loop(&loop, &sim_ops, sim);
    assert_int_equal(listener_open(&loop, &listener, sim_listen_fd(sim, 1), accepted, NULL), 0);
    peer = sim_connect(sim, 1, &script, NULL);
    run(SECOND_US);
    assert_int_equal(seen.up, 1);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 2654435761u >> 11);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    if (seen.conn)
        conn_close(seen.conn, true);
    listener_close(&listener);
    fake_tick(&loop, 0);
    assert_int_equal(loop.conns, 0);
    assert_int_equal(sim_sockets_open(sim), 0);
    loop_fini(&loop);
    sim_free(sim);
    return 0;
}

static void
forget(bool cut)
{
    conn_close(seen.conn, cut);
    seen.conn = NULL;
}

static bool
peer_got(size_t n)
{
    struct sink *in = sim_peer_in(peer);
    return in->len == n && memcmp(in->ptr, big, n) == 0;
}

static void
ten_minutes_pass_in_no_time(void **state)
{
    (void)state;
    uint64_t from = sim_now_us(sim), ticks = loop.stats.ticks;
    sim_peer_timer(peer, 1000);
    run(3600 * SECOND_US);
    assert_int_equal(timers, 600);
    assert_true(sim_now_us(sim) - from >= 600 * SECOND_US);
    assert_true(loop.stats.ticks - ticks < 10); /* the program was not even woken */
}

static void
a_timer_re_armed_is_replaced(void **state)
{
    (void)state;
    timers = 600;
    sim_peer_timer(peer, 1000);
    sim_peer_timer(peer, 2000);
    run(10 * SECOND_US);
    assert_int_equal(timers, 601);
}

static void
the_window_fills_when_the_peer_stops_reading(void **state)
{
    (void)state;
    sim_peer_stop_reading(peer, true);
    assert_int_equal(conn_put(seen.conn, slice_of(big, 200000)), 0);
    run(10 * SECOND_US);
    assert_int_equal(seen.conn->bytes_out, 65536);
    assert_int_equal(conn_acked(seen.conn), 0);
    assert_int_equal(seen.empty, 0);
    sim_peer_stop_reading(peer, false);
    run(10 * SECOND_US);
    assert_true(peer_got(200000));
    assert_int_equal(conn_acked(seen.conn), 200000);
    assert_int_equal(seen.empty, 1);
}

static void
a_short_send_is_believed(void **state)
{
    (void)state;
    loop.limits.move_bytes_max = sizeof(big);
    sim_peer_stop_reading(peer, true);
    assert_int_equal(conn_put(seen.conn, slice_of(big, 70000)), 0);
    fake_tick(&loop, 0);
    assert_int_equal(seen.conn->bytes_out, 65536);
    assert_int_equal(loop.stats.sends, 1); /* no second call to hear EAGAIN */
}

static void
room_comes_at_the_mark_itself(void **state)
{
    (void)state;
    static const struct sim_faults narrow = {.window = 100};
    sim_set_faults(sim, &narrow);
    sim_peer_stop_reading(peer, true);
    seen.conn->out_high = 149;
    seen.conn->out_low = 50;
    assert_int_equal(conn_put(seen.conn, slice_of(big, 150)), 0);
    fake_tick(&loop, 0);
    assert_int_equal(seen.conn->out.len, 50);
    assert_int_equal(seen.room, 1);
}

static void
a_half_close_ends_after_the_bytes(void **state)
{
    (void)state;
    sim_peer_send(peer, slice_of(big, 100000));
    sim_peer_half_close(peer);
    run(SECOND_US);
    assert_int_equal(seen.conn->in.len, 65536); /* in is full: END waits */
    assert_int_equal(seen.end, 0);
    struct sink got;
    sink_init(&got, sizeof(big));
    seen_take(seen.conn, &got);
    run(SECOND_US);
    seen_take(seen.conn, &got);
    run(SECOND_US);
    assert_int_equal(got.len, 100000);
    assert_true(memcmp(got.ptr, big, got.len) == 0);
    assert_int_equal(seen.end, 1);
    assert_int_equal(conn_put(seen.conn, slice_of(big, 50000)), 0);
    run(SECOND_US);
    assert_true(peer_got(50000));
    sink_fini(&got);
}

static void
a_reset_is_lost_even_if_nobody_reads(void **state)
{
    (void)state;
    conn_pause(seen.conn);
    sim_peer_send(peer, SLICE_LIT("unread"));
    sim_peer_reset(peer);
    run(SECOND_US);
    assert_int_equal(seen.lost, 1);
    assert_int_equal(seen.conn->error, -ERR_RESET);
    assert_false(sim_peer_alive(peer));
    assert_int_equal(conn_put(seen.conn, SLICE_LIT("too late")), 0);
    assert_int_equal(conn_unsent(seen.conn), 0);
}

static void
what_was_to_be_sent_goes_with_the_connection(void **state)
{
    (void)state;
    sim_peer_stop_reading(peer, true);
    assert_int_equal(conn_put(seen.conn, slice_of(big, 300000)), 0);
    run(SECOND_US);
    assert_true(conn_unsent(seen.conn) > 0);
    sim_peer_reset(peer);
    run(SECOND_US);
    assert_int_equal(seen.lost, 1);
    assert_int_equal(conn_unsent(seen.conn), 0);
    assert_int_equal(loop.pool.chunks_used, 0);
}

static void
a_closed_peer_answers_with_a_reset(void **state)
{
    (void)state;
    sim_peer_close(peer);
    run(SECOND_US);
    assert_int_equal(seen.end, 1);
    assert_int_equal(seen.lost, 0);
    assert_int_equal(conn_put(seen.conn, SLICE_LIT("are you there?")), 0);
    run(SECOND_US);
    assert_int_equal(seen.lost, 1); /* the END question is answered */
}

static void
a_half_closed_peer_takes_it(void **state)
{
    (void)state;
    sim_peer_half_close(peer);
    run(SECOND_US);
    assert_int_equal(conn_put(seen.conn, SLICE_LIT("are you there?")), 0);
    run(SECOND_US);
    assert_int_equal(seen.end, 1);
    assert_int_equal(seen.lost, 0);
    assert_true(slice_is(sink_slice(sim_peer_in(peer)), "are you there?"));
}

static void
closing_sends_all_then_fin_then_waits(void **state)
{
    (void)state;
    assert_int_equal(conn_put(seen.conn, slice_of(big, 300000)), 0);
    forget(false);
    sim_peer_send(peer, slice_of(big, 5000));
    run(SECOND_US / 2);
    assert_true(peer_got(300000));
    assert_int_equal(ended, 1);
    assert_int_equal(reset, 0);
    assert_int_equal(loop.conns, 1);
    sim_peer_half_close(peer);
    run(SECOND_US / 4);
    assert_int_equal(loop.conns, 0);
    assert_int_equal(reset, 1); /* the connection is gone, in peace */
}

static void
lingering_lasts_linger_ms(void **state)
{
    (void)state;
    uint64_t from = sim_now_us(sim);
    forget(false);
    run(SECOND_US * 99 / 100);
    assert_int_equal(loop.conns, 1);
    run(SECOND_US / 10);
    assert_int_equal(loop.conns, 0);
    assert_true(sim_now_us(sim) - from >= SECOND_US);
    assert_int_equal(ended, 1);
}

static void
a_stuck_flush_is_given_up_a_slow_one_is_not(void **state)
{
    (void)state;
    assert_int_equal(conn_put(seen.conn, slice_of(big, 1000000)), 0);
    sim_peer_stop_reading(peer, true);
    forget(false);
    for (int i = 0; i < 5; i++) { /* a window or two every eight seconds: slow, but it goes on */
        run(8 * SECOND_US);
        assert_int_equal(loop.conns, 1);
        sim_peer_stop_reading(peer, false);
        run(200);
        sim_peer_stop_reading(peer, true);
    }
    assert_int_equal(reset, 0);
    run(12 * SECOND_US);
    assert_int_equal(loop.conns, 0); /* now it has stopped for ten */
    assert_int_equal(reset, 1);
}

static void
a_cut_over_unread_bytes_is_a_reset(void **state)
{
    (void)state;
    sim_peer_send(peer, SLICE_LIT("unread"));
    run(SECOND_US);
    forget(true);
    run(SECOND_US);
    assert_int_equal(reset, 1);
    assert_int_equal(ended, 0);
}

static void
a_reset_ends_a_lingering_conn(void **state)
{
    (void)state;
    assert_int_equal(conn_put(seen.conn, slice_of(big, 300000)), 0);
    sim_peer_stop_reading(peer, true);
    forget(false);
    run(SECOND_US / 100);
    assert_int_equal(loop.conns, 1);
    sim_peer_reset(peer);
    run(SECOND_US / 100);
    assert_int_equal(loop.conns, 0);
    assert_int_equal(loop.pool.chunks_used, 0);
}

static void
a_client_of_nobody_is_refused(void **state)
{
    (void)state;
    struct sim_peer *known = peer;
    peer = sim_connect(sim, 99, &script, NULL);
    run(SECOND_US);
    assert_int_equal(reset, 1);
    assert_false(sim_peer_alive(peer));
    peer = known;
}

static int eventfd_reads;

static void
eventfd_ready(struct watch *watch, unsigned ready)
{
    uint64_t value;
    assert_true(ready & WATCH_READ);
    eventfd_reads += read(watch->fd, &value, sizeof(value)) == sizeof(value);
}

static void
a_descriptor_of_the_kernels_is_watched_too(void **state)
{
    (void)state;
    struct watch watch;
    uint64_t value = 1;
    int fd = eventfd(0, EFD_NONBLOCK);
    eventfd_reads = 0;
    assert_int_equal(watch_open(&loop, &watch, fd, eventfd_ready), 0);
    run(SECOND_US);
    assert_int_equal(write(fd, &value, sizeof(value)), sizeof(value));
    run(SECOND_US);
    assert_int_equal(eventfd_reads, 1);
    watch_close(&loop, &watch);
    close(fd);
}

static void
quiet_sees_a_conn_that_nobody_will_wake(void **state)
{
    (void)state;
    assert_true(loop_quiet(&loop));
    sim_peer_send(peer, SLICE_LIT("x"));
    run(SECOND_US);
    seen.conn->readable = true; /* as if a listing had been forgotten */
    assert_false(loop_quiet(&loop));
    conn_touch(seen.conn);
    assert_true(loop_quiet(&loop));
    fake_tick(&loop, 0);
    assert_int_equal(buf_put(&seen.conn->out, SLICE_LIT("y")), 0);
    assert_false(loop_quiet(&loop)); /* put without touch */
    conn_touch(seen.conn);
    fake_tick(&loop, 0);
    loop.conns++;
    assert_false(loop_quiet(&loop));
    loop.conns--;
}

/* -- a perfect world is quick, a rough one is exact
 * ------------------------------------------------------- */

static void
faults_come_when_asked_for(void **state)
{
    (void)state;
    static const struct sim_faults rough = {
        .short_read = 500, .short_write = 500, .again = 300, .late_event = 200, .window = 3000};
    sim_set_faults(sim, &rough);
    struct sink got;
    sink_init(&got, sizeof(big));
    sim_peer_send(peer, slice_of(big, 30000));
    assert_int_equal(conn_put(seen.conn, slice_of(big, 30000)), 0);
    uint64_t receives = loop.stats.receives, sends = loop.stats.sends;
    for (int i = 0; i < 3000 && (got.len < 30000 || !peer_got(30000)); i++) {
        run(20000);
        seen_take(seen.conn, &got);
    }
    assert_int_equal(got.len, 30000);
    assert_true(memcmp(got.ptr, big, got.len) == 0);
    assert_true(peer_got(30000));
    assert_true(loop.stats.receives - receives > 10);
    assert_true(loop.stats.sends - sends > 10);
    sink_fini(&got);
}

static void
memory_comes_back(void **state)
{
    (void)state;
    static const struct sim_faults poor = {.memory = 1024};
    size_t chunks_max = loop.pool.chunks_max;
    int refused = 0;
    sim_set_faults(sim, &poor);
    for (int i = 0; i < 50; i++) {
        sim_peer_send(peer, slice_of(big, 20000)); /* wakes the program */
        fake_tick(&loop, 10);
        refused += conn_put(seen.conn, slice_of(big, 20000)) != 0;
        assert_true(loop.pool.chunks_max <= chunks_max);
    }
    assert_true(refused > 0);
    sim_set_faults(sim, NULL);
    run(SECOND_US);
    assert_int_equal(loop.pool.chunks_max, chunks_max);
}

/* -- chances: the same story under many seeds
 * ------------------------------------------------------------- */

/* A send that meets a reset before any event has told of it: what the kernel still holds is taken
 * first. */
static void
a_failed_send_still_reads_what_came_before(void **state)
{
    (void)state;
    static const struct sim_faults late = {.late_event = 950};
    int recovered = 0;
    for (int life = 0; life < 40; life++) {
        struct sim_peer *known = peer;
        struct conn *before = seen.conn;
        peer = sim_connect(sim, 1, &script, NULL);
        run(SECOND_US);
        assert_true(seen.conn != before);
        sim_set_faults(sim, &late);
        sim_peer_send(peer, SLICE_LIT("413"));
        run(20000);
        sim_peer_reset(peer);
        run(20000);
        if (seen.lost == 0)
            assert_int_equal(conn_put(seen.conn, SLICE_LIT("the rest of a request")), 0);
        run(5 * SECOND_US);
        sim_set_faults(sim, NULL);
        assert_int_equal(seen.lost, 1);
        assert_int_equal(seen.end, 0); /* a reset is never a clean end */
        recovered += seen.conn->in.len == 3;
        conn_close(seen.conn, true);
        seen.conn = before;
        peer = known;
    }
    assert_true(recovered > 10); /* the simulator keeps what had arrived in half of the resets */
}

static int taken;

static void
take_and_drop(struct listener *of, int fd, const char *name)
{
    (void)name;
    taken++;
    loop.ops->socket_close(of->loop, fd, false);
}

static int refused;

static void
count_reset(struct sim_peer *of)
{
    (void)of;
    refused++;
}

static const struct sim_script crowd_script = {.reset = count_reset};

static void
nobody_is_forgotten_in_a_backlog(void **state)
{
    (void)state;
    static const struct sim_faults faults = {.accept_fail = 600};
    struct listener second;
    assert_int_equal(listener_open(&loop, &second, sim_listen_fd(sim, 2), take_and_drop, NULL), 0);
    sim_set_faults(sim, &faults);
    for (int life = 0; life < 50; life++) {
        taken = refused = 0;
        for (int i = 0; i < 10; i++)
            sim_connect(sim, 2, &crowd_script, NULL);
        run(10 * SECOND_US);
        assert_true(taken > 0 || life > 0);
        assert_int_equal(refused,
                         10); /* dropped by us or by the fault, but nobody waits for ever */
    }
    sim_set_faults(sim, NULL);
    listener_close(&second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_minutes_pass_in_no_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_re_armed_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(the_window_fills_when_the_peer_stops_reading, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_short_send_is_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(room_comes_at_the_mark_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_half_close_ends_after_the_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_to_be_sent_goes_with_the_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failed_send_still_reads_what_came_before, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_is_forgotten_in_a_backlog, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_is_lost_even_if_nobody_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_peer_answers_with_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_half_closed_peer_takes_it, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_sends_all_then_fin_then_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(lingering_lasts_linger_ms, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stuck_flush_is_given_up_a_slow_one_is_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_cut_over_unread_bytes_is_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_ends_a_lingering_conn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_of_nobody_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_of_the_kernels_is_watched_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(quiet_sees_a_conn_that_nobody_will_wake, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_come_when_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_comes_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
