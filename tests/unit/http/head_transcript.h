/* SPDX-License-Identifier: MIT
 *
 * head_transcript.h - one head, fed in pieces and parsed, as a line of text. For tests of
 * http/head.c.
 */
#ifndef PENSTOCK_TESTS_HEAD_TRANSCRIPT_H
#define PENSTOCK_TESTS_HEAD_TRANSCRIPT_H

#include "http/http.h"
#include "tests/unit/splits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum head_kind { REQUEST, REPLY, REPLY_TO_HEAD };

struct head_sample {
    struct slice bytes; /* may go on behind the head */
    const char *transcript;
};
#define HEAD_SAMPLE(text, transcript)                                                              \
    {                                                                                              \
        SLICE_LIT(text), transcript                                                                \
    }

static inline void
head_write_request(struct sink *out, const struct http_head *head)
{
    sink_printf(out, "%.*s(%d) %.*s", SLICE_ARG(head->method_text), (int)head->method,
                SLICE_ARG(head->path));
    if (slice_present(head->query))
        sink_printf(out, " ?%.*s", SLICE_ARG(head->query));
    if (slice_present(head->host))
        sink_printf(out, " @%.*s", SLICE_ARG(head->host));
    if (head->expect_continue)
        sink_text(out, " expect");
}

static inline void
head_write(struct sink *out, const struct http_head *head, enum head_kind kind)
{
    if (kind == REQUEST)
        head_write_request(out, head);
    else
        sink_printf(out, "%d [%.*s]", head->status, SLICE_ARG(head->reason));
    sink_printf(out, " 1.%d", head->minor);
    static const char *const framings[] = {"none", "length", "chunked", "until-close"};
    sink_printf(out, " %s", framings[head->framing]);
    if (head->framing == HTTP_LENGTH)
        sink_printf(out, "=%llu", (unsigned long long)head->length);
    sink_text(out, head->keep_alive ? " keep" : " close");
    for (size_t i = 0; i < head->field_count; i++) {
        if (kind == REQUEST && i == 0 && slice_is(head->fields[i].name, "Host"))
            continue;
        sink_printf(out, " %.*s=[%.*s]", SLICE_ARG(head->fields[i].name),
                    SLICE_ARG(head->fields[i].value));
    }
}

/* Feed bytes cut in one way, parse, and write what came of it; what lies behind the head in " +n".
 */
static inline void
head_transcribe(struct slice bytes, const struct http_limits *limits, enum head_kind kind,
                unsigned how, struct sink *out)
{
    static struct http_head head; /* large: not for the stack */
    struct http_reader reader;
    struct splits splits;
    struct slice piece;
    int result = 0;
    size_t used = 0;
    http_reader_init(&reader, limits);
    splits_begin(&splits, bytes, how);
    while (result == 0 && splits_next(&splits, &piece)) {
        size_t before = piece.len;
        result = http_head_feed(&reader, &piece);
        used += before - piece.len;
        if (result == 0)
            assert_int_equal(piece.len, 0);
    }
    splits_stop(&splits);
    if (result == 1)
        result = kind == REQUEST ? http_parse_request(&reader, &head)
                                 : http_parse_reply(&reader, kind == REPLY_TO_HEAD, &head);
    else if (result == 0)
        result = 1;
    if (result < 0) {
        struct slice more = SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        sink_text(out, err_row(result)->name);
        assert_int_equal(http_head_feed(&reader, &more), result);
        assert_int_equal(http_parse_request(&reader, &head), result);
    } else if (result == 1) {
        sink_text(out, "incomplete");
    } else {
        head_write(out, &head, kind);
        if (used < bytes.len)
            sink_printf(out, " +%zu", bytes.len - used);
    }
    http_reader_fini(&reader);
}

static inline void
head_check(const struct head_sample *samples, size_t count, const struct http_limits *limits,
           enum head_kind kind)
{
    struct sink got;
    bool good = true;
    sink_init(&got, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        for (unsigned how = 0; how < SPLITS_COUNT; how++) {
            sink_reset(&got, SIZE_MAX);
            head_transcribe(samples[i].bytes, limits, kind, how, &got);
            assert_int_equal(got.error, 0);
            if (slice_is(sink_slice(&got), samples[i].transcript))
                continue;
            fprintf(stderr, "sample %zu cut in way %u:\n%.*s\ngave   %.*s\nwanted %s\n", i, how,
                    SLICE_ARG(samples[i].bytes), SLICE_ARG(sink_slice(&got)),
                    samples[i].transcript);
            good = false;
            break;
        }
    }
    sink_fini(&got);
    assert_true(good);
}

#endif
