// SPDX-License-Identifier: MIT
//
// recordings_requests - every recorded request of the chat and anthropic dialects, sent by a client of that
// dialect to both kinds of upstream: untouched where both speak one dialect, translated into something
// that upstream can read, or refused with a 400 that names the field (R37, R65, R70).

import fs from 'node:fs';
import path from 'node:path';
import test, { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock } from './lib/penstock.mjs';
import { exchange, json_of } from './lib/raw.mjs';
import { load_recordings, recordings_folder } from './lib/recordings.mjs';

const recordings = load_recordings();
const paths = { chat: '/v1/chat/completions', anthropic: '/v1/messages' };
/* What the other dialect has no words for; refusing these is right (wire-formats 11.6). */
const may_be_refused = /audio|modalities|\bn\b|file|video|web_search|tool|custom|document|server|response_format|function|input|content|container|mcp|image/i;

/* shape - problems of a translated request, by the rules of the dialect it is in now. */
function problems_of(body, dialect) {
    const problems = [];
    if (!Array.isArray(body.messages) || body.messages.length === 0) return ['no messages'];
    if (dialect === 'anthropic') {
        if (!Number.isInteger(body.max_tokens)) problems.push('no max_tokens');
        body.messages.forEach((message, at) => {
            if (!['user', 'assistant', 'system'].includes(message.role)) problems.push(`role ${message.role}`);
            if (at > 0 && message.role === body.messages[at - 1].role && message.role !== 'system') problems.push(`two turns of ${message.role}`);
            const blocks = Array.isArray(message.content) ? message.content : [{ type: 'text', text: message.content }];
            if (blocks.length === 0) problems.push('an empty turn');
            let text_seen = false;
            for (const block of blocks) {
                if (block.type === 'text' && !block.text) problems.push('an empty text block');
                if (block.type === 'tool_use' && (typeof block.input !== 'object' || !/^[a-zA-Z0-9_-]+$/.test(block.id))) problems.push(`tool_use ${block.id}`);
                if (block.type === 'tool_result' && text_seen) problems.push('a tool_result behind text');
                if (block.type !== 'tool_result') text_seen = true;
            }
        });
        for (const tool of body.tools ?? []) if (!tool.input_schema || tool.input_schema.type !== 'object') problems.push(`tool ${tool.name}`);
    } else {
        for (const message of body.messages) {
            if (!['system', 'developer', 'user', 'assistant', 'tool'].includes(message.role)) problems.push(`role ${message.role}`);
            if (message.role === 'tool' && !message.tool_call_id) problems.push('a result without id');
            for (const call of message.tool_calls ?? []) if (typeof call.function.arguments !== 'string') problems.push('arguments are no text');
        }
        for (const tool of body.tools ?? []) if (tool.type !== 'function' || !tool.function?.name) problems.push('a tool without name');
    }
    return problems;
}

if (!recordings) {
    test('recorded requests', { skip: `no recordings at ${recordings_folder}` }, () => {});
} else {
    describe('recorded requests', () => {
        const world = {};
        const entries = recordings.filter((entry) => entry.request && /(completions|messages)$/.test(entry.path.split('?')[0]));
        const result = { passed: 0, translated: 0, refused: 0 };
        before(async () => {
            world.provider = await new FakeProvider().start();
            world.penstock = await Penstock.start(gateway_config(world.provider.url));
        });
        after(async () => {
            process.stdout.write(`recorded requests: ${result.passed} passed untouched, ${result.translated} translated, ${result.refused} refused by name, of ${entries.length}\n`);
            await world.penstock?.stop();
            await world.provider.stop();
        });
        for (const entry of entries) {
            it(entry.request, async () => {
                const original = JSON.parse(fs.readFileSync(path.join(recordings_folder, entry.request), 'utf8'));
                if (!original.model) original.model = 'x';
                world.provider.script('request', { scenario: 'text' });
                for (const upstream of ['chat', 'anthropic']) {
                    world.provider.reset();
                    const body = { ...original, model: `${upstream === 'chat' ? 'c/' : 'a/'}request` };
                    const response = await exchange(world.penstock.port, 'POST', paths[entry.dialect], { body });
                    if (upstream === entry.dialect) {
                        assert.equal(response.status, 200, response.text);
                        const sent = { ...original, model: 'request' };
                        if (sent.stream && upstream === 'chat') sent.stream_options = { ...sent.stream_options, include_usage: true };
                        assert.deepEqual(world.provider.seen[0].json, sent);
                        result.passed++;
                    } else if (response.status === 400) {
                        assert.match(json_of(response).error.message, may_be_refused);
                        result.refused++;
                    } else {
                        assert.equal(response.status, 200, response.text);
                        assert.deepEqual(problems_of(world.provider.seen[0].json, upstream), []);
                        result.translated++;
                    }
                }
            });
        }
    });
}
