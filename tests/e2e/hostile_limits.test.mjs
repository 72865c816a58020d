// SPDX-License-Identifier: MIT
//
// hostile_limits - more connections than descriptors, more bytes than memory: what cannot be served is told so in its own
// dialect, what is there goes on, and everything returns to its start value.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { dialect_names, dialects } from './lib/dialects.mjs';
import { gateway_config, models_at, patience, Penstock, slow_build, until } from './lib/penstock.mjs';
import { events_of, exchange, json_of, RawClient, request_bytes, sleep } from './lib/raw.mjs';
import { cpu_ms, Crowd, figures, free_port, quiet, renamed_models, returned, sample, tool } from './lib/hostile.mjs';

/* What says "not now" in each dialect: the error's type or status. */
const overloaded = {
    chat: (body) => body.error.type === 'server_error' || body.error.type === 'overloaded_error',
    responses: (body) => typeof body.error.type === 'string',
    anthropic: (body) => body.type === 'error' && body.error.type === 'overloaded_error',
    gemini: (body) => body.error.code === 503 && body.error.status === 'UNAVAILABLE',
};

/* Models of load_provider, which keeps its pace whatever this process has to do, are called l... */
function ask(dialect, model, text = model.startsWith('load-') ? 'id=1' : undefined) {
    const { target, body } = dialects[dialect].ask(`${model.startsWith('load-') ? 'l' : ''}${dialects[dialect].prefix}${model}`, true);
    if (text && body.messages) body.messages[0].content = text;
    else if (text && body.contents) body.contents[0].parts[0].text = text;
    else if (text) body.input = text;
    return [target, body];
}

/* LongStreams - streams that are under way, with the times of what came. */
class LongStreams {
    async open(port, model) {
        this.clients = await Promise.all(dialect_names.map(async (dialect) => {
            const times = [];
            const client = await RawClient.open(port, { on_body: () => times.push(performance.now()) });
            const [target, body] = ask(dialect, model);
            await client.send('POST', target, { body });
            while (times.length < 3) await sleep(10);
            return { client, times, dialect };
        }));
        return this;
    }

    /* longest_gap_ms - the longest silence of any of them since `from`. */
    longest_gap_ms(from) {
        const now = performance.now();
        return Math.max(...this.clients.map(({ times }) => [from, ...times.filter((time) => time > from), now].reduce((most, time, at, all) => Math.max(most, at > 0 ? time - all[at - 1] : 0), 0)));
    }

    async finish() {
        for (const { client, dialect } of this.clients) {
            const response = await client.next();
            assert.ok(response.whole, dialect);
            assert.deepEqual(dialects[dialect].passed(events_of(response)), [], dialect);
            client.destroy();
        }
    }
}

describe('more connections than descriptors', () => {
    let provider;
    let penstock;
    before(async () => {
        provider = await new FakeProvider().start();
        penstock = await Penstock.start(gateway_config(provider.url, { penstock: { workers: 2, timeouts: { upstream_idle: '300ms', client_idle: '20s', head: '6s', linger: '100ms' } } }), { descriptors: 80 });
    });
    after(async () => {
        await penstock?.stop();
        await provider?.stop();
    });

    it('accepting pauses without spinning, streams go on, requests are refused in their dialect, and all recovers', async () => {
        const before_all = await quiet(penstock);
        const streams = await new LongStreams().open(penstock.port, 'count,count=180,pace_ms=20');
        const control = await RawClient.open(penstock.port);
        const kept = await Promise.all(dialect_names.map(async () => RawClient.open(penstock.port)));
        for (const client of kept) {
            await client.send('GET', '/health');
            await client.next();
        }
        const crowd = await new Crowd(penstock.port).gather(300);
        await until('all descriptors are used', () => penstock.descriptors() >= 79);

        const from = performance.now();
        const cpu = cpu_ms(penstock);
        await sleep(1500);
        const used_ms = cpu_ms(penstock) - cpu;
        assert.ok(used_ms < 300 * patience, `${used_ms} ms of processor time in 1.5 s`);
        const gap_ms = streams.longest_gap_ms(from);
        assert.ok(gap_ms < 400 * patience, `a stream was silent for ${gap_ms} ms`);

        for (const [at, dialect] of dialect_names.entries()) {
            const [target, body] = ask(dialect, 'text');
            await kept[at].send('POST', target, { body });
            const response = await kept[at].next();
            assert.equal(response.status, dialect === 'anthropic' ? 529 : 503, response.text);
            assert.ok(overloaded[dialect](json_of(response)), response.text);
        }
        await control.send('GET', '/metrics');
        const text = (await control.next()).text;
        assert.ok(sample(text, 'penstock_accept_failures_total') > 0, 'no failure to accept was counted');
        crowd.disperse();
        const again = await exchange(penstock.port, 'POST', ...ask_parts('chat', 'text'));
        assert.equal(again.status, 200);
        await streams.finish();
        for (const client of [...kept, control]) client.destroy();
        await returned(penstock, before_all);
        process.stdout.write(`  out of descriptors: ${used_ms} ms of processor time in 1.5 s, longest gap of a stream ${gap_ms.toFixed(0)} ms\n`);
    });
});

function ask_parts(dialect, model, text) {
    const [target, body] = ask(dialect, model, text);
    return [target, { body }];
}

describe('more bytes than memory', () => {
    let provider;
    let penstock;
    let load;
    const config = (url, load_url) => gateway_config(url, {
        model_list: [...models_at(url), ...renamed_models('l', load_url)],
        penstock: { workers: 1, timeouts: { upstream_idle: '300ms', drain: '2s', client_idle: '5s', linger: '100ms' }, limits: { memory: '4MiB', body: '2MiB', queue: '1MiB' } },
    });
    before(async () => {
        provider = await new FakeProvider().start();
        const port = await free_port();
        load = await tool('load_provider', ['--listen', `127.0.0.1:${port}`], true);
        penstock = await Penstock.start(config(provider.url, `http://127.0.0.1:${port}`));
    });
    after(async () => {
        await penstock?.stop();
        await provider?.stop();
        load?.child.kill('SIGTERM');
        await load?.exited;
    });

    it('large bodies beyond the limit are refused in the dialect of each', async () => {
        await exchange(penstock.port, 'POST', ...ask_parts('chat', 'text'));
        const start = await quiet(penstock);
        const rss = penstock.rss_bytes();
        const streams = await new LongStreams().open(penstock.port, 'load-e150-i20-z32');
        const from = performance.now();
        // Bodies that never end hold what they have; together more than the limit.
        const part = Buffer.alloc(900_000, 'x');
        const holders = await Promise.all(Array.from({ length: 4 }, async () => {
            const client = await RawClient.open(penstock.port);
            await client.write(Buffer.from('POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1900000\r\n\r\n'));
            await client.write(part);
            return client;
        }));
        await sleep(200);
        for (const dialect of dialect_names) {
            const [target, body] = ask(dialect, 'text', 'y'.repeat(1_500_000));
            const response = await exchange(penstock.port, 'POST', target, { body });
            assert.equal(response.status, dialect === 'anthropic' ? 529 : 503, response.text);
            assert.ok(overloaded[dialect](json_of(response)), response.text);
            assert.match(response.text, /memory/);
        }
        const small = await exchange(penstock.port, 'POST', ...ask_parts('anthropic', 'text'));
        assert.equal(small.status, 200, 'a small request still has room');
        const gap_ms = streams.longest_gap_ms(from);
        assert.ok(gap_ms < 500 * patience, `a stream was silent for ${gap_ms} ms`);
        for (const client of holders) client.destroy();
        const [target, body] = ask('chat', 'text', 'y'.repeat(1_500_000));
        assert.equal((await exchange(penstock.port, 'POST', target, { body })).status, 200, 'room again');
        await streams.finish();
        await returned(penstock, start);
        if (!slow_build) assert.ok(penstock.rss_bytes() - rss < 16 * 1024 * 1024, `memory: ${rss} before, ${penstock.rss_bytes()} after`);
    });

    it('clients that send far ahead while their streams run take no memory from the others', async () => {
        const start = await quiet(penstock);
        const streams = await new LongStreams().open(penstock.port, 'load-e200-i20-z32');
        const crowd = new Crowd(penstock.port, { first: Buffer.concat([request_bytes('POST', ...ask_parts('chat', 'load-e4000-i50-z32')), Buffer.alloc(1_000_000, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n')]) });
        try {
            // All of it is there when the gateway looks: nobody may have room only because the others come later.
            penstock.signal('SIGSTOP');
            await crowd.gather(100);
            await sleep(500);
            penstock.signal('SIGCONT');
            await until('their streams begin', () => crowd.received > 20_000, 10_000);
            const from = performance.now();
            const held = await figures(penstock);
            assert.ok(held.penstock_buffer_chunks_used < 300, `${held.penstock_buffer_chunks_used} chunks for 100 clients`);
            const [target, body] = ask('chat', 'text', 'y'.repeat(500_000));
            assert.equal((await exchange(penstock.port, 'POST', target, { body })).status, 200, 'others are served');
            await sleep(1000);
            const gap_ms = streams.longest_gap_ms(from);
            const { received } = crowd;
            await streams.finish();
            assert.ok(gap_ms < 500 * patience, `a stream was silent for ${gap_ms} ms`);
            await until('their own streams go on', () => crowd.received > received + 20_000);
            assert.equal(crowd.closed, 0);
        } finally {
            penstock.signal('SIGCONT');
            crowd.disperse();
        }
        await returned(penstock, start);
    });

    it('many heavy streams to clients that do not read: the others go on, and nothing stays', async () => {
        const start = await quiet(penstock);
        const rss = penstock.rss_bytes();
        const streams = await new LongStreams().open(penstock.port, 'load-e250-i20-z32');
        const from = performance.now();
        const crowd = new Crowd(penstock.port, { paused: true, first: request_bytes('POST', ...ask_parts('chat', 'load-e10000-i0-z2000')) });
        await crowd.gather(60);
        let most = 0;
        const watch = setInterval(() => { most = Math.max(most, penstock.rss_bytes()); }, 20);
        await sleep(1000);
        const chunks_then = await figures(penstock);
        await sleep(1500);
        clearInterval(watch);
        const gap_ms = streams.longest_gap_ms(from);
        const chunks = chunks_then.penstock_buffer_chunks_used;
        crowd.disperse();
        assert.ok(gap_ms < 1000 * patience, `a stream was silent for ${gap_ms} ms`);
        if (!slow_build) assert.ok(most - rss < 24 * 1024 * 1024, `memory grew from ${rss} to ${most}`);
        await streams.finish();
        await returned(penstock, start, 15_000);
        process.stdout.write(`  4 MiB of memory, 60 clients that do not read: RSS ${(rss / 1048576).toFixed(1)} -> ${(most / 1048576).toFixed(1)} MiB at most, ${chunks} of 1024 chunks used, longest gap ${gap_ms.toFixed(0)} ms\n`);
    });
});
