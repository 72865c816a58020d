// SPDX-License-Identifier: MIT
//
// world - what a soak runs against: fake providers for faults and for volume, plain and over TLS, and two gateways in front of
// them, one with a plain listener and one with TLS.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeProvider } from '../fake_provider/provider.mjs';
import { make_ca, make_certificate } from '../fake_provider/certificates.mjs';
import { models_at, Penstock } from '../../tests/e2e/lib/penstock.mjs';
import { free_port, renamed_models, tool } from '../../tests/e2e/lib/hostile.mjs';

export class World {
    async start() {
        this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-soak-'));
        this.ca_file = make_ca(this.folder);
        this.certificate = make_certificate(this.folder, 'server');
        this.provider = await new FakeProvider().start();
        this.load_port = await free_port();
        this.load_tls_port = await free_port();
        this.load = await tool('load_provider', ['--listen', `127.0.0.1:${this.load_port}`], true);
        this.load_tls = await tool('load_provider', ['--listen', `127.0.0.1:${this.load_tls_port}`, '--tls', this.certificate.cert_file, this.certificate.key_file], true);
        this.plain = await Penstock.start(this.config(0, false));
        this.tls = await Penstock.start(this.config(0, true));
        this.tls.tls = { ca: fs.readFileSync(this.ca_file), servername: 'localhost' };
        this.gateways = [this.plain, this.tls];
        return this;
    }

    /* config - of the n-th reload: limits, names and what is kept change, and come back. */
    config(n, tls) {
        return {
            model_list: [
                ...models_at(this.provider.url), ...renamed_models('l', `http://127.0.0.1:${this.load_port}`), ...renamed_models('t', `https://localhost:${this.load_tls_port}`),
                { model_name: 'flaky', litellm_params: { model: 'openai/text,status=500', api_base: `${this.provider.url}/v1`, api_key: 'k' } },
                { model_name: 'flaky', litellm_params: { model: 'anthropic/text', api_base: this.provider.url, api_key: 'k' } },
                { model_name: `fresh-${n % 8}`, litellm_params: { model: 'openai/text', api_base: `${this.provider.url}/v1`, api_key: 'k' } },
            ],
            router_settings: { num_retries: 3, allowed_fails: 1000000 },
            penstock: {
                workers: 2, log: { level: 'info' },
                ...(tls ? { listen: { tls_certificate: this.certificate.cert_file, tls_key: this.certificate.key_file } } : {}),
                tls: { ca_file: this.ca_file },
                sse: { resume: n % 2 ? '0' : '1500ms' },
                retry: { base: '20ms', max: '100ms' },
                limits: { queue: n % 3 ? '64KiB' : '256KiB', event: '1MiB', connections: 500, recall: '256KiB' },
                timeouts: {
                    // An honest client on a machine that is busy with other things may be late by seconds; idle connections need not be kept.
                    keepalive: '300ms', idle: '15s', first_byte: '30s', request: '120s', drain: '3s', commit: '2s', connect: '20s',
                    head: '15s', body: '15s', client_idle: '2s', linger: '200ms', upstream_idle: '500ms',
                },
            },
        };
    }

    reload(n) {
        for (const gateway of this.gateways) {
            gateway.write_config(this.config(n, gateway === this.tls));
            gateway.signal('SIGHUP');
        }
    }

    async stop() {
        for (const gateway of this.gateways ?? []) await gateway.stop();
        for (const each of [this.load, this.load_tls]) {
            each?.child.kill('SIGTERM');
            await each?.exited;
        }
        await this.provider?.stop();
        fs.rmSync(this.folder, { recursive: true, force: true });
    }
}
