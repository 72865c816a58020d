/* SPDX-License-Identifier: MIT
 *
 * cli.c - arguments, and the subcommands that only read the configuration.
 *
 * Answers go to standard output, everything else to standard error; 0 good, 1 bad, 2 wrong usage.
 */
#include "gateway/cli.h"

#include "base/err.h"
#include "base/text.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef PENSTOCK_VERSION
#error "meson gives the version"
#endif

#define REPORT_BYTES_MAX (4u << 20)
#define OUTPUT_BYTES_MAX (64u << 20)

static const char help_text[] =
    "usage: penstock [serve] [options]        run the gateway\n"
    "       penstock check [options]          say what is wrong with the configuration\n"
    "       penstock print-config [options]   the configuration in force, each value with its "
    "source\n"
    "       penstock models [options]         the models served and where they lead\n"
    "       penstock providers                the providers known by name, and what is special about each\n"
    "       penstock discover [options]       ask which models answer in which region\n"
    "       penstock conform URL              judge a gateway by what its clients need (conform --help)\n"
    "       penstock tls-probe URL            connect to an upstream and describe its TLS\n"
    "       penstock version | help\n"
    "\n"
    "  -c, --config FILE       configuration (default: PENSTOCK_CONFIG, ./penstock.yaml, "
    "./config.yaml)\n"
    "      --host ADDRESS      where to listen (default 127.0.0.1)\n"
    "  -p, --port PORT         and on which port (default 4000; 0: any free one)\n"
    "      --num_workers N     threads (default: one per processor)\n"
    "      --log-level LEVEL   error, warn, info, debug1, debug2, debug3\n"
    "      --allow-open        listen beyond loopback without client keys\n"
    "      --reference         print-config: every key with its default, as YAML\n"
    "      --json              discover: as JSON\n"
    "      --manual            print-config: the reference as a page\n"
    "\n"
    "Without configuration penstock serves the providers whose keys are in the environment\n"
    "(OPENAI_API_KEY, ANTHROPIC_API_KEY, ...) and its demo models.\n";

enum option_code {
    OPTION_HOST = 256,
    OPTION_WORKERS,
    OPTION_LEVEL,
    OPTION_OPEN,
    OPTION_REFERENCE,
    OPTION_MANUAL,
    OPTION_JSON,
    OPTION_CHECK,
    OPTION_DEBUG,
    OPTION_DETAILED
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, 'p'},
    {"num_workers", required_argument, NULL, OPTION_WORKERS},
    {"num-workers", required_argument, NULL, OPTION_WORKERS},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"log-level", required_argument, NULL, OPTION_LEVEL},
    {"log_level", required_argument, NULL, OPTION_LEVEL},
    {"allow-open", no_argument, NULL, OPTION_OPEN},
    {"reference", no_argument, NULL, OPTION_REFERENCE},
    {"manual", no_argument, NULL, OPTION_MANUAL},
    {"json", no_argument, NULL, OPTION_JSON},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"debug", no_argument, NULL, OPTION_DEBUG},
    {"detailed_debug", no_argument, NULL, OPTION_DETAILED},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *name;
    enum cli_command command;
} commands[] = {
    {"serve", CLI_SERVE},   {"check", CLI_CHECK},         {"print-config", CLI_PRINT_CONFIG},
    {"models", CLI_MODELS}, {"providers", CLI_PROVIDERS}, {"tls-probe", CLI_TLS_PROBE}, {"discover", CLI_DISCOVER}, {"version", CLI_VERSION},
    {"help", CLI_HELP},
};

static int
usage(const char *format, const char *argument)
{
    fprintf(stderr, "penstock: ");
    fprintf(stderr, format, argument);
    fprintf(stderr, "\nTry \"penstock help\".\n");
    return CLI_USAGE_STATUS;
}

static bool
take_option(struct cli *out, int code, const char *argument)
{
    switch (code) {
    case 'c':
        out->flags.config_path = slice_from(argument);
        return argument[0] != '\0';
    case OPTION_HOST:
        out->flags.host = slice_from(argument);
        return argument[0] != '\0';
    case 'p':
        return text_u64(slice_from(argument), &out->flags.port) && out->flags.port <= 65535;
    case OPTION_WORKERS:
        return text_u64(slice_from(argument), &out->flags.workers) && out->flags.workers <= 256;
    case OPTION_LEVEL:
        out->flags.log_level = slice_from(argument);
        return argument[0] != '\0';
    case OPTION_OPEN:
        out->flags.allow_open = true;
        return true;
    case OPTION_REFERENCE:
        out->reference = true;
        return true;
    case OPTION_MANUAL:
        out->manual = true;
        return true;
    case OPTION_JSON:
        out->json = true;
        return true;
    case OPTION_DEBUG:
        out->flags.log_level = SLICE_LIT("debug1");
        return true;
    case OPTION_DETAILED:
        out->flags.log_level = SLICE_LIT("debug2");
        return true;
    case OPTION_CHECK:
        out->command = CLI_CHECK;
        return true;
    case 'h':
        out->command = CLI_HELP;
        return true;
    default:
        assert(code == 'v');
        out->command = CLI_VERSION;
        return true;
    }
}

/* The subcommand and what may follow it. */
static int
take_words(struct cli *out, char **words, int count)
{
    size_t i = 0;
    if (count == 0)
        return 0;
    while (i < countof(commands) && strcmp(words[0], commands[i].name) != 0)
        i++;
    if (i == countof(commands)) {
        struct slice best = SLICE_NONE;
        int distance = 4;
        for (i = 0; i < countof(commands); i++)
            if (text_distance(slice_from(words[0]), slice_from(commands[i].name)) < distance) {
                best = slice_from(commands[i].name);
                distance = text_distance(slice_from(words[0]), best);
            }
        fprintf(stderr, "penstock: unknown command \"%s\"%s%.*s\nTry \"penstock help\".\n",
                words[0], slice_present(best) ? "; nearest: " : "", SLICE_ARG(best));
        return CLI_USAGE_STATUS;
    }
    if (out->command == CLI_SERVE) /* --help and the like win */
        out->command = commands[i].command;
    int used = 1;
    if (commands[i].command == CLI_TLS_PROBE) {
        if (count < 2)
            return usage("tls-probe needs a %s", "URL");
        out->url = slice_from(words[used++]);
    }
    return count > used ? usage("too many words: %s", words[used]) : 0;
}

int
cli_parse(int argc, char **argv, struct cli *out)
{
    *out = (struct cli){.command = CLI_SERVE};
    config_flags_init(&out->flags);
    optind = 0; /* glibc: start over, so that it can be called again */
    opterr = 0;
    for (;;) {
        int at = optind == 0 ? 1 : optind;
        int code = getopt_long(argc, argv, ":c:p:hv", options, NULL);
        if (code == -1)
            break;
        if (code == '?')
            return usage("unknown option %s", argv[optind - 1 < at ? at : optind - 1]);
        if (code == ':')
            return usage("%s needs a value", argv[optind - 1]);
        if (!take_option(out, code, optarg != NULL ? optarg : ""))
            return usage("not a value for this option: %s", optarg);
    }
    return take_words(out, argv + optind, argc - optind);
}

bool
cli_is_offline(const struct cli *cli)
{
    return cli->command != CLI_SERVE && cli->command != CLI_TLS_PROBE && cli->command != CLI_DISCOVER;
}

int
cli_load(const struct config_flags *flags, char *const *variables, bool quiet, struct config **out)
{
    struct arena report;
    struct config_problem *problem;
    arena_init(&report, REPORT_BYTES_MAX);
    int rc = config_load(flags, variables, &report, &problem, out);
    for (; problem != NULL; problem = problem->next)
        if (!problem->warning || !quiet)
            fprintf(stderr, "%s: %.*s\n", problem->warning ? "warning" : "error",
                    SLICE_ARG(problem->text));
    if (rc != 0 && rc != -ERR_CONFIG)
        fprintf(stderr, "error: %s\n", err_row(rc)->text);
    arena_fini(&report);
    return rc;
}

static int
write_out(struct sink *out)
{
    bool good =
        out->error == 0 && fwrite(out->ptr, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
    if (!good)
        fprintf(stderr, "penstock: cannot write the answer\n");
    sink_fini(out);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
put_models(const struct config *config, struct sink *out)
{
    for (uint32_t i = 0; i < config->deployment_count; i++) {
        const struct config_deployment *deployment = &config->deployments[i];
        bool demo = slice_is(deployment->provider, "demo");
        sink_printf(out, "%-28.*s %-36.*s ", SLICE_ARG(deployment->model_name),
                    SLICE_ARG(deployment->id));
        if (demo)
            sink_text(out, "inside this process");
        else
            sink_printf(out, "%s://%.*s%.*s", deployment->tls ? "https" : "http",
                        SLICE_ARG(deployment->host_header), SLICE_ARG(deployment->base_path));
        sink_printf(out, " %s%s\n",
                    config_dialect_name(deployment->dialect),
                    slice_present(deployment->api_key) || deployment->google || demo ? "" : " (no key)");
    }
    for (uint32_t i = 0; i < config->alias_count; i++)
        sink_printf(out, "%-28.*s is %.*s\n", SLICE_ARG(config->aliases[i].from),
                    SLICE_ARG(config->aliases[i].to[0]));
}

static void
put_summary(const struct config *config, struct sink *out)
{
    bool six = memchr(config->host.ptr, ':', config->host.len) != NULL;
    sink_printf(out, "good: %.*s, %u %s, %s://%s%.*s%s:%u\n",
                SLICE_ARG(slice_present(config->path) ? config->path : SLICE_LIT("no file")),
                config->deployment_count, config->deployment_count == 1 ? "model" : "models",
                config->tls_key.len > 0 ? "https" : "http", six ? "[" : "", SLICE_ARG(config->host),
                six ? "]" : "", config->port);
}

int
cli_run_offline(const struct cli *cli, char *const *variables)
{
    struct config *config = NULL;
    struct sink out;
    assert(cli_is_offline(cli));
    sink_init(&out, OUTPUT_BYTES_MAX);
    if (cli->command == CLI_HELP) {
        sink_text(&out, help_text);
    } else if (cli->command == CLI_VERSION) {
        sink_text(&out, "penstock " PENSTOCK_VERSION "\n");
    } else if (cli->command == CLI_PROVIDERS) {
        config_catalogue(&out);
    } else if (cli->command == CLI_PRINT_CONFIG && cli->reference) {
        config_reference(&out);
    } else if (cli->command == CLI_PRINT_CONFIG && cli->manual) {
        config_manual(&out);
    } else {
        if (cli_load(&cli->flags, variables, false, &config) != 0)
            return EXIT_FAILURE;
        if (cli->command == CLI_CHECK)
            put_summary(config, &out);
        else if (cli->command == CLI_MODELS)
            put_models(config, &out);
        else
            config_print(config, &out);
        config_drop(config);
    }
    return write_out(&out);
}
