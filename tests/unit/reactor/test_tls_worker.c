/* SPDX-License-Identifier: MIT
 *
 * test_tls_worker.c - what many TLS wires of one loop share: turns at costly steps, verifiers,
 * memory; where messages end; and what a peer that does not play by the rules is allowed:
 * renegotiation, endless chains.
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

#define STORM 40

static struct trust *trust;
static struct server_key *ec, *chain;
static struct loop near_loop, far_loop;

static int
setup(void **state)
{
    (void)state;
    trust = certs_trust("bundle");
    ec = certs_key("ec");
    chain = certs_key("chain");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    trust_drop(trust);
    server_key_drop(ec);
    server_key_drop(chain);
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
    *pair = (struct tls_pair){.target = {.trust = trust}};
    pair_open(pair, &near_loop, &far_loop, key);
}

/* -- turns -- */

/* How far a client's handshake has come: the bytes that its engine has taken. */
static size_t
taken(const struct tls_pair *pair)
{
    const struct tls *tls = pair->client.conn.wire_state;
    return pair->client.line_taken - tls->cipher.len;
}

static void
storms_take_one_step_a_tick(void **state)
{
    (void)state;
    static struct tls_pair pairs[STORM];
    int up_last = 0, ticks = 0, order_last = -1;
    near_loop.limits.handshakes_max = 6;
    for (int i = 0; i < STORM; i++)
        open_pair(&pairs[i], chain);
    for (int begun = 0, tick = 0; begun < STORM; tick++) { /* hellos cost something as well */
        int before = begun;
        begun = 0;
        bare_loop_tick(&near_loop, 0);
        for (int i = 0; i < STORM; i++) {
            end_move(&pairs[i].client, &pairs[i].server, NULL);
            begun += pairs[i].client.line.len > 0;
        }
        assert_true(begun - before <= 16);
        assert_true(tick < 4);
    }
    for (; up_last < STORM && ticks < 2000; ticks++) {
        int stepped = 0, up = 0;
        bare_loop_tick(&near_loop, 0);
        bare_loop_tick(&far_loop, 0);
        for (int i = 0; i < STORM; i++) {
            size_t before = taken(&pairs[i]);
            end_move(&pairs[i].client, &pairs[i].server, NULL);
            /* ServerHello costs nothing; what follows in one go ends with one costly message. */
            stepped += taken(&pairs[i]) > before + 200;
            end_move(&pairs[i].server, &pairs[i].client, NULL);
            up += pairs[i].client.conn.up;
            if (pairs[i].client.conn.up && i > order_last) {
                assert_int_equal(i, order_last + 1); /* first come, first served */
                order_last = i;
            }
        }
        assert_true(near_loop.handshakes <= 6);
        assert_true(stepped <= 1);
        assert_true(up - up_last <= 1);
        up_last = up;
    }
    assert_int_equal(up_last, STORM);
    assert_true(ticks <=
                8 * STORM); /* and none is wasted: both sides take four costly steps for each */
    assert_int_equal(near_loop.handshakes, 0);
    for (int i = 0; i < STORM; i++)
        pair_close(&pairs[i]);
}

/* Wires that end while they stand in line let the others pass. */
static void
the_line_closes_up(void **state)
{
    (void)state;
    static struct tls_pair pairs[STORM];
    near_loop.limits.handshakes_max = 2;
    for (int i = 0; i < STORM; i++)
        open_pair(&pairs[i], ec);
    for (int tick = 0; tick < 3; tick++) {
        bare_loop_tick(&near_loop, 0);
        bare_loop_tick(&far_loop, 0);
        for (int i = 0; i < STORM; i++) {
            end_move(&pairs[i].client, &pairs[i].server, NULL);
            end_move(&pairs[i].server, &pairs[i].client, NULL);
        }
    }
    for (int i = 0; i < STORM; i += 2) {
        if (i % 4 == 0) {
            pair_close(&pairs[i]);
        } else if (!pairs[i].client.conn.lost) {
            conn_fail(&pairs[i].client.conn,
                      -ERR_RESET); /* lost, but its owner has not closed it yet */
        }
    }
    for (int tick = 0; tick < 1000; tick++) {
        bare_loop_tick(&near_loop, 0);
        bare_loop_tick(&far_loop, 0);
        for (int i = 0; i < STORM; i++) {
            if (i % 4 == 0)
                continue;
            end_move(&pairs[i].client, &pairs[i].server, NULL);
            end_move(&pairs[i].server, &pairs[i].client, NULL);
        }
    }
    for (int i = 1; i < STORM; i += 2)
        assert_true(pairs[i].client.conn.up);
    for (int i = 0; i < STORM; i++) {
        if (i % 4 != 0)
            pair_close(&pairs[i]);
    }
    assert_int_equal(near_loop.handshakes, 0);
}

/* A FIN behind a flight that waits for its turn is not seen before it. */
static void
ends_wait_behind_what_is_in_line(void **state)
{
    (void)state;
    static struct tls_pair pairs[2];
    for (int i = 0; i < 2; i++) {
        open_pair(&pairs[i], ec);
        end_move(&pairs[i].client, &pairs[i].server, NULL);
    }
    for (int i = 0; i < 6; i++) {
        bare_loop_tick(&far_loop, 0);
        end_move(&pairs[0].server, &pairs[0].client, NULL);
        end_move(&pairs[1].server, &pairs[1].client, NULL);
    }
    pairs[1].server.fin = true;
    for (int i = 0; i < 6; i++) {
        bare_loop_tick(&near_loop, 0);
        end_move(&pairs[0].client, &pairs[0].server, NULL);
        end_move(&pairs[1].client, &pairs[1].server, NULL);
        if (i == 0) {
            const struct tls *tls = pairs[1].client.conn.wire_state;
            assert_true(tls->cipher.len > 0); /* it waits */
            assert_false(pairs[1].client.fin_seen);
        }
    }
    assert_true(pairs[1].client.fin_seen);
    assert_int_equal(pairs[1].client.conn.tls_error, TLS_ERROR_HUNG_UP);
    pair_close(&pairs[0]);
    pair_close(&pairs[1]);
}

/* A peer that falls silent holds no verifier before it has sent certificates. */
static void
silent_peers_hold_nothing(void **state)
{
    (void)state;
    static struct tls_pair pairs[20];
    near_loop.limits.handshakes_max = 2;
    for (int i = 0; i < 20; i++) {
        open_pair(&pairs[i], ec);
        if (i < 19)
            end_move(&pairs[i].client, &pairs[i].server, NULL);
    }
    assert_int_equal(near_loop.handshakes, 0);
    pair_run(&pairs[19]);
    assert_true(pairs[19].client.conn.up);
    for (int i = 0; i < 20; i++)
        pair_close(&pairs[i]);
}

/* -- memory -- */

static int
resident_pages(const struct tls *tls, const struct tls_slots *slots)
{
    unsigned char resident[16];
    int count = 0;
    assert_true(slots->slot_bytes / 4096 <= sizeof(resident));
    assert_int_equal(mincore(tls->slot, slots->slot_bytes, resident), 0);
    for (size_t i = 0; i < slots->slot_bytes / 4096; i++)
        count += resident[i] & 1;
    return count;
}

static void
quiet_conns_give_their_buffers_back(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct sink bytes;
    open_pair(&pair, ec);
    pair_run(&pair);
    sink_init(&bytes, 1u << 20);
    pattern_fill(&bytes, 100000);
    const struct tls *client = pair.client.conn.wire_state, *server = pair.server.conn.wire_state;
    for (int i = 0; i < 3; i++) {
        end_put(&pair.client, sink_slice(&bytes));
        end_put(&pair.server, sink_slice(&bytes));
        pair_run(&pair);
        assert_int_equal(pair.client.got.len, bytes.len);
        assert_int_equal(pair.server.got.len, bytes.len);
        assert_true(slice_eq(sink_slice(&pair.client.got), sink_slice(&bytes)));
        pair.client.got.len = pair.server.got.len = 0;
        assert_true(resident_pages(client, &near_loop.tls->client_slots) > 4);
        bare_loop_tick(&near_loop, 500); /* too early */
        assert_true(resident_pages(client, &near_loop.tls->client_slots) > 4);
        bare_loop_tick(&near_loop, 600);
        bare_loop_tick(&far_loop, 1100);
        assert_int_equal(resident_pages(client, &near_loop.tls->client_slots), 1);
        assert_int_equal(resident_pages(server, &far_loop.tls->server_slots), 2);
        assert_int_equal(near_loop.wheel.armed, 0); /* and nobody wakes the loop for it any more */
    }
    sink_fini(&bytes);
    pair_close(&pair);
}

/* Half a record in the buffer is not quiet. */
static void
begun_records_are_kept(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct sink bytes;
    open_pair(&pair, ec);
    pair_run(&pair);
    sink_init(&bytes, 1u << 20);
    pattern_fill(&bytes, 4000);
    end_put(&pair.server, sink_slice(&bytes));
    end_move(&pair.server, &pair.client, NULL);
    static const size_t cuts[] = {3, 2, 2000,
                                  1500}; /* within the header, behind it, within the contents */
    for (size_t i = 0; i < countof(cuts); i++) {
        size_t full = pair.server.line.len;
        pair.server.line.len = pair.client.line_taken + cuts[i];
        end_move(&pair.client, &pair.server, NULL);
        pair.server.line.len = full;
        bare_loop_tick(&near_loop, 3000);
    }
    pair_run(&pair);
    assert_false(pair.client.conn.lost);
    assert_true(slice_eq(sink_slice(&pair.client.got), sink_slice(&bytes)));
    sink_fini(&bytes);
    pair_close(&pair);
}

/* Keys and plaintext do not stay in memory that is kept for the next conn. */
static void
slots_are_wiped(void **state)
{
    (void)state;
    struct tls_pair pair;
    open_pair(&pair, ec);
    end_put(&pair.client, SLICE_LIT("a secret"));
    pair_run(&pair);
    pair_close(&pair);
    const struct tls_slots *slots = &near_loop.tls->client_slots;
    assert_int_equal(slots->free_count, 1);
    const char *slot = slots->free;
    for (size_t i = sizeof(void *); i < slots->slot_bytes; i++)
        assert_int_equal(slot[i], 0);
}

/* -- peers of our own making: a bare BearSSL engine -- */

struct bare_peer {
    br_ssl_client_context client;
    br_ssl_server_context server;
    br_ssl_engine_context *engine;
    br_x509_minimal_context x509;
    unsigned char buffers[BR_SSL_BUFSIZE_BIDI];
    size_t taken;
};

/* Move a bare engine's records from and to the wire's end. */
static void
bare_move(struct bare_peer *peer, struct tls_end *end)
{
    size_t n;
    unsigned char *at;
    while ((at = br_ssl_engine_sendrec_buf(peer->engine, &n))) {
        struct iovec iov[8];
        int count = end->conn.wire->space(&end->conn, iov, 8, n);
        if (count == 0)
            return;
        size_t most = iov[0].iov_len < n ? iov[0].iov_len : n;
        memcpy(iov[0].iov_base, at, most);
        br_ssl_engine_sendrec_ack(peer->engine, most);
        int error = end->conn.wire->filled(&end->conn, most);
        if (error) {
            conn_fail(&end->conn, error);
            return;
        }
        bare_loop_tick(end->conn.loop, 0);
        error = end->conn.wire->step(&end->conn);
        if (error < 0)
            conn_fail(&end->conn, error);
    }
}

static void
bare_take(struct bare_peer *peer, struct tls_end *end)
{
    size_t n;
    unsigned char *at;
    while (end->line.len > peer->taken && (at = br_ssl_engine_recvrec_buf(peer->engine, &n))) {
        size_t most = end->line.len - peer->taken < n ? end->line.len - peer->taken : n;
        memcpy(at, end->line.ptr + peer->taken, most);
        peer->taken += most;
        br_ssl_engine_recvrec_ack(peer->engine, most);
        if (br_ssl_engine_recvapp_buf(peer->engine, &n))
            br_ssl_engine_recvapp_ack(peer->engine, n);
    }
}

static void
bare_run(struct bare_peer *peer, struct tls_end *end)
{
    struct tls_end nobody = {.fin = false};
    for (int i = 0; i < 20; i++) {
        bare_loop_tick(end->conn.loop, 0);
        end_move(end, &nobody, NULL);
        bare_take(peer, end);
        bare_move(peer, end);
    }
}

static void
serve_bare(struct bare_peer *peer, const br_x509_certificate *certificates, size_t count)
{
    struct server_key_view key = server_key_view(chain);
    br_ssl_server_init_full_ec(&peer->server, certificates, count, BR_KEYTYPE_EC, key.ec);
    br_ssl_engine_set_buffer(&peer->server.eng, peer->buffers, sizeof(peer->buffers), 1);
    assert_int_equal(br_ssl_server_reset(&peer->server), 1);
    peer->engine = &peer->server.eng;
    peer->taken = 0;
}

/* The peer asks for a second handshake, is told no by a warning, and our side goes on as it was. */
static void
refuse_renegotiation(struct bare_peer *peer, struct tls_end *end)
{
    enum { ALERT = 21, NO_RENEGOTIATION = 100 };
    bare_run(peer, end);
    assert_true(end->conn.up);
    size_t before = end->line.len;
    assert_int_equal(br_ssl_engine_renegotiate(peer->engine), 1);
    bare_run(peer, end);
    assert_false(end->conn.lost);
    assert_int_equal(end->line.ptr[before], ALERT);
    assert_int_equal(br_ssl_engine_last_error(peer->engine),
                     BR_ERR_RECV_FATAL_ALERT + NO_RENEGOTIATION);
    end_put(end, SLICE_LIT("still here"));
    before = end->line.len;
    bare_run(peer, end);
    assert_false(end->conn.lost);
    assert_true(end->line.len > before);
    assert_int_equal(end->conn.loop->stats.handshakes, 1);
}

static void
renegotiation_is_refused(void **state)
{
    (void)state;
    static struct bare_peer peer;
    struct trust_view view = trust_view(trust);
    struct server_key_view key = server_key_view(chain);
    struct tls_pair pair;
    open_pair(&pair, ec);
    br_ssl_client_init_full(&peer.client, &peer.x509, view.anchors, view.count);
    br_ssl_engine_set_buffer(&peer.client.eng, peer.buffers, sizeof(peer.buffers), 1);
    assert_int_equal(br_ssl_client_reset(&peer.client, "localhost", 0), 1);
    peer.engine = &peer.client.eng;
    peer.taken = 0;
    refuse_renegotiation(&peer, &pair.server);
    pair_close(&pair);
    open_pair(&pair, ec);
    serve_bare(&peer, key.chain, key.count);
    refuse_renegotiation(&peer, &pair.client);
    pair_close(&pair);
}

static void
serve_chain(const br_x509_certificate *certificates, size_t count, int expected)
{
    static struct bare_peer peer;
    struct tls_pair pair;
    open_pair(&pair, chain);
    serve_bare(&peer, certificates, count);
    bare_run(&peer, &pair.client);
    assert_int_equal(pair.client.conn.tls_error, expected);
    assert_int_equal(pair.client.conn.up, expected == 0);
    pair_close(&pair);
}

static void
chains_have_a_limit(void **state)
{
    (void)state;
    struct server_key_view key = server_key_view(chain);
    const br_x509_certificate *certificates = key.chain;
    br_x509_certificate many[11];
    static unsigned char large[33000];
    for (size_t i = 0; i < countof(many); i++)
        many[i] = certificates[i < key.count ? i : key.count - 1];
    serve_chain(many, 2, 0);
    serve_chain(many, 10, 0); /* what comes behind the trusted part plays no part */
    serve_chain(many, 11, TLS_ERROR_CHAIN_SIZE);
    many[1] = (br_x509_certificate){large, 1};
    serve_chain(many, 2, BR_ERR_X509_UNEXPECTED);
    many[1] = (br_x509_certificate){large, sizeof(large)};
    serve_chain(many, 2, TLS_ERROR_CHAIN_SIZE);
    many[0] = (br_x509_certificate){many[0].data, many[0].data_len - 1};
    serve_chain(many, 1, BR_ERR_X509_INNER_TRUNC);
}

/* -- where messages end -- */

/* A server's flight: one record with ServerHello, Certificate and the like, one with half a message
 * each. */
static size_t
flight(char *out)
{
    static const struct {
        uint8_t type;
        size_t len;
    } messages[] = {{2, 70}, {11, 900}, {12, 140}, {14, 0}};
    char body[2000];
    size_t len = 0, at = 0, written = 0;
    for (size_t i = 0; i < countof(messages); i++) {
        body[len] = (char)messages[i].type;
        body[len + 1] = 0;
        body[len + 2] = (char)(messages[i].len >> 8);
        body[len + 3] = (char)messages[i].len;
        memset(body + len + 4, 0xee, messages[i].len);
        len += 4 + messages[i].len;
    }
    static const size_t cuts[] = {400, 0, 2, 500, 9999}; /* an empty record among them */
    for (size_t i = 0; i < countof(cuts); i++) {
        size_t n = cuts[i] < len - at ? cuts[i] : len - at;
        memcpy(out + written, "\x16\x03\x03", 3);
        out[written + 3] = (char)(n >> 8);
        out[written + 4] = (char)n;
        memcpy(out + written + 5, body + at, n);
        written += 5 + n;
        at += n;
    }
    memcpy(out + written,
           "\x14\x03\x03\x00\x01\x01"
           "\x16\x03\x03\x00\x28",
           11);
    memset(out + written + 11, 0x0b, 40); /* encrypted: it must not be read as a message */
    return written + 51;
}

static void
messages_are_told_apart_however_they_are_cut(void **state)
{
    (void)state;
    char bytes[3000];
    size_t len = flight(bytes);
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 500; round++) {
        struct tls_border border = {.record_have = 0};
        int costly = 0, certificates = 0;
        size_t at = 0;
        while (at < len) {
            enum tls_piece kind;
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            size_t most = round == 0 ? len - at : round == 1 ? 1 : 1 + seed % 300;
            if (most > len - at)
                most = len - at;
            size_t n = tls_border_next(&border, slice_of(bytes + at, most), &kind);
            assert_true(n >= 1 && n <= most);
            if (kind == TLS_PIECE_CERTIFICATES)
                assert_int_equal(costly, 0);
            costly += kind == TLS_PIECE_COSTLY;
            certificates += kind == TLS_PIECE_CERTIFICATES;
            tls_border_pass(&border, slice_of(bytes + at, n));
            at += n;
        }
        assert_int_equal(costly, 3);
        assert_int_equal(certificates, 1);
        assert_true(border.encrypted);
        assert_int_equal(border.record_have, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(storms_take_one_step_a_tick, loops, loops_end),
        cmocka_unit_test_setup_teardown(the_line_closes_up, loops, loops_end),
        cmocka_unit_test_setup_teardown(ends_wait_behind_what_is_in_line, loops, loops_end),
        cmocka_unit_test_setup_teardown(silent_peers_hold_nothing, loops, loops_end),
        cmocka_unit_test_setup_teardown(quiet_conns_give_their_buffers_back, loops, loops_end),
        cmocka_unit_test_setup_teardown(begun_records_are_kept, loops, loops_end),
        cmocka_unit_test_setup_teardown(slots_are_wiped, loops, loops_end),
        cmocka_unit_test_setup_teardown(renegotiation_is_refused, loops, loops_end),
        cmocka_unit_test_setup_teardown(chains_have_a_limit, loops, loops_end),
        cmocka_unit_test(messages_are_told_apart_however_they_are_cut),
    };
    if (!certs_make())
        return 77;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    certs_remove();
    return failed;
}
