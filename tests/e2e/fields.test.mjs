// SPDX-License-Identifier: MIT
//
// fields - nothing a client asks for is lost in silence: each field of each dialect, towards each other dialect, is carried to
// the upstream, or named in X-Penstock-Dropped, or refused by a 400 that names it. Explicit zeros, false and empty
// things are asked for as any other value (R37, R59, R72).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { all_pairs, ask_raw } from './lib/dialects.mjs';
import { add_tools } from './lib/phrases.mjs';
import { tagged } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const set = (members) => (body) => ({ ...body, ...members });

function user_part(client, part) {
    const lists = {
        chat: (body) => ({ ...body, messages: [{ role: 'user', content: [{ type: 'text', text: 'Look.' }, part] }] }),
        responses: (body) => ({ ...body, input: [{ role: 'user', content: [{ type: 'input_text', text: 'Look.' }, part] }] }),
        anthropic: (body) => ({ ...body, messages: [{ role: 'user', content: [{ type: 'text', text: 'Look.' }, part] }] }),
        gemini: (body) => ({ ...body, contents: [{ role: 'user', parts: [{ text: 'Look.' }, part] }] }),
    };
    return lists[client];
}

function tool(client, members) {
    const list = {
        chat: (body) => ({ ...body, tools: [{ type: 'function', function: { name: 'f', ...members } }] }),
        responses: (body) => ({ ...body, tools: [{ type: 'function', name: 'f', parameters: { type: 'object', properties: {} }, strict: false, ...members }] }),
        anthropic: (body) => ({ ...body, tools: [{ name: 'f', input_schema: { type: 'object', properties: {} }, ...members }] }),
        gemini: (body) => ({ ...body, tools: [{ functionDeclarations: [{ name: 'f', ...members }] }] }),
    };
    return list[client];
}
const config = (members) => (body) => ({ ...body, generationConfig: { ...body.generationConfig, ...members } });
const with_tools = (client, change) => (body) => change(add_tools[client](body));

/* [name as it is dropped or refused, what to ask, what to ask without it (absent: the plain question)] */
const fields = {
    chat: [
        ['temperature', set({ temperature: 0 })], ['top_p', set({ top_p: 0 })], ['n', set({ n: 2 })], ['n', set({ n: 0 })], ['n', set({ n: -1 })], ['stop', set({ stop: 'END' })],
        ['presence_penalty', set({ presence_penalty: 0 })], ['frequency_penalty', set({ frequency_penalty: 0 })], ['logit_bias', set({ logit_bias: { 5: -100 } })],
        ['logprobs', set({ logprobs: true, top_logprobs: 0 })], ['seed', set({ seed: 0 })], ['reasoning_effort', set({ reasoning_effort: 'none' })],
        ['reasoning_effort', set({ reasoning_effort: 'high' })], ['verbosity', set({ verbosity: 'low' })], ['modalities', set({ modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } })],
        ['prediction', set({ prediction: { type: 'content', content: 'x' } })], ['web_search_options', set({ web_search_options: {} })], ['metadata', set({ metadata: { a: 'b' } })],
        ['store', set({ store: true })], ['user', set({ user: 'me' })], ['user', set({ user: '' })], ['safety_identifier', set({ safety_identifier: 'me' })], ['prompt_cache_key', set({ prompt_cache_key: '' })], ['prompt_cache_key', set({ prompt_cache_key: 'k' })],
        ['prompt_cache_retention', set({ prompt_cache_retention: '24h' })], ['service_tier', set({ service_tier: 'flex' })], ['moderation', set({ moderation: { model: 'm' } })],
        ['response_format', set({ response_format: { type: 'json_object' } })], ['parallel_tool_calls', with_tools('chat', set({ parallel_tool_calls: false })), add_tools.chat],
        ['tool_choice', with_tools('chat', set({ tool_choice: 'none' })), add_tools.chat], ['top_k', set({ top_k: 1 })], ['unheard_of', set({ unheard_of: 0 })],
        ['name', set({ messages: [{ role: 'user', name: 'bob', content: 'Go on.' }] })],
        ['detail', user_part('chat', { type: 'image_url', image_url: { url: `data:image/png;base64,${png}`, detail: 'low' } }), user_part('chat', { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } })],
        ['strict', tool('chat', { strict: true }), tool('chat', {})], ['input_audio', user_part('chat', { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } })],
        ['file', user_part('chat', { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } })],
        ['filename', user_part('chat', { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } }), user_part('chat', { type: 'file', file: { file_data: 'data:application/pdf;base64,JVBERi0=' } })],
        ['part', user_part('chat', { type: 'hologram', hologram: {} })],
    ],
    responses: [
        ['temperature', set({ temperature: 0 })], ['top_p', set({ top_p: 0 })], ['top_logprobs', set({ top_logprobs: 3 })], ['max_tool_calls', set({ max_tool_calls: 1 })],
        ['reasoning', set({ reasoning: { effort: 'none' } })], ['reasoning', set({ reasoning: { effort: 'high', summary: 'auto' } }), set({ reasoning: { summary: 'auto' } })],
        ['verbosity', set({ text: { verbosity: 'low' } })], ['text', set({ text: { format: { type: 'json_object' } } })], ['store', set({ store: true })],
        ['truncation', set({ truncation: 'auto' })], ['background', set({ background: true })], ['context_management', set({ context_management: [{ type: 'compaction' }] })],
        ['metadata', set({ metadata: { a: 'b' } })], ['service_tier', set({ service_tier: 'flex' })], ['user', set({ user: 'me' })], ['safety_identifier', set({ safety_identifier: 'me' })],
        ['prompt_cache_key', set({ prompt_cache_key: 'k' })], ['prompt', set({ prompt: { id: 'p' } })], ['moderation', set({ moderation: { model: 'm' } })], ['conversation', set({ conversation: 'conv_1' })],
        ['previous_response_id', set({ previous_response_id: 'resp_1' })], ['parallel_tool_calls', with_tools('responses', set({ parallel_tool_calls: false })), add_tools.responses],
        ['tool_choice', with_tools('responses', set({ tool_choice: 'none' })), add_tools.responses], ['unheard_of', set({ unheard_of: 0 })],
        ['web_search', set({ tools: [{ type: 'web_search' }] })], ['code_interpreter', set({ tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] })],
        ['item_reference', (body) => ({ ...body, input: [{ role: 'user', content: body.input }, { type: 'item_reference', id: 'msg_1' }] })],
        ['file_url', user_part('responses', { type: 'input_file', file_url: 'https://example.com/a.pdf' })], ['file_id', user_part('responses', { type: 'input_file', file_id: 'file-1' })],
        ['detail', user_part('responses', { type: 'input_image', image_url: `data:image/png;base64,${png}`, detail: 'low' }), user_part('responses', { type: 'input_image', image_url: `data:image/png;base64,${png}` })],
        ['strict', tool('responses', { strict: true }), tool('responses', { strict: undefined })],
    ],
    anthropic: [
        ['temperature', set({ temperature: 0 })], ['top_p', set({ top_p: 0 })], ['top_k', set({ top_k: 1 })], ['stop_sequences', set({ stop_sequences: ['END'] })],
        ['thinking', set({ thinking: { type: 'enabled', budget_tokens: 1024 }, max_tokens: 4096 }), set({ max_tokens: 4096 })], ['thinking', set({ thinking: { type: 'disabled' } })],
        ['effort', set({ output_config: { effort: 'low' } })], ['output_config', set({ output_config: { format: { type: 'json_schema', schema: { type: 'object', properties: {}, additionalProperties: false } } } })],
        ['task_budget', set({ output_config: { task_budget: { type: 'tokens', total: 9 } } })], ['metadata', set({ metadata: { user_id: 'me' } })], ['metadata', set({ metadata: { user_id: '' } })], ['metadata', set({ metadata: { user_id: 'me', team: 'x' } }), set({ metadata: { user_id: 'me' } })], ['service_tier', set({ service_tier: 'standard_only' })],
        ['container', set({ container: 'c' })], ['mcp_servers', set({ mcp_servers: [{ type: 'url', url: 'https://example.com', name: 'x' }] })], ['context_management', set({ context_management: { edits: [] } })],
        ['speed', set({ speed: 'fast' })], ['inference_geo', set({ inference_geo: 'eu' })], ['unheard_of', set({ unheard_of: 0 })],
        ['tool_choice', with_tools('anthropic', set({ tool_choice: { type: 'none' } })), add_tools.anthropic],
        ['disable_parallel_tool_use', with_tools('anthropic', set({ tool_choice: { type: 'auto', disable_parallel_tool_use: true } })), with_tools('anthropic', set({ tool_choice: { type: 'auto' } }))],
        ['web_search', set({ tools: [{ type: 'web_search_20250305', name: 'web_search' }] })], ['bash', set({ tools: [{ type: 'bash_20250124', name: 'bash' }] })],
        ['strict', tool('anthropic', { strict: true }), tool('anthropic', {})], ['input_examples', tool('anthropic', { input_examples: [{}] }), tool('anthropic', {})],
        ['document', user_part('anthropic', { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } })],
        ['title', user_part('anthropic', { type: 'document', title: 'T', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } }), user_part('anthropic', { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } })],
        ['context', user_part('anthropic', { type: 'document', context: 'C', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } }), user_part('anthropic', { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } })],
        ['citations', user_part('anthropic', { type: 'document', citations: { enabled: true }, source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } }), user_part('anthropic', { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } })],
        ['file', user_part('anthropic', { type: 'image', source: { type: 'file', file_id: 'file_1' } })], ['search_result', user_part('anthropic', { type: 'search_result', source: 'https://example.com', title: 'T', content: [{ type: 'text', text: 'x' }] })],
        ['is_error', (body) => ({ ...body, messages: [...body.messages, { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'bad', is_error: true }] }] }),
            (body) => ({ ...body, messages: [...body.messages, { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'bad' }] }] })],
    ],
    gemini: [
        ['temperature', config({ temperature: 0 })], ['topP', config({ topP: 0 })], ['topK', config({ topK: 1 })], ['candidateCount', config({ candidateCount: 2 })], ['candidateCount', config({ candidateCount: 0 })], ['stopSequences', config({ stopSequences: ['END'] })],
        ['seed', config({ seed: 0 })], ['presencePenalty', config({ presencePenalty: 0 })], ['frequencyPenalty', config({ frequencyPenalty: 0 })], ['responseLogprobs', config({ responseLogprobs: true, logprobs: 0 })],
        ['responseMimeType', config({ responseMimeType: 'application/json' })], ['responseMimeType', config({ responseMimeType: 'text/x.enum', responseSchema: { type: 'STRING', enum: ['a'] } })],
        ['responseModalities', config({ responseModalities: ['TEXT', 'IMAGE'] })], ['thinkingBudget', config({ thinkingConfig: { thinkingBudget: 0 } }), config({ thinkingConfig: undefined })],
        ['thinkingLevel', config({ thinkingConfig: { thinkingLevel: 'HIGH' } }), config({ thinkingConfig: undefined })],
        ['mediaResolution', config({ mediaResolution: 'MEDIA_RESOLUTION_LOW' })], ['speechConfig', config({ speechConfig: {} })], ['imageConfig', config({ imageConfig: { aspectRatio: '1:1' } })],
        ['safetySettings', set({ safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }] })], ['cachedContent', set({ cachedContent: 'cachedContents/1' })], ['serviceTier', set({ serviceTier: 'flex' })],
        ['labels', set({ labels: { a: 'b' } })], ['googleSearch', set({ tools: [{ googleSearch: {} }] })], ['codeExecution', set({ tools: [{ codeExecution: {} }] })],
        ['NONE', with_tools('gemini', set({ toolConfig: { functionCallingConfig: { mode: 'NONE' } } })), add_tools.gemini], ['VALIDATED', with_tools('gemini', set({ toolConfig: { functionCallingConfig: { mode: 'VALIDATED' } } })), add_tools.gemini],
        ['fileData', user_part('gemini', { fileData: { mimeType: 'application/pdf', fileUri: 'gs://b/a.pdf' } })], ['video', user_part('gemini', { inlineData: { mimeType: 'video/mp4', data: 'AAAA' } })],
        ['audio', user_part('gemini', { inlineData: { mimeType: 'audio/wav', data: 'UklGRg==' } })], ['executableCode', user_part('gemini', { executableCode: { language: 'PYTHON', code: '1' } })],
        ['response', tool('gemini', { description: 'd', response: { type: 'OBJECT' } }), tool('gemini', { description: 'd' })], ['unheardOf', set({ unheardOf: 0 })], ['unheardOf', config({ unheardOf: 0 })],
        ['videoMetadata', user_part('gemini', { inlineData: { mimeType: 'image/png', data: png }, videoMetadata: { startOffset: '1s' } }), user_part('gemini', { inlineData: { mimeType: 'image/png', data: png } })],
    ],
};

/* What needs no word: Claude does not think unless it is asked to. */
const said_by_silence = (pair, name, text) => pair.upstream === 'anthropic' && ['reasoning_effort', 'reasoning', 'thinkingBudget'].includes(name) && !text.includes('thinking');

async function asked(world, pair, change) {
    const model = tagged('text');
    const response = await ask_raw(world.penstock.port, pair.client, pair.prefix + model, 'stream', { change });
    const record = world.provider.seen.find((each) => each.model === model);
    return { response, text: record ? JSON.stringify(record.json).replaceAll(model, 'model') : null };
}

in_world('every field', {}, (world) => {
    for (const pair of all_pairs.filter(({ same }) => !same)) {
        it(`${pair.client} to ${pair.upstream}: is carried, named or refused`, async () => {
            const lost = [];
            for (const [name, change, without] of fields[pair.client]) {
                const { response, text } = await asked(world, pair, change);
                if (text === null) {
                    if (response.status !== 400 || !/"message":"[^"]+/.test(response.text)) lost.push(`${name}: ${response.status} ${response.text.slice(0, 200)}`);
                    continue;
                }
                const plain = await asked(world, pair, without ?? ((body) => body));
                const named = response.headers['x-penstock-dropped'] !== plain.response.headers['x-penstock-dropped'];
                if (plain.text === text && !named && !said_by_silence(pair, name, text)) lost.push(`${name}: ${text.slice(0, 300)}`);
            }
            assert.deepEqual(lost, []);
        });
    }
});
