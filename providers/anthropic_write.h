/* SPDX-License-Identifier: MIT
 *
 * anthropic_write.h - what the files that write a Messages request share. Private to
 * providers/anthropic*.c.
 */
#ifndef PENSTOCK_ANTHROPIC_WRITE_H
#define PENSTOCK_ANTHROPIC_WRITE_H

#include "providers/anthropic.h"
#include "providers/anthropic_turns.h"

struct writing {
    const struct canon_request *request;
    const struct dialect_upstream *upstream;
    struct arena *arena;
    struct sink *out;
    struct json_writer json; /* over out */
    struct json defaults;    /* configured, for fields that the request leaves out; or absent */
    struct canon_report *report;
    struct canon_fault *fault;
    bool answer_tool;        /* the form of the answer is that of a tool's input */
    bool counting;           /* tokens are to be counted: no field that this refuses */
    const char *settled[24]; /* top-level fields that are written, or deliberately left out */
    int settled_count;
};

/* anthropic_settle - no default may be added for this top-level field. name is a literal. */
void anthropic_settle(struct writing *at, const char *name);
/* anthropic_field - begin a top-level field: its value is to be written next. */
void anthropic_field(struct writing *at, const char *name);

/* anthropic_put_text - a text block. text is escaped; part, which may be NULL, gives its cache
 * marker. */
void anthropic_put_text(struct writing *at, struct slice text, const struct canon_part *part);
/* anthropic_put_turn - one message. 0, -ERR_MEMORY, -ERR_UNSUPPORTED with fault. */
int anthropic_put_turn(struct writing *at, const struct turn *turn);

/* How the upstream is told to think. */
enum thinking_form { THINK_OFF, THINK_BUDGET, THINK_ADAPTIVE };
struct thinking_plan {
    enum thinking_form form;
    uint64_t budget, max_tokens;
    struct slice effort; /* escaped; absent: none */
    const char *display; /* NULL: as the model does by itself */
};
/* anthropic_plan_thinking - from effort, budget and model. */
struct thinking_plan anthropic_plan_thinking(const struct writing *at);

/* anthropic_lacks_formats - is it a model that cannot be held to a JSON schema? */
bool anthropic_lacks_formats(const struct dialect_upstream *upstream);
/* anthropic_samples_alone - is it a model that refuses temperature, top_p and top_k? */
bool anthropic_samples_alone(const struct dialect_upstream *upstream);

/* anthropic_put_tools - tools and tool_choice. 0, -ERR_MEMORY, -ERR_UNSUPPORTED with fault. */
int anthropic_put_tools(struct writing *at);
/* anthropic_is_object_schema - can it be the schema of a tool's input? */
bool anthropic_is_object_schema(struct writing *at, struct slice schema);

#endif
