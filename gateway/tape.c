/* SPDX-License-Identifier: MIT
 *
 * tape.c - the latest events of a stream; see tape.h.
 *
 * Bytes lie in one ring of memory that grows up to its limit; offsets count from the beginning of the stream and never go
 * back. The reader is woken through its worker's mailbox, which any thread may use; a flag keeps that to one letter at a time.
 */
#include "gateway/tape.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

#include <stdlib.h>

struct tape_event {
    uint64_t serial, end; /* offset behind it */
};

struct tape {
    struct list link; /* of the store */
    struct tape_store *store;
    atomic_uint references;
    pthread_mutex_t lock;
    char id[TAPE_ID_LEN];
    char *owner;
    size_t max;
    /* behind the lock */
    struct sink bytes;        /* from start on */
    uint64_t start;
    struct tape_event *events; /* those that lie in bytes */
    size_t event_count, event_room;
    bool over, whole, lost, client, spilled;
    uint64_t alone_ms; /* since when */
    uint64_t ticket;   /* of the reader; 0: there never was one */
    bool read;         /* there is a reader */
    struct worker *worker; /* the reader's */
    uint64_t serial;       /* the reader's connection */
    bool woken;
};

struct wake {
    struct mail mail;
    uint64_t serial;
};

/* ---------------------------------------------------------------- life */

int
tape_store_init(struct tape_store *store)
{
    memset(store, 0, sizeof(*store));
    list_init(&store->tapes);
    return pthread_mutex_init(&store->lock, NULL) == 0 ? 0 : -ERR_MEMORY;
}

void
tape_drop(struct tape *tape)
{
    if (atomic_fetch_sub_explicit(&tape->references, 1, memory_order_acq_rel) != 1)
        return;
    atomic_fetch_sub_explicit(&tape->store->bytes, tape->bytes.len, memory_order_relaxed);
    sink_fini(&tape->bytes);
    pthread_mutex_destroy(&tape->lock);
    free(tape->events);
    free(tape->owner);
    free(tape);
}

static void
forget(struct tape *tape) /* under the store's lock */
{
    list_remove(&tape->link);
    atomic_fetch_sub_explicit(&tape->store->count, 1, memory_order_relaxed);
    tape_drop(tape);
}

void
tape_store_fini(struct tape_store *store)
{
    while (!list_empty(&store->tapes))
        forget(list_entry(store->tapes.next, struct tape, link));
    pthread_mutex_destroy(&store->lock);
}

void
tape_store_sweep(struct tape_store *store, uint64_t now_ms, uint64_t ttl_ms)
{
    pthread_mutex_lock(&store->lock);
    for (struct list *node = store->tapes.next, *next; node != &store->tapes; node = next) {
        struct tape *tape = list_entry(node, struct tape, link);
        next = node->next;
        pthread_mutex_lock(&tape->lock);
        bool old = tape->over && !tape->read && tape->alone_ms + ttl_ms <= now_ms;
        pthread_mutex_unlock(&tape->lock);
        if (!old)
            continue;
        atomic_fetch_add_explicit(&store->expired, 1, memory_order_relaxed);
        forget(tape);
    }
    pthread_mutex_unlock(&store->lock);
}

struct tape *
tape_new(struct tape_store *store, struct slice id, struct slice owner, size_t bytes_max, uint64_t tapes_max, uint64_t now_ms)
{
    assert(id.len >= TAPE_ID_LEN);
    struct tape *tape = atomic_load_explicit(&store->count, memory_order_relaxed) < tapes_max ? calloc(1, sizeof(*tape)) : NULL;
    if (!tape)
        return NULL;
    tape->owner = strndup(owner.ptr, owner.len);
    if (!tape->owner || pthread_mutex_init(&tape->lock, NULL) != 0) {
        free(tape->owner);
        free(tape);
        return NULL;
    }
    tape->store = store;
    atomic_init(&tape->references, 2);
    list_init(&tape->link);
    memcpy(tape->id, id.ptr, TAPE_ID_LEN);
    tape->max = bytes_max;
    sink_init(&tape->bytes, bytes_max + 1);
    tape->client = true;
    tape->alone_ms = now_ms;
    pthread_mutex_lock(&store->lock);
    list_push_back(&store->tapes, &tape->link);
    pthread_mutex_unlock(&store->lock);
    atomic_fetch_add_explicit(&store->count, 1, memory_order_relaxed);
    return tape;
}

struct tape *
tape_find(struct tape_store *store, struct slice id, struct slice owner)
{
    struct tape *found = NULL;
    if (id.len != TAPE_ID_LEN)
        return NULL;
    pthread_mutex_lock(&store->lock);
    for (struct list *node = store->tapes.next; node != &store->tapes && !found; node = node->next) {
        struct tape *tape = list_entry(node, struct tape, link);
        if (memcmp(tape->id, id.ptr, TAPE_ID_LEN) == 0 && slice_is(owner, tape->owner))
            found = tape;
    }
    if (found)
        atomic_fetch_add_explicit(&found->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&store->lock);
    return found;
}

/* ---------------------------------------------------------------- waking */

static void
deliver(struct worker *worker, struct mail *mail)
{
    struct wake *wake = container_of(mail, struct wake, mail);
    for (struct list *node = worker->streams.next; node != &worker->streams; node = node->next) {
        struct stream *stream = list_entry(node, struct stream, link);
        if (stream->serial == wake->serial && stream->state == STATE_FINISH)
            stream_post(stream, EVENT_TURN);
    }
    free(wake);
}

static void
wake_reader(struct tape *tape) /* under the tape's lock */
{
    if (!tape->read || tape->woken)
        return;
    struct wake *wake = malloc(sizeof(*wake));
    if (!wake)
        return; /* its next ping looks, too */
    *wake = (struct wake){.mail = {.deliver = deliver}, .serial = tape->serial};
    tape->woken = true;
    worker_send(tape->worker, &wake->mail);
}

/* ---------------------------------------------------------------- writing */

/* Drops whole events from the front until there is room for n bytes more. */
static void
make_room(struct tape *tape, size_t n)
{
    size_t count = 0;
    while (count < tape->event_count && tape->bytes.len - (tape->events[count].end - tape->start) + n > tape->max)
        count++;
    count += count < tape->event_count && tape->bytes.len + n > tape->max;
    if (count == 0)
        return;
    uint64_t end = tape->events[count - 1].end;
    size_t bytes = (size_t)(end - tape->start);
    sink_drop_front(&tape->bytes, bytes);
    memmove(tape->events, tape->events + count, (tape->event_count - count) * sizeof(*tape->events));
    tape->event_count -= count;
    tape->start = end;
    tape->spilled = tape->spilled || (!tape->client && !tape->read);
    atomic_fetch_sub_explicit(&tape->store->bytes, bytes, memory_order_relaxed);
}

static bool
note_event(struct tape *tape, uint64_t serial, uint64_t end)
{
    if (tape->event_count == tape->event_room) {
        size_t room = tape->event_room ? tape->event_room * 2 : 64;
        struct tape_event *more = realloc(tape->events, room * sizeof(*more));
        if (!more)
            return false;
        tape->events = more;
        tape->event_room = room;
    }
    tape->events[tape->event_count++] = (struct tape_event){serial, end};
    return true;
}

bool
tape_append(struct tape *tape, uint64_t serial, struct slice bytes)
{
    pthread_mutex_lock(&tape->lock);
    bool good = !tape->lost && bytes.len <= tape->max;
    if (good) {
        make_room(tape, bytes.len);
        sink_put(&tape->bytes, bytes);
        good = tape->bytes.error == 0 && note_event(tape, serial, tape->start + tape->bytes.len);
    }
    if (good)
        atomic_fetch_add_explicit(&tape->store->bytes, bytes.len, memory_order_relaxed);
    tape->lost = !good;
    wake_reader(tape);
    pthread_mutex_unlock(&tape->lock);
    return good;
}

void
tape_end(struct tape *tape, bool whole, uint64_t now_ms)
{
    pthread_mutex_lock(&tape->lock);
    tape->over = true;
    tape->whole = whole;
    tape->client = false;
    if (!tape->read)
        tape->alone_ms = now_ms;
    wake_reader(tape);
    pthread_mutex_unlock(&tape->lock);
}

void
tape_left(struct tape *tape, uint64_t now_ms)
{
    pthread_mutex_lock(&tape->lock);
    tape->client = false;
    if (!tape->read)
        tape->alone_ms = now_ms;
    pthread_mutex_unlock(&tape->lock);
}

uint64_t
tape_alone_ms(struct tape *tape, bool *spilled)
{
    pthread_mutex_lock(&tape->lock);
    uint64_t since = tape->client || tape->read ? UINT64_MAX : tape->alone_ms;
    *spilled = tape->spilled || tape->lost;
    pthread_mutex_unlock(&tape->lock);
    return since;
}

/* ---------------------------------------------------------------- reading */

bool
tape_attach(struct tape *tape, struct stream *stream, uint64_t serial, uint64_t *offset, uint64_t *ticket)
{
    bool found = false;
    pthread_mutex_lock(&tape->lock);
    for (size_t i = 0; i < tape->event_count && !found && !tape->lost; i++) {
        found = tape->events[i].serial == serial;
        *offset = tape->events[i].end;
    }
    if (found) {
        wake_reader(tape); /* who is replaced shall see it */
        tape->read = true;
        tape->woken = false;
        tape->worker = stream->worker;
        tape->serial = stream->serial;
        *ticket = ++tape->ticket;
    }
    pthread_mutex_unlock(&tape->lock);
    return found;
}

enum tape_got
tape_read(struct tape *tape, uint64_t ticket, uint64_t *offset, size_t max, struct sink *out)
{
    enum tape_got got = TAPE_WAIT;
    pthread_mutex_lock(&tape->lock);
    uint64_t end = tape->start + tape->bytes.len;
    if (ticket != tape->ticket || *offset < tape->start || (tape->lost && *offset == end)) {
        got = TAPE_CUT;
    } else if (*offset < end) {
        size_t n = end - *offset < max ? (size_t)(end - *offset) : max;
        sink_put(out, slice_of(tape->bytes.ptr + (*offset - tape->start), n));
        *offset += n;
        got = TAPE_BYTES;
    } else if (tape->over) {
        got = tape->whole ? TAPE_OVER : TAPE_CUT;
    } else {
        tape->woken = false;
    }
    pthread_mutex_unlock(&tape->lock);
    return got;
}

void
tape_detach(struct tape *tape, uint64_t ticket, uint64_t now_ms)
{
    pthread_mutex_lock(&tape->lock);
    if (ticket == tape->ticket) {
        tape->read = false;
        tape->alone_ms = now_ms;
    }
    pthread_mutex_unlock(&tape->lock);
}
