// SPDX-License-Identifier: MIT
//
// retries - before anything was sent a failure is tried again, elsewhere or later; after it, never
// (R2, R17, R32, R33, R56, R67, R69, R78, R163).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { anthropic_at, ask_anthropic, ask_openai, openai_at } from './lib/ask.mjs';
import { models_at, patience } from './lib/penstock.mjs';
import { exchange, json_of, sleep } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const chat = '/v1/chat/completions';
const messages = '/v1/messages';
const question = { max_tokens: 20, messages: [{ role: 'user', content: 'x' }] };

function config(url) {
    const nowhere = 'http://127.0.0.1:1';
    return {
        model_list: [
            ...models_at(url),
            { model_name: 'dead', litellm_params: { model: 'openai/dead', api_base: nowhere, api_key: 'k' } },
            { model_name: 'dead-claude', litellm_params: { model: 'anthropic/dead', api_base: nowhere, api_key: 'k' } },
            { model_name: 'with-fallback', litellm_params: { model: 'openai/text,status=500', api_base: `${url}/v1`, api_key: 'k' } },
            { model_name: 'spare', litellm_params: { model: 'anthropic/text', api_base: url, api_key: 'k' } },
            { model_name: 'small', litellm_params: { model: 'openai/too-long', api_base: `${url}/v1`, api_key: 'k' } },
            { model_name: 'large', litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k' } },
            { model_name: 'half-dead', litellm_params: { model: 'openai/text', api_base: nowhere, api_key: 'k', order: 1 } },
            { model_name: 'half-dead', litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k', order: 2 } },
            { model_name: 'narrow', litellm_params: { model: 'openai/text,pace_ms=200', api_base: `${url}/v1/narrow`, api_key: 'k' }, penstock: { max_connections: 1 } },
        ],
        router_settings: {
            num_retries: 2, fallbacks: [{ 'with-fallback': ['spare'] }], context_window_fallbacks: [{ small: ['large'] }], model_group_alias: { nickname: 'spare' },
        },
        penstock: { retry: { base: '20ms', max: '300ms' }, timeouts: { connect: '500ms', first_byte: '700ms', commit: '8s' }, limits: { upstream_queue: 2 }, workers: 1 },
    };
}

const too_long = { status: 400, body: { error: { message: 'This model\'s maximum context length is 8192 tokens.', type: 'invalid_request_error', param: 'messages', code: 'context_length_exceeded' } } };

in_world('retries', config, (world) => {
    const post = (path, model, stream = true) => exchange(world.penstock.port, 'POST', path, { body: { ...question, model, stream } });
    const fail = (behaviour, times = 1) => {
        world.provider.reset();
        world.provider.queue(behaviour, { times });
    };

    for (const status of [408, 429, 500, 502, 503, 504, 529]) {
        it(`${status} is tried again`, async () => {
            for (const [path, model] of [[chat, 'c/text'], [messages, 'a/text'], [chat, 'a/text'], [messages, 'c/text']]) {
                fail({ status }, 2);
                const response = await post(path, model);
                assert.equal(response.status, 200, response.text);
                assert.equal(world.provider.seen.length, 3);
                assert.equal(response.headers['x-penstock-attempts'], '3');
            }
        });
    }

    it('400, 403, 404 and 422 are not', async () => {
        for (const status of [400, 404, 422]) {
            fail({ status }, 3);
            const response = await post(chat, 'c/text');
            assert.equal(response.status, status);
            assert.equal(world.provider.seen.length, 1, `${status} was tried again`);
        }
    });

    it('a connection that breaks before an answer is tried again', async () => {
        for (const behaviour of [{ raw_response: '', then: 'close' }, { raw_response: 'HTTP/1.1 200 OK\r\nContent-Ty', then: 'close' }, { silent: true }, { reset_at: 0 }]) {
            fail(behaviour);
            const response = await post(messages, 'c/text');
            assert.equal(response.status, 200, JSON.stringify(behaviour));
            assert.equal(world.provider.seen.length, 2, JSON.stringify(behaviour));
        }
    });

    it('an error inside a 200 stream, before any content, is tried again or is a retryable status', async () => {
        fail({ error_after: 0, error: { type: 'server_error', code: 'server_error', message: 'The server had an error' } });
        const again = await post(messages, 'c/text');
        assert.ok(again.status === 200 || again.status >= 500, `${again.status}`);
        if (again.status === 200) assert.equal(world.provider.seen.length, 2);
    });

    it('after the first byte nothing is tried again', async () => {
        fail({ scenario: 'count', count: 20, cut_at: 1500 });
        const response = await post(chat, 'c/text');
        assert.equal(response.status, 200);
        assert.match(response.text, /"error"/);
        assert.equal(world.provider.seen.length, 1);
    });

    it('Retry-After is waited for, within reason', async () => {
        fail({ status: 429, headers: { 'Retry-After': '1' } });
        const started = performance.now();
        assert.equal((await post(chat, 'c/text')).status, 200);
        assert.ok(performance.now() - started > 900, 'tried again too early');
    });

    it('the last error reaches the client with its status and Retry-After', async () => {
        const body = { type: 'error', error: { type: 'rate_limit_error', message: 'Slow down please' }, request_id: 'req_1' };
        fail({ status: 429, body, headers: { 'Retry-After': '7', 'x-should-retry': 'true', 'anthropic-ratelimit-requests-remaining': '0' } }, 9);
        const passed = await post(messages, 'a/text');
        assert.equal(passed.status, 429);
        assert.deepEqual(json_of(passed), body);
        assert.equal(passed.headers['retry-after'], '7');
        assert.equal(passed.headers['x-should-retry'], 'true');
        assert.equal(passed.headers['anthropic-ratelimit-requests-remaining'], '0');
        fail({ status: 429, body, headers: { 'Retry-After': '7' } }, 9);
        const translated = await post(chat, 'a/text');
        assert.equal(translated.status, 429);
        assert.equal(json_of(translated).error.message, 'Slow down please');
        assert.equal(translated.headers['retry-after'], '7');
        world.provider.reset();
    });

    it('the libraries see errors of the right kind', async () => {
        const kinds = [
            [400, OpenAI.BadRequestError, Anthropic.BadRequestError], [404, OpenAI.NotFoundError, Anthropic.NotFoundError],
            [429, OpenAI.RateLimitError, Anthropic.RateLimitError], [500, OpenAI.InternalServerError, Anthropic.InternalServerError],
        ];
        for (const [status, openai_error, anthropic_error] of kinds) {
            for (const prefix of ['c/', 'a/']) {
                for (const mode of ['stream', 'whole']) {
                    fail({ status, error: { message: 'as asked', type: 'invalid_request_error' } }, 3);
                    await assert.rejects(ask_openai(openai_at(world.penstock.url), `${prefix}text`, mode), openai_error);
                    fail({ status, error: { message: 'as asked', type: 'invalid_request_error' } }, 3);
                    await assert.rejects(ask_anthropic(anthropic_at(world.penstock.url), `${prefix}text`, mode), anthropic_error);
                }
            }
        }
        world.provider.reset();
    });

    it('a library that retries itself gets through', async () => {
        fail({ status: 503 }, 4);
        const answer = await ask_openai(openai_at(world.penstock.url, { maxRetries: 3 }), 'c/text', 'whole');
        assert.equal(answer.text, 'Hello, world!');
        fail({ status: 529 }, 4);
        const other = await ask_anthropic(anthropic_at(world.penstock.url, { maxRetries: 3 }), 'a/text', 'stream');
        assert.equal(other.text, 'Hello, world!');
    });

    it('falls back to another model, across dialects', async () => {
        world.provider.reset();
        const response = await post(chat, 'with-fallback');
        assert.equal(response.status, 200);
        assert.match(response.text, /Hello/);
        assert.equal(world.provider.seen[world.provider.seen.length - 1].dialect, 'anthropic');
    });

    it('falls back to a larger window', async () => {
        world.provider.script('too-long', too_long);
        const response = await post(chat, 'small');
        assert.equal(response.status, 200, response.text);
    });

    it('a full window is told in words that Anthropic clients know', async () => {
        world.provider.script('window-full', too_long);
        const anthropic = await post(messages, 'c/window-full');
        assert.equal(anthropic.status, 400);
        assert.equal(json_of(anthropic).error.type, 'invalid_request_error');
        assert.match(json_of(anthropic).error.message, /prompt is too long/);
        world.provider.script('window-full', { status: 400, body: { type: 'error', error: { type: 'invalid_request_error', message: 'prompt is too long: 250000 tokens > 200000 maximum' } } });
        const openai = await post(chat, 'a/window-full');
        assert.equal(openai.status, 400);
        assert.equal(json_of(openai).error.code, 'context_length_exceeded');
    });

    it('tries the next deployment when one is dead', async () => {
        const response = await post(chat, 'half-dead');
        assert.equal(response.status, 200, response.text);
    });

    it('a dead upstream is an overload or a bad gateway', async () => {
        const openai = await post(chat, 'dead');
        assert.ok([502, 503, 529].includes(openai.status), `${openai.status}`);
        const anthropic = await post(messages, 'dead-claude');
        assert.ok([503, 529].includes(anthropic.status), `${anthropic.status}`);
        assert.equal(json_of(anthropic).error.type, 'overloaded_error');
    });

    it('an upstream that never answers is a timeout', async () => {
        world.provider.script('mute', { silent: true });
        const started = performance.now();
        const response = await post(messages, 'c/mute');
        assert.equal(response.status, 504, response.text);
        assert.equal(json_of(response).error.type, 'timeout_error');
        assert.ok(performance.now() - started < 6000 * patience);
    });

    it('an alias is another name', async () => {
        assert.equal((await post(chat, 'nickname')).status, 200);
    });

    it('more than the queue of an upstream holds is a 429 with Retry-After', async () => {
        const responses = await Promise.all(Array.from({ length: 8 }, () => post(chat, 'narrow')));
        const refused = responses.filter((response) => response.status === 429);
        assert.ok(refused.length >= 1, JSON.stringify(responses.map((response) => response.status)));
        assert.ok(responses.some((response) => response.status === 200));
        for (const response of refused) assert.match(response.headers['retry-after'], /^\d+$/);
    });

    it('connections to an upstream are kept and used again', async () => {
        const connections = world.provider.connections;
        for (let at = 0; at < 10; at++) assert.equal((await post(chat, 'c/text')).status, 200);
        assert.ok(world.provider.connections - connections <= 1, `${world.provider.connections - connections} new connections`);
    });

    it('a kept connection that the upstream closed is replaced without a word', async () => {
        for (let at = 0; at < 5; at++) {
            assert.equal((await post(chat, 'c/text')).status, 200);
            for (const socket of world.provider.sockets) socket.end();
            assert.equal((await post(chat, 'c/text')).status, 200);
        }
    });
});

function tiring(url) {
    return {
        model_list: [
            { model_name: 'tired', litellm_params: { model: 'openai/text,status=500', api_base: `${url}/v1`, api_key: 'sk-tired' } },
            { model_name: 'awake', litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'sk-awake' } },
        ],
        router_settings: { num_retries: 0, allowed_fails: 0, cooldown_time: '300ms', cooldown_max: '1h' },
    };
}

in_world('rests', tiring, (world) => {
    const upstreams = async () => json_of(await exchange(world.penstock.port, 'GET', '/health/upstreams')).upstreams;
    const ask = async (model) => (await exchange(world.penstock.port, 'POST', chat, { body: { ...question, model } })).status;

    it('health lists what rests, for how long, and how often it did', async () => {
        const rested = { state: 'ok', rests_for_ms: 0, penalty: 0 };
        assert.deepEqual(await upstreams(), [
            { model: 'tired', provider: 'openai', upstream: 'openai/text,status=500', ...rested },
            { model: 'awake', provider: 'openai', upstream: 'openai/text', ...rested },
        ]);
        for (let rests = 1; rests <= 3; rests++) {
            assert.equal(await ask('tired'), 500);
            assert.equal(await ask('tired'), 503);
            assert.equal(await ask('awake'), 200);
            const [tired, awake] = await upstreams();
            assert.equal(tired.state, 'resting');
            assert.equal(tired.penalty, rests);
            assert.ok(tired.rests_for_ms > 0 && tired.rests_for_ms <= 300 * 2 ** (rests - 1), `${tired.rests_for_ms}`);
            assert.equal(awake.state, 'ok');
            const until = Date.now() + 5000 * patience;
            while ((await upstreams())[0].state !== 'ok' && Date.now() < until) await sleep(20);
        }
    });
});
