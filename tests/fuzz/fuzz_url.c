/* SPDX-License-Identifier: MIT
 *
 * fuzz_url.c - addresses: of upstreams (configuration), of what is fetched, and the query of a
 * request's target. What is accepted may stand in a request line and a Host field.
 *
 * Input: a byte of choices, then the text.
 */
#include "gateway/config_internal.h"
#include "gateway/endpoint.h"
#include "gateway/fetch.h"
#include "tests/fuzz/fuzz.h"

/* No byte that could end a field or a request line. */
static void
must_be_plain(struct slice text)
{
    assert(slice_present(text));
    for (size_t i = 0; i < text.len; i++)
        assert(text.ptr[i] > ' ' && text.ptr[i] <= '~');
}

static void
fuzz_base(struct slice text, uint8_t choice, struct arena *arena)
{
    struct config_deployment out = {.dialect = (enum config_dialect)(choice & 3),
                                    .provider = choice & 4 ? SLICE_LIT("ollama") : SLICE_LIT("openai")};
    if (config_url(arena, text, &out) != NULL)
        return;
    assert(out.host.len > 0 && out.host.len < 256);
    assert(out.port > 0);
    assert(!memchr(out.host.ptr, '/', out.host.len) && !memchr(out.host.ptr, '@', out.host.len));
    must_be_plain(out.host);
    must_be_plain(out.host_header);
    config_base_path(arena, choice & 8, &out);
    must_be_plain(out.base_path);
    assert(out.base_path.len == 0 || out.base_path.ptr[0] == '/');
    assert(!slice_ends(out.base_path, SLICE_LIT("/")));
}

static void
fuzz_fetched(struct slice text)
{
    struct fetch_url url;
    (void)fetch_is_public(text);
    if (!fetch_read_url(text, &url))
        return;
    assert(text.len <= 8192 && url.host.len > 0 && url.port > 0);
    must_be_plain(url.host);
    must_be_plain(url.authority);
    must_be_plain(url.target);
    assert(url.target.ptr[0] == '/' || url.target.ptr[0] == '?');
    assert(!memchr(url.authority.ptr, '@', url.authority.len));
    assert(!memchr(url.target.ptr, '#', url.target.len));
}

static void
fuzz_query(struct slice text, struct arena *arena)
{
    static const char *const names[] = {"key", "alt", NULL};
    struct sink out;
    sink_init(&out, 1u << 20);
    (void)endpoint_query(text, "alt", arena);
    endpoint_clean_query(text, names, &out);
    struct slice clean = sink_slice(&out);
    assert(clean.len <= text.len + 1);
    assert(clean.len == 0 || clean.ptr[0] == '?');
    if (clean.len > 0) {
        struct sink again; /* nothing is left to be cleaned */
        sink_init(&again, 1u << 20);
        struct slice left = endpoint_query(slice_skip(clean, 1), "key", arena);
        endpoint_clean_query(slice_skip(clean, 1), names, &again);
        assert(!slice_present(left));
        assert(slice_eq(sink_slice(&again), clean));
        sink_fini(&again);
    }
    sink_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 1 || n > 16384)
        return 0;
    struct slice text = slice_of(bytes + 1, n - 1);
    struct arena arena;
    arena_init(&arena, 1u << 20);
    fuzz_base(text, bytes[0], &arena);
    fuzz_fetched(text);
    fuzz_query(text, &arena);
    arena_fini(&arena);
    return 0;
}
