/* SPDX-License-Identifier: MIT
 *
 * openai_chat_reply_whole.c - canonical events gathered into one Chat Completions object.
 *
 * Texts are gathered escaped, as they came, in sinks with a ceiling; a fini gives them back.
 */
#include "providers/openai_chat.h"

static bool
shows_reasoning(const struct chat_writer *writer)
{
    return writer->options.reasoning != SHOW_THINK_TAGS && writer->options.reasoning != SHOW_NOTHING;
}

void
chat_gather_fini(struct chat_writer *writer)
{
    for (struct chat_write_choice *at = writer->choices; at; at = at->next) {
        sink_fini(&at->text);
        sink_fini(&at->reasoning);
        sink_fini(&at->refusal);
        sink_fini(&at->thought);
        sink_fini(&at->details);
        for (struct chat_write_call *call = at->calls; call; call = call->next)
            sink_fini(&call->arguments);
    }
}

static void
begin_detail(struct chat_write_choice *choice, const char *type)
{
    if (choice->details.len > 0)
        sink_byte(&choice->details, ',');
    sink_text(&choice->details, "{\"type\":\"");
    sink_text(&choice->details, type);
    sink_text(&choice->details, "\",\"index\":");
    sink_u64(&choice->details, choice->detail_count++);
}

static int
gather_open(struct chat_writer *writer, struct chat_write_choice *choice,
            const struct canon_event *event)
{
    if (event->type == BLOCK_TEXT)
        choice->has_text = true;
    if (event->type == BLOCK_REFUSAL)
        choice->has_refusal = true;
    if (event->type == BLOCK_THINKING) {
        sink_reset(&choice->thought, 64 * 1024);
        if (writer->options.reasoning == SHOW_THINK_TAGS) {
            choice->has_text = true;
            choice->in_think = true;
            sink_text(&choice->text, "<think>");
        }
    }
    if (event->type == BLOCK_REDACTED && shows_reasoning(writer)) {
        begin_detail(choice, "reasoning.encrypted");
        sink_text(&choice->details, ",\"data\":\"");
        sink_put(&choice->details, event->data);
        sink_text(&choice->details, "\"}");
    }
    if (event->type != BLOCK_CALL)
        return 0;
    struct chat_write_call *call = chat_note_call(writer, event);
    if (!call)
        return -ERR_MEMORY;
    call->id = arena_copy(writer->arena, event->id);
    call->name = arena_copy(writer->arena,
                            canon_client_name(writer->options.request, event->name, writer->arena));
    return slice_present(call->id) && slice_present(call->name) ? 0 : -ERR_MEMORY;
}

static void
gather_thought(struct chat_writer *writer, struct chat_write_choice *choice,
               const struct canon_event *event)
{
    if (writer->options.reasoning == SHOW_THINK_TAGS)
        sink_put(&choice->text, event->text);
    if (!shows_reasoning(writer))
        return;
    sink_put(&choice->reasoning, event->text);
    sink_put(&choice->thought, event->text);
    if (event->signature.len == 0)
        return;
    begin_detail(choice, "reasoning.text");
    sink_text(&choice->details, ",\"text\":\"");
    sink_put(&choice->details, sink_slice(&choice->thought));
    sink_text(&choice->details, "\",\"signature\":\"");
    sink_put(&choice->details, event->signature);
    sink_text(&choice->details, "\"}");
}

static int
gather_delta(struct chat_writer *writer, struct chat_write_choice *choice,
             const struct canon_event *event)
{
    struct chat_write_call *call;
    switch (event->type) {
    case BLOCK_TEXT:
        sink_put(&choice->text, event->text);
        return choice->text.error;
    case BLOCK_REFUSAL:
        sink_put(&choice->refusal, event->text);
        return choice->refusal.error;
    case BLOCK_THINKING:
        gather_thought(writer, choice, event);
        return choice->reasoning.error ? choice->reasoning.error : choice->details.error;
    case BLOCK_CALL:
        call = chat_writer_call(choice, event->block);
        if (!call)
            return -ERR_INTERNAL;
        sink_put(&call->arguments, event->text);
        return call->arguments.error;
    case BLOCK_REDACTED:
    case BLOCK_IMAGE:
    case BLOCK_NATIVE:
        return 0;
    }
    return 0;
}

static int
gather_in_choice(struct chat_writer *writer, const struct canon_event *event)
{
    struct chat_write_choice *choice = chat_writer_choice(writer, event->choice);
    if (!choice)
        return -ERR_MEMORY;
    switch (event->kind) {
    case CANON_OPEN:
        return gather_open(writer, choice, event);
    case CANON_DELTA:
        return gather_delta(writer, choice, event);
    case CANON_CLOSE:
        if (event->type == BLOCK_THINKING && choice->in_think) {
            choice->in_think = false;
            sink_text(&choice->text, "</think>");
        }
        return 0;
    default:
        choice->finished = true;
        choice->finish = event->finish;
        return 0;
    }
}

int
chat_gather_event(struct chat_writer *writer, const struct canon_event *event)
{
    if (writer->ended)
        return 0;
    switch (event->kind) {
    case CANON_OPEN:
    case CANON_DELTA:
    case CANON_CLOSE:
    case CANON_FINISH:
        return gather_in_choice(writer, event);
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        writer->usage_known = true;
        return 0;
    case CANON_ERROR:
    case CANON_END:
        writer->ended = true;
        return 0;
    case CANON_START:
    case CANON_CITATION:
    case CANON_NATIVE:
        return 0;
    }
    return 0;
}

/* ---------------------------------------------------------------- writing */

static void
put_string(struct json_writer *json, const char *name, struct slice text)
{
    json_name(json, name);
    json_put_escaped(json, text);
}

static void
put_call(struct json_writer *json, const struct chat_write_call *call)
{
    struct slice arguments = sink_slice(&call->arguments);
    json_object(json);
    put_string(json, "id", call->id);
    json_member_text(json, "type", call->custom ? "custom" : "function");
    json_name(json, call->custom ? "custom" : "function");
    json_object(json);
    put_string(json, "name", call->name);
    if (call->custom)
        put_string(json, "input", arguments);
    else
        put_string(json, "arguments", arguments.len > 0 ? arguments : SLICE_LIT("{}"));
    json_end(json);
    json_end(json);
}

static void
put_calls(struct json_writer *json, const struct chat_write_choice *choice)
{
    json_name(json, "tool_calls");
    json_array(json);
    for (uint32_t number = 0; number < choice->call_count; number++)
        for (const struct chat_write_call *at = choice->calls; at; at = at->next)
            if (at->number == number)
                put_call(json, at);
    json_end(json);
}

static void
put_message(struct chat_writer *writer, struct json_writer *json,
            const struct chat_write_choice *choice)
{
    json_name(json, "message");
    json_object(json);
    json_member_text(json, "role", "assistant");
    if (choice->has_text || (choice->call_count == 0 && !choice->has_refusal))
        put_string(json, "content", sink_slice(&choice->text));
    else
        json_member_null(json, "content");
    if (choice->has_refusal)
        put_string(json, "refusal", sink_slice(&choice->refusal));
    else
        json_member_null(json, "refusal");
    if (choice->reasoning.len > 0)
        put_string(json,
                   writer->options.reasoning == SHOW_REASONING ? "reasoning" : "reasoning_content",
                   sink_slice(&choice->reasoning));
    if (choice->details.len > 0) {
        json_name(json, "reasoning_details");
        struct sink *out = json->sink;
        json_array(json);
        sink_put(out, sink_slice(&choice->details));
        json_end(json);
    }
    if (choice->call_count > 0)
        put_calls(json, choice);
    json_end(json);
}

int
chat_write_whole(void *writer, struct sink *out)
{
    struct chat_writer *self = writer;
    if (!chat_writer_choice(self, 0))
        return -ERR_MEMORY;
    struct json_writer json;
    json_writer_init(&json, out);
    json_object(&json);
    put_string(&json, "id", self->id);
    json_member_text(&json, "object", "chat.completion");
    json_member_raw(&json, "created", self->created);
    put_string(&json, "model", self->model);
    json_name(&json, "choices");
    json_array(&json);
    for (struct chat_write_choice *at = self->choices; at; at = at->next) {
        json_object(&json);
        json_member_u64(&json, "index", at->index);
        put_message(self, &json, at);
        json_member_null(&json, "logprobs");
        json_member_text(&json, "finish_reason", chat_finish_shown(at, at->finish));
        json_end(&json);
    }
    json_end(&json);
    if (self->usage_known) {
        json_name(&json, "usage");
        struct sink counters;
        sink_init(&counters, 4096);
        chat_put_usage(&counters, &self->usage);
        json_put_raw(&json, sink_slice(&counters));
        sink_fini(&counters);
    }
    json_end(&json);
    return out->error;
}
