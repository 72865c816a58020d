/* SPDX-License-Identifier: MIT
 *
 * test_arena.c - alignment, zeroes, the ceiling, reuse after a reset.
 */
#include "base/arena.h"

#include "tests/unit/base/support.h"

static void
takes_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct random random = {1};
    struct arena arena;
    arena_init(&arena, 4 << 20);
    for (int round = 0; round < 20; round++) {
        struct slice taken[200];
        for (size_t i = 0; i < countof(taken); i++) {
            size_t n = random_below(&random, i % 20 == 0 ? 40000 : 300);
            unsigned char *bytes = arena_take(&arena, n);
            assert_non_null(bytes);
            assert_int_equal((uintptr_t)bytes % 16, 0);
            for (size_t at = 0; at < n; at++)
                assert_int_equal(bytes[at], 0);
            memset(bytes, (int)i, n);
            taken[i] = slice_of(bytes, n);
        }
        for (size_t i = 0; i < countof(taken); i++) {
            for (size_t at = 0; at < taken[i].len; at++)
                assert_int_equal((unsigned char)taken[i].ptr[at], i);
        }
        arena_reset(&arena);
        assert_int_equal(arena.used, 0);
    }
    arena_fini(&arena);
}

static void
ceiling_holds(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_null(arena_take(&arena, 1001));
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX - 14));
    assert_non_null(arena_take(&arena, 0));
    for (int i = 0; i < 61; i++)
        assert_non_null(arena_take(&arena, 16));
    assert_true(arena.used <= 1000);
    assert_null(arena_take(&arena, 16));
    arena_reset(&arena);
    assert_non_null(arena_take(&arena, 992));
    arena_fini(&arena);
    assert_non_null(arena_take(&arena, 16));
    arena_fini(&arena);
}

static void
reset_keeps_one_small_block(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    void *first = arena_take(&arena, 100);
    assert_non_null(arena_take(&arena, 100000));
    arena_reset(&arena);
    assert_ptr_equal(arena_take(&arena, 100), first);
    arena_reset(&arena);
    assert_non_null(arena_take(&arena, 100000)); /* while only the kept block is there */
    assert_ptr_equal(arena_take(&arena, 8), first);
    arena_fini(&arena);

    arena_init(&arena, 1 << 20);
    assert_non_null(arena_take(&arena, 100000));
    arena_reset(&arena);
    assert_null(arena.blocks);
    arena_fini(&arena);
}

static void
copies_end_in_nul(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 64);
    struct slice copy = arena_copy(&arena, SLICE_LIT("abc\0d"));
    assert_int_equal(copy.len, 5);
    assert_memory_equal(copy.ptr, "abc\0d", 6);
    struct slice empty = arena_copy(&arena, SLICE_NONE);
    assert_slice(empty, "");
    struct slice text = arena_printf(&arena, "%s=%d", "key", 42);
    assert_slice(text, "key=42");
    assert_int_equal(text.ptr[6], '\0');
    assert_null(arena_copy(&arena, SLICE_LIT("this text is too long for what is left")).ptr);
    assert_null(arena_printf(&arena, "%s", "this text is too long for what is left").ptr);
    assert_null(arena_copy(&arena, slice_of("", SIZE_MAX)).ptr);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_are_aligned_zeroed_and_apart),
        cmocka_unit_test(ceiling_holds),
        cmocka_unit_test(reset_keeps_one_small_block),
        cmocka_unit_test(copies_end_in_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
