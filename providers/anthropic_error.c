/* SPDX-License-Identifier: MIT
 *
 * anthropic_error.c - errors of any vendor's form read, and written as Anthropic's envelope.
 *
 * Everything an upstream says about its errors is a hint: the status decides first, then the words,
 * because the same condition has a dozen spellings and some servers say it with the wrong status.
 */
#include "providers/anthropic.h"

#include "base/text.h"
#include "providers/gemini.h"

struct error_word {
    const char *word;
    enum err_kind kind;
};

/* Words seen as error.type, error.code or error.status. */
static const struct error_word words[] = {
    {"invalid_request_error", KIND_INVALID},
    {"invalid_argument", KIND_INVALID},
    {"context_length_exceeded", KIND_CONTEXT},
    {"exceed_context_size_error", KIND_CONTEXT},
    {"authentication_error", KIND_AUTH},
    {"invalid_api_key", KIND_AUTH},
    {"unauthenticated", KIND_AUTH},
    {"billing_error", KIND_BILLING},
    {"insufficient_quota", KIND_BILLING},
    {"permission_error", KIND_PERMISSION},
    {"permission_denied", KIND_PERMISSION},
    {"not_found_error", KIND_NOT_FOUND},
    {"not_found", KIND_NOT_FOUND},
    {"model_not_found", KIND_NOT_FOUND},
    {"request_too_large", KIND_TOO_LARGE},
    {"rate_limit_error", KIND_RATE_LIMIT},
    {"rate_limit_exceeded", KIND_RATE_LIMIT},
    {"resource_exhausted", KIND_RATE_LIMIT},
    {"overloaded_error", KIND_OVERLOADED},
    {"overloaded", KIND_OVERLOADED},
    {"unavailable", KIND_OVERLOADED},
    {"unavailable_error", KIND_OVERLOADED},
    {"timeout_error", KIND_TIMEOUT},
    {"timeout", KIND_TIMEOUT},
    {"deadline_exceeded", KIND_TIMEOUT},
    {"api_error", KIND_UPSTREAM},
    {"server_error", KIND_UPSTREAM},
    {"internal", KIND_UPSTREAM},
    {"internal_server_error", KIND_UPSTREAM},
    {"upstream_error", KIND_UPSTREAM},
};

/* How vendors say that a prompt does not fit. */
static const char *const context_phrases[] = {
    "prompt is too long",
    "maximum context length",
    "context_length_exceeded",
    "context length exceeded",
    "exceeds the context window",
    "exceeds the available context",
    "exceed context limit",
    "context window exceeded",
    "input is too long",
    "maximum prompt length",
    "exceeds the maximum number of tokens",
    "exceed_context_size",
};

static const char *const type_words[KIND_COUNT] = {
    [KIND_INVALID] = "invalid_request_error",
    [KIND_CONTEXT] = "invalid_request_error",
    [KIND_AUTH] = "authentication_error",
    [KIND_BILLING] = "billing_error",
    [KIND_PERMISSION] = "permission_error",
    [KIND_NOT_FOUND] = "not_found_error",
    [KIND_TOO_LARGE] = "request_too_large",
    [KIND_RATE_LIMIT] = "rate_limit_error",
    [KIND_OVERLOADED] = "overloaded_error",
    [KIND_TIMEOUT] = "timeout_error",
    [KIND_UPSTREAM] = "api_error",
    [KIND_INTERNAL] = "api_error",
    [KIND_CANCELLED] = "api_error",
};

static bool
kind_of_word(struct slice word, enum err_kind *out)
{
    for (size_t i = 0; i < countof(words); i++) {
        if (text_caseless_is(word, words[i].word)) {
            *out = words[i].kind;
            return true;
        }
    }
    return false;
}

static bool
says_context(struct slice message)
{
    for (size_t i = 0; i < countof(context_phrases); i++) {
        if (text_find_caseless(message, slice_from(context_phrases[i])) >= 0)
            return true;
    }
    return false;
}

/* A member that may be a string or a number, as text. */
static struct slice
word_member(struct json object, const char *name, struct arena *arena)
{
    struct json value = json_get(object, name);
    return json_type(value) == JSON_NUMBER ? json_raw(value) : json_string(value, arena);
}

/* The object that carries the message: error itself, the first element of an array, or the root. */
static struct json
error_object(struct json root)
{
    if (json_type(root) == JSON_ARRAY)
        root = json_first(root);
    struct json error = json_get(root, "error");
    if (json_type(error) == JSON_OBJECT)
        return error;
    struct json errors = json_get(root, "errors");
    if (json_type(errors) == JSON_ARRAY && json_type(json_first(errors)) == JSON_OBJECT)
        return json_first(errors);
    return root;
}

static struct slice
message_of(struct json object, struct arena *arena)
{
    static const char *const names[] = {"message", "error",         "detail",
                                        "msg",     "error_message", "title"};
    if (json_type(object) == JSON_STRING)
        return json_string(object, arena);
    for (size_t i = 0; i < countof(names); i++) {
        struct json value = json_get(object, names[i]);
        if (json_type(value) == JSON_ARRAY)
            value = json_first(value);
        if (json_type(value) == JSON_OBJECT) {
            struct json inner = json_get(value, "msg");
            value = json_present(inner) ? inner : json_get(value, "message");
        }
        struct slice text = json_string(value, arena);
        if (text.len > 0)
            return text;
    }
    return SLICE_NONE;
}

static bool
key_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

/* Upstreams quote keys in their messages: what looks like one is masked, in a copy. */
static struct slice
scrubbed(struct slice message, struct arena *arena)
{
    static const struct slice prefix = SLICE_LIT("sk-");
    if (text_find(message, prefix) < 0)
        return message;
    struct slice copy = arena_copy(arena, message);
    char *bytes = arena_take(arena, message.len + 1);
    if (!slice_present(copy) || !bytes)
        return SLICE_LIT("upstream error");
    size_t n = 0;
    for (size_t i = 0; i < copy.len;) {
        size_t end = i;
        if (slice_starts(slice_skip(copy, i), prefix)) {
            while (end < copy.len && key_byte(copy.ptr[end]))
                end++;
        }
        bool secret = end - i >= 11;
        memcpy(bytes + n, secret ? "sk-***" : copy.ptr + i, secret ? 6 : 1);
        n += secret ? 6 : 1;
        i = secret ? end : i + 1;
    }
    return slice_of(bytes, n);
}

static enum err_kind
kind_of_error(int status, const struct canon_error *error)
{
    enum err_kind kind = status >= 400 ? canon_kind_of_status(status) : KIND_UPSTREAM;
    enum err_kind said;
    uint64_t code;
    if (status == 0 && text_u64(error->code, &code) && code >= 400 && code < 600)
        kind = canon_kind_of_status((int)code);
    else if (status == 0 && (kind_of_word(error->type, &said) || kind_of_word(error->code, &said)))
        kind = said;
    bool refused = kind == KIND_INVALID || kind == KIND_TOO_LARGE || kind == KIND_UPSTREAM;
    if (refused &&
        (slice_is(error->code, "context_length_exceeded") ||
         slice_is(error->type, "exceed_context_size_error") || says_context(error->message)))
        return KIND_CONTEXT;
    if (kind == KIND_RATE_LIMIT && (slice_is(error->code, "insufficient_quota") ||
                                    slice_is(error->type, "insufficient_quota")))
        return KIND_BILLING;
    if (kind == KIND_INVALID &&
        (kind_of_word(error->code, &said) || kind_of_word(error->type, &said)) &&
        (said == KIND_AUTH || said == KIND_NOT_FOUND))
        return said;
    if (kind == KIND_UPSTREAM && kind_of_word(error->type, &said) && said == KIND_OVERLOADED)
        return said;
    if (kind == KIND_INVALID &&
        text_find_caseless(error->message, SLICE_LIT("api key not valid")) >= 0)
        return KIND_AUTH;
    return kind;
}

void
anthropic_read_error_object(struct json root, int status, struct arena *arena,
                            struct canon_error *out)
{
    struct json object = error_object(root);
    *out = canon_error_of(status != 0 ? ERR_UPSTREAM_STATUS : ERR_UPSTREAM_ERROR);
    out->retry_after_ms = UINT64_MAX;
    out->should_retry = -1;
    struct slice message = message_of(object, arena);
    if (slice_present(message))
        out->message = scrubbed(message, arena);
    struct slice type = word_member(object, "type", arena),
                 code = word_member(object, "code", arena);
    if (!slice_present(type))
        type = word_member(object, "status", arena);
    out->type = type;
    out->code = code;
    out->param = word_member(object, "param", arena);
    out->kind = kind_of_error(status, out);
    out->status = status;
    gemini_refine_error(root, status, arena,
                        out); /* what stands in front of Claude on Vertex is Google's (R105) */
    if (out->kind == KIND_INVALID &&
        text_find_caseless(out->message, SLICE_LIT("credit balance is too low")) >= 0)
        out->kind = KIND_BILLING;
    if (out->kind == KIND_BILLING)
        out->should_retry = 0; /* nobody pays in the meantime */
}

static struct slice
without_margins(struct slice text)
{
    while (text.len > 0 && (unsigned char)text.ptr[0] <= ' ')
        text = slice_skip(text, 1);
    while (text.len > 0 && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    return text;
}

void
anthropic_read_error(int status, struct slice body, struct arena *arena, struct canon_error *out)
{
    struct json root = JSON_NONE;
    int error = json_parse(body, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, arena, &root);
    anthropic_read_error_object(error == 0 ? root : JSON_NONE, status, arena, out);
    if (error == 0 || body.len == 0)
        return;
    /* Not JSON: plain text is a message if it is short and is no markup. */
    struct slice text = without_margins(body);
    if (text.len > 0 && text.len <= 300 && text.ptr[0] != '<' && text.ptr[0] != '{' &&
        text_utf8_valid(text)) {
        struct slice message = arena_copy(arena, text);
        if (slice_present(message))
            out->message = scrubbed(message, arena);
    }
    out->kind = kind_of_error(status, out);
}

int
anthropic_add_error(struct canon_events *events, struct json root)
{
    struct canon_event *event = canon_add(events, CANON_ERROR);
    if (!event)
        return -ERR_MEMORY;
    anthropic_read_error_object(root, 0, events->arena, &event->error);
    return 0;
}

int
anthropic_error_status(const struct canon_error *error)
{
    bool upstream = err_row(error->error)->blame == BLAME_UPSTREAM;
    if (error->kind == KIND_OVERLOADED)
        return 529;
    if (upstream && error->kind == KIND_UPSTREAM && error->status >= 500 && error->status < 600)
        return error->status;
    if (!upstream && error->status >= 400 && error->status < 600)
        return error->status;
    return err_kind_status(error->kind);
}

/* Clients look for these words to tell that a conversation must be shortened (R69). */
static void
put_message(const struct canon_error *error, struct sink *out)
{
    struct slice message = error->message;
    if (!slice_present(message))
        message = slice_from(err_row(error->error)->text);
    sink_byte(out, '"');
    if (error->kind == KIND_CONTEXT &&
        text_find_caseless(message, SLICE_LIT("prompt is too long")) < 0)
        sink_text(out, "prompt is too long: ");
    json_escape(out, message);
    sink_byte(out, '"');
}

void
anthropic_put_error(const struct canon_error *error, bool in_stream, struct sink *out)
{
    assert((unsigned)error->kind < KIND_COUNT);
    sink_text(out, "{\"type\":\"");
    sink_text(out, type_words[error->kind]);
    sink_text(out, "\",\"message\":");
    put_message(error, out);
    if (in_stream) {
        struct slice code =
            slice_present(error->code) ? error->code : slice_from(err_row(error->error)->code);
        sink_text(out, ",\"code\":\"");
        json_escape(out, code);
        sink_byte(out, '"');
        if (error->retry_after_ms != UINT64_MAX) {
            sink_text(out, ",\"retry_after\":");
            sink_u64(out, error->retry_after_ms / 1000 + (error->retry_after_ms % 1000 != 0));
        }
    }
    sink_byte(out, '}');
}

void
anthropic_error_body(const struct canon_error *error, struct slice request_id, struct sink *out)
{
    sink_text(out, "{\"type\":\"error\",\"error\":");
    anthropic_put_error(error, false, out);
    if (slice_present(request_id)) {
        sink_text(out, ",\"request_id\":\"");
        json_escape(out, request_id);
        sink_byte(out, '"');
    }
    sink_byte(out, '}');
}

bool
anthropic_error_conforms(struct slice body, struct arena *scratch)
{
    struct json root;
    if (json_parse(body, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, scratch, &root) != 0)
        return false;
    struct json error = json_get(root, "error");
    return json_is(json_get(root, "type"), "error") && json_type(error) == JSON_OBJECT &&
           json_type(json_get(error, "type")) == JSON_STRING &&
           json_type(json_get(error, "message")) == JSON_STRING;
}
