/* SPDX-License-Identifier: MIT
 *
 * log_ring.h - between log.c, which builds lines, and log_ring.c, which carries them. Private to
 * base.
 */
#ifndef PENSTOCK_LOG_RING_H
#define PENSTOCK_LOG_RING_H

#include "base/slice.h"

/* log_ring_put - one whole line, at most LOG_LINE_MAX bytes, line end included. Any thread; never
 * blocks while the writer thread runs. Without it the line goes straight to the descriptor. */
void log_ring_put(struct slice line);

#endif
