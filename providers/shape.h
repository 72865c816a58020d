/* SPDX-License-Identifier: MIT
 *
 * shape.h - what an operator wants done to requests for certain models: instructions added or thinned out, tools cut down, a
 * conversation shortened to the window, prefixes marked for the cache.
 *
 * Everything is off unless it is configured. The client's request is never changed: what is different lies in a copy of the
 * lists that lead to it, so the next deployment starts from what the client sent.
 */
#ifndef PENSTOCK_SHAPE_H
#define PENSTOCK_SHAPE_H

#include "providers/canon.h"
#include "providers/inputs.h"

/* How much of a client's instructions goes (R146). auto: by how long they are. */
enum shape_filter { FILTER_OFF, FILTER_MINIMAL, FILTER_MODERATE, FILTER_AGGRESSIVE, FILTER_EXTREME, FILTER_AUTO };

struct shape_rules {
    struct slice models;        /* JSON array of names of upstream models, each with one '*' at most; absent: all */
    struct slice system_prompt; /* text; absent: none */
    bool system_append;         /* behind the client's instructions, not in front of them */
    struct slice user_suffix;   /* text behind the last words of the user; absent: none */
    enum shape_filter filter;
    uint64_t stub_letters;      /* most letters of a tool's description; 0: any number */
    bool simple_schemas, sort_tools;
    struct slice allow_tools;   /* JSON array of names; absent: all */
    bool truncate;
    uint64_t context_tokens;    /* 0: unknown, nothing is truncated */
    uint64_t reserve_tokens;    /* for the reply */
    uint64_t keep_messages;     /* the last ones, which stay in any case */
    bool cache;                 /* mark long instructions and tools for the provider's cache */
    uint64_t cache_tokens;      /* long: at least so many */
    uint64_t max_output_tokens; /* of the model; 0: unknown */
    bool refuse;                /* what cannot be said to the upstream is a fault, not left out */
    struct canon_input_rules inputs; /* of replies, not of requests */
};

struct shape_notes {
    bool system, messages, tools;    /* what is different; Chat has its instructions among its messages */
    uint64_t dropped_messages, dropped_tokens;
    bool filter_failed;              /* what the filter left lacked something: the instructions stay as they were */
};

/* shape_means - are the rules for this upstream model? */
bool shape_means(const struct shape_rules *rules, struct slice model);
/* shape_applies - is there anything to do for this upstream model? */
bool shape_applies(const struct shape_rules *rules, struct slice model);
/*
 * shape_request - the request as these rules want it.
 * out    [out] a copy whose lists are its own; what is not different is shared with request
 * notes  [out] what is different
 * returns 0, -ERR_MEMORY, -ERR_LIMIT (a rule that the configuration should have refused)
 */
int shape_request(const struct canon_request *request, const struct shape_rules *rules, struct arena *arena, struct canon_request *out,
                  struct shape_notes *notes) must_check;

/* shape_matches - name against a JSON array of patterns, each with one '*' at most. */
bool shape_matches(struct slice patterns, struct slice name, struct arena *arena);

/* ---- the parts; request is a copy whose list of messages or tools they may relink, whose elements they may not change ---- */

struct shaping {
    struct canon_request *request;
    const struct shape_rules *rules;
    struct arena *arena;
    struct shape_notes *notes;
};
/* shape_copy_message, shape_copy_part - a copy in the place of its own in the list, NULL without memory. What is changed in a copy of
 * a part no longer has the value that the client wrote. */
struct canon_message *shape_copy_message(struct shaping *shape, struct canon_message **link);
struct canon_part *shape_copy_part(struct shaping *shape, struct canon_part **link);
bool shape_is_system(const struct canon_message *message);
/* shape_weigh - tokens of a request of which only messages, tools and model are looked at. */
uint64_t shape_weigh(const struct canon_request *request, struct canon_message *messages, struct canon_tool *tools);

int shape_trim(struct shaping *shape) must_check;          /* shape_trim.c */
int shape_tools(struct shaping *shape) must_check;         /* shape_tools.c */
/* shape_schema - a schema made plain; what is no object stays as it is. */
int shape_schema(struct slice schema, struct arena *arena, struct slice *out) must_check; /* shape_schema.c */
int shape_filter_system(struct shaping *shape) must_check; /* shape_filter.c */

#endif
