/* SPDX-License-Identifier: MIT
 *
 * gemini_call_write.c - tool calls for a Gemini client: gathered until they are complete, then one
 * functionCall part each.
 *
 * Libraries run a function when they see its part, so a call whose arguments are no JSON is held
 * until the reply is known to end well: cut short, it is shown with its text; refused, it is never
 * shown.
 */
#include "providers/gemini.h"

struct gemini_write_call *
gemini_call_find(struct gemini_write_choice *choice, uint32_t block)
{
    struct gemini_write_call *at = choice->calls;
    while (at && at->block != block)
        at = at->next;
    return at;
}

/* The state of a call as its part carries it: the last one that came. */
static int
sign(struct gemini_writer *writer, struct gemini_write_call *call, const struct canon_event *event,
     struct frames *frames)
{
    if (event->signature.len == 0)
        return 0;
    struct slice wrapped = gemini_wrap(event->origin, false, event->signature, writer->arena);
    if (!slice_present(wrapped)) {
        frames->unsaid += event->origin == ORIGIN_NONE;
        return event->origin == ORIGIN_NONE ? 0 : -ERR_MEMORY;
    }
    call->signature = arena_copy(writer->arena, wrapped);
    return slice_present(call->signature) ? 0 : -ERR_MEMORY;
}

int
gemini_call_open(struct gemini_writer *writer, struct gemini_write_choice *choice,
                 const struct canon_event *event, struct frames *frames)
{
    struct gemini_write_call *call = arena_take(writer->arena, sizeof(*call));
    if (!call)
        return -ERR_MEMORY;
    call->block = event->block;
    call->custom = event->custom;
    call->id = arena_copy(writer->arena, event->id);
    call->name = arena_copy(writer->arena,
                            canon_client_name(writer->options.request, event->name));
    sink_init(&call->arguments, GEMINI_CALL_BYTES_MAX);
    if (choice->last_call)
        choice->last_call->next = call;
    else
        choice->calls = call;
    choice->last_call = call;
    if (!slice_present(call->id) || !slice_present(call->name))
        return -ERR_MEMORY;
    return sign(writer, call, event, frames);
}

int
gemini_call_delta(struct gemini_writer *writer, struct gemini_write_choice *choice,
                  const struct canon_event *event, struct frames *frames)
{
    struct gemini_write_call *call = gemini_call_find(choice, event->block);
    if (!call || call->written) /* it opened in a chunk that passed as it was */
        return 0;
    writer->call_bytes += event->text.len;
    if (writer->call_bytes > GEMINI_CALL_BYTES_MAX)
        return -ERR_UPSTREAM_TOO_LARGE;
    unescape_put(&call->unescape, event->text, &call->arguments);
    return call->arguments.error ? call->arguments.error : sign(writer, call, event, frames);
}

static struct slice
trimmed(struct slice text)
{
    while (text.len > 0 && (unsigned char)text.ptr[0] <= ' ')
        text = slice_skip(text, 1);
    while (text.len > 0 && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    return text;
}

static bool
is_json(struct slice text)
{
    struct json_scan scan;
    return json_scan(text, GEMINI_DEPTH_MAX, &scan) == 0;
}

bool
gemini_call_ready(struct gemini_write_call *call)
{
    unescape_done(&call->unescape, &call->arguments);
    struct slice text = trimmed(sink_slice(&call->arguments));
    return call->custom || text.len == 0 || (text.ptr[0] == '{' && is_json(text));
}

static void
put_arguments(const struct gemini_write_call *call, struct sink *out)
{
    struct slice text = sink_slice(&call->arguments), plain = trimmed(text);
    sink_carry(out, &call->arguments);
    if (!call->custom && plain.len == 0) {
        sink_text(out, "{}");
        return;
    }
    bool json = !call->custom && is_json(plain);
    if (json && plain.ptr[0] == '{') {
        gemini_put_native(plain, out);
    } else if (json) {
        sink_text(out, "{\"value\":");
        gemini_put_native(plain, out);
        sink_byte(out, '}');
    } else {
        sink_text(out, call->custom ? "{\"input\":\"" : "{\"_raw\":\"");
        json_escape(out, text);
        sink_text(out, "\"}");
    }
}

void
gemini_put_call(struct gemini_write_call *call, struct sink *out)
{
    assert(!call->written);
    call->written = true;
    sink_text(out, "{\"functionCall\":{\"id\":\"");
    sink_put(out, call->id);
    sink_text(out, "\",\"name\":\"");
    sink_put(out, call->name);
    sink_text(out, "\",\"args\":");
    put_arguments(call, out);
    sink_byte(out, '}');
    if (slice_present(call->signature)) {
        sink_text(out, ",\"thoughtSignature\":\"");
        sink_put(out, call->signature);
        sink_byte(out, '"');
    }
    sink_byte(out, '}');
    sink_fini(&call->arguments);
    sink_init(&call->arguments, GEMINI_CALL_BYTES_MAX);
}
