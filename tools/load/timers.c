/* SPDX-License-Identifier: MIT
 *
 * timers.c - see timers.h. A timer's slot is rounded up, so none comes early and none later than
 * one slot.
 */
#include "tools/load/timers.h"

#include <string.h>

#define ROUND(slot) ((slot) / TIMERS_SLOTS)

void
timers_init(struct timers *timers, uint64_t now_ns)
{
    timers->slot = now_ns / TIMERS_SLOT_NS;
    timers->round = ROUND(timers->slot);
    memset(timers->used, 0, sizeof(timers->used));
    for (int i = 0; i < TIMERS_SLOTS; i++) {
        list_init(&timers->near[i]);
        list_init(&timers->far[i]);
    }
    list_init(&timers->due);
}

void
timer_init(struct timer *timer)
{
    list_init(&timer->link);
}

void
timers_add(struct timers *timers, struct timer *timer, uint64_t due_ns)
{
    list_remove(&timer->link);
    timer->due_ns = due_ns;
    uint64_t slot = (due_ns + TIMERS_SLOT_NS - 1) / TIMERS_SLOT_NS;
    if (slot < timers->slot) {
        list_push_back(&timers->due, &timer->link);
    } else if (ROUND(slot) == ROUND(timers->slot)) {
        list_push_back(&timers->near[slot % TIMERS_SLOTS], &timer->link);
        timers->used[slot % TIMERS_SLOTS / 64] |= 1ull << (slot % 64);
    } else {
        list_push_back(&timers->far[ROUND(slot) % TIMERS_SLOTS], &timer->link);
    }
}

void
timer_stop(struct timer *timer)
{
    list_remove(&timer->link);
}

/* A new round of the near wheel: what is due in it comes over from the far one. */
static void
turn_round(struct timers *timers)
{
    struct list moved;
    timers->round = ROUND(timers->slot);
    list_init(&moved);
    list_move_all(&moved, &timers->far[ROUND(timers->slot) % TIMERS_SLOTS]);
    for (struct list *node; (node = list_pop(&moved));) {
        struct timer *timer = list_entry(node, struct timer, link);
        timers_add(timers, timer, timer->due_ns);
    }
}

/* The first slot at or behind timers->slot that may hold something, or the first of the next round.
 */
static uint64_t
next_used(const struct timers *timers)
{
    uint64_t at = timers->slot % TIMERS_SLOTS, base = timers->slot - at;
    uint64_t word = timers->used[at / 64] & (~0ull << (at % 64));
    for (uint64_t i = at / 64;;) {
        if (word)
            return base + i * 64 + (uint64_t)__builtin_ctzll(word);
        if (++i == TIMERS_SLOTS / 64)
            return base + TIMERS_SLOTS;
        word = timers->used[i];
    }
}

struct timer *
timers_take(struct timers *timers, uint64_t now_ns)
{
    for (;;) {
        if (ROUND(timers->slot) != timers->round)
            turn_round(timers);
        struct list *node = list_pop(&timers->due);
        if (node)
            return list_entry(node, struct timer, link);
        uint64_t slot = next_used(timers), last = now_ns / TIMERS_SLOT_NS;
        if (slot > last) {
            /* Nothing lies between; looking at it again would cost. */
            if (timers->slot < last)
                timers->slot = last;
            return NULL;
        }
        timers->slot = slot;
        if (ROUND(slot) != timers->round)
            continue;
        list_move_all(&timers->due, &timers->near[slot % TIMERS_SLOTS]);
        timers->used[slot % TIMERS_SLOTS / 64] &= ~(1ull << (slot % 64));
        timers->slot = slot + 1;
    }
}

uint64_t
timers_wait_ns(const struct timers *timers, uint64_t now_ns)
{
    if (!list_empty(&timers->due))
        return 0;
    uint64_t due_ns = next_used(timers) * TIMERS_SLOT_NS;
    return due_ns > now_ns ? due_ns - now_ns : 0;
}
