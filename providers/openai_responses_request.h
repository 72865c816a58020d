/* SPDX-License-Identifier: MIT
 *
 * openai_responses_request.h - the request side of the OpenAI Responses dialect, both directions,
 * and what its files share among themselves.
 *
 * A namespace of functions is flattened: the function f of the namespace n is the tool n__f, and
 * its canon_tool.type holds n. responses_client_tool takes such a name apart again for the client.
 */
#ifndef PENSTOCK_OPENAI_RESPONSES_REQUEST_H
#define PENSTOCK_OPENAI_RESPONSES_REQUEST_H

#include "providers/dialect.h"
#include "providers/splice.h"

#define RESPONSES_DEPTH_MAX 128
#define RESPONSES_TOKENS_MAX (1u << 24)
#define RESPONSES_BYTES_MAX (64u << 20)
#define RESPONSES_ID_MAX 64         /* of a call_id */
#define RESPONSES_MARKERS_MAX 4     /* of cached prefixes */
#define RESPONSES_OUTPUT_LEAST 16   /* OpenAI refuses a smaller max_output_tokens */
#define RESPONSES_NAMESPACES_MAX 64 /* more are flattened, but not found behind a dot */

/* ---------------------------------------------------------------- members of the dialect */

int responses_outline(struct canon_request *request, struct canon_fault *fault);
int responses_read_request(struct canon_request *request, struct canon_fault *fault);
/* responses_check_pass - does the request need state that this upstream does not keep? 0,
 * -ERR_UNSUPPORTED with fault. */
int responses_check_pass(const struct canon_request *request,
                         const struct dialect_upstream *upstream, struct canon_fault *fault);
/* responses_pass_request - besides what all dialects do: reasoning that another provider wrapped
 * goes no further. */
int responses_pass_request(const struct canon_request *request,
                           const struct dialect_upstream *upstream, struct sink *out);
int responses_write_request(const struct canon_request *request,
                            const struct dialect_upstream *upstream, struct sink *out,
                            struct canon_report *report, struct canon_fault *fault);
void responses_put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream);
int responses_fields(const struct dialect_upstream *upstream, struct arena *scratch,
                     struct dialect_field out[4]);

bool responses_can_count(const struct dialect_upstream *upstream);
void responses_put_count_target(struct sink *out, const struct dialect_upstream *upstream);
int responses_write_count(const struct canon_request *request,
                          const struct dialect_upstream *upstream, struct sink *out,
                          struct canon_report *report, struct canon_fault *fault);
int responses_read_count(struct slice body, struct arena *scratch, uint64_t *tokens);
void responses_write_count_reply(uint64_t tokens, struct sink *out);

/*
 * responses_client_tool - is this the flattened name of a function in a namespace of the client's
 * request? Then both halves, escaped; else *bare is the name itself. request may be NULL. name: as
 * canon_client_name gives it.
 */
bool responses_client_tool(const struct canon_request *request, struct slice name,
                           struct slice *name_space, struct slice *bare);

/* ---------------------------------------------------------------- reading */

struct responses_reading {
    struct canon_request *request;
    struct canon_fault *fault;
    struct canon_message **link; /* where the next message goes */
    struct canon_message
        *assistant; /* the assistant's turn under way: NULL when anyone else spoke last */
    struct canon_part **part_link; /* where its next part goes */
    struct canon_tool **tool_link;
    struct slice namespaces[RESPONSES_NAMESPACES_MAX]; /* escaped */
    int namespace_count;
    uint32_t item;    /* for the fault */
    uint32_t markers; /* of cached prefixes, so far */
};

/* responses_refuse - the fault, and -error. */
int responses_refuse(struct canon_fault *fault, int error, const char *param, const char *message);
/* openai_responses_items_read.c: instructions and input as messages. */
int responses_read_items(struct responses_reading *at);
/* openai_responses_parts_read.c: content, and what a tool answered (a string or a list), behind
 * *link. */
int responses_read_content(struct responses_reading *at, struct json content,
                           struct canon_part ***link);
/* responses_refuse_item - -ERR_REQUEST with the place of the item. */
int responses_refuse_item(struct responses_reading *at, const char *message);
struct canon_part *responses_add_part(struct responses_reading *at, struct canon_part ***link,
                                      enum canon_part_kind kind, struct json value);
/* openai_responses_tools_read.c: a list of tools, behind those there are; and the choice among
 * them. */
int responses_read_tools(struct responses_reading *at, struct json tools, const char *param);
int responses_read_choice(struct responses_reading *at);
/* responses_flat_name - the tool's name with its namespace (absent: none) in front; escaped. Absent
 * without memory. */
struct slice responses_flat_name(struct responses_reading *at, struct slice name_space,
                                 struct slice name);

/* ---------------------------------------------------------------- writing */

/* A call or a result of the history, in the order of the messages. */
struct responses_pair {
    const struct canon_part *part;
    struct slice id; /* call_id: legal, the same for both, another for every call; escaped */
    uint32_t next;   /* while pairing: the next open call with the same id, or UINT32_MAX */
    bool custom;     /* of a custom tool: both halves */
    bool matched;    /* a call with a result; a result with a call */
};
struct responses_pairs {
    struct responses_pair *at;
    size_t count, next; /* next: the first that is not yet written */
};
/* responses_pair - find each result's call. 0, -ERR_MEMORY. */
int responses_pair(const struct canon_request *request, struct responses_pairs *out);

struct responses_writing {
    const struct canon_request *request;
    const struct dialect_upstream *upstream;
    struct arena *arena;
    struct json_writer json;
    struct sink *out;
    struct canon_report *report;
    struct canon_fault *fault;
    struct responses_pairs pairs;
    const struct canon_part *thoughts; /* the first of those that wait for what they led to */
    bool counting;                     /* only what counts as input is written */
    bool in_message;                   /* an assistant's message item is open */
};

int responses_unsupported(struct responses_writing *at, const char *param, const char *why);
/* openai_responses_request_write.c: the whole body; without what does not count as input while
 * counting. */
int responses_put_body(struct responses_writing *at);
/* openai_responses_items_write.c: "instructions" and "input". */
int responses_put_items(struct responses_writing *at);
/* openai_responses_parts_write.c */
int responses_put_part(struct responses_writing *at, const struct canon_part *part);
/* responses_put_output - the "output" of a result. */
int responses_put_output(struct responses_writing *at, const struct canon_part *result);
void responses_drop_native(struct responses_writing *at, const struct canon_part *part);
/* responses_put_text - an input_text, output_text or refusal part; word names the member, too, for
 * a refusal. */
void responses_put_text(struct responses_writing *at, const char *type, const char *member,
                        struct slice text);
/* openai_responses_tools_write.c: tools, choice, parallel_tool_calls. */
int responses_put_tools(struct responses_writing *at);
/* openai_responses_pass.c: configured defaults for what neither root nor given has, in this
 * dialect's words. */
void responses_put_defaults(struct splice *splice, struct json root, struct json given,
                            struct slice params);

#endif
