// SPDX-License-Identifier: MIT
//
// resume - clients that lose their connection in the middle of a stream come back, to any worker, for exactly the rest of it
// (R26).

import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { Penstock, patience, until } from './lib/penstock.mjs';
import { RawClient, exchange, json_of, sleep } from './lib/raw.mjs';

/* An upstream that tells the same to everybody, a word at a time; it counts who asked and who was cut off. */
class Teller {
    async start() {
        this.asked = 0;
        this.cut = 0;
        this.gap_ms = 20;
        this.words = 24;
        this.padding = '';
        this.stop_at = Infinity; // break off behind so many events
        this.server = http.createServer((request, response) => {
            request.resume();
            request.on('end', () => this.#tell(request.url, response));
        });
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    async #tell(url, response) {
        this.asked++;
        let gone = false;
        response.on('close', () => { gone = true; this.cut += response.writableFinished ? 0 : 1; });
        response.setMaxListeners(0);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const say = url.includes('/messages') ? this.#messages() : url.includes('/responses') ? this.#responses() : this.#chat();
        for (const [at, block] of say.entries()) {
            if (gone) return;
            if (at === this.stop_at) return void response.destroy();
            if (!response.write(block)) await Promise.race([new Promise((go) => response.once('drain', go)), new Promise((go) => response.once('close', go))]);
            if (this.gap_ms > 0) await sleep(this.gap_ms);
        }
        response.end();
    }

    #texts() {
        return Array.from({ length: this.words }, (_, i) => `word ${i}${this.padding} `);
    }

    #chat() {
        const chunk = (delta, finish_reason = null) => `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
        return [chunk({ role: 'assistant', content: '' }), ...this.#texts().map((content) => chunk({ content })), chunk({}, 'stop'), 'data: [DONE]\n\n'];
    }

    #messages() {
        const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
        return [
            event({ type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } } }),
            event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
            ...this.#texts().map((text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
            event({ type: 'content_block_stop', index: 0 }),
            event({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 9 } }),
            event({ type: 'message_stop' }),
        ];
    }

    #responses() {
        let sequence_number = 0;
        const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify({ ...data, sequence_number: sequence_number++ })}\n\n`;
        const text = this.#texts().join('');
        const part = (content) => ({ type: 'output_text', text: content, annotations: [] });
        const item = (status, content) => ({ id: 'item_1', type: 'message', status, role: 'assistant', content });
        const response = (status, output) => ({ id: 'resp_1', object: 'response', created_at: 1, status, model: 'm', output, usage: status === 'completed' ? { input_tokens: 1, output_tokens: 9, total_tokens: 10 } : null });
        const place = { item_id: 'item_1', output_index: 0, content_index: 0 };
        return [
            event({ type: 'response.created', response: response('in_progress', []) }),
            event({ type: 'response.in_progress', response: response('in_progress', []) }),
            event({ type: 'response.output_item.added', output_index: 0, item: item('in_progress', []) }),
            event({ type: 'response.content_part.added', ...place, part: part('') }),
            ...this.#texts().map((delta) => event({ type: 'response.output_text.delta', ...place, delta })),
            event({ type: 'response.output_text.done', ...place, text }),
            event({ type: 'response.content_part.done', ...place, part: part(text) }),
            event({ type: 'response.output_item.done', output_index: 0, item: item('completed', [part(text)]) }),
            event({ type: 'response.completed', response: response('completed', [item('completed', [part(text)])]) }),
        ];
    }
}

const alice = { Authorization: 'Bearer sk-alice-000000' };
const bob = { Authorization: 'Bearer sk-bob-00000000' };
const clients = [
    { name: 'Chat', path: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'Tell.' }] } },
    { name: 'Responses', path: '/v1/responses', body: { input: 'Tell.' } },
    { name: 'Anthropic', path: '/v1/messages', body: { max_tokens: 100, messages: [{ role: 'user', content: 'Tell.' }] } },
];
const upstreams = [['chat', 'openai_like/m', {}], ['responses', 'openai/m', { dialect: 'openai_responses' }], ['claude', 'anthropic/m', {}]];

async function in_world(sse, limits, body) {
    const upstream = await new Teller().start();
    const penstock = await Penstock.start({
        model_list: upstreams.map(([model_name, model, extra]) => ({ model_name, litellm_params: { model, api_base: `${upstream.url}${model.startsWith('anthropic') ? '' : '/v1'}`, api_key: 'k' }, penstock: extra })),
        router_settings: { num_retries: 0 },
        penstock: { workers: 2, sse, limits, keys: [{ name: 'alice', key: 'sk-alice-000000' }, { name: 'bob', key: 'sk-bob-00000000' }] },
    });
    try {
        await body(upstream, penstock);
    } finally {
        await penstock.stop();
        await upstream.stop();
    }
}

async function metric(penstock, name) {
    const { text } = await exchange(penstock.port, 'GET', '/metrics', { headers: alice });
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? NaN);
}

const request = (client, model) => ({ headers: alice, body: { model, stream: true, ...client.body } });

/* lose - begin a stream and lose it when so many bytes have come: what was had up to the last whole event within `share` of them. */
async function lose(penstock, client, model, bytes, share = 1) {
    const connection = await RawClient.open(penstock.port);
    await connection.send('POST', client.path, request(client, model));
    const had = () => Buffer.concat((connection.response ?? connection.responses[0])?.parts ?? []);
    await until('enough bytes of a stream', () => had().length >= bytes);
    const body = had().toString('utf8').slice(0, bytes + 1000); // we may have slept: what came since was not read
    connection.reset();
    const text = body.slice(0, Math.max(body.lastIndexOf('\n\n', Math.floor(body.length * share)), body.indexOf('\n\n')) + 2);
    return { text, id: [...text.matchAll(/^id: (\S+)$/gm)].at(-1)[1] };
}

const resume = (penstock, client, id, headers = alice, method = 'POST') =>
    exchange(penstock.port, method, client.path, { headers: { ...headers, 'Last-Event-ID': id }, body: method === 'POST' ? {} : undefined }, { timeout_ms: 30000 * patience });

/* What is random in a stream: the name of it, and the time at which another dialect was written. */
function plain(text) {
    const own = /^id: ([A-Za-z0-9]{16})-/m.exec(text)[1];
    return text.replace(new RegExp(`${own}[A-Za-z0-9]{8}`, 'g'), 'OWN').replaceAll(own, 'OWN').replace(/"created(_at)?":\d+/g, '"created$1":0');
}

/* The events before and behind the cut are those of the stream that was never cut, byte for byte, each number once. */
function check_whole(before, after, reference) {
    const ids = [...(before + after).matchAll(/^id: \S+-(\d+)$/gm)].map((found) => Number(found[1]));
    assert.deepEqual(ids, ids.map((_, at) => at));
    const got = plain(before + after), wanted = plain(reference);
    let at = 0;
    while (at < wanted.length && got[at] === wanted[at]) at++;
    assert.ok(got === wanted, `differs at ${at} of ${wanted.length}: ${got.slice(Math.max(0, at - 100), at + 100)}\n\ninstead of\n\n${wanted.slice(Math.max(0, at - 100), at + 100)}`);
}

describe('the rest of a stream', () => {
    for (const client of clients) {
        it(`${client.name}: at once, from any place, on any worker, and after the end`, () => in_world({ resume: '20s' }, {}, async (upstream, penstock) => {
            for (const [model] of upstreams) {
                const reference = (await exchange(penstock.port, 'POST', client.path, request(client, model))).text;
                upstream.asked = 0;
                const shares = [0, 0.3, 0.6, 0.9, 1, 1, 1, 1];
                await Promise.all(shares.map(async (share, at) => {
                    const lost = await lose(penstock, client, model, 300 + at * 300, share);
                    await sleep(at % 2 ? 0 : 60);
                    const rest = await resume(penstock, client, lost.id, alice, at % 3 ? 'POST' : 'GET');
                    assert.equal(rest.status, 200, rest.text);
                    assert.equal(rest.headers['content-type'], 'text/event-stream; charset=utf-8');
                    assert.ok(rest.whole);
                    check_whole(lost.text, rest.text, reference);
                    const again = await resume(penstock, client, lost.id); // it is over, and still there
                    assert.ok(again.whole);
                    assert.equal(again.text, rest.text);
                }));
                assert.equal(upstream.asked, shares.length); // nothing was asked for anew
                assert.equal(upstream.cut, 0);
            }
            assert.equal(await metric(penstock, 'penstock_resumes_total'), 48);
            assert.equal(await metric(penstock, 'penstock_upstream_cancels_total'), 0);
            assert.match(penstock.log, /end=client_close|end=done/);
        }));
    }

    it('much of it, slowly taken: the upstream waits and nothing is lost', () => in_world({ resume: '20s' }, { resume: '64KiB', queue: '32KiB' }, async (upstream, penstock) => {
        upstream.gap_ms = 0;
        upstream.words = 200;
        upstream.padding = 'x'.repeat(3000);
        for (const client of clients) {
            if (client.name === 'Responses') continue; // its last events hold all of the text: more than may be kept here
            const reference = (await exchange(penstock.port, 'POST', client.path, request(client, 'chat'))).text;
            upstream.gap_ms = 5;
            const lost = await lose(penstock, client, 'chat', 100);
            upstream.gap_ms = 0;
            await sleep(300);
            assert.ok(await metric(penstock, 'penstock_resumable_bytes') <= 64 * 1024 * 2 * (clients.indexOf(client) + 1)); // with those that are over
            const connection = await RawClient.open(penstock.port);
            connection.socket.pause();
            await connection.send('POST', client.path, { headers: { ...alice, 'Last-Event-ID': lost.id }, body: {} });
            for (let i = 0; i < 10; i++) {
                await sleep(20);
                connection.socket.resume();
                await sleep(1);
                connection.socket.pause();
            }
            connection.socket.resume();
            const rest = await connection.next(30000 * patience);
            assert.ok(rest.whole);
            check_whole(lost.text, rest.text, reference);
            connection.destroy();
        }
    }));

    it('a failure behind the cut is told, once', () => in_world({ resume: '20s' }, {}, async (upstream, penstock) => {
        upstream.stop_at = 20;
        for (const client of clients) {
            const lost = await lose(penstock, client, 'chat', 300);
            for (let i = 0; i < 2; i++) { // while it goes on, and afterwards
                const rest = await resume(penstock, client, lost.id);
                assert.ok(rest.whole);
                assert.equal(rest.text.match(/upstream_disconnected/g).length, 1, rest.text);
            }
        }
    }));

    it('only the last who asks has it; whoever had it before is reset', () => in_world({ resume: '20s' }, {}, async (upstream, penstock) => {
        upstream.gap_ms = 60;
        const client = clients[0];
        const first = await RawClient.open(penstock.port);
        await first.send('POST', client.path, request(client, 'chat'));
        await until('an event', () => (first.response?.parts.length ?? 0) > 2);
        const id = /^id: (\S+)$/m.exec(Buffer.concat(first.response.parts).toString())[1];
        const second = await RawClient.open(penstock.port);
        await second.send('POST', client.path, { headers: { ...alice, 'Last-Event-ID': id }, body: {} });
        await until('an event', () => (second.response?.parts.length ?? 0) > 0);
        const third = await resume(penstock, client, id);
        assert.ok(third.whole);
        assert.match(third.text, /\[DONE\]/);
        assert.equal(await second.closed(), 'reset');
        assert.equal(await first.closed(), 'reset');
        assert.equal(first.responses.some((response) => response.whole) || second.responses.some((response) => response.whole), false);
    }));
});

async function forgotten(penstock) {
    const end = Date.now() + 20000 * patience;
    while (await metric(penstock, 'penstock_resumable_streams') > 0 && Date.now() < end) await sleep(100);
}

describe('who gets no rest', () => {
    it('a foreign key, another path, an unknown event, a stream that was forgotten: 404 in the client\'s dialect', () => in_world({ resume: '1s' }, {}, async (upstream, penstock) => {
        for (const client of clients) {
            const lost = await lose(penstock, client, 'chat', 300);
            const other = clients[(clients.indexOf(client) + 1) % 3];
            const far = lost.id.replace(/\d+$/, '99999');
            const refused = [await resume(penstock, client, lost.id, bob), await resume(penstock, other, lost.id), await resume(penstock, client, far),
                await resume(penstock, client, 'x'), await resume(penstock, client, `${'A'.repeat(16)}-0`)];
            for (const response of refused) {
                assert.equal(response.status, 404);
                const { error } = json_of(response);
                assert.equal(error.type, response === refused[1] ? error.type : client.name === 'Anthropic' ? 'not_found_error' : error.type);
                if (client.name === 'Chat' && response !== refused[1]) assert.equal(error.code, 'stream_not_found');
            }
            assert.equal((await resume(penstock, client, lost.id)).status, 200);
            await forgotten(penstock);
            assert.equal((await resume(penstock, client, lost.id)).status, 404);
        }
        assert.equal(await metric(penstock, 'penstock_resumes_refused_total'), 18);
        assert.equal(await metric(penstock, 'penstock_resumable_streams'), 0);
        assert.equal(await metric(penstock, 'penstock_resumable_bytes'), 0);
        assert.ok(await metric(penstock, 'penstock_resumable_expired_total') >= 3);
    }));

    it('nobody comes: the upstream is cancelled when the time is over', () => in_world({ resume: '1s' }, {}, async (upstream, penstock) => {
        upstream.gap_ms = 200;
        const lost = await lose(penstock, clients[0], 'chat', 300);
        const began = Date.now();
        await sleep(500);
        assert.equal(upstream.cut, 0);
        await until('the upstream is cancelled', () => upstream.cut === 1);
        assert.ok(Date.now() - began >= 800);
        assert.equal((await resume(penstock, clients[0], lost.id)).status, 404);
        await penstock.wait_log(/end=client_close/);
    }));

    it('without the key whoever goes cancels the upstream at once, and the field means nothing', () => in_world({}, {}, async (upstream, penstock) => {
        upstream.gap_ms = 50;
        const lost = await lose(penstock, clients[0], 'chat', 300);
        await until('the upstream is cancelled', () => upstream.cut === 1, 300);
        const anew = await exchange(penstock.port, 'POST', clients[0].path, { ...request(clients[0], 'chat'), headers: { ...alice, 'Last-Event-ID': lost.id } });
        assert.equal(anew.status, 200);
        assert.match(anew.text, /word 0 /);
        assert.equal(upstream.asked, 2);
    }));

    it('SIGTERM: who follows gets everything, whom nobody follows is cancelled', () => in_world({ resume: '20s' }, {}, async (upstream, penstock) => {
        upstream.gap_ms = 100;
        const followed = await lose(penstock, clients[0], 'chat', 300);
        await lose(penstock, clients[2], 'chat', 300);
        const following = resume(penstock, clients[0], followed.id);
        await sleep(300);
        penstock.signal('SIGTERM');
        await until('the other is cancelled', () => upstream.cut === 1);
        const rest = await following;
        assert.ok(rest.whole);
        assert.match(rest.text, /\[DONE\]/);
        assert.deepEqual(await penstock.wait_exit(5000), { code: 0, signal: null });
    }));
});
