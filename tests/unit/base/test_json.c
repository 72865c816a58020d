/* SPDX-License-Identifier: MIT
 *
 * test_json.c - our tokens against jsmn's, the way about in a document, strings and numbers.
 */
#include "base/err.h"
#include "base/json_token.h"

#include "tests/unit/base/json_random.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena arena;

static struct json
parse(const char *text)
{
    struct json root;
    assert_int_equal(json_parse(slice_from(text), 64, 10000, &arena, &root), 0);
    return root;
}

static int
reset_arena(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

/* A copy that ends where the text ends, so that the sanitizer sees every step too far. */
static struct slice
exact_copy(const struct sink *sink)
{
    char *copy = malloc(sink->len > 0 ? sink->len : 1);
    assert_non_null(copy);
    memcpy(copy, sink->ptr, sink->len);
    return slice_of(copy, sink->len);
}

static void
assert_same_tokens(const struct json_doc *ours, const struct json_doc *theirs)
{
    assert_int_equal(ours->count, theirs->count);
    for (uint32_t i = 0; i < ours->count; i++) {
        const struct json_token *a = &ours->tokens[i], *b = &theirs->tokens[i];
        assert_int_equal(a->start, b->start);
        assert_int_equal(a->end, b->end);
        assert_int_equal(a->size, b->size);
        assert_int_equal(a->next, b->next);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->escaped, b->escaped);
    }
}

static void
our_tokens_are_those_of_jsmn(void **state)
{
    (void)state;
    struct random random = {11};
    struct sink sink;
    sink_init(&sink, 1 << 20);
    int valid = 0;
    for (int i = 0; i < 60000; i++) {
        sink_reset(&sink, 1 << 20);
        random_document(&random, &sink, 1 + i % 40);
        if (i % 3 > 0)
            random_damage(&random, &sink);
        struct slice text = exact_copy(&sink);
        struct json_scan scan;
        struct json root, theirs;
        int error = json_scan(text, 64, &scan);
        assert_true(error || i % 3 > 0 || scan.offset == 0);
        if (i % 3 == 0)
            assert_int_equal(error, 0);
        assert_int_equal(json_parse(text, 64, 100000, &arena, &root), error);
        assert_int_equal(json_present(root), error == 0);
        assert_int_equal(json_parse_jsmn(text, 64, 100000, &arena, &theirs), error);
        if (error == 0) {
            assert_int_equal(root.doc->count, scan.tokens);
            assert_same_tokens(root.doc, theirs.doc);
            valid++;
        }
        arena_reset(&arena);
        free((void *)(uintptr_t)text.ptr);
    }
    assert_in_range(valid, 22000, 50000);
    sink_fini(&sink);
}

/* The end of a subtree, found the slow way: the first token that begins behind it. */
static uint32_t
subtree_end(const struct json_doc *doc, uint32_t at)
{
    uint32_t next = at + 1;
    while (next < doc->count && doc->tokens[next].start < doc->tokens[at].end)
        next++;
    return next;
}

static void
siblings_are_right(void **state)
{
    (void)state;
    struct random random = {12};
    struct sink sink;
    sink_init(&sink, 1 << 20);
    for (int i = 0; i < 3000; i++) {
        sink_reset(&sink, 1 << 20);
        random_document(&random, &sink, 1 + i % 60);
        struct json root;
        assert_int_equal(json_parse(sink_slice(&sink), 64, 10000, &arena, &root), 0);
        assert_false(json_present(json_next(root)));
        for (uint32_t at = 0; at < root.doc->count; at++) {
            struct json value = {root.doc, at};
            enum json_type type = json_type(value);
            if (type != JSON_ARRAY && type != JSON_OBJECT) {
                assert_int_equal(json_count(value), 0);
                assert_false(json_present(json_first(value)));
                continue;
            }
            uint32_t want = at + 1, end = subtree_end(root.doc, at), seen = 0;
            for (struct json child = json_first(value); json_present(child);
                 child = json_next(child)) {
                want += type == JSON_OBJECT;
                assert_int_equal(child.at, want);
                assert_int_equal(slice_present(json_key(child)), type == JSON_OBJECT);
                want = subtree_end(root.doc, want);
                seen++;
            }
            assert_int_equal(want, end);
            assert_int_equal(json_count(value), seen);
        }
        arena_reset(&arena);
    }
    sink_fini(&sink);
}

/* Texts with more tokens than were guessed are read again; what the guess took is given back. */
static void
many_tokens_take_exact_memory(void **state)
{
    (void)state;
    struct sink sink;
    sink_init(&sink, 1 << 20);
    for (size_t count = 1; count < 3000; count += 1 + count / 8) {
        sink_reset(&sink, 1 << 20);
        for (size_t i = 0; i < count; i++)
            sink_text(&sink, i == 0 ? "[1" : ",1");
        sink_byte(&sink, ']');
        struct json root, theirs;
        struct arena own;
        arena_init(&own, 1 << 20);
        assert_int_equal(json_parse(sink_slice(&sink), 1, count + 1, &own, &root), 0);
        size_t exact = (count + 1) * sizeof(struct json_token);
        assert_in_range(own.used, exact, exact + 12 * 1024);
        assert_int_equal(json_count(root), count);
        assert_int_equal(json_parse_jsmn(sink_slice(&sink), 1, count + 1, &arena, &theirs), 0);
        assert_same_tokens(root.doc, theirs.doc);
        arena_fini(&own);
        arena_reset(&arena);
    }
    sink_fini(&sink);
}

static void
limits_are_errors(void **state)
{
    (void)state;
    struct json root;
    struct arena small;
    arena_init(&small, 256);
    assert_int_equal(json_parse(SLICE_LIT("[1,2]"), 64, 2, &arena, &root), -ERR_LIMIT);
    assert_int_equal(json_parse(SLICE_LIT("[1,2]"), 64, 3, &arena, &root), 0);
    assert_int_equal(json_parse(SLICE_LIT("[1,2]"), 0, 3, &arena, &root), -ERR_DEPTH);
    assert_int_equal(json_parse(SLICE_LIT("[1,2"), 1, 3, &arena, &root), -ERR_JSON);
    assert_false(json_present(root));
    assert_int_equal(json_parse(SLICE_LIT("[1,2,3,4,5,6,7,8,9,10,11,12,13]"), 9, 99, &small, &root),
                     -ERR_MEMORY);
    assert_int_equal(json_parse(SLICE_NONE, 64, 3, &arena, &root), -ERR_JSON);
    assert_int_equal(json_parse(slice_of("1", (size_t)INT_MAX + 1), 64, 3, &arena, &root),
                     -ERR_LIMIT);
    arena_fini(&small);
}

static void
offsets_tell_where(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
    } cases[] = {
        {"", 0},
        {"  ", 2},
        {"[1,2", 4},
        {"[1,]", 3},
        {"tru3", 3},
        {"01", 1},
        {"1.", 2},
        {"1.x", 2},
        {"-x", 1},
        {"[1e+]", 4},
        {"\"a\nb\"", 2},
        {"\"\\x\"", 2},
        {"\"\\u00g0\"", 5},
        {"\"\\", 2},
        {"{\"a\" 1}", 5},
        {"{a", 1},
        {"{\"a\":1,}", 7},
        {"[}", 1},
        {"[1}", 2},
        {"1 2", 2},
        {"\"\xc3(\"", 2},
        {"\"\xe2\x82(\"", 3},
        {"\"\xed\xa0\x80\"", 2},
        {"\"\xc0\xaf\"", 1},
        {"\"\xf4\x90\x80\x80\"", 2},
        {"\"\xf0\x9f\x98", 4},
        {"\xef\xbb\xbf{}", 0},
        {"nul", 3},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct json_scan scan;
        assert_int_equal(json_scan(slice_from(cases[i].text), 64, &scan), -ERR_JSON);
        if (scan.offset != cases[i].offset)
            fail_msg("%s: offset %zu", cases[i].text, scan.offset);
    }
}

static void
documents_are_walked(void **state)
{
    (void)state;
    struct json root = parse(" {\"a\":[1,\"x\",{\"b\":null},[]],\"c\":true,\"d\":{},\"c\":false} ");
    assert_int_equal(json_type(root), JSON_OBJECT);
    assert_int_equal(json_count(root), 4);
    struct json a = json_get(root, "a");
    assert_int_equal(json_type(a), JSON_ARRAY);
    assert_slice(json_key(a), "a");
    assert_slice(json_raw(a), "[1,\"x\",{\"b\":null},[]]");
    assert_int_equal(json_count(a), 4);
    struct json item = json_first(a);
    assert_slice(json_raw(item), "1");
    assert_null(json_key(item).ptr);
    assert_null(json_text(item).ptr);
    item = json_next(item);
    assert_slice(json_raw(item), "\"x\"");
    assert_slice(json_text(item), "x");
    assert_true(json_is(item, "x"));
    assert_false(json_is(item, "y"));
    item = json_next(item);
    assert_int_equal(json_type(json_get(item, "b")), JSON_NULL);
    assert_false(json_present(json_next(json_get(item, "b"))));
    item = json_next(item);
    assert_int_equal(json_type(item), JSON_ARRAY);
    assert_false(json_present(json_first(item)));
    assert_false(json_present(json_next(item)));

    assert_int_equal(json_type(json_get(root, "c")), JSON_FALSE);
    assert_true(json_repeats(root, "c"));
    assert_false(json_repeats(root, "a"));
    assert_false(json_repeats(root, "z"));
    assert_false(json_present(json_get(root, "z")));
    assert_int_equal(json_type(json_next(a)), JSON_TRUE);
    assert_slice(json_key(json_next(a)), "c");
    assert_null(json_key(root).ptr);
}

static void
absent_answers_absent(void **state)
{
    (void)state;
    int64_t number;
    double real;
    struct json none[] = {JSON_NONE, json_get(parse("[]"), "a"), json_get(parse("{}"), "a")};
    for (size_t i = 0; i < countof(none); i++) {
        assert_false(json_present(none[i]));
        assert_int_equal(json_type(none[i]), JSON_ABSENT);
        assert_false(json_present(json_get(none[i], "x")));
        assert_false(json_repeats(none[i], "x"));
        assert_int_equal(json_count(none[i]), 0);
        assert_false(json_present(json_first(none[i])));
        assert_false(json_present(json_next(none[i])));
        assert_null(json_key(none[i]).ptr);
        assert_false(json_key_is(none[i], ""));
        assert_null(json_raw(none[i]).ptr);
        assert_null(json_text(none[i]).ptr);
        assert_false(json_escaped(none[i]));
        assert_null(json_string(none[i], &arena).ptr);
        assert_false(json_is(none[i], ""));
        assert_false(json_i64(none[i], &number));
        assert_false(json_f64(none[i], &real));
        assert_int_equal(json_u64_or(none[i], 42), 42);
    }
}

static void
roots_may_be_lonely(void **state)
{
    (void)state;
    static const struct {
        const char *text, *raw;
        enum json_type type;
    } cases[] = {
        {"null", "null", JSON_NULL},       {" true ", "true", JSON_TRUE},
        {"\tfalse", "false", JSON_FALSE},  {"-1.5e3\r\n", "-1.5e3", JSON_NUMBER},
        {" \"a\" ", "\"a\"", JSON_STRING}, {"\"\"", "\"\"", JSON_STRING},
        {" {} ", "{}", JSON_OBJECT},       {"[]", "[]", JSON_ARRAY},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct json root = parse(cases[i].text);
        assert_int_equal(json_type(root), cases[i].type);
        assert_slice(json_raw(root), cases[i].raw);
        assert_null(json_key(root).ptr);
        assert_false(json_present(json_next(root)));
    }
}

static void
strings_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"x\\u0041\\u00e9\\u20AC\\uD83D\\ude00y\"", "xA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80y"},
        {"\"\\ud800\"", "\xef\xbf\xbd"},
        {"\"\\udc00\\ud800\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\"\\ud800\\n\"", "\xef\xbf\xbd\n"},
        {"\"\\ud800\\ue000\"", "\xef\xbf\xbd\xee\x80\x80"},
        {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"},
        {"\"\\ud800\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"\xc3\xa9\\u00e9\"", "\xc3\xa9\xc3\xa9"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct json root = parse(cases[i].text);
        assert_slice(json_string(root, &arena), cases[i].want);
        assert_true(json_is(root, cases[i].want));
        assert_false(json_is(root, "something else"));
        assert_int_equal(json_escaped(root), strchr(cases[i].text, '\\') != NULL);
    }
    struct slice zero = json_string(parse("\"a\\u0000b\""), &arena);
    assert_int_equal(zero.len, 3);
    assert_memory_equal(zero.ptr, "a\0b", 3);
    assert_false(json_is(parse("\"a\\u0000b\""), "a"));
    assert_null(json_string(parse("12"), &arena).ptr);

    struct arena tiny;
    arena_init(&tiny, 16);
    assert_null(json_string(parse("\"a longer text\\n than that\""), &tiny).ptr);
    assert_slice(json_string(parse("\"a longer text, as it is\""), &tiny),
                 "a longer text, as it is");
    arena_fini(&tiny);
}

static void
names_are_decoded(void **state)
{
    (void)state;
    struct json root = parse("{\"mod\\u0065l\":1,\"a\\nb\":2,\"\":3,\"\\\\n\":4,\"model \":5}");
    assert_int_equal(json_u64_or(json_get(root, "model"), 0), 1);
    assert_int_equal(json_u64_or(json_get(root, "a\nb"), 0), 2);
    assert_int_equal(json_u64_or(json_get(root, ""), 0), 3);
    assert_int_equal(json_u64_or(json_get(root, "\\n"), 0), 4);
    assert_false(json_present(json_get(root, "a\\nb")));
    assert_false(json_present(json_get(root, "\\\\n")));
    assert_false(json_present(json_get(root, "mode")));
    assert_false(json_present(json_get(root, "model  ")));
    assert_true(json_repeats(parse("{\"model\":1,\"mod\\u0065l\":2}"), "model"));
    assert_slice(json_key(json_first(root)), "mod\\u0065l");
    assert_slice(json_unescape(json_key(json_first(root)), &arena), "model");
}

static void
integers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool integral;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-0.000e5", true, 0},
        {"1", true, 1},
        {"-3", true, -3},
        {"1e3", true, 1000},
        {"2.0", true, 2},
        {"1.50e1", true, 15},
        {"120e-1", true, 12},
        {"1200000e-5", true, 12},
        {"0.001e3", true, 1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775808.000", true, INT64_MIN},
        {"922337203685477580.7e1", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"1e19", false, 0},
        {"1e99999999999999999999", false, 0},
        {"0e99999999999999999999", true, 0},
        {"1.5", false, 0},
        {"1e-1", false, 0},
        {"1e-99999999999999999999", false, 0},
        {"184467440737095516160", false, 0},
        {"100000000000000000000000000000000000000e-38", true, 1},
        {"true", false, 0},
        {"\"1\"", false, 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t value = 77;
        bool integral = json_i64(parse(cases[i].text), &value);
        if (integral != cases[i].integral || (integral && value != cases[i].value))
            fail_msg("%s: %d %lld", cases[i].text, integral, (long long)value);
    }
    assert_true(json_u64_or(parse("18446744073709551615"), 1) == UINT64_MAX);
    assert_int_equal(json_u64_or(parse("18446744073709551616"), 1), 1);
    assert_int_equal(json_u64_or(parse("-1"), 1), 1);
    assert_int_equal(json_u64_or(parse("-0"), 1), 0);
    assert_int_equal(json_u64_or(parse("1e2"), 1), 100);
}

static void
doubles_are_rounded_as_c_does(void **state)
{
    (void)state;
    struct random random = {13};
    char text[1200];
    for (int i = 0; i < 20000; i++) {
        size_t len = 0, digits = 1 + random_below(&random, i % 100 == 0 ? 1000 : 25);
        if (random_below(&random, 2))
            text[len++] = '-';
        size_t point = 1 + random_below(&random, digits);
        for (size_t d = 0; d < digits; d++) {
            if (d == point)
                text[len++] = '.';
            text[len++] =
                (char)(d == 0 && digits > 1 && point > 1 ? '1' + random_below(&random, 9)
                                                         : '0' + random_below(&random, 10));
        }
        if (random_below(&random, 2))
            len += (size_t)snprintf(text + len, 32, "e%d", (int)random_below(&random, 700) - 350);
        text[len] = '\0';
        double value;
        assert_true(json_f64(parse(text), &value));
        if (memcmp(&value, &(double){strtod(text, NULL)}, sizeof(value)) != 0)
            fail_msg("%s: %.17g", text, value);
        arena_reset(&arena);
    }
    double value;
    assert_true(json_f64(parse("1e999"), &value) && isinf(value));
    assert_true(json_f64(parse("-0"), &value) && value == 0 && signbit(value));
    assert_true(json_f64(parse("1e-9999999999999999999"), &value) && value == 0);
    assert_false(json_f64(parse("\"1\""), &value));
}

/* A half-way case that only the 1,000th digit decides. */
static void
doubles_see_distant_digits(void **state)
{
    (void)state;
    char text[1200];
    int len = snprintf(text, sizeof(text), "9007199254740993.");
    memset(text + len, '0', 1000);
    text[len + 1000] = '\0';
    double value;
    assert_true(json_f64(parse(text), &value) && value == 9007199254740992.0);
    text[len + 999] = '1';
    assert_true(json_f64(parse(text), &value) && value == 9007199254740994.0);
}

/* What stands for a value in a request is read without memory, and only where it is one number. */
static void
numbers_are_read_from_their_text(void **state)
{
    static const struct {
        const char *text;
        uint64_t whole; /* 7: none */
        double real;    /* 7: none */
    } rows[] = {{"0", 0, 0},
                {"12", 12, 12},
                {"1e3", 1000, 1000},
                {"2.0", 2, 2},
                {"-0", 0, 0},
                {"0.5", 7, 0.5},
                {"-3", 7, -3},
                {"18446744073709551615", UINT64_MAX, 18446744073709551616.0},
                {"18446744073709551616", 7, 18446744073709551616.0},
                {"", 7, 7},
                {"\"5\"", 7, 7},
                {"true", 7, 7},
                {"[1]", 7, 7},
                {"1 2", 7, 7},
                {"01", 7, 7},
                {"1x", 7, 7},
                {"-", 7, 7}};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        double real = 7;
        assert_true(json_text_u64_or(slice_from(rows[i].text), 7) == rows[i].whole);
        assert_true(json_text_f64(slice_from(rows[i].text), &real) == (rows[i].real != 7));
        assert_true(real == rows[i].real);
    }
    assert_true(json_text_u64_or(SLICE_NONE, 9) == 9);
}

#define test(name) cmocka_unit_test_setup_teardown(name, NULL, reset_arena)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(our_tokens_are_those_of_jsmn),
        test(siblings_are_right),
        test(many_tokens_take_exact_memory),
        test(limits_are_errors),
        test(offsets_tell_where),
        test(documents_are_walked),
        test(absent_answers_absent),
        test(roots_may_be_lonely),
        test(strings_are_decoded),
        test(names_are_decoded),
        test(integers_are_exact),
        test(doubles_are_rounded_as_c_does),
        test(doubles_see_distant_digits),
        test(numbers_are_read_from_their_text),
    };
    arena_init(&arena, 64 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
