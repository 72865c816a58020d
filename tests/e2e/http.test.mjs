// SPDX-License-Identifier: MIT
//
// http - the listener against raw bytes: what must be taken, what must be refused, and how
// (R5, R22, R23, R36, R61, R63, R138, R197, R205).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { events_of, exchange, json_of, RawClient, request_bytes, sleep } from './lib/raw.mjs';
import { check_chat } from './lib/grammar_chat.mjs';
import { patience } from './lib/penstock.mjs';
import { in_world } from './lib/world.mjs';

const chat = '/v1/chat/completions';
const messages = '/v1/messages';

function body_of(model, extra = {}) {
    return { model, max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }], ...extra };
}

/* Every one is a request that two readers could understand differently, or that no reader should take. */
const refused = {
    'length with chunked': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'two lengths': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd',
    'two equal lengths': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd',
    'signed length': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd',
    'negative length': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'hex length': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\nabcd',
    'length beyond 64 bits': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n',
    'unknown transfer coding': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'chunked twice': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n',
    'chunked not last': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'chunked under HTTP/1.0': 'POST /v1/messages HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'bad chunk size': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'empty chunk size': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n',
    'chunk size with sign': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+4\r\nabcd\r\n0\r\n\r\n',
    'chunk size beyond 64 bits': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n',
    'chunk without CRLF': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcdX0\r\n\r\n',
    'bare LF after chunk size': 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\nabcd\r\n0\r\n\r\n',
    'folded field': 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\n\r\n',
    'bare LF in head': 'GET /health HTTP/1.1\nHost: x\n\n',
    'bare CR in head': 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: 1\r2\r\n\r\n',
    'NUL in value': 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: 1\x002\r\n\r\n',
    'space before colon': 'GET /health HTTP/1.1\r\nHost : x\r\n\r\n',
    'space in name': 'GET /health HTTP/1.1\r\nHost: x\r\nX A: 1\r\n\r\n',
    'empty name': 'GET /health HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n',
    'no colon': 'GET /health HTTP/1.1\r\nHost: x\r\nwhatever\r\n\r\n',
    'no host': 'GET /health HTTP/1.1\r\n\r\n',
    'two hosts': 'GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
    'bad version': 'GET /health HTTP/2.0\r\nHost: x\r\n\r\n',
    'lower-case version': 'GET /health http/1.1\r\nHost: x\r\n\r\n',
    'two spaces in the request line': 'GET  /health HTTP/1.1\r\nHost: x\r\n\r\n',
    'no target': 'GET HTTP/1.1\r\nHost: x\r\n\r\n',
    'bad method': 'G(T /health HTTP/1.1\r\nHost: x\r\n\r\n',
    'control byte in the target': 'GET /hea\x01lth HTTP/1.1\r\nHost: x\r\n\r\n',
    'TLS instead of HTTP': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'whitespace before the first field': 'GET /health HTTP/1.1\r\n Host: x\r\n\r\n',
};

const config = { penstock: { limits: { body: '64KiB', head: '8KiB', line: '1KiB', fields: 50, json_depth: 32 }, timeouts: { head: '700ms', body: '900ms', client_idle: '1500ms' } } };

in_world('http listener', config, (world) => {
    const open = (options) => RawClient.open(world.penstock.port, options);
    const post = (path, parts, options) => exchange(world.penstock.port, 'POST', path, parts, options);

    for (const [name, bytes] of Object.entries(refused)) {
        it(`refuses: ${name}`, async () => {
            for (const split of [false, true]) {
                const client = await open();
                const buffer = Buffer.from(bytes, 'latin1');
                for (const part of split ? Array.from(buffer, (_, at) => buffer.subarray(at, at + 1)) : [buffer]) {
                    client.socket.write(part);
                    if (split) await new Promise((resolve) => setImmediate(resolve));
                }
                // What follows must never be taken for a request of its own.
                client.socket.write('GET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n');
                const response = await client.next(4000 * patience);
                assert.ok(response.status >= 400 && response.status <= 505, `${response.status}`);
                await client.closed();
                assert.equal(client.responses.length, 0, 'a second response');
                client.destroy();
            }
        });
    }

    it('takes a body in chunks, with extensions and trailers, in any pieces', async () => {
        const text = Buffer.from(JSON.stringify(body_of('c/echo,count=2', { messages: [{ role: 'user', content: 'Grüße 世界 🚀' }] })));
        const chunks = [];
        for (let at = 0; at < text.length; at += 7) {
            const part = text.subarray(at, at + 7);
            chunks.push(Buffer.from(`${part.length.toString(16)};ext="a;b"\r\n`), part, Buffer.from('\r\n'));
        }
        const head = `POST ${chat} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: Chunked\r\n\r\n`;
        const bytes = Buffer.concat([Buffer.from(head), ...chunks, Buffer.from('0\r\nX-Trailer: 1\r\n\r\n')]);
        for (const size of [bytes.length, 1, 3, 50]) {
            const client = await open();
            for (let at = 0; at < bytes.length; at += size) {
                client.socket.write(bytes.subarray(at, at + size));
                if (size < 10) await new Promise((resolve) => setImmediate(resolve));
            }
            const response = await client.next();
            assert.equal(response.status, 200, response.text);
            assert.equal(json_of(response).choices[0].message.content, 'Grüße 世界 🚀:0;Grüße 世界 🚀:1;');
            client.destroy();
        }
    });

    it('answers pipelined requests in order', async () => {
        const client = await open();
        const marks = ['one', 'two', 'three', 'four'];
        const bytes = marks.map((mark) => request_bytes('POST', chat, { body: body_of('c/echo,count=1', { messages: [{ role: 'user', content: mark }] }) }));
        await client.write(Buffer.concat([...bytes, request_bytes('GET', '/health')]));
        for (const mark of marks) assert.equal(json_of(await client.next()).choices[0].message.content, `${mark}:0;`);
        assert.equal((await client.next()).status, 200);
        client.destroy();
    });

    it('pipelines behind a stream', async () => {
        const client = await open();
        await client.write(Buffer.concat([
            request_bytes('POST', chat, { body: body_of('c/count,count=5,pace_ms=20', { stream: true }) }),
            request_bytes('POST', messages, { body: body_of('a/text') }),
        ]));
        assert.deepEqual(check_chat(events_of(await client.next()), {}), []);
        assert.equal(json_of(await client.next()).content[0].text, 'Hello, world!');
        client.destroy();
    });

    it('keeps a connection, and closes it when asked or when HTTP/1.0', async () => {
        const kept = await open();
        for (let at = 0; at < 3; at++) {
            await kept.send('GET', '/health');
            assert.equal((await kept.next()).status, 200);
        }
        await kept.send('GET', '/health', { headers: { Connection: 'close' } });
        assert.equal((await kept.next()).status, 200);
        await kept.closed();
        const old = await open();
        await old.write(Buffer.from('GET /health HTTP/1.0\r\n\r\n'));
        assert.equal((await old.next()).status, 200);
        await old.closed();
    });

    it('serves HTTP/1.0 streams until close', async () => {
        const client = await open();
        const body = JSON.stringify(body_of('c/text', { stream: true }));
        await client.write(Buffer.from(`POST ${chat} HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
        const response = await client.next();
        assert.equal(response.headers['transfer-encoding'], undefined);
        assert.deepEqual(check_chat(events_of(response), {}), []);
        await client.closed();
    });

    it('says 100 when the client expects it, and not otherwise', async () => {
        const body = Buffer.from(JSON.stringify(body_of('c/text')));
        const client = await open();
        await client.write(Buffer.from(`POST ${chat} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`));
        const until = Date.now() + 3000;
        while (client.interim.length === 0 && Date.now() < until) await sleep(5);
        assert.deepEqual(client.interim, [100]);
        await client.write(body);
        assert.equal((await client.next()).status, 200);
        await client.send('POST', chat, { body });
        assert.equal((await client.next()).status, 200);
        assert.equal(client.interim.filter((status) => status === 100).length, 1);
        client.destroy();
    });

    it('refuses a body that is announced too long before it comes', async () => {
        const client = await open();
        await client.write(Buffer.from(`POST ${messages} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n`));
        const response = await client.next();
        assert.equal(response.status, 413);
        assert.deepEqual(client.interim, []);
        assert.equal(json_of(response).error.type, 'request_too_large');
        client.destroy();
    });

    for (const framing of ['length', 'chunked']) {
        it(`413 in the dialect's envelope, ${framing}`, async () => {
            const text = JSON.stringify(body_of('c/text', { messages: [{ role: 'user', content: 'x'.repeat(70_000) }] }));
            for (const path of [chat, messages]) {
                const client = await open();
                if (framing === 'length') await client.send('POST', path, { body: text });
                else client.socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`);
                const response = await client.next();
                assert.equal(response.status, 413);
                const { error } = json_of(response);
                assert.equal(error.type, path === messages ? 'request_too_large' : 'invalid_request_error');
                client.destroy();
            }
            const fits = JSON.stringify(body_of('c/text', { messages: [{ role: 'user', content: 'x'.repeat(60_000) }] }));
            assert.equal((await post(chat, { body: fits })).status, 200);
        });
    }

    it('limits line, field count and head', async () => {
        const status = async (bytes) => {
            const client = await open();
            client.socket.write(bytes);
            const response = await client.next();
            client.destroy();
            return response.status;
        };
        assert.equal(await status(`GET /${'a'.repeat(2000)} HTTP/1.1\r\nHost: x\r\n\r\n`), 414);
        assert.equal(await status(`GET /health HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(9000)}\r\n\r\n`), 431);
        assert.equal(await status(`GET /health HTTP/1.1\r\nHost: x\r\n${'X-A: 1\r\n'.repeat(60)}\r\n`), 431);
    });

    it('malformed JSON is a 400 in the dialect\'s envelope', async () => {
        const bodies = ['', '{', '[]', '"text"', '{"model":"c/text",}', '{"model":"c/text" "messages":[]}', '{"model":5,"messages":[]}',
            `{"model":"c/text","messages":${'['.repeat(100)}${']'.repeat(100)}}`, '{"model":"c/te\u0001xt"}', '{"messages":[{"role":"user","content":"x"}]}', 'nonsense'];
        for (const path of [chat, messages]) {
            for (const body of bodies) {
                const response = await post(path, { body });
                assert.ok([400, 404].includes(response.status), `${body.slice(0, 40)}: ${response.status}`);
                const { error, type } = json_of(response);
                assert.equal(typeof error.message, 'string');
                if (path === messages) assert.equal(type, 'error');
                else assert.ok('param' in error && 'code' in error);
            }
            const bytes = Buffer.from(`{"model":"c/text","messages":[{"role":"user","content":"\xff\xfe"}]}`, 'latin1');
            assert.equal((await post(path, { body: bytes })).status, 400, 'text that is no UTF-8');
        }
    });

    it('duplicate keys and lone surrogates are judged, never fatal', async () => {
        const twice = await post(chat, { body: '{"model":"c/none","model":"c/text","messages":[{"role":"user","content":"x"}]}' });
        assert.ok([200, 400].includes(twice.status));
        const lone = await post(chat, { body: '{"model":"c/text","messages":[{"role":"user","content":"\\ud83d"}]}' });
        assert.ok([200, 400].includes(lone.status));
        assert.equal((await exchange(world.penstock.port, 'GET', '/health')).status, 200);
    });

    it('the forms of a path are one endpoint', async () => {
        for (const path of ['/v1/chat/completions', '/chat/completions', '/v1/chat/completions/', '/chat/completions/', '/v1/chat/completions?x=1']) {
            assert.equal((await post(path, { body: body_of('c/text') })).status, 200, path);
        }
        for (const path of ['/v1/messages', '/messages', '/v1/v1/messages', '/v1/messages?beta=true', '/v1/messages/?beta=true']) {
            assert.equal(json_of(await post(path, { body: body_of('c/text') })).type, 'message', path);
        }
        for (const path of ['/v1/messages/count_tokens', '/v1/messages/count_tokens?beta=true', '/messages/count_tokens']) {
            assert.ok(json_of(await post(path, { body: body_of('c/text') })).input_tokens > 0, path);
        }
    });

    it('unknown paths are 404 and wrong methods 405, in JSON, and reach no upstream', async () => {
        const before = world.provider.seen.length;
        for (const path of ['/v1/complete', '/v1/nothing', '/../etc/passwd', '/v1/messages/batches', '//evil.example/v1/messages']) {
            const response = await post(path, { body: body_of('c/text') });
            assert.equal(response.status, 404, path);
            json_of(response);
        }
        const wrong = await exchange(world.penstock.port, 'GET', messages);
        assert.equal(wrong.status, 405);
        assert.match(wrong.headers.allow ?? '', /POST/);
        assert.equal(world.provider.seen.length, before);
    });

    it('the host of an absolute target or a header leads nowhere', async () => {
        const client = await open();
        const body = JSON.stringify(body_of('c/text'));
        await client.write(Buffer.from(`POST http://evil.example/v1/chat/completions HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
        const response = await client.next();
        assert.ok([200, 400, 421].includes(response.status), `${response.status}`);
        if (response.status === 200) {
            const seen = world.provider.seen[world.provider.seen.length - 1];
            assert.equal(seen.headers.host, `127.0.0.1:${world.provider.port}`);
            assert.equal(seen.headers['x-forwarded-host'], undefined);
        }
        client.destroy();
    });

    it('greets at once: HEAD /, HEAD and GET /api/hello', async () => {
        for (const [method, path] of [['HEAD', '/'], ['GET', '/'], ['HEAD', '/api/hello'], ['GET', '/api/hello']]) {
            const client = await open();
            await client.send(method, path);
            const response = await client.next();
            assert.equal(response.status, 200, `${method} ${path}`);
            if (method === 'HEAD') assert.equal(response.body.length, 0);
            await client.send('GET', '/health');
            assert.equal((await client.next()).status, 200, 'the connection lives on');
            client.destroy();
        }
    });

    it('CORS: preflight on every route, headers on answers, errors and streams', async () => {
        for (const path of [chat, messages, '/v1/models', '/health', '/nowhere']) {
            const response = await exchange(world.penstock.port, 'OPTIONS', path, {
                headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization, x-custom' },
            });
            assert.equal(response.status, 204, path);
            assert.ok(['*', 'https://app.example'].includes(response.headers['access-control-allow-origin']), path);
            assert.match(response.headers['access-control-allow-methods'], /POST/);
            assert.match(response.headers['access-control-allow-headers'], /authorization.*x-custom/i);
            assert.match(response.headers['access-control-max-age'], /^\d+$/);
        }
        const headers = { Origin: 'https://app.example' };
        for (const body of [body_of('c/text'), body_of('c/text', { stream: true }), body_of('none'), '{']) {
            const response = await post(chat, { body, headers });
            assert.ok(response.headers['access-control-allow-origin'], `${response.status}`);
        }
    });

    it('x-request-id is taken or made, returned and forwarded', async () => {
        const own = await post(chat, { body: body_of('c/text'), headers: { 'x-request-id': 'my-id-123' } });
        assert.equal(own.headers['x-request-id'], 'my-id-123');
        assert.equal(world.provider.seen[world.provider.seen.length - 1].headers['x-request-id'], 'my-id-123');
        const made = await post(chat, { body: body_of('c/text') });
        assert.ok(made.headers['x-request-id'].length >= 16);
        const hostile = await post(chat, { body: body_of('c/text'), headers: { 'x-request-id': `${'a'.repeat(500)} level=error` } });
        assert.ok(hostile.headers['x-request-id'].length < 200);
    });

    it('slow heads and stuck bodies are cut off', async () => {
        const slow = await open();
        const started = performance.now();
        await slow.write(Buffer.from('GET /health HTTP/1.1\r\nHo'));
        const status = await slow.next(5000 * patience).then((response) => response.status, () => 0);
        assert.ok([0, 408].includes(status));
        assert.ok(performance.now() - started < 2500 * patience);
        const stuck = await open();
        await stuck.write(Buffer.from(`POST ${chat} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"mod`));
        assert.equal((await stuck.next(5000 * patience)).status, 408);
        const idle = await open();
        await idle.closed(5000 * patience);
    });

    it('a truncated body is no request', async () => {
        const before = world.provider.seen.length;
        const client = await open();
        await client.write(Buffer.from(`POST ${chat} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"model":"c/text"`));
        client.close();
        const status = await client.next(5000 * patience).then((response) => response.status, () => 0);
        assert.ok([0, 400, 408].includes(status), `${status}`);
        assert.equal(world.provider.seen.length, before);
    });

    it('nothing a client or an upstream says can forge an event or a header', async () => {
        const hostile = 'x\r\nInjected: 1\r\n\r\ndata: [DONE]\n\n';
        const unknown = await post(chat, { body: body_of(hostile) });
        assert.equal(unknown.headers.injected, undefined);
        assert.equal(unknown.status, 404);
        world.provider.script('hostile', { error_after: 2, error: { message: hostile, type: hostile, code: hostile } });
        for (const path of [chat, messages]) {
            const response = await post(path, { body: body_of('a/hostile', { stream: true }) });
            const events = events_of(response);
            assert.equal(events.filter((event) => event.data === '[DONE]').length, path === chat ? 1 : 0);
            assert.ok(response.text.includes('Injected'), 'the words are kept, escaped');
        }
        world.provider.script('bad-header', { raw_response: 'HTTP/1.1 429 X\r\nRetry-After: 1\rInjected: 1\r\nContent-Length: 2\r\n\r\n{}', then: 'close' });
        const bad = await post(messages, { body: body_of('a/bad-header') });
        assert.equal(bad.headers.injected, undefined);
        assert.ok(bad.status >= 400);
    });
});
