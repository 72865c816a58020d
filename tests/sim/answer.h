/* SPDX-License-Identifier: MIT
 *
 * answer.h - the simulator's own reading of what a client received: HTTP heads and bodies,
 * server-sent events, and the grammars of both dialects.
 *
 * Nothing here uses the program's codecs, so that a misreading is not shared. Readers are plain and
 * strict: what they do not expect is wrong.
 */
#ifndef PENSTOCK_SIM_ANSWER_H
#define PENSTOCK_SIM_ANSWER_H

#include "base/sink.h"

enum dialect_spoken { SPEAKS_CHAT, SPEAKS_MESSAGES, SPEAKS_RESPONSES, SPEAKS_GEMINI };

/* ---------------------------------------------------------------- HTTP */

struct answer {
    int status;
    struct slice head; /* from the status line to the empty line, which is left out */
    struct sink body;  /* framing removed; what has come so far */
    bool chunked, complete, until_close;
    const char *wrong; /* a literal: why this is no HTTP; NULL */
    uint64_t interim;  /* replies with 1xx in front of it */
};

/*
 * answer_read - the next reply in the bytes that were received; advances *bytes past what belongs
 * to it. over      the connection has ended: a body without framing is complete returns   a reply
 * has begun (answer->complete says whether it is whole); false: nothing is there. The caller fins.
 */
bool answer_read(struct answer *answer, struct slice *bytes, bool over);
void answer_fini(struct answer *answer);
/* answer_field - the value of a field, absent when it is not there. */
struct slice answer_field(const struct answer *answer, const char *name);

/* ---------------------------------------------------------------- JSON, as little as is needed */

/* raw_find - the raw value at a path like "choices.0.delta.content", absent if there is none.
 * Strings keep their quotes. The text is not validated beyond its brackets and quotes. */
struct slice raw_find(struct slice text, const char *path);
/* raw_len - the length of the value at the front; 0: it does not end. */
size_t raw_len(struct slice text);
/* raw_whole - do the brackets and quotes of this text close, and does it hold exactly one value? */
bool raw_whole(struct slice text);
/* raw_text - a string's contents without its quotes, absent for anything else. Escapes stay. */
struct slice raw_text(struct slice value);

/* ---------------------------------------------------------------- streams */

enum told { TOLD_NOTHING, TOLD_OPEN, TOLD_WELL, TOLD_ERROR, TOLD_WRONG };

struct telling {
    enum told how;
    char wrong[200];   /* what breaks the grammar */
    struct sink text;  /* of all text deltas */
    struct sink input; /* of all tool arguments */
    char finish[32], code[64];
    int events, pings, comments, tools;
    bool usage;
    bool late; /* an error behind the finish: the rest was lost for want of memory */
};

/* telling_read - an SSE body in this dialect, from its first byte. The caller fins. */
void telling_read(struct telling *telling, enum dialect_spoken dialect, struct slice body);
/* telling_read_array - a stream of Gemini's whose events are the elements of one JSON array. */
void telling_read_array(struct telling *telling, struct slice body);
/* telling_read_whole - the same for a whole JSON reply. */
void telling_read_whole(struct telling *telling, enum dialect_spoken dialect,
                        const struct answer *answer);
void telling_fini(struct telling *telling);

#endif
