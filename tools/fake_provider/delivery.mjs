// SPDX-License-Identifier: MIT
//
// delivery - how an answer's bytes leave: paced, split, cut, reset, stalled, framed rightly or wrongly.
//
// A behaviour (every member optional; times in ms, offsets in bytes of the body before its framing):
//   head_delay_ms, head_pace_ms   before the status line; between single bytes of the head
//   first_delay_ms, pace_ms       between head and body; before each further piece
//   split                         'byte' or 'random': how each piece is cut into writes; split_ms between them
//   chunking                      'byte' or 'random': how each piece is cut into chunks of the framing
//   cut_at, reset_at, stall_at    body offset after which: FIN, RST, silence until the peer closes
//   framing                       'chunked' (default), 'length', 'close'
//   content_length                a length to claim, right or wrong (framing 'length')
//   bad_chunk                     after this many pieces, a chunk size that is none
//   keep_alive                    false: Connection: close, and close
//   interim                       status of an interim answer to send first, such as 103

export function make_random(seed) {
    let state = (seed >>> 0) || 1;
    return () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) / 2 ** 32;
    };
}

function cut(bytes, how, random) {
    if (how === 'byte') return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    if (how !== 'random') return [bytes];
    const parts = [];
    for (let at = 0; at < bytes.length;) {
        const size = 1 + Math.floor(random() * Math.min(64, bytes.length - at));
        parts.push(bytes.subarray(at, at + size));
        at += size;
    }
    return parts;
}

export class Delivery {
    constructor(socket, behaviour, record) {
        this.socket = socket;
        this.behaviour = behaviour;
        this.record = record;
        this.random = make_random(behaviour.seed ?? 12345);
        this.framing = behaviour.framing ?? 'chunked';
        this.left = Math.min(behaviour.cut_at ?? Infinity, behaviour.reset_at ?? Infinity, behaviour.stall_at ?? Infinity);
    }

    get gone() {
        return this.socket.destroyed || this.record.client_closed_at !== null;
    }

    /* pause - wait, but no longer than the peer stays. */
    pause(ms) {
        if (this.gone || !(ms >= 0)) return Promise.resolve();
        return new Promise((resolve) => {
            const finish = () => {
                clearTimeout(timer);
                this.record.wakers.delete(finish);
                resolve();
            };
            const timer = ms === Infinity ? undefined : setTimeout(finish, ms);
            this.record.wakers.add(finish);
        });
    }

    async write(bytes) {
        if (this.gone || bytes.length === 0) return;
        if (!this.socket.write(bytes)) {
            await new Promise((resolve) => {
                const finish = () => {
                    this.socket.off('drain', finish);
                    this.record.wakers.delete(finish);
                    resolve();
                };
                this.socket.once('drain', finish);
                this.record.wakers.add(finish);
            });
        }
    }

    async write_split(bytes) {
        const { split, split_ms } = this.behaviour;
        for (const part of cut(bytes, split, this.random)) {
            await this.write(part);
            if (split && split_ms === undefined) await new Promise((resolve) => setImmediate(resolve));
            if (split_ms !== undefined) await this.pause(split_ms);
            if (this.gone) return;
        }
    }

    async head(status, reason, fields) {
        const { behaviour } = this;
        if (behaviour.head_delay_ms) await this.pause(behaviour.head_delay_ms);
        if (behaviour.interim) await this.write(Buffer.from(`HTTP/1.1 ${behaviour.interim} Interim\r\n\r\n`));
        const lines = [`HTTP/1.1 ${status} ${reason}`, ...fields.map(([name, value]) => `${name}: ${value}`)];
        const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
        if (!behaviour.head_pace_ms) return this.write_split(bytes);
        for (const byte of bytes) {
            await this.write(Buffer.from([byte]));
            await this.pause(behaviour.head_pace_ms);
        }
    }

    /* body - deliver pieces; true when all of it left, false when the behaviour ended it early. */
    async body(pieces) {
        const { behaviour } = this;
        if (behaviour.first_delay_ms) await this.pause(behaviour.first_delay_ms);
        let count = 0;
        for (const piece of pieces) {
            if (count > 0 && behaviour.pace_ms) await this.pause(behaviour.pace_ms);
            if (this.gone) return false;
            this.record.piece_times.push(performance.now());
            const allowed = piece.subarray(0, this.left);
            this.left -= allowed.length;
            await this.frame(allowed);
            this.record.body_bytes += allowed.length;
            if (allowed.length < piece.length || this.left === 0) {
                await this.end_early();
                return false;
            }
            count++;
            this.record.pieces = count;
            if (behaviour.bad_chunk === count) {
                await this.write(Buffer.from('zz\r\nnot a chunk\r\n'));
                return false;
            }
        }
        if (this.framing === 'chunked') await this.write_split(Buffer.from('0\r\n\r\n'));
        return true;
    }

    async frame(bytes) {
        if (this.framing !== 'chunked') return this.write_split(bytes);
        for (const part of cut(bytes, this.behaviour.chunking, this.random)) {
            if (part.length === 0) continue;
            const size = Buffer.from(`${part.length.toString(16)}\r\n`);
            await this.write_split(Buffer.concat([size, part, Buffer.from('\r\n')]));
        }
    }

    async end_early() {
        const { behaviour } = this;
        if (behaviour.stall_at !== undefined) {
            await this.pause(Infinity);
        } else if (behaviour.reset_at !== undefined) {
            await this.pause(behaviour.reset_delay_ms ?? 20);
            this.socket.resetAndDestroy();
        } else {
            this.socket.end();
        }
    }
}
