// SPDX-License-Identifier: MIT
//
// service - under a service manager: notices, the watchdog, a socket that is handed over (issue, hardening).

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import net from 'node:net';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { ServiceManager } from './lib/service_manager.mjs';
import { gateway_config, models_at, patience, repository, slow_build } from './lib/penstock.mjs';
import { exchange, RawClient, sleep } from './lib/raw.mjs';

const chat = '/v1/chat/completions';
const question = { stream: true, max_tokens: 20, messages: [{ role: 'user', content: 'x' }] };

describe('service manager', { concurrency: 3 }, () => {
    let provider;
    before(async () => { provider = await new FakeProvider().start(); });
    after(async () => { await provider.stop(); });

    async function with_manager(words, body, sections = {}, options = {}) {
        const made = typeof sections === 'function' ? sections() : sections;
        const manager = new ServiceManager(gateway_config(provider.url, made), words, options);
        try {
            await body(manager);
        } finally {
            await manager.end();
        }
        assert.doesNotMatch(manager.log, /Sanitizer|runtime error|Assertion/);
    }

    for (const where of ['path', 'abstract']) {
        it(`is told when it serves, reloads and ends: ${where} socket`, () => with_manager(['--notify', where], async (manager) => {
            manager.say('start');
            const ready = await manager.notice(/^READY=1$/m);
            assert.match(ready.text, /^STATUS=Serving 127\.0\.0\.1:\d+, \d+ models, 2 workers$/m);
            const port = await manager.port();
            assert.equal((await exchange(port, 'GET', '/health/ready')).status, 200, 'ready is said when it is so');
            let from = manager.events.length;
            manager.say('signal SIGHUP');
            const reloading = await manager.notice(/^RELOADING=1$/m, from);
            const stamp_us = Number(/^MONOTONIC_USEC=(\d+)$/m.exec(reloading.text)[1]);
            assert.ok(Math.abs(stamp_us / 1000 - reloading.at_ms) < 5000 * patience, `${stamp_us} is not the monotonic clock`);
            assert.match((await manager.notice(/^READY=1$/m, from)).text, /^STATUS=Serving with the new configuration$/m);
            manager.write_config('model_list: [{nonsense: 1}]\n');
            from = manager.events.length;
            manager.say('signal SIGHUP');
            assert.match((await manager.notice(/^READY=1$/m, from)).text, /^STATUS=Serving; a new configuration was refused, see the log$/m);
            from = manager.events.length;
            manager.say('signal SIGTERM');
            const stopping = await manager.notice(/^STOPPING=1$/m, from);
            assert.match(stopping.text, /^EXTEND_TIMEOUT_USEC=610000000$/m, 'penstock.timeouts.shutdown and a margin');
            assert.equal((await manager.wait((each) => each.event === 'exit', from)).code, 0);
            assert.equal(manager.notices(/WATCHDOG/), 0, 'nobody asked for it');
        }));
    }

    it('the notices survive a manager that is started anew', () => with_manager([], async (manager) => {
        manager.say('start');
        await manager.notice(/^READY=1$/m);
        manager.say('restart-manager');
        await manager.wait((each) => each.event === 'restarted');
        manager.say('signal SIGHUP');
        await manager.notice(/^RELOADING=1$/m);
    }));

    it('children of a configuration see none of the variables', () => with_manager(['--socket', '127.0.0.1', '--watchdog', '60000000'], async (manager) => {
        manager.write_config({ ...gateway_config(provider.url), general_settings: { master_key: 'command:env | tee seen >/dev/null; ls -l /proc/self/fd >fds; echo sk-from-a-command' } });
        manager.say('start');
        await manager.notice(/^READY=1$/m);
        const from = manager.events.length;
        manager.say('signal SIGHUP');
        await manager.notice(/^READY=1$/m, from);
        assert.doesNotMatch(fs.readFileSync(`${manager.folder}/seen`, 'utf8'), /NOTIFY_SOCKET|WATCHDOG|LISTEN_/);
        assert.doesNotMatch(fs.readFileSync(`${manager.folder}/fds`, 'utf8'), / ([3-9]|\d\d+) -> socket:/, 'the listening socket is closed in children');
    }));

    const unit = path.join(repository, 'tools', 'systemd', 'penstock.service.in');
    const sandbox = [path.join(repository, 'tests', 'e2e', 'lib', 'sandbox.py'), unit];
    const tried = spawnSync('python3', [...sandbox, 'true'], { encoding: 'utf8' });
    const no_sandbox = slow_build ? 'sanitizers make system calls of their own' : tried.status === 0 ? false : tried.stderr.trim() || `status ${tried.status}`;

    it('lives within the system calls that the unit allows', { skip: no_sandbox }, () => with_manager(['--socket', '127.0.0.1', '--watchdog', '2000000'], async (manager) => {
        manager.say('start');
        await manager.notice(/^READY=1$/m);
        const port = await manager.port();
        for (const [target, model] of [[chat, 'c/text'], ['/v1/messages', 'a/tool'], ['/v1/responses', 'r/text'], [chat, 'local']]) {
            const body = target === '/v1/responses' ? { model, input: 'x', stream: true } : { ...question, model };
            assert.equal((await exchange(port, 'POST', target, { body })).status, 200, model);
        }
        for (const target of ['/metrics', '/debug/streams', '/health/ready']) assert.equal((await exchange(port, 'GET', target)).status, 200, target);
        const from = manager.events.length;
        manager.say('signal SIGHUP');
        await manager.notice(/^STATUS=Serving with the new configuration$/m, from);
        assert.equal((await exchange(port, 'POST', chat, { body: { ...question, model: 'c/text' } })).status, 200);
        manager.say('signal SIGTERM');
        assert.equal((await manager.wait((each) => each.event === 'exit')).code, 0, 'SIGSYS would be -31');
    }, () => ({
        model_list: [
            ...models_at(provider.url),
            { model_name: 'local', litellm_params: { model: 'openai/text', api_base: `${provider.url.replace('127.0.0.1', 'localhost')}/v1`, api_key: 'command:echo sk-of-a-command' } },
        ],
        penstock: { workers: 2, log: { level: 'debug1' } },
    }), { under: ['python3', ...sandbox] }));

    it('the sandbox of that test does end what the unit forbids', { skip: no_sandbox }, () => {
        for (const forbidden of ['os.setpriority(0, 0, 1)', 'socket.socket(17, 3)', 'mmap.mmap(-1, 4096, prot=7)']) {
            assert.equal(spawnSync('python3', [...sandbox, 'python3', '-c', `import mmap, os, socket; ${forbidden}`]).signal, 'SIGSYS', forbidden);
        }
    });

    describe('watchdog', () => {
        const fed = /^WATCHDOG=1$/m;

        it('is fed while all workers turn, and not while one is held', () => with_manager(['--watchdog', '800000'], async (manager) => {
            manager.say('start');
            await manager.notice(/^READY=1$/m);
            await sleep(1600);
            const before_hold = manager.notices(fed);
            assert.ok(before_hold >= 4, `${before_hold} in two periods`);
            const gaps = manager.events.filter((each) => fed.test(each.text)).map((each) => each.at_ms);
            assert.ok(gaps.every((at, i) => i === 0 || at - gaps[i - 1] < 800 * patience), `${gaps}: the manager would have lost patience`);
            manager.say('hold worker-1');
            const held = await manager.wait((each) => each.event === 'held' || each.event === 'refused');
            if (held.event === 'refused') return assert.ok(/permitted/.test(held.why), held.why); // no ptrace here: nothing can be held
            await sleep(250);
            const from = manager.events.length;
            await sleep(1200);
            assert.equal(manager.notices(fed, from), 0, 'fed although worker-1 does not turn');
            const port = await manager.port();
            const other = await RawClient.open(port);
            other.destroy();
            manager.say('release');
            await manager.notice(fed, from);
            assert.match(manager.log, /msg="a worker does not turn"[^\n]*worker 1\b/);
        }));

        it('is not fed by a process that is stopped', () => with_manager(['--watchdog', '400000'], async (manager) => {
            manager.say('start');
            await manager.notice(fed);
            manager.say('signal SIGSTOP');
            await sleep(150);
            const from = manager.events.length;
            await sleep(700);
            assert.equal(manager.notices(fed, from), 0);
            manager.say('signal SIGCONT');
            await manager.notice(fed, from);
        }));

        it('goes on while streams finish after SIGTERM, and asks for patience around a reload', () => with_manager(['--watchdog', '400000'], async (manager) => {
            manager.say('start');
            await manager.notice(/^READY=1$/m);
            let from = manager.events.length;
            manager.say('signal SIGHUP');
            assert.match((await manager.notice(/^RELOADING=1$/m, from)).text, /^WATCHDOG_USEC=600000000$/m);
            assert.match((await manager.notice(/^READY=1$/m, from)).text, /^WATCHDOG_USEC=400000$/m);
            const client = await RawClient.open(await manager.port());
            await client.send('POST', chat, { body: { ...question, model: 'c/count,count=30,pace_ms=50' } });
            await sleep(200);
            from = manager.events.length;
            manager.say('signal SIGTERM');
            await manager.notice(/^STOPPING=1$/m, from);
            await client.next();
            assert.ok(manager.notices(fed, from) >= 3);
            assert.equal((await manager.wait((each) => each.event === 'exit', from)).code, 0);
        }));

        it('meant for another process is left alone', () => with_manager(['--watchdog', '200000', '--wrong-pid'], async (manager) => {
            manager.say('start');
            await manager.notice(/^READY=1$/m);
            await sleep(400);
            assert.equal(manager.notices(/WATCHDOG/), 0);
        }));
    });

    describe('a socket that is handed over', () => {
        const start = async (manager) => {
            const from = manager.log.length;
            manager.say('start');
            await manager.notice(/^READY=1$/m);
            return manager.port(from);
        };

        it('is used instead of the address, by all workers alike', () => with_manager(['--socket', '127.0.0.1'], async (manager) => {
            const port = await start(manager);
            assert.equal(port, manager.events.find((each) => each.event === 'socket').port);
            assert.match(manager.log, /msg=listening [^\n]*workers=3 [^\n]*socket=inherited/);
            const clients = [];
            for (let at = 0; at < 30; at++) clients.push(await RawClient.open(port));
            await sleep(100);
            const { streams } = JSON.parse((await exchange(port, 'GET', '/debug/streams')).text);
            const shares = [0, 1, 2].map((worker) => streams.filter((each) => each.worker === worker).length);
            assert.ok(Math.min(...shares) >= 10, `connections gather: ${shares}`);
            clients.forEach((client) => client.destroy());
        }, { penstock: { workers: 3 } }));

        it('a crowd that comes at once is served, each exactly once', () => with_manager(['--socket', '127.0.0.1'], async (manager) => {
            const port = await start(manager);
            const statuses = await Promise.all(Array.from({ length: 300 }, () => exchange(port, 'POST', chat, { body: { ...question, model: 'c/text' } }).then((response) => response.status)));
            assert.deepEqual([...new Set(statuses)], [200]);
            const text = (await exchange(port, 'GET', '/metrics')).text;
            const accepted = text.split('\n').filter((line) => line.startsWith('penstock_accepts_total')).reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
            assert.ok(accepted >= 301 && accepted < 301 + 10 + 300, `${accepted} accepted`); // the demo has none here
        }, { penstock: { workers: 4 } }));

        it('keeps who waits in it while the service is restarted', () => with_manager(['--socket', '127.0.0.1'], async (manager) => {
            const port = await start(manager);
            let from = manager.events.length;
            manager.say('signal SIGTERM');
            await manager.wait((each) => each.event === 'exit', from);
            const waiting = Array.from({ length: 5 }, () => exchange(port, 'GET', '/health/live'));
            await sleep(200);
            from = manager.events.length;
            manager.say('start');
            await manager.notice(/^READY=1$/m, from);
            for (const response of await Promise.all(waiting)) assert.equal(response.status, 200);
        }));

        it('beyond loopback it asks for a key all the same', async () => {
            for (const [args, code] of [[[], 1], [['--allow-open'], null]]) {
                await with_manager(['--socket', '0.0.0.0'], async (manager) => {
                    manager.say('start');
                    if (code === null) return manager.notice(/^READY=1$/m);
                    assert.equal((await manager.wait((each) => each.event === 'exit')).code, code);
                    assert.match(manager.log, /handed over can be reached by others and no client key is set/);
                    assert.equal(manager.notices(/READY/), 0);
                }, {}, { args });
            }
        });

        it('of several the one named penstock is taken, and none is an error', async () => {
            await with_manager(['--socket', '127.0.0.1=admin', '--socket', '127.0.0.1=penstock'], async (manager) => {
                const port = await start(manager);
                const ports = manager.events.filter((each) => each.event === 'socket').map((each) => each.port);
                assert.equal(port, ports[1]);
                assert.equal((await exchange(port, 'GET', '/health/live')).status, 200);
            });
            for (const [words, why] of [
                [['--socket', '127.0.0.1', '--socket', '127.0.0.1'], /2 sockets were handed over and none is named penstock/],
                [['--socket', 'udp:127.0.0.1'], /not a TCP socket that listens/],
            ]) {
                await with_manager(words, async (manager) => {
                    manager.say('start');
                    assert.equal((await manager.wait((each) => each.event === 'exit')).code, 1);
                    assert.match(manager.log, why);
                });
            }
        });

        it('meant for another process is left alone', () => with_manager(['--socket', '127.0.0.1', '--wrong-pid'], async (manager) => {
            const port = await start(manager);
            assert.notEqual(port, manager.events.find((each) => each.event === 'socket').port);
        }));

        it('after SIGTERM those that come are answered, not lost between workers', () => with_manager(['--socket', '127.0.0.1'], async (manager) => {
            const port = await start(manager);
            const client = await RawClient.open(port);
            await client.send('POST', chat, { body: { ...question, model: 'c/count,count=20,pace_ms=50' } });
            await sleep(200);
            manager.say('signal SIGTERM');
            await manager.notice(/^STOPPING=1$/m);
            for (let at = 0; at < 4; at++) assert.equal((await exchange(port, 'GET', '/health/ready')).status, 503);
            await client.next();
            await manager.wait((each) => each.event === 'exit');
            assert.ok(await new Promise((resolve) => net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))), 'the manager still listens');
        }));
    });
});
