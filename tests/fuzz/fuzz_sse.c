/* SPDX-License-Identifier: MIT
 *
 * fuzz_sse.c - server-sent events: whole and split decode to the same blocks, and what is decoded
 * can be written and read again.
 *
 * Input: one byte of block limit, one byte that seeds the splits, then the stream.
 */
#include "sse/sse.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static void
put_value(struct sink *out, struct slice value)
{
    sink_byte(out, slice_present(value) ? '+' : '-');
    sink_u64(out, value.len);
    sink_byte(out, ':');
    sink_put(out, value);
}

static void
put_block(struct sink *out, const struct sse_event *event)
{
    put_value(out, event->type);
    put_value(out, event->data);
    put_value(out, event->id);
    put_value(out, event->comment);
    put_value(out, event->raw);
    sink_i64(out, event->retry_ms);
    sink_byte(out, event->dispatched ? 'd' : 'n');
    sink_byte(out, event->unterminated ? 'u' : 't');
}

static bool
has_line_break(struct slice value)
{
    return value.len > 0 &&
           (memchr(value.ptr, '\n', value.len) || memchr(value.ptr, '\r', value.len));
}

/* An event that is written and read again is the same event. */
static void
check_round_trip(const struct sse_event *event)
{
    struct sink out;
    struct sse_decoder decoder;
    struct sse_event again;
    /* A BOM in front of the first name would not be read as one again: ours always begins with a
     * letter. */
    sink_init(&out, 1u << 24);
    sse_decoder_init(&decoder, 1u << 24);
    sse_put_fields(&out, event->id, event->retry_ms > 0 ? (uint64_t)event->retry_ms : 0);
    sse_put_event(&out, SLICE_NONE, event->data);
    struct slice bytes = sink_slice(&out);
    int result = sse_decode(&decoder, &bytes, &again);
    assert(result == 1);
    assert(bytes.len == 0);
    assert(slice_eq(again.data, event->data));
    assert(slice_eq(again.id, event->id));
    sse_decoder_fini(&decoder);
    sink_fini(&out);
}

static void
check_block(const struct sse_event *event, size_t event_max)
{
    assert(slice_present(event->raw));
    assert(event->raw.len > 0);
    assert(event->raw.len <= event_max + 1);
    assert(event->dispatched == slice_present(event->data));
    assert(event->data.len <= event->raw.len);
    assert(event->retry_ms >= -1);
    assert(!has_line_break(event->type));
    assert(!has_line_break(event->id));
    assert(!has_line_break(event->comment));
    assert(event->data.len == 0 || !memchr(event->data.ptr, '\r', event->data.len));
    if (event->dispatched)
        check_round_trip(event);
}

/* A piece in memory of its own size, so that reading beyond it is seen. */
static char *
copy_piece(const uint8_t *bytes, size_t n)
{
    char *piece = malloc(n);
    assert(piece);
    memcpy(piece, bytes, n);
    return piece;
}

/* seed 0: whole; otherwise pieces whose lengths follow from the seed. */
static void
transcribe(const uint8_t *stream, size_t size, size_t event_max, unsigned seed, struct sink *out)
{
    struct sse_decoder decoder;
    struct sse_event event;
    int result = 0;
    unsigned random = seed;
    sse_decoder_init(&decoder, event_max);
    for (size_t at = 0; at < size && result >= 0;) {
        random = random * 1103515245u + 12345u;
        size_t n = seed == 0 ? size : 1 + (random >> 16) % (1 + seed % 13);
        if (n > size - at)
            n = size - at;
        char *piece = copy_piece(stream + at, n);
        struct slice bytes = slice_of(piece, n);
        while ((result = sse_decode(&decoder, &bytes, &event)) == 1) {
            check_block(&event, event_max);
            put_block(out, &event);
        }
        assert(result < 0 || bytes.len == 0);
        free(piece);
        at += n;
    }
    int end = sse_decode_end(&decoder, &event);
    if (end == 1) {
        check_block(&event, event_max);
        put_block(out, &event);
    }
    assert(result >= 0 || end == result);
    sink_i64(out, end);
    sse_decoder_fini(&decoder);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct sink whole, split;
    if (size < 2)
        return 0;
    size_t event_max = input[0] == 0 ? 1u << 20 : input[0];
    sink_init(&whole, 1u << 28);
    sink_init(&split, 1u << 28);
    transcribe(input + 2, size - 2, event_max, 0, &whole);
    transcribe(input + 2, size - 2, event_max, input[1] + 1u, &split);
    assert(whole.error == 0);
    assert(slice_eq(sink_slice(&whole), sink_slice(&split)));
    sink_fini(&whole);
    sink_fini(&split);
    return 0;
}
