/* SPDX-License-Identifier: MIT
 *
 * shape_trim.c - a conversation shortened to the window of its model (R94, R150).
 *
 * Messages hang together where a call and its result stand on both sides: such a run is one unit, and whole units go, the oldest
 * first. Instructions stay, and so do the last messages. What is left begins with words of the user: where the cut would leave an
 * assistant in front, the user's message that it was working on is kept before it.
 */
#include "providers/shape.h"

#include "base/text.h"

/* One message that is no instruction. */
struct row {
    struct canon_message *message;
    uint64_t tokens;
    size_t until; /* the last row that holds a result of a call of this one */
    bool starts;  /* a unit begins here */
    bool spoken;  /* the user's own words, no results: a conversation may begin with it */
};

struct call { /* a place of the table of ids: row + 1, 0 is free */
    uint64_t hash;
    size_t row;
};

struct trim {
    struct shaping *shape;
    struct row *rows;
    size_t count;
    struct call *calls;
    size_t mask;
    uint64_t fixed; /* tokens of what stays in any case: instructions, tools */
};

static struct call *
call_place(struct trim *trim, uint64_t hash)
{
    size_t at = (size_t)hash & trim->mask;
    while (trim->calls[at].row > 0 && trim->calls[at].hash != hash)
        at = (at + 1) & trim->mask;
    return &trim->calls[at];
}

static int
fill_rows(struct trim *trim)
{
    struct canon_request *request = trim->shape->request;
    uint64_t empty = shape_weigh(request, NULL, NULL);
    size_t calls = 0, places = 16;
    for (struct canon_message *message = request->messages; message; message = message->next)
        trim->count += !shape_is_system(message);
    trim->rows = arena_take(trim->shape->arena, (trim->count + 1) * sizeof *trim->rows);
    if (!trim->rows)
        return -ERR_MEMORY;
    trim->fixed = shape_weigh(request, NULL, request->tools);
    size_t n = 0;
    for (struct canon_message *message = request->messages; message; message = message->next) {
        struct canon_message one = *message;
        one.next = NULL;
        uint64_t tokens = shape_weigh(request, &one, NULL) - empty;
        if (shape_is_system(message)) {
            trim->fixed += tokens;
            continue;
        }
        struct row *row = &trim->rows[n];
        *row = (struct row){.message = message, .tokens = tokens, .until = n, .spoken = message->role == ROLE_USER};
        for (const struct canon_part *part = message->parts; part; part = part->next) {
            calls += part->kind == PART_CALL;
            row->spoken = row->spoken && part->kind != PART_RESULT;
        }
        n++;
    }
    while (places < 2 * calls)
        places *= 2;
    trim->mask = places - 1;
    trim->calls = arena_take(trim->shape->arena, places * sizeof *trim->calls);
    return trim->calls ? 0 : -ERR_MEMORY;
}

/* Which rows hang together. A result without a known call belongs to the last one that called anything. */
static void
tie_rows(struct trim *trim)
{
    size_t last = SIZE_MAX, reach = 0;
    for (size_t i = 0; i < trim->count; i++) {
        bool calls = false;
        for (const struct canon_part *part = trim->rows[i].message->parts; part; part = part->next) {
            if (part->kind == PART_CALL) {
                uint64_t hash = canon_hash(part->id);
                *call_place(trim, hash) = (struct call){hash, i + 1};
                calls = true;
            } else if (part->kind == PART_RESULT) {
                const struct call *call = call_place(trim, canon_hash(part->id));
                size_t row = call->row > 0 ? call->row - 1 : last;
                if (row != SIZE_MAX)
                    trim->rows[row].until = i;
            }
        }
        last = calls ? i : last;
    }
    for (size_t i = 0; i < trim->count; i++) {
        trim->rows[i].starts = i == 0 || reach < i;
        reach = trim->rows[i].until > reach ? trim->rows[i].until : reach;
    }
}

/* The first row of the last ones that stay in any case. */
static size_t
last_cut(const struct trim *trim)
{
    uint64_t keep = trim->shape->rules->keep_messages;
    size_t cut = trim->count > keep ? trim->count - (size_t)keep : 0;
    cut = cut == trim->count ? cut - 1 : cut;
    while (!trim->rows[cut].starts)
        cut--;
    return cut;
}

/* What the conversation may weigh: the window without room for the reply, which takes half of it at most. */
static uint64_t
room_of(const struct shaping *shape)
{
    const struct shape_rules *rules = shape->rules;
    uint64_t reserve = rules->reserve_tokens, wanted, half = rules->context_tokens / 2;
    if (text_u64(shape->request->max_tokens, &wanted)) {
        if (rules->max_output_tokens > 0 && wanted > rules->max_output_tokens)
            wanted = rules->max_output_tokens;
        reserve = wanted > reserve ? wanted : reserve;
    }
    return rules->context_tokens - (reserve < half ? reserve : half);
}

/* Rows from cut on stay, and lead (SIZE_MAX: none) before them; the others go. */
static void
apply(struct trim *trim, size_t cut, size_t lead)
{
    struct shape_notes *notes = trim->shape->notes;
    struct canon_message **link = &trim->shape->request->messages;
    for (size_t i = 0; *link;) {
        struct canon_message *message = *link;
        bool stays = shape_is_system(message) || i >= cut || i == lead;
        if (!stays) {
            notes->dropped_messages++;
            notes->dropped_tokens += trim->rows[i].tokens;
            notes->messages = true;
        }
        i += !shape_is_system(message);
        if (stays)
            link = &message->next;
        else
            *link = message->next;
    }
}

int
shape_trim(struct shaping *shape)
{
    struct trim trim = {.shape = shape};
    uint64_t room = room_of(shape), tail = 0;
    int error = fill_rows(&trim);
    if (error < 0 || trim.count == 0)
        return error;
    tie_rows(&trim);
    for (size_t i = 0; i < trim.count; i++)
        tail += trim.rows[i].tokens;
    size_t most = last_cut(&trim), lead = SIZE_MAX, cut = 0;
    for (; cut < most; cut++) {
        const struct row *row = &trim.rows[cut];
        bool led = row->spoken || lead != SIZE_MAX || cut == 0;
        uint64_t before = row->spoken || lead == SIZE_MAX ? 0 : trim.rows[lead].tokens;
        if (row->starts && led && trim.fixed + before + tail <= room)
            break;
        tail -= row->tokens;
        lead = row->spoken ? cut : lead;
    }
    apply(&trim, cut, trim.rows[cut].spoken ? SIZE_MAX : lead);
    return 0;
}
