// SPDX-License-Identifier: MIT
//
// faulty - an upstream that does what a test says with its socket, byte for byte, and a ledger that knows whether the gateway
// gave everything back: streams, connections, descriptors, buffers.

import net from 'node:net';
import tls from 'node:tls';
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { RequestReader } from '../../../tools/fake_provider/request.mjs';
import { place_of } from '../../../tools/fake_provider/provider.mjs';
import { patience } from './penstock.mjs';
import { exchange, sleep } from './raw.mjs';

/* What a plan has to work with: one request on one connection. */
class Peer {
    constructor(server, socket, request) {
        this.server = server;
        this.socket = socket;
        this.request = request;
        this.place = place_of(request.target);
        this.json = request.body.length > 0 ? JSON.parse(request.body.toString('utf8')) : {};
        this.model = this.place.model ?? this.json.model;
        this.stream = this.place.stream ?? this.json.stream === true;
    }

    /* write - resolves once the kernel has it, or the gateway is gone. */
    write(bytes) {
        return new Promise((resolve) => {
            if (this.socket.destroyed) return void resolve();
            this.socket.write(bytes, () => resolve());
        });
    }

    fin() {
        this.socket.end();
    }

    reset() {
        this.socket.resetAndDestroy();
    }

    get gone() {
        return this.socket.destroyed || this.socket.readableEnded;
    }

    /* left - resolves when the gateway has closed the connection. */
    left() {
        return new Promise((resolve) => {
            if (this.gone) resolve();
            this.socket.once('end', resolve);
            this.socket.once('close', resolve);
        });
    }
}

export class FaultyServer {
    /* options  key, cert, tls_options: speak TLS; on_connection(socket): instead of reading requests */
    constructor(options = {}) {
        this.options = options;
        this.plans = new Map();
        this.sockets = new Set();
        this.connections = 0;
        this.requests = 0;
    }

    async start() {
        const { key, cert, tls_options, host = '127.0.0.1' } = this.options;
        const take = (socket) => this.#connection(socket);
        this.server = key ? tls.createServer({ key, cert, ...tls_options }, take) : net.createServer({ allowHalfOpen: true, noDelay: true }, take);
        this.server.on('tlsClientError', () => {});
        await new Promise((resolve) => this.server.listen({ port: 0, host, backlog: 4096 }, resolve));
        this.port = this.server.address().port;
        this.url = `${key ? 'https' : 'http'}://127.0.0.1:${this.port}`;
        return this;
    }

    async stop() {
        for (const socket of this.sockets) socket.destroy();
        await new Promise((resolve) => this.server.close(resolve));
    }

    /* plan - what is done for the next requests for a model: run(peer); bytes are written, and that is all. */
    plan(model, run) {
        this.plans.set(model, run);
    }

    #connection(socket) {
        this.connections++;
        this.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => this.sockets.delete(socket));
        if (this.options.on_connection) return void this.options.on_connection(socket);
        const reader = new RequestReader();
        socket.on('data', (bytes) => {
            for (const request of reader.take(bytes)) this.#serve(socket, request);
        });
        // A gateway that closes is done with us.
        socket.on('end', () => { if (!socket.destroyed) socket.end(); });
        return undefined;
    }

    async #serve(socket, request) {
        this.requests++;
        const peer = new Peer(this, socket, request);
        const plan = this.plans.get(peer.model);
        if (!plan) return void socket.destroy();
        if (typeof plan === 'function') return void await plan(peer);
        await peer.write(plan);
    }
}

/* reply_head - a status line and fields; a field may be given as [name, value]. */
export function reply_head(status, fields, reason = 'Reason') {
    const lines = [`HTTP/1.1 ${status} ${reason}`, ...fields.map(([name, value]) => `${name}: ${value}`)];
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

export function chunk_of(bytes) {
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

export const last_chunk = Buffer.from('0\r\n\r\n');

/*
 * wire_of - a whole reply as it travels.
 * framing  'chunked' (each piece a chunk), 'length' or 'close'
 * returns  {bytes, head, delivered}: delivered(offset) bytes of the body have arrived with the first `offset` bytes
 */
export function wire_of(pieces, type, framing, { status = 200, fields = [] } = {}) {
    const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const framed = { chunked: [['Transfer-Encoding', 'chunked']], length: [['Content-Length', total]], close: [['Connection', 'close']] }[framing];
    const head = reply_head(status, [['Content-Type', type], ...framed, ...fields]);
    const parts = [head];
    const spans = []; // [begins, ends) on the wire of each piece
    let at = head.length;
    for (const piece of pieces) {
        const part = framing === 'chunked' ? chunk_of(piece) : piece;
        const begins = at + (framing === 'chunked' ? part.length - piece.length - 2 : 0);
        spans.push([begins, begins + piece.length]);
        parts.push(part);
        at += part.length;
    }
    if (framing === 'chunked') parts.push(last_chunk);
    const delivered = (offset) => spans.reduce((sum, [begins, ends]) => sum + Math.max(0, Math.min(offset, ends) - begins), 0);
    return { bytes: Buffer.concat(parts), head: head.length, delivered };
}

/* run_all - work through jobs, `width` at a time: one(job, lane) with a lane for each that runs. The first failure ends it. */
export async function run_all(jobs, width, one) {
    let at = 0;
    let failed = null;
    const lane = async () => {
        const own = {};
        while (at < jobs.length && !failed) {
            try {
                await one(jobs[at++], own);
            } catch (error) {
                failed ??= error;
            }
        }
        own.connection?.destroy();
    };
    await Promise.all(Array.from({ length: Math.min(width, jobs.length) }, lane));
    if (failed) throw failed;
}

/* scrape - the gateway's metrics: name with labels to value. */
export async function scrape(port) {
    const { text } = await exchange(port, 'GET', '/metrics');
    const figures = new Map();
    for (const line of text.split('\n')) {
        const found = /^(\w+(?:\{.*\})?) (-?[\d.eE+-]+)$/.exec(line);
        if (found) figures.set(found[1], Number(found[2]));
    }
    return figures;
}

const returning = [
    'penstock_streams_active', 'penstock_client_connections', 'penstock_connections_open', 'penstock_upstream_connections_active',
    'penstock_upstream_connections_idle', 'penstock_buffer_chunks_used', 'penstock_request_bytes',
];

function status_kib(penstock, name, fs_read) {
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(fs_read(`/proc/${penstock.pid}/status`, 'utf8'))[1]);
}

/*
 * Ledger - what the gateway held at the start. The gateway's upstream_idle must be short: kept connections are no leak, but they
 * count.
 */
export class Ledger {
    static async open(penstock, fs_read) {
        const ledger = new Ledger();
        Object.assign(ledger, { penstock, fs_read });
        await sleep(400); // what the first exchange left behind
        ledger.start = ledger.figures = await scrape(penstock.port);
        ledger.descriptors = penstock.descriptors();
        return ledger;
    }

    high_water_bytes() {
        return status_kib(this.penstock, 'VmHWM', this.fs_read) * 1024;
    }

    /*
     * moves - counters have gone on by so much since this was last asked: {what: [names that are added up, count]}. An exchange is
     * counted when its last byte has left, which its client may see first.
     */
    async moves(wanted) {
        const until = Date.now() + 3000 * patience;
        for (;;) {
            const now = await scrape(this.penstock.port);
            const moved = (name) => (now.get(name) ?? 0) - (this.figures.get(name) ?? 0);
            const counted = Object.fromEntries(Object.entries(wanted).map(([what, [names]]) => [what, names.reduce((sum, name) => sum + moved(name), 0)]));
            const expected = Object.fromEntries(Object.entries(wanted).map(([what, [, count]]) => [what, count]));
            if (isDeepStrictEqual(counted, expected) || Date.now() > until) {
                this.figures = now;
                return assert.deepEqual(counted, expected, 'what the counters say');
            }
            await sleep(20);
        }
    }

    /* mark - count from here. */
    async mark() {
        this.figures = await scrape(this.penstock.port);
    }

    /* settled - everything that was taken has been given back, within a few seconds. */
    async settled(timeout_ms = 6000) {
        const until = Date.now() + timeout_ms * patience;
        for (;;) {
            const now = await scrape(this.penstock.port);
            const held = returning.filter((name) => now.get(name) > this.start.get(name)).map((name) => `${name} ${this.start.get(name)} -> ${now.get(name)}`);
            const descriptors = this.penstock.descriptors();
            if (descriptors > this.descriptors) held.push(`descriptors ${this.descriptors} -> ${descriptors}`);
            if (held.length === 0) return;
            if (Date.now() > until) assert.fail(`not given back: ${held.join(', ')}`);
            await sleep(50);
        }
    }
}

/* endless - write what make() gives for as long as somebody takes it, with a pause after each. */
export async function endless(peer, make, pause_ms = 0) {
    while (!peer.gone) {
        await peer.write(make());
        if (pause_ms > 0) await sleep(pause_ms);
        else await new Promise((resolve) => setImmediate(resolve));
    }
}
