// SPDX-License-Identifier: MIT
//
// opaque - reasoning state as clients of a foreign dialect carry it: a wrapper that names whose it is (docs/dialects.md). In a
// Gemini reply, where such a field holds bytes, the wrapper itself is in base64.

/* unwrap - {origin, redacted, state} of a signature; origin null: it is no wrapper, and state is what was given. */
export function unwrap(token) {
    const plain = token.startsWith('penstock.') ? token : Buffer.from(token, 'base64').toString('latin1');
    const found = /^penstock\.1\.([a-z]+)(-redacted)?\.([A-Za-z0-9_-]+)$/.exec(plain);
    if (!found) return { origin: null, redacted: false, state: token };
    return { origin: found[1], redacted: found[2] !== undefined, state: JSON.parse(`"${Buffer.from(found[3], 'base64').toString('utf8')}"`) };
}

/* What stands where a client wants a signature and nobody gave one. */
const placeholder = 'penstock.1.unsigned.';

/* states_of - every opaque state of a decoded turn, unwrapped and in order. */
export function states_of(turn) {
    return [...turn.signatures, ...turn.redacted].filter((token) => token !== placeholder).map((token) => unwrap(token).state);
}
