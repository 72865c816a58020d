// SPDX-License-Identifier: MIT
//
// raw - an HTTP/1.1 client over a bare socket: it sends exactly the bytes it is told and notes when each
// byte came back. For everything that well-behaved clients cannot do.

import net from 'node:net';
import tls from 'node:tls';
import { patience } from './penstock.mjs';
import { decode_sse } from './sse.mjs';

export function sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

/* request_bytes - a request with a JSON body (an object), text or bytes, ready to send. */
export function request_bytes(method, target, { body, headers = {}, host = '127.0.0.1' } = {}) {
    const bytes = body === undefined ? Buffer.alloc(0)
        : Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const fields = { Host: host, ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': bytes.length }), ...headers };
    const lines = Object.entries(fields).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`);
    return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}

function parse_head(text) {
    const [start, ...lines] = text.split('\r\n');
    const found = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(start);
    if (!found) throw new Error(`no status line: ${start.slice(0, 80)}`);
    const headers = {};
    const fields = [];
    for (const line of lines) {
        const colon = line.indexOf(':');
        if (colon <= 0) throw new Error(`no header field: ${line.slice(0, 80)}`);
        const name = line.slice(0, colon).toLowerCase();
        const value = line.slice(colon + 1).trim();
        fields.push([name, value]);
        headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    return { status: Number(found[1]), headers, fields };
}

export class RawClient {
    /* open - connect; options: tls (options for tls.connect), paused (do not read), on_body(bytes, response). */
    static async open(port, options = {}) {
        const client = new RawClient(options);
        const socket = options.tls
            ? tls.connect({ host: '127.0.0.1', port, ...options.tls })
            : net.connect({ host: options.host ?? '127.0.0.1', port, allowHalfOpen: true, noDelay: true, ...options.connect });
        client.socket = socket;
        await new Promise((resolve, reject) => {
            socket.once(options.tls ? 'secureConnect' : 'connect', resolve);
            socket.once('error', reject);
        });
        socket.on('error', (error) => { client.error = error; });
        socket.on('data', (bytes) => client.#take(bytes));
        socket.on('end', () => client.#over('end'));
        socket.on('close', () => client.#over('close'));
        if (options.paused) socket.pause();
        return client;
    }

    constructor(options) {
        this.options = options;
        this.pending = Buffer.alloc(0);
        this.responses = [];
        this.interim = [];
        this.response = null;
        this.waiters = [];
        this.ended = null;
        this.received = 0;
        this.head_only = [];
    }

    write(bytes) {
        return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
    }

    /* send - write a request; `method` HEAD makes the answer have no body. */
    send(method, target, parts) {
        this.head_only.push(method === 'HEAD');
        return this.write(request_bytes(method, target, parts));
    }

    /* next - the next whole response; rejects when the connection ends first or the time is up. */
    next(timeout_ms = 15_000 * patience) {
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error(`no response within ${timeout_ms} ms, have ${this.received} bytes`)), timeout_ms);
            this.waiters.push({ resolve: (value) => { clearTimeout(timer); resolve(value); }, reject: (error) => { clearTimeout(timer); reject(error); } });
            this.#settle();
        });
    }

    /* closed - resolves with 'end', 'close' or 'reset' once the peer ended the connection. */
    async closed(timeout_ms = 15_000 * patience) {
        const until = Date.now() + timeout_ms;
        while (!this.ended) {
            if (Date.now() > until) throw new Error(`still open after ${timeout_ms} ms`);
            await sleep(5);
        }
        return this.error ? 'reset' : this.ended;
    }

    close() {
        this.socket.end();
    }

    destroy() {
        this.socket.destroy();
    }

    reset() {
        this.socket.resetAndDestroy();
    }

    #over(how) {
        this.ended ??= how;
        if (this.response && this.response.framing === 'close') this.#finish(true);
        else if (this.response) this.#finish(false);
        this.#settle();
    }

    #take(bytes) {
        this.received += bytes.length;
        this.pending = this.pending.length ? Buffer.concat([this.pending, bytes]) : bytes;
        try {
            while (this.#step());
        } catch (error) {
            this.parse_error = error;
            this.#settle();
        }
    }

    #step() {
        if (!this.response) return this.#head();
        const { response } = this;
        if (response.framing === 'chunked') return this.#chunk();
        const want = response.framing === 'close' ? this.pending.length : Math.min(this.pending.length, response.left);
        if (want > 0) this.#body(this.pending.subarray(0, want));
        this.pending = this.pending.subarray(want);
        if (response.framing === 'length' && (response.left -= want) === 0) {
            this.#finish(true);
            return this.pending.length > 0;
        }
        return false;
    }

    #head() {
        const end = this.pending.indexOf('\r\n\r\n');
        if (end < 0) return false;
        const head = parse_head(this.pending.subarray(0, end).toString('latin1'));
        this.pending = this.pending.subarray(end + 4);
        if (head.status < 200) {
            this.interim.push(head.status);
            return true;
        }
        this.response = { ...head, parts: [], times: [], started_at: performance.now(), trailers: null };
        const { response } = this;
        const no_body = this.head_only.shift() === true || head.status === 204 || head.status === 304;
        if (no_body) this.#finish(true);
        else if ((head.headers['transfer-encoding'] ?? '').toLowerCase() === 'chunked') response.framing = 'chunked';
        else if ('content-length' in head.headers) {
            response.framing = 'length';
            response.left = Number(head.headers['content-length']);
            if (response.left === 0) this.#finish(true);
        } else response.framing = 'close';
        return this.pending.length > 0;
    }

    #chunk() {
        const line_end = this.pending.indexOf('\r\n');
        if (line_end < 0) return false;
        const text = this.pending.subarray(0, line_end).toString('latin1');
        if (!/^[0-9a-fA-F]+(;.*)?$/.test(text)) throw new Error(`bad chunk size: ${text.slice(0, 40)}`);
        const size = parseInt(text, 16);
        if (this.pending.length < line_end + 2 + size + 2) return false;
        const data = this.pending.subarray(line_end + 2, line_end + 2 + size);
        if (this.pending.subarray(line_end + 2 + size, line_end + 4 + size).toString('latin1') !== '\r\n') throw new Error('chunk without CRLF');
        this.pending = this.pending.subarray(line_end + 4 + size);
        if (size === 0) this.#finish(true);
        else this.#body(data);
        return true;
    }

    #body(bytes) {
        const copy = Buffer.from(bytes);
        this.response.parts.push(copy);
        this.response.times.push(performance.now());
        this.options.on_body?.(copy, this.response);
    }

    #finish(whole) {
        const { response } = this;
        response.whole = whole;
        response.body = Buffer.concat(response.parts);
        response.text = response.body.toString('utf8');
        this.response = null;
        this.responses.push(response);
        this.#settle();
    }

    #settle() {
        while (this.waiters.length > 0) {
            if (this.responses.length > 0) this.waiters.shift().resolve(this.responses.shift());
            else if (this.parse_error) this.waiters.shift().reject(this.parse_error);
            else if (this.ended) this.waiters.shift().reject(new Error(`connection ended (${this.ended}${this.error ? `, ${this.error.code}` : ''}) without a response`));
            else return;
        }
    }
}

/* exchange - one request on a connection of its own; the whole response. */
export async function exchange(port, method, target, parts = {}, options = {}) {
    const client = await RawClient.open(port, options);
    try {
        await client.send(method, target, { ...parts, headers: { Connection: 'close', ...parts.headers } });
        return await client.next(options.timeout_ms);
    } finally {
        client.destroy();
    }
}

export function json_of(response) {
    return JSON.parse(response.text);
}

export function events_of(response) {
    return decode_sse(response.text).events;
}
