// SPDX-License-Identifier: MIT
//
// endpoints - every path that clients of four dialects use: which of them a request is for, who may ask, how it is framed,
// what is counted, listed and carried unread (R35, R52, R53, R62, R66, R80, R106, R140).

import { after, it } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { models_at, Penstock, upstreams } from './lib/penstock.mjs';
import { exchange, events_of, json_of, RawClient, sleep } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const key = 'sk-client-key-0123456789';
const auth = { Authorization: `Bearer ${key}` };

/* An upstream that shows what it was asked and answers as `reply` says. */
class Opaque {
    constructor() {
        this.seen = [];
        this.reply = null;
    }

    async start() {
        this.server = http.createServer((request, response) => {
            const parts = [];
            request.on('data', (bytes) => parts.push(bytes));
            request.on('end', () => {
                const record = { method: request.method, target: request.url, headers: request.headers, body: Buffer.concat(parts) };
                this.seen.push(record);
                const reply = this.reply ?? ((_, answer) => answer.end('{}'));
                reply(record, response);
            });
        });
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    last() {
        return this.seen[this.seen.length - 1];
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }
}

const opaque = await new Opaque().start();

function config(url) {
    const openai = (model_name, model, extra = {}) => ({ model_name, litellm_params: { model, api_base: `${opaque.url}/v1`, api_key: 'sk-opaque-upstream' }, ...extra });
    return {
        model_list: [
            ...models_at(url),
            openai('embed', 'openai/text-embedding-3', { model_info: { mode: 'embedding', max_input_tokens: 8191, max_output_tokens: 77, input_cost_per_token: 2e-8, supports_vision: true, supports_reasoning: false } }),
            openai('o/*', 'openai/*'),
            { model_name: 'azure/*', litellm_params: { model: 'azure/*', api_base: opaque.url, api_key: 'k', api_version: '2024-10-21' } },
            openai('moderate', 'openai/omni-moderation', { model_info: { mode: 'moderation' } }),
            { model_name: 'claw', litellm_params: { model: 'openclaw/main', api_base: `${opaque.url}/v1`, api_key: 'k' } },
            { model_name: 'betas', litellm_params: { model: 'anthropic/text', api_base: url, api_key: 'k' }, penstock: { betas: 'known-2025-01-01, other-2025-02-02' } },
        ],
        general_settings: { master_key: key },
        penstock: { workers: 2, log: { level: 'debug' }, sse: { ids: true }, timeouts: { keepalive: '200ms', commit: '500ms', idle: '3s' } },
    };
}

in_world('endpoints', config, (world) => {
    after(() => opaque.stop());
    const port = () => world.penstock.port;
    const last = () => world.provider.seen[world.provider.seen.length - 1];
    const ask = (method, target, body, headers = {}) => exchange(port(), method, target, { body, headers: { ...auth, ...headers } });
    const hi = {
        chat: (model) => ({ model, messages: [{ role: 'user', content: 'hi' }] }),
        responses: (model) => ({ model, input: 'hi' }),
        anthropic: (model) => ({ model, max_tokens: 50, messages: [{ role: 'user', content: 'hi' }] }),
        gemini: () => ({ contents: [{ role: 'user', parts: [{ text: 'hi' }] }] }),
        text: (model) => ({ model, prompt: 'hi' }),
    };
    const texts = {
        chat: (reply) => reply.choices[0].message.content,
        responses: (reply) => reply.output.flatMap((item) => item.content ?? []).map((part) => part.text).join(''),
        anthropic: (reply) => reply.content.map((block) => block.text ?? '').join(''),
        gemini: (reply) => reply.candidates[0].content.parts.map((part) => part.text).join(''),
        text: (reply) => reply.choices[0].text,
    };

    it('every spelling of every path leads to its dialect', async () => {
        const paths = [
            ...['/v1/chat/completions', '/chat/completions', '/openai/v1/chat/completions', '/v1/chat/completions/'].map((path) => [path, 'chat']),
            ...['/v1/responses', '/responses', '/openai/v1/responses', '/v1/responses/'].map((path) => [path, 'responses']),
            ...['/v1/messages', '/messages', '/v1/v1/messages', '/v1/messages?beta=true'].map((path) => [path, 'anthropic']),
            ...['/v1/completions', '/completions', '/openai/v1/completions'].map((path) => [path, 'text']),
            ...['/v1beta', '/v1', '/v1alpha'].map((path) => [`${path}/models/c/text:generateContent`, 'gemini']),
            ['/v1beta/models/c%2Ftext:generateContent', 'gemini'],
            ['/v1/projects/p-1/locations/global/publishers/google/models/c%2Ftext:generateContent', 'gemini'],
            ['/projects/p/locations/eu/publishers/anthropic/models/c%2Ftext:rawPredict', 'anthropic'],
            ['/some/prefix/v1/projects/p/locations/eu/publishers/anthropic/models/c/text:rawPredict', 'anthropic'],
        ];
        let first;
        for (const [path, dialect] of paths) {
            const response = await ask('POST', path, hi[dialect]('c/text'));
            assert.equal(response.status, 200, `${path}: ${response.text}`);
            const text = texts[dialect](json_of(response));
            first ??= text;
            assert.equal(text, first, path);
        }
        assert.ok(first.length > 0);
    });

    it('unknown paths and methods are refused in the dialect of the path', async () => {
        const rows = [
            ['POST', '/v1beta/models/c/text:fly', 404, 'NOT_FOUND'], ['POST', '/v1beta/models/c/text', 404, 'NOT_FOUND'],
            ['GET', '/v1beta/nothing', 404, 'NOT_FOUND'], ['POST', '/v1beta/models/%zz:generateContent', 404, 'NOT_FOUND'],
            ['PUT', '/v1beta/models/c/text:generateContent', 405, undefined],
        ];
        for (const [method, path, status, word] of rows) {
            const response = await ask(method, path, {});
            assert.equal(response.status, status, path);
            assert.equal(json_of(response).error.code, status, response.text);
            if (word) assert.equal(json_of(response).error.status, word);
        }
        const vertex = await ask('POST', '/v1/projects/p/locations/l/publishers/anthropic/models/m:generateContent', {});
        assert.equal(vertex.status, 404);
        assert.equal(json_of(vertex).type, 'error');
        for (const path of ['/v1/responses/compact', '/v1/projects/p/locations/l/publishers/meta/models/m:rawPredict', '/v1/projects/x']) {
            assert.equal((await ask('POST', path, {})).status, 404, path);
        }
        const allow = await ask('PUT', '/v1/files', {});
        assert.deepEqual([allow.status, allow.headers.allow], [405, 'GET, POST, OPTIONS']);
    });

    it('a key may stand where each dialect puts it, and is seen nowhere', async () => {
        const target = '/v1beta/models/g%2Ftext:generateContent';
        const ways = [[target, { 'x-goog-api-key': key }], [`${target}?key=${key}`, {}], [`${target}?alt=json&key=${encodeURIComponent(key)}`, {}],
            [target, { 'api-key': key }], [target, { Authorization: `Bearer ${key}` }], [target, { 'x-api-key': key }]];
        for (const [path, headers] of ways) {
            const response = await exchange(port(), 'POST', path, { body: hi.gemini(), headers });
            assert.equal(response.status, 200, response.text);
            assert.ok(!JSON.stringify([last().target, last().fields, last().body.toString()]).includes(key));
            assert.equal(last().headers['x-goog-api-key'], 'sk-gemini-upstream');
        }
        for (const path of [`${target}?key=wrong-key-of-someone`, target]) {
            const response = await exchange(port(), 'POST', path, { body: hi.gemini() });
            assert.equal(response.status, 401);
            assert.equal(json_of(response).error.status, 'UNAUTHENTICATED');
            assert.ok(!response.text.includes('wrong-key'));
        }
        await exchange(port(), 'GET', `/v1/nowhere?key=${key}`, {});
        await exchange(port(), 'GET', `/debug/streams?key=${key}`, {});
        assert.ok(!world.penstock.log.includes(key));
        assert.ok(!world.penstock.log.includes('wrong-key'));
    });

    it('model ids may hold slashes, colons, at signs and dots', async () => {
        world.provider.scripts.set('text:120b@2025.1', {});
        for (const id of ['c/text:120b@2025.1', 'c%2Ftext%3A120b%402025.1', 'c/text%3a120b@2025.1']) {
            const response = await ask('POST', `/v1beta/models/${id}:generateContent`, hi.gemini());
            assert.equal(response.status, 200, response.text);
            assert.equal(last().json.model, 'text:120b@2025.1');
        }
        const gemini = await ask('POST', '/v1beta/models/g/text:120b@2025.1:generateContent', hi.gemini());
        assert.equal(gemini.status, 200, gemini.text);
        assert.equal(decodeURIComponent(last().path), '/v1beta/models/text:120b@2025.1:generateContent');
    });

    it('without alt=sse a stream of Gemini is one JSON array, from every upstream', async () => {
        for (const { prefix } of upstreams) {
            const response = await ask('POST', `/v1beta/models/${prefix}text:streamGenerateContent`, hi.gemini());
            assert.equal(response.status, 200, response.text);
            assert.match(response.headers['content-type'], /^application\/json/);
            const elements = json_of(response);
            assert.ok(Array.isArray(elements) && elements.length > 1, response.text);
            const sse = await ask('POST', `/v1beta/models/${prefix}text:streamGenerateContent?alt=sse`, hi.gemini());
            assert.match(sse.headers['content-type'], /^text\/event-stream/);
            assert.deepEqual(events_of(sse).map((event) => JSON.parse(event.data).candidates?.[0]?.content?.parts),
                elements.map((element) => element.candidates?.[0]?.content?.parts));
        }
    });

    it('the elements of an array arrive one by one', async () => {
        world.provider.scripts.set('paced', { scenario: 'text', pace_ms: 60 });
        const response = await ask('POST', '/v1beta/models/c/paced:streamGenerateContent', hi.gemini());
        assert.ok(json_of(response).length > 1);
        assert.ok(response.times[response.times.length - 1] - response.times[0] > 140, 'all came at once');
    });

    it('silence is filled with white space in an array, and with nothing in events: Gemini clients take no other line', async () => {
        world.provider.scripts.set('late', { scenario: 'text', head_delay_ms: 1500 });
        const array = await ask('POST', '/v1beta/models/c/late:streamGenerateContent', hi.gemini());
        assert.equal(array.status, 200);
        assert.match(array.text, /^\[\n+\{/);
        assert.ok(json_of(array).length > 1);
        for (const upstream of ['c/late', 'g/late', 'g/text', 'a/text']) {
            const sse = await ask('POST', `/v1beta/models/${upstream}:streamGenerateContent?alt=sse`, hi.gemini());
            assert.equal(sse.status, 200, sse.text);
            assert.ok(sse.text.length > 0);
            for (const block of sse.text.split(/\r?\n\r?\n/).slice(0, -1)) assert.match(block, /^data: ?\{[^\n]*\}$/, JSON.stringify(sse.text.slice(0, 300)));
        }
    });

    it('an error in the middle is the last element, and the array is closed', async () => {
        for (const { prefix } of upstreams) {
            world.provider.scripts.set('breaks', { scenario: 'text', error_after: 6, error: { message: 'broke in the middle' } });
            const response = await ask('POST', `/v1beta/models/${prefix}breaks:streamGenerateContent`, hi.gemini());
            const elements = json_of(response);
            assert.match(elements[elements.length - 1].error.message, /broke in the middle/);
            assert.equal(elements.filter((element) => element.error).length, 1);
        }
        world.provider.scripts.set('refuses', { status: 429, error: { message: 'slow down' } });
        const refused = await ask('POST', '/v1beta/models/c/refuses:streamGenerateContent', hi.gemini());
        assert.equal(refused.status, 429);
        assert.equal(json_of(refused).error.status, 'RESOURCE_EXHAUSTED');
    });

    it('Gemini to Gemini: bytes pass as they are, events with their line ends', async () => {
        const body = '{"contents" : [{"role":"user","parts":[{"text":"h\\u0069"}]}],\n"unknownField":{"a":1.0}}';
        const response = await ask('POST', '/v1beta/models/g/text:streamGenerateContent?alt=sse', body);
        assert.equal(response.status, 200);
        assert.equal(last().body.toString(), body);
        assert.equal(last().target, '/v1beta/models/text:streamGenerateContent?alt=sse');
        assert.match(response.text, /\}\r\n\r\n/);
        const whole = await ask('POST', '/v1beta/models/g/text:generateContent', body);
        assert.equal(whole.status, 200);
        assert.equal(last().target, '/v1beta/models/text:generateContent');
    });

    it('Vertex paths: the method says whether it streams, errors are of the path', async () => {
        const place = '/v1/projects/p/locations/europe-west1/publishers';
        const body = { anthropic_version: 'vertex-2023-10-16', max_tokens: 50, messages: [{ role: 'user', content: 'hi' }] };
        for (const { prefix } of upstreams) {
            const model = encodeURIComponent(`${prefix}text`);
            const whole = await ask('POST', `${place}/anthropic/models/${model}:rawPredict`, body);
            assert.equal(json_of(whole).type, 'message', whole.text);
            const stream = await ask('POST', `${place}/anthropic/models/${model}:streamRawPredict`, { ...body, stream: true });
            assert.equal(events_of(stream).at(-1).event ?? events_of(stream).at(-1).type, 'message_stop');
            const unsaid = await ask('POST', `${place}/anthropic/models/${model}:streamRawPredict`, body);
            assert.match(unsaid.headers['content-type'], /^text\/event-stream/, prefix);
            const google = await ask('POST', `${place}/google/models/${model}:streamGenerateContent?alt=sse`, hi.gemini());
            assert.ok(events_of(google).length > 1);
        }
        assert.equal(last().json?.anthropic_version, undefined);
        const count = await ask('POST', `${place}/anthropic/models/count-tokens:rawPredict`, { ...body, model: 'a/text', max_tokens: undefined });
        assert.ok(json_of(count).input_tokens > 0);
        const missing = await ask('POST', `${place}/anthropic/models/nobody:rawPredict`, body);
        assert.equal(missing.status, 404);
        assert.equal(json_of(missing).error.type, 'not_found_error');
    });

    it('tokens are counted by whoever can, and estimated otherwise', async () => {
        const asks = {
            anthropic: (prefix) => ['/v1/messages/count_tokens', { ...hi.anthropic(`${prefix}text`), max_tokens: undefined }, (reply) => reply.input_tokens],
            responses: (prefix) => ['/v1/responses/input_tokens', hi.responses(`${prefix}text`), (reply) => reply.input_tokens],
            gemini: (prefix) => [`/v1beta/models/${prefix}text:countTokens`, hi.gemini(), (reply) => reply.totalTokens],
        };
        for (const [client, make] of Object.entries(asks)) {
            for (const { upstream, prefix } of upstreams) {
                const seen = world.provider.seen.length;
                const [path, body, tokens] = make(prefix);
                const response = await ask('POST', path, body);
                assert.equal(response.status, 200, `${client} ${upstream}: ${response.text}`);
                const asked = world.provider.seen.length > seen;
                assert.equal(response.headers['x-penstock-estimate'], asked ? undefined : 'true', `${client} ${upstream}`);
                if (asked) assert.equal(tokens(json_of(response)), Math.ceil(last().body.length / 4));
                else assert.ok(tokens(json_of(response)) > 0 && tokens(json_of(response)) < 50);
                assert.equal(asked, upstream === 'anthropic' || upstream === 'gemini', `${client} ${upstream}`);
            }
        }
        world.provider.scripts.set('cannot', { status: 404 });
        const fallen = await ask('POST', '/v1/messages/count_tokens', { ...hi.anthropic('a/cannot'), max_tokens: undefined });
        assert.deepEqual([fallen.status, fallen.headers['x-penstock-estimate']], [200, 'true']);
        const bad = await ask('POST', '/v1/messages/count_tokens', { model: 'c/text', messages: 7 });
        assert.equal(bad.status, 400);
    });

    it('a stored response is not found, in the words of its own API', async () => {
        for (const [method, path] of [['GET', 'resp_1'], ['DELETE', 'resp_1'], ['POST', 'resp_1/cancel'], ['GET', 'resp_1/input_items']]) {
            const response = await ask(method, `/v1/responses/${path}`, undefined);
            assert.equal(response.status, 404);
            assert.deepEqual(json_of(response), { error: { message: "Response with id 'resp_1' not found.", type: 'invalid_request_error', param: null, code: null } });
        }
        assert.equal((await exchange(port(), 'GET', '/v1/responses/resp_1', {})).status, 401);
    });

    it('lists of models come in three shapes, by pages', async () => {
        const openai = json_of(await ask('GET', '/v1/models', undefined));
        const embed = openai.data.find((model) => model.id === 'embed');
        assert.deepEqual({ ...embed, created: 0 }, {
            id: 'embed', object: 'model', created: 0, owned_by: 'openai', name: 'embed', provider: 'openai', mode: 'embedding', context_window: 8191, max_tokens: 77,
            prices: { input_cost_per_token: 2e-8 }, capabilities: { vision: true, reasoning: false },
        });
        const ids = openai.data.map((model) => model.id);
        assert.ok(!ids.some((id) => id.includes('*')));
        const gemini = json_of(await ask('GET', '/v1beta/models', undefined));
        assert.deepEqual(gemini.models.map((model) => model.name), ids.map((id) => `models/${id}`));
        assert.equal(gemini.nextPageToken, undefined);
        const found = [];
        for (let token = '', pages = 0; token !== undefined; pages++) {
            assert.ok(pages < 20);
            const page = json_of(await ask('GET', `/v1beta/models?pageSize=2&pageToken=${token}`, undefined));
            assert.ok(page.models.length <= 2);
            found.push(...page.models.map((model) => model.name.slice(7)));
            token = page.nextPageToken;
        }
        assert.deepEqual(found, ids);
        const one = json_of(await ask('GET', '/v1beta/models/embed', undefined));
        assert.deepEqual([one.name, one.inputTokenLimit, one.supportedGenerationMethods], ['models/embed', 8191, ['embedContent', 'batchEmbedContents']]);
        assert.equal((await ask('GET', '/v1beta/models?pageToken=x', undefined)).status, 400);
        assert.equal((await ask('GET', '/v1beta/models/none', undefined)).status, 404);
        assert.ok(json_of(await ask('GET', '/v1/models', undefined, { 'x-goog-api-key': key })).models);
        const version = { 'anthropic-version': '2023-06-01' };
        const first = json_of(await ask('GET', '/v1/models?limit=2', undefined, version));
        assert.deepEqual([first.data.length, first.has_more, first.first_id, first.last_id], [2, true, ids[0], ids[1]]);
        const rest = json_of(await ask('GET', `/v1/models?after_id=${ids[1]}`, undefined, version));
        assert.deepEqual([...first.data, ...rest.data].map((model) => model.id), ids);
        assert.equal(rest.has_more, false);
        const back = json_of(await ask('GET', `/v1/models?before_id=${ids[2]}&limit=1`, undefined, version));
        assert.deepEqual([back.data[0].id, back.has_more], [ids[1], true]);
        assert.equal((await ask('GET', '/v1/models?after_id=none', undefined, version)).status, 400);
    });

    it('several prompts of /v1/completions are choices of one reply, from every upstream (R52)', async () => {
        for (const { prefix } of upstreams) {
            const single = json_of(await ask('POST', '/v1/completions', { model: `${prefix}text`, prompt: 'one' }));
            const reply = json_of(await ask('POST', '/v1/completions', { model: `${prefix}text`, prompt: ['one', 'two', 'three'] }));
            assert.deepEqual(reply.choices.map((choice) => [choice.index, choice.finish_reason]), [[0, 'stop'], [1, 'stop'], [2, 'stop']]);
            assert.equal(reply.choices[2].text, single.choices[0].text);
            assert.equal(reply.usage.completion_tokens, 3 * single.usage.completion_tokens);
            const stream = await ask('POST', '/v1/completions', { model: `${prefix}text`, prompt: ['one', 'two'], stream: true, stream_options: { include_usage: true } });
            const data = events_of(stream).map((event) => event.data);
            assert.equal(data.pop(), '[DONE]');
            const chunks = data.map((text) => JSON.parse(text));
            assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
            for (const index of [0, 1]) {
                const text = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index).map((choice) => choice.text).join('');
                assert.equal(text, single.choices[0].text);
            }
            assert.equal(chunks.at(-1).usage.completion_tokens, 2 * single.usage.completion_tokens);
        }
        assert.equal((await ask('POST', '/v1/completions', { model: 'c/text', prompt: Array(129).fill('x') })).status, 400);
    });

    it('embeddings and their like pass byte for byte but for the model (R53)', async () => {
        const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => i * 7 % 256));
        opaque.reply = (_, answer) => {
            answer.writeHead(200, { 'Content-Type': 'application/x-anything', 'Content-Length': bytes.length, 'x-ratelimit-remaining-requests': '7', 'Set-Cookie': 'a=b' });
            answer.end(bytes);
        };
        for (const path of ['embeddings', 'images/generations', 'images/edits', 'audio/speech', 'rerank', 'moderations']) {
            const body = `{"input":["a\\u00e9",[1,2]], "model" :"o/some-model", "dimensions":1e1}`;
            const response = await ask('POST', `/v1/${path}`, body, { 'openai-organization': 'org', Accept: 'image/png' });
            assert.equal(response.status, 200, response.text);
            assert.ok(response.body.equals(bytes));
            assert.equal(response.headers['content-type'], 'application/x-anything');
            assert.equal(response.headers['content-length'], '4096');
            assert.equal(response.headers['x-ratelimit-remaining-requests'], '7');
            assert.equal(response.headers['set-cookie'], undefined);
            assert.match(response.headers['x-penstock-upstream'], /^openai\/\*/);
            const seen = opaque.last();
            assert.equal(seen.target, `/v1/${path}`);
            assert.equal(seen.body.toString(), body.replace('o/some-model', 'some-model'));
            assert.equal(seen.headers.authorization, 'Bearer sk-opaque-upstream');
            assert.equal(seen.headers['openai-organization'], 'org');
            assert.equal(seen.headers.accept, 'image/png');
        }
        for (const path of ['/rerank', '/v2/rerank', '/embeddings', '/openai/v1/embeddings']) {
            assert.equal((await ask('POST', path, { model: 'o/x', input: 'x' })).status, 200, path);
        }
        const claude = await ask('POST', '/v1/embeddings', { model: 'a/text', input: 'x' });
        assert.equal(claude.status, 404);
        assert.match(json_of(claude).error.message, /has no \/v1\/embeddings/);
        const unnamed = await ask('POST', '/v1/moderations', { input: 'x' });
        assert.equal(unnamed.status, 200);
        assert.equal(opaque.last().body.toString(), '{"input":"x"}');
        assert.equal(unnamed.headers['x-penstock-upstream'], 'openai/omni-moderation');
    });

    it('forms and files pass, their model in the form, a field or the query', async () => {
        let checked;
        opaque.reply = (record, answer) => {
            checked = record;
            answer.writeHead(200, { 'Content-Type': 'application/json' });
            answer.end('{"text":"x"}');
        };
        const form = (model) => `--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n\u0000\u0001--xy\r\n--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n--xyz--\r\n`;
        const type = { 'Content-Type': 'multipart/form-data; boundary=xyz' };
        const transcription = await ask('POST', '/v1/audio/transcriptions', form('o/whisper-1'), type);
        assert.equal(transcription.status, 200, transcription.text);
        assert.equal(checked.body.toString(), form('whisper-1'));
        assert.equal(checked.headers['content-type'], type['Content-Type']);
        assert.equal((await ask('POST', '/v1/files?model=embed', form('').replace('name="model"', 'name="purpose"'), type)).status, 200);
        assert.equal(checked.target, '/v1/files');
        assert.equal((await ask('GET', `/v1/files?limit=3&model=embed&after=f`, undefined)).status, 200);
        assert.equal(checked.target, '/v1/files?limit=3&after=f');
        assert.equal((await ask('DELETE', '/v1/files/file-1', undefined, { 'X-Penstock-Model': 'embed' })).status, 200);
        assert.deepEqual([checked.method, checked.target, checked.body.length], ['DELETE', '/v1/files/file-1', 0]);
        assert.equal((await ask('GET', '/v1/files/file-1/content', undefined, { 'X-Penstock-Model': 'embed' })).status, 200);
        /* What is called like a credential is the client's own, whatever the spelling. */
        for (const secret of ['key=s', 'KEY=s', 'api-key=s', 'api_key=s', 'access%5Ftoken=s', 'k%45y=s', 'x;key=s', 'key%3Ds', 'Authorization=s']) {
            assert.equal((await ask('GET', `/v1/files?limit=3&${secret}&model=embed`, undefined)).status, 200);
            assert.equal(checked.target, '/v1/files?limit=3', secret);
        }
        assert.equal((await ask('GET', '/v1/files?pageToken=p&page_token=q&model=embed', undefined)).status, 200);
        assert.equal(checked.target, '/v1/files?pageToken=p&page_token=q');
        const twice = form('o/whisper-1').replace('--xyz--', '--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n--xyz--');
        assert.equal((await ask('POST', '/v1/audio/transcriptions', twice, type)).status, 400);
        assert.equal((await ask('POST', '/v1/embeddings', { model: 'azure/..a/a?b#c d', input: 'x' })).status, 200);
        assert.equal(checked.target, '/openai/deployments/..a%2Fa%3Fb%23c%20d/embeddings?api-version=2024-10-21');
        assert.equal((await ask('POST', '/v1/embeddings', { model: 'azure/../a', input: 'x' })).status, 404); /* leads elsewhere */
        const which = await ask('GET', '/v1/files', undefined);
        assert.equal(which.status, 400);
        assert.match(json_of(which).error.message, /X-Penstock-Model/);
        const torn = await ask('POST', '/v1/audio/transcriptions', form('x').slice(0, 60), type);
        assert.equal(torn.status, 400);
    });

    it('a carried reply comes as it is made, and its cut is seen', async () => {
        opaque.reply = (_, answer) => {
            answer.writeHead(200, { 'Content-Type': 'audio/mpeg' });
            answer.write('first');
            setTimeout(() => answer.end('second'), 300);
        };
        const paced = await ask('POST', '/v1/audio/speech', { model: 'o/tts', input: 'x' });
        assert.equal(paced.text, 'firstsecond');
        assert.ok(paced.times.at(-1) - paced.times[0] > 250);
        opaque.reply = (_, answer) => {
            answer.writeHead(200, { 'Content-Type': 'text/event-stream' });
            answer.write('data: {"type":"speech.audio.delta"}\n\n');
            setTimeout(() => answer.socket.destroy(), 100);
        };
        const client = await RawClient.open(port());
        try {
            await client.send('POST', '/v1/audio/speech', { body: { model: 'o/tts', stream_format: 'sse' }, headers: auth });
            const cut = await client.next(3000);
            assert.deepEqual([cut.whole, cut.text], [false, 'data: {"type":"speech.audio.delta"}\n\n']);
        } finally {
            client.destroy();
        }
        /* HTTP/1.0 has no chunks: there the end of the connection would be a good end. */
        const how = await new Promise((resolve) => {
            const socket = net.connect(port(), '127.0.0.1', () => socket.write(`POST /v1/audio/speech HTTP/1.0\r\nAuthorization: ${auth.Authorization}\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"model":"o/tts"}`));
            socket.on('data', () => {});
            socket.on('error', (error) => resolve(error.code));
            socket.on('end', () => resolve('end'));
        });
        assert.equal(how, 'ECONNRESET');
        let gone = false;
        opaque.reply = (_, answer) => {
            answer.writeHead(200);
            answer.write('x');
            answer.on('close', () => { gone = true; });
        };
        const leaver = await RawClient.open(port());
        await leaver.send('POST', '/v1/audio/speech', { body: { model: 'o/tts' }, headers: auth });
        await sleep(200);
        leaver.destroy();
        for (let i = 0; i < 50 && !gone; i++) await sleep(20);
        assert.ok(gone, 'the upstream was not told');
    });

    it('an error before the reply is told as always, whatever the upstream said', async () => {
        opaque.reply = (_, answer) => {
            answer.writeHead(400, { 'Content-Type': 'application/json' });
            answer.end('{"error":{"message":"input is empty","type":"invalid_request_error","param":"input","code":null}}');
        };
        const refused = await ask('POST', '/v1/embeddings', { model: 'embed', input: '' });
        assert.equal(refused.status, 400);
        assert.equal(json_of(refused).error.message, 'input is empty');
        opaque.reply = (_, answer) => {
            answer.writeHead(503, { 'Content-Type': 'text/html' });
            answer.end('<html>');
        };
        const down = await ask('POST', '/v1/embeddings', { model: 'embed', input: 'x' });
        assert.equal(down.status, 503);
        assert.equal(json_of(down).error.type, 'server_error');
    });

    it('Gemini embeddings pass to Gemini, under the name that it knows', async () => {
        const one = await ask('POST', '/v1beta/models/g/emb-1:embedContent', '{"model":"models/g/emb-1","content":{"parts":[{"text":"x"}]}}');
        assert.deepEqual(json_of(one), { embedding: { values: [0.25, -0.5, 1] } });
        assert.equal(last().target, '/v1beta/models/emb-1:embedContent');
        assert.equal(last().body.toString(), '{"model":"models/emb-1","content":{"parts":[{"text":"x"}]}}');
        const batch = await ask('POST', '/v1beta/models/g/emb-1:batchEmbedContents?key=x', { requests: [{ model: 'models/g/emb-1', content: {} }, { content: {} }] });
        assert.equal(json_of(batch).embeddings.length, 2);
        assert.equal(last().target, '/v1beta/models/emb-1:batchEmbedContents');
        assert.equal(last().json.requests[0].model, 'models/emb-1');
        const chat = await ask('POST', '/v1beta/models/c/text:embedContent', {});
        assert.equal(chat.status, 404);
        assert.equal(json_of(chat).error.status, 'NOT_FOUND');
    });

    it('fields go to those who know them, credentials to nobody', async () => {
        opaque.reply = null;
        await ask('POST', '/v1/chat/completions', hi.chat('claw'), { 'x-openclaw-session': 's1', 'x-openclaw-token': 'secret', 'openai-beta': 'b' });
        assert.equal(opaque.last().headers['x-openclaw-session'], 's1');
        assert.equal(opaque.last().headers['x-openclaw-token'], undefined);
        await ask('POST', '/v1/chat/completions', hi.chat('c/text'), { 'x-openclaw-session': 's1', 'anthropic-beta': 'x', 'openai-beta': 'b', 'x-goog-user-project': 'p' });
        assert.deepEqual([last().headers['x-openclaw-session'], last().headers['anthropic-beta'], last().headers['openai-beta'], last().headers['x-goog-user-project']],
            [undefined, undefined, 'b', undefined]);
        await ask('POST', '/v1beta/models/g/text:generateContent', hi.gemini(), { 'x-goog-request-params': 'r', 'x-goog-user-project': 'p', 'x-goog-api-key': key });
        assert.deepEqual([last().headers['x-goog-request-params'], last().headers['x-goog-user-project'], last().headers['x-goog-api-key']], ['r', undefined, 'sk-gemini-upstream']);
        await ask('POST', '/v1/messages?beta=true', hi.anthropic('betas'), { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'unknown-1, known-2025-01-01' });
        assert.equal(last().headers['anthropic-beta'], 'known-2025-01-01');
        assert.equal(last().target, '/v1/messages');
        await ask('POST', '/v1/messages', hi.anthropic('betas'), { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'unknown-1' });
        assert.equal(last().headers['anthropic-beta'], undefined);
    });

    it('what could not be said is named, also what has no common form', async () => {
        const response = await ask('POST', '/v1beta/models/a/text:generateContent', { ...hi.gemini(), cachedContent: 'cachedContents/1', labels: { a: 'b' } });
        if (response.status === 200) assert.ok((response.headers['x-penstock-dropped'] ?? '').length > 0, 'nothing is reported');
        else assert.equal(response.status, 400);
    });

    it('the demo models speak every dialect, and are in every list', async () => {
        const demo = await Penstock.start({ penstock: { demo: true, workers: 1 } });
        try {
            const talk = (path, body) => exchange(demo.port, 'POST', path, { body });
            for (const model of ['demo', 'demo-anthropic']) {
                for (const [dialect, path] of [['chat', '/v1/chat/completions'], ['responses', '/v1/responses'], ['anthropic', '/v1/messages'],
                    ['gemini', `/v1beta/models/${model}:generateContent`], ['text', '/v1/completions']]) {
                    const whole = await talk(path, hi[dialect](model));
                    assert.equal(texts[dialect](json_of(whole)), 'Hello from penstock. You said: hi', `${dialect} ${model}`);
                    const stream = dialect === 'gemini' ? await talk(`/v1beta/models/${model}:streamGenerateContent?alt=sse`, hi.gemini())
                        : await talk(path, { ...hi[dialect](model), stream: true });
                    assert.ok(events_of(stream).length > 5, `${dialect} ${model}: ${stream.text}`);
                }
            }
            const tools = json_of(await talk('/v1beta/models/demo-tools:generateContent', { ...hi.gemini(), tools: [{ functionDeclarations: [{ name: 'look', parameters: { type: 'OBJECT', properties: { at: { type: 'STRING' } } } }] }] }));
            assert.equal(tools.candidates[0].content.parts.filter((part) => part.functionCall?.name === 'look').length, 1);
            const list = json_of(await exchange(demo.port, 'GET', '/v1beta/models', {}));
            assert.ok(list.models.some((model) => model.name === 'models/demo'));
        } finally {
            await demo.stop();
        }
    });

    it('figures and the access line know of all this', async () => {
        const text = (await ask('GET', '/metrics', undefined)).text;
        for (const dialect of ['openai_chat', 'openai_responses', 'openai_text', 'anthropic', 'gemini']) {
            assert.match(text, new RegExp(`penstock_requests_total\\{dialect="${dialect}",[^}]*status="2xx"\\} [1-9]`));
        }
        assert.ok(Number(/^penstock_relays_total (\d+)$/m.exec(text)[1]) > 10);
        assert.ok(Number(/^penstock_token_estimates_total (\d+)$/m.exec(text)[1]) > 3);
        assert.match(world.penstock.log, /msg=request [^\n]*model=o\/tts [^\n]*upstream_model=tts [^\n]*end=done/);
        assert.match(world.penstock.log, /msg=request [^\n]*model=o\/tts [^\n]*end=upstream_error/);
    });
});
