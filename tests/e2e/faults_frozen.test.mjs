// SPDX-License-Identifier: MIT
//
// faults_frozen - a gateway that was stopped for longer than its timers run, as a paused virtual machine or a swamped one is: what
// the peers said meanwhile lies in the kernel, and nobody is taken for silent who is not (R11, R17, R20).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn, text_block } from '../../tools/fake_provider/turns.mjs';
import { dialects, read_raw } from './lib/dialects.mjs';
import { chunk_of, last_chunk, reply_head } from './lib/faulty.mjs';
import { in_faults } from './lib/fault_cases.mjs';
import { patience } from './lib/penstock.mjs';
import { RawClient, request_bytes, sleep } from './lib/raw.mjs';

const turn = { ...make_turn('text', {}, {}), blocks: [text_block(...Array.from('one by one'))] };
const events = frame_events(chat_stream(turn, { model: 'm', stream_options: { include_usage: true } }));
const head = reply_head(200, [['Content-Type', 'text/event-stream'], ['Transfer-Encoding', 'chunked']]);
const rest = (from) => Buffer.concat([...events.slice(from).map(chunk_of), last_chunk]);
const timer_ms = Math.round(600 * Math.min(2, patience));
const frozen_ms = timer_ms * 2;
const times = { connect: `${timer_ms}ms`, first_byte: `${timer_ms}ms`, idle: `${timer_ms}ms`, body: `${timer_ms}ms`, head: `${timer_ms}ms` };

in_faults('a gateway that was stopped', { penstock: { workers: 1, timeouts: times } }, (world) => {
    const { target, body } = dialects.chat.ask('c/any', true);
    const freeze = async (meanwhile) => {
        world.penstock.signal('SIGSTOP');
        await sleep(frozen_ms / 2);
        await meanwhile();
        await sleep(frozen_ms / 2);
        world.penstock.signal('SIGCONT');
    };
    const ends_well = async (client) => {
        const response = await client.next();
        assert.equal(read_raw(response, 'chat', 'stream', { same: true }).text, 'one by one');
        client.destroy();
    };
    const asking = async (model, run) => {
        let asked;
        const peer = new Promise((resolve) => { asked = resolve; });
        world.server.plan(model, asked);
        const client = await RawClient.open(world.penstock.port);
        await client.send('POST', target, { body: { ...body, model: `c/${model}` } });
        await run(await peer, client);
        await ends_well(client);
    };

    it('has not missed the head of a reply', () => asking('late-head', (peer) => freeze(() => peer.write(Buffer.concat([head, rest(0)])))));

    it('has not missed the middle of a stream', () => asking('late-middle', async (peer, client) => {
        await peer.write(Buffer.concat([head, ...events.slice(0, 3).map(chunk_of)]));
        while (client.received === 0) await sleep(5);
        await freeze(() => peer.write(rest(3)));
    }));

    it('has not missed the end of a request', async () => {
        world.server.plan('late-end', (peer) => peer.write(Buffer.concat([head, rest(0)])));
        const bytes = request_bytes('POST', target, { body: { ...body, model: 'c/late-end' } });
        for (const at of [20, bytes.length - 10]) { // in the head, and in the body
            const client = await RawClient.open(world.penstock.port);
            await client.write(bytes.subarray(0, at));
            await sleep(50);
            await freeze(() => client.write(bytes.subarray(at)));
            await ends_well(client);
        }
    });

    it('still knows silence', async () => {
        world.server.plan('silent', () => {});
        const client = await RawClient.open(world.penstock.port);
        await client.send('POST', target, { body: { ...body, model: 'c/silent' } });
        await sleep(50);
        await freeze(() => {});
        assert.equal((await client.next()).status, 504);
        client.destroy();
    });
});
