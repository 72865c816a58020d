/* SPDX-License-Identifier: MIT
 *
 * endpoint.h - from a request's method, path and query to what it asks for, and the CORS fields of its answer.
 */
#ifndef PENSTOCK_ENDPOINT_H
#define PENSTOCK_ENDPOINT_H

#include "gateway/stream.h"

/*
 * endpoint_find - endpoint, dialect, CORS origin and what the path itself says (model, streaming, framing) of a parsed head.
 * returns 0; -ERR_NO_PATH, -ERR_METHOD, -ERR_MEMORY (the dialect to answer in is set all the same)
 */
int endpoint_find(struct stream *stream) must_check;
/* endpoint_guess - dialect and CORS origin of a request whose head can not be read: what its bytes look like. */
void endpoint_guess(struct stream *stream);
/* endpoint_is_operators - does it tell about the gateway and what it does, not about models? */
bool endpoint_is_operators(enum endpoint endpoint);
/* endpoint_cors - the CORS fields of this reply, if any. */
void endpoint_cors(const struct stream *stream, struct sink *out);
/* endpoint_is_work - is it something that an upstream does, and that a gateway which is about to end does not begin? */
bool endpoint_is_work(enum endpoint endpoint);
/* endpoint_query - the first parameter of that name in a query, decoded; absent without it or when it is malformed. */
struct slice endpoint_query(struct slice query, const char *name, struct arena *arena);
/*
 * endpoint_clean_query - a query without the named parameters, and without any that is called like a credential, for an upstream:
 * "" or "?...". names ends with NULL.
 */
void endpoint_clean_query(struct slice query, const char *const *names, struct sink *out);

#endif
