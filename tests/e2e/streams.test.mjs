// SPDX-License-Identifier: MIT
//
// streams - how streams live and end: the replaced systems' own tests, by name, and every way an
// upstream, a client or the clock can end one (R1, R3, R8 to R20, R28, R32, R60, R78, R163, R164).

import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { decode_sse } from './lib/sse.mjs';
import { patience, soon } from './lib/penstock.mjs';
import { events_of, exchange, json_of, RawClient } from './lib/raw.mjs';
import { dialects, stream_request as request, tagged, ways } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

const short = {
    penstock: {
        timeouts: { keepalive: '200ms', idle: '1500ms', first_byte: '2500ms', connect: '1s', request: '6s', commit: '600ms', drain: '700ms' },
        limits: { queue: '64KiB' },
    },
};

/* What must hold for each pair of client and upstream. The pairs run beside each other: mostly they wait. */
function every_way(world, post, way, name) {
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
        await soon(500, async () => {
            const response = await post(way, 'count,count=3,pace_ms=550');
            assert.deepEqual(way.check(events_of(response), {}), []);
            const { comments, events } = decode_sse(response.text);
            const signs = way.client === 'anthropic' ? events.filter((event) => event.event === 'ping').length : comments.length;
            assert.ok(signs >= 6, `${signs} keep-alives in ${response.text}`);
            if (way.client === 'chat') assert.doesNotMatch(response.text, /(^|\n\n):[^\n]*\n\n/, 'an empty event could be dispatched');
            return Math.max(...response.times.slice(1).map((time, at) => time - response.times[at])); // the longest silence
        });
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
            await soon(100, async () => {
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
                return seen.client_closed_at - left_at;
            });
        }
    });

    it(`disconnect before the first event: ${name}`, async () => {
        await soon(100, async () => {
            const model = tagged('text,head_delay_ms=3000');
            const client = await RawClient.open(world.penstock.port);
            await client.send('POST', way.path, request(way.prefix + model));
            await world.provider.wait_for((record) => record.model === model);
            const left_at = performance.now();
            client.destroy();
            const seen = await world.provider.wait_for((record) => record.model === model && record.client_closed_at !== null);
            return seen.client_closed_at - left_at;
        });
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

in_world('streams', short, (world) => {
    const post = (way, model, extra, options) => exchange(world.penstock.port, 'POST', way.path, request(way.prefix + model, extra), options);

    for (const way of ways) {
        describe(way.name, () => every_way(world, post, way, way.name));
    }

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
}, { concurrency: 4 });
