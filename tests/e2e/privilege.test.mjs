// SPDX-License-Identifier: MIT
//
// privilege - what is left of root when penstock was started as root (issue, hardening).

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawn, spawnSync } from 'node:child_process';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { make_ca, make_certificate } from '../../tools/fake_provider/certificates.mjs';
import { binary, gateway_config, Penstock } from './lib/penstock.mjs';
import { exchange, sleep } from './lib/raw.mjs';

const chat = '/v1/chat/completions';
const question = { model: 'c/text', stream: true, max_tokens: 20, messages: [{ role: 'user', content: 'x' }] };
const root = process.getuid() === 0;
const nobody = root ? Number(/^nobody:[^:]*:(\d+):/m.exec(fs.readFileSync('/etc/passwd', 'utf8'))?.[1] ?? 65534) : 0;

/* May this root become somebody else at all? In some namespaces there is nobody else. */
const may_change = root && spawnSync('python3', ['-c', `import os; os.setgroups([]); os.setgid(${nobody}); os.setuid(${nobody})`]).status === 0;

/* of - the lines of /proc/PID/status for every thread: what holds for one only is worth nothing. */
function of(pid) {
    return fs.readdirSync(`/proc/${pid}/task`).map((tid) => Object.fromEntries(fs.readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8').split('\n').map((line) => {
        const [name, ...rest] = line.split(':');
        return [name, rest.join(':').trim().split(/\s+/)];
    })));
}

function capabilities(status) {
    return Object.fromEntries(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => [name, BigInt(`0x${status[name][0]}`)]));
}

const files_only = 1n << 1n | 1n << 2n; // CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH

describe('started as root', { skip: root ? false : 'not root' }, () => {
    let provider;
    let folder;
    before(async () => {
        provider = await new FakeProvider().start();
        folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-root-'));
        fs.chmodSync(folder, 0o755);
    });
    after(async () => {
        await provider.stop();
        fs.rmSync(folder, { recursive: true, force: true });
    });
    const works = async (penstock) => assert.equal((await exchange(penstock.port, 'POST', chat, { body: question })).status, 200);
    const write = (name, text, uid, mode) => {
        const file = path.join(folder, name);
        fs.writeFileSync(file, text);
        fs.chownSync(file, uid, uid);
        fs.chmodSync(file, mode);
        return file;
    };

    it('without penstock.user it says so, keeps files and gives up the rest, in every thread', async () => {
        const key_file = write('others_key', 'sk-of-somebody-else\n', nobody, 0o600);
        const config = (model) => gateway_config(provider.url, { model_list: [{ model_name: model, litellm_params: { model: 'openai/text', api_base: `${provider.url}/v1`, api_key: `file:${key_file}` } }] });
        const penstock = await Penstock.start(config('before'));
        try {
            assert.match(penstock.log, /level=warn msg="running as root" detail="penstock\.user /);
            const may_bound = capabilities(of('self')[0]).CapEff >> 8n & 1n; // CAP_SETPCAP
            for (const status of of(penstock.pid)) {
                assert.deepEqual(status.Uid, ['0', '0', '0', '0']);
                assert.deepEqual(status.NoNewPrivs, ['1'], status.Name[0]);
                const has = capabilities(status);
                for (const name of ['CapPrm', 'CapEff', ...(may_bound ? ['CapBnd'] : [])]) assert.equal(has[name] & ~files_only, 0n, `${name} of ${status.Name[0]}`);
                assert.equal(has.CapInh | has.CapAmb, 0n);
            }
            // What could be read at the start can be read at a reload, whoever owns it.
            fs.writeFileSync(penstock.config_path, JSON.stringify(config('after')));
            fs.chownSync(penstock.config_path, nobody, nobody);
            penstock.signal('SIGHUP');
            await penstock.wait_log(/msg=reloaded/);
            assert.equal((await exchange(penstock.port, 'POST', chat, { body: { ...question, model: 'after' } })).status, 200);
            assert.doesNotMatch(penstock.log, /sk-of-somebody-else/);
        } finally {
            await penstock.stop();
        }
    });

    it('penstock.user: root is root without the warning', async () => {
        const penstock = await Penstock.start(gateway_config(provider.url, { penstock: { user: 'root', workers: 1 } }));
        assert.doesNotMatch(penstock.log, /running as root/);
        assert.equal(of(penstock.pid).some((status) => (capabilities(status).CapEff & ~files_only) !== 0n), false);
        await penstock.stop();
    });

    describe('penstock.user', { skip: may_change ? false : 'there is nobody else to become' }, () => {
        const as = (user, sections = {}) => gateway_config(provider.url, { penstock: { user, workers: 2, ...sections } });

        for (const [user, uid, gid] of [['nobody', nobody, null], ['12345', 12345, 12345], ['12345:54321', 12345, 54321], [`${nobody}:root`, nobody, 0]]) {
            it(`becomes ${user}: user, groups, capabilities and core files of every thread`, async () => {
                const penstock = await Penstock.start(as(user));
                try {
                    for (const status of of(penstock.pid)) {
                        assert.deepEqual(status.Uid, Array(4).fill(String(uid)), status.Name[0]);
                        if (gid !== null) assert.deepEqual(status.Gid, Array(4).fill(String(gid)));
                        else assert.notEqual(status.Gid[0], '0');
                            assert.deepEqual(status.NoNewPrivs, ['1']);
                        const has = capabilities(status);
                        for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.equal(has[name], 0n, name);
                    }
                    assert.equal(fs.statSync(`/proc/${penstock.pid}/environ`).uid, 0, 'dumpable: a core file would hold keys');
                    await works(penstock);
                    const metrics = (await exchange(penstock.port, 'GET', '/metrics')).text;
                    assert.ok(Number(/^process_open_fds (\d+)$/m.exec(metrics)[1]) > 5, 'its own figures can be read');
                } finally {
                    await penstock.stop();
                }
            });
        }

        it('ports under 1024 and keys that only root can read are taken before', async () => {
            make_ca(folder);
            const server = make_certificate(folder, 'server');
            fs.chmodSync(server.key_file, 0o600);
            const secret = write('root_key', 'sk-root-only\n', 0, 0o600);
            const config = as('nobody', { keys: [`file:${secret}`], listen: { tls_certificate: server.cert_file, tls_key: server.key_file } });
            const port = await free_low_port();
            const penstock = await Penstock.start(config, { args: ['--port', String(port)] });
            try {
                assert.equal(penstock.port, port);
                const options = { tls: { ca: fs.readFileSync(path.join(folder, 'ca.pem')), servername: 'localhost' } };
                const response = await exchange(penstock.port, 'POST', chat, { body: question, headers: { authorization: 'Bearer sk-root-only' } }, options);
                assert.equal(response.status, 200, response.text);
                for (const file of [secret, server.key_file, penstock.config_path]) {
                    assert.ok(penstock.log.includes(`msg="a reload will fail" detail="${file} can not be read as nobody: Permission denied"`), `${file}: ${penstock.log}`);
                }
                // It does fail, it is said, and what was there goes on.
                penstock.signal('SIGHUP');
                await penstock.wait_log(/msg="reload refused"/);
                assert.equal((await exchange(penstock.port, 'GET', '/health/live', {}, options)).status, 200);
            } finally {
                await penstock.stop();
            }
        });

        it('a configuration that the user can read is read anew, and its log file is opened anew', async () => {
            const home = path.join(folder, 'home');
            fs.mkdirSync(home);
            fs.chownSync(home, nobody, nobody);
            const config_path = write('home/penstock.yaml', JSON.stringify(as('nobody', { log: { file: `${home}/penstock.log` } })), nobody, 0o600);
            const penstock = await start_with_file(config_path, `${home}/penstock.log`);
            try {
                const log = () => fs.readFileSync(`${home}/penstock.log`, 'utf8');
                assert.doesNotMatch(log(), /a reload will fail/);
                for (const status of of(penstock.child.pid)) assert.deepEqual(status.Groups, [''], 'supplementary groups');
                assert.equal(fs.statSync(`${home}/penstock.log`).uid, nobody, 'the log is opened as the user');
                fs.renameSync(`${home}/penstock.log`, `${home}/old.log`);
                penstock.child.kill('SIGHUP');
                for (let at = 0; at < 200 && !(fs.existsSync(`${home}/penstock.log`) && /msg=reloaded/.test(log())); at++) await sleep(25);
                assert.match(log(), /msg=reloaded/);
            } finally {
                penstock.child.kill('SIGTERM');
                await penstock.exited;
            }
        });

        it('a log file that the user may not write is an error at the start, not later', () => {
            const config_path = write('shut.yaml', JSON.stringify(as('nobody', { log: { file: `${folder}/penstock.log` } })), 0, 0o600);
            const result = spawnSync(binary, ['serve', '--config', config_path, '--port', '0'], { encoding: 'utf8', timeout: 20_000 });
            assert.equal(result.status, 1);
            assert.match(result.stderr, /can not open the log file [^\n]*: Permission denied/);
        });

        for (const [user, why] of [['no-such-user', /\/etc\/passwd knows no user no-such-user/], ['nobody:no-such-group', /\/etc\/group knows no group no-such-group/], ['4294967295', /4294967295 is no user's number/]]) {
            it(`refuses to start as ${user}`, () => {
                const config_path = write('wrong.yaml', JSON.stringify(as(user)), 0, 0o600);
                const result = spawnSync(binary, ['serve', '--config', config_path, '--port', '0'], { encoding: 'utf8', timeout: 20_000 });
                assert.equal(result.status, 1, result.stderr);
                assert.match(result.stderr, why);
                assert.doesNotMatch(result.stderr, /msg=listening/);
            });
        }

        it('without root it has no effect, and says so', () => {
            const config_path = write('plain.yaml', JSON.stringify(as('daemon')), nobody, 0o600);
            const copy = path.join(folder, 'penstock');
            fs.copyFileSync(binary, copy);
            fs.chmodSync(copy, 0o755);
            const result = spawnSync('timeout', ['1', copy, 'serve', '--config', config_path, '--port', '0'], { encoding: 'utf8', timeout: 20_000, uid: nobody, gid: nobody });
            assert.match(result.stderr, new RegExp(`msg="penstock.user has no effect" detail="not started as root but as user ${nobody}"`));
            assert.match(result.stderr, /msg=listening/);
        });
    });

    async function free_low_port() {
        for (let port = 700; port < 1000; port++) {
            const used = spawnSync('python3', ['-c', `import socket; socket.socket().bind(("127.0.0.1", ${port}))`]).status !== 0;
            if (!used) return port;
        }
        throw new Error('no port under 1024 is free');
    }

    async function start_with_file(config_path, log_path) {
        // With groups that must go: the tests' own root may have none.
        const child = spawn('setpriv', ['--groups', '4,24', binary, 'serve', '--config', config_path, '--port', '0'], { stdio: 'ignore' });
        const exited = new Promise((resolve) => child.on('exit', resolve));
        for (let at = 0; at < 400 && !(fs.existsSync(log_path) && /msg=listening/.test(fs.readFileSync(log_path, 'utf8'))); at++) await sleep(25);
        return { child, exited };
    }
});
