/* SPDX-License-Identifier: MIT
 *
 * tls_client.c - the client's engine: a strict profile, laid out from a template, and the sessions
 * that may be resumed.
 *
 * The profile: TLS 1.2, ECDHE with AEAD only, no SHA-1, RSA from 2048 bits, http/1.1, no
 * renegotiation. Both record buffers are of full size: a client with a smaller one announces
 * max_fragment_length, which some front ends answer with surprises, and pages that are not touched
 * cost nothing.
 */
#include "reactor/tls.h"

#include "reactor/loop.h"
#include "reactor/tls_suites.h"
#include "reactor/trust.h"

#include <bearssl.h>

#include <stdlib.h>
#include <sys/random.h>

#define SESSIONS 64
#define SESSION_TTL_MS (60u * 60 * 1000)
#define ENGINE_BYTES ((sizeof(br_ssl_client_context) + 63) / 64 * 64)

_Static_assert(ENGINE_BYTES <= 4096,
               "the first page holds the engine, the others may be given back");

struct session {
    uint8_t key[TLS_KEY_BYTES];
    uint64_t until_ms; /* 0: empty */
    br_ssl_session_parameters parameters;
};

struct tls_sessions {
    struct session entries[SESSIONS];
};

/* -- sessions -- */

static struct session *
find_session(struct tls_worker *worker, const uint8_t key[TLS_KEY_BYTES])
{
    for (size_t i = 0; i < SESSIONS; i++) {
        struct session *session = &worker->sessions->entries[i];
        if (session->until_ms > worker->loop->now_ms &&
            memcmp(session->key, key, TLS_KEY_BYTES) == 0)
            return session;
    }
    return NULL;
}

static void
store_session(struct tls *tls)
{
    struct tls_worker *worker = tls->worker;
    br_ssl_session_parameters parameters;
    br_ssl_engine_get_session_parameters(tls->engine, &parameters);
    struct session *session = find_session(worker, tls->cache_key);
    if (!session) {
        session = &worker->sessions->entries[0];
        for (size_t i = 1; i < SESSIONS; i++) {
            if (worker->sessions->entries[i].until_ms < session->until_ms)
                session = &worker->sessions->entries[i];
        }
    }
    if (parameters.session_id_len > 0) {
        memcpy(session->key, tls->cache_key, TLS_KEY_BYTES);
        session->until_ms = worker->loop->now_ms + SESSION_TTL_MS;
        session->parameters = parameters;
    }
    explicit_bzero(&parameters, sizeof(parameters));
}

bool
tls_client_resumed(const struct tls *tls)
{
    return tls->resumed && !tls_verify_ran(tls->verify);
}

void
tls_client_done(struct tls *tls)
{
    /* A resumed session keeps its age: once an hour certificates are looked at again. */
    if (tls->cached && !tls->resumed)
        store_session(tls);
}

void
tls_client_failed(struct tls *tls)
{
    struct session *session = tls->cached ? find_session(tls->worker, tls->cache_key) : NULL;
    if (session)
        explicit_bzero(session, sizeof(*session));
}

/* What a session or a verified chain belongs to: the caller's key, and all that decides about
 * trust. */
static void
make_cache_key(struct tls *tls, const char *name)
{
    const struct conn_target *target = tls->target;
    br_sha256_context hash;
    uint64_t len = target->cache_key.len;
    uint16_t port = target->port;
    tls->cached = slice_present(target->cache_key) && target->trust;
    if (!tls->cached)
        return;
    br_sha256_init(&hash);
    br_sha256_update(&hash, &len, sizeof(len));
    br_sha256_update(&hash, target->cache_key.ptr, target->cache_key.len);
    br_sha256_update(&hash, name, strlen(name) + 1);
    br_sha256_update(&hash, &port, sizeof(port));
    br_sha256_update(&hash, trust_view(target->trust).fingerprint, TLS_KEY_BYTES);
    if (slice_present(target->pin))
        br_sha256_update(&hash, target->pin.ptr, target->pin.len);
    br_sha256_out(&hash, tls->cache_key);
}

/* -- the engine -- */

bool
tls_client_init(struct tls_worker *worker)
{
    worker->sessions = calloc(1, sizeof(*worker->sessions));
    br_ssl_client_context *template = calloc(1, sizeof(*template));
    worker->client_template = template;
    if (!worker->sessions || !template)
        return false;
    br_x509_minimal_context
        unused; /* init_full wants one; every handshake brings its own verifier */
    br_ssl_client_init_full(template, &unused, NULL, 0);
    br_ssl_engine_set_x509(&template->eng, NULL);
    tls_suites_apply(&template->eng, worker->protocols);
    return true;
}

void
tls_client_fini(struct tls_worker *worker)
{
    if (worker->sessions)
        explicit_bzero(worker->sessions, sizeof(*worker->sessions));
    free(worker->sessions);
    free(worker->client_template);
    worker->sessions = NULL;
    worker->client_template = NULL;
}

size_t
tls_client_slot_bytes(void)
{
    return ENGINE_BYTES + BR_SSL_BUFSIZE_INPUT + BR_SSL_BUFSIZE_OUTPUT;
}

int
tls_client_start(struct tls *tls)
{
    char name[256];
    uint8_t address[16];
    br_ssl_client_context *client = tls->slot;
    unsigned char *buffers = (unsigned char *)tls->slot + ENGINE_BYTES;
    if (!tls_target_name(tls->target, name)) {
        tls->conn->tls_error = TLS_ERROR_HOST;
        return -ERR_TLS;
    }
    make_cache_key(tls, name);
    memcpy(client, tls->worker->client_template, sizeof(*client));
    tls->engine = &client->eng;
    tls_verify_none(tls);
    br_ssl_engine_set_buffers_bidi(&client->eng, buffers, BR_SSL_BUFSIZE_INPUT,
                                   buffers + BR_SSL_BUFSIZE_INPUT, BR_SSL_BUFSIZE_OUTPUT);
    if (!tls_seed(&client->eng)) {
        tls->conn->tls_error = TLS_ERROR_ENTROPY;
        return -ERR_TLS;
    }
    struct session *session = tls->cached ? find_session(tls->worker, tls->cache_key) : NULL;
    if (session)
        br_ssl_engine_set_session_parameters(&client->eng, &session->parameters);
    tls->resumed = session != NULL;
    /* An address is verified but never sent as a server name (RFC 6066, 3); the name is never NULL.
     */
    bool named = tls_host_address(slice_from(name), address) == 0;
    if (!br_ssl_client_reset(client, named ? name : "", session != NULL)) {
        tls->conn->tls_error = br_ssl_engine_last_error(&client->eng);
        return -ERR_TLS;
    }
    return 0;
}
