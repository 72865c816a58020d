/* SPDX-License-Identifier: MIT
 *
 * gemini_error.c - error reports of Google's APIs, AI Studio's and Vertex's alike, and errors as
 * Gemini clients are told of them.
 *
 * Google says the same with a status, a word for it, and details that know more than both: whether
 * a key is wrong, how long to wait, whether waiting helps at all. Whatever other shape a report has
 * is read as a Chat upstream's would be.
 */
#include "providers/gemini.h"

#include "base/text.h"
#include "providers/openai_chat.h"

#include <stdio.h>

#define DAY_MS (24u * 3600 * 1000)

/* ---------------------------------------------------------------- reading */

static const struct status_row {
    const char *word;
    enum err_kind kind;
    int status;
} status_rows[] = {
    {"INVALID_ARGUMENT", KIND_INVALID, 400},
    {"FAILED_PRECONDITION", KIND_INVALID, 400},
    {"OUT_OF_RANGE", KIND_INVALID, 400},
    {"UNAUTHENTICATED", KIND_AUTH, 401},
    {"PERMISSION_DENIED", KIND_PERMISSION, 403},
    {"NOT_FOUND", KIND_NOT_FOUND, 404},
    {"ALREADY_EXISTS", KIND_INVALID, 409},
    {"ABORTED", KIND_OVERLOADED, 409},
    {"RESOURCE_EXHAUSTED", KIND_RATE_LIMIT, 429},
    {"CANCELLED", KIND_CANCELLED, 499},
    {"UNKNOWN", KIND_UPSTREAM, 500},
    {"INTERNAL", KIND_UPSTREAM, 500},
    {"DATA_LOSS", KIND_UPSTREAM, 500},
    {"UNIMPLEMENTED", KIND_INVALID, 501},
    {"UNAVAILABLE", KIND_OVERLOADED, 503},
    {"DEADLINE_EXCEEDED", KIND_TIMEOUT, 504},
};

static const struct status_row *
row_of(struct json word)
{
    for (size_t i = 0; i < countof(status_rows); i++)
        if (json_is(word, status_rows[i].word))
            return &status_rows[i];
    return NULL;
}

static bool
says(struct slice message, const char *words)
{
    return message.len > 0 && text_find_caseless(message, slice_from(words)) >= 0;
}

/* Reasons of google.rpc.ErrorInfo that say more than the status. */
static void
read_reason(struct json reason, struct canon_error *out)
{
    static const struct {
        const char *reason;
        enum err_kind kind;
    } rows[] = {
        {"API_KEY_INVALID", KIND_AUTH},           {"API_KEY_EXPIRED", KIND_AUTH},
        {"ACCESS_TOKEN_EXPIRED", KIND_AUTH},      {"ACCESS_TOKEN_TYPE_UNSUPPORTED", KIND_AUTH},
        {"CREDENTIALS_MISSING", KIND_AUTH},       {"BILLING_DISABLED", KIND_BILLING},
        {"SERVICE_DISABLED", KIND_PERMISSION},    {"API_KEY_SERVICE_BLOCKED", KIND_PERMISSION},
        {"RATE_LIMIT_EXCEEDED", KIND_RATE_LIMIT},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (json_is(reason, rows[i].reason))
            out->kind = rows[i].kind;
}

/* A quota that is counted by the day is not there again in a second. */
static void
read_quota(struct json violations, struct canon_error *out)
{
    if (json_type(violations) != JSON_ARRAY)
        return;
    for (struct json at = json_first(violations); json_present(at); at = json_next(at)) {
        struct slice id = json_text(json_get(at, "quotaId")),
                     about = json_text(json_get(at, "description"));
        if (says(id, "PerDay") || says(about, "per day"))
            out->should_retry = 0;
    }
}

static void
read_details(struct json details, struct arena *arena, struct canon_error *out)
{
    if (json_type(details) != JSON_ARRAY)
        return;
    for (struct json at = json_first(details); json_present(at); at = json_next(at)) {
        uint64_t delay;
        struct slice text = json_string(json_get(at, "retryDelay"), arena);
        if (text.len > 0 && text_duration_ms(text, &delay))
            out->retry_after_ms = delay < DAY_MS ? delay : DAY_MS;
        read_reason(json_get(at, "reason"), out);
        read_quota(json_get(at, "violations"), out);
        struct json fields = json_get(at, "fieldViolations");
        struct slice field = json_type(fields) == JSON_ARRAY
                                 ? json_string(json_get(json_first(fields), "field"), arena)
                                 : SLICE_NONE;
        if (field.len > 0 && !slice_present(out->param))
            out->param = field;
    }
}

void
gemini_refine_error(struct json root, int status, struct arena *arena, struct canon_error *out)
{
    struct json report = json_get(json_type(root) == JSON_ARRAY ? json_first(root) : root, "error");
    const struct status_row *row = row_of(json_get(report, "status"));
    if (json_type(report) != JSON_OBJECT)
        return;
    if (row) {
        bool context =
            out->kind == KIND_CONTEXT || says(out->message, "exceeds the maximum number of tokens");
        out->kind = row->kind == KIND_INVALID && context ? KIND_CONTEXT : row->kind;
        out->code = out->type = SLICE_NONE; /* each dialect has its own words for the kind */
        if (out->status == 0)
            out->status = row->status;
        if (status == 413)
            out->kind = KIND_TOO_LARGE;
    }
    read_details(json_get(report, "details"), arena, out);
    if (out->kind == KIND_INVALID && says(out->message, "API key not valid"))
        out->kind = KIND_AUTH;
    /* The model is not there, in this place. */
    if (out->kind == KIND_INVALID && says(out->message, "not servable in region"))
        out->kind = KIND_NOT_FOUND;
    if (out->status == 400 &&
        (out->kind == KIND_AUTH || out->kind == KIND_NOT_FOUND || out->kind == KIND_PERMISSION))
        out->status = err_kind_status(out->kind); /* Google says nearly everything with 400 */
    if (out->kind == KIND_RATE_LIMIT && says(out->message, "credits are depleted"))
        out->kind = KIND_BILLING;
}

bool
gemini_error_from_json(struct json root, struct arena *arena, struct canon_error *out)
{
    if (!chat_error_from_json(root, arena, out))
        return false;
    gemini_refine_error(root, 0, arena, out);
    return true;
}

void
gemini_read_error(int status, struct slice body, struct arena *arena, struct canon_error *out)
{
    struct json root;
    chat_read_error(status, body, arena, out);
    if (json_parse(body, GEMINI_DEPTH_MAX, GEMINI_TOKENS_MAX, arena, &root) == 0)
        gemini_refine_error(root, status, arena, out);
}

/* ---------------------------------------------------------------- writing */

static const struct kind_row {
    const char *word;
    int status;
} kind_rows[KIND_COUNT] = {
    [KIND_INVALID] = {"INVALID_ARGUMENT", 400},
    [KIND_CONTEXT] = {"INVALID_ARGUMENT", 400},
    [KIND_AUTH] = {"UNAUTHENTICATED", 401},
    [KIND_BILLING] = {"RESOURCE_EXHAUSTED", 429},
    [KIND_PERMISSION] = {"PERMISSION_DENIED", 403},
    [KIND_NOT_FOUND] = {"NOT_FOUND", 404},
    [KIND_TOO_LARGE] = {"INVALID_ARGUMENT", 413},
    [KIND_RATE_LIMIT] = {"RESOURCE_EXHAUSTED", 429},
    [KIND_OVERLOADED] = {"UNAVAILABLE", 503},
    [KIND_TIMEOUT] = {"DEADLINE_EXCEEDED", 504},
    [KIND_UPSTREAM] = {"INTERNAL", 502},
    [KIND_INTERNAL] = {"INTERNAL", 500},
    [KIND_CANCELLED] = {"CANCELLED", 499},
};

int
gemini_error_status(const struct canon_error *error)
{
    assert((unsigned)error->kind < KIND_COUNT);
    /* Google's libraries read status and word as a pair; these words have more than one status. */
    bool free = error->kind == KIND_INVALID || error->kind == KIND_TIMEOUT ||
                error->kind == KIND_UPSTREAM || error->kind == KIND_INTERNAL;
    if (free && error->status >= 400 && error->status <= 599)
        return error->status;
    return kind_rows[error->kind].status;
}

static void
begin_detail(struct json_writer *json, const char *name)
{
    char type[96];
    int n = snprintf(type, sizeof(type), "type.googleapis.com/google.rpc.%s", name);
    assert(n > 0 && (size_t)n < sizeof(type));
    json_object(json);
    json_member_text(json, "@type", type);
}

/* The details that Google's clients look at: a stable reason, the field at fault, how long
 * to wait, which request it was. */
static void
put_details(const struct canon_error *error, struct slice message, struct slice request_id,
            struct json_writer *json)
{
    struct slice reason =
        slice_present(error->code) ? error->code : slice_from(err_row(error->error)->code);
    json_name(json, "details");
    json_array(json);
    begin_detail(json, "ErrorInfo");
    json_member(json, "reason", reason);
    json_member_text(json, "domain", "penstock");
    json_end(json);
    if (error->param.len > 0) {
        begin_detail(json, "BadRequest");
        json_name(json, "fieldViolations");
        json_array(json);
        json_object(json);
        json_member(json, "field", error->param);
        json_member(json, "description", message);
        json_end(json);
        json_end(json);
        json_end(json);
    }
    if (error->retry_after_ms != UINT64_MAX) {
        char delay[48];
        (void)snprintf(delay, sizeof(delay), "%llu.%03llus",
                       (unsigned long long)(error->retry_after_ms / 1000),
                       (unsigned long long)(error->retry_after_ms % 1000));
        begin_detail(json, "RetryInfo");
        json_member_text(json, "retryDelay", delay);
        json_end(json);
    }
    if (request_id.len > 0) {
        begin_detail(json, "RequestInfo");
        json_member(json, "requestId", request_id);
        json_end(json);
    }
    json_end(json);
}

void
gemini_error_body(const struct canon_error *error, struct slice request_id, struct sink *out)
{
    assert((unsigned)error->kind < KIND_COUNT);
    struct slice message =
        error->message.len > 0 ? error->message : slice_from(err_row(error->error)->text);
    struct json_writer json;
    json_writer_init(&json, out);
    json_object(&json);
    json_name(&json, "error");
    json_object(&json);
    json_member_i64(&json, "code", gemini_error_status(error));
    json_member(&json, "message", message);
    json_member_text(&json, "status", kind_rows[error->kind].word);
    put_details(error, message, request_id, &json);
    json_end(&json);
    json_end(&json);
}

bool
gemini_error_conforms(struct slice body, struct arena *scratch)
{
    struct json root;
    if (json_parse(body, GEMINI_DEPTH_MAX, GEMINI_TOKENS_MAX, scratch, &root) != 0)
        return false;
    struct json error = json_get(root, "error");
    return json_type(json_get(error, "code")) == JSON_NUMBER &&
           json_text(json_get(error, "message")).len > 0 &&
           json_text(json_get(error, "status")).len > 0;
}
