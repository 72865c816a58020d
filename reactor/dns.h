/* SPDX-License-Identifier: MIT
 *
 * dns.h - c-ares behind lookup and cancel, with a per-worker cache. Its sockets are watches, its next timeout is one
 * deadline, its answer is a task. Callbacks only record; a cancelled lookup's record belongs to this module.
 */
#ifndef PENSTOCK_DNS_H
#define PENSTOCK_DNS_H

#include "base/err.h"
#include "base/slice.h"
#include "reactor/loop.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define DNS_ADDRESSES_MAX 16

struct dns_address {
    struct sockaddr_storage address; /* port filled in */
    socklen_t len;
};

struct dns_answer {
    int error; /* 0, -ERR_DNS */
    int count;
    struct dns_address addresses[DNS_ADDRESSES_MAX]; /* IPv6 and IPv4 interleaved, as RFC 8305 section 4 likes it */
};

struct lookup; /* owned by the dns module */

/*
 * dns_lookup - resolve a name or an address literal ("127.0.0.1", "::1", "[::1]"). Literals, "localhost" and fresh
 * cache entries are answered at once.
 * done    called from the run phase with the answer, which holds during the call only; never from inside dns_lookup
 * returns 1 answered at once: *answer is set and done will not be called; 0 pending: *out is set for dns_cancel;
 *         -ERR_DNS, -ERR_MEMORY
 */
int dns_lookup(struct loop *loop, struct slice host, uint16_t port, struct dns_answer *answer,
               void (*done)(void *owner, const struct dns_answer *answer), void *owner,
               struct lookup **out) must_check;
/* dns_cancel - done will not be called. */
void dns_cancel(struct loop *loop, struct lookup *lookup);
/* dns_forget - an address failed: do not serve this name from the cache again before a fresh lookup. */
void dns_forget(struct loop *loop, struct slice host);
/* How to resolve; for tests. Absent or 0: as the system says. */
struct dns_options {
    const char *servers;     /* "127.0.0.1:5353,..." */
    const char *resolv_conf; /* a path */
    int timeout_ms, tries;
};
/* dns_configure - before the loop's first lookup of a name. 0, -ERR_MEMORY. The texts must outlive the loop. */
int dns_configure(struct loop *loop, const struct dns_options *options) must_check;
/* dns_fini - called by loop_fini. */
void dns_fini(struct loop *loop);

#endif
