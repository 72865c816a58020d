/* SPDX-License-Identifier: MIT
 *
 * fuzz_filters.c - the filters over events (think, textcall, inputs, custom) and the guard behind
 * them: a text in one piece and the same text in many say the same, and what comes out keeps the
 * grammar of events.
 *
 * Input: which filters, a byte that seeds the pieces, then a text: of the reply, or of a call's
 * arguments.
 */
#include "providers/custom.h"
#include "providers/inputs.h"
#include "providers/textcall.h"
#include "providers/think.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

enum { USE_THINK = 1, USE_TEXTCALL = 2, USE_INPUTS = 4, USE_CUSTOM = 8, IS_CALL = 16, IS_CUT = 32 };

struct chain {
    struct arena arena, scratch;
    struct canon_events events;
    struct canon_think think;
    struct canon_textcall textcall;
    struct canon_inputs inputs;
    struct canon_custom custom;
    struct canon_guard guard;
    unsigned use;
    struct sink *out;
    int64_t open; /* the block whose text was written last; -1: none */
};

static const struct canon_input_rules rules = {
    .drop_empty = true,
    .exclusive = SLICE_LIT("[[\"a\",\"b\",\"c\"]]"),
    .drop_calls = SLICE_LIT("[\"drop*\"]"),
};

/* Blocks in the order of their opening, each text in one run however it came. */
static void
put_events(struct chain *chain)
{
    struct sink *out = chain->out;
    for (int i = 0; i < chain->events.count; i++) {
        const struct canon_event *at = &chain->events.at[i];
        bool more = at->kind == CANON_DELTA && chain->open == at->block;
        if (!more && (at->kind != CANON_DELTA || at->text.len > 0))
            sink_printf(out, "\n%d %u %d %d '%.*s' '%.*s' ", (int)at->kind, (unsigned)at->block,
                        (int)at->type, (int)at->finish, SLICE_ARG(at->id), SLICE_ARG(at->name));
        sink_put(out, at->text);
        if (at->kind != CANON_DELTA)
            chain->open = -1;
        else if (at->text.len > 0)
            chain->open = at->block;
    }
}

static int
pass(struct chain *chain)
{
    int error = 0;
    if (chain->use & USE_THINK)
        error = canon_think_filter(&chain->think, &chain->events);
    if (error == 0 && chain->use & USE_TEXTCALL)
        error = canon_textcall_filter(&chain->textcall, &chain->events);
    if (error == 0 && chain->use & USE_INPUTS)
        error = canon_inputs_filter(&chain->inputs, &chain->events);
    assert(error == 0);
    error = canon_guard_check(&chain->guard, &chain->events);
    assert(error == 0 || error == -ERR_TOOL_CALL);
    if (error == 0 && chain->use & USE_CUSTOM)
        assert(canon_custom_filter(&chain->custom, &chain->events) == 0);
    if (error == 0)
        put_events(chain);
    canon_events_clear(&chain->events);
    arena_reset(&chain->scratch);
    return error;
}

static struct canon_event *
add(struct chain *chain, enum canon_event_kind kind)
{
    struct canon_event *event = canon_add(&chain->events, kind);
    assert(event);
    event->type = chain->use & IS_CALL ? BLOCK_CALL : BLOCK_TEXT;
    return event;
}

/* One escape, or one character; readers cut nowhere else. */
static size_t
unit_len(struct slice text)
{
    size_t n = 1;
    if (text.ptr[0] == '\\')
        return text.ptr[1] == 'u' ? 6 : 2;
    while (n < text.len && ((unsigned char)text.ptr[n] & 0xc0) == 0x80)
        n++;
    return n;
}

static void
open_chain(struct chain *chain, unsigned use, struct sink *out)
{
    static struct canon_tool tool = {.kind = TOOL_CUSTOM, .name = SLICE_LIT("shell")};
    const struct canon_request request = {.tools = &tool};
    memset(chain, 0, sizeof(*chain));
    chain->use = use;
    chain->out = out;
    chain->open = -1;
    arena_init(&chain->arena, 64u << 20);
    arena_init(&chain->scratch, 64u << 20);
    canon_events_init(&chain->events, &chain->scratch);
    canon_think_init(&chain->think, &chain->arena);
    canon_textcall_init(&chain->textcall, &chain->arena);
    canon_inputs_init(&chain->inputs, &rules, &chain->arena);
    assert(canon_custom_init(&chain->custom, &request, &chain->arena) == 0);
    canon_guard_init(&chain->guard, &chain->arena);
}

static int
run(unsigned use, uint32_t seed, bool whole, struct slice text, struct sink *out)
{
    struct chain chain;
    open_chain(&chain, use, out);
    add(&chain, CANON_START)->id = SLICE_LIT("r1");
    struct canon_event *event = add(&chain, CANON_OPEN);
    if (use & IS_CALL) {
        event->id = SLICE_LIT("c1");
        event->name = use & IS_CUT ? SLICE_LIT("dropped") : use & USE_CUSTOM ? SLICE_LIT("shell") : SLICE_LIT("f");
    }
    int error = pass(&chain);
    while (error == 0 && text.len > 0) {
        seed = seed * 1664525 + 1013904223;
        size_t n = whole ? text.len : 0, wanted = 1 + (seed >> 24) % 29;
        while (n < text.len && n < wanted)
            n += unit_len(slice_skip(text, n));
        add(&chain, CANON_DELTA)->text = slice_take(text, n);
        text = slice_skip(text, n);
        error = pass(&chain);
    }
    if (error == 0) {
        add(&chain, CANON_CLOSE);
        add(&chain, CANON_FINISH)->finish = use & IS_CUT ? FINISH_LENGTH : use & IS_CALL ? FINISH_CALLS : FINISH_STOP;
        add(&chain, CANON_END);
        error = pass(&chain);
        assert(error != 0 || (chain.guard.ended && chain.guard.open_blocks == 0));
    }
    canon_textcall_fini(&chain.textcall);
    canon_inputs_fini(&chain.inputs);
    arena_fini(&chain.arena);
    arena_fini(&chain.scratch);
    return error;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2 || n > 16384)
        return 0;
    struct slice text = slice_of(bytes + 2, n - 2);
    struct sink quoted, whole, split;
    struct json_scan scan;
    sink_init(&quoted, 1u << 20);
    sink_byte(&quoted, '"');
    if (bytes[0] & 64)
        sink_put(&quoted, text); /* with escapes of its own */
    else
        json_escape(&quoted, text);
    sink_byte(&quoted, '"');
    text = slice_of(quoted.ptr + 1, quoted.len - 2);
    if (json_scan(sink_slice(&quoted), 1, &scan) == 0) {
        sink_init(&whole, 4u << 20);
        sink_init(&split, 4u << 20);
        int error = run(bytes[0], 0, true, text, &whole);
        int again = run(bytes[0], bytes[1], false, text, &split);
        if (error != again || (error == 0 && !slice_eq(sink_slice(&whole), sink_slice(&split)))) {
            fprintf(stderr, "whole %d:%.*s\nsplit %d:%.*s\n", error, SLICE_ARG(sink_slice(&whole)), again,
                    SLICE_ARG(sink_slice(&split)));
            abort();
        }
        sink_fini(&whole);
        sink_fini(&split);
    }
    sink_fini(&quoted);
    return 0;
}
