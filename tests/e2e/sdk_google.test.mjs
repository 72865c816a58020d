// SPDX-License-Identifier: MIT
//
// sdk_google - Google's own library against penstock, with every kind of upstream behind it.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { ask_google, google_at } from './lib/ask.mjs';
import { upstreams } from './lib/penstock.mjs';
import { add_tools } from './lib/phrases.mjs';
import { sdk_suite } from './lib/sdk_suite.mjs';

/* The library puts the error's body into the message of its error, as text. */
function words_of(error) {
    const found = /\{.*\}/s.exec(error.message);
    return found ? JSON.parse(found[0]).error.message : error.message;
}

async function leave(url, model, count) {
    const controller = new AbortController();
    const stream = await google_at(url).models.generateContentStream({ model, contents: 'Go on.', config: { abortSignal: controller.signal } });
    let events = 0;
    let left_at = 0;
    await assert.rejects(async () => {
        for await (const chunk of stream) {
            assert.ok(chunk);
            if (++events < count) continue;
            left_at = performance.now();
            controller.abort();
        }
    });
    return left_at;
}

/* content_of - the model's turn as a client sends it back: the parts as they came. */
function content_of({ chunks }) {
    return { role: 'model', parts: chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []) };
}

async function loop(url, first, second, mode) {
    const client = google_at(url);
    const { tools } = add_tools.gemini({});
    const question = { role: 'user', parts: [{ text: 'Go on.' }] };
    const content = content_of(await ask_google(client, first, mode, { tools }, [question]));
    const calls = content.parts.filter((part) => part.functionCall).map((part) => part.functionCall);
    const results = calls.map(({ id, name }, at) => ({ functionResponse: { id, name, response: { output: `result ${at}` } } }));
    return (await ask_google(client, second, mode, { tools }, [question, content, { role: 'user', parts: results }])).text;
}

sdk_suite({
    name: 'google library',
    client: 'gemini',
    ask: (url, model, mode) => ask_google(google_at(url), model, mode),
    is_error: (error) => error instanceof Error,
    status_of: (error) => error.status,
    words_of,
    leave,
    loop,
    keeps_state: true,
    unread: ({ line_end, prefix }) => line_end === '\r' || prefix,
}, (world) => {
    it('a chat of the library remembers its calls and thoughts', async () => {
        for (const { prefix, upstream } of upstreams) {
            world.provider.reset();
            const chat = google_at(world.penstock.url).chats.create({ model: `${prefix}thinking_parallel`, config: add_tools.gemini({}) });
            const answer = await chat.sendMessage({ message: 'Go on.' });
            const results = answer.functionCalls.map(({ id, name }, at) => ({ functionResponse: { id, name, response: { output: `result ${at}` } } }));
            await chat.sendMessage({ message: results });
            assert.equal(world.provider.seen.length, 2, upstream);
            assert.ok(JSON.stringify(world.provider.seen[1].json).includes('result 1'));
        }
    });

    it('counts tokens without a generation', async () => {
        for (const { prefix } of upstreams) {
            world.provider.reset();
            const counted = await google_at(world.penstock.url).models.countTokens({ model: `${prefix}text`, contents: 'How many tokens are these?' });
            assert.ok(Number.isInteger(counted.totalTokens) && counted.totalTokens > 0);
            assert.deepEqual(world.provider.seen.filter((record) => record.call !== 'countTokens'), []);
        }
    });

    it('lists models in Gemini\'s shape', async () => {
        const names = [];
        for await (const model of await google_at(world.penstock.url).models.list()) names.push(model.name);
        assert.ok(names.length >= 2 && names.every((name) => name.startsWith('models/')), String(names));
        const one = await google_at(world.penstock.url).models.get({ model: names[0].replace('models/', '') });
        assert.equal(one.name, names[0]);
    });

    it('a key in the library\'s own field opens the gate', async () => {
        const answer = await ask_google(google_at(world.penstock.url, { apiKey: 'another-client-key' }), 'c/text', 'whole');
        assert.equal(answer.text, 'Hello, world!');
        assert.ok(!JSON.stringify(world.provider.seen.map(({ fields, target }) => [fields, target])).includes('another-client-key'), 'the client\'s key goes no further');
    });
});
