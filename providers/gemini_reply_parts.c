/* SPDX-License-Identifier: MIT
 *
 * gemini_reply_parts.c - the parts of a Gemini reply: text, thoughts, calls, images, and what only
 * Gemini knows.
 *
 * Text extends the open block of its kind. A signature belongs to the part it came on and ends its
 * block, since a signed part is never merged with another; one that came on nothing goes to the
 * open block, or is a thought without words.
 */
#include "providers/gemini.h"

#include "providers/openai_chat.h"

/* ---------------------------------------------------------------- blocks */

static struct canon_event *
add_for(struct canon_events *events, enum canon_event_kind kind,
        const struct gemini_read_choice *choice, enum canon_block type, uint32_t block)
{
    struct canon_event *event = canon_add(events, kind);
    if (event) {
        event->choice = choice->index;
        event->type = type;
        event->block = block;
    }
    return event;
}

int
gemini_close_block(struct gemini_read_choice *choice, struct canon_events *events)
{
    if (!choice->open)
        return 0;
    choice->open = false;
    return add_for(events, CANON_CLOSE, choice, choice->type, choice->block) ? 0 : -ERR_MEMORY;
}

/* Nothing else can go on while another block begins. */
static int
leave(struct gemini_read_choice *choice, struct canon_events *events)
{
    int error = choice->partial ? gemini_close_partial(choice, true, events) : 0;
    return error ? error : gemini_close_block(choice, events);
}

static int
open_block(struct gemini_reader *reader, struct gemini_read_choice *choice, enum canon_block type,
           struct canon_events *events)
{
    int error = leave(choice, events);
    if (error)
        return error;
    choice->open = true;
    choice->is_signed = false;
    choice->type = type;
    choice->block = reader->blocks++;
    if (type == BLOCK_TEXT) {
        struct gemini_read_text *text = arena_take(reader->arena, sizeof(*text));
        if (!text)
            return -ERR_MEMORY;
        *text = (struct gemini_read_text){choice->texts, choice->block, choice->offsets.bytes};
        choice->texts = text;
    }
    return add_for(events, CANON_OPEN, choice, type, choice->block) ? 0 : -ERR_MEMORY;
}

int
gemini_emit_text(struct gemini_reader *reader, struct gemini_read_choice *choice,
                 enum canon_block type, struct slice text, struct slice signature,
                 struct canon_events *events)
{
    if (!choice->open || choice->type != type || choice->is_signed || choice->partial) {
        int error = open_block(reader, choice, type, events);
        if (error)
            return error;
    }
    struct canon_event *event = add_for(events, CANON_DELTA, choice, type, choice->block);
    if (!event)
        return -ERR_MEMORY;
    event->text = text;
    event->signature = signature;
    event->origin = signature.len > 0 ? ORIGIN_GEMINI : ORIGIN_NONE;
    choice->is_signed = signature.len > 0;
    if (type == BLOCK_TEXT)
        gemini_offsets_feed(&choice->offsets, text);
    return 0;
}

static int
read_text(struct gemini_reader *reader, struct gemini_read_choice *choice, struct json text,
          bool is_thought, struct slice signature, struct canon_events *events)
{
    struct slice contents = json_text(text);
    enum canon_block type = is_thought ? BLOCK_THINKING : BLOCK_TEXT;
    if (contents.len == 0 && signature.len == 0)
        return 0;
    if (contents.len == 0)
        type = choice->open && !choice->is_signed ? choice->type : BLOCK_THINKING;
    return gemini_emit_text(reader, choice, type, contents.len > 0 ? contents : SLICE_NONE,
                            signature, events);
}

/* ---------------------------------------------------------------- calls */

/*
 * An id for a call that came without: unlike any other of the conversation, the same however the
 * bytes were split. Without a responseId the chunk itself stands for the reply: its counters grow
 * with the conversation.
 */
static struct slice
made_id(const struct gemini_reader *reader, struct slice name, struct slice data,
        struct arena *arena)
{
    uint64_t seed[3] = {reader->id_hash ? reader->id_hash : canon_hash(data), reader->call_count,
                        canon_hash(name)};
    uint64_t high = canon_hash(slice_of(seed, sizeof(seed)));
    seed[2] = high;
    uint64_t low = canon_hash(slice_of(seed, sizeof(seed)));
    return arena_printf(arena, "call_%016llx%08x", (unsigned long long)high,
                        (unsigned)(low >> 16 & 0xffffffffu));
}

static int
add_arguments(struct gemini_read_choice *choice, uint32_t block, struct slice decoded,
              struct canon_events *events)
{
    struct canon_event *event = add_for(events, CANON_DELTA, choice, BLOCK_CALL, block);
    if (!event)
        return -ERR_MEMORY;
    event->text = canon_escape(decoded, events->arena);
    return slice_present(event->text) ? 0 : -ERR_MEMORY;
}

/* Arguments as they came, but not laid out over several lines as those of whole replies are. */
static int
add_raw_arguments(struct gemini_read_choice *choice, uint32_t block, struct slice raw,
                  struct canon_events *events)
{
    struct sink line;
    if (!memchr(raw.ptr, '\n', raw.len))
        return add_arguments(choice, block, raw, events);
    sink_init(&line, raw.len + 1);
    gemini_put_compact(raw, &line);
    struct slice kept = line.error ? SLICE_NONE : arena_copy(events->arena, sink_slice(&line));
    sink_fini(&line);
    return slice_present(kept) ? add_arguments(choice, block, kept, events) : -ERR_MEMORY;
}

int
gemini_close_partial(struct gemini_read_choice *choice, bool complete, struct canon_events *events)
{
    struct sink text;
    assert(choice->partial);
    choice->partial = false;
    sink_init(&text, 4 * GEMINI_ARGS_BYTES_MAX);
    gemini_args_put(&choice->args, complete, &text);
    int error = text.error ? -ERR_UPSTREAM_TOO_LARGE : 0;
    struct slice kept = error ? SLICE_NONE : arena_copy(events->arena, sink_slice(&text));
    sink_fini(&text);
    if (!error && !slice_present(kept))
        error = -ERR_MEMORY;
    if (!error)
        error = add_arguments(choice, choice->partial_block, kept, events);
    if (error)
        return error;
    return add_for(events, CANON_CLOSE, choice, BLOCK_CALL, choice->partial_block) ? 0
                                                                                   : -ERR_MEMORY;
}

struct call {
    struct json id, name, args, partial;
    bool goes_on;
};

static int
take_partial(struct gemini_read_choice *choice, const struct call *call,
             struct canon_events *events)
{
    bool is_list = json_type(call->partial) == JSON_ARRAY;
    for (struct json at = json_first(call->partial); is_list && json_present(at);
         at = json_next(at)) {
        int error = gemini_args_take(&choice->args, at);
        if (error)
            return error;
    }
    if (call->goes_on)
        return 0;
    /* Whole arguments at the end say more than what was pieced together. */
    if (json_type(call->args) != JSON_OBJECT || json_count(call->args) == 0)
        return gemini_close_partial(choice, true, events);
    choice->partial = false;
    int error = add_raw_arguments(choice, choice->partial_block, json_raw(call->args), events);
    if (error)
        return error;
    return add_for(events, CANON_CLOSE, choice, BLOCK_CALL, choice->partial_block) ? 0
                                                                                   : -ERR_MEMORY;
}

static int
open_call(struct gemini_reader *reader, struct gemini_read_choice *choice, const struct call *call,
          struct slice signature, struct slice data, struct canon_events *events)
{
    int error = leave(choice, events);
    if (error)
        return error;
    if (reader->call_count == GEMINI_CALLS_MAX)
        return -ERR_UPSTREAM_PROTOCOL;
    reader->call_count++;
    choice->called = true;
    struct canon_event *event = add_for(events, CANON_OPEN, choice, BLOCK_CALL, reader->blocks++);
    if (!event)
        return -ERR_MEMORY;
    event->name = json_text(call->name);
    event->id = json_text(call->id);
    event->id = event->id.len > 0 ? canon_legal_id(event->id, 40, events->arena)
                                  : made_id(reader, event->name, data, events->arena);
    event->signature = signature;
    event->origin = signature.len > 0 ? ORIGIN_GEMINI : ORIGIN_NONE;
    return slice_present(event->id) ? 0 : -ERR_MEMORY;
}

static int
continue_call(struct gemini_read_choice *choice, const struct call *call, struct slice signature,
              struct canon_events *events)
{
    if (signature.len > 0) {
        struct canon_event *event =
            add_for(events, CANON_DELTA, choice, BLOCK_CALL, choice->partial_block);
        if (!event)
            return -ERR_MEMORY;
        event->signature = signature;
        event->origin = ORIGIN_GEMINI;
    }
    return take_partial(choice, call, events);
}

static int
read_call(struct gemini_reader *reader, struct gemini_read_choice *choice, struct json value,
          struct slice signature, struct slice data, struct canon_events *events)
{
    static const struct slice names[] = {CHAT_NAME("id"), CHAT_NAME("name"), CHAT_NAME("args"),
                                         CHAT_NAME("partialArgs"), CHAT_NAME("willContinue")};
    struct json found[countof(names)];
    chat_take(value, names, countof(names), found);
    struct call call = {found[0], found[1], found[2], found[3], json_type(found[4]) == JSON_TRUE};
    bool is_named = json_text(call.name).len > 0;
    if (!is_named && choice->partial)
        return continue_call(choice, &call, signature, events);
    if (!is_named && !json_present(call.args) && !json_present(call.partial)) {
        events->flaws |= 1u << FLAW_UNKNOWN_EVENT; /* the end of a call that never began */
        return 0;
    }
    int error = open_call(reader, choice, &call, signature, data, events);
    if (error)
        return error;
    uint32_t block = reader->blocks - 1;
    if (call.goes_on || json_present(call.partial)) {
        choice->partial = true;
        choice->partial_block = block;
        gemini_args_init(&choice->args, reader->arena);
        return take_partial(choice, &call, events);
    }
    if (json_present(call.args) && json_type(call.args) != JSON_NULL)
        error = add_raw_arguments(choice, block, json_raw(call.args), events);
    if (error)
        return error;
    return add_for(events, CANON_CLOSE, choice, BLOCK_CALL, block) ? 0 : -ERR_MEMORY;
}

/* ---------------------------------------------------------------- the rest */

static int
read_image(struct gemini_reader *reader, struct gemini_read_choice *choice, struct slice type,
           struct slice bytes, struct slice signature, struct canon_events *events)
{
    int error = open_block(reader, choice, BLOCK_IMAGE, events);
    if (error)
        return error;
    events->at[events->count - 1].name = type;
    struct canon_event *event = add_for(events, CANON_DELTA, choice, BLOCK_IMAGE, choice->block);
    if (!event)
        return -ERR_MEMORY;
    event->data = bytes;
    event->signature = signature;
    event->origin = signature.len > 0 ? ORIGIN_GEMINI : ORIGIN_NONE;
    return gemini_close_block(choice, events);
}

/* A part that has no canonical form: handed on as it is, to whoever knows it. */
static int
read_native(struct gemini_read_choice *choice, const struct slice *name, struct json part,
            struct canon_events *events)
{
    int error = leave(choice, events);
    struct canon_event *event = error ? NULL : canon_add(events, CANON_NATIVE);
    if (!event)
        return error ? error : -ERR_MEMORY;
    event->choice = choice->index;
    event->name = *name;
    event->native = json_raw(part);
    event->origin = ORIGIN_GEMINI;
    return 0;
}

int
gemini_read_part(struct gemini_reader *reader, struct gemini_read_choice *choice, struct json part,
                 struct slice data, struct canon_events *events)
{
    static const struct slice names[] = {CHAT_NAME("text"),
                                         CHAT_NAME("thought"),
                                         CHAT_NAME("thoughtSignature"),
                                         CHAT_NAME("functionCall"),
                                         CHAT_NAME("inlineData"),
                                         CHAT_NAME("executableCode"),
                                         CHAT_NAME("codeExecutionResult"),
                                         CHAT_NAME("toolCall"),
                                         CHAT_NAME("toolResponse"),
                                         CHAT_NAME("fileData"),
                                         CHAT_NAME("functionResponse")};
    struct json found[countof(names)];
    chat_take(part, names, countof(names), found);
    struct slice signature = json_text(found[2]);
    bool is_thought = json_type(found[1]) == JSON_TRUE;
    if (json_type(part) != JSON_OBJECT)
        return -ERR_UPSTREAM_PROTOCOL;
    if (json_type(found[3]) == JSON_OBJECT)
        return read_call(reader, choice, found[3], signature, data, events);
    if (json_type(found[4]) == JSON_OBJECT) {
        struct slice type = json_text(json_get(found[4], "mimeType")),
                     bytes = json_text(json_get(found[4], "data"));
        /* Images that were thought of on the way are no part of the answer. */
        if (slice_starts(type, SLICE_LIT("image/")) && bytes.len > 0 && !is_thought)
            return read_image(reader, choice, type, bytes, signature, events);
        return read_native(choice, &names[4], part, events);
    }
    for (size_t i = 5; i < countof(names); i++)
        if (json_type(found[i]) == JSON_OBJECT)
            return read_native(choice, &names[i], part, events);
    return read_text(reader, choice, found[0], is_thought, signature, events);
}
