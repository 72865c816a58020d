/* SPDX-License-Identifier: MIT
 *
 * report.c - what came of a run, as JSON.
 */
#include "tools/loadgen/loadgen.h"

#include <stdio.h>

uint64_t
report_wrongs(const struct loadgen *loadgen)
{
    uint64_t sum = 0;
    for (int i = 0; i < WRONGS_COUNT; i++)
        sum += loadgen->tally.wrongs[i];
    /* Slow readers may be sent away; what they do get must be right. */
    for (int i = WRONG_MALFORMED; i < WRONG_ERROR_EVENT; i++)
        sum += loadgen->slow_tally.wrongs[i];
    return sum;
}

static void
write_histogram(FILE *out, const char *name, const struct histogram *histogram)
{
    fprintf(out,
            ",\n \"%s\": {\"p50\": %llu, \"p90\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": "
            "%llu, \"mean\": %llu, \"count\": %llu}",
            name, (unsigned long long)histogram_at(histogram, 0.5),
            (unsigned long long)histogram_at(histogram, 0.9),
            (unsigned long long)histogram_at(histogram, 0.99),
            (unsigned long long)histogram_at(histogram, 0.999), (unsigned long long)histogram->max,
            (unsigned long long)(histogram->count ? histogram->sum / histogram->count : 0),
            (unsigned long long)histogram->count);
}

static void
write_wrongs(FILE *out, const char *name, const struct tally *tally)
{
    const char *comma = "";
    fprintf(out, ",\n \"%s\": {", name);
    for (int i = 0; i < WRONGS_COUNT; i++) {
        if (!tally->wrongs[i])
            continue;
        fprintf(out, "%s\"%s\": %llu", comma, wrong_names[i], (unsigned long long)tally->wrongs[i]);
        comma = ", ";
    }
    fputc('}', out);
}

static void
write_text(FILE *out, const char *name, const char *text)
{
    fprintf(out, ",\n \"%s\": \"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static uint64_t
unfinished(const struct loadgen *loadgen)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < loadgen->asker_count; i++)
        count += loadgen->askers[i].asking && loadgen->askers[i].kind != ASKER_SLOW;
    return count;
}

static void
write_all(FILE *out, const struct loadgen *loadgen)
{
    const struct settings *settings = &loadgen->settings;
    fprintf(out,
            "{\"streams\": %u, \"requests\": %llu, \"events\": %llu, \"frames\": %llu, \"bytes\": "
            "%llu,\n",
            settings->streams, (unsigned long long)loadgen->answered,
            (unsigned long long)(loadgen->tally.texts + loadgen->slow_tally.texts),
            (unsigned long long)loadgen->tally.events, (unsigned long long)loadgen->links.bytes_in);
    fprintf(out,
            " \"bytes_out\": %llu, \"connects\": %llu, \"left_early\": %llu, \"unfinished\": %llu, "
            "\"slow_events\": %llu,\n",
            (unsigned long long)loadgen->links.bytes_out, (unsigned long long)loadgen->connects,
            (unsigned long long)loadgen->left, (unsigned long long)unfinished(loadgen),
            (unsigned long long)loadgen->slow_tally.texts);
    fprintf(out,
            " \"slow_cut\": %llu, \"idle\": %llu, \"idle_cut\": %llu, \"seconds\": %.6f, "
            "\"wrong\": %llu",
            (unsigned long long)loadgen->slow_cut, (unsigned long long)loadgen->idle_open,
            (unsigned long long)loadgen->idle_cut,
            (double)(loadgen->end_ns - loadgen->start_ns) / 1e9,
            (unsigned long long)report_wrongs(loadgen));
    write_wrongs(out, "errors", &loadgen->tally);
    write_wrongs(out, "slow_errors", &loadgen->slow_tally);
    write_text(out, "first_error",
               loadgen->tally.first[0] ? loadgen->tally.first : loadgen->slow_tally.first);
    write_histogram(out, "latency_ns", &loadgen->tally.latency);
    write_histogram(out, "first_ns", &loadgen->first);
    write_histogram(out, "request_ns", &loadgen->request);
    fputs("}\n", out);
}

bool
report_to_stdout(const struct loadgen *loadgen)
{
    const char *path = loadgen->settings.json;
    return !path || strcmp(path, "-") == 0;
}

bool
report_write(const struct loadgen *loadgen)
{
    const char *path = loadgen->settings.json;
    bool standard = report_to_stdout(loadgen);
    FILE *out = standard ? stdout : fopen(path, "w");
    if (!out) {
        perror(path);
        return false;
    }
    write_all(out, loadgen);
    return (standard ? fflush(out) : fclose(out)) == 0;
}

void
report_line(const struct loadgen *loadgen)
{
    printf("{\"now_ns\": %llu, \"requests\": %llu, \"events\": %llu, \"bytes\": %llu, \"begun\": "
           "%u, \"wrong\": %llu}\n",
           (unsigned long long)loadgen->now_ns, (unsigned long long)loadgen->answered,
           (unsigned long long)loadgen->tally.texts, (unsigned long long)loadgen->links.bytes_in,
           loadgen->ever_count, (unsigned long long)report_wrongs(loadgen));
    fflush(stdout);
}
