// SPDX-License-Identifier: MIT
//
// clients - coding agents as they really ask: opencode, crush, Claude Code Router, Roo, Kilo and Cline, all of them streaming,
// with every kind of upstream behind penstock (R58). The requests are written in the style of each client: its fields, its
// schemas, its way to send a call and its result back.

import fs from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { joined, make_turn } from '../../tools/fake_provider/turns.mjs';
import { upstreams } from './lib/penstock.mjs';
import { exchange, events_of } from './lib/raw.mjs';
import { check_chat, check_chat_passed } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { decode_chat_events } from './lib/decode_chat.mjs';
import { request_problems } from './lib/request_rules.mjs';
import { calls_in, system_in, tools_in } from './lib/phrases.mjs';
import { recordings_folder } from './lib/recordings.mjs';
import { tagged } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

const strict_weather = {
    $schema: 'http://json-schema.org/draft-07/schema#', type: 'object', additionalProperties: false, required: ['city'],
    properties: { city: { type: 'string', minLength: 1, description: 'The city' }, unit: { type: 'string', enum: ['c', 'f'], default: 'c' } },
};
const time_of_zone = { type: 'object', properties: { zone: { type: 'string' }, offset: { type: ['integer', 'null'], exclusiveMinimum: -13 } }, required: ['zone'] };
const functions = (wrap = (each) => each) => [
    { name: 'get_weather', description: 'The weather in a city', parameters: strict_weather },
    { name: 'get_time', description: 'What time is it?', parameters: time_of_zone },
    { name: 'ping_server', description: 'Is it there?', parameters: { type: 'object', properties: {}, required: [] } },
].map((each) => ({ type: 'function', function: wrap(each) }));

const as_calls = (turn) => turn.calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }));

/*
 * Each client: headers; target; request(model) its first question; reply(turn, texts) the messages by which it goes on: the
 * assistant's turn as it remembers it, and the results.
 */
const clients = {
    opencode: {
        headers: { 'user-agent': 'opencode/1.0.120 ai-sdk/openai-compatible/1.0.27 ai-sdk/provider-utils/3.0.18 runtime/bun/1.3.3', authorization: 'Bearer client-key' },
        target: '/v1/chat/completions',
        request: (model) => ({
            model, max_tokens: 32000, temperature: 0.55, top_p: 1,
            messages: [
                { role: 'system', content: 'You are opencode, an agent.' },
                { role: 'system', content: '<env>\n  Working directory: /home/me\n</env>' },
                { role: 'user', content: 'How is the weather?' },
            ],
            tools: functions((each) => ({ ...each, parameters: { ...each.parameters, $schema: 'https://json-schema.org/draft/2020-12/schema', additionalProperties: false } })),
            tool_choice: 'auto', stream: true, stream_options: { include_usage: true },
        }),
        reply: (turn, texts) => [
            { role: 'assistant', content: turn.text, ...(turn.thinking ? { reasoning_content: turn.thinking } : {}), tool_calls: as_calls(turn) },
            ...turn.calls.map((call, at) => ({ role: 'tool', tool_call_id: call.id, content: texts[at] })),
        ],
        system: /You are opencode, an agent\.[^]*Working directory/,
    },
    crush: {
        headers: { 'user-agent': 'Charm Crush/0.18.5', 'x-stainless-lang': 'go', authorization: 'Bearer client-key' },
        target: '/v1/chat/completions',
        request: (model) => ({
            messages: [
                { content: 'You are Crush.', role: 'system' },
                { content: [{ text: 'How is the weather?', type: 'text' }], role: 'user' },
            ],
            model, max_tokens: 4096, reasoning_effort: 'medium', stream_options: { include_usage: true },
            tools: functions((each) => ({ ...each, strict: false })), tool_choice: 'auto', stream: true,
        }),
        reply: (turn, texts) => [
            { content: turn.text || null, role: 'assistant', tool_calls: as_calls(turn) },
            ...turn.calls.map((call, at) => ({ content: texts[at], tool_call_id: call.id, role: 'tool' })),
        ],
        system: /You are Crush\./,
    },
    'Claude Code Router': {
        headers: { authorization: 'Bearer client-key', accept: '*/*' },
        // Its published configuration ends in a slash.
        target: '/v1/chat/completions/',
        request: (model) => ({
            messages: [
                { role: 'system', content: [{ type: 'text', text: 'You are Claude Code.', cache_control: { type: 'ephemeral' } }, { type: 'text', text: 'Be brief.' }] },
                { role: 'user', content: [{ type: 'text', text: '<system-reminder>\nToday\n</system-reminder>' }, { type: 'text', text: 'How is the weather?', cache_control: { type: 'ephemeral' } }] },
            ],
            model, max_tokens: 8192, temperature: 1, stream: true, tools: functions(), tool_choice: 'auto', reasoning: { effort: 'low', enabled: true },
        }),
        reply: (turn, texts) => [
            { role: 'assistant', content: turn.text || null, tool_calls: as_calls(turn), ...(turn.thinking ? { thinking: { content: turn.thinking, signature: `${Date.now()}` } } : {}) },
            ...turn.calls.map((call, at) => ({ role: 'tool', content: JSON.stringify([{ type: 'text', text: texts[at] }]), tool_call_id: call.id, cache_control: { type: 'ephemeral' } })),
        ],
        system: /You are Claude Code\.[^]*Be brief\./,
    },
    Roo: {
        headers: { 'user-agent': 'RooCode/3.36.2', 'http-referer': 'https://github.com/RooVetGit/Roo-Cline', 'x-title': 'Roo Code', authorization: 'Bearer client-key' },
        target: '/v1/chat/completions',
        request: (model) => ({
            model, temperature: 0, stream: true, stream_options: { include_usage: true },
            messages: [
                { role: 'system', content: 'You are Roo, a highly skilled software engineer.' },
                { role: 'user', content: [{ type: 'text', text: '<task>\nHow is the weather?\n</task>' }, { type: 'text', text: '<environment_details>\n# Mode\ncode\n</environment_details>' }] },
            ],
            tools: functions((each) => ({ ...each, strict: true, parameters: { ...each.parameters, additionalProperties: false } })), tool_choice: 'auto', parallel_tool_calls: true,
        }),
        reply: (turn, texts) => [
            { role: 'assistant', content: turn.text || undefined, tool_calls: as_calls(turn) },
            ...turn.calls.map((call, at) => ({ role: 'tool', tool_call_id: call.id, content: texts[at] })),
            { role: 'user', content: [{ type: 'text', text: '<environment_details>\n# Mode\ncode\n</environment_details>' }] },
        ],
        system: /You are Roo/,
    },
    Kilo: {
        headers: { 'user-agent': 'Kilo-Code/4.125.1', 'http-referer': 'https://kilocode.ai', 'x-title': 'Kilo Code', authorization: 'Bearer client-key' },
        target: '/v1/chat/completions',
        request: (model) => ({
            model, temperature: 0, max_completion_tokens: 16384, stream: true, stream_options: { include_usage: true },
            messages: [
                { role: 'developer', content: 'You are Kilo Code.' },
                { role: 'user', content: [{ type: 'text', text: 'How is the weather?' }, { type: 'text', text: '' }] },
            ],
            tools: functions(), tool_choice: 'auto', parallel_tool_calls: false,
        }),
        reply: (turn, texts) => [
            { role: 'assistant', content: turn.text, tool_calls: as_calls(turn) },
            ...turn.calls.map((call, at) => ({ role: 'tool', tool_call_id: call.id, content: texts[at] || '(tool did not return anything)' })),
        ],
        system: /You are Kilo Code/,
    },
    Cline: {
        headers: { 'user-agent': 'Cline/3.38.3', 'http-referer': 'https://cline.bot', 'x-title': 'Cline', authorization: 'Bearer client-key' },
        target: '/v1/chat/completions',
        // Tools by words in the text, as many still have it.
        request: (model) => ({
            model, temperature: 0, stream: true, stream_options: { include_usage: true }, reasoning_effort: 'medium', max_tokens: null,
            messages: [
                { role: 'system', content: 'You are Cline. Tools are used by <read_file><path>...</path></read_file>.' },
                { role: 'user', content: [{ type: 'text', text: '<task>\nHow is the weather?\n</task>' }, { type: 'text', text: '<environment_details>\n</environment_details>' }] },
            ],
        }),
        reply: (turn, texts) => [
            { role: 'assistant', content: turn.text || '(no words)' },
            { role: 'user', content: [{ type: 'text', text: `[read_file for 'x'] Result:\n${texts.join('\n')}` }] },
        ],
        system: /You are Cline/,
        no_tools: true,
    },
};

/* ask - one request of a client; what it read, and what the upstream was asked. */
async function ask(world, client, { upstream, prefix }, scenario, change = (body) => body) {
    const model = tagged(scenario);
    const body = change(client.request(prefix + model));
    const response = await exchange(world.penstock.port, 'POST', client.target, { body, headers: client.headers });
    assert.equal(response.status, 200, response.text.slice(0, 500));
    const events = events_of(response);
    const usage = body.stream_options?.include_usage === true;
    assert.deepEqual(upstream === 'chat' ? check_chat_passed(events) : check_chat(events, { include_usage: usage }), []);
    const record = world.provider.seen.find((each) => each.model === model);
    if (upstream !== 'chat') assert.deepEqual(request_problems(record.json, upstream), [], JSON.stringify(record.json));
    const turn = decode_chat_events(events);
    assert.equal(turn.usage !== null, usage, 'usage is told to those who ask');
    return { turn, json: record.json };
}

async function check_task(world, client, way, scenario) {
    const wanted = joined(make_turn(scenario, {}, {}));
    const { turn, json } = await ask(world, client, way, scenario);
    assert.match(system_in[way.upstream](json), client.system);
    assert.equal(turn.text, wanted.text);
    assert.equal(turn.thinking, wanted.thinking);
    assert.equal(turn.finish, wanted.finish === 'tools' ? 'tools' : 'stop');
    assert.deepEqual(turn.calls.map(({ name, arguments: text }) => [name, JSON.parse(text || '{}')]), wanted.calls.map((call) => [call.name, JSON.parse(call.arguments)]));
    if (!client.no_tools) assert.deepEqual(tools_in[way.upstream](json).map(([name]) => name), ['get_weather', 'get_time', 'ping_server']);

    const texts = wanted.calls.map((_, at) => `result ${at}`);
    const second = await ask(world, client, way, 'text', (body) => ({ ...body, messages: [...body.messages, ...client.reply(turn, texts)] }));
    assert.equal(second.turn.text, 'Hello, world!');
    if (client.no_tools) return;
    const calls = calls_in[way.upstream](second.json);
    assert.deepEqual(calls.map(({ name, value }) => [name, value]), wanted.calls.map((call) => [call.name, JSON.parse(call.arguments)]));
    calls.forEach(({ result }, at) => assert.ok(result.includes(texts[at]), `${result} is not ${texts[at]}`));
}

in_world('coding agents', {}, (world) => {
    for (const [name, client] of Object.entries(clients)) {
        for (const way of upstreams) {
            const scenarios = client.no_tools ? ['tricky', 'thinking'] : ['text_tool', 'parallel', 'zero', 'thinking_parallel'];
            for (const scenario of scenarios) it(`${name} with ${way.upstream}: ${scenario}`, () => check_task(world, client, way, scenario));

            it(`${name} with ${way.upstream}: a broken stream is no end`, async () => {
                const body = client.request(`${way.prefix}count,error_after=5`);
                const response = await exchange(world.penstock.port, 'POST', client.target, { body, headers: client.headers });
                const turn = decode_chat_events(events_of(response));
                assert.ok(turn.error, response.text);
                assert.equal(turn.finish, null);
            });
        }
    }

    /* Requests that were taken from the wire: head and body, just as they came. */
    for (const [file, check] of [['openclaw-chat-tool-turn.http', check_chat], ['claude-code-tool-turn.http', check_anthropic]]) {
        const place = path.join(recordings_folder, 'requests', file);
        const skip = fs.existsSync(place) ? false : `no ${place}`;
        for (const { upstream, prefix } of upstreams) {
            it(`${file} with ${upstream}`, { skip }, async () => {
                const [head, text] = fs.readFileSync(place, 'utf8').split(/\r?\n\r?\n(\{[^]*)$/);
                const [start, ...lines] = head.split(/\r?\n/);
                const own = /^(host|connection|content-length|accept-encoding|transfer-encoding)$/i;
                const headers = Object.fromEntries(lines.map((line) => /^([^:]+): *(.*)$/.exec(line).slice(1)).filter(([name]) => !own.test(name)));
                const model = tagged('thinking_parallel');
                const body = { ...JSON.parse(text), model: prefix + model };
                const response = await exchange(world.penstock.port, 'POST', start.split(' ')[1], { body, headers });
                assert.equal(response.status, 200, response.text.slice(0, 500));
                const { json } = world.provider.seen.find((each) => each.model === model);
                if (!start.includes(upstream === 'chat' ? 'chat' : upstream === 'anthropic' ? 'messages' : '-')) assert.deepEqual(request_problems(json, upstream), []);
                assert.equal(tools_in[upstream](json).length, body.tools.length, 'tools');
                if (body.stream) assert.deepEqual(check(events_of(response), { include_usage: body.stream_options?.include_usage === true }), []);
            });
        }
    }
});
