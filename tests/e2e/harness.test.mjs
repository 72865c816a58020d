// SPDX-License-Identifier: MIT
//
// harness - the tests' own tools: does the fake provider speak as the client libraries expect, do the
// decoders read what it said, and does each rule of the grammars fail when it is broken?

import test from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider, place_of } from '../../tools/fake_provider/provider.mjs';
import { joined, make_turn } from '../../tools/fake_provider/turns.mjs';
import { chat_json, chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { anthropic_json, anthropic_stream } from '../../tools/fake_provider/write_anthropic.mjs';
import { responses_break, responses_json, responses_stream } from '../../tools/fake_provider/write_responses.mjs';
import { frame_array, gemini_error, gemini_json, gemini_stream } from '../../tools/fake_provider/write_gemini.mjs';
import { anthropic_at, ask_anthropic, ask_google, ask_openai, ask_responses, google_at, openai_at } from './lib/ask.mjs';
import { check_turn } from './lib/expect.mjs';
import { check_chat } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { check_response_object, check_responses } from './lib/grammar_responses.mjs';
import { check_gemini, check_gemini_chunks } from './lib/grammar_gemini.mjs';
import { decode_sse } from './lib/sse.mjs';
import { decode_chat_object, decode_chat_stream } from './lib/decode_chat.mjs';
import { decode_anthropic_object, decode_anthropic_stream } from './lib/decode_anthropic.mjs';
import { decode_responses_object, decode_responses_stream } from './lib/decode_responses.mjs';
import { decode_gemini_object, decode_gemini_stream } from './lib/decode_gemini.mjs';
import { states_of, unwrap } from './lib/opaque.mjs';
import { exchange, RawClient, request_bytes } from './lib/raw.mjs';

const scenarios = ['text', 'tricky', 'tool', 'text_tool', 'parallel', 'zero', 'parallel_zero', 'thinking', 'thinking_tool', 'usage', 'length', 'filter', 'refusal'];

test('the client libraries understand the fake provider', async (t) => {
    const provider = await new FakeProvider().start();
    t.after(() => provider.stop());
    for (const mode of ['stream', 'whole']) {
        for (const scenario of scenarios) {
            check_turn(await ask_openai(openai_at(provider.url), scenario, mode), scenario, 'chat', 'chat');
            check_turn(await ask_anthropic(anthropic_at(provider.url), scenario, mode), scenario, 'anthropic', 'anthropic');
            check_turn(await ask_responses(openai_at(provider.url), scenario, mode), scenario, 'responses', 'responses');
            check_turn(await ask_google(google_at(provider.url), scenario, mode), scenario, 'gemini', 'gemini');
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

function responses_events(scenario, change, options) {
    const objects = responses_stream(make_turn(scenario, {}, {}), { model: 'm' }, options).map(({ data }) => JSON.parse(data));
    const changed = change ? change(objects) ?? objects : objects;
    return changed.map((object) => ({ event: object.named ?? object.type, data: JSON.stringify(object) }));
}

/* The scenarios in which a call is not whole have an end that is an error, or that says so. */
const whole_scenarios = scenarios.filter((scenario) => !['bad_arguments'].includes(scenario));

test('the Responses grammar accepts good streams and finds each defect', () => {
    for (const scenario of [...whole_scenarios, 'citations', 'image', 'redacted']) {
        assert.deepEqual(check_responses(responses_events(scenario)), [], scenario);
        assert.deepEqual(check_response_object(responses_json(make_turn(scenario, {}, {}), { model: 'm' }), true), [], scenario);
    }
    const of = (type) => (object) => object.type === `response.${type}`;
    const defects = {
        'no terminal event': (o) => void o.pop(),
        'after the end': (o) => [...o, { ...o[0], sequence_number: o.length }],
        'has the sequence_number': (o) => { o[3].sequence_number = 7; },
        'is not the first': (o) => { o.splice(1, 0, { ...o[0], sequence_number: 1 }); },
        'before response.created': (o) => void o.splice(0, 2),
        'is not dense': (o) => { o.find(of('output_item.added')).output_index = 3; },
        'which is not open': (o) => void o.splice(o.findIndex(of('output_item.added')), 1),
        'is not what the deltas said': (o) => { o.find(of('function_call_arguments.delta')).delta = '{'; },
        'is not what its deltas said': (o) => { o.find(of('reasoning_summary_part.done')).part.text = 'x'; },
        'is not its parts': (o) => { o.find(of('output_item.done')).item.summary = []; },
        'is not the items': (o) => { o[o.length - 1].response.output.pop(); },
        'does not add up': (o) => { o[o.length - 1].response.usage.total_tokens = 1; },
        'lacks tools': (o) => void delete o[0].response.tools,
        'id, created_at or model changed': (o) => { o[o.length - 1].response.id = 'resp_other'; },
        'with status': (o) => { o[o.length - 1].response.status = 'incomplete'; },
        'named x': (o) => { o[1].named = 'x'; },
        'unknown type': (o) => { o.find(of('function_call_arguments.delta')).type = 'response.unknown.delta'; },
        'the end with 1 open': (o) => o.filter((e) => !(e.type === 'response.output_item.done' && e.output_index === 1)),
        'after the error': (o) => { o.splice(2, 0, { type: 'error', code: null, message: 'x', param: null }); },
    };
    for (const [expected, change] of Object.entries(defects)) {
        const problems = check_responses(responses_events('thinking_tool', change));
        assert.ok(problems.some((problem) => problem.includes(expected)), `${expected}: ${problems}`);
    }
    const broken = [...responses_events('text').slice(0, 4), ...responses_break({ message: 'x' }, { model: 'm' }, 4)];
    assert.ok(check_responses(broken, { ends: 'error' }).every((problem) => problem.includes('changed')), 'only the id of the failed one differs');
    assert.ok(check_responses(broken).some((problem) => problem.includes('an error')));
    assert.ok(check_responses(responses_events('text'), { ends: 'error' }).includes('no error event'));
    const cited = responses_events('citations', (o) => { o.find(of('output_text.annotation.added')).annotation.end_index = 99; });
    assert.ok(check_responses(cited).some((problem) => problem.includes('in a text of')));
});

function gemini_events(scenario, change, options) {
    const objects = gemini_stream(make_turn(scenario, {}, {}), { model: 'm' }, options).map(({ data }) => JSON.parse(data));
    const changed = change ? change(objects) ?? objects : objects;
    return changed.map((object) => ({ event: object.named ?? 'message', data: JSON.stringify(object) }));
}

test('the Gemini grammar accepts good streams and finds each defect', () => {
    for (const scenario of [...scenarios, 'citations', 'image', 'redacted']) {
        assert.deepEqual(check_gemini(gemini_events(scenario)), [], scenario);
        assert.deepEqual(check_gemini_chunks([gemini_json(make_turn(scenario, {}, {}), { model: 'm' })]), [], scenario);
    }
    const parts = (o, at) => o[at].candidates[0].content.parts;
    const defects = {
        'no finishReason': (o) => void delete o[o.length - 1].candidates[0].finishReason,
        'after the finish': (o) => { o[0].candidates[0].finishReason = 'STOP'; },
        'unknown finishReason': (o) => { o[o.length - 1].candidates[0].finishReason = 'stop'; },
        'does not add up': (o) => { o[o.length - 1].usageMetadata.totalTokenCount = 1; },
        'though it is zero': (o) => { o[o.length - 1].usageMetadata.cachedContentTokenCount = 0; },
        'a call without id': (o) => void delete parts(o, o.length - 1)[0].functionCall.id,
        'a call without name': (o) => { parts(o, o.length - 1)[0].functionCall.name = ''; },
        'are no object': (o) => { parts(o, o.length - 1)[0].functionCall.args = '{}'; },
        'twice': (o) => { parts(o, o.length - 1).push(parts(o, o.length - 1)[0]); },
        'is not base64': (o) => { parts(o, o.length - 1)[0].thoughtSignature = 'penstock.1.x'; },
        'a part with': (o) => { parts(o, 0)[0].inlineData = { mimeType: 'a/b', data: 'aaaa' }; },
        'a part without payload': (o) => { parts(o, 0).push({}); },
        'role user': (o) => { o[0].candidates[0].content.role = 'user'; },
        responseId: (o) => { o[1].responseId = 'other'; },
        'has a name': (o) => { o[0].named = 'x'; },
        'an error': (o) => { o.push(gemini_error({ message: 'x' })); },
    };
    for (const [expected, change] of Object.entries(defects)) {
        const problems = check_gemini(gemini_events('thinking_tool', change));
        assert.ok(problems.some((problem) => problem.includes(expected)), `${expected}: ${problems}`);
    }
    assert.deepEqual(check_gemini([...gemini_events('text').slice(0, 2), { event: 'message', data: JSON.stringify(gemini_error({ message: 'x' })) }], { ends: 'error' }), []);
    assert.ok(check_gemini(gemini_events('text'), { ends: 'error' }).includes('no error'));
});

/* Every dialect must read back what the fake provider wrote in it, but for what that dialect has no words for. */
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

test('the four decoders read one turn alike', () => {
    const frame = (events) => events.map(({ event, data }) => `${event ? `event: ${event}\n` : ''}data: ${data}\n\n`).join('');
    const whole = [...whole_scenarios, 'citations', 'image', 'redacted', 'thinking_parallel'].filter((scenario) => scenario !== 'cut_arguments');
    for (const scenario of whole) {
        const turn = make_turn(scenario, {}, {});
        const wanted = joined(turn);
        const request = { model: 'm', stream_options: { include_usage: true } };
        const read = {
            chat: [decode_chat_stream(frame(chat_stream(turn, request))), decode_chat_object(chat_json(turn, request))],
            anthropic: [decode_anthropic_stream(frame(anthropic_stream(turn, request))), decode_anthropic_object(anthropic_json(turn, request))],
            responses: [decode_responses_stream(frame(responses_stream(turn, request))), decode_responses_object(responses_json(turn, request)),
                decode_responses_stream(frame(responses_stream(turn, request, { arguments_late: true, rotate_ids: true, names: false, reasoning_text: true })))],
            gemini: [decode_gemini_stream(frame(gemini_stream(turn, request))), decode_gemini_object(gemini_json(turn, request)),
                decode_gemini_object(JSON.parse(Buffer.concat(frame_array(gemini_stream(turn, request, { together: true, trailing: true, signature_apart: true })))))],
        };
        for (const [dialect, turns] of Object.entries(read)) {
            for (const got of turns) {
                const said = `${dialect} ${scenario}`;
                assert.equal(got.text + got.refusal, wanted.text, said);
                assert.equal(got.thinking, wanted.thinking, said);
                assert.deepEqual(got.calls.map((call) => [call.name, JSON.parse(call.arguments || '{}')]), wanted.calls.map((call) => [call.name, JSON.parse(call.arguments)]), said);
                assert.equal(got.usage.in_total, wanted.usage.input, said);
                assert.equal(got.usage.out_total, wanted.usage.output, said);
                if (dialect !== 'anthropic') assert.deepEqual(got.images, wanted.images, said);
                assert.deepEqual(got.citations.map(({ url, title }) => [url, title]), wanted.citations.map(({ url, title }) => [url, title]), said);
                if (dialect !== 'anthropic') assert.deepEqual(got.citations.map(({ start, end }) => [start, end]), wanted.citations.map(({ start, end }) => [start, end]), said);
                if (dialect !== 'chat') assert.deepEqual(states_of(got).sort(), [...wanted.signatures, ...wanted.redacted].sort(), said);
            }
        }
    }
});

test('a wrapper tells whose state it holds', () => {
    const inner = Buffer.from('c2ln+/=').toString('base64url');
    assert.deepEqual(unwrap(`penstock.1.anthropic.${inner}`), { origin: 'anthropic', redacted: false, state: 'c2ln+/=' });
    assert.deepEqual(unwrap(Buffer.from(`penstock.1.responses-redacted.${inner}`).toString('base64')), { origin: 'responses', redacted: true, state: 'c2ln+/=' });
    assert.deepEqual(unwrap('c2lnbmF0dXJl'), { origin: null, redacted: false, state: 'c2lnbmF0dXJl' });
});

test('the fake provider finds model and method in every kind of path', () => {
    const vertex = '/v1/projects/p/locations/global/publishers';
    const wanted = {
        '/v1/chat/completions': ['chat', undefined, undefined],
        '/openai/deployments/gpt%2D4o/chat/completions?api-version=2024-10-21': ['chat', 'gpt-4o', undefined],
        '/v1/responses': ['responses', undefined, undefined],
        '/v1/responses/input_tokens': ['responses', undefined, 'countTokens'],
        '/v1/messages?beta=true': ['anthropic', undefined, undefined],
        '/v1/messages/count_tokens': ['anthropic', undefined, 'countTokens'],
        '/v1beta/models/text%2Cpace_ms=5:streamGenerateContent?alt=sse': ['gemini', 'text,pace_ms=5', 'streamGenerateContent'],
        '/v1beta/models/gemini-x:countTokens': ['gemini', 'gemini-x', 'countTokens'],
        [`${vertex}/google/models/gemini-x:generateContent`]: ['gemini', 'gemini-x', 'generateContent'],
        [`${vertex}/anthropic/models/claude-x@20250101:streamRawPredict`]: ['anthropic', 'claude-x@20250101', 'streamRawPredict'],
        [`${vertex}/anthropic/models/count-tokens:rawPredict`]: ['anthropic', undefined, 'countTokens'],
    };
    for (const [target, [dialect, model, method]] of Object.entries(wanted)) {
        const place = place_of(target);
        assert.deepEqual([place.dialect, place.model, place.method], [dialect, model, method], target);
        if (method) assert.equal(place.stream ?? false, method.startsWith('stream'), target);
    }
    assert.equal(place_of('/v1beta/models/x:streamGenerateContent').as_array, true);
    assert.equal(place_of('/v1beta/models/x:streamGenerateContent?alt=sse').as_array, false);
});
