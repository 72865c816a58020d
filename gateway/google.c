/* SPDX-License-Identifier: MIT
 *
 * google.c - Google's credentials; see google.h.
 */
#include "gateway/google.h"
#include "base/json.h"
#include "base/text.h"
#include "gateway/config.h"
#include "gateway/fetch.h"

#define LIFETIME_MAX_S (24u * 3600) /* what is longer is not believed */

/* ---------------------------------------------------------------- credentials */

static int
complain(struct sink *problem, const char *text)
{
    sink_text(problem, text);
    return -ERR_CONFIG;
}

bool
google_may_ask(struct slice url)
{
    struct fetch_url parts;
    if (!fetch_read_url(url, &parts))
        return false;
    return config_is_loopback(parts.host) || (parts.tls && slice_ends(parts.host, SLICE_LIT(".googleapis.com")));
}

static int
metadata(struct slice host, struct arena *arena, struct google_credentials *out, struct sink *problem)
{
    out->kind = GOOGLE_METADATA;
    out->token_url = arena_printf(arena, "http://%.*s/computeMetadata/v1/instance/service-accounts/default/token", SLICE_ARG(host));
    struct fetch_url parts;
    if (!slice_present(out->token_url))
        return -ERR_MEMORY;
    return fetch_read_url(out->token_url, &parts) ? 0 : complain(problem, "this is not a host that metadata can come from");
}

int
google_read_credentials(struct slice text, struct slice metadata_host, struct arena *arena, struct google_credentials *out,
                        struct sink *problem)
{
    struct json root;
    *out = (struct google_credentials){0};
    if (!slice_present(text))
        return metadata(metadata_host, arena, out, problem);
    int error = json_parse(text, 16, 4096, arena, &root);
    if (error != 0 || json_type(root) != JSON_OBJECT)
        return error == -ERR_MEMORY ? error : complain(problem, "the credentials are no JSON object");
    struct json type = json_get(root, "type");
    const struct {
        const char *name;
        struct slice *to;
        enum google_kind kind;
    } rows[] = {
        {"client_email", &out->client_email, GOOGLE_SERVICE_ACCOUNT},   {"private_key", &out->private_key, GOOGLE_SERVICE_ACCOUNT},
        {"client_id", &out->client_id, GOOGLE_AUTHORIZED_USER},         {"client_secret", &out->client_secret, GOOGLE_AUTHORIZED_USER},
        {"refresh_token", &out->refresh_token, GOOGLE_AUTHORIZED_USER},
    };
    if (json_is(type, "service_account"))
        out->kind = GOOGLE_SERVICE_ACCOUNT;
    else if (json_is(type, "authorized_user"))
        out->kind = GOOGLE_AUTHORIZED_USER;
    else
        return complain(problem, "credentials of this type are not supported: service_account and authorized_user are");
    for (size_t i = 0; i < countof(rows); i++) {
        if (rows[i].kind != out->kind)
            continue;
        *rows[i].to = json_string(json_get(root, rows[i].name), arena);
        if (rows[i].to->len == 0) {
            sink_printf(problem, "the credentials have no %s", rows[i].name);
            return -ERR_CONFIG;
        }
    }
    out->key_id = json_string(json_get(root, "private_key_id"), arena);
    out->token_url = json_string(json_get(root, "token_uri"), arena);
    if (out->token_url.len == 0)
        out->token_url = SLICE_LIT(GOOGLE_TOKEN_URL);
    return google_may_ask(out->token_url) ? 0 : complain(problem, "token_uri must lead to googleapis.com over https");
}

/* ---------------------------------------------------------------- requests */

/* Base64 with the URL-safe alphabet and without padding (RFC 7515). */
static void
put_base64url(struct sink *out, struct slice bytes)
{
    size_t from = out->len;
    text_base64(out, bytes);
    for (size_t i = from; i < out->len; i++) {
        if (out->ptr[i] == '+')
            out->ptr[i] = '-';
        else if (out->ptr[i] == '/')
            out->ptr[i] = '_';
        else if (out->ptr[i] == '=')
            out->len = i;
    }
}

static void
put_member(struct sink *out, const char *name, struct slice value)
{
    sink_printf(out, "%s\"%s\":\"", out->len > 0 && out->ptr[out->len - 1] != '{' ? "," : "", name);
    json_escape(out, value);
    sink_byte(out, '"');
}

/* header.claims.signature of a service account (RFC 7523). */
static int
put_assertion(const struct google_credentials *credentials, int64_t now_unix_s, struct sink *out, struct sink *problem)
{
    struct sink part;
    sink_init(&part, 65536);
    sink_byte(&part, '{');
    put_member(&part, "alg", SLICE_LIT("RS256"));
    put_member(&part, "typ", SLICE_LIT("JWT"));
    if (credentials->key_id.len > 0)
        put_member(&part, "kid", credentials->key_id);
    sink_byte(&part, '}');
    size_t from = out->len;
    put_base64url(out, sink_slice(&part));
    sink_byte(out, '.');
    sink_reset(&part, 65536);
    sink_byte(&part, '{');
    put_member(&part, "iss", credentials->client_email);
    put_member(&part, "scope", SLICE_LIT(GOOGLE_SCOPE));
    put_member(&part, "aud", credentials->token_url);
    sink_printf(&part, ",\"iat\":%lld,\"exp\":%lld}", (long long)now_unix_s, (long long)now_unix_s + GOOGLE_ASSERTION_S);
    put_base64url(out, sink_slice(&part));
    int error = part.error ? part.error : out->error;
    sink_reset(&part, 65536);
    if (!error)
        error = tls_sign_rs256(credentials->private_key, slice_of(out->ptr + from, out->len - from), &part, problem);
    if (!error) {
        sink_byte(out, '.');
        put_base64url(out, sink_slice(&part));
        error = out->error;
    }
    sink_fini(&part);
    return error;
}

/* A value in application/x-www-form-urlencoded. */
static void
put_form(struct sink *out, const char *name, struct slice value)
{
    sink_printf(out, "%s%s=", out->len > 0 ? "&" : "", name);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.ptr[i];
        char lower = text_lower((char)byte);
        if ((lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || (byte && strchr("-._~", byte)))
            sink_byte(out, (char)byte);
        else
            sink_printf(out, "%%%02X", byte);
    }
}

int
google_token_request(const struct google_credentials *credentials, int64_t now_unix_s, struct arena *arena, struct google_request *out,
                     struct sink *problem)
{
    struct sink body;
    int error = 0;
    *out = (struct google_request){.method = "POST", .url = credentials->token_url, .fields = SLICE_LIT("Content-Type: application/x-www-form-urlencoded\r\n")};
    sink_init(&body, 65536);
    switch (credentials->kind) {
    case GOOGLE_METADATA:
        out->method = "GET";
        out->fields = SLICE_LIT("Metadata-Flavor: Google\r\n");
        break;
    case GOOGLE_SERVICE_ACCOUNT:
        put_form(&body, "grant_type", SLICE_LIT("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        sink_text(&body, "&assertion="); /* has no byte that would need an escape */
        error = put_assertion(credentials, now_unix_s, &body, problem);
        break;
    case GOOGLE_AUTHORIZED_USER:
        put_form(&body, "grant_type", SLICE_LIT("refresh_token"));
        put_form(&body, "client_id", credentials->client_id);
        put_form(&body, "client_secret", credentials->client_secret);
        put_form(&body, "refresh_token", credentials->refresh_token);
        break;
    }
    if (!error && body.len > 0)
        out->body = body.error ? SLICE_NONE : arena_copy(arena, sink_slice(&body));
    if (!error && (body.error || (body.len > 0 && !slice_present(out->body))))
        error = -ERR_MEMORY;
    if (body.ptr)
        explicit_bzero(body.ptr, body.cap);
    sink_fini(&body);
    return error;
}

/* ---------------------------------------------------------------- replies */

int
google_read_token(int status, struct slice body, struct arena *arena, struct slice *token, uint64_t *lifetime_s, struct sink *problem)
{
    struct json root = JSON_NONE;
    bool good = json_parse(body, 16, 4096, arena, &root) == 0;
    if (status != 200) {
        struct json error = good ? json_get(root, "error") : JSON_NONE;
        struct slice code = json_string(json_type(error) == JSON_OBJECT ? json_get(error, "status") : error, arena);
        struct slice text = good ? json_string(json_get(root, "error_description"), arena) : SLICE_NONE;
        if (!slice_present(text) && json_type(error) == JSON_OBJECT)
            text = json_string(json_get(error, "message"), arena);
        sink_printf(problem, "the token endpoint answered %d", status);
        if (code.len > 0 && code.len < 200)
            sink_printf(problem, " %.*s", SLICE_ARG(code));
        if (text.len > 0)
            sink_printf(problem, ": %.*s", SLICE_ARG(slice_take(text, 300)));
        return -ERR_UPSTREAM_STATUS;
    }
    *token = good ? json_string(json_get(root, "access_token"), arena) : SLICE_NONE;
    *lifetime_s = json_u64_or(json_get(root, "expires_in"), 0);
    bool clean = token->len > 0 && token->len <= 8192;
    for (size_t i = 0; i < token->len && clean; i++)
        clean = token->ptr[i] > ' ' && token->ptr[i] <= '~';
    if (!clean || *lifetime_s == 0) {
        sink_text(problem, "the token endpoint's answer holds no usable access_token and expires_in");
        return -ERR_UPSTREAM_PROTOCOL;
    }
    if (*lifetime_s > LIFETIME_MAX_S)
        *lifetime_s = LIFETIME_MAX_S;
    return 0;
}
