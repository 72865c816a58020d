/* SPDX-License-Identifier: MIT
 *
 * test_dial.c - from a name to a socket: the race of addresses, in simulated time and once over the
 * kernel.
 *
 * In the simulator a port stands for a machine: 1 answers, 2 refuses, 3 is a black hole, 4 answers
 * as well.
 */
#include "reactor/sim.h"
#include "tests/unit/reactor/fake.h"
#include "tests/unit/reactor/kernel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static struct sim *sim;
static struct loop loop;
static struct seen seen;
static struct conn_target target;
static int opened[5], gone[5];

static void
peer_opened(struct sim_peer *peer)
{
    opened[(intptr_t)sim_peer_user(peer)]++;
}

static void
peer_reset(struct sim_peer *peer)
{
    gone[(intptr_t)sim_peer_user(peer)]++;
}

static const struct sim_script script = {.opened = peer_opened, .reset = peer_reset};

static int
setup(void **state)
{
    (void)state;
    fake_names_reset();
    sim = sim_new(1, NULL);
    fake_loop(&loop, &sim_ops, sim);
    memset(opened, 0, sizeof(opened));
    memset(gone, 0, sizeof(gone));
    sim_accept_on(sim, 1, &script, (void *)1, false);
    sim_accept_on(sim, 2, &script, (void *)2, true);
    sim_black_hole(sim, 3);
    sim_accept_on(sim, 4, &script, (void *)4, false);
    target = (struct conn_target){.host = SLICE_LIT("name")};
    seen_init(&seen, &loop, NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    sim_run(sim, &loop, sim_now_us(sim) + 10000000, NULL, NULL);
    fake_tick(&loop, 0);
    assert_int_equal(loop.conns, 0);
    assert_int_equal(sim_sockets_open(sim), 0);
    assert_int_equal(fake_names_pending(), 0);
    loop_fini(&loop);
    sim_free(sim);
    return 0;
}

static bool
decided(void *user)
{
    (void)user;
    return seen.up || seen.lost;
}

/* dial - open and run until UP or LOST; returns how long that took in milliseconds. */
static uint64_t
dial(void)
{
    uint64_t from = sim_now_us(sim);
    assert_int_equal(conn_open(&loop, &target, seen_notify, &seen, &seen.conn), 0);
    assert_int_equal(seen.notices, 0); /* never from inside conn_open */
    sim_run(sim, &loop, from + 60000000, decided, NULL);
    return (sim_now_us(sim) - from) / 1000;
}

static void
names(const uint16_t *ports, size_t count)
{
    static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4",
                                            "192.0.2.5"};
    for (size_t i = 0; i < count; i++)
        fake_name_add("name", addresses[i], ports[i]);
}
#define NAMES(...)                                                                                 \
    names((const uint16_t[]){__VA_ARGS__}, countof(((const uint16_t[]){__VA_ARGS__})))

static void
one_address_connects(void **state)
{
    (void)state;
    NAMES(1);
    assert_true(dial() < 2);
    assert_int_equal(seen.up, 1);
    assert_string_equal(seen.conn->peer, "192.0.2.1:1");
    assert_int_equal(opened[1], 1);
    assert_null(seen.conn->dial);
    assert_int_equal(loop.stats.dials, 1);
    assert_int_equal(loop.stats.dial_failures, 0);
    conn_close(seen.conn, false);
}

static void
a_refusal_tries_the_next_at_once(void **state)
{
    (void)state;
    NAMES(2, 2, 1);
    assert_true(dial() < 5);
    assert_int_equal(seen.up, 1);
    assert_string_equal(seen.conn->peer, "192.0.2.3:1");
    assert_int_equal(fake_names_forgotten(), 0); /* one address works: the answer is good */
    conn_close(seen.conn, true);
}

static void
a_black_hole_costs_one_stagger(void **state)
{
    (void)state;
    NAMES(3, 1);
    uint64_t took = dial();
    assert_true(took >= 249 && took <= 255);
    assert_int_equal(seen.up, 1);
    assert_int_equal(sim_sockets_open(sim), 1); /* the loser is closed */
    conn_close(seen.conn, true);
}

static void
two_black_holes_cost_two_staggers(void **state)
{
    (void)state;
    NAMES(3, 3, 1);
    uint64_t took = dial();
    assert_true(took >= 499 && took <= 505);
    conn_close(seen.conn, true);
}

static void
a_refusal_behind_a_black_hole_does_not_wait_again(void **state)
{
    (void)state;
    NAMES(3, 2, 1);
    uint64_t took = dial();
    assert_true(took >= 249 && took <= 255);
    assert_int_equal(seen.up, 1);
    conn_close(seen.conn, true);
}

static void
the_slower_winner_is_let_go(void **state)
{
    (void)state;
    loop.limits.connect_stagger_ms = 0; /* both race from the start */
    NAMES(1, 4);
    dial();
    assert_int_equal(seen.up, 1);
    assert_int_equal(sim_sockets_open(sim), 1);
    conn_close(seen.conn, true);
    sim_run(sim, &loop, sim_now_us(sim) + 1000000, NULL, NULL);
    assert_int_equal(opened[1] + opened[4],
                     gone[1] + gone[4]); /* nobody is left with half a connection */
}

static void
all_refuse(void **state)
{
    (void)state;
    NAMES(2, 2);
    assert_true(dial() < 5);
    assert_int_equal(seen.up, 0);
    assert_int_equal(seen.lost, 1);
    assert_int_equal(seen.conn->error, -ERR_CONNECT);
    assert_int_equal(fake_names_forgotten(), 1);
    assert_int_equal(loop.stats.dial_failures, 1);
    assert_int_equal(conn_put(seen.conn, SLICE_LIT("into the void")), 0);
    conn_close(seen.conn, false);
}

static void
a_black_hole_after_all_others_refused_is_waited_for(void **state)
{
    (void)state;
    NAMES(3, 2);
    dial(); /* until nothing happens any more: the owner's deadline would end it */
    assert_int_equal(seen.notices, 0);
    assert_int_equal(sim_sockets_open(sim), 1);
    conn_close(seen.conn, false);
    assert_int_equal(sim_sockets_open(sim), 0);
}

static void
an_unknown_name_is_lost_later_not_at_once(void **state)
{
    (void)state;
    dial();
    assert_int_equal(seen.lost, 1);
    assert_int_equal(seen.conn->error, -ERR_DNS);
    assert_int_equal(fake_names_forgotten(), 0);
    conn_close(seen.conn, true);
}

static void
a_slow_name_is_waited_for(void **state)
{
    (void)state;
    NAMES(1);
    fake_name_slow("name");
    dial();
    assert_int_equal(seen.notices, 0);
    assert_int_equal(fake_names_pending(), 1);
    fake_names_answer(&loop);
    sim_run(sim, &loop, sim_now_us(sim) + 60000000, decided, NULL);
    assert_int_equal(seen.up, 1);
    conn_close(seen.conn, true);
}

static void
closing_cancels_whatever_is_under_way(void **state)
{
    (void)state;
    NAMES(1);
    fake_name_slow("name");
    for (int cut = 0; cut < 2; cut++) {
        seen_init(&seen, &loop, NULL);
        assert_int_equal(conn_open(&loop, &target, seen_notify, &seen, &seen.conn), 0);
        sim_run(sim, &loop, sim_now_us(sim) + 1000, NULL, NULL);
        conn_close(seen.conn, cut);
        assert_int_equal(fake_names_pending(), 0);
        fake_tick(&loop, 0);
        assert_int_equal(loop.conns, 0);
    }
    target.host = SLICE_LIT("second");
    fake_name_add("second", "192.0.2.9", 1);
    fake_name_add("second", "192.0.2.9", 3);
    for (uint64_t after_us = 0; after_us < 400;
         after_us += 20) { /* before, while and after it connects */
        seen_init(&seen, &loop, NULL);
        assert_int_equal(conn_open(&loop, &target, seen_notify, &seen, &seen.conn), 0);
        assert_int_equal(conn_put(seen.conn, SLICE_LIT("early bytes")), 0);
        sim_run(sim, &loop, sim_now_us(sim) + after_us, NULL, NULL);
        conn_close(seen.conn, true);
        fake_tick(&loop, 0);
        assert_int_equal(loop.conns, 0);
        assert_int_equal(sim_sockets_open(sim), 0);
        assert_int_equal(loop.pool.chunks_used, 0);
    }
}

static struct sink *
greeting_of(struct sim_peer *peer)
{
    return sim_peer_in(peer);
}

static struct sim_peer *greeted;

static void
greet(struct sim_peer *peer)
{
    greeted = peer;
}

static const struct sim_script greet_script = {.opened = greet};

static void
bytes_put_before_up_are_sent(void **state)
{
    (void)state;
    sim_accept_on(sim, 5, &greet_script, NULL, false);
    NAMES(2, 5);
    assert_int_equal(conn_open(&loop, &target, seen_notify, &seen, &seen.conn), 0);
    assert_int_equal(conn_put(seen.conn, SLICE_LIT("hello")), 0);
    sim_run(sim, &loop, sim_now_us(sim) + 1000000, NULL, NULL);
    assert_true(slice_is(sink_slice(greeting_of(greeted)), "hello"));
    assert_int_equal(seen.empty, 1);
    conn_close(seen.conn, false);
}

static void
many_addresses_are_all_tried(void **state)
{
    (void)state;
    NAMES(3, 3, 3, 3, 1);
    uint64_t took = dial();
    assert_true(took >= 999 && took <= 1010);
    assert_int_equal(seen.up, 1);
    conn_close(seen.conn, true);
}

/* -- the kernel's own refusals
 * ---------------------------------------------------------------------------- */

static int
kernel_setup(void **state)
{
    (void)state;
    fake_names_reset();
    fake_loop(&loop, kernel_ops(), NULL);
    target = (struct conn_target){.host = SLICE_LIT("name")};
    seen_init(&seen, &loop, NULL);
    return 0;
}

static int
kernel_teardown(void **state)
{
    (void)state;
    fake_tick(&loop, 0);
    loop_fini(&loop);
    return 0;
}

static uint16_t
free_port(bool listening, int *fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &len), 0);
    if (listening)
        assert_int_equal(listen(*fd, 8), 0);
    return ntohs(address.sin_port);
}

static void
kernel_run(void)
{
    assert_int_equal(conn_open(&loop, &target, seen_notify, &seen, &seen.conn), 0);
    for (int spent = 0; !decided(NULL) && spent < 400; spent++)
        fake_tick(&loop, 10);
}

static void
the_kernel_refuses_and_the_next_answers(void **state)
{
    (void)state;
    int deaf, live;
    fake_name_add("name", "127.0.0.1", free_port(false, &deaf));
    fake_name_add("name", "127.0.0.1", free_port(true, &live));
    uint64_t from = loop.now_ms;
    loop.limits.connect_stagger_ms = 60000;
    kernel_run();
    assert_int_equal(seen.up, 1);
    assert_true(loop.now_ms - from < 4000); /* at once, not after the stagger */
    conn_close(seen.conn, true);
    close(deaf);
    close(live);
}

static void
the_kernel_refuses(void **state)
{
    (void)state;
    int deaf;
    fake_name_add("name", "127.0.0.1", free_port(false, &deaf));
    kernel_run();
    assert_int_equal(seen.lost, 1);
    assert_int_equal(seen.conn->error, -ERR_CONNECT);
    conn_close(seen.conn, true);
    close(deaf);
}

static void
no_descriptor_is_named(void **state)
{
    (void)state;
    struct rlimit before, low;
    int deaf, spare;
    fake_name_add("name", "127.0.0.1", free_port(false, &deaf));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    spare = dup(0);
    close(spare);
    low = (struct rlimit){(rlim_t)spare, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    kernel_run();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(seen.lost, 1);
    assert_int_equal(seen.conn->error, -ERR_NO_DESCRIPTOR);
    assert_int_equal(fake_names_forgotten(), 0); /* not the name's fault */
    conn_close(seen.conn, true);
    close(deaf);
}

static bool
is_fourth(const char *peer)
{
    return strcmp(peer, "192.0.2.4:4") == 0;
}

static bool
is_none(const char *peer)
{
    (void)peer;
    return false;
}

static void
addresses_that_are_not_allowed_are_passed_over(void **state)
{
    (void)state;
    NAMES(1, 2, 3, 4);
    target.allowed = is_fourth;
    assert_true(dial() < 2); /* no stagger for those that are not tried */
    assert_int_equal(seen.up, 1);
    assert_string_equal(seen.conn->peer, "192.0.2.4:4");
    assert_int_equal(opened[1] + opened[2], 0);
    conn_close(seen.conn, true);
}

static void
no_allowed_address_is_a_failure_that_leaves_the_name_alone(void **state)
{
    (void)state;
    NAMES(1, 4);
    target.allowed = is_none;
    assert_true(dial() < 2);
    assert_int_equal(seen.lost, 1);
    assert_int_equal(seen.conn->error, -ERR_REQUEST);
    assert_int_equal(opened[1] + opened[4], 0);
    assert_int_equal(fake_names_forgotten(), 0);
    conn_close(seen.conn, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_address_connects, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_tries_the_next_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_black_hole_costs_one_stagger, setup, teardown),
        cmocka_unit_test_setup_teardown(two_black_holes_cost_two_staggers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_behind_a_black_hole_does_not_wait_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_slower_winner_is_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(all_refuse, setup, teardown),
        cmocka_unit_test_setup_teardown(a_black_hole_after_all_others_refused_is_waited_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unknown_name_is_lost_later_not_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_name_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_cancels_whatever_is_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_put_before_up_are_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(many_addresses_are_all_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_that_are_not_allowed_are_passed_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_allowed_address_is_a_failure_that_leaves_the_name_alone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_kernel_refuses_and_the_next_answers, kernel_setup,
                                        kernel_teardown),
        cmocka_unit_test_setup_teardown(the_kernel_refuses, kernel_setup, kernel_teardown),
        cmocka_unit_test_setup_teardown(no_descriptor_is_named, kernel_setup, kernel_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
