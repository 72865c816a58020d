// SPDX-License-Identifier: MIT
//
// smuggling - requests that hide a second one: in a difference between two readers of a length, behind an error, in a
// field, a path or a model's name. Bytes are latin1. `inner` is the request that must never be taken for one.

const chat = '/v1/chat/completions';
const body = JSON.stringify({ model: 'c/outer', messages: [{ role: 'user', content: 'x' }] });

export const inner = ((text) => `POST ${chat} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`)(
    JSON.stringify({ model: 'c/smuggled', messages: [{ role: 'user', content: 'y' }] }));

const post = (fields, content, target = chat, version = 'HTTP/1.1') => `POST ${target} ${version}\r\nHost: x\r\n${fields}\r\n\r\n${content}`;
const chunked = 'Transfer-Encoding: chunked';

/* How attackers have written Transfer-Encoding so that one of two readers does not see it. */
const codings = [
    'Transfer-Encoding: chunked', 'Transfer-Encoding:chunked', 'Transfer-Encoding:\tchunked', 'Transfer-Encoding: chunked ', 'Transfer-Encoding: chunked\t', 'transfer-encoding: CHUNKED',
    'Transfer-Encoding : chunked', 'Transfer-Encoding\t: chunked', ' Transfer-Encoding: chunked', '\tTransfer-Encoding: chunked', 'X: x\r\n Transfer-Encoding: chunked',
    'Transfer-Encoding:\r\n chunked', 'Transfer-Encoding\r\n: chunked', 'Transfer-Encoding: chunked\x0b', 'Transfer-Encoding:\x0bchunked', 'Transfer-Encoding: \x0cchunked',
    'Transfer-Encoding: chunked\x00', 'Transfer\x00-Encoding: chunked', 'Transfer-Encoding\x00: chunked', 'Transfer-Encoding: \x00chunked', 'X: x\nTransfer-Encoding: chunked',
    'X: x\rTransfer-Encoding: chunked', 'Transfer-Encoding: chunked\rX: x', 'Transfer-Encoding: chunked\nX: x', 'Transfer-Encoding: "chunked"', "Transfer-Encoding: 'chunked'",
    'Transfer-Encoding: chunked;', 'Transfer-Encoding: chunked;q=1', 'Transfer-Encoding: chunked,', 'Transfer-Encoding: ,chunked', 'Transfer-Encoding: , chunked', 'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity, chunked', 'Transfer-Encoding: identity', 'Transfer-Encoding: gzip', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: chunked, gzip', 'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunkedx', 'Transfer-Encoding: chunk', 'Transfer-Encoding: ch\xfcnked', 'Transfer-Encoding: \xa0chunked', 'Transfer-Encoding: chunked\xa0', 'Transfer-Encoding:', 'Transfer-Encoding: ',
    'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
    'Transfer Encoding: chunked', 'Transfer-Encoding: 0', 'Transfer-Encoding: deflate', 'Transfer-Encoding: trailers', 'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked',
];

/* Fields that only look like it: whoever takes them for it sees two requests, the length says one. */
const lookalikes = ['Transfer_Encoding: chunked', 'TransferEncoding: chunked', 'Transfer-Encoding2: chunked', 'X-Transfer-Encoding: chunked', 'Content-Encoding: chunked', 'TE: chunked'];

/* Lengths that readers have disagreed about; N is a number that they agree about. */
const lengths = [
    'Content-Length: N, N', 'Content-Length: N\r\nContent-Length: N', 'Content-Length: N\r\nContent-Length: 0', 'Content-Length: 0\r\nContent-Length: N', 'Content-Length: N, 0', 'Content-Length: 0, N',
    'Content-Length: +N', 'Content-Length: -N', 'Content-Length: N ;', 'Content-Length: N;x', 'Content-Length: "N"', 'Content-Length: 0xN', 'Content-Length: N.0', 'Content-Length: N e0', 'Content-Length: N\x00',
    'Content-Length: N\x0b', 'Content-Length:\x0bN', 'Content-Length: \xa0N', 'Content-Length : N', 'Content-Length\t: N', ' Content-Length: N', 'Content-Length:\r\n N', 'X: x\r\n Content-Length: N',
    'Content-Length: N\r\n 0', 'Content\x00-Length: N', 'Content-Length: ', 'Content-Length: ,N', 'Content-Length: N,', 'Content-Length: N\nX: x', 'X: x\nContent-Length: N', 'X: x\rContent-Length: N',
    'Content-Length: 18446744073709551616', 'Content-Length: 18446744073709551615', 'Content-Length: 9223372036854775808', 'Content-Length: 99999999999999999999999999',
    'Content_Length: N', 'ContentLength: N', 'Connection: Content-Length\r\nContent-Length: N', 'X-Content-Length: N', 'Content-Length: N\r\nX-Content-Length: 0',
];

/* Chunks that readers have disagreed about, each followed by the hidden request. */
const chunks = [
    '0\n\n', '0\n\r\n', '0\r\n\n', '0\r\n\r', '0 \r\n\r\n', ' 0\r\n\r\n', '\t0\r\n\r\n', '0\t\r\n\r\n', '0x0\r\n\r\n', '+0\r\n\r\n', '-0\r\n\r\n', '0\r\r\n\r\n', '0\x00\r\n\r\n', '\r\n0\r\n\r\n', '0;\x00\r\n\r\n', '0;x\ny\r\n\r\n', '0;x=\r"\r\n\r\n',
    '0\r\nX\r\n\r\n', '0\r\n X: x\r\n\r\n', '0\r\nX : x\r\n\r\n', '0\r\nX: x\n\r\n', '0\r\nX: \x00\r\n\r\n', '1\r\nxx\r\n0\r\n\r\n', '1\r\nx\n0\r\n\r\n', '1\nx\r\n0\r\n\r\n', '1\r\nx0\r\n\r\n', '2\r\nx\r\n0\r\n\r\n', 'g\r\n\r\n', '\r\n\r\n', ';x\r\n\r\n',
    'fffffffffffffffff\r\n', '10000000000000000\r\n', 'ffffffffffffffff\r\n', '7fffffffffffffff\r\n', '80000000\r\n', '1 0\r\n', '0_0\r\n\r\n', '0,0\r\n\r\n', '0"\r\n\r\n', `0;${'x'.repeat(70_000)}\r\n\r\n`, `${'0'.repeat(5000)}\r\n\r\n`,
    `0\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, `0\r\n${'X: x\r\n'.repeat(200)}\r\n`,
];

function of_lengths() {
    const cases = [];
    const hex = (text) => text.length.toString(16);
    // Who goes by the length sees one body; who goes by the chunks sees two requests; and the other way round.
    const ends_early = `0\r\n\r\n${inner}`;
    for (const coding of lookalikes) cases.push([`length hides chunks: ${coding}`, post(`Content-Length: ${ends_early.length}\r\n${coding}`, ends_early)]);
    for (const coding of codings) {
        cases.push([`length hides chunks: ${coding}`, post(`Content-Length: ${ends_early.length}\r\n${coding}`, ends_early)]);
        cases.push([`length hides chunks, coding first: ${coding}`, post(`${coding}\r\nContent-Length: ${ends_early.length}`, ends_early)]);
        const holds = `${hex(inner)}\r\n${inner}\r\n0\r\n\r\n`;
        cases.push([`chunks hide length: ${coding}`, post(`Content-Length: ${hex(inner).length + 2}\r\n${coding}`, holds)]);
    }
    for (const length of lengths) {
        const padded = `${body}${inner}`;
        cases.push([`long: ${length}`, post(length.replaceAll('N', String(padded.length)), padded)]);
        cases.push([`short: ${length}`, post(length.replaceAll('N', String(body.length)), `${body}${' '.repeat(3)}`)]);
    }
    return cases;
}

function of_chunks() {
    const cases = chunks.map((bytes) => [`chunk: ${JSON.stringify(bytes.slice(0, 40))}`, post(chunked, `${bytes}${inner}`)]);
    const good = `${body.length.toString(16)}\r\n${body}\r\n`;
    for (const bytes of chunks) cases.push([`after a good chunk: ${JSON.stringify(bytes.slice(0, 40))}`, post(chunked, `${good}${bytes}${inner}`)]);
    return cases;
}

/* What stands behind a request that is refused before its body is read is still its body. */
function of_errors() {
    const held = (target, fields = '') => `POST ${target} HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: ${inner.length}\r\n\r\n${inner}`;
    return [
        ['body of an unknown path', held('/v1/nothing')],
        ['body of a wrong method', held('/v1/chat/completions').replace('POST', 'PUT')],
        ['body of a method that has none', held('/health').replace('POST', 'GET')],
        ['body of HEAD', held('/').replace('POST', 'HEAD')],
        ['body of OPTIONS', held(chat).replace('POST', 'OPTIONS')],
        ['body of a list of models', held('/v1/models').replace('POST', 'GET')],
        ['body that is no JSON', held(chat)],
        ['body that is promised after an error', held(chat, 'Expect: 100-continue\r\n')],
        ['expectation that is none', held(chat, 'Expect: smuggle\r\n')],
        ['upgrade to HTTP/2', held(chat, 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n')],
        ['upgrade to a web socket', held(chat, 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n')],
        ['body without a length', `POST ${chat} HTTP/1.1\r\nHost: x\r\n\r\n${body}`],
        ['body under HTTP/1.0 without a length', `POST ${chat} HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n${body}`],
        ['chunks under HTTP/1.0', post(`Connection: keep-alive\r\n${chunked}`, `0\r\n\r\n${inner}`, chat, 'HTTP/1.0')],
        ['request of HTTP/0.9', `GET /health\r\n${inner}`],
        ['another version', `POST ${chat} HTTP/1.2\r\nHost: x\r\nContent-Length: 0\r\n\r\n${inner}`],
        ['behind a broken request', `GET /health HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n${inner}`],
        ['behind a request line too long', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n${inner}`],
        ['behind a head too large', `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(70_000)}\r\n\r\n${inner}`],
        ['behind CONNECT', `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n${inner}`],
        ['behind a request that closes', `GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n${inner}`, 'unheard'],
        ['behind one of HTTP/1.0', `GET /health HTTP/1.0\r\n\r\n${inner}`],
        ['request line with a space in its path', `POST ${chat} HTTP/1.1 ${chat} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n${inner}`],
        ['two hosts', `POST ${chat} HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n${inner}`],
        ['absolute target that differs from its host', `POST http://evil.example${chat} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n${inner}`],
        ['body too large, by its length', `POST ${chat} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n${inner}`],
        ['body too large, by a chunk', post(chunked, `ffffff\r\n${inner}`)],
    ];
}

/* hostile: [name, bytes] whose hidden part must never become a request, and that no upstream may hear more than one of. */
export const hostile = [...of_lengths(), ...of_chunks(), ...of_errors()];

/* numbered - the same bytes with names of their own for the outer and the hidden model, so that many can be tried at once. */
export function numbered(text, number) {
    return text.replaceAll('c/outer', `c/o${String(number).padStart(4, '0')}`).replaceAll('c/smuggled', `c/s${String(number).padStart(7, '0')}`);
}

/* honest: [name, bytes] of one request that is odd and right: exactly one must arrive, as one. */
export const honest = [
    ['a plain one', post(`Content-Length: ${body.length}`, body)],
    ['an empty line in front', `\r\n${post(`Content-Length: ${body.length}`, body)}`],
    ['a length with zeros in front', post(`Content-Length: 000${body.length}`, body)],
    ['space around a length', post(`Content-Length: \t ${body.length} \t`, body)],
    ['a length that Connection names', post(`Connection: content-length\r\nContent-Length: ${body.length}`, body)],
    ['chunks', post(chunked, `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`)],
    ['chunks with zeros in front', post(chunked, `000000${body.length.toString(16).toUpperCase()}\r\n${body}\r\n00000\r\n\r\n`)],
    ['a chunk for nearly each byte', post(chunked, `${body.match(/c\/outer|./g).map((part) => `${part.length}\r\n${part}\r\n`).join('')}0\r\n\r\n`)],
    ['an extension that looks like a request', post(chunked, `${body.length.toString(16)};POST;HTTP=1.1;Host=evil;Content-Length=5\r\n${body}\r\n0\r\n\r\n`)],
    ['trailers that look like framing', post(chunked, `${body.length.toString(16)}\r\n${body}\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil.example\r\n\r\n`)],
    ['an absolute target', post(`Content-Length: ${body.length}`, body, `http://x${chat}`)],
    ['another field with a coding', post(`Transfer_Encoding: chunked\r\nContent-Length: ${body.length}`, body)],
    ['TE and trailers', post(`TE: trailers, chunked\r\nTrailer: Content-Length\r\nContent-Length: ${body.length}`, body)],
    ['fields that tell of others', post(`X-Forwarded-For: 1.2.3.4\r\nX-Original-URL: /admin\r\nX-HTTP-Method-Override: GET\r\nForwarded: host=evil.example\r\nContent-Length: ${body.length}`, body)],
];
