// SPDX-License-Identifier: MIT
//
// fault_cases - tables of what an upstream does wrong, each row held against clients of every dialect that stream and that do not:
// the right error, in time, counted, and nothing kept.

import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { ask_raw, dialect_names } from './dialects.mjs';
import { FaultyServer, Ledger } from './faulty.mjs';
import { check_failure } from './fault_streams.mjs';
import { gateway_config, patience, Penstock } from './penstock.mjs';

/* How errors are called, where they are counted, and the status they have before a stream began. */
export const faults = {
    disconnected: { codes: ['upstream_disconnected'], counted: ['DISCONNECTED', 'RESET', 'TLS_TRUNCATED'], status: 502 },
    protocol: { codes: ['upstream_protocol'], counted: ['UPSTREAM_PROTOCOL'], status: 502 },
    too_large: { codes: ['upstream_too_large'], counted: ['UPSTREAM_TOO_LARGE'], status: 502 },
    silent: { codes: ['upstream_timeout'], counted: ['FIRST_BYTE_TIMEOUT'], status: 504 },
    idle: { codes: ['upstream_idle_timeout'], counted: ['IDLE_TIMEOUT'], status: 504 },
    endless: { codes: ['request_timeout'], counted: ['REQUEST_TIMEOUT'], status: 504 },
    refused: { codes: ['upstream_connect'], counted: ['CONNECT'], status: 503, anthropic_status: 529 },
    unreachable: { codes: ['upstream_connect_timeout'], counted: ['CONNECT_TIMEOUT'], status: 504 },
    tls: { codes: ['upstream_tls'], counted: ['TLS'], status: 502 },
    certificate: { codes: ['upstream_tls_certificate'], counted: ['TLS_CERT'], status: 502 },
};

const modes = ['stream', 'whole'];

/* in_faults - a suite with world.server, world.penstock and world.ledger; settings: sections for gateway_config. */
export function in_faults(name, settings, body, options = {}) {
    describe(name, () => {
        const world = { prefix: 'c/' };
        before(async () => {
            world.server = await new FaultyServer(options.server).start();
            const { penstock = {}, ...rest } = typeof settings === 'function' ? settings(world.server) : settings;
            const timeouts = { upstream_idle: '200ms', ...penstock.timeouts };
            world.penstock = await Penstock.start(gateway_config(world.server.url, { penstock: { ...penstock, timeouts }, ...rest }));
            world.server.plan('warm', (peer) => peer.fin());
            await Promise.all(dialect_names.map((client) => ask_raw(world.penstock.port, client, 'c/warm', 'whole')));
            world.ledger = await Ledger.open(world.penstock, fs.readFileSync);
        });
        after(async () => {
            try {
                await world.ledger?.settled();
                await world.penstock?.stop();
            } finally {
                await world.server?.stop();
            }
        });
        body(world);
    });
}

/* ask_all - one model, asked by every client in every mode at once: [{client, mode, response, took_ms}]. */
export function ask_all(world, model, { prefix = world.prefix, clients = dialect_names, only = modes, headers, change } = {}) {
    return Promise.all(clients.flatMap((client) => only.map(async (mode) => {
        const started = performance.now();
        const response = await ask_raw(world.penstock.port, client, prefix + model, mode, { headers, change });
        return { client, mode, response, took_ms: performance.now() - started };
    })));
}

/*
 * fails - a row: whatever the client, the upstream's fault ends in this error.
 * options  within_ms: of all; prefix, clients, only: as in ask_all; began: streams have begun by then
 */
export async function fails(world, model, plan, fault, options = {}) {
    if (plan !== undefined) world.server.plan(model, plan);
    await world.ledger.mark();
    const answers = await ask_all(world, model, options);
    for (const { client, mode, response, took_ms } of answers) {
        const status = client === 'anthropic' ? fault.anthropic_status ?? fault.status : fault.status;
        const where = check_failure(response, client, mode, { codes: fault.codes, status }, { at: model, same: options.same === client });
        if (options.began && mode === 'stream') assert.equal(where, 'stream', `${model}: ${response.text.slice(0, 300)}`);
        const limit_ms = (options.within_ms ?? 2000) * patience;
        assert.ok(took_ms < limit_ms, `${model}: ${client} ${mode} took ${took_ms} ms`);
    }
    const counters = fault.counted.flatMap((name) => fault.codes.map((code) => `penstock_errors_total{error="${name}",code="${code}"}`));
    const reason = fault.status === 504 ? 'timeout' : 'upstream_error';
    await world.ledger.moves({ errors: [counters, answers.length], ends: [[`penstock_stream_ends_total{reason="${reason}"}`], answers.length] });
    return answers;
}

/* rows_fail - a table {name: plan} as tests, all of one fault. */
export function rows_fail(world, title, rows, fault, options) {
    for (const [name, plan] of Object.entries(rows)) {
        it(`${title}: ${name}`, () => fails(world, `${title} ${name}`.replaceAll(/[^a-z0-9]+/gi, '-'), plan, fault, options));
    }
}

/* answers_well - a plan after which every client has its answer. */
export async function answers_well(world, model, plan, text, options = {}) {
    if (plan !== undefined) world.server.plan(model, plan);
    for (const { client, mode, response } of await ask_all(world, model, options)) {
        assert.equal(response.status, 200, `${model}, ${client} ${mode}: ${response.text}`);
        assert.ok(response.text.includes(text), `${model}, ${client} ${mode}: ${response.text}`);
        assert.equal(response.whole, true);
    }
}
