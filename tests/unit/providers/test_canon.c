/* SPDX-License-Identifier: MIT
 *
 * test_canon.c - lists, reports, frames, usage, and names and ids made legal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "providers/dialect.h"

static struct arena arena;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void
test_events_grow(void **state)
{
    (void)state;
    struct canon_events events;
    canon_events_init(&events, &arena);
    for (uint32_t i = 0; i < 1000; i++) {
        struct canon_event *event = canon_add(&events, CANON_DELTA);
        assert_non_null(event);
        assert_int_equal(event->usage.in_total, UINT64_MAX);
        event->block = i;
    }
    assert_int_equal(events.count, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(events.at[i].block, i);
    events.rewrite = events.swallow = true;
    events.flaws = events.mends = 1;
    canon_events_clear(&events);
    assert_int_equal(events.count, 0);
    assert_false(events.rewrite || events.swallow || events.flaws || events.mends);
}

static void
test_events_without_memory(void **state)
{
    (void)state;
    struct arena small;
    struct canon_events events;
    arena_init(&small, 64);
    canon_events_init(&events, &small);
    assert_null(canon_add(&events, CANON_START));
    assert_int_equal(events.count, 0);
    arena_fini(&small);
}

static void
test_usage_merge(void **state)
{
    (void)state;
    struct canon_usage into = CANON_USAGE_UNKNOWN, from = CANON_USAGE_UNKNOWN;
    from.in_total = 5;
    from.cache_read = 0;
    canon_usage_merge(&into, &from);
    from = CANON_USAGE_UNKNOWN;
    from.out_total = 7;
    from.reasoning = 3;
    from.cache_write = 2;
    canon_usage_merge(&into, &from);
    assert_int_equal(into.in_total, 5);
    assert_int_equal(into.cache_read, 0);
    assert_int_equal(into.cache_write, 2);
    assert_int_equal(into.out_total, 7);
    assert_int_equal(into.reasoning, 3);
}

static void
test_report(void **state)
{
    (void)state;
    static char names[CANON_DROPPED_MAX + 4][8];
    struct canon_report report = {0};
    canon_drop(&report, "top_k");
    canon_drop(&report, "top_k");
    assert_int_equal(report.count, 1);
    for (int i = 0; i < CANON_DROPPED_MAX + 4; i++) {
        names[i][0] = 'n';
        names[i][1] = (char)('0' + i / 10);
        names[i][2] = (char)('0' + i % 10);
        canon_drop(&report, names[i]);
    }
    assert_int_equal(report.count, CANON_DROPPED_MAX);
    assert_string_equal(report.dropped[CANON_DROPPED_MAX - 1], "more");
}

static void
test_errors_and_flaws(void **state)
{
    (void)state;
    struct canon_error error = canon_error_of(-ERR_IDLE_TIMEOUT);
    assert_int_equal(error.error, ERR_IDLE_TIMEOUT);
    assert_int_equal(error.kind, KIND_TIMEOUT);
    assert_int_equal(error.status, 504);
    assert_true(slice_is(error.code, "upstream_idle_timeout"));
    assert_int_equal(error.retry_after_ms, UINT64_MAX);
    assert_int_equal(error.should_retry, -1);
    for (int flaw = 0; flaw < FLAW_COUNT; flaw++) {
        assert_non_null(canon_flaw_name((enum canon_flaw)flaw));
        for (int other = 0; other < flaw; other++)
            assert_string_not_equal(canon_flaw_name((enum canon_flaw)flaw),
                                    canon_flaw_name((enum canon_flaw)other));
    }
}

static void
test_frames(void **state)
{
    (void)state;
    struct frames frames;
    frames_init(&frames, 1u << 20);
    frame_begin(&frames, FRAME_EVENT, "ping");
    sink_text(&frames.bytes, "{}");
    frame_end(&frames);
    frame_begin(&frames, FRAME_PASS, NULL);
    frame_end(&frames);
    assert_int_equal(frames.count, 2);
    assert_int_equal(frames.at[0].len, 2);
    assert_int_equal(frames.at[1].start, 2);
    assert_int_equal(frames.at[1].len, 0);
    for (int i = 2; i < FRAMES_MAX; i++) {
        frame_begin(&frames, FRAME_COMMENT, NULL);
        frame_end(&frames);
    }
    assert_int_equal(frames.error, 0);
    frame_begin(&frames, FRAME_COMMENT, NULL);
    frame_end(&frames);
    assert_int_equal(frames.error, -ERR_LIMIT);
    assert_int_equal(frames.count, FRAMES_MAX);
    frames.unsaid = 3;
    frames_clear(&frames);
    assert_int_equal(frames.unsaid, 0);
    assert_int_equal(frames.error, 0);
    assert_int_equal(frames.count, 0);
    frames_fini(&frames);
}

static void
test_frames_over_the_ceiling(void **state)
{
    (void)state;
    struct frames frames;
    frames_init(&frames, 16);
    frame_begin(&frames, FRAME_EVENT, NULL);
    sink_text(&frames.bytes, "longer than sixteen bytes");
    frame_end(&frames);
    assert_int_equal(frames.error, -ERR_LIMIT);
    assert_int_equal(frames.count, 0);
    frames_fini(&frames);
}

static void
test_escape(void **state)
{
    (void)state;
    struct slice plain = SLICE_LIT("nothing to do"), text = canon_escape(plain, &arena);
    assert_ptr_equal(text.ptr, plain.ptr);
    assert_true(slice_is(canon_escape(SLICE_LIT("a\"b\n"), &arena), "a\\\"b\\n"));
    assert_true(slice_present(canon_escape(SLICE_LIT(""), &arena)));
}

static void
test_legal_names(void **state)
{
    (void)state;
    struct slice name = SLICE_LIT("get_weather-2");
    assert_ptr_equal(canon_legal_name(name, 64, &arena).ptr, name.ptr);
    struct slice dotted = canon_legal_name(SLICE_LIT("ns.tool"), 64, &arena);
    struct slice spaced = canon_legal_name(SLICE_LIT("ns tool"), 64, &arena);
    assert_true(slice_starts(dotted, SLICE_LIT("ns_tool_")));
    assert_int_equal(dotted.len, 7 + 9);
    assert_false(slice_eq(dotted, spaced)); /* told apart by the hash */
    assert_true(slice_eq(dotted, canon_legal_name(SLICE_LIT("ns.tool"), 64, &arena)));
    char longer[130];
    memset(longer, 'a', sizeof(longer));
    assert_int_equal(canon_legal_name(slice_of(longer, 65), 64, &arena).len, 64);
    assert_int_equal(canon_legal_name(slice_of(longer, 64), 64, &arena).len, 64);
    assert_ptr_equal(canon_legal_name(slice_of(longer, 64), 64, &arena).ptr, longer);
    assert_int_equal(canon_legal_name(slice_of(longer, 130), 128, &arena).len, 128);
    /* The name is cut before what is written is counted: an empty one has only its hash. */
    assert_int_equal(canon_legal_name(SLICE_LIT(""), 64, &arena).len, 9);
}

static void
test_client_names(void **state)
{
    (void)state;
    struct canon_tool second = {.name = SLICE_LIT("my.tool")};
    struct canon_tool first = {.name = SLICE_LIT("plain_12345678"), .next = &second};
    struct canon_request request = {.tools = &first, .arena = &arena};
    struct slice legal = canon_legal_name(second.name, 64, &arena);
    assert_true(slice_eq(canon_client_name(&request, legal), second.name));
    assert_true(slice_eq(canon_client_name(NULL, legal), legal));
    assert_true(slice_is(canon_client_name(&request, SLICE_LIT("plain_12345678")),
                         "plain_12345678"));
    assert_true(slice_is(canon_client_name(&request, SLICE_LIT("other_12345678")),
                         "other_12345678"));
    assert_true(slice_is(canon_client_name(&request, SLICE_LIT("x")), "x"));
}

static void
test_legal_ids(void **state)
{
    (void)state;
    struct slice id = SLICE_LIT("call_abc-1");
    assert_ptr_equal(canon_legal_id(id, 40, &arena).ptr, id.ptr);
    struct slice mapped = canon_legal_id(SLICE_LIT("functions.name:0"), 40, &arena);
    assert_int_equal(mapped.len, 5 + 16);
    assert_true(slice_eq(mapped, canon_legal_id(SLICE_LIT("functions.name:0"), 40, &arena)));
    assert_false(slice_eq(mapped, canon_legal_id(SLICE_LIT("functions.name:1"), 40, &arena)));
    /* FNV-1a of "a", as published. */
    assert_true(canon_hash(SLICE_LIT("a")) == 0xaf63dc4c8601ec8cu);
}

static void
test_wrappers(void **state)
{
    (void)state;
    enum canon_origin origin;
    bool redacted;
    struct slice back;
    char bytes[300];
    for (size_t n = 1; n < sizeof(bytes); n += 7) {
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)('#' + (i * 37 + n) % 57); /* nothing that JSON escapes */
        for (int from = ORIGIN_NONE + 1; from < ORIGIN_COUNT; from++) {
            for (int hidden = 0; hidden < 2; hidden++) {
                struct slice token =
                    canon_wrap((enum canon_origin)from, hidden, slice_of(bytes, n), &arena);
                assert_true(slice_starts(token, SLICE_LIT("penstock.1.")));
                assert_ptr_equal(canon_escape(token, &arena).ptr, token.ptr);
                assert_true(canon_unwrap(token, &origin, &redacted, &back, &arena));
                assert_int_equal(origin, from);
                assert_int_equal(redacted, hidden);
                assert_int_equal(back.len, n);
                assert_memory_equal(back.ptr, bytes, n);
            }
        }
        arena_reset(&arena);
    }
    static const char *const others[] = {"",
                                         "EqQBCkYIBxgCKkA",
                                         "penstock.1.",
                                         "penstock.1.gemini",
                                         "penstock.1.nobody.QUJD",
                                         "penstock.1.-redacted.QUJD",
                                         "penstock.1.gemini.Q?JD",
                                         "penstock.2.gemini.QUJD",
                                         "Penstock.1.gemini.QUJD",
                                         /* not the contents of a string: `a","x":"`, a control
                                          * character, half an escape, no UTF-8 */
                                         "penstock.1.gemini.YSIsIngiOiI",
                                         "penstock.1.gemini.YQE",
                                         "penstock.1.gemini.YVw",
                                         "penstock.1.gemini._w"};
    for (size_t i = 0; i < countof(others); i++)
        assert_false(canon_unwrap(slice_from(others[i]), &origin, &redacted, &back, &arena));
    assert_true(canon_unwrap(SLICE_LIT("penstock.1.gemini-redacted.QUJD"), &origin, &redacted, &back,
                             &arena));
    assert_true(slice_is(back, "ABC") && redacted && origin == ORIGIN_GEMINI);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_grow),
        cmocka_unit_test(test_events_without_memory),
        cmocka_unit_test(test_usage_merge),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_errors_and_flaws),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_frames_over_the_ceiling),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_legal_names),
        cmocka_unit_test(test_client_names),
        cmocka_unit_test(test_legal_ids),
        cmocka_unit_test(test_wrappers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
