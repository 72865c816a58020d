// SPDX-License-Identifier: MIT
//
// recordings_errors - every recorded refusal of a provider: its status class and its words must reach
// both kinds of client, in the envelope that client reads (R2, R55, R68, R69).

import test, { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock } from './lib/penstock.mjs';
import { exchange, json_of } from './lib/raw.mjs';
import { load_recordings, recording_text, recordings_folder } from './lib/recordings.mjs';

const recordings = load_recordings();
const paths = { chat: '/v1/chat/completions', anthropic: '/v1/messages' };

/* The human words of an error body, wherever this provider keeps them (wire-formats 12.5). */
function words_of(body) {
    if (Array.isArray(body)) return words_of(body[0]);
    const { error, message, detail } = body;
    if (typeof error === 'string') return error;
    if (error && typeof error.message === 'string') return error.message;
    if (typeof message === 'string') return message;
    return typeof detail === 'string' ? detail : undefined;
}

function check_envelope(body, client, passed) {
    if (client === 'anthropic') {
        assert.equal(body.type, 'error');
        assert.equal(typeof body.error?.type, 'string');
        return assert.equal(typeof body.error?.message, 'string');
    }
    assert.equal(typeof body.error?.message, 'string');
    assert.equal(typeof body.error?.type, 'string');
    // A body of the client's own dialect is passed on as the provider wrote it.
    if (!passed) assert.ok('param' in body.error && 'code' in body.error);
    return undefined;
}

if (!recordings) {
    test('recorded errors', { skip: `no recordings at ${recordings_folder}` }, () => {});
} else {
    describe('recorded errors', () => {
        const world = {};
        const errors = recordings.filter((entry) => entry.status !== 200);
        let fine = 0;
        before(async () => {
            world.provider = await new FakeProvider({ recordings: recordings_folder }).start();
            world.penstock = await Penstock.start(gateway_config(world.provider.url));
        });
        after(async () => {
            process.stdout.write(`recorded errors: ${fine} of ${errors.length}\n`);
            await world.penstock?.stop();
            await world.provider.stop();
        });
        for (const entry of errors) {
            it(entry.file, async () => {
                const original = JSON.parse(recording_text(entry.file));
                const words = words_of(original);
                for (const client of ['chat', 'anthropic']) {
                    for (const stream of [true, false]) {
                        const name = `error-${entry.file}`;
                        world.provider.script(name, { replay: entry.file });
                        const model = (entry.dialect === 'chat' ? 'c/' : 'a/') + name;
                        const body = { model, stream, max_tokens: 64, messages: [{ role: 'user', content: 'Go on.' }] };
                        const response = await exchange(world.penstock.port, 'POST', paths[client], { body });
                        check_answer(response, entry, client, original, words);
                    }
                }
                fine++;
            });
        }
    });
}

function check_answer(response, entry, client, original, words) {
    const said = `${client}: ${response.status} ${response.text}`;
    assert.match(response.headers['content-type'], /^application\/json/, said);
    const body = json_of(response);
    if (entry.dialect === 'anthropic' && client === 'anthropic') {
        assert.equal(response.status, entry.status, said);
        assert.deepEqual(body, original, 'the provider\'s own body, unmodified');
        if (entry.response_headers['x-should-retry']) assert.equal(response.headers['x-should-retry'], entry.response_headers['x-should-retry']);
        return;
    }
    check_envelope(body, client, entry.dialect === client);
    // A refused key is penstock's own: the client's is fine, so for other dialects it is the gateway that failed.
    const allowed = [401, 403].includes(entry.status) ? [entry.status, 502] : [entry.status];
    if (/context|too long|maximum/i.test(words ?? '') && client === 'anthropic') allowed.push(400);
    assert.ok(allowed.includes(response.status), said);
    if (words) assert.ok(body.error.message.includes(words.slice(0, 40)), `${said}\nlacks: ${words}`);
    if (entry.response_headers['retry-after'] && entry.status === 429) assert.match(response.headers['retry-after'], /^\d+$/);
}
