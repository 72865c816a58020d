/* SPDX-License-Identifier: MIT
 *
 * test_field.c - looking up fields, lists in fields, hop-by-hop names, and the byte classes.
 */
#include "http/http.h"

#include "http/chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct http_head head; /* large: not for the stack */

static void
add(const char *name, const char *value)
{
    head.fields[head.field_count++] = (struct http_field){slice_from(name), slice_from(value)};
}

static void
test_lookup(void **state)
{
    (void)state;
    head.field_count = 0;
    add("Content-Type", "a");
    add("X-Empty", "");
    add("content-type", "b");
    assert_true(slice_is(http_field(&head, "CONTENT-TYPE"), "a"));
    assert_true(slice_present(http_field(&head, "x-empty")));
    assert_int_equal(http_field(&head, "x-empty").len, 0);
    assert_false(slice_present(http_field(&head, "Content-Typ")));
    assert_false(slice_present(http_field(&head, "Content-Types")));
    assert_false(slice_present(http_field(&head, "")));
}

static void
test_lists(void **state)
{
    (void)state;
    head.field_count = 0;
    add("Accept", "a , b,,\tC\t");
    add("accept", "d;q=1");
    add("Other", "z");
    assert_true(http_field_has(&head, "Accept", "a"));
    assert_true(http_field_has(&head, "accept", "B"));
    assert_true(http_field_has(&head, "Accept", "c"));
    assert_true(http_field_has(&head, "Accept", "d;q=1"));
    assert_false(http_field_has(&head, "Accept", "d"));
    assert_false(http_field_has(&head, "Accept", "z"));
    assert_false(http_field_has(&head, "Accept", "a , b"));
    assert_false(http_field_has(&head, "Missing", "a"));
}

static void
test_hop_by_hop(void **state)
{
    static const char *const hops[] = {
        "connection",
        "Keep-Alive",
        "TE",
        "trailer",
        "Transfer-Encoding",
        "upgrade",
        "Proxy-Authorization",
        "proxy-connection",
        "X-One",
        "x-two",
    };
    static const char *const ends[] = {
        "Content-Length", "Host", "Authorization", "X-Three", "Proxy", "Trailers", "T", "",
    };
    (void)state;
    head.field_count = 0;
    add("Connection", "close,, x-one");
    add("connection", "X-Two");
    for (size_t i = 0; i < countof(hops); i++)
        assert_true(http_is_hop_by_hop(&head, slice_from(hops[i])));
    for (size_t i = 0; i < countof(ends); i++)
        assert_false(http_is_hop_by_hop(&head, slice_from(ends[i])));
}

static void
test_value_clean(void **state)
{
    (void)state;
    assert_true(http_value_clean(SLICE_NONE));
    assert_true(http_value_clean(SLICE_LIT("")));
    assert_true(http_value_clean(SLICE_LIT("a\tb \xC3\xA9~")));
    assert_false(http_value_clean(SLICE_LIT("a\r")));
    assert_false(http_value_clean(SLICE_LIT("a\nb")));
    assert_false(http_value_clean(SLICE_LIT("\0")));
    assert_false(http_value_clean(SLICE_LIT("\x7F")));
}

/* The classes, byte by byte, against the words of the RFCs. */
static void
test_classes(void **state)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char host[] = "-._~0123456789"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (void)state;
    for (int i = 0; i < 256; i++) {
        char byte = (char)i;
        bool in_token = i != 0 && strchr(token, byte) != NULL;
        bool in_host = i != 0 && strchr(host, byte) != NULL;
        assert_int_equal(http_char_is(byte, HTTP_TOKEN), in_token);
        assert_int_equal(http_char_is(byte, HTTP_HOSTNAME), in_host);
        assert_int_equal(http_char_is(byte, HTTP_TARGET), i > 0x20 && i < 0x7f && i != '#');
        assert_int_equal(http_char_is(byte, HTTP_CONTROL), (i < 0x20 && i != '\t') || i == 0x7f);
    }
}

/* Every byte at every place of texts around the vector width. */
static void
test_find_control(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 40; len++) {
        char *text = malloc(len + 1);
        assert_non_null(text);
        memset(text, '\t', len);
        assert_ptr_equal(http_find_control(text, text + len), text + len);
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte < 256; byte++) {
                text[at] = (char)byte;
                bool control = http_char_is((char)byte, HTTP_CONTROL);
                assert_ptr_equal(http_find_control(text, text + len), text + (control ? at : len));
            }
            text[at] = at % 2 ? ' ' : (char)0xff;
        }
        free(text);
    }
}

static void
test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_s; /* -1: refused */
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
        {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
        {"Wed, 31 Dec 2098 23:59:59 GMT", 4070908799},
        {"Sunday, 06-Nov-94 08:49:37 GMT", -1},
        {"Sun Nov  6 08:49:37 1994", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nox 1994 08:49:37 GMT", -1},
        {"Sun, 0x Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08.49.37 GMT", -1},
        {"120", -1},
        {"", -1},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t got = -1;
        assert_int_equal(http_parse_date(slice_from(rows[i].text), &got), rows[i].unix_s >= 0);
        assert_int_equal(got, rows[i].unix_s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),     cmocka_unit_test(test_lists),
        cmocka_unit_test(test_hop_by_hop), cmocka_unit_test(test_value_clean),
        cmocka_unit_test(test_classes),    cmocka_unit_test(test_find_control),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
