/* SPDX-License-Identifier: MIT
 *
 * text.h - integers, hex, base64, percent-decoding, case folding, UTF-8, constant-time compare.
 * ASCII, locale-free.
 */
#ifndef PENSTOCK_TEXT_H
#define PENSTOCK_TEXT_H

#include "base/sink.h"
#include "base/slice.h"

/* text_u64 - decimal digits only, no sign, no space, no overflow; the whole slice must be used. */
bool text_u64(struct slice text, uint64_t *out) must_check;
/* text_hex_u64 - 1 to 16 hex digits, the whole slice. */
bool text_hex_u64(struct slice text, uint64_t *out) must_check;
/* text_digits_before - value in decimal, written backwards so that it ends at end (20 bytes at most);
 * returns where it begins. For hot paths: printf costs fifty times as much. */
char *text_digits_before(char *end, uint64_t value);
/* text_hex_before - the same in lower-case hex (16 bytes at most). */
char *text_hex_before(char *end, uint64_t value);
char text_lower(char byte);
/* text_caseless_eq - ASCII case-insensitive equality. */
bool text_caseless_same(const char *a, const char *b, size_t len);
static inline bool
text_caseless_eq(struct slice a, struct slice b)
{
    return a.len == b.len && text_caseless_same(a.ptr, b.ptr, a.len);
}
static inline bool
text_caseless_is(struct slice a, const char *text)
{
    return text_caseless_eq(a, slice_from(text));
}
/* text_trim - without leading and trailing spaces and tabs. */
struct slice text_trim(struct slice text);
/* text_split - cut text at the first separator: returns what stands before it and leaves the rest
 * (without the separator) in *text; without a separator returns all and leaves SLICE_NONE. Absent
 * when *text is. */
struct slice text_split(struct slice *text, char separator);
/* text_find - offset of needle in text, or -1. */
ptrdiff_t text_find(struct slice text, struct slice needle);
ptrdiff_t text_find_caseless(struct slice text, struct slice needle);
/* text_percent_decode - append decoded bytes; false on a bad escape or %00. '+' stays '+'. */
bool text_percent_decode(struct slice text, struct sink *out) must_check;
void text_hex(struct sink *out, const uint8_t *bytes, size_t n);
void text_base64(struct sink *out, struct slice bytes);
/* text_base64_digit - the value of a digit of either alphabet, or -1. */
int text_base64_digit(char byte);
/* text_base64_decode - standard or URL-safe, line breaks skipped, padding optional; false on other
 * bytes. */
bool text_base64_decode(struct slice text, struct sink *out) must_check;
/* text_utf8_valid - RFC 3629. */
bool text_utf8_valid(struct slice text);
/* text_utf8_cut - the largest n <= max such that text[0..n) ends at the end of a character. */
size_t text_utf8_cut(struct slice text, size_t max);
/* text_equal_secret - equality in time that depends on the lengths only. */
bool text_equal_secret(struct slice a, struct slice b);
/* text_distance - Levenshtein distance, for "did you mean"; inputs over 64 bytes give 64. */
int text_distance(struct slice a, struct slice b);
/* text_duration_ms - "10s", "500ms", "2m", "1h", "1.5s", or a bare number of seconds ("600",
 * "0.5"); whole slice. */
bool text_duration_ms(struct slice text, uint64_t *out) must_check;
/* text_bytes - "50MB", "256KiB", "4096", "1GiB"; KB/MB/GB as KiB/MiB/GiB are powers of 1024. */
bool text_bytes(struct slice text, uint64_t *out) must_check;

#endif
