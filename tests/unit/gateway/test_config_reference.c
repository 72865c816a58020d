/* SPDX-License-Identifier: MIT
 *
 * test_config_reference.c - the example file and the manual say what the table says, and the parser
 * takes what the example shows.
 */
#include "tests/unit/gateway/config_case.h"

static struct sink
generated(void (*write_it)(struct sink *out))
{
    struct sink out;
    sink_init(&out, 1u << 20);
    write_it(&out);
    assert_int_equal(out.error, 0);
    return out;
}

static void
expect_file(const char *name, void (*write_it)(struct sink *out), const char *command)
{
    char path[4096];
    const char *root = getenv("PENSTOCK_SOURCE_ROOT");
    struct sink wanted = generated(write_it), got;
    assert_non_null(root);
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s is missing: %s > %s", name, command, name);
    sink_init(&got, 1u << 20);
    for (int byte = fgetc(file); byte != EOF; byte = fgetc(file))
        sink_byte(&got, (char)byte);
    fclose(file);
    if (!slice_eq(sink_slice(&wanted), sink_slice(&got)))
        fail_msg("%s differs from the table: %s > %s", name, command, name);
    sink_fini(&got);
    sink_fini(&wanted);
}

static void
files_are_what_the_table_writes(void **state)
{
    (void)state;
    expect_file("penstock.example.yaml", config_reference, "penstock print-config --reference");
    expect_file("docs/configuration.md", config_manual, "penstock print-config --manual");
}

/* What a model has is kept in another place than what the whole program has: neither is another name of the other. */
static void
other_names_are_of_the_same_place(void **state)
{
    (void)state;
    struct sink text = generated(config_manual);
    struct slice all = sink_slice(&text);
    bool model = false;
    int seen = 0;
    while (all.len > 0) {
        struct slice line = text_split(&all, '\n');
        if (slice_starts(line, SLICE_LIT("## ")) || slice_starts(line, SLICE_LIT("### ")))
            model = text_find(line, SLICE_LIT("model_list")) >= 0;
        ptrdiff_t also = text_find(line, SLICE_LIT(" Also `"));
        if (also < 0)
            continue;
        seen++;
        bool named = text_find(slice_skip(line, (size_t)also), SLICE_LIT("`model_list")) >= 0;
        if (named != model)
            fail_msg("%.*s", SLICE_ARG(line));
    }
    assert_true(seen > 3);
    sink_fini(&text);
}

static void
the_example_holds_the_defaults(void **state)
{
    (void)state;
    struct sink text = generated(config_reference);
    struct loaded loaded = load_bytes(sink_slice(&text), ENVIRONMENT("OPENAI_API_KEY=k"));
    expect_clean(&loaded);
    struct loaded bare =
        load_text("model_list: [{model_name: gpt-4o, litellm_params: {model: openai/gpt-4o}}]",
                  ENVIRONMENT("OPENAI_API_KEY=k"));
    expect_clean(&bare);
    const struct config *a = loaded.config, *b = bare.config;
    assert_memory_equal(&a->timeouts, &b->timeouts, sizeof(a->timeouts));
    assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
    assert_int_equal(a->num_retries, b->num_retries);
    assert_int_equal(a->port, b->port);
    assert_int_equal(a->workers, b->workers);
    assert_int_equal(a->deployment_count, 1);
    unload(&bare);
    unload(&loaded);
    sink_fini(&text);
}

/* "   #key: value" is a key that is not set; with the mark taken away every one must be known. */
static void
every_key_of_the_example_is_known(void **state)
{
    struct sink text = generated(config_reference), open;
    struct slice rest = sink_slice(&text);
    int keys = 0;
    (void)state;
    sink_init(&open, 1u << 20);
    while (slice_present(rest)) {
        struct slice line = text_split(&rest, '\n');
        size_t at = 0;
        while (at < line.len && line.ptr[at] == ' ')
            at++;
        bool marked = at + 1 < line.len && line.ptr[at] == '#' && line.ptr[at + 1] >= 'a' &&
                      line.ptr[at + 1] <= 'z';
        keys += marked;
        sink_put(&open, slice_take(line, at));
        sink_put(&open, slice_skip(line, at + (marked ? 1 : 0)));
        sink_byte(&open, '\n');
    }
    assert_true(keys > 40);
    put_file("ca.pem", SLICE_LIT("x"), 0600);
    put_file("server.pem", SLICE_LIT("x"), 0600);
    put_file("server.key", SLICE_LIT("x"), 0600);
    struct loaded loaded =
        load_bytes(sink_slice(&open), ENVIRONMENT("OPENAI_API_KEY=k", "PENSTOCK_MASTER_KEY=k",
                                                  "ALICE_KEY=k", "PENSTOCK_TLS_CA_FILE=ca.pem"));
    for (struct config_problem *problem = loaded.problems; problem != NULL;
         problem = problem->next) {
        /* The pin and the system's bundle are placeholders; names lead to models that are not
         * there. */
        bool meant = text_find(problem->text, SLICE_LIT("spki_pin")) >= 0 ||
                     text_find(problem->text, SLICE_LIT("ca-certificates")) >= 0 ||
                     text_find(problem->text, SLICE_LIT("no model_name serves")) >= 0;
        if (!meant)
            fail_msg("%.*s", SLICE_ARG(problem->text));
    }
    unload(&loaded);
    sink_fini(&open);
    sink_fini(&text);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_what_the_table_writes),
        cmocka_unit_test(other_names_are_of_the_same_place),
        cmocka_unit_test(the_example_holds_the_defaults),
        cmocka_unit_test(every_key_of_the_example_is_known),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
