/* SPDX-License-Identifier: MIT
 *
 * relay.h - endpoints that are carried and not understood: embeddings, images, audio, reranking, moderation, files. The
 * body goes on byte for byte but for the model's name, the reply as it comes.
 */
#ifndef PENSTOCK_RELAY_H
#define PENSTOCK_RELAY_H

#include "gateway/stream.h"

/* relay_choose - find the model that a complete request names (or the only upstream there is for it) and its group.
 * NEXT, or REJECT with the failure set. */
enum stream_event relay_choose(struct stream *stream);
/* relay_write_body - the body for this deployment into out_body. -ERR_NO_PATH with fault: it has nothing of the kind. */
int relay_write_body(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault) must_check;
/* relay_put_target, relay_method, relay_put_fields - for the head. */
void relay_put_target(const struct stream *stream, const struct dialect_upstream *upstream, struct sink *out);
const char *relay_method(const struct stream *stream);
void relay_put_fields(const struct stream *stream, struct sink *out);
/* relay_carry - bytes of the reply to the client, as stream_carry. */
int relay_carry(struct stream *stream) must_check;

#endif
