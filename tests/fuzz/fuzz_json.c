/* SPDX-License-Identifier: MIT
 *
 * fuzz_json.c - whatever the scan accepts, the parser parses as jsmn does, every value can be read, and
 * what is read can be written and read again.
 */
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

#include "tests/fuzz/fuzz.h"

static void
check_string(struct json value, struct arena *arena)
{
    struct slice text = json_string(value, arena);
    assert(slice_present(text));
    assert(text.len <= json_text(value).len);
    assert(text_utf8_valid(text));

    struct sink sink;
    struct json_writer writer;
    struct json again;
    sink_init(&sink, 8 + 6 * text.len);
    json_writer_init(&writer, &sink);
    json_put_string(&writer, text);
    assert(sink.error == 0);
    assert(json_parse(sink_slice(&sink), 1, 1, arena, &again) == 0);
    assert(slice_eq(json_string(again, arena), text));
    sink_fini(&sink);
}

static void
check_value(struct slice text, struct json value, struct arena *arena)
{
    struct slice raw = json_raw(value);
    int64_t integer;
    double real;
    assert(raw.ptr >= text.ptr && raw.ptr + raw.len <= text.ptr + text.len);
    assert(raw.len > 0);
    bool number = json_type(value) == JSON_NUMBER;
    assert(json_f64(value, &real) == number);
    if (json_i64(value, &integer)) {
        assert(number);
        if (integer >= 0)
            assert(json_u64_or(value, UINT64_MAX) == (uint64_t)integer);
    }
    if (json_type(value) == JSON_STRING)
        check_string(value, arena);
}

/* Every value, in order, without recursion: containers wait on a stack as deep as is allowed. */
static size_t
walk(struct slice text, struct json root, struct arena *arena)
{
    struct json stack[128];
    int depth = 0;
    size_t values = 0;
    for (struct json at = root; json_present(at);) {
        check_value(text, at, arena);
        values++;
        values += slice_present(json_key(at));
        uint32_t count = 0;
        for (struct json child = json_first(at); json_present(child); child = json_next(child))
            count++;
        assert(count == json_count(at));
        struct json next = json_first(at);
        if (json_present(next)) {
            assert(depth < 128);
            stack[depth++] = at;
        } else {
            next = json_next(at);
        }
        while (!json_present(next) && depth > 0)
            next = json_next(stack[--depth]);
        at = next;
    }
    return values;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len > 65536)
        return 0;
    struct slice text = slice_of(bytes, len);
    struct json_scan scan;
    struct arena arena;
    struct json root, theirs;
    int error = json_scan(text, 128, &scan);
    assert(error == 0 || error == -ERR_JSON || error == -ERR_DEPTH);
    assert(scan.offset <= len);
    arena_init(&arena, 64u << 20);
    assert(json_parse(text, 128, SIZE_MAX, &arena, &root) == error);
    assert(json_present(root) == (error == 0));
    assert(json_parse_jsmn(text, 128, SIZE_MAX, &arena, &theirs) == error);
    for (size_t i = 0; error == 0 && i < scan.tokens; i++) {
        const struct json_token *a = &root.doc->tokens[i], *b = &theirs.doc->tokens[i];
        assert(a->start == b->start && a->end == b->end && a->size == b->size);
        assert(a->next == b->next && a->type == b->type && a->escaped == b->escaped);
    }
    if (error == 0)
        assert(walk(text, root, &arena) == scan.tokens);
    arena_fini(&arena);
    return 0;
}
