/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_vertex.c - the two surfaces of Claude: where requests go, how models are spelt,
 * what of a client's bytes is changed on the way to either, and the counting of tokens.
 */
#include "tests/unit/providers/asking.h"

#define S(text) SLICE_LIT(text)
#define VERSION "\"anthropic_version\":\"vertex-2023-10-16\""

static struct dialect_upstream
plain(void)
{
    return (struct dialect_upstream){.model = S("claude-haiku-4-5-20251001"),
                                     .effort = TELL_THINKING};
}

static struct dialect_upstream
vertex(void)
{
    return (struct dialect_upstream){.model = S("claude-haiku-4-5-20251001"),
                                     .surface = SURFACE_VERTEX,
                                     .project = S("p"),
                                     .location = S("europe-west1"),
                                     .effort = TELL_THINKING,
                                     .api_key = S("t")};
}

/* The client's body as it goes on; path: the model and the stream are known before it is read. */
static void
goes(const struct dialect_upstream *upstream, bool path, bool counting, const char *body,
     const char *expected)
{
    struct asking asking = {.error = 0};
    struct canon_request *request = &asking.request;
    arena_init(&asking.arena, 64u << 20);
    sink_init(&asking.out, 64u << 20);
    request->arena = &asking.arena;
    request->body = slice_from(body);
    if (path) {
        request->model = S("claude-haiku-4-5@20251001");
        request->stream = true;
    }
    assert_int_equal(json_parse(request->body, 64, 1u << 20, &asking.arena, &request->root), 0);
    assert_int_equal(anthropic_dialect.outline(request, &asking.fault), 0);
    int error = counting ? anthropic_dialect.write_count(request, upstream, &asking.out,
                                                         &asking.report, &asking.fault)
                         : anthropic_dialect.pass_request(request, upstream, &asking.out);
    assert_int_equal(error, 0);
    sink_byte(&asking.out, '\0');
    assert_string_equal(asking.out.ptr, expected);
    struct json_scan scan;
    assert_int_equal(json_scan(slice_take(sink_slice(&asking.out), asking.out.len - 1), 64, &scan),
                     0);
    asking_close(&asking);
}

static void
spells_models_as_the_surface_does(void **state)
{
    (void)state;
    static const char *const models[][3] = {
        {"claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001"},
        {"claude-haiku-4-5@20251001", "claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001"},
        {"claude-opus-4-6", "claude-opus-4-6", "claude-opus-4-6"},
        {"claude-opus-4-6@default", "claude-opus-4-6@default", "claude-opus-4-6@default"},
        {"other-20251001", "other-20251001", "other-20251001"},
        {"claude-x-12345678", "claude-x-12345678", "claude-x-12345678"},
    };
    for (size_t i = 0; i < countof(models); i++) {
        struct dialect_upstream upstream = plain();
        char expected[256];
        upstream.model = slice_from(models[i][0]);
        (void)snprintf(expected, sizeof(expected), "{\"model\":\"%s\",\"messages\":[]}",
                       models[i][1]);
        goes(&upstream, false, false, "{\"model\":\"alias\",\"messages\":[]}", expected);
        struct sink out;
        sink_init(&out, 4096);
        upstream.surface = SURFACE_VERTEX;
        upstream.project = S("p");
        upstream.location = S("global");
        anthropic_dialect.put_target(&out, &upstream, true);
        (void)snprintf(
            expected, sizeof(expected),
            "/v1/projects/p/locations/global/publishers/anthropic/models/%s:streamRawPredict",
            models[i][2]);
        assert_true(slice_is(sink_slice(&out), expected));
        sink_fini(&out);
    }
}

static void
addresses_vertex(void **state)
{
    (void)state;
    struct dialect_upstream upstream = vertex();
    struct sink out;
    sink_init(&out, 4096);
    anthropic_dialect.put_target(&out, &upstream, false);
    assert_true(slice_is(sink_slice(&out),
                         "/v1/projects/p/locations/europe-west1/publishers/anthropic/models/"
                         "claude-haiku-4-5@20251001:rawPredict"));
    sink_reset(&out, 0);
    assert_true(anthropic_dialect.can_count(&upstream));
    anthropic_dialect.put_count_target(&out, &upstream);
    assert_true(slice_is(sink_slice(&out),
                         "/v1/projects/p/locations/europe-west1/publishers/anthropic/models/"
                         "count-tokens:rawPredict"));
    sink_reset(&out, 0);
    upstream = plain();
    anthropic_dialect.put_count_target(&out, &upstream);
    assert_true(slice_is(sink_slice(&out), "/v1/messages/count_tokens"));
    sink_fini(&out);
    struct arena arena;
    struct dialect_field fields[4];
    arena_init(&arena, 65536);
    upstream = vertex();
    assert_int_equal(anthropic_dialect.fields(&upstream, &arena, fields), 2);
    assert_string_equal(fields[0].name, "authorization");
    assert_true(slice_is(fields[0].value, "Bearer t"));
    arena_fini(&arena);
}

/* R83: the version in place of the model; everything else as it was. */
static void
passes_to_vertex(void **state)
{
    (void)state;
    struct dialect_upstream upstream = vertex();
    goes(&upstream, false, false,
         "{ \"model\" : \"m\", \"x\": [1 ] ,\"messages\":[], \"stream\":true}",
         "{ " VERSION ", \"x\": [1 ] ,\"messages\":[], \"stream\":true}");
    goes(&upstream, false, false, "{\"messages\":[],\"anthropic_version\":\"v\",\"model\":\"m\"}",
         "{\"messages\":[],\"anthropic_version\":\"v\"}");
    goes(&upstream, false, false, "{\"model\":\"m\",\"anthropic_version\":\"v\",\"messages\":[]}",
         "{\"anthropic_version\":\"v\",\"messages\":[]}");
    goes(&upstream, true, false, "{\"messages\":[]}",
         "{\"messages\":[]," VERSION ",\"stream\":true}");
    upstream.default_params = S("{\"max_tokens\":9,\"model\":\"no\",\"anthropic_version\":\"no\"}");
    goes(&upstream, true, false, "{\"messages\":[],\"stream\":true," VERSION "}",
         "{\"messages\":[],\"stream\":true," VERSION ",\"max_tokens\":9}");
}

/* A client that speaks Vertex's form, served by Anthropic itself (R80). */
static void
passes_from_vertex(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    goes(&upstream, true, false, "{" VERSION ",\"messages\":[]}",
         "{\"model\":\"claude-haiku-4-5-20251001\",\"messages\":[],\"stream\":true}");
    goes(&upstream, true, false, "{\"messages\":[],\"stream\":false}",
         "{\"messages\":[],\"stream\":true,\"model\":\"claude-haiku-4-5-20251001\"}");
}

static void
asks_for_counts(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
#define ASKED "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048},\"future\":1"
    goes(&upstream, false, true,
         "{\"model\":\"claude-haiku-4-5-20251001\",\"messages\":[ ]," ASKED "}",
         "{\"model\":\"claude-haiku-4-5-20251001\",\"messages\":[ ]," ASKED "}");
    upstream.default_params = S("{\"max_tokens\":9,\"temperature\":1,\"system\":\"s\"}");
    goes(&upstream, false, true,
         "{\"max_tokens\":1,\"stream\":true,\"model\":\"m\",\"temperature\":1,\"messages\":[],"
         "\"top_p\":1,\"top_k\":1}",
         "{\"model\":\"claude-haiku-4-5-20251001\",\"messages\":[],\"system\":\"s\"}");
    upstream = vertex();
    goes(&upstream, true, true, "{\"messages\":[],\"max_tokens\":5}",
         "{\"messages\":[],\"model\":\"claude-haiku-4-5@20251001\"," VERSION "}");
    uint64_t tokens = 0;
    struct arena arena;
    arena_init(&arena, 65536);
    assert_int_equal(anthropic_dialect.read_count(S("{\"input_tokens\":17}"), &arena, &tokens), 0);
    assert_int_equal(tokens, 17);
    assert_int_equal(anthropic_dialect.read_count(S("{\"input_tokens\":\"x\"}"), &arena, &tokens),
                     -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(anthropic_dialect.read_count(S("<html>"), &arena, &tokens),
                     -ERR_UPSTREAM_PROTOCOL);
    arena_fini(&arena);
}

static void
counts_what_other_dialects_ask(void **state)
{
    (void)state;
    struct asking asking;
    struct dialect_upstream upstream = vertex();
    asking_read(&asking, &openai_chat_dialect,
                "{\"model\":\"m\",\"max_tokens\":5,\"temperature\":1,\"stop\":\"x\",\"user\":\"u\","
                "\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","
                "\"content\":\"hi\"}]}");
    assert_int_equal(asking.error, 0);
    assert_int_equal(anthropic_dialect.write_count(&asking.request, &upstream, &asking.out,
                                                   &asking.report, &asking.fault),
                     0);
    sink_byte(&asking.out, '\0');
    assert_string_equal(
        asking.out.ptr,
        "{" VERSION
        ",\"model\":\"claude-haiku-4-5@20251001\",\"system\":\"s\",\"messages\":[{\"role\":"
        "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]}");
    asking_close(&asking);
    asking_read(&asking, &openai_chat_dialect,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_string_equal(asking.out.ptr,
                        "{" VERSION
                        ",\"max_tokens\":4096,\"stream\":true,\"messages\":[{\"role\":\"user\","
                        "\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]}");
    asking_close(&asking);
}

static void
filters_betas(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {"a,b", NULL, "a,b", "2"}, {" a , b,,c ", "c, a", "a,c", "2"}, {"a,b", "", "", "0"},
        {"", "a", "", "0"},        {"a-2,a", "a", "a", "1"},           {"a", "a-2", "", "0"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct sink out;
        sink_init(&out, 4096);
        int left = anthropic_filter_betas(slice_from(cases[i][0]), slice_from(cases[i][1]), &out);
        assert_int_equal(left, cases[i][3][0] - '0');
        assert_true(slice_is(sink_slice(&out), cases[i][2]));
        sink_fini(&out);
    }
    struct dialect_upstream upstream = vertex();
    upstream.betas = S("known,also");
    goes(&upstream, true, false,
         "{" VERSION ",\"anthropic_beta\":[\"x\",\"known\" , "
                     "\"y\",\"also\",\"z\"],\"messages\":[],\"stream\":true}",
         "{" VERSION ",\"anthropic_beta\":[\"known\",\"also\"],\"messages\":[],\"stream\":true}");
}

static void
leaves_out_betas_when_none_is_left(void **state)
{
    (void)state;
    struct dialect_upstream upstream = vertex();
    upstream.betas = S("known");
    goes(&upstream, true, false,
         "{\"anthropic_beta\":[\"x\",\"y\"],\"messages\":[],\"stream\":true," VERSION "}",
         "{\"messages\":[],\"stream\":true," VERSION "}");
    upstream.betas = SLICE_NONE;
    goes(&upstream, true, false,
         "{\"anthropic_beta\":[\"x\"],\"messages\":[],\"stream\":true," VERSION "}",
         "{\"anthropic_beta\":[\"x\"],\"messages\":[],\"stream\":true," VERSION "}");
}

/* P50: neighbours, the first and the last. */
static void
strips_fields_of_tools(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
#define TOOLS(tools)                                                                               \
    "{\"model\":\"claude-haiku-4-5-20251001\",\"messages\":[],\"tools\":[" tools "]}"
#define GIVEN                                                                                      \
    "{\"defer_loading\":true, \"strict\" : true,\"name\":\"f\",\"input_examples\":[ {} "           \
    "],\"allowed_callers\":[],"                                                                    \
    "\"input_schema\":{\"strict\":1},\"eager_input_streaming\":true },{\"strict\":true},7"
    goes(&upstream, false, false, TOOLS(GIVEN), TOOLS(GIVEN));
    upstream.strip_tool_fields = true;
    goes(&upstream, false, false, TOOLS(GIVEN),
         TOOLS("{\"name\":\"f\",\"input_schema\":{\"strict\":1} },{},7"));
}

#define ASK(thinking, rest)                                                                        \
    "{\"model\":\"claude-haiku-4-5-20251001\",\"thinking\":" thinking "," rest "}"
#define SAID(who, blocks) "{\"role\":\"" who "\",\"content\":[" blocks "]}"
#define THOUGHT(state) "{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"" state "\"}"
#define HIDDEN(state) "{\"type\":\"redacted_thinking\",\"data\":\"" state "\"}"
#define CALL "{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{}}"
#define RESULT "{\"type\":\"tool_result\",\"tool_use_id\":\"i\"}"
#define WORDS "{\"type\":\"text\",\"text\":\"w\"}"
#define ADAPTIVE "{\"type\":\"adaptive\"}"
#define ENABLED "{\"type\":\"enabled\",\"budget_tokens\":1024}"

/* Thoughts of other providers go, Anthropic's stay, and a wrapped one of Anthropic's is unwrapped
 * (P24). */
static void
leaves_out_thoughts_of_others(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
    goes(
        &upstream, false, false,
        ASK(ADAPTIVE,
            "\"messages\":[" SAID("user", WORDS) ", " SAID("assistant", THOUGHT("penstock.1.gemini."
                                                                                "Rw")) "," SAID(
                "assistant",
                THOUGHT("penstock.1.unsigned.") "," HIDDEN(
                    "penstock.1.responses-redacted.Ug") "," WORDS
                                                        "," THOUGHT("own") "," THOUGHT(
                                                            "penstock.1.anthropic.Rw")) "]"),
        ASK(ADAPTIVE, "\"messages\":[" SAID("user", WORDS) "," SAID(
                          "assistant", WORDS "," THOUGHT("own") "," THOUGHT("G")) "]"));
}

/* Without the thought that began it, an open tool loop cannot go on with a budget for thinking
 * (P23). */
static void
stops_thinking_in_a_loop_without_its_thought(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain();
#define LOOP(state)                                                                                \
    "\"context_management\":{\"edits\":[]},\"messages\":[" SAID("user", WORDS) "," SAID(           \
        "assistant", THOUGHT(state) "," CALL) "," SAID("user", RESULT) "]"
#define LEFT                                                                                       \
    "\"messages\":[" SAID("user", WORDS) "," SAID("assistant", CALL) "," SAID("user", RESULT) "]"
    goes(&upstream, false, false, ASK(ENABLED, LOOP("penstock.1.gemini.Rw")),
         ASK("{\"type\":\"disabled\"}", LEFT));
    goes(&upstream, false, false, ASK(ADAPTIVE, LOOP("penstock.1.gemini.Rw")),
         ASK(ADAPTIVE, "\"context_management\":{\"edits\":[]}," LEFT));
    goes(&upstream, false, false, ASK(ENABLED, LOOP("penstock.1.anthropic.Rw")),
         ASK(ENABLED, LOOP("G")));
    goes(&upstream, false, false,
         ASK(ENABLED,
             "\"messages\":[" SAID("assistant", THOUGHT("penstock.1.gemini.Rw") "," WORDS) "," SAID(
                 "user", WORDS) "]"),
         ASK(ENABLED, "\"messages\":[" SAID("assistant", WORDS) "," SAID("user", WORDS) "]"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spells_models_as_the_surface_does),
        cmocka_unit_test(addresses_vertex),
        cmocka_unit_test(passes_to_vertex),
        cmocka_unit_test(passes_from_vertex),
        cmocka_unit_test(asks_for_counts),
        cmocka_unit_test(counts_what_other_dialects_ask),
        cmocka_unit_test(filters_betas),
        cmocka_unit_test(leaves_out_betas_when_none_is_left),
        cmocka_unit_test(strips_fields_of_tools),
        cmocka_unit_test(leaves_out_thoughts_of_others),
        cmocka_unit_test(stops_thinking_in_a_loop_without_its_thought),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
