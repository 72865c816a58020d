// SPDX-License-Identifier: MIT
//
// helpers - what penstock.helpers does to the requests of certain models, whichever dialect the client speaks and whichever the
// upstream: instructions added, conversations shortened, tools cut down, prefixes marked (R94, R95, R116, R146, R147, R149, R150).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { text_block, tool_block } from '../../tools/fake_provider/turns.mjs';
import { all_pairs, ask_raw, modes_of, read_raw } from './lib/dialects.mjs';
import { exchange } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const kinds = ['c', 'r', 'a', 'g'];
const upstream_of = {
    c: (url) => ({ litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k' } }),
    r: (url) => ({ litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k' }, penstock: { dialect: 'openai_responses' } }),
    a: (url) => ({ litellm_params: { model: 'anthropic/text', api_base: url, api_key: 'k' } }),
    g: (url) => ({ litellm_params: { model: 'gemini/text', api_base: `${url}/v1beta`, api_key: 'k' } }),
};
const long = 'The quick brown fox jumps over the lazy dog and runs through the wide green field. ';
const mark = { type: 'ephemeral' };

const helpers = {
    prompt: { system_prompt: 'House "rules" apply.' },
    append: { system_prompt: 'House "rules" apply.', system_prompt_place: 'append' },
    suffix: { user_suffix: '/no_think' },
    elsewhere: { models: ['qwen*', 'minimax'], user_suffix: '/no_think' },
    here: { models: ['qwen*', 'te*t'], user_suffix: '/no_think' },
    short: { truncate: true, context: 2000, reserve_output_tokens: 500 },
    tight: { truncate: true, context: 256, reserve_output_tokens: 10, keep_messages: 2 },
    cache: { cache: true },
    stub: { stub_tools: 20, simple_schemas: true, sort_tools: true },
    some: { allow_tools: ['look', 'mcp__*'] },
    toolless: { allow_tools: [] },
    strict: { unsupported: 'refuse' },
    thin: { filter_system: 'aggressive' },
    tiny: { filter_system: 'extreme' },
};

function config(url) {
    const list = [];
    for (const kind of kinds) {
        for (const [name, rules] of Object.entries(helpers)) {
            const entry = upstream_of[kind](url);
            list.push({ ...entry, model_name: `${kind}-${name}`, penstock: { ...entry.penstock, helpers: rules } });
        }
        list.push({ ...upstream_of[kind](url), model_name: `${kind}-plain` });
        list.push({ ...upstream_of[kind](url), model_name: `${kind}-window`, model_info: { max_input_tokens: 2000 }, penstock: { ...upstream_of[kind](url).penstock, helpers: { truncate: true } } });
    }
    return { model_list: list };
}

/* A conversation in no dialect: [role, text], [call, id], [result, id, text]. As each dialect's client would send it. */
const clients = {
    c: (model, { system, turns, ...rest }) => ['/v1/chat/completions', {
        model, ...rest, messages: [
            ...(system ? [{ role: 'system', content: system }] : []),
            ...turns.map(([role, one, text]) => role === 'call' ? { role: 'assistant', content: null, tool_calls: [{ id: one, type: 'function', function: { name: 'look', arguments: '{}' } }] }
                : role === 'result' ? { role: 'tool', tool_call_id: one, content: text } : { role, content: one })],
    }],
    a: (model, { system, turns, ...rest }) => ['/v1/messages', {
        model, max_tokens: 100, ...rest, ...(system ? { system } : {}),
        messages: turns.map(([role, one, text]) => role === 'call' ? { role: 'assistant', content: [{ type: 'tool_use', id: one, name: 'look', input: {} }] }
            : role === 'result' ? { role: 'user', content: [{ type: 'tool_result', tool_use_id: one, content: text }] } : { role, content: one }),
    }],
    r: (model, { system, turns, ...rest }) => ['/v1/responses', {
        model, ...rest, ...(system ? { instructions: system } : {}),
        input: turns.map(([role, one, text]) => role === 'call' ? { type: 'function_call', call_id: one, name: 'look', arguments: '{}' }
            : role === 'result' ? { type: 'function_call_output', call_id: one, output: text } : { type: 'message', role, content: one }),
    }],
    g: (model, { system, turns, ...rest }) => [`/v1beta/models/${model}:generateContent`, {
        ...rest, ...(system ? { systemInstruction: { parts: [{ text: system }] } } : {}),
        contents: turns.map(([role, one, text]) => role === 'call' ? { role: 'model', parts: [{ functionCall: { name: 'look', args: {} } }] }
            : role === 'result' ? { role: 'user', parts: [{ functionResponse: { name: 'look', response: { result: text } } }] } : { role: role === 'user' ? 'user' : 'model', parts: [{ text: one }] }),
    }],
};

const texts_of = (content) => typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('|');
/* What the upstream saw, as [role, text] again; calls and results as their kind. */
const readers = {
    c: (json) => ({
        system: json.messages.filter(({ role }) => role === 'system' || role === 'developer').map(({ content }) => texts_of(content)).join('|'),
        turns: json.messages.filter(({ role }) => role !== 'system' && role !== 'developer').map((one) => one.tool_calls ? ['call'] : one.role === 'tool' ? ['result'] : [one.role, texts_of(one.content)]),
    }),
    a: (json) => ({
        system: texts_of(json.system),
        turns: json.messages.map((one) => Array.isArray(one.content) && one.content[0].type === 'tool_use' ? ['call'] : Array.isArray(one.content) && one.content[0].type === 'tool_result' ? ['result'] : [one.role, texts_of(one.content)]),
    }),
    r: (json) => {
        const items = typeof json.input === 'string' ? [{ role: 'user', content: json.input }] : json.input;
        const is_system = ({ role }) => role === 'system' || role === 'developer';
        return {
            system: [json.instructions, ...items.filter(is_system).map(({ content }) => texts_of(content))].filter(Boolean).join('|'),
            turns: items.filter((one) => !is_system(one)).map((one) => one.type === 'function_call' ? ['call'] : one.type === 'function_call_output' ? ['result'] : [one.role, texts_of(one.content)]),
        };
    },
    g: (json) => ({
        system: texts_of(json.systemInstruction?.parts),
        turns: json.contents.map(({ role, parts }) => parts[0].functionCall ? ['call'] : parts[0].functionResponse ? ['result'] : [role === 'model' ? 'assistant' : role, texts_of(parts)]),
    }),
};

in_world('helpers', config, (world) => {
    /* ask - a conversation from one dialect's client to another's upstream: { response, seen, system, turns }. */
    async function ask(client, kind, name, conversation) {
        const [path, body] = clients[client](`${kind}-${name}`, conversation);
        const response = await exchange(world.penstock.port, 'POST', path, { body });
        assert.equal(response.status, 200, response.text);
        const seen = world.provider.seen[world.provider.seen.length - 1];
        return { response, seen, ...readers[kind](seen.json) };
    }
    async function all_pairs(name, conversation, check) {
        for (const client of kinds) {
            for (const kind of kinds) await check(await ask(client, kind, name, conversation), client, kind);
        }
    }

    it('instructions are put in front of the client\'s or behind them', async () => {
        await all_pairs('prompt', { system: 'Be brief.', turns: [['user', 'hi']] }, ({ system }, client, kind) => assert.equal(system, 'House "rules" apply.\n\nBe brief.', `${client} to ${kind}`));
        await all_pairs('append', { system: 'Be brief.', turns: [['user', 'hi']] }, ({ system }, client, kind) => assert.equal(system, 'Be brief.\n\nHouse "rules" apply.', `${client} to ${kind}`));
        await all_pairs('prompt', { turns: [['user', 'hi']] }, ({ system, turns }, client, kind) => {
            assert.equal(system, 'House "rules" apply.', `${client} to ${kind}`);
            assert.deepEqual(turns, [['user', 'hi']]);
        });
    });

    it('instructions of several parts keep every part, marks included', async () => {
        const system = [{ type: 'text', text: 'One.' }, { type: 'text', text: 'Two.', cache_control: mark }];
        const { seen } = await ask('a', 'a', 'prompt', { system, turns: [['user', 'hi']] });
        assert.deepEqual(seen.json.system, [{ type: 'text', text: 'House "rules" apply.' }, ...system]);
        const appended = await ask('a', 'a', 'append', { system, turns: [['user', 'hi']] });
        assert.deepEqual(appended.seen.json.system, [...system, { type: 'text', text: 'House "rules" apply.' }]);
        const picture = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
        const chat = await ask('c', 'c', 'prompt', { turns: [['system', [{ type: 'text', text: 'One.' }, picture]], ['user', 'hi']] });
        assert.deepEqual(chat.seen.json.messages[0].content[0], { type: 'text', text: 'House "rules" apply.' });
        assert.deepEqual(chat.seen.json.messages[0].content[2].image_url, picture.image_url);
    });

    it('what no rule is about keeps its bytes in the same dialect', async () => {
        const body = '{"unknown":{"b":1.0,"a":[1e2]}, "model":"c-prompt","temperature":0.10,"messages":[{"role":"user","content":"hi"}],"seed":7}';
        await exchange(world.penstock.port, 'POST', '/v1/chat/completions', { body });
        const seen = world.provider.seen[world.provider.seen.length - 1].body.toString();
        for (const piece of ['"unknown":{"b":1.0,"a":[1e2]}', '"temperature":0.10', '"seed":7', '"model":"text"']) assert.ok(seen.includes(piece), seen);
        const plain = await ask('c', 'c', 'plain', { turns: [['user', 'hi']], seed: 7 });
        assert.deepEqual(plain.seen.json, { model: 'text', seed: 7, messages: [{ role: 'user', content: 'hi' }] });
    });

    it('text is put behind the last words of the user, for listed models only', async () => {
        const turns = [['user', 'first'], ['assistant', 'well'], ['user', 'second']];
        await all_pairs('suffix', { turns }, ({ turns: got }, client, kind) => assert.deepEqual(got, [['user', 'first'], ['assistant', 'well'], ['user', 'second /no_think']], `${client} to ${kind}`));
        await all_pairs('here', { turns }, ({ turns: got }) => assert.equal(got[2][1], 'second /no_think'));
        await all_pairs('elsewhere', { turns }, ({ turns: got }) => assert.deepEqual(got, turns));
        /* in a tool loop the user's words are further up */
        await all_pairs('suffix', { turns: [['user', 'go'], ['call', 'call_1'], ['result', 'call_1', 'ok']] }, ({ turns: got }) => assert.deepEqual(got, [['user', 'go /no_think'], ['call'], ['result']]));
        await all_pairs('suffix', { turns: [['user', 'go /no_think']] }, ({ turns: got }) => assert.deepEqual(got, [['user', 'go /no_think']]));
    });

    it('a conversation longer than the window loses its oldest messages, and the client is told', async () => {
        const turns = Array.from({ length: 40 }, (_, i) => [i % 2 ? 'assistant' : 'user', `${i}. ${long.repeat(5)}`]);
        await all_pairs('short', { system: 'Be brief.', turns }, ({ response, system, turns: got }, client, kind) => {
            const where = `${client} to ${kind}`;
            assert.equal(system, 'Be brief.', where);
            assert.equal(got[0][0], 'user', where);
            assert.deepEqual(got, turns.slice(-got.length).map(([role, text]) => [role, text]), where);
            assert.ok(got.length >= 4 && got.length < 40, `${where}: ${got.length}`);
            const told = /^messages=(\d+), tokens=(\d+)$/.exec(response.headers['x-penstock-truncated']);
            assert.equal(Number(told[1]), 40 - got.length, where);
            assert.ok(Number(told[2]) > 1000, where);
            /* the window: 2000, 500 of them for the reply; a word is about a token */
            assert.ok(got.reduce((sum, [, text]) => sum + text.split(' ').length, 0) < 1600, where);
        });
        const log = await world.penstock.log_matching?.(/conversation truncated/) ?? null;
        if (log) assert.match(String(log), /messages=/);
        const metrics = (await exchange(world.penstock.port, 'GET', '/metrics')).text;
        assert.ok(Number(/^penstock_truncated_requests_total (\d+)$/m.exec(metrics)[1]) >= 16);
    });

    it('the window comes from model_info where no helper names it', async () => {
        const turns = Array.from({ length: 60 }, (_, i) => [i % 2 ? 'assistant' : 'user', `${i}. ${long.repeat(5)}`]);
        await all_pairs('window', { turns }, ({ response, turns: got }) => {
            assert.ok(got.length < 60);
            assert.ok(response.headers['x-penstock-truncated']);
        });
    });

    it('what fits is not touched, and without the helper nothing ever is', async () => {
        const turns = Array.from({ length: 40 }, (_, i) => [i % 2 ? 'assistant' : 'user', `${i}. ${long.repeat(5)}`]);
        await all_pairs('plain', { turns }, ({ response, turns: got }) => {
            assert.equal(got.length, 40);
            assert.equal(response.headers['x-penstock-truncated'], undefined);
        });
        await all_pairs('short', { turns: turns.slice(0, 3) }, ({ response, turns: got }) => {
            assert.equal(got.length, 3);
            assert.equal(response.headers['x-penstock-truncated'], undefined);
        });
    });

    it('a call never loses its result, and the user\'s task stays in front of a long tool loop', async () => {
        const loop = Array.from({ length: 30 }, (_, i) => [['call', `call_${i}`], ['result', `call_${i}`, long.repeat(4)]]).flat();
        await all_pairs('short', { turns: [['user', 'old'], ['assistant', 'done'], ['user', 'the task'], ...loop] }, ({ turns: got }, client, kind) => {
            const where = `${client} to ${kind}`;
            assert.deepEqual(got[0], ['user', 'the task'], where);
            assert.ok(got.length < 61 && got.length > 4, where);
            got.slice(1).forEach(([role], i) => assert.equal(role, i % 2 ? 'result' : 'call', where));
            assert.equal(got[got.length - 1][0], 'result', where);
        });
    });

    const schema = { $schema: 'x', type: 'object', properties: { at: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/place' }] }, url: { type: 'string', format: 'uri' } }, $defs: { place: { type: 'string', enum: ['a', 'b'] } } };
    const plain = { type: 'object', properties: { at: { type: 'string', enum: ['a', 'b'] }, url: { type: 'string' } } };
    const names = ['zoom', 'look', 'mcp__one'];
    const tools_of = {
        c: () => names.map((name) => ({ type: 'function', function: { name, description: `${name}: ${long}`, parameters: schema } })),
        r: () => names.map((name) => ({ type: 'function', name, description: `${name}: ${long}`, parameters: schema })),
        a: () => names.map((name) => ({ name, description: `${name}: ${long}`, input_schema: schema })),
        g: () => [{ functionDeclarations: names.map((name) => ({ name, description: `${name}: ${long}`, parametersJsonSchema: schema })) }],
    };
    const tools_seen = {
        c: ({ tools }) => tools?.map(({ function: { name, description, parameters } }) => [name, description, parameters]),
        r: ({ tools }) => tools?.map(({ name, description, parameters }) => [name, description, parameters]),
        a: ({ tools }) => tools?.map(({ name, description, input_schema }) => [name, description, input_schema]),
        g: ({ tools }) => tools?.[0]?.functionDeclarations.map(({ name, description, parameters, parametersJsonSchema }) => [name, description, parametersJsonSchema ?? parameters]),
    };

    it('tools are cut down: few words, plain schemas, sorted', async () => {
        for (const client of kinds) {
            for (const kind of kinds) {
                const { seen } = await ask(client, kind, 'stub', { turns: [['user', 'hi']], tools: tools_of[client]() });
                const got = tools_seen[kind](seen.json), where = `${client} to ${kind}`;
                assert.deepEqual(got.map(([name]) => name), ['look', 'mcp__one', 'zoom'], where);
                assert.equal(got[0][1], 'look: The quick...', where);
                if (kind === 'g') assert.deepEqual(Object.keys(got[0][2].properties), ['at', 'url'], where);
                else assert.deepEqual({ ...got[0][2], additionalProperties: undefined, required: undefined }, { ...plain, additionalProperties: undefined, required: undefined }, where);
                assert.ok(!JSON.stringify(got).includes('$ref') && !JSON.stringify(got).includes('"uri"'), where);
            }
        }
    });

    it('only listed tools are passed on; an empty list is none', async () => {
        for (const client of kinds) {
            for (const kind of kinds) {
                const some = await ask(client, kind, 'some', { turns: [['user', 'hi']], tools: tools_of[client]() });
                assert.deepEqual(tools_seen[kind](some.seen.json).map(([name]) => name), ['look', 'mcp__one'], `${client} to ${kind}`);
                const none = await ask(client, kind, 'toolless', { turns: [['user', 'hi']], tools: tools_of[client]() });
                assert.deepEqual(tools_seen[kind](none.seen.json) ?? [], [], `${client} to ${kind}`);
            }
        }
        const forced = await ask('c', 'c', 'toolless', { turns: [['user', 'hi']], tools: tools_of.c(), tool_choice: 'required' });
        assert.equal(forced.seen.json.tool_choice, undefined, 'nothing is left to choose');
        const choice = (mode, ...list) => ({ type: 'allowed_tools', allowed_tools: { mode, tools: list.map((name) => ({ type: 'function', function: { name } })) } });
        for (const [given, wanted, left] of [[choice('auto', 'zoom'), 'none', ['look', 'mcp__one']], [choice('auto', 'zoom', 'look'), 'auto', ['look']], [choice('auto', 'look'), choice('auto', 'look'), ['look', 'mcp__one']]]) {
            const chosen = await ask('c', 'c', 'some', { turns: [['user', 'hi']], tools: tools_of.c(), tool_choice: given });
            assert.deepEqual(chosen.seen.json.tool_choice, wanted);
            assert.deepEqual(tools_seen.c(chosen.seen.json).map(([name]) => name), left);
        }
        const native = { type: 'web_search_20250305', name: 'web_search' };
        const hosted = await ask('a', 'a', 'some', { turns: [['user', 'hi']], tools: [native, ...tools_of.a()] });
        assert.deepEqual(hosted.seen.json.tools.map(({ name }) => name), ['look', 'mcp__one']);
        const stubbed = await ask('a', 'a', 'stub', { turns: [['user', 'hi']], tools: [native, ...tools_of.a()] });
        assert.deepEqual(stubbed.seen.json.tools.find(({ name }) => name === 'web_search'), native);
    });

    it('no tool comes back from another request', async () => {
        for (const kind of kinds) {
            await ask('c', kind, 'plain', { turns: [['user', 'hi']], tools: tools_of.c() });
            const { seen } = await ask('c', kind, 'plain', { turns: [['user', 'hi'], ['assistant', 'ho'], ['user', 'hi']] });
            assert.equal(seen.json.tools, undefined, kind);
        }
    });

    it('long instructions and tools are marked for the cache of Claude, unless the client marked something', async () => {
        const system = long.repeat(100), many = (client) => Array.from({ length: 20 }, () => tools_of[client]()).flat();
        for (const client of kinds) {
            const { seen } = await ask(client, 'a', 'cache', { system, turns: [['user', 'hi']], tools: many(client) });
            const marks = JSON.stringify(seen.json).split('"cache_control"').length - 1;
            assert.equal(marks, 2, client);
            assert.deepEqual(seen.json.system[seen.json.system.length - 1].cache_control, mark, client);
            assert.deepEqual(seen.json.tools[seen.json.tools.length - 1].cache_control, mark, client);
            const short = await ask(client, 'a', 'cache', { system: 'Be brief.', turns: [['user', 'hi']], tools: tools_of[client]() });
            assert.ok(!JSON.stringify(short.seen.json).includes('cache_control'), client);
            for (const kind of ['c', 'r', 'g']) {
                const other = await ask(client, kind, 'cache', { system, turns: [['user', 'hi']] });
                assert.ok(!JSON.stringify(other.seen.json).includes('cache_control'), `${client} to ${kind}`);
            }
        }
        const own = await ask('a', 'a', 'cache', { system: [{ type: 'text', text: system }], turns: [['user', [{ type: 'text', text: 'hi', cache_control: mark }]]], tools: many('a') });
        assert.equal(JSON.stringify(own.seen.json).split('"cache_control"').length - 1, 1);
    });

    it('the line for Anthropic\'s accounting stays in front for Claude when instructions are added', async () => {
        const line = 'x-anthropic-billing-header: cc_version=1; cch=1;';
        for (const system of [`${line}\nBe brief.`, [{ type: 'text', text: line }, { type: 'text', text: 'Be brief.' }]]) {
            const { seen } = await ask('a', 'a', 'prompt', { system, turns: [['user', 'hi']] });
            assert.equal(seen.json.system[0].text, line);
            assert.equal(seen.json.system.slice(1).map(({ text }) => text).join('\n\n'), 'House "rules" apply.\n\nBe brief.');
            assert.equal((await ask('a', 'c', 'prompt', { system, turns: [['user', 'hi']] })).system, 'House "rules" apply.\n\nBe brief.');
        }
    });

    it('long instructions are thinned out, and stay whole where something critical would go', async () => {
        const system = 'You are terse.\n# Tone\nBe kind.\n# Examples\nOne.\n# History\nLong ago. <env>';
        await all_pairs('thin', { system, turns: [['user', 'hi']] }, ({ system: got }, client, kind) => assert.equal(got, 'You are terse.\n# History\nLong ago. <env>', `${client} to ${kind}`));
        await all_pairs('tiny', { system, turns: [['user', 'hi']] }, ({ system: got }, client, kind) => assert.equal(got, system, `${client} to ${kind}`));
        await all_pairs('tiny', { system: system.replace(' <env>', ''), turns: [['user', 'hi']] }, ({ system: got }) => assert.equal(got, 'You are terse.'));
        await all_pairs('plain', { system, turns: [['user', 'hi']] }, ({ system: got }) => assert.equal(got, system));
    });

    it('what the upstream cannot be told is dropped and named, or refused where that is configured', async () => {
        const wish = { seed: 7, logit_bias: { 50256: -100 }, logprobs: true };
        const [path, body] = clients.c('a-plain', { turns: [['user', 'hi']], ...wish });
        const dropped = await exchange(world.penstock.port, 'POST', path, { body });
        assert.equal(dropped.status, 200, dropped.text);
        for (const name of Object.keys(wish)) assert.match(dropped.headers['x-penstock-dropped'], new RegExp(`\\b${name}\\b`));
        const before = world.provider.seen.length;
        const refused = await exchange(world.penstock.port, 'POST', path, { body: { ...body, model: 'a-strict' } });
        assert.equal(refused.status, 400);
        const { error } = JSON.parse(refused.text);
        for (const name of Object.keys(wish)) assert.match(error.message, new RegExp(`\\b${name}\\b`));
        assert.ok(Object.keys(wish).includes(error.param));
        assert.equal(world.provider.seen.length, before, 'nothing was asked');
        /* who takes them gets them, and what spares work alone is no loss */
        const { seen } = await ask('c', 'c', 'strict', { turns: [['user', 'hi']], ...wish, n: 1 });
        assert.deepEqual([seen.json.seed, seen.json.logit_bias, seen.json.logprobs, seen.json.n], [7, wish.logit_bias, true, 1]);
        await ask('c', 'a', 'strict', { turns: [['user', 'hi']], prompt_cache_key: 'k', metadata: { a: 'b' } });
        const { seen: gemini } = await ask('c', 'g', 'strict', { turns: [['user', 'hi']], seed: 7 });
        assert.equal(gemini.json.generationConfig.seed, 7);
    });

    it('the last messages stay although they are too long', async () => {
        const turns = [['user', 'a'], ['assistant', 'b'], ['user', long.repeat(60)], ['assistant', 'c'], ['user', long.repeat(60)]];
        await all_pairs('tight', { turns }, ({ turns: got }, client, kind) => {
            assert.deepEqual(got[got.length - 1], turns[4], `${client} to ${kind}`);
            assert.deepEqual(got[got.length - 2], turns[3]);
            assert.equal(got[0][0], 'user');
        });
    });
});

/* Calls of a model that fills in what it should leave out (R151), and of one that writes them into its text (R152). */
const cleaning = (url) => {
    const each = (kind, model, name, penstock) => {
        const entry = upstream_of[kind](url);
        return { ...entry, litellm_params: { ...entry.litellm_params, model: entry.litellm_params.model.replace('/text', `/${model}`) }, model_name: `${kind}/${name}`, penstock: { ...entry.penstock, ...penstock } };
    };
    return { model_list: kinds.flatMap((kind) => [
        each(kind, 'careless', 'cleaned', { helpers: { drop_empty_inputs: true, exclusive_inputs: [['allowed', 'blocked']] } }),
        each(kind, 'careless', 'untouched', {}),
        each(kind, 'parallel', 'fewer', { helpers: { drop_calls: ['get_weather'] } }),
        each(kind, 'parallel', 'dropped', { helpers: { drop_calls: ['get_*'] } }),
        each(kind, 'spoken', 'texts', { text_tool_calls: true }),
    ]) };
};
in_world('helpers, calls', cleaning, (world) => {
    const usage = { input: 1, cache_read: 0, cache_write: 0, output: 1, reasoning: 0 };
    const calls_of = (turn) => turn.calls.map(({ name, arguments: text }) => [name, JSON.parse(text || '{}')]);
    /* every - the plain form of the answer for each pair and way. */
    async function every(name, check) {
        for (const pair of all_pairs) {
            for (const mode of modes_of(pair.client)) {
                const response = await ask_raw(world.penstock.port, pair.client, `${pair.prefix}${name}`, mode);
                assert.equal(response.status, 200, response.text);
                await check(read_raw(response, pair.client, mode), `${pair.client} from ${pair.upstream}, ${mode}`, pair);
            }
        }
    }

    it('inputs of calls lose empty lists and what is excluded, in every dialect', async () => {
        world.provider.script('careless', { turn: { blocks: [text_block('Well.'), tool_block('call_careless', 'search', '{"query":"x","allowed":["a.com"],"blo', 'cked":["b.com"],"tags":[]}')], finish: 'tools', usage } });
        await every('cleaned', (turn, where) => {
            assert.deepEqual(calls_of(turn), [['search', { query: 'x', allowed: ['a.com'] }]], where);
            assert.equal(turn.finish, 'tools', where);
        });
        await every('untouched', (turn, where) => assert.deepEqual(calls_of(turn), [['search', { query: 'x', allowed: ['a.com'], blocked: ['b.com'], tags: [] }]], where));
    });

    it('a dropped call leaves a valid reply, and the reason of its end is true', async () => {
        await every('fewer', (turn, where) => {
            assert.deepEqual(calls_of(turn), [['get_time', { zone: 'CET' }]], where);
            assert.equal(turn.finish, 'tools', where);
        });
        await every('dropped', (turn, where) => {
            assert.deepEqual(turn.calls, [], where);
            assert.equal(turn.finish, 'stop', where);
        });
    });

    it('calls that a model writes into its text become calls, with the text around them', async () => {
        const text = 'I look.\n<tool_call>\n{"name":"look","arguments":{"at":"<sun>"}}\n</tool_call>\n<tool_call>{"name":"see","arguments":"{\\"n\\":1}"}</tool_call> Done <tool_call>not';
        for (const size of [1, 7, 1000]) {
            const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
            world.provider.script('spoken', { turn: { blocks: [text_block(...pieces)], finish: 'stop', usage } });
            await every('texts', (turn, where) => {
                assert.deepEqual(calls_of(turn), [['look', { at: '<sun>' }], ['see', { n: 1 }]], `${where}, by ${size}`);
                assert.match(turn.text, /^I look\.\s*Done <tool_call>not$/, where);
                assert.equal(turn.finish, 'tools', where);
            });
        }
    });
});

/* How much to reason: each client's words, and what every kind of upstream is told (R71, R98, R115). */
const kinds_of_effort = (url) => {
    const chat = (model_name, effort) => ({ model_name, litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k' }, penstock: { effort } });
    return {
        model_list: [
            chat('effort', 'reasoning_effort'), chat('enable', 'enable_thinking'), chat('thinking', 'thinking'), chat('none', 'none'),
            { model_name: 'responses', litellm_params: { model: 'openai/gpt-5.2', api_base: `${url}/v1`, api_key: 'k' }, penstock: { dialect: 'openai_responses', effort: 'reasoning_effort' } },
            { model_name: 'claude', litellm_params: { model: 'anthropic/claude-sonnet-4-5', api_base: url, api_key: 'k' }, model_info: { max_output_tokens: 64000 } },
            { model_name: 'gemini', litellm_params: { model: 'gemini/gemini-2.5-flash', api_base: `${url}/v1beta`, api_key: 'k' } },
            { model_name: 'budgeted', litellm_params: { model: 'gemini/gemini-2.5-flash', api_base: `${url}/v1beta`, api_key: 'k' }, penstock: { thinking_budget: 24576 } },
            { model_name: 'clamped', litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k' }, model_info: { max_output_tokens: 1000 } },
            { model_name: 'clamped-claude', litellm_params: { model: 'anthropic/text', api_base: url, api_key: 'k' }, model_info: { max_output_tokens: 1000 } },
            { model_name: 'clamped-responses', litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k' }, model_info: { max_output_tokens: 1000 }, penstock: { dialect: 'openai_responses' } },
            { model_name: 'clamped-gemini', litellm_params: { model: 'gemini/text', api_base: `${url}/v1beta`, api_key: 'k' }, model_info: { max_output_tokens: 1000 } },
            { model_name: 'portal', litellm_params: { model: 'openai/text', api_base: `${url}/v1`, api_key: 'k' }, penstock: { system_parts: true, flat_content: true } },
        ],
    };
};
in_world('helpers, effort', kinds_of_effort, (world) => {
    /* told - what the upstream saw beside the conversation; names that only exist for this are not served, which is no matter. */
    async function told(path, model, wish) {
        await exchange(world.penstock.port, 'POST', path, { body: { model, messages: [{ role: 'user', content: 'x' }], ...(path.endsWith('messages') ? { max_tokens: 60000 } : {}), ...wish } });
        return world.provider.seen[world.provider.seen.length - 1].json;
    }
    const words = ({ reasoning_effort, enable_thinking, thinking_budget, thinking, reasoning, generationConfig }) => JSON.parse(JSON.stringify(
        { reasoning_effort, enable_thinking, thinking_budget, thinking, reasoning, config: generationConfig?.thinkingConfig }));

    it('effort in every word of the Chat dialect becomes the word that the upstream takes', async () => {
        const chat = (model, wish) => told('/v1/chat/completions', model, wish).then(words);
        const efforts = { none: false, low: 1024, medium: 8192, high: true };
        for (const [effort, budget] of Object.entries(efforts)) {
            assert.deepEqual(await chat('effort', { reasoning_effort: effort }), { reasoning_effort: effort });
            const enabled = { enable_thinking: budget !== false, ...(budget > 1 ? { thinking_budget: budget } : {}) };
            assert.deepEqual(await chat('enable', { reasoning_effort: effort }), { reasoning_effort: effort, ...enabled });
            assert.deepEqual(await chat('enable', { reasoning: { effort } }), { reasoning: { effort }, ...enabled });
            assert.deepEqual((await chat('thinking', { reasoning_effort: effort })).thinking, { type: budget === false ? 'disabled' : 'enabled' });
            assert.deepEqual((await chat('thinking', enabled)).thinking, { type: budget === false ? 'disabled' : 'enabled' });
            assert.deepEqual(await chat('effort', enabled), { ...enabled, reasoning_effort: effort });
            assert.deepEqual(await chat('enable', enabled), enabled);
            assert.deepEqual(await chat('none', enabled), enabled);
            assert.deepEqual(await chat('responses', { reasoning_effort: effort }).then(({ reasoning }) => reasoning?.effort), effort);
        }
        assert.deepEqual((await chat('effort', { thinking_budget: 5000 })).reasoning_effort, 'medium');
        assert.deepEqual((await chat('effort', { thinking_budget: 50000 })).reasoning_effort, 'high');
        assert.deepEqual(await chat('effort', {}), {});
    });

    it('efforts become budgets of Claude and Gemini', async () => {
        const chat = (model, wish) => told('/v1/chat/completions', model, wish).then(words);
        for (const [effort, budget] of [['low', 1024], ['medium', 8192]]) {
            assert.deepEqual((await chat('claude', { reasoning_effort: effort, max_completion_tokens: 60000 })).thinking, { type: 'enabled', budget_tokens: budget });
            assert.equal((await chat('gemini', { reasoning_effort: effort })).config.thinkingBudget, budget);
        }
        assert.ok((await chat('claude', { reasoning_effort: 'high', max_completion_tokens: 60000 })).thinking.budget_tokens > 8192);
        assert.ok((await chat('gemini', { reasoning_effort: 'high' })).config.thinkingBudget > 8192);
        assert.notEqual((await chat('claude', { reasoning_effort: 'none' })).thinking?.type, 'enabled');
        assert.equal((await chat('gemini', { reasoning_effort: 'none' })).config.thinkingBudget, 0);
    });

    it('budgets of Messages clients become words', async () => {
        const ask = (model, wish) => told('/v1/messages', model, wish).then(words);
        const enabled = (budget_tokens) => ({ thinking: { type: 'enabled', budget_tokens } });
        for (const [budget, effort] of [[1024, 'low'], [8192, 'medium']]) {
            assert.deepEqual(await ask('effort', enabled(budget)), { reasoning_effort: effort });
            assert.deepEqual(await ask('enable', enabled(budget)), { enable_thinking: true, thinking_budget: budget });
            assert.deepEqual(await ask('thinking', enabled(budget)), { thinking: { type: 'enabled' } });
            assert.deepEqual(await ask('none', enabled(budget)), {});
            assert.equal((await ask('responses', enabled(budget))).reasoning.effort, effort);
            assert.equal((await ask('gemini', enabled(budget))).config.thinkingBudget, budget);
        }
        assert.deepEqual(await ask('effort', { thinking: { type: 'disabled' } }), { reasoning_effort: 'none' });
        assert.deepEqual(await ask('enable', { thinking: { type: 'disabled' } }), { enable_thinking: false });
    });

    it('thoughts of Gemini have a budget of their own where the configuration gives one', async () => {
        const budget = async (model, wish) => (await told('/v1/chat/completions', model, wish)).generationConfig?.thinkingConfig?.thinkingBudget;
        assert.equal(await budget('budgeted', { max_tokens: 1000 }), 800);
        assert.equal(await budget('budgeted', { max_tokens: 60000 }), 24576);
        assert.equal(await budget('budgeted', { max_tokens: 60000, reasoning_effort: 'low' }), 1024, 'the client has said it');
        assert.equal(await budget('gemini', { max_tokens: 1000 }), undefined);
    });

    it('wishes for more tokens than the model writes are clamped, on every upstream', async () => {
        for (const path of ['/v1/chat/completions', '/v1/messages']) {
            for (const [wish, most] of [[5000, 1000], [500, 500]]) {
                assert.equal((await told(path, 'clamped', { max_tokens: wish })).max_tokens, most);
                assert.equal((await told(path, 'clamped-claude', { max_tokens: wish })).max_tokens, path === '/v1/messages' ? wish : most, 'Messages to Messages is the client\'s own');
                assert.equal((await told(path, 'clamped-responses', { max_tokens: wish })).max_output_tokens, most);
                assert.equal((await told(path, 'clamped-gemini', { max_tokens: wish })).generationConfig.maxOutputTokens, most);
            }
        }
    });

    it('content is brought into the shape that one server insists on', async () => {
        const parts = [{ type: 'text', text: 'a' }, { type: 'text', text: 'b' }];
        const picture = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
        const { messages } = await told('/v1/chat/completions', 'portal', { messages: [
            { role: 'system', content: 'S' }, { role: 'system', content: 'T' }, { role: 'user', content: parts }, { role: 'assistant', content: 'ok' }, { role: 'user', content: [...parts, picture] }] });
        assert.deepEqual(messages[0].content, [{ type: 'text', text: 'S' }]);
        assert.deepEqual(messages[1].content, [{ type: 'text', text: 'T', cache_control: mark }], 'the last instructions alone are marked');
        assert.equal(typeof messages[2].content, 'string');
        assert.deepEqual(messages[4].content, [...parts, picture]);
    });
});

/* Windows that nobody configured: the server is asked, first as LM Studio, then for its list of models. */
for (const [how, provider, wanted] of [['loaded', { loaded: 1500 }, ['/api/v0/models']], ['listed', { window: 1500 }, ['/api/v0/models', '/v1/models']]]) {
    const told = (url) => ({ model_list: [{ ...upstream_of.c(url), model_name: 'c-*', litellm_params: { ...upstream_of.c(url).litellm_params, model: 'openai/*' }, penstock: { helpers: { truncate: true } } }] });
    in_world(`helpers, window ${how}`, told, (world) => {
        it(`the window comes from the server where nobody configured it: ${how}`, async () => {
            const lists = () => world.provider.seen.filter(({ method }) => method === 'GET');
            for (let i = 0; i < 200 && lists().length < wanted.length; i++) await new Promise((done) => setTimeout(done, 50));
            await new Promise((done) => setTimeout(done, 100));
            assert.deepEqual(lists().map(({ path }) => path), wanted);
            assert.equal(lists()[0].headers.authorization, 'Bearer k');
            const turns = Array.from({ length: 60 }, (_, i) => [i % 2 ? 'assistant' : 'user', `${i}. ${long.repeat(5)}`]);
            const [path, body] = clients.c('c-text', { turns });
            const response = await exchange(world.penstock.port, 'POST', path, { body });
            assert.equal(response.status, 200, response.text);
            assert.match(response.headers['x-penstock-truncated'], /^messages=\d+, tokens=\d+$/);
        });
    }, { provider });
}
