/* SPDX-License-Identifier: MIT
 *
 * drive.c - a reply on its way from an upstream's bytes to a client's, as the gateway takes it,
 * without sockets.
 */
#include "tests/golden/drive.h"

#include "providers/custom.h"
#include "providers/textcall.h"
#include "providers/think.h"
#include "sse/sse.h"

#include <stdlib.h>

struct run {
    const struct drive *drive;
    struct drive_result *result;
    struct arena arena, scratch;
    struct frames frames;
    struct canon_events events;
    struct canon_guard guard;
    struct canon_think think;
    struct canon_textcall textcall;
    struct canon_custom custom;
    struct canon_error failure;
    void *reader, *writer;
    bool same, ended;
};

static void
put_frames(struct run *run, const struct sse_event *raw)
{
    struct sink *out = &run->result->text;
    for (int i = 0; i < run->frames.count; i++) {
        const struct frame *frame = &run->frames.at[i];
        struct slice data = slice_of(sink_slice(&run->frames.bytes).ptr + frame->start, frame->len);
        if (frame->kind == FRAME_PASS && raw->unterminated)
            sse_put_event(out, raw->type, raw->data); /* as gateway/output.c: half a line would swallow what follows */
        else if (frame->kind == FRAME_PASS)
            sink_put(out, raw->raw);
        else if (frame->kind == FRAME_COMMENT)
            sse_put_comment(out, data);
        else
            sse_put_event(out, slice_from(frame->type), data);
    }
    frames_clear(&run->frames);
}

/* A whole reply of the client's own dialect that only needs a few places mended. */
static bool
mends_whole(const struct run *run)
{
    return run->same && !run->drive->framed && !run->drive->options.stream && run->events.rewrite &&
           run->drive->client->pass_whole;
}

/* What a filter may change cannot pass in part where a reply says everything again. */
static bool
passes(const struct run *run)
{
    const struct drive *drive = run->drive;
    bool parts = drive->client->id == DIALECT_OPENAI_CHAT || drive->client->id == DIALECT_ANTHROPIC;
    return run->same && (parts || !(drive->think || drive->textcall));
}

/* Filter, guard, write. raw is NULL when the events came from no SSE event. */
static int
carry(struct run *run, const struct sse_event *raw)
{
    const struct drive *drive = run->drive;
    int error = drive->think ? canon_think_filter(&run->think, &run->events) : 0;
    if (!error && drive->textcall)
        error = canon_textcall_filter(&run->textcall, &run->events);
    if (error)
        return error;
    for (int i = 0; i < run->events.count; i++)
        if (run->events.at[i].kind == CANON_ERROR) {
            run->failure = run->events.at[i].error;
            run->failure.message = arena_copy(&run->arena, run->failure.message);
            if (slice_present(run->failure.code))
                run->failure.code = arena_copy(&run->arena, run->failure.code);
            if (slice_present(run->failure.type))
                run->failure.type = arena_copy(&run->arena, run->failure.type);
            if (slice_present(run->failure.param))
                run->failure.param = arena_copy(&run->arena, run->failure.param);
            return -run->failure.error;
        }
    error = canon_guard_check(&run->guard, &run->events);
    run->result->flaws |= run->events.flaws;
    run->result->verdict = run->guard.verdict;
    if (!error && !run->same)
        error = canon_custom_filter(&run->custom, &run->events);
    if (error)
        return error;
    for (int i = 0; i < run->events.count; i++)
        run->ended = run->ended || run->events.at[i].kind == CANON_END;
    if (mends_whole(run))
        return 0;
    if (raw && drive->options.stream && passes(run))
        error = drive->client->pass_event(run->writer, raw->data, &run->events, &run->frames);
    else
        error = drive->client->write_events(run->writer, &run->events, &run->frames);
    put_frames(run, raw);
    return error;
}

static void
next_event(struct run *run)
{
    if (run->scratch.used > run->result->event_bytes)
        run->result->event_bytes = run->scratch.used;
    arena_reset(&run->scratch);
    canon_events_clear(&run->events);
}

static int
take_event(struct run *run, const struct sse_event *event)
{
    if (!slice_present(event->data) || run->ended)
        return 0;
    next_event(run);
    if (event->unterminated)
        run->events.flaws |= 1u << FLAW_UNTERMINATED_EVENT;
    int error =
        run->drive->upstream->read_event(run->reader, event->type, event->data, &run->events);
    if (event->unterminated)
        run->events.rewrite = true;
    return error ? error : carry(run, event);
}

static int
take_stream(struct run *run, struct slice bytes)
{
    struct sse_decoder decoder;
    struct sse_event event;
    uint32_t seed = run->drive->seed;
    sse_decoder_init(&decoder, 16u << 20);
    int got = 0;
    while (bytes.len > 0 && got >= 0) {
        seed = seed * 1664525 + 1013904223;
        size_t n = run->drive->split == SPLIT_BYTES    ? 1
                   : run->drive->split == SPLIT_RANDOM ? 1 + (seed >> 24)
                                                       : bytes.len;
        /* A run of its own memory, so that a slice kept too long is noticed. */
        struct slice piece = slice_take(bytes, n), left;
        char *copy = malloc(piece.len);
        assert(copy);
        memcpy(copy, piece.ptr, piece.len);
        left = slice_of(copy, piece.len);
        while (got >= 0 && (got = sse_decode(&decoder, &left, &event)) == 1)
            got = take_event(run, &event);
        free(copy);
        bytes = slice_skip(bytes, n);
    }
    if (got == 0 && !run->ended) {
        got = sse_decode_end(&decoder, &event);
        if (got == 1)
            got = take_event(run, &event);
    }
    sse_decoder_fini(&decoder);
    if (got < 0 || run->ended)
        return got;
    next_event(run);
    got = run->drive->upstream->read_end(run->reader, &run->events);
    return got ? got : carry(run, NULL);
}

static int
take_body(struct run *run, struct slice body)
{
    const struct drive *drive = run->drive;
    int error = drive->upstream->read_body(run->reader, body, &run->events);
    if (!error && drive->options.stream) {
        struct canon_events all = run->events;
        for (int i = 0; i < all.count && !error; i++) {
            run->events.at = &all.at[i];
            run->events.count = 1;
            error = carry(run, NULL);
        }
        return error;
    }
    return error ? error : carry(run, NULL);
}

static bool
is_starved(const struct drive *drive)
{
    return drive->memory_max > 0 || drive->event_max > 0;
}

static void
fail(struct run *run, int error)
{
    const struct drive *drive = run->drive;
    struct drive_result *result = run->result;
    if (run->failure.error != -error)
        run->failure = canon_error_of(error);
    result->error = error;
    if (drive->options.stream) {
        frames_clear(&run->frames);
        int said = drive->client->write_error(run->writer, &run->failure, &run->frames);
        assert(said == 0 || is_starved(drive));
        put_frames(run, NULL);
        return;
    }
    sink_reset(&result->text, 0);
    result->status = drive->client->error_status(&run->failure);
    drive->client->error_body(&run->failure, SLICE_LIT("req_test"), &result->text);
}

static void
answer(struct run *run, struct slice upstream)
{
    const struct drive *drive = run->drive;
    struct drive_result *result = run->result;
    if (drive->status >= 300) {
        drive->upstream->read_error(drive->status, upstream, &run->arena, &run->failure);
        result->error = -run->failure.error;
        result->status = drive->client->error_status(&run->failure);
        if (run->same && drive->client->error_conforms(upstream, &run->scratch))
            sink_put(&result->text, upstream);
        else
            drive->client->error_body(&run->failure, SLICE_LIT("req_test"), &result->text);
        return;
    }
    result->status = 200;
    int error = drive->early ? drive->client->write_start(run->writer, &run->frames) : 0;
    assert(error == 0 || is_starved(drive));
    if (drive->early) {
        drive->client->write_ping(run->writer, &run->frames);
        put_frames(run, NULL);
    }
    if (error == 0)
        error = drive->framed ? take_stream(run, upstream) : take_body(run, upstream);
    if (!error && !run->ended)
        error = -ERR_DISCONNECTED;
    if (error) {
        fail(run, error);
        return;
    }
    if (drive->options.stream)
        return;
    if (run->same && !drive->framed && !run->events.rewrite)
        sink_put(&result->text, upstream);
    else if (mends_whole(run))
        error = drive->client->pass_whole(run->writer, upstream, &run->events, &result->text);
    else
        error = drive->client->write_whole(run->writer, &result->text);
    assert(error == 0 || is_starved(drive));
    result->error = error;
}

void
drive_reply(const struct drive *drive, struct slice upstream, struct drive_result *result)
{
    struct run run = {.drive = drive, .result = result, .same = drive->client == drive->upstream};
    *result = (struct drive_result){0};
    sink_init(&result->text, 256u << 20);
    arena_init(&run.arena, drive->memory_max > 0 ? drive->memory_max : 64u << 20);
    arena_init(&run.scratch, drive->event_max > 0 ? drive->event_max : 64u << 20);
    frames_init(&run.frames, 128u << 20);
    canon_events_init(&run.events, &run.scratch);
    canon_guard_init(&run.guard, &run.arena);
    run.guard.first_due = !run.same;
    canon_think_init(&run.think, &run.arena);
    canon_textcall_init(&run.textcall, &run.arena);
    int error = canon_custom_init(&run.custom, drive->options.request, &run.arena);
    run.reader = calloc(1, drive->upstream->reader_bytes);
    run.writer = calloc(1, drive->client->writer_bytes);
    assert(run.reader && run.writer);
    drive->upstream->reader_init(run.reader, &run.arena);
    bool wrote = error == 0;
    if (wrote)
        error = drive->client->writer_init(run.writer, &drive->options, &run.arena);
    if (error == 0)
        answer(&run, upstream);
    else
        result->error = error;
    assert(error == 0 || is_starved(drive));
    result->arena_bytes = run.arena.used;
    next_event(&run);
    if (drive->client->writer_fini && wrote)
        drive->client->writer_fini(run.writer);
    if (drive->upstream->reader_fini)
        drive->upstream->reader_fini(run.reader);
    canon_textcall_fini(&run.textcall);
    free(run.reader);
    free(run.writer);
    frames_fini(&run.frames);
    arena_fini(&run.arena);
    arena_fini(&run.scratch);
}

void
drive_result_fini(struct drive_result *result)
{
    sink_fini(&result->text);
}
