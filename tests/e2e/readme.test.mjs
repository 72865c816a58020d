// SPDX-License-Identifier: MIT
//
// readme - the documents tell the truth: what they print as commands is run, what they print as answers is
// compared, and every metric, key, option, path, header, code and file that they name exists.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { spawn, spawnSync } from 'node:child_process';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { binary, gateway_config, Penstock, repository } from './lib/penstock.mjs';
import { exchange, sleep } from './lib/raw.mjs';
import { all_documents, anchors, blocks, links, missing_part, own_documents, read, reference, rows, section, spans } from './lib/documents.mjs';

const documents = own_documents.map((name) => ({ name, text: read(name) }));
const of = (name) => documents.find((document) => document.name === name).text;
const chat = '/v1/chat/completions';
const messages = '/v1/messages';

function offline(words, options = {}) {
    const result = spawnSync(binary, words, { encoding: 'utf8', timeout: 20_000, env: { PATH: process.env.PATH, ...options.env }, cwd: options.cwd });
    return { status: result.status, text: result.stdout + result.stderr };
}

/* Not spawnSync: this process may be the server that the command talks to. */
function run(command, words, { input = '', ...options } = {}) {
    return new Promise((resolve) => {
        const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
        const output = { stdout: '', stderr: '' };
        child.stdout.on('data', (bytes) => { output.stdout += bytes; });
        child.stderr.on('data', (bytes) => { output.stderr += bytes; });
        child.on('close', (status) => resolve({ status, ...output }));
        child.on('error', (error) => resolve({ status: -1, ...output, stderr: String(error) }));
        child.stdin.on('error', () => {});
        child.stdin.end(input);
    });
}

function missing(name) {
    return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0 ? false : `no ${name}`;
}

/* What Claude Code asks first, from Anthropic's address or from Vertex's. The demo stands for its model. */
const claude = `#!/bin/sh
[ -z "$ANTHROPIC_VERTEX_BASE_URL" ] && exec curl -sfI "$ANTHROPIC_BASE_URL/api/hello"
models="$ANTHROPIC_VERTEX_BASE_URL/projects/$ANTHROPIC_VERTEX_PROJECT_ID/locations/$CLOUD_ML_REGION/publishers/anthropic/models"
exec curl -sf "$models/demo:streamRawPredict" -H "$ANTHROPIC_CUSTOM_HEADERS" -H 'Content-Type: application/json' \\
    -d '{"anthropic_version": "vertex-2023-10-16", "max_tokens": 10, "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
`;

describe('documents: what they print', () => {
    let penstock;
    let folder;
    before(async () => {
        penstock = await Penstock.start(null);
        folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-readme-'));
        fs.mkdirSync(path.join(folder, 'bin'));
        fs.symlinkSync(binary, path.join(folder, 'bin', 'penstock'));
        // Claude Code itself is not here: what it asks first stands for it.
        fs.writeFileSync(path.join(folder, 'bin', 'claude'), claude, { mode: 0o755 });
        fs.writeFileSync(path.join(folder, 'bin', 'pass'), '#!/bin/sh\necho "sk-$2"\n', { mode: 0o755 });
        fs.writeFileSync(path.join(folder, 'coding-plan.key'), 'sk-sp-1\n', { mode: 0o600 });
        const example = blocks(of('README.md')).find((block) => block.text.startsWith('# config.yaml\n'));
        fs.writeFileSync(path.join(folder, 'config.yaml'), example.text, { mode: 0o600 });
    });
    after(async () => {
        await penstock?.stop();
        fs.rmSync(folder, { recursive: true, force: true });
    });
    const keys = { OPENAI_API_KEY: 'sk-1', ANTHROPIC_API_KEY: 'sk-2', PENSTOCK_MASTER_KEY: 'sk-3', UPSTREAM_API_KEY: 'sk-4', DASHSCOPE_API_KEY: 'sk-5', MODELSCOPE_API_KEY: 'sk-6' };
    const here = (text) => text.replaceAll('127.0.0.1:4000', `127.0.0.1:${penstock.port}`);

    for (const { name, text } of documents) {
        for (const block of blocks(text).filter(({ language }) => language === 'sh')) {
            it(`${name}: the command at line ${block.line}`, { skip: missing('curl') }, async () => {
                const env = { ...keys, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}`, HOME: folder };
                const result = await run('sh', ['-e', '-c', here(block.text)], { cwd: folder, env, timeout: 30_000 });
                assert.equal(result.status, 0, result.stderr);
                assert.notEqual(result.stdout, '');
                if (block.next?.language === 'text') assert.equal(missing_part(block.next.text, result.stdout), null, result.stdout);
            });
        }
        for (const block of blocks(text).filter(({ language }) => language === 'js')) {
            it(`${name}: the program at line ${block.line}`, async () => {
                const result = await run(process.execPath, ['--input-type=module'], { cwd: path.join(repository, 'tests', 'e2e'), input: here(block.text), timeout: 30_000 });
                assert.equal(result.status, 0, result.stderr);
                assert.equal(missing_part(block.next.text, result.stdout), null, result.stdout);
            });
        }
        for (const block of blocks(text).filter(({ language }) => language === 'yaml')) {
            it(`${name}: the configuration at line ${block.line}`, () => {
                const file = path.join(folder, `at-${block.line}.yaml`);
                fs.writeFileSync(file, block.text, { mode: 0o600 });
                const [title] = block.text.split('\n');
                if (title === '# config.yaml') {
                    const result = offline(['check', '--config', file], { env: { ...keys, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}` }, cwd: folder });
                    assert.equal(result.status, 0, result.text);
                    assert.match(result.text, /^good: /m);
                    assert.doesNotMatch(result.text, /warning/);
                } else if (title === '# prometheus.yml') {
                    if (!missing('promtool')) assert.equal(spawnSync('promtool', ['check', 'config', '--syntax-only', file]).status, 0);
                } else {
                    assert.equal(title, '# librechat.yaml', 'a configuration says whose it is');
                }
            });
        }
        for (const block of blocks(text).filter(({ language }) => language === 'json')) {
            it(`${name}: the JSON at line ${block.line}`, () => {
                const whole = block.text.startsWith('{\n');
                for (const each of whole ? [block.text] : block.text.trim().split('\n')) JSON.parse(each);
            });
        }
    }

    it('the access line has these fields, in this order', async () => {
        const printed = blocks(section(of('docs/operations.md'), 'Logs')).find(({ text }) => text.startsWith('time=')).text;
        await exchange(penstock.port, 'POST', chat, { body: { model: 'demo', stream: true, messages: [{ role: 'user', content: 'Hello' }] }, headers: { 'x-request-id': 'doc-line' } });
        await penstock.wait_log(/request_id=doc-line [^\n]*end=/);
        const names = (line) => [...line.matchAll(/(?:^| )([a-z_]+)=/g)].map((found) => found[1]);
        assert.deepEqual(names(printed), names(penstock.log.split('\n').find((line) => line.includes('doc-line'))));
    });
});

describe('documents: what they name', () => {
    const help = offline(['help']).text + offline(['conform', '--help']).text;
    const manual = offline(['print-config', '--manual']).text;
    const known = reference(offline(['print-config', '--reference']).text);
    const tools_text = ['test', 'coverage', 'fuzz', 'sim', 'soak', 'benchmark'].flatMap((tool) => {
        const place = path.join(repository, 'tools', tool);
        return fs.statSync(place).isDirectory() ? fs.readdirSync(place).filter((file) => file.endsWith('.py')).map((file) => read(`tools/${tool}/${file}`)) : [read(`tools/${tool}`)];
    }).join('\n');

    it('the parser of the reference sees what is there', () => {
        for (const key of ['penstock.timeouts.idle', 'model_list.litellm_params.model', 'penstock.limits.json_tokens', 'general_settings.master_key']) assert.ok(known.has(key), key);
        assert.equal(known.get('penstock.timeouts.idle'), '120s');
    });

    for (const { name, text } of documents) {
        it(`${name}: configuration keys exist, and have the defaults it says`, () => {
            const keys = spans(text).filter((span) => /^(penstock|router_settings|general_settings|litellm_settings)\.[a-z_.]+$/.test(span) && !span.endsWith('.yaml'));
            for (const key of keys) assert.ok(known.has(key), key);
            for (const key of spans(text).filter((span) => /^(litellm_params|model_info)\.[a-z_]+$/.test(span))) assert.ok(known.has(`model_list.${key}`), key);
            for (const row of rows(text)) {
                const at = row.findIndex((cell) => /^`penstock\.[a-z_.]+`$/.test(cell));
                if (at > 0 && row.length >= 4) assert.equal(known.get(row[at].slice(1, -1)), row[at - 1], row.join(' | '));
            }
        });

        it(`${name}: commands and options exist`, () => {
            const lines = [...spans(text), ...blocks(text).filter(({ language }) => language === 'sh').flatMap((block) => block.text.split('\n'))];
            for (const line of lines) {
                const command = /(?:^|\s)penstock ([a-z][a-z-]*)/.exec(line);
                if (command) assert.match(help, new RegExp(`penstock \\[?${command[1]}\\b|\\| ${command[1]}$`, 'm'), line);
                const ours = /(^|\s)(penstock|\.\/tools\/run)(\s|$)/.test(line) || /^--[a-z]/.test(line);
                const of_tools = name === 'CONTRIBUTING.md' && line.startsWith('--') ? tools_text : ''; /* its tools' options stand alone, too */
                for (const [option] of ours ? line.matchAll(/--[a-z][a-z0-9_-]*/g) : []) assert.match(help + of_tools, new RegExp(`${option}\\b`), line);
                const tool = /^(?:\.\/)?tools\/(test|bench|coverage|fuzz|sim|soak)\b/.exec(line);
                for (const [option] of tool ? line.matchAll(/--[a-z][a-z0-9-]*/g) : []) assert.ok(tools_text.includes(option), line);
            }
        });

        it(`${name}: environment variables are read`, () => {
            if (name === 'CONTRIBUTING.md') return;
            const theirs = new Set(['UPSTREAM_API_KEY', 'PENSTOCK_KEY', 'OPENAI_API_BASE_URL', 'ANTHROPIC_DEFAULT_OPUS_MODEL', 'ANTHROPIC_DEFAULT_SONNET_MODEL', 'ANTHROPIC_DEFAULT_HAIKU_MODEL', 'ANTHROPIC_SMALL_FAST_MODEL', 'ANTHROPIC_MODEL', 'ANTHROPIC_VERTEX_BASE_URL', 'ANTHROPIC_VERTEX_PROJECT_ID', 'ANTHROPIC_CUSTOM_HEADERS']);
            for (const [variable] of text.matchAll(/\b(PENSTOCK|OPENAI|ANTHROPIC|[A-Z]+_API)_[A-Z_]+\b/g)) {
                if (!theirs.has(variable)) assert.ok(manual.includes(variable), variable);
            }
        });

        it(`${name}: files exist`, () => {
            for (const span of spans(text)) {
                const found = /^((?:base|reactor|http|sse|providers|gateway|tests|tools|docs)\/[\w./*-]*)$/.exec(span.replace(/NAME|TARGET/g, '*'));
                if (!found) continue;
                const folder = path.join(repository, path.dirname(found[1]));
                const pattern = new RegExp(`^${path.basename(found[1]).replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
                assert.ok(fs.existsSync(folder) && fs.readdirSync(folder).some((each) => pattern.test(each)), span);
            }
        });
    }

    for (const name of all_documents) {
        it(`${name}: links lead somewhere`, () => {
            for (const link of links(read(name)).filter((target) => !/^[a-z]+:/.test(target))) {
                const [file, anchor] = link.split('#');
                const target = file ? path.join(path.dirname(name), file) : name;
                assert.ok(fs.existsSync(path.join(repository, target)), link);
                if (anchor) assert.ok(anchors(read(target)).includes(anchor), link);
            }
        });
    }

    it('README.md leads to the documents', () => {
        const reached = links(of('README.md'));
        for (const name of own_documents) assert.ok(name === 'README.md' || reached.includes(name), name);
    });

    it('docs/streams.md has every error code that can be met, with its statuses', () => {
        const table = new Map(rows(section(of('docs/streams.md'), 'Error codes')).filter((row) => row[0].startsWith('`')).map((row) => [row[0].slice(1, -1), row]));
        const sources = ['base', 'reactor', 'http', 'sse', 'providers', 'gateway'].flatMap((folder) => fs.readdirSync(path.join(repository, folder))
            .filter((file) => file.endsWith('.c') && file !== 'err.c').map((file) => read(`${folder}/${file}`))).join('\n');
        const codes = new Set();
        const entry = /X\(([A-Z_]+), ([A-Z]+), (\d+), [01], ([A-Z_]+), "([a-z_]+)"/g;
        for (const [, row, blame, status, kind, code] of read('base/err.h').replace(/\\\n\s*/g, ' ').matchAll(entry)) {
            if (blame === 'NOBODY' || row === 'CONFIG' || !new RegExp(`ERR_${row}\\b`).test(sources)) continue;
            codes.add(code);
            assert.ok(table.has(code), `${code} is missing`);
            assert.equal(table.get(code)[1], status, code);
            assert.equal(table.get(code)[2], kind === 'OVERLOADED' ? '529' : status, code);
        }
        assert.ok(codes.size > 30, `${codes.size}`);
        for (const code of table.keys()) assert.ok(codes.has(code), `${code} is no code, or nothing raises it`);
    });
});

describe('documents: what the running gateway does', () => {
    let provider;
    let penstock;
    const config = () => {
        const made = gateway_config(provider.url, { general_settings: { master_key: 'sk-doc' }, penstock: { timeouts: { idle: '300ms' } } });
        const fronted = { model_name: 'fronted', litellm_params: { model: 'openai_like/text', api_base: `${provider.url}/v1`, api_key: 'k' }, penstock: { host_header: 'api.example.com' } };
        const short = { model_name: 'short', litellm_params: fronted.litellm_params, penstock: { helpers: { truncate: true, context: 256, reserve_output_tokens: 10 } } };
        return { ...made, model_list: [...made.model_list, fronted, short] };
    };
    before(async () => {
        provider = await new FakeProvider().start();
        penstock = await Penstock.start(config());
    });
    after(async () => {
        await penstock?.stop();
        await provider?.stop();
    });
    const authorization = 'Bearer sk-doc';
    const ask = (target, model, extra = {}) => exchange(penstock.port, 'POST', target, { body: { model, max_tokens: 20, messages: [{ role: 'user', content: 'Hello' }], ...extra }, headers: { authorization } });

    it('docs/operations.md lists every metric, with its type, and no document names another', async () => {
        await ask(chat, 'c/text');
        const exposed = new Map([...(await exchange(penstock.port, 'GET', '/metrics', { headers: { authorization } })).text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((found) => [found[1], found[2]]));
        assert.ok(exposed.size > 50, `${exposed.size}`);
        const listed = new Map(rows(of('docs/operations.md')).filter((row) => exposed.has(row[0].slice(1, -1))).map((row) => [row[0].slice(1, -1), row[1]]));
        for (const [metric, type] of exposed) assert.equal(listed.get(metric), type, `${metric} is not listed, or not as a ${type}`);
        for (const { name, text } of documents) {
            for (const [metric] of text.matchAll(/\b(?:penstock_(?=[a-z_]*_(?:total|seconds|bytes|active|idle|info|used|armed|open|connections|streams)\b)|gen_ai_(?:client|server)_|process_)[a-z_]+\b/g)) {
                assert.ok(exposed.has(metric), `${name}: ${metric}`);
            }
        }
    });

    it('docs/streams.md has the reasons of ends, and its kinds of flaws exist', async () => {
        const text = (await exchange(penstock.port, 'GET', '/metrics', { headers: { authorization } })).text;
        const reasons = [...text.matchAll(/^penstock_stream_ends_total\{reason="(\w+)"\}/gm)].map((found) => found[1]);
        const table = rows(section(of('docs/streams.md'), 'Endings'));
        const listed = table.slice(table.findIndex((row) => row[0] === 'reason')).map((row) => /^`(\w+)`$/.exec(row[0])?.[1]).filter(Boolean);
        assert.deepEqual(listed.sort(), reasons.sort());
        for (const [, kind] of of('docs/streams.md').matchAll(/counted as `(\w+)`/g)) assert.ok(text.includes(`kind="${kind}"`), kind);
    });

    it('docs/operations.md lists every endpoint, and says which ask for a key', async () => {
        const named = new Set(documents.flatMap(({ text }) => spans(text)).filter((span) => /^(GET|HEAD|POST|OPTIONS) \//.test(span)));
        for (const span of named) {
            const [method, target] = span.replace('NAME', 'gpt-fake').split(' ');
            const { status, text } = await exchange(penstock.port, method, target, { body: method === 'POST' ? {} : undefined, headers: { authorization } });
            assert.ok(status !== 405 && !(status === 404 && text.includes('unknown_url')), `${span}: ${status}`);
        }
        const paths = [...read('gateway/endpoint.c').matchAll(/^ {4}\{"([^"]+)", [\w |]+, ENDPOINT_/gm)].map(([, path]) => (path.startsWith('/') ? path : `/v1/${path}`));
        assert.ok(paths.length > 20, paths.join());
        for (const target of paths) {
            assert.ok(named.has(`GET ${target}`) || named.has(`POST ${target}`), `${target} is not documented`);
        }
        for (const row of rows(section(of('docs/operations.md'), 'Endpoints'))) {
            for (const [, method, target] of row.slice(0, 2).join(' ').matchAll(/`(GET|POST) (\/\S*)`/g)) {
                const { status } = await exchange(penstock.port, method, target.replace('NAME', 'gpt-fake'), { body: method === 'POST' ? {} : undefined });
                assert.equal(status === 401, row[2].startsWith('yes'), `${method} ${target}: ${status}`);
            }
        }
    });

    it('docs/clients.md: each address leads to the endpoint that its section names', async () => {
        const text = of('docs/clients.md');
        const tails = ['/chat/completions', '/responses', '/messages'];
        let tried = 0;
        for (const part of text.split(/^(?=## )/m)) {
            const asked = spans(part).filter((span) => tails.some((tail) => span.startsWith('POST ') && span.endsWith(tail))).map((span) => span.slice(5));
            for (const { text: block, language } of blocks(part).filter((each) => ['json', 'toml'].includes(each.language))) {
                for (const [, base] of block.matchAll(/\b(?:baseURL|base_url|api_base_url)\b"?(?: =|:) "http:\/\/127\.0\.0\.1:4000([^"]*)"/g)) {
                    const target = asked.find((each) => each.startsWith(base));
                    assert.ok(target, `${language}: ${base} is no way to ${asked}`);
                    const body = target.endsWith('responses') ? { model: 'c/text', input: 'Hello', store: false } : { model: 'c/text', max_tokens: 20, messages: [{ role: 'user', content: 'Hello' }] };
                    assert.equal((await exchange(penstock.port, 'POST', target, { body, headers: { authorization } })).status, 200, target);
                    tried++;
                }
            }
        }
        assert.ok(tried >= 4, `${tried}`);
    });

    it('docs/operations.md tells of response headers that come', async () => {
        const text = section(of('docs/operations.md'), 'Response headers');
        const passed = [...text.split('To an upstream')[0].split('From an upstream')[1].matchAll(/`([a-z*-]+)`/g)].map((found) => found[1].replace('*', 'requests-limit'));
        assert.ok(passed.length > 6, passed.join());
        provider.queue({ headers: { ...Object.fromEntries(passed.map((name) => [name, '7'])), 'x-request-id': 'theirs' } });
        const answers = [await ask(chat, 'c/text'), await ask(chat, 'a/text', { seed: 1 }), await ask(chat, 'nothing')];
        answers.push(await ask(chat, 'short', { messages: Array.from({ length: 61 }, (_, at) => ({ role: at % 2 ? 'assistant' : 'user', content: `${at} words and words and words` })) }));
        provider.queue({ status: 429, headers: { 'Retry-After': '1' } });
        answers.push(await ask('/v1/messages/count_tokens', 'c/text'));
        answers.push(await ask(chat, 'c/text'), await exchange(penstock.port, 'DELETE', chat));
        const listed = rows(text).map((row) => /^`([\w-]+)`$/.exec(row[0])?.[1].toLowerCase()).filter(Boolean);
        assert.ok(listed.length > 5, listed.join());
        for (const name of listed) assert.ok(answers.some(({ headers }) => name in headers), `${name} never came`);
        for (const name of passed) assert.ok(answers[0].headers[name]?.split(', ').includes('7'), name);
        const own = new Set([...listed, ...passed, 'date', 'content-type', 'content-length', 'connection']);
        for (const { headers } of answers) for (const name of Object.keys(headers)) assert.ok(own.has(name), `${name} is not documented`);
        provider.reset();
    });

    it('docs/streams.md shows errors in a stream as they are', async () => {
        const shown = blocks(section(of('docs/streams.md'), 'Endings')).map(({ text }) => text.trim());
        const stall = 'c/count,count=50,stall_at=900';
        for (const [target, expected] of [[chat, shown[0]], [messages, shown[1]]]) {
            const { text } = await ask(target, stall, { stream: true });
            const plain = text.replace(/^id: .*\n/gm, '').trim();
            assert.ok(plain.endsWith(expected), plain.slice(-600));
        }
    });

    it('each log level adds what docs/operations.md says, and words of users only the last', async () => {
        const listed = rows(section(of('docs/operations.md'), 'Logs')).map((row) => /^`(\w+)`$/.exec(row[0])?.[1]).filter(Boolean);
        assert.deepEqual(listed, ['error', 'warn', 'info', 'debug1', 'debug2', 'debug3']);
        const expected = { warn: [], info: ['msg=request'], debug1: ['msg=transition'], debug2: ['msg="upstream event"'], debug3: ['msg="client request"', 'secret-word'] };
        for (const [at, level] of Object.keys(expected).entries()) {
            const gateway = await Penstock.start(config(), { args: level === 'warn' ? [] : ['--log-level', level] });
            if (level === 'warn') { // what it listens on is told at info, so that it begins there
                gateway.write_config({ ...config(), penstock: { log: { level } } });
                gateway.signal('SIGHUP');
                await sleep(500);
            }
            await exchange(gateway.port, 'POST', chat, { body: { model: 'c/text', stream: true, messages: [{ role: 'user', content: 'secret-word' }] }, headers: { authorization } });
            await sleep(200);
            for (const [other, words] of Object.values(expected).entries()) for (const word of words) assert.equal(gateway.log.includes(word), other <= at, `${word} at ${level}`);
            assert.doesNotMatch(gateway.log, /sk-doc|sk-chat-upstream/);
            await gateway.stop();
        }
    });

    it('an upstream that repeats its key is not quoted', async () => {
        provider.queue({ status: 401, body: { error: { message: 'no such key: sk-chat-upstream', type: 'invalid_request_error', code: 'invalid_api_key' } } }, { times: 2 });
        for (const target of [chat, messages]) {
            const { status, text } = await ask(target, 'c/text');
            assert.equal(status, 401);
            assert.match(text, /no such key: \*+/);
        }
        provider.reset();
    });

    it('a FIN is asked about as docs/streams.md says', async () => {
        assert.match(of('docs/streams.md'), /before the commit point, and for whole replies, the interim answer `102 Processing`/);
        for (const stream of [true, false]) {
            for (const [version, expected] of [['1.1', /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 /], ['1.0', /^HTTP\/1\.1 200 /]]) {
                const body = JSON.stringify({ model: 'c/text,head_delay_ms=300', stream, messages: [{ role: 'user', content: 'x' }] });
                const socket = net.connect({ host: '127.0.0.1', port: penstock.port, allowHalfOpen: true });
                let answer = '';
                socket.on('data', (bytes) => { answer += bytes; });
                socket.end(`POST ${chat} HTTP/${version}\r\nHost: penstock\r\nAuthorization: ${authorization}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
                await new Promise((resolve) => socket.on('end', resolve));
                socket.destroy();
                assert.match(answer, expected);
                assert.match(answer, stream ? /data: \[DONE\]\n\n(\r\n0\r\n\r\n)?$/ : /"finish_reason":"stop"/);
                assert.equal(answer.includes('\r\n\r\n: keep-alive\n'), stream && version === '1.0', answer.slice(0, 900));
            }
        }
    });

    it('an upstream behind a proxy on loopback reads its own name', async () => {
        assert.equal((await ask(chat, 'fronted')).status, 200);
        assert.equal(provider.seen.at(-1).headers.host, 'api.example.com');
    });

    it('health and readiness read as docs/operations.md prints them', async () => {
        const [ok, , draining] = blocks(section(of('docs/operations.md'), 'Health'))[0].text.trim().split('\n');
        assert.equal((await exchange(penstock.port, 'GET', '/health/ready')).text, ok);
        const other = await Penstock.start(config());
        const live = exchange(other.port, 'POST', chat, { body: { model: 'c/count,count=20,pace_ms=50', stream: true, messages: [{ role: 'user', content: 'x' }] }, headers: { authorization } });
        await sleep(300);
        other.signal('SIGTERM');
        await other.wait_log(/msg=draining/);
        const ready = await exchange(other.port, 'GET', '/health/ready');
        assert.deepEqual([ready.status, ready.text], [503, draining]);
        const late = await exchange(other.port, 'POST', chat, { body: { model: 'c/text', messages: [{ role: 'user', content: 'x' }] }, headers: { authorization } });
        assert.deepEqual([late.status, late.headers.connection, late.headers['retry-after']], [503, 'close', '1']);
        assert.match(late.text, /shutting_down/);
        await live;
        await other.wait_exit();
        await other.stop();
    });
});
