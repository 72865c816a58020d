/* SPDX-License-Identifier: MIT
 *
 * conform.c - the sub-command: what is asked for, the table that is printed, and the exit status.
 */
#include "gateway/conform.h"
#include "base/text.h"
#include "gateway/fetch.h"
#include "reactor/backend.h"
#include "reactor/trust.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 30000u
#define NOT_REACHABLE 3
#define USAGE 2

static const char usage_text[] =
    "usage: penstock conform URL [options]      judge a gateway by what its clients need\n"
    "\n"
    "      --key KEY           the client key (or PENSTOCK_CONFORM_KEY); never shown\n"
    "      --model NAME        the model to ask (default: from the gateway's list; penstock's demo models if they are there)\n"
    "      --dialect NAME      chat, anthropic, responses, gemini, completions; may be repeated (default: all that are spoken)\n"
    "      --only NAME         this check alone; may be repeated\n"
    "      --timeout SECONDS   for each request (default 30)\n"
    "      --json              one JSON object for each result, and no table\n"
    "      --list              list the checks and do nothing\n"
    "\n"
    "Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 the gateway cannot be reached.\n";

#define ONLY_MAX 32
struct wishes {
    struct slice url, key, model;
    unsigned dialects; /* 0: all that are spoken */
    const char *only[ONLY_MAX];
    size_t only_count;
    uint64_t timeout_ms;
    bool json, list;
};

/* ---------------------------------------------------------------- arguments */

static int
wrong(const char *text, const char *argument)
{
    fprintf(stderr, "penstock conform: %s%s\n\n%s", text, argument, usage_text);
    return USAGE;
}

static int
take_dialect(struct wishes *wishes, const char *name)
{
    for (int i = 0; i < CONFORM_DIALECTS; i++) {
        if (strcmp(name, conform_dialect_word((enum conform_dialect)i)) == 0) {
            wishes->dialects |= 1u << i;
            return 0;
        }
    }
    return wrong("no such dialect: ", name);
}

static int
take_only(struct wishes *wishes, const char *name)
{
    for (size_t i = 0; i < conform_check_count; i++) {
        if (strcmp(name, conform_checks[i].name) == 0 && wishes->only_count < ONLY_MAX) {
            wishes->only[wishes->only_count++] = name;
            return 0;
        }
    }
    return wrong("no such check: ", name);
}

static int
take_arguments(int argc, char **argv, struct wishes *wishes)
{
    enum { KEY = 256, MODEL, DIALECT, ONLY, TIMEOUT, JSON_OUT, LIST };
    static const struct option options[] = {
        {"key", required_argument, NULL, KEY}, {"model", required_argument, NULL, MODEL}, {"dialect", required_argument, NULL, DIALECT},
        {"only", required_argument, NULL, ONLY}, {"timeout", required_argument, NULL, TIMEOUT}, {"json", no_argument, NULL, JSON_OUT},
        {"list", no_argument, NULL, LIST}, {NULL, 0, NULL, 0},
    };
    const char *key = getenv("PENSTOCK_CONFORM_KEY");
    uint64_t seconds;
    *wishes = (struct wishes){.timeout_ms = TIMEOUT_MS, .key = key ? slice_from(key) : SLICE_LIT("")};
    opterr = 0;
    optind = 0;
    for (int code, status = 0; (code = getopt_long(argc, argv, ":", options, NULL)) != -1; status = 0) {
        switch (code) {
        case KEY:
            wishes->key = slice_from(optarg);
            break;
        case MODEL:
            wishes->model = slice_from(optarg);
            break;
        case DIALECT:
            status = take_dialect(wishes, optarg);
            break;
        case ONLY:
            status = take_only(wishes, optarg);
            break;
        case TIMEOUT:
            if (!text_u64(slice_from(optarg), &seconds) || seconds == 0 || seconds > 3600)
                return wrong("not a number of seconds: ", optarg);
            wishes->timeout_ms = seconds * 1000;
            break;
        case JSON_OUT:
            wishes->json = true;
            break;
        case LIST:
            wishes->list = true;
            break;
        default:
            return wrong(code == ':' ? "a value is missing for " : "unknown option ", argv[optind - 1]);
        }
        if (status != 0)
            return status;
    }
    if (wishes->list)
        return 0;
    if (argc - optind != 1)
        return wrong("one URL is needed", "");
    wishes->url = slice_from(argv[optind]);
    return 0;
}

/* http://host:port/base; the base may end in /v1, as clients have it. */
static int
take_url(struct slice url, struct conform_target *target)
{
    struct fetch_url parts;
    if (!fetch_read_url(url, &parts))
        return wrong("the URL must be http:// or https://, a host, perhaps a port and a path: ", url.ptr);
    *target = (struct conform_target){.tls = parts.tls, .host = parts.host, .authority = parts.authority, .port = parts.port, .base = parts.target};
    while (slice_ends(target->base, SLICE_LIT("/")))
        target->base.len--;
    if (slice_ends(target->base, SLICE_LIT("/v1")))
        target->base.len -= 3;
    return 0;
}

/* ---------------------------------------------------------------- results */

static const char *const verdicts[] = {"pass", "FAIL", "skip"};

static void
print_result(const struct wishes *wishes, const struct conform_check *check, enum conform_dialect dialect, enum conform_verdict verdict,
             const char *detail)
{
    if (!wishes->json) {
        printf("%-12s %-20s %s%s%s\n", conform_dialect_word(dialect), check->name, verdicts[verdict], detail[0] ? "  " : "", detail);
        fflush(stdout);
        return;
    }
    struct sink out;
    struct json_writer writer;
    sink_init(&out, 65536);
    json_writer_init(&writer, &out);
    json_object(&writer);
    json_member_text(&writer, "dialect", conform_dialect_word(dialect));
    json_member_text(&writer, "check", check->name);
    json_member_text(&writer, "verdict", verdict == CONFORM_FAIL ? "fail" : verdicts[verdict]);
    json_member_text(&writer, "detail", detail);
    json_end(&writer);
    printf("%.*s\n", SLICE_ARG(sink_slice(&out)));
    fflush(stdout);
    sink_fini(&out);
}

static bool
wanted(const struct wishes *wishes, const char *name)
{
    for (size_t i = 0; i < wishes->only_count; i++) {
        if (strcmp(wishes->only[i], name) == 0)
            return true;
    }
    return wishes->only_count == 0;
}

static void
run_check(struct conform *conform, const struct wishes *wishes, const struct conform_check *check, enum conform_dialect dialect, unsigned counts[3])
{
    conform->detail[0] = '\0';
    enum conform_verdict verdict = check->run(conform, dialect);
    for (char *at = conform->detail; *at; at++) { /* what a gateway says must not write on somebody's terminal */
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    }
    print_result(wishes, check, dialect, verdict, conform->detail);
    counts[verdict]++;
    arena_reset(conform->arena);
}

static int
run_all(struct conform *conform, const struct wishes *wishes, struct arena *kept)
{
    unsigned counts[3] = {0}, spoken = 0;
    struct talk probe;
    talk_open(&probe, conform->loop, &conform->target, wishes->timeout_ms);
    if (probe.failed) {
        fprintf(stderr, "penstock conform: %.*s: %s\n", SLICE_ARG(conform->target.authority), err_row(probe.error)->text);
        return NOT_REACHABLE;
    }
    talk_close(&probe, false);
    if (slice_present(wishes->model))
        conform->model = conform->tools = wishes->model;
    else if (!conform_discover(conform, kept))
        return wrong("the gateway lists no models: name one with ", "--model");
    for (int i = 0; i < CONFORM_DIALECTS; i++) {
        enum conform_dialect dialect = (enum conform_dialect)i;
        bool asked = wishes->dialects & 1u << i;
        if (!asked && (wishes->dialects || !conform_speaks(conform, dialect)))
            continue;
        spoken++;
        for (size_t k = 0; k < conform_check_count; k++) {
            if (conform_checks[k].dialects & 1u << i && wanted(wishes, conform_checks[k].name))
                run_check(conform, wishes, &conform_checks[k], dialect, counts);
        }
    }
    for (size_t k = 0; k < conform_check_count; k++) {
        if (conform_checks[k].dialects == 0 && wanted(wishes, conform_checks[k].name))
            run_check(conform, wishes, &conform_checks[k], CONFORM_DIALECTS, counts);
    }
    if (spoken == 0)
        return wrong("the gateway speaks none of the dialects", "");
    if (!wishes->json)
        printf("%u passed, %u failed, %u skipped\n", counts[CONFORM_PASS], counts[CONFORM_FAIL], counts[CONFORM_SKIP]);
    return counts[CONFORM_FAIL] ? 1 : 0;
}

int
conform_main(int argc, char **argv)
{
    struct wishes wishes;
    struct arena arena, kept;
    struct loop loop;
    struct loop_limits limits;
    struct sink problem;
    int status = take_arguments(argc, argv, &wishes);
    if (status != 0)
        return status;
    if (wishes.list) {
        for (size_t i = 0; i < conform_check_count; i++)
            printf("%-20s %s\n", conform_checks[i].name, conform_checks[i].text);
        return 0;
    }
    struct conform conform = {.loop = &loop, .key = wishes.key, .timeout_ms = wishes.timeout_ms, .arena = &arena};
    status = take_url(wishes.url, &conform.target);
    if (status != 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    sink_init(&problem, 4096);
    if (conform.target.tls && trust_load(SLICE_NONE, &conform.target.trust, &problem) < 0) {
        fprintf(stderr, "penstock conform: %.*s\n", SLICE_ARG(sink_slice(&problem)));
        sink_fini(&problem);
        return NOT_REACHABLE;
    }
    loop_limits_default(&limits);
    limits.in_bytes_max = 1u << 20;
    if (loop_init(&loop, &epoll_ops, NULL, &limits) < 0)
        return NOT_REACHABLE;
    arena_init(&arena, 256u << 20);
    arena_init(&kept, 16u << 20);
    status = run_all(&conform, &wishes, &kept);
    for (int i = 0; i < 100 && loop.conns > 0; i++)
        loop_tick(&loop, 10);
    loop_fini(&loop);
    arena_fini(&arena);
    arena_fini(&kept);
    if (conform.target.trust)
        trust_drop(conform.target.trust);
    sink_fini(&problem);
    return status;
}
