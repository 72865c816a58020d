/* SPDX-License-Identifier: MIT
 *
 * demo_script.h - what a demo model says to a request, as a script of deltas, and its two ways of being written.
 */
#ifndef PENSTOCK_DEMO_SCRIPT_H
#define PENSTOCK_DEMO_SCRIPT_H

#include "base/arena.h"
#include "base/json.h"
#include "providers/dialect.h"

#define DEMO_PIECES_MAX 512

enum demo_kind { DEMO_THINK, DEMO_TEXT, DEMO_CALL, DEMO_ARGUMENTS };

struct demo_piece {
    enum demo_kind kind;
    struct slice text; /* escaped: a delta, or a call's name */
};

struct demo_script {
    enum dialect_id dialect;
    char id[25];
    int64_t created_s;
    struct slice model;          /* escaped */
    bool stream, include_usage, fails;
    uint64_t pace_ms;
    uint64_t prompt_tokens;
    struct demo_piece pieces[DEMO_PIECES_MAX];
    int count;
    int at;                      /* the next step */
    int block;                   /* Anthropic: index of the open block, -1 none */
    enum demo_kind block_kind;
    bool calls;
};

/* demo_script_init - read a request and think of an answer. 0, -ERR_JSON, -ERR_REQUEST, -ERR_MEMORY. */
int demo_script_init(struct demo_script *script, enum dialect_id dialect, struct slice body, const char *id,
                     int64_t created_s, struct arena *arena) must_check;
/* demo_script_step - append the next events as SSE; false after the last. */
bool demo_script_step(struct demo_script *script, struct sink *out);
/* demo_script_whole - the whole reply as one JSON object. */
void demo_script_whole(const struct demo_script *script, struct sink *out);

#endif
