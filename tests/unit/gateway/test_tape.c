/* SPDX-License-Identifier: MIT
 *
 * test_tape.c - events that wait for a client that comes back: the ring, its bounds, who may read it, and when it is forgotten.
 */
#include "gateway/tape.h"
#include "gateway/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#define TTL_MS 1000u

static struct tape_store store;
static struct worker here, there; /* the writer's and the reader's: nothing of them is used but their mailboxes */
static struct stream writer, reader, second;
static const struct tape_name alice = {SLICE_LIT("ABCDEFGHIJKLMNOP"), SLICE_LIT("alice"), 1};

static void
open_mailbox(struct worker *worker)
{
    memset(worker, 0, sizeof *worker);
    list_init(&worker->streams);
    pthread_mutex_init(&worker->mail_lock, NULL);
    worker->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static void
close_mailbox(struct worker *worker)
{
    worker_read_mail(worker);
    pthread_mutex_destroy(&worker->mail_lock);
    close(worker->mail_fd);
}

static int
enter(void **state)
{
    (void)state;
    open_mailbox(&here);
    open_mailbox(&there);
    writer = (struct stream){.worker = &here, .serial = 1};
    reader = (struct stream){.worker = &there, .serial = 2};
    second = (struct stream){.worker = &there, .serial = 3};
    return tape_store_init(&store);
}

/* All references are back, and so are all bytes. */
static int
leave(void **state)
{
    (void)state;
    close_mailbox(&here);
    close_mailbox(&there);
    tape_store_fini(&store);
    assert_int_equal(store.count, 0);
    assert_int_equal(store.bytes, 0);
    return 0;
}

static unsigned
letters(const struct worker *worker)
{
    unsigned count = 0;
    for (const struct mail *mail = worker->mail_first; mail; mail = mail->next)
        count++;
    return count;
}

/* An event's text depends on its number only, and its length too. */
static struct slice
event(uint64_t serial)
{
    static char text[512];
    int n = snprintf(text, sizeof text, "id: %llu\ndata: ", (unsigned long long)serial);
    for (uint64_t i = 0; i < serial * 7 % 97; i++)
        text[n++] = (char)('a' + (serial + i) % 26);
    text[n++] = '\n';
    text[n++] = '\n';
    return slice_of(text, (size_t)n);
}

static void
append(struct tape *tape, uint64_t from, uint64_t to)
{
    for (uint64_t serial = from; serial < to; serial++)
        assert_true(tape_append(tape, serial, event(serial)));
}

/* What is read from the tape must be these events, whatever the pieces. */
static void
expect(struct tape *tape, uint64_t ticket, uint64_t *offset, uint64_t from, uint64_t to, size_t piece)
{
    struct sink wanted, got;
    sink_init(&wanted, 1u << 24);
    sink_init(&got, 1u << 24);
    for (uint64_t serial = from; serial < to; serial++)
        sink_put(&wanted, event(serial));
    while (got.len < wanted.len)
        assert_int_equal(tape_read(tape, ticket, offset, piece, &got), TAPE_BYTES);
    assert_true(slice_eq(sink_slice(&wanted), sink_slice(&got)));
    sink_fini(&wanted);
    sink_fini(&got);
}

static void
a_reader_gets_what_comes_behind_its_event(void **unused)
{
    uint64_t offset, ticket;
    struct sink none;
    (void)unused;
    sink_init(&none, 100);
    struct tape *tape = tape_new(&store, &alice, &writer, 65536, 10);
    append(tape, 0, 100);
    tape_left(tape, 5);
    assert_int_equal(tape_alone_ms(tape), 5);
    assert_false(tape_attach(tape, &reader, 100, &offset, &ticket)); /* not told yet */
    assert_true(tape_attach(tape, &reader, 41, &offset, &ticket));
    assert_true(tape_alone_ms(tape) == UINT64_MAX);
    expect(tape, ticket, &offset, 42, 100, 7);
    assert_int_equal(tape_read(tape, ticket, &offset, 100, &none), TAPE_WAIT);
    assert_int_equal(letters(&there), 0);
    append(tape, 100, 103);
    assert_int_equal(letters(&there), 1); /* one letter for all of them */
    expect(tape, ticket, &offset, 100, 103, 1000);
    assert_int_equal(tape_read(tape, ticket, &offset, 100, &none), TAPE_WAIT);
    tape_end(tape, true, 7);
    assert_int_equal(letters(&there), 2);
    assert_int_equal(tape_read(tape, ticket, &offset, 100, &none), TAPE_OVER);
    tape_detach(tape, ticket, 9);
    assert_true(tape_attach(tape, &reader, 102, &offset, &ticket)); /* behind the last there is nothing but the end */
    assert_int_equal(tape_read(tape, ticket, &offset, 100, &none), TAPE_OVER);
    tape_detach(tape, ticket, 9);
    tape_drop(tape);
    assert_int_equal(none.len, 0);
    sink_fini(&none);
}

static void
the_newest_stay_while_the_first_client_listens(void **unused)
{
    uint64_t offset, ticket, first = 0;
    (void)unused;
    for (size_t max = 16384; max < 16500; max += 13) { /* the ring ends at many places within an event */
        struct tape *tape = tape_new(&store, &alice, &writer, max, 10);
        append(tape, 0, 5000);
        assert_in_range(store.bytes, max - 512, max);
        assert_false(tape_full(tape));
        tape_left(tape, 1);
        assert_false(tape_attach(tape, &reader, 0, &offset, &ticket));
        for (first = 4999; tape_attach(tape, &reader, first - 1, &offset, &ticket); first--)
            ;
        assert_in_range(4999 - first, 100, 400);
        assert_true(tape_attach(tape, &reader, first, &offset, &ticket));
        expect(tape, ticket, &offset, first + 1, 5000, 100 + max % 7);
        tape_end(tape, false, 1);
        tape_detach(tape, ticket, 1);
        tape_drop(tape);
        tape_store_sweep(&store, 2, TTL_MS); /* without an end it is of no use */
        assert_int_equal(store.count, 0);
        assert_true(worker_read_mail(&there)); /* letters hold it, too */
        assert_int_equal(store.bytes, 0);
    }
}

/* Nothing goes that whoever is next has not had: the writer is told to wait, and called when there is room. */
static void
the_writer_waits_for_a_slow_reader(void **unused)
{
    uint64_t offset, ticket, serial = 0, had = 0;
    (void)unused;
    struct tape *tape = tape_new(&store, &alice, &writer, 16384, 10);
    append(tape, 0, 1000);
    assert_false(tape_full(tape));
    tape_left(tape, 1);
    assert_false(tape_full(tape));
    for (serial = 1000; !tape_full(tape); serial++)
        append(tape, serial, serial + 1);
    assert_in_range(serial, 1080, 1300); /* half of it */
    assert_true(tape_attach(tape, &reader, had = 990, &offset, &ticket));
    assert_int_equal(letters(&here), 0);
    expect(tape, ticket, &offset, had + 1, serial, 1000);
    assert_int_equal(letters(&here), 1);
    assert_false(tape_full(tape));
    for (had = serial; !tape_full(tape); serial++)
        append(tape, serial, serial + 1);
    tape_detach(tape, ticket, 1); /* its place is kept for the next */
    assert_true(tape_full(tape));
    assert_true(tape_attach(tape, &second, had - 1, &offset, &ticket));
    expect(tape, ticket, &offset, had, serial, 50);
    tape_end(tape, true, 1);
    tape_detach(tape, ticket, 1);
    tape_drop(tape);
}

static void
what_does_not_fit_is_the_end_of_it(void **unused)
{
    uint64_t offset, ticket;
    struct sink out;
    char *large = calloc(1, 20000);
    (void)unused;
    sink_init(&out, 1u << 20);
    struct tape *tape = tape_new(&store, &alice, &writer, 16384, 10);
    append(tape, 0, 10);
    tape_left(tape, 1);
    assert_true(tape_attach(tape, &reader, 3, &offset, &ticket));
    assert_true(tape_append(tape, 10, slice_of(large, 9000)));
    assert_false(tape_append(tape, 11, slice_of(large, 9000))); /* it would take what the reader has not had */
    assert_false(tape_append(tape, 12, event(12)));
    assert_int_equal(tape_alone_ms(tape), 0); /* nobody can follow any more */
    expect(tape, ticket, &offset, 4, 10, 1); /* what is there is good; then it is cut, not ended */
    sink_reset(&out, 0);
    while (out.len < 9000)
        assert_int_equal(tape_read(tape, ticket, &offset, 1000, &out), TAPE_BYTES);
    assert_int_equal(tape_read(tape, ticket, &offset, 1000, &out), TAPE_CUT);
    assert_false(tape_attach(tape, &second, 5, &offset, &ticket));
    tape_end(tape, true, 1);
    assert_false(tape_attach(tape, &second, 5, &offset, &ticket));
    tape_detach(tape, ticket, 1);
    tape_drop(tape);
    tape = tape_new(&store, &alice, &writer, 16384, 10);
    assert_false(tape_append(tape, 0, slice_of(large, 20000)));
    tape_end(tape, true, 1);
    tape_drop(tape);
    free(large);
    sink_fini(&out);
}

static void
only_the_last_reader_reads(void **unused)
{
    uint64_t offset, ticket, other_offset, other;
    struct sink none;
    (void)unused;
    sink_init(&none, 100);
    struct tape *tape = tape_new(&store, &alice, &writer, 65536, 10);
    append(tape, 0, 10);
    assert_true(tape_attach(tape, &reader, 3, &offset, &ticket));
    assert_int_equal(letters(&here), 1); /* the stream's own client is replaced, too */
    expect(tape, ticket, &offset, 4, 10, 1000);
    assert_int_equal(tape_read(tape, ticket, &offset, 100, &none), TAPE_WAIT);
    assert_true(tape_attach(tape, &second, 8, &other_offset, &other));
    assert_int_equal(letters(&here), 1);
    assert_int_equal(letters(&there), 1);
    assert_int_equal(tape_read(tape, ticket, &offset, 100, &none), TAPE_REPLACED);
    tape_detach(tape, ticket, 1); /* it does not take the other's place away */
    assert_true(tape_alone_ms(tape) == UINT64_MAX);
    expect(tape, other, &other_offset, 9, 10, 1000);
    tape_end(tape, true, 1);
    tape_detach(tape, other, 50);
    assert_int_equal(tape_alone_ms(tape), 50);
    tape_drop(tape);
    sink_fini(&none);
}

static void
a_tape_is_found_by_all_of_its_name_until_its_time_is_over(void **unused)
{
    static const struct tape_name wrong[] = {{SLICE_LIT("ABCDEFGHIJKLMNOp"), SLICE_LIT("alice"), 1},
                                             {SLICE_LIT("ABCDEFGHIJKLMNO"), SLICE_LIT("alice"), 1},
                                             {SLICE_LIT("ABCDEFGHIJKLMNOP"), SLICE_LIT("bob"), 1},
                                             {SLICE_LIT("ABCDEFGHIJKLMNOP"), SLICE_LIT(""), 1},
                                             {SLICE_LIT("ABCDEFGHIJKLMNOP"), SLICE_LIT("alice"), 2}};
    static const struct tape_name other = {SLICE_LIT("0123456789abcdef"), SLICE_LIT(""), 0};
    uint64_t offset, ticket;
    (void)unused;
    struct tape *tape = tape_new(&store, &alice, &writer, 65536, 1);
    assert_null(tape_new(&store, &other, &writer, 65536, 1)); /* one is all there may be */
    append(tape, 0, 10);
    for (size_t i = 0; i < countof(wrong); i++)
        assert_null(tape_find(&store, &wrong[i]));
    tape_left(tape, 100);
    tape_store_sweep(&store, 100000, TTL_MS); /* it goes on: its writer knows how long */
    assert_int_equal(store.count, 1);
    tape_end(tape, true, 200);
    tape_drop(tape);
    tape_store_sweep(&store, 1199, TTL_MS);
    struct tape *found = tape_find(&store, &alice);
    assert_ptr_equal(found, tape);
    assert_true(tape_attach(found, &reader, 3, &offset, &ticket));
    tape_store_sweep(&store, 5000, TTL_MS); /* somebody reads it */
    assert_int_equal(store.count, 1);
    tape_detach(found, ticket, 5000);
    tape_drop(found);
    tape_store_sweep(&store, 5999, TTL_MS);
    assert_int_equal(store.count, 1);
    tape_store_sweep(&store, 6000, TTL_MS);
    assert_int_equal(store.count, 0);
    assert_int_equal(store.expired, 1);
    assert_null(tape_find(&store, &alice));
}

/* The connection that a letter is for may serve another request when it comes, which must not hear of it. */
static void
a_letter_is_for_who_holds_the_tape(void **unused)
{
    uint64_t offset, ticket;
    (void)unused;
    list_init(&writer.link);
    list_push_back(&here.streams, &writer.link);
    struct tape *tape = tape_new(&store, &alice, &writer, 65536, 10);
    append(tape, 0, 10);
    assert_true(tape_attach(tape, &reader, 3, &offset, &ticket));
    assert_int_equal(letters(&here), 1);
    tape_end(tape, true, 1);
    tape_detach(tape, ticket, 1);
    tape_drop(tape);
    assert_true(worker_read_mail(&here));
    assert_int_equal(writer.notices, 0);
    list_remove(&writer.link);
}

#define MANY 20000u

static void *
write_many(void *argument)
{
    struct tape *tape = argument;
    static char text[512]; /* event() belongs to the other thread */
    for (uint64_t serial = 10; serial < MANY; serial++) {
        int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)serial);
        while (tape_full(tape))
            sched_yield();
        if (!tape_append(tape, serial, slice_of(text, (size_t)n)))
            return argument;
    }
    tape_end(tape, true, 1);
    return NULL;
}

static void
two_threads(void **unused)
{
    uint64_t offset, ticket, expected = 10;
    struct sink got;
    pthread_t thread;
    void *failed;
    (void)unused;
    sink_init(&got, 1u << 20);
    struct tape *tape = tape_new(&store, &alice, &writer, 16384, 10);
    append(tape, 0, 10);
    tape_left(tape, 1);
    assert_true(tape_attach(tape, &reader, 9, &offset, &ticket));
    assert_int_equal(pthread_create(&thread, NULL, write_many, tape), 0);
    for (enum tape_got what = TAPE_WAIT; what != TAPE_OVER;) {
        what = tape_read(tape, ticket, &offset, 100, &got);
        assert_true(what == TAPE_BYTES || what == TAPE_WAIT || what == TAPE_OVER);
        if (what == TAPE_WAIT)
            sched_yield();
        tape_store_sweep(&store, 5, TTL_MS);
        for (char *end; got.len > 0 && (end = memchr(got.ptr, '\n', got.len)) != NULL;) {
            assert_int_equal(strtoull(got.ptr, NULL, 10), expected++);
            sink_drop_front(&got, (size_t)(end - got.ptr) + 1);
        }
        worker_read_mail(&there);
    }
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(expected, MANY);
    tape_detach(tape, ticket, 1);
    tape_drop(tape);
    sink_fini(&got);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_gets_what_comes_behind_its_event, enter, leave),
        cmocka_unit_test_setup_teardown(the_newest_stay_while_the_first_client_listens, enter, leave),
        cmocka_unit_test_setup_teardown(the_writer_waits_for_a_slow_reader, enter, leave),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_the_end_of_it, enter, leave),
        cmocka_unit_test_setup_teardown(only_the_last_reader_reads, enter, leave),
        cmocka_unit_test_setup_teardown(a_tape_is_found_by_all_of_its_name_until_its_time_is_over, enter, leave),
        cmocka_unit_test_setup_teardown(a_letter_is_for_who_holds_the_tape, enter, leave),
        cmocka_unit_test_setup_teardown(two_threads, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
