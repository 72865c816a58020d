/* SPDX-License-Identifier: MIT
 *
 * test_life.c - the life of the gateway itself, in virtual time: draining, ending, a new
 * configuration, no memory. Each test is named for its requirement.
 */
#include "tests/sim/pairs.h"

#include "base/text.h"

static const struct tale flood = {.marker = "mark-1", .words = 1000, .padding = 1000};

static void
plan_flood(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 1000, .padding = 1000}, SIZE_MAX / 2, 0);
}

static void
plan_forever(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 400}, 400, 5000);
}

static void
sips(struct client *client)
{
    client_pause(client, 1000);
}

/* ---------------------------------------------------------------- the gateway itself */

static int
readiness(void)
{
    struct answer answer;
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    client_say(client, SLICE_LIT("GET /health/ready HTTP/1.1\r\nHost: g\r\n\r\n"));
    client_await(client, 1, 1000);
    assert_true(client_answer(client, 0, &answer));
    int status = answer.status;
    answer_fini(&answer);
    return status;
}

static void
r25_draining_lets_streams_end_and_then_stops(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, NULL);
    serves(WORLD_CHAT_PORT, plan_slow);
    struct client *idle = client_connect(&world, SPEAKS_CHAT),
                  *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 1500);
    assert_int_equal(readiness(), 200);
    world.gateway.draining = true;
    worker_drain(world.worker, false);
    world_run(&world, 100);
    assert_true(idle->ended);
    assert_int_equal(readiness(), 503);
    assert_false(world.worker->stop);
    struct client *late = asks(SPEAKS_CHAT, "chat", true);
    struct answer refusal;
    world_run(&world, 100);
    assert_true(client_answer(late, 0, &refusal));
    assert_int_equal(refusal.status, 503);
    answer_fini(&refusal);
    client_await(client, 1, 60000);
    client_expect(client, 0, 200, TOLD_WELL, NULL);
    client_expect_text(client, 0, &five);
    world_run(&world, 100);
    assert_true(client->ended);
    assert_true(world.worker->stop);
    world_close(&world);
}

static void
r25_what_does_not_end_in_time_ends_in_an_error(void **unused)
{
    (void)unused;
    for (int signals = 1; signals <= 2; signals++) {
        FOR_EACH_PAIR
        {
            world_open(&world, 1, NULL, "penstock:\n  timeouts: {shutdown: 20s}\n");
            serves(PORT_OF(pair), plan_forever);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            struct client *whole = asks(CLIENT_OF(pair), MODEL_OF(pair), false);
            world_run(&world, 12000);
            world.gateway.draining = true;
            worker_drain(world.worker, false);
            if (signals == 2)
                worker_drain(world.worker, true);
            world_run(&world, signals == 2 ? 100 : 19900);
            assert_int_equal(world.worker->stop, signals == 2);
            world_run(&world, 200);
            client_expect(client, 0, 200, TOLD_ERROR, "shutting_down");
            client_expect(whole, 0, 503 + 26 * (CLIENT_OF(pair) == SPEAKS_MESSAGES), TOLD_ERROR,
                          NULL);
            assert_true(world.worker->stop);
            world_close(&world);
        }
    }
}

/* A client that takes its last bytes slowly must not hold up a shutdown for ever. */
static void
r25_a_slow_client_does_not_stop_the_second_signal(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, NULL);
    serves(WORLD_CHAT_PORT, plan_flood);
    struct sim_faults narrow = {.window = 1000};
    sim_set_faults(world.sim, &narrow);
    asks(SPEAKS_CHAT, "chat", false)->heard = sips;
    world_run(&world, 20000);
    assert_int_equal(world_state(&world), STATE_FINISH);
    worker_drain(world.worker, false);
    world_run(&world, 20000);
    assert_int_equal(world_state(&world), STATE_FINISH);
    worker_drain(world.worker, true);
    world_run(&world, 6000);
    assert_int_equal(world_state(&world), STATE_CLOSED);
    assert_true(world.worker->stop);
    world_close(&world);
}

static void
r193_a_new_configuration_does_not_touch_running_streams(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, NULL);
    struct provider *old = serves(WORLD_CHAT_PORT, plan_slow),
                    *fresh = serves(WORLD_SPARE_PORT, plan_well);
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 1500);
    worker_take_generation(
        world.worker,
        world_generation("model_list:\n  - {model_name: chat, litellm_params: {model: "
                         "openai/moved, api_base: 'http://127.0.0.1:9003/v1', api_key: k}}\n"));
    world_run(&world, 100);
    struct client *later = asks(SPEAKS_CHAT, "chat", true);
    client_await(later, 1, 60000);
    client_expect(later, 0, 200, TOLD_WELL, NULL);
    assert_int_equal(fresh->requests, 1);
    client_await(client, 1, 60000);
    client_expect(client, 0, 200, TOLD_WELL, NULL);
    client_expect_text(client, 0, &five);
    assert_int_equal(old->requests, 1);
    client_ask(client, (struct asking){
                           .model = "chat",
                           .marker = "mark-1"}); /* the connection lives, its next request moves */
    client_await(client, 2, 60000);
    assert_int_equal(fresh->requests, 2);
    world_close(&world);
}

/* Forty streams in a pool of twenty chunks: some are refused or end in an error, all end, nobody
 * crashes. */
static void
r61_without_memory_streams_fail_one_by_one(void **unused)
{
    static struct client *clients[40];
    (void)unused;
    for (size_t chunks = 1; chunks < 40; chunks += 3) {
        world_open(&world, chunks, NULL, ONE_TRY);
        world.worker->loop.pool.chunks_max = chunks;
        serves(WORLD_CHAT_PORT, plan_flood);
        serves(WORLD_CLAUDE_PORT, plan_flood);
        for (int i = 0; i < 40; i++)
            clients[i] = asks(CLIENT_OF(i), MODEL_OF(i), i % 3 > 0);
        world_run(&world, 900 * 1000);
        for (int i = 0; i < 40; i++) {
            struct telling telling;
            client_told(clients[i], 0, &telling);
            assert_int_not_equal(telling.how, TOLD_WRONG);
            assert_true(client_finished(clients[i], 1));
            if (telling.how == TOLD_WELL)
                client_expect_text(clients[i], 0, &flood);
            telling_fini(&telling);
        }
        world_close(&world);
    }
}

/* One connection too many hears why, even when its request is on the way; a place that is free
 * again serves. */
static void
a_connection_over_the_limit_is_told_so(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, ONE_TRY "penstock:\n  limits: {connections: 2}\n");
    struct client *first = client_connect(&world, SPEAKS_CHAT),
                  *second = client_connect(&world, SPEAKS_CHAT);
    world_run(&world, 10);
    struct client *third = client_connect(&world, SPEAKS_CHAT);
    client_say(third, SLICE_LIT("GET /health HTTP/1.1\r\nHost: g\r\n\r\n"));
    world_run(&world, 5000);
    struct answer answer;
    assert_true(client_answer(third, 0, &answer));
    assert_int_equal(answer.status, 503);
    assert_true(text_find(sink_slice(&answer.body), SLICE_LIT("too_many_connections\"}}")) > 0);
    answer_fini(&answer);
    assert_true(third->ended);
    assert_int_equal(world.worker->metrics->rejected_connections, 1);
    client_reset(first);
    world_run(&world, 10);
    assert_int_equal(readiness(), 200);
    client_reset(second);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r25_draining_lets_streams_end_and_then_stops),
        cmocka_unit_test(r25_what_does_not_end_in_time_ends_in_an_error),
        cmocka_unit_test(r25_a_slow_client_does_not_stop_the_second_signal),
        cmocka_unit_test(r193_a_new_configuration_does_not_touch_running_streams),
        cmocka_unit_test(r61_without_memory_streams_fail_one_by_one),
        cmocka_unit_test(a_connection_over_the_limit_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
