/* SPDX-License-Identifier: MIT
 *
 * gemini_args.h - the arguments of a call that come value by value, each with its place
 * ("$.a.b[0]"): Vertex's streamFunctionCallArguments. They are put together in memory, within
 * bounds, and written once.
 */
#ifndef PENSTOCK_GEMINI_ARGS_H
#define PENSTOCK_GEMINI_ARGS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#define GEMINI_ARGS_NODES_MAX 2048u
#define GEMINI_ARGS_DEPTH_MAX 32
#define GEMINI_ARGS_BYTES_MAX (4u << 20) /* of all values of one call */

struct gemini_node;
struct gemini_args {
    struct arena *arena;
    struct gemini_node *root; /* NULL: nothing came yet */
    uint32_t nodes;
    size_t bytes;
};

void gemini_args_init(struct gemini_args *args, struct arena *arena);
/*
 * gemini_args_take - one element of partialArgs. Pieces of one string come one after another.
 * returns 0; -ERR_UPSTREAM_PROTOCOL (no such place can be), -ERR_UPSTREAM_TOO_LARGE, -ERR_MEMORY
 */
int gemini_args_take(struct gemini_args *args, struct json partial) must_check;
/* gemini_args_put - the JSON text: an object. Without complete it lacks its last brace, and so
 * looks like what it is. */
void gemini_args_put(const struct gemini_args *args, bool complete, struct sink *out);

#endif
