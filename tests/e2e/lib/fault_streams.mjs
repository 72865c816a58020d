// SPDX-License-Identifier: MIT
//
// fault_streams - replies whose every byte is known, and what a client may be told when one breaks off anywhere: what must have
// come for a normal end, which words an error has in each dialect, and that nothing looks finished that is not.

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { frame_events } from '../../../tools/fake_provider/provider.mjs';
import { chat_json, chat_stream } from '../../../tools/fake_provider/write_chat.mjs';
import { anthropic_json, anthropic_stream } from '../../../tools/fake_provider/write_anthropic.mjs';
import { responses_json, responses_stream } from '../../../tools/fake_provider/write_responses.mjs';
import { gemini_json, gemini_stream } from '../../../tools/fake_provider/write_gemini.mjs';
import { dialect_names, dialects } from './dialects.mjs';
import { check_gemini_chunks } from './grammar_gemini.mjs';
import { load_recordings, plain_decode, recording_text } from './recordings.mjs';
import { events_of, json_of } from './raw.mjs';
import { wire_of } from './faulty.mjs';

/*
 * Each dialect: how the fake provider writes it; the event that says why a reply ends, and the one after which nothing more is
 * needed.
 */
const written = {
    chat: { stream: chat_stream, json: chat_json, finish: /"finish_reason": ?"/ },
    responses: { stream: responses_stream, json: responses_json, finish: /"type": ?"response\.(completed|incomplete)"/ },
    anthropic: { stream: anthropic_stream, json: anthropic_json, finish: /"stop_reason": ?"/, last: /"type": ?"message_stop"/ },
    gemini: { stream: gemini_stream, json: gemini_json, finish: /"finishReason"/ },
};
const event_stream = 'text/event-stream; charset=utf-8';

/* pieces_of - the bytes of a stream, event by event, however it ends its lines. */
function pieces_of(text) {
    return text.split(/(?<=\r\n\r\n|\n\n)/).map((part) => Buffer.from(part));
}

/*
 * fixture_of - a reply of which every prefix can be judged.
 * returns {name, dialect, kind: 'sse' or 'json', wires: {chunked, length, close}, finish_at, complete_at: bytes of the body, truth}
 *         finish_at: from here a normal end is allowed; complete_at: from here it is asked for
 */
function fixture_of(name, dialect, kind, pieces, truth) {
    const type = kind === 'sse' ? event_stream : 'application/json';
    const wires = Object.fromEntries(['chunked', 'length', 'close'].map((framing) => [framing, wire_of(pieces, type, framing)]));
    const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const fixture = { name, dialect, kind, wires, total, truth, events: pieces.length, finish_at: total, complete_at: total };
    if (kind === 'json') return fixture;
    const { finish, last = finish } = written[dialect];
    const end_of = (test) => {
        const at = pieces.findIndex((piece) => test.test(piece.toString('utf8')));
        assert.ok(at >= 0, `${name}: no end`);
        return pieces.slice(0, at + 1).reduce((sum, piece) => sum + piece.length, 0);
    };
    // The data of an event may be taken before the empty line that closes it.
    return { ...fixture, finish_at: end_of(finish) - 4, complete_at: end_of(last) };
}

/* own_fixtures - a turn of the fake provider in each dialect, streamed and whole. */
export function own_fixtures(turn) {
    return dialect_names.flatMap((dialect) => {
        const { stream, json } = written[dialect];
        const asked = { model: 'm', stream_options: { include_usage: true } };
        const pieces = frame_events(stream(turn, asked), dialect === 'gemini' ? { line_end: '\r\n' } : {});
        const whole = json(turn, asked);
        const truth = dialects[dialect].read_object(whole);
        return [
            fixture_of(`own ${dialect}`, dialect, 'sse', pieces, truth),
            fixture_of(`own whole ${dialect}`, dialect, 'json', [Buffer.from(JSON.stringify(whole))], truth),
        ];
    });
}

const plain = (turn) => turn.calls.length === 0 && turn.thinking === '' && turn.signatures.length === 0 && turn.text.length > 10;
const calls = (turn) => turn.calls.length > 0 && turn.thinking === '';
const thinks = (turn) => turn.thinking.length > 10 && turn.text.length + turn.calls.length > 0;

/* recorded_fixtures - of each dialect the shortest recorded streams with plain text, calls and thoughts; null without recordings. */
export function recorded_fixtures() {
    const recordings = load_recordings();
    if (!recordings) return null;
    const fixtures = [];
    for (const dialect of dialect_names) {
        const read = [];
        for (const entry of recordings.filter((each) => each.dialect === dialect && each.kind === 'sse' && each.status === 200)) {
            const text = recording_text(entry.file);
            if (text.length > 40_000) continue;
            const { finish, last = finish } = written[dialect];
            const pieces = pieces_of(text);
            // One end, and all of the answer in front of it: then its place can be told without knowing the provider.
            const ends = pieces.filter((piece) => finish.test(piece.toString('utf8'))).length;
            if (ends !== 1 || !last.test(text)) continue;
            const truth = plain_decode(entry);
            if (truth.error || truth.finish === null || truth.native.length > 0 || truth.choices > 1) continue;
            read.push({ entry, pieces, truth, size: text.length });
        }
        read.sort((one, other) => one.size - other.size);
        for (const [what, test] of [['text', plain], ['call', calls], ['thoughts', thinks]]) {
            const found = read.find(({ truth }) => test(truth));
            if (found) fixtures.push(fixture_of(`recorded ${dialect}, ${what}`, dialect, 'sse', found.pieces, found.truth));
        }
    }
    return fixtures;
}

/* How an error is named in each dialect; the body of an Anthropic error has no place for a code. */
const code_in = {
    chat: (error) => error.code,
    responses: (error) => error.code,
    anthropic: (error) => error.code,
    gemini: (error) => error.details?.find(({ reason }) => reason)?.reason,
};
const type_for = {
    anthropic: { 502: 'api_error', 503: 'overloaded_error', 504: 'timeout_error', 529: 'overloaded_error' },
    gemini: { 502: 'INTERNAL', 503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED', 529: 'UNAVAILABLE' },
};

function type_of(client, error) {
    return client === 'gemini' ? error.status : error.type;
}

/* refusal_of - what a response with an error status says: {status, code, type, message}. It must be its dialect's envelope. */
export function refusal_of(response, client) {
    const said = `${client}: ${response.status} ${response.text.slice(0, 500)}`;
    assert.match(response.headers['content-type'] ?? '', /^application\/json/, said);
    const body = json_of(response);
    assert.equal(typeof body.error?.message, 'string', said);
    if (client === 'anthropic') assert.equal(body.type, 'error', said);
    if (client === 'gemini') assert.equal(body.error.code, response.status, said);
    const type = type_of(client, body.error);
    const wanted = type_for[client]?.[response.status];
    if (wanted) assert.equal(type, wanted, said);
    return { status: response.status, code: client === 'anthropic' ? undefined : code_in[client](body.error), type, message: body.error.message };
}

/* broken_of - the error inside a stream: {code, type, message}; null when there is none. */
export function broken_of(events, client) {
    for (const { event, data } of events) {
        if (data === '[DONE]') continue;
        const body = JSON.parse(data);
        const error = client === 'responses' ? (event === 'error' ? body : null) : body.error;
        if (error) return { code: code_in[client](error), type: type_of(client, error), message: error.message };
    }
    return null;
}

const parsed = (text) => (text === '' ? {} : JSON.parse(text));

/* Calls that a client would run: those that were declared whole in a stream that failed. */
const finished_in = {
    chat: (bodies) => (bodies.some((body) => body.choices?.some((choice) => choice.finish_reason)) ? [{ name: 'any', input: 'finished' }] : []),
    anthropic: (bodies) => {
        const blocks = new Map();
        const finished = [];
        for (const { type, index, content_block, delta } of bodies) {
            if (type === 'content_block_start' && content_block.type === 'tool_use') blocks.set(index, { name: content_block.name, json: '' });
            if (type === 'content_block_delta' && delta.type === 'input_json_delta') blocks.get(index).json += delta.partial_json;
            if (type === 'content_block_stop' && blocks.has(index)) finished.push({ name: blocks.get(index).name, input: parsed(blocks.get(index).json) });
        }
        return finished;
    },
    responses: (bodies) => {
        const finished = [];
        for (const { type, item, response } of bodies) {
            const items = type === 'response.output_item.done' ? [item] : type === 'response.failed' ? response.output : [];
            const done = items.filter((each) => each.type === 'function_call' && each.status !== 'incomplete');
            // The response repeats what was done.
            if (type === 'response.failed') assert.ok(done.length <= finished.length, 'a call is finished only in the failed response');
            else finished.push(...done.map((each) => ({ name: each.name, input: parsed(each.arguments) })));
        }
        return finished;
    },
    gemini: (bodies) => bodies.flatMap((body) => body.candidates ?? []).flatMap((candidate) => candidate.content?.parts ?? [])
        .filter((part) => part.functionCall && !part.functionCall.willContinue && !part.functionCall.partialArgs).map(({ functionCall }) => ({ name: functionCall.name, input: functionCall.args ?? {} })),
};

/* check_unfinished - what a failed stream told is a beginning of the truth, and no call in it looks whole that is not. */
function check_unfinished(events, client, truth, at) {
    const bodies = events.filter(({ data }) => data !== '[DONE]').map(({ data }) => JSON.parse(data));
    const finished = finished_in[client](bodies);
    const wanted = truth.calls.map((call) => ({ name: call.name, input: parsed(call.arguments) }));
    assert.ok(isDeepStrictEqual(finished, wanted.slice(0, finished.length)), `${at}: calls look finished: ${JSON.stringify(finished)}`);
    const told = dialects[client].read_events(events.filter(({ data }) => data === '[DONE]' || !JSON.parse(data).error));
    assert.ok(truth.text.startsWith(told.text), `${at}: text that was never said: ${JSON.stringify(told.text)}`);
    assert.ok(truth.thinking.startsWith(told.thinking), `${at}: thoughts that were never thought: ${JSON.stringify(told.thinking)}`);
}

/*
 * check_failure - a response that must be a failure: with a status or inside its stream, named as given.
 * wanted   {codes: which of, status: the one before the stream began}
 * returns  'status' or 'stream'
 */
export function check_failure(response, client, mode, wanted, { at = '', same = false, truth } = {}) {
    const said = `${at} ${client} ${mode}: ${response.status} ${response.text.slice(-700)}`;
    if (response.status === 200 && mode === 'array') {
        assert.equal(response.whole, true, said);
        const chunks = json_of(response);
        assert.deepEqual(same ? [] : check_gemini_chunks(chunks, { ends: 'error' }), [], said);
        const events = chunks.map((chunk) => ({ event: 'message', data: JSON.stringify(chunk) }));
        assert.ok(wanted.codes.includes(broken_of(events, client)?.code), said);
        if (truth) check_unfinished(events, client, truth, said);
        return 'stream';
    }
    if (response.status !== 200 || mode !== 'stream') {
        assert.equal(response.status, wanted.status, said);
        const { code } = refusal_of(response, client);
        if (code !== undefined) assert.ok(wanted.codes.includes(code), said);
        return 'status';
    }
    assert.equal(response.whole, true, said);
    const events = events_of(response);
    assert.deepEqual((same ? dialects[client].passed : dialects[client].stream)(events, { ends: 'error' }), [], said);
    const { code } = broken_of(events, client);
    assert.ok(wanted.codes.includes(code), `${code}; ${said}`);
    if (truth) check_unfinished(events, client, truth, said);
    return 'stream';
}

/* check_end - a response that ended normally: well-formed, and all that was said, when all of it had come. */
function check_end(response, client, mode, fixture, delivered, at) {
    const { passed, stream, read_events, read_object, whole } = dialects[client];
    const same = client === fixture.dialect;
    const said = `${at}: ${response.text.slice(-600)}`;
    let told;
    if (mode === 'stream') {
        assert.equal(response.whole, true, said);
        const events = events_of(response);
        // Usage may have been in what did not come.
        const counted = delivered === fixture.total || events.some(({ data }) => /"choices":\[\],"usage":\{/.test(data));
        assert.deepEqual((same ? passed : stream)(events, { no_usage: true, include_usage: counted }), [], said);
        told = read_events(events);
    } else if (mode === 'array') {
        assert.equal(response.whole, true, said);
        const chunks = json_of(response);
        assert.deepEqual(same ? [] : check_gemini_chunks(chunks, { no_usage: true }), [], said);
        told = read_object(chunks);
    } else {
        const body = json_of(response);
        if (!same) assert.deepEqual(whole(body, { no_usage: true }), [], said);
        told = read_object(body);
    }
    assert.equal(told.error, null, said);
    assert.equal(told.text, fixture.truth.text, said);
    assert.equal(told.calls.length, fixture.truth.calls.length, said);
    if (delivered === fixture.total) {
        assert.deepEqual(told.calls.map((call) => parsed(call.arguments)), fixture.truth.calls.map((call) => parsed(call.arguments)), said);
    }
}

/*
 * judge - hold one response against what the gateway can have known; what it was: 'status', 'stream' (an error in it) or 'end'.
 * job  {fixture, framing, fault: 'cut', 'reset' or 'stall', offset, client, mode}
 */
export function judge(response, job) {
    const { fixture, framing, fault, offset, client, mode } = job;
    const wire = fixture.wires[framing];
    const delivered = wire.delivered(offset);
    const at = `${fixture.name}, ${framing}, ${fault} at ${offset} of ${wire.bytes.length}`;
    const whole_message = framing === 'close' ? fault === 'cut' && delivered === fixture.total : offset === wire.bytes.length;
    const may_end = fixture.kind === 'sse' ? delivered >= fixture.finish_at && offset >= wire.head : whole_message || (fault === 'stall' && offset === wire.bytes.length && framing !== 'close');
    const must_end = fixture.kind === 'sse' ? delivered >= fixture.complete_at && fault !== 'reset' : whole_message;
    const broken = response.status === 200 && mode !== 'whole' && broken_of(mode === 'array' ? json_of(response).map((chunk) => ({ data: JSON.stringify(chunk) })) : events_of(response), client);
    const ended = response.status === 200 && !broken;
    if (ended) {
        assert.ok(may_end, `${at}, ${client} ${mode}: a normal end: ${response.text.slice(-400)}`);
        check_end(response, client, mode, fixture, delivered, `${at}, ${client} ${mode}`);
        return 'end';
    }
    assert.ok(!must_end, `${at}, ${client} ${mode}: a failure although all had come: ${response.status} ${response.text.slice(-400)}`);
    const silent = offset < wire.head ? 'upstream_timeout' : 'upstream_idle_timeout';
    const wanted = fault === 'stall' ? { codes: [silent], status: 504 } : { codes: ['upstream_disconnected'], status: 502 };
    // Where a connection's end is the end of the body, half an object may as well be nonsense.
    if (fixture.kind === 'json' && framing === 'close') wanted.codes.push('upstream_protocol');
    return check_failure(response, client, mode, wanted, { at, same: client === fixture.dialect, truth: fixture.truth });
}
