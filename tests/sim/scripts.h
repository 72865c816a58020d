/* SPDX-License-Identifier: MIT
 *
 * scripts.h - between harness.c, provider.c and client.c only.
 */
#ifndef PENSTOCK_SIM_SCRIPTS_H
#define PENSTOCK_SIM_SCRIPTS_H

#include "tests/sim/harness.h"

/* scripts_free - providers, visits and clients. */
void scripts_free(struct world *world);
void clients_free(struct world *world);
/* text_line - the bytes up to what, absent if it is not there. */
struct slice text_before(struct slice text, const char *what);

#endif
