/* SPDX-License-Identifier: MIT
 *
 * openai_chat_reply_pass.c - a Chat upstream's chunk on its way to a Chat client: as it is, if a
 * client can take it; else with the few places mended that the reader noted; else written anew from
 * its events.
 *
 * The writer's state stays true in every case, so passed and written chunks may follow one another.
 */
#include "providers/openai_chat.h"

#include "base/text.h"
#include "providers/splice.h"

#define HELD_MAX (64u * 1024)
#define USAGE_KEPT_MAX 2048u

/* ---------------------------------------------------------------- state */

static struct chat_write_call *
call_of(struct chat_writer *writer, const struct canon_event *event)
{
    struct chat_write_choice *choice = chat_writer_choice(writer, event->choice);
    return choice ? chat_writer_call(choice, event->block) : NULL;
}

/* What an event of a chunk that passes means to the writer. */
static int
note_event(struct chat_writer *writer, const struct canon_event *event, uint32_t mends)
{
    struct chat_write_choice *choice;
    struct chat_write_call *call;
    switch (event->kind) {
    case CANON_OPEN:
        call = event->type == BLOCK_CALL ? chat_note_call(writer, event) : NULL;
        if (call)
            call->said = mends & MEND_LEGACY;
        return event->type == BLOCK_CALL && !call ? -ERR_MEMORY : 0;
    case CANON_DELTA:
        call = event->type == BLOCK_CALL ? call_of(writer, event) : NULL;
        if (call)
            call->said = call->said || event->text.len > 0;
        return 0;
    case CANON_FINISH:
        choice = chat_writer_choice(writer, event->choice);
        if (!choice)
            return -ERR_MEMORY;
        choice->finished = true;
        return 0;
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        writer->usage_known = true;
        return 0;
    case CANON_END:
        writer->ended = true;
        return 0;
    case CANON_START:
    case CANON_CLOSE:
    case CANON_ERROR:
    case CANON_CITATION:
    case CANON_NATIVE:
        return 0;
    }
    return 0;
}

static int
note_events(struct chat_writer *writer, const struct canon_events *events)
{
    for (int i = 0; i < events->count; i++) {
        int error = note_event(writer, &events->at[i], events->mends);
        if (error)
            return error;
    }
    return 0;
}

/*
 * A call that closes without arguments gets empty ones that parse, in a chunk before the one in
 * hand. returns 1 when that is impossible because the call also opens in this chunk: it is to be
 * written anew.
 */
static int
complete_calls(struct chat_writer *writer, const struct canon_events *events, struct frames *frames)
{
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        if (event->kind != CANON_CLOSE || event->type != BLOCK_CALL)
            continue;
        struct chat_write_call *call = call_of(writer, event);
        bool says = call && (call->said || call->custom);
        for (int k = 0; k < i && !says; k++)
            says = events->at[k].kind == CANON_DELTA && events->at[k].block == event->block;
        if (says || events->mends & MEND_LEGACY)
            continue;
        if (!call)
            return 1;
        call->said = true;
        int error = chat_write_arguments(writer, event->choice, call, SLICE_LIT("{}"), frames);
        if (error)
            return error;
    }
    return 0;
}

/* From the first chunk on, what we write is signed as the upstream signs. */
static int
learn(struct chat_writer *writer, struct json root, const struct canon_events *events)
{
    const struct canon_event *start = &events->at[0];
    struct json created = json_get(root, "created");
    if (start->kind == CANON_START && start->id.len > 0)
        writer->id = arena_copy(writer->arena, start->id);
    if (start->kind == CANON_START && start->model.len > 0)
        writer->model = arena_copy(writer->arena, start->model);
    if (json_u64_or(created, 0) > 0)
        writer->created = arena_copy(writer->arena, json_raw(created));
    if (!slice_present(writer->id) || !slice_present(writer->model) ||
        !slice_present(writer->created))
        return -ERR_MEMORY;
    writer->head = SLICE_NONE; /* in the upstream's words from now on */
    return 0;
}

/* Usage for a chunk of its own: the upstream's object as it is, if it is of a usual size. 0 or -ERR_MEMORY. */
static int
keep_usage(struct chat_writer *writer, struct json root)
{
    struct slice raw = json_raw(json_get(root, "usage"));
    if (json_type(json_get(root, "usage")) != JSON_OBJECT || raw.len > USAGE_KEPT_MAX)
        return 0;
    if (!canon_room_for(&writer->usage_room, writer->arena, raw.len))
        return -ERR_MEMORY;
    memcpy(writer->usage_room.bytes, raw.ptr, raw.len);
    writer->usage_raw = slice_of(writer->usage_room.bytes, raw.len);
    return 0;
}

/* ---------------------------------------------------------------- frames */

/* The event as it is; its data in a block of our own when the raw block may not pass (it lacks its
 * last line). */
static int
pass(struct slice data, const struct canon_events *events, struct frames *frames)
{
    frame_begin(frames, events->rewrite ? FRAME_EVENT : FRAME_PASS, NULL);
    if (events->rewrite)
        sink_put(&frames->bytes, text_trim(data));
    frame_end(frames);
    return frames->error;
}

static int
put_spliced(const struct splice *splice, struct frames *frames)
{
    frame_begin(frames, FRAME_EVENT, NULL);
    int error = splice_put(splice, &frames->bytes);
    frame_end(frames);
    return error ? error : frames->error;
}

/* `,"usage":null` can stand in a JSON text only where a member does: a string would need a quote
 * inside. */
static int
pass_without_null_usage(struct slice data, struct frames *frames)
{
    static const char member[] = ",\"usage\":null";
    ptrdiff_t at = text_find(data, SLICE_LIT(",\"usage\":null"));
    if (at < 0)
        return 0;
    struct slice rest = slice_skip(data, (size_t)at + sizeof(member) - 1);
    if (text_find(rest, SLICE_LIT("\"usage\"")) >= 0)
        return 0;
    frame_begin(frames, FRAME_EVENT, NULL);
    sink_put(&frames->bytes, slice_take(data, (size_t)at));
    sink_put(&frames->bytes, rest);
    frame_end(frames);
    return frames->error ? frames->error : 1;
}

/* The early chunk that waited, now that the stream's id is known and its role chunk out. */
static int
release_held(struct chat_writer *writer, struct frames *frames, struct arena *scratch)
{
    struct slice held = writer->held;
    struct json root;
    if (!slice_present(held))
        return 0;
    writer->held = SLICE_NONE;
    if (json_parse(held, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, scratch, &root) != 0)
        return -ERR_MEMORY;
    struct splice splice;
    splice_init(&splice, held, scratch);
    splice_member(&splice, root, "id", arena_printf(scratch, "\"%.*s\"", SLICE_ARG(writer->id)));
    splice_member(&splice, root, "object", SLICE_LIT("\"chat.completion.chunk\""));
    splice_member(&splice, root, "created", writer->created);
    splice_member(&splice, root, "model",
                  arena_printf(scratch, "\"%.*s\"", SLICE_ARG(writer->model)));
    return put_spliced(&splice, frames);
}

/* ---------------------------------------------------------------- mending */

static const struct canon_event *
finish_of(const struct canon_events *events, uint64_t choice)
{
    for (int i = 0; i < events->count; i++)
        if (events->at[i].kind == CANON_FINISH && events->at[i].choice == choice)
            return &events->at[i];
    return NULL;
}

static void
mend_choices(struct chat_writer *writer, struct json root, const struct canon_events *events,
             struct splice *splice)
{
    struct json choices = json_get(root, "choices");
    for (struct json at = json_first(choices); json_present(at); at = json_next(at)) {
        struct json finish = json_get(at, "finish_reason"), delta = json_get(at, "delta");
        const struct canon_event *end = finish_of(events, json_u64_or(json_get(at, "index"), 0));
        bool is_wrong = events->mends & MEND_FINISH || events->flaws & 1u << FLAW_FINISH_MISMATCH;
        if (events->mends & MEND_DEFER && !end && json_present(finish))
            splice_replace(splice, json_raw(finish), SLICE_LIT("null"));
        else if (is_wrong && end && json_present(finish))
            splice_replace(splice, json_raw(finish),
                           arena_printf(splice->arena, "\"%s\"", chat_finish_word(end->finish)));
        struct json reasoning = json_get(delta, "reasoning");
        if (events->mends & MEND_REASONING && writer->options.reasoning == SHOW_REASONING_CONTENT &&
            json_text(reasoning).len > 0 && !json_present(json_get(delta, "reasoning_content")))
            splice_replace(splice, json_key(reasoning), SLICE_LIT("reasoning_content"));
    }
}

static void
mend_usage(struct chat_writer *writer, struct json root, uint32_t mends, struct splice *splice)
{
    bool wanted = writer->options.include_usage, only = mends & MEND_USAGE_ONLY;
    struct json usage = json_get(root, "usage");
    if (!json_present(usage))
        return;
    if (wanted && only && json_count(json_get(root, "choices")) > 0)
        splice_replace(splice, json_raw(json_get(root, "choices")), SLICE_LIT("[]"));
    if (wanted && (only || json_type(usage) == JSON_NULL))
        return;
    if (wanted && !only)
        splice_replace(splice, json_raw(usage),
                       SLICE_LIT("null")); /* it gets a chunk of its own at the end */
    else
        splice_remove(splice, usage);
}

static int
mend(struct chat_writer *writer, struct json root, struct slice data,
     const struct canon_events *events, struct frames *frames)
{
    struct splice splice;
    splice_init(&splice, data, events->arena);
    if (events->mends & MEND_ID)
        splice_member(&splice, root, "id",
                      arena_printf(events->arena, "\"%.*s\"", SLICE_ARG(writer->id)));
    mend_choices(writer, root, events, &splice);
    mend_usage(writer, root, events->mends, &splice);
    if (splice.count == 0 && !splice.failed)
        return pass(data, events, frames);
    return put_spliced(&splice, frames);
}

/* ---------------------------------------------------------------- the event in hand */

/* Reasoning that the client wants in another form than the upstream's fields. */
static bool
hides_reasoning(const struct chat_writer *writer, const struct canon_events *events)
{
    enum dialect_reasoning shown = writer->options.reasoning;
    if (shown == SHOW_AS_SENT || shown == SHOW_REASONING_CONTENT)
        return false;
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        bool is_thought = event->type == BLOCK_THINKING || event->type == BLOCK_REDACTED;
        bool is_block = event->kind == CANON_OPEN || event->kind == CANON_DELTA ||
                        (event->kind == CANON_CLOSE && shown == SHOW_THINK_TAGS);
        if (is_block && is_thought && !(shown == SHOW_REASONING && events->mends & MEND_REASONING))
            return true;
    }
    return false;
}

/* Everything but the terminator: it passes itself, after what has to come before it. */
static int
write_before_end(struct chat_writer *writer, const struct canon_events *events,
                 struct frames *frames)
{
    for (int i = 0; i < events->count; i++) {
        if (events->at[i].kind == CANON_END || events->at[i].kind == CANON_START)
            continue; /* roles are written choice by choice */
        int error = chat_write_event(writer, &events->at[i], frames, events->arena);
        if (error)
            return error;
    }
    return 0;
}

static int
pass_done(struct chat_writer *writer, struct slice data, const struct canon_events *events,
          struct frames *frames)
{
    int error = write_before_end(writer, events, frames);
    if (error || writer->ended)
        return error;
    chat_write_usage(writer, frames);
    writer->ended = true;
    return pass(data, events, frames);
}

/* Role chunks for choices that begin here: all of them if the chunk is written anew, else those
 * that lack a role. */
static int
begin_choices(struct chat_writer *writer, struct json root, bool all, struct frames *frames)
{
    for (struct json at = json_first(json_get(root, "choices")); json_present(at);
         at = json_next(at)) {
        bool has_role = slice_present(json_text(json_get(json_get(at, "delta"), "role")));
        uint64_t index = json_u64_or(json_get(at, "index"), 0);
        if ((has_role && !all) || index >= CHAT_CHOICES_MAX)
            continue;
        int error = chat_write_role(writer, (uint32_t)index, frames);
        if (error)
            return error;
    }
    return 0;
}

static int
note_roles(struct chat_writer *writer, struct json root)
{
    for (struct json at = json_first(json_get(root, "choices")); json_present(at);
         at = json_next(at)) {
        uint64_t index = json_u64_or(json_get(at, "index"), 0);
        struct chat_write_choice *choice =
            index < CHAT_CHOICES_MAX ? chat_writer_choice(writer, (uint32_t)index) : NULL;
        if (!choice)
            return -ERR_MEMORY;
        choice->role_sent = true;
    }
    return 0;
}

static bool
all_finished(const struct chat_writer *writer)
{
    for (const struct chat_write_choice *at = writer->choices; at; at = at->next)
        if (!at->finished)
            return false;
    return true;
}

/* A chunk that cannot simply pass. */
static int
pass_closely(struct chat_writer *writer, struct slice data, const struct canon_events *events,
             struct frames *frames)
{
    uint32_t mends = events->mends;
    struct json root;
    if (json_parse(data, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, events->arena, &root) != 0)
        return -ERR_MEMORY; /* the reader has parsed it before */
    bool anew = mends & CANON_MEND_ALL || hides_reasoning(writer, events);
    int error = mends & MEND_START ? learn(writer, root, events) : 0;
    if (!error && (anew || mends & MEND_ROLE))
        error = begin_choices(writer, root, anew, frames);
    if (error)
        return error;
    if (mends & MEND_USAGE)
        error = keep_usage(writer, root);
    if (error)
        return error;
    int incomplete = complete_calls(writer, events, frames);
    if (incomplete < 0)
        return incomplete;
    if (anew || incomplete) {
        error = write_before_end(writer, events, frames);
        return error ? error : release_held(writer, frames, events->arena);
    }
    if (mends & MEND_LATE_FINISH)
        error = write_before_end(writer, events, frames);
    else
        error = note_events(writer, events);
    if (!error)
        error = note_roles(writer, root);
    if (error)
        return error;
    if (mends & MEND_USAGE_ONLY) {
        /* Usage stands behind every finish: one that comes before waits for the end. */
        if (!writer->options.include_usage || writer->usage_written || !all_finished(writer))
            return 0;
        writer->usage_written = true;
    }
    error = mend(writer, root, data, events, frames);
    return error ? error : release_held(writer, frames, events->arena);
}

static int
hold(struct chat_writer *writer, struct slice data, const struct canon_events *events,
     struct frames *frames)
{
    if (slice_present(writer->held) || data.len > HELD_MAX)
        return pass(data, events, frames);
    writer->held = arena_copy(writer->arena, data);
    return slice_present(writer->held) ? 0 : -ERR_MEMORY;
}

static bool
has_kind(const struct canon_events *events, enum canon_event_kind kind)
{
    for (int i = 0; i < events->count; i++)
        if (events->at[i].kind == kind)
            return true;
    return false;
}

int
chat_pass_event(void *writer, struct slice data, const struct canon_events *events,
                struct frames *frames)
{
    struct chat_writer *self = writer;
    uint32_t mends = events->mends;
    self->passing = true;
    if (events->swallow || self->ended)
        return frames->error;
    if (data.len == 0 || has_kind(events, CANON_ERROR))
        return chat_write_events(writer, events, frames);
    if (mends & MEND_EARLY)
        return hold(self, data, events, frames);
    if (events->count > 0 && events->at[events->count - 1].kind == CANON_END)
        return pass_done(self, data, events, frames);
    if (self->options.include_usage)
        mends &= ~(uint32_t)MEND_USAGE_NULL;
    enum dialect_reasoning shown = self->options.reasoning;
    bool is_plain = (shown == SHOW_AS_SENT || shown == SHOW_REASONING_CONTENT) &&
                    !events->rewrite && !has_kind(events, CANON_CLOSE);
    if (mends == MEND_USAGE_NULL && is_plain) {
        int done = pass_without_null_usage(data, frames);
        if (done != 0)
            return done < 0 ? done : note_events(self, events);
    }
    if (mends != 0 || !is_plain)
        return pass_closely(self, data, events, frames);
    int error = note_events(self, events);
    return error ? error : pass(data, events, frames);
}
