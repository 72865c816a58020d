// SPDX-License-Identifier: MIT
//
// memory - what many quiet streams cost, and that it goes back to the system when they end.

import fs from 'node:fs';
import http from 'node:http';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { exchange, sleep } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const count = 1000;
const stream_bytes_max = 6144; // some 5150 are measured; a plain configuration and ten times as many need 4050
const left_bytes_max = 2560 * 1024;

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
        for (let at = 0; at < 20; at++) (await open_one(world.penstock.port)).destroy();
        await sleep(2500);
        const before = own_bytes(world.penstock.pid);
        const open = [];
        while (open.length < count) open.push(...await Promise.all(Array.from({ length: 30 }, () => open_one(world.penstock.port))));
        await sleep(2500);
        const each = (own_bytes(world.penstock.pid) - before) / count;
        for (const request of open) request.destroy();
        const until = Date.now() + 15000;
        while (own_bytes(world.penstock.pid) - before > left_bytes_max && Date.now() < until) await sleep(250);
        const left = own_bytes(world.penstock.pid) - before;
        const metrics = (await exchange(world.penstock.port, 'GET', '/metrics')).text;
        process.stdout.write(`  ${each.toFixed(0)} bytes for each of ${count} quiet streams, ${(left / 1024).toFixed(0)} KiB left when they had gone\n`);
        assert.ok(each < stream_bytes_max, `${each} bytes each`);
        assert.ok(left <= left_bytes_max, `${left} bytes left`);
        assert.match(metrics, /^penstock_memory_trims_total [1-9]/m);
        assert.match(metrics, /^penstock_request_blocks\{worker="0"\} \d+$/m);
    });
});
