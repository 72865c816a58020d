/* SPDX-License-Identifier: MIT
 *
 * responding.h - for tests: requests of any dialect written for a Responses upstream, and what must
 * be in them.
 */
#ifndef PENSTOCK_TEST_RESPONDING_H
#define PENSTOCK_TEST_RESPONDING_H

#include "providers/openai_responses_request.h"
#include "tests/unit/providers/asking.h"

static const struct dialect_upstream official = {.model = SLICE_LIT("gpt-5.2"),
                                                 .effort = TELL_REASONING_EFFORT,
                                                 .keeps_state = true,
                                                 .developer_role = true};
static const struct dialect_upstream plain = {.model = SLICE_LIT("local")};

#define CHAT(members) "{\"model\":\"m\"," members "}"
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define SAYS_HI                                                                                    \
    "\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\","    \
    "\"text\":\"hi\"}]}]"

static inline void
writes(struct asking *asking, const struct dialect *client, const struct dialect_upstream *upstream,
       const char *body)
{
    asking_read(asking, client, body);
    asking_write(asking, &openai_responses_dialect, upstream);
    if (asking->error)
        print_error("%s: %d %.*s\n", body, asking->error, SLICE_ARG(asking->fault.message));
    assert_int_equal(asking->error, 0);
}

/* Members of the body written, as they are spelt there. */
static inline void
check_body(const struct dialect *client, const struct dialect_upstream *upstream, const char *body,
           const char *expected)
{
    struct asking asking;
    writes(&asking, client, upstream, body);
    if (!strstr(asking.out.ptr, expected))
        print_error("wanted %s\n in %s\n", expected, asking.out.ptr);
    assert_non_null(strstr(asking.out.ptr, expected));
    asking_close(&asking);
}

static inline void
check_input(const struct dialect *client, const char *body, const char *items)
{
    struct asking asking;
    char expected[8192];
    (void)snprintf(expected, sizeof(expected), "\"input\":[%s]", items);
    writes(&asking, client, &official, body);
    const char *input = strstr(asking.out.ptr, "\"input\":[");
    assert_non_null(input);
    if (strncmp(input, expected, strlen(expected)) != 0)
        print_error("wanted %s\n   got %s\n", expected, input);
    assert_memory_equal(input, expected, strlen(expected));
    asking_close(&asking);
}

static inline void
check_dropped(const struct dialect *client, const struct dialect_upstream *upstream,
              const char *body, const char *name)
{
    struct asking asking;
    writes(&asking, client, upstream, body);
    if (asking.report.count != (name ? 1 : 0) || (name && !asking_dropped(&asking, name)))
        print_error("%s: %d dropped, %s first, not %s\n", body, asking.report.count,
                    asking.report.count > 0 ? asking.report.dropped[0] : "nothing",
                    name ? name : "nothing");
    assert_int_equal(asking.report.count, name ? 1 : 0);
    assert_true(!name || asking_dropped(&asking, name));
    asking_close(&asking);
}

static inline void
check_refused(const struct dialect *client, const struct dialect_upstream *upstream,
              const char *body, int error, const char *param)
{
    struct asking asking;
    asking_read(&asking, client, body);
    asking_write(&asking, &openai_responses_dialect, upstream);
    if (asking.error != -error || !slice_is(asking.fault.param, param))
        print_error("%s: %d at %.*s\n", body, asking.error, SLICE_ARG(asking.fault.param));
    assert_int_equal(asking.error, -error);
    assert_true(slice_is(asking.fault.param, param));
    assert_true(asking.fault.message.len > 0);
    asking_close(&asking);
}

#endif
