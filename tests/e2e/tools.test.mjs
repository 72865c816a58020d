// SPDX-License-Identifier: MIT
//
// tools - what people have at hand: curl as the README shows it, and wrk with the scripts of tools/wrk
// (issue points 1 and 4).

import { describe, after, before, it } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { check_chat } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { decode_sse } from './lib/sse.mjs';
import { Penstock, repository, slow_build } from './lib/penstock.mjs';
import { sleep } from './lib/raw.mjs';

const run = promisify(execFile);

function missing(name) {
    return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0 ? false : `no ${name}`;
}

describe('tools', () => {
    let penstock;
    before(async () => { penstock = await Penstock.start(null); });
    after(async () => { await penstock?.stop(); });

    it('curl streams from both dialects', { skip: missing('curl') }, async () => {
        const body = (model) => JSON.stringify({ model, stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] });
        const openai = await run('curl', ['-sS', '-N', `${penstock.url}/v1/chat/completions`, '-H', 'Content-Type: application/json', '-d', body('demo')]);
        assert.deepEqual(check_chat(decode_sse(openai.stdout).events, {}), []);
        const anthropic = await run('curl', ['-sS', '-N', `${penstock.url}/v1/messages`, '-H', 'anthropic-version: 2023-06-01', '-d', body('demo-anthropic')]);
        assert.deepEqual(check_anthropic(decode_sse(anthropic.stdout).events, {}), []);
    });

    it('curl sends a large body with Expect and gets its answer', { skip: missing('curl') }, async () => {
        const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'x'.repeat(100_000) }] });
        const answer = await run('curl', ['-sS', '-H', 'Expect: 100-continue', `${penstock.url}/v1/chat/completions`, '-d', body]);
        assert.equal(JSON.parse(answer.stdout).object, 'chat.completion');
    });

    for (const [script, connections] of [['chat_stream', 64], ['messages_stream', 64], ['health', 128]]) {
        it(`wrk: ${script} finishes with zero errors`, { skip: missing('wrk') }, async () => {
            const fds = penstock.descriptors();
            const { stdout } = await run('wrk', ['-t2', `-c${connections}`, slow_build ? '-d2s' : '-d4s', '-s', path.join(repository, 'tools', 'wrk', `${script}.lua`), penstock.url]);
            assert.doesNotMatch(stdout, /Socket errors|Non-2xx/, stdout);
            if (script !== 'health') {
                const found = /streams whole (\d+), broken (\d+), socket and status errors (\d+)/.exec(stdout);
                assert.ok(found, stdout);
                assert.ok(Number(found[1]) > 0, stdout);
                assert.equal(Number(found[2]) + Number(found[3]), 0, stdout);
            }
            process.stdout.write(`  ${script}: ${/Requests\/sec:\s+[\d.]+/.exec(stdout)}\n`);
            await sleep(1500);
            assert.ok(penstock.descriptors() <= fds + 140, 'connections to the demo listener stay within its pool');
        });
    }
});
