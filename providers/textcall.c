/* SPDX-License-Identifier: MIT
 *
 * textcall.c - tool calls out of text; see textcall.h.
 *
 * Text is escaped, and any character of a tag may be an escape, too: tags are matched unit by unit, as in think.c. What may
 * yet become a tag is held back.
 */
#include "providers/textcall.h"

#include "base/text.h"

/* One call: what comes in turns into what goes out. */
struct work {
    struct canon_textcall *filter;
    const struct canon_event *like;
    struct canon_events out;
    bool changed;
};

static const char opening_tag[] = "<tool_call>", closing_tag[] = "</tool_call>";

void
canon_textcall_init(struct canon_textcall *filter, struct arena *arena)
{
    *filter = (struct canon_textcall){.blocks.arena = arena};
    sink_init(&filter->held, TEXTCALL_BYTES_MAX + 1024);
}

void
canon_textcall_fini(struct canon_textcall *filter)
{
    sink_fini(&filter->held);
}

/* ---------------------------------------------------------------- units of escaped text */

static struct slice
unit_of(struct slice text)
{
    size_t n = text.ptr[0] != '\\' || text.len < 2 ? 1 : text.ptr[1] == 'u' ? 6 : 2;
    return slice_take(text, n < text.len ? n : text.len);
}

/* The ASCII character a unit stands for; 0 for any other. */
static char
char_of(struct slice unit)
{
    static const char escapes[][2] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'/', '/'}, {'"', '"'}};
    uint64_t code;
    if (unit.len == 1)
        return unit.ptr[0];
    for (size_t i = 0; unit.len == 2 && i < countof(escapes); i++) {
        if (unit.ptr[1] == escapes[i][0])
            return escapes[i][1];
    }
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
put(struct work *work, enum canon_event_kind kind, enum canon_block type, struct slice text)
{
    struct canon_event *event = canon_add(&work->out, kind);
    if (!event)
        return -ERR_MEMORY;
    event->choice = work->like->choice;
    event->block = work->filter->shown;
    event->type = type;
    event->text = text;
    return 0;
}

static int
open_block(struct work *work, enum canon_block type)
{
    work->filter->shown = work->filter->blocks.count++;
    return put(work, CANON_OPEN, type, SLICE_NONE);
}

static int
put_text(struct work *work, struct slice text)
{
    struct canon_textcall *filter = work->filter;
    if (text.len == 0)
        return 0;
    int error = filter->is_open ? 0 : open_block(work, BLOCK_TEXT);
    filter->is_open = filter->said = true;
    filter->called = false;
    return error ? error : put(work, CANON_DELTA, BLOCK_TEXT, text);
}

/* What was held back is text after all. */
static int
put_held(struct work *work)
{
    struct canon_textcall *filter = work->filter;
    if (filter->held.len == 0)
        return 0;
    struct slice copy = filter->held.error ? SLICE_NONE : arena_copy(work->out.arena, sink_slice(&filter->held));
    sink_reset(&filter->held, 4096);
    filter->matched = 0;
    work->changed = true;
    return slice_present(copy) ? put_text(work, copy) : -ERR_MEMORY;
}

/* A call between the tags: 1 it was one, 0 it was not. */
static int
put_call(struct work *work, struct slice body)
{
    struct canon_textcall *filter = work->filter;
    struct arena *arena = work->out.arena;
    struct json root;
    struct slice decoded = json_unescape(body, arena);
    if (!slice_present(decoded))
        return -ERR_MEMORY;
    int error = json_parse(decoded, 64, 1u << 18, arena, &root);
    if (error)
        return error == -ERR_MEMORY ? error : 0;
    struct slice name = json_text(json_get(root, "name"));
    struct json arguments = json_get(root, "arguments");
    if (!json_present(arguments))
        arguments = json_get(root, "parameters");
    bool is_text = json_type(arguments) == JSON_STRING, is_none = !json_present(arguments) || json_type(arguments) == JSON_NULL;
    if (json_type(root) != JSON_OBJECT || name.len == 0 || (!is_text && !is_none && json_type(arguments) != JSON_OBJECT))
        return 0;
    struct slice text = is_none ? SLICE_LIT("{}") : is_text ? json_text(arguments) : canon_escape(json_raw(arguments), arena);
    if (!slice_present(text))
        return -ERR_MEMORY;
    error = filter->is_open ? put(work, CANON_CLOSE, BLOCK_TEXT, SLICE_NONE) : 0;
    filter->is_open = false;
    if (!error)
        error = open_block(work, BLOCK_CALL);
    if (error)
        return error;
    struct canon_event *event = &work->out.at[work->out.count - 1];
    event->name = name;
    event->id = arena_printf(arena, "call_%016llx%04x", (unsigned long long)(canon_hash(body) ^ filter->reply), (unsigned)filter->calls++ & 0xffffu);
    if (!slice_present(event->id))
        return -ERR_MEMORY;
    error = put(work, CANON_DELTA, BLOCK_CALL, text);
    if (!error)
        error = put(work, CANON_CLOSE, BLOCK_CALL, SLICE_NONE);
    filter->called = filter->cut = true;
    return error ? error : 1;
}

/* ---------------------------------------------------------------- the watched text */

static bool
hold(struct canon_textcall *filter, struct slice unit)
{
    sink_put(&filter->held, unit);
    return filter->held.error == 0;
}

static int
end_call(struct work *work)
{
    struct canon_textcall *filter = work->filter;
    struct slice held = sink_slice(&filter->held);
    struct slice body = slice_skip(held, filter->body);
    size_t tag = 0; /* the closing tag may be written with escapes: walk back over its units */
    for (struct slice rest = body; rest.len > 0; rest = slice_skip(rest, unit_of(rest).len)) {
        struct slice probe = rest;
        size_t i = 0;
        while (closing_tag[i] && probe.len > 0 && char_of(unit_of(probe)) == closing_tag[i]) {
            probe = slice_skip(probe, unit_of(probe).len);
            i++;
        }
        if (!closing_tag[i] && probe.len == 0) {
            tag = rest.len;
            break;
        }
    }
    body = arena_copy(work->out.arena, slice_take(body, body.len - tag));
    if (!slice_present(body))
        return -ERR_MEMORY;
    int got = put_call(work, body);
    filter->inside = false;
    filter->matched = 0;
    if (got == 0)
        return put_held(work);
    sink_reset(&filter->held, 4096);
    work->changed = true;
    return got < 0 ? got : 0;
}

/* Inside the tags everything is held until they close. */
static int
watch_inside(struct work *work, struct slice *text)
{
    struct canon_textcall *filter = work->filter;
    while (text->len > 0) {
        struct slice unit = unit_of(*text);
        char c = char_of(unit);
        *text = slice_skip(*text, unit.len);
        work->changed = true;
        if (!hold(filter, unit)) { /* too long to be a call: text, from now on unwatched until the block ends */
            filter->held.error = 0;
            filter->inside = false;
            int error = put_held(work);
            return error ? error : put_text(work, unit);
        }
        filter->matched = c == closing_tag[filter->matched] ? filter->matched + 1 : c == closing_tag[0];
        if (closing_tag[filter->matched] == '\0')
            return end_call(work);
    }
    return 0;
}

/* Outside: text passes, but for white space that may stand between calls, and what may be a tag. */
static int
watch_outside(struct work *work, struct slice *text)
{
    struct canon_textcall *filter = work->filter;
    struct slice run = slice_take(*text, 0);
    int error = 0;
    while (text->len > 0 && !error) {
        struct slice unit = unit_of(*text);
        char c = char_of(unit);
        bool waits = filter->matched == 0 && is_space(c) && run.len == 0 && (filter->called || !filter->said || filter->held.len > 0);
        bool matches = c == opening_tag[filter->matched];
        if (!matches && !waits && filter->held.len > 0) {
            error = put_held(work);
            run = slice_take(*text, 0);
            matches = c == opening_tag[0];
            if (error)
                break;
        }
        *text = slice_skip(*text, unit.len);
        if (!matches && !waits) {
            run.len += unit.len;
            continue;
        }
        if (run.len > 0)
            error = put_text(work, run);
        if (!hold(filter, unit))
            return -ERR_MEMORY;
        run = slice_take(*text, 0);
        if (!matches)
            continue;
        filter->matched++;
        if (opening_tag[filter->matched] != '\0')
            continue;
        filter->inside = true;
        filter->matched = 0;
        filter->body = filter->held.len;
        return error;
    }
    return error || run.len == 0 ? error : put_text(work, run);
}

static int
watch_text(struct work *work, struct slice text)
{
    int error = 0;
    while (text.len > 0 && !error)
        error = work->filter->inside ? watch_inside(work, &text) : watch_outside(work, &text);
    return error;
}

/* The upstream closes the watched block. White space behind a call goes; a call that never ended is text. */
static int
close_text(struct work *work)
{
    struct canon_textcall *filter = work->filter;
    bool is_blank = filter->called && !filter->inside;
    struct slice held = sink_slice(&filter->held);
    for (size_t i = 0; is_blank && i < held.len;) {
        struct slice unit = unit_of(slice_skip(held, i));
        is_blank = is_space(char_of(unit));
        i += unit.len;
    }
    int error = 0;
    if (is_blank) {
        work->changed = work->changed || filter->held.len > 0;
        sink_reset(&filter->held, 4096);
    } else {
        error = put_held(work);
    }
    filter->inside = filter->watching = false;
    filter->matched = 0;
    if (!error && !filter->is_open && !filter->called && !filter->said) /* an empty block stays one */
        error = open_block(work, BLOCK_TEXT), filter->is_open = true;
    if (!error && filter->is_open)
        error = put(work, CANON_CLOSE, BLOCK_TEXT, SLICE_NONE);
    filter->is_open = false;
    return error;
}

/* A citation or signature of the watched text; it goes to the text block that is open, or is the last that was. */
static int
carry(struct work *work, const struct canon_event *event)
{
    struct canon_textcall *filter = work->filter;
    int error = filter->inside ? 0 : put_held(work);
    if (!error && !filter->is_open)
        error = open_block(work, BLOCK_TEXT);
    filter->is_open = filter->said = true;
    struct canon_event *copy = error ? NULL : canon_add(&work->out, event->kind);
    if (!copy)
        return error ? error : -ERR_MEMORY;
    *copy = *event;
    copy->block = filter->shown;
    copy->text = SLICE_NONE;
    copy->logprobs = NULL;
    if (event->kind != CANON_CITATION || !filter->cut)
        return 0;
    struct canon_citation *citation = arena_take(work->out.arena, sizeof(*citation));
    if (!citation)
        return -ERR_MEMORY;
    *citation = *event->citation;
    citation->start = citation->end = -1;
    copy->citation = citation;
    return 0;
}

/* ---------------------------------------------------------------- the filter */

static int
take(struct work *work, const struct canon_event *event)
{
    struct canon_textcall *filter = work->filter;
    bool is_block = event->kind == CANON_OPEN || event->kind == CANON_DELTA || event->kind == CANON_CLOSE || event->kind == CANON_CITATION;
    work->like = event;
    if (event->kind == CANON_START)
        filter->reply = canon_hash(event->id);
    if (!is_block) {
        struct canon_event *copy = canon_add(&work->out, event->kind);
        if (copy)
            *copy = *event;
        return copy ? 0 : -ERR_MEMORY;
    }
    if (event->kind == CANON_OPEN && event->type == BLOCK_TEXT && event->choice == 0 && !filter->watching) {
        filter->watching = true;
        filter->text = event->block;
        filter->said = filter->called = filter->is_open = filter->cut = false;
        return 0; /* opened when there is something to say */
    }
    if (!filter->watching || event->block != filter->text)
        return canon_blocks_map(&filter->blocks, event, &work->out, &work->changed);
    if (event->kind == CANON_CLOSE)
        return close_text(work);
    int error = event->kind == CANON_DELTA ? watch_text(work, event->text) : 0;
    if (error || (event->kind == CANON_DELTA && !slice_present(event->signature)))
        return error;
    return carry(work, event);
}

int
canon_textcall_filter(struct canon_textcall *filter, struct canon_events *events)
{
    struct work work = {.filter = filter};
    canon_events_init(&work.out, events->arena);
    int error = 0;
    for (int i = 0; i < events->count && !error; i++)
        error = take(&work, &events->at[i]);
    if (error)
        return error;
    bool same = work.out.count == events->count;
    for (int i = 0; same && i < events->count; i++)
        same = work.out.at[i].kind == events->at[i].kind && work.out.at[i].block == events->at[i].block &&
               slice_eq(work.out.at[i].text, events->at[i].text);
    events->at = work.out.at;
    events->count = work.out.count;
    events->capacity = work.out.capacity;
    if (work.changed || !same) {
        events->rewrite = true;
        events->mends |= CANON_MEND_ALL;
    }
    return 0;
}
