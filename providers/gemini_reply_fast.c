/* SPDX-License-Identifier: MIT
 *
 * gemini_reply_fast.c - a chunk like the last one, without parsing it.
 *
 * Most chunks of a stream differ from the one before only in the text of one part and in the
 * counters behind it. What surrounds the text is kept from a chunk that was parsed in full; a chunk
 * with the same surroundings, other digits where digits stood, and a valid JSON string between them
 * means the same with another text. Anything else is parsed.
 */
#include "providers/gemini.h"

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
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

/* Where the usage stands in a chunk, and each of its counters. */
struct usage_places {
    struct slice all;
    const char *counters[GEMINI_COUNT_NONE];
};

/* False when a counter is not spelt with digits only. */
static bool
find_places(const struct gemini_usage_json *usage, struct usage_places *places)
{
    places->all = json_raw(usage->all);
    for (size_t i = 0; i < countof(places->counters); i++) {
        struct slice raw = json_raw(usage->counters[i]);
        places->counters[i] = raw.ptr;
        for (size_t k = 0; k < raw.len; k++)
            if (!is_digit(raw.ptr[k]))
                return false;
    }
    return true;
}

/* What the digits at a place are: a counter, a number of no account, or, outside of the usage,
 * something that stays as it is. */
static uint8_t
meaning_of(const struct usage_places *places, const char *place)
{
    if (!slice_present(places->all) || place < places->all.ptr ||
        place >= places->all.ptr + places->all.len)
        return GEMINI_COUNT_FIXED;
    for (uint8_t i = 0; i < countof(places->counters); i++)
        if (places->counters[i] == place)
            return i;
    return GEMINI_COUNT_NONE;
}

static bool
learn_runs(struct gemini_template *to, struct slice after, const struct usage_places *places)
{
    to->runs = 0;
    for (size_t i = 0; i < after.len; i++) {
        if (!is_digit(after.ptr[i]))
            continue;
        size_t start = i;
        while (i < after.len && is_digit(after.ptr[i]))
            i++;
        uint8_t meaning = meaning_of(places, after.ptr + start);
        if (meaning == GEMINI_COUNT_FIXED)
            continue;
        if (to->runs == GEMINI_TEMPLATE_RUNS)
            return false;
        to->run[to->runs].start = (uint16_t)start;
        to->run[to->runs].end = (uint16_t)i;
        to->run[to->runs].counter = meaning;
        to->runs++;
    }
    return true;
}

void
gemini_template_learn(struct gemini_reader *reader, struct slice data,
                      const struct canon_events *events, const struct gemini_usage_json *usage)
{
    struct usage_places places;
    struct gemini_template *to = &reader->template;
    to->before = 0;
    int count = events->count;
    if (count == 2 && events->at[1].kind == CANON_USAGE)
        count = 1;
    if (count != 1 || events->flaws || events->mends || events->rewrite)
        return;
    const struct canon_event *event = &events->at[0];
    struct slice text = event->text;
    if (event->kind != CANON_DELTA || event->type == BLOCK_CALL || text.len == 0 ||
        event->signature.len > 0 || event->logprobs || text.ptr <= data.ptr ||
        text.ptr >= data.ptr + data.len)
        return;
    struct gemini_read_choice *choice = reader->choices;
    while (choice && choice->index != event->choice)
        choice = choice->next;
    size_t before = (size_t)(text.ptr - data.ptr);
    struct slice after = slice_skip(data, before + text.len);
    if (!choice || before + after.len > GEMINI_TEMPLATE_BYTES || data.ptr[before - 1] != '"' ||
        after.len == 0 || after.ptr[0] != '"')
        return;
    /* Kept metadata must not be in it, and digits of an escape are none. */
    if (memchr(after.ptr, '\\', after.len) || choice->grounding.len > 0 ||
        choice->citations.len > 0 || !find_places(usage, &places) ||
        !learn_runs(to, after, &places) ||
        !canon_room_for(&to->room, reader->arena, before + after.len))
        return;
    to->choice = choice;
    to->type = event->type;
    to->after = (uint32_t)after.len;
    memcpy(to->room.bytes, data.ptr, before);
    memcpy(to->room.bytes + before, after.ptr, after.len);
    to->before = (uint32_t)before;
}

/* A number of digits only, at most 14 of them; other spellings are left to the parser. */
static bool
take_digits(struct slice *rest, uint64_t *number)
{
    size_t n = 0;
    *number = 0;
    while (n < rest->len && n < 15 && is_digit(rest->ptr[n]))
        *number = *number * 10 + (uint64_t)(rest->ptr[n++] - '0');
    bool plain = n > 0 && n < 15 && (n == 1 || rest->ptr[0] != '0');
    *rest = slice_skip(*rest, n);
    return plain;
}

/* Does what follows the text look as it did, but for its numbers? Then counts holds the counters.
 */
static bool
same_after(const struct gemini_template *like, struct slice rest,
           uint64_t counts[GEMINI_COUNT_NONE])
{
    const char *after = like->room.bytes + like->before;
    size_t at = 0;
    for (uint32_t i = 0; i < like->runs; i++) {
        struct slice between = slice_of(after + at, like->run[i].start - at), digits;
        if (!slice_starts(rest, between))
            return false;
        rest = slice_skip(rest, between.len);
        digits =
            slice_of(after + like->run[i].start, (size_t)(like->run[i].end - like->run[i].start));
        at = like->run[i].end;
        bool same =
            slice_starts(rest, digits) && rest.len > digits.len && !is_digit(rest.ptr[digits.len]);
        uint64_t number;
        if (same && like->run[i].counter == GEMINI_COUNT_NONE) {
            rest = slice_skip(rest, digits.len);
            continue;
        }
        if ((digits.len > 1 && digits.ptr[0] == '0') || !take_digits(&rest, &number))
            return false;
        if (like->run[i].counter != GEMINI_COUNT_NONE)
            counts[like->run[i].counter] = number;
    }
    return slice_eq(rest, slice_of(after + at, like->after - at));
}

int
gemini_template_match(struct gemini_reader *reader, struct slice data, struct canon_events *events)
{
    const struct gemini_template *like = &reader->template;
    struct gemini_read_choice *choice = like->choice;
    if (like->before == 0 || data.len > DIALECT_LINE_MAX || data.len <= like->before ||
        memcmp(data.ptr, like->room.bytes, like->before) != 0 || !choice->open ||
        choice->type != like->type || choice->is_signed || choice->partial)
        return 0;
    struct slice text = slice_skip(data, like->before);
    ptrdiff_t end = contents_end(text);
    uint64_t counts[GEMINI_COUNT_NONE];
    memcpy(counts, reader->counts, sizeof(counts));
    if (end <= 0 || !same_after(like, slice_skip(text, (size_t)end), counts))
        return 0;
    text = slice_take(text, (size_t)end);
    struct json_scan scan;
    if (json_scan(slice_of(text.ptr - 1, text.len + 2), 1, &scan) != 0)
        return 0;
    int error = gemini_emit_text(reader, choice, choice->type, text, SLICE_NONE, events);
    if (!error && memcmp(counts, reader->counts, sizeof(counts)) != 0) {
        memcpy(reader->counts, counts, sizeof(counts));
        error = gemini_emit_usage(reader, events);
    }
    return error ? error : 1;
}
