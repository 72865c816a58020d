// SPDX-License-Identifier: MIT
//
// load - the load tools: a sound provider passes, directly, through the floor and through the gateway in every pair of
// dialects; what is wrong is found and called by its name. Without that their figures would mean nothing.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { make_ca, make_certificate } from '../../tools/fake_provider/certificates.mjs';
import { all_well, loadgen, LoadTool } from './lib/load.mjs';
import { binary, gateway_config, Penstock, slow_build, upstreams } from './lib/penstock.mjs';

const dialects = ['chat', 'anthropic', 'responses', 'gemini'];
const whole_and_streamed = ['--whole', '--stream'];

describe('load tools', () => {
    const any = '127.0.0.1:0';
    let provider;
    let floor;
    let direct;
    let through;
    before(async () => {
        provider = await LoadTool.start('load_provider', ['--listen', `${any},127.0.0.2:0`]);
        floor = await LoadTool.start('relay_floor', ['--listen', any, '--upstream', `127.0.0.1:${provider.ports[0]}`]);
        direct = ['--target', `http://127.0.0.1:${provider.ports[0]}`];
        through = ['--target', `http://127.0.0.1:${floor.ports[0]}`];
    });
    after(async () => {
        await floor?.stop();
        await provider?.stop();
    });

    for (const dialect of dialects) {
        for (const how of whole_and_streamed) {
            it(`${dialect} ${how}: paced, in bursts and as fast as can be`, async () => {
                const args = ['--dialect', dialect, how, '--streams', '10'];
                all_well(await loadgen([...direct, ...args, '--model', 'load-e20-i2-z64']), 10, 20);
                all_well(await loadgen([...through, ...args, '--model', 'load-e20-i2-b7-z200-w5', '--requests', '20']), 20, 20);
                all_well(await loadgen([...through, ...args, '--model', 'load-e1000-i0-z32', '--requests', '30']), 30, 1000);
                all_well(await loadgen([...direct, ...args, '--model', 'load-e3-k', '--requests', '30', '--body-bytes', '200000', '--header', 'X-A: b']), 30, 3);
                all_well(await loadgen([...direct, ...args, '--model', 'load-e50-i0-s']), 10, 50);
            });
        }
    }

    const relay_uring = path.resolve(path.dirname(binary), '..', 'tools', 'relay_uring');
    for (const how of [['single'], ['single', '--registered'], ['multi'], ['multi', '--registered']]) {
        it(`relay_uring --style ${how.join(' ')} loses nothing`, { skip: fs.existsSync(relay_uring) ? false : 'built without io_uring' }, async () => {
            const relay = await LoadTool.start('relay_uring', ['--listen', any, '--upstream', `127.0.0.1:${provider.ports[0]}`, '--style', ...how]);
            const args = ['--target', `http://127.0.0.1:${relay.ports[0]}`, '--dialect', 'chat', '--stream', '--streams', '10'];
            all_well(await loadgen([...args, '--model', 'load-e20-i2-z64']), 10, 20);
            all_well(await loadgen([...args, '--model', 'load-e1000-i0-z32', '--requests', '30']), 30, 1000);
            all_well(await loadgen([...args, '--model', 'load-e3', '--requests', '50', '--body-bytes', '200000', '--new-connections']), 50, 3);
            await relay.stop();
        });
    }

    const faults = {
        lose: 'lost', double: 'duplicated', swap: 'reordered', cross: 'crossed', noend: 'no_end', twoends: 'two_ends', cut: 'cut', reset: 'reset',
        error: 'error_event', stall: 'timeout', 500: 'status', 429: 'status',
    };
    const streamed_only = ['twoends', 'error'];
    describe('faults', { concurrency: 8 }, () => {
        for (const dialect of dialects) {
            for (const how of whole_and_streamed) {
                it(`${dialect} ${how}: each fault is found`, async () => {
                    await Promise.all(Object.entries(faults).map(async ([fault, name], at) => {
                        if (how === '--whole' && streamed_only.includes(fault)) return;
                        const model = `load-e9-i${at % 2}-x${fault}`;
                        const result = await loadgen([...direct, '--dialect', dialect, how, '--model', model, '--streams', '3', '--timeout', '1']);
                        assert.equal(result.code, 1, fault);
                        // The second ending of a dialect may consist of several events.
                        const others = Object.keys(result.errors).filter((each) => each !== name && !(fault === 'twoends' && each === 'after_end'));
                        assert.deepEqual([others, result.errors[name] >= 3], [[], true], `${fault}: ${JSON.stringify(result.errors)} ${result.first_error}`);
                    }));
                });
            }
        }
    });

    it('measures what it says: waits, intervals, the first text, the whole answer', async () => {
        const paced = await loadgen([...direct, '--model', 'load-e6-i40-w100', '--streams', '4']);
        all_well(paced, 4, 6);
        assert.ok(paced.first_ns.p50 >= 100e6, JSON.stringify(paced.first_ns));
        assert.ok(paced.request_ns.p50 - paced.first_ns.max >= 150e6, JSON.stringify(paced));
        assert.ok(paced.latency_ns.p50 > 0 && paced.latency_ns.p50 < 100e6, JSON.stringify(paced.latency_ns));
        assert.deepEqual([paced.latency_ns.count, paced.first_ns.count, paced.request_ns.count, paced.connects], [24, 4, 4, 4]);
        const fresh = await loadgen([...direct, '--model', 'load-e1', '--whole', '--new-connections', '--streams', '3', '--requests', '30']);
        all_well(fresh, 30, 1);
        assert.ok(fresh.connects >= 30 && fresh.connects <= 33, JSON.stringify(fresh));
    });

    it('spreads the events of many streams over their interval', async () => {
        const started = Date.now();
        const result = await loadgen([...direct, '--model', 'load-e4-i400', '--streams', '200', '--ramp', '0']);
        all_well(result, 200, 4);
        // Starting together, first texts come from now to an interval later, a quarter of them in each quarter.
        assert.ok(result.first_ns.max > 300e6 && result.first_ns.p50 > 100e6 && result.first_ns.p50 < 350e6, JSON.stringify(result.first_ns));
        assert.ok(Date.now() - started >= 1200);
    });

    it('slow readers, early leavers and idle connections disturb nobody, and are counted', async () => {
        const result = await loadgen([...through, '--model', 'load-e300-i2', '--streams', '10', '--slow', '5', '--slow-ms', '20', '--leave-early', '5', '--idle', '7', '--seconds', '2']);
        assert.deepEqual([result.code, result.errors, result.slow_errors], [0, {}, {}]);
        assert.ok(result.requests >= 10 && result.left_early >= 10 && result.slow_events >= 5, JSON.stringify(result));
        assert.deepEqual([result.idle, result.idle_cut], [7, 0]);
    });

    it('holds streams until it is told to end, and says how far it is', async () => {
        const file = path.join(os.tmpdir(), `loadgen-${process.pid}.json`);
        const held = await LoadTool.start('loadgen', [...through, '--model', 'load-e1000-i1000-w1', '--hold', '--streams', '50', '--json', file]);
        held.child.kill('SIGUSR1');
        await held.until(/"begun": 50\b/);
        await held.stop();
        const result = JSON.parse(fs.readFileSync(file, 'utf8'));
        fs.rmSync(file);
        assert.deepEqual([result.unfinished, result.wrong], [50, 0]);
    });

    it('a target that is not there is an error, not an endless wait', async () => {
        const result = await loadgen(['--target', 'http://127.0.0.3:9', '--model', 'x', '--streams', '2']);
        assert.deepEqual([result.code, Object.keys(result.errors)], [1, ['connect']]);
    });

    it('a kept upstream connection of the floor serves the next client', async () => {
        const keeping = await LoadTool.start('relay_floor', ['--listen', any, '--upstream', `127.0.0.1:${provider.ports[0]}`, '--keep', '4']);
        all_well(await loadgen(['--target', `http://127.0.0.1:${keeping.ports[0]}`, '--model', 'load-e3', '--new-connections', '--streams', '4', '--requests', '100']), 100, 3);
        await keeping.stop();
    });

    it('thousands of streams, from and to several addresses, lose nothing', async () => {
        const count = slow_build ? 500 : 4000;
        const result = await loadgen(['--target', provider.ports.map((port, at) => `http://127.0.0.${at + 1}:${port}`).join(), '--from', '127.0.0.3,127.0.0.4',
            '--model', 'load-e5-i200', '--streams', String(count)]);
        all_well(result, count, 5);
    });

    it('every client dialect and every upstream dialect, through the gateway', async () => {
        const penstock = await Penstock.start(gateway_config(`http://127.0.0.1:${provider.ports[0]}`));
        const target = ['--target', penstock.url, '--streams', '5'];
        for (const dialect of dialects) {
            for (const { prefix } of upstreams) {
                for (const how of whole_and_streamed) {
                    all_well(await loadgen([...target, '--dialect', dialect, how, '--model', `${prefix}load-e50-i0-z64`, '--requests', '20']), 20, 50);
                }
                all_well(await loadgen([...target, '--dialect', dialect, '--model', `${prefix}load-e10-i3`]), 5, 10);
            }
        }
        await penstock.stop();
    });

    it('faults of an upstream are no lies of the gateway: what was lost on the way is told as an error', async () => {
        const penstock = await Penstock.start(gateway_config(`http://127.0.0.1:${provider.ports[0]}`));
        for (const dialect of dialects) {
            for (const fault of ['cut', 'reset', 'noend']) {
                const result = await loadgen(['--target', penstock.url, '--dialect', dialect, '--model', `c/load-e9-i1-x${fault}`, '--streams', '3']);
                assert.deepEqual([result.code, Object.keys(result.errors)], [1, ['error_event']], `${dialect} ${fault}: ${result.first_error}`);
            }
        }
        await penstock.stop();
    });

    describe('TLS', () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-load-'));
        let secure;
        let ca;
        let certificate;
        before(async () => {
            ca = make_ca(folder);
            certificate = make_certificate(folder, 'server');
            secure = await LoadTool.start('load_provider', ['--listen', any, '--tls', certificate.cert_file, certificate.key_file]);
        });
        after(async () => {
            await secure?.stop();
            fs.rmSync(folder, { recursive: true, force: true });
        });

        it('to the provider, in every dialect', async () => {
            const target = ['--target', `https://127.0.0.1:${secure.ports[0]}`, '--tls', '--ca', ca];
            for (const dialect of dialects) {
                for (const how of whole_and_streamed) all_well(await loadgen([...target, '--dialect', dialect, how, '--model', 'load-e200-i0', '--streams', '4', '--requests', '8']), 8, 200);
            }
            all_well(await loadgen([...target, '--model', 'load-e20-i5', '--streams', '20', '--name', 'localhost']), 20, 20);
            all_well(await loadgen([...target, '--model', 'load-e2', '--streams', '4', '--requests', '12', '--new-connections', '--body-bytes', '100000']), 12, 2);
            const left = await loadgen([...target, '--model', 'load-e400-i2', '--streams', '2', '--leave-early', '4', '--slow', '2', '--seconds', '2']);
            assert.deepEqual([left.code, left.errors, left.slow_errors], [0, {}, {}]);
            assert.ok(left.left_early > 4 && left.slow_events > 0, JSON.stringify(left));
        });

        it('a certificate that is not trusted, or for another name, is refused', async () => {
            const target = ['--target', `https://127.0.0.1:${secure.ports[0]}`, '--model', 'load-e2', '--tls'];
            for (const wrong of [[], ['--ca', ca, '--name', 'other.example']]) {
                const result = await loadgen([...target, ...wrong]);
                assert.deepEqual([result.code, Object.keys(result.errors)], [1, ['connect']], result.first_error);
            }
        });

        it('on both sides of the gateway', async () => {
            const penstock = await Penstock.start(gateway_config(`https://127.0.0.1:${secure.ports[0]}`, {
                penstock: { tls: { ca_file: ca }, listen: { tls_certificate: certificate.cert_file, tls_key: certificate.key_file } },
            }));
            const target = ['--target', `https://127.0.0.1:${penstock.port}`, '--tls', '--ca', ca];
            all_well(await loadgen([...target, '--model', 'c/load-e50-i2', '--streams', '10']), 10, 50);
            all_well(await loadgen([...target, '--dialect', 'anthropic', '--model', 'c/load-e500-i0', '--streams', '4', '--requests', '8']), 8, 500);
            await penstock.stop();
        });
    });
});
