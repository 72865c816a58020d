/* SPDX-License-Identifier: MIT
 *
 * test_openai_chat_reply.c - the reader's limits and refusals, the short way through it against the
 * long one, counters, and the writer's promises that no golden case shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "providers/openai_chat.h"
#include "tests/golden/drive.h"

#include <stdio.h>
#include <stdlib.h>

struct pipe {
    struct arena arena, scratch;
    struct canon_events events;
    struct canon_guard guard;
    struct chat_reader reader;
    struct chat_writer writer;
    struct frames frames;
};

static void
begin(struct pipe *pipe, bool include_usage)
{
    struct dialect_writer_options options = {.stream = true,
                                             .include_usage = include_usage,
                                             .created_s = 1,
                                             .id = SLICE_LIT("0123456789abcdefghijklmn"),
                                             .model = SLICE_LIT("asked")};
    arena_init(&pipe->arena, 8u << 20);
    arena_init(&pipe->scratch, 64u << 20);
    frames_init(&pipe->frames, 64u << 20);
    canon_events_init(&pipe->events, &pipe->scratch);
    canon_guard_init(&pipe->guard, &pipe->arena);
    chat_reader_init(&pipe->reader, &pipe->arena);
    assert_int_equal(chat_writer_init(&pipe->writer, &options, &pipe->arena), 0);
}

static void
end(struct pipe *pipe)
{
    chat_writer_fini(&pipe->writer);
    frames_fini(&pipe->frames);
    arena_fini(&pipe->arena);
    arena_fini(&pipe->scratch);
}

static int
read_one(struct pipe *pipe, struct slice data)
{
    arena_reset(&pipe->scratch);
    canon_events_clear(&pipe->events);
    return chat_read_event(&pipe->reader, SLICE_NONE, data, &pipe->events);
}

static int
read_text(const char *data)
{
    static struct pipe pipe;
    begin(&pipe, false);
    int error = read_one(&pipe, slice_from(data));
    end(&pipe);
    return error;
}

static void
test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{",
        "[]",
        "1",
        "null",
        "\"x\"",
        "{\"choices\":[{\"index\":128,\"delta\":{}}]}",
        "{\"choices\":[{\"delta\":{}}]} x",
        "{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}",
    };
    for (size_t i = 0; i < countof(bad); i++)
        assert_int_equal(read_text(bad[i]), -ERR_UPSTREAM_PROTOCOL);
    static const char *const good[] = {
        "",
        " ",
        "{}",
        "{\"choices\":null}",
        "{\"choices\":{}}",
        "{\"choices\":[null,1,\"x\"]}",
        "{\"choices\":[{\"index\":127,\"delta\":{}}]}",
        "{\"choices\":[{\"delta\":{\"tool_calls\":[null,1]}}]}",
        "{\"choices\":[{\"delta\":{\"tool_calls\":{}}}]}",
        "{\"choices\":[{\"delta\":{\"content\":7,\"reasoning\":{}}}]}",
        "{\"choices\":[{\"delta\":{\"content\":[1,null,{}]}}]}",
        "{\"usage\":[],\"choices\":[]}",
        "{\"choices\":[{\"delta\":{\"reasoning_details\":[1,{}]},\"finish_reason\":3}]}",
        "{\"choices\":[{\"delta\":[],\"message\":[]}],\"usage\":{\"completion_tokens\":\"x\"}}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}",
    };
    for (size_t i = 0; i < countof(good); i++)
        assert_int_equal(read_text(good[i]), 0);
}

static void
test_depth(void **state)
{
    (void)state;
    char text[400] = "{\"x\":";
    for (int i = 0; i < 64; i++)
        strcat(text, "[");
    for (int i = 0; i < 64; i++)
        strcat(text, "]");
    strcat(text, "}");
    assert_int_equal(read_text(text), -ERR_UPSTREAM_PROTOCOL);
}

static void
test_limits(void **state)
{
    (void)state;
    static struct pipe pipe;
    begin(&pipe, false);
    int error = 0, calls = 0;
    for (; error == 0 && calls < 2000; calls++) {
        char chunk[256];
        snprintf(chunk, sizeof(chunk),
                 "{\"id\":\"a\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":%d,\"id\":\"c%"
                 "d\",\"type\":\"function\","
                 "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}",
                 calls, calls);
        error = read_one(&pipe, slice_from(chunk));
    }
    assert_int_equal(error, -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(calls, CHAT_CALLS_MAX + 1);
    end(&pipe);
    /* Arguments that wait for a name wait in little memory. */
    begin(&pipe, false);
    error = 0;
    for (calls = 0; error == 0 && calls < 1000; calls++)
        error = read_one(
            &pipe,
            SLICE_LIT(
                "{\"id\":\"a\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\","
                "\"function\":{\"arguments\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}]}}]}"));
    assert_int_equal(error, -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(calls, CHAT_PENDING_MAX / 40 + 1);
    end(&pipe);
}

static void
test_content_after_finish(void **state)
{
    (void)state;
    static struct pipe pipe;
    begin(&pipe, false);
    assert_int_equal(
        read_one(&pipe, SLICE_LIT("{\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}")),
        0);
    assert_int_equal(
        read_one(
            &pipe,
            SLICE_LIT("{\"id\":\"a\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}")),
        0);
    assert_int_equal(
        read_one(&pipe, SLICE_LIT("{\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"y\"}}]}")),
        -ERR_UPSTREAM_PROTOCOL);
    end(&pipe);
}

/* ---------------------------------------------------------------- the short way */

static const char *const texts[] = {"a",       " hello",         "\\n",      "\\\"q\\\"",
                                    "\\\\",    "\\ud83d\\ude00", "\xc3\xa9", "tail\\\\\\\"",
                                    "<think>", "x\\u003cy",      "\\/",      "\\uD83D"};
static const char *const pads[] = {"", "a", "aB3dE", "abcdefghijklmnopqrstuvwxyz"};

/* One step of a random stream of chunks that tend to be alike. */
static struct slice
next_chunk(char *to, size_t size)
{
    const char *text = texts[random() % (long)countof(texts)];
    const char *pad = pads[random() % (long)countof(pads)];
    const char *key = random() % 8 == 0    ? "reasoning_content"
                      : random() % 20 == 0 ? "reasoning"
                                           : "content";
    int choice = random() % 12 == 0;
    switch (random() % 240) {
    case 0:
        text = "";
        break;
    case 1:
        text = "bad \\x escape";
        break;
    case 2:
        text = "bad \xff bytes";
        break;
    case 3:
    case 5:
        text = "two\",\"content\":\"keys";
        break;
    case 4:
        pad = "\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2},\"p\":\"";
        break;
    default:
        break;
    }
    int n = snprintf(to, size,
                     "{\"id\":\"a\",\"choices\":[{\"index\":%d,\"delta\":{\"%s\":\"%s\"}}],"
                     "\"usage\":null,\"%s\":\"%s\"}",
                     choice, key, text, random() % 9 == 0 ? "p" : "obfuscation", pad);
    return slice_of(to, (size_t)n);
}

static void
compare_events(const struct canon_events *a, const struct canon_events *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->mends, b->mends);
    assert_int_equal(a->flaws, b->flaws);
    assert_int_equal(a->rewrite, b->rewrite);
    for (int i = 0; i < a->count; i++) {
        assert_int_equal(a->at[i].kind, b->at[i].kind);
        assert_int_equal(a->at[i].type, b->at[i].type);
        assert_int_equal(a->at[i].block, b->at[i].block);
        assert_int_equal(a->at[i].choice, b->at[i].choice);
        assert_ptr_equal(a->at[i].text.ptr, b->at[i].text.ptr);
        assert_int_equal(a->at[i].text.len, b->at[i].text.len);
    }
}

static void
test_short_way(void **state)
{
    (void)state;
    srandom(11);
    int matched = 0;
    for (int round = 0; round < 400; round++) {
        static struct pipe quick, slow;
        begin(&quick, true);
        begin(&slow, true);
        for (int i = 0; i < 60; i++) {
            char bytes[512];
            struct slice chunk = next_chunk(bytes, sizeof(bytes));
            uint32_t before = quick.reader.chunks;
            int error = read_one(&quick, chunk);
            matched += quick.reader.chunks == before;
            slow.reader.template.before = 0;
            assert_int_equal(read_one(&slow, chunk), error);
            if (error)
                break;
            compare_events(&quick.events, &slow.events);
        }
        end(&quick);
        end(&slow);
    }
    assert_true(matched > 2000); /* the short way was taken at all */
}

/* ---------------------------------------------------------------- long streams, large deltas */

static void
test_memory_does_not_grow(void **state)
{
    (void)state;
    static struct pipe pipe;
    begin(&pipe, false);
    size_t used = 0;
    for (int i = 0; i < 20000; i++) {
        char chunk[512];
        int n = i == 0
                    ? snprintf(chunk, sizeof(chunk),
                               "{\"id\":\"a\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}")
                    : snprintf(chunk, sizeof(chunk),
                               "{\"id\":\"%s\",\"n\":%d,\"choices\":[{\"delta\":{\"%s\":\"%d\"}}],"
                               "\"usage\":null}",
                               i % 3 ? "a" : "", i, i % 5 ? "content" : "reasoning", i);
        assert_int_equal(read_one(&pipe, slice_of(chunk, (size_t)n)), 0);
        assert_int_equal(canon_guard_check(&pipe.guard, &pipe.events), 0);
        frames_clear(&pipe.frames);
        assert_int_equal(
            chat_pass_event(&pipe.writer, slice_of(chunk, (size_t)n), &pipe.events, &pipe.frames),
            0);
        if (i == 1000) /* behind block 64, where the guard takes the bits of all others at once */
            used = pipe.arena.used;
    }
    assert_int_equal(pipe.arena.used, used);
    end(&pipe);
}

static void
test_lines_are_short(void **state)
{
    (void)state;
    static struct pipe pipe;
    struct sink chunk, joined;
    begin(&pipe, false);
    sink_init(&chunk, 8u << 20);
    sink_init(&joined, 8u << 20);
    sink_text(&chunk,
              "{\"id\":\"a\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"");
    for (int i = 0; i < 40000; i++)
        sink_text(&chunk, i % 3 == 0 ? "\\ud83d\\ude00" : i % 3 == 1 ? "\xe2\x82\xac" : "\\n");
    sink_text(&chunk, "\"}}]}");
    assert_int_equal(read_one(&pipe, sink_slice(&chunk)), 0);
    assert_true(pipe.events.flaws & 1u << FLAW_OVERSIZE_LINE);
    assert_true(pipe.events.rewrite);
    assert_int_equal(chat_pass_event(&pipe.writer, sink_slice(&chunk), &pipe.events, &pipe.frames),
                     0);
    for (int i = 1; i < pipe.frames.count; i++) {
        struct slice data =
            slice_of(pipe.frames.bytes.ptr + pipe.frames.at[i].start, pipe.frames.at[i].len);
        struct json root;
        assert_true(data.len <= 65000);
        assert_int_equal(json_parse(data, 16, 100, &pipe.scratch, &root), 0);
        sink_put(&joined,
                 json_text(json_get(json_get(json_first(json_get(root, "choices")), "delta"),
                                    "content")));
    }
    assert_true(pipe.frames.count > 4);
    assert_true(text_find(sink_slice(&chunk), sink_slice(&joined)) > 0);
    sink_fini(&chunk);
    sink_fini(&joined);
    end(&pipe);
}

/* ---------------------------------------------------------------- counters and words */

static void
test_usage(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t in, read, write, out, reasoning;
    } rows[] = {
#define NO UINT64_MAX
        {"{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}", 5, NO, NO, 7, NO},
        {"{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12,\"prompt_tokens_"
         "details\":{\"cached_tokens\":4,"
         "\"cache_write_tokens\":1},\"completion_tokens_details\":{\"reasoning_tokens\":3}}",
         5, 4, 1, 7, 3},
        {"{\"prompt_tokens\":12,\"completion_tokens\":2,\"total_tokens\":354,\"completion_tokens_"
         "details\":"
         "{\"reasoning_tokens\":340}}",
         12, NO, NO, 342, 340},
        {"{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":20}", 10, NO, NO, 10, NO},
        {"{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":20,\"completion_tokens_"
         "details\":"
         "{\"reasoning_tokens\":1}}",
         10, NO, NO, 2, 1},
        {"{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":3}", 10, NO, NO, 2, NO},
        {"{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":2,\"total_tokens\":3}", NO,
         NO, NO, 2, NO},
        {"{\"prompt_tokens\":9,\"completion_tokens\":2,\"prompt_cache_hit_tokens\":8}", 9, 8, NO, 2,
         NO},
        {"{\"prompt_tokens\":9,\"completion_tokens\":2,\"cached_tokens\":3,\"prompt_tokens_"
         "details\":null}",
         9, 3, NO, 2, NO},
    };
    struct arena arena;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < countof(rows); i++) {
        struct json root;
        struct canon_usage usage;
        assert_int_equal(json_parse(slice_from(rows[i].text), 8, 100, &arena, &root), 0);
        assert_true(chat_read_usage(root, &usage));
        assert_true(usage.in_total == rows[i].in && usage.cache_read == rows[i].read &&
                    usage.cache_write == rows[i].write);
        assert_true(usage.out_total == rows[i].out && usage.reasoning == rows[i].reasoning);
    }
    struct canon_usage usage;
    struct json root;
    assert_false(chat_read_usage(JSON_NONE, &usage));
    assert_int_equal(json_parse(SLICE_LIT("{\"x\":1}"), 8, 100, &arena, &root), 0);
    assert_false(chat_read_usage(root, &usage));
    arena_fini(&arena);
}

static void
test_finish_words(void **state)
{
    (void)state;
    bool known, error;
    assert_int_equal(chat_finish_of(SLICE_LIT("length"), &known, &error), FINISH_LENGTH);
    assert_true(known && !error);
    assert_int_equal(chat_finish_of(SLICE_LIT("LENGTH"), &known, &error), FINISH_LENGTH);
    assert_false(known || error);
    assert_int_equal(chat_finish_of(SLICE_LIT("model_length"), &known, &error), FINISH_LENGTH);
    assert_int_equal(chat_finish_of(SLICE_LIT("sensitive"), &known, &error), FINISH_FILTER);
    assert_int_equal(chat_finish_of(SLICE_LIT("network_error"), &known, &error), FINISH_OTHER);
    assert_true(error);
    assert_int_equal(chat_finish_of(SLICE_LIT("what"), &known, &error), FINISH_OTHER);
    assert_false(known || error);
    /* Never a raw word: every finish has one of OpenAI's (R45). */
    assert_string_equal(chat_finish_word(FINISH_CONTEXT), "length");
    assert_string_equal(chat_finish_word(FINISH_PAUSE), "stop");
    assert_string_equal(chat_finish_word(FINISH_FILTER), "content_filter");
    assert_string_equal(chat_finish_word(FINISH_CALLS), "tool_calls");
}

/* ---------------------------------------------------------------- the writer's promises */

static void
test_start_ping_error(void **state)
{
    (void)state;
    static struct pipe pipe;
    begin(&pipe, true);
    assert_int_equal(chat_write_start(&pipe.writer, &pipe.frames), 0);
    assert_int_equal(pipe.frames.count, 0);
    chat_write_ping(&pipe.writer, &pipe.frames);
    assert_int_equal(pipe.frames.count, 1);
    assert_int_equal(pipe.frames.at[0].kind, FRAME_COMMENT);
    frames_clear(&pipe.frames);
    struct canon_error error = canon_error_of(ERR_BACKPRESSURE);
    error.retry_after_ms = 1500;
    assert_int_equal(chat_write_error(&pipe.writer, &error, &pipe.frames), 0);
    assert_int_equal(pipe.frames.count, 2);
    struct slice data = slice_of(pipe.frames.bytes.ptr, pipe.frames.at[0].len);
    assert_true(slice_is(
        data,
        "{\"error\":{\"message\":\"client stopped reading the stream\",\"type\":\"server_error\","
        "\"param\":null,\"code\":\"backpressure_timeout\",\"retry_after\":2}}"));
    /* A stream ends once. */
    assert_int_equal(chat_write_error(&pipe.writer, &error, &pipe.frames), 0);
    assert_int_equal(pipe.frames.count, 2);
    canon_events_clear(&pipe.events);
    assert_non_null(canon_add(&pipe.events, CANON_START));
    assert_int_equal(chat_write_events(&pipe.writer, &pipe.events, &pipe.frames), 0);
    assert_int_equal(pipe.frames.count, 2);
    end(&pipe);
}

static void
test_error_in_events(void **state)
{
    (void)state;
    static struct pipe pipe;
    begin(&pipe, true);
    struct canon_event *event = canon_add(&pipe.events, CANON_ERROR);
    assert_non_null(event);
    event->error = canon_error_of(ERR_IDLE_TIMEOUT);
    assert_int_equal(chat_write_events(&pipe.writer, &pipe.events, &pipe.frames), 0);
    assert_int_equal(pipe.frames.count, 2);
    end(&pipe);
}

/* A whole reply read, carried to a client that streams, and read again says the same. */
static void
test_whole_and_stream_agree(void **state)
{
    (void)state;
    static const char body[] =
        "{\"id\":\"w\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"m\",\"choices\":[{"
        "\"index\":0,\"message\":{"
        "\"role\":\"assistant\",\"content\":\"t\\u00e9xt\",\"reasoning_content\":\"why\",\"tool_"
        "calls\":[{\"id\":\"a\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":[1,2]}\"}}]},"
        "\"finish_reason\":\"tool_calls\"}],"
        "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}";
    struct drive drive = {.client = &openai_chat_dialect,
                          .upstream = &openai_chat_dialect,
                          .status = 200,
                          .options = {.stream = true,
                                      .include_usage = true,
                                      .created_s = 5,
                                      .id = SLICE_LIT("i"),
                                      .model = SLICE_LIT("m")}};
    struct drive_result stream, whole;
    drive_reply(&drive, slice_from(body), &stream);
    assert_int_equal(stream.error, 0);
    assert_null(judge_chat(sink_slice(&stream.text)));
    drive.framed = true;
    drive.options.stream = false;
    drive_reply(&drive, sink_slice(&stream.text), &whole);
    assert_int_equal(whole.error, 0);
    static const char wanted[] =
        "{\"id\":\"chatcmpl-i\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"message\":"
        "{\"role\":\"assistant\",\"content\":\"t\\u00e9xt\",\"refusal\":null,\"reasoning_content\":"
        "\"why\",\"tool_calls\":[{\"id\":"
        "\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":[1,2]}"
        "\"}}]},\"logprobs\":null,"
        "\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
        "\"total_tokens\":3,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{"
        "\"reasoning_tokens\":0}}}";
    assert_true(slice_is(sink_slice(&whole.text), wanted));
    drive_result_fini(&stream);
    drive_result_fini(&whole);
}

static void
test_judge_judges(void **state)
{
    (void)state;
#define CHUNK(rest)                                                                                \
    "data: {\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0," rest     \
    "}]}\n\n"
#define ROLE CHUNK("\"delta\":{\"role\":\"assistant\"}")
#define STOP CHUNK("\"delta\":{},\"finish_reason\":\"stop\"")
#define DONE "data: [DONE]\n\n"
    assert_null(judge_chat(SLICE_LIT(ROLE STOP DONE)));
    assert_null(judge_chat(
        SLICE_LIT(ROLE "data: {\"error\":{\"message\":\"m\",\"type\":\"t\"}}\n\n" DONE)));
    static const char *const bad[] = {
        "",
        ROLE STOP,
        STOP DONE,
        ROLE DONE,
        ROLE STOP STOP DONE,
        ROLE STOP DONE DONE,
        ROLE STOP "data: x\n\n" DONE,
        ROLE CHUNK("\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"c\",\"type\":\"function\","
                   "\"function\":{\"name\":\"f\"}}]}"),
        ROLE CHUNK("\"delta\":{},\"finish_reason\":\"eos\"") DONE,
        ROLE CHUNK("\"delta\":{},\"finish_reason\":\"tool_calls\"") DONE,
        ROLE "data: {\"id\":\"b\",\"choices\":[]}\n\n" STOP DONE,
        ROLE "data: {\"id\":\"a\",\"choices\":[],\"usage\":{}}\n\n" STOP DONE,
        ROLE CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\","
                   "\"function\":{\"name\":\"f\","
                   "\"arguments\":\"{\"}}]}") CHUNK("\"delta\":{},\"finish_reason\":\"tool_calls\"")
            DONE,
    };
    for (size_t i = 0; i < countof(bad); i++)
        assert_non_null(judge_chat(slice_from(bad[i])));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_content_after_finish),
        cmocka_unit_test(test_short_way),       cmocka_unit_test(test_memory_does_not_grow),
        cmocka_unit_test(test_lines_are_short), cmocka_unit_test(test_usage),
        cmocka_unit_test(test_finish_words),    cmocka_unit_test(test_start_ping_error),
        cmocka_unit_test(test_error_in_events), cmocka_unit_test(test_whole_and_stream_agree),
        cmocka_unit_test(test_judge_judges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
