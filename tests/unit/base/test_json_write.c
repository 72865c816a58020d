/* SPDX-License-Identifier: MIT
 *
 * test_json_write.c - what is written reads back, whatever bytes went in.
 */
#include "base/json.h"

#include "base/err.h"
#include "base/text.h"
#include "tests/unit/base/support.h"

static void
commas_and_closers(void **state)
{
    (void)state;
    struct sink sink;
    struct json_writer w;
    sink_init(&sink, 4096);
    json_writer_init(&w, &sink);
    json_object(&w);
    json_member(&w, "s", SLICE_LIT("a\"b"));
    json_member_text(&w, "t", "x");
    json_member_raw(&w, "r", SLICE_LIT("[1, 2]"));
    json_member_i64(&w, "i", INT64_MIN);
    json_member_u64(&w, "u", UINT64_MAX);
    json_member_bool(&w, "b", true);
    json_member_null(&w, "n");
    json_name(&w, "a");
    json_array(&w);
    json_put_bool(&w, false);
    json_object(&w);
    json_end(&w);
    json_array(&w);
    json_end(&w);
    json_put_null(&w);
    json_put_i64(&w, -1);
    json_put_u64(&w, 1);
    json_put_raw(&w, SLICE_LIT("{}"));
    json_put_escaped(&w, SLICE_LIT("\\n"));
    json_put_literal(&w, "l");
    json_put_string(&w, SLICE_NONE);
    json_end(&w);
    json_name_slice(&w, SLICE_LIT("q\"\n"));
    json_object(&w);
    json_name(&w, "k");
    json_put_null(&w);
    json_end(&w);
    json_end(&w);
    assert_int_equal(w.depth, 0);
    assert_slice(sink_slice(&sink),
                 "{\"s\":\"a\\\"b\",\"t\":\"x\",\"r\":[1, 2],\"i\":-9223372036854775808,"
                 "\"u\":18446744073709551615,\"b\":true,\"n\":null,\"a\":[false,{},[],null,-1,1,{},"
                 "\"\\n\",\"l\",\"\"],\"q\\\"\\n\":{\"k\":null}}");
    sink_fini(&sink);
}

static void
a_lonely_value_is_fine(void **state)
{
    (void)state;
    struct sink sink;
    struct json_writer w;
    sink_init(&sink, 4096);
    json_writer_init(&w, &sink);
    json_put_string(&w, SLICE_LIT("x"));
    assert_slice(sink_slice(&sink), "\"x\"");
    sink_fini(&sink);
}

static void
sixty_four_levels(void **state)
{
    (void)state;
    struct sink sink;
    struct json_writer w;
    struct json_scan scan;
    sink_init(&sink, 4096);
    json_writer_init(&w, &sink);
    for (int i = 0; i < 32; i++) {
        json_array(&w);
        json_put_null(&w);
        json_object(&w);
        json_name(&w, "x");
        if (i == 31)
            json_put_null(&w);
    }
    for (int i = 0; i < 64; i++)
        json_end(&w);
    assert_int_equal(json_scan(sink_slice(&sink), 64, &scan), 0);
    assert_int_equal(scan.depth, 64);
    sink_fini(&sink);
}

static void
check_escaped(struct slice text, const char *want)
{
    struct sink sink;
    sink_init(&sink, 4096);
    json_escape(&sink, text);
    assert_slice(sink_slice(&sink), want);
    sink_fini(&sink);
}

#define BAD "\xef\xbf\xbd"

static void
escapes(void **state)
{
    (void)state;
    check_escaped(SLICE_NONE, "");
    check_escaped(SLICE_LIT("\"\\\b\f\n\r\t/"), "\\\"\\\\\\b\\f\\n\\r\\t/");
    check_escaped(SLICE_LIT("\0\x01\x1f\x7f"), "\\u0000\\u0001\\u001f\x7f");
    check_escaped(SLICE_LIT("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
                  "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    check_escaped(SLICE_NONE, "");
    /* One replacement for each longest beginning of a character, as WHATWG decoders do. */
    check_escaped(SLICE_LIT("a\x80z"), "a" BAD "z");
    check_escaped(SLICE_LIT("\xc0\xaf"), BAD BAD);
    check_escaped(SLICE_LIT("\xe2\x82z"), BAD "z");
    check_escaped(SLICE_LIT("\xf0\x9f\x98"), BAD);
    check_escaped(SLICE_LIT("\xed\xa0\x80"), BAD BAD BAD);
    check_escaped(SLICE_LIT("\xe2\xe2\x82\xac"), BAD "\xe2\x82\xac");
    check_escaped(SLICE_LIT("\xff\"\xff"), BAD "\\\"" BAD);
}

/* Any bytes: the result is valid JSON, and reads back as the same text with repairs. */
static void
everything_reads_back(void **state)
{
    (void)state;
    struct random random = {31};
    struct sink sink;
    struct arena arena;
    sink_init(&sink, 4096);
    arena_init(&arena, 1 << 20);
    for (int i = 0; i < 30000; i++) {
        static const char often[] = "\"\\\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
        char bytes[80];
        size_t len = random_below(&random, sizeof(bytes));
        for (size_t at = 0; at < len; at++)
            bytes[at] = random_below(&random, 3)   ? 'a'
                        : random_below(&random, 2) ? often[random_below(&random, sizeof(often) - 1)]
                                                   : (char)random_next(&random);
        struct json_writer w;
        struct json root;
        sink_reset(&sink, 4096);
        json_writer_init(&w, &sink);
        json_put_string(&w, slice_of(bytes, len));
        assert_int_equal(json_parse(sink_slice(&sink), 1, 1, &arena, &root), 0);
        struct slice back = json_string(root, &arena);
        assert_true(text_utf8_valid(back));
        if (text_utf8_valid(slice_of(bytes, len)))
            assert_true(slice_eq(back, slice_of(bytes, len)));
        else
            assert_true(text_find(back, SLICE_LIT(BAD)) >= 0);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    sink_fini(&sink);
}

static void
a_full_sink_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct sink sink;
    struct json_writer w;
    sink_init(&sink, 20);
    json_writer_init(&w, &sink);
    json_object(&w);
    for (int i = 0; i < 10; i++)
        json_member_text(&w, "name", "value");
    json_end(&w);
    assert_int_equal(sink.error, -ERR_LIMIT);
    assert_true(sink.len <= 20);
    sink_fini(&sink);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_and_closers),
        cmocka_unit_test(a_lonely_value_is_fine),
        cmocka_unit_test(sixty_four_levels),
        cmocka_unit_test(escapes),
        cmocka_unit_test(everything_reads_back),
        cmocka_unit_test(a_full_sink_is_an_error_not_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
