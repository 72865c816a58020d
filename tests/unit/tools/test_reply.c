/* SPDX-License-Identifier: MIT
 *
 * test_reply.c - what loadgen finds in replies: nothing in good ones, and in each bad one what is wrong with it; whole,
 * byte by byte and cut at random.
 */
#include "tools/loadgen/reply.h"

#include "tests/unit/splits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID 1000000007u
#define NOTHING WRONGS_COUNT
#define EVENTS_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

#define ONE "data: {\"choices\":[{\"delta\":{\"content\":\"[1000000007.0.5]--\"},\"finish_reason\":null}]}\n\n"
#define TWO "data: {\"choices\":[{\"delta\":{\"content\":\"[1000000007.1.5]--\"},\"finish_reason\":null}]}\n\n"
#define LAST "data: {\"choices\":[{\"delta\":{\"content\":\"[1000000007.2.5]$$\"},\"finish_reason\":null}]}\n\n"
#define ALIEN "data: {\"choices\":[{\"delta\":{\"content\":\"[1000000008.1.5]--\"},\"finish_reason\":null}]}\n\n"
#define FINISH "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"
#define MESSAGE(text) "{\"choices\":[{\"message\":{\"content\":\"" text "\"},\"finish_reason\":\"stop\"}]}"
#define TEXTS "[1000000007.0.5]--[1000000007.1.5]--[1000000007.2.5]$$"

#define START "event: message_start\ndata: {\"type\":\"message_start\"}\n\n"
#define DELTA(text) "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"" text "\"}}\n\n"
#define REASON "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
#define STOP "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

#define CREATED "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n"
#define PIECE(text) "data: {\"type\":\"response.output_text.delta\",\"delta\":\"" text "\"}\n\n"
#define SAID(text) "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"" text "\"}\n\n"
#define COMPLETED "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n"

#define CANDIDATE(text, more) "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text "\"}]}" more "}]}\r\n\r\n"
#define OVER ",\"finishReason\":\"STOP\""

struct example {
    const char *name;
    enum dialect dialect;
    bool stream;
    enum wrong wrong; /* NOTHING: all is well */
    const char *head, *body;
    bool closed; /* the connection ends behind it */
};

/* Bodies of server-sent events are sent in chunks of all sizes by the tests below. */
static const struct example streams[] = {
    {"chat", DIALECT_CHAT, true, NOTHING, NULL, ONE TWO LAST FINISH DONE, false},
    {"chat with comments, ids and CR LF", DIALECT_CHAT, true, NOTHING, NULL, ": hello\r\n\r\nid: 1\r\n" ONE TWO LAST FINISH DONE, false},
    {"lost", DIALECT_CHAT, true, WRONG_LOST, NULL, ONE LAST FINISH DONE, false},
    {"the last one lost", DIALECT_CHAT, true, WRONG_LOST, NULL, ONE TWO FINISH DONE, false},
    {"twice", DIALECT_CHAT, true, WRONG_DUPLICATED, NULL, ONE TWO TWO LAST FINISH DONE, false},
    {"swapped", DIALECT_CHAT, true, WRONG_REORDERED, NULL, TWO ONE LAST FINISH DONE, false},
    {"of another", DIALECT_CHAT, true, WRONG_CROSSED, NULL, ONE ALIEN LAST FINISH DONE, false},
    {"no [DONE]", DIALECT_CHAT, true, WRONG_NO_END, NULL, ONE TWO LAST FINISH, false},
    {"no reason", DIALECT_CHAT, true, WRONG_NO_END, NULL, ONE TWO LAST DONE, false},
    {"two reasons", DIALECT_CHAT, true, WRONG_TWO_ENDS, NULL, ONE TWO LAST FINISH FINISH DONE, false},
    {"two [DONE]", DIALECT_CHAT, true, WRONG_TWO_ENDS, NULL, ONE TWO LAST FINISH DONE DONE, false},
    {"text behind the reason", DIALECT_CHAT, true, WRONG_AFTER_END, NULL, ONE TWO FINISH LAST DONE, false},
    {"something behind [DONE]", DIALECT_CHAT, true, WRONG_AFTER_END, NULL, ONE TWO LAST FINISH DONE "data: {}\n\n", false},
    {"an error", DIALECT_CHAT, true, WRONG_ERROR_EVENT, NULL, ONE "data: {\"error\":{\"message\":\"x\"}}\n\n", false},
    {"no JSON", DIALECT_CHAT, true, WRONG_MALFORMED, NULL, ONE "data: {\"choices\":\n\n" TWO LAST FINISH DONE, false},
    {"half an event", DIALECT_CHAT, true, WRONG_MALFORMED, NULL, ONE TWO LAST FINISH DONE "data: {", false},
    {"anthropic", DIALECT_ANTHROPIC, true, NOTHING, NULL, START DELTA("[1000000007.0.5]-") DELTA("[1000000007.1.5]$") REASON STOP, false},
    {"anthropic without a start", DIALECT_ANTHROPIC, true, WRONG_MALFORMED, NULL, DELTA("[1000000007.0.5]$") REASON STOP, false},
    {"anthropic without a stop", DIALECT_ANTHROPIC, true, WRONG_NO_END, NULL, START DELTA("[1000000007.0.5]$") REASON, false},
    {"anthropic without a reason", DIALECT_ANTHROPIC, true, WRONG_NO_END, NULL, START DELTA("[1000000007.0.5]$") STOP, false},
    {"anthropic, two stops", DIALECT_ANTHROPIC, true, WRONG_TWO_ENDS, NULL, START DELTA("[1000000007.0.5]$") REASON STOP STOP, false},
    {"anthropic, an error", DIALECT_ANTHROPIC, true, WRONG_ERROR_EVENT, NULL, START "event: error\ndata: {\"type\":\"error\"}\n\n", false},
    {"responses", DIALECT_RESPONSES, true, NOTHING, NULL, CREATED PIECE("[1000000007.0.5]$") SAID("[1000000007.0.5]$") COMPLETED, false},
    {"responses, said otherwise", DIALECT_RESPONSES, true, WRONG_LOST, NULL, CREATED PIECE("[1000000007.0.5]$") SAID("") COMPLETED, false},
    {"responses, no end", DIALECT_RESPONSES, true, WRONG_NO_END, NULL, CREATED PIECE("[1000000007.0.5]$"), false},
    {"responses, two ends", DIALECT_RESPONSES, true, WRONG_TWO_ENDS, NULL, CREATED PIECE("[1000000007.0.5]$") COMPLETED COMPLETED, false},
    {"gemini", DIALECT_GEMINI, true, NOTHING, NULL, CANDIDATE("[1000000007.0.5]-", "") CANDIDATE("[1000000007.1.5]$", OVER), false},
    {"gemini, no end", DIALECT_GEMINI, true, WRONG_NO_END, NULL, CANDIDATE("[1000000007.0.5]$", ""), false},
    {"gemini, two ends", DIALECT_GEMINI, true, WRONG_TWO_ENDS, NULL, CANDIDATE("[1000000007.0.5]$", OVER) CANDIDATE("", OVER), false},
    {"gemini, lost", DIALECT_GEMINI, true, WRONG_LOST, NULL, CANDIDATE("[1000000007.1.5]$", OVER), false},
};

/* Whole replies, bytes as they come. */
static const struct example replies[] = {
    {"whole", DIALECT_CHAT, false, NOTHING, JSON_HEAD "content-length: 117\r\n\r\n", MESSAGE(TEXTS), false},
    {"whole, to the end of the connection", DIALECT_CHAT, false, NOTHING, JSON_HEAD "\r\n", MESSAGE(TEXTS), true},
    {"whole, in chunks with extensions and a trailer", DIALECT_CHAT, false, NOTHING, JSON_HEAD CHUNKED,
     "075;a=b\r\n" MESSAGE(TEXTS) "\r\n0\r\nX-A: b\r\n\r\n", false},
    {"whole, one lost", DIALECT_CHAT, false, WRONG_LOST, JSON_HEAD "\r\n", MESSAGE("[1000000007.0.5]-[1000000007.2.5]$"), true},
    {"whole, no reason", DIALECT_CHAT, false, WRONG_NO_END, JSON_HEAD "\r\n", "{\"x\":\"[1000000007.0.5]$\"}", true},
    {"whole, cut", DIALECT_CHAT, false, WRONG_MALFORMED, JSON_HEAD "\r\n", "{\"x\":\"[1000000007.0.5]$", true},
    {"error status", DIALECT_CHAT, false, WRONG_STATUS, "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n", "{}", false},
    {"error status without a body", DIALECT_CHAT, false, WRONG_STATUS, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "", false},
    {"a stream where none was asked for", DIALECT_CHAT, false, WRONG_MALFORMED, EVENTS_HEAD "\r\n", ONE, false},
    {"HTTP/1.0", DIALECT_CHAT, false, WRONG_FRAMING, "HTTP/1.0 200 OK\r\n\r\n", "", false},
    {"two lengths", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "", false},
    {"a length and chunks", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD "Content-Length: 1\r\n" CHUNKED, "", false},
    {"a strange length", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD "Content-Length: 0x1\r\n\r\n", "", false},
    {"a bare line feed in the head", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD "A: b\nContent-Length: 0\r\n\r\n", "", false},
    {"a space in front of a colon", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD "A : b\r\n\r\n", "", false},
    {"no size", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD CHUNKED, "\r\n{}\r\n0\r\n\r\n", false},
    {"a size that is none", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD CHUNKED, "g\r\n", false},
    {"a size without end", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD CHUNKED, "0000000000000", false},
    {"a bare line feed behind a size", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD CHUNKED, "2\n{}\r\n", false},
    {"a chunk longer than its size", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD CHUNKED, "2\r\n{}}\r\n", false},
    {"a chunk shorter than its size", DIALECT_CHAT, false, WRONG_FRAMING, JSON_HEAD CHUNKED, "3\r\n{}\r\n0\r\n\r\n", false},
};

static void
check_example(const struct example *example, struct slice bytes, unsigned how)
{
    static struct tally tally;
    struct reply reply = {0};
    struct splits splits;
    struct slice piece;
    tally = (struct tally){0};
    reply_begin(&reply, &tally, example->dialect, example->stream, ID);
    splits_begin(&splits, bytes, how);
    while (splits_next(&splits, &piece)) {
        if (!reply_over(&reply))
            (void)reply_bytes(&reply, piece, 6);
    }
    if (example->closed && !reply_over(&reply))
        assert_true(reply_end(&reply, 6));
    uint64_t wrongs = 0;
    for (int i = 0; i < WRONGS_COUNT; i++)
        wrongs += tally.wrongs[i];
    bool good = reply_over(&reply) && (example->wrong == NOTHING ? wrongs == 0 : tally.wrongs[example->wrong] > 0);
    if (!good)
        fail_msg("%s, cut %u: %s", example->name, how, tally.first[0] ? tally.first : "nothing found");
    assert_int_equal(example->wrong == NOTHING, tally.first[0] == 0);
    reply_fini(&reply);
}

static void
test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(replies); i++) {
        char bytes[2048];
        int len = snprintf(bytes, sizeof(bytes), "%s%s", replies[i].head, replies[i].body);
        for (unsigned how = 0; how < SPLITS_COUNT; how++)
            check_example(&replies[i], slice_of(bytes, (size_t)len), how);
    }
}

/* A body as chunks of this many bytes each, and the last chunk. */
static size_t
put_chunks(char *at, const char *body, size_t size)
{
    char *start = at;
    for (size_t left = strlen(body), n; left; left -= n, body += n) {
        n = left < size ? left : size;
        at += sprintf(at, "%zx\r\n%.*s\r\n", n, (int)n, body);
    }
    return (size_t)(at + sprintf(at, "0\r\n\r\n") - start);
}

static void
test_streams(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 7, 64, 100000};
    for (size_t i = 0; i < countof(streams); i++) {
        for (size_t j = 0; j < countof(sizes); j++) {
            char bytes[16384];
            size_t head_len = (size_t)sprintf(bytes, "%s", EVENTS_HEAD CHUNKED);
            size_t len = head_len + put_chunks(bytes + head_len, streams[i].body, sizes[j]);
            for (unsigned how = 0; how < SPLITS_COUNT; how++)
                check_example(&streams[i], slice_of(bytes, len), how);
        }
    }
}

/* What follows a reply is not taken for a part of it. */
static void
test_next_reply_is_left(void **state)
{
    (void)state;
    static struct tally tally;
    struct reply reply = {0};
    const struct slice bytes = SLICE_LIT(JSON_HEAD "Content-Length: 117\r\n\r\n" MESSAGE(TEXTS) "HTTP/1.1 200");
    reply_begin(&reply, &tally, DIALECT_CHAT, false, ID);
    assert_int_equal(reply_bytes(&reply, bytes, 6), bytes.len - 12);
    assert_int_equal(reply.state, REPLY_DONE);
    assert_int_equal(tally.texts, 3);
    assert_int_equal(histogram_at(&tally.latency, 1), 1);
    reply_fini(&reply);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_next_reply_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
