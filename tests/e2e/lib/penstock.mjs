// SPDX-License-Identifier: MIT
//
// penstock - start the gateway under test with a configuration, and stop it so that nothing it did wrong
// stays unseen: exit code, reports of sanitizers and failed assertions are all checked at the end.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const binary = process.env.PENSTOCK_BIN ?? path.join(repository, 'build', 'gateway', 'penstock');
export const label = process.env.PENSTOCK_LABEL ?? 'gateway';
/* Sanitizers make everything slower; waits are stretched, limits on added time are not asked for. */
export const slow_build = label === 'asan' || label === 'tsan';
const slowness = slow_build ? 4 : 1;
/* A machine with other work to do makes everybody wait: as many times longer as there are tasks for each processor. Who will
 * have that much company only later says so (PENSTOCK_PATIENCE). */
export const patience = slowness * Math.min(4, Math.max(1, Number(process.env.PENSTOCK_PATIENCE ?? 0), os.loadavg()[0] / os.cpus().length));

/*
 * soon - what measure(attempt) measures is less than limit_ms. Where others want the processors, too, one attempt says little about
 * the gateway: one of five must hold the limit, which is never stretched for that. A gateway that is late is late each time.
 */
export async function soon(limit_ms, measure) {
    const seen_ms = [];
    for (let attempt = 0; attempt < 5; attempt++) {
        const took_ms = await measure(attempt);
        if (took_ms < limit_ms * slowness) return;
        seen_ms.push(Math.round(took_ms));
    }
    assert.fail(`never within ${limit_ms * slowness} ms: ${seen_ms.join(', ')} ms`);
}

/* until - wait for a condition, which may be asynchronous. */
export async function until(what, condition, timeout_ms = 5000) {
    const end = Date.now() + timeout_ms * patience;
    while (!(await condition())) {
        assert.ok(Date.now() < end, `never: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

const bad_words = /ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|[Aa]ssert(ion)? .*failed|stack smashing/;

export class Penstock {
    /*
     * start - run "penstock serve" on a free port of 127.0.0.1.
     * config   object written as JSON (which is YAML), or YAML text, or null for no file at all
     * options  args, env, command (instead of serve), check_exit: false when the test kills it, descriptors: how many it may open,
     *          under: the words of a program that starts it, backend: what it runs on, whatever was asked for
     */
    static async start(config, options = {}) {
        const self = new Penstock();
        self.options = options;
        self.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-e2e-'));
        self.config_path = path.join(self.folder, 'config.yaml');
        const words = ['serve', '--port', '0', ...(options.args ?? [])];
        if (config !== null) {
            self.write_config(config);
            words.splice(1, 0, '--config', self.config_path);
        }
        const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(PATH|LANG|PENSTOCK_IO_BACKEND|.SAN_OPTIONS|ASAN_OPTIONS|UBSAN_OPTIONS|LSAN_OPTIONS|TSAN_OPTIONS)$/.test(name)));
        const [program, ...front] = options.descriptors ? ['sh', '-c', `ulimit -n ${options.descriptors}; exec "$0" "$@"`, binary] : [...(options.under ?? []), binary];
        self.child = spawn(program, [...front, ...words], { cwd: self.folder, env: { ...inherited, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
        self.pid = self.child.pid;
        self.log = '';
        self.exited = new Promise((resolve) => self.child.on('exit', (code, signal) => {
            self.exit = { code, signal };
            resolve(self.exit);
        }));
        // A test that failed half-way leaves its gateway behind; it must not keep the suite from ending.
        self.child.unref();
        self.child.stdout.unref();
        self.child.stderr.unref();
        const kill = () => self.child.kill('SIGKILL');
        process.once('exit', kill);
        self.child.on('exit', () => process.off('exit', kill));
        self.child.on('error', (error) => { self.log += `cannot start: ${error}\n`; self.exit ??= { code: -1 }; });
        self.child.stdout.on('data', (bytes) => { self.log += bytes; });
        self.child.stderr.on('data', (bytes) => { self.log += bytes; });
        await self.#listening();
        return self;
    }

    write_config(config) {
        fs.writeFileSync(this.config_path, typeof config === 'string' ? config : JSON.stringify(config, null, 1), { mode: 0o600 });
    }

    async #listening() {
        const until = Date.now() + 20_000;
        for (;;) {
            const found = /msg=listening\b[^\n]*\baddr="?([^\s"]+):(\d+)/.exec(this.log);
            if (found) {
                this.port = Number(found[2]);
                this.url = `http://127.0.0.1:${this.port}`;
                this.check_backend();
                return;
            }
            if (this.exit || Date.now() > until) {
                this.child.kill('SIGKILL');
                throw new Error(`penstock did not start (${JSON.stringify(this.exit)}):\n${this.log}`);
            }
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    /* check_backend - a run for io_uring must not pass on epoll. */
    check_backend() {
        const wanted = this.options.backend ?? process.env.PENSTOCK_IO_BACKEND;
        if (wanted && wanted !== 'auto' && !this.log.includes(` io=${wanted} `)) {
            this.child.kill('SIGKILL');
            throw new Error(`penstock does not run on ${wanted}:\n${this.log}`);
        }
    }

    signal(name) {
        this.child.kill(name);
    }

    /* wait_log - until the log matches; the match. */
    async wait_log(pattern, timeout_ms = 5000) {
        const until = Date.now() + timeout_ms * patience;
        for (;;) {
            const found = pattern.exec(this.log);
            if (found) return found;
            if (Date.now() > until) throw new Error(`log never matched ${pattern}:\n${this.log.slice(-3000)}`);
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    async wait_exit(timeout_ms = 15_000) {
        let timer;
        const late = new Promise((resolve) => { timer = setTimeout(() => resolve(null), timeout_ms * patience); });
        const exit = await Promise.race([this.exited, late]);
        clearTimeout(timer);
        return exit;
    }

    check_log() {
        const found = bad_words.exec(this.log);
        assert.equal(found, null, `the gateway's log reports a defect:\n${found ? this.log.slice(Math.max(0, found.index - 500), found.index + 3500) : ''}`);
    }

    async stop() {
        if (!this.exit) this.child.kill('SIGTERM');
        let exit = await this.wait_exit();
        if (!exit) {
            this.child.kill('SIGTERM');
            exit = await this.wait_exit(5000);
        }
        if (!exit) {
            this.child.kill('SIGKILL');
            throw new Error(`penstock did not end on SIGTERM:\n${this.log.slice(-3000)}`);
        }
        fs.rmSync(this.folder, { recursive: true, force: true });
        this.check_log();
        assert.deepEqual(exit, { code: 0, signal: null }, `unclean exit:\n${this.log.slice(-3000)}`);
    }

    /* kill - for tests whose gateway must not end cleanly, or did already. */
    async kill() {
        if (!this.exit) this.child.kill('SIGKILL');
        await this.exited;
        fs.rmSync(this.folder, { recursive: true, force: true });
        this.check_log();
    }

    descriptors() {
        return fs.readdirSync(`/proc/${this.pid}/fd`).length;
    }

    /* remote_ports - whom its sockets are connected to; client: they called us, on our own port. */
    remote_ports() {
        const own = new Set();
        for (const fd of fs.readdirSync(`/proc/${this.pid}/fd`)) {
            let target = '';
            try {
                target = fs.readlinkSync(`/proc/${this.pid}/fd/${fd}`);
            } catch { /* closed meanwhile */ }
            const found = /^socket:\[(\d+)\]$/.exec(target);
            if (found) own.add(found[1]);
        }
        const remotes = [];
        for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
            for (const line of fs.readFileSync(`/proc/${this.pid}/net/${table}`, 'utf8').split('\n').slice(1)) {
                const words = line.trim().split(/\s+/);
                if (!own.has(words[9])) continue;
                const port = parseInt(words[2].split(':')[1], 16);
                const local = parseInt(words[1].split(':')[1], 16);
                if (port !== 0) remotes.push({ table, address: words[2], port, client: local === this.port });
            }
        }
        return remotes;
    }

    rss_bytes() {
        const found = /^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${this.pid}/status`, 'utf8'));
        return Number(found[1]) * 1024;
    }
}

/*
 * Four upstreams at a fake provider: c/NAME speaks OpenAI chat to it, r/NAME OpenAI Responses, a/NAME Anthropic Messages, g/NAME
 * Gemini; and two models with names of their own, since patterns are no names and so in no list.
 */
export function models_at(url, params = {}) {
    return [
        { model_name: 'r/*', litellm_params: { model: 'openai/*', api_base: `${url}/v1`, api_key: 'sk-responses-upstream', ...params }, penstock: { dialect: 'openai_responses' } },
        { model_name: 'g/*', litellm_params: { model: 'gemini/*', api_base: `${url}/v1beta`, api_key: 'sk-gemini-upstream', ...params } },
        // At an address of its own "openai" is any compatible server; these settings make it OpenAI again.
        {
            model_name: 'c/*', litellm_params: { model: 'openai/*', api_base: `${url}/v1`, api_key: 'sk-chat-upstream', ...params },
            penstock: { developer_role: true, max_completion_tokens: true, effort: 'reasoning_effort' },
        },
        { model_name: 'a/*', litellm_params: { model: 'anthropic/*', api_base: url, api_key: 'sk-ant-upstream', ...params } },
        { model_name: 'gpt-fake', litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'sk-chat-upstream', ...params } },
        { model_name: 'claude-fake', litellm_params: { model: 'anthropic/text', api_base: url, api_key: 'sk-ant-upstream', ...params } },
    ];
}

/* gateway_config - models_at, no waiting between retries, and whatever sections are given. */
export function gateway_config(url, sections = {}) {
    const { penstock = {}, router_settings = {}, ...rest } = sections;
    return {
        model_list: models_at(url),
        router_settings: { num_retries: 0, allowed_fails: 1000000, ...router_settings },
        penstock: { workers: 2, log: { level: 'info' }, ...penstock },
        ...rest,
    };
}

export const pairs = [
    { upstream: 'chat', prefix: 'c/' },
    { upstream: 'anthropic', prefix: 'a/' },
];

/* The upstreams of models_at, all of them. */
export const upstreams = [
    { upstream: 'chat', prefix: 'c/' },
    { upstream: 'responses', prefix: 'r/' },
    { upstream: 'anthropic', prefix: 'a/' },
    { upstream: 'gemini', prefix: 'g/' },
];
