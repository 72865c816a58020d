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
import { responses_break, responses_json, responses_stream } from './write_responses.mjs';
import { frame_array, gemini_error, gemini_json, gemini_stream } from './write_gemini.mjs';

const reasons = {
    200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 413: 'Content Too Large',
    429: 'Too Many Requests', 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable', 529: 'Overloaded',
};

/* How each dialect is written: a stream, a whole answer, an error. */
const writers = {
    chat: { stream: chat_stream, json: chat_json, error: chat_error },
    anthropic: { stream: anthropic_stream, json: anthropic_json, error: anthropic_error },
    responses: { stream: responses_stream, json: responses_json, error: chat_error },
    gemini: { stream: gemini_stream, json: gemini_json, error: gemini_error },
};

/*
 * place_of - what a request's path says: {dialect, model, method}. Gemini and Vertex have model and method in it, behind the last
 * colon; Azure has the model as a deployment.
 */
export function place_of(target) {
    const path_only = target.split('?')[0];
    const google = /\/models\/([^/]+):([A-Za-z]+)$/.exec(path_only);
    const streams = (method) => method.startsWith('stream');
    if (google) {
        const [, model, method] = google;
        const dialect = path_only.includes('/publishers/anthropic/') ? 'anthropic' : 'gemini';
        if (model === 'count-tokens') return { dialect, method: 'countTokens' };
        return { dialect, model: decodeURIComponent(model), method, stream: streams(method), as_array: dialect === 'gemini' && !/[?&]alt=sse\b/.test(target) };
    }
    const deployment = /\/deployments\/([^/]+)\//.exec(path_only);
    const dialect = /\/responses(\/|$)/.test(path_only) ? 'responses' : path_only.includes('/messages') ? 'anthropic' : 'chat';
    const counts = /\/(count_tokens|input_tokens)$/.test(path_only);
    return { dialect, model: deployment ? decodeURIComponent(deployment[1]) : undefined, method: counts ? 'countTokens' : undefined };
}

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
        } catch { /* not JSON: the record then simply has none */ }
        const place = place_of(request.target);
        record.dialect = place.dialect;
        record.model = place.model ?? record.json?.model;
        record.call = place.method;
        record.stream = place.stream ?? record.json?.stream === true;
        record.as_array = place.as_array ?? false;
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
        const error_body = writers[record.dialect].error;
        if (behaviour.replay) return this.#replay(behaviour);
        if (behaviour.raw_response !== undefined) return { raw: Buffer.from(behaviour.raw_response, 'latin1'), behaviour };
        if (behaviour.body !== undefined) {
            const text = typeof behaviour.body === 'object' && !Buffer.isBuffer(behaviour.body) ? JSON.stringify(behaviour.body) : behaviour.body;
            const content_type = behaviour.content_type ?? 'application/json';
            return { status: behaviour.status ?? 200, content_type, pieces: [Buffer.from(text)], behaviour };
        }
        if (behaviour.status && behaviour.status !== 200) {
            return json(behaviour.status, error_body(behaviour.error ?? { message: `status ${behaviour.status} as asked` }, behaviour.status));
        }
        const simple = this.#simple(record);
        if (simple) return json(200, simple);
        const turn = behaviour.turn ?? make_turn(behaviour.scenario ?? 'text', behaviour, record.json);
        if (!turn && !behaviour.events) return json(404, error_body({ message: `no model ${record.model}`, type: 'not_found_error', code: 'model_not_found' }, 404));
        if (record.stream || behaviour.stream) return this.#stream(record, turn, behaviour);
        return json(200, writers[record.dialect].json(turn, { ...record.json, model: record.model }, behaviour));
    }

    /* What is no generation: lists of models, counts of tokens, embeddings. */
    #simple(record) {
        if (record.method === 'GET' && record.path.endsWith('/v1beta/models')) {
            return { models: turn_names.map((id) => ({ name: `models/${id}`, displayName: id, inputTokenLimit: 100000, outputTokenLimit: 8000, supportedGenerationMethods: ['generateContent'] })) };
        }
        if (record.method === 'GET' && record.path === '/api/v0/models' && this.options.loaded) { // LM Studio's own
            return { object: 'list', data: turn_names.map((id) => ({ id, object: 'model', state: 'loaded', max_context_length: 1000000, loaded_context_length: this.options.loaded })) };
        }
        if (record.method === 'GET' && record.path.endsWith('/models') && record.path !== '/api/v0/models') {
            const window = this.options.window ? { max_model_len: this.options.window } : {}; // vLLM
            return { object: 'list', data: turn_names.map((id) => ({ id, object: 'model', created: 1754000000, owned_by: 'fake', ...window })) };
        }
        if (record.call === 'countTokens') {
            const count = Math.ceil(record.body.length / 4);
            if (record.dialect === 'gemini') return { totalTokens: count, promptTokensDetails: [{ modality: 'TEXT', tokenCount: count }] };
            return record.dialect === 'responses' ? { object: 'response.input_tokens', input_tokens: count } : { input_tokens: count };
        }
        if (record.call === 'embedContent') return { embedding: { values: [0.25, -0.5, 1] } };
        if (record.call === 'batchEmbedContents') return { embeddings: (record.json?.requests ?? []).map(() => ({ values: [0.25, -0.5, 1] })) };
        if (record.path.endsWith('/embeddings')) {
            const inputs = [record.json?.input ?? ''].flat();
            const data = inputs.map((_, index) => ({ object: 'embedding', index, embedding: [0.25, -0.5, 1] }));
            return { object: 'list', data, model: record.model, usage: { prompt_tokens: inputs.length, total_tokens: inputs.length } };
        }
        return null;
    }

    /* What breaks a stream in the middle, in the words of its dialect. */
    #break(record, behaviour, sequence_number) {
        const error = behaviour.error ?? { message: 'broke in the middle' };
        if (record.dialect === 'responses') return responses_break(error, { ...record.json, model: record.model }, sequence_number);
        return [{ event: record.dialect === 'anthropic' ? 'error' : undefined, data: JSON.stringify(writers[record.dialect].error(error, behaviour.error_status ?? 500)) }];
    }

    #stream(record, turn, behaviour) {
        let events = behaviour.events ?? writers[record.dialect].stream(turn, { ...record.json, model: record.model }, behaviour);
        if (behaviour.error_after !== undefined) {
            events = [...events.slice(0, behaviour.error_after), ...this.#break(record, behaviour, behaviour.error_after)];
        }
        if (record.as_array) {
            const elements = frame_array(events);
            return { status: 200, content_type: 'application/json; charset=UTF-8', pieces: behaviour.whole ? [Buffer.concat(elements)] : elements, behaviour: { framing: 'chunked', ...behaviour } };
        }
        if (behaviour.comments) events = events.flatMap((event) => [{ raw: ': keep-alive\n\n' }, event]);
        // Google ends its lines with CR and LF.
        let pieces = frame_events(events, record.dialect === 'gemini' ? { line_end: '\r\n', ...behaviour } : behaviour);
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
            status: entry?.status ?? 200, content_type: behaviour.content_type ?? entry?.response_headers?.['content-type'] ?? 'application/json',
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
