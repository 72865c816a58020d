// SPDX-License-Identifier: MIT
//
// service_manager - penstock under a service manager made for tests (service_manager.py).

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node:child_process';
import { binary, patience } from './penstock.mjs';

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'service_manager.py');

export class ServiceManager {
    /* constructor - the manager with its sockets; nothing is started. config as for Penstock.start; options: args, env, and under: words in
     * front of the program, which is then a copy that everybody can run. */
    constructor(config, words = [], options = {}) {
        this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-service-'));
        this.config_path = path.join(this.folder, 'config.yaml');
        this.write_config(config);
        const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(PATH|LANG|PENSTOCK_IO_BACKEND|.SAN_OPTIONS|ASAN_OPTIONS|UBSAN_OPTIONS|LSAN_OPTIONS|TSAN_OPTIONS)$/.test(name)));
        const program = options.under ? path.join(this.folder, 'penstock') : binary;
        if (options.under) {
            fs.copyFileSync(binary, program);
            for (const [file, mode] of [[this.folder, 0o777], [program, 0o755], [this.config_path, 0o644]]) fs.chmodSync(file, mode);
        }
        this.child = spawn('python3', [script, ...words, '--', ...(options.under ?? []), program, 'serve', '--config', this.config_path, '--port', '0', ...(options.args ?? [])],
            { cwd: this.folder, env: { ...inherited, ...options.env }, stdio: ['pipe', 'pipe', 'pipe'] });
        this.events = [];
        this.log = '';
        let pending = '';
        this.child.stdout.on('data', (bytes) => {
            const lines = (pending + bytes).split('\n');
            pending = lines.pop();
            for (const line of lines) this.events.push(JSON.parse(line));
        });
        this.child.stderr.on('data', (bytes) => { this.log += bytes; });
        this.exited = new Promise((resolve) => this.child.on('exit', resolve));
        const kill = () => this.child.kill('SIGKILL');
        process.once('exit', kill);
        this.child.on('exit', () => process.off('exit', kill));
    }

    write_config(config) {
        fs.writeFileSync(this.config_path, typeof config === 'string' ? config : JSON.stringify(config), { mode: 0o600 });
    }

    say(command) {
        this.child.stdin.write(`${command}\n`);
    }

    /* wait - the first event at or behind index `from` that satisfies. */
    async wait(satisfies, from = 0, timeout_ms = 10_000) {
        const until = Date.now() + timeout_ms * patience;
        for (;;) {
            const found = this.events.slice(from).find(satisfies);
            if (found) return found;
            if (Date.now() > until) throw new Error(`it never came: ${satisfies}\n${JSON.stringify(this.events.slice(-20))}\n${this.log.slice(-3000)}`);
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    notice(pattern, from = 0, timeout_ms = 10_000) {
        return this.wait((each) => each.event === 'notify' && pattern.test(each.text), from, timeout_ms);
    }

    /* notices - how often such a notice came, at or behind an index. */
    notices(pattern, from = 0) {
        return this.events.slice(from).filter((each) => each.event === 'notify' && pattern.test(each.text)).length;
    }

    /* port - of the service that was started last, from its log. */
    async port(from = 0) {
        const until = Date.now() + 20_000;
        for (;;) {
            const found = /msg=listening\b[^\n]*\baddr="?([^\s"]+):(\d+)/.exec(this.log.slice(from));
            if (found) return Number(found[2]);
            if (Date.now() > until) throw new Error(`the service did not start:\n${this.log}`);
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    async end() {
        this.say('quit');
        await this.exited;
        fs.rmSync(this.folder, { recursive: true, force: true });
    }
}
