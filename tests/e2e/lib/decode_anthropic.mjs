// SPDX-License-Identifier: MIT
//
// decode_anthropic - read what Anthropic Messages said, stream or whole, into the plain form that
// decode_chat.mjs describes, with `signatures` and the raw `stop_reason` beside it.

import { decode_sse } from './sse.mjs';
import { empty_turn } from './decode_chat.mjs';

const finish_words = {
    end_turn: 'stop', stop_sequence: 'stop', max_tokens: 'length', tool_use: 'tools', pause_turn: 'stop', refusal: 'filter',
    model_context_window_exceeded: 'length', compaction: 'stop',
};

function usage_of(usage) {
    const cache_read = usage.cache_read_input_tokens ?? 0;
    const cache_write = usage.cache_creation_input_tokens ?? 0;
    return {
        in_total: (usage.input_tokens ?? 0) + cache_read + cache_write,
        cache_read,
        cache_write,
        out_total: usage.output_tokens ?? 0,
        reasoning: usage.output_tokens_details?.thinking_tokens ?? 0,
    };
}

function anthropic_turn() {
    return { ...empty_turn(), stop_reason: null, stop_sequence: null };
}

/* take_block - one finished content block; `json` is the joined partial_json of a streamed one. */
function take_block(turn, block, json) {
    if (block.type === 'text') {
        const start = Array.from(turn.text).length;
        turn.text += block.text;
        const end = Array.from(turn.text).length;
        for (const { type, url, source, title } of block.citations ?? []) {
            const place = type === 'search_result_location' ? source : url;
            if (place) turn.citations.push({ url: place, title: title ?? '', start, end });
        }
    }
    if (block.type === 'thinking') {
        turn.thinking += block.thinking;
        if (block.signature) turn.signatures.push(block.signature);
    }
    if (block.type === 'redacted_thinking') turn.redacted.push(block.data);
    if (block.type === 'tool_use') {
        turn.calls.push({ id: block.id, name: block.name, arguments: json ?? JSON.stringify(block.input ?? {}) });
    }
}

export function decode_anthropic_events(events) {
    const turn = anthropic_turn();
    const blocks = new Map();
    let usage = null;
    for (const { event, data } of events) {
        if (data === '') continue;
        const body = JSON.parse(data);
        const type = event === 'error' ? 'error' : body.type;
        const block = blocks.get(body.index);
        if (type === 'message_stop') break;
        if (type === 'error') turn.error = body.error ?? body;
        else if (type === 'message_start') usage ??= { ...body.message?.usage };
        else if (type === 'content_block_start') blocks.set(body.index, { ...body.content_block, json: null });
        else if (type === 'content_block_delta' && block) {
            const { delta } = body;
            if (delta.type === 'text_delta') block.text += delta.text;
            if (delta.type === 'citations_delta') block.citations = [...(block.citations ?? []), delta.citation];
            if (delta.type === 'thinking_delta') block.thinking += delta.thinking;
            if (delta.type === 'signature_delta') block.signature = delta.signature;
            if (delta.type === 'input_json_delta') block.json = (block.json ?? '') + delta.partial_json;
        } else if (type === 'content_block_stop' && block) {
            take_block(turn, block, block.json === null ? undefined : block.json);
            blocks.delete(body.index);
        } else if (type === 'message_delta') {
            turn.stop_reason = body.delta?.stop_reason ?? turn.stop_reason;
            turn.stop_sequence = body.delta?.stop_sequence ?? turn.stop_sequence;
            for (const [key, value] of Object.entries(body.usage ?? {})) if (value !== null) usage = { ...usage, [key]: value };
        }
    }
    turn.finish = turn.stop_reason === null ? null : finish_words[turn.stop_reason] ?? 'stop';
    turn.usage = usage && usage_of(usage);
    return turn;
}

export function decode_anthropic_stream(text) {
    return decode_anthropic_events(decode_sse(text, { last: true }).events);
}

export function decode_anthropic_object(body) {
    const turn = anthropic_turn();
    if (body.type === 'error') return { ...turn, error: body.error };
    for (const block of body.content ?? []) take_block(turn, block);
    turn.stop_reason = body.stop_reason ?? null;
    turn.stop_sequence = body.stop_sequence ?? null;
    turn.finish = turn.stop_reason === null ? null : finish_words[turn.stop_reason] ?? 'stop';
    turn.usage = usage_of(body.usage ?? {});
    return turn;
}
