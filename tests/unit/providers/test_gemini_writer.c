/* SPDX-License-Identifier: MIT
 *
 * test_gemini_writer.c - what a Gemini client gets of events that no golden case brings about:
 * limits, names, thoughts that are not wanted, state of unknown origin, silence; and offsets into
 * text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/text.h"
#include "providers/gemini.h"

struct writing {
    struct arena arena, scratch;
    struct canon_events events;
    struct frames frames;
    struct gemini_writer writer;
    struct sink out; /* frames' data, a line each */
};

static void
begin(struct writing *at, struct dialect_writer_options options)
{
    options.id = SLICE_LIT("i");
    options.model = SLICE_LIT("m \"x\"");
    arena_init(&at->arena, 64u << 20);
    arena_init(&at->scratch, 64u << 20);
    frames_init(&at->frames, 64u << 20);
    sink_init(&at->out, 64u << 20);
    canon_events_init(&at->events, &at->scratch);
    assert_int_equal(gemini_dialect.writer_init(&at->writer, &options, &at->arena), 0);
}

static void
finish(struct writing *at)
{
    gemini_dialect.writer_fini(&at->writer);
    frames_fini(&at->frames);
    sink_fini(&at->out);
    arena_fini(&at->scratch);
    arena_fini(&at->arena);
}

/* One event in, its frames into out. */
static int
put(struct writing *at, struct canon_event event)
{
    struct canon_event *own = canon_add(&at->events, event.kind);
    assert_non_null(own);
    struct canon_usage usage = own->usage;
    *own = event;
    if (event.kind != CANON_USAGE)
        own->usage = usage;
    int error = gemini_dialect.write_events(&at->writer, &at->events, &at->frames);
    for (int i = 0; i < at->frames.count; i++) {
        const struct frame *frame = &at->frames.at[i];
        assert_int_equal(frame->kind, FRAME_EVENT);
        assert_null(frame->type);
        sink_put(&at->out, slice_of(sink_slice(&at->frames.bytes).ptr + frame->start, frame->len));
        sink_byte(&at->out, '\n');
    }
    uint32_t unsaid = at->frames.unsaid;
    frames_clear(&at->frames);
    at->frames.unsaid = unsaid;
    canon_events_clear(&at->events);
    arena_reset(&at->scratch);
    return error;
}

static void
expect(struct writing *at, const char *text)
{
    sink_byte(&at->out, '\0');
    assert_string_equal(sink_slice(&at->out).ptr, text);
    sink_reset(&at->out, 65536);
}

#define OF(block_, type_) .block = block_, .type = type_
#define TAIL ",\"modelVersion\":\"m \\\"x\\\"\",\"responseId\":\"i\"}\n"
#define CHUNK(parts)                                                                               \
    "{\"candidates\":[{\"content\":{\"parts\":[" parts "],\"role\":\"model\"},\"index\":0}]" TAIL
#define LAST(reason)                                                                               \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"              \
    "\"finishReason\":\"" reason "\",\"index\":0}]" TAIL

static void
says_why_it_ended(void **state)
{
    (void)state;
    static const char *const words[] = {"STOP", "STOP",   "STOP", "MAX_TOKENS", "MAX_TOKENS",
                                        "STOP", "SAFETY", "STOP", "OTHER"};
    for (int i = FINISH_NONE; i <= FINISH_OTHER; i++) {
        struct writing at;
        char text[400];
        begin(&at, (struct dialect_writer_options){.stream = true});
        assert_int_equal(
            put(&at, (struct canon_event){.kind = CANON_FINISH, .finish = (enum canon_finish)i}),
            0);
        expect(&at, "");
        assert_int_equal(put(&at, (struct canon_event){.kind = CANON_END}), 0);
        (void)snprintf(text, sizeof(text), LAST("%s"), words[i]);
        expect(&at, text);
        /* Once. */
        assert_int_equal(put(&at, (struct canon_event){.kind = CANON_END}), 0);
        struct canon_error error = canon_error_of(ERR_RESET);
        assert_int_equal(gemini_dialect.write_error(&at.writer, &error, &at.frames), 0);
        assert_int_equal(at.frames.count, 0);
        expect(&at, "");
        finish(&at);
    }
}

static void
is_silent_when_nothing_comes(void **state)
{
    (void)state;
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true});
    assert_int_equal(gemini_dialect.write_start(&at.writer, &at.frames), 0);
    gemini_dialect.write_ping(&at.writer, &at.frames);
    assert_int_equal(at.frames.count, 0);
    finish(&at);
}

static void
ends_in_one_error(void **state)
{
    (void)state;
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true});
    struct canon_error error = canon_error_of(ERR_RESET);
    assert_int_equal(gemini_dialect.write_error(&at.writer, &error, &at.frames), 0);
    assert_int_equal(gemini_dialect.write_error(&at.writer, &error, &at.frames), 0);
    assert_int_equal(at.frames.count, 1);
    assert_true(gemini_dialect.error_conforms(sink_slice(&at.frames.bytes), &at.arena));
    frames_clear(&at.frames);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_END}), 0);
    expect(&at, "");
    finish(&at);
}

/* A client that wants no thoughts gets none; the state goes on all the same, since the next turn
 * needs it. */
static void
hides_thoughts_that_are_not_wanted(void **state)
{
    (void)state;
    struct canon_request request = {.show_thoughts = 0};
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true, .request = &request});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN, OF(0, BLOCK_THINKING)}), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(0, BLOCK_THINKING),
                                                   .text = SLICE_LIT("hm")}),
                     0);
    expect(&at, "");
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(0, BLOCK_THINKING),
                                                   .signature = SLICE_LIT("QQ=="),
                                                   .origin = ORIGIN_GEMINI}),
                     0);
    expect(&at, CHUNK("{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"QQ==\"}"));
    finish(&at);
}

/* State that nobody knows the owner of can go back to nobody. */
static void
counts_what_it_cannot_say(void **state)
{
    (void)state;
    struct canon_citation place = {.title = SLICE_LIT("d"), .start = -1, .end = -1};
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN, OF(0, BLOCK_THINKING)}), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(0, BLOCK_THINKING),
                                                   .signature = SLICE_LIT("x")}),
                     0);
    assert_int_equal(at.frames.unsaid, 1);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN,
                                                   OF(1, BLOCK_REDACTED),
                                                   .data = SLICE_LIT("x")}),
                     0);
    assert_int_equal(at.frames.unsaid, 2);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN,
                                                   OF(2, BLOCK_NATIVE),
                                                   .name = SLICE_LIT("server_tool_use")}),
                     0);
    assert_int_equal(at.frames.unsaid, 3);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_NATIVE,
                                                   .name = SLICE_LIT("x"),
                                                   .native = SLICE_LIT("{}"),
                                                   .origin = ORIGIN_RESPONSES}),
                     0);
    assert_int_equal(at.frames.unsaid, 4);
    assert_int_equal(
        put(&at,
            (struct canon_event){.kind = CANON_CITATION, .type = BLOCK_TEXT, .citation = &place}),
        0);
    assert_int_equal(at.frames.unsaid, 5);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN,
                                                   OF(3, BLOCK_CALL),
                                                   .id = SLICE_LIT("c"),
                                                   .name = SLICE_LIT("f"),
                                                   .signature = SLICE_LIT("x")}),
                     0);
    assert_int_equal(at.frames.unsaid, 6);
    expect(&at, "");
    finish(&at);
}

/* The names are kept: the request is gone when the call comes. */
static void
gives_tools_their_names_back(void **state)
{
    (void)state;
    struct writing at;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    struct canon_tool *tool = calloc(1, sizeof(*tool));
    assert_non_null(tool);
    tool->name = SLICE_LIT("ns.tool:with more");
    struct slice legal = canon_legal_name(tool->name, 64, &arena);
    struct canon_request request = {.tools = tool, .show_thoughts = -1};
    begin(&at, (struct dialect_writer_options){.stream = true, .request = &request});
    memset(tool, 0xee, sizeof(*tool));
    free(tool);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN,
                                                   OF(0, BLOCK_CALL),
                                                   .id = SLICE_LIT("c"),
                                                   .name = legal}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_CLOSE, OF(0, BLOCK_CALL)}), 0);
    expect(&at,
           CHUNK("{\"functionCall\":{\"id\":\"c\",\"name\":\"ns.tool:with more\",\"args\":{}}}"));
    finish(&at);
    arena_fini(&arena);
}

/* Free text, a value that is no object, half a surrogate pair at a piece's end. */
static void
wraps_arguments_that_are_no_object(void **state)
{
    (void)state;
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN,
                                                   OF(0, BLOCK_CALL),
                                                   .id = SLICE_LIT("c"),
                                                   .name = SLICE_LIT("f"),
                                                   .custom = true}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(0, BLOCK_CALL),
                                                   .text = SLICE_LIT("a\\\"\\ud83d")}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(0, BLOCK_CALL),
                                                   .text = SLICE_LIT("\\ude00\\n")}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_CLOSE, OF(0, BLOCK_CALL)}), 0);
    expect(&at, CHUNK("{\"functionCall\":{\"id\":\"c\",\"name\":\"f\",\"args\":{\"input\":"
                      "\"a\\\"\xf0\x9f\x98\x80\\n\"}}}"));
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN,
                                                   OF(1, BLOCK_CALL),
                                                   .id = SLICE_LIT("d"),
                                                   .name = SLICE_LIT("f")}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(1, BLOCK_CALL),
                                                   .text = SLICE_LIT("[1,\\n2]")}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_CLOSE, OF(1, BLOCK_CALL)}), 0);
    expect(&at, ""); /* held: the reply may yet be refused */
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_FINISH, .finish = FINISH_LENGTH}),
                     0);
    expect(&at,
           CHUNK("{\"functionCall\":{\"id\":\"d\",\"name\":\"f\",\"args\":{\"value\":[1,2]}}}"));
    finish(&at);
}

static void
bounds_what_it_gathers(void **state)
{
    (void)state;
    static char text[1u << 20];
    struct writing at;
    int error = 0;
    memset(text, 'a', sizeof(text));
    begin(&at, (struct dialect_writer_options){.stream = true});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN,
                                                   OF(0, BLOCK_CALL),
                                                   .id = SLICE_LIT("c"),
                                                   .name = SLICE_LIT("f")}),
                     0);
    for (int i = 0; i < 32 && error == 0; i++)
        error = put(&at, (struct canon_event){.kind = CANON_DELTA,
                                              OF(0, BLOCK_CALL),
                                              .text = slice_of(text, sizeof(text))});
    assert_int_equal(error, -ERR_UPSTREAM_TOO_LARGE);
    finish(&at);
    begin(&at, (struct dialect_writer_options){.stream = false});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN, OF(0, BLOCK_TEXT)}), 0);
    for (int i = 0; i < 80 && error != -ERR_LIMIT; i++)
        error = put(&at, (struct canon_event){.kind = CANON_DELTA,
                                              OF(0, BLOCK_TEXT),
                                              .text = slice_of(text, sizeof(text))});
    assert_int_equal(error, -ERR_LIMIT);
    finish(&at);
}

/* Sources once each; places that are not in the text are places in all of it. */
static void
lists_each_source_once(void **state)
{
    (void)state;
    struct canon_citation place = {.url = SLICE_LIT("https://a/"), .start = 1, .end = 2};
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = false});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN, OF(0, BLOCK_TEXT)}), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(0, BLOCK_TEXT),
                                                   .text = SLICE_LIT("\\u20acb")}),
                     0);
    assert_int_equal(
        put(&at,
            (struct canon_event){.kind = CANON_CITATION, OF(0, BLOCK_TEXT), .citation = &place}),
        0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_CLOSE, OF(0, BLOCK_TEXT)}), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN, OF(1, BLOCK_TEXT)}), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(1, BLOCK_TEXT),
                                                   .text = SLICE_LIT("\\u00e9c")}),
                     0);
    assert_int_equal(
        put(&at,
            (struct canon_event){.kind = CANON_CITATION, OF(1, BLOCK_TEXT), .citation = &place}),
        0);
    place.end = INT64_MAX;
    assert_int_equal(
        put(&at,
            (struct canon_event){.kind = CANON_CITATION, OF(1, BLOCK_TEXT), .citation = &place}),
        0);
    place = (struct canon_citation){
        .url = SLICE_LIT("https://b/"), .title = SLICE_LIT("B"), .start = -1, .end = -1};
    assert_int_equal(
        put(&at,
            (struct canon_event){.kind = CANON_CITATION, OF(0, BLOCK_TEXT), .citation = &place}),
        0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_FINISH, .finish = FINISH_STOP}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_END}), 0);
    assert_int_equal(gemini_dialect.write_whole(&at.writer, &at.out), 0);
    expect(&at, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\\u20acb\"},{\"text\":"
                "\"\\u00e9c\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0,"
                "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://a/"
                "\"}},{\"web\":{\"uri\":\"https://b/\",\"title\":\"B\"}}],"
                "\"groundingSupports\":[{\"segment\":{\"startIndex\":3,\"endIndex\":4},"
                "\"groundingChunkIndices\":[0]},"
                "{\"segment\":{\"startIndex\":6,\"endIndex\":7},\"groundingChunkIndices\":[0]},"
                "{\"segment\":{\"startIndex\":4,\"endIndex\":7},\"groundingChunkIndices\":[0]},"
                "{\"segment\":{\"endIndex\":4},\"groundingChunkIndices\":[1]}]}}],\"modelVersion\":"
                "\"m \\\"x\\\"\",\"responseId\":\"i\"}");
    finish(&at);
}

static void
does_not_write_an_unfinished_whole(void **state)
{
    (void)state;
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = false});
    assert_int_equal(gemini_dialect.write_whole(&at.writer, &at.out), -ERR_UPSTREAM_PROTOCOL);
    finish(&at);
}

/* Offsets that nothing can be said about, and many characters of changing length. */
static void
converts_offsets(void **state)
{
    (void)state;
    struct gemini_offsets offsets;
    gemini_offsets_init(&offsets);
    assert_int_equal(gemini_offsets_points(&offsets, 0), 0);
    assert_int_equal(gemini_offsets_points(&offsets, 1), -1);
    gemini_offsets_feed(&offsets, SLICE_LIT("a\xc3\xa9\\u20ac\\n\\ud83d"));
    gemini_offsets_feed(&offsets, SLICE_LIT("\\ude00\\ud83dz"));
    assert_int_equal(offsets.bytes, 1 + 2 + 3 + 1 + 4 + 3 + 1);
    assert_int_equal(offsets.points, 7);
    static const int64_t begins[] = {0, 1, 3, 6, 7, 11, 14, 15};
    for (int64_t i = 0; i < (int64_t)countof(begins); i++) {
        assert_int_equal(gemini_offsets_points(&offsets, begins[i]), i);
        assert_int_equal(gemini_offsets_bytes(&offsets, i), begins[i]);
    }
    assert_int_equal(gemini_offsets_points(&offsets, 8), 4); /* inside of a character */
    assert_int_equal(gemini_offsets_points(&offsets, -1), -1);
    assert_int_equal(gemini_offsets_bytes(&offsets, 8), -1);
    size_t marks = offsets.marks.len;
    for (int i = 0; i < 1000; i++) /* text of one kind costs nothing more */
        gemini_offsets_feed(&offsets, SLICE_LIT("z"));
    assert_int_equal(offsets.marks.len, marks);
    for (size_t i = 0; i < GEMINI_MARKS_MAX / 8 && !offsets.lost; i++)
        gemini_offsets_feed(&offsets, SLICE_LIT("a\xc3\xa9"));
    assert_true(offsets.lost);
    assert_int_equal(gemini_offsets_points(&offsets, 0), -1);
    assert_int_equal(gemini_offsets_bytes(&offsets, 0), -1);
    gemini_offsets_fini(&offsets);
}

/* The last piece of a thought waits for a signature, which some libraries would lose on a part
 * without text; and for nothing else. */
static void
signs_a_thought_with_its_last_piece(void **state)
{
    (void)state;
#define THOUGHT(...)                                                                               \
    (struct canon_event)                                                                           \
    {                                                                                              \
        .kind = CANON_DELTA, OF(0, BLOCK_THINKING), __VA_ARGS__                                    \
    }
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN, OF(0, BLOCK_THINKING)}), 0);
    assert_int_equal(put(&at, THOUGHT(.text = SLICE_LIT("a"))), 0);
    expect(&at, "");
    assert_int_equal(put(&at, THOUGHT(.text = SLICE_LIT("b"))), 0);
    expect(&at, CHUNK("{\"text\":\"a\",\"thought\":true}"));
    assert_int_equal(put(&at, THOUGHT(.signature = SLICE_LIT("QQ=="), .origin = ORIGIN_GEMINI)), 0);
    expect(&at, CHUNK("{\"text\":\"b\",\"thought\":true,\"thoughtSignature\":\"QQ==\"}"));
    assert_int_equal(put(&at, THOUGHT(.text = SLICE_LIT("c"))), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_CLOSE, OF(0, BLOCK_THINKING)}), 0);
    expect(&at, CHUNK("{\"text\":\"c\",\"thought\":true}"));
    assert_int_equal(put(&at, THOUGHT(.text = SLICE_LIT("d"))), 0);
    canon_events_clear(&at.events);
    assert_int_equal(gemini_dialect.pass_event(&at.writer, SLICE_LIT("{}"), &at.events, &at.frames),
                     0);
    assert_int_equal(at.frames.count, 2);
    assert_int_equal(at.frames.at[1].kind, FRAME_PASS);
    frames_clear(&at.frames);
    assert_int_equal(put(&at, THOUGHT(.text = SLICE_LIT("e"))), 0);
    struct canon_error error = canon_error_of(ERR_RESET);
    assert_int_equal(gemini_dialect.write_error(&at.writer, &error, &at.frames), 0);
    assert_int_equal(at.frames.count, 2);
    assert_true(text_find(sink_slice(&at.frames.bytes), SLICE_LIT("{\"text\":\"e\"")) > 0);
    finish(&at);
}

/* A text too long for one line: its signature and its probabilities go with the last piece. */
static void
signs_the_last_piece(void **state)
{
    (void)state;
    static char text[130000];
    struct writing at;
    memset(text, 'a', sizeof(text));
    begin(&at, (struct dialect_writer_options){.stream = true});
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_OPEN, OF(0, BLOCK_TEXT)}), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_DELTA,
                                                   OF(0, BLOCK_TEXT),
                                                   .text = slice_of(text, sizeof(text)),
                                                   .signature = SLICE_LIT("QQ=="),
                                                   .origin = ORIGIN_GEMINI}),
                     0);
    struct slice out = sink_slice(&at.out);
    for (int i = 0; i < 3; i++) {
        struct slice line = text_split(&out, '\n');
        assert_true(line.len > 1000 && line.len < 65536);
        assert_int_equal(text_find(line, SLICE_LIT("thoughtSignature")) >= 0, i == 2);
    }
    assert_int_equal(out.len, 0);
    finish(&at);
}

/* What the upstream said itself in chunks that passed is not missing. */
static void
misses_nothing_that_passed(void **state)
{
    (void)state;
    struct canon_citation place = {.title = SLICE_LIT("d"), .start = -1, .end = -1};
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true});
    at.events.mends = GEMINI_MEND_FINISH;
    assert_int_equal(gemini_dialect.pass_event(&at.writer, SLICE_LIT("{}"), &at.events, &at.frames),
                     0);
    assert_int_equal(at.frames.count, 1);
    assert_int_equal(at.frames.at[0].kind, FRAME_PASS);
    frames_clear(&at.frames);
    canon_events_clear(&at.events);
    assert_int_equal(
        put(&at,
            (struct canon_event){.kind = CANON_CITATION, .type = BLOCK_TEXT, .citation = &place}),
        0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_FINISH, .finish = FINISH_STOP}),
                     0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_END}), 0);
    assert_int_equal(at.frames.unsaid, 0);
    expect(&at, "");
    finish(&at);
}

/* Some servers count more thought than output: no counter may wrap. */
static void
counts_no_less_than_nothing(void **state)
{
    (void)state;
    struct writing at;
    begin(&at, (struct dialect_writer_options){.stream = true});
    struct canon_usage usage = CANON_USAGE_UNKNOWN;
    usage.out_total = 3;
    usage.reasoning = 5;
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_USAGE, .usage = usage}), 0);
    assert_int_equal(put(&at, (struct canon_event){.kind = CANON_END}), 0);
    expect(&at, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"
                "\"finishReason\":\"STOP\",\"index\":0}],"
                "\"usageMetadata\":{\"thoughtsTokenCount\":3,\"totalTokenCount\":3}" TAIL);
    finish(&at);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_why_it_ended),
        cmocka_unit_test(is_silent_when_nothing_comes),
        cmocka_unit_test(ends_in_one_error),
        cmocka_unit_test(hides_thoughts_that_are_not_wanted),
        cmocka_unit_test(counts_what_it_cannot_say),
        cmocka_unit_test(gives_tools_their_names_back),
        cmocka_unit_test(wraps_arguments_that_are_no_object),
        cmocka_unit_test(bounds_what_it_gathers),
        cmocka_unit_test(lists_each_source_once),
        cmocka_unit_test(does_not_write_an_unfinished_whole),
        cmocka_unit_test(converts_offsets),
        cmocka_unit_test(signs_the_last_piece),
        cmocka_unit_test(signs_a_thought_with_its_last_piece),
        cmocka_unit_test(misses_nothing_that_passed),
        cmocka_unit_test(counts_no_less_than_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
