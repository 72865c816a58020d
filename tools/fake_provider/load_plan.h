/* SPDX-License-Identifier: MIT
 *
 * load_plan.h - what a model name of load_provider asks for, and the bytes of such an answer in
 * each dialect, made once: everything but the texts themselves stands ready.
 */
#ifndef PENSTOCK_LOAD_PLAN_H
#define PENSTOCK_LOAD_PLAN_H

#include "base/list.h"
#include "base/slice.h"

#define PLAN_MODEL_BYTES 128
#define PLAN_EVENTS_MAX 100000000u
#define PLAN_TEXT_MAX 60000u

enum plan_dialect { PLAN_CHAT, PLAN_ANTHROPIC, PLAN_RESPONSES, PLAN_GEMINI };

enum plan_fault {
    FAULT_NONE,
    FAULT_STATUS,  /* an error status */
    FAULT_LOSE,    /* an event is left out */
    FAULT_DOUBLE,  /* one comes twice */
    FAULT_SWAP,    /* two change places */
    FAULT_CROSS,   /* one bears another stream's id */
    FAULT_NOEND,   /* the dialect's ending is left out */
    FAULT_TWOENDS, /* it comes twice */
    FAULT_CUT,     /* the connection is closed in the middle */
    FAULT_RESET,   /* or reset */
    FAULT_STALL,   /* or falls silent */
    FAULT_ERROR,   /* an error event in the middle */
};

struct plan {
    struct list link;
    char model[PLAN_MODEL_BYTES];
    enum plan_dialect dialect;
    bool usage;      /* chat: the client wants to know the usage at the end */
    unsigned events; /* texts */
    unsigned text_bytes, burst;
    uint64_t interval_ns, wait_ns;
    enum plan_fault fault;
    int status;
    bool close;       /* without keep-alive */
    bool apart;       /* unpaced: a write for each event, streams in turn */
    uint64_t started; /* streams so far; spreads them over the interval */

    struct slice stream_head;   /* of HTTP */
    struct slice begin;         /* events before the first text */
    struct slice before, after; /* around a text */
    struct slice
        end; /* events behind the last text; not for Responses, whose end repeats the text */
    struct slice error;                     /* an error event */
    struct slice whole_before, whole_after; /* around the text of a whole answer */
};

/*
 * plan_make - read a model name ("load-e512-i20-z64", or anything: then one event of 64 bytes at
 * once). returns  the plan, or NULL without memory
 */
struct plan *plan_make(struct slice model, enum plan_dialect dialect, bool usage) must_check;
void plan_free(struct plan *plan);
/* plan_error_body - what an error status says in this dialect. */
struct slice plan_error_body(const struct plan *plan, char *memory, size_t room);
/*
 * plan_responses_end - the events that end a Responses stream and repeat its text.
 * sequence  the first event's number
 * returns   bytes to be freed by the caller, or NULL without memory
 */
char *plan_responses_end(const struct plan *plan, struct slice text, unsigned sequence,
                         size_t *len) must_check;
/* plan_middle - the text at which a fault happens. */
static inline unsigned
plan_middle(const struct plan *plan)
{
    return plan->events / 2;
}

#endif
