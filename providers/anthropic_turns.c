/* SPDX-License-Identifier: MIT
 *
 * anthropic_turns.c - canonical messages as the turns Anthropic takes.
 *
 * The rules (wire-formats 11.1 and 11.4): roles alternate; all results of a turn's calls lead the
 * very next user turn; every call has one; ids are legal and unique in the whole request; no empty
 * text. Nothing is ever moved past a turn.
 */
#include "providers/anthropic_turns.h"

#define TURN_CALLS_MAX 4096 /* pairing looks at each pair of a turn */

struct building {
    struct arena *arena;
    struct canon_report *report;
    struct canon_fault *fault;
    struct turn *first, *last;
    uint64_t *seen; /* hashes of the ids in use, open addressing */
    size_t seen_size, renamed;
};

bool
turns_blank(struct slice text)
{
    size_t i = 0;
    while (i < text.len) {
        bool escape =
            text.ptr[i] == '\\' && i + 1 < text.len && strchr("ntr", text.ptr[i + 1]) != NULL;
        if (!escape && text.ptr[i] != ' ')
            return false;
        i += escape ? 2 : 1;
    }
    return true;
}

/* ---------------------------------------------------------------- collecting */

static struct turn *
turn_for(struct building *at, bool assistant)
{
    if (at->last && at->last->assistant == assistant)
        return at->last;
    struct turn *turn = arena_take(at->arena, sizeof(*turn));
    if (!turn)
        return NULL;
    *turn = (struct turn){.assistant = assistant};
    turn->results_end = &turn->results;
    turn->items_end = &turn->items;
    turn->calls_end = &turn->calls;
    if (at->last)
        at->last->next = turn;
    else
        at->first = turn;
    at->last = turn;
    return turn;
}

static int
add_item(struct building *at, bool assistant, enum turn_item_kind kind,
         const struct canon_part *part)
{
    struct turn *turn = turn_for(at, assistant);
    struct turn_item *item = arena_take(at->arena, sizeof(*item));
    if (!turn || !item)
        return -ERR_MEMORY;
    *item = (struct turn_item){.kind = kind, .part = part, .id = part->id};
    bool result = kind == ITEM_PART && part->kind == PART_RESULT && !assistant;
    struct turn_item ***end = result ? &turn->results_end : &turn->items_end;
    **end = item;
    *end = &item->next;
    turn->result_count += result;
    if (kind == ITEM_PART && part->kind == PART_CALL) {
        *turn->calls_end = item;
        turn->calls_end = &item->next_call;
        turn->call_count++;
    }
    return 0;
}

/* A thought can only be replayed with a state that Anthropic made: of others it would be refused
 * (P24). */
static bool
replayable(const struct canon_part *part)
{
    struct slice state = part->kind == PART_REDACTED ? part->data : part->signature;
    return part->origin == ORIGIN_ANTHROPIC && state.len > 0;
}

static bool
says_nothing(struct building *at, const struct canon_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        return turns_blank(part->text);
    case PART_THINKING:
    case PART_REDACTED:
        if (!replayable(part))
            canon_drop(at->report, "reasoning");
        return !replayable(part);
    case PART_IMAGE:
    case PART_DOCUMENT:
    case PART_AUDIO:
    case PART_VIDEO:
    case PART_FILE:
    case PART_CALL:
    case PART_RESULT:
    case PART_NATIVE:
        break;
    }
    return false;
}

static int
misplaced(struct building *at, const char *message)
{
    *at->fault =
        (struct canon_fault){.message = slice_from(message), .param = SLICE_LIT("messages")};
    return -ERR_REQUEST;
}

/* What an assistant's turn cannot hold here, though another provider put it there: a client that
 * only replays its history must not be locked out by that. */
static bool
is_left_out(struct building *at, const struct canon_part *part)
{
    bool media = part->kind == PART_IMAGE || part->kind == PART_DOCUMENT ||
                 part->kind == PART_AUDIO || part->kind == PART_VIDEO || part->kind == PART_FILE;
    if (media)
        canon_drop(at->report, "media of the assistant");
    if (part->kind == PART_NATIVE)
        canon_drop(at->report, "hosted tools of the assistant");
    return media || part->kind == PART_NATIVE;
}

static int
collect(struct building *at, const struct canon_message *message)
{
    bool assistant = message->role == ROLE_ASSISTANT;
    bool note = message->role == ROLE_SYSTEM || message->role == ROLE_DEVELOPER;
    if (slice_present(message->name) && message->role != ROLE_TOOL)
        canon_drop(at->report, "name");
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (says_nothing(at, part) || (assistant && is_left_out(at, part)))
            continue;
        if (part->kind != PART_THINKING && part->signature.len > 0)
            canon_drop(at->report,
                       "thought signature"); /* other families sign calls and texts, too */
        bool thought =
            part->kind == PART_THINKING || part->kind == PART_REDACTED || part->kind == PART_CALL;
        if (thought && !assistant)
            return misplaced(at, "tool calls and reasoning can only be in assistant messages");
        if (part->kind == PART_RESULT && assistant)
            return misplaced(at, "tool results cannot be in assistant messages");
        bool wrap = note && part->kind == PART_TEXT;
        int error = add_item(at, assistant, wrap ? ITEM_NOTE : ITEM_PART, part);
        if (error != 0)
            return error;
    }
    return 0;
}

/* ---------------------------------------------------------------- ids */

/* Note a hash; false if it was there. The table is never more than half full. */
static bool
note_id(struct building *at, uint64_t hash)
{
    hash += hash == 0;
    size_t i = (size_t)hash & (at->seen_size - 1);
    while (at->seen[i] != 0 && at->seen[i] != hash)
        i = (i + 1) & (at->seen_size - 1);
    bool fresh = at->seen[i] == 0;
    at->seen[i] = hash;
    return fresh;
}

static int
make_table(struct building *at)
{
    size_t calls = 0;
    for (const struct turn *turn = at->first; turn; turn = turn->next) {
        if (turn->call_count > TURN_CALLS_MAX || turn->result_count > TURN_CALLS_MAX)
            return misplaced(at, "too many tool calls in one turn");
        calls += turn->call_count;
    }
    at->seen_size = 64;
    while (at->seen_size < calls * 4)
        at->seen_size *= 2;
    at->seen = arena_take(at->arena, at->seen_size * sizeof(*at->seen));
    return at->seen ? 0 : -ERR_MEMORY;
}

/* The id of a call as Anthropic takes it. A repeated one gets its ordinal, so that equal histories
 * map alike. */
static int
name_call(struct building *at, struct turn_item *call)
{
    call->id = canon_legal_id(call->part->id, 64, at->arena);
    while (slice_present(call->id) && !note_id(at, canon_hash(call->id))) {
        at->renamed++;
        call->id = arena_printf(at->arena, "call_%016llx_%zu",
                                (unsigned long long)canon_hash(call->part->id), at->renamed);
    }
    return slice_present(call->id) ? 0 : -ERR_MEMORY;
}

static int
name_calls(struct building *at, const struct turn *turn)
{
    int error = 0;
    for (struct turn_item *call = turn->calls; call && error == 0; call = call->next_call)
        error = name_call(at, call);
    return error;
}

/* ---------------------------------------------------------------- pairing */

static struct turn_item *
open_call(const struct turn *turn, struct slice id)
{
    for (struct turn_item *call = turn->calls; call; call = call->next_call) {
        if (!call->answered && slice_eq(call->part->id, id))
            return call;
    }
    return NULL;
}

/* Each result finds its call in the turn before, or leaves the leading run as text. */
static void
pair_results(const struct turn *before, struct turn *turn)
{
    struct turn_item *orphans = NULL, **orphans_end = &orphans, **link = &turn->results;
    uint32_t left = before ? before->call_count : 0;
    while (*link) {
        struct turn_item *result = *link,
                         *call = left > 0 ? open_call(before, result->part->id) : NULL;
        if (call) {
            call->answered = true;
            result->id = call->id;
            link = &result->next;
            left--;
            continue;
        }
        *link = result->next;
        result->kind = ITEM_ORPHAN;
        result->next = NULL;
        *orphans_end = result;
        orphans_end = &result->next;
    }
    turn->results_end = link;
    if (!orphans)
        return;
    *orphans_end = turn->items;
    if (!turn->items)
        turn->items_end = orphans_end;
    turn->items = orphans;
}

static int
answer_missing(struct building *at, const struct turn *before, struct turn *turn)
{
    for (const struct turn_item *call = before->calls; call; call = call->next_call) {
        if (call->answered)
            continue;
        struct turn_item *result = arena_take(at->arena, sizeof(*result));
        if (!result)
            return -ERR_MEMORY;
        *result = (struct turn_item){.kind = ITEM_MISSING, .part = call->part, .id = call->id};
        *turn->results_end = result;
        turn->results_end = &result->next;
    }
    return 0;
}

static int
pair_all(struct building *at)
{
    struct turn *before = NULL;
    int error = make_table(at);
    for (struct turn *turn = at->first; turn && error == 0; turn = turn->next) {
        error = turn->assistant ? name_calls(at, turn) : 0;
        if (error == 0 && !turn->assistant) {
            pair_results(before, turn);
            error = before ? answer_missing(at, before, turn) : 0;
        }
        before = turn->assistant ? turn : NULL;
    }
    if (error != 0 || !at->last || !at->last->assistant || !at->last->calls)
        return error;
    /* The conversation stops at calls that nobody answered. */
    before = at->last;
    struct turn *turn = turn_for(at, false);
    return turn ? answer_missing(at, before, turn) : -ERR_MEMORY;
}

/* With a tool loop open, thinking goes on only if the assistant's turn begins with a thought. */
static bool
may_think(const struct turn *first)
{
    const struct turn *assistant = NULL, *last = NULL;
    for (const struct turn *turn = first; turn; turn = turn->next) {
        assistant = turn->assistant ? turn : assistant;
        last = turn;
    }
    bool loop = last && (last->assistant || last->results);
    if (!loop || !assistant)
        return true;
    enum canon_part_kind kind = assistant->items->part->kind;
    return kind == PART_THINKING || kind == PART_REDACTED;
}

int
turns_build(const struct canon_request *request, const struct canon_message *messages,
            bool *thinking, struct canon_report *report, struct canon_fault *fault,
            struct turn **out)
{
    struct building at = {.arena = request->arena, .report = report, .fault = fault};
    int error = 0;
    for (const struct canon_message *message = messages; message && error == 0;
         message = message->next)
        error = collect(&at, message);
    if (error == 0)
        error = pair_all(&at);
    if (error != 0)
        return error;
    if (*thinking && !may_think(at.first)) {
        *thinking = false;
        canon_drop(report, "reasoning_effort");
    }
    *out = at.first;
    return 0;
}
