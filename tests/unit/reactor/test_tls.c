/* SPDX-License-Identifier: MIT
 *
 * test_tls.c - the TLS wire, client against server in memory: handshakes, data, endings, damage,
 * back-pressure, turns, memory.
 */
#include "tests/unit/reactor/tls_pair.h"

#include <bearssl.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
/* clang-format off */
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

static struct trust *trust; /* all three authorities */
static struct server_key *ec, *rsa;
static struct loop near_loop, far_loop; /* the client's and the server's */

static int
setup(void **state)
{
    (void)state;
    trust = certs_trust("bundle");
    ec = certs_key("ec");
    rsa = certs_key("rsa");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    trust_drop(trust);
    server_key_drop(ec);
    server_key_drop(rsa);
    return 0;
}

static int
loops(void **state)
{
    (void)state;
    bare_loop_init(&near_loop);
    bare_loop_init(&far_loop);
    return 0;
}

static int
loops_end(void **state)
{
    (void)state;
    bare_loop_fini(&near_loop);
    bare_loop_fini(&far_loop);
    return 0;
}

static void
open_pair(struct tls_pair *pair, const struct server_key *key)
{
    *pair = (struct tls_pair){.target = {.trust = trust, .cache_key = SLICE_LIT("test")}};
    pair_open(pair, &near_loop, &far_loop, key);
}

static void
assert_up(const struct tls_pair *pair)
{
    if (pair->client.conn.tls_error)
        fail_msg("client: %s", tls_error_text(pair->client.conn.tls_error));
    if (pair->server.conn.tls_error)
        fail_msg("server: %s", tls_error_text(pair->server.conn.tls_error));
    assert_true(pair->client.conn.up);
    assert_true(pair->server.conn.up);
}

static void
assert_got(const struct tls_end *end, struct slice expected)
{
    assert_int_equal(end->got.len, expected.len);
    assert_true(slice_eq(sink_slice(&end->got), expected));
}

/* -- handshakes -- */

static void
check_facts(const struct server_key *key, unsigned suite)
{
    struct tls_pair pair;
    struct tls_facts facts;
    pair = (struct tls_pair){.target = {.trust = trust}};
    pair_open(&pair, &near_loop, &far_loop, key);
    assert_false(tls_facts(&pair.client.conn, &facts));
    pair_run(&pair);
    assert_up(&pair);
    assert_true(tls_facts(&pair.client.conn, &facts));
    assert_int_equal(facts.version, 0x0303);
    assert_int_equal(facts.suite, suite);
    assert_false(facts.resumed);
    assert_int_equal(facts.curve,
                     BR_EC_curve25519); /* the server chooses, and prefers the faster one */
    assert_string_equal(facts.protocol, "http/1.1");
    assert_true(tls_facts(&pair.server.conn, &facts));
    assert_false(facts.resumed);
    assert_string_equal(facts.protocol, "http/1.1");
    assert_int_equal(pair.client.notices, CONN_UP);
    assert_int_equal(near_loop.handshakes, 0);
    assert_int_equal(conn_unsent(&pair.client.conn), 0);
    assert_int_equal(conn_unsent(&pair.server.conn), 0);
    pair_close(&pair);
}

static void
handshakes_with_both_kinds_of_keys(void **state)
{
    (void)state;
    bool aes = br_aes_x86ni_ctr_get_vtable() && br_ghash_pclmul_get();
    check_facts(ec, aes ? BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                        : BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
    check_facts(rsa, aes ? BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
                         : BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256);
    assert_int_equal(near_loop.stats.handshakes, 2);
    assert_int_equal(near_loop.stats.handshakes_resumed, 0);
}

/* The contents of an extension of a ClientHello; absent when it is not there. */
static struct slice
hello_extension(struct slice hello, unsigned wanted)
{
    const uint8_t *at =
        (const uint8_t *)hello.ptr + 43; /* record 5, message 4, version 2, random 32 */
    const uint8_t *end = (const uint8_t *)hello.ptr + hello.len;
    at += 1 + at[0];                /* session id */
    at += 2 + (at[0] << 8 | at[1]); /* suites */
    at += 1 + at[0];                /* compressions */
    for (at += 2; at + 4 <= end; at += 4 + (at[2] << 8 | at[3])) {
        if ((unsigned)(at[0] << 8 | at[1]) == wanted)
            return slice_of(at + 4, (size_t)(at[2] << 8 | at[3]));
    }
    return SLICE_NONE;
}

static void
hello_offers_only_what_we_want(void **state)
{
    (void)state;
    struct tls_pair pair;
    open_pair(&pair, ec);
    end_move(&pair.client, &pair.server, NULL);
    struct slice hello = sink_slice(&pair.client.line);
    assert_true(hello.len > 90);
    assert_memory_equal(hello.ptr + 9, "\x03\x03", 2); /* TLS 1.2 */
    size_t suites = 9 + 2 + 32 + 1 + (uint8_t)hello.ptr[43];
    assert_int_equal(hello.ptr[suites] << 8 | hello.ptr[suites + 1],
                     6 * 2); /* ours, and no others */
    enum { SERVER_NAME = 0, FRAGMENT_LENGTH = 1, SIGNATURES = 13, ALPN = 16 };
    assert_false(slice_present(hello_extension(hello, FRAGMENT_LENGTH)));
    assert_true(
        slice_eq(hello_extension(hello, SERVER_NAME), SLICE_LIT("\0\x0c\0\0\x09localhost")));
    assert_true(slice_eq(hello_extension(hello, ALPN), SLICE_LIT("\0\x09\x08http/1.1")));
    struct slice signatures = hello_extension(hello, SIGNATURES);
    assert_true(signatures.len > 8);
    for (size_t i = 2; i < signatures.len; i += 2)
        assert_true(signatures.ptr[i] >= 3); /* hash: neither MD5 (1) nor SHA-1 (2) */
    pair_close(&pair);
}

static void
sessions_are_resumed(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct tls_facts facts;
    for (int i = 0; i < 3; i++) {
        open_pair(&pair,
                  i < 2 ? ec : rsa); /* the session is the worker's, whatever its key is now */
        end_put(&pair.client, SLICE_LIT("ping"));
        pair_run(&pair);
        assert_up(&pair);
        assert_got(&pair.server, SLICE_LIT("ping"));
        assert_true(tls_facts(&pair.client.conn, &facts));
        assert_int_equal(facts.resumed, i > 0);
        assert_true(tls_facts(&pair.server.conn, &facts));
        assert_int_equal(facts.resumed, i > 0);
        pair_close(&pair);
    }
    assert_int_equal(near_loop.stats.handshakes_resumed, 2);
    assert_int_equal(far_loop.stats.handshakes_resumed, 2);
    /* An hour after the handshake that made it the certificates are looked at again, however busy
     * it was. */
    for (int minutes = 50; minutes <= 61; minutes += 11) {
        bare_loop_tick(&near_loop, (minutes == 50 ? 50 : 11) * 60 * 1000);
        open_pair(&pair, ec);
        pair_run(&pair);
        assert_up(&pair);
        pair_close(&pair);
        assert_int_equal(near_loop.stats.handshakes_resumed, 3);
    }
}

static void
a_failure_costs_the_session(void **state)
{
    (void)state;
    struct tls_pair pair;
    for (int i = 0; i < 3; i++) {
        open_pair(&pair, ec);
        pair.server.fin = i == 1; /* it hangs up */
        if (i == 1)
            end_move(&pair.client, &pair.server, NULL);
        else
            pair_run(&pair);
        assert_int_equal(pair.client.conn.up, i != 1);
        pair_close(&pair);
    }
    assert_int_equal(near_loop.stats.handshakes, 2);
    assert_int_equal(near_loop.stats.handshakes_resumed, 0);
    assert_int_equal(near_loop.stats.handshake_failures, 1);
}

static void
sessions_belong_to_their_target(void **state)
{
    (void)state;
    struct tls_pair pair;
    open_pair(&pair, ec);
    pair_run(&pair);
    pair_close(&pair);
    const struct conn_target others[] = {
        {.trust = trust, .cache_key = SLICE_LIT("other")},
        {.trust = trust, .cache_key = SLICE_LIT("test"), .server_name = SLICE_LIT("example.test")},
        {.trust = trust, .cache_key = SLICE_LIT("test"), .port = 444},
        {.trust = trust},
    };
    for (size_t i = 0; i < countof(others); i++) {
        pair = (struct tls_pair){.target = others[i]};
        pair_open(&pair, &near_loop, &far_loop, ec);
        pair_run(&pair);
        assert_up(&pair);
        pair_close(&pair);
    }
    assert_int_equal(near_loop.stats.handshakes_resumed, 0);
}

static void
verified_chains_are_remembered(void **state)
{
    (void)state;
    struct tls_pair pair;
    for (int i = 0; i < 4; i++) {
        if (i == 3)
            bare_loop_tick(&near_loop, 15 * 60 * 1000);
        open_pair(&pair, ec);
        pair_run(&pair);
        assert_up(&pair);
        pair_close(&pair);
        bare_loop_fini(&far_loop); /* the server forgets its sessions */
        bare_loop_init(&far_loop);
        assert_int_equal(near_loop.stats.chain_cache_hits, i < 3 ? i : 2);
    }
    assert_int_equal(near_loop.stats.handshakes_resumed, 0);
}

/* -- data -- */

static void
exchange(const struct server_key *key, uint64_t seed, size_t piece_max, size_t n)
{
    struct tls_pair pair;
    struct sink up, down;
    open_pair(&pair, key);
    pair.seed = seed;
    pair.piece_max = piece_max;
    sink_init(&up, 1u << 24);
    sink_init(&down, 1u << 24);
    pattern_fill(&up, n);
    pattern_fill(&down, n * 2);
    end_put(&pair.client, sink_slice(&up)); /* before the handshake has begun */
    end_put(&pair.server, sink_slice(&down));
    pair_run(&pair);
    assert_up(&pair);
    assert_got(&pair.server, sink_slice(&up));
    assert_got(&pair.client, sink_slice(&down));
    assert_int_equal(pair.client.conn.bytes_out, up.len);
    assert_int_equal(pair.client.conn.bytes_in, down.len);
    assert_true(pair.client.notices & CONN_EMPTY);
    sink_fini(&up);
    sink_fini(&down);
    pair_close(&pair);
    assert_int_equal(near_loop.pool.chunks_used, 0); /* a quiet conn holds none */
}

static void
data_arrives_however_it_is_cut(void **state)
{
    (void)state;
    exchange(ec, 0, 0, 500000);
    exchange(ec, 99, 1, 20000);
    exchange(rsa, 98, 1, 20000);
    for (uint64_t seed = 1; seed <= 30; seed++)
        exchange(seed % 2 ? ec : rsa, seed, seed % 3 ? 700 : 40000, 60000);
}

/* Lengths of the records that lie on a line. */
static int
records(struct slice line, size_t *lengths, int max)
{
    int count = 0;
    while (line.len >= 5) {
        size_t n = (size_t)(uint8_t)line.ptr[3] << 8 | (uint8_t)line.ptr[4];
        assert_true(count < max);
        assert_true(n + 5 <= line.len);
        lengths[count++] = n;
        line = slice_skip(line, n + 5);
    }
    assert_int_equal(line.len, 0);
    return count;
}

static void
records_are_few_and_as_large_as_agreed(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct sink bytes;
    size_t lengths[64];
    open_pair(&pair, ec);
    pair_run(&pair);
    assert_up(&pair);
    sink_init(&bytes, 1u << 20);
    pattern_fill(&bytes, 40000);
    size_t from = pair.client.line.len;
    end_put(&pair.client, sink_slice(&bytes));
    pair_run(&pair);
    assert_int_equal(records(slice_skip(sink_slice(&pair.client.line), from), lengths, 64), 3);
    assert_int_equal(lengths[0], 16384 + 24); /* full size towards upstreams */
    from = pair.server.line.len;
    for (int i = 0; i < 100; i++)
        end_put(&pair.server, SLICE_LIT("data: x\n\n")); /* one tick's small writes */
    pair_run(&pair);
    assert_int_equal(records(slice_skip(sink_slice(&pair.server.line), from), lengths, 64), 1);
    assert_int_equal(lengths[0], 900 + 24);
    from = pair.server.line.len;
    end_put(&pair.server, slice_take(sink_slice(&bytes), 10000));
    pair_run(&pair);
    assert_int_equal(records(slice_skip(sink_slice(&pair.server.line), from), lengths, 64), 3);
    assert_int_equal(lengths[0], 4096 + 24); /* towards clients */
    sink_fini(&bytes);
    pair_close(&pair);
}

static void
a_full_queue_stops_receiving(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct sink bytes;
    open_pair(&pair, ec);
    near_loop.limits.in_bytes_max = 10000;
    sink_init(&bytes, 1u << 21);
    pattern_fill(&bytes, 1000000);
    pair_run(&pair);
    pair.client.hold = true;
    end_put(&pair.server, sink_slice(&bytes));
    size_t rounds = 0;
    while (pair.client.got.len < bytes.len && rounds++ < 10000) {
        pair_run(&pair);
        assert_true(pair.client.conn.in.len <= 10000);
        assert_true(near_loop.pool.chunks_used <= 14); /* in, and one offer's leftovers */
        size_t take = pair.client.conn.in.len < 3000 ? pair.client.conn.in.len : 3000;
        while (take > 0) {
            struct slice run = slice_take(buf_peek(&pair.client.conn.in), take);
            sink_put(&pair.client.got, run);
            buf_consume(&pair.client.conn.in, run.len);
            take -= run.len;
        }
    }
    assert_got(&pair.client, sink_slice(&bytes));
    sink_fini(&bytes);
    pair_close(&pair);
}

static void
an_empty_pool_loses_nothing(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct sink bytes;
    struct chunk *taken[8];
    open_pair(&pair, ec);
    sink_init(&bytes, 1u << 20);
    pattern_fill(&bytes, 50000);
    pair_run(&pair);
    assert_up(&pair);
    near_loop.pool.chunks_max = near_loop.pool.chunks_used + 8;
    end_put(&pair.server, sink_slice(&bytes));
    for (int held = 0; held < 9; held++) { /* with 8, 7, ... 0 chunks left */
        int count = 0;
        while (count < held && (taken[count] = pool_take(&near_loop.pool)))
            count++;
        bare_loop_tick(&near_loop, 0);
        end_move(&pair.server, &pair.client, NULL);
        end_move(&pair.client, &pair.server, NULL);
        while (count > 0)
            pool_give(&near_loop.pool, taken[--count]);
    }
    pair_run(&pair);
    assert_false(pair.client.conn.lost);
    assert_got(&pair.client, sink_slice(&bytes));
    sink_fini(&bytes);
    pair_close(&pair);
}

/* -- endings -- */

static void
close_notify_ends_cleanly(void **state)
{
    (void)state;
    for (int closer = 0; closer < 2; closer++) {
        struct tls_pair pair;
        open_pair(&pair, ec);
        pair_run(&pair);
        struct tls_end *first = closer ? &pair.server : &pair.client;
        struct tls_end *second = closer ? &pair.client : &pair.server;
        end_put(first, SLICE_LIT("last words"));
        first->conn.closing = true;
        pair_run(&pair);
        assert_true(first->finished);
        assert_int_equal(conn_unsent(&first->conn), 0);
        assert_got(second, SLICE_LIT("last words"));
        assert_true(second->conn.ended);
        assert_true(second->notices & CONN_END);
        assert_false(second->conn.lost);
        first->fin = true; /* and the FIN behind it changes nothing */
        pair_run(&pair);
        assert_false(second->conn.lost);
        /* TLS 1.2 closes both ways: what is written now has nowhere to go. */
        end_put(second, SLICE_LIT("too late"));
        pair_run(&pair);
        assert_true(second->conn.lost);
        assert_int_equal(second->conn.error, -ERR_RESET);
        pair_close(&pair);
    }
}

/* BearSSL 0.6 hangs when it is closed while unread data lies in it. */
static void
closing_over_unread_data_ends(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct sink bytes;
    open_pair(&pair, ec);
    near_loop.limits.in_bytes_max = 5000;
    sink_init(&bytes, 1u << 20);
    pattern_fill(&bytes, 100000);
    pair_run(&pair);
    pair.client.hold = true;
    end_put(&pair.server, sink_slice(&bytes));
    pair_run(&pair);
    assert_int_equal(pair.client.conn.in.len, 5000);
    end_put(&pair.client, SLICE_LIT("bye"));
    pair.client.conn.closing = true;
    buf_clear(&pair.client.conn.in); /* as conn_close does */
    pair_run(&pair);
    assert_true(pair.client.finished);
    assert_int_equal(pair.client.conn.in.len, 0); /* nobody would take it */
    assert_got(&pair.server, SLICE_LIT("bye"));
    assert_true(pair.server.conn.ended);
    sink_fini(&bytes);
    pair_close(&pair);
}

/* Cut the server's bytes at an offset, FIN behind; what the client must make of it. */
static void
cut_at(size_t cut, size_t handshake, size_t notify)
{
    struct tls_pair pair;
    bool was_up = false;
    open_pair(&pair, ec); /* a session to resume: a failed handshake has dropped the last one */
    pair_run(&pair);
    pair_close(&pair);
    open_pair(&pair, ec);
    /* The server's bytes reach the client only up to the cut. */
    for (int i = 0; i < 12 && !pair.client.conn.lost; i++) {
        bare_loop_tick(&near_loop, 0);
        bare_loop_tick(&far_loop, 0);
        if (pair.server.conn.up && !was_up) {
            was_up = true;
            end_put(&pair.server, SLICE_LIT("first"));
            end_move(&pair.server, &pair.client, NULL);
            end_put(&pair.server, SLICE_LIT("second"));
            pair.server.conn.closing = true;
        }
        end_move(&pair.server, &pair.client, NULL);
        size_t full = pair.server.line.len;
        if (full >= cut) {
            pair.server.line.len = cut;
            pair.server.fin = true;
        }
        end_move(&pair.client, &pair.server, NULL);
        pair.server.line.len = full;
        if (pair.client.fin_seen)
            break;
    }
    assert_true(pair.client.fin_seen || pair.client.conn.ended);
    size_t first = handshake + 5 + 24 + 5, second = first + 5 + 24 + 6;
    if (cut <= handshake) { /* the last byte of it is the client's to send */
        assert_false(pair.client.conn.up);
        assert_int_equal(pair.client.conn.error, -ERR_TLS);
        assert_int_equal(pair.client.conn.tls_error, TLS_ERROR_HUNG_UP);
    } else if (cut < notify) {
        assert_int_equal(pair.client.conn.error, -ERR_TLS_TRUNCATED);
        assert_true(pair.client.conn.up);
    } else {
        assert_false(pair.client.conn.lost);
        assert_true(pair.client.conn.ended);
    }
    struct slice expected = cut >= second  ? SLICE_LIT("firstsecond")
                            : cut >= first ? SLICE_LIT("first")
                                           : SLICE_LIT("");
    assert_got(&pair.client, expected);
    pair_close(&pair);
}

static void
truncation_is_told_from_an_end(void **state)
{
    (void)state;
    struct tls_pair pair;
    open_pair(&pair, ec);
    pair_run(&pair);
    pair_close(&pair);
    open_pair(&pair, ec); /* resumed: short enough to try every offset */
    pair_run(&pair);
    assert_up(&pair);
    size_t handshake = pair.server.line.len;
    pair_close(&pair);
    size_t notify = handshake + 2 * (5 + 24) + 5 + 6 + 5 + 24 + 2;
    for (size_t cut = 0; cut <= notify; cut++)
        cut_at(cut, handshake, notify);
    assert_int_equal(near_loop.handshakes, 0);
}

/* -- damage -- */

static void
damage_is_noticed(void **state)
{
    (void)state;
    struct tls_pair pair;
    open_pair(&pair, ec);
    pair_run(&pair);
    end_put(&pair.server, SLICE_LIT("good"));
    pair_run(&pair);
    end_put(&pair.server, SLICE_LIT("damaged"));
    size_t at = pair.server.line.len;
    end_move(&pair.server, &pair.client, NULL);
    pair.server.line.ptr[at + 15] ^= 1;
    pair_run(&pair);
    assert_true(pair.client.conn.lost);
    assert_int_equal(pair.client.conn.error, -ERR_TLS);
    assert_int_equal(pair.client.conn.tls_error, BR_ERR_BAD_MAC);
    assert_got(&pair.client, SLICE_LIT("good"));
    pair_close(&pair);
}

/* Any byte of the server's answer changed: the handshake never succeeds, and nothing breaks. */
static void
damaged_handshakes_fail(void **state)
{
    (void)state;
    struct tls_pair pair;
    pair = (struct tls_pair){.target = {.trust = trust}};
    pair_open(&pair, &near_loop, &far_loop, ec);
    pair_run(&pair);
    assert_up(&pair);
    size_t len = pair.server.line.len;
    pair_close(&pair);
    assert_true(len > 700);
    for (size_t at = 0; at < len; at += at < 100 ? 1 : 13) {
        pair = (struct tls_pair){.target = {.trust = trust}};
        pair_open(&pair, &near_loop, &far_loop, ec);
        for (int i = 0; i < 12; i++) {
            size_t before = pair.server.line.len;
            bare_loop_tick(&near_loop, 0);
            bare_loop_tick(&far_loop, 0);
            end_move(&pair.server, &pair.client, NULL);
            if (before <= at && at < pair.server.line.len)
                pair.server.line.ptr[at] ^= 0x20;
            end_move(&pair.client, &pair.server, NULL);
        }
        /* A changed length may leave it waiting for more; a changed record version is no part of
         * what is signed. */
        pair.server.fin = true;
        pair_run(&pair);
        if (pair.client.conn.up)
            fail_msg("up although byte %zu of %zu was changed", at, len);
        assert_true(pair.client.conn.lost);
        pair_close(&pair);
    }
}

static void
noise_breaks_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 300; seed++) {
        struct tls_pair pair;
        open_pair(&pair, seed % 2 ? ec : rsa);
        pair.seed = seed * 77;
        char noise[3000];
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char)pair_random(&pair);
        pair.piece_max = 500;
        if (seed % 3) /* something that looks like a record of handshake */
            memcpy(noise,
                   seed % 3 == 1 ? "\x16\x03\x03\x01\x00\x0b\x00\x00\x30"
                                 : "\x16\x03\x03\x04\x00\x02\x00\x00\x46",
                   9);
        sink_put(&pair.client.line, slice_of(noise, sizeof(noise)));
        sink_put(&pair.server.line, slice_of(noise, sizeof(noise)));
        pair.client.fin = pair.server.fin = true;
        pair_run(&pair);
        assert_true(pair.client.conn.lost);
        assert_true(pair.server.conn.lost);
        assert_false(pair.client.conn.up);
        pair_close(&pair);
    }
}

static void
plain_http_is_recognised(void **state)
{
    (void)state;
    struct tls_pair pair;
    open_pair(&pair, ec);
    sink_text(&pair.server.line, "HTTP/1.1 400 Bad Request\r\n\r\n");
    end_move(&pair.client, &pair.server, NULL);
    assert_int_equal(pair.client.conn.tls_error, BR_ERR_UNSUPPORTED_VERSION);
    assert_int_equal(pair.client.conn.error, -ERR_TLS);
    assert_string_equal(tls_error_name(pair.client.conn.tls_error), "not_tls");
    pair.client.line.len = 0;
    sink_text(&pair.client.line, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    end_move(&pair.server, &pair.client, NULL);
    assert_int_equal(pair.server.conn.tls_error, BR_ERR_UNSUPPORTED_VERSION);
    pair_close(&pair);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(handshakes_with_both_kinds_of_keys, loops, loops_end),
        cmocka_unit_test_setup_teardown(hello_offers_only_what_we_want, loops, loops_end),
        cmocka_unit_test_setup_teardown(sessions_are_resumed, loops, loops_end),
        cmocka_unit_test_setup_teardown(a_failure_costs_the_session, loops, loops_end),
        cmocka_unit_test_setup_teardown(sessions_belong_to_their_target, loops, loops_end),
        cmocka_unit_test_setup_teardown(verified_chains_are_remembered, loops, loops_end),
        cmocka_unit_test_setup_teardown(data_arrives_however_it_is_cut, loops, loops_end),
        cmocka_unit_test_setup_teardown(records_are_few_and_as_large_as_agreed, loops, loops_end),
        cmocka_unit_test_setup_teardown(a_full_queue_stops_receiving, loops, loops_end),
        cmocka_unit_test_setup_teardown(an_empty_pool_loses_nothing, loops, loops_end),
        cmocka_unit_test_setup_teardown(close_notify_ends_cleanly, loops, loops_end),
        cmocka_unit_test_setup_teardown(closing_over_unread_data_ends, loops, loops_end),
        cmocka_unit_test_setup_teardown(truncation_is_told_from_an_end, loops, loops_end),
        cmocka_unit_test_setup_teardown(damage_is_noticed, loops, loops_end),
        cmocka_unit_test_setup_teardown(damaged_handshakes_fail, loops, loops_end),
        cmocka_unit_test_setup_teardown(noise_breaks_nothing, loops, loops_end),
        cmocka_unit_test_setup_teardown(plain_http_is_recognised, loops, loops_end),
    };
    if (!certs_make())
        return 77;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    certs_remove();
    return failed;
}
