/* SPDX-License-Identifier: MIT
 *
 * test_openai_chat_error.c - errors of every vendor's spelling, and what a Chat client is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "providers/openai_chat.h"

#include <stdlib.h>

static struct arena arena;

static const struct {
    int status;
    const char *body;
    enum err_kind kind;
    int told;
    const char *message, *code;
} rows[] = {
    {400,
     "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":\"x\",\"code\":"
     "\"unknown_parameter\"}}",
     KIND_INVALID, 400, "no", "unknown_parameter"},
    {400, "{\"error\":{\"message\":\"This model's maximum context length is 5\",\"code\":null}}",
     KIND_CONTEXT, 400, "This model's maximum context length is 5", NULL},
    {400,
     "{\"error\":{\"code\":400,\"message\":\"the request "
     "exceeds\",\"type\":\"exceed_context_size_error\"}}",
     KIND_CONTEXT, 400, "the request exceeds", NULL},
    {401, "{\"error\":{\"message\":\"bad key\",\"code\":\"invalid_api_key\"}}", KIND_AUTH, 401,
     "bad key", "invalid_api_key"},
    {401, "{\"detail\":\"Invalid API Key\"}", KIND_AUTH, 401, "Invalid API Key", NULL},
    {402, "{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\"}}",
     KIND_BILLING, 429, "Insufficient Balance", NULL},
    {403, "{\"error\":{\"message\":\"region\"}}", KIND_PERMISSION, 403, "region", NULL},
    {404, "{\"error\":{\"message\":\"gone\",\"code\":\"model_not_found\"}}", KIND_NOT_FOUND, 404,
     "gone", "model_not_found"},
    {400,
     "{\"error\":{\"message\":\"The requested model does not "
     "exist\",\"code\":\"model_not_found\"}}",
     KIND_NOT_FOUND, 400, "The requested model does not exist", "model_not_found"},
    {413, "", KIND_TOO_LARGE, 413, "the upstream answered with status 413", NULL},
    {422, "{\"detail\":[{\"msg\":\"Extra inputs\"}]}", KIND_INVALID, 422, "Extra inputs", NULL},
    {429,
     "{\"error\":{\"message\":\"slow "
     "down\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}",
     KIND_RATE_LIMIT, 429, "slow down", "rate_limit_exceeded"},
    {429, "{\"error\":{\"message\":\"x\",\"code\":\"insufficient_quota\"}}", KIND_BILLING, 429, "x",
     "insufficient_quota"},
    {429, "{\"error\":{\"message\":\"You exceeded your current quota, please check\"}}",
     KIND_BILLING, 429, "You exceeded your current quota, please check", NULL},
    {500, "Internal Server Error", KIND_UPSTREAM, 500, "Internal Server Error", NULL},
    {502, "<html></html>", KIND_UPSTREAM, 502, "the upstream answered with status 502", NULL},
    {503, "{\"error\":{\"message\":\"Loading model\",\"type\":\"unavailable_error\",\"code\":503}}",
     KIND_OVERLOADED, 503, "Loading model", NULL},
    {429,
     "{\"error\":{\"message\":\"Request too large for m on tokens per min (TPM): Limit 3, "
     "Requested "
     "6.\",\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}",
     KIND_TOO_LARGE, 413, "Request too large for m on tokens per min (TPM): Limit 3, Requested 6.",
     "rate_limit_exceeded"},
    {429,
     "{\"error\":{\"message\":\"Rate limit reached for m on tokens per min (TPM): Limit 3, Used 2, "
     "Requested 2.\",\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}",
     KIND_RATE_LIMIT, 429,
     "Rate limit reached for m on tokens per min (TPM): Limit 3, Used 2, Requested 2.",
     "rate_limit_exceeded"},
    {504, "upstream request timeout\n", KIND_TIMEOUT, 504, "upstream request timeout", NULL},
    {529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
     KIND_OVERLOADED, 503, "Overloaded", NULL},
    {400, "{\"code\":\"invalid-argument\",\"error\":\"Incorrect key\"}", KIND_INVALID, 400,
     "Incorrect key", "invalid-argument"},
    {404, "{\"error\":\"model 'x' not found\"}", KIND_NOT_FOUND, 404, "model 'x' not found", NULL},
    {400, "[{\"error\":{\"code\":400,\"message\":\"bad arg\",\"status\":\"INVALID_ARGUMENT\"}}]",
     KIND_INVALID, 400, "bad arg", NULL},
    {400,
     "{\"object\":\"error\",\"message\":\"m\",\"type\":\"invalid_request\",\"param\":null,\"code\":"
     "\"3280\"}",
     KIND_INVALID, 400, "m", "3280"},
    {403, "{\"message\":\"User is not authorized\"}", KIND_PERMISSION, 403,
     "User is not authorized", NULL},
    {500, "{\"error\":{\"message\":\"{\\\"error\\\":{\\\"message\\\":\\\"inner\\\"}}\"}}",
     KIND_UPSTREAM, 500, "inner", NULL},
    {500, "{\"x\":[[[", KIND_UPSTREAM, 500, "the upstream answered with status 500", NULL},
    {500, "\xff\xfe", KIND_UPSTREAM, 500, "the upstream answered with status 500", NULL},
    {418, "[]", KIND_INVALID, 418, "the upstream answered with status 418", NULL},
    {400, "{\"error\":{}}", KIND_INVALID, 400, "upstream answered with an error", NULL},
    /* Vendors, one by one. */
    {400,
     "{\"code\":\"invalid-argument\",\"error\":\"Incorrect API key provided. You can obtain one\"}",
     KIND_AUTH, 401, "Incorrect API key provided. You can obtain one", "invalid-argument"},
    {400,
     "{\"code\":\"c\",\"error\":\"This model's maximum prompt length is 131072 but the request "
     "contains 200000 tokens.\"}",
     KIND_CONTEXT, 400,
     "This model's maximum prompt length is 131072 but the request contains 200000 tokens.", "c"},
    {400,
     "{\"error\":{\"message\":\"Invalid request: Your request exceeded model token limit: "
     "8192\",\"type\":\"invalid_request_error\"}}",
     KIND_CONTEXT, 400, "Invalid request: Your request exceeded model token limit: 8192", NULL},
    {429, "{\"error\":{\"message\":\"m\",\"type\":\"exceeded_current_quota_error\"}}", KIND_BILLING,
     429, "m", NULL},
    {429, "{\"error\":{\"message\":\"m\",\"type\":\"engine_overloaded_error\"}}", KIND_OVERLOADED,
     503, "m", NULL},
    {429, "{\"error\":{\"code\":\"1113\",\"message\":\"m\"}}", KIND_BILLING, 429, "m", "1113"},
    {400,
     "{\"error\":{\"code\":\"InvalidParameter\",\"message\":\"Range of input length should be [1, "
     "30720]\"},\"request_id\":\"r\"}",
     KIND_CONTEXT, 400, "Range of input length should be [1, 30720]", "InvalidParameter"},
    {400, "{\"error\":{\"code\":\"Arrearage\",\"message\":\"m\"}}", KIND_BILLING, 429, "m",
     "Arrearage"},
    {429, "{\"error\":{\"code\":\"RateLimitReached\",\"message\":\"m\",\"details\":\"m\"}}",
     KIND_RATE_LIMIT, 429, "m", "RateLimitReached"},
    {401, "{\"statusCode\":401,\"message\":\"Access denied\"}", KIND_AUTH, 401, "Access denied",
     NULL},
    {400,
     "{\"error\":{\"message\":\"filtered\",\"type\":null,\"param\":\"prompt\",\"code\":"
     "\"content_filter\",\"status\":400,\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}"
     "}",
     KIND_INVALID, 400, "filtered", "content_filter"},
    {429,
     "{\"error\":{\"message\":\"Provider returned "
     "error\",\"code\":429,\"metadata\":{\"raw\":\"r\"}}}",
     KIND_RATE_LIMIT, 429, "Provider returned error", NULL},
    {400,
     "{\"error\":{\"message\":\"The total length of all messages is too long.\",\"type\":"
     "\"too_many_prompt_tokens\",\"code\":400}}",
     KIND_CONTEXT, 400, "The total length of all messages is too long.", NULL},
    {503, "{\"error\":\"model is loading\"}", KIND_OVERLOADED, 503, "model is loading", NULL},
};

/* Google's own shape on its OpenAI-compatible endpoint: wrapped in a list, with words and delays of
 * its own. */
static void
test_google(void **state)
{
    (void)state;
    struct canon_error error;
    chat_read_error(
        400,
        SLICE_LIT("[{\"error\":{\"code\":400,\"message\":\"API key not valid.\",\"status\":"
                  "\"INVALID_ARGUMENT\",\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}]"),
        &arena, &error);
    assert_int_equal(error.kind, KIND_AUTH);
    assert_int_equal(chat_error_status(&error), 401);
    chat_read_error(
        429,
        SLICE_LIT("[{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\","
                  "\"details\":[{\"violations\":[{\"quotaId\":\"RequestsPerDay\"}]},"
                  "{\"retryDelay\":\"34.4s\"}]}}]"),
        &arena, &error);
    assert_int_equal(error.kind, KIND_RATE_LIMIT);
    assert_int_equal(error.retry_after_ms, 34400);
    assert_int_equal(error.should_retry, 0);
}

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct canon_error error;
        chat_read_error(rows[i].status, slice_from(rows[i].body), &arena, &error);
        assert_int_equal(error.error, ERR_UPSTREAM_STATUS);
        assert_int_equal(error.kind, rows[i].kind);
        assert_int_equal(chat_error_status(&error), rows[i].told);
        assert_true(slice_is(error.message, rows[i].message));
        assert_true(rows[i].code ? slice_is(error.code, rows[i].code) : !slice_present(error.code));
        assert_int_equal(error.should_retry, -1);
        assert_int_equal(error.retry_after_ms, UINT64_MAX);
    }
}

/* Whatever an upstream says, a Chat client gets one well-formed envelope. */
static void
test_envelope(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct canon_error error;
        struct sink out;
        struct json root;
        chat_read_error(rows[i].status, slice_from(rows[i].body), &arena, &error);
        sink_init(&out, 1u << 20);
        chat_error_body(&error, SLICE_LIT("req_1"), &out);
        assert_int_equal(json_parse(sink_slice(&out), 4, 100, &arena, &root), 0);
        struct json inner = json_get(root, "error");
        assert_int_equal(json_count(root), 1);
        assert_int_equal(json_count(inner), 4);
        assert_int_equal(json_type(json_get(inner, "message")), JSON_STRING);
        assert_int_equal(json_type(json_get(inner, "type")), JSON_STRING);
        assert_true(json_present(json_get(inner, "param")));
        assert_true(json_type(json_get(inner, "code")) == JSON_STRING ||
                    json_type(json_get(inner, "code")) == JSON_NULL);
        assert_true(chat_error_conforms(sink_slice(&out), &arena));
        sink_fini(&out);
    }
}

static void
test_conforming(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":null},\"x\":1}",
        "{\"error\":{\"message\":\"m\",\"type\":\"t\"}}",
    };
    static const char *const no[] = {
        "",
        "{}",
        "<html>",
        "{\"error\":\"m\"}",
        "{\"error\":{\"message\":\"m\"}}",
        "{\"detail\":\"m\"}",
        "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":400}}",
        "{\"error\":{\"message\":\"{}\",\"type\":\"t\"}}",
        "{\"object\":\"error\",\"message\":\"m\",\"type\":\"t\"}",
    };
    for (size_t i = 0; i < countof(yes); i++)
        assert_true(chat_error_conforms(slice_from(yes[i]), &arena));
    for (size_t i = 0; i < countof(no); i++)
        assert_false(chat_error_conforms(slice_from(no[i]), &arena));
}

static void
test_own_errors(void **state)
{
    (void)state;
    static const struct {
        int error, status;
        const char *type, *code;
    } own[] = {
        {ERR_MODEL, 404, "invalid_request_error", "model_not_found"},
        {ERR_AUTH, 401, "authentication_error", "invalid_api_key"},
        {ERR_UNSUPPORTED, 400, "invalid_request_error", "unsupported_parameter"},
        {ERR_BODY_LIMIT, 413, "invalid_request_error", "request_too_large"},
        {ERR_QUEUE, 429, "rate_limit_error", "queue_full"},
        {ERR_CONNECT, 503, "server_error", "upstream_connect"},
        {ERR_FIRST_BYTE_TIMEOUT, 504, "server_error", "upstream_timeout"},
        {ERR_TOOL_CALL, 502, "server_error", "invalid_tool_call"},
        {ERR_INTERNAL, 500, "server_error", "internal_error"},
    };
    for (size_t i = 0; i < countof(own); i++) {
        struct canon_error error = canon_error_of(own[i].error);
        struct sink out;
        struct json root;
        sink_init(&out, 4096);
        chat_error_body(&error, SLICE_NONE, &out);
        assert_int_equal(chat_error_status(&error), own[i].status);
        assert_int_equal(json_parse(sink_slice(&out), 4, 100, &arena, &root), 0);
        assert_true(json_is(json_get(json_get(root, "error"), "type"), own[i].type));
        assert_true(json_is(json_get(json_get(root, "error"), "code"), own[i].code));
        sink_fini(&out);
    }
}

static void
test_in_a_stream(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_error;
        enum err_kind kind;
    } events[] = {
        {"{\"error\":{\"code\":502,\"message\":\"m\"}}", true, KIND_UPSTREAM},
        {"{\"error\":{\"code\":429,\"message\":\"m\"},\"choices\":[{\"delta\":{}}]}", true,
         KIND_RATE_LIMIT},
        {"{\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}", true, KIND_OVERLOADED},
        {"{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\"}}", true,
         KIND_CONTEXT},
        {"{\"error\":\"text\"}", true, KIND_UPSTREAM},
        {"{\"error\":\"text\",\"choices\":[{}]}", true, KIND_UPSTREAM},
        {"{\"error\":true,\"choices\":[{}]}", true, KIND_UPSTREAM},
        {"{\"error\":false,\"choices\":[{}]}", false, KIND_UPSTREAM},
        {"{\"object\":\"error\",\"message\":\"m\",\"code\":400}", true, KIND_INVALID},
        {"{\"detail\":\"m\"}", true, KIND_UPSTREAM},
        {"{\"error\":null,\"choices\":[{}]}", false, KIND_UPSTREAM},
        {"{\"error\":{},\"choices\":[{}]}", false, KIND_UPSTREAM},
        {"{\"error\":\"\",\"choices\":[{}]}", false, KIND_UPSTREAM},
        {"{\"choices\":[],\"message\":\"m\"}", false, KIND_UPSTREAM},
        {"{\"id\":\"a\",\"choices\":[]}", false, KIND_UPSTREAM},
        {"7", false, KIND_UPSTREAM},
    };
    for (size_t i = 0; i < countof(events); i++) {
        struct json root;
        struct canon_error error;
        assert_int_equal(json_parse(slice_from(events[i].text), 8, 100, &arena, &root), 0);
        assert_int_equal(chat_error_from_json(root, &arena, &error), events[i].is_error);
        if (events[i].is_error)
            assert_int_equal(error.kind, events[i].kind);
    }
}

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 16u << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_conforming), cmocka_unit_test(test_google),
        cmocka_unit_test(test_own_errors), cmocka_unit_test(test_in_a_stream)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
