/* SPDX-License-Identifier: MIT
 *
 * test_gemini_error.c - what Google's error reports mean, and what Gemini clients are told of
 * errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "providers/gemini.h"

static struct canon_error
read(int status, const char *body, struct arena *arena)
{
    struct canon_error error;
    gemini_dialect.read_error(status, slice_from(body), arena, &error);
    return error;
}

#define REPORT(code, status, details)                                                              \
    "{\"error\":{\"code\":" #code ",\"message\":\"m\",\"status\":\"" status "\"" details "}}"
#define DETAIL(name, inner)                                                                        \
    ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc." name "\"," inner "}]"

static void
knows_the_kind(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        int said;
    } rows[] = {
        {400, REPORT(400, "INVALID_ARGUMENT", ""), KIND_INVALID, 400},
        {400, REPORT(400, "FAILED_PRECONDITION", ""), KIND_INVALID, 400},
        {400,
         REPORT(400, "INVALID_ARGUMENT", DETAIL("ErrorInfo", "\"reason\":\"API_KEY_INVALID\"")),
         KIND_AUTH, 401},
        {400,
         "{\"error\":{\"code\":400,\"message\":\"API key not valid. Please pass a valid API "
         "key.\",\"status\":\"INVALID_ARGUMENT\"}}",
         KIND_AUTH, 401},
        {400,
         "{\"error\":{\"code\":400,\"message\":\"The input token count (9) exceeds the maximum "
         "number of tokens allowed (8).\",\"status\":\"INVALID_ARGUMENT\"}}",
         KIND_CONTEXT, 400},
        {400,
         "[{\"error\":{\"code\":400,\"message\":\"Model x is not servable in region "
         "us-east1.\",\"status\":\"FAILED_PRECONDITION\"}}]",
         KIND_NOT_FOUND, 404},
        {401, REPORT(401, "UNAUTHENTICATED", ""), KIND_AUTH, 401},
        {401,
         REPORT(401, "UNAUTHENTICATED", DETAIL("ErrorInfo", "\"reason\":\"ACCESS_TOKEN_EXPIRED\"")),
         KIND_AUTH, 401},
        {403, REPORT(403, "PERMISSION_DENIED", ""), KIND_PERMISSION, 403},
        {403,
         REPORT(403, "PERMISSION_DENIED", DETAIL("ErrorInfo", "\"reason\":\"BILLING_DISABLED\"")),
         KIND_BILLING, 429},
        {404, "[" REPORT(404, "NOT_FOUND", "") "]", KIND_NOT_FOUND, 404},
        {429, REPORT(429, "RESOURCE_EXHAUSTED", ""), KIND_RATE_LIMIT, 429},
        {429,
         "{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota, please check "
         "your plan and billing details.\",\"status\":\"RESOURCE_EXHAUSTED\"}}",
         KIND_RATE_LIMIT, 429},
        {429,
         "{\"error\":{\"code\":429,\"message\":\"Your prepayment credits are "
         "depleted.\",\"status\":\"RESOURCE_EXHAUSTED\"}}",
         KIND_BILLING, 429},
        {499, REPORT(499, "CANCELLED", ""), KIND_CANCELLED, 499},
        {500, REPORT(500, "INTERNAL", ""), KIND_UPSTREAM, 500},
        {503, REPORT(503, "UNAVAILABLE", ""), KIND_OVERLOADED, 503},
        {504, REPORT(504, "DEADLINE_EXCEEDED", ""), KIND_TIMEOUT, 504},
        {502, "<html>bad gateway</html>", KIND_UPSTREAM, 502},
        {404, "", KIND_NOT_FOUND, 404},
        {429, "{\"message\":\"slow down\"}", KIND_RATE_LIMIT, 429},
        {503, "[]", KIND_OVERLOADED, 503},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena;
        arena_init(&arena, 1u << 20);
        struct canon_error error = read(rows[i].status, rows[i].body, &arena);
        if (error.kind != rows[i].kind)
            print_error("row %zu: %s\n", i, err_kind_name(error.kind));
        assert_int_equal(error.kind, rows[i].kind);
        assert_int_equal(gemini_dialect.error_status(&error), rows[i].said);
        assert_int_equal(error.error, ERR_UPSTREAM_STATUS);
        assert_true(error.message.len > 0);
        arena_fini(&arena);
    }
}

/* R105: how long to wait, and whether to. */
static void
knows_whether_to_retry(void **state)
{
    (void)state;
    static const struct {
        const char *details;
        uint64_t after_ms;
        int should_retry;
    } rows[] = {
        {"", UINT64_MAX, -1},
        {DETAIL("RetryInfo", "\"retryDelay\":\"34.4s\""), 34400, -1},
        {DETAIL("RetryInfo", "\"retryDelay\":\"0.250s\""), 250, -1},
        {DETAIL("RetryInfo", "\"retryDelay\":\"999999s\""), 24u * 3600 * 1000, -1},
        {DETAIL("RetryInfo", "\"retryDelay\":\"soon\""), UINT64_MAX, -1},
        {DETAIL("QuotaFailure", "\"violations\":[{\"quotaId\":"
                                "\"GenerateRequestsPerMinutePerProjectPerModel-FreeTier\"}]"),
         UINT64_MAX, -1},
        {DETAIL("QuotaFailure", "\"violations\":[{\"quotaId\":"
                                "\"GenerateRequestsPerDayPerProjectPerModel-FreeTier\"}]"),
         UINT64_MAX, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena;
        char body[600];
        arena_init(&arena, 1u << 20);
        (void)snprintf(
            body, sizeof(body),
            "{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\"%s}}",
            rows[i].details);
        struct canon_error error = read(429, body, &arena);
        assert_int_equal(error.retry_after_ms, rows[i].after_ms);
        assert_int_equal(error.should_retry, rows[i].should_retry);
        arena_fini(&arena);
    }
}

static void
names_the_field_at_fault(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    struct canon_error error = read(
        400,
        REPORT(
            400, "INVALID_ARGUMENT",
            DETAIL("BadRequest",
                   "\"fieldViolations\":[{\"field\":\"contents[0].role\",\"description\":\"d\"}]")),
        &arena);
    assert_true(slice_is(error.param, "contents[0].role"));
    arena_fini(&arena);
}

/* Google's words are not other dialects' words: each has its own for the kind. */
static void
keeps_googles_words_to_itself(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    struct canon_error error =
        read(400, REPORT(400, "INVALID_ARGUMENT", ",\"type\":\"T\",\"reason\":\"R\""), &arena);
    assert_false(slice_present(error.type));
    assert_false(slice_present(error.code));
    arena_fini(&arena);
}

static void
check_body(struct canon_error error, const char *request_id, const char *expected)
{
    struct sink out;
    sink_init(&out, 1u << 16);
    gemini_dialect.error_body(&error, slice_from(request_id), &out);
    sink_byte(&out, '\0');
    assert_string_equal(sink_slice(&out).ptr, expected);
    sink_fini(&out);
}

static void
writes_googles_words(void **state)
{
    (void)state;
    struct canon_error error = canon_error_of(ERR_COOLDOWN);
    error.retry_after_ms = 1500;
    error.message = SLICE_LIT("wait \"a\" bit");
    check_body(
        error, "req_1",
        "{\"error\":{\"code\":503,\"message\":\"wait \\\"a\\\" "
        "bit\",\"status\":\"UNAVAILABLE\",\"details\":["
        "{\"@type\":\"type.googleapis.com/"
        "google.rpc.ErrorInfo\",\"reason\":\"no_upstream_available\",\"domain\":\"penstock\"},"
        "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"},"
        "{\"@type\":\"type.googleapis.com/google.rpc.RequestInfo\",\"requestId\":\"req_1\"}]}}");
    struct canon_error named = canon_error_of(ERR_UNSUPPORTED);
    named.message = SLICE_LIT("not here");
    named.param = SLICE_LIT("cachedContent");
    check_body(
        named, NULL,
        "{\"error\":{\"code\":400,\"message\":\"not "
        "here\",\"status\":\"INVALID_ARGUMENT\",\"details\":["
        "{\"@type\":\"type.googleapis.com/"
        "google.rpc.ErrorInfo\",\"reason\":\"unsupported_parameter\",\"domain\":\"penstock\"},"
        "{\"@type\":\"type.googleapis.com/"
        "google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"cachedContent\",\"description\":"
        "\"not here\"}]}]}}");
    check_body(canon_error_of(ERR_MODEL), NULL,
               "{\"error\":{\"code\":404,\"message\":\"unknown "
               "model\",\"status\":\"NOT_FOUND\",\"details\":["
               "{\"@type\":\"type.googleapis.com/"
               "google.rpc.ErrorInfo\",\"reason\":\"model_not_found\",\"domain\":\"penstock\"}]}}");
    static const struct {
        int error, status;
        const char *word;
    } rows[] = {
        {ERR_REQUEST, 400, "INVALID_ARGUMENT"},
        {ERR_AUTH, 401, "UNAUTHENTICATED"},
        {ERR_BODY_LIMIT, 413, "INVALID_ARGUMENT"},
        {ERR_RATE, 429, "RESOURCE_EXHAUSTED"},
        {ERR_TLS, 502, "INTERNAL"},
        {ERR_INTERNAL, 500, "INTERNAL"},
        {ERR_IDLE_TIMEOUT, 504, "DEADLINE_EXCEEDED"},
        {ERR_NO_PATH, 404, "NOT_FOUND"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct canon_error one = canon_error_of(rows[i].error);
        struct sink out;
        char status[64];
        sink_init(&out, 1u << 16);
        gemini_dialect.error_body(&one, SLICE_NONE, &out);
        sink_byte(&out, '\0');
        (void)snprintf(status, sizeof(status), "\"status\":\"%s\"", rows[i].word);
        assert_int_equal(gemini_dialect.error_status(&one), rows[i].status);
        assert_non_null(strstr(sink_slice(&out).ptr, status));
        sink_fini(&out);
    }
}

/* An upstream's 529 is no status that Google's clients know. */
static void
answers_with_known_statuses(void **state)
{
    (void)state;
    struct canon_error error = canon_error_of(ERR_UPSTREAM_STATUS);
    error.kind = KIND_OVERLOADED;
    error.status = 529;
    assert_int_equal(gemini_dialect.error_status(&error), 503);
    error.kind = KIND_BILLING;
    error.status = 402;
    assert_int_equal(gemini_dialect.error_status(&error), 429);
    error.kind = KIND_NOT_FOUND; /* a pair: 404 is NOT_FOUND */
    error.status = 400;
    assert_int_equal(gemini_dialect.error_status(&error), 404);
    error.kind = KIND_INVALID;
    error.status = 422;
    assert_int_equal(gemini_dialect.error_status(&error), 422);
}

static void
tells_its_own_form(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool conforms;
    } rows[] = {
        {REPORT(400, "INVALID_ARGUMENT", ""), true},
        {"[" REPORT(400, "INVALID_ARGUMENT", "") "]", false},
        {"{\"error\":{\"code\":\"400\",\"message\":\"m\",\"status\":\"X\"}}", false},
        {"{\"error\":{\"code\":400,\"message\":\"\",\"status\":\"X\"}}", false},
        {"{\"error\":{\"code\":400,\"message\":\"m\"}}", false},
        {"{\"error\":\"m\"}", false},
        {"not JSON", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena;
        arena_init(&arena, 1u << 20);
        assert_int_equal(gemini_dialect.error_conforms(slice_from(rows[i].body), &arena),
                         rows[i].conforms);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_kind),
        cmocka_unit_test(knows_whether_to_retry),
        cmocka_unit_test(names_the_field_at_fault),
        cmocka_unit_test(writes_googles_words),
        cmocka_unit_test(answers_with_known_statuses),
        cmocka_unit_test(tells_its_own_form),
        cmocka_unit_test(keeps_googles_words_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
