/* SPDX-License-Identifier: MIT
 *
 * test_promises.c - things that were once broken or forgotten: small promises of the configuration and the metrics, each
 * held in a world of its own.
 */
#include "tests/sim/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define CHAT_MODEL "{model_name: own, litellm_params: {model: openai/up, api_base: 'http://127.0.0.1:9001/v1', api_key: sk-upstream-secret"
#define SPARE_MODEL "{model_name: own, litellm_params: {model: openai/other, api_base: 'http://127.0.0.1:9003/v1', api_key: sk-upstream-secret"

static uint64_t
figure(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static bool
contains(struct slice text, const char *what)
{
    return text.len && memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

static struct client *
ask(struct world *world, struct asking asking)
{
    struct client *client = client_connect(world, SPEAKS_CHAT);
    if (!asking.marker)
        asking.marker = "mark-1";
    client_ask(client, asking);
    return client;
}

/* ---------------------------------------------------------------- times */

static void
plan_flood_then_rest(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 1000, .padding = 1000}, SIZE_MAX / 2, 0);
    visit->step_count = 0; /* said in our own way: all but the end, a long rest, the end */
    struct slice all = sink_slice(&visit->bytes);
    size_t most = all.len - 300;
    visit->step_count = 3;
    visit->steps[0] = (struct step){STEP_SEND, most};
    visit->steps[1] = (struct step){STEP_WAIT, 60000};
    visit->steps[2] = (struct step){STEP_SEND, all.len - most};
    say_end(visit, STEP_NEXT);
}

static void
test_keepalives_go_on_after_a_stall(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, "penstock: {timeouts: {keepalive: 2s, drain: 60s}}\n");
    provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_flood_then_rest);
    struct client *client = ask(&world, (struct asking){.model = "chat", .stream = true});
    client_stop_reading(client, true);
    world_run(&world, 10000); /* the keep-alive comes due while the stream is stalled */
    assert_int_equal(world_state(&world), STATE_STALL);
    client_stop_reading(client, false);
    client_await(client, 1, 120000);
    client_expect(client, 0, 200, TOLD_WELL, NULL);
    assert_in_range(figure(&world.worker->metrics->keepalives), 15, 40);
    world_close(&world);
}

static void
test_request_timeout_of_a_model(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL,
               "model_list:\n"
               "  - " CHAT_MODEL ", timeout: 30}}\n"
               "  - {model_name: chat, litellm_params: {model: openai/up, api_base: 'http://127.0.0.1:9001/v1', timeout: 900}}\n"
               "penstock: {timeouts: {request: 60s, first_byte: 1h, idle: 1h}}\n");
    provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_silent);
    struct client *client = ask(&world, (struct asking){.model = "own"});
    client_await(client, 1, 40000);
    client_expect(client, 0, 504, TOLD_ERROR, "request_timeout");
    client = ask(&world, (struct asking){.model = "chat"});
    world_run(&world, 800000);
    assert_int_equal(client_heard(client).len, 0);
    client_await(client, 1, 110000);
    client_expect(client, 0, 504, TOLD_ERROR, "request_timeout");
    world_close(&world);
}

static void
test_commit_time_of_a_model(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL,
               "model_list:\n"
               "  - " CHAT_MODEL "}, penstock: {timeouts: {commit: 3s}}}\n"
               "  - {model_name: late, litellm_params: {model: openai/up, api_base: 'http://127.0.0.1:9001/v1'}, penstock: {timeouts: {commit: 40s}}}\n");
    provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_silent);
    struct client *early = ask(&world, (struct asking){.model = "own", .stream = true});
    struct client *late = ask(&world, (struct asking){.model = "late", .stream = true});
    world_run(&world, 2500);
    assert_int_equal(client_heard(early).len, 0);
    world_run(&world, 1000);
    assert_true(contains(client_heard(early), "200 OK"));
    world_run(&world, 30000);
    assert_int_equal(client_heard(late).len, 0);
    world_run(&world, 10000);
    assert_true(contains(client_heard(late), "200 OK"));
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalives_go_on_after_a_stall),
        cmocka_unit_test(test_request_timeout_of_a_model),
        cmocka_unit_test(test_commit_time_of_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
