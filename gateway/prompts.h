/* SPDX-License-Identifier: MIT
 *
 * prompts.h - several prompts in one request (/v1/completions): one exchange with an upstream after another, told to the
 * client as the numbered choices of one reply.
 */
#ifndef PENSTOCK_PROMPTS_H
#define PENSTOCK_PROMPTS_H

#include "gateway/stream.h"

#define PROMPTS_MAX 128 /* of one request: each is a whole exchange of its own */

/* prompts_select - make the canonical request ask the prompt whose turn it is. 0, -ERR_REQUEST with
 * fault, -ERR_MEMORY. */
int prompts_select(struct stream *stream, struct canon_fault *fault) must_check;
/* prompts_more - does another prompt follow the one whose reply is being read? */
bool prompts_more(const struct stream *stream);
/* prompts_next - this one's reply is complete: NEXT to dial for the next, or FAILED. */
enum stream_event prompts_next(struct stream *stream);
/* prompts_restart - a try has failed before anything was sent: begin with the first prompt again. */
void prompts_restart(struct stream *stream);
/* prompts_join - number blocks and choices on from those of the prompts before, let one START and one END stand, and add
 * up the usage. 0 or -ERR_MEMORY. */
int prompts_join(struct stream *stream, struct canon_events *events) must_check;

#endif
