/* SPDX-License-Identifier: MIT
 *
 * secure.h - scripted upstreams behind TLS, for the storm: the reactor's own server wire in memory, with good and bad
 * certificates, and peers that break off in the middle of a handshake or speak no TLS at all.
 */
#ifndef PENSTOCK_SIM_SECURE_H
#define PENSTOCK_SIM_SECURE_H

#include "tests/sim/harness.h"

#define SECURE_CHAT_PORT 9006
#define SECURE_CLAUDE_PORT 9007

/* secure_yaml - a configuration whose models "chat" and "claude" are behind TLS; NULL: the openssl tool is missing, and
 * with it the certificates. */
const char *secure_yaml(void);
/* secure_begin, secure_end - around a world that has them; secure_end comes before the simulator goes. */
void secure_begin(struct world *world);
void secure_end(void);

struct secure_tally {
    uint64_t handshakes, done, certificates, strangers, broken_off, truncated;
};
struct secure_tally secure_tally(void);

#endif
