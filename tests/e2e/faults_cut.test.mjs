// SPDX-License-Identifier: MIT
//
// faults_cut - an upstream that closes, resets or falls silent behind every byte of a reply, its head and its framing included:
// streams and whole replies of every dialect, to clients of the same and of other dialects (R9, R10, R11, R17; P65, P66).
//
// Each byte of each of our own replies meets each fault, and each byte of a recorded one meets one of them (every third byte of
// the longest); the client's dialect, its mode and the framing change from byte to byte. PENSTOCK_FAULTS=every takes all of them
// at each byte, which is many minutes.

import fs from 'node:fs';
import test, { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { make_turn } from '../../tools/fake_provider/turns.mjs';
import { dialect_names, dialects } from './lib/dialects.mjs';
import { FaultyServer, Ledger, run_all, wire_of } from './lib/faulty.mjs';
import { judge, own_fixtures, recorded_fixtures } from './lib/fault_streams.mjs';
import { gateway_config, patience, Penstock, slow_build } from './lib/penstock.mjs';
import { RawClient } from './lib/raw.mjs';
import { recordings_folder } from './lib/recordings.mjs';

const every = process.env.PENSTOCK_FAULTS === 'every';
const faults = ['cut', 'reset', 'stall'];
const first_byte_ms = Math.round(900 * Math.min(4, patience));
const framings = ['chunked', 'length', 'close'];

/* Who may ask for such a reply: [client, mode]. */
function askers_of({ dialect, kind }) {
    if (kind === 'relay') return [['chat', 'whole']];
    const others = dialect_names.filter((name) => name !== dialect);
    if (kind === 'json') return [[dialect, 'whole'], [dialect, 'stream'], [others[0], 'stream'], [others[1], 'whole']];
    const array = [['gemini', 'array']];
    return [[dialect, 'stream'], ...others.flatMap((name) => [[name, 'stream'], [name, 'whole']]), ...array];
}

/* jobs_of - every byte of a fixture for one fault; `shift` moves the choice of framing and client on. */
function jobs_of(fixture, fault, shift, step = 1) {
    const ways = framings.flatMap((framing) => askers_of(fixture).map(([client, mode]) => ({ framing, client, mode })));
    const jobs = [];
    const longest = Math.max(...framings.map((framing) => fixture.wires[framing].bytes.length));
    for (let offset = 0; offset <= longest; offset++) {
        if (offset % step !== 0 && offset < longest - 60) continue; // where it ends every byte counts
        const chosen = every || fixture.kind === 'relay' ? ways : [ways[(offset * 5 + shift * 7) % ways.length]];
        for (const way of chosen) {
            if (offset <= fixture.wires[way.framing].bytes.length) jobs.push({ fixture, fault, offset, ...way });
        }
    }
    return jobs;
}

/* A reply that is carried unread. */
function relay_fixture() {
    const text = JSON.stringify({ object: 'list', data: [{ object: 'embedding', index: 0, embedding: Array.from({ length: 40 }, (_, at) => at / 64) }], model: 'm' });
    const wires = Object.fromEntries(framings.map((framing) => [framing, wire_of([Buffer.from(text.slice(0, 99)), Buffer.from(text.slice(99))], 'application/json', framing)]));
    return { name: 'carried unread', dialect: 'chat', kind: 'relay', text, wires, total: text.length };
}

/* The upstream's part. */
async function misbehave(peer, { fixture, framing, fault, offset }) {
    const { bytes } = fixture.wires[framing];
    if (offset > 0) await peer.write(bytes.subarray(0, offset));
    if (fault === 'cut') peer.fin();
    if (fault === 'reset') peer.reset();
}

describe('an upstream that ends behind every byte', () => {
    const world = {};
    before(async () => {
        world.server = await new FaultyServer().start();
        const quiet = { log: { level: 'info', access: false } };
        const timeouts = { upstream_idle: '200ms', idle: '400ms', first_byte: `${first_byte_ms}ms` };
        world.patient = await Penstock.start(gateway_config(world.server.url, { penstock: { ...quiet, timeouts: { upstream_idle: '200ms' } } }));
        world.hasty = await Penstock.start(gateway_config(world.server.url, { penstock: { ...quiet, timeouts } }));
        for (const fault of ['cut', 'stall']) { // so that what is allocated once is there
            const [fixture] = own_fixtures(make_turn('text', {}, {}));
            await family(jobs_of(fixture, fault, 0, 40), fault);
        }
        world.ledgers = { cut: await Ledger.open(world.patient, fs.readFileSync), stall: await Ledger.open(world.hasty, fs.readFileSync) };
        world.ledgers.reset = world.ledgers.cut;
        world.rss = [];
    });
    after(async () => {
        await world.patient?.stop();
        await world.hasty?.stop();
        await world.server?.stop();
    });

    async function ask(penstock, { fixture, model, client, mode }, lane) {
        if (!lane.connection || lane.connection.ended) lane.connection = await RawClient.open(penstock.port);
        if (fixture.kind === 'relay') {
            await lane.connection.send('POST', '/v1/embeddings', { body: { model: `c/${model}`, input: 'words' } });
            return lane.connection.next();
        }
        const { target, body } = dialects[client].ask(dialects[fixture.dialect].prefix + model, mode !== 'whole');
        await lane.connection.send('POST', mode === 'array' ? target.replace('?alt=sse', '') : target, { body });
        return lane.connection.next();
    }

    /* What is carried unread: nothing can be said in it, so that its end is all there is to tell. */
    function judge_relay(response, { fixture, framing, fault, offset }) {
        const wire = fixture.wires[framing];
        const delivered = wire.delivered(offset);
        const said = `${framing}, ${fault} at ${offset} of ${wire.bytes.length}: ${response.status} ${response.text}`;
        // Where the connection's end is the end of the body nobody can know better.
        const over = { length: delivered === fixture.total && offset >= wire.head, chunked: offset === wire.bytes.length, close: fault === 'cut' && offset >= wire.head };
        if (response.status !== 200) {
            assert.ok(!over[framing] || fault === 'reset', said);
            assert.equal(response.status, fault === 'stall' ? 504 : 502, said);
            assert.match(response.text, fault === 'stall' ? /"upstream_(idle_)?timeout"/ : /"upstream_disconnected"/, said);
            return 'status';
        }
        assert.ok(fixture.text.startsWith(response.text), said);
        if (!response.whole) assert.ok(!over[framing] || fault === 'reset', said);
        else assert.ok(over[framing] && response.text.length === delivered, `${said}: as if it were whole`);
        return response.whole ? 'end' : 'stream';
    }

    /* family - all jobs, and how often each ending was seen. */
    async function family(jobs, fault) {
        const penstock = fault === 'stall' ? world.hasty : world.patient;
        const seen = { status: 0, stream: 0, end: 0 };
        jobs.forEach((job, at) => { job.model = `f${fault}${at}`; });
        await run_all(jobs, fault === 'stall' ? Math.round(600 / patience) : 16, async (job, lane) => {
            world.server.plan(job.model, (peer) => misbehave(peer, job));
            for (let tries = 0; ; tries++) {
                const response = await ask(penstock, job, lane);
                try {
                    seen[job.fixture.kind === 'relay' ? judge_relay(response, job) : judge(response, job)]++;
                    break;
                } catch (error) {
                    // On a machine with much else to do our own part may come too late: then it was the head that did not come. What is
                    // wrong with the gateway is wrong each time.
                    if (fault !== 'stall' || tries === 3 || !response.text.includes('upstream_timeout')) throw error;
                    seen.status++;
                }
            }
            world.server.plans.delete(job.model);
        });
        return seen;
    }

    /* account - the counters say what the clients were told, and everything was given back. */
    async function account(ledger, seen, fault) {
        const failures = seen.status + seen.stream;
        const errors = {
            cut: ['penstock_errors_total{error="DISCONNECTED",code="upstream_disconnected"}', 'penstock_errors_total{error="UPSTREAM_PROTOCOL",code="upstream_protocol"}'],
            reset: ['penstock_errors_total{error="RESET",code="upstream_disconnected"}', 'penstock_errors_total{error="DISCONNECTED",code="upstream_disconnected"}'],
            stall: ['penstock_errors_total{error="FIRST_BYTE_TIMEOUT",code="upstream_timeout"}', 'penstock_errors_total{error="IDLE_TIMEOUT",code="upstream_idle_timeout"}'],
        };
        await ledger.moves({
            done: [['penstock_stream_ends_total{reason="done"}'], seen.end],
            failed: [[`penstock_stream_ends_total{reason="${fault === 'stall' ? 'timeout' : 'upstream_error'}"}`], failures],
            errors: [errors[fault], failures],
        });
        await ledger.settled();
    }

    function every_byte(fixture, fault, shift) {
        it(`${fault}: ${fixture.name}`, async () => {
            const long = fixture.total > 10_000 ? 3 : 1;
            const jobs = jobs_of(fixture, fault, shift, every ? 1 : slow_build ? 5 * long : long);
            await world.ledgers[fault].mark();
            const seen = await family(jobs, fault);
            assert.ok(seen.status + seen.stream + seen.end >= jobs.length);
            assert.ok(seen.status > 0, JSON.stringify(seen));
            // A stream of one event has nothing to break off behind.
            if (fixture.kind === 'sse' && fixture.events > 2) assert.ok(seen.stream > 0, JSON.stringify(seen));
            if (fixture.kind === 'sse' && fault !== 'reset') assert.ok(seen.end > 0, JSON.stringify(seen));
            await account(world.ledgers[fault], seen, fault);
            world.rss.push(world.patient.rss_bytes() + world.hasty.rss_bytes());
        });
    }

    for (const fixture of own_fixtures(make_turn('text_tool', {}, {}))) {
        faults.forEach((fault, at) => every_byte(fixture, fault, at));
    }
    const carried = relay_fixture();
    faults.forEach((fault, at) => every_byte(carried, fault, at));
    const recorded = recorded_fixtures();
    if (!recorded) test('recorded streams', { skip: `no recordings at ${recordings_folder}` }, () => {});
    (recorded ?? []).forEach((fixture, number) => {
        // Recorded ones are long: each meets one fault at each byte, its neighbours of the same dialect the others. Silence takes
        // the most time, and thoughts are the longest.
        faults.forEach((fault, at) => { if (every || at === 2 - (number % 3)) every_byte(fixture, fault, at); });
    });

    it('has taken no memory that it keeps', { skip: slow_build ? 'release only' : false }, () => {
        // The first families take what so many streams at once need; it serves the others.
        const grown = world.rss[world.rss.length - 1] - world.rss[world.rss.length >> 1];
        assert.ok(grown < 8 * 1024 * 1024, `grew by ${grown} bytes: ${world.rss.map((bytes) => bytes >> 10)}`);
    });
});
