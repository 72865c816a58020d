/* SPDX-License-Identifier: MIT
 *
 * names.h - model names that mean the same: Claude's end in a date, behind '-' or, on Vertex AI, behind '@' (R84).
 */
#ifndef PENSTOCK_NAMES_H
#define PENSTOCK_NAMES_H

#include "base/slice.h"

/* names_same - are both the same but for what stands in front of the date? */
bool names_same(struct slice a, struct slice b);
/* names_dated - is name this one with a date behind it? */
bool names_dated(struct slice name, struct slice undated);

#endif
