/* SPDX-License-Identifier: MIT
 *
 * test_textcall.c - tool calls out of text, at any split.
 */
#include "providers/textcall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *const types[] = {"text", "thinking", "redacted", "call", "refusal", "native", "image"};

/* A reply of one thought and this text (escaped), cut by cut: what comes out, a block a line. */
static void
run(const char *text, size_t piece, struct sink *out)
{
    struct arena arena, scratch;
    struct canon_textcall filter;
    struct canon_guard guard;
    arena_init(&arena, 16u << 20);
    arena_init(&scratch, 16u << 20);
    canon_textcall_init(&filter, &arena);
    canon_guard_init(&guard, &arena);
    struct slice rest = slice_from(text);
    sink_reset(out, 4096);
    for (int step = 0;; step++) {
        struct canon_events events;
        arena_reset(&scratch);
        canon_events_init(&events, &scratch);
        struct canon_event *event;
        bool last = false;
        if (step == 0) {
            event = canon_add(&events, CANON_START);
            event->id = SLICE_LIT("r1");
            event = canon_add(&events, CANON_OPEN);
            event->type = BLOCK_THINKING;
            event = canon_add(&events, CANON_CLOSE);
            event->type = BLOCK_THINKING;
            event = canon_add(&events, CANON_OPEN);
            event->block = 1;
        } else if (rest.len > 0) {
            size_t n = 0; /* whole escapes, as readers give them */
            while (n < rest.len && n < piece)
                n += rest.ptr[n] == '\\' ? (rest.ptr[n + 1] == 'u' ? 6 : 2) : 1;
            event = canon_add(&events, CANON_DELTA);
            event->block = 1;
            event->text = slice_take(rest, n);
            rest = slice_skip(rest, n);
        } else {
            event = canon_add(&events, CANON_CLOSE);
            event->block = 1;
            event = canon_add(&events, CANON_FINISH);
            event->finish = FINISH_STOP;
            event = canon_add(&events, CANON_END);
            assert_non_null(event);
            last = true;
        }
        assert_int_equal(canon_textcall_filter(&filter, &events), 0);
        assert_int_equal(canon_guard_check(&guard, &events), 0); /* the grammar holds, and calls are calls */
        for (int i = 0; i < events.count; i++) {
            const struct canon_event *at = &events.at[i];
            if (at->kind == CANON_OPEN)
                sink_printf(out, "%u %s%s%.*s ", (unsigned)at->block, types[at->type], at->name.len ? " " : "", SLICE_ARG(at->name));
            if (at->kind == CANON_DELTA)
                sink_put(out, at->text);
            if (at->kind == CANON_CLOSE)
                sink_byte(out, '|');
            if (at->kind == CANON_FINISH)
                sink_text(out, at->finish == FINISH_CALLS ? "calls" : "stop");
        }
        if (last)
            break;
    }
    canon_textcall_fini(&filter);
    arena_fini(&arena);
    arena_fini(&scratch);
}

static const struct {
    const char *text, *wanted;
} cases[] = {
    {"Hello <b>you</b>.", "0 thinking |1 text Hello <b>you</b>.|stop"},
    {"", "0 thinking |1 text |stop"},
    {" \\n x", "0 thinking |1 text  \\n x|stop"},
    {"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{\\\"a\\\": 1}}</tool_call>", "0 thinking |1 call f {\\\"a\\\": 1}|calls"},
    {"Let me.\\n<tool_call>\\n{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {}}\\n</tool_call>\\n<tool_call>{\\\"name\\\":\\\"g\\\"}</tool_call>\\n",
     "0 thinking |1 text Let me.\\n|2 call f {}|3 call g {}|calls"},
    {"a<tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":\\\"{\\\\\\\"q\\\\\\\":2}\\\"}</tool_call> b", "0 thinking |1 text a|2 call f {\\\"q\\\":2}|3 text  b|calls"},
    {"\\u003ctool_call\\u003e{\\\"name\\\":\\\"f\\\"}\\u003c\\/tool_call>", "0 thinking |1 call f {}|calls"},
    {"<tool_call>no json</tool_call> after", "0 thinking |1 text <tool_call>no json</tool_call> after|stop"},
    {"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":[1]}</tool_call>", "0 thinking |1 text <tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":[1]}</tool_call>|stop"},
    {"cut <tool_call>{\\\"name\\\":\\\"f\\\"", "0 thinking |1 text cut <tool_call>{\\\"name\\\":\\\"f\\\"|stop"},
    {"<tool_cal", "0 thinking |1 text <tool_cal|stop"},
    {"<<tool_call>{\\\"name\\\":\\\"f\\\"}</tool_call>", "0 thinking |1 text <|2 call f {}|calls"},
    {"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{\\\"x\\\":\\\"</tool</tool_call>\\\"}}</tool_call>!",
     "0 thinking |1 text <tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{\\\"x\\\":\\\"</tool</tool_call>\\\"}}</tool_call>!|stop"},
};

static void
calls_are_found_at_any_split(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 1u << 20);
    for (size_t i = 0; i < countof(cases); i++) {
        for (size_t piece = 1; piece < 200; piece += piece < 24 ? 1 : 43) {
            run(cases[i].text, piece, &out);
            if (!slice_is(sink_slice(&out), cases[i].wanted))
                fail_msg("%s in pieces of %zu\n got    %.*s\n wanted %s", cases[i].text, piece, SLICE_ARG(sink_slice(&out)), cases[i].wanted);
        }
    }
    sink_fini(&out);
}

static void
what_is_too_long_is_text(void **state)
{
    size_t len = TEXTCALL_BYTES_MAX + 5000;
    char *text = malloc(len + 32);
    struct sink out;
    (void)state;
    strcpy(text, "<tool_call>");
    memset(text + 11, 'x', len);
    strcpy(text + 11 + len, "</tool_call>");
    sink_init(&out, 4u << 20);
    run(text, 65536, &out);
    struct slice got = sink_slice(&out);
    assert_true(slice_starts(got, SLICE_LIT("0 thinking |1 text <tool_call>xxx")));
    assert_true(slice_ends(got, SLICE_LIT("xxx</tool_call>|stop")));
    assert_int_equal(got.len, strlen(text) + strlen("0 thinking |1 text |stop"));
    sink_fini(&out);
    free(text);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_found_at_any_split),
        cmocka_unit_test(what_is_too_long_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
