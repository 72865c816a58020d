/* SPDX-License-Identifier: MIT
 *
 * trim.c - when memory goes back to the system.
 */
#include "gateway/trim.h"
#include "gateway/worker.h"

#include <malloc.h>

#define LOOK_US 990000u /* about a second, so that a wait of one does not miss every other look */
#define SETTLED 4u /* looks: what the pools of the workers gave back in the meantime goes as well */
#define OPEN_FEW 64u /* less than so many connections and exchanges are not worth a walk before it is quiet */

/* Nothing but a free at the top gives a thread's top back, and glibc raises what may stay there to twice the largest block that
 * it ever unmapped: up to 64 MiB for each worker. Fixed, bodies of some megabytes still do not fault their pages in each time. */
void
trim_init(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

bool
trim_due(struct trim *trim, uint64_t activity, uint64_t open)
{
    trim->quiet = activity == trim->seen && activity > 0 ? trim->quiet + 1 : 0;
    bool quiet = trim->quiet == 1 || trim->quiet == SETTLED;
    trim->seen = activity;
    if (trim->peak < open)
        trim->peak = open;
    bool fallen = open + OPEN_FEW <= trim->peak / 2;
    if (!quiet && !fallen)
        return false;
    trim->peak = open;
    return true;
}

void
trim_tick(struct trim *trim, struct gateway *gateway, uint64_t now_us)
{
    if (now_us < trim->next_us)
        return;
    trim->next_us = now_us + LOOK_US;
    uint64_t begun, open;
    metrics_open(gateway->workers, gateway->worker_count, &begun, &open);
    if (!trim_due(trim, 2 * begun - open, open))
        return;
    malloc_trim(0);
    struct mallinfo2 info = mallinfo2();
    atomic_store_explicit(&gateway->memory_used, info.uordblks + info.hblkhd, memory_order_relaxed);
    atomic_fetch_add_explicit(&gateway->trims, 1, memory_order_relaxed);
}
