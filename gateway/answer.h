/* SPDX-License-Identifier: MIT
 *
 * answer.h - what the gateway answers itself: models, health, metrics, live streams, token estimates.
 */
#ifndef PENSTOCK_ANSWER_H
#define PENSTOCK_ANSWER_H

#include "gateway/stream.h"

/* answer_begin - a local endpoint's request is complete: ANSWER, or NEXT to wait in DIAL for the other workers. */
enum stream_event answer_begin(struct stream *stream);
/* answer_gathered - called in DIAL with a gather pending: ANSWER when all workers have answered, NONE before. */
enum stream_event answer_gathered(struct stream *stream);
/* answer_forget - the stream goes away: a gather still under way must not find it. */
void answer_forget(struct stream *stream);

#endif
