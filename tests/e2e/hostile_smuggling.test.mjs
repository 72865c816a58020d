// SPDX-License-Identifier: MIT
//
// hostile_smuggling - requests that hide another one, through the gateway to an upstream that keeps what arrives: never two
// where the client sent one, never a byte of the hidden one as a request (R197, R205).

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { gateway_config, patience, Penstock } from './lib/penstock.mjs';
import { RawClient, request_bytes, sleep } from './lib/raw.mjs';
import { Recorder } from './lib/recorder.mjs';
import { honest, hostile, inner, numbered } from './lib/smuggling.mjs';

const canary = 'GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: canary\r\n\r\n';
const is_canary = (response) => response.headers['x-request-id'] === 'canary';
let cases = 0;
const config = (url) => gateway_config(url, { penstock: { timeouts: { head: '1s', body: '1s', client_idle: '2s', linger: '100ms' } } });

describe('smuggling', () => {
    let recorder;
    let penstock;
    before(async () => {
        recorder = await new Recorder().start();
        penstock = await Penstock.start(config(recorder.url));
    });
    after(async () => {
        await penstock?.stop();
        await recorder?.stop();
    });

    /* talk - send the bytes whole, in two pieces cut at `cut`, or each on its own; what came back until it closes or is silent. */
    async function talk(text, cut) {
        const bytes = Buffer.from(text, 'latin1');
        const client = await RawClient.open(penstock.port);
        if (cut === 'bytes') {
            for (let at = 0; at < bytes.length; at++) {
                client.socket.write(bytes.subarray(at, at + 1));
                if (at % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
            }
        } else if (cut > 0) {
            await client.write(bytes.subarray(0, cut));
            await sleep(1);
            client.socket.write(bytes.subarray(cut));
        } else {
            client.socket.write(bytes);
        }
        return client;
    }

    /* How often the upstream has heard the outer request; the hidden one it must not have heard. */
    function heard(number, name) {
        assert.deepEqual(recorder.complaints, [], name);
        const mine = recorder.requests.filter(({ start, lines, body }) => `${start}${lines}${body}`.includes(numbered('c/outer', number).slice(2)));
        const hidden = recorder.requests.filter(({ start, lines, body }) => `${start}${lines}${body}`.includes(numbered('c/smuggled', number).slice(2)));
        assert.deepEqual(hidden, [], name);
        for (const request of mine) assert.doesNotMatch(JSON.stringify(request.lines) + request.start, /evil/, name);
        return mine.length;
    }

    // 'unheard': who says that it sends no more, and does, may lose even its answer to the reset that this earns (RFC 9112, 9.6).
    async function attack([name, text, unheard], cut) {
        const number = ++cases;
        const client = await talk(numbered(text, number), cut);
        // Where the connection survives, the next request is understood as itself: nothing before it was left lying.
        client.socket.write(canary);
        const statuses = [];
        for (let over = false; !over;) {
            const response = await client.next(30000 * patience).catch((error) => error);
            if (response instanceof Error) break;
            statuses.push(response.status);
            over = is_canary(response);
        }
        client.destroy();
        assert.ok(statuses.length >= 1 || unheard, `${name}: no answer`);
        assert.ok(statuses.length <= 2, `${name}: ${statuses}`);
        assert.ok(heard(number, name) <= 1, `${name}: the upstream heard more than one request`);
    }

    for (const [how, cut] of [['whole', 0], ['in two pieces', 120], ['byte by byte', 'bytes']]) {
        it(`${hostile.length} hostile requests, ${how}, never become two`, async () => {
            const waiting = hostile.filter(([, text]) => cut !== 'bytes' || text.length < 3000);
            const some = async () => {
                for (let next = waiting.pop(); next; next = waiting.pop()) await attack(next, cut);
            };
            await Promise.all(Array.from({ length: 32 }, some));
        });
    }

    for (const [name, text] of honest) {
        it(`one request arrives as one: ${name}`, async () => {
            for (const cut of [0, 60, 'bytes']) {
                const number = ++cases;
                const client = await talk(numbered(text, number), cut);
                const response = await client.next();
                assert.equal(response.status, 200, response.text);
                client.socket.write(canary);
                assert.ok(is_canary(await client.next()));
                client.destroy();
                assert.equal(heard(number, name), 1);
            }
        });
    }

    it('two requests that are two are seen as two: what is not seen above was not there', async () => {
        const number = ++cases;
        const client = await talk(numbered(`${honest[0][1]}${inner}`, number), 0);
        assert.equal((await client.next()).status, 200);
        assert.equal((await client.next()).status, 200);
        client.destroy();
        assert.throws(() => heard(number, 'both'));
    });

    it('a hidden request in any field, path or name stays in it', async () => {
        const lines = inner.split('\r\n');
        const names = [`c/outer HTTP/1.1\r\nHost: evil`, `c/outer\r\n\r\n${inner}`, `g/x HTTP/1.1\r\nHost: evil.example\r\n\r\n${inner}`, `g/../../evil?x=`, 'g/x#evil', 'g/x y', 'g/x%0d%0aHost:%20evil', 'g/\u010d\u010a'];
        for (const name of names) {
            const from = recorder.requests.length;
            for (const [target, body] of [
                ['/v1/chat/completions', { model: name, messages: [{ role: 'user', content: 'x' }] }],
                [`/v1beta/models/${encodeURIComponent(name)}:generateContent`, { contents: [{ role: 'user', parts: [{ text: 'x' }] }] }],
                ['/v1/embeddings', { model: name, input: 'x' }],
            ]) {
                const client = await RawClient.open(penstock.port);
                await client.write(request_bytes('POST', target, { body, headers: { 'anthropic-beta': lines[0], 'openai-organization': 'a\tb', 'user-agent': lines.join(' ') } }));
                await client.next();
                client.destroy();
            }
            assert.deepEqual(recorder.complaints, [], name);
            for (const { start, lines: fields } of recorder.requests.slice(from)) {
                assert.match(start, /^POST [!-~]+ HTTP\/1\.1$/);
                assert.doesNotMatch(start, /\/\.\.\//);
                assert.equal(fields.find((line) => /^host:/i.test(line)), `Host: 127.0.0.1:${recorder.port}`);
            }
            assert.ok(recorder.requests.length - from <= 3);
        }
    });

    it('the service is well afterwards', async () => {
        const client = await RawClient.open(penstock.port);
        await client.send('GET', '/health');
        assert.equal((await client.next()).status, 200);
        client.destroy();
    });
});
