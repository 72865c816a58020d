// SPDX-License-Identifier: MIT
//
// streams_heavy - streams with much text in them: slow clients, stuck clients, long lines, endless events
// (R14, R15, R28 and the replaced systems' own tests, by name).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { numbered_text } from '../../tools/fake_provider/turns.mjs';
import { longest_line } from './lib/sse.mjs';
import { slow_build } from './lib/penstock.mjs';
import { events_of, exchange, RawClient, sleep } from './lib/raw.mjs';
import { dialects, stream_request as request, tagged, ways } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

const short = {
    penstock: {
        timeouts: { drain: '700ms' },
        limits: { queue: '64KiB' },
    },
};

function every_way(world, post, way, name) {
    it(`1 MB under back-pressure intact: ${name}`, async () => {
        const client = await RawClient.open(world.penstock.port, { paused: true });
        const size = 1_000_000;
        await client.send('POST', way.path, request(`${way.prefix}big,size=${size}`));
        // The client reads in bursts, with pauses shorter than the drain timeout.
        for (let at = 0; at < 6; at++) {
            await sleep(250);
            client.socket.resume();
            await sleep(2);
            client.socket.pause();
        }
        client.socket.resume();
        const response = await client.next(30_000);
        assert.deepEqual(way.check(events_of(response), {}), []);
        assert.equal(way.decode(events_of(response)).text, numbered_text(size));
        client.destroy();
    });

    it(`a drain that never comes: ${name}`, async () => {
        // The upstream keeps the connection after all its text: kernels may have taken every byte of it by then.
        const model = tagged('flood,size=30000000,stall_at=29000000');
        const rss = world.penstock.rss_bytes();
        const client = await RawClient.open(world.penstock.port, { paused: true });
        const started = performance.now();
        await client.send('POST', way.path, request(way.prefix + model));
        let most = rss;
        const watch = setInterval(() => { most = Math.max(most, world.penstock.rss_bytes()); }, 20);
        await world.provider.wait_for((record) => record.model === model && record.client_closed_at !== null, 20_000);
        clearInterval(watch);
        const took_ms = performance.now() - started;
        assert.ok(took_ms > 600, `given up after ${took_ms} ms, before the drain timeout`);
        if (!slow_build) assert.ok(most - rss < 8 * 1024 * 1024, `memory grew from ${rss} to ${most}`);
        client.destroy();
    });

    it(`no line is longer than 64 KiB, and long text survives: ${name}`, async () => {
        const response = await post(way, 'big,size=700000,piece=350000');
        if (way.client !== way.upstream) assert.ok(longest_line(response.text) < 65536, `${longest_line(response.text)}`);
        assert.equal(way.decode(events_of(response)).text, numbered_text(700000));
    });

    it(`an endless event is refused: ${name}`, async () => {
        const response = await post(way, 'text,endless_event=20000000');
        if (response.status === 200) assert.deepEqual(way.check(events_of(response), { ends: 'error' }), []);
        else assert.ok(response.status >= 500);
    });
}

in_world('heavy streams', short, (world) => {
    const post = (way, model, extra, options) => exchange(world.penstock.port, 'POST', way.path, request(way.prefix + model, extra), options);

    for (const way of ways) every_way(world, post, way, way.name);

    it('100 B/s client with a 1 MB answer', { skip: slow_build ? 'release only' : false }, async () => {
        // A client this slow needs hours for all of it; what counts is that it is not taken for dead, that
        // the upstream waits meanwhile, and that nothing is lost once the client speeds up.
        const client = await RawClient.open(world.penstock.port, { paused: true, connect: { readableHighWaterMark: 64 } });
        await client.send('POST', dialects.chat.path, request('c/big,size=1000000'));
        const until = performance.now() + 4000;
        while (performance.now() < until) {
            client.socket.resume();
            await sleep(0);
            client.socket.pause();
            await sleep(250);
        }
        const seen = await world.provider.wait_for((record) => record.model === 'big,size=1000000');
        assert.equal(seen.client_closed_at, null, 'a slow client was dropped');
        client.socket.resume();
        const response = await client.next(30_000);
        assert.equal(dialects.chat.decode(events_of(response)).text, numbered_text(1_000_000));
        client.destroy();
    });
});
