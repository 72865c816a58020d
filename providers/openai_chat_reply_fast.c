/* SPDX-License-Identifier: MIT
 *
 * openai_chat_reply_fast.c - a chunk like the last one, without parsing it.
 *
 * Most chunks of a stream differ from the one before only in the text of one delta, and in random
 * padding at the end
 * ("obfuscation", Mistral's "p"). What surrounds the text is kept from a chunk that was parsed in
 * full; a chunk with the same surroundings and a valid JSON string in each gap means the same with
 * another text. Anything else is parsed.
 */
#include "providers/openai_chat.h"

#define TEMPLATE_BYTES_MAX 1024u

/* Where the string contents that start here end: at the first quote that no backslash precedes; -1
 * without one. */
static ptrdiff_t
contents_end(struct slice text, bool *escaped)
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
        *escaped = true;
        from = at + 1;
    }
}

/* Bytes of padding contents before the closing `"}`, if the text ends in such a member; -1 if not.
 */
static ptrdiff_t
padding_of(struct slice after)
{
    if (!slice_ends(after, SLICE_LIT("\"}")))
        return -1;
    size_t end = after.len - 2, start = end;
    while (start > 0 && after.ptr[start - 1] != '"')
        start--;
    struct slice before = slice_take(after, start);
    if (!slice_ends(before, SLICE_LIT("\"obfuscation\":\"")) &&
        !slice_ends(before, SLICE_LIT(",\"p\":\"")))
        return -1;
    return (ptrdiff_t)(end - start);
}

void
chat_template_learn(struct chat_reader *reader, struct slice data,
                    const struct canon_events *events)
{
    struct chat_template *to = &reader->template;
    to->before = 0;
    if (events->count != 1 || events->flaws ||
        events->mends & ~(uint32_t)(MEND_ID | MEND_USAGE_NULL | MEND_REASONING))
        return;
    const struct canon_event *event = &events->at[0];
    struct slice text = event->text;
    if (event->kind != CANON_DELTA || event->logprobs || event->signature.len > 0 ||
        text.len == 0 || text.ptr <= data.ptr || text.ptr >= data.ptr + data.len)
        return;
    size_t before = (size_t)(text.ptr - data.ptr);
    struct slice after = slice_skip(data, before + text.len);
    ptrdiff_t padding = padding_of(after);
    size_t kept = after.len - (padding > 0 ? (size_t)padding : 0);
    if (before + kept > TEMPLATE_BYTES_MAX || data.ptr[before - 1] != '"' || after.len == 0 ||
        after.ptr[0] != '"')
        return;
    if (!canon_room_for(&to->room, reader->arena, before + kept))
        return;
    to->before = (uint32_t)before;
    to->tail = padding >= 0 ? 2 : 0;
    to->after = (uint32_t)kept;
    to->mends = events->mends;
    to->block = event->block;
    to->type = event->type;
    to->choice = chat_find_choice(reader, event->choice);
    memcpy(to->room.bytes, data.ptr, before);
    memcpy(to->room.bytes + before, after.ptr, kept - to->tail);
    memcpy(to->room.bytes + before + kept - to->tail, data.ptr + data.len - to->tail, to->tail);
}

/* Does what follows the text look as it did? */
static bool
same_after(const struct chat_template *like, struct slice rest)
{
    const char *after = like->room.bytes + like->before;
    size_t fixed = like->after - like->tail;
    if (rest.len < like->after || memcmp(rest.ptr, after, fixed) != 0)
        return false;
    if (like->tail == 0)
        return rest.len == fixed;
    if (memcmp(rest.ptr + rest.len - like->tail, after + fixed, like->tail) != 0)
        return false;
    for (size_t i = fixed; i < rest.len - like->tail; i++) {
        char byte = rest.ptr[i];
        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            return false;
    }
    return true;
}

static bool
still_open(const struct chat_template *like)
{
    if (like->choice->finished)
        return false;
    if (like->type == BLOCK_CALL)
        return true; /* calls are open until their choice finishes */
    return like->choice->block_open && like->choice->block == like->block &&
           !like->choice->is_signed;
}

int
chat_template_match(struct chat_reader *reader, struct slice data, struct canon_events *events)
{
    const struct chat_template *like = &reader->template;
    if (like->before == 0 || data.len > DIALECT_LINE_MAX ||
        data.len <= like->before + like->after ||
        memcmp(data.ptr, like->room.bytes, like->before) != 0 || !still_open(like))
        return 0;
    struct slice text = slice_skip(data, like->before);
    bool escaped = false;
    ptrdiff_t end = contents_end(text, &escaped);
    if (end <= 0 || !same_after(like, slice_skip(text, (size_t)end)))
        return 0;
    text = slice_take(text, (size_t)end);
    struct json_scan scan;
    if (json_scan(slice_of(text.ptr - 1, text.len + 2), 1, &scan) != 0)
        return 0;
    struct canon_event *event = canon_add(events, CANON_DELTA);
    if (!event)
        return -ERR_MEMORY;
    event->choice = like->choice->index;
    event->block = like->block;
    event->type = like->type;
    event->text = text;
    events->mends = like->mends;
    return 1;
}
