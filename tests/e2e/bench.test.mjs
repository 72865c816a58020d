// SPDX-License-Identifier: MIT
//
// bench - tools/bench measures; this does not. Each of its scenarios runs for a moment, so that no byte is lost and no
// scenario falls into disrepair, and docs/PERFORMANCE.md is what the figures that are kept give.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { binary, repository } from './lib/penstock.mjs';

const built = path.dirname(path.dirname(path.resolve(binary)));

function bench(...words) {
    const done = spawnSync(path.join(repository, 'tools', 'bench'), words, { encoding: 'utf8', timeout: 180_000 });
    return { status: done.status, text: done.stdout + done.stderr };
}

describe('bench', () => {
    let folder;
    before(() => { folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-e2e-bench-')); });
    after(() => fs.rmSync(folder, { recursive: true, force: true }));

    it('runs every scenario, and every byte is right', () => {
        const done = bench('--smoke', '--build', built);
        assert.equal(done.status, 0, done.text);
        assert.match(done.text, /^\d+ scenarios, 0 wrong$/m);
    });

    it('says so when a target loses what it should pass on', () => {
        // A floor that closes each connection at once.
        for (const [part, name] of [['gateway', 'penstock'], ['tools', 'loadgen'], ['tools', 'load_provider']]) {
            fs.mkdirSync(path.join(folder, part), { recursive: true });
            fs.symlinkSync(path.join(built, part, name), path.join(folder, part, name));
        }
        fs.writeFileSync(path.join(folder, 'tools', 'relay_floor'), `#!/usr/bin/env python3
import socket, sys
host, _, port = sys.argv[sys.argv.index("--listen") + 1].partition(":")
listener = socket.create_server((host, int(port)))
while True:
    listener.accept()[0].close()
`, { mode: 0o755 });
        const done = bench('--smoke', '--only', 'paced', '--targets', 'floor', '--build', folder);
        assert.equal(done.status, 1, done.text);
        assert.match(done.text, /^paced: floor .+$/m);
    });

    it('docs/PERFORMANCE.md is what its figures give', () => {
        const done = bench('--check');
        assert.equal(done.status, 0, done.text);
    });

    it('judges figures as it should', () => {
        const done = bench('--self-test');
        assert.equal(done.status, 0, done.text);
    });
});
