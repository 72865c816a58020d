// SPDX-License-Identifier: MIT
//
// work - what a soak does in each round. Every function takes the world and the soak, and tells it of each thing that went
// wrong; none of them is in a hurry.

import net from 'node:net';
import { dialect_names, dialects, modes_of, read_raw } from '../../tests/e2e/lib/dialects.mjs';
import { tool } from '../../tests/e2e/lib/hostile.mjs';
import { hostile, numbered } from '../../tests/e2e/lib/smuggling.mjs';
import { patience } from '../../tests/e2e/lib/penstock.mjs';
import { events_of, exchange, RawClient, request_bytes, sleep } from '../../tests/e2e/lib/raw.mjs';

const pairs = dialect_names.flatMap((client) => dialect_names.map((upstream) => [client, upstream]));

/* volume - loadgen against load_provider: every text in its place, every ending there, no text of another stream. */
async function volume(world, soak, gateway, prefix, share) {
    const tls = gateway === world.tls;
    for (const [at, [client, upstream]] of pairs.entries()) {
        if (soak.random() > share) continue;
        const odd = (at + soak.round) % 2 === 1;
        const words = ['--target', `${tls ? 'https' : 'http'}://127.0.0.1:${gateway.port}`, '--dialect', client, '--model', `${prefix}${dialects[upstream].prefix}load-e20-i40-z48`,
            '--streams', '4', '--requests', '8', odd ? '--stream' : '--whole', '--timeout', String(Math.round(20 * patience))];
        if (tls) words.push('--tls', '--ca', world.ca_file, '--name', 'localhost');
        if (at % 4 === soak.round % 4) words.push('--new-connections');
        if (odd && at % 3 === 0 && !tls) words.push('--leave-early', '2', '--slow', '1', '--idle', '2');
        if (at % 5 === 0) words.push('--body-bytes', '100000');
        const run = await tool('loadgen', words);
        const code = await run.exited;
        soak.count('streams', /"requests":\s*(\d+)/.exec(run.output)?.[1] ?? 0);
        if (code !== 0) soak.violation(`loadgen ${words.join(' ')}: exit code ${code}: ${run.output.slice(0, 1500)} ${run.errors.slice(0, 300)}`);
        await sleep(300);
    }
}

const good = ['text', 'tool', 'parallel', 'thinking', 'usage', 'count,count=20,pace_ms=10', 'text,split=random', 'count,count=5,head_delay_ms=300', 'count,count=3,pace_ms=400', 'text,comments=true', 'text,keep_alive=false', 'big,size=60000'];
const bad = ['count,count=40,cut_at=900', 'count,count=40,reset_at=900', 'count,count=40,stall_at=900', 'count,count=40,error_after=6', 'text,status=500', 'text,status=429', 'text,status=400', 'count,count=20,bad_chunk=5', 'text,endless_event=3000000'];

/* answers - one client, one upstream that does well or not: the answer is whole and right, or says that it failed. */
async function answers(world, soak) {
    for (let at = 0; at < 40; at++) {
        const [client, upstream] = soak.pick(pairs);
        const well = soak.random() < 0.5;
        const model = `${dialects[upstream].prefix}${soak.pick(well ? good : bad)}`;
        const mode = soak.pick(modes_of(client));
        const gateway = soak.pick(world.gateways);
        const { target, body } = dialects[client].ask(model, mode !== 'whole');
        soak.count(well ? 'answers' : 'faults');
        try {
            const response = await exchange(gateway.port, 'POST', mode === 'array' ? target.replace('?alt=sse', '') : target, { body }, { tls: gateway.tls, timeout_ms: 60_000 * patience });
            if (!response.whole) throw new Error('the answer is cut off');
            // Between equals a whole answer comes whole: not every fault of a stream is one of it.
            const may_do_well = client === upstream && mode === 'whole' && response.status === 200;
            if ((response.status >= 400 && !well) || may_do_well) JSON.parse(response.text);
            else if (!well && mode === 'whole') throw new Error(`status ${response.status}: ${response.text.slice(0, 300)}`);
            else read_raw(response, client, mode, { same: client === upstream, grammar: well ? undefined : { ends: 'error' } });
        } catch (error) {
            soak.violation(`${client} asks for ${model}, ${mode}: ${error.message.slice(0, 800)}`);
        }
        await sleep(150);
    }
}

const ask_bytes = (client, model) => {
    const { target, body } = dialects[client].ask(model, true);
    return request_bytes('POST', target, { body });
};

/* leavers - clients that go away in the middle, by FIN, reset or half a close; who closes one half only gets its stream. */
async function leavers(world, soak) {
    for (let at = 0; at < 60; at++) {
        const [client, upstream] = soak.pick(pairs);
        const gateway = soak.pick(world.gateways);
        const how = gateway.tls ? 'destroy' : soak.pick(['destroy', 'reset', 'close']);
        soak.count('left');
        try {
            const connection = await RawClient.open(gateway.port, { tls: gateway.tls });
            connection.socket.write(ask_bytes(client, `${dialects[upstream].prefix}count,count=40,pace_ms=10`));
            if (how === 'close') {
                connection.close();
                const response = await connection.next(60_000 * patience);
                read_raw(response, client, 'stream', { same: client === upstream });
                connection.destroy();
            } else {
                await sleep(soak.random() * 400);
                connection[how]();
            }
        } catch (error) {
            soak.violation(`${how} of ${client} asking ${upstream}: ${error.message.slice(0, 800)}`);
        }
        await sleep(60);
    }
}

/* never_readers - streams as fast as they come to clients that take nothing of them. */
async function never_readers(world, soak) {
    const clients = [];
    for (let at = 0; at < 8; at++) {
        const [client, upstream] = soak.pick(pairs);
        const gateway = soak.pick(world.gateways);
        const connection = await RawClient.open(gateway.port, { paused: true, tls: gateway.tls });
        connection.socket.write(ask_bytes(client, `${dialects[upstream].prefix}flood,size=3000000`));
        clients.push(connection);
        soak.count('never_read');
    }
    await sleep(8000);
    for (const client of clients) client.destroy();
}

/* drip - a request a few bytes at a time that never becomes whole: the gateway has to end it. */
async function drips(world, soak) {
    const heads = ['POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"model":"c/text","messages":[{"role":', 'GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: '];
    await Promise.all(Array.from({ length: 20 }, async (_, at) => {
        const socket = net.connect({ host: '127.0.0.1', port: world.plain.port });
        let closed = false;
        socket.on('error', () => {});
        socket.on('close', () => { closed = true; });
        socket.on('data', () => {});
        socket.write(heads[at % 2]);
        soak.count('drips');
        const until = Date.now() + 20_000 * patience;
        while (!closed && Date.now() < until) {
            await sleep(350);
            // A head may drip as it likes, its time is bounded; a body that stops has no more time, either.
            if (at % 2 && !closed && socket.writable) socket.write('x');
        }
        if (!closed) soak.violation(`a request that never became whole was kept for ${20 * patience} s`);
        socket.destroy();
    }));
}

async function silent(world, soak) {
    const sockets = Array.from({ length: 60 }, (_, at) => net.connect({ host: '127.0.0.1', port: world.gateways[at % 2].port }));
    for (const socket of sockets) socket.on('error', () => {}).on('data', () => {});
    soak.count('silent', sockets.length);
    await sleep(3000);
    for (const socket of sockets) socket.destroy();
}

async function liars(world, soak) {
    for (let at = 0; at < 40; at++) {
        const [, text] = soak.pick(hostile);
        const client = await RawClient.open(world.plain.port);
        client.socket.write(Buffer.from(numbered(text, at), 'latin1'));
        await client.next(2000 * patience).catch(() => null);
        client.destroy();
        soak.count('lies');
        await sleep(50);
    }
}

/* comers_back - streams that are lost and taken up again, where the configuration keeps them. */
async function comers_back(world, soak) {
    for (let at = 0; at < 6 && soak.reloads % 2 === 0; at++) {
        const reloads = soak.reloads;
        const client = await RawClient.open(world.plain.port);
        await client.write(ask_bytes('chat', `${soak.pick(dialect_names.map((name) => dialects[name].prefix))}count,count=30,pace_ms=20`));
        await sleep(250);
        const had = Buffer.concat(client.response?.parts ?? []).toString();
        client.reset();
        const id = [...had.matchAll(/^id: (\S+)$/gm)].at(-1)?.[1];
        if (!id) continue;
        const rest = await exchange(world.plain.port, 'POST', '/v1/chat/completions', { headers: { 'Last-Event-ID': id }, body: {} }, { timeout_ms: 20_000 * patience });
        const events = events_of(rest);
        soak.count('resumed');
        if ((rest.status !== 200 || events[events.length - 1]?.data !== '[DONE]') && reloads === soak.reloads) soak.violation(`the rest of a stream: ${rest.status} ${rest.text.slice(-300)}`);
    }
}

async function retries(world, soak) {
    for (let at = 0; at < 10; at++) {
        const client = soak.pick(dialect_names);
        const { target, body } = dialects[client].ask('flaky', true);
        const response = await exchange(world.plain.port, 'POST', target, { body });
        soak.count('retried');
        if (response.status !== 200) soak.violation(`no answer after retries: ${response.status} ${response.text.slice(0, 300)}`);
        await sleep(200);
    }
}

async function reloads(world, soak) {
    for (let at = 0; at < 2; at++) {
        await sleep(5000);
        soak.reloads++;
        world.reload(soak.reloads);
        const name = `fresh-${soak.reloads % 8}`; // metrics keep the name of each model that there was
        const until = Date.now() + 8000 * patience;
        for (let status = 0; status !== 200;) {
            await sleep(100);
            status = (await exchange(world.plain.port, 'POST', '/v1/messages', { body: { model: name, max_tokens: 5, messages: [{ role: 'user', content: 'x' }] } })).status;
            if (Date.now() > until) return soak.violation(`${name} was never served: ${status}`);
        }
    }
    return undefined;
}

async function scrapes(world, soak) {
    for (let at = 0; at < 8; at++) {
        for (const gateway of world.gateways) {
            for (const target of ['/metrics', '/debug/streams', '/health', '/v1/models']) {
                const response = await exchange(gateway.port, 'GET', target, {}, { tls: gateway.tls });
                if (response.status !== 200 || !response.whole) soak.violation(`${target}: ${response.status}`);
            }
        }
        await sleep(2000);
    }
}

/* one_round - all of it at once. */
export async function one_round(world, soak) {
    const guard = (name, work) => work.catch((error) => soak.violation(`${name}: ${error.stack.slice(0, 800)}`));
    await Promise.all([
        guard('volume', volume(world, soak, world.plain, 'l', 0.7)), guard('volume over TLS', volume(world, soak, world.tls, 't', 0.3)),
        ...[answers, leavers, never_readers, drips, silent, liars, comers_back, retries, reloads, scrapes].map((work) => guard(work.name, work(world, soak))),
    ]);
    world.provider.reset();
}
