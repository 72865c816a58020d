// SPDX-License-Identifier: MIT
//
// random - turns made by chance, through all 16 pairs: blocks of every kind in any order, cut into any pieces, with text that is
// hard to carry. What one end said, the other must hold (R9, R42, R45, R73). A failure names its seed.

import { it } from 'node:test';
import assert from 'node:assert/strict';
import { make_random } from '../../tools/fake_provider/delivery.mjs';
import { joined, tiny_png } from '../../tools/fake_provider/turns.mjs';
import { parsed_arguments } from './lib/expect.mjs';
import { slow_build } from './lib/penstock.mjs';
import { all_pairs, ask_raw, modes_of, read_raw } from './lib/dialects.mjs';
import { states_of } from './lib/opaque.mjs';
import { tagged } from './lib/ways.mjs';
import { in_world } from './lib/world.mjs';

const words = [
    'plain ', 'Grüße ', '世界', '🚀', '"quoted"', '\\', '\n', '\r\n', '\t', '\u0001', '\u2028', '</think>', '<think>', 'data: [DONE]\n\n', '{"a":1}', ' ', '0',
    '\ud83d\udc68\u200d\ud83d\udc69', '``` code', 'e\u0301', '\u007f',
];

class Maker {
    constructor(seed) {
        this.random = make_random(seed * 2654435761);
        for (let at = 0; at < 8; at++) this.random();
    }

    below(count) {
        return Math.floor(this.random() * count);
    }

    /* A text that does not begin with a tag of thoughts: that would be one. */
    text() {
        const text = Array.from({ length: 1 + this.below(12) }, () => words[this.below(words.length)]).join('');
        return /^\s*<think>/.test(text) ? `x${text}` : text;
    }

    /* pieces - a text cut anywhere but inside a character. */
    pieces(text) {
        const letters = Array.from(text);
        const pieces = [];
        while (letters.length > 0) pieces.push(letters.splice(0, 1 + this.below(9)).join(''));
        return pieces;
    }

    value(depth) {
        const kind = this.below(depth > 0 ? 7 : 5);
        if (kind === 5) return Array.from({ length: this.below(3) }, () => this.value(depth - 1));
        if (kind === 6) return this.object(depth - 1);
        return [this.text(), this.below(100000) - 500, this.random(), this.below(2) === 1, null][kind];
    }

    object(depth) {
        return Object.fromEntries(Array.from({ length: this.below(4) }, (_, at) => [`${'abcd'[at]}${this.below(2) ? '' : ' "ü'}`, this.value(depth)]));
    }

    call(at) {
        const text = this.below(5) === 0 ? '' : JSON.stringify(this.object(2), null, this.below(2));
        return { type: 'tool', id: `call_random${at}`, name: `tool_${at}`, pieces: text === '' ? [''] : this.pieces(text) };
    }

    thought() {
        return { type: 'thinking', pieces: this.pieces(this.text()), signature: Buffer.from(`signature ${this.below(100000)}`).toString('base64') };
    }

    /* Sources of parts of a text, in order. */
    citations(block) {
        const length = Array.from(block.pieces.join('')).length;
        const places = Array.from({ length: this.below(3) }, (_, at) => {
            const start = this.below(length);
            return { url: `https://example.com/${at}`, title: this.text(), start, end: start + 1 + this.below(length - start) };
        });
        return places.length > 0 ? { ...block, citations: places } : block;
    }

    /* Blocks in the usual order, or in any. */
    blocks() {
        const kinds = ['text', 'thought', 'call', 'text', 'call', 'image'];
        const usual = [...(this.below(2) ? ['thought'] : []), ...(this.below(4) ? ['text'] : []), ...Array.from({ length: this.below(4) }, () => 'call')];
        const order = this.below(2) ? usual : Array.from({ length: 1 + this.below(6) }, () => kinds[this.below(kinds.length)]);
        return order.map((kind, at) => ({
            text: () => ({ type: 'text', pieces: this.pieces(this.text()) }),
            thought: () => this.thought(),
            call: () => this.call(at),
            image: () => ({ type: 'image', media_type: 'image/png', data: tiny_png }),
        }[kind]()));
    }

    turn() {
        let blocks = this.blocks();
        if (blocks.filter((block) => block.type === 'text').length === 1) blocks = blocks.map((block) => (block.type === 'text' ? this.citations(block) : block));
        const calls = blocks.some((block) => block.type === 'tool');
        const input = 1 + this.below(5000);
        const output = 1 + this.below(3000);
        const usage = { input, cache_read: this.below(input), cache_write: 0, output, reasoning: this.below(output) };
        return { blocks, finish: calls ? 'tools' : ['stop', 'length', 'filter'][this.below(3)], usage };
    }
}

/*
 * Gemini names its sources at the end of the answer. In a Responses stream a text that calls or thoughts stand behind is done by
 * then, and what is done is not added to.
 */
function comes_too_late(turn, { client, upstream, same }, mode) {
    return mode === 'stream' && client === 'responses' && upstream === 'gemini' && !same && turn.blocks[turn.blocks.length - 1]?.type !== 'text';
}

/* A whole Chat message has one place for the state of all its text: of several it holds the last. */
function check_states(got, wanted, { client, upstream }, mode) {
    if (upstream === 'chat') return;
    if (client === 'chat' && upstream === 'gemini' && mode === 'whole' && wanted.length > 1) {
        assert.ok(got.length > 0 && got.every((state) => wanted.includes(state)), String(got));
    } else assert.deepEqual([...got].sort(), [...wanted].sort());
}

function check(got, turn, pair, mode) {
    const { client, upstream, same } = pair;
    const wanted = joined(turn);
    // Messages has no images in answers: a note stands for each that came from elsewhere.
    const text = client === 'anthropic' && !same ? got.text.replace(/\[image: [^\]]*\]/g, '') : got.text;
    assert.equal(text, wanted.text);
    assert.equal(got.thinking, wanted.thinking);
    assert.deepEqual(got.calls.map((call) => [call.name, parsed_arguments(call.arguments)]), wanted.calls.map((call) => [call.name, JSON.parse(call.arguments)]));
    assert.equal(got.finish, wanted.finish);
    assert.deepEqual(got.usage, { in_total: wanted.usage.input, cache_read: wanted.usage.cache_read, cache_write: 0, out_total: wanted.usage.output, reasoning: wanted.usage.reasoning });
    check_states(states_of(got), wanted.signatures, pair, mode);
    if (client === 'anthropic' || upstream === 'anthropic') return;
    assert.deepEqual(got.images, wanted.images);
    if (!comes_too_late(turn, pair, mode)) assert.deepEqual(got.citations, wanted.citations);
}

in_world('random turns', {}, (world) => {
    const seeds = slow_build ? 15 : 60;
    for (const pair of all_pairs) {
        it(`${pair.name}: what one end says, the other holds`, async () => {
            for (let seed = 1; seed <= seeds; seed++) {
                const turn = new Maker(seed).turn();
                for (const mode of modes_of(pair.client)) {
                    const model = tagged('random');
                    world.provider.script(model, { turn, split: seed % 3 === 0 ? 'random' : undefined, seed, together: seed % 2 === 0, trailing: seed % 4 === 0, arguments_late: seed % 5 === 0 });
                    const response = await ask_raw(world.penstock.port, pair.client, pair.prefix + model, mode);
                    try {
                        check(read_raw(response, pair.client, mode, { same: pair.same }), turn, pair, mode);
                    } catch (error) {
                        error.stack = `seed ${seed}, ${mode}: ${error.stack}\n${JSON.stringify(turn)}\n${response.text.slice(0, 3000)}`;
                        throw error;
                    }
                }
            }
        });
    }
});
