/* SPDX-License-Identifier: MIT
 *
 * gemini_turns.c - canonical messages as the contents Gemini takes (wire-formats 11.1, 11.4, 11.5).
 *
 * Roles alternate; a turn of N calls is answered by exactly N responses in their order; a signature
 * goes back on the part it came with, or on the part behind the thought that carried it. Nothing is
 * ever moved past a turn.
 */
#include "providers/gemini_turns.h"

#define TURN_CALLS_MAX 1024 /* pairing looks at each pair of a turn */

struct building {
    const struct canon_request *request;
    struct canon_report *report;
    struct canon_fault *fault;
    struct gemini_turn *first, *last;
    struct slice pending; /* Gemini's signature of a thought, for the part that follows */
};

static struct gemini_turn *
turn_for(struct building *at, bool model)
{
    if (at->last && at->last->model == model)
        return at->last;
    struct gemini_turn *turn = arena_take(at->request->arena, sizeof(*turn));
    if (!turn)
        return NULL;
    *turn = (struct gemini_turn){.model = model};
    turn->items_end = &turn->items;
    turn->calls_end = &turn->calls;
    turn->results_end = &turn->results;
    if (at->last)
        at->last->next = turn;
    else
        at->first = turn;
    at->last = turn;
    return turn;
}

static int
add_item(struct building *at, bool model, enum gemini_item_kind kind, const struct canon_part *part,
         struct slice signature)
{
    struct gemini_turn *turn = turn_for(at, model);
    struct gemini_item *item = arena_take(at->request->arena, sizeof(*item));
    if (!turn || !item)
        return -ERR_MEMORY;
    *item = (struct gemini_item){.kind = kind, .part = part, .signature = signature};
    bool result = kind == GEMINI_PART && part->kind == PART_RESULT;
    struct gemini_item ***end = result ? &turn->results_end : &turn->items_end;
    **end = item;
    *end = &item->next;
    if (kind == GEMINI_PART && part->kind == PART_CALL) {
        *turn->calls_end = item;
        turn->calls_end = &item->next_call;
        turn->call_count++;
    }
    return 0;
}

static int
misplaced(struct building *at, const char *message)
{
    *at->fault =
        (struct canon_fault){.message = slice_from(message), .param = SLICE_LIT("messages")};
    return -ERR_REQUEST;
}

/* ---------------------------------------------------------------- collecting */

/* A thought is not replayed. What Gemini signed it with is kept for the next part, what others did
 * is no use here. */
static int
take_thought(struct building *at, const struct canon_part *part)
{
    struct slice state = part->signature;
    if (part->kind == PART_REDACTED) {
        state = part->origin == ORIGIN_GEMINI ? canon_escape(part->data, at->request->arena)
                                              : SLICE_NONE;
        if (part->origin == ORIGIN_GEMINI && !slice_present(state))
            return -ERR_MEMORY;
    }
    if (part->origin == ORIGIN_GEMINI && state.len > 0)
        at->pending = state;
    else
        canon_drop(at->report, "reasoning");
    return 0;
}

static int
collect_model_part(struct building *at, const struct canon_part *part)
{
    if (part->kind == PART_RESULT)
        return misplaced(at, "tool results cannot be in assistant messages");
    if (part->kind == PART_THINKING || part->kind == PART_REDACTED)
        return take_thought(at, part);
    bool text = part->kind == PART_TEXT || part->kind == PART_REFUSAL;
    struct slice signature =
        part->origin == ORIGIN_GEMINI && part->signature.len > 0 ? part->signature : SLICE_NONE;
    if (text && part->text.len == 0 && !slice_present(signature))
        return 0;
    if (!slice_present(signature) &&
        (text || part->kind == PART_CALL || part->kind == PART_IMAGE)) {
        signature = at->pending;
        at->pending = SLICE_NONE;
    }
    return add_item(at, true, GEMINI_PART, part, signature);
}

static int
collect_part(struct building *at, const struct canon_message *message,
             const struct canon_part *part)
{
    bool note = message->role == ROLE_SYSTEM || message->role == ROLE_DEVELOPER;
    if (slice_present(part->cache_control))
        canon_drop(at->report, "cache_control");
    if (message->role == ROLE_ASSISTANT)
        return collect_model_part(at, part);
    if (part->kind == PART_CALL || part->kind == PART_THINKING || part->kind == PART_REDACTED)
        return misplaced(at, "tool calls and reasoning can only be in assistant messages");
    bool text = part->kind == PART_TEXT || part->kind == PART_REFUSAL;
    if (text && part->text.len == 0)
        return 0;
    return add_item(at, false, note && text ? GEMINI_NOTE : GEMINI_PART, part, SLICE_NONE);
}

static int
collect(struct building *at, const struct canon_message *message)
{
    int error = 0;
    if (slice_present(message->name) && message->role != ROLE_TOOL)
        canon_drop(at->report, "name");
    for (const struct canon_part *part = message->parts; part && error == 0; part = part->next)
        error = collect_part(at, message, part);
    if (error == 0 && slice_present(at->pending)) {
        struct slice signature = at->pending;
        at->pending = SLICE_NONE;
        error = add_item(at, true, GEMINI_SIGNATURE, NULL, signature);
    }
    return error;
}

/* ---------------------------------------------------------------- pairing */

static struct gemini_item *
open_call(const struct gemini_turn *turn, struct slice id)
{
    for (struct gemini_item *call = turn ? turn->calls : NULL; call; call = call->next_call) {
        if (!call->answer && slice_eq(call->part->id, id))
            return call;
    }
    return NULL;
}

/* Results find their calls; what is left of them goes before what else the user says. */
static void
pair_results(const struct gemini_turn *before, struct gemini_turn *turn)
{
    struct gemini_item *orphans = NULL, **end = &orphans;
    uint32_t left = before ? before->call_count : 0;
    for (struct gemini_item *result = turn->results, *next; result; result = next) {
        struct gemini_item *call = left > 0 ? open_call(before, result->part->id) : NULL;
        next = result->next;
        if (call) {
            call->answer = result->part;
            left--;
            continue;
        }
        result->kind = GEMINI_ORPHAN;
        result->next = NULL;
        *end = result;
        end = &result->next;
    }
    turn->results = NULL;
    if (!orphans)
        return;
    *end = turn->items;
    turn->items = orphans;
}

static void
mark_repeated(const struct gemini_turn *turn)
{
    for (struct gemini_item *call = turn->calls; call; call = call->next_call) {
        for (struct gemini_item *later = call->next_call; later && !call->repeated;
             later = later->next_call)
            later->repeated = later->repeated || slice_eq(later->part->id, call->part->id);
    }
}

static int
pair_all(struct building *at)
{
    struct gemini_turn *before = NULL;
    for (struct gemini_turn *turn = at->first; turn; turn = turn->next) {
        if (turn->call_count > TURN_CALLS_MAX)
            return misplaced(at, "too many tool calls in one turn");
        if (turn->model)
            mark_repeated(turn);
        else
            pair_results(before, turn);
        before = turn->model ? turn : NULL;
    }
    return 0;
}

int
gemini_turns_build(const struct canon_request *request, const struct canon_message *messages,
                   struct canon_report *report, struct canon_fault *fault, struct gemini_turn **out)
{
    struct building at = {.request = request, .report = report, .fault = fault};
    int error = 0;
    for (const struct canon_message *message = messages; message && error == 0;
         message = message->next)
        error = collect(&at, message);
    if (error == 0)
        error = pair_all(&at);
    *out = at.first;
    return error;
}
