/* SPDX-License-Identifier: MIT
 *
 * openai_text_reply.c - canonical events as text completions: chunks, or one object.
 *
 * Only text exists here. Reasoning, tool calls and whatever else a chat model may say are counted as left unsaid.
 */
#include "providers/openai_text.h"

#include "providers/openai_chat.h"

#define TEXT_WHOLE_MAX (64u << 20) /* bytes of one gathered text */

/* ---------------------------------------------------------------- state */

static struct canon_stop *
copy_prompts(const struct canon_request *request, struct arena *arena)
{
    struct canon_stop *first = NULL, **link = &first;
    for (const struct canon_stop *at = request->prompts; at; at = at->next) {
        struct canon_stop *copy = arena_take(arena, sizeof(*copy));
        if (copy)
            copy->text = arena_copy(arena, at->text);
        if (!copy || !slice_present(copy->text))
            return NULL;
        *link = copy;
        link = &copy->next;
    }
    return first;
}

int
openai_text_writer_init(void *writer, const struct dialect_writer_options *options, struct arena *arena)
{
    struct text_writer *self = writer;
    const struct canon_request *request = options->request;
    uint64_t n = 1;
    memset(self, 0, sizeof(*self));
    self->options = *options;
    self->options.request = NULL; /* it goes at the commit point */
    self->arena = arena;
    self->usage = CANON_USAGE_UNKNOWN;
    if (request) {
        n = json_u64_or(json_get(request->root, "n"), 1);
        self->logprobs = slice_present(request->logprobs);
        if (json_type(json_get(request->root, "echo")) == JSON_TRUE && !(self->echo = copy_prompts(request, arena)))
            return -ERR_MEMORY;
    }
    self->per_prompt = n >= 1 && n <= CHAT_CHOICES_MAX ? (uint32_t)n : 1;
    self->id = arena_printf(arena, "cmpl-%.*s", SLICE_ARG(options->id));
    self->model = canon_escape(options->model, arena);
    if (!slice_present(self->id) || !slice_present(self->model))
        return -ERR_MEMORY;
    self->head = arena_printf(arena, "{\"id\":\"%.*s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":\"%.*s\",\"choices\":[",
                              SLICE_ARG(self->id), (long long)options->created_s, SLICE_ARG(self->model));
    return slice_present(self->head) ? 0 : -ERR_MEMORY;
}

void
openai_text_writer_fini(void *writer)
{
    struct text_writer *self = writer;
    for (struct text_choice *at = self->choices; at; at = at->next) {
        sink_fini(&at->text);
        sink_fini(&at->tokens);
        sink_fini(&at->token_logprobs);
        sink_fini(&at->top_logprobs);
        sink_fini(&at->text_offset);
    }
}

static struct text_choice *
find_choice(struct text_writer *writer, uint32_t index)
{
    struct text_choice **link = &writer->choices;
    for (; *link; link = &(*link)->next)
        if ((*link)->index == index)
            return *link;
    struct text_choice *choice = arena_take(writer->arena, sizeof(*choice));
    if (!choice)
        return NULL;
    choice->index = index;
    sink_init(&choice->text, TEXT_WHOLE_MAX);
    sink_init(&choice->tokens, TEXT_WHOLE_MAX);
    sink_init(&choice->token_logprobs, TEXT_WHOLE_MAX);
    sink_init(&choice->top_logprobs, TEXT_WHOLE_MAX);
    sink_init(&choice->text_offset, TEXT_WHOLE_MAX);
    *link = choice;
    return choice;
}

/* ---------------------------------------------------------------- token probabilities */

/* Code points of escaped text. A surrogate pair is written as two escapes and is one. */
static uint64_t
code_points(struct slice text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if ((byte & 0xc0) == 0x80)
            continue;
        if (byte == '\\' && i + 1 < text.len) {
            bool unit = text.ptr[i + 1] == 'u' && i + 5 < text.len;
            bool low = unit && (text.ptr[i + 2] | 0x20) == 'd' && (text.ptr[i + 3] | 0x20) >= 'c';
            i += unit ? 5 : 1;
            count += !low;
            continue;
        }
        count++;
    }
    return count;
}

static void
put_comma(struct sink *out)
{
    if (out->len > 0)
        sink_byte(out, ',');
}

/* The four columns that this API has for a row each of the newer one. */
static void
add_logprobs(const struct canon_logprob *row, uint64_t *offset, struct sink *tokens, struct sink *values, struct sink *tops,
             struct sink *offsets)
{
    for (; row; row = row->next) {
        put_comma(tokens);
        sink_byte(tokens, '"');
        sink_put(tokens, row->token);
        sink_byte(tokens, '"');
        put_comma(values);
        sink_put(values, row->logprob);
        put_comma(tops);
        sink_byte(tops, '{');
        for (const struct canon_logprob *top = row->top; top; top = top->next) {
            sink_text(tops, top == row->top ? "\"" : ",\"");
            sink_put(tops, top->token);
            sink_text(tops, "\":");
            sink_put(tops, top->logprob);
        }
        sink_byte(tops, '}');
        put_comma(offsets);
        sink_u64(offsets, *offset);
        *offset += code_points(row->token);
    }
}

static void
put_logprobs(struct sink *out, const struct sink *tokens, const struct sink *values, const struct sink *tops, const struct sink *offsets)
{
    const struct {
        const char *name;
        const struct sink *values;
    } columns[] = {{"{\"tokens\":[", tokens}, {"],\"token_logprobs\":[", values}, {"],\"top_logprobs\":[", tops}, {"],\"text_offset\":[", offsets}};
    for (size_t i = 0; i < countof(columns); i++) {
        sink_text(out, columns[i].name);
        sink_join(out, columns[i].values);
    }
    sink_text(out, "]}");
}

/* ---------------------------------------------------------------- chunks */

static int
put_chunk(struct text_writer *writer, struct text_choice *choice, struct slice text, const struct canon_logprob *logprobs,
          const char *finish, struct frames *frames)
{
    struct sink *out = &frames->bytes;
    frame_begin(frames, FRAME_EVENT, NULL);
    sink_put(out, writer->head);
    sink_text(out, "{\"text\":\"");
    sink_put(out, text);
    sink_text(out, "\",\"index\":");
    sink_u64(out, choice->index);
    sink_text(out, ",\"logprobs\":");
    int error = 0;
    if (logprobs) {
        struct sink columns[4];
        for (size_t i = 0; i < countof(columns); i++)
            sink_init(&columns[i], TEXT_WHOLE_MAX);
        uint64_t offset = choice->offset;
        add_logprobs(logprobs, &offset, &columns[0], &columns[1], &columns[2], &columns[3]);
        put_logprobs(out, &columns[0], &columns[1], &columns[2], &columns[3]);
        for (size_t i = 0; i < countof(columns); i++) {
            error = error ? error : columns[i].error;
            sink_fini(&columns[i]);
        }
    } else {
        sink_text(out, "null");
    }
    sink_text(out, ",\"finish_reason\":");
    sink_text(out, finish ? "\"" : "null");
    sink_text(out, finish ? finish : "");
    sink_text(out, finish ? "\"}]" : "}]");
    sink_text(out, writer->options.include_usage ? ",\"usage\":null}" : "}");
    frame_end(frames);
    return error ? error : frames->error;
}

static int
add_text(struct text_writer *writer, struct text_choice *choice, struct slice text, const struct canon_logprob *logprobs, struct frames *frames)
{
    int error = 0;
    if (!writer->options.stream) {
        uint64_t offset = choice->offset;
        sink_put(&choice->text, text);
        add_logprobs(logprobs, &offset, &choice->tokens, &choice->token_logprobs, &choice->top_logprobs, &choice->text_offset);
        error = choice->text.error ? choice->text.error : choice->top_logprobs.error;
    } else {
        struct slice rest = text, piece;
        while (error == 0 && slice_present(piece = dialect_text_piece(&rest, DIALECT_LINE_MAX))) {
            error = put_chunk(writer, choice, piece, logprobs, NULL, frames);
            logprobs = NULL;
        }
    }
    if (writer->logprobs)
        choice->offset += code_points(text);
    return error;
}

/* The prompt comes first when the client wants it back. */
static int
begin_choice(struct text_writer *writer, struct text_choice *choice, struct frames *frames)
{
    if (choice->begun)
        return 0;
    choice->begun = true;
    const struct canon_stop *prompt = writer->echo;
    for (uint32_t i = 0; prompt && i < choice->index / writer->per_prompt; i++)
        prompt = prompt->next;
    return prompt ? add_text(writer, choice, prompt->text, NULL, frames) : 0;
}

static void
put_usage(struct sink *out, const struct canon_usage *usage)
{
    sink_text(out, ",\"usage\":");
    chat_put_usage(out, usage);
}

static int
write_end(struct text_writer *writer, struct frames *frames)
{
    writer->ended = true;
    if (!writer->options.stream)
        return 0;
    if (writer->options.include_usage && writer->usage_known) {
        frame_begin(frames, FRAME_EVENT, NULL);
        sink_put(&frames->bytes, writer->head);
        sink_text(&frames->bytes, "]");
        put_usage(&frames->bytes, &writer->usage);
        sink_text(&frames->bytes, "}");
        frame_end(frames);
    }
    frame_begin(frames, FRAME_EVENT, NULL);
    sink_text(&frames->bytes, "[DONE]");
    frame_end(frames);
    return frames->error;
}

/* Tool calls do not exist here: what is left is a natural end. */
static const char *
finish_word(enum canon_finish finish)
{
    return chat_finish_word(finish == FINISH_CALLS ? FINISH_STOP : finish);
}

static int
write_in_choice(struct text_writer *writer, const struct canon_event *event, struct frames *frames)
{
    struct text_choice *choice = find_choice(writer, event->choice);
    if (!choice)
        return -ERR_MEMORY;
    if (choice->finished)
        return 0;
    if (event->kind == CANON_DELTA && (event->type == BLOCK_TEXT || event->type == BLOCK_REFUSAL)) {
        int error = begin_choice(writer, choice, frames);
        return error ? error : add_text(writer, choice, event->text, event->logprobs, frames);
    }
    if (event->kind == CANON_OPEN) {
        frames->unsaid += event->type != BLOCK_TEXT && event->type != BLOCK_REFUSAL;
        return 0;
    }
    if (event->kind != CANON_FINISH)
        return 0;
    int error = begin_choice(writer, choice, frames);
    choice->finished = true;
    choice->finish = event->finish;
    if (error || !writer->options.stream)
        return error;
    return put_chunk(writer, choice, SLICE_LIT(""), NULL, finish_word(event->finish), frames);
}

static int
write_event(struct text_writer *writer, const struct canon_event *event, struct frames *frames)
{
    switch (event->kind) {
    case CANON_OPEN:
    case CANON_DELTA:
    case CANON_CLOSE:
    case CANON_FINISH:
        return write_in_choice(writer, event, frames);
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        writer->usage_known = true;
        return 0;
    case CANON_ERROR:
        return openai_text_write_error(writer, &event->error, frames);
    case CANON_END:
        return write_end(writer, frames);
    case CANON_CITATION:
    case CANON_NATIVE:
        frames->unsaid++;
        return 0;
    case CANON_START:
        return 0;
    }
    return 0;
}

int
openai_text_write_start(void *writer, struct frames *frames)
{
    (void)writer; /* nothing has to come first */
    return frames->error;
}

int
openai_text_write_events(void *writer, const struct canon_events *events, struct frames *frames)
{
    struct text_writer *self = writer;
    for (int i = 0; i < events->count && !self->ended; i++) {
        int error = write_event(self, &events->at[i], frames);
        if (error)
            return error;
    }
    return frames->error;
}

int
openai_text_write_error(void *writer, const struct canon_error *error, struct frames *frames)
{
    struct text_writer *self = writer;
    if (self->ended)
        return 0;
    self->ended = true;
    frame_begin(frames, FRAME_EVENT, NULL);
    chat_error_body(error, SLICE_NONE, &frames->bytes);
    frame_end(frames);
    frame_begin(frames, FRAME_EVENT, NULL);
    sink_text(&frames->bytes, "[DONE]");
    frame_end(frames);
    return frames->error;
}

int
openai_text_write_whole(void *writer, struct sink *out)
{
    struct text_writer *self = writer;
    sink_put(out, self->head);
    for (const struct text_choice *at = self->choices; at; at = at->next) {
        sink_text(out, at == self->choices ? "{\"text\":\"" : ",{\"text\":\"");
        sink_join(out, &at->text);
        sink_text(out, "\",\"index\":");
        sink_u64(out, at->index);
        sink_text(out, ",\"logprobs\":");
        if (at->tokens.len > 0)
            put_logprobs(out, &at->tokens, &at->token_logprobs, &at->top_logprobs, &at->text_offset);
        else
            sink_text(out, "null");
        sink_printf(out, ",\"finish_reason\":\"%s\"}", finish_word(at->finish));
    }
    sink_text(out, "]");
    if (self->usage_known)
        put_usage(out, &self->usage);
    sink_text(out, "}");
    return out->error;
}
