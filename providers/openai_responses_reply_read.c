/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_read.c - events of a Responses stream, and whole responses, as canonical
 * events.
 *
 * Nothing is over before the terminal event: a stream without one has failed, whatever it said.
 */
#include "providers/openai_responses.h"

#include "base/text.h"

void
responses_reader_init(void *reader, struct arena *arena)
{
    struct responses_reader *self = reader;
    memset(self, 0, offsetof(struct responses_reader, template));
    self->template.used = 0;
    self->template.room = (struct canon_room){0};
    self->arena = arena;
}

/* ---------------------------------------------------------------- the response object */

static int
add_error(struct responses_reader *reader, const struct canon_error *error,
          struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_ERROR);
    if (!event)
        return -ERR_MEMORY;
    event->error = *error;
    reader->failed = true;
    return 0;
}

/* Whatever comes first begins the reply. */
static int
start(struct responses_reader *reader, struct json response, struct canon_events *events)
{
    if (reader->started)
        return 0;
    reader->started = true;
    struct canon_event *event = canon_add(events, CANON_START);
    if (!event)
        return -ERR_MEMORY;
    struct slice id = json_text(json_get(response, "id"));
    event->id = slice_present(id) ? id : SLICE_LIT("");
    event->model = json_text(json_get(response, "model"));
    return 0;
}

/* Is every item that was told at its place in this output? Else places mean nothing here. */
static bool
fits(const struct responses_reader *reader, struct json output)
{
    uint64_t index = 0;
    uint32_t found = 0;
    for (struct json at = json_first(output); json_present(at); at = json_next(at), index++) {
        enum responses_item_kind kind = responses_item_kind_of(json_text(json_get(at, "type")));
        for (struct responses_read_item *item = reader->items; item; item = item->next)
            found += item->index == index && item->kind == kind;
    }
    return found == reader->item_count && !reader->repeated;
}

/* The output as the response has it in the end: whatever of it was not told before. */
static int
read_output(struct responses_reader *reader, struct json output, struct canon_events *events)
{
    uint64_t index = 0;
    int error = 0;
    if (json_type(output) != JSON_ARRAY || !fits(reader, output))
        return 0;
    for (struct json at = json_first(output); json_present(at) && !error; at = json_next(at))
        error = responses_finish_item(reader, index++, at, events);
    return error;
}

static enum canon_finish
finish_of(const struct responses_reader *reader, struct json response, bool incomplete,
          struct canon_events *events)
{
    struct json reason = json_get(json_get(response, "incomplete_details"), "reason");
    if (!incomplete)
        return reader->call_count > 0 ? FINISH_CALLS : FINISH_STOP;
    if (json_is(reason, "content_filter"))
        return FINISH_FILTER;
    if (!json_is(reason, "max_output_tokens"))
        events->flaws |= 1u << FLAW_UNKNOWN_FINISH;
    return FINISH_LENGTH; /* whatever cut it, it is not whole */
}

static int
fail(struct responses_reader *reader, struct json response, bool cancelled,
     struct canon_events *events)
{
    struct canon_error error;
    if (!responses_error_of(response, events->arena, &error)) {
        error = canon_error_of(ERR_UPSTREAM_ERROR);
        error.kind = cancelled ? KIND_CANCELLED : KIND_UPSTREAM;
        error.message = cancelled ? SLICE_LIT("the upstream cancelled its response")
                                  : SLICE_LIT("the upstream's response failed");
    }
    return add_error(reader, &error, events);
}

/* The response is over. event: the terminal one; its status is believed where it says less good
 * things. */
static int
conclude(struct responses_reader *reader, struct json response, enum responses_event event,
         struct canon_events *events)
{
    struct json status = json_get(response, "status");
    bool cancelled = event == RESPONSES_CANCELLED || json_is(status, "cancelled");
    if (cancelled || event == RESPONSES_FAILED || json_is(status, "failed"))
        return fail(reader, response, cancelled, events);
    bool incomplete = event == RESPONSES_INCOMPLETE || json_is(status, "incomplete");
    int error = read_output(reader, json_get(response, "output"), events);
    if (!error)
        error = responses_close_all(reader, events);
    if (error)
        return error;
    struct canon_usage usage;
    if (responses_read_usage(json_get(response, "usage"), &usage)) {
        struct canon_event *counted = canon_add(events, CANON_USAGE);
        if (!counted)
            return -ERR_MEMORY;
        counted->usage = usage;
    }
    struct canon_event *finish = canon_add(events, CANON_FINISH);
    if (!finish)
        return -ERR_MEMORY;
    finish->finish = finish_of(reader, response, incomplete, events);
    reader->ended = true;
    return canon_add(events, CANON_END) ? 0 : -ERR_MEMORY;
}

/* ---------------------------------------------------------------- one event */

/* Where in the output an event belongs. One without an index means the newest item. */
static uint64_t
place_of(const struct responses_reader *reader, struct json root)
{
    uint64_t newest = reader->items ? reader->items->index : 0;
    return json_u64_or(json_get(root, "output_index"), newest);
}

/* A content or summary part that has a delta or a done. */
static int
read_text(struct responses_reader *reader, struct json root, enum responses_event kind,
          struct slice type, struct slice data, struct canon_events *events)
{
    bool summary = kind == RESPONSES_SUMMARY_DELTA || kind == RESPONSES_SUMMARY_DONE;
    bool thought = summary || kind == RESPONSES_REASONING_DELTA || kind == RESPONSES_REASONING_DONE;
    bool refusal = kind == RESPONSES_REFUSAL_DELTA || kind == RESPONSES_REFUSAL_DONE;
    bool delta = kind == RESPONSES_TEXT_DELTA || kind == RESPONSES_REFUSAL_DELTA ||
                 kind == RESPONSES_SUMMARY_DELTA || kind == RESPONSES_REASONING_DELTA;
    enum canon_block block = thought ? BLOCK_THINKING : refusal ? BLOCK_REFUSAL : BLOCK_TEXT;
    uint64_t index = json_u64_or(json_get(root, summary ? "summary_index" : "content_index"), 0);
    int error = 0;
    struct responses_read_item *item = responses_find_item(
        reader, place_of(reader, root), thought ? RESPONSES_REASONING : RESPONSES_MESSAGE, &error);
    if (!item)
        return error;
    struct responses_read_part *part =
        responses_find_part(reader, item, index, summary, block, &error);
    if (!part)
        return error;
    struct slice text = json_text(json_get(root, delta ? "delta" : refusal ? "refusal" : "text"));
    struct json logprobs = json_get(root, "logprobs");
    if (!delta)
        return responses_read_rest(reader, item, part, text, logprobs, events);
    error = responses_read_delta(reader, item, part, text, logprobs, events);
    if (!error)
        responses_template_learn(reader, type, data, root, item, part, events);
    return error;
}

/* The arguments of a function, the input of a custom tool. */
static int
read_call(struct responses_reader *reader, struct json root, enum responses_event kind,
          struct slice type, struct slice data, struct canon_events *events)
{
    bool custom = kind == RESPONSES_INPUT_DELTA || kind == RESPONSES_INPUT_DONE;
    bool delta = kind == RESPONSES_INPUT_DELTA || kind == RESPONSES_ARGUMENTS_DELTA;
    int error = 0;
    struct responses_read_item *item = responses_find_item(
        reader, place_of(reader, root), custom ? RESPONSES_CUSTOM : RESPONSES_CALL, &error);
    if (!item)
        return error;
    if (!delta)
        return responses_read_rest(reader, item, NULL,
                                   json_text(json_get(root, custom ? "input" : "arguments")),
                                   JSON_NONE, events);
    error = responses_read_delta(reader, item, NULL, json_text(json_get(root, "delta")), JSON_NONE,
                                 events);
    if (!error)
        responses_template_learn(reader, type, data, root, item, NULL, events);
    return error;
}

static int
read_annotation(struct responses_reader *reader, struct json root, struct canon_events *events)
{
    int error = 0;
    struct responses_read_item *item =
        responses_find_item(reader, place_of(reader, root), RESPONSES_MESSAGE, &error);
    if (!item)
        return error;
    struct responses_read_part *part = responses_find_part(
        reader, item, json_u64_or(json_get(root, "content_index"), 0), false, BLOCK_TEXT, &error);
    if (!part)
        return error;
    uint64_t index = json_u64_or(json_get(root, "annotation_index"), part->annotations);
    return responses_read_annotation(part, index, json_get(root, "annotation"), events);
}

static int
read_part(struct responses_reader *reader, struct json root, struct canon_events *events)
{
    struct json value = json_get(root, "part");
    bool summary = json_is(json_get(value, "type"), "summary_text");
    bool thought = summary || json_is(json_get(value, "type"), "reasoning_text");
    int error = 0;
    struct responses_read_item *item = responses_find_item(
        reader, place_of(reader, root), thought ? RESPONSES_REASONING : RESPONSES_MESSAGE, &error);
    if (!item)
        return error;
    uint64_t index = json_u64_or(json_get(root, summary ? "summary_index" : "content_index"), 0);
    return responses_finish_part(reader, item, index, value, events);
}

/* An error in the stream: flat, or an object in the member `error`, or whatever a proxy sends. */
static int
read_error(struct responses_reader *reader, struct slice data, struct json root,
           struct canon_events *events)
{
    struct canon_error error;
    if (!responses_error_of(root, events->arena, &error)) {
        error = canon_error_of(ERR_UPSTREAM_ERROR);
        if (data.len > 0 && data.len < 1000 && !json_present(root))
            error.message = data;
    }
    return add_error(reader, &error, events);
}

static int
read_kind(struct responses_reader *reader, struct json root, enum responses_event kind,
          struct slice type, struct slice data, struct canon_events *events)
{
    struct json response = json_get(root, "response");
    switch (kind) {
    case RESPONSES_ITEM_ADDED:
        return responses_add_item(reader,
                                  json_u64_or(json_get(root, "output_index"), reader->item_count),
                                  json_get(root, "item"), events);
    case RESPONSES_ITEM_DONE:
        return responses_finish_item(reader, place_of(reader, root), json_get(root, "item"),
                                     events);
    case RESPONSES_PART_DONE:
    case RESPONSES_SUMMARY_PART_DONE:
        return read_part(reader, root, events);
    case RESPONSES_TEXT_DELTA:
    case RESPONSES_TEXT_DONE:
    case RESPONSES_REFUSAL_DELTA:
    case RESPONSES_REFUSAL_DONE:
    case RESPONSES_SUMMARY_DELTA:
    case RESPONSES_SUMMARY_DONE:
    case RESPONSES_REASONING_DELTA:
    case RESPONSES_REASONING_DONE:
        return read_text(reader, root, kind, type, data, events);
    case RESPONSES_ARGUMENTS_DELTA:
    case RESPONSES_ARGUMENTS_DONE:
    case RESPONSES_INPUT_DELTA:
    case RESPONSES_INPUT_DONE:
        return read_call(reader, root, kind, type, data, events);
    case RESPONSES_ANNOTATION:
        return read_annotation(reader, root, events);
    case RESPONSES_COMPLETED:
    case RESPONSES_INCOMPLETE:
    case RESPONSES_FAILED:
    case RESPONSES_CANCELLED:
        return conclude(reader, response, kind, events);
    case RESPONSES_ERROR:
    case RESPONSES_UNKNOWN:
    case RESPONSES_CREATED:
    case RESPONSES_PROGRESS:
    case RESPONSES_PART_ADDED:
    case RESPONSES_SUMMARY_PART_ADDED:
    case RESPONSES_HOSTED:
    case RESPONSES_EVENTS:
        return 0;
    }
    return 0;
}

static int
read_data(struct responses_reader *reader, struct slice type, struct slice data,
          struct canon_events *events)
{
    struct json root = JSON_NONE;
    int error = json_parse(data, RESPONSES_EVENT_DEPTH_MAX, RESPONSES_EVENT_TOKENS_MAX,
                           events->arena, &root);
    if (error == -ERR_MEMORY)
        return error;
    struct slice word = json_text(json_get(root, "type"));
    enum responses_event kind = responses_event_of(word);
    bool reports = kind == RESPONSES_ERROR || slice_is(type, "error");
    if (!reports && kind == RESPONSES_UNKNOWN)
        reports = json_type(json_get(root, "error")) == JSON_OBJECT;
    if (reports)
        return read_error(reader, data, root, events);
    if (error || json_type(root) != JSON_OBJECT)
        return -ERR_UPSTREAM_PROTOCOL;
    if (!slice_present(word)) { /* nothing but the event line says what it is */
        word = type;
        kind = responses_event_of(word);
        if (kind != RESPONSES_UNKNOWN) {
            events->mends |= RESPONSES_MEND_TYPE;
            events->type = type;
        }
    }
    if (kind == RESPONSES_UNKNOWN) {
        events->flaws |= 1u << FLAW_UNKNOWN_EVENT;
        events->swallow = !reader->started; /* clients want response.created before all else */
        if (events->swallow)
            return 0;
    }
    if (!slice_eq(type, word))
        events->mends |= RESPONSES_MEND_NAME | (uint32_t)kind << RESPONSES_MEND_KIND;
    if (data.len > DIALECT_LINE_MAX && json_text(json_get(root, "delta")).len > data.len / 2) {
        events->flaws |= 1u << FLAW_OVERSIZE_LINE;
        events->mends |= RESPONSES_MEND_SPLIT;
    }
    error = start(reader, json_get(root, "response"), events);
    return error ? error : read_kind(reader, root, kind, type, data, events);
}

int
responses_read_event(void *reader, struct slice type, struct slice data,
                     struct canon_events *events)
{
    struct responses_reader *self = reader;
    assert(events->count == 0);
    if (self->ended || self->failed) {
        events->flaws |= 1u << FLAW_AFTER_END;
        events->swallow = true;
        return 0;
    }
    int matched = responses_template_match(self, type, data, events);
    if (matched)
        return matched < 0 ? matched : 0;
    struct slice text = text_trim(data);
    if (text.len == 0 || slice_is(text, "[DONE]")) {
        events->swallow = true;
        return 0;
    }
    return read_data(self, type, data, events);
}

int
responses_read_end(void *reader, struct canon_events *events)
{
    struct responses_reader *self = reader;
    if (self->ended || self->failed)
        return 0;
    struct canon_error lost = canon_error_of(ERR_DISCONNECTED);
    return add_error(self, &lost, events);
}

int
responses_read_body(void *reader, struct slice body, struct canon_events *events)
{
    struct responses_reader *self = reader;
    struct json root;
    int error = json_parse(body, RESPONSES_EVENT_DEPTH_MAX, RESPONSES_EVENT_TOKENS_MAX,
                           events->arena, &root);
    if (error)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    struct canon_error reported;
    if (responses_error_of(root, events->arena, &reported))
        return add_error(self, &reported, events);
    struct json status = json_get(root, "status");
    if (json_is(status, "queued") || json_is(status, "in_progress")) {
        reported = canon_error_of(ERR_UNSUPPORTED);
        reported.param = SLICE_LIT("background");
        reported.message = SLICE_LIT("the upstream answers in the background, and its answer "
                                     "cannot be asked for here; leave `background` out");
        return add_error(self, &reported, events);
    }
    if (json_type(json_get(root, "output")) != JSON_ARRAY && !json_is(status, "failed"))
        return -ERR_UPSTREAM_PROTOCOL;
    error = start(self, root, events);
    return error ? error : conclude(self, root, RESPONSES_COMPLETED, events);
}
