// SPDX-License-Identifier: MIT
//
// requests - what the upstream is asked when a client asks: byte for byte where both speak one dialect,
// translated by the book where they do not (R37 to R41, R44, R46, R50, R51, R65, R66, R70 to R72, R79, R144, R145).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { models_at } from './lib/penstock.mjs';
import { exchange, json_of } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const chat = '/v1/chat/completions';
const messages = '/v1/messages';
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const weather = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

function config(url) {
    const openai = (model_name, model, extra = {}) => ({ model_name, litellm_params: { model, api_base: `${url}/v1`, api_key: 'k', ...extra } });
    return {
        model_list: [
            ...models_at(url),
            openai('local/*', 'hosted_vllm/*'),
            openai('deep/*', 'deepseek/*'),
            openai('think', 'hosted_vllm/thinking', {}),
            openai('slashes', 'openrouter/meta/llama-3/instruct'),
            openai('defaults', 'openai/text', { temperature: 0.5, max_tokens: 77 }),
            { ...openai('tags', 'hosted_vllm/think-tags'), penstock: { think_tags: true } },
            { ...openai('as-think', 'hosted_vllm/thinking'), penstock: { reasoning: 'think' } },
            { ...openai('as-field', 'hosted_vllm/thinking'), penstock: { reasoning: 'reasoning' } },
            { ...openai('dropped', 'hosted_vllm/thinking'), penstock: { reasoning: 'drop' } },
        ],
    };
}

in_world('requests', config, (world) => {
    const last = () => world.provider.seen[world.provider.seen.length - 1];
    /* send - post a body; what the upstream saw of it. */
    async function send(path, body, headers = {}) {
        const response = await exchange(world.penstock.port, 'POST', path, { body, headers });
        assert.equal(response.status, 200, response.text);
        return last();
    }
    async function refused(path, body) {
        const before = world.provider.seen.length;
        const response = await exchange(world.penstock.port, 'POST', path, { body });
        assert.equal(response.status, 400, response.text);
        assert.equal(world.provider.seen.length, before);
        return json_of(response).error;
    }
    const simple = [{ role: 'user', content: 'x' }];

    it('anthropic to anthropic: byte for byte but the model', async () => {
        const body = '{ "unknown_field" : {"b":1,"a":[1.0,2e3,null]},\n "model":"a/text", "max_tokens":5,"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1; cch=1;"},{"type":"text","text":"S\\u00e9","cache_control":{"type":"ephemeral"}}],'
            + '"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"user","content":"b"}],"tools":[{"type":"web_search_20250305","name":"web_search"}],"stream":false}';
        const seen = await send(messages, body, {
            'anthropic-version': '2023-06-01', 'anthropic-beta': 'a-2025-01-01,unknown-beta', 'anthropic-other': 'kept', 'x-api-key': 'client', Connection: 'close', TE: 'trailers',
        });
        assert.equal(seen.body.toString(), body.replace('"a/text"', '"text"'));
        assert.equal(seen.headers['content-length'], String(seen.body.length));
        assert.equal(seen.headers['anthropic-version'], '2023-06-01');
        assert.equal(seen.headers['anthropic-beta'], 'a-2025-01-01,unknown-beta');
        assert.equal(seen.headers['anthropic-other'], 'kept');
        assert.equal(seen.headers['x-api-key'], 'sk-ant-upstream');
        assert.equal(seen.headers.te, undefined);
        assert.equal(seen.path, '/v1/messages');
    });

    it('openai to openai: nothing changes but the model and the wish for usage', async () => {
        const body = '{"temperature":0,"n":1,"model":"c/text","messages":[{"role":"developer","content":"d"},{"role":"system","content":null},{"role":"tool","content":"r","tool_call_id":"c"},{"role":"function","name":"f","content":""}],'
            + '"stop":[],"seed":0,"store":false,"user":"","logit_bias":null,"unknown":{"x":[ 1 ]},"parallel_tool_calls":false,"max_tokens":0}';
        assert.equal((await send(chat, body)).body.toString(), body.replace('"c/text"', '"text"'));
        const streamed = await send(chat, { model: 'c/text', messages: simple, stream: true });
        assert.deepEqual(streamed.json.stream_options, { include_usage: true });
        const asked = await send(chat, { model: 'c/text', messages: simple, stream: true, stream_options: { include_usage: true, include_obfuscation: false } });
        assert.deepEqual(asked.json.stream_options, { include_usage: true, include_obfuscation: false });
    });

    it('a server that knows no developer is sent a system message', async () => {
        const seen = await send(chat, { model: 'local/text', messages: [{ role: 'developer', content: 'd' }, ...simple] });
        assert.deepEqual(seen.json.messages.map((message) => message.role), ['system', 'user']);
    });

    it('usage appears in a stream only when it was asked for', async () => {
        for (const model of ['c/usage', 'a/usage']) {
            const text = async (extra) => (await exchange(world.penstock.port, 'POST', chat, { body: { model, messages: simple, stream: true, ...extra } })).text;
            assert.doesNotMatch(await text({}), /prompt_tokens/);
            assert.match(await text({ stream_options: { include_usage: true } }), /"choices":\s*\[\],.*"prompt_tokens":\s*120/);
        }
    });

    it('openai to anthropic: system, turns, images, tools, results', async () => {
        const { json } = await send(chat, {
            model: 'a/text', max_completion_tokens: 50, temperature: 0, top_p: 0.5, stop: 'END', user: 'u1',
            messages: [
                { role: 'system', content: 'First.' }, { role: 'developer', content: [{ type: 'text', text: 'Second.' }] },
                { role: 'user', content: [{ type: 'text', text: 'Look' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${png}`, detail: 'low' } }, { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] },
                { role: 'assistant', content: 'Calling', tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } }, { id: 'call_2', type: 'function', function: { name: 'ping', arguments: '' } }] },
                { role: 'tool', tool_call_id: 'call_1', content: 'sunny' }, { role: 'tool', tool_call_id: 'call_2', content: [{ type: 'text', text: 'pong' }] },
                { role: 'user', content: 'And now?' },
            ],
            tools: [{ type: 'function', function: { name: 'get_weather', description: 'd', parameters: weather } }, { type: 'function', function: { name: 'ping' } }],
            tool_choice: 'required', parallel_tool_calls: false,
        });
        const system = typeof json.system === 'string' ? json.system : json.system.map((block) => block.text).join('|');
        assert.match(system, /First\.[\s\S]*Second\./);
        assert.equal(json.max_tokens, 50);
        assert.equal(json.temperature, 0);
        assert.equal(json.top_p, undefined, 'temperature and top_p together are refused by newer models');
        assert.deepEqual(json.stop_sequences, ['END']);
        assert.deepEqual(json.messages.map((message) => message.role), ['user', 'assistant', 'user']);
        const [look, calling, results] = json.messages.map((message) => message.content);
        assert.deepEqual(look.map((block) => block.type), ['text', 'image', 'image']);
        assert.deepEqual(look[1].source, { type: 'base64', media_type: 'image/png', data: png });
        assert.deepEqual(look[2].source, { type: 'url', url: 'https://example.com/a.png' });
        assert.deepEqual(calling.map((block) => block.type), ['text', 'tool_use', 'tool_use']);
        assert.deepEqual(calling[1], { type: 'tool_use', id: 'call_1', name: 'get_weather', input: { city: 'Paris' } });
        assert.deepEqual(calling[2].input, {});
        assert.deepEqual(results.map((block) => block.type), ['tool_result', 'tool_result', 'text']);
        assert.equal(results[0].tool_use_id, 'call_1');
        assert.deepEqual(json.tools.map((tool) => [tool.name, tool.input_schema.type]), [['get_weather', 'object'], ['ping', 'object']]);
        assert.deepEqual(json.tool_choice, { type: 'any', disable_parallel_tool_use: true });
        assert.equal(json.metadata?.user_id, 'u1');
    });

    it('openai to anthropic: max_tokens is there even when nobody named it, and stream asks', async () => {
        const seen = await send(chat, { model: 'a/text', messages: simple });
        assert.ok(seen.json.max_tokens > 0);
        assert.equal(seen.headers['anthropic-version'], '2023-06-01');
        assert.equal(seen.json.stream_options, undefined);
    });

    it('tool_choice in both directions', async () => {
        const openai_tools = [{ type: 'function', function: { name: 'f', parameters: weather } }];
        for (const [choice, wanted] of [['auto', { type: 'auto' }], ['none', { type: 'none' }], ['required', { type: 'any' }], [{ type: 'function', function: { name: 'f' } }, { type: 'tool', name: 'f' }]]) {
            assert.deepEqual((await send(chat, { model: 'a/text', messages: simple, tools: openai_tools, tool_choice: choice })).json.tool_choice, wanted);
        }
        const anthropic_tools = [{ name: 'f', input_schema: weather }];
        for (const [choice, wanted] of [[{ type: 'auto' }, 'auto'], [{ type: 'none' }, 'none'], [{ type: 'any' }, 'required'], [{ type: 'tool', name: 'f' }, { type: 'function', function: { name: 'f' } }]]) {
            assert.deepEqual((await send(messages, { model: 'c/text', max_tokens: 5, messages: simple, tools: anthropic_tools, tool_choice: choice })).json.tool_choice, wanted);
        }
        const single = await send(messages, { model: 'c/text', max_tokens: 5, messages: simple, tools: anthropic_tools, tool_choice: { type: 'auto', disable_parallel_tool_use: true } });
        assert.equal(single.json.parallel_tool_calls, false);
    });

    it('anthropic to openai: system, blocks, results with images, thinking, stop sequences', async () => {
        const { json } = await send(messages, {
            model: 'c/text', max_tokens: 60, temperature: 0.3, top_p: 0.9, stop_sequences: ['A', 'B'], metadata: { user_id: 'user-7' },
            system: [{ type: 'text', text: 'x-anthropic-billing-header: cc_version=2.0; cch=abc;' }, { type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } }, { type: 'text', text: 'Be brief.' }],
            messages: [
                { role: 'user', content: [{ type: 'text', text: 'Look' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }, { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Document words' } }] },
                { role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: 'sig' }, { type: 'text', text: 'Calling' }, { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Paris' } }, { type: 'tool_use', id: 'toolu_2', name: 'ping', input: {} }] },
                { role: 'user', content: [{ type: 'text', text: 'before' }, { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'sunny' }, { type: 'image', source: { type: 'url', url: 'https://example.com/b.png' } }] }, { type: 'tool_result', tool_use_id: 'toolu_2', is_error: true, content: 'no reply' }] },
            ],
            tools: [{ name: 'get_weather', description: 'd', input_schema: weather, defer_loading: true, eager_input_streaming: true, cache_control: { type: 'ephemeral' } }, { name: 'ping', input_schema: { type: 'object', properties: {} } }, { type: 'web_search_20250305', name: 'web_search' }],
        });
        assert.equal(json.messages[0].role, 'system');
        const system = JSON.stringify(json.messages[0].content);
        assert.match(system, /Be kind\..*Be brief\./);
        assert.doesNotMatch(JSON.stringify(json), /billing-header|cache_control|signature|defer_loading|eager_input|web_search/);
        assert.equal(json.max_completion_tokens ?? json.max_tokens, 60);
        assert.deepEqual(json.stop, ['A', 'B']);
        assert.equal(json.temperature, 0.3);
        assert.equal(json.user ?? json.safety_identifier, 'user-7');
        const roles = json.messages.map((message) => message.role);
        assert.deepEqual(roles, ['system', 'user', 'assistant', 'tool', 'tool', 'user']);
        const look = json.messages[1].content;
        assert.ok(look.some((part) => part.type === 'image_url' && part.image_url.url === `data:image/png;base64,${png}`));
        assert.match(JSON.stringify(look), /Document words/);
        const [, , calling, first, second, rest] = json.messages;
        assert.equal(calling.content, 'Calling');
        assert.deepEqual(calling.tool_calls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments)]), [['toolu_1', 'get_weather', { city: 'Paris' }], ['toolu_2', 'ping', {}]]);
        assert.equal(first.tool_call_id, 'toolu_1');
        assert.match(JSON.stringify(first.content), /sunny/);
        assert.match(JSON.stringify(second.content), /no reply/);
        assert.match(JSON.stringify(rest.content), /example\.com\/b\.png/);
        assert.match(JSON.stringify(rest.content), /before/);
        assert.deepEqual(json.tools.map((tool) => tool.function.name), ['get_weather', 'ping']);
    });

    it('anthropic to openai: instructions in the middle stay in the middle', async () => {
        const { json } = await send(messages, { model: 'c/text', max_tokens: 5, messages: [{ role: 'user', content: 'a' }, { role: 'system', content: 'Mid.' }, { role: 'user', content: 'b' }] });
        const at = json.messages.findIndex((message) => JSON.stringify(message.content).includes('Mid.'));
        assert.equal(at, 1);
    });

    it('top_k goes where it is understood', async () => {
        const ask = (model) => send(messages, { model, max_tokens: 5, top_k: 40, messages: simple });
        assert.equal((await ask('c/text')).json.top_k, undefined);
        assert.equal((await ask('local/text')).json.top_k, 40);
        assert.equal((await ask('a/text')).json.top_k, 40);
    });

    it('thinking and effort map to what the upstream takes', async () => {
        const effort = async (extra) => (await send(messages, { model: 'c/text', max_tokens: 60_000, messages: simple, ...extra })).json.reasoning_effort;
        assert.equal(await effort({ thinking: { type: 'enabled', budget_tokens: 2000 } }), 'low');
        assert.equal(await effort({ thinking: { type: 'enabled', budget_tokens: 9000 } }), 'medium');
        assert.equal(await effort({ thinking: { type: 'enabled', budget_tokens: 24_000 } }), 'high');
        assert.equal(await effort({ output_config: { effort: 'medium' } }), 'medium');
        assert.equal(await effort({}), undefined);
        const thinking = (await send(chat, { model: 'a/text', reasoning_effort: 'medium', messages: simple })).json;
        assert.ok(thinking.thinking?.budget_tokens >= 1024 && thinking.max_tokens > thinking.thinking.budget_tokens || thinking.output_config?.effort === 'medium', JSON.stringify(thinking));
    });

    it('reasoning comes back to the upstream only where it must', async () => {
        const history = [{ role: 'user', content: 'a' }, { role: 'assistant', reasoning_content: 'thoughts', content: 'b' }, { role: 'user', content: 'c' }];
        const anthropic = [{ role: 'user', content: 'a' }, { role: 'assistant', content: [{ type: 'thinking', thinking: 'thoughts', signature: 'x' }, { type: 'text', text: 'b' }] }, { role: 'user', content: 'c' }];
        const ask = async (model) => JSON.stringify((await send(messages, { model, max_tokens: 5, messages: anthropic })).json);
        assert.match(await ask('deep/text'), /"reasoning_content":\s*"thoughts"/);
        assert.doesNotMatch(await ask('c/text'), /thoughts/);
        const native = (await send(chat, { model: 'a/text', messages: history })).json;
        assert.doesNotMatch(JSON.stringify(native), /"type":\s*"thinking","thinking":\s*"thoughts"/, 'unsigned thoughts are refused by Anthropic');
    });

    it('response_format is translated or refused, never forgotten', async () => {
        const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false };
        const seen = await send(chat, { model: 'a/text', messages: simple, response_format: { type: 'json_schema', json_schema: { name: 'n', schema } } });
        assert.match(JSON.stringify(seen.json), /additionalProperties/);
        assert.equal((await send(chat, { model: 'c/text', messages: simple, response_format: { type: 'json_object' } })).json.response_format.type, 'json_object');
        const error = await refused(chat, { model: 'a/text', messages: simple, response_format: { type: 'grammar', grammar: 'x' } });
        assert.match(`${error.message} ${error.param}`, /response.format/);
    });

    it('what would change the answer is a 400 that names it', async () => {
        assert.match((await refused(chat, { model: 'a/text', messages: simple, n: 2 })).message, /\bn\b/);
        const audio = await refused(chat, { model: 'a/text', messages: simple, modalities: ['audio'], audio: { voice: 'x', format: 'wav' } });
        assert.match(`${audio.message} ${audio.param}`, /audio|modalities/);
    });

    it('gateway defaults fill absent keys only', async () => {
        const absent = (await send(chat, { model: 'defaults', messages: simple })).json;
        assert.equal(absent.temperature, 0.5);
        assert.equal(absent.max_tokens ?? absent.max_completion_tokens, 77);
        const present = (await send(chat, { model: 'defaults', messages: simple, temperature: 0, max_tokens: 5 })).json;
        assert.equal(present.temperature, 0);
        assert.equal(present.max_tokens ?? present.max_completion_tokens, 5);
        assert.equal((await send(chat, { model: 'c/text', messages: simple })).json.temperature, undefined);
    });

    it('a provider is split from its model at the first slash only', async () => {
        world.provider.script('meta/llama-3/instruct', { scenario: 'text' });
        assert.equal((await send(chat, { model: 'slashes', messages: simple })).model, 'meta/llama-3/instruct');
        world.provider.script('one/two/three', { scenario: 'text' });
        assert.equal((await send(chat, { model: 'c/one/two/three', messages: simple })).model, 'one/two/three');
    });

    it('reasoning reaches openai clients in the configured form', async () => {
        const whole = async (model) => json_of(await exchange(world.penstock.port, 'POST', chat, { body: { model, messages: simple } })).choices[0].message;
        const stream = async (model) => (await exchange(world.penstock.port, 'POST', chat, { body: { model, messages: simple, stream: true } })).text;
        assert.equal((await whole('think')).reasoning_content, 'First I think, therefore');
        assert.equal((await whole('as-field')).reasoning, 'First I think, therefore');
        assert.equal((await whole('as-think')).content, '<think>First I think, therefore</think>The answer is 4.');
        const dropped = await whole('dropped');
        assert.equal(dropped.reasoning_content ?? dropped.reasoning, undefined);
        assert.equal(dropped.content, 'The answer is 4.');
        const joined = (text) => [...text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)].map((found) => JSON.parse(`"${found[1]}"`)).join('');
        assert.equal(joined(await stream('as-think')), '<think>First I think, therefore</think>The answer is 4.');
        assert.doesNotMatch(await stream('dropped'), /therefore/);
        assert.match(await stream('as-field'), /"reasoning":\s*"First "/);
    });

    it('native think tags become reasoning, split anywhere', async () => {
        const text = '<think>Deep thoughts</think>\n\nAnswer with a <b>tag</b>';
        for (const size of [1, 2, 3, 7, 100]) {
            const pieces = [];
            for (let at = 0; at < text.length; at += size) pieces.push(text.slice(at, at + size));
            const turn = { blocks: [{ type: 'text', pieces }], finish: 'stop', usage: { input: 1, output: 1, cache_read: 0, cache_write: 0, reasoning: 0 } };
            world.provider.script('think-tags', { turn });
            const message = json_of(await exchange(world.penstock.port, 'POST', messages, { body: { model: 'tags', max_tokens: 5, messages: simple } }));
            assert.deepEqual(message.content.map((block) => block.type), ['thinking', 'text'], `pieces of ${size}`);
            assert.equal(message.content[0].thinking, 'Deep thoughts');
            assert.match(message.content[1].text, /^\s*Answer with a <b>tag<\/b>$/);
        }
    });

    it('calls without id, index or type are completed, and ids stay', async () => {
        const piece = (call) => ({ data: JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { tool_calls: [call] }, finish_reason: null }] }) });
        world.provider.script('bare-calls', {
            events: [
                piece({ function: { name: 'get_weather', arguments: '{"city":' } }), piece({ function: { arguments: '"Paris"}' } }), piece({ function: { name: 'ping', arguments: '{}' } }),
                { data: JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }) }, { data: '[DONE]' },
            ],
        });
        const whole = json_of(await exchange(world.penstock.port, 'POST', messages, { body: { model: 'c/bare-calls', max_tokens: 5, messages: simple } }));
        assert.deepEqual(whole.content.map((block) => [block.name, block.input]), [['get_weather', { city: 'Paris' }], ['ping', {}]]);
        const [one, two] = whole.content.map((block) => block.id);
        assert.ok(one && two && one !== two);
    });

    it('count_tokens is exact where the upstream can count, else an estimate', async () => {
        const body = { model: 'a/text', messages: [{ role: 'user', content: 'word '.repeat(100) }] };
        const exact = json_of(await exchange(world.penstock.port, 'POST', '/v1/messages/count_tokens', { body }));
        assert.equal(exact.input_tokens, Math.ceil(last().body.length / 4));
        assert.equal(last().path, '/v1/messages/count_tokens');
        const estimate = json_of(await exchange(world.penstock.port, 'POST', '/v1/messages/count_tokens', { body: { ...body, model: 'c/text' } }));
        assert.ok(estimate.input_tokens > 80 && estimate.input_tokens < 160, `${estimate.input_tokens}`);
    });

    it('nothing is fetched, and nobody but the configured upstream is spoken to', async () => {
        let visits = 0;
        const canary = net.createServer((socket) => {
            visits++;
            socket.destroy();
        });
        await new Promise((resolve) => canary.listen(0, '127.0.0.1', resolve));
        const url = `http://127.0.0.1:${canary.address().port}/a.png`;
        const image = [{ role: 'user', content: [{ type: 'text', text: url }, { type: 'image_url', image_url: { url } }] }];
        await send(chat, { model: 'a/text', messages: image });
        await send(chat, { model: 'c/text', messages: image });
        const block = [{ role: 'user', content: [{ type: 'image', source: { type: 'url', url } }] }];
        await send(messages, { model: 'c/text', max_tokens: 5, messages: block, tools: [{ type: 'web_search_20250305', name: 'web_search' }], mcp_servers: [{ type: 'url', url, name: 'm' }] });
        await exchange(world.penstock.port, 'POST', '/v1/complete', { body: { api_base: url } });
        await exchange(world.penstock.port, 'GET', `/v1/models/${encodeURIComponent(url)}`);
        await new Promise((resolve) => { setTimeout(resolve, 200); });
        canary.close();
        assert.equal(visits, 0);
        const known = new Set([world.provider.port, world.penstock.port]);
        for (const remote of world.penstock.remote_ports()) assert.ok(known.has(remote.port) || remote.client, JSON.stringify(remote));
    });

    it('upstream hosts see none of the client\'s private headers', async () => {
        const seen = await send(chat, { model: 'a/text', messages: simple }, { authorization: 'Bearer client', cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'accept-encoding': 'gzip, br' });
        assert.doesNotMatch(JSON.stringify(seen.fields), /Bearer client|a=b|1\.2\.3\.4/);
        assert.ok(['identity', undefined].includes(seen.headers['accept-encoding']));
    });
});
