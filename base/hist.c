/* SPDX-License-Identifier: MIT
 *
 * hist.c - counting into a table of bounds. Load, add, store: only the owner of a hist writes it.
 */
#include "base/hist.h"

#include <stdatomic.h>

static uint64_t
counter_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, counter_read(counter) + n, memory_order_relaxed);
}

void
hist_record(struct hist *hist, const struct hist_shape *shape, uint64_t value)
{
    assert(shape->count > 0);
    assert(shape->count <= HIST_BOUNDS_MAX);
    int at = 0;
    while (at < shape->count && value > shape->bounds[at])
        at++;
    counter_add(&hist->counts[at], 1);
    counter_add(&hist->sum, value);
}

void
hist_add(struct hist *into, const struct hist *from, const struct hist_shape *shape)
{
    assert(into != from);
    assert(shape->count <= HIST_BOUNDS_MAX);
    for (int i = 0; i <= shape->count; i++)
        counter_add(&into->counts[i], counter_read(&from->counts[i]));
    counter_add(&into->sum, counter_read(&from->sum));
}

uint64_t
hist_total(const struct hist *hist, const struct hist_shape *shape)
{
    assert(shape->count <= HIST_BOUNDS_MAX);
    uint64_t total = 0;
    for (int i = 0; i <= shape->count; i++)
        total += counter_read(&hist->counts[i]);
    return total;
}
