/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_pass.c - Messages upstream to Messages client: unchanged, or mended and nothing
 * else.
 */
#include "tests/unit/providers/relay.h"

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                      \
    EVENT("message_start",                                                                         \
          ",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[],\"new\":1,"               \
          "\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}")
#define TEXT_START(n)                                                                              \
    EVENT("content_block_start",                                                                   \
          ",\"index\":" #n ",\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
#define TEXT(n, text)                                                                              \
    EVENT("content_block_delta",                                                                   \
          ",\"index\":" #n ",\"delta\":{\"type\":\"text_delta\",\"text\":\"" text "\",\"new\":2}")
#define CALL_START(n)                                                                              \
    EVENT("content_block_start",                                                                   \
          ",\"index\":" #n ",\"content_block\":{\"type\":\"tool_use\",\"id\":\"t" #n               \
          "\",\"name\":\"f\",\"input\":{},\"caller\":\"x\"}")
#define JSON(n, text)                                                                              \
    EVENT("content_block_delta",                                                                   \
          ",\"index\":" #n ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"" text    \
          "\"}")
#define STOP(n) EVENT("content_block_stop", ",\"index\":" #n)
#define FINISH(reason)                                                                             \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason                                 \
                           "\",\"new\":[3]},\"usage\":{\"output_tokens\":9}")
#define END EVENT("message_stop", "")

/* As Anthropic spells it: read without parsing. */
#define DELTA(n, text)                                                                             \
    EVENT("content_block_delta",                                                                   \
          ",\"index\":" #n ",\"delta\":{\"type\":\"text_delta\",\"text\":\"" text "\"}")

static struct relay
passing(void)
{
    return (struct relay){
        .upstream = &anthropic_dialect,
        .client = &anthropic_dialect,
        .options = {.stream = true,
                    .id = SLICE_LIT("abc"),
                    .model = SLICE_LIT("mine"),
                    .placeholder_signature = true,
                    .input_estimate = 77},
    };
}

static void
same(const char *stream)
{
    struct relay relay = passing();
    relay_check(&relay, stream, stream);
}

static void
becomes(const char *stream, const char *expected)
{
    struct relay relay = passing();
    relay_check(&relay, stream, expected);
}

static void
passes_bytes_unchanged(void **state)
{
    (void)state;
    same(START TEXT_START(0) EVENT("ping", "") TEXT(0, "\\ud83d") TEXT(0, "\\ude00") STOP(0)
             FINISH("end_turn") END);
    same(
        "event: message_start\r\ndata:{\"type\" : \"message_start\",\r\ndata: \"message\":{ } "
        "}\r\n\r\n"
        "event: content_block_start\r\ndata: {\"content_block\":{\"type\":\"mystery\"},\"index\":0,"
        "\"type\":\"content_block_start\"}   \r\n\r\n" STOP(0) FINISH("end_turn") END);
    same(START CALL_START(0) JSON(0, "") JSON(0, "{\\\"a\\\":1}") STOP(0) CALL_START(1) JSON(1, "")
             STOP(1) FINISH("tool_use") END);
    same(START EVENT("brand_new", ",\"x\":null") FINISH("compaction") END);
    same(START EVENT("error",
                     ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\",\"more\":1}"));
}

static void
swallows_what_is_not_for_clients(void **state)
{
    (void)state;
    becomes(START START EVENT("vertex_event", "") TEXT_START(0) TEXT(0, "a") STOP(0) STOP(0)
                FINISH("end_turn") "data: [DONE]\n\n" END "data: [DONE]\n\n" TEXT(0, "late"),
            START TEXT_START(0) TEXT(0, "a") STOP(0) FINISH("end_turn") END);
}

static void
mends_what_servers_forget(void **state)
{
    (void)state;
    /* event: lines */
    becomes(
        "data: {\"type\":\"message_start\",\"message\":{\"new\":1}}\n\nevent: wrong\ndata: "
        "{\"type\":\ndata: \"ping\"}\n\n",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"new\":1}}\n\n"
        "event: ping\ndata: {\"type\": \"ping\"}\n\n"
        "event: error\ndata: "
        "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"upstream closed the "
        "connection before the reply was complete\",\"code\":\"upstream_disconnected\"}}\n\n");
    /* data.type */
    becomes(START "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n" END,
            START "event: message_delta\ndata: "
                  "{\"delta\":{\"stop_reason\":\"end_turn\"},\"type\":\"message_delta\"}\n\n" END);
    /* a stop, a start, indexes */
    becomes(START TEXT_START(0) TEXT(0, "a") CALL_START(1) JSON(1, "{}") FINISH("tool_use") END,
            START TEXT_START(0) TEXT(0, "a") STOP(0) CALL_START(1) JSON(1, "{}") STOP(1)
                FINISH("tool_use") END);
    becomes(START TEXT(0, "a") STOP(0) FINISH("end_turn") END,
            START TEXT_START(0) TEXT(0, "a") STOP(0) FINISH("end_turn") END);
    becomes(START TEXT_START(3) TEXT(3, "a") STOP(3) CALL_START(7) JSON(7, "") STOP(7)
                FINISH("tool_use") END,
            START TEXT_START(0) TEXT(0, "a") STOP(0)
                EVENT("content_block_start",
                      ",\"index\":1,\"content_block\":{\"type\":"
                      "\"tool_use\",\"id\":\"t7\",\"name\":\"f\",\"input\":{},\"caller\":\"x\"}")
                    JSON(1, "") STOP(1) FINISH("tool_use") END);
    /* the finish, the terminator */
    becomes(START TEXT_START(0) TEXT(0, "a") STOP(0) END,
            START TEXT_START(0) TEXT(0, "a") STOP(0)
                EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\","
                                       "\"stop_sequence\":null},\"usage\":{\"input_tokens\":10,"
                                       "\"cache_creation_input_tokens\":0,"
                                       "\"cache_read_input_tokens\":5,\"output_tokens\":1}") END);
    becomes(START FINISH("end_turn"), START FINISH("end_turn") END);
    /* the start of the message */
    becomes(
        TEXT_START(0) TEXT(0, "a") STOP(0) FINISH("end_turn") END,
        EVENT(
            "message_start",
            ",\"message\":{\"id\":\"msg_abc\",\"type\":\"message\",\"role\":\"assistant\","
            "\"model\":"
            "\"mine\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
            "\"input_tokens\":77,"
            "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}")
            TEXT_START(0) TEXT(0, "a") STOP(0) FINISH("end_turn") END);
}

static void
keeps_the_stop_of_a_thought_until_it_is_signed(void **state)
{
    (void)state;
    const char *think =
        EVENT("content_block_start",
              ",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}");
    const char *sign =
        EVENT("content_block_delta",
              ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}");
    char stream[2048], expected[2048];
    (void)snprintf(stream, sizeof(stream), "%s%s%s%s%s", START, think, STOP(0), sign,
                   FINISH("end_turn") END);
    (void)snprintf(expected, sizeof(expected), "%s%s%s%s%s", START, think, sign, STOP(0),
                   FINISH("end_turn") END);
    becomes(stream, expected);
    (void)snprintf(stream, sizeof(stream), "%s%s%s", START, think,
                   STOP(0) TEXT_START(1) STOP(1) FINISH("end_turn") END);
    same(stream);
}

static void
corrects_the_finish(void **state)
{
    (void)state;
    becomes(START CALL_START(0) STOP(0) FINISH("end_turn") END,
            START CALL_START(0) STOP(0) FINISH("tool_use") END);
    becomes(START TEXT_START(0) STOP(0) FINISH("tool_use") END,
            START TEXT_START(0) STOP(0) FINISH("end_turn") END);
    same(START CALL_START(0) JSON(0, "{\\\"a") STOP(0) FINISH("max_tokens") END);
}

static void
refuses_truncated_calls(void **state)
{
    (void)state;
    struct relay relay = passing();
    const char *stream = START CALL_START(0) JSON(0, "{\\\"a") STOP(0) FINISH("tool_use") END;
    relay_stream(&relay, slice_from(stream), strlen(stream), 0);
    assert_int_equal(relay.error, -ERR_TOOL_CALL);
    assert_string_equal(relay.verdict, "truncated_arguments");
    relay_close(&relay);
}

static void
goes_on_after_an_early_start(void **state)
{
    (void)state;
    struct relay relay = passing();
    relay.early = true;
    relay_check(
        &relay, START TEXT_START(0) TEXT(0, "a") STOP(0) FINISH("end_turn") END,
        EVENT(
            "message_start",
            ",\"message\":{\"id\":\"msg_abc\",\"type\":\"message\",\"role\":\"assistant\","
            "\"model\":"
            "\"mine\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
            "\"input_tokens\":77,"
            "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}")
            TEXT_START(0) TEXT(0, "a") STOP(0)
                EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\","
                                       "\"new\":[3]},\"usage\":{\"output_tokens\":9,\"input_"
                                       "tokens\":10,\"cache_creation_input_tokens\":0,"
                                       "\"cache_read_input_tokens\":5}") END);
}

static void
splits_long_deltas(void **state)
{
    (void)state;
    static char text[200000], stream[300000], got[300000];
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        text[i] = "a\\nb\xc3\xa9\\u00e9"[i % 12];
    text[199992] = '\0';
    (void)snprintf(stream, sizeof(stream),
                   START TEXT_START(0) DELTA(0, "%s") STOP(0) FINISH("end_turn") END, text);
    struct relay relay = passing();
    relay_stream(&relay, slice_from(stream), strlen(stream), 0);
    assert_int_equal(relay.error, 0);
    sink_byte(&relay.out, '\0');
    size_t n = 0, longest = 0;
    char *line = strtok(relay.out.ptr, "\n");
    for (; line; line = strtok(NULL, "\n")) {
        longest = strlen(line) > longest ? strlen(line) : longest;
        char *at = strstr(line, "\"text_delta\",\"text\":\"");
        if (!at)
            continue;
        at += strlen("\"text_delta\",\"text\":\"");
        char *end = strstr(at, "\"}}");
        assert_non_null(end);
        memcpy(got + n, at, (size_t)(end - at));
        n += (size_t)(end - at);
    }
    got[n] = '\0';
    assert_string_equal(got, text);
    assert_true(longest <= 65536);
    relay_close(&relay);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_bytes_unchanged),
        cmocka_unit_test(swallows_what_is_not_for_clients),
        cmocka_unit_test(mends_what_servers_forget),
        cmocka_unit_test(keeps_the_stop_of_a_thought_until_it_is_signed),
        cmocka_unit_test(corrects_the_finish),
        cmocka_unit_test(refuses_truncated_calls),
        cmocka_unit_test(goes_on_after_an_early_start),
        cmocka_unit_test(splits_long_deltas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
