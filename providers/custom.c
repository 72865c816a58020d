/* SPDX-License-Identifier: MIT
 *
 * custom.c - the arguments {"input":"..."} of a function as the free text they stand for.
 *
 * Arguments travel as escaped text of a JSON text: one level of escapes is taken off, the frame
 * around the string is dropped, and what stands inside the string is, as it is, the escaped text
 * wanted. Only an escape that is cut in two has to wait for its end.
 */
#include "providers/custom.h"

#include "providers/unescape.h"

#define ARGUMENTS_MAX (64u * 1024 * 1024)

const struct slice canon_custom_schema =
    SLICE_LIT("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":["
              "\"input\"]}");

static const char frame[] = "{\"input\":\""; /* white space may stand between its tokens */

struct canon_custom_name {
    struct canon_custom_name *next;
    struct slice name, legal; /* as the client calls it, and as it may have been sent */
};

enum place { PLACE_FRAME, PLACE_TEXT, PLACE_BEHIND, PLACE_OTHER /* it is no such object */ };

struct canon_custom_call {
    struct canon_custom_call *next;
    uint32_t block;
    enum place place;
    struct unescape unescape;
    uint32_t matched; /* bytes of the frame */
    uint32_t held_len;
    char held[64]; /* of the frame as it came, or of an escape that is cut */
};

int
canon_custom_init(struct canon_custom *custom, const struct canon_request *request,
                  struct arena *arena)
{
    *custom = (struct canon_custom){.arena = arena};
    for (const struct canon_tool *tool = request ? request->tools : NULL; tool; tool = tool->next) {
        if (tool->kind != TOOL_CUSTOM)
            continue;
        struct canon_custom_name *name = arena_take(arena, sizeof(*name));
        if (!name)
            return -ERR_MEMORY;
        struct slice legal = canon_legal_name(tool->name, 64, arena);
        name->name = arena_copy(arena, tool->name);
        name->legal = slice_present(legal) ? arena_copy(arena, legal) : SLICE_NONE;
        if (!slice_present(name->name) || !slice_present(name->legal))
            return -ERR_MEMORY;
        name->next = custom->names;
        custom->names = name;
    }
    return 0;
}

static bool
is_custom(const struct canon_custom *custom, struct slice name)
{
    for (const struct canon_custom_name *at = custom->names; at; at = at->next) {
        if (slice_eq(at->name, name) || slice_eq(at->legal, name))
            return true;
    }
    return false;
}

static struct canon_custom_call **
find(struct canon_custom *custom, uint32_t block)
{
    struct canon_custom_call **link = &custom->open;
    while (*link && (*link)->block != block)
        link = &(*link)->next;
    return link;
}

static int
begin_call(struct canon_custom *custom, struct canon_event *event)
{
    struct canon_custom_call *call = custom->spare;
    if (call)
        custom->spare = call->next;
    else
        call = arena_take(custom->arena, sizeof(*call));
    if (!call)
        return -ERR_MEMORY;
    *call = (struct canon_custom_call){.next = custom->open, .block = event->block};
    custom->open = call;
    event->custom = true;
    return 0;
}

static void
end_call(struct canon_custom *custom, uint32_t block)
{
    struct canon_custom_call **link = find(custom, block), *call = *link;
    if (!call)
        return;
    *link = call->next;
    call->next = custom->spare;
    custom->spare = call;
}

static bool
is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* White space may stand in front of the frame and around its punctuation, never inside the name. */
static bool
may_pause(uint32_t matched)
{
    char next = frame[matched], last = matched > 0 ? frame[matched - 1] : '{';
    return next == '{' || next == ':' || last == ':' || (matched == 1 && last == '{');
}

/* One byte of the frame: 1. When it is another, what was held is text after all and the byte is not
 * taken: 0. */
static size_t
take_frame(struct canon_custom_call *call, char byte, struct sink *out)
{
    bool space = is_space(byte) && may_pause(call->matched),
         empty = byte == '}' && call->matched == 1;
    bool fits =
        call->held_len < sizeof(call->held) && (space || empty || byte == frame[call->matched]);
    if (!fits) {
        call->place = PLACE_OTHER;
        json_escape(out, slice_of(call->held, call->held_len));
        call->held_len = 0;
        return 0;
    }
    call->held[call->held_len++] = byte;
    call->matched += !space;
    if (empty) { /* {}: no input at all */
        call->place = PLACE_BEHIND;
    } else if (call->matched == sizeof(frame) - 1) {
        call->place = PLACE_TEXT;
        call->held_len = 0;
    }
    return 1;
}

/* One byte of an escape: let go when it is complete. */
static void
take_escape(struct canon_custom_call *call, char byte, struct sink *out)
{
    call->held[call->held_len++] = byte;
    bool unit = call->held_len >= 2 && call->held[1] == 'u';
    if (call->held_len < (unit ? 6u : 2u))
        return;
    sink_put(out, slice_of(call->held, call->held_len));
    call->held_len = 0;
}

/* Text up to its closing quote or the next escape, in one piece. */
static size_t
take_text(struct canon_custom_call *call, struct slice bytes, struct sink *out)
{
    size_t n = 0;
    if (call->held_len > 0 || bytes.ptr[0] == '\\') {
        take_escape(call, bytes.ptr[0], out);
        return 1;
    }
    while (n < bytes.len && bytes.ptr[n] != '"' && bytes.ptr[n] != '\\')
        n++;
    sink_put(out, slice_take(bytes, n));
    if (n < bytes.len && bytes.ptr[n] == '"') {
        call->place = PLACE_BEHIND;
        n++;
    }
    return n;
}

static void
take_bytes(struct canon_custom_call *call, struct slice bytes, struct sink *out)
{
    while (bytes.len > 0) {
        size_t n = bytes.len;
        switch (call->place) {
        case PLACE_FRAME:
            n = take_frame(call, bytes.ptr[0], out);
            break;
        case PLACE_TEXT:
            n = take_text(call, bytes, out);
            break;
        case PLACE_OTHER:
            json_escape(out, bytes);
            break;
        case PLACE_BEHIND:
            break;
        }
        bytes = slice_skip(bytes, n);
    }
}

static int
filter_delta(struct canon_custom_call *call, struct canon_event *event, struct arena *scratch)
{
    struct sink bytes, text;
    sink_init(&bytes, ARGUMENTS_MAX);
    sink_init(&text, ARGUMENTS_MAX);
    unescape_put(&call->unescape, event->text, &bytes);
    take_bytes(call, sink_slice(&bytes), &text);
    event->text = text.error ? SLICE_NONE : arena_copy(scratch, sink_slice(&text));
    int error = bytes.error || text.error || !slice_present(event->text) ? -ERR_MEMORY : 0;
    sink_fini(&bytes);
    sink_fini(&text);
    return error;
}

int
canon_custom_filter(struct canon_custom *custom, struct canon_events *events)
{
    if (!custom->names)
        return 0;
    int kept = 0, error = 0;
    for (int i = 0; i < events->count && error == 0; i++) {
        struct canon_event *event = &events->at[i];
        bool call = event->type == BLOCK_CALL, keep = true;
        if (event->kind == CANON_OPEN && call && !event->custom && is_custom(custom, event->name)) {
            error = begin_call(custom, event);
        } else if (event->kind == CANON_DELTA && call && slice_present(event->text)) {
            struct canon_custom_call *found = *find(custom, event->block);
            error = found ? filter_delta(found, event, events->arena) : 0;
            keep = !found || event->text.len > 0 || event->signature.len > 0;
        } else if (event->kind == CANON_CLOSE && call) {
            end_call(custom, event->block);
        }
        if (keep)
            events->at[kept++] = *event;
    }
    if (error == 0)
        events->count = kept;
    return error;
}
