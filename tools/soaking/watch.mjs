// SPDX-License-Identifier: MIT
//
// watch - what a soak measures: figures of quiet gateways, books that must balance, the log, memory over time.

import fs from 'node:fs';
import { patience } from '../../tests/e2e/lib/penstock.mjs';
import { figures_of, sample } from '../../tests/e2e/lib/hostile.mjs';
import { exchange, sleep } from '../../tests/e2e/lib/raw.mjs';

const quiet_within_ms = 20_000;

function memory_of(gateway) {
    const status = fs.readFileSync(`/proc/${gateway.pid}/status`, 'utf8');
    const rollup = fs.readFileSync(`/proc/${gateway.pid}/smaps_rollup`, 'utf8');
    const number = (text, name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)[1]);
    return { rss: number(status, 'VmRSS') * 1024, pss: number(rollup, 'Pss') * 1024, threads: number(status, 'Threads'), descriptors: gateway.descriptors() };
}

/* Sampler - a line every few seconds for each gateway. */
export class Sampler {
    constructor(world, file, soak) {
        this.world = world;
        this.phase = 'start';
        this.began = Date.now();
        fs.writeFileSync(file, 'seconds\tround\tphase\tgateway\tdescriptors\trss\tpss\tthreads\tstreams\tconnections\tchunks\ttimers\n');
        this.timer = setInterval(async () => {
            if (this.phase === 'rest') return;
            for (const gateway of world.gateways) {
                try {
                    const { text } = await exchange(gateway.port, 'GET', '/metrics', {}, { tls: gateway.tls });
                    const memory = memory_of(gateway);
                    const live = ['penstock_streams_active', 'penstock_connections_open', 'penstock_buffer_chunks_used', 'penstock_timers_armed'].map((name) => sample(text, name));
                    fs.appendFileSync(file, `${[Math.round((Date.now() - this.began) / 1000), soak.round, this.phase, gateway === world.tls ? 'tls' : 'plain', memory.descriptors, memory.rss, memory.pss, memory.threads, ...live].join('\t')}\n`);
                } catch { /* it has ended, which is said elsewhere */ }
                read_log(gateway, soak);
            }
        }, 4000);
    }

    /* memory - of each gateway; ask after a rest. What is allocated is told by the gateway, 0 under ASan. */
    async memory() {
        return Promise.all(this.world.gateways.map(async (gateway) => {
            const memory = memory_of(gateway);
            const { text } = await exchange(gateway.port, 'GET', '/metrics', {}, { tls: gateway.tls });
            return { ...memory, used: sample(text, 'penstock_memory_used_bytes') };
        }));
    }

    stop() {
        clearInterval(this.timer);
    }
}

/* read_log - nothing in it may tell of a mistake of ours; then it is forgotten, since there is an hour of it. */
function read_log(gateway, soak) {
    gateway.check_log();
    for (const line of gateway.log.split('\n')) {
        if (/\blevel=(error|fatal)\b/.test(line) || /\bend=internal_error\b/.test(line)) soak.violation(`log: ${line.slice(0, 500)}`);
    }
    gateway.log = '';
}

/* books - what began has ended, each in one way, and nothing by a mistake of ours. */
function check_books(text, soak) {
    const of = (name, ...labels) => text.split('\n').filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    const moved = (from, event) => of('penstock_transitions_total', `from="${from}"`, `event="${event}"`);
    const begun = moved('IDLE', 'CLIENT_BYTES') - moved('HEAD', 'KEEP');
    const left_unasked = moved('HEAD', 'LEAVE');
    const ended = of('penstock_stream_ends_total');
    // The one that asks is under way.
    if (begun - left_unasked !== ended + 1) soak.violation(`${begun - left_unasked} exchanges begun, ${ended} ended, one under way`);
    if (of('penstock_stream_ends_total', 'reason="internal_error"') > 0) soak.violation('an exchange ended in an internal error');
    for (const error of ['INTERNAL', 'SYSTEM', 'MEMORY', 'NO_DESCRIPTOR']) {
        const n = of('penstock_errors_total', `error="${error}"`);
        if (n > 0) soak.violation(`${n} errors of kind ${error}`);
    }
    return ended;
}

/* equal - the same figures. What the asking exchange itself has armed differs by a deadline with how its bytes came in. */
function equal(one, other) {
    const { penstock_timers_armed: armed, ...rest } = one;
    const { penstock_timers_armed: armed_other, ...rest_other } = other;
    return Math.abs(armed - armed_other) <= 1 && JSON.stringify(rest) === JSON.stringify(rest_other);
}

/* look - wait until each gateway has nothing to do; then its figures are those of the start, or that is a violation. */
export async function look(world, soak, start) {
    const found = [];
    for (const [at, gateway] of world.gateways.entries()) {
        const until = Date.now() + quiet_within_ms * patience;
        let now = null;
        let text = '';
        for (let same = 0; same < 2 && Date.now() < until;) {
            await sleep(400);
            text = (await exchange(gateway.port, 'GET', '/metrics', {}, { tls: gateway.tls })).text;
            const next = { ...figures_of(text), descriptors: gateway.descriptors() };
            const wanted = start ? start[at].figures : now;
            same = wanted && equal(next, wanted) ? same + 1 : 0;
            now = next;
        }
        if (start && !equal(now, start[at].figures)) soak.violation(`not as at the start: ${JSON.stringify(now)} instead of ${JSON.stringify(start[at].figures)}`);
        check_books(text, soak);
        found.push({ figures: now, descriptors: now.descriptors, rss: memory_of(gateway).rss });
    }
    return found;
}

/* rise_of - by how much a line through the points rises from the first to the last. */
export function rise_of(points) {
    const n = points.length;
    const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / n;
    const x = mean(([at]) => at);
    const y = mean(([, value]) => value);
    const spread = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
    if (n < 2 || spread === 0) return 0;
    const slope = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0) / spread;
    return slope * (points[n - 1][0] - points[0][0]);
}
