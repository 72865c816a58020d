/* SPDX-License-Identifier: MIT
 *
 * backend.c - which kernel interface this build has and this kernel grants. epoll is always there.
 */
#include "reactor/backend.h"

#include <stdio.h>

#ifndef PENSTOCK_IO_URING
int
uring_probe(char problem[BACKEND_PROBLEM_BYTES])
{
    snprintf(problem, BACKEND_PROBLEM_BYTES, "this build is without it");
    return -ERR_SYSTEM;
}
#endif

const struct backend_ops *
backend_find(struct slice name, char problem[BACKEND_PROBLEM_BYTES])
{
    problem[0] = '\0';
    if (!slice_is(name, "io_uring") && !slice_is(name, "auto"))
        return &epoll_ops;
    if (uring_probe(problem) < 0)
        return &epoll_ops;
#ifdef PENSTOCK_IO_URING
    return &uring_ops;
#else
    return &epoll_ops;
#endif
}
