// SPDX-License-Identifier: MIT
//
// tls - upstreams over TLS: whom the gateway trusts, whom it does not, and streams through it; and the
// listener's own TLS (R31, R32 and issue, reactor).

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeProvider } from '../../tools/fake_provider/provider.mjs';
import { make_ca, make_certificate } from '../../tools/fake_provider/certificates.mjs';
import { numbered_text } from '../../tools/fake_provider/turns.mjs';
import { decode_anthropic_events } from './lib/decode_anthropic.mjs';
import { check_anthropic } from './lib/grammar_anthropic.mjs';
import { check_chat } from './lib/grammar_chat.mjs';
import { gateway_config, Penstock, soon } from './lib/penstock.mjs';
import { events_of, exchange, json_of, RawClient } from './lib/raw.mjs';

const messages = '/v1/messages';
const question = { max_tokens: 20, stream: true, messages: [{ role: 'user', content: 'x' }] };

describe('TLS', () => {
    const providers = {};
    let folder;
    let penstock;
    let server;
    before(async () => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), 'penstock-tls-'));
        make_ca(folder);
        make_ca(folder, 'foreign');
        const certificates = {
            good: make_certificate(folder, 'good'),
            rsa: make_certificate(folder, 'rsa', { key: 'rsa' }),
            wrong_name: make_certificate(folder, 'wrong_name', { names: 'DNS:other.example' }),
            untrusted: make_certificate(folder, 'untrusted', { ca: 'foreign' }),
        };
        server = certificates.good;
        for (const [name, certificate] of Object.entries(certificates)) providers[name] = await new FakeProvider(certificate).start();
        providers.old = await new FakeProvider({ ...certificates.good, tls_options: { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } }).start();
        const at = (name, host = 'localhost') => `https://${host}:${providers[name].port}`;
        const entry = (model_name, provider, extra = {}, host = 'localhost') => ({
            model_name, litellm_params: { model: 'anthropic/*', api_base: at(provider, host), api_key: 'k' }, ...(Object.keys(extra).length ? { penstock: extra } : {}),
        });
        const config = gateway_config('http://127.0.0.1:1', {
            model_list: [
                entry('good/*', 'good'), entry('address/*', 'good', {}, '127.0.0.1'), entry('rsa/*', 'rsa'), entry('wrong/*', 'wrong_name'), entry('untrusted/*', 'untrusted'), entry('old/*', 'old'),
                entry('named/*', 'wrong_name', { tls_server_name: 'other.example' }), entry('own-ca/*', 'untrusted', { ca_file: path.join(folder, 'foreign.pem') }),
                entry('pinned/*', 'good', { spki_pin: `sha256/${certificates.good.spki}` }), entry('wrong-pin/*', 'good', { spki_pin: `sha256/${certificates.rsa.spki}` }),
            ],
            penstock: { tls: { ca_file: path.join(folder, 'ca.pem') }, workers: 1, timeouts: { upstream_idle: '200ms' } },
        });
        penstock = await Penstock.start(config);
    });
    after(async () => {
        await penstock?.stop();
        for (const provider of Object.values(providers)) await provider.stop();
        fs.rmSync(folder, { recursive: true, force: true });
    });
    const ask = (model) => exchange(penstock.port, 'POST', messages, { body: { ...question, model } });

    for (const name of ['good', 'address', 'rsa', 'named', 'own-ca', 'pinned']) {
        it(`streams over TLS: ${name}`, async () => {
            for (const how of ['', ',split=byte', ',split=random']) {
                const response = await ask(`${name}/parallel${how}`);
                assert.equal(response.status, 200, response.text);
                assert.deepEqual(check_anthropic(events_of(response), {}), []);
            }
        });
    }

    it('carries 1 MB over TLS intact', async () => {
        const response = await ask('good/big,size=1000000');
        assert.equal(decode_anthropic_events(events_of(response)).text, numbered_text(1_000_000));
    });

    for (const [name, words] of [['wrong', /name/i], ['untrusted', /trust|issuer|unknown/i], ['old', /version|protocol|handshake/i], ['wrong-pin', /pin/i]]) {
        it(`refuses: ${name}`, async () => {
            const seen = Object.values(providers).reduce((sum, provider) => sum + provider.seen.length, 0);
            const response = await ask(`${name}/text`);
            assert.ok([502, 503, 529].includes(response.status), `${response.status} ${response.text}`);
            json_of(response);
            await penstock.wait_log(new RegExp(`msg="attempt failed"[^\\n]*model=${name}/[^\\n]* tls=[^\\n]*(${words.source})`, 'i'));
            assert.equal(Object.values(providers).reduce((sum, provider) => sum + provider.seen.length, 0), seen, 'a request was sent all the same');
        });
    }

    it('cancels over TLS within 100 ms', async () => {
        await soon(100, async (attempt) => {
            const model = `count,count=500,pace_ms=15,tag=cancel${attempt}`;
            const client = await RawClient.open(penstock.port);
            await client.send('POST', messages, { body: { ...question, model: `good/${model}` } });
            await providers.good.wait_for((record) => record.pieces > 3 && record.model === model);
            const left_at = performance.now();
            client.destroy();
            const seen = await providers.good.wait_for((record) => record.client_closed_at !== null && record.model === model);
            return seen.client_closed_at - left_at;
        });
    });

    it('the listener speaks TLS when it has a certificate', async () => {
        const provider = await new FakeProvider().start();
        const config = gateway_config(provider.url, { penstock: { listen: { tls_certificate: server.cert_file, tls_key: server.key_file } } });
        const secure = await Penstock.start(config);
        const options = { tls: { ca: fs.readFileSync(path.join(folder, 'ca.pem')), servername: 'localhost' } };
        const response = await exchange(secure.port, 'POST', '/v1/chat/completions', { body: { ...question, model: 'c/big,size=300000' } }, options);
        assert.deepEqual(check_chat(events_of(response), {}), []);
        const client = await RawClient.open(secure.port, options);
        for (let at = 0; at < 3; at++) {
            await client.send('POST', '/v1/chat/completions', { body: { ...question, model: 'c/text' } });
            assert.deepEqual(check_chat(events_of(await client.next()), {}), []);
        }
        client.destroy();
        await secure.stop();
        await provider.stop();
    });
});
