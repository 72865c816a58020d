// SPDX-License-Identifier: MIT
//
// recordings - every recorded answer of every provider, replayed through penstock to clients of all four dialects, streamed and
// whole: the grammar must be right, and text, calls with their arguments, reasoning with its signatures, sources, images,
// usage and finish must be what a plain decode of the recording gives (R4, R9, R42, R73; issue point 2).

import test, { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock, slow_build } from './lib/penstock.mjs';
import { events_of } from './lib/raw.mjs';
import { ask_raw, dialect_names, dialects, modes_of, read_raw } from './lib/dialects.mjs';
import { load_recordings, plain_decode, recording_text, recordings_folder, settle } from './lib/recordings.mjs';
import { states_of } from './lib/opaque.mjs';
import { decode_sse, longest_line } from './lib/sse.mjs';

const recordings = load_recordings();

/*
 * parsed - arguments as values, since white space is no part of what a call means. A client that knows only functions gets a
 * free-form call as one whose only argument is the text.
 */
function parsed(call, client) {
    if (call.custom) return ['anthropic', 'gemini'].includes(client) ? { name: call.name, value: { input: call.arguments } } : { name: call.name, text: call.arguments };
    try {
        return { name: call.name, value: JSON.parse(call.arguments === '' ? '{}' : call.arguments) };
    } catch {
        return { name: call.name, text: call.arguments };
    }
}

function compare_usage(got, wanted, client, entry) {
    // Gemini leaves out what is zero: nothing at all is left of a usage of nothing.
    if (!wanted || (client === 'gemini' && wanted.in_total === 0 && !got)) return;
    assert.ok(got, 'usage');
    // A provider that counts more cached tokens than input tokens cannot be told in Anthropic's form.
    const least = wanted.cache_read + wanted.cache_write;
    assert.equal(got.in_total, client === 'anthropic' ? Math.max(wanted.in_total, least) : wanted.in_total, 'input tokens');
    assert.equal(got.cache_read, wanted.cache_read, 'cached tokens');
    assert.equal(got.out_total, wanted.out_total, 'output tokens');
    assert.equal(got.reasoning, wanted.reasoning, 'reasoning tokens');
    // Gemini has no counter for writing a cache, and Chat's is an extension.
    if (['anthropic', 'responses'].includes(client)) assert.equal(got.cache_write, wanted.cache_write, 'cache write tokens');
}

function compare_calls(got, wanted, client, passed) {
    assert.deepEqual(got.calls.map((call) => parsed(call, client)), wanted.calls.map((call) => parsed(call, client)), 'calls');
    got.calls.forEach((call, at) => {
        assert.ok(passed || call.id, 'a call without id');
        if (/^[a-zA-Z0-9_-]{1,40}$/.test(wanted.calls[at].id)) assert.equal(call.id, wanted.calls[at].id, 'id of a call');
    });
    const ids = passed ? new Set(wanted.calls.map((call) => call.id)).size : got.calls.length;
    assert.equal(new Set(got.calls.map((call) => call.id)).size, ids, 'unique ids');
}

/* What stands in a source, for a client that is told of it at all. */
function compare_citations(got, wanted, client) {
    const known = ({ url, title }) => [url, title];
    assert.deepEqual(got.citations.map(known), wanted.citations.map(known), 'citations');
    // Offsets are code points in OpenAI's dialects and bytes in Gemini's; a source without any is one of the whole text.
    const length = Array.from(wanted.text).length;
    wanted.citations.forEach((citation, at) => {
        if (citation.start < 0 || !(citation.end <= length)) return;
        assert.deepEqual([got.citations[at].start, got.citations[at].end], [citation.start, citation.end], `where citation ${at} stands for ${client}`);
    });
}

function compare(got, plain, client, entry) {
    const passed = client === entry.dialect;
    const wanted = passed ? plain : settle(plain);
    assert.equal(got.thinking, wanted.thinking, 'reasoning');
    // Only OpenAI's dialects know a place of its own for the words of a refusal.
    const refusal = ['chat', 'responses'].includes(client) ? wanted.refusal : '';
    assert.equal(got.refusal, refusal, 'refusal');
    // Messages has no images in answers: a note stands for each.
    const text = client === 'anthropic' && !passed ? got.text.replace(/\[image: [^\]]*\]/g, '') : got.text;
    assert.equal(text, refusal ? wanted.text : wanted.text + wanted.refusal, 'text');
    compare_calls(got, wanted, client, passed);
    if (passed && wanted.finish === null) assert.ok([null, settle(plain).finish].includes(got.finish), `finish ${got.finish}`);
    else assert.equal(got.finish, wanted.finish, 'finish');
    compare_usage(got.usage, wanted.usage, client, entry);
    assert.deepEqual(states_of(got).sort(), states_of(wanted).sort(), 'signatures');
    // Anthropic's own sources point into documents of the request; it has no form for others', and none for images.
    if (client !== 'anthropic' || passed) {
        compare_citations(got, wanted, client);
        assert.deepEqual(got.images, wanted.images, 'images');
    }
}

/* Recordings that no client can be given as an answer: what they are told instead, and why. */
const impossible = [
    {
        why: 'a response that was put into a queue holds no answer yet, and nobody can ask for it later here: the client is told to leave `background` out',
        holds: (entry) => entry.dialect === 'responses' && entry.kind === 'json' && JSON.parse(recording_text(entry.file)).status === 'queued',
        check: (response) => assert.deepEqual([response.status, /background/.test(response.text)], [400, true]),
    },
];

async function replay(world, entry, client, mode, behaviour) {
    const name = `replay-${entry.file.replaceAll('/', '~')}`;
    world.provider.script(name, { replay: entry.file, ...behaviour });
    return ask_raw(world.penstock.port, client, dialects[entry.dialect].prefix + name, mode);
}

/* A recorded stream that itself reports an error must stay an error, by status or in the stream. */
function check_error(response, client, mode, same) {
    if (response.status !== 200) return assert.ok(response.status >= 400);
    return read_raw(response, client, mode, { same, grammar: { ends: 'error' } });
}

/* Same dialect: a stream is the provider's own, event by event, but for a [DONE] that was missing or is none of the dialect's. */
function check_unchanged(response, entry) {
    const own = (events) => events.map(({ data }) => data).filter((data) => data !== '[DONE]' && data !== '');
    const recorded = own(decode_sse(recording_text(entry.file), { last: true }).events);
    // Some recordings hold several answers, one behind the other: the first is the answer.
    const end = recorded.findIndex((data) => /^\{"type": ?"(response\.(completed|incomplete|failed)|message_stop)"/.test(data));
    assert.deepEqual(own(events_of(response)), end < 0 ? recorded : recorded.slice(0, end + 1), 'unchanged');
}

/* Asked for one object, the same dialect passes on what comes: a recorded stream is no answer to that, nor an object to the other. */
function no_answer(entry, client, mode) {
    const streams = entry.kind === 'sse' || recording_text(entry.file).startsWith('[');
    return client === entry.dialect && streams !== (mode !== 'whole');
}

async function check_way(world, entry, plain, client, mode) {
    const same = client === entry.dialect;
    const response = await replay(world, entry, client, mode);
    try {
        const other = impossible.find(({ holds }) => holds(entry));
        if (other) return other.check(response);
        if (plain.error) return check_error(response, client, mode, same);
        // Counters that are zero are left out of Gemini's replies.
        const grammar = { no_usage: !plain.usage?.in_total, choices: plain.choices > 1 };
        compare(read_raw(response, client, mode, { same, grammar }), plain, client, entry);
        // Chat has many habits that are mended (a missing role, a second finish, ids): see docs/streams.md.
        if (same && mode === 'stream' && client !== 'chat' && entry.kind === 'sse') check_unchanged(response, entry);
    } catch (error) {
        error.stack = `to ${client}, ${mode}: ${error.stack}\n${response.status} ${response.text.slice(0, 1500)}`;
        throw error;
    }
    return undefined;
}

async function check_all_ways(world, entry) {
    const plain = plain_decode(entry);
    const failures = [];
    for (const client of dialect_names) {
        for (const mode of modes_of(client)) {
            if (no_answer(entry, client, mode)) continue;
            await check_way(world, entry, plain, client, mode).catch((error) => failures.push(error));
        }
    }
    if (failures.length > 0) throw Object.assign(failures[0], { stack: failures.map((error) => error.stack).join('\n---\n') });
}

/* Events without what differs between two replies by right: ids made by the gateway, and time. */
function normal_events(response) {
    const ids = /"(id|item_id|call_id|created|created_at|completed_at|responseId)":("[^"]*"|\d+)/g;
    return events_of(response).map(({ event, data }) => [event, data.replace(ids, '"$1":0')]);
}

if (!recordings) {
    test('recordings', { skip: `no recordings at ${recordings_folder}` }, () => {});
} else {
    describe('recordings', () => {
        const world = {};
        const good = recordings.filter((entry) => entry.status === 200);
        const fine = new Map();
        before(async () => {
            world.provider = await new FakeProvider({ recordings: recordings_folder }).start();
            world.penstock = await Penstock.start(gateway_config(world.provider.url));
        });
        after(async () => {
            const all = good.reduce((map, { provider }) => map.set(provider, (map.get(provider) ?? 0) + 1), new Map());
            for (const [provider, count] of [...all].sort()) process.stdout.write(`recordings of ${provider}: ${fine.get(provider) ?? 0} of ${count}\n`);
            process.stdout.write(`recordings: ${[...fine.values()].reduce((sum, count) => sum + count, 0)} of ${good.length}\n`);
            await world.penstock?.stop();
            await world.provider.stop();
        });
        for (const entry of good) {
            it(entry.file, async () => {
                await check_all_ways(world, entry);
                fine.set(entry.provider, (fine.get(entry.provider) ?? 0) + 1);
            });
        }

        it('streams are the same in any pieces', async () => {
            // Under a sanitizer byte by byte is slow, and the same code runs for every recording.
            const streams = good.filter((entry, at) => entry.kind === 'sse' && entry.bytes < 20_000 && at % (slow_build ? 12 : 6) === 0);
            assert.ok(streams.length > 5);
            for (const [at, entry] of streams.entries()) {
                const others = dialect_names.filter((name) => name !== entry.dialect);
                const client = others[at % others.length];
                const events = async (behaviour) => normal_events(await replay(world, entry, client, 'stream', behaviour));
                const whole = await events({ piece: 10_000_000 });
                for (const behaviour of [{ split: 'random', seed: 99 }, { piece: 1, split: 'byte' }, { chunking: 'random', seed: 5 }]) {
                    assert.deepEqual(await events(behaviour), whole, `${entry.file} to ${client} ${JSON.stringify(behaviour)}`);
                }
            }
        });

        it('no line of a stream is longer than 64 KiB', async () => {
            const largest = good.filter((entry) => entry.kind === 'sse').sort((one, two) => two.bytes - one.bytes).slice(0, 8);
            for (const entry of largest) {
                // What is done repeats the whole in a Responses stream, and a call or an image is one part for Gemini (docs/streams.md).
                for (const client of ['chat', 'anthropic'].filter((name) => name !== entry.dialect)) {
                    assert.ok(longest_line((await replay(world, entry, client, 'stream')).text) < 65536, `${entry.file} to ${client}`);
                }
            }
        });
    });
}
