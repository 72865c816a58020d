/* SPDX-License-Identifier: MIT
 *
 * test_window.c - lists of models as servers write them, in any order, with anything in them.
 */
#include "gateway/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct windows *
read_list(const char *text)
{
    return window_read(slice_from(text));
}

static void
test_every_server(void **unused)
{
    static const char *const lists[] = {
        "{\"data\":[{\"id\":\"m\",\"max_context_length\":9,\"loaded_context_length\":7}]}",
        "{\"data\":[{\"id\":\"m\",\"max_model_len\":7}]}",
        "{\"data\":[{\"id\":\"m\",\"meta\":{\"n_ctx\":7}}]}",
        "{\"models\":[{\"name\":\"models/m\",\"inputTokenLimit\":7}]}",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct windows *windows = read_list(lists[i]);
        assert_int_equal(window_in(windows, SLICE_LIT("m")), 7);
        assert_int_equal(window_in(windows, SLICE_LIT("n")), 0);
        free(windows);
    }
}

static void
test_the_order_of_a_list_says_nothing(void **unused)
{
    (void)unused;
    struct windows *one = read_list("{\"data\":[{\"id\":\"a\",\"context_length\":1},{\"id\":\"b\",\"context_length\":2},{\"id\":\"c\",\"context_length\":3}]}");
    struct windows *other = read_list("{\"data\":[{\"id\":\"c\",\"context_length\":3},{\"id\":\"x\"},{\"id\":\"a\",\"context_length\":1},{\"id\":\"b\",\"context_length\":2}]}");
    struct windows *changed = read_list("{\"data\":[{\"id\":\"c\",\"context_length\":3},{\"id\":\"a\",\"context_length\":1},{\"id\":\"b\",\"context_length\":4}]}");
    assert_true(window_same(one, other));
    assert_false(window_same(one, changed));
    assert_int_equal(window_in(other, SLICE_LIT("a")), 1);
    assert_int_equal(window_in(other, SLICE_LIT("b")), 2);
    assert_int_equal(window_in(other, SLICE_LIT("c")), 3);
    assert_int_equal(window_in(changed, SLICE_LIT("b")), 4);
    free(one);
    free(other);
    free(changed);
}

static void
test_named_twice_the_smaller_counts(void **unused)
{
    (void)unused;
    struct windows *windows = read_list("{\"data\":[{\"id\":\"a\",\"context_length\":8},{\"id\":\"b\",\"context_length\":5},{\"id\":\"a\",\"context_length\":4}]}");
    assert_int_equal(window_in(windows, SLICE_LIT("a")), 4);
    assert_int_equal(window_in(windows, SLICE_LIT("b")), 5);
    free(windows);
}

static void
test_lists_of_no_use(void **unused)
{
    static const char *const lists[] = {
        "", "x", "[]", "{}", "{\"data\":{}}", "{\"data\":[]}", "{\"data\":[1,null,\"m\",[]]}", "{\"data\":[{\"id\":7,\"context_length\":7}]}",
        "{\"data\":[{\"id\":\"m\",\"context_length\":-7}]}", "{\"data\":[{\"id\":\"m\",\"context_length\":\"many\"}]}", "{\"data\":[{\"id\":\"\",\"context_length\":7}]}",
        "{\"data\":[{\"id\":\"m\",\"context_length\":7}]",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (read_list(lists[i]))
            fail_msg("%s was of use", lists[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_server),
        cmocka_unit_test(test_the_order_of_a_list_says_nothing),
        cmocka_unit_test(test_named_twice_the_smaller_counts),
        cmocka_unit_test(test_lists_of_no_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
