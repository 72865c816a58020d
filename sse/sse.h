/* SPDX-License-Identifier: MIT
 *
 * sse.h - server-sent events (WHATWG HTML, "Server-sent events"): bytes to events and back.
 *
 * The decoder notes where each field lies while it looks for the line's end, so no byte is scanned
 * twice. The answers do not depend on how the input is split. A block that lies whole in one run is
 * not copied.
 */
#ifndef PENSTOCK_SSE_H
#define PENSTOCK_SSE_H

#include "base/err.h"
#include "base/sink.h"
#include "base/slice.h"

/*
 * raw, and the one byte that is hard: when the empty line ends in CR, nobody may wait to see
 * whether an LF follows, yet a relay of raw should write the CRLF that was sent. So an empty line
 * that ends in CR stands in raw as CRLF, unless the line before it ended in a lone CR too; the LF,
 * if it comes, is swallowed. This asks only what came before, so it does not depend on the split.
 * raw is therefore byte for byte what a stream with LF, CRLF or CR throughout contains; in a
 * mixture it may differ by that one LF, which no reader can notice. The BOM and empty lines between
 * blocks are in no raw.
 */
struct sse_event {
    struct slice type;    /* of the event field; absent when there was none */
    struct slice data;    /* joined with LF; absent without a data line (comments, lone event:) */
    struct slice id;      /* of the id field in this block; absent without one */
    struct slice comment; /* first comment line without its colon; absent without one */
    struct slice raw;     /* the block's bytes as received, line ends and empty line included */
    int64_t retry_ms;     /* -1 without a (valid) retry field */
    bool dispatched;      /* per the standard an event is dispatched (data buffer was not empty) */
    bool unterminated;    /* came from sse_decode_end: the last empty line was missing */
};

/* Where a value lies in the block under construction; the block may still move. */
struct sse_span {
    uint32_t at, len;
    bool present;
};

struct sse_decoder {
    struct sink block;  /* the gathered part of a block that came in pieces */
    uint32_t event_max; /* bytes of one block */
    uint32_t line_len;  /* length of the current line so far; 0 at its start */
    bool started;       /* the first bytes (BOM) are behind us */
    bool skip_lf;       /* the last byte was a CR: an LF now belongs to it */
    bool lone_cr;       /* the line before ended in a CR that no LF followed */
    bool taken;         /* the gathered block has been given out: drop it at the next call */
    int error;
    uint32_t data_lines;
    struct sse_span data, type, id, comment; /* of the block under construction */
    int64_t retry_ms;
    struct sink joined; /* data of a block with several data lines */
};

/* sse_decoder_init - event_max bytes per block; over it -ERR_UPSTREAM_TOO_LARGE, which sticks. */
void sse_decoder_init(struct sse_decoder *decoder, size_t event_max);
void sse_decoder_fini(struct sse_decoder *decoder);
void sse_decoder_reset(struct sse_decoder *decoder);
/*
 * sse_decode - take bytes, give at most one block.
 * bytes   [in,out] unread input; advanced past what was used
 * event   [out] set when 1 is returned; its slices hold until the next call and while the input
 *         does. Blocks of comments alone are given too (data absent); bare empty lines are not.
 * returns 1 a block; 0 input used up; -ERR_UPSTREAM_TOO_LARGE, -ERR_MEMORY (stick)
 * A CR ends a line at once; one LF directly behind it is swallowed with the next bytes.
 * source  WHATWG HTML, server-sent events, "Interpreting an event stream"
 */
int sse_decode(struct sse_decoder *decoder, struct slice *bytes,
               struct sse_event *event) must_check;
/* sse_decode_end - the stream ended: 1 and the pending block that lacked its empty line
 * (unterminated), 0 if there is none, or the error that stuck. */
int sse_decode_end(struct sse_decoder *decoder, struct sse_event *event) must_check;

/* sse_put_event - one event: optional type (absent: none), data split at LF into data lines, empty
 * line. CR in data becomes LF (and CRLF one LF). Absent data: no data line, so nothing is
 * dispatched. Line breaks and NUL in a type become spaces. */
void sse_put_event(struct sink *out, struct slice type, struct slice data);
/* sse_put_fields - lines that stand before an event: "id: ..." and "retry: ..." (0: none). Line
 * breaks and NUL in id drop it. */
void sse_put_fields(struct sink *out, struct slice id, uint64_t retry_ms);
/* sse_put_comment - ": text" and ONE line end, no empty line: some clients dispatch an empty event
 * at an empty line. Line breaks in text become spaces. */
void sse_put_comment(struct sink *out, struct slice text);

#endif
