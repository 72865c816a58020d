/* SPDX-License-Identifier: MIT
 *
 * test_reply.c - reply heads: status lines, framing, keep-alive; and those that must be refused.
 */
#include "tests/unit/http/head_transcript.h"

static const struct http_limits wide = {8192, 65536, 128};

#define OK "HTTP/1.1 200 OK\r\n"
#define END "\r\n"
#define REFUSED "UPSTREAM_PROTOCOL"

static void
test_status_lines(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(OK END, "200 [OK] 1.1 until-close close"),
        HEAD_SAMPLE("HTTP/1.1 200 \r\n" END, "200 [] 1.1 until-close close"),
        HEAD_SAMPLE("HTTP/1.1 200\r\n" END, "200 [] 1.1 until-close close"),
        HEAD_SAMPLE("HTTP/1.1 404 Not  Found \xC3\xA9\r\n" END,
                    "404 [Not  Found \xC3\xA9] 1.1 until-close close"),
        HEAD_SAMPLE("HTTP/1.1 529 \r\n" END, "529 [] 1.1 until-close close"),
        HEAD_SAMPLE("HTTP/1.1 099 x\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 600 x\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 20 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 2000 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 2x0 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 +20 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1  200 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1\t200 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 200\tOK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 \r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/2.0 200 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/2 200\r\n" END, REFUSED),
        HEAD_SAMPLE("http/1.1 200 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("ICY 200 OK\r\n" END, REFUSED),
        HEAD_SAMPLE("x\r\n" END, REFUSED),
        HEAD_SAMPLE("\r\n" OK END, REFUSED),
        HEAD_SAMPLE(OK, "incomplete"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REPLY);
}

static void
test_framing(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(OK "Content-Length: 3\r\n" END "abc", "200 [OK] 1.1 length=3 keep "
                                                          "Content-Length=[3] +3"),
        HEAD_SAMPLE(OK "Content-Length: 0\r\n" END,
                    "200 [OK] 1.1 length=0 keep Content-Length=[0]"),
        HEAD_SAMPLE(OK "Transfer-Encoding: CHUNKED\r\n" END,
                    "200 [OK] 1.1 chunked keep Transfer-Encoding=[CHUNKED]"),
        HEAD_SAMPLE(OK "Connection: close\r\nContent-Length: 3\r\n" END,
                    "200 [OK] 1.1 length=3 close Connection=[close] Content-Length=[3]"),
        HEAD_SAMPLE(OK "Connection: keep-alive\r\n" END,
                    "200 [OK] 1.1 until-close close Connection=[keep-alive]"),
        HEAD_SAMPLE("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n" END,
                    "200 [OK] 1.0 length=3 close Content-Length=[3]"),
        HEAD_SAMPLE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n" END,
                    "200 [OK] 1.0 length=3 keep Connection=[keep-alive] Content-Length=[3]"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REPLY);
}

static void
test_without_body(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE("HTTP/1.1 100 Continue\r\n" END OK, "100 [Continue] 1.1 none keep +17"),
        HEAD_SAMPLE("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n" END,
                    "103 [Early Hints] 1.1 none keep Link=[</a>]"),
        HEAD_SAMPLE("HTTP/1.1 204 No Content\r\n" END, "204 [No Content] 1.1 none keep"),
        HEAD_SAMPLE("HTTP/1.1 204 x\r\nContent-Length: 0\r\n" END,
                    "204 [x] 1.1 none keep Content-Length=[0]"),
        HEAD_SAMPLE("HTTP/1.1 204 x\r\nContent-Length: 5\r\n" END,
                    "204 [x] 1.1 none close Content-Length=[5]"),
        HEAD_SAMPLE("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n" END,
                    "204 [x] 1.1 none close Transfer-Encoding=[chunked]"),
        HEAD_SAMPLE("HTTP/1.1 304 x\r\nContent-Length: 5\r\n" END,
                    "304 [x] 1.1 none keep Content-Length=[5]"),
        HEAD_SAMPLE("HTTP/1.0 204 x\r\n" END, "204 [x] 1.0 none close"),
    };
    static const struct head_sample to_head[] = {
        HEAD_SAMPLE(OK END, "200 [OK] 1.1 none keep"),
        HEAD_SAMPLE(OK "Content-Length: 5\r\n" END, "200 [OK] 1.1 none keep Content-Length=[5]"),
        HEAD_SAMPLE(OK "Transfer-Encoding: chunked\r\n" END,
                    "200 [OK] 1.1 none keep Transfer-Encoding=[chunked]"),
        HEAD_SAMPLE(OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END, REFUSED),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REPLY);
    head_check(to_head, countof(to_head), &wide, REPLY_TO_HEAD);
}

/* Malformed fields and framing; what gathering itself refuses is refused as syntax, see
 * http_head_feed. */
static void
test_refused(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Content-Length: 5\r\nContent-Length: 5\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Content-Length: 5\r\nContent-Length: 6\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Content-Length: 5, 5\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Content-Length: -1\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Content-Length: 18446744073709551616\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 204 x\r\nContent-Length: x\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Transfer-Encoding: gzip, chunked\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Transfer-Encoding: gzip\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "Transfer-Encoding: identity\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "A : b\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "A: b\r\n c\r\n" END, REFUSED),
        HEAD_SAMPLE(OK ": b\r\n" END, REFUSED),
        HEAD_SAMPLE(OK "A\r\n" END, REFUSED),
        HEAD_SAMPLE("HTTP/1.1 200 OK\n" END, "SYNTAX"),
        HEAD_SAMPLE(OK "A: b\rc\r\n" END, "SYNTAX"),
        HEAD_SAMPLE(OK "A: b\0c\r\n" END, "SYNTAX"),
        HEAD_SAMPLE("HTTP/1.1 200 \x01\r\n" END, "SYNTAX"),
    };
    static const struct http_limits few = {8192, 65536, 1};
    static const struct head_sample fields[] = {
        HEAD_SAMPLE(OK "A: b\r\n" END, "200 [OK] 1.1 until-close close A=[b]"),
        HEAD_SAMPLE(OK "A: b\r\nC: d\r\n" END, REFUSED),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REPLY);
    head_check(fields, countof(fields), &few, REPLY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_lines),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_without_body),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
