/* SPDX-License-Identifier: MIT
 *
 * test_resume.c - clients that lose their connection in the middle of a stream and come back for
 * the rest of it (R26), in virtual time.
 *
 * What the client had before and what it gets afterwards must together be the stream: every number
 * once, in order, and with the one ending that it has.
 */
#include "tests/sim/pairs.h"

#define OPEN "router_settings: {num_retries: 0, cooldown_time: 0}\npenstock:\n"
static const char *const plain = OPEN "  sse: {resume: 20s}\n";
static const char *const small =
    OPEN "  sse: {resume: 200s}\n  limits: {resume: 16KiB, queue: 16KiB}\n";

/* The body so far. */
static struct sink
body_of(const struct client *client)
{
    struct answer answer;
    struct sink body;
    sink_init(&body, SIZE_MAX / 2);
    if (client_answer(client, 0, &answer)) {
        sink_put(&body, sink_slice(&answer.body));
        answer_fini(&answer);
    }
    return body;
}

static struct client *
comes_back(enum dialect_spoken dialect, const char *id, const char *more)
{
    char fields[256];
    struct client *client = client_connect(&world, dialect);
    snprintf(fields, sizeof fields, "Last-Event-ID: %s\r\n%s", id, more);
    client_ask(client, (struct asking){
                           .model = "chat", .marker = "mark-1", .stream = true, .fields = fields});
    return client;
}

/* Both parts are one stream, told like this. */
static void
expect_one_stream(const struct client *before, const struct client *after, enum told told,
                  const struct tale *tale, const char *code)
{
    char id[64];
    struct sink all = body_of(before), rest = body_of(after), text;
    struct telling telling;
    size_t had = whole_events(sink_slice(&all), id);
    assert_true(had > 0);
    all.len = had;
    sink_put(&all, sink_slice(&rest));
    sink_byte(&all, '\0');
    uint64_t expected = 0;
    for (const char *at = all.ptr; (at = strstr(at, "id: ")) != NULL; at += 4) {
        if (at == all.ptr || at[-1] == '\n')
            assert_int_equal(strtoull(strchr(at, '-') + 1, NULL, 10), expected++);
    }
    assert_true(expected > 2);
    telling_read(&telling, after->dialect, slice_take(sink_slice(&all), all.len - 1));
    if (telling.how != told)
        fprintf(stderr, "told %d, %s\n%s\n", (int)telling.how, telling.wrong, all.ptr);
    assert_int_equal(telling.how, told);
    if (code)
        assert_string_equal(telling.code, code);
    sink_init(&text, SIZE_MAX / 2);
    if (tale) {
        tale_text(tale, &text);
        assert_true(slice_eq(sink_slice(&text), sink_slice(&telling.text)));
    }
    telling_fini(&telling);
    sink_fini(&text);
    sink_fini(&all);
    sink_fini(&rest);
}

static void
last_id(const struct client *client, char id[64])
{
    struct sink body = body_of(client);
    assert_true(whole_events(sink_slice(&body), id) > 0);
    sink_fini(&body);
}

static uint64_t
sum_of_disconnects(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < STATE_COUNT; i++)
        sum += world.worker->metrics->disconnects[i];
    return sum;
}

/* ---------------------------------------------------------------- coming back */

static void
r26_the_rest_comes_at_once_later_and_after_the_end(void **unused)
{
    static const uint64_t waits_ms[] = {1, 1500, 19000};
    (void)unused;
    FOR_EACH_PAIR
    {
        for (size_t i = 0; i < countof(waits_ms); i++) {
            char id[64];
            world_open(&world, 1, NULL, plain);
            struct provider *provider = serves(PORT_OF(pair), plan_slow);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            world_run(&world, 2500);
            last_id(client, id);
            client_reset(client);
            world_run(&world, waits_ms[i]);
            assert_int_equal(sum_of_disconnects(), 1);
            assert_int_equal(world.tapes.count, 1);
            struct client *again = comes_back(CLIENT_OF(pair), id, "");
            client_await(again, 1, 60000);
            expect_one_stream(client, again, TOLD_WELL, &five, NULL);
            assert_int_equal(provider->requests, 1); /* nothing was asked for anew */
            assert_int_equal(world.worker->metrics->upstream_cancels, 0);
            assert_int_equal(world.tapes.resumed, 1);
            /* Its connection is good for more. */
            client_ask(again,
                       (struct asking){.model = MODEL_OF(pair), .marker = "mark-1", .stream = true});
            client_await(again, 2, 60000);
            client_expect(again, 1, 200, TOLD_WELL, NULL);
            world_close(&world);
        }
    }
}

static void
r26_without_it_whoever_goes_cancels(void **unused)
{
    (void)unused;
    char id[64];
    world_open(&world, 1, NULL, OPEN);
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_slow);
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 2500);
    last_id(client, id);
    client_reset(client);
    world_run(&world, 50);
    assert_int_equal(provider->live, 0);
    assert_int_equal(world.worker->metrics->upstream_cancels, 1);
    assert_int_equal(world.tapes.count, 0);
    struct client *again = comes_back(SPEAKS_CHAT, id, ""); /* a request like any other */
    client_await(again, 1, 60000);
    client_expect(again, 0, 200, TOLD_WELL, NULL);
    client_expect_text(again, 0, &five);
    assert_int_equal(provider->requests, 2);
    world_close(&world);
}

static void
r26_the_upstream_is_cancelled_when_nobody_comes(void **unused)
{
    (void)unused;
    char id[64];
    world_open(&world, 1, NULL, OPEN "  sse: {resume: 3s}\n");
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_slow);
    provider->plan = plan_slow;
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 1500);
    last_id(client, id);
    client_reset(client);
    world_run(&world, 2900);
    assert_int_equal(provider->live, 1);
    world_run(&world, 150);
    assert_int_equal(provider->live, 0);
    assert_int_equal(world.worker->metrics->upstream_cancels, 1);
    assert_int_equal(world.worker->metrics->ends[END_CLIENT_CLOSE], 1);
    struct client *again = comes_back(SPEAKS_CHAT, id, "");
    client_await(again, 1, 1000);
    client_expect(again, 0, 404, TOLD_ERROR, "stream_not_found");
    assert_int_equal(world.tapes.refused, 1);
    world_run(&world, 2000);
    assert_int_equal(world.tapes.count, 0);
    world_close(&world);
}

/* Whoever follows and goes, too, starts the time anew. */
static void
r26_a_second_loss_is_like_the_first(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        char id[64];
        world_open(&world, 1, NULL, OPEN "  sse: {resume: 2s}\n");
        struct provider *provider = serves(PORT_OF(pair), plan_slow);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        world_run(&world, 1500);
        last_id(client, id);
        client_reset(client);
        world_run(&world, 1000);
        struct client *again = comes_back(CLIENT_OF(pair), id, "");
        world_run(&world, 1500);
        client_reset(again);
        world_run(&world, 1500);
        assert_int_equal(provider->live, 1);
        struct client *third = comes_back(CLIENT_OF(pair), id, ""); /* from the old place */
        client_await(third, 1, 60000);
        expect_one_stream(client, third, TOLD_WELL, &five, NULL);
        assert_int_equal(world.worker->metrics->ends[END_CLIENT_CLOSE], 1);
        world_close(&world);
    }
}

/* ---------------------------------------------------------------- two at once */

static void
r26_a_new_follower_replaces_who_follows_and_who_hangs(void **unused)
{
    (void)unused;
    char id[64];
    world_open(&world, 1, NULL, plain);
    serves(WORLD_CHAT_PORT, plan_slow);
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 1500);
    last_id(client, id);
    client_stop_reading(client, true); /* its network is gone, and nobody has said so */
    struct client *second = comes_back(SPEAKS_CHAT, id, "");
    world_run(&world, 1000);
    struct client *third = comes_back(SPEAKS_CHAT, id, "");
    client_await(third, 1, 60000);
    world_run(&world, 100);
    expect_one_stream(client, third, TOLD_WELL, &five, NULL);
    assert_true(second->reset);
    client_stop_reading(client, false);
    world_run(&world, 100);
    assert_true(client->reset);
    world_close(&world);
}

/* ---------------------------------------------------------------- who has no right */

static void
r26_foreign_unknown_and_strange_events_are_not_found(void **unused)
{
    static const char yaml[] = OPEN "  sse: {resume: 20s}\n  keys:\n"
                                    "    - {name: alice, key: alice-key}\n"
                                    "    - {name: bob, key: bob-key}\n";
    static const char alice[] = "Authorization: Bearer alice-key\r\n";
    (void)unused;
    char id[64], wrong[64];
    world_open(&world, 1, NULL, yaml);
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_slow);
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    client_ask(client, (struct asking){
                           .model = "chat", .marker = "mark-1", .stream = true, .fields = alice});
    world_run(&world, 2500);
    last_id(client, id);
    client_reset(client);
    world_run(&world, 100);
    struct client *again = comes_back(SPEAKS_CHAT, id, "Authorization: Bearer bob-key\r\n");
    client_await(again, 1, 1000);
    client_expect(again, 0, 404, TOLD_ERROR, "stream_not_found");
    again = comes_back(SPEAKS_CHAT, id, "");
    client_await(again, 1, 1000);
    client_expect(again, 0, 401, TOLD_ERROR, NULL);
    again = comes_back(SPEAKS_MESSAGES, id, alice); /* another path */
    client_await(again, 1, 1000);
    client_expect(again, 0, 404, TOLD_ERROR, NULL);
    snprintf(wrong, sizeof wrong, "%.17s999", id); /* not told yet */
    const char *const others[] = {wrong, "nonsense", "-1", "AAAAAAAAAAAAAAAA-1",
                                  "AAAAAAAAAAAAAAAA-99999999999999999999999"};
    for (size_t i = 0; i < countof(others); i++) {
        again = comes_back(SPEAKS_CHAT, others[i], alice);
        client_await(again, 1, 1000);
        client_expect(again, 0, 404, TOLD_ERROR, "stream_not_found");
    }
    again = comes_back(SPEAKS_CHAT, id, alice);
    client_await(again, 1, 60000);
    expect_one_stream(client, again, TOLD_WELL, &five, NULL);
    assert_int_equal(provider->requests, 1);
    assert_int_equal(world.tapes.refused, 7);
    world_close(&world);
}

/* Browsers' EventSource comes back with a GET; HTTP/1.0 knows no chunks. */
static void
r26_a_get_will_do(void **unused)
{
    (void)unused;
    for (int minor = 0; minor < 2; minor++) {
        char id[64], request[256];
        world_open(&world, 1, NULL, plain);
        serves(WORLD_CHAT_PORT, plan_slow);
        struct client *client = asks(SPEAKS_CHAT, "chat", true);
        world_run(&world, 2500);
        last_id(client, id);
        client_reset(client);
        struct client *again = client_connect(&world, SPEAKS_CHAT);
        snprintf(request, sizeof request,
                 "GET /v1/chat/completions HTTP/1.%d\r\nHost: g\r\nLast-Event-ID: %s\r\n\r\n", minor,
                 id);
        client_say(again, slice_from(request));
        client_await(again, 1, 60000);
        expect_one_stream(client, again, TOLD_WELL, &five, NULL);
        world_close(&world);
    }
}

/* ---------------------------------------------------------------- bounds */

static void
plan_flood(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 300, .padding = 1000}, 4000, 20);
}
static const struct tale flood = {.marker = "mark-1", .words = 300, .padding = 1000};

/* The tape is small: the upstream waits, and nothing is lost; memory stays within the limit. */
static void
r26_the_upstream_waits_for_whoever_will_come(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        char id[64];
        world_open(&world, 1, NULL, small);
        serves(PORT_OF(pair), plan_flood);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        world_run(&world, 300);
        last_id(client, id);
        client_reset(client);
        world_run(&world, 60000);
        assert_in_range(world.tapes.bytes, 8192, 16384);
        assert_int_equal(world_state(&world), STATE_STALL);
        struct client *again = comes_back(CLIENT_OF(pair), id, "");
        for (int i = 0; i < 20; i++) { /* and it is slow */
            client_stop_reading(again, true);
            world_run(&world, 3000);
            assert_true(world.tapes.bytes <= 16384);
            client_stop_reading(again, false);
            world_run(&world, 2);
        }
        client_await(again, 1, 600000);
        expect_one_stream(client, again, TOLD_WELL, &flood, NULL);
        world_close(&world);
    }
}

/* A client whose network is gone without a word is found by the drain timer, and may come back. */
static void
r26_who_hangs_may_come_back(void **unused)
{
    (void)unused;
    char id[64];
    struct sim_faults faults = {.window = 2000};
    world_open(&world, 1, &faults, OPEN "  sse: {resume: 60s}\n  limits: {queue: 16KiB}\n"
                                        "  timeouts: {drain: 2s}\n");
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_flood);
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 300);
    last_id(client, id);
    client_stop_reading(client, true);
    world_run(&world, 20000);
    assert_int_equal(world.worker->metrics->drain_timeouts, 1);
    assert_int_equal(world.tapes.count, 1);
    struct client *again = comes_back(SPEAKS_CHAT, id, "");
    client_await(again, 1, 60000);
    expect_one_stream(client, again, TOLD_WELL, &flood, NULL);
    assert_int_equal(provider->requests, 1);
    /* Who follows and hangs is dropped as well. */
    struct client *third = comes_back(SPEAKS_CHAT, id, "");
    client_stop_reading(third, true);
    world_run(&world, 10000);
    assert_int_equal(world.worker->metrics->ends[END_BACKPRESSURE], 1);
    world_close(&world);
}

static void
r26_only_so_many_streams_can_be_resumed(void **unused)
{
    (void)unused;
    char id[64];
    world_open(&world, 1, NULL, OPEN "  sse: {resume: 20s}\n  limits: {resume_streams: 1}\n");
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_slow);
    struct client *first = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 1500);
    struct client *second = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 1500);
    assert_int_equal(world.tapes.count, 1);
    last_id(second, id);
    client_reset(second);
    world_run(&world, 100);
    assert_int_equal(provider->live, 1); /* cancelled at once */
    client_await(first, 1, 60000);
    client_expect(first, 0, 200, TOLD_WELL, NULL);
    world_run(&world, 19000);
    assert_int_equal(world.tapes.count, 1);
    world_run(&world, 3000);
    assert_int_equal(world.tapes.count, 0);
    assert_int_equal(world.tapes.expired, 1);
    world_close(&world);
}

/* ---------------------------------------------------------------- failures, silence, ends */

static void
plan_fails_late(struct visit *visit)
{
    say_first_part(visit, (struct tale){.words = 5}, 1, 3);
    wait_ms(visit, 3000);
    say_end(visit, STEP_RESET);
}

static void
r26_a_failure_in_between_is_told_once(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int late = 0; late < 2; late++) {
            char id[64];
            world_open(&world, 1, NULL, plain);
            serves(PORT_OF(pair), plan_fails_late);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            world_run(&world, 1500);
            last_id(client, id);
            client_reset(client);
            world_run(&world, late ? 5000 : 100);
            struct client *again = comes_back(CLIENT_OF(pair), id, "");
            client_await(again, 1, 60000);
            expect_one_stream(client, again, TOLD_ERROR, NULL, "upstream_disconnected");
            assert_int_equal(world.worker->metrics->errors[ERR_RESET] +
                                 world.worker->metrics->errors[ERR_DISCONNECTED],
                             1);
            world_close(&world);
        }
    }
}

static void
plan_thinks(struct visit *visit)
{
    wait_ms(visit, 60000);
    plan_well(visit);
}

/* Committed early, lost and followed before the upstream has said a word; silence is broken for who follows, too. */
static void
r26_who_waits_for_the_first_word_may_lose_its_connection(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        char id[64];
        world_open(&world, 1, NULL, OPEN "  sse: {resume: 50s}\n");
        struct provider *provider = serves(PORT_OF(pair), plan_thinks);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        world_run(&world, 12000);
        if (CLIENT_OF(pair) == SPEAKS_CHAT) { /* has only heard a comment: it can not say what it wants */
            client_reset(client);
            world_run(&world, 50);
            assert_int_equal(provider->live, 0);
            world_close(&world);
            continue;
        }
        last_id(client, id);
        client_reset(client);
        world_run(&world, 1000);
        assert_int_equal(world_state(&world), STATE_AWAIT);
        struct client *again = comes_back(CLIENT_OF(pair), id, "");
        size_t heard = 0;
        for (int i = 0; i < 4; i++) {
            world_run(&world, 10100);
            assert_true(client_heard(again).len > heard);
            heard = client_heard(again).len;
        }
        client_await(again, 1, 60000);
        expect_one_stream(client, again, TOLD_WELL, &five, NULL);
        assert_int_equal(provider->requests, 1);
        world_close(&world);
    }
}

static void
r26_a_drain_lets_who_follows_finish_and_cancels_the_lonely(void **unused)
{
    (void)unused;
    for (int followed = 0; followed < 3; followed++) { /* 2: and then all is to end now */
        char id[64];
        world_open(&world, 1, NULL, plain);
        struct provider *provider = serves(WORLD_CHAT_PORT, plan_slow);
        struct client *client = asks(SPEAKS_CHAT, "chat", true);
        world_run(&world, 1500);
        last_id(client, id);
        client_reset(client);
        world_run(&world, 100);
        struct client *again = followed ? comes_back(SPEAKS_CHAT, id, "") : NULL;
        world_run(&world, 1000);
        world.gateway.draining = true;
        worker_drain(world.worker, false);
        world_run(&world, 100);
        assert_int_equal(provider->live, followed ? 1 : 0);
        if (followed == 2)
            worker_drain(world.worker, true);
        if (again) {
            client_await(again, 1, 60000);
            expect_one_stream(client, again, followed == 2 ? TOLD_ERROR : TOLD_WELL,
                              followed == 2 ? NULL : &five, followed == 2 ? "shutting_down" : NULL);
        }
        world_close(&world);
    }
}

/* Whole replies, HTTP/1.0 and streams without numbers can not be resumed, and cost nothing. */
static void
r26_what_has_no_numbers_is_not_kept(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL, plain);
    serves(WORLD_CHAT_PORT, plan_slow);
    struct client *whole = asks(SPEAKS_CHAT, "chat", false);
    struct client *old = client_connect(&world, SPEAKS_CHAT);
    client_ask(old, (struct asking){
                        .model = "chat", .marker = "mark-1", .stream = true, .http10 = true});
    world_run(&world, 2500);
    assert_int_equal(world.tapes.count, 0);
    client_await(whole, 1, 60000);
    client_await(old, 1, 60000);
    world_close(&world);
    world_open(&world, 1, NULL, OPEN "  sse: {resume: 20s, ids: false}\n");
    serves(WORLD_CHAT_PORT, plan_slow);
    struct client *client = asks(SPEAKS_CHAT, "chat", true);
    world_run(&world, 2500);
    assert_int_equal(world.tapes.count, 0);
    client_await(client, 1, 60000);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r26_the_rest_comes_at_once_later_and_after_the_end),
        cmocka_unit_test(r26_without_it_whoever_goes_cancels),
        cmocka_unit_test(r26_the_upstream_is_cancelled_when_nobody_comes),
        cmocka_unit_test(r26_a_second_loss_is_like_the_first),
        cmocka_unit_test(r26_a_new_follower_replaces_who_follows_and_who_hangs),
        cmocka_unit_test(r26_foreign_unknown_and_strange_events_are_not_found),
        cmocka_unit_test(r26_a_get_will_do),
        cmocka_unit_test(r26_the_upstream_waits_for_whoever_will_come),
        cmocka_unit_test(r26_who_hangs_may_come_back),
        cmocka_unit_test(r26_only_so_many_streams_can_be_resumed),
        cmocka_unit_test(r26_a_failure_in_between_is_told_once),
        cmocka_unit_test(r26_who_waits_for_the_first_word_may_lose_its_connection),
        cmocka_unit_test(r26_a_drain_lets_who_follows_finish_and_cancels_the_lonely),
        cmocka_unit_test(r26_what_has_no_numbers_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
