/* SPDX-License-Identifier: MIT
 *
 * test_metrics.c - labels, and the exposition: every family announced once with its samples behind
 * it, no series twice, histograms that add up, workers summed.
 */
#include "gateway/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gateway gateway;
static struct worker *workers[2];

static int
setup(void **unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        workers[i] = calloc(1, sizeof *workers[i]);
        if (!workers[i])
            return -1;
        workers[i]->gateway = &gateway;
        workers[i]->metrics = metrics_new();
    }
    gateway.workers = workers;
    gateway.worker_count = 2;
    return 0;
}

static int
teardown(void **unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        metrics_free(workers[i]->metrics);
        free(workers[i]);
    }
    return 0;
}

static struct sink
exposed(void)
{
    struct sink out;
    sink_init(&out, 64u << 20);
    metrics_expose(workers, 2, &out);
    assert_int_equal(out.error, 0);
    return out;
}

/* The value of a series, NULL when it is not there. */
static const char *
value_of(const struct sink *text, const char *series)
{
    static char value[64];
    size_t len = strlen(series);
    struct slice rest = sink_slice(text);
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        assert_non_null(end);
        struct slice line = slice_of(rest.ptr, (size_t)(end - rest.ptr));
        rest = slice_skip(rest, line.len + 1);
        if (line.len > len && memcmp(line.ptr, series, len) == 0 && line.ptr[len] == ' ') {
            snprintf(value, sizeof value, "%.*s", (int)(line.len - len - 1), line.ptr + len + 1);
            return value;
        }
    }
    return NULL;
}

static void
expect(const struct sink *text, const char *series, const char *value)
{
    const char *got = value_of(text, series);
    if (!got)
        fail_msg("no series %s", series);
    if (strcmp(got, value) != 0)
        fail_msg("%s is %s, not %s", series, got, value);
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:", text[i]) &&
            !(i > 0 && text[i] >= '0' && text[i] <= '9'))
            return false;
    return len > 0;
}

/* Does this sample belong to this family? Histograms add suffixes. */
static bool
belongs(const char *sample, const char *family, bool histogram)
{
    size_t len = strlen(family);
    if (strncmp(sample, family, len) != 0)
        return false;
    const char *rest = sample + len;
    if (!histogram)
        return *rest == '{' || *rest == ' ';
    return strncmp(rest, "_bucket{", 8) == 0 || strncmp(rest, "_sum", 4) == 0 ||
           strncmp(rest, "_count", 6) == 0;
}

static void
test_exposition_is_well_formed(void **unused)
{
    static char *series[20000], *families[2000];
    size_t series_count = 0, family_count = 0;
    char family[256] = "", type[64] = "";
    (void)unused;
    /* Two ways to serve one name through one provider, as a model group has them. */
    int first = metrics_label(SLICE_LIT("group"), SLICE_LIT("openai"), SLICE_LIT("one"));
    int second = metrics_label(SLICE_LIT("group"), SLICE_LIT("openai"), SLICE_LIT("two"));
    int odd = metrics_label(SLICE_LIT("a \"b\\\n"), SLICE_LIT("openai"), SLICE_LIT("odd"));
    int used[] = {0, first, second, odd};
    for (size_t i = 0; i < countof(used); i++) {
        struct metrics_model *model = metrics_model(workers[i % 2]->metrics, used[i]);
        metrics_add(&model->requests[DIALECT_ANTHROPIC][2], 1);
        hist_record(&model->duration, &metrics_latency, 1234567);
    }
    struct sink text = exposed();
    sink_byte(&text, '\0');
    for (char *line = strtok(text.ptr, "\n"); line; line = strtok(NULL, "\n")) {
        char word[256];
        if (sscanf(line, "# HELP %255s", word) == 1) {
            families[family_count++] = strdup(word);
            continue;
        }
        if (sscanf(line, "# TYPE %255s %63s", family, type) == 2) {
            assert_string_equal(family, families[family_count - 1]);
            assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 ||
                        strcmp(type, "histogram") == 0);
            continue;
        }
        if (!belongs(line, family, strcmp(type, "histogram") == 0))
            fail_msg("a sample away from its family %s: %s", family, line);
        assert_true(is_name(line, strcspn(line, "{ ")));
        char *space = strrchr(line, ' '), *end;
        assert_non_null(space);
        strtod(space + 1, &end);
        assert_int_equal(*end, '\0');
        *space = '\0';
        assert_true(series_count < countof(series));
        series[series_count++] = strdup(line);
    }
    assert_true(family_count > 60);
    assert_true(series_count > 500);
    qsort(families, family_count, sizeof *families, compare);
    qsort(series, series_count, sizeof *series, compare);
    for (size_t i = 1; i < series_count; i++)
        if (strcmp(series[i - 1], series[i]) == 0)
            fail_msg("twice: %s", series[i]);
    for (size_t i = 1; i < family_count; i++)
        if (strcmp(families[i - 1], families[i]) == 0)
            fail_msg("announced twice: %s", families[i]);
    for (size_t i = 0; i < series_count; i++)
        free(series[i]);
    for (size_t i = 0; i < family_count; i++)
        free(families[i]);
    sink_fini(&text);
}

static void
test_labels(void **unused)
{
    (void)unused;
    int label = metrics_label(SLICE_LIT("m"), SLICE_LIT("p"), SLICE_LIT("i"));
    assert_true(label > 0);
    assert_int_equal(metrics_label(SLICE_LIT("m"), SLICE_LIT("p"), SLICE_LIT("i")), label);
    assert_int_not_equal(metrics_label(SLICE_LIT("m"), SLICE_LIT("p"), SLICE_LIT("j")), label);
    assert_int_not_equal(metrics_label(SLICE_LIT("mp"), SLICE_LIT(""), SLICE_LIT("i")), label);
    struct metrics_model *model = metrics_model(workers[0]->metrics, label);
    metrics_add(&model->attempts, 3);
    struct sink text = exposed();
    expect(&text, "penstock_upstream_attempts_total{model=\"m\",upstream=\"i\"}", "3");
    sink_fini(&text);
    int odd = metrics_label(SLICE_LIT("say \"hi\"\\\n"), SLICE_LIT("p"), SLICE_LIT("odd"));
    metrics_add(&metrics_model(workers[0]->metrics, odd)->attempts, 1);
    text = exposed();
    expect(&text,
           "penstock_upstream_attempts_total{model=\"say \\\"hi\\\"\\\\\\n\",upstream=\"odd\"}",
           "1");
    sink_fini(&text);
}

static void
test_workers_are_summed(void **unused)
{
    (void)unused;
    metrics_add(&workers[0]->metrics->retries, 2);
    metrics_add(&workers[1]->metrics->retries, 5);
    metrics_add(&workers[0]->metrics->streams_active, 3);
    metrics_sub(&workers[0]->metrics->streams_active, 1);
    metrics_add(&workers[1]->metrics->streams_active, 7);
    metrics_add(&workers[0]->metrics->transitions[STATE_RELAY][EVENT_BREAK], 4);
    metrics_add(&workers[1]->metrics->transitions[STATE_RELAY][EVENT_BREAK], 4);
    metrics_add(&workers[1]->metrics->ends[END_TIMEOUT], 6);
    metrics_add(&workers[0]->metrics->errors[ERR_IDLE_TIMEOUT], 1);
    metrics_add(&workers[0]->metrics->disconnects[STATE_STALL], 9);
    workers[0]->metrics->longest_stall_us = 1500000;
    workers[1]->metrics->longest_stall_us = 250000;
    struct sink text = exposed();
    expect(&text, "penstock_retries_total", "7");
    expect(&text, "penstock_streams_active", "9");
    expect(&text, "penstock_transitions_total{from=\"RELAY\",event=\"BREAK\"}", "8");
    expect(&text, "penstock_stream_ends_total{reason=\"timeout\"}", "6");
    expect(&text, "penstock_errors_total{error=\"IDLE_TIMEOUT\",code=\"upstream_idle_timeout\"}",
           "1");
    expect(&text, "penstock_client_disconnects_total{phase=\"STALL\"}", "9");
    expect(&text, "penstock_longest_stall_seconds", "1.500000");
    assert_null(value_of(&text, "penstock_transitions_total{from=\"CLOSED\",event=\"BREAK\"}"));
    sink_fini(&text);
}

static void
test_histograms_add_up(void **unused)
{
    (void)unused;
    hist_record(&workers[0]->metrics->first_token, &metrics_latency, 1000); /* on a bound */
    hist_record(&workers[0]->metrics->first_token, &metrics_latency, 1001);
    hist_record(&workers[1]->metrics->first_token, &metrics_latency,
                700000000); /* over all bounds */
    hist_record(&workers[1]->metrics->chunk_size, &metrics_size, 100);
    struct sink text = exposed();
    expect(&text, "penstock_first_token_seconds_bucket{le=\"0.001\"}", "1");
    expect(&text, "penstock_first_token_seconds_bucket{le=\"0.0025\"}", "2");
    expect(&text, "penstock_first_token_seconds_bucket{le=\"600\"}", "2");
    expect(&text, "penstock_first_token_seconds_bucket{le=\"+Inf\"}", "3");
    expect(&text, "penstock_first_token_seconds_count", "3");
    expect(&text, "penstock_first_token_seconds_sum", "700.002001");
    expect(&text, "penstock_chunk_bytes_bucket{le=\"64\"}", "0");
    expect(&text, "penstock_chunk_bytes_bucket{le=\"128\"}", "1");
    expect(&text, "penstock_chunk_bytes_sum", "100");
    sink_fini(&text);
}

static void
test_figures_are_those_that_were_published(void **unused)
{
    (void)unused;
    workers[1]->stream_count = 42;
    workers[1]->loop.stats.ticks = 7;
    struct sink text = exposed();
    expect(&text, "penstock_worker_streams{worker=\"1\"}", "0");
    sink_fini(&text);
    metrics_publish(workers[1]);
    text = exposed();
    expect(&text, "penstock_worker_streams{worker=\"1\"}", "42");
    expect(&text, "penstock_worker_streams{worker=\"0\"}", "0");
    expect(&text, "penstock_loop_ticks_total{worker=\"1\"}", "7");
    assert_true(atoll(value_of(&text, "process_resident_memory_bytes")) > 100000);
    assert_true(atoll(value_of(&text, "process_open_fds")) >= 3);
    sink_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exposition_is_well_formed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workers_are_summed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histograms_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_figures_are_those_that_were_published, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
