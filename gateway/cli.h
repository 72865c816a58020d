/* SPDX-License-Identifier: MIT
 *
 * cli.h - the command line: which subcommand, which flags, and the subcommands that need no loop.
 */
#ifndef PENSTOCK_CLI_H
#define PENSTOCK_CLI_H

#include "gateway/config.h"

enum cli_command {
    CLI_SERVE, /* main.c's own */
    CLI_CHECK,
    CLI_PRINT_CONFIG,
    CLI_MODELS,
    CLI_PROVIDERS,
    CLI_TLS_PROBE, /* main.c's own */
    CLI_DISCOVER,  /* main.c's own */
    CLI_VERSION,
    CLI_HELP
};

struct cli {
    enum cli_command command;
    struct config_flags flags;
    struct slice url; /* of tls-probe */
    bool reference;   /* print-config --reference: penstock.example.yaml */
    bool json;        /* discover --json */
    bool manual;      /* print-config --manual: docs/configuration.md */
};

#define CLI_USAGE_STATUS 2

/*
 * cli_parse - read the arguments; flags may stand before and after the subcommand.
 * out      slices point into argv
 * returns  0, or CLI_USAGE_STATUS with the reason on standard error
 */
int cli_parse(int argc, char **argv, struct cli *out) must_check;
/* cli_is_offline - is it one of those that cli_run_offline does? */
bool cli_is_offline(const struct cli *cli);
/* cli_run_offline - check, print-config, models, providers, version, help. Returns the exit status. */
int cli_run_offline(const struct cli *cli, char *const *variables) must_check;
/*
 * cli_load - config_load, with the problems as lines on standard error.
 * returns 0 with *out set, or the error of config_load; quiet: warnings are not shown
 */
int cli_load(const struct config_flags *flags, char *const *variables, bool quiet,
             struct config **out) must_check;

#endif
