/* SPDX-License-Identifier: MIT
 *
 * conform.h - "penstock conform URL": does a gateway speak its clients' dialects as their libraries need it?
 *
 * It judges any gateway from outside, over HTTP/1.1, and shares no code with the codecs that it judges: only the parser of
 * JSON and the framing of HTTP. docs/conform.md lists the checks.
 */
#ifndef PENSTOCK_CONFORM_H
#define PENSTOCK_CONFORM_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/sink.h"
#include "http/http.h"
#include "reactor/conn.h"

enum conform_dialect { CONFORM_CHAT, CONFORM_ANTHROPIC, CONFORM_RESPONSES, CONFORM_GEMINI, CONFORM_COMPLETIONS, CONFORM_DIALECTS };
#define CONFORM_STREAMS ((1u << CONFORM_DIALECTS) - 1)

/* ---------------------------------------------------------------- conform_talk.c: one connection to the gateway */

struct conform_target {
    bool tls;
    struct slice host, authority, base; /* base: a path that stands before every other, without its last '/' */
    uint16_t port;
    struct trust *trust;
};

struct talk {
    struct loop *loop;
    struct conn *conn;
    bool failed; /* no connection */
    int error;
};

/* One reply, as it came. */
struct talk_reply {
    int status;
    struct http_reader reader; /* holds the head's bytes */
    struct http_head head;
    struct sink body;
    bool complete; /* the framing says that all of it is there */
    bool chunked, has_length;
    uint64_t first_ms, last_ms; /* of the body's bytes, on the loop's clock */
    const char *problem; /* what kept it from being complete; NULL */
};

void talk_open(struct talk *talk, struct loop *loop, const struct conform_target *target, uint64_t timeout_ms);
void talk_close(struct talk *talk, bool reset);
/* talk_send - in pieces of this many bytes (0: at once), each given to the kernel before the next. */
void talk_send(struct talk *talk, struct slice bytes, size_t piece, uint64_t timeout_ms);
/* talk_read - one reply; stop_at: enough of the body, for those who leave early (0: all). */
void talk_read(struct talk *talk, struct talk_reply *reply, size_t stop_at, uint64_t timeout_ms);
void talk_reply_fini(struct talk_reply *reply);
/* talk_wait - let time pass. */
void talk_wait(struct talk *talk, uint64_t ms);

/* ---------------------------------------------------------------- conform_grammar.c: what a reply says */

#define CONFORM_CALLS_MAX 64
#define CONFORM_TEXT_MAX (4u << 20)

struct conform_call {
    struct slice id, name;
    struct sink arguments;
    bool done;
};

struct conform_told {
    struct sink text, thinking;
    struct conform_call calls[CONFORM_CALLS_MAX];
    uint32_t call_count, events, comments;
    struct slice id, finish; /* decoded */
    bool usage, failed, ended; /* failed: it said an error */
    uint64_t in, out, total; /* UINT64_MAX: not said */
};

/*
 * conform_stream - a whole stream by its dialect's grammar. Strict: what a client library would stumble over is a fault.
 * array    Gemini without alt=sse: a JSON array instead of events
 * returns NULL, or what is wrong (in the arena)
 */
const char *conform_stream(enum conform_dialect dialect, struct slice body, bool array, struct arena *arena, struct conform_told *told);
/* conform_whole - a reply that is one object. */
const char *conform_whole(enum conform_dialect dialect, struct slice body, struct arena *arena, struct conform_told *told);
/* conform_error - an error body in the dialect's envelope, with a message, fitting the status. */
const char *conform_error(enum conform_dialect dialect, int status, struct slice body, struct arena *arena);
void conform_told_fini(struct conform_told *told);

/* ---------------------------------------------------------------- conform_checks.c */

enum conform_verdict { CONFORM_PASS, CONFORM_FAIL, CONFORM_SKIP };

struct conform {
    struct loop *loop;
    struct conform_target target;
    struct slice key, model;          /* key: secret */
    struct slice tools, slow, error;  /* models for special purposes; absent: none is known */
    bool demo;                        /* penstock's demo models answer */
    uint64_t timeout_ms;
    struct arena *arena;              /* reset after each check */
    char detail[512];                 /* why a check failed or was skipped */
};

struct conform_check {
    const char *name, *text;
    unsigned dialects; /* 1 << enum conform_dialect; 0: of the gateway, not of a dialect */
    enum conform_verdict (*run)(struct conform *, enum conform_dialect);
};
extern const struct conform_check conform_checks[];
extern const size_t conform_check_count;
const char *conform_dialect_word(enum conform_dialect dialect);
/* conform_speaks - does the gateway answer in this dialect at all? */
bool conform_speaks(struct conform *conform, enum conform_dialect dialect);
/* conform_discover - choose the models from the gateway's list. false: there is no list, or nothing on it. */
bool conform_discover(struct conform *conform, struct arena *kept);

/* ---------------------------------------------------------------- conform.c */

/* conform_main - the sub-command; argv[0] is "conform". 0 all passed, 1 something failed, 2 wrong usage, 3 not reachable. */
int conform_main(int argc, char **argv);

#endif
