/* SPDX-License-Identifier: MIT
 *
 * enclose.h - images and documents that a request names by URL, fetched for upstreams that take none: what the URL leads to
 * becomes part of the request. Off unless penstock.media.fetch says so, and within its limits.
 */
#ifndef PENSTOCK_ENCLOSE_H
#define PENSTOCK_ENCLOSE_H

#include "gateway/stream.h"

#define ENCLOSE_MAX 8 /* addresses in one request, fetched side by side */

struct enclosure;

/*
 * enclose - see that this deployment can be sent the canonical request.
 * returns 0: nothing is to be fetched (any more); 1: TURN is posted when something has come, then ask again;
 *         -ERR_REQUEST with fault, which names hosts only; -ERR_MEMORY
 */
int enclose(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault) must_check;
/* enclose_leave - nobody waits any more. Harmless if nobody did. */
void enclose_leave(struct stream *stream);
/* enclose_type - the media type that these first bytes are of; NULL: none that is taken. */
const char *enclose_type(struct slice bytes);

#endif
