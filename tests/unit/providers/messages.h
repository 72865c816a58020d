/* SPDX-License-Identifier: MIT
 *
 * messages.h - for tests: canonical events given to the Messages writer in batches of any size, and
 * short names for what it writes.
 */
#ifndef PENSTOCK_TEST_MESSAGES_H
#define PENSTOCK_TEST_MESSAGES_H

#include "tests/unit/providers/relay.h"

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START(input, out)                                                                          \
    EVENT(                                                                                         \
        "message_start",                                                                           \
        ",\"message\":{\"id\":\"msg_abc\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"  \
        "\"my \\\"model\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"             \
        "\"usage\":{\"input_tokens\":" #input ",\"cache_creation_input_tokens\":0,"                \
        "\"cache_read_input_tokens\":0,\"output_tokens\":" #out "}}")
#define BLOCK(n, block)                                                                            \
    EVENT("content_block_start", ",\"index\":" #n ",\"content_block\":{" block "}")
#define TEXT_START(n) BLOCK(n, "\"type\":\"text\",\"text\":\"\"")
#define CALL_START(n, id, name)                                                                    \
    BLOCK(n, "\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":{}")
#define THINK_START(n) BLOCK(n, "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
#define DELTA(n, type, member, text)                                                               \
    EVENT("content_block_delta",                                                                   \
          ",\"index\":" #n ",\"delta\":{\"type\":\"" type "\",\"" member "\":\"" text "\"}")
#define TEXT(n, text) DELTA(n, "text_delta", "text", text)
#define JSON(n, text) DELTA(n, "input_json_delta", "partial_json", text)
#define THINK(n, text) DELTA(n, "thinking_delta", "thinking", text)
#define SIGN(n, text) DELTA(n, "signature_delta", "signature", text)
#define STOP(n) EVENT("content_block_stop", ",\"index\":" #n)
#define FINISH(reason, sequence, usage)                                                            \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason                                 \
                           "\",\"stop_sequence\":" sequence "},\"usage\":{" usage "}")
#define NO_USAGE                                                                                   \
    "\"input_tokens\":5,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_" \
    "tokens\":0"
#define END EVENT("message_stop", "")

#define S(text) SLICE_LIT(text)

struct writing {
    struct arena arena;
    struct frames frames;
    struct sink out;
    void *writer;
    bool stream;
    uint32_t unsaid;
};

static inline void
open_writer(struct writing *at, bool stream, bool placeholder)
{
    struct dialect_writer_options options = {.stream = stream,
                                             .id = S("abc"),
                                             .model = S("my \"model"),
                                             .placeholder_signature = placeholder,
                                             .input_estimate = 5};
    arena_init(&at->arena, 32u << 20);
    frames_init(&at->frames, 64u << 20);
    sink_init(&at->out, 64u << 20);
    at->stream = stream;
    at->unsaid = 0;
    at->writer = calloc(1, anthropic_dialect.writer_bytes);
    assert_non_null(at->writer);
    assert_int_equal(anthropic_dialect.writer_init(at->writer, &options, &at->arena), 0);
}

static inline void
close_writer(struct writing *at)
{
    anthropic_dialect.writer_fini(at->writer);
    free(at->writer);
    frames_fini(&at->frames);
    arena_fini(&at->arena);
    sink_fini(&at->out);
}

static inline void
take_frames(struct writing *at)
{
    for (int i = 0; i < at->frames.count; i++) {
        const struct frame *frame = &at->frames.at[i];
        struct slice data = slice_of(sink_slice(&at->frames.bytes).ptr + frame->start, frame->len);
        if (frame->kind == FRAME_COMMENT)
            sink_printf(&at->out, ": %.*s\n\n", SLICE_ARG(data));
        else
            sse_put_event(&at->out, slice_from(frame->type), data);
    }
    at->unsaid += at->frames.unsaid;
    frames_clear(&at->frames);
}

/* Give the events in batches of a size; 0: all at once. */
static inline int
give(struct writing *at, const struct canon_event *events, int count, int batch)
{
    int error = 0;
    for (int i = 0; i < count && error == 0;) {
        struct arena scratch;
        struct canon_events list;
        arena_init(&scratch, 1u << 20);
        canon_events_init(&list, &scratch);
        for (int n = 0; i < count && (batch == 0 || n < batch); n++, i++) {
            struct canon_event *event = canon_add(&list, events[i].kind);
            assert_non_null(event);
            struct canon_usage usage = event->usage;
            *event = events[i];
            if (event->kind != CANON_USAGE)
                event->usage = usage;
        }
        error = anthropic_dialect.write_events(at->writer, &list, &at->frames);
        take_frames(at);
        /* What was given may go away now: the writer must have kept what it needs. */
        arena_fini(&scratch);
    }
    return error;
}

static inline void
writes(const struct canon_event *events, int count, bool placeholder, const char *expected)
{
    for (int batch = 0; batch < 4; batch++) {
        struct writing at;
        open_writer(&at, true, placeholder);
        assert_int_equal(give(&at, events, count, batch), 0);
        sink_byte(&at.out, '\0');
        assert_string_equal(at.out.ptr, expected);
        close_writer(&at);
    }
}

static inline void
gathers(const struct canon_event *events, int count, const char *expected)
{
    for (int batch = 0; batch < 4; batch++) {
        struct writing at;
        open_writer(&at, false, true);
        assert_int_equal(give(&at, events, count, batch), 0);
        assert_int_equal(at.out.len, 0);
        assert_int_equal(anthropic_dialect.write_whole(at.writer, &at.out), 0);
        struct json_scan scan;
        assert_int_equal(json_scan(sink_slice(&at.out), 64, &scan), 0);
        sink_byte(&at.out, '\0');
        assert_string_equal(at.out.ptr, expected);
        close_writer(&at);
    }
}

#define OPEN_TEXT(n)                                                                               \
    {                                                                                              \
        .kind = CANON_OPEN, .type = BLOCK_TEXT, .block = (n)                                       \
    }
#define ADD(n, kind_of, words)                                                                     \
    {                                                                                              \
        .kind = CANON_DELTA, .type = kind_of, .block = (n), .text = S(words)                       \
    }
#define CLOSE(n, kind_of)                                                                          \
    {                                                                                              \
        .kind = CANON_CLOSE, .type = kind_of, .block = (n)                                         \
    }
#define OPEN_CALL(n, call, tool)                                                                   \
    {                                                                                              \
        .kind = CANON_OPEN, .type = BLOCK_CALL, .block = (n), .id = S(call), .name = S(tool)       \
    }
#define ENDS(why)                                                                                  \
    {.kind = CANON_FINISH, .finish = why},                                                         \
    {                                                                                              \
        .kind = CANON_END                                                                          \
    }
#define COUNTS(in, read, write, out, thought)                                                      \
    {                                                                                              \
        .kind = CANON_USAGE, .usage = { in, read, write, out, thought }                            \
    }
#define U UINT64_MAX

#endif
