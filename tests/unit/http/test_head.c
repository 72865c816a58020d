/* SPDX-License-Identifier: MIT
 *
 * test_head.c - request heads: what is understood, and a table of everything that must be refused.
 */
#include "tests/unit/http/head_transcript.h"

static const struct http_limits wide = {8192, 65536, 128};

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST
#define END "\r\n"

static void
test_requests(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(GET END, "GET(0) / @a 1.1 none keep"),
        HEAD_SAMPLE(GET END "GET", "GET(0) / @a 1.1 none keep +3"),
        HEAD_SAMPLE("\r\n" GET END, "GET(0) / @a 1.1 none keep"),
        HEAD_SAMPLE("HEAD /x HTTP/1.1\r\n" HOST END, "HEAD(1) /x @a 1.1 none keep"),
        HEAD_SAMPLE("PUT /x HTTP/1.1\r\n" HOST END, "PUT(3) /x @a 1.1 none keep"),
        HEAD_SAMPLE("DELETE /x HTTP/1.1\r\n" HOST END, "DELETE(4) /x @a 1.1 none keep"),
        HEAD_SAMPLE("PATCH /x HTTP/1.1\r\n" HOST END, "PATCH(6) /x @a 1.1 none keep"),
        HEAD_SAMPLE("get /x HTTP/1.1\r\n" HOST END, "get(7) /x @a 1.1 none keep"),
        HEAD_SAMPLE("BREW /x HTTP/1.1\r\n" HOST END, "BREW(7) /x @a 1.1 none keep"),
        HEAD_SAMPLE(POST "Content-Length: 5\r\n" END "hello",
                    "POST(2) / @a 1.1 length=5 keep Content-Length=[5] +5"),
        HEAD_SAMPLE(POST "content-length:007 \t\r\n" END,
                    "POST(2) / @a 1.1 length=7 keep content-length=[007]"),
        HEAD_SAMPLE(POST "Content-Length: 18446744073709551615\r\n" END,
                    "POST(2) / @a 1.1 length=18446744073709551615 keep "
                    "Content-Length=[18446744073709551615]"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked\r\n" END,
                    "POST(2) / @a 1.1 chunked keep Transfer-Encoding=[chunked]"),
        HEAD_SAMPLE(POST "transfer-encoding: Chunked\r\n" END,
                    "POST(2) / @a 1.1 chunked keep transfer-encoding=[Chunked]"),
        HEAD_SAMPLE(GET "A:b\r\nA:  c d \r\nB:\r\nC: \t \r\n" END,
                    "GET(0) / @a 1.1 none keep A=[b] A=[c d] B=[] C=[]"),
        HEAD_SAMPLE(GET "A: \xC3\xA9\tx\r\n" END, "GET(0) / @a 1.1 none keep A=[\xC3\xA9\tx]"),
        HEAD_SAMPLE(GET "!#$%&'*+-.^_`|~09azAZ: x\r\n" END,
                    "GET(0) / @a 1.1 none keep !#$%&'*+-.^_`|~09azAZ=[x]"),
        HEAD_SAMPLE(GET "A: b:c\r\n" END, "GET(0) / @a 1.1 none keep A=[b:c]"),
        HEAD_SAMPLE(GET, "incomplete"),
        HEAD_SAMPLE("", "incomplete"),
        HEAD_SAMPLE("\r\n", "incomplete"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

static void
test_connection(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(GET "Connection: close\r\n" END,
                    "GET(0) / @a 1.1 none close Connection=[close]"),
        HEAD_SAMPLE(GET "Connection: x , CLOSE\r\n" END,
                    "GET(0) / @a 1.1 none close Connection=[x , CLOSE]"),
        HEAD_SAMPLE(GET "Connection: closed\r\n" END,
                    "GET(0) / @a 1.1 none keep Connection=[closed]"),
        HEAD_SAMPLE(GET "Connection: keep-alive\r\nconnection: close\r\n" END,
                    "GET(0) / @a 1.1 none close Connection=[keep-alive] connection=[close]"),
        HEAD_SAMPLE("GET / HTTP/1.0\r\n" END, "GET(0) / 1.0 none close"),
        HEAD_SAMPLE("GET / HTTP/1.0\r\n" HOST END, "GET(0) / @a 1.0 none close"),
        HEAD_SAMPLE("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END,
                    "GET(0) / 1.0 none keep Connection=[Keep-Alive]"),
        HEAD_SAMPLE("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n" END,
                    "GET(0) / 1.0 none close Connection=[keep-alive, close]"),
        HEAD_SAMPLE("POST / HTTP/1.0\r\nContent-Length: 2\r\n" END,
                    "POST(2) / 1.0 length=2 close Content-Length=[2]"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

static void
test_expect(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n" END,
                    "POST(2) / @a expect 1.1 length=1 keep Expect=[100-Continue] "
                    "Content-Length=[1]"),
        HEAD_SAMPLE(POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n" END,
                    "POST(2) / @a expect 1.1 chunked keep Expect=[100-continue] "
                    "Transfer-Encoding=[chunked]"),
        HEAD_SAMPLE(POST "Expect: 100-continue\r\nContent-Length: 0\r\n" END,
                    "POST(2) / @a 1.1 length=0 keep Expect=[100-continue] Content-Length=[0]"),
        HEAD_SAMPLE(POST "Expect: 100-continue\r\n" END,
                    "POST(2) / @a 1.1 none keep Expect=[100-continue]"),
        HEAD_SAMPLE("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n" END,
                    "POST(2) / 1.0 length=1 close Expect=[x] Content-Length=[1]"),
        HEAD_SAMPLE(POST "Expect: x\r\n" END, "EXPECT"),
        HEAD_SAMPLE(POST "Expect:\r\n" END, "EXPECT"),
        HEAD_SAMPLE(POST "Expect: 100-continue, x\r\n" END, "EXPECT"),
        HEAD_SAMPLE(POST "Expect: 100-continue\r\nExpect: x\r\n" END, "EXPECT"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

static void
test_request_line(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE("GET  / HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET /  HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE(" GET / HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.1 \r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET\t/ HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET /\tHTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET /a b HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET /\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET \r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET  HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("G@T / HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("G\xC3\xA9T / HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / http/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/11\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.10\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/01.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1,1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/+.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTPS/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / XTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/0.9\r\n" HOST END, "VERSION"),
        HEAD_SAMPLE("GET / HTTP/1.2\r\n" HOST END, "VERSION"),
        HEAD_SAMPLE("GET / HTTP/3.0\r\n" HOST END, "VERSION"),
        HEAD_SAMPLE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "VERSION"),
        HEAD_SAMPLE("\r\n\r\n" GET END, "SYNTAX"),
        HEAD_SAMPLE("\n" GET END, "SYNTAX"),
        HEAD_SAMPLE("\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", "SYNTAX"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

/* Where two readers could disagree on what the head says. */
static void
test_smuggling_fields(void **state)
{
    static const struct head_sample samples[] = {
        /* line ends and control bytes */
        HEAD_SAMPLE("GET / HTTP/1.1\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\r\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\rC: d\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\r\n\n", "SYNTAX"),
        HEAD_SAMPLE(GET "\r\r\n", "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\0c\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A\0: b\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\x01\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\x0B\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\x7F\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: 0123456789abcdef0123456789ab\x1B\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: 0123456789abcdef\x7F"
                        "0123456789abcdef\r\n" END,
                    "SYNTAX"),
        /* names */
        HEAD_SAMPLE(GET " A: b\r\n" END, "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n Host: a\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\r\n c\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\r\n\tc\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A: b\r\n \r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A : b\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A\t: b\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET ": b\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A b: c\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A(: c\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(GET "A\xC3\xA9: c\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Transfer-Encoding : chunked\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Transfer-Encoding\r\n : chunked\r\n" END, "SYNTAX"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

static void
test_smuggling_framing(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Transfer-Encoding: x\r\nContent-Length: 5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5\r\nContent-Length: 6\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5\r\ncontent-length: 0\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5, 5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5,5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: +5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: -5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5 5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 0x5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5.0\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 5;\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: \"5\"\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: a\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length:\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: \xD9\xA5\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 18446744073709551616\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Content-Length: 99999999999999999999\r\n" END, "SYNTAX"),
        HEAD_SAMPLE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, "SYNTAX"),
        HEAD_SAMPLE("POST / HTTP/1.0\r\nTransfer-Encoding: x\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked, chunked\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END,
                    "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: gzip, chunked\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked, gzip\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked,\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: ,chunked\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: xchunked\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunkedx\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked;a=b\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: \"chunked\"\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chun\tked\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: \xA0"
                         "chunked\r\n" END,
                    "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: chunked\xFF\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: identity\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding:\r\n" END, "CODING"),
        HEAD_SAMPLE(POST "Transfer-Encoding: \x0B"
                         "chunked\r\n" END,
                    "SYNTAX"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

/* Limits speak at the same byte however the head is cut. 20 bytes of line, 60 of head, 3 fields. */
static void
test_limits(void **state)
{
    static const struct http_limits narrow = {20, 60, 3};
    static const struct http_limits short_head = {100, 40, 3};
    static const struct head_sample samples[] = {
        HEAD_SAMPLE("GET /3456789 HTTP/1.1\r\n" HOST END, "LINE_LIMIT"),
        HEAD_SAMPLE("GET /345678 HTTP/1.1\r\n" HOST END, "GET(0) /345678 @a 1.1 none keep"),
        HEAD_SAMPLE("GET /3456789012345678\rx", "LINE_LIMIT"),
        HEAD_SAMPLE("GET /345678901234567\rx", "SYNTAX"),
        HEAD_SAMPLE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                    "LINE_LIMIT"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n" HOST "A: 9012345678901234567890123456\r\n" END,
                    "GET(0) / @a 1.1 none keep A=[9012345678901234567890123456]"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n" HOST "A: 90123456789012345678901234567\r\n" END,
                    "HEAD_LIMIT"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n" HOST
                    "A: 90123456789012345678901234567890123456789\r\n" END,
                    "HEAD_LIMIT"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n" HOST "A:1\r\nB:2\r\n" END,
                    "GET(0) / @a 1.1 none keep A=[1] B=[2]"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n" HOST "A:1\r\nB:2\r\nC:3\r\n" END, "HEAD_LIMIT"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n" HOST "Connection: a,b,c\r\n" END,
                    "GET(0) / @a 1.1 none keep Connection=[a,b,c]"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n" HOST "Connection: a,,c,\r\n" END, "HEAD_LIMIT"),
    };
    static const struct head_sample long_line[] = {
        HEAD_SAMPLE("GET /3456789012345678901234567890123456789012345 HTTP/1.1\r\n", "HEAD_LIMIT"),
    };
    (void)state;
    head_check(samples, countof(samples), &narrow, REQUEST);
    head_check(long_line, countof(long_line), &short_head, REQUEST);
}

/* One reader, many heads from one run of bytes. */
static void
test_pipeline(void **state)
{
    static struct http_head head;
    static const char *const paths[] = {"/1", "/2", "/3"};
    struct http_reader reader;
    struct slice bytes = SLICE_LIT("GET /1 HTTP/1.1\r\n" HOST END "\r\nGET /2 HTTP/1.1\r\n" HOST
                                   "A: b\r\n" END "GET /3 HTTP/1.1\r\n" HOST END);
    (void)state;
    http_reader_init(&reader, &wide);
    for (size_t i = 0; i < countof(paths); i++) {
        assert_int_equal(http_head_feed(&reader, &bytes), 1);
        assert_int_equal(http_head_feed(&reader, &bytes), 1);
        assert_int_equal(http_parse_request(&reader, &head), 0);
        assert_true(slice_is(head.path, paths[i]));
        assert_int_equal(head.field_count, i == 1 ? 2 : 1);
        http_reader_reset(&reader);
    }
    assert_int_equal(bytes.len, 0);
    http_reader_fini(&reader);
}

static void
test_most_fields(void **state)
{
    static struct http_head head;
    struct sink text;
    (void)state;
    for (int count = 127; count <= 129; count++) {
        struct http_reader reader;
        sink_init(&text, 65536);
        sink_text(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < count; i++)
            sink_printf(&text, "field-%d: %d\r\n", i, i);
        sink_text(&text, "\r\n");
        struct slice bytes = sink_slice(&text);
        http_reader_init(&reader, &wide);
        assert_int_equal(http_head_feed(&reader, &bytes), 1);
        assert_int_equal(http_parse_request(&reader, &head), count > 128 ? -ERR_HEAD_LIMIT : 0);
        if (count <= 128)
            assert_int_equal(head.field_count, count);
        http_reader_fini(&reader);
        sink_fini(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),         cmocka_unit_test(test_connection),
        cmocka_unit_test(test_expect),           cmocka_unit_test(test_request_line),
        cmocka_unit_test(test_smuggling_fields), cmocka_unit_test(test_smuggling_framing),
        cmocka_unit_test(test_limits),           cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_most_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
