/* SPDX-License-Identifier: MIT
 *
 * service.h - what a service manager and penstock tell each other: systemd's protocols, spoken without its library.
 *
 * NOTIFY_SOCKET gets datagrams about our state, WATCHDOG_USEC wants one regularly, LISTEN_FDS hands us a listening
 * socket. Without these variables everything here does nothing.
 */
#ifndef PENSTOCK_SERVICE_H
#define PENSTOCK_SERVICE_H

#include "gateway/worker.h"

#include <sys/socket.h>
#include <sys/un.h>

#define SERVICE_PROBLEM_BYTES 200

struct service {
    int fd; /* datagrams to the manager; -1: there is none */
    struct sockaddr_un manager;
    socklen_t manager_len;
    int listener;            /* the inherited socket; -1: there is none */
    uint64_t watchdog_us;    /* silence after which we are taken for dead; 0: never */
    uint64_t next_us;        /* when the workers are looked at again */
    uint64_t answered_us;    /* when all of them had turned */
    bool silent;             /* it has been said that one has not */
};

/*
 * service_take - read the variables and unset them, so that no child believes they are meant for it.
 * problem   why the sockets that were handed over cannot be used
 * returns   0; -ERR_CONFIG with a problem; -ERR_SYSTEM when there can be no socket for notices
 */
int service_take(struct service *service, char problem[SERVICE_PROBLEM_BYTES]) must_check;
/* service_tell - lines of NAME=value for the manager, as sd_notify(3) has them. Losing one is no error. */
void service_tell(const struct service *service, const char *format, ...) printf_like(2, 3);
/*
 * service_watch - to be called again and again by main: tells the manager that we live when the loop of every worker has
 * turned since the last time, and asks them anew.
 * now_us    CLOCK_MONOTONIC
 * returns   microseconds until it wants to be called again; UINT64_MAX: never
 */
uint64_t service_watch(struct service *service, struct gateway *gateway, uint64_t now_us);
/* service_close - no more notices; the inherited socket, if nobody took it, is closed as well. */
void service_close(struct service *service);

#endif
