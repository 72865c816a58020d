/* SPDX-License-Identifier: MIT
 *
 * http.h - strict, resumable HTTP/1.1 codecs: functions over bytes, no sockets, no clock.
 *
 * Heads are gathered whole into a sink and parsed once; bodies are advanced run by run. Whatever is
 * ambiguous is refused, since two readers that disagree are a smuggling hole (RFC 9110, RFC 9112).
 * Errors stick: after a negative answer every further call gives the same one.
 */
#ifndef PENSTOCK_HTTP_H
#define PENSTOCK_HTTP_H

#include "base/err.h"
#include "base/sink.h"
#include "base/slice.h"

#define HTTP_FIELDS_MAX 128 /* storage; the configured limit is at most this */

struct http_limits {
    uint32_t line_max;   /* start line, bytes without CRLF */
    uint32_t head_max;   /* whole head, bytes */
    uint32_t fields_max; /* header fields, trailer fields, options of Connection: each apart */
};

struct http_field {
    struct slice name;  /* as sent */
    struct slice value; /* without surrounding white space */
};

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_OTHER,
};

enum http_framing {
    HTTP_NO_BODY,     /* request without CL and TE; reply to HEAD, 1xx, 204, 304 */
    HTTP_LENGTH,      /* Content-Length */
    HTTP_CHUNKED,     /* Transfer-Encoding: chunked */
    HTTP_UNTIL_CLOSE, /* replies only */
};

struct http_head {
    /* requests */
    enum http_method method;
    struct slice method_text, target; /* as sent */
    struct slice path;  /* raw path of the target, before '?'; absolute-form is reduced */
    struct slice query; /* after '?', absent without one */
    struct slice host;
    bool expect_continue; /* HTTP/1.1 with content to wait for; else it is ignored */
    /* replies */
    int status;
    struct slice reason;
    /* both */
    int minor; /* HTTP/1.minor: 0 or 1 */
    enum http_framing framing;
    uint64_t length; /* with HTTP_LENGTH */
    bool keep_alive; /* may the connection carry another message after this one? */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
};

/* Gathers one head. The sink belongs to the reader and holds the head's bytes; slices of a parsed
 * http_head point into it and hold until http_reader_reset. */
struct http_reader {
    struct http_limits limits;
    struct sink head;
    uint8_t state;
    size_t line_start; /* offset of the current line in head */
    size_t lines;
    bool first_line_skipped; /* one empty line before a request line is tolerated (RFC 9112 2.2) */
    int error;
};

/* http_reader_init - limits are copied. http_reader_fini frees the sink. */
void http_reader_init(struct http_reader *reader, const struct http_limits *limits);
void http_reader_fini(struct http_reader *reader);
void http_reader_reset(struct http_reader *reader);

/*
 * http_head_feed - take bytes until a head is complete.
 * bytes   [in,out] unread input; advanced past what was used, at most to the end of the head
 * returns 1 head complete; 0 all bytes used, more needed; -ERR_SYNTAX (bare LF, bare CR, NUL, ...),
 *         -ERR_LINE_LIMIT, -ERR_HEAD_LIMIT, -ERR_MEMORY. It cannot know who speaks: whoever reads
 *         replies takes all but the last for -ERR_UPSTREAM_PROTOCOL.
 */
int http_head_feed(struct http_reader *reader, struct slice *bytes) must_check;

/*
 * http_parse_request, http_parse_reply - make sense of a complete head. docs/http.md has the rules.
 * reader  holds a complete head (http_head_feed gave 1); an error of http_head_feed is given again
 * to_head the reply answers a HEAD request: it has no body whatever it says
 * out     means something only when 0 is returned; fields from field_count on are never written
 * returns 0; -ERR_SYNTAX (anything malformed or ambiguous: CL with TE, repeated or signed CL,
 *         obs-fold, space before colon, missing or double Host with HTTP/1.1, bad target, ...),
 *         -ERR_HEAD_LIMIT (too many fields), -ERR_VERSION, -ERR_CODING (a transfer coding that is
 *         not exactly "chunked"), -ERR_EXPECT.
 *         For replies every malformation is -ERR_UPSTREAM_PROTOCOL.
 */
int http_parse_request(struct http_reader *reader, struct http_head *out) must_check;
int http_parse_reply(struct http_reader *reader, bool to_head, struct http_head *out) must_check;

/* http_field - value of the first field of that name (any case); absent if there is none. */
struct slice http_field_named(const struct http_head *head, struct slice name);
static inline struct slice
http_field(const struct http_head *head, const char *name)
{
    return http_field_named(head, slice_from(name));
}
/* http_field_has - does a comma-separated list field (all occurrences) contain this token (any
 * case)? */
bool http_field_has(const struct http_head *head, const char *name, const char *token);
/* http_parse_date - an IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT", RFC 9110 5.6.7) as seconds since the epoch; false for
 * anything else, the obsolete forms included. */
bool http_parse_date(struct slice text, int64_t *unix_s) must_check;
/* http_is_hop_by_hop - Connection, Keep-Alive, TE, Trailer, Transfer-Encoding, Upgrade, Proxy-*,
 * and what Connection lists. */
bool http_is_hop_by_hop(const struct http_head *head, struct slice name);
/* http_value_clean - may these bytes stand in a field value? (no CR, LF, NUL, other controls but
 * tab) */
bool http_value_clean(struct slice value);

enum http_role { HTTP_FROM_CLIENT, HTTP_FROM_UPSTREAM };

struct http_body {
    enum http_framing framing;
    enum http_role role;
    uint64_t left;      /* of the length or the current chunk */
    uint64_t max, seen; /* ceiling and count of body bytes */
    uint64_t size;      /* chunk size under construction */
    uint8_t state, digits;
    bool done;
    int error;
    struct http_limits limits;
    uint32_t line_len, trailer_count, trailer_bytes; /* at most one more than its limit */
    uint32_t extension_bytes; /* of chunk extensions, less the data that came since; as well */
};

/* http_body_init - body of a parsed head. max: ceiling of body bytes; over it -ERR_BODY_LIMIT (from
 * a client) or -ERR_UPSTREAM_TOO_LARGE. UINT64_MAX: none. A Content-Length over max fails at the
 * first call. */
void http_body_init(struct http_body *body, const struct http_head *head, enum http_role role,
                    uint64_t max, const struct http_limits *limits);
/*
 * http_body_next - remove framing. Chunk extensions and trailers are checked, bounded and dropped.
 * bytes   [in,out] unread input; advanced past what was used, never past the end of the message
 * data    [out] when 1 is returned: payload, a slice of the input
 * returns 1 data; 0 input used up or body done (see http_body_done); -ERR_SYNTAX or
 *         -ERR_UPSTREAM_PROTOCOL for bad chunk framing, -ERR_BODY_LIMIT or -ERR_UPSTREAM_TOO_LARGE
 */
int http_body_next(struct http_body *body, struct slice *bytes, struct slice *data) must_check;
static inline bool
http_body_done(const struct http_body *body)
{
    return body->done;
}
/* http_body_end - the peer ended the connection: 0 if that completes the body (or it was complete),
 * -ERR_DISCONNECTED if it cuts it short. */
int http_body_end(struct http_body *body) must_check;

/* Writing. Heads go into a sink, chunk framing around payload too. */
/* http_put_request_line - method is a token of ours. Bytes that may not stand in a target are
 * percent-escaped; an empty one is "/". */
void http_put_request_line(struct sink *out, const char *method, struct slice target);
/* http_put_status - "HTTP/1.1 200 OK"; reason from a table. status 100 to 999. */
void http_put_status(struct sink *out, int status);
/* http_reason - "OK"; "Unknown" for a status we have no words for. */
const char *http_reason(int status);
/* http_put_field - asserts nothing: bytes that may not stand in a value are replaced by spaces. */
void http_put_field_of(struct sink *out, struct slice name, struct slice value);
static inline void
http_put_field(struct sink *out, const char *name, struct slice value)
{
    http_put_field_of(out, slice_from(name), value);
}
/* http_put_field_named - the same for a name from outside; one that is not a token writes nothing.
 */
void http_put_field_named(struct sink *out, struct slice name, struct slice value);
void http_put_field_u64(struct sink *out, const char *name, uint64_t value);
void http_put_end_of_head(struct sink *out);
/* http_put_date - Date field (RFC 9110 5.6.7); unix_s given, since nothing here reads a clock. */
void http_put_date(struct sink *out, int64_t unix_s);
/* http_put_chunk - one chunk with these bytes (none: nothing is written, an empty chunk would end
 * the body). */
void http_put_chunk(struct sink *out, struct slice data);
void http_put_last_chunk(struct sink *out);

#endif
