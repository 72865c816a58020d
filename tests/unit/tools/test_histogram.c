/* SPDX-License-Identifier: MIT
 *
 * test_histogram.c - what the load tools read back of durations, against sorting them.
 */
#include "tools/load/histogram.h"

#include "tests/unit/splits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT 10000

static int
ascending(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}

static void
test_against_sorting(void **state)
{
    (void)state;
    static const double shares[] = {0.0001, 0.5, 0.9, 0.99, 0.999, 1.0};
    static struct histogram histogram;
    static uint64_t values[COUNT];
    uint64_t random = 7;
    for (int round = 0; round < 30; round++) {
        histogram = (struct histogram){0};
        for (int i = 0; i < COUNT; i++) {
            values[i] = splits_random(&random) >> (splits_random(&random) % 64);
            histogram_record(&histogram, values[i]);
        }
        qsort(values, COUNT, sizeof(values[0]), ascending);
        assert_int_equal(histogram.max, values[COUNT - 1]);
        assert_int_equal(histogram.count, COUNT);
        for (size_t i = 0; i < countof(shares); i++) {
            size_t at = (size_t)(shares[i] * COUNT + 0.999999);
            uint64_t exact = values[(at ? at : 1) - 1], read = histogram_at(&histogram, shares[i]);
            assert_true(read >= exact);
            assert_true(read - exact <= exact / HISTOGRAM_STEPS);
        }
    }
}

static void
test_small_values_are_exact(void **state)
{
    (void)state;
    static struct histogram histogram;
    assert_int_equal(histogram_at(&histogram, 0.5), 0);
    for (uint64_t value = 0; value < 100; value++)
        histogram_record(&histogram, value);
    assert_int_equal(histogram_at(&histogram, 0.5), 49);
    assert_int_equal(histogram_at(&histogram, 0.01), 0);
    assert_int_equal(histogram_at(&histogram, 1), 99);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sorting),
        cmocka_unit_test(test_small_values_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
