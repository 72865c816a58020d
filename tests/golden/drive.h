/* SPDX-License-Identifier: MIT
 *
 * drive.h - a reply on its way from an upstream's bytes to a client's, as the gateway takes it,
 * without sockets: the bytes split as asked, decoded, read, filtered, guarded, and passed or
 * written.
 */
#ifndef PENSTOCK_TESTS_DRIVE_H
#define PENSTOCK_TESTS_DRIVE_H

#include "providers/dialect.h"

enum drive_split { SPLIT_NONE, SPLIT_BYTES, SPLIT_RANDOM };

struct drive {
    const struct dialect *client, *upstream;
    struct dialect_writer_options options;
    bool think;  /* take <think> out of text */
    bool textcall; /* make calls of <tool_call> in text */
    bool early;  /* the client's stream is committed before the upstream speaks */
    bool framed; /* the upstream answers with SSE, else with one JSON body */
    int status;  /* the upstream's */
    enum drive_split split;
    uint32_t seed;
    /* Bytes that the reply, and one event of it, may take; 0: plenty. Where they do not suffice the result is
     * an error, and its text is not looked at. */
    size_t memory_max, event_max;
};

struct drive_result {
    struct sink text; /* what the client gets: SSE, or one JSON body */
    int error;        /* 0 or -ERR_x: how the reply failed */
    int status;       /* the client's */
    uint32_t flaws;
    const char *verdict;
    size_t arena_bytes; /* used of the reply's arena */
    size_t event_bytes; /* the most that one event took */
};

/* drive_reply - result is initialised here; drive_result_fini frees it. */
void drive_reply(const struct drive *drive, struct slice upstream, struct drive_result *result);
void drive_result_fini(struct drive_result *result);

/* starve.c: with too little memory, wherever it runs out, there is the same answer or an error that says so. NULL, or what
 * is wrong. */
const char *starve_reply(const struct drive *drive, struct slice upstream);
const char *starve_request(const struct dialect *client, const struct dialect *upstream,
                           const struct dialect_upstream *target, const struct canon_request *request);

/* judge_chat - is this a well-formed Chat Completions stream (or a well-formed failed one)? NULL,
 * or what is wrong with it. */
const char *judge_chat(struct slice text);
/* judge_responses - the same for a Responses stream. */
const char *judge_responses(struct slice text);
/* judge_gemini - the same for a generateContent stream. */
const char *judge_gemini(struct slice text);

#endif
