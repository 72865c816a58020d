/* SPDX-License-Identifier: MIT
 *
 * test_text.c - every function of text.h at its edges.
 */
#include "base/text.h"

#include "tests/unit/base/support.h"

#define REFUSED UINT64_MAX

struct number_case {
    const char *text;
    uint64_t value; /* REFUSED: the text must be refused */
};

static void
check_numbers(bool (*read)(struct slice, uint64_t *), const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 12345;
        bool taken = read(slice_from(cases[i].text), &value);
        if (taken != (cases[i].value != REFUSED) || (taken && value != cases[i].value))
            fail_msg("\"%s\" gave %d, %llu", cases[i].text, taken, (unsigned long long)value);
        if (!taken)
            assert_int_equal(value, 12345);
    }
}

static void
integers(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 0},
        {"007", 7},
        {"18446744073709551614", UINT64_MAX - 1},
        {"18446744073709551616", REFUSED},
        {"99999999999999999999", REFUSED},
        {"", REFUSED},
        {"+1", REFUSED},
        {"-1", REFUSED},
        {" 1", REFUSED},
        {"1 ", REFUSED},
        {"1a", REFUSED},
        {"0x10", REFUSED},
    };
    check_numbers(text_u64, cases, countof(cases));
    uint64_t value;
    assert_true(text_u64(SLICE_LIT("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(text_u64(SLICE_NONE, &value));
    assert_false(text_u64(SLICE_LIT("1\0"), &value));
}

static void
hexadecimals(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 0},
        {"fF", 255},
        {"00000000000000aB", 0xab},
        {"fffffffffffffffe", UINT64_MAX - 1},
        {"10000000000000000", REFUSED},
        {"", REFUSED},
        {"g", REFUSED},
        {"0x1", REFUSED},
        {"-1", REFUSED},
        {"1 ", REFUSED},
        {":", REFUSED},
        {"`", REFUSED},
    };
    check_numbers(text_hex_u64, cases, countof(cases));
}

static void
durations(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"10s", 10000},
        {"500ms", 500},
        {"2m", 120000},
        {"1h", 3600000},
        {"1d", 86400000},
        {"1.5s", 1500},
        {"600", 600000},
        {"0.5", 500},
        {"0", 0},
        {"0.0019s", 1},
        {"1.25h", 4500000},
        {"0.1234567891011121314m", 7407},
        {"1.9ms", 1},
        {"", REFUSED},
        {".5", REFUSED},
        {"5.", REFUSED},
        {"5.s", REFUSED},
        {"5 s", REFUSED},
        {"5x", REFUSED},
        {"-5s", REFUSED},
        {"s", REFUSED},
        {"5S", REFUSED},
        {"1e3", REFUSED},
        {"18446744073709551615s", REFUSED},
        {"99999999999999999999ms", REFUSED},
        {"1.2.3", REFUSED},
    };
    check_numbers(text_duration_ms, cases, countof(cases));
}

static void
sizes(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"50MB", 50u << 20},
        {"256KiB", 256u << 10},
        {"4096", 4096},
        {"1GiB", 1u << 30},
        {"1gb", 1u << 30},
        {"7 kb", 7u << 10},
        {"3b", 3},
        {"2K", 2048},
        {"", REFUSED},
        {"MB", REFUSED},
        {"1.5MB", REFUSED},
        {"1TB", REFUSED},
        {"-1", REFUSED},
        {"1MBx", REFUSED},
        {"17179869184GB", REFUSED},
        {"18446744073709551616", REFUSED},
    };
    check_numbers(text_bytes, cases, countof(cases));
}

static void
comparison(void **state)
{
    (void)state;
    assert_int_equal(text_lower('Z'), 'z');
    assert_int_equal(text_lower('['), '[');
    assert_int_equal(text_lower('@'), '@');
    assert_int_equal(text_lower((char)0xc4), (char)0xc4);
    assert_true(text_caseless_is(SLICE_LIT("Content-LENGTH"), "content-length"));
    assert_false(text_caseless_is(SLICE_LIT("content-lengt"), "content-length"));
    assert_false(text_caseless_is(SLICE_LIT("{"), "["));
    assert_true(text_caseless_eq(SLICE_NONE, SLICE_LIT("")));
    assert_true(text_equal_secret(SLICE_LIT("sk-123"), SLICE_LIT("sk-123")));
    assert_true(text_equal_secret(SLICE_NONE, SLICE_LIT("")));
    assert_false(text_equal_secret(SLICE_LIT("sk-123"), SLICE_LIT("sk-124")));
    assert_false(text_equal_secret(SLICE_LIT("sk-123"), SLICE_LIT("sk-1234")));
    assert_false(text_equal_secret(SLICE_LIT("\x80"), SLICE_LIT("\x00")));
}

static void
searching(void **state)
{
    (void)state;
    assert_slice(text_trim(SLICE_LIT(" \t a b\t ")), "a b");
    assert_slice(text_trim(SLICE_LIT(" \t ")), "");
    assert_slice(text_trim(SLICE_LIT("\na\n")), "\na\n");

    struct slice rest = SLICE_LIT("a,,b");
    assert_slice(text_split(&rest, ','), "a");
    assert_slice(text_split(&rest, ','), "");
    assert_slice(text_split(&rest, ','), "b");
    assert_null(rest.ptr);
    assert_null(text_split(&rest, ',').ptr);
    rest = SLICE_LIT("a,");
    assert_slice(text_split(&rest, ','), "a");
    assert_slice(rest, "");
    assert_slice(text_split(&rest, ','), "");
    assert_null(rest.ptr);

    assert_int_equal(text_find(SLICE_LIT("hello"), SLICE_LIT("l")), 2);
    assert_int_equal(text_find(SLICE_LIT("hello"), SLICE_LIT("lo")), 3);
    assert_int_equal(text_find(SLICE_LIT("hello"), SLICE_LIT("")), 0);
    assert_int_equal(text_find(SLICE_LIT("hello"), SLICE_LIT("hello!")), -1);
    assert_int_equal(text_find(SLICE_NONE, SLICE_LIT("x")), -1);
    assert_int_equal(text_find_caseless(SLICE_LIT("a Bearer"), SLICE_LIT("bEARER")), 2);
    assert_int_equal(text_find_caseless(SLICE_LIT("a Beare"), SLICE_LIT("bearer")), -1);
    assert_int_equal(text_find_caseless(SLICE_LIT("x"), SLICE_LIT("")), 0);
}

static void
check_decoded(bool (*decode)(struct slice, struct sink *), struct slice text, const char *want)
{
    struct sink sink;
    sink_init(&sink, 1000);
    bool taken = decode(text, &sink);
    if (taken != (want != NULL))
        fail_msg("\"%.*s\" gave %d", SLICE_ARG(text), taken);
    if (want)
        assert_slice(sink_slice(&sink), want);
    sink_fini(&sink);
}

static void
percent_decoding(void **state)
{
    (void)state;
    check_decoded(text_percent_decode, SLICE_LIT("a%20b%2Fc+d%7e"), "a b/c+d~");
    check_decoded(text_percent_decode, SLICE_LIT(""), "");
    check_decoded(text_percent_decode, SLICE_LIT("%e2%82%ac"), "\xe2\x82\xac");
    check_decoded(text_percent_decode, SLICE_LIT("%00"), NULL);
    check_decoded(text_percent_decode, SLICE_LIT("%"), NULL);
    check_decoded(text_percent_decode, SLICE_LIT("a%2"), NULL);
    check_decoded(text_percent_decode, SLICE_LIT("%g0"), NULL);
    check_decoded(text_percent_decode, SLICE_LIT("%+1"), NULL);
    check_decoded(text_percent_decode, SLICE_LIT("%%41"), NULL);
}

static void
base64(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xfe", "+//+"}};
    struct sink sink;
    sink_init(&sink, 1000);
    for (size_t i = 0; i < countof(pairs); i++) {
        sink_reset(&sink, 1000);
        text_base64(&sink, slice_from(pairs[i][0]));
        assert_slice(sink_slice(&sink), pairs[i][1]);
        check_decoded(text_base64_decode, slice_from(pairs[i][1]), pairs[i][0]);
    }
    sink_reset(&sink, 1000);
    text_hex(&sink, (const uint8_t *)"\x00\xff\x1a", 3);
    assert_slice(sink_slice(&sink), "00ff1a");
    sink_fini(&sink);

    check_decoded(text_base64_decode, SLICE_LIT("-__-"), "\xfb\xff\xfe");
    check_decoded(text_base64_decode, SLICE_LIT("Zm9v\r\nYmFy\n"), "foobar");
    check_decoded(text_base64_decode, SLICE_LIT("Zm8"), "fo");
    check_decoded(text_base64_decode, SLICE_LIT("Zg"), "f");
    check_decoded(text_base64_decode, SLICE_LIT("Zg="), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("Zm8=="), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("Zm9v="), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("Zg==Zg=="), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("Zg=v"), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("Z"), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("Zm 9v"), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("===="), NULL);
    check_decoded(text_base64_decode, SLICE_LIT("Zm9\0"), NULL);
}

/* A slow second opinion: decode, then ask whether the shortest encoding was used. */
static bool
utf8_valid_slowly(const unsigned char *at, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    while (left > 0) {
        size_t n = *at < 0x80 ? 1 : (*at & 0xe0) == 0xc0 ? 2 : (*at & 0xf0) == 0xe0 ? 3 : 4;
        if (n > left || *at >= 0xf8 || (*at & 0xc0) == 0x80)
            return false;
        uint32_t point = n == 1 ? *at : *at & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (at[i] & 0x3fu);
        }
        if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
        at += n;
        left -= n;
    }
    return true;
}

static void
utf8(void **state)
{
    (void)state;
    /* Every lead with every second byte, completed in the ways that matter. */
    static const char tails[][3] = {"", "\x80", "\xbf", "\x80\x80", "\xbf\xbf", "\x80\x41", "\xc0"};
    for (int lead = 0; lead < 256; lead++) {
        for (int second = 0; second < 256; second++) {
            for (size_t i = 0; i < countof(tails); i++) {
                unsigned char bytes[5] = {(unsigned char)lead, (unsigned char)second};
                size_t tail = strlen(tails[i]);
                memcpy(bytes + 2, tails[i], tail);
                assert_int_equal(text_utf8_valid(slice_of(bytes, 2 + tail)),
                                 utf8_valid_slowly(bytes, 2 + tail));
            }
        }
    }
    assert_true(text_utf8_valid(SLICE_NONE));
    assert_true(text_utf8_valid(SLICE_LIT("a\0b")));
}

static void
utf8_cut(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x80z");
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
    for (size_t max = 0; max < countof(cuts); max++)
        assert_int_equal(text_utf8_cut(text, max), cuts[max]);
    assert_int_equal(text_utf8_cut(SLICE_LIT("ab\xe2\x82"), 100), 2);
    assert_int_equal(text_utf8_cut(SLICE_LIT("\x80\x80\x80\x80\x80"), 4), 4);
    assert_int_equal(text_utf8_cut(SLICE_LIT("\xff\x80"), 2), 2);
    assert_int_equal(text_utf8_cut(SLICE_NONE, 4), 0);
}

static void
distance(void **state)
{
    (void)state;
    char long_text[65] = {0};
    assert_int_equal(text_distance(SLICE_LIT(""), SLICE_LIT("")), 0);
    assert_int_equal(text_distance(SLICE_LIT("kitten"), SLICE_LIT("sitting")), 3);
    assert_int_equal(text_distance(SLICE_LIT("sitting"), SLICE_LIT("kitten")), 3);
    assert_int_equal(text_distance(SLICE_LIT("abc"), SLICE_NONE), 3);
    assert_int_equal(text_distance(SLICE_NONE, SLICE_LIT("abc")), 3);
    assert_int_equal(text_distance(slice_of(long_text, 64), slice_of(long_text, 64)), 0);
    assert_int_equal(text_distance(slice_of(long_text, 65), slice_of(long_text, 65)), 64);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(hexadecimals),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(comparison),
        cmocka_unit_test(searching),
        cmocka_unit_test(percent_decoding),
        cmocka_unit_test(base64),
        cmocka_unit_test(utf8),
        cmocka_unit_test(utf8_cut),
        cmocka_unit_test(distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
