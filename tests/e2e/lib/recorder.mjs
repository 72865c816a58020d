// SPDX-License-Identifier: MIT
//
// recorder - an upstream that keeps every byte it is sent and answers each request with a small reply: for tests of what
// leaves the gateway. It reads strictly: what is not a request as the gateway has to write it is a complaint.

import net from 'node:net';

const reply = JSON.stringify({
    id: 'x', object: 'chat.completion', created: 1, model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'recorded' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
});

export class Recorder {
    async start() {
        this.requests = [];
        this.complaints = [];
        this.sockets = new Set();
        this.server = net.createServer({ noDelay: true }, (socket) => this.#serve(socket));
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
        this.url = `http://127.0.0.1:${this.port}`;
        return this;
    }

    async stop() {
        for (const socket of this.sockets) socket.destroy();
        await new Promise((resolve) => this.server.close(resolve));
    }

    #serve(socket) {
        this.sockets.add(socket);
        let pending = '';
        socket.setEncoding('latin1');
        socket.on('error', () => {});
        socket.on('close', () => {
            this.sockets.delete(socket);
            if (pending) this.complaints.push(`left over: ${JSON.stringify(pending.slice(0, 200))}`);
        });
        socket.on('data', (text) => {
            pending += text;
            for (let taken = this.#take(pending); taken > 0; taken = this.#take(pending)) {
                pending = pending.slice(taken);
                socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${reply.length}\r\n\r\n${reply}`);
            }
        });
    }

    /* How many bytes the first request has; 0: it is not whole. */
    #take(text) {
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) return 0;
        const head = text.slice(0, end);
        const [start, ...lines] = head.split('\r\n');
        const complain = (why) => this.complaints.push(`${why}: ${JSON.stringify(head.slice(0, 400))}`);
        if (!/^(GET|POST|DELETE|HEAD) [!-~]+ HTTP\/1\.1$/.test(start)) complain('request line');
        for (const line of lines) {
            if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[\t -~\x80-\xff]*$/.test(line)) complain(`field ${JSON.stringify(line)}`);
        }
        const values = (name) => lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
        if (values('host').length !== 1) complain('host');
        if (values('transfer-encoding').length > 0) complain('a coding');
        const lengths = values('content-length');
        if (lengths.length > 1 || lengths.some((length) => !/^\d+$/.test(length))) complain('length');
        const size = Number(lengths[0] ?? 0);
        if (text.length < end + 4 + size) return 0;
        this.requests.push({ start, lines, body: text.slice(end + 4, end + 4 + size) });
        return end + 4 + size;
    }
}
