/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_write.c - canonical events as a Responses stream, or gathered into one
 * response.
 *
 * A block is an output item; texts and refusals that follow one another are parts of one message.
 * Several items may be open at a time, each under its output_index.
 */
#include "providers/openai_responses.h"

/* ---------------------------------------------------------------- state */

/* The names that calls come back with, where they are not the client's: the request is gone by
 * then. */
static int
keep_tools(struct responses_writer *writer, const struct canon_request *request)
{
    struct responses_tool **link = &writer->tools;
    struct arena *arena = writer->arena;
    for (const struct canon_tool *tool = request ? request->tools : NULL; tool; tool = tool->next) {
        if (tool->kind == TOOL_NATIVE || tool->name.len == 0)
            continue;
        bool spaced = request->from == DIALECT_OPENAI_RESPONSES && tool->type.len > 0 &&
                      tool->name.len > tool->type.len + 2;
        struct slice legal = canon_legal_name(tool->name, 64, arena);
        if (!spaced && slice_present(legal) && slice_eq(legal, tool->name))
            continue;
        struct responses_tool *row = arena_take(arena, sizeof(*row));
        if (!row || !slice_present(legal))
            return -ERR_MEMORY;
        row->legal = arena_copy(arena, legal);
        row->name =
            arena_copy(arena, spaced ? slice_skip(tool->name, tool->type.len + 2) : tool->name);
        row->name_space = spaced ? arena_copy(arena, tool->type) : SLICE_NONE;
        if (!slice_present(row->legal) || !slice_present(row->name) ||
            (spaced && !slice_present(row->name_space)))
            return -ERR_MEMORY;
        *link = row;
        link = &row->next;
    }
    return 0;
}

int
responses_writer_init(void *writer, const struct dialect_writer_options *options,
                      struct arena *arena)
{
    struct responses_writer *self = writer;
    memset(self, 0, sizeof(*self));
    self->options = *options;
    self->arena = arena;
    self->usage = CANON_USAGE_UNKNOWN;
    self->id = arena_printf(arena, "resp_%.*s", SLICE_ARG(options->id));
    self->model = canon_escape(options->model, arena);
    if (!slice_present(self->id) || !slice_present(self->model))
        return -ERR_MEMORY;
    int error = canon_custom_init(&self->custom, options->request, arena);
    if (!error)
        error = keep_tools(self, options->request);
    if (!error)
        error = responses_make_echo(self);
    self->options.request = NULL;
    return error;
}

void
responses_writer_fini(void *writer)
{
    struct responses_writer *self = writer;
    for (struct responses_write_item *at = self->items; at; at = at->next) {
        sink_fini(&at->text);
        sink_fini(&at->state);
        for (struct responses_write_part *part = at->first; part; part = part->next) {
            sink_fini(&part->text);
            sink_fini(&part->annotations);
            sink_fini(&part->logprobs);
        }
    }
}

static bool
streams(const struct responses_writer *writer)
{
    return writer->options.stream;
}

/* The item of a block, and its part if it is one of a message. */
static struct responses_write_item *
find(struct responses_writer *writer, uint32_t block, struct responses_write_part **part)
{
    struct responses_write_item *at = writer->at;
    if (at && at->kind != RESPONSES_MESSAGE && at->block == block)
        return at;
    if (at && writer->at_part && writer->at_part->block == block) {
        *part = writer->at_part;
        return at;
    }
    for (at = writer->last; at; at = at->previous) {
        struct responses_write_part *own = at->first;
        while (own && own->block != block)
            own = own->next;
        if (!own && (at->kind == RESPONSES_MESSAGE || at->block != block))
            continue;
        writer->at = at;
        writer->at_part = own;
        *part = own;
        return at;
    }
    return NULL;
}

/* ---------------------------------------------------------------- start */

static void
put_response_event(struct responses_writer *writer, const char *type, const char *status, bool full,
                   const struct canon_error *error, struct frames *frames)
{
    struct sink *out = responses_begin(frames, type);
    sink_text(out, ",\"response\":");
    responses_put_response(writer, status, full, error, out);
    responses_end(writer, frames);
}

static void
start(struct responses_writer *writer, struct frames *frames)
{
    if (writer->started)
        return;
    writer->started = true;
    if (!streams(writer))
        return;
    put_response_event(writer, "response.created", "in_progress", false, NULL, frames);
    put_response_event(writer, "response.in_progress", "in_progress", false, NULL, frames);
}

/* ---------------------------------------------------------------- messages */

/* The message that texts were joined to ends; if one of its parts is open, when that one does. */
static int
settle_message(struct responses_writer *writer, bool incomplete, struct frames *frames)
{
    struct responses_write_item *message = writer->message;
    writer->message = NULL;
    if (!message)
        return 0;
    message->incomplete = incomplete;
    for (const struct responses_write_part *at = message->first; at; at = at->next)
        if (at->open)
            message->closing = true;
    return message->closing ? 0 : responses_close_item(writer, message, frames);
}

static int
open_text(struct responses_writer *writer, const struct canon_event *event, struct frames *frames)
{
    int error = 0;
    if (writer->message && writer->message != writer->last)
        error = settle_message(writer, false, frames);
    if (!error && !writer->message)
        error = responses_open_item(writer, event, RESPONSES_MESSAGE, frames, &writer->message);
    return error ? error : responses_open_part(writer, writer->message, event, frames);
}

static struct responses_write_part *
open_part_of(const struct responses_write_item *item)
{
    struct responses_write_part *at = item->first;
    while (at && !at->open)
        at = at->next;
    return at;
}

static int
close_text(struct responses_writer *writer, struct responses_write_item *item,
           struct responses_write_part *part, struct frames *frames)
{
    int error = part->open ? responses_close_part(writer, item, part, frames) : 0;
    if (error || !item->closing || open_part_of(item))
        return error;
    item->closing = false;
    return responses_close_item(writer, item, frames);
}

/* ---------------------------------------------------------------- reasoning state */

/* What a client may keep of opaque state: its own kind as it is, another's in a wrapper. */
static int
keep_state(struct responses_writer *writer, struct responses_write_item *item,
           const struct canon_event *event, bool redacted, struct slice state,
           struct frames *frames)
{
    if (event->origin == ORIGIN_NONE) {
        frames->unsaid++; /* nobody could be given it back */
        return 0;
    }
    struct slice token = state;
    struct arena scratch;
    arena_init(&scratch, RESPONSES_WHOLE_MAX * 2);
    if (event->origin != ORIGIN_RESPONSES || redacted)
        token = canon_wrap(event->origin, redacted, state, &scratch);
    sink_reset(&item->state, SIZE_MAX);
    int error = slice_present(token) ? responses_keep(writer, &item->state, token) : -ERR_MEMORY;
    arena_fini(&scratch);
    return error;
}

/* An item of nothing but state: redacted reasoning, or the signature of what is no reasoning. */
static int
write_state(struct responses_writer *writer, const struct canon_event *event, bool redacted,
            struct slice state, struct frames *frames)
{
    struct responses_write_item *item;
    int error = responses_open_item(writer, event, RESPONSES_REASONING, frames, &item);
    if (error)
        return error;
    item->block = UINT32_MAX;
    error = keep_state(writer, item, event, redacted, state, frames);
    return error ? error : responses_close_item(writer, item, frames);
}

/* ---------------------------------------------------------------- blocks */

static int
write_open(struct responses_writer *writer, const struct canon_event *event, struct frames *frames)
{
    struct responses_write_item *item;
    if (event->type == BLOCK_TEXT || event->type == BLOCK_REFUSAL)
        return open_text(writer, event, frames);
    if (event->type == BLOCK_NATIVE) {
        frames->unsaid++;
        return 0;
    }
    int error = settle_message(writer, false, frames);
    if (error)
        return error;
    switch (event->type) {
    case BLOCK_THINKING:
        return responses_open_item(writer, event, RESPONSES_REASONING, frames, &item);
    case BLOCK_REDACTED:
        return write_state(writer, event, true, event->data, frames);
    case BLOCK_CALL:
        if (event->signature.len > 0)
            error = write_state(writer, event, false, event->signature, frames);
        return error ? error
                     : responses_open_item(writer, event,
                                           event->custom ? RESPONSES_CUSTOM : RESPONSES_CALL,
                                           frames, &item);
    case BLOCK_IMAGE:
        return responses_open_item(writer, event, RESPONSES_IMAGE, frames, &item);
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
    case BLOCK_NATIVE:
        break;
    }
    return 0;
}

/* A token as its members, without the closing brace. */
static void
put_token(const struct canon_logprob *token, struct sink *out)
{
    sink_text(out, "{\"token\":\"");
    sink_put(out, token->token);
    sink_text(out, "\",\"logprob\":");
    sink_put(out, token->logprob.len > 0 ? token->logprob : SLICE_LIT("0"));
    sink_text(out, ",\"bytes\":");
    responses_put_compact(slice_present(token->bytes) ? token->bytes : SLICE_LIT("[]"), out);
}

static void
put_tokens(const struct canon_logprob *list, struct sink *out)
{
    for (const struct canon_logprob *at = list; at; at = at->next) {
        put_token(at, out);
        sink_text(out, ",\"top_logprobs\":[");
        for (const struct canon_logprob *top = at->top; top; top = top->next) {
            put_token(top, out);
            sink_text(out, top->next ? "}," : "}");
        }
        sink_text(out, at->next ? "]}," : "]}");
    }
}

static int
write_logprobs(struct responses_writer *writer, struct responses_write_part *part,
               const struct canon_event *event, struct frames *frames)
{
    struct sink tokens, tail;
    sink_init(&tokens, RESPONSES_WHOLE_MAX);
    sink_init(&tail, RESPONSES_WHOLE_MAX);
    put_tokens(event->logprobs, &tokens);
    if (part->logprobs.len > 0)
        sink_byte(&part->logprobs, ',');
    int error =
        tokens.error ? tokens.error : responses_keep(writer, &part->logprobs, sink_slice(&tokens));
    if (!error && streams(writer)) {
        sink_text(&tail, "\",\"logprobs\":[");
        sink_join(&tail, &tokens);
        sink_byte(&tail, ']');
        responses_write_pieces(writer, "response.output_text.delta", part->head, event->text,
                               sink_slice(&tail), frames);
        error = tail.error;
    }
    sink_fini(&tokens);
    sink_fini(&tail);
    return error;
}

static int
write_text(struct responses_writer *writer, struct responses_write_part *part,
           const struct canon_event *event, struct frames *frames)
{
    int error = responses_keep(writer, &part->text, event->text);
    if (error)
        return error;
    if (event->logprobs && !part->refusal)
        return write_logprobs(writer, part, event, frames);
    if (streams(writer))
        responses_write_pieces(
            writer, part->refusal ? "response.refusal.delta" : "response.output_text.delta",
            part->head, event->text,
            part->refusal ? SLICE_LIT("\"") : SLICE_LIT("\",\"logprobs\":[]"), frames);
    return frames->error;
}

static int
write_in_item(struct responses_writer *writer, struct responses_write_item *item, struct slice text,
              struct frames *frames)
{
    static const char *const types[] = {
        [RESPONSES_REASONING] = "response.reasoning_summary_text.delta",
        [RESPONSES_CALL] = "response.function_call_arguments.delta",
        [RESPONSES_CUSTOM] = "response.custom_tool_call_input.delta",
    };
    if (text.len == 0)
        return 0;
    if (item->kind == RESPONSES_REASONING && !item->has_summary)
        responses_open_summary(writer, item, frames);
    int error = responses_keep(writer, &item->text, text);
    if (!error && streams(writer) && (size_t)item->kind < countof(types) && types[item->kind])
        responses_write_pieces(writer, types[item->kind], item->head, text, SLICE_LIT("\""),
                               frames);
    return error ? error : frames->error;
}

static int
write_delta(struct responses_writer *writer, const struct canon_event *event, struct frames *frames)
{
    struct responses_write_part *part = NULL;
    struct responses_write_item *item = find(writer, event->block, &part);
    if (!item) /* a block that has no words here */
        return 0;
    int error = part                            ? write_text(writer, part, event, frames)
                : item->kind == RESPONSES_IMAGE ? write_in_item(writer, item, event->data, frames)
                                                : write_in_item(writer, item, event->text, frames);
    if (error || event->signature.len == 0)
        return error;
    if (item->kind == RESPONSES_REASONING)
        return keep_state(writer, item, event, false, event->signature, frames);
    return write_state(writer, event, false, event->signature, frames);
}

/* What a call's text is worth: a reply that was cut short leaves half of it. */
static int
judge_call(struct responses_writer *writer, struct responses_write_item *item,
           struct frames *frames)
{
    struct json_check check;
    struct unescape unescape = {0};
    json_check_init(&check);
    bool good = unescape_check(&unescape, sink_slice(&item->text), &check);
    if (good && json_check_empty(&check)) /* no arguments are empty ones, and they must parse */
        return write_in_item(writer, item, SLICE_LIT("{}"), frames);
    item->incomplete = !good || !json_check_done(&check);
    return 0;
}

static int
write_close(struct responses_writer *writer, const struct canon_event *event, struct frames *frames)
{
    struct responses_write_part *part = NULL;
    struct responses_write_item *item = find(writer, event->block, &part);
    int error = 0;
    if (!item)
        return 0;
    if (part)
        return close_text(writer, item, part, frames);
    if (!item->open)
        return 0;
    if (item->kind == RESPONSES_CALL)
        error = judge_call(writer, item, frames);
    return error ? error : responses_close_item(writer, item, frames);
}

/* ---------------------------------------------------------------- citations and the rest */

/* What a client has seen done is not added to; a whole reply has not been seen. */
static int
write_citation(struct responses_writer *writer, const struct canon_event *event,
               struct frames *frames)
{
    struct responses_write_part *part = NULL;
    struct responses_write_item *item = find(writer, event->block, &part);
    bool in_time = part && (part->open || !writer->options.stream);
    if (!item || !in_time || part->refusal) {
        frames->unsaid++;
        return 0;
    }
    int error = responses_write_citation(writer, item, part, event->citation, frames);
    return error || part->open ? error : responses_settle_citations(writer, item, part, frames);
}

/* An item that only this dialect has, of a response that is written anew. */
static int
write_native(struct responses_writer *writer, const struct canon_event *event,
             struct frames *frames)
{
    struct responses_write_item *item;
    if (event->origin != ORIGIN_RESPONSES || !slice_present(event->native)) {
        frames->unsaid++;
        return 0;
    }
    int error = settle_message(writer, false, frames);
    if (!error)
        error = responses_open_item(writer, event, RESPONSES_NATIVE, frames, &item);
    if (error)
        return error;
    item->block = UINT32_MAX;
    return responses_close_item(writer, item, frames);
}

/* ---------------------------------------------------------------- the end */

static bool
is_cut(enum canon_finish finish)
{
    return finish == FINISH_LENGTH || finish == FINISH_CONTEXT || finish == FINISH_FILTER;
}

/* Whatever is still open ends with the reply. */
static int
close_all(struct responses_writer *writer, bool incomplete, struct frames *frames)
{
    int error = settle_message(writer, incomplete, frames);
    for (struct responses_write_item *at = writer->items; at && !error; at = at->next) {
        struct responses_write_part *part;
        at->incomplete |= at->open && incomplete;
        while (!error && at->open && (part = open_part_of(at)) != NULL)
            error = close_text(writer, at, part, frames);
        if (!error && at->open)
            error = responses_close_item(writer, at, frames);
    }
    return error;
}

static int
write_finish(struct responses_writer *writer, const struct canon_event *event,
             struct frames *frames)
{
    if (writer->finish != FINISH_NONE)
        return 0;
    writer->finish = event->finish == FINISH_NONE ? FINISH_OTHER : event->finish;
    return close_all(writer, is_cut(writer->finish), frames);
}

static int
write_end(struct responses_writer *writer, struct frames *frames)
{
    int error = close_all(writer, is_cut(writer->finish), frames);
    writer->ended = true;
    if (error || !streams(writer))
        return error;
    bool cut = is_cut(writer->finish);
    put_response_event(writer, cut ? "response.incomplete" : "response.completed",
                       responses_status(writer), true, NULL, frames);
    return frames->error;
}

static int
write_event(struct responses_writer *writer, const struct canon_event *event, struct frames *frames)
{
    if (writer->ended)
        return 0;
    if (event->choice > 0) { /* there is one answer here; nobody asked for more */
        frames->unsaid += event->kind == CANON_OPEN;
        return 0;
    }
    if (event->kind != CANON_ERROR)
        start(writer, frames);
    switch (event->kind) {
    case CANON_START:
        return frames->error;
    case CANON_OPEN:
        return write_open(writer, event, frames);
    case CANON_DELTA:
        return write_delta(writer, event, frames);
    case CANON_CLOSE:
        return write_close(writer, event, frames);
    case CANON_CITATION:
        return write_citation(writer, event, frames);
    case CANON_NATIVE:
        return write_native(writer, event, frames);
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        writer->usage_known = true;
        return 0;
    case CANON_FINISH:
        return write_finish(writer, event, frames);
    case CANON_ERROR:
        return responses_write_error(writer, &event->error, frames);
    case CANON_END:
        return write_end(writer, frames);
    }
    return 0;
}

int
responses_write_events(void *writer, const struct canon_events *events, struct frames *frames)
{
    struct responses_writer *self = writer;
    struct canon_events shown = *events;
    int error = self->custom.names ? canon_custom_filter(&self->custom, &shown) : 0;
    for (int i = 0; i < shown.count && !error; i++)
        error = write_event(writer, &shown.at[i], frames);
    return error ? error : frames->error;
}

int
responses_write_start(void *writer, struct frames *frames)
{
    /* The response's own id may still come from the upstream: its first event begins the stream. */
    (void)writer;
    return frames->error;
}

void
responses_write_ping(void *writer, struct frames *frames)
{
    (void)writer;
    frame_begin(frames, FRAME_COMMENT, NULL);
    sink_text(&frames->bytes, "keep-alive");
    frame_end(frames);
}

int
responses_write_error(void *writer, const struct canon_error *error, struct frames *frames)
{
    struct responses_writer *self = writer;
    if (self->ended)
        return 0;
    start(self, frames);
    self->ended = true;
    struct sink *out = responses_begin(frames, "error");
    sink_byte(out, ',');
    responses_put_error_members(error, false, out);
    sink_text(out, ",\"param\":");
    if (slice_present(error->param)) {
        sink_byte(out, '"');
        json_escape(out, error->param);
        sink_byte(out, '"');
    } else {
        sink_text(out, "null");
    }
    if (error->retry_after_ms != UINT64_MAX) {
        sink_text(out, ",\"retry_after\":");
        sink_u64(out, error->retry_after_ms / 1000 + (error->retry_after_ms % 1000 != 0));
    }
    responses_end(self, frames);
    for (struct responses_write_item *at = self->items; at; at = at->next) {
        at->incomplete |= at->open; /* said as far as it came */
        at->open = false;
    }
    put_response_event(self, "response.failed", "failed", true, error, frames);
    return frames->error;
}
