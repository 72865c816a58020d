/* SPDX-License-Identifier: MIT
 *
 * openai_responses_error.c - error reports of the Responses API: the envelope of a reply is that of
 * Chat Completions, in a stream and in a response object there are two more forms.
 */
#include "providers/openai_responses.h"

#include "providers/openai_chat.h"

/* Codes of a response's error that say more than "it failed". */
static const struct code_row {
    const char *code;
    enum err_kind kind;
} code_rows[] = {
    {"invalid_prompt", KIND_INVALID},          {"invalid_image", KIND_INVALID},
    {"invalid_image_format", KIND_INVALID},    {"invalid_base64_image", KIND_INVALID},
    {"invalid_image_url", KIND_INVALID},       {"invalid_image_mode", KIND_INVALID},
    {"image_too_large", KIND_INVALID},         {"image_too_small", KIND_INVALID},
    {"image_parse_error", KIND_INVALID},       {"image_content_policy_violation", KIND_INVALID},
    {"image_file_too_large", KIND_INVALID},    {"unsupported_image_media_type", KIND_INVALID},
    {"empty_image_file", KIND_INVALID},        {"failed_to_download_image", KIND_INVALID},
    {"image_file_not_found", KIND_INVALID},    {"bio_policy", KIND_INVALID},
    {"data_residency_mismatch", KIND_INVALID}, {"vector_store_timeout", KIND_TIMEOUT},
};

bool
responses_error_of(struct json root, struct arena *arena, struct canon_error *out)
{
    struct json inner = json_get(root, "error");
    if (json_type(inner) == JSON_NULL && !json_is(json_get(root, "type"), "error"))
        return false; /* every good response has error: null */
    if (!chat_error_from_json(root, arena, out))
        return false;
    for (size_t i = 0; i < countof(code_rows); i++)
        if (out->kind == KIND_UPSTREAM && slice_is(out->code, code_rows[i].code))
            out->kind = code_rows[i].kind;
    return true;
}

void
responses_read_error(int status, struct slice body, struct arena *arena, struct canon_error *out)
{
    chat_read_error(status, body, arena, out);
}

static bool
is_official(struct slice code)
{
    for (size_t i = 0; i < countof(code_rows); i++)
        if (slice_is(code, code_rows[i].code))
            return true;
    return slice_is(code, "server_error") || slice_is(code, "rate_limit_exceeded");
}

/* A response's error has one of OpenAI's codes; an error event may have any. */
static struct slice
code_of(const struct canon_error *error, bool official)
{
    if (error->code.len > 0 && (!official || is_official(error->code)))
        return error->code;
    if (error->kind == KIND_RATE_LIMIT || error->kind == KIND_BILLING)
        return SLICE_LIT("rate_limit_exceeded");
    if (error->kind == KIND_INVALID || error->kind == KIND_CONTEXT || error->kind == KIND_TOO_LARGE)
        return SLICE_LIT("invalid_prompt");
    return SLICE_LIT("server_error");
}

void
responses_put_error_members(const struct canon_error *error, bool official, struct sink *out)
{
    struct slice message =
        error->message.len > 0 ? error->message : slice_from(err_row(error->error)->text);
    sink_text(out, "\"code\":\"");
    json_escape(out, code_of(error, official));
    sink_text(out, "\",\"message\":\"");
    json_escape(out, message);
    sink_byte(out, '"');
}
