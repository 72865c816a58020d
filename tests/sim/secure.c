/* SPDX-License-Identifier: MIT
 *
 * secure.c - TLS at the far end of a simulated connection; see secure.h. Random bytes come from the seed, so that a world
 * of records is the same each time.
 */
#include "tests/sim/secure.h"

#include "tests/unit/reactor/tls_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

enum manner { MANNER_GOOD, MANNER_CERTIFICATE, MANNER_STRANGER, MANNER_BREAKS_OFF };

struct secure {
    struct visit *visit;
    struct tls_end end, line; /* line: what comes from the peer */
    enum manner manner;
    bool done;
};

static struct {
    struct server_key *good, *bad[3];
    struct loop loop;
    uint64_t random;
    struct secure_tally tally;
    char yaml[2048];
} secure;

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);

ssize_t
__wrap_getrandom(void *to, size_t n, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < n; i++) {
        secure.random = secure.random * 6364136223846793005u + 1442695040888963407u;
        ((unsigned char *)to)[i] = (unsigned char)(secure.random >> 56);
    }
    return (ssize_t)n;
}

static void __attribute__((destructor)) forget_keys(void)
{
    if (!secure.good)
        return;
    server_key_drop(secure.good);
    for (size_t i = 0; i < countof(secure.bad); i++)
        server_key_drop(secure.bad[i]);
    certs_remove();
}

const char *
secure_yaml(void)
{
    static bool asked;
    if (!asked && certs_make()) {
        static const char *const bad[] = {"name-other", "purpose-mail", "deep"};
        secure.good = certs_key("ec");
        for (size_t i = 0; i < countof(bad); i++)
            secure.bad[i] = certs_key(bad[i]);
        snprintf(secure.yaml, sizeof secure.yaml,
                 "model_list:\n"
                 "  - {model_name: chat, litellm_params: {model: openai/up-chat, api_base: 'https://localhost:%d/v1', api_key: k}}\n"
                 "  - {model_name: claude, litellm_params: {model: anthropic/up-claude, api_base: 'https://localhost:%d', api_key: k}}\n"
                 "router_settings: {cooldown_time: 1}\n"
                 "penstock:\n"
                 "  tls: {ca_file: %s}\n"
                 "  timeouts: {request: 30s, connect: 2s, first_byte: 4s, idle: 4s, keepalive: 1s, drain: 2s, commit: 1500ms,"
                 " head: 5s, body: 5s, client_idle: 5s}\n"
                 "  retry: {base: 5ms, max: 50ms}\n",
                 SECURE_CHAT_PORT, SECURE_CLAUDE_PORT, certs_path("ca.pem"));
    }
    asked = true;
    return secure.good ? secure.yaml : NULL;
}

struct secure_tally
secure_tally(void)
{
    return secure.tally;
}

/* ---------------------------------------------------------------- one connection */

static void
ignore(void *owner, struct conn *conn, unsigned notices)
{
    (void)owner;
    (void)conn;
    (void)notices;
}

static void
end_begin(struct tls_end *end)
{
    struct conn *conn = &end->conn;
    *end = (struct tls_end){.conn = {.magic = MAGIC_CONN, .fd = -1, .loop = &secure.loop, .client_side = true}};
    conn->notify = ignore;
    conn->wire = &plain_wire;
    conn->out_high = conn->out_low = UINT32_MAX / 2;
    buf_init(&conn->in, &secure.loop.pool);
    buf_init(&conn->out, &secure.loop.pool);
    list_init(&conn->move_link);
    list_init(&conn->grave_link);
    list_init(&conn->loop_link);
    sink_init(&end->line, SIZE_MAX / 2);
    sink_init(&end->got, SIZE_MAX / 2);
}

static void *
wire_open(struct visit *visit)
{
    struct sim *sim = visit->provider->world->sim;
    struct secure *wire = calloc(1, sizeof *wire);
    assert(wire);
    wire->visit = visit;
    end_begin(&wire->end);
    end_begin(&wire->line);
    uint64_t roll = sim_random(sim) % 100;
    wire->manner = roll < 88 ? MANNER_GOOD : roll < 94 ? MANNER_CERTIFICATE : roll < 97 ? MANNER_STRANGER : MANNER_BREAKS_OFF;
    secure.tally.handshakes++;
    secure.tally.certificates += wire->manner == MANNER_CERTIFICATE;
    secure.tally.strangers += wire->manner == MANNER_STRANGER;
    secure.tally.broken_off += wire->manner == MANNER_BREAKS_OFF;
    struct server_key *key = wire->manner == MANNER_CERTIFICATE ? secure.bad[sim_random(sim) % countof(secure.bad)] : secure.good;
    int error = tls_server_wire(&wire->end.conn, key);
    assert(error == 0);
    return wire;
}

/* turn - let the engine do what it can, and send what it says. */
static void
turn(struct secure *wire)
{
    for (int quiet = 0; quiet < 3 && !wire->end.conn.lost;) {
        bare_loop_tick(&secure.loop, 0);
        quiet = end_move(&wire->end, &wire->line, NULL) ? 0 : quiet + 1;
    }
    sim_peer_send(wire->visit->peer, sink_slice(&wire->end.line));
    sink_reset(&wire->end.line, SIZE_MAX);
    secure.tally.done += !wire->done && wire->end.conn.up;
    wire->done = wire->end.conn.up;
}

static struct sink *
wire_hear(void *state)
{
    struct secure *wire = state;
    struct sim_peer *peer = wire->visit->peer;
    struct sink *in = sim_peer_in(peer);
    sink_put(&wire->line.line, sink_slice(in));
    sink_reset(in, SIZE_MAX);
    if (wire->manner == MANNER_STRANGER && wire->line.line.len > 0 && sim_peer_alive(peer)) {
        sim_peer_send(peer, SLICE_LIT("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
        sim_peer_close(peer);
    } else if (wire->manner == MANNER_BREAKS_OFF && wire->line.line.len > 300 && sim_peer_alive(peer)) {
        sim_peer_reset(peer);
    } else if (wire->manner == MANNER_GOOD || wire->manner == MANNER_CERTIFICATE || wire->line.line.len <= 300) {
        turn(wire);
    }
    return &wire->end.got;
}

static void
wire_say(void *state, struct slice bytes)
{
    struct secure *wire = state;
    if (wire->end.conn.lost || wire->end.conn.closing)
        return;
    int error = buf_put(&wire->end.conn.out, bytes);
    assert(error == 0);
    turn(wire);
}

/* Most say goodbye; for the others what came is not all there was. */
static void
wire_end(void *state)
{
    struct secure *wire = state;
    if (sim_random(wire->visit->provider->world->sim) % 5 == 0) {
        secure.tally.truncated++;
        return;
    }
    wire->end.conn.closing = true;
    turn(wire);
}

static void
end_finish(struct tls_end *end)
{
    end->conn.wire->fini(&end->conn);
    buf_clear(&end->conn.in);
    buf_clear(&end->conn.out);
    list_remove(&end->conn.move_link);
    sink_fini(&end->line);
    sink_fini(&end->got);
}

static void
wire_free(void *state)
{
    struct secure *wire = state;
    end_finish(&wire->end);
    end_finish(&wire->line);
    free(wire);
}

static const struct provider_wire tls_provider_wire = {wire_open, wire_hear, wire_say, wire_end, wire_free};

/* ---------------------------------------------------------------- a world */

void
secure_begin(struct world *world)
{
    secure.random = world->seed;
    bare_loop_init(&secure.loop);
    world_provider_add(world, SECURE_CHAT_PORT, SPEAKS_CHAT)->wire = &tls_provider_wire;
    world_provider_add(world, SECURE_CLAUDE_PORT, SPEAKS_MESSAGES)->wire = &tls_provider_wire;
}

void
secure_end(void)
{
    bare_loop_fini(&secure.loop);
}
