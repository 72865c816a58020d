/* SPDX-License-Identifier: MIT
 *
 * openai_chat.c - the OpenAI Chat Completions dialect: its table, and what every request is read
 * for.
 */
#include "providers/openai_chat.h"

void
chat_take(struct json object, const struct slice *names, size_t count, struct json *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = JSON_NONE;
    if (json_type(object) != JSON_OBJECT)
        return;
    for (struct json at = json_first(object); json_present(at); at = json_next(at)) {
        struct slice key = json_key(at);
        bool is_escaped = json_key_escaped(at);
        for (size_t i = 0; i < count; i++) {
            /* The first byte tells nearly all of them apart. */
            bool is_same = is_escaped
                               ? json_key_is(at, names[i].ptr)
                               : key.len == names[i].len && key.ptr[0] == names[i].ptr[0] &&
                                     memcmp(key.ptr, names[i].ptr, key.len) == 0;
            if (is_same) {
                out[i] = at;
                break;
            }
        }
    }
}

int
chat_refuse(struct canon_fault *fault, int error, const char *param, const char *message)
{
    fault->param = slice_from(param);
    fault->message = slice_from(message);
    return -error;
}

static bool
is_bool_or_none(struct json value)
{
    enum json_type type = json_type(value);
    return type == JSON_ABSENT || type == JSON_NULL || type == JSON_TRUE || type == JSON_FALSE;
}

int
chat_outline(struct canon_request *request, struct canon_fault *fault)
{
    struct json root = request->root;
    static const char *const once[] = {"model", "messages", "stream", "stream_options"};
    if (json_type(root) != JSON_OBJECT)
        return chat_refuse(fault, ERR_REQUEST, NULL, "the request body must be a JSON object");
    for (size_t i = 0; i < countof(once); i++)
        if (json_repeats(root, once[i]))
            return chat_refuse(fault, ERR_REQUEST, once[i], "a field of the request is repeated");
    request->model = json_string(json_get(root, "model"), request->arena);
    if (request->model.len == 0)
        return chat_refuse(fault, ERR_REQUEST, "model",
                           "you must provide a model parameter, and it must be a string");
    if (json_type(json_get(root, "messages")) != JSON_ARRAY)
        return chat_refuse(fault, ERR_REQUEST, "messages", "messages must be a list");
    struct json stream = json_get(root, "stream"), options = json_get(root, "stream_options");
    if (!is_bool_or_none(stream))
        return chat_refuse(fault, ERR_REQUEST, "stream", "stream must be true or false");
    request->stream = json_type(stream) == JSON_TRUE;
    enum json_type type = json_type(options);
    if (type != JSON_OBJECT && type != JSON_NULL && type != JSON_ABSENT)
        return chat_refuse(fault, ERR_REQUEST, "stream_options",
                           "stream_options must be an object");
    struct json usage = json_get(options, "include_usage");
    if (!is_bool_or_none(usage))
        return chat_refuse(fault, ERR_REQUEST, "stream_options.include_usage",
                           "include_usage must be true or false");
    request->include_usage = request->stream && json_type(usage) == JSON_TRUE;
    request->from = DIALECT_OPENAI_CHAT;
    return 0;
}

/* What a path segment cannot hold is written in percent form. */
static void
put_segment(struct sink *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                        byte == '~';
        if (is_plain)
            sink_byte(out, byte);
        else
            sink_printf(out, "%%%02X", (unsigned)(unsigned char)byte);
    }
}

/* Azure's classic form: the deployment stands in the path. /models serves the models of other
 * makers, named in the body. */
static void
put_azure(struct sink *out, const struct dialect_upstream *upstream)
{
    if (!slice_ends(upstream->base_path, SLICE_LIT("/models"))) {
        if (!slice_ends(upstream->base_path, SLICE_LIT("/openai")))
            sink_text(out, "/openai");
        sink_text(out, "/deployments/");
        put_segment(out, upstream->model);
    }
    sink_text(out, "/chat/completions");
    if (upstream->api_version.len == 0)
        return;
    sink_text(out, "?api-version=");
    put_segment(out, upstream->api_version);
}

static void
put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream)
{
    (void)stream; /* the body says it */
    sink_put(out, upstream->base_path);
    if (upstream->surface == SURFACE_AZURE) {
        put_azure(out, upstream);
        return;
    }
    sink_text(out, "/chat/completions");
}

static int
fields(const struct dialect_upstream *upstream, struct arena *scratch, struct dialect_field out[4])
{
    return dialect_auth_field(upstream, AUTH_BEARER, scratch, out);
}

const struct dialect openai_chat_dialect = {
    .id = DIALECT_OPENAI_CHAT,
    .name = "openai_chat",
    .named_events = false,
    .outline = chat_outline,
    .read_request = chat_read_request,
    .put_target = put_target,
    .fields = fields,
    .pass_request = chat_pass_request,
    .write_request = chat_write_request,
    .reader_bytes = sizeof(struct chat_reader),
    .reader_init = chat_reader_init,
    .reader_fini = NULL,
    .read_event = chat_read_event,
    .read_body = chat_read_body,
    .read_end = chat_read_end,
    .read_error = chat_read_error,
    .writer_bytes = sizeof(struct chat_writer),
    .writer_init = chat_writer_init,
    .writer_fini = chat_writer_fini,
    .write_start = chat_write_start,
    .write_events = chat_write_events,
    .pass_event = chat_pass_event,
    .write_ping = chat_write_ping,
    .write_error = chat_write_error,
    .write_whole = chat_write_whole,
    .pass_whole = chat_pass_whole,
    .error_status = chat_error_status,
    .error_body = chat_error_body,
    .error_conforms = chat_error_conforms,
};
