// SPDX-License-Identifier: MIT
//
// provider - an HTTP/1.1 server over raw sockets that answers like an LLM provider, well or badly.
//
// What to answer is chosen, in this order: a queued behaviour whose `match` is part of the model name;
// a script registered under the model name; the model name itself, "scenario,key=value,key=value".
// Everything that arrives is kept in `seen`, with the time the peer closed.

import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import path from 'node:path';
import { RequestReader } from './request.mjs';
import { Delivery } from './delivery.mjs';
import { make_turn, turn_names } from './turns.mjs';
import { chat_error, chat_json, chat_stream } from './write_chat.mjs';
import { anthropic_error, anthropic_json, anthropic_stream } from './write_anthropic.mjs';

const reasons = {
    200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 413: 'Content Too Large',
    429: 'Too Many Requests', 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable', 529: 'Overloaded',
};

/* "text,pace_ms=5,done=false" as a behaviour. */
export function behaviour_of_name(model) {
    const [scenario, ...options] = String(model).split(',');
    const behaviour = { scenario };
    for (const option of options) {
        const [key, value = 'true'] = option.split('=');
        const number = Number(value);
        behaviour[key] = value === 'true' ? true : value === 'false' ? false : Number.isNaN(number) ? value : number;
    }
    return behaviour;
}

export function frame_events(events, { line_end = '\n', compact = false, last_blank = true } = {}) {
    return events.map(({ event, data, raw }, at) => {
        if (raw !== undefined) return Buffer.from(raw);
        const space = compact ? '' : ' ';
        const lines = [...(event ? [`event:${space}${event}`] : []), `data:${space}${data}`];
        const blank = last_blank || at < events.length - 1 ? line_end : '';
        return Buffer.from(lines.join(line_end) + line_end + blank);
    });
}

export class FakeProvider {
    constructor(options = {}) {
        this.options = options;
        this.seen = [];
        this.queued = [];
        this.scripts = new Map();
        this.sockets = new Set();
        this.connections = 0;
        this.watchers = new Set();
    }

    async start() {
        const { host = '127.0.0.1', port = 0, key, cert } = this.options;
        const take = (socket) => this.#connection(socket);
        this.server = key
            ? tls.createServer({ key, cert, ALPNProtocols: ['http/1.1'], ...this.options.tls_options }, take)
            : net.createServer({ allowHalfOpen: true, noDelay: true }, take);
        this.server.on('tlsClientError', (error) => { this.last_tls_error = error; });
        await new Promise((resolve, reject) => {
            this.server.once('error', reject);
            this.server.listen(port, host, 1024, resolve);
        });
        this.port = this.server.address().port;
        this.url = `${key ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${this.port}`;
        return this;
    }

    async stop() {
        for (const socket of this.sockets) socket.destroy();
        await new Promise((resolve) => this.server.close(resolve));
    }

    /* script - give a model name a behaviour, or a function of the request that makes one. */
    script(model, behaviour) {
        this.scripts.set(model, behaviour);
    }

    /* queue - the next `times` requests whose model name holds `match` get this behaviour. */
    queue(behaviour, { match = '', times = 1 } = {}) {
        this.queued.push({ match, times, behaviour });
    }

    reset() {
        this.seen.length = 0;
        this.queued.length = 0;
    }

    /* wait_for - the first seen request for which `test` holds, now or within `timeout_ms`. */
    wait_for(test, timeout_ms = 5000) {
        return new Promise((resolve, reject) => {
            const look = () => {
                const found = this.seen.find((record) => {
                    try {
                        return test(record);
                    } catch {
                        return false;
                    }
                });
                if (!found) return;
                stop();
                resolve(found);
            };
            const stop = () => {
                clearTimeout(timer);
                clearInterval(again);
                this.watchers.delete(look);
            };
            // Counters change without notice, so a look now and then comes on top of the notices.
            const again = setInterval(look, 5);
            const timer = setTimeout(() => {
                stop();
                reject(new Error(`fake provider: nothing matched within ${timeout_ms} ms: ${test}`));
            }, timeout_ms);
            this.watchers.add(look);
            look();
        });
    }

    #changed() {
        for (const look of [...this.watchers]) look();
    }

    #connection(socket) {
        const connection = ++this.connections;
        const reader = new RequestReader();
        const state = { current: null, requests: 0, queue: Promise.resolve() };
        this.sockets.add(socket);
        if (this.options.key) socket.setNoDelay(true);
        const gone = (how) => {
            const record = state.current;
            if (record && record.client_closed_at === null) {
                record.client_closed_at = performance.now();
                record.client_closed_how = how;
                for (const wake of [...record.wakers]) wake();
                this.#changed();
            }
        };
        socket.on('data', (bytes) => {
            for (const request of reader.take(bytes)) {
                const number = ++state.requests;
                state.queue = state.queue.then(() => this.#serve(socket, state, request, connection, number))
                    .catch((error) => { if (!socket.destroyed) socket.destroy(error); });
            }
        });
        socket.on('end', () => {
            gone('end');
            state.queue.then(() => socket.end());
        });
        socket.on('error', () => gone('reset'));
        socket.on('close', () => {
            gone('close');
            this.sockets.delete(socket);
        });
    }

    #record(request, connection, number) {
        const record = {
            method: request.method, target: request.target, path: request.path, fields: request.fields,
            headers: request.headers, body: request.body, framing: request.framing, json: undefined, dialect: undefined,
            model: undefined, connection, number, received_at: performance.now(), client_closed_at: null,
            client_closed_how: null, finished_at: null, outcome: 'running', body_bytes: 0, pieces: 0, piece_times: [],
        };
        Object.defineProperty(record, 'wakers', { value: new Set() });
        try {
            record.json = JSON.parse(request.body.toString('utf8'));
            record.model = record.json.model;
        } catch { /* not JSON: the record then simply has none */ }
        record.dialect = request.path.includes('/messages') ? 'anthropic' : 'chat';
        return record;
    }

    async #serve(socket, state, request, connection, number) {
        if (request.path.startsWith('/_')) return this.#control(socket, request);
        const record = this.#record(request, connection, number);
        state.current = record;
        this.seen.push(record);
        this.#changed();
        const behaviour = this.#behaviour(record);
        const answer = this.#answer(record, behaviour);
        await this.#send(socket, record, answer);
        record.finished_at = performance.now();
        if (record.outcome === 'running') record.outcome = record.client_closed_at === null ? 'complete' : 'abandoned';
        this.#changed();
        if (state.current === record && record.outcome === 'complete') state.current = null;
        if (answer.behaviour.keep_alive === false || answer.behaviour.framing === 'close') socket.end();
    }

    #behaviour(record) {
        const model = record.model ?? '';
        const entry = this.queued.find(({ match, times }) => times > 0 && String(model).includes(match));
        if (entry) {
            entry.times--;
            return entry.behaviour;
        }
        const script = this.scripts.get(model);
        if (script) return typeof script === 'function' ? script(record) : script;
        return behaviour_of_name(model);
    }

    #answer(record, behaviour) {
        const json = (status, body) => ({ status, content_type: 'application/json', pieces: [Buffer.from(JSON.stringify(body))], behaviour });
        const error_body = record.dialect === 'anthropic' ? anthropic_error : chat_error;
        if (behaviour.replay) return this.#replay(behaviour);
        if (behaviour.raw_response !== undefined) return { raw: Buffer.from(behaviour.raw_response, 'latin1'), behaviour };
        if (behaviour.body !== undefined) {
            const text = typeof behaviour.body === 'object' && !Buffer.isBuffer(behaviour.body) ? JSON.stringify(behaviour.body) : behaviour.body;
            const content_type = behaviour.content_type ?? 'application/json';
            return { status: behaviour.status ?? 200, content_type, pieces: [Buffer.from(text)], behaviour };
        }
        if (behaviour.status && behaviour.status !== 200) {
            return json(behaviour.status, error_body(behaviour.error ?? { message: `status ${behaviour.status} as asked` }));
        }
        if (record.method === 'GET' && record.path.endsWith('/models')) {
            return json(200, { object: 'list', data: turn_names.map((id) => ({ id, object: 'model', created: 1754000000, owned_by: 'fake' })) });
        }
        if (record.path.endsWith('/count_tokens')) return json(200, { input_tokens: Math.ceil(record.body.length / 4) });
        const turn = behaviour.turn ?? make_turn(behaviour.scenario ?? 'text', behaviour, record.json);
        if (!turn && !behaviour.events) return json(404, error_body({ message: `no model ${record.model}`, type: 'not_found_error', code: 'model_not_found' }));
        if (record.json?.stream === true || behaviour.stream) return this.#stream(record, turn, behaviour);
        const write = record.dialect === 'anthropic' ? anthropic_json : chat_json;
        return json(200, write(turn, record.json ?? {}, behaviour));
    }

    #stream(record, turn, behaviour) {
        const write = record.dialect === 'anthropic' ? anthropic_stream : chat_stream;
        let events = behaviour.events ?? write(turn, record.json ?? {}, behaviour);
        if (behaviour.error_after !== undefined) {
            const body = (record.dialect === 'anthropic' ? anthropic_error : chat_error)(behaviour.error ?? { message: 'broke in the middle' });
            const event = record.dialect === 'anthropic' ? 'error' : undefined;
            events = [...events.slice(0, behaviour.error_after), { event, data: JSON.stringify(body) }];
        }
        if (behaviour.comments) events = events.flatMap((event) => [{ raw: ': keep-alive\n\n' }, event]);
        let pieces = frame_events(events, behaviour);
        if (behaviour.prefix) pieces.unshift(Buffer.from(behaviour.prefix));
        if (behaviour.endless_event) {
            // A good beginning, then one event that never ends.
            const count = Math.ceil(behaviour.endless_event / 4096);
            pieces = [...pieces.slice(0, 2), Buffer.from('data: {"x":"'), ...Array.from({ length: count }, () => Buffer.alloc(4096, 'y'))];
        }
        if (behaviour.whole) pieces = [Buffer.concat(pieces)];
        return { status: 200, content_type: behaviour.content_type ?? 'text/event-stream; charset=utf-8', pieces, behaviour };
    }

    #replay(behaviour) {
        const root = path.resolve(this.options.recordings ?? '.');
        const file = path.resolve(root, behaviour.replay);
        if (!file.startsWith(root + path.sep)) return { status: 404, content_type: 'text/plain', pieces: [Buffer.from('outside')], behaviour };
        const bytes = fs.readFileSync(file);
        this.index ??= new Map(JSON.parse(fs.readFileSync(path.join(root, 'index.json'), 'utf8')).map((entry) => [entry.file, entry]));
        const entry = this.index.get(behaviour.replay);
        const pieces = [];
        const size = behaviour.piece ?? 1460;
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
        const hop = new Set(['content-type', 'content-length', 'transfer-encoding', 'connection', 'content-encoding', 'date']);
        const headers = Object.fromEntries(Object.entries(entry?.response_headers ?? {}).filter(([name]) => !hop.has(name.toLowerCase())));
        return {
            status: entry?.status ?? 200, content_type: entry?.response_headers?.['content-type'] ?? 'application/json',
            pieces, behaviour: { headers, ...behaviour },
        };
    }

    async #send(socket, record, answer) {
        const { behaviour } = answer;
        const delivery = new Delivery(socket, behaviour, record);
        record.answer_started_at = performance.now();
        if (behaviour.silent) return delivery.pause(Infinity);
        if (answer.raw) {
            if (behaviour.head_delay_ms) await delivery.pause(behaviour.head_delay_ms);
            await delivery.write_split(answer.raw);
            if (behaviour.then === 'close') socket.end();
            if (behaviour.then === 'hang') await delivery.pause(Infinity);
            return undefined;
        }
        const framing = behaviour.framing ?? (answer.content_type.startsWith('text/event-stream') ? 'chunked' : 'length');
        delivery.framing = framing;
        const total = answer.pieces.reduce((sum, piece) => sum + piece.length, 0);
        const fields = [['Content-Type', answer.content_type], ['request-id', 'req_fake'], ['x-request-id', 'req_fake']];
        for (const [name, value] of Object.entries(behaviour.headers ?? {})) fields.push([name, value]);
        if (framing === 'chunked') fields.push(['Transfer-Encoding', 'chunked']);
        if (framing === 'length') fields.push(['Content-Length', behaviour.content_length ?? total]);
        if (framing === 'close' || behaviour.keep_alive === false) fields.push(['Connection', 'close']);
        await delivery.head(answer.status, reasons[answer.status] ?? 'Status', fields);
        const whole = await delivery.body(answer.pieces);
        if (!whole) record.outcome = record.client_closed_at === null ? 'ended_early' : 'abandoned';
        return undefined;
    }

    async #control(socket, request) {
        const reply = (status, body) => {
            const bytes = Buffer.from(JSON.stringify(body));
            socket.write(`HTTP/1.1 ${status} ${reasons[status] ?? 'Status'}\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`);
            socket.write(bytes);
        };
        if (request.path === '/_seen') {
            return reply(200, this.seen.map((record) => ({ ...record, body: record.body.toString('base64') })));
        }
        if (request.path !== '/_control' || request.method !== 'POST') return reply(404, { error: 'no such control' });
        try {
            const order = JSON.parse(request.body.toString('utf8'));
            if (order.reset) this.reset();
            if (order.queue) this.queue(order.queue.behaviour ?? {}, order.queue);
            for (const [model, behaviour] of Object.entries(order.script ?? {})) this.script(model, behaviour);
            return reply(200, { queued: this.queued.length, scripts: this.scripts.size });
        } catch (error) {
            return reply(400, { error: String(error) });
        }
    }
}
