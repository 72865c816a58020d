/* SPDX-License-Identifier: MIT
 *
 * fuzz_der.c - any bytes as a certificate: every slice that comes out lies inside, texts are
 * printable; and the same bytes as what a TLS peer sends, cut by the border finder in two ways that
 * must agree.
 */
#include "reactor/tls.h"
#include "reactor/tls_der.h"
#include "tests/fuzz/fuzz.h"

static void
check_inside(struct slice outer, struct slice inner)
{
    if (!slice_present(inner))
        return;
    assert(inner.ptr >= outer.ptr);
    assert(inner.ptr + inner.len <= outer.ptr + outer.len);
}

static void
check_certificate(struct slice der)
{
    struct tls_cert cert;
    struct sink text;
    if (!tls_cert_read(der, &cert))
        return;
    const struct slice parts[] = {
        cert.whole, cert.tbs,           cert.serial,    cert.issuer, cert.subject,   cert.signature,
        cert.spki,  cert.key_algorithm, cert.key_curve, cert.key,    cert.alt_names, cert.purposes};
    for (size_t i = 0; i < countof(parts); i++)
        check_inside(der, parts[i]);
    sink_init(&text, 1u << 20);
    tls_cert_name_text(cert.issuer, &text);
    tls_cert_name_text(cert.subject, &text);
    tls_cert_alt_names_text(&cert, &text);
    tls_cert_key_text(&cert, &text);
    tls_cert_signature_text(&cert, &text);
    for (size_t i = 0; i < text.len; i++)
        assert(text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f);
    sink_fini(&text);
    bool known = tls_cert_serves(&cert) || slice_present(cert.purposes);
    assert(known);
    assert(!tls_cert_has_address(&cert, SLICE_LIT("abc")));
}

/* Costly messages seen, and where the last one ended. */
static uint64_t
walk_borders(struct slice bytes, size_t piece_max)
{
    struct tls_border border = {.record_have = 0};
    uint64_t sum = 0;
    size_t at = 0;
    while (at < bytes.len) {
        enum tls_piece kind;
        size_t most = bytes.len - at < piece_max ? bytes.len - at : piece_max;
        size_t n = tls_border_next(&border, slice_of(bytes.ptr + at, most), &kind);
        assert(n >= 1);
        assert(n <= most);
        tls_border_pass(&border, slice_of(bytes.ptr + at, n));
        at += n;
        if (kind != TLS_PIECE_PLAIN)
            sum = sum * 31 + at * 2 + (kind == TLS_PIECE_COSTLY);
    }
    return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice input = slice_of(bytes, len);
    check_certificate(input);
    uint64_t whole = walk_borders(input, SIZE_MAX);
    uint64_t single = walk_borders(input, 1);
    assert(whole == single);
    return 0;
}
