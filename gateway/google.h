/* SPDX-License-Identifier: MIT
 *
 * google.h - Google's credentials: what a credentials file says, and the requests and replies that turn it into an access
 * token. Functions over bytes; credential.c does the talking.
 *
 * Sources: Google's public documentation of Application Default Credentials, of OAuth 2.0 for server to server applications
 * (RFC 7523: the JWT bearer grant), of refresh tokens (RFC 6749, 6) and of the metadata server.
 */
#ifndef PENSTOCK_GOOGLE_H
#define PENSTOCK_GOOGLE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sink.h"

#define GOOGLE_TOKEN_URL "https://oauth2.googleapis.com/token"
#define GOOGLE_SCOPE "https://www.googleapis.com/auth/cloud-platform"
#define GOOGLE_ASSERTION_S 3600 /* the longest that Google takes */

enum google_kind { GOOGLE_METADATA, GOOGLE_SERVICE_ACCOUNT, GOOGLE_AUTHORIZED_USER };

struct google_credentials {
    enum google_kind kind;
    struct slice token_url;                            /* where tokens come from */
    struct slice client_email, private_key, key_id;    /* service account; private_key is PEM */
    struct slice client_id, client_secret, refresh_token; /* authorized user */
};

/*
 * google_read_credentials - text is the JSON of a credentials file; absent: the metadata server at metadata_host.
 * 0; -ERR_CONFIG with a reason in problem that shows no secret; -ERR_MEMORY
 */
int google_read_credentials(struct slice text, struct slice metadata_host, struct arena *arena, struct google_credentials *out,
                            struct sink *problem) must_check;
/* google_may_ask - may credentials be sent to this token URL: Google's own hosts over TLS, or loopback? */
bool google_may_ask(struct slice url);

/* What to ask the token endpoint. */
struct google_request {
    const char *method;
    struct slice url, fields, body; /* fields: header lines with CRLF; body absent: none */
};
/* google_token_request - in the arena; now_unix_s dates the assertion of a service account. 0, -ERR_CONFIG with problem, -ERR_MEMORY. */
int google_token_request(const struct google_credentials *credentials, int64_t now_unix_s, struct arena *arena, struct google_request *out,
                         struct sink *problem) must_check;
/* google_read_token - the reply: token (a slice of the arena) and how long it holds. -ERR_UPSTREAM_STATUS or -ERR_UPSTREAM_PROTOCOL with a
 * reason in problem: Google's words, which hold no secret. */
int google_read_token(int status, struct slice body, struct arena *arena, struct slice *token, uint64_t *lifetime_s,
                      struct sink *problem) must_check;

#endif
