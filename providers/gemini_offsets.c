/* SPDX-License-Identifier: MIT
 *
 * gemini_offsets.c - byte and code point offsets into a text of which only the lengths of its
 * characters are kept.
 */
#include "providers/gemini_offsets.h"

struct gemini_mark {
    uint32_t bytes, points, width;
};

void
gemini_offsets_init(struct gemini_offsets *offsets)
{
    *offsets = (struct gemini_offsets){0};
    sink_init(&offsets->marks, GEMINI_MARKS_MAX);
}

void
gemini_offsets_fini(struct gemini_offsets *offsets)
{
    sink_fini(&offsets->marks);
}

/* count more characters of that many bytes each. */
static void
advance(struct gemini_offsets *offsets, uint32_t width, size_t count)
{
    if (offsets->lost || count == 0)
        return;
    if (count > (UINT32_MAX - offsets->bytes) / width) {
        offsets->lost = true;
        return;
    }
    if (offsets->width != width) {
        struct gemini_mark mark = {offsets->bytes, offsets->points, width};
        sink_put(&offsets->marks, slice_of(&mark, sizeof(mark)));
        offsets->lost = offsets->marks.error != 0;
        offsets->width = width;
    }
    offsets->bytes += (uint32_t)count * width;
    offsets->points += (uint32_t)count;
}

/* How many bytes from `at` on are characters of one byte that no escape spells. */
static size_t
plain_run(const char *at, size_t n)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, sizeof(word));
        uint64_t other = word ^ ones * '\\';
        if (((word | (other - ones)) & tops) != 0)
            break;
    }
    while (i < n && (unsigned char)at[i] < 0x80 && at[i] != '\\')
        i++;
    return i;
}

static uint32_t
hex_unit(const char *digits)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        char digit = digits[i];
        unit = unit * 16 + (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return unit;
}

/* A lone half of a surrogate pair becomes U+FFFD, which has three bytes. */
static void
flush_half(struct gemini_offsets *offsets)
{
    if (offsets->high != 0)
        advance(offsets, 3, 1);
    offsets->high = 0;
}

static void
take_unit(struct gemini_offsets *offsets, uint32_t unit)
{
    if (offsets->high != 0 && unit >= 0xdc00 && unit <= 0xdfff) {
        offsets->high = 0;
        advance(offsets, 4, 1);
        return;
    }
    flush_half(offsets);
    if (unit >= 0xd800 && unit <= 0xdbff)
        offsets->high = unit;
    else
        advance(offsets, unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3, 1);
}

void
gemini_offsets_feed(struct gemini_offsets *offsets, struct slice escaped)
{
    size_t i = 0;
    while (i < escaped.len && !offsets->lost) {
        size_t run = plain_run(escaped.ptr + i, escaped.len - i);
        if (run > 0) {
            flush_half(offsets);
            advance(offsets, 1, run);
            i += run;
            continue;
        }
        unsigned char byte = (unsigned char)escaped.ptr[i];
        if (byte == '\\') {
            bool unit = i + 6 <= escaped.len && escaped.ptr[i + 1] == 'u';
            take_unit(offsets, unit ? hex_unit(escaped.ptr + i + 2) : 'x');
            i += unit ? 6 : 2;
            continue;
        }
        flush_half(offsets);
        uint32_t width = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
        advance(offsets, width, 1);
        i += width;
    }
}

static struct gemini_mark
mark_at(const struct gemini_offsets *offsets, size_t index)
{
    struct gemini_mark mark;
    memcpy(&mark, offsets->marks.ptr + index * sizeof(mark), sizeof(mark));
    return mark;
}

/* The last mark at or before a place; there is one, since the text is not empty. */
static struct gemini_mark
mark_before(const struct gemini_offsets *offsets, uint32_t place, bool in_bytes)
{
    size_t low = 0, high = offsets->marks.len / sizeof(struct gemini_mark);
    assert(high > 0);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        struct gemini_mark mark = mark_at(offsets, middle);
        if ((in_bytes ? mark.bytes : mark.points) <= place)
            low = middle;
        else
            high = middle;
    }
    return mark_at(offsets, low);
}

int64_t
gemini_offsets_points(const struct gemini_offsets *offsets, int64_t bytes)
{
    if (offsets->lost || bytes < 0 || bytes > offsets->bytes)
        return -1;
    if (bytes == offsets->bytes)
        return offsets->points;
    struct gemini_mark mark = mark_before(offsets, (uint32_t)bytes, true);
    return mark.points + (bytes - mark.bytes) / mark.width;
}

int64_t
gemini_offsets_bytes(const struct gemini_offsets *offsets, int64_t points)
{
    if (offsets->lost || points < 0 || points > offsets->points)
        return -1;
    if (points == offsets->points)
        return offsets->bytes;
    struct gemini_mark mark = mark_before(offsets, (uint32_t)points, false);
    return mark.bytes + (points - mark.points) * mark.width;
}
