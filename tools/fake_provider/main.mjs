#!/usr/bin/env node
// SPDX-License-Identifier: MIT
//
// fake_provider - an LLM provider for tests and for trying things out, without keys or cost.
//   node tools/fake_provider/main.mjs [--port N] [--tls] [--recordings FOLDER]
// Ask it for the models text, tool, parallel, zero, thinking, usage, big, count, echo, ...; a name may
// carry behaviours: "count,count=100,pace_ms=20" or "text,cut_at=300". See delivery.mjs for all of them.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeProvider } from './provider.mjs';
import { make_ca, make_certificate } from './certificates.mjs';

const options = { port: 4100 };
for (let at = 2; at < process.argv.length; at++) {
    const argument = process.argv[at];
    if (argument === '--port') options.port = Number(process.argv[++at]);
    else if (argument === '--host') options.host = process.argv[++at];
    else if (argument === '--recordings') options.recordings = process.argv[++at];
    else if (argument === '--tls') options.tls = true;
    else {
        process.stderr.write('usage: main.mjs [--host HOST] [--port N] [--tls] [--recordings FOLDER]\n');
        process.exit(2);
    }
}

if (options.tls) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fake-provider-'));
    const ca = make_ca(folder);
    Object.assign(options, make_certificate(folder, 'server'));
    process.stdout.write(`ca ${ca}\n`);
    process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
}
const provider = await new FakeProvider(options).start();
process.stdout.write(`listening ${provider.url}\n`);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => provider.stop().then(() => process.exit(0)));
