/* SPDX-License-Identifier: MIT
 *
 * harness.c - the world: configuration, worker, time, invariants, and what must be left when it
 * ends.
 */
#include "tests/sim/harness.h"

#include "base/log.h"
#include "gateway/resume.h"
#include "reactor/backend.h"
#include "reactor/sim_inner.h"
#include "tests/sim/scripts.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPIN_MAX 100000
#define CONFIGS_MAX 8
#define CONFIG_USES_MAX 512 /* its arena grows with every generation made from it */

static struct world *living; /* for the handler of a failed assertion */
static uint64_t covered[STATE_COUNT][EVENT_COUNT];

static const char models[] =
    "model_list:\n"
    "  - {model_name: chat, litellm_params: {model: openai/up-chat, api_base: "
    "'http://127.0.0.1:9001/v1', api_key: k}}\n"
    "  - {model_name: claude, litellm_params: {model: anthropic/up-claude, api_base: "
    "'http://127.0.0.1:9002', api_key: k}}\n"
    "  - {model_name: spare, litellm_params: {model: openai/up-spare, api_base: "
    "'http://127.0.0.1:9003/v1', api_key: k}}\n"
    "  - {model_name: pair, litellm_params: {model: openai/first, api_base: "
    "'http://127.0.0.1:9001/v1', api_key: k, order: 1}}\n"
    "  - {model_name: pair, litellm_params: {model: openai/second, api_base: "
    "'http://127.0.0.1:9003/v1', api_key: k, order: 2}}\n";

/* ---------------------------------------------------------------- failures */

static void
on_abort(int number)
{
    (void)number;
    struct world *world = living;
    living = NULL;
    if (world) {
        worker_print_flight(world->worker);
        fprintf(
            stderr,
            "at %llu us in the world of seed %llu; a storm is replayed by PENSTOCK_SIM_SEED=%llu\n",
            (unsigned long long)sim_now_us(world->sim), (unsigned long long)world->seed,
            (unsigned long long)world->seed);
    }
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* ---------------------------------------------------------------- configuration */

struct kept_config {
    char *text;
    struct config *config;
    uint32_t uses;
};
static struct kept_config kept[CONFIGS_MAX];
static uint32_t kept_next;

static struct config *
load(const char *text)
{
    struct config_flags flags;
    struct arena report;
    struct config_problem *problems = NULL;
    struct config *config = NULL;
    char path[64];
    int fd = memfd_create("penstock.yaml", MFD_CLOEXEC);
    assert(fd >= 0);
    ssize_t written = write(fd, text, strlen(text));
    assert(written == (ssize_t)strlen(text));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    config_flags_init(&flags);
    flags.config_path = slice_from(path);
    arena_init(&report, 16u << 20);
    int error = config_load(&flags, (char *[]){NULL}, &report, &problems, &config);
    for (; error < 0 && problems; problems = problems->next)
        fprintf(stderr, "%.*s\n", SLICE_ARG(problems->text));
    assert(error == 0);
    arena_fini(&report);
    close(fd);
    return config;
}

/* Reading YAML for each of a hundred thousand worlds would take longer than living in them. */
static struct config *
config_for(const char *text)
{
    struct kept_config *place = NULL;
    for (uint32_t i = 0; i < CONFIGS_MAX && !place; i++) {
        if (kept[i].text && strcmp(kept[i].text, text) == 0)
            place = &kept[i];
    }
    if (!place || place->uses >= CONFIG_USES_MAX) {
        if (!place)
            place = &kept[kept_next++ % CONFIGS_MAX];
        struct config *config = load(text);
        char *copy = strdup(text);
        if (place->config)
            config_drop(place->config);
        free(place->text);
        *place = (struct kept_config){.text = copy, .config = config};
    }
    place->uses++;
    return config_hold(place->config);
}

static void __attribute__((destructor)) forget_configs(void)
{
    for (uint32_t i = 0; i < CONFIGS_MAX; i++) {
        if (kept[i].config)
            config_drop(kept[i].config);
        free(kept[i].text);
    }
}

struct generation *
world_generation(const char *yaml)
{
    struct sink text, problem;
    struct generation *generation = NULL;
    sink_init(&text, 1u << 20);
    sink_init(&problem, 4096);
    if (!yaml || strncmp(yaml, "model_list", 10) != 0)
        sink_text(&text, models);
    sink_text(&text, yaml ? yaml : "");
    sink_byte(&text, '\0');
    int error = generation_new(config_for(text.ptr), 0, &generation, &problem);
    if (error < 0)
        fprintf(stderr, "%.*s\n", SLICE_ARG(sink_slice(&problem)));
    assert(error == 0);
    sink_fini(&text);
    sink_fini(&problem);
    return generation;
}

/* ---------------------------------------------------------------- time */

uint64_t
world_ms(const struct world *world)
{
    return sim_now_us(world->sim) / 1000;
}

/* What must hold for every stream when the loop is about to sleep. */
static void
check_streams(const struct world *world)
{
    const struct worker *worker = world->worker;
    size_t count = 0;
    for (struct list *node = worker->streams.next; node != &worker->streams; node = node->next) {
        const struct stream *stream = list_entry(node, struct stream, link);
        count++;
        assert(stream->magic == MAGIC_STREAM);
        assert(stream->state != STATE_CLOSED);
        assert(stream->notices == 0 || list_linked(&stream->task.link));
        assert(deadline_armed(&stream->total) || deadline_armed(&stream->step) || stream->notices ||
               (resume_follows(stream) && deadline_armed(&stream->ping)));
        assert(!stream->detached || deadline_armed(&stream->lonely) || stream->notices);
        assert(stream->state != STATE_IDLE || stream->generation == NULL);
        assert(stream->lease == NULL ||
               (stream->state >= STATE_DIAL && stream->state <= STATE_STALL));
    }
    assert(count == worker->stream_count);
}

bool
world_until(struct world *world, bool (*stop)(void *), void *user, uint64_t ms)
{
    struct sim *sim = world->sim;
    struct loop *loop = &world->worker->loop;
    uint64_t until_us = sim_now_us(sim) + ms * 1000, stood_us = 0;
    uint32_t spun = 0;
    sim->until_us = until_us;
    bool stopped = false;
    while (!(stopped = stop && stop(user)) && sim_now_us(sim) < until_us) {
        worker_turn(world->worker, UINT64_MAX);
        assert(loop_quiet(loop));
        check_streams(world);
        spun = sim_now_us(sim) == stood_us ? spun + 1 : 0;
        stood_us = sim_now_us(sim);
        assert(spun < SPIN_MAX); /* the program turns in circles while time stands still */
    }
    sim->until_us = UINT64_MAX;
    return stopped;
}

void
world_run(struct world *world, uint64_t ms)
{
    world_until(world, NULL, NULL, ms);
}

/* ---------------------------------------------------------------- life */

static void
add_provider(struct world *world, uint16_t port, enum dialect_spoken dialect)
{
    struct provider *provider = calloc(1, sizeof *provider);
    assert(provider);
    *provider = (struct provider){
        .next = world->providers, .world = world, .port = port, .dialect = dialect};
    world->providers = provider;
    provider_serve(provider, plan_well);
}

void
world_open(struct world *world, uint64_t seed, const struct sim_faults *faults, const char *yaml)
{
    *world = (struct world){.seed = seed};
    world->sim = sim_new(seed, faults);
    world->worker = calloc(1, sizeof *world->worker);
    assert(world->worker);
    world->workers[0] = world->worker;
    world->gateway.workers = world->workers;
    world->gateway.worker_count = 1;
    world->gateway.tapes = &world->tapes;
    int kept_well = tape_store_init(&world->tapes);
    assert(kept_well == 0);
    struct generation *generation = world_generation(yaml);
    if (log_level() > LOG_ERROR && !getenv("PENSTOCK_SIM_LOG"))
        log_set_level(LOG_ERROR);
    else if (getenv("PENSTOCK_SIM_LOG"))
        log_set_level(LOG_DEBUG2);
    int error = worker_init(world->worker, &world->gateway, 0, generation, &sim_ops, world->sim);
    assert(error == 0);
    generation_drop(generation);
    for (int i = 0; i < 4; i++) /* ids and back-off belong to the seed too */
        world->worker->random[i] = sim_random(world->sim);
    error = worker_listen(world->worker, sim_listen_fd(world->sim, WORLD_PORT));
    assert(error == 0);
    add_provider(world, WORLD_CHAT_PORT, SPEAKS_CHAT);
    add_provider(world, WORLD_CLAUDE_PORT, SPEAKS_MESSAGES);
    add_provider(world, WORLD_SPARE_PORT, SPEAKS_CHAT);
    living = world;
    signal(SIGABRT, on_abort);
}

struct provider *
world_provider(struct world *world, uint16_t port)
{
    struct provider *provider = world->providers;
    while (provider && provider->port != port)
        provider = provider->next;
    assert(provider);
    return provider;
}

struct stream *
world_stream(struct world *world, uint32_t n)
{
    struct worker *worker = world->worker;
    for (struct list *node = worker->streams.next; node != &worker->streams; node = node->next) {
        if (n-- == 0)
            return list_entry(node, struct stream, link);
    }
    return NULL;
}

enum stream_state
world_state(struct world *world)
{
    struct stream *stream = world_stream(world, 0);
    return stream ? stream->state : STATE_CLOSED;
}

uint64_t
world_covered(enum stream_state state, enum stream_event event)
{
    return covered[state][event];
}

static bool
nothing_left(void *user)
{
    struct world *world = user;
    struct worker *worker = world->worker;
    return worker->stream_count == 0 && worker->upstreams.active == 0 &&
           worker->loop.conns == worker->upstreams.idle;
}

/* Every stream has ended: all it held must be back. */
static void
check_end(struct world *world)
{
    struct worker *worker = world->worker;
    size_t idle = worker->upstreams.idle;
    assert(worker->stream_count == 0);
    assert(worker->upstreams.active == 0);
    assert(worker->loop.conns == idle);
    assert(worker->loop.pool.chunks_used == 0);
    assert(sim_sockets_open(world->sim) == idle);
    /* Only what belongs to the worker is armed: its second, its drain, kept connections, a pausing
     * listener. */
    assert(worker->loop.wheel.armed ==
           idle + deadline_armed(&worker->second) + deadline_armed(&worker->drain) +
               (worker->listener.magic ? deadline_armed(&worker->listener.retry) : 0));
    assert(atomic_load(&worker->metrics->streams_active) == 0);
    assert(atomic_load(&worker->metrics->connections_active) == 0);
    /* Each exchange that was begun has ended for one reason, and was accounted for once. */
    struct metrics *metrics = worker->metrics;
    uint64_t begun = metrics->transitions[STATE_IDLE][EVENT_CLIENT_BYTES] -
                     metrics->transitions[STATE_HEAD][EVENT_KEEP] -
                     metrics->transitions[STATE_HEAD][EVENT_LEAVE];
    uint64_t ended = 0;
    for (int i = 0; i < END_COUNT; i++)
        ended += metrics->ends[i];
    assert(begun == ended);
    assert(metrics->ends[END_INTERNAL] == 0);
    for (struct list *node = worker->upstreams.hosts.next; node != &worker->upstreams.hosts;
         node = node->next) {
        struct upstream_host *host = list_entry(node, struct upstream_host, link);
        assert(host->active == 0);
        assert(host->waiting == 0);
        assert(list_empty(&host->queue));
    }
}

static void
count_transitions(const struct world *world)
{
    for (int state = 0; state < STATE_COUNT; state++) {
        for (int event = 0; event < EVENT_COUNT; event++)
            covered[state][event] +=
                atomic_load(&world->worker->metrics->transitions[state][event]);
    }
}

void
world_close(struct world *world)
{
    for (struct client *client = world->clients; client; client = client->next) {
        client->leave_after = 0;
        if (sim_peer_alive(client->peer))
            client_leave(client);
    }
    sim_set_faults(world->sim, NULL);
    if (!world_until(world, nothing_left, world, 3600 * 1000))
        fprintf(stderr, "seed %llu: %zu streams, %llu leases, %zu connections are left\n",
                (unsigned long long)world->seed, world->worker->stream_count,
                (unsigned long long)world->worker->upstreams.active, world->worker->loop.conns);
    check_end(world);
    count_transitions(world);
    worker_fini(world->worker);
    tape_store_fini(&world->tapes);
    assert(world->tapes.count == 0 && world->tapes.bytes == 0);
    assert(sim_sockets_open(world->sim) == 0);
    living = NULL;
    scripts_free(world);
    sim_free(world->sim);
    free(world->worker);
}
