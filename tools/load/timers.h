/* SPDX-License-Identifier: MIT
 *
 * timers.h - what is due when: a wheel of an eighth of a millisecond a slot, and one of half a
 * second a slot behind it. Adding and taking cost the same for one timer and for a hundred
 * thousand.
 */
#ifndef PENSTOCK_LOAD_TIMERS_H
#define PENSTOCK_LOAD_TIMERS_H

#include "base/list.h"

#define TIMERS_SLOT_NS 125000u
#define TIMERS_SLOTS 4096

struct timer {
    struct list link;
    uint64_t due_ns;
};

struct timers {
    uint64_t slot;  /* the next one to look at, counted from the clock's zero */
    uint64_t round; /* of the near wheel, that it has been filled for */
    struct list near[TIMERS_SLOTS], far[TIMERS_SLOTS];
    uint64_t used[TIMERS_SLOTS / 64]; /* near slots that may hold something */
    struct list due;
};

void timers_init(struct timers *timers, uint64_t now_ns);
void timer_init(struct timer *timer);
/* timers_add - call for it at due_ns; what is past comes at once. One that runs is moved. */
void timers_add(struct timers *timers, struct timer *timer, uint64_t due_ns);
/* timer_stop - never mind. */
void timer_stop(struct timer *timer);
/* timers_take - the next timer that is due, or NULL. */
struct timer *timers_take(struct timers *timers, uint64_t now_ns);
/* timers_wait_ns - how long nothing is due, at most half a second. */
uint64_t timers_wait_ns(const struct timers *timers, uint64_t now_ns);

#endif
