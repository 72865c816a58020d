// SPDX-License-Identifier: MIT
//
// write_gemini - a turn as a Gemini answer: chunks of a stream, as events or as elements of a JSON array, or one object.

const finish_words = { length: 'MAX_TOKENS', window: 'MAX_TOKENS', filter: 'SAFETY' };
const statuses = {
    400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 429: 'RESOURCE_EXHAUSTED',
    500: 'INTERNAL', 503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED',
};

/* Counters that are zero are left out, as protobuf does. */
export function gemini_usage(usage) {
    const counters = {
        promptTokenCount: usage.input, candidatesTokenCount: usage.output - usage.reasoning, totalTokenCount: usage.input + usage.output,
        cachedContentTokenCount: usage.cache_read, thoughtsTokenCount: usage.reasoning,
    };
    return Object.fromEntries(Object.entries(counters).filter(([, count]) => count !== 0));
}

function arguments_of(block) {
    try {
        return JSON.parse(block.pieces.join('') || '{}');
    } catch {
        return null;
    }
}

/*
 * parts_of - the parts of a turn, one list for each chunk. A thought's signature stands where Gemini puts it: on the first
 * call behind it, else on the last part of the answer.
 */
function parts_of(turn, options) {
    const chunks = [];
    let signature = null;
    for (const block of turn.blocks) {
        // A second thought: the first one's signature stands behind what it led to.
        if (block.type === 'thinking' && signature) chunks.push([{ text: '', thoughtSignature: signature }]);
        if (block.type === 'text') {
            for (const text of block.pieces) chunks.push([{ text }]);
        } else if (block.type === 'thinking') {
            for (const text of block.pieces) chunks.push([{ text, thought: true }]);
            signature = block.signature;
        } else if (block.type === 'redacted') {
            signature = block.data;
        } else if (block.type === 'image') {
            chunks.push([{ inlineData: { mimeType: block.media_type, data: block.data } }]);
        } else {
            const args = arguments_of(block);
            if (args === null) continue;
            const part = { functionCall: { ...(options.ids === false ? {} : { id: block.id }), name: block.name, args } };
            if (signature) part.thoughtSignature = signature;
            signature = null;
            const last = chunks[chunks.length - 1];
            // Parallel calls come in one chunk, or in one each.
            if (options.together && last?.[0]?.functionCall) last.push(part);
            else chunks.push([part]);
        }
    }
    if (signature) {
        const last = chunks[chunks.length - 1];
        if (options.signature_apart || !last || last[0].thought) chunks.push([{ text: '', thoughtSignature: signature }]);
        else last[last.length - 1].thoughtSignature = signature;
    }
    return chunks;
}

/* What the answer is founded on. Offsets count bytes of UTF-8, and a zero is left out. */
function grounding_of(turn) {
    const block = turn.blocks.find((each) => each.citations);
    if (!block) return undefined;
    const letters = Array.from(block.pieces.join(''));
    const bytes = (count) => Buffer.byteLength(letters.slice(0, count).join(''));
    return {
        webSearchQueries: ['greetings'],
        searchEntryPoint: { renderedContent: '<div></div>' },
        groundingChunks: block.citations.map(({ url, title }) => ({ web: { uri: url, title } })),
        groundingSupports: block.citations.map(({ start, end }, at) => ({
            segment: { ...(start > 0 ? { startIndex: bytes(start) } : {}), endIndex: bytes(end), text: letters.slice(start, end).join('') },
            groundingChunkIndices: [at],
        })),
    };
}

function finish_of(turn) {
    const broken = turn.blocks.some((block) => block.type === 'tool' && arguments_of(block) === null);
    if (broken && turn.finish !== 'length') return 'MALFORMED_FUNCTION_CALL';
    return finish_words[turn.finish] ?? 'STOP';
}

function chunk_of(turn, request, options, parts, over) {
    const candidate = { content: { parts, role: 'model' }, index: 0 };
    if (over) {
        candidate.finishReason = finish_of(turn);
        const grounding = grounding_of(turn);
        if (grounding) candidate.groundingMetadata = grounding;
    }
    return {
        candidates: [candidate],
        usageMetadata: over ? gemini_usage(turn.usage) : { promptTokenCount: turn.usage.input, totalTokenCount: turn.usage.input },
        modelVersion: request.model, responseId: options.id ?? 'fakeresponse0001',
    };
}

/*
 * gemini_stream - the chunks of one stream.
 * options  finish: false leaves the reason of the end out; trailing: the end has a chunk with an empty text of its own; together:
 *          parallel calls in one chunk; ids: false leaves the ids of calls out; signature_apart: on an empty part of its own
 */
export function gemini_stream(turn, request, options = {}) {
    const parts = parts_of(turn, options);
    if (options.trailing || parts.length === 0) parts.push([{ text: '' }]);
    return parts.map((each, at) => {
        const over = at === parts.length - 1 && options.finish !== false;
        return { data: JSON.stringify(chunk_of(turn, request, options, each, over)) };
    });
}

/* joined_parts - text that came in pieces as one part, as a whole answer has it. */
function joined_parts(chunks) {
    const parts = [];
    for (const part of chunks.flat()) {
        const last = parts[parts.length - 1];
        const joins = last && typeof last.text === 'string' && typeof part.text === 'string' && last.thought === part.thought && !last.thoughtSignature;
        if (joins) Object.assign(last, part, { text: last.text + part.text });
        else parts.push({ ...part });
    }
    return parts;
}

export function gemini_json(turn, request, options = {}) {
    return chunk_of(turn, request, options, joined_parts(parts_of(turn, options)), true);
}

export function gemini_error(error, status = 500) {
    return { error: { code: status, message: error.message, status: error.status ?? statuses[status] ?? 'UNKNOWN', ...(error.details ? { details: error.details } : {}) } };
}

/* frame_array - events as the elements of one JSON array, the way a stream without alt=sse is sent. */
export function frame_array(events) {
    const elements = events.map(({ data }, at) => Buffer.from(`${at === 0 ? '[' : ',\r\n'}${JSON.stringify(JSON.parse(data), null, 2)}`));
    return [...elements, Buffer.from(events.length === 0 ? '[]' : '\n]\n')];
}
