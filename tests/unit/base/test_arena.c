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

/* What a quiet stream holds between its tries and its end is what its arenas hold. */
static void
small_blocks_hold_no_more_than_was_asked_for(void **state)
{
    (void)state;
    struct arena arena;
    arena_init_small(&arena, 1 << 20, 512, 512);
    char *first = arena_take(&arena, 100);
    char *large = arena_take(&arena, 1000); /* does not fit: of its own */
    char *second = arena_take(&arena, 100);
    assert_ptr_equal(second, first + 112);
    memset(large, 1, 1000);
    arena_reset(&arena);
    assert_ptr_equal(arena_take(&arena, 496), first);
    assert_int_equal(arena.used, 496);
    char *next = arena_take(&arena, 1); /* the block is full to the last byte */
    assert_true(next < first || next >= first + 496);
    arena_fini(&arena);
}

/* What follows the first block is little; of all that is given back, only the first is kept for the next exchange. */
static void
a_reset_keeps_the_first_of_small_blocks(void **state)
{
    (void)state;
    struct arena arena;
    arena_init_small(&arena, 1 << 20, 1008, 256);
    char *first = arena_take(&arena, 992);
    char *second = arena_take(&arena, 16), *third = arena_take(&arena, 224);
    assert_ptr_equal(third, second + 16); /* 240 bytes, to the last */
    memset(arena_take(&arena, 300), 1, 300); /* of its own */
    arena_shrink(&arena, third, 224, 0);
    assert_ptr_equal(arena_take(&arena, 224), third);
    arena_reset(&arena);
    assert_ptr_equal(arena_take(&arena, 992), first);
    assert_int_equal(arena.used, 992);
    arena_fini(&arena);
}

static void
a_pool_lends_and_takes_back(void **state)
{
    (void)state;
    struct arena_pool pool;
    struct arena arenas[8];
    arena_pool_init(&pool, 4);
    size_t keep = pool.blocks_keep; /* 4, or none where AddressSanitizer watches */
    for (size_t i = 0; i < countof(arenas); i++) {
        arena_init_pooled(&arenas[i], 1 << 20, &pool);
        memset(arena_take(&arenas[i], 16000), 0xff, 16000);
        assert_non_null(arena_take(&arenas[i], 100000)); /* too large to be shared */
    }
    assert_int_equal(pool.blocks_total, 8);
    assert_int_equal(pool.blocks_free, 0);
    for (size_t i = 0; i < countof(arenas); i++) {
        arena_reset(&arenas[i]);
        assert_null(arenas[i].blocks); /* who is reset holds nothing */
    }
    assert_int_equal(pool.blocks_free, keep);
    assert_int_equal(pool.blocks_total, keep);

    const char *again = arena_take(&arenas[0], 16000); /* and what comes back into use is zeroed */
    for (size_t i = 0; i < 16000; i++)
        assert_int_equal(again[i], 0);
    assert_int_equal(pool.blocks_total, keep ? keep : 1);
    for (size_t i = 0; i < countof(arenas); i++)
        arena_fini(&arenas[i]);
    arena_pool_fini(&pool);
}

static void
a_pool_gives_up_what_nobody_missed(void **state)
{
    (void)state;
    struct arena_pool pool;
    struct arena arenas[6];
    arena_pool_init(&pool, 100);
    if (pool.blocks_keep == 0)
        skip();
    for (size_t i = 0; i < countof(arenas); i++) {
        arena_init_pooled(&arenas[i], 1 << 20, &pool);
        assert_non_null(arena_take(&arenas[i], 1));
    }
    for (size_t i = 0; i < countof(arenas); i++)
        arena_reset(&arenas[i]);
    assert_int_equal(arena_pool_shrink(&pool), 0); /* all six were in use a moment ago */
    assert_int_equal(pool.blocks_free, 6);
    for (size_t i = 0; i < 2; i++) {
        assert_non_null(arena_take(&arenas[i], 1));
        arena_reset(&arenas[i]);
        assert_non_null(arena_take(&arenas[i], 1));
    }
    assert_int_equal(arena_pool_shrink(&pool), 4); /* two were enough since */
    assert_int_equal(pool.blocks_free, 0);
    for (size_t i = 0; i < 2; i++)
        arena_reset(&arenas[i]);
    assert_int_equal(arena_pool_shrink(&pool), 0);
    assert_int_equal(arena_pool_shrink(&pool), 2);
    assert_int_equal(pool.blocks_total, 0);
    arena_pool_fini(&pool);
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
        cmocka_unit_test(small_blocks_hold_no_more_than_was_asked_for),
        cmocka_unit_test(a_reset_keeps_the_first_of_small_blocks),
        cmocka_unit_test(a_pool_lends_and_takes_back),
        cmocka_unit_test(a_pool_gives_up_what_nobody_missed),
        cmocka_unit_test(copies_end_in_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
