// SPDX-License-Identifier: MIT
//
// streams_concurrent - many streams at once: none is lost, none holds a word of another, and afterwards
// descriptors and memory are what they were (R20, R21 and issue point 4).

import http from 'node:http';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { check_chat } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { decode_chat_events } from './lib/decode_chat.mjs';
import { decode_anthropic_events } from './lib/decode_anthropic.mjs';
import { decode_sse } from './lib/sse.mjs';
import { slow_build } from './lib/penstock.mjs';
import { exchange, sleep } from './lib/raw.mjs';
import { stream_request, tagged, ways } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

const clients = {
    chat: { path: '/v1/chat/completions', check: check_chat, decode: decode_chat_events },
    anthropic: { path: '/v1/messages', check: check_anthropic, decode: decode_anthropic_events },
};

function post(agent, port, path, body) {
    return new Promise((resolve, reject) => {
        const bytes = Buffer.from(JSON.stringify(body));
        const request = http.request({ agent, host: '127.0.0.1', port, path, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': bytes.length } }, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString() }));
            response.on('error', reject);
        });
        request.on('error', reject);
        request.end(bytes);
    });
}

/* run - `count` streams at once, each with a marker of its own; the number of problems must be none. */
async function run(world, count, pace_ms, events) {
    const agent = new http.Agent({ maxSockets: count, keepAlive: false });
    const problems = [];
    await Promise.all(Array.from({ length: count }, async (_, at) => {
        const client = at % 2 ? 'chat' : 'anthropic';
        const upstream = at % 4 < 2 ? 'c/' : 'a/';
        const marker = `marker-${at}-${Math.floor(Math.random() * 1e9)}`;
        const { path, check, decode } = clients[client];
        const body = { model: `${upstream}echo,count=${events},pace_ms=${pace_ms}`, stream: true, max_tokens: 50, messages: [{ role: 'user', content: marker }] };
        try {
            const response = await post(agent, world.penstock.port, path, body);
            assert.equal(response.status, 200, response.text.slice(0, 200));
            const list = decode_sse(response.text).events;
            assert.deepEqual(check(list, {}), []);
            assert.equal(decode(list).text, Array.from({ length: events }, (__, n) => `${marker}:${n};`).join(''));
        } catch (error) {
            problems.push(`${at}: ${error.message}`);
        }
    }));
    agent.destroy();
    assert.deepEqual(problems.slice(0, 3), [], `${problems.length} of ${count} streams went wrong`);
}

/* settle - wait until a figure is back to where it was, or as low as it gets. */
async function settle(read, goal, limit_ms) {
    const until = Date.now() + limit_ms;
    while (read() > goal && Date.now() < until) await sleep(50);
    return read();
}

const config = { penstock: { timeouts: { upstream_idle: '300ms' } } };

in_world('concurrent streams', config, (world) => {
    it('each event leaves before the next arrives: the added delay is a fraction of the pace', { skip: slow_build ? 'release only' : false }, async () => {
        for (const way of ways) {
            const model = tagged('count,count=100,pace_ms=10');
            const arrivals = [];
            const options = { on_body: (bytes) => { for (const found of bytes.toString().matchAll(/"(?:content|text)":"(\d+) "/g)) arrivals[Number(found[1])] = performance.now(); } };
            await exchange(world.penstock.port, 'POST', way.path, stream_request(way.prefix + model), options);
            const { piece_times } = world.provider.seen.find((record) => record.model === model);
            // What comes before the first number: a role, or a message, a block and a ping.
            const before = way.upstream === 'chat' ? 1 : 3;
            const delays = arrivals.map((time, at) => time - piece_times[at + before]).sort((one, two) => one - two);
            assert.equal(delays.length, 100);
            assert.ok(delays[0] > 0, 'an event arrived before it was sent');
            // The machine may be busy with other things: its hiccups reach the highest percentiles, buffering would reach all.
            assert.ok(delays[50] < 5, `${way.name}: p50 ${delays[50].toFixed(2)} ms, p99 ${delays[98].toFixed(2)} ms`);
            process.stdout.write(`  added delay, ${way.name}: p50 ${delays[50].toFixed(2)} ms, p99 ${delays[98].toFixed(2)} ms\n`);
        }
    });

    for (const [count, pace_ms, events] of [[10, 20, 20], [100, 20, 20], [1000, 100, 15]]) {
        it(`${count} concurrent streams without cross-talk`, async () => {
            await run(world, count, pace_ms, events);
        });
    }

    it('descriptors and memory return to their start values', async () => {
        // The first rounds above filled the pools; from here on nothing may stay behind.
        const fds = await settle(() => world.penstock.descriptors(), 0, 1500);
        const rss = world.penstock.rss_bytes();
        for (let round = 0; round < 4; round++) await run(world, 250, 5, 10);
        const fds_after = await settle(() => world.penstock.descriptors(), fds, 5000);
        assert.ok(fds_after <= fds, `descriptors: ${fds} before, ${fds_after} after`);
        const rss_after = world.penstock.rss_bytes();
        const allowed = (slow_build ? 64 : 8) * 1024 * 1024;
        assert.ok(rss_after - rss < allowed, `memory: ${rss} before, ${rss_after} after`);
        process.stdout.write(`  descriptors ${fds} -> ${fds_after}, memory ${(rss / 1048576).toFixed(1)} -> ${(rss_after / 1048576).toFixed(1)} MiB\n`);
    });

    it('disconnect after five events, 200 times, leaves nothing behind', async () => {
        const fds = world.penstock.descriptors();
        const leave = () => new Promise((resolve) => {
            const body = JSON.stringify({ model: 'c/count,count=500,pace_ms=10', stream: true, messages: [{ role: 'user', content: 'x' }] });
            const request = http.request({ host: '127.0.0.1', port: world.penstock.port, path: clients.chat.path, method: 'POST', headers: { 'content-length': body.length } }, (response) => {
                let events = 0;
                response.on('data', (bytes) => {
                    events += bytes.toString().split('data:').length - 1;
                    if (events >= 5) request.destroy();
                });
                response.on('close', resolve);
                response.on('error', () => {});
            });
            request.on('error', resolve);
            request.end(body);
        });
        for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 50 }, leave));
        const fds_after = await settle(() => world.penstock.descriptors(), fds, 5000);
        assert.ok(fds_after <= fds, `descriptors: ${fds} before, ${fds_after} after`);
        const running = () => world.provider.seen.filter((record) => record.outcome === 'running').length;
        assert.equal(await settle(running, 0, 3000), 0, 'streams still running upstream');
    });
});
