/* SPDX-License-Identifier: MIT
 *
 * log_ring.c - lines from many threads to one descriptor, through a ring no producer waits for.
 *
 *     claimed ------------------------v        positions count slots and never wrap;
 *     [free][ready][ready][being written]      slot = position modulo RING_SLOTS
 *            ^--------- freed
 *
 * A line takes one or more slots in a row. A producer claims them by moving `claimed` (compare and
 * swap; it gives up and counts when they are not free), copies, then publishes by storing
 * position + 1 into the first slot. The writer thread alone reads, and then moves `freed`. Only
 * first slots carry a mark, unique to its position, so one left from an earlier lap is no danger.
 */
#include "base/log_ring.h"

#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOT_BYTES 512u
#define RING_SLOTS 2048u
#define SLOT_DATA_BYTES (SLOT_BYTES - 16)

/* A pipe that is ready takes this much without blocking (POSIX PIPE_BUF on Linux). A file does not
 * block, and takes a batch at once. */
#define WRITE_BYTES_MAX 4096u
#define BATCH_BYTES 32768u
/* While lines come the writer looks for them this often, and nobody has to wake it: each wake-up
 * would cost the worker more than the line. */
#define GATHER_NS 2000000
#define POLL_MS 100
/* How long log_stop tolerates a descriptor that takes nothing. */
#define STOP_STALL_MS 1000
#define PATH_BYTES_MAX 1024u

struct slot {
    _Atomic uint64_t ready; /* position + 1 once a line beginning here is complete */
    uint32_t len;           /* of that line */
    char data[SLOT_DATA_BYTES];
};

static struct {
    struct slot slots[RING_SLOTS];
    _Alignas(64) _Atomic uint64_t claimed;
    _Alignas(64) _Atomic uint64_t freed;
    _Alignas(64) _Atomic uint64_t dropped;
    _Atomic bool asleep; /* the writer waits on wake, or is about to */
    _Atomic bool stopping;
    _Atomic bool running;
    _Atomic int fd;
    sem_t wake;
    pthread_t thread;
    /* the writer's own */
    uint64_t dropped_said;
    bool gave_up; /* the descriptor took nothing while we were stopping */
    bool to_file;
    size_t pending;
    char batch[BATCH_BYTES];
    /* a file of our own, with rotation; path empty: a borrowed descriptor */
    char path[PATH_BYTES_MAX];
    uint64_t file_bytes, rotate_bytes;
    unsigned keep;
    _Atomic bool reopen;
} ring = {.fd = STDERR_FILENO};

_Static_assert(LOG_LINE_MAX <= WRITE_BYTES_MAX, "a line fits one write");
_Static_assert((RING_SLOTS & (RING_SLOTS - 1)) == 0, "positions map to slots by a mask");

static struct slot *
slot_at(uint64_t position)
{
    return &ring.slots[position & (RING_SLOTS - 1)];
}

static uint64_t
slots_for(size_t len)
{
    return (len + SLOT_DATA_BYTES - 1) / SLOT_DATA_BYTES;
}

uint64_t
log_dropped(void)
{
    return atomic_load_explicit(&ring.dropped, memory_order_relaxed);
}

/* Copy a line into the ring; false when there is no room. */
static bool
ring_push(struct slice line)
{
    uint64_t count = slots_for(line.len);
    uint64_t position = atomic_load_explicit(&ring.claimed, memory_order_relaxed);
    do {
        /* `freed` may be newer than `position`; the exchange then fails and we look again. */
        uint64_t freed = atomic_load_explicit(&ring.freed, memory_order_acquire);
        if (position + count > freed + RING_SLOTS)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&ring.claimed, &position, position + count,
                                                    memory_order_relaxed, memory_order_relaxed));

    struct slot *first = slot_at(position);
    first->len = (uint32_t)line.len;
    for (uint64_t i = 0; i < count; i++) {
        struct slice part = slice_take(line, SLOT_DATA_BYTES);
        memcpy(slot_at(position + i)->data, part.ptr, part.len);
        line = slice_skip(line, part.len);
    }
    /* Sequentially consistent, as are the other three marked so: see writer_sleep. */
    atomic_store_explicit(&first->ready, position + 1, memory_order_seq_cst);
    return true;
}

/* Move the next complete line behind the batch; false when there is none or no room for it. */
static bool
ring_pop(void)
{
    uint64_t position = atomic_load_explicit(&ring.freed, memory_order_relaxed);
    const struct slot *first = slot_at(position);
    if (atomic_load_explicit(&first->ready, memory_order_seq_cst) != position + 1)
        return false;
    size_t left = first->len;
    assert(left > 0 && left <= LOG_LINE_MAX);
    if (left > sizeof(ring.batch) - ring.pending)
        return false;
    uint64_t count = slots_for(left);
    for (uint64_t i = 0; i < count; i++) {
        size_t n = left < SLOT_DATA_BYTES ? left : SLOT_DATA_BYTES;
        memcpy(ring.batch + ring.pending, slot_at(position + i)->data, n);
        ring.pending += n;
        left -= n;
    }
    atomic_store_explicit(&ring.freed, position + count, memory_order_release);
    return true;
}

/*
 * Write everything, waiting for the descriptor before each write, so that the thread can always be
 * stopped. Errors lose the rest: there is nowhere to report them.
 */
static void
write_out(const char *bytes, size_t len)
{
    int stalled_ms = 0;
    while (len > 0 && !ring.gave_up) {
        int fd = atomic_load_explicit(&ring.fd, memory_order_relaxed);
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        int n = ring.to_file ? 1 : poll(&ready, 1, POLL_MS);
        if (n == 0) {
            stalled_ms += POLL_MS;
            if (atomic_load_explicit(&ring.stopping, memory_order_relaxed))
                ring.gave_up = stalled_ms >= STOP_STALL_MS;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        size_t most = ring.to_file ? BATCH_BYTES : WRITE_BYTES_MAX;
        ssize_t written = write(fd, bytes, len < most ? len : most);
        if (written < 0) {
            if (errno == EINTR || errno == EAGAIN)
                continue;
            return;
        }
        stalled_ms = 0;
        ring.file_bytes += (uint64_t)written;
        bytes += written;
        len -= (size_t)written;
    }
}

/* If lines were lost since this was last said, say so. */
static void
say_dropped(void)
{
    uint64_t dropped = log_dropped();
    if (dropped == ring.dropped_said || !log_on(LOG_WARN))
        return;
    struct log_line line;
    log_begin(&line, LOG_WARN, "log lines dropped");
    log_i64(&line, "lines", (int64_t)(dropped - ring.dropped_said));
    log_i64(&line, "total", (int64_t)dropped);
    line.text[line.len++] = '\n';
    write_out(line.text, line.len);
    ring.dropped_said = dropped;
}

/* Open the log file anew; the old one stays in use when that fails. */
static int
open_file(void)
{
    int fd = open(ring.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -ERR_SYSTEM;
    struct stat status;
    ring.file_bytes = fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    int old = atomic_exchange_explicit(&ring.fd, fd, memory_order_relaxed);
    if (old > STDERR_FILENO)
        close(old);
    return 0;
}

/* path.2 becomes path.3, path.1 path.2, path path.1; what would be older than keep is overwritten. */
static void
rotate(void)
{
    char from[PATH_BYTES_MAX + 16], to[PATH_BYTES_MAX + 16];
    for (unsigned i = ring.keep; i > 0; i--) {
        snprintf(to, sizeof(to), "%s.%u", ring.path, i);
        if (i > 1)
            snprintf(from, sizeof(from), "%s.%u", ring.path, i - 1);
        else
            snprintf(from, sizeof(from), "%s", ring.path);
        (void)rename(from, to);
    }
    if (ring.keep == 0)
        (void)unlink(ring.path);
    if (open_file() < 0)
        ring.file_bytes = 0; /* go on with the old one and try again a file later */
}

/* Between two batches, so that no line is split over two files. */
static void
tend_file(void)
{
    if (ring.path[0] == '\0')
        return;
    if (atomic_exchange_explicit(&ring.reopen, false, memory_order_relaxed))
        (void)open_file();
    if (ring.rotate_bytes > 0 && ring.file_bytes >= ring.rotate_bytes)
        rotate();
}

/* Write until the ring is empty. Was there anything? */
static bool
drain(void)
{
    bool any = false;
    for (;;) {
        while (ring_pop())
            ;
        if (ring.pending == 0)
            break;
        any = true;
        tend_file();
        write_out(ring.batch, ring.pending);
        ring.pending = 0;
        say_dropped();
    }
    say_dropped();
    return any;
}

/*
 * Sleep unless a line came meanwhile. A producer publishes and then reads `asleep`; we set `asleep`
 * and then look for a line. All four are sequentially consistent, so at least one sees the other.
 */
static void
writer_sleep(void)
{
    atomic_store_explicit(&ring.asleep, true, memory_order_seq_cst);
    uint64_t position = atomic_load_explicit(&ring.freed, memory_order_relaxed);
    if (atomic_load_explicit(&slot_at(position)->ready, memory_order_seq_cst) == position + 1 ||
        atomic_load_explicit(&ring.stopping, memory_order_seq_cst)) {
        atomic_store_explicit(&ring.asleep, false, memory_order_seq_cst);
        return;
    }
    while (sem_wait(&ring.wake) < 0 && errno == EINTR)
        ;
}

static void
writer_wake(void)
{
    /* The exchange makes one producer of many pay for the wake-up. */
    if (atomic_load_explicit(&ring.asleep, memory_order_seq_cst) &&
        atomic_exchange_explicit(&ring.asleep, false, memory_order_seq_cst))
        sem_post(&ring.wake);
}

static void *
writer_main(void *unused)
{
    (void)unused;
    static const struct timespec gather = {.tv_nsec = GATHER_NS};
    while (!atomic_load_explicit(&ring.stopping, memory_order_seq_cst)) {
        if (drain())
            nanosleep(&gather, NULL);
        else
            writer_sleep();
    }
    (void)drain();
    return NULL;
}

/* Without the thread the caller writes, and waits if it must: at start and at the very end only. */
static void
write_directly(struct slice line)
{
    int fd = atomic_load_explicit(&ring.fd, memory_order_relaxed);
    while (line.len > 0) {
        ssize_t written = write(fd, line.ptr, line.len);
        if (written < 0 && errno != EINTR)
            return;
        line = slice_skip(line, written > 0 ? (size_t)written : 0);
    }
}

void
log_ring_put(struct slice line)
{
    assert(line.len > 0 && line.len <= LOG_LINE_MAX);
    if (!atomic_load_explicit(&ring.running, memory_order_acquire))
        write_directly(line);
    else if (ring_push(line))
        writer_wake();
    else
        atomic_fetch_add_explicit(&ring.dropped, 1, memory_order_relaxed);
}

int
log_start(int fd)
{
    assert(!atomic_load(&ring.running));
    struct stat status;
    ring.to_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    atomic_store(&ring.fd, fd);
    atomic_store(&ring.stopping, false);
    atomic_store(&ring.asleep, false);
    if (sem_init(&ring.wake, 0, 0) < 0)
        return -ERR_SYSTEM;

    /* Signals belong to the main thread: this one takes none. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&ring.thread, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        sem_destroy(&ring.wake);
        return -ERR_SYSTEM;
    }
    atomic_store_explicit(&ring.running, true, memory_order_release);
    return 0;
}

int
log_start_file(struct slice path, uint64_t rotate_bytes, unsigned keep)
{
    assert(!atomic_load(&ring.running));
    if (path.len == 0 || path.len >= sizeof(ring.path) || memchr(path.ptr, 0, path.len))
        return -ERR_CONFIG;
    memcpy(ring.path, path.ptr, path.len);
    ring.path[path.len] = '\0';
    ring.rotate_bytes = rotate_bytes;
    ring.keep = keep;
    int error = open_file();
    return error < 0 ? error : log_start(atomic_load(&ring.fd));
}

void
log_reopen(void)
{
    atomic_store_explicit(&ring.reopen, true, memory_order_relaxed);
}

void
log_stop(void)
{
    if (!atomic_load(&ring.running))
        return;
    atomic_store_explicit(&ring.stopping, true, memory_order_seq_cst);
    writer_wake();
    pthread_join(ring.thread, NULL);
    atomic_store_explicit(&ring.running, false, memory_order_release);
    sem_destroy(&ring.wake);
    /* A line pushed while the thread was ending: nobody else reads the ring now. */
    (void)drain();
    ring.gave_up = false;
    ring.path[0] = '\0'; /* what is still said goes to the last file, which is not rotated any more */
}
