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
    return writer->options.reasoning != SHOW_THINK_TAGS &&
           writer->options.reasoning != SHOW_NOTHING;
}

void
chat_gather_fini(struct chat_writer *writer)
{
    for (struct chat_write_choice *at = writer->choices; at; at = at->next) {
        sink_fini(&at->image);
        if (at->whole) {
            struct sink *sinks[] = CHAT_WHOLE_SINKS(at->whole);
            for (size_t i = 0; i < countof(sinks); i++)
                sink_fini(sinks[i]);
        }
        for (struct chat_write_call *call = at->calls; call; call = call->next)
            sink_fini(&call->arguments);
    }
    sink_fini(&writer->bare_images);
}

/* Text of the content: counted, since positions of sources are told in it. */
static void
add_content(struct chat_write_choice *choice, struct slice text)
{
    sink_put(&choice->whole->text, text);
    choice->points += canon_points(text);
}

/* The next entry of a list under construction. */
static struct sink *
next_entry(struct sink *list)
{
    if (list->len > 0)
        sink_byte(list, ',');
    return list;
}

static void
begin_detail(struct chat_write_choice *choice, const char *type)
{
    sink_text(next_entry(&choice->whole->details), "{\"type\":\"");
    sink_text(&choice->whole->details, type);
    sink_text(&choice->whole->details, "\",\"index\":");
    sink_u64(&choice->whole->details, choice->detail_count++);
}

/* The member extra_content, kept until the message is written. */
static int
keep_signature(struct chat_writer *writer, const struct canon_event *event, struct slice *to)
{
    if (event->signature.len == 0)
        return 0;
    struct sink member;
    sink_init(&member, CHAT_WHOLE_MAX);
    int error = chat_put_signature(writer, event, &member);
    if (!error)
        *to = member.error ? SLICE_NONE : arena_copy(writer->arena, sink_slice(&member));
    if (!error && !slice_present(*to))
        error = -ERR_MEMORY;
    sink_fini(&member);
    return error;
}

static int
gather_call(struct chat_writer *writer, const struct canon_event *event)
{
    struct chat_write_call *call = chat_note_call(writer, event);
    if (!call)
        return -ERR_MEMORY;
    call->id = arena_copy(writer->arena, event->id);
    call->name = arena_copy(writer->arena,
                            canon_client_name(writer->options.request, event->name));
    if (!slice_present(call->id) || !slice_present(call->name))
        return -ERR_MEMORY;
    return keep_signature(writer, event, &call->signature);
}

static int
gather_redacted(struct chat_writer *writer, struct chat_write_choice *choice,
                const struct canon_event *event)
{
    struct slice data = chat_state_shown(writer, event->origin, true, event->data);
    if (!slice_present(data))
        return -ERR_MEMORY;
    begin_detail(choice, "reasoning.encrypted");
    sink_text(&choice->whole->details, ",\"data\":\"");
    sink_put(&choice->whole->details, data);
    sink_text(&choice->whole->details, "\"}");
    return choice->whole->details.error;
}

static int
gather_open(struct chat_writer *writer, struct chat_write_choice *choice,
            const struct canon_event *event, uint32_t *unsaid)
{
    switch (event->type) {
    case BLOCK_TEXT:
        choice->has_text = true;
        return chat_note_text(writer, choice, event->block);
    case BLOCK_REFUSAL:
        choice->has_refusal = true;
        return 0;
    case BLOCK_THINKING:
        sink_reset(&choice->whole->thought, 64 * 1024);
        if (writer->options.reasoning == SHOW_THINK_TAGS) {
            choice->has_text = true;
            choice->in_think = true;
            add_content(choice, SLICE_LIT("<think>"));
        }
        return 0;
    case BLOCK_REDACTED:
        return shows_reasoning(writer) ? gather_redacted(writer, choice, event) : 0;
    case BLOCK_CALL:
        return gather_call(writer, event);
    case BLOCK_IMAGE:
        sink_reset(&choice->image, 256 * 1024);
        choice->image_type = arena_copy(writer->arena, event->name);
        return slice_present(choice->image_type) ? 0 : -ERR_MEMORY;
    case BLOCK_NATIVE:
        ++*unsaid;
        return 0;
    }
    return 0;
}

/* Within the message as a data URL, and beside the choices as data and type (R99). */
static int
gather_image(struct chat_writer *writer, struct chat_write_choice *choice)
{
    chat_put_image(next_entry(&choice->whole->images), choice);
    choice->image_count++;
    struct sink *bare = next_entry(&writer->bare_images);
    sink_text(bare, "{\"b64_json\":\"");
    sink_join(bare, &choice->image);
    sink_text(bare, "\",\"content_type\":\"");
    sink_put(bare, choice->image_type);
    sink_text(bare, "\"}");
    sink_reset(&choice->image, 0);
    return choice->whole->images.error ? choice->whole->images.error : bare->error;
}

static void
gather_tokens(struct chat_write_choice *choice, const struct canon_event *event)
{
    if (!event->logprobs)
        return;
    struct sink *list = event->type == BLOCK_REFUSAL ? &choice->whole->refusal_tokens : &choice->whole->tokens;
    chat_put_tokens(next_entry(list), event->logprobs);
}

static int
gather_thought(struct chat_writer *writer, struct chat_write_choice *choice,
               const struct canon_event *event)
{
    if (writer->options.reasoning == SHOW_THINK_TAGS)
        add_content(choice, event->text);
    if (!shows_reasoning(writer))
        return choice->whole->text.error;
    sink_put(&choice->whole->reasoning, event->text);
    sink_put(&choice->whole->thought, event->text);
    if (event->signature.len == 0)
        return choice->whole->reasoning.error;
    struct slice signature = chat_state_shown(writer, event->origin, false, event->signature);
    if (!slice_present(signature))
        return -ERR_MEMORY;
    begin_detail(choice, "reasoning.text");
    sink_text(&choice->whole->details, ",\"text\":\"");
    sink_join(&choice->whole->details, &choice->whole->thought);
    sink_text(&choice->whole->details, "\",\"signature\":\"");
    sink_put(&choice->whole->details, signature);
    sink_text(&choice->whole->details, "\"}");
    return choice->whole->reasoning.error ? choice->whole->reasoning.error : choice->whole->details.error;
}

static int
gather_delta(struct chat_writer *writer, struct chat_write_choice *choice,
             const struct canon_event *event)
{
    struct chat_write_call *call;
    switch (event->type) {
    case BLOCK_TEXT:
        add_content(choice, event->text);
        gather_tokens(choice, event);
        return choice->whole->text.error ? choice->whole->text.error
                                  : keep_signature(writer, event, &choice->signature);
    case BLOCK_REFUSAL:
        sink_put(&choice->whole->refusal, event->text);
        gather_tokens(choice, event);
        return choice->whole->refusal.error;
    case BLOCK_THINKING:
        return gather_thought(writer, choice, event);
    case BLOCK_CALL:
        call = chat_writer_call(choice, event->block);
        if (!call)
            return -ERR_INTERNAL;
        sink_put(&call->arguments, event->text);
        return call->arguments.error ? call->arguments.error
                                     : keep_signature(writer, event, &call->signature);
    case BLOCK_IMAGE:
        sink_put(&choice->image, event->data);
        return choice->image.error ? choice->image.error
                                   : keep_signature(writer, event, &choice->signature);
    case BLOCK_REDACTED:
    case BLOCK_NATIVE:
        return 0;
    }
    return 0;
}

static int
gather_close(struct chat_writer *writer, struct chat_write_choice *choice,
             const struct canon_event *event)
{
    if (event->type == BLOCK_THINKING && choice->in_think) {
        choice->in_think = false;
        add_content(choice, SLICE_LIT("</think>"));
    }
    if (event->type == BLOCK_TEXT && chat_close_text(choice, event->block))
        chat_put_waiting(next_entry(&choice->whole->annotations), choice, event->block);
    return event->type == BLOCK_IMAGE ? gather_image(writer, choice) : 0;
}

static int
gather_citation(struct chat_writer *writer, struct chat_write_choice *choice,
                const struct canon_event *event, uint32_t *unsaid)
{
    if (chat_is_unsayable(event->citation)) {
        ++*unsaid;
        return 0;
    }
    int waits = chat_await_text(writer, choice, event);
    if (waits)
        return waits < 0 ? waits : 0;
    (void)chat_put_annotation(next_entry(&choice->whole->annotations), choice, event);
    return choice->whole->annotations.error;
}

static int
gather_in_choice(struct chat_writer *writer, const struct canon_event *event, uint32_t *unsaid)
{
    struct chat_write_choice *choice = chat_writer_choice(writer, event->choice);
    if (!choice)
        return -ERR_MEMORY;
    switch (event->kind) {
    case CANON_OPEN:
        return gather_open(writer, choice, event, unsaid);
    case CANON_DELTA:
        return gather_delta(writer, choice, event);
    case CANON_CLOSE:
        return gather_close(writer, choice, event);
    case CANON_CITATION:
        return gather_citation(writer, choice, event, unsaid);
    default:
        choice->finished = true;
        choice->finish = event->finish;
        return 0;
    }
}

int
chat_gather_event(struct chat_writer *writer, const struct canon_event *event, uint32_t *unsaid,
                  struct arena *scratch)
{
    if (writer->ended)
        return 0;
    switch (event->kind) {
    case CANON_OPEN:
    case CANON_DELTA:
    case CANON_CLOSE:
    case CANON_FINISH:
    case CANON_CITATION:
        return gather_in_choice(writer, event, unsaid);
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        writer->usage_known = true;
        return 0;
    case CANON_ERROR:
    case CANON_END:
        writer->ended = true;
        return 0;
    case CANON_NATIVE:
        if (slice_is(event->name, "groundingMetadata"))
            return chat_note_grounding(writer, event->native, scratch);
        ++*unsaid;
        return 0;
    case CANON_START:
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

/* A member that was made before: its name and its value. */
static void
put_member(struct json_writer *json, struct slice member)
{
    if (!slice_present(member))
        return;
    sink_byte(json->sink, ','); /* never the first of its object */
    sink_put(json->sink, member);
}

/* A list of entries that were gathered; nothing when there are none. */
static void
put_list(struct json_writer *json, const char *name, const struct sink *entries)
{
    if (entries->len == 0)
        return;
    json_name(json, name);
    struct sink *out = json->sink;
    json_array(json);
    sink_join(out, entries);
    json_end(json);
}

static void
put_logprobs(struct json_writer *json, const struct chat_write_choice *choice)
{
    if (choice->whole->tokens.len == 0 && choice->whole->refusal_tokens.len == 0) {
        json_member_null(json, "logprobs");
        return;
    }
    json_name(json, "logprobs");
    json_object(json);
    if (choice->whole->tokens.len > 0)
        put_list(json, "content", &choice->whole->tokens);
    else
        json_member_null(json, "content");
    if (choice->whole->refusal_tokens.len > 0)
        put_list(json, "refusal", &choice->whole->refusal_tokens);
    else
        json_member_null(json, "refusal");
    json_end(json);
}

static void
put_call(struct json_writer *json, const struct chat_write_call *call)
{
    struct slice arguments = sink_slice(&call->arguments);
    sink_carry(json->sink, &call->arguments);
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
    put_member(json, call->signature);
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
    sink_carry(json->sink, &choice->whole->text);
    if (choice->has_text || (choice->call_count == 0 && !choice->has_refusal))
        put_string(json, "content", sink_slice(&choice->whole->text));
    else
        json_member_null(json, "content");
    sink_carry(json->sink, &choice->whole->refusal);
    if (choice->has_refusal)
        put_string(json, "refusal", sink_slice(&choice->whole->refusal));
    else
        json_member_null(json, "refusal");
    if (choice->whole->reasoning.len > 0)
        put_string(json,
                   writer->options.reasoning == SHOW_REASONING ? "reasoning" : "reasoning_content",
                   sink_slice(&choice->whole->reasoning));
    put_list(json, "reasoning_details", &choice->whole->details);
    put_list(json, "annotations", &choice->whole->annotations);
    put_list(json, "images", &choice->whole->images);
    put_member(json, choice->signature);
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
        put_logprobs(&json, at);
        json_member_text(&json, "finish_reason", chat_finish_shown(at, at->finish));
        json_end(&json);
    }
    json_end(&json);
    put_list(&json, "images", &self->bare_images);
    if (slice_present(self->grounding))
        json_member_raw(&json, "grounding", self->grounding);
    if (self->usage_known) {
        json_name(&json, "usage");
        struct sink counters;
        sink_init(&counters, 4096);
        chat_put_usage(&counters, &self->usage);
        sink_carry(json.sink, &counters);
        json_put_raw(&json, sink_slice(&counters));
        sink_fini(&counters);
    }
    json_end(&json);
    return out->error;
}
