/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_state.c - opaque state, citations, images and things of other dialects, on their
 * way to a Messages client and back again: what is carried, in which wrapper, and what is counted
 * as unsaid.
 */
#include "tests/unit/providers/asking.h"
#include "tests/unit/providers/messages.h"

#define GEMINI_G "penstock.1.gemini.Rw"       /* G */
#define GEMINI_H "penstock.1.gemini.SA"       /* H */
#define RESPONSES_R "penstock.1.responses.Ug" /* R */

#define STATE(n, wrapped) THINK_START(n) SIGN(n, wrapped) STOP(n)
#define BEGIN START(5, 0)
#define ENDED FINISH("end_turn", "null", NO_USAGE) END
#define CALLED FINISH("tool_use", "null", NO_USAGE) END

#define SIGNED_CALL(n, call, state)                                                                \
    {                                                                                              \
        .kind = CANON_OPEN, .type = BLOCK_CALL, .block = (n), .id = S(call), .name = S("f"),       \
        .signature = S(state), .origin = ORIGIN_GEMINI                                             \
    }
#define SIGNS(n, kind_of, state, whose)                                                            \
    {                                                                                              \
        .kind = CANON_DELTA, .type = kind_of, .block = (n), .signature = S(state), .origin = whose \
    }

/* What one batch of events becomes, and how much of it stays unsaid. */
static void
says(const struct canon_event *events, int count, bool stream, const char *expected,
     uint32_t unsaid)
{
    struct writing at;
    open_writer(&at, stream, false);
    assert_int_equal(give(&at, events, count, 0), 0);
    if (!stream)
        assert_int_equal(anthropic_dialect.write_whole(at.writer, &at.out), 0);
    sink_byte(&at.out, '\0');
    assert_string_equal(at.out.ptr, expected);
    assert_int_equal(at.unsaid, unsaid);
    close_writer(&at);
}

#define WHOLE(content, reason)                                                                     \
    "{\"id\":\"msg_abc\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"my "              \
    "\\\"model\",\"content\":[" content "],\"stop_reason\":\"" reason                              \
    "\",\"stop_sequence\":null,\"usage\":{" NO_USAGE "}}"

static void
wraps_state_of_other_origins(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        {.kind = CANON_OPEN, .type = BLOCK_THINKING},
        ADD(0, BLOCK_THINKING, "hm"),
        SIGNS(0, BLOCK_THINKING, "R", ORIGIN_RESPONSES),
        CLOSE(0, BLOCK_THINKING),
        {.kind = CANON_OPEN,
         .type = BLOCK_REDACTED,
         .block = 1,
         .data = S("R"),
         .origin = ORIGIN_RESPONSES},
        CLOSE(1, BLOCK_REDACTED),
        {.kind = CANON_OPEN, .type = BLOCK_THINKING, .block = 2},
        SIGNS(2, BLOCK_THINKING, "own", ORIGIN_ANTHROPIC),
        CLOSE(2, BLOCK_THINKING),
        ENDS(FINISH_STOP),
    };
    says(events, countof(events), true,
         BEGIN THINK_START(0) THINK(0, "hm") SIGN(0, RESPONSES_R) STOP(0) BLOCK(
             1, "\"type\":\"redacted_thinking\",\"data\":\"penstock.1.responses-redacted.Ug\"")
             STOP(1) STATE(2, "own") ENDED,
         0);
    says(events, countof(events), false,
         WHOLE("{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"" RESPONSES_R "\"},"
               "{\"type\":\"redacted_thinking\",\"data\":\"penstock.1.responses-redacted.Ug\"},"
               "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"own\"}",
               "end_turn"),
         0);
}

/* Parallel calls, the first signed as a whole, the second by a delta of the same upstream event
 * (P28, P31). */
static void
puts_the_state_of_a_call_before_it(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},    OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "t"),  CLOSE(0, BLOCK_TEXT),
        SIGNED_CALL(1, "a", "G"), ADD(1, BLOCK_CALL, "{}"),
        CLOSE(1, BLOCK_CALL),     OPEN_CALL(2, "b", "f"),
        ADD(2, BLOCK_CALL, "{}"), SIGNS(2, BLOCK_CALL, "H", ORIGIN_GEMINI),
        CLOSE(2, BLOCK_CALL),     OPEN_CALL(3, "c", "f"),
        ADD(3, BLOCK_CALL, "{}"), CLOSE(3, BLOCK_CALL),
        ENDS(FINISH_CALLS),
    };
    says(events, countof(events), true,
         BEGIN TEXT_START(0) TEXT(0, "t") STOP(0) STATE(1, GEMINI_G) CALL_START(2, "a", "f")
             JSON(2, "{}") STOP(2) STATE(3, GEMINI_H) CALL_START(4, "b", "f") JSON(4, "{}") STOP(4)
                 CALL_START(5, "c", "f") JSON(5, "{}") STOP(5) CALLED,
         0);
}

/* A call that waits for another keeps its state; one that comes too late is counted. */
static void
keeps_the_state_of_a_call_that_waits(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},    SIGNED_CALL(0, "a", "G"),
        ADD(0, BLOCK_CALL, "{"),  SIGNED_CALL(1, "b", "H"),
        ADD(1, BLOCK_CALL, "{}"), SIGNS(1, BLOCK_CALL, "H", ORIGIN_GEMINI),
        ADD(0, BLOCK_CALL, "}"),  CLOSE(0, BLOCK_CALL),
        CLOSE(1, BLOCK_CALL),     ENDS(FINISH_CALLS),
    };
    says(events, countof(events), true,
         BEGIN STATE(0, GEMINI_G) CALL_START(1, "a", "f") JSON(1, "{") JSON(1, "}") STOP(1)
             STATE(2, GEMINI_H) CALL_START(3, "b", "f") JSON(3, "{}") STOP(3) CALLED,
         0);
    const struct canon_event first[] = {{.kind = CANON_START}, OPEN_CALL(0, "a", "f")};
    const struct canon_event then[] = {SIGNS(0, BLOCK_CALL, "G", ORIGIN_GEMINI),
                                       CLOSE(0, BLOCK_CALL), ENDS(FINISH_CALLS)};
    struct writing at;
    open_writer(&at, true, false);
    assert_int_equal(give(&at, first, countof(first), 0), 0);
    assert_int_equal(give(&at, then, countof(then), 0), 0);
    sink_byte(&at.out, '\0');
    assert_string_equal(at.out.ptr, BEGIN CALL_START(0, "a", "f") JSON(0, "{}") STOP(0) CALLED);
    assert_int_equal(at.unsaid, 1);
    close_writer(&at);
}

/* The state of a text stands behind it, unless it would be taken for that of the call that follows.
 */
static void
puts_the_state_of_a_text_behind_it(void **state)
{
    (void)state;
    const struct canon_event last[] = {
        {.kind = CANON_START},   OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "t"), SIGNS(0, BLOCK_TEXT, "G", ORIGIN_GEMINI),
        CLOSE(0, BLOCK_TEXT),    ENDS(FINISH_STOP),
    };
    says(last, countof(last), true,
         BEGIN TEXT_START(0) TEXT(0, "t") STOP(0) STATE(1, GEMINI_G) ENDED, 0);
    const struct canon_event before_signed[] = {
        {.kind = CANON_START},   OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "t"), SIGNS(0, BLOCK_TEXT, "G", ORIGIN_GEMINI),
        CLOSE(0, BLOCK_TEXT),    SIGNED_CALL(1, "a", "H"),
        CLOSE(1, BLOCK_CALL),    ENDS(FINISH_CALLS),
    };
    says(before_signed, countof(before_signed), true,
         BEGIN TEXT_START(0) TEXT(0, "t") STOP(0) STATE(1, GEMINI_G) STATE(2, GEMINI_H)
             CALL_START(3, "a", "f") JSON(3, "{}") STOP(3) CALLED,
         0);
    const struct canon_event before_unsigned[] = {
        {.kind = CANON_START},   OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "t"), SIGNS(0, BLOCK_TEXT, "G", ORIGIN_GEMINI),
        CLOSE(0, BLOCK_TEXT),    OPEN_CALL(1, "a", "f"),
        CLOSE(1, BLOCK_CALL),    ENDS(FINISH_CALLS),
    };
    says(before_unsigned, countof(before_unsigned), true,
         BEGIN TEXT_START(0) TEXT(0, "t") STOP(0) CALL_START(1, "a", "f") JSON(1, "{}") STOP(1)
             CALLED,
         1);
}

static void
notes_images(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "see"),
        CLOSE(0, BLOCK_TEXT),
        {.kind = CANON_OPEN, .type = BLOCK_IMAGE, .block = 1, .name = S("image/png")},
        {.kind = CANON_DELTA, .type = BLOCK_IMAGE, .block = 1, .data = S("AAAABBBB")},
        {.kind = CANON_DELTA, .type = BLOCK_IMAGE, .block = 1, .data = S("CCCC")},
        CLOSE(1, BLOCK_IMAGE),
        ENDS(FINISH_STOP),
    };
    says(events, countof(events), true,
         BEGIN TEXT_START(0) TEXT(0, "see") STOP(0) TEXT_START(1)
             TEXT(1, "[image: image/png, 9 bytes]") STOP(1) ENDED,
         1);
    says(events, countof(events), false,
         WHOLE("{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"text\",\"text\":\"[image: "
               "image/png, 9 bytes]\"}",
               "end_turn"),
         1);
}

static void
writes_own_citations_only(void **state)
{
    (void)state;
    const struct canon_citation own = {.native = S("{\"type\":\"x\",\n\"n\":1}"),
                                       .origin = ORIGIN_ANTHROPIC};
    const struct canon_citation other = {
        .url = S("http://a"), .native = S("{}"), .origin = ORIGIN_RESPONSES};
    struct canon_citation copies[2] = {own, other};
    const struct canon_event events[] = {
        {.kind = CANON_START},
        OPEN_TEXT(0),
        ADD(0, BLOCK_TEXT, "a"),
        {.kind = CANON_CITATION, .type = BLOCK_TEXT, .citation = &copies[0]},
        {.kind = CANON_CITATION, .type = BLOCK_TEXT, .citation = &copies[1]},
        {.kind = CANON_CITATION, .type = BLOCK_TEXT, .citation = &copies[0]},
        CLOSE(0, BLOCK_TEXT),
        OPEN_TEXT(1),
        ADD(1, BLOCK_TEXT, "b"),
        CLOSE(1, BLOCK_TEXT),
        {.kind = CANON_CITATION, .type = BLOCK_TEXT, .citation = &copies[0]},
        ENDS(FINISH_STOP),
    };
#define CITES(n)                                                                                   \
    EVENT("content_block_delta",                                                                   \
          ",\"index\":" #n                                                                         \
          ",\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\":\"x\", \"n\":1}}")
    says(events, countof(events), true,
         BEGIN TEXT_START(0) TEXT(0, "a") CITES(0) CITES(0) STOP(0) TEXT_START(1) TEXT(1, "b")
             STOP(1) ENDED,
         2);
    says(events, countof(events), false,
         WHOLE("{\"type\":\"text\",\"text\":\"a\",\"citations\":[{\"type\":\"x\",\n\"n\":1},{"
               "\"type\":\"x\",\n\"n\":1}]},"
               "{\"type\":\"text\",\"text\":\"b\"}",
               "end_turn"),
         2);
}

/* A whole reply of our own dialect, replayed as a stream, keeps the blocks that only its clients
 * know. */
static void
replays_own_blocks_and_counts_others(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        {.kind = CANON_OPEN,
         .type = BLOCK_NATIVE,
         .name = S("server_tool_use"),
         .origin = ORIGIN_ANTHROPIC,
         .native = S("{\"type\":\"server_tool_use\",\"id\":\"s\"}")},
        {.kind = CANON_NATIVE,
         .type = BLOCK_NATIVE,
         .origin = ORIGIN_ANTHROPIC,
         .native = S("{\"type\":\"d\"}")},
        CLOSE(0, BLOCK_NATIVE),
        {.kind = CANON_OPEN,
         .type = BLOCK_NATIVE,
         .block = 1,
         .name = S("executableCode"),
         .origin = ORIGIN_GEMINI,
         .native = S("{}")},
        CLOSE(1, BLOCK_NATIVE),
        {.kind = CANON_NATIVE, .name = S("groundingMetadata"), .native = S("{}")},
        ENDS(FINISH_STOP),
    };
    says(events, countof(events), true,
         BEGIN BLOCK(0, "\"type\":\"server_tool_use\",\"id\":\"s\"")
             EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"d\"}") STOP(0) ENDED,
         2);
    says(events, countof(events), false,
         WHOLE("{\"type\":\"server_tool_use\",\"id\":\"s\"}", "end_turn"), 3);
}

static void
says_why_it_refused(void **state)
{
    (void)state;
    const struct canon_event events[] = {
        {.kind = CANON_START},
        {.kind = CANON_FINISH, .finish = FINISH_FILTER},
        {.kind = CANON_NATIVE,
         .name = S("stop_details"),
         .origin = ORIGIN_ANTHROPIC,
         .native = S("{\"type\":\"refusal\"}")},
        {.kind = CANON_END},
    };
    says(events, countof(events), true,
         BEGIN FINISH("refusal", "null,\"stop_details\":{\"type\":\"refusal\"}", NO_USAGE) END, 0);
}

/* ---------------------------------------------------------------- on the way back */

/* The parts of one assistant turn, a line each. */
static void
reads_back(const char *content, const char *expected)
{
    static const char *const kinds[] = {[PART_TEXT] = "text",
                                        [PART_CALL] = "call",
                                        [PART_THINKING] = "thinking",
                                        [PART_REDACTED] = "redacted"};
    struct asking asking;
    struct sink out;
    char body[2048];
    sink_init(&out, 65536);
    (void)snprintf(body, sizeof(body),
                   "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[%s]}]}",
                   content);
    asking_read(&asking, &anthropic_dialect, body);
    assert_int_equal(asking.error, 0);
    for (const struct canon_part *part = asking.request.messages->parts; part; part = part->next) {
        sink_printf(&out, "%s %.*s %.*s%.*s\n", kinds[part->kind], SLICE_ARG(part->text),
                    SLICE_ARG(part->signature), SLICE_ARG(part->data));
        if (part->signature.len > 0 || part->data.len > 0)
            sink_printf(&out, "  of %s\n", canon_origin_name(part->origin));
    }
    sink_byte(&out, '\0');
    assert_string_equal(out.ptr, expected);
    sink_fini(&out);
    asking_close(&asking);
}

#define IN_TEXT(words) "{\"type\":\"text\",\"text\":\"" words "\"}"
#define IN_CALL(id) "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f\",\"input\":{}}"
#define IN_THOUGHT(words, state)                                                                   \
    "{\"type\":\"thinking\",\"thinking\":\"" words "\",\"signature\":\"" state "\"}"
#define IN_REDACTED(state) "{\"type\":\"redacted_thinking\",\"data\":\"" state "\"}"

static void
unwraps_what_it_wrapped(void **state)
{
    (void)state;
    reads_back(IN_THOUGHT("hm", "own") "," IN_THOUGHT("", "own"),
               "thinking hm own\n  of anthropic\nthinking  own\n  of anthropic\n");
    reads_back(IN_THOUGHT("hm", RESPONSES_R) "," IN_REDACTED(
                   "penstock.1.responses-redacted.Ug") "," IN_REDACTED("QUJD"),
               "thinking hm R\n  of responses\nredacted  R\n  of responses\nredacted  QUJD\n  of "
               "anthropic\n");
    reads_back(IN_THOUGHT("hm", "penstock.1.unsigned.") "," IN_THOUGHT(
                   "", "penstock.1.else.UQ") "," IN_REDACTED("penstock.9.x"),
               "thinking hm \nthinking  \nredacted  \n");
}

static void
gives_states_back_to_their_owners(void **state)
{
    (void)state;
    reads_back(IN_TEXT("t") "," IN_THOUGHT("", GEMINI_G) "," IN_THOUGHT("", GEMINI_H) "," IN_CALL(
                   "a") "," IN_CALL("b"),
               "text t G\n  of gemini\ncall  H\n  of gemini\ncall  \n");
    reads_back(IN_TEXT("t") "," IN_THOUGHT("", GEMINI_G), "text t G\n  of gemini\n");
    reads_back(
        IN_THOUGHT("", GEMINI_G) "," IN_CALL("a") "," IN_THOUGHT("", GEMINI_H) "," IN_CALL("b"),
        "call  G\n  of gemini\ncall  H\n  of gemini\n");
    /* A thought keeps its own, an orphan stays where it was, and Responses' reasoning needs no
     * text. */
    reads_back(IN_THOUGHT("hm", GEMINI_G) "," IN_CALL("a"), "thinking hm G\n  of gemini\ncall  \n");
    reads_back(IN_CALL("a") "," IN_THOUGHT("", GEMINI_G), "call  \nthinking  G\n  of gemini\n");
    reads_back(IN_THOUGHT("", RESPONSES_R) "," IN_CALL("a"),
               "thinking  R\n  of responses\ncall  \n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_state_of_other_origins),
        cmocka_unit_test(puts_the_state_of_a_call_before_it),
        cmocka_unit_test(keeps_the_state_of_a_call_that_waits),
        cmocka_unit_test(puts_the_state_of_a_text_behind_it),
        cmocka_unit_test(notes_images),
        cmocka_unit_test(writes_own_citations_only),
        cmocka_unit_test(replays_own_blocks_and_counts_others),
        cmocka_unit_test(says_why_it_refused),
        cmocka_unit_test(unwraps_what_it_wrapped),
        cmocka_unit_test(gives_states_back_to_their_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
