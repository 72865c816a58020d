// SPDX-License-Identifier: MIT
//
// faults_kept - connections to upstreams that are kept: what comes behind a reply belongs to nobody, and least of all to the next
// client (response splitting; R17, R23). And kept connections that die are nobody's failure.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { chat_json, chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn, text_block } from '../../tools/fake_provider/turns.mjs';
import { ask_raw, read_raw } from './lib/dialects.mjs';
import { chunk_of, last_chunk, reply_head, wire_of } from './lib/faulty.mjs';
import { ask_all, in_faults } from './lib/fault_cases.mjs';
import { slow_build } from './lib/penstock.mjs';
import { sleep } from './lib/raw.mjs';

const saying = (words) => ({ ...make_turn('text', {}, {}), blocks: [text_block(words)] });
const object_of = (words) => Buffer.from(JSON.stringify(chat_json(saying(words), { model: 'm' })));
const stream_of = (words, framing = 'chunked') => wire_of(frame_events(chat_stream(saying(words), { model: 'm' })), 'text/event-stream', framing).bytes;
const whole_of = (words, options) => wire_of([object_of(words)], 'application/json', 'length', options).bytes;
const evil = whole_of('EVIL');
const evil_stream = stream_of('EVIL');

/* Good replies with something behind them: bytes of another reply, noise, or nothing that a reader of HTTP would expect. */
const behind = {
    'a whole reply': evil,
    'a stream': evil_stream,
    'half a reply': evil.subarray(0, evil.length >> 1),
    'one byte': Buffer.from('x'),
    'a line end': Buffer.from('\r\n'),
    'an interim reply': Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'),
    'noise': Buffer.alloc(5000, 0x80),
    'another last chunk': last_chunk,
    'a chunk': chunk_of(object_of('EVIL')),
};

in_faults('what comes behind a reply', { penstock: { workers: 1, timeouts: { upstream_idle: '2s', first_byte: '3s', idle: '3s' } } }, (world) => {
    const ask = async (model, mode = 'whole', client = 'chat') => read_raw(await ask_raw(world.penstock.port, client, `c/${model}`, mode), client, mode, { same: client === 'chat', grammar: { include_usage: undefined, no_usage: true } }).text;

    for (const [name, bytes] of Object.entries(behind)) {
        for (const late_ms of [0, 30]) {
            it(`${name}, ${late_ms === 0 ? 'in one go' : 'a moment later'}: is not told to the next`, async () => {
                for (const first of [whole_of('good'), stream_of('good'), stream_of('good', 'length'), whole_of('good', { status: 429 })]) {
                    world.server.plan('dirty', async (peer) => {
                        if (late_ms === 0) return void await peer.write(Buffer.concat([first, bytes]));
                        await peer.write(first);
                        await sleep(late_ms);
                        await peer.write(bytes);
                    });
                    world.server.plan('clean', (peer) => peer.write(peer.stream ? stream_of('mine') : whole_of('mine')));
                    const mode = first.includes('event-stream') ? 'stream' : 'whole';
                    const dirty = await ask_raw(world.penstock.port, 'chat', 'c/dirty', mode);
                    assert.ok([200, 429].includes(dirty.status), dirty.text);
                    assert.doesNotMatch(dirty.text, /EVIL/);
                    if (late_ms > 0) await sleep(late_ms + 20);
                    for (const [again, client] of [['whole', 'chat'], ['stream', 'chat'], ['stream', 'anthropic']]) assert.equal(await ask('clean', again, client), 'mine');
                }
            });
        }
    }

    it('no client ever has another\'s words, whatever is mixed', async () => {
        const rounds = slow_build ? 20 : 60;
        const bad = Object.values(behind);
        for (let at = 0; at < 16; at++) {
            world.server.plan(`mix${at}`, async (peer) => {
                const words = `words of ${at}`;
                const reply = peer.stream ? stream_of(words) : whole_of(words);
                await peer.write(at % 4 === 0 ? Buffer.concat([reply, bad[peer.server.requests % bad.length]]) : reply);
            });
        }
        const lane = async (at) => {
            for (let round = 0; round < rounds; round++) {
                const client = ['chat', 'anthropic', 'responses'][(at + round) % 3];
                const mode = round % 2 === 0 ? 'stream' : 'whole';
                assert.equal(await ask(`mix${at}`, mode, client), `words of ${at}`);
            }
        };
        const connections = world.server.connections;
        await Promise.all(Array.from({ length: 16 }, (_, at) => lane(at)));
        assert.ok(world.server.connections - connections < 16 * rounds, 'connections are kept at all');
    });

    it('a kept connection that ended, was reset or spoke is replaced without a word', async () => {
        world.server.plan('kept', (peer) => peer.write(whole_of('kept')));
        const endings = {
            fin: (socket) => socket.end(),
            reset: (socket) => socket.resetAndDestroy(),
            'a timeout said aloud': (socket) => socket.end(reply_head(408, [['Connection', 'close'], ['Content-Length', 0]])),
        };
        for (const end of Object.values(endings)) {
            for (let round = 0; round < 10; round++) {
                assert.equal(await ask('kept'), 'kept');
                // Once it is noticed before the next request, once hardly.
                for (const socket of world.server.sockets) end(socket);
                if (round % 2 === 0) await sleep(20);
                assert.equal(await ask('kept'), 'kept');
            }
        }
    });

    it('one that closes as soon as it has been asked again is asked on a new connection, once', async () => {
        let asked = 0;
        world.server.plan('shy', async (peer) => {
            asked++;
            if (peer.socket.shy) return peer.fin();
            peer.socket.shy = true;
            return peer.write(whole_of('here'));
        });
        assert.equal(await ask('shy'), 'here');
        assert.equal(await ask('shy'), 'here');
        assert.equal(asked, 3);
        // Never more than once: an upstream that always closes has failed.
        world.server.plan('gone', (peer) => peer.fin());
        for (const { client, mode, response } of await ask_all(world, 'gone')) assert.equal(response.status, 502, `${client} ${mode}: ${response.text}`);
    });
});
