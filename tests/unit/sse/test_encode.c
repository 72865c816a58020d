/* SPDX-License-Identifier: MIT
 *
 * test_encode.c - what the SSE encoder writes, that nothing breaks out of its line, and the way
 * back.
 */
#include "sse/sse.h"

#include "tests/unit/splits.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
check(struct sink *out, const char *wanted)
{
    sink_byte(out, '\0');
    assert_int_equal(out->error, 0);
    assert_string_equal(out->ptr, wanted);
    sink_reset(out, SIZE_MAX);
}

static void
test_events(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 1024);
    sse_put_event(&out, SLICE_NONE, SLICE_LIT("{}"));
    check(&out, "data: {}\n\n");
    sse_put_event(&out, SLICE_LIT("ping"), SLICE_LIT("{}"));
    check(&out, "event: ping\ndata: {}\n\n");
    sse_put_event(&out, SLICE_NONE, SLICE_LIT(""));
    check(&out, "data: \n\n");
    sse_put_event(&out, SLICE_LIT("x"), SLICE_NONE);
    check(&out, "event: x\n\n");
    sse_put_event(&out, SLICE_NONE, SLICE_LIT("a\nb\rc\r\nd\n"));
    check(&out, "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
    sse_put_event(&out, SLICE_LIT("a\nid: 1\r\0b"), SLICE_LIT("x"));
    check(&out, "event: a id: 1  b\ndata: x\n\n");
    sink_fini(&out);
}

static void
test_fields_and_comments(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 1024);
    sse_put_fields(&out, SLICE_LIT("s-1"), 1500);
    check(&out, "id: s-1\nretry: 1500\n");
    sse_put_fields(&out, SLICE_LIT("s-1"), 0);
    check(&out, "id: s-1\n");
    sse_put_fields(&out, SLICE_NONE, 1);
    check(&out, "retry: 1\n");
    sse_put_fields(&out, SLICE_LIT(""), 0);
    check(&out, "id: \n");
    sse_put_fields(&out, SLICE_LIT("a\nb"), 0);
    check(&out, "");
    sse_put_fields(&out, SLICE_LIT("a\rb"), 0);
    check(&out, "");
    sse_put_fields(&out, SLICE_LIT("a\0b"), 0);
    check(&out, "");
    sse_put_comment(&out, SLICE_LIT("keep-alive"));
    check(&out, ": keep-alive\n");
    sse_put_comment(&out, SLICE_LIT("a\n\ndata: b"));
    check(&out, ": a  data: b\n");
    sink_fini(&out);
}

/* A sink that is full keeps its error and gets no half line. */
static void
test_full_sink(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 8);
    sse_put_event(&out, SLICE_NONE, SLICE_LIT("0123456789"));
    assert_int_equal(out.error, -ERR_LIMIT);
    assert_int_equal(out.len, 0);
    sink_reset(&out, 0);
    sse_put_comment(&out, SLICE_LIT("0123456789"));
    assert_int_equal(out.error, -ERR_LIMIT);
    sink_fini(&out);
}

/* Random type, id and data survive the way out and back, with every kind of line break as LF. */
static void
test_round_trip(void **state)
{
    static const char bytes[] = "ab {}\":\t\xC3\xA9\n\r";
    uint64_t random = 7;
    (void)state;
    for (int round = 0; round < 5000; round++) {
        char data[64], plain[64];
        size_t len = splits_random(&random) % sizeof(data), plain_len = 0;
        for (size_t i = 0; i < len; i++) {
            data[i] = bytes[splits_random(&random) % (sizeof(bytes) - 1)];
            bool second = i > 0 && data[i] == '\n' && data[i - 1] == '\r';
            if (!second)
                plain[plain_len++] = data[i] == '\r' ? '\n' : data[i];
        }
        struct sink out;
        struct sse_decoder decoder;
        struct sse_event event;
        sink_init(&out, 4096);
        sse_decoder_init(&decoder, 4096);
        sse_put_comment(&out, SLICE_LIT("c"));
        sse_put_fields(&out, SLICE_LIT("i"), 9);
        sse_put_event(&out, SLICE_LIT("t"), slice_of(data, len));
        struct slice input = sink_slice(&out);
        assert_int_equal(sse_decode(&decoder, &input, &event), 1);
        assert_int_equal(input.len, 0);
        assert_true(slice_eq(event.data, slice_of(plain, plain_len)));
        assert_true(slice_is(event.type, "t"));
        assert_true(slice_is(event.id, "i"));
        assert_true(slice_is(event.comment, " c"));
        assert_int_equal(event.retry_ms, 9);
        sse_decoder_fini(&decoder);
        sink_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_fields_and_comments),
        cmocka_unit_test(test_full_sink),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
