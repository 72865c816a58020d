/* SPDX-License-Identifier: MIT
 *
 * tls_worker.c - what the TLS wires of one loop share: turns at costly steps, memory for engines.
 *
 * Turns: public-key work blocks the loop for up to some milliseconds, so one step of it is taken in
 * a tick, by the wire that has asked first. Between two steps the loop serves everybody else: a
 * storm of handshakes delays a live stream by one step. Memory: an engine's record buffers hold
 * nothing while it is quiet; a wire that was quiet for a second gives their pages back.
 */
#include "reactor/tls.h"

#include "reactor/backend.h"
#include "reactor/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u
#define SLOTS_FREE_MAX 64
#define QUIET_MS 1000
#define STARTS_MAX 16  /* per tick; each costs up to 0.1 ms */
#define QUIET_BATCH 64 /* give-backs per tick: each is a system call */

static void turn_due(struct deadline *deadline);
static void idle_due(struct deadline *deadline);

static void
slots_init(struct tls_slots *slots, size_t bytes)
{
    *slots = (struct tls_slots){.slot_bytes = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES};
}

static void
slots_fini(struct tls_slots *slots)
{
    while (slots->free) {
        void *slot = slots->free;
        memcpy(&slots->free, slot, sizeof(void *));
        munmap(slot, slots->slot_bytes);
    }
    slots->free_count = 0;
}

struct tls_worker *
tls_worker(struct loop *loop)
{
    if (loop->tls)
        return loop->tls;
    struct tls_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->loop = loop;
    worker->protocols[0] = "http/1.1";
    worker->steps_tick = UINT64_MAX;
    list_init(&worker->turns);
    list_init(&worker->waiting);
    list_init(&worker->busy);
    deadline_init(&worker->turn, turn_due);
    deadline_init(&worker->idle, idle_due);
    slots_init(&worker->client_slots, tls_client_slot_bytes());
    slots_init(&worker->server_slots, tls_server_slot_bytes());
    loop->tls = worker;
    if (!tls_verify_init(worker) || !tls_client_init(worker) || !tls_server_init(worker)) {
        tls_fini(loop);
        return NULL;
    }
    return worker;
}

void
tls_fini(struct loop *loop)
{
    struct tls_worker *worker = loop->tls;
    if (!worker)
        return;
    assert(list_empty(&worker->turns));
    assert(list_empty(&worker->waiting));
    assert(list_empty(&worker->busy));
    assert(loop->handshakes == 0);
    loop_cancel(loop, &worker->turn);
    loop_cancel(loop, &worker->idle);
    tls_client_fini(worker);
    tls_server_fini(worker);
    tls_verify_fini(worker);
    slots_fini(&worker->client_slots);
    slots_fini(&worker->server_slots);
    free(worker);
    loop->tls = NULL;
}

/* -- memory -- */

void *
tls_slot_take(struct tls_slots *slots)
{
    void *slot = slots->free;
    if (slot) {
        memcpy(&slots->free, slot, sizeof(void *));
        slots->free_count--;
        return slot;
    }
    slot =
        mmap(NULL, slots->slot_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return slot == MAP_FAILED ? NULL : slot;
}

void
tls_slot_give(struct tls_slots *slots, void *slot)
{
    /* Keys and plaintext go with the pages: what is mapped again reads as zeros. */
    if (slots->free_count >= SLOTS_FREE_MAX ||
        madvise(slot, slots->slot_bytes, MADV_DONTNEED) != 0) {
        munmap(slot, slots->slot_bytes);
        return;
    }
    memcpy(slot, &slots->free, sizeof(void *));
    slots->free = slot;
    slots->free_count++;
}

void
tls_busy(struct tls *tls)
{
    struct tls_worker *worker = tls->worker;
    if (list_linked(&tls->busy_link) && tls->busy_ms == worker->loop->now_ms)
        return;
    tls->busy_ms = worker->loop->now_ms;
    list_remove(&tls->busy_link);
    list_push_back(&worker->busy, &tls->busy_link);
    if (!deadline_armed(&worker->idle))
        loop_arm(worker->loop, &worker->idle, QUIET_MS);
}

/* Give the pages of a quiet engine's buffers back; the first page holds the engine and stays. */
static void
give_pages_back(struct tls *tls)
{
    struct tls_slots *slots = tls->target ? &tls->worker->client_slots : &tls->worker->server_slots;
    size_t engine_bytes = tls->target ? PAGE_BYTES : 2 * PAGE_BYTES;
    assert(engine_bytes < slots->slot_bytes);
    if (madvise((char *)tls->slot + engine_bytes, slots->slot_bytes - engine_bytes,
                MADV_DONTNEED) != 0)
        return; /* then they stay; nothing depends on it */
}

static void
idle_due(struct deadline *deadline)
{
    struct tls_worker *worker = container_of(deadline, struct tls_worker, idle);
    uint64_t now_ms = worker->loop->now_ms;
    int batch = 0;
    while (!list_empty(&worker->busy)) {
        struct tls *tls = list_entry(worker->busy.next, struct tls, busy_link);
        if (tls->busy_ms + QUIET_MS > now_ms || batch++ == QUIET_BATCH) {
            wheel_arm(&worker->loop->wheel, deadline, tls->busy_ms + QUIET_MS);
            return;
        }
        list_remove(&tls->busy_link);
        if (tls_quiet(tls)) {
            give_pages_back(tls);
        } else {
            tls->busy_ms = now_ms; /* half a record, or a slow reader: look again later */
            list_push_back(&worker->busy, &tls->busy_link);
        }
    }
}

/* -- turns -- */

/* Those who stand first in a line and could go on are touched in the next tick. */
static void
call_next(struct tls_worker *worker)
{
    struct loop *loop = worker->loop;
    bool room = loop->handshakes < loop->limits.handshakes_max;
    if (!list_empty(&worker->turns) || (room && !list_empty(&worker->waiting)))
        loop_arm(loop, &worker->turn, 0);
}

static void
call_first(struct list *line)
{
    while (!list_empty(line)) {
        struct tls *tls = list_entry(line->next, struct tls, turn_link);
        if (!tls->conn->lost && tls->conn->fd >= 0) {
            conn_touch(tls->conn);
            return;
        }
        list_remove(&tls->turn_link); /* it waited in vain: nobody has closed it yet, or the kernel still holds its memory */
    }
}

static void
turn_due(struct deadline *deadline)
{
    struct tls_worker *worker = container_of(deadline, struct tls_worker, turn);
    call_first(&worker->turns);
    if (worker->loop->handshakes < worker->loop->limits.handshakes_max)
        call_first(&worker->waiting);
    call_next(worker);
}

bool
tls_verifier_free(struct tls *tls)
{
    struct tls_worker *worker = tls->worker;
    struct loop *loop = worker->loop;
    bool first = list_empty(&worker->waiting) || worker->waiting.next == &tls->turn_link;
    if (first && loop->handshakes < loop->limits.handshakes_max) {
        list_remove(&tls->turn_link);
        call_next(worker);
        return true;
    }
    if (!list_linked(&tls->turn_link))
        list_push_back(&worker->waiting, &tls->turn_link);
    call_next(worker);
    return false;
}

bool
tls_start_turn(struct tls *tls)
{
    struct tls_worker *worker = tls->worker;
    uint64_t tick = worker->loop->stats.ticks;
    if (worker->starts_tick != tick)
        worker->starts = 0;
    worker->starts_tick = tick;
    return worker->starts++ < STARTS_MAX;
}

bool
tls_turn(struct tls *tls)
{
    struct tls_worker *worker = tls->worker;
    bool first = list_empty(&worker->turns) || worker->turns.next == &tls->turn_link;
    if (first && worker->steps_tick != worker->loop->stats.ticks) {
        worker->steps_tick = worker->loop->stats.ticks;
        list_remove(&tls->turn_link);
        call_next(worker);
        return true;
    }
    if (!list_linked(&tls->turn_link))
        list_push_back(&worker->turns, &tls->turn_link);
    call_next(worker);
    return false;
}

void
tls_turn_leave(struct tls *tls)
{
    list_remove(&tls->turn_link);
    call_next(tls->worker);
}
