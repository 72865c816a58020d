/* SPDX-License-Identifier: MIT
 *
 * fuzz_config.c - a configuration file of any bytes, LiteLLM's form included, with an environment:
 * it loads or it is refused with a reason; what loads is printed.
 *
 * Input: lines NAME=value for the environment, an empty line, the file. Without an empty line all is
 * the file. command: values are answered here (the linker puts __wrap_config_run_command in the
 * place of what runs a shell): bytes from a fuzzer are no commands.
 */
#include "gateway/config_internal.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define VARIABLES_MAX 16

bool __wrap_config_run_command(struct config_loader *loader, const struct config_origin *origin,
                               struct slice text, struct slice *out);

bool
__wrap_config_run_command(struct config_loader *loader, const struct config_origin *origin,
                          struct slice text, struct slice *out)
{
    (void)loader;
    (void)origin;
    *out = text.len > 0 && text.ptr[0] == '!' ? SLICE_LIT("") : SLICE_LIT("sk-of-a-command");
    return true;
}

/* The lines of the environment, if there are any: text is what is left. */
static void
take_variables(struct slice *text, char *variables[VARIABLES_MAX + 1])
{
    int count = 0;
    struct slice rest = *text;
    const char *end = memmem(text->ptr, text->len, "\n\n", 2);
    while (end && rest.ptr < end && count < VARIABLES_MAX) {
        size_t n = (size_t)((const char *)memchr(rest.ptr, '\n', rest.len) - rest.ptr);
        if (memchr(rest.ptr, '=', n) && !memchr(rest.ptr, 0, n))
            variables[count++] = strndup(rest.ptr, n);
        rest = slice_skip(rest, n + 1);
    }
    variables[count] = NULL;
    if (end)
        *text = slice_skip(*text, (size_t)(end - text->ptr) + 2);
}

static void
check(struct config *config)
{
    struct sink out;
    sink_init(&out, 64u << 20);
    assert(config->workers >= 1);
    assert(config->limits.memory_bytes > 0);
    for (uint32_t i = 0; i < config->deployment_count; i++) {
        const struct config_deployment *at = &config->deployments[i];
        assert(at->model_name.len > 0 && at->model.len > 0 && at->id.len > 0);
        assert((at->host.len > 0 && at->port > 0) || slice_is(at->provider, "demo"));
        for (size_t k = 0; k < at->base_path.len; k++)
            assert(at->base_path.ptr[k] > ' ' && at->base_path.ptr[k] <= '~');
        for (uint32_t k = 0; k < 2 * at->header_count; k++)
            assert(!memchr(at->headers[k].ptr, '\n', at->headers[k].len));
        assert(!memchr(at->host_header.ptr, '\n', at->host_header.len));
        assert(!slice_present(at->api_key) || !memchr(at->api_key.ptr, '\n', at->api_key.len));
    }
    config_print(config, &out);
    assert(out.error == 0);
    sink_fini(&out);
    config_drop(config);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static int file = -1;
    static char path[64];
    if (file < 0) {
        file = memfd_create("config", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
        assert(file >= 0);
    }
    struct slice text = slice_of(bytes, n);
    char *variables[VARIABLES_MAX + 1];
    struct config_flags flags;
    struct config_problem *problems = NULL;
    struct config *config = NULL;
    struct arena report;
    take_variables(&text, variables);
    assert(ftruncate(file, 0) == 0);
    assert(pwrite(file, text.ptr, text.len, 0) == (ssize_t)text.len);
    arena_init(&report, 4u << 20);
    config_flags_init(&flags);
    flags.config_path = slice_from(path);
    int error = config_load(&flags, variables, &report, &problems, &config);
    assert(error == 0 || error == -ERR_CONFIG);
    bool said = false;
    for (const struct config_problem *at = problems; at; at = at->next)
        said = said || !at->warning;
    assert(said == (error != 0));
    if (error == 0)
        check(config);
    arena_fini(&report);
    for (int i = 0; variables[i]; i++)
        free(variables[i]);
    return 0;
}
