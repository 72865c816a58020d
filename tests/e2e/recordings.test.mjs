// SPDX-License-Identifier: MIT
//
// recordings - every recorded answer of the chat and anthropic dialects, replayed through penstock to both
// kinds of client, streamed and whole: the grammar must be right and text, calls, reasoning, usage and
// finish must be what a plain decode of the recording gives (R4, R9, R42, R73 and issue point 3).

import test, { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock, slow_build } from './lib/penstock.mjs';
import { exchange, events_of, json_of } from './lib/raw.mjs';
import { load_recordings, plain_decode, recordings_folder, settle } from './lib/recordings.mjs';
import { check_chat, check_chat_passed } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { decode_chat_events, decode_chat_object } from './lib/decode_chat.mjs';
import { decode_anthropic_events, decode_anthropic_object } from './lib/decode_anthropic.mjs';
import { longest_line } from './lib/sse.mjs';

const recordings = load_recordings();
const paths = { chat: '/v1/chat/completions', anthropic: '/v1/messages' };
const prefixes = { chat: 'c/', anthropic: 'a/' };

/* parsed - arguments as values, since white space is no part of what a call means. */
function parsed(call) {
    try {
        return { name: call.name, value: JSON.parse(call.arguments === '' ? '{}' : call.arguments) };
    } catch {
        return { name: call.name, text: call.arguments };
    }
}

function compare_usage(got, wanted, client, entry) {
    if (!wanted) return;
    assert.ok(got, 'usage');
    // A provider that counts more cached tokens than input tokens cannot be told in Anthropic's form.
    const least = wanted.cache_read + wanted.cache_write;
    const in_total = client === 'anthropic' ? Math.max(wanted.in_total, least) : wanted.in_total;
    assert.equal(got.in_total, in_total, 'input tokens');
    assert.equal(got.cache_read, wanted.cache_read, 'cached tokens');
    assert.equal(got.out_total, wanted.out_total, 'output tokens');
    if (client === 'chat') assert.equal(got.reasoning, wanted.reasoning, 'reasoning tokens');
    if (client === 'anthropic' && entry.dialect === 'anthropic') assert.equal(got.cache_write, wanted.cache_write, 'cache write tokens');
}

function compare(got, plain, client, entry) {
    const passed = client === entry.dialect;
    const wanted = passed ? plain : settle(plain);
    assert.equal(got.thinking, wanted.thinking, 'reasoning');
    // Only chat knows a field of its own for the words of a refusal.
    const refusal = client === 'chat' && entry.dialect === 'chat' ? wanted.refusal : '';
    assert.equal(got.refusal, refusal, 'refusal');
    assert.equal(got.text, refusal ? wanted.text : wanted.text + wanted.refusal, 'text');
    assert.deepEqual(got.calls.map(parsed), wanted.calls.map(parsed), 'calls');
    got.calls.forEach((call, at) => {
        assert.ok(passed || call.id, 'a call without id');
        if (/^[a-zA-Z0-9_-]{1,64}$/.test(wanted.calls[at].id)) assert.equal(call.id, wanted.calls[at].id, 'id of a call');
    });
    assert.equal(new Set(got.calls.map((call) => call.id)).size, passed ? new Set(wanted.calls.map((call) => call.id)).size : got.calls.length, 'unique ids');
    if (passed && wanted.finish === null) assert.ok([null, settle(plain).finish].includes(got.finish), `finish ${got.finish}`);
    else assert.equal(got.finish, wanted.finish, 'finish');
    compare_usage(got.usage, wanted.usage, client, entry);
}

/* A recorded stream that itself reports an error must stay an error, by status or in the stream. */
function check_error(response, client, passed) {
    if (response.status !== 200) return assert.ok(response.status >= 400);
    const options = { ends: 'error' };
    if (client === 'anthropic') return assert.deepEqual(check_anthropic(events_of(response), options), []);
    return assert.deepEqual((passed ? check_chat_passed : check_chat)(events_of(response), options), []);
}

function check_stream(response, plain, client, entry) {
    assert.equal(response.status, 200, response.text.slice(0, 300));
    assert.match(response.headers['content-type'], /^text\/event-stream/);
    const events = events_of(response);
    const passed = client === entry.dialect;
    if (client === 'anthropic') {
        assert.deepEqual(check_anthropic(events, { translated: !passed }), []);
        return compare(decode_anthropic_events(events), plain, client, entry);
    }
    assert.deepEqual(passed ? check_chat_passed(events) : check_chat(events, { include_usage: true }), []);
    return compare(decode_chat_events(events), plain, client, entry);
}

function check_whole(response, plain, client, entry) {
    assert.equal(response.status, 200, response.text.slice(0, 300));
    assert.match(response.headers['content-type'], /^application\/json/);
    const body = json_of(response);
    if (client === 'anthropic') {
        assert.equal(body.type, 'message');
        assert.ok(typeof body.stop_reason === 'string');
        return compare(decode_anthropic_object(body), plain, client, entry);
    }
    assert.equal(body.object, 'chat.completion');
    if (client !== entry.dialect) assert.equal(body.choices[0].message.role, 'assistant');
    return compare(decode_chat_object(body), plain, client, entry);
}

async function replay(world, entry, client, stream, behaviour) {
    const name = `replay-${entry.file}`;
    world.provider.script(name, { replay: entry.file, ...behaviour });
    const body = { model: prefixes[entry.dialect] + name, stream, max_tokens: 64, messages: [{ role: 'user', content: 'Go on.' }] };
    if (client === 'chat' && stream) body.stream_options = { include_usage: true };
    return exchange(world.penstock.port, 'POST', paths[client], { body });
}

/* What an Anthropic client cannot be given: it has no tools whose input is free text. */
function is_free_text_call(entry) {
    return entry.exercises.includes('customtool');
}

async function check_all_ways(world, entry) {
    const plain = plain_decode(entry);
    for (const client of ['chat', 'anthropic']) {
        for (const stream of [true, false]) {
            // Asked for one object, the same dialect passes on what comes; a recorded stream is no answer to that.
            if (!stream && entry.kind === 'sse' && client === entry.dialect) continue;
            if (stream && entry.kind === 'json' && client === entry.dialect) continue;
            if (client === 'anthropic' && is_free_text_call(entry)) continue;
            const response = await replay(world, entry, client, stream);
            try {
                if (plain.error) check_error(response, client, client === entry.dialect);
                else if (stream) check_stream(response, plain, client, entry);
                else check_whole(response, plain, client, entry);
            } catch (error) {
                error.stack = `to ${client}, ${stream ? 'stream' : 'whole'}: ${error.stack}\n${response.status} ${response.text.slice(0, 1500)}`;
                throw error;
            }
        }
    }
}

if (!recordings) {
    test('recordings', { skip: `no recordings at ${recordings_folder}` }, () => {});
} else {
    describe('recordings', () => {
        const world = {};
        const good = recordings.filter((entry) => entry.status === 200);
        let fine = 0;
        before(async () => {
            world.provider = await new FakeProvider({ recordings: recordings_folder }).start();
            world.penstock = await Penstock.start(gateway_config(world.provider.url));
        });
        after(async () => {
            process.stdout.write(`recordings: ${fine} of ${good.length}\n`);
            await world.penstock?.stop();
            await world.provider.stop();
        });
        for (const entry of good) {
            it(entry.file, async () => {
                await check_all_ways(world, entry);
                fine++;
            });
        }

        it('streams are the same in any pieces', async () => {
            // Under a sanitizer byte by byte is slow, and the same code runs for every recording.
            const streams = good.filter((entry, at) => entry.kind === 'sse' && entry.bytes < 40_000 && at % (slow_build ? 10 : 3) === 0);
            assert.ok(streams.length > 5);
            for (const entry of streams) {
                const other = entry.dialect === 'chat' ? 'anthropic' : 'chat';
                const events = async (behaviour) => normal_events(await replay(world, entry, other, true, behaviour));
                const whole = await events({ piece: 10_000_000 });
                for (const behaviour of [{ split: 'random', seed: 99 }, { piece: 1, split: 'byte' }, { chunking: 'random', seed: 5 }]) {
                    assert.deepEqual(await events(behaviour), whole, `${entry.file} ${JSON.stringify(behaviour)}`);
                }
            }
        });

        it('no line of a stream is longer than 64 KiB', async () => {
            const largest = good.filter((entry) => entry.kind === 'sse').sort((one, two) => two.bytes - one.bytes).slice(0, 5);
            for (const entry of largest) {
                const other = entry.dialect === 'chat' ? 'anthropic' : 'chat';
                assert.ok(longest_line((await replay(world, entry, other, true)).text) < 65536, entry.file);
            }
        });
    });
}

/* Events without what differs between two replies by right: ids made by the gateway, and time. */
function normal_events(response) {
    return events_of(response).map(({ event, data }) => [event, data.replace(/"(id|created)":("chatcmpl-[^"]*"|"msg_[^"]*"|\d+)/g, '"$1":0')]);
}
