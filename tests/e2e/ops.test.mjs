// SPDX-License-Identifier: MIT
//
// ops - running it: health, readiness, metrics, logs, keys, reload, ending (R24, R25, R29, R30, R64, R118,
// R157, R189, R190, R193, R195, R196, R205).

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { check_chat } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { binary, gateway_config, models_at, patience, Penstock, soon } from './lib/penstock.mjs';
import { events_of, exchange, json_of, RawClient, sleep } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const chat = '/v1/chat/completions';
const messages = '/v1/messages';

function ask(model, extra = {}) {
    return { body: { model, stream: true, max_tokens: 20, messages: [{ role: 'user', content: 'x' }], ...extra } };
}

function has_command(name) {
    return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/* sample - the sum of a metric over all label sets that hold the given texts. */
function sample(text, name, ...labels) {
    return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .filter((line) => labels.every((each) => line.includes(each)))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

in_world('operations', { penstock: { timeouts: { keepalive: '100ms', drain: '300ms' }, limits: { queue: '32KiB' } } }, (world) => {
    const get = (path, parts) => exchange(world.penstock.port, 'GET', path, parts);
    const metrics = async () => (await get('/metrics')).text;

    it('answers health checks', async () => {
        for (const path of ['/health', '/health/live', '/health/ready', '/health/liveliness', '/health/readiness']) {
            const response = await get(path);
            assert.equal(response.status, 200, path);
            assert.match(response.headers['content-type'], /^application\/json/);
            json_of(response);
            assert.doesNotMatch(response.text, /sk-/);
        }
    });

    it('lists models in both shapes, quickly and without redirect', async () => {
        const openai = json_of(await get('/models'));
        assert.equal(openai.object, 'list');
        assert.ok(openai.data.some((model) => model.id === 'claude-fake'));
        for (const parts of [{ headers: { 'anthropic-version': '2023-06-01' } }, {}]) {
            await soon(100, async () => {
                const started = performance.now();
                const response = await get('/v1/models?limit=1000', parts);
                const took_ms = performance.now() - started;
                assert.equal(response.status, 200);
                const { data } = json_of(response);
                assert.ok(data.some((model) => model.id === 'claude-fake' && typeof model.display_name === 'string'));
                return took_ms;
            });
        }
    });

    it('exports metrics that promtool accepts', { skip: has_command('promtool') ? false : 'no promtool' }, async () => {
        await exchange(world.penstock.port, 'POST', chat, ask('c/text'));
        for (const path of ['/metrics', '/v1/metrics']) {
            const response = await get(path);
            assert.match(response.headers['content-type'], /^text\/plain; version=0\.0\.4/);
            const checked = spawnSync('promtool', ['check', 'metrics'], { input: response.text, encoding: 'utf8' });
            assert.equal(checked.status, 0, checked.stdout + checked.stderr);
        }
    });

    it('counts what happened: every exported counter that a request can move, moves', async () => {
        const before_text = await metrics();
        await exchange(world.penstock.port, 'POST', chat, ask('gpt-fake', { stream_options: { include_usage: true } }));
        await exchange(world.penstock.port, 'POST', messages, ask('claude-fake'));
        await exchange(world.penstock.port, 'POST', messages, ask('c/count,count=3,pace_ms=250'));
        await exchange(world.penstock.port, 'POST', messages, ask('c/bad_arguments'));
        await exchange(world.penstock.port, 'POST', chat, ask('c/text,status=500'));
        const leaver = await RawClient.open(world.penstock.port);
        await leaver.send('POST', chat, ask('c/count,count=100,pace_ms=50'));
        await sleep(200);
        leaver.destroy();
        const stuck = await RawClient.open(world.penstock.port, { paused: true });
        await stuck.send('POST', chat, ask('c/flood,size=30000000'));
        // A client that does not read is let go when its time is up, on a busy machine a little later.
        const until = Date.now() + 8000 * patience;
        const drained = (text) => sample(text, 'penstock_drain_timeouts_total') > sample(before_text, 'penstock_drain_timeouts_total');
        await sleep(1500);
        while (!drained(await metrics()) && Date.now() < until) await sleep(100);
        stuck.destroy();
        const after_text = await metrics();
        const moved = (name, ...labels) => sample(after_text, name, ...labels) - sample(before_text, name, ...labels);
        for (const name of [
            'penstock_client_connections_total', 'penstock_client_requests_total', 'penstock_client_received_bytes_total', 'penstock_client_sent_bytes_total',
            'penstock_upstream_received_bytes_total', 'penstock_upstream_sent_bytes_total', 'penstock_upstream_events_total', 'penstock_client_events_total',
            'penstock_streams_committed_total', 'penstock_keepalives_total', 'penstock_upstream_cancels_total', 'penstock_tool_call_rejections_total',
            'penstock_backpressure_total', 'penstock_drain_timeouts_total', 'penstock_first_byte_seconds_count', 'penstock_first_token_seconds_count',
            'penstock_inter_event_seconds_count', 'penstock_request_seconds_count', 'penstock_overhead_seconds_count', 'penstock_chunk_bytes_count',
        ]) assert.ok(moved(name) > 0, `${name} did not move`);
        for (const name of ['gen_ai_client_token_usage', 'gen_ai_server_time_to_first_token', 'gen_ai_server_time_per_output_token', 'gen_ai_server_request_duration', 'penstock_build_info']) {
            assert.ok(after_text.includes(`# TYPE ${name}`), `${name} is not exported`);
        }
        assert.doesNotMatch(after_text, /bad_arguments|pace_ms/, 'labels take configured names only');
    });

    it('writes one access line for each request, without bodies or keys', async () => {
        const from = world.penstock.log.length;
        await exchange(world.penstock.port, 'POST', chat, { ...ask('claude-fake'), headers: { 'x-request-id': 'line-1', authorization: 'Bearer sk-client-secret' } });
        await world.penstock.wait_log(/msg=request [^\n]*request_id=line-1\b/);
        const line = world.penstock.log.slice(from).split('\n').find((each) => each.includes('line-1'));
        for (const key of ['client', 'dialect', 'model', 'upstream_model', 'upstream', 'status', 'first_byte_ms', 'duration_ms', 'bytes_in', 'bytes_out', 'tokens_in', 'tokens_out', 'tokens_cached', 'end']) {
            assert.match(line, new RegExp(`\\b${key}=\\S`), `${key} in ${line}`);
        }
        assert.doesNotMatch(world.penstock.log, /sk-client-secret|sk-chat-upstream|sk-ant-upstream|Hello, /);
    });

    it('shows live streams', async () => {
        const client = await RawClient.open(world.penstock.port);
        await client.send('POST', chat, ask('c/count,count=100,pace_ms=50'));
        await sleep(300);
        const response = await get('/debug/streams');
        assert.equal(response.status, 200);
        assert.match(response.text, /RELAY/i);
        client.destroy();
    });

    it('SIGHUP takes a new configuration and loses no stream', async () => {
        const client = await RawClient.open(world.penstock.port);
        await client.send('POST', chat, ask('c/count,count=30,pace_ms=50'));
        await sleep(200);
        const changed = gateway_config(world.provider.url, { model_list: [...models_at(world.provider.url), { model_name: 'fresh', litellm_params: { model: 'openai/text', api_base: `${world.provider.url}/v1`, api_key: 'k' } }] });
        world.penstock.write_config(changed);
        world.penstock.signal('SIGHUP');
        const until = Date.now() + 5000 * patience;
        let status = 0;
        while (status !== 200 && Date.now() < until) {
            await sleep(20);
            status = (await exchange(world.penstock.port, 'POST', chat, ask('fresh'))).status;
        }
        assert.equal(status, 200, 'the new model answers');
        assert.deepEqual(check_chat(events_of(await client.next()), {}), []);
        world.penstock.write_config('model_list: [{nonsense: 1}]\n');
        world.penstock.signal('SIGHUP');
        await world.penstock.wait_log(/config\.yaml:1/);
        assert.equal((await exchange(world.penstock.port, 'POST', chat, ask('fresh'))).status, 200, 'a wrong one changes nothing');
        world.penstock.write_config(gateway_config(world.provider.url));
        world.penstock.signal('SIGHUP');
        client.destroy();
    });
});

const keys = { general_settings: { master_key: 'sk-master' }, penstock: { keys: [{ name: 'alice', key: 'sk-alice' }, 'sk-third'] } };

in_world('client keys', keys, (world) => {
    it('every route but health asks for a key, in the dialect\'s words', async () => {
        for (const headers of [{}, { authorization: 'Bearer sk-wrong' }, { authorization: 'sk-master' }, { 'x-api-key': 'sk-alic' }, { authorization: 'Basic c2stbWFzdGVy' }]) {
            const openai = await exchange(world.penstock.port, 'POST', chat, { ...ask('c/text'), headers });
            assert.equal(openai.status, 401);
            assert.equal(typeof json_of(openai).error.message, 'string');
            const anthropic = await exchange(world.penstock.port, 'POST', messages, { ...ask('c/text'), headers });
            assert.equal(anthropic.status, 401);
            assert.equal(json_of(anthropic).error.type, 'authentication_error');
            for (const path of ['/v1/models', '/metrics', '/debug/streams', '/health/upstreams']) {
                assert.equal((await exchange(world.penstock.port, 'GET', path, { headers })).status, 401, path);
            }
        }
        assert.deepEqual(world.provider.seen, []);
        assert.equal((await exchange(world.penstock.port, 'GET', '/health/live')).status, 200);
    });

    it('the operator\'s pages: live streams take the master key, and no web page may read any of them', async () => {
        const get = (path, key, origin) => exchange(world.penstock.port, 'GET', path, { headers: { authorization: `Bearer ${key}`, ...(origin ? { origin } : {}) } });
        for (const key of ['sk-alice', 'sk-third']) {
            const refused = await get('/debug/streams', key);
            assert.equal(refused.status, 403);
            assert.equal(json_of(refused).error.code, 'master_key_required');
            assert.doesNotMatch(refused.text, /127\.0\.0\.1/);
            for (const path of ['/metrics', '/health/upstreams', '/health/discovery']) assert.equal((await get(path, key)).status, 200, path);
        }
        assert.equal((await get('/debug/streams', 'sk-master')).status, 200);
        for (const path of ['/debug/streams', '/metrics', '/health/upstreams', '/health/discovery', '/v1/models']) {
            const shown = await get(path, 'sk-master', 'https://evil.example');
            assert.equal(shown.headers['access-control-allow-origin'], path === '/v1/models' ? '*' : undefined, path);
        }
        // Nothing of one client is shown to another: no key, no text, no address of a stream that could be resumed.
        const live = await RawClient.open(world.penstock.port);
        await live.send('POST', chat, { ...ask('c/count,count=30,pace_ms=50'), headers: { authorization: 'Bearer sk-alice' } });
        await sleep(300);
        const page = json_of(await get('/debug/streams', 'sk-master'));
        const row = page.streams.find((each) => each.state === 'RELAY');
        assert.deepEqual(Object.keys(row).sort(), ['age_ms', 'attempts', 'bytes_in', 'bytes_out', 'connection', 'dialect', 'events_in', 'events_out', 'keepalives', 'model', 'peer', 'queued_bytes', 'request_id', 'stalled_ms', 'stalls', 'state', 'upstream', 'worker']);
        assert.doesNotMatch(JSON.stringify(page), /sk-|alice/);
        live.destroy();
    });

    it('any of the keys opens, in either header, and none travels upstream', async () => {
        for (const key of ['sk-master', 'sk-alice', 'sk-third']) {
            for (const headers of [{ authorization: `Bearer ${key}` }, { 'x-api-key': key }]) {
                for (const model of ['c/text', 'a/text']) {
                    world.provider.reset();
                    assert.equal((await exchange(world.penstock.port, 'POST', chat, { ...ask(model), headers })).status, 200);
                    const [seen] = world.provider.seen;
                    assert.doesNotMatch(JSON.stringify(seen.fields), new RegExp(key));
                    if (model === 'c/text') assert.equal(seen.headers.authorization, 'Bearer sk-chat-upstream');
                    else assert.equal(seen.headers['x-api-key'], 'sk-ant-upstream');
                }
            }
        }
        await world.penstock.wait_log(/key=alice/);
        assert.doesNotMatch(world.penstock.log, /sk-(master|alice|third)/);
    });
});

describe('ending', () => {
    let provider;
    before(async () => { provider = await new FakeProvider().start(); });
    after(async () => { await provider.stop(); });

    it('SIGTERM: readiness falls at once, live streams finish, exit 0', async () => {
        const penstock = await Penstock.start(gateway_config(provider.url));
        const client = await RawClient.open(penstock.port);
        const idle = await RawClient.open(penstock.port);
        const probe = await RawClient.open(penstock.port);
        await client.send('POST', messages, ask('a/count,count=30,pace_ms=50'));
        await probe.send('POST', chat, ask('c/count,count=30,pace_ms=50'));
        await sleep(200);
        penstock.signal('SIGTERM');
        await idle.closed(3000 * patience);
        const status = await exchange(penstock.port, 'GET', '/health/ready').then((response) => response.status, () => 'refused');
        assert.ok([503, 'refused'].includes(status), `${status}`);
        assert.deepEqual(check_anthropic(events_of(await client.next()), {}), []);
        assert.deepEqual(check_chat(events_of(await probe.next()), {}), []);
        assert.deepEqual(await penstock.wait_exit(), { code: 0, signal: null });
        await penstock.stop();
    });

    it('SIGTERM: what does not finish in time ends in an error', async () => {
        const penstock = await Penstock.start(gateway_config(provider.url, { penstock: { timeouts: { shutdown: '500ms' } } }));
        const client = await RawClient.open(penstock.port);
        await client.send('POST', messages, ask('a/count,count=1000,pace_ms=50'));
        await sleep(200);
        const started = performance.now();
        penstock.signal('SIGTERM');
        assert.deepEqual(check_anthropic(events_of(await client.next()), { ends: 'error' }), []);
        assert.deepEqual(await penstock.wait_exit(), { code: 0, signal: null });
        assert.ok(performance.now() - started < 3000 * patience);
        await penstock.stop();
    });

    it('a second SIGTERM ends at once, with errors in the streams', async () => {
        const penstock = await Penstock.start(gateway_config(provider.url));
        const clients = [];
        for (const path of [chat, messages]) {
            const client = await RawClient.open(penstock.port);
            await client.send('POST', path, ask('c/count,count=1000,pace_ms=50'));
            clients.push(client);
        }
        await sleep(200);
        penstock.signal('SIGTERM');
        await sleep(200);
        const started = performance.now();
        penstock.signal('SIGTERM');
        assert.deepEqual(check_chat(events_of(await clients[0].next()), { ends: 'error' }), []);
        assert.deepEqual(check_anthropic(events_of(await clients[1].next()), { ends: 'error' }), []);
        assert.notEqual(await penstock.wait_exit(), null);
        assert.ok(performance.now() - started < 2000 * patience);
        await penstock.kill();
    });
});

describe('starting', () => {
    const run = (words, options = {}) => spawnSync(binary, words, { encoding: 'utf8', timeout: 20_000, env: { PATH: process.env.PATH, ...options.env }, cwd: options.cwd });

    it('refuses to listen beyond loopback without a key', () => {
        const result = run(['serve', '--host', '0.0.0.0', '--port', '0']);
        assert.notEqual(result.status, 0);
        assert.match(result.stderr, /key|allow_open/);
    });

    it('check names file, line, column, key and the nearest key', () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-check-'));
        try {
            fs.writeFileSync(`${folder}/config.yaml`, 'model_list: []\npenstock:\n  timeouts:\n    requst: 5s\n', { mode: 0o600 });
            const result = run(['check', '--config', `${folder}/config.yaml`]);
            assert.notEqual(result.status, 0);
            assert.match(result.stdout + result.stderr, /config\.yaml:4:5:.*requst.*request/);
            fs.writeFileSync(`${folder}/config.yaml`, JSON.stringify(gateway_config('http://127.0.0.1:1')), { mode: 0o644 });
            fs.chmodSync(`${folder}/config.yaml`, 0o644);
            const readable = run(['check', '--config', `${folder}/config.yaml`]);
            assert.equal(readable.status, 0, readable.stderr);
            assert.match(readable.stdout + readable.stderr, /warning: .*read by others/);
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    it('the command line beats the environment, which beats the file', () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-order-'));
        try {
            fs.writeFileSync(`${folder}/c.yaml`, 'penstock: {workers: 1, listen: {port: 5001}}\n', { mode: 0o600 });
            const shown = (words, env) => run(['print-config', '--config', `${folder}/c.yaml`, ...words], { env }).stdout;
            assert.match(shown([], {}), /port: 5001/);
            assert.match(shown([], { PENSTOCK_PORT: '5002' }), /port: 5002/);
            assert.match(shown(['--port', '5003'], { PENSTOCK_PORT: '5002' }), /port: 5003/);
            assert.match(shown([], {}), /workers: 1/);
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    it('print-config shows no secret', () => {
        const result = run(['print-config'], { env: { OPENAI_API_KEY: 'sk-very-secret', PENSTOCK_MASTER_KEY: 'sk-master-secret' } });
        assert.equal(result.status, 0, result.stderr);
        assert.doesNotMatch(result.stdout + result.stderr, /sk-very-secret|sk-master-secret/);
        assert.match(result.stdout, /\*\*\*/);
    });

    it('without file and keys it serves the demo models', async () => {
        const penstock = await Penstock.start(null);
        const list = json_of(await exchange(penstock.port, 'GET', '/v1/models')).data.map((model) => model.id);
        for (const id of ['demo', 'demo-slow', 'demo-tools', 'demo-thinking', 'demo-error']) assert.ok(list.includes(id), id);
        for (const [path, check] of [[chat, check_chat], [messages, check_anthropic]]) {
            for (const model of ['demo', 'demo-tools', 'demo-thinking', 'demo-anthropic', 'demo-anthropic-tools', 'demo-anthropic-thinking']) {
                const response = await exchange(penstock.port, 'POST', path, ask(model));
                assert.equal(response.status, 200, `${model}: ${response.text}`);
                assert.deepEqual(check(events_of(response), {}), [], model);
            }
            const broken = await exchange(penstock.port, 'POST', path, ask('demo-error'));
            if (broken.status === 200) assert.deepEqual(check(events_of(broken), { ends: 'error' }), []);
            else assert.ok(broken.status >= 400);
        }
        await penstock.stop();
    });

    it('version names the program', () => {
        assert.match(execFileSync(binary, ['version'], { encoding: 'utf8' }), /^penstock \d+\.\d+/);
    });
});
