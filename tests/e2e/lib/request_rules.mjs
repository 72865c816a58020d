// SPDX-License-Identifier: MIT
//
// request_rules - what a provider of each dialect refuses in a request, as far as its rules are known (wire-formats 2.2, 3.2,
// 4.1 to 4.3, 5.1, 11). For requests that the gateway has translated.

function anthropic_problems(body) {
    const problems = [];
    if (!Array.isArray(body.messages) || body.messages.length === 0) return ['no messages'];
    if (!Number.isInteger(body.max_tokens)) problems.push('no max_tokens');
    let open = new Set();
    body.messages.forEach((message, at) => {
        if (!['user', 'assistant', 'system'].includes(message.role)) problems.push(`role ${message.role}`);
        if (at > 0 && message.role === body.messages[at - 1].role && message.role !== 'system') problems.push(`two turns of ${message.role}`);
        const blocks = Array.isArray(message.content) ? message.content : [{ type: 'text', text: message.content }];
        if (blocks.length === 0) problems.push('an empty turn');
        let text_seen = false;
        const answered = new Set(blocks.filter((block) => block.type === 'tool_result').map((block) => block.tool_use_id));
        for (const id of open) if (!answered.has(id)) problems.push(`tool_use ${id} without a result in the next turn`);
        if (message.role !== 'system') open = new Set();
        for (const block of blocks) {
            if (block.type === 'text' && !block.text) problems.push('an empty text block');
            if (block.type === 'tool_use') {
                if (typeof block.input !== 'object' || !/^[a-zA-Z0-9_-]+$/.test(block.id)) problems.push(`tool_use ${block.id}`);
                if (message.role !== 'assistant') problems.push(`tool_use in a turn of ${message.role}`);
                if (at < body.messages.length - 1) open.add(block.id);
            }
            if (block.type === 'tool_result' && text_seen) problems.push('a tool_result behind text');
            if (block.type !== 'tool_result') text_seen = true;
        }
    });
    for (const tool of body.tools ?? []) if (!tool.input_schema || tool.input_schema.type !== 'object') problems.push(`tool ${tool.name}`);
    return problems;
}

function chat_problems(body) {
    const problems = [];
    if (!Array.isArray(body.messages) || body.messages.length === 0) return ['no messages'];
    const calls = new Set();
    for (const message of body.messages) {
        if (!['system', 'developer', 'user', 'assistant', 'tool'].includes(message.role)) problems.push(`role ${message.role}`);
        if (message.role === 'tool' && !calls.has(message.tool_call_id)) problems.push(`a result for ${message.tool_call_id}, which nobody called`);
        if (message.role === 'user' && (message.content === '' || message.content?.length === 0)) problems.push('an empty message');
        for (const call of message.tool_calls ?? []) {
            if (typeof (call.function?.arguments ?? call.custom?.input) !== 'string') problems.push('arguments are no text');
            if (!call.id || call.id.length > 40) problems.push(`the id ${call.id}`);
            calls.add(call.id);
        }
    }
    for (const tool of body.tools ?? []) if (!(tool.type === 'function' && tool.function?.name) && !(tool.type === 'custom' && tool.custom?.name)) problems.push('a tool without name');
    return problems;
}

function responses_problems(body) {
    const problems = [];
    if (!(typeof body.input === 'string' && body.input !== '') && !(Array.isArray(body.input) && body.input.length > 0)) return ['no input'];
    for (const name of ['messages', 'max_tokens', 'stop', 'n', 'seed', 'response_format', 'functions']) if (name in body) problems.push(`${name} does not exist here`);
    if (body.store !== false) problems.push('store is not false');
    const items = Array.isArray(body.input) ? body.input : [];
    const calls = new Map();
    items.forEach((item, at) => {
        const type = item.type ?? 'message';
        const next = items[at + 1];
        if (type === 'message') {
            if (!['user', 'assistant', 'system', 'developer'].includes(item.role)) problems.push(`role ${item.role}`);
            for (const part of Array.isArray(item.content) ? item.content : []) {
                const fits = item.role === 'assistant' ? ['output_text', 'refusal'] : ['input_text', 'input_image', 'input_file', 'input_audio'];
                if (!fits.includes(part.type)) problems.push(`${part.type} in a message of ${item.role}`);
            }
        }
        if (type === 'reasoning' && !(next && ['message', 'function_call', 'custom_tool_call', 'reasoning'].includes(next.type ?? 'message'))) problems.push('reasoning without the item it led to');
        if (type === 'function_call' || type === 'custom_tool_call') {
            if (!item.call_id || item.call_id.length > 64 || !item.name) problems.push(`the call ${item.call_id}`);
            if (typeof (item.arguments ?? item.input) !== 'string') problems.push('arguments are no text');
            calls.set(item.call_id, false);
        }
        if (/_call_output$/.test(type)) {
            if (!calls.has(item.call_id)) problems.push(`an output for ${item.call_id}, which nobody called`);
            calls.set(item.call_id, true);
        }
        if (item.id && item.id.length > 64) problems.push(`the id ${item.id}`);
    });
    for (const [id, answered] of calls) if (!answered && items[items.length - 1].call_id !== id) problems.push(`the call ${id} has no output`);
    for (const tool of body.tools ?? []) {
        if (!tool.type || 'input_schema' in tool || typeof tool.function === 'object') problems.push(`a tool that is none: ${JSON.stringify(tool).slice(0, 60)}`);
        if (tool.type === 'function' && (!tool.name || !('parameters' in tool))) problems.push('a function without name or parameters');
    }
    return problems;
}

/* What no schema of Gemini's own kind may hold (`parameters`, `responseSchema`). */
const foreign_keywords = [
    '$schema', '$id', '$comment', '$ref', '$defs', 'oneOf', 'allOf', 'not', 'const', 'if', 'then', 'else', 'propertyNames', 'patternProperties',
    'additionalProperties', 'unevaluatedProperties', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'uniqueItems', 'examples', 'contains',
];

function schema_problems(schema, where) {
    if (typeof schema !== 'object' || schema === null) return [`${where} is no schema`];
    const problems = foreign_keywords.filter((name) => name in schema).map((name) => `${where} has ${name}`);
    if (Array.isArray(schema.type)) problems.push(`${where} has a list of types`);
    if (schema.enum && !schema.enum.every((value) => typeof value === 'string' && value !== '')) problems.push(`${where} has an enum of other things than texts`);
    if (schema.properties && Object.keys(schema.properties).length === 0) problems.push(`${where} has empty properties`);
    if (schema.required) for (const name of schema.required) if (!(name in (schema.properties ?? {}))) problems.push(`${where} requires ${name}, which it does not have`);
    for (const [name, inner] of Object.entries(schema.properties ?? {})) problems.push(...schema_problems(inner, `${where}.${name}`));
    if (schema.items) problems.push(...schema_problems(schema.items, `${where}[]`));
    for (const [at, inner] of (schema.anyOf ?? []).entries()) problems.push(...schema_problems(inner, `${where}|${at}`));
    return problems;
}

function gemini_problems(body) {
    const problems = [];
    if (!Array.isArray(body.contents) || body.contents.length === 0) return ['no contents'];
    for (const name of ['messages', 'model', 'stream', 'max_tokens', 'system', 'temperature']) if (name in body) problems.push(`${name} does not exist here`);
    const payloads = ['text', 'inlineData', 'fileData', 'functionCall', 'functionResponse', 'executableCode', 'codeExecutionResult', 'toolCall', 'toolResponse'];
    body.contents.forEach((content, at) => {
        if (!['user', 'model'].includes(content.role)) problems.push(`role ${content.role}`);
        // Results stand alone: what the user says besides is a content of its own.
        const behind_results = at > 0 && body.contents[at - 1].parts.some((part) => part.functionResponse);
        if (at > 0 && content.role === body.contents[at - 1].role && !behind_results) problems.push(`two contents of ${content.role}`);
        if (!Array.isArray(content.parts) || content.parts.length === 0) return void problems.push('a content without parts');
        for (const part of content.parts) {
            if (payloads.filter((name) => name in part).length !== 1) problems.push(`a part of ${Object.keys(part)}`);
            if (part.functionResponse && (typeof part.functionResponse.response !== 'object' || Array.isArray(part.functionResponse.response))) problems.push('a response that is no object');
            if (part.functionCall && (typeof (part.functionCall.args ?? {}) !== 'object' || !part.functionCall.name)) problems.push('a call without name or arguments');
        }
        const calls = content.parts.filter((part) => part.functionCall).length;
        const results = content.parts.filter((part) => part.functionResponse).length;
        const before = at > 0 ? body.contents[at - 1].parts.filter((part) => part.functionCall).length : 0;
        if (calls > 0 && content.role !== 'model') problems.push(`calls in a content of ${content.role}`);
        if (results !== before) problems.push(`${results} results for ${before} calls`);
    });
    for (const part of body.systemInstruction?.parts ?? []) if (typeof part.text !== 'string' || part.text === '') problems.push('a system part without text');
    for (const tool of body.tools ?? []) {
        for (const declaration of tool.functionDeclarations ?? []) {
            if (!/^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$/.test(declaration.name)) problems.push(`the function ${declaration.name}`);
            if (declaration.parameters && declaration.parametersJsonSchema) problems.push('two schemas for one function');
            if (declaration.parameters) problems.push(...schema_problems(declaration.parameters, declaration.name));
        }
    }
    const config = body.generationConfig ?? {};
    if (config.responseSchema) problems.push(...schema_problems(config.responseSchema, 'responseSchema'));
    if (config.stopSequences?.length > 5) problems.push('more than five stop sequences');
    if (config.thinkingConfig?.thinkingBudget !== undefined && config.thinkingConfig?.thinkingLevel !== undefined) problems.push('budget and level together');
    return problems;
}

const rules = { chat: chat_problems, anthropic: anthropic_problems, responses: responses_problems, gemini: gemini_problems };

/* request_problems - what is wrong with a translated request, by the rules of the dialect it is in now. */
export function request_problems(body, dialect) {
    return rules[dialect](body);
}
