/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_request.c - Chat requests as Messages requests, Messages requests read, and passed
 * on unread.
 */
#include "tests/unit/providers/asking.h"

#define S(text) SLICE_LIT(text)
#define HEAD "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":4096,\"stream\":true,"
#define USER(text) "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}"
#define ASKS "{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static struct dialect_upstream
haiku(void)
{
    return (struct dialect_upstream){
        .model = S("claude-haiku-4-5"), .base_path = S(""), .effort = TELL_THINKING};
}

static void
becomes_with(const struct dialect_upstream *upstream, const char *body, const char *expected)
{
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    assert_int_equal(asking.error, 0);
    asking_write(&asking, &anthropic_dialect, upstream);
    if (asking.error != 0)
        print_error("%.*s\n", SLICE_ARG(asking.fault.message));
    assert_int_equal(asking.error, 0);
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static void
becomes(const char *body, const char *expected)
{
    struct dialect_upstream upstream = haiku();
    becomes_with(&upstream, body, expected);
}

static void
refused(const char *body, const char *param)
{
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(slice_present(asking.fault.message));
    assert_true(slice_is(asking.fault.param, param));
    asking_close(&asking);
}

static void
drops(const char *body, const char *name)
{
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    if (!asking_dropped(&asking, name))
        print_error("%s was not reported\n", name);
    assert_true(asking_dropped(&asking, name));
    asking_close(&asking);
}

/* Nothing is reported that was not left out. */
static void
keeps_silent(const char *body)
{
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_int_equal(asking.report.count, 0);
    asking_close(&asking);
}

static void
translates_turns(void **state)
{
    (void)state;
    becomes("{\"model\":\"gpt\",\"messages\":[{\"role\":\"system\",\"content\":\"be "
            "\\\"brief\\\"\"},{\"role\":\"user\",\"content\":\"hi\"}]}",
            HEAD "\"system\":\"be \\\"brief\\\"\",\"messages\":[" USER("hi") "]}");
    becomes("{\"model\":\"gpt\",\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":"
            "\"developer\",\"content\":\"b\"},"
            "{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\",\"content\":[{\"type\":"
            "\"text\",\"text\":\"y\"},"
            "{\"type\":\"text\",\"text\":\"\"}]},{\"role\":\"assistant\",\"content\":\"\"},{"
            "\"role\":\"system\",\"content\":\"c\"},"
            "{\"role\":\"assistant\",\"content\":\"z\"}]}",
            HEAD "\"system\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}"
                 "],\"messages\":["
                 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":"
                 "\"text\",\"text\":\"y\"},"
                 "{\"type\":\"text\",\"text\":\"<system-reminder>\\nc\\n</system-reminder>\"}]},"
                 "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"z\"}]}]}");
    becomes("{\"model\":\"gpt\",\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":"
            "\"user\",\"content\":\" \\n\"}]}",
            HEAD "\"system\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\".\"}]}");
}

#define CALLS(calls) "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" calls "]}"
#define CALL(id, name, arguments)                                                                  \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name                      \
    "\",\"arguments\":\"" arguments "\"}}"
#define TOLD(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"
#define USES(uses) "{\"role\":\"assistant\",\"content\":[" uses "]}"
#define USE(id, name, input)                                                                       \
    "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":" input "}"
#define RESULT(id, text)                                                                           \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":\"" text "\"}"

static void
pairs_calls_and_results(void **state)
{
    (void)state;
    /* in one user turn, in the order given, in front of what the user said between them */
    becomes(
        "{\"model\":\"gpt\",\"messages\":[" CALLS(CALL("a", "f", "{\\\"x\\\":1}") "," CALL(
            "b", "g",
            "")) "," TOLD("b", "B") ",{\"role\":\"user\",\"content\":\"well\"}," TOLD("a",
                                                                                      "A") "]}",
        HEAD "\"messages\":[" USES(USE("a", "f", "{\"x\":1}") "," USE(
            "b", "g",
            "{}")) ",{\"role\":\"user\",\"content\":[" RESULT("b",
                                                              "B") "," RESULT("a",
                                                                              "A") ",{\"type\":"
                                                                                   "\"text\","
                                                                                   "\"text\":"
                                                                                   "\"well\"}]}]}");
    /* a result that is missing, one that answers nothing, one that comes too late */
    becomes("{\"model\":\"gpt\",\"messages\":[" CALLS(CALL("a", "f", "null")) "," TOLD(
                "z", "Z") ","
                          "{\"role\":\"assistant\",\"content\":\"ok\"}," TOLD("a", "A") "]}",
            HEAD
            "\"messages\":[" USES(USE("a", "f", "{}")) ",{\"role\":\"user\",\"content\":[" RESULT(
                "a", "[no result]") ",{\"type\":\"text\",\"text\":\"[result of tool call "
                                    "z]\"},{\"type\":\"text\",\"text\":\"Z\"}]},"
                                    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
                                    "\"text\":\"ok\"}]},{\"role\":\"user\",\"content\":["
                                    "{\"type\":\"text\",\"text\":\"[result of tool call "
                                    "a]\"},{\"type\":\"text\",\"text\":\"A\"}]}]}");
    becomes("{\"model\":\"gpt\",\"messages\":[" CALLS(CALL("a", "f", "{}")) "]}", HEAD
            "\"messages\":[" USES(USE("a", "f", "{}")) ",{\"role\":\"user\",\"content\":[" RESULT(
                "a", "[no result]") "]}]}");
    /* arguments that are no object */
    becomes(
        "{\"model\":\"gpt\",\"messages\":[" CALLS(CALL("a", "f", "{oops") "," CALL(
            "b", "f", "[1]")) "," TOLD("a", "A") "," TOLD("b", "B") "]}",
        HEAD "\"messages\":[" USES(USE("a", "f", "{\"_raw\":\"{oops\"}") "," USE(
            "b", "f",
            "{\"value\":[1]}")) ",{\"role\":\"user\",\"content\":[" RESULT("a",
                                                                           "A") "," RESULT("b",
                                                                                           "B") "]}"
                                                                                                "]"
                                                                                                "}");
}

/* An id that Anthropic would refuse, and one that is used twice, are renamed alike on both sides
 * and in every request. */
static void
renames_ids_on_both_sides(void **state)
{
    (void)state;
    const char *body = "{\"model\":\"gpt\",\"messages\":[" CALLS(CALL("f.x:0", "f", "{}")) "," TOLD(
        "f.x:0", "A") "," CALLS(CALL("f.x:0", "f", "{}")) "," TOLD("f.x:0", "B") "]}";
    struct dialect_upstream upstream = haiku();
    char first[4096] = "";
    for (int round = 0; round < 2; round++) {
        struct asking asking;
        asking_read(&asking, &openai_chat_dialect, body);
        asking_write(&asking, &anthropic_dialect, &upstream);
        assert_int_equal(asking.error, 0);
        assert_null(strstr(asking.out.ptr, "f.x"));
        char ids[4][64] = {{0}};
        const char *at = asking.out.ptr;
        for (int i = 0; i < 4; i++) {
            at = strstr(at, i % 2 ? "\"tool_use_id\":\"" : "\"id\":\"");
            assert_non_null(at);
            at = strstr(at, ":\"") + 2;
            (void)snprintf(ids[i], sizeof(ids[i]), "%.*s", (int)strcspn(at, "\""), at);
            assert_int_equal(
                strspn(ids[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"),
                strlen(ids[i]));
        }
        assert_string_equal(ids[0], ids[1]);
        assert_string_equal(ids[2], ids[3]);
        assert_string_not_equal(ids[0], ids[2]);
        if (round == 0)
            (void)snprintf(first, sizeof(first), "%s", asking.out.ptr);
        assert_string_equal(asking.out.ptr, first);
        asking_close(&asking);
    }
}

static void
translates_media(void **state)
{
    (void)state;
#define WITH(part) "{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":[" part "]}]}"
#define MADE(block) HEAD "\"messages\":[{\"role\":\"user\",\"content\":[" block "]}]}"
    becomes(WITH("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/"
                 "y.png\",\"detail\":\"auto\"}}"),
            MADE("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y.png\"}}"));
    /* declared a JPEG, but the bytes say PNG; URL-safe, broken in lines, not padded */
    becomes(WITH("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
                 "jpeg;base64,iVBORw0K\\nGgo_-w\"}}"),
            MADE("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
                 "png\",\"data\":\"iVBORw0KGgo/+w==\"}}"));
    becomes(WITH("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/gif;base64,AAAA\"}}"),
            MADE("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
                 "gif\",\"data\":\"AAAA\"}}"));
    becomes(WITH("{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:"
                 "application/pdf;base64,JVBERi0=\"}}"),
            MADE("{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":"
                 "\"application/pdf\",\"data\":\"JVBERi0=\"},"
                 "\"title\":\"a.pdf\"}"));
    becomes(WITH("{\"type\":\"file\",\"file\":{\"filename\":\"a.txt\",\"file_data\":\"data:text/"
                 "plain;base64,YSJi\"}}"),
            MADE("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/"
                 "plain\",\"data\":\"a\\\"b\"},"
                 "\"title\":\"a.txt\"}"));
    refused(WITH("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/bmp;base64,Qk0=\"}}"),
            "an image that is not PNG, JPEG, GIF or WebP");
    refused(WITH("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,%%%\"}}"),
            "data that is not base64");
    refused(
        WITH("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}}"),
        "input_audio");
    refused(WITH("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"),
            "a file known by its id to another provider");
}

#define TOOL(rest) "{\"type\":\"function\",\"function\":{\"name\":\"f\"" rest "}}"
#define ASKS_WITH(fields) ASKS "," fields "}"
#define GETS(fields) HEAD "\"messages\":[" USER("hi") "]," fields "}"

static void
translates_tools(void **state)
{
    (void)state;
    becomes(
        ASKS_WITH("\"tools\":[" TOOL(
            ",\"description\":\"d\",\"parameters\":{\"type\":"
            "\"object\",\"properties\":{}},\"strict\":true") "," TOOL("") "],\"tool_choice\":"
                                                                          "\"required\",\"parallel_"
                                                                          "tool_calls\":false"),
        GETS("\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
             "\"object\",\"properties\":{}},\"strict\":true},"
             "{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],"
             "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}"));
    becomes(ASKS_WITH("\"tools\":[" TOOL(
                ",\"parameters\":{\"properties\":{\"a\":{}}}") "],\"parallel_tool_calls\":false"),
            GETS("\"tools\":[{\"name\":\"f\",\"input_schema\":{\"properties\":{\"a\":{}},\"type\":"
                 "\"object\"}}],"
                 "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}"));
    becomes(
        ASKS_WITH(
            "\"tools\":[" TOOL("") "],\"tool_choice\":\"none\",\"parallel_tool_calls\":false"),
        GETS(
            "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],"
            "\"tool_choice\":{\"type\":\"none\"}"));
    becomes(
        ASKS_WITH("\"tools\":[" TOOL(
            "") "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"),
        GETS(
            "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],"
            "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}"));
    becomes(
        ASKS_WITH("\"tools\":[" TOOL(
            ",\"parameters\":{\"anyOf\":[{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{}},"
            "\"required\":[\"a\",\"b\"]},{\"properties\":{\"a\":{},\"c\":{}},\"required\":[\"a\"]}]"
            ",\"$defs\":{\"q\":1}}") "]"),
        GETS("\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{"
             "\"a\":{\"type\":\"string\"},\"b\":{},"
             "\"c\":{}},\"required\":[\"a\"],\"$defs\":{\"q\":1}}}]"));
    refused(ASKS_WITH("\"tools\":[" TOOL(",\"parameters\":{\"type\":\"string\"}") "]"), "tools");
#define INPUT "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"
    becomes(ASKS_WITH("\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"f\"}},{\"type\":\"custom\",\"custom\":{"
                      "\"name\":\"g\",\"description\":\"d\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"syntax\":"
                      "\"regex\",\"definition\":\"a+\"}}}}]"),
            GETS("\"tools\":[{\"name\":\"f\",\"input_schema\":" INPUT "},{\"name\":\"g\",\"description\":\"d\\n\\nThe input "
                 "is free text of this format: {\\\"type\\\":\\\"grammar\\\",\\\"syntax\\\":\\\"regex\\\","
                 "\\\"definition\\\":\\\"a+\\\"}\",\"input_schema\":" INPUT "}]"));
}

/* What another provider's model showed or ran itself is no part of the conversation here; the rest of it is. */
static void
leaves_out_what_assistants_made(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect,
                "{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\","
                "\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgo=\"}}]},"
                "{\"role\":\"user\",\"content\":\"c\"}]}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_string_equal(asking.out.ptr, HEAD "\"messages\":[" USER("a") ",{\"role\":\"assistant\",\"content\":[{\"type\":"
                                             "\"text\",\"text\":\"b\"}]}," USER("c") "]}");
    assert_true(asking_dropped(&asking, "media of the assistant"));
    asking_close(&asking);
    asking_read(&asking, &openai_responses_dialect,
                "{\"model\":\"gpt\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"type\":\"web_search_call\",\"id\":\"ws_1\","
                "\"status\":\"completed\",\"action\":{\"type\":\"search\",\"query\":\"q\"}},{\"type\":\"message\",\"role\":\"assistant\","
                "\"content\":[{\"type\":\"output_text\",\"text\":\"b\"}]},{\"role\":\"user\",\"content\":\"c\"}]}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    if (asking.error != 0)
        print_error("%.*s\n", SLICE_ARG(asking.fault.message));
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(asking.out.ptr, USER("a") ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},"));
    assert_true(asking_dropped(&asking, "hosted tools of the assistant"));
    asking_close(&asking);
}

/* A subset that may be called is the tools that are given (11.3). */
static void
gives_allowed_tools_only(void **state)
{
    (void)state;
#define NAMED(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"
#define TAKES(name) "{\"name\":\"" name "\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}"
#define SUBSET(mode, tools)                                                                        \
    ASKS_WITH("\"tools\":[" NAMED("a") "," NAMED("b") "," NAMED("c") "],\"tool_choice\":{\"type\":\"allowed_tools\","  \
              "\"allowed_tools\":{\"mode\":\"" mode "\",\"tools\":[" tools "]}}")
    becomes(SUBSET("required", NAMED("c") "," NAMED("a")),
            GETS("\"tools\":[" TAKES("a") "," TAKES("c") "],\"tool_choice\":{\"type\":\"any\"}"));
    becomes(SUBSET("auto", NAMED("b")), GETS("\"tools\":[" TAKES("b") "],\"tool_choice\":{\"type\":\"auto\"}"));
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
    "\"reasoning_effort\":\"low\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":" schema "}}"
    becomes_with(&upstream, ASKS_WITH(FORM(SCHEMA)),
                 OLD "\"messages\":[" USER("hi") "],\"tools\":[{\"name\":\"penstock_json_answer\",\"description\":\"Give the "
                     "answer as the input of this tool.\",\"input_schema\":" SCHEMA "}],\"tool_choice\":{\"type\":\"tool\","
                     "\"name\":\"penstock_json_answer\"}}");
    /* what is no object, or stands beside tools, is said in words */
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, ASKS_WITH(FORM("{\"type\":\"array\"}")));
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(asking.out.ptr, "It must conform to this JSON Schema: {\\\"type\\\":\\\"array\\\"}"));
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
    becomes_with(&upstream,
                 ASKS_WITH("\"reasoning_effort\":\"low\",\"tool_choice\":\"required\",\"tools\":[" TOOL("") "]"),
                 "{\"model\":\"claude-opus-4-6\",\"max_tokens\":4096,\"stream\":true,\"messages\":[" USER("hi") "],"
                 "\"tools\":[" TAKES("f") "],\"tool_choice\":{\"type\":\"any\"},"
                 "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"low\"}}");
    /* an open loop needs its thought with a budget only */
    becomes_with(&upstream,
                 "{\"model\":\"gpt\",\"reasoning_effort\":\"low\",\"messages\":[" CALLS(CALL("a", "f", "{}")) "," TOLD("a", "A") "]}",
                 "{\"model\":\"claude-opus-4-6\",\"max_tokens\":4096,\"stream\":true,\"messages\":[" USES(USE("a", "f", "{}"))
                 ",{\"role\":\"user\",\"content\":[" RESULT("a", "A") "]}],"
                 "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"low\"}}");
    static const struct {
        const char *model;
        int show;
        const char *display; /* NULL: none */
    } shows[] = {
        {"claude-opus-4-6", 1, "summarized"}, {"claude-opus-4-6", 0, "omitted"},  {"claude-opus-4-6", -1, NULL},
        {"claude-haiku-4-5", 1, NULL},        {"claude-haiku-4-5", 0, "omitted"}, {"claude-3-7-sonnet", 0, NULL},
    };
    for (size_t i = 0; i < countof(shows); i++) {
        struct asking asking;
        char expected[64];
        upstream.model = slice_from(shows[i].model);
        asking_read(&asking, &openai_chat_dialect, ASKS_WITH("\"reasoning_effort\":\"medium\""));
        asking.request.show_thoughts = shows[i].show;
        asking_write(&asking, &anthropic_dialect, &upstream);
        (void)snprintf(expected, sizeof(expected), "\"display\":\"%s\"", shows[i].display ? shows[i].display : "");
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
#define SAMPLED "{\"model\":\"claude-opus-4-7\",\"max_tokens\":4096,\"stream\":true,\"messages\":[" USER("hi") "]}"
    upstream.model = S("claude-opus-4-7");
    upstream.default_params = S("{\"temperature\":0.3}");
    becomes_with(&upstream, ASKS_WITH("\"temperature\":1"), SAMPLED);
    asking_read(&asking, &openai_chat_dialect, ASKS_WITH("\"temperature\":0.2,\"top_p\":0.5,\"top_k\":4"));
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_string_equal(asking.out.ptr, SAMPLED);
    assert_true(asking_dropped(&asking, "temperature") && asking_dropped(&asking, "top_p") && asking_dropped(&asking, "top_k"));
    asking_close(&asking);
}

/* What Responses and Gemini can ask for and Messages cannot is said; who merely asks to see thoughts wants some. */
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
    assert_non_null(strstr(asking.out.ptr, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}"));
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
    static const char body[] =
        "{\"model\":\"gpt\",\"tools\":[" TOOL(",\"strict\":true") "],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
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

static void
translates_sampling(void **state)
{
    (void)state;
    becomes(ASKS_WITH("\"temperature\":1.7,\"top_p\":0.5,\"stop\":[\"a\",\" "
                      "\",\"b\"],\"max_completion_tokens\":7,\"user\":\"u\","
                      "\"service_tier\":\"default\""),
            "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":7,\"stream\":true,\"messages\":[" USER(
                "hi") "],\"temperature\":1,"
                      "\"stop_sequences\":[\"a\",\"b\"],\"metadata\":{\"user_id\":\"u\"},\"service_"
                      "tier\":\"standard_only\"}");
    becomes(ASKS_WITH("\"temperature\":0,\"stop\":\"x\""),
            GETS("\"temperature\":0,\"stop_sequences\":[\"x\"]"));
    becomes(ASKS_WITH("\"top_p\":0.5"), GETS("\"top_p\":0.5"));
    becomes(
        ASKS_WITH("\"max_tokens\":1e2"),
        "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":100,\"stream\":true,\"messages\":[" USER(
            "hi") "]}");
    drops(ASKS_WITH("\"temperature\":1.7"), "temperature above 1");
    drops(ASKS_WITH("\"temperature\":0.1,\"top_p\":0.5"), "top_p");
    drops(ASKS_WITH("\"seed\":1"), "seed");
    drops(ASKS_WITH("\"logprobs\":true,\"top_logprobs\":3"), "top_logprobs");
    drops(ASKS_WITH("\"logit_bias\":{\"1\":2}"), "logit_bias");
    drops(ASKS_WITH("\"presence_penalty\":0"), "presence_penalty");
    drops(ASKS_WITH("\"logprobs\":true"), "logprobs");
    keeps_silent(
        ASKS_WITH("\"logprobs\":false,\"n\":1,\"service_tier\":\"auto\",\"temperature\":1"));
    drops(ASKS_WITH("\"service_tier\":\"flex\""), "service_tier");
    drops(ASKS_WITH("\"verbosity\":\"low\""), "verbosity");
    drops(ASKS_WITH("\"stop\":\"\\n\""), "stop");
    refused(ASKS_WITH("\"n\":2"), "n");
    refused(
        ASKS_WITH(
            "\"modalities\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"x\",\"format\":\"wav\"}"),
        "modalities");
    refused(ASKS_WITH("\"web_search_options\":{}"), "web_search_options");
}

static void
translates_formats(void **state)
{
    (void)state;
    becomes(ASKS_WITH("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
                      "\"n\",\"schema\":{\"type\":\"object\"}}}"),
            GETS("\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
                 "\"object\"}}}"));
    becomes(ASKS_WITH("\"response_format\":{\"type\":\"json_object\"}"),
            HEAD "\"system\":[{\"type\":\"text\",\"text\":\"Answer with exactly one JSON object "
                 "and nothing else: no prose, no code "
                 "fence.\"}],\"messages\":[" USER("hi") "]}");
    becomes(ASKS_WITH("\"response_format\":{\"type\":\"text\"}"),
            HEAD "\"messages\":[" USER("hi") "]}");
}

static void
tells_how_much_to_think(void **state)
{
    (void)state;
    becomes(
        ASKS_WITH("\"reasoning_effort\":\"medium\",\"temperature\":0.5"),
        "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":12288,\"stream\":true,\"messages\":[" USER(
            "hi") "],"
                  "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}}");
    becomes(ASKS_WITH("\"reasoning_effort\":\"none\""), HEAD "\"messages\":[" USER("hi") "]}");
    struct dialect_upstream upstream = haiku();
    upstream.max_output_tokens = 10000;
    becomes_with(
        &upstream, ASKS_WITH("\"reasoning_effort\":\"high\",\"max_tokens\":500"),
        "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":10000,\"stream\":true,\"messages\":[" USER(
            "hi") "],"
                  "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":9500}}");
    becomes_with(&upstream, ASKS_WITH("\"reasoning_effort\":\"max\""),
                 "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":10000,\"stream\":true,\"messages\":[" USER("hi") "],"
                 "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":7500}}");
    upstream.model = S("claude-opus-5");
    becomes_with(
        &upstream, ASKS_WITH("\"reasoning_effort\":\"high\",\"top_p\":1"),
        "{\"model\":\"claude-opus-5\",\"max_tokens\":10000,\"stream\":true,\"messages\":[" USER(
            "hi") "],"
                  "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"}}");
    upstream.model = S("claude-3-5-haiku-latest");
    becomes_with(&upstream, ASKS_WITH("\"reasoning_effort\":\"high\""),
                 "{\"model\":\"claude-3-5-haiku-latest\",\"max_tokens\":10000,\"stream\":true,"
                 "\"messages\":[" USER("hi") "]}");
    drops(ASKS_WITH("\"reasoning_effort\":\"low\",\"temperature\":0"), "temperature");
    static const struct {
        const char *model, *form;
    } models[] = {
        {"deepseek-chat", "enabled"},       {"claude-sonnet-4", "enabled"},
        {"claude-opus-4-1", "enabled"},     {"claude-sonnet-4-20250514", "enabled"},
        {"claude-3-7-sonnet-x", "enabled"}, {"anthropic/claude-haiku-4.5", "enabled"},
        {"claude-opus-4-6", "adaptive"},    {"claude-sonnet-5", "adaptive"},
        {"claude-3-opus-20240229", NULL},   {"claude-2.1", NULL},
        {"claude-instant-1.2", NULL},       {"claude-3-5-sonnet@20240620", NULL},
        {"claude-opus-4-0", "enabled"},     {"claude-haiku-4-5@20251001", "enabled"},
        {"claude-fable-5-1", "adaptive"},   {"claude-mythos-preview", "adaptive"},
        {"us.anthropic.claude-opus-4-6-v1:0", "adaptive"},
    };
    for (size_t i = 0; i < countof(models); i++) {
        struct asking asking;
        upstream.model = slice_from(models[i].model);
        asking_read(&asking, &openai_chat_dialect, ASKS_WITH("\"reasoning_effort\":\"medium\""));
        asking_write(&asking, &anthropic_dialect, &upstream);
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "\"thinking\":{\"type\":\"%s\"",
                       models[i].form ? models[i].form : "");
        assert_int_equal(asking.error, 0);
        assert_int_equal(strstr(asking.out.ptr, expected) != NULL, models[i].form != NULL);
        asking_close(&asking);
    }
    /* forced tools and an open loop without its thought stand against it */
    drops(ASKS_WITH(
              "\"reasoning_effort\":\"low\",\"tool_choice\":\"required\",\"tools\":[" TOOL("") "]"),
          "reasoning_effort");
    drops("{\"model\":\"gpt\",\"reasoning_effort\":\"low\",\"messages\":[" CALLS(
              CALL("a", "f", "{}")) "," TOLD("a", "A") "]}",
          "reasoning_effort");
}

static void
replays_signed_thoughts_only(void **state)
{
    (void)state;
    becomes(
        "{\"model\":\"gpt\",\"reasoning_effort\":\"low\",\"messages\":[{\"role\":\"assistant\","
        "\"content\":null,"
        "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"format\":\"anthropic-claude-v1\",\"text\":\"hm\","
        "\"signature\":\"sig\"},{\"type\":\"reasoning.encrypted\",\"format\":\"anthropic-claude-v1\","
        "\"data\":\"QUJD\"},{\"type\":\"reasoning.encrypted\",\"data\":\"nobody knows whose\"},"
        "{\"type\":\"reasoning.text\",\"format\":\"openai-responses-v1\",\"text\":\"x\",\"signature\":\"y\"}],\"tool_calls\":[" CALL(
            "a", "f", "{}") "]}," TOLD("a", "A") "]}",
        "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":4096,\"stream\":true,\"messages\":[" USES(
            "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"sig\"},{\"type\":"
            "\"redacted_thinking\",\"data\":\"QUJD\"}," USE(
                "a", "f",
                "{}")) ",{\"role\":\"user\",\"content\":[" RESULT("a",
                                                                  "A") "]}],"
                                                                       "\"thinking\":{\"type\":"
                                                                       "\"enabled\",\"budget_"
                                                                       "tokens\":1024}}");
    becomes("{\"model\":\"gpt\",\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"hm\","
            "\"content\":\"x\"},"
            "{\"role\":\"user\",\"content\":\"y\"}]}",
            HEAD "\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
                 "\"x\"}]}," USER("y") "]}");
    drops("{\"model\":\"gpt\",\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"hm\","
          "\"content\":\"x\"}]}",
          "reasoning");
    drops("{\"model\":\"gpt\",\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_"
          "details\":[{\"type\":"
          "\"reasoning.text\",\"text\":\"hm\",\"signature\":\"penstock.1.unsigned.\"}]}]}",
          "reasoning");
}

static void
adds_configured_defaults(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
    upstream.default_params =
        S("{\"max_tokens\":100,\"temperature\":0.3,\"top_p\":0.9,\"new\":[1]}");
    becomes_with(
        &upstream, ASKS "}",
        "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":100,\"stream\":true,\"messages\":[" USER(
            "hi") "],"
                  "\"temperature\":0.3,\"top_p\":0.9,\"new\":[1]}");
    becomes_with(
        &upstream, ASKS_WITH("\"temperature\":0,\"max_tokens\":0"),
        "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":0,\"stream\":true,\"messages\":[" USER(
            "hi") "],"
                  "\"temperature\":0,\"new\":[1]}");
    upstream.default_params = S("nonsense");
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, ASKS "}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_CONFIG);
    asking_close(&asking);
}

/* What was read of a request can be written again: cache markers, documents, errors, thoughts,
 * choices. */
static void
says_again_what_it_read(void **state)
{
    (void)state;
#define MARK "\"cache_control\":{\"type\":\"ephemeral\"}"
    const char *body =
        HEAD "\"system\":[{\"type\":\"text\",\"text\":\"s\"," MARK
             "}],\"messages\":[{\"role\":\"user\",\"content\":["
             "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/"
             "plain\",\"data\":\"d\"},\"title\":\"t\"," MARK "},"
             "{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y.pdf\"}},"
             "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
             "webp\",\"data\":\"UklGRgAAAABXRUJQ\"}," MARK "}]},"
             "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"\","
             "\"signature\":\"g\"},"
             "{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{\"a\":[ ]}," MARK "}]},"
             "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"i\","
             "\"content\":[{\"type\":\"text\",\"text\":\"r\"," MARK
             "},{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://"
             "x\"}}],\"is_error\":true," MARK "}]}],"
             "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}," MARK
             "}],\"tool_choice\":{\"type\":\"auto\"},"
             "\"temperature\":0.5,\"top_k\":4,\"stop_sequences\":[\"x\"],\"output_config\":{"
             "\"format\":{\"type\":\"json_schema\","
             "\"schema\":{\"type\":\"object\"}}},\"metadata\":{\"user_id\":\"u\"}}";
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &anthropic_dialect, body);
    assert_int_equal(asking.error, 0);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_string_equal(asking.out.ptr, body);
    asking_close(&asking);
    /* What only Anthropic knows is refused by its name. */
    asking_read(&asking, &anthropic_dialect,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                "\"mystery\"}]}]}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(slice_is(asking.fault.param, "mystery"));
    asking_close(&asking);
    asking_read(&asking, &anthropic_dialect,
                "{\"model\":\"m\",\"messages\":[],\"tools\":[{\"type\":\"bash_20250124\",\"name\":"
                "\"bash\"}]}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(
        slice_is(asking.fault.message, "tool bash_20250124: only its own provider can run it"));
    asking_close(&asking);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(translates_turns),
        cmocka_unit_test(pairs_calls_and_results),
        cmocka_unit_test(renames_ids_on_both_sides),
        cmocka_unit_test(translates_media),
        cmocka_unit_test(translates_tools),
        cmocka_unit_test(leaves_out_what_assistants_made),
        cmocka_unit_test(gives_allowed_tools_only),
        cmocka_unit_test(asks_old_models_for_a_form),
        cmocka_unit_test(thinks_as_the_model_can),
        cmocka_unit_test(leaves_sampling_to_late_models),
        cmocka_unit_test(reports_fields_of_other_dialects),
        cmocka_unit_test(keeps_from_vertex_what_it_refuses),
        cmocka_unit_test(translates_sampling),
        cmocka_unit_test(translates_formats),
        cmocka_unit_test(tells_how_much_to_think),
        cmocka_unit_test(replays_signed_thoughts_only),
        cmocka_unit_test(adds_configured_defaults),
        cmocka_unit_test(says_again_what_it_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
