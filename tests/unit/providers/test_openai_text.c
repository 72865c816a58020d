/* SPDX-License-Identifier: MIT
 *
 * test_openai_text.c - /v1/completions: prompts in, text completions out, whatever the upstream speaks.
 */
#include "providers/openai_text.h"

#include "tests/unit/providers/relay.h"

static struct arena arena;

static int
enter(void **state)
{
    (void)state;
    arena_init(&arena, 4u << 20);
    return 0;
}

static int
leave(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static int
read_text(const char *body, struct canon_request *request, struct canon_fault *fault)
{
    memset(request, 0, sizeof(*request));
    *fault = (struct canon_fault){0};
    request->arena = &arena;
    request->body = slice_from(body);
    assert_int_equal(json_parse(request->body, 64, 4096, &arena, &request->root), 0);
    int error = openai_text_dialect.outline(request, fault);
    return error ? error : openai_text_dialect.read_request(request, fault);
}

static void
expect_text(struct slice got, const char *wanted)
{
    if (!slice_is(got, wanted))
        fail_msg("got %.*s\nwanted %s", SLICE_ARG(got), wanted);
}

static void
a_prompt_becomes_a_user_message(void **state)
{
    (void)state;
    struct canon_request request;
    struct canon_fault fault;
    assert_int_equal(read_text("{\"model\":\"m\",\"prompt\":\"Say \\\"hi\\\"\",\"max_tokens\":0,\"temperature\":0,\"n\":2,\"stop\":[\"a\",\"b\"],"
                               "\"logprobs\":3,\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"u\",\"odd\":1}",
                               &request, &fault), 0);
    assert_true(request.stream && request.include_usage);
    assert_int_equal(request.from, DIALECT_OPENAI_TEXT);
    assert_int_equal(request.unsaid.count, 1);
    struct dialect_upstream upstream = {.model = SLICE_LIT("up"), .usage_in_stream = true};
    struct canon_report report = {0};
    struct sink out;
    sink_init(&out, 65536);
    assert_int_equal(openai_chat_dialect.write_request(&request, &upstream, &out, &report, &fault), 0);
    struct json root;
    assert_int_equal(json_parse(sink_slice(&out), 64, 4096, &arena, &root), 0);
    struct json message = json_first(json_get(root, "messages"));
    assert_true(json_is(json_get(message, "role"), "user"));
    assert_true(json_is(json_get(message, "content"), "Say \"hi\""));
    expect_text(json_raw(json_get(root, "max_tokens")), "0"); /* an explicit zero is no absence */
    expect_text(json_raw(json_get(root, "temperature")), "0");
    expect_text(json_raw(json_get(root, "n")), "2");
    expect_text(json_raw(json_get(root, "stop")), "[\"a\",\"b\"]");
    expect_text(json_raw(json_get(root, "logprobs")), "true");
    expect_text(json_raw(json_get(root, "top_logprobs")), "3");
    sink_fini(&out);
}

static void
prompts_are_kept_in_order(void **state)
{
    (void)state;
    struct canon_request request;
    struct canon_fault fault;
    assert_int_equal(read_text("{\"model\":\"m\",\"prompt\":[\"a\",\"b\",\"c\"]}", &request, &fault), 0);
    expect_text(request.messages->parts->text, "a");
    assert_null(request.messages->next);
    expect_text(request.prompts->next->next->text, "c");
    assert_null(request.prompts->next->next->next);
}

static void
what_chat_models_cannot_do_is_refused(void **state)
{
    static const struct {
        const char *body, *param;
        int error;
    } cases[] = {
        {"{\"prompt\":\"a\"}", "model", -ERR_REQUEST},
        {"{\"model\":\"m\"}", "prompt", -ERR_REQUEST},
        {"{\"model\":\"m\",\"prompt\":[]}", "prompt", -ERR_REQUEST},
        {"{\"model\":\"m\",\"prompt\":[1,2,3]}", "prompt", -ERR_UNSUPPORTED},
        {"{\"model\":\"m\",\"prompt\":[[1,2]]}", "prompt", -ERR_UNSUPPORTED},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"prompt\":\"b\"}", "prompt", -ERR_REQUEST},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"suffix\":\"b\"}", "suffix", -ERR_UNSUPPORTED},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"best_of\":4}", "best_of", -ERR_UNSUPPORTED},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"echo\":1}", "echo", -ERR_REQUEST},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"max_tokens\":\"1\"}", "max_tokens", -ERR_REQUEST},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"stop\":[1]}", "stop", -ERR_REQUEST},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct canon_request request;
        struct canon_fault fault;
        int error = read_text(cases[i].body, &request, &fault);
        if (error != cases[i].error || !slice_is(fault.param, cases[i].param))
            fail_msg("%s: %d %.*s", cases[i].body, error, SLICE_ARG(fault.param));
        arena_reset(&arena);
    }
    struct canon_request request;
    struct canon_fault fault;
    assert_int_equal(read_text("{\"model\":\"m\",\"prompt\":\"a\",\"best_of\":1,\"suffix\":null,\"echo\":false}", &request, &fault), 0);
}

/* ---------------------------------------------------------------- replies */

#define CHUNK(delta, finish)                                                                       \
    "data: {\"id\":\"c\",\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":" finish "}]}\n\n"
#define USAGE(in, out)                                                                             \
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":" in ",\"completion_tokens\":" out "}}\n\ndata: [DONE]\n\n"
#define HEAD "{\"id\":\"cmpl-ID\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\",\"choices\":["

struct answers {
    struct frames frames;
    struct sink text; /* frames' data, one a line */
    struct sink whole;
    uint32_t unsaid;
};

static void
join(struct canon_events *events, size_t prompt, bool last, struct canon_usage *usage)
{
    int kept = 0;
    for (int i = 0; i < events->count; i++) {
        struct canon_event event = events->at[i];
        event.choice += (uint32_t)prompt;
        if (event.kind == CANON_USAGE) {
            usage->in_total += event.usage.in_total;
            usage->out_total += event.usage.out_total;
            event.usage = *usage;
        }
        if (event.kind == CANON_END && !last)
            continue;
        events->at[kept++] = event;
    }
    events->count = kept;
}

/* The replies to each prompt, one after another into one writer and joined, as the gateway does it. */
static void
answer(const char *body, const char *const *replies, size_t count, struct answers *out)
{
    struct canon_request request;
    struct canon_fault fault;
    assert_int_equal(read_text(body, &request, &fault), 0);
    struct dialect_writer_options options = {.stream = request.stream, .include_usage = request.include_usage, .id = SLICE_LIT("ID"),
                                             .model = SLICE_LIT("m"), .created_s = 7, .request = &request};
    struct text_writer writer;
    assert_int_equal(openai_text_dialect.writer_init(&writer, &options, &arena), 0);
    frames_init(&out->frames, 1u << 20);
    out->unsaid = 0;
    sink_init(&out->text, 1u << 20);
    sink_init(&out->whole, 1u << 20);
    struct arena scratch;
    struct canon_usage usage = {0};
    arena_init(&scratch, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        void *reader = arena_take(&arena, openai_chat_dialect.reader_bytes);
        openai_chat_dialect.reader_init(reader, &arena);
        struct canon_events events;
        canon_events_init(&events, &scratch);
        struct sse_decoder decoder;
        sse_decoder_init(&decoder, 1u << 20);
        struct slice bytes = slice_from(replies[i]);
        struct sse_event event;
        while (sse_decode(&decoder, &bytes, &event) == 1) {
            canon_events_clear(&events);
            frames_clear(&out->frames);
            assert_int_equal(openai_chat_dialect.read_event(reader, event.type, event.data, &events), 0);
            join(&events, i, i + 1 == count, &usage);
            assert_int_equal(openai_text_dialect.write_events(&writer, &events, &out->frames), 0);
            out->unsaid += out->frames.unsaid;
            for (int k = 0; k < out->frames.count; k++) {
                sink_put(&out->text, slice_of(out->frames.bytes.ptr + out->frames.at[k].start, out->frames.at[k].len));
                sink_byte(&out->text, '\n');
            }
        }
        sse_decoder_fini(&decoder);
    }
    if (!request.stream)
        assert_int_equal(openai_text_dialect.write_whole(&writer, &out->whole), 0);
    openai_text_dialect.writer_fini(&writer);
    arena_fini(&scratch);
}

static void
forget(struct answers *out)
{
    frames_fini(&out->frames);
    sink_fini(&out->text);
    sink_fini(&out->whole);
}

static const char *const two[] = {
    CHUNK("{\"role\":\"assistant\",\"content\":\"He\"}", "null") CHUNK("{\"content\":\"y\\n\"}", "null") CHUNK("{}", "\"stop\"") USAGE("3", "2"),
    CHUNK("{\"role\":\"assistant\",\"content\":\"Ho\"}", "null") CHUNK("{}", "\"length\"") USAGE("4", "1"),
};

static void
chunks_and_one_end(void **state)
{
    struct answers got;
    (void)state;
    answer("{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", two, 1, &got);
    expect_text(sink_slice(&got.text),
                HEAD "{\"text\":\"He\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n"
                HEAD "{\"text\":\"y\\n\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n"
                HEAD "{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n"
                HEAD "],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":0},"
                "\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n[DONE]\n");
    forget(&got);
}

static void
several_prompts_are_one_completion(void **state)
{
    struct answers got;
    (void)state;
    answer("{\"model\":\"m\",\"prompt\":[\"p\",\"q\"],\"stream\":true,\"echo\":true}", two, 2, &got);
    expect_text(sink_slice(&got.text),
                HEAD "{\"text\":\"p\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n"
                HEAD "{\"text\":\"He\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n"
                HEAD "{\"text\":\"y\\n\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n"
                HEAD "{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n"
                HEAD "{\"text\":\"q\",\"index\":1,\"logprobs\":null,\"finish_reason\":null}]}\n"
                HEAD "{\"text\":\"Ho\",\"index\":1,\"logprobs\":null,\"finish_reason\":null}]}\n"
                HEAD "{\"text\":\"\",\"index\":1,\"logprobs\":null,\"finish_reason\":\"length\"}]}\n[DONE]\n");
    forget(&got);
    arena_reset(&arena);
    answer("{\"model\":\"m\",\"prompt\":[\"p\",\"q\"]}", two, 2, &got);
    expect_text(sink_slice(&got.whole),
                HEAD "{\"text\":\"Hey\\n\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"},"
                "{\"text\":\"Ho\",\"index\":1,\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,"
                "\"total_tokens\":10,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}}");
    forget(&got);
}

static void
what_is_no_text_is_counted(void **state)
{
    static const char *const reply[] = {
        CHUNK("{\"role\":\"assistant\",\"reasoning_content\":\"hm\"}", "null") CHUNK("{\"content\":\"x\"}", "null")
        CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}", "null")
        CHUNK("{}", "\"tool_calls\"") "data: [DONE]\n\n"};
    struct answers got;
    (void)state;
    answer("{\"model\":\"m\",\"prompt\":\"p\"}", reply, 1, &got);
    expect_text(sink_slice(&got.whole), HEAD "{\"text\":\"x\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}]}");
    assert_int_equal(got.unsaid, 2); /* a thought and a call */
    forget(&got);
}

static void
an_error_ends_the_stream_once(void **state)
{
    struct text_writer writer;
    struct dialect_writer_options options = {.stream = true, .id = SLICE_LIT("ID"), .model = SLICE_LIT("m"), .created_s = 7};
    struct canon_error error = canon_error_of(ERR_DISCONNECTED);
    struct frames frames;
    (void)state;
    assert_int_equal(openai_text_dialect.writer_init(&writer, &options, &arena), 0);
    frames_init(&frames, 65536);
    assert_int_equal(openai_text_dialect.write_error(&writer, &error, &frames), 0);
    assert_int_equal(frames.count, 2);
    assert_true(slice_starts(slice_of(frames.bytes.ptr, frames.bytes.len), SLICE_LIT("{\"error\":{")));
    assert_true(slice_ends(sink_slice(&frames.bytes), SLICE_LIT("[DONE]")));
    assert_int_equal(openai_text_dialect.write_error(&writer, &error, &frames), 0);
    assert_int_equal(frames.count, 2);
    frames_fini(&frames);
    openai_text_dialect.writer_fini(&writer);
}

static void
token_probabilities_are_columns(void **state)
{
    struct canon_request request;
    struct canon_fault fault;
    (void)state;
    assert_int_equal(read_text("{\"model\":\"m\",\"prompt\":\"p\",\"logprobs\":1,\"stream\":true}", &request, &fault), 0);
    struct dialect_writer_options options = {.stream = true, .id = SLICE_LIT("ID"), .model = SLICE_LIT("m"), .created_s = 7, .request = &request};
    struct text_writer writer;
    assert_int_equal(openai_text_dialect.writer_init(&writer, &options, &arena), 0);
    struct canon_logprob top = {.token = SLICE_LIT("\\u00e4"), .logprob = SLICE_LIT("-0.5")};
    struct canon_logprob second = {.token = SLICE_LIT("b"), .logprob = SLICE_LIT("-1"), .top = &top};
    struct canon_logprob first = {.token = SLICE_LIT("\\ud83d\\ude00"), .logprob = SLICE_LIT("-0.1"), .next = &second};
    struct canon_event event = {.kind = CANON_DELTA, .type = BLOCK_TEXT, .text = SLICE_LIT("\\ud83d\\ude00b"), .logprobs = &first};
    struct canon_events events = {.at = &event, .count = 1};
    struct frames frames;
    frames_init(&frames, 65536);
    for (int i = 0; i < 2; i++) {
        frames_clear(&frames);
        assert_int_equal(openai_text_dialect.write_events(&writer, &events, &frames), 0);
        expect_text(sink_slice(&frames.bytes),
                    i == 0 ? HEAD "{\"text\":\"\\ud83d\\ude00b\",\"index\":0,\"logprobs\":{\"tokens\":[\"\\ud83d\\ude00\",\"b\"],\"token_logprobs\":[-0.1,-1],"
                                  "\"top_logprobs\":[{},{\"\\u00e4\":-0.5}],\"text_offset\":[0,1]},\"finish_reason\":null}]}"
                           : HEAD "{\"text\":\"\\ud83d\\ude00b\",\"index\":0,\"logprobs\":{\"tokens\":[\"\\ud83d\\ude00\",\"b\"],\"token_logprobs\":[-0.1,-1],"
                                  "\"top_logprobs\":[{},{\"\\u00e4\":-0.5}],\"text_offset\":[2,3]},\"finish_reason\":null}]}");
    }
    frames_fini(&frames);
    openai_text_dialect.writer_fini(&writer);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_prompt_becomes_a_user_message, enter, leave),
        cmocka_unit_test_setup_teardown(prompts_are_kept_in_order, enter, leave),
        cmocka_unit_test_setup_teardown(what_chat_models_cannot_do_is_refused, enter, leave),
        cmocka_unit_test_setup_teardown(chunks_and_one_end, enter, leave),
        cmocka_unit_test_setup_teardown(several_prompts_are_one_completion, enter, leave),
        cmocka_unit_test_setup_teardown(what_is_no_text_is_counted, enter, leave),
        cmocka_unit_test_setup_teardown(an_error_ends_the_stream_once, enter, leave),
        cmocka_unit_test_setup_teardown(token_probabilities_are_columns, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
