/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_error.c - errors of every vendor read, and written as Anthropic's envelope.
 */
#include "providers/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void
reads(int status, const char *body, enum err_kind kind, const char *message)
{
    struct arena arena;
    struct canon_error error;
    arena_init(&arena, 1u << 20);
    anthropic_dialect.read_error(status, slice_from(body), &arena, &error);
    if (error.kind != kind || !slice_is(error.message, message))
        print_error("%d %s: kind %s, message %.*s\n", status, body, err_kind_name(error.kind),
                    SLICE_ARG(error.message));
    assert_int_equal(error.kind, kind);
    assert_true(slice_is(error.message, message));
    assert_int_equal(error.error, ERR_UPSTREAM_STATUS);
    assert_int_equal(error.status, status == 400 && kind == KIND_AUTH ? 401 : status);
    assert_true(error.retry_after_ms == UINT64_MAX);
    assert_int_equal(error.should_retry, kind == KIND_BILLING ? 0 : -1);
    arena_fini(&arena);
}

/* What Google says in front of Claude on Vertex: as an object, or as the only element of an array
 * (P76). */
static void
google_says(int status, const char *rest, enum err_kind kind, int as, uint64_t after_ms)
{
    static const char *const forms[] = {"{\"error\":{%s}}", "[{\"error\":{%s}}]"};
    for (size_t i = 0; i < countof(forms); i++) {
        struct arena arena;
        struct canon_error error;
        struct sink out;
        char body[1024];
        arena_init(&arena, 1u << 20);
        sink_init(&out, 65536);
        (void)snprintf(body, sizeof(body), forms[i], rest);
        anthropic_dialect.read_error(status, slice_from(body), &arena, &error);
        if (error.kind != kind)
            print_error("%s: kind %s\n", body, err_kind_name(error.kind));
        assert_int_equal(error.kind, kind);
        assert_true(error.retry_after_ms == after_ms);
        assert_int_equal(anthropic_dialect.error_status(&error), as);
        assert_false(anthropic_dialect.error_conforms(slice_from(body), &arena));
        anthropic_dialect.error_body(&error, SLICE_LIT("req_1"), &out);
        assert_true(anthropic_dialect.error_conforms(sink_slice(&out), &arena));
        sink_fini(&out);
        arena_fini(&arena);
    }
}

static void
reads_what_google_says(void **state)
{
    (void)state;
    google_says(429,
                "\"code\":429,\"message\":\"Quota exceeded for p with base model: "
                "anthropic-claude-haiku-4-5.\","
                "\"status\":\"RESOURCE_EXHAUSTED\"",
                KIND_RATE_LIMIT, 429, UINT64_MAX);
    google_says(
        429,
        "\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
        "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"2.5s\"}]",
        KIND_RATE_LIMIT, 429, 2500);
    google_says(
        403,
        "\"code\":403,\"message\":\"Permission 'aiplatform.endpoints.predict' denied\",\"status\":"
        "\"PERMISSION_DENIED\"",
        KIND_PERMISSION, 403, UINT64_MAX);
    google_says(
        401,
        "\"code\":401,\"message\":\"Request had invalid authentication credentials.\",\"status\":"
        "\"UNAUTHENTICATED\"",
        KIND_AUTH, 401, UINT64_MAX);
    google_says(
        400,
        "\"code\":400,\"message\":\"The requested model x is not servable in region us-west1.\","
        "\"status\":\"FAILED_PRECONDITION\"",
        KIND_NOT_FOUND, 404, UINT64_MAX);
    google_says(
        404,
        "\"code\":404,\"message\":\"Publisher Model x was not found\",\"status\":\"NOT_FOUND\"",
        KIND_NOT_FOUND, 404, UINT64_MAX);
    google_says(503, "\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"", KIND_OVERLOADED,
                529, UINT64_MAX);
    google_says(504, "\"code\":504,\"message\":\"m\",\"status\":\"DEADLINE_EXCEEDED\"",
                KIND_TIMEOUT, 504, UINT64_MAX);
    google_says(500, "\"code\":500,\"message\":\"m\",\"status\":\"INTERNAL\"", KIND_UPSTREAM, 500,
                UINT64_MAX);
    google_says(400, "\"code\":400,\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\"", KIND_INVALID,
                400, UINT64_MAX);
}

/* The same inside a stream, where no status goes before. */
static void
reads_errors_of_streams(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        enum err_kind kind;
    } events[] = {
        {"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"},"
         "\"request_id\":\"r\"}",
         KIND_OVERLOADED},
        {"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\"}}",
         KIND_RATE_LIMIT},
        {"{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"m\"}}",
         KIND_BILLING},
        {"{\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"m\"}}",
         KIND_TIMEOUT},
        {"{\"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":\"m\"}}",
         KIND_TOO_LARGE},
        {"{\"type\":\"error\",\"error\":{\"type\":\"permission_error\",\"message\":\"m\"}}",
         KIND_PERMISSION},
        {"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt "
         "is too long: 2 > 1\"}}",
         KIND_CONTEXT},
        {"{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}",
         KIND_UPSTREAM},
        {"{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\"}}",
         KIND_RATE_LIMIT},
        {"[{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}]",
         KIND_OVERLOADED},
    };
    for (size_t i = 0; i < countof(events); i++) {
        struct arena arena;
        struct canon_events list;
        void *reader = calloc(1, anthropic_dialect.reader_bytes);
        arena_init(&arena, 1u << 20);
        canon_events_init(&list, &arena);
        assert_non_null(reader);
        anthropic_dialect.reader_init(reader, &arena);
        assert_int_equal(anthropic_dialect.read_event(reader, SLICE_LIT("error"),
                                                      slice_from(events[i].data), &list),
                         0);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.at[0].kind, CANON_ERROR);
        if (list.at[0].error.kind != events[i].kind)
            print_error("%s: %s\n", events[i].data, err_kind_name(list.at[0].error.kind));
        assert_int_equal(list.at[0].error.kind, events[i].kind);
        assert_int_equal(list.at[0].error.error, ERR_UPSTREAM_ERROR);
        anthropic_dialect.reader_fini(reader);
        free(reader);
        arena_fini(&arena);
    }
}

static void
reads_every_vendors_form(void **state)
{
    (void)state;
    reads(400,
          "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"bad\"},"
          "\"request_id\":\"r\"}",
          KIND_INVALID, "bad");
    reads(429,
          "{\"error\":{\"message\":\"quota\",\"type\":\"insufficient_quota\",\"code\":"
          "\"insufficient_quota\"}}",
          KIND_BILLING, "quota");
    reads(429,
          "[{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
          KIND_RATE_LIMIT, "slow");
    reads(400, "{\"code\":\"invalid-argument\",\"error\":\"xai says no\"}", KIND_INVALID,
          "xai says no");
    reads(500, "{\"message\":\"aws\"}", KIND_UPSTREAM, "aws");
    reads(422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\"}]}", KIND_INVALID,
          "field required");
    reads(401, "{\"detail\":\"Invalid API Key\"}", KIND_AUTH, "Invalid API Key");
    reads(400,
          "{\"object\":\"error\",\"message\":\"vllm\",\"type\":\"BadRequestError\",\"code\":400}",
          KIND_INVALID, "vllm");
    reads(400, "{\"statusCode\":400,\"message\":\"azure\"}", KIND_INVALID, "azure");
    reads(503,
          "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
          KIND_OVERLOADED, "Loading model");
    reads(
        529,
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
        KIND_OVERLOADED, "Overloaded");
    reads(500, "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}", KIND_OVERLOADED,
          "x");
    reads(402, "{}", KIND_BILLING, "upstream answered with an error");
    reads(404, "", KIND_NOT_FOUND, "upstream answered with an error");
    reads(502, "<html><body>Bad Gateway</body></html>", KIND_UPSTREAM,
          "upstream answered with an error");
    reads(504, "upstream timed out\n", KIND_TIMEOUT, "upstream timed out");
    reads(403, "\"just text\"", KIND_PERMISSION, "just text");
    reads(418, "\xff\xfe", KIND_INVALID, "upstream answered with an error");
    reads(400, "{\"error\":{\"message\":\"API key not valid. Please pass a valid API key.\"}}",
          KIND_AUTH, "API key not valid. Please pass a valid API key.");
    reads(413, "{\"error\":{\"message\":\"x\"}}", KIND_TOO_LARGE, "x");
    reads(400,
          "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your "
          "credit balance is too "
          "low to access the Anthropic API.\"}}",
          KIND_BILLING, "Your credit balance is too low to access the Anthropic API.");
    reads(404,
          "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"model: x\"}}",
          KIND_NOT_FOUND, "model: x");
    reads(408, "{\"error\":{\"message\":\"x\"}}", KIND_TIMEOUT, "x");
}

static void
knows_when_a_prompt_is_too_long(void **state)
{
    (void)state;
    reads(400, "{\"error\":{\"message\":\"This model's maximum context length is 8 tokens\"}}",
          KIND_CONTEXT, "This model's maximum context length is 8 tokens");
    reads(400, "{\"error\":{\"message\":\"x\",\"code\":\"context_length_exceeded\"}}", KIND_CONTEXT,
          "x");
    reads(400, "{\"error\":{\"message\":\"x\",\"type\":\"exceed_context_size_error\"}}",
          KIND_CONTEXT, "x");
    reads(413, "{\"error\":{\"message\":\"Prompt is too long\"}}", KIND_CONTEXT,
          "Prompt is too long");
    reads(429, "{\"error\":{\"message\":\"input is too long for your tier\"}}", KIND_RATE_LIMIT,
          "input is too long for your tier");
}

static void
hides_keys(void **state)
{
    (void)state;
    reads(401,
          "{\"error\":{\"message\":\"Incorrect API key provided: sk-abcdefghijklmnop_1-2. See "
          "sk-x.\"}}",
          KIND_AUTH, "Incorrect API key provided: sk-***. See sk-x.");
    reads(401, "bad key sk-ant-REDACTED", KIND_AUTH, "bad key sk-***");
}

static void
writes(struct canon_error error, const char *request_id, int status, const char *expected)
{
    struct sink out;
    sink_init(&out, 65536);
    anthropic_dialect.error_body(&error, slice_from(request_id), &out);
    sink_byte(&out, '\0');
    assert_string_equal(out.ptr, expected);
    assert_int_equal(anthropic_dialect.error_status(&error), status);
    sink_fini(&out);
}

static struct canon_error
upstream_error(enum err_kind kind, int status, const char *message)
{
    struct canon_error error = canon_error_of(ERR_UPSTREAM_STATUS);
    error.kind = kind;
    error.status = status;
    error.message = slice_from(message);
    return error;
}

static void
writes_the_envelope(void **state)
{
    (void)state;
    static const struct {
        enum err_kind kind;
        int from, to;
        const char *type;
    } rows[] = {
        {KIND_INVALID, 422, 400, "invalid_request_error"},
        {KIND_AUTH, 401, 401, "authentication_error"},
        {KIND_BILLING, 429, 402, "billing_error"},
        {KIND_PERMISSION, 403, 403, "permission_error"},
        {KIND_NOT_FOUND, 404, 404, "not_found_error"},
        {KIND_TOO_LARGE, 413, 413, "request_too_large"},
        {KIND_RATE_LIMIT, 429, 429, "rate_limit_error"},
        {KIND_OVERLOADED, 503, 529, "overloaded_error"},
        {KIND_TIMEOUT, 408, 504, "timeout_error"},
        {KIND_UPSTREAM, 500, 500, "api_error"},
        {KIND_UPSTREAM, 0, 502, "api_error"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char expected[256];
        (void)snprintf(expected, sizeof(expected),
                       "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"a\\\"b\"}}",
                       rows[i].type);
        writes(upstream_error(rows[i].kind, rows[i].from, "a\"b"), NULL, rows[i].to, expected);
    }
    writes(upstream_error(KIND_CONTEXT, 400, "8192 tokens"), "req_1", 400,
           "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt "
           "is too long: 8192 tokens\"},"
           "\"request_id\":\"req_1\"}");
    writes(upstream_error(KIND_CONTEXT, 400, "Prompt is too long: 9"), NULL, 400,
           "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Prompt "
           "is too long: 9\"}}");
    writes(canon_error_of(ERR_CONNECT), NULL, 529,
           "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
           "\"upstream refused the connection\"}}");
    writes(canon_error_of(ERR_METHOD), NULL, 405,
           "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
           "\"method not allowed\"}}");
}

static void
tells_its_own_envelope(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool conforms;
    } bodies[] = {
        {"{\"type\":\"error\",\"error\":{\"type\":\"x\",\"message\":\"y\"}}", true},
        {"{\"error\":{\"message\":\"y\",\"type\":\"x\",\"z\":1},\"type\":\"error\",\"request_id\":"
         "null}",
         true},
        {"{\"error\":{\"type\":\"x\",\"message\":\"y\"}}", false},
        {"{\"type\":\"error\",\"error\":\"y\"}", false},
        {"{\"type\":\"error\",\"error\":{\"type\":\"x\"}}", false},
        {"<html>", false},
        {"", false},
    };
    for (size_t i = 0; i < countof(bodies); i++) {
        struct arena arena;
        arena_init(&arena, 65536);
        assert_int_equal(anthropic_dialect.error_conforms(slice_from(bodies[i].body), &arena),
                         bodies[i].conforms);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_vendors_form),
        cmocka_unit_test(reads_what_google_says),
        cmocka_unit_test(reads_errors_of_streams),
        cmocka_unit_test(knows_when_a_prompt_is_too_long),
        cmocka_unit_test(hides_keys),
        cmocka_unit_test(writes_the_envelope),
        cmocka_unit_test(tells_its_own_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
