/* SPDX-License-Identifier: MIT
 *
 * raw.c - a listener of ours, and peers made of plain socket calls.
 */
#include "tests/unit/reactor/raw.h"

#include "tests/unit/reactor/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

struct loop loop;
struct listener listener;
static uint16_t port;
struct seen server; /* the owner of the latest accepted conn */
int accepts;
static struct conn_target target = {.host = {"host", 4}};
char big[MEGA];

static void
keep(struct listener *of, int fd, const char *peer)
{
    assert_ptr_equal(of, &listener);
    assert_int_equal(strncmp(peer, "127.0.0.1:", 10), 0);
    accepts++;
    seen_init(&server, &loop, NULL);
    assert_int_equal(conn_adopt(&loop, fd, NULL, peer, seen_notify, &server, &server.conn), 0);
}

int
raw_setup(void **state)
{
    (void)state;
    char problem[128];
    fake_names_reset();
    fake_loop(&loop, kernel_ops(), NULL);
    port = 0;
    accepts = 0;
    server.conn = NULL;
    int fd = listener_socket(SLICE_LIT("localhost"), &port, 64, problem);
    assert_true(fd >= 0);
    assert_int_equal(listener_open(&loop, &listener, fd, keep, NULL), 0);
    fake_name_add("host", "127.0.0.1", 0);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 2654435761u >> 13);
    return 0;
}

int
raw_teardown(void **state)
{
    (void)state;
    if (server.conn)
        conn_close(server.conn, true);
    listener_close(&listener);
    fake_tick(&loop, 0);
    assert_int_equal(loop.conns, 0);
    assert_int_equal(loop.pool.chunks_used, 0);
    loop_fini(&loop);
    return 0;
}

void
ticks(int count)
{
    while (count-- > 0)
        fake_tick(&loop, 1);
}

void
server_forget(bool cut)
{
    conn_close(server.conn, cut);
    server.conn = NULL;
}

int
raw_open(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 32 * 1024, before = accepts;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    struct timeval patience = {.tv_sec = 3};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    ticks_until(accepts > before && server.up);
    assert_int_equal(setsockopt(server.conn->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    return fd;
}

void
raw_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(fd);
}

void
raw_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

size_t
raw_read_all(int fd, size_t n, ssize_t *outcome)
{
    size_t got = 0;
    char piece[7777];
    for (int idle = 0; got < n && idle < 2000;) {
        size_t want = n - got < sizeof(piece) ? n - got : sizeof(piece);
        *outcome = recv(fd, piece, want, MSG_DONTWAIT);
        if (*outcome == 0 || (*outcome < 0 && errno != EAGAIN)) {
            *outcome = *outcome < 0 ? -errno : 0;
            return got;
        }
        if (*outcome < 0) {
            fake_tick(&loop, 1);
            idle++;
            continue;
        }
        assert_true(memcmp(piece, big + got, (size_t)*outcome) == 0);
        got += (size_t)*outcome;
        idle = 0;
        fake_tick(&loop, 0);
    }
    return got;
}

void
open_pair(struct seen *client)
{
    seen_init(client, &loop, NULL);
    target.port = port;
    int before = accepts;
    assert_int_equal(conn_open(&loop, &target, seen_notify, client, &client->conn), 0);
    assert_int_equal(client->notices, 0);
    ticks_until(client->up && accepts > before && server.up);
}

bool
took(struct conn *conn, const char *text)
{
    struct sink got;
    sink_init(&got, MEGA * 2);
    seen_take(conn, &got);
    bool same = slice_is(sink_slice(&got), text);
    sink_fini(&got);
    return same;
}
