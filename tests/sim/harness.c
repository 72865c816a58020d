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
#include "tests/sim/memory.h"
#include "tests/sim/names.h"
#include "tests/sim/scripts.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPIN_MAX 100000
#define CONFIGS_MAX 32
#define CONFIG_USES_MAX 512 /* its arena grows with every generation made from it */

static struct world *living; /* for the handler of a failed assertion */
static uint64_t covered[STATE_COUNT][EVENT_COUNT];
static uint64_t injected[SIM_FAULT_COUNT];

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
    "'http://127.0.0.1:9003/v1', api_key: k, order: 2}}\n"
    "  - {model_name: answers, litellm_params: {model: openai/responses/up-answers, api_base: "
    "'http://127.0.0.1:9004/v1', api_key: k}}\n"
    "  - {model_name: gemini, litellm_params: {model: gemini/up-gemini, api_base: "
    "'http://127.0.0.1:9005', api_key: k}}\n"
    "  - {model_name: all, litellm_params: {model: gemini/up-gemini, api_base: "
    "'http://127.0.0.1:9005', api_key: k, order: 1}}\n"
    "  - {model_name: all, litellm_params: {model: openai/responses/up-answers, api_base: "
    "'http://127.0.0.1:9004/v1', api_key: k, order: 2}}\n"
    "  - {model_name: all, litellm_params: {model: anthropic/up-claude, api_base: "
    "'http://127.0.0.1:9002', api_key: k, order: 3}}\n"
    "  - {model_name: all, litellm_params: {model: openai/up-chat, api_base: "
    "'http://127.0.0.1:9001/v1', api_key: k, order: 4}}\n";

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

/* Addresses become names of the same length, one for each port. */
static void
say_names(char *text)
{
    for (char *at = text; (at = strstr(at, "127.0.0.1:900")); at += 13) {
        memcpy(at, "up.n.test", 9);
        at[3] = at[13];
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
    if (strstr(text.ptr, "# by name\n"))
        say_names(text.ptr);
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

/* -- what the simulator does for the program needs memory of its own, which never fails */

static void
outside_wait(struct loop *loop, uint64_t timeout_ms)
{
    memory_leave();
    sim_ops.wait(loop, timeout_ms);
    memory_enter();
}

static int
outside_connect(struct loop *loop, const struct sockaddr *address, socklen_t len)
{
    memory_leave();
    int fd = sim_ops.socket_connect(loop, address, len);
    memory_enter();
    return fd;
}

static ssize_t
outside_receive(struct loop *loop, int fd, struct iovec *iov, int count)
{
    memory_leave();
    ssize_t got = sim_ops.receive(loop, fd, iov, count);
    memory_enter();
    return got;
}

static ssize_t
outside_send(struct loop *loop, int fd, const struct iovec *iov, int count)
{
    memory_leave();
    ssize_t sent = sim_ops.send(loop, fd, iov, count);
    memory_enter();
    return sent;
}

static void
outside_half_close(struct loop *loop, int fd)
{
    memory_leave();
    sim_ops.half_close(loop, fd);
    memory_enter();
}

static void
outside_close(struct loop *loop, int fd, bool reset)
{
    memory_leave();
    sim_ops.socket_close(loop, fd, reset);
    memory_enter();
}

static int
outside_accept(struct loop *loop, int fd, char peer[64])
{
    memory_leave();
    int accepted = sim_ops.accept(loop, fd, peer);
    memory_enter();
    return accepted;
}

/* Whose memory the kernel still holds: until then no conn may be freed. */
static struct {
    const struct conn *conn;
    uint64_t until_us;
} lingering[64];
static size_t lingering_next;

static void
outside_detach(struct conn *conn)
{
    const struct sim_socket *socket = conn->slot;
    memory_leave();
    sim_ops.detach(conn);
    memory_enter();
    if (socket && socket->held_until_us > socket->sim->now_us) {
        lingering[lingering_next].conn = conn;
        lingering[lingering_next].until_us = socket->held_until_us;
        lingering_next = (lingering_next + 1) % countof(lingering);
    }
}

static void
check_lingering(const struct world *world)
{
    const struct loop *loop = &world->worker->loop;
    for (size_t i = 0; i < countof(lingering); i++) {
        bool found = lingering[i].until_us <= sim_now_us(world->sim);
        for (struct list *link = loop->graveyard.next; !found && link != &loop->graveyard; link = link->next)
            found = list_entry(link, struct conn, grave_link) == lingering[i].conn;
        assert(found);
    }
}

static struct backend_ops
make_ops(void)
{
    struct backend_ops ops = sim_ops;
    ops.wait = outside_wait;
    ops.socket_connect = outside_connect;
    ops.receive = outside_receive;
    ops.send = outside_send;
    ops.half_close = outside_half_close;
    ops.socket_close = outside_close;
    ops.accept = outside_accept;
    ops.detach = outside_detach;
    return ops;
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
        memory_enter();
        worker_turn(world->worker, UINT64_MAX);
        memory_leave();
        assert(loop_quiet(loop));
        world_check(world, world->worker);
        check_lingering(world);
        world->ticks++;
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

struct provider *
world_provider_add(struct world *world, uint16_t port, enum dialect_spoken dialect)
{
    struct provider *provider = calloc(1, sizeof *provider);
    assert(provider);
    *provider = (struct provider){
        .next = world->providers, .world = world, .port = port, .dialect = dialect};
    world->providers = provider;
    provider_serve(provider, plan_well);
    return provider;
}

void
world_open(struct world *world, uint64_t seed, const struct sim_faults *faults, const char *yaml)
{
    *world = (struct world){.seed = seed, .scarce = faults && faults->memory > 0};
    world->sim = sim_new(seed, faults);
    memset(lingering, 0, sizeof lingering);
    world->worker = calloc(1, sizeof *world->worker);
    assert(world->worker);
    world->workers[0] = world->worker;
    world->gateway.workers = world->workers;
    world->gateway.worker_count = world->worker_count = 1;
    world->gateway.tapes = &world->tapes;
    int kept_well = tape_store_init(&world->tapes);
    assert(kept_well == 0);
    struct generation *generation = world_generation(yaml);
    if (log_level() > LOG_ERROR && !getenv("PENSTOCK_SIM_LOG"))
        log_set_level(LOG_ERROR);
    else if (getenv("PENSTOCK_SIM_LOG"))
        log_set_level(LOG_DEBUG2);
    static struct backend_ops ops;
    ops = make_ops();
    memory_fail(seed, 0);
    names_begin(world->sim, seed, NULL);
    int error = worker_init(world->worker, &world->gateway, 0, generation, &ops, world->sim);
    assert(error == 0);
    generation_drop(generation);
    for (int i = 0; i < 4; i++) /* ids and back-off belong to the seed too */
        world->worker->random[i] = sim_random(world->sim);
    error = worker_listen(world->worker, sim_listen_fd(world->sim, WORLD_PORT), false);
    assert(error == 0);
    world_provider_add(world, WORLD_CHAT_PORT, SPEAKS_CHAT);
    world_provider_add(world, WORLD_CLAUDE_PORT, SPEAKS_MESSAGES);
    world_provider_add(world, WORLD_SPARE_PORT, SPEAKS_CHAT);
    world_provider_add(world, WORLD_ANSWERS_PORT, SPEAKS_RESPONSES);
    world_provider_add(world, WORLD_GEMINI_PORT, SPEAKS_GEMINI);
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

uint64_t
world_injected(enum sim_fault fault)
{
    return injected[fault];
}

/* Only what belongs to the worker is armed when no stream is left: its second, its drain, kept connections, a pausing
 * listener. Questions to name servers go on for a while. */
static size_t
armed_at_rest(const struct worker *worker)
{
    return worker->upstreams.idle + deadline_armed(&worker->second) + deadline_armed(&worker->drain) +
           (worker->listener.magic ? deadline_armed(&worker->listener.retry) : 0);
}

static bool
nothing_left(void *user)
{
    struct world *world = user;
    struct worker *worker = world->worker;
    return worker->stream_count == 0 && worker->upstreams.active == 0 &&
           worker->loop.conns == worker->upstreams.idle && worker->loop.wheel.armed == armed_at_rest(worker);
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
    assert(worker->loop.wheel.armed == armed_at_rest(worker));
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
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        injected[fault] += sim_injected(world->sim, (enum sim_fault)fault);
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
    memory_fail(0, 0);
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
    if (world->closed)
        world->closed();
    sim_free(world->sim);
    free(world->worker);
}
