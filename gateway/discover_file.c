/* SPDX-License-Identifier: MIT
 *
 * discover_file.c - what was discovered: as a file, and as what routes know of their deployments; see discover.h.
 */
#include "base/json.h"
#include "base/log.h"
#include "gateway/discover.h"
#include "gateway/route.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES_MAX (16u << 20)
#define FILE_TOKENS_MAX 400000u
#define FILE_MEMORY_MAX (64u << 20)
#define CLOCK_SKEW_S 300u /* the file may come from a machine whose clock is a little ahead */

static const char *const words[DISCOVER_COUNT] = {"unknown", "answers", "no access", "not there", "busy", "failed"};

const char *
discover_word(enum discover_verdict verdict)
{
    return words[verdict];
}

/* ---------------------------------------------------------------- writing */

/* Whatever decides where a request goes, and nothing secret: the same entry is known again after it was moved in the file. */
static void
put_identity(struct json_writer *writer, const struct config_deployment *config)
{
    json_member(writer, "model_name", config->model_name);
    json_member(writer, "upstream", config->id);
    json_member(writer, "provider", config->provider);
    json_member(writer, "model", config->model);
    json_member(writer, "address", config->host_header);
    json_member(writer, "base_path", config->base_path);
    json_member(writer, "project", config->project);
    json_member(writer, "region", config->location);
}

static bool
is_of(struct json row, const struct config_deployment *config, struct arena *arena)
{
    const struct {
        const char *name;
        struct slice value;
    } members[] = {
        {"model_name", config->model_name}, {"upstream", config->id},           {"provider", config->provider}, {"model", config->model},
        {"address", config->host_header},   {"base_path", config->base_path}, {"project", config->project},   {"region", config->location},
    };
    for (size_t i = 0; i < countof(members); i++) {
        if (!slice_eq(json_string(json_get(row, members[i].name), arena), members[i].value))
            return false;
    }
    return true;
}

static void
put_finding(struct json_writer *writer, const struct config_deployment *config, const struct discover_finding *finding)
{
    json_object(writer);
    put_identity(writer, config);
    json_member_text(writer, "verdict", discover_word(finding->verdict));
    json_member_i64(writer, "status", finding->status);
    json_member_u64(writer, "took_ms", finding->took_ms);
    json_end(writer);
}

void
discover_put(struct sink *out, const struct generation *generation, const struct discover_finding *findings, uint64_t unix_s)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_object(&writer);
    json_member_u64(&writer, "discovered_unix_s", unix_s);
    json_name(&writer, "deployments");
    json_array(&writer);
    for (uint32_t i = 0; i < generation->count; i++) {
        if (findings[i].verdict != DISCOVER_UNKNOWN)
            put_finding(&writer, generation->deployments[i].config, &findings[i]);
    }
    json_end(&writer);
    json_end(&writer);
    sink_byte(out, '\n');
}

static bool
write_all(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t wrote = write(fd, text.ptr, text.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        text = slice_skip(text, (size_t)wrote);
    }
    return fsync(fd) == 0;
}

int
discover_write(struct slice path, struct slice text)
{
    char name[4096], draft[4096 + 8];
    int len = snprintf(name, sizeof name, "%.*s", SLICE_ARG(path));
    if (len < 0 || (size_t)len >= sizeof name)
        return -ERR_SYSTEM;
    snprintf(draft, sizeof draft, "%s.XXXXXX", name);
    int fd = mkostemp(draft, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return -ERR_SYSTEM;
    bool whole = write_all(fd, text);
    whole = close(fd) == 0 && whole && rename(draft, name) == 0;
    if (!whole)
        unlink(draft);
    return whole ? 0 : -ERR_SYSTEM;
}

/* ---------------------------------------------------------------- reading */

static bool
find_verdict(struct json word, enum discover_verdict *out)
{
    for (int i = DISCOVER_ANSWERS; i < DISCOVER_COUNT; i++) {
        if (json_is(word, words[i])) {
            *out = (enum discover_verdict)i;
            return true;
        }
    }
    return false;
}

static bool
is_refusal(enum discover_verdict verdict)
{
    return verdict == DISCOVER_NO_ACCESS || verdict == DISCOVER_NOT_THERE;
}

static struct discover_finding
find_of(struct json rows, const struct config_deployment *config, struct arena *arena)
{
    for (struct json row = json_first(rows); json_present(row); row = json_next(row)) {
        struct discover_finding finding = {0};
        if (!find_verdict(json_get(row, "verdict"), &finding.verdict) || !is_of(row, config, arena))
            continue;
        finding.status = (int)(json_u64_or(json_get(row, "status"), 0) % 1000);
        finding.took_ms = (uint32_t)json_u64_or(json_get(row, "took_ms"), 0);
        return finding;
    }
    return (struct discover_finding){0};
}

/* Workers look at these while they change: each alone is whole, and a request that sees half of them is only sent elsewhere first. */
static void
keep(struct deployment *deployment, const struct discover_finding *finding, uint64_t unix_s, uint64_t until_ms)
{
    uint64_t found = (uint64_t)finding->took_ms << 32 | (uint64_t)finding->status << 8 | (uint64_t)finding->verdict;
    atomic_store_explicit(&deployment->found, found, memory_order_relaxed);
    atomic_store_explicit(&deployment->found_unix_s, unix_s, memory_order_relaxed);
    atomic_store_explicit(&deployment->found_until_ms, until_ms, memory_order_relaxed);
}

static struct discover_finding
kept(const struct deployment *deployment, uint64_t now_ms)
{
    uint64_t found = atomic_load_explicit(&deployment->found, memory_order_relaxed);
    if (atomic_load_explicit(&deployment->found_until_ms, memory_order_relaxed) <= now_ms)
        return (struct discover_finding){0};
    return (struct discover_finding){
        .verdict = (enum discover_verdict)(found & 255), .status = (int)(found >> 8 & 0xffff), .took_ms = (uint32_t)(found >> 32)};
}

bool
discover_doubts(const struct deployment *deployment, uint64_t now_ms)
{
    return is_refusal(kept(deployment, now_ms).verdict);
}

int
discover_take(struct generation *generation, struct slice text, uint64_t unix_s, uint64_t now_ms)
{
    struct arena arena;
    struct json root, rows;
    arena_init(&arena, FILE_MEMORY_MAX);
    int result = -ERR_JSON;
    if (json_parse(text, 16, FILE_TOKENS_MAX, &arena, &root) == 0) {
        uint64_t then_s = json_u64_or(json_get(root, "discovered_unix_s"), UINT64_MAX), ttl_ms = generation->config->discovery_ttl_ms;
        rows = json_get(root, "deployments");
        if (then_s <= unix_s + CLOCK_SKEW_S && json_type(rows) == JSON_ARRAY)
            result = then_s >= unix_s || (unix_s - then_s) < ttl_ms / 1000 ? 1 : 0;
        uint64_t age_ms = then_s < unix_s && result == 1 ? (unix_s - then_s) * 1000 : 0;
        for (uint32_t i = 0; result == 1 && i < generation->count; i++) {
            struct discover_finding finding = find_of(rows, generation->deployments[i].config, &arena);
            keep(&generation->deployments[i], &finding, then_s, now_ms + ttl_ms - age_ms);
        }
    }
    arena_fini(&arena);
    return result;
}

/* 1 with the whole file in out, when it is another than seen; 0: it is the same; negative: it can not be read. */
static int
load(struct slice path, struct discover_seen *seen, struct sink *out)
{
    char name[4096];
    struct stat stat;
    int len = snprintf(name, sizeof name, "%.*s", SLICE_ARG(path));
    int fd = len > 0 && (size_t)len < sizeof name ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return -ERR_SYSTEM;
    int result = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) ? 1 : -ERR_SYSTEM;
    struct discover_seen now = {0};
    if (result == 1)
        now = (struct discover_seen){.device = stat.st_dev, .inode = stat.st_ino, .bytes = (uint64_t)stat.st_size,
                                     .changed_s = (uint64_t)stat.st_mtim.tv_sec, .changed_ns = (uint64_t)stat.st_mtim.tv_nsec};
    if (result == 1 && memcmp(&now, seen, sizeof now) == 0)
        result = 0;
    *seen = now;
    for (char piece[4096]; result == 1 && !out->error;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got <= 0)
            break;
        sink_put(out, slice_of(piece, (size_t)got));
    }
    close(fd);
    return result;
}

void
discover_read(struct generation *generation, struct discover_seen *seen)
{
    static const struct discover_finding nothing;
    struct slice path = generation->config->discovery_file;
    struct timespec wall, steady;
    struct sink text;
    if (path.len == 0)
        return;
    sink_init(&text, FILE_BYTES_MAX);
    int got = load(path, seen, &text);
    if (got < 0) { /* none was written, or it was taken away */
        *seen = (struct discover_seen){0};
        for (uint32_t i = 0; i < generation->count; i++)
            keep(&generation->deployments[i], &nothing, 0, 0);
    } else if (got == 1) {
        clock_gettime(CLOCK_REALTIME, &wall);
        clock_gettime(CLOCK_MONOTONIC, &steady);
        int taken = discover_take(generation, sink_slice(&text), (uint64_t)wall.tv_sec, (uint64_t)steady.tv_sec * 1000 + (uint64_t)steady.tv_nsec / 1000000);
        if (taken == 1)
            log_say(LOG_INFO, "discovery taken", "%.*s", SLICE_ARG(path));
        else
            log_say(LOG_WARN, "discovery ignored", "%.*s %s", SLICE_ARG(path), taken == 0 ? "is older than penstock.discovery.ttl" : "is no file of penstock discover");
    }
    sink_fini(&text);
}

void
discover_expose(const struct generation *generation, uint64_t unix_s, uint64_t now_ms, struct sink *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_object(&writer);
    json_member(&writer, "file", generation->config->discovery_file);
    json_member_u64(&writer, "ttl_s", generation->config->discovery_ttl_ms / 1000);
    json_name(&writer, "deployments");
    json_array(&writer);
    for (uint32_t i = 0; i < generation->count; i++) {
        const struct deployment *deployment = &generation->deployments[i];
        struct discover_finding finding = kept(deployment, now_ms);
        uint64_t then_s = atomic_load_explicit(&deployment->found_unix_s, memory_order_relaxed);
        json_object(&writer);
        put_identity(&writer, deployment->config);
        json_member_text(&writer, "verdict", discover_word(finding.verdict));
        if (finding.verdict != DISCOVER_UNKNOWN) {
            json_member_i64(&writer, "status", finding.status);
            json_member_u64(&writer, "took_ms", finding.took_ms);
            json_member_u64(&writer, "age_s", unix_s > then_s ? unix_s - then_s : 0);
        }
        json_member_bool(&writer, "tried_last", is_refusal(finding.verdict));
        json_end(&writer);
    }
    json_end(&writer);
    json_end(&writer);
}
