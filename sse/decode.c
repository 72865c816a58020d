/* SPDX-License-Identifier: MIT
 *
 * decode.c - bytes to blocks of server-sent events.
 *
 * A block is first looked for in the caller's run, where it mostly lies whole; fields are
 * remembered as offsets from the block's start. If the run ends early, its part of the block is
 * copied to the sink and every further line follows it there. Either way the block is contiguous
 * when a line of it ends.
 */
#include "sse/sse.h"

#include "sse/line.h"

#define BLOCK_KEEP_BYTES 16384 /* memory a decoder keeps between blocks */
#define EVENT_BYTES_MAX (UINT32_MAX / 2) /* so that any place in a block fits into 32 bits */

/* One call's view of the input. */
struct run {
    const char *from; /* first byte that is not in the decoder's sink yet */
    const char *at;   /* first unread byte */
    const char *end;
};

static void
forget_block(struct sse_decoder *decoder)
{
    sink_reset(&decoder->block, BLOCK_KEEP_BYTES);
    sink_reset(&decoder->joined, BLOCK_KEEP_BYTES);
    decoder->type.present = decoder->data.present = false;
    decoder->id.present = decoder->comment.present = false;
    decoder->data_lines = 0;
    decoder->retry_ms = -1;
    decoder->line_len = 0;
    decoder->taken = false;
}

void
sse_decoder_init(struct sse_decoder *decoder, size_t event_max)
{
    assert(event_max > 0);
    if (event_max > EVENT_BYTES_MAX)
        event_max = EVENT_BYTES_MAX;
    *decoder = (struct sse_decoder){.event_max = (uint32_t)event_max};
    /* Some bytes more than a block: an LF that is added to raw, a BOM that is not one after all. */
    sink_init(&decoder->block, event_max + 4);
    sink_init(&decoder->joined, event_max + 4);
    forget_block(decoder);
}

void
sse_decoder_fini(struct sse_decoder *decoder)
{
    sink_fini(&decoder->block);
    sink_fini(&decoder->joined);
}

void
sse_decoder_reset(struct sse_decoder *decoder)
{
    forget_block(decoder);
    decoder->started = decoder->skip_lf = decoder->lone_cr = false;
    decoder->error = 0;
}

static int
fail(struct sse_decoder *decoder, int error)
{
    assert(error < 0);
    decoder->error = error;
    return error;
}

/* The block's bytes so far: in the sink once it has been gathered, else in the run. */
static const char *
block_start(const struct sse_decoder *decoder, const struct run *run)
{
    return decoder->block.len > 0 ? decoder->block.ptr : run->from;
}

static size_t
block_len(const struct sse_decoder *decoder, const struct run *run)
{
    return decoder->block.len + (size_t)(run->at - run->from);
}

/* Copy what was read of the run behind what was gathered before. */
static int
gather(struct sse_decoder *decoder, struct run *run)
{
    if (block_len(decoder, run) > decoder->event_max)
        return fail(decoder, -ERR_UPSTREAM_TOO_LARGE);
    sink_put(&decoder->block, slice_of(run->from, (size_t)(run->at - run->from)));
    run->from = run->at;
    return decoder->block.error ? fail(decoder, -ERR_MEMORY) : 0;
}

/* ASCII digits only; what does not fit in 63 bits is as invalid as a letter. */
static int64_t
retry_value(struct slice digits, int64_t otherwise)
{
    uint64_t value = 0;
    if (digits.len == 0)
        return otherwise;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned char)digits.ptr[i] - (unsigned)'0';
        if (digit > 9 || value > ((uint64_t)INT64_MAX - digit) / 10)
            return otherwise;
        value = value * 10 + digit;
    }
    return (int64_t)value;
}

/* The first data line is only remembered; from the second on they are joined in a sink. */
static void
add_data(struct sse_decoder *decoder, const char *block, struct sse_span value)
{
    if (decoder->data_lines++ == 0) {
        decoder->data = value;
        return;
    }
    if (decoder->data_lines == 2)
        sink_put(&decoder->joined, slice_of(block + decoder->data.at, decoder->data.len));
    sink_byte(&decoder->joined, '\n');
    sink_put(&decoder->joined, slice_of(block + value.at, value.len));
}

static bool
name_is(const char *line, size_t name_len, const char *name, size_t len)
{
    return name_len == len && memcmp(line, name, len) == 0;
}

/* read_line - one line that is not empty; at is its offset in the block. */
static void
read_line(struct sse_decoder *decoder, const char *block, size_t at, size_t len)
{
    assert(len > 0);
    const char *line = block + at;
    const char *colon;
    /* Nearly every line is a data line, whose colon is known to stand at 4. */
    if (len > 4 && memcmp(line, "data:", 5) == 0)
        colon = line + 4;
    else
        colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : len;
    size_t skip = colon ? name_len + 1 : len;
    struct sse_span value = {at + skip, len - skip, true};
    if (name_len == 0) {
        if (!decoder->comment.present)
            decoder->comment = value;
        return;
    }
    if (value.len > 0 && block[value.at] == ' ') {
        value.at++;
        value.len--;
    }
    if (name_is(line, name_len, "data", 4))
        add_data(decoder, block, value);
    else if (name_is(line, name_len, "event", 5))
        decoder->type = value;
    else if (name_is(line, name_len, "id", 2)) {
        if (!memchr(block + value.at, '\0', value.len))
            decoder->id = value;
    } else if (name_is(line, name_len, "retry", 5))
        decoder->retry_ms = retry_value(slice_of(block + value.at, value.len), decoder->retry_ms);
}

static struct slice
span_slice(const char *block, struct sse_span span)
{
    return span.present ? slice_of(block + span.at, span.len) : SLICE_NONE;
}

/* give - hand out the block [block, block + len). */
static int
give(struct sse_decoder *decoder, struct slice block, bool unterminated, struct sse_event *event)
{
    assert(!decoder->taken);
    assert(slice_present(block));
    if (decoder->joined.error)
        return fail(decoder, -ERR_MEMORY);
    event->type = span_slice(block.ptr, decoder->type);
    event->data = decoder->data_lines > 1 ? sink_slice(&decoder->joined)
                                          : span_slice(block.ptr, decoder->data);
    event->id = span_slice(block.ptr, decoder->id);
    event->comment = span_slice(block.ptr, decoder->comment);
    event->raw = block;
    event->retry_ms = decoder->retry_ms;
    event->dispatched = decoder->data_lines > 0;
    event->unterminated = unterminated;
    decoder->taken = true;
    return 1;
}

/*
 * end_block - the empty line was just read (run->at stands behind its CR or LF).
 * cr: it ended in CR. Its LF is part of raw (see sse.h) and may be in the run, come later, or
 * never.
 */
static int
end_block(struct sse_decoder *decoder, struct run *run, bool cr, struct sse_event *event)
{
    if (block_len(decoder, run) > decoder->event_max)
        return fail(decoder, -ERR_UPSTREAM_TOO_LARGE);
    bool add_lf = cr && !decoder->lone_cr;
    decoder->skip_lf = cr;
    decoder->lone_cr = false;
    if (add_lf && run->at < run->end && *run->at == '\n') {
        run->at++;
        decoder->skip_lf = add_lf = false;
    }
    if (decoder->block.len > 0 || add_lf) {
        sink_put(&decoder->block, slice_of(run->from, (size_t)(run->at - run->from)));
        if (add_lf)
            sink_byte(&decoder->block, '\n');
        if (decoder->block.error)
            return fail(decoder, -ERR_MEMORY);
        return give(decoder, sink_slice(&decoder->block), false, event);
    }
    return give(decoder, slice_of(run->from, (size_t)(run->at - run->from)), false, event);
}

/*
 * skip_bom - is the beginning of the stream a BOM? Up to two bytes of one are held back in the
 * block, and stay there if the third is another. returns true when that is decided
 */
static bool
skip_bom(struct sse_decoder *decoder, struct run *run)
{
    static const char bom[] = "\xEF\xBB\xBF";
    while (run->at < run->end) {
        if (*run->at != bom[decoder->line_len]) {
            decoder->started = true;
            return true;
        }
        run->at++;
        if (++decoder->line_len == 3) {
            decoder->line_len = 0;
            sink_reset(&decoder->block, BLOCK_KEEP_BYTES);
            run->from = run->at;
            decoder->started = true;
            return true;
        }
    }
    return false;
}

/* The LF behind a CR: part of the block if the CR ended a line of it, of nothing if it ended a
 * block. */
static void
swallow_lf(struct sse_decoder *decoder, struct run *run)
{
    decoder->skip_lf = false;
    if (*run->at != '\n')
        return;
    bool in_block = block_len(decoder, run) > 0;
    run->at++;
    decoder->lone_cr = false;
    if (!in_block)
        run->from = run->at;
}

/* read_run - lines until a block ends or the run does. 1, 0 or an error, as sse_decode. */
static int
read_run(struct sse_decoder *decoder, struct run *run, struct sse_event *event)
{
    while (run->at < run->end) {
        if (decoder->skip_lf) {
            swallow_lf(decoder, run);
            continue;
        }
        const char *stop = sse_line_end(run->at, run->end);
        decoder->line_len += (size_t)(stop - run->at);
        run->at = stop;
        if (stop == run->end)
            break;
        bool cr = *stop == '\r';
        size_t line_len = decoder->line_len;
        size_t line_at = block_len(decoder, run) - line_len;
        run->at++;
        if (line_len == 0 && line_at > 0)
            return end_block(decoder, run, cr, event);
        decoder->skip_lf = decoder->lone_cr = cr;
        decoder->line_len = 0;
        if (line_len == 0) {
            run->from = run->at; /* an empty line between blocks */
            continue;
        }
        if (decoder->block.len > 0 && gather(decoder, run) < 0)
            return decoder->error;
        read_line(decoder, block_start(decoder, run), line_at, line_len);
    }
    return gather(decoder, run);
}

int
sse_decode(struct sse_decoder *decoder, struct slice *bytes, struct sse_event *event)
{
    if (decoder->error)
        return decoder->error;
    if (decoder->taken)
        forget_block(decoder);
    if (bytes->len == 0)
        return 0;
    struct run run = {bytes->ptr, bytes->ptr, bytes->ptr + bytes->len};
    int result;
    if (!decoder->started && !skip_bom(decoder, &run)) {
        /* Held back outside the limit, since it counts only if it turns out to be no BOM. */
        sink_put(&decoder->block, slice_of(run.from, (size_t)(run.at - run.from)));
        result = decoder->block.error ? fail(decoder, -ERR_MEMORY) : 0;
    } else
        result = read_run(decoder, &run, event);
    *bytes = slice_of(run.at, (size_t)(run.end - run.at));
    assert(result != 0 || bytes->len == 0);
    return result;
}

int
sse_decode_end(struct sse_decoder *decoder, struct sse_event *event)
{
    if (decoder->error)
        return decoder->error;
    if (decoder->taken)
        forget_block(decoder);
    if (decoder->block.len == 0)
        return 0;
    struct slice block = sink_slice(&decoder->block);
    size_t line_len = decoder->line_len;
    assert(line_len <= block.len);
    if (line_len > 0)
        read_line(decoder, block.ptr, block.len - line_len, line_len);
    decoder->line_len = 0;
    return give(decoder, block, true, event);
}
