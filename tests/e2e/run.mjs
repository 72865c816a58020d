#!/usr/bin/env node
// SPDX-License-Identifier: MIT
//
// run - run the end-to-end suites one after the other (they measure time, so they do not share it).
//   node run.mjs [--suites release|asan|tsan|all] [--counts FILE] [--only TEXT]
// PENSTOCK_BIN names the gateway to test, PENSTOCK_LABEL its build; --counts appends
// "PASSED FAILED SKIPPED" to a file.

import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { suites } from './suites.mjs';

const folder = path.dirname(fileURLToPath(import.meta.url));
const suite_limit_ms = 400_000;

function parse_arguments(words) {
    const options = { suites: 'all', only: '', counts: null };
    for (let at = 0; at < words.length; at++) {
        const name = words[at].replace(/^--/, '');
        if (!(name in options) || at + 1 === words.length) {
            process.stderr.write('usage: run.mjs [--suites release|asan|tsan|all] [--counts FILE] [--only TEXT]\n');
            process.exit(2);
        }
        options[name] = words[++at];
    }
    return options;
}

function run_file(file) {
    return new Promise((resolve) => {
        const reporter = `--test-reporter=${path.join(folder, 'lib', 'reporter.mjs')}`;
        const child = spawn(process.execPath, [reporter, '--test-reporter-destination=stdout', path.join(folder, file)],
            { stdio: ['ignore', 'pipe', 'inherit'], cwd: folder });
        let counts = null;
        let pending = '';
        const timer = setTimeout(() => {
            process.stdout.write(`    FAILED: ${file} did not end within ${suite_limit_ms} ms\n`);
            child.kill('SIGKILL');
        }, suite_limit_ms);
        child.stdout.on('data', (bytes) => {
            const lines = (pending + bytes).split('\n');
            pending = lines.pop();
            for (const line of lines) {
                const found = /^@@counts (\d+) (\d+) (\d+)$/.exec(line);
                if (found) counts = found.slice(1).map(Number);
                else process.stdout.write(`${line}\n`);
            }
        });
        child.on('close', (code) => {
            clearTimeout(timer);
            if (!counts) counts = [0, 1, 0];
            else if (code !== 0 && counts[1] === 0) counts[1] = 1;
            resolve(counts);
        });
    });
}

const options = parse_arguments(process.argv.slice(2));
const label = process.env.PENSTOCK_LABEL ?? 'gateway';
const sum = [0, 0, 0];
for (const { file, builds } of suites) {
    if (options.suites !== 'all' && !builds.includes(options.suites)) continue;
    if (!file.includes(options.only)) continue;
    const started = Date.now();
    const counts = await run_file(file);
    counts.forEach((count, at) => { sum[at] += count; });
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    process.stdout.write(`  ${label}: ${file}: ${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped (${seconds} s)\n`);
}
if (options.counts) fs.appendFileSync(options.counts, `${sum.join(' ')}\n`);
process.exitCode = sum[1] > 0 || sum[0] === 0 ? 1 : 0;
