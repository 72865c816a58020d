// SPDX-License-Identifier: MIT
//
// certificates - a CA of our own and server certificates signed by it, made by openssl in a folder.

import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';

function openssl(folder, ...args) {
    return execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
}

/* make_ca - ca.key and ca.pem in the folder. */
export function make_ca(folder, name = 'ca') {
    openssl(folder, 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`,
        '-out', `${name}.pem`, '-days', '30', '-subj', `/CN=penstock test ${name}`,
        '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
    return path.join(folder, `${name}.pem`);
}

/*
 * make_certificate - a server certificate signed by the CA.
 * options  names: subjectAltName text; ca: whose; days: of validity, negative for an expired one
 * returns {key, cert, spki}: PEM texts, and the base64 SHA-256 of the public key
 */
export function make_certificate(folder, name, options = {}) {
    const { names = 'DNS:localhost,IP:127.0.0.1', ca = 'ca', days = 10, key = 'ec' } = options;
    const kind = key === 'rsa' ? ['-newkey', 'rsa:2048'] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    openssl(folder, 'req', ...kind, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const extensions = `subjectAltName=${names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n`;
    fs.writeFileSync(path.join(folder, `${name}.ext`), extensions);
    openssl(folder, 'x509', '-req', '-in', `${name}.csr`, '-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial',
        '-out', `${name}.pem`, '-days', String(days), '-extfile', `${name}.ext`);
    const spki = execFileSync('sh', ['-c',
        `openssl x509 -in ${name}.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64`],
    { cwd: folder }).toString().trim();
    return {
        key: fs.readFileSync(path.join(folder, `${name}.key`), 'utf8'),
        cert: fs.readFileSync(path.join(folder, `${name}.pem`), 'utf8'),
        spki,
        key_file: path.join(folder, `${name}.key`),
        cert_file: path.join(folder, `${name}.pem`),
    };
}
