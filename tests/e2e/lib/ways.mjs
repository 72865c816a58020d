// SPDX-License-Identifier: MIT
//
// ways - the four pairs of client dialect and upstream dialect, each with its path, grammar and decoder.

import { check_chat } from './grammar_chat.mjs';
import { check_anthropic } from './grammar_anthropic.mjs';
import { decode_chat_events } from './decode_chat.mjs';
import { decode_anthropic_events } from './decode_anthropic.mjs';

export const dialects = {
    chat: { path: '/v1/chat/completions', check: check_chat, decode: decode_chat_events },
    anthropic: { path: '/v1/messages', check: check_anthropic, decode: decode_anthropic_events },
};

export const ways = [];
for (const client of ['chat', 'anthropic']) {
    for (const upstream of ['chat', 'anthropic']) {
        ways.push({ client, upstream, name: `${upstream} to ${client}`, ...dialects[client], prefix: upstream === 'chat' ? 'c/' : 'a/' });
    }
}

/* stream_request - the parts of a streaming request for raw.mjs. */
export function stream_request(model, extra = {}) {
    return { body: { model, stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'Go on.' }], ...extra } };
}

/* tagged - a model name that no other request has, so that the fake provider's record of it is surely the right one. */
let tags = 0;
export function tagged(model) {
    return `${model},tag=${++tags}`;
}
