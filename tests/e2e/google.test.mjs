// SPDX-License-Identifier: MIT
//
// google - access tokens for Google's hosts: where they come from, how seldom they are asked for, when they are renewed, what
// a refused or missing one means, and that nobody sees them (R27, R83, R84, R86, R87, R88, R89, R104).

import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Penstock, patience } from './lib/penstock.mjs';
import { exchange, events_of, json_of, sleep } from './lib/raw.mjs';

const key = crypto.generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });

/* Google in small: a token endpoint, a metadata server and Vertex AI. */
class Google {
    constructor() {
        this.grants = []; // what was asked for
        this.seen = []; // requests to models
        this.lifetime = 3600;
        this.valid = new Set();
        this.fail = 0; // token requests that are refused
        this.slow_ms = 0;
        this.stream_ms = 0;
        this.region_errors = {};
    }

    async start() {
        this.server = http.createServer((request, response) => {
            const parts = [];
            request.on('data', (bytes) => parts.push(bytes));
            request.on('end', () => this.#answer(request, Buffer.concat(parts).toString(), response).catch((error) => response.destroy(error)));
        });
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.host = `127.0.0.1:${this.server.address().port}`;
        this.url = `http://${this.host}`;
        return this;
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    async #grant(request, body, response) {
        this.grants.push({ method: request.method, headers: request.headers, form: new URLSearchParams(body) });
        if (this.slow_ms) await sleep(this.slow_ms);
        response.setHeader('content-type', 'application/json');
        if (this.fail > 0) {
            this.fail--;
            response.statusCode = 400;
            return response.end(JSON.stringify({ error: 'invalid_grant', error_description: 'Invalid JWT Signature.' }));
        }
        const token = `ya29.secret-${this.grants.length}`;
        this.valid.add(token);
        response.end(JSON.stringify({ access_token: token, expires_in: this.lifetime, token_type: 'Bearer' }));
    }

    async #answer(request, body, response) {
        if (request.url === '/token' || request.url.startsWith('/computeMetadata/')) return this.#grant(request, body, response);
        const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1];
        const json = JSON.parse(body);
        const region = /\/locations\/([^/]+)\//.exec(request.url)?.[1];
        this.seen.push({ url: request.url, token, json, headers: request.headers, region });
        if (!this.valid.has(token)) {
            response.writeHead(401, { 'content-type': 'application/json' });
            return response.end(JSON.stringify({ error: { code: 401, message: `Request had invalid authentication credentials: ${token}`, status: 'UNAUTHENTICATED' } }));
        }
        if (this.region_errors[region]) {
            response.writeHead(this.region_errors[region].status, { 'content-type': 'application/json' });
            return response.end(JSON.stringify(this.region_errors[region].body));
        }
        if (/count-tokens:rawPredict$/.test(request.url)) return response.end(JSON.stringify({ input_tokens: 42 }));
        if (/:countTokens/.test(request.url)) return response.end(JSON.stringify({ totalTokens: 43 }));
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const send = (event, data) => response.write(`${event ? `event: ${event}\n` : ''}data: ${JSON.stringify(data)}\n\n`);
        if (/publishers\/anthropic/.test(request.url)) {
            send('message_start', { type: 'message_start', message: { id: 'msg_vrtx_1', type: 'message', role: 'assistant', model: 'claude', content: [], stop_reason: null, stop_sequence: null, usage: { input_tokens: 3, output_tokens: 1 } } });
            send('vertex_event', { type: 'vertex_event' });
            send('content_block_start', { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } });
            send('content_block_delta', { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Salve' } });
            send('content_block_stop', { type: 'content_block_stop', index: 0 });
            send('message_delta', { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 4 } });
            send('message_stop', { type: 'message_stop' });
            return response.end();
        }
        for (const text of ['Sal', 've']) {
            send('', { candidates: [{ index: 0, content: { role: 'model', parts: [{ text }] } }] });
            if (this.stream_ms) await sleep(this.stream_ms);
        }
        send('', { candidates: [{ index: 0, content: { role: 'model', parts: [{ text: '' }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } });
        response.end();
    }
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-google-'));
process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));

function account(google) {
    const file = path.join(folder, `account-${google.host.split(':')[1]}.json`);
    fs.writeFileSync(file, JSON.stringify({ type: 'service_account', project_id: 'p-1', private_key_id: 'kid-1', private_key: key.privateKey, client_email: 'robot@p-1.iam.gserviceaccount.com', token_uri: `${google.url}/token` }), { mode: 0o600 });
    return file;
}

function config(google, params = {}, more = {}) {
    const vertex = (model_name, model, extra = {}) => ({ model_name, litellm_params: { model: `vertex_ai/${model}`, api_base: google.url, vertex_project: 'p-1', vertex_location: 'europe-west4', vertex_credentials: account(google), ...params, ...extra } });
    return {
        model_list: [
            vertex('gemini', 'gemini-2.5-flash'), vertex('claude', 'claude-haiku-4-5@20251001'), vertex('dated', 'claude-haiku-4-5-20251001'),
            vertex('regions', 'gemini-2.5-flash', { vertex_location: ['us-central1', 'europe-west1', 'asia-east1'] }),
            { model_name: 'other', litellm_params: { model: 'openai_like/x', api_base: `${google.url}/v1`, api_key: 'sk-other' } },
        ],
        router_settings: { num_retries: 2 },
        penstock: { workers: 2, log: { level: 'debug3' }, ...more },
    };
}

async function in_google(options, body) {
    const google = await new Google().start();
    options.prepare?.(google);
    const penstock = await Penstock.start(options.config?.(google) ?? config(google, options.params?.(google), options.more), { env: options.env?.(google) });
    try {
        await body(google, penstock);
        for (const token of google.valid) assert.ok(!penstock.log.includes(token), 'a token in the log');
        assert.ok(!penstock.log.includes('PRIVATE KEY'), 'a key in the log');
    } finally {
        await google.stop(); // first: a gateway that ends badly throws, and a server left behind would keep the suite from ending
        await penstock.stop();
    }
}

const chat = (model, extra = {}) => ({ body: { model, messages: [{ role: 'user', content: 'Say hello.' }], ...extra } });
const ask = (penstock, model = 'gemini') => exchange(penstock.port, 'POST', '/v1/chat/completions', chat(model));

describe('Google credentials', () => {
    it('a service account signs for its token, and models are asked with it', () => in_google({}, async (google, penstock) => {
        const response = await ask(penstock);
        assert.equal(response.status, 200, response.text);
        assert.equal(json_of(response).choices[0].message.content, 'Salve');
        assert.equal(google.seen[0].url, '/v1/projects/p-1/locations/europe-west4/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse');
        const form = google.grants[0].form;
        assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
        const [head, claims, signature] = form.get('assertion').split('.');
        assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url')), { alg: 'RS256', typ: 'JWT', kid: 'kid-1' });
        const said = JSON.parse(Buffer.from(claims, 'base64url'));
        assert.equal(said.iss, 'robot@p-1.iam.gserviceaccount.com');
        assert.equal(said.aud, `${google.url}/token`);
        assert.equal(said.scope, 'https://www.googleapis.com/auth/cloud-platform');
        assert.equal(said.exp - said.iat, 3600);
        assert.ok(Math.abs(said.iat - Date.now() / 1000) < 60);
        assert.ok(crypto.verify('sha256', `${head}.${claims}`, key.publicKey, Buffer.from(signature, 'base64url')), 'the signature');
    }));

    it('a hundred first requests cause one token request', () => in_google({ prepare: (google) => { google.slow_ms = 300; } }, async (google, penstock) => {
        const answers = await Promise.all(Array.from({ length: 100 }, () => ask(penstock)));
        assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
        assert.equal(google.grants.length, 1);
        for (let i = 0; i < 20; i++) assert.equal((await ask(penstock)).status, 200);
        assert.equal(google.grants.length, 1);
    }));

    it('a token is renewed before its end, off the way of requests', () => in_google({ prepare: (google) => { google.lifetime = 5; } }, async (google, penstock) => {
        assert.equal((await ask(penstock)).status, 200);
        const before = google.grants.length;
        google.slow_ms = 600; // nobody may wait for this one
        const until = Date.now() + 12_000 * patience;
        while (google.grants.length === before && Date.now() < until) {
            const began = Date.now();
            assert.equal((await ask(penstock)).status, 200);
            assert.ok(Date.now() - began < 500 * patience, 'a request waited for a renewal');
            await sleep(100);
        }
        assert.ok(google.grants.length > before, 'the token was renewed');
    }));

    it('a token that ends in the middle hurts no stream, and the next request has a new one', () => in_google({
        prepare: (google) => { google.lifetime = 2; google.stream_ms = 1500; },
    }, async (google, penstock) => {
        const response = await exchange(penstock.port, 'POST', '/v1/chat/completions', chat('gemini', { stream: true }));
        const events = events_of(response);
        assert.equal(events.at(-1).data, '[DONE]');
        const first = google.seen[0].token;
        google.valid.delete(first); // Google has forgotten it
        google.stream_ms = 0;
        assert.equal((await ask(penstock)).status, 200);
        assert.notEqual(google.seen.at(-1).token, first);
    }));

    it('a refused token is replaced once, and the request tried once more', () => in_google({}, async (google, penstock) => {
        assert.equal((await ask(penstock)).status, 200);
        google.valid.clear();
        const before = { grants: google.grants.length, seen: google.seen.length };
        assert.equal((await ask(penstock)).status, 200);
        assert.equal(google.grants.length, before.grants + 1);
        assert.equal(google.seen.length, before.seen + 2);
        // One that is refused again is an error, without the token that Google repeats in it.
        google.valid.clear();
        google.valid.add = () => google.valid;
        const response = await ask(penstock);
        assert.ok([401, 502].includes(response.status), `${response.status}`);
        assert.ok(!response.text.includes('ya29.'), response.text);
    }));

    it('without a token the upstream is not asked, the client is told, and later all is well', () => in_google({ prepare: (google) => { google.fail = 2; } }, async (google, penstock) => {
        const response = await ask(penstock);
        assert.equal(response.status, 502);
        assert.equal(json_of(response).error.code, 'upstream_credential');
        assert.equal(google.seen.length, 0);
        await penstock.wait_log(/no access token.*Invalid JWT Signature/);
        const until = Date.now() + 15_000 * patience;
        let status;
        while ((status = (await ask(penstock)).status) !== 200 && Date.now() < until) await sleep(200);
        assert.equal(status, 200);
    }));

    it('an authorized user and the metadata server give tokens, too; a static one is just sent', async () => {
        const user = (google) => JSON.stringify({ type: 'authorized_user', client_id: 'id&1', client_secret: 'hush', refresh_token: '1//rt', token_uri: `${google.url}/token` });
        await in_google({ params: (google) => ({ vertex_credentials: user(google) }) }, async (google, penstock) => {
            assert.equal((await ask(penstock)).status, 200);
            assert.deepEqual(Object.fromEntries(google.grants[0].form), { grant_type: 'refresh_token', client_id: 'id&1', client_secret: 'hush', refresh_token: '1//rt' });
        });
        await in_google({
            params: () => ({ vertex_credentials: undefined }), env: (google) => ({ GCE_METADATA_HOST: google.host, HOME: folder }),
        }, async (google, penstock) => {
            assert.equal((await ask(penstock)).status, 200);
            assert.equal(google.grants[0].method, 'GET');
            assert.equal(google.grants[0].headers['metadata-flavor'], 'Google');
        });
        await in_google({ params: () => ({ vertex_credentials: undefined, api_key: 'ya29.static' }), prepare: (google) => google.valid.add('ya29.static') }, async (google, penstock) => {
            assert.equal((await ask(penstock)).status, 200);
            assert.equal(google.grants.length, 0);
            assert.equal(google.seen[0].token, 'ya29.static');
        });
        // What gcloud has left in the home directory comes before the metadata server.
        const home = fs.mkdtempSync(path.join(folder, 'home-'));
        fs.mkdirSync(path.join(home, '.config/gcloud'), { recursive: true });
        await in_google({
            params: (google) => {
                fs.writeFileSync(path.join(home, '.config/gcloud/application_default_credentials.json'), user(google));
                return { vertex_credentials: undefined };
            },
            env: () => ({ HOME: home, GCE_METADATA_HOST: '127.0.0.1:1' }),
        }, async (google, penstock) => {
            assert.equal((await ask(penstock)).status, 200);
            assert.equal(google.grants[0].form.get('grant_type'), 'refresh_token');
        });
    });

    it('tokens go to Google alone', () => in_google({}, async (google, penstock) => {
        await ask(penstock, 'other');
        assert.equal(google.seen.at(-1).token, 'sk-other');
    }));

    it('a reload keeps the token; metrics tell of it without showing it', () => in_google({}, async (google, penstock) => {
        assert.equal((await ask(penstock)).status, 200);
        penstock.signal('SIGHUP');
        await sleep(500 * patience);
        assert.equal((await ask(penstock)).status, 200);
        assert.equal(google.grants.length, 1);
        const metrics = (await exchange(penstock.port, 'GET', '/metrics')).text;
        const label = 'credential="service_account robot@p-1.iam.gserviceaccount.com"';
        assert.ok(metrics.includes(`penstock_token_refreshes_total{${label},outcome="ok"} 1`), metrics.match(/penstock_token.*/g)?.join('\n'));
        const left = Number(metrics.match(/penstock_token_seconds_left\{[^}]*\} (-?\d+)/)[1]);
        assert.ok(left > 3500 && left <= 3600, `${left}`);
        assert.ok(!metrics.includes('ya29'));
    }));
});

describe('Vertex AI', () => {
    it('Claude is asked in Vertex\'s form: version in the body, model in the path', () => in_google({}, async (google, penstock) => {
        const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'context-1m-2025-08-07' };
        const body = { model: 'claude', max_tokens: 9, stream: true, tools: [{ name: 'f', input_schema: { type: 'object' } }], tool_choice: { type: 'auto' }, metadata: { user_id: 'u' }, top_k: 3, stop_sequences: ['x'], system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral' } }], messages: [{ role: 'user', content: 'Hi' }] };
        const response = await exchange(penstock.port, 'POST', '/v1/messages?beta=true', { headers, body });
        assert.equal(response.status, 200, response.text);
        assert.match(response.text, /Salve/);
        assert.ok(!response.text.includes('vertex_event'));
        const seen = google.seen[0];
        assert.equal(seen.url, '/v1/projects/p-1/locations/europe-west4/publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict');
        const { model, ...rest } = body;
        assert.deepEqual(seen.json, { ...rest, anthropic_version: 'vertex-2023-10-16' });
        assert.equal(seen.headers['anthropic-beta'], 'context-1m-2025-08-07');
        // Both ways to write a dated model mean the same.
        await exchange(penstock.port, 'POST', '/v1/messages', { headers, body: { ...body, model: 'dated' } });
        assert.match(google.seen.at(-1).url, /claude-haiku-4-5@20251001:streamRawPredict$/);
    }));

    it('tokens are counted by Vertex', () => in_google({}, async (google, penstock) => {
        const body = { model: 'claude', messages: [{ role: 'user', content: 'Hi' }] };
        const response = await exchange(penstock.port, 'POST', '/v1/messages/count_tokens', { headers: { 'anthropic-version': '2023-06-01' }, body });
        assert.deepEqual(json_of(response), { input_tokens: 42 });
        assert.match(google.seen[0].url, /publishers\/anthropic\/models\/count-tokens:rawPredict$/);
        assert.equal(google.seen[0].json.model, 'claude-haiku-4-5@20251001');
        const gemini = await exchange(penstock.port, 'POST', '/v1/messages/count_tokens', { headers: { 'anthropic-version': '2023-06-01' }, body: { ...body, model: 'gemini' } });
        assert.deepEqual(json_of(gemini), { input_tokens: 43 });
    }));

    it('regions are walked in order on quota, overload and models that are not there', () => in_google({
        prepare: (google) => {
            google.region_errors['us-central1'] = { status: 429, body: [{ error: { code: 429, message: 'Resource has been exhausted', status: 'RESOURCE_EXHAUSTED' } }] };
            google.region_errors['europe-west1'] = { status: 400, body: { error: { code: 400, message: 'Publisher Model `x` is not servable in region europe-west1.', status: 'FAILED_PRECONDITION' } } };
        },
    }, async (google, penstock) => {
        const response = await ask(penstock, 'regions');
        assert.equal(response.status, 200, response.text);
        assert.deepEqual(google.seen.map((request) => request.region), ['us-central1', 'europe-west1', 'asia-east1']);
        await penstock.wait_log(/attempt failed.*@us-central1/);
    }));
});
