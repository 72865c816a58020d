/* SPDX-License-Identifier: MIT
 *
 * anthropic_read.h - what the files that read a Messages request share. Private to
 * providers/anthropic*.c.
 */
#ifndef PENSTOCK_ANTHROPIC_READ_H
#define PENSTOCK_ANTHROPIC_READ_H

#include "providers/anthropic.h"

struct reading {
    struct canon_request *request;
    struct canon_fault *fault;
    uint32_t message, block; /* where we are, for the fault */
};

/* anthropic_refuse - the fault of a field. -ERR_REQUEST */
int anthropic_refuse(struct reading *at, const char *param, const char *message);
/* anthropic_read_fields - everything but system and messages. 0, -ERR_REQUEST with fault,
 * -ERR_MEMORY. */
int anthropic_read_fields(struct reading *at);

#endif
