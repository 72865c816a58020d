/* SPDX-License-Identifier: MIT
 *
 * fuzz_shape.c - requests of any dialect as an operator's rules want them: what is shaped is still
 * written as JSON by every dialect, and the client's own request is what it was.
 *
 * Input: a byte of rules, one of more rules and the client's dialect, then the request.
 */
#include "providers/dialect.h"
#include "providers/shape.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static struct shape_rules
rules_of(uint8_t a, uint8_t b)
{
    return (struct shape_rules){
        .models = a & 1 ? SLICE_LIT("[\"m*\"]") : SLICE_NONE,
        .system_prompt = a & 2 ? SLICE_LIT("Be \"brief\".\n") : SLICE_NONE,
        .system_append = a & 4,
        .user_suffix = a & 8 ? SLICE_LIT(" /no_think") : SLICE_NONE,
        .filter = (enum shape_filter)((a >> 4) % (FILTER_AUTO + 1)),
        .stub_letters = b & 8 ? 12 : 0,
        .simple_schemas = b & 16,
        .sort_tools = b & 32,
        .allow_tools = b & 64 ? SLICE_LIT("[\"get*\",\"f\"]") : SLICE_NONE,
        .truncate = b & 128,
        .context_tokens = b & 128 ? 40 : 0,
        .reserve_tokens = a & 1 ? 8 : 0,
        .keep_messages = a & 2 ? 2 : 1,
        .cache = a & 128,
        .cache_tokens = 1,
    };
}

static void
write_all(const struct canon_request *request, struct sink *out)
{
    const struct dialect_upstream upstream = {.model = SLICE_LIT("m"), .keeps_state = true,
                                              .max_output_tokens = 100, .url_media = true};
    for (int to = 0; to < DIALECT_OPENAI_TEXT; to++) {
        struct canon_report report = {0};
        struct canon_fault fault = {0};
        struct json_scan scan;
        struct sink text;
        sink_init(&text, 16u << 20);
        int error = dialect_of((enum dialect_id)to)->write_request(request, &upstream, &text, &report, &fault);
        if (error == 0 && json_scan(sink_slice(&text), 200, &scan) != 0)
            abort();
        sink_i64(out, error);
        if (error == 0)
            sink_put(out, sink_slice(&text));
        sink_fini(&text);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2 || n > 32768)
        return 0;
    const struct dialect *client = dialect_of((enum dialect_id)((bytes[1] & 7) % DIALECT_COUNT));
    struct shape_rules rules = rules_of(bytes[0], bytes[1]);
    struct arena arena;
    struct canon_fault fault = {0};
    struct canon_request request = {.body = slice_of(bytes + 2, n - 2), .arena = &arena,
                                    .model = SLICE_LIT("m")}, shaped;
    struct shape_notes notes = {0};
    arena_init(&arena, 16u << 20);
    if (json_parse(request.body, 64, 1u << 16, &arena, &request.root) == 0 &&
        client->outline(&request, &fault) == 0 && client->read_request(&request, &fault) == 0 &&
        shape_applies(&rules, SLICE_LIT("mistral"))) {
        struct sink before, after, other;
        sink_init(&before, 64u << 20);
        sink_init(&after, 64u << 20);
        sink_init(&other, 64u << 20);
        write_all(&request, &before);
        if (shape_request(&request, &rules, &arena, &shaped, &notes) == 0)
            write_all(&shaped, &other);
        write_all(&request, &after);
        assert(slice_eq(sink_slice(&before), sink_slice(&after)));
        sink_fini(&before);
        sink_fini(&after);
        sink_fini(&other);
    }
    arena_fini(&arena);
    return 0;
}
