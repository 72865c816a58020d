/* SPDX-License-Identifier: MIT
 *
 * tls_pair.h - a client wire and a server wire joined in memory, driven by hand as a backend would,
 * byte by byte if asked; and the certificates they need, made once by the openssl tool.
 */
#ifndef PENSTOCK_TEST_REACTOR_TLS_PAIR_H
#define PENSTOCK_TEST_REACTOR_TLS_PAIR_H

#include "base/sink.h"
#include "reactor/backend.h"
#include "reactor/tls.h"
#include "reactor/trust.h"
#include "reactor/wire.h"

/* certs_make - run certs.sh into a directory of its own. false: the openssl tool is missing.
 * certs_path and the loaders below name files in it without caring for the directory. certs_remove
 * cleans up. */
bool certs_make(void);
void certs_remove(void);
const char *certs_path(const char *file);
struct trust *certs_trust(const char *name);    /* NAME.pem */
struct server_key *certs_key(const char *name); /* NAME.pem and NAME.key */

/* A loop without a backend: clock and ticks belong to the test. */
void bare_loop_init(struct loop *loop);
void bare_loop_fini(struct loop *loop);
void bare_loop_tick(struct loop *loop, uint64_t ms);

struct tls_end {
    struct conn conn;
    struct sink line;  /* ciphertext on its way to the other end */
    size_t line_total; /* all that ever was */
    struct sink got;   /* plaintext taken from conn.in */
    unsigned notices;
    size_t line_taken;                      /* of the other end's line */
    bool fin;                               /* the other end sees FIN behind the line's bytes */
    bool started, hold, fin_seen, finished; /* hold: conn.in is not taken */
};

struct tls_pair {
    struct tls_end client, server;
    struct conn_target target;
    uint64_t seed;    /* 0: everything moves whole */
    size_t piece_max; /* with a seed: pieces of 1 to this many bytes */
};

/* pair_open - both ends attached; nothing has moved yet. target.tls, port and host default to
 * localhost:443. */
void pair_open(struct tls_pair *pair, struct loop *client, struct loop *server,
               const struct server_key *key);
void pair_close(struct tls_pair *pair);
/* pair_tick - one tick of both loops, each end moved once. */
void pair_tick(struct tls_pair *pair);
/* pair_run - ticks until nothing moves any more. */
void pair_run(struct tls_pair *pair);
/* end_move - what a backend does with a conn in one tick; true when something moved. */
bool end_move(struct tls_end *end, struct tls_end *other, struct tls_pair *pair);
void end_put(struct tls_end *end, struct slice bytes);
/* end_take - move conn.in to got. */
void end_take(struct tls_end *end);
uint64_t pair_random(struct tls_pair *pair);

/* pattern - n bytes that differ from place to place. */
void pattern_fill(struct sink *sink, size_t n);

#endif
