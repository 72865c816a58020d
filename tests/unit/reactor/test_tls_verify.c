/* SPDX-License-Identifier: MIT
 *
 * test_tls_verify.c - which certificates a client accepts, for which names, at which dates; and
 * what it tells the server.
 */
#include "tests/unit/reactor/tls_pair.h"

#include <bearssl.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* clang-format off */
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#define DAY_S (24 * 60 * 60)

struct attempt {
    const char *key;         /* certificate of the server */
    const char *trust;       /* bundle of the client; NULL: all three authorities */
    const char *host;        /* NULL: localhost */
    const char *server_name; /* NULL: none */
    int64_t shift_s;         /* of the client's calendar */
    int expected;            /* tls_error; 0: the handshake succeeds */
    int alert;               /* what the server hears; 0: not looked at */
};

static struct loop near_loop, far_loop;

static void
run_attempt(struct tls_pair *pair, const struct attempt *attempt, const struct trust *trust,
            const struct server_key *key)
{
    *pair = (struct tls_pair){
        .target = {.trust = trust, .host = SLICE_LIT("localhost"), .cache_key = SLICE_LIT("test")}};
    if (attempt->host)
        pair->target.host = slice_from(attempt->host);
    if (attempt->server_name)
        pair->target.server_name = slice_from(attempt->server_name);
    pair_open(pair, &near_loop, &far_loop, key);
    tls_worker(&near_loop)->wall_shift_s = attempt->shift_s;
    pair_run(pair);
}

static void
check_attempt(const struct attempt *attempt)
{
    struct tls_pair pair;
    struct trust *trust = certs_trust(attempt->trust ? attempt->trust : "bundle");
    struct server_key *key = certs_key(attempt->key);
    bare_loop_init(&near_loop);
    bare_loop_init(&far_loop);
    for (int i = 0; i < 2; i++) { /* twice: the caches must not change the verdict */
        run_attempt(&pair, attempt, trust, key);
        int error = pair.client.conn.tls_error;
        if (error != attempt->expected)
            fail_msg("%s for %s: %d (%s) instead of %d (%s)", attempt->key,
                     attempt->host ? attempt->host : "localhost", error, tls_error_text(error),
                     attempt->expected, tls_error_text(attempt->expected));
        assert_int_equal(pair.client.conn.up, attempt->expected == 0);
        if (attempt->expected) {
            assert_int_equal(pair.client.conn.error, -ERR_TLS_CERT);
            assert_false(pair.server.conn.up);
            assert_true(tls_error_text(error)[0] != '\0');
        }
        if (attempt->alert)
            assert_int_equal(pair.server.conn.tls_error, BR_ERR_RECV_FATAL_ALERT + attempt->alert);
        pair_close(&pair);
    }
    assert_int_equal(near_loop.handshakes, 0);
    bare_loop_fini(&near_loop);
    bare_loop_fini(&far_loop);
    trust_drop(trust);
    server_key_drop(key);
}

static void
names_are_matched(void **state)
{
    (void)state;
    static const struct attempt attempts[] = {
        {.key = "ec"},
        {.key = "rsa"},
        {.key = "deep"},
        {.key = "chain"},
        {.key = "whole"},
        {.key = "ec", .host = "localhost."},
        {.key = "ec", .host = "EXAMPLE.test"},
        {.key = "ec", .host = "a.wild.test"},
        {.key = "ec", .host = "wild.test", .expected = BR_ERR_X509_BAD_SERVER_NAME, .alert = 42},
        {.key = "ec", .host = "a.b.wild.test", .expected = BR_ERR_X509_BAD_SERVER_NAME},
        {.key = "ec", .host = "10.1.2.3", .server_name = "example.test"},
        {.key = "ec",
         .host = "localhost",
         .server_name = "wrong.test",
         .expected = BR_ERR_X509_BAD_SERVER_NAME},
        {.key = "name-other", .host = "other.test"},
        {.key = "name-other", .expected = BR_ERR_X509_BAD_SERVER_NAME},
        {.key = "ec", .host = "127.0.0.1"},
        {.key = "ec", .host = "::1"},
        {.key = "ec", .host = "[::1]"},
        {.key = "ec", .host = "127.0.0.2", .expected = TLS_ERROR_ADDRESS, .alert = 46},
        {.key = "ec", .host = "::2", .expected = TLS_ERROR_ADDRESS},
        {.key = "name-other", .host = "127.0.0.1", .expected = TLS_ERROR_ADDRESS},
        {.key = "name-common", .host = "example.test", .expected = TLS_ERROR_NO_ALT_NAME},
        {.key = "name-common", .host = "127.0.0.1", .expected = TLS_ERROR_NO_ALT_NAME},
    };
    for (size_t i = 0; i < countof(attempts); i++)
        check_attempt(&attempts[i]);
}

static void
chains_are_judged(void **state)
{
    (void)state;
    static const struct attempt attempts[] = {
        {.key = "ec", .trust = "ca-rsa", .expected = BR_ERR_X509_NOT_TRUSTED, .alert = 48},
        {.key = "chain", .trust = "ca-rsa", .expected = BR_ERR_X509_NOT_TRUSTED},
        {.key = "chain", .trust = "middle"}, /* an intermediate may be the anchor */
        {.key = "self", .trust = "self"},    /* and so may the leaf itself */
        {.key = "self", .expected = BR_ERR_X509_NOT_TRUSTED},
        {.key = "under-leaf", .expected = BR_ERR_X509_NOT_CA},
        {.key = "purpose-mail", .expected = TLS_ERROR_PURPOSE, .alert = 46},
        {.key = "purpose-any"},
        {.key = "purpose-critical", .expected = BR_ERR_X509_CRITICAL_EXTENSION},
        {.key = "under-mail", .expected = TLS_ERROR_PURPOSE},
        {.key = "constrained-lax", .host = "example.test", .expected = TLS_ERROR_NAME_CONSTRAINTS},
        {.key = "constrained-strict",
         .host = "example.test",
         .expected = BR_ERR_X509_CRITICAL_EXTENSION},
    };
    for (size_t i = 0; i < countof(attempts); i++)
        check_attempt(&attempts[i]);
}

static void
dates_are_checked(void **state)
{
    (void)state;
    static const struct attempt attempts[] = {
        {.key = "ec", .shift_s = 800 * (int64_t)DAY_S},
        {.key = "ec",
         .shift_s = 830 * (int64_t)DAY_S,
         .expected = BR_ERR_X509_EXPIRED,
         .alert = 45},
        {.key = "ec", .shift_s = -2 * (int64_t)DAY_S, .expected = BR_ERR_X509_EXPIRED},
        {.key = "chain", .shift_s = 830 * (int64_t)DAY_S, .expected = BR_ERR_X509_EXPIRED},
    };
    for (size_t i = 0; i < countof(attempts); i++)
        check_attempt(&attempts[i]);
}

/* A verdict in the cache ends with the certificate. */
static void
the_cache_does_not_outlive_a_certificate(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct trust *trust = certs_trust("bundle");
    struct server_key *key = certs_key("ec");
    const int64_t left_s = 60, life_s = 825 * (int64_t)DAY_S;
    struct attempt attempt = {.shift_s = life_s - left_s - 30}; /* made less than 30 s ago */
    bare_loop_init(&near_loop);
    for (int i = 0; i < 3; i++) {
        bare_loop_init(&far_loop); /* a server that knows no sessions */
        run_attempt(&pair, &attempt, trust, key);
        assert_int_equal(pair.client.conn.tls_error, i < 2 ? 0 : BR_ERR_X509_EXPIRED);
        pair_close(&pair);
        bare_loop_fini(&far_loop);
        if (i == 1) {
            bare_loop_tick(&near_loop, 130 * 1000);
            attempt.shift_s += 130;
        }
    }
    assert_int_equal(near_loop.stats.chain_cache_hits, 1);
    bare_loop_fini(&near_loop);
    trust_drop(trust);
    server_key_drop(key);
}

/* Another trust store is another question. */
static void
the_cache_asks_again_for_other_trust(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct trust *trusts[] = {certs_trust("bundle"), certs_trust("bundle"), certs_trust("ca-rsa")};
    struct server_key *key = certs_key("ec");
    struct attempt attempt = {.key = "ec"};
    bare_loop_init(&near_loop);
    for (size_t i = 0; i < countof(trusts); i++) {
        bare_loop_init(&far_loop);
        run_attempt(&pair, &attempt, trusts[i], key);
        assert_int_equal(pair.client.conn.tls_error, i < 2 ? 0 : BR_ERR_X509_NOT_TRUSTED);
        pair_close(&pair);
        bare_loop_fini(&far_loop);
        trust_drop(trusts[i]);
    }
    assert_int_equal(near_loop.stats.chain_cache_hits,
                     1); /* the same bundle loaded again is the same */
    bare_loop_fini(&near_loop);
    server_key_drop(key);
}

static void
pins_are_compared(void **state)
{
    (void)state;
    struct trust *trust = certs_trust("bundle");
    struct server_key *key = certs_key("ec");
    char pin[33];
    FILE *file = fopen(certs_path("ec.pin"), "rb");
    assert_non_null(file);
    assert_int_equal(fread(pin, 1, sizeof(pin), file), 32);
    fclose(file);
    bare_loop_init(&near_loop);
    bare_loop_init(&far_loop);
    for (int i = 0; i < 4; i++) {
        struct tls_pair pair = {.target = {.trust = trust, .cache_key = SLICE_LIT("test")}};
        if (i == 2) /* the session and the chain are known by now, but not with this pin */
            pin[31] ^= 1;
        pair.target.pin = slice_of(pin, 32);
        pair_open(&pair, &near_loop, &far_loop, key);
        pair_run(&pair);
        assert_int_equal(pair.client.conn.tls_error, i < 2 ? 0 : TLS_ERROR_PIN);
        assert_int_equal(pair.client.conn.error, i < 2 ? 0 : -ERR_TLS_CERT);
        pair_close(&pair);
    }
    bare_loop_fini(&near_loop);
    bare_loop_fini(&far_loop);
    trust_drop(trust);
    server_key_drop(key);
}

static void
hosts_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char long_name[300] = {[0 ... 298] = 'a'};
    const struct slice hosts[] = {SLICE_LIT(""),     SLICE_LIT("."),         SLICE_LIT("a b"),
                                  SLICE_LIT("a\0b"), SLICE_LIT("a\xc3\xa4"), slice_from(long_name)};
    struct trust *trust = certs_trust("bundle");
    struct server_key *key = certs_key("ec");
    bare_loop_init(&near_loop);
    for (size_t i = 0; i < countof(hosts); i++) {
        struct tls_pair pair = {.target = {.trust = trust, .host = hosts[i]}};
        pair_open(&pair, &near_loop, &near_loop, key);
        pair_run(&pair);
        assert_int_equal(pair.client.conn.tls_error, TLS_ERROR_HOST);
        assert_int_equal(pair.client.conn.error, -ERR_TLS);
        assert_int_equal(pair.client.line_total, 0);
        pair_close(&pair);
    }
    bare_loop_fini(&near_loop);
    trust_drop(trust);
    server_key_drop(key);
}

static void
addresses_are_not_sent_as_names(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct trust *trust = certs_trust("bundle");
    struct server_key *key = certs_key("ec");
    struct attempt attempt = {.host = "127.0.0.1"};
    bare_loop_init(&near_loop);
    bare_loop_init(&far_loop);
    run_attempt(&pair, &attempt, trust, key);
    assert_true(pair.client.conn.up);
    assert_null(memmem(pair.client.line.ptr, 200, "127.0.0.1", 9));
    pair_close(&pair);
    bare_loop_fini(&near_loop);
    bare_loop_fini(&far_loop);
    trust_drop(trust);
    server_key_drop(key);
}

static void
without_trust_nothing_is_accepted(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct server_key *key = certs_key("ec");
    struct attempt attempt = {.key = "ec"};
    bare_loop_init(&near_loop);
    bare_loop_init(&far_loop);
    run_attempt(&pair, &attempt, NULL, key);
    assert_int_equal(pair.client.conn.tls_error, TLS_ERROR_NO_TRUST);
    assert_int_equal(pair.client.conn.error, -ERR_TLS_CERT);
    pair_close(&pair);
    bare_loop_fini(&near_loop);
    bare_loop_fini(&far_loop);
    server_key_drop(key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_matched),
        cmocka_unit_test(chains_are_judged),
        cmocka_unit_test(dates_are_checked),
        cmocka_unit_test(the_cache_does_not_outlive_a_certificate),
        cmocka_unit_test(the_cache_asks_again_for_other_trust),
        cmocka_unit_test(pins_are_compared),
        cmocka_unit_test(hosts_that_are_none_are_refused),
        cmocka_unit_test(addresses_are_not_sent_as_names),
        cmocka_unit_test(without_trust_nothing_is_accepted),
    };
    if (!certs_make())
        return 77;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
