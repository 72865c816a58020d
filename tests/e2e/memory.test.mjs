// SPDX-License-Identifier: MIT
//
// memory - what many quiet streams cost, and that it goes back to the system when they end.

import fs from 'node:fs';
import http from 'node:http';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { exchange, sleep } from './lib/raw.mjs';
import { sample } from './lib/hostile.mjs';
import { in_world } from './lib/world.mjs';

const count = 1000;
const stream_bytes_max = 6144; // some 5150 are measured; a plain configuration and ten times as many need 4050
const left_bytes_max = 2560 * 1024;
const used_bytes_max = 32 * 1024; // some 4 are measured; 32 for each stream is less than the smallest thing that one has

/* used_bytes - what is allocated now, asked for when it has become quiet. */
async function used_bytes(port) {
    await sleep(6000);
    return sample((await exchange(port, 'GET', '/metrics')).text, 'penstock_memory_used_bytes');
}

/* own_bytes - memory that is the process's alone; the program's text does not blur it. */
function own_bytes(pid) {
    return Number(/^Pss_Anon:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
}

/* open_one - a stream whose first event has come and whose next is a minute away. */
function open_one(port) {
    return new Promise((resolve, reject) => {
        const body = JSON.stringify({ model: 'c/count,count=3,pace_ms=60000', stream: true, messages: [{ role: 'user', content: 'x' }] });
        const request = http.request({ agent: false, host: '127.0.0.1', port, path: '/v1/chat/completions', method: 'POST', headers: { 'content-length': body.length } }, (response) => {
            response.once('data', () => resolve(request));
            response.on('error', () => {});
        });
        request.on('error', reject);
        request.end(body);
    });
}

in_world('memory', {}, (world) => {
    it('a quiet stream costs little, and nothing when it has ended', async () => {
        const { port, pid } = world.penstock;
        for (let at = 0; at < 20; at++) (await open_one(port)).destroy();
        await sleep(2500);
        const before = own_bytes(pid);
        const used = [];
        for (let wave = 0; wave < 3; wave++) {
            const open = [];
            while (open.length < count) open.push(...await Promise.all(Array.from({ length: 30 }, () => open_one(port))));
            await sleep(2500);
            const each = (own_bytes(pid) - before) / count;
            for (const request of open) request.destroy();
            const until = Date.now() + 15000;
            while (own_bytes(pid) - before > left_bytes_max && Date.now() < until) await sleep(250);
            const left = own_bytes(pid) - before;
            used.push(await used_bytes(port));
            process.stdout.write(`  ${each.toFixed(0)} bytes for each of ${count} quiet streams, ${(left / 1024).toFixed(0)} KiB left when they had gone, ${used.at(-1)} bytes allocated\n`);
            assert.ok(wave > 0 || each < stream_bytes_max, `${each} bytes each`); // later ones lie between what the first left
            assert.ok(left <= left_bytes_max, `${left} bytes left`);
        }
        // The first wave leaves tables and pools as large as it needed; after that nothing may be added.
        assert.ok(used[1] > 65536, `${used[1]} bytes allocated`);
        assert.ok(used[2] - used[1] <= used_bytes_max, `${used} bytes are allocated after each wave`);
        const metrics = (await exchange(port, 'GET', '/metrics')).text;
        assert.match(metrics, /^penstock_memory_trims_total [1-9]/m);
        assert.match(metrics, /^penstock_request_blocks\{worker="0"\} \d+$/m);
    });

    it('large requests leave nothing behind', async () => {
        const { port, pid } = world.penstock;
        const body = JSON.stringify({ model: 'nobody', messages: [{ role: 'user', content: 'x'.repeat(12 << 20) }] });
        await sleep(2500);
        const before = own_bytes(pid);
        for (let at = 0; at < 6; at++) assert.equal((await exchange(port, 'POST', '/v1/chat/completions', { body })).status, 404);
        await sleep(2500);
        const left = own_bytes(pid) - before;
        process.stdout.write(`  ${(left / 1024).toFixed(0)} KiB left when six requests of 12 MiB were answered\n`);
        assert.ok(left <= 9 << 20, `${left} bytes left`); // glibc by itself keeps one of them in each worker that had two
    });
});
