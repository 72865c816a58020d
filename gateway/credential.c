/* SPDX-License-Identifier: MIT
 *
 * credential.c - tokens and the single flight that brings them; see credential.h.
 *
 * What workers share stands behind the credential's lock, held for a few instructions. The fetch belongs to the worker that
 * began it; when it lands, every worker is told by mail and wakes its own waiting streams.
 */
#include "gateway/credential.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/fetch.h"
#include "gateway/google.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SOURCE_BYTES_MAX 65536u

struct credential {
    atomic_uint references;
    struct arena arena; /* what was read; wiped when it goes */
    struct slice source, metadata_host;
    struct google_credentials google;
    char name[128];
    pthread_mutex_t lock;
    /* behind the lock */
    char *token;
    uint64_t serial; /* of the token: a flight may have replaced it */
    uint64_t renew_ms, until_ms, retry_ms, backoff_ms;
    bool in_flight;
    char problem[512];
    uint64_t refreshes, failures;
};

struct flight { /* a fetch in the air, on its worker */
    struct credential *credential;
    struct worker *worker;
};

struct landing { /* tells one worker that a flight has ended */
    struct mail mail;
};

/* ---------------------------------------------------------------- life */

/* The file's text, or the source itself when it is JSON. */
static int
read_source(struct credential *credential, struct slice *text, struct sink *problem)
{
    struct slice source = credential->source;
    *text = source;
    if (source.len == 0 || source.ptr[0] == '{')
        return 0;
    char *bytes = arena_take(&credential->arena, SOURCE_BYTES_MAX);
    FILE *file = bytes ? fopen(source.ptr, "re") : NULL;
    if (!file) {
        sink_printf(problem, "google credentials: cannot read %.*s", SLICE_ARG(source));
        return bytes ? -ERR_CONFIG : -ERR_MEMORY;
    }
    size_t n = fread(bytes, 1, SOURCE_BYTES_MAX, file);
    fclose(file);
    *text = slice_of(bytes, n);
    return 0;
}

int
credential_new(struct slice source, struct slice metadata_host, struct credential **out, struct sink *problem)
{
    static const char *const kinds[] = {"metadata", "service_account", "authorized_user"};
    struct credential *credential = calloc(1, sizeof(*credential));
    if (!credential)
        return -ERR_MEMORY;
    atomic_init(&credential->references, 1);
    arena_init(&credential->arena, 4u << 20);
    pthread_mutex_init(&credential->lock, NULL);
    credential->source = slice_present(source) ? arena_copy(&credential->arena, source) : SLICE_NONE;
    credential->metadata_host = arena_copy(&credential->arena, metadata_host);
    struct slice text;
    int error = read_source(credential, &text, problem);
    if (error == 0) {
        size_t before = problem->len;
        sink_text(problem, "google credentials: ");
        error = google_read_credentials(text, credential->metadata_host, &credential->arena, &credential->google, problem);
        if (error == 0)
            problem->len = before;
    }
    if (error < 0) {
        credential_drop(credential);
        return error;
    }
    snprintf(credential->name, sizeof(credential->name), "%s%s%.*s", kinds[credential->google.kind],
             credential->google.client_email.len ? " " : "", SLICE_ARG(credential->google.client_email));
    for (char *at = credential->name; *at; at++) { /* it becomes a metric's label */
        if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ')
            *at = '_';
    }
    *out = credential;
    return 0;
}

struct credential *
credential_hold(struct credential *credential)
{
    atomic_fetch_add_explicit(&credential->references, 1, memory_order_relaxed);
    return credential;
}

static void
wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void
credential_drop(struct credential *credential)
{
    if (atomic_fetch_sub_explicit(&credential->references, 1, memory_order_acq_rel) != 1)
        return;
    wipe(credential->token);
    if (credential->google.private_key.len > 0)
        explicit_bzero((char *)(uintptr_t)credential->google.private_key.ptr, credential->google.private_key.len);
    pthread_mutex_destroy(&credential->lock);
    arena_fini(&credential->arena);
    free(credential);
}

bool
credential_is(const struct credential *credential, struct slice source, struct slice metadata_host)
{
    return slice_present(credential->source) == slice_present(source) &&
           (!slice_present(source) || slice_eq(credential->source, source)) && slice_eq(credential->metadata_host, metadata_host);
}

bool
credential_same(const struct credential *a, const struct credential *b)
{
    const struct google_credentials *x = &a->google, *y = &b->google;
    return credential_is(a, b->source, b->metadata_host) && x->kind == y->kind && slice_eq(x->token_url, y->token_url) &&
           slice_eq(x->client_email, y->client_email) && slice_eq(x->private_key, y->private_key) && slice_eq(x->client_id, y->client_id) &&
           slice_eq(x->client_secret, y->client_secret) && slice_eq(x->refresh_token, y->refresh_token);
}

/* ---------------------------------------------------------------- waiting */

static void
wake_all(struct worker *worker)
{
    struct list waiting;
    list_init(&waiting);
    list_move_all(&waiting, &worker->token_waiters);
    for (struct list *node; (node = list_pop(&waiting)) != NULL;)
        stream_post(list_entry(node, struct stream, token_wait), EVENT_TURN);
}

static void
deliver(struct worker *worker, struct mail *mail)
{
    wake_all(worker);
    free(container_of(mail, struct landing, mail));
}

void
credential_leave(struct stream *stream)
{
    list_remove(&stream->token_wait);
}

/* ---------------------------------------------------------------- flights */

static void
log_landing(const struct credential *credential, const char *problem, uint64_t lifetime_s)
{
    struct log_line line;
    bool failed = problem[0] != '\0';
    if (!log_on(failed ? LOG_WARN : LOG_INFO))
        return;
    log_begin(&line, failed ? LOG_WARN : LOG_INFO, failed ? "no access token" : "access token renewed");
    log_text(&line, "credential", credential->name);
    if (failed)
        log_text(&line, "problem", problem);
    else
        log_i64(&line, "lifetime_s", (int64_t)lifetime_s);
    log_end(&line);
}

/* What a reply means for the credential. */
static void
land(struct credential *credential, uint64_t now_ms, struct slice token, uint64_t lifetime_s, struct slice problem)
{
    char *copy = slice_present(token) ? strndup(token.ptr, token.len) : NULL;
    uint64_t early = lifetime_s * 1000 / 5 < CREDENTIAL_EARLY_MS ? lifetime_s * 1000 / 5 : CREDENTIAL_EARLY_MS;
    pthread_mutex_lock(&credential->lock);
    credential->in_flight = false;
    char *old = NULL;
    if (copy) {
        old = credential->token;
        credential->token = copy;
        credential->serial++;
        credential->until_ms = now_ms + lifetime_s * 1000;
        credential->renew_ms = credential->until_ms - early;
        credential->backoff_ms = 0;
        credential->retry_ms = 0;
        credential->problem[0] = '\0';
        credential->refreshes++;
    } else {
        credential->backoff_ms = credential->backoff_ms ? credential->backoff_ms * 2 : CREDENTIAL_BACKOFF_MS;
        if (credential->backoff_ms > CREDENTIAL_BACKOFF_MAX_MS)
            credential->backoff_ms = CREDENTIAL_BACKOFF_MAX_MS;
        credential->retry_ms = now_ms + credential->backoff_ms;
        snprintf(credential->problem, sizeof(credential->problem), "%.*s", SLICE_ARG(problem));
        credential->failures++;
    }
    pthread_mutex_unlock(&credential->lock);
    wipe(old);
}

static void
landed(void *user, const struct fetch_reply *reply)
{
    struct flight *flight = user;
    struct credential *credential = flight->credential;
    struct worker *worker = flight->worker;
    struct slice token = SLICE_NONE;
    uint64_t lifetime_s = 0;
    struct arena arena;
    struct sink problem;
    arena_init(&arena, 1u << 20);
    sink_init(&problem, 4096);
    if (reply->error < 0)
        sink_text(&problem, err_row(reply->error)->text);
    else if (google_read_token(reply->status, reply->body, &arena, &token, &lifetime_s, &problem) < 0)
        token = SLICE_NONE;
    sink_byte(&problem, '\0');
    land(credential, worker->loop.now_ms, token, lifetime_s, slice_from(problem.ptr ? problem.ptr : ""));
    log_landing(credential, slice_present(token) ? "" : problem.ptr ? problem.ptr : "", lifetime_s);
    if (slice_present(token))
        explicit_bzero((char *)(uintptr_t)token.ptr, token.len);
    sink_fini(&problem);
    arena_fini(&arena);
    wake_all(worker);
    struct gateway *gateway = worker->gateway;
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        struct landing *landing = gateway->workers[i] != worker ? calloc(1, sizeof(*landing)) : NULL;
        if (!landing) /* a stream that is not told ends by its connect timeout */
            continue;
        landing->mail.deliver = deliver;
        worker_send(gateway->workers[i], &landing->mail);
    }
    credential_drop(credential);
    free(flight);
}

/* Begins a flight. in_flight is set already. */
static void
take_off(struct credential *credential, struct worker *worker)
{
    struct arena arena;
    struct sink problem;
    struct google_request request = {0};
    struct fetch *fetch;
    struct flight *flight = calloc(1, sizeof(*flight));
    arena_init(&arena, 1u << 20);
    sink_init(&problem, 4096);
    int error = flight ? google_token_request(&credential->google, worker_unix_us(worker) / 1000000, &arena, &request, &problem) : -ERR_MEMORY;
    if (error == 0) {
        struct fetch_request fetching = {
            .method = request.method, .url = request.url, .fields = request.fields, .body = request.body, .reply_max = CREDENTIAL_REPLY_MAX,
            .timeout_ms = CREDENTIAL_FETCH_MS, .trust = worker->generation->trust,
        };
        *flight = (struct flight){.credential = credential_hold(credential), .worker = worker};
        error = fetch_start(worker, &fetching, landed, flight, &fetch);
        if (error < 0)
            credential_drop(credential);
    }
    if (slice_present(request.body))
        explicit_bzero((char *)(uintptr_t)request.body.ptr, request.body.len);
    if (error < 0) {
        if (problem.len == 0)
            sink_text(&problem, err_row(error)->text);
        sink_byte(&problem, '\0');
        land(credential, worker->loop.now_ms, SLICE_NONE, 0, slice_from(problem.ptr ? problem.ptr : ""));
        log_landing(credential, problem.ptr ? problem.ptr : "", 0);
        free(flight);
    }
    sink_fini(&problem);
    arena_fini(&arena);
}

/* May a flight begin now? Then it is ours. Under the lock. */
static bool
claim(struct credential *credential, uint64_t now_ms)
{
    if (credential->in_flight || now_ms < credential->retry_ms || (credential->token && now_ms < credential->renew_ms))
        return false;
    credential->in_flight = true;
    return true;
}

int
credential_now(struct credential *credential, struct worker *worker, struct arena *arena, struct slice *token)
{
    uint64_t now_ms = worker->loop.now_ms;
    for (int round = 0;; round++) {
        pthread_mutex_lock(&credential->lock);
        bool valid = credential->token && now_ms < credential->until_ms, ours = round == 0 && claim(credential, now_ms), waits = credential->in_flight;
        if (valid)
            *token = arena_copy(arena, slice_from(credential->token));
        pthread_mutex_unlock(&credential->lock);
        if (ours)
            take_off(credential, worker);
        if (valid)
            return slice_present(*token) ? 1 : -ERR_MEMORY;
        if (ours) /* it may have failed at once */
            continue;
        return waits ? 0 : -ERR_CREDENTIAL;
    }
}

int
credential_token(struct credential *credential, struct stream *stream, struct slice *token)
{
    credential_leave(stream);
    int got = credential_now(credential, stream->worker, &stream->reply, token);
    if (got == 0)
        list_push_back(&stream->worker->token_waiters, &stream->token_wait);
    return got;
}

void
credential_rejected(struct credential *credential, struct worker *worker, struct slice token)
{
    char *old = NULL;
    pthread_mutex_lock(&credential->lock);
    if (credential->token && slice_is(token, credential->token)) {
        old = credential->token;
        credential->token = NULL;
    }
    bool ours = claim(credential, worker->loop.now_ms);
    pthread_mutex_unlock(&credential->lock);
    wipe(old);
    if (ours)
        take_off(credential, worker);
}

void
credential_tick(struct worker *worker)
{
    const struct generation *generation = worker->generation;
    for (uint32_t i = 0; i < generation->credential_count && !worker->draining; i++) {
        struct credential *credential = generation->credentials[i];
        pthread_mutex_lock(&credential->lock);
        bool ours = claim(credential, worker->loop.now_ms);
        pthread_mutex_unlock(&credential->lock);
        if (ours)
            take_off(credential, worker);
    }
}

void
credential_problem(struct credential *credential, struct sink *out)
{
    pthread_mutex_lock(&credential->lock);
    sink_text(out, credential->problem);
    pthread_mutex_unlock(&credential->lock);
}

void
credential_figures(struct credential *credential, uint64_t now_ms, struct credential_figures *out)
{
    pthread_mutex_lock(&credential->lock);
    *out = (struct credential_figures){
        .refreshes = credential->refreshes,
        .failures = credential->failures,
        .left_s = credential->token ? ((int64_t)credential->until_ms - (int64_t)now_ms) / 1000 : -1,
        .name = slice_from(credential->name),
    };
    pthread_mutex_unlock(&credential->lock);
}
