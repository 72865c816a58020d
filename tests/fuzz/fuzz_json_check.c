/* SPDX-License-Identifier: MIT
 *
 * fuzz_json_check.c - the incremental check says at the end of every piece what the scan says of
 * the text so far. The first byte chooses the pieces.
 */
#include "base/json.h"

#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 1 || len > 2000)
        return 0;
    uint32_t mix = bytes[0] * 2654435761u + 1;
    struct slice text = slice_of(bytes + 1, len - 1);
    struct json_check check;
    json_check_init(&check);
    for (size_t at = 0; at < text.len;) {
        mix = mix * 1664525u + 1013904223u;
        struct slice piece = slice_take(slice_skip(text, at), 1 + (mix >> 16) % (1 + bytes[0]));
        bool alive = json_check_feed(&check, piece);
        at += piece.len;

        struct json_scan scan;
        int error = json_scan(slice_take(text, at), 128, &scan);
        assert(alive == (error == 0 || scan.offset == at));
        assert(json_check_done(&check) == (error == 0));
    }
    return 0;
}
