/* SPDX-License-Identifier: MIT
 *
 * wheel.c - hierarchical timing wheel.
 *
 *     level 3  |....X....|  a slot is 262,144 ms
 *     level 2  |..X......|  a slot is 4,096 ms
 *     level 1  |......X..|  a slot is 64 ms
 *     level 0  |X........|  a slot is 1 ms
 *
 * A deadline sits on the lowest level on which its time and now differ, in the slot of its time
 * there, and moves down (cascades) when now reaches the beginning of that slot. So below the top a
 * level only holds slots after now's; the top wraps. now's slot on level 0 holds what was due when
 * it was armed.
 */
#include "reactor/wheel.h"

#define SLOT_BITS 6
#define SLOT_MASK ((uint64_t)WHEEL_SLOTS - 1)
#define TOP (WHEEL_LEVELS - 1)

_Static_assert(WHEEL_SLOTS == 1 << SLOT_BITS, "a slot is picked by bits of the time");
_Static_assert(WHEEL_SLOTS == 64, "occupied has one bit a slot");

void
wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    wheel->armed = 0;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

void
deadline_init(struct deadline *deadline, void (*due)(struct deadline *))
{
    *deadline = (struct deadline){.magic = MAGIC_DEADLINE, .due = due};
    list_init(&deadline->link);
}

/* place - link an unlinked deadline into the slot that its at_ms, seen from now, belongs to. */
static void
place(struct wheel *wheel, struct deadline *deadline)
{
    uint64_t now = wheel->now_ms, at = deadline->at_ms > now ? deadline->at_ms : now;
    int level = 0;
    while (level < TOP && (at ^ now) >> (SLOT_BITS * (level + 1)))
        level++;
    uint64_t slot = at >> (SLOT_BITS * level);
    if (level == TOP && slot - (now >> (SLOT_BITS * TOP)) > SLOT_MASK)
        slot = (now >> (SLOT_BITS * TOP)) + SLOT_MASK; /* beyond the reach: look again from there */
    slot &= SLOT_MASK;
    assert(level == 0 || slot != ((now >> (SLOT_BITS * level)) & SLOT_MASK));
    deadline->level = (uint8_t)level;
    deadline->slot = (uint8_t)slot;
    wheel->occupied[level] |= (uint64_t)1 << slot;
    list_push_back(&wheel->slots[level][slot], &deadline->link);
}

void
wheel_arm(struct wheel *wheel, struct deadline *deadline, uint64_t at_ms)
{
    assert(deadline->due);
    wheel_cancel(wheel, deadline);
    deadline->at_ms = at_ms;
    place(wheel, deadline);
    wheel->armed++;
}

void
wheel_cancel(struct wheel *wheel, struct deadline *deadline)
{
    assert(deadline->magic == MAGIC_DEADLINE);
    if (!deadline_armed(deadline))
        return;
    assert(wheel->armed > 0);
    list_remove(&deadline->link);
    wheel->armed--;
    if (list_empty(&wheel->slots[deadline->level][deadline->slot]))
        wheel->occupied[deadline->level] &= ~((uint64_t)1 << deadline->slot);
}

/* next_event - when something must be fired or cascaded next, and on which level; UINT64_MAX:
 * never. */
static uint64_t
next_event(const struct wheel *wheel, int *level)
{
    uint64_t now = wheel->now_ms;
    if (wheel->occupied[0]) {
        uint64_t ahead = wheel->occupied[0] >> (now & SLOT_MASK);
        assert(ahead);
        *level = 0;
        return now + (uint64_t)__builtin_ctzll(ahead);
    }
    for (*level = 1; *level < WHEEL_LEVELS; ++*level) {
        uint64_t occupied = wheel->occupied[*level], index = now >> (SLOT_BITS * *level);
        if (!occupied)
            continue;
        unsigned turn = (unsigned)((index + 1) & SLOT_MASK);
        if (turn)
            occupied = occupied >> turn | occupied << (WHEEL_SLOTS - turn);
        return (index + 1 + (uint64_t)__builtin_ctzll(occupied)) << (SLOT_BITS * *level);
    }
    return UINT64_MAX;
}

/* empty_slot - unlink everything in the slot of now on this level onto a list. */
static void
empty_slot(struct wheel *wheel, int level, struct list *onto)
{
    uint64_t slot = (wheel->now_ms >> (SLOT_BITS * level)) & SLOT_MASK;
    list_move_all(onto, &wheel->slots[level][slot]);
    wheel->occupied[level] &= ~((uint64_t)1 << slot);
}

static void
cascade(struct wheel *wheel, int level)
{
    struct list moving, *link;
    list_init(&moving);
    empty_slot(wheel, level, &moving);
    while ((link = list_pop(&moving)))
        place(wheel, list_entry(link, struct deadline, link));
}

size_t
wheel_expire(struct wheel *wheel, uint64_t now_ms)
{
    assert(now_ms >= wheel->now_ms);
    struct list due, *link;
    size_t fired = 0;
    int level;
    list_init(&due);
    for (uint64_t at; (at = next_event(wheel, &level)) <= now_ms && at != UINT64_MAX;) {
        assert(at >= wheel->now_ms);
        wheel->now_ms = at;
        if (level == 0)
            empty_slot(wheel, 0, &due);
        else
            cascade(wheel, level);
    }
    wheel->now_ms = now_ms;
    /* What is armed or cancelled by these calls finds the wheel in order; what is armed fires in a
     * later expire. */
    while ((link = list_pop(&due))) {
        struct deadline *deadline = list_entry(link, struct deadline, link);
        assert(deadline->magic == MAGIC_DEADLINE);
        assert(wheel->armed > 0);
        wheel->armed--;
        fired++;
        deadline->due(deadline);
    }
    return fired;
}

uint64_t
wheel_next(const struct wheel *wheel)
{
    int level;
    return next_event(wheel, &level);
}
