/* SPDX-License-Identifier: MIT
 *
 * test_json_suite.c - the public parsing suite's cases, through every way into the reader: the
 * scan, the parser, and the incremental check whole, byte by byte and at random splits.
 */
#include "base/err.h"
#include "base/json.h"

#include "tests/unit/base/json_suite.h"
#include "tests/unit/base/support.h"

#include <stdlib.h>

/* The case's text in memory of exactly its size, so that a reader that goes too far is caught. */
static struct slice
case_text(const struct json_case *json_case)
{
    size_t len = json_case->text.len * json_case->times;
    char *text = malloc(len > 0 ? len : 1);
    assert_non_null(text);
    for (size_t i = 0; i < json_case->times; i++)
        memcpy(text + i * json_case->text.len, json_case->text.ptr, json_case->text.len);
    return slice_of(text, len);
}

static bool
check_in_pieces(struct slice text, struct random *random, size_t piece_max)
{
    struct json_check check;
    json_check_init(&check);
    while (text.len > 0) {
        size_t n = piece_max > 1 ? 1 + random_below(random, piece_max) : 1;
        json_check_feed(&check, slice_take(text, n));
        text = slice_skip(text, n);
    }
    return json_check_done(&check);
}

static void
run_cases(const struct json_case *cases, size_t count)
{
    struct random random = {3};
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        struct slice text = case_text(&cases[i]);
        struct json_scan scan;
        struct json root;
        bool verdicts[] = {
            json_scan(text, 64, &scan) == 0,
            json_parse(text, 64, 1000, &arena, &root) == 0,
            check_in_pieces(text, &random, SIZE_MAX / 2),
            check_in_pieces(text, &random, 1),
            check_in_pieces(text, &random, 5),
        };
        for (size_t way = 0; way < countof(verdicts); way++) {
            if (verdicts[way] != cases[i].valid)
                fail_msg("%s, way %zu: %d", cases[i].name, way, verdicts[way]);
        }
        arena_reset(&arena);
        free((void *)(uintptr_t)text.ptr);
    }
    arena_fini(&arena);
}

static void
everyone_must_accept(void **state)
{
    (void)state;
    assert_int_equal(countof(must_accept), 95);
    run_cases(must_accept, countof(must_accept));
}

static void
everyone_must_refuse(void **state)
{
    (void)state;
    assert_int_equal(countof(must_refuse), 188);
    run_cases(must_refuse, countof(must_refuse));
}

static void
our_choice_is_steady(void **state)
{
    (void)state;
    assert_int_equal(countof(our_choice), 34); /* the 35th, nesting, is a question of our limit */
    run_cases(our_choice, countof(our_choice));
}

/* 500 nested arrays are fine where 500 levels are allowed; one more than allowed never is. */
static void
depth_is_a_limit(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    for (int depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        struct slice whole = slice_of(text, 2 * (size_t)depth);
        struct json_scan scan;
        assert_int_equal(json_scan(whole, 10000, &scan), depth > JSON_DEPTH_MAX ? -ERR_DEPTH : 0);
        if (depth <= JSON_DEPTH_MAX) {
            assert_int_equal(scan.depth, depth);
            assert_int_equal(json_scan(whole, depth, &scan), 0);
            assert_int_equal(json_scan(whole, depth - 1, &scan), -ERR_DEPTH);
            assert_int_equal(scan.offset, depth - 1);
        }
        struct json_check check;
        json_check_init(&check);
        assert_int_equal(json_check_feed(&check, whole), depth <= 128);
        assert_int_equal(json_check_done(&check), depth <= 128);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_must_accept),
        cmocka_unit_test(everyone_must_refuse),
        cmocka_unit_test(our_choice_is_steady),
        cmocka_unit_test(depth_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
