// SPDX-License-Identifier: MIT
//
// recordings - real provider answers kept outside the repository: beside it, or where
// PENSTOCK_RECORDINGS says. Tests replay them when they are there and say so when they are not.

import fs from 'node:fs';
import path from 'node:path';
import { repository } from './penstock.mjs';
import { decode_chat_object, decode_chat_stream } from './decode_chat.mjs';
import { decode_anthropic_object, decode_anthropic_stream } from './decode_anthropic.mjs';
import { decode_responses_object, decode_responses_stream } from './decode_responses.mjs';
import { decode_gemini_object, decode_gemini_stream } from './decode_gemini.mjs';

export const recordings_folder = process.env.PENSTOCK_RECORDINGS ?? path.resolve(repository, '../shared/recordings');

const decoders = {
    chat: { sse: decode_chat_stream, json: decode_chat_object },
    anthropic: { sse: decode_anthropic_stream, json: decode_anthropic_object },
    responses: { sse: decode_responses_stream, json: decode_responses_object },
    gemini: { sse: decode_gemini_stream, json: decode_gemini_object },
};

/* load_recordings - entries of index.json in the four dialects; null when there is no folder. */
export function load_recordings() {
    const index = path.join(recordings_folder, 'index.json');
    if (!fs.existsSync(index)) return null;
    return JSON.parse(fs.readFileSync(index, 'utf8')).filter((entry) => entry.dialect in decoders);
}

export function recording_text(file) {
    return fs.readFileSync(path.join(recordings_folder, file), 'utf8');
}

/* plain_decode - what the provider said, read without any help from the gateway. */
export function plain_decode(entry) {
    const text = recording_text(entry.file);
    const decode = decoders[entry.dialect];
    return entry.kind === 'sse' ? decode.sse(text) : decode.json(JSON.parse(text));
}

/*
 * settle - what a client that is not the provider's own must be told, by wire-formats 12.1 and 12.2: calls
 * decide the finish, an answer without any finish ended well if it ended at all.
 */
export function settle(turn) {
    let { finish } = turn;
    if (finish === null) finish = 'stop';
    if (turn.calls.length > 0 && finish === 'stop') finish = 'tools';
    if (turn.calls.length === 0 && finish === 'tools') finish = 'stop';
    return { ...turn, finish };
}
