/* SPDX-License-Identifier: MIT
 *
 * tape.h - the latest events of a stream, kept so that a client that lost its connection can have those it missed (R26).
 *
 * A tape is written by one stream and read by the stream that resumes it, perhaps on another worker: they share nothing but
 * this, behind its lock. It keeps whole events as they were framed, the newest up to a limit of bytes. While its first client
 * listens the oldest go as new ones come; afterwards nothing goes that the next reader has not had: the writer waits.
 */
#ifndef PENSTOCK_TAPE_H
#define PENSTOCK_TAPE_H

#include "base/list.h"
#include "base/sink.h"

#include <pthread.h>
#include <stdatomic.h>

struct worker;
struct stream;
struct tape;

#define TAPE_ID_LEN 16u

struct tape_store { /* all tapes of the process */
    pthread_mutex_t lock;
    struct list tapes;
    _Atomic uint64_t count, bytes; /* held */
    _Atomic uint64_t resumed, refused, expired;
};

struct tape_name {
    struct slice id;    /* TAPE_ID_LEN characters that nobody can guess */
    struct slice owner; /* the name of the client key, "" without */
    unsigned kind;      /* what was asked for: events of one dialect make no sense in another */
};

int tape_store_init(struct tape_store *store) must_check;
void tape_store_fini(struct tape_store *store);
/* tape_store_sweep - forget what nobody has followed for ttl_ms since it was over, and at once what has no end. */
void tape_store_sweep(struct tape_store *store, uint64_t now_ms, uint64_t ttl_ms);

/*
 * tape_new - for the stream that writes it, whose client is listening.
 * NULL: the store has tapes_max already, or no memory. The caller holds one reference, the store another.
 */
struct tape *tape_new(struct tape_store *store, const struct tape_name *name, struct stream *writer, size_t bytes_max,
                      uint64_t tapes_max);
/* tape_find - a reference to the tape of that name; NULL: there is none. */
struct tape *tape_find(struct tape_store *store, const struct tape_name *name);
void tape_drop(struct tape *tape);

/*
 * tape_append - one framed event. False, from then on for good: there is no memory, or no room without losing what its
 * reader has not had. Nobody can follow it any more.
 */
bool tape_append(struct tape *tape, uint64_t serial, struct slice bytes) must_check;
/* tape_full - shall the writer wait? Then it gets CLIENT_ROOM when there is room. Never while the first client listens. */
bool tape_full(struct tape *tape);
/* tape_end - the stream has ended; whole: with an end that its client can tell from a cut. */
void tape_end(struct tape *tape, bool whole, uint64_t now_ms);
/* tape_left - the stream's own client has gone. */
void tape_left(struct tape *tape, uint64_t now_ms);
/* tape_alone_ms - since when nobody has been listening; UINT64_MAX: somebody is; 0: nobody can any more. */
uint64_t tape_alone_ms(struct tape *tape);

/*
 * tape_attach - follow from behind this event on. A reader before is replaced, and so is the stream's own client: the writer
 * gets CLIENT_GONE. False: that event is not kept (or not told yet), or the stream has broken off.
 */
bool tape_attach(struct tape *tape, struct stream *reader, uint64_t serial, uint64_t *offset, uint64_t *ticket);
enum tape_got { TAPE_BYTES, TAPE_WAIT, TAPE_OVER, TAPE_CUT /* ended without an end */, TAPE_REPLACED };
/* tape_read - up to max bytes behind *offset into out, whole events or not; moves *offset. WAIT: TURN is posted when there is more. */
enum tape_got tape_read(struct tape *tape, uint64_t ticket, uint64_t *offset, size_t max, struct sink *out);
void tape_detach(struct tape *tape, uint64_t ticket, uint64_t now_ms);

#endif
