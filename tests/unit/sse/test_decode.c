/* SPDX-License-Identifier: MIT
 *
 * test_decode.c - the SSE decoder against tables, against a plain reader of its own, and on
 * recordings.
 *
 * Everything is compared as a transcript: one line of text per block, errors and the end included.
 */
#include "sse/sse.h"

#include "tests/unit/splits.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TRANSCRIPT_MAX (64u << 20)
#define EVENT_MAX (4u << 20)

static void
write_value(struct sink *out, const char *name, struct slice value)
{
    if (!slice_present(value))
        return;
    sink_printf(out, " %s=[", name);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = (uint8_t)value.ptr[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '\\' && byte != '[' && byte != ']')
            sink_byte(out, (char)byte);
        else
            sink_printf(out, "\\%02x", byte);
    }
    sink_byte(out, ']');
}

static void
write_block(struct sink *out, const struct sse_event *event)
{
    sink_text(out, event->dispatched ? "event" : "block");
    if (event->unterminated)
        sink_text(out, " unterminated");
    write_value(out, "type", event->type);
    write_value(out, "data", event->data);
    write_value(out, "id", event->id);
    write_value(out, "comment", event->comment);
    if (event->retry_ms >= 0)
        sink_printf(out, " retry=%lld", (long long)event->retry_ms);
    write_value(out, "raw", event->raw);
    sink_byte(out, '\n');
}

/* Decode bytes cut in one way; the transcript goes to out. */
static void
transcribe(struct slice bytes, size_t event_max, unsigned how, struct sink *out)
{
    struct sse_decoder decoder;
    struct sse_event event;
    struct splits splits;
    struct slice piece;
    int result = 0;
    sse_decoder_init(&decoder, event_max);
    splits_begin(&splits, bytes, how);
    while (result >= 0 && splits_next(&splits, &piece)) {
        while ((result = sse_decode(&decoder, &piece, &event)) == 1)
            write_block(out, &event);
        if (result == 0)
            assert_int_equal(piece.len, 0);
    }
    splits_stop(&splits);
    int end = sse_decode_end(&decoder, &event);
    if (end == 1)
        write_block(out, &event);
    if (result < 0) {
        struct slice more = SLICE_LIT("data: x\n\n");
        assert_int_equal(end, result);
        assert_int_equal(sse_decode(&decoder, &more, &event), result);
        sink_printf(out, "%s\n", err_row(result)->name);
    } else {
        assert_int_equal(sse_decode_end(&decoder, &event), 0);
    }
    sse_decoder_fini(&decoder);
}

static void
check_transcripts(const struct sink *got, const struct sink *wanted, unsigned how)
{
    assert_int_equal(got->error, 0);
    if (slice_eq(sink_slice(got), sink_slice(wanted)))
        return;
    fprintf(stderr, "cut in way %u:\n%.*sbut wanted:\n%.*s", how, SLICE_ARG(sink_slice(got)),
            SLICE_ARG(sink_slice(wanted)));
    fail();
}

static void
check_all_ways(struct slice bytes, size_t event_max, const struct sink *wanted)
{
    struct sink got;
    sink_init(&got, TRANSCRIPT_MAX);
    for (unsigned how = 0; how < SPLITS_COUNT; how++) {
        sink_reset(&got, SIZE_MAX);
        transcribe(bytes, event_max, how, &got);
        check_transcripts(&got, wanted, how);
    }
    sink_fini(&got);
}

struct sample {
    struct slice bytes;
    const char *transcript;
};
#define WORD(text) SLICE_LIT(text)
#define SAMPLE(text, transcript)                                                                   \
    {                                                                                              \
        SLICE_LIT(text), transcript                                                                \
    }

static void
check_samples(const struct sample *samples, size_t count, size_t event_max)
{
    struct sink wanted;
    sink_init(&wanted, TRANSCRIPT_MAX);
    for (size_t i = 0; i < count; i++) {
        sink_reset(&wanted, SIZE_MAX);
        sink_text(&wanted, samples[i].transcript);
        check_all_ways(samples[i].bytes, event_max, &wanted);
    }
    sink_fini(&wanted);
}

static void
test_line_ends(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("", ""),
        SAMPLE("\n\n\r\n\r\r", ""),
        SAMPLE("data: a\n\n", "event data=[a] raw=[data: a\\0a\\0a]\n"),
        SAMPLE("data: a\r\n\r\n", "event data=[a] raw=[data: a\\0d\\0a\\0d\\0a]\n"),
        SAMPLE("data: a\r\r", "event data=[a] raw=[data: a\\0d\\0d]\n"),
        SAMPLE("data: a\r\r\n", "event data=[a] raw=[data: a\\0d\\0d]\n"),
        SAMPLE("data: a\n\r\n", "event data=[a] raw=[data: a\\0a\\0d\\0a]\n"),
        SAMPLE("data: a\r\n\n", "event data=[a] raw=[data: a\\0d\\0a\\0a]\n"),
        /* The empty line ends in CR and no LF follows: raw has one all the same, see sse.h. */
        SAMPLE("data: a\r\n\rdata: b\n\n", "event data=[a] raw=[data: a\\0d\\0a\\0d\\0a]\n"
                                           "event data=[b] raw=[data: b\\0a\\0a]\n"),
        SAMPLE("data: a\r\n\r", "event data=[a] raw=[data: a\\0d\\0a\\0d\\0a]\n"),
        SAMPLE("data: a\r\n\r\ndata: b\r\n\r\n", "event data=[a] raw=[data: a\\0d\\0a\\0d\\0a]\n"
                                                 "event data=[b] raw=[data: b\\0d\\0a\\0d\\0a]\n"),
        SAMPLE("data: a\rdata: b\ndata: c\r\n\n",
               "event data=[a\\0ab\\0ac] raw=[data: a\\0ddata: b\\0adata: c\\0d\\0a\\0a]\n"),
        SAMPLE("\r\n\r\ndata: a\n\n\n\n", "event data=[a] raw=[data: a\\0a\\0a]\n"),
    };
    (void)state;
    check_samples(samples, countof(samples), EVENT_MAX);
}

static void
test_fields(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("data:a\n\n", "event data=[a] raw=[data:a\\0a\\0a]\n"),
        SAMPLE("data:  a \n\n", "event data=[ a ] raw=[data:  a \\0a\\0a]\n"),
        SAMPLE("data:\ta\n\n", "event data=[\\09a] raw=[data:\\09a\\0a\\0a]\n"),
        SAMPLE("data\n\n", "event data=[] raw=[data\\0a\\0a]\n"),
        SAMPLE("data:\n\n", "event data=[] raw=[data:\\0a\\0a]\n"),
        SAMPLE("data\ndata\n\n", "event data=[\\0a] raw=[data\\0adata\\0a\\0a]\n"),
        SAMPLE("data: a: b\n\n", "event data=[a: b] raw=[data: a: b\\0a\\0a]\n"),
        SAMPLE("data : a\n\n", "block raw=[data : a\\0a\\0a]\n"),
        SAMPLE("Data: a\n\n", "block raw=[Data: a\\0a\\0a]\n"),
        SAMPLE(" data: a\n\n", "block raw=[ data: a\\0a\\0a]\n"),
        SAMPLE("dat: a\ndatax: b\n\n", "block raw=[dat: a\\0adatax: b\\0a\\0a]\n"),
        SAMPLE("event: x\n\n", "block type=[x] raw=[event: x\\0a\\0a]\n"),
        SAMPLE("event\n\n", "block type=[] raw=[event\\0a\\0a]\n"),
        SAMPLE("event: x\nevent: y\ndata: a\n\n",
               "event type=[y] data=[a] raw=[event: x\\0aevent: y\\0adata: a\\0a\\0a]\n"),
        SAMPLE("id: 7\ndata: a\n\nid\n\n", "event data=[a] id=[7] raw=[id: 7\\0adata: a\\0a\\0a]\n"
                                           "block id=[] raw=[id\\0a\\0a]\n"),
        SAMPLE("id: 7\0008\n\n", "block raw=[id: 7\\008\\0a\\0a]\n"),
        SAMPLE("id: 1\nid: \0\n\n", "block id=[1] raw=[id: 1\\0aid: \\00\\0a\\0a]\n"),
        SAMPLE("retry: 1500\n\n", "block retry=1500 raw=[retry: 1500\\0a\\0a]\n"),
        SAMPLE("retry: 0\n\n", "block retry=0 raw=[retry: 0\\0a\\0a]\n"),
        SAMPLE("retry: +5\n\n", "block raw=[retry: +5\\0a\\0a]\n"),
        SAMPLE("retry:  5\n\n", "block raw=[retry:  5\\0a\\0a]\n"),
        SAMPLE("retry\n\n", "block raw=[retry\\0a\\0a]\n"),
        SAMPLE("retry: 9223372036854775807\n\n",
               "block retry=9223372036854775807 raw=[retry: 9223372036854775807\\0a\\0a]\n"),
        SAMPLE("retry: 9223372036854775808\n\n",
               "block raw=[retry: 9223372036854775808\\0a\\0a]\n"),
        SAMPLE("retry: 18446744073709551621\n\n",
               "block raw=[retry: 18446744073709551621\\0a\\0a]\n"),
        SAMPLE("retry: 5\nretry: x\n\n", "block retry=5 raw=[retry: 5\\0aretry: x\\0a\\0a]\n"),
        SAMPLE(":\n\n", "block comment=[] raw=[:\\0a\\0a]\n"),
        SAMPLE(": ping\n: pong\n\n", "block comment=[ ping] raw=[: ping\\0a: pong\\0a\\0a]\n"),
        SAMPLE(":data: a\ndata: b\n\n",
               "event data=[b] comment=[data: a] raw=[:data: a\\0adata: b\\0a\\0a]\n"),
        SAMPLE("data: a\0b\n\n", "event data=[a\\00b] raw=[data: a\\00b\\0a\\0a]\n"),
        SAMPLE("data: \xF0\x9F\x98\x80\n\n",
               "event data=[\\f0\\9f\\98\\80] raw=[data: \\f0\\9f\\98\\80\\0a\\0a]\n"),
    };
    (void)state;
    check_samples(samples, countof(samples), EVENT_MAX);
}

static void
test_begin_and_end(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("\xEF\xBB\xBF", ""),
        SAMPLE("\xEF\xBB\xBF"
               "data: a\n\n",
               "event data=[a] raw=[data: a\\0a\\0a]\n"),
        SAMPLE("\xEF\xBB\xBF\xEF\xBB\xBF"
               "data: a\n\n",
               "block raw=[\\ef\\bb\\bfdata: a\\0a\\0a]\n"),
        SAMPLE("\n\xEF\xBB\xBF"
               "data: a\n\n",
               "block raw=[\\ef\\bb\\bfdata: a\\0a\\0a]\n"),
        SAMPLE("\xEF\xBB\ndata: a\n\n", "event data=[a] raw=[\\ef\\bb\\0adata: a\\0a\\0a]\n"),
        SAMPLE("\xEF\xBB", "block unterminated raw=[\\ef\\bb]\n"),
        SAMPLE("\xEF\n\n", "block raw=[\\ef\\0a\\0a]\n"),
        SAMPLE("data: [DONE]", "event unterminated data=[\\5bDONE\\5d] raw=[data: \\5bDONE\\5d]\n"),
        SAMPLE("data: a\n", "event unterminated data=[a] raw=[data: a\\0a]\n"),
        SAMPLE("data: a\r", "event unterminated data=[a] raw=[data: a\\0d]\n"),
        SAMPLE("data: a\r\n", "event unterminated data=[a] raw=[data: a\\0d\\0a]\n"),
        SAMPLE("data: a\ndata: b", "event unterminated data=[a\\0ab] raw=[data: a\\0adata: b]\n"),
        SAMPLE("data: a\n\nda", "event data=[a] raw=[data: a\\0a\\0a]\n"
                                "block unterminated raw=[da]\n"),
        SAMPLE(": ping", "block unterminated comment=[ ping] raw=[: ping]\n"),
    };
    (void)state;
    check_samples(samples, countof(samples), EVENT_MAX);
}

/* A block of exactly the limit passes; one byte more does not, however it arrives. */
static void
test_event_limit(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("data: 345678\n\n", "event data=[345678] raw=[data: 345678\\0a\\0a]\n"),
        SAMPLE("data: 3456789\n\n", "UPSTREAM_TOO_LARGE\n"),
        SAMPLE("data: 34567\r\n\r\n", "event data=[34567] raw=[data: 34567\\0d\\0a\\0d\\0a]\n"),
        SAMPLE("data: 345678\r\n\r\n", "UPSTREAM_TOO_LARGE\n"),
        SAMPLE("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\ndata: 345678\n\n",
               "event data=[345678] raw=[data: 345678\\0a\\0a]\n"),
        SAMPLE("data: a\n\ndata: 3456789abcdef", "event data=[a] raw=[data: a\\0a\\0a]\n"
                                                 "UPSTREAM_TOO_LARGE\n"),
        SAMPLE("data: 1\ndata: 2\ndata: 3\n\n", "UPSTREAM_TOO_LARGE\n"),
        SAMPLE("\xEF\xBB\xBF"
               "data: 345678\n\n",
               "event data=[345678] raw=[data: 345678\\0a\\0a]\n"),
    };
    (void)state;
    check_samples(samples, countof(samples), 14);
}

/* After a reset nothing of the old stream is left, not even its error. */
static void
test_reset(void **state)
{
    struct sse_decoder decoder;
    struct sse_event event;
    (void)state;
    sse_decoder_init(&decoder, 16);
    struct slice bytes = SLICE_LIT("event: aaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(sse_decode(&decoder, &bytes, &event), -ERR_UPSTREAM_TOO_LARGE);
    sse_decoder_reset(&decoder);
    bytes = SLICE_LIT("\xEF\xBB\xBFid: 1\r");
    assert_int_equal(sse_decode(&decoder, &bytes, &event), 0);
    sse_decoder_reset(&decoder);
    bytes = SLICE_LIT("\ndata: x\n\n");
    assert_int_equal(sse_decode(&decoder, &bytes, &event), 1);
    assert_true(slice_is(event.data, "x"));
    assert_false(slice_present(event.id));
    assert_true(slice_is(event.raw, "data: x\n\n"));
    assert_int_equal(sse_decode(&decoder, &bytes, &event), 0);
    assert_int_equal(sse_decode_end(&decoder, &event), 0);
    sse_decoder_fini(&decoder);
}

/* A block that lies whole in the input is given in place. */
static void
test_not_copied(void **state)
{
    static const char text[] = "event: a\ndata: b\n\ndata: c\r\n\r\n";
    struct sse_decoder decoder;
    struct sse_event event;
    struct slice bytes = slice_of(text, sizeof(text) - 1);
    (void)state;
    sse_decoder_init(&decoder, 1024);
    assert_int_equal(sse_decode(&decoder, &bytes, &event), 1);
    assert_ptr_equal(event.raw.ptr, text);
    assert_ptr_equal(event.type.ptr, text + 7);
    assert_ptr_equal(event.data.ptr, text + 15);
    assert_int_equal(sse_decode(&decoder, &bytes, &event), 1);
    assert_ptr_equal(event.raw.ptr, text + 18);
    assert_int_equal(event.raw.len, 11);
    assert_int_equal(bytes.len, 0);
    sse_decoder_fini(&decoder);
}

/* The event is there with the CR of its empty line: nobody waits for a byte that may never come. */
static void
test_cr_does_not_wait(void **state)
{
    struct sse_decoder decoder;
    struct sse_event event;
    struct slice bytes = SLICE_LIT("data: a\r\n\r");
    (void)state;
    sse_decoder_init(&decoder, 1024);
    assert_int_equal(sse_decode(&decoder, &bytes, &event), 1);
    assert_true(slice_is(event.data, "a"));
    bytes = SLICE_LIT("\n");
    assert_int_equal(sse_decode(&decoder, &bytes, &event), 0);
    assert_int_equal(sse_decode_end(&decoder, &event), 0);
    sse_decoder_fini(&decoder);
}

/*
 * The plain reader: whole input, one character at a time, written from the standard and sharing
 * nothing with the decoder but the shape of an event.
 */
struct plain_line {
    size_t at, len;
    int end; /* 'L', 'C' or 'B' for LF, CR, both; 0 at the end of input */
};

static size_t
plain_next_line(struct slice text, size_t at, struct plain_line *line)
{
    line->at = at;
    while (at < text.len && text.ptr[at] != '\r' && text.ptr[at] != '\n')
        at++;
    line->len = at - line->at;
    line->end = 0;
    if (at == text.len)
        return at;
    line->end = text.ptr[at] == '\n' ? 'L' : 'C';
    at++;
    if (line->end == 'C' && at < text.len && text.ptr[at] == '\n') {
        line->end = 'B';
        at++;
    }
    return at;
}

struct plain_block {
    struct sse_event event;
    struct sink data, raw;
    int lines, previous_end;
    size_t counted; /* bytes that count towards the limit */
};

static void
plain_clear(struct plain_block *block)
{
    sink_reset(&block->data, SIZE_MAX);
    sink_reset(&block->raw, SIZE_MAX);
    block->event = (struct sse_event){.retry_ms = -1};
    block->lines = block->previous_end = 0;
    block->counted = 0;
}

static void
plain_field(struct plain_block *block, struct slice name, struct slice value)
{
    if (value.len > 0 && value.ptr[0] == ' ')
        value = slice_skip(value, 1);
    if (slice_is(name, "data")) {
        if (block->event.dispatched)
            sink_byte(&block->data, '\n');
        sink_put(&block->data, value);
        block->event.dispatched = true;
    } else if (slice_is(name, "event")) {
        block->event.type = value;
    } else if (slice_is(name, "id")) {
        bool clean = true;
        for (size_t i = 0; i < value.len; i++)
            clean = clean && value.ptr[i] != 0;
        if (clean)
            block->event.id = value;
    } else if (slice_is(name, "retry") && value.len > 0 && value.len < 19) {
        int64_t retry_ms = 0;
        for (size_t i = 0; i < value.len && retry_ms >= 0; i++)
            retry_ms = value.ptr[i] >= '0' && value.ptr[i] <= '9'
                           ? retry_ms * 10 + (value.ptr[i] - '0')
                           : -1;
        if (retry_ms >= 0)
            block->event.retry_ms = retry_ms;
    }
}

static void
plain_line_of_block(struct plain_block *block, struct slice text, struct plain_line line)
{
    struct slice content = slice_of(text.ptr + line.at, line.len);
    static const char *const ends[] = {"", "\n", "\r", "\r\n"};
    const char *end = ends[line.end == 0 ? 0 : line.end == 'L' ? 1 : line.end == 'C' ? 2 : 3];
    block->lines++;
    block->previous_end = line.end;
    sink_put(&block->raw, content);
    sink_text(&block->raw, end);
    block->counted += line.len + strlen(end);
    size_t colon = 0;
    while (colon < content.len && content.ptr[colon] != ':')
        colon++;
    if (content.len > 0 && colon == 0) {
        if (!slice_present(block->event.comment))
            block->event.comment = slice_skip(content, 1);
    } else {
        plain_field(block, slice_take(content, colon), slice_skip(content, colon + 1));
    }
}

static void
plain_give(struct plain_block *block, struct sink *out)
{
    if (block->event.dispatched)
        block->event.data = sink_slice(&block->data);
    block->event.raw = sink_slice(&block->raw);
    write_block(out, &block->event);
    plain_clear(block);
}

static void
plain_transcribe(struct slice text, size_t event_max, struct sink *out)
{
    struct plain_block block;
    struct plain_line line;
    sink_init(&block.data, TRANSCRIPT_MAX);
    sink_init(&block.raw, TRANSCRIPT_MAX);
    plain_clear(&block);
    if (slice_starts(text, SLICE_LIT("\xEF\xBB\xBF")))
        text = slice_skip(text, 3);
    for (size_t at = 0; at < text.len && block.counted <= event_max;) {
        at = plain_next_line(text, at, &line);
        bool empty = line.len == 0 && line.end != 0;
        if (empty && block.lines == 0)
            continue;
        if (!empty) {
            plain_line_of_block(&block, text, line);
            continue;
        }
        block.counted++;
        if (block.counted > event_max)
            break;
        bool lone_cr = block.previous_end == 'C';
        sink_text(&block.raw, line.end == 'L' ? "\n" : lone_cr ? "\r" : "\r\n");
        plain_give(&block, out);
    }
    if (block.counted > event_max) {
        sink_text(out, "UPSTREAM_TOO_LARGE\n");
    } else if (block.lines > 0) {
        block.event.unterminated = true;
        plain_give(&block, out);
    }
    sink_fini(&block.data);
    sink_fini(&block.raw);
}

static void
random_stream(uint64_t *random, struct sink *out)
{
    /* clang-format off */
    static const struct slice words[] = {
        WORD("data"), WORD("data:"), WORD("data: "), WORD("data: x"), WORD("event:"),
        WORD("event: e"), WORD("id: "), WORD("id:7"), WORD("retry: 10"), WORD("retry:x"),
        WORD(":"), WORD(": c"), WORD(" "), WORD("\t"), WORD("\0"), WORD("\n"), WORD("\n"),
        WORD("\n"), WORD("\n\n"), WORD("\r\n"), WORD("\r\n"), WORD("\r\n\r\n"), WORD("\r"),
        WORD("\r"), WORD("\r\r"), WORD("\xEF\xBB\xBF"), WORD("\xEF"), WORD("\xEF\xBB"),
        WORD("abcdefghijklmnopqrstuvwxyz"), WORD("\xF0\x9F\x98\x80"),
        WORD("{\"a\":\"0123456789abcdef0123456789abcdef0123456789abcdef\"}"),
    };
    /* clang-format on */
    size_t count = splits_random(random) % 40;
    for (size_t i = 0; i < count; i++)
        sink_put(out, words[splits_random(random) % countof(words)]);
}

static void
test_against_plain_reader(void **state)
{
    struct sink input, wanted;
    uint64_t random = 20260801;
    (void)state;
    sink_init(&input, TRANSCRIPT_MAX);
    sink_init(&wanted, TRANSCRIPT_MAX);
    for (int round = 0; round < 20000; round++) {
        size_t event_max = round % 3 ? EVENT_MAX : 16 + splits_random(&random) % 48;
        sink_reset(&input, SIZE_MAX);
        sink_reset(&wanted, SIZE_MAX);
        random_stream(&random, &input);
        plain_transcribe(sink_slice(&input), event_max, &wanted);
        check_all_ways(sink_slice(&input), event_max, &wanted);
    }
    sink_fini(&input);
    sink_fini(&wanted);
}

/* What a relay writes is what came: all raws together are the stream, if it keeps to one kind of
 * line end. */
static void
test_raw_is_the_stream(void **state)
{
    static const struct slice streams[] = {
        SLICE_LIT("data: a\n\nevent: b\ndata: c\n\n: d\n\n"),
        SLICE_LIT("data: a\r\n\r\nevent: b\r\ndata: c\r\n\r\n: d\r\n\r\n"),
        SLICE_LIT("data: a\r\revent: b\rdata: c\r\r: d\r\r"),
    };
    (void)state;
    for (size_t i = 0; i < countof(streams); i++) {
        for (unsigned how = 0; how < SPLITS_COUNT; how++) {
            struct sse_decoder decoder;
            struct sse_event event;
            struct splits splits;
            struct slice piece;
            struct sink raws;
            sse_decoder_init(&decoder, 1024);
            sink_init(&raws, 1024);
            splits_begin(&splits, streams[i], how);
            while (splits_next(&splits, &piece)) {
                while (sse_decode(&decoder, &piece, &event) == 1)
                    sink_put(&raws, event.raw);
            }
            assert_int_equal(raws.len, streams[i].len);
            assert_memory_equal(raws.ptr, streams[i].ptr, raws.len);
            sink_fini(&raws);
            sse_decoder_fini(&decoder);
        }
    }
}

static bool
read_file(int folder, const char *name, struct sink *out)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!file)
        return false;
    char block[65536];
    size_t n;
    while ((n = fread(block, 1, sizeof(block), file)) > 0)
        sink_put(out, slice_of(block, n));
    fclose(file);
    return out->error == 0;
}

/* Every recorded stream of one provider; returns how many there were. */
static size_t
replay_folder(int root, const char *path)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    size_t count = 0;
    struct sink input, wanted;
    if (!folder)
        return 0;
    sink_init(&input, TRANSCRIPT_MAX);
    sink_init(&wanted, TRANSCRIPT_MAX);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!slice_ends(slice_from(entry->d_name), SLICE_LIT(".sse")))
            continue;
        sink_reset(&input, SIZE_MAX);
        sink_reset(&wanted, SIZE_MAX);
        assert_true(read_file(dirfd(folder), entry->d_name, &input));
        plain_transcribe(sink_slice(&input), EVENT_MAX, &wanted);
        assert_true(wanted.len > 0);
        check_all_ways(sink_slice(&input), EVENT_MAX, &wanted);
        count++;
    }
    closedir(folder);
    sink_fini(&input);
    sink_fini(&wanted);
    return count;
}

static void
test_recordings(void **state)
{
    const char *root = getenv("PENSTOCK_RECORDINGS");
    DIR *folder = opendir(root ? root : "../shared/recordings");
    size_t count = 0;
    (void)state;
    if (!folder) {
        printf("no recordings beside the repository: nothing replayed\n");
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] != '.')
            count += replay_folder(dirfd(folder), entry->d_name);
    }
    closedir(folder);
    printf("recordings: %zu streams\n", count);
    assert_true(count > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_begin_and_end),
        cmocka_unit_test(test_event_limit),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_not_copied),
        cmocka_unit_test(test_cr_does_not_wait),
        cmocka_unit_test(test_raw_is_the_stream),
        cmocka_unit_test(test_against_plain_reader),
        cmocka_unit_test(test_recordings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
