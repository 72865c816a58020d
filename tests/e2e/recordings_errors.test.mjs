// SPDX-License-Identifier: MIT
//
// recordings_errors - every recorded refusal of a provider: its status class and its words must reach clients of all four
// dialects, in the envelope that client reads (R2, R55, R68, R69).

import test, { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock } from './lib/penstock.mjs';
import { json_of } from './lib/raw.mjs';
import { ask_raw, dialect_names, dialects, modes_of } from './lib/dialects.mjs';
import { load_recordings, recording_text, recordings_folder } from './lib/recordings.mjs';

const recordings = load_recordings();
/* The words for an HTTP status in each dialect that has words (wire-formats 12.5). */
const gemini_words = {
    400: ['INVALID_ARGUMENT', 'FAILED_PRECONDITION'], 401: ['UNAUTHENTICATED'], 403: ['PERMISSION_DENIED'], 404: ['NOT_FOUND'], 413: ['INVALID_ARGUMENT'],
    429: ['RESOURCE_EXHAUSTED'], 500: ['INTERNAL'], 502: ['INTERNAL'], 503: ['UNAVAILABLE'], 504: ['DEADLINE_EXCEEDED'],
};
const anthropic_words = {
    400: 'invalid_request_error', 401: 'authentication_error', 403: 'permission_error', 404: 'not_found_error', 413: 'request_too_large', 429: 'rate_limit_error',
};

/* The human words of an error body, wherever this provider keeps them (wire-formats 12.5). */
function message_of(body) {
    if (Array.isArray(body)) return message_of(body[0]);
    const { error, message, detail } = body;
    if (typeof error === 'string') return error;
    if (error && typeof error.message === 'string') return error.message;
    if (typeof message === 'string') return message;
    return typeof detail === 'string' ? detail : undefined;
}

function check_envelope(response, body, client, passed) {
    const { error } = body;
    assert.equal(typeof error?.message, 'string');
    if (client === 'anthropic') {
        assert.equal(body.type, 'error');
        assert.equal(typeof error.type, 'string');
        if (!passed && anthropic_words[response.status]) assert.equal(error.type, anthropic_words[response.status]);
    } else if (client === 'gemini') {
        assert.ok(Number.isInteger(error.code));
        assert.equal(typeof error.status, 'string');
        if (!passed) assert.equal(error.code, response.status);
        if (!passed && gemini_words[response.status]) assert.ok(gemini_words[response.status].includes(error.status), `${response.status} ${error.status}`);
    } else {
        // A body of the client's own dialect is passed on as the provider wrote it.
        if (!passed) assert.equal(typeof error.type, 'string');
        if (!passed) assert.ok('param' in error && 'code' in error);
    }
}

function check_answer(response, entry, client, mode, original) {
    const said = `${client}, ${mode}: ${response.status} ${response.text}`;
    const passed = entry.dialect === client;
    assert.match(response.headers['content-type'], /^application\/json/, said);
    const body = json_of(response);
    if (passed && ['anthropic', 'gemini'].includes(client)) {
        assert.equal(response.status, entry.status, said);
        assert.deepEqual(body, original, 'the provider\'s own body, unmodified');
        if (entry.response_headers['x-should-retry']) assert.equal(response.headers['x-should-retry'], entry.response_headers['x-should-retry']);
        return;
    }
    try {
        check_envelope(response, body, client, passed);
    } catch (error) {
        error.message += `\n${said}`;
        throw error;
    }
    const words = message_of(original);
    // A refused key is penstock's own; Google says a wrong key with 400.
    const allowed = [401, 403].includes(entry.status) ? [entry.status, 502] : [entry.status];
    // What a refusal is decides its status, where the provider's own status says less than its words.
    if (/API_KEY_INVALID|Incorrect API key/.test(JSON.stringify(original))) allowed.push(401, 502);
    if (/"model_not_found"/.test(JSON.stringify(original))) allowed.push(404);
    if (/"insufficient_quota"/.test(JSON.stringify(original)) && client === 'anthropic') allowed.push(402);
    if (/context|too long|maximum/i.test(words ?? '') && client === 'anthropic') allowed.push(400);
    assert.ok(allowed.includes(response.status), said);
    if (words) assert.ok(body.error.message.includes(words.slice(0, 40)), `${said}\nlacks: ${words}`);
    const delay = /"retryDelay": *"([\d.]+)s"/.exec(JSON.stringify(original));
    if (response.status !== 429) return;
    if (entry.response_headers['retry-after']) assert.match(response.headers['retry-after'], /^\d+$/);
    else if (delay) assert.equal(Number(response.headers['retry-after']), Math.ceil(Number(delay[1])), said);
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
                const name = `error-${entry.file.replaceAll('/', '~')}`;
                world.provider.script(name, { replay: entry.file });
                for (const client of dialect_names) {
                    for (const mode of modes_of(client)) {
                        check_answer(await ask_raw(world.penstock.port, client, dialects[entry.dialect].prefix + name, mode), entry, client, mode, original);
                    }
                }
                fine++;
            });
        }
    });
}
