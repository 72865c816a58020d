/* SPDX-License-Identifier: MIT
 *
 * load_provider - a provider in C for load: as many streams as descriptors, each event written at
 * its time, for as little of the processor as can be. For odd answers there is main.mjs beside it.
 */
#include "tools/fake_provider/load_client.h"
#include "tools/load/clock.h"
#include "tools/load/link_tls.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* clang-format off */
static const char help[] =
    "Usage: load_provider --listen ADDR:PORT[,ADDR:PORT...] [--tls CERT.pem KEY.pem]\n"
    "\n"
    "Answers POST requests in the dialect of their path: /v1/chat/completions, /v1/messages,\n"
    "/v1/responses, /v1beta/models/M:generateContent and M:streamGenerateContent (always as server-sent\n"
    "events); streamed when the request says so, else whole. Bodies need a Content-Length.\n"
    "Prints \"ready\" when it listens, before it \"listening ADDR:PORT\" for port 0; ends on SIGTERM.\n"
    "\n"
    "The model's name says what comes: load-e512-i20-z64 is 512 events, one each 20 ms, of 64 bytes text.\n"
    "  -eN   events with text (1)\n"
    "  -zN   bytes of text in each (64; a marker and one byte at least)\n"
    "  -iMS  one each MS milliseconds; 0: as fast as the socket takes them (0)\n"
    "  -bN   N events each interval (1)\n"
    "  -wMS  wait so long before the answer (0)\n"
    "  -k    without keep-alive\n"
    "  -s    with -i0: a write for each event, streams in turn\n"
    "  -xF   a fault in the middle of the events:\n"
    "        lose, double, swap     an event is left out, comes twice, changes places with the next\n"
    "        cross, error           one bears another id; an error event, and the end\n"
    "        noend, twoends         the dialect's ending is left out, comes twice\n"
    "        cut, reset, stall      the connection is closed, is reset, falls silent\n"
    "        400 to 599             an answer of this status\n"
    "\n"
    "The last \"id=NUMBER\" of a request is the id of its answer. Each text begins with\n"
    "[id.number.nanoseconds of CLOCK_MONOTONIC as it was written] and is filled up with '-', the last one\n"
    "with '$'. Paced streams have places in their interval that spread them evenly; each event is one\n"
    "write. Unpaced streams are written in large pieces.\n";
/* clang-format on */

static volatile sig_atomic_t stopped;

static void
on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static struct link *
on_accepted(void *context, struct link *listener)
{
    (void)listener;
    struct load_client *client = load_client_new(context);
    return client ? &client->link : NULL;
}

static void
on_up(struct link *link)
{
    (void)link;
}

static void
on_bytes(struct link *link, struct slice bytes)
{
    load_client_bytes(container_of(link, struct load_client, link), bytes);
}

static void
on_room(struct link *link)
{
    load_client_room(container_of(link, struct load_client, link));
}

static void
on_end(struct link *link, int error)
{
    (void)error;
    link_close(link, false);
}

static void
on_closed(struct link *link)
{
    if (link->listener)
        return;
    load_client_free(container_of(link, struct load_client, link));
}

static const struct link_calls calls = {on_accepted, on_up, on_bytes, on_room, on_end, on_closed};

struct settings {
    struct net_list listen;
    const char *certificate, *key;
};

static bool
options(int argc, char **argv, struct settings *settings)
{
    static const struct option longs[] = {
        {"listen", 1, 0, 'l'}, {"tls", 1, 0, 't'}, {"help", 0, 0, 'h'}, {0}};
    for (int letter; (letter = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
        switch (letter) {
        case 'l':
            if (!net_parse(optarg, true, &settings->listen))
                return false;
            break;
        case 't':
            settings->certificate = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            return false;
        }
    }
    /* The key is the word behind the certificate. */
    if (settings->certificate && optind < argc)
        settings->key = argv[optind++];
    return optind == argc && settings->listen.count && !settings->certificate == !settings->key;
}

static bool
listen_all(struct load_provider *provider, const struct net_list *list)
{
    for (int i = 0; i < list->count; i++) {
        struct link *listener = &provider->listeners[provider->listener_count++];
        link_init(listener, &provider->links);
        if (link_listen(listener, &list->addresses[i]) < 0)
            return false;
        net_tell(listener->fd, &list->addresses[i]);
    }
    return true;
}

static void
serve(struct load_provider *provider)
{
    while (!stopped) {
        uint64_t now_ns = clock_now_ns();
        for (struct timer *timer; (timer = timers_take(&provider->timers, now_ns));) {
            struct load_client *client = container_of(timer, struct load_client, timer);
            if (!client->link.closing)
                load_client_due(client);
        }
        struct list ready;
        list_init(&ready);
        list_move_all(&ready, &provider->ready);
        for (struct list *node; (node = list_pop(&ready));) {
            struct load_client *client = list_entry(node, struct load_client, ready);
            if (!client->link.closing)
                load_client_go_on(client);
        }
        links_turn(&provider->links, list_empty(&provider->ready)
                                         ? timers_wait_ns(&provider->timers, clock_now_ns())
                                         : 0);
    }
}

static struct load_provider *
provider_new(void)
{
    struct load_provider *provider = calloc(1, sizeof(*provider));
    if (!provider)
        return NULL;
    provider->scratch = malloc(ANSWER_ROOM);
    if (!provider->scratch || links_init(&provider->links, &calls, provider) < 0) {
        free(provider->scratch);
        free(provider);
        return NULL;
    }
    timers_init(&provider->timers, clock_now_ns());
    list_init(&provider->ready);
    list_init(&provider->clients);
    for (size_t i = 0; i < countof(provider->plans); i++)
        list_init(&provider->plans[i]);
    return provider;
}

static void
provider_free(struct load_provider *provider)
{
    for (struct list *node = provider->clients.next; node != &provider->clients; node = node->next)
        link_close(&list_entry(node, struct load_client, all)->link, true);
    for (int i = 0; i < provider->listener_count; i++)
        link_close(&provider->listeners[i], false);
    links_fini(&provider->links);
    for (size_t i = 0; i < countof(provider->plans); i++) {
        for (struct list *node; (node = list_pop(&provider->plans[i]));)
            plan_free(list_entry(node, struct plan, link));
    }
    free(provider->scratch);
    free(provider);
}

/* What main does when it has a provider; its exit code. */
static int
serve_all(struct load_provider *provider, const struct settings *settings)
{
    if (settings->certificate &&
        !links_serve_tls(&provider->links, settings->certificate, settings->key))
        return 1;
    if (!listen_all(provider, &settings->listen)) {
        perror("load_provider");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    serve(provider);
    return 0;
}

int
main(int argc, char **argv)
{
    struct settings settings = {0};
    if (!options(argc, argv, &settings)) {
        fputs("load_provider: wrong call; see --help\n", stderr);
        return 2;
    }
    net_raise_limits();
    prctl(PR_SET_TIMERSLACK, 1000ul);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGPIPE, SIG_IGN);
    struct load_provider *provider = provider_new();
    if (!provider) {
        perror("load_provider");
        return 1;
    }
    int code = serve_all(provider, &settings);
    provider_free(provider);
    return code;
}
