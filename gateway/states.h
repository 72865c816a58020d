/* SPDX-License-Identifier: MIT
 *
 * states.h - the names of a stream's states, notices, verdicts and ends, each with its text.
 */
#ifndef PENSTOCK_STATES_H
#define PENSTOCK_STATES_H

#define STREAM_STATES(X)                                                                           \
    X(IDLE) X(HEAD) X(BODY) X(DIAL) X(SEND) X(AWAIT) X(COLLECT) X(RELAY) X(STALL) X(FINISH) X(CLOSED)

/* Notices, in the order in which they are taken. */
#define STREAM_NOTICES(X)                                                                          \
    X(CLIENT_GONE) X(TOTAL_DUE) X(STEP_DUE) X(DRAIN) X(TURN) X(UPSTREAM_LOST) X(UPSTREAM_UP)       \
    X(UPSTREAM_SENT) X(UPSTREAM_ROOM) X(UPSTREAM_BYTES) X(CLIENT_BYTES) X(CLIENT_ROOM)             \
    X(CLIENT_EMPTY) X(COMMIT_DUE) X(PING_DUE)

/* Verdicts, answered by actions. */
#define STREAM_VERDICTS(X)                                                                         \
    X(NONE) X(HEAD_DONE) X(BODY_DONE) X(NEXT) X(ANSWER) X(REJECT) X(BREAK) X(REPLY_OK)             \
    X(REPLY_WHOLE) X(FAILED) X(WHOLE) X(REPLY_DONE) X(CLIENT_FULL) X(KEEP) X(LEAVE)

enum stream_state {
#define X(name) STATE_##name,
    STREAM_STATES(X)
#undef X
        STATE_COUNT
};

enum stream_event {
#define X(name) EVENT_##name,
    STREAM_NOTICES(X) STREAM_VERDICTS(X)
#undef X
        EVENT_COUNT
};
#define EVENT_NOTICES ((int)EVENT_NONE) /* notices are the events before the first verdict */

/* Why an exchange ended: a metric label and the access line's end= field. */
#define STREAM_ENDS(X)                                                                             \
    X(DONE, "done") X(ANSWERED, "answered") X(REFUSED, "refused") X(UPSTREAM_ERROR, "upstream_error")\
    X(TIMEOUT, "timeout") X(CLIENT_CLOSE, "client_close") X(BACKPRESSURE, "backpressure")          \
    X(SHUTDOWN, "shutdown") X(INTERNAL, "internal_error")
enum stream_end {
#define X(name, text) END_##name,
    STREAM_ENDS(X)
#undef X
        END_COUNT
};

#endif
