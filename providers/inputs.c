/* SPDX-License-Identifier: MIT
 *
 * inputs.c - inputs of tool calls cleaned up; see inputs.h.
 *
 * Blocks are numbered anew, since those of dropped calls are missing. The guard, which comes behind, corrects the reason that the
 * reply gives for its end when no call is left of it.
 */
#include "providers/inputs.h"

#include "providers/shape.h"

#define INPUT_DEPTH_MAX 128
#define INPUT_TOKENS_MAX 200000

struct canon_input_block {
    struct canon_input_block *next;
    uint32_t from, to;
    bool dropped, holds; /* holds: its pieces are kept back */
    struct canon_event like;
    struct sink held;    /* escaped */
};

struct work {
    struct canon_inputs *filter;
    struct canon_events out;
    bool changed;
};

bool
canon_inputs_any(const struct canon_input_rules *rules)
{
    return rules->drop_empty || slice_present(rules->exclusive) || slice_present(rules->drop_calls);
}

void
canon_inputs_init(struct canon_inputs *filter, const struct canon_input_rules *rules, struct arena *arena)
{
    *filter = (struct canon_inputs){.rules = rules, .arena = arena};
}

void
canon_inputs_fini(struct canon_inputs *filter)
{
    for (struct canon_input_block *block = filter->open; block; block = block->next)
        sink_fini(&block->held);
    for (struct canon_input_block *block = filter->spare; block; block = block->next)
        sink_fini(&block->held);
    filter->open = filter->spare = NULL;
}

/* ---------------------------------------------------------------- one input */

/* Is the member excluded by one that its rule names before it? */
static bool
is_excluded(struct json rules, struct json input, struct json member, bool drop_empty)
{
    for (struct json rule = json_first(rules); json_present(rule); rule = json_next(rule)) {
        bool earlier = false;
        for (struct json name = json_type(rule) == JSON_ARRAY ? json_first(rule) : JSON_NONE; json_present(name); name = json_next(name)) {
            for (struct json at = json_first(input); json_present(at) && json_type(name) == JSON_STRING; at = json_next(at)) {
                if (!slice_eq(json_key(at), json_text(name)))
                    continue;
                if (at.at == member.at && earlier)
                    return true;
                earlier = earlier || !(drop_empty && json_type(at) == JSON_ARRAY && json_count(at) == 0);
            }
        }
    }
    return false;
}

/* The input (escaped) as it shall be: itself when nothing is wrong with it, or when it is no object. Absent without memory. */
static struct slice
cleaned(const struct canon_input_rules *rules, struct slice held, struct arena *arena)
{
    struct json input, exclusive = JSON_NONE;
    struct slice text = json_unescape(held, arena);
    struct json_writer json;
    struct sink sink;
    bool changed = false;
    if (!slice_present(text))
        return SLICE_NONE;
    if (json_parse(text, INPUT_DEPTH_MAX, INPUT_TOKENS_MAX, arena, &input) != 0 || json_type(input) != JSON_OBJECT)
        return held;
    if (slice_present(rules->exclusive) && json_parse(rules->exclusive, 4, 10000, arena, &exclusive) != 0)
        exclusive = JSON_NONE;
    sink_init(&sink, INPUTS_BYTES_MAX * 2);
    json_writer_init(&json, &sink);
    json_object(&json);
    for (struct json at = json_first(input); json_present(at); at = json_next(at)) {
        bool goes = (rules->drop_empty && json_type(at) == JSON_ARRAY && json_count(at) == 0) || is_excluded(exclusive, input, at, rules->drop_empty);
        changed = changed || goes;
        if (goes)
            continue;
        json_name_slice(&json, json_unescape(json_key(at), arena));
        json_put_raw(&json, json_raw(at));
    }
    json_end(&json);
    struct slice out = changed ? canon_escape(sink_slice(&sink), arena) : held;
    if (changed && slice_present(out))
        out = arena_copy(arena, out); /* what needs no escape still lies in the sink */
    if (sink.error)
        out = SLICE_NONE;
    sink_fini(&sink);
    return out;
}

/* ---------------------------------------------------------------- events */

static int
put(struct work *work, const struct canon_event *event, uint32_t block)
{
    struct canon_event *copy = canon_add(&work->out, event->kind);
    if (!copy)
        return -ERR_MEMORY;
    *copy = *event;
    copy->block = block;
    return 0;
}

static int
put_held(struct work *work, struct canon_input_block *block, bool clean)
{
    struct slice text = block->held.error ? SLICE_NONE : arena_copy(work->out.arena, sink_slice(&block->held));
    if (slice_present(text) && clean)
        text = cleaned(work->filter->rules, text, work->out.arena);
    block->holds = false;
    sink_reset(&block->held, 4096);
    if (!slice_present(text))
        return -ERR_MEMORY;
    if (text.len == 0)
        return 0;
    struct canon_event event = {.kind = CANON_DELTA, .type = BLOCK_CALL, .choice = block->like.choice, .text = text, .usage = CANON_USAGE_UNKNOWN};
    return put(work, &event, block->to);
}

static struct canon_input_block *
open_block(struct work *work, const struct canon_event *event)
{
    struct canon_inputs *filter = work->filter;
    const struct canon_input_rules *rules = filter->rules;
    struct canon_input_block *block = filter->spare;
    if (block) {
        filter->spare = block->next;
    } else {
        block = arena_take(filter->arena, sizeof *block);
        if (!block)
            return NULL;
        sink_init(&block->held, INPUTS_BYTES_MAX);
    }
    bool call = event->type == BLOCK_CALL;
    block->next = filter->open;
    block->from = event->block;
    block->like = (struct canon_event){.choice = event->choice};
    block->dropped = call && slice_present(rules->drop_calls) &&
                     shape_matches(rules->drop_calls, json_unescape(event->name, work->out.arena), work->out.arena);
    block->holds = call && !block->dropped && !event->custom && (rules->drop_empty || slice_present(rules->exclusive));
    block->to = block->dropped ? 0 : filter->blocks++;
    filter->open = block;
    return block;
}

static int
take_delta(struct work *work, struct canon_input_block *block, const struct canon_event *event)
{
    if (!block->holds)
        return put(work, event, block->to);
    if (block->held.len + event->text.len > INPUTS_BYTES_MAX) {
        int error = put_held(work, block, false);
        return error ? error : put(work, event, block->to);
    }
    sink_put(&block->held, event->text);
    work->changed = true;
    if (block->held.error)
        return -ERR_MEMORY;
    struct canon_event rest = *event;
    rest.text = SLICE_NONE;
    return slice_present(event->signature) ? put(work, &rest, block->to) : 0;
}

static int
take_block(struct work *work, const struct canon_event *event)
{
    struct canon_inputs *filter = work->filter;
    if (event->kind == CANON_OPEN && !open_block(work, event))
        return -ERR_MEMORY;
    struct canon_input_block **link = &filter->open;
    while (*link && (*link)->from != event->block)
        link = &(*link)->next;
    struct canon_input_block *block = *link;
    if (!block)
        return put(work, event, event->block); /* the guard says what to think of it */
    work->changed = work->changed || block->dropped || block->to != event->block;
    int error = 0;
    if (!block->dropped && event->kind == CANON_DELTA)
        error = take_delta(work, block, event);
    else if (!block->dropped && event->kind == CANON_CLOSE && block->holds)
        error = put_held(work, block, true);
    if (!error && !block->dropped && event->kind != CANON_DELTA)
        error = put(work, event, block->to);
    if (event->kind == CANON_CLOSE) {
        *link = block->next;
        block->next = filter->spare;
        filter->spare = block;
    }
    return error;
}

/* The reply ends with a call in the middle: whoever judges it shall see all of it. */
static int
let_go(struct work *work)
{
    int error = 0;
    for (struct canon_input_block *block = work->filter->open; block && !error; block = block->next) {
        if (block->holds)
            error = put_held(work, block, false);
    }
    return error;
}

static int
take(struct work *work, const struct canon_event *event)
{
    if (event->kind == CANON_OPEN || event->kind == CANON_DELTA || event->kind == CANON_CLOSE || event->kind == CANON_CITATION)
        return take_block(work, event);
    int error = event->kind == CANON_FINISH || event->kind == CANON_END ? let_go(work) : 0;
    return error ? error : put(work, event, event->block);
}

int
canon_inputs_filter(struct canon_inputs *filter, struct canon_events *events)
{
    struct work work = {.filter = filter};
    canon_events_init(&work.out, events->arena);
    int error = 0;
    for (int i = 0; i < events->count && !error; i++)
        error = take(&work, &events->at[i]);
    if (error)
        return error;
    bool same = !work.changed && work.out.count == events->count;
    events->at = work.out.at;
    events->count = work.out.count;
    events->capacity = work.out.capacity;
    if (!same) {
        events->rewrite = true;
        events->mends |= CANON_MEND_ALL;
    }
    return 0;
}
