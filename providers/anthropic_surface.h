/* SPDX-License-Identifier: MIT
 *
 * anthropic_surface.h - Anthropic's own API and Claude on Vertex: where requests go, how models are
 * spelt, and which fields a host does not take. Private to providers/anthropic*.c.
 */
#ifndef PENSTOCK_ANTHROPIC_SURFACE_H
#define PENSTOCK_ANTHROPIC_SURFACE_H

#include "providers/anthropic.h"

#define ANTHROPIC_MODEL_MAX 256
#define ANTHROPIC_VERTEX_VERSION "vertex-2023-10-16"

/*
 * anthropic_model - the upstream's model as its surface spells it: a dated Claude is
 * claude-x@YYYYMMDD on Vertex and claude-x-YYYYMMDD elsewhere (R84). Anything else is as it was
 * given. room holds a changed one.
 */
struct slice anthropic_model(const struct dialect_upstream *upstream,
                             char room[ANTHROPIC_MODEL_MAX]);

/* anthropic_counts_not - is it a field that the counting of tokens refuses? name is a decoded key.
 */
bool anthropic_counts_not(const char *name);
/* The fields of a tool that hosts behind Anthropic's own may refuse (P50); ended by NULL. */
extern const char *const anthropic_tool_hints[];

void anthropic_put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream);
int anthropic_fields(const struct dialect_upstream *upstream, struct arena *scratch,
                     struct dialect_field out[4]);
bool anthropic_can_count(const struct dialect_upstream *upstream);
void anthropic_put_count_target(struct sink *out, const struct dialect_upstream *upstream);
int anthropic_write_count(const struct canon_request *request,
                          const struct dialect_upstream *upstream, struct sink *out,
                          struct canon_report *report, struct canon_fault *fault);
int anthropic_read_count(struct slice body, struct arena *scratch, uint64_t *tokens);
void anthropic_write_count_reply(uint64_t tokens, struct sink *out);

/* anthropic_pass_body - the client's bytes with what the surface needs changed; counting: for
 * counting tokens. */
int anthropic_pass_body(const struct canon_request *request,
                        const struct dialect_upstream *upstream, bool counting, struct sink *out);
int anthropic_pass_request(const struct canon_request *request,
                           const struct dialect_upstream *upstream, struct sink *out);
/* anthropic_write_body - anthropic_write_request, or the same for counting tokens. */
int anthropic_write_body(const struct canon_request *request,
                         const struct dialect_upstream *upstream, bool counting, struct sink *out,
                         struct canon_report *report, struct canon_fault *fault);

#endif
