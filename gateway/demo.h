/* SPDX-License-Identifier: MIT
 *
 * demo.h - the built-in demo provider: models that stream without any key, behind a loopback listener of the same
 * process, so that a run without configuration exercises the real path.
 */
#ifndef PENSTOCK_DEMO_H
#define PENSTOCK_DEMO_H

#include "base/err.h"

struct worker;

/* demo_open - serve the demo provider on this listening descriptor (taken over), on the worker's loop. */
int demo_open(struct worker *worker, int fd) must_check;
/* demo_close - stop listening and close its connections; harmless when it was never opened. */
void demo_close(struct worker *worker);

#endif
