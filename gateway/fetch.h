/* SPDX-License-Identifier: MIT
 *
 * fetch.h - requests that penstock makes for itself: access tokens, lists of models, images by URL.
 *
 * One HTTP/1.1 exchange on a worker's loop, on a connection of its own: nothing blocks, the reply is collected up to a
 * limit, one deadline bounds it all, and the one who asked is told exactly once, unless he cancels.
 */
#ifndef PENSTOCK_FETCH_H
#define PENSTOCK_FETCH_H

#include "base/slice.h"
#include "http/http.h"
#include "reactor/conn.h"
#include "reactor/trust.h"

struct worker;
struct fetch;

/* A URL taken apart; slices point into the text. */
struct fetch_url {
    bool tls;
    struct slice host; /* without brackets */
    uint16_t port;
    struct slice authority; /* what Host says */
    struct slice target;    /* path and query; "/" if there is none */
};
/* fetch_read_url - http:// or https:// without user info or fragment, at most 8 KiB. false: not such a URL. */
bool fetch_read_url(struct slice text, struct fetch_url *out) must_check;
/* fetch_is_public - is this numeric address ("1.2.3.4:80", "[::1]:80") one of the open internet: not loopback, private, link-local,
 * multicast, reserved, nor one of these in disguise (mapped, NAT64, 6to4)? */
bool fetch_is_public(struct slice peer);

struct fetch_request {
    const char *method;     /* "GET", "POST" */
    struct slice url;
    struct slice fields;    /* further header fields, each with its CRLF; "" for none */
    struct slice body;      /* absent: none */
    size_t reply_max;       /* bytes of the reply's body */
    uint64_t timeout_ms;    /* for everything, redirects included */
    const struct conn_target *target; /* to connect to, rather than to the host that url names; must outlive the fetch. NULL: that host */
    const struct trust *trust; /* for https; must outlive the fetch (a generation that is held) */
    bool public_only;       /* only to addresses of the open internet: judged by the addresses a name leads to, before one is connected to */
    bool https_only;
    uint32_t redirects;     /* how many are followed (GET only); fields go along only to the same host */
};

struct fetch_reply {
    int error;      /* 0: a whole reply of any status came; else -ERR_x */
    int status;     /* 0 with an error */
    struct slice body;
    struct slice content_type; /* absent: none was given */
};

typedef void fetch_done(void *user, const struct fetch_reply *reply);

/* fetch_start - begin; done is called from the loop, later. Everything in request but trust is copied.
 * 0 with *out set, -ERR_REQUEST (not a URL that may be fetched), -ERR_MEMORY, -ERR_LIMIT. */
int fetch_start(struct worker *worker, const struct fetch_request *request, fetch_done *done, void *user, struct fetch **out) must_check;
/* fetch_cancel - done will not be called. */
void fetch_cancel(struct fetch *fetch);
/* fetch_cancel_all - the worker ends; each done is called with -ERR_DRAINING. */
void fetch_cancel_all(struct worker *worker);

#endif
