/* SPDX-License-Identifier: MIT
 *
 * test_google.c - Google's credentials: what a file of each kind says and what is wrong with it, the requests for a token
 * byte for byte (openssl signs the same assertion), and what replies mean.
 */
#include "gateway/google.h"
#include "base/json.h"

#include "tests/unit/gateway/config_case.h"

#define ACCOUNT(key, more) \
    "{\"type\":\"service_account\",\"client_email\":\"robot@p.iam.gserviceaccount.com\",\"private_key\":\"" key "\"" more "}"
#define USER(more) "{\"type\":\"authorized_user\",\"client_id\":\"id-1\",\"client_secret\":\"a b&c=d\",\"refresh_token\":\"1//x+y\"" more "}"

static struct arena arena;
static struct sink problem;
static struct google_credentials credentials;

static int
begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 1u << 20);
    sink_init(&problem, 4096);
    return 0;
}

static int
end(void **unused)
{
    (void)unused;
    arena_fini(&arena);
    sink_fini(&problem);
    return 0;
}

static int
read_text(struct slice text)
{
    sink_reset(&problem, 4096);
    return google_read_credentials(text, SLICE_LIT("metadata.google.internal"), &arena, &credentials, &problem);
}

static void
test_each_kind_is_read(void **unused)
{
    (void)unused;
    assert_int_equal(read_text(SLICE_NONE), 0);
    assert_int_equal(credentials.kind, GOOGLE_METADATA);
    expect_slice(credentials.token_url, "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token");
    assert_int_equal(read_text(SLICE_LIT(ACCOUNT("-----BEGIN\\nKEY", ",\"private_key_id\":\"kid-1\""))), 0);
    assert_int_equal(credentials.kind, GOOGLE_SERVICE_ACCOUNT);
    expect_slice(credentials.client_email, "robot@p.iam.gserviceaccount.com");
    expect_slice(credentials.private_key, "-----BEGIN\nKEY");
    expect_slice(credentials.key_id, "kid-1");
    expect_slice(credentials.token_url, GOOGLE_TOKEN_URL);
    assert_int_equal(read_text(SLICE_LIT(USER(",\"token_uri\":\"https://accounts.googleapis.com/t\""))), 0);
    assert_int_equal(credentials.kind, GOOGLE_AUTHORIZED_USER);
    expect_slice(credentials.client_secret, "a b&c=d");
    expect_slice(credentials.token_url, "https://accounts.googleapis.com/t");
    assert_int_equal(problem.len, 0);
}

static void
test_what_is_wrong_with_credentials(void **unused)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {"{\"type\":", "no JSON object"},
        {"{}", "of this type are not supported"},
        {"{\"type\":\"external_account\"}", "of this type are not supported"},
        {"{\"type\":[\"service_account\"]}", "of this type are not supported"},
        {"{\"type\":\"service_account\",\"private_key\":\"hush\"}", "have no client_email"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\"}", "have no private_key"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":7}", "have no private_key"},
        {"{\"type\":\"service_account\",\"client_email\":\"\",\"private_key\":\"hush\"}", "have no client_email"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"hush\"}", "have no refresh_token"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"refresh_token\":\"hush\"}", "have no client_secret"},
        {"{\"type\":\"authorized_user\",\"client_secret\":\"hush\",\"refresh_token\":\"r\"}", "have no client_id"},
        {USER(",\"token_uri\":\"https://evil.example/token\""), "token_uri must lead to googleapis.com"},
        {USER(",\"token_uri\":\"https://evilgoogleapis.com/token\""), "token_uri must lead to googleapis.com"},
        {USER(",\"token_uri\":\"http://oauth2.googleapis.com/token\""), "token_uri must lead to googleapis.com"},
        {USER(",\"token_uri\":\"https://oauth2.googleapis.com@evil.example/\""), "token_uri must lead to googleapis.com"},
        {USER(",\"token_uri\":\"https://oauth2.googleapis.com.evil.example/\""), "token_uri must lead to googleapis.com"},
    };
    (void)unused;
    for (size_t i = 0; i < countof(rows); i++) {
        assert_int_equal(read_text(slice_from(rows[i].text)), -ERR_CONFIG);
        if (text_find(sink_slice(&problem), slice_from(rows[i].why)) < 0)
            fail_msg("%s: %.*s", rows[i].text, SLICE_ARG(sink_slice(&problem)));
        assert_true(text_find(sink_slice(&problem), SLICE_LIT("hush")) < 0);
    }
    sink_reset(&problem, 4096);
    assert_int_equal(google_read_credentials(SLICE_NONE, SLICE_LIT("a b"), &arena, &credentials, &problem), -ERR_CONFIG);
    assert_true(google_may_ask(SLICE_LIT("http://127.0.0.1:8080/token")));
    assert_true(google_may_ask(SLICE_LIT("http://[::1]/token")));
    assert_false(google_may_ask(SLICE_LIT("oauth2.googleapis.com/token")));
}

static struct google_request
request_of(struct slice text)
{
    struct google_request request;
    assert_int_equal(read_text(text), 0);
    assert_int_equal(google_token_request(&credentials, 1700000000, &arena, &request, &problem), 0);
    return request;
}

static void
test_requests_without_a_signature(void **unused)
{
    (void)unused;
    struct google_request request = request_of(SLICE_NONE);
    assert_string_equal(request.method, "GET");
    assert_false(slice_present(request.body));
    expect_slice(request.fields, "Metadata-Flavor: Google\r\n");
    request = request_of(SLICE_LIT(USER("")));
    assert_string_equal(request.method, "POST");
    expect_slice(request.fields, "Content-Type: application/x-www-form-urlencoded\r\n");
    expect_slice(request.body, "grant_type=refresh_token&client_id=id-1&client_secret=a%20b%26c%3Dd&refresh_token=1%2F%2Fx%2By");
    request = request_of(SLICE_LIT("{\"type\":\"authorized_user\",\"client_id\":\"-._~*'\\u0000\",\"client_secret\":\"\\u00e4\",\"refresh_token\":\"%\"}"));
    expect_slice(request.body, "grant_type=refresh_token&client_id=-._~%2A%27%00&client_secret=%C3%A4&refresh_token=%25");
}

static size_t
read_whole(const char *name, char *out, size_t room)
{
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    size_t n = fread(out, 1, room, file);
    fclose(file);
    return n;
}

/* The whole assertion is known beforehand: openssl signs the same text with the same key. */
static void
test_an_assertion_is_what_openssl_would_send(void **unused)
{
    static const char head[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"kid-1\"}";
    static const char claims[] = "{\"iss\":\"robot@p.iam.gserviceaccount.com\",\"scope\":\"https://www.googleapis.com/auth/cloud-platform\","
                                 "\"aud\":\"http://127.0.0.1:1/token\",\"iat\":1700000000,\"exp\":1700003600}";
    static const char begins[] = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    char key[8192], signature[1024];
    struct sink text;
    (void)unused;
    assert_int_equal(system("openssl genrsa -out key.pem 2048 2>/dev/null"), 0);
    size_t key_len = read_whole("key.pem", key, sizeof(key));
    sink_init(&text, 65536);
    sink_text(&text, "{\"type\":\"service_account\",\"client_email\":\"robot@p.iam.gserviceaccount.com\",\"private_key_id\":\"kid-1\","
                     "\"token_uri\":\"http://127.0.0.1:1/token\",\"private_key\":\"");
    json_escape(&text, slice_of(key, key_len));
    sink_text(&text, "\"}");
    struct google_request request = request_of(sink_slice(&text));
    assert_string_equal(request.method, "POST");
    expect_slice(request.url, "http://127.0.0.1:1/token");
    assert_true(slice_starts(request.body, slice_from(begins)));
    struct slice rest = slice_skip(request.body, sizeof(begins) - 1);
    const char *dot = memrchr(rest.ptr, '.', rest.len);
    assert_non_null(dot);
    put_file("signed.txt", slice_of(rest.ptr, (size_t)(dot - rest.ptr)), 0600);
    assert_int_equal(system("openssl dgst -sha256 -sign key.pem -out sig signed.txt"), 0);
    size_t signature_len = read_whole("sig", signature, sizeof(signature));
    const char *wanted[] = {head, claims};
    for (int i = 0; i < 3; i++) {
        struct slice part = text_split(&rest, '.');
        assert_null(memchr(part.ptr, '=', part.len));
        assert_null(memchr(part.ptr, '+', part.len));
        assert_null(memchr(part.ptr, '/', part.len));
        sink_reset(&text, 65536);
        assert_true(text_base64_decode(part, &text));
        struct slice decoded = i < 2 ? slice_from(wanted[i]) : slice_of(signature, signature_len);
        assert_true(slice_eq(sink_slice(&text), decoded));
    }
    assert_false(slice_present(rest));
    sink_fini(&text);
}

static void
test_a_key_that_does_not_sign(void **unused)
{
    struct google_request request;
    (void)unused;
    assert_int_equal(read_text(SLICE_LIT(ACCOUNT("-----BEGIN hush", ""))), 0);
    assert_int_equal(google_token_request(&credentials, 0, &arena, &request, &problem), -ERR_CONFIG);
    assert_true(problem.len > 0);
    assert_true(text_find(sink_slice(&problem), SLICE_LIT("hush")) < 0);
}

static void
test_replies(void **unused)
{
    static const struct {
        int status, error;
        const char *body, *says; /* the token, or a part of the problem */
        uint64_t lifetime_s;
    } rows[] = {
        {200, 0, "{\"access_token\":\"ya29.a\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", "ya29.a", 3599},
        {200, 0, "{\"expires_in\":1,\"access_token\":\"y\\u0061\"}", "ya", 1},
        {200, 0, "{\"access_token\":\"a\",\"expires_in\":86400}", "a", 86400},
        {200, 0, "{\"access_token\":\"a\",\"expires_in\":99999999999}", "a", 86400},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"hush\"}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"hush\",\"expires_in\":0}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"hush\",\"expires_in\":-5}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"hush\",\"expires_in\":\"3600\"}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"hush\\r\\nX: y\",\"expires_in\":3600}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"hush \",\"expires_in\":3600}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"\\u00e4\",\"expires_in\":3600}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":\"\",\"expires_in\":3600}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "{\"access_token\":7,\"expires_in\":3600}", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "<html>hush", "no usable", 0},
        {200, -ERR_UPSTREAM_PROTOCOL, "", "no usable", 0},
        {204, -ERR_UPSTREAM_STATUS, "", "answered 204", 0},
        {400, -ERR_UPSTREAM_STATUS, "{\"error\":\"invalid_grant\",\"error_description\":\"Bad Request\"}", "answered 400 invalid_grant: Bad Request", 0},
        {403, -ERR_UPSTREAM_STATUS, "{\"error\":{\"code\":403,\"status\":\"PERMISSION_DENIED\",\"message\":\"Not you.\"}}",
         "answered 403 PERMISSION_DENIED: Not you.", 0},
        {500, -ERR_UPSTREAM_STATUS, "oops", "answered 500", 0},
        {404, -ERR_UPSTREAM_STATUS, "[]", "answered 404", 0},
    };
    (void)unused;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice token = SLICE_NONE;
        uint64_t lifetime_s = 0;
        sink_reset(&problem, 4096);
        int error = google_read_token(rows[i].status, slice_from(rows[i].body), &arena, &token, &lifetime_s, &problem);
        assert_int_equal(error, rows[i].error);
        if (error == 0) {
            expect_slice(token, rows[i].says);
            assert_int_equal(lifetime_s, rows[i].lifetime_s);
            assert_int_equal(problem.len, 0);
        } else if (text_find(sink_slice(&problem), slice_from(rows[i].says)) < 0) {
            fail_msg("%s: %.*s", rows[i].body, SLICE_ARG(sink_slice(&problem)));
        }
        assert_true(text_find(sink_slice(&problem), SLICE_LIT("hush")) < 0);
    }
    /* A token that is too long to be one. */
    struct sink body;
    struct slice token;
    uint64_t lifetime_s;
    for (size_t len = 8192; len <= 8193; len++) {
        sink_init(&body, 65536);
        sink_text(&body, "{\"expires_in\":9,\"access_token\":\"");
        for (size_t i = 0; i < len; i++)
            sink_byte(&body, 'x');
        sink_text(&body, "\"}");
        assert_int_equal(google_read_token(200, sink_slice(&body), &arena, &token, &lifetime_s, &problem), len == 8192 ? 0 : -ERR_UPSTREAM_PROTOCOL);
        sink_fini(&body);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_kind_is_read, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_with_credentials, begin, end),
        cmocka_unit_test_setup_teardown(test_requests_without_a_signature, begin, end),
        cmocka_unit_test_setup_teardown(test_an_assertion_is_what_openssl_would_send, begin, end),
        cmocka_unit_test_setup_teardown(test_a_key_that_does_not_sign, begin, end),
        cmocka_unit_test_setup_teardown(test_replies, begin, end),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
