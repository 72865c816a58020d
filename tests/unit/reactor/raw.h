/* SPDX-License-Identifier: MIT
 *
 * raw.h - a listener of ours on the loopback, and peers made of plain socket calls: the fixture of
 * the conn tests.
 */
#ifndef PENSTOCK_TEST_REACTOR_RAW_H
#define PENSTOCK_TEST_REACTOR_RAW_H

#include "tests/unit/reactor/fake.h"

#define MEGA ((size_t)1 << 20)

extern struct loop loop;
extern struct listener listener;
extern struct seen server; /* the owner of the latest accepted conn */
extern int accepts;
extern char big[MEGA]; /* bytes that differ from place to place */

int raw_setup(void **state);
int raw_teardown(void **state);
#define RAW_TEST(name) cmocka_unit_test_setup_teardown(name, raw_setup, raw_teardown)

/* ticks_until - tick until something is so, for at most four seconds. */
#define ticks_until(condition)                                                                     \
    do {                                                                                           \
        for (int spent = 0; !(condition) && spent < 800; spent++)                                  \
            fake_tick(&loop, 5);                                                                   \
        assert_true(condition);                                                                    \
    } while (0)
void ticks(int count);

/* raw_open - connect, with small buffers so that they fill soon; the conn at our end is server's.
 */
int raw_open(void);
void raw_reset(int fd);
void raw_send(int fd, const char *text);
/* raw_read_all - read big back while ticking, until n bytes, FIN or an error; outcome: the last
 * recv's, -errno. */
size_t raw_read_all(int fd, size_t n, ssize_t *outcome);
/* server_forget - close the accepted conn. */
void server_forget(bool cut);
/* open_pair - a conn of ours at both ends: the client dials. */
void open_pair(struct seen *client);
/* took - was exactly this in the conn's `in`? It is taken. */
bool took(struct conn *conn, const char *text);

#endif
