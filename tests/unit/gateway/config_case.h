/* SPDX-License-Identifier: MIT
 *
 * config_case.h - load a configuration from a text in a directory of its own, look at what came
 * out.
 */
#ifndef PENSTOCK_TEST_CONFIG_CASE_H
#define PENSTOCK_TEST_CONFIG_CASE_H

#include "gateway/cli.h"

#include "base/err.h"
#include "base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct loaded {
    struct arena report;
    struct config_problem *problems;
    struct config *config; /* NULL: refused */
    int rc;
};

#define NO_ENVIRONMENT ((char *[]){NULL})
#define ENVIRONMENT(...) ((char *[]){__VA_ARGS__, NULL})

static char config_case_home[4096];

/* Every program works in an empty directory, so that no file lies about by chance. */
static int
config_case_enter(void **state)
{
    char name[] = "config-test-XXXXXX";
    (void)state;
    if (getcwd(config_case_home, sizeof(config_case_home)) == NULL || mkdtemp(name) == NULL)
        return -1;
    return chdir(name);
}

static int
config_case_leave(void **state)
{
    char here[4096];
    (void)state;
    DIR *dir = opendir(".");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            unlink(entry->d_name);
    if (dir != NULL)
        closedir(dir);
    if (getcwd(here, sizeof(here)) == NULL || chdir(config_case_home) != 0)
        return -1;
    return rmdir(here);
}

static inline void
put_file(const char *name, struct slice text, unsigned mode)
{
    unlink(name);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline struct loaded
load_with(struct config_flags flags, char *const *variables)
{
    struct loaded out = {.rc = 0};
    arena_init(&out.report, 16u << 20);
    out.rc = config_load(&flags, variables, &out.report, &out.problems, &out.config);
    bool error = false;
    for (struct config_problem *problem = out.problems; problem != NULL; problem = problem->next)
        error = error || !problem->warning;
    /* The contract: an object and no error, or no object and at least one. */
    assert_int_equal(out.rc, error ? -ERR_CONFIG : 0);
    assert_int_equal(out.config != NULL, out.rc == 0);
    return out;
}

static inline struct loaded
load_bytes(struct slice text, char *const *variables)
{
    struct config_flags flags;
    config_flags_init(&flags);
    flags.config_path = SLICE_LIT("c.yaml");
    put_file("c.yaml", text, 0600);
    return load_with(flags, variables);
}

static inline struct loaded
load_text(const char *text, char *const *variables)
{
    return load_bytes(slice_from(text), variables);
}

static inline void
unload(struct loaded *loaded)
{
    config_drop(loaded->config);
    arena_fini(&loaded->report);
}

static inline void
show_problems(const struct loaded *loaded)
{
    for (struct config_problem *problem = loaded->problems; problem != NULL;
         problem = problem->next)
        print_message("%s: %.*s\n", problem->warning ? "warning" : "error",
                      SLICE_ARG(problem->text));
}

static inline bool
has_problem(const struct loaded *loaded, bool warning, const char *text)
{
    for (struct config_problem *problem = loaded->problems; problem != NULL;
         problem = problem->next)
        if (problem->warning == warning && text_find(problem->text, slice_from(text)) >= 0)
            return true;
    return false;
}

static inline void
expect_problem(const struct loaded *loaded, bool warning, const char *text)
{
    if (has_problem(loaded, warning, text))
        return;
    show_problems(loaded);
    fail_msg("no %s \"%s\"", warning ? "warning" : "error", text);
}

static inline void
expect_good(const struct loaded *loaded)
{
    if (loaded->rc != 0)
        show_problems(loaded);
    assert_int_equal(loaded->rc, 0);
}

static inline void
expect_clean(const struct loaded *loaded)
{
    expect_good(loaded);
    if (loaded->problems != NULL) {
        show_problems(loaded);
        fail_msg("a warning where none was expected");
    }
}

static inline void
expect_slice(struct slice got, const char *wanted)
{
    if (!slice_is(got, wanted))
        fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(got), wanted);
}

/* The printed configuration; the caller finis it. */
static inline struct sink
printed(const struct config *config)
{
    struct sink out;
    sink_init(&out, 16u << 20);
    config_print(config, &out);
    assert_int_equal(out.error, 0);
    return out;
}

#endif
