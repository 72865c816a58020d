/* SPDX-License-Identifier: MIT
 *
 * test_buf.c - the chunk queue against a naive model, and the rules of an outstanding offer.
 */
#include "base/buf.h"

#include "base/err.h"
#include "tests/unit/base/support.h"

#define ROOM (CHUNK_BYTES - 16)

/* The more is used, the less one queue may grow to: nothing once the pool is low, which is before it is tight. */
static void
pool_shares_what_is_left(void **state)
{
    (void)state;
    struct pool pool;
    static struct chunk *chunks[800];
    pool_init(&pool, 800, 0);
    for (size_t i = 0; i < 800; i++) {
        size_t left = 800 - i;
        assert_int_equal(pool_share(&pool), left > 100 ? (left - 100) * CHUNK_BYTES / 8 : 0);
        assert_int_equal(pool_low(&pool), left < 100);
        assert_int_equal(pool_tight(&pool), left < 50);
        chunks[i] = pool_take(&pool);
        assert_non_null(chunks[i]);
    }
    for (size_t i = 0; i < 800; i++)
        pool_give(&pool, chunks[i]);
    pool_fini(&pool);
}

static void
pool_counts_and_keeps(void **state)
{
    (void)state;
    struct pool pool;
    struct chunk *chunks[16];
    pool_init(&pool, 16, 4);
    assert_false(pool_low(&pool));
    for (int i = 0; i < 16; i++) {
        assert_int_equal(pool_low(&pool), i > 14);
        chunks[i] = pool_take(&pool);
        assert_non_null(chunks[i]);
    }
    assert_true(pool_low(&pool));
    assert_true(pool_tight(&pool));
    assert_int_equal(pool_share(&pool), 0);
    assert_null(pool_take(&pool));
    assert_int_equal(pool.chunks_used, 16);
    pool.chunks_max = 8; /* a new configuration allows less than is used */
    assert_true(pool_low(&pool));
    assert_null(pool_take(&pool));
    pool.chunks_max = 16;
    for (int i = 0; i < 16; i++)
        pool_give(&pool, chunks[i]);
    assert_int_equal(pool.chunks_free, 4);
    assert_int_equal(pool.chunks_total, 4);
    assert_non_null(chunks[0] = pool_take(&pool));
    assert_int_equal(pool.chunks_total, 4);
    pool_give(&pool, chunks[0]);
    pool_fini(&pool);
    assert_int_equal(pool.chunks_total, 0);
}

static void
pool_gives_up_what_nobody_missed(void **state)
{
    (void)state;
    struct pool pool;
    struct chunk *chunks[6];
    pool_init(&pool, 16, 16);
    for (int i = 0; i < 6; i++)
        assert_non_null(chunks[i] = pool_take(&pool));
    for (int i = 0; i < 6; i++)
        pool_give(&pool, chunks[i]);
    assert_int_equal(pool_shrink(&pool), 0); /* all six were in use a moment ago */
    assert_non_null(chunks[0] = pool_take(&pool));
    assert_non_null(chunks[1] = pool_take(&pool));
    pool_give(&pool, chunks[0]);
    assert_int_equal(pool_shrink(&pool), 4); /* two were enough since */
    assert_int_equal(pool.chunks_free, 1);
    assert_int_equal(pool.chunks_total, 2);
    pool_give(&pool, chunks[1]);
    assert_int_equal(pool_shrink(&pool), 1);
    assert_int_equal(pool_shrink(&pool), 1);
    assert_int_equal(pool.chunks_total, 0);
    pool_fini(&pool);
}

static void
put_is_all_or_nothing(void **state)
{
    (void)state;
    static char bytes[3 * ROOM];
    struct pool pool;
    struct buf buf;
    pool_init(&pool, 2, 0);
    buf_init(&buf, &pool);
    assert_int_equal(buf_put(&buf, SLICE_NONE), 0);
    assert_int_equal(pool.chunks_used, 0);
    assert_int_equal(buf_put(&buf, slice_of(bytes, sizeof(bytes))), -ERR_MEMORY);
    assert_int_equal(pool.chunks_used, 0);
    assert_int_equal(buf_put(&buf, slice_of(bytes, ROOM + 1)), 0);
    assert_int_equal(buf_put(&buf, slice_of(bytes, ROOM)), -ERR_MEMORY);
    assert_int_equal(buf.len, ROOM + 1);
    assert_int_equal(buf_put(&buf, slice_of(bytes, ROOM - 1)), 0);
    assert_int_equal(buf.len, 2 * ROOM);
    assert_int_equal(buf_peek(&buf).len, ROOM);
    buf_consume(&buf, 2 * ROOM);
    assert_int_equal(pool.chunks_used, 0);
    assert_int_equal(buf_peek(&buf).len, 0);
    pool_fini(&pool);
}

static void
offers_are_withdrawn(void **state)
{
    (void)state;
    struct pool pool;
    struct buf buf;
    struct iovec iov[4];
    pool_init(&pool, 8, 8);
    buf_init(&buf, &pool);
    assert_int_equal(buf_space(&buf, iov, 4, 3 * ROOM), 3);
    assert_int_equal(pool.chunks_used, 3);
    buf_filled(&buf, 0);
    assert_int_equal(pool.chunks_used, 0);

    assert_int_equal(buf_space(&buf, iov, 4, 10), 1);
    assert_int_equal(iov[0].iov_len, 10);
    memcpy(iov[0].iov_base, "0123", 4);
    buf_filled(&buf, 4);
    assert_slice(buf_peek(&buf), "0123");
    assert_int_equal(buf_space(&buf, iov, 2, SIZE_MAX), 2);
    assert_int_equal(iov[0].iov_len, ROOM - 4);
    assert_int_equal(iov[1].iov_len, ROOM);
    buf_filled(&buf, ROOM - 4 + 1);
    assert_int_equal(buf.len, ROOM + 1);
    assert_int_equal(pool.chunks_used, 2);
    assert_int_equal(buf_space(&buf, iov, 1, 0), 0);
    buf_clear(&buf);
    assert_int_equal(pool.chunks_used, 0);
    pool_fini(&pool);
}

/* A receive is in flight (the offer) while the reader consumes everything there was. */
static void
offer_survives_the_reader(void **state)
{
    (void)state;
    struct pool pool;
    struct buf buf;
    struct iovec iov[2];
    pool_init(&pool, 8, 0);
    buf_init(&buf, &pool);
    assert_int_equal(buf_put(&buf, SLICE_LIT("abc")), 0);
    assert_int_equal(buf_space(&buf, iov, 2, 8000), 2);
    buf_consume(&buf, 3);
    assert_int_equal(buf_peek(&buf).len, 0);
    assert_int_equal(buf_iov(&buf, iov + 1, 1), 0);
    memcpy(iov[0].iov_base, "def", 3);
    buf_filled(&buf, 3);
    assert_slice(buf_peek(&buf), "def");

    assert_int_equal(buf_space(&buf, iov, 1, 100), 1);
    buf_consume(&buf, 3);
    assert_int_equal(pool.chunks_used, 1);
    buf_filled(&buf, 0);
    assert_int_equal(pool.chunks_used, 0);
    assert_null(buf.head);
    assert_null(buf.tail);
    pool_fini(&pool);
}

static void
empty_pool_offers_nothing(void **state)
{
    (void)state;
    struct pool pool;
    struct buf buf;
    struct iovec iov[4];
    pool_init(&pool, 1, 1);
    buf_init(&buf, &pool);
    assert_int_equal(buf_space(&buf, iov, 4, SIZE_MAX), 1);
    buf_filled(&buf, iov[0].iov_len);
    assert_int_equal(buf_space(&buf, iov, 4, SIZE_MAX), 0);
    buf_filled(&buf, 0);
    assert_int_equal(buf.len, ROOM);
    buf_clear(&buf);
    pool_fini(&pool);
}

/* The model: one long run of bytes numbered from the start of time. */
static char
nth_byte(uint64_t n)
{
    return (char)(n * 167 + (n >> 8));
}

static void
check_contents(const struct buf *buf, uint64_t first, uint64_t past)
{
    struct iovec iov[64];
    assert_int_equal(buf->len, past - first);
    int count = buf_iov(buf, iov, 64);
    uint64_t at = first;
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < iov[i].iov_len; j++)
            assert_int_equal(((char *)iov[i].iov_base)[j], nth_byte(at++));
    }
    assert_int_equal(at, past);
    struct slice run = buf_peek(buf);
    assert_int_equal(run.len > 0, past > first);
    if (count > 0)
        assert_ptr_equal(run.ptr, iov[0].iov_base);
}

static void
model_agrees(void **state)
{
    (void)state;
    struct random random = {7};
    struct pool pool;
    struct buf buf;
    pool_init(&pool, 12, 3);
    buf_init(&buf, &pool);
    uint64_t first = 0, past = 0;
    bool offered = false;
    struct iovec offer[4];
    size_t offer_len = 0;
    int offer_count = 0;
    for (int step = 0; step < 20000; step++) {
        size_t size = random_below(&random, step % 3 == 0 ? 9000 : 600);
        switch (random_below(&random, 3)) {
        case 0: {
            if (offered)
                break;
            static char bytes[9000];
            for (size_t i = 0; i < size; i++)
                bytes[i] = nth_byte(past + i);
            if (buf_put(&buf, slice_of(bytes, size)) == 0)
                past += size;
            else
                assert_true(size > (12 - pool.chunks_used) * ROOM);
            break;
        }
        case 1:
            if (!offered) {
                offer_count = buf_space(&buf, offer, 1 + (int)random_below(&random, 4), size);
                offer_len = 0;
                for (int i = 0; i < offer_count; i++)
                    offer_len += offer[i].iov_len;
                assert_true(offer_len <= size);
                offered = true;
            } else {
                size_t n = random_below(&random, offer_len + 1), left = n;
                for (int i = 0; i < offer_count; i++) {
                    for (size_t j = 0; j < offer[i].iov_len && left > 0; j++, left--)
                        ((char *)offer[i].iov_base)[j] = nth_byte(past++);
                }
                buf_filled(&buf, n);
                offered = false;
            }
            break;
        default:
            size = size > buf.len ? buf.len : size;
            buf_consume(&buf, size);
            first += size;
        }
        check_contents(&buf, first, past);
        if (buf.len == 0 && !offered)
            assert_int_equal(pool.chunks_used, 0);
    }
    assert_true(past > 100000);
    buf_clear(&buf);
    pool_fini(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_counts_and_keeps),
        cmocka_unit_test(pool_gives_up_what_nobody_missed),
        cmocka_unit_test(pool_shares_what_is_left),     cmocka_unit_test(put_is_all_or_nothing),
        cmocka_unit_test(offers_are_withdrawn),      cmocka_unit_test(offer_survives_the_reader),
        cmocka_unit_test(empty_pool_offers_nothing), cmocka_unit_test(model_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
