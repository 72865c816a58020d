/* SPDX-License-Identifier: MIT
 *
 * test_dialects.c - the table of dialects, text cut into pieces, and text decoded piece by piece.
 */
#include "providers/dialect.h"
#include "providers/unescape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
finds_dialects(void **state)
{
    (void)state;
    assert_ptr_equal(dialect_named(SLICE_LIT("anthropic")), &anthropic_dialect);
    assert_ptr_equal(dialect_named(SLICE_LIT("openai_chat")), &openai_chat_dialect);
    assert_null(dialect_named(SLICE_LIT("gopher")));
    assert_null(dialect_named(SLICE_NONE));
    assert_ptr_equal(dialect_of(DIALECT_ANTHROPIC), &anthropic_dialect);
    assert_ptr_equal(dialect_of(DIALECT_OPENAI_CHAT), &openai_chat_dialect);
}

/* Whatever the limit, the pieces are the text, none is too long, and each is valid on its own. */
static void
cuts_text_between_its_units(void **state)
{
    (void)state;
    const struct slice text =
        SLICE_LIT("ab\\n\\\\\\\"c\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\u00e9"
                  "\\ud83d\\ude00\\uD83D\\uDE00\\ud83dx\\\\u0\\ud83dabcde\\n\\ude00abcde\\n");
    for (size_t max = 12; max < text.len + 2; max++) {
        struct slice rest = text, piece;
        size_t at = 0;
        while (slice_present(piece = dialect_text_piece(&rest, max))) {
            char quoted[256] = "\"";
            assert_true(piece.len > 0 && piece.len <= max);
            assert_ptr_equal(piece.ptr, text.ptr + at);
            at += piece.len;
            memcpy(quoted + 1, piece.ptr, piece.len);
            quoted[piece.len + 1] = '"';
            struct json_scan scan;
            assert_int_equal(json_scan(slice_of(quoted, piece.len + 2), 1, &scan), 0);
            bool low = rest.len >= 4 &&
                       (memcmp(rest.ptr, "\\ude", 4) == 0 || memcmp(rest.ptr, "\\uDE", 4) == 0);
            bool high =
                slice_ends(piece, SLICE_LIT("\\ud83d")) || slice_ends(piece, SLICE_LIT("\\uD83D"));
            assert_false(high && low);
        }
        assert_int_equal(at, text.len);
    }
}

static void
decodes(const char *const *pieces, const char *expected)
{
    struct unescape state = {0};
    struct sink out;
    sink_init(&out, 4096);
    for (; *pieces; pieces++)
        unescape_put(&state, slice_from(*pieces), &out);
    unescape_done(&state, &out);
    sink_byte(&out, '\0');
    assert_string_equal(out.ptr, expected);
    sink_fini(&out);
}

#define DECODES(expected, ...) decodes((const char *const[]){__VA_ARGS__, NULL}, expected)

static void
decodes_escapes_over_pieces(void **state)
{
    (void)state;
    DECODES("plain \xc3\xa9", "plain \xc3\xa9");
    DECODES("\"\\/\b\f\n\r\t", "\\\"\\\\\\/\\b\\f\\n\\r\\t");
    DECODES("A\xc3\xa9\xe2\x82\xac", "\\u0041\\u00e9\\u20AC");
    DECODES("\xf0\x9f\x98\x80", "\\ud83d\\ude00");
    DECODES("\xf0\x9f\x98\x80!", "\\ud83d", "", "\\ude00!");
    DECODES("\xef\xbf\xbdx", "\\ud83d", "x");
    DECODES("\xef\xbf\xbd\n", "\\ud83d", "\\n");
    DECODES("\xef\xbf\xbd\xf0\x9f\x98\x80", "\\ud83d", "\\ud83d\\ude00");
    DECODES("\xef\xbf\xbd", "\\ude00");
    DECODES("\xef\xbf\xbd", "\\ud83d");
    DECODES("\xef\xbf\xbd"
            "A",
            "\\ud83d\\u0041");
}

static void
checks_decoded_json(void **state)
{
    (void)state;
    struct unescape pair = {0};
    struct json_check check;
    json_check_init(&check);
    assert_true(unescape_check(&pair, SLICE_LIT("{\\\"a\\\":\\\"\\ud83d"), &check));
    assert_true(unescape_check(&pair, SLICE_LIT("\\ude00\\\\n\\\""), &check));
    assert_false(json_check_done(&check));
    assert_true(unescape_check(&pair, SLICE_LIT("}"), &check));
    assert_true(json_check_done(&check));
    assert_false(unescape_check(&pair, SLICE_LIT("}"), &check));
    assert_false(unescape_check(&pair, SLICE_LIT(""), &check));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_dialects),
        cmocka_unit_test(cuts_text_between_its_units),
        cmocka_unit_test(decodes_escapes_over_pieces),
        cmocka_unit_test(checks_decoded_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
