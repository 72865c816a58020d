// SPDX-License-Identifier: MIT
//
// hostile - what tests of hostile clients have in common: many sockets at once, a watch over streams that must not notice,
// and the figures that must return to where they were.

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { binary, models_at, patience } from './penstock.mjs';
import { exchange, request_bytes, sleep } from './raw.mjs';

const tools = path.join(path.dirname(binary), '..', 'tools');
const addresses = 200; // as many of 127.0.0.0/8 call, so that ports do not run out

/* descriptor_limit - how many this process, and so a gateway started by it, may have. */
export function descriptor_limit() {
    return Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim().replace('unlimited', '1000000'));
}

/* sample - the sum of a metric over its label sets. */
export function sample(text, name) {
    return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const gauges = ['penstock_streams_active', 'penstock_client_connections', 'penstock_worker_streams', 'penstock_connections_open',
    'penstock_buffer_chunks_used', 'penstock_request_bytes', 'penstock_timers_armed', 'penstock_upstream_connections_active', 'penstock_upstream_connections_idle'];

export async function scrape(penstock) {
    return (await exchange(penstock.port, 'GET', '/metrics')).text;
}

/* figures_of - everything in a scrape that a quiet gateway must have as much of as before. */
export function figures_of(text) {
    return Object.fromEntries(gauges.map((name) => [name, sample(text, name)]));
}

/* figures - descriptors are counted before the scrape opens one: when it is answered, its own may or may not have been closed. */
export async function figures(penstock) {
    const descriptors = penstock.descriptors();
    return { ...figures_of(await scrape(penstock)), descriptors };
}

/* quiet - the figures once they do not change any more, for they belong to a gateway that has nothing to do. For longer than a
 * connection that was closed lingers: the one that asked whether the gateway is there may be one. */
export async function quiet(penstock, limit_ms = 10_000) {
    const until = Date.now() + limit_ms * patience;
    let last = await figures(penstock);
    for (let same = 0; same < 12;) {
        await sleep(150);
        const now = await figures(penstock);
        same = JSON.stringify(now) === JSON.stringify(last) ? same + 1 : 0;
        last = now;
        if (Date.now() > until) break;
    }
    return last;
}

/* returned - wait until all figures are again what they were. */
export async function returned(penstock, before, limit_ms = 10_000) {
    const until = Date.now() + limit_ms * patience;
    let now = await figures(penstock);
    while (JSON.stringify(now) !== JSON.stringify(before) && Date.now() < until) {
        await sleep(100);
        now = await figures(penstock);
    }
    assert.deepEqual(now, before);
}

/* cpu_ms - processor time the gateway has used. */
export function cpu_ms(penstock) {
    const words = fs.readFileSync(`/proc/${penstock.pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return (Number(words[11]) + Number(words[12])) * 10;
}

/*
 * Crowd - many bare sockets. What comes back is counted and forgotten, or not read at all.
 * options  paused: never read; first: bytes to send at once; spread: call from many addresses
 */
export class Crowd {
    constructor(port, options = {}) {
        this.port = port;
        this.options = options;
        this.sockets = [];
        this.open = 0;
        this.closed = 0;
        this.received = 0;
    }

    call() {
        return new Promise((resolve) => {
            const at = this.sockets.length;
            const localAddress = this.options.spread ? `127.0.1.${1 + (at % addresses)}` : undefined;
            const socket = net.connect({ host: '127.0.0.1', port: this.port, localAddress, allowHalfOpen: this.options.half_open, noDelay: true });
            this.sockets.push(socket);
            socket.on('connect', () => {
                this.open++;
                if (this.options.paused) socket.pause();
                if (this.options.first) socket.write(this.options.first);
                resolve(socket);
            });
            socket.on('error', () => resolve(socket));
            if (!this.options.paused) socket.on('data', (bytes) => { this.received += bytes.length; });
            socket.on('close', () => { this.closed++; });
        });
    }

    /* gather - `count` of them, some hundred at a time. */
    async gather(count) {
        for (let at = 0; at < count; at += 250) await Promise.all(Array.from({ length: Math.min(250, count - at) }, () => this.call()));
        return this;
    }

    write(bytes) {
        for (const socket of this.sockets) if (!socket.destroyed && socket.writable) socket.write(bytes);
    }

    disperse() {
        for (const socket of this.sockets) socket.destroy();
    }
}

/* stream_bytes - a request for a stream, ready to send. */
export function stream_bytes(model, target = '/v1/chat/completions', extra = {}) {
    return request_bytes('POST', target, { body: { model, stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'Go on.' }], ...extra } });
}

/* free_port - one that nobody listens on just now. */
export async function free_port() {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

/* renamed_models - those of models_at that are patterns, under names with something in front. */
export function renamed_models(prefix, url) {
    return models_at(url).filter(({ model_name }) => model_name.includes('*')).map((entry) => ({ ...entry, model_name: prefix + entry.model_name }));
}

/* tool - start one of the load tools that the build makes, and wait until it says `ready`, if it does. */
export async function tool(name, words, waits = false) {
    const child = spawn(path.join(tools, name), words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const self = { child, output: '', errors: '' };
    self.exited = new Promise((resolve) => child.on('close', (code) => { self.code = code; resolve(code); }));
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.on('close', () => process.off('exit', kill));
    child.stdout.on('data', (bytes) => { self.output += bytes; });
    child.stderr.on('data', (bytes) => { self.errors += bytes; });
    child.on('error', (error) => { self.output += error; self.code = -1; });
    while (waits && !self.output.includes('ready') && self.code === undefined) await sleep(5);
    assert.ok(!waits || self.output.includes('ready'), `${name}: ${self.output}`);
    return self;
}
