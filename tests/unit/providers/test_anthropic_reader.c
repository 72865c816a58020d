/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_reader.c - Messages streams and whole messages as canonical events.
 */
#include "tests/unit/providers/relay.h"

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                      \
    EVENT("message_start",                                                                         \
          ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"  \
          "\"m\","                                                                                 \
          "\"content\":[],\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,"           \
          "\"cache_creation_input_tokens\":2,\"output_tokens\":1}}")
#define START_LINES "START id=msg_1 model=m\nUSAGE in=17 read=5 write=2 out=1\n"
#define TEXT_START(n)                                                                              \
    EVENT("content_block_start",                                                                   \
          ",\"index\":" #n ",\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
#define TEXT(n, text)                                                                              \
    EVENT("content_block_delta",                                                                   \
          ",\"index\":" #n ",\"delta\":{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define CALL_START(n, id, name)                                                                    \
    EVENT("content_block_start",                                                                   \
          ",\"index\":" #n ",\"content_block\":{\"type\":\"tool_use\",\"id\":\"" id                \
          "\",\"name\":\"" name "\",\"input\":{}}")
#define JSON(n, text)                                                                              \
    EVENT("content_block_delta",                                                                   \
          ",\"index\":" #n ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"" text    \
          "\"}")
#define STOP(n) EVENT("content_block_stop", ",\"index\":" #n)
#define FINISH(reason, out)                                                                        \
    EVENT("message_delta",                                                                         \
          ",\"delta\":{\"stop_reason\":\"" reason "\",\"stop_sequence\":null},\"usage\":"          \
          "{\"output_tokens\":" #out "}")
#define END EVENT("message_stop", "")

#define DELTA_OF_NO_KIND                                                                           \
    EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"odd_delta\"}")

static struct relay
reading(void)
{
    return (struct relay){
        .upstream = &anthropic_dialect,
        .client = &anthropic_dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
}

static void
lines(const char *stream, const char *expected)
{
    struct relay relay = reading();
    relay_check_lines(&relay, stream, expected);
}

static void
flawed(const char *stream, enum canon_flaw flaw)
{
    struct relay relay = reading();
    relay_stream(&relay, slice_from(stream), strlen(stream), 0);
    assert_int_equal(relay.error, 0);
    assert_true(relay.flaws >> flaw & 1);
    relay_close(&relay);
}

static void
refused(const char *stream, int error)
{
    struct relay relay = reading();
    relay_stream(&relay, slice_from(stream), strlen(stream), 0);
    assert_int_equal(relay.error, -error);
    relay_close(&relay);
}

static void
reads_text_and_usage(void **state)
{
    (void)state;
    lines(START TEXT_START(0) EVENT("ping", "") TEXT(0, "Hel") TEXT(0, "lo \\u00e9") STOP(0)
              FINISH("end_turn", 9) END,
          START_LINES
          "OPEN 0 text\nDELTA 0 text text=Hel\nDELTA 0 text text=lo \\u00e9\nCLOSE 0 text\n"
          "USAGE in=17 read=5 write=2 out=9\nFINISH stop\nEND\n");
}

static void
reads_calls_with_and_without_arguments(void **state)
{
    (void)state;
    lines(START CALL_START(0, "t1", "f") JSON(0, "") JSON(0, "{\\\"a\\\":") JSON(0, "1}") STOP(0)
              CALL_START(1, "t2", "g") JSON(1, "") STOP(1) FINISH("tool_use", 3) END,
          START_LINES "OPEN 0 call id=t1 name=f\nDELTA 0 call text={\\\"a\\\":\nDELTA 0 call "
                      "text=1}\nCLOSE 0 call\n"
                      "OPEN 1 call id=t2 name=g\nCLOSE 1 call\nUSAGE in=17 read=5 write=2 "
                      "out=3\nFINISH calls\nEND\n");
}

static void
reads_input_given_in_the_start(void **state)
{
    (void)state;
    const char *start = EVENT("content_block_start",
                              ",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\","
                              "\"name\":\"f\",\"input\":{\"a\":\"x\"}}");
    char stream[2048];
    (void)snprintf(stream, sizeof(stream), "%s%s%s", START, start,
                   STOP(0) FINISH("tool_use", 3) END);
    lines(stream, START_LINES
          "OPEN 0 call id=t name=f\nDELTA 0 call text={\\\"a\\\":\\\"x\\\"}\nCLOSE 0 call\n"
          "USAGE in=17 read=5 write=2 out=3\nFINISH calls\nEND\n");
    /* Fragments replace it, however they are spelt: they would say it twice. */
    (void)snprintf(stream, sizeof(stream), "%s%s%s%s", START, start,
                   EVENT("content_block_delta",
                         ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"
                         "\"{}\"},\"index\":0"),
                   STOP(0) FINISH("tool_use", 3) END);
    lines(stream, START_LINES "OPEN 0 call id=t name=f\nDELTA 0 call text={}\nCLOSE 0 call\n"
                              "USAGE in=17 read=5 write=2 out=3\nFINISH calls\nEND\n");
    (void)snprintf(stream, sizeof(stream), "%s%s%s", START, start,
                   JSON(0, "{}") STOP(0) FINISH("tool_use", 3) END);
    lines(stream, START_LINES "OPEN 0 call id=t name=f\nDELTA 0 call text={}\nCLOSE 0 call\n"
                              "USAGE in=17 read=5 write=2 out=3\nFINISH calls\nEND\n");
}

static void
reads_thinking_and_late_signatures(void **state)
{
    (void)state;
    const char *think =
        EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"thinking\","
                                     "\"thinking\":\"\",\"signature\":\"\"}")
            EVENT("content_block_delta",
                  ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}");
    const char *sign =
        EVENT("content_block_delta",
              ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"sig\"}");
    const char *expected =
        START_LINES "OPEN 0 thinking\nDELTA 0 thinking text=hm\nDELTA 0 thinking signature=sig "
                    "origin=anthropic\n"
                    "CLOSE 0 thinking\nUSAGE in=17 read=5 write=2 out=3\nFINISH stop\nEND\n";
    char stream[2048];
    (void)snprintf(stream, sizeof(stream), "%s%s%s%s", START, think, sign,
                   STOP(0) FINISH("end_turn", 3) END);
    lines(stream, expected);
    (void)snprintf(stream, sizeof(stream), "%s%s%s%s%s", START, think, STOP(0), sign,
                   FINISH("end_turn", 3) END);
    lines(stream, expected);
}

#define WEB_CITATION                                                                               \
    "{\"type\":\"web_search_result_location\",\"cited_text\":\"q\",\"url\":\"https://x.test/"      \
    "a\",\"title\":\"T\","                                                                         \
    "\"encrypted_index\":\"E\"}"
#define SEARCH_CITATION                                                                            \
    "{\"type\":\"search_result_location\",\"cited_text\":\"s\",\"source\":\"handbook\",\"title\":" \
    "\"S\","                                                                                       \
    "\"search_result_index\":0,\"start_block_index\":0,\"end_block_index\":1}"
#define FILE_CITATION                                                                              \
    "{\"type\":\"char_location\",\"cited_text\":\"f\",\"document_index\":0,\"document_title\":"    \
    "\"facts.txt\","                                                                               \
    "\"start_char_index\":0,\"end_char_index\":1}"

static void
reads_native_blocks_and_citations(void **state)
{
    (void)state;
    lines(START EVENT("content_block_start",
                      ",\"index\":0,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s1\","
                      "\"name\":\"web_search\",\"input\":{}}") JSON(0, "{}") STOP(0) TEXT_START(1)
              EVENT("content_block_delta", ",\"index\":1,\"delta\":{\"type\":\"citations_delta\","
                                           "\"citation\":" WEB_CITATION "}") TEXT(1, "x")
                  EVENT("content_block_delta", ",\"index\":1,\"delta\":{\"type\":\"citations_"
                                               "delta\",\"citation\":" FILE_CITATION "}") STOP(1)
                      EVENT("content_block_start", ",\"index\":2,\"content_block\":{\"type\":"
                                                   "\"redacted_thinking\",\"data\":\"QUJD\"}")
                          STOP(2) FINISH("pause_turn", 3) END,
          START_LINES
          "OPEN 0 native id=s1 name=server_tool_use origin=anthropic\n"
          "NATIVE name=input_json_delta origin=anthropic\nCLOSE 0 native\nOPEN 1 text\n"
          "DELTA 1 text text=x\n"
          "CITATION 1 url=https://x.test/a title=T quote=q native=" WEB_CITATION " -1..-1\n"
          "CITATION 1 title=facts.txt quote=f native=" FILE_CITATION " -1..-1\nCLOSE 1 text\n"
          "OPEN 2 redacted data=QUJD origin=anthropic\nCLOSE 2 redacted\n"
          "USAGE in=17 read=5 write=2 out=3\nFINISH pause\nEND\n");
}

static void
takes_the_last_usage_and_one_finish(void **state)
{
    (void)state;
    const char *more = EVENT(
        "message_delta", ",\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"###\"},"
                         "\"usage\":{\"input_tokens\":100,\"output_tokens\":8,"
                         "\"output_tokens_details\":{\"thinking_tokens\":4}}");
    char stream[2048];
    (void)snprintf(
        stream, sizeof(stream), "%s%s%s%s", START,
        EVENT("message_delta", ",\"delta\":{\"stop_reason\":null},\"usage\":{\"output_tokens\":3}"),
        more, END);
    lines(stream, START_LINES
          "USAGE in=17 read=5 write=2 out=3\nUSAGE in=107 read=5 write=2 out=8 reasoning=4\n"
          "FINISH sequence=### sequence\nEND\n");
    (void)snprintf(stream, sizeof(stream), "%s%s%s%s", START, more, more, END);
    flawed(stream, FLAW_REPEATED_FINISH);
}

static void
repairs_what_is_plain(void **state)
{
    (void)state;
    const char *tail = "USAGE in=17 read=5 write=2 out=3\nFINISH stop\nEND\n";
    char expected[1024];
    /* a stop forgotten, a start forgotten, an index with a hole, an index that does not move */
    (void)snprintf(expected, sizeof(expected), "%s%s%s", START_LINES,
                   "OPEN 0 text\nDELTA 0 text text=a\nCLOSE 0 text\nOPEN 1 text\nDELTA 1 text "
                   "text=b\nCLOSE 1 text\n",
                   tail);
    lines(START TEXT_START(0) TEXT(0, "a") TEXT_START(1) TEXT(1, "b") FINISH("end_turn", 3) END,
          expected);
    lines(START TEXT(0, "a") STOP(0) TEXT(1, "b") STOP(1) FINISH("end_turn", 3) END, expected);
    lines(START TEXT_START(2) TEXT(2, "a") STOP(2) TEXT_START(5) TEXT(5, "b") STOP(5)
              FINISH("end_turn", 3) END,
          expected);
    lines(START TEXT_START(0) TEXT(0, "a") STOP(0) TEXT_START(0) TEXT(0, "b") STOP(0)
              FINISH("end_turn", 3) END,
          expected);
    flawed(START TEXT_START(0) TEXT(0, "a") FINISH("end_turn", 3) END, FLAW_BLOCK_ORDER);
    flawed(START TEXT_START(1) TEXT(1, "a") STOP(1) FINISH("end_turn", 3) END, FLAW_BLOCK_ORDER);
    flawed(START TEXT_START(0) STOP(0) STOP(0) FINISH("end_turn", 3) END, FLAW_BLOCK_ORDER);
    flawed(START START FINISH("end_turn", 3) END, FLAW_REPEATED_START);
    flawed(START TEXT_START(0) STOP(0) END, FLAW_NO_FINISH);
    flawed(START FINISH("end_turn", 3), FLAW_NO_TERMINATOR);
    flawed(START FINISH("end_turn", 3) END TEXT(0, "late"), FLAW_AFTER_END);
    flawed(START FINISH("eaten_by_bear", 3) END, FLAW_UNKNOWN_FINISH);
    flawed(START EVENT("new_thing", "") FINISH("end_turn", 3) END, FLAW_UNKNOWN_EVENT);
    flawed(START TEXT_START(0) DELTA_OF_NO_KIND STOP(0) FINISH("end_turn", 3) END,
           FLAW_UNKNOWN_EVENT);
    lines(TEXT_START(0) TEXT(0, "a") STOP(0) FINISH("end_turn", 3) END,
          "START\nOPEN 0 text\nDELTA 0 text text=a\nCLOSE 0 text\nUSAGE out=3\nFINISH stop\nEND\n");
}

static void
refuses_what_is_not(void **state)
{
    (void)state;
    refused("data: {\"type\":\"message_start\"\n\n", ERR_UPSTREAM_PROTOCOL);
    refused("data: 17\n\n", ERR_UPSTREAM_PROTOCOL);
    refused(EVENT("message_start", ",\"message\":null"), ERR_UPSTREAM_PROTOCOL);
    refused(START TEXT_START(0) START, ERR_UPSTREAM_PROTOCOL);
    refused(START TEXT_START(0) JSON(0, "{}"), ERR_UPSTREAM_PROTOCOL);
    refused(START JSON(0, "{}"), ERR_UPSTREAM_PROTOCOL);
    refused(START TEXT_START(0) STOP(0) TEXT(0, "late"), ERR_UPSTREAM_PROTOCOL);
    refused(START FINISH("end_turn", 1) TEXT_START(0), ERR_UPSTREAM_PROTOCOL);
    refused(START CALL_START(0, "t", "f") JSON(0, "{\\\"a\\\"") STOP(0) FINISH("tool_use", 1),
            ERR_TOOL_CALL);
    refused(START CALL_START(0, "t", "f") STOP(0) CALL_START(1, "t", "f"), ERR_TOOL_CALL);
}

static void
reads_errors_of_every_form(void **state)
{
    (void)state;
    lines("event: error\ndata: "
          "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"
          "}\n\n",
          "ERROR overloaded: Overloaded\n");
    lines("data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}\n\n",
          "ERROR rate_limit: slow down\n");
    lines("event: error\ndata: {\"error\":\"boom\"}\n\n", "ERROR upstream: boom\n");
    lines("event: error\ndata: {\"error\":{\"code\":503,\"message\":\"busy\"}}\n\n",
          "ERROR overloaded: busy\n");
    lines("event: error\ndata: \"plain\"\n\n", "ERROR upstream: plain\n");
    lines(
        "event: error\ndata: "
        "[{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_EXHAUSTED\"}}]\n\n",
        "ERROR rate_limit: quota\n");
    lines(START TEXT_START(0) TEXT(0, "a"), START_LINES
          "OPEN 0 text\nDELTA 0 text text=a\n"
          "ERROR upstream: upstream closed the connection before the reply was complete\n");
}

static void
ignores_names_of_the_event_line(void **state)
{
    (void)state;
    lines("data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"b\"}}\n\n"
          "event: content_block_stop\ndata: "
          "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
          "event: message_stop\ndata: {}\n\n",
          "START id=a model=b\nFINISH stop\nEND\n");
    lines(
        START
        "event: vertex_event\ndata: {\"type\":\"vertex_event\",\"x\":1}\n\ndata: [DONE]\n\n" FINISH(
            "end_turn", 3) END,
        START_LINES "USAGE in=17 read=5 write=2 out=3\nFINISH stop\nEND\n");
}

/* One delta after the start of a block, spelt as Anthropic does and with a space that the short way
 * does not know. */
static void
one_delta(const char *block, const char *delta, const char *word, const char *member,
          const char *text, bool spaced, struct relay *relay)
{
    char stream[4096];
    const char *form = "event: content_block_start\ndata: "
                       "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":%s}\n\n"
                       "event: content_block_delta\ndata: "
                       "{\"type\":%s\"content_block_delta\",\"index\":%s,\"delta\":"
                       "{\"type\":\"%s\",\"%s\":\"%s\"}}\n\n";
    (void)snprintf(stream, sizeof(stream), form, block, spaced ? " " : "", delta, word, member,
                   text);
    *relay = reading();
    relay_open(relay);
    relay->error = relay_run(relay, SLICE_LIT(START));
    if (relay->error == 0)
        relay->error = relay_run(relay, slice_from(stream));
    sink_byte(&relay->lines, '\0');
}

static void
reads_plain_deltas_alike_without_parsing(void **state)
{
    (void)state;
    static const char *const blocks[] = {"{\"type\":\"text\"}", "{\"type\":\"thinking\"}",
                                         "{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"n\"}",
                                         "{\"type\":\"other\"}"};
    static const char *const words[][2] = {{"text_delta", "text"},
                                           {"thinking_delta", "thinking"},
                                           {"input_json_delta", "partial_json"},
                                           {"signature_delta", "signature"},
                                           {"text_delta", "thinking"}};
    static const char *const indexes[] = {"0", "1", "00", "-1", "0.0", "\"0\"", "1234567890123",
                                          ""};
    static const char *const texts[] = {"",
                                        "a",
                                        "\\n\\\\",
                                        "\\\"",
                                        "\\\\\\\"x",
                                        "\\u00e9\\ud83d",
                                        "\\x",
                                        "\\",
                                        "\\u12",
                                        "\xc3\xa9",
                                        "\xff",
                                        "\xc3",
                                        "a\tb",
                                        "b\",\"text\":\"z",
                                        "b\",\"type\":\"z",
                                        "\"}",
                                        "b\"}}",
                                        "\"},{\"a\":\"",
                                        "x\",\"y\":\"z"};
    for (size_t b = 0; b < countof(blocks); b++)
        for (size_t w = 0; w < countof(words); w++)
            for (size_t i = 0; i < countof(indexes); i++)
                for (size_t t = 0; t < countof(texts); t++) {
                    struct relay fast, slow;
                    one_delta(blocks[b], indexes[i], words[w][0], words[w][1], texts[t], false,
                              &fast);
                    one_delta(blocks[b], indexes[i], words[w][0], words[w][1], texts[t], true,
                              &slow);
                    assert_int_equal(fast.error, slow.error);
                    assert_int_equal(fast.flaws, slow.flaws);
                    assert_string_equal(fast.lines.ptr, slow.lines.ptr);
                    relay_close(&fast);
                    relay_close(&slow);
                }
}

/* No parsing shows in the memory that was taken: room for the events themselves, and nothing else.
 */
static void
parses_no_plain_delta(void **state)
{
    (void)state;
    struct relay relay = reading();
    relay_open(&relay);
    assert_int_equal(relay_run(&relay, SLICE_LIT(START TEXT_START(0))), 0);
    int error = anthropic_dialect.read_event(
        relay.reader, SLICE_LIT("content_block_delta"),
        SLICE_LIT("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_"
                  "delta\",\"text\":\"a\\\"\"}    }"),
        &relay.events);
    assert_int_equal(error, 0);
    assert_int_equal(relay.events.count, 1);
    assert_true(slice_is(relay.events.at[0].text, "a\\\""));
    assert_true(relay.scratch.used <= 4 * sizeof(struct canon_event) + 16);
    relay_close(&relay);
}

static void
body_lines(const char *body, const char *expected, int error)
{
    struct relay relay = reading();
    relay_open(&relay);
    int got = anthropic_dialect.read_body(relay.reader, slice_from(body), &relay.events);
    assert_int_equal(got, error);
    if (error == 0) {
        relay_note(&relay);
        sink_byte(&relay.lines, '\0');
        assert_string_equal(sink_slice(&relay.lines).ptr, expected);
        assert_int_equal(canon_guard_check(&relay.guard, &relay.events), 0);
    }
    relay_close(&relay);
}

static void
reads_whole_messages(void **state)
{
    (void)state;
    body_lines("{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"m\",\"content\":[{\"type\":"
               "\"thinking\",\"thinking\":\"hm\","
               "\"signature\":\"s\"},{\"type\":\"text\",\"text\":\"a\\nb\"},{\"type\":\"tool_use\","
               "\"id\":\"t\",\"name\":\"f\","
               "\"input\":{\"q\":\"x\\\"y\"}},{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\","
               "\"input\":{}},"
               "{\"type\":\"fallback\"}],\"stop_reason\":\"tool_use\",\"stop_sequence\":null,"
               "\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
               "START id=msg_1 model=m\nOPEN 0 thinking\nDELTA 0 thinking text=hm\nDELTA 0 "
               "thinking signature=s origin=anthropic\n"
               "CLOSE 0 thinking\nOPEN 1 text\nDELTA 1 text text=a\\nb\nCLOSE 1 text\nOPEN 2 call "
               "id=t name=f\n"
               "DELTA 2 call text={\\\"q\\\":\\\"x\\\\\\\"y\\\"}\nCLOSE 2 call\nOPEN 3 call id=u "
               "name=g\nCLOSE 3 call\n"
               "OPEN 4 native name=fallback origin=anthropic\nCLOSE 4 native\nUSAGE in=3 "
               "out=4\nFINISH calls\nEND\n",
               0);
    body_lines("{\"content\":[{\"type\":\"text\",\"text\":\"x\",\"citations\":[" WEB_CITATION
               "," SEARCH_CITATION "]},{\"type\":\"text\",\"text\":\"y\",\"citations\":null},"
               "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s1\"}],\"stop_reason\":"
               "\"end_turn\"}",
               "START\nOPEN 0 text\nDELTA 0 text text=x\n"
               "CITATION 0 url=https://x.test/a title=T quote=q native=" WEB_CITATION " -1..-1\n"
               "CITATION 0 title=S quote=s native=" SEARCH_CITATION " -1..-1\nCLOSE 0 text\n"
               "OPEN 1 text\nDELTA 1 text text=y\nCLOSE 1 text\n"
               "OPEN 2 native name=web_search_tool_result origin=anthropic\nCLOSE 2 native\nFINISH "
               "stop\nEND\n",
               0);
    /* the tool that stands for the form of an answer is the answer, unless others are called
     * besides */
#define ANSWER                                                                                     \
    "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"penstock_json_answer\",\"input\":{\"a\":1}}"
    body_lines(
        "{\"content\":[" ANSWER "],\"stop_reason\":\"tool_use\"}",
        "START\nOPEN 0 text\nDELTA 0 text text={\\\"a\\\":1}\nCLOSE 0 text\nFINISH stop\nEND\n", 0);
    body_lines("{\"content\":[" ANSWER ",{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\","
               "\"input\":{}}],\"stop_reason\":\"tool_use\"}",
               "START\nOPEN 0 text\nDELTA 0 text text={\\\"a\\\":1}\nCLOSE 0 text\nOPEN 1 call "
               "id=u name=g\n"
               "CLOSE 1 call\nFINISH calls\nEND\n",
               0);
    body_lines(
        "{\"content\":[],\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\"}}",
        "START\nFINISH filter\nNATIVE name=stop_details origin=anthropic\nEND\n", 0);
    body_lines("{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"oops\"}}",
               "ERROR upstream: oops\n", 0);
    body_lines("{\"content\":\"no list\"}", NULL, -ERR_UPSTREAM_PROTOCOL);
    body_lines("{\"content\":[7]}", NULL, -ERR_UPSTREAM_PROTOCOL);
    body_lines("[]", NULL, -ERR_UPSTREAM_PROTOCOL);
    body_lines("<html>", NULL, -ERR_UPSTREAM_PROTOCOL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_text_and_usage),
        cmocka_unit_test(reads_calls_with_and_without_arguments),
        cmocka_unit_test(reads_input_given_in_the_start),
        cmocka_unit_test(reads_thinking_and_late_signatures),
        cmocka_unit_test(reads_native_blocks_and_citations),
        cmocka_unit_test(takes_the_last_usage_and_one_finish),
        cmocka_unit_test(repairs_what_is_plain),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(reads_errors_of_every_form),
        cmocka_unit_test(ignores_names_of_the_event_line),
        cmocka_unit_test(reads_plain_deltas_alike_without_parsing),
        cmocka_unit_test(parses_no_plain_delta),
        cmocka_unit_test(reads_whole_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
