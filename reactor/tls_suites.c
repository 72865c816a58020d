/* SPDX-License-Identifier: MIT
 *
 * tls_suites.c - what both ends of TLS have in common.
 *
 * BearSSL's AES is fast only with AES-NI and PCLMUL: AES-128-GCM 1540 MB/s at 256 bytes, against 59
 * MB/s without, where ChaCha20 reaches 458. So the machine decides which suites stand first.
 */
#include "reactor/tls_suites.h"

#include <bearssl.h>

#include <sys/random.h>

static const uint16_t with_aes[] = {
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
};

static const uint16_t without_aes[] = {
    BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
};

void
tls_suites_apply(void *engine, const char **protocols)
{
    br_ssl_engine_context *eng = engine;
    bool aes = br_aes_x86ni_ctr_get_vtable() && br_ghash_pclmul_get();
    br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(eng, aes ? with_aes : without_aes, countof(with_aes));
    br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
    /* Neither is offered nor accepted for signatures in the handshake. */
    br_ssl_engine_set_hash(eng, br_md5_ID, NULL);
    br_ssl_engine_set_hash(eng, br_sha1_ID, NULL);
    br_ssl_engine_set_chacha20(
        eng, &br_chacha20_ct_run); /* faster than the sse2 code as distributions build it */
    br_ssl_engine_set_protocol_names(eng, protocols, 1);
}

bool
tls_seed(void *engine)
{
    unsigned char seed[48];
    /* Up to 256 bytes come in one piece once the system's pool is filled. */
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return false;
    br_ssl_engine_inject_entropy(engine, seed, sizeof(seed));
    explicit_bzero(seed, sizeof(seed));
    return true;
}

const char *
tls_suite_name(unsigned suite)
{
    switch (suite) {
    case BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
        return "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    case BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:
        return "ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    case BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
        return "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    case BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
        return "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    case BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
        return "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    case BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
        return "ECDHE_RSA_WITH_AES_256_GCM_SHA384";
    default:
        return "?";
    }
}

const char *
tls_curve_name(int curve)
{
    switch (curve) {
    case BR_EC_secp256r1:
        return "P-256";
    case BR_EC_secp384r1:
        return "P-384";
    case BR_EC_secp521r1:
        return "P-521";
    case BR_EC_curve25519:
        return "X25519";
    default:
        return "?";
    }
}
