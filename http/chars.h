/* SPDX-License-Identifier: MIT
 *
 * chars.h - which bytes may stand where. Private to http/.
 */
#ifndef PENSTOCK_HTTP_CHARS_H
#define PENSTOCK_HTTP_CHARS_H

#include "base/slice.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum http_char {
    HTTP_TOKEN = 1,    /* tchar (RFC 9110 5.6.2) */
    HTTP_CONTROL = 2,  /* C0 and DEL, but not tab: nowhere in a message but as CRLF */
    HTTP_HOSTNAME = 4, /* unreserved (RFC 3986 2.3): all that a host name needs */
    HTTP_TARGET = 8,   /* visible ASCII but '#' */
};

extern const uint8_t http_chars[256];

static inline bool
http_char_is(char byte, enum http_char class)
{
    return (http_chars[(uint8_t)byte] & class) != 0;
}

/* http_span - how many bytes at the front of text are of this class? */
static inline size_t
http_span(struct slice text, enum http_char class)
{
    size_t n = 0;
    while (n < text.len && http_char_is(text.ptr[n], class))
        n++;
    return n;
}

/* http_is_token - one or more token bytes and nothing else. */
static inline bool
http_is_token(struct slice text)
{
    return text.len > 0 && http_span(text, HTTP_TOKEN) == text.len;
}

/* http_find_control - the first control byte (HTTP_CONTROL) in [at, end), or end. */
static inline const char *
http_find_control(const char *at, const char *end)
{
    assert(at <= end);
#ifdef __SSE2__
    const __m128i tab = _mm_set1_epi8('\t'), last = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last), bytes);
        __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low),
                                   _mm_cmpeq_epi8(bytes, del));
        unsigned found = (unsigned)_mm_movemask_epi8(bad);
        if (found != 0)
            return at + __builtin_ctz(found);
    }
#endif
    while (at < end && !http_char_is(*at, HTTP_CONTROL))
        at++;
    return at;
}

/* http_list_has - does a comma-separated list contain this token (any case)? */
bool http_list_has(struct slice list, struct slice token);

#endif
