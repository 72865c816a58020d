// SPDX-License-Identifier: MIT
//
// main - the soak: rounds of work and, after each, a look at what must be as it was at the start. See tools/soak.

import fs from 'node:fs';
import path from 'node:path';
import { make_random } from '../fake_provider/delivery.mjs';
import { sleep } from '../../tests/e2e/lib/raw.mjs';

const options = { minutes: '60', build: 'build-release', samples: '', seed: String(Date.now() % 1000000) };
for (let at = 2; at < process.argv.length; at += 2) {
    const name = process.argv[at].replace(/^--/, '');
    if (!(name in options) || process.argv[at + 1] === undefined) {
        process.stderr.write('usage: tools/soak [--minutes N] [--build DIR] [--samples FILE] [--seed N]\n');
        process.exit(2);
    }
    options[name] = process.argv[at + 1];
}
const sanitized = fs.readFileSync(process.env.PENSTOCK_BIN).includes('__asan_init');
process.env.PENSTOCK_LABEL ??= sanitized ? 'asan' : 'release';
// What is freed is kept by ASan for a while: a bounded while, or memory would seem to grow.
process.env.ASAN_OPTIONS ??= 'exitcode=86:detect_leaks=1:detect_stack_use_after_return=1:quarantine_size_mb=16';
process.env.UBSAN_OPTIONS ??= 'halt_on_error=1:print_stacktrace=1:exitcode=86';

const { World } = await import('./world.mjs');
const { one_round } = await import('./work.mjs');
const { look, rise_of, Sampler } = await import('./watch.mjs');

const soak = {
    random: make_random(Number(options.seed)),
    pick: (list) => list[Math.floor(soak.random() * list.length)],
    round: 0, reloads: 0, counts: {}, violations: 0,
    count: (name, n = 1) => { soak.counts[name] = (soak.counts[name] ?? 0) + Number(n); },
    violation: (text) => {
        soak.violations++;
        process.stdout.write(`VIOLATION in round ${soak.round}: ${text}\n`);
    },
};

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130)); // whoever was started ends with us

const rest_ms = 6500; // penstock gives memory back after one quiet second and after four
// What the allocator keeps wavers by megabytes with what the last round left between live objects, what is allocated hardly does.
const rss_rise_max = 24 << 20;
const used_rise_max = 384 << 10;
const began = Date.now();
const world = await new World().start();
const samples = options.samples || path.join(path.dirname(process.env.PENSTOCK_BIN), '..', 'soak-samples.tsv');
const sampler = new Sampler(world, samples, soak);
process.stdout.write(`soak: seed ${options.seed}, ${options.minutes} minutes, ${process.env.PENSTOCK_BIN}, samples in ${samples}\n`);

const start = await look(world, soak, null);
const quiet = [];
while (Date.now() - began < Number(options.minutes) * 60_000) {
    soak.round++;
    sampler.phase = 'work';
    await one_round(world, soak);
    sampler.phase = 'quiet';
    await look(world, soak, start);
    // Nobody asks anything: only then is what a burst left in the allocator given back, which looks like a leak for as long.
    sampler.phase = 'rest';
    await sleep(rest_ms);
    const memory = await sampler.memory();
    quiet.push({ at_s: (Date.now() - began) / 1000, memory });
    process.stdout.write(`  round ${soak.round}, ${Math.round((Date.now() - began) / 1000)} s: descriptors ${start.map(({ descriptors }) => descriptors).join(' and ')} again, RSS ${memory.map(({ rss }) => (rss / 1048576).toFixed(2)).join(' and ')} MiB, allocated ${memory.map(({ used }) => used).join(' and ')} B\n`);
    if (soak.violations > 50) break;
}
sampler.stop();

const verdicts = world.gateways.map((_, at) => {
    const rise = (name) => rise_of(quiet.slice(Math.floor(quiet.length / 2)).map(({ at_s, memory }) => [at_s, memory[at][name]]));
    const rises = { rss: rise('rss'), used: rise('used') };
    const said = (name) => `${rises[name] < 0 ? '' : '+'}${Math.round(rises[name] / 1024)} KiB over the second half`;
    if (quiet.length >= 6 && rises.rss > rss_rise_max) soak.violation(`RSS: ${said('rss')}`);
    if (quiet.length >= 6 && rises.used > used_rise_max) soak.violation(`allocated: ${said('used')}`);
    return `${(start[at].rss / 1048576).toFixed(1)} -> ${(quiet.at(-1).memory[at].rss / 1048576).toFixed(1)} MiB (${said('rss')}), allocated ${Math.round(quiet.at(-1).memory[at].used / 1024)} KiB (${said('used')})`;
});
const threads = quiet.at(-1).memory.map((memory) => memory.threads).join(' and ');
await world.stop().catch((error) => soak.violation(error.message.slice(0, 2000)));
const counts = Object.entries(soak.counts).map(([name, n]) => `${n} ${name.replaceAll('_', ' ')}`).join(', ');
process.stdout.write(`soak: ${Math.round((Date.now() - began) / 1000)} s, ${soak.round} rounds, ${soak.reloads} reloads, ${counts}; descriptors ${start.map(({ descriptors }) => descriptors).join(' and ')} at the start of each round and after it, `
    + `${threads} threads, RSS ${verdicts.join(' and ')}; ${soak.violations} violations\n`);
process.exit(soak.violations > 0 ? 1 : 0);
