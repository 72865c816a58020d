/* SPDX-License-Identifier: MIT
 *
 * remember.h - between a stream and the memory of reasoning state (recall.h): what is learnt from its reply, and what its
 * request gets back.
 */
#ifndef PENSTOCK_REMEMBER_H
#define PENSTOCK_REMEMBER_H

#include "gateway/stream.h"

/* remember_reply - learn from guarded events of a reply that may lose its state on the way to the client. Failing to is no
 * failure of the reply. */
void remember_reply(struct stream *stream, const struct canon_events *events);
/* remember_request - give the canonical request (read already) what its client has lost and this deployment can use. How many
 * turns were mended, or -ERR_MEMORY. */
int remember_request(struct stream *stream, const struct deployment *deployment) must_check;

#endif
