/* SPDX-License-Identifier: MIT
 *
 * anthropic_turns.h - canonical messages as the turns Anthropic takes. Private to
 * providers/anthropic*.c.
 */
#ifndef PENSTOCK_ANTHROPIC_TURNS_H
#define PENSTOCK_ANTHROPIC_TURNS_H

#include "providers/dialect.h"

enum turn_item_kind {
    ITEM_PART,    /* the part as it is */
    ITEM_NOTE,    /* a system text in the middle of the conversation: wrapped */
    ITEM_ORPHAN,  /* a result that answers no call of the turn before: becomes text */
    ITEM_MISSING, /* the result of a call that nobody answered */
};

struct turn_item {
    struct turn_item *next, *next_call; /* next_call: of a call */
    enum turn_item_kind kind;
    const struct canon_part *part; /* ITEM_MISSING: the call */
    struct slice id; /* calls and results: legal, and unique in the request; escaped */
    bool answered;   /* of a call */
};

struct turn {
    struct turn *next;
    bool assistant;
    struct turn_item *results, **results_end; /* lead a user turn */
    struct turn_item *items, **items_end;
    struct turn_item *calls, **calls_end; /* the calls among the items */
    uint32_t call_count, result_count;
};

/*
 * turns_build - turns of alternating roles from messages behind the leading instructions. Calls and
 * results are paired: ids made legal and unique, a missing result invented, an orphaned one turned
 * to text, each result in the leading run of the turn behind its call. Parts that say nothing are
 * gone, and so are turns of which nothing is left. thinking  is thinking wanted within a budget?
 * Cleared when an open tool loop lacks the signed thought that must begin it. returns 0,
 * -ERR_MEMORY, -ERR_REQUEST with fault
 */
int turns_build(const struct canon_request *request, const struct canon_message *messages,
                bool *thinking, struct canon_report *report, struct canon_fault *fault,
                struct turn **out);

/* turns_blank - does escaped text say nothing but white space? Anthropic refuses such blocks. */
bool turns_blank(struct slice text);

#endif
