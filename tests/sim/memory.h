/* SPDX-License-Identifier: MIT
 *
 * memory.h - the system's memory, which fails where chance says so: every call of the gateway and the reactor for some goes
 * through here (the linker wraps them), those of the tests and of the simulator are let through.
 */
#ifndef PENSTOCK_SIM_MEMORY_H
#define PENSTOCK_SIM_MEMORY_H

#include "base/slice.h"

/* memory_fail - from now on so many of 65,536 calls fail, by this seed; 0: none. */
void memory_fail(uint64_t seed, uint32_t per_65536);
/* memory_fail_one - the n-th call from now on fails (1: the next), and no other. */
void memory_fail_one(uint64_t n);
/* memory_enter, memory_leave - the program runs from here on, or the world does. They nest; at first the world does. */
void memory_enter(void);
void memory_leave(void);

struct memory_tally {
    uint64_t calls, failed;       /* of the program's */
    uint32_t sites, sites_failed; /* places in the code that asked, and that were refused at least once */
};
struct memory_tally memory_tally(void);
/* memory_print_spared - to stderr: the places that asked and were never refused, as addresses for addr2line. */
void memory_print_spared(void);

#endif
