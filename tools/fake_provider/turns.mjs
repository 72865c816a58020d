// SPDX-License-Identifier: MIT
//
// turns - what the fake models say, in a form that belongs to no dialect. A turn:
//   blocks   [{type: 'text', pieces, citations: [{url, title, start, end}]}, {type: 'thinking', pieces, signature},
//             {type: 'redacted', data}, {type: 'tool', id, name, pieces}, {type: 'image', media_type, data}]
//             citations count in code points; a dialect leaves out the blocks that it has no words for
//   finish   'stop' | 'length' | 'tools' | 'filter' | 'stop_sequence' | 'refusal' | 'pause' | 'window'
//   usage    {input, cache_read, cache_write, output, reasoning}: input counts every prompt token

const usage = { input: 21, cache_read: 0, cache_write: 0, output: 9, reasoning: 0 };

export function text_block(...pieces) {
    return { type: 'text', pieces };
}

export function tool_block(id, name, ...pieces) {
    return { type: 'tool', id, name, pieces };
}

export function thinking_block(signature, ...pieces) {
    return { type: 'thinking', signature, pieces };
}

function plain(finish, ...pieces) {
    return { blocks: [text_block(...pieces)], finish, usage };
}

/* Text with characters of two, three and four bytes, quotes, line breaks and things that look like SSE. */
export const tricky_text = ['Grüße, ', '世界 ', '🚀🧵', ' "quoted" \\ back', 'slash\n\ndata: [DONE]\n', '\u2028end\u0001'];

const named = {
    text: () => plain('stop', 'Hello', ', ', 'world', '!'),
    tricky: () => plain('stop', ...tricky_text),
    empty: () => ({ blocks: [], finish: 'stop', usage }),
    length: () => plain('length', 'This is cut', ' off in the mid'),
    filter: () => plain('filter', 'I cannot'),
    refusal: () => plain('refusal', 'I will not'),
    stop_sequence: () => ({ ...plain('stop_sequence', 'one two '), stop_sequence: 'END' }),
    pause: () => plain('pause', 'Searching'),
    window: () => plain('window', 'No room left'),
    usage: () => ({
        ...plain('stop', 'counted'),
        usage: { input: 120, cache_read: 64, cache_write: 0, output: 50, reasoning: 30 },
    }),
    cache_write: () => ({
        ...plain('stop', 'counted'),
        usage: { input: 120, cache_read: 10, cache_write: 20, output: 50, reasoning: 0 },
    }),
    tool: () => ({
        blocks: [tool_block('call_weather_1', 'get_weather', '{"city":', '"Par', 'is"', ',"unit":"c"}')],
        finish: 'tools',
        usage,
    }),
    text_tool: () => ({
        blocks: [
            text_block('Let me ', 'look.'),
            tool_block('call_weather_1', 'get_weather', '{"city":', '"Paris"}'),
        ],
        finish: 'tools',
        usage,
    }),
    parallel: () => ({
        blocks: [
            tool_block('call_a', 'get_weather', '{"city":"Paris"}'),
            tool_block('call_b', 'get_weather', '{"city":', '"Rome"}'),
            tool_block('call_c', 'get_time', '{"zone":"CET"', '}'),
        ],
        finish: 'tools',
        usage,
    }),
    zero: () => ({ blocks: [tool_block('call_zero', 'ping_server', '')], finish: 'tools', usage }),
    parallel_zero: () => ({
        blocks: [tool_block('call_z1', 'ping_server', ''), tool_block('call_z2', 'ping_server', '')],
        finish: 'tools',
        usage,
    }),
    bad_arguments: () => ({
        blocks: [tool_block('call_bad', 'get_weather', '{"city":', '"Par')],
        finish: 'tools',
        usage,
    }),
    cut_arguments: () => ({
        blocks: [tool_block('call_cut', 'get_weather', '{"city":', '"Par')],
        finish: 'length',
        usage,
    }),
    tool_stop: () => ({
        blocks: [tool_block('call_weather_1', 'get_weather', '{"city":"Paris"}')],
        finish: 'stop',
        usage,
    }),
    thinking: () => ({
        blocks: [
            thinking_block('c2lnbmF0dXJlLTE=', 'First ', 'I think, ', 'therefore'),
            text_block('The answer', ' is 4.'),
        ],
        finish: 'stop',
        usage: { ...usage, reasoning: 5 },
    }),
    thinking_tool: () => ({
        blocks: [
            thinking_block('c2lnbmF0dXJlLTI=', 'I need ', 'the weather'),
            tool_block('call_weather_1', 'get_weather', '{"city":', '"Paris"}'),
        ],
        finish: 'tools',
        usage: { ...usage, reasoning: 4 },
    }),
};

/* The smallest PNG there is. */
export const tiny_png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/* What a call of a free-form tool says; a provider that knows it only as a function says it as the one argument. */
export const free_text = 'print("1")\n';

/* is_free - does the request offer the tool of a block as one with free-form input? */
export function is_free(block, request) {
    const tools = Array.isArray(request?.tools) ? request.tools : [];
    return block.free_text !== undefined && tools.some((tool) => tool.type === 'custom' && (tool.name ?? tool.custom?.name) === block.name);
}

Object.assign(named, {
    citations: () => ({
        blocks: [{
            type: 'text',
            pieces: ['Grüße aus ', 'Paris 🚀', ' und Rom.'],
            citations: [
                { url: 'https://example.com/paris', title: 'Paris', start: 10, end: 17 },
                { url: 'https://example.com/rome', title: 'Rome "eternal"', start: 22, end: 25 },
            ],
        }],
        finish: 'stop',
        usage,
    }),
    image: () => ({
        blocks: [text_block('Here you are.'), { type: 'image', media_type: 'image/png', data: tiny_png }],
        finish: 'stop',
        usage,
    }),
    freeform: () => ({
        blocks: [{ ...tool_block('call_free', 'run_code', JSON.stringify({ input: free_text })), free_text }],
        finish: 'tools',
        usage,
    }),
    redacted: () => ({
        blocks: [{ type: 'redacted', data: 'cmVkYWN0ZWQtMQ==' }, text_block('After hidden thought.')],
        finish: 'stop',
        usage: { ...usage, reasoning: 3 },
    }),
    thinking_parallel: () => ({
        blocks: [
            thinking_block('c2lnbmF0dXJlLTM=', 'Two cities ', 'at once'),
            tool_block('call_a', 'get_weather', '{"city":"Paris"}'),
            tool_block('call_b', 'get_weather', '{"city":', '"Rome"}'),
        ],
        finish: 'tools',
        usage: { ...usage, reasoning: 4 },
    }),
});

/* A numbered text of exactly `bytes` ASCII bytes, so that a lost or doubled piece shows at once. */
export function numbered_text(bytes) {
    const lines = [];
    for (let at = 0; at < bytes; at += 16) {
        lines.push(`${String(at).padStart(10, '0')} abcd\n`);
    }
    return lines.join('').slice(0, bytes);
}

function in_pieces(text, piece_bytes) {
    const pieces = [];
    for (let at = 0; at < text.length; at += piece_bytes) {
        pieces.push(text.slice(at, at + piece_bytes));
    }
    return pieces;
}

/* The last user text of a request in any dialect. */
export function last_user_text(request) {
    if (typeof request?.input === 'string') return request.input;
    const messages = [request?.messages, request?.input, request?.contents].find(Array.isArray) ?? [];
    for (let at = messages.length - 1; at >= 0; at--) {
        const { role, content, parts } = messages[at] ?? {};
        if (role !== 'user') continue;
        if (Array.isArray(parts)) return parts.map((part) => part?.text ?? '').join('');
        if (typeof content === 'string') return content;
        if (Array.isArray(content)) return content.map((part) => part?.text ?? '').join('');
    }
    return '';
}

/*
 * make_turn - the turn a scenario name stands for.
 * options  size and piece for "big" (numbered) and "flood" (not worth reading); count for "count" and "echo" (repetitions)
 */
export function make_turn(name, options, request) {
    if (name === 'big') {
        const size = options.size ?? 100_000;
        return { ...plain('stop'), blocks: [text_block(...in_pieces(numbered_text(size), options.piece ?? 1000))] };
    }
    if (name === 'flood') {
        const piece = 'x'.repeat(options.piece ?? 20_000);
        return plain('stop', ...Array.from({ length: Math.ceil((options.size ?? 30_000_000) / piece.length) }, () => piece));
    }
    if (name === 'count') {
        return plain('stop', ...Array.from({ length: options.count ?? 10 }, (_, n) => `${n} `));
    }
    if (name === 'echo') {
        const marker = last_user_text(request);
        return plain('stop', ...Array.from({ length: options.count ?? 10 }, (_, n) => `${marker}:${n};`));
    }
    return named[name]?.();
}

export const turn_names = [...Object.keys(named), 'big', 'flood', 'count', 'echo'];

/* What a client that joined all pieces must hold in the end. */
export function joined(turn) {
    const of = (type) => turn.blocks.filter((block) => block.type === type);
    return {
        text: of('text').map((block) => block.pieces.join('')).join(''),
        thinking: of('thinking').map((block) => block.pieces.join('')).join(''),
        calls: of('tool').map((block) => ({
            id: block.id,
            name: block.name,
            arguments: block.pieces.join('') || '{}',
        })),
        citations: of('text').flatMap((block) => block.citations ?? []),
        images: of('image').map((block) => ({ media_type: block.media_type, data: block.data })),
        signatures: of('thinking').map((block) => block.signature),
        redacted: of('redacted').map((block) => block.data),
        finish: turn.finish,
        usage: turn.usage,
    };
}
