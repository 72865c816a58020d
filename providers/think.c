/* SPDX-License-Identifier: MIT
 *
 * think.c - thoughts that a model writes into its text, between <think> and </think>, as a block of
 * their own.
 *
 * Only a reply that begins with the tag thinks this way. Text is escaped, and a character of the
 * tag may be an escape too (\u003c is what Go's encoder makes of "<"), so the tag is matched unit
 * by unit; what may yet become a tag is held back, never more than a few bytes.
 */
#include "providers/think.h"

#include "base/text.h"

/* One filter call: what comes in turns into what goes out. */
struct filter {
    struct canon_think *think;
    struct canon_events out;
    bool changed;
};

void
canon_think_init(struct canon_think *think, struct arena *arena)
{
    *think = (struct canon_think){.blocks.arena = arena, .state = THINK_START};
}

/* ---------------------------------------------------------------- units of escaped text */

static size_t
unit_length(struct slice text)
{
    if (text.ptr[0] != '\\' || text.len < 2)
        return 1;
    size_t n = text.ptr[1] == 'u' ? 6 : 2;
    return n < text.len ? n : text.len;
}

/* The ASCII character a unit stands for; 0 for any other. */
static char
unit_char(struct slice unit)
{
    if (unit.len == 1)
        return unit.ptr[0];
    if (unit.len == 2) {
        switch (unit.ptr[1]) {
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        case '/':
            return '/';
        default:
            return 0;
        }
    }
    uint64_t code;
    if (unit.len != 6 || !text_hex_u64(slice_skip(unit, 2), &code) || code == 0 || code >= 128)
        return 0;
    return (char)code;
}

static bool
is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* ---------------------------------------------------------------- events out */

static int
put(struct filter *filter, const struct canon_event *like, enum canon_event_kind kind,
    enum canon_block type, struct slice text)
{
    struct canon_event *event = canon_add(&filter->out, kind);
    if (!event)
        return -ERR_MEMORY;
    event->choice = like->choice;
    event->block = filter->think->shown;
    event->type = type;
    event->text = text;
    return 0;
}

static int
put_opening(struct filter *filter, const struct canon_event *like, enum canon_block type)
{
    filter->think->shown = filter->think->blocks.count++;
    return put(filter, like, CANON_OPEN, type, SLICE_NONE);
}

/* What was held back turns out to be text of this type. */
static int
put_held(struct filter *filter, const struct canon_event *like, enum canon_block type)
{
    struct canon_think *think = filter->think;
    struct slice held = slice_of(think->held, think->held_len);
    think->held_len = think->matched = 0;
    if (held.len == 0)
        return 0;
    filter->changed = true;
    struct slice copy = arena_copy(filter->out.arena, held);
    return slice_present(copy) ? put(filter, like, CANON_DELTA, type, copy) : -ERR_MEMORY;
}

static bool
hold(struct canon_think *think, struct slice unit)
{
    if (unit.len > sizeof(think->held) - think->held_len)
        return false;
    memcpy(think->held + think->held_len, unit.ptr, unit.len);
    think->held_len += (uint32_t)unit.len;
    return true;
}

/* ---------------------------------------------------------------- the watched text */

/* No tag: what was held and the rest are the reply's text, and nothing more is looked at. */
static int
settle_as_text(struct filter *filter, const struct canon_event *like, struct slice rest)
{
    filter->think->state = THINK_OVER;
    int error = put_opening(filter, like, BLOCK_TEXT);
    if (!error)
        error = put_held(filter, like, BLOCK_TEXT);
    if (!error && rest.len > 0)
        error = put(filter, like, CANON_DELTA, BLOCK_TEXT, rest);
    return error;
}

/* Before the tag: white space, then the tag itself. */
static int
watch_opening(struct filter *filter, const struct canon_event *event, struct slice *text)
{
    static const char tag[] = "<think>";
    struct canon_think *think = filter->think;
    while (text->len > 0) {
        struct slice unit = slice_take(*text, unit_length(*text));
        char c = unit_char(unit);
        bool may_be = c == tag[think->matched] || (think->matched == 0 && is_space(c));
        if (!may_be || (c != '>' && !hold(think, unit))) {
            struct slice rest = *text;
            *text = slice_skip(rest, rest.len);
            return settle_as_text(filter, event, rest);
        }
        filter->changed = true;
        *text = slice_skip(*text, unit.len);
        think->matched += !is_space(c);
        if (tag[think->matched] != '\0')
            continue;
        think->state = THINK_THOUGHT;
        think->held_len = think->matched = 0;
        return put_opening(filter, event, BLOCK_THINKING);
    }
    return 0;
}

static int
end_thought(struct filter *filter, const struct canon_event *event)
{
    filter->think->held_len = filter->think->matched = 0;
    filter->think->state = THINK_AFTER;
    filter->think->cut = true;
    return put(filter, event, CANON_CLOSE, BLOCK_THINKING, SLICE_NONE);
}

static int
watch_thought(struct filter *filter, const struct canon_event *event, struct slice *text)
{
    static const char tag[] = "</think>";
    struct canon_think *think = filter->think;
    struct slice from = slice_take(*text, 0);
    int error = 0;
    while (text->len > 0 && !error) {
        struct slice unit = slice_take(*text, unit_length(*text));
        char c = unit_char(unit);
        if (think->matched > 0 && c != tag[think->matched]) {
            error = put_held(filter, event, BLOCK_THINKING);
            from = slice_take(*text, 0);
        }
        bool matches = c == tag[think->matched];
        if (matches && think->matched == 0 && from.len > 0 && !error) {
            error = put(filter, event, CANON_DELTA, BLOCK_THINKING, from);
            from.len = 0;
        }
        *text = slice_skip(*text, unit.len);
        if (!matches) {
            from.len += unit.len;
            continue;
        }
        think->matched++;
        if (tag[think->matched] == '\0')
            return error ? error : end_thought(filter, event);
        bool held = hold(think, unit);
        assert(held); /* the tag fits, however it is escaped */
        (void)held;
    }
    if (!error && from.len > 0)
        error = put(filter, event, CANON_DELTA, BLOCK_THINKING, from);
    return error;
}

/* Behind the thought: the white space before the answer belongs to neither. */
static int
watch_after(struct filter *filter, const struct canon_event *event, struct slice *text)
{
    while (text->len > 0 && is_space(unit_char(slice_take(*text, unit_length(*text)))))
        *text = slice_skip(*text, unit_length(*text));
    if (text->len == 0)
        return 0;
    struct slice rest = *text;
    *text = slice_skip(rest, rest.len);
    return settle_as_text(filter, event, rest);
}

static int
watch_text(struct filter *filter, const struct canon_event *event)
{
    struct slice text = event->text;
    int error = 0;
    while (text.len > 0 && !error) {
        switch (filter->think->state) {
        case THINK_OPENING:
            error = watch_opening(filter, event, &text);
            break;
        case THINK_THOUGHT:
            filter->changed = true;
            error = watch_thought(filter, event, &text);
            break;
        case THINK_AFTER:
            filter->changed = true;
            error = watch_after(filter, event, &text);
            break;
        case THINK_START:
        case THINK_OVER:
            error = put(filter, event, CANON_DELTA, BLOCK_TEXT, text);
            text = slice_skip(text, text.len);
            break;
        }
    }
    return error;
}

/* Something about the watched text that is not text itself: a signature, a citation; or text that
 * is no longer looked at. */
static int
carry(struct filter *filter, const struct canon_event *event)
{
    struct canon_think *think = filter->think;
    int error = 0;
    if (think->state == THINK_OPENING || think->state == THINK_AFTER)
        error = settle_as_text(filter, event, SLICE_NONE);
    bool is_thought = think->state == THINK_THOUGHT;
    if (error || (is_thought && event->kind == CANON_CITATION))
        return error; /* what a thought is founded on has no words anywhere */
    struct canon_event *copy = canon_add(&filter->out, event->kind);
    if (!copy)
        return -ERR_MEMORY;
    *copy = *event;
    copy->block = think->shown;
    copy->type = is_thought ? BLOCK_THINKING : event->type;
    if (event->kind != CANON_CITATION || !think->cut)
        return 0;
    struct canon_citation *citation = arena_take(filter->out.arena, sizeof(*citation));
    if (!citation)
        return -ERR_MEMORY;
    *citation = *event->citation;
    citation->start = citation->end = -1;
    copy->citation = citation;
    return 0;
}

static int
watch_delta(struct filter *filter, const struct canon_event *event)
{
    if (filter->think->state == THINK_OVER)
        return carry(filter, event);
    int before = filter->out.count;
    int error = watch_text(filter, event);
    for (int i = before; i < filter->out.count && event->logprobs; i++) {
        if (filter->out.at[i].kind == CANON_DELTA) {
            filter->out.at[i].logprobs = event->logprobs;
            break;
        }
    }
    if (error || !slice_present(event->signature))
        return error;
    struct canon_event signature = *event;
    signature.text = SLICE_NONE;
    signature.logprobs = NULL;
    return carry(filter, &signature);
}

/* The upstream closes the watched block, wherever we are in it. */
static int
close_text(struct filter *filter, const struct canon_event *event)
{
    enum canon_think_state state = filter->think->state;
    int error = 0;
    if (state == THINK_OPENING)
        error = settle_as_text(filter, event, SLICE_NONE);
    if (state == THINK_THOUGHT)
        error = put_held(filter, event, BLOCK_THINKING);
    filter->think->state = THINK_OVER;
    filter->changed = filter->changed || state != THINK_OVER;
    if (error || state == THINK_AFTER)
        return error;
    return put(filter, event, CANON_CLOSE, state == THINK_THOUGHT ? BLOCK_THINKING : BLOCK_TEXT,
               SLICE_NONE);
}

/* ---------------------------------------------------------------- the filter */

static int
filter_event(struct filter *filter, const struct canon_event *event)
{
    struct canon_think *think = filter->think;
    bool is_block = event->kind == CANON_OPEN || event->kind == CANON_DELTA ||
                    event->kind == CANON_CLOSE || event->kind == CANON_CITATION;
    if (!is_block) {
        struct canon_event *copy = canon_add(&filter->out, event->kind);
        if (copy)
            *copy = *event;
        return copy ? 0 : -ERR_MEMORY;
    }
    bool is_watched = think->watching && event->block == think->text;
    if (event->kind == CANON_OPEN && think->state == THINK_START && event->choice == 0) {
        think->state = event->type == BLOCK_TEXT ? THINK_OPENING : THINK_OVER;
        think->watching = event->type == BLOCK_TEXT;
        think->text = event->block;
        if (think->watching)
            return 0; /* opened when it is known what it is */
    }
    if (!is_watched)
        return canon_blocks_map(&think->blocks, event, &filter->out, &filter->changed);
    if (event->kind == CANON_DELTA)
        return watch_delta(filter, event);
    if (event->kind == CANON_CITATION)
        return carry(filter, event);
    think->watching = false;
    return close_text(filter, event);
}

int
canon_think_filter(struct canon_think *think, struct canon_events *events)
{
    struct filter filter = {.think = think};
    canon_events_init(&filter.out, events->arena);
    int error = 0;
    for (int i = 0; i < events->count && !error; i++)
        error = filter_event(&filter, &events->at[i]);
    if (error)
        return error;
    /* An opening that waited, or one block more than came in, is a change even if every text is the
     * same. */
    bool same = filter.out.count == events->count;
    for (int i = 0; same && i < events->count; i++)
        same = filter.out.at[i].kind == events->at[i].kind &&
               filter.out.at[i].block == events->at[i].block;
    events->at = filter.out.at;
    events->count = filter.out.count;
    events->capacity = filter.out.capacity;
    if (filter.changed || !same) {
        events->rewrite = true;
        events->mends |= CANON_MEND_ALL;
    }
    return 0;
}
