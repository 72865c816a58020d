/* SPDX-License-Identifier: MIT
 *
 * fuzz_form.c - multipart forms: what is found lies in the body and holds no boundary.
 *
 * Input: the Content-Type, a line end, the body.
 */
#include "gateway/form.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct slice body = slice_of(bytes, n), found = SLICE_NONE;
    struct slice type = text_split(&body, '\n');
    if (!slice_present(body))
        return 0;
    int error = form_find(body, type, "model", &found);
    assert(error == 0 || error == -ERR_REQUEST);
    if (error == 0 && slice_present(found))
        assert(found.ptr >= body.ptr && found.ptr + found.len <= body.ptr + body.len);
    return 0;
}
