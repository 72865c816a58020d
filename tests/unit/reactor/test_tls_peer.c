/* SPDX-License-Identifier: MIT
 *
 * test_tls_peer.c - TLS over real sockets with software of others: openssl's server and client
 * tools, and the probe.
 */
#include "reactor/listen.h"
#include "tests/unit/reactor/kernel.h"
#include "tests/unit/reactor/tls_pair.h"

#include <bearssl.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* clang-format off */
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

extern char **environ;

static struct trust *trust;
static struct loop loop;

static int
setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    trust = certs_trust("bundle");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    trust_drop(trust);
    return 0;
}

static int
loop_begin(void **state)
{
    struct loop_limits limits;
    (void)state;
    loop_limits_default(&limits);
    return loop_init(&loop, kernel_ops(), NULL, &limits);
}

static int
loop_end(void **state)
{
    (void)state;
    loop_fini(&loop);
    return 0;
}

/* -- openssl as the peer -- */

struct tool {
    pid_t pid;
    int in, out; /* pipes to its standard input and from its standard output */
};

static void
tool_start(struct tool *tool, char *const arguments[])
{
    int in[2], out[2];
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawnp(&tool->pid, "openssl", &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    tool->in = in[1];
    tool->out = out[0];
}

static void
tool_stop(struct tool *tool)
{
    close(tool->in);
    close(tool->out);
    kill(tool->pid, SIGTERM);
    waitpid(tool->pid, NULL, 0);
}

/* Start a server on a free port; it answers every request with a page about the connection. */
static uint16_t
serve(struct tool *tool, const char *name, const char *option, const char *value)
{
    char chain[64], key[64], line[4096], *at;
    size_t len = 0, count = 11;
    snprintf(chain, sizeof(chain), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    char *arguments[16] = {"openssl",
                           "s_server",
                           "-accept",
                           "127.0.0.1:0",
                           "-www",
                           "-cert",
                           strdup(certs_path(chain)),
                           "-key",
                           strdup(certs_path(key)),
                           "-naccept",
                           "9"};
    if (strcmp(name, "chain") == 0) { /* -cert takes the leaf alone */
        arguments[count++] = "-cert_chain";
        arguments[count++] = strdup(certs_path("middle.pem"));
    }
    if (option)
        arguments[count++] = strdup(option);
    if (value)
        arguments[count++] = strdup(value);
    tool_start(tool, arguments);
    free(arguments[6]);
    free(arguments[8]);
    for (size_t i = 11; i < count; i++) {
        if (strcmp(arguments[i], "-cert_chain") != 0)
            free(arguments[i]);
    }
    for (;;) { /* "ACCEPT 127.0.0.1:40000" */
        ssize_t n = read(tool->out, line + len, sizeof(line) - 1 - len);
        if (n <= 0)
            fail_msg("s_server with %s did not start", name);
        len += (size_t)n;
        line[len] = '\0';
        at = strstr(line, "ACCEPT ");
        if (at && strchr(at, '\n'))
            return (uint16_t)atoi(strrchr(at, ':') + 1);
    }
}

struct dialog {
    struct conn *conn;
    struct sink got;
    bool over;
    int error, tls_error;
};

static void
dialog_notify(void *owner, struct conn *conn, unsigned notices)
{
    struct dialog *dialog = owner;
    (void)conn;
    if (notices & (CONN_END | CONN_LOST))
        dialog->over = true;
}

static void
dialog_take(struct dialog *dialog)
{
    if (dialog->conn->in.len == 0)
        return;
    while (dialog->conn->in.len > 0) {
        struct slice run = buf_peek(&dialog->conn->in);
        sink_put(&dialog->got, run);
        buf_consume(&dialog->conn->in, run.len);
    }
    conn_touch(dialog->conn);
}

/* Ask the server for its page; what came and how it ended. */
static void
ask(struct dialog *dialog, const struct conn_target *target)
{
    *dialog = (struct dialog){.over = false};
    sink_init(&dialog->got, 1u << 20);
    assert_int_equal(conn_open(&loop, target, dialog_notify, dialog, &dialog->conn), 0);
    assert_int_equal(conn_put(dialog->conn, SLICE_LIT("GET / HTTP/1.0\r\n\r\n")), 0);
    for (int i = 0; i < 500 && !dialog->over; i++) {
        loop_tick(&loop, 10);
        dialog_take(dialog);
        assert_true(loop_quiet(&loop));
    }
    dialog->error = dialog->conn->error;
    dialog->tls_error = dialog->conn->tls_error;
    conn_close(dialog->conn, false);
    for (int i = 0; i < 200 && loop.conns > 0; i++)
        loop_tick(&loop, 10);
    assert_int_equal(loop.conns, 0);
}

static void
check_server(const char *name, const char *option, const char *value, int expected)
{
    struct tool tool;
    struct dialog dialog;
    uint16_t port = serve(&tool, name, option, value);
    struct conn_target target = {.host = SLICE_LIT("127.0.0.1"),
                                 .port = port,
                                 .tls = true,
                                 .server_name = SLICE_LIT("localhost"),
                                 .trust = trust,
                                 .cache_key = slice_from(name)};
    uint64_t resumed = loop.stats.handshakes_resumed;
    for (int i = 0; i < 2; i++) {
        ask(&dialog, &target);
        if (dialog.tls_error != expected)
            fail_msg("%s %s: %d (%s)", name, option ? option : "", dialog.tls_error,
                     tls_error_text(dialog.tls_error));
        if (expected) {
            assert_true(dialog.error < 0);
        } else {
            assert_int_equal(dialog.error, 0); /* the page ends with a close_notify */
            if (!memmem(sink_slice(&dialog.got).ptr, dialog.got.len, "</HTML>", 7))
                fail_msg("%s %s: no page, but %zu bytes", name, option ? option : "",
                         dialog.got.len);
        }
        sink_fini(&dialog.got);
    }
    assert_int_equal(loop.stats.handshakes_resumed - resumed, expected ? 0 : 1);
    assert_int_equal(loop.handshakes, 0);
    tool_stop(&tool);
}

static void
servers_of_others_are_understood(void **state)
{
    (void)state;
    check_server("ec", "-tls1_2", NULL, 0);
    check_server("rsa", "-tls1_2", NULL, 0);
    check_server("chain", NULL, NULL, 0); /* offers 1.3 and takes 1.2 */
    check_server("deep", "-groups", "X25519", 0);
    check_server("ec", "-groups", "P-384", 0);
    check_server("rsa", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305", 0);
    check_server("ec", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", 0);
    check_server("ec", "-max_send_frag", "512", 0);
}

static void
servers_that_cannot_be_used_say_why(void **state)
{
    (void)state;
    check_server("ec", "-tls1_3", NULL, BR_ERR_RECV_FATAL_ALERT + 70);
    check_server("rsa", "-cipher", "AES128-SHA",
                 BR_ERR_RECV_FATAL_ALERT + 40); /* no forward secrecy */
    check_server("ed25519", "-tls1_2", NULL, BR_ERR_RECV_FATAL_ALERT + 40);
    check_server("weak", "-cipher", "ALL:@SECLEVEL=0", BR_ERR_X509_WEAK_PUBLIC_KEY);
    check_server("sha1", "-cipher", "ALL:@SECLEVEL=0", BR_ERR_X509_UNSUPPORTED);
    check_server("self", "-tls1_2", NULL, BR_ERR_X509_NOT_TRUSTED);
}

static void
closed_ports_and_dead_ends_are_not_tls_errors(void **state)
{
    (void)state;
    struct dialog dialog;
    uint16_t port = 0;
    char problem[128];
    int fd = listener_socket(SLICE_LIT("127.0.0.1"), &port, 1, problem);
    assert_true(fd >= 0);
    close(fd);
    struct conn_target target = {
        .host = SLICE_LIT("127.0.0.1"), .port = port, .tls = true, .trust = trust};
    ask(&dialog, &target);
    assert_int_equal(dialog.error, -ERR_CONNECT);
    assert_int_equal(dialog.tls_error, 0);
    sink_fini(&dialog.got);
}

/* -- openssl as the client of our server -- */

static struct server_key *serving;
static struct dialog served;

static void
served_notify(void *owner, struct conn *conn, unsigned notices)
{
    struct dialog *dialog = owner;
    while (conn->in.len > 0) {
        struct slice run = buf_peek(&conn->in);
        sink_put(&dialog->got, run);
        buf_consume(&conn->in, run.len);
    }
    if (notices & (CONN_END | CONN_LOST))
        dialog->over = true;
}

static void
accepted(struct listener *listener, int fd, const char *peer)
{
    assert_int_equal(
        conn_adopt(listener->loop, fd, serving, peer, served_notify, &served, &served.conn), 0);
}

static void
check_client(const char *key, const char *option, const char *value, bool works)
{
    struct listener listener = {.magic = 0};
    struct tool tool;
    uint16_t port = 0;
    char problem[128], connect[64], page[64] = "";
    serving = certs_key(key);
    served = (struct dialog){.over = false};
    sink_init(&served.got, 1u << 20);
    int fd = listener_socket(SLICE_LIT("127.0.0.1"), &port, 8, problem);
    assert_true(fd >= 0);
    assert_int_equal(listener_open(&loop, &listener, fd, accepted, NULL), 0);
    snprintf(connect, sizeof(connect), "127.0.0.1:%u", port);
    char *arguments[] = {"openssl",
                         "s_client",
                         "-connect",
                         connect,
                         "-CAfile",
                         strdup(certs_path("bundle.pem")),
                         "-verify_return_error",
                         "-verify_hostname",
                         "example.test",
                         "-servername",
                         "example.test",
                         "-quiet",
                         option ? strdup(option) : NULL,
                         value ? strdup(value) : NULL,
                         NULL};
    tool_start(&tool, arguments);
    free(arguments[5]);
    free(arguments[12]);
    free(arguments[13]);
    assert_int_equal(write(tool.in, "question\n", 9), 9);
    for (int i = 0; i < 300 && !served.over && served.got.len < 9; i++)
        loop_tick(&loop, 10);
    assert_int_equal(served.got.len == 9, works);
    if (works) {
        assert_int_equal(conn_put(served.conn, SLICE_LIT("answer\n")), 0);
        conn_close(served.conn, false);
        served.conn = NULL;
        for (int i = 0; i < 20; i++)
            loop_tick(&loop, 10);
        assert_int_equal(read(tool.out, page, sizeof(page)), 7);
        assert_memory_equal(page, "answer\n", 7);
    } else {
        assert_true(served.over);
        assert_int_equal(served.conn->error, -ERR_TLS);
        conn_close(served.conn, true);
    }
    tool_stop(&tool);
    listener_close(&listener);
    for (int i = 0; i < 200 && loop.conns > 0; i++)
        loop_tick(&loop, 10);
    sink_fini(&served.got);
    server_key_drop(serving);
}

static void
clients_of_others_are_served(void **state)
{
    (void)state;
    check_client("ec", NULL, NULL, true);
    check_client("rsa", "-tls1_2", NULL, true);
    check_client("chain", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305", true);
    check_client("deep", "-groups", "P-521:P-256", true);
    check_client("ec", "-tls1_3", NULL, false);
    check_client("rsa", "-cipher", "AES128-GCM-SHA256", false);
}

/* -- the probe -- */

static bool
says(const struct sink *report, const char *text)
{
    return memmem(report->ptr, report->len, text, strlen(text)) != NULL;
}

static void
the_probe_describes_a_server(void **state)
{
    (void)state;
    struct tool tool;
    struct sink report;
    sink_init(&report, 1u << 20);
    uint16_t port = serve(&tool, "chain", NULL, NULL);
    assert_int_equal(
        tls_probe(SLICE_LIT("127.0.0.1"), port, SLICE_LIT("example.test"), trust, 5000, &report),
        0);
    static const char *const expected[] = {
        "result:      ok",
        "TLS 1.2",
        "ECDHE_ECDSA_WITH_",
        "by session id",
        "subject:   O=Test, CN=chain",
        "issuer:    O=Test, CN=ca",
        "dns:*.wild.test",
        "ip:127.0.0.1",
        "EC P-256",
        "ECDSA with SHA-256",
        "certificate: 2",
        "pin:         sha256/",
    };
    for (size_t i = 0; i < countof(expected); i++) {
        if (!says(&report, expected[i]))
            fail_msg("\"%s\" is missing in:\n%.*s", expected[i], SLICE_ARG(sink_slice(&report)));
    }
    sink_reset(&report, 0);
    assert_int_equal(
        tls_probe(SLICE_LIT("127.0.0.1"), port, SLICE_LIT("wrong.test"), trust, 5000, &report),
        -ERR_TLS_CERT);
    assert_true(says(&report, "56 certificate_name_mismatch"));
    assert_true(says(&report, "CN=chain")); /* what was refused is shown */
    tool_stop(&tool);
    sink_reset(&report, 0);
    assert_int_equal(tls_probe(SLICE_LIT("127.0.0.1"), port, SLICE_NONE, trust, 5000, &report),
                     -ERR_CONNECT);
    assert_true(says(&report, "failed"));
    sink_fini(&report);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(servers_of_others_are_understood, loop_begin, loop_end),
        cmocka_unit_test_setup_teardown(servers_that_cannot_be_used_say_why, loop_begin, loop_end),
        cmocka_unit_test_setup_teardown(closed_ports_and_dead_ends_are_not_tls_errors, loop_begin,
                                        loop_end),
        cmocka_unit_test_setup_teardown(clients_of_others_are_served, loop_begin, loop_end),
        cmocka_unit_test(the_probe_describes_a_server),
    };
    if (!certs_make())
        return 77;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    certs_remove();
    return failed;
}
