/* SPDX-License-Identifier: MIT
 *
 * models.h - the lists of models, in the shape of whoever asks.
 */
#ifndef PENSTOCK_MODELS_H
#define PENSTOCK_MODELS_H

#include "gateway/stream.h"

/*
 * models_put - the list, a page of it, or one model, into collected: every name a client can ask for, in OpenAI's,
 * Anthropic's or Gemini's shape.
 * returns 0; -ERR_MODEL; -ERR_REQUEST with fault for a page that does not exist; -ERR_MEMORY
 */
int models_put(struct stream *stream, struct canon_fault *fault) must_check;

#endif
