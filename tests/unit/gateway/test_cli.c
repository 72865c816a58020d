/* SPDX-License-Identifier: MIT
 *
 * test_cli.c - arguments, and the subcommands that only read the configuration.
 */
#include "tests/unit/gateway/config_case.h"

#define WORDS(...) ((char *[]){"penstock", __VA_ARGS__, NULL})

static int
parse(char **words, struct cli *cli)
{
    char *copy[16];
    int count = 0;
    for (; words[count] != NULL; count++)
        copy[count] = words[count];
    copy[count] = NULL;
    return cli_parse(count, copy, cli); /* getopt_long moves the words about */
}

/* What a call writes to a descriptor; the caller's output is put back. */
struct capture {
    int fd, kept;
    FILE *file;
};

static struct capture
capture_begin(int fd)
{
    struct capture capture = {.fd = fd, .kept = dup(fd), .file = tmpfile()};
    fflush(NULL);
    assert_non_null(capture.file);
    assert_int_equal(dup2(fileno(capture.file), fd), fd);
    return capture;
}

static void
capture_end(struct capture *capture, char *text, size_t room)
{
    fflush(NULL);
    assert_int_equal(dup2(capture->kept, capture->fd), capture->fd);
    close(capture->kept);
    rewind(capture->file);
    text[fread(text, 1, room - 1, capture->file)] = '\0';
    fclose(capture->file);
}

static void
words_are_understood(void **state)
{
    static const struct {
        char *words[8];
        enum cli_command command;
    } cases[] = {
        {{"penstock"}, CLI_SERVE},
        {{"penstock", "serve"}, CLI_SERVE},
        {{"penstock", "check"}, CLI_CHECK},
        {{"penstock", "--check-config"}, CLI_CHECK},
        {{"penstock", "print-config"}, CLI_PRINT_CONFIG},
        {{"penstock", "models"}, CLI_MODELS},
        {{"penstock", "providers"}, CLI_PROVIDERS},
        {{"penstock", "version"}, CLI_VERSION},
        {{"penstock", "--version"}, CLI_VERSION},
        {{"penstock", "-v"}, CLI_VERSION},
        {{"penstock", "help"}, CLI_HELP},
        {{"penstock", "check", "--help"}, CLI_HELP},
        {{"penstock", "-h", "check"}, CLI_HELP},
    };
    struct cli cli;
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        char *words[8];
        memcpy(words, cases[i].words, sizeof(words));
        assert_int_equal(parse(words, &cli), 0);
        assert_int_equal(cli.command, cases[i].command);
        assert_int_equal(cli_is_offline(&cli), cases[i].command != CLI_SERVE);
        assert_int_equal(cli.flags.port, UINT64_MAX);
    }
}

static void
flags_stand_anywhere(void **state)
{
    struct cli cli;
    (void)state;
    assert_int_equal(
        parse(WORDS("--port", "0", "print-config", "-c", "a b.yaml", "--host=::1", "--num_workers",
                    "3", "--log-level", "debug2", "--allow-open", "--reference"),
              &cli),
        0);
    assert_int_equal(cli.command, CLI_PRINT_CONFIG);
    assert_int_equal(cli.flags.port, 0);
    assert_int_equal(cli.flags.workers, 3);
    expect_slice(cli.flags.config_path, "a b.yaml");
    expect_slice(cli.flags.host, "::1");
    expect_slice(cli.flags.log_level, "debug2");
    assert_true(cli.flags.allow_open && cli.reference && !cli.manual);
    assert_int_equal(parse(WORDS("tls-probe", "https://h"), &cli), 0);
    assert_int_equal(cli.command, CLI_TLS_PROBE);
    expect_slice(cli.url, "https://h");
    assert_false(cli_is_offline(&cli));
    assert_int_equal(parse(WORDS("discover", "--json"), &cli), 0);
    assert_true(cli.command == CLI_DISCOVER && cli.json && !cli_is_offline(&cli));
    assert_int_equal(parse(WORDS("serve", "--detailed_debug"), &cli), 0);
    expect_slice(cli.flags.log_level, "debug2");
}

static void
wrong_words_are_refused(void **state)
{
    static const struct {
        char *words[8];
        const char *reason;
    } cases[] = {
        {{"penstock", "chek"}, "unknown command \"chek\"; nearest: check"},
        {{"penstock", "bananas"}, "unknown command \"bananas\"\n"},
        {{"penstock", "--prot", "1"}, "unknown option --prot"},
        {{"penstock", "-x"}, "unknown option -x"},
        {{"penstock", "--config"}, "--config needs a value"},
        {{"penstock", "--config", ""}, "not a value for this option"},
        {{"penstock", "--port", "65536"}, "not a value for this option: 65536"},
        {{"penstock", "--port", "-1"}, "not a value for this option: -1"},
        {{"penstock", "--num_workers", "many"}, "not a value for this option: many"},
        {{"penstock", "tls-probe"}, "tls-probe needs a URL"},
        {{"penstock", "check", "twice"}, "too many words: twice"},
        {{"penstock", "tls-probe", "a", "b"}, "too many words: b"},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        char *words[8], said[2048];
        struct cli cli;
        memcpy(words, cases[i].words, sizeof(words));
        struct capture capture = capture_begin(STDERR_FILENO);
        int rc = parse(words, &cli);
        capture_end(&capture, said, sizeof(said));
        assert_int_equal(rc, CLI_USAGE_STATUS);
        if (strstr(said, cases[i].reason) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", said, cases[i].reason);
    }
}

/* Runs a subcommand; out and err take what it said. */
static int
run(char **words, char *const *variables, char *out, char *err, size_t room)
{
    struct cli cli;
    assert_int_equal(parse(words, &cli), 0);
    struct capture one = capture_begin(STDOUT_FILENO), two = capture_begin(STDERR_FILENO);
    int rc = cli_run_offline(&cli, variables);
    capture_end(&two, err, room);
    capture_end(&one, out, room);
    return rc;
}

static void
subcommands_answer(void **state)
{
    static char out[256u << 10], err[256u << 10];
    (void)state;
    put_file(
        "c.yaml",
        SLICE_LIT("model_list:\n"
                  "  - {model_name: a, litellm_params: {model: openai/x, api_key: sk-secret}}\n"
                  "  - {model_name: b, litellm_params: {model: openai_like/y, api_base: "
                  "\"http://[::1]:9/z\"}}\n"
                  "router_settings: {redis_host: x, model_group_alias: {c: a}}\n"),
        0600);
    assert_int_equal(run(WORDS("check", "-c", "c.yaml"), NO_ENVIRONMENT, out, err, sizeof(out)), 0);
    assert_string_equal(out, "good: c.yaml, 2 models, http://127.0.0.1:4000\n");
    assert_non_null(
        strstr(err, "warning: c.yaml:4:19: router_settings.redis_host: known to LiteLLM"));
    assert_int_equal(run(WORDS("models", "-c", "c.yaml"), NO_ENVIRONMENT, out, err, sizeof(out)),
                     0);
    assert_non_null(strstr(out, "https://api.openai.com/v1 openai_chat\n"));
    assert_non_null(strstr(out, "http://[::1]:9/z openai_chat (no key)\n"));
    assert_non_null(strstr(out, "is a\n"));
    assert_null(strstr(out, "sk-secret"));
    assert_int_equal(run(WORDS("print-config", "-c", "c.yaml", "--port", "5"), NO_ENVIRONMENT, out,
                         err, sizeof(out)),
                     0);
    assert_non_null(strstr(out, "# command line --port\n"));
    assert_null(strstr(out, "sk-secret"));
    assert_int_equal(run(WORDS("check", "-c", "none.yaml"), NO_ENVIRONMENT, out, err, sizeof(out)),
                     1);
    assert_string_equal(out, "");
    assert_string_equal(err, "error: none.yaml: cannot read the file: No such file or directory\n");
    assert_int_equal(run(WORDS("providers"), NO_ENVIRONMENT, out, err, sizeof(out)), 0);
    const char *row = strstr(out, "\nmistral ");
    assert_non_null(row);
    const char *end = strchr(row + 1, '\n');
    assert_non_null(memmem(row, (size_t)(end - row), "https://api.mistral.ai/v1 ", 26));
    assert_non_null(memmem(row, (size_t)(end - row), "usage_in_stream: false, tool_ids: nine", 38));
    assert_int_equal(run(WORDS("version"), NO_ENVIRONMENT, out, err, sizeof(out)), 0);
    assert_int_equal(strncmp(out, "penstock ", 9), 0);
    assert_int_equal(run(WORDS("help"), NO_ENVIRONMENT, out, err, sizeof(out)), 0);
    assert_non_null(strstr(out, "usage: penstock"));
    assert_int_equal(run(WORDS("print-config", "--manual"), NO_ENVIRONMENT, out, err, sizeof(out)),
                     0);
    assert_int_equal(strncmp(out, "# Configuration\n", 16), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_understood),
        cmocka_unit_test(flags_stand_anywhere),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(subcommands_answer),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
