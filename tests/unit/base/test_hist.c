/* SPDX-License-Identifier: MIT
 *
 * test_hist.c - values land in the right bucket, sums add up, workers are added together.
 */
#include "base/hist.h"

#include "tests/unit/base/support.h"

static const struct hist_shape shape = {3, {5, 10, 100}};

static void
bounds_are_inclusive(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        int bucket;
    } cases[] = {{0, 0}, {5, 0}, {6, 1}, {10, 1}, {11, 2}, {100, 2}, {101, 3}, {1 << 20, 3}};
    for (size_t i = 0; i < countof(cases); i++) {
        struct hist hist = {0};
        hist_record(&hist, &shape, cases[i].value);
        for (int bucket = 0; bucket <= shape.count; bucket++)
            assert_int_equal(hist.counts[bucket], bucket == cases[i].bucket);
        assert_int_equal(hist.sum, cases[i].value);
        assert_int_equal(hist_total(&hist, &shape), 1);
    }
}

static void
hists_add_up(void **state)
{
    (void)state;
    struct hist a = {0}, b = {0};
    hist_record(&a, &shape, 7);
    hist_record(&b, &shape, 8);
    hist_record(&b, &shape, 1000);
    hist_add(&a, &b, &shape);
    assert_int_equal(a.counts[1], 2);
    assert_int_equal(a.counts[3], 1);
    assert_int_equal(a.sum, 1015);
    assert_int_equal(hist_total(&a, &shape), 3);
    assert_int_equal(hist_total(&b, &shape), 2);
}

static void
every_bound_can_be_used(void **state)
{
    (void)state;
    struct hist_shape full = {.count = HIST_BOUNDS_MAX};
    struct hist hist = {0};
    for (int i = 0; i < HIST_BOUNDS_MAX; i++)
        full.bounds[i] = (uint64_t)1 << i;
    for (int i = 0; i <= HIST_BOUNDS_MAX; i++)
        hist_record(&hist, &full, (uint64_t)1 << i);
    for (int i = 0; i <= HIST_BOUNDS_MAX; i++)
        assert_int_equal(hist.counts[i], 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_inclusive),
        cmocka_unit_test(hists_add_up),
        cmocka_unit_test(every_bound_can_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
