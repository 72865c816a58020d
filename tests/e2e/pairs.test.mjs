// SPDX-License-Identifier: MIT
//
// pairs - the table of docs/dialects.md: for each of the 16 pairs of client and upstream dialect, streamed and whole, does each
// thing that matters arrive? A cell passes, or names why it cannot exist. PENSTOCK_WRITE_DOCS=1 writes the table into the
// document; otherwise the document must say what was found (issue point 1).

import fs from 'node:fs';
import path from 'node:path';
import { after, it } from 'node:test';
import assert from 'node:assert/strict';
import { free_text, joined, make_turn, tiny_png } from '../../tools/fake_provider/turns.mjs';
import { finish_word, parsed_arguments } from './lib/expect.mjs';
import { repository } from './lib/penstock.mjs';
import { all_pairs, ask_raw, dialect_names, dialects, modes_of, read_raw } from './lib/dialects.mjs';
import { json_of } from './lib/raw.mjs';
import { states_of } from './lib/opaque.mjs';
import { request_problems } from './lib/request_rules.mjs';
import {
    add_choice, add_free_tool, add_image, add_results, add_schema, add_stop, add_system, add_tools, calls_in, choice_in, images_in, schema_in, states_in,
    stop_in, system_in, tools_in,
} from './lib/phrases.mjs';
import { tagged } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

/* ask - a question for a scenario; what the client holds then, and what the upstream was asked. */
async function ask(world, pair, mode, scenario, change) {
    const model = tagged(scenario);
    const response = await ask_raw(world.penstock.port, pair.client, pair.prefix + model, mode, { change });
    const record = world.provider.seen.find((each) => each.model === model);
    if (record && !pair.same) assert.deepEqual(request_problems(record.json, pair.upstream), [], JSON.stringify(record.json));
    return { response, record };
}

async function answer(world, pair, mode, scenario, change) {
    const { response, record } = await ask(world, pair, mode, scenario, change);
    return { turn: read_raw(response, pair.client, mode, { same: pair.same }), record, response };
}

const values_of = (calls) => calls.map((call) => [call.name, parsed_arguments(call.arguments)]);

async function check_calls(world, pair, mode, scenario) {
    const { turn, record } = await answer(world, pair, mode, scenario, add_tools[pair.client]);
    assert.deepEqual(tools_in[pair.upstream](record.json), [['get_weather', ['city']], ['ping_server', []]], 'tools');
    assert.deepEqual(values_of(turn.calls), values_of(joined(make_turn(scenario, {}, {})).calls), 'calls');
    assert.equal(turn.finish, 'tools');
}

/* A second turn: the answer that the client got goes back, with the results of its calls. */
async function second_turn(world, pair, mode, scenario, texts) {
    const { response } = await ask(world, pair, 'whole', scenario, add_tools[pair.client]);
    const first = json_of(response);
    return answer(world, pair, mode, 'text', (body) => add_results[pair.client](add_tools[pair.client](body), first, texts));
}

/* The reason of the end as the client's dialect says it. */
const word_of = {
    chat: (turn) => ({ stop: 'stop', length: 'length', tools: 'tool_calls', filter: 'content_filter' })[turn.finish],
    responses: (turn) => ({ stop: 'completed', tools: 'completed', length: 'max_output_tokens', filter: 'content_filter' })[turn.finish],
    anthropic: (turn) => turn.stop_reason,
    gemini: (turn) => ({ stop: 'STOP', tools: 'STOP', length: 'MAX_TOKENS', filter: 'SAFETY' })[turn.finish],
};

function check_finish(scenario, finish = undefined) {
    return async (world, pair, mode) => {
        const { turn } = await answer(world, pair, mode, scenario);
        const wanted = joined(make_turn(scenario, {}, {}));
        assert.equal(word_of[pair.client](turn), finish_word(finish ?? wanted.finish, pair.upstream, pair.client));
        assert.equal(turn.text + turn.refusal, wanted.text);
    };
}

/* The human words and the envelope of an error in each dialect. */
function message_of(body, client) {
    if (client === 'anthropic') assert.equal(body.type, 'error');
    if (client === 'gemini') assert.equal(typeof body.error.status, 'string');
    return body.error.message;
}

const titles = { chat: 'OpenAI Chat', responses: 'OpenAI Responses', anthropic: 'Anthropic Messages', gemini: 'Gemini' };
const stops = 'says only that the answer ended, not that a stop sequence ended it';

/*
 * The rows: run(world, pair, mode) asserts; cannot(client, upstream, mode) gives the reason why a cell cannot exist, which is
 * then not run.
 */
const features = [
    {
        name: 'text',
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'tricky');
            assert.equal(turn.text, joined(make_turn('tricky', {}, {})).text);
            assert.equal(turn.finish, 'stop');
        },
    },
    {
        name: 'system text',
        run: async (world, pair, mode) => {
            const { turn, record } = await answer(world, pair, mode, 'text', (body) => add_system[pair.client](body, 'Be "brief".\n'));
            assert.equal(system_in[pair.upstream](record.json), 'Be "brief".\n');
            assert.equal(turn.text, 'Hello, world!');
        },
    },
    { name: 'tools', run: (world, pair, mode) => check_calls(world, pair, mode, 'text_tool') },
    { name: 'parallel tools', run: (world, pair, mode) => check_calls(world, pair, mode, 'parallel') },
    { name: 'tool without arguments', run: (world, pair, mode) => check_calls(world, pair, mode, 'zero') },
    {
        name: 'tool results',
        run: async (world, pair, mode) => {
            const { record } = await second_turn(world, pair, mode, 'parallel', ['21 degrees', 'rain', '12:00']);
            assert.deepEqual(calls_in[pair.upstream](record.json), [
                { name: 'get_weather', value: { city: 'Paris' }, result: '21 degrees' },
                { name: 'get_weather', value: { city: 'Rome' }, result: 'rain' },
                { name: 'get_time', value: { zone: 'CET' }, result: '12:00' },
            ]);
        },
    },
    {
        name: 'a tool that must be called',
        run: async (world, pair, mode) => {
            const { record } = await answer(world, pair, mode, 'tool', (body) => add_choice[pair.client](add_tools[pair.client](body), 'get_weather'));
            assert.deepEqual(choice_in[pair.upstream](record.json), ['get_weather']);
        },
    },
    {
        name: 'free-form tools',
        cannot: (client) => !add_free_tool[client] && `${titles[client]} has no tools with free-form input`,
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'freeform', add_free_tool[pair.client]);
            assert.deepEqual(turn.calls.map(({ name, arguments: text, custom }) => [name, text, custom]), [['run_code', free_text, true]]);
            assert.equal(turn.finish, 'tools');
        },
    },
    {
        name: 'schema of the answer',
        run: async (world, pair, mode) => {
            const { record } = await answer(world, pair, mode, 'text', add_schema[pair.client]);
            const { properties, required } = schema_in[pair.upstream](record.json);
            assert.deepEqual([Object.keys(properties), required], [['answer'], ['answer']]);
        },
    },
    {
        name: 'stop sequences',
        cannot: (client, upstream) => [client, upstream].includes('responses') && 'Responses has no stop sequences; a client that asks for them is refused with their name',
        run: async (world, pair, mode) => {
            const { record } = await answer(world, pair, mode, 'text', (body) => add_stop[pair.client](body, ['END', '\n\n']));
            assert.ok([['END', '\n\n'], ['END']].some((texts) => JSON.stringify(texts) === JSON.stringify(stop_in[pair.upstream](record.json))), JSON.stringify(record.json));
        },
    },
    {
        name: 'images in',
        run: async (world, pair, mode) => {
            const { record } = await answer(world, pair, mode, 'text', (body) => add_image[pair.client](body, 'image/png', tiny_png));
            assert.deepEqual(images_in[pair.upstream](record.json), [['image/png', tiny_png]]);
        },
    },
    {
        name: 'thinking out',
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'thinking');
            assert.equal(turn.thinking, 'First I think, therefore');
            assert.equal(turn.text, 'The answer is 4.');
        },
    },
    {
        name: 'signature of thinking out',
        cannot: (client, upstream) => upstream === 'chat' && 'Chat has no signatures of its own',
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'thinking_tool', add_tools[pair.client]);
            assert.deepEqual(states_of(turn), ['c2lnbmF0dXJlLTI=']);
            assert.equal(turn.calls.length, 1);
        },
    },
    {
        name: 'thinking in, with its signature',
        cannot: (client, upstream) => upstream === 'chat' && 'Chat has no signatures of its own',
        run: async (world, pair, mode) => {
            const { record } = await second_turn(world, pair, mode, 'thinking_tool', ['21 degrees']);
            assert.deepEqual(states_in[pair.upstream](record.json), ['c2lnbmF0dXJlLTI=']);
            assert.equal(calls_in[pair.upstream](record.json)[0].result, '21 degrees');
        },
    },
    {
        name: 'hidden thinking out',
        cannot: (client, upstream) => (upstream === 'chat' && 'Chat has no signatures of its own') || (upstream === 'gemini' && 'Gemini hides no thoughts of its own'),
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'redacted');
            assert.deepEqual(states_of(turn), ['cmVkYWN0ZWQtMQ==']);
            assert.equal(turn.text, 'After hidden thought.');
        },
    },
    {
        name: 'sources of the answer',
        cannot: (client, upstream) => client === 'anthropic' && upstream !== 'anthropic' && 'Messages knows sources only as Claude\'s own search gives them',
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'citations');
            const wanted = joined(make_turn('citations', {}, {}));
            assert.equal(turn.text, wanted.text);
            assert.deepEqual(turn.citations.map(({ url, title }) => [url, title]), wanted.citations.map(({ url, title }) => [url, title]));
            // Claude cites a whole block; the others say from where to where.
            if (pair.upstream === 'anthropic') return;
            assert.deepEqual(turn.citations.map(({ start, end }) => [start, end]), wanted.citations.map(({ start, end }) => [start, end]));
        },
    },
    {
        name: 'images out',
        cannot: (client, upstream) => (client === 'anthropic' || upstream === 'anthropic') && 'Messages has no images in answers',
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'image');
            assert.equal(turn.text, 'Here you are.');
            assert.deepEqual(turn.images, [{ media_type: 'image/png', data: tiny_png }]);
        },
    },
    {
        name: 'usage',
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'usage');
            assert.deepEqual(turn.usage, { in_total: 120, cache_read: 64, cache_write: 0, out_total: 50, reasoning: 30 });
        },
    },
    {
        name: 'usage of writing a cache',
        cannot: (client, upstream) => ([client, upstream].includes('gemini') && 'Gemini does not count what is written to a cache')
            || (upstream === 'chat' && 'Chat counts what is written to a cache only as an extension'),
        run: async (world, pair, mode) => {
            const { turn } = await answer(world, pair, mode, 'cache_write');
            assert.deepEqual(turn.usage, { in_total: 120, cache_read: 10, cache_write: 20, out_total: 50, reasoning: 0 });
        },
    },
    { name: 'finish: natural end', run: check_finish('text') },
    { name: 'finish: length', run: check_finish('length') },
    { name: 'finish: tools', run: check_finish('tool') },
    { name: 'finish: tools, though the upstream says stop', run: check_finish('tool_stop', 'tools') },
    { name: 'finish: filtered', run: check_finish('filter') },
    { name: 'finish: the model refuses', run: check_finish('refusal') },
    {
        name: 'finish: stop sequence',
        cannot: (client, upstream) => upstream !== 'anthropic' && `${upstream === 'gemini' ? 'Gemini' : 'OpenAI'} ${stops}`,
        run: async (world, pair, mode) => {
            await check_finish('stop_sequence')(world, pair, mode);
            const { turn } = await answer(world, pair, mode, 'stop_sequence');
            if (pair.client === 'anthropic') assert.equal(turn.stop_sequence, 'END');
        },
    },
    { name: 'finish: paused', run: check_finish('pause'), cannot: (client, upstream) => upstream !== 'anthropic' && 'only Messages pauses a turn' },
    { name: 'finish: context window full', run: check_finish('window'), cannot: (client, upstream) => upstream !== 'anthropic' && 'only Messages tells a full window from a limit' },
    {
        name: 'error before the answer',
        run: async (world, pair, mode) => {
            const { response } = await ask(world, pair, mode, 'text,status=429');
            assert.equal(response.status, 429, response.text);
            assert.match(response.headers['content-type'], /^application\/json/);
            assert.ok(message_of(json_of(response), pair.client).includes('status 429 as asked'), response.text);
        },
    },
    {
        name: 'error in the middle of the answer',
        run: async (world, pair, mode) => {
            // A whole answer of the same dialect comes whole, or is cut: nothing can be said in its middle.
            const broken = mode === 'whole' && pair.same ? 'count,cut_at=100' : 'count,error_after=5';
            const { response } = await ask(world, pair, mode, broken);
            if (mode === 'whole') {
                assert.ok(response.status >= 500, `${response.status} ${response.text}`);
                assert.equal(typeof message_of(json_of(response), pair.client), 'string');
                return;
            }
            const turn = read_raw(response, pair.client, mode, { same: pair.same, grammar: { ends: 'error' } });
            assert.match(turn.error.message, /broke in the middle/);
            assert.equal(turn.finish, null);
        },
    },
];

/* ---------------------------------------------------------------- the document */

const document_path = path.join(repository, 'docs', 'dialects.md');
const begin = '<!-- pairs: made by tests/e2e/pairs.test.mjs -->';
const end = '<!-- pairs: end -->';

function table_of(results) {
    const reasons = [];
    const note = (reason) => {
        if (!reasons.includes(reason)) reasons.push(reason);
        return reasons.indexOf(reason) + 1;
    };
    const lines = [];
    for (const client of dialect_names) {
        lines.push(`### Clients of ${titles[client]}`, '', `| upstream | ${dialect_names.map((name) => titles[name]).join(' | ')} |`, `| --- |${' --- |'.repeat(dialect_names.length)}`);
        for (const { name } of features) {
            const cells = dialect_names.map((upstream) => {
                const found = results.get(`${client} ${upstream} ${name}`) ?? ['missing'];
                if (found.every((each) => each === 'yes')) return 'yes';
                const [reason] = found.filter((each) => each !== 'yes');
                return reason === 'failed' || reason === 'missing' ? `**${reason}**` : `[${note(reason)}](#why-not)`;
            });
            lines.push(`| ${name} | ${cells.join(' | ')} |`);
        }
        lines.push('');
    }
    lines.push('### Why not', '', ...reasons.map((reason, at) => `${at + 1}. ${reason[0].toUpperCase()}${reason.slice(1)}.`));
    return lines.join('\n');
}

function check_document(results) {
    const text = fs.existsSync(document_path) ? fs.readFileSync(document_path, 'utf8') : '';
    const from = text.indexOf(begin);
    const to = text.indexOf(end);
    assert.ok(from >= 0 && to > from, 'docs/dialects.md has a place for the table');
    const table = `${begin}\n\n${table_of(results)}\n\n`;
    if (process.env.PENSTOCK_WRITE_DOCS) fs.writeFileSync(document_path, text.slice(0, from) + table + text.slice(to));
    else assert.equal(text.slice(from, to), table, 'docs/dialects.md says what was found; PENSTOCK_WRITE_DOCS=1 writes it anew');
}

in_world('16 pairs', {}, (world) => {
    const results = new Map();
    let cells = 0;
    let fine = 0;
    for (const pair of all_pairs) {
        for (const feature of features) {
            const key = `${pair.client} ${pair.upstream} ${feature.name}`;
            results.set(key, []);
            for (const mode of modes_of(pair.client)) {
                const reason = feature.cannot?.(pair.client, pair.upstream, mode);
                if (reason) {
                    results.get(key).push(reason);
                    continue;
                }
                it(`${pair.name}, ${mode}: ${feature.name}`, async () => {
                    cells++;
                    results.get(key).push('failed');
                    await feature.run(world, pair, mode);
                    results.get(key).splice(results.get(key).indexOf('failed'), 1, 'yes');
                    fine++;
                });
            }
        }
    }
    after(() => process.stdout.write(`cells of the table: ${fine} of ${cells}\n`));

    it('docs/dialects.md holds the table', () => check_document(results));
});
