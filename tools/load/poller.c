/* SPDX-License-Identifier: MIT
 *
 * poller.c - see poller.h. The one place in the tools that knows epoll.
 */
#include "tools/load/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

int
poller_open(struct poller *poller)
{
    *poller = (struct poller){.fd = epoll_create1(EPOLL_CLOEXEC)};
    if (poller->fd < 0)
        return -1;
    poller->events = calloc(POLLER_EVENTS_MAX, sizeof(struct epoll_event));
    return poller->events ? 0 : -1;
}

void
poller_close(struct poller *poller)
{
    close(poller->fd);
    free(poller->events);
}

int
poller_add(struct poller *poller, int fd, void *owner, bool output)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = owner};
    if (output)
        event.events |= EPOLLOUT;
    return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event);
}

static int
wait_coarsely(struct poller *poller, uint64_t wait_ns)
{
    int wait_ms = wait_ns == POLLER_FOREVER ? -1 : (int)((wait_ns + 999999) / 1000000);
    return epoll_wait(poller->fd, poller->events, POLLER_EVENTS_MAX, wait_ms);
}

int
poller_wait(struct poller *poller, uint64_t wait_ns)
{
    int count;
    if (poller->coarse) {
        count = wait_coarsely(poller, wait_ns);
    } else {
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                .tv_nsec = (long)(wait_ns % 1000000000u)};
        count = epoll_pwait2(poller->fd, poller->events, POLLER_EVENTS_MAX,
                             wait_ns == POLLER_FOREVER ? NULL : &wait, NULL);
        if (count < 0 && errno == ENOSYS) {
            poller->coarse = true;
            count = wait_coarsely(poller, wait_ns);
        }
    }
    return count > 0 ? count : 0;
}

void *
poller_event(const struct poller *poller, int i, unsigned *ready)
{
    const struct epoll_event *event = (const struct epoll_event *)poller->events + i;
    unsigned bits = 0;
    if (event->events & EPOLLIN)
        bits |= POLLER_IN;
    if (event->events & EPOLLOUT)
        bits |= POLLER_OUT;
    if (event->events & (EPOLLRDHUP | EPOLLHUP))
        bits |= POLLER_FIN;
    if (event->events & EPOLLERR)
        bits |= POLLER_ERROR;
    *ready = bits;
    return event->data.ptr;
}
