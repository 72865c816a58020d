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
#include <stdlib.h>

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
plan_a_word_each_700_ms(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 8}, 150, 700);
}

/* Stopped in the middle of streams, for longer than anybody may be silent: what was said meanwhile is heard before it is judged. */
static void
test_nobody_is_silent_whom_nobody_listened_to(void **state)
{
    struct world world;
    struct client *clients[8];
    (void)state;
    for (unsigned batch = 0; batch < 3; batch++) {
        for (uint64_t more_us = 0; more_us <= 20000; more_us += 5000) {
            world_open(&world, 1, &(struct sim_faults){.batch = batch}, "penstock: {timeouts: {idle: 1s}}\n");
            provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_a_word_each_700_ms);
            for (size_t i = 0; i < countof(clients); i++)
                clients[i] = ask(&world, (struct asking){.model = "chat", .stream = true});
            world_run(&world, 1500);
            sim_freeze(world.sim, 1900000, more_us);
            for (size_t i = 0; i < countof(clients); i++) {
                client_await(clients[i], 1, 60000);
                client_expect(clients[i], 0, 200, TOLD_WELL, NULL);
            }
            world_close(&world);
        }
    }
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

/* ---------------------------------------------------------------- secrets */

static void
plan_tells_the_key(struct visit *visit)
{
    plan_status(visit, 401, "x-request-id: sk-upstream-secret\r\n",
                "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"Incorrect key sk-upstream-secret, "
                "and extra-secret too\",\"code\":null,\"param\":null}}");
}

static void
plan_tells_the_key_in_the_stream(struct visit *visit)
{
    say_text(visit, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
                    "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"
                    "\"delta\":{\"role\":\"assistant\",\"content\":\"x\"},\"finish_reason\":null}]}\n\n"
                    "data: {\"error\":{\"message\":\"key sk-upstream-secret expired\",\"type\":\"server_error\",\"code\":null}}\n\n");
    say_end(visit, STEP_FIN);
}

static void
test_keys_that_upstreams_repeat(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL,
               "model_list:\n  - " CHAT_MODEL ", extra_headers: {X-Other-Key: extra-secret}}}\n"
               "  - {model_name: claude, litellm_params: {model: anthropic/up, api_base: 'http://127.0.0.1:9002', api_key: sk-upstream-secret}}\n"
               "router_settings: {num_retries: 0}\n");
    for (int i = 0; i < 4; i++) {
        provider_serve(world_provider(&world, i & 1 ? WORLD_CLAUDE_PORT : WORLD_CHAT_PORT), plan_tells_the_key);
        struct client *client = client_connect(&world, i & 2 ? SPEAKS_MESSAGES : SPEAKS_CHAT);
        client_ask(client, (struct asking){.model = i & 1 ? "claude" : "own", .marker = "mark-1"});
        client_await(client, 1, 10000);
        client_expect(client, 0, 401, TOLD_ERROR, NULL);
        assert_true(contains(client_heard(client), "Incorrect key ******************, and"));
        assert_false(contains(client_heard(client), "sk-upstream-secret"));
        assert_int_equal(contains(client_heard(client), "extra-secret"), i & 1);
    }
    provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_tells_the_key_in_the_stream);
    struct client *client = ask(&world, (struct asking){.model = "own", .stream = true});
    client_await(client, 1, 10000);
    client_expect(client, 0, 200, TOLD_ERROR, NULL);
    assert_true(contains(client_heard(client), "key ****************** expired"));
    assert_false(contains(client_heard(client), "sk-upstream-secret"));
    world_close(&world);
}

static void
say_with_fields(struct world *world, const char *fields, int status)
{
    struct client *client = ask(world, (struct asking){.model = "chat", .fields = fields});
    client_await(client, 1, 10000);
    client_expect(client, 0, status, status == 200 ? TOLD_WELL : TOLD_ERROR, NULL);
}

static void
test_either_of_two_credentials(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, "general_settings: {master_key: sk-master-key}\n");
    say_with_fields(&world, "", 401);
    say_with_fields(&world, "Authorization: Bearer sk-master-key\r\n", 200);
    say_with_fields(&world, "x-api-key: sk-master-key\r\n", 200);
    say_with_fields(&world, "Authorization: Bearer something-else\r\nx-api-key: sk-master-key\r\n", 200);
    say_with_fields(&world, "Authorization: Bearer sk-master-key\r\nx-api-key: something-else\r\n", 200);
    say_with_fields(&world, "Authorization: Bearer something-else\r\nx-api-key: something-else\r\n", 401);
    say_with_fields(&world, "Authorization: sk-master-key\r\n", 401);
    world_close(&world);
}

/* ---------------------------------------------------------------- tries */

static void
plan_unavailable(struct visit *visit)
{
    plan_status(visit, 503, "", "{}");
}

static void
plan_bad_request(struct visit *visit)
{
    plan_status(visit, 400, "", "{}");
}

static void
expect_tries(const char *yaml, uint32_t first, uint32_t second)
{
    struct world world;
    world_open(&world, 1, NULL, yaml);
    provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_unavailable);
    provider_serve(world_provider(&world, WORLD_SPARE_PORT), plan_unavailable);
    struct client *client = ask(&world, (struct asking){.model = "own"});
    client_await(client, 1, 300000);
    client_expect(client, 0, 503, TOLD_ERROR, NULL);
    assert_int_equal(world_provider(&world, WORLD_CHAT_PORT)->requests, first);
    assert_int_equal(world_provider(&world, WORLD_SPARE_PORT)->requests, second);
    world_close(&world);
}

static void
test_tries_of_a_model(void **state)
{
    (void)state;
    expect_tries("model_list:\n  - " CHAT_MODEL "}}\nrouter_settings: {num_retries: 2, allowed_fails: 100}\n", 3, 0);
    expect_tries("model_list:\n  - " CHAT_MODEL ", max_retries: 4}}\nrouter_settings: {num_retries: 2, allowed_fails: 100}\n", 5, 0);
    expect_tries("model_list:\n  - " CHAT_MODEL ", max_retries: 0}}\nrouter_settings: {num_retries: 2, allowed_fails: 100}\n", 1, 0);
    expect_tries("model_list:\n  - " CHAT_MODEL ", max_retries: 0, order: 1}}\n  - " SPARE_MODEL ", order: 2}}\n"
                 "router_settings: {num_retries: 3, allowed_fails: 100}\n", 1, 3);
}

static void
test_callers_mistakes_cool_nothing(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, "model_list:\n  - " CHAT_MODEL "}}\nrouter_settings: {num_retries: 0, allowed_fails: 2, cooldown_time: 60}\n");
    struct provider *provider = world_provider(&world, WORLD_CHAT_PORT);
    for (int i = 0; i < 12; i++) {
        bool bad = i < 9; /* then two failures, which are allowed, and one that is not */
        provider_serve(provider, bad ? plan_bad_request : plan_unavailable);
        struct client *client = ask(&world, (struct asking){.model = "own"});
        client_await(client, 1, 10000);
        client_expect(client, 0, bad ? 400 : 503, TOLD_ERROR, NULL);
        assert_int_equal(figure(&world.worker->metrics->cooldowns), i == 11);
    }
    assert_int_equal(provider->requests, 12);
    world_close(&world);
}

static void
test_connections_of_a_pin_are_its_own(void **state)
{
    (void)state;
    struct generation *generation = world_generation(
        "model_list:\n"
        "  - " CHAT_MODEL "}}\n"
        "  - " CHAT_MODEL "}, penstock: {spki_pin: 'sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='}}\n"
        "  - " CHAT_MODEL "}, penstock: {spki_pin: 'sha256/AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='}}\n"
        "  - " CHAT_MODEL "}}\n");
    const struct deployment *deployments = generation->deployments;
    assert_true(slice_eq(deployments[0].target.cache_key, deployments[3].target.cache_key));
    assert_false(slice_eq(deployments[0].target.cache_key, deployments[1].target.cache_key));
    assert_false(slice_eq(deployments[1].target.cache_key, deployments[2].target.cache_key));
    generation_drop(generation);
}

/* ---------------------------------------------------------------- the queue of an upstream */

struct order {
    char markers[64][16];
    int count;
};

static void
plan_by_marker(struct visit *visit)
{
    struct order *order = visit->provider->user;
    assert(order->count < 64);
    snprintf(order->markers[order->count++], sizeof order->markers[0], "%.15s", visit->marker);
    if (order->count == 1)
        plan_status(visit, 503, "Retry-After: 25\r\n", "{}");
    else if (strcmp(visit->marker, "mark-holds") != 0)
        plan_tale(visit, (struct tale){.words = 5}, SIZE_MAX / 2, 0);
}

static void
test_the_queue_is_served_in_order(void **state)
{
    static const char *const expected[] = {"mark-again", "mark-holds", "mark-queues", "mark-again"};
    struct world world;
    struct order order = {.count = 0};
    (void)state;
    world_open(&world, 3, NULL,
               "model_list:\n  - " CHAT_MODEL ", max_parallel_requests: 1}}\n"
               "router_settings: {num_retries: 1, allowed_fails: 100}\n"
               "penstock: {timeouts: {request: 60s, connect: 5m}, retry: {max: 5m}}\n");
    struct provider *provider = world_provider(&world, WORLD_CHAT_PORT);
    provider->user = &order;
    provider_serve(provider, plan_by_marker);
    struct client *again = ask(&world, (struct asking){.model = "own", .marker = "mark-again"});
    world_run(&world, 1000);
    struct stream *waits = world_stream(&world, 0);
    struct client *holds = ask(&world, (struct asking){.model = "own", .marker = "mark-holds"});
    world_run(&world, 1000);
    struct client *queues = ask(&world, (struct asking){.model = "own", .marker = "mark-queues"});
    world_run(&world, 1000);
    /* Whoever asks in the very tick in which the place becomes free stands behind the one who waits for it. */
    uint64_t due_ms = world_stream(&world, 1)->total.at_ms;
    assert_true(waits->wait_until_ms > 0);
    waits->wait_until_ms = due_ms;
    wheel_arm(&world.worker->loop.wheel, &waits->step, due_ms);
    wheel_arm(&world.worker->loop.wheel, &waits->total, due_ms + 30000);
    client_await(holds, 1, 100000);
    client_expect(holds, 0, 504, TOLD_ERROR, "request_timeout");
    client_await(queues, 1, 10000);
    client_expect(queues, 0, 200, TOLD_WELL, NULL);
    client_await(again, 1, 10000);
    client_expect(again, 0, 200, TOLD_WELL, NULL);
    assert_int_equal(order.count, (int)countof(expected));
    for (int i = 0; i < order.count; i++)
        assert_string_equal(order.markers[i], expected[i]);
    assert_int_equal(hist_total(&world.worker->metrics->queue_wait, &metrics_latency), 2);
    assert_in_range(hist_total(&world.worker->metrics->connect, &metrics_latency), 1, 3);
    world_close(&world);
}

static void
plan_interims(struct visit *visit)
{
    int count = atoi(visit->marker + 5);
    for (int i = 0; i < count; i++)
        say_text(visit, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    plan_tale(visit, (struct tale){.words = 5}, SIZE_MAX / 2, 0);
}

static void
test_interim_replies_are_counted(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, "router_settings: {num_retries: 0}\n");
    provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_interims);
    struct client *few = ask(&world, (struct asking){.model = "chat", .marker = "mark-60"});
    struct client *many = ask(&world, (struct asking){.model = "chat", .marker = "mark-100"});
    client_await(few, 1, 10000);
    client_expect(few, 0, 200, TOLD_WELL, NULL);
    client_await(many, 1, 10000);
    client_expect(many, 0, 502, TOLD_ERROR, "upstream_protocol");
    world_close(&world);
}

/* ---------------------------------------------------------------- reload */

static void
test_a_reload_changes_limits(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, "");
    struct client *client = ask(&world, (struct asking){.model = "chat", .padding = 20000});
    client_await(client, 1, 10000);
    client_expect(client, 0, 200, TOLD_WELL, NULL);
    worker_take_generation(world.worker, world_generation(
        "penstock: {limits: {body: 8KiB, head: 2KiB, queue: 32KiB, memory: 8MiB, handshakes: 3}, timeouts: {linger: 7s, dns_ttl: 9s}}\n"));
    client_ask(client, (struct asking){.model = "chat", .marker = "mark-1"});
    client_await(client, 2, 10000);
    client_expect(client, 1, 200, TOLD_WELL, NULL);
    assert_int_equal(world_stream(&world, 0)->client->out_high, 32 << 10);
    client_ask(client, (struct asking){.model = "chat", .marker = "mark-1", .padding = 20000});
    client_await(client, 3, 10000);
    client_expect(client, 2, 413, TOLD_ERROR, "request_too_large");
    client = ask(&world, (struct asking){.model = "chat", .padding = 20000, .chunked = true});
    client_await(client, 1, 10000);
    client_expect(client, 0, 413, TOLD_ERROR, "request_too_large");
    assert_int_equal(world.worker->loop.limits.linger_ms, 7000);
    assert_int_equal(world.worker->loop.limits.dns_ttl_ms, 9000);
    assert_true(world.worker->loop.limits.linger_bytes >= 8 << 10);
    assert_int_equal(world.worker->loop.limits.handshakes_max, 3);
    assert_int_equal(world.worker->loop.pool.chunks_max, (8 << 20) / 4096);
    worker_take_generation(world.worker, world_generation("")); /* and back: more is allowed than when the connection came */
    client = ask(&world, (struct asking){.model = "chat"});
    client_await(client, 1, 10000);
    worker_take_generation(world.worker, world_generation("penstock: {limits: {body: 60MiB}}\n"));
    client_ask(client, (struct asking){.model = "chat", .marker = "mark-1", .padding = 53 << 20});
    client_await(client, 2, 10000);
    client_expect(client, 1, 200, TOLD_WELL, NULL);
    world_close(&world);
}

static void
test_a_reload_keeps_cooldowns_and_rates(void **state)
{
    static const char yaml[] = "model_list:\n  - " CHAT_MODEL ", rpm: 3}}\nrouter_settings: {num_retries: 0, allowed_fails: 0, cooldown_time: 40}\n";
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, yaml);
    for (int i = 0; i < 5; i++) {
        if (i == 4) { /* the next minute */
            world_run(&world, 60000);
            provider_serve(world_provider(&world, WORLD_CHAT_PORT), plan_unavailable);
        }
        struct client *client = ask(&world, (struct asking){.model = "own"});
        client_await(client, 1, 10000);
        client_expect(client, 0, i == 3 ? 429 : i == 4 ? 503 : 200, i > 2 ? TOLD_ERROR : TOLD_WELL, i == 3 ? "rate_limited" : NULL);
        struct generation *fresh = world_generation(yaml);
        generation_inherit(fresh, world.worker->generation);
        worker_take_generation(world.worker, fresh);
    }
    struct client *client = ask(&world, (struct asking){.model = "own"});
    client_await(client, 1, 10000);
    client_expect(client, 0, 503, TOLD_ERROR, "no_upstream_available");
    world_close(&world);
}

/* ---------------------------------------------------------------- requests that are none */

static void
test_requests_that_end_early(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, "");
    struct client *body = client_connect(&world, SPEAKS_MESSAGES), *head = client_connect(&world, SPEAKS_CHAT);
    client_say(body, SLICE_LIT("POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"model\""));
    client_say(head, SLICE_LIT("POST /v1/chat/completions HTTP/1.1\r\nHos"));
    world_run(&world, 100);
    client_half_close(body);
    client_half_close(head);
    client_await(body, 1, 5000);
    client_await(head, 1, 5000);
    client_expect(body, 0, 400, TOLD_ERROR, NULL);
    client_expect(head, 0, 400, TOLD_ERROR, NULL);
    assert_true(contains(client_heard(body), "\"type\":\"error\""));
    assert_int_equal(figure(&world.worker->metrics->disconnects[STATE_BODY]), 1);
    assert_int_equal(figure(&world.worker->metrics->disconnects[STATE_HEAD]), 1);
    assert_int_equal(figure(&world.worker->metrics->disconnects[STATE_FINISH]), 0);
    world_close(&world);
}

static void
expect_refusal(struct world *world, const char *head, const char *what, const char *other)
{
    struct client *client = client_connect(world, SPEAKS_CHAT);
    client_say(client, slice_from(head));
    client_await(client, 1, 5000);
    if (!contains(client_heard(client), what))
        fprintf(stderr, "%.*s\n", SLICE_ARG(client_heard(client)));
    assert_true(contains(client_heard(client), "HTTP/1.1 400"));
    assert_true(contains(client_heard(client), what));
    assert_true(!other || contains(client_heard(client), other));
}

static void
test_malformed_heads_are_answered_in_kind(void **state)
{
    static const char cors[] = "\r\nAccess-Control-Allow-Origin: *\r\n", own[] = "\r\nAccess-Control-Allow-Origin: https://a.example\r\n";
    struct world world;
    (void)state;
    world_open(&world, 1, NULL, "");
    expect_refusal(&world, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", "{\"type\":\"error\"", NULL);
    expect_refusal(&world, "GET /v1/models HTTP/1.1\r\nHost: x\r\nAnthropic-Version: 1\r\nHost: y\r\n\r\n", "{\"type\":\"error\"", NULL);
    expect_refusal(&world, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "{\"error\":{", NULL);
    expect_refusal(&world, "POST /v1/messages HTTP/1.1\r\nOrigin: https://a.example\r\nHost: x\nX: y\r\n\r\n", cors, "{\"type\":\"error\"");
    world_close(&world);
    world_open(&world, 1, NULL, "penstock: {cors: {origins: ['https://a.example']}}\n");
    expect_refusal(&world, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\norigin: https://a.example\r\n\r\n", own, NULL);
    expect_refusal(&world, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nOrigin: https://b.example\r\n\r\n", "400 Bad Request\r\n", NULL);
    assert_false(contains(client_heard(world.clients), "Access-Control-Allow-Origin"));
    world_close(&world);
}

static void
test_many_bodies_are_bounded_together(void **state)
{
    struct world world;
    struct client *clients[3];
    (void)state;
    world_open(&world, 1, NULL, "penstock: {limits: {memory: 4MiB, body: 3MiB}, timeouts: {body: 50s}}\n");
    for (int i = 0; i < 3; i++) {
        clients[i] = client_connect(&world, i == 2 ? SPEAKS_MESSAGES : SPEAKS_CHAT);
        struct sink request;
        sink_init(&request, 16u << 20);
        asking_put(clients[i], &(struct asking){.model = i == 2 ? "claude" : "chat", .marker = "mark-1", .padding = 2 << 20}, &request);
        client_say(clients[i], slice_take(sink_slice(&request), 2 << 20)); /* all but the last bytes */
        sink_fini(&request);
        world_run(&world, 2000);
    }
    assert_int_equal(client_heard(clients[0]).len, 0);
    client_await(clients[2], 1, 5000);
    client_expect(clients[2], 0, 529, TOLD_ERROR, NULL);
    world_run(&world, 60000); /* the others wait in vain for the rest */
    client_expect(clients[0], 0, 408, TOLD_ERROR, NULL);
    assert_int_equal(world.worker->request_bytes, 0);
    struct client *client = ask(&world, (struct asking){.model = "chat", .padding = 2 << 20, .stream = true});
    client_await(client, 1, 5000);
    client_expect(client, 0, 200, TOLD_WELL, NULL);
    assert_int_equal(world.worker->request_bytes, 0);
    world_close(&world);
}

static void
test_aliases_are_listed_as_what_they_name(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, 1, NULL,
               "model_list:\n"
               "  - {model_name: first, litellm_params: {model: openai/a, api_base: 'http://127.0.0.1:9001/v1'}, model_info: {max_input_tokens: 111}}\n"
               "  - {model_name: second, litellm_params: {model: anthropic/b, api_base: 'http://127.0.0.1:9002'}, model_info: {max_input_tokens: 222}}\n"
               "router_settings: {model_group_alias: {other: second}}\n");
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    client_say(client, SLICE_LIT("GET /v1/models/other HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_await(client, 1, 5000);
    assert_true(contains(client_heard(client), "\"id\":\"other\""));
    assert_true(contains(client_heard(client), "\"owned_by\":\"anthropic\""));
    assert_true(contains(client_heard(client), "222"));
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalives_go_on_after_a_stall),
        cmocka_unit_test(test_nobody_is_silent_whom_nobody_listened_to),
        cmocka_unit_test(test_request_timeout_of_a_model),
        cmocka_unit_test(test_commit_time_of_a_model),
        cmocka_unit_test(test_keys_that_upstreams_repeat),
        cmocka_unit_test(test_either_of_two_credentials),
        cmocka_unit_test(test_tries_of_a_model),
        cmocka_unit_test(test_callers_mistakes_cool_nothing),
        cmocka_unit_test(test_connections_of_a_pin_are_its_own),
        cmocka_unit_test(test_the_queue_is_served_in_order),
        cmocka_unit_test(test_interim_replies_are_counted),
        cmocka_unit_test(test_a_reload_changes_limits),
        cmocka_unit_test(test_a_reload_keeps_cooldowns_and_rates),
        cmocka_unit_test(test_requests_that_end_early),
        cmocka_unit_test(test_malformed_heads_are_answered_in_kind),
        cmocka_unit_test(test_many_bodies_are_bounded_together),
        cmocka_unit_test(test_aliases_are_listed_as_what_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
