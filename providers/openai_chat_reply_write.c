/* SPDX-License-Identifier: MIT
 *
 * openai_chat_reply_write.c - canonical events as Chat Completions chunks.
 *
 * Every chunk begins with the same head (id, model, created), which is made once; every choice
 * begins with one role chunk, ends with one finish chunk, and numbers its tool calls 0, 1, 2...
 * whatever the upstream called them.
 */
#include "providers/openai_chat.h"

#include <stdio.h>

#define CHAT_ID_PREFIX "chatcmpl-"

/* ---------------------------------------------------------------- state */

#define CHOICE_BEGIN "{\"index\":"

/* The head of a chunk, without its last bytes. It is made when the first is written: a stream that is passed on may need none. */
static void
put_head(struct chat_writer *writer, struct sink *out, size_t without)
{
    if (!slice_present(writer->head))
        writer->head =
            arena_printf(writer->arena,
                         "{\"id\":\"%.*s\",\"object\":\"chat.completion.chunk\",\"created\":%.*s,"
                         "\"model\":\"%.*s\",\"choices\":[" CHOICE_BEGIN,
                         SLICE_ARG(writer->id), SLICE_ARG(writer->created), SLICE_ARG(writer->model));
    if (slice_present(writer->head))
        sink_put(out, slice_take(writer->head, writer->head.len - without));
    else if (!out->error)
        out->error = -ERR_MEMORY;
}

int
chat_writer_init(void *writer, const struct dialect_writer_options *options, struct arena *arena)
{
    struct chat_writer *self = writer;
    memset(self, 0, sizeof(*self));
    self->options = *options;
    self->arena = arena;
    self->usage = CANON_USAGE_UNKNOWN;
    self->id = arena_printf(arena, CHAT_ID_PREFIX "%.*s", SLICE_ARG(options->id));
    self->model = canon_escape(options->model, arena);
    self->created = arena_printf(arena, "%lld", (long long)options->created_s);
    sink_init(&self->bare_images, CHAT_WHOLE_MAX);
    int error = canon_custom_init(&self->custom, options->request, arena);
    if (!error)
        error = canon_keep_names(options->request, arena, &self->options.request);
    if (error)
        return error;
    if (!slice_present(self->id) || !slice_present(self->model) || !slice_present(self->created))
        return -ERR_MEMORY;
    return 0;
}

void
chat_writer_fini(void *writer)
{
    chat_gather_fini(writer);
}

struct chat_write_choice *
chat_writer_choice(struct chat_writer *writer, uint32_t index)
{
    struct chat_write_choice **link = &writer->choices;
    for (; *link; link = &(*link)->next)
        if ((*link)->index == index)
            return *link;
    struct chat_write_choice *choice = arena_take(writer->arena, sizeof(*choice));
    if (!choice)
        return NULL;
    choice->index = index;
    sink_init(&choice->image, CHAT_WHOLE_MAX);
    if (!writer->options.stream) {
        choice->whole = arena_take(writer->arena, sizeof(*choice->whole));
        if (!choice->whole)
            return NULL;
        struct sink *sinks[] = CHAT_WHOLE_SINKS(choice->whole);
        for (size_t i = 0; i < countof(sinks); i++)
            sink_init(sinks[i], CHAT_WHOLE_MAX);
    }
    *link = choice;
    return choice;
}

struct chat_write_call *
chat_writer_call(struct chat_write_choice *choice, uint32_t block)
{
    for (struct chat_write_call *at = choice->calls; at; at = at->next)
        if (at->block == block)
            return at;
    return NULL;
}

struct chat_write_call *
chat_note_call(struct chat_writer *writer, const struct canon_event *event)
{
    struct chat_write_choice *choice = chat_writer_choice(writer, event->choice);
    struct chat_write_call *call = choice ? arena_take(writer->arena, sizeof(*call)) : NULL;
    if (!call)
        return NULL;
    call->block = event->block;
    call->custom = event->custom;
    call->number = choice->call_count++;
    sink_init(&call->arguments, CHAT_WHOLE_MAX);
    call->next = choice->calls;
    choice->calls = call;
    return call;
}

/* ---------------------------------------------------------------- chunks */

/* From the head to the opening brace of the delta. */
static void
begin_chunk(struct chat_writer *writer, uint32_t choice, struct frames *frames)
{
    frame_begin(frames, FRAME_EVENT, NULL);
    put_head(writer, &frames->bytes, 0);
    sink_u64(&frames->bytes, choice);
    sink_put(&frames->bytes, SLICE_LIT(",\"delta\":{"));
}

/* From the closing brace of the delta to the end; finish NULL: none yet. */
static int
end_chunk(struct chat_writer *writer, const char *finish, struct frames *frames)
{
    struct sink *out = &frames->bytes;
    if (finish) {
        sink_put(out, SLICE_LIT("},\"logprobs\":null,\"finish_reason\":\""));
        sink_text(out, finish);
        sink_put(out, SLICE_LIT("\"}]"));
    } else {
        sink_put(out, SLICE_LIT("},\"logprobs\":null,\"finish_reason\":null}]"));
    }
    if (finish && slice_present(writer->grounding)) {
        sink_put(out, SLICE_LIT(",\"grounding\":"));
        sink_put(out, writer->grounding);
        writer->grounding = SLICE_NONE;
    }
    sink_put(out, writer->options.include_usage ? SLICE_LIT(",\"usage\":null}") : SLICE_LIT("}"));
    frame_end(frames);
    return frames->error;
}

/* The same with the probabilities of the delta's tokens. */
static int
end_chunk_of_tokens(struct chat_writer *writer, const struct canon_event *event,
                    struct frames *frames)
{
    struct sink *out = &frames->bytes;
    bool is_refusal = event->type == BLOCK_REFUSAL;
    sink_text(out, is_refusal ? "},\"logprobs\":{\"content\":null,\"refusal\":["
                              : "},\"logprobs\":{\"content\":[");
    chat_put_tokens(out, event->logprobs);
    sink_text(out, is_refusal ? "]},\"finish_reason\":null}]"
                              : "],\"refusal\":null},\"finish_reason\":null}]");
    sink_put(out, writer->options.include_usage ? SLICE_LIT(",\"usage\":null}") : SLICE_LIT("}"));
    frame_end(frames);
    return frames->error;
}

/* One chunk for each piece of the text, between what opens and what closes the delta's string. */
static int
write_text(struct chat_writer *writer, uint32_t choice, const char *opening, struct slice text,
           const char *closing, struct frames *frames)
{
    while (text.len > 0) {
        struct slice piece = text;
        if (likely(text.len <= DIALECT_LINE_MAX))
            text.len = 0;
        else
            piece = dialect_text_piece(&text, DIALECT_LINE_MAX);
        begin_chunk(writer, choice, frames);
        sink_text(&frames->bytes, opening);
        sink_put(&frames->bytes, piece);
        sink_text(&frames->bytes, closing);
        int error = end_chunk(writer, NULL, frames);
        if (error)
            return error;
    }
    return 0;
}

/* Text of the content: counted, since positions of sources are told in it. */
static int
write_content(struct chat_writer *writer, struct chat_write_choice *choice, struct slice text,
              struct frames *frames)
{
    choice->points += canon_points(text);
    return write_text(writer, choice->index, "\"content\":\"", text, "\"", frames);
}

int
chat_write_arguments(struct chat_writer *writer, uint32_t choice,
                     const struct chat_write_call *call, struct slice text, struct frames *frames)
{
    char opening[96];
    snprintf(opening, sizeof(opening), "\"tool_calls\":[{\"index\":%u,%s", call->number,
             call->custom ? "\"type\":\"custom\",\"custom\":{\"input\":\""
                          : "\"function\":{\"arguments\":\"");
    return write_text(writer, choice, opening, text, "\"}}]", frames);
}

int
chat_write_role(struct chat_writer *writer, uint32_t index, struct frames *frames)
{
    struct chat_write_choice *choice = chat_writer_choice(writer, index);
    if (!choice)
        return -ERR_MEMORY;
    if (choice->role_sent)
        return 0;
    choice->role_sent = true;
    begin_chunk(writer, index, frames);
    sink_put(&frames->bytes, SLICE_LIT("\"role\":\"assistant\",\"content\":\"\""));
    return end_chunk(writer, NULL, frames);
}

void
chat_write_usage(struct chat_writer *writer, struct frames *frames)
{
    if (!writer->options.include_usage || writer->usage_written || !writer->usage_known)
        return;
    writer->usage_written = true;
    frame_begin(frames, FRAME_EVENT, NULL);
    /* The head ends in the first choice: this chunk has none. */
    put_head(writer, &frames->bytes, strlen(CHOICE_BEGIN));
    sink_put(&frames->bytes, SLICE_LIT("],\"usage\":"));
    if (slice_present(writer->usage_raw))
        sink_put(&frames->bytes, writer->usage_raw);
    else
        chat_put_usage(&frames->bytes, &writer->usage);
    sink_put(&frames->bytes, SLICE_LIT("}"));
    frame_end(frames);
}

/* What a search found, if it was known only behind the last finish. */
static void
write_grounding(struct chat_writer *writer, struct frames *frames)
{
    if (!slice_present(writer->grounding))
        return;
    frame_begin(frames, FRAME_EVENT, NULL);
    put_head(writer, &frames->bytes, strlen(CHOICE_BEGIN));
    sink_put(&frames->bytes, SLICE_LIT("],\"grounding\":"));
    sink_put(&frames->bytes, writer->grounding);
    sink_put(&frames->bytes, SLICE_LIT("}"));
    frame_end(frames);
    writer->grounding = SLICE_NONE;
}

/* ---------------------------------------------------------------- events */

static int
close_think(struct chat_writer *writer, struct chat_write_choice *choice, struct frames *frames)
{
    if (!choice->in_think)
        return 0;
    choice->in_think = false;
    return write_content(writer, choice, SLICE_LIT("</think>"), frames);
}

static int
write_redacted(struct chat_writer *writer, struct chat_write_choice *choice,
               const struct canon_event *event, struct frames *frames)
{
    struct slice data = chat_state_shown(writer, event->origin, true, event->data);
    if (!slice_present(data))
        return -ERR_MEMORY;
    begin_chunk(writer, choice->index, frames);
    sink_text(&frames->bytes,
              "\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"index\":");
    sink_u64(&frames->bytes, choice->detail_count++);
    sink_text(&frames->bytes, ",\"data\":\"");
    sink_put(&frames->bytes, data);
    sink_put(&frames->bytes, SLICE_LIT("\"}]"));
    return end_chunk(writer, NULL, frames);
}

static int
write_call(struct chat_writer *writer, struct chat_write_choice *choice,
           const struct canon_event *event, struct frames *frames)
{
    struct chat_write_call *call = chat_note_call(writer, event);
    if (!call)
        return -ERR_MEMORY;
    struct slice name = canon_client_name(writer->options.request, event->name);
    int error = 0;
    begin_chunk(writer, choice->index, frames);
    struct sink *out = &frames->bytes;
    sink_put(out, SLICE_LIT("\"tool_calls\":[{\"index\":"));
    sink_u64(out, call->number);
    sink_put(out, SLICE_LIT(",\"id\":\""));
    sink_put(out, event->id);
    sink_text(out, call->custom ? "\",\"type\":\"custom\",\"custom\":{\"name\":\""
                                : "\",\"type\":\"function\",\"function\":{\"name\":\"");
    sink_put(out, name);
    sink_text(out, call->custom ? "\",\"input\":\"\"}" : "\",\"arguments\":\"\"}");
    if (event->signature.len > 0) {
        sink_byte(out, ',');
        error = chat_put_signature(writer, event, out);
    }
    sink_text(out, "}]");
    return error ? error : end_chunk(writer, NULL, frames);
}

static int
write_open(struct chat_writer *writer, struct chat_write_choice *choice,
           const struct canon_event *event, struct frames *frames)
{
    enum dialect_reasoning shown = writer->options.reasoning;
    int error = close_think(writer, choice, frames);
    if (error)
        return error;
    switch (event->type) {
    case BLOCK_TEXT:
        return chat_note_text(writer, choice, event->block);
    case BLOCK_THINKING:
        if (shown != SHOW_THINK_TAGS)
            return 0;
        choice->in_think = true;
        return write_content(writer, choice, SLICE_LIT("<think>"), frames);
    case BLOCK_REDACTED:
        return shown == SHOW_THINK_TAGS || shown == SHOW_NOTHING
                   ? 0
                   : write_redacted(writer, choice, event, frames);
    case BLOCK_CALL:
        return write_call(writer, choice, event, frames);
    case BLOCK_IMAGE:
        sink_reset(&choice->image, 256 * 1024);
        choice->image_type = arena_copy(writer->arena, event->name);
        return slice_present(choice->image_type) ? 0 : -ERR_MEMORY;
    case BLOCK_NATIVE:
        frames->unsaid++;
        return 0;
    case BLOCK_REFUSAL:
        return 0;
    }
    return 0;
}

static int
write_thought(struct chat_writer *writer, struct chat_write_choice *choice,
              const struct canon_event *event, struct frames *frames)
{
    enum dialect_reasoning shown = writer->options.reasoning;
    if (shown == SHOW_NOTHING)
        return 0;
    if (shown == SHOW_THINK_TAGS)
        return write_content(writer, choice, event->text, frames);
    int error =
        write_text(writer, choice->index,
                   shown == SHOW_REASONING ? "\"reasoning\":\"" : "\"reasoning_content\":\"",
                   event->text, "\"", frames);
    if (error || event->signature.len == 0)
        return error;
    /* The signature alone: the text it signs is in the chunks before it. One atomic value, whatever
     * its size. */
    struct slice signature = chat_state_shown(writer, event->origin, false, event->signature);
    if (!slice_present(signature))
        return -ERR_MEMORY;
    begin_chunk(writer, choice->index, frames);
    sink_put(&frames->bytes,
             SLICE_LIT("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"index\":"));
    sink_u64(&frames->bytes, choice->detail_count++);
    sink_put(&frames->bytes, SLICE_LIT(",\"text\":\"\",\"signature\":\""));
    sink_put(&frames->bytes, signature);
    sink_put(&frames->bytes, SLICE_LIT("\"}]"));
    return end_chunk(writer, NULL, frames);
}

/* Text, or a refusal, whose tokens are known one by one. Probabilities of a very long text come
 * behind it. */
static int
write_tokens(struct chat_writer *writer, struct chat_write_choice *choice,
             const struct canon_event *event, struct frames *frames)
{
    const char *opening = event->type == BLOCK_REFUSAL ? "\"refusal\":\"" : "\"content\":\"";
    struct slice text = event->text;
    if (text.len > DIALECT_LINE_MAX) {
        int error = write_text(writer, choice->index, opening, text, "\"", frames);
        if (error)
            return error;
        text = SLICE_NONE;
    }
    begin_chunk(writer, choice->index, frames);
    sink_text(&frames->bytes, opening);
    sink_put(&frames->bytes, text);
    sink_byte(&frames->bytes, '"');
    if (event->type == BLOCK_TEXT)
        choice->points += canon_points(event->text);
    return end_chunk_of_tokens(writer, event, frames);
}

/* A signature of text, or of a call that is open already. */
static int
write_signature(struct chat_writer *writer, struct chat_write_choice *choice,
                const struct chat_write_call *call, const struct canon_event *event,
                struct frames *frames)
{
    if (event->signature.len == 0)
        return 0;
    begin_chunk(writer, choice->index, frames);
    if (call) {
        sink_text(&frames->bytes, "\"tool_calls\":[{\"index\":");
        sink_u64(&frames->bytes, call->number);
        sink_byte(&frames->bytes, ',');
    }
    int error = chat_put_signature(writer, event, &frames->bytes);
    if (call)
        sink_text(&frames->bytes, "}]");
    return error ? error : end_chunk(writer, NULL, frames);
}

static int
write_call_delta(struct chat_writer *writer, struct chat_write_choice *choice,
                 const struct canon_event *event, struct frames *frames)
{
    struct chat_write_call *call = chat_writer_call(choice, event->block);
    if (!call)
        return -ERR_INTERNAL;
    call->said = call->said || event->text.len > 0;
    int error = chat_write_arguments(writer, choice->index, call, event->text, frames);
    return error ? error : write_signature(writer, choice, call, event, frames);
}

static int
write_delta(struct chat_writer *writer, struct chat_write_choice *choice,
            const struct canon_event *event, struct frames *frames)
{
    int error;
    switch (event->type) {
    case BLOCK_TEXT:
        error = event->logprobs ? write_tokens(writer, choice, event, frames)
                                : write_content(writer, choice, event->text, frames);
        return error ? error : write_signature(writer, choice, NULL, event, frames);
    case BLOCK_REFUSAL:
        return event->logprobs
                   ? write_tokens(writer, choice, event, frames)
                   : write_text(writer, choice->index, "\"refusal\":\"", event->text, "\"", frames);
    case BLOCK_THINKING:
        return write_thought(writer, choice, event, frames);
    case BLOCK_CALL:
        return write_call_delta(writer, choice, event, frames);
    case BLOCK_IMAGE: /* Gemini signs images, too */
        sink_put(&choice->image, event->data);
        return choice->image.error ? choice->image.error
                                   : write_signature(writer, choice, NULL, event, frames);
    case BLOCK_REDACTED:
    case BLOCK_NATIVE:
        return 0;
    }
    return 0;
}

static int
write_image(struct chat_writer *writer, struct chat_write_choice *choice, struct frames *frames)
{
    begin_chunk(writer, choice->index, frames);
    sink_text(&frames->bytes, "\"images\":[");
    chat_put_image(&frames->bytes, choice);
    sink_byte(&frames->bytes, ']');
    choice->image_count++;
    sink_reset(&choice->image, 0);
    return end_chunk(writer, NULL, frames);
}

static int
write_citation(struct chat_writer *writer, struct chat_write_choice *choice,
               const struct canon_event *event, struct frames *frames)
{
    if (chat_is_unsayable(event->citation)) {
        frames->unsaid++;
        return 0;
    }
    int waits = writer->passing ? 0 : chat_await_text(writer, choice, event);
    if (waits)
        return waits < 0 ? waits : 0;
    begin_chunk(writer, choice->index, frames);
    sink_text(&frames->bytes, "\"annotations\":[");
    (void)chat_put_annotation(&frames->bytes, choice, event);
    sink_byte(&frames->bytes, ']');
    return end_chunk(writer, NULL, frames);
}

static int
close_text(struct chat_writer *writer, struct chat_write_choice *choice,
           const struct canon_event *event, struct frames *frames)
{
    if (!chat_close_text(choice, event->block))
        return 0;
    begin_chunk(writer, choice->index, frames);
    sink_text(&frames->bytes, "\"annotations\":[");
    chat_put_waiting(&frames->bytes, choice, event->block);
    sink_byte(&frames->bytes, ']');
    return end_chunk(writer, NULL, frames);
}

static int
write_close(struct chat_writer *writer, struct chat_write_choice *choice,
            const struct canon_event *event, struct frames *frames)
{
    if (event->type == BLOCK_THINKING)
        return close_think(writer, choice, frames);
    if (event->type == BLOCK_TEXT)
        return close_text(writer, choice, event, frames);
    if (event->type == BLOCK_IMAGE)
        return write_image(writer, choice, frames);
    if (event->type != BLOCK_CALL)
        return 0;
    struct chat_write_call *call = chat_writer_call(choice, event->block);
    if (!call)
        return -ERR_INTERNAL;
    if (call->said || call->custom)
        return 0;
    call->said = true; /* a call without arguments has empty ones, and they must parse */
    return chat_write_arguments(writer, choice->index, call, SLICE_LIT("{}"), frames);
}

static int
write_finish(struct chat_writer *writer, struct chat_write_choice *choice,
             const struct canon_event *event, struct frames *frames)
{
    if (choice->finished)
        return 0;
    int error = close_think(writer, choice, frames);
    if (error)
        return error;
    choice->finished = true;
    begin_chunk(writer, choice->index, frames);
    return end_chunk(writer, chat_finish_shown(choice, event->finish), frames);
}

static int
write_end(struct chat_writer *writer, struct frames *frames)
{
    write_grounding(writer, frames);
    chat_write_usage(writer, frames);
    writer->ended = true;
    frame_begin(frames, FRAME_EVENT, NULL);
    sink_put(&frames->bytes, SLICE_LIT("[DONE]"));
    frame_end(frames);
    return frames->error;
}

static int
write_in_choice(struct chat_writer *writer, const struct canon_event *event, struct frames *frames)
{
    struct chat_write_choice *choice = chat_writer_choice(writer, event->choice);
    if (!choice)
        return -ERR_MEMORY;
    int error = chat_write_role(writer, event->choice, frames);
    if (error)
        return error;
    switch (event->kind) {
    case CANON_OPEN:
        return write_open(writer, choice, event, frames);
    case CANON_DELTA:
        return write_delta(writer, choice, event, frames);
    case CANON_CLOSE:
        return write_close(writer, choice, event, frames);
    case CANON_CITATION:
        return write_citation(writer, choice, event, frames);
    default:
        return write_finish(writer, choice, event, frames);
    }
}

static int
write_native(struct chat_writer *writer, const struct canon_event *event, struct frames *frames,
             struct arena *scratch)
{
    if (slice_is(event->name, "groundingMetadata"))
        return chat_note_grounding(writer, event->native, scratch);
    if (!slice_is(event->name, "audio")) {
        frames->unsaid++;
        return 0;
    }
    int error = chat_write_role(writer, event->choice, frames);
    if (error)
        return error;
    begin_chunk(writer, event->choice, frames);
    sink_text(&frames->bytes, "\"audio\":");
    sink_put(&frames->bytes, event->native);
    return end_chunk(writer, NULL, frames);
}

int
chat_write_event(struct chat_writer *writer, const struct canon_event *event, struct frames *frames,
                 struct arena *scratch)
{
    if (writer->ended)
        return 0;
    switch (event->kind) {
    case CANON_START:
        return chat_write_role(writer, 0, frames);
    case CANON_OPEN:
    case CANON_DELTA:
    case CANON_CLOSE:
    case CANON_FINISH:
    case CANON_CITATION:
        return write_in_choice(writer, event, frames);
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        writer->usage_known = true;
        return 0;
    case CANON_ERROR:
        return chat_write_error(writer, &event->error, frames);
    case CANON_END:
        return write_end(writer, frames);
    case CANON_NATIVE:
        return write_native(writer, event, frames, scratch);
    }
    return 0;
}

int
chat_write_events(void *writer, const struct canon_events *events, struct frames *frames)
{
    struct chat_writer *self = writer;
    struct canon_events shown = *events;
    int error = self->custom.names ? canon_custom_filter(&self->custom, &shown) : 0;
    for (int i = 0; i < shown.count && !error; i++)
        error = self->options.stream
                    ? chat_write_event(self, &shown.at[i], frames, shown.arena)
                    : chat_gather_event(self, &shown.at[i], &frames->unsaid, shown.arena);
    return error ? error : frames->error;
}

int
chat_write_start(void *writer, struct frames *frames)
{
    /* Nothing has to come first: the role chunk waits until the upstream has spoken. */
    (void)writer;
    return frames->error;
}

void
chat_write_ping(void *writer, struct frames *frames)
{
    (void)writer;
    frame_begin(frames, FRAME_COMMENT, NULL);
    sink_text(&frames->bytes, "keep-alive");
    frame_end(frames);
}

int
chat_write_error(void *writer, const struct canon_error *error, struct frames *frames)
{
    struct chat_writer *self = writer;
    if (self->ended)
        return 0;
    self->ended = true;
    for (struct chat_write_choice *at = self->choices; at; at = at->next) {
        int failed = close_think(self, at, frames);
        if (failed)
            return failed;
    }
    frame_begin(frames, FRAME_EVENT, NULL);
    chat_error_body(error, SLICE_NONE, &frames->bytes);
    frame_end(frames);
    frame_begin(frames, FRAME_EVENT, NULL);
    sink_put(&frames->bytes, SLICE_LIT("[DONE]"));
    frame_end(frames);
    return frames->error;
}
