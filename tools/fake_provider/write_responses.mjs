// SPDX-License-Identifier: MIT
//
// write_responses - a turn as an OpenAI Responses answer: a list of stream events, or one response object.

import { is_free } from './turns.mjs';

const endings = {
    length: ['incomplete', 'max_output_tokens'], window: ['incomplete', 'max_output_tokens'], filter: ['incomplete', 'content_filter'],
};

export function responses_usage(usage) {
    return {
        input_tokens: usage.input,
        input_tokens_details: { cached_tokens: usage.cache_read, cache_write_tokens: usage.cache_write },
        output_tokens: usage.output,
        output_tokens_details: { reasoning_tokens: usage.reasoning },
        total_tokens: usage.input + usage.output,
    };
}

function annotations_of(block) {
    return (block.citations ?? []).map(({ url, title, start, end }) => ({ type: 'url_citation', start_index: start, end_index: end, title, url }));
}

/* The content part that a text block is. */
function part_of(turn, block, text) {
    if (turn.finish === 'refusal') return { type: 'refusal', refusal: text };
    return { type: 'output_text', annotations: text === '' ? [] : annotations_of(block), logprobs: [], text };
}

/* The item a block is, empty as it is added or whole as it is done. */
function item_of(turn, block, index, whole, options) {
    const status = whole ? 'completed' : 'in_progress';
    const joined = (block.pieces ?? []).join('');
    if (block.type === 'text') {
        return { id: `msg_fake${index}`, type: 'message', status, content: whole ? [part_of(turn, block, joined)] : [], role: 'assistant' };
    }
    if (block.type === 'thinking') {
        const summary = whole && !options.reasoning_text ? [{ type: 'summary_text', text: joined }] : [];
        // What is told first is not yet the whole state; only the last one is good.
        const item = { id: `rs_fake${index}`, type: 'reasoning', summary, encrypted_content: whole ? block.signature : `${block.signature.slice(0, 4)}partial` };
        return options.reasoning_text ? { ...item, content: whole ? [{ type: 'reasoning_text', text: joined }] : [] } : item;
    }
    if (block.type === 'redacted') return { id: `rs_fake${index}`, type: 'reasoning', summary: [], encrypted_content: block.data };
    if (block.type === 'image') {
        return { id: `ig_fake${index}`, type: 'image_generation_call', status, output_format: block.media_type.replace('image/', ''), result: whole ? block.data : null };
    }
    if (is_free(block, options.request)) return { id: `ctc_fake${index}`, type: 'custom_tool_call', status, input: whole ? block.free_text : '', call_id: block.id, name: block.name };
    return { id: `fc_fake${index}`, type: 'function_call', status, arguments: whole ? joined || '{}' : '', call_id: block.id, name: block.name };
}

function response_of(turn, request, options, status, output) {
    const [, reason] = endings[turn.finish] ?? [];
    const over = status === 'completed' || status === 'incomplete';
    return {
        id: options.id ?? 'resp_fake0001', object: 'response', created_at: 1754000000, status, background: false,
        completed_at: status === 'completed' ? 1754000001 : null, error: null, incomplete_details: status === 'incomplete' ? { reason } : null,
        instructions: request.instructions ?? null, max_output_tokens: request.max_output_tokens ?? null, max_tool_calls: null, model: request.model,
        output, parallel_tool_calls: request.parallel_tool_calls ?? true, previous_response_id: null, prompt_cache_key: null,
        reasoning: { effort: request.reasoning?.effort ?? null, summary: request.reasoning?.summary ?? null }, safety_identifier: null,
        service_tier: 'default', store: request.store ?? true, temperature: request.temperature ?? 1, text: { format: { type: 'text' }, verbosity: 'medium' },
        tool_choice: request.tool_choice ?? 'auto', tools: request.tools ?? [], top_logprobs: 0, top_p: request.top_p ?? 1, truncation: 'disabled',
        usage: over ? responses_usage(turn.usage) : null, user: null, metadata: {},
    };
}

function status_of(turn) {
    return endings[turn.finish]?.[0] ?? 'completed';
}

function text_events(turn, block, output_index, item_id) {
    const place = { item_id, output_index, content_index: 0 };
    const joined = block.pieces.join('');
    const events = [{ type: 'response.content_part.added', ...place, part: part_of(turn, block, '') }];
    if (turn.finish === 'refusal') {
        for (const delta of block.pieces) events.push({ type: 'response.refusal.delta', ...place, delta });
        events.push({ type: 'response.refusal.done', ...place, refusal: joined });
    } else {
        for (const delta of block.pieces) events.push({ type: 'response.output_text.delta', ...place, delta, logprobs: [] });
        annotations_of(block).forEach((annotation, annotation_index) => {
            events.push({ type: 'response.output_text.annotation.added', ...place, annotation_index, annotation });
        });
        events.push({ type: 'response.output_text.done', ...place, text: joined, logprobs: [] });
    }
    events.push({ type: 'response.content_part.done', ...place, part: part_of(turn, block, joined) });
    return events;
}

function thinking_events(block, output_index, item_id, options) {
    const joined = block.pieces.join('');
    if (options.reasoning_text) {
        const place = { item_id, output_index, content_index: 0 };
        return [
            { type: 'response.content_part.added', ...place, part: { type: 'reasoning_text', text: '' } },
            ...block.pieces.map((delta) => ({ type: 'response.reasoning_text.delta', ...place, delta })),
            { type: 'response.reasoning_text.done', ...place, text: joined },
            { type: 'response.content_part.done', ...place, part: { type: 'reasoning_text', text: joined } },
        ];
    }
    const place = { item_id, output_index, summary_index: 0 };
    return [
        { type: 'response.reasoning_summary_part.added', ...place, part: { type: 'summary_text', text: '' } },
        ...block.pieces.map((delta) => ({ type: 'response.reasoning_summary_text.delta', ...place, delta })),
        { type: 'response.reasoning_summary_text.done', ...place, text: joined },
        { type: 'response.reasoning_summary_part.done', ...place, part: { type: 'summary_text', text: joined } },
    ];
}

function call_events(block, output_index, item_id, options) {
    if (is_free(block, options.request)) {
        return [
            { type: 'response.custom_tool_call_input.delta', item_id, output_index, delta: block.free_text },
            { type: 'response.custom_tool_call_input.done', item_id, output_index, input: block.free_text },
        ];
    }
    const joined = block.pieces.join('') || '{}';
    const pieces = options.arguments_late ? [] : [block.pieces.join('') === '' ? '{}' : null, ...block.pieces].filter(Boolean);
    return [
        ...pieces.map((delta) => ({ type: 'response.function_call_arguments.delta', item_id, output_index, delta })),
        { type: 'response.function_call_arguments.done', item_id, output_index, arguments: joined },
    ];
}

function image_events(output_index, item_id) {
    return ['in_progress', 'generating', 'completed'].map((step) => ({ type: `response.image_generation_call.${step}`, item_id, output_index }));
}

function block_events(turn, block, index, options) {
    const { id } = item_of(turn, block, index, false, options);
    const inner = {
        text: () => text_events(turn, block, index, id),
        thinking: () => thinking_events(block, index, id, options),
        redacted: () => [],
        tool: () => call_events(block, index, id, options),
        image: () => image_events(index, id),
    }[block.type]();
    const item = item_of(turn, block, index, true, options);
    // Arguments that broke off belong to a call that is not complete.
    if (block.type === 'tool' && turn.finish === 'length') item.status = 'incomplete';
    return [
        { type: 'response.output_item.added', output_index: index, item: item_of(turn, block, index, false, options) },
        ...inner,
        { type: 'response.output_item.done', output_index: index, item },
    ];
}

/*
 * responses_stream - the events of one stream.
 * options  finish: false leaves the terminal event out; arguments_late: arguments only when they are done; rotate_ids: another
 *          item_id in every event; names: false leaves the event: lines out; reasoning_text: open thoughts, not a summary
 */
export function responses_stream(turn, request, options = {}) {
    const events = [];
    for (const type of ['response.created', 'response.in_progress']) events.push({ type, response: response_of(turn, request, options, 'in_progress', []) });
    turn.blocks.forEach((block, index) => events.push(...block_events(turn, block, index, { ...options, request })));
    if (options.finish !== false) {
        const status = status_of(turn);
        const output = events.filter((event) => event.type === 'response.output_item.done').map((event) => event.item);
        events.push({ type: `response.${status}`, response: response_of(turn, request, options, status, output) });
    }
    return events.map((event, sequence_number) => {
        const { type, ...rest } = event;
        if (options.rotate_ids && rest.item_id) rest.item_id = `${rest.item_id}_${sequence_number}`;
        return { event: options.names === false ? undefined : type, data: JSON.stringify({ type, ...rest, sequence_number }) };
    });
}

export function responses_json(turn, request, options = {}) {
    return response_of(turn, request, options, status_of(turn), turn.blocks.map((block, index) => item_of(turn, block, index, true, { ...options, request })));
}

/* responses_break - how a stream says that it failed: an error, and a response that has failed. */
export function responses_break(error, request, sequence_number) {
    const { code = 'server_error', message, param = null } = error;
    const failed = { ...response_of({ finish: 'stop', usage: {} }, request, {}, 'failed', []), error: { code, message } };
    return [
        { type: 'error', sequence_number, code, message, param },
        { type: 'response.failed', sequence_number: sequence_number + 1, response: failed },
    ].map((event) => ({ event: event.type, data: JSON.stringify(event) }));
}
