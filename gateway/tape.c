/* SPDX-License-Identifier: MIT
 *
 * tape.c - the latest events of a stream; see tape.h.
 *
 * Bytes lie in a ring that grows up to its limit; offsets count from the beginning of the stream and never go back. Writer
 * and reader are woken through their workers' mailboxes, which any thread may use; a flag keeps that to one letter at a time.
 */
#include "gateway/tape.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

#include <stdlib.h>

#define RING_BYTES_LEAST 4096u
#define EVENTS_LEAST 64u

struct tape_event {
    uint64_t serial, end; /* offset behind it */
};

struct tape_side { /* a stream at one side of the tape, where letters go */
    struct worker *worker;
    uint64_t serial; /* of its connection */
    bool here, waits;
};

struct tape {
    struct list link; /* of the store */
    struct tape_store *store;
    atomic_uint references;
    pthread_mutex_t lock;
    char id[TAPE_ID_LEN];
    char *owner;
    unsigned kind;
    size_t max;
    /* behind the lock */
    char *ring;
    size_t room, at; /* of the ring; where start lies in it */
    uint64_t start, end;
    uint64_t floor;            /* what lies before was had by who listened last */
    struct tape_event *events; /* those that lie in the ring, from event_first on */
    size_t event_first, event_count, event_room;
    bool over, whole, lost;
    bool client; /* the writer's own still listens */
    uint64_t alone_ms; /* since when */
    uint64_t ticket;   /* of the reader; 0: there never was one */
    struct tape_side writer, reader;
};

struct wake {
    struct mail mail;
    struct tape *tape; /* a reference */
    uint64_t serial;
    enum stream_event notice;
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
    atomic_fetch_sub_explicit(&tape->store->bytes, tape->end - tape->start, memory_order_relaxed);
    pthread_mutex_destroy(&tape->lock);
    free(tape->ring);
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
        bool useless = tape->lost || !tape->whole;
        bool old = tape->over && !tape->reader.here && (useless || tape->alone_ms + ttl_ms <= now_ms);
        pthread_mutex_unlock(&tape->lock);
        if (!old)
            continue;
        atomic_fetch_add_explicit(&store->expired, 1, memory_order_relaxed);
        forget(tape);
    }
    pthread_mutex_unlock(&store->lock);
}

struct tape *
tape_new(struct tape_store *store, const struct tape_name *name, struct stream *writer, size_t bytes_max, uint64_t tapes_max)
{
    assert(name->id.len == TAPE_ID_LEN);
    struct tape *tape = atomic_load_explicit(&store->count, memory_order_relaxed) < tapes_max ? calloc(1, sizeof(*tape)) : NULL;
    if (!tape)
        return NULL;
    tape->owner = strndup(name->owner.ptr, name->owner.len);
    if (!tape->owner || pthread_mutex_init(&tape->lock, NULL) != 0) {
        free(tape->owner);
        free(tape);
        return NULL;
    }
    tape->store = store;
    atomic_init(&tape->references, 2);
    list_init(&tape->link);
    memcpy(tape->id, name->id.ptr, TAPE_ID_LEN);
    tape->kind = name->kind;
    tape->max = bytes_max;
    tape->client = true;
    tape->writer = (struct tape_side){.worker = writer->worker, .serial = writer->serial, .here = true};
    pthread_mutex_lock(&store->lock);
    list_push_back(&store->tapes, &tape->link);
    pthread_mutex_unlock(&store->lock);
    atomic_fetch_add_explicit(&store->count, 1, memory_order_relaxed);
    return tape;
}

struct tape *
tape_find(struct tape_store *store, const struct tape_name *name)
{
    struct tape *found = NULL;
    if (name->id.len != TAPE_ID_LEN)
        return NULL;
    pthread_mutex_lock(&store->lock);
    for (struct list *node = store->tapes.next; node != &store->tapes && !found; node = node->next) {
        struct tape *tape = list_entry(node, struct tape, link);
        if (memcmp(tape->id, name->id.ptr, TAPE_ID_LEN) == 0 && tape->kind == name->kind && slice_is(name->owner, tape->owner))
            found = tape;
    }
    if (found)
        atomic_fetch_add_explicit(&found->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&store->lock);
    return found;
}

/* ---------------------------------------------------------------- waking */

/* The connection may have gone, or serve another request by now: only who still holds this tape is meant. */
static void
deliver(struct worker *worker, struct mail *mail)
{
    struct wake *wake = container_of(mail, struct wake, mail);
    for (struct list *node = worker->streams.next; node != &worker->streams; node = node->next) {
        struct stream *stream = list_entry(node, struct stream, link);
        if (stream->serial == wake->serial && stream->tape == wake->tape)
            stream_post(stream, wake->notice);
    }
    tape_drop(wake->tape);
    free(wake);
}

static bool
write_to(struct tape *tape, const struct tape_side *to, enum stream_event notice)
{
    struct wake *wake = malloc(sizeof(*wake));
    if (!wake)
        return false; /* a reader's next ping and a writer's next drain check look, too */
    *wake = (struct wake){.mail = {.deliver = deliver}, .tape = tape, .serial = to->serial, .notice = notice};
    atomic_fetch_add_explicit(&tape->references, 1, memory_order_relaxed);
    worker_send(to->worker, &wake->mail);
    return true;
}

static void
wake_reader(struct tape *tape)
{
    if (tape->reader.here && tape->reader.waits)
        tape->reader.waits = !write_to(tape, &tape->reader, EVENT_TURN);
}

/* ---------------------------------------------------------------- writing */

static bool
grow_ring(struct tape *tape, size_t needed)
{
    size_t held = (size_t)(tape->end - tape->start), room = tape->room ? tape->room : RING_BYTES_LEAST;
    while (room < needed)
        room *= 2;
    room = room < tape->max ? room : tape->max;
    if (room == tape->room)
        return true;
    char *ring = malloc(room);
    if (!ring)
        return false;
    size_t first = held < tape->room - tape->at ? held : tape->room - tape->at;
    if (held > 0) {
        memcpy(ring, tape->ring + tape->at, first);
        memcpy(ring + first, tape->ring, held - first);
    }
    free(tape->ring);
    tape->ring = ring;
    tape->room = room;
    tape->at = 0;
    return true;
}

/* Whole events go from the front until there is room for n bytes more. False: somebody would lose them. */
static bool
make_room(struct tape *tape, size_t n)
{
    uint64_t start = tape->start;
    if (n > tape->max)
        return false;
    while (tape->event_count > 0 && tape->end - tape->start + n > tape->max) {
        const struct tape_event *first = &tape->events[tape->event_first];
        if (!tape->client && first->end > tape->floor)
            return false;
        tape->at = (tape->at + (size_t)(first->end - tape->start)) % tape->room;
        tape->start = first->end;
        tape->event_first++;
        tape->event_count--;
        atomic_fetch_sub_explicit(&tape->store->bytes, tape->start - start, memory_order_relaxed);
        start = tape->start;
    }
    size_t needed = (size_t)(tape->end - tape->start) + n;
    return needed <= tape->room || grow_ring(tape, needed);
}

static bool
note_event(struct tape *tape, uint64_t serial, uint64_t end)
{
    if (tape->event_first + tape->event_count == tape->event_room && tape->event_first > tape->event_room / 2) {
        memmove(tape->events, tape->events + tape->event_first, tape->event_count * sizeof(*tape->events));
        tape->event_first = 0;
    } else if (tape->event_first + tape->event_count == tape->event_room) {
        size_t room = tape->event_room ? tape->event_room * 2 : EVENTS_LEAST;
        struct tape_event *more = realloc(tape->events, room * sizeof(*more));
        if (!more)
            return false;
        tape->events = more;
        tape->event_room = room;
    }
    tape->events[tape->event_first + tape->event_count++] = (struct tape_event){serial, end};
    return true;
}

bool
tape_append(struct tape *tape, uint64_t serial, struct slice bytes)
{
    pthread_mutex_lock(&tape->lock);
    bool good = !tape->lost && make_room(tape, bytes.len) && note_event(tape, serial, tape->end + bytes.len);
    if (good && bytes.len > 0) {
        size_t to = (tape->at + (size_t)(tape->end - tape->start)) % tape->room;
        size_t first = bytes.len < tape->room - to ? bytes.len : tape->room - to;
        memcpy(tape->ring + to, bytes.ptr, first);
        memcpy(tape->ring, bytes.ptr + first, bytes.len - first);
        tape->end += bytes.len;
        atomic_fetch_add_explicit(&tape->store->bytes, bytes.len, memory_order_relaxed);
    }
    tape->lost = !good;
    wake_reader(tape);
    pthread_mutex_unlock(&tape->lock);
    return good;
}

/* Half of the tape is for what came before: a connection that broke has swallowed the newest of it. */
bool
tape_full(struct tape *tape)
{
    pthread_mutex_lock(&tape->lock);
    bool full = !tape->client && !tape->lost && tape->end - tape->floor >= tape->max / 2;
    tape->writer.waits = full;
    pthread_mutex_unlock(&tape->lock);
    return full;
}

/* Nobody listens any more. */
static void
leave(struct tape *tape, uint64_t now_ms)
{
    if (!tape->reader.here)
        tape->alone_ms = now_ms;
    if (!tape->reader.here && tape->client)
        tape->floor = tape->end;
    tape->client = false;
}

void
tape_end(struct tape *tape, bool whole, uint64_t now_ms)
{
    pthread_mutex_lock(&tape->lock);
    leave(tape, now_ms);
    tape->over = true;
    tape->whole = whole;
    tape->writer.here = false;
    wake_reader(tape);
    pthread_mutex_unlock(&tape->lock);
}

void
tape_left(struct tape *tape, uint64_t now_ms)
{
    pthread_mutex_lock(&tape->lock);
    if (tape->client)
        leave(tape, now_ms);
    pthread_mutex_unlock(&tape->lock);
}

uint64_t
tape_alone_ms(struct tape *tape)
{
    pthread_mutex_lock(&tape->lock);
    uint64_t since = tape->lost ? 0 : tape->client || tape->reader.here ? UINT64_MAX : tape->alone_ms;
    pthread_mutex_unlock(&tape->lock);
    return since;
}

/* ---------------------------------------------------------------- reading */

bool
tape_attach(struct tape *tape, struct stream *reader, uint64_t serial, uint64_t *offset, uint64_t *ticket)
{
    bool found = false;
    pthread_mutex_lock(&tape->lock);
    bool useless = tape->lost || (tape->over && !tape->whole);
    for (size_t i = 0; i < tape->event_count && !found && !useless; i++) {
        const struct tape_event *event = &tape->events[tape->event_first + i];
        found = event->serial == serial;
        *offset = event->end;
    }
    if (found) {
        if (tape->reader.here)
            (void)write_to(tape, &tape->reader, EVENT_TURN);
        if (tape->client && tape->writer.here)
            (void)write_to(tape, &tape->writer, EVENT_CLIENT_GONE);
        tape->client = false;
        tape->floor = *offset;
        tape->reader = (struct tape_side){.worker = reader->worker, .serial = reader->serial, .here = true};
        *ticket = ++tape->ticket;
    }
    pthread_mutex_unlock(&tape->lock);
    return found;
}

/* Some of the ring, which ends where its memory does and begins anew. */
static void
copy_out(const struct tape *tape, uint64_t offset, size_t n, struct sink *out)
{
    size_t from = (tape->at + (size_t)(offset - tape->start)) % tape->room;
    size_t first = n < tape->room - from ? n : tape->room - from;
    sink_put(out, slice_of(tape->ring + from, first));
    sink_put(out, slice_of(tape->ring, n - first));
}

enum tape_got
tape_read(struct tape *tape, uint64_t ticket, uint64_t *offset, size_t max, struct sink *out)
{
    enum tape_got got = TAPE_WAIT;
    pthread_mutex_lock(&tape->lock);
    if (ticket != tape->ticket) {
        got = TAPE_REPLACED;
    } else if (*offset < tape->end) {
        size_t n = tape->end - *offset < max ? (size_t)(tape->end - *offset) : max;
        assert(*offset >= tape->start); /* make_room leaves what the reader has not had */
        copy_out(tape, *offset, n, out);
        *offset += n;
        tape->floor = *offset;
        got = TAPE_BYTES;
    } else if (tape->lost || tape->over) {
        got = tape->whole && !tape->lost ? TAPE_OVER : TAPE_CUT;
    } else {
        tape->reader.waits = true;
    }
    if (got == TAPE_BYTES && tape->writer.waits && tape->writer.here && tape->end - tape->floor < tape->max / 4)
        tape->writer.waits = !write_to(tape, &tape->writer, EVENT_CLIENT_ROOM);
    pthread_mutex_unlock(&tape->lock);
    return got;
}

void
tape_detach(struct tape *tape, uint64_t ticket, uint64_t now_ms)
{
    pthread_mutex_lock(&tape->lock);
    if (ticket == tape->ticket) {
        tape->reader.here = tape->reader.waits = false;
        tape->alone_ms = now_ms;
    }
    pthread_mutex_unlock(&tape->lock);
}
