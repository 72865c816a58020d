/* SPDX-License-Identifier: MIT
 *
 * test_relay.c - 100,000 simulated lives of a small relay under every fault: not a byte wrong,
 * nobody stuck.
 *
 *     client peer <-> conn | relay | conn <-> echoing upstream peer
 *
 * Either the client says goodbye when its echo is complete, or the upstream closes after echoing
 * all while the client goes on sending, so that the relay's last bytes must survive its own close.
 * A failure prints its seed.
 */
#include "reactor/sim.h"
#include "tests/unit/reactor/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RUNS 10000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RUNS 10000
#endif
#endif
#ifndef RUNS
#define RUNS 100000
#endif

#define BYTES_MAX 10000
#define STUCK_MS 120000
#define RETRY_MS 3

enum ending { CLIENT_PARTS, UPSTREAM_PARTS };

#define PLACE_BYTES 3000

struct side {
    struct conn *conn;
    char place[PLACE_BYTES]; /* what comes from here may land there */
    size_t placed, given;    /* bytes that did, and of them those passed on */
    struct side *other;
    struct relay *relay;
};

struct relay {
    struct world *world;
    struct task task;
    struct deadline retry, stuck;
    struct side client, upstream;
    uint64_t progress_ms;
    size_t asked;          /* of the client's bytes, given to the upstream */
    struct slice lent[3];
    struct relay *next;
};

struct world {
    struct sim *sim;
    struct loop loop;
    struct listener listener;
    struct conn_target target;
    enum ending ending;
    size_t high;
    size_t bytes, sent; /* the client's */
    size_t echoed;      /* by the upstream */
    size_t checked;     /* of what the client got back */
    size_t junk;
    bool stops, stopped;
    bool upstream_ended, client_ended, client_reset, excused, stuck;
    struct sim_peer *client;
    struct relay *relays; /* finished or not: freed at the end */
    char text[BYTES_MAX];
};

/* -- the program
 * ---------------------------------------------------------------------------------------- */

static void
relay_end(struct relay *relay, bool cut)
{
    loop_cancel(&relay->world->loop, &relay->retry);
    loop_cancel(&relay->world->loop, &relay->stuck);
    list_remove(&relay->task.link);
    if (relay->client.conn)
        conn_close(relay->client.conn, cut);
    if (relay->upstream.conn)
        conn_close(relay->upstream.conn, relay->world->ending == UPSTREAM_PARTS);
    relay->client.conn = relay->upstream.conn = NULL;
}

/* lend - the same bytes from where they stay, in runs: for the upstream, behind what was put. */
static void
lend(struct relay *relay, struct slice run)
{
    struct world *world = relay->world;
    struct slice rest = slice_of(world->text + relay->asked, run.len);
    assert_true(memcmp(run.ptr, rest.ptr, run.len) == 0);
    for (size_t i = 0; i < countof(relay->lent); i++) {
        bool last = i + 1 == countof(relay->lent);
        relay->lent[i] = last ? rest : slice_take(rest, sim_random(world->sim) % (rest.len + 1));
        rest = slice_skip(rest, relay->lent[i].len);
    }
    conn_lend(relay->upstream.conn, relay->lent, countof(relay->lent));
}

/* pass_landed - what came to its place goes on first. false: there was no memory. */
static bool
pass_landed(struct relay *relay, struct side *from, struct conn *to)
{
    from->placed += conn_take_landed(from->conn);
    struct slice run = slice_of(from->place + from->given, from->placed - from->given);
    if (run.len == 0 || to->loan.len > 0)
        return run.len == 0;
    if (conn_put(to, run) != 0) {
        loop_arm(&relay->world->loop, &relay->retry, RETRY_MS);
        return false;
    }
    relay->asked += to == relay->upstream.conn ? run.len : 0;
    from->given = from->placed;
    relay->progress_ms = relay->world->loop.now_ms;
    return true;
}

/* land - the next bytes, so many or more than will ever come, go to the side's own memory. */
static void
land(struct world *world, struct side *from)
{
    if (from->conn->in.len > 0 || from->conn->landing.room > 0 || sim_random(world->sim) % 4)
        return;
    from->placed = from->given = 0;
    conn_land(from->conn, from->place, 1 + sim_random(world->sim) % PLACE_BYTES);
}

/* pump - move what can be moved from one side to the other. */
static void
pump(struct relay *relay, struct side *side, struct conn *to)
{
    struct world *world = relay->world;
    struct conn *from = side->conn;
    bool moved = false;
    if (!pass_landed(relay, side, to))
        return;
    while (from->in.len && to->out.len <= world->high && to->loan.len == 0) {
        struct slice run = slice_take(buf_peek(&from->in), 1 + sim_random(world->sim) % 5000);
        bool asks = to == relay->upstream.conn;
        if (asks && relay->asked + run.len <= world->bytes && sim_random(world->sim) % 4 == 0) {
            lend(relay, run);
        } else if (conn_put(to, run) != 0) {
            loop_arm(&world->loop, &relay->retry, RETRY_MS);
            break;
        }
        relay->asked += asks ? run.len : 0;
        buf_consume(&from->in, run.len);
        moved = true;
    }
    if (moved) {
        conn_touch(from);
        relay->progress_ms = world->loop.now_ms;
    }
    land(world, side);
    if (sim_random(world->sim) % 16 == 0) { /* pauses come and go */
        conn_pause(from);
        loop_arm(&world->loop, &relay->retry, RETRY_MS);
    }
}

static void
relay_run(struct task *task)
{
    struct relay *relay = container_of(task, struct relay, task);
    struct conn *client = relay->client.conn, *upstream = relay->upstream.conn;
    if (client->lost || upstream->lost) {
        relay->world->excused = true;
        relay_end(relay, true);
        return;
    }
    conn_resume(client);
    conn_resume(upstream);
    pump(relay, &relay->client, upstream);
    pump(relay, &relay->upstream, client);
    bool passed = relay->client.given == relay->client.placed, answered = relay->upstream.given == relay->upstream.placed;
    if ((upstream->ended && upstream->in.len == 0 && answered) || (client->ended && client->in.len == 0 && passed))
        relay_end(relay, false);
}

static void
relay_retry(struct deadline *deadline)
{
    struct relay *relay = container_of(deadline, struct relay, retry);
    loop_post(&relay->world->loop, &relay->task);
}

static void
relay_stuck(struct deadline *deadline)
{
    struct relay *relay = container_of(deadline, struct relay, stuck);
    struct loop *loop = &relay->world->loop;
    if (relay->progress_ms + STUCK_MS > loop->now_ms)
        wheel_arm(&loop->wheel, deadline, relay->progress_ms + STUCK_MS);
    else
        relay->world->stuck = true;
}

static void
notify(void *owner, struct conn *conn, unsigned notices)
{
    struct relay *relay = owner;
    (void)notices;
    assert_int_equal(conn->magic, MAGIC_CONN);
    loop_post(&relay->world->loop, &relay->task);
}

static void
accepted(struct listener *listener, int fd, const char *peer)
{
    struct world *world = listener->owner;
    struct relay *relay = calloc(1, sizeof(*relay));
    assert_non_null(relay);
    relay->world = world;
    relay->progress_ms = world->loop.now_ms;
    relay->next = world->relays;
    world->relays = relay;
    task_init(&relay->task, relay_run);
    deadline_init(&relay->retry, relay_retry);
    deadline_init(&relay->stuck, relay_stuck);
    loop_arm(&world->loop, &relay->stuck, STUCK_MS);
    assert_int_equal(conn_adopt(&world->loop, fd, NULL, peer, notify, relay, &relay->client.conn),
                     0);
    assert_int_equal(conn_open(&world->loop, &world->target, notify, relay, &relay->upstream.conn),
                     0);
    relay->client.conn->out_high = relay->upstream.conn->out_high = world->high;
    relay->client.conn->out_low = relay->upstream.conn->out_low = world->high / 2;
}

/* -- the peers
 * ------------------------------------------------------------------------------------------ */

static void
client_send(struct sim_peer *peer)
{
    struct world *world = sim_peer_user(peer);
    size_t n = 1 + sim_random(world->sim) % 4000;
    if (n > world->bytes - world->sent)
        n = world->bytes - world->sent;
    sim_peer_send(peer, slice_of(world->text + world->sent, n));
    world->sent += n;
    if (world->stops) {
        world->stopped = !world->stopped;
        sim_peer_stop_reading(peer, world->stopped);
    }
    if (world->sent == world->bytes && world->ending == UPSTREAM_PARTS && world->junk) {
        world->junk--;
        sim_peer_send(peer, SLICE_LIT("?")); /* and on it goes, unasked */
    }
    if (world->sent < world->bytes || world->junk || world->stopped)
        sim_peer_timer(peer, sim_random(world->sim) % 50);
}

static void
client_bytes(struct sim_peer *peer)
{
    struct world *world = sim_peer_user(peer);
    struct sink *in = sim_peer_in(peer);
    assert_true(in->len <= world->bytes);
    assert_true(memcmp(in->ptr + world->checked, world->text + world->checked,
                       in->len - world->checked) == 0);
    world->checked = in->len;
    if (in->len == world->bytes && world->ending == CLIENT_PARTS) {
        if (sim_random(world->sim) % 2)
            sim_peer_close(peer);
        else
            sim_peer_half_close(peer);
    }
}

static void
client_ended(struct sim_peer *peer)
{
    struct world *world = sim_peer_user(peer);
    world->client_ended = true;
    sim_peer_close(peer);
}

static void
client_reset(struct sim_peer *peer)
{
    struct world *world = sim_peer_user(peer);
    world->client_reset = !world->client_ended;
}

static void
upstream_bytes(struct sim_peer *peer)
{
    struct world *world = sim_peer_user(peer);
    struct sink *in = sim_peer_in(peer);
    size_t wanted = world->bytes - world->echoed, n = in->len < wanted ? in->len : wanted;
    if (world->upstream_ended)
        return;
    assert_true(memcmp(in->ptr, world->text + world->echoed, n) == 0);
    sim_peer_send(peer, slice_of(in->ptr, n));
    world->echoed += n;
    sink_drop_front(in, in->len);
    if (world->echoed == world->bytes && world->ending == UPSTREAM_PARTS) {
        world->upstream_ended = true;
        sim_peer_half_close(peer);
    }
}

static void
upstream_end(struct sim_peer *peer)
{
    sim_peer_close(peer);
}

static const struct sim_script client_script = {.opened = client_send,
                                                .bytes = client_bytes,
                                                .ended = client_ended,
                                                .reset = client_reset,
                                                .timer = client_send};
static const struct sim_script upstream_script = {.bytes = upstream_bytes, .ended = upstream_end};

/* -- one life
 * ------------------------------------------------------------------------------------------- */

static unsigned short
maybe(uint64_t *seed, unsigned short most)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    uint64_t high = *seed >> 33;
    return high % 3 ? 0 : (unsigned short)(high / 3 % most);
}

static struct sim_faults
draw_faults(uint64_t seed)
{
    struct sim_faults faults = {.short_read = maybe(&seed, 600),
                                .short_write = maybe(&seed, 600),
                                .again = maybe(&seed, 400),
                                .reset = maybe(&seed, 20),
                                .connect_refused = maybe(&seed, 200),
                                .connect_slow = maybe(&seed, 500),
                                .accept_fail = maybe(&seed, 300),
                                .late_event = maybe(&seed, 300),
                                .memory = maybe(&seed, 100)};
    faults.window = maybe(&seed, 2) ? 0 : 1 + (size_t)maybe(&seed, 500) * 13;
    return faults;
}

static size_t
narrowest(const struct world *world, const struct sim_faults *faults)
{
    const struct loop_limits *limits = &world->loop.limits;
    size_t least = world->high + 1;
    if (faults->window && faults->window < least)
        least = faults->window;
    if (limits->in_bytes_max < least)
        least = limits->in_bytes_max;
    if (limits->move_bytes_max < least)
        least = limits->move_bytes_max;
    return least;
}

static void
world_open(struct world *world, uint64_t seed, const struct sim_faults *faults)
{
    struct loop_limits limits;
    *world = (struct world){.sim = sim_new(seed, faults)};
    struct sim *sim = world->sim;
    loop_limits_default(&limits);
    limits.in_bytes_max = 1 + sim_random(sim) % (sim_random(sim) % 2 ? 300 : 30000);
    limits.move_bytes_max = 1 + sim_random(sim) % (sim_random(sim) % 2 ? 300 : 30000);
    limits.rounds_max = 1 + (int)(sim_random(sim) % 8);
    limits.chunks_max = 16 + sim_random(sim) % 100;
    limits.linger_bytes = 1000000;
    limits.flush_ms = 60000; /* the client may stop reading for a while */
    assert_int_equal(loop_init(&world->loop, &sim_ops, sim, &limits), 0);
    assert_int_equal(
        listener_open(&world->loop, &world->listener, sim_listen_fd(sim, 1), accepted, world), 0);
    world->target = (struct conn_target){.host = SLICE_LIT("upstream")};
    world->high = sim_random(sim) % 20000;
    world->bytes = 1 + sim_random(sim) % (sim_random(sim) % 2 ? 100 : BYTES_MAX);
    size_t most =
        narrowest(world, faults) * 50; /* byte after byte takes long and shows nothing more */
    if (world->bytes > most)
        world->bytes = most;
    world->ending = sim_random(sim) % 2 ? CLIENT_PARTS : UPSTREAM_PARTS;
    world->junk = sim_random(sim) % 20;
    world->stops = sim_random(sim) % 8 == 0;
    for (size_t i = 0; i < world->bytes; i++)
        world->text[i] = (char)sim_random(sim);
    sim_accept_on(sim, 2, &upstream_script, world, false);
    world->client = sim_connect(sim, 1, &client_script, world);
}

static void
world_close(struct world *world)
{
    listener_close(&world->listener);
    assert_int_equal(world->loop.conns, 0);
    assert_int_equal(sim_sockets_open(world->sim), 0);
    loop_fini(&world->loop); /* asserts that every chunk came back */
    while (world->relays) {
        struct relay *relay = world->relays;
        world->relays = relay->next;
        free(relay);
    }
    sim_free(world->sim);
}

static struct outcome {
    uint64_t ticks, whole, broken, bytes;
} total;

static bool
is_over(void *user)
{
    struct world *world = user;
    return world->stuck;
}

static void
live(uint64_t seed, const struct sim_faults *faults)
{
    static struct world world;
    world_open(&world, seed, faults);
    total.ticks += sim_run(world.sim, &world.loop, UINT64_C(600) * 1000000, is_over, &world);
    size_t got = sim_peer_in(world.client)->len;
    bool whole = got == world.bytes;
    bool may_break = faults->reset || faults->connect_refused || faults->accept_fail;
    if (world.stuck || (!whole && !may_break) || (world.client_reset && !may_break) ||
        (!whole && !world.excused && !world.client_reset)) {
        fail_msg(
            "PENSTOCK_SEED=%llu: stuck %d, %zu of %zu bytes, client reset %d, ending %d, lost %d",
            (unsigned long long)seed, world.stuck, got, world.bytes, world.client_reset,
            (int)world.ending, world.excused);
    }
    total.whole += whole;
    total.broken += !whole;
    total.bytes += got;
    world_close(&world);
}

static void
a_relay_lives_through_every_fault(void **state)
{
    (void)state;
    const char *one = getenv("PENSTOCK_SEED");
    total = (struct outcome){0};
    fake_names_reset();
    fake_name_add("upstream", "192.0.2.7", 2);
    for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1, n = 0; n < (one ? 1 : RUNS);
         n++, seed++) {
        struct sim_faults faults = draw_faults(seed);
        live(seed, &faults);
    }
    print_message("%d lives: %llu whole, %llu broken by faults, %llu ticks, %llu bytes\n", RUNS,
                  (unsigned long long)total.whole, (unsigned long long)total.broken,
                  (unsigned long long)total.ticks, (unsigned long long)total.bytes);
    if (!one) {
        assert_true(total.whole > RUNS / 2);
        assert_true(total.broken > RUNS / 100); /* or the faults never came */
    }
}

static void
the_same_seed_gives_the_same_life(void **state)
{
    (void)state;
    fake_names_reset();
    fake_name_add("upstream", "192.0.2.7", 2);
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_faults faults = draw_faults(seed);
        struct outcome first;
        total = (struct outcome){0};
        live(seed, &faults);
        first = total;
        total = (struct outcome){0};
        live(seed, &faults);
        assert_memory_equal(&first, &total, sizeof(total));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_life),
        cmocka_unit_test(a_relay_lives_through_every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
