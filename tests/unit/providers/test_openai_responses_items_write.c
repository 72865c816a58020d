/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_items_write.c - messages of other dialects written as instructions and
 * input items: content, calls and their results, reasoning.
 */
#include "tests/unit/providers/responding.h"

/* ---------------------------------------------------------------- instructions */

static void
writes_instructions(void **state)
{
    (void)state;
    check_body(
        &openai_chat_dialect, &official,
        CHAT("\"messages\":[{\"role\":\"system\",\"content\":\"one\"},{\"role\":\"developer\","
             "\"content\":\"two\"},{\"role\":\"user\",\"content\":\"hi\"}]"),
        "\"instructions\":\"one\",\"input\":[{\"type\":\"message\",\"role\":\"developer\","
        "\"content\":[{\"type\":\"input_text\",\"text\":\"two\"}]},{\"type\":\"message\","
        "\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"hi\"}]}]");
    check_body(&openai_chat_dialect, &plain,
               CHAT("\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"developer\","
                    "\"content\":\"two\"}]"),
               "{\"type\":\"message\",\"role\":\"system\",\"content\":[{\"type\":\"input_text\","
               "\"text\":\"two\"}]}");
    check_body(&openai_chat_dialect, &official,
               CHAT("\"messages\":[{\"role\":\"system\",\"content\":\"only\"}]"),
               "\"input\":[{\"type\":\"message\",\"role\":\"system\",\"content\":[{\"type\":"
               "\"input_text\",\"text\":\"only\"}]}]");
    /* R144: the attribution is for Anthropic's eyes only. */
    check_body(
        &anthropic_dialect, &official,
        CHAT("\"max_tokens\":99,\"system\":[{\"type\":\"text\",\"text\":\"x-anthropic-billing-"
             "header: v=1\\nYou are.\"},{\"type\":\"text\",\"text\":\"Second.\"}]," HI),
        "\"instructions\":\"You are.\\n\\nSecond.\",\"input\":[");
    check_dropped(&openai_chat_dialect, &official,
                  CHAT("\"messages\":[{\"role\":\"user\",\"name\":\"ann\",\"content\":\"hi\"}]"),
                  "name");
}

/* ---------------------------------------------------------------- content */

static void
writes_content(void **state)
{
    (void)state;
    check_input(
        &openai_chat_dialect,
        CHAT("\"messages\":[{\"role\":\"user\",\"content\":["
             "{\"type\":\"text\",\"text\":\"a\\u00e9\"},"
             "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBO\","
             "\"detail\":\"low\"}},"
             "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y\"}},"
             "{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,JVBE\","
             "\"filename\":\"f.pdf\"}},"
             "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}},"
             "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklG\",\"format\":\"wav\"}}"
             "]}]"),
        "{\"type\":\"message\",\"role\":\"user\",\"content\":["
        "{\"type\":\"input_text\",\"text\":\"a\\u00e9\"},"
        "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,iVBO\",\"detail\":"
        "\"low\"},{\"type\":\"input_image\",\"image_url\":\"https://x/y\"},"
        "{\"type\":\"input_file\",\"filename\":\"f.pdf\",\"file_data\":"
        "\"data:application/pdf;base64,JVBE\"},"
        "{\"type\":\"input_file\",\"file_id\":\"file-1\"},"
        "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklG\",\"format\":\"wav\"}}]}");
    check_input(
        &anthropic_dialect,
        CHAT("\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":["
             "{\"type\":\"document\",\"title\":\"T\",\"source\":{\"type\":\"text\","
             "\"media_type\":\"text/plain\",\"data\":\"D\"}},"
             "{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x/z\"}}]}]"),
        "{\"type\":\"message\",\"role\":\"user\",\"content\":["
        "{\"type\":\"input_text\",\"text\":\"T:\\nD\"},"
        "{\"type\":\"input_file\",\"file_url\":\"https://x/z\"}]}");
    check_refused(&openai_chat_dialect, &official,
                  CHAT("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video_url\",\"video_url\":{\"url\":\"https://x/y.mp4\"}}]}]"),
                  ERR_UNSUPPORTED, "messages");
    check_refused(&openai_chat_dialect, &plain,
                  CHAT("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{"
                       "\"file_id\":\"file-1\"}}]}]"),
                  ERR_UNSUPPORTED, "messages");
    check_refused(&anthropic_dialect, &official,
                  CHAT("\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                       "\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"file_1\"}}]}]"),
                  ERR_UNSUPPORTED, "messages");
}

static void
writes_assistants(void **state)
{
    (void)state;
    check_input(
        &openai_chat_dialect,
        CHAT("\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
             "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"refusal\","
             "\"refusal\":\"no\"}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
             "\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
             "\"\"}},{\"id\":\"c2\",\"type\":\"custom\",\"custom\":{\"name\":\"g\",\"input\":"
             "\"4\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"two\"},"
             "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"one\"}]"),
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
        "\"text\":\"q\"}]},{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{"
        "\"type\":\"output_text\",\"text\":\"a\"},{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
        "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{}\"},"
        "{\"type\":\"custom_tool_call\",\"call_id\":\"c2\",\"name\":\"g\",\"input\":\"4\"},"
        "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c2\",\"output\":\"two\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"one\"}");
}

/* Text between calls keeps its place; results come before what else their turn says. */
static void
keeps_order(void **state)
{
    (void)state;
    check_input(
        &anthropic_dialect,
        CHAT("\"max_tokens\":99,\"messages\":[{\"role\":\"assistant\",\"content\":["
             "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":"
             "\"f\",\"input\":{\"x\":1}},{\"type\":\"text\",\"text\":\"b\"},{\"type\":\"tool_use\","
             "\"id\":\"t2\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":["
             "{\"type\":\"text\",\"text\":\"so\"},{\"type\":\"tool_result\",\"tool_use_id\":\"t1\","
             "\"is_error\":true,\"content\":\"bad\"},{\"type\":\"tool_result\",\"tool_use_id\":"
             "\"t2\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":"
             "\"y\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
             "\"image/png\",\"data\":\"iVBO\"}}]}]}]"),
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"a\"}]},{\"type\":\"function_call\",\"call_id\":\"t1\",\"name\":\"f\","
        "\"arguments\":\"{\\\"x\\\":1}\"},{\"type\":\"message\",\"role\":\"assistant\",\"content\":"
        "["
        "{\"type\":\"output_text\",\"text\":\"b\"}]},{\"type\":\"function_call\",\"call_id\":"
        "\"t2\","
        "\"name\":\"f\",\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":"
        "\"t1\","
        "\"output\":\"Error: bad\"},{\"type\":\"function_call_output\",\"call_id\":\"t2\","
        "\"output\":[{\"type\":\"input_text\",\"text\":\"x\"},{\"type\":\"input_text\",\"text\":"
        "\"y\"},{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,iVBO\"}]},"
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"
        "\"so\"}]}");
}

#define CALL(id)                                                                                   \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"
#define RESULT(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"
#define CALLED(id)                                                                                 \
    "{\"type\":\"function_call\",\"call_id\":\"" id "\",\"name\":\"f\",\"arguments\":\"{}\"}"
#define ANSWERED(id, text)                                                                         \
    "{\"type\":\"function_call_output\",\"call_id\":\"" id "\",\"output\":\"" text "\"}"

/* A call without its result, a result without its call, one id for two calls: OpenAI refuses all of
 * them (P44, P45). */
static void
repairs_histories(void **state)
{
    (void)state;
    check_input(
        &openai_chat_dialect,
        CHAT("\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[" CALL("a") "," CALL(
            "b") "]}," RESULT("b",
                              "1") ",{\"role\":\"assistant\",\"tool_calls\":[" CALL("c") "]}]"),
        CALLED("a") "," CALLED("b") "," ANSWERED("a", "[no result]") "," ANSWERED(
            "b", "1") "," CALLED("c") "," ANSWERED("c", "[no result]"));
    check_input(
        &openai_chat_dialect, CHAT("\"messages\":[" RESULT("z", "lost") "]"),
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
        "\"text\":\"[result of tool call z]\"},{\"type\":\"input_text\",\"text\":\"lost\"}]}");
    check_input(
        &openai_chat_dialect,
        CHAT("\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[" CALL("a") "," CALL(
            "a") "]}," RESULT("a", "1") "," RESULT("a", "2") ",{\"role\":\"assistant\","
                                                             "\"tool_calls\":[" CALL(
                                                                 "a") "]}," RESULT("a", "3") "]"),
        CALLED("a") "," CALLED("call_af63dc4c8601ec8c_1") "," ANSWERED("a", "1") "," ANSWERED(
            "call_af63dc4c8601ec8c_1",
            "2") "," CALLED("call_af63dc4c8601ec8c_2") "," ANSWERED("call_af63dc4c8601ec8c_2",
                                                                    "3"));
    /* What an earlier turn left open is not answered by a later one's result. */
    check_input(
        &openai_chat_dialect,
        CHAT("\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[" CALL(
            "a") "]},{\"role\":\"assistant\",\"tool_calls\":[" CALL("a") "]}," RESULT("a",
                                                                                      "late") "]"),
        CALLED("a") "," ANSWERED("a", "[no result]") "," CALLED(
            "call_af63dc4c8601ec8c_1") "," ANSWERED("call_af63dc4c8601ec8c_1", "late"));
    check_input(&openai_chat_dialect,
                CHAT("\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[" CALL(
                    "a.b:c/d") "]}," RESULT("a.b:c/d", "1") "]"),
                CALLED("call_9a2a4ed728a15b50") "," ANSWERED("call_9a2a4ed728a15b50", "1"));
    check_refused(&openai_responses_dialect, &official,
                  "{\"model\":\"m\",\"input\":[{\"role\":\"system\",\"content\":[{\"type\":"
                  "\"input_image\",\"image_url\":\"https://x\"}]},{\"role\":\"user\",\"content\":"
                  "\"x\"}]}",
                  ERR_UNSUPPORTED, "messages");
    check_refused(&openai_responses_dialect, &official,
                  "{\"model\":\"m\",\"input\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
                  "\"input_image\",\"image_url\":\"https://x\"}]}]}",
                  ERR_UNSUPPORTED, "messages");
}

/* Long histories cost their length and no more: twenty thousand calls of one id. */
static void
pairs_long_histories(void **state)
{
    (void)state;
    struct sink body;
    struct asking asking;
    sink_init(&body, 64u << 20);
    sink_text(&body, "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"x\"}");
    for (int i = 0; i < 20000; i++)
        sink_text(&body,
                  ",{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":"
                  "\"{}\"}");
    for (int i = 0; i < 20000; i++)
        sink_text(&body, ",{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":\"\"}");
    sink_text(&body, "]}");
    sink_byte(&body, '\0');
    writes(&asking, &openai_responses_dialect, &official, body.ptr);
    assert_null(strstr(asking.out.ptr, "[no result]"));
    assert_null(strstr(asking.out.ptr, "[result of"));
    assert_non_null(strstr(asking.out.ptr, "\"call_af63dc4c8601ec8c_19999\",\"output\""));
    asking_close(&asking);
    sink_fini(&body);
}

/* ---------------------------------------------------------------- reasoning */

/* P33, P34, P36: state goes back without an id, directly before what it led to, or not at all. */
static void
replays_reasoning(void **state)
{
    (void)state;
    check_input(
        &openai_responses_dialect,
        "{\"model\":\"m\",\"input\":[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{"
        "\"type\":\"summary_text\",\"text\":\"s\"}],\"encrypted_content\":\"E1\"},"
        "{\"type\":\"reasoning\",\"id\":\"rs_2\",\"summary\":[],\"encrypted_content\":\"E2\"},"
        "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"a\",\"name\":\"f\","
        "\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"a\","
        "\"output\":\"1\"},{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":"
        "\"E3\"},{\"role\":\"assistant\",\"content\":\"t\"},{\"type\":\"reasoning\","
        "\"summary\":[],\"encrypted_content\":\"E4\"},{\"role\":\"user\",\"content\":\"u\"}]}",
        "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"s\"}],"
        "\"encrypted_content\":\"E1\"},{\"type\":\"reasoning\",\"summary\":[],"
        "\"encrypted_content\":\"E2\"}," CALLED("a") "," ANSWERED(
            "a",
            "1") ","
                 "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"E3\"},"
                 "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_"
                 "text\","
                 "\"text\":\"t\"}]},{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":"
                 "\"input_text\",\"text\":\"u\"}]}");
    check_dropped(&openai_responses_dialect, &official,
                  "{\"model\":\"m\",\"input\":[{\"type\":\"reasoning\",\"summary\":[],"
                  "\"encrypted_content\":\"E\"},{\"role\":\"user\",\"content\":\"u\"}]}",
                  "reasoning");
    /* The thoughts of others are nobody's text. */
    check_dropped(&openai_chat_dialect, &official,
                  CHAT("\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"hidden\","
                       "\"content\":\"t\"}]"),
                  "reasoning");
    check_input(
        &openai_chat_dialect,
        CHAT("\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"hidden\","
             "\"content\":\"t\"}]"),
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"t\"}]}");
}

/* P23: thoughts between texts part the message; what led to nothing does not lead to what comes
 * later. */
static void
keeps_thoughts_between_texts(void **state)
{
    (void)state;
    check_input(
        &openai_responses_dialect,
        "{\"model\":\"m\",\"input\":[{\"role\":\"assistant\",\"content\":\"a\"},{\"type\":"
        "\"reasoning\",\"summary\":[],\"encrypted_content\":\"E\"},{\"role\":\"assistant\","
        "\"content\":\"b\"},{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":"
        "\"F\"},{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":"
        "\"c\"}]}",
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"a\"}]},{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"E\"},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"b\"}]},{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":"
        "\"input_text\",\"text\":\"u\"}]},{\"type\":\"message\",\"role\":\"assistant\","
        "\"content\":[{\"type\":\"output_text\",\"text\":\"c\"}]}");
}

/* P32: a server that keeps nothing and wants its thoughts back gets them as they were shown. */
static void
replays_shown_reasoning(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain;
    upstream.replay_reasoning = true;
    check_body(&openai_chat_dialect, &upstream,
               CHAT("\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"why\","
                    "\"tool_calls\":[" CALL("a") "]}," RESULT("a", "1") "]"),
               "\"input\":[{\"type\":\"reasoning\",\"summary\":[],\"content\":[{\"type\":"
               "\"reasoning_text\",\"text\":\"why\"}]}," CALLED("a") "," ANSWERED("a", "1") "]");
}

/* State that other parts carry: a call or a text may be signed, and reasoning may be hidden. */
static void
replays_state_of_parts(void **state)
{
    (void)state;
    struct asking asking;
    struct canon_part call = {.kind = PART_CALL,
                              .id = SLICE_LIT("a"),
                              .name = SLICE_LIT("f"),
                              .arguments = SLICE_LIT("null"),
                              .signature = SLICE_LIT("S"),
                              .origin = ORIGIN_RESPONSES};
    struct canon_part alien = {.kind = PART_TEXT,
                               .next = &call,
                               .text = SLICE_LIT("t"),
                               .signature = SLICE_LIT("G"),
                               .origin = ORIGIN_GEMINI};
    struct canon_part hidden = {.kind = PART_REDACTED,
                                .next = &alien,
                                .data = SLICE_LIT("H\"H"),
                                .origin = ORIGIN_RESPONSES};
    struct canon_part theirs = {
        .kind = PART_REDACTED, .next = &hidden, .data = SLICE_LIT("A"), .origin = ORIGIN_ANTHROPIC};
    struct canon_message message = {.role = ROLE_ASSISTANT, .parts = &theirs};
    asking_read(&asking, &openai_chat_dialect, CHAT(HI));
    asking.request.messages = &message;
    asking_write(&asking, &openai_responses_dialect, &official);
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(
        asking.out.ptr,
        "\"input\":[{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"H\\\"H\"},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"t\"}]},{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"S\"}"
        "," CALLED("a") "," ANSWERED("a", "[no result]") "]"));
    assert_true(asking_dropped(&asking, "reasoning") && asking_dropped(&asking, "signature"));
    asking_close(&asking);
}

/* Other dialects name audio by its media type. */
static void
names_audio_formats(void **state)
{
    (void)state;
    static const struct {
        const char *type, *format;
    } rows[] = {{"audio/wav", "wav"}, {"audio/mpeg", "mp3"}, {"mp3", "mp3"}, {"audio/ogg", NULL}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct asking asking;
        char expected[64];
        struct canon_part part = {
            .kind = PART_AUDIO, .media_type = slice_from(rows[i].type), .data = SLICE_LIT("QQ==")};
        struct canon_message message = {.role = ROLE_USER, .parts = &part};
        asking_read(&asking, &openai_chat_dialect, CHAT(HI));
        asking.request.messages = &message;
        asking_write(&asking, &openai_responses_dialect, &official);
        assert_int_equal(asking.error, rows[i].format ? 0 : -ERR_UNSUPPORTED);
        (void)snprintf(expected, sizeof(expected), "\"format\":\"%s\"",
                       rows[i].format ? rows[i].format : "");
        assert_true(!rows[i].format || strstr(asking.out.ptr, expected));
        asking_close(&asking);
    }
}

static void
refuses_parts_out_of_place(void **state)
{
    (void)state;
    static const enum canon_role roles[] = {ROLE_USER, ROLE_ASSISTANT, ROLE_USER};
    static const enum canon_part_kind kinds[] = {PART_CALL, PART_RESULT, PART_THINKING};
    for (size_t i = 0; i < countof(roles); i++) {
        struct asking asking;
        struct canon_part part = {.kind = kinds[i], .id = SLICE_LIT("a"), .name = SLICE_LIT("f")};
        struct canon_message message = {.role = roles[i], .parts = &part};
        asking_read(&asking, &openai_chat_dialect, CHAT(HI));
        asking.request.messages = &message;
        asking_write(&asking, &openai_responses_dialect, &official);
        assert_int_equal(asking.error, -ERR_REQUEST);
        assert_true(slice_is(asking.fault.param, "messages"));
        asking_close(&asking);
    }
}

static void
asks_for_effort(void **state)
{
    (void)state;
    static const struct {
        const char *model, *members, *expected;
    } rows[] = {
        {"gpt-5.2", "\"reasoning_effort\":\"high\"", "\"reasoning\":{\"effort\":\"high\"}"},
        {"gpt-5.2", "\"reasoning\":{\"max_tokens\":9000}", "\"reasoning\":{\"effort\":\"medium\"}"},
        {"gpt-5.2", "\"thinking_budget\":1500", "\"reasoning\":{\"effort\":\"low\"}"},
        {"gpt-5.2", "\"thinking_budget\":28000", "\"reasoning\":{\"effort\":\"high\"}"},
        {"gpt-5.2", "\"thinking_budget\":50000", "\"reasoning\":{\"effort\":\"xhigh\"}"},
        {"gpt-5.2", "\"enable_thinking\":false", "\"reasoning\":{\"effort\":\"none\"}"},
        {"openai/gpt-5-mini", "\"enable_thinking\":false",
         "\"reasoning\":{\"effort\":\"minimal\"}"},
        {"gpt-5-mini", "\"reasoning_effort\":\"none\"", "\"reasoning\":{\"effort\":\"none\"}"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char body[512];
        struct dialect_upstream upstream = official;
        upstream.model = slice_from(rows[i].model);
        (void)snprintf(body, sizeof(body), CHAT(HI ",%s"), rows[i].members);
        check_body(&openai_chat_dialect, &upstream, body, rows[i].expected);
    }
    struct dialect_upstream older = official;
    older.model = SLICE_LIT("o3");
    check_dropped(&openai_chat_dialect, &older, CHAT(HI ",\"enable_thinking\":false"), "thinking");
    check_dropped(&openai_chat_dialect, &plain, CHAT(HI ",\"reasoning_effort\":\"high\""),
                  "effort");
    check_dropped(&anthropic_dialect, &plain,
                  CHAT("\"max_tokens\":9999,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":"
                       "2048}," HI),
                  "thinking");
    check_body(
        &anthropic_dialect, &official,
        CHAT("\"max_tokens\":9999,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}," HI),
        "\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"}");
    check_body(&anthropic_dialect, &official,
               CHAT("\"max_tokens\":9999,\"thinking\":{\"type\":\"adaptive\"}," HI),
               "\"reasoning\":{\"summary\":\"auto\"}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_instructions),     cmocka_unit_test(writes_content),
        cmocka_unit_test(writes_assistants),       cmocka_unit_test(keeps_order),
        cmocka_unit_test(repairs_histories),       cmocka_unit_test(pairs_long_histories),
        cmocka_unit_test(replays_reasoning),       cmocka_unit_test(keeps_thoughts_between_texts),
        cmocka_unit_test(replays_shown_reasoning), cmocka_unit_test(names_audio_formats),
        cmocka_unit_test(replays_state_of_parts),  cmocka_unit_test(refuses_parts_out_of_place),
        cmocka_unit_test(asks_for_effort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
