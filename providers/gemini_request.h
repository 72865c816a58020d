/* SPDX-License-Identifier: MIT
 *
 * gemini_request.h - the request side of the Gemini dialect, both directions; the table of the
 * dialect is in gemini.c.
 *
 * Requests are protobuf JSON: every member has a camelCase and a snake_case name, enums are words
 * or numbers, 64-bit numbers may be strings. What is written is camelCase.
 */
#ifndef PENSTOCK_GEMINI_REQUEST_H
#define PENSTOCK_GEMINI_REQUEST_H

#include "providers/dialect.h"

#define GEMINI_REQUEST_DEPTH 64
#define GEMINI_REQUEST_TOKENS (1u << 20)
#define GEMINI_REQUEST_BYTES (64u << 20)

/* ---------------------------------------------------------------- the dialect's functions, as in
 * dialect.h */

/* gemini_outline - model and stream come from the path. The body must have contents, or be a
 * countTokens body that has them in its generateContentRequest. */
int gemini_outline(struct canon_request *request, struct canon_fault *fault);
int gemini_read_request(struct canon_request *request, struct canon_fault *fault);
void gemini_put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream);
int gemini_fields(const struct dialect_upstream *upstream, struct arena *scratch,
                  struct dialect_field out[4]);
/* gemini_pass_request - the client's bytes; configured defaults, safety settings and grounding are
 * spliced in, a model named in the body is replaced, and Vertex gets the roles it insists on. */
int gemini_pass_request(const struct canon_request *request,
                        const struct dialect_upstream *upstream, struct sink *out);
/*
 * gemini_write_request - default_params may hold Gemini's own top-level fields (generationConfig is
 * merged member by member) and the OpenAI words for what is in generationConfig (temperature,
 * top_p, top_k, max_tokens, max_completion_tokens, seed, stop, presence_penalty, frequency_penalty,
 * n); whatever else they hold is not sent, since an unknown name is an error.
 */
int gemini_write_request(const struct canon_request *request,
                         const struct dialect_upstream *upstream, struct sink *out,
                         struct canon_report *report, struct canon_fault *fault);
bool gemini_can_count(const struct dialect_upstream *upstream);
void gemini_put_count_target(struct sink *out, const struct dialect_upstream *upstream);
int gemini_write_count(const struct canon_request *request, const struct dialect_upstream *upstream,
                       struct sink *out, struct canon_report *report, struct canon_fault *fault);
int gemini_read_count(struct slice body, struct arena *scratch, uint64_t *tokens);
void gemini_write_count_reply(uint64_t tokens, struct sink *out);

/* ---------------------------------------------------------------- protobuf JSON */

/* gemini_get - a member by its camelCase name, or by its snake_case one. */
struct json gemini_get(struct json object, const char *name);
/* gemini_key_is - has this member that name, in either spelling? */
bool gemini_key_is(struct json member, const char *name);
/* gemini_given - is it there, and not null? */
bool gemini_given(struct json value);
/* gemini_enum - the index of an enum value in words (index = number; NULL: a gap), case ignored;
 * -1: none of them. */
int gemini_enum(struct json value, const char *const words[], size_t count);

#endif
