// SPDX-License-Identifier: MIT
//
// expect - what a client must hold in the end when the fake provider said a given turn, for each pair of
// client dialect and upstream dialect (wire-formats 12.1 to 12.3; R42, R43, R45, R46, R74 to R77).

import assert from 'node:assert/strict';
import { joined, make_turn } from '../../../tools/fake_provider/turns.mjs';

/* What each upstream dialect can say at all, and what each client dialect calls it. */
const finish_of = {
    'chat>chat': { stop: 'stop', length: 'length', tools: 'tool_calls', filter: 'content_filter', stop_sequence: 'stop', refusal: 'stop', pause: 'stop', window: 'length' },
    'anthropic>chat': { stop: 'stop', length: 'length', tools: 'tool_calls', filter: 'content_filter', stop_sequence: 'stop', refusal: 'content_filter', pause: 'stop', window: 'length' },
    'chat>anthropic': { stop: 'end_turn', length: 'max_tokens', tools: 'tool_use', filter: 'refusal', stop_sequence: 'end_turn', refusal: 'end_turn', pause: 'end_turn', window: 'max_tokens' },
    'anthropic>anthropic': {
        stop: 'end_turn', length: 'max_tokens', tools: 'tool_use', filter: 'refusal', stop_sequence: 'stop_sequence', refusal: 'refusal',
        pause: 'pause_turn', window: 'model_context_window_exceeded',
    },
};

export function parsed_arguments(text) {
    return text === '' ? {} : JSON.parse(text);
}

/* check_turn - hold an answer of ask.mjs against a scenario of the fake provider. */
export function check_turn(answer, scenario, upstream, client) {
    const turn = make_turn(scenario, {}, {});
    const wanted = joined(turn);
    const refused_in_chat = scenario === 'refusal' && upstream === 'chat';
    if (refused_in_chat && client === 'chat') {
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
    assert.equal(answer.finish, finish_of[`${upstream}>${client}`][wanted.finish], 'finish');
    check_usage(answer.usage, wanted.usage, upstream, client);
}

function check_usage(usage, wanted, upstream, client) {
    assert.ok(usage, 'usage is there');
    assert.equal(usage.in_total, wanted.input, 'input tokens');
    assert.equal(usage.out_total, wanted.output, 'output tokens');
    assert.equal(usage.cache_read, wanted.cache_read, 'cached tokens');
    if (client === 'chat') {
        assert.equal(usage.reasoning, wanted.reasoning, 'reasoning tokens');
        assert.equal(usage.total, wanted.input + wanted.output, 'total tokens');
    } else if (upstream === 'anthropic') {
        assert.equal(usage.cache_write, wanted.cache_write, 'cache write tokens');
    }
}
