/* SPDX-License-Identifier: MIT
 *
 * resume.h - streams that outlive their client's connection for a while, and clients that come back for the rest (R26).
 *
 * Off unless penstock.sse.resume says how long. A client that comes back repeats its request with Last-Event-ID; it gets what
 * it missed, each event once, and then what comes. Its body is not looked at: nothing is asked for anew.
 */
#ifndef PENSTOCK_RESUME_H
#define PENSTOCK_RESUME_H

#include "gateway/stream.h"

/* resume_record - begin to keep the events of a stream that is being committed, if it can be resumed at all. */
void resume_record(struct stream *stream);
/* resume_keep - one framed event. */
void resume_keep(struct stream *stream, uint64_t serial, struct slice bytes);
/* resume_asked - is this request one for the rest of a stream? Then it is answered by resume_answer. */
bool resume_asked(const struct stream *stream);
/* resume_answer - the head and what is there already. 0, or -ERR_NO_STREAM, -ERR_MEMORY: nothing was sent. */
int resume_answer(struct stream *stream) must_check;
/* resume_follows - is the stream a follower that may still get more? */
bool resume_follows(const struct stream *stream);
/* resume_pull - what has come since goes into `collected`. False: the tape was cut. */
bool resume_pull(struct stream *stream);
/* resume_forget - the exchange ends: the tape is over, or loses its reader. */
void resume_forget(struct stream *stream);

#endif
