/* SPDX-License-Identifier: MIT
 *
 * names.h - name servers in virtual time: c-ares as the reactor sees it, answering by a script instead of over sockets.
 *
 * A name answers by what it is called: what is said of a host in names_say, or else one address of the simulator's.
 */
#ifndef PENSTOCK_SIM_NAMES_H
#define PENSTOCK_SIM_NAMES_H

#include "reactor/sim.h"

struct names_weather { /* of 1024 questions each */
    unsigned slow;     /* seconds rather than milliseconds */
    unsigned refused;  /* SERVFAIL, or no server that answers */
    unsigned missing;  /* no such name, or no address of this family */
    unsigned several;  /* up to six addresses, of which some refuse and some are never heard of again */
    unsigned at_once;  /* as from the hosts file: the answer comes inside the question */
    unsigned no_channel; /* the resolver can not be opened */
};
struct names_tally {
    uint64_t asked, slow, refused, missing, several;
};

/* names_begin - answer questions in this world's time, by its own chance; names_weather NULL: well, always. */
void names_begin(struct sim *sim, uint64_t seed, const struct names_weather *weather);
struct names_tally names_tally(void);

#endif
