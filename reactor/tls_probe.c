/* SPDX-License-Identifier: MIT
 *
 * tls_probe.c - connect to a host as penstock would, and tell a person everything that was seen.
 *
 * It goes the real way (names, the address race, the wire), twice: the second time shows whether
 * sessions are resumed. For the command line: it blocks its caller and makes a loop of its own.
 */
#include "reactor/trust.h"

#include "base/text.h"
#include "reactor/backend.h"
#include "reactor/tls.h"
#include "reactor/tls_der.h"
#include "reactor/tls_suites.h"

#include <bearssl.h>

#include <stdio.h>
#include <time.h>

#define WITNESS_BYTES_MAX (256u * 1024)
#define TICK_MS 50

struct attempt {
    struct conn *conn;
    bool over;
    bool up;
    int error, tls_error;
    char peer[64];
    struct tls_facts facts;
};

static void
noticed(void *owner, struct conn *conn, unsigned notices)
{
    struct attempt *attempt = owner;
    if (notices & CONN_UP)
        attempt->up = tls_facts(conn, &attempt->facts);
    if (notices & CONN_LOST) {
        attempt->error = conn->error;
        attempt->tls_error = conn->tls_error;
    }
    snprintf(attempt->peer, sizeof(attempt->peer), "%s", conn->peer);
    attempt->over = (notices & (CONN_UP | CONN_LOST)) != 0 || attempt->over;
}

/* Until the handshake is done, has failed, or the time is up. */
static void
run_attempt(struct loop *loop, const struct conn_target *target, uint64_t timeout_ms,
            struct attempt *attempt)
{
    uint64_t end_ms = loop->now_ms + timeout_ms;
    *attempt = (struct attempt){.error = 0};
    attempt->error = conn_open(loop, target, noticed, attempt, &attempt->conn);
    if (attempt->error)
        return;
    while (!attempt->over && loop->now_ms < end_ms)
        loop_tick(loop, TICK_MS);
    if (!attempt->over)
        attempt->error = -ERR_CONNECT_TIMEOUT;
    conn_close(attempt->conn, !attempt->up);
    attempt->conn = NULL;
    /* A clean close lets the server keep its session. */
    uint64_t close_ms = loop->now_ms + 500;
    while (loop->conns > 0 && loop->now_ms < close_ms)
        loop_tick(loop, TICK_MS);
}

static void
put_date(struct sink *report, int64_t seconds)
{
    struct tm tm;
    time_t when = (time_t)seconds;
    if (!gmtime_r(&when, &tm)) {
        sink_text(report, "?");
        return;
    }
    sink_printf(report, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

static void
put_pin(struct sink *report, const struct tls_cert *cert)
{
    uint8_t hash[br_sha256_SIZE];
    br_sha256_context sha256;
    br_sha256_init(&sha256);
    br_sha256_update(&sha256, cert->spki.ptr, cert->spki.len);
    br_sha256_out(&sha256, hash);
    sink_text(report, "pin:         sha256/");
    text_base64(report, slice_of(hash, sizeof(hash)));
    sink_text(report, "  (of the leaf's key)\n");
}

static void
put_certificate(struct sink *report, int number, struct slice der)
{
    struct tls_cert cert;
    if (!tls_cert_read(der, &cert)) {
        sink_printf(report, "certificate: %d is malformed (%zu bytes)\n", number, der.len);
        return;
    }
    if (number == 1)
        put_pin(report, &cert);
    sink_printf(report, "certificate: %d\n  subject:   ", number);
    tls_cert_name_text(cert.subject, report);
    sink_text(report, "\n  issuer:    ");
    tls_cert_name_text(cert.issuer, report);
    if (slice_present(cert.alt_names)) {
        sink_text(report, "\n  names:     ");
        tls_cert_alt_names_text(&cert, report);
    }
    sink_text(report, "\n  valid:     ");
    put_date(report, cert.not_before);
    sink_text(report, " to ");
    put_date(report, cert.not_after);
    sink_text(report, "\n  key:       ");
    tls_cert_key_text(&cert, report);
    sink_text(report, "\n  signed:    ");
    tls_cert_signature_text(&cert, report);
    if (!tls_cert_serves(&cert))
        sink_text(report, "\n  purpose:   not for TLS servers");
    if (cert.name_constraints)
        sink_text(report, "\n  has name constraints");
    sink_text(report, "\n");
}

static void
put_chain(struct sink *report, struct slice chain)
{
    for (int number = 1; chain.len >= 3; number++) {
        size_t len = (size_t)(uint8_t)chain.ptr[0] << 16 | (size_t)(uint8_t)chain.ptr[1] << 8 |
                     (uint8_t)chain.ptr[2];
        chain = slice_skip(chain, 3);
        put_certificate(report, number, slice_take(chain, len));
        chain = slice_skip(chain, len);
    }
}

static void
put_verdict(struct sink *report, const struct attempt *attempt)
{
    const struct err_row *row = err_row(attempt->error);
    if (attempt->up) {
        sink_text(report, "result:      ok\n");
        return;
    }
    sink_printf(report, "result:      failed, %s\n", row->text);
    if (attempt->tls_error)
        sink_printf(report, "tls error:   %d %s\nmeaning:     %s\n", attempt->tls_error,
                    tls_error_name(attempt->tls_error), tls_error_text(attempt->tls_error));
}

static void
put_facts(struct sink *report, const struct attempt *attempt, const struct attempt *again)
{
    const struct tls_facts *facts = &attempt->facts;
    sink_printf(report, "version:     %s\n", facts->version == BR_TLS12 ? "TLS 1.2" : "?");
    sink_printf(report, "suite:       %s\n", tls_suite_name(facts->suite));
    sink_printf(report, "curve:       %s\n", tls_curve_name(facts->curve));
    sink_printf(report, "alpn:        %s\n", facts->protocol ? facts->protocol : "none chosen");
    if (again->up)
        sink_printf(report, "resumption:  %s\n", again->facts.resumed ? "by session id" : "no");
    else
        sink_printf(report, "resumption:  unknown, the second connection failed (%s)\n",
                    err_row(again->error)->text);
}

int
tls_probe(struct slice host, uint16_t port, struct slice server_name, const struct trust *trust,
          uint64_t timeout_ms, struct sink *report)
{
    struct conn_target target = {
        .host = host,
        .port = port,
        .tls = true,
        .server_name = server_name,
        .trust = trust,
        .cache_key = SLICE_LIT("probe"),
    };
    struct loop loop;
    struct loop_limits limits;
    struct attempt first, second = {.error = 0};
    struct sink chain;
    loop_limits_default(&limits);
    int error = loop_init(&loop, &epoll_ops, NULL, &limits);
    if (error)
        return error;
    sink_init(&chain, WITNESS_BYTES_MAX);
    struct tls_worker *worker = tls_worker(&loop);
    if (worker) {
        worker->witness = &chain;
        run_attempt(&loop, &target, timeout_ms, &first);
        worker->witness = NULL;
        if (first.up)
            run_attempt(&loop, &target, timeout_ms, &second);
    } else {
        first = (struct attempt){.error = -ERR_MEMORY};
    }
    sink_printf(report, "host:        %.*s port %u\n", SLICE_ARG(host), port);
    if (slice_present(server_name))
        sink_printf(report, "server name: %.*s\n", SLICE_ARG(server_name));
    if (first.peer[0])
        sink_printf(report, "peer:        %s\n", first.peer);
    put_verdict(report, &first);
    if (first.up)
        put_facts(report, &first, &second);
    put_chain(report, sink_slice(&chain));
    sink_fini(&chain);
    loop_fini(&loop);
    return first.up ? 0 : first.error;
}
