// SPDX-License-Identifier: MIT
//
// conform - "penstock conform URL" finds nothing wrong with penstock, and finds what is wrong with a gateway that is broken on
// purpose: for each check there is a defect that makes it fail.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { binary, Penstock, repository } from './lib/penstock.mjs';

const key = 'sk-conform-0123456789';

/* run - the sub-command; its exit status and output. */
function run(args, env = {}) {
    return new Promise((resolve) => {
        execFile(binary, ['conform', ...args], { env: { PATH: process.env.PATH, ...env }, maxBuffer: 1 << 24 }, (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
    });
}

/* A gateway that stands before a good one and does one thing wrong. */
class Broken {
    constructor(port) {
        this.target = port;
        this.defect = {};
    }

    async start() {
        this.server = http.createServer((request, response) => this.#serve(request, response));
        this.server.on('clientError', (_, socket) => socket.destroy());
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    #serve(request, response) {
        const pieces = [];
        const defect = this.defect;
        if (defect.request?.(request, response)) return;
        request.on('data', (bytes) => pieces.push(bytes));
        request.on('end', () => {
            const body = Buffer.concat(pieces);
            if (defect.body?.(pieces, request, response)) return;
            const headers = { ...request.headers, host: `127.0.0.1:${this.target}` };
            delete headers['transfer-encoding'];
            if (request.method === 'POST') headers['content-length'] = body.length;
            const upstream = http.request({ port: this.target, host: '127.0.0.1', method: request.method, path: request.url, headers, agent: false });
            upstream.on('response', (reply) => this.#pass(request, reply, response, defect));
            upstream.on('error', () => response.destroy());
            if (!defect.deaf) response.on('close', () => upstream.destroy());
            upstream.end(body);
        });
    }

    #pass(request, reply, response, defect) {
        const parts = [];
        const headers = { ...reply.headers };
        delete headers['transfer-encoding'];
        delete headers.connection;
        const change = (text) => (defect.text ? defect.text(text, request, reply) : text);
        const whole = defect.text || defect.late;
        if (whole) delete headers['content-length'];
        defect.head?.(headers, reply, response);
        if (defect.raw) {
            reply.on('data', (bytes) => parts.push(bytes));
            return reply.on('end', () => defect.raw(Buffer.concat(parts).toString(), response));
        }
        response.writeHead(defect.status?.(reply.statusCode, request) ?? reply.statusCode, headers);
        reply.on('data', (bytes) => (whole ? parts.push(bytes) : response.write(bytes)));
        reply.on('end', () => response.end(whole ? change(Buffer.concat(parts).toString()) : undefined));
        reply.on('error', () => response.destroy());
    }
}

const without = (pattern) => ({ text: (text) => text.replace(pattern, '') });
const ends = {
    chat: /data: \[DONE\]\n\n/,
    anthropic: /(id: [^\n]*\n)?event: message_stop\n[^\n]*\n\n/,
    responses: /(id: [^\n]*\n)?event: response\.completed\n[^\n]*\n\n/,
    gemini: /,?"finishReason":"STOP"/,
    completions: /data: \[DONE\]\n\n/,
};
const steady_ids = {
    chat: [/chatcmpl-\w+/g, 'chatcmpl-1'], anthropic: [/msg_\w+/g, 'msg_1'], responses: [/resp_\w+/g, 'resp_1'], gemini: [/"responseId":"[^"]*"/g, '"responseId":"1"'], completions: [/cmpl-\w+/g, 'cmpl-1'],
};
const arguments_of = { chat: /Paris\\"}/g, anthropic: /Paris\\"}/g, responses: /Paris\\"}/g, gemini: /"name":"get_weather"/g };
const normal_end = {
    chat: [/data: \{"error"[^\n]*/, 'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'],
    completions: [/data: \{"error"[^\n]*/, 'data: {"id":"c","object":"text_completion","choices":[{"index":0,"text":"","finish_reason":"stop"}]}'],
    gemini: [/data: \{"error"[^\n]*/, 'data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"totalTokenCount":3}}'],
    anthropic: [/(event: error\n)[^\n]*/, 'event: message_stop\ndata: {"type":"message_stop"}'],
    responses: [/event: error\n[^\n]*\n\n(id: [^\n]*\n)?event: response\.failed\n[^\n]*\n\n/, ''],
};
const five = ['chat', 'anthropic', 'responses', 'gemini', 'completions'];
const callers = ['chat', 'anthropic', 'responses', 'gemini'];

/* check: the dialects it is tried with, and the defect for each. */
const defects = {
    'stream-head': [five, () => ({ head: (headers) => { headers['content-type'] = 'application/json'; } })],
    'stream-grammar': [five, (dialect) => without(ends[dialect])],
    'stream-as-it-comes': [['chat'], () => ({ late: true })],
    'stream-ids': [five, (dialect) => ({ text: (text) => text.replace(...steady_ids[dialect]) })],
    'stream-tools': [callers, (dialect) => (dialect === 'gemini' ? { text: (text) => text.replace(arguments_of.gemini, '"name":""') } : without(arguments_of[dialect]))],
    'stream-usage': [five, (dialect) => (dialect === 'completions' ? { text: (text) => text.replace(/"total_tokens":\d+/, '"total_tokens":1') } : without(/"usage(Metadata)?":\{[^{}]*(\{[^{}]*\}[^{}]*)*\},?/g))],
    'stream-array': [['gemini'], () => without(/\]\s*$/)],
    'stream-break': [five, (dialect) => ({ text: (text) => text.replace(...normal_end[dialect]) })],
    'stream-silence': [['gemini'], () => ({ text: (text) => text.replace('data:', ': keep-alive\n\ndata:') })],
    'stream-cancel': [['chat'], () => ({ deaf: true })],
    whole: [five, () => ({ text: (text, _, reply) => (/json/.test(reply.headers['content-type']) ? text.replace('Hello', 'Servus') : text) })],
    'whole-tools': [callers, (dialect) => (dialect === 'gemini' ? { text: (text) => text.replace(arguments_of.gemini, '"name":""') } : dialect === 'anthropic' ? { text: (text) => text.replace('"name":"get_weather"', '"name":""') } : without(arguments_of[dialect]))],
    'request-pieces': [five, () => ({ body: (pieces, _, response) => pieces.length > 1 && (response.writeHead(400), response.end('{}'), true) })],
    'request-chunked': [['chat'], () => ({ request: (request, response) => request.headers['transfer-encoding'] && (response.writeHead(411), response.end('{}'), true) })],
    'connection-reuse': [five, () => ({ head: (headers) => { headers.connection = 'close'; } })],
    'connection-pipeline': [['chat'], () => ({ request: (request) => (request.socket.asked ? (request.socket.destroy(), true) : (request.socket.asked = true, false)) })],
    http10: [['chat'], () => ({ raw: (text, response) => { response.socket.end(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n0\r\n\r\n`); } })],
    'error-json': [five, () => ({ status: () => 200 })],
    'error-type': [five, () => ({ status: (status) => (status >= 400 ? 500 : status) })],
    'error-model': [five, () => ({ text: (text, request, reply) => (reply.statusCode >= 400 ? '{"detail":"no such model"}' : text) })],
    'error-key': [five, () => ({ status: (status) => (status === 401 ? 402 : status) })],
    'error-method': [['chat'], () => ({ request: (request, response) => request.method === 'GET' && request.url.includes('completions') && (response.end('{}'), true) })],
    'error-path': [[], () => ({ status: (status) => (status === 404 ? 200 : status) })],
    models: [['chat', 'anthropic', 'gemini'], () => ({ text: (text) => text.replace(/"(name|id|display_name)":"/g, '"$1":"","x":"') })],
};

describe('penstock conform', () => {
    const world = {};
    before(async () => {
        world.penstock = await Penstock.start({ router_settings: { allowed_fails: 100000 }, penstock: { demo: true, keys: [{ name: 'judge', key }] } });
        world.broken = await new Broken(world.penstock.port).start();
    });
    after(async () => {
        await world.broken?.stop();
        await world.penstock?.stop();
    });

    it('finds nothing wrong with penstock, in any dialect', async () => {
        const runs = await Promise.all([...five].map((dialect) => run([world.penstock.url, '--key', key, '--dialect', dialect])));
        for (const result of runs) {
            assert.equal(result.status, 0, result.stdout + result.stderr);
            assert.match(result.stdout, /^\d\d passed, 0 failed, 0 skipped$/m);
        }
    });

    it('takes its key from the environment and never shows it; writes JSON on request', async () => {
        const result = await run([`${world.penstock.url}/v1/`, '--json', '--only', 'whole', '--only', 'error-path', '--dialect', 'gemini'], { PENSTOCK_CONFORM_KEY: key });
        assert.equal(result.status, 0, result.stdout + result.stderr);
        assert.deepEqual(result.stdout.trim().split('\n').map((line) => JSON.parse(line)), [
            { dialect: 'gemini', check: 'whole', verdict: 'pass', detail: '' }, { dialect: '-', check: 'error-path', verdict: 'pass', detail: '' },
        ]);
        assert.ok(!(result.stdout + result.stderr).includes(key));
    });

    it('says when it is used wrongly or nobody is there', async () => {
        for (const args of [[], ['ftp://x'], ['http://h:0'], [world.penstock.url, '--only', 'nothing'], [world.penstock.url, '--dialect', 'latin'], [world.penstock.url, '--timeout', 'x'], ['--nope']]) assert.equal((await run(args)).status, 2, args.join(' '));
        assert.equal((await run(['http://127.0.0.1:1', '--timeout', '2'])).status, 3);
    });

    it('every check is documented, and nothing else is', async () => {
        const listed = (await run(['--list'])).stdout.trim().split('\n').map((line) => line.split(/\s{1,}/)[0]);
        const page = fs.readFileSync(path.join(repository, 'docs/conform.md'), 'utf8');
        assert.deepEqual([...page.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((found) => found[1]), listed);
        assert.deepEqual(Object.keys(defects).sort(), [...listed].sort(), 'a defect for each check');
    });

    for (const [check, [dialects, make]] of Object.entries(defects)) {
        for (const dialect of dialects.length ? dialects : ['chat']) {
            it(`${check} fails when ${dialect} is broken`, async () => {
                const args = [world.broken.url, '--key', key, '--dialect', dialect, '--only', check, '--timeout', '20'];
                if (check === 'models') args.push('--model', 'demo'); // it must not need the broken list
                world.broken.defect = {};
                const good = await run(args);
                assert.equal(good.status, 0, good.stdout + good.stderr);
                assert.match(good.stdout, /^1 passed, 0 failed, 0 skipped$/m);
                world.broken.defect = make(dialect);
                const bad = await run(args);
                world.broken.defect = {};
                assert.equal(bad.status, 1, `${bad.status}: ${bad.stdout}${bad.stderr}`);
                assert.match(bad.stdout, new RegExp(`^\\S+ +${check} +FAIL +\\S`, 'm'));
            });
        }
    }
});
