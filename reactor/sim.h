/* SPDX-License-Identifier: MIT
 *
 * sim.h - a backend without a kernel: virtual clock, scripted peers, seeded faults. Tests only.
 *
 * Peers are objects of the test: they see bytes that the program sends and say what it receives. Time stands still
 * while the program works and jumps to the next event when it sleeps. The same seed gives the same run.
 */
#ifndef PENSTOCK_SIM_H
#define PENSTOCK_SIM_H

#include "base/sink.h"
#include "reactor/backend.h"

struct sim;
struct sim_peer;

/* What a scripted peer does; every call may be NULL. They run between ticks, never inside the program's calls. */
struct sim_script {
    void (*opened)(struct sim_peer *peer);   /* the connection is up */
    void (*bytes)(struct sim_peer *peer);    /* sim_peer_in has grown */
    void (*ended)(struct sim_peer *peer);    /* the program sent FIN */
    void (*reset)(struct sim_peer *peer);    /* the program reset the connection or closed it entirely */
    void (*timer)(struct sim_peer *peer);    /* sim_peer_timer's time has come */
};

struct sim_faults { /* probabilities in 1/1024 per opportunity; all 0: a perfect world */
    unsigned short_read, short_write, again, reset, connect_refused, connect_slow, accept_fail, late_event, memory;
    /* memory is an empty chunk pool for a millisecond; late_event delays the report of readiness; late_release lets the
     * kernel hold on to a connection that was closed, as one that completes operations does; vanish is a peer that is
     * gone without a word, per delivery; jump is a clock that has moved on by up to jump_ms when the program wakes */
    unsigned late_release, vanish, jump;
    uint64_t jump_ms;
    unsigned batch; /* so many events does a wait report at most; 0: all */
    size_t window; /* bytes in flight to a peer that it has not read; 0: 64 KiB */
};

/* What went wrong in a world, by kind: counted where it happens. */
#define SIM_FAULTS(X)                                                                              \
    X(SHORT_READ, "short reads") X(SHORT_WRITE, "short writes") X(AGAIN, "EAGAIN")                 \
    X(RESET, "resets on the way") X(PEER_RESET, "resets by a peer") X(HALF_CLOSE, "half-closes")    \
    X(STALL, "peers that stopped reading") X(VANISH, "peers that vanished")                        \
    X(CONNECT_REFUSED, "connects refused") X(CONNECT_SLOW, "connects answered late")               \
    X(BLACK_HOLE, "connects never answered") X(NO_DESCRIPTOR, "accepts without a descriptor")      \
    X(ACCEPT_ABORTED, "accepts of an aborted connection") X(LATE_EVENT, "late reports")            \
    X(LATE_RELEASE, "late releases") X(POOL_EMPTY, "empty chunk pools") X(JUMP, "clock jumps")
enum sim_fault {
#define X(name, text) SIM_##name,
    SIM_FAULTS(X)
#undef X
        SIM_FAULT_COUNT
};

struct sim *sim_new(uint64_t seed, const struct sim_faults *faults);
void sim_free(struct sim *sim);
extern const struct backend_ops sim_ops; /* loop_init(loop, &sim_ops, sim, limits) */

uint64_t sim_now_us(const struct sim *sim);
uint64_t sim_random(struct sim *sim); /* seeded; for scripts too */
/* sim_accept_on - connections the program opens to any address with this port are answered with this script; refuse: RST. */
void sim_accept_on(struct sim *sim, uint16_t port, const struct sim_script *script, void *user, bool refuse);
/* sim_black_hole - connections to this port are never answered. A port nobody speaks for refuses. */
void sim_black_hole(struct sim *sim, uint16_t port);
/* sim_set_faults - change the weather; NULL: a perfect world from now on. */
void sim_set_faults(struct sim *sim, const struct sim_faults *faults);
/* sim_listen_fd - a descriptor the program can give to listener_open. */
int sim_listen_fd(struct sim *sim, uint16_t port);
/* sim_connect - a scripted client connects to such a listener. */
struct sim_peer *sim_connect(struct sim *sim, uint16_t port, const struct sim_script *script, void *user);

void *sim_peer_user(struct sim_peer *peer);
void sim_peer_set_user(struct sim_peer *peer, void *user);
struct sim *sim_peer_sim(struct sim_peer *peer);
/* sim_peer_send - bytes for the program, delivered as the faults allow. */
void sim_peer_send(struct sim_peer *peer, struct slice bytes);
void sim_peer_half_close(struct sim_peer *peer); /* FIN after what was sent */
void sim_peer_close(struct sim_peer *peer);      /* FIN, and what arrives later is answered with a reset */
void sim_peer_reset(struct sim_peer *peer);
void sim_peer_stop_reading(struct sim_peer *peer, bool stop); /* the window fills; acknowledged bytes stop growing */
void sim_peer_timer(struct sim_peer *peer, uint64_t after_ms); /* one timer a peer; re-arming replaces it */
struct sink *sim_peer_in(struct sim_peer *peer); /* all bytes the program sent and the peer has read */
bool sim_peer_alive(const struct sim_peer *peer);

/* sim_run - tick the loop until nothing can happen before until_us (virtual), or stop(user) says so. Asserts after
 * every tick that loop_quiet holds, and that the program does not spin while time stands still. Returns ticks. */
uint64_t sim_run(struct sim *sim, struct loop *loop, uint64_t until_us, bool (*stop)(void *), void *user);
/* sim_sockets_open - sockets the program holds, listeners excluded: a leak check. */
size_t sim_sockets_open(const struct sim *sim);
/* sim_injected - how often that happened so far. */
uint64_t sim_injected(const struct sim *sim, enum sim_fault fault);
const char *sim_fault_name(enum sim_fault fault);
/* sim_jump - move the clock forward without running anything. */
void sim_jump(struct sim *sim, uint64_t by_us);
/* sim_freeze - the program is stopped for a while in its next wait, which is interrupted: the world has gone on, nothing is
 * reported. Waits after that take more_us before they report, as long as there is more to be told of. */
void sim_freeze(struct sim *sim, uint64_t by_us, uint64_t more_us);

#endif
