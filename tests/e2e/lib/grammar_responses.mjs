// SPDX-License-Identifier: MIT
//
// grammar_responses - what a well-formed Responses stream is (wire-formats 3.3, 3.4; R9, R10, R42, R54). Written from the
// format's description; it knows nothing of how the gateway makes its streams.

import { isDeepStrictEqual } from 'node:util';

const prefixes = { message: 'msg_', reasoning: 'rs_', function_call: 'fc_', custom_tool_call: 'ctc_', image_generation_call: 'ig_' };
/* What the official library's types promise of a response. */
const members = [
    'id', 'object', 'created_at', 'status', 'error', 'incomplete_details', 'instructions', 'metadata', 'model', 'output', 'parallel_tool_calls',
    'temperature', 'tool_choice', 'tools', 'top_p', 'usage',
];
const text_deltas = {
    'response.output_text': ['output_text', 'text'],
    'response.refusal': ['refusal', 'refusal'],
    'response.reasoning_text': ['reasoning_text', 'text'],
};
const call_deltas = {
    'response.function_call_arguments': ['function_call', 'arguments'],
    'response.custom_tool_call_input': ['custom_tool_call', 'input'],
};

/* check_response_object - problems of a response object; `over` when it is the last word. */
export function check_response_object(response, over) {
    const problems = [];
    if (typeof response !== 'object' || response === null) return ['no response object'];
    for (const name of members) if (!(name in response)) problems.push(`the response lacks ${name}`);
    if (response.object !== 'response') problems.push(`object is ${response.object}`);
    if (typeof response.id !== 'string' || !response.id.startsWith('resp_')) problems.push(`response id ${response.id}`);
    if (typeof response.created_at !== 'number' || response.created_at > 1e11) problems.push('created_at is not in seconds');
    if (!Array.isArray(response.output)) return [...problems, 'output is no list'];
    if (!over) return problems;
    if (!['completed', 'incomplete', 'failed'].includes(response.status)) problems.push(`status ${response.status} at the end`);
    if ((response.status === 'incomplete') !== (response.incomplete_details !== null)) problems.push('incomplete_details do not fit the status');
    if (response.status === 'failed' && typeof response.error?.message !== 'string') problems.push('failed without an error');
    if (response.status !== 'failed') problems.push(...check_usage(response.usage), ...response.output.flatMap(check_item));
    return problems;
}

function check_usage(usage) {
    const { input_tokens, output_tokens, total_tokens, input_tokens_details, output_tokens_details } = usage ?? {};
    if (![input_tokens, output_tokens, total_tokens].every(Number.isInteger)) return ['usage lacks counts'];
    const problems = total_tokens === input_tokens + output_tokens ? [] : ['usage does not add up'];
    if (!Number.isInteger(input_tokens_details?.cached_tokens)) problems.push('no cached_tokens');
    if (!Number.isInteger(output_tokens_details?.reasoning_tokens)) problems.push('no reasoning_tokens');
    return problems;
}

/* An item that is done. */
function check_item(item) {
    const problems = [];
    const prefix = prefixes[item.type];
    if (prefix && !(typeof item.id === 'string' && item.id.startsWith(prefix) && item.id.length <= 64)) problems.push(`${item.type} has the id ${item.id}`);
    if (item.type === 'message' && (item.role !== 'assistant' || !Array.isArray(item.content))) problems.push('a message without role or content');
    for (const part of (item.type === 'message' && item.content) || []) {
        if (part.type === 'output_text' && (typeof part.text !== 'string' || !Array.isArray(part.annotations))) problems.push('an output_text without text or annotations');
    }
    if (item.type === 'reasoning' && !Array.isArray(item.summary)) problems.push('reasoning without a summary');
    if (item.type === 'function_call') {
        if (!item.call_id || !item.name || typeof item.arguments !== 'string') problems.push('a call without call_id, name or arguments');
        else if (item.status === 'completed') {
            try {
                JSON.parse(item.arguments);
            } catch {
                problems.push(`arguments of ${item.call_id} do not parse: ${item.arguments.slice(0, 60)}`);
            }
        }
    }
    return problems;
}

class Checker {
    constructor(options) {
        this.options = options;
        this.problems = [];
        this.id = null;
        this.started = 0;
        this.open = new Map();
        this.done = [];
        this.ids = new Set();
        this.error = null;
        this.last = null;
    }

    wrong(text) {
        if (this.problems.length < 10) this.problems.push(text);
    }

    event({ event, data }, at) {
        let body;
        try {
            body = JSON.parse(data);
        } catch {
            return this.wrong(`event ${at} is not JSON: ${data.slice(0, 80)}`);
        }
        const { type } = body;
        if (type !== event) this.wrong(`event ${at}: named ${event}, typed ${type}`);
        if (this.last) return this.wrong(`event ${at} (${type}) after the end`);
        if (body.sequence_number !== at) this.wrong(`event ${at} has the sequence_number ${body.sequence_number}`);
        if (type === 'error') return this.error_event(body, at);
        if (this.error && type !== 'response.failed') return this.wrong(`event ${at} (${type}) after the error`);
        if (type === 'response.created' || type === 'response.in_progress' || type === 'response.queued') return this.start(body, at);
        if (this.started === 0) this.wrong(`event ${at}: ${type} before response.created`);
        if (['response.completed', 'response.incomplete', 'response.failed'].includes(type)) return this.terminal(body, at);
        if (type === 'response.output_item.added') return this.added(body, at);
        return this.inside(body, at);
    }

    error_event(body, at) {
        if (typeof body.message !== 'string' || !('code' in body) || !('param' in body)) this.wrong(`event ${at}: error without code, message or param`);
        if (this.error) this.wrong(`event ${at}: a second error`);
        this.error = body;
    }

    start({ type, response }, at) {
        if (type === 'response.created' && at !== 0) this.wrong(`event ${at}: response.created is not the first`);
        if (at === 0 && type !== 'response.created') this.wrong('the first event is not response.created');
        check_response_object(response, false).forEach((problem) => this.wrong(`event ${at}: ${problem}`));
        if (response?.output?.length !== 0) this.wrong(`event ${at}: starts with output`);
        if (!['in_progress', 'queued'].includes(response?.status)) this.wrong(`event ${at}: starts with status ${response?.status}`);
        this.same(response, at);
        this.started++;
    }

    same(response, at) {
        this.id ??= response?.id;
        this.created ??= response?.created_at;
        this.model ??= response?.model;
        if (response?.id !== this.id || response?.created_at !== this.created || response?.model !== this.model) this.wrong(`event ${at}: id, created_at or model changed`);
    }

    added({ output_index, item }, at) {
        if (output_index !== this.ids.size) this.wrong(`event ${at}: item ${output_index} is not dense`);
        const { type, id } = item ?? {};
        if (prefixes[type] && !String(id).startsWith(prefixes[type])) this.wrong(`event ${at}: ${type} has the id ${id}`);
        if (this.ids.has(id)) this.wrong(`event ${at}: id ${id} twice`);
        this.ids.add(id);
        if (type === 'message' && item.content?.length !== 0) this.wrong(`event ${at}: a message is added with content`);
        if (type === 'function_call' && (item.arguments !== '' || !item.call_id || !item.name)) this.wrong(`event ${at}: a call is added without call_id or name, or with arguments`);
        if (type === 'reasoning' && item.summary?.length !== 0) this.wrong(`event ${at}: reasoning is added with a summary`);
        this.open.set(output_index, { id, type, parts: new Map(), summaries: new Map(), pieces: null, said: null });
    }

    inside(body, at) {
        const { type, output_index } = body;
        const slot = this.open.get(output_index);
        if (!slot) return this.wrong(`event ${at}: ${type} for item ${output_index}, which is not open`);
        if (type === 'response.output_item.done') return this.item_done(body, slot, at);
        if ('item_id' in body && body.item_id !== slot.id) this.wrong(`event ${at}: item_id ${body.item_id} is not ${slot.id}`);
        const [, stem, step] = /^(.*)\.([a-z_]+)$/.exec(type) ?? [null, type, ''];
        if (stem === 'response.content_part') return this.content_part(body, slot, step, at);
        if (text_deltas[stem]) return this.text_piece(body, slot, stem, step, at);
        if (stem === 'response.output_text.annotation') return this.annotation(body, slot, at);
        if (call_deltas[stem]) return this.call_piece(body, slot, stem, step, at);
        if (stem === 'response.reasoning_summary_part') return this.summary_part(body, slot, step, at);
        if (stem === 'response.reasoning_summary_text') return this.summary_piece(body, slot, step, at);
        if (!/^response\.(image_generation_call|web_search_call|file_search_call|code_interpreter_call|mcp_)/.test(type)) this.wrong(`event ${at}: unknown type ${type}`);
        return undefined;
    }

    content_part({ content_index, part }, slot, step, at) {
        if (step === 'added') {
            if (content_index !== slot.parts.size) this.wrong(`event ${at}: part ${content_index} is not dense`);
            if ((part.text ?? part.refusal) !== '') this.wrong(`event ${at}: a part is added with text`);
            slot.parts.set(content_index, { type: part.type, text: '', said: null, annotations: [], done: null });
            return;
        }
        const open = slot.parts.get(content_index);
        if (!open || open.done) return void this.wrong(`event ${at}: part ${content_index} is not open`);
        if ((part.text ?? part.refusal) !== open.text) this.wrong(`event ${at}: the part is not what its deltas said`);
        if (open.said === null) this.wrong(`event ${at}: the part is done before its text`);
        if (!isDeepStrictEqual(part.annotations ?? [], open.annotations)) this.wrong(`event ${at}: the part has other annotations`);
        open.done = part;
    }

    text_piece(body, slot, stem, step, at) {
        const [type, member] = text_deltas[stem];
        const part = slot.parts.get(body.content_index);
        if (!part || part.type !== type || part.said !== null) return void this.wrong(`event ${at}: ${stem}.${step} outside its part`);
        if (step === 'delta' && typeof body.delta !== 'string') this.wrong(`event ${at}: delta is no text`);
        if (step === 'delta') part.text += body.delta;
        else if (body[member] !== part.text) this.wrong(`event ${at}: ${stem}.done is not what the deltas said`);
        else part.said = true;
    }

    annotation({ content_index, annotation_index, annotation }, slot, at) {
        const part = slot.parts.get(content_index);
        if (!part || part.done) return void this.wrong(`event ${at}: an annotation outside its part`);
        if (annotation_index !== part.annotations.length) this.wrong(`event ${at}: annotation ${annotation_index} is not dense`);
        const length = Array.from(part.text).length;
        if (annotation.type === 'url_citation' && !(annotation.start_index >= 0 && annotation.end_index <= length && annotation.start_index <= annotation.end_index)) {
            this.wrong(`event ${at}: citation of ${annotation.start_index} to ${annotation.end_index} in a text of ${length}`);
        }
        part.annotations.push(annotation);
    }

    call_piece(body, slot, stem, step, at) {
        const [type, member] = call_deltas[stem];
        if (slot.type !== type || slot.said !== null) return void this.wrong(`event ${at}: ${stem}.${step} outside its call`);
        if (step === 'delta') slot.pieces = (slot.pieces ?? '') + body.delta;
        else if (body[member] !== (slot.pieces ?? '')) this.wrong(`event ${at}: ${stem}.done is not what the deltas said`);
        else slot.said = body[member];
    }

    summary_part({ summary_index, part }, slot, step, at) {
        if (step === 'added') {
            if (summary_index !== slot.summaries.size) this.wrong(`event ${at}: summary ${summary_index} is not dense`);
            slot.summaries.set(summary_index, { text: '', said: null, done: null });
            return;
        }
        const open = slot.summaries.get(summary_index);
        if (!open || open.done || open.said === null || part.text !== open.text) this.wrong(`event ${at}: summary ${summary_index} is not what its deltas said`);
        else open.done = part;
    }

    summary_piece(body, slot, step, at) {
        const open = slot.summaries.get(body.summary_index);
        if (!open || open.said !== null) return void this.wrong(`event ${at}: summary text outside its part`);
        if (step === 'delta') open.text += body.delta;
        else if (body.text !== open.text) this.wrong(`event ${at}: summary text done is not what the deltas said`);
        else open.said = true;
    }

    item_done({ item, output_index }, slot, at) {
        if (item.id !== slot.id || item.type !== slot.type) this.wrong(`event ${at}: item ${output_index} is done as another`);
        if (item.type === 'message' && !isDeepStrictEqual(item.content, [...slot.parts.values()].map((part) => part.done))) this.wrong(`event ${at}: the message is not its parts`);
        if (item.type === 'reasoning') {
            const summary = [...slot.summaries.values()].map((each) => each.done);
            if (!isDeepStrictEqual(item.summary, summary)) this.wrong(`event ${at}: the summary is not its parts`);
        }
        const said = { function_call: item.arguments, custom_tool_call: item.input }[item.type];
        if (said !== undefined && slot.said !== said) this.wrong(`event ${at}: the call is not what its pieces said`);
        check_item(item).forEach((problem) => this.wrong(`event ${at}: ${problem}`));
        this.open.delete(output_index);
        this.done[output_index] = item;
    }

    terminal({ type, response }, at) {
        check_response_object(response, true).forEach((problem) => this.wrong(`event ${at}: ${problem}`));
        this.same(response, at);
        if (`response.${response?.status}` !== type) this.wrong(`event ${at}: ${type} with status ${response?.status}`);
        if (type !== 'response.failed') {
            if (this.open.size > 0) this.wrong(`event ${at}: the end with ${this.open.size} open items`);
            if (!isDeepStrictEqual(response?.output, this.done)) this.wrong(`event ${at}: output is not the items that were done`);
        }
        this.last = type;
    }

    end() {
        if (!this.last) this.wrong('no terminal event');
        if (this.options.ends === 'error') {
            if (this.last !== 'response.failed') this.wrong(`ends in ${this.last}, not in response.failed`);
            if (!this.error) this.wrong('no error event');
        } else if (this.error || this.last === 'response.failed') {
            this.wrong(`an error: ${JSON.stringify(this.error)}`);
        }
    }
}

/* check_responses - problems of a stream of SSE events; options: ends 'error' when it must end in an error. */
export function check_responses(events, options = {}) {
    const checker = new Checker(options);
    events.forEach((event, at) => checker.event(event, at));
    checker.end();
    return checker.problems;
}

/* check_responses_passed - what must hold of an upstream's own stream that was passed on: one end, and it is the last. */
export function check_responses_passed(events, options = {}) {
    const problems = [];
    const ends = [];
    events.forEach(({ data }, at) => {
        try {
            const { type } = JSON.parse(data);
            if (['response.completed', 'response.incomplete', 'response.failed'].includes(type)) ends.push([type, at]);
        } catch {
            problems.push(`not JSON: ${data.slice(0, 80)}`);
        }
    });
    if (ends.length !== 1 || ends[0][1] !== events.length - 1) problems.push(`not exactly one end at the end: ${JSON.stringify(ends)} of ${events.length}`);
    else if ((ends[0][0] === 'response.failed') !== (options.ends === 'error')) problems.push(`ends in ${ends[0][0]}`);
    return problems;
}
