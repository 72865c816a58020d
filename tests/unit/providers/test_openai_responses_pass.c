/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_pass.c - Responses requests passed to Responses upstreams, targets, keys,
 * and counting.
 */
#include "tests/unit/providers/responding.h"

static void
asks(struct asking *asking, const char *body)
{
    *asking = (struct asking){.error = 0};
    arena_init(&asking->arena, 1u << 20);
    sink_init(&asking->out, 1u << 20);
    asking->request = (struct canon_request){.body = slice_from(body), .arena = &asking->arena};
    assert_int_equal(
        json_parse(asking->request.body, 64, 10000, &asking->arena, &asking->request.root), 0);
    assert_int_equal(responses_outline(&asking->request, &asking->fault), 0);
}

static void
check_passed(const struct dialect_upstream *upstream, const char *body, const char *expected)
{
    struct asking asking;
    asks(&asking, body);
    assert_int_equal(responses_check_pass(&asking.request, upstream, &asking.fault), 0);
    assert_int_equal(responses_pass_request(&asking.request, upstream, &asking.out), 0);
    sink_byte(&asking.out, '\0');
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static void
passes_bytes(void **state)
{
    (void)state;
    static const char odd[] =
        "{ \"model\" : \"gpt-5.2\", \"input\":[ {\"role\":\"user\",\"content\":\"x\", \"new\":1} ],"
        "\"flux\":[1,2 ], \"previous_response_id\" : \"resp_1\" ,\"temperature\":null}";
    check_passed(&official, odd, odd);
    check_passed(
        &plain,
        "{\"model\":\"m\\u0031\",\"input\":\"x\", \"background\":false,\"conversation\":null}",
        "{\"model\":\"local\",\"input\":\"x\", \"background\":false,\"conversation\":null}");
}

static void
passes_with_defaults(void **state)
{
    (void)state;
    struct dialect_upstream upstream = plain;
    upstream.model = SLICE_LIT("a\"b");
    upstream.max_output_tokens = 100;
    upstream.default_params =
        SLICE_LIT("{\"temperature\":0.1,\"max_tokens\":50,\"reasoning_effort\":\"low\",\"x\":{}}");
    check_passed(&upstream, "{\"model\":\"m\",\"input\":\"x\"}",
                 "{\"model\":\"a\\\"b\",\"input\":\"x\",\"temperature\":0.1,\"max_output_tokens\":"
                 "50,\"reasoning\":{"
                 "\"effort\":\"low\"},\"x\":{}}");
    /* What the client says, even null, is no gap to fill (R37, R38). */
    check_passed(&upstream,
                 "{\"model\":\"m\",\"input\":\"x\",\"temperature\":null,\"max_output_tokens\":101,"
                 "\"reasoning\":null,\"x\":0}",
                 "{\"model\":\"a\\\"b\",\"input\":\"x\",\"temperature\":null,\"max_output_tokens\":"
                 "100,\"reasoning\":null,"
                 "\"x\":0}");
    check_passed(&upstream,
                 "{\"model\":\"m\",\"input\":\"x\",\"reasoning\":{\"summary\":\"auto\"}}",
                 "{\"model\":\"a\\\"b\",\"input\":\"x\",\"reasoning\":{\"summary\":\"auto\","
                 "\"effort\":\"low\"},"
                 "\"temperature\":0.1,\"max_output_tokens\":50,\"x\":{}}");
    upstream.default_params =
        SLICE_LIT("{\"reasoning\":{\"summary\":\"auto\"},\"reasoning_effort\":\"low\"}");
    check_passed(&upstream, "{\"model\":\"m\",\"input\":\"x\"}",
                 "{\"model\":\"a\\\"b\",\"input\":\"x\",\"reasoning\":{\"summary\":\"auto\"}}");
}

/* P24: another provider's reasoning, which a Responses client carries in our wrapper, goes no
 * further. */
static void
keeps_wrapped_reasoning_back(void **state)
{
    (void)state;
    check_passed(
        &official,
        "{\"model\":\"gpt-5.2\",\"input\":[{\"type\":\"reasoning\",\"summary\":[],\"encrypted_"
        "content\":"
        "\"penstock.1.anthropic.QQ\"},{\"type\":\"reasoning\",\"encrypted_content\":\"penstock.1."
        "gemini.QQ\"},"
        "{\"type\":\"reasoning\",\"encrypted_content\":\"own\" }, "
        "{\"role\":\"user\",\"content\":\"x\"}],\"a\":1 }",
        "{\"model\":\"gpt-5.2\",\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"own\" },"
        "{\"role\":\"user\",\"content\":\"x\"}],\"a\":1 }");
    check_passed(&official,
                 "{\"model\":\"gpt-5.2\",\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":"
                 "\"penstock.1.chat.QQ\"}]}",
                 "{\"model\":\"gpt-5.2\",\"input\":[]}");
    check_passed(&official,
                 "{\"model\":\"gpt-5.2\",\"input\":[ "
                 "{\"role\":\"user\",\"content\":\"penstock.1.chat.QQ\"} ]}",
                 "{\"model\":\"gpt-5.2\",\"input\":[ "
                 "{\"role\":\"user\",\"content\":\"penstock.1.chat.QQ\"} ]}");
}

static void
refuses_state_that_is_not_kept(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"{\"model\":\"m\",\"previous_response_id\":\"resp_1\",\"input\":[]}",
         "previous_response_id"},
        {"{\"model\":\"m\",\"conversation\":\"c\",\"input\":[]}", "conversation"},
        {"{\"model\":\"m\",\"prompt\":{\"id\":\"p\"}}", "prompt"},
        {"{\"model\":\"m\",\"background\":true,\"input\":\"x\"}", "background"},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"item_reference\",\"id\":\"i\"}]}", "input"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct asking asking;
        asks(&asking, rows[i].body);
        assert_int_equal(responses_check_pass(&asking.request, &official, &asking.fault), 0);
        assert_int_equal(responses_check_pass(&asking.request, &plain, &asking.fault),
                         -ERR_UNSUPPORTED);
        assert_true(slice_is(asking.fault.param, rows[i].param));
        assert_true(asking.fault.message.len > 0);
        assert_int_equal(responses_pass_request(&asking.request, &plain, &asking.out),
                         -ERR_UNSUPPORTED);
        assert_int_equal(asking.out.len, 0);
        assert_int_equal(responses_pass_request(&asking.request, &official, &asking.out), 0);
        asking_close(&asking);
    }
}

static void
knows_targets(void **state)
{
    (void)state;
    static const struct {
        const char *base, *version;
        bool azure;
        const char *target;
    } rows[] = {
        {"/v1", NULL, false, "/v1/responses"},
        {"", "2024-10-21", false, "/responses"},
        {"", "2025-04-01-preview", true, "/openai/responses?api-version=2025-04-01-preview"},
        {"", NULL, true, "/openai/v1/responses"},
        {"", "v1", true, "/openai/v1/responses"},
        {"", "preview", true, "/openai/v1/responses?api-version=preview"},
        {"/openai/v1", NULL, true, "/openai/v1/responses"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct sink out;
        struct dialect_upstream upstream = {.base_path = slice_from(rows[i].base),
                                            .api_version = slice_from(rows[i].version),
                                            .surface =
                                                rows[i].azure ? SURFACE_AZURE : SURFACE_PLAIN};
        sink_init(&out, 4096);
        responses_put_target(&out, &upstream, true);
        assert_true(slice_is(sink_slice(&out), rows[i].target));
        sink_reset(&out, 4096);
        responses_put_count_target(&out, &upstream);
        assert_non_null(memmem(out.ptr, out.len, "/responses/input_tokens", 23));
        sink_fini(&out);
    }
}

static void
knows_keys(void **state)
{
    (void)state;
    struct arena arena;
    struct dialect_field field[4];
    struct dialect_upstream upstream = {.api_key = SLICE_LIT("k")};
    arena_init(&arena, 4096);
    assert_int_equal(responses_fields(&upstream, &arena, field), 1);
    assert_string_equal(field[0].name, "authorization");
    assert_true(slice_is(field[0].value, "Bearer k"));
    upstream.surface = SURFACE_AZURE;
    assert_int_equal(responses_fields(&upstream, &arena, field), 1);
    assert_string_equal(field[0].name, "api-key");
    upstream.api_key = SLICE_NONE;
    assert_int_equal(responses_fields(&upstream, &arena, field), 0);
    arena_fini(&arena);
}

/* ---------------------------------------------------------------- counting */

static void
check_count(const struct dialect *client, const char *body, const char *expected)
{
    struct asking asking;
    asking_read(&asking, client, body);
    assert_int_equal(asking.error, 0);
    assert_int_equal(responses_write_count(&asking.request, &official, &asking.out, &asking.report,
                                           &asking.fault),
                     0);
    sink_byte(&asking.out, '\0');
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static void
counts_tokens(void **state)
{
    (void)state;
    struct arena arena;
    uint64_t tokens = 0;
    struct sink out;
    assert_true(responses_can_count(&official));
    assert_false(responses_can_count(&plain));
    check_count(&openai_responses_dialect,
                "{\"model\":\"m\",\"stream\":true,\"store\":false,\"input\":[ "
                "],\"temperature\":1,\"instructions\":\"i\","
                "\"reasoning\":{\"effort\":\"low\"},\"include\":[\"reasoning.encrypted_content\"]}",
                "{\"model\":\"gpt-5.2\",\"input\":[ "
                "],\"instructions\":\"i\",\"reasoning\":{\"effort\":\"low\"}}");
    check_count(&openai_responses_dialect,
                "{\"model\":\"m\",\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":"
                "\"penstock.1.chat.QQ\"}]}",
                "{\"model\":\"gpt-5.2\",\"input\":[]}");
    /* What another dialect's client may not ask for in an answer does not matter to a count. */
    check_count(
        &anthropic_dialect,
        "{\"model\":\"m\",\"system\":\"s\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
        "\"stop_sequences\":[\"a\"],\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":"
        "\"object\"}}]}",
        "{\"model\":\"gpt-5.2\",\"instructions\":\"s\",\"input\":[{\"type\":\"message\",\"role\":"
        "\"user\","
        "\"content\":[{\"type\":\"input_text\",\"text\":\"x\"}]}],\"tools\":[{\"type\":"
        "\"function\",\"name\":\"f\","
        "\"parameters\":{\"type\":\"object\"},\"strict\":false}]}");
    arena_init(&arena, 1u << 16);
    assert_int_equal(responses_read_count(
                         SLICE_LIT("{\"object\":\"response.input_tokens\",\"input_tokens\":12}"),
                         &arena, &tokens),
                     0);
    assert_int_equal(tokens, 12);
    assert_int_equal(responses_read_count(SLICE_LIT("{\"tokens\":1}"), &arena, &tokens),
                     -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(responses_read_count(SLICE_LIT("<html>"), &arena, &tokens),
                     -ERR_UPSTREAM_PROTOCOL);
    arena_fini(&arena);
    sink_init(&out, 4096);
    responses_write_count_reply(7, &out);
    assert_true(
        slice_is(sink_slice(&out), "{\"object\":\"response.input_tokens\",\"input_tokens\":7}"));
    sink_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_bytes),
        cmocka_unit_test(passes_with_defaults),
        cmocka_unit_test(keeps_wrapped_reasoning_back),
        cmocka_unit_test(refuses_state_that_is_not_kept),
        cmocka_unit_test(knows_targets),
        cmocka_unit_test(knows_keys),
        cmocka_unit_test(counts_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
