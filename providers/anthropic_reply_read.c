/* SPDX-License-Identifier: MIT
 *
 * anthropic_reply_read.c - Messages stream events and whole messages as canonical events.
 *
 * The wire allows one open block at a time with dense indexes. What compatible servers get wrong is
 * repaired where the meaning is plain (a stop that was forgotten, a start that was, indexes with
 * holes) and flagged, so that the event is written anew for a client of the same dialect; what is
 * not plain is ERR_UPSTREAM_PROTOCOL.
 */
#include "providers/anthropic.h"

#include "base/text.h"

static int
add(struct canon_events *events, enum canon_event_kind kind, struct canon_event **out)
{
    *out = canon_add(events, kind);
    return *out ? 0 : -ERR_MEMORY;
}

static int
add_for_block(struct canon_events *events, enum canon_event_kind kind,
              const struct anthropic_reader *reader, struct canon_event **out)
{
    assert(reader->blocks > 0);
    int error = add(events, kind, out);
    if (error == 0) {
        (*out)->type = reader->type;
        (*out)->block = reader->blocks - 1;
    }
    return error;
}

static void
flaw(struct canon_events *events, enum canon_flaw which)
{
    events->flaws |= 1u << which;
}

void
anthropic_reader_init(void *reader, struct arena *arena)
{
    struct anthropic_reader *self = reader;
    *self = (struct anthropic_reader){
        .arena = arena, .index = -1, .usage = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    sink_init(&self->input, ANTHROPIC_INPUT_MAX);
    sink_init(&self->citations, ANTHROPIC_CITATIONS_MAX);
}

void
anthropic_reader_fini(void *reader)
{
    struct anthropic_reader *self = reader;
    sink_fini(&self->input);
    sink_fini(&self->citations);
}

/* A reply that does not begin with message_start begins here, and says so. */
static int
ensure_started(struct anthropic_reader *reader, struct canon_events *events)
{
    if (reader->started)
        return 0;
    struct canon_event *event;
    int error = add(events, CANON_START, &event);
    reader->started = true;
    events->rewrite = true;
    flaw(events, FLAW_BLOCK_ORDER);
    return error;
}

static int
read_message_start(struct anthropic_reader *reader, struct json root, struct canon_events *events)
{
    struct json message = json_get(root, "message");
    if (reader->started) {
        flaw(events, FLAW_REPEATED_START);
        events->swallow = true;
        return reader->blocks == 0 && !reader->finished
                   ? anthropic_read_usage(&reader->usage, json_get(message, "usage"), events)
                   : -ERR_UPSTREAM_PROTOCOL;
    }
    if (json_type(message) != JSON_OBJECT)
        return -ERR_UPSTREAM_PROTOCOL;
    struct canon_event *event;
    int error = add(events, CANON_START, &event);
    if (error != 0)
        return error;
    event->id = json_text(json_get(message, "id"));
    event->model = json_text(json_get(message, "model"));
    reader->started = true;
    return anthropic_read_usage(&reader->usage, json_get(message, "usage"), events);
}

static int
add_text(struct anthropic_reader *reader, struct slice text, struct canon_events *events)
{
    struct canon_event *event;
    if (text.len == 0)
        return 0;
    int error = add_for_block(events, CANON_DELTA, reader, &event);
    if (error == 0)
        event->text = text;
    reader->text_seen = true;
    return error;
}

static int
add_signature(struct anthropic_reader *reader, struct slice signature, struct canon_events *events)
{
    struct canon_event *event;
    if (signature.len == 0)
        return 0;
    int error = add_for_block(events, CANON_DELTA, reader, &event);
    if (error != 0)
        return error;
    event->signature = signature;
    event->origin = ORIGIN_ANTHROPIC;
    reader->is_signed = true;
    return 0;
}

static int
close_block(struct anthropic_reader *reader, struct canon_events *events)
{
    struct canon_event *event;
    if ((reader->type == BLOCK_CALL || reader->answer) && !reader->text_seen &&
        reader->input.len > 0) {
        struct slice input = reader->input.error ? SLICE_NONE : arena_copy(events->arena, sink_slice(&reader->input));
        if (!slice_present(input))
            return -ERR_MEMORY;
        int error = add_text(reader, input, events);
        if (error != 0)
            return error;
    }
    int released = anthropic_release_citations(&reader->citations, reader->blocks - 1, events);
    if (released != 0)
        return released;
    reader->open = reader->held = reader->answer = false;
    return add_for_block(events, CANON_CLOSE, reader, &event);
}

/* What comes next cannot stand inside a block: close the one that is open. */
static int
leave_block(struct anthropic_reader *reader, struct canon_events *events)
{
    if (!reader->open)
        return 0;
    if (!reader->held)
        flaw(events, FLAW_BLOCK_ORDER);
    events->rewrite = true;
    return close_block(reader, events);
}

static int
enter_block(struct anthropic_reader *reader, enum canon_block type, int64_t index,
            struct canon_events *events, struct canon_event **out)
{
    int error = ensure_started(reader, events);
    if (error == 0)
        error = leave_block(reader, events);
    if (error != 0)
        return error;
    if (index != (int64_t)reader->blocks) {
        flaw(events, FLAW_BLOCK_ORDER);
        events->rewrite = true;
    }
    reader->open = true;
    reader->is_signed = reader->text_seen = false;
    reader->type = type;
    reader->index = index;
    reader->blocks++;
    sink_reset(&reader->input, 4096);
    return add_for_block(events, CANON_OPEN, reader, out);
}

/* The kind of a block. The call that stands for the answer (see ANTHROPIC_ANSWER_TOOL) is text. */
static enum canon_block
kind_of_block(struct json block, bool *answer)
{
    enum canon_block type = anthropic_block_of(json_text(json_get(block, "type")));
    *answer = type == BLOCK_CALL && json_is(json_get(block, "name"), ANTHROPIC_ANSWER_TOOL);
    return *answer ? BLOCK_TEXT : type;
}

static void
note_call(struct anthropic_reader *reader, bool answer)
{
    reader->answer = answer;
    reader->answered |= answer;
    reader->called |= reader->type == BLOCK_CALL;
}

/* Some servers put the whole input into the start of the block; the wire's own has {} there, and
 * fragments. */
static int
keep_input(struct anthropic_reader *reader, struct json input)
{
    if (json_count(input) > 0)
        json_escape(&reader->input, json_raw(input));
    return reader->input.error != 0 ? -ERR_UPSTREAM_TOO_LARGE : 0;
}

static int
read_block_start(struct anthropic_reader *reader, struct json root, struct canon_events *events)
{
    struct json block = json_get(root, "content_block");
    if (json_type(block) != JSON_OBJECT || reader->finished)
        return -ERR_UPSTREAM_PROTOCOL;
    int64_t index;
    if (!json_i64(json_get(root, "index"), &index))
        index = reader->blocks;
    struct slice word = json_text(json_get(block, "type"));
    struct canon_event *event;
    bool answer;
    enum canon_block type = kind_of_block(block, &answer);
    int error = enter_block(reader, type, index, events, &event);
    if (error != 0)
        return error;
    note_call(reader, answer);
    if (answer)
        return keep_input(reader, json_get(block, "input"));
    switch (reader->type) {
    case BLOCK_TEXT:
        error = add_text(reader, json_text(json_get(block, "text")), events);
        return error != 0 ? error
                          : anthropic_add_citations(json_get(block, "citations"),
                                                    reader->blocks - 1, events);
    case BLOCK_THINKING:
        error = add_text(reader, json_text(json_get(block, "thinking")), events);
        return error != 0 ? error
                          : add_signature(reader, json_text(json_get(block, "signature")), events);
    case BLOCK_REDACTED:
        event->data = json_text(json_get(block, "data"));
        event->origin = ORIGIN_ANTHROPIC;
        return 0;
    case BLOCK_CALL:
        event->id = json_text(json_get(block, "id"));
        event->name = json_text(json_get(block, "name"));
        return keep_input(reader, json_get(block, "input"));
    case BLOCK_IMAGE:
    case BLOCK_NATIVE:
    case BLOCK_REFUSAL:
        event->id = json_text(json_get(block, "id"));
        event->name = word;
        event->native = json_raw(block);
        event->origin = ORIGIN_ANTHROPIC;
        return 0;
    }
    return 0;
}

static int
add_native(struct canon_events *events, struct slice word, struct json value,
           const struct anthropic_reader *reader)
{
    struct canon_event *event;
    int error = reader->open ? add_for_block(events, CANON_NATIVE, reader, &event)
                             : add(events, CANON_NATIVE, &event);
    if (error != 0)
        return error;
    event->name = word;
    event->native = json_raw(value);
    event->origin = ORIGIN_ANTHROPIC;
    return 0;
}

/* A delta for a block that was never started starts it, if it can only mean one thing. */
static int
find_block(struct anthropic_reader *reader, struct json root, struct slice word,
           struct canon_events *events)
{
    int64_t index;
    bool given = json_i64(json_get(root, "index"), &index);
    if (reader->open && (!given || index == reader->index))
        return 0;
    if (given && index <= reader->index)
        return -ERR_UPSTREAM_PROTOCOL;
    bool text = slice_is(word, "text_delta"), thinking = slice_is(word, "thinking_delta");
    if (!text && !thinking)
        return -ERR_UPSTREAM_PROTOCOL;
    struct canon_event *event;
    events->rewrite = true;
    flaw(events, FLAW_BLOCK_ORDER);
    return enter_block(reader, text ? BLOCK_TEXT : BLOCK_THINKING, given ? index : reader->blocks,
                       events, &event);
}

static int
read_block_delta(struct anthropic_reader *reader, struct json root, struct canon_events *events)
{
    struct json delta = json_get(root, "delta");
    struct slice word = json_text(json_get(delta, "type"));
    if (json_type(delta) != JSON_OBJECT || reader->finished)
        return -ERR_UPSTREAM_PROTOCOL;
    int error = find_block(reader, root, word, events);
    if (error != 0)
        return error;
    if (reader->index != (int64_t)reader->blocks - 1)
        events->rewrite = true;
    bool text = slice_is(word, "text_delta"), thinking = slice_is(word, "thinking_delta");
    bool input = slice_is(word, "input_json_delta"), signature = slice_is(word, "signature_delta");
    if (reader->held && !signature)
        return -ERR_UPSTREAM_PROTOCOL;
    if (reader->type == BLOCK_NATIVE)
        return add_native(events, word, delta, reader);
    if (text && reader->type == BLOCK_TEXT)
        return add_text(reader, json_text(json_get(delta, "text")), events);
    if (thinking && reader->type == BLOCK_THINKING)
        return add_text(reader, json_text(json_get(delta, "thinking")), events);
    if (signature && reader->type == BLOCK_THINKING)
        return add_signature(reader, json_text(json_get(delta, "signature")), events);
    if (input && (reader->type == BLOCK_CALL || reader->answer))
        return add_text(reader, json_text(json_get(delta, "partial_json")), events);
    if (text || thinking || signature || input)
        return -ERR_UPSTREAM_PROTOCOL;
    if (slice_is(word, "citations_delta") && reader->type == BLOCK_TEXT)
        return anthropic_hold_citation(json_get(delta, "citation"), &reader->citations);
    flaw(events, FLAW_UNKNOWN_EVENT);
    return add_native(events, word, delta, reader);
}

static int
read_block_stop(struct anthropic_reader *reader, struct json root, struct canon_events *events)
{
    int64_t index;
    bool other = json_i64(json_get(root, "index"), &index) && index != reader->index;
    if (!reader->open || reader->held || other) {
        flaw(events, FLAW_BLOCK_ORDER);
        events->swallow = true;
        return other && reader->open ? -ERR_UPSTREAM_PROTOCOL : 0;
    }
    if (reader->type == BLOCK_THINKING && !reader->is_signed) {
        reader->held = true;
        events->swallow = true;
        return 0;
    }
    if (reader->index != (int64_t)reader->blocks - 1)
        events->rewrite = true;
    return close_block(reader, events);
}

static int
read_finish(struct anthropic_reader *reader, struct json delta, struct canon_events *events)
{
    struct slice word = json_text(json_get(delta, "stop_reason"));
    if (!slice_present(word))
        return 0;
    if (reader->finished) {
        flaw(events, FLAW_REPEATED_FINISH);
        return 0;
    }
    struct canon_event *event;
    int error = add(events, CANON_FINISH, &event);
    if (error != 0)
        return error;
    if (!anthropic_finish_known(word))
        flaw(events, FLAW_UNKNOWN_FINISH);
    event->finish = anthropic_finish_of(word);
    if (event->finish == FINISH_CALLS && reader->answered && !reader->called)
        event->finish = FINISH_STOP;
    event->stop_sequence = json_text(json_get(delta, "stop_sequence"));
    reader->finished = true;
    /* Why Claude refused has no words elsewhere: it counts as unsaid there. */
    struct json details = json_get(delta, "stop_details");
    return json_type(details) == JSON_OBJECT
               ? add_native(events, SLICE_LIT("stop_details"), details, reader)
               : 0;
}

static int
read_message_delta(struct anthropic_reader *reader, struct json root, struct canon_events *events)
{
    int error = ensure_started(reader, events);
    if (error == 0)
        error = leave_block(reader, events);
    if (error == 0)
        error = anthropic_read_usage(&reader->usage, json_get(root, "usage"), events);
    return error != 0 ? error : read_finish(reader, json_get(root, "delta"), events);
}

static int
add_end(struct anthropic_reader *reader, struct canon_events *events)
{
    struct canon_event *event;
    reader->ended = true;
    return add(events, CANON_END, &event);
}

static int
read_message_stop(struct anthropic_reader *reader, struct canon_events *events)
{
    int error = ensure_started(reader, events);
    if (error == 0)
        error = leave_block(reader, events);
    if (error != 0)
        return error;
    if (!reader->finished) {
        struct canon_event *event;
        error = add(events, CANON_FINISH, &event);
        if (error != 0)
            return error;
        event->finish = FINISH_STOP;
        reader->finished = true;
        events->rewrite = true;
        flaw(events, FLAW_NO_FINISH);
    }
    return add_end(reader, events);
}

static int
read_in_band_error(struct anthropic_reader *reader, struct json root, struct canon_events *events)
{
    reader->ended = true;
    return anthropic_add_error(events, root);
}

static int
parse_error(int error)
{
    return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
}

/* The event's kind: data.type wins over the event: line, except that an error line is an error. */
static enum anthropic_event
kind_of(struct slice type, struct json root, struct canon_events *events)
{
    struct slice word = json_text(json_get(root, "type"));
    if (slice_is(type, "error")) {
        events->mends |= EVENT_ERROR;
        return EVENT_ERROR;
    }
    if (!slice_present(word) && json_present(json_get(root, "error")))
        word = SLICE_LIT("error");
    enum anthropic_event kind = anthropic_event_of(slice_present(word) ? word : type);
    if (kind != EVENT_UNKNOWN &&
        !(slice_present(word) && slice_is(type, anthropic_event_name(kind))))
        events->rewrite = true;
    events->mends |= kind;
    return kind;
}

int
anthropic_read_event(void *reader, struct slice type, struct slice data,
                     struct canon_events *events)
{
    struct anthropic_reader *self = reader;
    int fast = self->ended ? 0 : anthropic_read_fast(self, type, data, events);
    if (fast != 0)
        return fast < 0 ? fast : 0;
    if (self->ended || slice_is(text_trim(data), "[DONE]")) {
        flaw(events, self->ended ? FLAW_AFTER_END : FLAW_UNKNOWN_EVENT);
        events->swallow = true;
        return 0;
    }
    struct json root;
    int error =
        json_parse(data, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX, events->arena, &root);
    if (error != 0)
        return parse_error(error);
    enum anthropic_event kind = kind_of(type, root, events);
    if (json_type(root) != JSON_OBJECT && kind != EVENT_ERROR)
        return -ERR_UPSTREAM_PROTOCOL;
    switch (kind) {
    case EVENT_MESSAGE_START:
        return read_message_start(self, root, events);
    case EVENT_BLOCK_START:
        return read_block_start(self, root, events);
    case EVENT_BLOCK_DELTA:
        return read_block_delta(self, root, events);
    case EVENT_BLOCK_STOP:
        return read_block_stop(self, root, events);
    case EVENT_MESSAGE_DELTA:
        return read_message_delta(self, root, events);
    case EVENT_MESSAGE_STOP:
        return read_message_stop(self, events);
    case EVENT_ERROR:
        return read_in_band_error(self, root, events);
    case EVENT_PING:
        return 0;
    case EVENT_VERTEX:
        events->swallow = true;
        return 0;
    case EVENT_UNKNOWN:
    case EVENT_COUNT:
        break;
    }
    flaw(events, FLAW_UNKNOWN_EVENT);
    return add_native(events, json_text(json_get(root, "type")), root, self);
}

static int
read_whole_block(struct anthropic_reader *reader, struct json block, struct canon_events *events)
{
    struct slice word = json_text(json_get(block, "type"));
    struct canon_event *event;
    bool answer;
    enum canon_block type = kind_of_block(block, &answer);
    int error = enter_block(reader, type, reader->blocks, events, &event);
    if (error != 0)
        return error;
    note_call(reader, answer);
    if (answer) {
        error = keep_input(reader, json_get(block, "input"));
        return error != 0 ? error : close_block(reader, events);
    }
    event->id = json_text(json_get(block, "id"));
    switch (reader->type) {
    case BLOCK_TEXT:
        error = add_text(reader, json_text(json_get(block, "text")), events);
        if (error == 0)
            error =
                anthropic_add_citations(json_get(block, "citations"), reader->blocks - 1, events);
        break;
    case BLOCK_THINKING:
        error = add_text(reader, json_text(json_get(block, "thinking")), events);
        if (error == 0)
            error = add_signature(reader, json_text(json_get(block, "signature")), events);
        break;
    case BLOCK_REDACTED:
        event->data = json_text(json_get(block, "data"));
        event->origin = ORIGIN_ANTHROPIC;
        break;
    case BLOCK_CALL:
        event->name = json_text(json_get(block, "name"));
        error = json_type(json_get(block, "input")) == JSON_OBJECT
                    ? keep_input(reader, json_get(block, "input"))
                    : -ERR_UPSTREAM_PROTOCOL;
        break;
    case BLOCK_IMAGE:
    case BLOCK_NATIVE:
    case BLOCK_REFUSAL:
        event->name = word;
        event->native = json_raw(block);
        event->origin = ORIGIN_ANTHROPIC;
        break;
    }
    return error != 0 ? error : close_block(reader, events);
}

static int
read_content(struct anthropic_reader *reader, struct json content, struct canon_events *events)
{
    if (json_type(content) != JSON_ARRAY)
        return -ERR_UPSTREAM_PROTOCOL;
    for (struct json block = json_first(content); json_present(block); block = json_next(block)) {
        int error = json_type(block) == JSON_OBJECT ? read_whole_block(reader, block, events)
                                                    : -ERR_UPSTREAM_PROTOCOL;
        if (error != 0)
            return error;
    }
    return 0;
}

int
anthropic_read_body(void *reader, struct slice body, struct canon_events *events)
{
    struct anthropic_reader *self = reader;
    struct json root;
    int error =
        json_parse(body, ANTHROPIC_DEPTH_MAX, ANTHROPIC_BODY_TOKENS_MAX, events->arena, &root);
    if (error != 0)
        return parse_error(error);
    bool failed =
        json_is(json_get(root, "type"), "error") || !json_present(json_get(root, "content"));
    if (failed && json_present(json_get(root, "error")))
        return read_in_band_error(self, root, events);
    struct canon_event *event;
    error =
        json_type(root) == JSON_OBJECT ? add(events, CANON_START, &event) : -ERR_UPSTREAM_PROTOCOL;
    if (error != 0)
        return error;
    event->id = json_text(json_get(root, "id"));
    event->model = json_text(json_get(root, "model"));
    self->started = true;
    error = read_content(self, json_get(root, "content"), events);
    if (error == 0)
        error = anthropic_read_usage(&self->usage, json_get(root, "usage"), events);
    if (error == 0)
        error = read_finish(self, root, events);
    return error != 0 ? error : read_message_stop(self, events);
}

int
anthropic_read_end(void *reader, struct canon_events *events)
{
    struct anthropic_reader *self = reader;
    if (self->ended)
        return 0;
    if (self->finished) {
        flaw(events, FLAW_NO_TERMINATOR);
        return add_end(self, events);
    }
    struct canon_event *event;
    int error = add(events, CANON_ERROR, &event);
    if (error == 0)
        event->error = canon_error_of(ERR_DISCONNECTED);
    self->ended = true;
    return error;
}
