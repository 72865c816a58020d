/* SPDX-License-Identifier: MIT
 *
 * trust.h - trust anchors and server keys, loaded once on the main thread, read-only afterwards, and the words
 * for TLS errors. No BearSSL type shows here.
 */
#ifndef PENSTOCK_TRUST_H
#define PENSTOCK_TRUST_H

#include "base/err.h"
#include "base/sink.h"
#include "base/slice.h"

struct loop;
struct trust;
struct server_key;

/*
 * trust_load - read a PEM bundle; path absent: the system's (/etc/ssl/certs/ca-certificates.crt and the usual others).
 * Anchors that BearSSL cannot decode are skipped and counted. problem receives a text on failure.
 * returns 0 with *out set; -ERR_CONFIG unreadable or no usable anchor; -ERR_MEMORY
 */
int trust_load(struct slice path, struct trust **out, struct sink *problem) must_check;
void trust_drop(struct trust *trust);
struct trust *trust_hold(struct trust *trust); /* reference counted, atomic */
size_t trust_anchors(const struct trust *trust);
size_t trust_skipped(const struct trust *trust);

/* server_key_load - certificate chain and private key (PEM). Checks that they belong together and are in date. */
int server_key_load(struct slice certificate_path, struct slice key_path, struct server_key **out,
                    struct sink *problem) must_check;
void server_key_drop(struct server_key *key);
struct server_key *server_key_hold(struct server_key *key);

/*
 * tls_sign_rs256 - RSASSA-PKCS1-v1_5 with SHA-256 over text (RFC 7518, 3.3), for the JSON Web Tokens of service accounts.
 * key      a private RSA key in PEM; it is wiped from memory afterwards, the slice itself is the caller's
 * out      the signature's bytes are appended
 * returns 0, -ERR_CONFIG with a text in problem (no key, not RSA, encrypted, too large), -ERR_MEMORY. Takes milliseconds.
 */
int tls_sign_rs256(struct slice key, struct slice text, struct sink *out, struct sink *problem) must_check;

/* tls_error_text - what an engine error means for the operator, with a hint; "" for 0. */
const char *tls_error_text(int tls_error);
/* tls_error_name - a short stable id ("unknown_ca", "peer_protocol_version"). */
const char *tls_error_name(int tls_error);

/*
 * tls_probe - connect to host:port, shake hands, and describe: version, suite, curve, ALPN, chain (subject, issuer, dates,
 * key, signature), resumption, verification result with decoded error, SPKI pin. Blocking to its caller; makes a loop.
 * returns 0 usable by penstock, -ERR_x otherwise; report is written either way
 */
int tls_probe(struct slice host, uint16_t port, struct slice server_name, const struct trust *trust,
              uint64_t timeout_ms, struct sink *report) must_check;

#endif
