/* SPDX-License-Identifier: MIT
 *
 * test_conn.c - conns, listeners and dials over real loopback sockets under epoll.
 */
#include "tests/unit/reactor/fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static struct loop loop;
static struct listener listener;
static uint16_t port;
static struct seen server; /* the owner of the latest accepted conn */
static int accepts;

static void
keep(struct listener *of, int fd, const char *peer)
{
    assert_ptr_equal(of, &listener);
    assert_int_equal(strncmp(peer, "127.0.0.1:", 10), 0);
    accepts++;
    seen_init(&server, &loop, NULL);
    assert_int_equal(conn_adopt(&loop, fd, NULL, peer, seen_notify, &server, &server.conn), 0);
}

static int
setup(void **state)
{
    (void)state;
    char problem[128];
    fake_names_reset();
    fake_loop(&loop, &epoll_ops, NULL);
    port = 0;
    accepts = 0;
    int fd = listener_socket(SLICE_LIT("localhost"), &port, 64, problem);
    assert_true(fd >= 0);
    assert_int_equal(listener_open(&loop, &listener, fd, keep, NULL), 0);
    fake_name_add("host", "127.0.0.1", 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    listener_close(&listener);
    loop_fini(&loop);
    return 0;
}

/* ticks - tick until a condition given by the two numbers holds, at most two seconds. */
#define ticks_until(condition)                                                                     \
    do {                                                                                           \
        for (int spent = 0; !(condition) && spent < 400; spent++)                                  \
            fake_tick(&loop, 5);                                                                   \
        assert_true(condition);                                                                    \
    } while (0)

static struct conn_target target = {.host = {"host", 4}};

static void
open_pair(struct seen *client)
{
    seen_init(client, &loop, NULL);
    target.port = port;
    int before = accepts;
    assert_int_equal(conn_open(&loop, &target, seen_notify, client, &client->conn), 0);
    assert_int_equal(client->notices, 0);
    ticks_until(client->up && accepts > before && server.up);
}

static void
close_pair(struct seen *client)
{
    conn_close(client->conn, true);
    conn_close(server.conn, true);
    fake_tick(&loop, 0);
    assert_int_equal(loop.conns, 0);
    assert_int_equal(loop.pool.chunks_used, 0);
}

static void
bytes_cross_both_ways(void **state)
{
    (void)state;
    struct seen client;
    struct sink got;
    sink_init(&got, 1 << 20);
    open_pair(&client);
    assert_int_equal(strncmp(client.conn->peer, "127.0.0.1:", 10), 0);
    assert_true(server.conn->client_side);
    assert_false(client.conn->client_side);
    assert_int_equal(conn_put(client.conn, SLICE_LIT("ping")), 0);
    ticks_until(server.bytes);
    assert_int_equal(client.empty, 1);
    seen_take(server.conn, &got);
    assert_true(slice_is(sink_slice(&got), "ping"));
    assert_int_equal(conn_put(server.conn, SLICE_LIT("po")), 0);
    assert_int_equal(conn_put(server.conn, SLICE_LIT("ng")), 0);
    ticks_until(client.bytes);
    sink_reset(&got, 0);
    seen_take(client.conn, &got);
    assert_true(slice_is(sink_slice(&got), "pong"));
    assert_int_equal(loop.stats.sends, 2); /* one a tick, however many puts */
    assert_int_equal(client.conn->bytes_in, 4);
    assert_int_equal(client.conn->bytes_out, 4);
    assert_true(conn_acked(client.conn) >= 4);
    close_pair(&client);
    sink_fini(&got);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_cross_both_ways, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
