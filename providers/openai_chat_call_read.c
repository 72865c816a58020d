/* SPDX-License-Identifier: MIT
 *
 * openai_chat_call_read.c - tool calls of a Chat Completions reply, however their pieces are spelt.
 *
 * A piece belongs to a call by its index; servers that leave the index out mean the last call,
 * unless the piece has an id or a name of its own. Calls stay open until their choice finishes,
 * since pieces may interleave. A name is awaited before a call opens. Whatever differs from
 * OpenAI's spelling makes pass_event write the piece anew.
 */
#include "providers/openai_chat.h"

/* What one entry of tool_calls says. */
struct piece {
    struct slice id, name, arguments; /* escaped; absent or empty: nothing said */
    struct slice signature;           /* Google's, of the call */
    uint64_t index;                   /* UINT64_MAX: not said */
    uint64_t id_hash;
    bool has_type, custom, odd; /* odd: spelt as OpenAI would not */
};

static int
read_arguments(struct json value, struct arena *arena, struct piece *piece)
{
    switch (json_type(value)) {
    case JSON_STRING:
        piece->arguments = json_text(value);
        return 0;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
        piece->odd = true;
        piece->arguments = canon_escape(json_raw(value), arena);
        return slice_present(piece->arguments) ? 0 : -ERR_MEMORY;
    case JSON_ABSENT:
    case JSON_NULL:
        return 0;
    }
    return 0;
}

static int
read_piece(struct json entry, struct arena *arena, struct piece *piece)
{
    *piece = (struct piece){.index = json_u64_or(json_get(entry, "index"), UINT64_MAX)};
    struct json body = json_get(entry, "function"), id = json_get(entry, "id");
    struct json input = json_get(body, "arguments");
    piece->has_type = json_text(json_get(entry, "type")).len > 0;
    if (json_type(body) != JSON_OBJECT && json_type(json_get(entry, "custom")) == JSON_OBJECT) {
        body = json_get(entry, "custom");
        input = json_get(body, "input");
        piece->custom = true;
    }
    piece->id = json_type(id) == JSON_NUMBER ? json_raw(id) : json_text(id);
    piece->name = json_text(json_get(body, "name"));
    piece->odd = json_type(id) == JSON_NUMBER;
    piece->id_hash = canon_hash(piece->id);
    piece->signature = chat_google_signature(json_get(entry, "extra_content"));
    return read_arguments(input, arena, piece);
}

static struct chat_read_call *
find_call(struct chat_read_choice *choice, const struct piece *piece)
{
    for (struct chat_read_call *at = choice->calls; at; at = at->next) {
        if (piece->index != UINT64_MAX && at->index == piece->index) {
            /* The same index with another id and a name is another call. */
            bool is_other = at->has_id && piece->id.len > 0 && piece->name.len > 0 &&
                            at->id_hash != piece->id_hash;
            return is_other ? NULL : at;
        }
        if (piece->index == UINT64_MAX && piece->id.len > 0 && at->has_id &&
            at->id_hash == piece->id_hash)
            return at;
    }
    if (piece->index != UINT64_MAX || piece->id.len > 0 ||
        (piece->name.len > 0 && choice->last && choice->last->opened))
        return NULL;
    return choice->last;
}

/* An id of our own for a call that came without: the same whenever the same bytes are read. */
static struct slice
made_id(const struct chat_reader *reader, const struct piece *piece, uint32_t number,
        struct arena *arena)
{
    uint64_t seed = canon_hash(reader->id) ^ ((uint64_t)reader->chunks << 20) ^ number;
    uint64_t low = canon_hash(slice_of(&seed, sizeof(seed))) ^ canon_hash(piece->arguments);
    return arena_printf(arena, "call_%016llx%08x", (unsigned long long)low,
                        (unsigned)(canon_hash(piece->name) ^ seed));
}

static struct chat_read_call *
add_call(struct chat_reader *reader, struct chat_read_choice *choice, const struct piece *piece)
{
    struct chat_read_call *call = arena_take(reader->arena, sizeof(*call));
    if (!call)
        return NULL;
    call->index = piece->index;
    call->custom = piece->custom;
    call->next = choice->calls;
    choice->calls = call;
    reader->call_count++;
    return call;
}

static int
emit(struct chat_read_choice *choice, struct chat_read_call *call, enum canon_event_kind kind,
     struct slice text, struct canon_events *events)
{
    struct canon_event *event = canon_add(events, kind);
    if (!event)
        return -ERR_MEMORY;
    event->choice = choice->index;
    event->block = call->block;
    event->type = BLOCK_CALL;
    event->custom = call->custom;
    event->text = text;
    return 0;
}

static int
open_call(struct chat_reader *reader, struct chat_read_choice *choice, struct chat_read_call *call,
          struct slice name, struct canon_events *events)
{
    /* A text block ends where a call begins. */
    int error = chat_close_block(choice, events);
    if (error)
        return error;
    assert(!call->opened);
    call->opened = true;
    call->block = reader->blocks++;
    call->number = choice->call_count++;
    error = emit(choice, call, CANON_OPEN, SLICE_NONE, events);
    if (error)
        return error;
    events->at[events->count - 1].id = call->id;
    events->at[events->count - 1].name = name;
    if (call->signature.len > 0) {
        events->at[events->count - 1].signature = call->signature;
        events->at[events->count - 1].origin = ORIGIN_GEMINI;
    }
    if (call->pending_len > 0)
        error = emit(choice, call, CANON_DELTA, slice_of(call->pending, call->pending_len), events);
    return error;
}

/* Arguments that come before the name wait in memory, as do ids. */
static int
await_name(struct chat_reader *reader, struct chat_read_call *call, const struct piece *piece)
{
    if (piece->arguments.len == 0)
        return 0;
    if (!call->pending)
        call->pending = arena_take(reader->arena, CHAT_PENDING_MAX);
    if (!call->pending)
        return -ERR_MEMORY;
    if (piece->arguments.len > CHAT_PENDING_MAX - call->pending_len)
        return -ERR_UPSTREAM_PROTOCOL;
    memcpy(call->pending + call->pending_len, piece->arguments.ptr, piece->arguments.len);
    call->pending_len += piece->arguments.len;
    return 0;
}

static int
begin_call(struct chat_reader *reader, struct chat_read_choice *choice, struct chat_read_call *call,
           struct piece *piece, struct canon_events *events)
{
    if (piece->id.len > 0 && !call->has_id) {
        call->has_id = true;
        call->id_hash = piece->id_hash;
        call->id = arena_copy(reader->arena, piece->id);
        if (!slice_present(call->id))
            return -ERR_MEMORY;
    }
    if (piece->signature.len > 0) {
        call->signature = arena_copy(reader->arena, piece->signature);
        if (!slice_present(call->signature))
            return -ERR_MEMORY;
    }
    if (piece->name.len == 0) {
        piece->odd = true;
        return await_name(reader, call, piece);
    }
    if (!call->has_id) {
        piece->odd = true;
        call->has_id = true;
        call->id = made_id(reader, piece, reader->call_count, reader->arena);
        if (!slice_present(call->id))
            return -ERR_MEMORY;
    }
    int error = open_call(reader, choice, call, piece->name, events);
    piece->odd =
        piece->odd || !piece->has_type || piece->index != call->number || call->pending_len > 0;
    if (!error && piece->arguments.len > 0)
        error = emit(choice, call, CANON_DELTA, piece->arguments, events);
    return error;
}

static int
read_call(struct chat_reader *reader, struct chat_read_choice *choice, struct piece *piece,
          struct canon_events *events)
{
    if (choice->finished)
        return -ERR_UPSTREAM_PROTOCOL;
    struct chat_read_call *call = find_call(choice, piece);
    if (!call) {
        /* A piece that names nothing and says nothing begins no call. */
        if (piece->id.len == 0 && piece->name.len == 0 && piece->arguments.len == 0) {
            events->mends |= CANON_MEND_ALL;
            return 0;
        }
        if (reader->call_count == CHAT_CALLS_MAX)
            return -ERR_UPSTREAM_PROTOCOL;
        call = add_call(reader, choice, piece);
        if (!call)
            return -ERR_MEMORY;
    }
    choice->last = call;
    int error = 0;
    if (!call->opened) {
        error = begin_call(reader, choice, call, piece, events);
    } else {
        /* "id" and "name" are said once: clients join what is repeated. */
        piece->odd = piece->odd || slice_present(piece->id) || slice_present(piece->name) ||
                     piece->index != call->number;
        if (piece->arguments.len > 0 || piece->signature.len > 0)
            error = emit(choice, call, CANON_DELTA, piece->arguments, events);
        if (!error && piece->signature.len > 0) {
            events->at[events->count - 1].signature = piece->signature;
            events->at[events->count - 1].origin = ORIGIN_GEMINI;
        }
    }
    if (piece->odd) {
        events->flaws |= 1u << FLAW_TOOL_FIELDS;
        events->mends |= CANON_MEND_ALL;
    }
    return error;
}

/* The deprecated function_call: one call without id or index; a client that asked that way gets it
 * that way. */
static int
read_function_call(struct chat_reader *reader, struct chat_read_choice *choice, struct json value,
                   struct canon_events *events)
{
    uint32_t mends = events->mends, flaws = events->flaws;
    struct piece piece = {.index = 0, .has_type = true, .name = json_text(json_get(value, "name"))};
    int error = read_arguments(json_get(value, "arguments"), events->arena, &piece);
    if (!error)
        error = read_call(reader, choice, &piece, events);
    events->mends = mends | MEND_LEGACY;
    events->flaws = flaws;
    return error;
}

int
chat_read_calls(struct chat_reader *reader, struct chat_read_choice *choice,
                const struct chat_message *message, struct canon_events *events, bool *said)
{
    struct json calls = message->tool_calls;
    bool is_list = json_type(calls) == JSON_ARRAY;
    for (struct json at = json_first(calls); is_list && json_present(at); at = json_next(at)) {
        struct piece piece;
        int error = read_piece(at, events->arena, &piece);
        if (reader->whole) /* whole replies have no index: the place in the list is one */
            piece.index = choice->call_count;
        if (!error)
            error = read_call(reader, choice, &piece, events);
        if (error)
            return error;
        choice->said_call = true;
        *said = true;
    }
    struct json legacy = message->function_call;
    if (json_type(legacy) != JSON_OBJECT)
        return 0;
    choice->said_call = true;
    *said = true;
    return read_function_call(reader, choice, legacy, events);
}

int
chat_close_calls(struct chat_reader *reader, struct chat_read_choice *choice,
                 struct canon_events *events)
{
    /* The list is newest first and calls close in the order they came: turn it, close, turn it
     * back. */
    struct chat_read_call *oldest = NULL;
    for (struct chat_read_call *at = choice->calls, *next; at; at = next) {
        next = at->next;
        at->next = oldest;
        oldest = at;
    }
    int error = 0;
    choice->calls = NULL;
    for (struct chat_read_call *at = oldest, *next; at; at = next) {
        next = at->next;
        at->next = choice->calls;
        choice->calls = at;
        if (!error && !at->opened)
            error = open_call(reader, choice, at, SLICE_NONE, events);
        if (!error && !at->closed)
            error = emit(choice, at, CANON_CLOSE, SLICE_NONE, events);
        at->closed = true;
    }
    return error;
}
