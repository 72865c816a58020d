// SPDX-License-Identifier: MIT
//
// recordings_requests - every recorded request, sent by a client of its dialect to upstreams of all four: untouched where both
// speak one dialect, translated into something that upstream can read, or refused with a 400 that names the field (R37, R65, R70).

import fs from 'node:fs';
import path from 'node:path';
import test, { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider, place_of } from '../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock } from './lib/penstock.mjs';
import { exchange, json_of } from './lib/raw.mjs';
import { dialect_names, dialects } from './lib/dialects.mjs';
import { load_recordings, recordings_folder } from './lib/recordings.mjs';
import { request_problems } from './lib/request_rules.mjs';

const recordings = load_recordings();

/* target_of - where a client of a dialect sends a request for a model; Gemini's has model and method in its path. */
function target_of(entry, model) {
    const { method } = place_of(entry.path);
    if (entry.dialect !== 'gemini') return dialects[entry.dialect].ask(model, false).target;
    return `/v1beta/models/${encodeURIComponent(model)}:${method}${method.startsWith('stream') ? '?alt=sse' : ''}`;
}

/* Every name and value of a request that an error may point at. */
function words_of(body) {
    const words = new Set();
    const pending = [body];
    while (pending.length > 0) {
        const value = pending.pop();
        if (typeof value === 'string') words.add(value);
        if (typeof value !== 'object' || value === null) continue;
        for (const [key, inner] of Object.entries(value)) {
            if (!Array.isArray(value)) words.add(key);
            pending.push(inner);
        }
    }
    return words;
}

/* named - does a refusal point at something that the request has? */
function named(error, original) {
    const words = words_of(original);
    const violations = (error.details ?? []).flatMap((detail) => detail.fieldViolations ?? []).map(({ field }) => field);
    const said = `${error.message ?? ''} ${error.param ?? ''} ${violations.join(' ')}`;
    const vague = ['type', 'content', 'tools', 'model', 'text', 'this'];
    return [...words].some((word) => (word.length > 2 || word === 'n') && !vague.includes(word) && new RegExp(`(^|[^A-Za-z0-9_])${word.replace(/[^A-Za-z0-9_]/g, '\\$&')}($|[^A-Za-z0-9_])`).test(said));
}

/* How many tools a request offers, in any dialect. */
function tool_count(body) {
    return [body.tools ?? []].flat().reduce((sum, tool) => sum + (tool.functionDeclarations?.length ?? tool.tools?.length ?? 1), 0) + (body.functions?.length ?? 0);
}

function tools_kept(original, translated) {
    return tool_count(translated) >= tool_count(original);
}

/* Does a Responses request lean on what its provider stored? */
function keeps_state(body) {
    return Boolean(body.input && (body.background || body.previous_response_id || body.conversation));
}

function check_passed(record, original, entry) {
    const sent = entry.dialect === 'gemini' ? { ...original } : { ...original, model: 'request' };
    if (sent.stream && entry.dialect === 'chat') sent.stream_options = { ...sent.stream_options, include_usage: true };
    // This upstream is told about thinking by `reasoning_effort`: what a client says in Qwen's way is said to it in its own (R115).
    if (entry.dialect === 'chat' && original.enable_thinking === false && record.json.reasoning_effort === 'none') sent.reasoning_effort = 'none';
    assert.deepEqual(record.json, sent);
    assert.equal(record.model, 'request');
    if (entry.dialect === 'gemini') assert.equal(record.call, place_of(entry.path).method);
}

if (!recordings) {
    test('recorded requests', { skip: `no recordings at ${recordings_folder}` }, () => {});
} else {
    describe('recorded requests', () => {
        const world = {};
        const generates = /(completions|messages|responses|generateContent|streamGenerateContent)$/i;
        const entries = recordings.filter((entry) => entry.request && generates.test((entry.path ?? '').split('?')[0]));
        const counts = Object.fromEntries(dialect_names.map((name) => [name, { all: 0, passed: 0, translated: 0, refused: 0 }]));
        const refusals = new Map();
        before(async () => {
            world.provider = await new FakeProvider().start();
            world.penstock = await Penstock.start(gateway_config(world.provider.url));
        });
        after(async () => {
            for (const [name, { all, passed, translated, refused }] of Object.entries(counts)) {
                process.stdout.write(`recorded requests of ${name}: ${passed} passed untouched, ${translated} translated, ${refused} refused by name, of ${all}\n`);
            }
            if (process.env.PENSTOCK_VERBOSE) for (const [text, files] of refusals) process.stdout.write(`    ${files.length} x ${text} (${files[0]})\n`);
            await world.penstock?.stop();
            await world.provider.stop();
        });
        for (const entry of entries) {
            it(entry.request, async () => {
                const original = JSON.parse(fs.readFileSync(path.join(recordings_folder, entry.request), 'utf8'));
                if (!original.model && entry.dialect !== 'gemini') original.model = 'x';
                world.provider.script('request', { scenario: 'text' });
                for (const upstream of dialect_names) {
                    counts[entry.dialect].all++;
                    world.provider.reset();
                    const model = `${dialects[upstream].prefix}request`;
                    const body = entry.dialect === 'gemini' ? original : { ...original, model };
                    const response = await exchange(world.penstock.port, 'POST', target_of(entry, model), { body });
                    const said = `to ${upstream}: ${response.status} ${response.text.slice(0, 600)}`;
                    if (upstream === entry.dialect && keeps_state(original)) {
                        // This upstream is not OpenAI itself, and a gateway keeps nothing between requests.
                        assert.ok(response.status === 400 && named(json_of(response).error, original), said);
                        counts[entry.dialect].refused++;
                    } else if (upstream === entry.dialect) {
                        assert.equal(response.status, 200, said);
                        check_passed(world.provider.seen[0], original, entry);
                        counts[entry.dialect].passed++;
                    } else if (response.status === 400) {
                        const { error } = json_of(response);
                        assert.ok(named(error, original), `${said}\nnames nothing of the request`);
                        assert.equal(world.provider.seen.length, 0, 'nothing was sent');
                        counts[entry.dialect].refused++;
                        const text = `${entry.dialect} to ${upstream}: ${error.message}`;
                        refusals.set(text, [...(refusals.get(text) ?? []), entry.request]);
                    } else {
                        assert.equal(response.status, 200, said);
                        const record = world.provider.seen[0];
                        assert.deepEqual(request_problems(record.json, upstream), [], `to ${upstream}: ${JSON.stringify(record.json).slice(0, 2000)}`);
                        assert.equal(record.stream, true, 'across dialects a stream is asked for');
                        assert.ok(tools_kept(original, record.json) || response.headers['x-penstock-dropped'], `to ${upstream}: a tool is gone and nobody says so`);
                        counts[entry.dialect].translated++;
                    }
                }
            });
        }
    });
}
