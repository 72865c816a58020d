/* SPDX-License-Identifier: MIT
 *
 * anthropic_reply_fast.c - the one event that nearly all of a stream consists of, without parsing
 * it.
 *
 * A delta spelt exactly as Anthropic spells it, for the block that is open, means the same here as
 * it does to the parser: the string is checked by the same scanner. Everything else goes the long
 * way.
 */
#include "providers/anthropic.h"

static const struct slice head = SLICE_LIT("{\"type\":\"content_block_delta\",\"index\":");
static const struct slice middle = SLICE_LIT(",\"delta\":{\"type\":\"");

static const struct {
    struct slice spelling;
    enum canon_block type;
} kinds[] = {
    {SLICE_LIT("text_delta\",\"text\":\""), BLOCK_TEXT},
    {SLICE_LIT("input_json_delta\",\"partial_json\":\""), BLOCK_CALL},
    {SLICE_LIT("thinking_delta\",\"thinking\":\""), BLOCK_THINKING},
};

static bool
take(struct slice *rest, struct slice expected)
{
    if (!slice_starts(*rest, expected))
        return false;
    *rest = slice_skip(*rest, expected.len);
    return true;
}

/* A whole number without leading zeros, of at most 9 digits; -1 for anything else. */
static int64_t
take_index(struct slice *rest)
{
    int64_t index = 0;
    size_t n = 0;
    while (n < rest->len && n < 10 && rest->ptr[n] >= '0' && rest->ptr[n] <= '9')
        index = index * 10 + (rest->ptr[n++] - '0');
    if (n == 0 || n == 10 || (n > 1 && rest->ptr[0] == '0'))
        return -1;
    *rest = slice_skip(*rest, n);
    return index;
}

/* The contents of the string that rest stands in, validated; absent if it is none. rest is left at
 * its closing quote. */
static struct slice
take_contents(struct slice *rest)
{
    struct slice text = *rest;
    size_t at = 0;
    for (;;) {
        const char *quote = at < text.len ? memchr(text.ptr + at, '"', text.len - at) : NULL;
        if (!quote)
            return SLICE_NONE;
        size_t end = (size_t)(quote - text.ptr), backslashes = 0;
        while (backslashes < end && text.ptr[end - 1 - backslashes] == '\\')
            backslashes++;
        at = end + 1;
        if (backslashes % 2 == 0)
            break;
    }
    struct json_scan scan;
    *rest = slice_skip(text, at - 1);
    /* With its quotes: the byte before the contents is the one that opens them. */
    return json_scan(slice_of(text.ptr - 1, at + 1), 1, &scan) == 0 ? slice_take(text, at - 1)
                                                                    : SLICE_NONE;
}

/* What stands behind the contents: the two braces, and spaces, with which Anthropic pads its
 * events. */
static bool
ends(struct slice rest)
{
    if (!take(&rest, SLICE_LIT("\"}")))
        return false;
    while (rest.len > 1 && rest.ptr[0] == ' ')
        rest = slice_skip(rest, 1);
    return rest.len == 1 && rest.ptr[0] == '}';
}

static bool
ready(const struct anthropic_reader *reader, int64_t index)
{
    return reader->open && !reader->held && !reader->finished && index == reader->index &&
           index == (int64_t)reader->blocks - 1;
}

int
anthropic_read_fast(struct anthropic_reader *reader, struct slice type, struct slice data,
                    struct canon_events *events)
{
    if (!slice_is(type, "content_block_delta") || !take(&data, head) ||
        !ready(reader, take_index(&data)) || !take(&data, middle))
        return 0;
    struct slice text = SLICE_NONE;
    for (size_t i = 0; i < countof(kinds) && !slice_present(text); i++) {
        if (kinds[i].type == reader->type && take(&data, kinds[i].spelling))
            text = take_contents(&data);
    }
    if (text.len == 0 || !ends(data))
        return 0;
    struct canon_event *event = canon_add(events, CANON_DELTA);
    if (!event)
        return -ERR_MEMORY;
    event->type = reader->type;
    event->block = reader->blocks - 1;
    event->text = text;
    reader->text_seen = true;
    events->mends |= EVENT_BLOCK_DELTA;
    return 1;
}
