/* SPDX-License-Identifier: MIT
 *
 * gemini_offsets.h - where things stand in a text that was only seen in pieces: Gemini counts UTF-8
 * bytes, everyone else code points.
 *
 * The text itself is not kept. A mark is made wherever characters begin to be of another length, so
 * that plain text of any size costs one mark.
 */
#ifndef PENSTOCK_GEMINI_OFFSETS_H
#define PENSTOCK_GEMINI_OFFSETS_H

#include "base/sink.h"

#define GEMINI_MARKS_MAX (1u << 20) /* bytes of marks; a text with more has no offsets */

struct gemini_offsets {
    uint32_t bytes, points; /* so far */
    uint32_t width;         /* bytes of each character since the last mark; 0: none yet */
    uint32_t high;     /* first half of an escaped surrogate pair that waits for its second, or 0 */
    bool lost;         /* too long or too varied: nothing is known any more */
    struct sink marks; /* struct gemini_mark each, in order */
};

void gemini_offsets_init(struct gemini_offsets *offsets);
void gemini_offsets_fini(struct gemini_offsets *offsets);
/* gemini_offsets_feed - more text, as the contents of a JSON string. */
void gemini_offsets_feed(struct gemini_offsets *offsets, struct slice escaped);
/* gemini_offsets_points - code points before that byte (an offset inside a character counts it
 * not); -1: not known, or behind the end. */
int64_t gemini_offsets_points(const struct gemini_offsets *offsets, int64_t bytes);
/* gemini_offsets_bytes - bytes before that code point; -1: not known, or behind the end. */
int64_t gemini_offsets_bytes(const struct gemini_offsets *offsets, int64_t points);

#endif
