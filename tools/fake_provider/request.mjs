// SPDX-License-Identifier: MIT
//
// request - a small HTTP/1.1 request reader. It keeps every byte it was given, so that a test can ask
// for exactly what arrived; it is strict about nothing, since judging requests is not its work.

export class RequestReader {
    constructor() {
        this.pending = Buffer.alloc(0);
    }

    /* take - add bytes; the list of requests that are now complete. */
    take(bytes) {
        this.pending = this.pending.length ? Buffer.concat([this.pending, bytes]) : bytes;
        const complete = [];
        for (;;) {
            const request = this.#next();
            if (!request) return complete;
            complete.push(request);
        }
    }

    #next() {
        const end = this.pending.indexOf('\r\n\r\n');
        if (end < 0) return null;
        const head = this.pending.subarray(0, end).toString('latin1');
        const [start, ...lines] = head.split('\r\n');
        const [method, target] = start.split(' ');
        const fields = lines.map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon), line.slice(colon + 1).trim()];
        });
        const headers = {};
        for (const [name, value] of fields) headers[name.toLowerCase()] = value;
        const body = this.#body(end + 4, headers);
        if (!body) return null;
        const request = { method, target, path: target.split('?')[0], fields, headers, body: body.bytes, framing: body.framing };
        this.pending = this.pending.subarray(body.end);
        return request;
    }

    #body(start, headers) {
        if ((headers['transfer-encoding'] ?? '').toLowerCase().includes('chunked')) {
            return this.#chunked(start);
        }
        const length = Number(headers['content-length'] ?? 0);
        if (this.pending.length < start + length) return null;
        return { bytes: Buffer.from(this.pending.subarray(start, start + length)), end: start + length, framing: 'length' };
    }

    #chunked(start) {
        const parts = [];
        for (let at = start; ;) {
            const line_end = this.pending.indexOf('\r\n', at);
            if (line_end < 0) return null;
            const size = parseInt(this.pending.subarray(at, line_end).toString('latin1'), 16);
            if (!(size > 0)) {
                const end = this.pending.indexOf('\r\n', line_end + 2);
                return end < 0 ? null : { bytes: Buffer.concat(parts), end: end + 2, framing: 'chunked' };
            }
            if (this.pending.length < line_end + 2 + size + 2) return null;
            parts.push(Buffer.from(this.pending.subarray(line_end + 2, line_end + 2 + size)));
            at = line_end + 2 + size + 2;
        }
    }
}
