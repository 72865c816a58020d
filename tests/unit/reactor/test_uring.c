/* SPDX-License-Identifier: MIT
 *
 * test_uring.c - what only io_uring has: polls that end by themselves, or that the kernel refuses
 * too late to say so.
 */
#include "reactor/uring.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define KERNEL_SKIPPED 77 /* what meson takes for "skipped" */

static struct loop loop;
static struct watch watch;
static int notified;
static unsigned notified_bits;

static void
note(struct watch *of, unsigned ready)
{
    assert_ptr_equal(of, &watch);
    notified++;
    notified_bits |= ready;
}

static int
setup(void **state)
{
    struct loop_limits limits;
    (void)state;
    loop_limits_default(&limits);
    notified = 0;
    notified_bits = 0;
    return loop_init(&loop, &uring_ops, NULL, &limits);
}

static int
teardown(void **state)
{
    (void)state;
    loop_fini(&loop);
    return 0;
}

static int
watched_event(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(watch_open(&loop, &watch, fd, note), 0);
    loop_tick(&loop, 0);
    loop_tick(&loop, 0);
    watch.ready = 0;
    return fd;
}

static void
a_poll_that_ends_is_armed_again_and_loses_nothing(void **state)
{
    (void)state;
    struct uring_backend *backend = loop.backend;
    uint64_t one = 1;
    int fd = watched_event();
    struct io_uring_sqe *entry = submission(backend);
    assert_non_null(entry);
    io_uring_prep_cancel(entry, watch.slot, 0); /* behind the backend's back */
    io_uring_sqe_set_data(entry, NULL);
    assert_int_equal(io_uring_submit_and_get_events(&backend->ring), 1);
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one)); /* nobody watches now */
    for (int i = 0; i < 3; i++)
        loop_tick(&loop, 10);
    assert_true(watch.ready & WATCH_READ);
    watch.ready = 0;
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
    loop_tick(&loop, 1000);
    assert_true(watch.ready & WATCH_READ);
    watch_close(&loop, &watch);
    close(fd);
    assert_true(list_empty(&backend->slots));
}

/* By the time the poll is armed the descriptor may be gone; silence would leave its owner waiting.
 */
static void
a_descriptor_that_cannot_be_watched_is_reported_once(void **state)
{
    (void)state;
    struct uring_backend *backend = loop.backend;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(watch_open(&loop, &watch, fd, note), 0);
    close(fd);
    for (int i = 0; i < 5; i++)
        loop_tick(&loop, 1);
    assert_int_equal(notified, 1);
    assert_int_equal(notified_bits, WATCH_READ | WATCH_WRITE);
    watch_close(&loop, &watch);
    assert_true(list_empty(&backend->slots));
}

static void
what_was_never_armed_costs_no_call(void **state)
{
    (void)state;
    struct uring_backend *backend = loop.backend;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(watch_open(&loop, &watch, fd, note), 0);
    watch_close(&loop, &watch);
    close(fd);
    assert_true(list_empty(&backend->slots));
    assert_true(list_empty(&backend->to_submit));
    loop_tick(&loop, 0);
    assert_int_equal(notified, 0);
}

static int counted;

static void
ready_count(struct watch *of, unsigned ready)
{
    (void)of;
    counted += (ready & WATCH_READ) != 0;
}

/* More descriptors than one submission holds. */
static void
a_full_submission_queue_is_submitted_and_filled_again(void **state)
{
    (void)state;
    enum { COUNT = 2 * SUBMISSIONS + 7 };
    static struct watch watches[COUNT];
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    for (int i = 0; i < COUNT; i++) {
        watches[i].magic = 0;
        assert_int_equal(watch_open(&loop, &watches[i], fd, ready_count), 0);
    }
    counted = 0;
    for (int i = 0; i < 20 && counted < COUNT; i++)
        loop_tick(&loop, 10);
    assert_int_equal(counted, COUNT);
    for (int i = 0; i < COUNT; i++)
        watch_close(&loop, &watches[i]);
    close(fd);
    assert_true(list_empty(&((struct uring_backend *)loop.backend)->slots));
}

int
main(void)
{
    char problem[BACKEND_PROBLEM_BYTES];
    if (uring_probe(problem) < 0) {
        printf("skipped: io_uring: %s\n", problem);
        return KERNEL_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_poll_that_ends_is_armed_again_and_loses_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_that_cannot_be_watched_is_reported_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_never_armed_costs_no_call, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_submission_queue_is_submitted_and_filled_again,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
