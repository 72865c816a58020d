/* SPDX-License-Identifier: MIT
 *
 * unescape.c - one escape at a time; everything between escapes is handed on as it is.
 */
#include "providers/unescape.h"

static const struct slice replacement = {"\xef\xbf\xbd", 3};

static int
hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* The four digits of a \u escape at text[2..6), or -1: a reader has validated them, a caller of
 * ours may not have. */
static int
hex_unit(struct slice text)
{
    int unit = 0;
    if (text.len < 6)
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_value(text.ptr[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t
put_utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

static size_t
put_bytes(struct slice bytes, char *out)
{
    memcpy(out, bytes.ptr, bytes.len);
    return bytes.len;
}

/* A UTF-16 unit joins the half pair that waits, waits itself, or stands alone. At most 7 bytes. */
static size_t
put_unit(struct unescape *state, uint32_t unit, char *out)
{
    size_t n = 0;
    bool low = unit >= 0xdc00 && unit <= 0xdfff;
    if (state->high != 0) {
        uint32_t high = state->high;
        state->high = 0;
        if (low)
            return put_utf8(0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00), out);
        n = put_bytes(replacement, out);
    }
    if (unit >= 0xd800 && unit <= 0xdbff) {
        state->high = (uint16_t)unit;
        return n;
    }
    return n + (low ? put_bytes(replacement, out + n) : put_utf8(unit, out + n));
}

/* Decode the escape that text begins with; advances past it. */
static size_t
one_escape(struct unescape *state, struct slice *text, char *out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (text->len >= 2 && text->ptr[1] == 'u') {
        int unit = hex_unit(*text);
        if (unit >= 0) {
            *text = slice_skip(*text, 6);
            return put_unit(state, (uint32_t)unit, out);
        }
    }
    const char *at = text->len >= 2 ? memchr(letters, text->ptr[1], sizeof(letters) - 1) : NULL;
    size_t n = 0;
    if (state->high != 0) {
        state->high = 0;
        n = put_bytes(replacement, out);
    }
    out[n] = at ? meanings[at - letters] : '\\';
    *text = slice_skip(*text, at ? 2 : 1);
    return n + 1;
}

/* The next decoded run: a slice of text, or of room (8 bytes) when an escape was decoded. May be
 * empty. */
static struct slice
next_run(struct unescape *state, struct slice *text, char room[8])
{
    if (text->ptr[0] == '\\')
        return (struct slice){room, one_escape(state, text, room)};
    if (state->high != 0) {
        state->high = 0;
        return replacement;
    }
    const char *end = memchr(text->ptr, '\\', text->len);
    struct slice run = slice_take(*text, end ? (size_t)(end - text->ptr) : text->len);
    *text = slice_skip(*text, run.len);
    return run;
}

void
unescape_put(struct unescape *state, struct slice text, struct sink *out)
{
    char room[8];
    while (text.len > 0)
        sink_put(out, next_run(state, &text, room));
}

void
unescape_done(struct unescape *state, struct sink *out)
{
    if (state->high != 0)
        sink_put(out, replacement);
    state->high = 0;
}

bool
unescape_check(struct unescape *state, struct slice text, struct json_check *check)
{
    char room[8];
    while (text.len > 0) {
        if (!json_check_feed(check, next_run(state, &text, room)))
            return false;
    }
    return !check->bad;
}
