// SPDX-License-Identifier: MIT
//
// faults_bodies - framing that is broken, lengths that lie, bodies that are not what they say, text that is no text: before the
// stream of a client has begun it gets a status, afterwards an error event (R2, R9, R11, R20, R23, R28).

import zlib from 'node:zlib';
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { chat_json, chat_stream } from '../../tools/fake_provider/write_chat.mjs';
import { anthropic_stream } from '../../tools/fake_provider/write_anthropic.mjs';
import { responses_stream } from '../../tools/fake_provider/write_responses.mjs';
import { gemini_stream } from '../../tools/fake_provider/write_gemini.mjs';
import { frame_events } from '../../tools/fake_provider/provider.mjs';
import { make_turn, text_block } from '../../tools/fake_provider/turns.mjs';
import { all_pairs, dialect_names, dialects } from './lib/dialects.mjs';
import { chunk_of, endless, last_chunk, reply_head, wire_of } from './lib/faulty.mjs';
import { answers_well, ask_all, fails, faults, in_faults, rows_fail } from './lib/fault_cases.mjs';
import { refusal_of } from './lib/fault_streams.mjs';
import { sleep } from './lib/raw.mjs';

const turn = { ...make_turn('text', {}, {}), blocks: [text_block('Hello', ', ', 'wide ', 'world', '!')] };
const streams = { chat: chat_stream, anthropic: anthropic_stream, responses: responses_stream, gemini: gemini_stream };
const events_in = (dialect) => frame_events(streams[dialect](turn, { model: 'm' }));
const events = events_in('chat');
const body = Buffer.concat(events);
const says = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
const chunked = reply_head(200, [['Content-Type', 'text/event-stream'], ['Transfer-Encoding', 'chunked']]);
const until_close = reply_head(200, [['Content-Type', 'text/event-stream'], ['Connection', 'close']]);
const of_length = (length) => reply_head(200, [['Content-Type', 'text/event-stream'], ['Content-Length', length]]);
const begun = says(chunked, chunk_of(says(...events.slice(0, 3))));
const then = (...parts) => async (peer) => { await peer.write(says(...parts)); };
const then_fin = (...parts) => async (peer) => { await peer.write(says(...parts)); peer.fin(); };

const bad_chunks = {
    'no digit': 'zz\r\nabc\r\n',
    'a negative size': '-5\r\nabcde\r\n',
    'a signed size': '+5\r\nabcde\r\n',
    'hex with a prefix': '0x5\r\nabcde\r\n',
    'a space in front': ' 5\r\nabcde\r\n',
    'a space behind': '5 \r\nabcde\r\n',
    'an empty size': '\r\nabcde\r\n',
    'seventeen digits': '00000000000000005\r\nabcde\r\n',
    'more than 64 bits': '1ffffffffffffffff\r\nabcde\r\n',
    'a bare line feed': '5\nabcde\n',
    'data that is too long': '5\r\nabcdefgh\r\n',
    'data without its line end': '5\r\nabcde5\r\nabcde\r\n',
    'an extension without end': `5;${'x'.repeat(70_000)}`,
    'a bad extension': '5;a="b\r\nabcde\r\n',
    'a bad trailer': '0\r\nno colon\r\n\r\n',
    'a trailer without end': `0\r\n${'X-A: b\r\n'.repeat(10_000)}`,
};

const short = { penstock: { timeouts: { connect: '600ms', first_byte: '600ms', idle: '600ms', commit: '5s' } } };

in_faults('broken framing', short, (world) => {
    rows_fail(world, 'chunk behind the head', Object.fromEntries(Object.entries(bad_chunks).map(([name, bytes]) => [name, then(chunked, bytes)])),
        faults.protocol, { within_ms: 500 });
    rows_fail(world, 'chunk in the stream', Object.fromEntries(Object.entries(bad_chunks).map(([name, bytes]) => [name, then(begun, bytes)])),
        faults.protocol, { within_ms: 500, began: true });

    rows_fail(world, 'ends', {
        'in a chunk of 2^63': then_fin(begun, '8000000000000000\r\nabcde'),
        'without the last chunk': then_fin(begun),
        'in the last chunk': then_fin(begun, '0\r\n'),
        'behind a whole body that says nothing of an end': then_fin(begun, last_chunk),
        'a byte before its length': then_fin(of_length(events.slice(0, 3).reduce((sum, part) => sum + part.length, 1)), ...events.slice(0, 3)),
        'far before its length': then_fin(of_length('18446744073709551615'), ...events.slice(0, 3)),
        'at a length that is too short': then(of_length(events[0].length + events[1].length), body),
        'with the connection': then_fin(until_close, ...events.slice(0, 3)),
        'with the connection, in an event': then_fin(until_close, ...events.slice(0, 3), 'data: {"id"'),
    }, faults.disconnected, { within_ms: 500, began: true });

    // With what came before it is more than 64 bits can count.
    rows_fail(world, 'announces', { 'a chunk of 2^64 - 1': then(begun, 'ffffffffffffffff\r\nabcde') }, faults.too_large, { within_ms: 500, began: true });

    rows_fail(world, 'falls silent', {
        'in a chunk of 2^63': then(begun, '8000000000000000\r\nabcde'),
        'without the last chunk': then(begun),
        'in a chunk size': then(begun, '5'),
        'before its length': then(of_length(1_000_000), ...events.slice(0, 3)),
        'before the end of the connection': then(until_close, ...events.slice(0, 3)),
    }, faults.idle, { within_ms: 1400, began: true });

    it('a body that is complete though its framing is not has said all', async () => {
        await answers_well(world, 'no-last-chunk', then(chunked, chunk_of(body)), 'world');
        await answers_well(world, 'no-last-chunk-fin', then_fin(chunked, chunk_of(body)), 'world');
        await answers_well(world, 'length-too-long', then_fin(of_length(body.length + 1000), body), 'world');
        await answers_well(world, 'garbage-behind', then(of_length(body.length + 1000), body, 'garbage, and nothing else'), 'world');
        await answers_well(world, 'bad-chunk-behind', then(chunked, chunk_of(body), 'zz\r\n'), 'world');
        await answers_well(world, 'extensions', then(chunked, `${body.length.toString(16)};a=b;c="d;e"\r\n`, body, '\r\n0;z\r\nTrailer: x\r\n\r\n'), 'world');
        await answers_well(world, 'trailer-as-head', then(chunked, chunk_of(body), '0\r\nContent-Length: 5\r\nX-Should-Retry: true\r\n\r\n'), 'world');
    });

    it('a stream that goes on behind its end is left', async () => {
        let still = 0;
        await answers_well(world, 'goes-on', async (peer) => {
            still++;
            await peer.write(says(chunked, chunk_of(body)));
            await endless(peer, () => chunk_of(events[1]), 1);
            still--;
        }, 'world');
        for (let wait = 0; still > 0 && wait < 200; wait++) await sleep(20);
        assert.equal(still, 0, 'the gateway goes on reading');
    });
});

const page = '<!doctype html><html><head><title>Welcome</title></head><body><h1>It works</h1></body></html>';
const whole = (text, type = 'application/json', options = {}) => wire_of([Buffer.isBuffer(text) ? text : Buffer.from(text)], type, 'length', options).bytes;
const no_reply = {
    'a page': whole(page, 'text/html; charset=utf-8'),
    'a page that says it is JSON': whole(page),
    'a page that says it is a stream': whole(page, 'text/event-stream'),
    'a page in events': whole(`data: ${page}\n\n`, 'text/event-stream'),
    'words': whole('OK', 'text/plain'),
    'nothing': whole(''),
    'nothing at all': reply_head(200, [['Content-Length', 0]]),
    'no content': reply_head(204, []),
    'a stream that says it is JSON': whole(body),
    'a stream that says it is text': whole(body, 'text/plain'),
    'half an object': whole('{"id":"x","object":"chat.completion","choices":[{"index":0'),
    'two objects': whole(`${JSON.stringify(chat_json(turn, { model: 'm' }))}{}`),
    'a number': whole('42'),
    'null': whole('null'),
    'a text': whole('"hello"'),
    'a list': whole('[]'),
    'too deep': whole('['.repeat(5000) + ']'.repeat(5000)),
    'open brackets only': whole('{"a":'.repeat(20_000)),
    'gzip without a word': whole(zlib.gzipSync(JSON.stringify(chat_json(turn, { model: 'm' })))),
    'zeros': whole(Buffer.alloc(5000)),
};
const coded = Object.fromEntries([['gzip', zlib.gzipSync], ['deflate', zlib.deflateSync], ['br', zlib.brotliCompressSync]].flatMap(([name, code]) => [
    [`${name}, a stream`, whole(code(body), 'text/event-stream', { fields: [['Content-Encoding', name]] })],
    [`${name}, an object`, whole(code(JSON.stringify(chat_json(turn, { model: 'm' }))), 'application/json', { fields: [['Content-Encoding', name]] })],
]));

/* What is no text, or no JSON, where an event's data should be. */
const bad_data = {
    'UTF-8 that breaks off': says('{"choices":[{"index":0,"delta":{"content":"', '\xe2\x82', '"}}]}'),
    'a lone continuation byte': says('{"choices":[{"index":0,"delta":{"content":"', '\x80', '"}}]}'),
    'an overlong form': says('{"choices":[{"index":0,"delta":{"content":"', '\xc0\xaf', '"}}]}'),
    'a surrogate in UTF-8': says('{"choices":[{"index":0,"delta":{"content":"', '\xed\xa0\x80', '"}}]}'),
    'beyond Unicode': says('{"choices":[{"index":0,"delta":{"content":"', '\xf4\x90\x80\x80', '"}}]}'),
    'Latin-1': says('{"choices":[{"index":0,"delta":{"content":"Gr\xfc\xdfe"}}]}'),
    'a bare tab': says('{"choices":[{"index":0,"delta":{"content":"a\tb"}}]}'),
    'an unknown escape': '{"choices":[{"index":0,"delta":{"content":"\\x41"}}]}',
    'half an escape': '{"choices":[{"index":0,"delta":{"content":"\\u00"}}]}',
    'a trailing comma': '{"choices":[{"index":0,"delta":{"content":"a"},}]}',
    'single quotes': "{'choices':[]}",
    'no end': '{"choices":[{"index":0,"delta":{"content":"a',
    'two objects': '{"choices":[]}{"choices":[]}',
    'words': 'I am sorry, Dave.',
    'a number': '42',
    'NaN': '{"choices":NaN}',
    'too deep': '['.repeat(2000) + ']'.repeat(2000),
    'NUL': says('{"choices":[{"index":0,"delta":{"content":"\x00"}}]}'),
};

in_faults('bodies that are none', short, (world) => {
    rows_fail(world, 'instead of a reply', no_reply, { ...faults.protocol, codes: ['upstream_protocol', 'upstream_disconnected'], counted: ['UPSTREAM_PROTOCOL', 'DISCONNECTED'] }, { within_ms: 500 });
    rows_fail(world, 'coded', coded, faults.protocol, { within_ms: 500 });
    const as_event = (data) => says('data: ', data, '\n\n');
    rows_fail(world, 'first event', Object.fromEntries(Object.entries(bad_data).map(([name, data]) => [name, then(chunked, chunk_of(as_event(data)))])), faults.protocol, { within_ms: 500 });
    rows_fail(world, 'later event', Object.fromEntries(Object.entries(bad_data).map(([name, data]) => [name, then(begun, chunk_of(as_event(data)))])), faults.protocol, { within_ms: 500, began: true });

    it('every dialect\'s stream: an event that is no JSON is an error to every client', async () => {
        for (const { client, upstream, same } of all_pairs) {
            const good = events_in(upstream);
            const named = /^event:.*\n/.exec(good[3].toString())?.[0] ?? '';
            for (const [at, data] of [[0, 'words'], [4, 'words'], [4, says('{"type":"x","a":"\xff"}')]]) {
                const bytes = says(...good.slice(0, at), named, 'data: ', data, '\n\n');
                await fails(world, `no-json-${upstream}-${client}`, then(chunked, chunk_of(bytes)), faults.protocol, { prefix: dialects[upstream].prefix, clients: [client], same: same ? client : undefined, began: at > 3 && upstream === 'chat' });
            }
        }
    });

    it('every dialect\'s whole reply: what is no object of its is an error to its own clients', async () => {
        for (const upstream of dialect_names) {
            for (const [name, text] of Object.entries({ page, half: '{"id":', bytes: Buffer.from('{"a":"\xff"}', 'latin1'), list: '[1]', empty: '' })) {
                const fault = { ...faults.protocol, codes: ['upstream_protocol', 'upstream_disconnected'], counted: ['UPSTREAM_PROTOCOL', 'DISCONNECTED'] };
                await fails(world, `whole-${upstream}-${name}`, whole(text), fault, { prefix: dialects[upstream].prefix, clients: [upstream] });
            }
        }
    });

    it('asks for no coding, and takes one that is none', async () => {
        let accepted;
        await answers_well(world, 'identity', async (peer) => {
            accepted = peer.request.headers['accept-encoding'];
            await peer.write(whole(body, 'text/event-stream', { fields: [['Content-Encoding', 'identity']] }));
        }, 'world');
        assert.ok(accepted === undefined || accepted === 'identity', accepted);
    });

    it('an object for a stream and a stream for an object are read all the same', async () => {
        await answers_well(world, 'object', whole(JSON.stringify(chat_json(turn, { model: 'm' }))), 'world');
        await answers_well(world, 'stream', whole(body, 'Text/Event-Stream'), 'world');
        await answers_well(world, 'bom', whole(says('\xef\xbb\xbf', body), 'text/event-stream'), 'world');
    });
});

/* What a client of each dialect is told when an upstream of another says a status. */
const told_as = { chat: { 529: 503 }, responses: { 529: 503 }, anthropic: { 503: 529 }, gemini: { 529: 503 } };
const error_bodies = {
    json: JSON.stringify({ error: { message: 'as it was said', type: 'server_error' } }),
    page,
    words: 'as it was said',
    nothing: '',
    broken: '{"error":{"message":"as it',
    binary: Buffer.from('\x00\xff\xfe\x1f\x8b', 'latin1'),
    gzip: zlib.gzipSync('{"error":{"message":"as it was said"}}'),
};

in_faults('statuses', short, (world) => {
    const afters = [[undefined, undefined], ['7', '7'], ['0', '0'], ['1.5', '2'], ['99999999', '86400'], ['-5', undefined], ['soon', undefined], ['7, 8', undefined]];
    const check = (client, mode, response, status, after, name) => {
        const said = `${name}, ${client} ${mode}: ${response.status} ${JSON.stringify(response.headers)} ${response.text}`;
        assert.equal(response.status, told_as[client][status] ?? status, said);
        assert.equal(response.headers['retry-after'], after, said);
        assert.doesNotMatch(response.text, /\u0000|\ufffd/, said);
        return refusal_of(response, client);
    };

    for (const status of [429, 500, 503, 529]) {
        it(`${status} is kept, with its words and Retry-After`, async () => {
            for (const [kind, text] of Object.entries(error_bodies)) {
                for (const [after, heard] of kind === 'json' ? afters : afters.slice(0, 2)) {
                    const fields = [...(after === undefined ? [] : [['Retry-After', after]]), ...(kind === 'gzip' ? [['Content-Encoding', 'gzip']] : [])];
                    world.server.plan('status', whole(text, kind === 'page' ? 'text/html' : 'application/json', { status, fields }));
                    // Of an Anthropic upstream, so that no client but its own may get the body as it is; and that is none of its dialect.
                    for (const { client, mode, response } of await ask_all(world, 'status', { prefix: 'a/' })) {
                        const { message } = check(client, mode, response, status, heard, `${status} ${kind} ${after}`);
                        if (kind === 'json' || kind === 'words') assert.match(message, /as it was said/);
                    }
                }
            }
        });

        it(`${status} is kept when its body breaks off, falls silent or never ends`, async () => {
            const head = (length) => reply_head(status, [['Content-Type', 'application/json'], ['Retry-After', '3'], length]);
            const endings = {
                cut: then_fin(head(['Content-Length', 5000]), '{"error":{"mess'),
                reset: async (peer) => { await peer.write(says(head(['Content-Length', 5000]), '{"error":{"mess')); peer.reset(); },
                silent: then(head(['Content-Length', 5000]), '{"error":{"mess'),
                'bad chunk': then(head(['Transfer-Encoding', 'chunked']), 'zz\r\n'),
                endless: async (peer) => { await peer.write(head(['Transfer-Encoding', 'chunked'])); await endless(peer, () => chunk_of(Buffer.alloc(16384, 'x'))); },
            };
            for (const [name, plan] of Object.entries(endings)) {
                world.server.plan('ending', plan);
                const heard = await ask_all(world, 'ending', { prefix: 'a/' });
                for (const { client, mode, response, took_ms } of heard) {
                    check(client, mode, response, status, '3', `${status}, ${name}`);
                    assert.ok(took_ms < 5000, `${name}: ${took_ms} ms`);
                }
            }
        });
    }
});
