/* SPDX-License-Identifier: MIT
 *
 * test_gemini_request_config.c - where Gemini is asked, with which settings, how much to think, and
 * how many tokens there are.
 */
#include "tests/unit/providers/gemini_asking.h"

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
        cmocka_unit_test(names_its_targets),        cmocka_unit_test(carries_its_key),
        cmocka_unit_test(writes_every_setting),     cmocka_unit_test(asks_for_the_form_in_words),
        cmocka_unit_test(adds_configured_defaults), cmocka_unit_test(tells_how_much_to_think),
        cmocka_unit_test(asks_for_counts),          cmocka_unit_test(reads_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
