/* SPDX-License-Identifier: MIT
 *
 * test_dns.c - names against a small DNS server of the test's own on loopback: answers, silence,
 * lies, and the cache over time.
 */
#include "reactor/backend.h"
#include "reactor/dns.h"
#include "reactor/socket.h"
#include "base/sink.h"
#include "tests/unit/reactor/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* clang-format off */
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

enum { TYPE_A = 1, TYPE_AAAA = 28, RCODE_FAIL = 2, RCODE_NO_NAME = 3 };

/* What the server says to one name. */
struct entry {
    const char *name;
    const char *four[4], *six[4];
    int rcode;
    bool drop_six, drop_four, truncate;
};

static struct {
    int udp, tcp, stream; /* sockets */
    uint16_t port;
    const struct entry *entries;
    size_t count;
    int questions[2]; /* A, AAAA */
    bool silent;
} server;

static struct loop loop;
static struct backend_ops ops; /* the kernel with a clock that can be moved */
static uint64_t shift_us;
static char servers[64];

static uint64_t
shifted_clock(struct loop *of)
{
    return socket_clock(of) + shift_us;
}

/* -- the server -- */

static void
put_u16(struct sink *out, unsigned value)
{
    sink_byte(out, (char)(value >> 8));
    sink_byte(out, (char)value);
}

static void
put_addresses(struct sink *out, const char *const addresses[4], int family)
{
    uint8_t bytes[16];
    for (int i = 0; i < 4 && addresses[i]; i++) {
        size_t len = family == AF_INET ? 4 : 16;
        assert_int_equal(inet_pton(family, addresses[i], bytes), 1);
        put_u16(out, 0xc00c); /* the question's name */
        put_u16(out, family == AF_INET ? TYPE_A : TYPE_AAAA);
        put_u16(out, 1);
        put_u16(out, 0);
        put_u16(out, 60);
        put_u16(out, (unsigned)len);
        sink_put(out, slice_of(bytes, len));
    }
}

static int
count_addresses(const char *const addresses[4])
{
    int count = 0;
    while (count < 4 && addresses[count])
        count++;
    return count;
}

/* Read the question; false: the server says nothing. */
static bool
answer_question(struct slice question, bool stream, struct sink *out)
{
    char name[256] = "";
    size_t at = 12, len = 0;
    assert_true(question.len > 16);
    while (question.ptr[at]) {
        size_t label = (uint8_t)question.ptr[at++];
        assert_true(len + label + 1 < sizeof(name) && at + label < question.len);
        memcpy(name + len, question.ptr + at, label);
        len += label;
        name[len++] = '.';
        at += label;
    }
    name[len ? len - 1 : 0] = '\0';
    int type = question.ptr[at + 1] << 8 | question.ptr[at + 2];
    at += 5;
    const struct entry *entry = NULL;
    for (size_t i = 0; i < server.count; i++) {
        if (strcasecmp(server.entries[i].name, name) == 0)
            entry = &server.entries[i];
    }
    server.questions[type == TYPE_AAAA]++;
    if (server.silent || (entry && type == TYPE_AAAA && entry->drop_six) ||
        (entry && type == TYPE_A && entry->drop_four))
        return false;
    bool cut = entry && entry->truncate && !stream;
    int rcode = entry ? entry->rcode : RCODE_NO_NAME;
    const char *const *addresses = !entry || cut ? NULL : type == TYPE_A ? entry->four : entry->six;
    sink_put(out, slice_take(question, 2));
    put_u16(out, 0x8180u | (cut ? 0x0200u : 0) | (unsigned)rcode);
    put_u16(out, 1);
    put_u16(out, addresses ? (unsigned)count_addresses(addresses) : 0);
    put_u16(out, 0);
    put_u16(out, 0);
    sink_put(out, slice_take(slice_skip(question, 12), at - 12));
    if (addresses)
        put_addresses(out, addresses, type == TYPE_A ? AF_INET : AF_INET6);
    return true;
}

static void
serve_stream(void)
{
    uint8_t buffer[2000];
    if (server.stream < 0)
        server.stream = accept4(server.tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (server.stream < 0)
        return;
    ssize_t n = recv(server.stream, buffer, sizeof(buffer), 0);
    for (size_t at = 0; n > 0 && at + 2 < (size_t)n;) {
        size_t len = (size_t)buffer[at] << 8 | buffer[at + 1];
        struct sink out;
        sink_init(&out, 4096);
        put_u16(&out, 0);
        if (answer_question(slice_of(buffer + at + 2, len), true, &out)) {
            out.ptr[0] = (char)((out.len - 2) >> 8);
            out.ptr[1] = (char)(out.len - 2);
            /* In two pieces, so that the reader has to come back. */
            assert_int_equal(send(server.stream, out.ptr, 9, 0), 9);
            usleep(2000);
            assert_int_equal(send(server.stream, out.ptr + 9, out.len - 9, 0), out.len - 9);
        }
        sink_fini(&out);
        at += 2 + len;
    }
}

static void
serve(void)
{
    char buffer[2000];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t n;
    while ((n = recvfrom(server.udp, buffer, sizeof(buffer), 0, (struct sockaddr *)&from,
                         &from_len)) > 0) {
        struct sink out;
        sink_init(&out, 4096);
        if (answer_question(slice_of(buffer, (size_t)n), false, &out))
            assert_int_equal(
                sendto(server.udp, out.ptr, out.len, 0, (struct sockaddr *)&from, from_len),
                out.len);
        sink_fini(&out);
    }
    serve_stream();
}

static int
bound(int kind, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void
configure(const char *resolv_conf)
{
    struct dns_options options = {.servers = servers, .timeout_ms = 300, .tries = 2};
    if (resolv_conf)
        options = (struct dns_options){.resolv_conf = resolv_conf, .timeout_ms = 300, .tries = 2};
    assert_int_equal(dns_configure(&loop, &options), 0);
}

static int
begin(void **state)
{
    (void)state;
    struct loop_limits limits;
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    memset(&server, 0, sizeof(server));
    do { /* one port for both protocols */
        server.udp = bound(SOCK_DGRAM, 0);
        assert_int_equal(getsockname(server.udp, (struct sockaddr *)&address, &len), 0);
        server.port = ntohs(address.sin_port);
        server.tcp = bound(SOCK_STREAM, server.port);
        if (server.tcp < 0)
            close(server.udp);
    } while (server.tcp < 0);
    assert_int_equal(listen(server.tcp, 5), 0);
    server.stream = -1;
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", server.port);
    ops = *kernel_ops();
    ops.clock = shifted_clock;
    shift_us = 0;
    loop_limits_default(&limits);
    return loop_init(&loop, &ops, NULL, &limits);
}

static int
end(void **state)
{
    (void)state;
    loop_fini(&loop);
    close(server.udp);
    close(server.tcp);
    if (server.stream >= 0)
        close(server.stream);
    return 0;
}

static void
know(const struct entry *entries, size_t count)
{
    server.entries = entries;
    server.count = count;
}

static int
asked(void)
{
    int count = server.questions[0] + server.questions[1];
    server.questions[0] = server.questions[1] = 0;
    return count;
}

/* -- lookups -- */

struct wait {
    bool done, inside; /* inside: dns_lookup is on the stack */
    int error, count;
    struct lookup *lookup;
    struct dns_answer answer;
    void (*then)(struct wait *wait);
    struct wait *other;
};

static void
got(void *owner, const struct dns_answer *answer)
{
    struct wait *wait = owner;
    assert_false(wait->inside);
    assert_false(wait->done);
    wait->done = true;
    wait->lookup = NULL;
    wait->answer = *answer;
    if (wait->then)
        wait->then(wait);
}

/* 1 answered at once, 0 pending, -ERR. */
static int
begin_lookup(struct wait *wait, const char *name)
{
    *wait = (struct wait){.inside = true, .then = wait->then, .other = wait->other};
    int result = dns_lookup(&loop, slice_from(name), 4000, &wait->answer, got, wait, &wait->lookup);
    wait->inside = false;
    assert_int_equal(wait->lookup != NULL, result == 0);
    return result;
}

static void
run(const struct wait *wait, int ms)
{
    uint64_t end_us = socket_clock(&loop) + (uint64_t)ms * 1000;
    while (!(wait && wait->done) && socket_clock(&loop) < end_us) {
        loop_tick(&loop, 2);
        serve();
    }
}

static void
address_text(const struct dns_address *address, char text[64])
{
    const struct sockaddr_in6 *six = (const void *)&address->address;
    const struct sockaddr_in *four = (const void *)&address->address;
    bool is_six = address->address.ss_family == AF_INET6;
    assert_int_equal(address->len, is_six ? sizeof(*six) : sizeof(*four));
    assert_int_equal(ntohs(is_six ? six->sin6_port : four->sin_port), 4000);
    assert_non_null(inet_ntop(
        address->address.ss_family,
        is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr, text, 64));
}

static void
assert_addresses(const struct dns_answer *answer, const char *expected)
{
    char all[1024] = "", one[64];
    assert_int_equal(answer->error, answer->count ? 0 : -ERR_DNS);
    for (int i = 0; i < answer->count; i++) {
        address_text(&answer->addresses[i], one);
        strcat(strcat(all, i ? " " : ""), one);
    }
    assert_string_equal(all, expected);
}

/* A lookup to its end. */
static void
look_up(const char *name, const char *expected)
{
    struct wait wait = {.then = NULL};
    int result = begin_lookup(&wait, name);
    if (result == 0) {
        run(&wait, 5000);
        assert_true(wait.done);
    } else if (result < 0) {
        assert_int_equal(result, -ERR_DNS);
        wait.answer = (struct dns_answer){.error = -ERR_DNS};
    }
    assert_addresses(&wait.answer, expected);
}

static void
at_once(const char *name, const char *expected)
{
    struct wait wait = {.then = NULL};
    assert_int_equal(begin_lookup(&wait, name), 1);
    assert_addresses(&wait.answer, expected);
}

static const struct entry plain[] = {
    {.name = "both.test", .four = {"10.0.0.1", "10.0.0.2"}, .six = {"fd00::1"}},
    {.name = "four.test", .four = {"10.0.0.4"}},
    {.name = "six.test", .six = {"fd00::6", "fd00::7"}},
    {.name = "none.test", .rcode = RCODE_NO_NAME},
    {.name = "empty.test"},
    {.name = "broken.test", .rcode = RCODE_FAIL},
    {.name = "deaf.test", .four = {"10.0.0.5"}, .drop_six = true},
    {.name = "large.test", .four = {"10.1.0.1", "10.1.0.2"}, .six = {"fd00::a"}, .truncate = true},
};

static void
literals_need_no_server(void **state)
{
    (void)state;
    at_once("127.0.0.1", "127.0.0.1");
    at_once("::1", "::1");
    at_once("[fd00::2]", "fd00::2");
    at_once("localhost", "127.0.0.1 ::1");
    at_once("LocalHost", "127.0.0.1 ::1");
    at_once("api.localhost", "127.0.0.1 ::1");
    assert_null(loop.resolver);
    struct wait wait;
    struct lookup *lookup;
    const struct slice bad[] = {SLICE_LIT(""), SLICE_LIT("a b"), SLICE_LIT("a\0b"),
                                SLICE_LIT("[::1"), SLICE_LIT("1:2")};
    for (size_t i = 0; i < countof(bad); i++)
        assert_int_equal(dns_lookup(&loop, bad[i], 1, &wait.answer, got, &wait, &lookup), -ERR_DNS);
    char text[300];
    memset(text, 'a', sizeof(text));
    assert_int_equal(dns_lookup(&loop, slice_of(text, 254), 1, &wait.answer, got, &wait, &lookup),
                     -ERR_DNS);
    assert_null(loop.resolver);
}

static void
names_are_resolved_and_kept(void **state)
{
    (void)state;
    configure(NULL);
    know(plain, countof(plain));
    look_up("both.test", "fd00::1 10.0.0.1 10.0.0.2");
    assert_int_equal(asked(), 2);
    at_once("both.test", "fd00::1 10.0.0.1 10.0.0.2");
    at_once("Both.TEST", "fd00::1 10.0.0.1 10.0.0.2");
    look_up("four.test", "10.0.0.4");
    look_up("six.test", "fd00::6 fd00::7");
    assert_int_equal(asked(), 4);
    assert_int_equal(loop.stats.dns_lookups, 5);
    assert_int_equal(loop.stats.dns_cache_hits, 2);
    shift_us += 30 * 1000000; /* the default time to live */
    know(NULL, 0);
    loop_tick(&loop, 0);
    at_once("four.test", "10.0.0.4"); /* stale, and asked again behind it */
    run(NULL, 50);
    assert_int_equal(asked(), 2);
    look_up("four.test", ""); /* it does not exist any more */
}

static void
one_question_serves_all_who_wait(void **state)
{
    (void)state;
    struct wait waits[5] = {{.then = NULL}};
    configure(NULL);
    know(plain, countof(plain));
    for (int i = 0; i < 5; i++)
        assert_int_equal(begin_lookup(&waits[i], "both.test"), 0);
    dns_cancel(&loop, waits[1].lookup);
    dns_cancel(&loop, waits[4].lookup);
    run(&waits[3], 3000);
    assert_int_equal(asked(), 2);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(waits[i].done, i != 1 && i != 4);
        if (waits[i].done)
            assert_addresses(&waits[i].answer, "fd00::1 10.0.0.1 10.0.0.2");
    }
    /* A question goes on for the cache although nobody waits. */
    assert_int_equal(begin_lookup(&waits[0], "four.test"), 0);
    dns_cancel(&loop, waits[0].lookup);
    run(NULL, 50);
    assert_false(waits[0].done);
    at_once("four.test", "10.0.0.4");
}

static void
failures_are_believed_for_a_while(void **state)
{
    (void)state;
    struct wait wait = {.then = NULL};
    static const char *const names[] = {"none.test", "empty.test", "broken.test", "unknown.test"};
    configure(NULL);
    know(plain, countof(plain));
    for (size_t i = 0; i < countof(names); i++) {
        look_up(names[i], "");
        asked();
        assert_int_equal(begin_lookup(&wait, names[i]), -ERR_DNS);
        run(NULL, 20);
        assert_int_equal(asked(), 0);
    }
    assert_int_equal(loop.stats.dns_failures, 4);
    shift_us += 5 * 1000000;
    loop_tick(&loop, 0);
    static const struct entry now[] = {{.name = "none.test", .four = {"10.9.9.9"}}};
    know(now, 1);
    look_up("none.test", "10.9.9.9");
}

static void
stale_answers_bridge_a_silent_server(void **state)
{
    (void)state;
    configure(NULL);
    know(plain, countof(plain));
    look_up("both.test", "fd00::1 10.0.0.1 10.0.0.2");
    server.silent = true;
    shift_us += 5 * 60 * 1000000u;
    loop_tick(&loop, 0);
    at_once("both.test", "fd00::1 10.0.0.1 10.0.0.2");
    run(NULL, 1500); /* the refresh fails */
    assert_true(asked() >= 4);
    at_once("both.test", "fd00::1 10.0.0.1 10.0.0.2");
    run(NULL, 20);
    assert_int_equal(asked(), 0); /* it is not tried again at once */
    shift_us += 6 * 60 * 1000000u;
    loop_tick(&loop, 0);
    look_up("both.test", ""); /* too old by now */
    server.silent = false;
    shift_us += 5 * 1000000;
    loop_tick(&loop, 0);
    look_up("both.test", "fd00::1 10.0.0.1 10.0.0.2");
}

static void
half_an_answer_is_not_waited_for(void **state)
{
    (void)state;
    configure(NULL);
    know(plain, countof(plain));
    uint64_t before_us = socket_clock(&loop);
    look_up("deaf.test", "10.0.0.5");
    uint64_t took_us = socket_clock(&loop) - before_us;
    assert_true(took_us >= 40 * 1000); /* it had its chance */
    assert_true(took_us < 250 * 1000);
    run(NULL, 1500); /* the question that nobody answers ends, too */
    at_once("deaf.test", "10.0.0.5");
    assert_int_equal(loop.stats.dns_failures, 0);
}

static void
forgotten_names_are_asked_anew(void **state)
{
    (void)state;
    static const struct entry moved[] = {{.name = "four.test", .four = {"10.0.0.44"}}};
    configure(NULL);
    dns_forget(&loop, SLICE_LIT("four.test"));
    know(plain, countof(plain));
    look_up("four.test", "10.0.0.4");
    know(moved, 1);
    at_once("four.test", "10.0.0.4");
    dns_forget(&loop, SLICE_LIT("four.test"));
    look_up("four.test", "10.0.0.44");
    /* Also while half of the last round is still under way. */
    static const struct entry deaf[] = {
        {.name = "deaf.test", .four = {"10.0.0.55"}, .drop_six = true}};
    know(plain, countof(plain));
    look_up("deaf.test", "10.0.0.5");
    know(deaf, 1);
    dns_forget(&loop, SLICE_LIT("deaf.test"));
    look_up("deaf.test", "10.0.0.55");
}

static void
large_answers_come_over_tcp(void **state)
{
    (void)state;
    configure(NULL);
    know(plain, countof(plain));
    look_up("large.test", "fd00::a 10.1.0.1 10.1.0.2");
    assert_true(server.stream >= 0);
}

static void
no_server_is_told_quickly(void **state)
{
    (void)state;
    uint64_t before_us = socket_clock(&loop);
    /* A file that is not there: c-ares asks 127.0.0.1, where the test's machine has no server
     * either. */
    configure("/nonexistent/resolv.conf");
    look_up("both.test", "");
    assert_true(socket_clock(&loop) - before_us < 2000 * 1000);
    assert_int_equal(asked(), 0);
}

static void
a_dead_server_is_told_quickly(void **state)
{
    (void)state;
    uint64_t before_us = socket_clock(&loop);
    configure(NULL);
    close(server.udp);
    server.udp = bound(SOCK_DGRAM, 0); /* elsewhere */
    look_up("both.test", "");
    assert_true(socket_clock(&loop) - before_us <
                250 * 1000); /* refused at once: no timeout is waited for */
}

static void
look_further(struct wait *wait)
{
    struct wait *other = wait->other;
    if (other->lookup) { /* it waits for the same name: its answer comes next, but for this */
        dns_cancel(&loop, other->lookup);
        other->lookup = NULL;
    }
    wait->then = NULL;
    other->then = NULL;
    assert_int_equal(begin_lookup(other, "six.test"), 0);
}

static void
owners_may_do_as_they_like_when_told(void **state)
{
    (void)state;
    struct wait second = {.then = NULL}, first = {.then = look_further, .other = &second};
    configure(NULL);
    know(plain, countof(plain));
    assert_int_equal(begin_lookup(&first, "both.test"), 0);
    assert_int_equal(begin_lookup(&second, "both.test"), 0);
    run(&second, 3000);
    assert_true(first.done);
    assert_true(second.done);
    assert_addresses(&second.answer, "fd00::6 fd00::7");
}

static void
the_cache_is_bounded(void **state)
{
    (void)state;
    struct wait wait = {.then = NULL};
    char name[32];
    configure(NULL);
    server.silent = true;
    know(plain, countof(plain));
    int refused = 0;
    static struct wait waits[300];
    for (int i = 0; i < 300; i++) { /* all of them wait */
        snprintf(name, sizeof(name), "name%d.test", i);
        refused += begin_lookup(&waits[i], name) == -ERR_MEMORY;
    }
    assert_int_equal(refused, 44);
    run(NULL, 1500);
    for (int i = 0; i < 300; i++)
        assert_int_equal(waits[i].done, i < 256);
    server.silent = false;
    for (int i = 0; i < 300; i++) { /* and one after the other they take each other's place */
        snprintf(name, sizeof(name), "more%d.test", i);
        assert_int_equal(begin_lookup(&wait, name), 0);
        run(&wait, 3000);
        assert_true(wait.done);
        if (i == 0) /* a name that is in use stays */
            look_up("both.test", "fd00::1 10.0.0.1 10.0.0.2");
        else
            at_once("both.test", "fd00::1 10.0.0.1 10.0.0.2");
    }
}

static struct wait crowd[256];

static void
look_for_a_crowd(struct wait *wait)
{
    char name[32];
    (void)wait;
    for (int i = 0; i < 256; i++) {
        snprintf(name, sizeof(name), "crowd%d.test", i);
        assert_int_equal(begin_lookup(&crowd[i], name), i < 255 ? 0 : -ERR_MEMORY);
    }
}

/* Whoever is told may fill the cache; the name that is being told keeps its place. */
static void
a_name_stays_while_it_is_told(void **state)
{
    (void)state;
    struct wait wait = {.then = look_for_a_crowd};
    configure(NULL);
    know(plain, countof(plain));
    assert_int_equal(begin_lookup(&wait, "both.test"), 0);
    run(&wait, 3000);
    assert_true(wait.done);
    run(&crowd[254], 3000);
    at_once("both.test", "fd00::1 10.0.0.1 10.0.0.2");
}

/* When a question has failed, the system's settings are read again. */
static void
servers_may_move(void **state)
{
    (void)state;
    char real[sizeof(servers)];
    configure(NULL);
    know(plain, countof(plain));
    memcpy(real, servers, sizeof(real));
    int other = bound(SOCK_DGRAM, 0);
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    assert_int_equal(getsockname(other, (struct sockaddr *)&address, &len), 0);
    close(other); /* nobody listens there */
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", ntohs(address.sin_port));
    look_up("both.test", "");
    memcpy(servers, real, sizeof(real));
    look_up("four.test", "10.0.0.4");
}

static void
a_loop_may_end_with_questions_under_way(void **state)
{
    (void)state;
    struct wait wait = {.then = NULL};
    configure(NULL);
    server.silent = true;
    assert_int_equal(begin_lookup(&wait, "both.test"), 0);
    loop_tick(&loop, 0);
    dns_cancel(&loop, wait.lookup);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(literals_need_no_server, begin, end),
        cmocka_unit_test_setup_teardown(names_are_resolved_and_kept, begin, end),
        cmocka_unit_test_setup_teardown(one_question_serves_all_who_wait, begin, end),
        cmocka_unit_test_setup_teardown(failures_are_believed_for_a_while, begin, end),
        cmocka_unit_test_setup_teardown(stale_answers_bridge_a_silent_server, begin, end),
        cmocka_unit_test_setup_teardown(half_an_answer_is_not_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(forgotten_names_are_asked_anew, begin, end),
        cmocka_unit_test_setup_teardown(large_answers_come_over_tcp, begin, end),
        cmocka_unit_test_setup_teardown(no_server_is_told_quickly, begin, end),
        cmocka_unit_test_setup_teardown(a_dead_server_is_told_quickly, begin, end),
        cmocka_unit_test_setup_teardown(owners_may_do_as_they_like_when_told, begin, end),
        cmocka_unit_test_setup_teardown(the_cache_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(a_name_stays_while_it_is_told, begin, end),
        cmocka_unit_test_setup_teardown(servers_may_move, begin, end),
        cmocka_unit_test_setup_teardown(a_loop_may_end_with_questions_under_way, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
