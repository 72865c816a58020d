/* SPDX-License-Identifier: MIT
 *
 * test_storm.c - many small worlds, each made by a seed: a few clients, three providers, and every
 * kind of weather.
 *
 * Whatever happens, every client that stays gets exactly one well-formed ending for each request,
 * with text that is its own, or sees its connection end for a reason; and when all have gone,
 * nothing is left behind.
 *
 *     test_sim_storm [part parts]   this share of the worlds, e.g. 1 2: the first half
 *     PENSTOCK_SIM_SEEDS=n          how many worlds (default 5,000)
 *     PENSTOCK_SIM_FIRST=seed       the first of them
 *     PENSTOCK_SIM_SEED=seed        this one only: what a failure prints
 */
#include "tests/sim/storm.h"

#include "tests/sim/memory.h"
#include "tests/sim/names.h"
#include "tests/sim/secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECURE_EVERY 16 /* one world in so many speaks TLS to its upstreams: it costs much */
#define WORLD_MS (3600 * 1000) /* a slow client is not a dead one */

struct storm storm;
static uint64_t storm_returns; /* clients that came back and got something */
static uint64_t storm_ticks, storm_clients, storm_requests;

uint64_t
storm_pick(uint64_t n)
{
    return sim_random(storm.world.sim) % n;
}

bool
storm_chance(unsigned percent)
{
    return storm_pick(100) < percent;
}

/* ---------------------------------------------------------------- worlds */

static const char *const yamls[] = {
    "router_settings: {cooldown_time: 1}\n"
    "penstock:\n"
    "  timeouts: {request: 30s, connect: 1s, first_byte: 4s, idle: 4s, keepalive: 1s, drain: 2s, "
    "commit: 1500ms, head: 5s, body: 5s, client_idle: 5s}\n"
    "  retry: {base: 5ms, max: 50ms}\n",
    "router_settings: {cooldown_time: 0, num_retries: 0}\n"
    "penstock:\n"
    "  timeouts: {request: 20s, connect: 500ms, first_byte: 1s, idle: 1s, keepalive: 300ms, drain: "
    "1s, commit: 300ms, head: 5s, body: 5s, upstream_idle: 500ms}\n"
    "  limits: {queue: 16KiB, upstream_connections: 1, upstream_queue: 2, upstream_idle: 1, body: "
    "20KiB}\n"
    "  retry: {base: 1ms, max: 1ms}\n",
    "router_settings: {num_retries: 4, routing_strategy: order, fallbacks: [{chat: [spare]}, "
    "{pair: [claude]}], context_window_fallbacks: [{chat: [claude]}]}\n"
    "penstock:\n"
    "  timeouts: {request: 60s, connect: 2s, first_byte: 10s, idle: 10s, keepalive: 2s, drain: 3s, "
    "commit: 3s, head: 5s, body: 5s}\n"
    "  limits: {upstream_connections: 2, upstream_queue: 1, error: 1KiB}\n"
    "  sse: {ids: false}\n"
    "  retry: {base: 10ms, max: 100ms}\n",
    "penstock:\n"
    "  timeouts: {request: 30s, connect: 1s, first_byte: 4s, idle: 4s, keepalive: 1s, drain: 2s, "
    "commit: 1500ms, head: 5s, body: 5s}\n"
    "  limits: {memory: 4MiB, queue: 64KiB}\n"
    "  retry: {base: 5ms, max: 50ms}\n",
    /* And with streams that outlive their clients. */
    "penstock:\n"
    "  timeouts: {request: 30s, connect: 1s, first_byte: 4s, idle: 4s, keepalive: 1s, drain: 2s, "
    "commit: 1500ms, head: 5s, body: 5s, client_idle: 5s}\n"
    "  sse: {resume: 10s}\n"
    "  limits: {resume: 16KiB}\n"
    "  retry: {base: 5ms, max: 50ms}\n",
    "router_settings: {cooldown_time: 0, num_retries: 1}\n"
    "penstock:\n"
    "  timeouts: {request: 20s, connect: 500ms, first_byte: 2s, idle: 3s, keepalive: 300ms, drain: "
    "1s, commit: 300ms, head: 5s, body: 5s}\n"
    "  sse: {resume: 3s}\n"
    "  limits: {queue: 16KiB, resume_streams: 3, memory: 8MiB}\n"
    "  retry: {base: 1ms, max: 1ms}\n",
};

/* The same, with upstreams that are called by name. */
static const char *
by_name(const char *yaml)
{
    static char text[4096];
    size_t n = (size_t)snprintf(text, sizeof text, "# by name\n%s", yaml);
    assert(n < sizeof text);
    return text;
}

static unsigned
fault(unsigned percent, unsigned most)
{
    return storm_chance(percent) ? (unsigned)storm_pick(most + 1) : 0;
}

static void
make_weather(void)
{
    static const size_t windows[] = {0, 0, 0, 300, 2000, 10000};
    if (storm_chance(20))
        return;
    storm.faults = (struct sim_faults){.short_read = fault(50, 600),
                                       .short_write = fault(50, 600),
                                       .again = fault(40, 300),
                                       .reset = fault(30, 8),
                                       .connect_refused = fault(30, 300),
                                       .connect_slow = fault(20, 200),
                                       .accept_fail = fault(15, 200),
                                       .late_event = fault(30, 200),
                                       .memory = fault(10, 60),
                                       .late_release = fault(20, 1024),
                                       .vanish = fault(10, 6),
                                       .jump = fault(5, 30),
                                       .jump_ms = 1 + (uint64_t)storm_pick(storm_chance(50) ? 500 : 20000),
                                       .batch = fault(20, 8),
                                       .window = windows[storm_pick(countof(windows))]};
}

/* Half of the worlds know their upstreams by name; in half of these the name servers are no better than the rest. */
static void
make_names(uint64_t seed)
{
    struct names_weather weather = {0};
    if (storm_chance(50)) {
        weather = (struct names_weather){.slow = fault(40, 500),
                                         .refused = fault(40, 500),
                                         .missing = fault(30, 500),
                                         .several = fault(60, 1024),
                                         .at_once = fault(30, 1024),
                                         .no_channel = fault(20, 300)};
    }
    names_begin(storm.world.sim, seed, &weather);
}

/* Each call for memory may fail, seldom or often, or just one of them. */
static void
make_hunger(uint64_t seed)
{
    static const uint32_t odds[] = {20, 100, 500, 3000, 20000};
    if (!storm_chance(15))
        return;
    storm.starved = true;
    if (storm_chance(40))
        memory_fail_one(1 + storm_pick(storm_chance(50) ? 30 : 600));
    else
        memory_fail(seed, odds[storm_pick(countof(odds))]);
}

static void
run_seed(uint64_t seed)
{
    memset(&storm, 0, sizeof storm);
    storm.yaml = yamls[seed % countof(yamls)];
    if (seed / countof(yamls) % 2)
        storm.yaml = by_name(storm.yaml);
    bool secure = seed % SECURE_EVERY == 7 && secure_yaml();
    if (secure)
        storm.yaml = secure_yaml();
    world_open(&storm.world, seed, NULL, storm.yaml);
    if (secure) {
        secure_begin(&storm.world);
        storm.world.closed = secure_end;
    }
    make_weather();
    storm.slept = storm.faults.jump > 0;
    make_names(seed);
    make_hunger(seed);
    sim_set_faults(storm.world.sim, &storm.faults);
    for (struct provider *provider = storm.world.providers; provider; provider = provider->next) {
        provider_serve(provider, plan_storm);
        provider->early = !provider->wire && storm_chance(2);
        storm.early = storm.early || provider->early;
        if (storm_chance(5))
            sim_black_hole(storm.world.sim, provider->port);
        else if (storm_chance(5))
            provider_refuse(provider);
    }
    if (storm_chance(5)) { /* the pool is nearly nothing */
        storm.tight = true;
        storm.world.worker->loop.pool.chunks_max = 4 + storm_pick(60);
    }
    storm.world.scarce = storm.tight || storm.starved || storm.faults.memory > 0;
    storm.count = 1 + (uint32_t)storm_pick(CLIENTS_MAX);
    bool spread = storm_chance(40); /* not all at once */
    for (uint32_t i = 0; i < storm.count; i++) {
        guest_make(&storm.guests[i], i);
        if (spread && storm_chance(50))
            world_run(&storm.world, storm_pick(storm_chance(50) ? 50 : 3000));
    }
    if (storm_chance(10)) {
        world_run(&storm.world, storm_pick(3000));
        worker_take_generation(storm.world.worker, world_generation(storm.yaml));
    }
    for (int naps = 1; storm_chance(5) && naps <= 3; naps++) { /* the machine was asleep */
        world_run(&storm.world, storm_pick(3000));
        storm.slept = true;
        uint64_t nap_us = storm_pick(naps == 3 ? 20000 : 100) * 1000000;
        if (storm_chance(50)) {
            sim_jump(storm.world.sim, nap_us);
        } else {
            sim_freeze(storm.world.sim, nap_us, storm_pick(30000));
            world_run(&storm.world, 1);
        }
    }
    if (storm_chance(8)) {
        world_run(&storm.world, storm_pick(5000));
        storm.drained = true;
        storm.world.gateway.draining = true;
        worker_drain(storm.world.worker, storm_chance(20));
        if (storm_chance(30)) {
            world_run(&storm.world, storm_pick(5000));
            worker_drain(storm.world.worker, true);
        }
    }
    bool resumes = strstr(storm.yaml, "resume:") != NULL;
    for (int round = 0; resumes && round < 3; round++) {
        world_run(&storm.world, storm_pick(1500));
        for (uint32_t i = 0; i < storm.count; i++)
            guest_come_back(&storm.guests[i]);
    }
    world_until(&storm.world, guests_done, NULL, WORLD_MS);
    for (uint32_t i = 0; resumes && i < storm.count; i++)
        guest_come_back(&storm.guests[i]);
    if (!guests_back(NULL) && !world_until(&storm.world, guests_back, NULL, WORLD_MS)) {
        fprintf(stderr, "whoever came back was never told the end\n");
        abort();
    }
    for (uint32_t i = 0; i < storm.count; i++) {
        storm_requests += storm.guests[i].asked;
        judge_guest(&storm.guests[i]);
        storm_returns += judge_return(&storm.guests[i]);
        for (uint32_t k = 0; k < REQUESTS_MAX; k++)
            sink_fini(&storm.guests[i].requests[k].bytes);
    }
    storm_clients += storm.count;
    world_close(&storm.world);
    storm_ticks += storm.world.ticks;
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* What tools/sim adds up: a number and what it counts in each line. */
static void
print_tally(uint64_t worlds)
{
    struct memory_tally memory = memory_tally();
    struct names_tally names = names_tally();
    int rows = 0, taken = 0;
    printf("%llu worlds\n%llu ticks\n", (unsigned long long)worlds, (unsigned long long)storm_ticks);
    printf("%llu clients\n%llu requests judged\n%llu streams resumed\n", (unsigned long long)storm_clients,
           (unsigned long long)storm_requests, (unsigned long long)storm_returns);
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        printf("%llu fault: %s\n", (unsigned long long)world_injected((enum sim_fault)fault),
               sim_fault_name((enum sim_fault)fault));
    printf("%llu fault: allocations refused\n", (unsigned long long)memory.failed);
    printf("%llu fault: names answered late\n%llu fault: names refused\n%llu fault: names without an address\n"
           "%llu fault: names with several addresses\n",
           (unsigned long long)names.slow, (unsigned long long)names.refused, (unsigned long long)names.missing,
           (unsigned long long)names.several);
    struct secure_tally secure = secure_tally();
    printf("%llu TLS connections\n%llu TLS connections that came up\n", (unsigned long long)secure.handshakes, (unsigned long long)secure.done);
    printf("%llu fault: certificates that are wrong\n%llu fault: handshakes broken off\n%llu fault: no TLS where there should be\n"
           "%llu fault: TLS cut without goodbye\n", (unsigned long long)secure.certificates, (unsigned long long)secure.broken_off,
           (unsigned long long)secure.strangers, (unsigned long long)secure.truncated);
    printf("max %u places that allocate, max %u of them refused\n", memory.sites, memory.sites_failed);
    for (int state = 0; state < STATE_COUNT; state++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            const char *action;
            if (stream_next((enum stream_state)state, (enum stream_event)event, &action) == STATE_COUNT)
                continue;
            uint64_t times = world_covered((enum stream_state)state, (enum stream_event)event);
            rows++;
            taken += times > 0;
            printf("%llu row: %s %s\n", (unsigned long long)times, stream_state_name((enum stream_state)state),
                   stream_event_name((enum stream_event)event));
        }
    }
    printf("max %d rows in the stream table, max %d of them taken\n", rows, taken);
    if (getenv("PENSTOCK_SIM_SPARED"))
        memory_print_spared();
}

int
main(int argc, char **argv)
{
    uint64_t first = number_of("PENSTOCK_SIM_FIRST", 0),
             count = number_of("PENSTOCK_SIM_SEEDS", 5000);
    if (argc == 3) {
        uint64_t part = strtoull(argv[1], NULL, 10), parts = strtoull(argv[2], NULL, 10);
        assert(part >= 1 && part <= parts);
        uint64_t begin = count * (part - 1) / parts;
        count = count * part / parts - begin;
        first += begin;
    }
    if (getenv("PENSTOCK_SIM_SEED")) {
        first = number_of("PENSTOCK_SIM_SEED", 0);
        count = 1;
    }
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed);
    print_tally(count);
    return 0;
}
