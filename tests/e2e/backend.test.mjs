// SPDX-License-Identifier: MIT
//
// backend - the kernel interface that was asked for, and what serves where the kernel, a container's filter or the build refuses
// it (issue, io_uring backend).

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock, repository } from './lib/penstock.mjs';
import { exchange } from './lib/raw.mjs';

const chat = '/v1/chat/completions';
const question = { model: 'c/text', stream: true, max_tokens: 20, messages: [{ role: 'user', content: 'x' }] };
const refuse = ['python3', path.join(repository, 'tests', 'e2e', 'lib', 'refuse.py')];
const may_filter = spawnSync(refuse[0], [refuse[1], 'EPERM', '425', 'true']).status === 0;
const setup = '425'; // io_uring_setup, io_uring_enter and io_uring_register have these numbers on every architecture
const enter = '426';
const all = '425,426,427';

describe('kernel interface', { concurrency: 2 }, () => {
    let provider;
    let without = ''; // why io_uring cannot be had here at all; "" where it can
    before(async () => {
        provider = await new FakeProvider().start();
        const penstock = await start('auto');
        without = /msg="io_uring not available"[^\n]*detail="([^"]*); using epoll"/.exec(penstock.log)?.[1] ?? '';
        assert.equal(without === '', / io=io_uring /.test(penstock.log), 'either it is used, or the log says why not');
        await penstock.stop();
    });
    after(async () => { await provider.stop(); });

    async function start(wanted, options = {}) {
        // What the environment asks for goes before the file; here the file shall have its say.
        const env = { PENSTOCK_IO_BACKEND: wanted };
        return Penstock.start(gateway_config(provider.url, { penstock: { workers: 2, io_backend: wanted } }), { env, backend: 'auto', ...options });
    }

    /* serves - streams and whole answers pass, and the log has so many lines on io_uring, each matching. */
    async function serves(penstock, lines, pattern) {
        try {
            for (const stream of [true, false, true]) {
                const answer = await exchange(penstock.port, 'POST', chat, { body: { ...question, stream } });
                assert.equal(answer.status, 200);
            }
            const told = penstock.log.split('\n').filter((line) => /io_uring/.test(line));
            assert.equal(told.length, lines, told.join('\n'));
            for (const line of told) assert.match(line, pattern);
        } finally {
            await penstock.stop();
        }
    }

    it('epoll is used without a word', async () => serves(await start('epoll', { backend: 'epoll' }), 0));

    it('io_uring is used where it can be had, else one line says why not', async () => {
        const penstock = await start('io_uring', { backend: without ? 'epoll' : 'io_uring' });
        await serves(penstock, 1, without ? /level=warn .*io_uring not available.*; using epoll/ : /msg=listening .*io=io_uring /);
    });

    const refusals = [
        ['EPERM', all, /Operation not permitted/], // a container's filter; kernel.io_uring_disabled
        ['ENOSYS', all, /Function not implemented/], // a kernel or a runtime without it
        ['EPERM', setup, /Operation not permitted/],
        ['EPERM', enter, /Operation not permitted/],
        ['ENOMEM', setup, /Cannot allocate memory/], // locked memory on old kernels
    ];
    for (const [name, calls, why] of refusals) {
        for (const [wanted, level] of [['io_uring', 'warn'], ['auto', 'info']]) {
            it(`${wanted}: ${name} of ${calls}: one line, and epoll serves`, { skip: may_filter ? false : 'no seccomp filter here' }, async () => {
                const penstock = await start(wanted, { backend: 'epoll', under: [...refuse, name, calls] });
                const reason = without || why.source;
                await serves(penstock, 1, new RegExp(`level=${level} .*io_uring not available.*${reason}; using epoll`));
            });
        }
    }
});
