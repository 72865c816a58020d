/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_reader.c - events and bodies of the Responses API as canonical events.
 *
 * Each stream runs whole, byte by byte and at seeded random splits, and must say the same.
 */
#include "tests/unit/providers/relay.h"

#define CREATED                                                                                    \
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\","   \
    "\"model\":\"m1\",\"status\":\"in_progress\",\"output\":[]}}\n\n"
#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"," rest "}\n\n"
#define DONE(status, rest)                                                                         \
    EVENT("response." status, "\"response\":{\"status\":\"" status "\"" rest "}")
#define START "START id=r1 model=m1\n"

static void
reads(const char *bytes, const char *lines)
{
    struct relay relay = {
        .upstream = &openai_responses_dialect,
        .client = &openai_chat_dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_check_lines(&relay, bytes, lines);
}

/* A body gives the events of a stream. */
static void
reads_body(const char *body, const char *lines)
{
    struct relay relay = {
        .upstream = &openai_responses_dialect,
        .client = &openai_chat_dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_open(&relay);
    assert_int_equal(relay.upstream->read_body(relay.reader, slice_from(body), &relay.events), 0);
    relay_note(&relay);
    sink_byte(&relay.lines, '\0');
    assert_string_equal(sink_slice(&relay.lines).ptr, lines);
    relay_close(&relay);
}

static void
text(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.in_progress", "\"response\":{}") EVENT(
              "response.output_item.added",
              "\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"msg_1\",\"content\":[]}")
              EVENT("response.content_part.added",
                    "\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\","
                    "\"text\":\"\"}")
                  EVENT("response.output_text.delta",
                        "\"output_index\":0,\"content_index\":0,\"delta\":\"Hel\"")
                      EVENT("response.output_text.delta",
                            "\"output_index\":0,\"content_index\":0,\"delta\":\"lo\"")
                          EVENT("response.output_text.done",
                                "\"output_index\":0,\"content_index\":0,\"text\":\"Hello\"")
                              EVENT("response.output_item.done",
                                    "\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":"
                                    "[{\"type\":\"output_text\",\"text\":\"Hello\"}]}")
                                  DONE("completed",
                                       ",\"usage\":{\"input_tokens\":9,\"input_tokens_details\":"
                                       "{\"cached_tokens\":2},\"output_tokens\":5,"
                                       "\"output_tokens_details\":{\"reasoning_tokens\":1},"
                                       "\"total_tokens\":14}"),
          START "OPEN 0 text\n"
                "DELTA 0 text text=Hel\n"
                "DELTA 0 text text=lo\n"
                "CLOSE 0 text\n"
                "USAGE in=9 read=2 out=5 reasoning=1\n"
                "FINISH stop\n"
                "END\n");
}

/* P6, P15: arguments only in the end, items named otherwise each time. */
static void
late_arguments(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.output_item.added",
                        "\"output_index\":0,\"item\":{\"type\":\"function_call\",\"id\":\"fc_a\","
                        "\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"\"}")
              EVENT("response.output_item.added",
                    "\"output_index\":1,\"item\":{\"type\":\"function_call\",\"id\":\"fc_b\","
                    "\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"\"}")
                  EVENT("response.function_call_arguments.delta",
                        "\"output_index\":1,\"item_id\":\"other1\",\"delta\":\"{\\\"b\\\":\"")
                      EVENT("response.function_call_arguments.done",
                            "\"output_index\":0,\"item_id\":\"other2\",\"arguments\":\"{}\"")
                          EVENT("response.output_item.done",
                                "\"output_index\":1,\"item\":{\"type\":\"function_call\",\"id\":"
                                "\"other3\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":"
                                "\"{\\\"b\\\":2}\"}") DONE("completed", ""),
          START "OPEN 0 call id=c1 name=f\n"
                "OPEN 1 call id=c2 name=g\n"
                "DELTA 1 call text={\\\"b\\\":\n"
                "DELTA 0 call text={}\n"
                "DELTA 1 call text=2}\n"
                "CLOSE 1 call\n"
                "CLOSE 0 call\n"
                "FINISH calls\n"
                "END\n");
}

/* Calls that are told in output_item.done only, and without any item event before. */
static void
calls_in_done_only(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.function_call_arguments.delta",
                        "\"output_index\":0,\"delta\":\"{\\\"a\\\"\"")
              EVENT("response.output_item.done",
                    "\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\","
                    "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}")
                  EVENT("response.output_item.done",
                        "\"output_index\":1,\"item\":{\"type\":\"custom_tool_call\",\"call_id\":"
                        "\"c2\",\"name\":\"sh\",\"input\":\"ls\"}") DONE("completed", ""),
          START "OPEN 0 call id=c1 name=f\n"
                "DELTA 0 call text={\\\"a\\\":1}\n"
                "CLOSE 0 call\n"
                "OPEN 1 call id=c2 name=sh\n"
                "DELTA 1 call text=ls\n"
                "CLOSE 1 call\n"
                "FINISH calls\n"
                "END\n");
}

/* Nothing but the terminal event says anything. */
static void
all_in_completed(void **state)
{
    (void)state;
    reads(CREATED DONE(
              "completed",
              ",\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\","
              "\"text\":\"a\"},{\"type\":\"summary_text\",\"text\":\"b\"}],"
              "\"encrypted_content\":\"S\"},{\"type\":\"message\",\"content\":[{\"type\":"
              "\"output_text\",\"text\":\"x\"},{\"type\":\"refusal\",\"refusal\":\"no\"}]}]"),
          START "OPEN 0 thinking\n"
                "DELTA 0 thinking text=a\n"
                "DELTA 0 thinking text=\\n\\n\n"
                "DELTA 0 thinking text=b\n"
                "DELTA 0 thinking signature=S origin=responses\n"
                "CLOSE 0 thinking\n"
                "OPEN 1 text\n"
                "DELTA 1 text text=x\n"
                "CLOSE 1 text\n"
                "OPEN 2 refusal\n"
                "DELTA 2 refusal text=no\n"
                "CLOSE 2 refusal\n"
                "FINISH stop\n"
                "END\n");
}

/* P25, P35: state without text is kept, and it is the one of the end. */
static void
state_only(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.output_item.added",
                        "\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"summary\":[],"
                        "\"encrypted_content\":\"part\"}")
              EVENT("response.output_item.done",
                    "\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"summary\":[],"
                    "\"encrypted_content\":\"whole\"}")
                  DONE("completed",
                       ",\"output\":[{\"type\":\"reasoning\",\"encrypted_content\":\"again\"}]"),
          START "OPEN 0 thinking\n"
                "DELTA 0 thinking signature=whole origin=responses\n"
                "CLOSE 0 thinking\n"
                "FINISH stop\n"
                "END\n");
}

/* A reasoning item that says nothing at all is nothing. The content of one that has a summary is
 * not told twice. */
static void
thoughts(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.output_item.done",
                        "\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"summary\":[]}")
              EVENT("response.reasoning_text.delta",
                    "\"output_index\":1,\"content_index\":0,\"delta\":\"long\"")
                  EVENT("response.output_item.done",
                        "\"output_index\":1,\"item\":{\"type\":\"reasoning\",\"content\":[{"
                        "\"type\":\"reasoning_text\",\"text\":\"longer\"}],\"summary\":[{\"type\":"
                        "\"summary_text\",\"text\":\"short\"}]}") DONE("completed", ""),
          START "OPEN 0 thinking\n"
                "DELTA 0 thinking text=long\n"
                "DELTA 0 thinking text=er\n"
                "CLOSE 0 thinking\n"
                "FINISH stop\n"
                "END\n");
}

/* The rest is found however both are escaped; a text that says something else adds nothing. */
static void
rests(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.output_text.delta",
                        "\"output_index\":0,\"content_index\":0,\"delta\":\"\\ud83d\"")
              EVENT("response.output_text.delta",
                    "\"output_index\":0,\"content_index\":0,\"delta\":\"\\ude00\\u00e9\\n\"")
                  EVENT("response.output_text.done",
                        "\"output_index\":0,\"content_index\":0,\"text\":\"😀é\\u000a!\"")
                      EVENT("response.output_text.delta",
                            "\"output_index\":0,\"content_index\":1,\"delta\":\"abc\"")
                          EVENT("response.output_text.done",
                                "\"output_index\":0,\"content_index\":1,\"text\":\"abX and more\"")
                              DONE("completed", ""),
          START "OPEN 0 text\n"
                "DELTA 0 text text=\\ud83d\n"
                "DELTA 0 text text=\\ude00\\u00e9\\n\n"
                "DELTA 0 text text=!\n"
                "CLOSE 0 text\n"
                "OPEN 1 text\n"
                "DELTA 1 text text=abc\n"
                "CLOSE 1 text\n"
                "FINISH stop\n"
                "END\n");
}

static void
annotations(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.output_text.delta",
                        "\"output_index\":0,\"content_index\":0,\"delta\":\"see\"")
              EVENT("response.output_text.annotation.added",
                    "\"output_index\":0,\"content_index\":0,\"annotation_index\":0,\"annotation\":{"
                    "\"type\":\"url_citation\",\"url\":\"u\",\"title\":\"t\",\"start_index\":0,"
                    "\"end_index\":3}")
                  EVENT("response.content_part.done",
                        "\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\","
                        "\"text\":\"see\",\"annotations\":[{\"type\":\"url_citation\",\"url\":"
                        "\"u\"},{\"type\":\"file_citation\",\"filename\":\"f\",\"index\":1}]}")
                      DONE("completed", ""),
          START "OPEN 0 text\n"
                "DELTA 0 text text=see\n"
                "CITATION 0 url=u title=t native={\"type\":\"url_citation\",\"url\":"
                "\"u\",\"title\":\"t\",\"start_index\":0,\"end_index\":3} 0..3\n"
                "CITATION 0 title=f native={\"type\":\"file_citation\",\"filename\":\"f\","
                "\"index\":1} -1..-1\n"
                "CLOSE 0 text\n"
                "FINISH stop\n"
                "END\n");
}

static void
images_and_hosted(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.output_item.added",
                        "\"output_index\":0,\"item\":{\"type\":\"web_search_call\",\"id\":\"ws\"}")
              EVENT("response.web_search_call.searching", "\"output_index\":0")
                  EVENT("response.output_item.done",
                        "\"output_index\":0,\"item\":{\"type\":\"web_search_call\",\"id\":\"ws\"}")
                      EVENT("response.image_generation_call.partial_image",
                            "\"output_index\":1,\"partial_image_b64\":\"AA\"")
                          EVENT("response.output_item.done",
                                "\"output_index\":1,\"item\":{\"type\":\"image_generation_call\","
                                "\"output_format\":\"jpeg\",\"result\":\"QUJD\"}")
                              DONE("completed", ""),
          START "NATIVE name=web_search_call origin=responses\n"
                "OPEN 0 image name=image/jpeg\n"
                "DELTA 0 image data=QUJD\n"
                "CLOSE 0 image\n"
                "FINISH stop\n"
                "END\n");
}

static void
logprobs(void **state)
{
    (void)state;
    reads(CREATED EVENT("response.output_text.delta",
                        "\"output_index\":0,\"content_index\":0,\"delta\":\"A\",\"logprobs\":[{"
                        "\"token\":\"A\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"B\","
                        "\"logprob\":-1e0}]}]") DONE("completed", ""),
          START "OPEN 0 text\n"
                "DELTA 0 text text=A [A -0.5 (B -1e0)]\n"
                "CLOSE 0 text\n"
                "FINISH stop\n"
                "END\n");
}

static void
incomplete(void **state)
{
    (void)state;
    reads(CREATED DONE("incomplete", ",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"),
          START "FINISH length\nEND\n");
    reads(CREATED DONE("incomplete", ",\"incomplete_details\":{\"reason\":\"content_filter\"}"),
          START "FINISH filter\nEND\n");
    reads(CREATED DONE("incomplete", ",\"incomplete_details\":{\"reason\":\"new\"}"),
          START "FINISH length\nEND\n");
    /* Some servers put it into response.completed. */
    reads(CREATED EVENT("response.completed", "\"response\":{\"status\":\"incomplete\"}"),
          START "FINISH length\nEND\n");
}

/* P65 to P68, P72: each failure once, with its kind; no end without a terminal event. */
static void
failures(void **state)
{
    (void)state;
    reads(CREATED EVENT("error", "\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"")
              DONE("failed", ",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}"),
          START "ERROR rate_limit: slow\n");
    reads(CREATED EVENT("error", "\"error\":{\"type\":\"insufficient_quota\",\"code\":"
                                 "\"insufficient_quota\",\"message\":\"pay\"}"),
          START "ERROR billing: pay\n");
    reads(CREATED DONE("failed", ",\"error\":{\"code\":\"invalid_prompt\",\"message\":\"bad\"}"),
          START "ERROR invalid: bad\n");
    reads(CREATED DONE("failed", ",\"error\":null"),
          START "ERROR upstream: the upstream's response failed\n");
    reads(CREATED DONE("cancelled", ""),
          START "ERROR cancelled: the upstream cancelled its response\n");
    reads("data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n",
          "ERROR upstream: boom\n");
    reads(CREATED "data: [DONE]\n\n",
          START "ERROR upstream: upstream closed the connection before the reply was complete\n");
}

/* P71: what OpenRouter leaves out, and what it adds; unknown events; padding. */
static void
accents(void **state)
{
    (void)state;
    reads("data: {\"type\":\"keepalive\"}\n\n"
          "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\",\"model\":\"m1\"}}\n\n"
          "event: response.new_thing\ndata: {\"type\":\"response.new_thing\"}\n\n"
          "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,"
          "\"delta\":\"a\",\"obfuscation\":\"xx\",\"sequence_number\":3}\n\n"
          "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,"
          "\"delta\":\"\\\"b\",\"obfuscation\":\"y\",\"sequence_number\":14}\n\n"
          "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":1,"
          "\"delta\":\"c\",\"obfuscation\":\"y\",\"sequence_number\":15}\n\n"
          "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n"
          "data: [DONE]\n\n",
          START "OPEN 0 text\n"
                "DELTA 0 text text=a\n"
                "DELTA 0 text text=\\\"b\n"
                "CLOSE 0 text\n"
                "OPEN 1 text\n"
                "DELTA 1 text text=c\n"
                "CLOSE 1 text\n"
                "FINISH stop\n"
                "END\n");
}

/* An index that is given twice is another item, and the final output is not believed then. */
static void
repeated_index(void **state)
{
    (void)state;
    reads(
        CREATED EVENT("response.output_item.added",
                      "\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\","
                      "\"name\":\"f\"}")
            EVENT("response.output_item.done",
                  "\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\","
                  "\"name\":\"f\",\"arguments\":\"{}\"}")
                EVENT("response.output_item.added",
                      "\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c2\","
                      "\"name\":\"g\"}") EVENT("response.function_call_arguments.delta",
                                               "\"output_index\":0,\"delta\":\"{}\"")
                    DONE("completed",
                         ",\"output\":[{\"type\":\"function_call\",\"call_id\":\"c1\","
                         "\"name\":\"f\",\"arguments\":\"{}\"},{\"type\":\"function_call\","
                         "\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"{}\"}]"),
        START "OPEN 0 call id=c1 name=f\n"
              "DELTA 0 call text={}\n"
              "CLOSE 0 call\n"
              "OPEN 1 call id=c2 name=g\n"
              "DELTA 1 call text={}\n"
              "CLOSE 1 call\n"
              "FINISH calls\n"
              "END\n");
}

static void
bodies(void **state)
{
    (void)state;
    reads_body("{\"id\":\"r1\",\"model\":\"m1\",\"status\":\"completed\",\"error\":null,\"output\":"
               "[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"hi\"}]},"
               "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"\"}],"
               "\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
               START "OPEN 0 text\n"
                     "DELTA 0 text text=hi\n"
                     "CLOSE 0 text\n"
                     "OPEN 1 call id=c name=f\n"
                     "CLOSE 1 call\n"
                     "USAGE in=1 out=2\n"
                     "FINISH calls\n"
                     "END\n");
    reads_body("{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"oh\"},"
               "\"output\":[]}",
               "ERROR upstream: oh\n");
    reads_body("{\"id\":\"r1\",\"model\":\"m1\",\"status\":\"incomplete\",\"incomplete_details\":{"
               "\"reason\":\"max_output_tokens\"},\"output\":[]}",
               START "FINISH length\nEND\n");
    reads_body("{\"status\":\"queued\",\"output\":[]}",
               "ERROR invalid: the upstream answers in the background, and its answer cannot be "
               "asked for here; leave `background` out\n");
}

/* Calls without names and broken JSON are refused, never guessed. */
static void
refusals(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int error;
    } cases[] = {
        {CREATED EVENT(
             "response.output_item.done",
             "\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\"}"),
         -ERR_TOOL_CALL},
        {CREATED EVENT("response.output_item.done",
                       "\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\","
                       "\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}") DONE("completed", ""),
         -ERR_TOOL_CALL},
        {CREATED "data: {\"type\":\n\n", -ERR_UPSTREAM_PROTOCOL},
        {CREATED "data: 5\n\n", -ERR_UPSTREAM_PROTOCOL},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct relay relay = {
            .upstream = &openai_responses_dialect,
            .client = &openai_chat_dialect,
            .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
        relay_stream(&relay, slice_from(cases[i].bytes), 0, 1);
        assert_int_equal(relay.error, cases[i].error);
        relay_close(&relay);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(late_arguments),
        cmocka_unit_test(calls_in_done_only),
        cmocka_unit_test(all_in_completed),
        cmocka_unit_test(state_only),
        cmocka_unit_test(thoughts),
        cmocka_unit_test(rests),
        cmocka_unit_test(annotations),
        cmocka_unit_test(images_and_hosted),
        cmocka_unit_test(logprobs),
        cmocka_unit_test(incomplete),
        cmocka_unit_test(failures),
        cmocka_unit_test(accents),
        cmocka_unit_test(repeated_index),
        cmocka_unit_test(bodies),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
