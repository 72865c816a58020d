/* SPDX-License-Identifier: MIT
 *
 * test_inputs.c - inputs of tool calls cleaned up, at any split.
 */
#include "providers/inputs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct part {
    const char *name;  /* of a call; NULL: text */
    const char *input; /* escaped */
    bool custom, open; /* open: the reply ends before it is complete */
};

static void
show(struct sink *out, const struct canon_events *events)
{
    static const char kinds[] = "SODCUFXE";
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        if (event->kind == CANON_DELTA)
            sink_printf(out, "%u%.*s;", event->block, SLICE_ARG(event->text));
        else if (event->kind == CANON_FINISH)
            sink_printf(out, "F%d;", (int)event->finish);
        else if (event->kind == CANON_OPEN)
            sink_printf(out, "O%u%.*s;", event->block, SLICE_ARG(event->name));
        else
            sink_printf(out, "%c;", kinds[event->kind]);
    }
}

/* A reply of these parts, its inputs in pieces; what comes out of filter and guard. Equal neighbours are one in the answer. */
static const char *
run(const struct canon_input_rules *rules, const struct part *parts, size_t count, size_t piece, enum canon_finish finish, struct sink *out)
{
    struct arena arena, scratch;
    struct canon_inputs filter;
    struct canon_guard guard;
    struct canon_events events;
    arena_init(&arena, 64u << 20);
    arena_init(&scratch, 64u << 20);
    canon_inputs_init(&filter, rules, &arena);
    canon_guard_init(&guard, &arena);
    sink_reset(out, 4096);
#define GIVE()                                                                                     \
    do {                                                                                           \
        assert_int_equal(canon_inputs_filter(&filter, &events), 0);                                \
        assert_int_equal(canon_guard_check(&guard, &events), 0);                                   \
        show(out, &events);                                                                        \
        arena_reset(&scratch);                                                                     \
        canon_events_init(&events, &scratch);                                                      \
    } while (0)
    canon_events_init(&events, &scratch);
    assert_non_null(canon_add(&events, CANON_START));
    for (size_t i = 0; i < count; i++) {
        enum canon_block type = parts[i].name ? BLOCK_CALL : BLOCK_TEXT;
        struct canon_event *event = canon_add(&events, CANON_OPEN);
        event->type = type;
        event->block = (uint32_t)i;
        event->name = parts[i].name ? slice_from(parts[i].name) : SLICE_NONE;
        event->id = parts[i].name ? slice_take(SLICE_LIT("abcdefgh"), i + 1) : SLICE_NONE;
        event->custom = parts[i].custom;
        for (struct slice rest = slice_from(parts[i].input); rest.len > 0;) {
            size_t n = 0;
            while (n < rest.len && n < piece)
                n += rest.ptr[n] == '\\' ? (rest.ptr[n + 1] == 'u' ? 6 : 2) : 1;
            event = canon_add(&events, CANON_DELTA);
            event->type = type;
            event->block = (uint32_t)i;
            event->text = slice_take(rest, n);
            rest = slice_skip(rest, n);
            GIVE();
        }
        if (parts[i].open)
            continue;
        event = canon_add(&events, CANON_CLOSE);
        event->type = type;
        event->block = (uint32_t)i;
        GIVE();
    }
    canon_add(&events, CANON_FINISH)->finish = finish;
    GIVE();
    canon_inputs_fini(&filter);
    arena_fini(&scratch);
    arena_fini(&arena);
    sink_byte(out, '\0');
    return out->ptr;
}

static void
check(struct canon_input_rules rules, const struct part *parts, size_t count, enum canon_finish finish, const char *wanted)
{
    struct sink out;
    sink_init(&out, 1u << 20);
    /* text passes in its pieces, so that only whole inputs can be compared at every split */
    for (size_t piece = 1; piece < 200; piece += 1 + piece / 8) {
        bool has_text = false;
        for (size_t i = 0; i < count; i++)
            has_text = has_text || !parts[i].name || parts[i].custom;
        assert_string_equal(run(&rules, parts, count, has_text ? 1000 : piece, finish, &out), wanted);
    }
    sink_fini(&out);
}
#define CHECK(rules, finish, wanted, ...)                                                          \
    do {                                                                                           \
        const struct part list[] = {__VA_ARGS__};                                                  \
        check(rules, list, countof(list), finish, wanted);                                         \
    } while (0)

static void
test_members(void **state)
{
    (void)state;
    struct canon_input_rules empty = {.drop_empty = true}, one = {.exclusive = SLICE_LIT("[[\"a\",\"b\"],[\"x\",\"y\",\"z\"]]")}, both = one;
    both.drop_empty = true;
    CHECK(empty, FINISH_CALLS, "S;O0f;0{\\\"q\\\":1,\\\"d\\\":[0],\\\"e\\\":{\\\"f\\\":[]}};C;F5;",
          {"f", "{\\\"q\\\":1,\\\"a\\\":[],\\\"d\\\":[0],\\\"e\\\":{\\\"f\\\":[]},\\\"b\\\":[ ]}", false, false});
    CHECK(one, FINISH_CALLS, "S;O0f;0{\\\"y\\\":2,\\\"a\\\":[]};C;F5;", {"f", "{\\\"b\\\":1,\\\"y\\\":2,\\\"z\\\":3,\\\"a\\\":[]}", false, false});
    CHECK(both, FINISH_CALLS, "S;O0f;0{\\\"b\\\":[1]};C;F5;", {"f", "{\\\"a\\\":[],\\\"b\\\":[1]}", false, false});
    /* nothing to clean: the bytes of the model, white space and escapes and all */
    CHECK(both, FINISH_CALLS, "S;O0f;0{ \\\"a\\\" : \\\"\\\\u00e9\\u00e9\\\" };C;F5;", {"f", "{ \\\"a\\\" : \\\"\\\\u00e9\\u00e9\\\" }", false, false});
    CHECK(both, FINISH_CALLS, "S;O0f;C;F5;", {"f", "", false, false});
    CHECK(both, FINISH_CALLS, "S;O0f;0free [];C;F5;", {"f", "free []", true, false});
    /* two at once, and text between */
    CHECK(empty, FINISH_CALLS, "S;O0;0hi;C;O1f;1{};C;O2g;2{\\\"b\\\":1};C;F5;", {NULL, "hi", false, false}, {"f", "{\\\"a\\\":[]}", false, false},
          {"g", "{\\\"b\\\":1}", false, false});
}

static void
test_dropped_calls(void **state)
{
    (void)state;
    struct canon_input_rules rules = {.drop_calls = SLICE_LIT("[\"adv*\"]")};
    CHECK(rules, FINISH_CALLS, "S;F1;", {"advisor", "{\\\"a\\\":1}", false, false});
    CHECK(rules, FINISH_CALLS, "S;O0;0hi;C;F1;", {NULL, "hi", false, false}, {"advisor", "{}", false, false});
    CHECK(rules, FINISH_CALLS, "S;O0f;0{};C;O1;1bye;C;F5;", {"advisor", "{}", false, false}, {"f", "{}", false, false}, {"advice", "{}", false, false}, {NULL, "bye", false, false});
}

static void
test_cut_replies(void **state)
{
    (void)state;
    struct canon_input_rules rules = {.drop_empty = true};
    CHECK(rules, FINISH_LENGTH, "S;O0f;0{\\\"a\\\":[;F3;", {"f", "{\\\"a\\\":[", false, true});
    CHECK(rules, FINISH_LENGTH, "S;O0f;0{\\\"a\\\":[;C;F3;", {"f", "{\\\"a\\\":[", false, false});
}

static void
test_very_long_inputs(void **state)
{
    (void)state;
    struct canon_input_rules rules = {.drop_empty = true};
    struct sink out, input;
    sink_init(&out, 16u << 20);
    sink_init(&input, 4u << 20);
    sink_text(&input, "{\\\"a\\\":[],\\\"b\\\":\\\"");
    while (input.len < INPUTS_BYTES_MAX + 1000)
        sink_text(&input, "0123456789abcdef");
    sink_text(&input, "\\\"}");
    sink_byte(&input, '\0');
    const struct part part = {"f", input.ptr, false, false};
    const char *got = run(&rules, &part, 1, 5000, FINISH_CALLS, &out);
    assert_non_null(strstr(got, "\\\"a\\\":[],"));
    assert_true(out.len > input.len);
    sink_fini(&out);
    sink_fini(&input);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_members), cmocka_unit_test(test_dropped_calls), cmocka_unit_test(test_cut_replies),
                                       cmocka_unit_test(test_very_long_inputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
