/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_whole.c - the response object: what its request asked for, its output, its
 * usage.
 *
 * Clients expect what they asked for in it, so it is kept, as they wrote it but without white
 * space, in the order of the rows below and within a bound: what passes it is left out.
 */
#include "providers/openai_responses.h"

void
responses_put_compact(struct slice value, struct sink *out)
{
    bool in_string = false;
    size_t from = 0;
    for (size_t i = 0; i < value.len; i++) {
        char byte = value.ptr[i];
        if (in_string && byte == '\\') {
            i++;
        } else if (byte == '"') {
            in_string = !in_string;
        } else if (!in_string && (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r')) {
            sink_put(out, slice_of(value.ptr + from, i - from));
            from = i + 1;
        }
    }
    sink_put(out, slice_of(value.ptr + from, value.len - from));
}

/* ---------------------------------------------------------------- the request, repeated */

static const struct echo_row {
    const char *name, *otherwise;
    enum json_type type; /* what it must be to be repeated; JSON_ABSENT: anything */
} echo_rows[] = {
    {"instructions", "null", JSON_STRING},
    {"max_output_tokens", "null", JSON_NUMBER},
    {"max_tool_calls", "null", JSON_NUMBER},
    {"metadata", "{}", JSON_OBJECT},
    {"parallel_tool_calls", "true", JSON_FALSE},
    {"previous_response_id", "null", JSON_STRING},
    {"prompt_cache_key", "null", JSON_STRING},
    {"reasoning", "{\"effort\":null,\"summary\":null}", JSON_OBJECT},
    {"safety_identifier", "null", JSON_STRING},
    {"temperature", "null", JSON_NUMBER},
    {"text", "{\"format\":{\"type\":\"text\"}}", JSON_OBJECT},
    {"tool_choice", "\"auto\"", JSON_ABSENT},
    {"tools", "[]", JSON_ARRAY},
    {"top_logprobs", "0", JSON_NUMBER},
    {"top_p", "null", JSON_NUMBER},
    {"truncation", "\"disabled\"", JSON_STRING},
    {"user", "null", JSON_STRING},
};

int
responses_make_echo(struct responses_writer *writer)
{
    const struct canon_request *request = writer->options.request;
    bool own = request && request->from == DIALECT_OPENAI_RESPONSES;
    struct sink out;
    sink_init(&out, 2u * RESPONSES_ECHO_MAX);
    sink_text(&out, ",\"service_tier\":null,\"store\":false,\"model\":\"");
    sink_put(&out, writer->model);
    sink_byte(&out, '"');
    for (size_t i = 0; i < countof(echo_rows); i++) {
        const struct echo_row *row = &echo_rows[i];
        struct json given = own ? json_get(request->root, row->name) : JSON_NONE;
        enum json_type type = json_type(given);
        bool fits = type != JSON_ABSENT && type != JSON_NULL &&
                    (row->type == JSON_ABSENT || row->type == type) &&
                    out.len < RESPONSES_ECHO_MAX &&
                    json_raw(given).len < RESPONSES_ECHO_MAX - out.len;
        sink_text(&out, ",\"");
        sink_text(&out, row->name);
        sink_text(&out, "\":");
        if (fits)
            responses_put_compact(json_raw(given), &out);
        else
            sink_text(&out, row->otherwise);
    }
    writer->echo = out.error ? SLICE_NONE : arena_copy(writer->arena, sink_slice(&out));
    sink_fini(&out);
    return slice_present(writer->echo) ? 0 : -ERR_MEMORY;
}

/* ---------------------------------------------------------------- usage */

static uint64_t
counter(struct json object, const char *name)
{
    return json_u64_or(json_get(object, name), UINT64_MAX);
}

bool
responses_read_usage(struct json usage, struct canon_usage *out)
{
    if (json_type(usage) != JSON_OBJECT)
        return false;
    struct json in = json_get(usage, "input_tokens_details");
    struct json made = json_get(usage, "output_tokens_details");
    *out = CANON_USAGE_UNKNOWN;
    out->in_total = counter(usage, "input_tokens");
    out->cache_read = counter(in, "cached_tokens");
    out->cache_write = counter(in, "cache_write_tokens");
    out->out_total = counter(usage, "output_tokens");
    out->reasoning = counter(made, "reasoning_tokens");
    return out->in_total != UINT64_MAX || out->out_total != UINT64_MAX;
}

static uint64_t
or_zero(uint64_t value)
{
    return value == UINT64_MAX ? 0 : value;
}

void
responses_put_usage(struct sink *out, const struct canon_usage *usage)
{
    sink_text(out, "{\"input_tokens\":");
    sink_u64(out, or_zero(usage->in_total));
    sink_text(out, ",\"input_tokens_details\":{\"cached_tokens\":");
    sink_u64(out, or_zero(usage->cache_read));
    sink_text(out, ",\"cache_write_tokens\":");
    sink_u64(out, or_zero(usage->cache_write));
    sink_text(out, "},\"output_tokens\":");
    sink_u64(out, or_zero(usage->out_total));
    sink_text(out, ",\"output_tokens_details\":{\"reasoning_tokens\":");
    sink_u64(out, or_zero(usage->reasoning));
    sink_text(out, "},\"total_tokens\":");
    sink_u64(out, or_zero(usage->in_total) + or_zero(usage->out_total));
    sink_byte(out, '}');
}

/* ---------------------------------------------------------------- the object */

const char *
responses_status(const struct responses_writer *writer)
{
    switch (writer->finish) {
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
    case FINISH_FILTER:
        return "incomplete";
    default:
        return "completed";
    }
}

static void
put_output(const struct responses_writer *writer, struct sink *out)
{
    for (const struct responses_write_item *at = writer->items; at; at = at->next) {
        responses_put_item(at, true, out);
        sink_text(out, at->next ? "," : "");
    }
}

void
responses_put_response(const struct responses_writer *writer, const char *status, bool full,
                       const struct canon_error *error, struct sink *out)
{
    sink_text(out, "{\"id\":\"");
    sink_put(out, writer->id);
    sink_text(out, "\",\"object\":\"response\",\"created_at\":");
    sink_i64(out, writer->options.created_s);
    sink_text(out, ",\"status\":\"");
    sink_text(out, status);
    sink_text(out, "\",\"background\":false,\"error\":");
    if (error) {
        sink_byte(out, '{');
        responses_put_error_members(error, true, out);
        sink_byte(out, '}');
    } else {
        sink_text(out, "null");
    }
    sink_text(out, ",\"incomplete_details\":");
    if (strcmp(status, "incomplete") != 0)
        sink_text(out, "null");
    else if (writer->finish == FINISH_FILTER)
        sink_text(out, "{\"reason\":\"content_filter\"}");
    else
        sink_text(out, "{\"reason\":\"max_output_tokens\"}");
    sink_put(out, writer->echo);
    sink_text(out, ",\"output\":[");
    if (full)
        put_output(writer, out);
    sink_text(out, "],\"usage\":");
    if (full && (!error || writer->usage_known))
        responses_put_usage(out, &writer->usage);
    else
        sink_text(out, "null");
    sink_byte(out, '}');
}

int
responses_write_whole(void *writer, struct sink *out)
{
    const struct responses_writer *self = writer;
    responses_put_response(self, responses_status(self), true, NULL, out);
    return out->error;
}
