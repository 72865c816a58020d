/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_models.c - what a Claude of some generation, or on some surface, can be asked, and
 * what becomes of the rest of a request.
 */
#include "tests/unit/providers/claude.h"

/* What another provider's model showed or ran itself is no part of the conversation here; the rest
 * of it is. */
static void
leaves_out_what_assistants_made(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect,
                "{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
                "\"assistant\",\"content\":\"b\","
                "\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
                "png;base64,iVBORw0KGgo=\"}}]},"
                "{\"role\":\"user\",\"content\":\"c\"}]}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_string_equal(asking.out.ptr, HEAD "\"messages\":[" USER(
                                            "a") ",{\"role\":\"assistant\",\"content\":[{\"type\":"
                                                 "\"text\",\"text\":\"b\"}]}," USER("c") "]}");
    assert_true(asking_dropped(&asking, "media of the assistant"));
    asking_close(&asking);
    asking_read(&asking, &openai_responses_dialect,
                "{\"model\":\"gpt\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"type\":"
                "\"web_search_call\",\"id\":\"ws_1\","
                "\"status\":\"completed\",\"action\":{\"type\":\"search\",\"query\":\"q\"}},{"
                "\"type\":\"message\",\"role\":\"assistant\","
                "\"content\":[{\"type\":\"output_text\",\"text\":\"b\"}]},{\"role\":\"user\","
                "\"content\":\"c\"}]}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    if (asking.error != 0)
        print_error("%.*s\n", SLICE_ARG(asking.fault.message));
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(
        asking.out.ptr,
        USER("a") ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},"));
    assert_true(asking_dropped(&asking, "hosted tools of the assistant"));
    asking_close(&asking);
}

/* A subset that may be called is the tools that are given (11.3). */
static void
gives_allowed_tools_only(void **state)
{
    (void)state;
#define NAMED(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"
#define TAKES(name)                                                                                \
    "{\"name\":\"" name "\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}"
#define SUBSET(mode, tools)                                                                        \
    ASKS_WITH("\"tools\":[" NAMED("a") "," NAMED("b") "," NAMED(                                   \
        "c") "],\"tool_choice\":{\"type\":\"allowed_tools\","                                      \
             "\"allowed_tools\":{\"mode\":\"" mode "\",\"tools\":[" tools "]}}")
    becomes(SUBSET("required", NAMED("c") "," NAMED("a")),
            GETS("\"tools\":[" TAKES("a") "," TAKES("c") "],\"tool_choice\":{\"type\":\"any\"}"));
    becomes(SUBSET("auto", NAMED("b")),
            GETS("\"tools\":[" TAKES("b") "],\"tool_choice\":{\"type\":\"auto\"}"));
    refused(SUBSET("auto", NAMED("z")), "tool_choice");
}

/* The models before 4.1 know no form for an answer: a tool's input stands for it, or words. */
static void
asks_old_models_for_a_form(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
    upstream.model = S("claude-sonnet-4-20250514");
#define OLD "{\"model\":\"claude-sonnet-4-20250514\",\"max_tokens\":4096,\"stream\":true,"
#define SCHEMA "{\"type\":\"object\",\"properties\":{\"a\":{}}}"
#define FORM(schema)                                                                               \
    "\"reasoning_effort\":\"low\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{" \
    "\"name\":\"n\",\"schema\":" schema "}}"
    becomes_with(
        &upstream, ASKS_WITH(FORM(SCHEMA)),
        OLD "\"messages\":[" USER(
            "hi") "],\"tools\":[{\"name\":\"penstock_json_answer\",\"description\":\"Give the "
                  "answer as the input of this tool.\",\"input_schema\":" SCHEMA
                  "}],\"tool_choice\":{\"type\":\"tool\","
                  "\"name\":\"penstock_json_answer\"}}");
    /* what is no object, or stands beside tools, is said in words */
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, ASKS_WITH(FORM("{\"type\":\"array\"}")));
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(asking.out.ptr,
                           "It must conform to this JSON Schema: {\\\"type\\\":\\\"array\\\"}"));
    assert_null(strstr(asking.out.ptr, "penstock_json_answer"));
    assert_null(strstr(asking.out.ptr, "output_config"));
    assert_true(asking_dropped(&asking, "response_format"));
    asking_close(&asking);
    asking_read(&asking, &openai_chat_dialect, ASKS_WITH(FORM(SCHEMA) ",\"tools\":[" TOOL("") "]"));
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(asking.out.ptr, "It must conform"));
    assert_null(strstr(asking.out.ptr, "penstock_json_answer"));
    asking_close(&asking);
}

/* Only models that think as they like can be forced to call, and are told what to show. */
static void
thinks_as_the_model_can(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
    upstream.model = S("claude-opus-4-6");
    becomes_with(
        &upstream,
        ASKS_WITH(
            "\"reasoning_effort\":\"low\",\"tool_choice\":\"required\",\"tools\":[" TOOL("") "]"),
        "{\"model\":\"claude-opus-4-6\",\"max_tokens\":4096,\"stream\":true,\"messages\":[" USER(
            "hi") "],"
                  "\"tools\":[" TAKES("f") "],\"tool_choice\":{\"type\":\"any\"},"
                                           "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":"
                                           "{\"effort\":\"low\"}}");
    /* an open loop needs its thought with a budget only */
    becomes_with(&upstream,
                 "{\"model\":\"gpt\",\"reasoning_effort\":\"low\",\"messages\":[" CALLS(
                     CALL("a", "f", "{}")) "," TOLD("a", "A") "]}",
                 "{\"model\":\"claude-opus-4-6\",\"max_tokens\":4096,\"stream\":true,\"messages\":"
                 "[" USES(USE("a", "f", "{}")) ",{\"role\":\"user\",\"content\":[" RESULT(
                     "a", "A") "]}],"
                               "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":"
                               "\"low\"}}");
    static const struct {
        const char *model;
        int show;
        const char *display; /* NULL: none */
    } shows[] = {
        {"claude-opus-4-6", 1, "summarized"}, {"claude-opus-4-6", 0, "omitted"},
        {"claude-opus-4-6", -1, NULL},        {"claude-haiku-4-5", 1, NULL},
        {"claude-haiku-4-5", 0, "omitted"},   {"claude-3-7-sonnet", 0, NULL},
    };
    for (size_t i = 0; i < countof(shows); i++) {
        struct asking asking;
        char expected[64];
        upstream.model = slice_from(shows[i].model);
        asking_read(&asking, &openai_chat_dialect, ASKS_WITH("\"reasoning_effort\":\"medium\""));
        asking.request.show_thoughts = shows[i].show;
        asking_write(&asking, &anthropic_dialect, &upstream);
        (void)snprintf(expected, sizeof(expected), "\"display\":\"%s\"",
                       shows[i].display ? shows[i].display : "");
        assert_int_equal(strstr(asking.out.ptr, expected) != NULL, shows[i].display != NULL);
        asking_close(&asking);
    }
}

/* After 4.6 models choose how they sample: only saying what they do anyway is no loss. */
static void
leaves_sampling_to_late_models(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
    struct asking asking;
#define SAMPLED                                                                                    \
    "{\"model\":\"claude-opus-4-7\",\"max_tokens\":4096,\"stream\":true,\"messages\":[" USER(      \
        "hi") "]}"
    upstream.model = S("claude-opus-4-7");
    upstream.default_params = S("{\"temperature\":0.3}");
    becomes_with(&upstream, ASKS_WITH("\"temperature\":1"), SAMPLED);
    asking_read(&asking, &openai_chat_dialect,
                ASKS_WITH("\"temperature\":0.2,\"top_p\":0.5,\"top_k\":4"));
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_string_equal(asking.out.ptr, SAMPLED);
    assert_true(asking_dropped(&asking, "temperature") && asking_dropped(&asking, "top_p") &&
                asking_dropped(&asking, "top_k"));
    asking_close(&asking);
}

/* What Responses and Gemini can ask for and Messages cannot is said; who merely asks to see
 * thoughts wants some. */
static void
reports_fields_of_other_dialects(void **state)
{
    (void)state;
    static const char *const names[] = {"verbosity", "prompt_cache_key", "store", "safetySettings"};
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, ASKS_WITH("\"audio\":{\"voice\":\"x\"}"));
    asking.request.from = DIALECT_GEMINI; /* which has no such field */
    asking.request.show_thoughts = 1;
    asking.request.verbosity = S("low");
    asking.request.cache_key = S("k");
    asking.request.store = S("true");
    asking.request.safety = S("[]");
    asking_write(&asking, &anthropic_dialect, &upstream);
    if (asking.error != 0)
        print_error("%.*s\n", SLICE_ARG(asking.fault.message));
    assert_int_equal(asking.error, 0);
    for (size_t i = 0; i < countof(names); i++)
        assert_true(asking_dropped(&asking, names[i]));
    assert_non_null(
        strstr(asking.out.ptr, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}"));
    asking_close(&asking);
    asking_read(&asking, &openai_chat_dialect, ASKS_WITH("\"n\":2"));
    asking.request.from = DIALECT_GEMINI;
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(slice_is(asking.fault.param, "candidateCount"));
    asking_close(&asking);
}

/* Claude on Vertex fetches nothing (P42), and takes no hints about tools. */
static void
keeps_from_vertex_what_it_refuses(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
    upstream.surface = SURFACE_VERTEX;
    upstream.strip_tool_fields = true;
    static const char body[] = "{\"model\":\"gpt\",\"tools\":[" TOOL(
        ",\"strict\":true") "],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                            "\"image_url\",\"image_url\":{\"url\":\"https://x.test/a.png\"}}]}]}";
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(slice_is(asking.fault.param, "an image by URL"));
    asking_close(&asking);
    upstream.url_media = true;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_null(strstr(asking.out.ptr, "strict"));
    assert_true(asking_dropped(&asking, "tools.strict"));
    asking_close(&asking);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_out_what_assistants_made),
        cmocka_unit_test(gives_allowed_tools_only),
        cmocka_unit_test(asks_old_models_for_a_form),
        cmocka_unit_test(thinks_as_the_model_can),
        cmocka_unit_test(leaves_sampling_to_late_models),
        cmocka_unit_test(reports_fields_of_other_dialects),
        cmocka_unit_test(keeps_from_vertex_what_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
