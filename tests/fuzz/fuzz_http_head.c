/* SPDX-License-Identifier: MIT
 *
 * fuzz_http_head.c - heads of requests and replies: whole and split say the same, and what is
 * accepted keeps the promises of http.h.
 *
 * Input: one byte of choices (reply, to HEAD, narrow limits), one byte that seeds the splits, then
 * bytes.
 */
#include "http/http.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <strings.h>

enum { CHOICE_REPLY = 1, CHOICE_TO_HEAD = 2, CHOICE_NARROW = 4 };

static void
put_value(struct sink *out, struct slice value)
{
    sink_byte(out, slice_present(value) ? '+' : '-');
    sink_u64(out, value.len);
    sink_byte(out, ':');
    sink_put(out, value);
}

static void
check_head(const struct http_head *head, const struct http_limits *limits, bool reply)
{
    assert(head->field_count <= limits->fields_max);
    assert(head->minor == 0 || head->minor == 1);
    assert(head->framing == HTTP_LENGTH || head->length == 0);
    assert(head->framing != HTTP_UNTIL_CLOSE || (reply && !head->keep_alive));
    assert(head->minor == 1 || head->framing != HTTP_CHUNKED);
    size_t lengths = 0, codings = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        struct slice name = head->fields[i].name, value = head->fields[i].value;
        assert(name.len > 0);
        assert(http_value_clean(name));
        assert(http_value_clean(value));
        assert(slice_present(http_field(head, "Content-Length")) || head->framing != HTTP_LENGTH);
        assert(value.len == 0 || (value.ptr[0] != ' ' && value.ptr[value.len - 1] != ' '));
        lengths += name.len == 14 && strncasecmp(name.ptr, "content-length", 14) == 0;
        codings += name.len == 17 && strncasecmp(name.ptr, "transfer-encoding", 17) == 0;
        (void)http_is_hop_by_hop(head, name);
    }
    assert(lengths + codings <= 1);
    if (reply) {
        assert(head->status >= 100);
        assert(head->status <= 599);
        return;
    }
    assert(head->framing == HTTP_CHUNKED || codings == 0);
    assert(head->path.len > 0);
    assert(head->path.ptr[0] == '/' || slice_is(head->path, "*"));
    assert(!memchr(head->path.ptr, '?', head->path.len));
    assert(head->minor == 0 || head->host.len > 0);
}

static void
put_head(struct sink *out, const struct http_head *head)
{
    const struct slice values[] = {head->method_text, head->target, head->path,
                                   head->query,       head->host,   head->reason};
    for (size_t i = 0; i < countof(values); i++)
        put_value(out, values[i]);
    const int64_t numbers[] = {head->method,  head->expect_continue, head->status,    head->minor,
                               head->framing, (int64_t)head->length, head->keep_alive};
    for (size_t i = 0; i < countof(numbers); i++) {
        sink_i64(out, numbers[i]);
        sink_byte(out, ' ');
    }
    for (size_t i = 0; i < head->field_count; i++) {
        put_value(out, head->fields[i].name);
        put_value(out, head->fields[i].value);
    }
}

/* Heads one after the other, as on a connection, until an error or the end. */
static void
transcribe(const uint8_t *bytes, size_t size, unsigned choices, unsigned seed, struct sink *out)
{
    static struct http_head head; /* large: not for the stack */
    struct http_limits limits = {8192, 65536, HTTP_FIELDS_MAX};
    struct http_reader reader;
    int result = 0;
    unsigned random = seed;
    bool reply = choices & CHOICE_REPLY;
    if (choices & CHOICE_NARROW)
        limits = (struct http_limits){24, 96, 4};
    http_reader_init(&reader, &limits);
    for (size_t at = 0; at < size && result >= 0;) {
        random = random * 1103515245u + 12345u;
        size_t n = seed == 0 ? size : 1 + (random >> 16) % (1 + seed % 13);
        if (n > size - at)
            n = size - at;
        char *piece = malloc(n);
        assert(piece);
        memcpy(piece, bytes + at, n);
        struct slice rest = slice_of(piece, n);
        while ((result = http_head_feed(&reader, &rest)) == 1) {
            result = reply ? http_parse_reply(&reader, choices & CHOICE_TO_HEAD, &head)
                           : http_parse_request(&reader, &head);
            if (result < 0)
                break;
            check_head(&head, &limits, reply);
            put_head(out, &head);
            http_reader_reset(&reader);
        }
        assert(result < 0 || rest.len == 0);
        free(piece);
        at += n;
    }
    sink_i64(out, result);
    http_reader_fini(&reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct sink whole, split;
    if (size < 2)
        return 0;
    sink_init(&whole, 1u << 28);
    sink_init(&split, 1u << 28);
    transcribe(input + 2, size - 2, input[0], 0, &whole);
    transcribe(input + 2, size - 2, input[0], input[1] + 1u, &split);
    assert(whole.error == 0);
    assert(slice_eq(sink_slice(&whole), sink_slice(&split)));
    sink_fini(&whole);
    sink_fini(&split);
    return 0;
}
