/* SPDX-License-Identifier: MIT
 *
 * gemini_turns.h - canonical messages as the contents Gemini takes. Private to providers/gemini*.c.
 */
#ifndef PENSTOCK_GEMINI_TURNS_H
#define PENSTOCK_GEMINI_TURNS_H

#include "providers/dialect.h"

enum gemini_item_kind {
    GEMINI_PART,      /* the part as it is */
    GEMINI_NOTE,      /* a system text in the middle of the conversation: wrapped */
    GEMINI_ORPHAN,    /* a result that answers no call of the turn before: becomes text */
    GEMINI_SIGNATURE, /* nothing but a signature: a text part without text */
};

struct gemini_item {
    struct gemini_item *next, *next_call; /* next_call: of a call */
    enum gemini_item_kind kind;
    const struct canon_part *part;
    struct slice signature;          /* escaped, Gemini's own; absent */
    const struct canon_part *answer; /* of a call: its result; NULL: nobody answered */
    bool repeated;                   /* of a call: its id was in the turn before it */
};

struct gemini_turn {
    struct gemini_turn *next;
    bool model;
    struct gemini_item *items, **items_end;     /* all but results */
    struct gemini_item *calls, **calls_end;     /* the calls among the items */
    struct gemini_item *results, **results_end; /* before pairing */
    uint32_t call_count;
};

/*
 * gemini_turns_build - turns of alternating roles from messages behind the leading instructions.
 * Each call finds its result in the turn behind it, or none; other results become orphans. Thoughts
 * are gone: what signed them, if Gemini made it, stands on the part they led to. returns 0,
 * -ERR_MEMORY, -ERR_REQUEST with fault
 */
int gemini_turns_build(const struct canon_request *request, const struct canon_message *messages,
                       struct canon_report *report, struct canon_fault *fault,
                       struct gemini_turn **out);

#endif
