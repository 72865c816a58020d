/* SPDX-License-Identifier: MIT
 *
 * service.c - systemd's protocols: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
 *
 * The watchdog is fed by main, but only when a question has gone through the mailbox of every worker: a loop that hangs,
 * spins or waits for a lock answers none, and the manager restarts us.
 */
#include "gateway/service.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#define FIRST_INHERITED_FD 3
#define INHERITED_MAX 64u
#define CHECKS_A_PERIOD 4 /* what is missing in one may come in the next */

static bool
number_of(const char *name, uint64_t *out)
{
    const char *value = getenv(name);
    return value != NULL && text_u64(slice_from(value), out);
}

/* Is a variable that names a process missing, or does it name us? */
static bool
meant_for_us(const char *name, bool when_missing)
{
    uint64_t pid;
    if (getenv(name) == NULL)
        return when_missing;
    return number_of(name, &pid) && pid == (uint64_t)getpid();
}

/* A path, or "@name" of the abstract kind. */
static int
find_manager(struct service *service)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct timeval patience = {.tv_sec = 1}; /* a manager that does not read must not stop us */
    if (name == NULL || (name[0] != '/' && name[0] != '@'))
        return 0;
    size_t len = strlen(name);
    if (len < 2 || len >= sizeof(service->manager.sun_path))
        return 0;
    service->manager.sun_family = AF_UNIX;
    memcpy(service->manager.sun_path, name, len + 1);
    service->manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    if (name[0] == '@') { /* these are told apart by length, so that the NUL behind must not count */
        service->manager.sun_path[0] = '\0';
        service->manager_len--;
    }
    service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (service->fd < 0)
        return -ERR_SYSTEM;
    (void)setsockopt(service->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return 0;
}

static bool
option_of(int fd, int option, int *value)
{
    socklen_t len = sizeof(*value);
    return getsockopt(fd, SOL_SOCKET, option, value, &len) == 0;
}

/* What systemd hands over is ours to prepare: it knows neither our flags nor what accepted sockets should inherit. */
static int
adopt_listener(int fd, char *problem)
{
    int listening = 0, type = 0, family = 0, on = 1;
    if (!option_of(fd, SO_ACCEPTCONN, &listening) || !option_of(fd, SO_TYPE, &type) ||
        !option_of(fd, SO_DOMAIN, &family) || !listening || type != SOCK_STREAM ||
        (family != AF_INET && family != AF_INET6)) {
        snprintf(problem, SERVICE_PROBLEM_BYTES, "descriptor %d is not a TCP socket that listens (ListenStream= with a port)", fd);
        return -ERR_CONFIG;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        snprintf(problem, SERVICE_PROBLEM_BYTES, "descriptor %d: %s", fd, strerror(errno));
        return -ERR_CONFIG;
    }
    return 0;
}

/* Which of several is ours says its name: FileDescriptorName=penstock. */
static int
choose_inherited(uint64_t count)
{
    const char *names = getenv("LISTEN_FDNAMES");
    struct slice rest = names != NULL ? slice_from(names) : SLICE_NONE;
    if (count == 1)
        return FIRST_INHERITED_FD;
    for (int i = 0; (uint64_t)i < count && slice_present(rest); i++)
        if (slice_is(text_split(&rest, ':'), "penstock"))
            return FIRST_INHERITED_FD + i;
    return -1;
}

static int
find_listener(struct service *service, char *problem)
{
    uint64_t count;
    if (!meant_for_us("LISTEN_PID", false) || !number_of("LISTEN_FDS", &count) || count == 0)
        return 0;
    if (count > INHERITED_MAX) {
        snprintf(problem, SERVICE_PROBLEM_BYTES, "LISTEN_FDS: more than %u", INHERITED_MAX);
        return -ERR_CONFIG;
    }
    int chosen = choose_inherited(count);
    if (chosen < 0) {
        snprintf(problem, SERVICE_PROBLEM_BYTES,
                 "%u sockets were handed over and none is named penstock (FileDescriptorName=): one is expected", (unsigned)count);
        return -ERR_CONFIG;
    }
    for (int fd = FIRST_INHERITED_FD; fd < FIRST_INHERITED_FD + (int)count; fd++)
        if (fd != chosen)
            close(fd);
    int error = adopt_listener(chosen, problem);
    if (error == 0)
        service->listener = chosen;
    return error;
}

int
service_take(struct service *service, char problem[SERVICE_PROBLEM_BYTES])
{
    static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
    *service = (struct service){.fd = -1, .listener = -1};
    problem[0] = '\0';
    int error = find_manager(service);
    if (error < 0)
        snprintf(problem, SERVICE_PROBLEM_BYTES, "NOTIFY_SOCKET: %s", strerror(errno));
    else
        error = find_listener(service, problem);
    if (error == 0 && (service->fd < 0 || !meant_for_us("WATCHDOG_PID", true) || !number_of("WATCHDOG_USEC", &service->watchdog_us)))
        service->watchdog_us = 0;
    for (size_t i = 0; i < countof(variables); i++)
        unsetenv(variables[i]);
    return error;
}

void
service_tell(const struct service *service, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (service->fd < 0)
        return;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len <= 0)
        return;
    size_t n = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    /* To the address each time: a manager that was started anew has another socket there. */
    ssize_t sent;
    do
        sent = sendto(service->fd, text, n, MSG_NOSIGNAL, (const struct sockaddr *)&service->manager, service->manager_len);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        log_say(LOG_DEBUG1, "service manager not told", "%s", strerror(errno));
}

/* The first worker that has not turned since it was asked; NULL: all have. */
static const struct worker *
find_silent(const struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        if (!worker_answered(gateway->workers[i]))
            return gateway->workers[i];
    return NULL;
}

uint64_t
service_watch(struct service *service, struct gateway *gateway, uint64_t now_us)
{
    if (service->watchdog_us == 0)
        return UINT64_MAX;
    if (service->next_us > now_us)
        return service->next_us - now_us;
    const struct worker *silent = find_silent(gateway);
    if (silent == NULL) {
        service_tell(service, "WATCHDOG=1");
        service->answered_us = now_us;
        service->silent = false;
        for (uint32_t i = 0; i < gateway->worker_count; i++)
            worker_ask(gateway->workers[i]);
    } else if (!service->silent && now_us - service->answered_us > service->watchdog_us / 2) {
        log_say(LOG_ERROR, "a worker does not turn", "worker %u, for %llu ms; the service manager is not told that we live",
                (unsigned)silent->number, (unsigned long long)((now_us - service->answered_us) / 1000));
        service->silent = true;
    }
    uint64_t period_us = service->watchdog_us / CHECKS_A_PERIOD;
    service->next_us = now_us + (period_us > 0 ? period_us : 1);
    return service->next_us - now_us;
}

void
service_close(struct service *service)
{
    if (service->fd >= 0)
        close(service->fd);
    if (service->listener >= 0)
        close(service->listener);
    service->fd = service->listener = -1;
}
