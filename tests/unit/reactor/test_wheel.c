/* SPDX-License-Identifier: MIT
 *
 * test_wheel.c - the timing wheel: exhaustively around every cascade, and at random against a naive
 * model.
 */
#include "reactor/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MODEL_MAX 400

struct item {
    struct deadline deadline;
    uint64_t at_ms, fired_ms; /* as the model knows */
    bool armed;
    int fired;
    int again; /* re-arm this many times */
    uint64_t again_ms;
};

static struct wheel wheel;
static uint64_t firing_ms;
static struct item *cancel_on_fire, *last_fired;

static void
due(struct deadline *deadline)
{
    struct item *item = container_of(deadline, struct item, deadline);
    assert_true(item->armed);
    assert_false(deadline_armed(deadline));
    item->armed = false;
    item->fired++;
    item->fired_ms = firing_ms;
    last_fired = item;
    if (item->again > 0) {
        item->again--;
        item->armed = true;
        item->at_ms = firing_ms + item->again_ms;
        wheel_arm(&wheel, deadline, item->at_ms);
    }
    if (cancel_on_fire && cancel_on_fire != item) {
        wheel_cancel(&wheel, &cancel_on_fire->deadline);
        cancel_on_fire->armed = false;
        cancel_on_fire = NULL;
    }
}

static void
arm(struct item *item, uint64_t at_ms)
{
    item->armed = true;
    item->at_ms = at_ms;
    wheel_arm(&wheel, &item->deadline, at_ms);
}

static size_t
expire(uint64_t now_ms)
{
    firing_ms = now_ms;
    return wheel_expire(&wheel, now_ms);
}

/* sound - every bit agrees with its slot, every deadline is where it says, and nothing is counted
 * twice. */
static void
sound(void)
{
    size_t armed = 0;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        for (int slot = 0; slot < WHEEL_SLOTS; slot++) {
            struct list *head = &wheel.slots[level][slot];
            assert_int_equal(!list_empty(head), (wheel.occupied[level] >> slot) & 1);
            for (struct list *link = head->next; link != head; link = link->next) {
                struct deadline *deadline = list_entry(link, struct deadline, link);
                assert_int_equal(deadline->level, level);
                assert_int_equal(deadline->slot, slot);
                armed++;
            }
        }
    }
    assert_int_equal(armed, wheel.armed);
}

/* wake_until_fired - do as the loop does: sleep to wheel_next, expire; returns when the deadline
 * fired. */
static uint64_t
wake_until_fired(struct item *item)
{
    for (int wakes = 0; wakes < 200; wakes++) {
        uint64_t next = wheel_next(&wheel);
        assert_true(next != UINT64_MAX);
        assert_true(next <= item->at_ms || item->at_ms < wheel.now_ms);
        expire(next > wheel.now_ms ? next : wheel.now_ms);
        if (item->fired)
            return firing_ms;
    }
    fail_msg("200 wake-ups and nothing fired");
    return 0;
}

static void
fires_exactly_at_every_cascade_border(void **state)
{
    (void)state;
    static const uint64_t starts[] = {
        0,      1,      62,       63,       64,       4095,      4096,
        262143, 262144, 16777215, 16777216, 16777217, 123456789, (UINT64_C(1) << 40) - 1};
    for (size_t s = 0; s < countof(starts); s++) {
        for (int bits = 0; bits <= 24; bits++) {
            for (int off = -2; off <= 2; off++) {
                uint64_t delta = (UINT64_C(1) << bits) + (uint64_t)(int64_t)off;
                struct item item = {0};
                if ((int64_t)delta < 0)
                    continue;
                wheel_init(&wheel, starts[s]);
                deadline_init(&item.deadline, due);
                arm(&item, starts[s] + delta);
                sound();
                assert_int_equal(wake_until_fired(&item), starts[s] + delta);
                assert_int_equal(wheel.armed, 0);
                assert_true(wheel_next(&wheel) == UINT64_MAX);
                sound();
            }
        }
    }
}

static void
one_jump_fires_all_that_is_due_and_nothing_else(void **state)
{
    (void)state;
    static struct item items[9000];
    for (uint64_t start = 0; start < 5000; start += 61) {
        wheel_init(&wheel, start);
        for (size_t i = 0; i < countof(items); i++) {
            items[i] = (struct item){0};
            deadline_init(&items[i].deadline, due);
            arm(&items[i], start + i);
        }
        uint64_t to = start + (start * 7) % countof(items);
        assert_int_equal(expire(to), to - start + 1);
        for (size_t i = 0; i < countof(items); i++)
            assert_int_equal(items[i].fired, start + i <= to);
        assert_int_equal(wheel.armed, countof(items) - (to - start + 1));
        assert_true(wheel.armed == 0 || wheel_next(&wheel) <= to + 1);
    }
    sound();
}

static void
the_past_fires_at_the_next_expire(void **state)
{
    (void)state;
    struct item item = {0};
    wheel_init(&wheel, 1000);
    deadline_init(&item.deadline, due);
    arm(&item, 3);
    assert_true(wheel_next(&wheel) <= 1000);
    assert_int_equal(expire(1000), 1);
    item.again =
        3; /* re-armed for the past while firing: once an expire, or a tick would never end */
    arm(&item, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(expire(1000), 1);
        assert_int_equal(item.fired, i + 2);
    }
    assert_int_equal(expire(5000), 0);
    sound();
}

static void
beyond_the_reach_is_reached_in_steps(void **state)
{
    (void)state;
    static const uint64_t far[] = {UINT64_C(1) << 24, UINT64_C(63) << 18, UINT64_C(64) << 18,
                                   UINT64_C(200) << 18, 86400000 * UINT64_C(3)};
    for (size_t i = 0; i < countof(far); i++) {
        for (uint64_t start = 0; start < 600000; start += 99991) {
            struct item item = {0};
            wheel_init(&wheel, start);
            deadline_init(&item.deadline, due);
            arm(&item, start + far[i]);
            assert_int_equal(wake_until_fired(&item), start + far[i]);
        }
    }
    struct item never = {0};
    wheel_init(&wheel, 5);
    deadline_init(&never.deadline, due);
    arm(&never, UINT64_MAX);
    assert_int_equal(expire(UINT64_C(1) << 30), 0);
    assert_true(deadline_armed(&never.deadline));
    wheel_cancel(&wheel, &never.deadline);
    sound();
}

static void
a_deadline_may_cancel_another_that_is_due_as_well(void **state)
{
    (void)state;
    struct item first = {0}, second = {0};
    wheel_init(&wheel, 0);
    deadline_init(&first.deadline, due);
    deadline_init(&second.deadline, due);
    arm(&first, 10);
    arm(&second, 10);
    cancel_on_fire = &second;
    assert_int_equal(expire(10), 1);
    assert_int_equal(second.fired, 0);
    assert_false(deadline_armed(&second.deadline));
    wheel_cancel(&wheel, &second.deadline); /* harmless */
    assert_int_equal(wheel.armed, 0);
    sound();
}

static void
equal_times_fire_in_the_order_of_time_then_arming(void **state)
{
    (void)state;
    struct item items[3] = {0};
    wheel_init(&wheel, 0);
    for (int i = 0; i < 3; i++)
        deadline_init(&items[i].deadline, due);
    arm(&items[0], 70);
    arm(&items[1], 70);
    arm(&items[2], 69);
    assert_int_equal(expire(69), 1);
    assert_ptr_equal(last_fired, &items[2]);
    assert_int_equal(expire(100), 2);
    assert_ptr_equal(last_fired, &items[1]);
}

static uint64_t
draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* A step in the life of the wheel beside a model that looks at everything. */
static void
model_step(struct item *items, uint64_t *seed, uint64_t *now)
{
    struct item *item = &items[draw(seed) % MODEL_MAX];
    uint64_t spread = UINT64_C(1) << draw(seed) % 27;
    switch (draw(seed) % 4) {
    case 0:
    case 1:
        item->again = draw(seed) % 8 == 0;
        item->again_ms = draw(seed) % spread;
        arm(item, draw(seed) % 16 == 0 ? *now / 2 : *now + draw(seed) % spread);
        return;
    case 2:
        wheel_cancel(&wheel, &item->deadline);
        item->armed = false;
        return;
    default:
        break;
    }
    uint64_t to = *now + draw(seed) % spread, expected = 0;
    if (draw(seed) % 2 && wheel_next(&wheel) != UINT64_MAX && wheel_next(&wheel) > *now)
        to = wheel_next(&wheel);
    int fired[MODEL_MAX];
    for (int i = 0; i < MODEL_MAX; i++) {
        fired[i] = items[i].fired + (items[i].armed && items[i].at_ms <= to);
        expected += items[i].armed && items[i].at_ms <= to;
    }
    assert_int_equal(expire(to), expected);
    for (int i = 0; i < MODEL_MAX; i++)
        assert_int_equal(items[i].fired, fired[i]);
    *now = to;
}

static void
behaves_as_a_naive_model(void **state)
{
    (void)state;
    static struct item items[MODEL_MAX];
    for (uint64_t run = 1; run <= 60; run++) {
        uint64_t seed = run * UINT64_C(0x9e3779b97f4a7c15), now = draw(&seed) % (UINT64_C(1) << 26);
        wheel_init(&wheel, now);
        for (int i = 0; i < MODEL_MAX; i++) {
            items[i] = (struct item){0};
            deadline_init(&items[i].deadline, due);
        }
        for (int step = 0; step < 3000; step++) {
            model_step(items, &seed, &now);
            uint64_t nearest = UINT64_MAX;
            for (int i = 0; i < MODEL_MAX; i++) {
                assert_int_equal(items[i].armed, deadline_armed(&items[i].deadline));
                if (items[i].armed && items[i].at_ms < nearest)
                    nearest = items[i].at_ms;
            }
            assert_true(wheel_next(&wheel) <= (nearest > now ? nearest : now) ||
                        nearest == UINT64_MAX);
            assert_int_equal(wheel_next(&wheel) == UINT64_MAX, nearest == UINT64_MAX);
            if (step % 50 == 0)
                sound();
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_exactly_at_every_cascade_border),
        cmocka_unit_test(one_jump_fires_all_that_is_due_and_nothing_else),
        cmocka_unit_test(the_past_fires_at_the_next_expire),
        cmocka_unit_test(beyond_the_reach_is_reached_in_steps),
        cmocka_unit_test(a_deadline_may_cancel_another_that_is_due_as_well),
        cmocka_unit_test(equal_times_fire_in_the_order_of_time_then_arming),
        cmocka_unit_test(behaves_as_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
