/* SPDX-License-Identifier: MIT
 *
 * tls_server.c - the server's engine: TLS 1.2 with EC and RSA keys, our suites in our order,
 * sessions kept per worker.
 *
 * Its output buffer holds 4 KiB: an event of a stream is smaller, and ten thousand clients are
 * many.
 */
#include "reactor/tls.h"

#include "reactor/loop.h"
#include "reactor/tls_suites.h"
#include "reactor/trust.h"

#include <bearssl.h>

#include <stdlib.h>

#define SESSION_BYTES (64 * 1024) /* about 650 sessions */
#define OUTPUT_BYTES (4096 + 85)

/* BearSSL's own policy with a note on top: it is asked for its choice unless a session is resumed.
 */
struct policy {
    const br_ssl_server_policy_class *vtable; /* first: the engine casts */
    const br_ssl_server_policy_class **inner;
    bool asked;
};

struct server_engine {
    br_ssl_server_context context;
    struct policy policy;
};

struct server_cache {
    br_ssl_session_cache_lru lru;
    unsigned char store[SESSION_BYTES];
};

#define ENGINE_BYTES ((sizeof(struct server_engine) + 63) / 64 * 64)
_Static_assert(ENGINE_BYTES <= 8192,
               "the first two pages hold the engine, the others may be given back");

static int
policy_choose(const br_ssl_server_policy_class **ctx, const br_ssl_server_context *server,
              br_ssl_server_choices *choices)
{
    struct policy *policy = container_of(ctx, struct policy, vtable);
    policy->asked = true;
    return (*policy->inner)->choose(policy->inner, server, choices);
}

static uint32_t
policy_do_keyx(const br_ssl_server_policy_class **ctx, unsigned char *data, size_t *len)
{
    struct policy *policy = container_of(ctx, struct policy, vtable);
    return (*policy->inner)->do_keyx(policy->inner, data, len);
}

static size_t
policy_do_sign(const br_ssl_server_policy_class **ctx, unsigned algorithm, unsigned char *data,
               size_t hash_len, size_t len)
{
    struct policy *policy = container_of(ctx, struct policy, vtable);
    return (*policy->inner)->do_sign(policy->inner, algorithm, data, hash_len, len);
}

static const br_ssl_server_policy_class policy_class = {
    .context_size = sizeof(struct policy),
    .choose = policy_choose,
    .do_keyx = policy_do_keyx,
    .do_sign = policy_do_sign,
};

bool
tls_server_init(struct tls_worker *worker)
{
    struct server_cache *cache = calloc(1, sizeof(*cache));
    br_ssl_server_context *template = calloc(1, sizeof(*template));
    worker->server_cache = cache;
    worker->server_template = template;
    if (!cache || !template)
        return false;
    br_ssl_session_cache_lru_init(&cache->lru, cache->store, sizeof(cache->store));
    br_ssl_server_init_full_ec(template, NULL, 0, BR_KEYTYPE_EC, NULL);
    tls_suites_apply(&template->eng, worker->protocols);
    br_ssl_engine_add_flags(&template->eng, BR_OPT_ENFORCE_SERVER_PREFERENCES);
    br_ssl_server_set_cache(template, &cache->lru.vtable);
    return true;
}

void
tls_server_fini(struct tls_worker *worker)
{
    if (worker->server_cache)
        explicit_bzero(worker->server_cache, sizeof(struct server_cache));
    free(worker->server_cache);
    free(worker->server_template);
    worker->server_cache = worker->server_template = NULL;
}

size_t
tls_server_slot_bytes(void)
{
    return ENGINE_BYTES + BR_SSL_BUFSIZE_INPUT + OUTPUT_BYTES;
}

bool
tls_server_resumed(const struct tls *tls)
{
    const struct server_engine *engine = tls->slot;
    return !engine->policy.asked;
}

int
tls_server_start(struct tls *tls)
{
    struct server_engine *engine = tls->slot;
    br_ssl_server_context *server = &engine->context;
    unsigned char *buffers = (unsigned char *)tls->slot + ENGINE_BYTES;
    struct server_key_view key = server_key_view(tls->key);
    memcpy(server, tls->worker->server_template, sizeof(*server));
    tls->engine = &server->eng;
    if (key.rsa)
        br_ssl_server_set_single_rsa(server, key.chain, key.count, key.rsa, BR_KEYTYPE_SIGN,
                                     br_rsa_private_get_default(), br_rsa_pkcs1_sign_get_default());
    else
        br_ssl_server_set_single_ec(server, key.chain, key.count, key.ec, BR_KEYTYPE_SIGN,
                                    BR_KEYTYPE_EC, br_ec_get_default(),
                                    br_ecdsa_sign_asn1_get_default());
    engine->policy = (struct policy){&policy_class, server->policy_vtable, false};
    br_ssl_server_set_policy(server, &engine->policy.vtable);
    br_ssl_engine_set_buffers_bidi(&server->eng, buffers, BR_SSL_BUFSIZE_INPUT,
                                   buffers + BR_SSL_BUFSIZE_INPUT, OUTPUT_BYTES);
    if (!tls_seed(&server->eng)) {
        tls->conn->tls_error = TLS_ERROR_ENTROPY;
        return -ERR_TLS;
    }
    if (!br_ssl_server_reset(server)) {
        tls->conn->tls_error = br_ssl_engine_last_error(&server->eng);
        return -ERR_TLS;
    }
    return 0;
}
