/* SPDX-License-Identifier: MIT
 *
 * gemini_read.h - what the files that read a generateContent request share. Private to
 * providers/gemini_*_read.c.
 */
#ifndef PENSTOCK_GEMINI_READ_H
#define PENSTOCK_GEMINI_READ_H

#include "providers/gemini_request.h"

struct gemini_reading {
    struct canon_request *request;
    struct canon_fault *fault;
    uint32_t content, part; /* where we are, for the fault */
    uint32_t calls;         /* so far, for the ids that are made */
};

/* gemini_refuse - the fault, and -error. */
int gemini_refuse(struct gemini_reading *at, int error, const char *param, const char *message);
/* gemini_request_root - the request itself: of a countTokens body what is in its
 * generateContentRequest. */
struct json gemini_request_root(const struct canon_request *request);
/* gemini_widened - an OpenAPI schema as JSON Schema text in the arena. 0, -ERR_MEMORY, -ERR_REQUEST
 * with fault. */
int gemini_widened(struct gemini_reading *at, struct json schema, struct slice *out);

int gemini_read_contents(struct gemini_reading *at, struct json root);
int gemini_read_tools(struct gemini_reading *at, struct json root);

#endif
