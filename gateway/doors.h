/* SPDX-License-Identifier: MIT
 *
 * doors.h - the listening sockets of all workers, opened while we may still be root, or inherited from a service manager.
 */
#ifndef PENSTOCK_DOORS_H
#define PENSTOCK_DOORS_H

#include "gateway/worker.h"

#define DOORS_ADDRESS_BYTES 64

struct doors {
    int *client, *demo; /* one descriptor for each worker, -1 when it was taken or is not there; demo may be NULL */
    uint32_t count;
    uint16_t demo_port; /* 0: there are no demo models */
    bool inherited;     /* client sockets are one socket: see worker_listen */
    char address[DOORS_ADDRESS_BYTES]; /* "127.0.0.1:4000", "[::1]:4000" */
};

/*
 * doors_open - as the configuration has it, one socket for each worker. Problems are logged.
 * inherited  a listening socket to be used instead of its address, not taken over; -1: none
 * demo       with sockets on loopback for the demo models
 * returns    0, -ERR_SYSTEM, -ERR_MEMORY, or -ERR_CONFIG when an inherited socket would be open to everybody. Also then
 *            doors_close is needed
 */
int doors_open(struct doors *doors, const struct config *config, int inherited, bool demo) must_check;
/* doors_give - every worker takes its own. 0 or what worker_listen and demo_open return. */
int doors_give(struct doors *doors, struct gateway *gateway) must_check;
/* doors_close - those that nobody took. */
void doors_close(struct doors *doors);

#endif
