// SPDX-License-Identifier: MIT
//
// grammar_chat - what a well-formed OpenAI chat stream is (wire-formats 2.4; R7, R8, R9, R10, R42, R46).
// Written from the format's description; it knows nothing of how the gateway makes its streams.

const finish_words = ['stop', 'length', 'tool_calls', 'content_filter', 'function_call'];

class Checker {
    constructor(options) {
        this.options = options;
        this.problems = [];
        this.first = null;
        this.calls = [];
        this.finish = null;
        this.usage = null;
        this.error = null;
        this.done = false;
    }

    wrong(text) {
        if (this.problems.length < 10) this.problems.push(text);
    }

    event({ event, data }, at) {
        if (this.done) return this.wrong(`event ${at} after [DONE]`);
        if (event !== 'message') this.wrong(`event ${at} has a name: ${event}`);
        if (data === '[DONE]') {
            this.done = true;
            return undefined;
        }
        if (this.error) return this.wrong(`event ${at} between the error and [DONE]`);
        let chunk;
        try {
            chunk = JSON.parse(data);
        } catch {
            return this.wrong(`event ${at} is not JSON: ${data.slice(0, 80)}`);
        }
        if (chunk.error) return this.error_chunk(chunk, at);
        this.same(chunk, at);
        if (!Array.isArray(chunk.choices)) return this.wrong(`event ${at} has no choices`);
        if (chunk.choices.length === 0) return this.usage_chunk(chunk, at);
        if (this.usage) this.wrong(`event ${at} after the usage chunk`);
        if (chunk.usage) this.wrong(`event ${at} has usage beside choices`);
        if (chunk.choices.length !== 1 || chunk.choices[0].index !== 0) this.wrong(`event ${at} has choices other than 0`);
        return this.choice(chunk.choices[0], at);
    }

    error_chunk(chunk, at) {
        if ('choices' in chunk) this.wrong(`event ${at}: an error with choices`);
        for (const key of ['message', 'type', 'code']) {
            if (!(key in chunk.error)) this.wrong(`event ${at}: error without ${key}`);
        }
        if (typeof chunk.error.message !== 'string') this.wrong(`event ${at}: error message is no text`);
        this.error = chunk.error;
    }

    same(chunk, at) {
        if (chunk.object !== 'chat.completion.chunk') this.wrong(`event ${at} has object ${chunk.object}`);
        if (typeof chunk.id !== 'string' || chunk.id === '') this.wrong(`event ${at} has no id`);
        if (!Number.isInteger(chunk.created) || chunk.created > 1e11) this.wrong(`event ${at}: created is not in seconds`);
        if (typeof chunk.model !== 'string') this.wrong(`event ${at} has no model`);
        if (!this.first) {
            this.first = chunk;
            if (chunk.choices?.[0]?.delta?.role !== 'assistant') this.wrong('the first chunk has no role');
        }
        for (const key of ['id', 'created', 'model']) {
            if (chunk[key] !== this.first[key]) this.wrong(`event ${at}: ${key} changed`);
        }
    }

    usage_chunk(chunk, at) {
        if (!this.options.include_usage) this.wrong(`event ${at}: a usage chunk nobody asked for`);
        if (!this.finish) this.wrong(`event ${at}: usage before the finish`);
        if (this.usage) this.wrong(`event ${at}: a second usage chunk`);
        const { prompt_tokens, completion_tokens, total_tokens } = chunk.usage ?? {};
        if (![prompt_tokens, completion_tokens, total_tokens].every(Number.isInteger)) return this.wrong(`event ${at}: usage lacks counts`);
        if (total_tokens !== prompt_tokens + completion_tokens) this.wrong(`event ${at}: usage does not add up`);
        if (!Number.isInteger(chunk.usage.prompt_tokens_details?.cached_tokens)) this.wrong(`event ${at}: no cached_tokens`);
        if (!Number.isInteger(chunk.usage.completion_tokens_details?.reasoning_tokens)) this.wrong(`event ${at}: no reasoning_tokens`);
        this.usage = chunk.usage;
        return undefined;
    }

    choice({ delta, finish_reason }, at) {
        if (typeof delta !== 'object' || delta === null) return this.wrong(`event ${at} has no delta`);
        if (this.finish) this.wrong(`event ${at} after the finish chunk`);
        if (delta.role !== undefined && at !== 0) this.wrong(`event ${at} repeats the role`);
        for (const key of ['content', 'reasoning_content', 'refusal']) {
            if (delta[key] !== undefined && delta[key] !== null && typeof delta[key] !== 'string') this.wrong(`event ${at}: ${key} is no text`);
        }
        for (const piece of delta.tool_calls ?? []) this.tool_piece(piece, at);
        if (finish_reason === undefined) this.wrong(`event ${at}: finish_reason is missing`);
        if (finish_reason) {
            if (!finish_words.includes(finish_reason)) this.wrong(`event ${at}: unknown finish ${finish_reason}`);
            if (delta.content || delta.tool_calls) this.wrong(`event ${at}: content in the finish chunk`);
            this.finish = finish_reason;
        }
        return undefined;
    }

    tool_piece(piece, at) {
        const { index } = piece;
        const custom = piece.type === 'custom' || this.calls[index]?.custom;
        const { name, arguments: text } = custom ? { name: piece.custom?.name, arguments: piece.custom?.input } : piece.function ?? {};
        if (!Number.isInteger(index) || index > this.calls.length) return this.wrong(`event ${at}: tool index ${index} is not dense`);
        if (index === this.calls.length) {
            if (!piece.id || !['function', 'custom'].includes(piece.type) || !name) this.wrong(`event ${at}: call ${index} opens without id, type or name`);
            if (this.calls.some((call) => call.id === piece.id)) this.wrong(`event ${at}: id ${piece.id} twice`);
            this.calls.push({ id: piece.id, custom, arguments: '' });
        } else {
            if (name) this.wrong(`event ${at}: call ${index} names itself again`);
            if (piece.id && piece.id !== this.calls[index].id) this.wrong(`event ${at}: call ${index} changes its id`);
        }
        if (typeof text !== 'string') return this.wrong(`event ${at}: arguments are no text`);
        this.calls[index].arguments += text;
        return undefined;
    }

    end() {
        if (!this.done) this.wrong('no [DONE]');
        if (this.options.ends === 'error') {
            if (!this.error) this.wrong('no error');
            if (this.finish) this.wrong('a finish beside the error');
            return;
        }
        if (this.error) this.wrong(`an error: ${JSON.stringify(this.error)}`);
        if (!this.finish) this.wrong('no finish chunk');
        if (this.options.include_usage && !this.usage) this.wrong('no usage chunk');
        if (this.finish === 'tool_calls' && this.calls.length === 0) this.wrong('finish tool_calls without a call');
        if (this.finish === 'stop' && this.calls.length > 0) this.wrong('finish stop with calls');
        if (this.finish === 'tool_calls') {
            for (const call of this.calls.filter((each) => !each.custom)) {
                try {
                    JSON.parse(call.arguments);
                } catch {
                    this.wrong(`arguments of ${call.id} do not parse: ${call.arguments.slice(0, 60)}`);
                }
            }
        }
    }
}

/*
 * check_chat - problems of a stream of SSE events; an empty list for a good one.
 * options  include_usage: the client asked for usage; ends: 'error' when it must end in an error
 */
export function check_chat(events, options = {}) {
    const checker = new Checker(options);
    events.forEach((event, at) => checker.event(event, at));
    checker.end();
    return checker.problems;
}

/*
 * check_chat_passed - what still must hold when the upstream's own stream was passed on untouched: its
 * habits (no role, several finishes, usage anywhere) are the upstream's, its end is ours.
 */
export function check_chat_passed(events, options = {}) {
    const problems = [];
    const data = events.map((event) => event.data);
    if (data.filter((text) => text === '[DONE]').length !== 1 || data[data.length - 1] !== '[DONE]') problems.push('not exactly one [DONE] at the end');
    let error = false;
    for (const text of data.filter((each) => each !== '[DONE]')) {
        try {
            if (JSON.parse(text).error) error = true;
        } catch {
            problems.push(`not JSON: ${text.slice(0, 80)}`);
        }
    }
    if (error !== (options.ends === 'error')) problems.push(error ? 'an error' : 'no error');
    return problems;
}
