/* SPDX-License-Identifier: MIT
 *
 * test_sink.c - growth, the ceiling, the sticky error.
 */
#include "base/sink.h"

#include "base/err.h"
#include "tests/unit/base/support.h"

static void
puts_are_gathered(void **state)
{
    (void)state;
    struct sink sink;
    sink_init(&sink, 4096);
    assert_slice(sink_slice(&sink), "");
    sink_text(&sink, "n=");
    sink_u64(&sink, UINT64_MAX);
    sink_byte(&sink, ' ');
    sink_i64(&sink, INT64_MIN);
    sink_byte(&sink, ' ');
    sink_i64(&sink, 0);
    sink_i64(&sink, -7);
    sink_put(&sink, SLICE_NONE);
    sink_printf(&sink, " %s-%d", "x", 3);
    assert_slice(sink_slice(&sink), "n=18446744073709551615 -9223372036854775808 0-7 x-3");
    assert_int_equal(sink.error, 0);
    sink_fini(&sink);
}

static void
long_printf_is_whole(void **state)
{
    (void)state;
    char long_text[2000];
    memset(long_text, 'y', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    struct sink sink;
    sink_init(&sink, 4096);
    sink_printf(&sink, "%s!", long_text);
    assert_int_equal(sink.len, sizeof(long_text));
    assert_int_equal(sink.ptr[sink.len - 1], '!');
    assert_memory_equal(sink.ptr, long_text, sizeof(long_text) - 1);
    sink_fini(&sink);
}

static void
ceiling_is_exact_and_sticks(void **state)
{
    (void)state;
    struct sink sink;
    sink_init(&sink, 1000);
    for (int i = 0; i < 1000; i++)
        sink_byte(&sink, 'x');
    assert_int_equal(sink.error, 0);
    assert_int_equal(sink.len, 1000);
    assert_true(sink.cap <= 1000);
    sink_byte(&sink, 'x');
    assert_int_equal(sink.error, -ERR_LIMIT);
    assert_int_equal(sink.len, 1000);
    sink_drop_front(&sink, 500);
    sink_text(&sink, "would fit now");
    assert_int_equal(sink.len, 500);
    assert_int_equal(sink.error, -ERR_LIMIT);
    sink_reset(&sink, 4096);
    assert_int_equal(sink.error, 0);
    sink_text(&sink, "fits");
    assert_slice(sink_slice(&sink), "fits");
    sink_fini(&sink);
}

static void
reserve_gives_room(void **state)
{
    (void)state;
    struct sink sink;
    sink_init(&sink, 100);
    assert_non_null(sink_reserve(&sink, 0));
    char *to = sink_reserve(&sink, 100);
    assert_non_null(to);
    memset(to, 'a', 100);
    sink.len += 100;
    assert_null(sink_reserve(&sink, 1));
    sink_fini(&sink);
    sink_init(&sink, 100);
    assert_null(sink_reserve(&sink, SIZE_MAX));
    assert_int_equal(sink.error, -ERR_LIMIT);
    sink_fini(&sink);
}

static void
reset_keeps_only_a_little(void **state)
{
    (void)state;
    struct sink sink;
    sink_init(&sink, 1 << 20);
    sink_text(&sink, "small");
    sink_reset(&sink, 4096);
    assert_non_null(sink.ptr);
    while (sink.len < 100000)
        sink_text(&sink, "0123456789");
    sink_reset(&sink, 4096);
    assert_null(sink.ptr);
    assert_int_equal(sink.len, 0);
    sink_fini(&sink);
}

static void
front_is_dropped(void **state)
{
    (void)state;
    struct sink sink;
    sink_init(&sink, 100);
    sink_drop_front(&sink, 0);
    sink_text(&sink, "abcdef");
    sink_drop_front(&sink, 2);
    assert_slice(sink_slice(&sink), "cdef");
    sink_drop_front(&sink, 4);
    assert_slice(sink_slice(&sink), "");
    sink_fini(&sink);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_are_gathered),           cmocka_unit_test(long_printf_is_whole),
        cmocka_unit_test(ceiling_is_exact_and_sticks), cmocka_unit_test(reserve_gives_room),
        cmocka_unit_test(reset_keeps_only_a_little),   cmocka_unit_test(front_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
