#!/usr/bin/env node
// SPDX-License-Identifier: MIT
//
// run - run the end-to-end suites: two at a time, but those that measure time alone, afterwards.
//   node run.mjs [--suites release|asan|tsan|io_uring|io_uring_asan|all] [--counts FILE] [--only TEXT]
// PENSTOCK_BIN names the gateway to test, PENSTOCK_LABEL its build; --counts appends
// "PASSED FAILED SKIPPED" to a file.

import fs from 'node:fs';
import os from 'node:os';
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
            process.stderr.write('usage: run.mjs [--suites release|asan|tsan|io_uring|io_uring_asan|all] [--counts FILE] [--only TEXT]\n');
            process.exit(2);
        }
        options[name] = words[++at];
    }
    return options;
}

/* run_file - the counts of a suite and what it said, which is kept until its end so that two do not mix. */
function run_file(file) {
    return new Promise((resolve) => {
        const reporter = `--test-reporter=${path.join(folder, 'lib', 'reporter.mjs')}`;
        const child = spawn(process.execPath, [reporter, '--test-reporter-destination=stdout', path.join(folder, file)],
            { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
        const words = [];
        let counts = null;
        let pending = '';
        const timer = setTimeout(() => {
            words.push(`    FAILED: ${file} did not end within ${suite_limit_ms} ms\n`);
            child.kill('SIGKILL');
        }, suite_limit_ms);
        child.stderr.on('data', (bytes) => words.push(bytes));
        child.stdout.on('data', (bytes) => {
            const lines = (pending + bytes).split('\n');
            pending = lines.pop();
            for (const line of lines) {
                const found = /^@@counts (\d+) (\d+) (\d+)$/.exec(line);
                if (found) counts = found.slice(1).map(Number);
                else words.push(`${line}\n`);
            }
        });
        child.on('close', (code) => {
            clearTimeout(timer);
            if (!counts) counts = [0, 1, 0];
            else if (code !== 0 && counts[1] === 0) counts[1] = 1;
            resolve({ counts, words: words.join('') });
        });
    });
}

const seconds_since = (started) => ((Date.now() - started) / 1000).toFixed(1);

const options = parse_arguments(process.argv.slice(2));
const label = process.env.PENSTOCK_LABEL ?? 'gateway';
const sum = [0, 0, 0];
const began = Date.now();
const told = (counts) => `${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped`;

/* drain - run what is waiting, one after the other; several of these share a list. */
async function drain(waiting) {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
        const started = Date.now();
        const { counts, words } = await run_file(file);
        counts.forEach((count, at) => { sum[at] += count; });
        process.stdout.write(`${words}  ${label}: ${file}: ${told(counts)} (${seconds_since(started)} s)\n`);
    }
}

const chosen = suites.filter(({ file, builds }) => (options.suites === 'all' || builds.includes(options.suites)) && file.includes(options.only));
const waiting = chosen.filter(({ alone }) => !alone).map(({ file }) => file);
await Promise.all(Array.from({ length: Math.min(2, os.cpus().length) }, () => drain(waiting)));
await drain(chosen.filter(({ alone }) => alone).map(({ file }) => file));
process.stdout.write(`  ${label}: end to end: ${told(sum)} (${seconds_since(began)} s)\n`);
if (options.counts) fs.appendFileSync(options.counts, `${sum.join(' ')}\n`);
process.exitCode = sum[1] > 0 || sum[0] === 0 ? 1 : 0;
