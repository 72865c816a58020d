// SPDX-License-Identifier: MIT
//
// pitfalls - those of docs/pitfalls.md that are about every pair of dialects and so stand in no test of a single one: ids of
// calls that some provider would refuse or that hide state (P30, P44, P45), empty texts and turns (P47), and upstreams that
// end behind any of their events (P65, P66; byte by byte streams_cut does it, for fewer pairs).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn } from '../../tools/fake_provider/turns.mjs';
import { anthropic_stream } from '../../tools/fake_provider/write_anthropic.mjs';
import { chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { gemini_stream } from '../../tools/fake_provider/write_gemini.mjs';
import { responses_stream } from '../../tools/fake_provider/write_responses.mjs';
import { all_pairs, ask_raw, dialects, modes_of, read_raw } from './lib/dialects.mjs';
import { events_of, json_of } from './lib/raw.mjs';
import { states_of, unwrap } from './lib/opaque.mjs';
import { add_results, add_tools, calls_in } from './lib/phrases.mjs';
import { request_problems } from './lib/request_rules.mjs';
import { tagged } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

/* A conversation about two calls whose ids no other provider would take. */
const foreign = ['call.of/some:provider|'.padEnd(200, 'x'), 'call.of/some:provider|'.padEnd(200, 'y')];
const asked = { city: 'Paris' };
const conversation = {
    chat: (body) => ({
        ...body,
        messages: [
            ...body.messages,
            { role: 'assistant', content: null, tool_calls: foreign.map((id) => ({ id, type: 'function', function: { name: 'get_weather', arguments: JSON.stringify(asked) } })) },
            ...foreign.map((id, at) => ({ role: 'tool', tool_call_id: id, content: `result ${at}` })),
        ],
    }),
    responses: (body) => ({
        ...body,
        input: [
            { role: 'user', content: body.input },
            ...foreign.map((call_id) => ({ type: 'function_call', call_id, name: 'get_weather', arguments: JSON.stringify(asked) })),
            ...foreign.map((call_id, at) => ({ type: 'function_call_output', call_id, output: `result ${at}` })),
        ],
    }),
    anthropic: (body) => ({
        ...body,
        messages: [
            ...body.messages,
            { role: 'assistant', content: foreign.map((id) => ({ type: 'tool_use', id, name: 'get_weather', input: asked })) },
            { role: 'user', content: foreign.map((tool_use_id, at) => ({ type: 'tool_result', tool_use_id, content: `result ${at}` })) },
        ],
    }),
    gemini: (body) => ({
        ...body,
        contents: [
            ...body.contents,
            { role: 'model', parts: foreign.map((id) => ({ functionCall: { id, name: 'get_weather', args: asked } })) },
            { role: 'user', parts: foreign.map((id, at) => ({ functionResponse: { id, name: 'get_weather', response: { output: `result ${at}` } } })) },
        ],
    }),
};

/* A conversation in which nothing was said, again and again. */
const emptiness = {
    chat: (body) => ({
        ...body,
        messages: [
            { role: 'system', content: '' }, { role: 'user', content: '' }, { role: 'assistant', content: '' },
            { role: 'user', content: [{ type: 'text', text: '' }, { type: 'text', text: 'Hello?' }] }, { role: 'assistant', content: null }, ...body.messages,
        ],
    }),
    responses: (body) => ({
        ...body, instructions: '',
        input: [
            { role: 'user', content: '' }, { role: 'assistant', content: [{ type: 'output_text', text: '', annotations: [] }] },
            { role: 'user', content: [{ type: 'input_text', text: '' }, { type: 'input_text', text: 'Hello?' }] }, { role: 'user', content: body.input },
        ],
    }),
    anthropic: (body) => ({
        ...body, system: [{ type: 'text', text: '' }],
        messages: [
            { role: 'user', content: '' }, { role: 'assistant', content: [] },
            { role: 'user', content: [{ type: 'text', text: '' }, { type: 'text', text: 'Hello?' }] }, { role: 'assistant', content: '' }, ...body.messages,
        ],
    }),
    gemini: (body) => ({
        ...body, systemInstruction: { parts: [{ text: '' }] },
        contents: [
            { role: 'user', parts: [{ text: '' }] }, { role: 'model', parts: [] },
            { role: 'user', parts: [{ text: '' }, { text: 'Hello?' }] }, { role: 'model', parts: [{ text: '' }] }, ...body.contents,
        ],
    }),
};

/* All ids of calls and results that a request to an upstream holds. */
const ids_in = {
    chat: (body) => body.messages.flatMap((message) => [...(message.tool_calls ?? []).map(({ id }) => id), ...(message.tool_call_id ? [message.tool_call_id] : [])]),
    responses: (body) => body.input.filter(({ call_id }) => call_id).map(({ call_id }) => call_id),
    anthropic: (body) => body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).map((block) => block.id ?? block.tool_use_id).filter(Boolean),
    gemini: (body) => body.contents.flatMap(({ parts }) => parts).map((part) => (part.functionCall ?? part.functionResponse)?.id).filter(Boolean),
};

/* Each dialect's stream of a turn, the event that says why it ends, and the one after which nothing more is needed. */
const streams = {
    chat: { write: chat_stream, finish: /"finish_reason":"/ },
    responses: { write: responses_stream, finish: /"type":"response\.completed"/ },
    anthropic: { write: anthropic_stream, finish: /"stop_reason":"/, last: /"type":"message_stop"/ },
    gemini: { write: gemini_stream, finish: /"finishReason"/, line_end: '\r\n' },
};

/* check_cut - a response of whose upstream only the first bytes came: a status, an error in the stream, or its end. may: what it may be. */
function check_cut(response, pair, may, at) {
    if (response.status !== 200) {
        assert.ok(response.status >= 500 && may.fail, `${at}: ${response.status}`);
        assert.equal(typeof json_of(response).error.message, 'string');
        return 'status';
    }
    assert.equal(response.whole, true, at);
    const { passed, stream } = dialects[pair.client];
    const events = events_of(response);
    const check = pair.same ? passed : stream;
    if (may.fail && check(events, { ends: 'error' }).length === 0) return 'error';
    // Usage may have been in what did not come.
    assert.deepEqual(check(events, may.end ? { no_usage: pair.upstream === 'chat' } : { ends: 'error' }), [], `${at}: ${response.text.slice(-600)}`);
    return 'end';
}

in_world('pitfalls of every pair', {}, (world) => {
    for (const pair of all_pairs) {
        for (const framing of ['chunked', 'close']) {
            it(`${pair.name}, ${framing}: an upstream that ends behind any of its events has failed, unless it was over`, async () => {
                const turn = make_turn('thinking_parallel', {}, {});
                const name = (at) => `cut-${pair.client}-${pair.upstream}-${framing}-${String(at).padStart(5, '0')}`;
                const ask = async (at, script) => {
                    world.provider.script(name(at), { turn, whole: true, ...(framing === 'close' ? { framing } : {}), ...script });
                    return ask_raw(world.penstock.port, pair.client, pair.prefix + name(at), 'stream');
                };
                await ask(99999, {});
                const { json } = world.provider.seen.find((each) => each.model === name(99999));
                const { write, finish, last = finish, line_end = '\n' } = streams[pair.upstream];
                const events = write(turn, { ...json, model: name(0) });
                const finish_at = events.findIndex((event) => finish.test(event.data));
                const over_at = events.findIndex((event) => last.test(event.data));
                const seen = { status: 0, error: 0, end: 0 };
                let begin = 0;
                for (const [at, bytes] of frame_events(events, { line_end }).entries()) {
                    const end = begin + bytes.length;
                    // In the middle of an event, where its data lacks one byte, and behind it.
                    for (const offset of [begin + (bytes.length >> 1), end - 2 * line_end.length - 1, end]) {
                        const may = { fail: at < over_at || (at === over_at && offset < end), end: at > finish_at || (at === finish_at && offset === end) };
                        seen[check_cut(await ask(offset, { cut_at: offset }), pair, may, `${offset} of ${pair.name}`)]++;
                    }
                    begin = end;
                }
                assert.ok(seen.error > 0 && seen.end > 0, JSON.stringify(seen));
            });
        }
    }

    for (const pair of all_pairs.filter(({ same }) => !same)) {
        it(`${pair.name}: no id of a call is longer than forty characters, nor holds state`, async () => {
            for (const mode of modes_of(pair.client)) {
                const response = await ask_raw(world.penstock.port, pair.client, pair.prefix + tagged('thinking_parallel'), mode, { change: add_tools[pair.client] });
                const turn = read_raw(response, pair.client, mode);
                assert.ok(turn.calls.length > 1 && (pair.upstream === 'chat' || turn.signatures.length > 0), response.text);
                for (const { id } of turn.calls) {
                    assert.match(id, /^[A-Za-z0-9_-]{1,40}$/);
                    assert.equal(unwrap(id).origin, null, id);
                    for (const state of states_of(turn)) assert.ok(!id.includes(state) && !id.includes(Buffer.from(state).toString('base64url')), id);
                }
            }
        });

        it(`${pair.name}: ids that others made are mapped alike on calls and results`, async () => {
            const model = tagged('text');
            const response = await ask_raw(world.penstock.port, pair.client, pair.prefix + model, 'stream', { change: (body) => conversation[pair.client](add_tools[pair.client](body)) });
            read_raw(response, pair.client, 'stream');
            const { json } = world.provider.seen.find((each) => each.model === model);
            assert.deepEqual(request_problems(json, pair.upstream), []);
            // Gemini takes any text as an id.
            if (pair.upstream !== 'gemini') for (const id of ids_in[pair.upstream](json)) assert.match(id, /^[A-Za-z0-9_-]{1,40}$/);
            assert.deepEqual(calls_in[pair.upstream](json), foreign.map((_, at) => ({ name: 'get_weather', value: asked, result: `result ${at}` })));
        });

        // OpenAI's two take them.
        if (pair.upstream === 'chat' || pair.upstream === 'responses') continue;
        it(`${pair.name}: empty texts and empty turns are not sent on`, async () => {
            const model = tagged('text');
            const response = await ask_raw(world.penstock.port, pair.client, pair.prefix + model, 'stream', { change: emptiness[pair.client] });
            read_raw(response, pair.client, 'stream');
            const { json } = world.provider.seen.find((each) => each.model === model);
            assert.deepEqual(request_problems(json, pair.upstream), [], JSON.stringify(json));
            assert.match(JSON.stringify(json), /Hello\?/);
        });
    }

    it('a call of each upstream goes back to each client and home again under one id', async () => {
        for (const pair of all_pairs) {
            const first = await ask_raw(world.penstock.port, pair.client, pair.prefix + tagged('parallel'), 'whole', { change: add_tools[pair.client] });
            const model = tagged('text');
            const change = (body) => add_results[pair.client](add_tools[pair.client](body), JSON.parse(first.text), ['one', 'two', 'three']);
            read_raw(await ask_raw(world.penstock.port, pair.client, pair.prefix + model, 'whole', { change }), pair.client, 'whole', { same: pair.same });
            const { json } = world.provider.seen.find((each) => each.model === model);
            assert.deepEqual(calls_in[pair.upstream](json).map(({ result }) => result), ['one', 'two', 'three'], pair.name);
        }
    });
});
