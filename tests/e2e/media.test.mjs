// SPDX-License-Identifier: MIT
//
// media - pictures and videos behind OpenAI's paths from Imagen, Gemini's image models and Veo, on Vertex AI and AI Studio
// (R102, R103), and images that a request names by URL (R101).

import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { Penstock, patience } from './lib/penstock.mjs';
import { exchange, json_of } from './lib/raw.mjs';

const picture = Buffer.from('not really a picture').toString('base64');
const long_picture = 'QUJD'.repeat(700_000);

/* An upstream whose answer to each request the test decides. */
class Upstream {
    constructor() {
        this.seen = [];
        this.replies = []; // used up one by one; the last stays
    }

    async start() {
        this.server = http.createServer((request, response) => {
            const parts = [];
            request.on('data', (bytes) => parts.push(bytes));
            request.on('end', () => {
                if (request.url === '/token') return response.end(JSON.stringify({ access_token: 'ya29.t', expires_in: 3600 }));
                const text = Buffer.concat(parts).toString();
                this.seen.push({ method: request.method, url: request.url, headers: request.headers, json: text && JSON.parse(text) });
                const reply = this.replies.length > 1 ? this.replies.shift() : this.replies[0];
                response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers });
                response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
            });
        });
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    stop() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    last() {
        return this.seen[this.seen.length - 1];
    }
}

function config(upstream) {
    const credentials = JSON.stringify({ type: 'authorized_user', client_id: 'i', client_secret: 's', refresh_token: 'r', token_uri: `${upstream.url}/token` });
    const vertex = (model_name, model, extra = {}) => ({ model_name, litellm_params: { model: `vertex_ai/${model}`, api_base: upstream.url, vertex_project: 'p-1', vertex_location: 'us-central1', vertex_credentials: credentials, ...extra } });
    const studio = (model_name, model, extra = {}) => ({ model_name, litellm_params: { model: `gemini/${model}`, api_base: `${upstream.url}/v1beta`, api_key: 'studio-key', ...extra } });
    return {
        model_list: [
            vertex('imagen', 'imagen-4.0-generate-001'), studio('studio-imagen', 'imagen-4.0-fast-generate-001'),
            vertex('banana', 'gemini-2.5-flash-image'), studio('older', 'gemini-2.0-flash-preview-image-generation'),
            vertex('veo', 'veo-3.0-generate-001'), studio('studio-veo', 'veo-3.0-fast-generate-001'),
            vertex('elsewhere', 'veo-3.0-generate-001', { vertex_location: ['us-central1', 'europe-west4'] }),
            vertex('talks', 'gemini-2.5-flash'),
            { model_name: 'openai-images', litellm_params: { model: 'openai_like/gpt-image-1', api_base: `${upstream.url}/v1`, api_key: 'k' } },
        ],
        router_settings: { num_retries: 1, retry_after: 0 },
        penstock: { workers: 2 },
    };
}

async function in_studio(body, change = (made) => made) {
    const upstream = await new Upstream().start();
    const made = change(config(upstream));
    let penstock = await Penstock.start(made);
    const post = (path, json) => exchange(penstock.port, 'POST', path, { body: json });
    const world = {
        upstream, post,
        draw: (json) => post('/v1/images/generations', { model: 'imagen', prompt: 'a "red" fox', ...json }),
        film: (json) => post('/v1/videos/generations', { model: 'veo', prompt: 'a fox runs', ...json }),
        get: (path) => exchange(penstock.port, 'GET', path),
        restart: async (other = made) => {
            await penstock.stop();
            penstock = await Penstock.start(other);
        },
    };
    try {
        await body(world);
    } finally {
        await upstream.stop(); // first: a gateway that ends badly throws, and a server left behind would keep the suite from ending
        await penstock.stop();
    }
}

const drawn = { body: { predictions: [{ bytesBase64Encoded: picture, mimeType: 'image/png', prompt: 'a "red" fox,\nin the snow' }, { bytesBase64Encoded: 'QUJD', mimeType: 'image/png' }] } };

describe('pictures (R102)', () => {
    it('Imagen on Vertex AI', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [drawn];
        const response = await draw({ n: 2, size: '1792x1024', response_format: 'b64_json', quality: 'hd', user: 'u', style: null, seed: 7, negative_prompt: 'dogs', moderation: 'low', output_format: 'jpeg', output_compression: 80 });
        assert.equal(response.status, 200, response.text);
        const said = json_of(response);
        assert.ok(Math.abs(said.created - Date.now() / 1000) < 60);
        assert.deepEqual(said.data, [{ b64_json: picture, revised_prompt: 'a "red" fox,\nin the snow' }, { b64_json: 'QUJD' }]);
        assert.equal(said.output_format, 'png');
        const asked = upstream.last();
        assert.equal(asked.method, 'POST');
        assert.equal(asked.url, '/v1/projects/p-1/locations/us-central1/publishers/google/models/imagen-4.0-generate-001:predict');
        assert.equal(asked.headers.authorization, 'Bearer ya29.t');
        assert.deepEqual(asked.json, {
            instances: [{ prompt: 'a "red" fox' }],
            parameters: { sampleCount: 2, aspectRatio: '16:9', safetySetting: 'block_only_high', negativePrompt: 'dogs', seed: 7, outputOptions: { mimeType: 'image/jpeg', compressionQuality: 80 }, includeRaiReason: true },
        });
        assert.deepEqual(response.headers['x-penstock-dropped'].split(/, */).sort(), ['quality', 'user']);
    }));

    it('Imagen on AI Studio', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [drawn];
        const response = await draw({ model: 'studio-imagen' });
        assert.equal(response.status, 200, response.text);
        assert.equal(json_of(response).data.length, 2);
        assert.equal(upstream.last().url, '/v1beta/models/imagen-4.0-fast-generate-001:predict');
        assert.equal(upstream.last().headers['x-goog-api-key'], 'studio-key');
        assert.deepEqual(upstream.last().json.parameters, { sampleCount: 1, includeRaiReason: true });
    }));

    it('sizes become the nearest ratio', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [drawn];
        const sizes = { '1024x1024': '1:1', '256x256': '1:1', '1024x1792': '9:16', '1792x1024': '16:9', '1536x1024': '4:3', '1024x1536': '3:4', '1280x960': '4:3', '1x1': '1:1', '4000x1': '16:9', '16:9': '16:9', auto: undefined };
        for (const [size, ratio] of Object.entries(sizes)) {
            assert.equal((await draw({ size })).status, 200);
            assert.equal(upstream.last().json.parameters.aspectRatio, ratio, size);
        }
        await draw({ size: '1024x1024', aspect_ratio: '9:16' });
        assert.equal(upstream.last().json.parameters.aspectRatio, '9:16');
    }));

    it('defaults of the deployment', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [drawn];
        await draw({});
        assert.equal(upstream.last().json.parameters.safetySetting, 'block_few');
        await draw({ safety_setting: 'block_most' });
        assert.equal(upstream.last().json.parameters.safetySetting, 'block_most');
    }, (made) => {
        made.model_list[0].litellm_params.extra_body = { safety_setting: 'block_few' };
        return made;
    }));

    it('what cannot be had is refused by name', () => in_studio(async ({ upstream, draw, post }) => {
        upstream.replies = [drawn];
        const rows = [
            [{ n: 0 }, 'n'], [{ n: 5 }, 'n'], [{ n: 'x' }, 'n'], [{ n: 1.5 }, 'n'], [{ response_format: 'url' }, 'response_format'], [{ stream: true }, 'stream'],
            [{ background: 'transparent' }, 'background'], [{ prompt: undefined }, 'prompt'], [{ prompt: '' }, 'prompt'], [{ prompt: ['a'] }, 'prompt'],
            [{ size: 'big' }, 'size'], [{ size: '0x9' }, 'size'], [{ size: '9x' }, 'size'], [{ size: '1x1x1' }, 'size'], [{ size: 7 }, 'size'],
            [{ output_format: 'webp' }, 'output_format'], [{ seed: { a: 1 } }, 'seed'], [{ model: 'banana', n: 2 }, 'n'],
        ];
        for (const [json, param] of rows) {
            const response = await draw(json);
            assert.equal(response.status, 400, `${JSON.stringify(json)}: ${response.text}`);
            assert.equal(json_of(response).error.param, param, JSON.stringify(json));
        }
        const talks = await draw({ model: 'talks' });
        assert.equal(talks.status, 404);
        assert.match(json_of(talks).error.message, /has no \/v1\/images\/generations/);
        assert.equal((await post('/v1/images/edits', { model: 'imagen', prompt: 'x' })).status, 404);
        assert.equal(upstream.seen.length, 0);
    }));

    it('what was filtered is said, and what was not is given', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [{ body: { predictions: [{ raiFilteredReason: 'Unable to show generated images. Support codes: 58061214' }] } }];
        const none = await draw({});
        assert.equal(none.status, 400);
        assert.equal(json_of(none).error.code, 'content_policy_violation');
        assert.match(json_of(none).error.message, /Support codes: 58061214/);
        upstream.replies = [{ body: {} }];
        assert.equal(json_of(await draw({})).error.code, 'content_policy_violation');
        upstream.replies = [{ body: { predictions: [{ raiFilteredReason: 'x' }, { bytesBase64Encoded: picture }] } }];
        assert.deepEqual(json_of(await draw({ n: 2 })).data, [{ b64_json: picture }]);
        assert.equal(upstream.seen.length, 3); // none of it is worth another try
    }));

    it('an answer that makes no sense is not called a fault of the prompt', () => in_studio(async ({ upstream, draw }) => {
        for (const body of [{ error: { code: 0 } }, { predictions: {} }, { predictions: 'none' }, { predictions: [null, 7] }, { predictions: [{ bytesBase64Encoded: '' }] }, { predictions: [], error: { code: 3 } }]) {
            upstream.replies = [{ body }];
            assert.equal((await draw({})).status, 502, JSON.stringify(body));
        }
    }, (made) => ({ ...made, router_settings: { ...made.router_settings, num_retries: 0, allowed_fails: 1000 } })));

    it('errors keep status and words, and retries are those of streams (R55)', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [{ status: 429, body: { error: { code: 429, message: 'Quota exceeded for imagen.', status: 'RESOURCE_EXHAUSTED' } } }, drawn];
        assert.equal((await draw({})).status, 200);
        assert.equal(upstream.seen.length, 2);
        upstream.replies = [{ status: 403, body: { error: { code: 403, message: 'Permission denied on resource.', status: 'PERMISSION_DENIED' } } }];
        const refused = await draw({});
        assert.equal(refused.status, 403);
        assert.match(json_of(refused).error.message, /Permission denied on resource\./);
        upstream.replies = [{ body: 'not JSON' }];
        assert.equal((await draw({})).status, 502);
        upstream.replies = [{ body: '[]' }];
        assert.equal((await draw({ model: 'studio-imagen' })).status, 502);
    }));

    it('large pictures', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [{ body: { predictions: [1, 2, 3, 4].map(() => ({ bytesBase64Encoded: long_picture, mimeType: 'image/png' })) } }];
        const response = await draw({ n: 4 });
        assert.equal(response.status, 200);
        assert.ok(json_of(response).data.every((one) => one.b64_json === long_picture));
    }));

    it("Gemini's image models", () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [{ body: { candidates: [{ content: { role: 'model', parts: [{ text: 'Here.' }, { thought: true, inlineData: { mimeType: 'image/png', data: 'c2tldGNo' } }, { inlineData: { mimeType: 'image/png', data: picture } }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 1290, totalTokenCount: 1297 } } }];
        const response = await draw({ model: 'banana', size: '1024x1536', seed: 3 });
        assert.equal(response.status, 200, response.text);
        assert.deepEqual(json_of(response).data, [{ b64_json: picture }]);
        assert.deepEqual(json_of(response).usage, { input_tokens: 7, output_tokens: 1290, total_tokens: 1297 });
        assert.equal(upstream.last().url, '/v1/projects/p-1/locations/us-central1/publishers/google/models/gemini-2.5-flash-image:generateContent');
        assert.deepEqual(upstream.last().json, { contents: [{ role: 'user', parts: [{ text: 'a "red" fox' }] }], generationConfig: { responseModalities: ['IMAGE'], seed: 3, imageConfig: { aspectRatio: '3:4' } } });
        const older = await draw({ model: 'older', size: '1024x1024' });
        assert.equal(older.status, 200);
        assert.equal(older.headers['x-penstock-dropped'], 'size');
        assert.deepEqual(upstream.last().json.generationConfig, { responseModalities: ['TEXT', 'IMAGE'] });
        for (const body of [{ promptFeedback: { blockReason: 'PROHIBITED_CONTENT' } }, { candidates: [{ finishReason: 'IMAGE_SAFETY' }] }]) {
            upstream.replies = [{ body }];
            const filtered = await draw({ model: 'banana' });
            assert.equal(filtered.status, 400);
            assert.equal(json_of(filtered).error.code, 'content_policy_violation');
        }
        upstream.replies = [{ body: { candidates: [{ content: { parts: [{ text: 'I cannot draw that.' }] }, finishReason: 'STOP' }] } }];
        const talked = await draw({ model: 'banana' });
        assert.equal(talked.status, 502);
        assert.match(json_of(talked).error.message, /without a picture: I cannot draw that\./);
    }));

    it('an upstream of OpenAI is still asked in its own words', () => in_studio(async ({ upstream, draw }) => {
        upstream.replies = [{ body: { created: 1, data: [{ url: 'https://x' }], odd: true } }];
        const response = await draw({ model: 'openai-images', n: 9, response_format: 'url' });
        assert.deepEqual(json_of(response), { created: 1, data: [{ url: 'https://x' }], odd: true });
        assert.deepEqual(upstream.last().json, { model: 'gpt-image-1', prompt: 'a "red" fox', n: 9, response_format: 'url' });
        assert.equal(upstream.last().url, '/v1/images/generations');
    }));
});

const started = { body: { name: 'projects/p-1/locations/us-central1/publishers/google/models/veo-3.0-generate-001/operations/a1b2-c3' } };
const running = { body: { name: started.body.name } };
const filmed = { body: { name: started.body.name, done: true, response: { '@type': 'type.googleapis.com/x', raiMediaFilteredCount: 0, videos: [{ bytesBase64Encoded: picture, mimeType: 'video/mp4' }, { gcsUri: 'gs://b/v.mp4', mimeType: 'video/mp4' }] } } };

describe('videos (R103)', () => {
    it('Veo on Vertex AI: started, polled both ways, over a restart', () => in_studio(async ({ upstream, film, post, get, restart }) => {
        upstream.replies = [started];
        const first = await film({ n: 1, size: '720x1280', seconds: '8', generate_audio: false, style: 'x' });
        assert.equal(first.status, 200, first.text);
        const said = json_of(first);
        assert.equal(said.status, 'processing');
        assert.equal(said.model, 'veo');
        assert.equal(said.prompt, 'a fox runs');
        assert.ok(said.message.length > 0 && said.created > 0);
        assert.match(said.poll_id, /^veo-[A-Za-z0-9_-]+$/);
        assert.equal(first.headers['x-penstock-dropped'], 'style');
        const base = '/v1/projects/p-1/locations/us-central1/publishers/google/models/veo-3.0-generate-001';
        assert.equal(upstream.last().url, `${base}:predictLongRunning`);
        assert.deepEqual(upstream.last().json, { instances: [{ prompt: 'a fox runs' }], parameters: { sampleCount: 1, aspectRatio: '9:16', durationSeconds: 8, generateAudio: false } });

        upstream.replies = [running];
        await restart();
        for (const ask of [() => post('/v1/videos/generations', { poll_id: said.poll_id }), () => get(`/v1/videos/generations/${said.poll_id}`)]) {
            const polled = await ask();
            assert.equal(polled.status, 200, polled.text);
            const { created, status, poll_id, model, elapsed_seconds } = json_of(polled);
            assert.deepEqual({ created, status, poll_id, model }, { created: said.created, status: 'processing', poll_id: said.poll_id, model: 'veo' });
            assert.ok(elapsed_seconds >= 0 && elapsed_seconds < 60);
            assert.equal(upstream.last().method, 'POST');
            assert.equal(upstream.last().url, `${base}:fetchPredictOperation`);
            assert.deepEqual(upstream.last().json, { operationName: started.body.name });
        }
        upstream.replies = [filmed];
        const done = json_of(await get(`/v1/videos/generations/${said.poll_id}`));
        assert.equal(done.status, 'complete');
        assert.deepEqual(done.data, [{ b64_json: picture, content_type: 'video/mp4' }, { url: 'gs://b/v.mp4', content_type: 'video/mp4' }]);
    }));

    it('Veo on AI Studio', () => in_studio(async ({ upstream, film, get }) => {
        upstream.replies = [{ body: { name: 'models/veo-3.0-fast-generate-001/operations/xyz' } }];
        const first = await film({ model: 'studio-veo' });
        assert.equal(first.status, 200, first.text);
        assert.equal(upstream.last().url, '/v1beta/models/veo-3.0-fast-generate-001:predictLongRunning');
        assert.deepEqual(upstream.last().json.parameters, {});
        upstream.replies = [{ body: { name: 'models/x/operations/xyz', done: true, response: { generateVideoResponse: { generatedSamples: [{ video: { uri: 'https://files/x:download' } }] } } } }];
        const done = await get(`/v1/videos/generations/${json_of(first).poll_id}`);
        assert.deepEqual(json_of(done).data, [{ url: 'https://files/x:download', content_type: 'video/mp4' }]);
        assert.equal(upstream.last().method, 'GET');
        assert.equal(upstream.last().url, '/v1beta/models/veo-3.0-fast-generate-001/operations/xyz');
        assert.equal(upstream.last().headers['x-goog-api-key'], 'studio-key');
    }));

    it('a poll goes where the video is made', () => in_studio(async ({ upstream, film, get }) => {
        for (let i = 0; i < 6; i++) {
            upstream.replies = [started];
            const first = json_of(await film({ model: 'elsewhere' }));
            const place = /locations\/([^/]+)/.exec(upstream.last().url)[1];
            upstream.replies = [running];
            assert.equal((await get(`/v1/videos/generations/${first.poll_id}`)).status, 200);
            assert.equal(/locations\/([^/]+)/.exec(upstream.last().url)[1], place);
            assert.match(upstream.last().json.operationName, new RegExp(`/locations/${place}/`));
            if (i === 2) upstream.replies = [{ status: 503, body: { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } } }, started];
        }
    }));

    it('an id that is not ours, or was changed, leads nowhere', () => in_studio(async ({ upstream, film, post, get, restart }) => {
        upstream.replies = [started];
        const { poll_id } = json_of(await film({}));
        const seen = upstream.seen.length;
        const text = Buffer.from(poll_id.slice(4), 'base64url').toString();
        const forged = text.replace('a1b2-c3', 'a1/../b');
        const others = ['veo-', 'veo-AAAA', 'veo-%00', poll_id.slice(0, -1), `${poll_id}A`, `veo-${Buffer.from(forged).toString('base64url')}`, 'x'.repeat(2000)];
        for (let at = 4; at < poll_id.length; at += 7) others.push(poll_id.slice(0, at) + (poll_id[at] === 'A' ? 'B' : 'A') + poll_id.slice(at + 1));
        for (const id of others) {
            const response = await post('/v1/videos/generations', { poll_id: id });
            assert.equal(response.status, 404, `${id}: ${response.text}`);
            assert.equal(json_of(response).error.code, 'poll_id_not_found');
        }
        for (const value of [7, [], {}]) assert.equal((await post('/v1/videos/generations', { poll_id: value })).status, 400);
        assert.equal((await get('/v1/videos/generations/a..%2Fb')).status, 404);
        const made = config(upstream);
        for (const row of made.model_list) if (row.litellm_params.vertex_project) row.litellm_params.vertex_project = 'p-2';
        await restart(made);
        assert.equal((await post('/v1/videos/generations', { poll_id })).status, 404);
        assert.equal(upstream.seen.length, seen);
    }));

    it('what failed keeps its status', () => in_studio(async ({ upstream, film, get, post }) => {
        upstream.replies = [started];
        const { poll_id } = json_of(await film({}));
        const rows = [
            [{ body: { done: true, error: { code: 3, message: 'The prompt could not be used.' } } }, 400, /could not be used/],
            [{ body: { done: true, error: { code: 8, message: 'Too many.' } } }, 429, /Too many/],
            [{ body: { done: true, error: { code: 14, message: 'Down.' } } }, 503, /Down/],
            [{ body: { done: true, error: { message: 'Odd.' } } }, 500, /Odd/],
            [{ body: { done: true, response: { raiMediaFilteredCount: 1, raiMediaFilteredReasons: ['Violence.'] } } }, 400, /policy: Violence/],
            [{ status: 404, body: { error: { code: 404, message: 'Operation not found.', status: 'NOT_FOUND' } } }, 404, /Operation not found/],
            [{ status: 403, body: { error: { code: 403, message: 'Not yours.', status: 'PERMISSION_DENIED' } } }, 403, /Not yours/],
            [{ body: { done: true, response: {} } }, 502, /./],
        ];
        for (const [reply, status, message] of rows) {
            upstream.replies = [reply];
            const response = await get(`/v1/videos/generations/${poll_id}`);
            assert.equal(response.status, status, response.text);
            assert.match(json_of(response).error.message, message);
        }
        for (const body of [{}, { name: 'x' }, { name: 'operations/' }, { name: 'operations/a b' }, { name: `operations/${'x'.repeat(200)}` }]) {
            upstream.replies = [{ body }];
            assert.equal((await film({ model: 'studio-veo' })).status, 502, JSON.stringify(body));
        }
        for (const json of [{ prompt: undefined }, { n: 9 }, { size: 'x' }, { seconds: 'soon' }, { image: { a: 1 }, seed: [1] }]) assert.equal((await film(json)).status, 400);
        assert.equal((await post('/v1/videos/generations', { model: 'imagen', prompt: 'x' })).status, 404);
    }, (made) => ({ ...made, router_settings: { ...made.router_settings, num_retries: 0, allowed_fails: 1000 } })));
});

/* A place in the world that pictures lie in, and models that take none by URL. */
async function in_world(media, body) {
    const world = { asked: [], slow_ms: 200 };
    const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.from('pixels')]), pdf = Buffer.from('%PDF-1.7 text');
    const files = {
        '/a.png': ['image/png', png], '/b.png': ['image/png; charset=binary', png], '/c.jpg': ['image/jpg', Buffer.from('ffd8ffe000', 'hex')], '/d.pdf': ['application/pdf', pdf],
        '/liar.png': ['image/png', pdf], '/page.html': ['text/html', Buffer.from('<html>')], '/svg': ['image/svg+xml', Buffer.from('<svg/>')], '/untyped': [undefined, png],
        '/large.png': ['image/png', Buffer.concat([png, Buffer.alloc(100_000)])],
    };
    const server = http.createServer((request, response) => {
        world.asked.push({ url: request.url, headers: request.headers });
        if (request.url === '/away') return response.writeHead(302, { location: `http://127.0.0.1:${server.address().port}/a.png` }).end();
        if (request.url === '/round') return response.writeHead(302, { location: '/round' }).end();
        if (request.url === '/cut') return response.writeHead(200, { 'content-type': 'image/png', 'content-length': 100 }).write(png, () => response.destroy());
        if (request.url === '/never') return world.never?.(response);
        const file = files[request.url.split('?')[0]];
        if (!file) return response.writeHead(404).end();
        return setTimeout(() => response.writeHead(200, file[0] ? { 'content-type': file[0] } : {}).end(file[1]), request.url.includes('?slow') ? world.slow_ms : 0);
    });
    world.connections = 0;
    server.on('connection', () => { world.connections++; });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    world.host = `127.0.0.1:${server.address().port}`;
    world.url = `http://${world.host}`;
    const upstream = await new Upstream().start();
    upstream.replies = [{ headers: { 'content-type': 'text/event-stream' }, body: 'data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Seen."}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}\n\n' }];
    const penstock = await Penstock.start({
        model_list: [{ model_name: 'blind', litellm_params: { model: 'gemini/gemini-2.5-flash', api_base: `${upstream.url}/v1beta`, api_key: 'k' } }],
        router_settings: { num_retries: 1, retry_after: 0 },
        penstock: { workers: 2, media },
    });
    world.upstream = upstream;
    world.penstock = penstock;
    world.look = (...urls) => exchange(penstock.port, 'POST', '/v1/chat/completions', { body: { model: 'blind', messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, ...urls.map((url) => ({ type: 'image_url', image_url: { url: url.startsWith('/') ? world.url + url : url } }))] }] } });
    world.blobs = () => upstream.last().json.contents[0].parts.slice(1).map((part) => part.inlineData);
    world.png = png.toString('base64');
    try {
        await body(world);
    } finally {
        await upstream.stop(); // first: a gateway that ends badly throws, and a server left behind would keep the suite from ending
        await penstock.stop();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
    }
}
const open = { fetch: true, https_only: false, private: true };

describe('images by URL (R101)', () => {
    it('are not fetched unless that is wanted', () => in_world({}, async ({ asked, look, upstream }) => {
        const response = await look('/a.png');
        assert.equal(response.status, 400);
        assert.match(json_of(response).error.message, /takes no media by URL/);
        assert.equal(asked.length + upstream.seen.length, 0);
    }));

    it('become part of the request, side by side, each once', () => in_world(open, async ({ asked, look, upstream, blobs, png, slow_ms }) => {
        const begun = Date.now();
        const response = await look('/a.png?slow', '/b.png?slow', '/c.jpg', '/a.png?slow', '/away', '/b.png?slow2');
        assert.equal(response.status, 200, response.text);
        assert.equal(json_of(response).choices[0].message.content, 'Seen.');
        assert.ok(Date.now() - begun < 3 * slow_ms * patience, 'one after the other');
        assert.deepEqual(blobs(), [...Array(2).fill({ mimeType: 'image/png', data: png }), { mimeType: 'image/jpeg', data: '/9j/4AA=' }, ...Array(3).fill({ mimeType: 'image/png', data: png })]);
        assert.equal(asked.length, 6);
        assert.ok(asked.every((one) => !one.headers.authorization && !one.headers['x-goog-api-key'] && one.headers.accept.includes('image/*')));
        assert.equal(upstream.seen.length, 1);
    }));

    it('are fetched once for all tries', () => in_world(open, async ({ asked, look, upstream, blobs, png }) => {
        upstream.replies = [{ status: 503, body: { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } } }, ...upstream.replies];
        assert.equal((await look('/a.png')).status, 200);
        assert.equal(upstream.seen.length, 2);
        assert.equal(asked.length, 1);
        assert.deepEqual(blobs(), [{ mimeType: 'image/png', data: png }]);
    }));

    it('what cannot be had is a fault of the request, told without the path', () => in_world({ ...open, size: '64KiB', time: '500ms', redirects: 2 }, async ({ look, upstream, penstock, host }) => {
        const rows = { '/none': /not found/, '/liar.png': /what it claims/, '/page.html': /known type/, '/svg': /known type/, '/untyped': /what it claims/, '/d.pdf': /known type/, '/large.png': /too large/, '/never': /too long/, '/round': /may not be asked/, '/cut': /connection failed/, 'http://127.0.0.1:1/secret': /connection failed/ };
        for (const [url, why] of Object.entries(rows)) {
            const response = await look('/a.png', url);
            assert.equal(response.status, 400, `${url}: ${response.text}`);
            const { message } = json_of(response).error;
            assert.match(message, why);
            assert.match(message, /^cannot fetch an image from 127\.0\.0\.1: /);
            assert.ok(!message.includes(host) && !message.includes(url));
        }
        const many = await look(...Array.from({ length: 9 }, (_, i) => `/a.png?${i}`));
        assert.equal(many.status, 400);
        assert.match(json_of(many).error.message, /eight/);
        assert.equal(upstream.seen.length, 0);
        const text = (await exchange(penstock.port, 'GET', '/metrics')).text;
        const figure = (name) => Number(new RegExp(`^penstock_media_${name}_total (\\d+)$`, 'm').exec(text)[1]);
        assert.equal(figure('fetch_failures'), 11);
        assert.equal(figure('fetches'), 22);
        assert.ok(figure('fetch_bytes') > 0);
        assert.match(text, /^penstock_streams_active 1$/m);
    }));

    it('never from here, whatever it is called', () => in_world({ fetch: true, https_only: false }, async (world) => {
        const { asked, look, host } = world, port = host.split(':')[1];
        for (const name of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '127.1', '0.0.0.0', '2130706433', '0x7f000001']) {
            const response = await look(`http://${name}:${port}/a.png`);
            assert.equal(response.status, 400, name);
            assert.match(json_of(response).error.message, /cannot fetch/, name);
        }
        // Whether anybody listens inside cannot be learned from what is said of it, and no TLS is begun with it.
        for (const url of [`http://127.0.0.1:${port}/`, 'http://127.0.0.1:1/', `https://127.0.0.1:${port}/`, 'https://127.0.0.1:1/', 'http://[::1]:1/']) assert.match(json_of(await look(url)).error.message, /may not be asked/, url);
        assert.equal(world.connections, 0);
        assert.equal(asked.length, 0);
    }));

    it('over https only, where nothing else is said', () => in_world({ fetch: true, private: true }, async ({ asked, look }) => {
        const response = await look('/a.png');
        assert.equal(response.status, 400);
        assert.match(json_of(response).error.message, /may not be asked/);
        assert.equal(asked.length, 0);
    }));

    it('a client that goes takes its fetches along', () => in_world(open, async (world) => {
        let closed;
        const gone = new Promise((resolve) => { closed = resolve; });
        const arrived = new Promise((resolve) => { world.never = (response) => { response.on('close', closed); resolve(); }; });
        const client = net.connect(world.penstock.port, '127.0.0.1');
        const body = JSON.stringify({ model: 'blind', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: `${world.url}/never` } }] }] });
        client.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        await arrived;
        client.resetAndDestroy();
        await gone;
        assert.equal(world.upstream.seen.length, 0);
    }));

    it('a document, and pictures in the results of tools', () => in_world(open, async ({ penstock, url, upstream, png }) => {
        const body = { model: 'blind', max_tokens: 50, messages: [
            { role: 'user', content: [{ type: 'document', source: { type: 'url', url: `${url}/d.pdf` } }, { type: 'text', text: 'Read.' }] },
            { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'look', input: {} }] },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'image', source: { type: 'url', url: `${url}/a.png` } }] }] },
        ], tools: [{ name: 'look', input_schema: { type: 'object' } }] };
        const response = await exchange(penstock.port, 'POST', '/v1/messages', { body });
        assert.equal(response.status, 200, response.text);
        const sent = JSON.stringify(upstream.last().json);
        assert.ok(sent.includes(Buffer.from('%PDF-1.7 text').toString('base64')));
        assert.ok(sent.includes(png));
        assert.ok(!sent.includes(url));
    }));
});
