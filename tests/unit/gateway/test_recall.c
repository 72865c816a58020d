/* SPDX-License-Identifier: MIT
 *
 * test_recall.c - reasoning state that comes back with its call, and with nothing else.
 */
#include "gateway/recall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct recall recall;
static struct arena arena, scratch;
static const struct recall_owner alice = {SLICE_LIT("alice"), SLICE_LIT("m")}, bob = {SLICE_LIT("bob"), SLICE_LIT("m")},
                                 other_model = {SLICE_LIT("alice"), SLICE_LIT("n")};

static int
enter(void **state)
{
    (void)state;
    arena_init(&arena, 64u << 20);
    arena_init(&scratch, 1u << 20);
    assert_int_equal(recall_init(&recall), 0);
    recall_limit(&recall, 1u << 20, 1000);
    return 0;
}

static int
leave(void **state)
{
    (void)state;
    recall_fini(&recall);
    arena_fini(&arena);
    arena_fini(&scratch);
    return 0;
}

/* A reply: a thought, perhaps signed, and one call, perhaps signed; its text comes in two pieces. All of it is escaped, as the
 * canonical language has it. */
static void
reply(const struct recall_owner *owner, enum canon_origin origin, const char *thought, const char *signature, const char *id,
      const char *arguments, const char *call_signature)
{
    struct recall_watch watch;
    struct canon_events events;
    recall_watch_init(&watch, &arena);
    canon_events_init(&events, &scratch);
    struct slice text = slice_from(thought);
    const struct canon_event all[] = {
        {.kind = CANON_OPEN, .type = BLOCK_THINKING, .block = 0, .origin = origin},
        {.kind = CANON_DELTA, .type = BLOCK_THINKING, .block = 0, .text = slice_take(text, text.len / 2)},
        {.kind = CANON_DELTA, .type = BLOCK_THINKING, .block = 0, .text = slice_skip(text, text.len / 2)},
        {.kind = CANON_DELTA, .type = BLOCK_THINKING, .block = 0, .signature = slice_from(signature), .origin = origin},
        {.kind = CANON_CLOSE, .type = BLOCK_THINKING, .block = 0},
        {.kind = CANON_OPEN, .type = BLOCK_TEXT, .block = 1},
        {.kind = CANON_DELTA, .type = BLOCK_TEXT, .block = 1, .text = SLICE_LIT("said")},
        {.kind = CANON_CLOSE, .type = BLOCK_TEXT, .block = 1},
        {.kind = CANON_OPEN, .type = BLOCK_CALL, .block = 2, .id = slice_from(id), .name = SLICE_LIT("f"),
         .signature = call_signature ? slice_from(call_signature) : SLICE_NONE, .origin = origin},
        {.kind = CANON_DELTA, .type = BLOCK_CALL, .block = 2, .text = slice_from(arguments)},
        {.kind = CANON_CLOSE, .type = BLOCK_CALL, .block = 2},
        {.kind = CANON_FINISH, .finish = FINISH_CALLS},
    };
    for (size_t i = 0; i < countof(all); i++) {
        struct canon_event one = all[i];
        events.at = &one;
        events.count = 1;
        assert_int_equal(recall_watch_events(&watch, &events, &recall, owner, 10), 0);
    }
}

static struct canon_part call_part, text_part;
static struct canon_message message;

/* The turn as a client that knows nothing of thoughts sends it back. */
static int
ask(const struct recall_owner *owner, enum canon_origin origin, const char *id, const char *arguments, uint64_t now_ms)
{
    static struct canon_request request;
    call_part = (struct canon_part){.kind = PART_CALL, .id = slice_from(id), .name = SLICE_LIT("f"), .arguments = slice_from(arguments)};
    text_part = (struct canon_part){.kind = PART_TEXT, .text = SLICE_LIT("said"), .next = &call_part};
    message = (struct canon_message){.role = ROLE_ASSISTANT, .parts = &text_part};
    request = (struct canon_request){.arena = &arena, .messages = &message};
    return recall_fill(&recall, &request, owner, origin, now_ms);
}

static void
expect_thought(const char *text, const char *signature)
{
    const struct canon_part *part = message.parts;
    assert_int_equal(part->kind, PART_THINKING);
    assert_true(slice_is(part->text, text));
    assert_true(signature ? slice_is(part->signature, signature) : part->signature.len == 0);
    assert_ptr_equal(part->next, &text_part);
}

static void
a_thought_returns_with_its_call(void **state)
{
    (void)state;
    reply(&alice, ORIGIN_ANTHROPIC, "because", "SIG", "call_1", "{\\\"a\\\": [1, \\\"\\\\u00e4\\\"]}", NULL);
    /* Other white space and other escapes are the same arguments. */
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{\"a\":[1,\"\xc3\xa4\"]}", 20), 1);
    expect_thought("because", "SIG");
    assert_int_equal(message.parts->origin, ORIGIN_ANTHROPIC);
    assert_int_equal(atomic_load(&recall.hits), 1);
}

static void
nothing_returns_to_anybody_else(void **state)
{
    (void)state;
    reply(&alice, ORIGIN_ANTHROPIC, "secret", "SIG", "call_1", "{\\\"a\\\":1}", NULL);
    assert_int_equal(ask(&bob, ORIGIN_ANTHROPIC, "call_1", "{\"a\":1}", 20), 0);
    assert_int_equal(ask(&other_model, ORIGIN_ANTHROPIC, "call_1", "{\"a\":1}", 20), 0);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_2", "{\"a\":1}", 20), 0);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{\"a\":2}", 20), 0);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{\"b\":1}", 20), 0);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{\"a\":[1]}", 20), 0);
    assert_ptr_equal(message.parts, &text_part);
    assert_int_equal(atomic_load(&recall.misses), 6);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{\"a\":1}", 20), 1);
}

static void
state_goes_where_it_came_from(void **state)
{
    (void)state;
    reply(&alice, ORIGIN_GEMINI, "hm", "", "call_1", "", "THOUGHT");
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{}", 20), 0);
    assert_int_equal(call_part.signature.len, 0);
    assert_int_equal(ask(&alice, ORIGIN_GEMINI, "call_1", "{}", 20), 1);
    assert_true(slice_is(call_part.signature, "THOUGHT"));
    assert_int_equal(call_part.origin, ORIGIN_GEMINI);
    assert_ptr_equal(message.parts, &text_part); /* an unsigned thought is no state */
    /* A chat server that wants its reasoning back gets the words. */
    assert_int_equal(ask(&alice, ORIGIN_CHAT, "call_1", "{}", 20), 1);
    expect_thought("hm", NULL);
}

static void
what_the_client_kept_stays(void **state)
{
    (void)state;
    reply(&alice, ORIGIN_ANTHROPIC, "because", "SIG", "call_1", "{}", NULL);
    static struct canon_part own = {.kind = PART_THINKING, .text = SLICE_LIT("own"), .signature = SLICE_LIT("OWN"), .origin = ORIGIN_ANTHROPIC};
    (void)ask(&alice, ORIGIN_NONE, "call_1", "{}", 20);
    own.next = &text_part;
    message.parts = &own;
    struct canon_request request = {.arena = &arena, .messages = &message};
    assert_int_equal(recall_fill(&recall, &request, &alice, ORIGIN_ANTHROPIC, 20), 0);
    assert_ptr_equal(message.parts, &own);
}

static void
time_and_bytes_are_bounded(void **state)
{
    (void)state;
    reply(&alice, ORIGIN_ANTHROPIC, "because", "SIG", "call_1", "{}", NULL);
    assert_int_equal(atomic_load(&recall.entries), 1);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{}", 1009), 1);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_1", "{}", 1010), 0); /* told at 10, kept for 1000 */
    assert_int_equal(atomic_load(&recall.entries), 0);
    assert_int_equal(atomic_load(&recall.held_bytes), 0);
    char id[32];
    for (int i = 0; i < 10000; i++) {
        snprintf(id, sizeof(id), "call_%d", i);
        reply(&alice, ORIGIN_ANTHROPIC, "because of this and that", "SIGNATURE", id, "{}", NULL);
        arena_reset(&arena);
    }
    assert_true(atomic_load(&recall.held_bytes) <= (1u << 20));
    assert_true(atomic_load(&recall.entries) > 1000u);
    assert_true(atomic_load(&recall.evictions) > 0u);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_9999", "{}", 20), 1);
    assert_int_equal(ask(&alice, ORIGIN_ANTHROPIC, "call_0", "{}", 20), 0);
    recall_limit(&recall, 1u << 20, 0);
    assert_false(recall_on(&recall));
    assert_int_equal(atomic_load(&recall.entries), 0);
}

static void
a_turn_that_is_too_long_is_not_kept(void **state)
{
    (void)state;
    size_t len = RECALL_TURN_BYTES_MAX + 2;
    char *text = malloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    reply(&alice, ORIGIN_ANTHROPIC, text, "SIG", "call_1", "{}", NULL);
    assert_int_equal(atomic_load(&recall.entries), 0);
    free(text);
}

static void
a_call_without_state_takes_no_room(void **state)
{
    struct recall_watch watch;
    struct canon_events events;
    (void)state;
    recall_watch_init(&watch, &arena);
    canon_events_init(&events, &scratch);
    struct canon_event all[] = {{.kind = CANON_OPEN, .type = BLOCK_CALL, .id = SLICE_LIT("c")}, {.kind = CANON_CLOSE, .type = BLOCK_CALL},
                                {.kind = CANON_FINISH}};
    events.at = all;
    events.count = countof(all);
    assert_int_equal(recall_watch_events(&watch, &events, &recall, &alice, 1), 0);
    assert_int_equal(atomic_load(&recall.entries), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thought_returns_with_its_call, enter, leave),
        cmocka_unit_test_setup_teardown(nothing_returns_to_anybody_else, enter, leave),
        cmocka_unit_test_setup_teardown(state_goes_where_it_came_from, enter, leave),
        cmocka_unit_test_setup_teardown(what_the_client_kept_stays, enter, leave),
        cmocka_unit_test_setup_teardown(time_and_bytes_are_bounded, enter, leave),
        cmocka_unit_test_setup_teardown(a_turn_that_is_too_long_is_not_kept, enter, leave),
        cmocka_unit_test_setup_teardown(a_call_without_state_takes_no_room, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
