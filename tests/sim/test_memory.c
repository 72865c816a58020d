/* SPDX-License-Identifier: MIT
 *
 * test_memory.c - an exchange in which the first call for memory fails, then one in which the second does, and so on until
 * none does: whatever was refused, the client gets a good answer or an error, the upstream gets the client's words or
 * nothing, and all that was held comes back.
 */
#include "tests/sim/memory.h"
#include "tests/sim/pairs.h"
#include "tests/sim/secure.h"

#define CALLS_MAX 4000
#define SECURE_WORDS 3000 /* several times what one turn of the loop receives */
#define SECURE_SEED 1     /* a world whose handshakes are good ones */

static uint32_t strange; /* requests that reached the provider without the client's words */

static void
plan_listens(struct visit *visit)
{
    strange += strcmp(visit->marker, "mark-1") != 0;
    plan_tale(visit, (struct tale){.words = 5, .tool = true}, SIZE_MAX / 2, 0);
}

static void
check_told(struct client *client, uint64_t n, const char *model, bool stream)
{
    enum dialect_spoken dialect = client->dialect;
    bool same = (dialect == SPEAKS_CHAT) == (strcmp(model, "claude") != 0);
    struct answer answer;
    struct telling telling;
    struct sink text;
    if (!client_answer(client, 0, &answer))
        return; /* not even that could be said: the connection has ended */
    client_told(client, 0, &telling);
    bool speechless = answer.status >= 400 && answer.body.len == 0;
    bool cut = client_over(client) && (telling.how == TOLD_OPEN || telling.how == TOLD_NOTHING); /* what can not be said must not look like an end */
    bool refused = answer.status == 503; /* perhaps before the dialect was known */
    sink_init(&text, SIZE_MAX / 2);
    tale_text(&five, &text);
    bool right = telling.how == TOLD_ERROR || speechless || cut || refused;
    if (telling.how == TOLD_WELL)
        right = slice_eq(sink_slice(&telling.text), sink_slice(&text)) && telling.tools == (stream || !same); /* an object as it came has none */
    if (!right) {
        struct slice all = client_heard(client);
        fprintf(stderr, "call %llu, model %s, %s: how %d, %s\n%.*s\n", (unsigned long long)n, model,
                dialect == SPEAKS_CHAT ? "chat" : "messages", (int)telling.how, telling.wrong, SLICE_ARG(all));
    }
    assert_true(right);
    sink_fini(&text);
    telling_fini(&telling);
    answer_fini(&answer);
}

/* One exchange with the n-th call refused; false: there were not so many. */
static bool
one_life(uint64_t n, enum dialect_spoken dialect, const char *model, const struct asking *asking, const char *yaml)
{
    world_open(&world, 1, NULL, yaml);
    for (struct provider *provider = world.providers; provider; provider = provider->next)
        provider_serve(provider, plan_listens);
    uint64_t failed = memory_tally().failed;
    memory_fail_one(n);
    struct client *client = client_connect(&world, dialect);
    struct asking request = *asking;
    request.model = model;
    request.marker = "mark-1";
    client_ask(client, request);
    client_await(client, 1, 100000);
    check_told(client, n, model, asking->stream);
    struct answer second;
    world_run(&world, 10000);
    assert_false(client_answer(client, 1, &second)); /* a body that was not read is no request */
    bool any = memory_tally().failed > failed;
    world_close(&world);
    assert_int_equal(strange, 0);
    return any;
}

static void
every_call(enum dialect_spoken dialect, const char *model, const struct asking *asking, const char *yaml)
{
    uint64_t n = 1;
    while (one_life(n, dialect, model, asking, yaml)) {
        n++;
        assert_true(n < CALLS_MAX);
    }
    assert_true(n > 10); /* something was refused at all */
}

static void
test_streams(void **state)
{
    (void)state;
    FOR_EACH_PAIR
        every_call(CLIENT_OF(pair), MODEL_OF(pair), &(struct asking){.stream = true, .usage = true}, ONE_TRY);
}

static void
test_whole_replies(void **state)
{
    (void)state;
    FOR_EACH_PAIR
        every_call(CLIENT_OF(pair), MODEL_OF(pair), &(struct asking){.stream = false}, ONE_TRY);
}

static void
test_large_requests(void **state)
{
    (void)state;
    FOR_EACH_PAIR
        every_call(CLIENT_OF(pair), MODEL_OF(pair), &(struct asking){.stream = true, .padding = 70000}, ONE_TRY);
}

static void
test_large_requests_in_chunks(void **state)
{
    (void)state;
    FOR_EACH_PAIR
        every_call(CLIENT_OF(pair), MODEL_OF(pair), &(struct asking){.stream = true, .chunked = true, .padding = 70000}, ONE_TRY);
}

static void
test_names_and_second_tries(void **state)
{
    (void)state;
    FOR_EACH_PAIR
        every_call(CLIENT_OF(pair), "pair", &(struct asking){.stream = pair & 2},
                   "# by name\nrouter_settings: {num_retries: 2, cooldown_time: 0}\n");
}

static void
plan_long(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = SECURE_WORDS}, SIZE_MAX / 2, 0);
}

/* A TLS connection in the middle of a move holds bytes of which no edge will tell: without memory it must be asked again at once. */
static bool
one_secure_life(uint64_t n, enum dialect_spoken dialect, const char *model)
{
    struct answer answer;
    world_open(&world, SECURE_SEED, NULL, secure_yaml());
    secure_begin(&world);
    world.closed = secure_end;
    serves(SECURE_CHAT_PORT, plan_long);
    serves(SECURE_CLAUDE_PORT, plan_long);
    uint64_t failed = memory_tally().failed, begun_ms = world_ms(&world);
    memory_fail_one(n);
    struct client *client = asks(dialect, model, true);
    client_await(client, 1, 100000);
    bool any = memory_tally().failed > failed;
    assert_true(client_answer(client, 0, &answer) || any);
    if (world_ms(&world) - begun_ms >= 1000)
        fail_msg("call %llu, model %s: over after %llu ms only", (unsigned long long)n, model,
                 (unsigned long long)(world_ms(&world) - begun_ms));
    assert_true(any || answer.status == 200);
    answer_fini(&answer);
    world_close(&world);
    return any;
}

static void
test_streams_over_tls(void **state)
{
    (void)state;
    if (!secure_yaml())
        skip();
    FOR_EACH_PAIR {
        uint64_t n = 1;
        while (one_secure_life(n, CLIENT_OF(pair), MODEL_OF(pair)))
            assert_true(++n < CALLS_MAX);
        assert_true(n > 30);
    }
}

static void
test_streams_that_are_kept(void **state)
{
    (void)state;
    FOR_EACH_PAIR
        every_call(CLIENT_OF(pair), MODEL_OF(pair), &(struct asking){.stream = true}, ONE_TRY "penstock: {sse: {resume: 10s}}\n");
}

/* Who is called to a place and can not take it for want of memory passes it on. */
static bool
one_turn(uint64_t n)
{
    struct client *clients[3];
    world_open(&world, 1, NULL,
               ONE_TRY "penstock:\n  limits: {upstream_connections: 1, upstream_queue: 5}\n  timeouts: {connect: 60s}\n");
    serves(WORLD_CHAT_PORT, plan_slow);
    for (size_t i = 0; i < countof(clients); i++) {
        clients[i] = asks(SPEAKS_CHAT, "chat", true);
        world_run(&world, 10);
    }
    assert_true(world_stream(&world, 1)->queued);
    uint64_t failed = memory_tally().failed;
    memory_fail_one(n);
    client_reset(clients[0]);
    world_run(&world, 50); /* nobody waits beside a free place: invariants.c */
    bool any = memory_tally().failed > failed;
    for (size_t i = 1; i < countof(clients); i++)
        client_await(clients[i], 1, 100000);
    world_close(&world);
    return any;
}

static void
test_a_turn_that_memory_forbids(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (one_turn(n))
        n++;
    assert_true(n > 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_whole_replies),
        cmocka_unit_test(test_large_requests),
        cmocka_unit_test(test_large_requests_in_chunks),
        cmocka_unit_test(test_names_and_second_tries),
        cmocka_unit_test(test_streams_over_tls),
        cmocka_unit_test(test_streams_that_are_kept),
        cmocka_unit_test(test_a_turn_that_memory_forbids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
