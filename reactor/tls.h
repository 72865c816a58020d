/* SPDX-License-Identifier: MIT
 *
 * tls.h - what the parts of the TLS wire share: tls.c (the wire), tls_worker.c (turns, memory),
 * tls_client.c, tls_server.c, tls_verify.c (certificates), tls_probe.c and trust.c. Private to them
 * and their tests.
 *
 * BearSSL's types stay in the .c files, so its objects cross here as void pointers; each says what
 * it points to.
 */
#ifndef PENSTOCK_TLS_H
#define PENSTOCK_TLS_H

#include "base/sink.h"
#include "reactor/conn.h"
#include "reactor/wheel.h"

#define TLS_KEY_BYTES 32

/* Error codes of our own checks; the engine's end below 768. */
enum tls_error {
    TLS_ERROR_ENTROPY = 8, /* the engine's code for it */
    TLS_ERROR_PIN = 1001,
    TLS_ERROR_PURPOSE,
    TLS_ERROR_NAME_CONSTRAINTS,
    TLS_ERROR_NO_ALT_NAME,
    TLS_ERROR_ADDRESS,
    TLS_ERROR_CHAIN_SIZE,
    TLS_ERROR_CHAIN_SYNTAX,
    TLS_ERROR_NO_TRUST,
    TLS_ERROR_LAST_CERT = TLS_ERROR_NO_TRUST,
    TLS_ERROR_HUNG_UP,
    TLS_ERROR_HOST,
};

/* tls_error_class - -ERR_TLS_CERT for codes that judge a certificate, -ERR_TLS for all others. */
int tls_error_class(int tls_error);

/* -- trust.c -- */

/* What lies in a trust store, for tls_verify.c. */
struct trust_view {
    const void *anchors; /* br_x509_trust_anchor[count] */
    size_t count;
    const uint8_t *fingerprint; /* SHA-256 over all anchors: two stores with equal contents are one
                                   to the caches */
};
struct trust_view trust_view(const struct trust *trust);

struct server_key_view {
    const void *chain; /* br_x509_certificate[count], leaf first */
    size_t count;
    const void *rsa; /* br_rsa_private_key, or NULL */
    const void *ec;  /* br_ec_private_key, or NULL */
};
struct server_key_view server_key_view(const struct server_key *key);
/* server_key_keep - a reference for a conn: the count is no part of what is const. */
struct server_key *server_key_keep(const struct server_key *key);

/* -- tls_border.c: where handshake messages end in what a peer sends -- */

struct tls_border {
    uint8_t record[5], message[4];
    uint8_t record_have, message_have;  /* header bytes seen */
    bool encrypted;                     /* ChangeCipherSpec was seen: messages are hidden */
    uint32_t record_left, message_left; /* contents bytes to come */
};

/* What taking a piece means. */
enum tls_piece {
    TLS_PIECE_PLAIN,
    TLS_PIECE_CERTIFICATES, /* the Certificate message begins */
    TLS_PIECE_COSTLY, /* a message is complete that makes the receiver compute with public keys */
};
/*
 * tls_border_next - how many of the bytes in front of us belong to one piece: a header, or contents
 * up to the next end of a record or handshake message.
 *
 * returns 1 to run.len
 */
size_t tls_border_next(const struct tls_border *border, struct slice run, enum tls_piece *piece);
/* tls_border_pass - these bytes were taken: at most what tls_border_next said. */
void tls_border_pass(struct tls_border *border, struct slice piece);

/* -- the wire's state -- */

struct tls_worker;
struct tls_verify;

struct tls {
    struct conn *conn;
    struct tls_worker *worker;
    const struct conn_target *target; /* clients; NULL for servers */
    struct server_key *key;           /* servers: a reference */
    void *slot;                       /* engine and record buffers, page-aligned */
    void *engine; /* br_ssl_engine_context, in the slot; NULL until the handshake begins */
    /* clients, from the peer's certificates to the end of the handshake */
    struct tls_verify *verify;
    struct buf cipher; /* received, not yet taken by the engine */
    struct tls_border border;
    struct list turn_link; /* on worker->turns or worker->waiting */
    struct list busy_link; /* on worker->busy */
    uint64_t busy_ms;
    uint8_t cache_key[TLS_KEY_BYTES];
    bool cached;      /* cache_key is set */
    bool resumed;     /* asked for until the handshake is done, then: was granted */
    bool done;        /* the handshake is */
    bool peer_closed; /* close_notify came and was answered */
    bool closing;     /* our close_notify is on its way; input is dropped from here on */
    bool failed;
    uint8_t alert[7];   /* a clear-text alert for the peer after a failure */
    uint8_t alert_left; /* bytes of it not yet sent */
};

extern const struct wire_ops tls_wire;

/* tls_client_done, tls_client_failed - a handshake is over: keep or drop its session. */
void tls_client_done(struct tls *tls);
void tls_client_failed(struct tls *tls);
/* tls_client_start, tls_server_start - lay an engine into the slot and begin. 0 or -ERR_TLS
 * (conn->tls_error says more). */
int tls_client_start(struct tls *tls) must_check;
int tls_server_start(struct tls *tls) must_check;
bool tls_client_resumed(const struct tls *tls);
bool tls_server_resumed(const struct tls *tls);

/* What is known of a finished handshake, for the probe and the tests. */
struct tls_facts {
    unsigned version, suite; /* as on the wire: 0x0303, 0xc02b */
    int curve;               /* as on the wire; 0: none was used */
    bool resumed;
    const char *protocol; /* by ALPN; NULL: none */
};
/* tls_facts - false while the handshake is not done, and for plain conns. */
bool tls_facts(const struct conn *conn, struct tls_facts *facts);

/* -- tls_worker.c: one per loop -- */

/* Memory for engines: page-aligned pieces of one size, given back to the system while they are not
 * used. */
struct tls_slots {
    void *free; /* linked through their first bytes */
    int free_count;
    size_t slot_bytes;
};

struct tls_chains;
struct tls_sessions;

struct tls_worker {
    struct loop *loop;
    struct list turns;   /* wires with a costly message to take, in the order of asking */
    struct list waiting; /* client wires in want of a verifier */
    struct list busy;    /* wires whose record buffers may hold pages, the longest unused first */
    struct deadline turn, idle;
    uint64_t steps_tick;  /* the tick of the last costly step */
    uint64_t starts_tick; /* the tick that starts belongs to */
    int starts;           /* handshakes begun in it */
    struct tls_slots client_slots, server_slots;
    const char *protocols[1];
    void *client_template; /* br_ssl_client_context, never reset */
    void *server_template; /* br_ssl_server_context, never reset */
    void *server_cache;    /* br_ssl_session_cache_lru and its memory */
    struct tls_chains *chains;
    struct tls_sessions *sessions;
    struct tls_verify *verifiers; /* free ones */
    int verifiers_free;
    int64_t wall_shift_s; /* tests move the calendar with it */
    struct sink *witness; /* the probe's: receives each chain as a peer sends it, 3 bytes of length
                             before each certificate */
};

/* tls_worker - the loop's, made at the first call; NULL without memory. */
struct tls_worker *tls_worker(struct loop *loop);
void *tls_slot_take(struct tls_slots *slots) must_check;
void tls_slot_give(struct tls_slots *slots, void *slot);
/* tls_start_turn - may this wire begin its handshake in this tick? If not, it asks again in the
 * next. */
bool tls_start_turn(struct tls *tls);
/* tls_turn - may this wire take one costly step now? If not, it is in line and its conn will be
 * touched. */
bool tls_turn(struct tls *tls);
/* tls_verifier_free - may this wire take a verifier: at most handshakes_max hold one. If not, it is
 * in line as well. */
bool tls_verifier_free(struct tls *tls);
/* tls_turn_leave - out of every line; whoever stands behind moves up. */
void tls_turn_leave(struct tls *tls);
/* tls_busy - the wire works with its buffers: they stay until it has been quiet for a while. */
void tls_busy(struct tls *tls);
/* tls_quiet - do the record buffers hold nothing that matters? (tls.c) */
bool tls_quiet(const struct tls *tls);

/* Made and freed by their files. */
bool tls_client_init(struct tls_worker *worker) must_check;
void tls_client_fini(struct tls_worker *worker);
bool tls_server_init(struct tls_worker *worker) must_check;
void tls_server_fini(struct tls_worker *worker);
size_t tls_client_slot_bytes(void);
size_t tls_server_slot_bytes(void);

/* -- tls_verify.c -- */

bool tls_verify_init(struct tls_worker *worker) must_check;
void tls_verify_fini(struct tls_worker *worker);
/* tls_verify_take - set tls->verify, a verifier for this handshake, and count it. 0 or -ERR_MEMORY.
 */
int tls_verify_take(struct tls *tls) must_check;
/* tls_verify_give - give it back, if there is one; somebody waiting may go on. */
void tls_verify_give(struct tls *tls);
/* tls_verify_none - set the engine's verifier to one that refuses everything. */
void tls_verify_none(struct tls *tls);
/* tls_verify_ran - has the peer sent certificates? */
bool tls_verify_ran(const struct tls_verify *verify);
/* tls_target_name - the name to verify and to send: server_name or host, without a trailing dot,
 * NUL-terminated. false when it cannot be one. */
bool tls_target_name(const struct conn_target *target, char name[256]) must_check;
/* tls_host_address - is the host an address literal? Gives its length in bytes (4 or 16), 0 for a
 * name. */
size_t tls_host_address(struct slice host, uint8_t address[16]);

#endif
