// SPDX-License-Identifier: MIT
//
// ask - put a question through one of the official client libraries and read its answer into the plain
// form of decode_chat.mjs, so that one table of expectations serves every library and all pairs.

import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { decode_responses_object } from './decode_responses.mjs';
import { decode_gemini_chunks } from './decode_gemini.mjs';

export function openai_at(url, options = {}) {
    return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'client-key', maxRetries: 0, timeout: 60_000, ...options });
}

export function anthropic_at(url, options = {}) {
    return new Anthropic({ baseURL: url, apiKey: 'client-key', authToken: null, maxRetries: 0, timeout: 60_000, ...options });
}

export function google_at(url, options = {}) {
    return new GoogleGenAI({ apiKey: 'client-key', httpOptions: { baseUrl: url, timeout: 60_000 }, ...options });
}

const question = [{ role: 'user', content: 'Go on.' }];

function openai_turn(completion, thinking) {
    const { message, finish_reason } = completion.choices[0];
    return {
        text: message.content ?? '',
        content_is_null: message.content === null,
        thinking: thinking ?? message.reasoning_content ?? '',
        refusal: message.refusal ?? '',
        calls: (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, arguments: call.function.arguments })),
        finish: finish_reason,
        usage: completion.usage && {
            in_total: completion.usage.prompt_tokens,
            cache_read: completion.usage.prompt_tokens_details?.cached_tokens ?? 0,
            out_total: completion.usage.completion_tokens,
            reasoning: completion.usage.completion_tokens_details?.reasoning_tokens ?? 0,
            total: completion.usage.total_tokens,
        },
        id: completion.id,
        model: completion.model,
    };
}

/* ask_openai - mode 'stream' or 'whole'; extra: further request fields; request: options of the call. */
export async function ask_openai(client, model, mode, extra = {}, request = {}) {
    const body = { model, messages: question, ...extra };
    if (mode === 'whole') return openai_turn(await client.chat.completions.create(body, request));
    const stream = client.chat.completions.stream({ stream_options: { include_usage: true }, ...body }, request);
    let thinking = '';
    stream.on('chunk', (chunk) => {
        const delta = chunk.choices[0]?.delta ?? {};
        thinking += delta.reasoning_content ?? '';
    });
    return openai_turn(await stream.finalChatCompletion(), thinking);
}

export async function ask_anthropic(client, model, mode, extra = {}, request = {}) {
    const body = { model, max_tokens: 1024, messages: question, ...extra };
    const message = mode === 'whole' ? await client.messages.create(body, request) : await client.messages.stream(body, request).finalMessage();
    const of = (type) => message.content.filter((block) => block.type === type);
    const cache_read = message.usage.cache_read_input_tokens ?? 0;
    const cache_write = message.usage.cache_creation_input_tokens ?? 0;
    return {
        text: of('text').map((block) => block.text).join(''),
        thinking: of('thinking').map((block) => block.thinking).join(''),
        signatures: of('thinking').map((block) => block.signature),
        refusal: '',
        calls: of('tool_use').map((block) => ({ id: block.id, name: block.name, arguments: JSON.stringify(block.input) })),
        finish: message.stop_reason,
        stop_sequence: message.stop_sequence,
        usage: {
            in_total: message.usage.input_tokens + cache_read + cache_write,
            cache_read,
            cache_write,
            out_total: message.usage.output_tokens,
        },
        id: message.id,
        model: message.model,
        types: message.content.map((block) => block.type),
    };
}

/* The library's own idea of the final response, in the plain form; `response` is the object itself. */
function responses_turn(response) {
    const { output_text, ...wire } = response;
    const turn = decode_responses_object(wire);
    return {
        ...turn,
        output_text,
        finish: response.status === 'incomplete' ? response.incomplete_details?.reason : response.status,
        usage: turn.usage && { ...turn.usage, total: response.usage.total_tokens },
        id: response.id,
        model: response.model,
        response,
    };
}

/* ask_responses - through the same library's other interface; a stream is read by its helper that gathers the response. */
export async function ask_responses(client, model, mode, extra = {}, request = {}) {
    const body = { model, input: 'Go on.', ...extra };
    if (mode === 'whole') return responses_turn(await client.responses.create(body, request));
    const stream = client.responses.stream(body, request);
    let heard = '';
    stream.on('response.output_text.delta', (event) => { heard += event.delta; });
    const turn = responses_turn(await stream.finalResponse());
    if (heard !== turn.text) throw new Error(`the deltas said ${JSON.stringify(heard)}, the response ${JSON.stringify(turn.text)}`);
    return turn;
}

/* ask_google - what Google's library gives: one response, or chunks that belong together. */
export async function ask_google(client, model, mode, config = {}, contents = 'Go on.') {
    const request = { model, contents, config };
    const chunks = [];
    if (mode === 'whole') chunks.push(await client.models.generateContent(request));
    else for await (const chunk of await client.models.generateContentStream(request)) chunks.push(chunk);
    const turn = decode_gemini_chunks(chunks);
    const last = chunks[chunks.length - 1];
    return {
        ...turn,
        finish: last?.candidates?.[0]?.finishReason,
        usage: turn.usage && { ...turn.usage, total: last.usageMetadata?.totalTokenCount },
        id: last?.responseId,
        model: last?.modelVersion,
        chunks,
    };
}
