/* SPDX-License-Identifier: MIT
 *
 * test_relays.c - what is carried unread, and several prompts in one request: bytes, statuses and endings, in quiet worlds
 * and in many stormy ones.
 *
 *     PENSTOCK_SIM_SEED=seed   this stormy world only: what a failure prints
 */
#include "tests/sim/pairs.h"

#define WORLDS 1500
#define TWO_TRIES "router_settings: {num_retries: 2, cooldown_time: 0, retry_after: 0}\n"

/* ---------------------------------------------------------------- bodies */

static struct {
    int status;
    const char *type;
    enum reply_framing framing;
    size_t len, cut, chunk, piece; /* cut: bytes of the body that come before the connection breaks; 0: all do */
    enum step_kind end;
    uint64_t gap_ms;
    int failures; /* of the first tries */
    enum step_kind failure;
} plan;

static void
put_bytes(struct sink *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sink_byte(out, (char)(i * 131 + (i >> 8) * 7));
}

static void
plan_bytes(struct visit *visit)
{
    struct sink body, reply;
    if (plan.failures > 0) {
        plan.failures--;
        if (plan.failure == STEP_NEXT)
            plan_status(visit, 500, "", "{\"error\":{\"message\":\"not now\"}}");
        else
            say_end(visit, plan.failure);
        return;
    }
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    put_bytes(&body, plan.len);
    reply_put(&reply, plan.status, plan.type, "x-request-id: up-7\r\n", sink_slice(&body), plan.framing, plan.chunk);
    struct slice said = sink_slice(&reply);
    if (plan.cut > 0)
        said = slice_take(said, said.len - (plan.len - plan.cut));
    say_paced(visit, said, plan.piece, plan.gap_ms);
    say_end(visit, plan.framing == FRAMED_CLOSE && plan.end == STEP_NEXT ? STEP_FIN : plan.end);
    sink_fini(&body);
    sink_fini(&reply);
}

static void
plan_reset_to(void)
{
    memset(&plan, 0, sizeof plan);
    plan.status = 200;
    plan.type = "audio/mpeg";
    plan.framing = FRAMED_CHUNKED;
    plan.len = 100000;
    plan.chunk = 3000;
    plan.piece = SIZE_MAX / 2;
    plan.end = STEP_NEXT;
}

static void
open_world(const char *yaml)
{
    world_open(&world, 1, NULL, yaml);
    plan_reset_to();
    serves(WORLD_CHAT_PORT, plan_bytes);
}

static void
say_request(struct client *client, const char *line, const char *fields, struct slice body)
{
    struct sink text;
    sink_init(&text, SIZE_MAX / 2);
    sink_printf(&text, "%s\r\nHost: g\r\n%sContent-Length: %zu\r\n\r\n", line, fields, body.len);
    sink_put(&text, body);
    client_say(client, sink_slice(&text));
    sink_fini(&text);
}

#define SPEECH "{\"input\":\"hi\", \"model\" : \"chat\",\"voice\":\"alloy\"}"

static struct client *
speak(const char *version)
{
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    char line[64];
    snprintf(line, sizeof line, "POST /v1/audio/speech HTTP/%s", version);
    say_request(client, line, "Content-Type: application/json\r\n", SLICE_LIT(SPEECH));
    return client;
}

static struct visit *
last_visit(void)
{
    struct visit *visit = world_provider(&world, WORLD_CHAT_PORT)->visits;
    assert_non_null(visit);
    return visit;
}

static void
expect_bytes(struct client *client, uint32_t n, int status, size_t len, bool complete)
{
    struct answer answer;
    struct sink body;
    sink_init(&body, SIZE_MAX / 2);
    put_bytes(&body, plan.len);
    assert_true(client_answer(client, n, &answer));
    assert_int_equal(answer.status, status);
    assert_null(answer.wrong);
    assert_int_equal(answer.complete, complete);
    assert_int_equal(answer.body.len, len);
    assert_memory_equal(answer.body.ptr ? answer.body.ptr : "", body.ptr ? body.ptr : "", len);
    sink_fini(&body);
    answer_fini(&answer);
}

static void
expect_error(struct client *client, uint32_t n, int status, const char *words)
{
    struct answer answer;
    assert_true(client_answer(client, n, &answer));
    assert_int_equal(answer.status, status);
    struct slice message = raw_find(sink_slice(&answer.body), "error.message");
    assert_true(slice_present(message));
    if (words && !memmem(message.ptr, message.len, words, strlen(words)))
        fail_msg("%.*s", SLICE_ARG(message));
    answer_fini(&answer);
}

/* ---------------------------------------------------------------- bytes */

static void
bytes_pass_in_every_framing(void **unused)
{
    static const size_t lengths[] = {0, 1, 5000, 400000};
    (void)unused;
    for (size_t k = 0; k < countof(lengths); k++) {
        for (int framing = FRAMED_CHUNKED; framing <= FRAMED_CLOSE; framing++) {
            open_world(ONE_TRY);
            plan.len = lengths[k];
            plan.framing = (enum reply_framing)framing;
            plan.status = 201;
            struct client *client = speak("1.1");
            client_await(client, 1, 1000);
            expect_bytes(client, 0, 201, plan.len, true);
            struct answer answer;
            assert_true(client_answer(client, 0, &answer));
            assert_true(slice_is(answer_field(&answer, "content-type"), "audio/mpeg"));
            assert_true(slice_is(answer_field(&answer, "x-upstream-request-id"), "up-7"));
            assert_int_equal(slice_present(answer_field(&answer, "content-length")), framing == FRAMED_LENGTH);
            answer_fini(&answer);
            struct visit *visit = last_visit();
            assert_true(slice_is(visit->target, "/v1/audio/speech"));
            assert_true(slice_is(visit->body, "{\"input\":\"hi\", \"model\" : \"up-chat\",\"voice\":\"alloy\"}"));
            say_request(client, "GET /health HTTP/1.1", "", SLICE_LIT("")); /* the connection is still good */
            client_await(client, 2, 1000);
            world_close(&world);
        }
    }
}

/* Half of the bytes, then the end of the connection: no client may take it for the whole. */
static void
a_reply_cut_short_never_ends_well(void **unused)
{
    (void)unused;
    for (int framing = FRAMED_CHUNKED; framing <= FRAMED_LENGTH; framing++) {
        for (int end = STEP_FIN; end <= STEP_RESET; end++) {
            for (int version = 0; version <= 1; version++) {
                open_world(ONE_TRY);
                plan.framing = (enum reply_framing)framing;
                plan.cut = 40000;
                plan.piece = 10000;
                plan.gap_ms = 10;
                plan.end = (enum step_kind)end;
                struct client *client = speak(version ? "1.1" : "1.0");
                client_await(client, 1, 1000);
                struct answer answer;
                if (client_answer(client, 0, &answer)) {
                    assert_int_equal(answer.status, 200);
                    assert_true(!answer.complete || client->reset);
                    answer_fini(&answer);
                } else {
                    assert_true(client->reset);
                }
                assert_int_equal(atomic_load(&world.worker->metrics->ends[END_UPSTREAM_ERROR]), 1);
                world_close(&world);
            }
        }
    }
}

static void
a_reset_ends_a_reply_that_only_its_end_delimits(void **unused)
{
    (void)unused;
    open_world(ONE_TRY);
    plan.framing = FRAMED_CLOSE;
    plan.cut = 40000;
    plan.piece = 10000;
    plan.gap_ms = 10;
    plan.end = STEP_RESET;
    struct client *client = speak("1.1");
    client_await(client, 1, 1000);
    struct answer answer;
    assert_true(client_answer(client, 0, &answer));
    assert_int_equal(answer.status, 200);
    assert_false(answer.complete);
    answer_fini(&answer);
    world_close(&world);
}

static void
a_slow_reader_stalls_the_upstream_and_loses_nothing(void **unused)
{
    (void)unused;
    open_world(ONE_TRY "penstock: {timeouts: {drain: 100s, idle: 100s}}\n");
    plan.len = 3000000;
    struct client *client = speak("1.1");
    client_stop_reading(client, true);
    world_run(&world, 5000);
    assert_int_equal(world_state(&world), STATE_STALL);
    client_stop_reading(client, false);
    client_await(client, 1, 10000);
    expect_bytes(client, 0, 200, plan.len, true);
    world_close(&world);
}

static void
what_fails_before_the_first_byte_is_tried_again(void **unused)
{
    static const enum step_kind failures[] = {STEP_NEXT, STEP_RESET, STEP_FIN};
    (void)unused;
    for (size_t i = 0; i < countof(failures); i++) {
        open_world(TWO_TRIES);
        plan.failures = 2;
        plan.failure = failures[i];
        struct client *client = speak("1.1");
        client_await(client, 1, 60000);
        expect_bytes(client, 0, 200, plan.len, true);
        assert_int_equal(field_of(client, 0, "x-penstock-attempts"), 3);
        world_close(&world);
    }
    open_world(TWO_TRIES);
    plan.failures = 9;
    struct client *client = speak("1.1");
    plan.failure = STEP_NEXT;
    client_await(client, 1, 60000);
    expect_error(client, 0, 500, "not now");
    world_close(&world);
}

static void
a_client_that_leaves_ends_it_upstream(void **unused)
{
    (void)unused;
    open_world(ONE_TRY);
    plan.piece = 1000;
    plan.gap_ms = 1000;
    struct client *client = speak("1.1");
    world_run(&world, 5000);
    assert_int_equal(world_provider(&world, WORLD_CHAT_PORT)->live, 1);
    client_leave(client);
    world_run(&world, 1100);
    assert_int_equal(world_provider(&world, WORLD_CHAT_PORT)->live, 0);
    world_close(&world);
}

/* Nothing may be written into these bytes: the question after a FIN is asked in the framing around them. */
static void
a_fin_is_asked_about(void **unused)
{
    (void)unused;
    for (int leaves = 0; leaves < 2; leaves++) {
        open_world(ONE_TRY "penstock: {timeouts: {idle: 300s}}\n");
        plan.piece = 50000;
        plan.gap_ms = 100000;
        struct client *client = speak("1.1");
        world_run(&world, 1000);
        assert_int_equal(world_state(&world), STATE_RELAY);
        if (leaves)
            client_leave(client);
        else
            client_half_close(client);
        world_run(&world, 200);
        assert_int_equal(world_provider(&world, WORLD_CHAT_PORT)->live, !leaves);
        if (!leaves) {
            client_await(client, 1, 400000);
            expect_bytes(client, 0, 200, plan.len, true);
        }
        world_close(&world);
    }
}

static void
an_idle_upstream_is_not_waited_for(void **unused)
{
    (void)unused;
    open_world(ONE_TRY "penstock: {timeouts: {idle: 5s}}\n");
    plan.piece = 50000;
    plan.gap_ms = 60000;
    struct client *client = speak("1.1");
    client_await(client, 1, 20000);
    struct answer answer;
    assert_true(client_answer(client, 0, &answer));
    assert_false(answer.complete);
    answer_fini(&answer);
    world_close(&world);
}

/* ---------------------------------------------------------------- which upstream */

#define FORM                                                                                                                   \
    "preamble\r\n--b7\r\nContent-Disposition: form-data; filename=\"model\"; name=\"file\"\r\nContent-Type: audio/wav\r\n\r\n"   \
    "RIFF\r\n--b6\r\nmodel\r\n\r\n--b7\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n"
#define FORM_END "\r\n--b7--\r\n"
#define FORM_TYPE "Content-Type: multipart/form-data; charset=utf-8; boundary=\"b7\"\r\n"

static void
a_form_keeps_all_but_its_model(void **unused)
{
    (void)unused;
    open_world(ONE_TRY);
    plan.type = "application/json";
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    say_request(client, "POST /v1/audio/transcriptions HTTP/1.1", FORM_TYPE, SLICE_LIT(FORM "chat" FORM_END));
    client_await(client, 1, 1000);
    expect_bytes(client, 0, 200, plan.len, true);
    assert_true(slice_is(last_visit()->body, FORM "up-chat" FORM_END));
    assert_true(memmem(last_visit()->request.ptr, last_visit()->request.len, FORM_TYPE, strlen(FORM_TYPE)) != NULL);
    world_close(&world);
}

static void
requests_that_go_nowhere(void **unused)
{
    static const struct {
        const char *line, *fields, *body;
        int status;
        const char *words;
    } rows[] = {
        {"POST /v1/embeddings HTTP/1.1", "Content-Type: application/json\r\n", "{\"model\":\"nobody\",\"input\":1}", 404, "not found"},
        {"POST /v1/embeddings HTTP/1.1", "Content-Type: application/json\r\n", "{\"model\":\"claude\",\"input\":1}", 404, "has no /v1/embeddings"},
        {"POST /v1/embeddings HTTP/1.1", "Content-Type: application/json\r\n", "{\"model\":7}", 400, "model must be a string"},
        {"POST /v1/embeddings HTTP/1.1", "Content-Type: application/json\r\n", "{\"model\":\"chat\",\"model\":\"chat\"}", 400, "repeated"},
        {"POST /v1/embeddings HTTP/1.1", "Content-Type: application/json\r\n", "[1,", 400, "not valid JSON"},
        {"POST /v1/embeddings HTTP/1.1", "Content-Type: application/json\r\n", "{\"input\":1}", 400, "name a model"},
        {"POST /v1/audio/translations HTTP/1.1", FORM_TYPE, "no form", 400, "multipart"},
        {"POST /v1/audio/translations HTTP/1.1", FORM_TYPE, FORM, 400, "multipart"},
        {"GET /v1/files HTTP/1.1", "", "", 400, "name a model"},
        {"GET /v1/files/../keys HTTP/1.1", "", "", 404, NULL},
        {"GET /v1/files/a%2fb HTTP/1.1", "", "", 404, NULL},
        {"GET /v1/embeddings HTTP/1.1", "", "", 405, NULL},
        {"DELETE /v1/files HTTP/1.1", "", "", 405, NULL},
    };
    (void)unused;
    for (size_t i = 0; i < countof(rows); i++) {
        open_world(ONE_TRY);
        struct client *client = client_connect(&world, SPEAKS_CHAT);
        say_request(client, rows[i].line, rows[i].fields, slice_from(rows[i].body));
        client_await(client, 1, 1000);
        expect_error(client, 0, rows[i].status, rows[i].words);
        assert_int_equal(world_provider(&world, WORLD_CHAT_PORT)->connections, 0);
        world_close(&world);
    }
}

static void
files_find_an_upstream(void **unused)
{
    static const struct {
        const char *line, *fields, *target;
    } rows[] = {
        {"GET /v1/files?model=chat&purpose=batch&key=secret HTTP/1.1", "", "/v1/files?purpose=batch"},
        {"GET /v1/files?%6bey=secret&a=%26b&&mode%6C=chat HTTP/1.1", "", "/v1/files?a=%26b"},
        {"GET /v1/files/file-7/content HTTP/1.1", "X-Penstock-Model: chat\r\n", "/v1/files/file-7/content"},
        {"DELETE /v1/files/file-7 HTTP/1.1", "X-Penstock-Model: chat\r\n", "/v1/files/file-7"},
        {"POST /v1/files HTTP/1.1", FORM_TYPE "X-Penstock-Model: chat\r\n", "/v1/files"},
    };
    (void)unused;
    for (size_t i = 0; i < countof(rows); i++) {
        open_world(ONE_TRY);
        struct client *client = client_connect(&world, SPEAKS_CHAT);
        bool form = strncmp(rows[i].line, "POST", 4) == 0;
        struct slice body = form ? SLICE_LIT("--b7\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b7--\r\n") : SLICE_LIT("");
        say_request(client, rows[i].line, rows[i].fields, body);
        client_await(client, 1, 1000);
        expect_bytes(client, 0, 200, plan.len, true);
        assert_true(slice_is(last_visit()->target, rows[i].target));
        assert_true(slice_eq(last_visit()->body, body));
        world_close(&world);
    }
    open_world("model_list:\n"
               "  - {model_name: a, litellm_params: {model: openai/a, api_base: 'http://127.0.0.1:9001/v1'}}\n"
               "  - {model_name: b, litellm_params: {model: openai/b, api_base: 'http://127.0.0.1:9001/v1'}}\n");
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    say_request(client, "GET /v1/files HTTP/1.1", "", SLICE_LIT("")); /* two models, but one place */
    client_await(client, 1, 1000);
    expect_bytes(client, 0, 200, plan.len, true);
    world_close(&world);
}

/* Paths made of pieces that mean something: each gets one answer, and nothing that was not named is reached. */
static void
any_path_is_answered(void **unused)
{
    static const char *const pieces[] = {
        "/v1", "/v1beta", "/v1/", "/openai", "/models", "/models/", "/projects/", "p", "/locations/l", "/publishers/", "anthropic", "google",
        "/models/chat", ":generateContent", ":streamGenerateContent", ":rawPredict", ":countTokens", ":embedContent", ":", "count-tokens",
        "/files", "/files/f-1", "/content", "/responses/r", "/cancel", "%2F", "%00", "%zz", "%", "..", "/./", "?", "key=k", "&", "alt=sse",
        "model=chat", "=", "/embeddings", "/messages", "/chat/completions", "/rerank", "/v2", "//", "/health", "chat"};
    static const char *const methods[] = {"GET", "POST", "DELETE", "HEAD", "PUT"};
    static const char *const bodies[] = {"{}", "{\"model\":\"chat\"}", "[", "{\"model\":\"chat\",\"messages\":[{\"role\":\"user\",\"content\":\"mark-1\"}],\"max_tokens\":5}"};
    (void)unused;
    world_open(&world, 7, NULL, ONE_TRY);
    serves(WORLD_CHAT_PORT, plan_well);
    for (int i = 0; i < 4000; i++) {
        char line[512];
        size_t len = (size_t)snprintf(line, sizeof line, "%s /", methods[sim_random(world.sim) % countof(methods)]);
        for (uint64_t n = sim_random(world.sim) % 8; n > 0; n--)
            len += (size_t)snprintf(line + len, sizeof line - len, "%s", pieces[sim_random(world.sim) % countof(pieces)]);
        snprintf(line + len, sizeof line - len, " HTTP/1.1");
        struct client *client = client_connect(&world, SPEAKS_CHAT);
        bool head = line[0] == 'H';
        say_request(client, line, "Content-Type: application/json\r\nConnection: close\r\n",
                    slice_from(bodies[sim_random(world.sim) % countof(bodies)]));
        world_run(&world, 200);
        if (!client_over(client) && !head)
            fail_msg("%s: no answer", line);
        struct slice heard = client_heard(client);
        if (!slice_starts(heard, SLICE_LIT("HTTP/1.1 2")) && !slice_starts(heard, SLICE_LIT("HTTP/1.1 4")))
            fail_msg("%s: %.*s", line, SLICE_ARG(slice_take(heard, 300)));
        client_leave(client);
    }
    world_close(&world);
}

/* ---------------------------------------------------------------- prompts */

#define PROMPTS "{\"model\":\"%s\",\"prompt\":[\"mark-a\",\"mark-b\",\"mark-c\"],\"stream\":%s,\"stream_options\":{\"include_usage\":true}}"

static struct client *
complete(const char *model, bool stream)
{
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    char body[256];
    snprintf(body, sizeof body, PROMPTS, model, stream ? "true" : "false");
    if (!stream)
        snprintf(body, sizeof body, "{\"model\":\"%s\",\"prompt\":[\"mark-a\",\"mark-b\",\"mark-c\"]}", model);
    say_request(client, "POST /v1/completions HTTP/1.1", "Content-Type: application/json\r\n", slice_from(body));
    return client;
}

static const char *const marks[] = {"mark-a", "mark-b", "mark-c"};

static void
expect_whole_prompts(struct client *client, int words)
{
    struct answer answer;
    assert_true(client_answer(client, 0, &answer));
    assert_int_equal(answer.status, 200);
    for (int i = 0; i < 3; i++) {
        struct sink text;
        char path[32];
        sink_init(&text, 65536);
        tale_text(&(struct tale){.marker = marks[i], .words = words}, &text);
        snprintf(path, sizeof path, "choices.%d.text", i);
        assert_true(slice_eq(raw_text(raw_find(sink_slice(&answer.body), path)), sink_slice(&text)));
        sink_fini(&text);
    }
    assert_true(slice_is(raw_find(sink_slice(&answer.body), "usage.completion_tokens"), "33"));
    assert_true(slice_is(raw_find(sink_slice(&answer.body), "usage.prompt_tokens"), "21"));
    answer_fini(&answer);
}

/* The text of one choice of a streamed reply, and how often the stream ended. */
static int
streamed_text(struct slice body, int choice, struct sink *text)
{
    int ends = 0;
    char index[16];
    snprintf(index, sizeof index, "%d", choice);
    while (body.len > 0) {
        const char *line = memchr(body.ptr, '\n', body.len);
        struct slice one = line ? slice_of(body.ptr, (size_t)(line - body.ptr)) : body;
        body = slice_skip(body, one.len + 1);
        if (!slice_starts(one, SLICE_LIT("data: ")))
            continue;
        one = slice_skip(one, 6);
        ends += slice_is(one, "[DONE]");
        if (slice_is(raw_find(one, "choices.0.index"), index))
            sink_put(text, raw_text(raw_find(one, "choices.0.text")));
    }
    return ends;
}

static void
each_prompt_is_answered_in_turn(void **unused)
{
    static const char *const models[] = {"chat", "claude"};
    (void)unused;
    for (size_t m = 0; m < countof(models); m++) {
        world_open(&world, 1, NULL, ONE_TRY);
        struct client *client = complete(models[m], false);
        client_await(client, 1, 1000);
        expect_whole_prompts(client, 5);
        assert_int_equal(field_of(client, 0, "x-penstock-attempts"), 1);
        client = complete(models[m], true);
        client_await(client, 1, 1000);
        struct answer answer;
        assert_true(client_answer(client, 0, &answer));
        assert_true(answer.complete);
        for (int i = 0; i < 3; i++) {
            struct sink text, wanted;
            sink_init(&text, 65536);
            sink_init(&wanted, 65536);
            tale_text(&(struct tale){.marker = marks[i], .words = 5}, &wanted);
            assert_int_equal(streamed_text(sink_slice(&answer.body), i, &text), 1);
            assert_true(slice_eq(sink_slice(&text), sink_slice(&wanted)));
            sink_fini(&text);
            sink_fini(&wanted);
        }
        assert_true(memmem(answer.body.ptr, answer.body.len, "\"completion_tokens\":33", 22) != NULL);
        answer_fini(&answer);
        world_close(&world);
    }
}

static void
plan_fails_at_the_second(struct visit *visit)
{
    if (strcmp(visit->marker, "mark-b") == 0 && plan.failures-- > 0)
        say_end(visit, STEP_RESET);
    else
        plan_well(visit);
}

/* Before anything was sent it begins anew; afterwards the failure is told in the stream. */
static void
a_prompt_that_fails(void **unused)
{
    (void)unused;
    open_world(TWO_TRIES);
    struct provider *provider = serves(WORLD_CHAT_PORT, plan_fails_at_the_second);
    plan.failures = 2; /* the first looks like a kept connection that was closed */
    struct client *client = complete("chat", false);
    client_await(client, 1, 60000);
    expect_whole_prompts(client, 5);
    assert_int_equal(field_of(client, 0, "x-penstock-attempts"), 2);
    assert_int_equal(provider->requests, 1 + 2 + 3);
    world_close(&world);

    open_world(TWO_TRIES);
    serves(WORLD_CHAT_PORT, plan_fails_at_the_second);
    plan.failures = 1; /* on a new connection the same prompt is asked again, and what is told stays told */
    client = complete("chat", true);
    client_await(client, 1, 60000);
    struct answer answer;
    struct sink text;
    sink_init(&text, 65536);
    assert_true(client_answer(client, 0, &answer));
    assert_true(answer.complete);
    streamed_text(sink_slice(&answer.body), 0, &text);
    assert_true(memmem(answer.body.ptr, answer.body.len, "\"error\"", 7) != NULL);
    assert_int_equal(text.len, strlen("mark-a:0 ") * 5);
    sink_fini(&text);
    answer_fini(&answer);
    world_close(&world);
}

/* ---------------------------------------------------------------- weather */

/* Whatever happens: the whole of the bytes, or something that no client takes for it. */
static void
stormy_world(uint64_t seed)
{
    struct sim_faults faults = {.short_read = 100, .short_write = 100, .again = 100, .late_event = 50, .memory = (unsigned)(seed % 3 == 0),
                                .reset = (unsigned)(seed % 4), .connect_refused = (unsigned)(seed % 5 * 10)};
    world_open(&world, seed, &faults, TWO_TRIES);
    plan_reset_to();
    plan.len = sim_random(world.sim) % 3 ? sim_random(world.sim) % 20000 : sim_random(world.sim) % 700000;
    plan.framing = (enum reply_framing)(sim_random(world.sim) % 3);
    plan.chunk = 1 + sim_random(world.sim) % 20000;
    plan.piece = 500 + sim_random(world.sim) % 200000;
    plan.gap_ms = sim_random(world.sim) % 50;
    plan.failures = (int)(sim_random(world.sim) % 3);
    plan.failure = (enum step_kind[]){STEP_NEXT, STEP_RESET, STEP_FIN}[sim_random(world.sim) % 3];
    if (plan.framing != FRAMED_CLOSE && plan.len > 10 && sim_random(world.sim) % 3 == 0)
        plan.cut = 1 + sim_random(world.sim) % (plan.len - 5);
    plan.end = plan.cut ? (sim_random(world.sim) % 2 ? STEP_RESET : STEP_FIN) : STEP_NEXT;
    serves(WORLD_CHAT_PORT, plan_bytes);
    struct client *clients[3];
    for (size_t i = 0; i < countof(clients); i++)
        clients[i] = i == 2 ? complete("chat", seed % 2) : speak(sim_random(world.sim) % 4 ? "1.1" : "1.0");
    if (sim_random(world.sim) % 8 == 0)
        clients[0]->leave_after = 1 + sim_random(world.sim) % 5000;
    for (size_t i = 0; i < countof(clients); i++)
        client_await(clients[i], 1, 3600 * 1000);
    for (size_t i = 0; i < 2; i++) {
        struct answer answer;
        struct sink body;
        if (!client_answer(clients[i], 0, &answer))
            continue;
        sink_init(&body, SIZE_MAX / 2);
        put_bytes(&body, plan.len);
        bool whole = answer.complete && !clients[i]->reset && !clients[i]->left;
        if (answer.status == 200 && whole && !slice_eq(sink_slice(&answer.body), sink_slice(&body)))
            fail_msg("seed %llu: %zu bytes of %zu taken for the whole (client %zu, framing %d, %s)", (unsigned long long)seed, answer.body.len,
                     body.len, i, (int)plan.framing, answer.chunked ? "chunked" : answer.until_close ? "until close" : "length");
        if (answer.status == 200 && !slice_starts(sink_slice(&body), sink_slice(&answer.body)))
            fail_msg("seed %llu: other bytes", (unsigned long long)seed);
        if (plan.cut && answer.status == 200 && whole)
            fail_msg("seed %llu: a clean end of what was cut", (unsigned long long)seed);
        sink_fini(&body);
        answer_fini(&answer);
    }
    world_close(&world);
}

static void
in_any_weather(void **unused)
{
    (void)unused;
    const char *only = getenv("PENSTOCK_SIM_SEED");
    if (only) {
        stormy_world(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= WORLDS; seed++)
        stormy_world(seed);
}

/* ---------------------------------------------------------------- arrays */

#define GEMINI_ASK "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"mark-1\"}]}]}"

static struct client *
stream_array(const char *model)
{
    struct client *client = client_connect(&world, SPEAKS_CHAT);
    char line[96];
    snprintf(line, sizeof line, "POST /v1beta/models/%s:streamGenerateContent HTTP/1.1", model);
    say_request(client, line, "Content-Type: application/json\r\n", SLICE_LIT(GEMINI_ASK));
    return client;
}

static size_t
elements_of(struct slice body)
{
    char path[32];
    for (size_t n = 0;; n++) {
        snprintf(path, sizeof path, "%zu", n);
        if (!slice_present(raw_find(body, path)))
            return n;
    }
}

/* What is complete is one JSON array, which ends in the reason why the reply ended or in one error. */
static bool
array_is_good(const struct answer *answer, bool *well)
{
    struct slice body = sink_slice(&answer->body);
    char path[64];
    size_t count = elements_of(body);
    if (!slice_starts(body, SLICE_LIT("[")) || !raw_whole(body) || count == 0)
        return false;
    snprintf(path, sizeof path, "%zu.candidates.0.finishReason", count - 1);
    *well = slice_present(raw_find(body, path));
    snprintf(path, sizeof path, "%zu.error.code", count - 1);
    return *well != slice_present(raw_find(body, path));
}

static void
plan_late_and_slow(struct visit *visit)
{
    wait_ms(visit, 20000);
    plan_tale(visit, (struct tale){.words = 5}, 300, 4000);
}

static void
plan_half(struct visit *visit)
{
    say_first_part(visit, (struct tale){.words = 40}, 1, 2);
    wait_ms(visit, 10);
    say_end(visit, STEP_RESET);
}

static void
an_array_is_kept_alive_by_white_space(void **unused)
{
    static const char *const models[] = {"chat", "claude"};
    (void)unused;
    for (size_t i = 0; i < countof(models); i++) {
        world_open(&world, 1, NULL, ONE_TRY "penstock: {timeouts: {commit: 3s, keepalive: 2s}}\n");
        serves(i ? WORLD_CLAUDE_PORT : WORLD_CHAT_PORT, plan_late_and_slow);
        struct client *client = stream_array(models[i]);
        world_run(&world, 6000);
        assert_true(memmem(client_heard(client).ptr, client_heard(client).len, "[\n", 2) != NULL);
        client_await(client, 1, 100000);
        struct answer answer;
        bool well = false;
        assert_true(client_answer(client, 0, &answer));
        assert_true(answer.complete);
        assert_true(array_is_good(&answer, &well) && well);
        assert_in_range(atomic_load(&world.worker->metrics->keepalives), 10, 40);
        answer_fini(&answer);
        world_close(&world);
    }
}

static void
arrays_in_any_weather(void **unused)
{
    static provider_plan *const plans[] = {plan_well, plan_slow, plan_half, plan_late_and_slow, plan_reset};
    (void)unused;
    int good = 0, broken = 0;
    for (uint64_t seed = 1; seed <= WORLDS / 3; seed++) {
        struct sim_faults faults = {.short_read = 100, .short_write = 100, .again = 100, .late_event = 50, .memory = (unsigned)(seed % 3 == 0),
                                    .reset = (unsigned)(seed % 2)};
        world_open(&world, seed, &faults, TWO_TRIES);
        serves(WORLD_CHAT_PORT, plans[sim_random(world.sim) % countof(plans)]);
        serves(WORLD_CLAUDE_PORT, plans[sim_random(world.sim) % countof(plans)]);
        struct client *clients[] = {stream_array("chat"), stream_array("claude")};
        for (size_t i = 0; i < countof(clients); i++) {
            struct answer answer;
            bool well = false;
            client_await(clients[i], 1, 3600 * 1000);
            if (!client_answer(clients[i], 0, &answer))
                continue;
            if (answer.status == 200 && answer.complete && !array_is_good(&answer, &well))
                fail_msg("seed %llu: %.*s", (unsigned long long)seed, SLICE_ARG(sink_slice(&answer.body)));
            good += well;
            broken += answer.status == 200 && !well;
            answer_fini(&answer);
        }
        world_close(&world);
    }
    assert_true(good > 100 && broken > 50);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_in_every_framing),
        cmocka_unit_test(a_reply_cut_short_never_ends_well),
        cmocka_unit_test(a_reset_ends_a_reply_that_only_its_end_delimits),
        cmocka_unit_test(a_slow_reader_stalls_the_upstream_and_loses_nothing),
        cmocka_unit_test(what_fails_before_the_first_byte_is_tried_again),
        cmocka_unit_test(a_client_that_leaves_ends_it_upstream),
        cmocka_unit_test(a_fin_is_asked_about),
        cmocka_unit_test(an_idle_upstream_is_not_waited_for),
        cmocka_unit_test(a_form_keeps_all_but_its_model),
        cmocka_unit_test(requests_that_go_nowhere),
        cmocka_unit_test(files_find_an_upstream),
        cmocka_unit_test(any_path_is_answered),
        cmocka_unit_test(each_prompt_is_answered_in_turn),
        cmocka_unit_test(a_prompt_that_fails),
        cmocka_unit_test(in_any_weather),
        cmocka_unit_test(an_array_is_kept_alive_by_white_space),
        cmocka_unit_test(arrays_in_any_weather),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
