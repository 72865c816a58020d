/* SPDX-License-Identifier: MIT
 *
 * test_guard.c - the grammar of canonical events, and every tool call.
 */
#include "providers/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define S(text) SLICE_LIT(text)
#define START                                                                                      \
    {                                                                                              \
        .kind = CANON_START                                                                        \
    }
#define OPEN(n, kind_of)                                                                           \
    {                                                                                              \
        .kind = CANON_OPEN, .type = kind_of, .block = (n)                                          \
    }
#define OPEN_CALL(n, call, tool)                                                                   \
    {                                                                                              \
        .kind = CANON_OPEN, .type = BLOCK_CALL, .block = (n), .id = S(call), .name = S(tool)       \
    }
#define ADD(n, kind_of, words)                                                                     \
    {                                                                                              \
        .kind = CANON_DELTA, .type = kind_of, .block = (n), .text = S(words)                       \
    }
#define CLOSE(n, kind_of)                                                                          \
    {                                                                                              \
        .kind = CANON_CLOSE, .type = kind_of, .block = (n)                                         \
    }
#define FINISH(why)                                                                                \
    {                                                                                              \
        .kind = CANON_FINISH, .finish = why                                                        \
    }
#define END                                                                                        \
    {                                                                                              \
        .kind = CANON_END                                                                          \
    }

struct outcome {
    int error, at; /* at: the event that was refused */
    const char *verdict;
    enum canon_finish finish;
    bool rewrite;
    uint32_t flaws;
    int passed; /* events that came through */
};

static bool first_due;

static struct outcome
run(const struct canon_event *events, int count)
{
    struct arena arena;
    struct canon_guard guard;
    struct outcome outcome = {.at = -1};
    arena_init(&arena, 8u << 20);
    canon_guard_init(&guard, &arena);
    guard.first_due = first_due;
    for (int i = 0; i < count && outcome.error == 0; i++) {
        struct arena scratch;
        struct canon_events list;
        arena_init(&scratch, 1u << 20);
        canon_events_init(&list, &scratch);
        struct canon_event *event = canon_add(&list, events[i].kind);
        assert_non_null(event);
        *event = events[i];
        outcome.error = canon_guard_check(&guard, &list);
        outcome.at = i;
        outcome.rewrite |= list.rewrite;
        outcome.passed += list.count;
        /* The first error sticks. */
        if (outcome.error != 0) {
            canon_events_clear(&list);
            assert_int_equal(canon_guard_check(&guard, &list), outcome.error);
        }
        arena_fini(&scratch);
    }
    outcome.verdict = guard.verdict;
    outcome.finish = guard.finish;
    outcome.flaws = guard.flaws;
    arena_fini(&arena);
    return outcome;
}

#define RUN(...)                                                                                   \
    run((const struct canon_event[]){__VA_ARGS__},                                                 \
        (int)countof(((const struct canon_event[]){__VA_ARGS__})))

static void
refused(struct outcome outcome, int error, const char *verdict)
{
    assert_int_equal(outcome.error, -error);
    assert_non_null(outcome.verdict);
    assert_string_equal(outcome.verdict, verdict);
}

static void
lets_good_replies_through(void **state)
{
    (void)state;
    struct outcome outcome =
        RUN(START, OPEN(0, BLOCK_THINKING), ADD(0, BLOCK_THINKING, "x"), CLOSE(0, BLOCK_THINKING),
            OPEN_CALL(1, "a", "f"), OPEN_CALL(2, "b", "f"), ADD(2, BLOCK_CALL, "{\\\"x\\\":"),
            ADD(1, BLOCK_CALL, ""), ADD(2, BLOCK_CALL, "[1,2]} "), CLOSE(2, BLOCK_CALL),
            CLOSE(1, BLOCK_CALL), {.kind = CANON_USAGE}, FINISH(FINISH_CALLS),
            {.kind = CANON_USAGE}, END);
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.passed, 15);
    assert_false(outcome.rewrite);
    assert_int_equal(outcome.finish, FINISH_CALLS);
}

static void
refuses_disorder(void **state)
{
    (void)state;
    int protocol = ERR_UPSTREAM_PROTOCOL;
    refused(RUN(START, START), protocol, "second_start");
    refused(RUN(START, ADD(0, BLOCK_TEXT, "x")), protocol, "delta_outside_block");
    refused(RUN(START, OPEN(0, BLOCK_TEXT), CLOSE(0, BLOCK_TEXT), ADD(0, BLOCK_TEXT, "x")),
            protocol, "delta_outside_block");
    refused(RUN(START, OPEN_CALL(0, "a", "f"), CLOSE(0, BLOCK_CALL), ADD(0, BLOCK_CALL, "x")),
            protocol, "delta_outside_block");
    refused(RUN(START, OPEN(0, BLOCK_TEXT), ADD(0, BLOCK_THINKING, "x")), protocol,
            "delta_of_other_type");
    refused(RUN(START, OPEN(1, BLOCK_TEXT)), protocol, "block_not_dense");
    refused(RUN(START, CLOSE(0, BLOCK_TEXT)), protocol, "close_outside_block");
    refused(RUN(START, OPEN(0, BLOCK_TEXT), FINISH(FINISH_STOP), ADD(0, BLOCK_TEXT, "x")), protocol,
            "delta_after_finish");
    refused(RUN(START, FINISH(FINISH_STOP), OPEN(0, BLOCK_TEXT)), protocol, "block_after_finish");
    refused(RUN(START, END), protocol, "end_without_finish");
    refused(RUN(START, FINISH(FINISH_STOP), END, END), protocol, "event_after_end");
    refused(RUN(START, {.kind = CANON_ERROR}, END), protocol, "event_after_end");
    refused(RUN(START, {.kind = CANON_FINISH, .choice = 128}), protocol, "too_many_choices");
}

/* What has begun must have finished, and the answer that all dialects know is the first. */
static void
each_choice_ends_by_itself(void **state)
{
    (void)state;
    int protocol = ERR_UPSTREAM_PROTOCOL;
    const struct canon_event open = {.kind = CANON_OPEN, .type = BLOCK_TEXT, .choice = 1};
    const struct canon_event close = {.kind = CANON_CLOSE, .type = BLOCK_TEXT, .choice = 1};
    const struct canon_event finish = {.kind = CANON_FINISH, .finish = FINISH_STOP, .choice = 1};
    refused(RUN(START, open, close, FINISH(FINISH_STOP), END), protocol, "end_without_finish");
    assert_int_equal(RUN(START, open, close, FINISH(FINISH_STOP), finish, END).error, 0);
    assert_int_equal(RUN(START, open, close, finish, END).error, 0);
    first_due = true;
    refused(RUN(START, open, close, finish, END), protocol, "end_without_finish");
    assert_int_equal(RUN(START, open, close, finish, FINISH(FINISH_STOP), END).error, 0);
    first_due = false;
    const struct canon_event last = {.kind = CANON_OPEN, .type = BLOCK_TEXT, .choice = 127};
    refused(RUN(START, last, FINISH(FINISH_STOP), END), protocol, "end_without_finish");
}

/* Ends a reply after one call with these arguments (escaped). */
static struct outcome
call_with(const char *const *pieces, enum canon_finish finish, bool custom)
{
    struct canon_event events[16] = {START};
    int n = 1;
    events[n++] = (struct canon_event)OPEN_CALL(0, "a", "f");
    events[1].custom = custom;
    for (; *pieces; pieces++)
        events[n++] = (struct canon_event){
            .kind = CANON_DELTA, .type = BLOCK_CALL, .text = slice_from(*pieces)};
    events[n++] = (struct canon_event)CLOSE(0, BLOCK_CALL);
    events[n++] = (struct canon_event)FINISH(finish);
    return run(events, n);
}

#define CALL(finish, ...) call_with((const char *const[]){__VA_ARGS__, NULL}, finish, false)

static void
judges_arguments(void **state)
{
    (void)state;
    assert_int_equal(CALL(FINISH_CALLS, "").error, 0);
    assert_int_equal(CALL(FINISH_CALLS, "{}").error, 0);
    assert_int_equal(CALL(FINISH_CALLS, "{\\\"a\\\":\\\"\\ud83d", "\\ude00\\\"}").error, 0);
    assert_int_equal(CALL(FINISH_CALLS, "{\\\"a\\\":\\\"\\ud83d", "x\\\"}").error, 0);
    assert_int_equal(CALL(FINISH_CALLS, "{\\\"a\\\":\\\"\\\\n\\\"}").error, 0);
    assert_int_equal(CALL(FINISH_CALLS, "{", "\\n", "\\t", "}").error, 0);
    refused(CALL(FINISH_CALLS, "{\\\"a\\\":\\\"\\n\\\"}"), ERR_TOOL_CALL, "invalid_arguments");
    refused(CALL(FINISH_CALLS, "{\\\"a\\\""), ERR_TOOL_CALL, "truncated_arguments");
    refused(CALL(FINISH_STOP, "{\\\"a\\\""), ERR_TOOL_CALL, "truncated_arguments");
    refused(CALL(FINISH_OTHER, "{\\\"a\\\""), ERR_TOOL_CALL, "truncated_arguments");
    refused(CALL(FINISH_CALLS, "{a}"), ERR_TOOL_CALL, "invalid_arguments");
    refused(CALL(FINISH_CALLS, "{}", "{}"), ERR_TOOL_CALL, "invalid_arguments");
    refused(CALL(FINISH_CALLS, "\\\"text\\\""), ERR_TOOL_CALL, "arguments_not_an_object");
    refused(CALL(FINISH_CALLS, "[1]"), ERR_TOOL_CALL, "arguments_not_an_object");
    refused(CALL(FINISH_CALLS, "null"), ERR_TOOL_CALL, "arguments_not_an_object");
    assert_int_equal(call_with((const char *const[]){"free {text", NULL}, FINISH_CALLS, true).error,
                     0);
}

static void
believes_replies_that_were_cut_short(void **state)
{
    (void)state;
    assert_int_equal(CALL(FINISH_LENGTH, "{\\\"a").error, 0);
    assert_int_equal(CALL(FINISH_LENGTH, "{\\\"a").finish, FINISH_LENGTH);
    assert_int_equal(CALL(FINISH_CONTEXT, "{\\\"a").error, 0);
    assert_int_equal(CALL(FINISH_FILTER, "{\\\"a").error, 0);
}

static void
judges_names_and_ids(void **state)
{
    (void)state;
    refused(RUN(START, OPEN_CALL(0, "a", "")), ERR_TOOL_CALL, "missing_name");
    refused(RUN(START, OPEN_CALL(0, "", "f")), ERR_TOOL_CALL, "missing_id");
    refused(RUN(START, OPEN_CALL(0, "a", "f"), OPEN_CALL(1, "a", "g")), ERR_TOOL_CALL,
            "duplicate_id");
    refused(RUN(START, OPEN_CALL(0, "a", "f"), CLOSE(0, BLOCK_CALL), OPEN_CALL(1, "a", "g")),
            ERR_TOOL_CALL, "duplicate_id");
    struct outcome outcome = RUN(START, OPEN_CALL(0, "a", "f"),
                                 {.kind = CANON_OPEN,
                                  .type = BLOCK_CALL,
                                  .block = 1,
                                  .choice = 1,
                                  .id = S("a"),
                                  .name = S("f")});
    assert_int_equal(outcome.error, 0);
}

static void
corrects_the_finish(void **state)
{
    (void)state;
    struct outcome outcome = CALL(FINISH_STOP, "{}");
    assert_int_equal(outcome.finish, FINISH_CALLS);
    assert_true(outcome.rewrite);
    assert_true(outcome.flaws >> FLAW_FINISH_MISMATCH & 1);
    assert_int_equal(CALL(FINISH_OTHER, "{}").finish, FINISH_CALLS);
    assert_int_equal(CALL(FINISH_LENGTH, "{}").finish, FINISH_LENGTH);
    assert_int_equal(CALL(FINISH_PAUSE, "{}").finish, FINISH_PAUSE);
    outcome = RUN(START, OPEN(0, BLOCK_TEXT), CLOSE(0, BLOCK_TEXT), FINISH(FINISH_CALLS));
    assert_int_equal(outcome.finish, FINISH_STOP);
    assert_true(outcome.rewrite);
    outcome = RUN(START, OPEN(0, BLOCK_NATIVE), CLOSE(0, BLOCK_NATIVE), FINISH(FINISH_CALLS));
    assert_int_equal(outcome.finish, FINISH_CALLS);
    outcome = RUN(START, FINISH(FINISH_STOP), FINISH(FINISH_LENGTH), END);
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.passed, 3);
    assert_true(outcome.rewrite);
    assert_int_equal(outcome.finish, FINISH_STOP);
    assert_true(outcome.flaws >> FLAW_REPEATED_FINISH & 1);
    /* Each choice ends for itself. */
    outcome = RUN(START, OPEN_CALL(0, "a", "f"), FINISH(FINISH_STOP),
                  {.kind = CANON_FINISH, .finish = FINISH_STOP, .choice = 1});
    assert_int_equal(outcome.passed, 4);
    assert_int_equal(outcome.finish, FINISH_STOP);
}

static void
counts_calls_but_keeps_no_text(void **state)
{
    (void)state;
    struct arena arena, scratch;
    struct canon_guard guard;
    struct canon_events list;
    arena_init(&arena, 8u << 20);
    arena_init(&scratch, 1u << 20);
    canon_guard_init(&guard, &arena);
    canon_events_init(&list, &scratch);
    int error = 0;
    char id[16];
    for (uint32_t i = 0; i < 1025 && error == 0; i++) {
        struct canon_event *event = canon_add(&list, CANON_OPEN);
        assert_non_null(event);
        (void)snprintf(id, sizeof(id), "c%u", (unsigned)i);
        *event = (struct canon_event){.kind = CANON_OPEN,
                                      .type = BLOCK_CALL,
                                      .block = i,
                                      .id = slice_from(id),
                                      .name = S("f")};
        event = canon_add(&list, CANON_CLOSE);
        assert_non_null(event);
        *event = (struct canon_event)CLOSE(i, BLOCK_CALL);
        error = canon_guard_check(&guard, &list);
        canon_events_clear(&list);
        arena_reset(&scratch);
        assert_true(i < 1024 || error == -ERR_TOOL_CALL);
    }
    assert_string_equal(guard.verdict, "too_many_calls");
    arena_reset(&arena);
    /* Ten million bytes in ten thousand blocks cost what one block costs. */
    canon_guard_init(&guard, &arena);
    static char text[1000];
    memset(text, 'x', sizeof(text));
    for (uint32_t i = 0; i < 10000; i++) {
        const struct canon_event events[] = {
            OPEN(i, BLOCK_TEXT),
            {.kind = CANON_DELTA, .block = i, .text = {text, 1000}},
            CLOSE(i, BLOCK_TEXT)};
        for (size_t n = 0; n < countof(events); n++) {
            struct canon_event *event = canon_add(&list, events[n].kind);
            assert_non_null(event);
            *event = events[n];
        }
        assert_int_equal(canon_guard_check(&guard, &list), 0);
        canon_events_clear(&list);
        arena_reset(&scratch);
    }
    assert_true(arena.used < 32768);
    arena_fini(&scratch);
    arena_fini(&arena);
}

static void
judges_citations(void **state)
{
    (void)state;
    static struct canon_citation source = {.url = S("https://a"), .start = -1, .end = -1};
#define CITE(n)                                                                                    \
    {                                                                                              \
        .kind = CANON_CITATION, .block = (n), .citation = &source                                  \
    }
    /* Open, closed, and behind the finish: it is known text. */
    struct outcome outcome = RUN(START, OPEN(0, BLOCK_TEXT), ADD(0, BLOCK_TEXT, "a"), CITE(0),
                                 CLOSE(0, BLOCK_TEXT), CITE(0), FINISH(FINISH_STOP), CITE(0), END);
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.passed, 9);
    refused(RUN(START, CITE(0)), ERR_UPSTREAM_PROTOCOL, "citation_outside_text");
    refused(RUN(START, OPEN(0, BLOCK_THINKING), CITE(0)), ERR_UPSTREAM_PROTOCOL,
            "citation_outside_text");
    refused(RUN(START, OPEN(0, BLOCK_THINKING), CLOSE(0, BLOCK_THINKING), CITE(0)),
            ERR_UPSTREAM_PROTOCOL, "citation_outside_text");
    refused(RUN(START, OPEN(0, BLOCK_TEXT), CITE(1)), ERR_UPSTREAM_PROTOCOL,
            "citation_outside_text");
}

/* A reply of 1100 closed blocks, the even ones of text: what is said of a citation of this one? */
static int
cite_one_of_many(uint32_t cited)
{
    static struct canon_citation source = {.url = S("https://a"), .start = -1, .end = -1};
    struct arena arena, scratch;
    struct canon_events list;
    struct canon_guard guard;
    arena_init(&arena, 1 << 20);
    arena_init(&scratch, 1 << 20);
    canon_events_init(&list, &scratch);
    canon_guard_init(&guard, &arena);
    for (uint32_t i = 0; i < 1100; i++) {
        enum canon_block type = i % 2 ? BLOCK_THINKING : BLOCK_TEXT;
        const struct canon_event events[] = {OPEN(i, type), CLOSE(i, type)};
        for (size_t n = 0; n < countof(events); n++)
            *canon_add(&list, events[n].kind) = events[n];
        assert_int_equal(canon_guard_check(&guard, &list), 0);
        canon_events_clear(&list);
        arena_reset(&scratch);
    }
    const struct canon_event event = CITE(cited);
    *canon_add(&list, event.kind) = event;
    int error = canon_guard_check(&guard, &list);
    arena_fini(&scratch);
    arena_fini(&arena);
    return error;
}

static void
remembers_the_text_of_many_blocks(void **state)
{
    (void)state;
    static const uint32_t at[] = {0, 2, 62, 64, 66, 126, 128, 510, 1022};
    for (size_t i = 0; i < countof(at); i++) {
        assert_int_equal(cite_one_of_many(at[i]), 0);
        assert_int_equal(cite_one_of_many(at[i] + 1), -ERR_UPSTREAM_PROTOCOL);
    }
    assert_int_equal(cite_one_of_many(1025), 0); /* for which there is no bit: believed */
    assert_int_equal(cite_one_of_many(1100), -ERR_UPSTREAM_PROTOCOL);
}

static void
lets_images_and_signatures_through(void **state)
{
    (void)state;
    struct canon_event image = {.kind = CANON_DELTA, .type = BLOCK_IMAGE, .data = S("AAAA")};
    struct canon_event text = {
        .kind = CANON_DELTA, .type = BLOCK_TEXT, .block = 1, .signature = S("s")};
    struct canon_event call = {
        .kind = CANON_DELTA, .type = BLOCK_CALL, .block = 2, .signature = S("s")};
    struct outcome outcome =
        RUN(START, {.kind = CANON_OPEN, .type = BLOCK_IMAGE, .name = S("image/png")}, image,
            CLOSE(0, BLOCK_IMAGE), OPEN(1, BLOCK_TEXT), text, CLOSE(1, BLOCK_TEXT),
            OPEN_CALL(2, "c", "f"), ADD(2, BLOCK_CALL, "{"), call, ADD(2, BLOCK_CALL, "}"), call,
            CLOSE(2, BLOCK_CALL), FINISH(FINISH_CALLS), END);
    assert_int_equal(outcome.error, 0);
    refused(RUN(START, OPEN(0, BLOCK_IMAGE), ADD(0, BLOCK_TEXT, "a")), ERR_UPSTREAM_PROTOCOL,
            "delta_of_other_type");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_good_replies_through),
        cmocka_unit_test(refuses_disorder),
        cmocka_unit_test(each_choice_ends_by_itself),
        cmocka_unit_test(judges_arguments),
        cmocka_unit_test(believes_replies_that_were_cut_short),
        cmocka_unit_test(judges_names_and_ids),
        cmocka_unit_test(corrects_the_finish),
        cmocka_unit_test(counts_calls_but_keeps_no_text),
        cmocka_unit_test(judges_citations),
        cmocka_unit_test(remembers_the_text_of_many_blocks),
        cmocka_unit_test(lets_images_and_signatures_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
