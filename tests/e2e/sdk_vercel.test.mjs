// SPDX-License-Identifier: MIT
//
// sdk_vercel - Vercel's `ai` package with its providers for OpenAI (both interfaces), Anthropic, Google and compatible servers,
// against penstock with every kind of upstream behind it.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { joined, make_turn } from '../../tools/fake_provider/turns.mjs';
import { sdk_suite } from './lib/sdk_suite.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

const apiKey = 'client-key';
const providers = {
    'openai chat': { client: 'chat', model: (url, name) => createOpenAI({ baseURL: `${url}/v1`, apiKey }).chat(name), thoughts: false },
    'openai responses': { client: 'responses', model: (url, name) => createOpenAI({ baseURL: `${url}/v1`, apiKey }).responses(name), thoughts: true, keeps_state: true },
    anthropic: { client: 'anthropic', model: (url, name) => createAnthropic({ baseURL: `${url}/v1`, apiKey })(name), thoughts: true, keeps_state: true },
    google: { client: 'gemini', model: (url, name) => createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey })(`models/${name}`), thoughts: true, keeps_state: true },
    'openai-compatible': {
        client: 'chat', model: (url, name) => createOpenAICompatible({ name: 'penstock', baseURL: `${url}/v1`, apiKey, includeUsage: true })(name), thoughts: true,
    },
};

/* Nothing is stored behind a gateway, so the client keeps its thoughts itself, as with OpenAI when nothing may be stored. */
const providerOptions = { openai: { store: false, include: ['reasoning.encrypted_content'] } };
const any_object = jsonSchema({ type: 'object', properties: { city: { type: 'string' } } });
const tools = Object.fromEntries(['get_weather', 'get_time', 'ping_server'].map((name) => [name, tool({ description: name, inputSchema: any_object })]));

/* A result whose parts are promises or values, as the plain form. */
async function turn_of(result) {
    const [text, thinking, calls, finish, usage] = await Promise.all([result.text, result.reasoningText, result.toolCalls, result.finishReason, result.usage]);
    return { text, thinking: thinking ?? '', calls: calls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, input })), finish, usage };
}

/* ask - the library keeps its errors to itself while it streams: the first is thrown here. */
async function ask(model, mode, extra = {}) {
    const request = { model, prompt: 'Go on.', tools, maxRetries: 0, providerOptions, ...extra };
    if (mode === 'whole') return turn_of(await generateText(request));
    const result = streamText({ ...request, onError: () => {} });
    for await (const part of result.fullStream) if (part.type === 'error') throw part.error;
    return turn_of(result);
}

const finish_words = { stop: 'stop', tools: 'tool-calls', length: 'length', filter: 'content-filter' };

function checker(thoughts) {
    return (answer, scenario) => {
        const wanted = joined(make_turn(scenario, {}, {}));
        assert.equal(answer.text, wanted.text, 'text');
        if (thoughts) assert.equal(answer.thinking, wanted.thinking, 'thinking');
        assert.deepEqual(answer.calls.map(({ name, input }) => [name, input]), wanted.calls.map((call) => [call.name, JSON.parse(call.arguments)]), 'calls');
        assert.equal(new Set(answer.calls.map(({ id }) => id)).size, wanted.calls.length, 'ids');
        assert.equal(answer.finish, finish_words[wanted.finish], 'finish');
        assert.equal(answer.usage.inputTokens, wanted.usage.input, 'input tokens');
        assert.equal(answer.usage.outputTokens, wanted.usage.output, 'output tokens');
        assert.equal(answer.usage.inputTokenDetails.cacheReadTokens ?? 0, wanted.usage.cache_read, 'cached tokens');
    };
}

async function leave(model, count) {
    const controller = new AbortController();
    const result = streamText({ model, prompt: 'Go on.', abortSignal: controller.signal, maxRetries: 0, onError: () => {} });
    let events = 0;
    let left_at = 0;
    for await (const part of result.fullStream) {
        if (part.type !== 'text-delta' || ++events !== count) continue;
        left_at = performance.now();
        controller.abort();
    }
    return left_at;
}

/* loop - the library runs the tools and asks again by itself. */
async function loop(make, first, second, mode) {
    let results = 0;
    const running = Object.fromEntries(Object.entries(tools).map(([name, each]) => [name, { ...each, execute: async () => `result ${results++}` }]));
    const request = {
        model: make(first), prompt: 'Go on.', tools: running, maxRetries: 0, providerOptions, stopWhen: stepCountIs(2),
        prepareStep: ({ stepNumber }) => (stepNumber === 0 ? {} : { model: make(second) }),
    };
    if (mode === 'whole') return (await generateText(request)).text;
    return streamText({ ...request, onError: ({ error }) => { throw error; } }).text;
}

for (const [name, { client, model, thoughts, keeps_state }] of Object.entries(providers)) {
    sdk_suite({
        name: `vercel ${name}`,
        client,
        ask: (url, wanted, mode) => ask(model(url, wanted), mode),
        is_error: (error) => typeof error === 'object',
        status_of: (error) => error.statusCode,
        words_of: (error) => error.message,
        leave: (url, wanted, count) => leave(model(url, wanted), count),
        loop: (url, first, second, mode) => loop((each) => model(url, each), first, second, mode),
        keeps_state,
        unread: ({ line_end }) => line_end === '\r',
        scenarios: ['text', 'tricky', 'tool', 'text_tool', 'parallel', 'zero', 'parallel_zero', 'thinking', 'thinking_tool', 'usage', 'length', 'filter'],
        check: checker(thoughts),
    }, (world) => {
        it('sources of an answer are sources', async () => {
            if (client === 'anthropic') return;
            const { sources } = await generateText({ model: model(world.penstock.url, 'c/citations'), prompt: 'Go on.', maxRetries: 0 });
            // The package for compatible servers reads no sources.
            if (name !== 'openai-compatible') assert.deepEqual(sources.map(({ url }) => url), ['https://example.com/paris', 'https://example.com/rome']);
        });
    });
}
