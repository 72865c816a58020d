/* SPDX-License-Identifier: MIT
 *
 * fuzz_providers.c - every dialect as client and as upstream over any bytes: requests read, passed
 * and written, streams and bodies read, guarded, passed and written, errors read. The first byte
 * chooses; nothing from outside may trip an assert, and what comes out is JSON.
 */
#include "providers/dialect.h"
#include "providers/think.h"
#include "sse/sse.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum way { WAY_REQUEST, WAY_STREAM, WAY_BODY, WAY_ERROR };

struct run {
    const struct dialect *client, *upstream;
    struct arena arena, scratch;
    struct canon_events events;
    struct canon_guard guard;
    struct canon_think think;
    struct frames frames;
    void *reader, *writer;
    bool stream, tags;
};

static void
must_be_json(struct slice text)
{
    struct json_scan scan;
    if (json_scan(text, 200, &scan) != 0)
        abort();
}

static void
fuzz_request(const struct run *run, struct slice body, uint8_t choice)
{
    struct arena arena;
    struct canon_fault fault = {0};
    struct canon_report report = {0};
    struct canon_request request = {.body = body, .arena = &arena, .model = SLICE_LIT("m")};
    struct dialect_upstream upstream = {
        .model = SLICE_LIT("claude-opus-4-5"),
        .api_key = SLICE_LIT("k"),
        .max_output_tokens = choice & 64 ? 3000 : 0,
        .max_completion_tokens = choice & 1,
        .usage_in_stream = choice & 2,
        .strict_turns = choice & 4,
        .extra_fields = choice & 8,
        .top_k = choice & 16,
        .developer_role = choice & 32,
        .replay_reasoning = choice & 1,
        .effort = (enum dialect_effort)(choice & 3),
        .keeps_state = choice & 4,
        .ids = choice & 8 ? IDS_NINE : IDS_ANY,
        .forced_choice = choice & 16,
        .system_parts = choice & 2,
        .flat_content = choice & 1,
        .thinking_level = choice & 32,
        .json_schema = choice & 4,
        .result_media = choice & 8,
        .url_media = choice & 1,
        .strip_tool_fields = choice & 2,
        .surface = choice & 32 ? SURFACE_VERTEX : SURFACE_PLAIN,
        .project = SLICE_LIT("p"),
        .location = SLICE_LIT("l"),
        .betas = choice & 16 ? SLICE_LIT("a, b") : SLICE_NONE,
        .default_params =
            choice & 128 ? SLICE_LIT("{\"temperature\":1,\"max_tokens\":7,\"x\":{}}") : SLICE_NONE,
    };
    struct sink out;
    arena_init(&arena, 16u << 20);
    sink_init(&out, 16u << 20);
    if (json_parse(body, 64, 1u << 18, &arena, &request.root) == 0 &&
        run->client->outline(&request, &fault) == 0) {
        (void)estimate_tokens(&request);
        if (run->client->pass_request(&request, &upstream, &out) == 0)
            must_be_json(sink_slice(&out));
        sink_reset(&out, 1u << 20);
        if (run->client->read_request(&request, &fault) == 0) {
            if (run->upstream->write_request(&request, &upstream, &out, &report, &fault) == 0)
                must_be_json(sink_slice(&out));
            sink_reset(&out, 1u << 20);
            if (run->upstream->write_count &&
                run->upstream->write_count(&request, &upstream, &out, &report, &fault) == 0)
                must_be_json(sink_slice(&out));
        }
    }
    sink_fini(&out);
    arena_fini(&arena);
}

static void
check_frames(struct run *run)
{
    for (int i = 0; i < run->frames.count; i++) {
        const struct frame *frame = &run->frames.at[i];
        struct slice data = slice_of(sink_slice(&run->frames.bytes).ptr + frame->start, frame->len);
        if (frame->kind == FRAME_EVENT && !slice_is(data, "[DONE]"))
            must_be_json(data);
    }
    frames_clear(&run->frames);
}

static int
take_events(struct run *run, struct slice data)
{
    int error = run->tags ? canon_think_filter(&run->think, &run->events) : 0;
    if (error == 0)
        error = canon_guard_check(&run->guard, &run->events);
    if (error == 0 && run->client == run->upstream && run->stream)
        error = run->client->pass_event(run->writer, data, &run->events, &run->frames);
    else if (error == 0)
        error = run->client->write_events(run->writer, &run->events, &run->frames);
    if (error == 0)
        check_frames(run);
    canon_events_clear(&run->events);
    arena_reset(&run->scratch);
    return error;
}

/* A whole reply of the client's own dialect, mended in its place. */
static void
fuzz_mend(struct run *run, struct slice body)
{
    struct sink out;
    sink_init(&out, 16u << 20);
    int error = run->upstream->read_body(run->reader, body, &run->events);
    if (error == 0 && run->tags)
        error = canon_think_filter(&run->think, &run->events);
    if (error == 0)
        error = canon_guard_check(&run->guard, &run->events);
    if (error == 0 && run->guard.finished &&
        run->client->pass_whole(run->writer, body, &run->events, &out) == 0)
        must_be_json(sink_slice(&out));
    sink_fini(&out);
}

static void
fuzz_reply(struct run *run, struct slice bytes, bool body)
{
    int error = 0;
    if (body && run->client == run->upstream && !run->stream && run->client->pass_whole) {
        fuzz_mend(run, bytes);
        return;
    }
    if (body) {
        error = run->upstream->read_body(run->reader, bytes, &run->events);
        if (error == 0)
            error = take_events(run, SLICE_NONE);
    } else {
        struct sse_decoder decoder;
        struct sse_event event;
        sse_decoder_init(&decoder, 1u << 20);
        while (error == 0 && sse_decode(&decoder, &bytes, &event) == 1) {
            if (!event.dispatched)
                continue;
            error = run->upstream->read_event(run->reader, event.type, event.data, &run->events);
            if (error == 0)
                error = take_events(run, event.data);
        }
        sse_decoder_fini(&decoder);
        if (error == 0)
            error = run->upstream->read_end(run->reader, &run->events);
        if (error == 0)
            error = take_events(run, SLICE_NONE);
    }
    struct canon_error failure = canon_error_of(error != 0 ? error : ERR_RESET);
    if (!run->stream && error == 0) {
        struct sink out;
        sink_init(&out, 16u << 20);
        if (run->guard.ended && run->client->write_whole(run->writer, &out) == 0)
            must_be_json(sink_slice(&out));
        sink_fini(&out);
    } else if (run->client->write_error(run->writer, &failure, &run->frames) == 0) {
        check_frames(run);
    }
}

static void
fuzz_error(const struct run *run, struct slice body, int status)
{
    struct arena arena;
    struct canon_error error;
    struct sink out;
    arena_init(&arena, 4u << 20);
    sink_init(&out, 4u << 20);
    run->upstream->read_error(status, body, &arena, &error);
    run->client->error_body(&error, SLICE_LIT("r"), &out);
    must_be_json(sink_slice(&out));
    int said = run->client->error_status(&error);
    if (said < 400 || said > 599)
        abort();
    (void)run->client->error_conforms(body, &arena);
    sink_fini(&out);
    arena_fini(&arena);
}

static void
open_reply(struct run *run, bool early)
{
    struct dialect_writer_options options = {.stream = run->stream,
                                             .include_usage = early,
                                             .id = SLICE_LIT("abcdefghijklmnopqrstuvwx"),
                                             .model = SLICE_LIT("m"),
                                             .created_s = 1,
                                             .placeholder_signature = early,
                                             .reasoning = run->tags ? SHOW_THINK_TAGS
                                                          : early   ? SHOW_AS_SENT
                                                                    : SHOW_REASONING_CONTENT};
    arena_init(&run->arena, 16u << 20);
    arena_init(&run->scratch, 16u << 20);
    canon_events_init(&run->events, &run->scratch);
    canon_guard_init(&run->guard, &run->arena);
    canon_think_init(&run->think, &run->arena);
    frames_init(&run->frames, 16u << 20);
    run->reader = calloc(1, run->upstream->reader_bytes);
    run->writer = calloc(1, run->client->writer_bytes);
    run->upstream->reader_init(run->reader, &run->arena);
    if (run->client->writer_init(run->writer, &options, &run->arena) != 0)
        abort();
    if (early && run->stream && run->client->write_start(run->writer, &run->frames) == 0)
        check_frames(run);
}

static void
close_reply(struct run *run)
{
    if (run->upstream->reader_fini)
        run->upstream->reader_fini(run->reader);
    if (run->client->writer_fini)
        run->client->writer_fini(run->writer);
    free(run->reader);
    free(run->writer);
    frames_fini(&run->frames);
    arena_fini(&run->scratch);
    arena_fini(&run->arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2)
        return 0;
    uint8_t how = bytes[0];
    struct slice text = slice_of(bytes + 2, n - 2);
    struct run run = {.client = dialect_of((enum dialect_id)((how & 1) | (how & 128 ? 2 : 0))),
                      .upstream =
                          dialect_of((enum dialect_id)((how >> 1 & 1) | (bytes[1] & 64 ? 2 : 0))),
                      .stream = !(how & 16),
                      .tags = how & 32};
    enum way way = (enum way)(how >> 2 & 3);
    if (way == WAY_REQUEST) {
        fuzz_request(&run, text, bytes[1]);
    } else if (way == WAY_ERROR) {
        fuzz_error(&run, text, 400 + bytes[1] % 200);
    } else {
        open_reply(&run, how & 64);
        fuzz_reply(&run, text, way == WAY_BODY);
        close_reply(&run);
    }
    return 0;
}
