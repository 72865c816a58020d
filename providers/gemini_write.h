/* SPDX-License-Identifier: MIT
 *
 * gemini_write.h - what the files that write a generateContent request share. Private to
 * providers/gemini*.c.
 */
#ifndef PENSTOCK_GEMINI_WRITE_H
#define PENSTOCK_GEMINI_WRITE_H

#include "providers/gemini_request.h"
#include "providers/gemini_turns.h"

struct gemini_writing {
    const struct canon_request *request;
    const struct dialect_upstream *upstream;
    struct arena *arena;
    struct sink *out;
    struct json_writer json;              /* over out */
    struct json defaults, default_config; /* configured, for what the request leaves out;
                                             default_config: Gemini's own words */
    struct slice max_tokens;              /* raw: the client's, else the configured one; absent */
    struct canon_report *report;
    struct canon_fault *fault;
    bool counted;           /* for Vertex's countTokens: only what that takes */
    struct slice signature; /* escaped: of the media part that is written next; absent */
    bool functions;         /* function declarations are sent */
    bool config_open;       /* generationConfig has begun */
    const char
        *settled[32]; /* members of generationConfig that are written, or deliberately left out */
    int settled_count;
};

/* gemini_unsupported - the fault, and -ERR_UNSUPPORTED. param is a literal. */
int gemini_unsupported(struct gemini_writing *at, const char *param, const char *why);
/* gemini_config - begin a member of generationConfig: its value is to be written next. name is a
 * literal. */
void gemini_config(struct gemini_writing *at, const char *name);
/* gemini_tool_name - a tool's name as Gemini takes it: what canon_legal_name makes of it, and not a
 * digit in front. Absent without memory. */
struct slice gemini_tool_name(struct slice name, struct arena *arena);

/* gemini_config_name - what a configured default in another API's word is in generationConfig;
 * NULL: it has no equivalent. */
const char *gemini_config_name(struct json member);
/* Top-level fields that only the configuration may set. */
extern const char *const gemini_own_fields[];
extern const size_t gemini_own_field_count;

/* gemini_put_text_part - a text part. text is escaped; signature may be absent. */
void gemini_put_text_part(struct gemini_writing *at, struct slice text, struct slice signature);
/* gemini_put_contents - the contents. 0, -ERR_MEMORY, -ERR_REQUEST, -ERR_UNSUPPORTED with fault. */
int gemini_put_contents(struct gemini_writing *at, const struct canon_message *messages);
/* gemini_put_tools - tools and toolConfig. The same errors. */
int gemini_put_tools(struct gemini_writing *at);
/* gemini_put_thinking - thinkingConfig. */
void gemini_put_thinking(struct gemini_writing *at);
/* gemini_put_rest - safety settings, tier, cached content, labels. 0 or -ERR_MEMORY. */
int gemini_put_rest(struct gemini_writing *at);
/* gemini_report_fields - note what has no place in any request to Gemini. */
void gemini_report_fields(struct gemini_writing *at);

/* gemini_write_counted - the body of countTokens for a request of another dialect. Errors as
 * gemini_write_request. */
int gemini_write_counted(const struct canon_request *request,
                         const struct dialect_upstream *upstream, struct sink *out,
                         struct canon_report *report, struct canon_fault *fault);
/* gemini_put_model - the model's name as a resource: "models/X", unless it is one already. */
void gemini_put_model(struct sink *out, struct slice model);

#endif
