/* SPDX-License-Identifier: MIT
 *
 * tls_verify.c - judging a server's certificate chain: BearSSL's validator inside, our own checks
 * and a cache around it.
 *
 * The chain is collected first, at most 32 KiB. If the same bytes were found good for the same
 * target within the last quarter of an hour, only the leaf's key is taken from the cache: a P-384
 * chain costs 3.6 ms to verify. The server still proves that it holds the key. Whatever BearSSL
 * leaves out is checked here: extendedKeyUsage, name constraints, IP addresses, the missing
 * subjectAltName, the pin. docs/tls.md lists what is refused and why.
 */
#include "reactor/tls.h"

#include "base/text.h"
#include "reactor/loop.h"
#include "reactor/tls_der.h"
#include "reactor/trust.h"

#include <bearssl.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <time.h>

#define CHAIN_BYTES_MAX (32u * 1024)
#define CHAIN_CERTS_MAX 10
#define CHAIN_ENTRIES 64
#define CHAIN_TTL_MS (15u * 60 * 1000)
#define VERIFIERS_FREE_MAX 4
#define RSA_BYTES_MIN 256      /* 2048 bits */
#define UNIX_EPOCH_DAYS 719528 /* from 1 January of the year 0, as BearSSL counts */

struct kept_key {
    br_x509_pkey key;
    unsigned usages;
    unsigned char bytes[BR_X509_BUFSIZE_KEY];
};

struct chain_entry {
    uint8_t hash[br_sha256_SIZE];
    uint64_t until_ms; /* 0: empty */
    struct kept_key leaf;
};

struct tls_chains {
    const br_x509_class *nobody; /* see refuse_chain */
    struct chain_entry entries[CHAIN_ENTRIES];
};

struct tls_verify {
    const br_x509_class *vtable; /* first: the engine casts */
    struct tls_verify *next;     /* among the free ones */
    struct tls_worker *worker;
    struct tls *tls;
    struct kept_key leaf;
    br_x509_minimal_context minimal;
    int error, count;
    bool ran;
    struct slice certs[CHAIN_CERTS_MAX];
    size_t len, cert_left;
    char name[256];
    uint8_t address[16];
    size_t address_len; /* 0: the target is a name */
    char chain[CHAIN_BYTES_MAX];
};

/* -- the target's name -- */

size_t
tls_host_address(struct slice host, uint8_t address[16])
{
    char text[64];
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = slice_take(slice_skip(host, 1), host.len - 2);
    if (host.len == 0 || host.len >= sizeof(text))
        return 0;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (strlen(text) != host.len)
        return 0;
    if (inet_pton(AF_INET, text, address) == 1)
        return 4;
    return inet_pton(AF_INET6, text, address) == 1 ? 16 : 0;
}

bool
tls_target_name(const struct conn_target *target, char name[256])
{
    struct slice from = slice_present(target->server_name) ? target->server_name : target->host;
    if (from.len > 0 && from.ptr[from.len - 1] == '.')
        from.len--;
    if (from.len == 0 || from.len > 253)
        return false;
    for (size_t i = 0; i < from.len; i++) {
        if (from.ptr[i] <= ' ' || from.ptr[i] >= 0x7f)
            return false;
    }
    memcpy(name, from.ptr, from.len);
    name[from.len] = '\0';
    return true;
}

/* -- the cache of chains that were found good -- */

static void
keep(struct kept_key *out, const br_x509_pkey *key, unsigned usages)
{
    out->key = *key;
    out->usages = usages;
    if (key->key_type == BR_KEYTYPE_RSA) {
        assert(key->key.rsa.nlen + key->key.rsa.elen <= sizeof(out->bytes));
        memcpy(out->bytes, key->key.rsa.n, key->key.rsa.nlen);
        memcpy(out->bytes + key->key.rsa.nlen, key->key.rsa.e, key->key.rsa.elen);
        out->key.key.rsa.n = out->bytes;
        out->key.key.rsa.e = out->bytes + key->key.rsa.nlen;
    } else {
        assert(key->key.ec.qlen <= sizeof(out->bytes));
        memcpy(out->bytes, key->key.ec.q, key->key.ec.qlen);
        out->key.key.ec.q = out->bytes;
    }
}

static void
hash_chain(const struct tls_verify *verify, uint8_t out[br_sha256_SIZE])
{
    br_sha256_context hash;
    br_sha256_init(&hash);
    br_sha256_update(&hash, verify->tls->cache_key, TLS_KEY_BYTES);
    for (int i = 0; i < verify->count; i++) {
        uint64_t len = verify->certs[i].len;
        br_sha256_update(&hash, &len, sizeof(len));
        br_sha256_update(&hash, verify->certs[i].ptr, verify->certs[i].len);
    }
    br_sha256_out(&hash, out);
}

/* The entry with this hash that still holds, or NULL. */
static const struct chain_entry *
find_chain(const struct tls_worker *worker, const uint8_t hash[br_sha256_SIZE])
{
    for (size_t i = 0; i < CHAIN_ENTRIES; i++) {
        const struct chain_entry *entry = &worker->chains->entries[i];
        if (entry->until_ms > worker->loop->now_ms &&
            memcmp(entry->hash, hash, br_sha256_SIZE) == 0)
            return entry;
    }
    return NULL;
}

/* Remember a good chain in the place of the one that ends first. */
static void
store_chain(struct tls_verify *verify, const uint8_t hash[br_sha256_SIZE], uint64_t ttl_ms)
{
    struct tls_worker *worker = verify->worker;
    struct chain_entry *entry = &worker->chains->entries[0];
    for (size_t i = 1; i < CHAIN_ENTRIES; i++) {
        if (worker->chains->entries[i].until_ms < entry->until_ms)
            entry = &worker->chains->entries[i];
    }
    memcpy(entry->hash, hash, br_sha256_SIZE);
    entry->until_ms = worker->loop->now_ms + ttl_ms;
    keep(&entry->leaf, &verify->leaf.key, verify->leaf.usages);
}

/* -- judging -- */

static int64_t
wall_now(const struct tls_worker *worker)
{
    return (int64_t)time(NULL) + worker->wall_shift_s;
}

static void
prepare(struct tls_verify *verify)
{
    br_x509_minimal_context *minimal = &verify->minimal;
    struct trust_view trust = trust_view(verify->tls->target->trust);
    int64_t now = wall_now(verify->worker);
    br_x509_minimal_init(minimal, &br_sha256_vtable, trust.anchors, trust.count);
    br_x509_minimal_set_rsa(minimal, br_rsa_pkcs1_vrfy_get_default());
    br_x509_minimal_set_ecdsa(minimal, br_ec_get_default(), br_ecdsa_vrfy_asn1_get_default());
    br_x509_minimal_set_hash(minimal, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_hash(minimal, br_sha384_ID, &br_sha384_vtable);
    br_x509_minimal_set_hash(minimal, br_sha512_ID, &br_sha512_vtable);
    br_x509_minimal_set_minrsa(minimal, RSA_BYTES_MIN);
    br_x509_minimal_set_time(minimal, (uint32_t)(now / 86400) + UNIX_EPOCH_DAYS,
                             (uint32_t)(now % 86400));
}

/* Signatures, dates, key sizes and the name, by BearSSL. path: how many certificates lead to the
 * anchor; what a server sends behind them plays no part. */
static int
run_minimal(struct tls_verify *verify, int *path)
{
    prepare(verify);
    br_x509_minimal_context *minimal = &verify->minimal;
    const br_x509_class **ctx = &minimal->vtable;
    br_x509_minimal_vtable.start_chain(ctx, verify->address_len ? NULL : verify->name);
    for (*path = 0; *path < verify->count && minimal->err == 0; (*path)++) {
        struct slice cert = verify->certs[*path];
        br_x509_minimal_vtable.start_cert(ctx, (uint32_t)cert.len);
        if (cert.len > 0)
            br_x509_minimal_vtable.append(ctx, (const unsigned char *)cert.ptr, cert.len);
        br_x509_minimal_vtable.end_cert(ctx);
    }
    int error = (int)br_x509_minimal_vtable.end_chain(ctx);
    if (error)
        return error;
    unsigned usages;
    const br_x509_pkey *key = br_x509_minimal_vtable.get_pkey(&minimal->vtable, &usages);
    if (!key)
        return BR_ERR_X509_NOT_TRUSTED;
    keep(&verify->leaf, key, usages);
    return 0;
}

/* What BearSSL leaves out. ttl_ms: how long the verdict holds. */
static int
check_path(const struct tls_verify *verify, int path, uint64_t *ttl_ms)
{
    int64_t now = wall_now(verify->worker);
    *ttl_ms = CHAIN_TTL_MS;
    for (int i = 0; i < path; i++) {
        struct tls_cert cert;
        if (!tls_cert_read(verify->certs[i], &cert))
            return TLS_ERROR_CHAIN_SYNTAX;
        if (!tls_cert_serves(&cert))
            return TLS_ERROR_PURPOSE;
        if (cert.name_constraints)
            return TLS_ERROR_NAME_CONSTRAINTS;
        if (i == 0 && !slice_present(cert.alt_names))
            return TLS_ERROR_NO_ALT_NAME;
        if (i == 0 && verify->address_len &&
            !tls_cert_has_address(&cert, slice_of(verify->address, verify->address_len)))
            return TLS_ERROR_ADDRESS;
        int64_t left_s = cert.not_after - now;
        if (left_s <= 0)
            *ttl_ms = 0;
        else if ((uint64_t)left_s * 1000 < *ttl_ms)
            *ttl_ms = (uint64_t)left_s * 1000;
    }
    return 0;
}

static int
check_pin(const struct tls_verify *verify)
{
    struct slice pin = verify->tls->target->pin;
    uint8_t hash[br_sha256_SIZE];
    struct tls_cert cert;
    br_sha256_context sha256;
    if (!slice_present(pin))
        return 0;
    if (!tls_cert_read(verify->certs[0], &cert))
        return TLS_ERROR_CHAIN_SYNTAX;
    br_sha256_init(&sha256);
    br_sha256_update(&sha256, cert.spki.ptr, cert.spki.len);
    br_sha256_out(&sha256, hash);
    return slice_eq(pin, slice_of(hash, sizeof(hash))) ? 0 : TLS_ERROR_PIN;
}

static int
judge(struct tls_verify *verify)
{
    struct tls_worker *worker = verify->worker;
    uint8_t hash[br_sha256_SIZE];
    const struct chain_entry *known = NULL;
    int path;
    uint64_t ttl_ms;
    if (verify->error)
        return verify->error;
    if (verify->count == 0)
        return BR_ERR_X509_EMPTY_CHAIN;
    if (!verify->tls->target->trust)
        return TLS_ERROR_NO_TRUST;
    if (verify->tls->cached) {
        hash_chain(verify, hash);
        known = find_chain(worker, hash);
    }
    if (known) {
        loop_count(&worker->loop->stats.chain_cache_hits, 1);
        keep(&verify->leaf, &known->leaf.key, known->leaf.usages);
        return check_pin(verify);
    }
    int error = run_minimal(verify, &path);
    if (!error)
        error = check_path(verify, path, &ttl_ms);
    if (!error && verify->tls->cached)
        store_chain(verify, hash, ttl_ms);
    return error ? error : check_pin(verify);
}

/* -- the class that the engine calls -- */

static void
start_chain(const br_x509_class **ctx, const char *server_name)
{
    struct tls_verify *verify = (void *)ctx;
    (void)server_name; /* ours is verify->name; the engine's is what it sent, and is empty for an
                          address */
    verify->error = verify->count = 0;
    verify->len = 0;
    verify->ran = true;
}

static void
start_cert(const br_x509_class **ctx, uint32_t length)
{
    struct tls_verify *verify = (void *)ctx;
    verify->cert_left = length;
    if (verify->error)
        return;
    if (verify->count == CHAIN_CERTS_MAX || length > sizeof(verify->chain) - verify->len) {
        verify->error = TLS_ERROR_CHAIN_SIZE;
        return;
    }
    verify->certs[verify->count] = slice_of(verify->chain + verify->len, length);
}

static void
append_cert(const br_x509_class **ctx, const unsigned char *bytes, size_t len)
{
    struct tls_verify *verify = (void *)ctx;
    if (verify->error)
        return;
    if (len > verify->cert_left) {
        verify->error = TLS_ERROR_CHAIN_SYNTAX;
        return;
    }
    memcpy(verify->chain + verify->len, bytes, len);
    verify->len += len;
    verify->cert_left -= len;
}

static void
end_cert(const br_x509_class **ctx)
{
    struct tls_verify *verify = (void *)ctx;
    if (verify->error)
        return;
    if (verify->cert_left > 0)
        verify->error = BR_ERR_X509_TRUNCATED;
    else
        verify->count++;
}

static unsigned
end_chain(const br_x509_class **ctx)
{
    struct tls_verify *verify = (void *)ctx;
    struct sink *witness = verify->worker->witness;
    for (int i = 0; witness && i < verify->count; i++) {
        size_t len = verify->certs[i].len;
        sink_byte(witness, (char)(len >> 16));
        sink_byte(witness, (char)(len >> 8));
        sink_byte(witness, (char)len);
        sink_put(witness, verify->certs[i]);
    }
    verify->error = judge(verify);
    return (unsigned)verify->error;
}

static const br_x509_pkey *
get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    const struct tls_verify *verify = (const void *)ctx;
    if (verify->error || verify->count == 0)
        return NULL;
    if (usages)
        *usages = verify->leaf.usages;
    return &verify->leaf.key;
}

static const br_x509_class verify_class = {
    .context_size = sizeof(struct tls_verify),
    .start_chain = start_chain,
    .start_cert = start_cert,
    .append = append_cert,
    .end_cert = end_cert,
    .end_chain = end_chain,
    .get_pkey = get_pkey,
};

/* An engine never stands without a verifier: before one was taken and after it was given back, this
 * class refuses whatever certificates a peer sends out of order. */
static void
refuse_start(const br_x509_class **ctx, const char *server_name)
{
    (void)ctx;
    (void)server_name;
}

static void
refuse_cert(const br_x509_class **ctx, uint32_t length)
{
    (void)ctx;
    (void)length;
}

static void
refuse_bytes(const br_x509_class **ctx, const unsigned char *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
}

static void
refuse_end(const br_x509_class **ctx)
{
    (void)ctx;
}

static unsigned
refuse_chain(const br_x509_class **ctx)
{
    (void)ctx;
    return BR_ERR_X509_NOT_TRUSTED;
}

static const br_x509_pkey *
refuse_key(const br_x509_class *const *ctx, unsigned *usages)
{
    (void)ctx;
    (void)usages;
    return NULL;
}

static const br_x509_class refuse_class = {
    .context_size = sizeof(const br_x509_class *),
    .start_chain = refuse_start,
    .start_cert = refuse_cert,
    .append = refuse_bytes,
    .end_cert = refuse_end,
    .end_chain = refuse_chain,
    .get_pkey = refuse_key,
};

void
tls_verify_none(struct tls *tls)
{
    br_ssl_engine_set_x509(tls->engine, &tls->worker->chains->nobody);
}

/* -- verifiers -- */

int
tls_verify_take(struct tls *tls)
{
    struct tls_worker *worker = tls->worker;
    struct tls_verify *verify = worker->verifiers;
    assert(!tls->verify);
    if (verify) {
        worker->verifiers = verify->next;
        worker->verifiers_free--;
    } else {
        verify =
            malloc(sizeof(*verify)); /* the chain's 32 KiB are touched as far as they are needed */
        if (!verify)
            return -ERR_MEMORY;
    }
    verify->vtable = &verify_class;
    verify->worker = worker;
    verify->tls = tls;
    verify->error = verify->count = 0;
    verify->ran = false;
    verify->len = verify->cert_left = 0;
    bool named = tls_target_name(tls->target, verify->name);
    assert(named); /* or the handshake would not have begun */
    verify->address_len = tls_host_address(slice_from(verify->name), verify->address);
    tls->verify = verify;
    br_ssl_engine_set_x509(tls->engine, &verify->vtable);
    worker->loop->handshakes++;
    return 0;
}

void
tls_verify_give(struct tls *tls)
{
    struct tls_worker *worker = tls->worker;
    struct tls_verify *verify = tls->verify;
    if (!verify)
        return;
    assert(worker->loop->handshakes > 0);
    worker->loop->handshakes--;
    tls->verify = NULL;
    tls_verify_none(tls);
    if (worker->verifiers_free < VERIFIERS_FREE_MAX) {
        verify->next = worker->verifiers;
        worker->verifiers = verify;
        worker->verifiers_free++;
    } else {
        free(verify);
    }
    tls_turn_leave(tls); /* it is in no line; whoever waited for a verifier is called */
}

bool
tls_verify_ran(const struct tls_verify *verify)
{
    return verify && verify->ran;
}

bool
tls_verify_init(struct tls_worker *worker)
{
    worker->chains = calloc(1, sizeof(*worker->chains));
    if (worker->chains)
        worker->chains->nobody = &refuse_class;
    return worker->chains != NULL;
}

void
tls_verify_fini(struct tls_worker *worker)
{
    while (worker->verifiers) {
        struct tls_verify *verify = worker->verifiers;
        worker->verifiers = verify->next;
        free(verify);
    }
    worker->verifiers_free = 0;
    free(worker->chains);
    worker->chains = NULL;
}
