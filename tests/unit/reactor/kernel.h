/* SPDX-License-Identifier: MIT
 *
 * kernel.h - the backend that tests over real sockets run on: PENSTOCK_IO_BACKEND, or epoll.
 */
#ifndef PENSTOCK_TEST_REACTOR_KERNEL_H
#define PENSTOCK_TEST_REACTOR_KERNEL_H

#include "reactor/backend.h"

#include <stdio.h>
#include <stdlib.h>

#define KERNEL_SKIPPED 77 /* what meson takes for "skipped" */

/* kernel_ops - where the backend asked for cannot be had, the test program ends as skipped and says
 * why. */
static inline const struct backend_ops *
kernel_ops(void)
{
    const char *name = getenv("PENSTOCK_IO_BACKEND");
    char problem[BACKEND_PROBLEM_BYTES];
    const struct backend_ops *ops = backend_find(slice_from(name ? name : "epoll"), problem);
    if (problem[0]) {
        printf("skipped: %s: %s\n", name, problem);
        exit(KERNEL_SKIPPED);
    }
    return ops;
}

#endif
