/* SPDX-License-Identifier: MIT
 *
 * reply.h - an HTTP/1.1 client's strict view of a reply: head, then a body by Content-Length, by
 * chunks or to the end of the connection, and inside it server-sent events or one object.
 */
#ifndef PENSTOCK_LOADGEN_REPLY_H
#define PENSTOCK_LOADGEN_REPLY_H

#include "tools/loadgen/check.h"

enum reply_state {
    REPLY_HEAD,
    REPLY_LENGTH, /* a body of a known length */
    REPLY_CLOSE,  /* a body until the end of the connection */
    REPLY_CHUNK_SIZE,
    REPLY_CHUNK_DATA,
    REPLY_CHUNK_END,
    REPLY_TRAILER,
    REPLY_DONE,
    REPLY_BROKEN, /* it makes no sense; what is wrong is counted */
};

struct reply {
    struct check check;
    uint8_t state;
    bool events, keep_alive, size_begun, size_cr, extension, stream_wanted;
    int status;
    uint64_t left; /* of the body, or of the chunk; while reading its size: the size so far */
    uint32_t line; /* bytes of the line that is being read: a chunk's size, a trailer */
    char *carry;   /* a head, an event or a body that is not complete */
    size_t carry_len, carry_room;
};

/* reply_begin - an answer to this request is expected; memory of the last one is kept. */
void reply_begin(struct reply *reply, struct tally *tally, enum dialect dialect, bool stream,
                 uint64_t id);
void reply_fini(struct reply *reply);
/* reply_bytes - take bytes; returns how many belong to this reply (less than all only when it is
 * done or broken). */
size_t reply_bytes(struct reply *reply, struct slice bytes, uint64_t now_ns);
/* reply_end - the connection ended: true when that was right. */
bool reply_end(struct reply *reply, uint64_t now_ns);
static inline bool
reply_over(const struct reply *reply)
{
    return reply->state >= REPLY_DONE;
}

#endif
