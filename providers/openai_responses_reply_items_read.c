/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_items_read.c - the output items of a response and their parts: what of
 * them was told by deltas, and what is still to be told when they are complete.
 *
 * Servers send deltas, or only the whole text, or both: what was told is counted and hashed, and
 * what a whole text has beyond that is told, too. A block of text or thoughts is open one at a
 * time; calls stay open until their item is done.
 */
#include "providers/openai_responses.h"

/* ---------------------------------------------------------------- finding */

static struct responses_read_item *
make_item(struct responses_reader *reader, uint64_t index, enum responses_item_kind kind,
          int *error)
{
    struct responses_read_item *item = NULL;
    if (reader->item_count == RESPONSES_ITEMS_MAX) {
        *error = -ERR_UPSTREAM_PROTOCOL;
        return NULL;
    }
    item = arena_take(reader->arena, sizeof(*item));
    if (!item) {
        *error = -ERR_MEMORY;
        return NULL;
    }
    item->index = index;
    item->kind = kind;
    item->next = reader->items;
    reader->items = item;
    reader->item_count++;
    return item;
}

static struct responses_read_item *
known_item(const struct responses_reader *reader, uint64_t index)
{
    struct responses_read_item *at = reader->items;
    while (at && at->index != index)
        at = at->next;
    return at;
}

struct responses_read_item *
responses_find_item(struct responses_reader *reader, uint64_t index, enum responses_item_kind kind,
                    int *error)
{
    struct responses_read_item *item = known_item(reader, index);
    if (item && item->kind == kind)
        return item;
    if (item)
        reader->repeated = true;
    return make_item(reader, index, kind, error);
}

struct responses_read_part *
responses_find_part(struct responses_reader *reader, struct responses_read_item *item,
                    uint64_t index, bool summary, enum canon_block type, int *error)
{
    for (struct responses_read_part *at = item->parts; at; at = at->next)
        if (at->index == index && at->summary == summary && at->type == type)
            return at;
    struct responses_read_part *part = NULL;
    if (reader->part_count < RESPONSES_PARTS_MAX)
        part = arena_take(reader->arena, sizeof(*part));
    if (!part) {
        *error = reader->part_count < RESPONSES_PARTS_MAX ? -ERR_MEMORY : -ERR_UPSTREAM_PROTOCOL;
        return NULL;
    }
    reader->part_count++;
    part->index = index;
    part->summary = summary;
    part->type = type;
    part->next = item->parts;
    item->parts = part;
    return part;
}

/* ---------------------------------------------------------------- blocks */

int
responses_close_open(struct responses_reader *reader, struct canon_events *events)
{
    if (!reader->open_item)
        return 0;
    struct canon_event *event = canon_add(events, CANON_CLOSE);
    if (!event)
        return -ERR_MEMORY;
    event->type = reader->open_type;
    event->block = reader->open_block;
    reader->open_item = NULL;
    reader->open_part = NULL;
    return 0;
}

static struct canon_event *
add_open(struct responses_reader *reader, enum canon_block type, struct canon_events *events)
{
    if (responses_close_open(reader, events) != 0)
        return NULL;
    struct canon_event *event = canon_add(events, CANON_OPEN);
    if (!event)
        return NULL;
    event->type = type;
    event->block = reader->blocks++;
    return event;
}

static int
open_block(struct responses_reader *reader, struct responses_read_item *item,
           struct responses_read_part *part, enum canon_block type, struct canon_events *events)
{
    if (!add_open(reader, type, events))
        return -ERR_MEMORY;
    reader->open_item = item;
    reader->open_part = part;
    reader->open_type = type;
    reader->open_block = reader->blocks - 1;
    return 0;
}

static int
add_delta(enum canon_block type, uint32_t block, struct slice text, struct canon_logprob *logprobs,
          struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_DELTA);
    if (!event)
        return -ERR_MEMORY;
    event->type = type;
    event->block = block;
    event->text = text;
    event->logprobs = logprobs;
    return 0;
}

static int
close_call(struct responses_read_item *item, struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_CLOSE);
    if (!event)
        return -ERR_MEMORY;
    event->type = BLOCK_CALL;
    event->block = item->block;
    item->done = true;
    return 0;
}

int
responses_close_all(struct responses_reader *reader, struct canon_events *events)
{
    int error = responses_close_open(reader, events);
    for (;;) {
        struct responses_read_item *first = NULL;
        for (struct responses_read_item *at = reader->items; at; at = at->next)
            if (at->opened && !at->done && (!first || at->block < first->block))
                first = at;
        if (error || !first)
            return error;
        error = close_call(first, events);
    }
}

/* ---------------------------------------------------------------- text */

/* A list of tokens, their alternatives too if there may be any; what has no number is none. *error is set without memory. */
static struct canon_logprob *
read_tokens(struct json list, bool nested, struct arena *arena, int *error)
{
    struct canon_logprob *first = NULL, **link = &first;
    for (struct json at = json_first(list); json_present(at) && *error == 0; at = json_next(at)) {
        struct json bytes = json_get(at, "bytes"), number = json_get(at, "logprob"), tops = json_get(at, "top_logprobs");
        if (json_type(number) != JSON_NUMBER)
            continue;
        struct canon_logprob *one = arena_take(arena, sizeof(*one));
        if (!one) {
            *error = -ERR_MEMORY;
            return NULL;
        }
        one->token = json_text(json_get(at, "token"));
        one->logprob = json_raw(number);
        one->bytes = json_type(bytes) == JSON_ARRAY ? json_raw(bytes) : SLICE_NONE;
        if (nested && json_type(tops) == JSON_ARRAY)
            one->top = read_tokens(tops, false, arena, error);
        *link = one;
        link = &one->next;
    }
    return first;
}

static struct canon_logprob *
read_logprobs(struct json list, struct arena *arena, int *error)
{
    return json_type(list) == JSON_ARRAY ? read_tokens(list, true, arena, error) : NULL;
}

/*
 * The thoughts of an item are its summary or its reasoning text: one of them tells what the other
 * sums up, so the first that speaks is told. Parts are joined with a blank line.
 */
static int
read_thought(struct responses_reader *reader, struct responses_read_item *item,
             struct responses_read_part *part, struct slice text, struct canon_events *events)
{
    if (item->speaks && item->speaks_summary != part->summary)
        return 0;
    item->speaks = true;
    item->speaks_summary = part->summary;
    bool same = reader->open_item == item, joins = same && reader->open_part != part;
    int error = same ? 0 : open_block(reader, item, part, BLOCK_THINKING, events);
    if (!error && joins && reader->open_part)
        error = add_delta(BLOCK_THINKING, reader->open_block, SLICE_LIT("\\n\\n"), NULL, events);
    reader->open_part = part;
    return error ? error : add_delta(BLOCK_THINKING, reader->open_block, text, NULL, events);
}

int
responses_read_delta(struct responses_reader *reader, struct responses_read_item *item,
                     struct responses_read_part *part, struct slice text, struct json logprobs,
                     struct canon_events *events)
{
    int error = 0;
    if (text.len == 0 || item->done)
        return 0;
    if (!part) { /* a call that has no name yet says all when it has one */
        if (!item->opened)
            return 0;
        responses_tell(&item->told, text);
        return add_delta(BLOCK_CALL, item->block, text, NULL, events);
    }
    if (part->type == BLOCK_THINKING) {
        error = read_thought(reader, item, part, text, events);
    } else {
        struct canon_logprob *tokens = read_logprobs(logprobs, events->arena, &error);
        if (!error && (reader->open_item != item || reader->open_part != part))
            error = open_block(reader, item, part, part->type, events);
        if (!error)
            error = add_delta(part->type, reader->open_block, text, tokens, events);
    }
    part->block = reader->open_block;
    responses_tell(&part->told, text);
    return error;
}

int
responses_read_rest(struct responses_reader *reader, struct responses_read_item *item,
                    struct responses_read_part *part, struct slice whole, struct json logprobs,
                    struct canon_events *events)
{
    const struct responses_told *told = part ? &part->told : &item->told;
    if (told->units == 0)
        return responses_read_delta(reader, item, part, whole, logprobs, events);
    return responses_read_delta(reader, item, part, responses_untold(told, whole), JSON_NONE,
                                events);
}

/* ---------------------------------------------------------------- annotations */

int
responses_read_annotation(struct responses_read_part *part, uint64_t index, struct json value,
                          struct canon_events *events)
{
    /* One that comes before any text is told when its part is complete. */
    if (json_type(value) != JSON_OBJECT || index != part->annotations || part->told.units == 0 ||
        part->type != BLOCK_TEXT)
        return 0;
    struct canon_event *event = canon_add(events, CANON_CITATION);
    struct canon_citation *citation = arena_take(events->arena, sizeof(*citation));
    if (!event || !citation)
        return -ERR_MEMORY;
    bool web = json_is(json_get(value, "type"), "url_citation");
    int64_t start = -1, end = -1;
    if (!web || !json_i64(json_get(value, "start_index"), &start) ||
        !json_i64(json_get(value, "end_index"), &end) || start < 0 || end < start)
        start = end = -1;
    *citation = (struct canon_citation){
        .url = web ? json_text(json_get(value, "url")) : SLICE_NONE,
        .title = json_text(json_get(value, web ? "title" : "filename")),
        .start = start,
        .end = end,
        .native = json_raw(value),
        .origin = ORIGIN_RESPONSES,
    };
    event->type = BLOCK_TEXT;
    event->block = part->block;
    event->citation = citation;
    part->annotations++;
    return 0;
}

int
responses_finish_part(struct responses_reader *reader, struct responses_read_item *item,
                      uint64_t index, struct json value, struct canon_events *events)
{
    struct json type = json_get(value, "type");
    bool refusal = json_is(type, "refusal"), summary = json_is(type, "summary_text");
    bool thought = summary || json_is(type, "reasoning_text");
    if (!refusal && !thought && !json_is(type, "output_text") && !json_is(type, "text"))
        return 0;
    int error = 0;
    struct responses_read_part *part = responses_find_part(reader, item, index, summary,
                                                           thought   ? BLOCK_THINKING
                                                           : refusal ? BLOCK_REFUSAL
                                                                     : BLOCK_TEXT,
                                                           &error);
    if (!part)
        return error;
    error = responses_read_rest(reader, item, part,
                                json_text(json_get(value, refusal ? "refusal" : "text")),
                                json_get(value, "logprobs"), events);
    uint64_t number = 0;
    for (struct json at = json_first(json_get(value, "annotations")); json_present(at) && !error;
         at = json_next(at))
        error = responses_read_annotation(part, number++, at, events);
    return error;
}

/* ---------------------------------------------------------------- items */

/* A call opens as soon as it has a name; at the latest when it is complete, whatever the guard then
 * says of it. */
static int
open_call(struct responses_reader *reader, struct responses_read_item *item, struct json value,
          bool complete, struct canon_events *events)
{
    struct slice name = json_text(json_get(value, "name"));
    struct slice id = json_text(json_get(value, "call_id"));
    if (item->opened || (name.len == 0 && !complete))
        return 0;
    if (id.len == 0)
        id = json_text(json_get(value, "id"));
    if (id.len == 0)
        id = arena_printf(events->arena, "call_%u", (unsigned)reader->call_count);
    struct canon_event *event = add_open(reader, BLOCK_CALL, events);
    if (!event || !slice_present(id))
        return -ERR_MEMORY;
    event->id = id;
    event->name = name;
    event->custom = item->kind == RESPONSES_CUSTOM;
    item->opened = true;
    item->block = event->block;
    reader->call_count++;
    return 0;
}

static int
finish_call(struct responses_reader *reader, struct responses_read_item *item, struct json value,
            struct canon_events *events)
{
    bool custom = item->kind == RESPONSES_CUSTOM;
    int error = open_call(reader, item, value, true, events);
    if (error)
        return error;
    error = responses_read_rest(reader, item, NULL,
                                json_text(json_get(value, custom ? "input" : "arguments")),
                                JSON_NONE, events);
    return error ? error : close_call(item, events);
}

static int
finish_message(struct responses_reader *reader, struct responses_read_item *item, struct json value,
               struct canon_events *events)
{
    uint64_t index = 0;
    int error = 0;
    for (struct json at = json_first(json_get(value, "content")); json_present(at) && !error;
         at = json_next(at))
        error = responses_finish_part(reader, item, index++, at, events);
    if (!error && reader->open_item == item)
        error = responses_close_open(reader, events);
    item->done = true;
    return error;
}

/* The state is whole only now; it may come without any text, and is kept all the same. */
static int
finish_reasoning(struct responses_reader *reader, struct responses_read_item *item,
                 struct json value, struct canon_events *events)
{
    static const char *const lists[] = {"summary", "content"};
    struct slice state = json_text(json_get(value, "encrypted_content"));
    int error = 0;
    for (size_t i = 0; i < countof(lists); i++) {
        uint64_t index = 0;
        for (struct json at = json_first(json_get(value, lists[i])); json_present(at) && !error;
             at = json_next(at))
            error = responses_finish_part(reader, item, index++, at, events);
    }
    if (!error && state.len > 0 && reader->open_item != item)
        error = open_block(reader, item, NULL, BLOCK_THINKING, events);
    if (!error && state.len > 0) {
        error = add_delta(BLOCK_THINKING, reader->open_block, SLICE_NONE, NULL, events);
        if (!error) {
            events->at[events->count - 1].signature = state;
            events->at[events->count - 1].origin = ORIGIN_RESPONSES;
        }
    }
    if (!error && reader->open_item == item)
        error = responses_close_open(reader, events);
    item->done = true;
    return error;
}

static struct slice
media_type_of(struct json value)
{
    struct json format = json_get(value, "output_format");
    if (json_is(format, "jpeg") || json_is(format, "jpg"))
        return SLICE_LIT("image/jpeg");
    return json_is(format, "webp") ? SLICE_LIT("image/webp") : SLICE_LIT("image/png");
}

static int
add_native(struct json value, struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_NATIVE);
    if (!event)
        return -ERR_MEMORY;
    event->name = json_text(json_get(value, "type"));
    event->native = json_raw(value);
    event->origin = ORIGIN_RESPONSES;
    return 0;
}

static int
finish_image(struct responses_reader *reader, struct responses_read_item *item, struct json value,
             struct canon_events *events)
{
    struct slice data = json_text(json_get(value, "result"));
    item->done = true;
    if (data.len == 0)
        return add_native(value, events);
    struct canon_event *event = add_open(reader, BLOCK_IMAGE, events);
    if (!event)
        return -ERR_MEMORY;
    event->name = media_type_of(value);
    uint32_t block = event->block;
    event = canon_add(events, CANON_DELTA);
    if (!event)
        return -ERR_MEMORY;
    event->type = BLOCK_IMAGE;
    event->block = block;
    event->data = data;
    event = canon_add(events, CANON_CLOSE);
    if (!event)
        return -ERR_MEMORY;
    event->type = BLOCK_IMAGE;
    event->block = block;
    return 0;
}

int
responses_add_item(struct responses_reader *reader, uint64_t index, struct json value,
                   struct canon_events *events)
{
    enum responses_item_kind kind = responses_item_kind_of(json_text(json_get(value, "type")));
    struct responses_read_item *item = known_item(reader, index);
    int error = 0;
    if (item && (item->done || item->opened || item->kind != kind)) {
        reader->repeated = true;
        item = NULL;
    }
    if (!item)
        item = make_item(reader, index, kind, &error);
    if (!item)
        return error;
    if (kind == RESPONSES_CALL || kind == RESPONSES_CUSTOM)
        return open_call(reader, item, value, false, events);
    return 0;
}

int
responses_finish_item(struct responses_reader *reader, uint64_t index, struct json value,
                      struct canon_events *events)
{
    int error = 0;
    if (json_type(value) != JSON_OBJECT)
        return 0;
    enum responses_item_kind kind = responses_item_kind_of(json_text(json_get(value, "type")));
    struct responses_read_item *item = responses_find_item(reader, index, kind, &error);
    if (!item || item->done)
        return error;
    switch (kind) {
    case RESPONSES_MESSAGE:
        return finish_message(reader, item, value, events);
    case RESPONSES_REASONING:
        return finish_reasoning(reader, item, value, events);
    case RESPONSES_CALL:
    case RESPONSES_CUSTOM:
        return finish_call(reader, item, value, events);
    case RESPONSES_IMAGE:
        return finish_image(reader, item, value, events);
    case RESPONSES_NATIVE:
        item->done = true;
        return add_native(value, events);
    }
    return 0;
}
