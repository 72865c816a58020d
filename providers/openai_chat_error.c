/* SPDX-License-Identifier: MIT
 *
 * openai_chat_error.c - error reports as OpenAI and the servers that follow it spell them, and as a
 * Chat client is told of any error.
 */
#include "providers/openai_chat.h"

#include "base/text.h"
#include "providers/gemini.h"

/* ---------------------------------------------------------------- what kind it is */

static bool
contains(struct slice text, const char *needle)
{
    return slice_present(text) && text_find_caseless(text, slice_from(needle)) >= 0;
}

static bool
is_context(const struct canon_error *error)
{
    static const char *const codes[] = {"context_length_exceeded", "exceed_context_size_error",
                                        "too_many_prompt_tokens", "context_window_exceeded",
                                        "model_context_window_exceeded"};
    static const char *const texts[] = {"maximum context length",
                                        "context window",
                                        "context size",
                                        "prompt is too long",
                                        "prompt too long",
                                        "context length",
                                        "input token count",
                                        "too many tokens",
                                        "input is too long",
                                        "maximum prompt length",
                                        "exceeded model token limit",
                                        "range of input length",
                                        "prompt exceeds max length",
                                        "context the overflows",
                                        "context overflow",
                                        "tokens + `max_new_tokens` must be",
                                        "reduce the length of the messages"};
    for (size_t i = 0; i < countof(codes); i++)
        if (slice_is(error->code, codes[i]) || slice_is(error->type, codes[i]))
            return true;
    for (size_t i = 0; i < countof(texts); i++)
        if (contains(error->message, texts[i]))
            return true;
    return false;
}

/* Words that say more than the status, or stand in for one; in error->code or error->type. */
static const struct word_row {
    const char *word;
    enum err_kind kind;
} word_rows[] = {
    {"insufficient_quota", KIND_BILLING},
    {"billing_error", KIND_BILLING},
    {"billing_hard_limit_reached", KIND_BILLING},
    {"exceeded_current_quota_error", KIND_BILLING}, /* Moonshot */
    {"Arrearage", KIND_BILLING},                    /* DashScope */
    {"1113", KIND_BILLING},                         /* Z.ai: no balance */
    {"invalid_api_key", KIND_AUTH},
    {"authentication_error", KIND_AUTH},
    {"invalid_authentication_error", KIND_AUTH}, /* Moonshot */
    {"permission_error", KIND_PERMISSION},
    {"permission_denied", KIND_PERMISSION},
    {"model_not_found", KIND_NOT_FOUND},
    {"not_found_error", KIND_NOT_FOUND},
    {"request_too_large", KIND_TOO_LARGE},
    {"rate_limit_exceeded", KIND_RATE_LIMIT},
    {"rate_limit_error", KIND_RATE_LIMIT},
    {"overloaded_error", KIND_OVERLOADED},
    {"overloaded", KIND_OVERLOADED},
    {"engine_overloaded_error", KIND_OVERLOADED}, /* Moonshot, with 429 */
    {"1305", KIND_OVERLOADED},                    /* Z.ai, with 429 */
    {"unavailable_error", KIND_OVERLOADED},
    {"service_unavailable", KIND_OVERLOADED},
    {"timeout_error", KIND_TIMEOUT},
    {"timeout", KIND_TIMEOUT},
    {"tool_use_failed", KIND_UPSTREAM},
    {"invalid_request_error", KIND_INVALID},
    {"invalid-argument", KIND_INVALID},
};

/* What only the words of the message tell: several servers answer a wrong key with 400, an empty
 * account with 429. */
static enum err_kind
kind_by_text(const struct canon_error *error, enum err_kind by_status)
{
    static const struct {
        enum err_kind status;
        const char *text;
        enum err_kind kind;
    } rows[] = {
        {KIND_RATE_LIMIT, "exceeded your current quota", KIND_BILLING},
        {KIND_RATE_LIMIT, "insufficient balance", KIND_BILLING},
        {KIND_INVALID, "credit balance is too low", KIND_BILLING},
        {KIND_INVALID, "incorrect api key", KIND_AUTH},
        {KIND_INVALID, "invalid api key", KIND_AUTH},
        {KIND_INVALID, "api key not valid", KIND_AUTH},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (by_status == rows[i].status && contains(error->message, rows[i].text))
            return rows[i].kind;
    return by_status;
}

static enum err_kind
kind_of(const struct canon_error *error, int status)
{
    enum err_kind by_status = canon_kind_of_status(status);
    if ((by_status == KIND_INVALID || by_status == KIND_TOO_LARGE || status == 0) &&
        is_context(error))
        return KIND_CONTEXT;
    /* A single request that is over a rate limit will be so for ever: no wait helps it. */
    if ((by_status == KIND_RATE_LIMIT || status == 0) &&
        contains(error->message, "equest too large"))
        return KIND_TOO_LARGE;
    for (size_t i = 0; i < countof(word_rows); i++) {
        const struct word_row *row = &word_rows[i];
        if (!slice_is(error->code, row->word) && !slice_is(error->type, row->word))
            continue;
        bool is_exact = status == 0 || row->kind == KIND_BILLING || row->kind == KIND_NOT_FOUND ||
                        (row->kind == KIND_AUTH && by_status == KIND_INVALID) ||
                        (row->kind == KIND_OVERLOADED && by_status == KIND_RATE_LIMIT);
        if (is_exact)
            return row->kind;
        break;
    }
    return kind_by_text(error, by_status);
}

/* ---------------------------------------------------------------- reading */

static struct slice
word_of(struct json value, struct arena *arena)
{
    if (json_type(value) == JSON_NUMBER)
        return json_raw(value);
    struct slice text = json_string(value, arena);
    return text.len > 0 ? text : SLICE_NONE;
}

static struct slice
first_text(struct json object, struct arena *arena)
{
    static const char *const names[] = {"message",       "msg",     "error",    "detail",
                                        "error_message", "Message", "error_msg"};
    for (size_t i = 0; i < countof(names); i++) {
        struct slice text = json_string(json_get(object, names[i]), arena);
        if (text.len > 0)
            return text;
    }
    /* FastAPI's list of complaints: the first one's text. */
    struct json detail = json_get(object, "detail");
    struct slice text = json_string(json_get(json_first(detail), "msg"), arena);
    return text.len > 0 ? text : SLICE_NONE;
}

/* Some proxies put a whole JSON error into the message: take the innermost message (three turns at
 * most). */
static struct slice
unwrapped(struct slice message, struct arena *arena)
{
    for (int turn = 0; turn < 3; turn++) {
        struct json root;
        if (message.len == 0 || message.ptr[0] != '{' ||
            json_parse(message, 16, 1000, arena, &root) != 0)
            break;
        struct json inner = json_get(root, "error");
        struct slice text = first_text(json_type(inner) == JSON_OBJECT ? inner : root, arena);
        if (text.len == 0)
            break;
        message = text;
    }
    return message;
}

static int
status_in(struct json object)
{
    static const char *const names[] = {"code", "status_code", "status", "statusCode"};
    for (size_t i = 0; i < countof(names); i++) {
        uint64_t status = json_u64_or(json_get(object, names[i]), 0);
        if (status >= 400 && status <= 599)
            return (int)status;
    }
    return 0;
}

static void
fill(struct json object, struct json root, struct arena *arena, struct canon_error *out)
{
    out->message = unwrapped(first_text(object, arena), arena);
    out->code = word_of(json_get(object, "code"), arena);
    if (!slice_present(out->code) && json_type(json_get(root, "code")) == JSON_STRING)
        out->code = word_of(json_get(root, "code"), arena);
    /* A status in the place of a code says nothing that the kind does not say better. */
    uint64_t number;
    if (text_u64(out->code, &number) && number >= 400 && number <= 599)
        out->code = SLICE_NONE;
    out->type = word_of(json_get(object, "type"), arena);
    out->param = word_of(json_get(object, "param"), arena);
    if (out->status == 0)
        out->status = status_in(object);
    if (out->message.len == 0)
        out->message = slice_from(err_row(out->error)->text);
}

/* The object that holds the report, or absent; *is_text when the report is a bare string. */
static struct json
report_in(struct json root)
{
    if (json_type(root) == JSON_ARRAY)
        root = json_first(root); /* Google wraps it */
    struct json error = json_get(root, "error");
    enum json_type type = json_type(error);
    if (type == JSON_OBJECT && json_count(error) > 0)
        return error;
    /* Client libraries raise on anything true here, whatever else the chunk says. */
    if ((type == JSON_STRING && json_text(error).len > 0) || type == JSON_TRUE ||
        type == JSON_NUMBER || (type == JSON_ARRAY && json_count(error) > 0))
        return root;
    bool has_choices = json_count(json_get(root, "choices")) > 0;
    if (has_choices || json_type(root) != JSON_OBJECT)
        return JSON_NONE;
    if (json_is(json_get(root, "object"), "error") || json_is(json_get(root, "type"), "error"))
        return root;
    bool is_bare = json_present(json_get(root, "detail")) ||
                   (json_count(root) <= 4 && slice_present(json_text(json_get(root, "message"))));
    return is_bare && !json_present(json_get(root, "choices")) ? root : JSON_NONE;
}

/* Google's compatible endpoint answers in Google's own shape: a word for the status, and details.
 */
static void
refine_google(struct json report, struct json root, int status, struct arena *arena,
              struct canon_error *out)
{
    if (json_type(json_get(report, "status")) == JSON_STRING)
        gemini_refine_error(root, status, arena, out);
}

bool
chat_error_from_json(struct json root, struct arena *arena, struct canon_error *out)
{
    struct json report = report_in(root);
    if (!json_present(report))
        return false;
    *out = canon_error_of(ERR_UPSTREAM_ERROR);
    out->status = 0;
    fill(report, root, arena, out);
    out->kind = kind_of(out, out->status);
    refine_google(report, root, 0, arena, out);
    return true;
}

/* A text body is worth quoting when it is short and no page. */
static struct slice
plain_text(struct slice body)
{
    struct slice text = text_trim(body);
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    if (text.len == 0 || text.len > 500 || text.ptr[0] == '<' || text.ptr[0] == '{' ||
        text.ptr[0] == '[' || !text_utf8_valid(text))
        return SLICE_NONE;
    return text;
}

void
chat_read_error(int status, struct slice body, struct arena *arena, struct canon_error *out)
{
    *out = canon_error_of(ERR_UPSTREAM_STATUS);
    out->code = SLICE_NONE;
    out->message = SLICE_NONE;
    out->status = status;
    struct json root = JSON_NONE;
    int error = json_parse(body, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, arena, &root);
    struct json report = error ? JSON_NONE : report_in(root);
    if (!error && !json_present(report))
        report = root;
    if (json_type(report) == JSON_OBJECT)
        fill(report, root, arena, out);
    else
        out->message = plain_text(body);
    out->status = status;
    if (out->message.len == 0)
        out->message = arena_printf(arena, "the upstream answered with status %d", status);
    if (out->message.len == 0)
        out->message = slice_from(err_row(ERR_UPSTREAM_STATUS)->text);
    out->kind = kind_of(out, status);
    refine_google(report, root, status, arena, out);
    if (out->kind == KIND_TOO_LARGE)
        out->status = 413;
    if (out->kind == KIND_AUTH && status == 400)
        out->status = 401;
}

/* ---------------------------------------------------------------- writing */

static const struct kind_row {
    const char *type, *code; /* code NULL: null */
    int status;
} kind_rows[KIND_COUNT] = {
    [KIND_INVALID] = {"invalid_request_error", NULL, 400},
    [KIND_CONTEXT] = {"invalid_request_error", "context_length_exceeded", 400},
    [KIND_AUTH] = {"invalid_request_error", "invalid_api_key", 401},
    [KIND_BILLING] = {"insufficient_quota", "insufficient_quota", 429},
    [KIND_PERMISSION] = {"permission_error", NULL, 403},
    [KIND_NOT_FOUND] = {"invalid_request_error", "model_not_found", 404},
    [KIND_TOO_LARGE] = {"invalid_request_error", "request_too_large", 413},
    [KIND_RATE_LIMIT] = {"rate_limit_error", "rate_limit_exceeded", 429},
    [KIND_OVERLOADED] = {"server_error", "overloaded", 503},
    [KIND_TIMEOUT] = {"server_error", "timeout", 504},
    [KIND_UPSTREAM] = {"server_error", "upstream_error", 502},
    [KIND_INTERNAL] = {"server_error", "internal_error", 500},
    [KIND_CANCELLED] = {"server_error", "cancelled", 499},
};

int
chat_error_status(const struct canon_error *error)
{
    assert((unsigned)error->kind < KIND_COUNT);
    if (error->kind == KIND_BILLING || error->kind == KIND_OVERLOADED ||
        error->kind == KIND_CONTEXT)
        return kind_rows[error->kind].status;
    if (error->status >= 400 && error->status <= 599)
        return error->status;
    return kind_rows[error->kind].status;
}

/* The type word: OpenAI's for the kind, but a word of an OpenAI-like upstream is kept. */
static const char *
type_of(const struct canon_error *error)
{
    static const char *const foreign[] = {"authentication_error",
                                          "billing_error",
                                          "not_found_error",
                                          "request_too_large",
                                          "timeout_error",
                                          "api_error",
                                          "overloaded_error",
                                          "permission_error",
                                          "rate_limit_error",
                                          "invalid_request_error",
                                          "error"};
    if (error->error == ERR_AUTH) /* our own refusal of a client's key says what it is */
        return "authentication_error";
    if (!slice_present(error->type) || error->type.len == 0)
        return kind_rows[error->kind].type;
    for (size_t i = 0; i < countof(foreign); i++)
        if (slice_is(error->type, foreign[i]))
            return kind_rows[error->kind].type;
    return NULL;
}

static void
put_text_or_null(struct json_writer *json, const char *name, struct slice text)
{
    if (slice_present(text))
        json_member(json, name, text);
    else
        json_member_null(json, name);
}

void
chat_error_body(const struct canon_error *error, struct slice request_id, struct sink *out)
{
    (void)request_id; /* a Chat client looks for it in the x-request-id field */
    assert((unsigned)error->kind < KIND_COUNT);
    const char *type = type_of(error), *code = kind_rows[error->kind].code;
    struct slice message =
        error->message.len > 0 ? error->message : slice_from(err_row(error->error)->text);
    struct json_writer json;
    json_writer_init(&json, out);
    json_object(&json);
    json_name(&json, "error");
    json_object(&json);
    json_member(&json, "message", message);
    json_member(&json, "type", type ? slice_from(type) : error->type);
    put_text_or_null(&json, "param", error->param);
    put_text_or_null(&json, "code", slice_present(error->code) ? error->code : slice_from(code));
    if (error->retry_after_ms != UINT64_MAX)
        json_member_u64(&json, "retry_after",
                        error->retry_after_ms / 1000 + (error->retry_after_ms % 1000 != 0));
    json_end(&json);
    json_end(&json);
}

bool
chat_error_conforms(struct slice body, struct arena *scratch)
{
    struct json root;
    if (json_parse(body, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, scratch, &root) != 0)
        return false;
    struct json error = json_get(root, "error"), code = json_get(error, "code");
    /* R55: no JSON inside the message, no number where a client expects a word. */
    struct slice message = json_string(json_get(error, "message"), scratch);
    return message.len > 0 && message.ptr[0] != '{' &&
           slice_present(json_text(json_get(error, "type"))) &&
           (json_type(code) == JSON_STRING || json_type(code) == JSON_NULL || !json_present(code));
}
