/* SPDX-License-Identifier: MIT
 *
 * test_gemini_request_write.c - requests of other dialects as generateContent requests, their
 * targets, and counting.
 */
#include "tests/unit/providers/asking.h"

#define S(text) SLICE_LIT(text)
#define HI "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CONTENTS_HI "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"

static struct dialect_upstream
flash(void)
{
    return (struct dialect_upstream){.model = S("gemini-2.5-flash")};
}

/* A model of whose thinking nothing is known: nothing is said of it, so that other things can be
 * seen. */
static struct dialect_upstream
plain(void)
{
    return (struct dialect_upstream){.model = S("gemini-2.0-flash")};
}

static struct dialect_upstream
third(void)
{
    return (struct dialect_upstream){.model = S("gemini-3-flash-preview"),
                                     .thinking_level = true,
                                     .json_schema = true,
                                     .result_media = true,
                                     .url_media = true};
}

static void
asks(struct asking *asking, const struct dialect *client, const struct dialect_upstream *upstream,
     const char *body)
{
    asking_read(asking, client, body);
    asking_write(asking, &gemini_dialect, upstream);
    if (asking->error != 0)
        print_error("%.*s\n", SLICE_ARG(asking->fault.message));
    assert_int_equal(asking->error, 0);
}

static void
writes(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
       const char *expected)
{
    struct asking asking;
    asks(&asking, client, upstream, body);
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static void
refuses(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
        const char *param)
{
    struct asking asking;
    asking_read(&asking, client, body);
    asking_write(&asking, &gemini_dialect, upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(slice_is(asking.fault.param, param));
    assert_true(slice_present(asking.fault.message));
    asking_close(&asking);
}

/* What stands in the request at a place that is looked for by its beginning. */
static void
says(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
     const char *wanted, bool there)
{
    struct asking asking;
    asks(&asking, client, upstream, body);
    if ((strstr(asking.out.ptr, wanted) != NULL) != there)
        print_error("%s\n", asking.out.ptr);
    assert_int_equal(strstr(asking.out.ptr, wanted) != NULL, there);
    asking_close(&asking);
}

/* ---------------------------------------------------------------- targets */

static void
targets(const struct dialect_upstream *upstream, bool stream, const char *expected)
{
    struct sink out;
    sink_init(&out, 4096);
    gemini_dialect.put_target(&out, upstream, stream);
    sink_byte(&out, '\0');
    assert_string_equal(out.ptr, expected);
    sink_fini(&out);
}

static void
names_its_targets(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {.model = S("gemini-x"), .base_path = S("")};
    targets(&upstream, true, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse");
    targets(&upstream, false, "/v1beta/models/gemini-x:generateContent");
    upstream.base_path = S("/v1");
    targets(&upstream, false, "/v1/models/gemini-x:generateContent");
    upstream.base_path = S("/proxy/v1alpha/");
    upstream.model = S("models/gemini-x");
    targets(&upstream, false, "/proxy/v1alpha/models/gemini-x:generateContent");
    upstream.base_path = S("/proxy");
    upstream.model = S("tunedModels/a b?c#d%e\r\n\"\xc3\xa9");
    targets(&upstream, false,
            "/proxy/v1beta/tunedModels/a%20b%3Fc%23d%25e%0D%0A%22%C3%A9:generateContent");
    upstream = (struct dialect_upstream){.model = S("gemini-x"),
                                         .base_path = S("/v1"),
                                         .surface = SURFACE_VERTEX,
                                         .project = S("p"),
                                         .location = S("l")};
    targets(&upstream, true,
            "/v1/projects/p/locations/l/publishers/google/models/"
            "gemini-x:streamGenerateContent?alt=sse");
    upstream.model = S("a/b c");
    targets(&upstream, true,
            "/v1/projects/p/locations/l/publishers/google/models/"
            "a%2Fb%20c:streamGenerateContent?alt=sse");
}

static void
carries_its_key(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {.model = S("m"), .api_key = S("k")};
    struct dialect_field fields[4];
    struct arena arena;
    arena_init(&arena, 4096);
    assert_int_equal(gemini_dialect.fields(&upstream, &arena, fields), 1);
    assert_string_equal(fields[0].name, "x-goog-api-key");
    upstream.auth = AUTH_BEARER;
    assert_int_equal(gemini_dialect.fields(&upstream, &arena, fields), 1);
    assert_true(slice_is(fields[0].value, "Bearer k"));
    arena_fini(&arena);
}

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

static void
marks_only_the_turn_in_hand(void **state)
{
    (void)state;
    struct dialect_upstream newer = third();
    struct asking asking;
    asks(
        &asking, &openai_chat_dialect, &newer,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"1\"},{\"role\":"
        "\"assistant\",\"tool_calls\":[" TOOL_CALL("a", "f", "{}") "]}," TOOL(
            "a", "r") ",{\"role\":\"assistant\",\"content\":\"done\"},{\"role\":\"user\","
                      "\"content\":\"2\"},"
                      "{\"role\":\"assistant\",\"tool_calls\":[" TOOL_CALL(
                          "b", "f",
                          "{}") "]}," TOOL("b", "r") ",{\"role\":\"assistant\",\"tool_calls\":"
                                                     "[" TOOL_CALL("c", "f",
                                                                   "{}") "]}," TOOL("c", "r") "]}");
    int count = 0;
    for (const char *at = asking.out.ptr;
         (at = strstr(at, "skip_thought_signature_validator")) != NULL; at++)
        count++;
    assert_int_equal(count, 2);
    assert_non_null(
        strstr(asking.out.ptr, "{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}}}"));
    asking_close(&asking);
}

/* ---------------------------------------------------------------- tools */

#define FUNCTION(rest) "{\"type\":\"function\",\"function\":{\"name\":\"f\"" rest "}}"
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
    assert_true(slice_is(canon_client_name(&asking.request, S("_2fa"), &asking.arena), "2fa"));
    assert_true(slice_is(canon_client_name(&asking.request, S("_x"), &asking.arena), "_x"));
    assert_true(
        slice_is(canon_client_name(&asking.request, slice_of(made, 13), &asking.arena), "7.b"));
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

/* ---------------------------------------------------------------- configuration of the answer */

static void
writes_every_setting(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    struct asking asking;
    upstream.max_output_tokens = 8192;
    asks(&asking, &openai_chat_dialect, &upstream,
         HI ",\"temperature\":0,\"top_p\":0.5,\"max_tokens\":99999,\"stop\":[\"a\",\"\",\"b\","
            "\"c\",\"d\",\"e\",\"f\"],\"seed\":7,"
            "\"presence_penalty\":0,\"frequency_penalty\":-1,\"n\":2,\"logprobs\":true,\"top_"
            "logprobs\":3,\"logit_bias\":{\"1\":2},"
            "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
            "\"schema\":{\"type\":\"object\",\"properties\":"
            "{\"a\":{\"const\":\"x\"}},\"additionalProperties\":false}}},\"service_tier\":\"flex\","
            "\"user\":\"u\",\"metadata\":{\"k\":\"v\"}}");
    assert_string_equal(asking.out.ptr,
                        "{" CONTENTS_HI ",\"generationConfig\":{\"temperature\":0,\"topP\":0.5,"
                                        "\"maxOutputTokens\":8192,\"stopSequences\":[\"a\","
                        "\"b\",\"c\",\"d\",\"e\"],\"seed\":7,\"presencePenalty\":0,"
                        "\"frequencyPenalty\":-1,\"candidateCount\":2,"
                        "\"responseLogprobs\":true,\"logprobs\":3,\"responseMimeType\":"
                        "\"application/json\",\"responseSchema\":{\"type\":\"OBJECT\","
                        "\"properties\":{\"a\":{\"type\":\"STRING\",\"enum\":[\"x\"]}}}},"
                        "\"serviceTier\":\"flex\"}");
    static const char *const dropped[] = {"stop", "logit_bias", "user", "metadata"};
    for (size_t i = 0; i < countof(dropped); i++)
        assert_true(asking_dropped(&asking, dropped[i]));
    assert_int_equal(asking.report.count, 4);
    asking_close(&asking);
    asks(&asking, &openai_chat_dialect, &upstream, HI ",\"seed\":99999999999}");
    assert_string_equal(asking.out.ptr, "{" CONTENTS_HI "}");
    assert_true(asking_dropped(&asking, "seed"));
    asking_close(&asking);
    upstream.json_schema = true;
    says(&openai_chat_dialect, &upstream,
         HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":"
            "\"object\",\"$defs\":{}}}}}",
         "\"responseJsonSchema\":{\"type\":\"object\",\"$defs\":{}}", true);
    says(&openai_chat_dialect, &upstream, HI ",\"response_format\":{\"type\":\"json_object\"}}",
         "{\"responseMimeType\":\"application/json\"}", true);
    upstream.surface = SURFACE_VERTEX;
    writes(&openai_chat_dialect, &upstream,
           HI ",\"user\":\"u-1\",\"metadata\":{\"k\":\"v\",\"Bad\":\"v\",\"n\":\"Has Space\"}}",
           "{" CONTENTS_HI ",\"labels\":{\"k\":\"v\",\"user\":\"u-1\"}}");
}

/* Functions and a form of the answer exclude each other before Gemini 3. */
static void
asks_for_the_form_in_words(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    struct asking asking;
    static const char body[] = HI ",\"tools\":[" FUNCTION(
        "") "],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":"
            "{\"type\":\"object\"}}}}";
    asks(&asking, &openai_chat_dialect, &upstream, body);
    assert_null(strstr(asking.out.ptr, "responseMimeType"));
    assert_non_null(
        strstr(asking.out.ptr, "It must match this JSON Schema: {\\\"type\\\":\\\"object\\\"}"));
    assert_true(asking_dropped(&asking, "response_format"));
    asking_close(&asking);
    upstream.thinking_level = true;
    says(&openai_chat_dialect, &upstream, body, "responseSchema", true);
}

static void
adds_configured_defaults(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    upstream.safety = S("[{\"category\":\"C\",\"threshold\":\"OFF\"}]");
    upstream.default_params = S(
        "{\"temperature\":0.5,\"max_tokens\":7,\"stop\":\"x\",\"foreign\":1,\"safetySettings\":[],"
        "\"generationConfig\":{\"topK\":3,\"temperature\":0.1,\"mediaResolution\":\"MEDIA_"
        "RESOLUTION_LOW\"}}");
    writes(&openai_chat_dialect, &upstream, HI "}",
           "{" CONTENTS_HI ",\"generationConfig\":{\"maxOutputTokens\":7,\"topK\":3,"
                           "\"temperature\":0.1,\"mediaResolution\":\"MEDIA_RESOLUTION_LOW\","
           "\"stopSequences\":[\"x\"]},\"safetySettings\":[{\"category\":\"C\",\"threshold\":"
           "\"OFF\"}]}");
    upstream.safety = SLICE_NONE;
    writes(&openai_chat_dialect, &upstream,
           HI ",\"temperature\":0,\"max_tokens\":1,\"stop\":[\"y\"],\"top_k\":0}",
           "{" CONTENTS_HI ",\"generationConfig\":{\"temperature\":0,\"topK\":0,"
                           "\"maxOutputTokens\":1,\"stopSequences\":[\"y\"],"
           "\"mediaResolution\":\"MEDIA_RESOLUTION_LOW\"},\"safetySettings\":[]}");
    upstream.default_params = S("[");
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, HI "}");
    asking_write(&asking, &gemini_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_CONFIG);
    asking_close(&asking);
}

/* ---------------------------------------------------------------- thinking */

static void
thinks(const struct dialect_upstream *upstream, const char *rest, const char *config)
{
    struct sink body, wanted;
    struct asking asking;
    sink_init(&body, 4096);
    sink_init(&wanted, 4096);
    sink_printf(&body, HI "%s}", rest);
    sink_byte(&body, '\0');
    sink_printf(&wanted, "\"thinkingConfig\":%s", config ? config : "");
    sink_byte(&wanted, '\0');
    asks(&asking, &openai_chat_dialect, upstream, body.ptr);
    bool there = strstr(asking.out.ptr, config ? wanted.ptr : "thinkingConfig") != NULL;
    if (there != (config != NULL))
        print_error("%s: %s\n", rest, asking.out.ptr);
    assert_int_equal(there, config != NULL);
    asking_close(&asking);
    sink_fini(&body);
    sink_fini(&wanted);
}

static void
tells_how_much_to_think(void **state)
{
    (void)state;
    struct dialect_upstream upstream = flash();
    thinks(&upstream, "", "{\"includeThoughts\":true}");
    thinks(&upstream, ",\"reasoning_effort\":\"low\"",
           "{\"thinkingBudget\":1024,\"includeThoughts\":true}");
    thinks(&upstream, ",\"reasoning_effort\":\"max\"",
           "{\"thinkingBudget\":24576,\"includeThoughts\":true}");
    thinks(&upstream, ",\"reasoning_effort\":\"high\",\"max_tokens\":1000",
           "{\"thinkingBudget\":800,\"includeThoughts\":true}");
    thinks(&upstream, ",\"reasoning_effort\":\"none\"", "{\"thinkingBudget\":0}");
    thinks(&upstream, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5000}",
           "{\"thinkingBudget\":5000,\"includeThoughts\":true}");
    thinks(&upstream, ",\"thinking\":{\"type\":\"enabled\"}",
           "{\"thinkingBudget\":-1,\"includeThoughts\":true}");
    upstream.thinking_budget_max = 24576; /* R98 */
    thinks(&upstream, "", "{\"thinkingBudget\":24576,\"includeThoughts\":true}");
    thinks(&upstream, ",\"max_tokens\":1000", "{\"thinkingBudget\":800,\"includeThoughts\":true}");
    thinks(&upstream, ",\"thinking\":{\"type\":\"disabled\"}", "{\"thinkingBudget\":0}");
    upstream.default_params =
        S("{\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":1}}}");
    thinks(&upstream, "", "{\"thinkingBudget\":1}");
    thinks(&upstream, ",\"reasoning_effort\":\"low\"",
           "{\"thinkingBudget\":1024,\"includeThoughts\":true}");
    upstream = (struct dialect_upstream){.model = S("gemini-2.5-pro")};
    thinks(&upstream, ",\"reasoning_effort\":\"none\"", "{\"thinkingBudget\":128}");
    upstream = plain();
    thinks(&upstream, "", NULL);
    thinks(&upstream, ",\"reasoning_effort\":\"high\"", NULL);
    upstream.model = S("my-own-name");
    thinks(&upstream, "", NULL);
    thinks(&upstream, ",\"reasoning_effort\":\"medium\"",
           "{\"thinkingBudget\":8192,\"includeThoughts\":true}");
    upstream = third();
    thinks(&upstream, "", "{\"includeThoughts\":true}");
    thinks(&upstream, ",\"reasoning_effort\":\"minimal\"",
           "{\"thinkingLevel\":\"MINIMAL\",\"includeThoughts\":true}");
    thinks(&upstream, ",\"reasoning_effort\":\"none\"", "{\"thinkingLevel\":\"MINIMAL\"}");
    thinks(&upstream, ",\"reasoning_effort\":\"medium\"",
           "{\"thinkingLevel\":\"MEDIUM\",\"includeThoughts\":true}");
    thinks(&upstream, ",\"reasoning_effort\":\"xhigh\"",
           "{\"thinkingLevel\":\"HIGH\",\"includeThoughts\":true}");
    thinks(&upstream, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}",
           "{\"thinkingLevel\":\"LOW\",\"includeThoughts\":true}");
    upstream.model = S("gemini-3-pro-preview");
    thinks(&upstream, ",\"reasoning_effort\":\"none\"", "{\"thinkingLevel\":\"LOW\"}");
    thinks(&upstream, ",\"reasoning_effort\":\"medium\"",
           "{\"thinkingLevel\":\"HIGH\",\"includeThoughts\":true}");
}

/* ---------------------------------------------------------------- counting */

static void
counts(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
       const char *expected)
{
    struct asking asking;
    asking_read(&asking, client, body);
    assert_int_equal(asking.error, 0);
    assert_int_equal(gemini_dialect.write_count(&asking.request, upstream, &asking.out,
                                                &asking.report, &asking.fault),
                     0);
    sink_byte(&asking.out, '\0');
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static void
asks_for_counts(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain(), vertex = plain();
    vertex.surface = SURFACE_VERTEX;
    static const char chat[] = HI
        ",\"temperature\":0,\"user\":\"u\",\"tools\":[" FUNCTION("") "],\"tool_choice\":\"auto\"}";
    counts(&openai_chat_dialect, &upstream, chat,
           "{\"generateContentRequest\":{\"model\":\"models/gemini-2.0-flash\"," CONTENTS_HI
           ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],"
           "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"AUTO\"}},\"generationConfig\":{"
           "\"temperature\":0}}}");
    counts(&openai_chat_dialect, &vertex, chat,
           "{" CONTENTS_HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],"
                           "\"generationConfig\":{\"temperature\":0}}");
    counts(&gemini_dialect, &upstream, " {" CONTENTS_HI "}", " {" CONTENTS_HI "}");
    counts(&gemini_dialect, &upstream,
           "{" CONTENTS_HI ",\"systemInstruction\":{\"parts\":[]},\"model\":\"x\"}",
           "{\"generateContentRequest\":{\"model\":\"models/gemini-2.0-flash\"," CONTENTS_HI
           ",\"systemInstruction\":{\"parts\":[]}}}");
    counts(&gemini_dialect, &upstream,
           "{\"generateContentRequest\":{\"model\":\"models/alias\"," CONTENTS_HI "}}",
           "{\"generateContentRequest\":{\"model\":\"models/gemini-2.0-flash\"," CONTENTS_HI "}}");
    counts(&gemini_dialect, &vertex,
           "{\"generateContentRequest\":{\"model\":\"models/alias\"," CONTENTS_HI
           ",\"toolConfig\":{},\"tools\":[]}}",
           "{" CONTENTS_HI ",\"tools\":[]}");
    struct sink out;
    sink_init(&out, 4096);
    gemini_dialect.put_count_target(&out, &upstream);
    gemini_dialect.write_count_reply(42, &out);
    sink_byte(&out, '\0');
    assert_string_equal(out.ptr, "/v1beta/models/gemini-2.0-flash:countTokens{\"totalTokens\":42}");
    sink_fini(&out);
    assert_true(gemini_dialect.can_count(&upstream));
}

static void
reads_counts(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int error;
        uint64_t tokens;
    } table[] = {{"{\"totalTokens\":31,\"x\":1}", 0, 31},
                 {"{\"totalTokens\":\"31\"}", 0, 31},
                 {"{}", 0, 0},
                 {"{\"totalTokens\":-1}", -ERR_UPSTREAM_PROTOCOL, 0},
                 {"[]", -ERR_UPSTREAM_PROTOCOL, 0},
                 {"{\"total\":1}", -ERR_UPSTREAM_PROTOCOL, 0},
                 {"nonsense", -ERR_UPSTREAM_PROTOCOL, 0}};
    for (size_t i = 0; i < countof(table); i++) {
        struct arena arena;
        uint64_t tokens = 0;
        arena_init(&arena, 1u << 20);
        assert_int_equal(gemini_dialect.read_count(slice_from(table[i].body), &arena, &tokens),
                         table[i].error);
        assert_true(table[i].error != 0 || tokens == table[i].tokens);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_its_targets),
        cmocka_unit_test(carries_its_key),
        cmocka_unit_test(writes_turns),
        cmocka_unit_test(answers_calls_in_one_content),
        cmocka_unit_test(carries_media_of_results),
        cmocka_unit_test(writes_media),
        cmocka_unit_test(sends_signatures_back),
        cmocka_unit_test(marks_only_the_turn_in_hand),
        cmocka_unit_test(writes_tools),
        cmocka_unit_test(gives_names_back),
        cmocka_unit_test(grounds_as_configured),
        cmocka_unit_test(switches_grounding_in_order),
        cmocka_unit_test(writes_every_setting),
        cmocka_unit_test(asks_for_the_form_in_words),
        cmocka_unit_test(adds_configured_defaults),
        cmocka_unit_test(tells_how_much_to_think),
        cmocka_unit_test(asks_for_counts),
        cmocka_unit_test(reads_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
