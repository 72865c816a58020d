/* SPDX-License-Identifier: MIT
 *
 * memory.c - allocation failure at every place that allocates; see memory.h. The tests' link options wrap the calls.
 */
#include "tests/sim/memory.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define SITES_MAX 512

struct site { /* where a call returns to */
    const void *at;
    bool failed;
};

static struct {
    uint64_t random, calls, failed, one;
    uint32_t per_65536, sites;
    int inside; /* the program's calls are those made while this is above 0 */
    struct site site[SITES_MAX];
} memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strndup(const char *text, size_t max);
void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strndup(const char *text, size_t max);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__real_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset);

void
memory_fail(uint64_t seed, uint32_t per_65536)
{
    memory.random = seed;
    memory.per_65536 = per_65536;
    memory.one = 0;
}

void
memory_fail_one(uint64_t n)
{
    memory.per_65536 = 0;
    memory.one = n;
}

void
memory_enter(void)
{
    memory.inside++;
}

void
memory_leave(void)
{
    memory.inside--;
}

static struct site *
site_of(const void *at)
{
    size_t slot = (size_t)((uintptr_t)at * 0x9e3779b97f4a7c15u >> 40) % SITES_MAX;
    while (memory.site[slot].at && memory.site[slot].at != at)
        slot = (slot + 1) % SITES_MAX;
    memory.sites += !memory.site[slot].at;
    assert(memory.sites < SITES_MAX);
    memory.site[slot].at = at;
    return &memory.site[slot];
}

/* fails - is this call one of the program's, and shall it fail? */
static bool
fails(const void *at)
{
    if (memory.inside <= 0)
        return false;
    struct site *site = site_of(at);
    memory.calls++;
    bool failing = memory.one > 0 && --memory.one == 0;
    if (memory.per_65536 > 0) {
        memory.random = memory.random * 6364136223846793005u + 1442695040888963407u;
        failing = (memory.random >> 48) < memory.per_65536;
    }
    memory.failed += failing;
    if (failing && getenv("PENSTOCK_SIM_LOG")) { /* who was refused, for addr2line */
        void *frames[12];
        backtrace_symbols_fd(frames, backtrace(frames, countof(frames)), STDERR_FILENO);
    }
    site->failed = site->failed || failing;
    return failing;
}

void *
__wrap_malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __real_realloc(old, size);
}

char *
__wrap_strndup(const char *text, size_t max)
{
    return fails(__builtin_return_address(0)) ? NULL : __real_strndup(text, max);
}

void *
__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    return fails(__builtin_return_address(0)) ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}

void *
__wrap_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    return fails(__builtin_return_address(0)) ? MAP_FAILED : __real_mmap64(at, len, protection, flags, fd, offset);
}

struct memory_tally
memory_tally(void)
{
    struct memory_tally tally = {.calls = memory.calls, .failed = memory.failed, .sites = memory.sites};
    for (size_t i = 0; i < SITES_MAX; i++)
        tally.sites_failed += memory.site[i].at && memory.site[i].failed;
    return tally;
}

void
memory_print_spared(void)
{
    for (size_t i = 0; i < SITES_MAX; i++) {
        if (memory.site[i].at && !memory.site[i].failed)
            fprintf(stderr, "never refused: %p\n", memory.site[i].at);
    }
}
