/* SPDX-License-Identifier: MIT
 *
 * fake.h - a resolver whose answers the test writes, in place of dns.c, and a loop made with one
 * call.
 */
#ifndef PENSTOCK_TEST_REACTOR_FAKE_H
#define PENSTOCK_TEST_REACTOR_FAKE_H

#include "base/sink.h"
#include "reactor/backend.h"
#include "reactor/dns.h"
#include "reactor/listen.h"
#include "reactor/wire.h"

/* fake_name_add - name has this address too: an IPv4 literal and a port (0: the caller's). */
void fake_name_add(const char *name, const char *address, uint16_t port);
/* fake_name_slow - lookups of this name stay pending until fake_names_answer. */
void fake_name_slow(const char *name);
/* fake_names_answer - pending lookups get their answers in the loop's next run phase. */
void fake_names_answer(struct loop *loop);
void fake_names_reset(void);
int fake_names_pending(void);
int fake_names_forgotten(void); /* calls of dns_forget */

/* fake_loop - a loop on this backend with default limits; change loop->limits afterwards. */
void fake_loop(struct loop *loop, const struct backend_ops *ops, void *config);
/* fake_tick - one tick, after which the loop's sleeping invariants must hold. */
void fake_tick(struct loop *loop, uint64_t wait_max_ms);

/* What an owner of a conn saw. */
struct seen {
    struct conn *conn;
    unsigned notices;                      /* all so far */
    int up, bytes, room, empty, end, lost; /* how often each */
    struct task task;                      /* posted at each notice when run is set */
    struct loop *loop;
};
void seen_init(struct seen *seen, struct loop *loop, void (*run)(struct task *));
void seen_notify(void *owner, struct conn *conn, unsigned notices);
/* seen_take - all of conn->in, appended to a sink, and the conn touched. */
void seen_take(struct conn *conn, struct sink *sink);

#endif
