// SPDX-License-Identifier: MIT
//
// secrets - wherever a secret can stand, whatever is asked and whatever goes wrong: nothing that penstock says, to whomever,
// at the highest log level, holds one, in no writing (R196; issue, hardening).

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { spawn, spawnSync } from 'node:child_process';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { make_ca, make_certificate } from '../../tools/fake_provider/certificates.mjs';
import { binary, Penstock } from './lib/penstock.mjs';
import { events_of, exchange, RawClient, sleep } from './lib/raw.mjs';

/* Each differs from the others by its name, and is written otherwise in a URL and in JSON. */
const made = (name) => `sk/${name}+9Zq=${crypto.createHash('sha256').update(name).digest('base64url').slice(0, 20)}`;
const secrets = Object.fromEntries([
    'master', 'literal', 'from-file', 'from-variable', 'from-command', 'wrong-key', 'chat', 'responses', 'anthropic', 'gemini', 'azure', 'entra', 'like', 'header', 'override',
    'upstream-file', 'upstream-variable', 'userinfo', 'access-token', 'client-secret', 'refresh-token', 'static-token', 'braces',
].map((name) => [name, made(name)]));
const pair = crypto.generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
secrets['private-key'] = pair.privateKey.split('\n')[5];

/* writings - a secret as it may appear: plain, in a URL, in JSON, and inside base64 at each of the three places in a group. */
function writings(secret) {
    const percent = encodeURIComponent(secret);
    const found = [secret, percent, percent.replace(/%../g, (hex) => hex.toLowerCase()), secret.replaceAll('/', '\\/'), secret.replaceAll('=', '\\u003d'), secret.slice(0, -4)];
    for (let at = 0; at < 3; at++) {
        const bytes = Buffer.concat([Buffer.alloc(at), Buffer.from(secret)]);
        const inner = bytes.toString('base64').slice(at === 0 ? 0 : 4, -4); // the ends depend on what stands beside it
        found.push(inner, inner.replaceAll('+', '-').replaceAll('/', '_'));
    }
    return found;
}
const all_writings = Object.entries(secrets).flatMap(([name, secret]) => writings(secret).map((text) => [name, text]));

function leaks(where, text) {
    return all_writings.filter(([, writing]) => text.includes(writing)).map(([name, writing]) => `${name} in ${where}: ...${text.slice(Math.max(0, text.indexOf(writing) - 150), text.indexOf(writing))}[HERE]`);
}

/* A provider that repeats whatever it was told in its errors, gives out tokens, and fails as its models' names say. */
class Parrot {
    async start() {
        this.seen = [];
        this.server = http.createServer((request, response) => {
            const parts = [];
            request.on('data', (bytes) => parts.push(bytes));
            request.on('end', () => this.#answer(request, Buffer.concat(parts).toString(), response));
        });
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    #answer(request, body, response) {
        this.seen.push({ url: request.url, headers: request.headers, body });
        const send = (status, value, headers = {}) => {
            response.writeHead(status, { 'content-type': 'application/json', ...headers });
            response.end(JSON.stringify(value));
        };
        if (request.url === '/token') return send(200, { access_token: secrets['access-token'], expires_in: 3600, token_type: 'Bearer' });
        const told = Object.entries(request.headers).filter(([name]) => /auth|key|token/.test(name)).map(([name, value]) => `${name}: ${value}`).join(', ') + ` at ${request.url}`;
        const status = Number(/status-(\d+)/.exec(request.url + body)?.[1] ?? 401);
        const named = { 'x-request-id': `req-${told.slice(0, 200)}`, 'www-authenticate': told };
        if (status !== 200) return send(status, { type: 'error', error: { type: 'authentication_error', status: 'UNAUTHENTICATED', code: status, message: `bad key ${told}`, details: [{ metadata: { key: told } }] } }, named);
        // A stream that ends in an error with the key in it, in every dialect at once: each reads what it knows.
        response.writeHead(200, { 'content-type': 'text/event-stream', ...named });
        response.write(`event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'api_error', code: 500, status: 'INTERNAL', message: `bad key ${told}` } })}\n\n`);
        response.end();
    }
}

const texts = { prompt: 'prompt-words-Wm7', reply: 'never' };
const endpoints = [
    ['/v1/chat/completions', (model, stream) => ({ model, stream, messages: [{ role: 'user', content: texts.prompt }] })],
    ['/v1/messages', (model, stream) => ({ model, stream, max_tokens: 20, messages: [{ role: 'user', content: texts.prompt }] })],
    ['/v1/responses', (model, stream) => ({ model, stream, input: texts.prompt })],
    ['/v1/completions', (model, stream) => ({ model, stream, prompt: texts.prompt })],
];
const gemini_target = (model, stream) => `/v1beta/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
const gemini_body = { contents: [{ role: 'user', parts: [{ text: texts.prompt }] }] };

describe('secrets', { concurrency: 1 }, () => {
    let folder;
    let provider;
    let parrot;
    let config;
    const variables = { A_CLIENT_KEY: secrets['from-variable'], AN_UPSTREAM_KEY: secrets['upstream-variable'], A_PART: secrets.braces };
    const put = (name, text) => {
        const file = path.join(folder, name);
        fs.writeFileSync(file, text, { mode: 0o600 });
        return file;
    };

    before(async () => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-secrets-'));
        provider = await new FakeProvider().start();
        parrot = await new Parrot().start();
        put('client_key', `${secrets['from-file']}\n`);
        put('upstream_key', `${secrets['upstream-file']}\n`);
        put('command_key', `${secrets['from-command']}\n`);
        const account = put('account.json', JSON.stringify({ type: 'service_account', project_id: 'p-1', private_key_id: 'kid-1', private_key: pair.privateKey, client_email: 'robot@p-1.example', token_uri: `${parrot.url}/token` }));
        const user = put('user.json', JSON.stringify({ type: 'authorized_user', client_id: 'id-1', client_secret: secrets['client-secret'], refresh_token: secrets['refresh-token'], token_uri: `${parrot.url}/token` }));
        const at = (prefix, url) => [
            [`${prefix}/chat/*`, 'openai/*', `${url}/v1`, { api_key: secrets.chat }],
            [`${prefix}/responses/*`, 'openai/*', `${url}/v1`, { api_key: secrets.responses }, { dialect: 'openai_responses' }],
            [`${prefix}/anthropic/*`, 'anthropic/*', url, { api_key: secrets.anthropic }],
            [`${prefix}/gemini/*`, 'gemini/*', `${url}/v1beta`, { api_key: secrets.gemini }],
            [`${prefix}/azure/*`, 'azure/*', url, { api_key: secrets.azure }],
            [`${prefix}/entra/*`, 'azure/*', url, { azure_ad_token: secrets.entra }],
            [`${prefix}/like/*`, 'openai_like/*', `${url}/v1`, { api_key: secrets.like, extra_headers: { 'X-Auth-Token': secrets.header } }],
            [`${prefix}/override/*`, 'openai_like/*', `${url}/v1`, { extra_headers: { Authorization: `Bearer ${secrets.override}` } }],
            [`${prefix}/file/*`, 'openai/*', `${url}/v1`, { api_key: `file:${folder}/upstream_key` }],
            [`${prefix}/variable/*`, 'openai/*', `${url}/v1`, { api_key: 'os.environ/AN_UPSTREAM_KEY' }],
            [`${prefix}/braces/*`, 'openai/*', `${url}/v1`, { api_key: 'pre-${A_PART}' }],
            [`${prefix}/account/*`, 'vertex_ai/*', url, { vertex_project: 'p-1', vertex_location: 'global', vertex_credentials: account }],
            [`${prefix}/user/*`, 'vertex_ai/*', url, { vertex_project: 'p-1', vertex_location: 'global', vertex_credentials: user }],
            [`${prefix}/static/*`, 'vertex_ai/*', url, { vertex_project: 'p-1', vertex_location: 'global', api_key: secrets['static-token'] }],
        ].map(([model_name, model, api_base, params, more]) => ({ model_name, litellm_params: { model, api_base, ...params }, ...(more ? { penstock: more } : {}) }));
        config = {
            model_list: [
                ...at('good', provider.url), ...at('parrot', parrot.url),
                { model_name: 'spare', litellm_params: { model: 'openai/parrot-status-500', api_base: `${parrot.url}/v1`, api_key: secrets.chat, order: 1 } },
                { model_name: 'spare', litellm_params: { model: 'anthropic/text', api_base: provider.url, api_key: secrets.anthropic, order: 2 } },
                { model_name: 'nowhere', litellm_params: { model: 'openai/x', api_base: 'https://127.0.0.1:1/v1', api_key: secrets.chat } },
                { model_name: 'embedder', litellm_params: { model: 'openai/embed', api_base: `${parrot.url}/v1`, api_key: secrets.chat }, model_info: { mode: 'embedding' } },
            ],
            general_settings: { master_key: secrets.master },
            router_settings: { num_retries: 1, allowed_fails: 1000000 },
            penstock: {
                workers: 2, log: { level: 'debug3' }, sse: { resume: '2s' }, retry: { base: '1ms', max: '2ms' },
                keys: [{ name: 'bob', key: secrets.literal }, { name: 'file', key: `file:${folder}/client_key` }, { name: 'variable', key: 'os.environ/A_CLIENT_KEY' }, { name: 'command', key: `command:cat ${folder}/command_key` }],
            },
        };
    });
    after(async () => {
        await provider?.stop();
        await parrot?.stop();
        fs.rmSync(folder, { recursive: true, force: true });
    });

    /* Everything that is said, with its place. Requests that cannot be read are wanted as well. */
    class Ears {
        constructor(penstock) {
            this.penstock = penstock;
            this.found = [];
            this.count = 0;
        }

        hear(where, text) {
            this.count++;
            this.found.push(...leaks(where, text));
        }

        async ask(method, target, parts = {}) {
            const response = await exchange(this.penstock.port, method, target, parts).catch((error) => ({ status: 0, text: String(error), headers: {} }));
            // What was asked is not repeated here: it may hold the client's own key.
            this.hear(`answer ${response.status} of ${method} ${target.split('?')[0]} ${JSON.stringify(parts.body ?? '').slice(0, 60)}`, response.text + JSON.stringify(response.headers));
            return response;
        }
    }

    const bearer = (name) => ({ authorization: `Bearer ${secrets[name]}` });
    const clients = ['master', 'literal', 'from-file', 'from-variable', 'from-command'];

    async function good_traffic(ears) {
        const upstreams = ['chat', 'responses', 'anthropic', 'gemini', 'azure', 'entra', 'like', 'override', 'file', 'variable', 'braces', 'account', 'user', 'static'];
        let at = 0;
        for (const upstream of upstreams) {
            for (const stream of [true, false]) {
                for (const [target, body] of endpoints) await ears.ask('POST', target, { body: body(`good/${upstream}/text_tool`, stream), headers: bearer(clients[at++ % clients.length]) });
                await ears.ask('POST', gemini_target(`good/${upstream}/text`, stream), { body: gemini_body, headers: { 'x-goog-api-key': secrets.master } });
            }
            await ears.ask('POST', '/v1/messages/count_tokens', { body: endpoints[1][1](`good/${upstream}/text`), headers: { 'x-api-key': secrets.literal } });
        }
    }

    async function bad_traffic(ears) {
        for (const upstream of ['chat', 'responses', 'anthropic', 'gemini', 'azure', 'entra', 'like', 'override', 'file', 'variable', 'braces', 'account', 'user', 'static']) {
            for (const model of ['status-401', 'status-400', 'status-500', 'status-200']) {
                for (const [target, body] of endpoints.slice(0, 3)) await ears.ask('POST', target, { body: body(`parrot/${upstream}/${model}`, model !== 'status-400'), headers: { 'api-key': secrets.master } });
                await ears.ask('POST', gemini_target(`parrot/${upstream}/${model}`, true), { body: gemini_body, headers: bearer('master') });
            }
        }
        for (const scenario of ['cut_at=100', 'reset_at=100', 'status=429', 'error_after=2']) await ears.ask('POST', endpoints[0][0], { body: endpoints[0][1](`good/chat/text,${scenario}`, true), headers: bearer('master') });
        for (const model of ['spare', 'nowhere', 'unknown-model']) await ears.ask('POST', endpoints[1][0], { body: endpoints[1][1](model, true), headers: bearer('literal') });
        for (const target of ['/v1/embeddings', '/v1/moderations', '/v1/rerank']) await ears.ask('POST', target, { body: { model: 'embedder', input: 'x' }, headers: bearer('master') });
        await ears.ask('GET', '/v1/files', { headers: bearer('master') });
    }

    /* Keys in every place where clients put them, right and wrong ones, in requests that are right and wrong. */
    async function key_traffic(ears) {
        const escapes = [encodeURIComponent, (text) => encodeURIComponent(text).toLowerCase().replace(/%2f/g, '/'), (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('')];
        const paths = ['/v1beta/models', '/v1beta/models/none:generateContent', '/v1beta/models/good%2Fchat%2Ftext:generateContent', '/v1beta/models/good%2Fchat%2Ftext:nothing', '/metrics', '/debug/streams', '/health/upstreams', '/health/discovery', '/nowhere', '/v1/models', '/v1/chat/completions', '/'];
        for (const name of ['master', 'wrong-key']) {
            const secret = secrets[name];
            for (const target of paths) {
                for (const escape of escapes) {
                    for (const method of ['GET', 'POST', 'DELETE']) await ears.ask(method, `${target}?key=${escape(secret)}`, method === 'POST' ? { body: gemini_body } : {});
                }
                await ears.ask('GET', `${target}?a=b&%6bey=${encodeURIComponent(secret)}&c=d`);
                for (const headers of [bearer(name), { authorization: secret }, { authorization: `Basic ${Buffer.from(`x:${secret}`).toString('base64')}` }, { 'x-api-key': secret }, { 'api-key': secret }, { 'x-goog-api-key': secret }, { cookie: `session=${secret}` }, { 'proxy-authorization': `Bearer ${secret}` }]) {
                    await ears.ask('GET', target, { headers });
                }
            }
            for (const broken of [`GET /v1/models?key=${encodeURIComponent(secret)} HTTP/9.9\r\n\r\n`, `GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${secret}\r\nBad Header\r\n\r\n`,
                `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${secret}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, `GET http://user:${encodeURIComponent(secret)}@host/v1/models HTTP/1.1\r\nHost: x\r\n\r\n`,
                `GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${secret}\r\n${'X: y\r\n'.repeat(200)}\r\n`]) {
                const client = await RawClient.open(ears.penstock.port);
                await client.write(Buffer.from(broken));
                const response = await client.next(1000).catch(() => null);
                if (response) ears.hear(`answer ${response.status} of a broken request`, response.text + JSON.stringify(response.headers));
                client.destroy();
            }
            await ears.ask('POST', endpoints[0][0], { body: endpoints[0][1]('good/chat/text', true), headers: { ...bearer(name), 'last-event-id': `x-${name}`, 'x-request-id': 'r-1', 'openai-organization': 'o' } });
        }
    }

    /* A client that comes back for the rest of its stream. */
    async function resumed(ears) {
        const body = endpoints[0][1]('good/chat/count,count=20,pace_ms=20', true);
        const client = await RawClient.open(ears.penstock.port);
        await client.send('POST', endpoints[0][0], { body, headers: bearer('master') });
        await sleep(200);
        const id = /^id: ?(\S+)$/m.exec(client.response?.parts ? Buffer.concat(client.response.parts).toString() : '')?.[1];
        client.destroy();
        await ears.ask('POST', endpoints[0][0], { body, headers: { ...bearer('master'), 'last-event-id': id ?? 'none' } });
    }

    async function own_pages(ears) {
        for (const target of ['/metrics', '/debug/streams', '/health', '/health/ready', '/health/upstreams', '/health/discovery', '/v1/models', '/v1beta/models']) {
            assert.equal((await ears.ask('GET', target, { headers: bearer('master') })).status, 200, target);
        }
    }

    it('nothing that is said at debug3 holds one', async () => {
        const penstock = await Penstock.start(config, { env: variables });
        const ears = new Ears(penstock);
        try {
            await good_traffic(ears);
            await bad_traffic(ears);
            await key_traffic(ears);
            await resumed(ears);
            const live = await RawClient.open(penstock.port);
            await live.send('POST', '/v1/chat/completions', { body: endpoints[0][1]('good/chat/count,count=50,pace_ms=30', true), headers: bearer('literal') });
            await sleep(100);
            await own_pages(ears);
            live.destroy();
            penstock.signal('SIGHUP');
            await penstock.wait_log(/msg=reloaded/);
            penstock.write_config({ ...config, penstock: { ...config.penstock, keys: [...config.penstock.keys, { name: 'twice', key: 'os.environ/NOT_SET' }, 'with space'] } });
            penstock.signal('SIGHUP');
            await penstock.wait_log(/msg="reload refused"/);
            // A crash, in a worker's thread: the flight recorder is printed.
            penstock.options.check_exit = false;
            const tid = fs.readdirSync(`/proc/${penstock.pid}/task`).find((each) => fs.readFileSync(`/proc/${penstock.pid}/task/${each}/comm`, 'utf8').startsWith('worker-'));
            spawnSync('python3', ['-c', `import ctypes; ctypes.CDLL(None).syscall(234, ${penstock.pid}, ${tid}, 6)`]);
            await penstock.wait_exit();
            assert.match(penstock.log, /flight recorder of worker \d/);
        } finally {
            penstock.child.kill('SIGKILL');
            await penstock.exited;
        }
        ears.hear('the log', penstock.log);
        assert.deepEqual([...new Set(ears.found)].slice(0, 10), []);
        // That the test could have seen something: requests went out with their keys, and came to be refused.
        assert.ok(penstock.log.length > 500_000 && ears.count > 500, `${penstock.log.length} bytes of log, ${ears.count} answers`);
        for (const name of ['chat', 'responses', 'anthropic', 'gemini', 'azure', 'entra', 'like', 'header', 'override', 'upstream-file', 'upstream-variable', 'braces', 'access-token', 'static-token']) {
            assert.ok(parrot.seen.some((each) => JSON.stringify(each.headers).includes(secrets[name])), `no upstream was given ${name}`);
        }
        assert.match(penstock.log, /bad key/, 'upstreams repeated what they were told');
        // Each upstream gets the key that is its own and no client's.
        for (const record of [...provider.seen.map((each) => `${each.target} ${JSON.stringify(each.fields)}`), ...parrot.seen.map((each) => `${each.url} ${JSON.stringify(each.headers)}`)]) {
            const strangers = leaks('a request to an upstream', record).filter((each) => /^(master|literal|from-|wrong-key)/.test(each));
            assert.deepEqual(strangers, []);
        }
    });

    it('texts of users and models are in the log at debug3 only, and nowhere else', async () => {
        for (const level of ['debug2', 'debug3']) {
            const penstock = await Penstock.start({ ...config, penstock: { ...config.penstock, log: { level } } }, { env: variables });
            const ask = async (target, parts) => exchange(penstock.port, 'POST', target, { headers: bearer('master'), ...parts });
            let reply;
            for (const stream of [true, false]) {
                for (const [target, body] of endpoints) reply = await ask(target, { body: body('good/chat/text', stream) });
                await ask(gemini_target('good/anthropic/text', stream), { body: gemini_body });
                for (const model of ['parrot/chat/status-500', 'unknown-model', 'good/chat/text,cut_at=100']) await ask(endpoints[0][0], { body: endpoints[0][1](model, stream) });
            }
            const words = /"text":"([^"\\]{12,})/.exec(reply.text)[1].slice(0, 30);
            const pages = await Promise.all(['/metrics', '/debug/streams', '/health/upstreams'].map((target) => exchange(penstock.port, 'GET', target, { headers: bearer('master') }).then((page) => page.text)));
            await penstock.stop();
            for (const text of [texts.prompt, words]) {
                pages.forEach((page) => assert.ok(!page.includes(text), text));
                const lines = penstock.log.split('\n').filter((line) => line.includes(text));
                if (level === 'debug2') assert.deepEqual(lines, []);
                else assert.ok(lines.length > 0 && lines.every((line) => line.includes('level=debug3')), `${text}: ${lines.find((line) => !line.includes('level=debug3'))}`);
            }
        }
    });

    it('no command prints one', async () => {
        const config_path = put('penstock.yaml', JSON.stringify({ ...config, penstock: { ...config.penstock, discovery: { file: `${folder}/found.json` } } }));
        make_ca(folder);
        const server = await new FakeProvider(make_certificate(folder, 'probed')).start();
        const from_environment = { OPENAI_API_KEY: secrets.chat, ANTHROPIC_API_KEY: secrets.anthropic, GEMINI_API_KEY: secrets.gemini, PENSTOCK_MASTER_KEY: secrets.master, PENSTOCK_KEYS: secrets.literal };
        const run = (words, more = from_environment) => new Promise((resolve) => {
            const child = spawn(binary, words, { env: { PATH: process.env.PATH, ...variables, ...more }, cwd: folder, timeout: 60_000 });
            let text = '';
            child.stdout.on('data', (bytes) => { text += bytes; });
            child.stderr.on('data', (bytes) => { text += bytes; });
            child.on('close', (code) => resolve({ code, text }));
        });
        const penstock = await Penstock.start(config, { env: variables });
        const found = [];
        for (const [words, most] of [
            [['check', '-c', config_path], 0], [['print-config', '-c', config_path], 0], [['models', '-c', config_path], 0], [['providers'], 0], [['discover', '-c', config_path, '--log-level', 'debug3'], 1],
            [['discover', '--json', '-c', config_path], 1], [['conform', `http://127.0.0.1:${penstock.port}`, '--model', 'good/chat/text', '--key', secrets.master], 2], [['tls-probe', `https://127.0.0.1:${server.port}`], 1],
            [['tls-probe', `https://user:${secrets.userinfo}@127.0.0.1:${server.port}`], 2],
        ]) {
            const { code, text } = await run(words);
            assert.ok(code !== null && code <= most, `${words[0]}: ${code} ${text}`);
            assert.ok(text.length > 10, words[0]);
            found.push(...leaks(words.slice(0, 2).join(' '), text));
        }
        found.push(...leaks('found.json', fs.readFileSync(`${folder}/found.json`, 'utf8')));
        await penstock.stop();
        await server.stop();
        // What is refused is named without its value.
        for (const [name, bad] of Object.entries({
            userinfo: { model_list: [{ model_name: 'm', litellm_params: { model: 'openai/x', api_base: `https://user:${secrets.userinfo}@host/v1`, api_key: secrets.chat } }] },
            space: { ...config, general_settings: { master_key: `${secrets.master} x` } },
            number: { ...config, penstock: { ...config.penstock, workers: 'os.environ/A_CLIENT_KEY' } },
            choice: { ...config, penstock: { ...config.penstock, log: { level: 'file:client_key' } } },
            address: { ...config, model_list: [{ model_name: 'm', litellm_params: { model: 'openai/x', api_base: 'os.environ/A_CLIENT_KEY', api_key: 'k' } }] },
            credentials: { ...config, model_list: [{ model_name: 'm', litellm_params: { model: 'vertex_ai/x', vertex_project: 'p', vertex_credentials: JSON.stringify({ type: 'service_account', private_key: secrets['refresh-token'] }) } }] },
        })) {
            const { code, text } = await run(['serve', '--port', '0', '-c', put('bad.yaml', JSON.stringify(bad))], {});
            assert.equal(code, 1, `${name}: ${text}`);
            found.push(...leaks(`the complaint about ${name}`, text));
        }
        assert.deepEqual(found, []);
    });
});
