// SPDX-License-Identifier: MIT
//
// harness - the tests' own tools: does the fake provider speak as the client libraries expect, do the
// decoders read what it said, and does each rule of the grammars fail when it is broken?

import test from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { make_turn } from '../../tools/fake_provider/turns.mjs';
import { chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { anthropic_stream } from '../../tools/fake_provider/write_anthropic.mjs';
import { anthropic_at, ask_anthropic, ask_openai, openai_at } from './lib/ask.mjs';
import { check_turn } from './lib/expect.mjs';
import { check_chat } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { decode_sse } from './lib/sse.mjs';
import { decode_chat_stream } from './lib/decode_chat.mjs';
import { decode_anthropic_stream } from './lib/decode_anthropic.mjs';
import { exchange, RawClient, request_bytes } from './lib/raw.mjs';

const scenarios = ['text', 'tricky', 'tool', 'text_tool', 'parallel', 'zero', 'parallel_zero', 'thinking', 'thinking_tool', 'usage', 'length', 'filter', 'refusal'];

test('the client libraries understand the fake provider', async (t) => {
    const provider = await new FakeProvider().start();
    t.after(() => provider.stop());
    for (const mode of ['stream', 'whole']) {
        for (const scenario of scenarios) {
            check_turn(await ask_openai(openai_at(provider.url), scenario, mode), scenario, 'chat', 'chat');
            check_turn(await ask_anthropic(anthropic_at(provider.url), scenario, mode), scenario, 'anthropic', 'anthropic');
        }
    }
});

test('the fake provider delivers the same in any pieces', async (t) => {
    const provider = await new FakeProvider().start();
    t.after(() => provider.stop());
    for (const how of ['', ',split=byte', ',split=random,seed=7', ',chunking=byte', ',chunking=random,seed=3', ',framing=close', ',framing=length']) {
        const body = { model: `parallel${how}`, stream: true };
        const response = await exchange(provider.port, 'POST', '/v1/chat/completions', { body });
        assert.equal(response.whole, true);
        assert.equal(decode_chat_stream(response.text).calls.length, 3, how);
    }
});

test('the fake provider ends early exactly where it is told', async (t) => {
    const provider = await new FakeProvider().start();
    t.after(() => provider.stop());
    for (const [how, seen] of [['cut_at=100', 'end'], ['reset_at=100', 'reset']]) {
        const client = await RawClient.open(provider.port);
        await client.write(request_bytes('POST', '/v1/messages', { body: { model: `text,${how}`, stream: true } }));
        const response = await client.next();
        assert.equal(response.whole, false);
        assert.equal(response.body.length, 100);
        assert.equal(await client.closed(), seen);
    }
});

test('the fake provider notes when it was left', async (t) => {
    const provider = await new FakeProvider().start();
    t.after(() => provider.stop());
    const client = await RawClient.open(provider.port);
    await client.write(request_bytes('POST', '/v1/messages', { body: { model: 'count,count=1000,pace_ms=20', stream: true } }));
    await provider.wait_for((seen) => seen.pieces > 3);
    const left_at = performance.now();
    client.destroy();
    const seen = await provider.wait_for((record) => record.outcome === 'abandoned');
    assert.ok(seen.client_closed_at - left_at < 50);
});

test('the reader of server-sent events follows the standard', () => {
    const data = (text, options) => decode_sse(text, options).events.map((event) => event.data);
    assert.deepEqual(data('\uFEFFdata: a\n\ndata:b\r\n\r\ndata:  c\r\rdata\n\n'), ['a', 'b', ' c', '']);
    assert.deepEqual(data('data: a\ndata: b\n\n: comment\n\nevent: x\n\ndata: last'), ['a\nb']);
    assert.deepEqual(data('data: last', { last: true }), ['last']);
    assert.deepEqual(decode_sse('event: e\nid: 1\ndata: x\n\ndata: y\n\n').events, [{ event: 'e', data: 'x', id: '1' }, { event: 'message', data: 'y', id: '1' }]);
});

function chat_events(scenario, change) {
    const events = chat_stream(make_turn(scenario, {}, {}), { model: 'm', stream_options: { include_usage: true } });
    const objects = events.map(({ data }) => (data === '[DONE]' ? data : JSON.parse(data)));
    const changed = change ? change(objects) ?? objects : objects;
    return changed.map((object) => ({ event: 'message', data: typeof object === 'string' ? object : JSON.stringify(object) }));
}

test('the chat grammar accepts good streams and finds each defect', () => {
    const options = { include_usage: true };
    // Real upstreams say nothing at all for a call without arguments; what we write must say {}.
    const good = scenarios.filter((scenario) => !scenario.includes('zero'));
    for (const scenario of good) assert.deepEqual(check_chat(chat_events(scenario), options), [], scenario);
    assert.ok(check_chat(chat_events('zero'), options).some((problem) => problem.includes('do not parse')));
    const defects = {
        'no [DONE]': (o) => void o.pop(),
        'after [DONE]': (o) => [...o, '[DONE]'],
        'no finish chunk': (o) => o.filter((c) => !c.choices?.[0]?.finish_reason),
        'first chunk has no role': (o) => void delete o[0].choices[0].delta.role,
        'repeats the role': (o) => { o[1].choices[0].delta.role = 'assistant'; },
        'id changed': (o) => { o[2].id = 'other'; },
        'created is not in seconds': (o) => { o[0].created = 1754000000000; },
        'is not dense': (o) => { o[1].choices[0].delta.tool_calls[0].index = 1; },
        'without id, type or name': (o) => void delete o[1].choices[0].delta.tool_calls[0].id,
        'names itself again': (o) => { o[2].choices[0].delta.tool_calls[0].function.name = 'x'; },
        'do not parse': (o) => { o[2].choices[0].delta.tool_calls[0].function.arguments = '{'; },
        'finish stop with calls': (o) => { o[o.length - 3].choices[0].finish_reason = 'stop'; },
        'no usage chunk': (o) => o.filter((c) => !c.usage),
        'does not add up': (o) => { o[o.length - 2].usage.total_tokens = 1; },
        'an error': (o) => { o.splice(2, 0, { error: { message: 'x', type: 'y', code: 'z' } }); },
        'unknown finish': (o) => { o[o.length - 3].choices[0].finish_reason = 'end_turn'; },
    };
    for (const [expected, change] of Object.entries(defects)) {
        const problems = check_chat(chat_events('parallel', change), options);
        assert.ok(problems.some((problem) => problem.includes(expected)), `${expected}: ${problems}`);
    }
    assert.ok(check_chat(chat_events('text'), { include_usage: false }).some((problem) => problem.includes('nobody asked')));
    assert.ok(check_chat(chat_events('text'), { ends: 'error', include_usage: true }).includes('no error'));
});

function anthropic_events(scenario, change) {
    const objects = anthropic_stream(make_turn(scenario, {}, {}), { model: 'm' }).map(({ data }) => JSON.parse(data));
    const changed = change ? change(objects) ?? objects : objects;
    return changed.map((object) => ({ event: object.named ?? object.type, data: JSON.stringify(object) }));
}

test('the Anthropic grammar accepts good streams and finds each defect', () => {
    for (const scenario of scenarios) assert.deepEqual(check_anthropic(anthropic_events(scenario), { translated: true }), [], scenario);
    const of = (type) => (object) => object.type === type;
    const defects = {
        'no message_stop': (o) => void o.pop(),
        'after the end': (o) => [...o, { type: 'message_stop' }],
        'before message_start': (o) => void o.shift(),
        'a second message_start': (o) => void o.splice(1, 0, o[0]),
        'which is not open': (o) => void o.splice(o.findIndex(of('content_block_start')), 1),
        'starts inside block': (o) => void o.splice(o.findIndex(of('content_block_stop')), 1),
        'expected 0': (o) => { o.find(of('content_block_start')).index = 1; },
        'in a thinking block': (o) => { o.find(of('content_block_delta')).delta = { type: 'text_delta', text: 'x' }; },
        'after the signature': (o) => { o.splice(o.findIndex((e) => e.delta?.type === 'signature_delta') + 1, 0, o.find(of('content_block_delta'))); },
        'starts with input': (o) => { o.find((e) => e.content_block?.type === 'tool_use').content_block.input = { a: 1 }; },
        'before a stop_reason': (o) => o.filter((e) => e.type !== 'message_delta'),
        'unknown stop_reason': (o) => { o.find(of('message_delta')).delta.stop_reason = 'unknown'; },
        'end_turn with tool_use': (o) => { o.find(of('message_delta')).delta.stop_reason = 'end_turn'; },
        'does not repeat input_tokens': (o) => void delete o.find(of('message_delta')).usage.input_tokens,
        'does not parse': (o) => { o.find((e) => e.delta?.partial_json === '{"city":').delta.partial_json = '{'; },
        'named x': (o) => { o[1].named = 'x'; },
        'an error': (o) => { o.splice(3, 99, { type: 'error', error: { type: 'api_error', message: 'x' } }); },
    };
    for (const [expected, change] of Object.entries(defects)) {
        const problems = check_anthropic(anthropic_events('thinking_tool', change), { translated: true });
        assert.ok(problems.some((problem) => problem.includes(expected)), `${expected}: ${problems}`);
    }
});

test('the decoders agree with the turns they read', () => {
    for (const scenario of scenarios) {
        const turn = make_turn(scenario, {}, {});
        const frame = (events) => events.map(({ event, data }) => `${event ? `event: ${event}\n` : ''}data: ${data}\n\n`).join('');
        const text = turn.blocks.filter((block) => block.type === 'text').map((block) => block.pieces.join('')).join('');
        const chat = decode_chat_stream(frame(chat_stream(turn, { model: 'm' })));
        const anthropic = decode_anthropic_stream(frame(anthropic_stream(turn, { model: 'm' })));
        assert.equal(chat.text + chat.refusal, text);
        assert.equal(anthropic.text, text);
        assert.equal(chat.thinking, anthropic.thinking);
        assert.deepEqual(chat.calls.map((call) => call.arguments), anthropic.calls.map((call) => call.arguments));
    }
});
