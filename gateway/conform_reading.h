/* SPDX-License-Identifier: MIT
 *
 * conform_reading.h - what the judges of streams and of whole replies have in common.
 */
#ifndef PENSTOCK_CONFORM_READING_H
#define PENSTOCK_CONFORM_READING_H

#include "gateway/conform.h"

#define NO SLICE_LIT("")
/* FAULT - the first fault in words, with two arguments: a C string and a slice. */
#define FAULT(...) return conform_fault(at, __VA_ARGS__)

struct conform_reading {
    enum conform_dialect dialect;
    struct arena *arena;
    struct conform_told *told;
    bool started, finished, terminal;
    /* Anthropic, Responses: the open block or item */
    uint32_t blocks;
    bool open;
    struct slice open_type;
    struct conform_call *call;
    uint64_t sequence;
    bool item_open[CONFORM_CALLS_MAX];
    struct conform_call *item_call[CONFORM_CALLS_MAX]; /* calls may grow side by side */
    uint32_t items;
};

const char *conform_fault(const struct conform_reading *at, const char *format, const char *a, struct slice b);
/* conform_keep - a string in memory that outlives the text it stands in; empty if it is none. */
struct slice conform_keep(struct json value, struct arena *arena);
void conform_begin(struct conform_told *told);
struct conform_call *conform_new_call(struct conform_told *told);
void conform_add_text(const struct conform_reading *at, struct sink *to, struct json value);
/* conform_check_calls - every call has an id of its own, a name, and arguments that are a JSON object. */
const char *conform_check_calls(const struct conform_reading *at);
void conform_take_usage(struct conform_told *told, struct json usage, const char *in, const char *out);
const char *conform_check_usage(const struct conform_reading *at);
const char *conform_gemini_event(struct conform_reading *at, struct json root);
const char *conform_gemini_end(struct conform_reading *at);
const char *conform_final_response(struct conform_reading *at, struct json response);

#endif
