// SPDX-License-Identifier: MIT
//
// expect - what a client must hold in the end when the fake provider said a given turn, for each pair of
// client dialect and upstream dialect (wire-formats 12.1 to 12.3; R42, R43, R45, R46, R74 to R77).

import assert from 'node:assert/strict';
import { joined, make_turn } from '../../../tools/fake_provider/turns.mjs';

/* What each upstream dialect can say of the reason a turn ended, and what each client dialect calls that. */
const said_by = {
    chat: { stop_sequence: 'stop', refusal: 'stop', pause: 'stop', window: 'length' },
    anthropic: { refusal: 'filter' },
    responses: { stop_sequence: 'stop', refusal: 'stop', pause: 'stop', window: 'length' },
    gemini: { stop_sequence: 'stop', refusal: 'stop', pause: 'stop', window: 'length' },
};
const heard_by = {
    chat: { stop: 'stop', stop_sequence: 'stop', length: 'length', window: 'length', tools: 'tool_calls', filter: 'content_filter', pause: 'stop' },
    anthropic: {
        stop: 'end_turn', stop_sequence: 'stop_sequence', length: 'max_tokens', window: 'model_context_window_exceeded', tools: 'tool_use', filter: 'refusal',
        pause: 'pause_turn',
    },
    responses: {
        stop: 'completed', stop_sequence: 'completed', length: 'max_output_tokens', window: 'max_output_tokens', tools: 'completed', filter: 'content_filter',
        pause: 'completed',
    },
    gemini: { stop: 'STOP', stop_sequence: 'STOP', length: 'MAX_TOKENS', window: 'MAX_TOKENS', tools: 'STOP', filter: 'SAFETY', pause: 'STOP' },
};

/* finish_word - what a client of one dialect is told about the end when an upstream of another said a turn's. */
export function finish_word(finish, upstream, client) {
    return heard_by[client][said_by[upstream][finish] ?? finish];
}

export function parsed_arguments(text) {
    return text === '' ? {} : JSON.parse(text);
}

/* check_turn - hold an answer of ask.mjs against a scenario of the fake provider. */
export function check_turn(answer, scenario, upstream, client) {
    const turn = make_turn(scenario, {}, {});
    const wanted = joined(turn);
    // The OpenAI dialects have a place of their own for the words of a refusal.
    const openai = ['chat', 'responses'];
    if (scenario === 'refusal' && openai.includes(upstream) && openai.includes(client)) {
        assert.equal(answer.refusal, wanted.text);
        assert.equal(answer.text, '');
    } else {
        assert.equal(answer.text, wanted.text, 'text');
    }
    assert.equal(answer.thinking, wanted.thinking, 'thinking');
    const ids = wanted.calls.map((call) => (upstream === 'anthropic' ? call.id.replace(/^call_/, 'toolu_') : call.id));
    assert.deepEqual(answer.calls.map((call) => call.name), wanted.calls.map((call) => call.name), 'names of calls');
    assert.deepEqual(answer.calls.map((call) => call.id), ids, 'ids of calls');
    assert.deepEqual(answer.calls.map((call) => parsed_arguments(call.arguments)), wanted.calls.map((call) => JSON.parse(call.arguments)), 'arguments');
    assert.equal(answer.finish, finish_word(wanted.finish, upstream, client), 'finish');
    check_usage(answer.usage, wanted.usage, upstream, client);
}

function check_usage(usage, wanted, upstream, client) {
    assert.ok(usage, 'usage is there');
    assert.equal(usage.in_total, wanted.input, 'input tokens');
    assert.equal(usage.out_total, wanted.output, 'output tokens');
    assert.equal(usage.cache_read, wanted.cache_read, 'cached tokens');
    // Anthropic has no counter for reasoning.
    if (client !== 'anthropic') {
        assert.equal(usage.reasoning, wanted.reasoning, 'reasoning tokens');
        assert.equal(usage.total, wanted.input + wanted.output, 'total tokens');
    }
    const writes = ['anthropic', 'responses'];
    if (writes.includes(upstream) && writes.includes(client)) assert.equal(usage.cache_write, wanted.cache_write, 'cache write tokens');
}
