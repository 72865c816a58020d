/* SPDX-License-Identifier: MIT
 *
 * test_scenarios.c - what clients must see and must be able to do, in virtual time: deadlines,
 * keep-alives, back-pressure, leaving, half-closing, many requests. Each test is named for its
 * requirement.
 */
#include "tests/sim/pairs.h"

/* ---------------------------------------------------------------- deadlines */

static void
plan_forever(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 400}, 400, 5000);
}

static void
r17_a_stream_that_never_ends_is_ended_after_600_seconds(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        struct provider *provider = serves(PORT_OF(pair), plan_forever);
        uint64_t before = world_ms(&world);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client_await(client, 1, 700 * 1000);
        assert_in_range(client->heard_ms - before, 600000, 600100);
        client_expect(client, 0, 200, TOLD_ERROR, "request_timeout");
        world_run(&world, 100);
        assert_int_equal(provider->live, 0);
        world_close(&world);
    }
}

static void
plan_one_word(struct visit *visit)
{
    say_first_part(visit, (struct tale){.words = 3}, 1, 2);
}

/* Four deadlines, four codes; a half-open upstream is found by the third (R18). */
static void
r17_r18_each_deadline_has_its_own_code(void **unused)
{
    static const char yaml[] =
        ONE_TRY "penstock:\n  timeouts: {request: 100s, connect: 3s, first_byte: 7s, idle: 20s}\n";
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            world_open(&world, 1, NULL, yaml);
            sim_black_hole(world.sim, PORT_OF(pair));
            uint64_t before = world_ms(&world);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
            client_await(client, 1, 200 * 1000);
            assert_in_range(client->heard_ms - before, 3000, 3010);
            client_expect(client, 0, 504, TOLD_ERROR,
                          CLIENT_OF(pair) == SPEAKS_CHAT ? "upstream_connect_timeout" : NULL);

            struct provider *provider = serves(PORT_OF(pair), plan_silent);
            before = world_ms(&world);
            client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
            client_await(client, 1, 200 * 1000);
            assert_in_range(client->heard_ms - before, 7000, 7010);
            client_expect(client, 0, 504, TOLD_ERROR,
                          CLIENT_OF(pair) == SPEAKS_CHAT ? "upstream_timeout" : NULL);

            provider_serve(provider, plan_one_word);
            before = world_ms(&world);
            client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            client_await(client, 1, 200 * 1000);
            assert_in_range(client->heard_ms - before, 20000, 20010);
            client_expect(client, 0, 200, TOLD_ERROR, "upstream_idle_timeout");
            world_close(&world);
        }
    }
}

/* ---------------------------------------------------------------- early commit, keep-alives */

static void
plan_late(struct visit *visit)
{
    wait_ms(visit, 35000);
    plan_well(visit);
}

static void
plan_late_error(struct visit *visit)
{
    wait_ms(visit, 35000);
    plan_status(
        visit, 529, "",
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}");
}

static void
r78_after_ten_silent_seconds_a_stream_is_committed(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int fails = 0; fails < 2; fails++) {
            world_open(&world, 1, NULL, NULL);
            struct provider *provider = serves(PORT_OF(pair), fails ? plan_late_error : plan_late);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            world_run(&world, 9990);
            assert_int_equal(client_heard(client).len, 0);
            world_run(&world, 20);
            assert_true(slice_starts(client_heard(client), SLICE_LIT("HTTP/1.1 200 ")));
            client_await(client, 1, 60000);
            client_expect(client, 0, 200, fails ? TOLD_ERROR : TOLD_WELL, NULL);
            if (!fails)
                client_expect_text(client, 0, &five);
            assert_int_equal(provider->requests, 1); /* after the commit nothing is tried again */
            world_close(&world);
        }
    }
}

static void
r78_whole_replies_wait_without_a_byte(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        serves(PORT_OF(pair), plan_late);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), false);
        world_run(&world, 34900);
        assert_int_equal(client_heard(client).len, 0);
        client_await(client, 1, 60000);
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        client_expect_text(client, 0, &five);
        world_close(&world);
    }
}

static void
plan_sleepy(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 5}, 600, 55000);
}

static int
count_keepalives(struct client *client)
{
    struct telling telling;
    client_told(client, 0, &telling);
    int count = telling.pings + telling.comments;
    if (client->dialect == SPEAKS_CHAT)
        assert_int_equal(telling.pings, 0);
    telling_fini(&telling);
    return count;
}

static void
r16_silence_is_broken_every_ten_seconds_for_the_whole_life(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        serves(PORT_OF(pair), plan_sleepy);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        size_t heard = 0;
        bool begun = false;
        while (!client_finished(client, 1)) {
            world_run(&world, 10100);
            size_t now = client_heard(client).len;
            if (begun || now)
                assert_true(now > heard); /* never more than ten seconds of silence */
            begun = begun || now;
            heard = now;
        }
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        client_expect_text(client, 0, &five);
        assert_true(count_keepalives(client) >= 5);
        world_close(&world);
    }
}

/* ---------------------------------------------------------------- slow clients */

static void
plan_flood(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 1000, .padding = 1000}, SIZE_MAX / 2, 0);
}

static const struct tale flood = {.marker = "mark-1", .words = 1000, .padding = 1000};

static void
r14_a_client_that_stalls_and_resumes_gets_every_byte(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            world_open(&world, 1, NULL, NULL);
            serves(PORT_OF(pair), plan_flood);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
            for (int i = 0; i < 20; i++) {
                client_stop_reading(client, true);
                world_run(&world, 4000);
                client_stop_reading(client, false);
                world_run(&world, 2);
            }
            client_await(client, 1, 60000);
            client_expect(client, 0, 200, TOLD_WELL, NULL);
            client_expect_text(client, 0, &flood);
            assert_int_equal(stream == 0, world.worker->metrics->backpressure == 0);
            world_close(&world);
        }
    }
}

/* What the window holds, then nothing for a second. */
static void
sips(struct client *client)
{
    client_pause(client, 1000);
}

static void
plan_brook(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 100, .padding = 1000}, SIZE_MAX / 2, 0);
}

static void
r14_a_slow_client_is_not_a_dead_one(void **unused)
{
    struct sim_faults narrow = {.window = 1000};
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL,
                   "penstock:\n  timeouts: {drain: 2s}\n  limits: {queue: 16KiB}\n");
        serves(PORT_OF(pair), plan_brook);
        sim_set_faults(world.sim, &narrow);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client->heard = sips;
        uint64_t before = world_ms(&world);
        size_t memory = 0;
        while (!client_finished(client, 1)) {
            world_run(&world, 500);
            struct pool *pool = &world.worker->loop.pool;
            memory = pool->chunks_used > memory ? pool->chunks_used : memory;
        }
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        client_expect_text(client, 0,
                           &(struct tale){.marker = "mark-1", .words = 100, .padding = 1000});
        assert_true(world_ms(&world) - before > 100000); /* it was slow indeed */
        assert_int_equal(world.worker->metrics->drain_timeouts, 0);
        assert_true(memory * CHUNK_BYTES <
                    150 * 1024); /* queue, input and what one run expands to */
        world_close(&world);
    }
}

static void
r15_only_a_client_that_acknowledges_nothing_is_dropped(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            world_open(&world, 1, NULL, NULL);
            struct provider *provider = serves(PORT_OF(pair), plan_flood);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
            client_stop_reading(client, true);
            world_run(&world, 4500);
            assert_int_equal(world.worker->metrics->drain_timeouts, 0);
            world_run(&world, 15000);
            assert_true(world.worker->metrics->drain_timeouts > 0);
            if (stream)
                assert_int_equal(provider->live, 0); /* nobody pays for what nobody reads */
            assert_int_equal(world.worker->stream_count, 0);
            world_close(&world);
        }
    }
}

/* ---------------------------------------------------------------- leaving and half-closing */

static void
plan_half_whole(struct visit *visit)
{
    say_text(visit, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                    "1000\r\n\r\n{\"id\":");
}

/* A client that leaves while its exchange is in this state; the upstream must be let go within 100
 * ms. */
static void
leave_in(enum stream_state state, int pair, bool by_reset)
{
    world_open(&world, 1, NULL, NULL);
    struct provider *provider = world_provider(&world, PORT_OF(pair));
    struct client *client = client_connect(&world, CLIENT_OF(pair));
    struct asking asking = {
        .model = MODEL_OF(pair), .marker = "mark-1", .stream = state != STATE_COLLECT};
    provider_plan *plans[STATE_COUNT] = {[STATE_SEND] = plan_silent,
                                         [STATE_AWAIT] = plan_silent,
                                         [STATE_COLLECT] = plan_half_whole,
                                         [STATE_RELAY] = plan_one_word,
                                         [STATE_STALL] = plan_flood};
    provider_serve(provider, plans[state]);
    provider->deaf = state == STATE_SEND;
    if (state == STATE_SEND)
        asking.padding = 700000;
    client_stop_reading(client, state == STATE_STALL);
    client_ask(client, asking);
    world_run(&world, 3000);
    assert_int_equal(world_state(&world), state);
    assert_int_equal(provider->live, 1);
    uint64_t left_us = sim_now_us(world.sim);
    if (by_reset)
        client_reset(client);
    else
        client_leave(client);
    client_stop_reading(client, false);
    world_run(&world, 200);
    assert_int_equal(provider->live, 0);
    assert_true(provider->last_gone_us - left_us <= 100 * 1000);
    assert_int_equal(world.worker->stream_count, 0);
    assert_int_equal(world.worker->metrics->upstream_cancels, 1);
    assert_int_equal(world.worker->metrics->ends[END_CLIENT_CLOSE], 1);
    world_close(&world);
}

static void
r12_a_client_that_leaves_takes_its_upstream_with_it(void **unused)
{
    static const enum stream_state states[] = {STATE_SEND, STATE_AWAIT, STATE_COLLECT, STATE_RELAY,
                                               STATE_STALL};
    (void)unused;
    for (size_t i = 0; i < countof(states); i++) {
        FOR_EACH_PAIR
        {
            leave_in(states[i], pair, true);
            leave_in(states[i], pair, false);
        }
    }
}

/* FIN may come in the same packet as the request: nobody would hear of it again. */
static void
r12_a_client_that_asks_and_leaves_at_once(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            world_open(&world, 1, NULL, NULL);
            struct provider *provider = serves(PORT_OF(pair), plan_silent);
            asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
            client_leave(world.clients);
            world_run(&world, 150);
            assert_int_equal(provider->live, 0);
            assert_int_equal(world.worker->stream_count, 0);
            world_close(&world);
        }
    }
}

/* What it sent ahead is not received yet, and its FIN stands behind that: gone, or half-closed and waiting for two answers. */
static void
sent_ahead(int pair, bool stream, bool leaves)
{
    struct sink out;
    world_open(&world, 1, NULL, NULL);
    struct provider *provider = serves(PORT_OF(pair), leaves ? plan_silent : plan_slow);
    struct client *client = client_connect(&world, CLIENT_OF(pair));
    sink_init(&out, SIZE_MAX / 2);
    asking_put(client, &(struct asking){.model = MODEL_OF(pair), .marker = "mark-1", .stream = stream}, &out);
    asking_put(client, &(struct asking){.model = MODEL_OF(pair), .marker = "mark-2", .stream = stream, .padding = 20000}, &out);
    client_say_paced(client, sink_slice(&out), out.len, 0);
    world_run(&world, 1000);
    assert_int_equal(provider->live, 1);
    assert_true(world.worker->loop.pool.chunks_used <= 2); /* that is all that is held of it */
    uint64_t left_us = sim_now_us(world.sim);
    if (leaves) {
        client_leave(client);
        world_run(&world, 200);
        assert_int_equal(provider->live, 0);
        assert_true(provider->last_gone_us - left_us <= 100 * 1000);
        assert_int_equal(world.worker->stream_count, 0);
    } else {
        client_half_close(client);
        client_await(client, 2, 60000);
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        client_expect(client, 1, 200, TOLD_WELL, NULL);
    }
    sink_fini(&out);
    world_close(&world);
}

static void
r12_a_client_that_sent_ahead_and_leaves(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int what = 0; what < 4; what++)
            sent_ahead(pair, what & 1, what & 2);
    }
}

static void
r13_a_half_closed_client_gets_everything(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            for (uint64_t after_ms = 0; after_ms < 3000; after_ms += 700) {
                world_open(&world, 1, NULL, NULL);
                serves(PORT_OF(pair), plan_slow);
                struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
                if (after_ms)
                    world_run(&world, after_ms);
                client_half_close(client);
                client_await(client, 1, 60000);
                client_expect(client, 0, 200, TOLD_WELL, NULL);
                client_expect_text(client, 0, &five);
                world_run(&world, 10);
                assert_true(client->ended); /* and then the gateway says goodbye too */
                world_close(&world);
            }
        }
    }
}

static void
plan_refuses(struct visit *visit)
{
    wait_ms(visit, 500);
    plan_status(visit, 403, "", "{\"error\":{\"message\":\"no\",\"type\":\"permission_error\"}}");
}

static void
r2_a_half_closed_client_still_gets_the_real_status(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        serves(PORT_OF(pair), plan_refuses);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client_half_close(client);
        client_await(client, 1, 60000);
        client_expect(client, 0, 403, TOLD_ERROR, NULL);
        world_close(&world);
    }
}

/* ---------------------------------------------------------------- one connection, many requests */

static void
plan_third_fails(struct visit *visit)
{
    if (visit->provider->requests == 3)
        plan_tale(visit, (struct tale){.words = 2, .end = TALE_ERROR_EVENT}, SIZE_MAX / 2, 0);
    else
        plan_well(visit);
}

static void
r19_five_requests_in_a_row_the_third_failing(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        serves(PORT_OF(pair), plan_third_fails);
        struct client *client = client_connect(&world, CLIENT_OF(pair));
        for (uint32_t i = 0; i < 5; i++) {
            client_ask(client, (struct asking){
                                   .model = MODEL_OF(pair), .marker = "mark-1", .stream = true});
            client_await(client, i + 1, 60000);
            client_expect(client, i, 200, i == 2 ? TOLD_ERROR : TOLD_WELL, NULL);
        }
        assert_false(client_over(client));
        assert_int_equal(world.worker->metrics->client_connections, 1);
        world_close(&world);
    }
}

static void
r36_pipelined_requests_are_answered_in_order(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, NULL);
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    struct sink out;
    char markers[6][16];
    sink_init(&out, SIZE_MAX / 2);
    for (int i = 0; i < 6; i++) {
        snprintf(markers[i], sizeof markers[i], "mark-%d", i);
        asking_put(client,
                   &(struct asking){.model = i & 1 ? "claude" : "chat",
                                    .marker = markers[i],
                                    .stream = i % 3 > 0,
                                    .chunked = i % 2},
                   &out);
    }
    client_say_paced(client, sink_slice(&out), 37, 3);
    client_await(client, 6, 60000);
    for (uint32_t i = 0; i < 6; i++) {
        client_expect(client, i, 200, TOLD_WELL, NULL);
        client_expect_text(client, i, &(struct tale){.marker = markers[i], .words = 5});
    }
    sink_fini(&out);
    world_close(&world);
}

static void
r22_a_body_over_the_limit_is_a_413_in_both_framings(void **unused)
{
    (void)unused;
    for (int dialect = 0; dialect < 2; dialect++) {
        for (int chunked = 0; chunked < 2; chunked++) {
            world_open(&world, 1, NULL, "penstock:\n  limits: {body: 64KiB}\n");
            struct client *client = client_connect(&world, (enum dialect_spoken)dialect);
            client_ask(client,
                       (struct asking){.model = "chat", .padding = 65000, .chunked = chunked});
            client_await(client, 1, 60000);
            client_expect(client, 0, 200, TOLD_WELL, NULL);
            client_ask(client,
                       (struct asking){.model = "chat", .padding = 300000, .chunked = chunked});
            client_await(client, 2, 60000);
            client_expect(client, 1, 413, TOLD_ERROR,
                          dialect == SPEAKS_CHAT ? "request_too_large" : NULL);
            world_run(&world, 5000);
            assert_true(client->ended || client->reset);
            world_close(&world);
        }
    }
}

static void
r36_an_http10_client_gets_its_stream_until_the_end(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        struct client *client = client_connect(&world, CLIENT_OF(pair));
        client_ask(client, (struct asking){.model = MODEL_OF(pair),
                                           .marker = "mark-1",
                                           .stream = true,
                                           .http10 = true});
        client_await(client, 1, 60000);
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        client_expect_text(client, 0, &five);
        assert_true(client->ended);
        world_close(&world);
    }
}

static void
r20_a_hundred_streams_do_not_mix(void **unused)
{
    static struct client *clients[100];
    static char markers[100][16];
    (void)unused;
    world_open(&world, 1, NULL, NULL);
    serves(WORLD_CHAT_PORT, plan_slow);
    serves(WORLD_CLAUDE_PORT, plan_slow);
    for (int i = 0; i < 100; i++) {
        snprintf(markers[i], sizeof markers[i], "mark-%d", i);
        clients[i] = client_connect(&world, CLIENT_OF(i));
        client_ask(
            clients[i],
            (struct asking){.model = MODEL_OF(i), .marker = markers[i], .stream = i % 5 > 0});
    }
    for (int i = 0; i < 100; i++) {
        client_await(clients[i], 1, 60000);
        client_expect(clients[i], 0, 200, TOLD_WELL, NULL);
        client_expect_text(clients[i], 0, &(struct tale){.marker = markers[i], .words = 5});
    }
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r17_a_stream_that_never_ends_is_ended_after_600_seconds),
        cmocka_unit_test(r17_r18_each_deadline_has_its_own_code),
        cmocka_unit_test(r78_after_ten_silent_seconds_a_stream_is_committed),
        cmocka_unit_test(r78_whole_replies_wait_without_a_byte),
        cmocka_unit_test(r16_silence_is_broken_every_ten_seconds_for_the_whole_life),
        cmocka_unit_test(r14_a_client_that_stalls_and_resumes_gets_every_byte),
        cmocka_unit_test(r14_a_slow_client_is_not_a_dead_one),
        cmocka_unit_test(r15_only_a_client_that_acknowledges_nothing_is_dropped),
        cmocka_unit_test(r12_a_client_that_leaves_takes_its_upstream_with_it),
        cmocka_unit_test(r12_a_client_that_asks_and_leaves_at_once),
        cmocka_unit_test(r12_a_client_that_sent_ahead_and_leaves),
        cmocka_unit_test(r13_a_half_closed_client_gets_everything),
        cmocka_unit_test(r2_a_half_closed_client_still_gets_the_real_status),
        cmocka_unit_test(r19_five_requests_in_a_row_the_third_failing),
        cmocka_unit_test(r36_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(r22_a_body_over_the_limit_is_a_413_in_both_framings),
        cmocka_unit_test(r36_an_http10_client_gets_its_stream_until_the_end),
        cmocka_unit_test(r20_a_hundred_streams_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
