// SPDX-License-Identifier: MIT
//
// streams - how streams live and end: the replaced systems' own tests, by name, and every way an
// upstream, a client or the clock can end one (R1, R3, R8 to R20, R28, R32, R60, R78, R163, R164).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { numbered_text } from '../../tools/fake_provider/turns.mjs';
import { check_chat } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { decode_chat_events } from './lib/decode_chat.mjs';
import { decode_anthropic_events } from './lib/decode_anthropic.mjs';
import { decode_sse, longest_line } from './lib/sse.mjs';
import { patience, slow_build } from './lib/penstock.mjs';
import { events_of, exchange, json_of, RawClient, sleep } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const dialects = {
    chat: { path: '/v1/chat/completions', check: check_chat, decode: decode_chat_events },
    anthropic: { path: '/v1/messages', check: check_anthropic, decode: decode_anthropic_events },
};
const ways = [];
for (const client of ['chat', 'anthropic']) {
    for (const upstream of ['chat', 'anthropic']) ways.push({ client, upstream, ...dialects[client], prefix: upstream === 'chat' ? 'c/' : 'a/' });
}

function request(model, extra = {}) {
    return { body: { model, stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'Go on.' }], ...extra } };
}

/* A model name that no other request has, so that the fake provider's record of it is surely the right one. */
let tags = 0;
function tagged(model) {
    return `${model},tag=${++tags}`;
}

const short = {
    penstock: {
        timeouts: { keepalive: '200ms', idle: '1500ms', first_byte: '2500ms', connect: '1s', request: '6s', commit: '600ms', drain: '700ms' },
        limits: { queue: '64KiB' },
    },
};

in_world('streams', short, (world) => {
    const post = (way, model, extra, options) => exchange(world.penstock.port, 'POST', way.path, request(way.prefix + model, extra), options);

    for (const way of ways) {
        const name = `${way.upstream} to ${way.client}`;

        it(`single stream unbuffered: ${name}`, async () => {
            const client = await RawClient.open(world.penstock.port);
            await client.send('POST', way.path, request(`${way.prefix}count,count=8,pace_ms=100`));
            const response = await client.next();
            client.destroy();
            assert.ok(response.times.length >= 8, `${response.times.length} writes`);
            const whole_ms = response.times[response.times.length - 1] - response.times[0];
            assert.ok(whole_ms > 600, `events came together, within ${whole_ms} ms`);
            assert.deepEqual(way.check(events_of(response), {}), []);
        });

        it(`response head of a stream: ${name}`, async () => {
            const response = await post(way, 'text');
            assert.equal(response.status, 200);
            assert.match(response.headers['content-type'], /^text\/event-stream/);
            assert.match(response.headers['cache-control'], /no-cache/);
            assert.equal(response.headers['x-accel-buffering'], 'no');
            assert.equal(response.headers['content-length'], undefined);
            assert.equal(response.whole, true, 'chunked terminator');
            for (const field of ['x-request-id', 'x-penstock-upstream', 'x-penstock-attempts', 'server-timing']) assert.ok(response.headers[field], field);
        });

        it(`five requests in a row on one connection, the third failing mid-stream: ${name}`, async () => {
            const client = await RawClient.open(world.penstock.port);
            for (let at = 1; at <= 5; at++) {
                const model = at === 3 ? 'count,count=20,cut_at=1200' : 'count,count=20';
                await client.send('POST', way.path, request(way.prefix + model));
                const response = await client.next();
                assert.equal(response.status, 200);
                assert.equal(response.whole, true, `request ${at}`);
                assert.deepEqual(way.check(events_of(response), at === 3 ? { ends: 'error' } : {}), [], `request ${at}`);
                if (at !== 3) assert.match(way.decode(events_of(response)).text, /^0 1 2 .* 19 $/);
            }
            client.destroy();
        });

        it(`error recovery: ${name}`, async () => {
            for (const how of ['error_after=5', 'reset_at=900', 'cut_at=900', 'bad_chunk=5', 'text,head_delay_ms=1,status=500', 'text']) {
                const model = how.startsWith('text') ? how : `count,count=20,${how}`;
                const response = await post(way, model);
                if (how === 'text') assert.deepEqual(way.check(events_of(response), {}), []);
                else if (response.status === 200) assert.deepEqual(way.check(events_of(response), { ends: 'error' }), [], how);
                else assert.ok(response.status >= 500, `${how}: ${response.status}`);
            }
        });

        it(`upstream silent in the middle is told and ended by the idle timeout: ${name}`, async () => {
            const started = performance.now();
            const response = await post(way, 'count,count=20,stall_at=1000');
            const took_ms = performance.now() - started;
            assert.deepEqual(way.check(events_of(response), { ends: 'error' }), []);
            assert.ok(took_ms > 1400 && took_ms < 2600 * patience, `${took_ms} ms`);
            const error = way.decode(events_of(response)).error;
            assert.match(JSON.stringify(error), /timeout/);
        });

        it(`keep-alives flow for the whole life of a stream: ${name}`, async () => {
            const response = await post(way, 'count,count=3,pace_ms=900');
            assert.deepEqual(way.check(events_of(response), {}), []);
            const { comments, events } = decode_sse(response.text);
            const signs = way.client === 'anthropic' ? events.filter((event) => event.event === 'ping').length : comments.length;
            assert.ok(signs >= 6, `${signs} keep-alives in ${response.text}`);
            const gaps = response.times.slice(1).map((time, at) => time - response.times[at]);
            assert.ok(Math.max(...gaps) < 500 * patience, `silent for ${Math.max(...gaps)} ms`);
            if (way.client === 'chat') assert.doesNotMatch(response.text, /(^|\n\n):[^\n]*\n\n/, 'an empty event could be dispatched');
        });

        it(`slow upstream: the stream commits early and then lives or fails in the stream: ${name}`, async () => {
            const good = await post(way, 'text,head_delay_ms=1200');
            assert.equal(good.status, 200);
            assert.deepEqual(way.check(events_of(good), {}), []);
            const bad = await post(way, 'text,head_delay_ms=1200,status=503');
            assert.equal(bad.status, 200);
            assert.deepEqual(way.check(events_of(bad), { ends: 'error' }), []);
            const quick = await post(way, 'text,head_delay_ms=100,status=503');
            assert.ok(quick.status === 503 || quick.status === 529, `${quick.status}`);
        });

        it(`request timeout ends a stream that still lives: ${name}`, async () => {
            const started = performance.now();
            const response = await post(way, 'count,count=1000,pace_ms=50');
            const took_ms = performance.now() - started;
            assert.deepEqual(way.check(events_of(response), { ends: 'error' }), []);
            assert.ok(took_ms > 5500 && took_ms < 7500 * patience, `${took_ms} ms`);
            assert.match(JSON.stringify(way.decode(events_of(response)).error), /timeout/);
        });

        it(`a client that half-closes still gets the whole stream: ${name}`, async () => {
            const client = await RawClient.open(world.penstock.port);
            await client.send('POST', way.path, request(`${way.prefix}count,count=10,pace_ms=50`));
            client.close();
            const response = await client.next();
            assert.deepEqual(way.check(events_of(response), {}), []);
            assert.match(way.decode(events_of(response)).text, /^0 1 2 .* 9 $/);
            client.destroy();
        });

        it(`disconnect after five events: ${name}`, async () => {
            for (const how of ['destroy', 'reset']) {
                const model = tagged('count,count=500,pace_ms=15');
                let events = 0;
                let left_at = 0;
                const client = await RawClient.open(world.penstock.port, {
                    on_body: (bytes) => {
                        events += bytes.toString().split('data:').length - 1;
                        if (events >= 5 && !left_at) {
                            left_at = performance.now();
                            client[how]();
                        }
                    },
                });
                await client.send('POST', way.path, request(way.prefix + model));
                const seen = await world.provider.wait_for((record) => record.model === model && record.client_closed_at !== null);
                assert.ok(seen.client_closed_at - left_at < 100 * patience, `${how}: cancelled after ${seen.client_closed_at - left_at} ms`);
            }
        });

        it(`disconnect before the first event: ${name}`, async () => {
            const model = tagged('text,head_delay_ms=3000');
            const client = await RawClient.open(world.penstock.port);
            await client.send('POST', way.path, request(way.prefix + model));
            await world.provider.wait_for((record) => record.model === model);
            const left_at = performance.now();
            client.destroy();
            const seen = await world.provider.wait_for((record) => record.model === model && record.client_closed_at !== null);
            assert.ok(seen.client_closed_at - left_at < 100 * patience, `cancelled after ${seen.client_closed_at - left_at} ms`);
        });

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
            const model = tagged('big,size=60000000,piece=20000');
            const client = await RawClient.open(world.penstock.port, { paused: true });
            const started = performance.now();
            await client.send('POST', way.path, request(way.prefix + model));
            const seen = await world.provider.wait_for((record) => record.model === model && record.client_closed_at !== null, 20_000);
            const took_ms = performance.now() - started;
            assert.ok(took_ms > 600, `given up after ${took_ms} ms, before the drain timeout`);
            assert.ok(seen.body_bytes < 40_000_000, `${seen.body_bytes} bytes were taken from the upstream`);
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

        it(`garbage from the upstream is an error: ${name}`, async () => {
            world.provider.script('garbage-json', { events: [{ data: '{"broken":' }] });
            world.provider.script('html', { body: '<html><body>Sign in</body></html>', content_type: 'text/html' });
            world.provider.script('garbage-http', { raw_response: 'SSH-2.0-OpenSSH_9.2\r\n', then: 'close' });
            world.provider.script('nothing', { raw_response: '', then: 'close' });
            world.provider.script('two-lengths', { raw_response: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello', then: 'close' });
            for (const model of ['garbage-json', 'html', 'garbage-http', 'nothing', 'two-lengths']) {
                const response = await post(way, model);
                if (response.status === 200) {
                    assert.deepEqual(way.check(events_of(response), { ends: 'error' }).filter((problem) => !problem.includes('not JSON')), [], model);
                } else {
                    assert.ok(response.status >= 500, `${model}: ${response.status}`);
                    assert.match(response.headers['content-type'], /^application\/json/);
                    json_of(response);
                }
            }
        });
    }

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
        assert.equal(decode_chat_events(events_of(response)).text, numbered_text(1_000_000));
        client.destroy();
    });

    it('ids are unguessable and differ, and one response has one', async () => {
        const ids = new Set();
        for (let at = 0; at < 40; at++) {
            const response = await exchange(world.penstock.port, 'POST', dialects.chat.path, request('a/text'));
            const id = JSON.parse(events_of(response)[0].data).id;
            assert.match(id, /^chatcmpl-[A-Za-z0-9_-]{20,}$/);
            ids.add(id);
        }
        assert.equal(ids.size, 40);
    });

    it('event ids count within a stream, and one retry line leads', async () => {
        const response = await exchange(world.penstock.port, 'POST', dialects.chat.path, request('a/text'));
        const { events, retry } = decode_sse(response.text);
        assert.deepEqual(retry, [3000]);
        const parts = events.map((event) => /^(.+)-(\d+)$/.exec(event.id));
        assert.ok(parts.every(Boolean), JSON.stringify(events.map((event) => event.id)));
        assert.equal(new Set(parts.map((part) => part[1])).size, 1);
        parts.slice(1).forEach((part, at) => assert.equal(Number(part[2]), Number(parts[at][2]) + 1));
    });

    it('connect failure is an overload or gateway error with a status', async () => {
        for (const way of ways.slice(0, 1)) {
            const response = await exchange(world.penstock.port, 'POST', way.path, request('no-such/model'));
            assert.equal(response.status, 404);
        }
    });
});
