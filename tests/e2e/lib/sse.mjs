// SPDX-License-Identifier: MIT
//
// sse - read server-sent events, written from the WHATWG text and from nothing in the gateway.

/*
 * decode_sse - the events of a whole stream.
 * text     the body as a string
 * options  last: accept a final event that no empty line closed (some providers leave it out)
 * returns {events: [{event, data, id}], comments: [text], retry: [ms]}
 */
export function decode_sse(text, options = {}) {
    const result = { events: [], comments: [], retry: [] };
    const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
    const rest = lines.pop();
    let data = null;
    let event = '';
    let id;
    const dispatch = () => {
        if (data !== null) result.events.push({ event: event || 'message', data: data.slice(0, -1), id });
        data = null;
        event = '';
    };
    const take = (line) => {
        if (line === '') return dispatch();
        if (line.startsWith(':')) return void result.comments.push(line.slice(1));
        const colon = line.indexOf(':');
        const name = colon < 0 ? line : line.slice(0, colon);
        let value = colon < 0 ? '' : line.slice(colon + 1);
        if (value.startsWith(' ')) value = value.slice(1);
        if (name === 'data') data = `${data ?? ''}${value}\n`;
        else if (name === 'event') event = value;
        else if (name === 'id' && !value.includes('\0')) id = value;
        else if (name === 'retry' && /^[0-9]+$/.test(value)) result.retry.push(Number(value));
        return undefined;
    };
    lines.forEach(take);
    if (options.last) {
        if (rest) take(rest);
        dispatch();
    }
    return result;
}

/* longest_line - bytes of the longest line of a stream (R28). */
export function longest_line(text) {
    return Math.max(...text.split(/\r\n|\n|\r/).map((line) => Buffer.byteLength(line)));
}
