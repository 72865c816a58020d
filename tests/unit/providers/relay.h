/* SPDX-License-Identifier: MIT
 *
 * relay.h - for tests: a recorded stream through decoder, reader, guard and writer, as the gateway
 * does it, cut into pieces of any size. What the client got is one text; what the reader saw can be
 * had as one line an event.
 */
#ifndef PENSTOCK_TEST_RELAY_H
#define PENSTOCK_TEST_RELAY_H

#include "providers/dialect.h"
#include "sse/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct relay {
    const struct dialect *upstream, *client;
    struct dialect_writer_options options;
    bool early; /* commit before the upstream says anything */
    /* what came of it */
    struct sink out;   /* to the client */
    struct sink lines; /* canonical events */
    int error;
    uint32_t flaws;
    const char *verdict;
    bool ended;
    struct canon_usage usage;
    /* at work */
    struct arena arena, scratch;
    struct canon_guard guard;
    struct canon_events events;
    struct frames frames;
    struct sse_decoder decoder;
    void *reader, *writer;
};

static inline void
relay_line(struct relay *relay, const struct canon_event *event)
{
    static const char *const kinds[] = {"START",  "OPEN",  "DELTA", "CLOSE", "USAGE",
                                        "FINISH", "ERROR", "END",   "CITATION", "NATIVE"};
    static const char *const types[] = {"text",    "thinking", "redacted", "call",
                                        "refusal", "native",   "image"};
    static const char *const ends[] = {"none",  "stop",   "sequence", "length", "context",
                                       "calls", "filter", "pause",    "other"};
    struct sink *out = &relay->lines;
    sink_text(out, kinds[event->kind]);
    if (event->kind == CANON_OPEN || event->kind == CANON_DELTA || event->kind == CANON_CLOSE)
        sink_printf(out, " %u %s", (unsigned)event->block, types[event->type]);
    const struct slice texts[] = {event->id,    event->name,          event->text, event->signature,
                                  event->model, event->stop_sequence, event->data};
    const char *const names[] = {"id", "name", "text", "signature", "model", "sequence", "data"};
    for (size_t i = 0; i < countof(texts); i++) {
        if (slice_present(texts[i]))
            sink_printf(out, " %s=%.*s", names[i], SLICE_ARG(texts[i]));
    }
    if (event->origin != ORIGIN_NONE)
        sink_printf(out, " origin=%s", canon_origin_name(event->origin));
    if (event->kind == CANON_CITATION) {
        const struct canon_citation *citation = event->citation;
        const struct slice parts[] = {citation->url, citation->title, citation->quote, citation->native};
        const char *const words[] = {"url", "title", "quote", "native"};
        sink_printf(out, " %u", (unsigned)event->block);
        for (size_t i = 0; i < countof(parts); i++) {
            if (slice_present(parts[i]))
                sink_printf(out, " %s=%.*s", words[i], SLICE_ARG(parts[i]));
        }
        sink_printf(out, " %lld..%lld", (long long)citation->start, (long long)citation->end);
    }
    for (const struct canon_logprob *at = event->logprobs; at; at = at->next) {
        sink_printf(out, " [%.*s %.*s", SLICE_ARG(at->token), SLICE_ARG(at->logprob));
        for (const struct canon_logprob *top = at->top; top; top = top->next)
            sink_printf(out, " (%.*s %.*s)", SLICE_ARG(top->token), SLICE_ARG(top->logprob));
        sink_text(out, "]");
    }
    const uint64_t counts[] = {event->usage.in_total, event->usage.cache_read,
                               event->usage.cache_write, event->usage.out_total,
                               event->usage.reasoning};
    const char *const counters[] = {"in", "read", "write", "out", "reasoning"};
    for (size_t i = 0; event->kind == CANON_USAGE && i < countof(counts); i++) {
        if (counts[i] != UINT64_MAX)
            sink_printf(out, " %s=%llu", counters[i], (unsigned long long)counts[i]);
    }
    if (event->kind == CANON_FINISH)
        sink_printf(out, " %s", ends[event->finish]);
    if (event->kind == CANON_ERROR)
        sink_printf(out, " %s: %.*s", err_kind_name(event->error.kind),
                    SLICE_ARG(event->error.message));
    sink_byte(out, '\n');
}

/* The reader's own events, before the guard; a delta that follows a delta of its block continues
 * it. */
static inline void
relay_note(struct relay *relay)
{
    for (int i = 0; i < relay->events.count; i++) {
        relay_line(relay, &relay->events.at[i]);
        if (relay->events.at[i].kind == CANON_USAGE)
            canon_usage_merge(&relay->usage, &relay->events.at[i].usage);
        relay->ended |= relay->events.at[i].kind == CANON_END;
    }
    relay->flaws |= relay->events.flaws;
}

static inline void
relay_frames(struct relay *relay, struct slice raw)
{
    for (int i = 0; i < relay->frames.count; i++) {
        const struct frame *frame = &relay->frames.at[i];
        struct slice data =
            slice_of(sink_slice(&relay->frames.bytes).ptr + frame->start, frame->len);
        if (frame->kind == FRAME_PASS)
            sink_put(&relay->out, raw);
        else if (frame->kind == FRAME_COMMENT)
            sink_printf(&relay->out, ": %.*s\n\n", SLICE_ARG(data));
        else
            sse_put_event(&relay->out, slice_from(frame->type), data);
    }
    frames_clear(&relay->frames);
}

static inline int
relay_events(struct relay *relay, struct slice raw, struct slice data)
{
    bool same = relay->upstream == relay->client && relay->options.stream;
    relay_note(relay);
    int error = canon_guard_check(&relay->guard, &relay->events);
    relay->flaws |= relay->events.flaws;
    if (error == 0)
        error = same
                    ? relay->client->pass_event(relay->writer, data, &relay->events, &relay->frames)
                    : relay->client->write_events(relay->writer, &relay->events, &relay->frames);
    relay_frames(relay, raw);
    canon_events_clear(&relay->events);
    arena_reset(&relay->scratch);
    return error;
}

static inline int
relay_run(struct relay *relay, struct slice run)
{
    struct sse_event event;
    int error = 0;
    while (error == 0) {
        int got = sse_decode(&relay->decoder, &run, &event);
        if (got != 1)
            return got;
        if (!event.dispatched)
            continue;
        error = relay->upstream->read_event(relay->reader, event.type, event.data, &relay->events);
        if (error == 0)
            error = relay_events(relay, event.raw, event.data);
    }
    return error;
}

static inline void
relay_open(struct relay *relay)
{
    sink_init(&relay->out, 64u << 20);
    sink_init(&relay->lines, 64u << 20);
    arena_init(&relay->arena, 64u << 20);
    arena_init(&relay->scratch, 64u << 20);
    relay->error = 0;
    relay->flaws = 0;
    relay->ended = false;
    relay->usage = CANON_USAGE_UNKNOWN;
    canon_guard_init(&relay->guard, &relay->arena);
    canon_events_init(&relay->events, &relay->scratch);
    frames_init(&relay->frames, 64u << 20);
    sse_decoder_init(&relay->decoder, 32u << 20);
    relay->reader = calloc(1, relay->upstream->reader_bytes);
    relay->writer = calloc(1, relay->client->writer_bytes);
    assert_non_null(relay->reader);
    assert_non_null(relay->writer);
    relay->upstream->reader_init(relay->reader, &relay->arena);
    assert_int_equal(relay->client->writer_init(relay->writer, &relay->options, &relay->arena), 0);
}

static inline void
relay_close(struct relay *relay)
{
    if (relay->upstream->reader_fini)
        relay->upstream->reader_fini(relay->reader);
    if (relay->client->writer_fini)
        relay->client->writer_fini(relay->writer);
    free(relay->reader);
    free(relay->writer);
    sse_decoder_fini(&relay->decoder);
    frames_fini(&relay->frames);
    arena_fini(&relay->scratch);
    arena_fini(&relay->arena);
    sink_fini(&relay->out);
    sink_fini(&relay->lines);
}

/* relay_stream - piece 0: at seeded random splits; else pieces of that size. The last end closes
 * what is left. */
static inline void
relay_stream(struct relay *relay, struct slice bytes, size_t piece, uint32_t seed)
{
    relay_open(relay);
    if (relay->early) {
        assert_int_equal(relay->client->write_start(relay->writer, &relay->frames), 0);
        relay_frames(relay, SLICE_NONE);
    }
    while (bytes.len > 0 && relay->error == 0) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = piece != 0 ? piece : 1 + (seed >> 16) % 97;
        relay->error = relay_run(relay, slice_take(bytes, n));
        bytes = slice_skip(bytes, n);
    }
    if (relay->error == 0)
        relay->error = relay->upstream->read_end(relay->reader, &relay->events);
    if (relay->error == 0 && relay->events.count > 0)
        relay->error = relay_events(relay, SLICE_NONE, SLICE_NONE);
    if (relay->error == 0 && !relay->options.stream && relay->ended)
        relay->error = relay->client->write_whole(relay->writer, &relay->out);
    relay->verdict = relay->guard.verdict;
}

/* relay_check - whole, byte by byte and at random splits: what the client gets is always expected.
 */
static inline void
relay_check(struct relay *relay, const char *bytes, const char *expected)
{
    for (uint32_t round = 0; round < 6; round++) {
        size_t piece = round == 0 ? strlen(bytes) + 1 : round == 1;
        relay_stream(relay, slice_from(bytes), piece, round);
        sink_byte(&relay->out, '\0');
        if (strcmp(sink_slice(&relay->out).ptr, expected) != 0)
            print_error("round %u\n--- got\n%s\n--- expected\n%s\n---\n", (unsigned)round,
                        sink_slice(&relay->out).ptr, expected);
        assert_string_equal(sink_slice(&relay->out).ptr, expected);
        relay_close(relay);
    }
}

/* relay_check_lines - the same for the canonical events. */
static inline void
relay_check_lines(struct relay *relay, const char *bytes, const char *expected)
{
    for (uint32_t round = 0; round < 6; round++) {
        size_t piece = round == 0 ? strlen(bytes) + 1 : round == 1;
        relay_stream(relay, slice_from(bytes), piece, round);
        sink_byte(&relay->lines, '\0');
        if (strcmp(sink_slice(&relay->lines).ptr, expected) != 0)
            print_error("round %u\n--- got\n%s\n--- expected\n%s\n---\n", (unsigned)round,
                        sink_slice(&relay->lines).ptr, expected);
        assert_string_equal(sink_slice(&relay->lines).ptr, expected);
        relay_close(relay);
    }
}

#endif
