// SPDX-License-Identifier: MIT
//
// faults_tls - upstreams over TLS whose certificates are wrong, whose handshakes fail or drag on, and whose connections are cut,
// reset, silenced or falsified behind any of their encrypted bytes (R17, R31, R32; docs/tls.md).

import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { make_ca, make_certificate } from '../../tools/fake_provider/certificates.mjs';
import { chat_json, chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn } from '../../tools/fake_provider/turns.mjs';
import { ask_raw, dialects } from './lib/dialects.mjs';
import { chunk_of, endless, FaultyServer, reply_head, run_all, wire_of } from './lib/faulty.mjs';
import { answers_well, fails, faults, in_faults } from './lib/fault_cases.mjs';
import { broken_of, check_failure } from './lib/fault_streams.mjs';
import { models_at, slow_build } from './lib/penstock.mjs';
import { events_of, sleep } from './lib/raw.mjs';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-faults-tls-'));
process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
make_ca(folder);
make_ca(folder, 'foreign');
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'alone.key', '-out', 'alone.pem', '-days', '10',
    '-subj', '/CN=alone', '-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE'], { cwd: folder, stdio: 'ignore' });
const read = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
const good = make_certificate(folder, 'good');

const turn = make_turn('text_tool', {}, {});
const events = frame_events(chat_stream(turn, { model: 'm' }));
const finish_at = events.findIndex((event) => /"finish_reason":"/.test(event.toString()));
const reply = wire_of(events, 'text/event-stream', 'chunked', { fields: [['Connection', 'close']] }).bytes;
const object = Buffer.from(JSON.stringify(chat_json(turn, { model: 'm' })));
const until_close = (type) => reply_head(200, [['Content-Type', type], ['Connection', 'close']]);

/* Servers that nobody should talk to: options of FaultyServer, the error, and what the log says of the reason. */
const untrusted = {
    expired: [make_certificate(folder, 'expired', { days: -1 }), 'certificate', /expired/],
    'wrong-name': [make_certificate(folder, 'wrong', { names: 'DNS:other.example,IP:127.0.0.2' }), 'certificate', /name|address/],
    'no-address': [make_certificate(folder, 'names', { names: 'DNS:localhost' }), 'certificate', /address/],
    'self-signed': [{ key: read('alone.key'), cert: read('alone.pem') }, 'certificate', /trust|issuer|unknown|authority/],
    'another authority': [make_certificate(folder, 'untrusted', { ca: 'foreign' }), 'certificate', /trust|issuer|unknown|authority/],
    'TLS 1.3 only': [{ ...good, tls_options: { minVersion: 'TLSv1.3' } }, 'tls', /1\.3|version/],
    'TLS 1.1 only': [{ ...good, tls_options: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } }, 'tls', /version|protocol|handshake/],
    'other ciphers': [{ ...good, tls_options: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } }, 'tls', /./],
    'no TLS': [{ on_connection: (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')) }, 'tls', /./],
};

/* Relay - between gateway and server: what the server says is passed up to an offset, and then something happens. */
class Relay {
    async start(port) {
        this.server = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#join(client, port));
        await new Promise((resolve) => this.server.listen({ port: 0, host: '127.0.0.1', backlog: 512 }, resolve));
        this.port = this.server.address().port;
        this.fault = null;
        this.sockets = new Set();
        return this;
    }

    #join(client, port) {
        const { fault } = this;
        const server = net.connect({ port, host: '127.0.0.1', noDelay: true });
        let passed = 0;
        for (const socket of [client, server]) {
            this.sockets.add(socket);
            socket.on('error', () => {});
            socket.on('close', () => this.sockets.delete(socket));
        }
        client.pipe(server);
        client.on('close', () => server.destroy());
        const over = () => {
            if (fault.how === 'cut') client.end();
            if (fault.how === 'reset') client.resetAndDestroy();
            server.pause();
        };
        server.on('data', (bytes) => {
            this.passed = passed + bytes.length;
            if (!fault || passed + bytes.length <= fault.offset) {
                passed += bytes.length;
                return void client.write(bytes);
            }
            const at = fault.offset - passed;
            passed += bytes.length;
            if (fault.how === 'flip' && at >= 0) {
                bytes[at] ^= 0x55;
                return void client.write(bytes);
            }
            if (fault.how === 'flip') return void client.write(bytes);
            if (at < 0) return undefined;
            if (at > 0) client.write(bytes.subarray(0, at));
            return over();
        });
        server.on('end', () => { if (!fault || fault.how === 'flip' || passed < fault.offset) client.end(); });
    }

    async stop() {
        for (const socket of this.sockets) socket.destroy();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

const https = (port, model_name, extra = {}) => ({ model_name, litellm_params: { model: 'openai/*', api_base: `https://127.0.0.1:${port}/v1`, api_key: 'k', ...extra } });
const trust = { tls: { ca_file: path.join(folder, 'ca.pem') }, workers: 1 };
const servers = {};
for (const [name, [options]] of Object.entries(untrusted)) servers[name] = await new FaultyServer(options).start();
const silent = net.createServer((socket) => socket.on('error', () => {}));
await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
const dripping = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write('\x16\x03\x03\x00\x54\x02\x00\x00\x50\x03\x03', 'latin1'); // a ServerHello of eighty bytes
    endless({ get gone() { return socket.destroyed || socket.readableEnded; }, write: (bytes) => new Promise((resolve) => { socket.write(bytes, () => resolve()); }) }, () => '\x02', 50);
});
await new Promise((resolve) => dripping.listen(0, '127.0.0.1', resolve));
const after_all = () => {
    for (const server of Object.values(servers)) server.stop();
    silent.close();
    dripping.close();
};

const entries = (server) => ({
    model_list: [
        ...models_at(server.url),
        ...Object.keys(untrusted).map((name) => https(servers[name].port, `${name}/*`)),
        https(server.port, 'good/*'), https(silent.address().port, 'silent/*'), https(dripping.address().port, 'dripping/*'),
        { model_name: 'plain/*', litellm_params: { model: 'openai/*', api_base: `http://127.0.0.1:${server.port}/v1`, api_key: 'k' } },
    ],
    penstock: { ...trust, timeouts: { connect: '900ms', first_byte: '700ms', idle: '700ms' } },
});

in_faults('TLS that is none', entries, (world) => {
    for (const [name, [, fault, reason]] of Object.entries(untrusted)) {
        it(`${name}: refused, and no request is sent`, async () => {
            await fails(world, 'any', undefined, faults[fault], { prefix: `${name}/`, within_ms: 3000 });
            assert.equal(servers[name].requests, 0, 'it was asked');
            const line = world.penstock.log.split('\n').find((each) => each.includes('attempt failed') && each.includes(`${name}/*`));
            assert.match(/ tls=("[^"]*"|\S*)/.exec(line)?.[1] ?? '', reason, line);
        });
    }

    it('says nothing: the time to connect is over', () => fails(world, 'any', undefined, faults.unreachable, { prefix: 'silent/', within_ms: 2000 }));
    it('says a byte now and then: the same', () => fails(world, 'any', undefined, faults.unreachable, { prefix: 'dripping/', within_ms: 2000 }));

    it('HTTP to a port of TLS is not HTTP', async () => {
        const fault = { ...faults.protocol, codes: ['upstream_protocol', 'upstream_disconnected'], counted: ['UPSTREAM_PROTOCOL', 'DISCONNECTED', 'RESET'] };
        await fails(world, 'any', undefined, fault, { prefix: 'plain/' });
    });

    it('ends behind the handshake, or in a head', async () => {
        await fails(world, 'fin', (peer) => peer.fin(), faults.disconnected, { prefix: 'good/' });
        await fails(world, 'head', async (peer) => { await peer.write('HTTP/1.1 200 OK\r\n'); peer.fin(); }, faults.disconnected, { prefix: 'good/' });
        await fails(world, 'mute', () => {}, faults.silent, { prefix: 'good/', within_ms: 2500 });
    });

    it('a body until close counts as whole only with a farewell', async () => {
        const sever = async (peer) => {
            await sleep(20);
            peer.socket.destroy(); // the connection under it, without close_notify
        };
        const json = Buffer.concat([until_close('application/json'), object]);
        await answers_well(world, 'farewell', async (peer) => { await peer.write(json); peer.fin(); }, 'Let me look.', { prefix: 'good/' });
        await fails(world, 'no-farewell', async (peer) => { await peer.write(json); await sever(peer); }, faults.disconnected, { prefix: 'good/' });
        // A stream that has said why it ends needs none.
        await answers_well(world, 'stream-farewell', async (peer) => { await peer.write(Buffer.concat([until_close('text/event-stream'), ...events.slice(0, finish_at + 1)])); await sever(peer); }, 'Let me', { prefix: 'good/' });
        const begun = [until_close('text/event-stream'), ...events.slice(0, finish_at)];
        await fails(world, 'stream-cut', async (peer) => { await peer.write(Buffer.concat(begun)); await sever(peer); }, faults.disconnected, { prefix: 'good/' });
    });

    it('an event of 100 MB over TLS is refused', async () => {
        const piece = chunk_of(Buffer.alloc(1024 * 1024, 'y'));
        const plan = async (peer) => {
            await peer.write(Buffer.concat([reply_head(200, [['Content-Type', 'text/event-stream'], ['Transfer-Encoding', 'chunked']]), chunk_of(Buffer.from('data: {"a":"'))]));
            for (let count = 0; count < 100 && !peer.gone; count++) await peer.write(piece);
        };
        await fails(world, 'large', plan, faults.too_large, { prefix: 'good/', clients: ['chat'], only: ['stream'], within_ms: 8000 });
    });
}, { server: { ...good, tls_options: { maxVersion: 'TLSv1.2' } } });

const lanes = 48;
const relays = await Promise.all(Array.from({ length: lanes }, () => new Relay()));
const secure = await new FaultyServer({ ...good, tls_options: { maxVersion: 'TLSv1.2' } }).start();
for (const relay of relays) await relay.start(secure.port);
// Long enough for forty handshakes at once.
const patient = slow_build ? '3s' : '800ms';
const by_relays = (server) => ({
    model_list: [...models_at(server.url), ...relays.map((relay, at) => https(relay.port, `relay${at}/*`))],
    penstock: { ...trust, timeouts: { connect: patient, first_byte: patient, idle: patient }, log: { access: false } },
});
const either = (...names) => [...new Set(names.flatMap((name) => faults[name].codes))];
const allowed = {
    cut: { codes: either('tls', 'disconnected'), statuses: [502] },
    reset: { codes: either('tls', 'disconnected'), statuses: [502] },
    stall: { codes: either('unreachable', 'silent', 'idle'), statuses: [504] },
    // A length that was falsified can make one wait for bytes that never come, or for the server's despair.
    flip: { codes: either('tls', 'certificate', 'disconnected', 'unreachable', 'silent', 'idle'), statuses: [502, 504] },
};
const steps = { cut: 3, reset: 7, stall: 11, flip: 5 };

in_faults('TLS behind any byte', by_relays, (world) => {
    let total;
    let tail;

    it('is measured', async () => {
        secure.plan('clean', reply);
        const [relay] = relays;
        relay.fault = null;
        secure.plan('clean', async (peer) => { await peer.write(reply); peer.fin(); });
        const answer = await ask_raw(world.penstock.port, 'chat', 'relay0/clean', 'stream');
        assert.equal(broken_of(events_of(answer), 'chat'), null, answer.text);
        total = relay.passed;
        tail = reply.length - reply.indexOf('"finish_reason":"');
        assert.ok(total > reply.length + 500, `${total}`);
    });

    for (const how of Object.keys(steps)) {
        it(how, async () => {
            const jobs = [];
            for (let offset = 0; offset < total + 10; offset += slow_build ? steps[how] * 4 : steps[how]) jobs.push(offset);
            const seen = { status: 0, stream: 0, end: 0 };
            secure.plan('reply', async (peer) => { await peer.write(reply); peer.fin(); });
            const idle = relays.slice();
            await run_all(jobs, how === 'stall' ? lanes : 8, async (offset, lane) => {
                lane.relay ??= idle.pop();
                lane.relay.fault = { how, offset };
                const [client, mode] = [['chat', 'stream'], ['anthropic', 'stream'], ['gemini', 'whole']][offset % 3];
                const response = await ask_raw(world.penstock.port, client, `relay${relays.indexOf(lane.relay)}/reply`, mode);
                const at = `${how} at ${offset} of ${total}`;
                const broken = response.status === 200 && mode === 'stream' ? broken_of(events_of(response), client) : null;
                if (response.status === 200 && !broken) {
                    // Signatures differ in length by some bytes, and the last record ends in its seal.
                    assert.ok(offset > total - tail - 80, `${at}: a normal end: ${response.text.slice(-300)}`);
                    const { read_events, read_object } = dialects[client];
                    const told = mode === 'stream' ? read_events(events_of(response)) : read_object(JSON.parse(response.text));
                    assert.equal(told.text, 'Let me look.');
                    assert.deepEqual(JSON.parse(told.calls[0].arguments), { city: 'Paris' });
                    seen.end++;
                    return;
                }
                const status = response.status === 200 ? 502 : response.status;
                assert.ok(allowed[how].statuses.includes(status) || response.status === 200, `${at}: ${response.status} ${response.text}`);
                seen[check_failure(response, client, mode, { codes: allowed[how].codes, status }, { at })]++;
            });
            assert.ok(seen.status > 0, JSON.stringify(seen));
            assert.ok(how === 'flip' || seen.end > 0 || seen.stream > 0, JSON.stringify(seen));
        });
    }

    it('ends', async () => {
        for (const relay of relays) await relay.stop();
        await secure.stop();
        after_all();
    });
});
