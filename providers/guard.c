/* SPDX-License-Identifier: MIT
 *
 * guard.c - between reader and writer: the canonical grammar, and every tool call.
 *
 * A call is judged when its choice finishes: until then a truncated one may still grow, and a reply
 * that says it was cut short (length) tells the truth about it. What is kept per call is a hash of
 * its id and the state of an incremental check, never its arguments, so a reply of any length costs
 * the same.
 */
#include "providers/canon.h"

#include "providers/unescape.h"

#define GUARD_CALLS_MAX 1024
#define GUARD_OPEN_MAX 1024
#define GUARD_CHOICES_MAX 128
#define GUARD_TEXT_WORDS 15 /* bits of blocks behind the first 64 */

struct canon_guard_call { /* any block while it is open; a call to the end */
    struct canon_guard_call *next;
    uint32_t block, choice;
    enum canon_block type;
    bool open, custom, bad;
    struct unescape unescape;
    uint64_t id_hash;
    size_t id_len;
    struct json_check check;
};

void
canon_guard_init(struct canon_guard *guard, struct arena *arena)
{
    *guard = (struct canon_guard){.arena = arena, .finish = FINISH_NONE};
}

static int
refuse(struct canon_guard *guard, int error, const char *verdict)
{
    assert(!guard->failed);
    guard->failed = true;
    guard->verdict = verdict;
    guard->error = -error;
    return guard->error;
}

static int
disorder(struct canon_guard *guard, const char *verdict)
{
    return refuse(guard, ERR_UPSTREAM_PROTOCOL, verdict);
}

static struct canon_guard_call *
open_block(const struct canon_guard *guard, uint32_t block)
{
    for (struct canon_guard_call *at = guard->open; at; at = at->next) {
        if (at->block == block)
            return at;
    }
    for (struct canon_guard_call *at = guard->calls; at; at = at->next) {
        if (at->block == block)
            return at->open ? at : NULL;
    }
    return NULL;
}

static int
check_call_open(struct canon_guard *guard, const struct canon_event *event,
                struct canon_guard_call *call)
{
    if (guard->call_count == GUARD_CALLS_MAX)
        return refuse(guard, ERR_TOOL_CALL, "too_many_calls");
    if (event->name.len == 0)
        return refuse(guard, ERR_TOOL_CALL, "missing_name");
    if (event->id.len == 0)
        return refuse(guard, ERR_TOOL_CALL, "missing_id");
    /* Two ids that collide are taken for one: whoever makes them collide could have repeated one as
     * well. */
    call->id_hash = canon_hash(event->id);
    call->id_len = event->id.len;
    for (const struct canon_guard_call *at = guard->calls; at; at = at->next) {
        if (at->choice == event->choice && at->id_hash == call->id_hash &&
            at->id_len == call->id_len)
            return refuse(guard, ERR_TOOL_CALL, "duplicate_id");
    }
    return 0;
}

/* Remember that a block is text, if there is a bit for it. Few replies have more than 64 blocks. */
static int
note_text(struct canon_guard *guard, uint32_t block)
{
    uint32_t word = block >> 6;
    if (word > GUARD_TEXT_WORDS)
        return 0;
    if (word > 0 && !guard->text_beyond) {
        guard->text_beyond = arena_take(guard->arena, GUARD_TEXT_WORDS * sizeof(*guard->text_beyond));
        if (!guard->text_beyond)
            return refuse(guard, ERR_MEMORY, "memory");
    }
    uint64_t *bits = word > 0 ? &guard->text_beyond[word - 1] : &guard->text_blocks;
    *bits |= (uint64_t)1 << (block & 63);
    return 0;
}

static int
check_open(struct canon_guard *guard, const struct canon_event *event)
{
    if (event->block != guard->blocks)
        return disorder(guard, "block_not_dense");
    if (guard->open_blocks == GUARD_OPEN_MAX)
        return disorder(guard, "too_many_open_blocks");
    struct canon_guard_call *node = guard->spare;
    if (node)
        guard->spare = node->next;
    else
        node = arena_take(guard->arena, sizeof(*node));
    if (!node)
        return refuse(guard, ERR_MEMORY, "memory");
    *node = (struct canon_guard_call){.block = event->block,
                                      .choice = event->choice,
                                      .type = event->type,
                                      .custom = event->custom,
                                      .open = true};
    json_check_init(&node->check);
    if (event->type == BLOCK_CALL) {
        int error = check_call_open(guard, event, node);
        if (error != 0)
            return error;
    }
    struct canon_guard_call **list = event->type == BLOCK_CALL ? &guard->calls : &guard->open;
    node->next = *list;
    *list = node;
    guard->call_count += event->type == BLOCK_CALL;
    guard->native |= event->type == BLOCK_NATIVE;
    guard->blocks++;
    guard->open_blocks++;
    guard->waiting_choices[event->choice >> 6] |= (uint64_t)1 << (event->choice & 63);
    return event->type == BLOCK_TEXT ? note_text(guard, event->block) : 0;
}

static int
check_delta(struct canon_guard *guard, const struct canon_event *event)
{
    struct canon_guard_call *node = open_block(guard, event->block);
    if (!node)
        return disorder(guard, "delta_outside_block");
    if (node->type != event->type)
        return disorder(guard, "delta_of_other_type");
    if (node->type == BLOCK_CALL && !node->custom &&
        !unescape_check(&node->unescape, event->text, &node->check))
        node->bad = true;
    return 0;
}

static int
check_close(struct canon_guard *guard, const struct canon_event *event)
{
    struct canon_guard_call *node = open_block(guard, event->block);
    if (!node)
        return disorder(guard, "close_outside_block");
    assert(guard->open_blocks > 0);
    guard->open_blocks--;
    node->open = false;
    if (node->type == BLOCK_CALL)
        return 0;
    struct canon_guard_call **link = &guard->open;
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    node->next = guard->spare;
    guard->spare = node;
    return 0;
}

/* Is it text, open or closed? What no longer fits into the bits is believed. */
static bool
is_text(const struct canon_guard *guard, uint32_t block)
{
    uint32_t word = block >> 6;
    if (word == 0)
        return guard->text_blocks >> block & 1;
    if (word <= GUARD_TEXT_WORDS)
        return guard->text_beyond && guard->text_beyond[word - 1] >> (block & 63) & 1;
    const struct canon_guard_call *node = open_block(guard, block);
    return block < guard->blocks && (!node || node->type == BLOCK_TEXT);
}

/* Why a call may not reach a client as finished, or NULL. */
static const char *
fault_of(const struct canon_guard_call *call)
{
    if (call->custom)
        return NULL;
    if (call->bad)
        return "invalid_arguments";
    if (json_check_empty(&call->check))
        return NULL;
    if (!json_check_done(&call->check))
        return "truncated_arguments";
    return call->check.is_object ? NULL : "arguments_not_an_object";
}

static enum canon_finish
corrected(const struct canon_guard *guard, enum canon_finish finish, bool calls)
{
    switch (finish) {
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_OTHER:
        return calls ? FINISH_CALLS : finish;
    case FINISH_CALLS:
        return calls || guard->native ? finish : FINISH_STOP;
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
    case FINISH_FILTER:
    case FINISH_PAUSE:
        return finish;
    }
    return finish;
}

static int
check_finish(struct canon_guard *guard, struct canon_events *events, struct canon_event *event)
{
    bool calls = false;
    const char *fault = NULL;
    for (const struct canon_guard_call *at = guard->calls; at; at = at->next) {
        if (at->choice != event->choice)
            continue;
        calls = true;
        const char *found = fault_of(at);
        fault = found ? found : fault;
    }
    enum canon_finish finish = corrected(guard, event->finish, calls);
    if (finish != event->finish) {
        event->finish = finish;
        events->rewrite = true;
        events->flaws |= 1u << FLAW_FINISH_MISMATCH;
    }
    guard->finished = true;
    guard->finish = finish;
    guard->finished_choices[event->choice >> 6] |= (uint64_t)1 << (event->choice & 63);
    guard->waiting_choices[event->choice >> 6] &= ~((uint64_t)1 << (event->choice & 63));
    bool cut_short = finish == FINISH_LENGTH || finish == FINISH_CONTEXT || finish == FINISH_FILTER;
    if (fault && !cut_short)
        return refuse(guard, ERR_TOOL_CALL, fault);
    return 0;
}

static bool
finished(const struct canon_guard *guard, uint32_t choice)
{
    return guard->finished_choices[choice >> 6] >> (choice & 63) & 1;
}

/* One event; *keep is cleared when it may not go on. */
static int
check_one(struct canon_guard *guard, struct canon_events *events, struct canon_event *event,
          bool *keep)
{
    if (event->choice >= GUARD_CHOICES_MAX)
        return disorder(guard, "too_many_choices");
    if (guard->ended && event->kind != CANON_NATIVE)
        return disorder(guard, "event_after_end");
    switch (event->kind) {
    case CANON_START:
        if (guard->started)
            return disorder(guard, "second_start");
        guard->started = true;
        return 0;
    case CANON_OPEN:
        return finished(guard, event->choice) ? disorder(guard, "block_after_finish")
                                              : check_open(guard, event);
    case CANON_DELTA:
        return finished(guard, event->choice) ? disorder(guard, "delta_after_finish")
                                              : check_delta(guard, event);
    case CANON_CLOSE:
        return check_close(guard, event);
    case CANON_FINISH:
        if (!finished(guard, event->choice))
            return check_finish(guard, events, event);
        events->flaws |= 1u << FLAW_REPEATED_FINISH;
        events->rewrite = true;
        *keep = false;
        return 0;
    case CANON_END:
        if (!guard->finished || guard->waiting_choices[0] || guard->waiting_choices[1] ||
            (guard->first_due && !finished(guard, 0)))
            return disorder(guard, "end_without_finish");
        guard->ended = true;
        return 0;
    case CANON_ERROR:
        guard->ended = true;
        return 0;
    case CANON_CITATION:
        assert(event->citation);
        return is_text(guard, event->block) ? 0 : disorder(guard, "citation_outside_text");
    case CANON_USAGE:
    case CANON_NATIVE:
        return 0;
    }
    return 0;
}

int
canon_guard_check(struct canon_guard *guard, struct canon_events *events)
{
    if (guard->failed)
        return guard->error;
    int kept = 0, error = 0;
    for (int i = 0; i < events->count && error == 0; i++) {
        bool keep = true;
        error = check_one(guard, events, &events->at[i], &keep);
        if (keep && kept != i)
            events->at[kept] = events->at[i];
        kept += keep;
    }
    if (error == 0)
        events->count = kept;
    guard->flaws |= events->flaws;
    return error;
}
