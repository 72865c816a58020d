/* SPDX-License-Identifier: MIT
 *
 * openai_chat_write.h - what the files that write a Chat Completions request share among
 * themselves.
 */
#ifndef PENSTOCK_OPENAI_CHAT_WRITE_H
#define PENSTOCK_OPENAI_CHAT_WRITE_H

#include "providers/openai_chat.h"

#define CHAT_ID_MAX 40 /* what the strictest OpenAI deployments take */

/* A call of the last assistant turn, waiting for its result. */
struct chat_open_call {
    struct slice id; /* the client's */
    struct slice
        wire;      /* what the upstream is told: legal, and no other call of the request has it */
    uint64_t hash; /* of id */
    bool answered;
};

/* An id that the upstream was told. */
struct chat_used_id {
    uint64_t hash;   /* 0: free */
    uint32_t copies; /* the last number that a repetition of it was given */
};

/* The request being written for another dialect's client. */
struct chat_request_writer {
    const struct canon_request *request;
    const struct dialect_upstream *upstream;
    struct json_writer json;
    struct sink *out;
    struct sink text; /* one content under construction, escaped */
    struct canon_report *report;
    struct canon_fault *fault;
    uint32_t images;              /* shown in a message after the tool results of this turn */
    struct chat_open_call *calls; /* CHAT_CALLS_MAX at most */
    uint32_t call_count, call_next;
    struct chat_used_id *used; /* the ids told so far; a power of two of them */
    size_t used_size;
};

/* openai_chat_messages_write.c */
int chat_put_messages(struct chat_request_writer *to);
void chat_begin_text(struct chat_request_writer *to);
/* chat_add_text - escaped text below what is there, with something between. */
void chat_add_text(struct chat_request_writer *to, struct slice text, const char *between);
void chat_put_text(struct chat_request_writer *to, const char *name, struct slice text);
void chat_begin_message(struct chat_request_writer *to, const char *role);
void chat_note_markers(struct chat_request_writer *to, const struct canon_part *part);
/* chat_refuse_part - the request is refused: the upstream cannot be sent such a thing. */
int chat_refuse_part(struct chat_request_writer *to, const char *what);
/* chat_drop_native - a part that only its own dialect knows, reported by its name. */
void chat_drop_native(struct chat_request_writer *to, const struct canon_part *part);
/* chat_put_missing_results - calls that nobody answered get an answer that says so. */
void chat_put_missing_results(struct chat_request_writer *to);

/* openai_chat_assistant_write.c */
int chat_put_assistant(struct chat_request_writer *to, const struct canon_message *message);

/* openai_chat_tools_write.c: tools and the choice among them. */
int chat_put_tools(struct chat_request_writer *to);
/* chat_is_official - is it OpenAI itself, or Azure: does it know what only OpenAI knows? */
static inline bool
chat_is_official(const struct dialect_upstream *upstream)
{
    return upstream->keeps_state && upstream->developer_role;
}

#endif
