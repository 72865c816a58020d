// SPDX-License-Identifier: MIT
//
// decode_gemini - read what Gemini said, as server-sent events, as a JSON array or whole, into the plain form that
// decode_chat.mjs describes (wire-formats 5.2, 12). A whole answer is a stream of one chunk.

import { decode_sse } from './sse.mjs';
import { empty_turn } from './decode_chat.mjs';

const words = ['', 'STOP', 'MAX_TOKENS', 'SAFETY', 'RECITATION', 'OTHER'];
const finish_words = { STOP: 'stop', MAX_TOKENS: 'length', OTHER: 'stop', LANGUAGE: 'stop' };
const broken_words = ['MALFORMED_FUNCTION_CALL', 'UNEXPECTED_TOOL_CALL', 'TOO_MANY_TOOL_CALLS', 'MISSING_THOUGHT_SIGNATURE'];

/* put_value - a value at a path such as $.a.b[0]; a text that is there already goes on. */
function put_value(args, json_path, value) {
    const steps = json_path.replace(/^\$\.?/, '').split(/\.|\[/).filter(Boolean).map((step) => (step.endsWith(']') ? Number(step.slice(0, -1)) : step));
    const last = steps.pop();
    let place = args;
    steps.forEach((step, at) => {
        place[step] ??= typeof (steps[at + 1] ?? last) === 'number' ? [] : {};
        place = place[step];
    });
    place[last] = typeof value === 'string' && typeof place[last] === 'string' ? place[last] + value : value;
}

/* take_call - a call comes whole, or (Vertex) begun by its name, told value by value, and ended by an empty one. */
function take_call(turn, { id, name, args, partialArgs = [], willContinue }) {
    if (name && (willContinue || partialArgs.length > 0)) turn.building = { id: id ?? '', name, args: args ?? {} };
    else if (name) return void turn.calls.push({ id: id ?? '', name, arguments: JSON.stringify(args ?? {}) });
    if (!turn.building) return;
    for (const { jsonPath, stringValue, numberValue, boolValue } of partialArgs) put_value(turn.building.args, jsonPath, stringValue ?? numberValue ?? boolValue ?? null);
    if (willContinue) return;
    turn.calls.push({ ...turn.building, arguments: JSON.stringify(turn.building.args) });
    turn.building = null;
}

function take_part(turn, part) {
    if (typeof part.text === 'string' && part.thought) turn.thinking += part.text;
    else if (typeof part.text === 'string') turn.text += part.text;
    else if (part.functionCall) take_call(turn, part.functionCall);
    else if (part.inlineData && !part.thought) turn.images.push({ media_type: part.inlineData.mimeType, data: part.inlineData.data });
    else if (Object.keys(part).some((key) => key !== 'thoughtSignature')) {
        // What only Gemini knows keeps its signature for itself.
        turn.native.push(...Object.keys(part));
        return;
    }
    if (part.thoughtSignature) turn.signatures.push(part.thoughtSignature);
}

/* Where in the text a number of UTF-8 bytes leads, in code points. */
function points_at(text, bytes) {
    return Array.from(Buffer.from(text, 'utf8').subarray(0, bytes).toString('utf8')).length;
}

function take_grounding(turn, grounding) {
    const chunks = (grounding.groundingChunks ?? []).map(({ web }) => web);
    const cited = new Set();
    for (const { segment = {}, groundingChunkIndices = [] } of grounding.groundingSupports ?? []) {
        for (const at of groundingChunkIndices) {
            if (!chunks[at]) continue;
            cited.add(at);
            turn.citations.push({
                url: chunks[at].uri, title: chunks[at].title ?? '',
                start: points_at(turn.text, segment.startIndex ?? 0), end: points_at(turn.text, segment.endIndex ?? 0),
            });
        }
    }
    chunks.forEach((web, at) => { if (web && !cited.has(at)) turn.citations.push({ url: web.uri, title: web.title ?? '', start: -1, end: -1 }); });
}

export function gemini_usage_of(usage) {
    if (!usage || usage.promptTokenCount === undefined) return null;
    const count = (name) => Number(usage[name] ?? 0);
    return {
        in_total: count('promptTokenCount') + count('toolUsePromptTokenCount'),
        cache_read: count('cachedContentTokenCount'),
        cache_write: 0,
        out_total: count('candidatesTokenCount') + count('thoughtsTokenCount'),
        reasoning: count('thoughtsTokenCount'),
    };
}

export function decode_gemini_chunks(chunks) {
    const turn = empty_turn();
    let usage = null;
    let reason = null;
    let grounding = null;
    for (const chunk of chunks) {
        if (chunk.error) turn.error = chunk.error;
        if (chunk.usageMetadata) usage = { ...usage, ...chunk.usageMetadata };
        if (chunk.promptFeedback?.blockReason) reason = 'SAFETY';
        for (const candidate of chunk.candidates ?? []) {
            if ((candidate.index ?? 0) > 0) {
                turn.choices = Math.max(turn.choices, candidate.index + 1);
                continue;
            }
            for (const part of candidate.content?.parts ?? []) take_part(turn, part);
            if (candidate.finishReason) reason = typeof candidate.finishReason === 'number' ? words[candidate.finishReason] ?? 'OTHER' : candidate.finishReason;
            if (candidate.groundingMetadata) grounding = candidate.groundingMetadata;
        }
    }
    if (grounding) take_grounding(turn, grounding);
    turn.grounding = grounding;
    if (broken_words.includes(reason)) turn.error ??= { message: reason };
    turn.finish = reason === null ? null : finish_words[reason] ?? 'filter';
    if (turn.finish === 'stop' && turn.calls.length > 0) turn.finish = 'tools';
    turn.usage = gemini_usage_of(usage);
    return turn;
}

export function decode_gemini_events(events) {
    return decode_gemini_chunks(events.filter(({ data }) => data !== '').map(({ data }) => JSON.parse(data)));
}

export function decode_gemini_stream(text) {
    return decode_gemini_events(decode_sse(text, { last: true }).events);
}

export function decode_gemini_object(body) {
    return decode_gemini_chunks(Array.isArray(body) ? body : [body]);
}
