// SPDX-License-Identifier: MIT
//
// sdk_anthropic - the official Anthropic library against penstock, with both kinds of upstream behind it.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { anthropic_at, ask_anthropic } from './lib/ask.mjs';
import { check_turn } from './lib/expect.mjs';
import { pairs, patience } from './lib/penstock.mjs';
import { in_world } from './lib/world.mjs';

const scenarios = [
    'text', 'tricky', 'tool', 'text_tool', 'parallel', 'zero', 'parallel_zero', 'thinking', 'thinking_tool', 'usage', 'cache_write',
    'length', 'filter', 'refusal', 'stop_sequence', 'pause', 'window',
];

in_world('anthropic library', {}, (world) => {
    for (const { upstream, prefix } of pairs) {
        for (const mode of ['stream', 'whole']) {
            for (const scenario of scenarios) {
                it(`${mode} from ${upstream}: ${scenario}`, async () => {
                    const answer = await ask_anthropic(anthropic_at(world.penstock.url), prefix + scenario, mode);
                    check_turn(answer, scenario, upstream, 'anthropic');
                    // Passed on, the answer is the upstream's, word for word; translated, it is ours.
                    assert.equal(answer.model, upstream === 'anthropic' ? scenario : prefix + scenario, 'model');
                    if (scenario.startsWith('thinking')) assert.equal(answer.types[0], 'thinking');
                    if (scenario === 'stop_sequence' && upstream === 'anthropic') assert.equal(answer.stop_sequence, 'END');
                    if (scenario === 'thinking' && upstream === 'anthropic') assert.deepEqual(answer.signatures, ['c2lnbmF0dXJlLTE=']);
                });
            }
        }

        it(`${upstream}: any delivery gives the same answer`, async () => {
            const client = anthropic_at(world.penstock.url);
            for (const how of ['split=byte', 'split=random,seed=11', 'chunking=byte', 'framing=close', 'framing=length', 'whole', 'comments']) {
                check_turn(await ask_anthropic(client, `${prefix}tricky,${how}`, 'stream'), 'tricky', upstream, 'anthropic');
                check_turn(await ask_anthropic(client, `${prefix}parallel,${how}`, 'stream'), 'parallel', upstream, 'anthropic');
            }
        });

        it(`${upstream}: CRLF, CR and fields without a space`, async () => {
            const client = anthropic_at(world.penstock.url);
            for (const behaviour of [{ line_end: '\r\n' }, { line_end: '\r' }, { compact: true }, { line_end: '\r\n', split: 'byte' }, { prefix: '\uFEFF' }]) {
                world.provider.script('crlf', { scenario: 'thinking_tool', ...behaviour });
                check_turn(await ask_anthropic(client, `${prefix}crlf`, 'stream'), 'thinking_tool', upstream, 'anthropic');
            }
        });

        it(`${upstream}: abort reaches the upstream within 100 ms`, async () => {
            world.provider.reset();
            const stream = anthropic_at(world.penstock.url).messages.stream({ model: `${prefix}count,count=1000,pace_ms=20,sdk=true`, max_tokens: 100, messages: [{ role: 'user', content: 'x' }] });
            let left_at = 0;
            let events = 0;
            stream.on('streamEvent', () => {
                if (++events === 5) {
                    left_at = performance.now();
                    stream.abort();
                }
            });
            await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
            const seen = await world.provider.wait_for((record) => record.client_closed_at !== null && record.model.includes('sdk=true'));
            assert.ok(seen.client_closed_at - left_at < 100 * patience, `cancelled after ${seen.client_closed_at - left_at} ms`);
        });

        it(`${upstream}: a break in the middle is an error, not an end`, async () => {
            for (const how of ['cut_at=700', 'reset_at=700', 'error_after=4', 'finish=false,done=false', 'bad_chunk=3']) {
                await assert.rejects(ask_anthropic(anthropic_at(world.penstock.url), `${prefix}count,${how}`, 'stream'), (error) => {
                    assert.ok(error instanceof Anthropic.AnthropicError, `${how}: ${error}`);
                    return true;
                });
            }
        });

        it(`${upstream}: a break before the end of a whole answer is a status`, async () => {
            for (const how of ['cut_at=100', 'reset_at=100']) {
                await assert.rejects(ask_anthropic(anthropic_at(world.penstock.url), `${prefix}text,${how}`, 'whole'), (error) => {
                    assert.ok(error.status >= 500, `${how}: ${error.status} ${error}`);
                    assert.equal(error.error?.type, 'error');
                    return true;
                });
            }
        });

        it(`${upstream}: counts tokens without a generation`, async () => {
            world.provider.reset();
            const counted = await anthropic_at(world.penstock.url).messages.countTokens({ model: `${prefix}text`, messages: [{ role: 'user', content: 'How many tokens are these?' }] });
            assert.ok(Number.isInteger(counted.input_tokens) && counted.input_tokens > 0);
            assert.deepEqual(world.provider.seen.filter((record) => !record.path.endsWith('/count_tokens')), []);
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
        for (const mode of ['stream', 'whole']) {
            await assert.rejects(ask_anthropic(anthropic_at(world.penstock.url), 'c/bad_arguments', mode), Anthropic.AnthropicError);
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

    it('knows no other model', async () => {
        for (const mode of ['stream', 'whole']) {
            await assert.rejects(ask_anthropic(anthropic_at(world.penstock.url), 'unknown-model', mode), (error) => {
                assert.equal(error.status, 404);
                assert.equal(error.error?.error?.type, 'not_found_error');
                return true;
            });
        }
    });
});
