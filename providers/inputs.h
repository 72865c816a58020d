/* SPDX-License-Identifier: MIT
 *
 * inputs.h - what models put into tool calls, cleaned up: empty lists, members that exclude one another, calls that nobody wants
 * (R151). The pieces of a call's input are held until it is complete; everything else passes at once.
 */
#ifndef PENSTOCK_INPUTS_H
#define PENSTOCK_INPUTS_H

#include "providers/canon.h"

#define INPUTS_BYTES_MAX (1u << 20) /* of one call; what is longer passes as it is */

struct canon_input_rules {
    bool drop_empty;         /* members that are empty arrays go */
    struct slice exclusive;  /* JSON array of arrays of names: of those that are there the first stays; absent: none */
    struct slice drop_calls; /* JSON array of names of tools, each with one '*' at most, whose calls go; absent: none */
};

struct canon_input_block;
struct canon_inputs {
    const struct canon_input_rules *rules;
    struct arena *arena;
    struct canon_input_block *open, *spare;
    uint32_t blocks; /* opened so far, as the writer sees them */
};

/* canon_inputs_any - is there a rule? */
bool canon_inputs_any(const struct canon_input_rules *rules);
void canon_inputs_init(struct canon_inputs *filter, const struct canon_input_rules *rules, struct arena *arena);
void canon_inputs_fini(struct canon_inputs *filter);
/* canon_inputs_filter - rewrite events in place; sets rewrite when something changed. 0 or -ERR_MEMORY. */
int canon_inputs_filter(struct canon_inputs *filter, struct canon_events *events) must_check;

#endif
