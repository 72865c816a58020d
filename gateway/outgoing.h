/* SPDX-License-Identifier: MIT
 *
 * outgoing.h - the request that a chosen deployment is sent: its body, and its head.
 */
#ifndef PENSTOCK_OUTGOING_H
#define PENSTOCK_OUTGOING_H

#include "gateway/stream.h"

/*
 * outgoing_body - the upstream's body into out_body: the client's bytes with the model's name replaced for the same
 * dialect and for what is carried unread, written anew for another.
 * returns 0; 1: it waits for something that is fetched, TURN comes; the errors of the dialects, with fault; -ERR_NO_PATH when this upstream has nothing of the kind
 */
int outgoing_body(struct stream *stream, struct deployment *deployment, struct canon_fault *fault) must_check;
/* outgoing_length - of that body. outgoing_runs - the body, as tries->out_runs; returns how many. */
size_t outgoing_length(const struct stream_tries *tries);
size_t outgoing_runs(struct stream_tries *tries);
/* outgoing_head - request line and fields for that body. */
void outgoing_head(struct stream *stream, struct sink *out);
/* outgoing_wants_stream - was the upstream asked for a stream? */
bool outgoing_wants_stream(const struct stream *stream);

#endif
