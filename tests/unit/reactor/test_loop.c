/* SPDX-License-Identifier: MIT
 *
 * test_loop.c - the tick, watches and listeners.
 */
#include "tests/unit/reactor/fake.h"
#include "tests/unit/reactor/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static struct loop loop;

static int
setup(void **state)
{
    (void)state;
    fake_loop(&loop, kernel_ops(), NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    fake_tick(&loop, 0);
    assert_int_equal(loop.conns, 0);
    loop_fini(&loop);
    return 0;
}

/* -- time
 * -----------------------------------------------------------------------------------------------
 */

static uint64_t fired_ms[4];
static struct deadline deadlines[4];

static void
note_time(struct deadline *deadline)
{
    fired_ms[deadline - deadlines] = loop.now_ms;
}

static void
deadlines_fire_in_time_and_never_early(void **state)
{
    (void)state;
    static const uint64_t after_ms[] = {0, 1, 20, 75};
    uint64_t from = loop.now_ms, ticks = loop.stats.ticks;
    for (int i = 0; i < 4; i++) {
        fired_ms[i] = 0;
        deadline_init(&deadlines[i], note_time);
        loop_arm(&loop, &deadlines[i], after_ms[i]);
    }
    while (!fired_ms[3])
        fake_tick(&loop, UINT64_MAX);
    for (int i = 0; i < 4; i++) {
        assert_true(fired_ms[i] >= from + after_ms[i]);
        assert_true(fired_ms[i] <=
                    from + after_ms[i] + 1000); /* a busy machine is no mistake of ours */
    }
    assert_true(loop.stats.ticks - ticks <= 16); /* a deadline and its cascades, no spinning */
}

static void
a_tick_sleeps_no_longer_than_told(void **state)
{
    (void)state;
    uint64_t from = loop.now_us;
    fake_tick(&loop, 0);
    assert_true(loop.now_us - from < 1000000);
    from = loop.now_us;
    fake_tick(&loop, 30);
    assert_true(loop.now_us - from >= 30000);
}

/* -- tasks
 * ---------------------------------------------------------------------------------------------- */

static struct task again_task, other_task;
static int again_runs, other_runs;

static void
run_again(struct task *task)
{
    again_runs++;
    loop_post(&loop, task);
    loop_post(&loop, &other_task);
    loop_post(&loop, &other_task); /* harmless */
}

static void
run_other(struct task *task)
{
    (void)task;
    other_runs++;
}

static void
a_task_that_never_rests_does_not_stop_the_tick(void **state)
{
    (void)state;
    again_runs = other_runs = 0;
    task_init(&again_task, run_again);
    task_init(&other_task, run_other);
    loop_post(&loop, &again_task);
    loop_post(&loop, &again_task);
    loop_tick(&loop, UINT64_MAX);
    assert_int_equal(again_runs, loop.limits.rounds_max);
    assert_int_equal(other_runs, loop.limits.rounds_max / 2); /* posted while still listed: once */
    loop_tick(&loop, UINT64_MAX); /* does not sleep: leftovers are listed */
    assert_int_equal(again_runs, 2 * loop.limits.rounds_max);
    list_remove(&again_task.link);
    list_remove(&other_task.link);
}

static void
a_held_task_waits_for_the_pool(void **state)
{
    (void)state;
    struct chunk *chunk;
    other_runs = 0;
    task_init(&other_task, run_other);
    loop.pool.chunks_max = 1;
    assert_non_null(chunk = pool_take(&loop.pool));
    loop_hold(&loop, &other_task);
    fake_tick(&loop, 0);
    loop_post(&loop, &other_task); /* harmless: it is on a list */
    fake_tick(&loop, 0);
    assert_int_equal(other_runs, 0);
    pool_give(&loop.pool, chunk);
    fake_tick(&loop, 0);
    assert_int_equal(other_runs, 1);
}

/* -- watches
 * -------------------------------------------------------------------------------------------- */

static struct watch watches[2];
static int notified[2];

static void
count_watch(struct watch *watch, unsigned ready)
{
    if (ready & WATCH_READ)
        notified[watch - watches]++;
}

static void
close_the_other(struct watch *watch, unsigned ready)
{
    count_watch(watch, ready);
    if (ready & WATCH_READ)
        watch_close(&loop, &watches[watch == &watches[0]]);
}

static void
a_watch_gives_one_edge_for_each_arrival(void **state)
{
    (void)state;
    uint64_t value = 1;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    notified[0] = 0;
    assert_int_equal(watch_open(&loop, &watches[0], fd, count_watch), 0);
    fake_tick(&loop, 0);
    assert_int_equal(notified[0], 0);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(write(fd, &value, sizeof(value)), sizeof(value));
        fake_tick(&loop, 1000);
        assert_int_equal(notified[0], i);
        assert_true(watches[0].ready & WATCH_READ);
        fake_tick(&loop, 0);
        assert_int_equal(notified[0], i); /* not a level */
    }
    watch_close(&loop, &watches[0]);
    assert_int_equal(write(fd, &value, sizeof(value)), sizeof(value));
    fake_tick(&loop, 0);
    assert_int_equal(notified[0], 3);
    close(fd);
}

static void
a_closed_watch_is_silent_even_if_the_kernel_has_spoken(void **state)
{
    (void)state;
    uint64_t value = 1;
    int fds[2];
    notified[0] = notified[1] = 0;
    for (int i = 0; i < 2; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        assert_int_equal(watch_open(&loop, &watches[i], fds[i], close_the_other), 0);
    }
    fake_tick(&loop, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(write(fds[i], &value, sizeof(value)), sizeof(value));
    fake_tick(&loop, 0); /* one batch holds both events; the first closes the second */
    assert_int_equal(notified[0] + notified[1], 1);
    watch_close(&loop, &watches[notified[1]]);
    close(fds[0]);
    close(fds[1]);
}

static void
a_watch_on_nothing_is_refused(void **state)
{
    (void)state;
    int fd = eventfd(0, EFD_CLOEXEC);
    close(fd);
    assert_int_equal(watch_open(&loop, &watches[0], fd, count_watch), -ERR_SYSTEM);
}

/* -- listeners
 * ------------------------------------------------------------------------------------------ */

static struct listener listener;
static uint16_t port;
static int accepted_count, accepted_fds[256];
static bool close_when_accepted;

static void
accepted(struct listener *of, int fd, const char *peer)
{
    assert_non_null(peer);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    accepted_fds[accepted_count++] = fd;
    if (close_when_accepted)
        listener_close(of);
}

static void
listener_start(const char *host)
{
    char problem[128];
    port = 0;
    accepted_count = 0;
    close_when_accepted = false;
    int fd = listener_socket(slice_from(host), &port, 256, problem);
    assert_true(fd >= 0);
    assert_true(port > 0);
    assert_int_equal(listener_open(&loop, &listener, fd, accepted, NULL), 0);
}

static void
dial_many(int *fds, int count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof(address)), 0);
    }
}

static void
close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static void
accepts_come_in_bounded_batches(void **state)
{
    (void)state;
    int fds[150];
    listener_start("127.0.0.1");
    listener.batch_max = 40;
    dial_many(fds, 150);
    for (int want = 40; want < 150; want += 40) {
        fake_tick(&loop, UINT64_MAX); /* never sleeps while some are left */
        assert_int_equal(accepted_count, want);
    }
    fake_tick(&loop, 100);
    assert_int_equal(accepted_count, 150);
    assert_int_equal(loop.stats.accepts, 150);
    listener_close(&listener);
    listener_close(&listener);
    close_all(fds, 150);
    close_all(accepted_fds, 150);
}

static void
a_paused_listener_leaves_its_backlog_to_the_kernel(void **state)
{
    (void)state;
    int fds[3];
    listener_start("localhost");
    listener_pause(&listener);
    dial_many(fds, 3);
    fake_tick(&loop, 5);
    fake_tick(&loop, 5);
    assert_int_equal(accepted_count, 0);
    listener_resume(&listener);
    fake_tick(&loop, UINT64_MAX);
    assert_int_equal(accepted_count, 3);
    listener_close(&listener);
    close_all(fds, 3);
    close_all(accepted_fds, 3);
}

static void
a_low_pool_stops_accepting(void **state)
{
    (void)state;
    int fds[3];
    struct chunk *chunk;
    loop.pool.chunks_max = 1;
    assert_non_null(chunk = pool_take(&loop.pool));
    listener_start("localhost");
    dial_many(fds, 3);
    fake_tick(&loop, 5);
    fake_tick(&loop, 5);
    assert_int_equal(accepted_count, 0);
    pool_give(&loop.pool, chunk);
    fake_tick(&loop, 0);
    assert_int_equal(accepted_count, 3);
    listener_close(&listener);
    close_all(fds, 3);
    close_all(accepted_fds, 3);
}

static void
accepted_may_close_the_listener(void **state)
{
    (void)state;
    int fds[3];
    listener_start("localhost");
    close_when_accepted = true;
    dial_many(fds, 3);
    fake_tick(&loop, 100);
    assert_int_equal(accepted_count, 1);
    close_all(fds, 3);
    close_all(accepted_fds, 1);
}

static void
out_of_descriptors_is_survived(void **state)
{
    (void)state;
    struct rlimit before, low;
    int fds[2], spare;
    listener_start("localhost");
    dial_many(fds, 2);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    spare = dup(0);
    close(spare);
    low = (struct rlimit){(rlim_t)spare, before.rlim_max}; /* the next descriptor is one too many */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    fake_tick(&loop, 50);
    uint64_t failures = loop.stats.accept_failures, ticks = loop.stats.ticks;
    uint64_t from = loop.now_ms;
    while (loop.now_ms < from + 150)
        fake_tick(&loop, 200);
    int while_low = accepted_count;
    bool few = loop.stats.ticks - ticks < 10; /* it rests between tries */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(while_low, 0);
    assert_true(failures >= 1);
    assert_true(few);
    for (int spent = 0; accepted_count < 2 && spent < 20; spent++)
        fake_tick(&loop, 50);
    assert_int_equal(accepted_count, 2); /* without a new edge */
    listener_close(&listener);
    close_all(fds, 2);
    close_all(accepted_fds, 2);
}

static void
two_listeners_share_a_port(void **state)
{
    (void)state;
    char problem[128];
    listener_start("127.0.0.1");
    int fd = listener_socket(SLICE_LIT("127.0.0.1"), &port, 16, problem);
    assert_true(fd >= 0);
    close(fd);
    listener_close(&listener);
}

static void
bad_places_to_listen_are_named(void **state)
{
    (void)state;
    char problem[128];
    static const char *const bad[] = {
        "",          "example.com",
        "[]",        "127.0.0",
        "300.1.1.1", "::1]",
        "a\nb",      "1234567890123456789012345678901234567890123456789012345678901234567890"};
    for (size_t i = 0; i < countof(bad); i++) {
        port = 0;
        assert_int_equal(listener_socket(slice_from(bad[i]), &port, 16, problem), -ERR_CONFIG);
        assert_true(strlen(problem) > 0);
    }
    port = 0;
    assert_int_equal(listener_socket(SLICE_NONE, &port, 16, problem), -ERR_CONFIG);
    assert_int_equal(listener_socket(SLICE_LIT("192.0.2.1"), &port, 16, problem), -ERR_SYSTEM);
    assert_non_null(strstr(problem, "bind"));
}

static void
ipv6_literals_are_listened_on(void **state)
{
    (void)state;
    static const char *const hosts[] = {"::1", "[::1]"};
    char problem[128];
    for (int i = 0; i < 2; i++) {
        port = 0;
        int fd = listener_socket(slice_from(hosts[i]), &port, 16, problem);
        if (fd < 0 && (strstr(problem, "family") || strstr(problem, "assign")))
            skip(); /* a machine without IPv6 */
        assert_true(fd >= 0);
        assert_true(port > 0);
        close(fd);
    }
}

/* -- in what order
 * -----------------------------------------------------------------------------------------------
 */

#define MANY 40

static struct seen owners[MANY];
static int owners_count, received_first;

/* Whoever is worked on first counts how many have been received for by then; everybody answers. */
static void
answer(struct task *task)
{
    struct seen *seen = container_of(task, struct seen, task);
    for (int i = 0, first = received_first == 0; first && i < owners_count; i++)
        received_first += owners[i].bytes > 0;
    if (seen->conn->in.len > 0) {
        buf_clear(&seen->conn->in);
        assert_int_equal(conn_put(seen->conn, SLICE_LIT("answer")), 0);
    }
}

static int
received_before_the_first_is_worked_on(int count)
{
    int peers[MANY];
    char text[16];
    owners_count = count;
    received_first = 0;
    for (int i = 0; i < count; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        seen_init(&owners[i], &loop, answer);
        assert_int_equal(conn_adopt(&loop, pair[0], NULL, "peer", seen_notify, &owners[i], &owners[i].conn), 0);
        peers[i] = pair[1];
    }
    for (int i = 0; i < 5; i++)
        fake_tick(&loop, 1); /* whatever is said of a new one has been said */
    received_first = 0;
    for (int i = 0; i < count; i++) {
        owners[i].bytes = 0;
        assert_int_equal(send(peers[i], "question", 8, 0), 8);
    }
    fake_tick(&loop, 100);
    for (int i = 0; i < count; i++) {
        assert_int_equal(recv(peers[i], text, sizeof text, 0), 6); /* all of them in one turn */
        conn_close(owners[i].conn, true);
        close(peers[i]);
    }
    fake_tick(&loop, 0);
    return received_first;
}

static void
few_are_answered_one_after_the_other_and_many_together(void **state)
{
    (void)state;
    assert_in_range(received_before_the_first_is_worked_on(8), 1, 4);
    assert_int_equal(received_before_the_first_is_worked_on(MANY), MANY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_are_answered_one_after_the_other_and_many_together, setup, teardown),
        cmocka_unit_test_setup_teardown(deadlines_fire_in_time_and_never_early, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tick_sleeps_no_longer_than_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_that_never_rests_does_not_stop_the_tick, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_held_task_waits_for_the_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watch_gives_one_edge_for_each_arrival, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_watch_is_silent_even_if_the_kernel_has_spoken,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_watch_on_nothing_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(accepts_come_in_bounded_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_listener_leaves_its_backlog_to_the_kernel, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_low_pool_stops_accepting, setup, teardown),
        cmocka_unit_test_setup_teardown(accepted_may_close_the_listener, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_descriptors_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(two_listeners_share_a_port, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_places_to_listen_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(ipv6_literals_are_listened_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
