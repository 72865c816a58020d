/* SPDX-License-Identifier: MIT
 *
 * test_think.c - thoughts between tags, split at every place, must become the same two blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "providers/think.h"

#include <stdio.h>
#include <stdlib.h>

struct seen {
    char text[512], thought[512];
    int opened, changed;
};

static struct arena arena, scratch;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    arena_init(&scratch, 1u << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    arena_fini(&scratch);
    return 0;
}

static void
add(struct canon_events *events, enum canon_event_kind kind, uint32_t block, enum canon_block type,
    struct slice text)
{
    struct canon_event *event = canon_add(events, kind);
    assert_non_null(event);
    event->block = block;
    event->type = type;
    event->text = text;
}

/* Filter the events, let the guard judge what comes out, and note the texts. */
static void
run(struct canon_think *think, struct canon_guard *guard, struct canon_events *events,
    struct seen *seen)
{
    assert_int_equal(canon_think_filter(think, events), 0);
    assert_int_equal(canon_guard_check(guard, events), 0);
    seen->changed += events->rewrite;
    assert_true(events->rewrite == ((events->mends & CANON_MEND_ALL) != 0));
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        seen->opened += event->kind == CANON_OPEN;
        if (event->kind != CANON_DELTA)
            continue;
        assert_true(event->text.len > 0);
        char *to = event->type == BLOCK_THINKING ? seen->thought : seen->text;
        size_t n = strlen(to);
        snprintf(to + n, 512 - n, "%.*s", SLICE_ARG(event->text));
    }
    arena_reset(&scratch);
    canon_events_clear(events);
}

/* The text in pieces (ends[] are their ends), as a stream with a call behind it. */
static void
stream(struct slice text, const size_t *ends, int count, struct seen *seen)
{
    struct canon_think think;
    struct canon_guard guard;
    struct canon_events events;
    *seen = (struct seen){0};
    canon_think_init(&think, &arena);
    canon_guard_init(&guard, &arena);
    canon_events_init(&events, &scratch);
    add(&events, CANON_START, 0, BLOCK_TEXT, SLICE_NONE);
    add(&events, CANON_OPEN, 0, BLOCK_TEXT, SLICE_NONE);
    size_t from = 0;
    for (int i = 0; i <= count; i++) {
        size_t end = i < count ? ends[i] : text.len;
        if (end > from)
            add(&events, CANON_DELTA, 0, BLOCK_TEXT, slice_of(text.ptr + from, end - from));
        from = end;
        run(&think, &guard, &events, seen);
    }
    add(&events, CANON_CLOSE, 0, BLOCK_TEXT, SLICE_NONE);
    run(&think, &guard, &events, seen);
    add(&events, CANON_OPEN, 1, BLOCK_CALL, SLICE_NONE);
    events.at[0].id = SLICE_LIT("c");
    events.at[0].name = SLICE_LIT("f");
    run(&think, &guard, &events, seen);
    add(&events, CANON_CLOSE, 1, BLOCK_CALL, SLICE_NONE);
    add(&events, CANON_FINISH, 0, BLOCK_TEXT, SLICE_NONE);
    events.at[1].finish = FINISH_CALLS;
    add(&events, CANON_END, 0, BLOCK_TEXT, SLICE_NONE);
    run(&think, &guard, &events, seen);
}

/* May the text be cut here? Not inside an escape: each delta is a whole string's contents. */
static bool
may_cut(const char *text, size_t at)
{
    for (size_t i = 0; i < at;) {
        size_t n = text[i] != '\\' ? 1 : text[i + 1] == 'u' ? 6 : 2;
        if (i + n > at)
            return false;
        i += n;
    }
    return true;
}

static const struct {
    const char *text, *thought, *rest;
    int blocks; /* besides the call */
} cases[] = {
    {"<think>a</think>b", "a", "b", 2},
    {"\\n <think>a b</think>\\n\\nc", "a b", "c", 2},
    {"\\u003cthink\\u003ea<\\/b></\\u003c/think>x", "a<\\/b></", "x", 2},
    {"\\u003Cthink\\u003E\\u003c\\/think\\u003ex", "", "x", 2},
    {"<think>a</thin</think></think>", "a</thin", "</think>", 2},
    {"<think>never closed</thi", "never closed</thi", "", 1},
    {"<think>only</think>", "only", "", 1},
    {"<think>only</think>\\n", "only", "", 1},
    {"plain", "", "plain", 1},
    {"  <thin", "", "  <thin", 1},
    {"<thinker>", "", "<thinker>", 1},
    {"say <think>no</think>", "", "say <think>no</think>", 1},
    {"", "", "", 1},
    {"                                            <think>a</think>", "",
     "                                            <think>a</think>", 1},
};

static void
check(size_t i, const size_t *ends, int count)
{
    struct seen seen;
    stream(slice_from(cases[i].text), ends, count, &seen);
    assert_string_equal(seen.thought, cases[i].thought);
    assert_string_equal(seen.text, cases[i].rest);
    assert_int_equal(seen.opened, cases[i].blocks + 1);
}

static void
test_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(cases); i++)
        check(i, NULL, 0);
}

static void
test_two_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(cases); i++)
        for (size_t at = 1; at < strlen(cases[i].text); at++)
            if (may_cut(cases[i].text, at))
                check(i, &at, 1);
}

static void
test_random_pieces(void **state)
{
    (void)state;
    srandom(7);
    for (size_t round = 0; round < 4000; round++) {
        size_t i = round % countof(cases), ends[128];
        int count = 0;
        for (size_t at = 1; at < strlen(cases[i].text); at++)
            if (random() % 3 != 0 && may_cut(cases[i].text, at))
                ends[count++] = at;
        check(i, ends, count);
    }
}

static void
test_untouched(void **state)
{
    (void)state;
    /* Text that settles at once, thoughts the upstream marks itself, other choices: nothing is
     * rewritten. */
    struct canon_think think;
    struct canon_events events;
    canon_think_init(&think, &arena);
    canon_events_init(&events, &scratch);
    add(&events, CANON_OPEN, 0, BLOCK_THINKING, SLICE_NONE);
    add(&events, CANON_DELTA, 0, BLOCK_THINKING, SLICE_LIT("hm"));
    add(&events, CANON_CLOSE, 0, BLOCK_THINKING, SLICE_NONE);
    add(&events, CANON_OPEN, 1, BLOCK_TEXT, SLICE_NONE);
    add(&events, CANON_DELTA, 1, BLOCK_TEXT, SLICE_LIT("<think>no</think>"));
    assert_int_equal(canon_think_filter(&think, &events), 0);
    assert_false(events.rewrite);
    assert_int_equal(events.count, 5);
    assert_true(slice_is(events.at[4].text, "<think>no</think>"));
    canon_think_init(&think, &arena);
    canon_events_clear(&events);
    add(&events, CANON_OPEN, 0, BLOCK_TEXT, SLICE_NONE);
    add(&events, CANON_DELTA, 0, BLOCK_TEXT, SLICE_LIT("Yes"));
    assert_int_equal(canon_think_filter(&think, &events), 0);
    assert_false(events.rewrite);
    assert_int_equal(events.count, 2);
    arena_reset(&scratch);
}

/* One delta of block 0 with a signature, a citation of it, token probabilities: what becomes of them. */
static void
carry_all(struct canon_think *think, struct canon_events *events, const char *text)
{
    static struct canon_citation source = {.url = SLICE_LIT("u"), .start = 3, .end = 5};
    static struct canon_logprob token = {.token = SLICE_LIT("t")};
    canon_think_init(think, &arena);
    arena_reset(&scratch);
    canon_events_init(events, &scratch);
    add(events, CANON_OPEN, 0, BLOCK_TEXT, SLICE_NONE);
    add(events, CANON_DELTA, 0, BLOCK_TEXT, slice_from(text));
    events->at[1].logprobs = &token;
    add(events, CANON_DELTA, 0, BLOCK_TEXT, SLICE_NONE);
    events->at[2].signature = SLICE_LIT("sig");
    add(events, CANON_CITATION, 0, BLOCK_TEXT, SLICE_NONE);
    events->at[3].citation = &source;
    assert_int_equal(canon_think_filter(think, events), 0);
}

static void
test_what_is_no_text(void **state)
{
    (void)state;
    struct canon_think think;
    struct canon_events events;
    carry_all(&think, &events, "Hello");
    assert_int_equal(events.count, 4);
    assert_false(events.rewrite);
    assert_non_null(events.at[1].logprobs);
    assert_true(slice_is(events.at[2].signature, "sig"));
    assert_int_equal(events.at[3].citation->start, 3);
    /* What may yet become a tag is text when something else is said about it. */
    carry_all(&think, &events, "<thi");
    assert_int_equal(events.count, 4);
    assert_true(slice_is(events.at[1].text, "<thi"));
    assert_true(slice_is(events.at[2].signature, "sig"));
    /* In a thought: the signature is the thought's, a citation has no text to stand at. */
    carry_all(&think, &events, "<think>hm");
    assert_int_equal(events.count, 3);
    assert_int_equal(events.at[2].type, BLOCK_THINKING);
    assert_true(slice_is(events.at[2].signature, "sig"));
    /* Behind it: positions counted with the thought mean nothing any more. */
    carry_all(&think, &events, "<think>hm</think>yes");
    const struct canon_event *last = &events.at[events.count - 1];
    assert_int_equal(last->kind, CANON_CITATION);
    assert_int_equal(last->block, 1);
    assert_int_equal(last->citation->start, -1);
    assert_int_equal(events.at[events.count - 2].block, 1);
    arena_reset(&scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole), cmocka_unit_test(test_two_pieces),
        cmocka_unit_test(test_random_pieces), cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_what_is_no_text)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
