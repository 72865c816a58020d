/* SPDX-License-Identifier: MIT
 *
 * route.h - from a model name to an ordered walk over deployments: aliases, wildcards, weights, cooldowns, limits, fallbacks.
 *
 * A generation is one configuration with what was derived from it. Its deployments' running state (cooldown, rates) is the
 * only thing that workers share; it is a handful of relaxed atomics.
 */
#ifndef PENSTOCK_ROUTE_H
#define PENSTOCK_ROUTE_H

#include "gateway/config.h"
#include "providers/dialect.h"
#include "reactor/conn.h"
#include "reactor/trust.h"

struct deployment {
    const struct config_deployment *config;
    struct config_timeouts timeouts; /* resolved: nothing is 0 */
    struct conn_target target;
    struct dialect_upstream upstream; /* model is per request */
    const struct dialect *dialect;
    struct trust *trust;
    struct credential *credential; /* of the generation: access tokens come from it; NULL: api_key is what it is */
    int label;               /* of the metrics; stable over reloads */
    uint32_t host;           /* index of its upstream host in the generation */
    struct windows *_Atomic windows; /* what its models take, as the server says (window.h); NULL: not known */
    uint64_t windows_due_ms;         /* of the first worker alone */
    _Atomic uint64_t cool_until_ms;
    _Atomic uint64_t penalty;        /* how often the next rest is doubled, before time takes some of it back */
    _Atomic uint64_t found, found_unix_s, found_until_ms; /* what was discovered of it (discover.h), and how long that holds */
    _Atomic uint64_t minute, minute_requests, minute_tokens, minute_failures; /* minute: number since the start */
};

struct generation {
    _Atomic uint32_t references;
    uint32_t number;
    struct config *config;
    struct deployment *deployments;
    uint32_t count;
    struct credential **credentials; /* the distinct ones */
    uint32_t credential_count;
    struct slice *hosts;     /* cache keys of the distinct upstream hosts */
    uint32_t host_count;
    struct trust *trust;     /* default; NULL until a TLS deployment needs it */
    struct server_key *server_key;
};

/* generation_new - resolve a configuration; takes over the reference. problem gets a text on failure. 0, -ERR_CONFIG, -ERR_MEMORY */
int generation_new(struct config *config, uint16_t demo_port, struct generation **out, struct sink *problem) must_check;
/* generation_inherit - a deployment that is in both keeps its cooldown and the counts of its minute. */
void generation_inherit(struct generation *generation, const struct generation *old);
struct generation *generation_hold(struct generation *generation);
void generation_drop(struct generation *generation);

#define ROUTE_TRIED_MAX 64
struct route {
    const struct generation *generation;
    struct slice asked;          /* the client's model name */
    struct slice group;          /* the model group being walked */
    struct slice star;           /* what the wildcard stood for */
    const struct config_pair *fallback; /* list being walked; NULL: the first group */
    uint32_t fallback_at;
    uint32_t tries;              /* in this group */
    uint16_t tried[ROUTE_TRIED_MAX];
    uint8_t times[ROUTE_TRIED_MAX]; /* how often each of them was tried */
    uint32_t tried_count;
    struct slice groups[16];     /* visited: fallbacks never go in circles */
    uint32_t group_count;
    const struct deployment *only; /* of all groups nothing but this is asked; NULL: whatever they hold */
};

/* route_begin - find the model group. -ERR_MODEL when nothing serves the name. near: nearest known name, for the text. */
int route_begin(struct route *route, const struct generation *generation, struct slice model, struct slice *near) must_check;
/* route_first - the first deployment of the group that serves a name; NULL: none does. */
const struct deployment *route_first(const struct generation *generation, struct slice model);
/*
 * route_next - the next deployment to try.
 * failed   what ended the last try (NULL for the first); KIND_CONTEXT walks context_window_fallbacks
 * random   64 random bits for the weighted choice
 * returns the deployment, or NULL with *error: -ERR_COOLDOWN, -ERR_RATE, or 0 when everything was tried
 */
struct deployment *route_next(struct route *route, const struct canon_error *failed, uint64_t now_ms, uint64_t random, int *error);
/* route_again - may the same walk go on after this failure? (status list, kinds, retryable rows) */
bool route_retryable(const struct generation *generation, const struct canon_error *failed);
/* route_model - what to ask the upstream for, wildcard filled in; in the arena. */
struct slice route_model(const struct route *route, const struct deployment *deployment, struct arena *arena);
/* route_report_failure - count a failed try; true: the deployment goes into a cooldown. */
bool route_report_failure(const struct generation *generation, struct deployment *deployment, const struct canon_error *error, uint64_t now_ms);
/* route_report_success - count a finished reply's tokens against the deployment's rate. */
void route_report_success(struct deployment *deployment, uint64_t now_ms, uint64_t tokens);
/* route_penalty - how often the rest of a deployment that failed now would be doubled. */
uint64_t route_penalty(const struct generation *generation, const struct deployment *deployment, uint64_t now_ms);
/* route_usable - is any deployment able to take requests now? (readiness) */
bool route_usable(const struct generation *generation, uint64_t now_ms);
/* route_backoff_ms - exponential with jitter, at least retry_after. */
uint64_t route_backoff_ms(const struct config *config, uint32_t attempt, const struct canon_error *error, uint64_t random);

#endif
