/* SPDX-License-Identifier: MIT
 *
 * test_json_check.c - the incremental check against the scan, at every prefix of many documents.
 */
#include "base/json.h"

#include "base/err.h"
#include "tests/unit/base/json_random.h"
#include "tests/unit/base/json_suite.h"

/* Depth 128 and no other limit, as the check has. */
static int
scan(struct slice text, size_t *offset)
{
    struct json_scan result;
    int error = json_scan(text, 128, &result);
    *offset = result.offset;
    return error;
}

/*
 * After each byte: the check is done where the scan accepts the prefix, and has given up where the
 * scan names an offending byte inside it (an offset at the very end says that it merely ends too
 * early).
 */
static void
compare_at_every_prefix(struct slice text)
{
    struct json_check check;
    json_check_init(&check);
    assert_true(json_check_empty(&check));
    for (size_t n = 0; n <= text.len; n++) {
        size_t offset;
        struct slice prefix = slice_take(text, n);
        int error = scan(prefix, &offset);
        bool bad = error && offset < n;
        bool alive = n == 0 || json_check_feed(&check, slice_skip(prefix, n - 1));
        if (alive == bad || json_check_done(&check) != (error == 0))
            fail_msg("%.*s: scan %d at %zu, check %d, done %d", SLICE_ARG(prefix), error, offset,
                     alive, json_check_done(&check));
        assert_int_equal(json_check_empty(&check), strspn(text.ptr, " \t\r\n") >= n);
    }
}

static bool
check_done_in_pieces(struct slice text, struct random *random)
{
    struct json_check check;
    json_check_init(&check);
    while (text.len > 0) {
        size_t n = 1 + random_below(random, 40);
        json_check_feed(&check, slice_take(text, n));
        text = slice_skip(text, n);
    }
    return json_check_done(&check);
}

static void
scan_and_check_agree(void **state)
{
    (void)state;
    struct random random = {21};
    struct sink sink;
    sink_init(&sink, 1 << 20);
    for (int i = 0; i < 12000; i++) {
        sink_reset(&sink, 1 << 20);
        random_document(&random, &sink, 1 + i % 12);
        if (i % 3 > 0)
            random_damage(&random, &sink);
        sink_byte(&sink, '\0'); /* for strspn only */
        struct slice text = slice_of(sink.ptr, sink.len - 1);
        compare_at_every_prefix(text);

        size_t offset;
        bool valid = scan(text, &offset) == 0;
        struct json_check check;
        json_check_init(&check);
        json_check_feed(&check, text);
        assert_int_equal(json_check_done(&check), valid);
        for (int split = 0; split < 3; split++)
            assert_int_equal(check_done_in_pieces(text, &random), valid);
    }
    sink_fini(&sink);
}

static void
suite_agrees_at_every_prefix(void **state)
{
    (void)state;
    static const struct {
        const struct json_case *cases;
        size_t count;
    } tables[] = {{must_accept, countof(must_accept)},
                  {must_refuse, countof(must_refuse)},
                  {our_choice, countof(our_choice)}};
    for (size_t table = 0; table < countof(tables); table++) {
        for (size_t i = 0; i < tables[table].count; i++)
            compare_at_every_prefix(tables[table].cases[i].text);
    }
}

static void
giving_up_sticks(void **state)
{
    (void)state;
    struct json_check check;
    json_check_init(&check);
    assert_true(json_check_feed(&check, SLICE_LIT("{\"a\":")));
    assert_false(json_check_feed(&check, SLICE_LIT("}")));
    assert_false(json_check_feed(&check, SLICE_LIT("1}")));
    assert_false(json_check_feed(&check, SLICE_NONE));
    assert_false(json_check_done(&check));
    assert_false(json_check_empty(&check));
}

static void
objects_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool object;
    } cases[] = {
        {" {\"a\":[]}", true}, {"[{}]", false}, {"{}", true}, {"1", false}, {"\"{\"", false}};
    for (size_t i = 0; i < countof(cases); i++) {
        struct json_check check;
        json_check_init(&check);
        assert_true(json_check_feed(&check, slice_from(cases[i].text)));
        assert_true(json_check_done(&check));
        assert_int_equal(check.is_object, cases[i].object);
    }
}

static void
numbers_end_only_when_followed(void **state)
{
    (void)state;
    struct json_check check;
    json_check_init(&check);
    assert_true(json_check_feed(&check, SLICE_LIT(" 1")));
    assert_true(json_check_done(&check));
    assert_true(json_check_feed(&check, SLICE_LIT(".")));
    assert_false(json_check_done(&check));
    assert_true(json_check_feed(&check, SLICE_LIT("5 ")));
    assert_true(json_check_done(&check));
    assert_false(json_check_feed(&check, SLICE_LIT("5")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_and_check_agree),
        cmocka_unit_test(suite_agrees_at_every_prefix),
        cmocka_unit_test(giving_up_sticks),
        cmocka_unit_test(objects_are_told_apart),
        cmocka_unit_test(numbers_end_only_when_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
