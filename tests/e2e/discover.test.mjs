// SPDX-License-Identifier: MIT
//
// discover - which models answer in which region: what the command asks, says and keeps, and what a gateway makes of it (R92).

import { after, before, beforeEach, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import crypto from 'node:crypto';
import { spawn } from 'node:child_process';
import { make_ca, make_certificate } from '../../tools/fake_provider/certificates.mjs';
import { binary, Penstock, patience } from './lib/penstock.mjs';
import { exchange, json_of, sleep } from './lib/raw.mjs';

const key = crypto.generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
const secret = 'ya29.secret-token';

/* Vertex AI with a token endpoint, and providers that speak OpenAI's Chat, Responses and Anthropic's Messages: what each path answers. */
class Places {
    async start() {
        this.clear();
        this.server = http.createServer((request, response) => {
            const parts = [];
            request.on('data', (bytes) => parts.push(bytes));
            request.on('end', () => this.#answer(request, Buffer.concat(parts).toString(), response).catch((error) => response.destroy(error)));
        });
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
    }

    clear() {
        this.seen = [];
        this.regions = { 'us-central1': 404 }; // others answer
        this.statuses = {}; // by model
        this.cannot_count = new Set();
        this.flying = 0;
        this.most = 0;
        this.delay_ms = 0;
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    async #answer(request, body, response) {
        const send = (status, value) => {
            response.writeHead(status, { 'content-type': 'application/json' });
            response.end(JSON.stringify(value));
        };
        if (request.url === '/token') return send(200, { access_token: secret, expires_in: 3600, token_type: 'Bearer' });
        const json = JSON.parse(body);
        const region = /\/locations\/([^/]+)\//.exec(request.url)?.[1];
        const model = json.model ?? /models\/([^:]+):/.exec(request.url)?.[1];
        const counts = /countTokens|count_tokens/.test(request.url);
        this.seen.push({ url: request.url, region, model, json, counts, authorization: request.headers.authorization });
        this.flying++;
        this.most = Math.max(this.most, this.flying);
        await sleep(this.delay_ms);
        this.flying--;
        const status = this.regions[region] ?? this.statuses[model] ?? 200;
        if (status === 'page') {
            response.writeHead(200, { 'content-type': 'text/html' });
            return response.end('<html>Welcome</html>');
        }
        if (counts && this.cannot_count.has(model)) return send(404, { error: { message: 'no such path' } });
        if (status !== 200) return send(status, { error: { code: status, message: `no ${model} here for ${secret}`, status: status === 404 ? 'NOT_FOUND' : undefined } });
        if (counts) return send(200, /count_tokens/.test(request.url) ? { input_tokens: 3 } : { totalTokens: 3 });
        if (/chat\/completions/.test(request.url)) return send(200, { id: 'c', object: 'chat.completion', model, choices: [{ index: 0, message: { role: 'assistant', content: 'H' }, finish_reason: 'length' }] });
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end(`data: ${JSON.stringify({ candidates: [{ index: 0, content: { role: 'model', parts: [{ text: 'Salve' }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } })}\n\n`);
    }
}

const places = new Places();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-discover-'));
process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
const file = path.join(folder, 'discovery.json');

function config(discovery = { file }, more = []) {
    const account = path.join(folder, 'account.json');
    fs.writeFileSync(account, JSON.stringify({ type: 'service_account', project_id: 'p-1', private_key_id: 'kid-1', private_key: key.privateKey, client_email: 'robot@p-1.iam.gserviceaccount.com', token_uri: `${places.url}/token` }), { mode: 0o600 });
    return {
        model_list: [
            { model_name: 'gem', litellm_params: { model: 'vertex_ai/gemini-2.5-flash', api_base: places.url, vertex_project: 'p-1', vertex_location: ['us-central1', 'europe-west1'], vertex_credentials: account } },
            ...more,
        ],
        router_settings: { num_retries: 0 },
        penstock: { workers: 2, ...(discovery ? { discovery } : {}) },
    };
}

const chat_model = (name, params = {}, rest = {}) => ({ model_name: name, litellm_params: { model: `openai_like/${name}`, api_base: `${places.url}/v1`, api_key: 'sk-upstream', ...params }, ...rest });

/* discover - the command with a configuration: status and output. No secret is ever in it. */
async function discover(settings, words = []) {
    const config_path = path.join(folder, 'config.yaml');
    fs.writeFileSync(config_path, JSON.stringify(settings), { mode: 0o600 });
    const result = await new Promise((resolve) => {
        const child = spawn(binary, ['discover', '--config', config_path, ...words], { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
        const output = { stdout: '', stderr: '' };
        child.stdout.on('data', (bytes) => { output.stdout += bytes; });
        child.stderr.on('data', (bytes) => { output.stderr += bytes; });
        child.on('close', (status) => resolve({ status, ...output }));
    });
    for (const text of [result.stdout, result.stderr, fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '']) {
        for (const word of [secret, 'sk-upstream', 'PRIVATE KEY']) assert.ok(!text.includes(word), text);
    }
    assert.doesNotMatch(result.stderr, /Sanitizer|runtime error|assert/i);
    return result;
}

const row = (result, name) => result.stdout.split('\n').find((line) => line.startsWith(name))?.replaceAll(/ {2,}/g, '  ') ?? '';

/* asked - the regions that one request is sent to. */
async function asked(penstock) {
    places.seen = [];
    const response = await exchange(penstock.port, 'POST', '/v1/chat/completions', { body: { model: 'gem', messages: [{ role: 'user', content: 'Say hello.' }] } });
    return { status: response.status, regions: places.seen.map((request) => request.region) };
}

async function with_gateway(settings, body) {
    const penstock = await Penstock.start(settings);
    try {
        await body(penstock);
    } finally {
        await penstock.stop();
    }
}

describe('discovery', () => {
    before(() => places.start());
    after(() => places.stop());
    beforeEach(() => {
        places.clear();
        fs.rmSync(file, { force: true });
    });

    it('the command says which region answers and which does not, and keeps it in a file', async () => {
        const result = await discover(config());
        assert.equal(result.status, 0, result.stderr + result.stdout);
        assert.match(result.stdout, /^gem +us-central1 .* not there +404 +\d+ ms$/m);
        assert.match(result.stdout, /^gem +europe-west1 .* answers +200 +\d+ ms$/m);
        const kept = JSON.parse(fs.readFileSync(file, 'utf8'));
        assert.ok(Math.abs(kept.discovered_unix_s - Date.now() / 1000) < 60);
        assert.deepEqual(kept.deployments.map(({ model_name, region, verdict, status }) => [model_name, region, verdict, status]), [['gem', 'us-central1', 'not there', 404], ['gem', 'europe-west1', 'answers', 200]]);
        assert.equal(fs.statSync(file).mode & 0o777, 0o600);
        assert.ok(places.seen.every((request) => request.authorization === `Bearer ${secret}`));
        assert.deepEqual(places.seen.filter((request) => request.region === 'europe-west1').map((request) => request.counts), [true]); // counting was enough
        assert.deepEqual(places.seen.filter((request) => request.region === 'us-central1').map((request) => request.counts), [true, false]); // and is not the last word
    });

    it('a model that answers nowhere fails the command; --json prints what the file holds', async () => {
        places.regions['europe-west1'] = 403;
        const result = await discover(config(), ['--json']);
        assert.equal(result.status, 1);
        assert.deepEqual(JSON.parse(result.stdout).deployments.map((each) => each.verdict), ['not there', 'no access']);
        assert.equal(result.stdout, fs.readFileSync(file, 'utf8'));
    });

    it('without a file nothing is kept', async () => {
        assert.equal((await discover(config(null))).status, 0);
        assert.ok(!fs.existsSync(file));
    });

    it('each verdict, and what is not asked', async () => {
        Object.assign(places.statuses, { denied: 401, gone: 404, busy: 429, over: 529, broken: 500, page: 'page' });
        places.cannot_count.add('claude');
        const models = ['fine', 'denied', 'gone', 'busy', 'over', 'broken', 'page'].map((name) => chat_model(name));
        models.push({ model_name: 'claude', litellm_params: { model: 'anthropic/claude', api_base: places.url, api_key: 'sk-upstream' } });
        models.push({ model_name: 'nowhere', litellm_params: { model: 'openai_like/nowhere', api_base: 'http://127.0.0.1:1/v1', api_key: 'sk-upstream' } });
        models.push(chat_model('any-*', { model: 'openai_like/*' }), chat_model('embed', {}, { model_info: { mode: 'embedding' } }));
        const result = await discover(config(undefined, models));
        assert.equal(result.status, 1);
        for (const [name, words] of Object.entries({ fine: /answers +200/, denied: /no access +401/, gone: /not there +404/, busy: /busy +429/, over: /busy +529/, broken: /failed +500/, page: /failed +200/, claude: /answers +200/, nowhere: /failed +- / })) {
            assert.match(row(result, `${name} `), words);
        }
        assert.equal(row(result, 'any-'), '');
        assert.equal(row(result, 'embed'), '');
        assert.match(result.stderr, /not asked: 2,/);
        assert.deepEqual(places.seen.filter((request) => request.model === 'claude').map((request) => request.counts), [true, false]);
        const fine = places.seen.find((request) => request.model === 'fine');
        assert.equal(fine.authorization, 'Bearer sk-upstream');
        assert.equal(fine.json.max_tokens, 1);
    });

    it('a key goes only where requests would send it', async () => {
        make_ca(folder);
        make_ca(folder, 'foreign');
        const good = make_certificate(folder, 'good', { names: 'DNS:other.example' });
        const rsa = make_certificate(folder, 'rsa', { key: 'rsa' });
        const keys = [];
        const server = https.createServer({ cert: good.cert, key: good.key }, (request, response) => {
            keys.push(request.headers.authorization);
            response.writeHead(200, { 'content-type': 'application/json' });
            response.end('{"choices":[]}');
        });
        await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
        const at = (name, own) => chat_model(name, { api_base: `https://localhost:${server.address().port}/v1`, api_key: `key-of-${name}` }, { penstock: own });
        const named = { tls_server_name: 'other.example', ca_file: path.join(folder, 'ca.pem') };
        const result = await discover(config(null, [
            at('named', named), at('pinned', { ...named, spki_pin: `sha256/${good.spki}` }), at('strange-pin', { ...named, spki_pin: `sha256/${rsa.spki}` }),
            at('strange-name', { ca_file: named.ca_file }), at('strange-ca', { ...named, ca_file: path.join(folder, 'foreign.pem') }),
        ]));
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        assert.deepEqual(keys.sort(), ['Bearer key-of-named', 'Bearer key-of-pinned'], result.stdout);
        for (const name of ['strange-pin', 'strange-name', 'strange-ca']) assert.match(row(result, name), /failed +- /);
    });

    it('many are asked at once, but not all', async () => {
        places.delay_ms = 50;
        const models = Array.from({ length: 30 }, (_, at) => chat_model(`m-${at}`));
        assert.equal((await discover(config(null, models))).status, 0);
        assert.equal(places.most, 8);
    });

    it('a gateway asks the region that answered first, says what it knows, and leaves out none', async () => {
        assert.equal((await discover(config())).status, 0);
        await with_gateway(config(), async (penstock) => {
            assert.deepEqual(await asked(penstock), { status: 200, regions: ['europe-west1'] });
            const known = json_of(await exchange(penstock.port, 'GET', '/health/discovery'));
            assert.equal(known.file, file);
            assert.deepEqual(known.deployments.map(({ region, verdict, tried_last }) => [region, verdict, tried_last]), [['us-central1', 'not there', true], ['europe-west1', 'answers', false]]);
            assert.ok(known.deployments[0].age_s < 60 * patience);
        });
        const settings = config();
        settings.router_settings.num_retries = 1;
        await with_gateway(settings, async (penstock) => {
            places.regions = { 'europe-west1': 503 }; // all is different now
            assert.deepEqual(await asked(penstock), { status: 200, regions: ['europe-west1', 'us-central1'] });
        });
    });

    it('a gateway that runs takes what is discovered at once', async () => {
        await with_gateway(config(), async (penstock) => {
            assert.deepEqual((await asked(penstock)).regions, ['us-central1']);
            assert.equal((await discover(config())).status, 0);
            await penstock.wait_log(/discovery taken/);
            assert.deepEqual((await asked(penstock)).regions, ['europe-west1']);
            penstock.signal('SIGHUP');
            await penstock.wait_log(/msg=reloaded/);
            await sleep(100 * patience);
            assert.deepEqual((await asked(penstock)).regions, ['europe-west1']); // the new configuration knows it, too
            fs.rmSync(file);
            for (const until = Date.now() + 5000 * patience; (await asked(penstock)).regions[0] !== 'us-central1'; await sleep(50)) assert.ok(Date.now() < until);
        });
    });

    it('an old or broken file changes nothing', async () => {
        assert.equal((await discover(config())).status, 0);
        const kept = JSON.parse(fs.readFileSync(file, 'utf8'));
        for (const [text, words] of [
            [JSON.stringify({ ...kept, discovered_unix_s: kept.discovered_unix_s - 25 * 3600 }), /discovery ignored.*older than/],
            [JSON.stringify(kept).slice(0, -5), /discovery ignored.*no file of/],
            ['', /discovery ignored.*no file of/],
        ]) {
            fs.writeFileSync(file, text, { mode: 0o600 });
            await with_gateway(config(), async (penstock) => {
                await penstock.wait_log(words);
                assert.deepEqual((await asked(penstock)).regions, ['us-central1']);
            });
        }
        fs.writeFileSync(file, JSON.stringify(kept), { mode: 0o600 });
        await with_gateway(config({ file, ttl: '1s' }), async (penstock) => {
            await sleep(1100);
            assert.deepEqual((await asked(penstock)).regions, ['us-central1']);
        });
    });

    it('only those with a key see what is known', async () => {
        const settings = config();
        settings.general_settings = { master_key: 'sk-master' };
        await with_gateway(settings, async (penstock) => {
            assert.equal((await exchange(penstock.port, 'GET', '/health/discovery')).status, 401);
            const response = await exchange(penstock.port, 'GET', '/health/discovery', { headers: { authorization: 'Bearer sk-master' } });
            assert.equal(response.status, 200);
            assert.deepEqual(json_of(response).deployments.map((each) => each.verdict), ['unknown', 'unknown']);
        });
    });
});
