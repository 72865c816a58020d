/* SPDX-License-Identifier: MIT
 *
 * loadgen - keeps thousands of exchanges going and checks every one of them. See --help.
 */
#include "tools/loadgen/loadgen.h"
#include "tools/load/clock.h"
#include "tools/load/link_tls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ID_FIRST 1000000000ull
#define SECOND_NS 1000000000ull

static volatile sig_atomic_t stopped, asked_for_line;

static void
on_signal(int number)
{
    if (number == SIGUSR1)
        asked_for_line = 1;
    else
        stopped = 1;
}

static void
catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static bool
start(struct loadgen *loadgen)
{
    const struct settings *settings = &loadgen->settings;
    loadgen->asker_count = settings->streams + settings->leave + settings->slow + settings->idle;
    loadgen->askers = calloc(loadgen->asker_count, sizeof(*loadgen->askers));
    if (!loadgen->askers || !template_make(&loadgen->template, settings) ||
        links_init(&loadgen->links, &asker_calls, loadgen) < 0) {
        perror("loadgen");
        return false;
    }
    if (settings->tls && !links_ask_tls(&loadgen->links, settings->authorities, settings->name))
        return false;
    /* Ids of several loadgens should differ. */
    loadgen->id_next = ID_FIRST + (uint64_t)(getpid() % 8000) * 1000000;
    loadgen->random = 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid();
    loadgen->now_ns = loadgen->start_ns = loadgen->checked_ns = clock_now_ns();
    timers_init(&loadgen->timers, loadgen->now_ns);
    for (uint32_t i = 0; i < loadgen->asker_count; i++)
        asker_init(loadgen, i);
    return true;
}

static void
look_around(struct loadgen *loadgen)
{
    const struct settings *settings = &loadgen->settings;
    if (asked_for_line) {
        asked_for_line = 0;
        report_line(loadgen);
    }
    uint32_t wanted = settings->streams + settings->leave;
    if (!loadgen->announced && loadgen->ever_count >= wanted &&
        loadgen->idle_open >= settings->idle) {
        loadgen->announced = true;
        FILE *out =
            report_to_stdout(loadgen) ? stderr : stdout; /* what is on stdout shall be JSON */
        fputs("ready\n", out);
        fflush(out);
    }
    if (loadgen->now_ns - loadgen->checked_ns >= SECOND_NS) {
        loadgen->checked_ns = loadgen->now_ns;
        for (uint32_t i = 0; i < loadgen->asker_count; i++)
            asker_check_time(&loadgen->askers[i]);
    }
}

/* Slow and idle connections have no end of their own. */
static bool
over(const struct loadgen *loadgen)
{
    const struct settings *settings = &loadgen->settings;
    if (stopped ||
        (settings->seconds && loadgen->now_ns - loadgen->start_ns >= settings->seconds * SECOND_NS))
        return true;
    return (settings->requests || settings->once) &&
           loadgen->over_count >= settings->streams + settings->leave;
}

static void
run(struct loadgen *loadgen)
{
    while (!over(loadgen)) {
        loadgen->now_ns = clock_now_ns();
        for (struct timer *timer; (timer = timers_take(&loadgen->timers, loadgen->now_ns));)
            asker_due(container_of(timer, struct asker, timer));
        look_around(loadgen);
        links_turn(&loadgen->links, timers_wait_ns(&loadgen->timers, loadgen->now_ns));
    }
    loadgen->end_ns = clock_now_ns();
}

static void
stop(struct loadgen *loadgen)
{
    loadgen->stopping = true;
    for (uint32_t i = 0; i < loadgen->asker_count; i++) {
        asker_retire(&loadgen->askers[i]);
        reply_fini(&loadgen->askers[i].reply);
    }
    links_fini(&loadgen->links);
    free(loadgen->askers);
    free(loadgen->template.bytes);
    free(loadgen);
}

int
main(int argc, char **argv)
{
    struct loadgen *loadgen = calloc(1, sizeof(*loadgen));
    if (!loadgen || !settings_read(&loadgen->settings, argc, argv)) {
        free(loadgen);
        return 2;
    }
    net_raise_limits();
    prctl(PR_SET_TIMERSLACK, 1000ul);
    catch_signals();
    if (!start(loadgen))
        return 2;
    run(loadgen);
    bool written = report_write(loadgen), right = !report_wrongs(loadgen);
    stop(loadgen);
    return written && right ? 0 : 1;
}
