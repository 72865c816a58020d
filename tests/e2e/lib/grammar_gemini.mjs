// SPDX-License-Identifier: MIT
//
// grammar_gemini - what a well-formed stream of Gemini chunks is, as events or as a JSON array (wire-formats 5.2; R10, R96, R97).
// Written from the format's description; it knows nothing of how the gateway makes its streams.

const finish_words = [
    'STOP', 'MAX_TOKENS', 'SAFETY', 'RECITATION', 'LANGUAGE', 'OTHER', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'MALFORMED_FUNCTION_CALL',
    'UNEXPECTED_TOOL_CALL', 'TOO_MANY_TOOL_CALLS', 'MISSING_THOUGHT_SIGNATURE', 'IMAGE_SAFETY', 'NO_IMAGE', 'MODEL_ARMOR',
];
const payloads = [
    'text', 'inlineData', 'fileData', 'functionCall', 'functionResponse', 'executableCode', 'codeExecutionResult', 'toolCall', 'toolResponse',
];

/* Bytes in protobuf's JSON: either alphabet, padded or not. */
function is_base64(text) {
    return typeof text === 'string' && text !== '' && /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) && text.replace(/=+$/, '').length % 4 !== 1;
}

function check_part(part, ids) {
    const given = payloads.filter((name) => name in part);
    const problems = [];
    if (given.length > 1) problems.push(`a part with ${given.join(' and ')}`);
    if (given.length === 0 && !part.thoughtSignature) problems.push('a part without payload');
    if ('text' in part && typeof part.text !== 'string') problems.push('text is no text');
    if ('thoughtSignature' in part && !is_base64(part.thoughtSignature)) problems.push(`thoughtSignature is not base64: ${String(part.thoughtSignature).slice(0, 40)}`);
    if (part.functionCall) {
        const { id, name, args } = part.functionCall;
        if (typeof name !== 'string' || name === '') problems.push('a call without name');
        if (typeof (args ?? {}) !== 'object' || Array.isArray(args)) problems.push('args are no object');
        if (!id) problems.push('a call without id');
        if (ids.has(id)) problems.push(`id ${id} twice`);
        ids.add(id);
    }
    if (part.inlineData && (!part.inlineData.mimeType || !is_base64(part.inlineData.data))) problems.push('inlineData without mimeType or data');
    return problems;
}

function check_usage(usage) {
    if (!Number.isInteger(usage?.promptTokenCount)) return ['the last chunk has no promptTokenCount'];
    const parts = ['promptTokenCount', 'candidatesTokenCount', 'thoughtsTokenCount', 'toolUsePromptTokenCount'].map((name) => usage[name] ?? 0);
    const problems = parts.reduce((sum, count) => sum + count, 0) === usage.totalTokenCount ? [] : ['usage does not add up'];
    for (const [name, count] of Object.entries(usage)) if (count === 0) problems.push(`${name} is given though it is zero`);
    return problems;
}

/*
 * check_gemini_chunks - problems of a list of parsed chunks.
 * options  ends: 'error' when it must end in an error; no_usage: the upstream told none; choices: there are several candidates
 */
export function check_gemini_chunks(chunks, options = {}) {
    const problems = [];
    const ids = new Set();
    let finished = false;
    let error = null;
    const wrong = (text) => { if (problems.length < 10) problems.push(text); };
    chunks.forEach((chunk, at) => {
        if (error) return wrong(`chunk ${at} after the error`);
        // Of several candidates each has an end of its own.
        if (finished && !options.choices) wrong(`chunk ${at} after the finish`);
        if (chunk.error) {
            error = chunk.error;
            if (!Number.isInteger(error.code) || typeof error.message !== 'string' || typeof error.status !== 'string') wrong(`chunk ${at}: error without code, message or status`);
            return undefined;
        }
        if (typeof chunk.responseId !== 'string' || chunk.responseId !== chunks[0].responseId) wrong(`chunk ${at}: responseId ${chunk.responseId}`);
        if (typeof chunk.modelVersion !== 'string') wrong(`chunk ${at} has no modelVersion`);
        if (chunk.promptFeedback?.blockReason && !chunk.candidates) finished = true;
        for (const candidate of chunk.candidates ?? []) {
            if ((candidate.index ?? 0) !== 0 && !options.choices) wrong(`chunk ${at}: candidate ${candidate.index}`);
            if (candidate.content && candidate.content.role !== 'model') wrong(`chunk ${at}: role ${candidate.content.role}`);
            for (const part of candidate.content?.parts ?? []) check_part(part, ids).forEach((problem) => wrong(`chunk ${at}: ${problem}`));
            if (candidate.finishReason === undefined) continue;
            if (!finish_words.includes(candidate.finishReason)) wrong(`chunk ${at}: unknown finishReason ${candidate.finishReason}`);
            finished = true;
        }
        if (finished && !options.no_usage && at === chunks.length - 1) check_usage(chunk.usageMetadata).forEach((problem) => wrong(`chunk ${at}: ${problem}`));
        return undefined;
    });
    if (options.ends === 'error') {
        if (!error) wrong('no error');
        if (finished) wrong('a finish beside the error');
    } else if (error) wrong(`an error: ${JSON.stringify(error)}`);
    else if (!finished) wrong('no finishReason');
    return problems;
}

/* check_gemini - problems of a stream of SSE events; options: ends 'error' when it must end in an error. */
export function check_gemini(events, options = {}) {
    const problems = [];
    const chunks = [];
    events.forEach(({ event, data, id }, at) => {
        if (event !== 'message') problems.push(`event ${at} has a name: ${event}`);
        // The official library takes an event for one only when it begins with "data:".
        if (id !== undefined) problems.push(`event ${at} has an id`);
        try {
            chunks.push(JSON.parse(data));
        } catch {
            problems.push(`event ${at} is not JSON: ${data.slice(0, 80)}`);
        }
    });
    return [...problems, ...check_gemini_chunks(chunks, options)];
}

/* check_gemini_passed - what must hold of an upstream's own stream that was passed on: chunks, and an error only where one belongs. */
export function check_gemini_passed(events, options = {}) {
    try {
        const error = events.some(({ data }) => JSON.parse(data).error);
        return error === (options.ends === 'error') ? [] : [error ? 'an error' : 'no error'];
    } catch (problem) {
        return [String(problem)];
    }
}
