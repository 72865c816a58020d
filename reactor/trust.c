/* SPDX-License-Identifier: MIT
 *
 * trust.c - trust anchors and server keys: read from PEM on the main thread, checked, then
 * read-only and shared.
 *
 * Only files of the operator come here; what a peer sends never does.
 */
#include "reactor/trust.h"

#include "reactor/tls.h"
#include "reactor/tls_der.h"

#include <bearssl.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define PEM_FILE_BYTES_MAX (16u * 1024 * 1024)
#define DER_BYTES_MAX (64u * 1024)
#define ANCHORS_MAX 4096
#define CHAIN_MAX 10

/* -- files and PEM -- */

static const char *
path_text(struct slice path, char out[4096])
{
    if (path.len >= 4096 || memchr(path.ptr, 0, path.len))
        return NULL;
    memcpy(out, path.ptr, path.len);
    out[path.len] = '\0';
    return out;
}

/* The whole file into out. 0, or -ERR_CONFIG with the reason in problem. */
static int
read_file(struct slice path, struct sink *out, struct sink *problem)
{
    char name[4096];
    if (!path_text(path, name)) {
        sink_text(problem, "bad path");
        return -ERR_CONFIG;
    }
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        sink_printf(problem, "%s: %s", name, strerrordesc_np(errno));
        return -ERR_CONFIG;
    }
    for (;;) {
        char *at = sink_reserve(out, 65536);
        ssize_t n = at ? read(fd, at, 65536) : 0;
        int reason = errno;
        if (n < 0 && reason == EINTR)
            continue;
        if (n < 0 || !at)
            sink_printf(problem, "%s: %s", name, at ? strerrordesc_np(reason) : "file too large");
        if (n <= 0) {
            close(fd);
            return n < 0 || !at ? -ERR_CONFIG : 0;
        }
        out->len += (size_t)n;
    }
}

/* One pass over a PEM text: each object is handed over with its label. */
struct pem_reader {
    br_pem_decoder_context decoder;
    struct sink der;
    struct slice text;
    bool inside;
    char label[128]; /* the decoder's own bound */
};

static void
pem_append(void *user, const void *bytes, size_t len)
{
    struct sink *der = user;
    sink_put(der, slice_of(bytes, len));
}

static void
pem_init(struct pem_reader *reader, struct slice text)
{
    *reader = (struct pem_reader){.text = text};
    br_pem_decoder_init(&reader->decoder);
    sink_init(&reader->der, DER_BYTES_MAX);
    /* In one piece from the start: growing would leave parts of a key behind in freed memory. */
    if (!sink_reserve(&reader->der, DER_BYTES_MAX))
        reader->text = SLICE_NONE;
}

static void
pem_fini(struct pem_reader *reader)
{
    if (reader->der.ptr)
        explicit_bzero(reader->der.ptr, reader->der.cap);
    sink_fini(&reader->der);
    explicit_bzero(reader, sizeof(*reader));
}

/* pem_next - 1 an object (label and der are set), 0 the end, -ERR_CONFIG an object that is damaged.
 */
static int
pem_next(struct pem_reader *reader)
{
    while (reader->text.len > 0) {
        size_t n = br_pem_decoder_push(&reader->decoder, reader->text.ptr, reader->text.len);
        reader->text = slice_skip(reader->text, n);
        switch (br_pem_decoder_event(&reader->decoder)) {
        case BR_PEM_BEGIN_OBJ:
            snprintf(reader->label, sizeof(reader->label), "%s",
                     br_pem_decoder_name(&reader->decoder));
            sink_reset(&reader->der, DER_BYTES_MAX);
            br_pem_decoder_setdest(&reader->decoder, pem_append, &reader->der);
            reader->inside = true;
            break;
        case BR_PEM_END_OBJ:
            reader->inside = false;
            return reader->der.error ? -ERR_CONFIG : 1;
        case BR_PEM_ERROR:
            reader->inside = false;
            return -ERR_CONFIG;
        default:
            break;
        }
    }
    bool cut = reader->inside;
    reader->inside = false;
    return cut ? -ERR_CONFIG : 0;
}

static bool
label_is_certificate(const char *label)
{
    return strcmp(label, "CERTIFICATE") == 0 || strcmp(label, "X509 CERTIFICATE") == 0;
}

/* A PEM file's text, with the line end behind its last line that the decoder waits for. */
static int
read_pem(struct slice path, struct sink *text, struct sink *problem)
{
    int error = read_file(path, text, problem);
    if (error)
        return error;
    sink_byte(text, '\n');
    if (text->error) {
        sink_text(problem, "file too large");
        return -ERR_CONFIG;
    }
    return 0;
}

/* -- trust anchors -- */

struct trust {
    atomic_uint references;
    size_t count, cap, skipped;
    br_x509_trust_anchor *anchors;
    uint8_t fingerprint[TLS_KEY_BYTES];
};

static bool
keep_bytes(unsigned char **out, const unsigned char *bytes, size_t len)
{
    *out = malloc(len ? len : 1);
    if (*out)
        memcpy(*out, bytes, len);
    return *out != NULL;
}

static bool
keep_key(br_x509_pkey *out, const br_x509_pkey *key)
{
    *out = (br_x509_pkey){.key_type = key->key_type};
    if (key->key_type == BR_KEYTYPE_RSA) {
        out->key.rsa.nlen = key->key.rsa.nlen;
        out->key.rsa.elen = key->key.rsa.elen;
        return keep_bytes(&out->key.rsa.n, key->key.rsa.n, key->key.rsa.nlen) &&
               keep_bytes(&out->key.rsa.e, key->key.rsa.e, key->key.rsa.elen);
    }
    out->key.ec.curve = key->key.ec.curve;
    out->key.ec.qlen = key->key.ec.qlen;
    return keep_bytes(&out->key.ec.q, key->key.ec.q, key->key.ec.qlen);
}

static void
drop_anchor(br_x509_trust_anchor *anchor)
{
    free(anchor->dn.data);
    if (anchor->pkey.key_type == BR_KEYTYPE_RSA) {
        free(anchor->pkey.key.rsa.n);
        free(anchor->pkey.key.rsa.e);
    } else {
        free(anchor->pkey.key.ec.q);
    }
}

static bool
grow_anchors(struct trust *trust)
{
    if (trust->count < trust->cap)
        return true;
    size_t cap = trust->cap ? trust->cap * 2 : 32;
    br_x509_trust_anchor *anchors = realloc(trust->anchors, cap * sizeof(*anchors));
    if (!anchors)
        return false;
    trust->anchors = anchors;
    trust->cap = cap;
    return true;
}

/* One certificate becomes an anchor: 0 (also when it is skipped) or -ERR_MEMORY. */
static int
add_anchor(struct trust *trust, struct slice der)
{
    br_x509_decoder_context decoder;
    struct sink name;
    sink_init(&name, DER_BYTES_MAX);
    br_x509_decoder_init(&decoder, pem_append, &name);
    br_x509_decoder_push(&decoder, der.ptr, der.len);
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&decoder);
    int error = 0;
    if (!key || name.error || trust->count >= ANCHORS_MAX) {
        trust->skipped++;
    } else if (!grow_anchors(trust)) {
        error = -ERR_MEMORY;
    } else {
        br_x509_trust_anchor anchor = {.flags = br_x509_decoder_isCA(&decoder) ? BR_X509_TA_CA : 0};
        struct slice dn = sink_slice(&name);
        anchor.dn.len = dn.len;
        if (keep_bytes(&anchor.dn.data, (const unsigned char *)dn.ptr, dn.len) &&
            keep_key(&anchor.pkey, key)) {
            trust->anchors[trust->count++] = anchor;
        } else {
            drop_anchor(&anchor);
            error = -ERR_MEMORY;
        }
    }
    sink_fini(&name);
    return error;
}

static int
load_anchors(struct trust *trust, struct slice text)
{
    struct pem_reader reader;
    br_sha256_context hash;
    int more, error = 0;
    br_sha256_init(&hash);
    pem_init(&reader, text);
    while (!error && (more = pem_next(&reader)) != 0) {
        if (more < 0) {
            trust->skipped++;
        } else if (label_is_certificate(reader.label)) {
            struct slice der = sink_slice(&reader.der);
            br_sha256_update(&hash, der.ptr, der.len);
            error = add_anchor(trust, der);
        }
    }
    pem_fini(&reader);
    br_sha256_out(&hash, trust->fingerprint);
    return error;
}

/* The places where distributions keep their bundle. */
static struct slice
system_bundle(void)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch, Gentoo */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* CentOS */
        "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
        "/etc/ssl/cert.pem",                                 /* Alpine, BSD habits */
    };
    for (size_t i = 0; i < countof(places); i++) {
        if (access(places[i], R_OK) == 0)
            return slice_from(places[i]);
    }
    return SLICE_NONE;
}

int
trust_load(struct slice path, struct trust **out, struct sink *problem)
{
    *out = NULL;
    if (!slice_present(path))
        path = system_bundle();
    if (!slice_present(path)) {
        sink_text(problem, "no CA bundle found on this system; install ca-certificates");
        return -ERR_CONFIG;
    }
    struct trust *trust = calloc(1, sizeof(*trust));
    if (!trust)
        return -ERR_MEMORY;
    atomic_init(&trust->references, 1);
    struct sink text;
    sink_init(&text, PEM_FILE_BYTES_MAX);
    int error = read_pem(path, &text, problem);
    if (!error)
        error = load_anchors(trust, sink_slice(&text));
    if (!error && trust->count == 0) {
        sink_printf(problem, "%.*s: no usable certificate (%zu skipped)", SLICE_ARG(path),
                    trust->skipped);
        error = -ERR_CONFIG;
    }
    sink_fini(&text);
    if (error)
        trust_drop(trust);
    else
        *out = trust;
    return error;
}

void
trust_drop(struct trust *trust)
{
    if (!trust || atomic_fetch_sub(&trust->references, 1) != 1)
        return;
    for (size_t i = 0; i < trust->count; i++)
        drop_anchor(&trust->anchors[i]);
    free(trust->anchors);
    free(trust);
}

struct trust *
trust_hold(struct trust *trust)
{
    if (trust)
        atomic_fetch_add(&trust->references, 1);
    return trust;
}

size_t
trust_anchors(const struct trust *trust)
{
    return trust->count;
}

size_t
trust_skipped(const struct trust *trust)
{
    return trust->skipped;
}

struct trust_view
trust_view(const struct trust *trust)
{
    return (struct trust_view){trust->anchors, trust->count, trust->fingerprint};
}

/* -- server keys -- */

struct server_key {
    atomic_uint references;
    size_t count;
    br_x509_certificate chain[CHAIN_MAX];
    bool key_read;
    union {
        br_rsa_private_key rsa;
        br_ec_private_key ec;
    } key;
    int type;
    /* The decoder holds the key's numbers. Version 0.6 can write up to 24 bytes behind its end on a
     * malformed RSA key, so it never stands without a guard. */
    struct {
        br_skey_decoder_context context;
        uint8_t guard[64];
    } decoder;
};

static int
load_chain(struct server_key *key, struct slice text, struct sink *problem)
{
    struct pem_reader reader;
    int more, error = 0;
    pem_init(&reader, text);
    while (!error && (more = pem_next(&reader)) != 0) {
        if (more < 0 || (label_is_certificate(reader.label) && key->count == CHAIN_MAX)) {
            sink_text(problem, more < 0 ? "damaged PEM" : "more than 10 certificates");
            error = -ERR_CONFIG;
        } else if (label_is_certificate(reader.label)) {
            struct slice der = sink_slice(&reader.der);
            br_x509_certificate *certificate = &key->chain[key->count];
            certificate->data_len = der.len;
            if (keep_bytes(&certificate->data, (const unsigned char *)der.ptr, der.len))
                key->count++;
            else
                error = -ERR_MEMORY;
        }
    }
    pem_fini(&reader);
    if (!error && key->count == 0) {
        sink_text(problem, "no certificate in the file");
        error = -ERR_CONFIG;
    }
    return error;
}

static int
decode_key(struct server_key *key, struct slice der, struct sink *problem)
{
    br_skey_decoder_context *decoder = &key->decoder.context;
    br_skey_decoder_init(decoder);
    br_skey_decoder_push(decoder, der.ptr, der.len);
    int error = br_skey_decoder_last_error(decoder);
    if (error) {
        sink_printf(problem, "private key cannot be read: %s", tls_error_text(error));
        return -ERR_CONFIG;
    }
    key->type = br_skey_decoder_key_type(decoder);
    if (key->type == BR_KEYTYPE_RSA)
        key->key.rsa = *br_skey_decoder_get_rsa(decoder);
    else
        key->key.ec = *br_skey_decoder_get_ec(decoder);
    key->key_read = true;
    return 0;
}

static int
load_key(struct server_key *key, struct slice text, struct sink *problem)
{
    struct pem_reader reader;
    int more, error = 0;
    bool encrypted = false;
    pem_init(&reader, text);
    while (!error && !key->key_read && (more = pem_next(&reader)) != 0) {
        encrypted = encrypted || strncmp(reader.label, "ENCRYPTED ", 10) == 0;
        if (more < 0) {
            sink_text(problem,
                      "damaged PEM, or an encrypted key (only unencrypted keys can be read)");
            error = -ERR_CONFIG;
        } else if (strcmp(reader.label, "PRIVATE KEY") == 0 ||
                   strcmp(reader.label, "RSA PRIVATE KEY") == 0 ||
                   strcmp(reader.label, "EC PRIVATE KEY") == 0) {
            error = decode_key(key, sink_slice(&reader.der), problem);
        }
    }
    pem_fini(&reader);
    if (!error && !key->key_read) {
        sink_text(problem, encrypted
                               ? "the private key is encrypted; only unencrypted keys can be read"
                               : "no private key in the file");
        error = -ERR_CONFIG;
    }
    return error;
}

/* Sign with the private key, check with the leaf's public key: the one proof that works for every
 * key type. */
static bool
key_matches(const struct server_key *key, const br_x509_pkey *leaf)
{
    unsigned char hash[32], signature[BR_X509_BUFSIZE_SIG], got[32];
    memset(hash, 0x5a, sizeof(hash));
    if ((int)leaf->key_type != key->type)
        return false;
    if (key->type == BR_KEYTYPE_RSA) {
        size_t len = (key->key.rsa.n_bitlen + 7) / 8;
        if (len > sizeof(signature) || len != leaf->key.rsa.nlen)
            return false;
        return br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash, sizeof(hash),
                                               &key->key.rsa, signature) &&
               br_rsa_pkcs1_vrfy_get_default()(signature, len, BR_HASH_OID_SHA256, sizeof(hash),
                                               &leaf->key.rsa, got) &&
               memcmp(got, hash, sizeof(hash)) == 0;
    }
    if (leaf->key.ec.curve != key->key.ec.curve)
        return false;
    const br_ec_impl *ec = br_ec_get_default();
    size_t len =
        br_ecdsa_sign_asn1_get_default()(ec, &br_sha256_vtable, hash, &key->key.ec, signature);
    return len > 0 && br_ecdsa_vrfy_asn1_get_default()(ec, hash, sizeof(hash), &leaf->key.ec,
                                                       signature, len) == 1;
}

static int
check_leaf_key(const struct server_key *key, struct sink *problem)
{
    br_x509_decoder_context decoder;
    br_x509_decoder_init(&decoder, NULL, NULL);
    br_x509_decoder_push(&decoder, key->chain[0].data, key->chain[0].data_len);
    const br_x509_pkey *leaf = br_x509_decoder_get_pkey(&decoder);
    if (!leaf) {
        sink_printf(problem, "certificate cannot be used: %s",
                    tls_error_text(br_x509_decoder_last_error(&decoder)));
        return -ERR_CONFIG;
    }
    if (!key_matches(key, leaf)) {
        sink_text(problem, "the private key does not belong to the certificate");
        return -ERR_CONFIG;
    }
    if (key->type == BR_KEYTYPE_RSA && key->key.rsa.n_bitlen < 2048) {
        sink_text(problem, "RSA keys below 2048 bits are not accepted");
        return -ERR_CONFIG;
    }
    return 0;
}

/* Dates of the leaf, and each certificate issued by the next: clients do not look for a path. */
static int
check_chain(const struct server_key *key, struct sink *problem)
{
    struct tls_cert cert, above;
    int64_t now = (int64_t)time(NULL);
    for (size_t i = 0; i < key->count; i++) {
        struct slice der = slice_of(key->chain[i].data, key->chain[i].data_len);
        if (!tls_cert_read(der, &cert)) {
            sink_printf(problem, "certificate %zu is malformed", i + 1);
            return -ERR_CONFIG;
        }
        if (now < cert.not_before || now > cert.not_after) {
            sink_printf(problem, "certificate %zu is %s", i + 1,
                        now > cert.not_after ? "expired" : "not yet valid");
            return -ERR_CONFIG;
        }
        if (i + 1 == key->count)
            break;
        der = slice_of(key->chain[i + 1].data, key->chain[i + 1].data_len);
        if (tls_cert_read(der, &above) && !slice_eq(cert.issuer, above.subject)) {
            sink_printf(problem, "certificate %zu is not issued by the next one in the file",
                        i + 1);
            return -ERR_CONFIG;
        }
    }
    return 0;
}

static int
load_pair(struct server_key *key, struct slice certificate_path, struct slice key_path,
          struct sink *text, struct sink *problem)
{
    int error = read_pem(certificate_path, text, problem);
    if (!error)
        error = load_chain(key, sink_slice(text), problem);
    sink_reset(text, PEM_FILE_BYTES_MAX);
    if (!error)
        error = read_pem(key_path, text, problem);
    if (!error)
        error = load_key(key, sink_slice(text), problem);
    if (!error)
        error = check_leaf_key(key, problem);
    if (!error)
        error = check_chain(key, problem);
    return error;
}

int
server_key_load(struct slice certificate_path, struct slice key_path, struct server_key **out,
                struct sink *problem)
{
    *out = NULL;
    struct server_key *key = calloc(1, sizeof(*key));
    if (!key)
        return -ERR_MEMORY;
    atomic_init(&key->references, 1);
    struct sink text;
    sink_init(&text, PEM_FILE_BYTES_MAX);
    int error = load_pair(key, certificate_path, key_path, &text, problem);
    if (text.ptr)
        explicit_bzero(text.ptr, text.cap);
    sink_fini(&text);
    if (error)
        server_key_drop(key);
    else
        *out = key;
    return error;
}

int
tls_sign_rs256(struct slice key, struct slice text, struct sink *out, struct sink *problem)
{
    struct server_key *holder = calloc(1, sizeof(*holder)); /* its decoder is too large for a stack */
    struct sink pem;
    if (!holder)
        return -ERR_MEMORY;
    holder->references = 1;
    sink_init(&pem, key.len + 2);
    if (sink_reserve(&pem, key.len + 1)) { /* in one piece: growing would leave parts behind */
        sink_put(&pem, key);
        sink_byte(&pem, '\n');
    }
    int error = pem.error ? -ERR_MEMORY : load_key(holder, sink_slice(&pem), problem);
    if (pem.ptr)
        explicit_bzero(pem.ptr, pem.cap);
    sink_fini(&pem);
    size_t size = error || holder->type != BR_KEYTYPE_RSA ? 0 : (holder->key.rsa.n_bitlen + 7) / 8;
    if (!error && (size < 128 || size > BR_X509_BUFSIZE_SIG)) {
        sink_text(problem, size ? "an RSA key of this size cannot sign here" : "the private key is not an RSA key");
        error = -ERR_CONFIG;
    }
    unsigned char hash[32], *signature = error ? NULL : (unsigned char *)sink_reserve(out, size);
    if (!error) {
        br_sha256_context context;
        br_sha256_init(&context);
        br_sha256_update(&context, text.ptr, text.len);
        br_sha256_out(&context, hash);
        error = !signature ? -ERR_MEMORY
                : br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash, sizeof(hash), &holder->key.rsa, signature)
                    ? 0
                    : -ERR_CONFIG;
        if (error == -ERR_CONFIG)
            sink_text(problem, "the private key does not work");
        else if (!error)
            out->len += size;
    }
    server_key_drop(holder);
    return error;
}

void
server_key_drop(struct server_key *key)
{
    if (!key || atomic_fetch_sub(&key->references, 1) != 1)
        return;
    for (size_t i = 0; i < key->count; i++)
        free(key->chain[i].data);
    explicit_bzero(key, sizeof(*key));
    free(key);
}

struct server_key *
server_key_hold(struct server_key *key)
{
    if (key)
        atomic_fetch_add(&key->references, 1);
    return key;
}

struct server_key *
server_key_keep(const struct server_key *key)
{
    return server_key_hold((struct server_key *)(uintptr_t)key);
}

struct server_key_view
server_key_view(const struct server_key *key)
{
    bool rsa = key->type == BR_KEYTYPE_RSA;
    return (struct server_key_view){key->chain, key->count, rsa ? &key->key.rsa : NULL,
                                    rsa ? NULL : &key->key.ec};
}
