/* SPDX-License-Identifier: MIT
 *
 * anthropic_reply_pass.c - a Messages event on its way to a Messages client.
 *
 * Almost every event passes byte for byte. What must change is spliced into the event's own text,
 * so that members we do not know survive; only what was put in by a repair, or rewritten by a
 * filter, is written from the canonical events.
 */
#include "providers/anthropic.h"

#include "providers/splice.h"

struct passing {
    struct anthropic_writer *writer;
    const struct canon_events *events;
    struct frames *frames;
    struct slice data;
    struct json root;
    enum anthropic_event kind;
};

/* ---------------------------------------------------------------- state, when the raw event says
 * it */

static void
track_open(struct anthropic_writer *writer, const struct canon_event *event)
{
    writer->open = writer->passed = true;
    writer->is_signed = writer->text_seen = writer->custom = false;
    writer->type = event->type;
    writer->block = event->block;
    writer->blocks = event->block + 1;
    writer->unescape = (struct unescape){0};
    json_check_init(&writer->check);
}

static void
track(struct anthropic_writer *writer, const struct canon_event *event)
{
    switch (event->kind) {
    case CANON_START:
        writer->started = true;
        break;
    case CANON_OPEN:
        track_open(writer, event);
        break;
    case CANON_CLOSE:
        writer->open = false;
        break;
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        break;
    case CANON_FINISH:
        writer->finish = event->finish;
        writer->finishing = true;
        break;
    case CANON_END:
        writer->ended = true;
        break;
    case CANON_ERROR:
        writer->failed = true;
        break;
    case CANON_DELTA:
    case CANON_CITATION:
    case CANON_NATIVE:
        break;
    }
}

/* ---------------------------------------------------------------- the raw event, mended */

static void
begin_splice(const struct passing *pass, struct splice *splice)
{
    splice_init(splice, pass->data, pass->events->arena);
    const char *name = anthropic_event_name(pass->kind);
    if (!name || json_present(json_get(pass->root, "type")))
        return;
    struct slice word = arena_printf(pass->events->arena, "\"%s\"", name);
    if (slice_present(word))
        splice_member(splice, pass->root, "type", word);
}

static int
put_spliced(const struct passing *pass, const struct splice *splice)
{
    const char *name = anthropic_event_name(pass->kind);
    frame_begin(pass->frames, name ? FRAME_EVENT : FRAME_PASS, name);
    size_t start = pass->frames->bytes.len;
    int error = name ? splice_put(splice, &pass->frames->bytes) : 0;
    /* An event may have come in several data lines: between the tokens of JSON a line end is a
     * space. */
    for (size_t i = start; error == 0 && i < pass->frames->bytes.len; i++) {
        if (pass->frames->bytes.ptr[i] == '\n' || pass->frames->bytes.ptr[i] == '\r')
            pass->frames->bytes.ptr[i] = ' ';
    }
    frame_end(pass->frames);
    return error != 0 ? error : pass->frames->error;
}

static int
put_raw(const struct passing *pass)
{
    struct splice splice;
    begin_splice(pass, &splice);
    return put_spliced(pass, &splice);
}

static int
put_raw_indexed(const struct passing *pass, uint32_t index)
{
    struct splice splice;
    begin_splice(pass, &splice);
    int64_t given;
    if (!json_i64(json_get(pass->root, "index"), &given) || given != (int64_t)index) {
        struct slice text = arena_printf(pass->events->arena, "%u", (unsigned)index);
        if (!slice_present(text))
            return -ERR_MEMORY;
        splice_member(&splice, pass->root, "index", text);
    }
    return put_spliced(pass, &splice);
}

/* A client that had its message_start from us learns the input side from message_delta. */
static int
splice_usage(const struct passing *pass, struct splice *splice)
{
    struct json usage = json_get(pass->root, "usage");
    struct anthropic_usage in = anthropic_input_usage(pass->writer);
    const char *const names[] = {"input_tokens", "cache_creation_input_tokens",
                                 "cache_read_input_tokens"};
    const uint64_t counts[] = {in.input, in.cache_write, in.cache_read};
    struct arena *arena = pass->events->arena;
    if (json_type(usage) != JSON_OBJECT) {
        uint64_t out = pass->writer->usage.out_total;
        struct slice whole = arena_printf(
            arena, "{\"%s\":%llu,\"%s\":%llu,\"%s\":%llu,\"output_tokens\":%llu}", names[0],
            (unsigned long long)counts[0], names[1], (unsigned long long)counts[1], names[2],
            (unsigned long long)counts[2], (unsigned long long)(out == UINT64_MAX ? 0 : out));
        splice_member(splice, pass->root, "usage", whole);
        return slice_present(whole) ? 0 : -ERR_MEMORY;
    }
    for (size_t i = 0; i < countof(names); i++) {
        if (json_type(json_get(usage, names[i])) == JSON_NUMBER)
            continue;
        struct slice count = arena_printf(arena, "%llu", (unsigned long long)counts[i]);
        if (!slice_present(count))
            return -ERR_MEMORY;
        splice_member(splice, usage, names[i], count);
    }
    return 0;
}

static int
put_message_delta(const struct passing *pass)
{
    struct splice splice;
    begin_splice(pass, &splice);
    struct json delta = json_get(pass->root, "delta"), reason = json_get(delta, "stop_reason");
    struct slice word = json_text(reason);
    enum canon_finish finish = pass->writer->finish;
    if (anthropic_finish_known(word) && anthropic_finish_of(word) != finish) {
        struct slice said =
            arena_printf(pass->events->arena, "\"%s\"", anthropic_finish_name(finish));
        if (!slice_present(said))
            return -ERR_MEMORY;
        splice_replace(&splice, json_raw(reason), said);
    }
    int error = pass->writer->early ? splice_usage(pass, &splice) : 0;
    return error != 0 ? error : put_spliced(pass, &splice);
}

/* ---------------------------------------------------------------- one kind of event each */

static bool
rewritten(const struct passing *pass)
{
    return (pass->events->mends & CANON_MEND_ALL) != 0;
}

static int
pass_message_start(const struct passing *pass, const struct canon_event *event)
{
    if (event->kind == CANON_START && !pass->writer->started) {
        int error = put_raw(pass);
        if (error != 0)
            return error;
    }
    track(pass->writer, event);
    return 0;
}

/* The start of a block says all that follows from it in the same event: its first text, its
 * signature. */
static int
pass_block_start(const struct passing *pass, const struct canon_event *event)
{
    struct slice word = json_text(json_get(json_get(pass->root, "content_block"), "type"));
    bool own = !rewritten(pass) && anthropic_block_of(word) == event->type;
    if (own && event->kind == CANON_OPEN) {
        track_open(pass->writer, event);
        return put_raw_indexed(pass, event->block);
    }
    if (own && (event->kind == CANON_DELTA || event->kind == CANON_CITATION))
        return 0;
    return anthropic_write_one(pass->writer, event, pass->frames);
}

static int
pass_block_delta(const struct passing *pass, const struct canon_event *event)
{
    bool fits = !rewritten(pass) && pass->data.len <= DIALECT_LINE_MAX;
    if (event->kind == CANON_NATIVE || (event->kind == CANON_DELTA && fits))
        return put_raw_indexed(pass, event->block);
    return anthropic_write_one(pass->writer, event, pass->frames);
}

static int
pass_message_delta(const struct passing *pass, const struct canon_event *event)
{
    if (event->kind == CANON_NATIVE)
        return 0; /* the raw event says it */
    if (event->kind != CANON_USAGE && event->kind != CANON_FINISH)
        return anthropic_write_one(pass->writer, event, pass->frames);
    track(pass->writer, event);
    return 0;
}

static int
pass_error(const struct passing *pass, const struct canon_event *event)
{
    if (event->kind != CANON_ERROR || !anthropic_error_conforms(pass->data, pass->events->arena))
        return anthropic_write_one(pass->writer, event, pass->frames);
    int error = put_raw(pass);
    track(pass->writer, event);
    return error;
}

static int
pass_one(const struct passing *pass, const struct canon_event *event)
{
    switch (pass->kind) {
    case EVENT_MESSAGE_START:
        return pass_message_start(pass, event);
    case EVENT_BLOCK_START:
        return pass_block_start(pass, event);
    case EVENT_BLOCK_DELTA:
        return pass_block_delta(pass, event);
    case EVENT_MESSAGE_DELTA:
        return pass_message_delta(pass, event);
    case EVENT_ERROR:
        return pass_error(pass, event);
    case EVENT_UNKNOWN:
        return put_raw(pass);
    case EVENT_BLOCK_STOP: /* its citations went by as they came */
        return event->kind == CANON_CITATION
                   ? 0
                   : anthropic_write_one(pass->writer, event, pass->frames);
    case EVENT_MESSAGE_STOP:
    case EVENT_PING:
    case EVENT_VERTEX:
    case EVENT_COUNT:
        return anthropic_write_one(pass->writer, event, pass->frames);
    }
    return 0;
}

/* What the events of a mended event did not already write. */
static int
pass_rest(const struct passing *pass, bool said)
{
    if (pass->kind == EVENT_MESSAGE_DELTA)
        return put_message_delta(pass);
    if (pass->kind == EVENT_PING)
        return put_raw(pass);
    if (pass->kind == EVENT_BLOCK_DELTA && !said && !rewritten(pass) && pass->writer->open)
        return put_raw_indexed(pass, pass->writer->blocks - 1);
    return 0;
}

static int
mend(struct passing *pass)
{
    const struct canon_events *events = pass->events;
    int error = json_parse(pass->data, ANTHROPIC_DEPTH_MAX, ANTHROPIC_EVENT_TOKENS_MAX,
                           events->arena, &pass->root);
    if (error != 0)
        return error;
    pass->kind = (enum anthropic_event)(events->mends & ANTHROPIC_MEND_KIND);
    assert(pass->kind < EVENT_COUNT);
    bool said = false;
    for (int i = 0; i < events->count && error == 0; i++) {
        const struct canon_event *event = &events->at[i];
        said |= event->kind == CANON_DELTA || event->kind == CANON_NATIVE;
        error = pass_one(pass, event);
    }
    return error != 0 || events->swallow ? error : pass_rest(pass, said);
}

/* A delta without a canonical event (an empty one, a citation) in a block that we have numbered
 * ourselves. */
static bool
is_silent_delta(const struct anthropic_writer *writer, const struct canon_events *events)
{
    return events->count == 0 && !writer->passed &&
           (events->mends & ANTHROPIC_MEND_KIND) == EVENT_BLOCK_DELTA;
}

/* Does the event at hand concern what was said early, before the upstream said anything? */
static bool
concerns_start(const struct anthropic_writer *writer, const struct canon_events *events)
{
    for (int i = 0; writer->early && i < events->count; i++) {
        enum canon_event_kind kind = events->at[i].kind;
        if (kind == CANON_START || kind == CANON_USAGE || kind == CANON_FINISH)
            return true;
    }
    return false;
}

int
anthropic_pass_event(void *writer, struct slice data, const struct canon_events *events,
                     struct frames *frames)
{
    struct anthropic_writer *self = writer;
    if (self->ended || self->failed)
        return 0;
    if (!slice_present(data))
        return anthropic_write_events(writer, events, frames);
    bool failed = events->count > 0 && events->at[events->count - 1].kind == CANON_ERROR;
    if (events->swallow && events->count == 0)
        return 0;
    if (events->rewrite || events->swallow || failed ||
        rewritten(&(struct passing){.events = events}) || data.len > DIALECT_LINE_MAX ||
        concerns_start(self, events) || is_silent_delta(self, events)) {
        struct passing pass = {.writer = self, .events = events, .frames = frames, .data = data};
        return mend(&pass);
    }
    for (int i = 0; i < events->count; i++)
        track(self, &events->at[i]);
    frame_begin(frames, FRAME_PASS, NULL);
    frame_end(frames);
    return frames->error;
}

/* ---------------------------------------------------------------- a whole reply */

/* The content as the events have it, in place of what a filter has taken apart. */
static int
splice_content(struct anthropic_writer *writer, struct json root, const struct canon_events *events,
               struct splice *splice)
{
    assert(!writer->options.stream);
    struct frames *unused =
        arena_take(events->arena, sizeof(*unused)); /* a whole reply is not framed */
    int error = unused ? anthropic_write_events(writer, events, unused) : -ERR_MEMORY;
    if (error != 0)
        return error;
    struct slice content =
        arena_printf(events->arena, "[%.*s]", SLICE_ARG(sink_slice(&writer->content)));
    if (!slice_present(content))
        return -ERR_MEMORY;
    splice_member(splice, root, "content", content);
    return 0;
}

static int
splice_stop(struct json root, enum canon_finish finish, struct arena *arena, struct splice *splice)
{
    struct slice word = json_text(json_get(root, "stop_reason"));
    bool differs = anthropic_finish_known(word) && anthropic_finish_of(word) != finish;
    if (slice_present(word) && !differs)
        return 0;
    struct slice said = arena_printf(arena, "\"%s\"", anthropic_finish_name(finish));
    if (!slice_present(said))
        return -ERR_MEMORY;
    splice_member(splice, root, "stop_reason", said);
    return 0;
}

int
anthropic_pass_whole(void *writer, struct slice body, const struct canon_events *events,
                     struct sink *out)
{
    struct anthropic_writer *self = writer;
    struct splice splice;
    struct json root;
    int error =
        json_parse(body, ANTHROPIC_DEPTH_MAX, ANTHROPIC_BODY_TOKENS_MAX, events->arena, &root);
    if (error == 0 && json_type(root) != JSON_OBJECT)
        error = -ERR_UPSTREAM_PROTOCOL;
    if (error != 0)
        return error;
    splice_init(&splice, body, events->arena);
    if ((events->mends & CANON_MEND_ALL) != 0)
        error = splice_content(self, root, events, &splice);
    for (int i = 0; i < events->count && error == 0; i++) {
        if (events->at[i].kind == CANON_FINISH)
            error = splice_stop(root, events->at[i].finish, events->arena, &splice);
    }
    return error != 0 ? error : splice_put(&splice, out);
}
