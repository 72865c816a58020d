/* SPDX-License-Identifier: MIT
 *
 * openai_responses_reply_fast.c - an event like the last one, without parsing it.
 *
 * Deltas of one part differ in their text, their sequence number and random padding
 * ("obfuscation"). What stands around these three is kept from an event that was parsed in full;
 * one with the same surroundings and something valid in each gap means the same with another text.
 */
#include "providers/openai_responses.h"

#define TEMPLATE_BYTES_MAX 1024u

static uint32_t
hex_of(const char *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char digit = digits[i];
        value = value << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return value & 0xffff;
}

/* The unit of escaped text that starts here, as a code point or half of one; its length in bytes.
 */
static size_t
take_unit(const char *at, size_t left, uint32_t *unit)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const unsigned char *byte = (const unsigned char *)at;
    *unit = byte[0];
    if (byte[0] == '\\' && left >= 6 && byte[1] == 'u') {
        *unit = hex_of(at + 2);
        return 6;
    }
    if (byte[0] == '\\' && left >= 2) {
        const char *found = memchr(escapes, at[1], sizeof(escapes) - 1);
        *unit = found ? (unsigned char)meant[found - escapes] : byte[1];
        return 2;
    }
    size_t n = byte[0] < 0xc0 ? 1 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    if (n == 1 || n > left)
        return 1;
    *unit = byte[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        *unit = *unit << 6 | (byte[i] & 0x3f);
    return n;
}

static void
count(struct responses_told *told, uint32_t unit)
{
    told->units++;
    told->hash = (told->hash ^ unit) * 0x100000001b3u;
}

static void
count_point(struct responses_told *told, uint32_t unit)
{
    if (unit < 0x10000) {
        count(told, unit);
        return;
    }
    count(told, 0xd800 + ((unit - 0x10000) >> 10));
    count(told, 0xdc00 + ((unit - 0x10000) & 0x3ff));
}

void
responses_tell(struct responses_told *told, struct slice text)
{
    uint32_t unit;
    for (size_t i = 0; i < text.len;) {
        i += take_unit(text.ptr + i, text.len - i, &unit);
        count_point(told, unit);
    }
}

struct slice
responses_untold(const struct responses_told *told, struct slice whole)
{
    struct responses_told seen = {0};
    size_t at = 0;
    while (at < whole.len && seen.units < told->units) {
        uint32_t unit;
        at += take_unit(whole.ptr + at, whole.len - at, &unit);
        count_point(&seen, unit);
    }
    bool same = seen.units == told->units && seen.hash == told->hash;
    return same ? slice_skip(whole, at) : SLICE_LIT("");
}

struct gap {
    enum responses_hole hole;
    struct slice at;
};

static void
sort_gaps(struct gap *gaps, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t k = i; k > 0 && gaps[k].at.ptr < gaps[k - 1].at.ptr; k--) {
            struct gap other = gaps[k];
            gaps[k] = gaps[k - 1];
            gaps[k - 1] = other;
        }
    }
}

/* The gaps of an event, by place; 0: it is not one to learn from. */
static size_t
gaps_of(struct json root, struct gap *gaps)
{
    size_t count = 0;
    struct json number = json_get(root, "sequence_number");
    struct slice padding = json_text(json_get(root, "obfuscation"));
    gaps[count++] = (struct gap){HOLE_DELTA, json_text(json_get(root, "delta"))};
    if (json_type(number) == JSON_NUMBER)
        gaps[count++] = (struct gap){HOLE_NUMBER, json_raw(number)};
    if (slice_present(padding))
        gaps[count++] = (struct gap){HOLE_PADDING, padding};
    sort_gaps(gaps, count);
    return count;
}

void
responses_template_learn(struct responses_reader *reader, struct slice type, struct slice data,
                         struct json root, struct responses_read_item *item,
                         struct responses_read_part *part, const struct canon_events *events)
{
    struct responses_template *to = &reader->template;
    struct gap gaps[RESPONSES_HOLES];
    to->used = 0;
    if (events->count != 1 || events->flaws || events->mends & (RESPONSES_MEND_SPLIT | RESPONSES_MEND_TYPE) ||
        events->at[0].kind != CANON_DELTA || events->at[0].logprobs)
        return;
    size_t count = gaps_of(root, gaps), used = 0, fixed = data.len;
    for (size_t i = 0; i < count; i++)
        fixed -= gaps[i].at.len;
    if (fixed > TEMPLATE_BYTES_MAX || !canon_room_for(&to->room, reader->arena, fixed))
        return;
    const char *from = data.ptr;
    for (size_t i = 0; i <= count; i++) {
        const char *end = i < count ? gaps[i].at.ptr : data.ptr + data.len;
        size_t n = (size_t)(end - from);
        if (used + n > fixed)
            return;
        memcpy(to->room.bytes + used, from, n);
        to->fixed[i] = (uint32_t)n;
        used += n;
        if (i < count) {
            to->hole[i] = gaps[i].hole;
            from = end + gaps[i].at.len;
        }
    }
    to->type = responses_event_name(json_text(json_get(root, "type")));
    if (!to->type || (slice_present(type) && !slice_is(type, to->type)))
        return;
    to->typed = slice_present(type);
    to->holes = (uint32_t)count;
    to->mends = events->mends;
    to->item = item;
    to->part = part;
    to->used = (uint32_t)used;
}

/* Where the string contents that start here end: at the first quote that no backslash precedes; -1
 * without one. */
static ptrdiff_t
contents_end(struct slice text)
{
    size_t from = 0;
    for (;;) {
        const char *quote = memchr(text.ptr + from, '"', text.len - from);
        if (!quote)
            return -1;
        size_t at = (size_t)(quote - text.ptr), backslashes = 0;
        while (backslashes < at && text.ptr[at - 1 - backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return (ptrdiff_t)at;
        from = at + 1;
    }
}

/* The length of what fills a hole, -1: nothing valid does. */
static ptrdiff_t
filling(enum responses_hole hole, struct slice rest)
{
    size_t n = 0;
    if (hole == HOLE_DELTA)
        return contents_end(rest);
    if (hole == HOLE_NUMBER) {
        while (n < rest.len && n < 18 && rest.ptr[n] >= '0' && rest.ptr[n] <= '9')
            n++;
        return n > 1 && rest.ptr[0] == '0' ? -1 : n > 0 ? (ptrdiff_t)n : -1;
    }
    while (n < rest.len && rest.ptr[n] >= ' ' && rest.ptr[n] <= '~' && rest.ptr[n] != '"' &&
           rest.ptr[n] != '\\')
        n++;
    return n < rest.len && rest.ptr[n] == '"' ? (ptrdiff_t)n : -1;
}

static bool
still_open(const struct responses_reader *reader)
{
    const struct responses_template *like = &reader->template;
    if (!like->part)
        return like->item->opened && !like->item->done;
    return reader->open_item == like->item && reader->open_part == like->part;
}

/* Does data look like the last event? Then *text is its delta. */
static bool
looks_alike(const struct responses_template *like, struct slice data, struct slice *text)
{
    const char *fixed = like->room.bytes;
    for (uint32_t i = 0; i <= like->holes; i++) {
        size_t n = like->fixed[i];
        if (data.len < n || memcmp(data.ptr, fixed, n) != 0)
            return false;
        data = slice_skip(data, n);
        fixed += n;
        if (i == like->holes)
            break;
        ptrdiff_t filled = filling(like->hole[i], data);
        if (filled < 0)
            return false;
        if (like->hole[i] == HOLE_DELTA)
            *text = slice_take(data, (size_t)filled);
        data = slice_skip(data, (size_t)filled);
    }
    return data.len == 0 && text->len > 0;
}

int
responses_template_match(struct responses_reader *reader, struct slice type, struct slice data,
                         struct canon_events *events)
{
    const struct responses_template *like = &reader->template;
    struct slice text = SLICE_NONE;
    if (like->used == 0 || data.len > DIALECT_LINE_MAX || slice_present(type) != like->typed ||
        (like->typed && !slice_is(type, like->type)) || !still_open(reader) ||
        !looks_alike(like, data, &text))
        return 0;
    struct json_scan scan;
    if (json_scan(slice_of(text.ptr - 1, text.len + 2), 1, &scan) != 0)
        return 0;
    struct canon_event *event = canon_add(events, CANON_DELTA);
    if (!event)
        return -ERR_MEMORY;
    responses_tell(like->part ? &like->part->told : &like->item->told, text);
    event->type = like->part ? like->part->type : BLOCK_CALL;
    event->block = like->part ? reader->open_block : like->item->block;
    event->text = text;
    events->mends = like->mends;
    return 1;
}
