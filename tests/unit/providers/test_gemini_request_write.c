/* SPDX-License-Identifier: MIT
 *
 * test_gemini_request_write.c - conversations and tools of other dialects as Gemini's: turns,
 * media, signatures, declarations.
 */
#include "tests/unit/providers/gemini_asking.h"

/* ---------------------------------------------------------------- conversations */

static void
writes_turns(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    writes(&openai_chat_dialect, &upstream,
           "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s1\"},{\"role\":"
           "\"developer\",\"content\":\"s2\"},"
           "{\"role\":\"assistant\",\"content\":\"first\"},{\"role\":\"user\",\"content\":\"\"},{"
           "\"role\":\"user\",\"content\":\"a\"},"
           "{\"role\":\"system\",\"content\":\"note\"},{\"role\":\"user\",\"content\":[{\"type\":"
           "\"text\",\"text\":\"b\"},{\"type\":\"text\","
           "\"text\":\"\"}]},{\"role\":\"assistant\",\"content\":\"pre\"}]}",
           "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\".\"}]},{\"role\":\"model\","
           "\"parts\":[{\"text\":\"first\"}]},"
           "{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"text\":\"<system-reminder>\\nnote\\n<"
           "/system-reminder>\"},{\"text\":\"b\"}]},"
           "{\"role\":\"model\",\"parts\":[{\"text\":\"pre\"}]}],\"systemInstruction\":{\"parts\":["
           "{\"text\":\"s1\"},{\"text\":\"s2\"}]}}");
    writes(&openai_chat_dialect, &upstream,
           "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"}]}",
           "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\".\"}]}],\"systemInstruction\":"
           "{\"parts\":[{\"text\":\"s\"}]}}");
}

#define TOOL_CALL(id, name, args)                                                                  \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name                      \
    "\",\"arguments\":\"" args "\"}}"
#define TOOL(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"

/* P40: N responses to N calls in one content, in their order, with nothing else in it. */
static void
answers_calls_in_one_content(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    static const char body[] =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":"
        "\"assistant\",\"content\":\"let me\",\"tool_calls\":[" TOOL_CALL("c1", "f", "{\\\"a\\\":1}") "," TOOL_CALL("c2", "g", "") "," TOOL_CALL(
            "c3", "g",
            "[1]") "," TOOL_CALL("c4", "g",
                                 "{broken") "," TOOL_CALL("c5", "my.tool",
                                                          "null") "]}," TOOL("c3",
                                                                             "three") "," TOOL("c1",
                                                                                               "{\\"
                                                                                               "\"x"
                                                                                               "\\"
                                                                                               "\":"
                                                                                               "1}") "," TOOL("c9",
                                                                                                              "stray") "," TOOL("c2",
                                                                                                                                "") "," TOOL("c4",
                                                                                                                                             "four") ",{\"role\":\"user\",\"content\":\"and?\"}]}";
    writes(
        &openai_chat_dialect, &upstream, body,
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"go\"}]},{\"role\":\"model\","
        "\"parts\":[{\"text\":\"let me\"},"
        "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\":1}}},{\"functionCall\":{"
        "\"id\":\"c2\",\"name\":\"g\",\"args\":{}}},"
        "{\"functionCall\":{\"id\":\"c3\",\"name\":\"g\",\"args\":{\"value\":[1]}}},"
        "{\"functionCall\":{\"id\":\"c4\",\"name\":\"g\",\"args\":{\"_raw\":\"{broken\"}}},"
        "{\"functionCall\":{\"id\":\"c5\",\"name\":\"my_tool_c693c275\",\"args\":{}}}]},"
        "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\","
        "\"response\":{\"output\":\"{\\\"x\\\":1}\"}}},"
        "{\"functionResponse\":{\"id\":\"c2\",\"name\":\"g\",\"response\":{\"output\":\"\"}}},"
        "{\"functionResponse\":{\"id\":\"c3\",\"name\":\"g\",\"response\":{\"output\":\"three\"}}},"
        "{\"functionResponse\":{\"id\":\"c4\",\"name\":\"g\",\"response\":{\"output\":\"four\"}}},"
        "{\"functionResponse\":{\"id\":\"c5\",\"name\":\"my_tool_c693c275\",\"response\":{"
        "\"output\":\"[no result]\"}}}]},"
        "{\"role\":\"user\",\"parts\":[{\"text\":\"[result of tool call "
        "c9]\"},{\"text\":\"stray\"},{\"text\":\"and?\"}]}]}");
    upstream.surface = SURFACE_VERTEX;
    says(&openai_chat_dialect, &upstream, body, "\"id\":", false);
    /* The conversation stops at a call. */
    says(&openai_chat_dialect, &upstream,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":"
         "\"assistant\",\"tool_calls\":[" TOOL_CALL("c1", "f", "{}") "]}]}",
         "\"response\":{\"output\":\"[no result]\"}}}]}]", true);
}

#define CLAUDE(blocks)                                                                             \
    "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{"     \
    "\"role\":\"assistant\",\"content\":["                                                         \
    "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\","      \
    "\"content\":[" blocks "]}]}"
#define PICTURE                                                                                    \
    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"                  \
    "png\",\"data\":\"iVBORw0KGgo=\"}}"

/* P41: media in results is never lost. */
static void
carries_media_of_results(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain(), newer = third();
    static const char body[] =
        CLAUDE("{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"is_error\":true,\"content\":[{"
               "\"type\":\"text\","
               "\"text\":\"see\"}," PICTURE "]},{\"type\":\"text\",\"text\":\"well?\"}");
    says(&anthropic_dialect, &upstream, body,
         "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\","
         "\"response\":{\"error\":\"see\\n[more in the next "
         "message]\"}}}]},{\"role\":\"user\",\"parts\":[{\"text\":\"[from the result of "
         "f]\"},{\"inlineData\":{\"mimeType\":\"image/png\","
         "\"data\":\"iVBORw0KGgo=\"}},{\"text\":\"well?\"}]}],",
         true);
    says(&anthropic_dialect, &newer, body,
         "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\","
         "\"response\":{\"error\":\"see\"},\"parts\":["
         "{\"inlineData\":{\"mimeType\":\"image/"
         "png\",\"data\":\"iVBORw0KGgo=\"}}]}}]},{\"role\":\"user\",\"parts\":[{\"text\":\"well?\"}"
         "]}],",
         true);
    /* A search result keeps its title. */
    says(&anthropic_dialect, &upstream,
         CLAUDE("{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":[{\"type\":"
                "\"search_result\",\"title\":\"T\",\"source\":\"https://"
                "a\",\"content\":[{\"type\":\"text\","
                "\"text\":\"found\"}]},{\"type\":\"text\",\"text\":\"more\"}]}"),
         "{\"output\":\"T\\nhttps://a\\nfound\\nmore\"}", true);
}

#define USER_PART(part)                                                                            \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[" part "]}]}"

static void
writes_media(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain(), newer = third();
    says(&openai_chat_dialect, &upstream,
         USER_PART(
             "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,_9j_4AAQ\"}}"),
         "{\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":\"/9j/4AAQ\"}}", true);
    refuses(
        &openai_chat_dialect, &upstream,
        USER_PART(
            "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/gif;base64,R0lGODlh\"}}"),
        "image");
    refuses(
        &openai_chat_dialect, &upstream,
        USER_PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.com/a.png\"}}"),
        "image_url");
    says(
        &openai_chat_dialect, &newer,
        USER_PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.com/a.png\"}}"),
        "{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://example.com/a.png\"}}",
        true);
    says(&openai_chat_dialect, &upstream,
         USER_PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"gs://b/a\"}}"),
         "{\"fileData\":{\"fileUri\":\"gs://b/a\"}}", true);
    says(&openai_chat_dialect, &upstream,
         USER_PART(
             "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"QUJD\",\"format\":\"wav\"}}"),
         "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"QUJD\"}}", true);
    says(&openai_chat_dialect, &upstream,
         USER_PART("{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:"
                   "application/pdf;base64,JVBERi0=\"}}"),
         "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"JVBERi0=\"}}", true);
    refuses(&openai_chat_dialect, &upstream,
            USER_PART("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"), "file_id");
    refuses(
        &openai_chat_dialect, &upstream,
        USER_PART(
            "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0K*\"}}"),
        "data");
    says(&anthropic_dialect, &upstream,
         "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{"
         "\"type\":\"document\",\"title\":\"T\",\"source\":"
         "{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"body\"}}]}]}",
         "{\"text\":\"T\\n\\nbody\"}", true);
}

/* ---------------------------------------------------------------- signatures */

#define SIGNED(signature)                                                                          \
    "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{"     \
    "\"role\":\"assistant\",\"content\":["                                                         \
    "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"" signature                        \
    "\"},{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\","                                     \
    "\"input\":{}},{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"g\",\"input\":{}}]},{\"role\":" \
    "\"user\",\"content\":["                                                                       \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"r\"},{\"type\":\"tool_"        \
    "result\",\"tool_use_id\":\"c2\",\"content\":\"r\"}]}]}"

/* P24, P29, P31: Gemini's own signature goes back on the call behind its thought; another's is
 * dropped with the thought; the first call of a step in the turn in hand has the word that stands
 * for an unknown one. */
static void
sends_signatures_back(void **state)
{
    (void)state;
    struct dialect_upstream upstream = flash(), newer = third();
    struct asking asking;
    /* base64url of "c2ln" */
    says(&anthropic_dialect, &newer, SIGNED("penstock.1.gemini.YzJsbg"),
         "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{}},\"thoughtSignature\":"
         "\"c2ln\"},{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\","
         "\"args\":{}}}]}",
         true);
    asks(&asking, &anthropic_dialect, &newer, SIGNED("ErUBCkYIBxgCIkCk"));
    assert_non_null(strstr(asking.out.ptr,
                           "\"args\":{}},\"thoughtSignature\":\"skip_thought_signature_validator\"}"
                           ",{\"functionCall\":{\"id\":\"c2\","
                           "\"name\":\"g\",\"args\":{}}}]"));
    assert_null(strstr(asking.out.ptr, "hm"));
    assert_true(asking_dropped(&asking, "reasoning"));
    asking_close(&asking);
    says(&anthropic_dialect, &upstream, SIGNED("ErUBCkYIBxgCIkCk"), "thoughtSignature", false);
}

/* Gemini signs pictures, too. */
static void
sends_signatures_of_pictures_back(void **state)
{
    (void)state;
    struct dialect_upstream newer = third();
    says(&openai_chat_dialect, &newer,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"draw\"},{\"role\":"
         "\"assistant\","
         "\"content\":\"\",\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":"
         "\"c2ln\","
         "\"format\":\"google-gemini-v1\"}],\"images\":[{\"type\":\"image_url\",\"image_url\":{"
         "\"url\":"
         "\"data:image/png;base64,iVBORw0KGgo=\"}}]},{\"role\":\"user\",\"content\":\"again\"}]}",
         "{\"inlineData\":{\"mimeType\":\"image/"
         "png\",\"data\":\"iVBORw0KGgo=\"},\"thoughtSignature\":\"c2ln\"}",
         true);
}

/* What was said stays as it was said when the next question comes: prefixes are cached. */
static void
marks_the_first_call_of_each_step(void **state)
{
    (void)state;
#define FIRST                                                                                      \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"1\"},{\"role\":"              \
    "\"assistant\","                                                                               \
    "\"tool_calls\":[" TOOL_CALL("a", "f", "{}") "," TOOL_CALL("b", "f", "{}") "]}," TOOL(         \
        "a", "r") "," TOOL("b", "r")
    struct dialect_upstream newer = third();
    struct asking first, second;
    asks(&first, &openai_chat_dialect, &newer, FIRST "]}");
    asks(&second, &openai_chat_dialect, &newer,
         FIRST
         ",{\"role\":\"assistant\",\"content\":\"done\"},{\"role\":\"user\",\"content\":\"2\"},"
         "{\"role\":\"assistant\",\"tool_calls\":[" TOOL_CALL("c", "f", "{}") "]}," TOOL("c",
                                                                                         "r") "]}");
    int count = 0;
    for (const char *at = second.out.ptr;
         (at = strstr(at, "skip_thought_signature_validator")) != NULL; at++)
        count++;
    assert_int_equal(count, 2);
    assert_non_null(
        strstr(second.out.ptr, "{\"functionCall\":{\"id\":\"b\",\"name\":\"f\",\"args\":{}}}]"));
    const char *end = strstr(first.out.ptr, "],\"generationConfig\"");
    assert_non_null(end);
    assert_memory_equal(first.out.ptr, second.out.ptr, (size_t)(end - first.out.ptr));
    asking_close(&first);
    asking_close(&second);
}

/* ---------------------------------------------------------------- tools */

#define PARAMETERS                                                                                 \
    ",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"]}}" \
    ",\"additionalProperties\":false}"

static void
writes_tools(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain(), newer = third();
    newer.model = S("gemini-2.0-flash");
    writes(
        &openai_chat_dialect, &upstream,
        HI ",\"tools\":[" FUNCTION(
            ",\"description\":\"d\",\"strict\":true" PARAMETERS) "],\"tool_choice\":\"required\","
                                                                 "\"parallel_tool_calls\":true}",
        "{" CONTENTS_HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"description\":"
        "\"d\",\"parameters\":{\"type\":\"OBJECT\","
        "\"properties\":{\"a\":{\"type\":\"STRING\",\"nullable\":true}}}}]}],\"toolConfig\":{"
        "\"functionCallingConfig\":{\"mode\":\"ANY\"}}}");
    writes(&openai_chat_dialect, &newer, HI ",\"tools\":[" FUNCTION(PARAMETERS) "]}",
           "{" CONTENTS_HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\","
           "\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":"
           "{\"a\":{\"type\":[\"string\",\"null\"]}},\"additionalProperties\":false}}]}]}");
    writes(&openai_chat_dialect, &newer,
           HI ",\"tools\":[" FUNCTION(
               ",\"parameters\":{\"type\":\"object\",\"properties\":{}}") "],\"tool_choice\":"
                                                                          "\"none\"}",
           "{" CONTENTS_HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],"
           "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"NONE\"}}}");
    /* P51: calls in parallel are not calls that must be made. */
    says(&openai_chat_dialect, &upstream,
         HI ",\"tools\":[" FUNCTION("") "],\"parallel_tool_calls\":true}", "toolConfig", false);
    says(&openai_chat_dialect, &upstream,
         HI ",\"tools\":[" FUNCTION(
             "") "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}",
         "{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}", true);
    says(&openai_chat_dialect, &upstream,
         HI
         ",\"tools\":[" FUNCTION("") "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_"
                                     "tools\":{\"mode\":\"auto\",\"tools\":["
                                     "{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{"
                                     "\"type\":\"function\",\"function\":{\"name\":\"gone\"}}]}}}",
         "{\"mode\":\"VALIDATED\",\"allowedFunctionNames\":[\"f\"]}", true);
    refuses(&openai_chat_dialect, &upstream,
            HI ",\"tools\":[" FUNCTION(",\"parameters\":{\"type\":\"string\"}") "]}", "tools");
    says(&openai_chat_dialect, &upstream,
         HI ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}]}",
         "{\"name\":\"c\",\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
         "\"string\"}},\"required\":[\"input\"]}}",
         true);
    says(&openai_chat_dialect, &upstream, HI ",\"tool_choice\":\"auto\"}", "toolConfig", false);
}

/* Gemini's names do not begin with a digit; the client gets its own back. */
static void
gives_names_back(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    struct asking asking;
    asks(&asking, &openai_chat_dialect, &upstream,
         HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"2fa\"}},{\"type\":"
            "\"function\",\"function\":{\"name\":\"_x\"}},"
            "{\"type\":\"function\",\"function\":{\"name\":\"7.b\"}}]}");
    assert_non_null(
        strstr(asking.out.ptr, "[{\"name\":\"_2fa\"},{\"name\":\"_x\"},{\"name\":\"_7_b_"));
    const char *made = strstr(asking.out.ptr, "_7_b_");
    assert_true(slice_is(canon_client_name(&asking.request, S("_2fa")), "2fa"));
    assert_true(slice_is(canon_client_name(&asking.request, S("_x")), "_x"));
    assert_true(
        slice_is(canon_client_name(&asking.request, slice_of(made, 13)), "7.b"));
    asking_close(&asking);
}

#define SEARCH "\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]"

static void
grounds_as_configured(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    static const char body[] = "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
                               "\"content\":\"hi\"}]," SEARCH "}";
    refuses(&anthropic_dialect, &upstream, body, "tools");
    upstream.grounding = SWITCH_ON;
    says(&anthropic_dialect, &upstream, body, "\"tools\":[{\"googleSearch\":{}}]", true);
    says(&openai_chat_dialect, &upstream, HI "}", "\"tools\":[{\"googleSearch\":{}}]", true);
    struct asking asking; /* before Gemini 3: one or the other */
    asks(&asking, &openai_chat_dialect, &upstream, HI ",\"tools\":[" FUNCTION("") "]}");
    assert_null(strstr(asking.out.ptr, "googleSearch"));
    assert_true(asking_dropped(&asking, "grounding"));
    asking_close(&asking);
    upstream.thinking_level = true;
    says(&openai_chat_dialect, &upstream, HI ",\"tools\":[" FUNCTION("") "]}",
         "]},{\"googleSearch\":{}}]", true);
    upstream.grounding = SWITCH_OFF;
    says(&anthropic_dialect, &upstream, body, "tools", false);
}

/* R100: the header field, else the body, else the configuration. */
static void
switches_grounding_in_order(void **state)
{
    (void)state;
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, HI ",\"grounding\":{\"mode\":\"MODE_DYNAMIC\"}}");
    assert_int_equal(dialect_grounding(&asking.request, SLICE_NONE, SWITCH_OFF), SWITCH_ON);
    assert_int_equal(dialect_grounding(&asking.request, S(" FALSE"), SWITCH_ON), SWITCH_OFF);
    assert_int_equal(dialect_grounding(&asking.request, S("0"), SWITCH_ON), SWITCH_OFF);
    asking_close(&asking);
    asking_read(&asking, &openai_chat_dialect, HI ",\"grounding\":false}");
    assert_int_equal(dialect_grounding(&asking.request, SLICE_NONE, SWITCH_ON), SWITCH_OFF);
    assert_int_equal(dialect_grounding(&asking.request, S("1"), SWITCH_OFF), SWITCH_ON);
    assert_int_equal(dialect_grounding(&asking.request, S("maybe"), SWITCH_ON), SWITCH_OFF);
    asking_close(&asking);
    asking_read(&asking, &openai_chat_dialect, HI "}");
    assert_int_equal(dialect_grounding(&asking.request, SLICE_NONE, SWITCH_UNSET), SWITCH_UNSET);
    assert_int_equal(dialect_grounding(&asking.request, S("true"), SWITCH_UNSET), SWITCH_ON);
    asking_close(&asking);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_turns),
        cmocka_unit_test(answers_calls_in_one_content),
        cmocka_unit_test(carries_media_of_results),
        cmocka_unit_test(writes_media),
        cmocka_unit_test(sends_signatures_back),
        cmocka_unit_test(sends_signatures_of_pictures_back),
        cmocka_unit_test(marks_the_first_call_of_each_step),
        cmocka_unit_test(writes_tools),
        cmocka_unit_test(gives_names_back),
        cmocka_unit_test(grounds_as_configured),
        cmocka_unit_test(switches_grounding_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
