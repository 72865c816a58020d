// SPDX-License-Identifier: MIT
//
// faults_heads - upstreams that refuse, that are not there, and whose heads are slow, endless, oversized, ambiguous or no HTTP at
// all (R2, R11, R17, R20, R23; docs/http.md). Every client is told, in its own words and in time, and nothing else suffers.

import net from 'node:net';
import { spawn } from 'node:child_process';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { chat_json, chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn } from '../../tools/fake_provider/turns.mjs';
import { chunk_of, endless, last_chunk, reply_head, wire_of } from './lib/faulty.mjs';
import { answers_well, ask_all, fails, faults, in_faults, rows_fail } from './lib/fault_cases.mjs';
import { gateway_config, models_at, patience, Penstock } from './lib/penstock.mjs';
import { sleep } from './lib/raw.mjs';

const turn = make_turn('text', {}, {});
const events = frame_events(chat_stream(turn, { model: 'm' }));
const body = Buffer.concat(events);
const good = (framing, options) => wire_of(events, 'text/event-stream', framing, options).bytes;
const text = (words) => Buffer.from(words, 'latin1');
const stream_head = (...fields) => reply_head(200, [['Content-Type', 'text/event-stream'], ...fields]);

/* Exactly these bytes; then the connection stays, so that it is not its end that fails the try. */
const says = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? text(part) : part)));
const with_head = (...fields) => says(stream_head(...fields), body);

const no_status_line = {
    'no HTTP': 'garbage\r\n\r\n',
    'HTTP/0.9': Buffer.concat([Buffer.from(JSON.stringify(chat_json(turn, { model: 'm' }))), text('\r\n\r\n')]),
    'HTTP/2 settings': text('\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x04\x00\x01\x00\x00\x00\x06\x00\x00\x20\x00'),
    'HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/2 in words': 'HTTP/2 200\r\n\r\n',
    'a TLS alert': text('\x15\x03\x01\x00\x02\x02\x46'),
    'ICY': 'ICY 200 OK\r\n\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'status 000': 'HTTP/1.1 000 OK\r\n\r\n',
    'status 600': 'HTTP/1.1 600 OK\r\n\r\n',
    'letters for digits': 'HTTP/1.1 2OO OK\r\n\r\n',
    'two spaces': 'HTTP/1.1  200 OK\r\n\r\n',
    'a space in front': ' HTTP/1.1 200 OK\r\n\r\n',
    'an empty line in front': '\r\nHTTP/1.1 200 OK\r\n\r\n',
    'small letters': 'http/1.1 200 OK\r\n\r\n',
    'bare line feeds': 'HTTP/1.1 200 OK\nContent-Length: 2\n\n{}',
    'a bare carriage return': 'HTTP/1.1 200 OK\rContent-Length: 2\r\r{}',
    'NUL': 'HTTP/1.1 200 O\x00K\r\n\r\n',
};
const bad_fields = {
    'no colon': 'HTTP/1.1 200 OK\r\nContent-Type\r\n\r\n',
    'a space in front of the colon': 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}',
    'a folded field': 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\n\r\n',
    'an empty name': 'HTTP/1.1 200 OK\r\n: 1\r\n\r\n',
    'a control byte': 'HTTP/1.1 200 OK\r\nX-A: \x01\r\n\r\n',
    'two equal lengths': with_head(['Content-Length', body.length], ['Content-Length', body.length]),
    'two different lengths': with_head(['Content-Length', body.length], ['Content-Length', 5]),
    'a list of lengths': with_head(['Content-Length', `${body.length}, ${body.length}`]),
    'a length and a coding': says(stream_head(['Content-Length', 5], ['Transfer-Encoding', 'chunked']), chunk_of(body), last_chunk),
    'a negative length': with_head(['Content-Length', -1]),
    'a signed length': with_head(['Content-Length', `+${body.length}`]),
    'a length in hex': with_head(['Content-Length', '0x10']),
    'a length with a point': with_head(['Content-Length', `${body.length}.0`]),
    'a length of 2^64': with_head(['Content-Length', '18446744073709551616']),
    'an empty length': with_head(['Content-Length', '']),
    'gzip, chunked': says(stream_head(['Transfer-Encoding', 'gzip, chunked']), chunk_of(body), last_chunk),
    'chunked twice': says(stream_head(['Transfer-Encoding', 'chunked'], ['Transfer-Encoding', 'chunked']), chunk_of(body), last_chunk),
    'identity': with_head(['Transfer-Encoding', 'identity']),
    'xchunked': with_head(['Transfer-Encoding', 'xchunked']),
    'chunked in HTTP/1.0': says('HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n', chunk_of(body), last_chunk),
};
const oversized = {
    'a status line without end': (peer) => endless(peer, () => Buffer.alloc(16384, 'a')),
    'a reason without end': async (peer) => { await peer.write('HTTP/1.1 200 '); await endless(peer, () => Buffer.alloc(16384, 'a')); },
    'fields without end': async (peer) => { await peer.write('HTTP/1.1 200 OK\r\n'); await endless(peer, () => 'X-Field: value\r\n'.repeat(500)); },
    'one field without end': async (peer) => { await peer.write('HTTP/1.1 200 OK\r\nX-Field: '); await endless(peer, () => Buffer.alloc(16384, 'a')); },
    'one field over the limit': says('HTTP/1.1 200 OK\r\nX-Field: ', Buffer.alloc(70_000, 'a'), '\r\n\r\n'),
    'a field too many': says('HTTP/1.1 200 OK\r\n', 'X-Field: value\r\n'.repeat(101), '\r\n'),
    '1xx without end': (peer) => endless(peer, () => 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)),
    '1xx with fields without end': (peer) => endless(peer, () => `HTTP/1.1 103 Early Hints\r\nLink: <${'x'.repeat(4000)}>\r\n\r\n`.repeat(10)),
};
const slow = {
    'nothing': () => {},
    // They wait for us to speak, and we for the rest of a head.
    'SSH': 'SSH-2.0-OpenSSH_9.2\r\n',
    'SMTP': '220 mail.example ESMTP\r\n',
    'a status line and no more': 'HTTP/1.1 200 OK\r\n',
    'a byte now and then': async (peer) => {
        for (const byte of `HTTP/1.1 200 OK\r\nX-Field: ${'a'.repeat(1000)}`) {
            if (peer.gone) return;
            await peer.write(byte);
            await sleep(30);
        }
    },
    'a field now and then': async (peer) => { await peer.write('HTTP/1.1 200 OK\r\n'); await endless(peer, () => 'X-A: 1\r\n', 60); },
    'a 1xx now and then': (peer) => endless(peer, () => 'HTTP/1.1 102 Processing\r\n\r\n', 50),
    '101 and silence': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
};

const short = { penstock: { timeouts: { connect: '600ms', first_byte: '600ms', idle: '600ms' } } };

in_faults('heads that are none', short, (world) => {
    const plans = (rows) => Object.fromEntries(Object.entries(rows).map(([name, plan]) => [name, typeof plan === 'string' ? text(plan) : plan]));
    rows_fail(world, 'status line', plans(no_status_line), faults.protocol, { within_ms: 500 });
    rows_fail(world, 'field', plans(bad_fields), faults.protocol, { within_ms: 500 });
    rows_fail(world, 'over the limit', plans(oversized), faults.protocol, { within_ms: 1500 });
    rows_fail(world, 'slow', plans(slow), faults.silent, { within_ms: 1400 });
    rows_fail(world, 'gone', {
        'at once': (peer) => peer.fin(),
        'reset at once': (peer) => peer.reset(),
        'behind the status line': async (peer) => { await peer.write('HTTP/1.1 200 OK\r\n'); peer.fin(); },
        'behind an interim reply': async (peer) => { await peer.write('HTTP/1.1 100 Continue\r\n\r\n'); peer.fin(); },
    }, faults.disconnected, { within_ms: 500 });

    it('redirects are not followed', async () => {
        for (const status of [301, 302, 303, 307, 308]) {
            const requests = world.server.requests;
            const answers = await fails(world, `redirect-${status}`, says(reply_head(status, [['Location', `${world.server.url}/v1/elsewhere`], ['Content-Length', 0]])), faults.protocol);
            assert.equal(world.server.requests - requests, answers.length, 'one request for each client');
        }
    });

    it('what is unusual but clear is taken', async () => {
        await answers_well(world, 'plain', good('chunked'), 'world');
        await answers_well(world, 'interim', says('HTTP/1.1 100 Continue\r\n\r\n'.repeat(3), 'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n', good('length')), 'world');
        await answers_well(world, 'no-reason', says('HTTP/1.1 200\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: Chunked\r\n\r\n', chunk_of(body), last_chunk), 'world');
        await answers_well(world, 'many-fields', good('length', { fields: Array.from({ length: 90 }, (_, at) => [`X-${at}`, 'v'.repeat(500)]) }), 'world');
        await answers_well(world, 'old', async (peer) => { await peer.write(says('HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n', body)); peer.fin(); }, 'world');
    });
});

/* A listener that never accepts, its queue full: the kernel drops who comes next. */
async function black_hole() {
    const script = 'const s = require("net").createServer(); s.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => process.stdout.write(s.address().port + "\\n"))';
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)));
    child.kill('SIGSTOP');
    const fillers = Array.from({ length: 4 }, () => net.connect({ port, host: '127.0.0.1' }).on('error', () => {}));
    await sleep(200);
    return {
        url: `http://127.0.0.1:${port}/v1`,
        stop: () => {
            fillers.forEach((socket) => socket.destroy());
            child.kill('SIGKILL');
        },
    };
}

const hole = await black_hole();
process.once('exit', hole.stop);
const away = (server) => ({
    model_list: [
        ...models_at(server.url),
        { model_name: 'refused', litellm_params: { model: 'openai/x', api_base: 'http://127.0.0.1:1/v1', api_key: 'k' } },
        { model_name: 'dropped', litellm_params: { model: 'openai/x', api_base: hole.url, api_key: 'k' } },
        { model_name: 'narrow', litellm_params: { model: 'openai/narrow', api_base: `${server.url}/v1/narrow`, api_key: 'k' }, penstock: { max_connections: 1 } },
    ],
    penstock: { timeouts: { connect: '600ms', first_byte: '800ms', idle: '600ms' } },
});

in_faults('upstreams that are not there', away, (world) => {
    it('refuse', () => fails(world, 'refused', undefined, faults.refused, { prefix: '', within_ms: 500 }));

    it('drop what comes', async () => {
        await fails(world, 'dropped', undefined, faults.unreachable, { prefix: '', within_ms: 1300 });
        hole.stop();
    });

    it('accept and reset before the request is there', async () => {
        const server = net.createServer({ pauseOnConnect: true }, (socket) => {
            socket.on('error', () => {});
            socket.resetAndDestroy();
        });
        await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
        const { port } = server.address();
        const penstock = await Penstock.start(gateway_config(`http://127.0.0.1:${port}`, { penstock: { timeouts: { first_byte: '600ms' } } }));
        for (const { client, mode, response } of await ask_all({ penstock, prefix: 'c/' }, 'any')) {
            assert.ok([502, 503, 529].includes(response.status), `${client} ${mode}: ${response.status} ${response.text}`);
        }
        await penstock.stop();
        await new Promise((resolve) => server.close(resolve));
    });

    it('answer before they have read the request: the answer counts', async () => {
        // Nobody reads on: the request can never leave whole.
        const server = net.createServer((socket) => {
            socket.on('error', () => {});
            socket.once('data', () => {
                socket.pause();
                socket.write(wire_of([Buffer.from('{"error":{"message":"too fast","type":"rate_limit_error"}}')], 'application/json', 'length', { status: 429, fields: [['Retry-After', '9']] }).bytes);
            });
        });
        await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
        const penstock = await Penstock.start(gateway_config(`http://127.0.0.1:${server.address().port}`));
        const padding = 'x'.repeat(8_000_000);
        const change = (asked) => (asked.messages ? { ...asked, messages: [{ role: 'user', content: padding }] } : asked);
        const answers = await ask_all({ penstock, prefix: 'c/' }, 'any', { clients: ['chat', 'anthropic'], change });
        for (const { client, mode, response, took_ms } of answers) {
            assert.equal(response.status, 429, `${client} ${mode}: ${response.text}`);
            assert.equal(response.headers['retry-after'], '9');
            assert.match(response.text, /too fast/);
            assert.ok(took_ms < 3000 * patience, `${took_ms} ms`);
        }
        await penstock.stop();
        server.close();
    });

    it('let one in and keep the others waiting: these are told, and the one has its answer', async () => {
        world.server.plan('narrow', async (peer) => {
            await sleep(300);
            await peer.write(good('chunked'));
        });
        const answers = await ask_all(world, 'narrow', { prefix: '' });
        for (const { client, mode, response } of answers) {
            assert.ok([200, 429].includes(response.status), `${client} ${mode}: ${response.status} ${response.text}`);
        }
        assert.ok(answers.some(({ response }) => response.status === 200));
    });
});
