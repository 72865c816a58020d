/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_request_read.c - Messages requests read, refused, and passed on as they are.
 */
#include "tests/unit/providers/asking.h"

#define S(text) SLICE_LIT(text)

static struct dialect_upstream
haiku(void)
{
    return (struct dialect_upstream){
        .model = S("claude-haiku-4-5"), .base_path = S(""), .effort = TELL_THINKING};
}

/* ---------------------------------------------------------------- same dialect */

static void
passes(const struct dialect_upstream *upstream, const char *body, const char *expected)
{
    struct asking asking;
    asking_read(&asking, &anthropic_dialect, body);
    assert_int_equal(asking.error, 0);
    assert_int_equal(anthropic_dialect.pass_request(&asking.request, upstream, &asking.out), 0);
    sink_byte(&asking.out, '\0');
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static void
passes_all_but_the_model(void **state)
{
    (void)state;
    struct dialect_upstream upstream = haiku();
#define AROUND(model)                                                                              \
    "  { \"future\" : { \"a\":[ 1,null ] }, \"model\" : \"" model                                  \
    "\" ,\n\"messages\":[ ], \"temperature\":1.0, "                                                \
    "\"system\":[{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: "                       \
    "x\"}],\"stream\":false }\n"
    passes(&upstream, AROUND("claude-haiku-4-5"), AROUND("claude-haiku-4-5"));
    passes(&upstream, AROUND("alias \\u00e9"), AROUND("claude-haiku-4-5"));
    passes(&upstream, AROUND("claude-haiku\\u002d4-5"), AROUND("claude-haiku\\u002d4-5"));
    upstream.model = S("a\"b");
    passes(&upstream, AROUND("alias"), AROUND("a\\\"b"));
    upstream.default_params = S("{\"temperature\":0,\"top_k\":5}");
    passes(&upstream, "{\"model\":\"x\",\"messages\":[],\"temperature\":1}",
           "{\"model\":\"a\\\"b\",\"messages\":[],\"temperature\":1,\"top_k\":5}");
}

static void
outlined(const char *body, int error, const char *param)
{
    struct asking asking;
    asking_read(&asking, &anthropic_dialect, body);
    assert_int_equal(asking.error, -error);
    if (error != 0) {
        assert_true(slice_present(asking.fault.message));
        assert_true(param ? slice_is(asking.fault.param, param)
                          : !slice_present(asking.fault.param));
    }
    asking_close(&asking);
}

static void
refuses_bad_requests(void **state)
{
    (void)state;
    outlined("{\"model\":\"m\",\"messages\":[]}", 0, NULL);
    outlined("{\"model\":\"m\",\"messages\":[],\"stream\":null}", 0, NULL);
    outlined("[]", ERR_REQUEST, NULL);
    outlined("{\"messages\":[]}", ERR_REQUEST, "model");
    outlined("{\"model\":7,\"messages\":[]}", ERR_REQUEST, "model");
    outlined("{\"model\":\"\",\"messages\":[]}", ERR_REQUEST, "model");
    outlined("{\"model\":\"a\",\"model\":\"b\",\"messages\":[]}", ERR_REQUEST, "model");
    outlined("{\"model\":\"a\",\"messages\":[],\"stream\":\"true\"}", ERR_REQUEST, "stream");
    outlined("{\"model\":\"a\",\"messages\":{}}", ERR_REQUEST, "messages");
    outlined("{\"model\":\"a\",\"messages\":[{\"role\":\"tool\",\"content\":\"\"}]}", ERR_REQUEST,
             "messages");
    outlined("{\"model\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":7}]}", ERR_REQUEST,
             "messages.0.content.0");
    outlined("{\"model\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_"
             "use\"}]}]}",
             ERR_REQUEST, "messages.0.content.0");
    outlined("{\"model\":\"a\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
             "\"text\",\"text\":\"\"},{\"type\":\"tool_result\"}]}]}",
             ERR_REQUEST, "messages.0.content.1");
    outlined("{\"model\":\"a\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
             "\"tool_use\",\"id\":\"\",\"name\":\"f\"}]}]}",
             ERR_REQUEST, "messages.0.content.0");
    outlined("{\"model\":\"a\",\"messages\":[],\"tools\":{}}", ERR_REQUEST, "tools");
    outlined("{\"model\":\"a\",\"messages\":[],\"tools\":[{}]}", ERR_REQUEST, "tools");
    outlined("{\"model\":\"a\",\"messages\":[],\"tool_choice\":{\"type\":\"some\"}}", ERR_REQUEST,
             "tool_choice");
    outlined("{\"model\":\"a\",\"messages\":[],\"max_tokens\":\"1\"}", ERR_REQUEST, "max_tokens");
    outlined("{\"model\":\"a\",\"messages\":[],\"stop_sequences\":[1]}", ERR_REQUEST,
             "stop_sequences");
    outlined("{\"model\":\"a\",\"messages\":[],\"thinking\":{\"type\":\"maybe\"}}", ERR_REQUEST,
             "thinking");
}

static void
reads_every_kind_of_block(void **state)
{
    (void)state;
    struct asking asking;
    asking_read(
        &asking, &anthropic_dialect,
        "{\"model\":\"m\",\"max_tokens\":9,\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_"
        "control\":{\"type\":\"ephemeral\"}}],"
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},\"output_config\":{\"effort\":"
        "\"low\",\"format\":{\"type\":"
        "\"json_schema\",\"schema\":{}}},\"metadata\":{\"user_id\":\"u\"},\"stop_sequences\":["
        "\"x\"],\"top_k\":3,"
        "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_use\":true},"
        "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}},{\"type\":\"bash_"
        "20250124\",\"name\":\"bash\"}],"
        "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":["
        "{\"type\":\"thinking\","
        "\"thinking\":\"t\",\"signature\":\"g\"},{\"type\":\"redacted_thinking\",\"data\":\"D\"},{"
        "\"type\":\"tool_use\",\"id\":\"i\","
        "\"name\":\"f\",\"input\":{\"a\": "
        "1}},{\"type\":\"server_tool_use\",\"id\":\"q\"}]},{\"role\":\"user\",\"content\":["
        "{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"is_error\":true,\"content\":[{\"type\":"
        "\"text\",\"text\":\"r\"},"
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
        "png\",\"data\":\"AA==\"}}]},"
        "{\"type\":\"document\",\"title\":\"T\",\"source\":{\"type\":\"content\",\"content\":[{"
        "\"type\":\"text\",\"text\":\"p\"},"
        "{\"type\":\"text\",\"text\":\"q\"}]}},{\"type\":\"search_result\",\"source\":\"S\","
        "\"title\":\"R\",\"content\":["
        "{\"type\":\"text\",\"text\":\"w\"}]},{\"type\":\"image\",\"source\":{\"type\":\"file\","
        "\"file_id\":\"F\"}}]},"
        "{\"role\":\"system\",\"content\":\"mid\"}]}");
    assert_int_equal(asking.error, 0);
    const struct canon_request *request = &asking.request;
    const struct canon_message *message = request->messages;
    assert_int_equal(message->role, ROLE_SYSTEM);
    assert_true(slice_is(message->parts->cache_control, "{\"type\":\"ephemeral\"}"));
    message = message->next;
    assert_true(slice_is(message->parts->text, "hi"));
    message = message->next;
    const struct canon_part *part = message->parts;
    assert_true(part->kind == PART_THINKING && slice_is(part->text, "t") &&
                slice_is(part->signature, "g"));
    part = part->next;
    assert_true(part->kind == PART_REDACTED && slice_is(part->data, "D"));
    part = part->next;
    assert_true(part->kind == PART_CALL && slice_is(part->arguments, "{\"a\": 1}") &&
                slice_is(part->id, "i"));
    part = part->next;
    assert_true(part->kind == PART_NATIVE && slice_is(part->name, "server_tool_use") &&
                !part->next);
    part = message->next->parts;
    assert_true(part->kind == PART_RESULT && part->is_error && slice_is(part->id, "i"));
    assert_true(part->parts->kind == PART_TEXT && part->parts->next->kind == PART_IMAGE);
    assert_true(slice_is(part->parts->next->data, "AA=="));
    part = part->next;
    assert_true(part->kind == PART_DOCUMENT && slice_is(part->text, "p\\nq") &&
                slice_is(part->name, "T"));
    part = part->next;
    assert_true(part->kind == PART_DOCUMENT && slice_is(part->text, "S\\nw") &&
                slice_is(part->media_type, "text/plain") && slice_is(part->name, "R"));
    part = part->next;
    assert_true(part->kind == PART_FILE && slice_is(part->id, "F") && !part->next);
    assert_int_equal(message->next->next->role, ROLE_SYSTEM);
    assert_true(slice_is(message->next->next->parts->text, "mid"));
    assert_true(request->tools->kind == TOOL_FUNCTION && request->tools->next->kind == TOOL_NATIVE);
    assert_true(request->choice == CHOICE_NAMED && request->parallel == 0 &&
                slice_is(request->choice_name, "f"));
    assert_true(request->thinking == THINKING_ENABLED &&
                slice_is(request->thinking_budget, "2000"));
    assert_true(slice_is(request->effort, "low") && request->format == FORMAT_JSON_SCHEMA);
    assert_true(slice_is(request->user, "u") && slice_is(request->stop->text, "x") &&
                slice_is(request->top_k, "3"));
    asking_close(&asking);
}

/* What is given and cannot be said elsewhere is noted; what is null or off asks for nothing. */
static void
notes_what_stays_unsaid(void **state)
{
    (void)state;
    static const char *const names[] = {"cache_control",
                                        "container",
                                        "inference_geo",
                                        "mcp_servers",
                                        "context_management",
                                        "fallbacks",
                                        "speed",
                                        "diagnostics",
                                        "task_budget",
                                        "tools.defer_loading",
                                        "tools.input_examples",
                                        "document.citations",
                                        "document.context"};
    struct asking asking;
    asking_read(
        &asking, &anthropic_dialect,
        "{\"model\":\"m\",\"cache_control\":{\"type\":\"ephemeral\"},\"container\":\"c\","
        "\"inference_geo\":\"us\","
        "\"mcp_servers\":[{}],\"context_management\":{},\"fallbacks\":[1],\"speed\":\"fast\","
        "\"diagnostics\":{},"
        "\"output_config\":{\"task_budget\":{\"type\":\"tokens\",\"total\":9}},"
        "\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"},\"metadata\":{\"user_id\":"
        "\"u\",\"x\":1},"
        "\"tools\":[{\"name\":\"f\",\"defer_loading\":true,\"eager_input_streaming\":false,\"input_"
        "examples\":[{}]}],"
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"context\":\"c\","
        "\"citations\":{\"enabled\":true},\"source\":{\"type\":\"text\",\"media_type\":\"text/"
        "plain\","
        "\"data\":\"d\"}}]}]}");
    assert_int_equal(asking.error, 0);
    const struct canon_report *unsaid = &asking.request.unsaid;
    for (size_t i = 0; i < countof(names); i++) {
        bool found = false;
        for (int n = 0; n < unsaid->count; n++)
            found = found || strcmp(unsaid->dropped[n], names[i]) == 0;
        if (!found)
            print_error("%s is not noted\n", names[i]);
        assert_true(found);
    }
    assert_int_equal(unsaid->count, countof(names));
    assert_int_equal(asking.request.show_thoughts, 0);
    assert_int_equal(asking.request.thinking, THINKING_ADAPTIVE);
    assert_true(slice_present(asking.request.metadata));
    asking_close(&asking);
    asking_read(
        &asking, &anthropic_dialect,
        "{\"model\":\"m\",\"mcp_servers\":[],\"speed\":null,\"metadata\":{\"user_id\":\"u\"},"
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024,\"display\":\"summarized\"},"
        "\"messages\":[]}");
    assert_int_equal(asking.error, 0);
    assert_int_equal(asking.request.unsaid.count, 0);
    assert_int_equal(asking.request.show_thoughts, 1);
    assert_false(slice_present(asking.request.metadata));
    asking_close(&asking);
}

/* A result of a search for tools is words, where there is no such search. */
static void
names_tools_that_were_found(void **state)
{
    (void)state;
    struct asking asking;
    asking_read(&asking, &anthropic_dialect,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_"
                "result\",\"tool_use_id\":\"i\","
                "\"content\":[{\"type\":\"tool_reference\",\"tool_name\":\"mcp__x\"}]}]}]}");
    assert_int_equal(asking.error, 0);
    const struct canon_part *found = asking.request.messages->parts->parts;
    assert_true(found->kind == PART_TEXT && slice_is(found->text, "[found the tool mcp__x]"));
    assert_true(asking.request.unsaid.count == 1 &&
                strcmp(asking.request.unsaid.dropped[0], "tool_reference") == 0);
    asking_close(&asking);
}

/* Claude Code's line for Anthropic's accounting is no prompt (R144). */
static void
strips_the_attribution(void **state)
{
    (void)state;
#define MARK "x-anthropic-billing-header: cc_version=1; cch=00;"
    static const char *const systems[][2] = {
        {"\"" MARK "\\nBe kind.\"", "Be kind."},
        {"[{\"type\":\"text\",\"text\":\"" MARK "\"},{\"type\":\"text\",\"text\":\"Be kind.\"}]",
         "Be kind."},
        {"\"Say " MARK "\"", "Say " MARK},
        {"[{\"type\":\"text\",\"text\":\"Be\"},{\"type\":\"text\",\"text\":\"" MARK "\"}]", "Be"},
    };
    for (size_t i = 0; i < countof(systems); i++) {
        struct asking asking;
        char body[1024];
        (void)snprintf(body, sizeof(body), "{\"model\":\"m\",\"system\":%s,\"messages\":[]}",
                       systems[i][0]);
        asking_read(&asking, &anthropic_dialect, body);
        assert_int_equal(asking.error, 0);
        assert_true(slice_is(asking.request.messages->parts->text, systems[i][1]));
        asking_close(&asking);
    }
}

static void
addresses_and_authenticates(void **state)
{
    (void)state;
    static const char *const paths[][2] = {
        {"", "/v1/messages"}, {"/v1", "/v1/messages"}, {"/anthropic", "/anthropic/v1/messages"}};
    for (size_t i = 0; i < countof(paths); i++) {
        struct dialect_upstream upstream = {.base_path = slice_from(paths[i][0])};
        struct sink out;
        sink_init(&out, 4096);
        anthropic_dialect.put_target(&out, &upstream, true);
        assert_true(slice_is(sink_slice(&out), paths[i][1]));
        sink_fini(&out);
    }
    struct arena arena;
    struct dialect_field fields[4];
    arena_init(&arena, 65536);
    struct dialect_upstream upstream = {.api_key = S("k")};
    assert_int_equal(anthropic_dialect.fields(&upstream, &arena, fields), 2);
    assert_string_equal(fields[0].name, "x-api-key");
    assert_string_equal(fields[1].name, "anthropic-version");
    upstream.auth = AUTH_BEARER;
    assert_int_equal(anthropic_dialect.fields(&upstream, &arena, fields), 2);
    assert_true(slice_is(fields[0].value, "Bearer k"));
    upstream.api_key = SLICE_NONE;
    assert_int_equal(anthropic_dialect.fields(&upstream, &arena, fields), 1);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_all_but_the_model),    cmocka_unit_test(refuses_bad_requests),
        cmocka_unit_test(reads_every_kind_of_block),   cmocka_unit_test(notes_what_stays_unsaid),
        cmocka_unit_test(names_tools_that_were_found), cmocka_unit_test(strips_the_attribution),
        cmocka_unit_test(addresses_and_authenticates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
