// SPDX-License-Identifier: MIT
//
// faults_sizes - an event of 100 MB, replies of any size, and streams that never end: memory stays bounded, time too, and each ends
// in its error (R11, R14, R20, R28).

import fs from 'node:fs';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn, text_block } from '../../tools/fake_provider/turns.mjs';
import { chunk_of, endless, reply_head } from './lib/faulty.mjs';
import { ask_all, fails, faults, in_faults } from './lib/fault_cases.mjs';
import { slow_build } from './lib/penstock.mjs';
import { sleep } from './lib/raw.mjs';

const turn = { ...make_turn('text', {}, {}), blocks: [text_block('Hello', ', ', 'wide ', 'world', '!')] };
const events = frame_events(chat_stream(turn, { model: 'm' }));
const chunked = reply_head(200, [['Content-Type', 'text/event-stream'], ['Transfer-Encoding', 'chunked']]);
const begun = Buffer.concat([chunked, chunk_of(Buffer.concat(events.slice(0, 3)))]);
const mega = Buffer.alloc(1024 * 1024, 'y');
const hundred = 100;
const high_water = (penstock) => Number(/^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${penstock.pid}/status`, 'utf8'))[1]) * 1024;

/* A hundred megabytes in front of which something stands, as far as anybody takes them. */
function large(head, opening, piece = mega, closing = '') {
    return async (peer) => {
        await peer.write(head);
        if (opening) await peer.write(chunk_of(Buffer.from(opening)));
        const chunk = chunk_of(piece);
        for (let sent = 0; sent < hundred * mega.length && !peer.gone; sent += piece.length) await peer.write(chunk);
        await peer.write(Buffer.concat([chunk_of(Buffer.from(`${closing}\n\n`)), Buffer.from('0\r\n\r\n')]));
    };
}

const lines = Buffer.from(`data: ${'y'.repeat(65_000)}\n`.repeat(16));
const opened = 'data: {"choices":[{"index":0,"delta":{"content":"';
const large_events = {
    'a text': large(chunked, opened, mega, '"}}]}'),
    'a text in a stream that has begun': large(begun, opened, mega, '"}}]}'),
    'many lines': large(begun, '', lines),
    'a comment': large(begun, ':'),
    'a name of an event': large(begun, 'event: '),
    'an id': large(begun, 'id: '),
    'an unknown field': large(begun, 'nobody: '),
    'arguments of a call': large(begun, 'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"', mega, '"}}]}}]}'),
};

/* The limits are small, so that what exceeds them shows; 16 MiB is what one event may have without any configuration. */
const small = { penstock: { workers: 1, limits: { event: '1MiB', reply: '2MiB' } } };

in_faults('100 MB', small, (world) => {
    for (const [name, plan] of Object.entries(large_events)) {
        it(`an event of 100 MB is refused, in little memory: ${name}`, async () => {
            const before = high_water(world.penstock);
            await fails(world, `large-${name}`.replaceAll(' ', '-'), plan, faults.too_large, { within_ms: 4000, began: name.includes('begun') });
            // Eight at once, each with one event and what it was before it grew.
            const grown = high_water(world.penstock) - before;
            if (!slow_build) assert.ok(grown < 8 * 4 * 1024 * 1024, `${grown} bytes more`);
        });
    }

    it('a reply of 100 MB is refused, in little memory', async () => {
        const before = high_water(world.penstock);
        const json = reply_head(200, [['Content-Type', 'application/json'], ['Transfer-Encoding', 'chunked']]);
        await fails(world, 'large-reply', large(json, '{"id":"'), faults.too_large, { within_ms: 4000 });
        // One that says so is refused with its first byte.
        const said = Buffer.concat([reply_head(200, [['Content-Type', 'application/json'], ['Content-Length', 100_000_000]]), Buffer.from('{')]);
        await fails(world, 'large-said', said, faults.too_large, { within_ms: 500 });
        assert.ok(slow_build || high_water(world.penstock) - before < 8 * 6 * 1024 * 1024);
    });

    it('a stream of small events that grows beyond what may be collected is refused to who wants it whole', async () => {
        const piece = chunk_of(Buffer.from(`${opened}${'z'.repeat(30_000)}"}}]}\n\n`));
        const plan = async (peer) => { await peer.write(begun); await endless(peer, () => piece); };
        await fails(world, 'large-collected', plan, faults.too_large, { only: ['whole'], clients: ['anthropic', 'responses', 'gemini'], within_ms: 4000 });
    });

    it('an error of 100 MB is read as far as it is needed', async () => {
        world.server.plan('large-error', large(reply_head(503, [['Content-Type', 'application/json'], ['Transfer-Encoding', 'chunked'], ['Retry-After', '4']]), '{"error":{"message":"'));
        for (const { client, mode, response } of await ask_all(world, 'large-error')) {
            assert.equal(response.status, client === 'anthropic' ? 529 : 503, `${client} ${mode}: ${response.text.slice(0, 300)}`);
            assert.equal(response.headers['retry-after'], '4');
            assert.ok(response.text.length < 300_000);
        }
    });

    it('gives it all back', { skip: slow_build ? 'release only' : false }, async () => {
        await world.ledger.settled();
        assert.ok(world.penstock.rss_bytes() < 40 * 1024 * 1024, `${world.penstock.rss_bytes()} bytes are still held`);
    });
});

in_faults('100 MB, with the limits as they are', { penstock: { workers: 1 } }, (world) => {
    it('an event of 100 MB ends in an error; the process lives in bounded memory', async () => {
        const before = high_water(world.penstock);
        for (const client of ['chat', 'anthropic']) await fails(world, `default-${client}`, large_events['a text in a stream that has begun'], faults.too_large, { clients: [client], only: ['stream'], within_ms: 5000 });
        const grown = high_water(world.penstock) - before;
        if (!slow_build) assert.ok(grown < 48 * 1024 * 1024, `${grown} bytes for an event of at most 16 MiB`);
    });
});

const minimal = chunk_of(Buffer.from(`${opened}z"}}]}\n\n`));
const never = {
    'small events, slowly': [begun, () => minimal, 20],
    'small events, as fast as they are taken': [begun, () => Buffer.concat(Array.from({ length: 200 }, () => minimal)), 1],
    'comments': [begun, () => chunk_of(Buffer.from(': still here\n\n')), 20],
    'comments as fast as they are taken': [begun, () => Buffer.concat(Array.from({ length: 500 }, () => chunk_of(Buffer.from(':\n')))), 1],
    'empty lines': [begun, () => chunk_of(Buffer.from('\n')), 10],
    'events that say nothing': [begun, () => chunk_of(Buffer.from('data: {"choices":[]}\n\n')), 10],
    'one byte of an event': [begun, () => chunk_of(Buffer.from('d')), 10],
    'comments before any event': [chunked, () => chunk_of(Buffer.from(': still here\n\n')), 20],
};
const hurried = { penstock: { workers: 1, timeouts: { request: '1s' } } };

in_faults('streams that never end', hurried, (world) => {
    for (const [name, [head, make, pause_ms]] of Object.entries(never)) {
        it(`${name}: end with the time for the whole exchange`, async () => {
            const rss = world.penstock.rss_bytes();
            let still = 0;
            const answers = await fails(world, `never-${name}`.replaceAll(/[ ,]+/g, '-'), async (peer) => {
                still++;
                await peer.write(head);
                await endless(peer, make, pause_ms);
                still--;
            }, faults.endless, { within_ms: 1900, began: head === begun, same: 'chat' });
            for (const { took_ms } of answers) assert.ok(took_ms > 950, `after ${took_ms} ms`);
            for (let wait = 0; still > 0 && wait < 100; wait++) await sleep(20);
            assert.equal(still, 0, 'the upstream is left');
            const grown = world.penstock.rss_bytes() - rss;
            if (!slow_build) assert.ok(grown < 64 * 1024 * 1024, `memory grew by ${grown}`);
        });
    }

    it('a whole reply, drop by drop: ends as well', async () => {
        const head = reply_head(200, [['Content-Type', 'application/json'], ['Transfer-Encoding', 'chunked']]);
        await fails(world, 'drops', async (peer) => { await peer.write(head); await endless(peer, () => chunk_of(Buffer.from(' ')), 20); }, faults.endless, { within_ms: 1900 });
    });

    it('an error reply, drop by drop: ends as well', async () => {
        const head = reply_head(503, [['Content-Type', 'application/json'], ['Transfer-Encoding', 'chunked']]);
        world.server.plan('error-drops', async (peer) => { await peer.write(head); await endless(peer, () => chunk_of(Buffer.from(' ')), 20); });
        for (const { client, mode, response, took_ms } of await ask_all(world, 'error-drops')) {
            assert.ok([503, 504, 529].includes(response.status), `${client} ${mode}: ${response.status} ${response.text}`);
            assert.ok(took_ms < 4000, `${took_ms} ms`);
        }
    });
});
