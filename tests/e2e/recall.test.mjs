// SPDX-License-Identifier: MIT
//
// recall - what a model thought before a tool call comes back to it although the client has dropped it, and to nobody else
// (P29, P32, R27's neighbour R148).

import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { Penstock } from './lib/penstock.mjs';
import { exchange, events_of, json_of } from './lib/raw.mjs';

/* An upstream that thinks, calls a tool, and remembers what it was asked. */
class Thinker {
    async start() {
        this.seen = [];
        this.server = http.createServer((request, response) => {
            const parts = [];
            request.on('data', (bytes) => parts.push(bytes));
            request.on('end', () => this.#answer(request.url, JSON.parse(Buffer.concat(parts)), response));
        });
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    #answer(url, json, response) {
        this.seen.push(json);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const send = (data, event) => response.write(`${event ? `event: ${event}\n` : ''}data: ${JSON.stringify(data)}\n\n`);
        if (url.includes('/chat/completions')) {
            const chunk = (delta, finish = null) => send({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] });
            chunk({ role: 'assistant', reasoning_content: 'The user wants ' });
            chunk({ reasoning_content: 'the weather.' });
            chunk({ tool_calls: [{ index: 0, id: 'call_ds_1', type: 'function', function: { name: 'weather', arguments: '{"city": "Graz"}' } }] });
            chunk({}, 'tool_calls');
            response.end('data: [DONE]\n\n');
        } else if (url.includes('/messages')) {
            send({ type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } } }, 'message_start');
            send({ type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } }, 'content_block_start');
            send({ type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Weather, then.' } }, 'content_block_delta');
            send({ type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'U0lHTkVE' } }, 'content_block_delta');
            send({ type: 'content_block_stop', index: 0 }, 'content_block_stop');
            send({ type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} } }, 'content_block_start');
            send({ type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"city": "Graz"}' } }, 'content_block_delta');
            send({ type: 'content_block_stop', index: 1 }, 'content_block_stop');
            send({ type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 9 } }, 'message_delta');
            send({ type: 'message_stop' }, 'message_stop');
            response.end();
        } else {
            send({ candidates: [{ index: 0, content: { role: 'model', parts: [{ functionCall: { name: 'weather', args: { city: 'Graz' } }, thoughtSignature: 'R0VNSU5J' }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 } });
            response.end();
        }
    }
}

async function in_thinker(more, body) {
    const upstream = await new Thinker().start();
    const model = (model_name, id, penstock = {}) => ({ model_name, litellm_params: { model: id, api_base: upstream.url, api_key: 'k' }, penstock });
    const penstock = await Penstock.start({
        model_list: [model('deepseek', 'deepseek/deepseek-reasoner'), model('claude', 'anthropic/claude-x'), model('gemini', 'gemini/gemini-3-pro'), model('plain', 'openai_like/m')],
        penstock: { workers: 2, keys: [{ name: 'alice', key: 'sk-alice-000000' }, { name: 'bob', key: 'sk-bob-00000000' }], ...more },
    });
    try {
        await body(upstream, penstock);
    } finally {
        await upstream.stop(); // first: a gateway that ends badly throws, and a server left behind would keep the suite from ending
        await penstock.stop();
    }
}

const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
const question = { role: 'user', content: 'Weather in Graz?' };

function chat(penstock, body, who = 'alice') {
    const key = who === 'alice' ? 'sk-alice-000000' : 'sk-bob-00000000';
    return exchange(penstock.port, 'POST', '/v1/chat/completions', { headers: { Authorization: `Bearer ${key}` }, body: { tools, ...body } });
}

/* first_turn - the model calls; what a client that knows nothing of thoughts keeps of it. */
async function first_turn(penstock, model, stream = true) {
    const response = await chat(penstock, { model, stream, messages: [question] });
    assert.equal(response.status, 200, response.text);
    if (!stream) {
        const { id, function: { name, arguments: args } } = json_of(response).choices[0].message.tool_calls[0];
        return { id, type: 'function', function: { name, arguments: args } };
    }
    const call = { id: '', type: 'function', function: { name: '', arguments: '' } };
    for (const event of events_of(response)) {
        if (event.data === '[DONE]') continue;
        for (const piece of JSON.parse(event.data).choices[0]?.delta?.tool_calls ?? []) {
            call.id ||= piece.id;
            call.function.name ||= piece.function.name;
            call.function.arguments += piece.function.arguments ?? '';
        }
    }
    // Clients parse and write arguments anew: other white space is the same call.
    call.function.arguments = JSON.stringify(JSON.parse(call.function.arguments));
    return call;
}

const second_turn = (call) => [question, { role: 'assistant', content: null, tool_calls: [call] }, { role: 'tool', tool_call_id: call.id, content: 'Sunny.' }];

describe('reasoning state that clients lose', () => {
    for (const stream of [true, false]) {
        it(`signed thinking of Claude returns through Chat (${stream ? 'stream' : 'whole'})`, () => in_thinker({}, async (upstream, penstock) => {
            const call = await first_turn(penstock, 'claude', stream);
            await chat(penstock, { model: 'claude', reasoning_effort: 'high', messages: second_turn(call) });
            const turn = upstream.seen[1].messages.find((message) => message.role === 'assistant');
            assert.deepEqual(turn.content[0], { type: 'thinking', thinking: 'Weather, then.', signature: 'U0lHTkVE' });
            assert.equal(turn.content[1].type, 'tool_use');
        }));

        it(`thought signatures of Gemini return through Chat (${stream ? 'stream' : 'whole'})`, () => in_thinker({}, async (upstream, penstock) => {
            const call = await first_turn(penstock, 'gemini', stream);
            await chat(penstock, { model: 'gemini', messages: second_turn(call) });
            const turn = upstream.seen[1].contents.find((content) => content.role === 'model');
            assert.equal(turn.parts[0].functionCall.name, 'weather');
            assert.equal(turn.parts[0].thoughtSignature, 'R0VNSU5J');
        }));
    }

    it('reasoning_content returns to DeepSeek, from clients of its own dialect and of another', () => in_thinker({}, async (upstream, penstock) => {
        const call = await first_turn(penstock, 'deepseek');
        await chat(penstock, { model: 'deepseek', messages: second_turn(call) });
        assert.equal(upstream.seen[1].messages[1].reasoning_content, 'The user wants the weather.');
        // What the client has kept itself is not replaced.
        const own = second_turn(call);
        own[1].reasoning_content = 'Mine.';
        await chat(penstock, { model: 'deepseek', messages: own });
        assert.equal(upstream.seen[2].messages[1].reasoning_content, 'Mine.');
        const messages = [{ role: 'user', content: 'Weather?' }, { role: 'assistant', content: [{ type: 'tool_use', id: call.id, name: 'weather', input: { city: 'Graz' } }] }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'Sunny.' }] }];
        await exchange(penstock.port, 'POST', '/v1/messages', { headers: { 'x-api-key': 'sk-alice-000000', 'anthropic-version': '2023-06-01' }, body: { model: 'deepseek', max_tokens: 50, messages } });
        assert.equal(upstream.seen[3].messages.find((message) => message.role === 'assistant').reasoning_content, 'The user wants the weather.');
    }));

    it('nothing returns to another key, another model, another call, or after its time', () => in_thinker({ timeouts: { recall: '2s' } }, async (upstream, penstock) => {
        const call = await first_turn(penstock, 'claude');
        const thoughts = async (body, who) => {
            assert.equal((await chat(penstock, body, who)).status, 200);
            return JSON.stringify(upstream.seen.at(-1)).includes('U0lHTkVE');
        };
        assert.equal(await thoughts({ model: 'claude', messages: second_turn(call) }), true);
        assert.equal(await thoughts({ model: 'claude', messages: second_turn(call) }, 'bob'), false);
        assert.equal(await thoughts({ model: 'plain', messages: second_turn(call) }), false);
        assert.equal(await thoughts({ model: 'gemini', messages: second_turn(call) }), false);
        assert.equal(await thoughts({ model: 'claude', messages: second_turn({ ...call, function: { name: 'weather', arguments: '{"city":"Linz"}' } }) }), false);
        await new Promise((resolve) => setTimeout(resolve, 2500));
        assert.equal(await thoughts({ model: 'claude', messages: second_turn(call) }), false);
        const metrics = (await exchange(penstock.port, 'GET', '/metrics', { headers: { Authorization: 'Bearer sk-alice-000000' } })).text;
        assert.match(metrics, /penstock_recall_hits_total [1-9]/);
        assert.match(metrics, /penstock_recall_misses_total [1-9]/);
        assert.match(metrics, /penstock_recall_entries \d/);
    }));

    it('it can be switched off', () => in_thinker({ timeouts: { recall: 0 } }, async (upstream, penstock) => {
        const call = await first_turn(penstock, 'claude');
        await chat(penstock, { model: 'claude', messages: second_turn(call) });
        assert.ok(!JSON.stringify(upstream.seen[1]).includes('U0lHTkVE'));
    }));
});
