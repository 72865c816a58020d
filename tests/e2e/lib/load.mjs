// SPDX-License-Identifier: MIT
//
// load - the load tools that were built beside the gateway: load_provider, relay_floor, loadgen.

import path from 'node:path';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { binary, patience } from './penstock.mjs';

const tools = path.resolve(path.dirname(binary), '..', 'tools');

export class LoadTool {
    /* start - run a tool until it says that it is ready; server.ports are the ports it took for port 0. */
    static async start(name, args) {
        const self = new LoadTool();
        self.name = name;
        self.child = spawn(path.join(tools, name), args, { stdio: ['ignore', 'pipe', 'pipe'] });
        self.out = '';
        self.problems = '';
        self.child.stdout.on('data', (bytes) => { self.out += bytes; });
        self.child.stderr.on('data', (bytes) => { self.problems += bytes; });
        // A test that failed half-way leaves its tools behind; they must not keep the suite from ending.
        self.child.unref();
        self.child.stdout.unref();
        self.child.stderr.unref();
        self.exited = new Promise((resolve) => {
            self.child.on('close', (code, signal) => resolve({ code, signal }));
            self.child.on('error', (error) => { self.problems += error; resolve({ code: -1 }); });
        });
        const kill = () => self.child.kill('SIGKILL');
        process.once('exit', kill);
        self.exited.then((exit) => { self.exit = exit; process.off('exit', kill); });
        await self.until(/^ready$/m);
        self.ports = Array.from(self.out.matchAll(/^listening .*:(\d+)$/mg), (found) => Number(found[1]));
        return self;
    }

    async until(pattern) {
        for (const late = Date.now() + 20_000 * patience; !pattern.test(this.out);) {
            assert.ok(!this.exit && Date.now() < late, `${this.name} is not ready: ${this.out}${this.problems}`);
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
    }

    /* stop - by SIGTERM; it must end well. */
    async stop() {
        this.child.ref();
        this.child.stdout.ref();
        this.child.stderr.ref();
        this.child.kill('SIGTERM');
        const exit = await this.exited;
        assert.deepEqual(exit, { code: 0, signal: null }, `${this.name}: ${this.problems}`);
        assert.equal(this.problems, '', this.name);
    }
}

/* loadgen - one run: its exit code and what it measured. */
export async function loadgen(args, timeout_ms = 120_000) {
    const child = spawn(path.join(tools, 'loadgen'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout_ms);
    let out = '';
    let problems = '';
    child.stdout.on('data', (bytes) => { out += bytes; });
    child.stderr.on('data', (bytes) => { problems += bytes; });
    const code = await new Promise((resolve) => child.on('close', resolve));
    clearTimeout(timer);
    assert.ok(code === 0 || code === 1, `loadgen ${args.join(' ')}: ${code} ${problems}`);
    assert.equal(problems.replace('ready\n', ''), '');
    return { code, ...JSON.parse(out) };
}

/* all_well - everything was as it should be, so often. */
export function all_well(result, requests, events) {
    assert.deepEqual([result.errors, result.slow_errors, result.first_error], [{}, {}, '']);
    assert.deepEqual([result.code, result.requests, result.events], [0, requests, requests * events]);
}
