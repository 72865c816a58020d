/* SPDX-License-Identifier: MIT
 *
 * test_timers.c - the wheel of the load tools, against a plain list: nothing early, nothing later than a slot, nothing
 * lost, over all its rounds.
 */
#include "tools/load/timers.h"

#include "tests/unit/splits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT 500
#define START_NS 123456789012345ull

struct timed {
    struct timer timer;
    bool waiting;
};

struct world {
    struct timers timers;
    struct timed timed[COUNT];
    uint64_t now_ns, random;
};

static struct world *
world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->now_ns = START_NS;
    world->random = 1;
    timers_init(&world->timers, START_NS);
    for (int i = 0; i < COUNT; i++)
        timer_init(&world->timed[i].timer);
    return world;
}

/* From nothing to forty minutes: all of the near wheel, the far one, and beyond. */
static uint64_t
some_time(struct world *world)
{
    static const uint64_t ranges[] = {1, TIMERS_SLOT_NS, 20000000, 700000000, 5000000000, 2400000000000};
    uint64_t range = ranges[splits_random(&world->random) % countof(ranges)];
    return splits_random(&world->random) % range;
}

static void
add(struct world *world, struct timed *timed)
{
    timers_add(&world->timers, &timed->timer, world->now_ns + some_time(world));
    timed->waiting = true;
}

static void
take_all(struct world *world)
{
    for (struct timer *timer; (timer = timers_take(&world->timers, world->now_ns));) {
        struct timed *timed = container_of(timer, struct timed, timer);
        assert_true(timed->waiting);
        assert_true(timer->due_ns <= world->now_ns);
        timed->waiting = false;
    }
    for (int i = 0; i < COUNT; i++) {
        if (world->timed[i].waiting)
            assert_true(world->timed[i].timer.due_ns + 2 * TIMERS_SLOT_NS > world->now_ns);
    }
}

static void
test_none_early_none_late(void **state)
{
    (void)state;
    struct world *world = world_new();
    for (int round = 0; round < 20000; round++) {
        struct timed *timed = &world->timed[splits_random(&world->random) % COUNT];
        if (splits_random(&world->random) % 8 == 0) {
            timer_stop(&timed->timer);
            timed->waiting = false;
        } else {
            add(world, timed);
        }
        world->now_ns += some_time(world) / 16;
        take_all(world);
    }
    world->now_ns += 3600000000000;
    take_all(world);
    for (int i = 0; i < COUNT; i++)
        assert_false(world->timed[i].waiting);
    free(world);
}

/* Sleeping as long as it says comes to each timer within a slot. */
static void
test_sleeping_is_enough(void **state)
{
    (void)state;
    struct world *world = world_new();
    for (int i = 0; i < COUNT; i++)
        add(world, &world->timed[i]);
    int left = COUNT;
    for (uint64_t turn = 0; left && turn < 1000000; turn++) {
        world->now_ns += timers_wait_ns(&world->timers, world->now_ns);
        for (struct timer *timer; (timer = timers_take(&world->timers, world->now_ns)); left--)
            assert_true(world->now_ns - timer->due_ns <= TIMERS_SLOT_NS);
        uint64_t wait_ns = timers_wait_ns(&world->timers, world->now_ns);
        assert_true(wait_ns > 0 && wait_ns <= TIMERS_SLOTS * (uint64_t)TIMERS_SLOT_NS);
    }
    assert_int_equal(left, 0);
    free(world);
}

/* A timer that adds itself again, as paced streams do, keeps its pace. */
static void
test_pace_holds(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct timer *timer = &world->timed[0].timer;
    timers_add(&world->timers, timer, world->now_ns);
    for (uint64_t count = 0; count < 1000; count++) {
        while (!timers_take(&world->timers, world->now_ns))
            world->now_ns += timers_wait_ns(&world->timers, world->now_ns);
        assert_true(world->now_ns - (START_NS + count * 20000000) <= TIMERS_SLOT_NS);
        timers_add(&world->timers, timer, timer->due_ns + 20000000);
    }
    free(world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_early_none_late),
        cmocka_unit_test(test_sleeping_is_enough),
        cmocka_unit_test(test_pace_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
