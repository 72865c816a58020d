/* SPDX-License-Identifier: MIT
 *
 * fuzz_tape.c - any order of appending, leaving, attaching and reading against a model: all that
 * was ever written, in one run of bytes. The input is a program of two-byte steps.
 */
#include "gateway/tape.h"
#include "gateway/worker.h"
#include "tests/fuzz/fuzz.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 4096
#define TAPE_BYTES_MAX 8192u

struct model {
    struct sink all;
    size_t ends[EVENTS_MAX];
    size_t count;
    size_t at; /* where the reader is; it has a ticket when attached */
    uint64_t offset, ticket;
    bool attached, client, over, lost;
};

static struct worker worker; /* nothing of it is used but its mailbox */
static struct stream writer = {.worker = &worker, .serial = 1}, reader = {.worker = &worker, .serial = 2};

static void
step_append(struct tape *tape, struct model *model, size_t n)
{
    char bytes[1024];
    if (model->count == EVENTS_MAX || model->over)
        return;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(model->all.len + i * 7);
    if (!tape_append(tape, model->count, slice_of(bytes, n))) {
        assert(!model->client || n > TAPE_BYTES_MAX);
        model->lost = true;
        return;
    }
    assert(!model->lost);
    sink_put(&model->all, slice_of(bytes, n));
    model->ends[model->count++] = model->all.len;
}

static void
step_attach(struct tape *tape, struct model *model, size_t back)
{
    uint64_t offset = 0, ticket = 0, serial = model->count + 1 - back; /* from one not told yet backwards */
    if (back > model->count + 1 || !tape_attach(tape, &reader, serial, &offset, &ticket))
        return;
    assert(serial < model->count && !model->lost);
    assert(offset == model->ends[serial]);
    assert(ticket != model->ticket);
    model->attached = true;
    model->client = false;
    model->ticket = ticket;
    model->offset = offset;
    model->at = offset;
}

static void
step_read(struct tape *tape, struct model *model, size_t max)
{
    struct sink out;
    if (!model->attached)
        return;
    sink_init(&out, 1u << 20);
    enum tape_got got = tape_read(tape, model->ticket, &model->offset, max, &out);
    assert((got == TAPE_BYTES) == (model->at < model->all.len));
    assert(out.len <= max && (got == TAPE_BYTES) == (out.len > 0));
    assert(slice_eq(sink_slice(&out), slice_take(slice_skip(sink_slice(&model->all), model->at), out.len)));
    assert(got != TAPE_REPLACED && (got != TAPE_WAIT || !(model->over || model->lost)));
    model->at += out.len;
    assert(model->at == model->offset);
    sink_fini(&out);
}

static void
step(struct tape *tape, struct model *model, unsigned what, unsigned n)
{
    switch (what & 7) {
    case 0:
    case 1:
        step_append(tape, model, n * 4);
        break;
    case 2:
        (void)tape_full(tape);
        break;
    case 3:
        tape_left(tape, n);
        model->client = false;
        break;
    case 4:
        step_attach(tape, model, n);
        break;
    case 5:
        step_read(tape, model, 1 + n * 16);
        break;
    case 6:
        if (model->attached)
            tape_detach(tape, model->ticket, n);
        model->attached = false;
        break;
    default:
        if (n > 128 && !model->over) {
            tape_end(tape, n & 1, n);
            model->over = true;
            model->client = false;
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const struct tape_name name = {SLICE_LIT("ABCDEFGHIJKLMNOP"), SLICE_LIT("alice"), 1};
    static struct model model;
    struct tape_store store;
    if (worker.mail_fd == 0) {
        list_init(&worker.streams);
        pthread_mutex_init(&worker.mail_lock, NULL);
        worker.mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    model = (struct model){.client = true};
    sink_init(&model.all, 64u << 20);
    assert(tape_store_init(&store) == 0);
    struct tape *tape = tape_new(&store, &name, &writer, TAPE_BYTES_MAX, 10);
    assert(tape);
    for (size_t at = 0; at + 2 <= n; at += 2) {
        step(tape, &model, bytes[at], bytes[at + 1]);
        assert(store.bytes <= TAPE_BYTES_MAX);
        (void)tape_alone_ms(tape);
    }
    struct tape *found = tape_find(&store, &name);
    assert(found == tape);
    tape_drop(found);
    tape_drop(tape);
    tape_store_fini(&store);
    (void)worker_read_mail(&worker);
    assert(store.count == 0 && store.bytes == 0);
    sink_fini(&model.all);
    return 0;
}
