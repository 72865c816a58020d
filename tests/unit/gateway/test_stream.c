/* SPDX-License-Identifier: MIT
 *
 * test_stream.c - the shape of the stream table, whatever the actions do: no dead ends, no way past
 * the end, and nothing that a waiting stream could sleep through. tests/sim takes its rows.
 */
#include "gateway/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static enum stream_state
next(int state, int event, const char **action)
{
    return stream_next((enum stream_state)state, (enum stream_event)event, action);
}

static bool
has(int state, int event)
{
    return next(state, event, NULL) != STATE_COUNT;
}

static void
test_names(void **unused)
{
    (void)unused;
    for (int i = 0; i < STATE_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(stream_state_name((enum stream_state)i),
                                    stream_state_name((enum stream_state)k));
    for (int i = 0; i < EVENT_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(stream_event_name((enum stream_event)i),
                                    stream_event_name((enum stream_event)k));
    for (int i = 0; i < END_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(stream_end_name((enum stream_end)i),
                                    stream_end_name((enum stream_end)k));
    assert_string_equal(stream_state_name(STATE_RELAY), "RELAY");
    assert_string_equal(stream_event_name(EVENT_PING_DUE), "PING_DUE");
    assert_string_equal(stream_end_name(END_CLIENT_CLOSE), "client_close");
    assert_string_equal(stream_state_name(STATE_COUNT), "?");
    assert_string_equal(stream_event_name(EVENT_COUNT), "?");
    assert_string_equal(stream_end_name(END_COUNT), "?");
}

/* Urgent things first: whoever has gone need not be told that there is room. */
static void
test_notices_are_taken_in_their_order(void **unused)
{
    (void)unused;
    assert_int_equal(EVENT_CLIENT_GONE, 0);
    assert_true(EVENT_TOTAL_DUE < EVENT_STEP_DUE);
    assert_true(EVENT_STEP_DUE < EVENT_UPSTREAM_LOST);
    assert_true(EVENT_UPSTREAM_LOST < EVENT_UPSTREAM_UP);
    assert_true(EVENT_UPSTREAM_UP < EVENT_UPSTREAM_BYTES);
    assert_true(EVENT_UPSTREAM_BYTES < EVENT_CLIENT_BYTES);
    assert_true(EVENT_CLIENT_EMPTY < EVENT_PING_DUE);
    assert_true(EVENT_NOTICES < 32); /* they are bits */
}

static void
test_closed_is_the_end(void **unused)
{
    (void)unused;
    for (int event = 0; event < EVENT_COUNT; event++)
        assert_false(has(STATE_CLOSED, event));
    for (int state = 0; state < STATE_COUNT; state++)
        assert_false(has(state, EVENT_NONE));
}

/* A client may go, and time may pass, in every state. While its answer is under way somebody may follow the stream (R26), so that
 * lose_client decides, with LEAVE as its way out. */
static void
test_nothing_can_be_slept_through(void **unused)
{
    (void)unused;
    for (int state = 0; state < STATE_CLOSED; state++) {
        const char *action = "";
        bool answering = state >= STATE_DIAL && state <= STATE_STALL;
        assert_int_equal(next(state, EVENT_CLIENT_GONE, &action), answering ? state : STATE_CLOSED);
        if (answering) {
            assert_string_equal(action, "lose_client");
            assert_int_equal(next(state, EVENT_LEAVE, NULL), STATE_CLOSED);
        }
        assert_true(has(state, EVENT_STEP_DUE));
        if (state != STATE_IDLE && state != STATE_FINISH)
            assert_true(has(state, EVENT_TOTAL_DUE));
        if (state >= STATE_SEND && state <= STATE_RELAY)
            assert_true(has(state, EVENT_UPSTREAM_BYTES));
        if (state >= STATE_DIAL && state <= STATE_RELAY) { /* the client is waiting */
            assert_true(has(state, EVENT_CLIENT_BYTES));
            assert_true(has(state, EVENT_COMMIT_DUE));
            assert_true(has(state, EVENT_PING_DUE));
        }
    }
}

/* Whatever judge may answer has a row wherever judge may be called. */
static void
test_verdicts_have_rows(void **unused)
{
    (void)unused;
    for (int state = 0; state < STATE_CLOSED; state++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            const char *action = "";
            enum stream_state to = next(state, event, &action);
            if (to == STATE_COUNT)
                continue;
            if (strcmp(action, "judge") == 0) {
                assert_true(to == (enum stream_state)state);
                assert_true(has(to, EVENT_BREAK) || has(to, EVENT_REJECT));
                assert_true(has(to, EVENT_BREAK) &&
                            (to == STATE_STALL || (has(to, EVENT_REJECT) && has(to, EVENT_NEXT))));
            }
            if (strcmp(action, "pump") == 0 || strcmp(action, "resume") == 0) {
                assert_true(has(to, EVENT_UPSTREAM_BYTES));
                assert_true(has(to, EVENT_FAILED) && has(to, EVENT_CLIENT_FULL) &&
                            has(to, EVENT_REPLY_DONE));
            }
            if (strcmp(action, "part") == 0)
                assert_true(has(to, EVENT_KEEP) && has(to, EVENT_LEAVE) && has(to, EVENT_FAILED));
            if (strcmp(action, "read_reply") == 0)
                assert_true(has(to, EVENT_REPLY_OK) && has(to, EVENT_REPLY_WHOLE) &&
                            has(to, EVENT_FAILED));
            if (to == STATE_FINISH && state != STATE_FINISH)
                assert_true(has(to, EVENT_CLIENT_ROOM) && has(to, EVENT_CLIENT_EMPTY));
        }
    }
}

/* From everywhere there is a way to the end and back to IDLE; from IDLE there is a way everywhere.
 */
static void
test_no_dead_ends(void **unused)
{
    bool way[STATE_COUNT][STATE_COUNT] = {{false}};
    (void)unused;
    for (int state = 0; state < STATE_COUNT; state++) {
        way[state][state] = true;
        for (int event = 0; event < EVENT_COUNT; event++)
            if (has(state, event))
                way[state][next(state, event, NULL)] = true;
    }
    for (int via = 0; via < STATE_COUNT; via++)
        for (int from = 0; from < STATE_COUNT; from++)
            for (int to = 0; to < STATE_COUNT; to++)
                way[from][to] = way[from][to] || (way[from][via] && way[via][to]);
    for (int state = 0; state < STATE_COUNT; state++) {
        assert_true(way[STATE_IDLE][state]);
        assert_true(way[state][STATE_CLOSED]);
        assert_true(state == STATE_CLOSED || way[state][STATE_IDLE]);
    }
}

/* Ten thousand quiet streams are worth nothing but memory: what each holds is a budget, codecs and names come on top. What only
 * tries, few streams or whole replies need belongs behind a pointer. */
static void
test_a_quiet_stream_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct stream) <= 1648);
    assert_true(sizeof(struct stream) + 2 * sizeof(struct conn) + sizeof(struct upstream) <= 2640);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_notices_are_taken_in_their_order),
        cmocka_unit_test(test_closed_is_the_end),
        cmocka_unit_test(test_nothing_can_be_slept_through),
        cmocka_unit_test(test_verdicts_have_rows),
        cmocka_unit_test(test_no_dead_ends),
        cmocka_unit_test(test_a_quiet_stream_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
