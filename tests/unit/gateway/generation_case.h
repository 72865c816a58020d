/* SPDX-License-Identifier: MIT
 *
 * generation_case.h - a generation of a configuration that stands in the test.
 */
#ifndef PENSTOCK_TEST_GENERATION_CASE_H
#define PENSTOCK_TEST_GENERATION_CASE_H

#include "gateway/route.h"

#include "tests/unit/gateway/config_case.h"

static struct generation *generation;

static void
begin(const char *yaml)
{
    struct sink problem;
    struct loaded loaded = load_text(yaml, NO_ENVIRONMENT);
    expect_good(&loaded);
    sink_init(&problem, 4096);
    assert_int_equal(generation_new(config_hold(loaded.config), 0, &generation, &problem), 0);
    sink_fini(&problem);
    unload(&loaded);
}

static void
end(void)
{
    generation_drop(generation);
    generation = NULL;
}

#endif
