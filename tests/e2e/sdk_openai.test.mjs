// SPDX-License-Identifier: MIT
//
// sdk_openai - the official OpenAI library against penstock, with both kinds of upstream behind it.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { ask_openai, openai_at } from './lib/ask.mjs';
import { check_turn } from './lib/expect.mjs';
import { pairs, patience } from './lib/penstock.mjs';
import { in_world } from './lib/world.mjs';

const scenarios = [
    'text', 'tricky', 'tool', 'text_tool', 'parallel', 'zero', 'parallel_zero', 'thinking', 'thinking_tool', 'usage', 'cache_write',
    'length', 'filter', 'refusal', 'stop_sequence', 'pause', 'window',
];

in_world('openai library', {}, (world) => {
    for (const { upstream, prefix } of pairs) {
        for (const mode of ['stream', 'whole']) {
            for (const scenario of scenarios) {
                it(`${mode} from ${upstream}: ${scenario}`, async () => {
                    const answer = await ask_openai(openai_at(world.penstock.url), prefix + scenario, mode);
                    check_turn(answer, scenario, upstream, 'chat');
                    // Passed on, the answer is the upstream's, word for word; translated, it is ours.
                    assert.equal(answer.model, upstream === 'chat' ? scenario : prefix + scenario, 'model');
                });
            }
        }

        it(`${upstream}: any delivery gives the same answer`, async () => {
            const client = openai_at(world.penstock.url);
            for (const how of ['split=byte', 'split=random,seed=11', 'chunking=byte', 'framing=close', 'framing=length', 'whole', 'comments']) {
                check_turn(await ask_openai(client, `${prefix}tricky,${how}`, 'stream'), 'tricky', upstream, 'chat');
                check_turn(await ask_openai(client, `${prefix}parallel,${how}`, 'stream'), 'parallel', upstream, 'chat');
            }
        });

        it(`${upstream}: CRLF, CR and fields without a space`, async () => {
            const client = openai_at(world.penstock.url);
            for (const behaviour of [{ line_end: '\r\n' }, { line_end: '\r' }, { compact: true }, { line_end: '\r\n', split: 'byte' }, { prefix: '\uFEFF' }]) {
                world.provider.script('crlf', { scenario: 'thinking_tool', ...behaviour });
                check_turn(await ask_openai(client, `${prefix}crlf`, 'stream'), 'thinking_tool', upstream, 'chat');
            }
        });

        it(`${upstream}: abort reaches the upstream within 100 ms`, async () => {
            const model = `${prefix}count,count=1000,pace_ms=20,sdk=true`;
            world.provider.reset();
            const stream = await openai_at(world.penstock.url).chat.completions.create({ model, stream: true, messages: [{ role: 'user', content: 'x' }] });
            let events = 0;
            let left_at = 0;
            for await (const chunk of stream) {
                assert.equal(chunk.object, 'chat.completion.chunk');
                if (++events === 5) {
                    left_at = performance.now();
                    stream.controller.abort();
                }
            }
            const seen = await world.provider.wait_for((record) => record.client_closed_at !== null && record.model.includes('sdk=true'));
            assert.ok(seen.client_closed_at - left_at < 100 * patience, `cancelled after ${seen.client_closed_at - left_at} ms`);
            assert.equal(seen.outcome === 'complete', false);
        });

        it(`${upstream}: a break in the middle is an error, not an end`, async () => {
            for (const how of ['cut_at=700', 'reset_at=700', 'error_after=4', 'finish=false,done=false', 'bad_chunk=3']) {
                await assert.rejects(ask_openai(openai_at(world.penstock.url), `${prefix}count,${how}`, 'stream'), (error) => {
                    assert.ok(error instanceof OpenAI.OpenAIError, `${how}: ${error}`);
                    return true;
                });
            }
        });

        it(`${upstream}: a break before the end of a whole answer is a status`, async () => {
            for (const how of ['cut_at=100', 'reset_at=100']) {
                await assert.rejects(ask_openai(openai_at(world.penstock.url), `${prefix}text,${how}`, 'whole'), (error) => {
                    assert.ok(error.status >= 500, `${how}: ${error.status} ${error}`);
                    assert.equal(typeof error.error?.message, 'string');
                    return true;
                });
            }
        });

        it(`${upstream}: truncated arguments of a cut call stay cut by length`, async () => {
            const answer = await ask_openai(openai_at(world.penstock.url), `${prefix}cut_arguments`, 'stream');
            assert.equal(answer.finish, 'length');
        });
    }

    it('anthropic: invalid arguments of a finished call are an error', async () => {
        await assert.rejects(ask_openai(openai_at(world.penstock.url), 'a/bad_arguments', 'stream'), OpenAI.OpenAIError);
    });

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

    it('knows no other model', async () => {
        for (const mode of ['stream', 'whole']) {
            await assert.rejects(ask_openai(openai_at(world.penstock.url), 'unknown-model', mode), (error) => {
                assert.equal(error.status, 404);
                assert.equal(error.code, 'model_not_found');
                return true;
            });
        }
    });
});
