/* SPDX-License-Identifier: MIT
 *
 * main.c - the process: arguments, configuration, listeners, privileges, workers, signals. It does what blocks.
 */
#include "base/log.h"
#include "gateway/cli.h"
#include "gateway/conform.h"
#include "gateway/demo.h"
#include "gateway/discover.h"
#include "gateway/doors.h"
#include "gateway/privilege.h"
#include "gateway/recall.h"
#include "gateway/service.h"
#include "gateway/tape.h"
#include "gateway/trim.h"
#include "gateway/worker.h"
#include "reactor/backend.h"
#include "reactor/trust.h"
#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define PROBE_MS 15000u
/* A reload may wait for commands of the configuration; the manager is asked for as much patience. */
#define RELOAD_PATIENCE_US 600000000ull
#define STOP_MARGIN_MS 10000u

static struct gateway *crashing; /* for the assert handler only */

/* A failed assertion prints what led to it. */
static void
on_abort(int signal_number)
{
    (void)signal_number;
    struct gateway *gateway = crashing;
    crashing = NULL;
    for (uint32_t i = 0; gateway && i < gateway->worker_count; i++) {
        const struct worker *worker = gateway->workers[i];
        /* Ours, and whoever hangs: a service manager's watchdog ends us by this signal as well. */
        if (worker && (pthread_equal(worker->thread, pthread_self()) || !worker_answered(worker)))
            worker_print_flight(gateway->workers[i]);
    }
    signal(SIGABRT, SIG_DFL);
    abort();
}

struct generation_mail {
    struct mail mail;
    struct generation *generation;
};

static void
deliver_generation(struct worker *worker, struct mail *mail)
{
    struct generation_mail *message = container_of(mail, struct generation_mail, mail);
    worker_take_generation(worker, message->generation);
    free(message);
}

struct drain_mail {
    struct mail mail;
    bool now;
};

static void
deliver_drain(struct worker *worker, struct mail *mail)
{
    struct drain_mail *message = container_of(mail, struct drain_mail, mail);
    worker_drain(worker, message->now);
    free(message);
}

static void
send_drain(struct gateway *gateway, bool now)
{
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        struct drain_mail *message = calloc(1, sizeof *message);
        if (!message)
            continue;
        message->mail.deliver = deliver_drain;
        message->now = now;
        worker_send(gateway->workers[i], &message->mail);
    }
}

static bool
uses_demo(const struct config *config)
{
    for (uint32_t i = 0; i < config->deployment_count; i++) {
        if (slice_is(config->deployments[i].provider, "demo"))
            return true;
    }
    return config->demo;
}

/* What only a new process can do is named, so that nobody believes it done. */
static void
name_unchanged(const struct config *old, const struct config *fresh)
{
    const struct {
        const char *name;
        bool changed;
    } keys[] = {
        {"penstock.listen.host", !slice_eq(old->host, fresh->host)},
        {"penstock.listen.port", old->port != fresh->port},
        {"penstock.workers", old->workers != fresh->workers},
        {"penstock.user", !slice_eq(old->user, fresh->user)},
        {"penstock.io_backend", !slice_eq(old->io_backend, fresh->io_backend)},
        {"penstock.log.file", !slice_eq(old->log_file, fresh->log_file)},
        {"penstock.log.rotate", old->log_rotate_bytes != fresh->log_rotate_bytes},
        {"penstock.log.keep", old->log_keep != fresh->log_keep},
    };
    for (size_t i = 0; i < countof(keys); i++) {
        if (keys[i].changed)
            log_say(LOG_WARN, "takes a restart", "%s", keys[i].name);
    }
}

/* A new configuration is read and checked aside; a wrong one leaves everything as it was (R193). */
static bool
reload(struct gateway *gateway, const struct cli *cli, uint16_t demo_port,
       struct generation **current, struct discover_seen *seen)
{
    struct config *config;
    log_reopen();
    if (cli_load(&cli->flags, environ, false, &config) < 0) {
        log_say(LOG_ERROR, "reload refused", "the configuration has errors; the old one stays");
        return false;
    }
    if (demo_port == 0 && uses_demo(config)) {
        log_say(LOG_ERROR, "reload refused",
                "the demo models take a restart; the old configuration stays");
        config_drop(config);
        return false;
    }
    struct sink problem;
    sink_init(&problem, 4096);
    struct generation *fresh;
    if (generation_new(config, demo_port, &fresh, &problem) < 0) {
        log_say(LOG_ERROR, "reload refused", "%.*s", SLICE_ARG(sink_slice(&problem)));
        sink_fini(&problem);
        return false;
    }
    sink_fini(&problem);
    name_unchanged((*current)->config, fresh->config);
    generation_inherit(fresh, *current);
    *seen = (struct discover_seen){0};
    discover_read(fresh, seen);
    log_set_level(fresh->config->log_level);
    recall_limit(gateway->recall, fresh->config->limits.recall_bytes, fresh->config->recall_ms);
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        struct generation_mail *message = calloc(1, sizeof *message);
        if (!message)
            continue;
        message->mail.deliver = deliver_generation;
        message->generation = generation_hold(fresh);
        worker_send(gateway->workers[i], &message->mail);
    }
    generation_drop(*current);
    *current = fresh;
    log_say(LOG_INFO, "reloaded", "%u deployments", fresh->count);
    return true;
}

static uint64_t
monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The same with word to the service manager, before and after. */
static void
reload_told(struct gateway *gateway, const struct cli *cli, uint16_t demo_port,
            struct generation **current, struct discover_seen *seen, struct service *service)
{
    char watchdog[48] = "";
    uint64_t patience_us = service->watchdog_us < RELOAD_PATIENCE_US ? RELOAD_PATIENCE_US : service->watchdog_us;
    if (service->watchdog_us > 0)
        snprintf(watchdog, sizeof watchdog, "\nWATCHDOG_USEC=%llu", (unsigned long long)patience_us);
    service_tell(service, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading the configuration%s",
                 (unsigned long long)monotonic_us(), watchdog);
    bool taken = reload(gateway, cli, demo_port, current, seen);
    if (service->watchdog_us > 0)
        snprintf(watchdog, sizeof watchdog, "\nWATCHDOG_USEC=%llu", (unsigned long long)service->watchdog_us);
    service_tell(service, "READY=1\nSTATUS=%s%s",
                 taken ? "Serving with the new configuration" : "Serving; a new configuration was refused, see the log", watchdog);
}

static bool
workers_done(const struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        if (!gateway->workers[i]->stop)
            return false;
    }
    return true;
}

/* Streams may go on for as long as is configured, so the manager must not lose patience before. */
static void
begin_drain(struct gateway *gateway, const struct config *config, const struct service *service, int signal_number)
{
    bool now = gateway->draining;
    log_say(LOG_INFO, now ? "ending now" : "draining", "%s", strsignal(signal_number));
    gateway->draining = true;
    send_drain(gateway, now);
    if (!now) /* when readiness says so as well */
        service_tell(service, "STOPPING=1\nSTATUS=Live streams finish\nEXTEND_TIMEOUT_USEC=%llu",
                     (unsigned long long)(config->shutdown_ms + STOP_MARGIN_MS) * 1000);
}

static void
wait_for_signals(struct gateway *gateway, const struct cli *cli, uint16_t demo_port,
                 struct generation **current, struct discover_seen *seen, struct service *service, const sigset_t *signals)
{
    struct trim trim = {0};
    while (!workers_done(gateway)) {
        const uint64_t tenth_us = 100000, second_us = 1000000;
        bool watches = (*current)->config->discovery_file.len > 0;
        uint64_t wait_us = gateway->draining ? tenth_us : second_us;
        uint64_t watch_us = service_watch(service, gateway, monotonic_us());
        if (watch_us < wait_us)
            wait_us = watch_us;
        struct timespec wait = {(time_t)(wait_us / 1000000), (long)(wait_us % 1000000) * 1000};
        int got = sigtimedwait(signals, NULL, &wait);
        trim_tick(&trim, gateway, monotonic_us());
        if (got == SIGHUP) {
            reload_told(gateway, cli, demo_port, current, seen, service);
        } else if (got == SIGTERM || got == SIGINT) {
            begin_drain(gateway, (*current)->config, service, got);
        } else if (watches && !gateway->draining) {
            discover_read(*current, seen);
        }
    }
}

static void
raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            log_say(LOG_WARN, "descriptor limit", "%s", strerror(errno));
    }
}

static const struct backend_ops *
choose_backend(struct slice name)
{
    char problem[BACKEND_PROBLEM_BYTES];
    const struct backend_ops *ops = backend_find(name, problem);
    if (problem[0])
        log_say(slice_is(name, "auto") ? LOG_INFO : LOG_WARN, "io_uring not available",
                "%s; using epoll", problem);
    return ops;
}

static int
make_workers(struct gateway *gateway, struct generation *generation, uint32_t count)
{
    const struct backend_ops *ops = choose_backend(generation->config->io_backend);
    gateway->workers = calloc(count, sizeof *gateway->workers);
    if (!gateway->workers)
        return -ERR_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        gateway->workers[i] = calloc(1, sizeof **gateway->workers);
        int error = gateway->workers[i]
                        ? worker_init(gateway->workers[i], gateway, i, generation, ops, NULL)
                        : -ERR_MEMORY;
        if (error < 0)
            return error;
        gateway->worker_count = i + 1;
    }
    return 0;
}

static int
start_log(const struct config *config)
{
    if (config->log_file.len == 0)
        return log_start(STDERR_FILENO);
    int error =
        log_start_file(config->log_file, config->log_rotate_bytes, (unsigned)config->log_keep);
    if (error < 0)
        fprintf(stderr, "error: can not open the log file %.*s: %s\n", SLICE_ARG(config->log_file),
                strerror(errno));
    return error;
}

static void
block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGABRT, on_abort);
}

/* What the configuration was read from must be readable at a reload as well: better to hear of it now. */
static void
name_unreadable(const struct config *config)
{
    for (const struct config_file *file = config->files; file; file = file->next)
        if (access(file->path.ptr, R_OK) != 0)
            log_say(LOG_WARN, "a reload will fail", "%.*s can not be read as %.*s: %s", SLICE_ARG(file->path),
                    SLICE_ARG(config->user), strerror(errno));
}

/* After ports and keys, before the log file, threads and clients: what the user may not touch then, it never could. */
static int
leave_root(const struct config *config)
{
    char problem[PRIVILEGE_PROBLEM_BYTES] = "";
    struct identity identity;
    int error = 0;
    if (geteuid() != 0) {
        if (config->user.len > 0)
            log_say(LOG_INFO, "penstock.user has no effect", "not started as root but as user %u", (unsigned)geteuid());
        return 0;
    }
    if (config->user.len == 0) {
        error = privilege_shed(problem);
        if (error == 0)
            log_say(LOG_WARN, "running as root", "penstock.user names a user to become; capabilities are given up");
    } else {
        error = privilege_find(config->user, &identity, problem);
        if (error == 0)
            error = privilege_become(identity, problem);
        if (error == 0)
            log_say(LOG_INFO, "no longer root", "%.*s, user %u, group %u", SLICE_ARG(config->user), (unsigned)geteuid(), (unsigned)getegid());
    }
    if (error < 0)
        log_say(LOG_ERROR, "can not leave root", "%s", problem);
    else if (config->user.len > 0)
        name_unreadable(config);
    return error;
}

/* What needs root, and then no more of it: ports, keys, certificates. The config is taken over. */
static int
prepare(struct doors *doors, struct config *config, int inherited, struct generation **generation)
{
    struct sink problem;
    sink_init(&problem, 4096);
    /* The demo provider's port must be known before deployments are resolved. */
    int error = doors_open(doors, config, inherited, uses_demo(config));
    if (error < 0)
        config_drop(config);
    else
        error = generation_new(config, doors->demo_port, generation, &problem);
    if (error < 0 && problem.len > 0)
        log_say(LOG_ERROR, "configuration", "%.*s", SLICE_ARG(sink_slice(&problem)));
    sink_fini(&problem);
    return error < 0 ? error : leave_root((*generation)->config);
}

/* To running workers. */
static int
start(struct gateway *gateway, struct doors *doors, struct generation *generation)
{
    int error = make_workers(gateway, generation, generation->config->workers);
    if (error == 0)
        error = doors_give(doors, gateway);
    for (uint32_t i = 0; error == 0 && i < gateway->worker_count; i++) {
        gateway->workers[i]->listener.server_key = generation->server_key;
        error = worker_start(gateway->workers[i]);
    }
    return error;
}

static void
announce(const struct gateway *gateway, const struct generation *generation, const struct doors *doors)
{
    struct log_line line;
    log_begin(&line, LOG_INFO, "listening");
    log_text(&line, "addr", doors->address);
    log_i64(&line, "workers", gateway->worker_count);
    log_text(&line, "io", gateway->workers[0]->loop.ops->name);
    log_i64(&line, "deployments", generation->count);
    log_text(&line, "version", PENSTOCK_VERSION);
    if (doors->inherited)
        log_text(&line, "socket", "inherited");
    log_end(&line);
}

static void
stop(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_join(gateway->workers[i]);
    for (bool any = true; any;) {
        any = false;
        for (uint32_t i = 0; i < gateway->worker_count; i++)
            any = worker_read_mail(gateway->workers[i]) || any;
    }
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        worker_fini(gateway->workers[i]);
        free(gateway->workers[i]);
    }
    free(gateway->workers);
}

static int
fail_start(int error)
{
    log_say(LOG_ERROR, "can not start", "%s", err_row(error)->text);
    log_stop();
    return 1;
}

/* From here on the log is written by a thread, if there is to be one. */
static int
run(const struct cli *cli, struct gateway *gateway, struct doors *doors, struct generation *generation,
    struct service *service, const sigset_t *signals)
{
    struct discover_seen seen = {0};
    uint16_t demo_port = doors->demo_port;
    discover_read(generation, &seen);
    int error = start(gateway, doors, generation);
    if (error < 0)
        return fail_start(error);
    recall_limit(gateway->recall, generation->config->limits.recall_bytes, generation->config->recall_ms);
    announce(gateway, generation, doors);
    service_tell(service, "READY=1\nSTATUS=Serving %s, %u models, %u workers", doors->address, generation->count, gateway->worker_count);
    doors_close(doors);
    wait_for_signals(gateway, cli, demo_port, &generation, &seen, service, signals);
    stop(gateway);
    generation_drop(generation);
    return 0;
}

static int
serve(const struct cli *cli)
{
    struct config *config;
    static struct recall recall; /* large, and shared by all threads to the end */
    static struct tape_store tapes;
    struct gateway gateway = {.recall = &recall, .tapes = &tapes};
    struct generation *generation = NULL;
    struct service service;
    struct doors doors;
    sigset_t signals;
    char problem[SERVICE_PROBLEM_BYTES];
    if (service_take(&service, problem) < 0) {
        fprintf(stderr, "error: service manager: %s\n", problem);
        return 1;
    }
    if (cli_load(&cli->flags, environ, false, &config) < 0)
        return 1;
    log_set_level(config->log_level);
    raise_descriptor_limit();
    trim_init();
    crashing = &gateway;
    block_signals(&signals);
    int error = prepare(&doors, config, service.listener, &generation);
    if (error == 0)
        error = start_log(generation->config);
    if (error == 0)
        error = recall_init(&recall);
    if (error == 0)
        error = tape_store_init(&tapes);
    if (error < 0) {
        doors_close(&doors);
        if (generation)
            generation_drop(generation);
        service_close(&service);
        return fail_start(error);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    gateway.started_unix_s = (uint64_t)now.tv_sec;
    if (run(cli, &gateway, &doors, generation, &service, &signals) != 0)
        return 1;
    recall_fini(&recall);
    tape_store_fini(&tapes);
    log_say(LOG_INFO, "stopped", "all streams have ended");
    log_stop();
    service_close(&service);
    return 0;
}

/* tls-probe URL: what a TLS upstream offers and whether penstock can use it. */
static int
probe(const struct cli *cli)
{
    struct slice rest = cli->url;
    if (slice_starts(rest, SLICE_LIT("https://")))
        rest = slice_skip(rest, 8);
    struct slice host = text_split(&rest, '/');
    uint64_t port = 443;
    const char *colon = host.len ? memrchr(host.ptr, ':', host.len) : NULL;
    if (colon && host.ptr[host.len - 1] != ']') {
        struct slice digits = slice_of(colon + 1, (size_t)(host.ptr + host.len - colon - 1));
        host.len = (size_t)(colon - host.ptr);
        if (!text_u64(digits, &port) || port == 0 || port > 65535) {
            /* Not the URL: whoever puts a password into it makes a bad port of that. */
            fprintf(stderr, "tls-probe: the address has a bad port\n");
            return CLI_USAGE_STATUS;
        }
    }
    struct sink report, problem;
    struct trust *trust;
    sink_init(&report, 65536);
    sink_init(&problem, 4096);
    if (trust_load(SLICE_NONE, &trust, &problem) < 0) {
        fprintf(stderr, "tls-probe: %.*s\n", SLICE_ARG(sink_slice(&problem)));
        sink_fini(&problem);
        return 1;
    }
    int error = tls_probe(host, (uint16_t)port, SLICE_NONE, trust, PROBE_MS, &report);
    printf("%.*s", SLICE_ARG(sink_slice(&report)));
    trust_drop(trust);
    sink_fini(&report);
    sink_fini(&problem);
    return error < 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
    struct cli cli;
    if (argc > 1 && strcmp(argv[1], "conform") == 0) /* its options are its own */
        return conform_main(argc - 1, argv + 1);
    int status = cli_parse(argc, argv, &cli);
    if (status != 0)
        return status;
    if (cli_is_offline(&cli))
        return cli_run_offline(&cli, environ);
    if (cli.command == CLI_DISCOVER)
        return discover_main(&cli, environ);
    return cli.command == CLI_TLS_PROBE ? probe(&cli) : serve(&cli);
}
