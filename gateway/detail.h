/* SPDX-License-Identifier: MIT
 *
 * detail.h - other people's words: our secrets are blotted out of them, and at debug3 they are shown in the log.
 */
#ifndef PENSTOCK_DETAIL_H
#define PENSTOCK_DETAIL_H

#include "gateway/stream.h"

/* detail_blot - an upstream may repeat the key it was given: in words of its own that leave this process every
 * occurrence is written over with '*', in place. Texts of JSON stay JSON. */
void detail_blot(const struct stream *stream, struct slice words);
/* detail_bytes - the beginning of a body, or of an event's data, as a line at debug3. what is a literal. */
void detail_bytes(const struct stream *stream, const char *what, struct slice bytes);
/* detail_calls - the tool calls that these events open, at debug3. */
void detail_calls(const struct stream *stream, const struct canon_events *events);

#endif
