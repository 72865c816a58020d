/* SPDX-License-Identifier: MIT
 *
 * storm.h - what the parts of the storm share: storm_plans.c (what providers do), storm_guests.c (what clients do),
 * storm_judge.c (what must have come of it) and test_storm.c (worlds and weather).
 */
#ifndef PENSTOCK_SIM_STORM_H
#define PENSTOCK_SIM_STORM_H

#include "tests/sim/harness.h"

#define CLIENTS_MAX 6
#define REQUESTS_MAX 4

enum wish { WISH_REPLY, WISH_LOCAL, WISH_REFUSED, WISH_MALFORMED /* no dialect can be known */ };

struct request {
    char marker[32];
    enum wish wish;
    bool stream, usage, http10, last; /* last: no request can follow on this connection */
    struct sink bytes;
};

struct guest { /* a client with its plans */
    struct client *client;
    struct request requests[REQUESTS_MAX];
    uint32_t count, asked;
    bool pipelines, half_closes, pauses, stops;
    size_t piece;
    uint64_t gap_ms;
    size_t heard;
    struct client *again; /* came back for the rest of the stream that it lost; NULL */
    uint32_t lost;        /* which of its requests that was */
};

/* The one storm there is. */
struct storm {
    struct world world;
    struct guest guests[CLIENTS_MAX];
    uint32_t count;
    struct sim_faults faults;
    const char *yaml;
    bool tight;   /* memory may run out */
    bool drained; /* the gateway was told to end */
    bool slept;   /* all deadlines passed at once */
    bool starved; /* the system refuses memory */
    bool early;   /* a provider speaks before it is asked, so its words have no owner */
};


extern struct storm storm;

uint64_t storm_pick(uint64_t n);
bool storm_chance(unsigned percent);
/* storm_tale - what a marker stands for: however often a request is tried again, the words are the same. */
struct tale storm_tale(const char *marker);
provider_plan plan_storm;
/* guest_make - a client with its plans, which begins to ask. */
void guest_make(struct guest *guest, uint32_t number);
/* guests_done - has every guest what it will get? */
bool guests_done(void *user);
/* guest_come_back - who has lost its connection in the middle of a numbered stream asks for the rest of it. */
void guest_come_back(struct guest *guest);
bool guests_back(void *user);
/* judge_guest, judge_return - what came of it; prints and aborts if that is wrong. true: a stream was resumed. */
void judge_guest(const struct guest *guest);
bool judge_return(const struct guest *guest);

#endif
