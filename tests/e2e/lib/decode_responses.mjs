// SPDX-License-Identifier: MIT
//
// decode_responses - read what the OpenAI Responses API said, stream or whole, into the plain form that decode_chat.mjs
// describes. Items are known by output_index alone, since some providers rotate ids; what an item says when it is done is
// what it said (wire-formats 3.3, 3.4, 12).

import { decode_sse } from './sse.mjs';
import { empty_turn } from './decode_chat.mjs';

export function responses_usage_of(usage) {
    if (!usage) return null;
    return {
        in_total: usage.input_tokens ?? 0,
        cache_read: usage.input_tokens_details?.cached_tokens ?? 0,
        cache_write: usage.input_tokens_details?.cache_write_tokens ?? 0,
        out_total: usage.output_tokens ?? 0,
        reasoning: usage.output_tokens_details?.reasoning_tokens ?? 0,
    };
}

function take_message(turn, item) {
    for (const part of item.content ?? []) {
        if (part.type === 'refusal') turn.refusal += part.refusal;
        if (part.type !== 'output_text') continue;
        const before = Array.from(turn.text).length;
        turn.text += part.text;
        for (const note of part.annotations ?? []) {
            if (note.type === 'url_citation') turn.citations.push({ url: note.url, title: note.title ?? '', start: note.start_index + before, end: note.end_index + before });
        }
    }
}

function take_reasoning(turn, item) {
    const summary = (item.summary ?? []).map((part) => part.text).join('\n\n');
    const open = (item.content ?? []).map((part) => part.text).join('\n\n');
    // Where both are told, the summary is of the open thoughts: one of them is enough.
    turn.thinking += open || summary;
    turn.thoughts.push(open || summary);
    if (item.encrypted_content) turn.signatures.push(item.encrypted_content);
}

/* take_item - one item as it is done. */
export function take_item(turn, item) {
    if (item.type === 'message') take_message(turn, item);
    else if (item.type === 'reasoning') take_reasoning(turn, item);
    else if (item.type === 'function_call') turn.calls.push({ id: item.call_id, name: item.name, namespace: item.namespace, arguments: item.arguments ?? '' });
    else if (item.type === 'custom_tool_call') turn.calls.push({ id: item.call_id, name: item.name, arguments: item.input ?? '', custom: true });
    else if (item.type === 'image_generation_call' && item.result) turn.images.push({ media_type: `image/${item.output_format ?? 'png'}`, data: item.result });
    else turn.native.push(item.type);
}

export function finish_of_response(response, turn) {
    if (response.status === 'incomplete') return response.incomplete_details?.reason === 'content_filter' ? 'filter' : 'length';
    return turn.calls.length > 0 ? 'tools' : 'stop';
}

export function decode_responses_object(body) {
    const turn = empty_turn();
    if (body.object !== 'response') return { ...turn, error: body.error ?? body };
    for (const item of body.output ?? []) take_item(turn, item);
    if (body.status === 'failed' || body.error) return { ...turn, error: body.error };
    turn.finish = finish_of_response(body, turn);
    turn.usage = responses_usage_of(body.usage);
    return turn;
}

/* An item that was never done, from its pieces. */
function item_of_pieces(slot) {
    const { item, text, refusal, summaries, open, pieces, annotations } = slot;
    if (item.type === 'message') {
        const content = [];
        if (text !== '') content.push({ type: 'output_text', text, annotations });
        if (refusal !== '') content.push({ type: 'refusal', refusal });
        return { ...item, content };
    }
    if (item.type === 'reasoning') return { ...item, summary: summaries.map((each) => ({ text: each })), content: open === '' ? [] : [{ text: open }], encrypted_content: null };
    return item.type === 'custom_tool_call' ? { ...item, input: pieces } : { ...item, arguments: pieces || item.arguments };
}

/* What was streamed cannot be unsaid: an item that is done with another text than its pieces said (one fixture) is its pieces. */
function item_said({ item, done, text, ...rest }) {
    const whole = done?.type === 'message' ? (done.content ?? []).map((part) => part.text ?? '').join('') : '';
    if (done && (text === '' || whole.startsWith(text))) return done;
    return done && done.type !== 'message' ? done : item_of_pieces({ item, text, ...rest });
}

export function decode_responses_events(events) {
    const turn = empty_turn();
    const slots = new Map();
    let last = null;
    for (const { data } of events) {
        if (data === '' || data === '[DONE]') continue;
        const body = JSON.parse(data);
        const { type } = body;
        if (type === 'error' || body.error) turn.error ??= body.error ?? { code: body.code, message: body.message, param: body.param };
        if (type === 'response.failed') turn.error ??= body.response?.error ?? {};
        if (['response.completed', 'response.incomplete'].includes(type)) {
            // What comes behind the end is no part of this response.
            last = body.response;
            break;
        }
        if (type === 'response.output_item.added') {
            slots.set(body.output_index, { item: body.item, done: null, text: '', refusal: '', summaries: [], open: '', pieces: '', annotations: [] });
        }
        const slot = slots.get(body.output_index);
        if (type === 'response.output_item.done') slots.set(body.output_index, { ...slot, item: body.item, done: body.item });
        if (!slot) continue;
        if (type === 'response.output_text.delta') slot.text += body.delta;
        if (type === 'response.refusal.delta') slot.refusal += body.delta;
        if (type === 'response.output_text.annotation.added') slot.annotations.push(body.annotation);
        if (type === 'response.reasoning_text.delta') slot.open += body.delta;
        if (type === 'response.reasoning_summary_text.delta') slot.summaries[body.summary_index] = (slot.summaries[body.summary_index] ?? '') + body.delta;
        if (type === 'response.function_call_arguments.delta' || type === 'response.custom_tool_call_input.delta') slot.pieces += body.delta;
    }
    for (const [, slot] of [...slots].sort(([one], [two]) => one - two)) take_item(turn, item_said(slot));
    if (last) {
        turn.finish = finish_of_response(last, turn);
        turn.usage = responses_usage_of(last.usage);
    }
    return turn;
}

export function decode_responses_stream(text) {
    return decode_responses_events(decode_sse(text, { last: true }).events);
}
