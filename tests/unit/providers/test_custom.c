/* SPDX-License-Identifier: MIT
 *
 * test_custom.c - calls of free-form tools that came as functions: wherever the arguments are cut,
 * the text is the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "providers/custom.h"

#include <stdio.h>
#include <string.h>

struct told {
    char text[512];
    bool custom;
    int deltas;
};

/* The calls of one reply: the text in escaped form, handed over in pieces that cut no escape. */
static void
tell(const char *tool, const char *name, const char *arguments, size_t piece, struct told *told)
{
    struct arena arena, scratch;
    arena_init(&arena, 1u << 20);
    arena_init(&scratch, 1u << 20);
    struct canon_tool one = {.kind = TOOL_CUSTOM, .name = slice_from(tool)};
    struct canon_request request = {.tools = &one};
    struct canon_custom custom;
    struct canon_events events;
    assert_int_equal(canon_custom_init(&custom, &request, &arena), 0);
    canon_events_init(&events, &scratch);
    struct canon_event *event = canon_add(&events, CANON_OPEN);
    event->type = BLOCK_CALL;
    event->name = slice_from(name);
    assert_int_equal(canon_custom_filter(&custom, &events), 0);
    *told = (struct told){.custom = events.at[0].custom};
    struct slice rest = slice_from(arguments);
    size_t length = 0;
    while (rest.len > 0) {
        size_t n = 0;
        while (n < rest.len && n < piece)
            n += rest.ptr[n] == '\\' ? (rest.ptr[n + 1] == 'u' ? 6 : 2) : 1;
        while (n < rest.len && (rest.ptr[n] & 0xc0) == 0x80)
            n++;
        canon_events_clear(&events);
        event = canon_add(&events, CANON_DELTA);
        event->type = BLOCK_CALL;
        event->text = slice_take(rest, n);
        rest = slice_skip(rest, n);
        assert_int_equal(canon_custom_filter(&custom, &events), 0);
        for (int i = 0; i < events.count; i++, told->deltas++) {
            struct json_scan scan; /* each piece is complete: no escape is cut */
            struct slice quoted = arena_printf(&scratch, "\"%.*s\"", SLICE_ARG(events.at[i].text));
            assert_int_equal(json_scan(quoted, 1, &scan), 0);
            memcpy(told->text + length, events.at[i].text.ptr, events.at[i].text.len);
            length += events.at[i].text.len;
        }
    }
    canon_events_clear(&events);
    event = canon_add(&events, CANON_CLOSE);
    event->type = BLOCK_CALL;
    assert_int_equal(canon_custom_filter(&custom, &events), 0);
    assert_int_equal(events.count, 1);
    assert_null(custom.open);
    arena_fini(&arena);
    arena_fini(&scratch);
}

static void
becomes(const char *arguments, const char *text)
{
    struct told told;
    for (size_t piece = 1; piece <= strlen(arguments); piece++) {
        tell("patch", "patch", arguments, piece, &told);
        assert_true(told.custom);
        assert_string_equal(told.text, text);
    }
}

static void
unwraps_the_input(void **state)
{
    (void)state;
    becomes("{\\\"input\\\":\\\"hello\\\"}", "hello");
    becomes("{\\\"input\\\":\\\"\\\"}", "");
    becomes("{\\n  \\\"input\\\" : \\\"spaced\\\"\\n}", "spaced");
    becomes("{\\\"input\\\":\\\"line\\\\nnext \\\\\\\"quoted\\\\\\\" \\\\\\\\ back\\\"}",
            "line\\nnext \\\"quoted\\\" \\\\ back");
    becomes("{\\\"input\\\":\\\"\xc3\xa9 \\\\u00e9 \\\\ud83d\\\\ude00 \\u00e9\\\"}",
            "\xc3\xa9 \\u00e9 \\ud83d\\ude00 \xc3\xa9");
    becomes("{\\\"input\\\":\\\"a\\\",\\\"more\\\":1}", "a");
    becomes("{}", "");
    becomes("", "");
}

static void
keeps_what_is_no_such_object(void **state)
{
    (void)state;
    becomes("{\\\"input\\\":5}", "{\\\"input\\\":5}");
    becomes("{\\\"text\\\":\\\"x\\\"}", "{\\\"text\\\":\\\"x\\\"}");
    becomes("{ \xc3\xa9", "{ \xc3\xa9");
    becomes("\\\"bare\\\"", "\\\"bare\\\"");
    becomes("{                                                                              "
            "\\\"input\\\":\\\"far\\\"}",
            "{                                                                              "
            "\\\"input\\\":\\\"far\\\"}");
}

static void
knows_names_that_were_made_legal(void **state)
{
    (void)state;
    struct arena arena;
    struct told told;
    arena_init(&arena, 1u << 16);
    struct slice legal = canon_legal_name(SLICE_LIT("apply.patch"), 64, &arena);
    tell("apply.patch", legal.ptr, "{\\\"input\\\":\\\"x\\\"}", 3, &told);
    assert_true(told.custom);
    assert_string_equal(told.text, "x");
    arena_fini(&arena);
}

static void
leaves_functions_alone(void **state)
{
    (void)state;
    struct told told;
    tell("patch", "other", "{\\\"input\\\":\\\"x\\\"}", 100, &told);
    assert_false(told.custom);
    assert_string_equal(told.text, "{\\\"input\\\":\\\"x\\\"}");
}

/* Two calls at once, in turns. */
static void
keeps_calls_apart(void **state)
{
    (void)state;
    struct arena arena, scratch;
    arena_init(&arena, 1u << 20);
    arena_init(&scratch, 1u << 20);
    struct canon_tool one = {.kind = TOOL_CUSTOM, .name = SLICE_LIT("p")};
    struct canon_request request = {.tools = &one};
    struct canon_custom custom;
    struct canon_events events;
    assert_int_equal(canon_custom_init(&custom, &request, &arena), 0);
    canon_events_init(&events, &scratch);
    const char *const pieces[] = {"{\\\"input\\\":", "{\\\"in", "\\\"a",
                                  "put\\\":\\\"b",   "\\\"}",   "\\\"}"};
    for (uint32_t i = 0; i < 2; i++) {
        struct canon_event *event = canon_add(&events, CANON_OPEN);
        event->type = BLOCK_CALL;
        event->block = i;
        event->name = SLICE_LIT("p");
    }
    for (uint32_t i = 0; i < countof(pieces); i++) {
        struct canon_event *event = canon_add(&events, CANON_DELTA);
        event->type = BLOCK_CALL;
        event->block = i % 2;
        event->text = slice_from(pieces[i]);
    }
    assert_int_equal(canon_custom_filter(&custom, &events), 0);
    assert_int_equal(events.count, 4);
    assert_true(slice_is(events.at[2].text, "a"));
    assert_int_equal(events.at[2].block, 0);
    assert_true(slice_is(events.at[3].text, "b"));
    assert_int_equal(events.at[3].block, 1);
    arena_fini(&arena);
    arena_fini(&scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unwraps_the_input),
        cmocka_unit_test(keeps_what_is_no_such_object),
        cmocka_unit_test(knows_names_that_were_made_legal),
        cmocka_unit_test(leaves_functions_alone),
        cmocka_unit_test(keeps_calls_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
