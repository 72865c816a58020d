// SPDX-License-Identifier: MIT
//
// sdk_openai - the official OpenAI library against penstock, both of its interfaces, with every kind of upstream behind it.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { ask_openai, ask_responses, openai_at } from './lib/ask.mjs';
import { upstreams } from './lib/penstock.mjs';
import { add_tools } from './lib/phrases.mjs';
import { sdk_suite } from './lib/sdk_suite.mjs';

const errors = {
    is_error: (error) => error instanceof OpenAI.OpenAIError,
    status_of: (error) => error.status,
    words_of: (error) => String(error.error?.message),
};

/* leave_stream - read some events of a stream, then abort it. */
async function leave_stream(stream, count) {
    let events = 0;
    let left_at = 0;
    for await (const event of stream) {
        assert.ok(event);
        if (++events === count) {
            left_at = performance.now();
            stream.controller.abort();
        }
    }
    return left_at;
}

const question = [{ role: 'user', content: 'Go on.' }];

async function chat_message(client, body, mode) {
    if (mode === 'whole') return (await client.chat.completions.create(body)).choices[0].message;
    return (await client.chat.completions.stream(body).finalChatCompletion()).choices[0].message;
}

async function chat_loop(url, first, second, mode) {
    const client = openai_at(url);
    const { tools } = add_tools.chat({});
    const message = await chat_message(client, { model: first, messages: question, tools }, mode);
    const results = message.tool_calls.map((call, at) => ({ role: 'tool', tool_call_id: call.id, content: `result ${at}` }));
    return (await chat_message(client, { model: second, messages: [...question, message, ...results], tools }, mode)).content;
}

sdk_suite({
    name: 'openai chat',
    client: 'chat',
    ask: (url, model, mode) => ask_openai(openai_at(url), model, mode),
    ...errors,
    leave: async (url, model, count) => leave_stream(await openai_at(url).chat.completions.create({ model, stream: true, messages: question }), count),
    loop: chat_loop,
}, (world) => {
    for (const { upstream, prefix } of upstreams) {
        it(`${upstream}: truncated arguments of a cut call stay cut by length`, async () => {
            const answer = await ask_openai(openai_at(world.penstock.url), `${prefix}cut_arguments`, 'stream');
            assert.equal(answer.finish, 'length');
        });
    }

    for (const { upstream, prefix } of upstreams.filter((way) => way.upstream !== 'chat')) {
        it(`${upstream}: invalid arguments of a finished call are an error`, async () => {
            await assert.rejects(ask_openai(openai_at(world.penstock.url), `${prefix}bad_arguments`, 'stream'), OpenAI.OpenAIError);
        });
    }

    it('lists models', async () => {
        const list = [];
        for await (const model of openai_at(world.penstock.url).models.list()) list.push(model);
        assert.ok(list.length >= 2, JSON.stringify(list));
        for (const model of list) {
            assert.equal(model.object, 'model');
            assert.ok(Number.isInteger(model.created) && model.created < 1e11, 'created in seconds');
            assert.equal(typeof model.owned_by, 'string');
        }
        const one = await openai_at(world.penstock.url).models.retrieve(list[0].id);
        assert.equal(one.id, list[0].id);
        await assert.rejects(openai_at(world.penstock.url).models.retrieve('no-such-model'), (error) => error.status === 404 && error.code === 'model_not_found');
    });
});

async function response_of(client, body, mode) {
    return mode === 'whole' ? client.responses.create(body) : client.responses.stream(body).finalResponse();
}

/* What the library added for convenience is no part of an item that goes back. */
function item_back({ parsed_arguments: _, ...item }) {
    return item;
}

async function responses_loop(url, first, second, mode) {
    const client = openai_at(url);
    const { tools } = add_tools.responses({});
    const options = { tools, store: false, include: ['reasoning.encrypted_content'] };
    const { output } = await response_of(client, { model: first, input: question, ...options }, mode);
    const results = output.filter((item) => item.type === 'function_call').map((call, at) => ({ type: 'function_call_output', call_id: call.call_id, output: `result ${at}` }));
    return (await response_of(client, { model: second, input: [...question, ...output.map(item_back), ...results], ...options }, mode)).output_text;
}

sdk_suite({
    name: 'openai responses',
    client: 'responses',
    ask: (url, model, mode) => ask_responses(openai_at(url), model, mode),
    ...errors,
    // The helper for streams throws the error event itself.
    is_error: (error) => error instanceof OpenAI.OpenAIError || (error.type === 'error' && typeof error.message === 'string'),
    leave: async (url, model, count) => leave_stream(await openai_at(url).responses.create({ model, stream: true, input: 'Go on.' }), count),
    loop: responses_loop,
    keeps_state: true,
    also: (answer, scenario) => assert.equal(answer.output_text, answer.text, scenario),
}, (world) => {
    it('counts tokens without a generation', async () => {
        for (const { prefix } of upstreams) {
            world.provider.reset();
            const counted = await openai_at(world.penstock.url).responses.inputTokens.count({ model: `${prefix}text`, input: 'How many tokens are these?' });
            assert.ok(Number.isInteger(counted.input_tokens) && counted.input_tokens > 0);
            assert.deepEqual(world.provider.seen.filter((record) => record.call !== 'countTokens'), []);
        }
    });

    it('a stored response is nowhere', async () => {
        await assert.rejects(openai_at(world.penstock.url).responses.retrieve('resp_1234'), (error) => error.status === 404 && error.message.includes('resp_1234'));
    });
});
