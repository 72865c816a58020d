/* SPDX-License-Identifier: MIT
 *
 * canon.c - the small change of the canonical language: event lists, usage, reports, frames, flaw
 * names, and the names and ids that have to be made legal on the way to another provider.
 */
#include "providers/canon.h"

#include "base/text.h"
#include "providers/dialect.h"

#include <stdio.h>

void
canon_drop(struct canon_report *report, const char *name)
{
    for (int i = 0; i < report->count; i++)
        if (strcmp(report->dropped[i], name) == 0)
            return;
    if (report->count < CANON_DROPPED_MAX)
        report->dropped[report->count++] = name;
    else
        report->dropped[CANON_DROPPED_MAX - 1] = "more";
}

static void
merge_counter(uint64_t *into, uint64_t from)
{
    if (from != UINT64_MAX)
        *into = from;
}

void
canon_usage_merge(struct canon_usage *into, const struct canon_usage *from)
{
    merge_counter(&into->in_total, from->in_total);
    merge_counter(&into->cache_read, from->cache_read);
    merge_counter(&into->cache_write, from->cache_write);
    merge_counter(&into->out_total, from->out_total);
    merge_counter(&into->reasoning, from->reasoning);
}

struct canon_error
canon_error_of(int error)
{
    const struct err_row *row = err_row(error);
    return (struct canon_error){
        .error = error < 0 ? -error : error,
        .kind = row->kind,
        .status = row->status,
        .message = slice_from(row->text),
        .code = slice_from(row->code),
        .retry_after_ms = UINT64_MAX,
        .should_retry = -1,
    };
}

static const char *const flaw_names[FLAW_COUNT] = {
    [FLAW_NONE] = "none",
    [FLAW_NO_ROLE] = "no_role",
    [FLAW_TOOL_FIELDS] = "tool_fields",
    [FLAW_NO_TERMINATOR] = "no_terminator",
    [FLAW_NO_FINISH] = "no_finish",
    [FLAW_REPEATED_FINISH] = "repeated_finish",
    [FLAW_REPEATED_START] = "repeated_start",
    [FLAW_BLOCK_ORDER] = "block_order",
    [FLAW_AFTER_END] = "after_end",
    [FLAW_UNKNOWN_FINISH] = "unknown_finish",
    [FLAW_UNTERMINATED_EVENT] = "unterminated_event",
    [FLAW_OVERSIZE_LINE] = "oversize_line",
    [FLAW_UNKNOWN_EVENT] = "unknown_event",
    [FLAW_FINISH_MISMATCH] = "finish_mismatch",
};

const char *
canon_flaw_name(enum canon_flaw flaw)
{
    assert(flaw >= FLAW_NONE);
    assert(flaw < FLAW_COUNT);
    return flaw_names[flaw];
}

/* ---------------------------------------------------------------- event lists */

void
canon_events_init(struct canon_events *events, struct arena *scratch)
{
    *events = (struct canon_events){.arena = scratch};
}

void
canon_events_clear(struct canon_events *events)
{
    canon_events_init(events, events->arena);
}

struct canon_event *
canon_add(struct canon_events *events, enum canon_event_kind kind)
{
    assert(events->count <= events->capacity);
    if (events->count == events->capacity) {
        int capacity = events->capacity ? events->capacity * 4 : 4;
        struct canon_event *at = arena_take_raw(events->arena, (size_t)capacity * sizeof(*at));
        if (!at)
            return NULL;
        if (events->count)
            memcpy(at, events->at, (size_t)events->count * sizeof(*at));
        events->at = at;
        events->capacity = capacity;
    }
    struct canon_event *event = &events->at[events->count++];
    *event = (struct canon_event){.kind = kind, .usage = CANON_USAGE_UNKNOWN};
    return event;
}

/* ---------------------------------------------------------------- frames */

void
frames_init(struct frames *frames, size_t bytes_max)
{
    sink_init(&frames->bytes, bytes_max);
    frames->count = 0;
    frames->unsaid = 0;
    frames->error = 0;
}

void
frames_fini(struct frames *frames)
{
    sink_fini(&frames->bytes);
    frames->count = 0;
}

void
frames_clear(struct frames *frames)
{
    sink_reset(&frames->bytes, 64 * 1024);
    frames->count = 0;
    frames->unsaid = 0;
    frames->error = 0;
}

void
frame_begin(struct frames *frames, enum frame_kind kind, const char *type)
{
    if (frames->count == FRAMES_MAX) {
        frames->error = -ERR_LIMIT;
        return;
    }
    frames->at[frames->count] =
        (struct frame){.kind = kind, .type = type, .start = frames->bytes.len};
}

void
frame_end(struct frames *frames)
{
    if (frames->bytes.error && !frames->error)
        frames->error = frames->bytes.error;
    if (frames->error)
        return;
    assert(frames->count < FRAMES_MAX);
    struct frame *frame = &frames->at[frames->count++];
    frame->len = frames->bytes.len - frame->start;
}

/* ---------------------------------------------------------------- names and ids */

struct slice
canon_escape(struct slice text, struct arena *arena)
{
    struct sink sink;
    sink_init(&sink, text.len * 6 + 16);
    json_escape(&sink, text);
    struct slice escaped = SLICE_NONE;
    if (!sink.error)
        escaped = slice_eq(sink_slice(&sink), text) ? text : arena_copy(arena, sink_slice(&sink));
    sink_fini(&sink);
    return escaped;
}

/* Is it the second half of a surrogate pair, whose first half was counted? \udc00 to \udfff. */
static bool
is_low_half(struct slice text, size_t at)
{
    return at + 4 <= text.len && text_lower(text.ptr[at + 2]) == 'd' &&
           text_lower(text.ptr[at + 3]) >= 'c';
}

uint64_t
canon_points(struct slice text)
{
    uint64_t points = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '\\') {
            points += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
            continue;
        }
        bool is_unit = i + 1 < text.len && text.ptr[i + 1] == 'u';
        points += !is_unit || !is_low_half(text, i);
        i += is_unit ? 5 : 1;
    }
    return points;
}

uint64_t
canon_hash(struct slice text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.ptr[i]) * 0x100000001b3u;
    return hash;
}

static bool
is_legal(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

static bool
all_legal(struct slice text, size_t max)
{
    if (text.len == 0 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_legal(text.ptr[i]))
            return false;
    return true;
}

#define LEGAL_NAME_MAX 128

/* A legal name in place of this one, which is none. */
static struct slice
make_legal(struct slice name, size_t max, char out[LEGAL_NAME_MAX + 1])
{
    size_t n = name.len < max - 9 ? name.len : max - 9;
    for (size_t i = 0; i < n; i++)
        out[i] = is_legal(name.ptr[i]) ? name.ptr[i] : '_';
    snprintf(out + n, 10, "_%08x", (unsigned)(canon_hash(name) >> 32));
    return slice_of(out, n + 9);
}

struct slice
canon_legal_name(struct slice name, size_t max, struct arena *arena)
{
    char made[LEGAL_NAME_MAX + 1];
    assert(max >= 16);
    assert(max <= LEGAL_NAME_MAX);
    return all_legal(name, max) ? name : arena_copy(arena, make_legal(name, max, made));
}

struct slice
canon_client_name(const struct canon_request *request, struct slice name)
{
    char made_of[LEGAL_NAME_MAX + 1];
    /* Only a name that ends in "_" and 8 hex digits can be one that was made, or one that begins
     * with "_": Gemini takes no digit there. */
    bool made = name.len >= 9 && name.ptr[name.len - 9] == '_',
         led = name.len > 1 && name.ptr[0] == '_';
    if (!request || (!made && !led))
        return name;
    for (struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        struct slice legal = all_legal(tool->name, 64) ? tool->name : make_legal(tool->name, 64, made_of);
        bool digit =
            legal.len > 0 && (legal.ptr[0] == '-' || (legal.ptr[0] >= '0' && legal.ptr[0] <= '9'));
        if (slice_eq(legal, name) || (led && digit && slice_eq(legal, slice_skip(name, 1))))
            return tool->name;
    }
    return name;
}

int
canon_keep_names(const struct canon_request *request, struct arena *arena, const struct canon_request **out)
{
    struct canon_request *kept = NULL;
    struct canon_tool **link = NULL;
    *out = NULL;
    for (const struct canon_tool *tool = request ? request->tools : NULL; tool; tool = tool->next) {
        bool digit = tool->name.len > 0 && (tool->name.ptr[0] == '-' || (tool->name.ptr[0] >= '0' && tool->name.ptr[0] <= '9'));
        if (tool->name.len == 0 || (all_legal(tool->name, 64) && !digit))
            continue;
        if (!kept) {
            kept = arena_take(arena, sizeof(*kept));
            if (!kept)
                return -ERR_MEMORY;
            link = &kept->tools;
        }
        struct canon_tool *copy = arena_take(arena, sizeof(*copy));
        if (!copy || !slice_present(copy->name = arena_copy(arena, tool->name)))
            return -ERR_MEMORY;
        *link = copy;
        link = &copy->next;
    }
    *out = kept;
    return 0;
}

struct slice
canon_legal_id(struct slice id, size_t max, struct arena *arena)
{
    assert(max >= 24);
    if (all_legal(id, max))
        return id;
    return arena_printf(arena, "call_%016llx", (unsigned long long)canon_hash(id));
}

enum err_kind
canon_kind_of_status(int status)
{
    switch (status) {
    case 401:
        return KIND_AUTH;
    case 402:
        return KIND_BILLING;
    case 403:
        return KIND_PERMISSION;
    case 404:
        return KIND_NOT_FOUND;
    case 408:
    case 504:
    case 524:
        return KIND_TIMEOUT;
    case 413:
        return KIND_TOO_LARGE;
    case 429:
        return KIND_RATE_LIMIT;
    case 499:
        return KIND_CANCELLED;
    case 503:
    case 529:
        return KIND_OVERLOADED;
    default:
        return status >= 400 && status < 500 ? KIND_INVALID : KIND_UPSTREAM;
    }
}

/* ---------------------------------------------------------------- wrappers */

static const char *const origin_names[ORIGIN_COUNT] = {"", "anthropic", "gemini", "responses",
                                                       "chat"};
#define WRAPPER "penstock.1."
#define REDACTED "-redacted"

const char *
canon_origin_name(enum canon_origin origin)
{
    assert((unsigned)origin < ORIGIN_COUNT);
    return origin_names[origin];
}

struct slice
canon_wrap(enum canon_origin origin, bool redacted, struct slice state, struct arena *arena)
{
    assert(origin > ORIGIN_NONE && origin < ORIGIN_COUNT);
    struct sink out;
    sink_init(&out, state.len * 4 / 3 + 64);
    sink_printf(&out, WRAPPER "%s%s.", origin_names[origin], redacted ? REDACTED : "");
    size_t head = out.len;
    text_base64(&out, state);
    for (size_t i = head; i < out.len;
         i++) { /* the URL-safe alphabet, without padding: nothing to escape anywhere */
        if (out.ptr[i] == '+')
            out.ptr[i] = '-';
        else if (out.ptr[i] == '/')
            out.ptr[i] = '_';
        else if (out.ptr[i] == '=')
            out.len = i;
    }
    struct slice wrapped = out.error ? SLICE_NONE : arena_copy(arena, sink_slice(&out));
    sink_fini(&out);
    return wrapped;
}

bool
canon_unwrap(struct slice token, enum canon_origin *origin, bool *redacted, struct slice *state,
             struct arena *arena)
{
    if (!slice_starts(token, SLICE_LIT(WRAPPER)))
        return false;
    struct slice rest = slice_skip(token, sizeof(WRAPPER) - 1);
    struct slice name = text_split(&rest, '.');
    *redacted = slice_ends(name, SLICE_LIT(REDACTED));
    if (*redacted)
        name = slice_take(name, name.len - (sizeof(REDACTED) - 1));
    *origin = ORIGIN_NONE;
    for (int i = 1; i < ORIGIN_COUNT; i++) {
        if (slice_is(name, origin_names[i]))
            *origin = (enum canon_origin)i;
    }
    if (*origin == ORIGIN_NONE || !slice_present(rest))
        return false;
    /* Anybody can write a wrapper: what is in it must be what it claims, or it would break out of
     * the text it is put into. */
    struct sink out;
    struct json_scan scan;
    sink_init(&out, rest.len + 16);
    sink_byte(&out, '"');
    bool good = text_base64_decode(rest, &out);
    sink_byte(&out, '"');
    good = good && !out.error && json_scan(sink_slice(&out), 1, &scan) == 0;
    if (good)
        *state = arena_copy(arena, slice_of(out.ptr + 1, out.len - 2));
    sink_fini(&out);
    return good && slice_present(*state);
}

/* ---------------------------------------------------------------- requests */

void
canon_put_arguments(const struct canon_part *call, int depth, struct json_writer *out)
{
    struct json_scan scan;
    struct slice text = call->arguments;
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[0]))
        text = slice_skip(text, 1);
    bool valid = json_scan(text, depth, &scan) == 0;
    if (!call->custom && valid && text.ptr[0] == '{') {
        json_put_raw(out, text);
        return;
    }
    json_object(out);
    if (call->custom) {
        json_name(out, "input");
        json_put_escaped(out, slice_present(call->text) ? call->text : SLICE_LIT(""));
    } else if (valid && !slice_starts(text, SLICE_LIT("null"))) {
        json_member_raw(out, "value", text);
    } else if (!valid && text.len > 0) {
        json_member(out, "_raw", text);
    }
    json_end(out);
}

bool
canon_room_for(struct canon_room *room, struct arena *arena, size_t n)
{
    assert(n <= 65536);
    if (n <= room->size)
        return true;
    /* At least twice of what was too little: all together take no more than twice the last. */
    size_t size = room->size * 2 > n ? room->size * 2 : (n + 63) / 64 * 64;
    char *bytes = arena_take_raw(arena, size);
    if (!bytes)
        return false;
    room->bytes = bytes;
    room->size = (uint32_t)size;
    return true;
}
