/* SPDX-License-Identifier: MIT
 *
 * err.h - the one error enum, as a table.
 *
 * Functions return 0 or -ERR_x. Each row says who is to blame, which HTTP status answers the
 * caller, whether another candidate may be tried before the commit point, which canonical kind a
 * dialect writes (invalid, auth, ...), the stable machine code and the default text.
 */
#ifndef PENSTOCK_ERR_H
#define PENSTOCK_ERR_H

#include "base/base.h"

enum err_blame { BLAME_NOBODY, BLAME_CLIENT, BLAME_UPSTREAM, BLAME_US };

/* Canonical error kinds; each dialect maps them to its own type words and statuses. */
enum err_kind {
    KIND_INVALID,
    KIND_CONTEXT, /* prompt longer than the model's context window */
    KIND_AUTH,
    KIND_BILLING,
    KIND_PERMISSION,
    KIND_NOT_FOUND,
    KIND_TOO_LARGE,
    KIND_RATE_LIMIT,
    KIND_OVERLOADED,
    KIND_TIMEOUT,
    KIND_UPSTREAM,
    KIND_INTERNAL,
    KIND_CANCELLED,
    KIND_COUNT
};

/* X(name, blame, status, retryable, kind, code, text) */
#define ERR_TABLE(X)                                                                               \
    X(NONE, NOBODY, 200, 0, INTERNAL, "ok", "no error")                                            \
    /* the caller's HTTP */                                                                        \
    X(SYNTAX, CLIENT, 400, 0, INVALID, "bad_http", "malformed HTTP message")                       \
    X(LINE_LIMIT, CLIENT, 414, 0, INVALID, "uri_too_long", "request line too long")                \
    X(HEAD_LIMIT, CLIENT, 431, 0, INVALID, "head_too_large", "header section too large")           \
    X(BODY_LIMIT, CLIENT, 413, 0, TOO_LARGE, "request_too_large", "request body too large")        \
    X(VERSION, CLIENT, 505, 0, INVALID, "http_version", "HTTP version not supported")              \
    X(CODING, CLIENT, 501, 0, INVALID, "transfer_coding", "transfer coding not supported")         \
    X(EXPECT, CLIENT, 417, 0, INVALID, "expectation_failed", "expectation not supported")          \
    X(METHOD, CLIENT, 405, 0, INVALID, "method_not_allowed", "method not allowed")                 \
    X(NO_PATH, CLIENT, 404, 0, NOT_FOUND, "unknown_url", "unknown request URL")                    \
    X(CLIENT_SLOW, CLIENT, 408, 0, TIMEOUT, "client_timeout", "request not received in time")      \
    /* the caller's request */                                                                     \
    X(JSON, CLIENT, 400, 0, INVALID, "invalid_json", "request body is not valid JSON")             \
    X(DEPTH, CLIENT, 400, 0, INVALID, "json_too_deep", "JSON nested too deeply")                   \
    X(REQUEST, CLIENT, 400, 0, INVALID, "invalid_request", "invalid request")                      \
    X(UNSUPPORTED, CLIENT, 400, 0, INVALID, "unsupported_parameter",                               \
      "the request uses something the chosen upstream cannot express")                             \
    X(AUTH, CLIENT, 401, 0, AUTH, "invalid_api_key", "invalid or missing API key")                 \
    X(OPERATOR, CLIENT, 403, 0, PERMISSION, "master_key_required", "this takes the master key")    \
    X(MODEL, CLIENT, 404, 0, NOT_FOUND, "model_not_found", "unknown model")                        \
    X(NO_STREAM, CLIENT, 404, 0, NOT_FOUND, "stream_not_found",                                      \
      "no such stream, or what follows this event is not kept any more")                           \
    X(BACKPRESSURE, CLIENT, 504, 0, TIMEOUT, "backpressure_timeout",                               \
      "client stopped reading the stream")                                                         \
    /* ourselves */                                                                                \
    X(MEMORY, US, 503, 0, OVERLOADED, "out_of_memory", "out of memory")                            \
    X(LIMIT, US, 503, 0, OVERLOADED, "over_limit", "a resource limit was reached")                 \
    X(QUEUE, US, 429, 1, RATE_LIMIT, "queue_full", "too many requests for this upstream")          \
    X(RATE, US, 429, 1, RATE_LIMIT, "rate_limited", "request or token rate limit reached")         \
    X(COOLDOWN, US, 503, 1, OVERLOADED, "no_upstream_available",                                   \
      "every upstream for this model is cooling down")                                             \
    X(DRAINING, US, 503, 0, OVERLOADED, "shutting_down", "the gateway is shutting down")           \
    X(REQUEST_TIMEOUT, US, 504, 0, TIMEOUT, "request_timeout", "request timeout reached")          \
    X(INTERNAL, US, 500, 0, INTERNAL, "internal_error", "internal error")                          \
    X(SYSTEM, US, 500, 0, INTERNAL, "system_error", "a system call failed")                        \
    X(NO_DESCRIPTOR, US, 503, 0, OVERLOADED, "no_descriptor", "out of file descriptors")           \
    X(CONFIG, US, 500, 0, INTERNAL, "config", "configuration error")                               \
    /* the way to the upstream */                                                                  \
    X(DNS, UPSTREAM, 503, 1, OVERLOADED, "upstream_dns", "upstream name could not be resolved")    \
    X(CONNECT, UPSTREAM, 503, 1, OVERLOADED, "upstream_connect", "upstream refused the connection")\
    X(CONNECT_TIMEOUT, UPSTREAM, 504, 1, TIMEOUT, "upstream_connect_timeout",                      \
      "connecting to the upstream took too long")                                                  \
    X(TLS, UPSTREAM, 502, 1, UPSTREAM, "upstream_tls", "TLS failure with the upstream")            \
    X(TLS_CERT, UPSTREAM, 502, 1, UPSTREAM, "upstream_tls_certificate",                            \
      "the upstream's certificate was refused")                                                    \
    X(CREDENTIAL, UPSTREAM, 502, 1, UPSTREAM, "upstream_credential",                                 \
      "no access token could be had for the upstream")                                             \
    X(TLS_TRUNCATED, UPSTREAM, 502, 1, UPSTREAM, "upstream_disconnected",                          \
      "upstream closed the TLS connection without saying so")                                      \
    X(RESET, UPSTREAM, 502, 1, UPSTREAM, "upstream_disconnected", "connection reset by peer")      \
    X(DISCONNECTED, UPSTREAM, 502, 1, UPSTREAM, "upstream_disconnected",                           \
      "upstream closed the connection before the reply was complete")                              \
    X(FIRST_BYTE_TIMEOUT, UPSTREAM, 504, 1, TIMEOUT, "upstream_timeout",                           \
      "upstream did not answer in time")                                                           \
    X(IDLE_TIMEOUT, UPSTREAM, 504, 1, TIMEOUT, "upstream_idle_timeout",                            \
      "upstream fell silent in the middle of its reply")                                           \
    X(UPSTREAM_PROTOCOL, UPSTREAM, 502, 1, UPSTREAM, "upstream_protocol",                          \
      "upstream sent something that is not its protocol")                                          \
    X(UPSTREAM_TOO_LARGE, UPSTREAM, 502, 0, UPSTREAM, "upstream_too_large",                        \
      "upstream sent an event or reply over the size limit")                                       \
    X(UPSTREAM_STATUS, UPSTREAM, 502, 1, UPSTREAM, "upstream_error",                               \
      "upstream answered with an error")                                                           \
    X(UPSTREAM_ERROR, UPSTREAM, 502, 1, UPSTREAM, "upstream_error",                                \
      "upstream reported an error in its stream")                                                  \
    X(TOOL_CALL, UPSTREAM, 502, 1, UPSTREAM, "invalid_tool_call",                                  \
      "upstream sent a truncated or invalid tool call")                                            \
    /* the reactor's small talk: never shown to a client */                                        \
    X(AGAIN, NOBODY, 500, 0, INTERNAL, "again", "would block")

#define ERR_ENUM(name, blame, status, retryable, kind, code, text) ERR_##name,
enum err { ERR_TABLE(ERR_ENUM) ERR_COUNT };
#undef ERR_ENUM

struct err_row {
    const char *name; /* "UPSTREAM_PROTOCOL" */
    const char *code; /* stable machine code in error bodies, metrics and logs */
    const char *text; /* default human text */
    enum err_blame blame;
    enum err_kind kind;
    int status;      /* HTTP status before the commit point */
    bool retryable;  /* may another candidate be tried before the commit point? */
};

/* err_row - the row of an error. error is ERR_x or -ERR_x; others give ERR_INTERNAL's row. */
const struct err_row *err_row(int error);

/* err_kind_name - "invalid", "rate_limit", ... for metrics and logs. */
const char *err_kind_name(enum err_kind kind);

/* err_kind_status - the HTTP status that stands for a kind when nothing better is known. */
int err_kind_status(enum err_kind kind);

#endif
