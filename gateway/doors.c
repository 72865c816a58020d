/* SPDX-License-Identifier: MIT
 *
 * doors.c - where clients come in.
 *
 * Every worker has a socket of its own on the same address (SO_REUSEPORT), and the kernel shares connections out. A socket
 * that was handed over is one for all of them: its queue is the manager's, who keeps it open while we are restarted, so
 * that nobody who is waiting in it is refused. More sockets on its address would have queues that end with us.
 */
#include "gateway/doors.h"

#include "base/log.h"
#include "gateway/demo.h"
#include "reactor/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

static void
write_address(struct doors *doors, const struct config *config, uint16_t port)
{
    bool six = memchr(config->host.ptr, ':', config->host.len) != NULL;
    snprintf(doors->address, sizeof(doors->address), six ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(config->host), (unsigned)port);
}

/* Every worker gets its own listening socket on the same address; the first decides a port of 0. */
static int
open_each(int *fds, uint32_t count, struct slice host, uint16_t *port)
{
    for (uint32_t i = 0; i < count; i++) {
        char problem[128];
        fds[i] = listener_socket(host, port, BACKLOG, problem);
        if (fds[i] < 0) {
            int error = fds[i];
            log_say(LOG_ERROR, "can not listen", "%.*s:%u: %s", SLICE_ARG(host), (unsigned)*port, problem);
            return error;
        }
    }
    return 0;
}

/* The rule for penstock.listen.host (R189) holds for whoever opened the socket. */
static int
check_open(const struct doors *doors, const struct config *config)
{
    struct slice host = slice_from(doors->address);
    const char *colon = memrchr(host.ptr, ':', host.len);
    host.len = colon ? (size_t)(colon - host.ptr) : host.len;
    if (config_is_loopback(host) || config->key_count > 0 || config->allow_open)
        return 0;
    log_say(LOG_ERROR, "can not listen",
            "the socket %s that was handed over can be reached by others and no client key is set: set "
            "general_settings.master_key or penstock.keys, or say that it is meant with --allow-open",
            doors->address);
    return -ERR_CONFIG;
}

static int
share(struct doors *doors, const struct config *config, int inherited)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    if (getsockname(inherited, (struct sockaddr *)&address, &len) != 0)
        return -ERR_SYSTEM;
    net_address_text((const struct sockaddr *)&address, doors->address);
    int error = check_open(doors, config);
    for (uint32_t i = 0; error == 0 && i < doors->count; i++) {
        doors->client[i] = fcntl(inherited, F_DUPFD_CLOEXEC, 0);
        if (doors->client[i] < 0) {
            log_say(LOG_ERROR, "can not listen", "%s: %s", doors->address, strerror(errno));
            return -ERR_SYSTEM;
        }
    }
    return error;
}

static int *
make_places(uint32_t count)
{
    int *fds = malloc(count * sizeof(*fds));
    for (uint32_t i = 0; fds && i < count; i++)
        fds[i] = -1;
    return fds;
}

int
doors_open(struct doors *doors, const struct config *config, int inherited, bool demo)
{
    *doors = (struct doors){.count = config->workers, .inherited = inherited >= 0};
    doors->client = make_places(doors->count);
    doors->demo = demo ? make_places(doors->count) : NULL;
    if (!doors->client || (demo && !doors->demo))
        return -ERR_MEMORY;
    if (demo) {
        int error = open_each(doors->demo, doors->count, SLICE_LIT("127.0.0.1"), &doors->demo_port);
        if (error < 0)
            return error;
    }
    if (inherited >= 0)
        return share(doors, config, inherited);
    uint16_t port = config->port;
    int error = open_each(doors->client, doors->count, config->host, &port);
    write_address(doors, config, port);
    return error;
}

int
doors_give(struct doors *doors, struct gateway *gateway)
{
    int error = 0;
    assert(gateway->worker_count == doors->count);
    for (uint32_t i = 0; error == 0 && doors->demo && i < doors->count; i++) {
        error = demo_open(gateway->workers[i], doors->demo[i]);
        if (error == 0)
            doors->demo[i] = -1;
    }
    for (uint32_t i = 0; error == 0 && i < doors->count; i++) {
        error = worker_listen(gateway->workers[i], doors->client[i], doors->inherited);
        if (error == 0)
            doors->client[i] = -1;
    }
    return error;
}

static void
close_each(int *fds, uint32_t count)
{
    for (uint32_t i = 0; fds && i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(fds);
}

void
doors_close(struct doors *doors)
{
    close_each(doors->client, doors->count);
    close_each(doors->demo, doors->count);
    *doors = (struct doors){0};
}
