// SPDX-License-Identifier: MIT
//
// sdk_anthropic - the official Anthropic library against penstock, with every kind of upstream behind it.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { anthropic_at, ask_anthropic } from './lib/ask.mjs';
import { upstreams } from './lib/penstock.mjs';
import { add_tools } from './lib/phrases.mjs';
import { sdk_suite } from './lib/sdk_suite.mjs';

const question = [{ role: 'user', content: 'Go on.' }];

async function leave(url, model, count) {
    const stream = anthropic_at(url).messages.stream({ model, max_tokens: 100, messages: question });
    let left_at = 0;
    let events = 0;
    stream.on('streamEvent', () => {
        if (++events === count) {
            left_at = performance.now();
            stream.abort();
        }
    });
    await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
    return left_at;
}

async function message_of(client, body, mode) {
    return mode === 'whole' ? client.messages.create(body) : client.messages.stream(body).finalMessage();
}

async function loop(url, first, second, mode) {
    const client = anthropic_at(url);
    const { tools } = add_tools.anthropic({});
    const { content } = await message_of(client, { model: first, max_tokens: 2000, messages: question, tools }, mode);
    const results = content.filter((block) => block.type === 'tool_use').map((call, at) => ({ type: 'tool_result', tool_use_id: call.id, content: `result ${at}` }));
    const messages = [...question, { role: 'assistant', content }, { role: 'user', content: results }];
    const message = await message_of(client, { model: second, max_tokens: 2000, messages, tools }, mode);
    return message.content.map((block) => block.text).join('');
}

function also(answer, scenario, upstream) {
    if (scenario.startsWith('thinking')) assert.equal(answer.types[0], 'thinking');
    if (scenario === 'stop_sequence' && upstream === 'anthropic') assert.equal(answer.stop_sequence, 'END');
    if (scenario === 'thinking' && upstream === 'anthropic') assert.deepEqual(answer.signatures, ['c2lnbmF0dXJlLTE=']);
}

sdk_suite({
    name: 'anthropic library',
    client: 'anthropic',
    ask: (url, model, mode) => ask_anthropic(anthropic_at(url), model, mode),
    is_error: (error) => error instanceof Anthropic.AnthropicError,
    status_of: (error) => error.status,
    words_of: (error) => String(error.error?.error?.message),
    leave,
    loop,
    keeps_state: true,
    also,
}, (world) => {
    for (const { upstream, prefix } of upstreams) {
        it(`${upstream}: counts tokens without a generation`, async () => {
            world.provider.reset();
            const counted = await anthropic_at(world.penstock.url).messages.countTokens({ model: `${prefix}text`, messages: [{ role: 'user', content: 'How many tokens are these?' }] });
            assert.ok(Number.isInteger(counted.input_tokens) && counted.input_tokens > 0);
            assert.deepEqual(world.provider.seen.filter((record) => record.call !== 'countTokens'), []);
        });
    }

    it('a finish "stop" beside calls becomes tool_use', async () => {
        for (const mode of ['stream', 'whole']) {
            const answer = await ask_anthropic(anthropic_at(world.penstock.url), 'c/tool_stop', mode);
            assert.equal(answer.finish, 'tool_use');
            assert.equal(answer.calls.length, 1);
        }
    });

    it('invalid arguments of a finished call are an error', async () => {
        for (const { prefix } of upstreams.filter((way) => way.upstream !== 'anthropic')) {
            for (const mode of ['stream', 'whole']) {
                await assert.rejects(ask_anthropic(anthropic_at(world.penstock.url), `${prefix}bad_arguments`, mode), Anthropic.AnthropicError);
            }
        }
    });

    it('lists models in Anthropic shape', async () => {
        const list = await anthropic_at(world.penstock.url).models.list({ limit: 1000 });
        assert.ok(list.data.length >= 2);
        for (const model of list.data) {
            assert.equal(model.type, 'model');
            assert.equal(typeof model.display_name, 'string');
            assert.ok(!Number.isNaN(Date.parse(model.created_at)));
        }
        const one = await anthropic_at(world.penstock.url).models.retrieve(list.data[0].id);
        assert.equal(one.id, list.data[0].id);
    });
});
