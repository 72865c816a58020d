/* SPDX-License-Identifier: MIT
 *
 * route_state.h - the running state of deployments, which workers share: for route.c and route_rest.c.
 */
#ifndef PENSTOCK_ROUTE_STATE_H
#define PENSTOCK_ROUTE_STATE_H

#include "gateway/route.h"

#define MINUTE_MS 60000u

static inline uint64_t
load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static inline void
store(_Atomic uint64_t *value, uint64_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

/* route_turn_minute - the minute's counters start anew when the minute does. Workers may race here: a count more or less is harmless. */
void route_turn_minute(struct deployment *deployment, uint64_t now_ms);

#endif
