/* SPDX-License-Identifier: MIT
 *
 * test_table.c - the stream table: every row is taken at least once, every state meets every
 * notice, and the document that shows the table is the table.
 *
 *     test_sim_table --print     write docs/stream-table.md to standard output
 */
#include "tests/sim/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---------------------------------------------------------------- reaching a state */

#define PATIENT                                                                                    \
    "router_settings: {cooldown_time: 0, num_retries: 1, routing_strategy: order}\n"               \
    "penstock:\n"                                                                                  \
    "  retry: {base: 100ms, max: 100ms}\n"                                                         \
    "  limits: {queue: 16KiB, upstream_connections: 2, upstream_queue: 1}\n"

static const char *const patient =
    PATIENT "  timeouts: {request: 600s, connect: 200s, first_byte: 200s, idle: 200s, head: 100s, "
            "body: 100s, drain: 100s}\n";
/* The whole exchange ends first. */
static const char *const hasty = PATIENT "  timeouts: {request: 30s, connect: 200s, first_byte: "
                                         "200s, idle: 200s, head: 100s, body: 100s, drain: 100s}\n";
/* The step ends first. */
static const char *const strict =
    PATIENT "  timeouts: {request: 600s, connect: 2s, first_byte: 2s, idle: 2s, head: 2s, body: "
            "2s, client_idle: 2s, drain: 2s, commit: 5s}\n";

struct scene {
    struct world world;
    struct provider *provider;
    struct client *client;
};

static struct scene scene;

static void
plan_half_error(struct visit *visit)
{
    say_text(visit, "HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: "
                    "100\r\n\r\n{\"error\":");
}

static void
plan_head_only(struct visit *visit)
{
    say_text(
        visit,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void
plan_first_word(struct visit *visit)
{
    struct sink body, reply;
    struct tale tale = {.dialect = SPEAKS_CHAT, .marker = "mark", .words = 1};
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    tale_put(&tale, &body);
    reply_put(&reply, 200, "text/event-stream", "", slice_take(sink_slice(&body), 300),
              FRAMED_CHUNKED, 1000);
    say(visit, slice_take(sink_slice(&reply), reply.len - 5)); /* without the last chunk */
    sink_fini(&body);
    sink_fini(&reply);
}

static void
plan_flood(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 3000, .padding = 300}, SIZE_MAX / 2, 0);
}

static void
begin(const char *yaml, provider_plan *plan)
{
    world_open(&scene.world, 1, NULL, yaml);
    scene.provider = world_provider(&scene.world, WORLD_CHAT_PORT);
    provider_serve(scene.provider, plan);
    scene.client = client_connect(&scene.world, SPEAKS_CHAT);
}

static void
end(void)
{
    world_close(&scene.world);
}

static void
ask(bool stream)
{
    client_ask(scene.client,
               (struct asking){.model = "chat", .marker = "mark-1", .stream = stream});
}

static void
pass(uint64_t ms)
{
    world_run(&scene.world, ms);
}

static void
assert_state(enum stream_state state)
{
    if (world_state(&scene.world) != state)
        fprintf(stderr, "in %s, expected %s\n", stream_state_name(world_state(&scene.world)),
                stream_state_name(state));
    assert_int_equal(world_state(&scene.world), state);
}

/* A stream that stays in this state until something happens. */
static void
reach(enum stream_state state, const char *yaml)
{
    static provider_plan *const plans[STATE_COUNT] = {
        [STATE_IDLE] = plan_well,          [STATE_HEAD] = plan_well,
        [STATE_BODY] = plan_well,          [STATE_DIAL] = plan_well,
        [STATE_SEND] = plan_silent,        [STATE_AWAIT] = plan_silent,
        [STATE_COLLECT] = plan_half_error, [STATE_RELAY] = plan_first_word,
        [STATE_STALL] = plan_flood,        [STATE_FINISH] = plan_flood};
    begin(yaml, plans[state]);
    scene.provider->deaf = state == STATE_SEND;
    switch (state) {
    case STATE_IDLE:
        break;
    case STATE_HEAD:
        client_say(scene.client, SLICE_LIT("POST /v1/chat"));
        break;
    case STATE_BODY:
        client_say(
            scene.client,
            SLICE_LIT(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\n{"));
        break;
    case STATE_DIAL:
        sim_black_hole(scene.world.sim, WORLD_CHAT_PORT);
        ask(true);
        break;
    case STATE_SEND:
        client_ask(scene.client,
                   (struct asking){
                       .model = "chat", .marker = "mark-1", .stream = true, .padding = 600000});
        break;
    case STATE_STALL:
    case STATE_FINISH:
        client_stop_reading(scene.client, true);
        ask(state == STATE_STALL);
        break;
    default:
        ask(true);
        break;
    }
    pass(500);
    assert_state(state);
}

/* ---------------------------------------------------------------- what happens to it */

static const enum stream_state states[] = {STATE_IDLE,  STATE_HEAD,  STATE_BODY,    STATE_DIAL,
                                           STATE_SEND,  STATE_AWAIT, STATE_COLLECT, STATE_RELAY,
                                           STATE_STALL, STATE_FINISH};

/* In every state: the client is reset, half-closes, lets all time pass; the step's time ends. */
static void
the_usual(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < countof(states); i++) {
        reach(states[i], patient);
        client_reset(scene.client);
        pass(100);
        assert_state(STATE_CLOSED);
        if (states[i] != STATE_FINISH) /* whose upstream connection is kept */
            assert_int_equal(scene.provider->live, 0);
        end();

        reach(states[i], patient);
        client_half_close(scene.client);
        pass(30000);
        end();

        reach(states[i], hasty); /* commit, pings, the request deadline */
        pass(40000);
        end();

        reach(states[i], strict);
        pass(20000);
        end();
    }
}

/* A notice that has no row is dropped and counted; one that has finds nothing due, because actions
 * look. */
static void
every_notice_in_every_state(void **unused)
{
    static const struct {
        enum stream_state state;
        enum stream_event notice;
    } moves[] = {/* rows that may rightly lead elsewhere although nothing has happened */
                 {STATE_IDLE, EVENT_STEP_DUE},    {STATE_IDLE, EVENT_DRAIN},
                 {STATE_HEAD, EVENT_STEP_DUE},    {STATE_HEAD, EVENT_TOTAL_DUE},
                 {STATE_BODY, EVENT_STEP_DUE},    {STATE_BODY, EVENT_TOTAL_DUE},
                 {STATE_DIAL, EVENT_UPSTREAM_UP}, {STATE_SEND, EVENT_UPSTREAM_SENT}};
    (void)unused;
    for (size_t i = 0; i < countof(states); i++) {
        for (int notice = 0; notice < EVENT_NOTICES; notice++) {
            enum stream_state to = stream_next(states[i], (enum stream_event)notice, NULL);
            reach(states[i], patient);
            _Atomic uint64_t *stale = &scene.world.worker->metrics->stale_notices;
            uint64_t before = *stale;
            stream_post(world_stream(&scene.world, 0), (enum stream_event)notice);
            pass(50);
            bool may_move = notice == EVENT_CLIENT_GONE;
            for (size_t k = 0; k < countof(moves); k++)
                may_move =
                    may_move || (moves[k].state == states[i] && (int)moves[k].notice == notice);
            if (!may_move)
                assert_state(states[i]);
            if (to == STATE_COUNT)
                assert_int_equal(*stale, before + 1);
            client_stop_reading(scene.client, false);
            pass(1000);
            end();
        }
    }
}

/* ---------------------------------------------------------------- what the usual does not meet */

static void
a_request_that_ends_well(void **unused)
{
    (void)unused;
    begin(patient, plan_well);
    ask(true);
    client_await(scene.client, 1, 1000);
    assert_state(STATE_IDLE);
    worker_drain(scene.world.worker, false);
    pass(10);
    assert_state(STATE_CLOSED);
    end();
    begin(patient, plan_well);
    client_ask(scene.client, (struct asking){.model = "chat", .marker = "mark-1", .close = true});
    client_await(scene.client, 1, 1000);
    end();
    begin(patient, plan_well);
    client_say(scene.client, SLICE_LIT("NONSENSE\n\n"));
    client_await(scene.client, 1, 1000);
    end();
    begin(patient, plan_well);
    client_say(scene.client, SLICE_LIT("POST /v1/chat/completions HTTP/1.1\r\nHost: "
                                       "g\r\nContent-Length: 99999999999\r\n\r\n"));
    client_await(scene.client, 1, 1000);
    client_expect(scene.client, 0, 413, TOLD_ERROR, NULL);
    end();
}

static void
plan_sse_error(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 0, .end = TALE_ERROR_EVENT}, SIZE_MAX / 2, 0);
}

static void
plan_garbage(struct visit *visit)
{
    say_text(visit, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                    "chunked\r\n\r\nzz\r\n");
}

static void
plan_too_large(struct visit *visit)
{
    say_text(
        visit,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n");
}

static void
plan_400(struct visit *visit)
{
    plan_status(visit, 400, "",
                "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\"}}");
}

static void
plan_bad_then_wait(struct visit *visit)
{
    wait_ms(visit, 15000); /* past the early commit */
    visit->provider->plan =
        visit->provider->user ? (provider_plan *)(uintptr_t)visit->provider->user : plan_well;
    say_text(visit, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    say_end(visit, STEP_NEXT);
}

/* Before the commit point: once more, or a refusal, from each of the states in between. */
static void
failures_before_the_commit_point(void **unused)
{
    static provider_plan *const plans[] = {plan_reset,      plan_garbage,   plan_400,
                                           plan_half_error, plan_sse_error, plan_too_large};
    (void)unused;
    for (size_t i = 0; i < countof(plans); i++) {
        for (int stream = 0; stream < 2; stream++) {
            begin(strict, plans[i]);
            ask(stream);
            client_await(scene.client, 1, 600000);
            end();
        }
    }
    begin(strict, plan_well);
    provider_refuse(scene.provider);
    ask(true);
    client_await(scene.client, 1, 60000);
    client_expect(scene.client, 0, 503, TOLD_ERROR, NULL);
    end();
    begin(strict, plan_bad_then_wait);
    ask(true);
    client_await(scene.client, 1, 60000);
    end();
    begin(patient, plan_bad_then_wait);
    ask(true);
    client_await(scene.client, 1, 60000);
    client_expect(scene.client, 0, 200, TOLD_ERROR, NULL);
    end();
    begin(patient, plan_head_only); /* committed in RELAY, without a word from the upstream */
    ask(true);
    pass(15000);
    assert_state(STATE_RELAY);
    end();
}

/* The whole exchange may be over before a commit was due. */
static void
the_request_deadline_before_the_commit_point(void **unused)
{
    static provider_plan *const plans[] = {plan_silent, plan_half_error, plan_head_only};
    (void)unused;
    for (size_t i = 0; i < countof(plans); i++) {
        begin(PATIENT "  timeouts: {request: 30s, connect: 200s, first_byte: 200s, idle: 200s, "
                      "commit: 100s}\n",
              plans[i]);
        ask(true);
        client_await(scene.client, 1, 60000);
        client_expect(scene.client, 0, 504, TOLD_ERROR, "request_timeout");
        end();
    }
}

static void
plan_early_error(struct visit *visit)
{
    say_text(visit, "HTTP/1.1 413 Too large\r\nContent-Type: application/json\r\nContent-Length: "
                    "11\r\n\r\n{\"error\":1}");
}

static void
plan_early_reset(struct visit *visit)
{
    wait_ms(visit, 5);
    say_end(visit, STEP_RESET);
}

static void
plan_early_stream(struct visit *visit)
{
    visit->streams = true;
    say_text(visit,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    wait_ms(visit, 100);
    say_text(visit, "data: "
                    "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"
                    "\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    say_end(visit, STEP_FIN);
}

static void
plan_early_and_gone(struct visit *visit)
{
    say_text(visit, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
                    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                    "\"x\"},\"finish_reason\":\"stop\"}]}");
    say_end(visit, STEP_FIN);
}

/* A request that is too large for the way to the upstream. */
static void
while_the_request_is_sent(void **unused)
{
    static provider_plan *const plans[] = {plan_early_error, plan_early_reset, plan_early_stream,
                                           plan_early_and_gone};
    (void)unused;
    for (size_t i = 0; i < countof(plans); i++) {
        begin(patient, plans[i]);
        scene.provider->deaf = scene.provider->early = true;
        client_ask(scene.client,
                   (struct asking){
                       .model = "chat", .marker = "mark-1", .stream = true, .padding = 600000});
        client_await(scene.client, 1, 60000);
        if (plans[i] == plan_early_stream || plans[i] == plan_early_and_gone)
            client_expect(scene.client, 0, 200, TOLD_WELL, NULL);
        end();
    }
    /* The pool runs dry in the middle of sending: no retry can help. */
    for (int committed = 0; committed < 2; committed++) {
        reach(STATE_SEND, patient);
        pass(committed ? 15000 : 1);
        struct stream *stream = world_stream(&scene.world, 0);
        stream_fail(stream, -ERR_MEMORY);
        stream_post(stream, EVENT_STEP_DUE);
        client_await(scene.client, 1, 1000);
        client_expect(scene.client, 0, committed ? 200 : 503, TOLD_ERROR,
                      committed ? "out_of_memory" : NULL);
        end();
    }
}

/* Queued for a place at the upstream: called, refused, timed out. */
static void
the_queue(void **unused)
{
    (void)unused;
    struct client *clients[4];
    begin(patient, plan_slow);
    clients[0] = scene.client;
    for (int i = 1; i < 4; i++)
        clients[i] = client_connect(&scene.world, SPEAKS_CHAT);
    for (int i = 0; i < 4; i++) {
        client_ask(clients[i],
                   (struct asking){.model = "chat", .marker = "mark-1", .stream = true});
        pass(1);
    }
    client_await(clients[3], 1, 5000);
    client_expect(clients[3], 0, 429, TOLD_ERROR, "queue_full");
    for (int i = 0; i < 3; i++) {
        client_await(clients[i], 1, 60000);
        client_expect(clients[i], 0, 200, TOLD_WELL, NULL);
    }
    end();
}

/* Whoever can not count is not asked twice: an estimate is the answer, whatever the state it failed
 * in. */
static void
counting_tokens(void **unused)
{
    static provider_plan *const plans[] = {plan_well, plan_400, plan_half_error, plan_reset};
    (void)unused;
    for (size_t i = 0; i < countof(plans); i++) {
        begin(strict, plan_well);
        struct provider *claude = world_provider(&scene.world, WORLD_CLAUDE_PORT);
        provider_serve(claude, plans[i]);
        struct client *client = client_connect(&scene.world, SPEAKS_MESSAGES);
        client_ask(client, (struct asking){.model = i == 0 ? "chat" : "claude",
                                           .marker = "mark-1",
                                           .count_tokens = true});
        client_await(client, 1, 60000);
        struct answer answer;
        assert_true(client_answer(client, 0, &answer));
        assert_int_equal(answer.status, 200);
        assert_true(slice_present(raw_find(sink_slice(&answer.body), "input_tokens")));
        answer_fini(&answer);
        end();
    }
    /* A failure of our own while the upstream is awaited or written to. */
    for (int sending = 0; sending < 2; sending++) {
        begin(patient, plan_silent);
        struct provider *claude = world_provider(&scene.world, WORLD_CLAUDE_PORT);
        claude->deaf = sending;
        provider_serve(claude, plan_silent);
        struct client *client = client_connect(&scene.world, SPEAKS_MESSAGES);
        client_ask(client, (struct asking){.model = "claude",
                                           .marker = "mark-1",
                                           .count_tokens = true,
                                           .padding = sending ? 600000 : 0});
        pass(100);
        struct stream *stream = world_stream(&scene.world, 1);
        assert_int_equal(stream->state, sending ? STATE_SEND : STATE_AWAIT);
        stream_fail(stream, -ERR_MEMORY);
        stream_post(stream, EVENT_STEP_DUE);
        client_await(client, 1, 1000);
        end();
    }
}

static void
a_client_that_does_not_read(void **unused)
{
    (void)unused;
    reach(STATE_STALL, patient);
    client_stop_reading(scene.client, false);
    client_await(scene.client, 1, 60000);
    client_expect(scene.client, 0, 200, TOLD_WELL, NULL);
    end();
    reach(STATE_FINISH, patient);
    client_stop_reading(scene.client, false);
    client_await(scene.client, 1, 60000);
    client_expect(scene.client, 0, 200, TOLD_WELL, NULL);
    end();
}

/* A local answer that visits the other workers; a wish for bytes that are not there. */
static void
the_rest(void **unused)
{
    (void)unused;
    begin(patient, plan_well);
    client_say(scene.client, SLICE_LIT("GET /debug/streams HTTP/1.1\r\nHost: g\r\n\r\n"));
    client_await(scene.client, 1, 1000);
    end();
    reach(STATE_IDLE, patient);
    stream_post(world_stream(&scene.world, 0), EVENT_CLIENT_BYTES);
    pass(10);
    assert_state(STATE_IDLE);
    client_half_close(scene.client);
    pass(10);
    assert_state(STATE_CLOSED);
    end();
    /* The queue is full, but not full enough for an edge: EMPTY is what comes. */
    reach(STATE_STALL, patient);
    struct stream *stream = world_stream(&scene.world, 0);
    stream->client->was_high = false;
    client_stop_reading(scene.client, false);
    client_await(scene.client, 1, 60000);
    client_expect(scene.client, 0, 200, TOLD_WELL, NULL);
    end();
}

/* ---------------------------------------------------------------- coverage */

static void
every_row_was_taken(void **unused)
{
    int rows = 0, missing = 0;
    (void)unused;
    for (int state = 0; state < STATE_COUNT; state++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            if (stream_next((enum stream_state)state, (enum stream_event)event, NULL) ==
                STATE_COUNT)
                continue;
            rows++;
            if (world_covered((enum stream_state)state, (enum stream_event)event))
                continue;
            missing++;
            fprintf(stderr, "never taken: %s | %s\n", stream_state_name((enum stream_state)state),
                    stream_event_name((enum stream_event)event));
        }
    }
    print_message("%d rows, %d never taken\n", rows, missing);
    assert_int_equal(missing, 0);
}

/* ---------------------------------------------------------------- the document */

static void
put_table(struct sink *out)
{
    sink_text(out, "# The stream table\n\n"
                   "What a stream does in each state about each event, and where that leads. "
                   "Notices come from connections and\n"
                   "deadlines; verdicts are what actions answer. A notice without a row is stale: "
                   "it is dropped and counted. Written by\n"
                   "`test_sim_table --print`; a test compares it with gateway/stream.c, and "
                   "another takes every row.\n");
    for (int state = 0; state < STATE_CLOSED; state++) {
        sink_printf(out, "\n## %s\n\n| event | | action | leads to |\n| --- | --- | --- | --- |\n",
                    stream_state_name((enum stream_state)state));
        for (int event = 0; event < EVENT_COUNT; event++) {
            const char *action;
            enum stream_state to =
                stream_next((enum stream_state)state, (enum stream_event)event, &action);
            if (to != STATE_COUNT)
                sink_printf(
                    out, "| %s | %s | %s | %s |\n", stream_event_name((enum stream_event)event),
                    event < EVENT_NOTICES ? "notice" : "verdict", action, stream_state_name(to));
        }
    }
}

static void
the_document_shows_the_table(void **unused)
{
    const char *root = getenv("PENSTOCK_SOURCE_ROOT");
    char path[4096], found[65536];
    struct sink text;
    (void)unused;
    snprintf(path, sizeof path, "%s/docs/stream-table.md", root ? root : ".");
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(found, 1, sizeof found, file);
    fclose(file);
    sink_init(&text, 1u << 20);
    put_table(&text);
    if (len != text.len || memcmp(found, text.ptr, len) != 0)
        print_message(
            "docs/stream-table.md is out of date: test_sim_table --print > docs/stream-table.md\n");
    assert_int_equal(len, text.len);
    assert_memory_equal(found, text.ptr, len);
    sink_fini(&text);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual),
        cmocka_unit_test(every_notice_in_every_state),
        cmocka_unit_test(a_request_that_ends_well),
        cmocka_unit_test(failures_before_the_commit_point),
        cmocka_unit_test(the_request_deadline_before_the_commit_point),
        cmocka_unit_test(while_the_request_is_sent),
        cmocka_unit_test(the_queue),
        cmocka_unit_test(counting_tokens),
        cmocka_unit_test(a_client_that_does_not_read),
        cmocka_unit_test(the_rest),
        cmocka_unit_test(every_row_was_taken),
        cmocka_unit_test(the_document_shows_the_table),
    };
    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        struct sink text;
        sink_init(&text, 1u << 20);
        put_table(&text);
        printf("%.*s", SLICE_ARG(sink_slice(&text)));
        sink_fini(&text);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
