/* SPDX-License-Identifier: MIT
 *
 * json_run.h - the inner loop that json's scanner, checker and writer share. Private to base.
 */
#ifndef PENSTOCK_JSON_RUN_H
#define PENSTOCK_JSON_RUN_H

#include "base/base.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The first byte at or behind `at` that is a quote, a backslash, a control or not ASCII; or end.
 * Never reads outside [at, end), so the answer depends on nothing but the text. */
static inline const unsigned char *
json_run_plain(const unsigned char *at, const unsigned char *end)
{
#if defined(__SSE2__) && !defined(PENSTOCK_PORTABLE)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    while (end - at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* Signed: bytes over 0x7f are negative and so less than a space, too. */
        __m128i special = _mm_or_si128(
            _mm_cmplt_epi8(bytes, space),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask != 0)
            return at + __builtin_ctz(mask);
        at += 16;
    }
#else
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t bytes;
        memcpy(&bytes, at, sizeof(bytes));
        uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\';
        /* x - 1 borrows into the top bit of a byte that was 0; false alarms are sorted below. */
        if (((bytes | (bytes - ones * ' ') | (quote - ones) | (backslash - ones)) & tops) != 0)
            break;
        at += 8;
    }
#endif
    while (at < end && *at >= ' ' && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* One UTF-8 sequence at `at`, which is before end: its length when it is valid by RFC 3629, else
 * minus the number of bytes that were the beginning of a valid one (0 to 3). */
static inline int
json_run_utf8(const unsigned char *at, const unsigned char *end)
{
    unsigned char lead = at[0];
    unsigned char low = 0x80, high = 0xbf;
    int n;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf) {
        n = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        n = 3;
        low = lead == 0xe0 ? 0xa0 : 0x80;
        high = lead == 0xed ? 0x9f : 0xbf;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        n = 4;
        low = lead == 0xf0 ? 0x90 : 0x80;
        high = lead == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    for (int i = 1; i < n; i++) {
        if (at + i == end || at[i] < low || at[i] > high)
            return -i;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

#endif
