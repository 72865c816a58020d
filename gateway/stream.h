/* SPDX-License-Identifier: MIT
 *
 * stream.h - a client connection's current exchange: states, notices, verdicts and the one table that says what happens.
 *
 * Notices come in as bits (from conns and deadlines); an action answers with a verdict, taken at once. Nothing else
 * changes the state. A stream lives as long as its client connection and returns to IDLE between requests.
 */
#ifndef PENSTOCK_STREAM_H
#define PENSTOCK_STREAM_H

#include "base/arena.h"
#include "base/sink.h"
#include "gateway/config.h"
#include "gateway/metrics.h"
#include "gateway/route.h"
#include "gateway/states.h"
#include "gateway/upstream.h"
#include "http/http.h"
#include "providers/dialect.h"
#include "providers/splice.h"
#include "providers/textcall.h"
#include "providers/think.h"
#include "reactor/conn.h"
#include "sse/sse.h"

/* What a request asks for; found from method and path. */
enum endpoint {
    ENDPOINT_CHAT, ENDPOINT_MESSAGES, ENDPOINT_RESPONSES, ENDPOINT_GEMINI, ENDPOINT_TEXT /* /v1/completions */,
    ENDPOINT_COUNT_TOKENS,
    ENDPOINT_RELAY,  /* what is not understood but carried: embeddings, images, audio, files, ... */
    ENDPOINT_STORED, /* a response by its id: nothing is stored */
    ENDPOINT_MODELS, ENDPOINT_MODEL, ENDPOINT_ROOT, ENDPOINT_HELLO, ENDPOINT_HEALTH, ENDPOINT_LIVE, ENDPOINT_READY, ENDPOINT_UPSTREAMS, ENDPOINT_DISCOVERY, ENDPOINT_METRICS, ENDPOINT_STREAMS,
    ENDPOINT_PREFLIGHT, ENDPOINT_NONE
};

struct worker;
struct tape;
struct media;
struct enclosure;
struct recall_watch;
struct generation;
struct gather;

struct stamps { /* microseconds of the loop's clock; 0: has not happened */
    uint64_t last_event, last_token, first_token, begin, head, body, queued, dialing, dialed, sent, first_byte, committed, done;
};

/* What only the tries of a request need. It lies in the request's arena and goes with it: a stream that relays has none. */
struct stream_tries {
    struct http_reader reader;
    struct http_body body;
    struct sink body_bytes;
    struct route route;
    struct sink out_body;      /* the upstream request's body as sent, but for */
    struct splice_kept kept;   /* long runs of the client's */
    struct slice out_runs[2 * SPLICE_KEPT_MAX + 1]; /* all of it, while it is lent to the lease's conn */
    struct canon_report report;
    struct http_reader reply_reader;
    struct upstream_waiter waiter;   /* in DIAL */
};

/*
 * What every event of a reply touches stands in front, in the order of its way through; what only the begin and the end of
 * an exchange need, behind: of thousands of streams none is in the caches when its next event comes.
 */
struct stream {
    uint32_t magic;
    enum stream_state state;
    uint32_t notices; /* pending, 1 << enum stream_event */
    enum endpoint endpoint;
    struct task task;
    uint64_t run_began_us, worked_us; /* our own share of the exchange: what its steps took */
    struct worker *worker;
    struct conn *client;
    struct upstream *lease;
    const struct deployment *deployment;
    struct generation *generation; /* config and what follows from it; held from begin_request to rest */
    const struct dialect *dialect; /* the client's; for local endpoints the one that errors are written in */
    const struct dialect *upstream_dialect;
    void *dialect_reader, *dialect_writer;
    struct http_head *head;      /* in the request's arena */
    struct tape *tape;           /* what can be resumed: written by this stream, or followed; NULL */
    struct canon_think *think;   /* of a model that writes its thoughts between tags; NULL: it does not */
    struct canon_textcall *textcall; /* of a model that writes its calls into its text; NULL: it does not */
    struct canon_inputs *inputs; /* of a model whose calls are cleaned up; NULL: they are not */
    struct recall_watch *watch;  /* reasoning of this reply, to be kept; NULL: none yet */
    bool streaming, include_usage;
    bool committed, same_dialect, reply_sse;
    bool chunked;    /* what goes to the client is framed in chunks */
    bool array_open; /* its bracket is out */
    bool json_array; /* the stream's events are the elements of one JSON array: Gemini without alt=sse */
    bool detached;   /* the client has gone and the stream goes on */
    bool failed;
    bool estimated;  /* a number of tokens is our own guess */
    bool torn;       /* text for the client was lost for want of memory: no end of it can be a good one */
    bool asked;      /* END was seen and the question was put */
    bool left;       /* counted among the clients that went away */
    uint8_t excuses; /* step came due late, and was given so many turns more */
    bool sse_live;   /* the decoder holds memory */
    uint32_t prompt; /* /v1/completions: whose turn it is of several */
    uint32_t prompt_count, prompt_choices; /* 0: there is but one; and how many choices each has */
    int status;              /* sent to the client; 0 nothing yet */
    uint64_t progress_ms;    /* last sign of life for the lazy idle deadlines */
    uint64_t output_ms;      /* something was last written to the client */
    uint64_t upstream_in, events_in, events_out, client_out, sse_serial;
    struct http_body reply_body;
    struct sse_decoder sse;
    struct canon_guard guard;
    struct stamps stamps;
    struct deadline step, ping;

    /* about the connection */
    struct deadline total;
    struct deadline patience; /* nothing to commit has come yet; detached: nobody has come back for the stream */
    struct list link;         /* of the worker */
    uint64_t serial;          /* of the connection in this worker */
    uint32_t exchanges;

    /* the request; given back at the commit point of a stream */
    int key_index;        /* of the config, -1 none */
    struct arena request; /* head, parsed JSON, canonical request */
    struct stream_tries *tries;
    struct canon_request *canon;
    struct slice path_model; /* a name that stands in the path, decoded; absent */
    struct slice relay_path; /* of a relay: what is behind the upstream's base path, or a method of Gemini's */
    const char *relay_mode;  /* and what models that serve it call their mode */
    struct slice relay_model; /* where the body names the model: the bytes to replace; absent: it does not */
    struct media *media;   /* of a relay: it is translated, see media.h; NULL: it is carried as it is */
    struct gather *gather; /* waiting for the other workers' answers */

    /* about the client, kept to the end of the exchange */
    char request_id[64];
    char id[33]; /* of the reply, random */
    bool head_request, keep_alive, http10;
    bool severed;     /* only a reset tells the client that its reply is not whole */
    bool close_after; /* input can not be trusted any more */
    bool path_stream; /* the path says that it wants a stream */
    bool canon_read;  /* beyond the outline */

    /* the attempt */
    bool chosen;               /* deployment is the one to try, not the one that failed */
    bool again_fresh;          /* the last failure was a stale kept connection: try the same deployment anew */
    bool lease_answered;       /* bytes of a reply came on this lease */
    bool queued;               /* in DIAL: waiting for a free upstream connection */
    bool unwritten;            /* in DIAL: the deployment is chosen, its body waits for that */
    bool token_awaited, token_refused; /* refused: by the upstream, once in this exchange: another was asked for */
    bool prompt_follows;       /* in DIAL: the next prompt, not another try */
    bool prompt_untold;        /* nothing of this prompt's reply was given to the writer */
    bool reply_keep_alive;
    bool follow_over;          /* all of the tape was read */
    bool tape_whole;           /* it ended with an end of its own */
    uint32_t attempts;
    uint32_t interims;         /* replies of status 1xx in this attempt */
    struct canon_usage *prompt_usage; /* of the prompts before; in `reply` */
    uint32_t prompt_block, prompt_blocks; /* of the prompts before, and with this one */
    enum stream_end end;
    int upstream_status;
    struct slice origin;       /* of CORS, in the reply arena */
    struct slice model;        /* the name asked for */
    uint64_t truncated_messages, truncated_tokens; /* left out of this attempt's request */
    uint64_t wait_until_ms;    /* in DIAL: back-off */
    struct slice token;        /* secret: the access token of this attempt, of the reply arena; absent: none is needed */
    struct list token_wait;    /* in DIAL: waiting for one */
    struct enclosure *enclosure; /* in DIAL: what is being fetched for the request; NULL: nothing */

    /* the reply */
    struct arena reply;        /* codec state, names */
    struct http_head *reply_head;
    struct canon_usage usage;
    uint64_t counted;          /* tokens, by an upstream that was asked to count */
    struct sink collected;     /* error body, whole body, or the finished answer */
    size_t collected_sent;
    struct slice pass_fields;  /* response fields that pass through, ready to send */
    struct slice upstream_model;
    struct canon_error error;  /* what failed last */
    uint64_t follow_ticket, follow_offset; /* of a follower; ticket 0: the tape is this stream's own */
    uint64_t acked;            /* at the last drain check */

    /* figures */
    uint64_t client_in, upstream_out, stall_us, stall_longest_us, stall_began_us;
    uint32_t stalls, keepalives;
};

const char *stream_state_name(enum stream_state state);
const char *stream_event_name(enum stream_event event);
const char *stream_end_name(enum stream_end end);

/* stream_new - a stream for an accepted socket, in IDLE; owns the client conn. NULL when memory or limits say no (fd is closed). */
struct stream *stream_new(struct worker *worker, int fd, const char *peer);
/* stream_take_limits - what this configuration allows a request, its reply and their queue. */
void stream_take_limits(struct stream *stream, const struct config *config);
/* stream_post - set a notice and put the stream on the run list. */
void stream_post(struct stream *stream, enum stream_event notice);
/* stream_arm_step - the deadline of the state that was entered. A notice of the one before is stale from now on. */
void stream_arm_step(struct stream *stream, uint64_t after_ms);
/* stream_clock - microseconds now, not at the beginning of the tick: for measuring our own work only. */
uint64_t stream_clock(const struct stream *stream);
/* stream_next - the table: where does this event lead from this state? STATE_COUNT when there is no row. For tests and docs. */
enum stream_state stream_next(enum stream_state state, enum stream_event event, const char **action);

/* ---- actions, in request.c, attempt.c, reply.c, pump.c, output.c, finish.c, resume.c and answer.c: verdicts are enum stream_event */
typedef enum stream_event stream_action(struct stream *stream);
stream_action act_begin_request, act_read_head, act_begin_body, act_read_body, act_choose, act_dial, act_send_request,
    act_send_more, act_read_reply, act_collect, act_judge, act_begin_reply, act_pump, act_pause, act_resume, act_ping,
    act_commit_early, act_end_reply, act_break_off, act_refuse, act_answer, act_deliver, act_feed, act_part, act_check_drain,
    act_rest, act_depart, act_cancel, act_ask, act_lose_client, act_ping_follower;

/* ---- shared by the action files */
/* stream_fail - record what failed; the first of an attempt wins. Returns FAILED. */
enum stream_event stream_fail(struct stream *stream, int error);
enum stream_event stream_fail_text(struct stream *stream, int error, struct slice message, struct slice param);
/* stream_enter_finish - the last answer is on its way: only draining it is left. Returns what to look at next. */
enum stream_event stream_enter_finish(struct stream *stream);
/* stream_writer - make the client dialect's writer, once. 0 or -ERR_MEMORY. */
int stream_writer(struct stream *stream) must_check;
/* stream_has_room - may more be written for the client? Not when its queue is full, or has its share of scarce memory. */
bool stream_has_room(const struct stream *stream);
/* stream_flush_text - what is framed in the worker's text sink becomes one chunk for the client. 0 or -ERR. */
int stream_flush_text(struct stream *stream) must_check;
/* stream_send_answer - status, type and the collected bytes as a whole reply. */
enum stream_event stream_send_answer(struct stream *stream, int status, const char *type);
/* stream_open_array - the bracket that the elements of a JSON array follow, once. */
void stream_open_array(struct stream *stream);
/* stream_parse - the body as JSON: canon, with its root. NONE or FAILED. */
enum stream_event stream_parse(struct stream *stream);
/* stream_route - the model group that serves this name. NONE or FAILED. */
enum stream_event stream_route(struct stream *stream, struct slice model);
/* stream_commit - send the head of a stream (once) and what the dialect says first. */
int stream_commit(struct stream *stream) must_check;
/* stream_put_frames - frame what the writer made as events or elements of an array; raw is the upstream's event that may
 * pass as it is, or NULL. 0 or -ERR. */
int stream_put_frames(struct stream *stream, struct frames *frames, const struct sse_event *raw) must_check;
/* stream_put_head - status line and the common fields into the worker's scratch sink; the caller adds its own. */
void stream_put_head(struct stream *stream, struct sink *out, int status);
void stream_put_connection(const struct stream *stream, struct sink *out);
/* stream_carry - bytes of the upstream's SSE body to the client until one side runs dry.
 * 1: the reply has ended; 0: no more input now; 2: the client is full; negative: the attempt failed */
int stream_carry(struct stream *stream) must_check;
/* stream_conclude - an upstream that has failed, but had said before why its reply ends: nothing is missing but the
 * terminator, which is written instead of an error. 1: done; 0: the reply is not complete. */
int stream_conclude(struct stream *stream) must_check;
/* stream_take_silence - a reply that is collected has gone quiet before its end. WHOLE: all but the terminator is there;
 * FAILED: it was an error reply, which says enough as far as it came; NONE: it has merely timed out. */
enum stream_event stream_take_silence(struct stream *stream);
/* stream_check_events - think filter, in-stream errors, guard, figures. 0 or -ERR. */
int stream_check_events(struct stream *stream, struct canon_events *events) must_check;
/* stream_write_out - canonical events (and the raw event they came from, or NULL) to the client's side. 0 or -ERR. */
int stream_write_out(struct stream *stream, struct canon_events *events, const struct sse_event *raw) must_check;
/* stream_drop_lease, stream_return_lease - the only two ways to part with an upstream connection. */
void stream_drop_lease(struct stream *stream);
void stream_return_lease(struct stream *stream);
/* stream_release_request - free what only retries need, unless some of it is still being sent. */
void stream_release_request(struct stream *stream);
/* stream_step_in, stream_timeouts - the deployment's or the global durations. */
const struct config_timeouts *stream_timeouts(const struct stream *stream);
void stream_client_notify(void *owner, struct conn *conn, unsigned notices);
void stream_upstream_notify(void *owner, struct conn *conn, unsigned notices);
/* stream_finish_metrics - fold the exchange into the worker's metrics and write the access line; once per exchange. */
void stream_account(struct stream *stream);
/* stream_end_codecs - free what the reply's codecs hold. */
void stream_end_codecs(struct stream *stream);
/* stream_end_reader - the upstream side only: another attempt follows. */
void stream_end_reader(struct stream *stream);
/* stream_free - from CLOSED. */
void stream_free(struct stream *stream);

#endif
