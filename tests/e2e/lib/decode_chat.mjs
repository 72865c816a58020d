// SPDX-License-Identifier: MIT
//
// decode_chat - read what an OpenAI-compatible provider said, stream or whole, into one plain form. It
// follows wire-formats 2.3, 2.4, 9 and 12, and shares nothing with the gateway, so that both may be compared:
//   {text, thinking, refusal, calls: [{id, name, arguments}], finish, usage, error, choices, citations: [{url, title, start, end}],
//    images: [{media_type, data}], signatures, redacted: opaque states, thoughts: the pieces of thinking, native: words of the rest}

import { decode_sse } from './sse.mjs';

const finish_words = {
    stop: 'stop', length: 'length', tool_calls: 'tools', function_call: 'tools', content_filter: 'filter',
    eos: 'stop', eos_token: 'stop', '': null, model_length: 'length', sensitive: 'filter',
    error: 'error', insufficient_system_resource: 'error', network_error: 'error',
};

export function empty_turn() {
    return { text: '', thinking: '', refusal: '', calls: [], finish: null, usage: null, error: null, choices: 1, citations: [], images: [], signatures: [], redacted: [], thoughts: [], native: [] };
}

export function chat_usage_of(usage) {
    if (!usage || typeof usage.prompt_tokens !== 'number') return null;
    const reasoning = usage.completion_tokens_details?.reasoning_tokens ?? 0;
    let out_total = usage.completion_tokens ?? 0;
    // xAI and Google's compatible endpoint leave reasoning out of completion_tokens but not out of the total.
    if (reasoning > 0 && usage.total_tokens === usage.prompt_tokens + out_total + reasoning) out_total += reasoning;
    else if (usage.total_tokens > usage.prompt_tokens + out_total) out_total = usage.total_tokens - usage.prompt_tokens;
    return {
        in_total: usage.prompt_tokens,
        cache_read: usage.prompt_tokens_details?.cached_tokens ?? usage.prompt_cache_hit_tokens ?? usage.cached_tokens ?? 0,
        cache_write: usage.prompt_tokens_details?.cache_write_tokens ?? 0,
        out_total,
        reasoning,
    };
}

function take_content(turn, content) {
    if (typeof content === 'string') {
        turn.text += content;
    } else if (Array.isArray(content)) {
        for (const part of content) {
            if (part.type === 'text') turn.text += part.text;
            if (part.type === 'thinking') turn.thinking += (part.thinking ?? []).map((each) => each.text ?? '').join('');
        }
    }
}

function take_reasoning(turn, message) {
    const { reasoning_content, reasoning } = message;
    if (typeof reasoning_content === 'string' && reasoning_content !== '') turn.thinking += reasoning_content;
    else if (typeof reasoning === 'string' && reasoning !== '') turn.thinking += reasoning;
    else for (const detail of message.reasoning_details ?? []) turn.thinking += detail.text ?? detail.summary ?? '';
}

function as_text(value) {
    if (value === undefined || value === null) return '';
    return typeof value === 'string' ? value : JSON.stringify(value);
}

/* Which call does a streamed piece belong to? (wire-formats 13, Readers, Chat) */
function call_of(turn, by_index, piece) {
    const { index } = piece;
    const name = piece.function?.name ?? piece.custom?.name;
    const last = turn.calls[turn.calls.length - 1];
    let call;
    if (Number.isInteger(index)) {
        call = by_index.get(index);
        if (call && piece.id && call.id && piece.id !== call.id && name) call = undefined;
    } else if (piece.id) {
        call = last && last.id === piece.id ? last : undefined;
    } else if (!name) {
        call = last;
    }
    if (!call) {
        call = { id: '', name: '', arguments: '' };
        turn.calls.push(call);
        if (Number.isInteger(index)) by_index.set(index, call);
    }
    return call;
}

/* Opaque reasoning state: beside the reasoning (OpenRouter's way) and on calls and messages (Google's). */
function take_states(turn, message) {
    for (const detail of message.reasoning_details ?? []) {
        if (detail.signature) turn.signatures.push(detail.signature);
        if (detail.type === 'reasoning.encrypted' && detail.data) turn.redacted.push(detail.data);
    }
    for (const place of [message, ...(message.tool_calls ?? [])]) {
        const signature = place.extra_content?.google?.thought_signature;
        if (signature) turn.signatures.push(signature);
    }
}

/* Sources and images, which stand beside the text. */
function take_extras(turn, message) {
    for (const note of message.annotations ?? []) {
        const { url, title = '', start_index = -1, end_index = -1 } = note.url_citation ?? {};
        if (note.type === 'url_citation') turn.citations.push({ url, title, start: start_index, end: end_index });
    }
    for (const image of message.images ?? []) {
        const found = /^data:([^;,]+);base64,(.*)$/s.exec(image.image_url?.url ?? '');
        if (found) turn.images.push({ media_type: found[1], data: found[2] });
    }
}

/* Perplexity's sources stand beside the choices and are repeated in every chunk. */
function take_sources(turn, body) {
    const sources = body.search_results?.length ? body.search_results : (body.citations ?? []).map((url) => ({ url }));
    if (sources.length === 0) return;
    turn.citations = sources.map(({ url, title }) => ({ url, title: title ?? '', start: -1, end: -1 }));
}

function take_delta(turn, by_index, delta) {
    take_reasoning(turn, delta);
    take_states(turn, delta);
    take_extras(turn, delta);
    take_content(turn, delta.content);
    if (typeof delta.refusal === 'string') turn.refusal += delta.refusal;
    for (const piece of delta.tool_calls ?? []) {
        const call = call_of(turn, by_index, piece);
        if (piece.id && !call.id) call.id = piece.id;
        if (piece.function?.name && !call.name) call.name = piece.function.name;
        if (piece.custom?.name) Object.assign(call, { name: piece.custom.name, custom: true });
        call.arguments += as_text(piece.function?.arguments ?? piece.custom?.input);
    }
    if (delta.function_call?.name || delta.function_call?.arguments) {
        const call = call_of(turn, by_index, { index: 0 });
        call.name ||= delta.function_call.name ?? '';
        call.arguments += as_text(delta.function_call.arguments);
    }
}

function finish_of(word) {
    return word in finish_words ? finish_words[word] : 'stop';
}

export function decode_chat_events(events) {
    const turn = empty_turn();
    const by_index = new Map();
    for (const { data } of events) {
        if (data === '[DONE]') break;
        if (data === '') continue;
        const chunk = JSON.parse(data);
        if (chunk.error) turn.error = chunk.error;
        const usage = chunk.usage ?? chunk.x_groq?.usage;
        if (usage) turn.usage = chat_usage_of(usage) ?? turn.usage;
        take_sources(turn, chunk);
        for (const choice of chunk.choices ?? []) {
            if ((choice.index ?? 0) > 0) {
                turn.choices = Math.max(turn.choices, choice.index + 1);
                continue;
            }
            take_delta(turn, by_index, choice.delta ?? {});
            if (choice.finish_reason) turn.finish = finish_of(choice.finish_reason);
        }
    }
    return turn;
}

export function decode_chat_stream(text) {
    return decode_chat_events(decode_sse(text, { last: true }).events);
}

export function decode_chat_object(body) {
    const turn = empty_turn();
    if (body.error) return { ...turn, error: body.error };
    const choice = body.choices?.[0] ?? {};
    const message = choice.message ?? {};
    turn.choices = body.choices?.length ?? 0;
    take_sources(turn, body);
    take_reasoning(turn, message);
    take_states(turn, message);
    take_extras(turn, message);
    take_content(turn, message.content);
    turn.refusal = message.refusal ?? '';
    for (const call of message.tool_calls ?? []) {
        turn.calls.push({ id: call.id ?? '', name: call.function?.name ?? call.custom?.name ?? '', arguments: as_text(call.function?.arguments ?? call.custom?.input), ...(call.custom?.name ? { custom: true } : {}) });
    }
    // Snowflake sends a function_call without a name beside every answer.
    if (message.function_call?.name) turn.calls.push({ id: '', name: message.function_call.name, arguments: as_text(message.function_call.arguments) });
    turn.finish = choice.finish_reason ? finish_of(choice.finish_reason) : null;
    turn.usage = chat_usage_of(body.usage ?? body.x_groq?.usage);
    return turn;
}
