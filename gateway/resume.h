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

/* resume_wanted - does the request say after which event it wants the rest, and is that to be had here at all? */
bool resume_wanted(const struct stream *stream, enum endpoint endpoint);
/* resume_asked - is this request one for the rest of a stream? Then it is answered by resume_answer. */
bool resume_asked(const struct stream *stream);
/* resume_answer - the head; what is there follows with resume_pull. 0, or -ERR_NO_STREAM, -ERR_MEMORY: nothing was sent. */
int resume_answer(struct stream *stream) must_check;

/* resume_record - begin to keep the events of a stream that is being committed, if it can be resumed at all. */
void resume_record(struct stream *stream);
/* resume_keep - one framed event. */
void resume_keep(struct stream *stream, uint64_t serial, struct slice bytes);
/* resume_must_wait - the stream has no client of its own any more, and whoever follows has not had enough yet. */
bool resume_must_wait(struct stream *stream);

/* resume_follows - is the stream a follower that may still get more? */
bool resume_follows(const struct stream *stream);
/* resume_pull - what has come since goes into `collected`, which was sent. FAILED: the tape was cut, or somebody else follows. */
enum stream_event resume_pull(struct stream *stream) must_check;
/* resume_forget - the exchange ends: the tape is over, or loses its reader. */
void resume_forget(struct stream *stream);

#endif
