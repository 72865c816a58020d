/* SPDX-License-Identifier: MIT
 *
 * conn.h - one byte stream over a socket, plain or TLS: two queues of plaintext and six notices.
 *
 *     kernel -> wire.filled -> in  -> owner peeks and consumes, then conn_touch
 *                      \-> the owner's memory, if it has said where
 *     owner puts into out, then conn_touch -> wire.bytes -> kernel
 *     owner lends a large run -------------------^
 *
 * Owners never call read or write and never see TLS. Notices say "look": the levels (up, ended, lost, in.len,
 * out.len) say what is so. Readers use up `in` first and look at the level when it runs dry.
 * ended and lost may both be set (a peer that closed, then met our bytes with a reset): look at ended first.
 */
#ifndef PENSTOCK_CONN_H
#define PENSTOCK_CONN_H

#include "base/buf.h"
#include "base/err.h"
#include "reactor/loop.h"

struct conn;
struct wire_ops;
struct dial;
struct trust;
struct server_key;

enum conn_notice {
    CONN_UP = 1,     /* connected (TLS: handshake done); once */
    CONN_BYTES = 2,  /* new bytes in `in`, or landed */
    CONN_ROOM = 4,   /* `out` has fallen to out_low or below after having been above out_high */
    CONN_EMPTY = 8,  /* `out`, what was lent and the wire below have run empty: all was given to the kernel */
    CONN_END = 16,   /* the peer will send no more (clean end); a level: conn->ended */
    CONN_LOST = 32,  /* the connection is unusable; a level: conn->lost, conn->error says why */
};

/* How to reach a peer; read-only and outliving the conns made from it. */
struct conn_target {
    struct slice host; /* name or address literal */
    uint16_t port;
    bool tls;
    struct slice server_name;  /* for SNI and verification; absent: host */
    const struct trust *trust; /* with tls */
    struct slice pin;          /* 32 bytes: SHA-256 of the leaf's SubjectPublicKeyInfo; absent: none */
    struct slice cache_key;    /* names host, port, server name and trust settings: session and chain caches use it */
    bool (*allowed)(const char *peer); /* which addresses ("1.2.3.4:80") may be connected to; NULL: all */
};

/* Bytes of the owner's that leave behind `out` without being copied: see conn_lend. */
struct conn_loan {
    const struct slice *runs; /* the first that has not left yet; NULL: nothing is lent */
    size_t skip;              /* bytes of it that have */
    size_t len;               /* unsent bytes of all runs */
};

/* Memory of the owner's that received bytes go to instead of `in`: see conn_land. */
struct conn_landing {
    char *at;      /* where the next byte goes */
    uint32_t room; /* bytes from there on; 0: they go to in */
    uint32_t len;  /* bytes that came and were not taken yet; they end at at */
};

typedef void conn_notify(void *owner, struct conn *conn, unsigned notices);

/* What every move touches stands in front: of thousands of conns none is in the caches when its bytes come. */
struct conn {
    uint32_t magic;
    int fd; /* -1 before a dial has succeeded */
    struct loop *loop;
    struct list move_link; /* on loop->move_list, late_list or held_list */
    const struct wire_ops *wire;
    bool up, ended, lost, closing, cut, sever;
    bool paused;           /* owner wants no input now (its choice; `in` being full pauses too) */
    bool readable, writable; /* what the kernel said since the last EAGAIN */
    bool was_high, sent_fin, client_side;
    bool started;          /* wire->start was called */
    bool had_out;          /* CONN_EMPTY is owed once all is sent */
    bool peer_fin;         /* the kernel reported the peer's FIN: read until 0 */
    bool got_fin;          /* and it was read */
    bool broken;           /* the kernel reported an error: take what it still holds, then fail */
    bool finished;         /* while closing: wire->finish said that all is said */
    bool farewell;         /* the peer has announced that it sends no more: its end is not waited for */
    bool sated;            /* owner has what it can use now: no more than a chunk is received ahead */
    uint8_t offer_chunks;  /* how much memory the next receive is offered; adapts */
    uint32_t out_high, out_low; /* notices only: CONN_ROOM follows after out.len was > out_high */
    uint32_t moved_in, moved_out; /* in the tick moved_tick */
    int error;             /* -ERR_x once lost */
    uint64_t moved_tick;
    conn_notify *notify; /* called in any phase of the tick: record and post only, never act */
    void *owner;
    struct conn_landing landing;
    struct buf in, out;
    uint64_t bytes_in, bytes_out; /* plaintext */
    struct conn_loan loan;
    void *wire_state;
    void *slot;            /* the backend's */
    struct dial *dial;     /* while connecting */
    struct list loop_link; /* on loop->conn_list */
    struct list grave_link;
    struct deadline linger; /* while closing */
    uint64_t opened_ms;
    uint64_t acked_last;
    int tls_error;         /* engine's code behind ERR_TLS*, 0 otherwise; see tls_error_text */
    uint32_t discarded;    /* bytes, while closing */
    char peer[48];         /* numeric "address:port" for logs */
};

/*
 * conn_open - begin to connect: resolve, race addresses (staggered), connect, TLS. Never blocks.
 * returns 0 with *out set (CONN_UP or CONN_LOST follows), or -ERR_MEMORY, -ERR_LIMIT.
 * Errors reported by CONN_LOST: ERR_DNS, ERR_REQUEST (no address is allowed), ERR_CONNECT, ERR_TLS, ERR_TLS_CERT, ERR_NO_DESCRIPTOR, ERR_RESET, ...
 */
int conn_open(struct loop *loop, const struct conn_target *target, conn_notify *notify, void *owner,
              struct conn **out) must_check;
/* conn_adopt - make a conn of an accepted, non-blocking socket; takes over fd on success. server_key: TLS, NULL: plain. */
int conn_adopt(struct loop *loop, int fd, const struct server_key *server_key, const char *peer,
               conn_notify *notify, void *owner, struct conn **out) must_check;
/* conn_own - hand a conn to another owner (a pooled upstream connection changes hands). */
void conn_own(struct conn *conn, conn_notify *notify, void *owner);
/* conn_put - append to out and touch. All or nothing: 0 or -ERR_MEMORY. After lost: 0, bytes are dropped. */
int conn_put(struct conn *conn, struct slice bytes) must_check;
/*
 * conn_lend - send these runs behind what is in out, without a copy. Bytes and runs stay the caller's and must not change
 * while conn->loan.len > 0: until CONN_EMPTY, CONN_LOST (which forgets the loan) or conn_close, which cannot wait for bytes
 * that are not its own and cuts. Nothing else may be put meanwhile. After lost: the bytes are dropped.
 */
void conn_lend(struct conn *conn, const struct slice *runs, size_t count);
/*
 * conn_land - the next bytes go to this memory of the caller's, and only those behind them to in, which must be empty. It
 * must live until it is full, or until conn_land withdraws it (room = 0) or conn_close. CONN_BYTES says that some came. room
 * is less than 4 GiB.
 */
void conn_land(struct conn *conn, char *at, size_t room);
/* conn_take_landed - how many bytes came there since this was last asked. To be asked before conn_land. */
size_t conn_take_landed(struct conn *conn);
/* conn_touch - out was written or in was consumed: reconcile in this tick's move phase. */
void conn_touch(struct conn *conn);
/* conn_consume - n bytes of in were used; touches only where that may let more come. */
void conn_consume(struct conn *conn, size_t n);
/* conn_pause - receive no more until resumed. conn_resume - receive again (touches). */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
/*
 * conn_sate - until conn_crave the owner can use no more than it has: only a chunk is received ahead, so that an end of the
 * peer's is seen and peers that send far ahead hold little of the pool. conn_crave - receive all again; touches where that lets
 * more come.
 */
void conn_sate(struct conn *conn);
void conn_crave(struct conn *conn);
/* conn_said_all - has the peer ended, be it behind bytes that a sated conn does not receive yet? CONN_END tells of the one,
 * CONN_BYTES of the other. */
static inline bool
conn_said_all(const struct conn *conn)
{
    return conn->ended || (conn->sated && conn->peer_fin);
}
/* conn_farewell - the peer has announced that it sends no more. A plain conn that is closed then rests as soon as all is sent,
 * unless there is something to receive after all: lingering keeps what a peer goes on to send from destroying our last bytes. */
void conn_farewell(struct conn *conn);
/* conn_unsent - bytes not yet given to the kernel: out, what is lent, and what the wire holds. */
size_t conn_unsent(const struct conn *conn);
/* conn_acked - bytes (ciphertext for TLS) the peer's kernel has acknowledged since the start; grows only. The
 * kernel counts SYN and FIN as a byte each: compare values with each other, not with bytes_out. */
uint64_t conn_acked(struct conn *conn);
/*
 * conn_close - the owner lets go; no notice comes afterwards. The conn frees itself in sweep.
 * cut = false  (nothing is lent) what is in out is sent first, then FIN (and TLS close_notify), then input is discarded until END,
 *              linger_ms or linger_bytes, so that a last answer is not lost to a reset; output that makes no
 *              progress for flush_ms is given up
 * cut = true   close at once; unread or unsent bytes turn into a reset
 * A dial that has not connected yet is cancelled either way.
 */
void conn_close(struct conn *conn, bool cut);
/* conn_sever - close at once with a reset, whatever was sent and read: for a peer to whom the end of the connection would
 * mean that it has everything. */
void conn_sever(struct conn *conn);

#endif
