/* SPDX-License-Identifier: MIT
 *
 * credential.h - access tokens that expire: one for each credential, for all workers, renewed before anybody misses it.
 *
 * A token is asked for once, by whichever worker notices first (single flight), a while before the old one ends; requests
 * never wait while there is a valid one. A stream that finds none waits for the flight and gets the notice TURN when it has
 * landed. Running streams are not touched: a token is used when a request is sent, and only then.
 */
#ifndef PENSTOCK_CREDENTIAL_H
#define PENSTOCK_CREDENTIAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sink.h"
#include "base/slice.h"

struct credential;
struct generation;
struct worker;
struct stream;

#define CREDENTIAL_EARLY_MS (5u * 60 * 1000) /* a token is renewed this long before its end, or at 80 % of a short life */
#define CREDENTIAL_FETCH_MS 10000u           /* a token endpoint that is slower has failed */
#define CREDENTIAL_BACKOFF_MS 1000u          /* after a failure; doubles up to a minute */
#define CREDENTIAL_BACKOFF_MAX_MS 60000u
#define CREDENTIAL_REPLY_MAX 65536u

/*
 * credential_new - from a file name or JSON text; absent: Google's metadata server at metadata_host.
 * 0; -ERR_CONFIG with a reason in problem; -ERR_MEMORY
 */
int credential_new(struct slice source, struct slice metadata_host, struct credential **out, struct sink *problem) must_check;
struct credential *credential_hold(struct credential *credential);
void credential_drop(struct credential *credential);
/* credential_same - do both come from the same source with the same contents? Then a new configuration keeps the old one's token. */
bool credential_same(const struct credential *a, const struct credential *b);
/* credential_is - is it made of this source? */
bool credential_is(const struct credential *credential, struct slice source, struct slice metadata_host);

/*
 * credential_token - a token for a request that is about to be sent.
 * stream   waits when there is none: TURN is posted to it, then ask again
 * returns 1 and *token (of the stream's reply arena); 0 wait; -ERR_CREDENTIAL: the last flight failed and the next may not
 *         start yet; -ERR_MEMORY
 */
int credential_token(struct credential *credential, struct stream *stream, struct slice *token) must_check;
/* credential_now - the same for whoever asks again later: 0 means that a flight is on its way. token is of the arena. */
int credential_now(struct credential *credential, struct worker *worker, struct arena *arena, struct slice *token) must_check;
/* credential_leave - the stream does not wait any more. Harmless if it did not. */
void credential_leave(struct stream *stream);
/* credential_rejected - the upstream has refused this token (401): it is forgotten, unless it was replaced meanwhile. */
void credential_rejected(struct credential *credential, struct worker *worker, struct slice token);
/* credential_tick - once a second on each worker: begin what is due for the credentials of its generation. */
void credential_tick(struct worker *worker);
/* credential_problem - why the last flight failed; "" when it did not. Copied into out. */
void credential_problem(struct credential *credential, struct sink *out);

/* For the metrics; any thread. */
struct credential_figures {
    uint64_t refreshes, failures;
    int64_t left_s; /* to the end of the token; negative: there is none */
    struct slice name; /* "service_account robot@p.iam", "authorized_user", "metadata": no secret */
};
void credential_figures(struct credential *credential, uint64_t now_ms, struct credential_figures *out);

#endif
