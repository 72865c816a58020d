/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_request_write.c - requests of other dialects written as Responses requests:
 * tools, fields, defaults, and what is refused or dropped. Responses requests that are read and
 * written again show what the two sides agree on.
 */
#include "tests/unit/providers/responding.h"

/* ---------------------------------------------------------------- the whole body */

static void
writes_whole_bodies(void **state)
{
    (void)state;
    check_body(&openai_chat_dialect, &official, CHAT(HI),
               "{\"model\":\"gpt-5.2\"," SAYS_HI
               ",\"include\":[\"reasoning.encrypted_content\"],\"store\":false,\"stream\":true}");
    check_body(&openai_chat_dialect, &plain, CHAT(HI),
               "{\"model\":\"local\"," SAYS_HI ",\"store\":false,\"stream\":true}");
    check_body(&openai_chat_dialect, &official,
               CHAT(HI ",\"max_tokens\":100,\"temperature\":0,\"top_p\":0.5,\"user\":\"u\","
                       "\"service_tier\":\"flex\",\"metadata\":{\"a\":\"b\"}"),
               "\"max_output_tokens\":100,\"temperature\":0,\"top_p\":0.5,\"include\":["
               "\"reasoning.encrypted_content\"],\"store\":false,\"stream\":true,"
               "\"service_tier\":\"flex\",\"metadata\":{\"a\":\"b\"},\"user\":\"u\"}");
}

/* ---------------------------------------------------------------- tools */

#define TOOL "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"
#define LONG_NAME                                                                                  \
    "mcp__a_server_with_a_long_name__a_tool_with_a_name_that_is_longer_than_sixty_four"

static void
writes_tools(void **state)
{
    (void)state;
    check_body(
        &openai_chat_dialect, &official,
        CHAT(HI ",\"tools\":[" TOOL ",{\"type\":\"function\",\"function\":{\"name\":\"g.h\","
                "\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true}}]"),
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\","
        "\"properties\":{}},\"strict\":false},{\"type\":\"function\",\"name\":\"g_h_d41a6518\","
        "\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true}]");
    check_body(
        &anthropic_dialect, &official,
        CHAT("\"max_tokens\":99,\"tools\":[{\"name\":\"" LONG_NAME "\",\"input_schema\":{"
             "\"type\":\"object\"},\"strict\":true}],\"tool_choice\":{\"type\":\"tool\","
             "\"name\":\"" LONG_NAME "\",\"disable_parallel_tool_use\":true}," HI),
        "\"tools\":[{\"type\":\"function\",\"name\":\"mcp__a_server_with_a_long_name__a_tool_"
        "with_a_name_that_a714cd94\",\"parameters\":{\"type\":\"object\"},\"strict\":false}],"
        "\"parallel_tool_calls\":false,\"tool_choice\":{\"type\":\"function\",\"name\":\"mcp__"
        "a_server_with_a_long_name__a_tool_with_a_name_that_a714cd94\"}");
    check_dropped(&anthropic_dialect, &official,
                  CHAT("\"max_tokens\":99,\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":"
                       "\"object\"},\"strict\":true}]," HI),
                  "tools.strict");
    check_dropped(&anthropic_dialect, &official,
                  CHAT("\"max_tokens\":99,\"tools\":[{\"type\":\"web_search_20250305\",\"name\":"
                       "\"web_search\"}]," HI),
                  "tools.server");
    check_refused(
        &anthropic_dialect, &official,
        CHAT("\"max_tokens\":99,\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}]," HI),
        ERR_UNSUPPORTED, "tools");
    check_refused(&openai_responses_dialect, &official,
                  "{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"web_search\"}]}",
                  ERR_UNSUPPORTED, "tools");
}

/* The grammar of a custom tool is flat here; what Chat has one level deeper is brought up. */
static void
writes_custom_tools(void **state)
{
    (void)state;
    check_body(
        &openai_responses_dialect, &official,
        "{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\","
        "\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":\"s: x\"}}],"
        "\"tool_choice\":{\"type\":\"custom\",\"name\":\"c\"}}",
        "\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":{\"type\":\"grammar\","
        "\"syntax\":\"lark\",\"definition\":\"s: x\"}}],\"tool_choice\":{\"type\":\"custom\","
        "\"name\":\"c\"}");
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect,
                CHAT(HI ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}]"));
    asking.request.tools->format = SLICE_LIT(
        "{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"regex\",\"definition\":\"a+\"}}");
    asking_write(&asking, &openai_responses_dialect, &official);
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(asking.out.ptr, "\"format\":{\"type\":\"grammar\",\"syntax\":\"regex\","
                                           "\"definition\":\"a+\"}"));
    asking_close(&asking);
}

/* P51: what is allowed is never turned into what is forced. */
static void
writes_choices(void **state)
{
    (void)state;
    static const struct {
        const char *members, *expected;
    } rows[] = {
        {"\"tool_choice\":\"auto\"", "\"tool_choice\":\"auto\""},
        {"\"tool_choice\":\"none\"", "\"tool_choice\":\"none\""},
        {"\"tool_choice\":\"required\"", "\"tool_choice\":\"required\""},
        {"\"parallel_tool_calls\":true", "\"strict\":false}],\"parallel_tool_calls\":true,\"incl"},
        {"\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}",
         "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}"},
        {"\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":"
         "\"function\",\"name\":\"f\"}]}",
         "\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":"
         "\"function\",\"name\":\"f\"}]}"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char body[512];
        (void)snprintf(
            body, sizeof(body),
            "{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":"
            "\"f\"}],%s}",
            rows[i].members);
        check_body(&openai_responses_dialect, &official, body, rows[i].expected);
    }
    check_dropped(&openai_chat_dialect, &official, CHAT(HI ",\"tool_choice\":\"required\""),
                  "tool_choice");
    check_dropped(&openai_chat_dialect, &official, CHAT(HI ",\"tool_choice\":\"auto\""), NULL);
    check_dropped(&openai_chat_dialect, &official,
                  CHAT(HI ",\"tools\":[" TOOL
                          "],\"tool_choice\":{\"type\":\"function\",\"function\":{"
                          "\"name\":\"gone\"}}"),
                  "tool_choice");
}

/* ---------------------------------------------------------------- formats, limits, other fields */

static void
writes_formats(void **state)
{
    (void)state;
    check_body(&openai_chat_dialect, &official,
               CHAT(HI ",\"response_format\":{\"type\":\"json_object\"}"),
               "\"text\":{\"format\":{\"type\":\"json_object\"}}");
    check_body(
        &openai_chat_dialect, &official,
        CHAT(HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
                "\"description\":\"d\",\"schema\":{\"type\":\"object\"},\"strict\":true}}"),
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":\"d\","
        "\"schema\":{\"type\":\"object\"},\"strict\":true}}");
    check_body(&anthropic_dialect, &official,
               CHAT("\"max_tokens\":99,\"output_config\":{\"format\":{\"type\":\"json_schema\","
                    "\"schema\":{\"type\":\"object\"}}}," HI),
               "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"response\",\"schema\":{"
               "\"type\":\"object\"}}}");
    check_body(
        &openai_responses_dialect, &official,
        "{\"model\":\"m\",\"input\":\"x\",\"text\":{\"verbosity\":\"low\",\"format\":{\"type\":"
        "\"text\"}}}",
        "\"text\":{\"verbosity\":\"low\"}");
}

static void
writes_limits(void **state)
{
    (void)state;
    struct dialect_upstream small = official;
    small.max_output_tokens = 500;
    check_body(&openai_chat_dialect, &small, CHAT(HI ",\"max_tokens\":501"),
               "\"max_output_tokens\":500,");
    check_body(&openai_chat_dialect, &small, CHAT(HI ",\"max_tokens\":500"),
               "\"max_output_tokens\":500,");
    /* OpenAI refuses less than 16: clients that only knock ask for one. */
    check_body(&openai_chat_dialect, &official, CHAT(HI ",\"max_tokens\":1"),
               "\"max_output_tokens\":16,");
    check_dropped(&openai_chat_dialect, &official, CHAT(HI ",\"max_tokens\":15"),
                  "max_tokens below 16");
    check_dropped(&openai_chat_dialect, &official, CHAT(HI ",\"max_tokens\":16"), NULL);
    check_body(&openai_chat_dialect, &plain, CHAT(HI ",\"max_tokens\":1"),
               "\"max_output_tokens\":1,");
}

static void
writes_other_fields(void **state)
{
    (void)state;
    check_body(&openai_responses_dialect, &official,
               "{\"model\":\"m\",\"input\":\"x\",\"store\":true,\"prompt_cache_key\":\"k\","
               "\"include\":[\"message.output_text.logprobs\"],\"top_logprobs\":3}",
               "\"top_logprobs\":3,\"include\":[\"reasoning.encrypted_content\","
               "\"message.output_text.logprobs\"],\"store\":true,\"stream\":true,"
               "\"prompt_cache_key\":\"k\"}");
    check_body(&openai_chat_dialect, &plain, CHAT(HI ",\"logprobs\":true"),
               "\"include\":[\"message.output_text.logprobs\"]");
    check_body(&openai_chat_dialect, &official, CHAT(HI ",\"safety_identifier\":\"s\""),
               "\"safety_identifier\":\"s\"");
    check_body(
        &anthropic_dialect, &official,
        CHAT("\"max_tokens\":99,\"service_tier\":\"standard_only\",\"metadata\":{\"user_id\":"
             "\"user_0123456789012345678901234567890123456789012345678901234567890123\"}," HI),
        "\"service_tier\":\"default\",\"user\":\"user_643335a77fb300b3\"}");
}

static void
names_what_it_drops(void **state)
{
    (void)state;
    static const struct {
        const char *members, *name;
    } rows[] = {
        {"\"seed\":7", "seed"},
        {"\"presence_penalty\":0", "presence_penalty"},
        {"\"frequency_penalty\":1", "frequency_penalty"},
        {"\"logit_bias\":{\"5\":1}", "logit_bias"},
        {"\"top_k\":5", "top_k"},
        {"\"n\":1", NULL},
        {"\"stop\":[]", NULL},
        {"\"logit_bias\":null", NULL},
        {"\"modalities\":[\"text\"]", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char body[512];
        (void)snprintf(body, sizeof(body), CHAT(HI ",%s"), rows[i].members);
        check_dropped(&openai_chat_dialect, &official, body, rows[i].name);
    }
    check_dropped(&anthropic_dialect, &official,
                  CHAT("\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                       "\"text\",\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]"),
                  "cache_control");
    check_dropped(
        &anthropic_dialect, &official,
        CHAT("\"max_tokens\":99,\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
             "\"server_tool_use\",\"id\":\"s\",\"name\":\"n\",\"input\":{}},{\"type\":"
             "\"text\",\"text\":\"x\"}]}]"),
        "server_tool_use");
}

static void
refuses_what_changes_the_answer(void **state)
{
    (void)state;
    check_refused(&openai_chat_dialect, &official, CHAT(HI ",\"stop\":\"END\""), ERR_UNSUPPORTED,
                  "stop");
    check_refused(&anthropic_dialect, &official,
                  CHAT("\"max_tokens\":99,\"stop_sequences\":[\"\",\"END\"]," HI), ERR_UNSUPPORTED,
                  "stop_sequences");
    check_refused(&openai_chat_dialect, &official, CHAT(HI ",\"n\":2"), ERR_UNSUPPORTED, "n");
}

/* ---------------------------------------------------------------- defaults, extras */

static void
applies_defaults(void **state)
{
    (void)state;
    struct dialect_upstream upstream = official;
    upstream.default_params =
        SLICE_LIT("{\"temperature\":0.2,\"max_tokens\":50,\"reasoning_effort\":"
                  "\"low\",\"truncation\":\"auto\"}");
    check_body(&openai_chat_dialect, &upstream, CHAT(HI),
               "\"stream\":true,\"temperature\":0.2,\"max_output_tokens\":50,\"reasoning\":{"
               "\"effort\":\"low\"},\"truncation\":\"auto\"}");
    check_body(&openai_chat_dialect, &upstream,
               CHAT(HI ",\"temperature\":1,\"max_tokens\":60,\"reasoning_effort\":\"high\""),
               "\"reasoning\":{\"effort\":\"high\"},\"max_output_tokens\":60,\"temperature\":1,"
               "\"include\":[\"reasoning.encrypted_content\"],\"store\":false,\"stream\":true,"
               "\"truncation\":\"auto\"}");
    check_body(&anthropic_dialect, &upstream,
               CHAT("\"max_tokens\":60,\"thinking\":{\"type\":\"adaptive\"}," HI),
               "\"reasoning\":{\"summary\":\"auto\",\"effort\":\"low\"}");
}

static void
forwards_extras(void **state)
{
    (void)state;
    struct dialect_upstream upstream = official;
    check_body(&openai_chat_dialect, &upstream, CHAT(HI ",\"flux\":1"), "\"stream\":true}");
    upstream.extra_fields = true;
    upstream.default_params = SLICE_LIT("{\"flux\":2}");
    check_body(&openai_chat_dialect, &upstream, CHAT(HI ",\"flux\":1"),
               "\"stream\":true,\"flux\":1}");
    check_dropped(&openai_chat_dialect, &upstream, CHAT(HI ",\"flux\":1"), NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_whole_bodies),
        cmocka_unit_test(writes_tools),
        cmocka_unit_test(writes_custom_tools),
        cmocka_unit_test(writes_choices),
        cmocka_unit_test(writes_formats),
        cmocka_unit_test(writes_limits),
        cmocka_unit_test(writes_other_fields),
        cmocka_unit_test(names_what_it_drops),
        cmocka_unit_test(refuses_what_changes_the_answer),
        cmocka_unit_test(applies_defaults),
        cmocka_unit_test(forwards_extras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
