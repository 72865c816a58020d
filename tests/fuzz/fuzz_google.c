/* SPDX-License-Identifier: MIT
 *
 * fuzz_google.c - Google's credentials and the replies of its token endpoint: whatever they say, a
 * key goes to Google only, and a token can stand in a header field.
 *
 * Input: a byte of choices (a reply or credentials; the status), then JSON.
 */
#include "gateway/google.h"
#include "tests/fuzz/fuzz.h"

static void
fuzz_credentials(struct slice text, struct arena *arena, struct sink *problem)
{
    struct google_credentials credentials;
    struct google_request request;
    int error = google_read_credentials(text, SLICE_LIT("metadata"), arena, &credentials, problem);
    assert((error != 0) == (problem->len > 0));
    if (error != 0)
        return;
    assert(google_may_ask(credentials.token_url));
    error = google_token_request(&credentials, 1700000000, arena, &request, problem);
    if (error == 0)
        for (size_t i = 0; i < request.body.len; i++)
            assert(request.body.ptr[i] > ' ' && request.body.ptr[i] <= '~');
}

static void
fuzz_token(struct slice text, int status, struct arena *arena, struct sink *problem)
{
    struct slice token = SLICE_NONE;
    uint64_t lifetime_s = 0;
    int error = google_read_token(status, text, arena, &token, &lifetime_s, problem);
    assert((error != 0) == (problem->len > 0));
    if (error != 0)
        return;
    assert(status == 200 && lifetime_s > 0 && token.len > 0);
    for (size_t i = 0; i < token.len; i++)
        assert(token.ptr[i] > ' ' && token.ptr[i] <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 1 || n > 16384)
        return 0;
    struct slice text = slice_of(bytes + 1, n - 1);
    struct arena arena;
    struct sink problem;
    arena_init(&arena, 1u << 20);
    sink_init(&problem, 65536);
    (void)google_may_ask(text);
    if (bytes[0] & 1)
        fuzz_token(text, bytes[0] & 2 ? 400 : 200, &arena, &problem);
    else
        fuzz_credentials(text, &arena, &problem);
    sink_fini(&problem);
    arena_fini(&arena);
    return 0;
}
