/* SPDX-License-Identifier: MIT
 *
 * tls_der.h - just enough DER to look into an X.509 certificate: dates, names, key, extensions.
 *
 * Private to reactor/tls*.c and trust.c. It decides nothing about signatures; BearSSL does.
 * Everything here takes bytes from a peer: no input may trip an assert, read outside its slice or
 * loop for long. All slices point into the input.
 */
#ifndef PENSTOCK_TLS_DER_H
#define PENSTOCK_TLS_DER_H

#include "base/sink.h"
#include "base/slice.h"

struct der_item {
    uint8_t tag;        /* identifier octet; only low tag numbers are read */
    struct slice body;  /* contents */
    struct slice whole; /* identifier, length and contents */
};

/*
 * der_next - take one element off the front of *in.
 *
 * returns false at the end of *in and on anything that is not DER (lengths that are indefinite,
 *         longer than need be, or beyond the end)
 *
 * source  ITU-T X.690, 8.1 and 10.1
 */
bool der_next(struct slice *in, struct der_item *item) must_check;
/* der_take - as der_next, but the element must have this identifier octet. */
bool der_take(struct slice *in, uint8_t tag, struct der_item *item) must_check;

struct tls_cert {
    struct slice whole, tbs;
    struct slice serial;           /* INTEGER contents */
    struct slice issuer, subject;  /* whole Name elements */
    struct slice signature;        /* OBJECT IDENTIFIER contents of the signature algorithm */
    struct slice spki;             /* whole SubjectPublicKeyInfo: what a pin is the SHA-256 of */
    struct slice key_algorithm;    /* OBJECT IDENTIFIER contents */
    struct slice key_curve;        /* OBJECT IDENTIFIER contents for EC keys, absent otherwise */
    struct slice key;              /* BIT STRING contents after the count of unused bits */
    int64_t not_before, not_after; /* seconds since 1970 */
    /* Contents of the extensions' sequences; absent without the extension. */
    struct slice alt_names; /* subjectAltName */
    struct slice purposes;  /* extendedKeyUsage */
    bool name_constraints;  /* the extension is there */
};

/*
 * tls_cert_read - take a certificate apart.
 * returns false when it is not one whole DER certificate, or repeats an extension we read
 * source  RFC 5280, 4.1 and 4.2
 */
bool tls_cert_read(struct slice der, struct tls_cert *cert) must_check;
/* tls_cert_serves - may it be used by a TLS server: no extendedKeyUsage, serverAuth or
 * anyExtendedKeyUsage. */
bool tls_cert_serves(const struct tls_cert *cert);
/* tls_cert_has_address - is this address (4 or 16 bytes) among the iPAddress alternative names? */
bool tls_cert_has_address(const struct tls_cert *cert, struct slice address);

/* For people: "CN=x, O=y", "dns:a, ip:1.2.3.4", "RSA 2048", "sha256WithRSAEncryption". Bytes that
 * are not printable ASCII become \xNN, so that no certificate can forge lines of a report. */
void tls_cert_name_text(struct slice name, struct sink *out);
void tls_cert_alt_names_text(const struct tls_cert *cert, struct sink *out);
void tls_cert_key_text(const struct tls_cert *cert, struct sink *out);
void tls_cert_signature_text(const struct tls_cert *cert, struct sink *out);

#endif
