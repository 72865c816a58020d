/* SPDX-License-Identifier: MIT
 *
 * json_escape.c - the contents of JSON strings, to and from plain UTF-8.
 *
 * What is unescaped has been validated before; what is escaped may be any bytes.
 */
#include "base/json.h"

#include "base/json_run.h"

/* The four digits behind "\u". */
static uint32_t
hex4(const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t byte = (unsigned char)at[i];
        value = value << 4 | ((byte & 15) + (byte >> 6) * 9);
    }
    return value;
}

/* Write a code point as UTF-8; the length. */
static size_t
put_utf8(char *to, uint32_t point)
{
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        to[0] = (char)(0xc0 | point >> 6);
        to[1] = (char)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        to[0] = (char)(0xe0 | point >> 12);
        to[1] = (char)(0x80 | (point >> 6 & 63));
        to[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | point >> 18);
    to[1] = (char)(0x80 | (point >> 12 & 63));
    to[2] = (char)(0x80 | (point >> 6 & 63));
    to[3] = (char)(0x80 | (point & 63));
    return 4;
}

/*
 * Decode the escape at the front of *escaped (it begins with a backslash), and move past it. At
 * most 4 bytes are written, and always fewer than were taken. A pair of surrogates is one
 * character; half a pair is U+FFFD.
 */
static size_t
take_escape(struct slice *escaped, char to[4])
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char letter = escaped->ptr[1];
    if (letter != 'u') {
        const char *at = strchr(letters, letter);
        to[0] = at ? meanings[at - letters] : letter;
        *escaped = slice_skip(*escaped, 2);
        return 1;
    }
    uint32_t point = hex4(escaped->ptr + 2);
    *escaped = slice_skip(*escaped, 6);
    if (point >= 0xd800 && point <= 0xdbff && slice_starts(*escaped, SLICE_LIT("\\u"))) {
        uint32_t low = hex4(escaped->ptr + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *escaped = slice_skip(*escaped, 6);
            return put_utf8(to, 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00));
        }
    }
    if (point >= 0xd800 && point <= 0xdfff)
        point = 0xfffd;
    return put_utf8(to, point);
}

struct slice
json_unescape(struct slice escaped, struct arena *arena)
{
    const char *escape = escaped.len > 0 ? memchr(escaped.ptr, '\\', escaped.len) : NULL;
    if (!escape)
        return escaped;
    /* Decoded text is never longer than escaped text. */
    char *text = arena_take(arena, escaped.len);
    if (!text)
        return SLICE_NONE;
    size_t len = 0;
    while (escape) {
        size_t plain = (size_t)(escape - escaped.ptr);
        memcpy(text + len, escaped.ptr, plain);
        len += plain;
        escaped = slice_skip(escaped, plain);
        char character[4];
        size_t n = take_escape(&escaped, character);
        memcpy(text + len, character, n);
        len += n;
        escape = escaped.len > 0 ? memchr(escaped.ptr, '\\', escaped.len) : NULL;
    }
    memcpy(text + len, escaped.ptr, escaped.len);
    return slice_of(text, len + escaped.len);
}

bool
json_escaped_is(struct slice escaped, const char *text)
{
    struct slice want = slice_from(text);
    /* An escape is always longer than what it means: most names are told apart by length alone, and
     * of equal length are only those without escapes. */
    if (escaped.len < want.len)
        return false;
    if (escaped.len == want.len)
        return slice_eq(escaped, want) && (want.len == 0 || !memchr(want.ptr, '\\', want.len));
    while (escaped.len > 0) {
        if (escaped.ptr[0] != '\\') {
            if (want.len == 0 || escaped.ptr[0] != want.ptr[0])
                return false;
            escaped = slice_skip(escaped, 1);
            want = slice_skip(want, 1);
            continue;
        }
        char character[4];
        size_t n = take_escape(&escaped, character);
        if (!slice_starts(want, slice_of(character, n)))
            return false;
        want = slice_skip(want, n);
    }
    return want.len == 0;
}

static void
escape_byte(struct sink *sink, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    size_t n = 2;
    switch (byte) {
    case '"':
    case '\\':
        escape[1] = (char)byte;
        break;
    case '\b':
        escape[1] = 'b';
        break;
    case '\f':
        escape[1] = 'f';
        break;
    case '\n':
        escape[1] = 'n';
        break;
    case '\r':
        escape[1] = 'r';
        break;
    case '\t':
        escape[1] = 't';
        break;
    default:
        n = 6;
    }
    sink_put(sink, slice_of(escape, n));
}

void
json_escape(struct sink *sink, struct slice text)
{
    if (text.len == 0)
        return; /* it may be absent */
    const unsigned char *at = (const unsigned char *)text.ptr;
    const unsigned char *end = at + text.len;
    while (at < end) {
        /* Everything up to the next byte that cannot stand as it is goes in one piece. */
        const unsigned char *from = at;
        int n = 1;
        for (at = json_run_plain(at, end); at < end && *at >= 0x80; at = json_run_plain(at, end)) {
            n = json_run_utf8(at, end);
            if (n <= 0)
                break;
            at += n;
        }
        sink_put(sink, slice_of(from, (size_t)(at - from)));
        if (at == end)
            break;
        if (*at >= 0x80) {
            sink_put(sink, SLICE_LIT("\xef\xbf\xbd"));
            at += n < 0 ? -n : 1;
        } else {
            escape_byte(sink, *at);
            at++;
        }
    }
}
