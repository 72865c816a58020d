/* SPDX-License-Identifier: MIT
 *
 * text.c - small functions over bytes: numbers, comparison, searching, UTF-8.
 * Encodings (percent, hex, base64) are in text_code.c.
 */
#include "base/text.h"

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Decimal digits at the front of *text, which is moved past them. False without any, or on
 * overflow. */
static bool
take_digits(struct slice *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t n = 0;
    while (n < text->len && is_digit(text->ptr[n])) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text->ptr[n] - '0'), &value))
            return false;
        n++;
    }
    *text = slice_skip(*text, n);
    *out = value;
    return n > 0;
}

bool
text_u64(struct slice text, uint64_t *out)
{
    uint64_t value;
    if (!take_digits(&text, &value) || text.len > 0)
        return false;
    *out = value;
    return true;
}

bool
text_hex_u64(struct slice text, uint64_t *out)
{
    if (text.len < 1 || text.len > 16)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text_lower(text.ptr[i]);
        if (is_digit(byte))
            value = value << 4 | (uint64_t)(byte - '0');
        else if (byte >= 'a' && byte <= 'f')
            value = value << 4 | (uint64_t)(byte - 'a' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

char *
text_digits_before(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return end;
}

char *
text_hex_before(char *end, uint64_t value)
{
    do {
        *--end = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    return end;
}

char
text_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool
text_caseless_same(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];
        /* Two letters that differ in case differ in one bit; so do some bytes that are none. */
        if (x != y && ((x ^ y) != 0x20 || (unsigned char)((x | 0x20) - 'a') > 'z' - 'a'))
            return false;
    }
    return true;
}

struct slice
text_trim(struct slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = slice_skip(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

struct slice
text_split(struct slice *text, char separator)
{
    struct slice whole = *text;
    if (!slice_present(whole))
        return SLICE_NONE;
    const char *at = whole.len > 0 ? memchr(whole.ptr, separator, whole.len) : NULL;
    if (!at) {
        *text = SLICE_NONE;
        return whole;
    }
    size_t n = (size_t)(at - whole.ptr);
    *text = slice_skip(whole, n + 1);
    return slice_take(whole, n);
}

ptrdiff_t
text_find(struct slice text, struct slice needle)
{
    if (needle.len == 0)
        return 0;
    if (text.len < needle.len)
        return -1;
    const char *at = memmem(text.ptr, text.len, needle.ptr, needle.len);
    return at ? at - text.ptr : -1;
}

ptrdiff_t
text_find_caseless(struct slice text, struct slice needle)
{
    for (size_t i = 0; needle.len <= text.len && i <= text.len - needle.len; i++) {
        if (text_caseless_eq(slice_take(slice_skip(text, i), needle.len), needle))
            return (ptrdiff_t)i;
    }
    return -1;
}

/* Length of the sequence a lead byte announces; 0 for a byte that leads nothing. */
static size_t
utf8_sequence(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

bool
text_utf8_valid(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    size_t left = text.len;
    while (left > 0) {
        size_t n = utf8_sequence(at[0]);
        if (n == 0 || n > left)
            return false;
        if (n > 1) {
            /* The second byte rules out overlong forms, surrogates and what lies over U+10FFFF. */
            unsigned char low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
            unsigned char high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
            if (at[1] < low || at[1] > high)
                return false;
        }
        for (size_t i = 2; i < n; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return false;
        }
        at += n;
        left -= n;
    }
    return true;
}

size_t
text_utf8_cut(struct slice text, size_t max)
{
    size_t n = text.len < max ? text.len : max;
    /* Look back for the lead byte of a sequence that would go on behind n. */
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char byte = (unsigned char)text.ptr[n - back];
        if ((byte & 0xc0) == 0x80)
            continue;
        return utf8_sequence(byte) > back ? n - back : n;
    }
    return n;
}

bool
text_equal_secret(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.len; i++)
        difference = (unsigned char)(difference | (a.ptr[i] ^ b.ptr[i]));
    return difference == 0;
}

#define DISTANCE_MAX 64

int
text_distance(struct slice a, struct slice b)
{
    if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX)
        return DISTANCE_MAX;
    int row[DISTANCE_MAX + 1]; /* costs of turning the first i bytes of a into the first j of b */
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a.len; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= b.len; j++) {
            int best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b.len];
}

/* Decimal digits after a point, as millionths; what is finer than that is cut off. */
static bool
take_millionths(struct slice *text, uint64_t *out)
{
    uint64_t value = 0, weight = 100000;
    size_t n = 0;
    for (; n < text->len && is_digit(text->ptr[n]); n++) {
        value += weight * (uint64_t)(text->ptr[n] - '0');
        weight /= 10;
    }
    *text = slice_skip(*text, n);
    *out = value;
    return n > 0;
}

bool
text_duration_ms(struct slice text, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t whole, millionths = 0;
    if (!take_digits(&text, &whole))
        return false;
    if (text.len > 0 && text.ptr[0] == '.') {
        text = slice_skip(text, 1);
        if (!take_millionths(&text, &millionths))
            return false;
    }
    for (size_t i = 0; i < countof(units); i++) {
        if (!slice_is(text, units[i].name))
            continue;
        uint64_t value;
        if (__builtin_mul_overflow(whole, units[i].ms, &value) ||
            __builtin_add_overflow(value, millionths * units[i].ms / 1000000, &value))
            return false;
        *out = value;
        return true;
    }
    return false;
}

bool
text_bytes(struct slice text, uint64_t *out)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0},    {"b", 0},    {"k", 10}, {"kb", 10}, {"kib", 10}, {"m", 20},
                 {"mb", 20}, {"mib", 20}, {"g", 30}, {"gb", 30}, {"gib", 30}};
    uint64_t whole;
    if (!take_digits(&text, &whole))
        return false;
    while (text.len > 0 && text.ptr[0] == ' ')
        text = slice_skip(text, 1);
    for (size_t i = 0; i < countof(units); i++) {
        if (!text_caseless_is(text, units[i].name))
            continue;
        if (whole > UINT64_MAX >> units[i].shift)
            return false;
        *out = whole << units[i].shift;
        return true;
    }
    return false;
}
