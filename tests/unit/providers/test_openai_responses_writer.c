/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_writer.c - canonical events as a Responses stream and as one response; what
 * passes, and what is mended on the way.
 *
 * Streams of usual shape are golden cases; here is what those cannot show: bounds, state, time.
 */
#include "tests/golden/drive.h"
#include "tests/unit/providers/relay.h"

/* A writer on its own, with what it made. */
struct bench {
    struct arena arena, scratch;
    struct frames frames;
    struct canon_events events;
    struct sink out;
    void *writer;
    bool stream;
};

static const struct dialect *const dialect = &openai_responses_dialect;

static void
open_bench(struct bench *bench, bool stream, const struct canon_request *request)
{
    struct dialect_writer_options options = {.stream = stream,
                                             .id = SLICE_LIT("0123456789abcdefghijklmn"),
                                             .model = SLICE_LIT("m\"1"),
                                             .created_s = 7,
                                             .request = request};
    arena_init(&bench->arena, 4u << 20);
    arena_init(&bench->scratch, 256u << 20);
    frames_init(&bench->frames, 128u << 20);
    canon_events_init(&bench->events, &bench->scratch);
    sink_init(&bench->out, 256u << 20);
    bench->stream = stream;
    bench->writer = calloc(1, dialect->writer_bytes);
    assert_non_null(bench->writer);
    assert_int_equal(dialect->writer_init(bench->writer, &options, &bench->arena), 0);
}

static void
close_bench(struct bench *bench)
{
    dialect->writer_fini(bench->writer);
    free(bench->writer);
    sink_fini(&bench->out);
    frames_fini(&bench->frames);
    arena_fini(&bench->scratch);
    arena_fini(&bench->arena);
}

static void
take_frames(struct bench *bench)
{
    for (int i = 0; i < bench->frames.count; i++) {
        const struct frame *frame = &bench->frames.at[i];
        struct slice data =
            slice_of(sink_slice(&bench->frames.bytes).ptr + frame->start, frame->len);
        if (frame->kind == FRAME_COMMENT)
            sink_printf(&bench->out, ": %.*s\n\n", SLICE_ARG(data));
        else
            sse_put_event(&bench->out, slice_from(frame->type), data);
    }
    frames_clear(&bench->frames);
}

static int
put(struct bench *bench, struct canon_event event)
{
    struct canon_event *one = canon_add(&bench->events, event.kind);
    assert_non_null(one);
    event.usage = event.kind == CANON_USAGE ? event.usage : CANON_USAGE_UNKNOWN;
    *one = event;
    int error = dialect->write_events(bench->writer, &bench->events, &bench->frames);
    canon_events_clear(&bench->events);
    take_frames(bench);
    return error;
}

static void
says(struct bench *bench, struct canon_event event)
{
    assert_int_equal(put(bench, event), 0);
}

static void
finish(struct bench *bench, enum canon_finish why)
{
    says(bench, (struct canon_event){.kind = CANON_FINISH, .finish = why});
    says(bench, (struct canon_event){.kind = CANON_END});
    if (!bench->stream)
        assert_int_equal(dialect->write_whole(bench->writer, &bench->out), 0);
}

static bool
has(const struct bench *bench, const char *text)
{
    return memmem(bench->out.ptr, bench->out.len, text, strlen(text)) != NULL;
}

static void
is_good(const struct bench *bench)
{
    const char *fault = judge_responses(sink_slice(&bench->out));
    if (fault)
        print_error("%s\n%.*s\n", fault, (int)bench->out.len, bench->out.ptr);
    assert_null(fault);
}

static struct canon_event
opens(enum canon_block type, uint32_t block)
{
    return (struct canon_event){.kind = CANON_OPEN, .type = type, .block = block};
}

static struct canon_event
delta(enum canon_block type, uint32_t block, const char *text)
{
    return (struct canon_event){
        .kind = CANON_DELTA, .type = type, .block = block, .text = slice_from(text)};
}

static struct canon_event
closes(enum canon_block type, uint32_t block)
{
    return (struct canon_event){.kind = CANON_CLOSE, .type = type, .block = block};
}

/* ---------------------------------------------------------------- what the request asked for */

static void
read_request(struct canon_request *request, struct arena *arena, const char *body)
{
    struct canon_fault fault;
    *request = (struct canon_request){.body = slice_from(body), .arena = arena};
    assert_int_equal(json_parse(request->body, 64, 1u << 20, arena, &request->root), 0);
    assert_int_equal(dialect->outline(request, &fault), 0);
    assert_int_equal(dialect->read_request(request, &fault), 0);
}

/* The request is repeated without white space, and may go when the writer has begun. */
static void
repeats_the_request(void **state)
{
    (void)state;
    struct arena arena;
    struct canon_request request;
    struct bench bench;
    arena_init(&arena, 1u << 20);
    read_request(&request, &arena,
                 "{\"model\":\"m\",\"input\":\"hi\",\"instructions\":\"a  b\\n\",\"tools\": [\n {"
                 "\"type\":\"function\", \"name\":\"get weather\",\n\"parameters\": {}}],"
                 "\"tool_choice\":{\"type\":\"function\",\"name\":\"get weather\"},"
                 "\"reasoning\":{\"effort\":\"low\"},\"temperature\":0.50,\"metadata\":{\"k\":\"v "
                 "w\"},\"parallel_tool_calls\":false,\"text\":{\"verbosity\":\"low\"},\"top_p\":"
                 "null,\"max_output_tokens\":99,\"user\":\"u\"}");
    struct slice legal = canon_legal_name(SLICE_LIT("get weather"), 64, &arena);
    char name[65];
    (void)snprintf(name, sizeof(name), "%.*s", SLICE_ARG(legal));
    open_bench(&bench, true, &request);
    arena_fini(&arena);
    memset(&request, 0x5a, sizeof(request));
    says(&bench, (struct canon_event){.kind = CANON_START});
    struct canon_event call = opens(BLOCK_CALL, 0);
    call.id = SLICE_LIT("c");
    call.name = slice_from(name);
    says(&bench, call);
    says(&bench, closes(BLOCK_CALL, 0));
    finish(&bench, FINISH_CALLS);
    is_good(&bench);
    static const char *const members[] = {
        "\"model\":\"m\\\"1\"",
        "\"instructions\":\"a  b\\n\"",
        "\"tools\":[{\"type\":\"function\",\"name\":\"get weather\",\"parameters\":{}}]",
        "\"tool_choice\":{\"type\":\"function\",\"name\":\"get weather\"}",
        "\"reasoning\":{\"effort\":\"low\"}",
        "\"temperature\":0.50,",
        "\"metadata\":{\"k\":\"v w\"}",
        "\"parallel_tool_calls\":false",
        "\"text\":{\"verbosity\":\"low\"}",
        "\"top_p\":null",
        "\"max_output_tokens\":99",
        "\"user\":\"u\"",
        "\"store\":false",
        "\"call_id\":\"c\",\"name\":\"get weather\"",
    };
    for (size_t i = 0; i < countof(members); i++) {
        if (!has(&bench, members[i]))
            print_error("not repeated: %s\n", members[i]);
        assert_true(has(&bench, members[i]));
    }
    close_bench(&bench);
}

/* What is too much to be kept is left out, and nothing else. */
static void
repeats_within_a_bound(void **state)
{
    (void)state;
    struct arena arena;
    struct canon_request request;
    struct bench bench;
    struct sink body;
    arena_init(&arena, 16u << 20);
    sink_init(&body, 4u << 20);
    sink_text(&body, "{\"model\":\"m\",\"input\":\"hi\",\"user\":\"me\",\"instructions\":\"");
    for (int i = 0; i < 600 * 1024; i++)
        sink_byte(&body, 'x');
    sink_text(&body, "\"}");
    sink_byte(&body, '\0');
    read_request(&request, &arena, body.ptr);
    open_bench(&bench, false, &request);
    says(&bench, (struct canon_event){.kind = CANON_START});
    finish(&bench, FINISH_STOP);
    assert_true(has(&bench, "\"instructions\":null"));
    assert_true(has(&bench, "\"user\":\"me\""));
    assert_true(bench.arena.used < 64 * 1024);
    close_bench(&bench);
    sink_fini(&body);
    arena_fini(&arena);
}

/* ---------------------------------------------------------------- state */

/* P23 to P26: whose state it is decides how it travels; nobody's goes nowhere. */
static void
carries_state(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, true, NULL);
    says(&bench, (struct canon_event){.kind = CANON_START});
    says(&bench, opens(BLOCK_THINKING, 0));
    struct canon_event sign = delta(BLOCK_THINKING, 0, NULL);
    sign.signature = SLICE_LIT("own");
    sign.origin = ORIGIN_RESPONSES;
    says(&bench, sign);
    says(&bench, closes(BLOCK_THINKING, 0));
    assert_true(has(&bench, "\"encrypted_content\":\"own\""));
    struct canon_event hidden = opens(BLOCK_REDACTED, 1);
    hidden.data = SLICE_LIT("abc");
    hidden.origin = ORIGIN_ANTHROPIC;
    says(&bench, hidden);
    says(&bench, closes(BLOCK_REDACTED, 1));
    assert_true(has(&bench, "\"encrypted_content\":\"penstock.1.anthropic-redacted.YWJj\""));
    struct canon_event call = opens(BLOCK_CALL, 2);
    call.id = SLICE_LIT("c");
    call.name = SLICE_LIT("f");
    call.signature = SLICE_LIT("abc");
    call.origin = ORIGIN_GEMINI;
    says(&bench, call);
    says(&bench, closes(BLOCK_CALL, 2));
    assert_true(has(&bench, "\"encrypted_content\":\"penstock.1.gemini.YWJj\""));
    assert_true(has(&bench, "\"output_index\":3,\"item\":{\"id\":\"fc_"));
    says(&bench, opens(BLOCK_THINKING, 3));
    sign = delta(BLOCK_THINKING, 3, "hm");
    sign.signature = SLICE_LIT("nobody's");
    frames_clear(&bench.frames);
    says(&bench, sign);
    says(&bench, closes(BLOCK_THINKING, 3));
    assert_false(has(&bench, "nobody"));
    finish(&bench, FINISH_CALLS);
    is_good(&bench);
    close_bench(&bench);
}

/* Blocks that grow by turns keep their places; a message waits for its open part. */
static void
interleaves(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct bench bench;
        open_bench(&bench, stream, NULL);
        says(&bench, (struct canon_event){.kind = CANON_START});
        says(&bench, opens(BLOCK_TEXT, 0));
        says(&bench, delta(BLOCK_TEXT, 0, "a"));
        struct canon_event call = opens(BLOCK_CALL, 1);
        call.id = SLICE_LIT("c1");
        call.name = SLICE_LIT("f");
        says(&bench, call);
        says(&bench, delta(BLOCK_TEXT, 0, "b"));
        says(&bench, delta(BLOCK_CALL, 1, " "));
        says(&bench, closes(BLOCK_TEXT, 0));
        says(&bench, opens(BLOCK_REFUSAL, 2));
        says(&bench, delta(BLOCK_REFUSAL, 2, "no"));
        says(&bench, closes(BLOCK_CALL, 1));
        struct canon_event image = opens(BLOCK_IMAGE, 3);
        image.name = SLICE_LIT("image/png");
        says(&bench, image);
        struct canon_event bytes = delta(BLOCK_IMAGE, 3, NULL);
        bytes.data = SLICE_LIT("QUJD");
        says(&bench, bytes);
        says(&bench, closes(BLOCK_IMAGE, 3));
        says(&bench, opens(BLOCK_TEXT, 4));
        says(&bench, delta(BLOCK_TEXT, 4, "cut"));
        finish(&bench, FINISH_LENGTH);
        if (stream)
            is_good(&bench);
        assert_true(has(&bench, "\"text\":\"ab\"}],\"role\""));
        assert_true(has(&bench, "\"arguments\":\" {}\""));
        assert_true(has(&bench, "{\"type\":\"refusal\",\"refusal\":\"no\"}"));
        assert_true(has(&bench, "\"output_format\":\"png\",\"result\":\"QUJD\""));
        assert_true(has(&bench, "\"status\":\"incomplete\",\"content\":[{\"type\":\"output_text\","
                                "\"annotations\":[],\"logprobs\":[],\"text\":\"cut\"}]"));
        assert_true(has(&bench, "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"));
        close_bench(&bench);
    }
}

/* What has no words here is counted: the second choice, a foreign tool, a source without a place.
 */
static void
counts_what_it_cannot_say(void **state)
{
    (void)state;
    struct bench bench;
    struct canon_citation citation = {
        .quote = SLICE_LIT("q"), .start = -1, .end = -1, .origin = ORIGIN_ANTHROPIC};
    struct canon_event events[] = {
        {.kind = CANON_START},
        {.kind = CANON_OPEN, .type = BLOCK_TEXT, .block = 0},
        {.kind = CANON_DELTA, .type = BLOCK_TEXT, .block = 0, .text = SLICE_LIT("x")},
        {.kind = CANON_CITATION, .block = 0, .citation = &citation},
        {.kind = CANON_OPEN, .type = BLOCK_TEXT, .block = 1, .choice = 1},
        {.kind = CANON_DELTA, .type = BLOCK_TEXT, .block = 1, .choice = 1, .text = SLICE_LIT("y")},
        {.kind = CANON_OPEN,
         .type = BLOCK_NATIVE,
         .block = 2,
         .name = SLICE_LIT("server_tool_use")},
        {.kind = CANON_NATIVE, .name = SLICE_LIT("z"), .native = SLICE_LIT("{}")},
        {.kind = CANON_CLOSE, .type = BLOCK_NATIVE, .block = 2},
    };
    open_bench(&bench, true, NULL);
    for (size_t i = 0; i < countof(events); i++) {
        events[i].usage = CANON_USAGE_UNKNOWN;
        *canon_add(&bench.events, events[i].kind) = events[i];
    }
    assert_int_equal(dialect->write_events(bench.writer, &bench.events, &bench.frames), 0);
    canon_events_clear(&bench.events);
    assert_int_equal(bench.frames.unsaid, 4);
    take_frames(&bench);
    finish(&bench, FINISH_STOP);
    is_good(&bench);
    assert_false(has(&bench, "\"y\""));
    close_bench(&bench);
}

/* ---------------------------------------------------------------- size */

/* R28: no delta makes a line over the limit; whole texts at the end are one value each. */
static void
splits_long_deltas(void **state)
{
    (void)state;
    struct bench bench;
    char *text = malloc(200001);
    assert_non_null(text);
    for (int i = 0; i < 200000; i += 2)
        memcpy(text + i, i % 100 == 0 ? "\\n" : "ab", 2);
    text[200000] = '\0';
    open_bench(&bench, true, NULL);
    says(&bench, (struct canon_event){.kind = CANON_START});
    says(&bench, opens(BLOCK_TEXT, 0));
    says(&bench, delta(BLOCK_TEXT, 0, text));
    struct slice rest = sink_slice(&bench.out);
    int lines = 0;
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
        assert_true(n <= 65536);
        lines += slice_starts(rest, SLICE_LIT("event: response.output_text.delta"));
        rest = slice_skip(rest, n + 1);
    }
    assert_int_equal(lines, 4);
    says(&bench, closes(BLOCK_TEXT, 0));
    finish(&bench, FINISH_STOP);
    is_good(&bench);
    close_bench(&bench);
    free(text);
}

/* A reply that cannot be kept whole fails, it is not cut: streams sooner, since they say all four
 * times. */
static void
bounds_what_it_keeps(void **state)
{
    (void)state;
    static const size_t bounds[] = {64u << 20, 16u << 20};
    size_t n = 1u << 20;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'x', n);
    text[n] = '\0';
    for (int stream = 0; stream < 2; stream++) {
        struct bench bench;
        open_bench(&bench, stream, NULL);
        says(&bench, (struct canon_event){.kind = CANON_START});
        says(&bench, opens(BLOCK_TEXT, 0));
        for (size_t i = 0; i < bounds[stream] / n; i++) {
            says(&bench, delta(BLOCK_TEXT, 0, text));
            sink_reset(&bench.out, 1u << 20);
        }
        assert_int_equal(put(&bench, delta(BLOCK_TEXT, 0, "x")), -ERR_UPSTREAM_TOO_LARGE);
        says(&bench, closes(BLOCK_TEXT, 0));
        finish(&bench, FINISH_STOP);
        assert_true(bench.out.len > bounds[stream]);
        close_bench(&bench);
    }
    free(text);
}

/* ---------------------------------------------------------------- errors, pings */

static void
fails_once(void **state)
{
    (void)state;
    struct bench bench;
    struct canon_error error = canon_error_of(ERR_RATE);
    error.message = SLICE_LIT("slow \"down\"");
    error.code = SLICE_NONE;
    error.retry_after_ms = 1500;
    open_bench(&bench, true, NULL);
    assert_int_equal(dialect->write_start(bench.writer, &bench.frames), 0);
    dialect->write_ping(bench.writer, &bench.frames);
    take_frames(&bench);
    assert_true(has(&bench, ": keep-alive\n\n"));
    says(&bench, (struct canon_event){.kind = CANON_START});
    says(&bench, opens(BLOCK_TEXT, 0));
    says(&bench, delta(BLOCK_TEXT, 0, "half"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dialect->write_error(bench.writer, &error, &bench.frames), 0);
        take_frames(&bench);
    }
    is_good(&bench);
    assert_true(has(
        &bench, "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":"
                "\"slow \\\"down\\\"\",\"param\":null,\"retry_after\":2,\"sequence_number\":5}"));
    assert_true(has(&bench, "\"status\":\"failed\",\"background\":false,\"error\":{\"code\":"
                            "\"rate_limit_exceeded\",\"message\":\"slow \\\"down\\\"\"}"));
    assert_true(has(&bench, "\"status\":\"incomplete\",\"content\":[{\"type\":\"output_text\","
                            "\"annotations\":[],\"logprobs\":[],\"text\":\"half\"}]"));
    close_bench(&bench);
}

/* ---------------------------------------------------------------- passing */

#define CREATED                                                                                    \
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,"         \
    "\"response\":{\"id\":\"resp_up\",\"model\":\"u\",\"output\":[]}}\n\n"
#define DELTA                                                                                      \
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","           \
    "\"output_index\":0,\"content_index\":0,\"delta\":\"x\",\"sequence_number\":1}\n\n"

static void
passes(const char *bytes, const char *expected)
{
    struct relay relay = {
        .upstream = dialect,
        .client = dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_check(&relay, bytes, expected);
}

/* What nobody here knows passes; nothing passes behind the end; the names of events are put back.
 */
static void
passes_events(void **state)
{
    (void)state;
    passes(CREATED "event: response.new\ndata: {\"type\":\"response.new\",\"x\":1}\n\n" DELTA
                   "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"
                   "{\"status\":\"completed\",\"y\":2}}\n\ndata: [DONE]\n\n" DELTA,
           CREATED "event: response.new\ndata: {\"type\":\"response.new\",\"x\":1}\n\n" DELTA
                   "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"
                   "{\"status\":\"completed\",\"y\":2}}\n\n");
    passes("data: {\"type\":\"keepalive\"}\n\n" CREATED
           "event: other\ndata: {\"type\":\"response.new\"}\n\n",
           CREATED "event: response.new\ndata: {\"type\":\"response.new\"}\n\n"
                   "event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_disconnected\","
                   "\"message\":\"upstream closed the connection before the reply was complete\","
                   "\"param\":null,\"sequence_number\":2}\n\n"
                   "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{"
                   "\"id\":\"resp_up\",\"object\":\"response\",\"created_at\":0,\"status\":"
                   "\"failed\",\"background\":false,\"error\":{\"code\":\"server_error\","
                   "\"message\":\"upstream closed the connection before the reply was complete\"},"
                   "\"incomplete_details\":null,\"service_tier\":null,\"store\":false,\"model\":"
                   "\"m\",\"instructions\":null,\"max_output_tokens\":null,\"max_tool_calls\":null,"
                   "\"metadata\":{},\"parallel_tool_calls\":true,\"previous_response_id\":null,"
                   "\"prompt_cache_key\":null,\"reasoning\":{\"effort\":null,\"summary\":null},"
                   "\"safety_identifier\":null,\"temperature\":null,\"text\":{\"format\":{\"type\":"
                   "\"text\"}},\"tool_choice\":\"auto\",\"tools\":[],\"top_logprobs\":0,\"top_p\":"
                   "null,\"truncation\":\"disabled\",\"user\":null,\"output\":[],\"usage\":null},"
                   "\"sequence_number\":3}\n\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_the_request),
        cmocka_unit_test(repeats_within_a_bound),
        cmocka_unit_test(carries_state),
        cmocka_unit_test(interleaves),
        cmocka_unit_test(counts_what_it_cannot_say),
        cmocka_unit_test(splits_long_deltas),
        cmocka_unit_test(bounds_what_it_keeps),
        cmocka_unit_test(fails_once),
        cmocka_unit_test(passes_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
