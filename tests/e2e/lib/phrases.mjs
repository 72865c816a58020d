// SPDX-License-Identifier: MIT
//
// phrases - the same things said in each of the four dialects: a system text, tools, the result of a call, an image; and how to
// find them again in a request that reached an upstream. Written from the formats (wire-formats 2 to 5), not from the gateway.

const weather = { type: 'object', properties: { city: { type: 'string', description: 'Where' } }, required: ['city'] };

/* add_system - a text that stands above the conversation. */
export const add_system = {
    chat: (body, text) => ({ ...body, messages: [{ role: 'system', content: text }, ...body.messages] }),
    responses: (body, text) => ({ ...body, instructions: text }),
    anthropic: (body, text) => ({ ...body, system: text }),
    gemini: (body, text) => ({ ...body, systemInstruction: { parts: [{ text }] } }),
};

/* add_tools - one with an argument, one without. */
export const add_tools = {
    chat: (body) => ({
        ...body,
        tools: [
            { type: 'function', function: { name: 'get_weather', description: 'The weather', parameters: weather } },
            { type: 'function', function: { name: 'ping_server', description: 'Is it there?', parameters: { type: 'object', properties: {} } } },
        ],
    }),
    responses: (body) => ({
        ...body,
        tools: [
            { type: 'function', name: 'get_weather', description: 'The weather', parameters: weather, strict: false },
            { type: 'function', name: 'ping_server', description: 'Is it there?', parameters: { type: 'object', properties: {} }, strict: false },
        ],
    }),
    anthropic: (body) => ({
        ...body,
        tools: [
            { name: 'get_weather', description: 'The weather', input_schema: weather },
            { name: 'ping_server', description: 'Is it there?', input_schema: { type: 'object', properties: {} } },
        ],
    }),
    gemini: (body) => ({
        ...body,
        tools: [{ functionDeclarations: [{ name: 'get_weather', description: 'The weather', parameters: weather }, { name: 'ping_server', description: 'Is it there?' }] }],
    }),
};

/* add_image - a picture beside the question. */
export const add_image = {
    chat: (body, type, data) => ({ ...body, messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url: `data:${type};base64,${data}` } }] }] }),
    responses: (body, type, data) => ({ ...body, input: [{ role: 'user', content: [{ type: 'input_text', text: 'What is this?' }, { type: 'input_image', image_url: `data:${type};base64,${data}`, detail: 'auto' }] }] }),
    anthropic: (body, type, data) => ({ ...body, messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, { type: 'image', source: { type: 'base64', media_type: type, data } }] }] }),
    gemini: (body, type, data) => ({ ...body, contents: [{ role: 'user', parts: [{ text: 'What is this?' }, { inlineData: { mimeType: type, data } }] }] }),
};

/*
 * add_results - the conversation goes on behind an answer with calls: the answer as the client got it (a whole body), and one
 * text for each call.
 */
export const add_results = {
    chat: (body, answer, texts) => {
        const { message } = answer.choices[0];
        const results = message.tool_calls.map((call, at) => ({ role: 'tool', tool_call_id: call.id, content: texts[at] }));
        return { ...body, messages: [...body.messages, message, ...results] };
    },
    responses: (body, answer, texts) => {
        const calls = answer.output.filter((item) => item.type === 'function_call');
        const results = calls.map((call, at) => ({ type: 'function_call_output', call_id: call.call_id, output: texts[at] }));
        return { ...body, input: [{ role: 'user', content: body.input }, ...answer.output, ...results] };
    },
    anthropic: (body, answer, texts) => {
        const calls = answer.content.filter((block) => block.type === 'tool_use');
        const results = calls.map((call, at) => ({ type: 'tool_result', tool_use_id: call.id, content: texts[at] }));
        return { ...body, messages: [...body.messages, { role: 'assistant', content: answer.content }, { role: 'user', content: results }] };
    },
    gemini: (body, answer, texts) => {
        const { content } = answer.candidates[0];
        const calls = content.parts.filter((part) => part.functionCall);
        const results = calls.map(({ functionCall: { id, name } }, at) => ({ functionResponse: { id, name, response: { output: texts[at] } } }));
        return { ...body, contents: [...body.contents, content, { role: 'user', parts: results }] };
    },
};

const text_of = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(''));

/* system_in - the system text of a request. */
export const system_in = {
    chat: (body) => body.messages.filter(({ role }) => role === 'system' || role === 'developer').map(({ content }) => text_of(content)).join(''),
    responses: (body) => (body.instructions ?? '') + (Array.isArray(body.input) ? body.input : []).filter(({ role }) => role === 'system' || role === 'developer').map(({ content }) => text_of(content)).join(''),
    anthropic: (body) => text_of(body.system),
    gemini: (body) => text_of(body.systemInstruction?.parts ?? body.system_instruction?.parts),
};

/* tools_in - [name, names of its parameters] of each tool of a request. */
const parameters_of = (schema) => Object.keys(schema?.properties ?? {});
export const tools_in = {
    chat: (body) => body.tools.map(({ function: { name, parameters } }) => [name, parameters_of(parameters)]),
    responses: (body) => body.tools.map(({ name, parameters }) => [name, parameters_of(parameters)]),
    anthropic: (body) => body.tools.map(({ name, input_schema }) => [name, parameters_of(input_schema)]),
    gemini: (body) => body.tools.flatMap((tool) => tool.functionDeclarations).map((each) => [each.name, parameters_of(each.parameters ?? each.parametersJsonSchema)]),
};

/* images_in - [media type, base64] of each image of a request. */
function of_data_url(url) {
    const found = /^data:([^;,]+);base64,(.*)$/s.exec(url);
    return found ? [found[1], found[2]] : [null, url];
}
export const images_in = {
    chat: (body) => body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter((part) => part.type === 'image_url').map((part) => of_data_url(part.image_url.url)),
    responses: (body) => body.input.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter((part) => part.type === 'input_image').map((part) => of_data_url(part.image_url)),
    anthropic: (body) => body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter((part) => part.type === 'image').map(({ source }) => [source.media_type, source.data]),
    gemini: (body) => body.contents.flatMap(({ parts }) => parts).filter((part) => part.inlineData).map(({ inlineData }) => [inlineData.mimeType, inlineData.data]),
};

/* calls_in - calls and results of a request: [{name, arguments, result}], results joined to their calls. */
function join_results(calls, results) {
    return calls.map(({ id, name, value }) => ({ name, value, result: results.find((result) => result.id === id)?.text }));
}
export const calls_in = {
    chat: (body) => join_results(
        body.messages.flatMap((message) => message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, value: JSON.parse(call.function.arguments) })),
        body.messages.filter(({ role }) => role === 'tool').map((message) => ({ id: message.tool_call_id, text: text_of(message.content) })),
    ),
    responses: (body) => join_results(
        body.input.filter(({ type }) => type === 'function_call').map((item) => ({ id: item.call_id, name: item.name, value: JSON.parse(item.arguments) })),
        body.input.filter(({ type }) => type === 'function_call_output').map((item) => ({ id: item.call_id, text: text_of(item.output) })),
    ),
    anthropic: (body) => join_results(
        body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter(({ type }) => type === 'tool_use').map((block) => ({ id: block.id, name: block.name, value: block.input })),
        body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter(({ type }) => type === 'tool_result').map((block) => ({ id: block.tool_use_id, text: text_of(block.content) })),
    ),
    gemini: (body) => {
        const parts = body.contents.flatMap((content) => content.parts);
        // Without ids, results stand in the order of their calls.
        const calls = parts.filter((part) => part.functionCall).map(({ functionCall }, at) => ({ id: functionCall.id ?? `at ${at}`, name: functionCall.name, value: functionCall.args ?? {} }));
        const results = parts.filter((part) => part.functionResponse).map(({ functionResponse }, at) => ({ id: functionResponse.id ?? `at ${at}`, text: functionResponse.response.output ?? functionResponse.response.result ?? functionResponse.response.content }));
        return join_results(calls, results);
    },
};

/* states_in - opaque reasoning state of a request, where its provider looks for it. */
export const states_in = {
    chat: (body) => body.messages.flatMap((message) => (message.reasoning_details ?? []).map((detail) => detail.signature ?? detail.data)),
    responses: (body) => body.input.filter(({ type }) => type === 'reasoning').map((item) => item.encrypted_content),
    anthropic: (body) => body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter(({ type }) => type === 'thinking' || type === 'redacted_thinking').map((block) => block.signature ?? block.data),
    gemini: (body) => body.contents.flatMap((content) => content.parts).filter((part) => part.thoughtSignature).map((part) => part.thoughtSignature),
};

const answer_schema = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'], additionalProperties: false };

/* add_schema, schema_in - what an answer must look like. */
export const add_schema = {
    chat: (body) => ({ ...body, response_format: { type: 'json_schema', json_schema: { name: 'reply', schema: answer_schema, strict: true } } }),
    responses: (body) => ({ ...body, text: { format: { type: 'json_schema', name: 'reply', schema: answer_schema, strict: true } } }),
    anthropic: (body) => ({ ...body, output_config: { format: { type: 'json_schema', schema: answer_schema } } }),
    gemini: (body) => {
        const { additionalProperties: _, ...responseSchema } = answer_schema;
        return { ...body, generationConfig: { ...body.generationConfig, responseMimeType: 'application/json', responseSchema } };
    },
};
export const schema_in = {
    chat: (body) => body.response_format.json_schema.schema,
    responses: (body) => body.text.format.schema,
    anthropic: (body) => body.output_config.format.schema,
    gemini: ({ generationConfig }) => generationConfig.responseSchema ?? generationConfig.responseJsonSchema,
};

/* add_choice, choice_in - the one tool that must be called. */
export const add_choice = {
    chat: (body, name) => ({ ...body, tool_choice: { type: 'function', function: { name } } }),
    responses: (body, name) => ({ ...body, tool_choice: { type: 'function', name } }),
    anthropic: (body, name) => ({ ...body, tool_choice: { type: 'tool', name } }),
    gemini: (body, name) => ({ ...body, toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: [name] } } }),
};
export const choice_in = {
    chat: ({ tool_choice }) => [tool_choice.type === 'function' && tool_choice.function.name],
    responses: ({ tool_choice }) => [tool_choice.type === 'function' && tool_choice.name],
    anthropic: ({ tool_choice }) => [tool_choice.type === 'tool' && tool_choice.name],
    gemini: ({ toolConfig: { functionCallingConfig: config } }) => (config.mode === 'ANY' ? config.allowedFunctionNames : []),
};

/* add_stop, stop_in - texts at which an answer ends. Responses has none. */
export const add_stop = {
    chat: (body, texts) => ({ ...body, stop: texts }),
    anthropic: (body, texts) => ({ ...body, stop_sequences: texts }),
    gemini: (body, texts) => ({ ...body, generationConfig: { ...body.generationConfig, stopSequences: texts } }),
};
export const stop_in = {
    chat: ({ stop }) => stop,
    anthropic: ({ stop_sequences }) => stop_sequences,
    gemini: ({ generationConfig }) => generationConfig.stopSequences,
};

/* add_free_tool - a tool whose input is free text; only OpenAI's dialects have such. */
export const add_free_tool = {
    chat: (body) => ({ ...body, tools: [{ type: 'custom', custom: { name: 'run_code', description: 'Runs it' } }] }),
    responses: (body) => ({ ...body, tools: [{ type: 'custom', name: 'run_code', description: 'Runs it' }] }),
};
