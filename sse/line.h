/* SPDX-License-Identifier: MIT
 *
 * line.h - where does a line end? Private to sse/.
 *
 * Every byte of every stream passes here, so it looks at sixteen bytes a step where the machine
 * can.
 */
#ifndef PENSTOCK_SSE_LINE_H
#define PENSTOCK_SSE_LINE_H

#include "base/base.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* sse_line_end - the first CR or LF in [at, end), or end. */
static inline const char *
sse_line_end(const char *at, const char *end)
{
    assert(at <= end);
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, cr), _mm_cmpeq_epi8(bytes, lf));
        unsigned found = (unsigned)_mm_movemask_epi8(ends);
        if (found != 0)
            return at + __builtin_ctz(found);
    }
#endif
    while (at < end && *at != '\r' && *at != '\n')
        at++;
    return at;
}

#endif
