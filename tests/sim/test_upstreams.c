/* SPDX-License-Identifier: MIT
 *
 * test_upstreams.c - what upstreams may do, in virtual time: cut a stream at any byte, speak a byte
 * at a time, close what was kept, run out of places, fail inside a stream. Each test is named for
 * its requirement.
 */
#include "tests/sim/pairs.h"

/* ---------------------------------------------------------------- cuts and splits */

static size_t cut_at;
static enum step_kind cut_how;
static size_t reply_len, finish_at;

/* A whole reply, or its first bytes and then an end; notes where it tells its finish. */
static void
plan_cut(struct visit *visit)
{
    struct sink body, reply;
    struct tale tale = {
        .dialect = visit->provider->dialect, .marker = visit->marker, .words = 3, .tool = true};
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    tale_put(&tale, &body);
    reply_put(&reply, 200, "text/event-stream", "", sink_slice(&body), FRAMED_CHUNKED, 50);
    const char *needle =
        tale.dialect == SPEAKS_CHAT ? "tool_calls\"}" : "tool_use\",\"stop_sequence";
    const char *at = memmem(body.ptr, body.len, needle, strlen(needle));
    assert_non_null(at);
    size_t head_len =
        (size_t)((const char *)memmem(reply.ptr, reply.len, "\r\n\r\n", 4) - reply.ptr) + 4;
    finish_at = (size_t)(at - body.ptr);
    finish_at += head_len + 4 + 6 * (finish_at / 50); /* with the frames of its chunks */
    reply_len = reply.len;
    say(visit, slice_take(sink_slice(&reply), cut_at));
    say_end(visit, cut_at < reply.len ? cut_how : STEP_NEXT);
    sink_fini(&body);
    sink_fini(&reply);
}

static void
judge_cut(struct client *client, bool stream)
{
    struct answer answer;
    struct telling telling;
    client_told(client, 0, &telling);
    assert_true(client_answer(client, 0, &answer));
    if (telling.how != TOLD_WELL && telling.how != TOLD_ERROR) {
        fprintf(stderr, "cut at %zu: %s\n%.*s\n", cut_at, telling.wrong,
                SLICE_ARG(client_heard(client)));
        fail();
    }
    if (telling.how == TOLD_WELL) {
        /* A normal end only when the finish was said. */
        assert_true(cut_at > finish_at);
        client_expect_text(client, 0, &(struct tale){.marker = "mark-1", .words = 3});
        assert_true(slice_is(sink_slice(&telling.input), "{\\\"at\\\":1}") || !stream);
    } else if (!stream) {
        assert_true(answer.status >= 500);
    }
    if (cut_at >= reply_len)
        assert_int_equal(telling.how, TOLD_WELL);
    telling_fini(&telling);
    answer_fini(&answer);
}

static void
r10_an_upstream_cut_at_any_byte_is_told(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int how = 0; how < 2; how++) {
            cut_how = how ? STEP_RESET : STEP_FIN;
            reply_len = SIZE_MAX - 1;
            world_open(&world, 1, NULL, ONE_TRY);
            serves(PORT_OF(pair), plan_cut);
            for (cut_at = 0; cut_at <= reply_len; cut_at++) {
                bool stream = cut_at % 7 > 0;
                struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
                client_await(client, 1, 60000);
                judge_cut(client, stream);
                client_leave(client);
            }
            assert_true(reply_len > 1500);
            world_close(&world);
        }
    }
}

static const char *line_end, *last_line_end; /* of events; of the last one that comes */

/* Events whose lines end as they should not, the last of them cut. */
static void
plan_line_ends(struct visit *visit)
{
    struct sink body, reply;
    struct tale tale = {.dialect = visit->provider->dialect, .marker = visit->marker, .words = 5};
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    tale_put(&tale, &body);
    sink_text(&reply, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    struct slice rest = sink_slice(&body);
    for (int events = 0; events < 3; events++) {
        const char *end = memmem(rest.ptr, rest.len, "\n\n", 2);
        struct slice event = slice_of(rest.ptr, (size_t)(end - rest.ptr));
        sink_put(&reply, event);
        sink_text(&reply, events < 2 ? line_end : last_line_end);
        rest = slice_skip(rest, event.len + 2);
    }
    say(visit, sink_slice(&reply));
    say_end(visit, STEP_FIN);
    sink_fini(&body);
    sink_fini(&reply);
}

/* Some clients know two kinds of empty lines only, and would take what we say behind a third for the same event. */
static void
r4_every_client_sees_where_an_event_ends(void **unused)
{
    static const char *const ends[][2] = {{"\n\n", "\n\r"}, {"\r\n\r\n", "\r\n\r"}, {"\r\r", "\r\r"}, {"\n\r\n", "\n\r\n"},
                                          {"\r\n\n", "\r\n\n"}, {"\n\r", "\n\r"}, {"\n\n", "\r\r\n"}};
    static const char *const yamls[] = {ONE_TRY, ONE_TRY "penstock: {sse: {ids: false}}\n"};
    (void)unused;
    FOR_EACH_PAIR
    {
        for (size_t i = 0; i < countof(ends) * countof(yamls); i++) {
            line_end = ends[i % countof(ends)][0];
            last_line_end = ends[i % countof(ends)][1];
            world_open(&world, 1, NULL, yamls[i / countof(ends)]);
            serves(PORT_OF(pair), plan_line_ends);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            client_await(client, 1, 60000);
            client_expect(client, 0, 200, TOLD_ERROR, NULL);
            world_close(&world);
        }
    }
}

static void
plan_chapters(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 20, .tool = true}, SIZE_MAX / 2, 0);
}

static void
normalise(struct sink *body)
{
    for (size_t i = 0; i + 9 < body->len; i++) { /* the wall clock is not part of the simulation */
        if (memcmp(body->ptr + i, "\"created\":", 10) == 0)
            for (size_t k = i + 10; k < body->len && body->ptr[k] >= '0' && body->ptr[k] <= '9';
                 k++)
                body->ptr[k] = '0';
    }
}

static void
r4_output_does_not_depend_on_how_the_upstream_is_read(void **unused)
{
    static const size_t windows[] = {0, 1, 2, 3, 7, 100};
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            struct answer whole = {0};
            for (size_t i = 0; i < countof(windows); i++) {
                struct answer answer;
                struct sim_faults faults = {.window = windows[i]};
                world_open(&world, 7, NULL, NULL);
                sim_set_faults(world.sim, &faults);
                serves(PORT_OF(pair), plan_chapters);
                struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
                client_await(client, 1, 60000);
                client_expect(client, 0, 200, TOLD_WELL, NULL);
                assert_true(client_answer(client, 0, &answer));
                normalise(&answer.body);
                if (i == 0) {
                    whole = answer;
                } else {
                    assert_int_equal(answer.body.len, whole.body.len);
                    assert_memory_equal(answer.body.ptr, whole.body.ptr, whole.body.len);
                    answer_fini(&answer);
                }
                world_close(&world);
            }
            answer_fini(&whole);
        }
    }
}

/* ---------------------------------------------------------------- connections that are kept */

static void
plan_once_500(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    plan_status(visit, 500, "", "oops");
}

static void
plan_once_reset(struct visit *visit)
{
    provider_serve(visit->provider, plan_well);
    say_end(visit, STEP_RESET);
}

static void
r31_connections_are_kept_and_used_again(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        struct provider *provider = world_provider(&world, PORT_OF(pair));
        for (int i = 0; i < 5; i++) {
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), i % 2);
            client_await(client, 1, 60000);
            client_expect(client, 0, 200, TOLD_WELL, NULL);
            world_run(&world, 100);
        }
        assert_int_equal(provider->connections, 1);
        assert_int_equal(world.worker->upstreams.reused, 4);
        world_run(&world, 70000); /* and closed when nobody needs them */
        assert_int_equal(provider->live, 0);
        world_close(&world);
    }
}

static void
plan_last_chunk_late(struct visit *visit)
{
    say_first_part(visit, (struct tale){.words = 5}, 1, 1);
    wait_ms(visit, 300);
    say_text(visit, "0\r\n\r\n");
    say_end(visit, STEP_NEXT);
}

/* The client does not wait for the upstream's last chunk, and the connection is still worth
 * keeping. */
static void
r31_the_rest_of_a_reply_is_read_away(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        struct provider *provider = serves(PORT_OF(pair), plan_last_chunk_late);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        world_run(&world, 50);
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        world_run(&world, 500);
        client_await(asks(CLIENT_OF(pair), MODEL_OF(pair), true), 1, 60000);
        assert_int_equal(provider->connections, 1);
        world_close(&world);
    }
}

static void
plan_well_then_dead(struct visit *visit)
{
    plan_well(visit);
    if (visit->number == 0) { /* the first connection takes one more request and dies of it */
        visit->provider->plan = visit->provider->requests > 1 ? plan_well : plan_well_then_dead;
        if (visit->provider->requests > 1) {
            visit->step_count = 0;
            say_end(visit, STEP_RESET);
        }
    }
}

static void
r31_a_stale_kept_connection_costs_no_try(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, "router_settings: {num_retries: 0}\n");
        struct provider *provider = serves(PORT_OF(pair), plan_well_then_dead);
        client_await(asks(CLIENT_OF(pair), MODEL_OF(pair), true), 1, 60000);
        world_run(&world, 100);
        uint64_t before = world_ms(&world);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client_await(client, 1, 60000);
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        assert_int_equal(field_of(client, 0, "x-penstock-attempts"), 1);
        assert_int_equal(provider->connections, 2);
        assert_int_equal(world.worker->metrics->stale_connections, 1);
        assert_int_equal(world.worker->metrics->retries, 0);
        assert_true(client->heard_ms - before < 50); /* and no wait */
        world_close(&world);
    }
}

static void
plan_well_then_half(struct visit *visit)
{
    plan_well(visit);
    if (visit->provider->requests > 1) {
        visit->step_count = 0;
        say_text(visit, "HTTP/1.1 2");
        wait_ms(visit, 5);
        say_end(visit, STEP_RESET);
    }
}

/* Whoever has begun to answer was not stale: that is a failure, and counts as one. */
static void
r31_a_kept_connection_that_answers_and_dies_has_failed(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, ONE_TRY);
        struct provider *provider = serves(PORT_OF(pair), plan_well_then_half);
        struct client *client = client_connect(&world, CLIENT_OF(pair));
        struct asking asking = {.model = MODEL_OF(pair), .marker = "mark-1", .stream = true};
        client_ask(client, asking);
        client_await(client, 1, 60000);
        world_run(&world, 100);
        client_ask(client, asking);
        client_await(client, 2, 60000);
        client_expect(client, 1, 502, TOLD_ERROR, NULL);
        assert_int_equal(provider->requests, 2);
        provider_serve(provider,
                       plan_well); /* the same client meets a stale one later: that is no failure */
        client_ask(client, asking);
        client_await(client, 3, 60000);
        world_run(&world, 100);
        provider_serve(provider, plan_once_reset);
        client_ask(client, asking);
        client_await(client, 4, 60000);
        client_expect(client, 3, 200, TOLD_WELL, NULL);
        world_close(&world);
    }
}

static void
plan_says_close(struct visit *visit)
{
    struct sink body, reply;
    struct tale tale = {.dialect = visit->provider->dialect,
                        .marker = visit->marker,
                        .words = 5,
                        .whole = !visit->streams};
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    tale_put(&tale, &body);
    reply_put(&reply, 200, tale.whole ? "application/json" : "text/event-stream",
              "Connection: close\r\n", sink_slice(&body), FRAMED_LENGTH, 0);
    say(visit, sink_slice(&reply));
    say_end(visit, STEP_NEXT);
    sink_fini(&body);
    sink_fini(&reply);
}

static void
r31_what_is_to_be_closed_is_not_kept_and_what_failed_politely_is(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            world_open(&world, 1, NULL, NULL);
            struct provider *provider = serves(PORT_OF(pair), plan_says_close);
            for (uint32_t i = 1; i <= 3; i++) {
                struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
                client_await(client, 1, 60000);
                client_expect(client, 0, 200, TOLD_WELL, NULL);
                assert_int_equal(provider->connections, i);
            }
            provider_serve(provider, plan_once_500); /* and well after it */
            client_await(asks(CLIENT_OF(pair), MODEL_OF(pair), stream), 1, 60000);
            assert_int_equal(provider->requests, 5);
            assert_int_equal(provider->connections, 4);
            world_close(&world);
        }
    }
}

/* ---------------------------------------------------------------- places */

static void
r33_over_the_queue_is_a_429_with_retry_after(void **unused)
{
    struct client *clients[6];
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL,
                   ONE_TRY "penstock:\n  limits: {upstream_connections: 2, upstream_queue: 3}\n  "
                           "timeouts: {connect: 60s}\n");
        struct provider *provider = serves(PORT_OF(pair), plan_slow);
        for (int i = 0; i < 6; i++) {
            clients[i] = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            world_run(&world, 1);
        }
        client_await(clients[5], 1, 100);
        client_expect(clients[5], 0, 429, TOLD_ERROR, NULL);
        assert_int_equal(field_of(clients[5], 0, "retry-after"), 1);
        for (int i = 0; i < 5; i++) {
            client_await(clients[i], 1, 60000);
            client_expect(clients[i], 0, 200, TOLD_WELL, NULL);
        }
        assert_int_equal(provider->connections, 2);
        world_close(&world);
    }
}

/* Whoever is called and has gone must not take the turn with him. */
static void
r33_a_turn_that_is_not_taken_is_passed_on(void **unused)
{
    (void)unused;
    world_open(&world, 1, NULL,
               ONE_TRY "penstock:\n  limits: {upstream_connections: 1, upstream_queue: 5}\n  "
                       "timeouts: {connect: 60s}\n");
    serves(WORLD_CHAT_PORT, plan_slow);
    struct client *clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = asks(SPEAKS_CHAT, "chat", true);
        world_run(&world, 10);
    }
    assert_true(world_stream(&world, 1)->queued);
    assert_true(world_stream(&world, 2)->queued);
    client_reset(clients[0]); /* the place is free and the second is called, and in the same tick it
                                 is gone */
    client_reset(clients[1]);
    uint64_t before = world_ms(&world);
    client_await(clients[2], 1, 100000);
    client_expect(clients[2], 0, 200, TOLD_WELL, NULL);
    assert_true(clients[2]->heard_ms - before < 10000);
    world_close(&world);
}

/* ---------------------------------------------------------------- in the stream */

static void
plan_cut_call(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 2, .tool = true, .end = TALE_CUT_CALL}, SIZE_MAX / 2,
              0);
}

static void
r42_a_truncated_tool_call_ends_in_an_error(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int stream = 0; stream < 2; stream++) {
            bool collected =
                stream || CLIENT_OF(pair) != (pair & 2 ? SPEAKS_MESSAGES : SPEAKS_CHAT);
            if (!collected)
                continue; /* an object of the same dialect passes */
            world_open(&world, 1, NULL, ONE_TRY);
            serves(PORT_OF(pair), plan_cut_call);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), stream);
            client_await(client, 1, 60000);
            client_expect(client, 0, stream ? 200 : 502, TOLD_ERROR,
                          stream ? "invalid_tool_call" : NULL);
            world_close(&world);
        }
    }
}

static void
plan_error_event(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 2, .end = TALE_ERROR_EVENT}, SIZE_MAX / 2, 0);
}

static void
r11_an_error_in_the_stream_is_told_in_the_client_s_dialect(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        world_open(&world, 1, NULL, NULL);
        serves(PORT_OF(pair), plan_error_event);
        struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
        client_await(client, 1, 60000);
        client_expect(client, 0, 200, TOLD_ERROR, NULL);
        client_expect_text(client, 0, &(struct tale){.marker = "mark-1", .words = 2});
        assert_true(memmem(client_heard(client).ptr, client_heard(client).len, "the engine broke",
                           16) != NULL);
        world_close(&world);
    }
}

static void
plan_ends_in_noise(struct visit *visit)
{
    struct sink body, reply;
    struct tale tale = {.dialect = visit->provider->dialect, .marker = visit->marker, .words = 3};
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    tale_put(&tale, &body);
    const char *last = tale.dialect == SPEAKS_CHAT ? "data: [DONE]" : "event: message_stop";
    body.len = (size_t)((const char *)memmem(body.ptr, body.len, last, strlen(last)) - body.ptr);
    sink_text(&body, "data: {noise\n\n");
    reply_put(&reply, 200, "text/event-stream", "", sink_slice(&body), FRAMED_CHUNKED, 100000);
    say(visit, slice_take(sink_slice(&reply), 500));
    wait_ms(visit, 200);
    say(visit, slice_skip(sink_slice(&reply), 500));
    say_end(visit, STEP_NEXT);
    sink_fini(&body);
    sink_fini(&reply);
}

/* Noise behind the finish is no harm, unless the finish itself never found its way to the client.
 */
static void
r10_a_finish_that_found_no_memory_was_not_said(void **unused)
{
    (void)unused;
    FOR_EACH_PAIR
    {
        for (int tight = 0; tight < 2; tight++) {
            world_open(&world, 1, NULL, NULL);
            serves(PORT_OF(pair), plan_ends_in_noise);
            struct client *client = asks(CLIENT_OF(pair), MODEL_OF(pair), true);
            world_run(&world, 100);
            assert_int_equal(world.worker->loop.pool.chunks_used, 0);
            if (tight)
                world.worker->loop.pool.chunks_max = 1; /* enough to receive, not to send on */
            client_await(client, 1, 60000);
            client_expect(client, 0, 200, tight ? TOLD_ERROR : TOLD_WELL, NULL);
            world_close(&world);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r10_an_upstream_cut_at_any_byte_is_told),
        cmocka_unit_test(r4_output_does_not_depend_on_how_the_upstream_is_read),
        cmocka_unit_test(r4_every_client_sees_where_an_event_ends),
        cmocka_unit_test(r31_connections_are_kept_and_used_again),
        cmocka_unit_test(r31_the_rest_of_a_reply_is_read_away),
        cmocka_unit_test(r31_a_stale_kept_connection_costs_no_try),
        cmocka_unit_test(r31_a_kept_connection_that_answers_and_dies_has_failed),
        cmocka_unit_test(r31_what_is_to_be_closed_is_not_kept_and_what_failed_politely_is),
        cmocka_unit_test(r33_over_the_queue_is_a_429_with_retry_after),
        cmocka_unit_test(r33_a_turn_that_is_not_taken_is_passed_on),
        cmocka_unit_test(r42_a_truncated_tool_call_ends_in_an_error),
        cmocka_unit_test(r10_a_finish_that_found_no_memory_was_not_said),
        cmocka_unit_test(r11_an_error_in_the_stream_is_told_in_the_client_s_dialect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
