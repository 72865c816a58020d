/* SPDX-License-Identifier: MIT
 *
 * fuzz_http_body.c - bodies: whole and split give the same payload, the same end and the same
 * left-over.
 *
 * Input: one byte of framing and role, one of length or ceiling, one that seeds the splits, then
 * bytes.
 */
#include "http/http.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

struct outcome {
    struct sink data;
    size_t used;
    int result, end;
    bool done;
};

static void
run(const uint8_t *input, size_t size, unsigned seed, struct outcome *outcome)
{
    static struct http_head head; /* large: not for the stack */
    static const enum http_framing framings[] = {HTTP_CHUNKED, HTTP_LENGTH, HTTP_UNTIL_CLOSE,
                                                 HTTP_NO_BODY};
    static const struct http_limits limits = {32, 96, 4};
    struct http_body body;
    struct slice data;
    unsigned random = seed;
    head.framing = framings[input[0] & 3];
    head.length = head.framing == HTTP_LENGTH ? input[1] & 63 : 0;
    enum http_role role =
        head.framing == HTTP_UNTIL_CLOSE || input[0] & 4 ? HTTP_FROM_UPSTREAM : HTTP_FROM_CLIENT;
    uint64_t max = input[0] & 8 ? UINT64_MAX : input[1];
    const uint8_t *bytes = input + 3;
    size -= 3;

    sink_init(&outcome->data, 1u << 24);
    outcome->used = 0;
    outcome->result = 0;
    http_body_init(&body, &head, role, max, &limits);
    while (outcome->used < size && outcome->result >= 0 && !http_body_done(&body)) {
        random = random * 1103515245u + 12345u;
        size_t n = seed == 0 ? size : 1 + (random >> 16) % (1 + seed % 13);
        if (n > size - outcome->used)
            n = size - outcome->used;
        char *piece = malloc(n);
        assert(piece);
        memcpy(piece, bytes + outcome->used, n);
        struct slice rest = slice_of(piece, n);
        while ((outcome->result = http_body_next(&body, &rest, &data)) == 1) {
            assert(data.len > 0);
            sink_put(&outcome->data, data);
        }
        assert(outcome->result < 0 || rest.len == 0 || http_body_done(&body));
        /* Where an error stands is the same however the input is cut, so it is compared too. */
        outcome->used += n - rest.len;
        free(piece);
    }
    outcome->done = http_body_done(&body);
    outcome->end = http_body_end(&body);
    assert(outcome->data.len == body.seen);
    assert(body.seen <= max);
    assert(outcome->result >= 0 || outcome->end == outcome->result);
    assert(!outcome->done || outcome->result == 0);
    assert(head.framing != HTTP_LENGTH || !outcome->done || body.seen == head.length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct outcome whole, split;
    if (size < 3)
        return 0;
    run(input, size, 0, &whole);
    run(input, size, input[2] + 1u, &split);
    assert(whole.data.error == 0);
    assert(slice_eq(sink_slice(&whole.data), sink_slice(&split.data)));
    assert(whole.used == split.used);
    assert(whole.result == split.result);
    assert(whole.end == split.end);
    assert(whole.done == split.done);
    sink_fini(&whole.data);
    sink_fini(&split.data);
    return 0;
}
