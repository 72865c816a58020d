/* SPDX-License-Identifier: MIT
 *
 * openai_chat_reply_read.c - chunks of a Chat Completions stream, and whole replies, as canonical
 * events.
 *
 * Many servers speak this dialect, each with an accent: fields are missing, null, empty or of
 * another type. What can be understood is; what a Chat client could not understand is noted in
 * events->mends and events->flaws.
 */
#include "providers/openai_chat.h"

#include "base/text.h"

void
chat_reader_init(void *reader, struct arena *arena)
{
    struct chat_reader *self = reader;
    memset(self, 0, sizeof(*self));
    self->arena = arena;
}

struct chat_read_choice *
chat_find_choice(struct chat_reader *reader, uint32_t index)
{
    assert(index < CHAT_CHOICES_MAX);
    for (struct chat_read_choice *at = reader->choices; at; at = at->next)
        if (at->index == index)
            return at;
    struct chat_read_choice *choice = arena_take(reader->arena, sizeof(*choice));
    if (!choice)
        return NULL;
    choice->index = index;
    choice->next = reader->choices;
    reader->choices = choice;
    reader->choice_count++;
    return choice;
}

/* ---------------------------------------------------------------- events */

int
chat_close_block(struct chat_read_choice *choice, struct canon_events *events)
{
    if (!choice->block_open)
        return 0;
    struct canon_event *event = canon_add(events, CANON_CLOSE);
    if (!event)
        return -ERR_MEMORY;
    event->choice = choice->index;
    event->block = choice->block;
    event->type = choice->type;
    choice->block_open = false;
    return 0;
}

int
chat_open_block(struct chat_reader *reader, struct chat_read_choice *choice, enum canon_block type,
                struct canon_events *events)
{
    int error = chat_close_block(choice, events);
    if (error)
        return error;
    struct canon_event *event = canon_add(events, CANON_OPEN);
    if (!event)
        return -ERR_MEMORY;
    choice->block = reader->blocks++;
    choice->type = type;
    choice->block_open = true;
    if (type == BLOCK_TEXT) {
        choice->text_block = choice->block;
        choice->texts++;
    }
    event->choice = choice->index;
    event->block = choice->block;
    event->type = type;
    return 0;
}

int
chat_emit_text(struct chat_reader *reader, struct chat_read_choice *choice, enum canon_block type,
               struct slice text, struct slice signature, struct canon_events *events)
{
    if (choice->finished)
        return -ERR_UPSTREAM_PROTOCOL;
    /* A signature completes a thought: what is thought next is another one. */
    bool is_next = choice->is_signed && type == BLOCK_THINKING && text.len > 0;
    if (!choice->block_open || choice->type != type || is_next) {
        int error = chat_open_block(reader, choice, type, events);
        if (error)
            return error;
    }
    struct canon_event *event = canon_add(events, CANON_DELTA);
    if (!event)
        return -ERR_MEMORY;
    event->choice = choice->index;
    event->block = choice->block;
    event->type = type;
    event->text = text;
    event->signature = signature;
    choice->is_signed = signature.len > 0;
    choice->said_text = true;
    return 0;
}

int
chat_emit_finish(struct chat_reader *reader, struct chat_read_choice *choice,
                 enum canon_finish finish, struct canon_events *events)
{
    int error = chat_close_block(choice, events);
    if (!error)
        error = chat_close_calls(reader, choice, events);
    if (error)
        return error;
    struct canon_event *event = canon_add(events, CANON_FINISH);
    if (!event)
        return -ERR_MEMORY;
    event->choice = choice->index;
    event->finish = finish;
    choice->finished = true;
    choice->deferred = FINISH_NONE;
    return 0;
}

int
chat_emit_error(struct chat_reader *reader, const struct canon_error *error,
                struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_ERROR);
    if (!event)
        return -ERR_MEMORY;
    event->error = *error;
    reader->failed = true;
    return 0;
}

/* ---------------------------------------------------------------- finish */

static int
read_finish(struct chat_reader *reader, struct chat_read_choice *choice, struct slice word,
            bool said, bool defer, struct canon_events *events)
{
    bool is_known, is_error;
    enum canon_finish finish = chat_finish_of(word, &is_known, &is_error);
    if (is_error) {
        struct canon_error error = canon_error_of(ERR_UPSTREAM_ERROR);
        bool is_busy = slice_is(word, "insufficient_system_resource");
        error.kind = is_busy ? KIND_OVERLOADED : KIND_UPSTREAM;
        error.code = word;
        error.message = is_busy ? SLICE_LIT("the upstream ran out of resources while it answered")
                                : SLICE_LIT("the upstream ended its answer with an error");
        return chat_emit_error(reader, &error, events);
    }
    if (choice->finished) {
        events->flaws |= 1u << FLAW_REPEATED_FINISH;
        events->mends |= MEND_REPEAT;
        return 0;
    }
    if (finish == FINISH_OTHER)
        events->flaws |= 1u << FLAW_UNKNOWN_FINISH;
    if (said && defer) {
        choice->deferred = finish;
        events->mends |= MEND_DEFER;
        return 0;
    }
    if (!is_known)
        events->mends |= MEND_FINISH;
    return chat_emit_finish(reader, choice, finish, events);
}

/* ---------------------------------------------------------------- payload */

static void
take_message(struct json value, struct chat_message *out)
{
    static const struct slice names[] = {CHAT_NAME("role"),
                                         CHAT_NAME("content"),
                                         CHAT_NAME("tool_calls"),
                                         CHAT_NAME("reasoning_content"),
                                         CHAT_NAME("reasoning"),
                                         CHAT_NAME("thinking"),
                                         CHAT_NAME("reasoning_details"),
                                         CHAT_NAME("refusal"),
                                         CHAT_NAME("function_call"),
                                         CHAT_NAME("annotations"),
                                         CHAT_NAME("images"),
                                         CHAT_NAME("extra_content"),
                                         CHAT_NAME("audio")};
    struct json found[countof(names)];
    chat_take(value, names, countof(names), found);
    *out = (struct chat_message){.role = found[0],
                                 .content = found[1],
                                 .tool_calls = found[2],
                                 .reasoning_content = found[3],
                                 .reasoning = found[4],
                                 .thinking = found[5],
                                 .details = found[6],
                                 .refusal = found[7],
                                 .function_call = found[8],
                                 .annotations = found[9],
                                 .images = found[10],
                                 .extra_content = found[11],
                                 .audio = found[12]};
}

/* Text or refusal with the probabilities of its tokens; a token may have them and no text of its
 * own. */
static int
read_words(struct chat_reader *reader, struct chat_read_choice *choice, enum canon_block type,
           struct slice text, struct json logprobs, struct canon_events *events, bool *said)
{
    struct canon_logprob *tokens;
    int error = chat_read_logprobs(logprobs, events->arena, &tokens);
    if (error || (text.len == 0 && !tokens))
        return error;
    error = chat_emit_text(reader, choice, type, text, SLICE_NONE, events);
    if (!error)
        events->at[events->count - 1].logprobs = tokens;
    *said = true;
    return error;
}

/* The payload of a delta or of a whole message; *said is set when there was any. */
static int
read_message(struct chat_reader *reader, struct chat_read_choice *choice,
             const struct chat_message *message, struct json logprobs, struct canon_events *events,
             bool *said)
{
    int error = chat_read_reasoning(reader, choice, message, events, said);
    if (!error && json_type(message->content) == JSON_ARRAY)
        error = chat_read_content_list(reader, choice, message->content, events, said);
    if (!error)
        error = read_words(reader, choice, BLOCK_TEXT, json_text(message->content),
                           json_get(logprobs, "content"), events, said);
    if (!error)
        error = read_words(reader, choice, BLOCK_REFUSAL, json_text(message->refusal),
                           json_get(logprobs, "refusal"), events, said);
    bool has_more = json_present(message->images) || json_present(message->extra_content) ||
                    json_present(message->annotations) || json_present(message->audio);
    if (!error && has_more)
        error = chat_read_extras(reader, choice, message, events, said);
    if (!error)
        error = chat_read_calls(reader, choice, message, events, said);
    return error;
}

/* ---------------------------------------------------------------- chunks */

static int
read_choice(struct chat_reader *reader, struct json value, const struct chat_sources *sources,
            bool has_usage, struct canon_events *events)
{
    static const struct slice names[] = {CHAT_NAME("index"), CHAT_NAME("delta"),
                                         CHAT_NAME("finish_reason"), CHAT_NAME("message"),
                                         CHAT_NAME("logprobs")};
    struct json found[countof(names)];
    chat_take(value, names, countof(names), found);
    uint32_t known = reader->choice_count;
    uint64_t index = json_u64_or(found[0], 0);
    if (index >= CHAT_CHOICES_MAX)
        return -ERR_UPSTREAM_PROTOCOL;
    struct chat_read_choice *choice = chat_find_choice(reader, (uint32_t)index);
    if (!choice)
        return -ERR_MEMORY;
    struct json delta = found[reader->whole && json_type(found[3]) == JSON_OBJECT ? 3 : 1];
    if (json_type(delta) != JSON_OBJECT) {
        /* A whole reply framed as an event; a cumulative message beside a delta is not looked at.
         */
        delta = choice->said_text || choice->said_call ? JSON_NONE : found[3];
        if (json_type(delta) == JSON_OBJECT)
            events->mends |= CANON_MEND_ALL;
    }
    struct chat_message message;
    take_message(delta, &message);
    if (reader->choice_count != known)
        events->mends |= MEND_CHOICE;
    if (reader->choice_count != known && !json_is(message.role, "assistant")) {
        events->flaws |= 1u << FLAW_NO_ROLE;
        events->mends |= json_type(message.role) == JSON_STRING ? CANON_MEND_ALL : MEND_ROLE;
    }
    bool had_text = choice->said_text, had_call = choice->said_call, said = false;
    int error = read_message(reader, choice, &message, found[4], events, &said);
    struct slice word = json_text(found[2]);
    if (!error && word.len > 0 && !choice->finished)
        error = chat_read_sources(reader, sources, choice, events);
    if (slice_present(word) && word.len == 0)
        events->mends |= MEND_DEFER; /* an empty word is none: clients want null */
    if (error || word.len == 0)
        return error;
    /*
     * A finish beside the first payload of its kind may be the accent of a server that puts it on
     * every chunk, so wait for what follows; usage beside it says that nothing does.
     */
    bool is_first = (!had_text && choice->said_text) || (!had_call && choice->said_call);
    bool may_go_on = (is_first || choice->deferred) && !has_usage && !reader->whole;
    return read_finish(reader, choice, word, said, may_go_on, events);
}

/* The members of a chunk, or of a whole reply, that anyone here looks at. */
struct reply {
    struct json choices, id, usage, model, groq, error;
    struct chat_sources sources;
};

static void
take_reply(struct json root, struct reply *out)
{
    static const struct slice names[] = {CHAT_NAME("choices"),   CHAT_NAME("id"),
                                         CHAT_NAME("usage"),     CHAT_NAME("model"),
                                         CHAT_NAME("x_groq"),    CHAT_NAME("error"),
                                         CHAT_NAME("citations"), CHAT_NAME("search_results")};
    struct json found[countof(names)];
    chat_take(root, names, countof(names), found);
    *out = (struct reply){.choices = found[0],
                          .id = found[1],
                          .usage = found[2],
                          .model = found[3],
                          .groq = found[4],
                          .error = found[5],
                          .sources = {.citations = found[6], .results = found[7]}};
}

static int
start(struct chat_reader *reader, struct json model, struct slice id, struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_START);
    if (!event)
        return -ERR_MEMORY;
    event->id = id;
    event->model = json_text(model);
    reader->id = arena_copy(reader->arena, id);
    if (!slice_present(reader->id))
        return -ERR_MEMORY;
    reader->started = true;
    events->mends |= MEND_START;
    return 0;
}

static int
flush_deferred(struct chat_reader *reader, struct canon_events *events)
{
    for (struct chat_read_choice *at = reader->choices; at; at = at->next) {
        if (at->deferred == FINISH_NONE || at->finished)
            continue;
        events->mends |= MEND_LATE_FINISH;
        int error = chat_emit_finish(reader, at, at->deferred, events);
        if (error)
            return error;
    }
    return 0;
}

static struct json
usage_of(const struct reply *reply)
{
    struct json usage = reply->usage;
    if (json_type(usage) != JSON_OBJECT && json_present(reply->groq))
        usage = json_get(reply->groq, "usage");
    if (!json_present(usage))
        usage = json_get(json_first(reply->choices), "usage");
    return usage;
}

static int
read_usage(const struct reply *reply, struct json usage, struct canon_events *events)
{
    enum json_type type = json_type(reply->usage);
    if (type == JSON_NULL)
        events->mends |= MEND_USAGE_NULL;
    if (type == JSON_OBJECT)
        events->mends |= MEND_USAGE;
    struct canon_usage counters;
    if (!chat_read_usage(usage, &counters))
        return 0;
    struct canon_event *event = canon_add(events, CANON_USAGE);
    if (!event)
        return -ERR_MEMORY;
    event->usage = counters;
    return 0;
}

/* Text deltas that would make a line over the limit are written anew, in pieces; other large values
 * stay whole. */
static void
judge_size(struct slice data, struct canon_events *events)
{
    if (data.len <= DIALECT_LINE_MAX)
        return;
    size_t text_len = 0;
    for (int i = 0; i < events->count; i++)
        text_len += events->at[i].text.len;
    if (text_len < data.len / 2)
        return;
    events->flaws |= 1u << FLAW_OVERSIZE_LINE;
    events->mends |= CANON_MEND_ALL;
}

static int
read_chunk(struct chat_reader *reader, const struct reply *reply, struct canon_events *events)
{
    struct json choices = reply->choices, usage = usage_of(reply);
    struct slice id = json_text(reply->id);
    bool has_choices = json_type(choices) == JSON_ARRAY && json_count(choices) > 0;
    bool has_usage = json_type(usage) == JSON_OBJECT;
    int error = 0;
    if (!reader->started && !has_choices && !has_usage) {
        events->mends |= MEND_EARLY;
        return 0;
    }
    if (!reader->started)
        error = start(reader, reply->model, id.len ? id : SLICE_LIT(""), events);
    if (id.len == 0 || !slice_eq(id, reader->id))
        events->mends |= MEND_ID;
    if (has_usage && !has_choices && !error)
        error = flush_deferred(reader, events);
    for (struct json at = json_first(choices); has_choices && json_present(at) && !error;
         at = json_next(at))
        error = read_choice(reader, at, &reply->sources, has_usage, events);
    if (error)
        return error;
    bool says_nothing = !has_choices || (events->mends & MEND_REPEAT && events->count == 0);
    error = read_usage(reply, usage, events);
    if (says_nothing && has_usage)
        events->mends |= MEND_USAGE_ONLY;
    else if (says_nothing && has_choices)
        events->swallow = true;
    return error;
}

static int
finish_all(struct chat_reader *reader, struct canon_events *events)
{
    int error = flush_deferred(reader, events);
    for (struct chat_read_choice *at = reader->choices; at && !error; at = at->next) {
        if (at->finished)
            continue;
        events->flaws |= 1u << FLAW_NO_FINISH;
        events->mends |= MEND_LATE_FINISH;
        error = chat_emit_finish(reader, at, FINISH_STOP, events);
    }
    return error;
}

static int
end(struct chat_reader *reader, struct canon_events *events)
{
    reader->ended = true;
    return canon_add(events, CANON_END) ? 0 : -ERR_MEMORY;
}

static int
read_done(struct chat_reader *reader, struct canon_events *events)
{
    if (!reader->choices) {
        struct canon_error error = canon_error_of(ERR_UPSTREAM_PROTOCOL);
        error.message = SLICE_LIT("the upstream ended its stream without an answer");
        return chat_emit_error(reader, &error, events);
    }
    int error = finish_all(reader, events);
    return error ? error : end(reader, events);
}

static int
read_error_event(struct chat_reader *reader, struct slice data, struct json root,
                 struct canon_events *events)
{
    struct canon_error error;
    if (!chat_error_from_json(root, events->arena, &error)) {
        error = canon_error_of(ERR_UPSTREAM_ERROR);
        if (data.len > 0 && data.len < 1000)
            error.message = data;
    }
    return chat_emit_error(reader, &error, events);
}

static int
read_data(struct chat_reader *reader, struct slice type, struct slice data,
          struct canon_events *events)
{
    struct json root;
    int error = json_parse(data, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, events->arena, &root);
    if (error == -ERR_MEMORY)
        return error;
    if (slice_is(type, "error"))
        return read_error_event(reader, data, root, events);
    if (error || json_type(root) != JSON_OBJECT)
        return -ERR_UPSTREAM_PROTOCOL;
    struct reply reply;
    struct canon_error reported;
    take_reply(root, &reply);
    bool may_report = json_present(reply.error) || !json_present(reply.choices);
    if (may_report && chat_error_from_json(root, events->arena, &reported))
        return chat_emit_error(reader, &reported, events);
    return read_chunk(reader, &reply, events);
}

int
chat_read_event(void *reader, struct slice type, struct slice data, struct canon_events *events)
{
    struct chat_reader *self = reader;
    assert(events->count == 0);
    if (self->ended || self->failed) {
        events->flaws |= 1u << FLAW_AFTER_END;
        events->swallow = true;
        return 0;
    }
    int matched = chat_template_match(self, data, events);
    if (matched)
        return matched < 0 ? matched : 0;
    struct slice text = text_trim(data);
    if (text.len == 0) {
        events->swallow = true;
        return 0;
    }
    self->chunks++;
    if (slice_is(text, "[DONE]"))
        return read_done(self, events);
    int error = read_data(self, type, data, events);
    if (error)
        return error;
    judge_size(data, events);
    if (events->mends & CANON_MEND_ALL)
        events->rewrite = true;
    chat_template_learn(self, data, events);
    return 0;
}

int
chat_read_end(void *reader, struct canon_events *events)
{
    struct chat_reader *self = reader;
    if (self->ended || self->failed)
        return 0;
    int error = flush_deferred(self, events);
    bool finished = self->choices != NULL;
    for (struct chat_read_choice *at = self->choices; at; at = at->next)
        finished = finished && at->finished;
    if (error)
        return error;
    if (!finished) {
        struct canon_error lost = canon_error_of(ERR_DISCONNECTED);
        return chat_emit_error(self, &lost, events);
    }
    events->flaws |= 1u << FLAW_NO_TERMINATOR;
    return end(self, events);
}

int
chat_read_body(void *reader, struct slice body, struct canon_events *events)
{
    struct chat_reader *self = reader;
    struct json root;
    self->whole = true;
    int error = json_parse(body, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, events->arena, &root);
    if (error)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    struct canon_error reported;
    if (chat_error_from_json(root, events->arena, &reported))
        return chat_emit_error(self, &reported, events);
    struct reply reply;
    take_reply(root, &reply);
    if (json_type(reply.choices) != JSON_ARRAY || json_count(reply.choices) == 0)
        return -ERR_UPSTREAM_PROTOCOL;
    error = read_chunk(self, &reply, events);
    if (!error && !self->failed)
        error = finish_all(self, events);
    if (!error && !self->failed)
        error = end(self, events);
    /* A finish word of the vendor's, or a call without an id, may not reach a Chat client either.
     */
    if (events->mends & (CANON_MEND_ALL | MEND_FINISH | MEND_LATE_FINISH))
        events->rewrite = true;
    return error;
}
