/* SPDX-License-Identifier: MIT
 *
 * discover.h - which models answer in which region (R92).
 *
 * "penstock discover" asks every deployment for next to nothing and keeps what it learnt in a file. A running gateway reads that file,
 * at the start, at a reload and when it changes: what did not answer there is tried last within its group, never left out, so
 * that an old file costs a detour and no more.
 */
#ifndef PENSTOCK_DISCOVER_H
#define PENSTOCK_DISCOVER_H

#include "gateway/cli.h"

struct deployment;
struct generation;

enum discover_verdict {
    DISCOVER_UNKNOWN, /* nobody asked */
    DISCOVER_ANSWERS,
    DISCOVER_NO_ACCESS, /* the key is not taken, or not for this */
    DISCOVER_NOT_THERE, /* no such model in this place */
    DISCOVER_BUSY,      /* it is there, and has no time now */
    DISCOVER_FAILED,    /* anything else: it says nothing of the model */
    DISCOVER_COUNT
};

struct discover_finding {
    enum discover_verdict verdict;
    int status; /* 0: no reply came */
    uint32_t took_ms;
};

/* discover_main - the command. Returns its exit status: 0 when every model answers somewhere. */
int discover_main(const struct cli *cli, char *const *variables) must_check;

/* ---- the file, discover_file.c */

/* discover_word - "answers", ... as files and tables say it. */
const char *discover_word(enum discover_verdict verdict);
/* discover_put - findings, one for each deployment of the generation, as JSON. */
void discover_put(struct sink *out, const struct generation *generation, const struct discover_finding *findings, uint64_t unix_s);
/* discover_write - text into a file that is there whole or not at all, for its owner only. 0 or -ERR_SYSTEM. */
int discover_write(struct slice path, struct slice text) must_check;
/*
 * discover_take - what a file's text says of the deployments of a generation, which may be in use.
 * unix_s, now_ms  the time, by the wall and by the loops' clock
 * returns 1; 0: it is too old; -ERR_JSON: it is not such a file. What is too old or wrong changes nothing.
 */
int discover_take(struct generation *generation, struct slice text, uint64_t unix_s, uint64_t now_ms) must_check;

struct discover_seen { /* the file as it was when it was read; zero: never */
    uint64_t device, inode, bytes, changed_s, changed_ns;
};
/* discover_read - take the generation's file if it is another than seen. Blocks a little: for main's thread. */
void discover_read(struct generation *generation, struct discover_seen *seen);
/* discover_doubts - did this deployment not answer when it was asked, not too long ago? */
bool discover_doubts(const struct deployment *deployment, uint64_t now_ms);
/* discover_expose - what is known, as JSON: for GET /health/discovery. */
void discover_expose(const struct generation *generation, uint64_t unix_s, uint64_t now_ms, struct sink *out);

#endif
