// SPDX-License-Identifier: MIT
//
// write_anthropic - a turn as an Anthropic Messages answer: a list of stream events, or one JSON object.

const stop_words = {
    stop: 'end_turn', length: 'max_tokens', tools: 'tool_use', filter: 'refusal',
    stop_sequence: 'stop_sequence', refusal: 'refusal', pause: 'pause_turn', window: 'model_context_window_exceeded',
};

export function anthropic_usage(usage) {
    return {
        input_tokens: usage.input - usage.cache_read - usage.cache_write,
        cache_creation_input_tokens: usage.cache_write,
        cache_read_input_tokens: usage.cache_read,
        output_tokens: usage.output,
        ...(usage.reasoning ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}),
    };
}

/* Ids of the other dialect's shape are fine here; only their prefix tells who made them. */
function tool_id(block) {
    return block.id.replace(/^call_/, 'toolu_');
}

/* What Claude cites when it has searched the web; the words are those of the answer itself. */
function citations_of(block) {
    const letters = Array.from(block.pieces.join(''));
    return (block.citations ?? []).map(({ url, title, start, end }) => ({
        type: 'web_search_result_location', url, title, encrypted_index: 'ZW5jcnlwdGVk', cited_text: letters.slice(start, end).join(''),
    }));
}

/* Blocks that this dialect can say; Claude makes no images. */
function blocks_of(turn) {
    return turn.blocks.filter((block) => block.type !== 'image');
}

function start_of(block) {
    if (block.type === 'text') return { type: 'text', text: '' };
    if (block.type === 'thinking') return { type: 'thinking', thinking: '', signature: '' };
    if (block.type === 'redacted') return { type: 'redacted_thinking', data: block.data };
    return { type: 'tool_use', id: tool_id(block), name: block.name, input: {} };
}

function deltas_of(block) {
    if (block.type === 'redacted') return [];
    if (block.type === 'text') {
        return [...citations_of(block).map((citation) => ({ type: 'citations_delta', citation })), ...block.pieces.map((text) => ({ type: 'text_delta', text }))];
    }
    if (block.type === 'tool') {
        return ['', ...block.pieces.filter((piece) => piece !== '')]
            .map((partial_json) => ({ type: 'input_json_delta', partial_json }));
    }
    return [
        ...block.pieces.map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature: block.signature },
    ];
}

/*
 * anthropic_stream - the events of one stream.
 * options  finish: false leaves message_delta out, done: false message_stop, ping: false the ping
 */
export function anthropic_stream(turn, request, options = {}) {
    const usage = anthropic_usage(turn.usage);
    const events = [{
        type: 'message_start',
        message: {
            id: options.id ?? 'msg_fake0001', type: 'message', role: 'assistant', model: request.model, content: [],
            stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 1 },
        },
    }];
    blocks_of(turn).forEach((block, index) => {
        events.push({ type: 'content_block_start', index, content_block: start_of(block) });
        if (index === 0 && options.ping !== false) events.push({ type: 'ping' });
        for (const delta of deltas_of(block)) events.push({ type: 'content_block_delta', index, delta });
        events.push({ type: 'content_block_stop', index });
    });
    if (options.finish !== false) {
        const delta = { stop_reason: stop_words[turn.finish], stop_sequence: turn.stop_sequence ?? null };
        events.push({ type: 'message_delta', delta, usage });
    }
    if (options.done !== false) events.push({ type: 'message_stop' });
    return events.map((event) => ({ event: event.type, data: JSON.stringify(event) }));
}

export function anthropic_json(turn, request, options = {}) {
    const content = blocks_of(turn).map((block) => {
        if (block.type === 'redacted') return start_of(block);
        const joined = block.pieces.join('');
        if (block.type === 'text') return { type: 'text', text: joined, ...(block.citations ? { citations: citations_of(block) } : {}) };
        if (block.type === 'thinking') return { type: 'thinking', thinking: joined, signature: block.signature };
        return { type: 'tool_use', id: tool_id(block), name: block.name, input: JSON.parse(joined || '{}') };
    });
    return {
        id: options.id ?? 'msg_fake0001', type: 'message', role: 'assistant', model: request.model, content,
        stop_reason: stop_words[turn.finish], stop_sequence: turn.stop_sequence ?? null,
        usage: anthropic_usage(turn.usage),
    };
}

export function anthropic_error(error) {
    return { type: 'error', error: { type: error.type ?? 'api_error', message: error.message }, request_id: 'req_fake' };
}
