/* SPDX-License-Identifier: MIT
 *
 * test_trim.c - when memory goes back: once after things have become quiet, or when half of what was open has ended.
 */
#include "gateway/trim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
a_quiet_second_is_used_and_one_after_the_pools_have_shrunk(void **state)
{
    (void)state;
    struct trim trim = {0};
    assert_false(trim_due(&trim, 0, 0)); /* nothing has happened yet */
    assert_false(trim_due(&trim, 10, 5));
    assert_false(trim_due(&trim, 12, 5));
    assert_true(trim_due(&trim, 12, 5));
    assert_false(trim_due(&trim, 12, 5));
    assert_false(trim_due(&trim, 13, 6));
    assert_true(trim_due(&trim, 13, 6));
    assert_false(trim_due(&trim, 13, 6));
    assert_false(trim_due(&trim, 13, 6));
    assert_true(trim_due(&trim, 13, 6));
    for (int look = 0; look < 100; look++)
        assert_false(trim_due(&trim, 13, 6));
}

static void
a_fall_is_noticed_while_others_go_on(void **state)
{
    (void)state;
    struct trim trim = {0};
    uint64_t activity = 0;
    for (uint64_t open = 0; open <= 1000; open += 100)
        assert_false(trim_due(&trim, activity += 200, open));
    for (uint64_t open = 1000; open > 436; open -= 4)
        assert_false(trim_due(&trim, activity += 20, open));
    assert_true(trim_due(&trim, activity += 20, 436));
    assert_false(trim_due(&trim, activity += 20, 436)); /* that is the new measure */
    assert_false(trim_due(&trim, activity += 20, 200));
    assert_true(trim_due(&trim, activity += 20, 100));
    assert_false(trim_due(&trim, activity += 20, 0)); /* a few are not worth it */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_second_is_used_and_one_after_the_pools_have_shrunk),
        cmocka_unit_test(a_fall_is_noticed_while_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
