/* SPDX-License-Identifier: MIT
 *
 * test_write.c - heads and chunks as written, that no content breaks out of its place, and the
 * calendar.
 */
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

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
test_start_lines(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 4096);
    http_put_request_line(&out, "POST", SLICE_LIT("/v1/messages?beta=true"));
    check(&out, "POST /v1/messages?beta=true HTTP/1.1\r\n");
    http_put_request_line(&out, "GET", SLICE_LIT(""));
    check(&out, "GET / HTTP/1.1\r\n");
    http_put_request_line(&out, "GET", SLICE_LIT("/a b\r\nHost: x#\xC3\x7F%41"));
    check(&out, "GET /a%20b%0D%0AHost:%20x%23%C3%7F%41 HTTP/1.1\r\n");
    http_put_status(&out, 200);
    check(&out, "HTTP/1.1 200 OK\r\n");
    http_put_status(&out, 529);
    check(&out, "HTTP/1.1 529 Site Is Overloaded\r\n");
    http_put_status(&out, 599);
    check(&out, "HTTP/1.1 599 Unknown\r\n");
    assert_string_equal(http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http_reason(0), "Unknown");
    sink_fini(&out);
}

static void
test_fields(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 4096);
    http_put_field(&out, "A", SLICE_LIT("b"));
    http_put_field(&out, "B", SLICE_LIT(""));
    http_put_field_u64(&out, "Content-Length", UINT64_MAX);
    http_put_end_of_head(&out);
    check(&out, "A: b\r\nB: \r\nContent-Length: 18446744073709551615\r\n\r\n");
    http_put_field(&out, "A", SLICE_LIT("b\r\nC: d\0e\x7F\tf\xC3\xA9"));
    check(&out, "A: b  C: d e \tf\xC3\xA9\r\n");
    http_put_field_named(&out, SLICE_LIT("x-Request-id"), SLICE_LIT("1"));
    check(&out, "x-Request-id: 1\r\n");
    http_put_field_named(&out, SLICE_LIT("a b"), SLICE_LIT("1"));
    http_put_field_named(&out, SLICE_LIT("a\r\nb"), SLICE_LIT("1"));
    http_put_field_named(&out, SLICE_LIT("a:"), SLICE_LIT("1"));
    http_put_field_named(&out, SLICE_LIT(""), SLICE_LIT("1"));
    check(&out, "");
    sink_fini(&out);
}

static void
test_chunks(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 4096);
    http_put_chunk(&out, SLICE_LIT("hello"));
    http_put_chunk(&out, SLICE_LIT(""));
    http_put_chunk(&out, SLICE_LIT("0123456789abcdef0123456789a"));
    http_put_last_chunk(&out);
    check(&out, "5\r\nhello\r\n1b\r\n0123456789abcdef0123456789a\r\n0\r\n\r\n");
    sink_fini(&out);
}

static void
test_date(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 4096);
    http_put_date(&out, 784111777);
    check(&out, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    http_put_date(&out, 0);
    check(&out, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    http_put_date(&out, 951782400);
    check(&out, "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n");
    http_put_date(&out, -5);
    check(&out, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    http_put_date(&out, INT64_MAX);
    check(&out, "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n");
    sink_fini(&out);
}

/* Every 11 hours and a bit up to the year 2400, against the C library in its C locale. */
static void
test_date_against_libc(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 4096);
    for (int64_t unix_s = 0; unix_s < 13569465600; unix_s += 39607) {
        char wanted[64];
        time_t seconds = unix_s;
        struct tm parts;
        assert_non_null(gmtime_r(&seconds, &parts));
        strftime(wanted, sizeof(wanted), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
        http_put_date(&out, unix_s);
        check(&out, wanted);
    }
    sink_fini(&out);
}

/* A full sink keeps its error and gets no half line. */
static void
test_full_sink(void **state)
{
    struct sink out;
    (void)state;
    sink_init(&out, 8);
    http_put_field(&out, "A", SLICE_LIT("0123456789"));
    assert_int_equal(out.error, -ERR_LIMIT);
    assert_int_equal(out.len, 0);
    sink_reset(&out, 0);
    http_put_chunk(&out, SLICE_LIT("0123456789"));
    assert_int_equal(out.error, -ERR_LIMIT);
    assert_int_equal(out.len, 0);
    sink_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_lines),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_date_against_libc),
        cmocka_unit_test(test_full_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
