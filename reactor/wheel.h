/* SPDX-License-Identifier: MIT
 *
 * wheel.h - hierarchical timing wheel: 4 levels of 64 slots, 1 ms a slot at the bottom, reach 4.6 hours.
 *
 * Arming and cancelling are O(1), the next wake-up is a bit scan. A deadline lives inside its owner and is
 * never freed by firing. Later than the reach is clamped to it and re-armed on the way.
 */
#ifndef PENSTOCK_WHEEL_H
#define PENSTOCK_WHEEL_H

#include "base/list.h"

#define WHEEL_LEVELS 4
#define WHEEL_SLOTS 64

struct deadline {
    uint32_t magic;
    uint8_t level, slot;
    struct list link;
    uint64_t at_ms;                   /* absolute, in the loop's clock; valid while armed, and in due */
    void (*due)(struct deadline *);   /* only posts a notice; may arm again, may cancel others */
};

struct wheel {
    uint64_t now_ms; /* all slots before it have fired */
    uint64_t occupied[WHEEL_LEVELS];
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    size_t armed; /* deadlines in the wheel */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);
void deadline_init(struct deadline *deadline, void (*due)(struct deadline *));
/* wheel_arm - (re)arm to fire at the first expire at or after at_ms; the past fires at the next expire. */
void wheel_arm(struct wheel *wheel, struct deadline *deadline, uint64_t at_ms);
/* wheel_cancel - disarm; harmless when not armed. */
void wheel_cancel(struct wheel *wheel, struct deadline *deadline);
static inline bool
deadline_armed(const struct deadline *deadline)
{
    return list_linked(&deadline->link);
}
/* wheel_expire - advance to now_ms and call due for all that are due; returns how many fired. */
size_t wheel_expire(struct wheel *wheel, uint64_t now_ms);
/* wheel_next - the time at which expire should next be called (never later than the nearest deadline), or
 * UINT64_MAX when nothing is armed. */
uint64_t wheel_next(const struct wheel *wheel);

#endif
