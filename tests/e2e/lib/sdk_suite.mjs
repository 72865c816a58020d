// SPDX-License-Identifier: MIT
//
// sdk_suite - what every client library must experience with penstock, whatever kind of provider is behind it: every turn, in
// any delivery; errors as errors; cancelling; keep-alives that lose nothing; a loop of tools.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { joined, make_turn } from '../../../tools/fake_provider/turns.mjs';
import { check_turn } from './expect.mjs';
import { soon, upstreams } from './penstock.mjs';
import { ask_raw } from './dialects.mjs';
import { decode_sse } from './sse.mjs';
import { calls_in, states_in } from './phrases.mjs';
import { in_world } from './world.mjs';

const all_scenarios = [
    'text', 'tricky', 'tool', 'text_tool', 'parallel', 'zero', 'parallel_zero', 'thinking', 'thinking_tool', 'usage', 'cache_write',
    'length', 'filter', 'refusal', 'stop_sequence', 'pause', 'window',
];

function check_turns(world, library, { upstream, prefix }) {
    for (const mode of ['stream', 'whole']) {
        for (const scenario of library.scenarios ?? all_scenarios) {
            it(`${mode} from ${upstream}: ${scenario}`, async () => {
                const answer = await library.ask(world.penstock.url, prefix + scenario, mode);
                (library.check ?? check_turn)(answer, scenario, upstream, library.client);
                // Passed on, the answer is the upstream's, word for word; translated, it is ours.
                if (answer.model !== undefined) assert.equal(answer.model, upstream === library.client ? scenario : prefix + scenario, 'model');
                library.also?.(answer, scenario, upstream);
            });
        }
    }
}

function check_delivery(world, library, { upstream, prefix }) {
    const check = library.check ?? check_turn;
    it(`${upstream}: any delivery gives the same answer`, async () => {
        for (const how of ['split=byte', 'split=random,seed=11', 'chunking=byte', 'framing=close', 'framing=length', 'whole', 'comments']) {
            for (const scenario of ['tricky', 'parallel']) check(await library.ask(world.penstock.url, `${prefix}${scenario},${how}`, 'stream'), scenario, upstream, library.client);
        }
    });

    it(`${upstream}: CRLF, CR and fields without a space`, async () => {
        for (const behaviour of [{ line_end: '\r\n' }, { line_end: '\r' }, { compact: true }, { line_end: '\r\n', split: 'byte' }, { prefix: '\uFEFF' }]) {
            // Passed on as it is, a stream has its upstream's line ends, and not every library knows all that the standard allows.
            if (library.client === upstream && library.unread?.(behaviour)) continue;
            world.provider.script('crlf', { scenario: 'thinking_tool', ...behaviour });
            check(await library.ask(world.penstock.url, `${prefix}crlf`, 'stream'), 'thinking_tool', upstream, library.client);
        }
    });
}

/*
 * The fetch of Node 18 forgets who may abort it when garbage is collected between its beginning and the abort (always with --expose-gc
 * and gc() there, about once in a hundred without; Node 20 never): the library returns and the connection reads on. Such an attempt
 * says nothing about the gateway; the next one does.
 */
function check_leaving(world, library, { upstream, prefix }) {
    it(`${upstream}: abort reaches the upstream within 100 ms`, async () => {
        await soon(100, async (attempt) => {
            const model = `count,count=1000,pace_ms=20,library=${library.name},attempt=${attempt}`;
            const left_at = await library.leave(world.penstock.url, prefix + model, 5);
            const seen = await world.provider.wait_for((record) => record.client_closed_at !== null && record.model === model).catch(() => null);
            world.provider.reset();
            if (!seen) return Infinity;
            assert.notEqual(seen.outcome, 'complete');
            return seen.client_closed_at - left_at;
        });
    });
}

function check_breaks(world, library, { upstream, prefix }) {
    it(`${upstream}: a break in the middle is an error, not an end`, async () => {
        for (const how of ['cut_at=700', 'reset_at=700', 'error_after=4', 'finish=false,done=false', 'bad_chunk=3']) {
            await assert.rejects(library.ask(world.penstock.url, `${prefix}count,${how}`, 'stream'), (error) => {
                assert.ok(library.is_error(error), `${how}: ${error}`);
                return true;
            });
        }
    });

    it(`${upstream}: a break before the end of a whole answer is a status`, async () => {
        for (const how of ['cut_at=100', 'reset_at=100']) {
            await assert.rejects(library.ask(world.penstock.url, `${prefix}text,${how}`, 'whole'), (error) => {
                assert.ok(library.status_of(error) >= 500, `${how}: ${library.status_of(error)} ${error}`);
                return true;
            });
        }
    });

    it(`${upstream}: a refusal has its status and its words`, async () => {
        for (const status of [400, 404, 429, 500, 503]) {
            for (const mode of ['stream', 'whole']) {
                await assert.rejects(library.ask(world.penstock.url, `${prefix}text,status=${status}`, mode), (error) => {
                    const got = library.status_of(error);
                    // Anthropic says that it has no room with a status of its own; what an upstream broke may be a bad gateway.
                    const allowed = { 500: [500, 502], 503: [503, 529] }[status] ?? [status];
                    assert.ok(allowed.includes(got), `${status} became ${got}: ${error}`);
                    assert.ok(library.words_of(error).includes(`status ${status} as asked`), library.words_of(error));
                    return true;
                });
            }
        }
    });
}

function check_loop(world, library, { upstream, prefix }) {
    for (const mode of ['stream', 'whole']) {
        for (const scenario of ['parallel', 'thinking_parallel']) {
            it(`${upstream}: a loop of tools goes on, ${mode}, ${scenario}`, async () => {
                world.provider.reset();
                const second = `text,second=${library.name}`;
                const text = await library.loop(world.penstock.url, prefix + scenario, prefix + second, mode);
                assert.equal(text, 'Hello, world!');
                const { json } = await world.provider.wait_for((record) => record.model === second);
                const turn = make_turn(scenario, {}, {});
                const calls = calls_in[upstream](json);
                assert.deepEqual(calls.map(({ name, value }) => [name, value]), joined(turn).calls.map((call) => [call.name, JSON.parse(call.arguments)]));
                calls.forEach(({ result }, at) => assert.ok(String(result).includes(`result ${at}`), `result ${at}: ${result}`));
                // The library carried the state of the thoughts, native or wrapped, and the provider that made it got it back.
                if (library.keeps_state && upstream !== 'chat' && scenario === 'thinking_parallel') assert.deepEqual(states_in[upstream](json), ['c2lnbmF0dXJlLTM=']);
            });
        }
    }
}

function check_keepalive(library) {
    const options = { penstock: { timeouts: { keepalive: '80ms' } } };
    in_world(`${library.name}: keep-alives`, options, (world) => {
        for (const { upstream, prefix } of upstreams) {
            it(`${upstream}: a slow stream with keep-alives loses nothing`, async () => {
                const slow = 'first_delay_ms=300,pace_ms=220';
                const [tricky, tools] = await Promise.all([
                    library.ask(world.penstock.url, `${prefix}tricky,${slow}`, 'stream'),
                    library.ask(world.penstock.url, `${prefix}thinking_tool,${slow}`, 'stream'),
                ]);
                (library.check ?? check_turn)(tricky, 'tricky', upstream, library.client);
                (library.check ?? check_turn)(tools, 'thinking_tool', upstream, library.client);
            });
        }

        it(library.client === 'gemini' ? 'no keep-alive is sent, since none is safe' : 'keep-alives were really sent', async () => {
            const { text } = await ask_raw(world.penstock.port, library.client, 'c/text,first_delay_ms=300,pace_ms=220', 'stream');
            const { events, comments } = decode_sse(text);
            const count = comments.length + events.filter(({ event }) => event === 'ping').length;
            if (library.client === 'gemini') assert.equal(count, 0, text);
            else assert.ok(count >= 3, `${count} in ${text}`);
        });
    }, { concurrency: 8 });
}

/*
 * sdk_suite - all of it for one library.
 * library  name; client: its dialect; ask(url, model, mode) gives a turn of ask.mjs; is_error(error), status_of(error), words_of(error);
 *          leave(url, model, events) starts a stream, leaves it and gives the time of that; loop(url, first, second, mode) answers
 *          the calls of the first model with "result N" and gives the text of the second; keeps_state: it sends thoughts back;
 *          unread(behaviour): its own reader cannot take that from a provider either; scenarios, check(answer, scenario, upstream, client), also(answer, scenario, upstream)
 * more     further tests in the same world
 */
export function sdk_suite(library, more) {
    in_world(library.name, {}, (world) => {
        for (const way of upstreams) {
            check_turns(world, library, way);
            check_delivery(world, library, way);
            check_leaving(world, library, way);
            check_breaks(world, library, way);
            check_loop(world, library, way);
        }

        it('knows no other model', async () => {
            for (const mode of ['stream', 'whole']) {
                await assert.rejects(library.ask(world.penstock.url, 'unknown-model', mode), (error) => {
                    assert.equal(library.status_of(error), 404);
                    return true;
                });
            }
        });
        more?.(world);
    });
    check_keepalive(library);
}
