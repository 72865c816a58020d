/* SPDX-License-Identifier: MIT
 *
 * shaping.h - the rules of penstock.helpers (providers/shape.h) applied to the request of an exchange.
 */
#ifndef PENSTOCK_SHAPING_H
#define PENSTOCK_SHAPING_H

#include "gateway/stream.h"

/*
 * shaping_request - the request that this deployment is to get: the client's own, or a shaped copy. It has been read.
 * out  [out] may be the client's; holds as long as it
 * returns 0, -ERR_MEMORY
 */
int shaping_request(struct stream *stream, const struct deployment *deployment, const struct dialect_upstream *upstream,
                    const struct canon_request **out) must_check;
/*
 * shaping_pass - the same for an upstream of the client's own dialect: only the members of the body that rules have changed are
 * written anew, all others keep their bytes.
 * returns 0; the errors of reading and writing, with fault
 */
int shaping_pass(struct stream *stream, const struct deployment *deployment, const struct dialect_upstream *upstream,
                 struct canon_fault *fault, const struct canon_request **out) must_check;
/* shaping_wanted - are there rules for what this deployment is asked? */
bool shaping_wanted(const struct deployment *deployment, const struct dialect_upstream *upstream);
/* shaping_cleans - are inputs of tool calls cleaned up in replies of this upstream model (providers/inputs.h)? */
bool shaping_cleans(const struct deployment *deployment, struct slice model);

/*
 * shaping_refuses - has something been left out of the request that this deployment is to refuse rather than do without (R59)?
 * What only spares work or keeps books is no loss.
 * returns 0, or -ERR_UNSUPPORTED with fault
 */
int shaping_refuses(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault) must_check;

#endif
