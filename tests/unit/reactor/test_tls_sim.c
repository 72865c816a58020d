/* SPDX-License-Identifier: MIT
 *
 * test_tls_sim.c - TLS conns at both ends of a simulated network: every fault between them, not a
 * byte wrong.
 *
 *     client conn <-> near peer = far peer <-> listener, server conn        both conns live in one
 * loop
 *
 * The peers pass on what they get: bytes, FIN and reset. The server echoes; one of the two says
 * goodbye first. A failure prints its seed; entropy is the system's, so a seed repeats the faults
 * but not the ciphertext.
 */
#include "reactor/sim.h"
#include "tests/unit/reactor/fake.h"
#include "tests/unit/reactor/tls_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define LIVES 150
#define TURNS 4 /* connections one after the other: the later ones resume the session */
#define BYTES_MAX 60000
#define RETRY_MS 3

static struct trust *trust;
static struct server_key *key;

struct end {
    struct conn *conn;
    struct task task;
    struct deadline retry;
    size_t sent, got;
    struct slice lent[2];
    int lost; /* error */
    bool up, ended;
};

static struct {
    struct sim *sim;
    struct loop loop;
    struct listener listener;
    struct conn_target target;
    struct end client, server;
    size_t bytes;
    bool server_parts, whole;
    char text[BYTES_MAX];
} world;

static struct {
    uint64_t whole, broken, resumed;
} total;

/* -- the network: two peers that pass on
 * -------------------------------------------------------------------- */

static void
pass_bytes(struct sim_peer *peer)
{
    struct sim_peer *other = sim_peer_user(peer);
    struct sink *in = sim_peer_in(peer);
    sim_peer_send(other, sink_slice(in));
    sink_drop_front(in, in->len);
}

static void
pass_end(struct sim_peer *peer)
{
    sim_peer_half_close(sim_peer_user(peer));
}

static void
pass_reset(struct sim_peer *peer)
{
    struct sim_peer *other = sim_peer_user(peer);
    if (other && other != peer)
        sim_peer_reset(other);
}

static const struct sim_script far_script = {
    .bytes = pass_bytes, .ended = pass_end, .reset = pass_reset};

static void
near_opened(struct sim_peer *near)
{
    struct sim_peer *far = sim_connect(world.sim, 1, &far_script, near);
    sim_peer_set_user(near, far);
}

static const struct sim_script near_script = {
    .opened = near_opened, .bytes = pass_bytes, .ended = pass_end, .reset = pass_reset};

/* -- the program
 * -------------------------------------------------------------------------------------------- */

static void
notify(void *owner, struct conn *conn, unsigned notices)
{
    struct end *end = owner;
    (void)conn;
    end->up = end->up || (notices & CONN_UP);
    loop_post(&world.loop, &end->task);
}

static void
retry_due(struct deadline *deadline)
{
    struct end *end = container_of(deadline, struct end, retry);
    loop_post(&world.loop, &end->task);
}

static void
end_leave(struct end *end, bool cut)
{
    list_remove(&end->task.link);
    loop_cancel(&world.loop, &end->retry);
    end->lost = end->conn->lost ? end->conn->error : 0;
    end->ended = end->conn->ended;
    conn_close(end->conn, cut);
    end->conn = NULL;
}

/* end_put_some - more of the text, as much as chance and memory give. */
static void
end_put_some(struct end *end, size_t most)
{
    while (end->sent < most && end->conn->out.len < 20000 && end->conn->loan.len == 0) {
        size_t n = 1 + sim_random(world.sim) % 9000;
        if (n > most - end->sent)
            n = most - end->sent;
        if (sim_random(world.sim) % 4 == 0 && !(world.server_parts && end == &world.server)) {
            end->lent[0] = slice_of(world.text + end->sent, sim_random(world.sim) % (n + 1));
            end->lent[1] = slice_of(world.text + end->sent + end->lent[0].len, n - end->lent[0].len);
            conn_lend(end->conn, end->lent, countof(end->lent)); /* not by who closes behind it */
        } else if (conn_put(end->conn, slice_of(world.text + end->sent, n)) != 0) {
            loop_arm(&world.loop, &end->retry, RETRY_MS);
            return;
        }
        end->sent += n;
    }
}

static void
end_take_some(struct end *end)
{
    struct buf *in = &end->conn->in;
    while (in->len > 0) {
        struct slice run = slice_take(buf_peek(in), 1 + sim_random(world.sim) % 6000);
        assert_true(end->got + run.len <= world.bytes);
        assert_true(memcmp(run.ptr, world.text + end->got, run.len) == 0);
        end->got += run.len;
        buf_consume(in, run.len);
        if (sim_random(world.sim) % 8 == 0) { /* later */
            loop_arm(&world.loop, &end->retry, RETRY_MS);
            break;
        }
    }
    conn_touch(end->conn);
}

static void
client_run(struct task *task)
{
    struct end *end = container_of(task, struct end, task);
    end_take_some(end);
    if (end->up && !end->conn->lost)
        end_put_some(end, world.bytes);
    world.whole = world.whole || end->got == world.bytes;
    if (end->conn->in.len == 0 && (end->conn->lost || end->conn->ended))
        end_leave(end, true);
    else if (end->got == world.bytes && !world.server_parts)
        end_leave(end, false);
}

static void
server_run(struct task *task)
{
    struct end *end = container_of(task, struct end, task);
    end_take_some(end);
    if (!end->conn->lost)
        end_put_some(end, end->got);
    if (end->conn->in.len == 0 && (end->conn->lost || end->conn->ended))
        end_leave(end, end->conn->lost);
    else if (end->sent == world.bytes && world.server_parts)
        end_leave(end, false);
}

static void
end_init(struct end *end, void (*run)(struct task *))
{
    *end = (struct end){0};
    task_init(&end->task, run);
    deadline_init(&end->retry, retry_due);
}

static void
accepted(struct listener *listener, int fd, const char *peer)
{
    (void)listener;
    end_init(&world.server, server_run);
    if (conn_adopt(&world.loop, fd, key, peer, notify, &world.server, &world.server.conn) != 0)
        fail_msg("no conn for an accepted socket");
    world.server.conn->out_high = 19999;
    world.server.conn->out_low = 10000;
}

/* -- one life
 * ------------------------------------------------------------------------------------------------
 */

static unsigned short
maybe(struct sim *sim, unsigned short most)
{
    return sim_random(sim) % 3 ? 0 : (unsigned short)(sim_random(sim) % most);
}

static void
world_open(uint64_t seed)
{
    struct loop_limits limits;
    struct sim *sim = world.sim = sim_new(seed, NULL);
    struct sim_faults faults = {.short_read = maybe(sim, 600),
                                .short_write = maybe(sim, 600),
                                .again = maybe(sim, 400),
                                .reset = seed % 3 ? 0 : maybe(sim, 20),
                                .late_event = maybe(sim, 300),
                                .memory = maybe(sim, 60),
                                .window = sim_random(sim) % 2 ? 0 : 100 + sim_random(sim) % 5000};
    sim_set_faults(sim, &faults);
    loop_limits_default(&limits);
    limits.in_bytes_max = 1 + sim_random(sim) % (sim_random(sim) % 2 ? 500 : 30000);
    limits.move_bytes_max = 1000 + sim_random(sim) % 30000;
    limits.rounds_max = 1 + (int)(sim_random(sim) % 8);
    limits.chunks_max = 64 + sim_random(sim) % 100;
    limits.flush_ms = 60000;
    limits.linger_ms = 20000;
    assert_int_equal(loop_init(&world.loop, &sim_ops, sim, &limits), 0);
    assert_int_equal(
        listener_open(&world.loop, &world.listener, sim_listen_fd(sim, 1), accepted, NULL), 0);
    sim_accept_on(sim, 2, &near_script, NULL, false);
    world.target = (struct conn_target){.host = SLICE_LIT("example.test"),
                                        .tls = true,
                                        .trust = trust,
                                        .cache_key = SLICE_LIT("example.test")};
}

static void
turn(uint64_t seed, bool may_break)
{
    struct sim *sim = world.sim;
    world.bytes = 1 + sim_random(sim) % (sim_random(sim) % 2 ? 200 : BYTES_MAX);
    size_t most = 60 * world.loop.limits.in_bytes_max;
    if (world.bytes > most)
        world.bytes = most;
    world.server_parts = sim_random(sim) % 2;
    world.whole = false;
    for (size_t i = 0; i < world.bytes; i++)
        world.text[i] = (char)sim_random(sim);
    end_init(&world.client, client_run);
    end_init(&world.server, server_run);
    assert_int_equal(
        conn_open(&world.loop, &world.target, notify, &world.client, &world.client.conn), 0);
    world.client.conn->out_high = 19999;
    world.client.conn->out_low = 10000;
    sim_run(sim, &world.loop, sim_now_us(sim) + UINT64_C(600) * 1000000, NULL, NULL);
    bool stuck = world.client.conn || world.server.conn || world.loop.conns > 0;
    if (stuck || (!world.whole && !may_break) ||
        (world.whole && world.server_parts && !may_break &&
         (world.client.lost || !world.client.ended)))
        fail_msg(
            "seed %llu: stuck %d, %zu conns, %zu of %zu bytes, server parts %d, lost %d and %d",
            (unsigned long long)seed, stuck, world.loop.conns, world.client.got, world.bytes,
            world.server_parts, world.client.lost, world.server.lost);
    total.whole += world.whole;
    total.broken += !world.whole;
}

static void
live(uint64_t seed)
{
    world_open(seed);
    bool may_break = world.sim != NULL && seed % 3 == 0;
    for (int i = 0; i < TURNS; i++)
        turn(seed, may_break);
    total.resumed += world.loop.stats.handshakes_resumed;
    listener_close(&world.listener);
    assert_int_equal(sim_sockets_open(world.sim), 0);
    assert_int_equal(world.loop.handshakes, 0);
    loop_fini(&world.loop);
    sim_free(world.sim);
}

static void
tls_lives_through_every_fault(void **state)
{
    (void)state;
    const char *one = getenv("PENSTOCK_SEED");
    fake_names_reset();
    fake_name_add("example.test", "192.0.2.7", 2);
    for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1, n = 0; n < (one ? 1 : LIVES);
         n++, seed++)
        live(seed);
    print_message("%llu whole, %llu broken by resets, %llu handshakes resumed\n",
                  (unsigned long long)total.whole, (unsigned long long)total.broken,
                  (unsigned long long)total.resumed);
    if (!one) {
        assert_true(total.whole > LIVES * TURNS * 2 / 3);
        assert_true(total.broken > 0);
        assert_true(total.resumed > LIVES);
    }
}

int
main(void)
{
    if (!certs_make())
        return 77;
    trust = certs_trust("ca");
    key = certs_key("ec");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_lives_through_every_fault),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    trust_drop(trust);
    server_key_drop(key);
    certs_remove();
    return failed;
}
