/* SPDX-License-Identifier: MIT
 *
 * starve.c - the golden cases again with too little memory, at many places: what is asked for is
 * written as always, or there is an error that says what was lacking. Nothing in between: no answer
 * with a part missing, no other error, no assert.
 */
#include "tests/golden/drive.h"

#include <stdio.h>
#include <stdlib.h>

#define PLACES 48     /* for each case and each kind of memory */
#define GRAIN_BYTES 16u /* what an arena counts in */

static const char *
fault(const char *format, size_t bytes, int error)
{
    static char text[256];
    snprintf(text, sizeof text, format, bytes, err_row(error)->name);
    return text;
}

/* Limits spread over what is needed, at other places in every case; never all of it. */
static size_t
place(size_t needed, unsigned i, uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    size_t grains = needed / GRAIN_BYTES, width = grains / PLACES + 1;
    size_t at = (grains * i / PLACES + (*seed >> 8) % width) * GRAIN_BYTES;
    return at < GRAIN_BYTES ? GRAIN_BYTES : at;
}

/* The limit of a sink is what a provider or a client would be told of; memory is our own lack. */
static bool
says_so(int error)
{
    return error == -ERR_MEMORY || error == -ERR_LIMIT;
}

/* ---------------------------------------------------------------- replies */

static const char *
starve_once(const struct drive *drive, struct slice upstream, const struct drive_result *whole)
{
    struct drive_result result;
    const char *why = NULL;
    drive_reply(drive, upstream, &result);
    bool same = result.error == whole->error &&
                slice_eq(sink_slice(&result.text), sink_slice(&whole->text));
    size_t bytes = drive->memory_max + drive->event_max;
    /* A failed reply may have failed already, and its error may be told with less. */
    if (!same && result.error == 0)
        why = fault("with %zu bytes another answer, and no error (%s)", bytes, 0);
    else if (!same && !says_so(result.error) && result.error != whole->error)
        why = fault("with %zu bytes the error is %s", bytes, result.error);
    drive_result_fini(&result);
    return why;
}

const char *
starve_reply(const struct drive *drive, struct slice upstream)
{
    struct drive starved = *drive;
    struct drive_result whole;
    const char *why = NULL;
    uint32_t seed = (uint32_t)upstream.len;
    starved.memory_max = starved.event_max = 0;
    starved.split = SPLIT_NONE;
    drive_reply(&starved, upstream, &whole);
    if (starved.status >= 300) /* an error is told whatever happens */
        whole.arena_bytes = whole.event_bytes = 0;
    for (unsigned i = 0; i < PLACES && !why && whole.arena_bytes > 0; i++) {
        starved.memory_max = place(whole.arena_bytes, i, &seed);
        why = starve_once(&starved, upstream, &whole);
    }
    starved.memory_max = 0;
    for (unsigned i = 0; i < PLACES && !why && whole.event_bytes > 0; i++) {
        starved.event_max = place(whole.event_bytes, i, &seed);
        why = starve_once(&starved, upstream, &whole);
    }
    drive_result_fini(&whole);
    return why;
}

/* ---------------------------------------------------------------- requests */

struct written {
    struct sink out;
    int error;
    size_t arena_bytes;
};

static void
write_with(const struct dialect *client, const struct dialect *upstream,
           const struct dialect_upstream *target, const struct canon_request *from,
           size_t memory_max, size_t out_max, struct written *written)
{
    struct canon_report report = {0};
    struct canon_fault blame = {0};
    struct arena arena;
    struct canon_request request = {.body = from->body, .arena = &arena, .model = from->model, .stream = from->stream};
    arena_init(&arena, memory_max);
    sink_init(&written->out, out_max);
    int error = json_parse(request.body, 64, 1u << 20, &arena, &request.root);
    if (!error)
        error = client->outline(&request, &blame);
    if (!error && client == upstream) {
        error = upstream->check_pass ? upstream->check_pass(&request, target, &blame) : 0;
        if (!error)
            error = upstream->pass_request(&request, target, &written->out);
    } else if (!error) {
        error = client->read_request(&request, &blame);
        if (!error)
            error = upstream->write_request(&request, target, &written->out, &report, &blame);
    }
    written->error = error;
    written->arena_bytes = arena.used;
    arena_fini(&arena);
}

const char *
starve_request(const struct dialect *client, const struct dialect *upstream,
               const struct dialect_upstream *target, const struct canon_request *request)
{
    struct written whole, starved;
    const char *why = NULL;
    uint32_t seed = (uint32_t)request->body.len;
    write_with(client, upstream, target, request, 64u << 20, 32u << 20, &whole);
    for (unsigned i = 0; i < 2 * PLACES && !why; i++) {
        bool out = i >= PLACES;
        size_t max = place(out ? whole.out.len : whole.arena_bytes, i % PLACES, &seed);
        if (out && max >= whole.out.len)
            continue;
        write_with(client, upstream, target, request, out ? 64u << 20 : max, out ? max : 32u << 20, &starved);
        bool same = starved.error == whole.error && slice_eq(sink_slice(&starved.out), sink_slice(&whole.out));
        if (!same && starved.error == 0)
            why = fault(out ? "a request cut at %zu bytes (%s)" : "with %zu bytes another request, and no error (%s)", max, 0);
        else if (!same && !says_so(starved.error) && starved.error != whole.error)
            why = fault("with %zu bytes the request's error is %s", max, starved.error);
        sink_fini(&starved.out);
    }
    sink_fini(&whole.out);
    return why;
}
