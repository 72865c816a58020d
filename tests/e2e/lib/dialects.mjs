// SPDX-License-Identifier: MIT
//
// dialects - the four dialects as a client meets them: how to ask, what a stream must look like, how to read it. And the 16
// pairs of them.

import assert from 'node:assert/strict';
import { patience } from './penstock.mjs';
import { exchange, events_of, json_of } from './raw.mjs';
import { check_chat, check_chat_passed } from './grammar_chat.mjs';
import { check_anthropic } from './grammar_anthropic.mjs';
import { check_response_object, check_responses, check_responses_passed } from './grammar_responses.mjs';
import { check_gemini, check_gemini_chunks, check_gemini_passed } from './grammar_gemini.mjs';
import { decode_chat_events, decode_chat_object } from './decode_chat.mjs';
import { decode_anthropic_events, decode_anthropic_object } from './decode_anthropic.mjs';
import { decode_responses_events, decode_responses_object } from './decode_responses.mjs';
import { decode_gemini_chunks, decode_gemini_events, decode_gemini_object } from './decode_gemini.mjs';

function check_chat_object(body) {
    const problems = [];
    if (body.object !== 'chat.completion') problems.push(`object is ${body.object}`);
    if (body.choices?.[0]?.message?.role !== 'assistant') problems.push('no message of the assistant');
    if (typeof body.choices?.[0]?.finish_reason !== 'string') problems.push('no finish_reason');
    return problems;
}

function check_anthropic_object(body) {
    const problems = [];
    if (body.type !== 'message' || body.role !== 'assistant') problems.push(`type ${body.type}, role ${body.role}`);
    if (typeof body.stop_reason !== 'string') problems.push('no stop_reason');
    if (!Number.isInteger(body.usage?.input_tokens) || !Number.isInteger(body.usage?.output_tokens)) problems.push('no usage');
    return problems;
}

function gemini_target(model, stream) {
    const name = encodeURIComponent(model);
    return `/v1beta/models/${name}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
}

/*
 * Each dialect: ask(model, stream) the request; stream and whole: problems of what was made, passed: of what was passed on;
 * read_events, read_object: the plain form.
 */
export const dialects = {
    chat: {
        prefix: 'c/',
        ask: (model, stream) => ({
            target: '/v1/chat/completions',
            body: { model, stream, max_tokens: 64, messages: [{ role: 'user', content: 'Go on.' }], ...(stream ? { stream_options: { include_usage: true } } : {}) },
        }),
        stream: (events, options) => check_chat(events, { include_usage: true, ...options }),
        passed: check_chat_passed,
        whole: check_chat_object,
        read_events: decode_chat_events,
        read_object: decode_chat_object,
    },
    responses: {
        prefix: 'r/',
        ask: (model, stream) => ({ target: '/v1/responses', body: { model, stream, max_output_tokens: 64, input: 'Go on.', include: ['reasoning.encrypted_content'] } }),
        stream: check_responses,
        passed: check_responses_passed,
        whole: (body) => check_response_object(body, true),
        read_events: decode_responses_events,
        read_object: decode_responses_object,
    },
    anthropic: {
        prefix: 'a/',
        ask: (model, stream) => ({ target: '/v1/messages', body: { model, stream, max_tokens: 64, messages: [{ role: 'user', content: 'Go on.' }] } }),
        stream: (events, options) => check_anthropic(events, { translated: true, ...options }),
        passed: check_anthropic,
        whole: check_anthropic_object,
        read_events: decode_anthropic_events,
        read_object: decode_anthropic_object,
    },
    gemini: {
        prefix: 'g/',
        ask: (model, stream) => ({
            target: gemini_target(model, stream),
            body: { contents: [{ role: 'user', parts: [{ text: 'Go on.' }] }], generationConfig: { maxOutputTokens: 64, thinkingConfig: { includeThoughts: true } } },
        }),
        stream: check_gemini,
        passed: check_gemini_passed,
        whole: (body, options) => check_gemini_chunks([body], options),
        read_events: decode_gemini_events,
        read_object: decode_gemini_object,
    },
};
export const dialect_names = Object.keys(dialects);

export const all_pairs = dialect_names.flatMap((client) => dialect_names.map((upstream) => ({
    client, upstream, name: `${upstream} to ${client}`, prefix: dialects[upstream].prefix, same: client === upstream,
})));

/*
 * ask_raw - put a question and take the whole answer.
 * mode     'stream', 'whole', or 'array': a Gemini stream as one JSON array
 * options  change(body): what else to ask; headers
 */
export function ask_raw(port, client, model, mode, options = {}) {
    const { target, body } = dialects[client].ask(model, mode !== 'whole');
    const changed = options.change?.(body) ?? body;
    const request = { body: changed, headers: options.headers };
    return exchange(port, 'POST', mode === 'array' ? target.replace('?alt=sse', '') : target, request, { timeout_ms: 30_000 * patience });
}

/*
 * read_raw - hold an answer of ask_raw against its dialect's grammar, and read it.
 * options  same: it was passed on, not made; grammar: options of the check, such as ends: 'error'
 */
export function read_raw(response, client, mode, options = {}) {
    const dialect = dialects[client];
    assert.equal(response.status, 200, response.text.slice(0, 400));
    if (mode === 'stream') {
        assert.match(response.headers['content-type'], /^text\/event-stream/);
        const events = events_of(response);
        assert.deepEqual((options.same ? dialect.passed : dialect.stream)(events, options.grammar), []);
        return dialect.read_events(events);
    }
    assert.match(response.headers['content-type'], /^application\/json/);
    const body = json_of(response);
    if (mode === 'array') {
        assert.ok(Array.isArray(body), 'an array');
        if (!options.same) assert.deepEqual(check_gemini_chunks(body, options.grammar), []);
        return decode_gemini_chunks(body);
    }
    if (!options.same) assert.deepEqual(dialect.whole(body, options.grammar), []);
    return dialect.read_object(body);
}

/* modes_of - how a client of a dialect can ask. */
export function modes_of(client) {
    return client === 'gemini' ? ['stream', 'array', 'whole'] : ['stream', 'whole'];
}
