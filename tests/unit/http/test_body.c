/* SPDX-License-Identifier: MIT
 *
 * test_body.c - bodies by length, in chunks and until close: what comes out, where they end, what
 * is refused.
 *
 * A transcript is the payload, then "|", how it ended, and " +n" for input that was left for the
 * next message.
 */
#include "http/http.h"

#include "tests/unit/splits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct sample {
    struct slice bytes;
    const char *transcript;
};
#define SAMPLE(text, transcript)                                                                   \
    {                                                                                              \
        SLICE_LIT(text), transcript                                                                \
    }

struct setup {
    enum http_framing framing;
    uint64_t length, max;
    struct http_limits limits;
};
static const struct setup chunked = {HTTP_CHUNKED, 0, UINT64_MAX, {32, 64, 3}};

static void
transcribe(struct slice bytes, const struct setup *setup, enum http_role role, unsigned how,
           struct sink *out)
{
    static struct http_head head; /* large: not for the stack */
    struct http_body body;
    struct splits splits;
    struct slice piece, data;
    size_t used = 0;
    int result = 0;
    head.framing = setup->framing;
    head.length = setup->length;
    http_body_init(&body, &head, role, setup->max, &setup->limits);
    splits_begin(&splits, bytes, how);
    while (result >= 0 && !http_body_done(&body) && splits_next(&splits, &piece)) {
        size_t before = piece.len;
        while ((result = http_body_next(&body, &piece, &data)) == 1) {
            assert_true(data.len > 0);
            sink_put(out, data);
        }
        used += before - piece.len;
        if (result == 0 && !http_body_done(&body))
            assert_int_equal(piece.len, 0);
    }
    splits_stop(&splits);
    bool done = http_body_done(&body);
    int end = http_body_end(&body);
    sink_byte(out, '|');
    sink_text(out, done ? "done" : end == 0 ? "closed" : err_row(end)->name);
    if (result < 0) {
        struct slice more = SLICE_LIT("0\r\n\r\n");
        assert_int_equal(end, result);
        assert_int_equal(http_body_next(&body, &more, &data), result);
    } else if (used < bytes.len) {
        sink_printf(out, " +%zu", bytes.len - used);
    }
    assert_int_equal(http_body_end(&body), end);
}

static void
check_one(const struct sample *sample, const struct setup *setup, enum http_role role)
{
    struct sink got;
    sink_init(&got, 1u << 20);
    for (unsigned how = 0; how < SPLITS_COUNT; how++) {
        sink_reset(&got, SIZE_MAX);
        transcribe(sample->bytes, setup, role, how, &got);
        assert_int_equal(got.error, 0);
        if (slice_is(sink_slice(&got), sample->transcript))
            continue;
        fprintf(stderr, "cut in way %u:\n%.*s\ngave   %.*s\nwanted %s\n", how,
                SLICE_ARG(sample->bytes), SLICE_ARG(sink_slice(&got)), sample->transcript);
        fail();
    }
    sink_fini(&got);
}

static void
check(const struct sample *samples, size_t count, const struct setup *setup)
{
    for (size_t i = 0; i < count; i++)
        check_one(&samples[i], setup, HTTP_FROM_UPSTREAM);
}

static void
test_chunks(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("0\r\n\r\n", "|done"),
        SAMPLE("5\r\nhello\r\n0\r\n\r\n", "hello|done"),
        SAMPLE("5\r\nhello\r\n0\r\n\r\nHTTP", "hello|done +4"),
        SAMPLE("1\r\na\r\n002\r\nbc\r\n0000\r\n\r\n", "abc|done"),
        SAMPLE("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789|done"),
        SAMPLE("1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", "abcdefghijklmnopqrstuvwxyz|done"),
        SAMPLE("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n|done"),
        SAMPLE("0000000000000001\r\na\r\n0\r\n\r\n", "a|done"),
        SAMPLE("", "|DISCONNECTED"),
        SAMPLE("5", "|DISCONNECTED"),
        SAMPLE("5\r\nhel", "hel|DISCONNECTED"),
        SAMPLE("5\r\nhello\r\n", "hello|DISCONNECTED"),
        SAMPLE("5\r\nhello\r\n0\r\n", "hello|DISCONNECTED"),
        SAMPLE("5\r\nhello\r\n0\r\n\r", "hello|DISCONNECTED"),
    };
    (void)state;
    check(samples, countof(samples), &chunked);
}

#define REFUSED "|UPSTREAM_PROTOCOL"

static void
test_bad_chunks(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("\r\n", REFUSED),
        SAMPLE(";a\r\n", REFUSED),
        SAMPLE(";a", REFUSED),
        SAMPLE(" 5\r\nhello", REFUSED),
        SAMPLE("5 \r\nhello", REFUSED),
        SAMPLE("5 ;a\r\nhello", REFUSED),
        SAMPLE("5\t\r\nhello", REFUSED),
        SAMPLE("+5\r\nhello", REFUSED),
        SAMPLE("-5\r\nhello", REFUSED),
        SAMPLE("0x5\r\nhello", REFUSED),
        SAMPLE("5h\r\nhello", REFUSED),
        SAMPLE("g\r\n", REFUSED),
        SAMPLE("5_0\r\nhello", REFUSED),
        SAMPLE("5.\r\nhello", REFUSED),
        SAMPLE("\xD9\xA5\r\nhello", REFUSED),
        SAMPLE("00000000000000001\r\na", REFUSED),
        SAMPLE("10000000000000000\r\na", REFUSED),
        SAMPLE("5\nhello\n0\n\n", REFUSED),
        SAMPLE("5\r\nhello\n0\r\n\r\n", "hello" REFUSED),
        SAMPLE("5\rxhello", REFUSED),
        SAMPLE("5\r\rhello", REFUSED),
        SAMPLE("5\r\nhello0\r\n\r\n", "hello" REFUSED),
        SAMPLE("5\r\nhello!\r\n0\r\n\r\n", "hello" REFUSED),
        SAMPLE("5\r\nhello!\n0\r\n\r\n", "hello" REFUSED),
        SAMPLE("5\r\nhello\rx", "hello" REFUSED),
        SAMPLE("5\r\nhello\r\n\r\n", "hello" REFUSED),
        SAMPLE("5\0\r\nhello", REFUSED),
        SAMPLE("0\n\r\n", REFUSED),
        SAMPLE("0\r\n\n", REFUSED),
        SAMPLE("0\r\n\rx", REFUSED),
    };
    (void)state;
    check(samples, countof(samples), &chunked);
}

/* Lines of at most 32 bytes; extensions of 64 bytes in all, less the data between them. */
static void
test_extensions(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("1;a\r\nx\r\n0;b=c\r\n\r\n", "x|done"),
        SAMPLE("1;a=\"b\"; c = \"d\\\";e\"\r\nx\r\n0\r\n\r\n", "x|done"),
        SAMPLE("1;a=\"\xC3\xA9\t;=, \"\r\nx\r\n0\r\n\r\n", "x|done"),
        SAMPLE("1;\r\nx\r\n0\r\n\r\n", "x|done"),
        SAMPLE("1;a=\"b\r\nx", REFUSED),
        SAMPLE("1;a=\"b\\\r\n\"\r\nx", REFUSED),
        SAMPLE("1;a=\"b\n\"\r\nx", REFUSED),
        SAMPLE("1;a=\"\x01\"\r\nx", REFUSED),
        SAMPLE("1;a=\"\\\x01\"\r\nx", REFUSED),
        SAMPLE("1;a\nx", REFUSED),
        SAMPLE("1;a\0\r\nx", REFUSED),
        SAMPLE("1;a,b\r\nx", REFUSED),
        SAMPLE("1;\xC3\xA9\r\nx", REFUSED),
        SAMPLE("1;a=b\\c\r\nx", REFUSED),
        SAMPLE("1;345678901234567890123456789012\r\nx\r\n0\r\n\r\n", "x|done"),
        SAMPLE("1;3456789012345678901234567890123\r\nx", REFUSED),
        /* 30 + 30 - 2, and 4 more make 62; 30 + 30 + 30 do not fit; paid for by data they do. */
        SAMPLE("1;345678901234567890123456789012\r\nx\r\n1;345678901234567890123456789012\r\ny\r\n"
               "0;abcd\r\n\r\n",
               "xy|done"),
        SAMPLE("1;345678901234567890123456789012\r\nx\r\n1;345678901234567890123456789012\r\ny\r\n"
               "1;345678901234567890123456789012\r\nz\r\n0\r\n\r\n",
               "xy" REFUSED),
        SAMPLE("1;345678901234567890123456789012\r\nx\r\n1e\r\n012345678901234567890123456789\r\n"
               "1;345678901234567890123456789012\r\ny\r\n1;345678901234567890123456789012\r\nz\r\n"
               "0\r\n\r\n",
               "x012345678901234567890123456789yz|done"),
    };
    (void)state;
    check(samples, countof(samples), &chunked);
}

/* At most 3 trailers of 64 bytes in all; they are dropped, whatever they say. */
static void
test_trailers(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("0\r\nA: b\r\n\r\n", "|done"),
        SAMPLE("0\r\nA:\r\nB:  c \r\nContent-Length: 5\r\n\r\nhello", "|done +5"),
        SAMPLE("0\r\nA: \xC3\xA9\tx\r\n\r\n", "|done"),
        SAMPLE("0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", REFUSED),
        SAMPLE("0\r\nA: 456789012345678901234567890123456789012345678901234567890\r\n\r\n",
               "|done"),
        SAMPLE("0\r\nA: 4567890123456789012345678901234567890123456789012345678901\r\n\r\n",
               REFUSED),
        SAMPLE("0\r\nA: b\r\n c\r\n\r\n", REFUSED),
        SAMPLE("0\r\n A: b\r\n\r\n", REFUSED),
        SAMPLE("0\r\nA : b\r\n\r\n", REFUSED),
        SAMPLE("0\r\n: b\r\n\r\n", REFUSED),
        SAMPLE("0\r\nA\r\n\r\n", REFUSED),
        SAMPLE("0\r\nA: b\n\r\n", REFUSED),
        SAMPLE("0\r\nA: b\rc\r\n\r\n", REFUSED),
        SAMPLE("0\r\nA: b\0\r\n\r\n", REFUSED),
        SAMPLE("0\r\nA: b\x7F\r\n\r\n", REFUSED),
        SAMPLE("0\r\nA: b\r\n", "|DISCONNECTED"),
    };
    (void)state;
    check(samples, countof(samples), &chunked);
}

static void
test_length(void **state)
{
    static const struct setup five = {HTTP_LENGTH, 5, UINT64_MAX, {32, 64, 3}};
    static const struct setup none = {HTTP_LENGTH, 0, 0, {32, 64, 3}};
    static const struct setup exact = {HTTP_LENGTH, 5, 5, {32, 64, 3}};
    static const struct setup over = {HTTP_LENGTH, 5, 4, {32, 64, 3}};
    static const struct setup bodiless = {HTTP_NO_BODY, 0, 0, {32, 64, 3}};
    static const struct sample samples[] = {
        SAMPLE("hello", "hello|done"),
        SAMPLE("hello world", "hello|done +6"),
        SAMPLE("hell", "hell|DISCONNECTED"),
        SAMPLE("", "|DISCONNECTED"),
    };
    (void)state;
    check(samples, countof(samples), &five);
    check_one(&samples[0], &exact, HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("x", "|done +1"), &none, HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("", "|done"), &none, HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("x", "|done +1"), &bodiless, HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("hello", "|BODY_LIMIT"), &over, HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("hello", "|UPSTREAM_TOO_LARGE"), &over, HTTP_FROM_UPSTREAM);
}

static void
test_until_close(void **state)
{
    static const struct setup open = {HTTP_UNTIL_CLOSE, 0, UINT64_MAX, {32, 64, 3}};
    static const struct setup five = {HTTP_UNTIL_CLOSE, 0, 5, {32, 64, 3}};
    (void)state;
    check_one(&(struct sample)SAMPLE("hello\r\n\r\n", "hello\r\n\r\n|closed"), &open,
              HTTP_FROM_UPSTREAM);
    check_one(&(struct sample)SAMPLE("", "|closed"), &open, HTTP_FROM_UPSTREAM);
    check_one(&(struct sample)SAMPLE("hello", "hello|closed"), &five, HTTP_FROM_UPSTREAM);
    check_one(&(struct sample)SAMPLE("hello!", "hello|UPSTREAM_TOO_LARGE"), &five,
              HTTP_FROM_UPSTREAM);
}

/* The ceiling is met by the chunk that would cross it, before a byte of that chunk is given. */
static void
test_chunk_ceiling(void **state)
{
    static const struct setup five = {HTTP_CHUNKED, 0, 5, {32, 64, 3}};
    (void)state;
    check_one(&(struct sample)SAMPLE("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", "abcde|done"), &five,
              HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n", "ab|BODY_LIMIT"), &five,
              HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("6\r\nabcdef", "|UPSTREAM_TOO_LARGE"), &five,
              HTTP_FROM_UPSTREAM);
    check_one(&(struct sample)SAMPLE("1\r\na\r\nffffffffffffffff\r\n", "a|BODY_LIMIT"), &five,
              HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("1\r\na\r\nffffffffffffffff\r\n", "a|BODY_LIMIT"), &chunked,
              HTTP_FROM_CLIENT);
    check_one(&(struct sample)SAMPLE("x", "|SYNTAX"), &five, HTTP_FROM_CLIENT);
}

/* Payload is given in place, and as much of it as there is. */
static void
test_not_copied(void **state)
{
    static struct http_head head;
    static const char text[] = "5\r\nhello\r\n0\r\n\r\n";
    struct http_body body;
    struct slice bytes = slice_of(text, sizeof(text) - 1), data;
    (void)state;
    head.framing = HTTP_CHUNKED;
    http_body_init(&body, &head, HTTP_FROM_UPSTREAM, UINT64_MAX, &chunked.limits);
    assert_int_equal(http_body_next(&body, &bytes, &data), 1);
    assert_ptr_equal(data.ptr, text + 3);
    assert_int_equal(data.len, 5);
    assert_int_equal(http_body_next(&body, &bytes, &data), 0);
    assert_true(http_body_done(&body));
    assert_int_equal(http_body_next(&body, &bytes, &data), 0);
}

/* What we write, we read. */
static void
test_round_trip(void **state)
{
    uint64_t random = 11;
    (void)state;
    for (int round = 0; round < 500; round++) {
        struct sink wire, wanted;
        char data[300];
        size_t chunks = splits_random(&random) % 6;
        sink_init(&wire, 65536);
        sink_init(&wanted, 65536);
        for (size_t i = 0; i < chunks; i++) {
            size_t len = splits_random(&random) % sizeof(data);
            for (size_t k = 0; k < len; k++)
                data[k] = (char)('a' + splits_random(&random) % 26);
            http_put_chunk(&wire, slice_of(data, len));
            sink_put(&wanted, slice_of(data, len));
        }
        http_put_last_chunk(&wire);
        sink_put(&wanted, SLICE_LIT("|done\0"));
        struct sample sample = {sink_slice(&wire), wanted.ptr};
        check_one(&sample, &chunked, HTTP_FROM_CLIENT);
        sink_fini(&wire);
        sink_fini(&wanted);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks),        cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_extensions),    cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_length),        cmocka_unit_test(test_until_close),
        cmocka_unit_test(test_chunk_ceiling), cmocka_unit_test(test_not_copied),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
