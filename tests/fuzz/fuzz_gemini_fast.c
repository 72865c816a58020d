/* SPDX-License-Identifier: MIT
 *
 * fuzz_gemini_fast.c - two readers of one Gemini stream: one recognises chunks like the last, one parses
 * each. They must say the same, and fail alike. The offsets of its text are held against a walk
 * over the decoded text.
 */
#include "providers/gemini.h"
#include "sse/sse.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

struct side {
    struct arena arena, scratch;
    struct canon_events events;
    struct gemini_reader reader;
};

static void
open_side(struct side *side)
{
    arena_init(&side->arena, 16u << 20);
    arena_init(&side->scratch, 16u << 20);
    canon_events_init(&side->events, &side->scratch);
    gemini_reader_init(&side->reader, &side->arena);
}

static void
close_side(struct side *side)
{
    gemini_reader_fini(&side->reader);
    arena_fini(&side->scratch);
    arena_fini(&side->arena);
}

static void
must(bool good)
{
    if (!good)
        abort();
}

static void
must_agree(const struct canon_events *a, const struct canon_events *b)
{
    must(a->count == b->count && a->flaws == b->flaws && a->mends == b->mends &&
         a->rewrite == b->rewrite && a->swallow == b->swallow);
    for (int i = 0; i < a->count; i++) {
        const struct canon_event *one = &a->at[i], *two = &b->at[i];
        must(one->kind == two->kind && one->type == two->type && one->block == two->block &&
             one->choice == two->choice);
        must(slice_eq(one->text, two->text) && slice_eq(one->signature, two->signature) &&
             slice_eq(one->id, two->id));
        must(memcmp(&one->usage, &two->usage, sizeof(one->usage)) == 0 &&
             one->finish == two->finish);
    }
}

static void
clear(struct side *side)
{
    canon_events_clear(&side->events);
    arena_reset(&side->scratch);
}

static void
fuzz_stream(struct slice bytes)
{
    static struct side fast, slow;
    struct sse_decoder decoder;
    struct sse_event event;
    int error = 0;
    open_side(&fast);
    open_side(&slow);
    sse_decoder_init(&decoder, 1u << 20);
    while (error == 0 && sse_decode(&decoder, &bytes, &event) == 1) {
        if (!event.dispatched)
            continue;
        slow.reader.template.before = 0;
        error = gemini_read_event(&fast.reader, event.type, event.data, &fast.events);
        must(gemini_read_event(&slow.reader, event.type, event.data, &slow.events) == error);
        if (error == 0)
            must_agree(&fast.events, &slow.events);
        clear(&fast);
        clear(&slow);
    }
    if (error == 0) {
        error = gemini_read_end(&fast.reader, &fast.events);
        must(gemini_read_end(&slow.reader, &slow.events) == error);
        if (error == 0)
            must_agree(&fast.events, &slow.events);
    }
    sse_decoder_fini(&decoder);
    close_side(&fast);
    close_side(&slow);
}

/* Every place of a text, there and back. */
static void
fuzz_offsets(struct slice text)
{
    struct gemini_offsets offsets;
    struct json_scan scan;
    struct sink quoted, decoded;
    sink_init(&quoted, 1u << 20);
    sink_init(&decoded, 1u << 20);
    sink_printf(&quoted, "\"%.*s\"", SLICE_ARG(slice_take(text, 4096)));
    struct slice contents = slice_take(slice_skip(sink_slice(&quoted), 1), quoted.len - 2);
    if (json_scan(sink_slice(&quoted), 1, &scan) == 0) {
        struct unescape state = {0};
        gemini_offsets_init(&offsets);
        gemini_offsets_feed(&offsets, contents);
        unescape_put(&state, contents, &decoded);
        unescape_done(&state, &decoded);
        must(offsets.bytes + (offsets.high ? 3 : 0) == decoded.len);
        int64_t points = 0;
        for (size_t i = 0; i < offsets.bytes; i++) {
            if (((unsigned char)decoded.ptr[i] & 0xc0) == 0x80)
                continue;
            must(gemini_offsets_points(&offsets, (int64_t)i) == points);
            must(gemini_offsets_bytes(&offsets, points) == (int64_t)i);
            points++;
        }
        must(offsets.points == points &&
             gemini_offsets_points(&offsets, (int64_t)offsets.bytes + 1) == -1);
        gemini_offsets_fini(&offsets);
    }
    sink_fini(&quoted);
    sink_fini(&decoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 1)
        return 0;
    struct slice text = slice_of(bytes + 1, n - 1);
    if (bytes[0] & 1)
        fuzz_offsets(text);
    else
        fuzz_stream(text);
    return 0;
}
