/* SPDX-License-Identifier: MIT
 *
 * test_tries.c - one try after another, in virtual time: what is tried again and after what wait,
 * where else to try, which deployments rest. Each test is named for its requirement.
 */
#include "tests/sim/pairs.h"

/* ---------------------------------------------------------------- tries */

static void
plan_once_429(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    plan_status(visit, 429, "Retry-After: 3\r\n",
                "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}");
}

static void
plan_once_500(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    plan_status(visit, 500, "", "oops");
}

static void
plan_once_503(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    plan_status(visit, 503, "Connection: close\r\n", "{}");
}

static void
plan_once_reset(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    say_end(visit, STEP_RESET);
}

static void
plan_once_half(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    say_text(visit, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: "
                    "500\r\n\r\n: wait\n\n");
    say_end(visit, STEP_FIN);
}

static void
plan_once_error_event(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    plan_tale(visit, (struct tale){.words = 0, .end = TALE_ERROR_EVENT}, SIZE_MAX / 2, 0);
}

static void
plan_once_garbage(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    say_text(visit, "SSH-2.0-what\r\n\r\n");
}

static void
r32_failures_before_the_commit_point_are_tried_again(void **unused)
{
    static provider_plan *const plans[] = {plan_once_429,        plan_once_500,  plan_once_503,
                                           plan_once_reset,      plan_once_half, plan_once_garbage,
                                           plan_once_error_event};
    (void)unused;
    FOR_EACH_PAIR
    {
        for (size_t i = 0; i < countof(plans); i++) {
            for (int stream = 0; stream < 2; stream++) {
                if (plans[i] == plan_once_error_event && !stream &&
                    CLIENT_OF(pair) == (pair & 2 ? SPEAKS_MESSAGES : SPEAKS_CHAT))
                    continue; /* its object is not an error */
                world_open(&world, 1, NULL, NULL);
                struct provider *provider = serves(PORT_OF(pair), plans[i]);
                uint64_t before = world_ms(&world);
                struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
                client_await(client, 1, 60000);
                client_expect(client, 0, 200, TOLD_WELL, NULL);
                client_expect_text(client, 0, &five);
                assert_int_equal(provider->requests, 2);
                assert_int_equal(field_of(client, 0, "x-penstock-attempts"), 2);
                uint64_t least = plans[i] == plan_once_429
                                     ? 3000
                                     : 250; /* Retry-After, or half of the base and some */
                assert_in_range(client->heard_ms - before, least, least == 3000 ? 3100 : 520);
                world_close(&world);
            }
        }
    }
}

static void
plan_half_400(struct visit *visit)
{
    say_text(visit, "HTTP/1.1 400 No\r\nContent-Type: application/json\r\nContent-Length: "
                    "500\r\n\r\n{\"error\":{\"mess");
    wait_ms(visit, 10);
    say_end(visit, STEP_RESET);
}

/* What it was going to say is lost, that it refused is not. */
static void
r2_an_error_reply_cut_short_is_still_an_error_reply(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            world_open(&world, 1, NULL, NULL);
            struct provider *provider = serves(PORT_OF(pair), plan_half_400);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
            client_await(client, 1, 60000);
            client_expect(client, 0, 400, TOLD_ERROR, NULL);
            assert_int_equal(provider->requests, 1);
            world_close(&world);
        }
    }
}

static void
r32_a_refused_connection_is_tried_again(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, NULL);
    provider_refuse(world_provider(&world, WORLD_CHAT_PORT));
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 100);
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_well);
    client_await(client, 1, 60000);
    client_expect(client, 0, 200, TOLD_WELL, NULL);
    assert_int_equal(provider->requests, 1);
    world_close(&world);
}

static void
plan_429(struct visit *visit)
{
    plan_status(visit, 429, "Retry-After: 2\r\n",
                "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}");
}

static void
plan_400(struct visit *visit)
{
    plan_status(visit, 400, "",
                "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\"}}");
}

static void
r32_tries_end_and_the_last_status_is_told_at_once(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, "router_settings: {num_retries: 2, allowed_fails: 100}\n");
        struct provider *provider = serves(PORT_OF(pair), plan_429);
        uint64_t before = world_ms(&world);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client_await(client, 1, 60000);
        client_expect(client, 0, 429, TOLD_ERROR, NULL);
        assert_int_equal(provider->requests, 3);
        assert_int_equal(field_of(client, 0, "retry-after"), 2);
        assert_in_range(client->heard_ms - before, 4000,
                        4100); /* two waits, and none for a try that is not made */
        provider_serve(provider, plan_400);
        provider->requests = 0;
        client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client_await(client, 1, 60000);
        client_expect(client, 0, 400, TOLD_ERROR, NULL);
        assert_int_equal(provider->requests, 1); /* the caller's mistake stays one */
        world_close(&world);
    }
}

/* Patience is for the one who asked for it. */
static void
r32_another_deployment_is_not_kept_waiting(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, "router_settings: {routing_strategy: order}\n");
    struct provider *first = serves(WORLD_CHAT_PORT, plan_429),
                    *second = world_provider(&world, WORLD_SPARE_PORT);
    uint64_t before = world_ms(&world);
    struct client *client = asks(SPEAKS_CHAT, "pair", true);
    client_await(client, 1, 60000);
    client_expect(client, 0, 200, TOLD_WELL, NULL);
    assert_in_range(client->heard_ms - before, 250, 520);
    assert_int_equal(first->requests, 1);
    assert_int_equal(second->requests, 1);
    world_close(&world);
}

static void
plan_word_then_reset(struct visit *visit)
{
    say_first_part(visit, (struct tale){.words = 3}, 1, 2);
    wait_ms(visit, 100);
    say_end(visit, STEP_RESET);
}

static void
r32_after_the_commit_point_nothing_is_tried_again(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        struct provider *provider = serves(PORT_OF(pair), plan_word_then_reset);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client_await(client, 1, 60000);
        client_expect(client, 0, 200, TOLD_ERROR, "upstream_disconnected");
        world_run(&world, 10000);
        assert_int_equal(provider->requests, 1);
        world_close(&world);
    }
}

/* ---------------------------------------------------------------- where else to try */

static void
plan_500(struct visit *visit)
{
    plan_status(visit, 500, "", "{\"error\":{\"message\":\"broken\",\"type\":\"server_error\"}}");
}

static void
plan_full_window(struct visit *visit)
{
    plan_status(visit, 400, "",
                "{\"error\":{\"message\":\"maximum context length is 10 "
                "tokens\",\"type\":\"invalid_request_error\","
                "\"code\":\"context_length_exceeded\"}}");
}

static void
r32_fallbacks_are_tried_in_order_and_never_in_circles(void **unused)
{
    (void)unused;
    for (int all_fail = 0; all_fail < 2; all_fail++) {
        world_open(&world, 1, NULL,
                   "router_settings: {num_retries: 0, fallbacks: [{chat: [claude, spare]}, {spare: "
                   "[chat]}]}\n");
        struct provider *first = serves(WORLD_CHAT_PORT, plan_500),
                        *second = serves(WORLD_CLAUDE_PORT, plan_500);
        struct provider *third = serves(WORLD_SPARE_PORT, all_fail ? plan_500 : plan_well);
        struct client *client = asks(SPEAKS_CHAT, "chat", true);
        client_await(client, 1, 60000);
        client_expect(client, 0, all_fail ? 500 : 200, all_fail ? TOLD_ERROR : TOLD_WELL, NULL);
        assert_int_equal(first->requests, 1);
        assert_int_equal(second->requests, 1);
        assert_int_equal(third->requests, 1);
        assert_int_equal(field_of(client, 0, "x-penstock-attempts"), 3);
        world_close(&world);
    }
}

static void
r32_a_full_window_walks_its_own_fallbacks(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL,
                   "router_settings: {fallbacks: [{chat: [spare]}, {claude: [spare]}], "
                   "context_window_fallbacks: [{chat: [claude]}, {claude: [chat]}]}\n");
        struct provider *small = serves(PORT_OF(pair), plan_full_window),
                        *spare = world_provider(&world, WORLD_SPARE_PORT);
        struct provider *large =
            world_provider(&world, pair & 2 ? WORLD_CHAT_PORT : WORLD_CLAUDE_PORT);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), pair & 1);
        client_await(client, 1, 60000);
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        assert_int_equal(small->requests,
                         1); /* a longer prompt does not become shorter by trying again */
        assert_int_equal(large->requests, 1);
        assert_int_equal(spare->requests, 0);
        world_close(&world);
    }
}

static void
r32_a_failing_deployment_rests(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL,
               "router_settings: {routing_strategy: order, allowed_fails: 2, cooldown_time: 30}\n");
    struct provider *first = serves(WORLD_CHAT_PORT, plan_500),
                    *second = world_provider(&world, WORLD_SPARE_PORT);
    for (uint32_t i = 0; i < 6; i++) {
        struct client *client = asks(SPEAKS_CHAT, "pair", true);
        client_await(client, 1, 60000);
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        assert_int_equal(field_of(client, 0, "x-penstock-attempts"), i < 3 ? 2 : 1);
    }
    assert_int_equal(first->requests, 3); /* two were allowed, the third sent it to rest */
    assert_int_equal(second->requests, 6);
    provider_serve(first, plan_well);
    world_run(&world, 61000); /* the minute of its failures is over as well */
    struct client *client = asks(SPEAKS_CHAT, "pair", true);
    client_await(client, 1, 60000);
    assert_int_equal(first->requests, 4);
    world_close(&world);
}

static void
r33_when_every_deployment_rests_the_client_is_told_when_to_come_back(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL,
               "router_settings: {num_retries: 0, allowed_fails: 0, cooldown_time: 30}\n");
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_500);
    client_await(asks(SPEAKS_CHAT, "chat", true), 1, 60000);
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    client_await(client, 1, 60000);
    client_expect(client, 0, 503, TOLD_ERROR, "no_upstream_available");
    assert_true(field_of(client, 0, "retry-after") <= 30);
    assert_int_equal(provider->requests, 1);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r32_failures_before_the_commit_point_are_tried_again),
        cmocka_unit_test(r2_an_error_reply_cut_short_is_still_an_error_reply),
        cmocka_unit_test(r32_a_refused_connection_is_tried_again),
        cmocka_unit_test(r32_tries_end_and_the_last_status_is_told_at_once),
        cmocka_unit_test(r32_another_deployment_is_not_kept_waiting),
        cmocka_unit_test(r32_after_the_commit_point_nothing_is_tried_again),
        cmocka_unit_test(r32_fallbacks_are_tried_in_order_and_never_in_circles),
        cmocka_unit_test(r32_a_full_window_walks_its_own_fallbacks),
        cmocka_unit_test(r32_a_failing_deployment_rests),
        cmocka_unit_test(r33_when_every_deployment_rests_the_client_is_told_when_to_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
