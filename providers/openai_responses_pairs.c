/* SPDX-License-Identifier: MIT
 *
 * openai_responses_pairs.c - which call of the history each result answers, and the call_id both
 * get.
 *
 * OpenAI refuses a call without its output, an output without its call, and two calls of one id. A
 * result answers the first open call with its id in the last turn that has one, wherever it stands
 * behind it; whatever the length of the history, each step takes constant time.
 */
#include "providers/openai_responses_request.h"

#define NOBODY UINT32_MAX

/* All calls with one id. */
struct family {
    struct slice id;
    uint64_t hash;
    uint32_t first, last;             /* of the open calls, in order; NOBODY: none */
    uint32_t count;                   /* of all */
    const struct canon_message *turn; /* of the open ones */
    bool used;
};

struct pairing {
    struct responses_pairs *pairs;
    struct family *families; /* open addressing */
    size_t size;
    struct arena *arena;
};

static struct family *
family_of(struct pairing *at, struct slice id)
{
    uint64_t hash = canon_hash(id);
    size_t i = (size_t)hash & (at->size - 1);
    while (at->families[i].used &&
           (at->families[i].hash != hash || !slice_eq(at->families[i].id, id)))
        i = (i + 1) & (at->size - 1);
    if (!at->families[i].used)
        at->families[i] =
            (struct family){.id = id, .hash = hash, .first = NOBODY, .last = NOBODY, .used = true};
    return &at->families[i];
}

/* A repeated id gets its ordinal, so that equal histories map alike. */
static int
add_call(struct pairing *at, const struct canon_message *message, struct responses_pair *call)
{
    struct family *family = family_of(at, call->part->id);
    uint32_t index = (uint32_t)(call - at->pairs->at);
    call->id = family->count == 0 ? canon_legal_id(call->part->id, RESPONSES_ID_MAX, at->arena)
                                  : arena_printf(at->arena, "call_%016llx_%u",
                                                 (unsigned long long)family->hash, family->count);
    family->count++;
    if (!slice_present(call->id))
        return -ERR_MEMORY;
    if (family->turn != message)
        family->first = family->last = NOBODY; /* what an earlier turn left open stays so */
    family->turn = message;
    if (family->last == NOBODY)
        family->first = index;
    else
        at->pairs->at[family->last].next = index;
    family->last = index;
    return 0;
}

static void
add_result(struct pairing *at, struct responses_pair *result)
{
    struct family *family = family_of(at, result->part->id);
    if (family->first == NOBODY)
        return;
    struct responses_pair *call = &at->pairs->at[family->first];
    family->first = call->next;
    if (family->first == NOBODY)
        family->last = NOBODY;
    call->matched = result->matched = true;
    result->id = call->id;
    result->custom = call->custom;
}

static int
make_room(const struct canon_request *request, struct pairing *at)
{
    size_t count = 0;
    for (const struct canon_message *message = request->messages; message;
         message = message->next) {
        for (const struct canon_part *part = message->parts; part; part = part->next)
            count += part->kind == PART_CALL || part->kind == PART_RESULT;
    }
    at->size = 16;
    while (at->size < count * 2)
        at->size *= 2;
    at->pairs->at = arena_take(at->arena, count * sizeof(*at->pairs->at));
    at->families = arena_take(at->arena, at->size * sizeof(*at->families));
    return at->pairs->at && at->families ? 0 : -ERR_MEMORY;
}

int
responses_pair(const struct canon_request *request, struct responses_pairs *out)
{
    struct pairing at = {.pairs = out, .arena = request->arena};
    *out = (struct responses_pairs){.count = 0};
    int error = make_room(request, &at);
    for (const struct canon_message *message = request->messages; message && !error;
         message = message->next) {
        for (const struct canon_part *part = message->parts; part && !error; part = part->next) {
            if (part->kind != PART_CALL && part->kind != PART_RESULT)
                continue;
            struct responses_pair *pair = &out->at[out->count++];
            *pair = (struct responses_pair){.part = part, .next = NOBODY, .custom = part->custom};
            if (part->kind == PART_CALL)
                error = add_call(&at, message, pair);
            else
                add_result(&at, pair);
        }
    }
    return error;
}
