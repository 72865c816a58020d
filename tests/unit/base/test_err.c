/* SPDX-License-Identifier: MIT
 *
 * test_err.c - the error table is complete and sane, whatever number one asks it for.
 */
#include "base/err.h"

#include "tests/unit/base/support.h"

#include <limits.h>

static void
rows_are_sane(void **state)
{
    (void)state;
    for (int error = 0; error < ERR_COUNT; error++) {
        const struct err_row *row = err_row(error);
        assert_ptr_equal(row, err_row(-error));
        assert_true(row->name[0] != '\0');
        assert_true(row->text[0] != '\0');
        assert_true(strspn(row->code, "abcdefghijklmnopqrstuvwxyz_") == strlen(row->code));
        assert_true(row->status == 200 || (row->status >= 400 && row->status < 600));
        assert_true(row->kind < KIND_COUNT);
        /* The caller's own fault is never worth a second candidate. */
        if (row->blame == BLAME_CLIENT)
            assert_false(row->retryable);
    }
}

static void
rows_are_found(void **state)
{
    (void)state;
    const struct err_row *row = err_row(-ERR_UPSTREAM_PROTOCOL);
    assert_string_equal(row->name, "UPSTREAM_PROTOCOL");
    assert_string_equal(row->code, "upstream_protocol");
    assert_int_equal(row->status, 502);
    assert_int_equal(row->blame, BLAME_UPSTREAM);
    assert_true(row->retryable);
    assert_int_equal(err_row(ERR_AUTH)->kind, KIND_AUTH);
}

static void
strangers_are_internal(void **state)
{
    (void)state;
    static const int strangers[] = {ERR_COUNT, -ERR_COUNT, INT_MAX, INT_MIN, 100000};
    for (size_t i = 0; i < countof(strangers); i++)
        assert_ptr_equal(err_row(strangers[i]), err_row(ERR_INTERNAL));
}

static void
kinds_have_names_and_statuses(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        assert_true(err_kind_name((enum err_kind)kind)[0] != '\0');
        assert_true(err_kind_status((enum err_kind)kind) >= 400);
        for (int other = 0; other < kind; other++)
            assert_string_not_equal(err_kind_name((enum err_kind)kind),
                                    err_kind_name((enum err_kind)other));
    }
    assert_string_equal(err_kind_name(KIND_RATE_LIMIT), "rate_limit");
    assert_int_equal(err_kind_status(KIND_RATE_LIMIT), 429);
    assert_string_equal(err_kind_name((enum err_kind)99), "internal");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sane),
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(strangers_are_internal),
        cmocka_unit_test(kinds_have_names_and_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
