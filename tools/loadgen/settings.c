/* SPDX-License-Identifier: MIT
 *
 * settings.c - the command line of loadgen.
 */
#include "tools/loadgen/loadgen.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const char help[] =
    "Usage: loadgen --target http://ADDR:PORT[,more] --model NAME [options]\n"
    "\n"
    "Keeps exchanges going with load_provider, directly or through a gateway, and checks each of them:\n"
    "texts in order, none lost, none twice, none of another stream, the dialect's ending once, status\n"
    "200, strict HTTP/1.1. Latency is from the moment load_provider wrote a text to the moment it is here\n"
    "(one machine, one clock).\n"
    "\n"
    "  --dialect D         chat (default), anthropic, responses, gemini\n"
    "  --streams N         connections, each with one exchange at a time (1)\n"
    "  --requests N        end after N exchanges\n"
    "  --seconds S         end after S seconds, in the middle of whatever is going on; with neither, each\n"
    "                      connection asks once\n"
    "  --stream, --whole   ask for a stream (default), for one object\n"
    "  --usage             chat: ask for the usage at the end of a stream\n"
    "  --body-bytes N      so much more text in the request\n"
    "  --key SECRET        the client's key\n"
    "  --header LINE       a field of each request's head, \"name: value\"; up to 8 times\n"
    "  --new-connections   a connection for each request\n"
    "  --slow N            N connections besides, that read --slow-bytes (64) each --slow-ms (100)\n"
    "  --leave-early N     N besides, that leave in the middle, by FIN or reset, and come again\n"
    "  --idle N            N besides, that say nothing\n"
    "  --hold              keep the streams until SIGTERM or --seconds; what ends is asked for again\n"
    "  --ramp MS           spread the first connections over MS (a tenth of a millisecond for each)\n"
    "  --timeout S         an exchange that is silent for S seconds has failed (60; --hold: never)\n"
    "  --from ADDR[,more]  source addresses, in turn: each has some 28,000 ports for each target\n"
    "  --tls               TLS to the target (not with --from)\n"
    "  --ca FILE           with --tls: the certificates to trust (the system's)\n"
    "  --name HOST         with --tls: the name in the target's certificate (the address)\n"
    "  --verify            accepted and meaningless: everything is always checked\n"
    "  --json FILE         where the result goes (stdout)\n"
    "\n"
    "Prints \"ready\" as soon as every connection had its first text or answer (on stderr when the result\n"
    "goes to stdout). SIGUSR1 prints the counters so far as a line of JSON, SIGTERM ends. Exit code: 0,\n"
    "1 when anything was wrong, 2 for a wrong call.\n";
/* clang-format on */

enum option_id {
    OPTION_TARGET = 256,
    OPTION_DIALECT,
    OPTION_MODEL,
    OPTION_STREAMS,
    OPTION_REQUESTS,
    OPTION_SECONDS,
    OPTION_STREAM,
    OPTION_WHOLE,
    OPTION_USAGE,
    OPTION_BODY,
    OPTION_KEY,
    OPTION_HEADER,
    OPTION_NEW,
    OPTION_SLOW,
    OPTION_SLOW_BYTES,
    OPTION_SLOW_MS,
    OPTION_LEAVE,
    OPTION_IDLE,
    OPTION_HOLD,
    OPTION_RAMP,
    OPTION_TIMEOUT,
    OPTION_FROM,
    OPTION_TLS,
    OPTION_CA,
    OPTION_NAME,
    OPTION_VERIFY,
    OPTION_JSON,
    OPTION_HELP,
};

static const struct option longs[] = {
    {"target", 1, 0, OPTION_TARGET},
    {"dialect", 1, 0, OPTION_DIALECT},
    {"model", 1, 0, OPTION_MODEL},
    {"streams", 1, 0, OPTION_STREAMS},
    {"requests", 1, 0, OPTION_REQUESTS},
    {"seconds", 1, 0, OPTION_SECONDS},
    {"stream", 0, 0, OPTION_STREAM},
    {"whole", 0, 0, OPTION_WHOLE},
    {"usage", 0, 0, OPTION_USAGE},
    {"body-bytes", 1, 0, OPTION_BODY},
    {"key", 1, 0, OPTION_KEY},
    {"header", 1, 0, OPTION_HEADER},
    {"new-connections", 0, 0, OPTION_NEW},
    {"slow", 1, 0, OPTION_SLOW},
    {"slow-bytes", 1, 0, OPTION_SLOW_BYTES},
    {"slow-ms", 1, 0, OPTION_SLOW_MS},
    {"leave-early", 1, 0, OPTION_LEAVE},
    {"idle", 1, 0, OPTION_IDLE},
    {"hold", 0, 0, OPTION_HOLD},
    {"ramp", 1, 0, OPTION_RAMP},
    {"timeout", 1, 0, OPTION_TIMEOUT},
    {"from", 1, 0, OPTION_FROM},
    {"tls", 0, 0, OPTION_TLS},
    {"ca", 1, 0, OPTION_CA},
    {"name", 1, 0, OPTION_NAME},
    {"verify", 0, 0, OPTION_VERIFY},
    {"json", 1, 0, OPTION_JSON},
    {"help", 0, 0, OPTION_HELP},
    {0},
};

static bool
read_number(const char *text, uint64_t max, uint64_t *number)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    if (end == text || *end || text[0] == '-' || n > max) {
        fprintf(stderr, "loadgen: %s is no number up to %llu\n", text, (unsigned long long)max);
        return false;
    }
    *number = n;
    return true;
}

static bool
read_dialect(const char *text, enum dialect *dialect)
{
    static const char *const names[] = {"chat", "anthropic", "responses", "gemini"};
    for (size_t i = 0; i < countof(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *dialect = (enum dialect)i;
            return true;
        }
    }
    return false;
}

/* Options whose value is a number, or that have none. */
static bool
read_plain(struct settings *settings, int id, const char *text)
{
    struct {
        int id;
        uint32_t *number;
    } numbers[] = {{OPTION_STREAMS, &settings->streams},       {OPTION_SLOW, &settings->slow},
                   {OPTION_SLOW_BYTES, &settings->slow_bytes}, {OPTION_SLOW_MS, &settings->slow_ms},
                   {OPTION_LEAVE, &settings->leave},           {OPTION_IDLE, &settings->idle}};
    struct {
        int id;
        uint64_t *number;
    } longer[] = {{OPTION_REQUESTS, &settings->requests},
                  {OPTION_SECONDS, &settings->seconds},
                  {OPTION_RAMP, &settings->ramp_ms},
                  {OPTION_TIMEOUT, &settings->timeout_s},
                  {OPTION_BODY, &settings->body_bytes}};
    struct {
        int id;
        bool *flag;
    } flags[] = {{OPTION_WHOLE, &settings->whole},
                 {OPTION_USAGE, &settings->usage},
                 {OPTION_NEW, &settings->fresh},
                 {OPTION_HOLD, &settings->hold},
                 {OPTION_TLS, &settings->tls}};
    uint64_t number = 0;
    for (size_t i = 0; i < countof(numbers); i++) {
        if (numbers[i].id == id) {
            bool good = read_number(text, 10000000, &number);
            *numbers[i].number = (uint32_t)number;
            return good;
        }
    }
    for (size_t i = 0; i < countof(longer); i++) {
        if (longer[i].id == id)
            return read_number(text, 1000000000, longer[i].number);
    }
    for (size_t i = 0; i < countof(flags); i++) {
        if (flags[i].id == id) {
            *flags[i].flag = true;
            return true;
        }
    }
    return id == OPTION_VERIFY || id == OPTION_STREAM;
}

static bool
read_option(struct settings *settings, int id, const char *text)
{
    switch (id) {
    case OPTION_TARGET:
        return net_parse(text, true, &settings->targets);
    case OPTION_FROM:
        return net_parse(text, false, &settings->from);
    case OPTION_DIALECT:
        return read_dialect(text, &settings->dialect);
    case OPTION_MODEL:
        settings->model = text;
        return true;
    case OPTION_KEY:
        settings->key = text;
        return true;
    case OPTION_HEADER:
        if (settings->header_count == countof(settings->headers))
            return false;
        settings->headers[settings->header_count++] = text;
        return true;
    case OPTION_CA:
        settings->authorities = text;
        return true;
    case OPTION_NAME:
        settings->name = text;
        return true;
    case OPTION_JSON:
        settings->json = text;
        return true;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(0);
    default:
        return read_plain(settings, id, text);
    }
}

bool
settings_read(struct settings *settings, int argc, char **argv)
{
    *settings = (struct settings){.streams = 1,
                                  .slow_bytes = 64,
                                  .slow_ms = 100,
                                  .ramp_ms = UINT64_MAX,
                                  .timeout_s = UINT64_MAX};
    bool good = true;
    for (int id; good && (id = getopt_long(argc, argv, "", longs, NULL)) >= 0;)
        good = read_option(settings, id, optarg);
    uint64_t all = (uint64_t)settings->streams + settings->leave + settings->slow + settings->idle;
    if (!good || optind != argc || !settings->targets.count || !settings->model || !all ||
        (settings->tls && settings->from.count)) {
        fputs("loadgen: wrong call; see --help\n", stderr);
        return false;
    }
    settings->once = !settings->requests && !settings->seconds && !settings->hold;
    if (settings->ramp_ms == UINT64_MAX)
        settings->ramp_ms = all / 10;
    if (settings->timeout_s == UINT64_MAX)
        settings->timeout_s = settings->hold ? 1000000000 : 60;
    return true;
}
