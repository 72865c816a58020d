/* SPDX-License-Identifier: MIT
 *
 * answer.h - what the gateway answers itself: models, health, metrics, live streams, CORS, token estimates.
 */
#ifndef PENSTOCK_ANSWER_H
#define PENSTOCK_ANSWER_H

#include "gateway/stream.h"

/*
 * answer_find - endpoint, dialect and CORS origin of a parsed request head.
 * returns 0; -ERR_NO_PATH, -ERR_METHOD (the dialect to answer in is set all the same)
 */
int answer_find(struct stream *stream) must_check;
/* answer_guess - dialect and CORS origin of a request whose head can not be read: what its bytes look like. */
void answer_guess(struct stream *stream);
/* answer_begin - a local endpoint's request is complete: ANSWER, or NEXT to wait in DIAL for the other workers. */
enum stream_event answer_begin(struct stream *stream);
/* answer_gathered - called in DIAL with a gather pending: ANSWER when all workers have answered, NONE before. */
enum stream_event answer_gathered(struct stream *stream);
/* answer_forget - the stream goes away: a gather still under way must not find it. */
void answer_forget(struct stream *stream);
/* answer_cors - the CORS fields of this reply, if any. */
void answer_cors(const struct stream *stream, struct sink *out);

#endif
