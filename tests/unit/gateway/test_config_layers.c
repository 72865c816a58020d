/* SPDX-License-Identifier: MIT
 *
 * test_config_layers.c - values that stand elsewhere, which layer wins, and what is unsafe.
 */
#include "tests/unit/gateway/config_case.h"

#define ONE_MODEL                                                                                  \
    "model_list:\n  - model_name: m\n    litellm_params: {model: openai/m, api_key: k}\n"

/* ---- values ---- */

static void
values_may_stand_elsewhere(void **state)
{
    (void)state;
    put_file("key.txt", SLICE_LIT("sk-file\r\n"), 0600);
    put_file("open.txt", SLICE_LIT("sk-open"), 0644);
    struct loaded loaded = load_text(
        "environment_variables: {BOTH: from-file, FILE_ONLY: file-only}\n"
        "penstock:\n"
        "  keys: [file:key.txt, file:open.txt, os.environ/KEY, \"a${KEY}b${NOPE:-c}d\",\n"
        "         \"$${KEY}\", os.environ/BOTH, \"${FILE_ONLY}\", \"${EMPTY:-x}\", plain]\n"
        "  timeouts: {idle: os.environ/SECONDS, connect: 1.5s}\n"
        "  limits: {body: \"${SIZE:-5}MB\"}\n",
        ENVIRONMENT("KEY=sk", "BOTH=real", "SECONDS=7", "EMPTY="));
    expect_good(&loaded);
    expect_problem(&loaded, true, "open.txt can be read by others (mode 644)");
    assert_false(has_problem(&loaded, true, "key.txt can be"));
    static const char *const wanted[] = {"sk-file", "sk-open",   "sk", "askbcd", "${KEY}",
                                         "real",    "file-only", "x",  "plain"};
    assert_int_equal(loaded.config->key_count, countof(wanted));
    for (size_t i = 0; i < countof(wanted); i++)
        expect_slice(loaded.config->keys[i].key, wanted[i]);
    assert_int_equal(loaded.config->timeouts.idle_ms, 7000);
    assert_int_equal(loaded.config->timeouts.connect_ms, 1500);
    assert_int_equal(loaded.config->limits.body_bytes, 5u << 20);
    unload(&loaded);
    char text[8192], here[4096];
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(text, sizeof(text), "penstock: {keys: [\"file:%s/key.txt\"]}", here);
    loaded = load_text(text, NO_ENVIRONMENT);
    expect_clean(&loaded);
    expect_slice(loaded.config->keys[0].key, "sk-file");
    unload(&loaded);
    /* What a reference led to is not repeated in an error: it may be a secret in the wrong place.
     */
    loaded = load_text("penstock: {workers: os.environ/KEY}", ENVIRONMENT("KEY=sk-secret"));
    expect_problem(&loaded, false, "a whole number is expected");
    assert_false(has_problem(&loaded, false, "sk-secret"));
    unload(&loaded);
}

static void
commands_print_secrets(void **state)
{
    static const struct {
        const char *text, *problem;
    } wrong[] = {
        {"penstock: {keys: [\"command:exit 3\"]}", "the command failed with status 3"},
        {"penstock: {keys: [\"command:true\"]}", "the command printed nothing"},
        {"penstock: {keys: [\"command:kill -9 $$\"]}", "was killed"},
        {"penstock: {keys: [\"command:head -c 10000000 /dev/zero\"]}", "printed too much"},
    };
    (void)state;
    struct loaded loaded = load_text(
        "penstock: {keys: [\"command:printf '%s\\\\n' sk-$WHO-1\", \"command:echo two\"]}",
        ENVIRONMENT("WHO=vault", "PATH=/bin:/usr/bin"));
    expect_clean(&loaded);
    expect_slice(loaded.config->keys[0].key, "sk-vault-1");
    expect_slice(loaded.config->keys[1].key, "two");
    unload(&loaded);
    for (size_t i = 0; i < countof(wrong); i++) {
        loaded = load_text(wrong[i].text, ENVIRONMENT("PATH=/bin:/usr/bin"));
        expect_problem(&loaded, false, wrong[i].problem);
        unload(&loaded);
    }
    /* An environment variable is no place to run things from. */
    loaded = load_text("", ENVIRONMENT("PENSTOCK_MASTER_KEY=command:true", "PATH=/bin"));
    expect_good(&loaded);
    expect_slice(loaded.config->keys[0].key, "command:true");
    unload(&loaded);
}

static void
paths_start_at_the_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir("sub", 0700), 0);
    put_file("sub/s.yaml", SLICE_LIT("penstock: {tls: {ca_file: ca.pem}, keys: [file:k]}"), 0600);
    put_file("sub/ca.pem", SLICE_LIT("x"), 0644);
    put_file("sub/k", SLICE_LIT("key"), 0600);
    struct config_flags flags;
    config_flags_init(&flags);
    flags.config_path = SLICE_LIT("sub/s.yaml");
    struct loaded loaded = load_with(flags, NO_ENVIRONMENT);
    expect_clean(&loaded);
    expect_slice(loaded.config->ca_file, "sub/ca.pem");
    expect_slice(loaded.config->keys[0].key, "key");
    /* What a reload will need to read again, each as it was opened. */
    const char *const needed[] = {"sub/s.yaml", "sub/ca.pem", "sub/k"};
    for (size_t i = 0; i < countof(needed); i++) {
        const struct config_file *file = loaded.config->files;
        while (file && !slice_is(file->path, needed[i]))
            file = file->next;
        assert_non_null(file);
    }
    unload(&loaded);
    /* Where a service manager puts credentials is known to a variable only. */
    loaded = load_text("penstock: {keys: [\"file:${CREDENTIALS_DIRECTORY}/k\", \"file:${NONE:-sub}/k\"]}", ENVIRONMENT("CREDENTIALS_DIRECTORY=sub"));
    expect_clean(&loaded);
    expect_slice(loaded.config->keys[0].key, "key");
    expect_slice(loaded.config->keys[1].key, "key");
    unload(&loaded);
    loaded = load_text("penstock: {keys: [\"file:${CREDENTIALS_DIRECTORY}/k\"]}", NO_ENVIRONMENT);
    expect_problem(&loaded, false, "environment variable CREDENTIALS_DIRECTORY is not set");
    unload(&loaded);
    assert_int_equal(unlink("sub/s.yaml") | unlink("sub/ca.pem") | unlink("sub/k") | rmdir("sub"),
                     0);
}

/* ---- layers ---- */

static void
later_layers_win(void **state)
{
    (void)state;
    put_file("c.yaml",
             SLICE_LIT(ONE_MODEL "litellm_settings: {request_timeout: 40, num_retries: 7}\n"
                                 "router_settings: {timeout: 50}\n"
                                 "penstock:\n"
                                 "  timeouts: {request: 60s, idle: 70s}\n"
                                 "  listen: {port: 1, host: 127.0.0.2}\n"
                                 "  workers: 3\n"),
             0600);
    struct config_flags flags;
    config_flags_init(&flags);
    flags.port = 3;
    flags.log_level = SLICE_LIT("debug");
    struct loaded loaded = load_with(
        flags, ENVIRONMENT("PENSTOCK_CONFIG=c.yaml", "PENSTOCK_PORT=2", "PENSTOCK_HOST=127.0.0.3",
                           "PENSTOCK_TIMEOUTS_IDLE=80s", "PENSTOCK_LOG_LEVEL=warn",
                           "PENSTOCK_DEBUG=3", "LITELLM_MASTER_KEY=sk-m", "PENSTOCK_DEMO=true"));
    expect_good(&loaded);
    const struct config *config = loaded.config;
    assert_int_equal(config->port, 3);
    expect_slice(config->host, "127.0.0.3");
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->timeouts.request_ms, 60000);
    assert_int_equal(config->timeouts.idle_ms, 80000);
    assert_int_equal(config->num_retries, 7);
    assert_int_equal(config->log_level, LOG_DEBUG1);
    expect_slice(config->keys[0].key, "sk-m");
    assert_int_equal(config->deployment_count, 11);
    struct sink out = printed(config);
    static const char *const lines[] = {
        "port: 3 ",
        "# command line --port\n",
        "# environment PENSTOCK_HOST\n",
        "# environment PENSTOCK_TIMEOUTS_IDLE\n",
        "# environment LITELLM_MASTER_KEY\n",
        "workers: 3                                        # c.yaml:9\n",
        "access: true                                    # default\n",
        "# default of openai\n"};
    for (size_t i = 0; i < countof(lines); i++)
        if (text_find(sink_slice(&out), slice_from(lines[i])) < 0)
            fail_msg("not printed: %s\n%.*s", lines[i], SLICE_ARG(sink_slice(&out)));
    sink_fini(&out);
    unload(&loaded);
}

static void
lists_come_from_the_environment(void **state)
{
    (void)state;
    struct loaded loaded =
        load_text("penstock: {keys: [old]}",
                  ENVIRONMENT("PENSTOCK_KEYS=a, b", "PENSTOCK_CORS_ORIGINS=https://x",
                              "PENSTOCK_MASTER_KEY=m"));
    expect_clean(&loaded);
    assert_int_equal(loaded.config->key_count, 3);
    expect_slice(loaded.config->keys[0].key, "m");
    expect_slice(loaded.config->keys[1].key, "a");
    expect_slice(loaded.config->keys[2].key, "b");
    expect_slice(loaded.config->keys[2].name, "key-2");
    assert_int_equal(loaded.config->cors_count, 1);
    expect_slice(loaded.config->cors_origins[0], "https://x");
    unload(&loaded);
    loaded = load_text("", ENVIRONMENT("PENSTOCK_KEYS=a,,b"));
    expect_problem(&loaded, false, "environment: PENSTOCK_KEYS: this list was refused");
    unload(&loaded);
}

static void
slips_in_variable_names_are_seen(void **state)
{
    (void)state;
    struct loaded loaded = load_text(
        "", ENVIRONMENT("PENSTOCK_PROT=1", "PENSTOCK_TIMEOUTS_IDEL=1s", "PENSTOCK_PORT_4000_TCP=x",
                        "PENSTOCK_SERVICE_HOST=y", "PENSTOCK_CONFIG=", "PENSTOCK_LOG_LEVEL=info",
                        "PENSTOCK_LISTEN_PORT=4001", "PENSTOCK=", "OTHER_PROT=1"));
    expect_good(&loaded);
    expect_problem(&loaded, true, "PENSTOCK_PROT: unknown variable, without effect; PENSTOCK_PORT");
    expect_problem(&loaded, true,
                   "PENSTOCK_TIMEOUTS_IDEL: unknown variable, without effect; "
                   "PENSTOCK_TIMEOUTS_IDLE is near");
    assert_null(loaded.problems->next->next);
    assert_int_equal(loaded.config->port, 4001);
    unload(&loaded);
}

static void
debug_variables_set_the_level(void **state)
{
    static const struct {
        char *variable;
        enum log_level level;
    } cases[] = {{"PENSTOCK_DEBUG=1", LOG_DEBUG1},    {"PENSTOCK_DEBUG=3", LOG_DEBUG3},
                 {"PENSTOCK_DEBUG=0", LOG_INFO},      {"DEBUG_STREAMING=true", LOG_DEBUG2},
                 {"DEBUG_STREAMING=false", LOG_INFO}, {"PENSTOCK_LOG_LEVEL=error", LOG_ERROR}};
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct loaded loaded = load_text("", ENVIRONMENT(cases[i].variable));
        expect_clean(&loaded);
        assert_int_equal(loaded.config->log_level, cases[i].level);
        unload(&loaded);
    }
    struct loaded loaded = load_text("", ENVIRONMENT("PENSTOCK_DEBUG=lots"));
    expect_problem(&loaded, false, "environment: PENSTOCK_DEBUG: 0, 1, 2 or 3");
    unload(&loaded);
    loaded = load_text("litellm_settings: {set_verbose: True}", NO_ENVIRONMENT);
    assert_int_equal(loaded.config->log_level, LOG_DEBUG1);
    unload(&loaded);
    loaded = load_text("", ENVIRONMENT("PENSTOCK_PORT=tcp://10.0.0.1:4000"));
    expect_problem(&loaded, true, "set by a container platform");
    assert_int_equal(loaded.config->port, 4000);
    unload(&loaded);
    loaded = load_text("", ENVIRONMENT("PENSTOCK_PORT=many"));
    expect_problem(&loaded, false,
                   "environment: PENSTOCK_PORT: a whole number is expected, not \"many\"");
    unload(&loaded);
}

static void
usual_files_are_found(void **state)
{
    struct config_flags flags;
    (void)state;
    config_flags_init(&flags);
    put_file("config.yaml", SLICE_LIT("theme: dark\n"), 0600);
    struct loaded loaded = load_with(flags, NO_ENVIRONMENT);
    expect_good(&loaded);
    expect_problem(&loaded, true, "config.yaml: has neither model_list nor penstock");
    assert_false(slice_present(loaded.config->path));
    unload(&loaded);
    put_file("config.yaml", SLICE_LIT("penstock: {workers: 5}\n"), 0600);
    loaded = load_with(flags, NO_ENVIRONMENT);
    expect_clean(&loaded);
    assert_int_equal(loaded.config->workers, 5);
    unload(&loaded);
    put_file("penstock.yaml", SLICE_LIT("penstock: {workers: 6}\n"), 0600);
    loaded = load_with(flags, NO_ENVIRONMENT);
    assert_int_equal(loaded.config->workers, 6);
    expect_slice(loaded.config->path, "penstock.yaml");
    unload(&loaded);
    unlink("config.yaml");
    unlink("penstock.yaml");
}

/* ---- safety: R189, R196 ---- */

static void
loopback_is_known(void **state)
{
    static const char *const inside[] = {"127.0.0.1", "127.8.9.10", "localhost",       "LOCALHOST",
                                         "::1",       "[::1]",      "::ffff:127.0.0.1"};
    static const char *const outside[] = {
        "",     "0.0.0.0",         "::",          "10.0.0.1",       "128.0.0.1",
        "*",    "::ffff:10.0.0.1", "example.com", "127.0.0.1.evil", "localhost.",
        "127.1"};
    (void)state;
    for (size_t i = 0; i < countof(inside); i++)
        assert_true(config_is_loopback(slice_from(inside[i])));
    for (size_t i = 0; i < countof(outside); i++)
        assert_false(config_is_loopback(slice_from(outside[i])));
}

static void
open_listeners_need_a_word(void **state)
{
    static const char *const hosts[] = {"0.0.0.0", "*", "\"::\"", "10.1.2.3", "\"[fe80::1]\""};
    char text[256];
    (void)state;
    for (size_t i = 0; i < countof(hosts); i++) {
        snprintf(text, sizeof(text), "penstock: {listen: {host: %s}}",
                 strcmp(hosts[i], "*") == 0 ? "\"*\"" : hosts[i]);
        struct loaded loaded = load_text(text, NO_ENVIRONMENT);
        expect_problem(&loaded, false, "can be reached by others and no client key is set");
        unload(&loaded);
        loaded = load_text(text, ENVIRONMENT("PENSTOCK_MASTER_KEY=k"));
        expect_clean(&loaded);
        unload(&loaded);
    }
    struct config_flags flags;
    config_flags_init(&flags);
    flags.host = SLICE_LIT("0.0.0.0");
    flags.allow_open = true;
    struct loaded loaded = load_with(flags, NO_ENVIRONMENT);
    expect_good(&loaded);
    expect_problem(&loaded, true, "whoever reaches the port");
    unload(&loaded);
    loaded = load_text("penstock: {listen: {host: localhost}}", NO_ENVIRONMENT);
    expect_clean(&loaded);
    expect_slice(loaded.config->host, "127.0.0.1");
    unload(&loaded);
    loaded = load_text("penstock: {listen: {host: \"[::1]\"}}", NO_ENVIRONMENT);
    expect_clean(&loaded);
    expect_slice(loaded.config->host, "::1");
    unload(&loaded);
}

static void
readable_secrets_are_warned_about(void **state)
{
    static const struct {
        const char *text;
        unsigned mode;
        bool warned;
    } cases[] = {
        {"general_settings: {master_key: sk-1}", 0644, true},
        {"general_settings: {master_key: sk-1}", 0640, true},
        {"general_settings: {master_key: sk-1}", 0600, false},
        {"general_settings: {master_key: os.environ/KEY}", 0644, false},
        {"penstock: {keys: [sk-1]}", 0644, true},
        {"penstock: {keys: [{name: a, key: sk-1}]}", 0604, true},
        {"penstock: {keys: [\"${KEY}\"]}", 0644, false},
        {ONE_MODEL, 0644, true},
        {"penstock: {workers: 1}", 0644, false},
    };
    struct config_flags flags;
    (void)state;
    config_flags_init(&flags);
    flags.config_path = SLICE_LIT("c.yaml");
    for (size_t i = 0; i < countof(cases); i++) {
        put_file("c.yaml", slice_from(cases[i].text), cases[i].mode);
        struct loaded loaded = load_with(flags, ENVIRONMENT("KEY=sk"));
        expect_good(&loaded);
        assert_int_equal(has_problem(&loaded, true, "holds keys and can be read by others"),
                         cases[i].warned);
        unload(&loaded);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_may_stand_elsewhere),
        cmocka_unit_test(commands_print_secrets),
        cmocka_unit_test(paths_start_at_the_file),
        cmocka_unit_test(later_layers_win),
        cmocka_unit_test(lists_come_from_the_environment),
        cmocka_unit_test(slips_in_variable_names_are_seen),
        cmocka_unit_test(debug_variables_set_the_level),
        cmocka_unit_test(usual_files_are_found),
        cmocka_unit_test(loopback_is_known),
        cmocka_unit_test(open_listeners_need_a_word),
        cmocka_unit_test(readable_secrets_are_warned_about),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
