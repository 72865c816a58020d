/* SPDX-License-Identifier: MIT
 *
 * test_trust.c - loading bundles and server keys, taking certificates apart, and the words for
 * errors.
 */
#include "reactor/tls_der.h"
#include "tests/unit/reactor/tls_pair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* clang-format off */
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

static struct sink problem;

static int
problem_init(void **state)
{
    (void)state;
    sink_init(&problem, 1000);
    return 0;
}

static int
problem_fini(void **state)
{
    (void)state;
    sink_fini(&problem);
    return 0;
}

static bool
problem_says(const char *text)
{
    return problem.len > 0 && memmem(problem.ptr, problem.len, text, strlen(text)) != NULL;
}

static struct slice
file_path(const char *name)
{
    return slice_from(certs_path(name));
}

/* A file with these parts, each of them the contents of another file or literal text. */
static void
write_file(const char *name, const char *const parts[], size_t count)
{
    FILE *out = fopen(certs_path(name), "wb");
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) {
        char buffer[65536];
        FILE *in = fopen(certs_path(parts[i]), "rb");
        size_t n = in ? fread(buffer, 1, sizeof(buffer), in) : 0;
        if (in) {
            fclose(in);
            assert_int_equal(fwrite(buffer, 1, n, out), n);
        } else {
            assert_int_equal(fwrite(parts[i], 1, strlen(parts[i]), out), strlen(parts[i]));
        }
    }
    fclose(out);
}

/* -- bundles -- */

static void
bundles_are_read(void **state)
{
    (void)state;
    struct trust *trust, *again;
    assert_int_equal(trust_load(file_path("bundle.pem"), &trust, &problem), 0);
    assert_int_equal(trust_anchors(trust), 3);
    assert_int_equal(trust_skipped(trust), 0);
    assert_ptr_equal(trust_hold(trust), trust);
    trust_drop(trust);
    assert_int_equal(trust_anchors(trust), 3); /* one reference is left */
    assert_int_equal(trust_load(file_path("ca.pem"), &again, &problem), 0);
    assert_memory_not_equal(trust_view(trust).fingerprint, trust_view(again).fingerprint,
                            TLS_KEY_BYTES);
    trust_drop(again);
    assert_int_equal(trust_load(file_path("bundle.pem"), &again, &problem), 0);
    assert_memory_equal(trust_view(trust).fingerprint, trust_view(again).fingerprint,
                        TLS_KEY_BYTES);
    trust_drop(again);
    trust_drop(trust);
    trust_drop(NULL);
    assert_int_equal(problem.len, 0);
}

static void
what_cannot_be_used_is_skipped_and_counted(void **state)
{
    (void)state;
    struct trust *trust;
    static const char *const parts[] = {
        "# a comment\n",
        "ca.pem",
        "ed25519.pem",
        "ca.key",
        "-----BEGIN CERTIFICATE-----\n!!!\n",
        "ca-rsa.pem",
        "-----BEGIN CERTIFICATE-----\nMIIB\n",
    };
    write_file("mixed.pem", parts, countof(parts));
    assert_int_equal(trust_load(file_path("mixed.pem"), &trust, &problem), 0);
    assert_int_equal(trust_anchors(trust), 2);
    assert_int_equal(trust_skipped(trust),
                     3); /* Ed25519, two that are damaged; a key is no certificate */
    trust_drop(trust);
}

static void
a_last_line_without_its_end_counts(void **state)
{
    (void)state;
    struct trust *trust;
    char text[8192];
    FILE *file = fopen(certs_path("ca.pem"), "rb");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    assert_int_equal(text[n - 1], '\n');
    text[n - 1] = '\0';
    const char *parts[] = {text};
    write_file("no-end.pem", parts, 1);
    assert_int_equal(trust_load(file_path("no-end.pem"), &trust, &problem), 0);
    assert_int_equal(trust_anchors(trust), 1);
    trust_drop(trust);
}

static void
unusable_bundles_are_refused(void **state)
{
    (void)state;
    struct trust *trust = NULL;
    static const char *const nothing[] = {"nothing here\n"};
    assert_int_equal(trust_load(file_path("missing.pem"), &trust, &problem), -ERR_CONFIG);
    assert_true(problem_says("No such file"));
    assert_null(trust);
    sink_reset(&problem, 0);
    write_file("nothing.pem", nothing, 1);
    assert_int_equal(trust_load(file_path("nothing.pem"), &trust, &problem), -ERR_CONFIG);
    assert_true(problem_says("no usable certificate"));
    sink_reset(&problem, 0);
    assert_int_equal(trust_load(file_path("ed25519.pem"), &trust, &problem), -ERR_CONFIG);
    assert_true(problem_says("1 skipped"));
    sink_reset(&problem, 0);
    assert_int_equal(trust_load(file_path("."), &trust, &problem), -ERR_CONFIG);
    assert_true(problem.len > 0);
    sink_reset(&problem, 0);
    assert_int_equal(trust_load(SLICE_LIT("a\0b"), &trust, &problem), -ERR_CONFIG);
    assert_null(trust);
}

static void
the_systems_bundle_is_found(void **state)
{
    (void)state;
    struct trust *trust;
    if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0)
        skip();
    assert_int_equal(trust_load(SLICE_NONE, &trust, &problem), 0);
    assert_true(trust_anchors(trust) > 20);
    trust_drop(trust);
}

/* -- server keys -- */

static void
check_key(const char *chain, const char *key, int expected, const char *says)
{
    struct server_key *loaded = NULL;
    sink_reset(&problem, 0);
    int error = server_key_load(file_path(chain), file_path(key), &loaded, &problem);
    if (error != expected || (says && !problem_says(says)))
        fail_msg("%s with %s: %d, \"%.*s\"", chain, key, error, SLICE_ARG(sink_slice(&problem)));
    assert_int_equal(loaded != NULL, expected == 0);
    server_key_drop(server_key_hold(loaded));
    server_key_drop(loaded);
}

static void
keys_of_every_form_are_read(void **state)
{
    (void)state;
    check_key("ec.pem", "ec.key", 0, NULL);
    check_key("ec.pem", "ec-pkcs8.key", 0, NULL);
    check_key("ec.pem", "ec-params.key", 0, NULL);
    check_key("rsa.pem", "rsa.key", 0, NULL);
    check_key("rsa.pem", "rsa-pkcs8.key", 0, NULL);
    check_key("rsa.pem", "rsa-pkcs1.key", 0, NULL);
    check_key("chain.pem", "chain.key", 0, NULL);
    check_key("whole.pem", "whole.key", 0, NULL);
    check_key("ca-384.pem", "ca-384.key", 0, NULL);
}

static void
keys_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const char *const both[] = {"chain.pem", "chain.key"};
    static const char *const eleven[] = {"whole.pem", "whole.pem", "whole.pem", "whole.pem"};
    static const char *const broken[] = {
        "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n"};
    write_file("both.pem", both, countof(both));
    write_file("eleven.pem", eleven, countof(eleven));
    write_file("broken.key", broken, countof(broken));
    check_key("both.pem", "both.pem", 0, NULL); /* one file for both is usual */
    check_key("ec.pem", "rsa.key", -ERR_CONFIG, "does not belong");
    check_key("rsa.pem", "ec.key", -ERR_CONFIG, "does not belong");
    check_key("ec.pem", "chain.key", -ERR_CONFIG, "does not belong");
    check_key("rsa.pem", "ca-rsa.key", -ERR_CONFIG, "does not belong");
    check_key("ec.pem", "ec-encrypted.key", -ERR_CONFIG, "encrypted");
    check_key("ec.pem", "ec.pem", -ERR_CONFIG, "no private key");
    check_key("ec.pem", "broken.key", -ERR_CONFIG, "cannot be read");
    check_key("ec.key", "ec.key", -ERR_CONFIG, "no certificate");
    check_key("ec.pem", "missing.key", -ERR_CONFIG, "No such file");
    check_key("missing.pem", "ec.key", -ERR_CONFIG, "No such file");
    check_key("reversed.pem", "middle.key", -ERR_CONFIG, "not issued by the next");
    check_key("weak.pem", "weak.key", -ERR_CONFIG, "below 2048");
    check_key("ed25519.pem", "ed25519.key", -ERR_CONFIG, "");
    check_key("eleven.pem", "whole.key", -ERR_CONFIG, "more than 10");
    check_key("late.pem", "late.key", -ERR_CONFIG, "expired");
    check_key("early.pem", "early.key", -ERR_CONFIG, "not yet valid");
}

/* -- certificates -- */

static struct slice
read_der(const char *name, char *buffer, size_t size)
{
    FILE *file = fopen(certs_path(name), "rb");
    assert_non_null(file);
    size_t n = fread(buffer, 1, size, file);
    fclose(file);
    assert_true(n > 0 && n < size);
    return slice_of(buffer, n);
}

static void
check_text(void (*put)(const struct tls_cert *, struct sink *), const struct tls_cert *cert,
           const char *expected)
{
    struct sink text;
    sink_init(&text, 4096);
    put(cert, &text);
    if (!slice_is(sink_slice(&text), expected))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(sink_slice(&text)), expected);
    sink_fini(&text);
}

static void
put_subject(const struct tls_cert *cert, struct sink *text)
{
    tls_cert_name_text(cert->subject, text);
}

static void
certificates_are_taken_apart(void **state)
{
    (void)state;
    static char buffer[8192];
    struct tls_cert cert;
    struct slice der = read_der("ec.der", buffer, sizeof(buffer));
    assert_true(tls_cert_read(der, &cert));
    check_text(put_subject, &cert, "O=Test, CN=ec");
    check_text(
        tls_cert_alt_names_text, &cert,
        "dns:localhost, dns:example.test, dns:*.wild.test, ip:127.0.0.1, ip:0:0:0:0:0:0:0:1");
    check_text(tls_cert_key_text, &cert, "EC P-256");
    check_text(tls_cert_signature_text, &cert, "ECDSA with SHA-256");
    assert_int_equal(cert.not_after - cert.not_before, 825 * 24 * 60 * 60);
    assert_true(tls_cert_serves(&cert));
    assert_false(cert.name_constraints);
    assert_true(tls_cert_has_address(&cert, SLICE_LIT("\x7f\x00\x00\x01")));
    assert_false(tls_cert_has_address(&cert, SLICE_LIT("\x7f\x00\x00\x02")));
    assert_false(
        tls_cert_has_address(&cert, SLICE_LIT("localhost"))); /* not an address, though a name */
    der = read_der("rsa.der", buffer, sizeof(buffer));
    assert_true(tls_cert_read(der, &cert));
    check_text(tls_cert_key_text, &cert, "RSA 2048");
    check_text(tls_cert_signature_text, &cert, "RSA with SHA-256");
    der = read_der("purpose-mail.der", buffer, sizeof(buffer));
    assert_true(tls_cert_read(der, &cert));
    assert_false(tls_cert_serves(&cert));
    der = read_der("middle-lax.der", buffer, sizeof(buffer));
    assert_true(tls_cert_read(der, &cert));
    assert_true(cert.name_constraints);
    assert_false(slice_present(cert.alt_names));
    der = read_der("dates.der", buffer,
                   sizeof(buffer)); /* 1951-02-03 04:05:06 to 2050-12-31 23:59:59 */
    assert_true(tls_cert_read(der, &cert));
    assert_int_equal(cert.not_before, -596750094);
    assert_int_equal(cert.not_after, 2556143999);
}

/* Every cut, every flipped bit: an answer, never a read outside (the sanitizers watch a copy of
 * exact size). */
static void
damaged_certificates_are_survived(void **state)
{
    (void)state;
    static char buffer[8192];
    struct sink text;
    struct tls_cert cert;
    struct slice der = read_der("ec.der", buffer, sizeof(buffer));
    sink_init(&text, 1u << 20);
    for (size_t cut = 0; cut <= der.len; cut++) {
        char *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, der.ptr, cut);
        assert_int_equal(tls_cert_read(slice_of(copy, cut), &cert), cut == der.len);
        free(copy);
    }
    for (size_t bit = 0; bit < der.len * 8; bit++) {
        char *copy = malloc(der.len);
        assert_non_null(copy);
        memcpy(copy, der.ptr, der.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        if (tls_cert_read(slice_of(copy, der.len), &cert)) {
            sink_reset(&text, 4096);
            tls_cert_name_text(cert.subject, &text);
            tls_cert_name_text(cert.issuer, &text);
            tls_cert_alt_names_text(&cert, &text);
            tls_cert_key_text(&cert, &text);
            tls_cert_serves(&cert);
            for (size_t i = 0; i < text.len; i++)
                assert_true(text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f);
        }
        free(copy);
    }
    sink_fini(&text);
}

static void
only_der_is_der(void **state)
{
    (void)state;
    static const struct {
        struct slice bytes;
        bool good;
        size_t body;
    } cases[] = {
        {SLICE_LIT("\x04\x00"), true, 0},
        {SLICE_LIT("\x04\x02"
                   "ab"),
         true, 2},
        {SLICE_LIT("\x04\x02"
                   "abc"),
         true, 2},
        {SLICE_LIT("\x04\x03"
                   "ab"),
         false, 0},
        {SLICE_LIT("\x04"), false, 0},
        {SLICE_LIT(""), false, 0},
        {SLICE_LIT("\x30\x80\x00\x00"), false, 0}, /* indefinite */
        {SLICE_LIT("\x04\x81\x02"
                   "ab"),
         false, 0}, /* longer than need be */
        {SLICE_LIT("\x04\x82\x00\x02"
                   "ab"),
         false, 0},
        {SLICE_LIT("\x04\x85\x00\x00\x00\x00\x02"
                   "ab"),
         false, 0},
        {SLICE_LIT("\x04\x84\xff\xff\xff\xff"
                   "ab"),
         false, 0},
        {SLICE_LIT("\x04\x82\x01"), false, 0},
        {SLICE_LIT("\x1f\x81\x01\x00"), false, 0}, /* a tag of two bytes */
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice in = cases[i].bytes;
        struct der_item item;
        bool good = der_next(&in, &item);
        assert_int_equal(good, cases[i].good);
        if (good) {
            assert_int_equal(item.body.len, cases[i].body);
            assert_int_equal(in.len + item.whole.len, cases[i].bytes.len);
        } else {
            assert_int_equal(in.len, cases[i].bytes.len);
        }
    }
}

/* -- words -- */

static void
every_error_has_a_name_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(tls_error_text(0), "");
    assert_string_equal(tls_error_name(0), "");
    assert_string_equal(tls_error_name(62), "unknown_ca");
    assert_string_equal(tls_error_name(326), "peer_protocol_version");
    assert_non_null(strstr(tls_error_text(326), "TLS 1.3"));
    assert_string_equal(tls_error_name(3), "not_tls");
    assert_string_equal(tls_error_name(296), "peer_handshake_failure");
    assert_string_equal(tls_error_name(TLS_ERROR_PIN), "pin_mismatch");
    for (int code = 1; code < 1100; code++) {
        assert_true(strlen(tls_error_text(code)) > 5);
        assert_true(strlen(tls_error_name(code)) > 1);
        bool named = strcmp(tls_error_name(code), "unknown") != 0;
        if (code >= 1001)
            assert_int_equal(named, code <= TLS_ERROR_HOST);
        int error = tls_error_class(code);
        assert_int_equal(error, (code >= 32 && code <= 62) || (code >= 1001 && code <= 1008)
                                    ? -ERR_TLS_CERT
                                    : -ERR_TLS);
    }
}

/* openssl signs the same bytes: this signature has no chance in it. */
static void
tokens_are_signed_as_others_sign_them(void **state)
{
    static const char text[] = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0";
    char command[4096], wanted[1024], pem[16384];
    struct sink got;
    (void)state;
    snprintf(command, sizeof(command),
             "cd '%s' && openssl genrsa -out sign.key 2048 2>/dev/null && printf %%s '%s' > sign.txt && "
             "openssl dgst -sha256 -sign sign.key -out sign.sig sign.txt && openssl ecparam -name prime256v1 -genkey -noout -out sign-ec.key",
             certs_path("."), text);
    assert_int_equal(system(command), 0);
    FILE *file = fopen(certs_path("sign.key"), "rb");
    size_t pem_len = fread(pem, 1, sizeof(pem), file);
    fclose(file);
    file = fopen(certs_path("sign.sig"), "rb");
    size_t len = fread(wanted, 1, sizeof(wanted), file);
    fclose(file);
    assert_int_equal(len, 256);
    sink_init(&got, 4096);
    assert_int_equal(tls_sign_rs256(slice_of(pem, pem_len), slice_from(text), &got, &problem), 0);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.ptr, wanted, len);
    /* The last line end may be missing, as in a key cut out of JSON. */
    sink_reset(&got, 4096);
    assert_int_equal(tls_sign_rs256(slice_of(pem, pem_len - 1), slice_from(text), &got, &problem), 0);
    assert_int_equal(got.len, len);
    file = fopen(certs_path("sign-ec.key"), "rb");
    pem_len = fread(pem, 1, sizeof(pem), file);
    fclose(file);
    assert_int_equal(tls_sign_rs256(slice_of(pem, pem_len), slice_from(text), &got, &problem), -ERR_CONFIG);
    assert_true(problem_says("not an RSA key"));
    assert_int_equal(tls_sign_rs256(SLICE_LIT("nothing"), slice_from(text), &got, &problem), -ERR_CONFIG);
    assert_true(problem_says("no private key"));
    assert_int_equal(got.len, len);
    sink_fini(&got);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bundles_are_read, problem_init, problem_fini),
        cmocka_unit_test_setup_teardown(what_cannot_be_used_is_skipped_and_counted, problem_init,
                                        problem_fini),
        cmocka_unit_test_setup_teardown(a_last_line_without_its_end_counts, problem_init,
                                        problem_fini),
        cmocka_unit_test_setup_teardown(unusable_bundles_are_refused, problem_init, problem_fini),
        cmocka_unit_test_setup_teardown(the_systems_bundle_is_found, problem_init, problem_fini),
        cmocka_unit_test_setup_teardown(keys_of_every_form_are_read, problem_init, problem_fini),
        cmocka_unit_test_setup_teardown(keys_that_do_not_fit_are_refused, problem_init,
                                        problem_fini),
        cmocka_unit_test_setup_teardown(tokens_are_signed_as_others_sign_them, problem_init, problem_fini),
        cmocka_unit_test(certificates_are_taken_apart),
        cmocka_unit_test(damaged_certificates_are_survived),
        cmocka_unit_test(only_der_is_der),
        cmocka_unit_test(every_error_has_a_name_and_a_text),
    };
    if (!certs_make())
        return 77;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
