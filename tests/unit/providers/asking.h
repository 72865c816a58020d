/* SPDX-License-Identifier: MIT
 *
 * asking.h - for tests: a client's request in one dialect, read and written for an upstream of
 * another.
 */
#ifndef PENSTOCK_TEST_ASKING_H
#define PENSTOCK_TEST_ASKING_H

#include "providers/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

struct asking {
    struct arena arena;
    struct canon_request request;
    struct canon_report report;
    struct canon_fault fault;
    struct sink out;
    int error;
};

/* asking_read - parse, outline and read; the error of the first step that fails. */
static inline void
asking_read(struct asking *asking, const struct dialect *client, const char *body)
{
    *asking = (struct asking){.error = 0};
    arena_init(&asking->arena, 64u << 20);
    sink_init(&asking->out, 64u << 20);
    struct canon_request *request = &asking->request;
    request->arena = &asking->arena;
    request->body = slice_from(body);
    asking->error = json_parse(request->body, 64, 1u << 20, &asking->arena, &request->root);
    if (asking->error == 0)
        asking->error = client->outline(request, &asking->fault);
    if (asking->error == 0)
        asking->error = client->read_request(request, &asking->fault);
}

static inline void
asking_write(struct asking *asking, const struct dialect *upstream_dialect,
             const struct dialect_upstream *upstream)
{
    if (asking->error == 0)
        asking->error = upstream_dialect->write_request(&asking->request, upstream, &asking->out,
                                                        &asking->report, &asking->fault);
    if (asking->error == 0) {
        struct json_scan scan;
        assert_int_equal(json_scan(sink_slice(&asking->out), 64, &scan), 0);
    }
    sink_byte(&asking->out, '\0');
}

static inline void
asking_close(struct asking *asking)
{
    sink_fini(&asking->out);
    arena_fini(&asking->arena);
}

static inline bool
asking_dropped(const struct asking *asking, const char *name)
{
    for (int i = 0; i < asking->report.count; i++) {
        if (strcmp(asking->report.dropped[i], name) == 0)
            return true;
    }
    return false;
}

#endif
