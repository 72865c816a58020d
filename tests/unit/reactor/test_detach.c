/* SPDX-License-Identifier: MIT
 *
 * test_detach.c - what is closed is gone at once: the peer hears of it before another tick, the
 * port is free, and nothing that was reported before reaches what took its place.
 */
#include "tests/unit/reactor/raw.h"

#include "reactor/socket.h"
#include "tests/unit/reactor/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#define MANY 200

/* heard_at_once - what the peer's next recv says, without another tick: 0 is FIN, otherwise -errno.
 * The network is the loopback, where it has arrived when close returns; a second is for machines
 * that are somewhere else. */
static int
heard_at_once(int fd)
{
    char byte;
    struct timeval patience = {.tv_sec = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    ssize_t n = recv(fd, &byte, 1, 0);
    assert_true(n <= 0);
    return n == 0 ? 0 : -errno;
}

static void
a_cut_conn_tells_its_peer_within_the_call(void **state)
{
    (void)state;
    int fd = raw_open();
    ticks(2);
    server_forget(true);
    assert_int_equal(heard_at_once(fd), 0);
    close(fd);
}

static void
a_conn_cut_over_unread_bytes_resets_within_the_call(void **state)
{
    (void)state;
    int fd = raw_open();
    conn_pause(server.conn);
    raw_send(fd, "nobody reads this");
    ticks(3);
    server_forget(true);
    assert_int_equal(heard_at_once(fd), -ECONNRESET);
    close(fd);
}

static void
a_conn_cut_in_the_tick_that_took_it_tells_its_peer_too(void **state)
{
    (void)state;
    int before = accepts, fd = raw_open();
    server_forget(true);
    assert_int_equal(accepts, before + 1);
    assert_int_equal(heard_at_once(fd), 0);
    close(fd);
}

static int ignored;

static void
ignore(struct watch *watch, unsigned ready)
{
    (void)watch;
    (void)ready;
    ignored++;
}

/* With many events waiting, the kernel's work for one cancellation stands at the end of a queue. */
static void
a_cut_conn_is_not_kept_waiting_by_many_events(void **state)
{
    (void)state;
    static struct watch watches[MANY];
    uint64_t one = 1;
    int fd = raw_open();
    for (int i = 0; i < MANY; i++) {
        int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        assert_true(event >= 0);
        assert_int_equal(watch_open(&loop, &watches[i], event, ignore), 0);
    }
    ticks(2);
    ignored = 0;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(write(watches[i].fd, &one, sizeof(one)), sizeof(one));
    server_forget(true);
    assert_int_equal(heard_at_once(fd), 0);
    uint64_t from_ms = loop.now_ms;
    fake_tick(&loop, 3000); /* and none of those events is lost, nor waits for another */
    assert_true(loop.now_ms - from_ms < 1500);
    assert_int_equal(ignored, MANY);
    for (int i = 0; i < MANY; i++) {
        watch_close(&loop, &watches[i]);
        close(watches[i].fd);
    }
    close(fd);
}

static void
take_nobody(struct listener *of, int fd, const char *peer)
{
    (void)of;
    (void)peer;
    close(fd);
}

static void
a_closed_listener_frees_its_port_at_once(void **state)
{
    (void)state;
    struct listener other;
    uint16_t number = 0;
    char problem[128];
    for (int round = 0; round < 20; round++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = listener_socket(SLICE_LIT("127.0.0.1"), &number, 8, problem);
        assert_true(fd >= 0);
        assert_int_equal(listener_open(&loop, &other, fd, take_nobody, NULL), 0);
        ticks(round % 3);
        listener_close(&other);
        address.sin_port = htons(number);
        int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* without SO_REUSEPORT */
        assert_int_equal(bind(plain, (struct sockaddr *)&address, sizeof(address)), 0);
        close(plain);
    }
}

/* The same number, another file: what is said of the first must not be heard by the second. */
static void
descriptors_are_reused_without_confusion(void **state)
{
    (void)state;
    struct watch watch;
    uint64_t one = 1;
    int last = -1, same = 0;
    for (int round = 0; round < 300; round++) {
        int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        same += event == last;
        last = event;
        ignored = 0;
        assert_int_equal(watch_open(&loop, &watch, event, ignore), 0);
        fake_tick(&loop, 0);
        watch.ready = 0;
        if (round % 4 == 0)
            fake_tick(&loop, 0);
        assert_false(watch.ready & WATCH_READ);
        assert_int_equal(write(event, &one, sizeof(one)), sizeof(one));
        if (round % 2 == 0) {
            fake_tick(&loop, 1000);
            assert_true(watch.ready & WATCH_READ);
        }
        watch_close(&loop, &watch);
        close(event);
    }
    assert_int_equal(same, 299);
}

/* A worker's loop is made on one thread, used on a second, and taken apart on the first. */
static void *
tick_elsewhere(void *argument)
{
    struct loop *of = argument;
    for (int i = 0; i < 3; i++)
        fake_tick(of, 100);
    return NULL;
}

static void
a_loop_may_change_threads_before_its_first_tick(void **state)
{
    (void)state;
    struct loop other;
    struct watch watch;
    pthread_t thread;
    uint64_t one = 1;
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    fake_loop(&other, kernel_ops(), NULL);
    ignored = 0;
    assert_int_equal(watch_open(&other, &watch, event, ignore), 0);
    assert_int_equal(pthread_create(&thread, NULL, tick_elsewhere, &other), 0);
    for (int i = 0; i < 3; i++) {
        usleep(2000);
        assert_int_equal(write(event, &one, sizeof(one)), sizeof(one));
    }
    pthread_join(thread, NULL);
    assert_true(ignored > 0);
    watch_close(&other, &watch);
    close(event);
    loop_fini(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RAW_TEST(a_cut_conn_tells_its_peer_within_the_call),
        RAW_TEST(a_conn_cut_over_unread_bytes_resets_within_the_call),
        RAW_TEST(a_conn_cut_in_the_tick_that_took_it_tells_its_peer_too),
        RAW_TEST(a_cut_conn_is_not_kept_waiting_by_many_events),
        RAW_TEST(a_closed_listener_frees_its_port_at_once),
        RAW_TEST(descriptors_are_reused_without_confusion),
        RAW_TEST(a_loop_may_change_threads_before_its_first_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
