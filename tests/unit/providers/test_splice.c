/* SPDX-License-Identifier: MIT
 *
 * test_splice.c - what is edited changes, and nothing else does; the result is JSON again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "providers/splice.h"

static struct arena arena;

static struct json
parse(const char *text)
{
    struct json root;
    assert_int_equal(json_parse(slice_from(text), 32, 1000, &arena, &root), 0);
    return root;
}

static void
expect(const struct splice *splice, const char *wanted)
{
    struct sink out;
    struct json_scan scan;
    sink_init(&out, 1u << 16);
    assert_int_equal(splice_put(splice, &out), 0);
    assert_int_equal(out.len, strlen(wanted));
    assert_memory_equal(out.ptr, wanted, out.len);
    assert_int_equal(json_scan(sink_slice(&out), 32, &scan), 0);
    sink_fini(&out);
}

static void
test_edits(void **state)
{
    (void)state;
    const char *text = "{ \"a\" : 1 , \"b\":{\"c\":[2]}, \"d\":\"x\" }";
    struct json root = parse(text);
    struct splice splice;
    splice_init(&splice, slice_from(text), &arena);
    expect(&splice, text);
    /* in any order of places */
    splice_member(&splice, root, "d", SLICE_LIT("null"));
    splice_member(&splice, root, "a", SLICE_LIT("[7,8]"));
    splice_member(&splice, json_get(root, "b"), "e", SLICE_LIT("true"));
    splice_add(&splice, root, SLICE_LIT("f"), SLICE_LIT("0"));
    splice_add(&splice, root, SLICE_LIT("g"), SLICE_LIT("1"));
    splice_replace(&splice, json_key(json_get(root, "d")), SLICE_LIT("D"));
    expect(&splice, "{ \"a\" : [7,8] , \"b\":{\"c\":[2],\"e\":true}, \"D\":null ,\"f\":0,\"g\":1}");
}

static void
test_removal(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *wanted;
    } rows[] = {
        {"{\"a\":1,\"b\":2,\"c\":3}", "a", "{\"b\":2,\"c\":3}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "b", "{\"a\":1,\"c\":3}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "c", "{\"a\":1,\"b\":2}"},
        {"{\"a\":1}", "a", "{}"},
        {"{ \"a\" : 1 , \"b\" : 2 }", "b", "{ \"a\" : 1  }"},
        {"{ \"a\" : {\"b\":[]} , \"b\" : 2 }", "a", "{  \"b\" : 2 }"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct splice splice;
        splice_init(&splice, slice_from(rows[i].text), &arena);
        splice_remove(&splice, json_get(parse(rows[i].text), rows[i].name));
        expect(&splice, rows[i].wanted);
    }
}

static void
test_empty_object(void **state)
{
    (void)state;
    struct splice splice;
    splice_init(&splice, SLICE_LIT("{}"), &arena);
    struct json root = parse("{}");
    splice.text = json_raw(root);
    splice_add(&splice, root, SLICE_LIT("a"), SLICE_LIT("1"));
    splice_add(&splice, root, SLICE_LIT("b"), SLICE_LIT("2"));
    expect(&splice, "{\"a\":1,\"b\":2}");
}

static void
test_many_and_memory(void **state)
{
    (void)state;
    struct sink text;
    sink_init(&text, 1u << 16);
    sink_text(&text, "[0");
    for (int i = 1; i < 200; i++)
        sink_text(&text, ",0");
    sink_text(&text, "]");
    struct json root;
    assert_int_equal(json_parse(sink_slice(&text), 4, 1000, &arena, &root), 0);
    struct splice splice;
    splice_init(&splice, sink_slice(&text), &arena);
    for (struct json at = json_first(root); json_present(at); at = json_next(at))
        splice_replace(&splice, json_raw(at), SLICE_LIT("11"));
    struct sink out;
    sink_init(&out, 1u << 16);
    assert_int_equal(splice_put(&splice, &out), 0);
    assert_int_equal(out.len, text.len + 200);
    sink_fini(&out);
    struct arena none;
    arena_init(&none, 8);
    splice_init(&splice, sink_slice(&text), &none);
    splice_replace(&splice, json_raw(json_first(root)), SLICE_LIT("1"));
    sink_init(&out, 1u << 16);
    assert_int_equal(splice_put(&splice, &out), -ERR_MEMORY);
    sink_fini(&out);
    arena_fini(&none);
    sink_fini(&text);
}

/* Long runs stay where they are; put together with the others they are the same text. */
static void
test_long_runs_are_kept(void **state)
{
    (void)state;
    struct sink text, whole, out, joined;
    struct splice_kept kept = {0};
    struct splice splice;
    struct json root;
    sink_init(&text, 1u << 22);
    sink_text(&text, "[0");
    for (int i = 1; i < 24; i++) { /* more long runs than are kept, and short ones between them */
        sink_text(&text, ",1,\"");
        for (size_t n = 0; n < SPLICE_KEPT_LEAST_BYTES - 3 + (size_t)i % 7; n++)
            sink_byte(&text, (char)('a' + (n + (size_t)i) % 26));
        sink_text(&text, "\",2");
    }
    sink_text(&text, "]");
    assert_int_equal(json_parse(sink_slice(&text), 4, 1000, &arena, &root), 0);
    splice_init(&splice, sink_slice(&text), &arena);
    for (struct json at = json_first(root); json_present(at); at = json_next(at)) {
        if (json_type(at) == JSON_NUMBER)
            splice_replace(&splice, json_raw(at), SLICE_LIT("77"));
    }
    sink_init(&whole, 1u << 22);
    sink_init(&out, 1u << 22);
    sink_init(&joined, 1u << 22);
    assert_int_equal(splice_put(&splice, &whole), 0);
    assert_int_equal(splice_pass(&splice, &out, &kept), 0);
    assert_int_equal(kept.count, SPLICE_KEPT_MAX);
    size_t from = 0, bytes = 0;
    for (size_t i = 0; i < kept.count; i++) {
        struct slice run = kept.runs[i].run;
        assert_true(run.len >= SPLICE_KEPT_LEAST_BYTES);
        assert_true(run.ptr >= text.ptr && run.ptr + run.len <= text.ptr + text.len);
        sink_put(&joined, slice_of(out.ptr + from, kept.runs[i].at - from));
        sink_put(&joined, run);
        from = kept.runs[i].at;
        bytes += run.len;
    }
    sink_put(&joined, slice_skip(sink_slice(&out), from));
    assert_int_equal(kept.bytes, bytes);
    assert_int_equal(joined.len, whole.len);
    assert_memory_equal(joined.ptr, whole.ptr, whole.len);
    sink_fini(&text);
    sink_fini(&whole);
    sink_fini(&out);
    sink_fini(&joined);
}

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edits), cmocka_unit_test(test_removal),
                                       cmocka_unit_test(test_empty_object),
                                       cmocka_unit_test(test_many_and_memory),
                                       cmocka_unit_test(test_long_runs_are_kept)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
