/* SPDX-License-Identifier: MIT
 *
 * gemini_asking.h - for tests: requests of other dialects, written for upstreams of Gemini's.
 */
#ifndef PENSTOCK_TEST_GEMINI_ASKING_H
#define PENSTOCK_TEST_GEMINI_ASKING_H

#include "tests/unit/providers/asking.h"

#define S(text) SLICE_LIT(text)
#define HI "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CONTENTS_HI "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"

static inline struct dialect_upstream
flash(void)
{
    return (struct dialect_upstream){.model = S("gemini-2.5-flash")};
}

/* A model of whose thinking nothing is known: nothing is said of it, so that other things can be
 * seen. */
static inline struct dialect_upstream
plain(void)
{
    return (struct dialect_upstream){.model = S("gemini-2.0-flash")};
}

static inline struct dialect_upstream
third(void)
{
    return (struct dialect_upstream){.model = S("gemini-3-flash-preview"),
                                     .thinking_level = true,
                                     .json_schema = true,
                                     .result_media = true,
                                     .url_media = true};
}

static inline void
asks(struct asking *asking, const struct dialect *client, const struct dialect_upstream *upstream,
     const char *body)
{
    asking_read(asking, client, body);
    asking_write(asking, &gemini_dialect, upstream);
    if (asking->error != 0)
        print_error("%.*s\n", SLICE_ARG(asking->fault.message));
    assert_int_equal(asking->error, 0);
}

static inline void
writes(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
       const char *expected)
{
    struct asking asking;
    asks(&asking, client, upstream, body);
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static inline void
refuses(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
        const char *param)
{
    struct asking asking;
    asking_read(&asking, client, body);
    asking_write(&asking, &gemini_dialect, upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(slice_is(asking.fault.param, param));
    assert_true(slice_present(asking.fault.message));
    asking_close(&asking);
}

/* What stands in the request at a place that is looked for by its beginning. */
static inline void
says(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
     const char *wanted, bool there)
{
    struct asking asking;
    asks(&asking, client, upstream, body);
    if ((strstr(asking.out.ptr, wanted) != NULL) != there)
        print_error("%s\n", asking.out.ptr);
    assert_int_equal(strstr(asking.out.ptr, wanted) != NULL, there);
    asking_close(&asking);
}

/* A function among the tools of a Chat request. */
#define FUNCTION(rest) "{\"type\":\"function\",\"function\":{\"name\":\"f\"" rest "}}"

#endif
