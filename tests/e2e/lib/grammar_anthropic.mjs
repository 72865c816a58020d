// SPDX-License-Identifier: MIT
//
// grammar_anthropic - what a well-formed Anthropic Messages stream is (wire-formats 4.5; R9, R10, R73,
// R75, R76, R77). Written from the format's description, not from the gateway.

const stop_words = ['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'pause_turn', 'refusal', 'model_context_window_exceeded', 'compaction'];
const delta_home = {
    text_delta: ['text'],
    citations_delta: ['text'],
    input_json_delta: ['tool_use', 'server_tool_use', 'mcp_tool_use'],
    thinking_delta: ['thinking'],
    signature_delta: ['thinking'],
    compaction_delta: ['compaction'],
};

class Checker {
    constructor(options) {
        this.options = options;
        this.problems = [];
        this.state = 'new';
        this.next_index = 0;
        this.block = null;
        this.tools = 0;
        this.stop_reason = null;
        this.error = null;
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
        if (body.type !== event) this.wrong(`event ${at}: named ${event}, typed ${body.type}`);
        if (this.state === 'over') return this.wrong(`event ${at} (${event}) after the end`);
        if (body.type === 'ping') return undefined;
        if (body.type === 'error') return this.error_event(body, at);
        if (this.state === 'new' && body.type !== 'message_start') this.wrong(`event ${at}: ${event} before message_start`);
        const handler = this[body.type];
        if (!Checker.types.includes(body.type)) return this.wrong(`event ${at}: unknown type ${body.type}`);
        return handler.call(this, body, at);
    }

    error_event(body, at) {
        if (typeof body.error?.type !== 'string' || typeof body.error?.message !== 'string') this.wrong(`event ${at}: error lacks type or message`);
        this.error = body.error;
        this.state = 'over';
    }

    message_start({ message }, at) {
        if (this.state !== 'new') this.wrong(`event ${at}: a second message_start`);
        this.state = 'open';
        const shape = message?.type === 'message' && message.role === 'assistant' && typeof message.id === 'string' && message.id !== ''
            && typeof message.model === 'string' && Array.isArray(message.content) && message.content.length === 0 && message.stop_reason === null;
        if (!shape) this.wrong(`event ${at}: message_start holds no empty message`);
        if (!Number.isInteger(message?.usage?.input_tokens) || !Number.isInteger(message?.usage?.output_tokens)) this.wrong(`event ${at}: message_start without usage`);
    }

    content_block_start({ index, content_block }, at) {
        if (this.state !== 'open') this.wrong(`event ${at}: a block outside the message`);
        if (this.block) this.wrong(`event ${at}: block ${index} starts inside block ${this.block.index}`);
        if (index !== this.next_index) this.wrong(`event ${at}: block index ${index}, expected ${this.next_index}`);
        this.next_index = index + 1;
        this.block = { index, type: content_block?.type, json: '', signed: false };
        if (content_block?.type === 'text' && content_block.text !== '') this.wrong(`event ${at}: text in the start of a text block`);
        if (content_block?.type === 'thinking' && content_block.thinking !== '') this.wrong(`event ${at}: text in the start of a thinking block`);
        if (content_block?.type === 'tool_use') {
            this.tools++;
            if (!content_block.id || !content_block.name) this.wrong(`event ${at}: tool_use without id or name`);
            if (JSON.stringify(content_block.input) !== '{}') this.wrong(`event ${at}: tool_use starts with input`);
        }
    }

    content_block_delta({ index, delta }, at) {
        if (!this.block || this.block.index !== index) return this.wrong(`event ${at}: a delta for block ${index}, which is not open`);
        const homes = delta_home[delta?.type];
        if (!homes) return this.wrong(`event ${at}: unknown delta ${delta?.type}`);
        if (!homes.includes(this.block.type)) this.wrong(`event ${at}: ${delta.type} in a ${this.block.type} block`);
        if (this.block.signed) this.wrong(`event ${at}: a delta after the signature`);
        if (delta.type === 'signature_delta') this.block.signed = true;
        if (delta.type === 'input_json_delta') {
            if (typeof delta.partial_json !== 'string') this.wrong(`event ${at}: partial_json is no text`);
            this.block.json += delta.partial_json;
        }
        return undefined;
    }

    content_block_stop({ index }, at) {
        if (!this.block || this.block.index !== index) return this.wrong(`event ${at}: stops block ${index}, which is not open`);
        if (this.block.type === 'tool_use') this.last_json = this.block.json;
        if (this.block.type === 'tool_use' && this.block.json !== '') {
            try {
                JSON.parse(this.block.json);
            } catch {
                this.bad_json = this.block.json;
            }
        }
        this.block = null;
        return undefined;
    }

    message_delta({ delta, usage }, at) {
        if (this.block) this.wrong(`event ${at}: message_delta inside block ${this.block.index}`);
        if (delta?.stop_reason !== null && delta?.stop_reason !== undefined) {
            if (!stop_words.includes(delta.stop_reason)) this.wrong(`event ${at}: unknown stop_reason ${delta.stop_reason}`);
            this.stop_reason = delta.stop_reason;
        }
        if (!Number.isInteger(usage?.output_tokens)) this.wrong(`event ${at}: message_delta without output_tokens`);
        if (this.options.translated && !Number.isInteger(usage?.input_tokens)) this.wrong(`event ${at}: message_delta does not repeat input_tokens`);
    }

    message_stop(body, at) {
        if (this.block) this.wrong(`event ${at}: message_stop inside block ${this.block.index}`);
        if (!this.stop_reason) this.wrong(`event ${at}: message_stop before a stop_reason`);
        this.state = 'over';
        this.stopped = true;
    }

    end() {
        if (this.options.ends === 'error') {
            if (!this.error) this.wrong('no error event');
            return;
        }
        if (this.error) this.wrong(`an error: ${JSON.stringify(this.error)}`);
        if (!this.stopped) this.wrong('no message_stop');
        if (this.stop_reason === 'tool_use' && this.tools === 0) this.wrong('stop_reason tool_use without a tool_use block');
        if (this.stop_reason === 'end_turn' && this.tools > 0) this.wrong('stop_reason end_turn with tool_use blocks');
        if (this.bad_json !== undefined && this.stop_reason === 'tool_use') this.wrong(`tool input does not parse: ${this.bad_json.slice(0, 60)}`);
    }
}
Checker.types = ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'];

/*
 * check_anthropic - problems of a stream of SSE events; an empty list for a good one.
 * options  ends: 'error' when it must end in an error; translated: made by the gateway, not passed on
 */
export function check_anthropic(events, options = {}) {
    const checker = new Checker(options);
    events.forEach((event, at) => checker.event(event, at));
    checker.end();
    return checker.problems;
}
