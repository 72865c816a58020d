// SPDX-License-Identifier: MIT
//
// streams_cut - the upstream ends at every byte offset of a stream: the client is always told, by a
// status while nothing was sent, by an error in the stream after it, and never by a normal end unless the
// answer really was complete by then (R9, R10, P65, P66).

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn } from '../../tools/fake_provider/turns.mjs';
import { chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { anthropic_stream } from '../../tools/fake_provider/write_anthropic.mjs';
import { check_chat } from './lib/grammar_chat.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { slow_build } from './lib/penstock.mjs';
import { events_of, json_of, RawClient } from './lib/raw.mjs';
import { in_world } from './lib/world.mjs';

const clients = {
    chat: { path: '/v1/chat/completions', check: check_chat },
    anthropic: { path: '/v1/messages', check: check_anthropic },
};
const turn = make_turn('text_tool', {}, {});

/*
 * measure - where things end in the stream that the upstream will cut: finish_at, the end of the event that
 * says why the answer ends; complete_at, the end of the one after which nothing more is needed.
 */
function measure(upstream, model) {
    const asked = { model, stream_options: { include_usage: true } };
    const events = upstream === 'chat' ? chat_stream(turn, asked) : anthropic_stream(turn, asked);
    const framed = frame_events(events);
    const end_of = (test) => framed.slice(0, events.findIndex(test) + 1).reduce((sum, bytes) => sum + bytes.length, 0);
    const finish_at = end_of((event) => /"(finish_reason|stop_reason)":"/.test(event.data));
    const complete_at = upstream === 'chat' ? finish_at : end_of((event) => event.event === 'message_stop');
    return { length: Buffer.concat(framed).length, finish_at, complete_at };
}

/* check_cut - hold one response against the truth; what it was: 'status', 'error' or 'end'. */
function check_cut(response, client, offset, stream, is_reset) {
    const { check } = clients[client];
    const at = `offset ${offset} of ${JSON.stringify(stream)}`;
    const may_be_lost = offset < stream.complete_at || is_reset;
    if (response.status !== 200) {
        assert.ok(response.status >= 500, `${at}: ${response.status}`);
        assert.equal(typeof json_of(response).error.message, 'string');
        assert.ok(may_be_lost, `${at}: a status although the answer was complete`);
        return 'status';
    }
    assert.equal(response.whole, true, at);
    const events = events_of(response);
    const failed = check(events, { ends: 'error' });
    if (failed.length === 0) {
        assert.ok(may_be_lost, `${at}: an error although the answer was complete`);
        return 'error';
    }
    assert.deepEqual(check(events, {}), [], `${at}: neither a good end nor an error: ${failed}`);
    // The last event may be taken before the empty line that closes it, but not before its data is whole.
    assert.ok(offset >= stream.finish_at - 2, `${at}: a normal end`);
    return 'end';
}

const kinds = [
    { kind: 'chunked', key: 'cut_at', step: 1 },
    { kind: 'until-close', key: 'cut_at', step: 11, framing: 'close' },
    // A reset needs a moment each.
    { kind: 'reset', key: 'reset_at', step: 29 },
];

in_world('upstream cut at every byte offset', {}, (world) => {
    for (const upstream of ['chat', 'anthropic']) {
        for (const client of ['chat', 'anthropic']) {
            for (const { kind, key, step, framing } of kinds) {
                it(`${kind}: ${upstream} to ${client}`, async () => {
                    const name = (offset) => `cut-${upstream}-${kind}-${String(offset).padStart(5, '0')}`;
                    const stream = measure(upstream, name(0));
                    const seen = { status: 0, error: 0, end: 0 };
                    const offsets = [];
                    for (let offset = 0; offset <= stream.length; offset += slow_build ? step * 5 : step) offsets.push(offset);
                    const work = async () => {
                        const connection = await RawClient.open(world.penstock.port);
                        for (let offset = offsets.shift(); offset !== undefined; offset = offsets.shift()) {
                            const model = name(offset);
                            world.provider.script(model, { turn, [key]: offset, framing, reset_delay_ms: 5, whole: true });
                            const body = { model: (upstream === 'chat' ? 'c/' : 'a/') + model, stream: true, max_tokens: 50, messages: [{ role: 'user', content: 'x' }] };
                            await connection.send('POST', clients[client].path, { body });
                            seen[check_cut(await connection.next(), client, offset, stream, kind === 'reset')]++;
                        }
                        connection.destroy();
                    };
                    await Promise.all(Array.from({ length: 8 }, work));
                    assert.ok(seen.status + seen.error > 0, JSON.stringify(seen));
                    if (kind !== 'reset') assert.ok(seen.end > 0, JSON.stringify(seen));
                });
            }
        }
    }
});
