/* SPDX-License-Identifier: MIT
 *
 * check.h - does an answer hold what load_provider said, once, in order, and does it end as its
 * dialect ends? Written without a line of the gateway's own readers, which it is there to check.
 */
#ifndef PENSTOCK_LOADGEN_CHECK_H
#define PENSTOCK_LOADGEN_CHECK_H

#include "base/slice.h"
#include "tools/load/histogram.h"

enum dialect { DIALECT_CHAT, DIALECT_ANTHROPIC, DIALECT_RESPONSES, DIALECT_GEMINI };

/* What can be wrong: name in the report, and what it means. */
#define WRONGS(x)                                                                                  \
    x(CONNECT, "connect")             /* no connection */                                          \
        x(RESET, "reset")             /* reset in the middle */                                    \
        x(CUT, "cut")                 /* closed in the middle */                                   \
        x(FRAMING, "framing")         /* not HTTP/1.1 */                                           \
        x(STATUS, "status")           /* not 200 */                                                \
        x(MALFORMED, "malformed")     /* an event or a body that makes no sense */                 \
        x(LOST, "lost")               /* texts that never came */                                  \
        x(DUPLICATED, "duplicated")   /* texts that came twice */                                  \
        x(REORDERED, "reordered")     /* texts that came late */                                   \
        x(CROSSED, "crossed")         /* texts of another stream */                                \
        x(NO_END, "no_end")           /* without the dialect's ending */                           \
        x(TWO_ENDS, "two_ends")       /* with more than one */                                     \
        x(AFTER_END, "after_end")     /* something behind the ending */                            \
        x(ERROR_EVENT, "error_event") /* the stream said that it failed */                         \
        x(TIMEOUT, "timeout")         /* silent for too long */

enum wrong {
#define X(name, text) WRONG_##name,
    WRONGS(X)
#undef X
        WRONGS_COUNT,
};

extern const char *const wrong_names[WRONGS_COUNT];

/* What all checks of a run add to. */
struct tally {
    uint64_t wrongs[WRONGS_COUNT];
    uint64_t texts, events;
    char first[512]; /* what was wrong first */
    struct histogram latency;
};

void tally_wrong(struct tally *tally, enum wrong wrong, uint64_t id, struct slice shown);

struct check {
    struct tally *tally;
    uint64_t id;
    uint32_t next; /* the text that should come */
    uint32_t missing, hole_from,
        hole_to; /* texts left out so far, and where the last of them were */
    uint8_t dialect, ends, finishes;
    bool begun, last_seen, failed;
};

void check_begin(struct check *check, struct tally *tally, enum dialect dialect, uint64_t id);
/* check_event - one event: its name (absent: none was given) and its data. */
void check_event(struct check *check, struct slice name, struct slice data, uint64_t now_ns);
/* check_stream_end - the stream is over. */
void check_stream_end(struct check *check);
/* check_whole - a whole answer. */
void check_whole(struct check *check, struct slice body, uint64_t now_ns);

#endif
