/* SPDX-License-Identifier: MIT
 *
 * test_gemini_request_read.c - generateContent requests read as canonical ones, and passed on to
 * Gemini as they are.
 */
#include "tests/unit/providers/asking.h"

#define S(text) SLICE_LIT(text)
#define USER "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"

static bool
unsaid(const struct asking *asking, const char *name)
{
    for (int i = 0; i < asking->request.unsaid.count; i++) {
        if (strcmp(asking->request.unsaid.dropped[i], name) == 0)
            return true;
    }
    return false;
}

static void
reads(struct asking *asking, const char *body)
{
    asking_read(asking, &gemini_dialect, body);
    if (asking->error != 0)
        print_error("%.*s\n", SLICE_ARG(asking->fault.message));
    assert_int_equal(asking->error, 0);
}

/* The n-th part of the n-th message. */
static const struct canon_part *
part_at(const struct asking *asking, int message, int part)
{
    const struct canon_message *at = asking->request.messages;
    for (int i = 0; i < message && at; i++)
        at = at->next;
    assert_non_null(at);
    const struct canon_part *one = at->parts;
    for (int i = 0; i < part && one; i++)
        one = one->next;
    assert_non_null(one);
    return one;
}

#define TEXT_IS(slice, text) assert_true(slice_is((slice), (text)))

/* ---------------------------------------------------------------- outline */

static void
outlined(const char *body, int error, const char *param)
{
    struct asking asking;
    asking_read(&asking, &gemini_dialect, body);
    assert_int_equal(asking.error, -error);
    if (error != 0) {
        assert_true(slice_present(asking.fault.message));
        assert_true(param ? slice_is(asking.fault.param, param)
                          : !slice_present(asking.fault.param));
    } else {
        assert_int_equal(asking.request.from, DIALECT_GEMINI);
        assert_true(asking.request.include_usage);
    }
    asking_close(&asking);
}

static void
refuses_what_is_wrong(void **state)
{
    (void)state;
    outlined("{" USER "}", 0, NULL);
    outlined("{\"contents\":{\"parts\":{\"text\":\"one\"}}}", 0, NULL);
    outlined("{\"generateContentRequest\":{\"model\":\"models/x\"," USER "}}", 0, NULL);
    outlined("[]", ERR_REQUEST, NULL);
    outlined("{}", ERR_REQUEST, "contents");
    outlined("{\"contents\":\"hi\"}", ERR_REQUEST, "contents");
    outlined("{\"contents\":[],\"contents\":[]}", ERR_REQUEST, "contents");
    outlined("{\"contents\":[7]}", ERR_REQUEST, "contents");
    outlined("{\"contents\":[{\"role\":\"system\",\"parts\":[]}]}", ERR_REQUEST, "contents");
    outlined("{\"contents\":[{\"parts\":[7]}]}", ERR_REQUEST, "contents[0].parts[0]");
    outlined("{\"contents\":[{\"parts\":[{\"text\":7}]}]}", ERR_REQUEST, "contents[0].parts[0]");
    outlined("{\"contents\":[{\"parts\":[{\"text\":\"\"},{\"functionCall\":{\"name\":\"f\"}}]}]}",
             ERR_REQUEST, "contents[0].parts[1]");
    outlined("{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\","
             "\"args\":[]}}]}]}",
             ERR_REQUEST, "contents[0].parts[0]");
    outlined(
        "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionResponse\":{\"name\":\"f\"}}]}]}",
        ERR_REQUEST, "contents[0].parts[0]");
    outlined("{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/"
             "png\",\"data\":\"a*b\"}}]}]}",
             ERR_REQUEST, "contents[0].parts[0]");
    outlined("{" USER ",\"generationConfig\":{\"topP\":\"high\"}}", ERR_REQUEST, "topP");
    outlined("{" USER ",\"generationConfig\":{\"stopSequences\":[1]}}", ERR_REQUEST,
             "stopSequences");
    outlined("{" USER ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingLevel\":\"HUGE\"}}}",
             ERR_REQUEST, "thinkingLevel");
    outlined("{" USER ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"SOME\"}}}",
             ERR_REQUEST, "mode");
    outlined("{" USER ",\"tools\":[{\"functionDeclarations\":[{\"description\":\"\"}]}]}",
             ERR_REQUEST, "tools");
    outlined("{" USER ",\"cachedContent\":\"cachedContents/x\"}", ERR_UNSUPPORTED, "cachedContent");
    outlined("{" USER ",\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"]}}",
             ERR_UNSUPPORTED, "generationConfig.responseModalities");
    outlined("{" USER ",\"generationConfig\":{\"responseMimeType\":\"text/x.enum\"}}",
             ERR_UNSUPPORTED, "generationConfig.responseMimeType");
}

static void
refuses_what_only_google_has(void **state)
{
    (void)state;
#define FILE_AT(uri)                                                                               \
    "{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":\"" uri                                 \
    "\",\"mimeType\":\"audio/wav\"}}]}]}"
    outlined(FILE_AT("gs://b/o"), ERR_UNSUPPORTED, "fileData");
    outlined(FILE_AT("https://generativelanguage.googleapis.com/v1beta/files/x"), ERR_UNSUPPORTED,
             "fileData");
    outlined(FILE_AT("https://example.com/a.wav"), ERR_UNSUPPORTED, "fileData");
    struct asking asking; /* the name is in the message: the envelope has no other place for it */
    asking_read(&asking, &gemini_dialect, FILE_AT("gs://b/o"));
    assert_true(slice_starts(asking.fault.message, S("fileData: ")));
    asking_close(&asking);
}

/* ---------------------------------------------------------------- fields */

static void
reads_every_field(void **state)
{
    (void)state;
    struct asking asking;
    reads(&asking,
          "{" USER ",\"systemInstruction\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
          "\"generationConfig\":{\"temperature\":0,\"topP\":0.0,\"topK\":40.0,\"candidateCount\":2,"
          "\"maxOutputTokens\":\"100\","
          "\"stopSequences\":[\"x\",\"\"],\"seed\":-1,\"presencePenalty\":0.5,\"frequencyPenalty\":"
          "-1.5,\"responseLogprobs\":true,"
          "\"logprobs\":2,\"responseMimeType\":\"application/"
          "json\",\"responseSchema\":{\"type\":\"STRING\",\"nullable\":true},"
          "\"thinkingConfig\":{\"includeThoughts\":false,\"thinkingBudget\":512},\"speechConfig\":{"
          "}},"
          "\"safetySettings\":[{\"category\":\"C\"}],\"labels\":{\"a\":\"b\"},\"serviceTier\":"
          "\"standard\",\"future\":1}");
    const struct canon_request *request = &asking.request;
    TEXT_IS(request->temperature, "0");
    TEXT_IS(request->top_p, "0.0");
    TEXT_IS(request->top_k, "40");
    TEXT_IS(request->n, "2");
    TEXT_IS(request->max_tokens, "100");
    TEXT_IS(request->seed, "-1");
    TEXT_IS(request->presence_penalty, "0.5");
    TEXT_IS(request->frequency_penalty, "-1.5");
    TEXT_IS(request->logprobs, "true");
    TEXT_IS(request->top_logprobs, "2");
    TEXT_IS(request->stop->text, "x");
    TEXT_IS(request->stop->next->text, "");
    assert_int_equal(request->format, FORMAT_JSON_SCHEMA);
    TEXT_IS(request->format_schema, "{\"type\":[\"string\",\"null\"]}");
    assert_int_equal(request->thinking, THINKING_ENABLED);
    TEXT_IS(request->thinking_budget, "512");
    assert_int_equal(request->show_thoughts, 0);
    assert_int_equal(request->parallel, -1);
    TEXT_IS(request->safety, "[{\"category\":\"C\"}]");
    TEXT_IS(request->metadata, "{\"a\":\"b\"}");
    TEXT_IS(request->service_tier, "default");
    assert_int_equal(request->messages->role, ROLE_SYSTEM);
    TEXT_IS(part_at(&asking, 0, 0)->text, "a");
    TEXT_IS(part_at(&asking, 0, 1)->text, "b");
    TEXT_IS(part_at(&asking, 1, 0)->text, "hi");
    assert_true(unsaid(&asking, "speechConfig"));
    assert_true(unsaid(&asking, "unknown field"));
    assert_int_equal(asking.request.unsaid.count, 2);
    asking_close(&asking);
}

static void
reads_the_other_spellings(void **state)
{
    (void)state;
    struct asking asking;
    reads(&asking, "{" USER ",\"system_instruction\":\"plain\",\"generation_config\":{\"max_output_"
                   "tokens\":5,\"top_k\":3,"
                   "\"response_mime_type\":\"application/"
                   "json\",\"response_json_schema\":{\"type\":\"object\"},"
                   "\"thinking_config\":{\"include_thoughts\":true,\"thinking_level\":3}},"
                   "\"tools\":{\"function_declarations\":[{\"name\":\"f\",\"description\":null,"
                   "\"parameters_json_schema\":{\"type\":\"object\",\"x\":1}}]},"
                   "\"tool_config\":{\"function_calling_config\":{\"mode\":2,\"allowed_function_"
                   "names\":[\"f\"]}}}");
    TEXT_IS(asking.request.max_tokens, "5");
    TEXT_IS(asking.request.top_k, "3");
    TEXT_IS(asking.request.format_schema, "{\"type\":\"object\"}");
    TEXT_IS(asking.request.effort, "high");
    assert_int_equal(asking.request.show_thoughts, 1);
    TEXT_IS(asking.request.tools->name, "f");
    TEXT_IS(asking.request.tools->schema, "{\"type\":\"object\",\"x\":1}");
    assert_false(slice_present(asking.request.tools->description));
    assert_int_equal(asking.request.choice, CHOICE_NAMED);
    TEXT_IS(asking.request.choice_name, "f");
    assert_null(asking.request.choice_allowed);
    TEXT_IS(part_at(&asking, 0, 0)->text, "plain");
    assert_int_equal(asking.request.unsaid.count, 0);
    asking_close(&asking);
}

static void
choice_of(const char *config, enum canon_choice choice, const char *allowed)
{
    struct asking asking;
    struct sink body;
    sink_init(&body, 4096);
    sink_printf(&body, "{" USER ",\"toolConfig\":{\"functionCallingConfig\":%s}}", config);
    sink_byte(&body, '\0');
    reads(&asking, body.ptr);
    assert_int_equal(asking.request.choice, choice);
    assert_true(allowed ? slice_is(asking.request.choice_allowed->text, allowed)
                        : asking.request.choice_allowed == NULL);
    asking_close(&asking);
    sink_fini(&body);
}

static void
reads_choices_and_thinking(void **state)
{
    (void)state;
    choice_of("{}", CHOICE_UNSET, NULL);
    choice_of("{\"mode\":\"AUTO\"}", CHOICE_AUTO, NULL);
    choice_of("{\"mode\":\"none\"}", CHOICE_NONE, NULL);
    choice_of("{\"mode\":\"ANY\"}", CHOICE_REQUIRED, NULL);
    choice_of("{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"a\",\"b\"]}", CHOICE_REQUIRED, "a");
    choice_of("{\"mode\":\"VALIDATED\",\"allowedFunctionNames\":[\"a\"]}", CHOICE_AUTO, "a");
    struct asking asking;
    reads(&asking, "{" USER ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":0}}}");
    assert_int_equal(asking.request.thinking, THINKING_DISABLED);
    assert_int_equal(asking.request.show_thoughts, -1);
    asking_close(&asking);
    reads(&asking, "{" USER ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":-1}}}");
    assert_int_equal(asking.request.thinking, THINKING_ADAPTIVE);
    assert_false(slice_present(asking.request.thinking_budget));
    asking_close(&asking);
}

static void
reads_tools(void **state)
{
    (void)state;
    struct asking asking;
    reads(&asking, "{" USER ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"a\",\"parameters\":"
                   "{\"type\":\"OBJECT\",\"properties\":{\"p\":"
                   "{\"type\":\"STRING\",\"nullable\":true}}},\"response\":{\"type\":\"STRING\"}},{"
                   "\"name\":\"b\"}],\"googleSearch\":{}},"
                   "{\"codeExecution\":{}}]}");
    const struct canon_tool *tool = asking.request.tools;
    TEXT_IS(tool->name, "a");
    TEXT_IS(tool->schema,
            "{\"type\":\"object\",\"properties\":{\"p\":{\"type\":[\"string\",\"null\"]}}}");
    tool = tool->next;
    TEXT_IS(tool->name, "b");
    assert_false(slice_present(tool->schema));
    tool = tool->next;
    assert_int_equal(tool->kind, TOOL_NATIVE);
    TEXT_IS(tool->type, "googleSearch");
    TEXT_IS(tool->next->type, "codeExecution");
    assert_true(unsaid(&asking, "functionDeclarations.response"));
    asking_close(&asking);
}

/* ---------------------------------------------------------------- parts */

static void
reads_media(void **state)
{
    (void)state;
    struct asking asking;
    reads(&asking,
          "{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/"
          "png\",\"data\":\"-_8=\"}},"
          "{\"inline_data\":{\"mime_type\":\"audio/"
          "x-wav\",\"data\":\"QUJD\"}},{\"inlineData\":{\"mimeType\":\"video/"
          "mp4\",\"data\":\"QUJD\"}},"
          "{\"inlineData\":{\"mimeType\":\"application/"
          "pdf\",\"data\":\"QU\\r\\nJD\",\"displayName\":\"n.pdf\"}},"
          "{\"fileData\":{\"fileUri\":\"https://example.com/a.png?x=1\"}},"
          "{\"fileData\":{\"fileUri\":\"https://www.youtube.com/"
          "watch?v=x\"}},{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"}}]}]}");
    const struct canon_part *part = part_at(&asking, 0, 0);
    assert_int_equal(part->kind, PART_IMAGE);
    TEXT_IS(part->media_type, "image/png");
    TEXT_IS(part->data, "+/8=");
    part = part->next;
    assert_int_equal(part->kind, PART_AUDIO);
    TEXT_IS(part->media_type, "wav");
    part = part->next;
    assert_int_equal(part->kind, PART_VIDEO);
    part = part->next;
    assert_int_equal(part->kind, PART_DOCUMENT);
    TEXT_IS(part->data, "QUJD");
    TEXT_IS(part->name, "n.pdf");
    part = part->next;
    assert_int_equal(part->kind, PART_IMAGE);
    TEXT_IS(part->url, "https://example.com/a.png?x=1");
    part = part->next;
    assert_int_equal(part->kind, PART_VIDEO);
    assert_true(slice_present(part->url));
    part = part->next;
    assert_int_equal(part->kind, PART_NATIVE);
    TEXT_IS(part->name, "executableCode");
    asking_close(&asking);
}

#define CALL(name, args) "{\"functionCall\":{\"name\":\"" name "\",\"args\":" args "}}"
#define RESPONSE(name, text) "{\"functionResponse\":{\"name\":\"" name "\",\"response\":" text "}}"

/* Calls without ids get one, and the responses of that name, in order, the same: in every request
 * again. */
static void
pairs_calls_without_ids(void **state)
{
    (void)state;
    static const char body[] =
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"go\"}]},{"
        "\"role\":\"model\",\"parts\":[" CALL("f", "{\"a\":1}") "," CALL("g", "{}") "," CALL("f", "{\"a\":2}") "]},{\"role\":\"function\",\"parts\":[" RESPONSE(
            "f", "{\"output\":\"one\"}") "," RESPONSE("f",
                                                      "{\"result\":{\"deep\":[1]}"
                                                      "}") "," RESPONSE("g",
                                                                        "{\""
                                                                        "err"
                                                                        "or"
                                                                        "\":"
                                                                        "\"n"
                                                                        "o\""
                                                                        "}") "," RESPONSE("h",
                                                                                          "{\"x\":"
                                                                                          "\"y\","
                                                                                          "\"z\":"
                                                                                          "1}") "]}"
                                                                                                "]"
                                                                                                "}";
    struct asking asking, again;
    reads(&asking, body);
    reads(&again, body);
    const struct canon_part *first = part_at(&asking, 1, 0), *second = first->next,
                            *third = second->next;
    assert_int_equal(first->id.len, 29);
    assert_true(slice_starts(first->id, S("call_")));
    assert_false(slice_eq(first->id, third->id));
    assert_true(slice_eq(first->id, part_at(&again, 1, 0)->id));
    TEXT_IS(first->arguments, "{\"a\":1}");
    const struct canon_part *result = part_at(&asking, 2, 0);
    assert_true(slice_eq(result->id, first->id));
    TEXT_IS(result->parts->text, "one");
    result = result->next;
    assert_true(slice_eq(result->id, third->id));
    TEXT_IS(result->parts->text, "{\\\"deep\\\":[1]}");
    result = result->next;
    assert_true(slice_eq(result->id, second->id));
    assert_true(result->is_error);
    TEXT_IS(result->parts->text, "no");
    result = result->next; /* nobody asked for h */
    TEXT_IS(result->parts->text, "{\\\"x\\\":\\\"y\\\",\\\"z\\\":1}");
    assert_int_equal(result->id.len, 29);
    asking_close(&asking);
    asking_close(&again);
}

static void
keeps_ids_that_are_given(void **state)
{
    (void)state;
    struct asking asking;
    reads(
        &asking,
        "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"c1\",\"name\":"
        "\"f\"}},{\"functionCall\":{\"id\":\"c2\","
        "\"name\":\"f\"}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c2\","
        "\"name\":\"f\",\"response\":{},\"parts\":"
        "[{\"inlineData\":{\"mimeType\":\"image/"
        "png\",\"data\":\"QUJD\"}}]}},{\"functionResponse\":{\"name\":\"f\",\"response\":{}}}]}]}");
    TEXT_IS(part_at(&asking, 0, 0)->arguments, "{}");
    TEXT_IS(part_at(&asking, 1, 0)->id, "c2");
    assert_int_equal(part_at(&asking, 1, 0)->parts->kind, PART_IMAGE);
    assert_null(part_at(&asking, 1, 0)->parts->next);
    TEXT_IS(part_at(&asking, 1, 1)->id, "c1");
    TEXT_IS(part_at(&asking, 1, 1)->parts->text, "{}");
    asking_close(&asking);
}

/* P28: a signature may stand on any part. What another provider signed is unwrapped, and stands
 * with the thought it belongs to. */
static void
reads_signatures(void **state)
{
    (void)state;
    struct asking asking;
    reads(&asking, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]},"
                   "{\"role\":\"model\",\"parts\":[{\"text\":\"think "
                   "\",\"thought\":true},{\"text\":\"more\",\"thought\":true}]},"
                   "{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]},{\"role\":\"model\","
                   "\"parts\":[{\"text\":\"b\"},"
                   "{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":\"c2ln\"},{\"text\":"
                   "\"\",\"thoughtSignature\":\"ZW5k\"}]},"
                   "{\"role\":\"user\",\"parts\":[{\"text\":\"x\"},{\"text\":\"y\"}]}]}");
    const struct canon_part *part = part_at(&asking, 1, 0);
    assert_int_equal(part->kind, PART_THINKING);
    TEXT_IS(part->text, "think more");
    assert_false(slice_present(part->signature));
    part = part->next;
    TEXT_IS(part->text, "ab");
    part = part->next;
    assert_int_equal(part->kind, PART_CALL);
    TEXT_IS(part->signature, "c2ln");
    assert_int_equal(part->origin, ORIGIN_GEMINI);
    part = part->next;
    assert_int_equal(part->kind, PART_TEXT);
    TEXT_IS(part->signature, "ZW5k");
    assert_null(part->next);
    TEXT_IS(part_at(&asking, 2, 1)->text, "y"); /* what a user says in pieces stays so */
    asking_close(&asking);
    reads(&asking,
          "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"inlineData\":{\"mimeType\":\"image/"
          "png\",\"data\":\"QUJD\"},\"thoughtSignature\":\"c2ln\"}]}]}");
    TEXT_IS(part_at(&asking, 0, 0)->signature, "c2ln");
    assert_int_equal(part_at(&asking, 0, 0)->origin, ORIGIN_GEMINI);
    asking_close(&asking);
    /* base64 of "penstock.1.anthropic.c3RhdGU", and the wrapper itself for redacted reasoning */
    reads(&asking,
          "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"text\":\"t1\",\"thought\":true},"
          "{\"text\":\"\",\"thoughtSignature\":\"cGVuc3RvY2suMS5hbnRocm9waWMuYzNSaGRHVQ==\"},{"
          "\"text\":\"say\"},"
          "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"penstock.1.anthropic-redacted."
          "c3RhdGU\"},"
          "{\"text\":\"x\",\"thoughtSignature\":\"penstock.1.nobody.c3RhdGU\"}]}]}");
    part = part_at(&asking, 0, 0);
    assert_int_equal(part->kind, PART_THINKING);
    TEXT_IS(part->text, "t1");
    TEXT_IS(part->signature, "state");
    assert_int_equal(part->origin, ORIGIN_ANTHROPIC);
    while (part && part->kind != PART_REDACTED)
        part = part->next;
    assert_non_null(part);
    TEXT_IS(part->data, "state");
    assert_int_equal(part->origin, ORIGIN_ANTHROPIC);
    TEXT_IS(part->next->text, "x");
    assert_false(slice_present(part->next->signature));
    asking_close(&asking);
}

/* ---------------------------------------------------------------- passing */

static void
passes(const struct dialect_upstream *upstream, const char *body, const char *expected)
{
    struct asking asking;
    asking_read(&asking, &gemini_dialect, body);
    assert_int_equal(gemini_dialect.pass_request(&asking.request, upstream, &asking.out), 0);
    sink_byte(&asking.out, '\0');
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static void
passes_bytes_unchanged(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {.model = S("gemini-x")};
    static const char odd[] = " { \"future\" : [ 1.0 ], " USER " ,\"safety_settings\":[] }\n";
    passes(&upstream, odd, odd);
    passes(&upstream, "{" USER ",\"cachedContent\":\"c\"}", "{" USER ",\"cachedContent\":\"c\"}");
    passes(&upstream, "{" USER ",\"model\":\"models/alias\"}",
           "{" USER ",\"model\":\"models/gemini-x\"}");
    passes(&upstream, "{" USER ",\"model\":\"models/gemini-x\"}",
           "{" USER ",\"model\":\"models/gemini-x\"}");
    upstream.safety = S("[{\"threshold\":\"OFF\"}]");
    passes(&upstream, odd, odd);
    passes(&upstream, "{" USER "}", "{" USER ",\"safetySettings\":[{\"threshold\":\"OFF\"}]}");
    upstream.safety = SLICE_NONE;
    upstream.default_params =
        S("{\"temperature\":0.5,\"max_tokens\":7,\"stop\":\"x\",\"foreign\":1,\"labels\":{\"a\":"
          "\"b\"},\"generationConfig\":{\"topK\":3,\"temperature\":0.1}}");
    passes(&upstream, "{" USER "}",
           "{" USER ",\"generationConfig\":{\"topK\":3,\"temperature\":0.1,\"maxOutputTokens\":7,"
           "\"stopSequences\":[\"x\"]},\"labels\":{\"a\":\"b\"}}");
    passes(&upstream,
           "{" USER ",\"generation_config\":{\"top_k\":1,\"maxOutputTokens\":0},\"labels\":{}}",
           "{" USER ",\"generation_config\":{\"top_k\":1,\"maxOutputTokens\":0,\"temperature\":0.1,"
           "\"stopSequences\":[\"x\"]},\"labels\":{}}");
}

static void
passes_with_grounding_as_configured(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {.model = S("m"), .grounding = SWITCH_ON};
    passes(&upstream, "{" USER "}", "{" USER ",\"tools\":[{\"googleSearch\":{}}]}");
    passes(&upstream, "{" USER ",\"tools\":[{\"urlContext\":{}}]}",
           "{" USER ",\"tools\":[{\"urlContext\":{}},{\"googleSearch\":{}}]}");
    passes(&upstream, "{" USER ",\"tools\":[ {\"google_search\":{}} ]}",
           "{" USER ",\"tools\":[ {\"google_search\":{}} ]}");
    upstream.grounding = SWITCH_OFF;
    passes(&upstream, "{" USER ",\"tools\":[{\"googleSearch\":{}},{\"urlContext\":{}}]}",
           "{" USER ",\"tools\":[{\"urlContext\":{}}]}");
    passes(&upstream, "{" USER "}", "{" USER "}");
    upstream = (struct dialect_upstream){.model = S("m"), .surface = SURFACE_VERTEX};
    passes(&upstream, "{\"contents\":[{\"parts\":[]},{\"role\":\"model\"}]}",
           "{\"contents\":[{\"parts\":[],\"role\":\"user\"},{\"role\":\"model\"}]}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(refuses_what_only_google_has),
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(reads_the_other_spellings),
        cmocka_unit_test(reads_choices_and_thinking),
        cmocka_unit_test(reads_tools),
        cmocka_unit_test(reads_media),
        cmocka_unit_test(pairs_calls_without_ids),
        cmocka_unit_test(keeps_ids_that_are_given),
        cmocka_unit_test(reads_signatures),
        cmocka_unit_test(passes_bytes_unchanged),
        cmocka_unit_test(passes_with_grounding_as_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
