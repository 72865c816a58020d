/* SPDX-License-Identifier: MIT
 *
 * fuzz_wheel.c - any order of arm, cancel and expire against a model that looks at every deadline.
 * The input is a program of four-byte steps: what to do, to which, how far as a mantissa and shift.
 */
#include "reactor/wheel.h"

#include "tests/fuzz/fuzz.h"

#define DEADLINES 32
#define SHIFT_MAX 28 /* beyond the wheel's reach */

struct entry {
    struct deadline deadline;
    uint64_t at_ms;
    bool armed;
    uint64_t again_ms; /* re-arm by this when it fires; 0: not */
};

static struct wheel wheel;
static struct entry entries[DEADLINES];
static uint64_t firing_ms;

static void
due(struct deadline *deadline)
{
    struct entry *entry = container_of(deadline, struct entry, deadline);
    assert(entry->armed);
    assert(entry->at_ms <= firing_ms);
    entry->armed = false;
    if (entry->again_ms) {
        entry->at_ms = firing_ms + entry->again_ms;
        entry->armed = true;
        entry->again_ms = 0;
        wheel_arm(&wheel, deadline, entry->at_ms);
    }
}

/* expire - nothing that is due may be left, nothing else may have fired. */
static void
expire(uint64_t to_ms)
{
    size_t expected = 0;
    for (int i = 0; i < DEADLINES; i++)
        expected += entries[i].armed && entries[i].at_ms <= to_ms;
    firing_ms = to_ms;
    size_t fired = wheel_expire(&wheel, to_ms);
    assert(fired == expected);
}

static void
compare(uint64_t now_ms)
{
    uint64_t nearest = UINT64_MAX;
    size_t armed = 0;
    for (int i = 0; i < DEADLINES; i++) {
        assert(entries[i].armed == deadline_armed(&entries[i].deadline));
        armed += entries[i].armed;
        if (entries[i].armed && entries[i].at_ms < nearest)
            nearest = entries[i].at_ms;
    }
    uint64_t next = wheel_next(&wheel);
    assert(wheel.armed == armed);
    assert((next == UINT64_MAX) == (armed == 0));
    assert(armed == 0 || next <= nearest || nearest < now_ms);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t now_ms = size ? (uint64_t)data[0] << 18 : 0;
    wheel_init(&wheel, now_ms);
    for (int i = 0; i < DEADLINES; i++) {
        entries[i] = (struct entry){0};
        deadline_init(&entries[i].deadline, due);
    }
    for (size_t at = 1; at + 4 <= size; at += 4) {
        struct entry *entry = &entries[data[at + 1] % DEADLINES];
        uint64_t far_ms = ((uint64_t)data[at + 2] + 1) << data[at + 3] % SHIFT_MAX;
        switch (data[at] % 6) {
        case 0: /* later */
        case 1: /* later, and once more when it has fired */
            entry->at_ms = now_ms + far_ms;
            entry->again_ms = data[at] % 6 ? far_ms : 0;
            entry->armed = true;
            wheel_arm(&wheel, &entry->deadline, entry->at_ms);
            break;
        case 2: /* in the past */
            entry->at_ms = now_ms > far_ms ? now_ms - far_ms : 0;
            entry->armed = true;
            wheel_arm(&wheel, &entry->deadline, entry->at_ms);
            break;
        case 3:
            entry->armed = false;
            wheel_cancel(&wheel, &entry->deadline);
            break;
        case 4: /* as the loop sleeps */
            if (wheel_next(&wheel) != UINT64_MAX && wheel_next(&wheel) > now_ms)
                now_ms = wheel_next(&wheel);
            expire(now_ms);
            break;
        default:
            now_ms += far_ms;
            expire(now_ms);
            break;
        }
        compare(now_ms);
    }
    return 0;
}
