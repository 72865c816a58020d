// SPDX-License-Identifier: MIT
//
// write_chat - a turn as an OpenAI chat answer: a list of stream events, or one JSON object.

import { is_free } from './turns.mjs';

const finish_words = {
    stop: 'stop', length: 'length', tools: 'tool_calls', filter: 'content_filter',
    stop_sequence: 'stop', refusal: 'stop', pause: 'stop', window: 'length',
};

export function chat_usage(usage) {
    return {
        prompt_tokens: usage.input,
        completion_tokens: usage.output,
        total_tokens: usage.input + usage.output,
        prompt_tokens_details: { cached_tokens: usage.cache_read, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: usage.reasoning, audio_tokens: 0 },
    };
}

function annotations_of(block) {
    return (block.citations ?? []).map(({ url, title, start, end }) => ({ type: 'url_citation', url_citation: { url, title, start_index: start, end_index: end } }));
}

/* Images in an answer are an extension that several providers share. */
function image_of(block, index) {
    return { type: 'image_url', index, image_url: { url: `data:${block.media_type};base64,${block.data}` } };
}

function delta_events(turn, request, options) {
    const deltas = [];
    const reasoning = options.reasoning_field ?? 'reasoning_content';
    let tool_index = 0;
    for (const block of turn.blocks) {
        if (block.type === 'text') {
            const field = turn.finish === 'refusal' ? 'refusal' : 'content';
            for (const piece of block.pieces) deltas.push({ [field]: piece });
            if (block.citations) deltas.push({ annotations: annotations_of(block) });
        } else if (block.type === 'image') {
            deltas.push({ images: [image_of(block, 0)] });
        } else if (block.type === 'thinking') {
            for (const piece of block.pieces) deltas.push({ [reasoning]: piece });
        } else if (block.type === 'tool') {
            const index = tool_index++;
            if (is_free(block, request)) {
                deltas.push({ tool_calls: [{ index, id: block.id, type: 'custom', custom: { name: block.name, input: '' } }] });
                deltas.push({ tool_calls: [{ index, custom: { input: block.free_text } }] });
                continue;
            }
            deltas.push({
                tool_calls: [{ index, id: block.id, type: 'function', function: { name: block.name, arguments: '' } }],
            });
            for (const piece of block.pieces) {
                if (piece !== '') deltas.push({ tool_calls: [{ index, function: { arguments: piece } }] });
            }
        }
    }
    return deltas;
}

/*
 * chat_stream - the `data:` texts of one stream, [DONE] included.
 * options  finish: false leaves the finish chunk out, done: false the [DONE]
 */
export function chat_stream(turn, request, options = {}) {
    const base = {
        id: options.id ?? 'chatcmpl-fake0001',
        object: 'chat.completion.chunk',
        created: 1754000000,
        model: request.model,
        system_fingerprint: 'fp_fake',
    };
    const with_usage = request.stream_options?.include_usage === true && options.usage !== false;
    const chunk = (delta, finish_reason) => JSON.stringify({
        ...base,
        choices: [{ index: 0, delta, logprobs: null, finish_reason }],
        ...(with_usage ? { usage: null } : {}),
    });
    const events = [chunk({ role: 'assistant', content: '', refusal: null }, null)];
    for (const delta of delta_events(turn, request, options)) events.push(chunk(delta, null));
    if (options.finish !== false) events.push(chunk({}, finish_words[turn.finish]));
    if (with_usage) events.push(JSON.stringify({ ...base, choices: [], usage: chat_usage(turn.usage) }));
    if (options.done !== false) events.push('[DONE]');
    return events.map((data) => ({ data }));
}

export function chat_json(turn, request, options = {}) {
    const of = (type) => turn.blocks.filter((block) => block.type === type);
    const text = of('text').map((block) => block.pieces.join('')).join('');
    const thinking = of('thinking').map((block) => block.pieces.join('')).join('');
    const calls = of('tool').map((block) => (is_free(block, request)
        ? { id: block.id, type: 'custom', custom: { name: block.name, input: block.free_text } }
        : { id: block.id, type: 'function', function: { name: block.name, arguments: block.pieces.join('') } }));
    const refused = turn.finish === 'refusal';
    const message = { role: 'assistant', content: refused || (calls.length && !text) ? null : text, refusal: refused ? text : null };
    if (thinking) message[options.reasoning_field ?? 'reasoning_content'] = thinking;
    if (calls.length) message.tool_calls = calls;
    const annotations = of('text').flatMap(annotations_of);
    if (annotations.length) message.annotations = annotations;
    if (of('image').length) message.images = of('image').map(image_of);
    return {
        id: options.id ?? 'chatcmpl-fake0001',
        object: 'chat.completion',
        created: 1754000000,
        model: request.model,
        system_fingerprint: 'fp_fake',
        choices: [{ index: 0, message, logprobs: null, finish_reason: finish_words[turn.finish] }],
        usage: chat_usage(turn.usage),
    };
}

export function chat_error(error) {
    return { error: { message: error.message, type: error.type ?? 'server_error', param: error.param ?? null, code: error.code ?? null } };
}
