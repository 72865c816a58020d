/* SPDX-License-Identifier: MIT
 *
 * test_target.c - forms of the request target, Host, and the two together.
 */
#include "tests/unit/http/head_transcript.h"

static const struct http_limits wide = {8192, 65536, 128};

#define LINE(target) "GET " target " HTTP/1.1\r\n"
#define WITH_HOST(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define HOST "Host: a\r\n"
#define END "\r\n"

static void
test_origin_form(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(LINE("/v1/messages?beta=true") HOST END,
                    "GET(0) /v1/messages ?beta=true @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("/a?") HOST END, "GET(0) /a ? @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("/a?b?c=/") HOST END, "GET(0) /a ?b?c=/ @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("/?") HOST END, "GET(0) / ? @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("//x/../y") HOST END, "GET(0) //x/../y @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("/%00%zz{}|\\\"") HOST END, "GET(0) /%00%zz{}|\\\" @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("/v1/models/m:generate") HOST END,
                    "GET(0) /v1/models/m:generate @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("/a#b") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("/a\xC3\xA9") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("/a\x80") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("/a\x01") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("/a\x7F") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("/a\tb") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("a") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("?a") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("../a") HOST END, "SYNTAX"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

static void
test_absolute_form(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(LINE("http://a/b?c") HOST END, "GET(0) /b ?c @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("HTTPS://A/b") HOST END, "GET(0) /b @A 1.1 none keep"),
        HEAD_SAMPLE(LINE("http://a") HOST END, "GET(0) / @a 1.1 none keep"),
        HEAD_SAMPLE(LINE("http://a?x=/") HOST END, "GET(0) / ?x=/ @a 1.1 none keep"),
        HEAD_SAMPLE("GET http://b/ HTTP/1.0\r\n" END, "GET(0) / @b 1.0 none close"),
        HEAD_SAMPLE(LINE("http://a:80/") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("http://b/") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("http://a/") END, "SYNTAX"),
        HEAD_SAMPLE(LINE("http://u@a/") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("http://") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("http:///b") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("http:/a/b") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("ftp://a/b") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("http://a#b") HOST END, "SYNTAX"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

static void
test_other_forms(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE("OPTIONS * HTTP/1.1\r\n" HOST END, "OPTIONS(5) * @a 1.1 none keep"),
        HEAD_SAMPLE("OPTIONS /a HTTP/1.1\r\n" HOST END, "OPTIONS(5) /a @a 1.1 none keep"),
        HEAD_SAMPLE("OPTIONS ** HTTP/1.1\r\n" HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("*") HOST END, "SYNTAX"),
        HEAD_SAMPLE(LINE("a:80") HOST END, "SYNTAX"),
        HEAD_SAMPLE("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n" END, "SYNTAX"),
        HEAD_SAMPLE("CONNECT / HTTP/1.1\r\n" HOST END, "SYNTAX"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

static void
test_host(void **state)
{
    static const struct head_sample samples[] = {
        HEAD_SAMPLE(WITH_HOST("api.example-1.com"), "GET(0) / @api.example-1.com 1.1 none keep"),
        HEAD_SAMPLE(WITH_HOST("a_b~c:65535"), "GET(0) / @a_b~c:65535 1.1 none keep"),
        HEAD_SAMPLE(WITH_HOST("127.0.0.1:4000"), "GET(0) / @127.0.0.1:4000 1.1 none keep"),
        HEAD_SAMPLE(WITH_HOST("[::1]"), "GET(0) / @[::1] 1.1 none keep"),
        HEAD_SAMPLE(WITH_HOST("[2001:DB8::1]:80"), "GET(0) / @[2001:DB8::1]:80 1.1 none keep"),
        HEAD_SAMPLE(WITH_HOST("[::ffff:1.2.3.4]"), "GET(0) / @[::ffff:1.2.3.4] 1.1 none keep"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\n\r\n", "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "SYNTAX"),
        HEAD_SAMPLE("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST(""), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("u@a"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("u:p@a"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a/b"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("http://a"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a, b"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a b"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a?b"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a%2fb"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("\xC3\xA9"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST(":80"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a:"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a:0"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a:65536"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a:000080"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a:+80"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("a:80:80"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("::1"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("[::1"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("[]"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("[1]"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("[::1]a"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("[::1%25eth0]"), "SYNTAX"),
        HEAD_SAMPLE(WITH_HOST("[v1.x:y]"), "SYNTAX"),
    };
    (void)state;
    head_check(samples, countof(samples), &wide, REQUEST);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origin_form),
        cmocka_unit_test(test_absolute_form),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
