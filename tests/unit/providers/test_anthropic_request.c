/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_request.c - Chat requests as Messages requests, Messages requests read, and passed
 * on unread.
 */
#include "tests/unit/providers/claude.h"

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
    refused(WITH("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAAGGZ0eXBoZWljAAAAAA==\"}}"),
            "an image that is not PNG, JPEG, GIF or WebP"); /* HEIC, whatever it is called */
    refused(WITH("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,%%%\"}}"),
            "data that is not base64");
    refused(
        WITH("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}}"),
        "input_audio");
    refused(WITH("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"),
            "a file known by its id to another provider");
}

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
#define INPUT                                                                                      \
    "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":["         \
    "\"input\"]}"
    becomes(ASKS_WITH("\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"f\"}},{\"type\":"
                      "\"custom\",\"custom\":{"
                      "\"name\":\"g\",\"description\":\"d\",\"format\":{\"type\":\"grammar\","
                      "\"grammar\":{\"syntax\":"
                      "\"regex\",\"definition\":\"a+\"}}}}]"),
            GETS("\"tools\":[{\"name\":\"f\",\"input_schema\":" INPUT
                 "},{\"name\":\"g\",\"description\":\"d\\n\\nThe input "
                 "is free text of this format: "
                 "{\\\"type\\\":\\\"grammar\\\",\\\"syntax\\\":\\\"regex\\\","
                 "\\\"definition\\\":\\\"a+\\\"}\",\"input_schema\":" INPUT "}]"));
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
    becomes_with(
        &upstream, ASKS_WITH("\"reasoning_effort\":\"max\""),
        "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":10000,\"stream\":true,\"messages\":[" USER(
            "hi") "],"
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
        {"deepseek-chat", "enabled"},
        {"claude-sonnet-4", "enabled"},
        {"claude-opus-4-1", "enabled"},
        {"claude-sonnet-4-20250514", "enabled"},
        {"claude-3-7-sonnet-x", "enabled"},
        {"anthropic/claude-haiku-4.5", "enabled"},
        {"claude-opus-4-6", "adaptive"},
        {"claude-sonnet-5", "adaptive"},
        {"claude-3-opus-20240229", NULL},
        {"claude-2.1", NULL},
        {"claude-instant-1.2", NULL},
        {"claude-3-5-sonnet@20240620", NULL},
        {"claude-opus-4-0", "enabled"},
        {"claude-haiku-4-5@20251001", "enabled"},
        {"claude-fable-5-1", "adaptive"},
        {"claude-mythos-preview", "adaptive"},
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
        "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"format\":\"anthropic-claude-v1\","
        "\"text\":\"hm\","
        "\"signature\":\"sig\"},{\"type\":\"reasoning.encrypted\",\"format\":\"anthropic-claude-"
        "v1\","
        "\"data\":\"QUJD\"},{\"type\":\"reasoning.encrypted\",\"data\":\"nobody knows whose\"},"
        "{\"type\":\"reasoning.text\",\"format\":\"openai-responses-v1\",\"text\":\"x\","
        "\"signature\":\"y\"}],\"tool_calls\":[" CALL("a", "f", "{}") "]}," TOLD("a", "A") "]}",
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
        cmocka_unit_test(translates_sampling),
        cmocka_unit_test(translates_formats),
        cmocka_unit_test(tells_how_much_to_think),
        cmocka_unit_test(replays_signed_thoughts_only),
        cmocka_unit_test(adds_configured_defaults),
        cmocka_unit_test(says_again_what_it_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
