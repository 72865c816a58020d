/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_writer.c - canonical events as a Messages stream and as one message.
 */
#include "tests/unit/providers/messages.h"

static void
writes_text_and_usage(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START, .id = S("x"), .model = S("y")},
        OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "a\\n"),
        ADD(0, BLOCK_TEXT, "\\ud83d"),
        CLOSE(0, BLOCK_TEXT),
        {.kind = CANON_FINISH, .finish = FINISH_STOP},
        COUNTS(100, 30, 20, 9, 4),
        {.kind = CANON_END},
    };
    /* One by one: in one batch with the start, usage would stand in message_start. */
    struct writing at;
    open_writer(&at, true, true);
    assert_int_equal(give(&at, events, countof(events), 1), 0);
    sink_byte(&at.out, '\0');
    assert_string_equal(at.out.ptr,
                        START(5, 0) TEXT_START(0) TEXT(0, "a\\n") TEXT(0, "\\ud83d") STOP(0)
                            FINISH("end_turn", "null",
                                   "\"input_tokens\":50,\"cache_creation_input_tokens\":20,"
                                   "\"cache_read_input_tokens\":30,\"output_tokens\":9,\"output_"
                                   "tokens_details\":{\"thinking_tokens\":4}") END);
    close_writer(&at);
}

/* Given whole or piece by piece, usage that came with the start stands in message_start if it can.
 */
static void
starts_with_usage_if_it_is_known(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START}, COUNTS(8, U, U, 1, U), ENDS(FINISH_STOP)};
    struct writing at;
    open_writer(&at, true, true);
    assert_int_equal(give(&at, events, countof(events), 0), 0);
    sink_byte(&at.out, '\0');
    assert_string_equal(
        at.out.ptr,
        START(8, 1) FINISH(
            "end_turn", "null",
            "\"input_tokens\":8,"
            "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1")
            END);
    close_writer(&at);
}

static void
writes_calls_one_after_the_other(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},    OPEN_CALL(0, "a", "f"), ADD(0, BLOCK_CALL, "{\\\"x\\\":"),
        ADD(0, BLOCK_CALL, "1}"), OPEN_CALL(1, "b", "g"), ADD(1, BLOCK_CALL, "{}"),
        CLOSE(0, BLOCK_CALL),     CLOSE(1, BLOCK_CALL),   ENDS(FINISH_CALLS),
    };
    writes(events, countof(events), true,
           START(5, 0) CALL_START(0, "a", "f") JSON(0, "{\\\"x\\\":") JSON(0, "1}") STOP(0)
               CALL_START(1, "b", "g") JSON(1, "{}") STOP(1) FINISH("tool_use", "null", NO_USAGE)
                   END);
}

static void
untangles_interleaved_calls(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        OPEN_CALL(0, "a", "f"),
        OPEN_CALL(1, "b", "g"),
        OPEN_CALL(2, "c", "h"),
        ADD(1, BLOCK_CALL, "{\\\"y"),
        ADD(0, BLOCK_CALL, "{\\\"x\\\":1"),
        ADD(1, BLOCK_CALL, "\\\":2}"),
        ADD(0, BLOCK_CALL, "}"),
        CLOSE(1, BLOCK_CALL),
        CLOSE(0, BLOCK_CALL),
        CLOSE(2, BLOCK_CALL),
        OPEN_TEXT(3),
        ADD(3, BLOCK_TEXT, "t"),
        CLOSE(3, BLOCK_TEXT),
        ENDS(FINISH_CALLS),
    };
    writes(events, countof(events), true,
           START(5, 0) CALL_START(0, "a", "f") JSON(0, "{\\\"x\\\":1") JSON(0, "}") STOP(0)
               CALL_START(1, "b", "g") JSON(1, "{\\\"y\\\":2}") STOP(1) CALL_START(2, "c", "h")
                   JSON(2, "{}") STOP(2) TEXT_START(3) TEXT(3, "t") STOP(3)
                       FINISH("tool_use", "null", NO_USAGE) END);
}

/* A call that waited is not kept any longer than it must be. */
static void
lets_waiting_calls_go_at_once(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},        OPEN_CALL(0, "a", "f"), OPEN_CALL(1, "b", "g"),
        ADD(1, BLOCK_CALL, "{\\\"y"), CLOSE(0, BLOCK_CALL),   ADD(1, BLOCK_CALL, "\\\":2}"),
    };
    struct writing at;
    open_writer(&at, true, true);
    assert_int_equal(give(&at, events, countof(events), 1), 0);
    sink_byte(&at.out, '\0');
    assert_string_equal(at.out.ptr,
                        START(5, 0) CALL_START(0, "a", "f") JSON(0, "{}") STOP(0)
                            CALL_START(1, "b", "g") JSON(1, "{\\\"y") JSON(1, "\\\":2}"));
    close_writer(&at);
}

static void
closes_what_nobody_closed(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},  OPEN_TEXT(0),           ADD(0, BLOCK_TEXT, "t"),
        OPEN_CALL(1, "a", "f"), OPEN_CALL(2, "b", "g"), ADD(2, BLOCK_CALL, "{}"),
        ENDS(FINISH_CALLS),
    };
    writes(events, countof(events), true,
           START(5, 0) TEXT_START(0) TEXT(0, "t") STOP(0) CALL_START(1, "a", "f") JSON(1, "{}")
               STOP(1) CALL_START(2, "b", "g") JSON(2, "{}") STOP(2)
                   FINISH("tool_use", "null", NO_USAGE) END);
}

static void
signs_thoughts(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        {.kind = CANON_OPEN, .type = BLOCK_THINKING},
        ADD(0, BLOCK_THINKING, "hm"),
        CLOSE(0, BLOCK_THINKING),
        {.kind = CANON_OPEN, .type = BLOCK_THINKING, .block = 1},
        {.kind = CANON_DELTA,
         .type = BLOCK_THINKING,
         .block = 1,
         .signature = S("sig"),
         .origin = ORIGIN_ANTHROPIC},
        CLOSE(1, BLOCK_THINKING),
        {.kind = CANON_OPEN,
         .type = BLOCK_REDACTED,
         .block = 2,
         .data = S("QUJD"),
         .origin = ORIGIN_ANTHROPIC},
        CLOSE(2, BLOCK_REDACTED),
        {.kind = CANON_OPEN, .type = BLOCK_NATIVE, .block = 3},
        {.kind = CANON_NATIVE, .block = 3},
        CLOSE(3, BLOCK_NATIVE),
        {.kind = CANON_OPEN, .type = BLOCK_REFUSAL, .block = 4},
        ADD(4, BLOCK_REFUSAL, "no"),
        CLOSE(4, BLOCK_REFUSAL),
        ENDS(FINISH_FILTER),
    };
#define REST                                                                                       \
    SIGN(1, "sig")                                                                                 \
    STOP(1)                                                                                        \
    BLOCK(2, "\"type\":\"redacted_thinking\",\"data\":\"QUJD\"") STOP(2) TEXT_START(3)             \
        TEXT(3, "no") STOP(3) FINISH("refusal", "null", NO_USAGE) END
    writes(events, countof(events), true,
           START(5, 0) THINK_START(0) THINK(0, "hm") SIGN(0, "penstock.1.unsigned.") STOP(0)
               THINK_START(1) REST);
    writes(events, countof(events), false,
           START(5, 0) THINK_START(0) THINK(0, "hm") STOP(0) THINK_START(1) REST);
    gathers(events, countof(events),
            "{\"id\":\"msg_abc\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"my "
            "\\\"model\","
            "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"penstock.1."
            "unsigned.\"},"
            "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"sig\"},{\"type\":\"redacted_"
            "thinking\",\"data\":\"QUJD\"},"
            "{\"type\":\"text\",\"text\":\"no\"}],\"stop_reason\":\"refusal\",\"stop_sequence\":"
            "null,\"usage\":{" NO_USAGE "}}");
}

static void
gathers_one_message(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "a\\\""),
        ADD(0, BLOCK_TEXT, "b"),
        CLOSE(0, BLOCK_TEXT),
        OPEN_CALL(1, "i", "f"),
        ADD(1, BLOCK_CALL, "{\\\"x\\\":\\\"\\ud83d"),
        OPEN_CALL(2, "j", "g"),
        ADD(1, BLOCK_CALL, "\\ude00\\\"}"),
        OPEN_CALL(3, "k", "h"),
        ADD(3, BLOCK_CALL, "{\\\"cut"),
        CLOSE(1, BLOCK_CALL),
        {.kind = CANON_FINISH, .finish = FINISH_STOP_SEQUENCE, .stop_sequence = S("a\\\"b")},
        {.kind = CANON_END},
    };
    gathers(
        events, countof(events),
        "{\"id\":\"msg_abc\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"my "
        "\\\"model\","
        "\"content\":[{\"type\":\"text\",\"text\":\"a\\\"b\"},{\"type\":\"tool_use\",\"id\":\"i\","
        "\"name\":\"f\",\"input\":"
        "{\"x\":\"\xf0\x9f\x98\x80\"}},{\"type\":\"tool_use\",\"id\":\"j\",\"name\":\"g\","
        "\"input\":{}},"
        "{\"type\":\"tool_use\",\"id\":\"k\",\"name\":\"h\",\"input\":{\"_raw\":\"{\\\"cut\"}}],"
        "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"a\\\"b\",\"usage\":{" NO_USAGE "}}");
}

static void
wraps_free_form_input(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        {.kind = CANON_OPEN, .type = BLOCK_CALL, .id = S("i"), .name = S("f"), .custom = true},
        ADD(0, BLOCK_CALL, "a\\\""),
        ADD(0, BLOCK_CALL, "b"),
        CLOSE(0, BLOCK_CALL),
        ENDS(FINISH_CALLS),
    };
    writes(events, countof(events), true,
           START(5, 0) CALL_START(0, "i", "f") JSON(0, "{\\\"input\\\":\\\"") JSON(0, "a\\\\\\\"")
               JSON(0, "b") JSON(0, "\\\"}") STOP(0) FINISH("tool_use", "null", NO_USAGE) END);
    gathers(events, countof(events),
            "{\"id\":\"msg_abc\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"my "
            "\\\"model\","
            "\"content\":[{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{\"input\":"
            "\"a\\\"b\"}}],"
            "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{" NO_USAGE "}}");
}

static void
maps_every_finish(void **state)
{
    (void)state;
    static const char *const words[] = {[FINISH_NONE] = "end_turn",
                                        [FINISH_STOP] = "end_turn",
                                        [FINISH_STOP_SEQUENCE] = "stop_sequence",
                                        [FINISH_LENGTH] = "max_tokens",
                                        [FINISH_CONTEXT] = "model_context_window_exceeded",
                                        [FINISH_CALLS] = "tool_use",
                                        [FINISH_FILTER] = "refusal",
                                        [FINISH_PAUSE] = "pause_turn",
                                        [FINISH_OTHER] = "end_turn"};
    for (size_t i = 0; i < countof(words); i++) {
        const struct canon_event events[] = {{.kind = CANON_START}, ENDS((enum canon_finish)i)};
        char expected[256];
        (void)snprintf(expected, sizeof(expected), "\"stop_reason\":\"%s\"", words[i]);
        struct writing at;
        open_writer(&at, true, true);
        assert_int_equal(give(&at, events, countof(events), 0), 0);
        sink_byte(&at.out, '\0');
        assert_non_null(strstr(at.out.ptr, expected));
        close_writer(&at);
    }
}

static void
pings_and_fails_once(void **state)
{
    (void)state;
    struct writing at;
    struct canon_error error = canon_error_of(ERR_IDLE_TIMEOUT);
    error.retry_after_ms = 1500;
    open_writer(&at, true, true);
    anthropic_dialect.write_ping(at.writer, &at.frames);
    assert_int_equal(anthropic_dialect.write_start(at.writer, &at.frames), 0);
    anthropic_dialect.write_ping(at.writer, &at.frames);
    assert_int_equal(anthropic_dialect.write_error(at.writer, &error, &at.frames), 0);
    assert_int_equal(anthropic_dialect.write_error(at.writer, &error, &at.frames), 0);
    anthropic_dialect.write_ping(at.writer, &at.frames);
    take_frames(&at);
    sink_byte(&at.out, '\0');
    assert_string_equal(
        at.out.ptr,
        ": keep-alive\n\n" START(5, 0) "event: ping\ndata: {\"type\": \"ping\"}\n\n" EVENT(
            "error",
            ",\"error\":{\"type\":\"timeout_error\",\"message\":\"upstream fell silent in the "
            "middle of its reply\",\"code\":\"upstream_idle_timeout\",\"retry_after\":2}"));
    close_writer(&at);
}

static void
refuses_deltas_of_closed_blocks(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START}, OPEN_CALL(0, "a", "f"),  ADD(0, BLOCK_CALL, "{"),
        OPEN_TEXT(1),          ADD(0, BLOCK_CALL, "}"),
    };
    struct writing at;
    open_writer(&at, true, true);
    assert_int_equal(give(&at, events, countof(events), 1), -ERR_UPSTREAM_PROTOCOL);
    close_writer(&at);
    open_writer(&at, false, true);
    assert_int_equal(give(&at, events, 3, 1), 0);
    assert_int_equal(anthropic_dialect.write_whole(at.writer, &at.out), -ERR_UPSTREAM_PROTOCOL);
    close_writer(&at);
}

/* A thousand calls without arguments wait for one another; none is lost, and long arguments are cut
 * in pieces. */
static void
bears_many_and_long_calls(void **state)
{
    (void)state;
    enum { CALLS = 1000 };
    static struct canon_event events[CALLS + 3];
    static char ids[CALLS][8];
    int n = 0;
    events[n++] = (struct canon_event){.kind = CANON_START};
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "c%d", i);
        events[n++] = (struct canon_event){.kind = CANON_OPEN,
                                           .type = BLOCK_CALL,
                                           .block = (uint32_t)i,
                                           .id = slice_from(ids[i]),
                                           .name = S("f")};
    }
    events[n++] = (struct canon_event){.kind = CANON_FINISH, .finish = FINISH_CALLS};
    events[n++] = (struct canon_event){.kind = CANON_END};
    struct writing at;
    open_writer(&at, true, true);
    assert_int_equal(give(&at, events, n, 1), 0);
    size_t count = 0;
    sink_byte(&at.out, '\0');
    for (const char *p = strstr(at.out.ptr, "\"partial_json\":\"{}\""); p;
         p = strstr(p + 1, "\"partial_json\":\"{}\""))
        count++;
    assert_int_equal(count, CALLS);
    close_writer(&at);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_text_and_usage),
        cmocka_unit_test(starts_with_usage_if_it_is_known),
        cmocka_unit_test(writes_calls_one_after_the_other),
        cmocka_unit_test(untangles_interleaved_calls),
        cmocka_unit_test(lets_waiting_calls_go_at_once),
        cmocka_unit_test(closes_what_nobody_closed),
        cmocka_unit_test(signs_thoughts),
        cmocka_unit_test(gathers_one_message),
        cmocka_unit_test(wraps_free_form_input),
        cmocka_unit_test(maps_every_finish),
        cmocka_unit_test(pings_and_fails_once),
        cmocka_unit_test(refuses_deltas_of_closed_blocks),
        cmocka_unit_test(bears_many_and_long_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
