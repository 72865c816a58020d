/* SPDX-License-Identifier: MIT
 *
 * main.c - the process: arguments, configuration, listeners, workers, signals. It does what blocks.
 */
#include "base/log.h"
#include "gateway/cli.h"
#include "gateway/conform.h"
#include "gateway/demo.h"
#include "gateway/discover.h"
#include "gateway/recall.h"
#include "gateway/tape.h"
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

#define BACKLOG 4096
#define PROBE_MS 15000u

static struct gateway *crashing; /* for the assert handler only */

/* A failed assertion prints what led to it. */
static void
on_abort(int signal_number)
{
    (void)signal_number;
    struct gateway *gateway = crashing;
    crashing = NULL;
    for (uint32_t i = 0; gateway && i < gateway->worker_count; i++) {
        if (gateway->workers[i] && pthread_equal(gateway->workers[i]->thread, pthread_self()))
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
static void
reload(struct gateway *gateway, const struct cli *cli, uint16_t demo_port,
       struct generation **current, struct discover_seen *seen)
{
    struct config *config;
    log_reopen();
    if (cli_load(&cli->flags, environ, false, &config) < 0) {
        log_say(LOG_ERROR, "reload refused", "the configuration has errors; the old one stays");
        return;
    }
    if (demo_port == 0 && uses_demo(config)) {
        log_say(LOG_ERROR, "reload refused",
                "the demo models take a restart; the old configuration stays");
        config_drop(config);
        return;
    }
    struct sink problem;
    sink_init(&problem, 4096);
    struct generation *fresh;
    if (generation_new(config, demo_port, &fresh, &problem) < 0) {
        log_say(LOG_ERROR, "reload refused", "%.*s", SLICE_ARG(sink_slice(&problem)));
        sink_fini(&problem);
        return;
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

static void
wait_for_signals(struct gateway *gateway, const struct cli *cli, uint16_t demo_port,
                 struct generation **current, struct discover_seen *seen, const sigset_t *signals)
{
    while (!workers_done(gateway)) {
        struct timespec tenth = {0, 100000000}, second = {1, 0}, day = {86400, 0};
        bool watches = (*current)->config->discovery_file.len > 0;
        int got = sigtimedwait(signals, NULL, gateway->draining ? &tenth : watches ? &second : &day);
        if (got == SIGHUP) {
            reload(gateway, cli, demo_port, current, seen);
        } else if (got == SIGTERM || got == SIGINT) {
            bool now = gateway->draining;
            log_say(LOG_INFO, now ? "ending now" : "draining", "%s", strsignal(got));
            gateway->draining = true;
            send_drain(gateway, now);
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

/* Every worker gets its own listening socket on the same address; the first decides a port of 0. */
static int
open_listeners(struct gateway *gateway, struct slice host, uint16_t *port,
               int (*take)(struct worker *, int))
{
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        char problem[128];
        int fd = listener_socket(host, port, BACKLOG, problem);
        if (fd < 0) {
            log_say(LOG_ERROR, "can not listen", "%.*s:%u: %s", SLICE_ARG(host), (unsigned)*port,
                    problem);
            return fd;
        }
        int error = take(gateway->workers[i], fd);
        if (error < 0)
            return error;
    }
    return 0;
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

/* The demo provider's port must be known before deployments are resolved: bind the first socket
 * early. */
static int
demo_socket(uint16_t *port)
{
    char problem[128];
    int fd = listener_socket(SLICE_LIT("127.0.0.1"), port, BACKLOG, problem);
    if (fd < 0)
        log_say(LOG_ERROR, "can not listen for the demo provider", "%s", problem);
    return fd;
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

/* From a checked configuration (taken over) to running workers. The ports are what was bound. */
static int
start(struct gateway *gateway, struct config *config, struct generation **generation,
      uint16_t *demo_port, uint16_t *port, struct discover_seen *seen)
{
    bool demo = uses_demo(config);
    int demo_fd = demo ? demo_socket(demo_port) : -1;
    struct slice host = config->host;
    uint32_t workers = config->workers;
    struct sink problem;
    sink_init(&problem, 4096);
    int error =
        demo && demo_fd < 0 ? demo_fd : generation_new(config, *demo_port, generation, &problem);
    if (error < 0 && problem.len > 0)
        log_say(LOG_ERROR, "configuration", "%.*s", SLICE_ARG(sink_slice(&problem)));
    sink_fini(&problem);
    if (error == 0) {
        discover_read(*generation, seen);
        error = make_workers(gateway, *generation, workers);
    }
    if (error == 0 && demo) {
        error = open_listeners(gateway, SLICE_LIT("127.0.0.1"), demo_port, demo_open);
        close(demo_fd);
    }
    if (error == 0)
        error = open_listeners(gateway, host, port, worker_listen);
    for (uint32_t i = 0; error == 0 && i < gateway->worker_count; i++) {
        gateway->workers[i]->listener.server_key = (*generation)->server_key;
        error = worker_start(gateway->workers[i]);
    }
    return error;
}

static void
announce(const struct gateway *gateway, const struct generation *generation, uint16_t port)
{
    struct slice host = generation->config->host;
    struct log_line line;
    char address[300];
    bool literal6 = memchr(host.ptr, ':', host.len) != NULL;
    snprintf(address, sizeof address, literal6 ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(host),
             (unsigned)port);
    log_begin(&line, LOG_INFO, "listening");
    log_text(&line, "addr", address);
    log_i64(&line, "workers", gateway->worker_count);
    log_text(&line, "io", gateway->workers[0]->loop.ops->name);
    log_i64(&line, "deployments", generation->count);
    log_text(&line, "version", PENSTOCK_VERSION);
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
serve(const struct cli *cli)
{
    struct config *config;
    static struct recall recall; /* large, and shared by all threads to the end */
    static struct tape_store tapes;
    struct gateway gateway = {.recall = &recall, .tapes = &tapes};
    struct generation *generation = NULL;
    sigset_t signals;
    if (cli_load(&cli->flags, environ, false, &config) < 0)
        return 1;
    log_set_level(config->log_level);
    raise_descriptor_limit();
    crashing = &gateway;
    block_signals(&signals);
    if (start_log(config) < 0 || recall_init(&recall) < 0 || tape_store_init(&tapes) < 0)
        return 1;

    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    gateway.started_unix_s = (uint64_t)now.tv_sec;
    uint16_t demo_port = 0, port = config->port;
    struct discover_seen seen = {0};
    int error = start(&gateway, config, &generation, &demo_port, &port, &seen);
    if (error < 0) {
        log_say(LOG_ERROR, "can not start", "%s", err_row(error)->text);
        log_stop();
        return 1;
    }
    recall_limit(&recall, config->limits.recall_bytes, config->recall_ms);
    announce(&gateway, generation, port);
    wait_for_signals(&gateway, cli, demo_port, &generation, &seen, &signals);
    stop(&gateway);
    generation_drop(generation);
    recall_fini(&recall);
    tape_store_fini(&tapes);
    log_say(LOG_INFO, "stopped", "all streams have ended");
    log_stop();
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
            fprintf(stderr, "tls-probe: bad port in %.*s\n", SLICE_ARG(cli->url));
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
